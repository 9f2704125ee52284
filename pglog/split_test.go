package pglog

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"sepiola/entity"
	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/osdmap"
)

// hashed is an object with a hash of the test's choice.
func hashed(hash uint32) object.ID {
	return object.Head(1, "", "", fmt.Sprintf("o%x", hash), hash)
}

// splitCase is a copy of a PG of a pool with from PGs that is about to have more.
type splitCase struct {
	copy     Copy
	pg       object.SPGID
	from, to uint32
	children []SplitMember
}

func (s *splitCase) parent() SplitMember {
	return SplitMember{PGID: s.pg, Where: osdmap.Mapping{Up: []int32{1, 2}, Acting: []int32{1, 2}, UpPrimary: 1, ActingPrimary: 1}}
}

func (s *splitCase) split() (Copy, []Copy) { return Split(s.copy, s.parent(), s.children, s.to, 50) }

func membersOf(pg object.PGID, from, to uint32) []SplitMember {
	var out []SplitMember
	for _, c := range osdmap.SplitChildren(pg, from, to) {
		out = append(out, SplitMember{PGID: c.Whole()})
	}
	return out
}

// drawSplit draws a PG with random changes to objects that belong to it.
func drawSplit(t *rapid.T) splitCase {
	s := splitCase{from: rapid.Uint32Range(1, 20).Draw(t, "from")}
	s.to = s.from + rapid.Uint32Range(1, 50).Draw(t, "more")
	seed := rapid.Uint32Range(0, s.from-1).Draw(t, "seed")
	s.pg = object.PGID{Pool: 1, Seed: seed}.Whole()
	s.children = membersOf(s.pg.PGID, s.from, s.to)
	l := Log{Tail: Version{1, 5}, CanRollbackTo: Version{1, 8}, RollbackInfoTrimmedTo: Version{1, 7}}
	missing := NewMissing()
	for v := uint64(6); v < 6+uint64(rapid.IntRange(0, 30).Draw(t, "entries")); v++ {
		o := hashed(drawHash(t, s.pg, s.from))
		n := NewEntry(rapid.SampledFrom([]EntryOp{OpModify, OpDelete, OpError}).Draw(t, "op"), o, Version{1, v}, Version{1, 1})
		n.ReqID = ReqID{Name: entity.Client(4), TID: v}
		n.Clean = AllClean().DirtyData(0, 4096)
		l.Entries = append(l.Entries, n)
		if !n.IsError() && rapid.Bool().Draw(t, "is missing") {
			missing.AddNext(&n)
		}
	}
	l.Head = Version{1, 40}
	for v := uint64(1); v <= 5; v++ {
		l.Dups = append(l.Dups, Dup{Version: Version{1, v}, ReqID: ReqID{Name: entity.Client(3), TID: v}})
	}
	log, err := Index(l)
	if err != nil {
		t.Fatal(err)
	}
	s.copy = Copy{Log: log, Missing: missing, Info: NewInfo(s.pg)}
	s.copy.Info.LastUpdate, s.copy.Info.LogTail = l.Head, l.Tail
	s.copy.Info.Stats.Stats.Sum.NumObjects = 1000
	s.copy.Info.History = NewHistory(1, s.copy.Info.History.LastScrubStamp)
	s.copy.ResetLastComplete()
	s.copy.Missing.TakeChanged()
	return s
}

// drawHash draws a hash that leads to a PG.
func drawHash(t *rapid.T, pg object.SPGID, pgNum uint32) uint32 {
	h := rapid.Uint32Range(0, 1<<10).Draw(t, "hash")
	for !pg.Contains(h, pgNum) {
		h++
	}
	return h
}

// TestSplitByHash protects what a split is: each object's entries and its missing
// item go to the one PG that its hash leads to from then on, in order and whole;
// duplicates go everywhere, and the bounds stay.
func TestSplitByHash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSplit(t)
		before := describeCopy(s.copy)
		parent, children := s.split()
		if after := describeCopy(s.copy); after != before {
			t.Fatalf("the split changed what it was given:\n%s\nwas\n%s", after, before)
		}
		parts := append([]Copy{parent}, children...)
		entries, items := 0, 0
		for i, p := range parts {
			want := append([]SplitMember{s.parent()}, s.children...)[i].PGID
			if p.Info.PGID != want {
				t.Fatalf("part %d is of %v, not %v", i, p.Info.PGID, want)
			}
			checkPart(t, &s, p)
			entries, items = entries+p.Log.Len(), items+p.Missing.Len()
		}
		if entries != s.copy.Log.Len() || items != s.copy.Missing.Len() {
			t.Fatalf("%d entries and %d items became %d and %d", s.copy.Log.Len(), s.copy.Missing.Len(), entries, items)
		}
	})
}

