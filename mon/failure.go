package mon

import (
	"fmt"
	"math"
	"slices"
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
	Stale         time.Duration // beyond the grace, after which reports that nobody took back are dropped
	Timeout       time.Duration
	MinUpRatio    float64
	MinInRatio    float64
	DownOut       time.Duration // 0: never
	AdjustDownOut bool
	DestroyedOut  time.Duration // the same for OSDs that were destroyed
	SubtreeLimit  string        // OSDs of a whole bucket of this type that is down stay in
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
		Stale: secs("osd_heartbeat_stale"), DownOut: secs("mon_osd_down_out_interval"),
		AdjustDownOut: o.Bool("mon_osd_adjust_down_out_interval"), DestroyedOut: secs("mon_osd_destroyed_out_interval"),
		SubtreeLimit: o.String("mon_osd_down_out_subtree_limit"),
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

// canMarkDown reports whether flags and the share of OSDs that are up allow it
// (OSDMonitor::can_mark_down). State counts again, with what was agreed on since.
func canMarkDown(m *osdmap.Map, osd int32, l failureLimits) bool {
	exist, up, _ := m.Counts()
	return m.Restrictions(osd)&osdmap.OSDNoDown == 0 && exist > 0 && float64(up)/float64(exist) >= l.MinUpRatio
}

// mayMarkOut reports whether OSDs may be marked out at all.
func mayMarkOut(m *osdmap.Map, l failureLimits) bool {
	exist, _, in := m.Counts()
	return !m.TestFlag(osdmap.FlagNoOut) && exist > 0 && float64(in)/float64(exist) >= l.MinInRatio
}

// verdict is an OSD to be marked down and why.
type verdict struct {
	osd    int32
	reason string
}

// failed returns the OSDs that enough others have missed for long enough.
// Reports that were neither heeded nor taken back for long are dropped.
func (f *failureTracker) failed(m *osdmap.Map, now time.Time, l failureLimits) []verdict {
	var out []verdict
	for _, osd := range m.OSDs() {
		if len(f.reports[osd]) == 0 || !m.IsUp(osd) {
			continue
		}
		subtrees, since := f.reporters(m, osd, l)
		if len(f.reports[osd]) == 0 {
			f.forget(osd)
			continue
		}
		failedFor := now.Sub(since)
		grace := f.grace(m, osd, now, failedFor, l)
		switch {
		case canMarkDown(m, osd, l) && subtrees >= l.MinReporters && failedFor >= grace:
			out = append(out, verdict{osd, fmt.Sprintf("failed (%s) (%d reporters from different %s after %f >= grace %f)",
				orderedLocation(m, osd), subtrees, l.SubtreeLevel, failedFor.Seconds(), grace.Seconds())})
		case failedFor >= l.Grace+l.Stale:
			f.forget(osd)
		}
	}
	return out
}

// reporters counts the subtrees that an OSD's reporters are in, and says since
// when all of them have missed it. Those that no longer exist do not count.
func (f *failureTracker) reporters(m *osdmap.Map, osd int32, l failureLimits) (subtrees int, since time.Time) {
	seen := map[string]bool{}
	for r, t := range f.reports[osd] {
		if !m.Exists(r) {
			delete(f.reports[osd], r)
			continue
		}
		seen[subtreeOf(m, r, l.SubtreeLevel)] = true
		if t.After(since) {
			since = t
		}
	}
	return len(seen), since
}

func subtreeOf(m *osdmap.Map, osd int32, level string) string {
	if name, ok := m.Crush.FullLocation(osd)[level]; ok {
		return name
	}
	return fmt.Sprintf("osd.%d", osd)
}

// grace is how long the OSD may be missed: longer for one that is known to lag,
// and longer if those who report it are known to lag, as it may be the network
// that they share (OSDMonitor::get_grace_time).
func (f *failureTracker) grace(m *osdmap.Map, osd int32, now time.Time, failedFor time.Duration, l failureLimits) time.Duration {
	if !l.AdjustGrace || l.LaggyHalflife <= 0 {
		return l.Grace
	}
	extra := lag(m.OSDXInfo[osd], failedFor, l)
	peers := time.Duration(0)
	for r := range f.reports[osd] {
		if m.Exists(r) {
			peers += lag(m.OSDXInfo[r], now.Sub(m.OSDXInfo[r].DownStamp), l)
		}
	}
	return l.Grace + extra + peers/time.Duration(max(len(f.reports[osd]), 1))
}

// lag is how long an OSD is likely to lag, which fades with the time since it was
// last seen to.
func lag(xi osdmap.OSDXInfo, ago time.Duration, l failureLimits) time.Duration {
	decay := math.Exp(ago.Seconds() * math.Log(.5) / l.LaggyHalflife.Seconds())
	return time.Duration(decay * float64(xi.LaggyInterval) * float64(xi.LaggyProbability) / math.MaxUint32 * float64(time.Second))
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
		if quiet > max(l.Timeout, 2*b.interval) && canMarkDown(m, osd, l) {
			out = append(out, verdict{osd, fmt.Sprintf("marked down after no beacon for %f seconds", quiet.Seconds())})
		}
	}
	return out
}

// outs returns the OSDs that have been down for so long that their data should
// be rebuilt elsewhere, with the seconds. The time of one that must stay in, or
// that went down with a large part of the cluster, begins anew.
func (f *failureTracker) outs(m *osdmap.Map, now time.Time, l failureLimits) map[int32]int64 {
	if !mayMarkOut(m, l) {
		return nil
	}
	limit, limited := m.Crush.TypeID(l.SubtreeLimit)
	out := map[int32]int64{}
	for osd, since := range f.down {
		if m.Restrictions(osd)&osdmap.OSDNoOut != 0 || limited && limit > 0 && subtreeIsDown(m, osd, limit) {
			f.down[osd] = now
			continue
		}
		if due := f.outAfter(m, osd, now.Sub(since), l); due > 0 && now.Sub(since) >= due {
			out[osd] = int64(now.Sub(since) / time.Second)
		}
	}
	return out
}

// outAfter is how long an OSD may be down before it is marked out; 0: for ever.
func (f *failureTracker) outAfter(m *osdmap.Map, osd int32, down time.Duration, l failureLimits) time.Duration {
	switch {
	case m.IsDestroyed(osd):
		return l.DestroyedOut
	case l.DownOut > 0 && l.AdjustDownOut && l.LaggyHalflife > 0:
		return l.DownOut + lag(m.OSDXInfo[osd], down, l)
	}
	return l.DownOut
}

// subtreeIsDown reports whether all OSDs are down in the bucket above the OSD
// that is of that type, or of the first above it (OSDMap::containing_subtree_is_down).
func subtreeIsDown(m *osdmap.Map, osd, limit int32) bool {
	item := osd
	for range m.Crush.Buckets { // no path is longer
		parent, ok := m.Crush.Parent(item)
		if !ok || slices.ContainsFunc(m.Crush.Leaves(parent), m.IsUp) {
			return false
		}
		if int32(m.Crush.Bucket(parent).Type) >= limit {
			return true
		}
		item = parent
	}
	return false
}
