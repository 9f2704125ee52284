package rados

import (
	"context"
	"errors"
	"slices"
	"time"

	"sepiola/message"
	"sepiola/msgr"
	"sepiola/object"
	"sepiola/pglog"
)

// Request is one operation: a list of sub-operations that an OSD carries out on one
// object, all or none of those that write. A request without an object's name is for
// a whole placement group, the one of Hash.
//
// What the sub-operations carry in In is neither copied nor may it be changed
// before the request is answered. After a request that was given up, it may still be
// on its way: such bytes are not to be used again.
type Request struct {
	Pool    int64
	Object  string
	Locator string // key that places the object; empty for its name
	// Namespace separates objects of one name.
	Namespace string
	Hash      uint32        // of a request for a placement group
	Snap      object.SnapID // to read; 0 and NoSnap both mean the object as it is
	Ops       []message.SubOp
	Flags     message.OpFlags
	MTime     time.Time // the object's time after a write; zero means now
	// SnapSeq and Snaps are the writer's snapshot context, newest first; none
	// means the pool's.
	SnapSeq object.SnapID
	Snaps   []object.SnapID
}

// Reply is an OSD's answer.
type Reply struct {
	// Result is 0 or a count; failures are returned as errors beside the reply.
	Result int32
	// Ops are the sub-operations with their RVal and Out.
	Ops         []message.SubOp
	Version     pglog.Version
	UserVersion uint64
	Epoch       uint32 // of the OSD's map
}

// op is a request under way.
type op struct {
	tid   uint64
	req   Request
	bytes int64
	done  chan struct{} // closed once res holds
	res   result
	stop  func() // ends the watch over its context; may be nil

	at      target
	sess    *osdSession // it was sent to; nil if it waits
	attempt int32
}

type result struct {
	reply *Reply
	err   error
}

// Error numbers that this package gives itself.
const (
	errNoEntry     = Errno(2)
	errNoDevice    = Errno(6)
	errAgain       = Errno(11)
	errExists      = Errno(17)
	errInvalid     = Errno(22)
	errReadOnly    = Errno(30)
	errMessageSize = Errno(90)
	errTimedOut    = Errno(110)
)

// Do carries out a request. It returns when it is durable, or refused: then the
// reply, if there is one, comes with an [Errno]. The pool must be in the map at
// hand; one that is not, is ENOENT.
func (c *Client) Do(ctx context.Context, req Request) (*Reply, error) {
	ctx, cancel := c.opTimeout(ctx)
	defer cancel()
	o, err := c.start(ctx, req, nil)
	if err != nil {
		return nil, err
	}
	select {
	case <-o.done:
	case <-ctx.Done():
		c.abandon(o, context.Cause(ctx))
	}
	return o.res.reply, o.res.err
}

// Completion is a request that was started.
type Completion struct{ o *op }

// Start begins a request and returns once there is room for it in flight; requests
// on one object are applied in the order in which they were started. The request is
// given up when ctx ends.
func (c *Client) Start(ctx context.Context, req Request) (*Completion, error) {
	ctx, cancel := c.opTimeout(ctx)
	o, err := c.start(ctx, req, cancel)
	if err != nil {
		cancel()
		return nil, err
	}
	return &Completion{o}, nil
}

// Done is closed when the request has been answered or given up.
func (p *Completion) Done() <-chan struct{} { return p.o.done }

// Result waits for the request and returns what Do would.
func (p *Completion) Result() (*Reply, error) {
	<-p.o.done
	return p.o.res.reply, p.o.res.err
}

// start sends a request, or keeps it until it can be sent. With watched, the end of
// ctx gives it up, and watched is called when it is over.
func (c *Client) start(ctx context.Context, req Request, watched func()) (*op, error) {
	if req.MTime.IsZero() {
		req.MTime = time.Now()
	}
	if req.Snap == 0 {
		req.Snap = object.NoSnap
	}
	o := &op{req: req, done: make(chan struct{})}
	for i := range req.Ops {
		o.bytes += int64(req.Ops[i].In.Len())
	}
	if err := c.inflight.get(ctx, c.done, o.bytes); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		c.inflight.put(o.bytes)
		return nil, ErrClosed
	}
	if c.osdmap.Pools[req.Pool] == nil {
		c.inflight.put(o.bytes)
		return nil, errNoEntry
	}
	c.lastTID++
	o.tid = c.lastTID
	c.ops[o.tid] = o
	c.order = append(c.order, o.tid)
	if watched != nil {
		unwatch := context.AfterFunc(ctx, func() { c.abandon(o, context.Cause(ctx)) })
		o.stop = func() { unwatch(); watched() }
	}
	o.at = c.aim(&o.req)
	c.dispatch(o)
	return o, nil
}

