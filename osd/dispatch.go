package osd

import (
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
	case *message.OSDMapMsg:
		d.handleMaps(c, b)
	case *message.OSDBackoff, *message.MonSubscribe:
		// Acknowledgements of backoffs, and relics.
	default:
		c.Fail("unexpected " + message.TypeName(b.Type()) + " from a client")
	}
}

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
	switch c.Peer().Type {
	case entity.TypeMon:
		d.mon.Reset(c)
	case entity.TypeMgr:
		d.mgr.reset(d, c)
	default:
		d.clientGone(c)
	}
}

func (d *Daemon) clientGone(c *msgr.Conn) {
	s, ok := c.Value().(*session)
	if !ok {
		return
	}
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
		d.peerMessage(m, from, b)
	case *message.OSDPGRemove:
		for _, id := range b.PGs {
			d.shardOf(id).queue.push(classPeer, work{pgid: id, ev: pg.PeerMessage{From: from, Msg: b}})
		}
	default:
		c.Fail("unexpected " + message.TypeName(b.Type()) + " from an OSD")
	}
}

// peerMessage queues a message for its PG. It keeps its share of the throttle until
// the PG has taken it.
func (d *Daemon) peerMessage(m *msgr.Message, from int32, b message.PGMessage) {
	d.peerHas(from, b.MapEpoch())
	cur := d.current.Load()
	if b.MapEpoch() > cur.Epoch {
		d.wantMaps(b.MapEpoch())
	} else if cur.IsDown(from) {
		return // from before it was marked down
	}
	m.Hold()
	d.shardOf(b.PG()).queue.push(classPeer, work{pgid: b.PG(), ev: pg.PeerMessage{From: from, Msg: b}, done: m.Release})
}

func (p *clusterDispatcher) Connected(*msgr.Conn)   {}
func (p *clusterDispatcher) Accepted(*msgr.Conn)    {}
func (p *clusterDispatcher) Reset(*msgr.Conn)       {}
func (p *clusterDispatcher) RemoteReset(*msgr.Conn) {}
func (p *clusterDispatcher) Refused(*msgr.Conn)     {}
