package pgmap

import (
	"slices"
	"time"

	"sepiola/object"
	"sepiola/pglog"
)

// StopReport is what would become of PGs if some OSDs stopped
// (offline_pg_report in src/mgr/DaemonServer.h). The lists are ascending.
type StopReport struct {
	OSDs               []int32
	OK, NotOK, Unknown []object.PGID
	// Of OK: those that would have fewer copies, and fewer still.
	Degraded, MoreDegraded []object.PGID
	// Of NotOK, and why.
	NoPool, Inactive, BecomeInactive []object.PGID
}

// OKToStop reports whether clients of all PGs could go on.
func (r *StopReport) OKToStop() bool { return len(r.NotOK) == 0 && len(r.Unknown) == 0 }

// Stopping says what would become of PGs if the OSDs stopped
// (DaemonServer::_check_offlines_pgs).
func (m *Map) Stopping(osds []int32) StopReport {
	r := StopReport{OSDs: slices.Compact(slices.Sorted(slices.Values(osds)))}
	for _, pg := range m.IDs() {
		s := m.PGs[pg]
		if s.State == 0 {
			r.Unknown = append(r.Unknown, pg)
			continue
		}
		left, hit := whole(s, r.OSDs)
		if !hit {
			continue
		}
		ok := true
		if p := m.OSDMap.Pools[pg.Pool]; p == nil {
			r.NoPool, ok = append(r.NoPool, pg), false
		} else if left < int(p.MinSize) {
			r.BecomeInactive, ok = append(r.BecomeInactive, pg), false
		}
		if !s.State.Has(pglog.StateActive) {
			r.Inactive, ok = append(r.Inactive, pg), false
		}
		switch {
		case !ok:
			r.NotOK = append(r.NotOK, pg)
		case s.State.Has(pglog.StateDegraded):
			r.OK, r.MoreDegraded = append(r.OK, pg), append(r.MoreDegraded, pg)
		default:
			r.OK, r.Degraded = append(r.OK, pg), append(r.Degraded, pg)
		}
	}
	return r
}

// whole counts the members of a PG that lack nothing and are not among the OSDs,
// and says whether any of those is a member.
func whole(s *pglog.Stats, osds []int32) (left int, hit bool) {
	members := slices.Clone(s.Acting)
	if s.State.Has(pglog.StateDegraded) {
		members = nil
		for _, o := range s.AvailNoMissing {
			members = append(members, o.OSD)
		}
	}
	slices.Sort(members)
	for _, o := range slices.Compact(members) {
		switch {
		case slices.Contains(osds, o):
			hit = true
		case o != noOSD && o >= 0:
			left++
		}
	}
	return left, hit
}

// noOSD is CRUSH_ITEM_NONE: a place in an acting set that nobody has.
const noOSD = 0x7fffffff

// StoppingMost adds OSDs near the first of those given, up to most of them, as
// long as all can stop at once (DaemonServer::_maximize_ok_to_stop_set).
func (m *Map) StoppingMost(osds []int32, most int) StopReport {
	best := m.Stopping(osds)
	if !best.OKToStop() || len(best.OSDs) == 0 {
		return best
	}
	item := best.OSDs[0]
	for range m.OSDMap.Crush.Buckets { // no path is longer
		parent, ok := m.OSDMap.Crush.Parent(item)
		if !ok {
			break
		}
		refused := false
		for _, osd := range m.OSDMap.Crush.Leaves(parent) {
			if len(best.OSDs) >= most {
				return best
			}
			if !m.OSDMap.IsUp(osd) || slices.Contains(best.OSDs, osd) {
				continue
			}
			if r := m.Stopping(append(slices.Clone(best.OSDs), osd)); r.OKToStop() {
				best = r
			} else {
				refused = true
			}
		}
		if refused {
			break
		}
		item = parent
	}
	return best
}

// DestroyReport sorts OSDs by whether data would be lost if they were gone for
// good ("osd safe-to-destroy" in src/mgr/DaemonServer.cc).
type DestroyReport struct {
	Unknown int // PGs that nobody reported: then nothing else is said
	// Safe holds nothing that others lack; Active belongs to PGs; of NoStats
	// nothing is known, and not all PGs are clean; StoresPGs still has data, and
	// not all PGs are clean.
	Safe, Active, NoStats, StoresPGs []int32
	ActivePGs                        int // memberships of the active ones
}

// Destroying says what would be lost with the OSDs.
func (m *Map) Destroying(osds []int32) DestroyReport {
	var r DestroyReport
	const clean = pglog.StateActive | pglog.StateClean
	members, allClean := map[int32]int{}, true
	for _, s := range m.PGs {
		if s.State == 0 {
			r.Unknown++
		}
		allClean = allClean && s.State.Has(clean)
		on := map[int32]bool{}
		for _, o := range slices.Concat(s.Acting, s.Up) {
			on[o] = true
		}
		for o := range on {
			members[o]++
		}
	}
	if r.Unknown > 0 {
		return r
	}
	for _, osd := range slices.Compact(slices.Sorted(slices.Values(osds))) {
		stat := m.OSDs[osd]
		switch {
		case !m.OSDMap.Exists(osd):
			r.Safe = append(r.Safe, osd)
		case members[osd] > 0:
			r.Active, r.ActivePGs = append(r.Active, osd), r.ActivePGs+members[osd]
		case allClean:
			r.Safe = append(r.Safe, osd)
		case stat == nil || !m.OSDMap.IsUp(osd):
			r.NoStats = append(r.NoStats, osd)
		case stat.NumPGs > 0:
			r.StoresPGs = append(r.StoresPGs, osd)
		default:
			r.Safe = append(r.Safe, osd)
		}
	}
	return r
}

// BlockedBy counts, for each OSD that PGs wait for, how many do.
func (m *Map) BlockedBy() map[int32]int {
	out := map[int32]int{}
	for _, s := range m.PGs {
		for _, o := range s.BlockedBy {
			out[o]++
		}
	}
	return out
}

// stuckKinds are the names that "pg dump_stuck" knows.
var stuckKinds = map[string]struct {
	state  pglog.State
	absent bool // stuck without the state
	since  func(*pglog.Stats) time.Time
}{
	"inactive":   {pglog.StateActive, true, func(s *pglog.Stats) time.Time { return s.LastActive }},
	"unclean":    {pglog.StateClean, true, func(s *pglog.Stats) time.Time { return s.LastClean }},
	"degraded":   {pglog.StateDegraded, false, func(s *pglog.Stats) time.Time { return s.LastUndegraded }},
	"undersized": {pglog.StateUndersized, false, func(s *pglog.Stats) time.Time { return s.LastFullsized }},
	"stale":      {pglog.StateStale, false, func(s *pglog.Stats) time.Time { return s.LastUnstale }},
}

// IsStuckKind reports whether [Map.Stuck] knows the kind.
func IsStuckKind(kind string) bool { _, ok := stuckKinds[kind]; return ok }

// Stuck returns the PGs that have been inactive, unclean, degraded, undersized or
// stale, whichever of these is asked for, since before the cutoff, in order.
func (m *Map) Stuck(kinds []string, cutoff time.Time) []object.PGID {
	var out []object.PGID
	for _, pg := range m.IDs() {
		s := m.PGs[pg]
		if slices.ContainsFunc(kinds, func(name string) bool {
			k, ok := stuckKinds[name]
			return ok && s.State.Has(k.state) != k.absent && k.since(s).Before(cutoff)
		}) {
			out = append(out, pg)
		}
	}
	return out
}
