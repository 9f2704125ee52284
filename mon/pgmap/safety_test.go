package pgmap

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pglog"
)

const cleanState = pglog.StateActive | pglog.StateClean

// safetyMap has three OSDs under one root, and PGs of three copies, of which
// min_size is two, in these states; each has the acting set given for it.
func safetyMap(t *testing.T, states []pglog.State, acting ...[]int32) *Map {
	t.Helper()
	om := whyMap(t)
	p := om.Pools[1].Clone()
	p.SetPGNum(uint32(len(states)))
	om.Pools[1] = p
	m := New()
	m.SetMap(om, nil, time.Unix(2e9, 0))
	for i, st := range states {
		s := m.PGs[object.PGID{Pool: 1, Seed: uint32(i)}]
		s.State, s.ReportedEpoch, s.Up, s.Acting = st, 2, acting[i], acting[i]
	}
	for osd := range int32(3) {
		m.OSDs[osd] = &pglog.OSDStat{NumPGs: 1}
	}
	return m
}

// Which OSDs may stop: as long as each PG keeps min_size members that lack nothing.
func TestStopping(t *testing.T) {
	all, two := []int32{0, 1, 2}, []int32{0, 1}
	for what, tc := range map[string]struct {
		states  []pglog.State
		acting  [][]int32
		change  func(*Map)
		stop    []int32
		want    string // OK, NotOK, Unknown, Degraded, MoreDegraded, Inactive, BecomeInactive
		refused bool
	}{
		"one of three":        {states: []pglog.State{cleanState}, acting: [][]int32{all}, stop: []int32{0}, want: "[1.0] [] [] [1.0] [] [] []"},
		"two of three":        {states: []pglog.State{cleanState}, acting: [][]int32{all}, stop: []int32{2, 0, 2}, want: "[] [1.0] [] [] [] [] [1.0]", refused: true},
		"one of two":          {states: []pglog.State{cleanState | pglog.StateUndersized}, acting: [][]int32{two}, stop: []int32{0}, want: "[] [1.0] [] [] [] [] [1.0]", refused: true},
		"none of its members": {states: []pglog.State{cleanState}, acting: [][]int32{two}, stop: []int32{2}, want: "[] [] [] [] [] [] []"},
		"not even there":      {states: []pglog.State{cleanState}, acting: [][]int32{two}, stop: []int32{77}, want: "[] [] [] [] [] [] []"},
		"inactive already":    {states: []pglog.State{pglog.StatePeering}, acting: [][]int32{all}, stop: []int32{0}, want: "[] [1.0] [] [] [] [1.0] []", refused: true},
		"unknown":             {states: []pglog.State{0, cleanState}, acting: [][]int32{all, all}, stop: []int32{0}, want: "[1.1] [] [1.0] [1.1] [] [] []", refused: true},
		"a member that lacks objects does not count": {states: []pglog.State{pglog.StateActive | pglog.StateDegraded}, acting: [][]int32{all},
			change: whole2(0, 1), stop: []int32{0}, want: "[] [1.0] [] [] [] [] [1.0]", refused: true},
		"degraded, and the one that lacks objects stops": {states: []pglog.State{pglog.StateActive | pglog.StateDegraded}, acting: [][]int32{all},
			change: whole2(0, 1), stop: []int32{2}, want: "[] [] [] [] [] [] []"},
		"degraded, with one to spare": {states: []pglog.State{pglog.StateActive | pglog.StateDegraded}, acting: [][]int32{all},
			change: whole2(0, 1, 2), stop: []int32{2}, want: "[1.0] [] [] [] [1.0] [] []"},
	} {
		m := safetyMap(t, tc.states, tc.acting...)
		if tc.change != nil {
			tc.change(m)
		}
		r := m.Stopping(tc.stop)
		got := fmt.Sprint(r.OK, r.NotOK, r.Unknown, r.Degraded, r.MoreDegraded, r.Inactive, r.BecomeInactive)
		if got != tc.want || r.OKToStop() == tc.refused {
			t.Errorf("%s: %s, ok %v; want %s", what, got, r.OKToStop(), tc.want)
		}
	}
}

// whole2 says which members of PG 1.0 lack nothing.
func whole2(osds ...int32) func(*Map) {
	return func(m *Map) {
		for _, o := range osds {
			s := m.PGs[object.PGID{Pool: 1}]
			s.AvailNoMissing = append(s.AvailNoMissing, pglog.PGShard{OSD: o, Shard: object.NoShard})
		}
	}
}

