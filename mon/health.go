package mon

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sepiola/entity"
	"sepiola/jsonfmt"
	"sepiola/osdmap"
	"sepiola/pglog"
)

// severity of a health check; the worse the higher.
type severity int

const (
	healthOK severity = iota
	healthWarn
	healthErr
)

func (s severity) String() string { return [...]string{"HEALTH_OK", "HEALTH_WARN", "HEALTH_ERR"}[s] }
func (s severity) short() string  { return [...]string{"OK", "WRN", "ERR"}[s] }

// check is one thing that is not well (health_check_t).
type check struct {
	sev     severity
	summary string
	count   int64
	detail  []string
}

// Health looks at the cluster as it is now. Codes and words are those of
// OSDMap::check_health and PGMap::get_health_checks.
func (m *Monitor) health() (severity, map[string]check) {
	checks := map[string]check{}
	m.osdHealth(checks)
	m.poolHealth(checks)
	m.pgHealth(checks)
	if ops, oldest, who := m.slowOps(); ops > 0 {
		checks["SLOW_OPS"] = check{healthWarn, fmt.Sprintf("%d slow ops, oldest one blocked for %d sec, daemons [%s] have slow ops.",
			ops, oldest, strings.Join(who, ",")), int64(ops), nil}
	}
	worst := healthOK
	for _, c := range checks {
		worst = max(worst, c.sev)
	}
	return worst, checks
}

// warnFlags are the map's flags that an operator should not forget.
const warnFlags = osdmap.FlagPauseRd | osdmap.FlagPauseWr | osdmap.FlagPauseRec | osdmap.FlagNoUp | osdmap.FlagNoDown |
	osdmap.FlagNoIn | osdmap.FlagNoOut | osdmap.FlagNoBackfill | osdmap.FlagNoRecover | osdmap.FlagNoScrub |
	osdmap.FlagNoDeepScrub | osdmap.FlagNoTierAgent | osdmap.FlagNoSnapTrim | osdmap.FlagNoRebalance

func (m *Monitor) osdHealth(checks map[string]check) {
	om := m.machine.State.OSD
	lists := map[string]*check{
		"OSD_DOWN":         {sev: healthWarn, summary: "osds down"},
		"OSD_ORPHAN":       {sev: healthWarn, summary: "osds exist in the crush map but not in the osdmap"},
		"OSD_FULL":         {sev: healthErr, summary: "full osd(s)"},
		"OSD_BACKFILLFULL": {sev: healthWarn, summary: "backfillfull osd(s)"},
		"OSD_NEARFULL":     {sev: healthWarn, summary: "nearfull osd(s)"},
	}
	note := func(code, format string, args ...any) {
		lists[code].detail = append(lists[code].detail, fmt.Sprintf(format, args...))
	}
	for osd := range max(om.MaxOSD, om.Crush.MaxDevices) {
		if !om.Exists(osd) {
			if om.Crush.ItemName(osd) != "" {
				note("OSD_ORPHAN", "osd.%d exists in crush map but not in osdmap", osd)
			}
			continue
		}
		state := om.OSDState[osd]
		if om.IsIn(osd) && state&osdmap.OSDNew == 0 && !om.IsUp(osd) {
			note("OSD_DOWN", "osd.%d (%s) is down", osd, orderedLocation(om, osd))
		}
		switch {
		case state&osdmap.OSDFull != 0:
			note("OSD_FULL", "osd.%d is full", osd)
		case state&osdmap.OSDBackfillFull != 0:
			note("OSD_BACKFILLFULL", "osd.%d is backfill full", osd)
		case state&osdmap.OSDNearFull != 0:
			note("OSD_NEARFULL", "osd.%d is near full", osd)
		}
	}
	for code, c := range lists {
		if n := len(c.detail); n > 0 {
			checks[code] = check{c.sev, fmt.Sprintf("%d %s", n, c.summary), int64(n), c.detail}
		}
	}
	m.subtreeHealth(checks)
	if flags := om.Flags & warnFlags; flags != 0 {
		s := osdmap.FlagString(flags)
		checks["OSDMAP_FLAGS"] = check{healthWarn, s + " flag(s) set", int64(len(s)), nil}
	}
	exist, _, _ := om.Counts()
	if want := int(m.opts.Int("osd_pool_default_size")); exist < want {
		checks["TOO_FEW_OSDS"] = check{healthWarn, fmt.Sprintf("OSD count %d < osd_pool_default_size %d", exist, want), int64(want - exist), nil}
	}
}

