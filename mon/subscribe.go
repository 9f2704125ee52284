package mon

import (
	"maps"
	"strings"

	"sepiola/crush"
	"sepiola/entity"
	"sepiola/message"
	"sepiola/mon/state"
	"sepiola/msgr"
	"sepiola/osdmap"
	"sepiola/version"
)

// subscription is a peer's wish to hear of changes (src/mon/Session.h).
type subscription struct {
	next    uint64 // first version not sent; 0: send the newest whatever it is
	oneTime bool
}

// subscribe takes a peer's wishes and serves those that can be served now.
func (m *Monitor) subscribe(s *session, b *message.MonSubscribe) {
	s.host = b.Hostname
	for what, item := range b.What {
		if s.subs[what] == nil && len(s.subs) >= maxSubscriptions {
			m.log.Warn("too many subscriptions", "from", s.name, "what", what)
			break
		}
		if strings.HasPrefix(what, "log-") {
			// One level at a time: another wish replaces it (Monitor::handle_subscribe).
			maps.DeleteFunc(s.subs, func(old string, _ *subscription) bool { return strings.HasPrefix(old, "log-") })
		}
		s.subs[what] = &subscription{item.Start, item.OneTime}
		if what == "osd_pg_creates" {
			clear(s.created)
		}
	}
	m.serve(s)
}

// publish serves all sessions after a change.
func (m *Monitor) publish() {
	for s := range m.sessions {
		m.serve(s)
	}
}

// serve sends a session what it has subscribed to and not been sent.
func (m *Monitor) serve(s *session) {
	if m.machine.State.OSD == nil {
		return
	}
	for what, sub := range s.subs {
		if m.serveOne(s, what, sub) && sub.oneTime {
			delete(s.subs, what)
		}
	}
}

// serveOne reports whether something was sent.
func (m *Monitor) serveOne(s *session, what string, sub *subscription) bool {
	st := &m.machine.State
	switch what {
	case "osdmap":
		return m.sendMaps(s, sub)
	case "monmap":
		if !sub.due(uint64(st.MonMap.Epoch)) {
			return false
		}
		m.send(s, &message.MonMap{Map: st.MonMap.Encode()})
	case "config":
		return m.sendConfig(s)
	case "mgrmap":
		if !sub.due(uint64(st.Mgr.Epoch)) {
			return false
		}
		m.send(s, &message.MgrMapMsg{Map: m.mgrMap()})
	case "servicemap":
		if !sub.due(1) {
			return false
		}
		m.send(s, &message.ServiceMapMsg{Map: message.ServiceMap{Epoch: 1, Modified: st.Mgr.Modified}})
	case "osd_pg_creates":
		return m.sendCreates(s)
	default:
		switch {
		case strings.HasPrefix(what, "log-"):
			return m.sendLog(s, what, sub)
		case strings.HasPrefix(what, "kv:"):
			return m.sendKeys(s, what[len("kv:"):], sub)
		}
		return false // file systems and the like: there is never news
	}
	return true
}

// due reports whether the newest version is news, and notes that it is sent.
func (sub *subscription) due(newest uint64) bool {
	if sub.next > newest {
		return false
	}
	sub.next = newest + 1
	return true
}

// sendMaps sends OSD maps from the wanted epoch on: increments, or a full map
// first for someone who has none or one too old (OSDMonitor::check_osdmap_sub).
func (m *Monitor) sendMaps(s *session, sub *subscription) bool {
	last := m.machine.State.LastEpoch
	if sub.next > uint64(last) {
		return false
	}
	if sub.next == 0 {
		full, err := m.maps.full(last)
		if err != nil || full == nil {
			m.log.Error("OSD map cannot be read", "epoch", last, "error", err)
			return false
		}
		m.send(s, m.mapMessage(nil, map[uint32][]byte{last: full}))
	} else if !m.sendMapsSince(s, uint32(sub.next)) {
		return false
	}
	sub.next = uint64(last) + 1
	return true
}

// sendMapsSince sends the epochs from first to the newest, some per message. It
// reports whether all could be read.
func (m *Monitor) sendMapsSince(s *session, first uint32) bool {
	st := &m.machine.State
	perMessage := uint32(max(m.opts.Int("osd_map_message_max"), 1))
	if first < st.FirstEpoch || first == st.FirstEpoch && first > 0 {
		full, err := m.maps.full(st.FirstEpoch)
		if err != nil || full == nil {
			m.log.Error("OSD map cannot be read", "epoch", st.FirstEpoch, "error", err)
			return false
		}
		m.send(s, m.mapMessage(nil, map[uint32][]byte{st.FirstEpoch: full}))
		first = st.FirstEpoch + 1
	}
	for first <= st.LastEpoch {
		incs := map[uint32][]byte{}
		for e := first; e <= st.LastEpoch && e < first+perMessage; e++ {
			p, err := m.maps.inc(e)
			if err != nil || p == nil {
				m.log.Error("increment of the OSD map cannot be read", "epoch", e, "error", err)
				return false
			}
			incs[e] = p
		}
		m.send(s, m.mapMessage(incs, nil))
		first += perMessage
	}
	return true
}

func (m *Monitor) mapMessage(incs, fulls map[uint32][]byte) *message.OSDMapMsg {
	return &message.OSDMapMsg{
		FSID: m.cfg.FSID, Incrementals: incs, Maps: fulls,
		Oldest: m.machine.State.FirstEpoch, Newest: m.machine.State.LastEpoch,
	}
}