// More OSDs of the neighbourhood may stop with those that are named, up to a number.
func TestStoppingMost(t *testing.T) {
	m := safetyMap(t, []pglog.State{cleanState}, []int32{0, 1, 2})
	p := m.OSDMap.Pools[1].Clone()
	p.MinSize = 1
	m.OSDMap.Pools[1] = p
	for most, want := range map[int][]int32{1: {1}, 2: {0, 1}, 3: {0, 1}} {
		if r := m.StoppingMost([]int32{1}, most); !slices.Equal(r.OSDs, want) || !r.OKToStop() {
			t.Errorf("at most %d: %v, want %v", most, r.OSDs, want)
		}
	}
}

// Which OSDs may be destroyed: those that no PG belongs to, if all PGs are clean or
// the OSD itself says that it has none.
func TestDestroying(t *testing.T) {
	degraded := pglog.StateActive | pglog.StateUndersized | pglog.StateDegraded
	for what, tc := range map[string]struct {
		state  pglog.State
		change func(*Map)
		want   string // Unknown, Safe, Active, ActivePGs, NoStats, StoresPGs of osd.0 and osd.2
	}{
		"all clean":             {cleanState, nil, "0 [2] [0] 1 [] []"},
		"it still stores PGs":   {degraded, nil, "0 [] [0] 1 [] [2]"},
		"it says it has none":   {degraded, func(m *Map) { m.OSDs[2].NumPGs = 0 }, "0 [2] [0] 1 [] []"},
		"it has said nothing":   {degraded, func(m *Map) { delete(m.OSDs, 2) }, "0 [] [0] 1 [2] []"},
		"it is down":            {degraded, func(m *Map) { m.OSDMap.OSDState[2] &^= osdmap.OSDUp }, "0 [] [0] 1 [2] []"},
		"down, but all clean":   {cleanState, func(m *Map) { m.OSDMap.OSDState[2] &^= osdmap.OSDUp }, "0 [2] [0] 1 [] []"},
		"it does not exist":     {degraded, func(m *Map) { m.OSDMap.OSDState[2] = 0 }, "0 [2] [0] 1 [] []"},
		"a PG moves to it":      {cleanState, func(m *Map) { m.PGs[object.PGID{Pool: 1}].Up = []int32{0, 2} }, "0 [] [0 2] 2 [] []"},
		"nothing is known of 1": {0, nil, "1 [] [] 0 [] []"},
	} {
		m := safetyMap(t, []pglog.State{tc.state}, []int32{0, 1})
		if tc.change != nil {
			tc.change(m)
		}
		r := m.Destroying([]int32{2, 0, 2})
		if got := fmt.Sprint(r.Unknown, r.Safe, r.Active, r.ActivePGs, r.NoStats, r.StoresPGs); got != tc.want {
			t.Errorf("%s: %s, want %s", what, got, tc.want)
		}
	}
}

// What counts as stuck, by kind and by how long; and who is waited for.
func TestStuckAndBlocked(t *testing.T) {
	now := time.Unix(2e9, 0)
	m := safetyMap(t, []pglog.State{cleanState, pglog.StateActive | pglog.StateUndersized | pglog.StateDegraded, pglog.StatePeering | pglog.StateStale},
		[]int32{0}, []int32{0}, []int32{0})
	m.PGs[object.PGID{Pool: 1, Seed: 2}].BlockedBy = []int32{2, 1}
	m.PGs[object.PGID{Pool: 1, Seed: 1}].BlockedBy = []int32{1}
	for kind, want := range map[string]string{"inactive": "[1.2]", "unclean": "[1.1 1.2]", "degraded": "[1.1]", "undersized": "[1.1]", "stale": "[1.2]", "other": "[]"} {
		if got := fmt.Sprint(m.Stuck([]string{kind}, now.Add(time.Second))); got != want {
			t.Errorf("%s: %s, want %s", kind, got, want)
		}
		if got := m.Stuck([]string{kind}, now); got != nil {
			t.Errorf("%s, as of when it began: %v", kind, got)
		}
	}
	if got := fmt.Sprint(m.Stuck([]string{"stale", "degraded"}, now.Add(time.Second))); got != "[1.1 1.2]" {
		t.Errorf("stale or degraded: %s", got)
	}
	if got := fmt.Sprint(m.BlockedBy()); got != "map[1:2 2:1]" {
		t.Errorf("blocked by %s", got)
	}
}
