package msgr

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"

	"sepiola/entity"
	"sepiola/wire"
)

// A simWorld is a few endpoints with sessions among them, in one goroutine and
// without time: whatever may happen next is a choice, and a seed makes them all.
// The state machine, the frame reader and writer and the rulings on accepted
// links are the real ones; this file is their driver in place of Conn and link.
type simWorld struct {
	rng    *rand.Rand
	plan   simPlan
	eps    []*simEndpoint
	links  []*simLink
	timers []*simTimer
	faults bool // links break, endpoints restart
	steps  int
	cuts   int
	next   uint64 // cookie
	quiet  int    // the endpoint that has nothing to say at first; below 0 for none
	err    error
	cutter *cutter // breaks links where it is told to; nil for nowhere
	trace  func(format string, args ...any)
}

// simPlan is what a run is made of.
type simPlan struct {
	name     string
	policies [2]Policy // of the lower and of the higher endpoint of a pair
	restarts bool
	newNonce bool // a restarted endpoint has another nonce, and peers learn it from a map
}

// simEndpoint is one messenger.
type simEndpoint struct {
	w      *simWorld
	num    int
	life   int // incarnation
	addr   entity.Addr
	env    environ
	seq    uint64
	byAddr map[entity.Addr]*simConn
	all    []*simConn
	to     []simStream // by number of the other endpoint
	from   []simStream
	last   []simStream // as from, but outlives restarts
}

// simStream is one direction between two endpoints.
type simStream struct {
	generation int // of the sender's session: ends when the owner hears of a reset
	next       int // the number of the next message sent, or expected
	life       int // of the other end; receiver's side
	sent       int // messages of all generations
}

// simConn is a session with its driver.
type simConn struct {
	ep     *simEndpoint
	peer   int // endpoint number, -1 while unknown
	s      session
	fx     effects
	side   *simSide
	attach *simSide
	timer  *simTimer
	ack    *simTimer
}

type simTimer struct {
	c     *simConn
	kind  eventKind
	after int64
}

// simLink is a socket; side 0 is the one that dialed.
type simLink struct {
	sides [2]simSide
	to    entity.Addr // whom it was dialed to
	up    bool        // accepted
}

type simSide struct {
	link   *simLink
	other  *simSide
	owner  *simConn
	fr     *frameReader
	pipe   []byte // on the way to this side
	ctl    []byte // frames to write before any message
	flush  bool   // there is something to take for the link
	opened bool
	closed bool // by this side
	broken bool // reads fail once the pipe is drained, writes at once
	stall  int  // the step until which nothing arrives
}

var errSim = errors.New("cut by the simulation")

func newSimWorld(seed uint64, n int, plan simPlan) *simWorld {
	w := &simWorld{rng: rand.New(rand.NewPCG(seed, 77)), plan: plan, faults: true, trace: func(string, ...any) {}}
	w.quiet = w.rng.IntN(n+2) - 2
	for i := range n {
		ep := &simEndpoint{w: w, num: i, to: make([]simStream, n), from: make([]simStream, n), last: make([]simStream, n)}
		w.eps = append(w.eps, ep)
		ep.boot()
	}
	return w
}

// boot makes the endpoint a new incarnation.
func (ep *simEndpoint) boot() {
	ep.life++
	nonce := uint32(1)
	if ep.w.plan.newNonce {
		nonce = uint32(ep.life)
	}
	ep.addr = entity.Addr{
		Type: entity.AddrMsgr2, Nonce: nonce,
		AddrPort: netip.AddrPortFrom(loopback.Addr(), uint16(100+ep.num)),
	}
	ep.byAddr, ep.all, ep.seq = map[entity.Addr]*simConn{}, nil, 0
	for i := range ep.to {
		ep.to[i] = simStream{sent: ep.to[i].sent}
		ep.from[i] = simStream{}
	}
	ep.env = environ{
		self:   func() identity { return identity{entity.OSD(int32(ep.num)), entity.AddrVec{ep.addr}} },
		policy: func(entity.Type) Policy { return ep.policy() },
		cookie: func() uint64 { ep.w.next++; return ep.w.next },
		globalSeq: func(atLeast uint64) uint64 {
			ep.seq = max(ep.seq, atLeast) + 1
			return ep.seq
		},
		methods:      func(entity.Type) []AuthMethod { return []AuthMethod{AuthMethodNone} },
		backoffFirst: 1, backoffMax: 8, ackDelay: 1,
	}
}