// checkPart checks one part against the undivided copy.
func checkPart(t *rapid.T, s *splitCase, p Copy) {
	for _, n := range p.Log.Entries() {
		if !p.Info.PGID.Contains(n.Object.Hash, s.to) {
			t.Fatalf("%v has entry %v of hash %x", p.Info.PGID, n.Version, n.Object.Hash)
		}
		if s.copy.Log.At(n.Version) != n || p.Log.At(n.Version) != n {
			t.Fatalf("%v: entry %v is another or not to be found", p.Info.PGID, n.Version)
		}
		if _, ok := p.Log.Lookup(n.ReqID); !ok {
			t.Fatalf("%v does not know request %v of entry %v", p.Info.PGID, n.ReqID, n.Version)
		}
	}
	for o, i := range p.Missing.Sorted() {
		if was, _ := s.copy.Missing.Get(o); !p.Info.PGID.Contains(o.Hash, s.to) || !reflect.DeepEqual(i, was) {
			t.Fatalf("%v misses %v: %v, was %v", p.Info.PGID, o, i, was)
		}
	}
	a, b := p.Log, s.copy.Log
	if a.Head() != b.Head() || a.Tail() != b.Tail() || a.CanRollbackTo() != b.CanRollbackTo() ||
		a.RollbackInfoTrimmedTo() != b.RollbackInfoTrimmedTo() || a.DupLen() != b.DupLen() {
		t.Fatalf("%v has %v with %d duplicates, of %v with %d", p.Info.PGID, a, a.DupLen(), b, b.DupLen())
	}
	if p.Info.LastUpdate != a.Head() || p.Info.LogTail != a.Tail() || p.Info.HasMissing() != (p.Missing.Len() > 0) {
		t.Fatalf("%v: %v does not agree with its log %v and %d missing", p.Info.PGID, &p.Info, a, p.Missing.Len())
	}
}

// TestSplitInSteps protects growing by any steps: what the last map leads to is
// what each PG has, whether the maps in between were seen or not.
func TestSplitInSteps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSplit(t)
		direct := partsByID(s.split())
		mid := rapid.Uint32Range(s.from, s.to).Draw(t, "mid")
		parent, children := Split(s.copy, s.parent(), membersOf(s.pg.PGID, s.from, mid), mid, 49)
		steps := map[object.SPGID]Copy{}
		for _, c := range append(children, parent) {
			own := SplitMember{PGID: c.Info.PGID}
			for id, part := range partsByID(Split(c, own, membersOf(own.PGID.PGID, mid, s.to), s.to, 50)) {
				steps[id] = part
			}
		}
		for id, want := range direct {
			got, ok := steps[id]
			if a, b := describeCopy(got), describeCopy(want); !ok || a != b || len(steps) != len(direct) {
				t.Fatalf("%v of %d parts by steps over %d:\n%s\nof %d at once:\n%s", id, len(steps), mid, a, len(direct), b)
			}
		}
	})
}

func partsByID(parent Copy, children []Copy) map[object.SPGID]Copy {
	out := map[object.SPGID]Copy{parent.Info.PGID: parent}
	for _, c := range children {
		out[c.Info.PGID] = c
	}
	return out
}

// TestSplitPersists protects what is stored of the parts: the parent erases what
// went away, a child stores all it got.
func TestSplitPersists(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawSplit(rt)
		s.copy = stored(s.copy)
		for _, u := range s.copy.Log.Dups() {
			s.copy.Log.delta.touchDup(u.Version)
		}
		past := &osdmap.PastIntervals{}
		roundTrip := func(c *Copy, p *Persister, st objectstore.Store) {
			var tx objectstore.Transaction
			p.Write(&tx, &c.Info, c.Log, c.Missing, Extra{Epoch: 50, PastIntervals: past})
			submit(t, st, &tx)
			back, err := Load(st, c.Info.PGID, true)
			if err != nil {
				rt.Fatal(err)
			}
			if a, b := describeCopy(back.Copy), describeCopy(*c); a != b {
				rt.Fatalf("%v loaded as\n%sin memory\n%s", c.Info.PGID, a, b)
			}
		}
		own, st := NewPersister(s.pg, true, false), storeWith(t, s.pg, nil)
		roundTrip(&s.copy, &own, st)
		parent, children := s.split()
		roundTrip(&parent, &own, st)
		for _, c := range children {
			p := NewPersister(c.Info.PGID, true, false)
			roundTrip(&c, &p, storeWith(t, c.Info.PGID, nil))
		}
	})
}

