package mon

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"sepiola/entity"
	"sepiola/jsonfmt"
	"sepiola/osdmap"
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
	maps.Copy(checks, pgChecks(m.pgs, m.now(), m.pgHealthLimits()))
	if ops, oldest, who := m.slowOps(); ops > 0 {
		checks["SLOW_OPS"] = check{healthWarn, slowOpsText(ops, oldest, who), int64(ops), nil}
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
	osdFlagHealth(om, checks)
	m.ratioHealth(checks)
	exist, _, _ := om.Counts()
	if want := int(m.opts.Int("osd_pool_default_size")); exist < want {
		checks["TOO_FEW_OSDS"] = check{healthWarn, fmt.Sprintf("OSD count %d < osd_pool_default_size %d", exist, want), int64(want - exist), nil}
	}
}

// slowOpsText names the daemons whose operations take long, at most ten
// (SlowOps in src/mgr/DaemonHealthMetricCollector.cc).
func slowOpsText(ops, oldest uint32, who []string) string {
	daemons := fmt.Sprintf("daemons [%s] have slow ops.", strings.Join(who[:min(len(who), 10)], ","))
	switch {
	case len(who) == 1:
		daemons = who[0] + " has slow ops"
	case len(who) > 10:
		daemons = strings.Replace(daemons, "]", "]...", 1)
	}
	return fmt.Sprintf("%d slow ops, oldest one blocked for %d sec, %s", ops, oldest, daemons)
}

// osdFlagHealth reminds of noup and the like on OSDs, CRUSH nodes and device classes.
func osdFlagHealth(om *osdmap.Map, checks map[string]check) {
	const all = osdmap.OSDNoUp | osdmap.OSDNoDown | osdmap.OSDNoIn | osdmap.OSDNoOut
	var detail []string
	note := func(what string, flags uint32) {
		if flags&all != 0 {
			detail = append(detail, what+" has flags "+strings.Join(osdmap.StateNames(flags&all), ","))
		}
	}
	for osd := range om.MaxOSD {
		note(fmt.Sprintf("osd.%d", osd), om.OSDState[osd])
	}
	for _, id := range slices.Sorted(maps.Keys(om.CrushNodeFlags)) {
		kind := "osd"
		if b := om.Crush.Bucket(id); b != nil {
			kind = om.Crush.TypeName(int32(b.Type))
		}
		if name := om.Crush.ItemName(id); name != "" {
			note(kind+" "+name, om.CrushNodeFlags[id])
		}
	}
	for _, id := range slices.Sorted(maps.Keys(om.DeviceClassFlags)) {
		if name := om.Crush.ClassNames[id]; name != "" {
			note("device class '"+name+"'", om.DeviceClassFlags[id])
		}
	}
	if n := len(detail); n > 0 {
		checks["OSD_FLAGS"] = check{healthWarn, fmt.Sprintf("%d OSDs or CRUSH {nodes, device-classes} have {NOUP,NODOWN,NOIN,NOOUT} flags set", n), int64(n), detail}
	}
}

// ratioHealth reports fullness ratios that are not in order: OSDs take the higher
// one for each that is lower than the one before.
func (m *Monitor) ratioHealth(checks map[string]check) {
	om := m.machine.State.OSD
	names := []string{"nearfull_ratio", "backfillfull_ratio", "full_ratio", "osd_failsafe_full_ratio"}
	ratios := []float32{om.NearFullRatio, om.BackfillFullRatio, om.FullRatio, float32(m.opts.Float("osd_failsafe_full_ratio"))}
	var detail []string
	for i := 1; i < len(ratios); i++ {
		if ratios[i] < ratios[i-1] {
			detail = append(detail, fmt.Sprintf("%s (%s) < %s (%s), increased", names[i], jsonfmt.Float(float64(ratios[i]), 6),
				names[i-1], jsonfmt.Float(float64(ratios[i-1]), 6)))
			ratios[i] = ratios[i-1]
		}
	}
	if detail != nil {
		checks["OSD_OUT_OF_ORDER_FULL"] = check{healthErr, "full ratio(s) out of order", 0, detail}
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

// subtreeHealth reports buckets all of whose OSDs are down, some of them being in
// (OSD_HOST_DOWN).
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
			n := len(om.Crush.Leaves(b.ID))
			if !subtreeDown(om, b.ID) {
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

func subtreeDown(om *osdmap.Map, bucket int32) bool {
	leaves := om.Crush.Leaves(bucket)
	return !slices.ContainsFunc(leaves, om.IsUp) && slices.ContainsFunc(leaves, om.IsIn)
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
