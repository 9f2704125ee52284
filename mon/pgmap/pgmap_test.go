package pgmap

import (
	"net/netip"
	"testing"
	"time"

	"sepiola/crush"
	"sepiola/entity"
	"sepiola/mon/state"
	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pglog"
)

// testMap is a map with n OSDs that are up, and a pool of four PGs of size 1.
func testMap(t *testing.T, n int32) *osdmap.Map {
	t.Helper()
	om := osdmap.New(entity.UUID{1}, 1, time.Unix(1e9, 0), crush.NewDefault())
	inc := osdmap.NewIncremental(entity.UUID{1}, 2)
	inc.NewMaxOSD = n
	for osd := range n {
		at := entity.AddrVec{entity.Msgr2(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(6800+osd)))}
		inc.NewState[osd] = osdmap.OSDExists
		inc.NewUpClient[osd], inc.NewHBBackUp[osd], inc.NewHBFrontUp[osd] = at, at, at
		inc.NewWeight[osd] = osdmap.WeightIn
	}
	p := osdmap.NewPool()
	p.Type, p.Size, p.MinSize, p.ObjectHash = osdmap.PoolReplicated, 1, 1, object.HashRjenkins
	p.SetPGNum(4)
	p.PGNumTarget, p.PGPNum, p.PGPNumTarget = 4, 4, 4
	inc.NewPools[1], inc.NewPoolNames[1], inc.NewPoolMax = p, "p", 1
	if err := om.Apply(inc); err != nil {
		t.Fatal(err)
	}
	return om
}

func report(pg uint32, osd int32, epoch uint32, st pglog.State, writes, kb int64) PGReport {
	s := pglog.NewStats()
	s.ReportedEpoch, s.ReportedSeq, s.State = epoch, uint64(writes), st
	s.Up, s.Acting, s.UpPrimary, s.ActingPrimary = []int32{osd}, []int32{osd}, osd, osd
	s.Stats.Sum.NumWr, s.Stats.Sum.NumWrKB, s.Stats.Sum.NumBytes = writes, kb, kb<<10
	return PGReport{object.PGID{Pool: 1, Seed: pg}, s}
}

// What a PG's primary told of the past is not lost with it: the next one knows only
// what it saw itself, and "stuck since forever" would be wrong.
func TestStampsOutliveThePrimary(t *testing.T) {
	now := time.Unix(2e9, 0)
	m := New()
	m.SetMap(testMap(t, 2), nil, now)
	first := report(0, 0, 2, pglog.StateActive|pglog.StateClean, 1, 0)
	first.Stat.LastFullsized, first.Stat.LastActive = now, now
	second := report(0, 1, 3, pglog.StateActive|pglog.StateUndersized, 1, 0)
	second.Stat.LastActive = now.Add(time.Minute)
	m.Report(0, pglog.OSDStat{}, []PGReport{first}, nil, now)
	m.Report(1, pglog.OSDStat{}, []PGReport{second}, nil, now)
	s := m.PGs[object.PGID{Pool: 1}]
	if !s.LastFullsized.Equal(now) || !s.LastActive.Equal(now.Add(time.Minute)) || !s.State.Has(pglog.StateUndersized) {
		t.Errorf("last of full size %v, last active %v", s.LastFullsized, s.LastActive)
	}
}

// PGs go from unknown over creating to what is reported, and to stale when the
// reporter is gone; a pool's PGs leave with it.
func TestStates(t *testing.T) {
	now := time.Unix(2e9, 0)
	om := testMap(t, 2)
	m := New()
	check := func(what string, want ...string) {
		t.Helper()
		got := m.States(-1)
		if len(got) != len(want) {
			t.Fatalf("%s: %v, want %v", what, got, want)
		}
		for i, w := range want {
			if got[i].State.String() != w {
				t.Errorf("%s: %v, want %v", what, got, want)
			}
		}
	}
	m.SetMap(om, nil, now)
	check("at first", "unknown")
	m.SetMap(om, map[object.PGID]state.Creating{{Pool: 1, Seed: 0}: {Epoch: 2}}, now)
	check("creating", "unknown", "creating")
	clean := pglog.StateActive | pglog.StateClean
	m.Report(0, pglog.OSDStat{NumOSDs: 1}, []PGReport{report(0, 0, 2, clean, 1, 1), report(1, 0, 2, clean, 1, 1), report(2, 0, 2, clean, 1, 1)}, nil, now)
	m.Report(1, pglog.OSDStat{NumOSDs: 1}, []PGReport{report(3, 1, 2, clean, 1, 1), report(0, 0, 2, pglog.StatePeering, 9, 9)}, nil, now)
	check("reported", "active+clean")
	down := om.Clone()
	down.Epoch = 3
	down.OSDState[1] &^= osdmap.OSDUp
	m.SetMap(down, nil, now)
	check("osd.1 down", "active+clean", "stale+active+clean")
	gone := down.Clone()
	delete(gone.Pools, 1)
	m.SetMap(gone, nil, now)
	check("pool removed")
	if s := m.Space(nil); s.NumOSDs != 2 {
		t.Errorf("%d OSDs report space", s.NumOSDs)
	}
}

// An older report does not undo a newer one, whatever order they come in.
func TestOldReportsAreIgnored(t *testing.T) {
	now := time.Unix(2e9, 0)
	m := New()
	m.SetMap(testMap(t, 1), nil, now)
	m.Report(0, pglog.OSDStat{}, []PGReport{report(0, 0, 5, pglog.StateActive, 7, 7)}, nil, now)
	m.Report(0, pglog.OSDStat{}, []PGReport{report(0, 0, 4, pglog.StatePeering, 9, 9)}, nil, now)
	m.Report(0, pglog.OSDStat{}, []PGReport{report(0, 0, 5, pglog.StatePeering, 6, 6)}, nil, now)
	if s := m.PGs[object.PGID{Pool: 1}]; s.State != pglog.StateActive || s.Stats.Sum.NumWr != 7 {
		t.Errorf("%v after %d writes", s.State, s.Stats.Sum.NumWr)
	}
}

// Rates are measured over the last seconds, and fade when nothing happens.
func TestRates(t *testing.T) {
	now := time.Unix(2e9, 0)
	m := New()
	m.SetMap(testMap(t, 1), nil, now)
	for i := range 5 {
		n := int64(i)
		m.Report(0, pglog.OSDStat{}, []PGReport{report(0, 0, 2, pglog.StateActive, 100*n*5, 400*n*5)}, nil, now.Add(time.Duration(i)*5*time.Second))
	}
	for _, pool := range []int64{1, -1} {
		if r := m.Rate(pool); r.WriteOps != 100 || r.WriteBytes != 400<<10 || r.ReadOps != 0 {
			t.Errorf("pool %d: %+v, want 100 writes and 400 KiB a second", pool, r)
		}
	}
	for i := range 10 {
		m.Tick(now.Add(time.Duration(20+5*i) * time.Second))
	}
	if r := m.Rate(1); r != (Rate{}) {
		t.Errorf("long after: %+v", r)
	}
	m.Report(0, pglog.OSDStat{}, []PGReport{report(0, 0, 3, pglog.StateActive, 1, 1)}, nil, now.Add(time.Hour))
	if r := m.Rate(1); r != (Rate{}) {
		t.Errorf("counters that went back: %+v", r)
	}
}
