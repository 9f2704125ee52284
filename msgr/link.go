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

// link is the driver of one socket. A task of the messenger's workers reads from it
// while there is something to read, another writes to it while there is something
// to write; in between it has no goroutine. Its fields are guarded by the mu of the
// session that owns it, unless stated otherwise.
type link struct {
	m     *Messenger
	t     Link
	owner atomic.Pointer[Conn] // changes under the mu of both owners

	control []byte // frames to write before any message taken later
	writing bool   // a writer is at work, or waits for the network
	opened  bool   // the session is open: messages may arrive
	full    bool   // nothing is read until the owner's queue is shorter
	lone    bool   // a single message came, and none was sent since

	turn    atomic.Int32 // of the reading task: turnIdle, ...
	reader  reader       // of the reading task
	pending *writer      // of the writing task: what the network did not take
	read    func()       // the tasks
	write   func()
	woken   func() // wake

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

// Whether the reading task is due.
const (
	turnIdle  = iota // it has none, until wake
	turnRuns         // it runs, or is about to
	turnAgain        // it runs, and has to look again
)

// errHandshakeTimeout is why links end that do not become a session.
var errHandshakeTimeout = errors.New("no session was opened in time")

func newLink(c *Conn) *link {
	l := &link{m: c.m}
	l.reader.l = l
	l.read, l.write, l.woken = l.readTask, l.writeTask, l.wake
	l.turn.Store(turnRuns) // as start will see to
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
			l.wake()
		}
	}
}