// TestSplitInfo protects what a child knows of its past: its parent's history, from
// an own creation on, and where the map puts it.
func TestSplitInfo(t *testing.T) {
	h := History{EpochCreated: 3, EpochPoolCreated: 2, LastEpochStarted: 40, LastIntervalStarted: 39,
		LastEpochClean: 38, LastIntervalClean: 37, SameUpSince: 36, SamePrimarySince: 35, SameIntervalSince: 39}
	c := Copy{Log: &IndexedLog{}, Missing: NewMissing(), Info: NewInfo(object.PGID{Pool: 1}.Whole())}
	c.Info.History, c.Info.LastEpochStarted, c.Info.LastIntervalStarted = h, 40, 39
	c.Info.LastUserVersion = 77
	c.Info.PurgedSnaps = WholeSet()
	c.Info.HitSet.CurrentLastUpdate = Version{1, 1}
	here := osdmap.Mapping{Up: []int32{1, 2}, Acting: []int32{1, 2}, UpPrimary: 1, ActingPrimary: 1}
	moved := osdmap.Mapping{Up: []int32{4, 5}, Acting: []int32{4, 2}, UpPrimary: 4, ActingPrimary: 4}
	members := []SplitMember{{object.PGID{Pool: 1, Seed: 1}.Whole(), here}, {object.PGID{Pool: 1, Seed: 2}.Whole(), moved}}
	parent, children := Split(c, SplitMember{c.Info.PGID, here}, members, 3, 50)

	want := h
	want.LastEpochSplit, want.SameIntervalSince = 50, 50
	if parent.Info.History != want || !parent.Info.Stats.StatsInvalid {
		t.Errorf("parent: %+v, statistics invalid: %v", parent.Info.History, parent.Info.Stats.StatsInvalid)
	}
	want.EpochCreated = 50
	if got := children[0].Info.History; got != want {
		t.Errorf("a child that stays: %+v", got)
	}
	want.SameUpSince, want.SamePrimarySince = 50, 50
	if got := children[1].Info.History; got != want {
		t.Errorf("a child that moves: %+v", got)
	}
	for i, ch := range children {
		st := &ch.Info.Stats
		if st.ParentSplitBits != []uint32{1, 2}[i] { // of 3 PGs, 1 is still to split
			t.Errorf("%v has %d bits", ch.Info.PGID, st.ParentSplitBits)
		}
		if w := members[i].Where; !slices.Equal(st.Up, w.Up) || !slices.Equal(st.Acting, w.Acting) ||
			st.UpPrimary != w.UpPrimary || st.ActingPrimary != w.ActingPrimary || st.MappingEpoch != 50 || !st.StatsInvalid {
			t.Errorf("%v reports %+v", ch.Info.PGID, st)
		}
		if ch.Info.LastEpochStarted != 40 || ch.Info.LastIntervalStarted != 39 || ch.Info.LastUserVersion != 77 ||
			!ch.Info.PurgedSnaps.Equal(WholeSet()) || !ch.Info.HitSet.CurrentLastUpdate.IsZero() {
			t.Errorf("%v: %+v", ch.Info.PGID, ch.Info)
		}
	}
}

// TestSplitOfBackfill protects a copy that was being backfilled: parent and child
// start over and miss nothing, as only objects before last_backfill can be missing.
func TestSplitOfBackfill(t *testing.T) {
	n := NewEntry(OpModify, hashed(1), Version{1, 1}, Version{})
	log, err := Index(Log{Head: n.Version, Entries: []Entry{n}})
	if err != nil {
		t.Fatal(err)
	}
	c := Copy{Log: log, Missing: NewMissing(), Info: NewInfo(object.PGID{Pool: 1}.Whole())}
	c.Info.LastUpdate, c.Info.LastBackfill = n.Version, hashed(0xfff)
	c.Missing.AddNext(&n)
	parent, children := Split(c, SplitMember{PGID: c.Info.PGID}, membersOf(c.Info.PGID.PGID, 1, 2), 2, 9)
	for _, p := range append(children, parent) {
		if !p.Info.LastBackfill.IsMin() || p.Missing.Len() != 0 || p.Info.HasMissing() {
			t.Errorf("%v with %d missing", &p.Info, p.Missing.Len())
		}
	}
}

// TestSplitCounts protects the sums of a pool through a split: nothing is counted
// twice or lost, and no sign of damage goes away.
func TestSplitCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s, sum ObjectStatSum
		for _, f := range s.Fields() {
			v := rapid.Int32Range(-3, 40).Draw(t, f.Name)
			if f.I64 != nil {
				*f.I64 = int64(v)
			} else {
				*f.I32 = v
			}
		}
		n := rapid.IntRange(1, 9).Draw(t, "parts")
		for _, p := range s.Split(n) {
			sum.Add(&p)
			if (s.NumDeepScrubErrors != 0) != (p.NumDeepScrubErrors != 0) && s.NumDeepScrubErrors > 0 {
				t.Fatalf("of %d deep scrub errors none in a part", s.NumDeepScrubErrors)
			}
		}
		for i, f := range s.Fields() {
			switch f.Name {
			case "num_scrub_errors", "num_shallow_scrub_errors", "num_deep_scrub_errors", "num_legacy_snapsets":
				continue
			}
			if got := sum.Fields()[i]; f.I64 != nil && *got.I64 != *f.I64 || f.I32 != nil && *got.I32 != *f.I32 {
				t.Fatalf("%s: the sums of %d parts differ", f.Name, n)
			}
		}
	})
}
