package mon

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"sepiola/mon/pgmap"
	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pglog"
)

// healthMap is failureMap with a pool of as many PGs as there are states, and these
// PGs' reports.
func healthMap(t *testing.T, now time.Time, states ...pglog.State) *pgmap.Map {
	t.Helper()
	om := failureMap(t)
	p := osdmap.NewPool()
	p.Type, p.Size, p.MinSize, p.ObjectHash = osdmap.PoolReplicated, 3, 2, object.HashRjenkins
	p.SetPGNum(uint32(len(states)))
	p.PGNumTarget, p.PGPNum, p.PGPNumTarget = p.PGNum, p.PGNum, p.PGNum
	om.Pools[1], om.PoolNames[1] = p, "p"
	pgs := pgmap.New()
	pgs.SetMap(om, nil, now)
	for i, st := range states {
		s := pgs.PGs[object.PGID{Pool: 1, Seed: uint32(i)}]
		s.State, s.ReportedEpoch, s.Acting, s.Up = st, 2, []int32{0, 1}, []int32{0, 1}
		s.Stats.Sum.NumObjects, s.Stats.Sum.NumObjectCopies = 10, 30
	}
	return pgs
}

func sayHealth(checks map[string]check) string {
	var b strings.Builder
	for _, code := range slices.Sorted(maps.Keys(checks)) {
		c := checks[code]
		fmt.Fprintf(&b, "[%s] %s: %s (%d)\n", c.sev.short(), code, c.summary, c.count)
		for _, d := range c.detail {
			b.WriteString("    " + d + "\n")
		}
	}
	return b.String()
}

// The codes, words and counts for PGs in trouble, as Ceph has them; what may pass by
// itself counts once it is stuck.
func TestPGHealth(t *testing.T) {
	const clean = pglog.StateActive | pglog.StateClean
	now := time.Unix(2e9, 0)
	l := pgHealthLimits{Stuck: time.Minute, DetailMax: 50, Misplaced: true, ObjectSkew: 10, SkewObjects: 1000, SkewPoolCount: 100}
	states := []pglog.State{clean, pglog.StateActive | pglog.StateUndersized | pglog.StateDegraded, pglog.StateDown, pglog.StateIncomplete,
		pglog.StateActive | pglog.StateRecoveryUnfound | pglog.StateDegraded, pglog.StateActive | pglog.StateBackfillTooFull,
		pglog.StateActive | pglog.StateRecoveryTooFull, clean | pglog.StateInconsistent, clean | pglog.StateStale, pglog.StatePeering}
	pgs := healthMap(t, now, states...)
	sum := &pgs.PGs[object.PGID{Pool: 1, Seed: 4}].Stats.Sum
	sum.NumObjectsUnfound, sum.NumObjectsDegraded, sum.NumObjectsMisplaced, sum.NumScrubErrors = 2, 3, 6, 1
	check := func(what, want string) {
		t.Helper()
		if got := sayHealth(pgChecks(pgs, now, l)); got != want {
			t.Errorf("%s:\n%swant\n%s", what, got, want)
		}
	}
	soon := `[WRN] OBJECT_MISPLACED: 6/300 objects misplaced (2.000%) (6)
[WRN] OBJECT_UNFOUND: 2/100 objects unfound (2.000%) (2)
    pg 1.4 has 2 unfound objects
[ERR] OSD_SCRUB_ERRORS: 1 scrub errors (1)
`
	check("at once", soon+`[WRN] PG_AVAILABILITY: Reduced data availability: 1 pg down, 1 pg incomplete (2)
    pg 1.2 is down, acting [0,1]
    pg 1.3 is incomplete, acting [0,1] (reducing pool p min_size from 2 may help; search ceph.com/docs for 'incomplete')
[WRN] PG_BACKFILL_FULL: Low space hindering backfill (add storage if this doesn't resolve itself): 1 pg backfill_toofull (1)
    pg 1.5 is active+backfill_toofull, acting [0,1]
[ERR] PG_DAMAGED: Possible data damage: 1 pg recovery_unfound, 1 pg inconsistent (2)
    pg 1.4 is active+recovery_unfound+degraded, acting [0,1], 2 unfound
    pg 1.7 is active+clean+inconsistent, acting [0,1]
[WRN] PG_DEGRADED: Degraded data redundancy: 3/300 objects degraded (1.000%), 2 pgs degraded (2)
    pg 1.1 is active+undersized+degraded, acting [0,1]
    pg 1.4 is active+recovery_unfound+degraded, acting [0,1], 2 unfound
[ERR] PG_RECOVERY_FULL: Full OSDs blocking recovery: 1 pg recovery_toofull (1)
    pg 1.6 is active+recovery_toofull, acting [0,1]
`)
	now = now.Add(61 * time.Second)
	stuck := sayHealth(pgChecks(pgs, now, l))
	for _, want := range []string{
		"PG_AVAILABILITY: Reduced data availability: 3 pgs inactive, 1 pg down, 1 pg peering, 1 pg incomplete, 1 pg stale (7)\n",
		"    pg 1.2 is down, acting [0,1]\n",
		"    pg 1.8 is stuck stale for 61s, current state stale+active+clean, last acting [0,1]\n",
		"    pg 1.9 is stuck peering for 61s, current state peering, last acting [0,1]\n",
		"    pg 1.1 is stuck undersized for 61s, current state active+undersized+degraded, last acting [0,1]\n",
		"2 pgs degraded, 1 pg undersized (3)\n",
	} {
		if !strings.Contains(stuck, want) {
			t.Errorf("stuck:\n%swant in it\n%s", stuck, want)
		}
	}
}

