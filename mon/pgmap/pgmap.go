// Package pgmap sums up what OSDs report of their placement groups and
// themselves: states, object counts, space, and rates (PGMap and PGMapDigest in
// src/mon/PGMap.h of Ceph 16).
//
// The map is volatile: it is rebuilt from reports within seconds. A PG that
// nobody has reported is "unknown"; one whose last reporter is down is "stale".
//
// # Duties of the caller
//
// A [Map] is not safe for concurrent use, and has no clock: times are handed
// in. [Map.SetMap] must see each OSD map before the reports that belong to it.
package pgmap

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"sepiola/mon/state"
	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pglog"
)

// Map holds the newest reports.
type Map struct {
	Version uint64 // counts reports
	Stamp   time.Time
	OSDMap  *osdmap.Map

	PGs  map[object.PGID]*pglog.Stats
	OSDs map[int32]*pglog.OSDStat
	// pools holds what each OSD says its part of a pool takes.
	pools map[int64]map[int32]pglog.StoreStatfs

	history rates
}

// New returns an empty map.
func New() *Map {
	return &Map{PGs: map[object.PGID]*pglog.Stats{}, OSDs: map[int32]*pglog.OSDStat{},
		pools: map[int64]map[int32]pglog.StoreStatfs{}, history: newRates()}
}

// SetMap takes over a new OSD map: PGs that appeared are unknown, or creating;
// those of pools that are gone are forgotten; those whose primary went down are
// stale.
func (m *Map) SetMap(om *osdmap.Map, creating map[object.PGID]state.Creating, now time.Time) {
	if m.OSDMap == om {
		m.noteCreating(creating)
		return
	}
	m.OSDMap = om
	for id, p := range om.Pools {
		for seed := range p.PGNum {
			pg := object.PGID{Pool: id, Seed: seed}
			if m.PGs[pg] == nil {
				s := pglog.NewStats()
				s.LastFresh, s.LastChange, s.LastUnstale = now, now, now
				s.LastActive, s.LastPeered, s.LastClean = now, now, now
				s.LastUndegraded, s.LastFullsized = now, now
				m.PGs[pg] = &s
			}
		}
	}
	for pg, s := range m.PGs {
		p := om.Pools[pg.Pool]
		if p == nil || pg.Seed >= p.PGNum {
			delete(m.PGs, pg)
			continue
		}
		m.noteMapping(pg, s, now)
	}
	for id := range m.pools {
		if om.Pools[id] == nil {
			delete(m.pools, id)
		}
	}
	for osd := range m.OSDs {
		if !om.Exists(osd) || om.IsOut(osd) && !om.IsUp(osd) {
			m.forgetOSD(osd)
		}
	}
	m.history.keepPools(om.Pools)
	m.noteCreating(creating)
}

// noteMapping marks a PG stale whose reporter is gone, and gives one that nobody
// reported the mapping of the OSD map.
func (m *Map) noteMapping(pg object.PGID, s *pglog.Stats, now time.Time) {
	if s.ReportedEpoch == 0 {
		s.Up, s.UpPrimary, s.Acting, s.ActingPrimary = m.OSDMap.PGToUpActing(pg)
		return
	}
	p := s.ActingPrimary
	if p < 0 || s.State.Has(pglog.StateStale) {
		return
	}
	if m.OSDMap.IsUp(p) && m.OSDMap.Info(p).UpFrom <= s.ReportedEpoch {
		return
	}
	c := *s
	c.State |= pglog.StateStale
	c.LastUnstale, c.LastChange = now, now
	m.PGs[pg] = &c
}

// noteCreating keeps the creating state of PGs that nobody reported in step.
func (m *Map) noteCreating(creating map[object.PGID]state.Creating) {
	for pg, s := range m.PGs {
		if s.ReportedEpoch != 0 {
			continue
		}
		s.State = 0
		if c, ok := creating[pg]; ok {
			s.State, s.Created = pglog.StateCreating, c.Epoch
		}
	}
}

func (m *Map) forgetOSD(osd int32) {
	delete(m.OSDs, osd)
	for _, byOSD := range m.pools {
		delete(byOSD, osd)
	}
}

// Report takes an OSD's figures. Those of PGs it does not lead, and those older
// than what is known, are passed over.
func (m *Map) Report(osd int32, stat pglog.OSDStat, pgs []PGReport, pools map[int64]pglog.StoreStatfs, now time.Time) {
	m.Version++
	m.Stamp = now
	m.OSDs[osd] = &stat
	for i := range pgs {
		m.reportPG(osd, &pgs[i])
	}
	for id := range m.pools {
		if _, ok := pools[id]; !ok {
			delete(m.pools[id], osd)
		}
	}
	for id, s := range pools {
		if m.OSDMap == nil || m.OSDMap.Pools[id] == nil {
			continue
		}
		if m.pools[id] == nil {
			m.pools[id] = map[int32]pglog.StoreStatfs{}
		}
		m.pools[id][osd] = s
	}
	m.history.sample(m, now)
}

