package mon

import (
	"fmt"
	"math"
	"time"

	"sepiola/osdmap"
)

// failureTracker weighs what OSDs say of each other, notices those that have
// fallen silent, and knows how long OSDs have been down
// (OSDMonitor::check_failure, handle_osd_timeouts and tick). It is volatile: a
// new leader starts afresh. It has no clock of its own.
type failureTracker struct {
	reports map[int32]map[int32]time.Time // target, reporter: failed since
	beacons map[int32]beaconTime
	down    map[int32]time.Time // OSDs that are down and in, since when
}

type beaconTime struct {
	last     time.Time
	interval time.Duration // what the OSD says lies between two beacons
}

// failureLimits are the options the tracker decides by.
type failureLimits struct {
	MinReporters  int
	SubtreeLevel  string
	Grace         time.Duration
	AdjustGrace   bool
	LaggyHalflife time.Duration
	Timeout       time.Duration
	MinUpRatio    float64
	MinInRatio    float64
	DownOut       time.Duration // 0: never
}

func newFailureTracker() failureTracker {
	return failureTracker{reports: map[int32]map[int32]time.Time{}, beacons: map[int32]beaconTime{}, down: map[int32]time.Time{}}
}

func (m *Monitor) limits() failureLimits {
	o := m.opts
	secs := func(name string) time.Duration { return time.Duration(o.Int(name)) * time.Second }
	return failureLimits{
		MinReporters: int(o.Int("mon_osd_min_down_reporters")), SubtreeLevel: o.String("mon_osd_reporter_subtree_level"),
		Grace: secs("osd_heartbeat_grace"), AdjustGrace: o.Bool("mon_osd_adjust_heartbeat_grace"),
		LaggyHalflife: secs("mon_osd_laggy_halflife"), Timeout: secs("mon_osd_report_timeout"),
		MinUpRatio: o.Float("mon_osd_min_up_ratio"), MinInRatio: o.Float("mon_osd_min_in_ratio"),
		DownOut: secs("mon_osd_down_out_interval"),
	}
}

// setMap drops what the map has settled.
func (f *failureTracker) setMap(m *osdmap.Map, now time.Time) {
	for osd := range f.reports {
		if !m.IsUp(osd) {
			delete(f.reports, osd)
		}
	}
	for osd := range f.beacons {
		if !m.IsUp(osd) {
			delete(f.beacons, osd)
		}
	}
	for osd := range f.down {
		if m.IsUp(osd) || m.IsOut(osd) {
			delete(f.down, osd)
		}
	}
	for _, osd := range m.OSDs() {
		if _, ok := f.down[osd]; !ok && !m.IsUp(osd) && m.IsIn(osd) {
			f.down[osd] = now
		}
	}
}

func (f *failureTracker) report(target, reporter int32, now time.Time, failedFor int32) {
	if f.reports[target] == nil {
		f.reports[target] = map[int32]time.Time{}
	}
	f.reports[target][reporter] = now.Add(-time.Duration(max(failedFor, 0)) * time.Second)
}

func (f *failureTracker) cancel(target, reporter int32) {
	delete(f.reports[target], reporter)
	if len(f.reports[target]) == 0 {
		delete(f.reports, target)
	}
}

func (f *failureTracker) forget(target int32) { delete(f.reports, target) }

func (f *failureTracker) beacon(osd int32, now time.Time, intervalSeconds int32) {
	f.beacons[osd] = beaconTime{now, time.Duration(max(intervalSeconds, 0)) * time.Second}
}

// canMarkDown reports whether flags and the share of OSDs that would remain up
// allow it.
func (f *failureTracker) canMarkDown(m *osdmap.Map, osd int32, l failureLimits) bool {
	if m.TestFlag(osdmap.FlagNoDown) || m.OSDState[osd]&osdmap.OSDNoDown != 0 {
		return false
	}
	exist, up, _ := m.Counts()
	return exist > 0 && float64(up)/float64(exist) >= l.MinUpRatio
}

