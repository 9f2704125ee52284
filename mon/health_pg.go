package mon

import (
	"fmt"
	"strings"
	"time"

	"sepiola/jsonfmt"
	"sepiola/mon/pgmap"
	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pglog"
)

// pgHealthLimits are the options that say what is worth a warning.
type pgHealthLimits struct {
	Stuck         time.Duration // mon_pg_stuck_threshold
	DetailMax     int           // mon_health_max_detail: lines of one check
	Misplaced     bool          // mon_warn_on_misplaced
	ObjectSkew    float64       // mon_pg_warn_max_object_skew
	SkewObjects   int64         // mon_pg_warn_min_objects
	SkewPoolCount int64         // mon_pg_warn_min_pool_objects
}

func (m *Monitor) pgHealthLimits() pgHealthLimits {
	o := m.opts
	return pgHealthLimits{
		Stuck: time.Duration(o.Int("mon_pg_stuck_threshold")) * time.Second, DetailMax: int(o.Int("mon_health_max_detail")),
		Misplaced: o.Bool("mon_warn_on_misplaced"), ObjectSkew: o.Float("mon_pg_warn_max_object_skew"),
		SkewObjects: o.Int("mon_pg_warn_min_objects"), SkewPoolCount: o.Int("mon_pg_warn_min_pool_objects"),
	}
}

// pgChecks says what is not well about PGs and what they hold
// (PGMap::get_health_checks).
func pgChecks(pgs *pgmap.Map, now time.Time, l pgHealthLimits) map[string]check {
	checks := map[string]check{}
	pgStateChecks(checks, pgs, now, l)
	sum := pgs.Total().Stats.Sum
	if n := sum.NumScrubErrors; n > 0 {
		checks["OSD_SCRUB_ERRORS"] = check{healthErr, fmt.Sprintf("%d scrub errors", n), n, nil}
	}
	for _, f := range recoveryFigures(&sum) {
		text := fmt.Sprintf("%d/%d objects %s (%.3f%%)", f.n, f.of, f.noun, float64(f.n)/float64(f.of)*100)
		switch {
		case f.noun == "misplaced" && l.Misplaced:
			checks["OBJECT_MISPLACED"] = check{healthWarn, text, f.n, nil}
		case f.noun == "unfound":
			checks["OBJECT_UNFOUND"] = check{healthWarn, text, f.n, unfoundDetail(pgs, l)}
		}
	}
	if pgs.OSDMap != nil {
		poolShapeChecks(checks, pgs, sum.NumObjects, l)
	}
	return checks
}

func unfoundDetail(pgs *pgmap.Map, l pgHealthLimits) []string {
	var out []string
	for _, pg := range pgs.IDs() {
		n := pgs.PGs[pg].Stats.Sum.NumObjectsUnfound
		if n == 0 {
			continue
		}
		out = append(out, fmt.Sprintf("pg %s has %d unfound objects", pg, n))
		if len(out) > l.DetailMax {
			return append(out, "(additional pgs left out for brevity)")
		}
	}
	return out
}

// poolShapeChecks looks for pools whose PGs are placed by fewer numbers than there
// are PGs, or hold many more objects than those of other pools.
func poolShapeChecks(checks map[string]check, pgs *pgmap.Map, objects int64, l pgHealthLimits) {
	var smaller, many []string
	sums := pgs.Pools()
	average := int64(0)
	if len(pgs.PGs) > 0 {
		average = objects / int64(len(pgs.PGs))
	}
	for _, id := range pgs.PoolIDs() {
		p, name := pgs.OSDMap.Pools[id], pgs.OSDMap.PoolNames[id]
		if p.PGNumTarget > p.PGPNumTarget {
			smaller = append(smaller, fmt.Sprintf("pool %s pg_num %d > pgp_num %d", name, p.PGNumTarget, p.PGPNumTarget))
		}
		n := sums[id].Stats.Sum.NumObjects
		if average <= 0 || l.ObjectSkew <= 0 || p.PGNumTarget == 0 || objects < l.SkewObjects || n < l.SkewPoolCount {
			continue
		}
		per := n / int64(p.PGNumTarget)
		if ratio := float64(float32(per) / float32(average)); ratio > l.ObjectSkew {
			many = append(many, fmt.Sprintf("pool %s objects per pg (%d) is more than %s times cluster average (%d)", name, per, jsonfmt.Float(ratio, 6), average))
		}
	}
	if n := len(smaller); n > 0 {
		checks["SMALLER_PGP_NUM"] = check{healthWarn, fmt.Sprintf("%d pools have pg_num > pgp_num", n), int64(n), smaller}
	}
	if n := len(many); n > 0 {
		checks["MANY_OBJECTS_PER_PG"] = check{healthWarn, fmt.Sprintf("%d pools have many more objects per pg than average", n), int64(n), many}
	}
}

// pgRule says what a PG's state means for a pool's users.
type pgRule struct {
	code   string
	state  pglog.State
	absent bool // the rule is about PGs without the state
	name   string
	since  func(*pglog.Stats) time.Time // nil: it counts at once
}

