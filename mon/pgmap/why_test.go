package pgmap

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sepiola/crush"
	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pglog"
)

// whyMap is a map of three OSDs on which every PG of pool p, of three copies, is.
func whyMap(t *testing.T) *osdmap.Map {
	t.Helper()
	om := testMap(t, 3)
	for osd := range int32(3) {
		if err := om.Crush.InsertItem(osd, 1, fmt.Sprintf("osd.%d", osd), map[string]string{"root": "default"}); err != nil {
			t.Fatal(err)
		}
	}
	rule, err := om.Crush.AddSimpleRule("r", "default", "osd", "", "firstn", crush.RuleReplicated)
	if err != nil {
		t.Fatal(err)
	}
	p := om.Pools[1].Clone()
	p.CrushRule, p.Size, p.MinSize = uint8(rule), 3, 2
	om.Pools[1] = p
	return om
}

// whyRow is a state of PG 1.0 and what is said of it; rule "" is a PG that is well.
type whyRow struct {
	state  string
	down   []int32 // OSDs that went down three minutes ago
	change func(*pglog.Stats, *osdmap.Map)
	rule   string
	why    string
	do     string
}

var whyRows = []whyRow{
	{state: "active+clean"},
	{state: "active+clean+scrubbing+deep"},
	{state: "active+clean+snaptrim"},
	{state: "", rule: "unknown", why: "its primary osd.1 has not reported it yet", do: "look at the log of osd.1"},
	{state: "", change: homeless, rule: "homeless", why: "CRUSH rule 'r' of pool 'p' finds no OSD that is in", do: "'ceph osd in'"},
	{state: "stale+active+clean", change: homeless, down: []int32{0, 1, 2}, rule: "homeless",
		why: "all OSDs that it belongs on are down: osd.", do: "start osd."},
	{state: "stale+active+clean", down: []int32{1}, rule: "stale", why: "nobody has reported it since osd.1 (down for 3m) did", do: "start osd.1 osd.0 osd.2"},
	{state: "creating+peering", rule: "creating", why: "it is being made by osd.1, osd.0, osd.2"},
	{state: "creating+activating", rule: "creating", why: "it is being made by"},
	{state: "down", down: []int32{2}, change: blocked(2), rule: "down", why: "writes may have been acknowledged that only osd.2 (down for 3m) can have",
		do: "start osd.2; only if it is lost for good: 'ceph osd lost"},
	{state: "incomplete", change: blocked(7), rule: "incomplete", why: "none of the copies that can be reached is complete",
		do: "(osd.7 (removed)), or lower min_size of pool 'p' below 2"},
	{state: "peering", change: blocked(0), rule: "peering, blocked", why: "its primary waits for an answer of osd.0", do: "log of osd.0"},
	{state: "peering", rule: "peering", why: "its OSDs are comparing what they have", do: "'ceph pg 1.0 query'"},
	{state: "activating+undersized+degraded", down: []int32{2}, rule: "peering", why: "its OSDs are comparing"},
	{state: "active+clean+wait", rule: "wait", why: "its lease has to run out first"},
	{state: "active+clean+laggy", rule: "laggy", why: "its lease is not being renewed by osd.1, osd.0, osd.2", do: "network"},
	{state: "active+recovery_unfound+degraded", down: []int32{2}, change: func(s *pglog.Stats, _ *osdmap.Map) { s.Stats.Sum.NumObjectsUnfound = 1 },
		rule: "unfound", why: "the newest version of 1 object is on no OSD that can be reached",
		do: "start osd.2 (down for 3m), where they may be; name them with 'ceph pg 1.0 list_unfound'; give them up with 'ceph pg 1.0 mark_unfound_lost"},
	{state: "active+backfill_unfound+undersized+degraded+remapped", change: func(s *pglog.Stats, _ *osdmap.Map) { s.Stats.Sum.NumObjectsUnfound = 12 },
		rule: "unfound", why: "12 objects", do: "name them"},
	{state: "undersized+degraded+peered", down: []int32{0, 2}, change: acting(1), rule: "inactive",
		why: "it has 1 of 3 copies without osd.", do: "or others take over in 7m"},
	{state: "active+recovery_toofull+degraded", change: func(_ *pglog.Stats, m *osdmap.Map) { m.OSDState[0] |= osdmap.OSDFull },
		rule: "full", why: "no room for more, beyond the full-ratio of 0.95: osd.0", do: "'ceph osd set-full-ratio'"},
	{state: "active+backfill_toofull+remapped", change: func(_ *pglog.Stats, m *osdmap.Map) { m.OSDState[2] |= osdmap.OSDBackfillFull },
		rule: "full", why: "no room for more, beyond the backfillfull-ratio of 0.90: osd.2", do: "add OSDs"},
	{state: "active+recovery_wait+degraded", change: flagged(osdmap.FlagNoRecover), rule: "held back", why: "the flag norecover is set", do: "'ceph osd unset norecover'"},
	{state: "active+backfill_wait+remapped", change: flagged(osdmap.FlagNoBackfill), rule: "held back", why: "the flag nobackfill is set", do: "'ceph osd unset nobackfill'"},
	{state: "active+backfill_wait+remapped", change: flagged(osdmap.FlagNoRebalance), rule: "held back", why: "the flag norebalance is set"},
	{state: "active+backfill_wait+remapped+degraded", change: flagged(osdmap.FlagNoRebalance), rule: "waiting its turn", why: "backfill of other PGs"},
	{state: "active+recovering+degraded", change: func(s *pglog.Stats, _ *osdmap.Map) { s.Stats.Sum.NumObjectsDegraded = 3 },
		rule: "recovering", why: "3 copies of its objects still to be recovered"},
	{state: "active+remapped+backfilling", change: func(s *pglog.Stats, m *osdmap.Map) {
		s.Stats.Sum.NumObjectsMisplaced = 1
		acting(1, 0)(s, m)
		s.Up = []int32{1, 0, 2}
	}, rule: "backfilling", why: "1 copy of its objects still to be copied to osd.2"},
	{state: "active+recovery_wait", rule: "waiting its turn", why: "recovery of other PGs", do: "'ceph pg force-recovery 1.0'"},
	{state: "active+backfill_wait+remapped", rule: "waiting its turn", why: "backfill of other PGs", do: "'ceph pg force-backfill 1.0'"},
	{state: "active+undersized+degraded", down: []int32{2}, change: acting(1, 0), rule: "undersized",
		why: "it has 2 of 3 copies without osd.2 (down for 3m)", do: "start osd.2, or others take over in 7m"},
	{state: "active+undersized+degraded", down: []int32{2}, change: func(s *pglog.Stats, m *osdmap.Map) { acting(1, 0)(s, m); flagged(osdmap.FlagNoOut)(s, m) },
		rule: "undersized", why: "it has 2 of 3 copies", do: "start osd.2; no others take over, as the flag noout is set"},
	{state: "active+undersized", change: func(s *pglog.Stats, m *osdmap.Map) { acting(1, 0)(s, m); m.OSDWeight[2] = 0 },
		rule: "undersized", why: "it has 2 of 3 copies", do: "finds no further OSD that is up and in"},
	{state: "active+degraded", rule: "degraded", why: "begins in a moment"},
	{state: "active+remapped", change: acting(1, 0), rule: "remapped", why: "until these have all objects: osd.2"},
	{state: "active+clean+inconsistent", change: func(s *pglog.Stats, _ *osdmap.Map) { s.Stats.Sum.NumScrubErrors = 2 },
		rule: "inconsistent", why: "copies that differ (2 errors)", do: "'ceph pg repair 1.0'"},
	{state: "active+clean+snaptrim_error", rule: "snapshots", why: "could not be removed", do: "log of osd.1"},
	{state: "active", rule: "settling", why: "about to become clean"},
}

