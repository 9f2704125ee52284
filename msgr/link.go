package msgr

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"sepiola/entity"
)

// link is the driver of one socket. A goroutine reads from it for as long as it
// lives; another writes to it while there is something to write. Its fields are
// guarded by the mu of the session that owns it, unless stated otherwise.
type link struct {
	m     *Messenger
	t     Link
	owner atomic.Pointer[Conn] // changes under the mu of both owners

	control []byte // frames to write before any message taken later
	writing bool   // a writer is at work
	opened  bool   // the session is open: messages may arrive

	// The authentication in progress; only the reader uses them.
	client AuthClientExchange
	server AuthServerExchange

	ctx    context.Context // ends with the link; unguarded
	cancel context.CancelFunc
	timer  *time.Timer // of the handshake; set before the link is shared

	closing sync.Mutex
	closed  bool  // guarded by closing
	failure error // guarded by closing: why we closed it
}

// errHandshakeTimeout is why links end that do not become a session.
var errHandshakeTimeout = errors.New("no session was opened in time")

func newLink(c *Conn) *link {
	l := &link{m: c.m}
	l.owner.Store(c)
	l.ctx, l.cancel = context.WithCancel(c.m.ctx)
	l.timer = time.AfterFunc(c.m.cfg.HandshakeTimeout, func() { l.fail(errHandshakeTimeout) })
	return l
}

// fail closes the link for a reason; the reader meets it and faults the session.
func (l *link) fail(err error) {
	l.closing.Lock()
	if l.failure == nil {
		l.failure = err
	}
	l.closing.Unlock()
	l.close()
}

// close ends whatever waits for the socket.
func (l *link) close() {
	l.cancel()
	l.timer.Stop()
	l.closing.Lock()
	defer l.closing.Unlock()
	if !l.closed {
		l.closed = true
		if l.t != nil {
			l.t.Close()
		}
	}
}

// connected installs the socket. It reports false, and closes the socket, if the
// link is closed already.
func (l *link) connected(t Link) bool {
	l.closing.Lock()
	defer l.closing.Unlock()
	if l.closed {
		t.Close()
		return false
	}
	l.t = t
	return true
}

// why returns the reason the link was failed for, or else err.
func (l *link) why(err error) error {
	l.closing.Lock()
	defer l.closing.Unlock()
	if l.failure != nil {
		return l.failure
	}
	return err
}

// settled is the end of the handshake.
func (l *link) settled() {
	l.timer.Stop()
	l.opened = true
}

// lock locks the session that owns the link. It returns nil when the link is no
// session's any more.
func (l *link) lock() *Conn {
	for {
		c := l.owner.Load()
		c.mu.Lock()
		if l.owner.Load() == c {
			if c.link == l {
				return c
			}
			c.mu.Unlock()
			return nil
		}
		c.mu.Unlock()
	}
}

// dial connects, and goes on as the reader.
func (l *link) dial() {
	c := l.owner.Load()
	c.mu.Lock()
	target := c.s.target
	c.mu.Unlock()
	t, err := l.m.cfg.Transport.Dial(l.ctx, target.AddrPort)
	if err == nil && !l.connected(t) {
		err = net.ErrClosed
	}
	ev := event{kind: evLinked, linkAddr: target}
	if err != nil {
		err = l.why(err)
		ev = event{kind: evRefused, err: err, refused: errors.Is(err, syscall.ECONNREFUSED)}
	}
	r := reader{l: l, fr: newFrameReader()}
	r.fr.transcript = true
	if r.handle(&ev) && err == nil {
		r.run()
	}
}

// serve reads from an accepted link.
func (l *link) serve() {
	r := reader{l: l, fr: newFrameReader()}
	r.fr.transcript = true
	remote := entity.Msgr2(l.t.RemoteAddr())
	if r.handle(&event{kind: evAccept, linkAddr: remote}) {
		r.run()
	}
}

// reader is the goroutine that reads from a link.
type reader struct {
	l    *link
	fr   *frameReader
	ev   event  // of the message at hand, here to spare an allocation
	held budget // what has been taken from throttles for the message being received
}

