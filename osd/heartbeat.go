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

// heartbeats watches the OSDs this one shares placement groups with: each is asked
// over both networks every osd_heartbeat_interval, and reported to the
// monitors when it has not answered for osd_heartbeat_grace.
type heartbeats struct {
	mu       sync.Mutex
	peers    map[int32]*hbPeer
	start    time.Time
	next     time.Time
	reported map[int32]report // failures the monitors know from us
}

type report struct {
	addrs   entity.AddrVec
	upFrom  uint32
	since   time.Time
	renewed time.Time
}

// hbPeer is one OSD that is watched.
type hbPeer struct {
	upFrom      uint32
	front, back *msgr.Conn
	addrs       entity.AddrVec
	// First is when the first ping not answered was sent; zero if all were.
	asked               time.Time
	lastFront, lastBack time.Time // answers
	firstUnanswered     time.Time
	refused             bool
}

func (h *heartbeats) init() {
	h.peers, h.reported, h.start = map[int32]*hbPeer{}, map[int32]report{}, time.Now()
}

// update chooses the peers anew: the OSDs of our PGs, and others that are up until
// there are osd_heartbeat_min_peers.
func (h *heartbeats) update(d *Daemon, m *osdmap.Map) {
	if !d.is(stateActive) {
		return
	}
	want := map[int32]bool{}
	for _, s := range d.shard {
		for _, osd := range s.peerSet() {
			want[osd] = true
		}
	}
	minPeers := int(d.cfg.Options.Int("osd_heartbeat_min_peers"))
	for n := range m.MaxOSD {
		// Walk from our own number on, so that not all OSDs pick the same ones.
		osd := (d.cfg.WhoAmI + 1 + n) % m.MaxOSD
		if len(want) >= minPeers {
			break
		}
		if m.IsUp(osd) {
			want[osd] = true
		}
	}
	delete(want, d.cfg.WhoAmI)
	h.mu.Lock()
	defer h.mu.Unlock()
	for osd, p := range h.peers {
		if !want[osd] || !m.IsUp(osd) || m.Info(osd).UpFrom != p.upFrom {
			h.drop(osd)
		}
	}
	for osd := range want {
		if m.IsUp(osd) && h.peers[osd] == nil {
			h.peers[osd] = h.connect(d, m, osd)
		}
	}
	for osd, r := range h.reported {
		if !m.IsUp(osd) || m.Info(osd).UpFrom != r.upFrom {
			delete(h.reported, osd)
		}
	}
}

func (h *heartbeats) connect(d *Daemon, m *osdmap.Map, osd int32) *hbPeer {
	p := &hbPeer{upFrom: m.Info(osd).UpFrom, addrs: m.Addrs(osd)}
	if back := m.HBBackAddrsOf(osd); len(back) > 0 {
		p.back = d.nets.hbClient.Connect(back, entity.TypeOSD)
		p.back.SetValue(osd)
	}
	if front := m.HBFrontAddrsOf(osd); len(front) > 0 {
		p.front = d.nets.hbClient.Connect(front, entity.TypeOSD)
		p.front.SetValue(osd)
	}
	return p
}

func (h *heartbeats) drop(osd int32) {
	p := h.peers[osd]
	delete(h.peers, osd)
	for _, c := range []*msgr.Conn{p.back, p.front} {
		if c != nil {
			c.MarkDown()
		}
	}
}

// forget drops an OSD that is down or has moved.
func (h *heartbeats) forget(_ *Daemon, osd int32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.peers[osd] != nil {
		h.drop(osd)
	}
}

// reset drops all.
func (h *heartbeats) reset(*Daemon) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for osd := range h.peers {
		h.drop(osd)
	}
	clear(h.reported)
}

// tick sends what is due and reports who is silent.
func (h *heartbeats) tick(d *Daemon, now time.Time) {
	if !d.is(stateActive) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !now.Before(h.next) {
		h.next = now.Add(d.cfg.Options.Duration("osd_heartbeat_interval"))
		for _, p := range h.peers {
			h.ping(d, p, now)
		}
	}
	grace := d.cfg.Options.Duration("osd_heartbeat_grace")
	for _, osd := range slices.Sorted(maps.Keys(h.peers)) {
		p := h.peers[osd]
		silent := !p.firstUnanswered.IsZero() && now.Sub(p.firstUnanswered) > grace
		if silent || p.refused {
			h.report(d, osd, p, now)
		}
	}
}

func (h *heartbeats) ping(d *Daemon, p *hbPeer, now time.Time) {
	m := d.current.Load()
	ping := &message.OSDPing{FSID: d.fsid(), MapEpoch: m.Epoch, Op: message.PingRequest, PingStamp: now,
		MonoPingStamp: now.Sub(h.start), MonoSendStamp: now.Sub(h.start), UpFrom: d.upEpoch.Load(),
		MinMessageSize: uint32(d.cfg.Options.Int("osd_heartbeat_min_size"))}
	p.asked = now
	if p.firstUnanswered.IsZero() {
		p.firstUnanswered = now
	}
	for _, c := range []*msgr.Conn{p.back, p.front} {
		if c != nil {
			d.send(c, ping)
		}
	}
}

