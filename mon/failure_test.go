package mon

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sepiola/crush"
	"sepiola/entity"
	"sepiola/osdmap"
)

// Hosts of the OSDs of failureMap; h1 holds two, and r0 is a rack of h0 and h1.
var failureHosts = []string{"h0", "h1", "h1", "h2"}

// failureMap is a map of four OSDs that are up and in.
func failureMap(t *testing.T) *osdmap.Map {
	t.Helper()
	om := osdmap.New(testFSID, 1, time.Unix(1e9, 0), crush.NewDefault())
	inc := osdmap.NewIncremental(testFSID, 2)
	inc.NewMaxOSD = 4
	for osd := range int32(4) {
		inc.NewState[osd] = osdmap.OSDExists
		inc.NewUpClient[osd] = entity.AddrVec{entity.Msgr2(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(6800+osd)))}
		inc.NewHBBackUp[osd], inc.NewHBFrontUp[osd] = inc.NewUpClient[osd], inc.NewUpClient[osd]
		inc.NewWeight[osd] = osdmap.WeightIn
		inc.NewXInfo[osd] = osdmap.OSDXInfo{}
	}
	if err := om.Apply(inc); err != nil {
		t.Fatal(err)
	}
	cm := om.Crush.Clone()
	for osd, host := range failureHosts {
		loc := map[string]string{"root": "default", "rack": "r0", "host": host}
		if host == "h2" {
			loc["rack"] = "r1"
		}
		if err := cm.InsertItem(int32(osd), 1, fmt.Sprintf("osd.%d", osd), loc); err != nil {
			t.Fatal(err)
		}
	}
	om.Crush = cm
	return om
}

func testLimits() failureLimits {
	return failureLimits{MinReporters: 2, SubtreeLevel: "host", Grace: 20 * time.Second, Stale: 600 * time.Second,
		Timeout: 900 * time.Second, DownOut: 600 * time.Second, DestroyedOut: 300 * time.Second, MinUpRatio: 0.3, MinInRatio: 0.5}
}

// OSDs that are missed by enough others from different subtrees, for long
// enough, are failed; those that lag, or are missed by some that do, get longer.
func TestFailureReports(t *testing.T) {
	om, l := failureMap(t), testLimits()
	f := newFailureTracker()
	now := time.Unix(2e9, 0)
	f.setMap(om, now)
	check := func(what string, at time.Time, want ...int32) {
		t.Helper()
		var got []int32
		for _, v := range f.failed(om, at, l) {
			got = append(got, v.osd)
		}
		if len(got) != len(want) || len(got) > 0 && got[0] != want[0] {
			t.Errorf("%s: failed %v, want %v", what, got, want)
		}
	}
	f.report(0, 1, now, 20)
	check("one reporter", now.Add(time.Minute))
	f.report(0, 2, now, 20)
	check("two reporters on one host", now.Add(time.Minute))
	f.report(0, 3, now, 5)
	check("before the grace", now.Add(10*time.Second))
	check("after the grace", now.Add(15*time.Second), 0)
	if v := f.failed(om, now.Add(15*time.Second), l); len(v) != 1 ||
		v[0].reason != "failed (root=default,rack=r0,host=h0) (2 reporters from different host after 20.000000 >= grace 20.000000)" {
		t.Errorf("reason: %v", v)
	}
	lags := osdmap.OSDXInfo{LaggyInterval: 100, LaggyProbability: 0xffffffff}
	om.OSDXInfo[0] = lags
	l.AdjustGrace, l.LaggyHalflife = true, time.Hour
	check("a laggy one", now.Add(time.Minute))
	check("a laggy one, later", now.Add(150*time.Second), 0)
	om.OSDXInfo[0] = osdmap.OSDXInfo{}
	lags.DownStamp = now
	om.OSDXInfo[1], om.OSDXInfo[2], om.OSDXInfo[3] = lags, lags, lags
	check("reported by laggy ones", now.Add(time.Minute))
	check("reported by laggy ones, later", now.Add(150*time.Second), 0)
	l.AdjustGrace = false
	for flag, set := range map[string]func(on bool){
		"on the map":     func(on bool) { om.Flags = toggle(om.Flags, osdmap.FlagNoDown, on) },
		"on the OSD":     func(on bool) { om.OSDState[0] = toggle(om.OSDState[0], osdmap.OSDNoDown, on) },
		"on its host":    func(on bool) { id, _ := om.Crush.ItemID("h0"); om.CrushNodeFlags[id] = toggle(0, osdmap.OSDNoDown, on) },
		"too few are up": func(on bool) { l.MinUpRatio = map[bool]float64{true: 1.1, false: 0.3}[on] },
	} {
		set(true)
		check("nodown "+flag, now.Add(time.Minute))
		set(false)
	}
	om.OSDState[3] &^= osdmap.OSDExists
	check("a reporter that is gone does not count", now.Add(time.Minute))
	om.OSDState[3] |= osdmap.OSDExists
	f.report(0, 3, now, 5)
	f.cancel(0, 3)
	check("taken back", now.Add(10*time.Minute))
	check("an old report", now.Add(605*time.Second))
	if len(f.reports) != 0 {
		t.Errorf("reports that nobody took back are kept: %v", f.reports)
	}
}