func (r *reader) run() {
	for {
		n, err := r.l.t.Read(r.fr.want())
		if n > 0 {
			r.fr.got(n)
			if !r.frames() {
				break
			}
			continue
		}
		if err != nil {
			err = r.l.why(err)
			if !r.fr.open && r.fr.partial() {
				err = frameErrorf("cut off in the middle: %v", err)
			}
			r.handle(&event{kind: evLost, err: err})
			break
		}
	}
	r.held.release()
	r.l.close()
}

// frames handles what has arrived completely. It reports whether to go on.
func (r *reader) frames() bool {
	for {
		step, err := r.fr.next()
		if err != nil {
			r.handle(&event{kind: evLost, err: err})
			return false
		}
		switch step {
		case stepMore:
			return true
		case stepBanner:
			if !r.handle(&event{kind: evBanner, banner: r.fr.peer, raw: r.fr.takeRaw()}) {
				return false
			}
		case stepHead:
			if !r.throttle() {
				r.handle(&event{kind: evLost, err: r.l.why(net.ErrClosed)})
				return false
			}
		case stepFrame:
			if !r.frame() {
				return false
			}
		}
	}
}

// throttle waits until the message whose header has arrived may be received.
func (r *reader) throttle() bool {
	r.held.release() // of a message its sender gave up
	c := r.l.lock()
	if c == nil {
		return false
	}
	p := c.s.policy
	c.mu.Unlock()
	stop := r.l.ctx.Done()
	b := budget{size: r.fr.pre.payloadLen()}
	if p.ThrottleMessages != nil {
		if !p.ThrottleMessages.Get(1, stop) {
			return false
		}
		b.messages = p.ThrottleMessages
	}
	for _, t := range [...]struct {
		from *Throttle
		to   **Throttle
	}{{p.ThrottleBytes, &b.bytes}, {r.l.m.cfg.DispatchThrottle, &b.dispatch}} {
		if t.from == nil || b.size == 0 {
			continue
		}
		if !t.from.Get(b.size, stop) {
			b.release()
			return false
		}
		*t.to = t.from
	}
	r.held = b
	return true
}

// frame handles a complete frame.
func (r *reader) frame() bool {
	out := &r.fr.out
	if out.tag == tagMessage {
		return r.message()
	}
	ctl, err := decodeControl(out.tag, out.payload)
	if err != nil {
		r.handle(&event{kind: evLost, err: err})
		return false
	}
	return r.handle(&event{kind: frameEvent(out.tag), control: ctl, raw: r.fr.takeRaw()})
}

func (r *reader) message() bool {
	h := &r.fr.out.head
	m := &Message{
		Type: h.kind, Priority: h.priority, Version: h.version, CompatVersion: h.compatVersion,
		TID: h.tid, Seq: h.seq, DataOff: h.dataOff,
		budget: r.held,
	}
	segs := &r.fr.out.segs
	m.Front, m.Middle, m.Data = m.own(0, segs[1]), m.own(1, segs[2]), m.own(2, segs[3])
	r.held = budget{}
	r.ev = event{kind: frameEvent(tagMessage), head: h, msg: m}
	ok := r.handle(&r.ev)
	if m.budget.held() {
		m.budget.releaseDispatch()
	} else {
		m.Release()
	}
	return ok
}

// handle takes an event to the session that owns the link, and sees to what
// follows from it. It reports whether to go on reading.
func (r *reader) handle(ev *event) bool {
	c := r.l.owner.Load()
	c.turn.Lock()
	defer func() { c.turn.Unlock() }()
	for {
		if r.l.lock() == nil {
			// Closed, or another link has taken over.
			c.settle()
			return false
		}
		c.step(ev)
		deliver := c.fx.deliver
		errand, has := c.errand, c.hasErr
		c.errand, c.hasErr = action{}, false
		told := len(c.notes) > 0
		alive := c.link == r.l
		closed := c.s.state == stateClosed
		if alive {
			r.fr.open = r.l.opened
			r.fr.rev1 = c.s.link.rev1
			r.fr.transcript = !r.l.opened && !c.s.link.rx.done
		}
		c.mu.Unlock()
		if told {
			c.settle()
		}
		if deliver {
			c.m.dispatcher.Dispatch(c, ev.msg)
		}
		if closed {
			c.m.forget(c)
		}
		if !has {
			return alive
		}
		if errand.kind == actPlace {
			if owner := c.m.place(c, r.l); owner != c {
				c.turn.Unlock()
				c = owner
				c.turn.Lock()
			}
			c.settle()
			r.fr.open = r.l.isOpened()
			return true
		}
		ev = r.errand(c, &errand)
	}
}