func (f *failureTracker) canMarkOut(m *osdmap.Map, osd int32, l failureLimits) bool {
	if m.TestFlag(osdmap.FlagNoOut) || m.OSDState[osd]&osdmap.OSDNoOut != 0 {
		return false
	}
	exist, _, in := m.Counts()
	return exist > 0 && float64(in)/float64(exist) >= l.MinInRatio
}

// verdict is an OSD to be marked down and why.
type verdict struct {
	osd    int32
	reason string
}

// failed returns the OSDs that enough others have missed for long enough.
func (f *failureTracker) failed(m *osdmap.Map, now time.Time, l failureLimits) []verdict {
	var out []verdict
	for _, osd := range m.OSDs() {
		reporters := f.reports[osd]
		if len(reporters) == 0 || !m.IsUp(osd) || !f.canMarkDown(m, osd, l) {
			continue
		}
		subtrees := map[string]bool{}
		var since time.Time
		for r, t := range reporters {
			if !m.IsUp(r) {
				f.cancel(osd, r)
				continue
			}
			subtrees[subtreeOf(m, r, l.SubtreeLevel)] = true
			// The failure began when the last of them began to miss it.
			if t.After(since) {
				since = t
			}
		}
		grace := f.grace(m, osd, now.Sub(since), l)
		if len(subtrees) < l.MinReporters || now.Sub(since) < grace {
			continue
		}
		out = append(out, verdict{osd, fmt.Sprintf("failed (%d reporters from different %s after %f >= grace %f)",
			len(subtrees), l.SubtreeLevel, now.Sub(since).Seconds(), grace.Seconds())})
	}
	return out
}

func subtreeOf(m *osdmap.Map, osd int32, level string) string {
	if name, ok := m.Crush.FullLocation(osd)[level]; ok {
		return name
	}
	return fmt.Sprintf("osd.%d", osd)
}

// grace is how long the OSD may be missed: longer for one that is known to lag.
func (f *failureTracker) grace(m *osdmap.Map, osd int32, failedFor time.Duration, l failureLimits) time.Duration {
	if !l.AdjustGrace || l.LaggyHalflife <= 0 {
		return l.Grace
	}
	xi := m.OSDXInfo[osd]
	decay := math.Exp(failedFor.Seconds() * math.Log(.5) / l.LaggyHalflife.Seconds())
	extra := decay * float64(xi.LaggyInterval) * float64(xi.LaggyProbability) / math.MaxUint32
	return l.Grace + time.Duration(extra*float64(time.Second))
}

// silent returns the OSDs that sent no beacon for too long. One that was never
// heard starts its time now.
func (f *failureTracker) silent(m *osdmap.Map, now time.Time, l failureLimits) []verdict {
	var out []verdict
	for _, osd := range m.OSDs() {
		if !m.IsUp(osd) {
			continue
		}
		b, ok := f.beacons[osd]
		if !ok {
			f.beacon(osd, now, 0)
			continue
		}
		quiet := now.Sub(b.last)
		if quiet > max(l.Timeout, 2*b.interval) && f.canMarkDown(m, osd, l) {
			out = append(out, verdict{osd, fmt.Sprintf("marked down after no beacon for %f seconds", quiet.Seconds())})
		}
	}
	return out
}

// outs returns the OSDs that have been down for so long that their data should
// be rebuilt elsewhere, with the seconds.
func (f *failureTracker) outs(m *osdmap.Map, now time.Time, l failureLimits) map[int32]int64 {
	if l.DownOut <= 0 {
		return nil
	}
	out := map[int32]int64{}
	for osd, since := range f.down {
		if now.Sub(since) >= l.DownOut && f.canMarkOut(m, osd, l) {
			out[osd] = int64(now.Sub(since) / time.Second)
		}
	}
	return out
}
