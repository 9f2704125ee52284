package mon

import (
	"errors"
	"time"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/mon/state"
	"sepiola/msgr"
	"sepiola/object"
)

// session is one peer of the monitor. It is guarded by the monitor's lock.
type session struct {
	conn    *msgr.Conn
	name    entity.Name
	auth    message.EntityName
	subs    map[string]*subscription
	host    string
	created map[object.PGID]bool // PGs it was asked to create
	config  map[string]string    // what it was last sent; nil before
	pending int                  // commands not answered yet
	gone    bool
}

// Bounds of one session.
const (
	maxSubscriptions   = 64
	maxPendingCommands = 256
)

// Dispatch implements [msgr.Dispatcher].
func (m *Monitor) Dispatch(c *msgr.Conn, raw *msgr.Message) {
	body, err := message.Decode(raw)
	if err != nil {
		m.reject(c, err)
		return
	}
	if raft, ok := body.(*message.MonRaft); ok {
		if c.Peer().Type != entity.TypeMon {
			c.Fail("raft message from someone who is no monitor")
			return
		}
		if err := m.node.Receive(raft.Payload.Flat()); err != nil {
			m.log.Debug("raft message dropped", "from", c.Peer(), "error", err)
		}
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shutdown {
		return
	}
	s := m.sessionOf(c)
	if !m.handle(s, body) {
		m.log.Warn("message not for a monitor", "type", message.TypeName(raw.Type), "from", c.Peer())
	}
}

// reject closes a connection whose peer sent something unreadable, or of a type not
// known here.
func (m *Monitor) reject(c *msgr.Conn, err error) { c.Fail(err.Error()) }

// sessionOf returns the connection's session, making it at its first message.
func (m *Monitor) sessionOf(c *msgr.Conn) *session {
	if s, ok := c.Value().(*session); ok && !s.gone {
		return s
	}
	s := &session{conn: c, name: c.Peer(), subs: map[string]*subscription{}, created: map[object.PGID]bool{}}
	id := c.Auth().Name
	s.auth = message.EntityName{Type: id.Type, ID: id.ID}
	c.SetValue(s)
	m.sessions[s] = true
	return s
}

func (m *Monitor) dropSession(c *msgr.Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s, ok := c.Value().(*session); ok {
		s.gone = true
		delete(m.sessions, s)
	}
}

// Connected implements [msgr.Dispatcher].
func (m *Monitor) Connected(*msgr.Conn) {}

// Accepted implements [msgr.Dispatcher].
func (m *Monitor) Accepted(c *msgr.Conn) { m.refuseStranger(c) }

// refuseStranger ends the session of a peer that calls itself a monitor and is none:
// such a session would be kept for its peer to come back.
func (m *Monitor) refuseStranger(c *msgr.Conn) {
	if c.Peer().Type != entity.TypeMon {
		return
	}
	m.mu.Lock()
	known := m.machine.State.MonMap.AddrsOf(int(c.Peer().Num)).Equal(c.PeerAddrs())
	m.mu.Unlock()
	if !known {
		m.log.Warn("connection refused: its peer calls itself a monitor and is not in the monitor map", "peer", c.Peer().String(), "addrs", c.PeerAddrs().String())
		c.MarkDown()
	}
}

// Reset implements [msgr.Dispatcher].
func (m *Monitor) Reset(c *msgr.Conn) { m.dropSession(c) }

// RemoteReset implements [msgr.Dispatcher].
func (m *Monitor) RemoteReset(*msgr.Conn) {}

// Refused implements [msgr.Dispatcher].
func (m *Monitor) Refused(*msgr.Conn) {}

// send encodes and queues a message for a session.
func (m *Monitor) send(s *session, b message.Body) {
	if s.gone {
		return
	}
	if err := s.conn.Send(message.Encode(b, s.conn.Features())); err != nil && !errors.Is(err, msgr.ErrClosed) {
		m.log.Warn("message not sent", "type", message.TypeName(b.Type()), "to", s.name, "error", err)
	}
}

// handle takes a message; false if it is none for a monitor.
func (m *Monitor) handle(s *session, body message.Body) bool {
	switch b := body.(type) {
	case *message.MonGetMap:
		m.send(s, &message.MonMap{Map: m.machine.State.MonMap.Encode()})
	case *message.MonSubscribe:
		m.subscribe(s, b)
	case *message.MonGetVersion:
		m.getVersion(s, b)
	case *message.MonCommand:
		m.command(s, b)
	case *message.CommandMsg:
		m.tellCommand(s, b)
	case *message.GetConfig:
		m.send(s, &message.Config{Config: values(m.machine.State.Config.For(state.Target{
			Name: b.Name.String(), Host: b.Host, Class: b.DeviceClass}))})
	case *message.LogMsg:
		m.takeLog(s, b)
	case *message.Ping:
		m.send(s, &message.Ping{TID: b.TID, Status: m.pingStatus()})
	case *message.Statfs:
		m.statfs(s, b)
	case *message.GetPoolStats:
		m.poolStats(s, b)
	case *message.PoolOp:
		m.poolOp(s, b)
	case *message.MonGetPurgedSnaps:
		// No snapshot has ever left the queue: see state.noteRemovedSnap.
		m.send(s, &message.MonGetPurgedSnapsReply{Start: b.Start, Last: b.Last})
	case *message.LogAck, *message.AuthReply, *message.MonMap:
	default:
		return m.handleOSD(s, body)
	}
	return true
}

func (m *Monitor) getVersion(s *session, b *message.MonGetVersion) {
	st := &m.machine.State
	r := &message.MonGetVersionReply{TID: 0, Handle: b.Handle}
	switch b.What {
	case "osdmap":
		r.Version, r.Oldest = uint64(st.LastEpoch), uint64(st.FirstEpoch)
	case "monmap":
		r.Version, r.Oldest = uint64(st.MonMap.Epoch), 1
	case "mgrmap":
		r.Version, r.Oldest = uint64(st.Mgr.Epoch), 1
	case "mdsmap", "fsmap":
		r.Version, r.Oldest = 1, 1
	default:
		m.log.Warn("version of something unknown asked for", "what", b.What, "from", s.name)
	}
	m.send(s, r)
}

// takeLog stores lines for the cluster log and acknowledges them once they are
// kept.
func (m *Monitor) takeLog(s *session, b *message.LogMsg) {
	if b.FSID != m.cfg.FSID || len(b.Entries) == 0 {
		return
	}
	entries := b.Entries
	if limit := int(m.opts.Int("mon_max_log_entries_per_event")); len(entries) > limit {
		entries = entries[:limit]
	}
	c := &state.Log{Max: int(m.opts.Int("mon_log_max"))}
	for _, e := range entries {
		c.Entries = append(c.Entries, state.LogEntry{
			Name: e.Name.String(), Rank: e.Rank, Addrs: e.Addrs, Stamp: e.Stamp, Seq: e.Seq,
			Level: state.LogLevel(e.Level), Text: e.Message, Channel: e.Channel,
		})
	}
	last := entries[len(entries)-1]
	m.propose(state.Command{Log: c}, func(_ state.Reply, err error) {
		if err == nil {
			m.send(s, &message.LogAck{FSID: m.cfg.FSID, Last: last.Seq, Channel: last.Channel})
		}
	})
}

// seconds since a time, never negative.
func (m *Monitor) secondsSince(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(int64(m.now().Sub(t)/time.Second), 0)
}