func (l *link) isClosed() bool {
	l.closing.Lock()
	defer l.closing.Unlock()
	return l.closed
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

// dial connects, and leaves the rest to the reader.
func (l *link) dial() {
	c := l.owner.Load()
	c.mu.Lock()
	target := c.s.target
	c.mu.Unlock()
	t, err := l.m.cfg.Transport.Dial(l.ctx, target.AddrPort)
	if err == nil && !l.connected(t) {
		err = net.ErrClosed
	}
	ev := &event{kind: evLinked, linkAddr: target}
	if err != nil {
		err = l.why(err)
		ev = &event{kind: evRefused, err: err, refused: errors.Is(err, syscall.ECONNREFUSED)}
	}
	l.start(ev)
}

// start begins to read, after an event that is the link's first.
func (l *link) start(ev *event) {
	l.reader.first = ev
	l.m.workers.submit(l.read)
}

// wake makes the reading task look at the link.
func (l *link) wake() {
	for {
		switch {
		case l.turn.CompareAndSwap(turnIdle, turnRuns):
			l.m.workers.submit(l.read)
			return
		case l.turn.CompareAndSwap(turnRuns, turnAgain), l.turn.Load() == turnAgain:
			return
		}
	}
}

// readTask reads until there is nothing more.
func (l *link) readTask() {
	for {
		rest := l.reader.run()
		switch {
		case rest == restOver:
			return // and is never woken again
		case rest == restYield && !l.m.workers.busy():
			continue
		case rest == restYield:
			l.m.workers.submit(l.read)
			return
		case l.turn.CompareAndSwap(turnRuns, turnIdle):
			// From here on another task may be at work.
			if rest == restNetwork {
				l.t.Notify(false, l.woken)
			}
			return
		}
		l.turn.Store(turnRuns)
	}
}

// rest is why a reader stops.
type rest uint8

const (
	restOver    rest = iota // the link has ended
	restNetwork             // until something comes
	restWait                // until it is woken: for a throttle, or the owner's queue
	restYield               // for others that are due
)

// reader reads from a link. Only the link's reading task uses it.
type reader struct {
	l     *link
	first *event
	fr    *frameReader
	ev    event  // of the message at hand, here to spare an allocation
	held  budget // what has been taken from throttles for the message being received

	// What is still to be asked of throttles for it, and the answer that is awaited.
	ask     [3]share
	asked   int
	waiting *throttleWaiter

	crowded bool      // the owner's queue was longer than its policy says
	until   time.Time // the frame that has come is delayed until then; usually zero
}

// share is an amount of a throttle.
type share struct {
	from *Throttle
	n    int64
	to   **Throttle
}

// turnReads is how many reads a link may have before others that are due.
const turnReads = 64

// run handles what there is to read, and says why it stopped.
func (r *reader) run() rest {
	l := r.l
	if r.first != nil {
		ev := r.first
		r.first = nil
		r.fr = newFrameReader()
		r.fr.transcript = true
		if !r.handle(ev) || ev.kind == evRefused {
			return r.end()
		}
	}
	if r.waiting != nil || !r.until.IsZero() {
		if rest, goOn := r.resume(); !goOn {
			return rest
		}
	}
	var patience time.Duration
	if l.m.workers.bePatient() {
		defer l.m.workers.notPatient()
		patience = readPatience
	}
	if r.crowded && !r.frames() {
		return r.stopped()
	}
	for range turnReads {
		n, err := l.t.Read(r.fr.want(), patience)
		if !errors.Is(err, ErrWait) && l.m.cfg.Faults.breaks() {
			l.fail(errInjected)
			n, err = 0, errInjected
		}
		switch {
		case n > 0:
			r.fr.got(n)
			if !r.frames() {
				return r.stopped()
			}
		case errors.Is(err, ErrWait):
			r.fr.rest()
			return restNetwork
		case err != nil:
			err = l.why(err)
			if !r.fr.open && r.fr.partial() {
				err = frameErrorf("cut off in the middle: %v", err)
			}
			r.handle(&event{kind: evLost, err: err})
			return r.end()
		}
	}
	return restYield
}

// resume goes on after a throttle has answered, a delay is over or the link has
// ended.
func (r *reader) resume() (rest, bool) {
	if r.l.isClosed() {
		if r.waiting != nil {
			r.ask[r.asked].from.abandon(r.waiting, r.ask[r.asked].n)
			r.waiting = nil
		}
		r.handle(&event{kind: evLost, err: r.l.why(net.ErrClosed)})
		return r.end(), false
	}
	if r.waiting != nil {
		if !r.throttle() || !r.frames() {
			return r.stopped(), false
		}
		return 0, true
	}
	if time.Now().Before(r.until) {
		return restWait, false
	}
	r.until = time.Time{}
	if !r.frame() || !r.frames() {
		return r.stopped(), false
	}
	return 0, true
}

// delayed reports whether the frame that has come is to wait, for a test's sake.
func (r *reader) delayed() bool {
	c := r.l.lock()
	if c == nil {
		return false
	}
	opened, kind := r.l.opened, c.s.kind
	c.mu.Unlock()
	message := r.fr.out.tag == tagMessage
	if opened && !message {
		return false
	}
	d := r.l.m.cfg.Faults.delay(message, kind)
	if d <= 0 {
		return false
	}
	r.until = time.Now().Add(d)
	time.AfterFunc(d, r.l.wake)
	return true
}

// stopped is why frames did not go on.
func (r *reader) stopped() rest {
	if r.waiting != nil || r.crowded || !r.until.IsZero() {
		return restWait
	}
	return r.end()
}

// end is the end of reading.
func (r *reader) end() rest {
	r.held.release()
	r.l.close()
	return restOver
}

// isFull reports whether the owner's queue is too long to read on. If so, the
// writer wakes the reader when it is not.
func (r *reader) isFull() bool {
	c := r.l.lock()
	if c == nil {
		r.crowded = false
		return false
	}
	defer c.mu.Unlock()
	r.crowded = c.crowded()
	r.l.full = r.crowded
	return r.crowded
}

// frames handles what has arrived completely. It reports whether to go on; if not,
// the link has ended or something is waited for.
func (r *reader) frames() bool {
	for {
		if r.crowded && r.isFull() {
			return false
		}
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
			if !r.askThrottles() || !r.throttle() {
				return false
			}
		case stepFrame:
			if r.l.m.cfg.Faults != nil && r.delayed() || !r.frame() {
				return false
			}
		}
	}
}

// askThrottles notes what the message whose header has arrived takes of throttles.
// It reports false when the link is no session's any more.
func (r *reader) askThrottles() bool {
	r.held.release() // of a message its sender gave up
	c := r.l.lock()
	if c == nil {
		return false
	}
	p := &c.s.policy
	size := r.fr.pre.payloadLen()
	r.held = budget{size: size}
	r.ask = [3]share{
		{p.ThrottleMessages, 1, &r.held.messages},
		{p.ThrottleBytes, size, &r.held.bytes},
		{r.l.m.cfg.DispatchThrottle, size, &r.held.dispatch},
	}
	c.mu.Unlock()
	r.asked = 0
	return true
}

