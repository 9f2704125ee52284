package osd

import (
	"sync/atomic"
	"time"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/msgr"
	"sepiola/pg"
)

// decode reads a message. A peer that sends what nobody understands is not spoken
// to any longer; the connection's end is logged by the messenger.
func (d *Daemon) decode(c *msgr.Conn, m *msgr.Message) message.Body {
	b, err := message.Decode(m)
	if err != nil {
		c.Fail(err.Error())
		return nil
	}
	return b
}

// publicDispatcher receives from clients, and on our own sessions with monitors
// and the manager.
type publicDispatcher Daemon

func (p *publicDispatcher) Dispatch(c *msgr.Conn, m *msgr.Message) {
	d := (*Daemon)(p)
	b := d.decode(c, m)
	if b == nil {
		return
	}
	switch c.Peer().Type {
	case entity.TypeMon:
		d.fromMon(c, b)
	case entity.TypeMgr:
		d.fromMgr(c, b)
	default:
		d.fromClient(c, m, b)
	}
}

func (d *Daemon) fromMon(c *msgr.Conn, b message.Body) {
	if d.mon.Dispatch(c, b) {
		return
	}
	switch b := b.(type) {
	case *message.OSDMapMsg:
		d.handleMaps(c, b)
	case *message.MgrMapMsg:
		d.mgr.setMap(d, &b.Map)
		d.mon.Got("mgrmap", uint64(b.Map.Epoch))
	case *message.OSDPGCreate2:
		d.createPGs(b)
		d.mon.Got("osd_pg_creates", uint64(b.Epoch))
	case *message.OSDMarkMeDown:
		d.markedDown()
	case *message.CommandMsg:
		d.tell(c, b)
	default:
		d.cfg.Logger.Debug("message from the monitor passed over", "type", message.TypeName(b.Type()))
	}
}

func (d *Daemon) fromClient(c *msgr.Conn, m *msgr.Message, b message.Body) {
	s, ok := c.Value().(*session)
	if !ok {
		return // reset in between
	}
	switch b := b.(type) {
	case *message.OSDOp:
		d.clientOp(s, m, b)
	case *message.CommandMsg:
		d.tell(c, b)
	case *message.OSDBackoff:
		if b.Op == message.BackoffAckBlock {
			d.shardOf(b.PGID).queue.push(classClient, work{pgid: b.PGID, ev: pg.BackoffAck{From: s, ID: b.ID}})
		}
	case *message.Ping, *message.MonSubscribe, *message.OSDMapMsg:
		// A client whose operation takes long wants to know whether the connection
		// holds. Relics, and maps from those who have no
		// say in them (OSD::handle_osd_map).
	default:
		c.Fail("unexpected " + message.TypeName(b.Type()) + " from a client")
	}
}

// replyQueueMax bounds the answers kept for a client that does not read them, in
// bytes, beyond those of the operations under way: it is not listened to until it
// reads.
const replyQueueMax = 64 << 20

// clientOp queues an operation for its PG.
func (d *Daemon) clientOp(s *session, m *msgr.Message, op *message.OSDOp) {
	d.perf.op.Add(1)
	d.perf.opIn.Add(uint64(m.Data.Len()))
	s.begin(op, m, time.Now())
	d.shareWithClient(s, op.Epoch)
	if op.Epoch > d.current.Load().Epoch {
		d.wantMaps(op.Epoch)
	}
	addr := entity.Addr{}
	if v := s.conn.PeerAddrs(); len(v) > 0 {
		addr = v[0]
	}
	d.shardOf(op.PGID).queue.push(classClient, work{pgid: op.PGID,
		ev: pg.ClientOp{Op: op, From: s, Source: s.conn.Peer(), Addr: addr}})
}

func (p *publicDispatcher) Connected(c *msgr.Conn) {
	d := (*Daemon)(p)
	switch c.Peer().Type {
	case entity.TypeMon:
		d.mon.Connected(c)
	case entity.TypeMgr:
		d.mgr.connected(d, c)
	}
}

func (p *publicDispatcher) Accepted(c *msgr.Conn) {
	d := (*Daemon)(p)
	s := newSession(c)
	c.SetValue(s)
	d.sessMu.Lock()
	d.sessions[s] = struct{}{}
	d.sessMu.Unlock()
}

func (p *publicDispatcher) Reset(c *msgr.Conn) {
	d := (*Daemon)(p)
	if s, ok := c.Value().(*session); ok { // whatever its peer calls itself
		d.clientGone(s)
		return
	}
	switch c.Peer().Type {
	case entity.TypeMon:
		d.mon.Reset(c)
	case entity.TypeMgr:
		d.mgr.reset(d, c)
	}
}