// orderedLocation is the place of an item from the top down: root=default,host=x.
func orderedLocation(om *osdmap.Map, item int32) string {
	loc := om.Crush.FullLocation(item)
	kinds := slices.Sorted(maps.Keys(om.Crush.TypeNames))
	slices.Reverse(kinds)
	var parts []string
	for _, k := range kinds {
		if name, ok := loc[om.Crush.TypeNames[k]]; ok {
			parts = append(parts, om.Crush.TypeNames[k]+"="+name)
		}
	}
	return strings.Join(parts, ",")
}

// subtreeHealth reports buckets all of whose OSDs are down (OSD_HOST_DOWN).
func (m *Monitor) subtreeHealth(checks map[string]check) {
	om := m.machine.State.OSD
	kinds := slices.Sorted(maps.Keys(om.Crush.TypeNames))
	top := kinds[len(kinds)-1]
	for _, kind := range kinds {
		if kind == 0 {
			continue
		}
		name := om.Crush.TypeNames[kind]
		osds := 0
		var detail []string
		for _, b := range om.Crush.Buckets {
			if b == nil || int32(b.Type) != kind || strings.Contains(om.Crush.ItemName(b.ID), "~") {
				continue
			}
			n, down := countDown(om, b.ID)
			if n == 0 || down < n {
				continue
			}
			osds += n
			place := ""
			if kind != top {
				place = " (" + orderedLocation(om, b.ID) + ")"
			}
			detail = append(detail, fmt.Sprintf("%s %s%s (%d osds) is down", name, om.Crush.ItemName(b.ID), place, n))
		}
		if len(detail) == 0 {
			continue
		}
		plural := ""
		if len(detail) > 1 {
			plural = "s"
		}
		checks["OSD_"+strings.ToUpper(name)+"_DOWN"] = check{healthWarn,
			fmt.Sprintf("%d %s%s (%d osds) down", len(detail), name, plural, osds), int64(len(detail)), detail}
	}
}

// countDown counts a bucket's OSDs that are in, and those of them that are down.
func countDown(om *osdmap.Map, bucket int32) (in, down int) {
	for _, osd := range om.Crush.Leaves(bucket) {
		if !om.IsIn(osd) {
			continue
		}
		in++
		if !om.IsUp(osd) {
			down++
		}
	}
	return in, down
}