// policy: where the two ends differ, endpoint 0 is the server.
func (ep *simEndpoint) policy() Policy {
	if ep.num == 0 {
		return ep.w.plan.policies[0]
	}
	return ep.w.plan.policies[1]
}

func (w *simWorld) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("step %d: %s", w.steps, fmt.Sprintf(format, args...))
	}
}

func (w *simWorld) byPort(a entity.Addr) *simEndpoint { return w.eps[a.Port()-100] }

// connect is Messenger.Connect.
func (ep *simEndpoint) connect(to *simEndpoint) *simConn {
	if c := ep.byAddr[to.addr]; c != nil && c.s.state != stateClosed {
		return c
	}
	c := ep.conn()
	c.peer = to.num
	c.s.kind, c.s.target, c.s.addrs = entity.TypeOSD, to.addr, entity.AddrVec{to.addr}
	c.s.policy = ep.policy()
	ep.byAddr[to.addr] = c
	c.step(&event{kind: evConnect})
	return c
}

func (ep *simEndpoint) conn() *simConn {
	c := &simConn{ep: ep, peer: -1}
	c.s = *newSession(&ep.env)
	ep.all = append(ep.all, c)
	return c
}

func (ep *simEndpoint) forget(c *simConn) {
	ep.all = slices.DeleteFunc(ep.all, func(o *simConn) bool { return o == c })
	if ep.byAddr[c.s.target] == c {
		delete(ep.byAddr, c.s.target)
	}
}

// markDown is what a map does that says the peer is another now.
func (ep *simEndpoint) markDown(c *simConn) {
	c.step(&event{kind: evMarkDown})
	ep.forget(c)
	if c.peer >= 0 {
		ep.to[c.peer] = simStream{generation: ep.to[c.peer].generation + 1, sent: ep.to[c.peer].sent}
	}
}

// restart ends the endpoint and everything it knew.
func (ep *simEndpoint) restart() {
	for _, c := range slices.Clone(ep.all) {
		c.step(&event{kind: evMarkDown})
	}
	ep.w.timers = slices.DeleteFunc(ep.w.timers, func(t *simTimer) bool { return t.c.ep == ep })
	ep.boot()
}

// step is Conn.step.
func (c *simConn) step(ev *event) {
	was := c.s.state
	c.fx.reset()
	c.s.step(ev, &c.fx)
	if c.fx.offence && !c.ep.w.plan.restarts {
		c.ep.w.fail("osd.%d in state %v blames its peer: %v", c.ep.num, was, c.fx.reason)
	}
	for i := range c.fx.list {
		c.do(&c.fx.list[i])
	}
	c.ep.w.trace("    osd.%d:%d %v + %v -> %v", c.ep.num, c.peer, was, ev.kind, c.s.state)
}

func (c *simConn) do(a *action) {
	w := c.ep.w
	switch a.kind {
	case actDial:
		l := &simLink{to: c.s.target}
		l.sides[0] = simSide{link: l, other: &l.sides[1], owner: c, fr: newFrameReader()}
		l.sides[1] = simSide{link: l, other: &l.sides[0], fr: newFrameReader()}
		l.sides[0].fr.transcript, l.sides[1].fr.transcript = true, true
		w.links = append(w.links, l)
		c.side = &l.sides[0]
	case actHangUp:
		c.side.close()
		c.side = nil
	case actAttach:
		c.side, c.attach = c.attach, nil
	case actWrite:
		c.side.ctl = append(c.side.ctl, a.bytes...)
		c.side.flush = true
	case actFlush:
		if c.side != nil {
			c.side.flush = true
		}
	case actBackoff:
		c.timer = w.arm(c, evBackoffOver, int64(a.after))
	case actStopTimer:
		w.disarm(c.timer)
		c.timer = nil
	case actAckTimer:
		c.ack = w.arm(c, evAckDue, int64(a.after))
	case actOpened:
		c.side.opened = true
	case actNotify:
		c.told(a.notice)
	}
}

func (w *simWorld) arm(c *simConn, k eventKind, after int64) *simTimer {
	t := &simTimer{c, k, after}
	w.timers = append(w.timers, t)
	return t
}

func (w *simWorld) disarm(t *simTimer) {
	w.timers = slices.DeleteFunc(w.timers, func(o *simTimer) bool { return o == t })
}