// sendConfig sends a session its options if they changed.
func (m *Monitor) sendConfig(s *session) bool {
	conf := values(m.machine.State.Config.For(m.targetOf(s)))
	if s.config != nil && maps.Equal(s.config, conf) {
		return false
	}
	s.config = conf
	m.send(s, &message.Config{Config: conf})
	return true
}

func values(conf map[string]state.ConfigValue) map[string]string {
	out := make(map[string]string, len(conf))
	for name, v := range conf {
		out[name] = v.Value
	}
	return out
}

// targetOf says what of a session's nature the configuration may depend on.
func (m *Monitor) targetOf(s *session) state.Target {
	t := state.Target{Name: s.auth.String(), Host: s.host}
	if s.name.Type == entity.TypeOSD && s.name.Num >= 0 {
		t.Class, t.Places = osdPlace(m.machine.State.OSD.Crush, int32(s.name.Num))
	}
	return t
}

func osdPlace(cm *crush.Map, osd int32) (class string, places map[string]string) {
	return cm.ItemClass(osd), cm.FullLocation(osd)
}

// mgrMap is the manager map: this monitor's own protocol server is active.
func (m *Monitor) mgrMap() message.MgrMap {
	mgr := m.machine.State.Mgr
	return message.MgrMap{
		Epoch: mgr.Epoch, ActiveAddrs: mgr.Active.Addrs, ActiveGID: mgr.Active.GID, Available: mgr.Epoch > 0,
		ActiveName: mgr.Active.Name, ActiveChange: mgr.Since, Features: mgr.Active.Features,
		AlwaysOn: map[uint32][]string{version.ReleaseNum: nil},
	}
}

// sendCreates asks an OSD to create the PGs it is primary of and has not been
// asked for since it subscribed.
func (m *Monitor) sendCreates(s *session) bool {
	st := &m.machine.State
	osd := int32(s.name.Num)
	if s.name.Type != entity.TypeOSD || !st.OSD.IsUp(osd) || !st.OSD.Addrs(osd).Equal(s.conn.PeerAddrs()) {
		// What it was asked for before, it may have passed over, since by the map it
		// led nothing any more.
		clear(s.created)
		return false
	}
	msg := &message.OSDPGCreate2{Epoch: st.LastEpoch}
	for _, pg := range sortedPGs(st.Creating) {
		if st.OSD.PGToActingPrimary(pg) != osd {
			delete(s.created, pg) // it may come back
			continue
		}
		if s.created[pg] {
			continue
		}
		s.created[pg] = true
		c := st.Creating[pg]
		msg.PGs = append(msg.PGs, message.PGCreate{PGID: pg.Whole(), Epoch: c.Epoch, Stamp: c.Stamp})
	}
	for pg := range s.created {
		if _, ok := st.Creating[pg]; !ok {
			delete(s.created, pg)
		}
	}
	if len(msg.PGs) == 0 {
		return false
	}
	for _, part := range splitCreates(msg) {
		m.send(s, part)
	}
	return true
}

// maxCreatesPerMessage bounds one message's PGs.
const maxCreatesPerMessage = 1024

func splitCreates(msg *message.OSDPGCreate2) []*message.OSDPGCreate2 {
	var out []*message.OSDPGCreate2
	for pgs := msg.PGs; len(pgs) > 0; {
		n := min(len(pgs), maxCreatesPerMessage)
		part := &message.OSDPGCreate2{Epoch: msg.Epoch, PGs: pgs[:n]}
		for _, p := range part.PGs {
			part.Extra = append(part.Extra, message.PGCreateExtra{PGID: p.PGID, History: firstHistory(p), PastIntervals: osdmap.PastIntervals{}})
		}
		out = append(out, part)
		pgs = pgs[n:]
	}
	return out
}

// sendLog sends a follower of the cluster log what is new; at first the last
// line only (LogMonitor::check_sub).
func (m *Monitor) sendLog(s *session, what string, sub *subscription) bool {
	level, ok := logLevels[strings.TrimPrefix(what, "log-")]
	st := &m.machine.State
	if !ok || sub.next > st.NextLog {
		return false
	}
	msg := &message.LogMsg{FSID: m.cfg.FSID}
	first := st.NextLog - uint64(len(st.ClusterLog))
	for i, e := range st.ClusterLog {
		version := first + uint64(i) + 1 // of the log with this line as its last
		if e.Level < level || version < sub.next {
			continue
		}
		if sub.next == 0 {
			msg.Entries = msg.Entries[:0]
		}
		msg.Entries = append(msg.Entries, logEntryMessage(e))
	}
	sub.next = st.NextLog + 1
	if len(msg.Entries) == 0 {
		return false
	}
	msg.Have = st.NextLog
	m.send(s, msg)
	return true
}

// sendKeys sends the entries of config-key below a prefix when they change.
func (m *Monitor) sendKeys(s *session, prefix string, sub *subscription) bool {
	if sub.next > 0 {
		return false
	}
	data := map[string]message.KVValue{}
	for k, v := range m.machine.State.ConfigKeys {
		if strings.HasPrefix(k, prefix) {
			data[k] = message.KVValue{Present: true, Value: []byte(v)}
		}
	}
	sub.next = 1
	m.send(s, &message.KVData{Version: 1, Prefix: prefix, Data: data})
	return true
}

var _ msgr.Dispatcher = (*Monitor)(nil)
