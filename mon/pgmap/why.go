package pgmap

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sepiola/jsonfmt"
	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pglog"
)

// Reason says in plain words why a PG is not clean.
type Reason struct {
	PG    object.PGID
	State pglog.State
	Rule  string  // which of the rules applied: stale, down, unfound, recovering, ...
	Why   string  // what it waits for
	Do    string  // what an operator can do; "" if there is nothing to do but wait
	OSDs  []int32 // those that it is about
}

// String is one line.
func (r Reason) String() string {
	s := fmt.Sprintf("pg %s is %s: %s", r.PG, r.State, r.Why)
	if r.Do != "" {
		s += "; " + r.Do
	}
	return s
}

// WhyLimits are the options on which the words depend.
type WhyLimits struct {
	DownOut time.Duration // mon_osd_down_out_interval; 0: never
}

// Why explains a PG from what its primary reported and from the OSD map. It is
// false for one that is clean and undamaged.
func Why(pg object.PGID, s *pglog.Stats, om *osdmap.Map, now time.Time, l WhyLimits) (Reason, bool) {
	p := om.Pools[pg.Pool]
	if p == nil {
		return Reason{}, false
	}
	c := &whyCase{s: s, om: om, pool: p, name: om.PoolNames[pg.Pool], now: now, limits: l}
	c.down = c.downMembers(pg)
	c.blockedBy = slices.Compact(slices.Sorted(slices.Values(s.BlockedBy)))
	for _, rule := range whyRules {
		if !rule.when(c) {
			continue
		}
		r := Reason{PG: pg, State: s.State, Rule: rule.name}
		r.Why, r.Do, r.OSDs = rule.say(c)
		r.Do = strings.ReplaceAll(r.Do, "PGID", pg.String())
		return r, true
	}
	return Reason{}, false
}

// Reasons explains all PGs that are not clean, in order.
func (m *Map) Reasons(now time.Time, l WhyLimits) []Reason {
	var out []Reason
	for _, pg := range m.IDs() {
		if r, ok := Why(pg, m.PGs[pg], m.OSDMap, now, l); ok {
			out = append(out, r)
		}
	}
	return out
}

// whyCase is a PG under examination.
type whyCase struct {
	s         *pglog.Stats
	om        *osdmap.Map
	pool      *osdmap.Pool
	name      string // of the pool
	now       time.Time
	limits    WhyLimits
	down      []int32 // OSDs that CRUSH gives the PG and that are down
	blockedBy []int32
}

func (c *whyCase) has(s pglog.State) bool { return c.s.State.Has(s) }
func (c *whyCase) any(s pglog.State) bool { return c.s.State&s != 0 }

// downMembers are the OSDs that would hold the PG if they were up.
func (c *whyCase) downMembers(pg object.PGID) []int32 {
	_, placed := c.om.PGToRawUpmap(pg)
	var out []int32
	for _, osd := range placed {
		if osd >= 0 && c.om.Exists(osd) && !c.om.IsUp(osd) {
			out = append(out, osd)
		}
	}
	return out
}

// anyDown are all OSDs that are down, which may hold what is nowhere else.
func (c *whyCase) anyDown() []int32 {
	return slices.DeleteFunc(c.om.OSDs(), c.om.IsUp)
}

// rule is the name of the CRUSH rule that places the PG.
func (c *whyCase) rule() string { return c.om.Crush.RuleName(int(c.pool.CrushRule)) }

// names lists OSDs, those that are down with for how long: "osd.1 (down for 3m)".
func (c *whyCase) names(osds []int32) string {
	parts := make([]string, len(osds))
	for i, osd := range osds {
		parts[i] = fmt.Sprintf("osd.%d", osd)
		switch {
		case !c.om.Exists(osd):
			parts[i] += " (removed)"
		case !c.om.IsUp(osd):
			parts[i] += " (" + c.downFor(osd) + ")"
		}
	}
	return strings.Join(parts, ", ")
}

func (c *whyCase) downFor(osd int32) string {
	if t := c.om.OSDXInfo[osd].DownStamp; !t.IsZero() {
		return "down for " + jsonfmt.Timespan(c.now.Sub(t).Truncate(time.Second))
	}
	return "never up"
}

// ids lists OSDs as commands take them.
func ids(osds []int32) string {
	parts := make([]string, len(osds))
	for i, osd := range osds {
		parts[i] = fmt.Sprintf("osd.%d", osd)
	}
	return strings.Join(parts, " ")
}

// members are who acts for the PG, without holes.
func (c *whyCase) members() []int32 {
	return slices.DeleteFunc(slices.Clone(c.s.Acting), func(o int32) bool { return o < 0 || o == noOSD })
}

// targets are those that are to get the PG and do not act for it.
func (c *whyCase) targets() []int32 {
	return slices.DeleteFunc(slices.Clone(c.s.Up), func(o int32) bool {
		return o < 0 || o == noOSD || slices.Contains(c.s.Acting, o)
	})
}

// lack says how many copies there are of how many, and whose fault it is.
func (c *whyCase) lack() string {
	text := fmt.Sprintf("it has %d of %d copies", len(c.members()), c.pool.Size)
	if len(c.down) > 0 {
		text += " without " + c.names(c.down)
	}
	return text
}

// replace says what to do about copies that are missing: start the OSDs that are
// down, or wait until others take over, or make room for more.
func (c *whyCase) replace() string {
	if len(c.down) == 0 {
		return fmt.Sprintf("CRUSH rule '%s' of pool '%s' finds no further OSD that is up and in: start, add or take in OSDs, or lower the pool's size", c.rule(), c.name)
	}
	do := "start " + ids(c.down)
	osd := c.down[0]
	left := c.limits.DownOut - c.now.Sub(c.om.OSDXInfo[osd].DownStamp)
	switch {
	case c.om.Restrictions(osd)&osdmap.OSDNoOut != 0:
		return do + "; no others take over, as the flag noout is set"
	case c.limits.DownOut <= 0:
		return do + ", or mark out what does not come back with 'ceph osd out'"
	case left > 0:
		return do + ", or others take over in " + jsonfmt.Timespan(left.Truncate(time.Second))
	}
	return do + ", or mark out what does not come back with 'ceph osd out'"
}

// flag returns the first of the flags that is set, with its name.
func (c *whyCase) flag(flags ...uint32) string {
	for _, f := range flags {
		if c.om.TestFlag(f) {
			return osdmap.FlagString(f)
		}
	}
	return ""
}

func count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