func blocked(by ...int32) func(*pglog.Stats, *osdmap.Map) {
	return func(s *pglog.Stats, _ *osdmap.Map) { s.BlockedBy = by }
}

func acting(osds ...int32) func(*pglog.Stats, *osdmap.Map) {
	return func(s *pglog.Stats, _ *osdmap.Map) { s.Acting = osds }
}

func flagged(f uint32) func(*pglog.Stats, *osdmap.Map) {
	return func(_ *pglog.Stats, m *osdmap.Map) { m.Flags |= f }
}

func homeless(s *pglog.Stats, m *osdmap.Map) {
	s.Up, s.Acting, s.UpPrimary, s.ActingPrimary = nil, nil, -1, -1
	for osd := range m.OSDWeight {
		if s.State == 0 {
			m.OSDWeight[osd] = 0
		}
	}
}

func parseStates(t *testing.T, s string) (st pglog.State) {
	for name := range strings.SplitSeq(s, "+") {
		bit, ok := pglog.ParseState(name)
		if !ok && name != "" {
			t.Fatalf("no state %q", name)
		}
		st |= bit
	}
	return st
}

// For every state that a PG may be in there is a sentence that names what it waits
// for, and the right one of the rules says it.
func TestWhy(t *testing.T) {
	now := time.Unix(2e9, 0)
	used := map[string]bool{}
	for _, row := range whyRows {
		om := whyMap(t)
		s := pglog.NewStats()
		s.State = parseStates(t, row.state)
		s.Up, s.Acting, s.UpPrimary, s.ActingPrimary = []int32{1, 0, 2}, []int32{1, 0, 2}, 1, 1
		for _, osd := range row.down {
			om.OSDState[osd] &^= osdmap.OSDUp
			om.OSDXInfo[osd].DownStamp = now.Add(-3 * time.Minute)
		}
		if row.change != nil {
			row.change(&s, om)
		}
		r, ok := Why(object.PGID{Pool: 1}, &s, om, now, WhyLimits{DownOut: 10 * time.Minute})
		if ok != (row.rule != "") || r.Rule != row.rule || !strings.Contains(r.Why, row.why) || !strings.Contains(r.Do, row.do) {
			t.Errorf("%s:\n%s (rule %q)\nwant %q: ...%s...; ...%s...", row.state, r, r.Rule, row.rule, row.why, row.do)
		}
		if strings.ContainsAny(r.String(), "\n%") || strings.Contains(r.String(), "PGID") {
			t.Errorf("%s: not one plain line: %q", row.state, r)
		}
		used[r.Rule] = true
	}
	for _, rule := range whyRules {
		if !used[rule.name] {
			t.Errorf("no state is explained by the rule %q", rule.name)
		}
	}
}

// Whatever bits come together, a PG that is not clean is explained.
func TestWhyExplainsEveryState(t *testing.T) {
	om := whyMap(t)
	for bits := range pglog.State(1 << 17) {
		s := pglog.NewStats()
		s.State = bits | bits<<17
		s.Up, s.Acting, s.UpPrimary, s.ActingPrimary = []int32{0, 9}, []int32{noOSD, -1}, 0, -1
		r, ok := Why(object.PGID{Pool: 1}, &s, om, time.Unix(2e9, 0), WhyLimits{})
		if !ok && !s.State.Has(pglog.StateClean) || ok && r.Why == "" {
			t.Fatalf("%s: %v %q", s.State, ok, r)
		}
	}
}