func toggle(flags, bit uint32, on bool) uint32 {
	if on {
		return flags | bit
	}
	return flags &^ bit
}

// OSDs that send no beacon for longer than the timeout, or than two of the
// intervals that they named, are down.
func TestSilentOSDs(t *testing.T) {
	om, l := failureMap(t), testLimits()
	f := newFailureTracker()
	now := time.Unix(2e9, 0)
	f.beacon(1, now, 300)
	f.beacon(2, now, 600)
	if got := f.silent(om, now.Add(899*time.Second), l); got != nil {
		t.Errorf("silent too soon: %v", got)
	}
	got := f.silent(om, now.Add(901*time.Second), l)
	if len(got) != 1 || got[0].osd != 1 || !strings.Contains(got[0].reason, "no beacon for 901") {
		t.Errorf("silent: %v, want osd.1 alone: osd.2 beats slower, and the others' time began later", got)
	}
	if got := f.silent(om, now.Add(1201*time.Second), l); len(got) != 2 {
		t.Errorf("silent: %v, want osd.1 and osd.2", got)
	}
}

// When OSDs that are down are marked out, and what puts it off.
func TestDownAndOut(t *testing.T) {
	now := time.Unix(2e9, 0)
	for what, tc := range map[string]struct {
		down   []int32
		change func(*osdmap.Map, *failureLimits)
		after  time.Duration
		want   []int32
	}{
		"too soon":        {down: []int32{3}, after: 599 * time.Second},
		"due":             {down: []int32{3}, after: 600 * time.Second, want: []int32{3}},
		"never":           {down: []int32{3}, after: time.Hour, change: func(_ *osdmap.Map, l *failureLimits) { l.DownOut = 0 }},
		"noout":           {down: []int32{3}, after: time.Hour, change: func(m *osdmap.Map, _ *failureLimits) { m.Flags |= osdmap.FlagNoOut }},
		"noout of one":    {down: []int32{0, 3}, after: time.Hour, change: func(m *osdmap.Map, _ *failureLimits) { m.OSDState[3] |= osdmap.OSDNoOut }, want: []int32{0}},
		"too few are in":  {down: []int32{3}, after: time.Hour, change: func(_ *osdmap.Map, l *failureLimits) { l.MinInRatio = 1.1 }},
		"destroyed":       {down: []int32{3}, after: 300 * time.Second, change: func(m *osdmap.Map, _ *failureLimits) { m.OSDState[3] |= osdmap.OSDDestroyed }, want: []int32{3}},
		"a host is down":  {down: []int32{1, 2}, after: time.Hour, change: func(_ *osdmap.Map, l *failureLimits) { l.SubtreeLimit = "host" }},
		"half of a host":  {down: []int32{1}, after: time.Hour, change: func(_ *osdmap.Map, l *failureLimits) { l.SubtreeLimit = "host" }, want: []int32{1}},
		"a rack is down":  {down: []int32{0, 1, 2}, after: time.Hour, change: func(_ *osdmap.Map, l *failureLimits) { l.SubtreeLimit = "rack" }},
		"hosts of a rack": {down: []int32{1, 2}, after: time.Hour, change: func(_ *osdmap.Map, l *failureLimits) { l.SubtreeLimit = "rack" }, want: []int32{1, 2}},
		"no such type":    {down: []int32{1, 2}, after: time.Hour, change: func(_ *osdmap.Map, l *failureLimits) { l.SubtreeLimit = "planet" }, want: []int32{1, 2}},
		"laggy": {down: []int32{3}, after: 650 * time.Second, change: func(m *osdmap.Map, l *failureLimits) {
			m.OSDXInfo[3] = osdmap.OSDXInfo{LaggyInterval: 100, LaggyProbability: 0xffffffff}
			l.AdjustDownOut, l.LaggyHalflife = true, time.Hour
		}},
	} {
		om, l := failureMap(t), testLimits()
		for _, osd := range tc.down {
			om.OSDState[osd] &^= osdmap.OSDUp
		}
		if tc.change != nil {
			tc.change(om, &l)
		}
		f := newFailureTracker()
		f.setMap(om, now)
		got := f.outs(om, now.Add(tc.after), l)
		if len(got) != len(tc.want) {
			t.Errorf("%s: %v, want %v", what, got, tc.want)
		}
		for _, osd := range tc.want {
			if got[osd] != int64(tc.after/time.Second) {
				t.Errorf("%s: osd.%d is out after %d s", what, osd, got[osd])
			}
		}
	}
}

// The time of an OSD that is kept in begins anew once it no longer is.
func TestNoOutRestartsTheTime(t *testing.T) {
	om, l := failureMap(t), testLimits()
	om.OSDState[3] &^= osdmap.OSDUp
	om.OSDState[3] |= osdmap.OSDNoOut
	f := newFailureTracker()
	now := time.Unix(2e9, 0)
	f.setMap(om, now)
	f.outs(om, now.Add(time.Hour), l)
	om.OSDState[3] &^= osdmap.OSDNoOut
	if got := f.outs(om, now.Add(time.Hour+599*time.Second), l); len(got) != 0 {
		t.Errorf("out at once: %v", got)
	}
	if got := f.outs(om, now.Add(time.Hour+600*time.Second), l); len(got) != 1 {
		t.Errorf("outs: %v", got)
	}
}