// pgRules are in the order of the states' bits.
var pgRules = []pgRule{
	{"PG_AVAILABILITY", pglog.StateActive, true, "inactive", func(s *pglog.Stats) time.Time { return s.LastActive }},
	{"PG_AVAILABILITY", pglog.StateDown, false, "down", nil},
	{"PG_DAMAGED", pglog.StateRecoveryUnfound, false, "recovery_unfound", nil},
	{"PG_DAMAGED", pglog.StateBackfillUnfound, false, "backfill_unfound", nil},
	{"PG_DEGRADED", pglog.StateDegraded, false, "degraded", nil},
	{"PG_DAMAGED", pglog.StateInconsistent, false, "inconsistent", nil},
	{"PG_AVAILABILITY", pglog.StatePeering, false, "peering", func(s *pglog.Stats) time.Time { return s.LastPeered }},
	{"PG_AVAILABILITY", pglog.StateIncomplete, false, "incomplete", nil},
	{"PG_AVAILABILITY", pglog.StateStale, false, "stale", func(s *pglog.Stats) time.Time { return s.LastUnstale }},
	{"PG_BACKFILL_FULL", pglog.StateBackfillTooFull, false, "backfill_toofull", nil},
	{"PG_DEGRADED", pglog.StateUndersized, false, "undersized", func(s *pglog.Stats) time.Time { return s.LastFullsized }},
	{"PG_RECOVERY_FULL", pglog.StateRecoveryTooFull, false, "recovery_toofull", nil},
	{"PG_DAMAGED", pglog.StateSnapTrimError, false, "snaptrim_error", nil},
}

var pgHeadings = map[string]struct {
	sev  severity
	text string
}{
	"PG_AVAILABILITY":  {healthWarn, "Reduced data availability: "},
	"PG_DEGRADED":      {healthWarn, "Degraded data redundancy: "},
	"PG_BACKFILL_FULL": {healthWarn, "Low space hindering backfill (add storage if this doesn't resolve itself): "},
	"PG_DAMAGED":       {healthErr, "Possible data damage: "},
	"PG_RECOVERY_FULL": {healthErr, "Full OSDs blocking recovery: "},
}

// pgFinding is what was found for one code: how many PGs by the rules' names, and
// a line for each PG, the last that applies to it.
type pgFinding struct {
	counts map[string]int
	pgs    []object.PGID
	lines  map[object.PGID]string
}

func pgStateChecks(checks map[string]check, pgs *pgmap.Map, now time.Time, l pgHealthLimits) {
	found := map[string]*pgFinding{}
	for _, pg := range pgs.IDs() {
		s := pgs.PGs[pg]
		for _, r := range pgRules {
			if s.State.Has(r.state) == r.absent || r.since != nil && !stuck(r.since(s), s, now.Add(-l.Stuck)) {
				continue
			}
			f := found[r.code]
			if f == nil {
				f = &pgFinding{counts: map[string]int{}, lines: map[object.PGID]string{}}
				found[r.code] = f
			}
			f.counts[r.name]++
			if len(f.lines) > l.DetailMax {
				continue
			}
			if _, ok := f.lines[pg]; !ok {
				f.pgs = append(f.pgs, pg)
			}
			f.lines[pg] = pgDetail(pg, s, r, now) + incompleteHint(pgs.OSDMap, pg, s)
		}
	}
	sum := pgs.Total().Stats.Sum
	for code, f := range found {
		h := pgHeadings[code]
		prefix := h.text
		if code == "PG_DEGRADED" && sum.NumObjectsDegraded > 0 && sum.NumObjectCopies > 0 {
			prefix += fmt.Sprintf("%d/%d objects degraded (%.3f%%), ", sum.NumObjectsDegraded, sum.NumObjectCopies,
				float64(sum.NumObjectsDegraded)/float64(sum.NumObjectCopies)*100)
		}
		text, total := f.summary(code)
		var detail []string
		for _, pg := range f.pgs {
			detail = append(detail, f.lines[pg])
		}
		checks[code] = check{h.sev, prefix + text, int64(total), detail}
	}
}

func (f *pgFinding) summary(code string) (text string, total int) {
	var parts []string
	for _, r := range pgRules {
		n := f.counts[r.name]
		if r.code != code || n == 0 {
			continue
		}
		unit := "pg"
		if n > 1 {
			unit = "pgs"
		}
		parts = append(parts, fmt.Sprintf("%d %s %s", n, unit, r.name))
		total += n
	}
	return strings.Join(parts, ", "), total
}

// stuck reports whether something has lasted since before the cutoff. A time that
// was never set is long ago, unless the PG's state still changes.
func stuck(since time.Time, s *pglog.Stats, cutoff time.Time) bool {
	if since.IsZero() {
		return s.LastChange.Before(cutoff)
	}
	return since.Before(cutoff)
}

func pgDetail(pg object.PGID, s *pglog.Stats, r pgRule, now time.Time) string {
	if r.since == nil {
		d := fmt.Sprintf("pg %s is %s, acting %s", pg, s.State, osdmap.OSDsString(s.Acting))
		if n := s.Stats.Sum.NumObjectsUnfound; n > 0 {
			d += fmt.Sprintf(", %d unfound", n)
		}
		return d
	}
	age := "since forever"
	if t := r.since(s); !t.IsZero() {
		age = "for " + jsonfmt.Timespan(now.Sub(t))
	}
	return fmt.Sprintf("pg %s is stuck %s %s, current state %s, last acting %s", pg, r.name, age, s.State, osdmap.OSDsString(s.Acting))
}

// incompleteHint tells what may bring an incomplete PG back.
func incompleteHint(om *osdmap.Map, pg object.PGID, s *pglog.Stats) string {
	if !s.State.Has(pglog.StateIncomplete) || om == nil {
		return ""
	}
	p := om.Pools[pg.Pool]
	if p == nil || p.MinSize <= 1 {
		return ""
	}
	return fmt.Sprintf(" (reducing pool %s min_size from %d may help; search ceph.com/docs for 'incomplete')", om.PoolNames[pg.Pool], p.MinSize)
}
