package osd

import (
	"maps"
	"slices"
	"sync"
	"time"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/msgr"
	"sepiola/osdmap"
)

// heartbeats asks the OSDs that watch names over both networks every
// osd_heartbeat_interval, and tells the monitors what watch finds.
type heartbeats struct {
	mu    sync.Mutex
	watch watch
	conns map[int32]*[sides]*msgr.Conn // nil ones are opened with the next ping
	start time.Time
	next  time.Time
}

// pinger names what a connection of the heartbeat client is for.
type pinger struct {
	osd  int32
	side side
}

func (h *heartbeats) init(now time.Time) {
	h.watch, h.conns, h.start = newWatch(), map[int32]*[sides]*msgr.Conn{}, now
}

// update chooses the peers anew.
func (h *heartbeats) update(d *Daemon, m *osdmap.Map) {
	if !d.is(stateActive) {
		return
	}
	var shared []int32
	for _, s := range d.shard {
		shared = append(shared, s.peerSet()...)
	}
	want := choosePeers(d.cfg.WhoAmI, m, shared, int(d.cfg.Options.Int("osd_heartbeat_min_peers")))
	h.mu.Lock()
	defer h.mu.Unlock()
	added, dropped := h.watch.set(want)
	for _, osd := range dropped {
		h.hangUp(osd)
	}
	for _, osd := range added {
		h.conns[osd] = new([sides]*msgr.Conn)
	}
	h.watch.settled(m)
}

// hangUp ends the connections to an OSD. mu is held.
func (h *heartbeats) hangUp(osd int32) {
	conns := h.conns[osd]
	delete(h.conns, osd)
	if conns == nil {
		return
	}
	for _, c := range conns {
		if c != nil {
			c.MarkDown()
		}
	}
}

// forget drops an OSD that is down or has moved.
func (h *heartbeats) forget(osd int32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watch.peers, osd)
	h.hangUp(osd)
}

// reset drops all.
func (h *heartbeats) reset() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watch = newWatch()
	for osd := range h.conns {
		h.hangUp(osd)
	}
}

// heartbeatLoop has a goroutine of its own: nothing else the daemon does may keep
// it from asking and telling.
func (d *Daemon) heartbeatLoop() {
	defer d.wg.Done()
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-d.stop:
			return
		case now := <-t.C:
			d.hb.tick(d, now)
		}
	}
}

// tick sends what is due and reports who is silent.
func (h *heartbeats) tick(d *Daemon, now time.Time) {
	if !d.is(stateActive) {
		return
	}
	o := d.cfg.Options
	h.mu.Lock()
	defer h.mu.Unlock()
	if !now.Before(h.next) {
		h.next = now.Add(o.Duration("osd_heartbeat_interval"))
		for _, osd := range slices.Sorted(maps.Keys(h.conns)) {
			h.ping(d, osd, now)
		}
	}
	h.tellFailures(d, now)
}

// tellFailures tells the monitors of those who are silent, or do not listen. mu is
// held.
func (h *heartbeats) tellFailures(d *Daemon, now time.Time) {
	o := d.cfg.Options
	for _, f := range h.watch.failed(now, o.Duration("osd_heartbeat_grace"), o.Duration("osd_mon_report_interval")) {
		if !f.again {
			d.cfg.Logger.Info("peer does not answer heartbeats", "osd", f.osd, "refused", f.refused, "since", f.since)
		}
		h.tell(d, f, now)
	}
}

func (h *heartbeats) ping(d *Daemon, osd int32, now time.Time) {
	p, conns := h.watch.peers[osd], h.conns[osd]
	if p == nil {
		return
	}
	ping := &message.OSDPing{FSID: d.fsid(), MapEpoch: d.current.Load().Epoch, Op: message.PingRequest, PingStamp: now,
		MonoPingStamp: now.Sub(h.start), MonoSendStamp: now.Sub(h.start), UpFrom: d.upEpoch.Load(),
		MinMessageSize: uint32(d.cfg.Options.Int("osd_heartbeat_min_size"))}
	h.watch.asked(osd, now)
	for s := range sides {
		if len(p.at[s]) == 0 {
			continue
		}
		if conns[s] == nil {
			conns[s] = d.nets.hbClient.Connect(p.at[s], entity.TypeOSD)
			conns[s].SetValue(pinger{osd, s})
		}
		if _, queued := conns[s].Queued(); queued < pingQueueMax {
			d.send(conns[s], ping)
		}
	}
}

// tell sends the monitors a report.
func (h *heartbeats) tell(d *Daemon, f failure, now time.Time) {
	epoch := d.current.Load().Epoch
	msg := &message.OSDFailure{Paxos: message.Paxos{Have: uint64(epoch)}, FSID: d.fsid(), Target: f.osd,
		TargetAddrs: f.addrs, Epoch: epoch, Flags: message.FailureAlive}
	if !f.alive {
		msg.Flags, msg.FailedFor = message.FailureFailed, int32(now.Sub(f.since).Seconds())
	}
	if f.refused && !f.alive {
		msg.Flags |= message.FailureImmediate
	}
	d.mon.Send(msg)
}