// throttle takes what was asked for. It reports false when that has to be waited
// for; the throttle wakes the link.
func (r *reader) throttle() bool {
	if r.waiting != nil {
		a := &r.ask[r.asked]
		if !a.from.granted(r.waiting) {
			return false
		}
		*a.to, r.waiting = a.from, nil
		r.asked++
	}
	for ; r.asked < len(r.ask); r.asked++ {
		a := &r.ask[r.asked]
		if a.from == nil || a.n == 0 {
			continue
		}
		if r.waiting = a.from.ask(a.n, r.l.woken); r.waiting != nil {
			return false
		}
		*a.to = a.from
	}
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
	l := &r.l.m.counters
	l.recvMessages.Add(1)
	l.recvBytes.Add(uint64(r.fr.pre.payloadLen()))
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
		r.l.lone = deliver && r.fr.drained()
		errand, has := c.errand, c.hasErr
		c.errand, c.hasErr = action{}, false
		told := len(c.notes) > 0
		alive := c.link == r.l
		r.crowded = alive && c.crowded()
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

// writeSelfMax is the most bytes that who sends a message writes, instead of a worker.
const writeSelfMax = 128 << 10

// writer is what the writing task works with; it is reused.
type writer struct {
	b       batch
	vector  net.Buffers // not written yet
	msgs    []outgoing
	done    int // of msgs are in the vector or written
	control []byte
	rev1    bool
}

var writers = sync.Pool{New: func() any { return new(writer) }}

// writeTask writes what there is to write. It waits for the network at times.
func (l *link) writeTask() {
	if l.m.workers.bePatient() {
		defer l.m.workers.notPatient()
		l.writeAll(writePatience)
		return
	}
	l.writeAll(0)
}

// writeAll writes until there is nothing left to write, or the network takes no
// more for as long as patience says.
func (l *link) writeAll(patience time.Duration) {
	w := l.pending
	if l.pending = nil; w == nil {
		w = writers.Get().(*writer)
	}
	for w.more() || l.take(w) {
		err := errInjected
		if !l.m.cfg.Faults.breaks() {
			err = l.t.WriteBuffers(&w.vector, patience)
		}
		switch {
		case err == nil:
			w.b.reset()
		case errors.Is(err, ErrWait):
			l.pending = w
			l.t.Notify(true, func() { l.m.workers.submit(l.write) })
			return
		default:
			l.fail(fmt.Errorf("write: %w", err))
			w.recycle()
			return
		}
	}
	w.recycle()
}

func (w *writer) recycle() {
	w.b.reset()
	clear(w.msgs[:cap(w.msgs)])
	w.msgs, w.done = w.msgs[:0], 0
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
	w.msgs, w.done = w.msgs[:0], 0
	w.control = c.s.takeControl(l.control, l.m.stamp())
	l.control = nil
	w.rev1 = c.s.link.rev1
	bytes := 0
	for len(w.msgs) < batchMessages && bytes < batchBytes {
		o, ok := c.s.take()
		if !ok {
			break
		}
		l.lone = false
		bytes += o.msg.Len()
		w.msgs = append(w.msgs, o)
	}
	l.m.counters.sendMessages.Add(uint64(len(w.msgs)))
	l.m.counters.sendBytes.Add(uint64(bytes))
	if l.full && !c.crowded() {
		l.full = false
		l.wake()
	}
	if len(w.control) == 0 && len(w.msgs) == 0 {
		l.writing = false
		return false
	}
	return w.more()
}

// more encodes what is next of the batch, unless some of the vector is left. It
// reports whether there is something to write.
func (w *writer) more() bool {
	if len(w.vector) > 0 {
		return true
	}
	if len(w.control) > 0 {
		w.b.frame(w.control)
		w.control = nil
	}
	for ; w.done < len(w.msgs) && w.b.room(); w.done++ {
		o := &w.msgs[w.done]
		w.b.message(w.rev1, &messageHead{
			seq: o.seq, tid: o.msg.TID, kind: o.msg.Type, priority: o.msg.Priority,
			version: o.msg.Version, dataOff: o.msg.DataOff, ackSeq: o.ack,
			compatVersion: o.msg.CompatVersion,
		}, o.msg)
	}
	w.b.flush()
	w.vector = w.b.iov
	return len(w.vector) > 0
}