func (c *simConn) told(n notice) {
	ep := c.ep
	switch n {
	case noticeReset, noticeRemoteReset:
		if !ep.w.plan.restarts && !c.s.policy.Lossy {
			ep.w.fail("osd.%d was told of a reset by osd.%d, which has its state", ep.num, c.peer)
		}
		if c.peer >= 0 {
			ep.to[c.peer] = simStream{generation: ep.to[c.peer].generation + 1, sent: ep.to[c.peer].sent}
		}
	}
	if n == noticeReset {
		ep.forget(c)
	}
}

// close is what one side does; the other meets the end after what is on its way,
// or before.
func (s *simSide) close() {
	s.closed = true
	s.pipe, s.ctl, s.flush = nil, nil, false
	if s.link.up || s.other.owner != nil {
		s.other.broken = true
	}
}

// mayAct reports whether the side's owner has an event to take from the link.
func (w *simWorld) mayAct(s *simSide) bool {
	return !s.closed && s.owner != nil && (len(s.pipe) > 0 || s.broken) && s.stall <= w.steps
}

// write moves what is due to the pipe: link.take and writer.flush.
func (w *simWorld) write(s *simSide) {
	c := s.owner
	var b batch
	b.reset()
	ctl := c.s.takeControl(s.ctl, stamp{sec: uint32(w.steps)})
	s.ctl = nil
	if len(ctl) > 0 {
		b.frame(ctl)
	}
	n := 0
	for max := 1 + w.rng.IntN(4); n < max; n++ {
		o, ok := c.s.take()
		if !ok {
			s.flush = false
			break
		}
		b.message(c.s.link.rev1, &messageHead{seq: o.seq, tid: o.msg.TID, kind: o.msg.Type, priority: o.msg.Priority, ackSeq: o.ack}, o.msg)
	}
	b.flush()
	if !s.broken && !s.other.broken {
		s.other.pipe = append(s.other.pipe, wire.Buf(b.iov).Flat()...)
	}
	w.trace("osd.%d writes to osd.%d: %d bytes of control, %d messages", c.ep.num, c.peer, len(ctl), n)
}

// read takes n bytes from the pipe, or the link's end.
func (w *simWorld) read(s *simSide, n int) {
	if n == 0 {
		s.handle(&event{kind: evLost, err: errSim})
		return
	}
	n, cut := w.cutter.due(n)
	for n > 0 && !s.closed {
		k := copy(s.fr.want(), s.pipe[:n])
		s.pipe, n = s.pipe[k:], n-k
		s.fr.got(k)
		s.frames()
	}
	if cut {
		w.trace("cut the link to %v", s.link.to)
		w.cutter.at(s)
	}
}

func (s *simSide) frames() {
	for !s.closed {
		step, err := s.fr.next()
		if err != nil {
			s.owner.ep.w.fail("osd.%d cannot read what osd.%d sent: %v", s.owner.ep.num, s.owner.peer, err)
			s.handle(&event{kind: evLost, err: err})
			return
		}
		ok := true
		switch step {
		case stepMore:
			return
		case stepBanner:
			ok = s.handle(&event{kind: evBanner, banner: s.fr.peer, raw: s.fr.takeRaw()})
		case stepFrame:
			ok = s.frame()
		}
		if !ok {
			return
		}
	}
}

func (s *simSide) frame() bool {
	out := &s.fr.out
	if out.tag == tagMessage {
		return s.handle(&event{kind: frameEvent(tagMessage), head: &out.head, msg: &Message{TID: out.head.tid, Data: out.segs[3]}})
	}
	ctl, err := decodeControl(out.tag, out.payload)
	if err != nil {
		s.owner.ep.w.fail("%v", err)
		return false
	}
	return s.handle(&event{kind: frameEvent(out.tag), control: ctl, raw: s.fr.takeRaw()})
}

// handle is reader.handle. It reports whether to go on reading.
func (s *simSide) handle(ev *event) bool {
	for {
		c := s.owner
		if c.side != s {
			return false
		}
		c.step(ev)
		errand := action{kind: actNotify}
		for _, a := range c.fx.list {
			if a.kind == actAsk || a.kind == actJudge || a.kind == actPlace {
				errand = a
			}
		}
		alive := c.side == s
		if alive {
			s.fr.open, s.fr.rev1 = s.opened, c.s.link.rev1
			s.fr.transcript = !s.opened && !c.s.link.rx.done
		}
		if c.fx.deliver {
			c.ep.deliver(c, ev.msg)
		}
		if c.s.state == stateClosed {
			c.ep.forget(c)
		}
		switch errand.kind {
		case actAsk:
			ev = &event{kind: evAnswer, answer: authAnswer{method: AuthMethodNone}}
		case actJudge:
			ev = &event{kind: evVerdict, verdict: AuthResult{Status: AuthDone}}
		case actPlace:
			c.ep.place(c, s)
			s.fr.open = s.opened
			return !s.closed
		default:
			return alive
		}
	}
}

