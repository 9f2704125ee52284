package pglog

import (
	"strings"
	"testing"

	"sepiola/entity"
	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/osdmap"
)

// bloated returns a log as long as none should be: entries after a tail at 100000,
// and as many duplicates as there were versions before it.
func bloated(t *testing.T, entries, dups uint64) *IndexedLog {
	t.Helper()
	const tail = 100000
	l := Log{Tail: Version{1, tail}, Head: Version{1, tail + entries}, CanRollbackTo: Version{1, tail + entries}}
	for v := tail + 1 - dups; v <= tail; v++ {
		l.Dups = append(l.Dups, Dup{Version: Version{1, v}, ReqID: ReqID{Name: entity.Client(1), TID: v}})
	}
	for v := uint64(tail + 1); v <= tail+entries; v++ {
		l.Entries = append(l.Entries, NewEntry(OpModify, objectNamed("a"), Version{1, v}, Version{}))
	}
	log, err := Index(l)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// TestBloatedLogShrinks protects the bounds of a log that arrives with too much: no
// step drops more than allowed, each drops something while there is too much, and in
// the end entries and duplicates are as few as asked for.
func TestBloatedLogShrinks(t *testing.T) {
	o := TrimOptions{Target: 250, Min: 100, Max: 1000, DupsTracked: 3000}
	l := bloated(t, 20000, 50000)
	for steps := 0; l.DupLen() > int(o.DupsTracked) || l.Len() > int(o.Target+o.Min); steps++ {
		entries, dups := l.Len(), l.DupLen()
		l.Trim(l.TrimTarget(l.Head(), o), o)
		d := l.takeDelta()
		gone := entries - l.Len()
		if gone > int(o.Max) || len(d.del) != gone || len(d.dirtyDup) > 2*int(o.Max) {
			t.Fatalf("a step dropped %d entries, erased %d and touched %d duplicates", gone, len(d.del), len(d.dirtyDup))
		}
		if gone == 0 && l.DupLen() == dups || steps > 100 {
			t.Fatalf("after %d steps %d entries and %d duplicates stay", steps, l.Len(), l.DupLen())
		}
	}
	if l.Len() < int(o.Target) || l.Tail() != (Version{1, l.Head().V - uint64(l.Len())}) {
		t.Errorf("%v with %d entries", l, l.Len())
	}
}

// TestReplicaTrimsInSteps protects a copy whose log reaches further back than the
// one of its primary, which only says up to where: it, too, drops a bounded number
// at once, and its tail says what is left.
func TestReplicaTrimsInSteps(t *testing.T) {
	l := bloated(t, 250, 0)
	o := TrimOptions{Max: 100, DupsTracked: 3000}
	for _, want := range []int{100, 100, 50, 0} {
		if got := l.Trim(l.Head(), o); got != want {
			t.Fatalf("dropped %d of at most %d, want %d", got, o.Max, want)
		}
		if n := l.Head().V - l.Tail().V; n != uint64(l.Len()) {
			t.Fatalf("%v has %d entries", l, l.Len())
		}
	}
}

// TestTrimKeepsTarget protects the log of a PG that split: it has fewer entries than
// it spans, and is not trimmed below the target for that.
func TestTrimKeepsTarget(t *testing.T) {
	l := bloated(t, 1000, 0)
	even := 0
	l.splitOut(func(object.ID) (int, bool) { even++; return 0, even%2 == 0 }, 1)
	o := TrimOptions{Target: 400, Min: 100, Max: 1000, DupsTracked: 3000}
	if l.Trim(l.TrimTarget(l.Head(), o), o); l.Len() != 400 {
		t.Errorf("%d of 500 entries stay", l.Len())
	}
	// A bound of none at once trims none.
	if to := l.TrimTarget(l.Head(), TrimOptions{}); !to.IsZero() {
		t.Errorf("nothing is to be trimmed, yet the target is %v", to)
	}
}

// TestLoadBoundsDups protects an OSD's memory from a stored log with any number of
// duplicates: the newest are read, and the others erased with the next write.
func TestLoadBoundsDups(t *testing.T) {
	pg := object.PGID{Pool: 1}.Whole()
	const dups = 2*MaxDups + 77
	c := Copy{Info: NewInfo(pg), Log: bloated(t, 1, 1), Missing: NewMissing()}
	c.Info.LastUpdate, c.Info.LogTail = c.Log.Head(), c.Log.Tail()
	kv := MetaKeys(c, 1, osdmap.PastIntervals{}, false)
	for v := uint64(1); v <= dups; v++ {
		u := Dup{Version: Version{1, v}, ReqID: ReqID{Name: entity.Client(1), TID: v}}
		kv[u.Key()] = encoded(100, u.Encode)
	}
	s := storeWith(t, pg, kv)
	got, err := Load(s, pg, false)
	if err != nil {
		t.Fatal(err)
	}
	if n := got.Log.DupLen(); n != MaxDups || got.Log.Dups()[n-1].Version.V != dups {
		t.Fatalf("%d duplicates are read, the last is %v", n, got.Log.Dups()[n-1].Version)
	}
	var tx objectstore.Transaction
	got.Persister.Write(&tx, &got.Info, got.Log, got.Missing, Extra{})
	submit(t, s, &tx)
	stored := 0
	it, err := s.OmapIter(objectstore.PGColl(pg), pg.MetaObject(), dupKeyPrefix)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	for it.Next() {
		if strings.HasPrefix(it.Key(), dupKeyPrefix) {
			stored++
		}
	}
	if stored != MaxDups {
		t.Errorf("%d duplicates are still stored", stored)
	}
}