// Details are bounded, the counts are not.
func TestHealthDetailIsBounded(t *testing.T) {
	now := time.Unix(2e9, 0)
	states := slices.Repeat([]pglog.State{pglog.StateDown}, 40)
	c := pgChecks(healthMap(t, now, states...), now, pgHealthLimits{Stuck: time.Minute, DetailMax: 5})["PG_AVAILABILITY"]
	if c.count != 40 || len(c.detail) != 6 {
		t.Errorf("%d PGs, %d lines", c.count, len(c.detail))
	}
}

// Pools whose PGs have fewer places than there are PGs, or far more objects than
// those of others, are named.
func TestPoolShapeHealth(t *testing.T) {
	now := time.Unix(2e9, 0)
	pgs := healthMap(t, now, slices.Repeat([]pglog.State{pglog.StateActive | pglog.StateClean}, 4)...)
	pgs.OSDMap.Pools[1].PGPNumTarget = 2
	for _, s := range pgs.PGs {
		s.Stats.Sum.NumObjects = 1000
	}
	pgs.OSDMap.Pools[2], pgs.OSDMap.PoolNames[2] = pgs.OSDMap.Pools[1].Clone(), "q"
	for seed := range uint32(96) {
		s := pglog.NewStats()
		s.State = pglog.StateActive | pglog.StateClean
		pgs.PGs[object.PGID{Pool: 2, Seed: seed}] = &s
	}
	pgs.OSDMap.Pools[2].SetPGNum(96)
	pgs.OSDMap.Pools[2].PGNumTarget, pgs.OSDMap.Pools[2].PGPNumTarget = 96, 96
	got := sayHealth(pgChecks(pgs, now, pgHealthLimits{Stuck: time.Minute, DetailMax: 5, ObjectSkew: 10, SkewObjects: 1000, SkewPoolCount: 1000}))
	if want := `[WRN] MANY_OBJECTS_PER_PG: 1 pools have many more objects per pg than average (1)
    pool p objects per pg (1000) is more than 25 times cluster average (40)
[WRN] SMALLER_PGP_NUM: 1 pools have pg_num > pgp_num (1)
    pool p pg_num 4 > pgp_num 2
`; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// Flags of OSDs, hosts and device classes are remembered, and whole hosts that are
// down are named while some of their OSDs are in.
func TestOSDHealth(t *testing.T) {
	om := failureMap(t)
	om.OSDState[2] |= osdmap.OSDNoDown | osdmap.OSDNoIn
	h1, _ := om.Crush.ItemID("h1")
	om.CrushNodeFlags[h1] = osdmap.OSDNoOut
	checks := map[string]check{}
	osdFlagHealth(om, checks)
	if got, want := sayHealth(checks), `[WRN] OSD_FLAGS: 2 OSDs or CRUSH {nodes, device-classes} have {NOUP,NODOWN,NOIN,NOOUT} flags set (2)
    osd.2 has flags nodown,noin
    host h1 has flags noout
`; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	om.OSDState[1] &^= osdmap.OSDUp
	if subtreeDown(om, h1) {
		t.Error("a host is down of which an OSD is up")
	}
	om.OSDState[2] &^= osdmap.OSDUp
	om.OSDWeight[2] = osdmap.WeightOut
	if !subtreeDown(om, h1) {
		t.Error("a host is not down, with one OSD in and down and one out and down")
	}
	om.OSDWeight[1] = osdmap.WeightOut
	if subtreeDown(om, h1) {
		t.Error("a host is down whose OSDs are all out")
	}
}

// One daemon, several, or more than can be named.
func TestSlowOpsWords(t *testing.T) {
	many := strings.Split(strings.Repeat("osd.1 ", 12), " ")[:12]
	for want, who := range map[string][]string{
		"3 slow ops, oldest one blocked for 40 sec, osd.1 has slow ops":                                               many[:1],
		"3 slow ops, oldest one blocked for 40 sec, daemons [osd.1,osd.1] have slow ops.":                             many[:2],
		"3 slow ops, oldest one blocked for 40 sec, daemons [" + strings.Join(many[:10], ",") + "]... have slow ops.": many,
	} {
		if got := slowOpsText(3, 40, who); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