// dispatch sends a request to its target, unless there is none for now. The caller
// holds mu.
func (c *Client) dispatch(o *op) {
	o.sess = nil
	if o.at.paused || o.at.primary < 0 {
		return
	}
	s := c.session(o.at.primary)
	if s == nil || c.backedOff(s, o) {
		return
	}
	o.sess = s
	msg := c.message(o)
	o.attempt++
	err := s.conn.Send(message.Encode(msg, s.conn.Features()))
	switch {
	case errors.Is(err, msgr.ErrTooLarge):
		c.complete(o, result{err: errMessageSize})
	case err != nil:
		c.log.Debug("operation not sent; the session's end brings it again", "tid", o.tid, "error", err)
	}
}

func (c *Client) message(o *op) *message.OSDOp {
	req := &o.req
	id := o.id()
	id.Snap = req.Snap
	flags := req.Flags | message.FlagOnDisk | message.FlagKnownRedirect
	if o.attempt > 0 {
		flags |= message.FlagRetry
	}
	return &message.OSDOp{TID: o.tid, PGID: o.at.pgid, Object: id, Epoch: o.at.epoch, Flags: flags, MTime: req.MTime,
		Ops: req.Ops, SnapSeq: req.SnapSeq, Snaps: req.Snaps, RetryAttempt: o.attempt, Features: msgr.FeaturesAll}
}

// id is the object as its OSD knows it: in the pool it is sent to, which a cache
// tier's overlay may have changed.
func (o *op) id() object.ID {
	return object.Head(o.at.pgid.Pool, o.req.Namespace, o.req.Locator, o.req.Object, o.at.hash)
}

// handleReply matches an answer with its request.
func (c *Client) handleReply(conn *msgr.Conn, r *message.OSDOpReply) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.ops[r.TID]
	if o == nil || o.sess == nil || o.sess.conn != conn {
		return // of a session that is over
	}
	if r.RetryAttempt >= 0 && r.RetryAttempt != o.attempt-1 {
		return // of an earlier sending
	}
	if r.Redirect != nil {
		c.redirect(o, r.Redirect)
		return
	}
	if Errno(-r.Result) == errAgain {
		o.at = c.aim(&o.req)
		c.dispatch(o)
		return
	}
	res := result{reply: &Reply{Result: r.Result, Ops: r.Ops, Version: r.ReplayVersion, UserVersion: r.UserVersion, Epoch: r.Epoch}}
	if r.Result < 0 {
		res.err = Errno(-r.Result)
	}
	c.complete(o, res)
}

// redirect follows an OSD's word that the object is elsewhere
// (Objecter::handle_osd_op_reply). The caller holds mu.
func (c *Client) redirect(o *op, to *message.Redirect) {
	o.req.Pool, o.req.Locator, o.req.Namespace = to.Locator.Pool, to.Locator.Key, to.Locator.Namespace
	if to.Object != "" {
		o.req.Object = to.Object
	}
	o.req.Flags |= message.FlagRedirected | message.FlagIgnoreCache | message.FlagIgnoreOverlay
	if c.osdmap.Pools[o.req.Pool] == nil {
		c.complete(o, result{err: errNoEntry})
		return
	}
	o.at = c.aim(&o.req)
	c.dispatch(o)
}

// complete answers a request. The caller holds mu.
func (c *Client) complete(o *op, r result) {
	if c.ops[o.tid] != o {
		return
	}
	delete(c.ops, o.tid)
	if i, ok := slices.BinarySearch(c.order, o.tid); ok {
		c.order = slices.Delete(c.order, i, i+1)
	}
	c.inflight.put(o.bytes)
	o.res = r
	close(o.done)
	if o.stop != nil {
		o.stop()
	}
}

// abandon gives a request up, unless it has been answered. When it returns the
// request is over.
func (c *Client) abandon(o *op, cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.complete(o, result{err: cause})
}

// opTimeout returns ctx with the configured limit of an operation.
func (c *Client) opTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return withTimeout(ctx, c.conf.Duration("rados_osd_op_timeout"))
}

// monTimeout returns ctx with the configured limit of a request to the monitors.
func (c *Client) monTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return withTimeout(ctx, c.conf.Duration("rados_mon_op_timeout"))
}

func withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d > 0 {
		return context.WithTimeoutCause(ctx, d, errTimedOut)
	}
	return ctx, func() {}
}
