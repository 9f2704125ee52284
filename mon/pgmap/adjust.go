package pgmap

import (
	"cmp"
	"slices"

	"sepiola/osdmap"
	"sepiola/pglog"
)

// Adjustment is one step of a pool's numbers towards their targets; 0 leaves a
// number as it is.
type Adjustment struct {
	Pool          int64
	PGNum, PGPNum uint32
}

// AdjustLimits bound the steps.
type AdjustLimits struct {
	CreatingMax    uint32  // mon_osd_max_creating_pgs: PGs on their way at any time
	MisplacedRatio float64 // target_max_misplaced_ratio, from 0 to 1
	Aggressive     bool    // mgr_debug_aggressive_pg_num_changes
}

// objectsPerPGForLeap is up to how many objects a PG may hold on average for
// pgp_num to go to its target at once (MAX_NUM_OBJECTS_PER_PG_FOR_LEAP).
const objectsPerPGForLeap = 1

// AdjustPGs returns the next step of pools whose pg_num or pgp_num is not what it
// is to become (DaemonServer::adjust_pgs in src/mgr/DaemonServer.cc of Ceph 16):
// pg_num grows while all PGs of the pool are active, so that there is one split at
// a time; pgp_num, which makes data move, follows while nothing is degraded and few
// enough objects are misplaced.
func (m *Map) AdjustPGs(l AdjustLimits) []Adjustment {
	health := m.shares()
	if m.OSDMap == nil || health.creatingOrUnknown >= l.CreatingMax {
		return nil
	}
	left := l.CreatingMax - health.creatingOrUnknown
	var out []Adjustment
	for _, id := range m.OSDMap.PoolIDs() {
		p, a := m.OSDMap.Pools[id], Adjustment{Pool: id}
		if p.PGNumTarget > p.PGNum && !p.HasFlag(osdmap.PoolFlagCreating) && m.allActive(id) {
			add := min(left, p.PGNumTarget-p.PGNum)
			a.PGNum, left = p.PGNum+add, left-add
		}
		a.PGPNum = m.nextPGPNum(id, p, health, l)
		if a.PGNum != 0 || a.PGPNum != 0 {
			out = append(out, a)
		}
		if left == 0 {
			break
		}
	}
	return out
}

// shares are the parts of the cluster's PGs and objects that are not as they
// should be (PGMapDigest::get_recovery_stats).
type shares struct {
	creatingOrUnknown  uint32
	unavailable        bool // some PGs are inactive or unknown
	misplaced, degrade float64
}

func (m *Map) shares() shares {
	var s shares
	for _, st := range m.PGs {
		if st.State == 0 || st.State.Has(pglog.StateCreating) {
			s.creatingOrUnknown++
		}
		if !st.State.Has(pglog.StateActive) {
			s.unavailable = true
		}
	}
	if sum := m.Total().Stats.Sum; sum.NumObjectCopies > 0 {
		s.misplaced = float64(max(sum.NumObjectsMisplaced, 0)) / float64(sum.NumObjectCopies)
		s.degrade = float64(max(sum.NumObjectsDegraded, 0)) / float64(sum.NumObjectCopies)
	}
	return s
}

// allActive reports whether each PG of the pool is active, or as near to it as
// the number of its members allows.
func (m *Map) allActive(pool int64) bool {
	n := uint32(0)
	for pg, s := range m.PGs {
		if pg.Pool != pool {
			continue
		}
		n++
		if s.State&(pglog.StateActive|pglog.StatePeered) == 0 {
			return false
		}
	}
	return n > 0
}

// nextPGPNum is what pgp_num shall be next; 0: stay.
func (m *Map) nextPGPNum(id int64, p *osdmap.Pool, h shares, l AdjustLimits) uint32 {
	target := min(p.PGNumPending, p.PGPNumTarget)
	switch {
	case target == p.PGPNum,
		target > p.PGPNum && p.PGPNum == p.PGNum, // first the PGs, then their places
		!l.Aggressive && (h.unavailable || h.degrade > 0 || h.misplaced > l.MisplacedRatio):
		return 0
	}
	objects := m.Pool(id).Stats.Sum.NumObjects
	if l.Aggressive || p.PGPNumTarget > p.PGPNum && objects <= objectsPerPGForLeap*int64(p.PGPNumTarget) {
		return target
	}
	// Objects are taken to be spread evenly. A step is at most half of what may be
	// misplaced, as that is an estimate.
	room := min(l.MisplacedRatio-h.misplaced, l.MisplacedRatio/2)
	step := max(uint32(float64(p.PGNum)*room), 1)
	next := clamp(target, p.PGPNum-min(step, p.PGPNum-1), p.PGPNum+step)
	if next == p.PGPNum {
		return 0
	}
	return next
}

func clamp[T cmp.Ordered](v, lo, hi T) T { return slices.Max([]T{lo, min(v, hi)}) }
