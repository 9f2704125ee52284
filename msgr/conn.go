package msgr

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"sepiola/entity"
)

// Conn is a session with one peer, over as many sockets as it takes.
//
// It is the driver of a session's state machine. Every step is taken under mu.
// What the machine asks for is done under mu too if it cannot wait; callbacks to
// the owner, authentication and placement are left to the goroutine that reads
// from the link. That goroutine holds turn while it does so: a link that takes
// over waits until the reader of the one before is out of its callback, which
// keeps the order of messages.
//
// Locks are taken in the order turn, Messenger.mu, mu.
type Conn struct {
	m    *Messenger
	turn sync.Mutex

	mu       sync.Mutex
	s        session
	fx       effects
	sending  event // of Send, here to spare an allocation
	link     *link // the current one; it may be still dialing
	attach   *link // the link of an evAdopt in progress
	notes    []notice
	errand   action // what the reader has to see to before the next frame
	hasErr   bool
	backoff  *time.Timer
	ackTimer *time.Timer
	value    any
}

// errMarkedDown is logged, at debug, for links of sessions their owner ended.
var errMarkedDown = errors.New("marked down")

func newConn(m *Messenger) *Conn {
	c := &Conn{m: m}
	m.counters.created.Add(1)
	c.s = *newSession(&m.env)
	return c
}

// Send queues a message; it never waits for the network. On a lossless session
// the message stays queued until the peer has acknowledged it. The error is
// [ErrClosed], or wraps [ErrTooLarge].
//
// The queue's length is the sender's affair: it holds what was sent and not yet
// taken by the network, so a sender that only answers requests, or limits its own
// requests in flight, bounds it; with Policy.QueueMax a peer that does not read the
// answers is not listened to. [Conn.Queued] tells how much it is.
func (c *Conn) Send(m *Message) error {
	if m.Front.Len() > MaxFront || m.Middle.Len() > MaxMiddle || m.Data.Len() > MaxData {
		return fmt.Errorf("%w: %v", ErrTooLarge, m)
	}
	c.mu.Lock()
	if c.s.state == stateClosed {
		c.mu.Unlock()
		return ErrClosed
	}
	// A question alone and its answer are what a worker would make slower; of many
	// it makes one write.
	l := c.link
	self := l != nil && l.lone && !l.writing && m.Len() <= writeSelfMax
	if self {
		l.writing = true
	}
	c.sending = event{kind: evSend, msg: m}
	c.step(&c.sending)
	c.sending.msg = nil
	c.mu.Unlock()
	if self {
		l.writeAll(0)
	}
	return nil
}

// Queued returns the messages and payload bytes that wait to be sent or
// acknowledged.
func (c *Conn) Queued() (messages, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.s.queue.len() + c.s.sent.ring.len(), c.s.queue.bytes + c.s.sent.bytes
}

// crowded reports whether so much is queued that no more is to be read. mu is held.
func (c *Conn) crowded() bool {
	max := c.s.policy.QueueMax
	return max > 0 && c.s.queue.bytes > max && c.s.state == stateOpen
}

// MarkDown ends the session now, drops what is queued, and calls nobody back.
func (c *Conn) MarkDown() {
	c.mu.Lock()
	c.notes = nil
	c.step(&event{kind: evMarkDown, err: errMarkedDown})
	c.mu.Unlock()
	c.m.forget(c)
}

// Fail gives up the socket because of what the peer sent, with one log line that
// names the peer and the reason. A lossy session ends with it, and
// [Dispatcher.Reset] follows; a lossless one goes on over another socket, without
// the message being repeated.
func (c *Conn) Fail(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link != nil {
		c.link.fail(&offence{errors.New(reason)})
	}
}

// offence marks an error that the peer is to blame for; such are logged.
type offence struct{ error }

func (o *offence) Unwrap() error { return o.error }

// Peer returns who the peer is; the number is -1 until its session is open.
func (c *Conn) Peer() entity.Name {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.s.peer()
}

// PeerAddrs returns the peer's addresses, as it says or as we connect to it.
func (c *Conn) PeerAddrs() entity.AddrVec {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.s.addrs
}

// PeerGlobalID returns the cluster-wide number the session was authenticated
// with: the peer's, if it connected to us; ours, if we connected to it.
func (c *Conn) PeerGlobalID() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.s.identity.GlobalID
}

// Auth returns what authentication established about a peer that connected to
// us.
func (c *Conn) Auth() AuthIdentity {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.s.identity
}

// Features returns what both ends support (CEPH_FEATURE_*); 0 until the session
// is open.
func (c *Conn) Features() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.s.features
}

// Keepalive asks the peer for a sign of life.
func (c *Conn) Keepalive() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.step(&event{kind: evKeepalive})
}