// place is Messenger.place.
func (ep *simEndpoint) place(c *simConn, s *simSide) {
	key := c.s.target
	c.peer = int(key.Port()) - 100
	existing := ep.byAddr[key]
	var old *session
	if existing != nil {
		old = &existing.s
	}
	r := rule(&c.s, old, ep.addr)
	if old != nil {
		ep.w.trace("    osd.%d places a link of osd.%d (cookie %d, global %d) beside %v (cookies %d %d, global %d): %d %T",
			ep.num, c.peer, c.s.clientCookie, c.s.peerGlobalSeq, old.state, old.clientCookie, old.serverCookie, old.peerGlobalSeq, r.placement, r.reply)
	}
	switch r.placement {
	case placeReplace:
		existing.step(&event{kind: evReplaced})
		fallthrough
	case placeOwn:
		c.step(&event{kind: evPlaced})
		if c.s.registered() {
			ep.byAddr[key] = c
		}
	case placeAdopt:
		existing.attach, s.owner = s, existing
		existing.step(&event{kind: evAdopt, other: &c.s, reset: r.reset, resumed: c.s.link.reconnect != nil})
		c.step(&event{kind: evMoved})
		c.side = nil
		ep.forget(c)
	case placeReject:
		c.step(&event{kind: evRejected, control: r.reply})
		switch {
		case r.wake:
			existing.step(&event{kind: evWake})
		case r.yield:
			existing.step(&event{kind: evYield})
		}
	case placeDrop:
		c.step(&event{kind: evLost, err: r.reason})
		ep.forget(c)
	}
}

// simTID packs what identifies a message: its sender's incarnation, the
// generation of the session and the number in it.
func simTID(life, generation, n int) uint64 {
	return uint64(life)<<48 | uint64(generation)<<32 | uint64(n)
}

// send gives the session with endpoint to one more message.
func (ep *simEndpoint) send(c *simConn) {
	st := &ep.to[c.peer]
	m := &Message{Type: 9, Priority: PriorityDefault, TID: simTID(ep.life, st.generation, st.next)}
	if ep.w.rng.IntN(3) == 0 {
		m.Data = wire.BufOf(make([]byte, ep.w.rng.IntN(600)))
	}
	ep.w.trace("osd.%d sends %d.%d to osd.%d", ep.num, st.generation, st.next, c.peer)
	st.next++
	st.sent++
	c.step(&event{kind: evSend, msg: m})
}

// deliver checks order: within a generation of the sender's session every message
// follows its predecessor, and generations do not mix.
func (ep *simEndpoint) deliver(c *simConn, m *Message) {
	life, generation, n := int(m.TID>>48), int(m.TID>>32&0xffff), int(uint32(m.TID))
	st := &ep.from[c.peer]
	ep.w.trace("    osd.%d has %d.%d of osd.%d, life %d", ep.num, generation, n, c.peer, life)
	lossy := c.s.policy.Lossy
	switch {
	case life < st.life || life == st.life && generation < st.generation:
		ep.w.fail("osd.%d: message %d of session %d.%d of osd.%d came after session %d.%d", ep.num, n, life, generation, c.peer, st.life, st.generation)
	case life > st.life || generation > st.generation:
		*st = simStream{life: life, generation: generation}
	}
	if n != st.next && !(lossy && n > st.next) && !(ep.life > 1 && st.next == 0 && !c.s.policy.ResetCheck) {
		ep.w.fail("osd.%d: message %d of session %d.%d of osd.%d came, %d was due", ep.num, n, life, generation, c.peer, st.next)
	}
	st.next = n + 1
	ep.last[c.peer] = *st
}

func (w *simWorld) dump() string {
	var b strings.Builder
	for _, ep := range w.eps {
		for _, c := range ep.all {
			fmt.Fprintf(&b, "osd.%d life %d with osd.%d: %v, cookies %d %d, in_seq %d, out_seq %d, queued %d, sent %d (%d on the link), timers %d\n",
				ep.num, ep.life, c.peer, c.s.state, c.s.clientCookie, c.s.serverCookie, c.s.inSeq, c.s.outSeq, c.s.queue.len(), c.s.sent.ring.len(), c.s.sent.wired, len(w.timers))
		}
	}
	return b.String()
}