// mine returns what a connection is for, if it is in use. mu is held.
func (h *heartbeats) mine(c *msgr.Conn) (pinger, bool) {
	p, ok := c.Value().(pinger)
	return p, ok && h.conns[p.osd] != nil && h.conns[p.osd][p.side] == c
}

// answered notes a reply, and takes back a report that proved wrong.
func (h *heartbeats) answered(d *Daemon, c *msgr.Conn, stamp, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p, ok := h.mine(c)
	if !ok {
		return
	}
	if f, tell := h.watch.answered(p.osd, p.side, stamp, now); tell {
		h.tell(d, f, now)
	}
}

// lost notes that a connection is gone, and asks at once whether its peer is too: a
// process that ended refuses the next one. A peer that closes every connection is
// asked once a second.
func (h *heartbeats) lost(d *Daemon, c *msgr.Conn, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p, ok := h.mine(c)
	if !ok {
		return
	}
	h.conns[p.osd][p.side] = nil
	if d.is(stateActive) && h.watch.mayAskAgain(p.osd, now) {
		h.ping(d, p.osd, now)
	}
}

// refused notes that nobody listens where the peer should. Attempts go on.
func (h *heartbeats) refused(d *Daemon, c *msgr.Conn, now time.Time) {
	if !d.cfg.Options.Bool("osd_fast_fail_on_connection_refused") {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if p, ok := h.mine(c); ok {
		h.watch.refusedAt(p.osd, now)
		if d.is(stateActive) {
			h.tellFailures(d, now)
		}
	}
}

// list returns the OSDs watched, in order.
func (h *heartbeats) list() []int32 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.watch.peers))
}

// pingDispatcher answers heartbeats.
type pingDispatcher Daemon

// pingQueueMax bounds what is kept for a peer that does not read, bytes.
const pingQueueMax = 1 << 20

func (p *pingDispatcher) Dispatch(c *msgr.Conn, m *msgr.Message) {
	d := (*Daemon)(p)
	b := d.decode(c, m)
	if b == nil {
		return
	}
	ping, ok := b.(*message.OSDPing)
	switch {
	case !ok || ping.Op != message.PingRequest:
		c.Fail("unexpected " + message.TypeName(b.Type()) + " where only heartbeats are answered")
		return
	case ping.FSID != d.fsid():
		c.Fail("heartbeat of another cluster, " + ping.FSID.String())
		return
	case !d.is(stateActive):
		return // who is not up must not look alive
	}
	if _, queued := c.Queued(); queued > pingQueueMax {
		return
	}
	from := int32(c.Peer().Num)
	cur := d.current.Load()
	d.peerHas(from, ping.MapEpoch)
	reply := *ping
	reply.Op, reply.MapEpoch, reply.UpFrom = message.PingReply, cur.Epoch, d.upEpoch.Load()
	if cur.IsDown(from) && cur.Epoch > ping.MapEpoch {
		reply.Op = message.PingYouDied
	}
	d.send(c, &reply)
}

func (p *pingDispatcher) Connected(*msgr.Conn)   {}
func (p *pingDispatcher) Accepted(*msgr.Conn)    {}
func (p *pingDispatcher) Reset(*msgr.Conn)       {}
func (p *pingDispatcher) RemoteReset(*msgr.Conn) {}
func (p *pingDispatcher) Refused(*msgr.Conn)     {}

// pongDispatcher takes the answers.
type pongDispatcher Daemon

func (p *pongDispatcher) Dispatch(c *msgr.Conn, m *msgr.Message) {
	d := (*Daemon)(p)
	ping, ok := d.decode(c, m).(*message.OSDPing)
	from, known := c.Value().(pinger)
	if !ok || !known || ping.FSID != d.fsid() {
		return
	}
	switch ping.Op {
	case message.PingReply:
		d.peerHas(from.osd, ping.MapEpoch)
		d.hb.answered(d, c, ping.PingStamp, time.Now())
	case message.PingYouDied:
		d.subscribeMaps()
	}
}

func (p *pongDispatcher) Connected(*msgr.Conn)   {}
func (p *pongDispatcher) Accepted(*msgr.Conn)    {}
func (p *pongDispatcher) Reset(c *msgr.Conn)     { d := (*Daemon)(p); d.hb.lost(d, c, time.Now()) }
func (p *pongDispatcher) RemoteReset(*msgr.Conn) {}
func (p *pongDispatcher) Refused(c *msgr.Conn)   { d := (*Daemon)(p); d.hb.refused(d, c, time.Now()) }
