package osdmap

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"sepiola/object"
	"sepiola/wire"
)

// Past intervals that OSDs of Ceph sent each other encode to the same bytes.
func TestPastIntervalsReencode(t *testing.T) {
	n := 0
	for p := golden(t, "past-intervals.bin"); len(p) > 0; n++ {
		size := binary.LittleEndian.Uint32(p)
		one := p[4 : 4+size]
		p = p[4+size:]
		d := wire.NewDecoder(one)
		pi := DecodePastIntervals(d)
		if err := d.Finish(); err != nil {
			t.Fatal(err)
		}
		var e wire.Encoder
		pi.Encode(&e)
		if !bytes.Equal(e.Bytes(), one) {
			t.Errorf("%s encodes differently", pi)
		}
	}
	if n < 10 {
		t.Errorf("only %d samples", n)
	}
}

// What is kept of intervals is what src/osd/osd_types.cc keeps in the cases of
// pi_compact_rep::generate_test_instances: the acting sets that no later,
// smaller one makes superfluous.
func TestAddInterval(t *testing.T) {
	in := func(first, last uint32, rw bool, acting ...int32) Interval {
		return Interval{First: first, Last: last, MaybeWentRW: rw, Acting: acting}
	}
	for _, c := range []struct {
		name    string
		erasure bool
		in      []Interval
		want    string
	}{
		{"erasure-coded: positions differ", true,
			[]Interval{in(10, 20, true, 0, 1, 2), in(21, 30, true, 1, 2), in(31, 35, false, 2), in(36, 50, true, 0, 2)},
			"([10,50] all_participants=0(0),1(0),1(1),2(0),2(1),2(2) intervals=([10,20] acting 0(0),1(1),2(2)),([21,30] acting 1(0),2(1)),([36,50] acting 0(0),2(1)))"},
		{"replicated: a subset supersedes", false,
			[]Interval{in(10, 20, true, 0, 1, 2), in(21, 30, true, 1, 2), in(31, 35, false, 2), in(36, 50, true, 0, 2)},
			"([10,50] all_participants=0,1,2 intervals=([21,30] acting 1,2),([36,50] acting 0,2))"},
		{"erasure-coded: the same again supersedes", true,
			[]Interval{in(10, 20, true, 2, 1, 0), in(21, 30, true, 0, 2), in(31, 35, true, 2, 0), in(36, 50, true, 0, 2)},
			"([10,50] all_participants=0(0),0(1),0(2),1(1),2(0),2(1) intervals=([10,20] acting 0(2),1(1),2(0)),([31,35] acting 0(1),2(0)),([36,50] acting 0(0),2(1)))"},
		{"holes are nobody", true, []Interval{in(5, 6, true, ItemNone, 3)}, "([5,6] all_participants=3(1) intervals=([5,6] acting 3(1)))"},
	} {
		var p PastIntervals
		for _, i := range c.in {
			if err := p.Add(c.erasure, i); err != nil {
				t.Fatal(err)
			}
		}
		if got := p.String(); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// Intervals are added in order only, and a clone does not follow.
func TestPastIntervalsCloneAndOrder(t *testing.T) {
	var p PastIntervals
	if !p.Empty() {
		t.Error("not empty at first")
	}
	if err := p.Add(false, Interval{First: 3, Last: 5, Acting: []int32{1}, MaybeWentRW: true}); err != nil {
		t.Fatal(err)
	}
	c := p.Clone()
	if err := c.Add(false, Interval{First: 6, Last: 9, Acting: []int32{2}, MaybeWentRW: true}); err != nil {
		t.Fatal(err)
	}
	if err := c.Add(false, Interval{First: 7, Last: 9}); err == nil {
		t.Error("an interval that ends where the last one did was added")
	}
	if first, end := p.Bounds(); first != 3 || end != 6 || len(p.Intervals) != 1 || p.Empty() {
		t.Errorf("changed by its clone: %s", p)
	}
	if got := c.MaybeRWBackTo(6); len(got) != 1 || got[0].First != 6 {
		t.Errorf("back to epoch 6: %v", got)
	}
	if got := c.MaybeRWBackTo(5); len(got) != 2 || got[1].First != 3 {
		t.Errorf("back to epoch 5: %v", got)
	}
}

// intervalMaps returns two equal maps of consecutive epochs with a pool of three
// copies in which OSDs 0 to 3 are up since epoch 10 and were alive in 20.
func intervalMaps(t *testing.T) (*Map, *Map) {
	t.Helper()
	old := newMap()
	old.Epoch = 29
	old.SetMaxOSD(4)
	for osd := range old.OSDState {
		old.OSDState[osd] = OSDExists | OSDUp
		old.OSDWeight[osd] = WeightIn
		old.OSDInfo[osd] = OSDInfo{UpFrom: 10, UpThru: 20}
	}
	addTestPool(old, 1, PoolReplicated, 8, 8, 3, 0, PoolFlagHashPSPool)
	cur := old.Clone()
	cur.Epoch = 30
	return old, cur
}

// Every change that may cost a PG its consistency begins a new interval, and no
// other does.
func TestIsNewInterval(t *testing.T) {
	pg := object.PGID{Pool: 1, Seed: 3}
	was := Mapping{Up: []int32{0, 1, 2}, Acting: []int32{0, 1, 2}}
	editPool := func(f func(p *Pool)) func(cur *Map, is *Mapping) {
		return func(cur *Map, _ *Mapping) {
			p := cur.Pools[1].Clone()
			f(p)
			cur.Pools[1] = p
		}
	}
	for _, c := range []struct {
		name string
		edit func(cur *Map, is *Mapping)
		want bool
	}{
		{"nothing", func(*Map, *Mapping) {}, false},
		{"an OSD's weight", func(cur *Map, _ *Mapping) { cur.OSDWeight[3] = 5 }, false},
		{"up", func(_ *Map, is *Mapping) { is.Up = []int32{0, 2, 1} }, true},
		{"acting", func(_ *Map, is *Mapping) { is.Acting = []int32{0, 1} }, true},
		{"primary", func(_ *Map, is *Mapping) { is.ActingPrimary = 1 }, true},
		{"up primary", func(_ *Map, is *Mapping) { is.UpPrimary = 1 }, true},
		{"size", editPool(func(p *Pool) { p.Size = 2 }), true},
		{"min_size", editPool(func(p *Pool) { p.MinSize = 1 }), true},
		{"quota", editPool(func(p *Pool) { p.QuotaMaxBytes = 1 }), false},
		{"split of this PG", editPool(func(p *Pool) { p.SetPGNum(12) }), true},
		{"split of others", editPool(func(p *Pool) { p.SetPGNum(10) }), false},
		{"merge of this PG away", editPool(func(p *Pool) { p.SetPGNum(3) }), true},
		{"pending merge into this PG", editPool(func(p *Pool) { p.PGNumPending = 7 }), true},
		{"pending merge of others", editPool(func(p *Pool) { p.PGNum, p.PGNumPending = 8, 8 }), false},
		{"sites", editPool(func(p *Pool) { p.PeeringCrushBucketCount = 2 }), true},
		{"recovery deletes", func(cur *Map, _ *Mapping) { cur.Flags ^= FlagRecoveryDeletes }, true},
		{"noout", func(cur *Map, _ *Mapping) { cur.Flags ^= FlagNoOut }, false},
		{"pool gone", func(cur *Map, _ *Mapping) { delete(cur.Pools, 1) }, true},
	} {
		old, cur := intervalMaps(t)
		is := Mapping{Up: slices.Clone(was.Up), Acting: slices.Clone(was.Acting)}
		c.edit(cur, &is)
		at := pg
		if c.name == "pending merge into this PG" {
			at.Seed = 3 // PG 7 goes into PG 3
		}
		if got := IsNewInterval(at, old, was, cur, is); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	old, cur := intervalMaps(t)
	delete(old.Pools, 1)
	if IsNewInterval(pg, old, was, cur, Mapping{}) {
		t.Error("a pool that was gone before changes no more")
	}
}

// An interval may have taken writes only if enough OSDs served and the primary
// had itself noted as alive in it, or if the PG was clean in it.
func TestClosedInterval(t *testing.T) {
	pg := object.PGID{Pool: 1, Seed: 3}
	three := Mapping{Up: []int32{0, 1, 2}, Acting: []int32{0, 1, 2}}
	all := func([]PGShard) bool { return true }
	for _, c := range []struct {
		name             string
		was              Mapping
		since, lastClean uint32
		readable         func([]PGShard) bool
		want             bool
	}{
		{"the primary was alive after it began", three, 15, 12, all, true},
		{"as it began", three, 20, 12, all, true},
		{"not alive since it began", three, 21, 12, all, false},
		{"not alive since, but clean in it", three, 21, 25, all, true},
		{"the primary came up only later", three, 9, 8, all, false},
		{"fewer than min_size", Mapping{Acting: []int32{0}}, 15, 12, all, false},
		{"holes do not count", Mapping{Acting: []int32{0, ItemNone, ItemNone}}, 15, 12, all, false},
		{"min_size", Mapping{Acting: []int32{0, 1}}, 15, 12, all, true},
		{"no primary", Mapping{Acting: []int32{0, 1, 2}, ActingPrimary: -1}, 15, 12, all, false},
		{"nobody", Mapping{ActingPrimary: -1}, 15, 12, all, false},
		{"too few shards", three, 15, 12, func([]PGShard) bool { return false }, false},
	} {
		old, cur := intervalMaps(t)
		i := ClosedInterval(pg, old, c.was, cur, c.since, c.lastClean, c.readable)
		if i.MaybeWentRW != c.want {
			t.Errorf("%s: %v", c.name, i.MaybeWentRW)
		}
		if i.First != c.since || i.Last != 29 || !slices.Equal(i.Acting, c.was.Acting) {
			t.Errorf("%s: %+v", c.name, i)
		}
	}
}

// Splits and merges agree with the plain definition: an object's hash leads to
// the PG, before and after.
func TestSplitsAgreeWithHashes(t *testing.T) {
	for from := uint32(1); from <= 20; from++ {
		for to := uint32(1); to <= 40; to++ {
			for seed := range from {
				pg := object.PGID{Pool: 5, Seed: seed}
				var want []object.PGID
				for child := from; child < to; child++ {
					if object.StableMod(child, from, object.MaskFor(from)) == seed {
						want = append(want, object.PGID{Pool: 5, Seed: child})
					}
				}
				if got := SplitChildren(pg, from, to); !slices.Equal(got, want) {
					t.Fatalf("%s from %d to %d: %v, want %v", pg, from, to, got, want)
				}
				if IsSplit(pg, from, to) != (len(want) > 0) {
					t.Fatalf("%s from %d to %d: IsSplit is wrong", pg, from, to)
				}
				if IsMergeSource(pg, from, to) {
					target := MergeTarget(pg, to)
					if want := object.StableMod(seed, to, object.MaskFor(to)); target.Seed != want || !IsMergeTarget(target, from, to) {
						t.Fatalf("%s from %d to %d goes into %s, want seed %x", pg, from, to, target, want)
					}
				}
			}
		}
	}
}