// report tells the monitors of a failure, once, and again now and then: they
// forget what a failed leader knew.
func (h *heartbeats) report(d *Daemon, osd int32, p *hbPeer, now time.Time) {
	r, known := h.reported[osd]
	if known && now.Sub(r.renewed) < d.cfg.Options.Duration("osd_mon_report_interval") {
		return
	}
	if !known {
		r = report{addrs: p.addrs, upFrom: p.upFrom, since: p.firstUnanswered}
		d.cfg.Logger.Info("peer does not answer heartbeats", "osd", osd, "refused", p.refused, "since", r.since)
	}
	r.renewed = now
	h.reported[osd] = r
	flags := message.FailureFailed
	if p.refused {
		flags |= message.FailureImmediate
	}
	d.mon.Send(&message.OSDFailure{Paxos: message.Paxos{Have: uint64(d.current.Load().Epoch)}, FSID: d.fsid(), Target: osd,
		TargetAddrs: r.addrs, Flags: flags, Epoch: d.current.Load().Epoch, FailedFor: int32(now.Sub(r.since).Seconds())})
}

// answered notes a reply, and takes back a report that proved wrong.
func (h *heartbeats) answered(d *Daemon, c *msgr.Conn, osd int32, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.peers[osd]
	switch {
	case p == nil:
		return
	case c == p.back:
		p.lastBack = now
	case c == p.front:
		p.lastFront = now
	default:
		return
	}
	p.refused = false
	if !p.lastBack.Before(p.asked) && (p.front == nil || !p.lastFront.Before(p.asked)) {
		p.firstUnanswered = time.Time{}
	}
	if r, ok := h.reported[osd]; ok && p.firstUnanswered.IsZero() {
		delete(h.reported, osd)
		d.mon.Send(&message.OSDFailure{Paxos: message.Paxos{Have: uint64(d.current.Load().Epoch)}, FSID: d.fsid(), Target: osd,
			TargetAddrs: r.addrs, Flags: message.FailureAlive, Epoch: d.current.Load().Epoch})
	}
}

// lost notes that a connection was reset or refused, and tries anew: the ping in
// it is lost.
func (h *heartbeats) lost(d *Daemon, c *msgr.Conn, refused bool) {
	osd, ok := c.Value().(int32)
	if !ok || !d.is(stateActive) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.peers[osd]
	m := d.current.Load()
	if p == nil || c != p.back && c != p.front || !m.IsUp(osd) || m.Info(osd).UpFrom != p.upFrom {
		return
	}
	if refused {
		// Nobody listens there any more: no need to wait for the grace
		// (osd_fast_fail_on_connection_refused).
		p.refused = true
		if p.firstUnanswered.IsZero() {
			p.firstUnanswered = time.Now()
		}
		return
	}
	addrs, slot := m.HBBackAddrsOf(osd), &p.back
	if c == p.front {
		addrs, slot = m.HBFrontAddrsOf(osd), &p.front
	}
	*slot = d.nets.hbClient.Connect(addrs, entity.TypeOSD)
	(*slot).SetValue(osd)
}

// list returns the OSDs watched, in order.
func (h *heartbeats) list() []int32 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.peers))
}

// pingDispatcher answers heartbeats.
type pingDispatcher Daemon

func (p *pingDispatcher) Dispatch(c *msgr.Conn, m *msgr.Message) {
	d := (*Daemon)(p)
	ping, ok := d.decode(c, m).(*message.OSDPing)
	if !ok || ping.Op != message.PingRequest {
		return
	}
	if ping.FSID != d.fsid() {
		c.Fail("heartbeat of another cluster")
		return
	}
	if !d.is(stateActive) {
		return // who is not up must not look alive
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
	osd, known := c.Value().(int32)
	if !ok || !known || ping.FSID != d.fsid() {
		return
	}
	switch ping.Op {
	case message.PingReply:
		d.peerHas(osd, ping.MapEpoch)
		d.hb.answered(d, c, osd, time.Now())
	case message.PingYouDied:
		d.subscribeMaps()
	}
}

func (p *pongDispatcher) Connected(*msgr.Conn)   {}
func (p *pongDispatcher) Accepted(*msgr.Conn)    {}
func (p *pongDispatcher) Reset(c *msgr.Conn)     { d := (*Daemon)(p); d.hb.lost(d, c, false) }
func (p *pongDispatcher) RemoteReset(*msgr.Conn) {}
func (p *pongDispatcher) Refused(c *msgr.Conn)   { d := (*Daemon)(p); d.hb.lost(d, c, true) }
