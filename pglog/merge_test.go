package pglog

import (
	"testing"

	"sepiola/object"
)

// emptyCopy is a copy with a log of (1'1,2'1] and nothing in it.
func emptyCopy(t *testing.T) Copy {
	t.Helper()
	log, err := Index(Log{Tail: Version{1, 1}, Head: Version{2, 1}})
	if err != nil {
		t.Fatal(err)
	}
	return Copy{Log: log, Info: NewInfo(object.PGID{Pool: 1}.Whole()), Missing: NewMissing()}
}

// TestMergeStats protects a PG's figures: the authoritative ones are taken over, but
// not by a copy that is being backfilled, and reports never seem to go back.
func TestMergeStats(t *testing.T) {
	auth := Log{Tail: Version{1, 1}, Head: Version{2, 1}}
	oinfo := NewInfo(object.PGID{Pool: 1}.Whole())
	oinfo.Stats.Version = Version{10, 1}
	oinfo.Stats.ReportedSeq, oinfo.Stats.ReportedEpoch = 1, 1
	oinfo.HitSet.CurrentLastUpdate = Version{3, 3}

	c := emptyCopy(t)
	c.Info.Stats.ReportedSeq, c.Info.Stats.ReportedEpoch = 1, 10
	p, err := MergeLog(c, auth, &oinfo)
	if err != nil {
		t.Fatal(err)
	}
	got := p.Copy.Info.Stats
	if got.Version != oinfo.Stats.Version || got.ReportedSeq != 1 || got.ReportedEpoch != 10 || p.Changed {
		t.Errorf("statistics %v, reported %d in epoch %d, changed: %v", got.Version, got.ReportedSeq, got.ReportedEpoch, p.Changed)
	}
	if p.Copy.Info.HitSet.CurrentLastUpdate != oinfo.HitSet.CurrentLastUpdate {
		t.Error("the hit sets are others")
	}

	c.Info.LastBackfill = objectNamed("a")
	c.Info.Stats.Version = Version{5, 5}
	if p, err = MergeLog(c, auth, &oinfo); err != nil || p.Copy.Info.Stats.Version != (Version{5, 5}) {
		t.Errorf("a copy that is being backfilled: %v, %v", p.Copy.Info.Stats.Version, err)
	}
}

// TestMergeTakesWhatEntriesBring protects what comes with entries that a copy lacked:
// the last user version, the snapshots purged, and how much is missing.
func TestMergeTakesWhatEntriesBring(t *testing.T) {
	n := NewEntry(OpModify, objectNamed("a"), Version{3, 2}, Version{})
	oinfo := NewInfo(object.PGID{Pool: 1}.Whole())
	oinfo.LastUserVersion, oinfo.PurgedSnaps = 77, WholeSet()
	p, err := MergeLog(emptyCopy(t), Log{Tail: Version{2, 1}, Head: n.Version, Entries: []Entry{n}}, &oinfo)
	if err != nil {
		t.Fatal(err)
	}
	i := p.Copy.Info
	if i.LastUserVersion != 77 || !i.PurgedSnaps.Equal(WholeSet()) || i.Stats.Stats.Sum.NumObjectsMissing != 1 || !p.Changed {
		t.Errorf("%+v", i)
	}
}

// TestErrorsSayNothingOfTheObject protects failed requests from being taken for the
// newest change of their object, while their clients are answered from them.
func TestErrorsSayNothingOfTheObject(t *testing.T) {
	a := objectNamed("a")
	var l IndexedLog
	for v, op := range []EntryOp{OpError, OpModify, OpDelete, OpError} {
		n := NewEntry(op, a, Version{6, uint64(v) + 2}, Version{})
		n.ReqID.TID = uint64(v) + 1
		if err := l.Append(&n); err != nil {
			t.Fatal(err)
		}
		want := []Version{{}, {6, 3}, {6, 4}, {6, 4}}[v]
		if got := l.Newest(a); (got == nil) != want.IsZero() || got != nil && got.Version != want {
			t.Errorf("after %v the newest is %v, want %v", n.Version, got, want)
		}
		if r, ok := l.Lookup(n.ReqID); !ok || r.Version != n.Version {
			t.Errorf("request of %v: %v, %v", n.Version, r, ok)
		}
	}
}

// TestMissingKeepsWhatIsClean protects recovery that copies only what changed: what
// is clean of a missing object is what all entries since then left alone, and
// nothing is where there is nothing to build on.
func TestMissingKeepsWhatIsClean(t *testing.T) {
	a := objectNamed("a")
	entry := func(v uint64, op EntryOp, prior uint64, off uint64) *Entry {
		n := NewEntry(op, a, Version{1, v}, Version{})
		if prior > 0 {
			n.PriorVersion = Version{1, prior}
		}
		n.Clean = AllClean().DirtyData(off, 10)
		return &n
	}
	m := NewMissing()
	m.AddNext(entry(2, OpModify, 1, 0))
	m.AddNext(entry(3, OpModify, 2, 100))
	got, _ := m.Get(a)
	if want := AllClean().DirtyData(0, 10).DirtyData(100, 10); !got.Clean.Equal(want) {
		t.Errorf("%v, want %v", got.Clean, want)
	}
	for _, last := range []*Entry{entry(4, OpLostRevert, 3, 0), entry(4, OpModify, 0, 0), entry(4, OpClone, 3, 0)} {
		c := m.Clone()
		c.AddNext(last)
		if got, _ := c.Get(a); !got.Clean.IsAllDirty() {
			t.Errorf("after %v %v is clean", last.Op, got.Clean)
		}
	}
	c := m.Clone()
	c.ReviseNeed(a, Version{1, 1}, false)
	if got, _ := c.Get(a); !got.Clean.IsAllDirty() {
		t.Errorf("after a change of need %v is clean", got.Clean)
	}
}

// benchLogs returns a copy with a log of n entries, and an authoritative log that has
// another tenth in place of its last.
func benchLogs(b *testing.B, n uint64) (Copy, Log) {
	entry := func(epoch uint32, v uint64) Entry {
		return NewEntry(OpModify, hashed(uint32(v%100)), Version{epoch, v}, Version{1, 0})
	}
	own, auth := Log{Tail: Version{1, 0}}, Log{Tail: Version{1, 0}}
	for v := uint64(1); v <= n; v++ {
		own.Entries = append(own.Entries, entry(1, v))
		if v <= n-n/10 {
			auth.Entries = append(auth.Entries, entry(1, v))
		} else {
			auth.Entries = append(auth.Entries, entry(2, v))
		}
	}
	own.Head, auth.Head = Version{1, n}, Version{2, n}
	log, err := Index(own)
	if err != nil {
		b.Fatal(err)
	}
	for i := range own.Entries { // each builds on the one before on its object
		if i >= 100 {
			own.Entries[i].PriorVersion = own.Entries[i-100].Version
		}
	}
	return Copy{Log: log, Missing: NewMissing(), Info: NewInfo(object.PGID{Pool: 1}.Whole())}, auth
}

// BenchmarkMerge measures a merge of logs as long as they get, a tenth of which
// diverges.
func BenchmarkMerge(b *testing.B) {
	c, auth := benchLogs(b, 10000)
	info := NewInfo(c.Info.PGID)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := MergeLog(c, auth, &info); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSplit measures dividing such a log among 16 PGs.
func BenchmarkSplit(b *testing.B) {
	c, _ := benchLogs(b, 10000)
	children := membersOf(c.Info.PGID.PGID, 1, 16)
	b.ReportAllocs()
	for b.Loop() {
		Split(c, SplitMember{PGID: c.Info.PGID}, children, 16, 9)
	}
}
