package pgmap

import (
	"testing"
	"time"

	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pglog"
)

// The steps of pg_num and pgp_num, case by case: PGs split only while all are
// active, and their places change only while nothing is amiss and little moves.
func TestAdjustPGs(t *testing.T) {
	const clean = pglog.StateActive | pglog.StateClean
	limits := AdjustLimits{CreatingMax: 1024, MisplacedRatio: 0.05}
	type numbers struct{ pg, pgTarget, pgp, pgpTarget uint32 }
	for what, tc := range map[string]struct {
		pool    numbers
		flags   uint64
		state   pglog.State // of PG 1.0; the others are clean
		objects int64       // of each PG
		sum     pglog.ObjectStatSum
		limits  AdjustLimits
		pg, pgp uint32
	}{
		"at the target":           {pool: numbers{64, 64, 64, 64}},
		"grows":                   {pool: numbers{64, 256, 64, 64}, pg: 256},
		"grows in steps":          {pool: numbers{64, 256, 64, 64}, limits: AdjustLimits{CreatingMax: 100, MisplacedRatio: 1}, pg: 164},
		"while degraded":          {pool: numbers{64, 256, 64, 64}, state: pglog.StateActive | pglog.StateDegraded, pg: 256},
		"below min_size":          {pool: numbers{64, 256, 64, 64}, state: pglog.StatePeered | pglog.StateUndersized, pg: 256},
		"one peers":               {pool: numbers{64, 256, 64, 64}, state: pglog.StatePeering},
		"the pool is being made":  {pool: numbers{64, 256, 64, 64}, flags: osdmap.PoolFlagCreating},
		"too many are being made": {pool: numbers{64, 256, 64, 64}, state: pglog.StateCreating, limits: AdjustLimits{CreatingMax: 1}},
		"never shrinks":           {pool: numbers{64, 32, 64, 64}},
		"places of an empty pool": {pool: numbers{64, 64, 16, 64}, pgp: 64},
		"places, a few at a time": {pool: numbers{64, 64, 16, 64}, objects: 10, pgp: 17},
		"places, of many PGs":     {pool: numbers{512, 512, 256, 512}, objects: 10, pgp: 268},
		"places back":             {pool: numbers{64, 64, 64, 16}, objects: 10, pgp: 63},
		"places back, empty":      {pool: numbers{64, 64, 64, 16}, pgp: 63},
		"places behind PGs":       {pool: numbers{64, 256, 64, 256}, pg: 256},
		"degraded":                {pool: numbers{64, 64, 16, 64}, objects: 10, sum: pglog.ObjectStatSum{NumObjectsDegraded: 1}},
		"misplaced":               {pool: numbers{64, 64, 16, 64}, objects: 10, sum: pglog.ObjectStatSum{NumObjectsMisplaced: 70}},
		"little misplaced":        {pool: numbers{64, 64, 16, 64}, objects: 10, sum: pglog.ObjectStatSum{NumObjectsMisplaced: 7}, pgp: 17},
		"inactive":                {pool: numbers{64, 64, 16, 64}, state: pglog.StatePeering},
		"aggressive":              {pool: numbers{64, 64, 16, 64}, state: pglog.StatePeering, objects: 10, limits: AdjustLimits{CreatingMax: 9, Aggressive: true}, pgp: 64},
	} {
		om := testMap(t, 1)
		p := om.Pools[1].Clone()
		p.SetPGNum(tc.pool.pg)
		p.PGNumTarget, p.PGPNum, p.PGPNumTarget, p.Flags = tc.pool.pgTarget, tc.pool.pgp, tc.pool.pgpTarget, tc.flags
		om.Pools[1] = p
		m := New()
		m.SetMap(om, nil, time.Unix(1e9, 0))
		for pg, s := range m.PGs {
			s.State = clean
			s.Stats.Sum.NumObjects, s.Stats.Sum.NumObjectCopies = tc.objects, 2*tc.objects
			if pg == (object.PGID{Pool: 1}) {
				if s.Stats.Sum.Add(&tc.sum); tc.state != 0 {
					s.State = tc.state
				}
			}
		}
		l := limits
		if tc.limits != (AdjustLimits{}) {
			l = tc.limits
		}
		var got Adjustment
		for _, a := range m.AdjustPGs(l) {
			got = a
		}
		if got.PGNum != tc.pg || got.PGPNum != tc.pgp {
			t.Errorf("%s: pg_num -> %d, pgp_num -> %d; want %d, %d", what, got.PGNum, got.PGPNum, tc.pg, tc.pgp)
		}
	}
}

// A PG that nobody has reported keeps its pool, and all pools' places, from being
// changed: after a split the next one waits for the children.
func TestAdjustWaitsForUnknownPGs(t *testing.T) {
	om := testMap(t, 1)
	p := om.Pools[1].Clone()
	p.PGNumTarget = 8
	om.Pools[1] = p
	m := New()
	m.SetMap(om, nil, time.Unix(1e9, 0))
	if got := m.AdjustPGs(AdjustLimits{CreatingMax: 1024, MisplacedRatio: 0.05}); got != nil {
		t.Errorf("with unknown PGs: %v", got)
	}
}