func (m *Monitor) poolHealth(checks map[string]check) {
	om := m.machine.State.OSD
	pools := m.pgs.Pools()
	lists := map[string]*check{
		"POOL_FULL":                    {sev: healthWarn, summary: "pool(s) full"},
		"POOL_BACKFILLFULL":            {sev: healthWarn, summary: "pool(s) backfillfull"},
		"POOL_NEARFULL":                {sev: healthWarn, summary: "pool(s) nearfull"},
		"POOL_NO_REDUNDANCY":           {sev: healthWarn, summary: "pool(s) have no replicas configured"},
		"POOL_PG_NUM_NOT_POWER_OF_TWO": {sev: healthWarn, summary: "pool(s) have non-power-of-two pg_num"},
		"POOL_APP_NOT_ENABLED":         {sev: healthWarn, summary: "pool(s) do not have an application enabled"},
	}
	note := func(code, format string, args ...any) {
		lists[code].detail = append(lists[code].detail, fmt.Sprintf(format, args...))
	}
	for _, id := range om.PoolIDs() {
		p, name := om.Pools[id], om.PoolNames[id]
		switch {
		case p.HasFlag(osdmap.PoolFlagFullQuota):
			note("POOL_FULL", "pool '%s' is full (running out of quota)", name)
		case p.HasFlag(osdmap.PoolFlagFull):
			note("POOL_FULL", "pool '%s' is full (no space)", name)
		case p.HasFlag(osdmap.PoolFlagBackfillFull):
			note("POOL_BACKFILLFULL", "pool '%s' is backfillfull", name)
		case p.HasFlag(osdmap.PoolFlagNearFull):
			note("POOL_NEARFULL", "pool '%s' is nearfull", name)
		}
		if p.Size == 1 {
			note("POOL_NO_REDUNDANCY", "pool '%s' has no replicas configured", name)
		}
		if n := p.PGNumTarget; n&(n-1) != 0 {
			note("POOL_PG_NUM_NOT_POWER_OF_TWO", "pool '%s' pg_num %d is not a power of two", name, n)
		}
		if len(p.ApplicationMetadata) == 0 && m.opts.Bool("mon_warn_on_pool_no_app") && pools[id].Stats.Sum.NumObjects > 0 {
			note("POOL_APP_NOT_ENABLED", "application not enabled on pool '%s'", name)
		}
	}
	for code, c := range lists {
		if n := len(c.detail); n > 0 {
			checks[code] = check{c.sev, fmt.Sprintf("%d %s", n, c.summary), int64(n), c.detail}
		}
	}
	if c, ok := checks["POOL_APP_NOT_ENABLED"]; ok {
		c.detail = append(c.detail, "use 'ceph osd pool application enable <pool-name> <app-name>', where <app-name> is 'cephfs', 'rbd', 'rgw', or freeform for custom applications.")
		checks["POOL_APP_NOT_ENABLED"] = c
	}
	m.scrubFlagHealth(checks)
	m.pgCountHealth(checks)
}

// scrubFlagHealth reminds of pools that are not scrubbed, which is not an ailment.
func (m *Monitor) scrubFlagHealth(checks map[string]check) {
	om := m.machine.State.OSD
	flags := []struct {
		bit  uint64
		name string
	}{{osdmap.PoolFlagNoScrub, "noscrub"}, {osdmap.PoolFlagNoDeepScrub, "nodeep-scrub"}}
	var set, detail []string
	seen := uint64(0)
	for _, id := range om.PoolIDs() {
		for _, f := range flags {
			if om.Pools[id].HasFlag(f.bit) {
				detail = append(detail, fmt.Sprintf("Pool %s has %s flag", om.PoolNames[id], f.name))
				seen |= f.bit
			}
		}
	}
	for _, f := range flags {
		if seen&f.bit != 0 {
			set = append(set, f.name)
		}
	}
	if len(set) > 0 {
		checks["POOL_SCRUB_FLAGS"] = check{healthOK, "Some pool(s) have the " + strings.Join(set, ", ") + " flag(s) set", 0, detail}
	}
}

func (m *Monitor) pgCountHealth(checks map[string]check) {
	_, _, in := m.machine.State.OSD.Counts()
	if in == 0 || len(m.machine.State.OSD.Pools) == 0 {
		return
	}
	total := max(int(m.pgs.Total().Up), len(m.pgs.PGs))
	per := int64(total / in)
	if least := m.opts.Int("mon_pg_warn_min_per_osd"); least > 0 && per > 0 && per < least {
		checks["TOO_FEW_PGS"] = check{healthWarn, fmt.Sprintf("too few PGs per OSD (%d < min %d)", per, least), least - per, nil}
	}
	if most := m.opts.Int("mon_max_pg_per_osd"); per > most {
		checks["TOO_MANY_PGS"] = check{healthWarn, fmt.Sprintf("too many PGs per OSD (%d > max %d)", per, most), per - most, nil}
	}
}

// pgStuckAfter is how long a PG may be on its way before it counts as stuck
// (mon_pg_stuck_threshold).
const pgStuckAfter = 60 * time.Second