func (d *Daemon) clientGone(s *session) {
	d.sessMu.Lock()
	delete(d.sessions, s)
	d.sessMu.Unlock()
	s.drop()
	for _, sh := range d.shard {
		sh.queue.push(classPeer, work{call: func(sh *shard) { sh.sessionReset(s) }})
	}
}

func (p *publicDispatcher) RemoteReset(*msgr.Conn) {}

func (p *publicDispatcher) Refused(c *msgr.Conn) {
	d := (*Daemon)(p)
	if c.Peer().Type == entity.TypeMon {
		d.mon.Reset(c)
	}
}

// clusterDispatcher receives from other OSDs.
type clusterDispatcher Daemon

func (p *clusterDispatcher) Dispatch(c *msgr.Conn, m *msgr.Message) {
	d := (*Daemon)(p)
	if c.Peer().Type != entity.TypeOSD {
		c.Fail("only OSDs speak here")
		return
	}
	b := d.decode(c, m)
	from := int32(c.Peer().Num)
	switch b := b.(type) {
	case nil:
	case *message.OSDMapMsg:
		d.peerHas(from, b.Last())
		d.handleMaps(c, b)
	case message.PGMessage:
		d.peerMessage(c, m, from, b)
	case *message.OSDPGRemove:
		d.removePGs(c, m, from, b)
	default:
		c.Fail("unexpected " + message.TypeName(b.Type()) + " from an OSD")
	}
}

// speaks reports whether a message of that epoch comes from the OSD as the map knows
// it, and not from an incarnation that was marked down since or from an impostor
// (OSD::require_same_peer_instance, PG::can_discard_replica_op). A message that is
// ahead of our map is looked at with the map it is of.
func (d *Daemon) speaks(c *msgr.Conn, from int32, epoch uint32) bool {
	cur := d.current.Load()
	if epoch > cur.Epoch {
		d.wantMaps(epoch)
		return true
	}
	return cur.IsUp(from) && cur.Info(from).DownAt < epoch && cur.ClusterAddrsOf(from).Equal(c.PeerAddrs())
}

// peerMessage queues a message for its PG. It keeps its share of the throttle until
// the PG has taken it.
func (d *Daemon) peerMessage(c *msgr.Conn, m *msgr.Message, from int32, b message.PGMessage) {
	if !d.speaks(c, from, b.MapEpoch()) {
		return
	}
	d.peerHas(from, b.MapEpoch())
	m.Hold()
	class := classPeer
	switch b.(type) {
	case *message.OSDPGLease, *message.OSDPGLeaseAck:
		class = classCommit // never behind data
	}
	d.shardOf(b.PG()).queue.push(class, work{pgid: b.PG(), ev: pg.PeerMessage{From: from, Msg: b}, conn: c, done: m.Release})
}

// removePGs tells several PGs to go.
func (d *Daemon) removePGs(c *msgr.Conn, m *msgr.Message, from int32, b *message.OSDPGRemove) {
	if len(b.PGs) == 0 || !d.speaks(c, from, b.Epoch) {
		return
	}
	m.Hold()
	var left atomic.Int64
	left.Store(int64(len(b.PGs)))
	done := func() {
		if left.Add(-1) == 0 {
			m.Release()
		}
	}
	for _, id := range b.PGs {
		d.shardOf(id).queue.push(classPeer, work{pgid: id, ev: pg.PeerMessage{From: from, Msg: b}, conn: c, done: done})
	}
}

// sweepPeers ends the sessions of those who call themselves OSDs, are gone, and are
// not in the map: such a session is kept for its peer to come back, and these will
// not.
func (d *Daemon) sweepPeers() {
	cur := d.current.Load()
	var gone []*msgr.Conn
	d.peerMu.Lock()
	for c := range d.peerConns {
		if !c.IsConnected() && !cur.ClusterAddrsOf(int32(c.Peer().Num)).Equal(c.PeerAddrs()) {
			gone = append(gone, c)
			delete(d.peerConns, c)
		}
	}
	d.peerMu.Unlock()
	for _, c := range gone {
		c.MarkDown()
		for _, s := range d.shard {
			s.queue.push(classPeer, work{call: func(s *shard) { s.forgetConn(c) }})
		}
	}
}

func (p *clusterDispatcher) Accepted(c *msgr.Conn) {
	d := (*Daemon)(p)
	d.peerMu.Lock()
	d.peerConns[c] = struct{}{}
	d.peerMu.Unlock()
}

func (p *clusterDispatcher) Reset(c *msgr.Conn) {
	d := (*Daemon)(p)
	d.peerMu.Lock()
	delete(d.peerConns, c)
	d.peerMu.Unlock()
}

func (p *clusterDispatcher) Connected(*msgr.Conn)   {}
func (p *clusterDispatcher) RemoteReset(*msgr.Conn) {}
func (p *clusterDispatcher) Refused(*msgr.Conn)     {}