// PGReport is one PG's figures.
type PGReport struct {
	PG   object.PGID
	Stat pglog.Stats
}

func (m *Map) reportPG(osd int32, r *PGReport) {
	old, ok := m.PGs[r.PG]
	if !ok {
		return // its pool is gone, or not here yet: it will be reported again
	}
	if cmp.Or(cmp.Compare(r.Stat.ReportedEpoch, old.ReportedEpoch), cmp.Compare(r.Stat.ReportedSeq, old.ReportedSeq)) < 0 {
		return
	}
	if r.Stat.ActingPrimary >= 0 && r.Stat.ActingPrimary != osd {
		return
	}
	s := r.Stat
	keepStamps(&s, old)
	m.PGs[r.PG] = &s
}

// keepStamps fills in what a primary that has just taken over cannot know: when the
// PG was last in a state that it is not in now.
func keepStamps(s, old *pglog.Stats) {
	for _, p := range [][2]*time.Time{{&s.LastActive, &old.LastActive}, {&s.LastPeered, &old.LastPeered}, {&s.LastClean, &old.LastClean},
		{&s.LastUndegraded, &old.LastUndegraded}, {&s.LastFullsized, &old.LastFullsized},
		{&s.LastBecameActive, &old.LastBecameActive}, {&s.LastBecamePeered, &old.LastBecamePeered}} {
		if p[0].IsZero() {
			*p[0] = *p[1]
		}
	}
}

// Tick lets rates fade when reports cease.
func (m *Map) Tick(now time.Time) { m.history.sample(m, now) }

// IDs returns the PGs in order.
func (m *Map) IDs() []object.PGID {
	return slices.SortedFunc(maps.Keys(m.PGs), object.PGID.Compare)
}

// PoolIDs returns the pools of the OSD map in order.
func (m *Map) PoolIDs() []int64 {
	if m.OSDMap == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(m.OSDMap.Pools))
}

// Pool sums up a pool.
func (m *Map) Pool(id int64) pglog.PoolStat {
	return m.poolSums()[id]
}

// poolSums sums up all pools.
func (m *Map) poolSums() map[int64]pglog.PoolStat {
	sums := map[int64]*pglog.PoolStat{}
	for _, id := range m.PoolIDs() {
		sums[id] = &pglog.PoolStat{}
	}
	for pg, s := range m.PGs {
		if p := sums[pg.Pool]; p != nil {
			p.AddPG(s)
		}
	}
	out := make(map[int64]pglog.PoolStat, len(sums))
	for id, p := range sums {
		for _, s := range m.pools[id] {
			p.AddStore(&s)
		}
		out[id] = *p
	}
	return out
}

// Pools sums up all pools, by id.
func (m *Map) Pools() map[int64]pglog.PoolStat { return m.poolSums() }

// Total sums up all PGs.
func (m *Map) Total() pglog.PoolStat {
	var t pglog.PoolStat
	for _, s := range m.PGs {
		t.AddPG(s)
	}
	return t
}

// Space sums up what the OSDs have: all of them, or those that keep tells.
func (m *Map) Space(keep func(osd int32) bool) pglog.OSDStat {
	var t pglog.OSDStat
	for osd, s := range m.OSDs {
		if keep == nil || keep(osd) {
			t.Add(s)
		}
	}
	return t
}

// StateCount is how many PGs are in a state.
type StateCount struct {
	State pglog.State
	Count int
}

// States counts PGs by state, the most frequent first; pool -1 counts all.
func (m *Map) States(pool int64) []StateCount {
	counts := map[pglog.State]int{}
	for pg, s := range m.PGs {
		if pool < 0 || pg.Pool == pool {
			counts[s.State]++
		}
	}
	out := make([]StateCount, 0, len(counts))
	for s, n := range counts {
		out = append(out, StateCount{s, n})
	}
	slices.SortFunc(out, func(a, b StateCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(b.State, a.State))
	})
	return out
}

// PGsOn counts the PGs that have the OSD in their acting set.
func (m *Map) PGsOn(osd int32) int {
	n := 0
	for _, s := range m.PGs {
		if slices.Contains(s.Acting, osd) {
			n++
		}
	}
	return n
}

// Remapped counts PGs whose acting set is not where they belong.
func (m *Map) Remapped() int {
	n := 0
	for _, s := range m.PGs {
		if s.State.Has(pglog.StateRemapped) {
			n++
		}
	}
	return n
}

// PoolSpace is what a pool takes on an OSD.
type PoolSpace struct {
	Pool   int64
	OSD    int32
	Statfs pglog.StoreStatfs
}

// PoolSpace returns what each pool takes on each OSD, as the OSDs report it,
// sorted by pool and OSD.
func (m *Map) PoolSpace() []PoolSpace {
	var out []PoolSpace
	for _, pool := range slices.Sorted(maps.Keys(m.pools)) {
		for _, osd := range slices.Sorted(maps.Keys(m.pools[pool])) {
			out = append(out, PoolSpace{pool, osd, m.pools[pool][osd]})
		}
	}
	return out
}