// maxHealthDetail bounds the lines of one check (mon_health_max_detail).
const maxHealthDetail = 50

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

func (m *Monitor) pgHealth(checks map[string]check) {
	counts := map[string]map[string]int{}
	details := map[string][]string{}
	now := m.now()
	for _, pg := range m.pgs.IDs() {
		s := m.pgs.PGs[pg]
		described := map[string]bool{}
		for _, r := range pgRules {
			if s.State.Has(r.state) == r.absent || r.since != nil && !stuck(r.since(s), s, now) {
				continue
			}
			if counts[r.code] == nil {
				counts[r.code] = map[string]int{}
			}
			counts[r.code][r.name]++
			if described[r.code] || len(details[r.code]) >= maxHealthDetail {
				continue
			}
			described[r.code] = true
			details[r.code] = append(details[r.code], pgDetail(pg.String(), s, r, now))
		}
	}
	for code, byName := range counts {
		h := pgHeadings[code]
		var parts []string
		total := 0
		for _, r := range pgRules {
			n := byName[r.name]
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
		prefix := h.text
		if code == "PG_DEGRADED" {
			if sum := m.pgs.Total().Stats.Sum; sum.NumObjectsDegraded > 0 && sum.NumObjectCopies > 0 {
				prefix += fmt.Sprintf("%d/%d objects degraded (%.3f%%), ", sum.NumObjectsDegraded, sum.NumObjectCopies,
					float64(sum.NumObjectsDegraded)/float64(sum.NumObjectCopies)*100)
			}
		}
		checks[code] = check{h.sev, prefix + strings.Join(parts, ", "), int64(total), details[code]}
	}
	if n := m.pgs.Total().Stats.Sum.NumScrubErrors; n > 0 {
		checks["OSD_SCRUB_ERRORS"] = check{healthErr, fmt.Sprintf("%d scrub errors", n), n, nil}
	}
}

func stuck(since time.Time, s *pglog.Stats, now time.Time) bool {
	cutoff := now.Add(-pgStuckAfter)
	if since.IsZero() {
		return s.LastChange.Before(cutoff)
	}
	return since.Before(cutoff)
}

func pgDetail(pg string, s *pglog.Stats, r pgRule, now time.Time) string {
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

// healthText is the plain form: a line, or with detail a paragraph.
func (m *Monitor) healthText(detail bool, sep1, sep2 string) string {
	sev, checks := m.health()
	codes := slices.Sorted(maps.Keys(checks))
	var parts []string
	for _, code := range codes {
		parts = append(parts, checks[code].summary)
	}
	s := sev.String()
	if len(parts) > 0 {
		s += sep1 + strings.Join(parts, sep2)
	}
	s += "\n"
	if !detail {
		return s
	}
	for _, code := range codes {
		c := checks[code]
		s += fmt.Sprintf("[%s] %s: %s\n", c.sev.short(), code, c.summary)
		for _, d := range c.detail {
			s += "    " + d + "\n"
		}
	}
	return s
}

func (m *Monitor) healthJSON(w *jsonfmt.Writer, name string, detail bool) {
	sev, checks := m.health()
	w.OpenObject(name)
	w.String("status", sev.String())
	w.OpenObject("checks")
	for _, code := range slices.Sorted(maps.Keys(checks)) {
		c := checks[code]
		w.OpenObject(code)
		w.String("severity", c.sev.String())
		w.OpenObject("summary")
		w.String("message", c.summary)
		w.Int("count", c.count)
		w.Close()
		if detail {
			w.OpenArray("detail")
			for _, d := range c.detail {
				w.OpenObject("")
				w.String("message", d)
				w.Close()
			}
			w.Close()
		}
		w.Bool("muted", false)
		w.Close()
	}
	w.Close()
	w.OpenArray("mutes")
	w.Close()
	w.Close()
}

func sortedEntities[V any](m map[entity.Name]V) []entity.Name {
	return slices.SortedFunc(maps.Keys(m), entity.Name.Compare)
}