// isOpened reports whether messages may arrive.
func (l *link) isOpened() bool {
	c := l.lock()
	if c == nil {
		return false
	}
	defer c.mu.Unlock()
	return l.opened
}

// errand turns to the authentication client or server, and returns the event of its
// answer.
func (r *reader) errand(c *Conn, a *action) *event {
	if a.kind == actJudge {
		return &event{kind: evVerdict, verdict: r.l.judge(c.s.kind, &a.ask)}
	}
	return &event{kind: evAnswer, answer: r.l.answer(c.s.kind, &a.ask)}
}

func (l *link) judge(kind entity.Type, ask *authAsk) AuthResult {
	if ask.kind == askRequest {
		l.server = l.m.cfg.AuthServer.Begin(kind, l.t.RemoteAddr())
		return l.server.Request(ask.method, ask.payload)
	}
	return l.server.More(ask.payload)
}

func (l *link) answer(kind entity.Type, ask *authAsk) (a authAnswer) {
	if l.client == nil {
		l.client = l.m.cfg.AuthClient.Begin(kind)
	}
	switch ask.kind {
	case askRequest:
		a.method, a.payload, a.err = l.client.Request(ask.allowed)
	case askMore:
		a.payload, a.err = l.client.More(ask.payload)
	case askDone:
		a.key, a.err = l.client.Done(ask.globalID, ask.payload)
	}
	return a
}

// writer is what a writing goroutine works with; it is reused.
type writer struct {
	b       batch
	vector  net.Buffers
	msgs    []outgoing
	control []byte
	rev1    bool
}

var writers = sync.Pool{New: func() any { return new(writer) }}

// write writes until there is nothing left to write.
func (l *link) write() {
	w := writers.Get().(*writer)
	defer w.recycle()
	for l.take(w) {
		if err := w.flush(l); err != nil {
			l.fail(fmt.Errorf("write: %w", err))
			return
		}
	}
}

func (w *writer) recycle() {
	w.b.reset()
	clear(w.msgs[:cap(w.msgs)])
	w.msgs = w.msgs[:0]
	w.control = nil
	w.vector = nil
	writers.Put(w)
}

// take collects the next batch. It reports false when there is none, and then
// the writer is done.
func (l *link) take(w *writer) bool {
	c := l.lock()
	if c == nil {
		return false
	}
	defer c.mu.Unlock()
	w.b.reset()
	w.msgs = w.msgs[:0]
	w.control = c.s.takeControl(l.control, l.m.stamp())
	l.control = nil
	w.rev1 = c.s.link.rev1
	for bytes := 0; len(w.msgs) < batchMessages && bytes < batchBytes; {
		o, ok := c.s.take()
		if !ok {
			break
		}
		bytes += o.msg.Len()
		w.msgs = append(w.msgs, o)
	}
	if len(w.msgs) > 0 && c.taken != nil {
		close(c.taken)
		c.taken = nil
	}
	if len(w.control) == 0 && len(w.msgs) == 0 {
		l.writing = false
		return false
	}
	return true
}

// flush encodes and writes the batch.
func (w *writer) flush(l *link) error {
	if len(w.control) > 0 {
		w.b.frame(w.control)
	}
	for i := range w.msgs {
		if !w.b.room() {
			if err := w.send(l); err != nil {
				return err
			}
		}
		o := &w.msgs[i]
		w.b.message(w.rev1, &messageHead{
			seq: o.seq, tid: o.msg.TID, kind: o.msg.Type, priority: o.msg.Priority,
			version: o.msg.Version, dataOff: o.msg.DataOff, ackSeq: o.ack,
			compatVersion: o.msg.CompatVersion,
		}, o.msg)
	}
	return w.send(l)
}

func (w *writer) send(l *link) error {
	w.b.flush()
	w.vector = w.b.iov
	err := l.t.WriteBuffers(&w.vector)
	w.b.reset()
	return err
}