// LastKeepaliveAck returns when the keepalive that the peer answered last was
// sent; zero when none was.
func (c *Conn) LastKeepaliveAck() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.s.lastPong == (stamp{}) {
		return time.Time{}
	}
	return time.Unix(int64(c.s.lastPong.sec), int64(c.s.lastPong.nsec))
}

// IsConnected reports whether the session is open and has a working socket.
func (c *Conn) IsConnected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.s.state == stateOpen
}

// Value returns what SetValue stored: the owner's session object.
func (c *Conn) Value() any {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.value
}

// SetValue stores the owner's session object.
func (c *Conn) SetValue(v any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.value = v
}

// Messenger returns the messenger the session belongs to.
func (c *Conn) Messenger() *Messenger { return c.m }

// step takes a step and carries out its effects. mu is held.
func (c *Conn) step(ev *event) {
	c.fx.reset()
	l := c.link
	c.s.step(ev, &c.fx)
	for i := range c.fx.list {
		c.do(&c.fx.list[i])
	}
	if c.fx.reason != nil {
		c.logFault(l)
	}
}

func (c *Conn) logFault(l *link) {
	log := c.m.log
	var blame *offence
	if c.fx.offence || errors.As(c.fx.reason, &blame) || errors.Is(c.fx.reason, errFrame) {
		log.Warn("connection closed for what the peer sent", "peer", c.describe(l), "reason", c.fx.reason)
		return
	}
	if log.IsDebug() {
		log.Debug("connection lost", "peer", c.describe(l), "reason", c.fx.reason, "state", c.s.state)
	}
}

// describe names the peer for the log, as well as it is known.
func (c *Conn) describe(l *link) string {
	where := "?"
	switch {
	case len(c.s.addrs) > 0:
		where = c.s.addrs.String()
	case l != nil && l.t != nil:
		where = l.t.RemoteAddr().String()
	}
	if c.s.kind == 0 {
		return where
	}
	return c.s.peer().String() + " " + where
}

// do carries out one effect. mu is held.
func (c *Conn) do(a *action) {
	switch a.kind {
	case actDial:
		c.link = newLink(c)
		c.m.spawn(c.link, (*link).dial)
	case actHangUp:
		c.link.close()
		c.link = nil
	case actAttach:
		c.link, c.attach = c.attach, nil
	case actWrite:
		c.link.control = append(c.link.control, a.bytes...)
		c.flush()
	case actFlush:
		c.flush()
	case actBackoff:
		c.startBackoff(a.after)
	case actStopTimer:
		c.stopBackoff()
	case actAckTimer:
		c.startAckTimer(a.after)
	case actAsk, actJudge, actPlace:
		c.errand, c.hasErr = *a, true
	case actLearn:
		c.m.learn(a.addr)
	case actOpened:
		c.m.counters.opened.Add(1)
		c.link.settled()
	case actNotify:
		c.notes = append(c.notes, a.notice)
	}
}

// flush sees to it that a writer is at work on the link.
func (c *Conn) flush() {
	if l := c.link; l != nil && !l.writing {
		l.writing = true
		c.m.workers.submit(l.write)
	}
}

func (c *Conn) startBackoff(after time.Duration) {
	var t *time.Timer
	t = time.AfterFunc(after, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.backoff == t {
			c.backoff = nil
			c.step(&event{kind: evBackoffOver})
		}
	})
	c.backoff = t
}

func (c *Conn) stopBackoff() {
	if c.backoff != nil {
		c.backoff.Stop()
		c.backoff = nil
	}
}

func (c *Conn) startAckTimer(after time.Duration) {
	if c.ackTimer != nil {
		c.ackTimer.Reset(after)
		return
	}
	c.ackTimer = time.AfterFunc(after, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.step(&event{kind: evAckDue})
	})
}

// settle tells the owner what it has to know. turn is held, mu is not.
func (c *Conn) settle() {
	for {
		c.mu.Lock()
		if len(c.notes) == 0 {
			c.mu.Unlock()
			return
		}
		n := c.notes[0]
		c.notes = c.notes[1:]
		closed := c.s.state == stateClosed
		c.mu.Unlock()
		c.tell(n, closed)
	}
}

func (c *Conn) tell(n notice, closed bool) {
	d := c.m.dispatcher
	switch n {
	case noticeConnected:
		if !closed {
			d.Connected(c)
		}
	case noticeAccepted:
		if !closed {
			d.Accepted(c)
		}
	case noticeReset:
		c.m.forget(c)
		d.Reset(c)
	case noticeRemoteReset:
		d.RemoteReset(c)
	case noticeRefused:
		d.Refused(c)
	}
}
