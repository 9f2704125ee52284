package pglog

import (
	"fmt"
	"slices"
	"testing"

	"sepiola/object"
	"sepiola/osdmap"
)

// TestSplitAsCeph protects parts of a PG from differing from what an OSD of Ceph makes
// of the same PG, with which ours has to agree: log, missing set, history and counts.
func TestSplitAsCeph(t *testing.T) {
	const epoch, pgNum = 55, 3
	before := loadGolden(t, "before-2.0")
	var after []Copy
	for seed := range pgNum {
		after = append(after, loadGolden(t, fmt.Sprintf("after-2.%x", seed)).Copy)
	}
	// The OSD was restarted before the split, which is a new interval.
	h, later := &before.Info.History, &after[0].Info.History
	h.SameUpSince, h.SamePrimarySince = later.SameUpSince, later.SamePrimarySince

	where := osdmap.Mapping{Up: []int32{2, 1}, Acting: []int32{2, 1}, UpPrimary: 2, ActingPrimary: 2}
	id := func(seed uint32) SplitMember { return SplitMember{object.PGID{Pool: 2, Seed: seed}.Whole(), where} }
	parent, children := Split(before.Copy, id(0), []SplitMember{id(1), id(2)}, pgNum, epoch)
	for i, got := range append([]Copy{parent}, children...) {
		samePart(t, fmt.Sprintf("2.%d", i), got, after[i])
	}
}

// loadGolden loads a PG of the golden split.
func loadGolden(t *testing.T, name string) Loaded {
	t.Helper()
	kv := pairs(t, "../testdata/golden/pglog/split/"+name+".txt")
	pg := goldenPG(t, kv)
	l, err := Load(storeWith(t, pg, kv), pg, false)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// samePart compares a part with that of Ceph.
func samePart(t *testing.T, name string, got, want Copy) {
	t.Helper()
	if a, b := describeLog(got.Log.Log()), describeLog(want.Log.Log()); a != b {
		t.Errorf("%s: log\n%swant\n%s", name, a, b)
	}
	if a, b := describeMissing(got.Missing), describeMissing(want.Missing); a != b {
		t.Errorf("%s:\n%swant\n%s", name, a, b)
	}
	g, w := &got.Info, &want.Info
	if g.History != w.History {
		t.Errorf("%s: history\n%+v\nwant\n%+v", name, g.History, w.History)
	}
	if g.LastUpdate != w.LastUpdate || g.LogTail != w.LogTail || g.LastUserVersion != w.LastUserVersion ||
		g.LastEpochStarted != w.LastEpochStarted || g.LastIntervalStarted != w.LastIntervalStarted ||
		g.LastComplete != w.LastComplete || !g.PurgedSnaps.Equal(w.PurgedSnaps) || g.LastBackfill != w.LastBackfill {
		t.Errorf("%s: info\n%v\nwant\n%v", name, g, w)
	}
	a, b := &g.Stats, &w.Stats
	if a.ParentSplitBits != b.ParentSplitBits || a.StatsInvalid != b.StatsInvalid || !slices.Equal(a.Up, b.Up) ||
		a.UpPrimary != b.UpPrimary || !slices.Equal(a.Acting, b.Acting) || a.ActingPrimary != b.ActingPrimary {
		t.Errorf("%s: statistics\n%+v\nwant\n%+v", name, a, b)
	}
	for i, f := range a.Stats.Sum.Fields() {
		if theirs := b.Stats.Sum.Fields()[i]; f.I64 != nil && *f.I64 != *theirs.I64 {
			t.Errorf("%s: %s is %d, want %d", name, f.Name, *f.I64, *theirs.I64)
		}
	}
}
