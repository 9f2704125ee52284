package osd

import (
	"maps"
	"slices"
	"time"

	"sepiola/entity"
	"sepiola/osdmap"
)

// side is one of the two networks over which a peer is asked for a sign of life.
type side uint8

const (
	sideBack side = iota
	sideFront
	sides
)

// watch is what is known of the OSDs this one shares placement groups with: which
// pings they owe an answer to, and which of them the monitors were told to have
// failed. It decides; [heartbeats] does what it says. Time comes with every call
// (OSD::heartbeat_check, OSD::handle_osd_ping).
type watch struct {
	peers    map[int32]*watched
	reported map[int32]failure
}

// target is where an incarnation of an OSD takes heartbeats.
type target struct {
	upFrom uint32
	addrs  entity.AddrVec        // names it to the monitors
	at     [sides]entity.AddrVec // empty if it does not listen there
}

// watched is one OSD that is watched.
type watched struct {
	target
	owed    []pinged // oldest first
	first   time.Time
	heard   [sides]time.Time
	refused time.Time // nobody listens where it should; zero if somebody does
	again   time.Time // when it was last asked out of turn
}

// pinged is a round of pings not answered yet.
type pinged struct {
	at      time.Time
	waiting [sides]bool
}

// owedMax bounds the rounds remembered of a silent peer. The oldest is what counts.
const owedMax = 64

// failure is what the monitors are told of an OSD.
type failure struct {
	osd     int32
	addrs   entity.AddrVec
	upFrom  uint32
	since   time.Time // last heard of, or first asked
	refused bool      // nobody listens: no need to wait for others' word
	alive   bool      // an earlier report was wrong
	again   bool      // the monitors were told before
	told    time.Time
}

func newWatch() watch { return watch{peers: map[int32]*watched{}, reported: map[int32]failure{}} }

// choosePeers returns whom to watch: the OSDs that share PGs with this one and,
// until there are atLeast, others that are up. The others are those that follow
// our own number, so that not everybody picks the same.
func choosePeers(whoami int32, m *osdmap.Map, shared []int32, atLeast int) map[int32]target {
	out := map[int32]target{}
	add := func(osd int32) {
		if osd != whoami && m.IsUp(osd) {
			out[osd] = target{upFrom: m.Info(osd).UpFrom, addrs: m.Addrs(osd),
				at: [sides]entity.AddrVec{sideBack: m.HBBackAddrsOf(osd), sideFront: m.HBFrontAddrsOf(osd)}}
		}
	}
	for _, osd := range shared {
		add(osd)
	}
	for n := range m.MaxOSD {
		if len(out) >= atLeast {
			break
		}
		add((whoami%m.MaxOSD + 1 + n) % m.MaxOSD)
	}
	return out
}

// set replaces whom to watch, and returns who is new and who is watched no longer,
// in order. One that came back elsewhere is both.
func (w *watch) set(want map[int32]target) (added, dropped []int32) {
	for _, osd := range slices.Sorted(maps.Keys(w.peers)) {
		if t, ok := want[osd]; !ok || t.upFrom != w.peers[osd].upFrom {
			delete(w.peers, osd)
			dropped = append(dropped, osd)
		}
	}
	for _, osd := range slices.Sorted(maps.Keys(want)) {
		if w.peers[osd] == nil {
			w.peers[osd] = &watched{target: want[osd]}
			added = append(added, osd)
		}
	}
	return added, dropped
}

// settled forgets what was reported of OSDs that the map has down or anew.
func (w *watch) settled(m *osdmap.Map) {
	maps.DeleteFunc(w.reported, func(osd int32, f failure) bool {
		return !m.IsUp(osd) || m.Info(osd).UpFrom != f.upFrom
	})
}

// mayAskAgain reports whether an OSD may be asked out of turn, once a second.
func (w *watch) mayAskAgain(osd int32, now time.Time) bool {
	p := w.peers[osd]
	if p == nil || now.Sub(p.again) < time.Second {
		return false
	}
	p.again = now
	return true
}

// asked notes a round of pings to an OSD.
func (w *watch) asked(osd int32, now time.Time) {
	p := w.peers[osd]
	if p == nil {
		return
	}
	if p.first.IsZero() {
		p.first = now
	}
	if len(p.owed) == owedMax {
		p.owed = slices.Delete(p.owed, 1, 2)
	}
	r := pinged{at: now}
	for s := range sides {
		r.waiting[s] = len(p.at[s]) > 0
	}
	p.owed = append(p.owed, r)
}

// answered notes the answer to the ping of that stamp. If it proves a report wrong,
// the result is what to tell the monitors.
func (w *watch) answered(osd int32, s side, stamp, now time.Time) (f failure, tell bool) {
	p := w.peers[osd]
	if p == nil {
		return failure{}, false
	}
	p.heard[s], p.refused = now, time.Time{}
	for i := range p.owed {
		// Stamps travel with nanoseconds and without the monotonic clock.
		if !p.owed[i].at.Equal(stamp) {
			continue
		}
		p.owed[i].waiting[s] = false
		if p.owed[i].waiting == [sides]bool{} {
			// Whoever answers the later ping has come through what lost the earlier.
			p.owed = slices.Delete(p.owed, 0, i+1)
		}
		break
	}
	f, tell = w.reported[osd]
	if !tell || len(p.owed) > 0 {
		return failure{}, false
	}
	delete(w.reported, osd)
	f.alive = true
	return f, true
}

// refusedAt notes that nobody listens at one of the peer's addresses any more.
func (w *watch) refusedAt(osd int32, now time.Time) {
	if p := w.peers[osd]; p != nil && p.refused.IsZero() {
		p.refused = now
	}
}

// failed returns the reports that are due: of peers that have owed an answer for
// longer than the grace or refuse connections, once, and again after renew, for
// monitors forget what a leader that failed knew.
func (w *watch) failed(now time.Time, grace, renew time.Duration) []failure {
	var out []failure
	for _, osd := range slices.Sorted(maps.Keys(w.peers)) {
		p := w.peers[osd]
		silent := len(p.owed) > 0 && now.Sub(p.owed[0].at) >= grace
		if !silent && p.refused.IsZero() {
			continue
		}
		f, known := w.reported[osd]
		if known && now.Sub(f.told) < renew && f.refused == !p.refused.IsZero() {
			continue
		}
		if !known {
			f = failure{osd: osd, addrs: p.addrs, upFrom: p.upFrom, since: p.lastHeard()}
		}
		f.told, f.refused, f.again = now, !p.refused.IsZero(), known
		w.reported[osd] = f
		out = append(out, f)
	}
	return out
}

// lastHeard is when the peer last answered on both networks; if it never did, when
// it was first asked or found to refuse.
func (p *watched) lastHeard() time.Time {
	var last time.Time
	for s := range sides {
		switch {
		case len(p.at[s]) == 0:
		case p.heard[s].IsZero() && p.first.IsZero():
			return p.refused
		case p.heard[s].IsZero():
			return p.first
		case last.IsZero() || p.heard[s].Before(last):
			last = p.heard[s]
		}
	}
	return last
}
