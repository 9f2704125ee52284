package rados

import (
	"context"
	"slices"
	"time"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/msgr"
	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pglog"
)

// Request is one operation: a list of sub-operations that an OSD carries out on one
// object, all or none of those that write. A request without an object's name is for
// a whole placement group, the one of Hash.
type Request struct {
	Pool    int64
	Object  string
	Locator string // key that places the object; empty for its name
	// Namespace separates objects of one name.
	Namespace string
	Hash      uint32 // of a request for a placement group
	Snap      object.SnapID
	Ops       []message.SubOp
	Flags     message.OpFlags
}

// Reply is an OSD's answer.
type Reply struct {
	// Result is 0 or a count; failures are returned as errors beside the reply.
	Result int32
	// Ops are the sub-operations with their RVal and Out.
	Ops         []message.SubOp
	Version     pglog.Version
	UserVersion uint64
}

// op is a request under way.
type op struct {
	tid   uint64
	req   Request
	bytes int64
	mtime time.Time
	done  chan result

	at      target
	sess    *osdSession // it was sent to; nil if it waits
	attempt int32
}

type result struct {
	reply *Reply
	err   error
}

// target is where a request goes by a map.
type target struct {
	epoch   uint32
	pgid    object.SPGID
	hash    uint32
	primary int32
	acting  []int32
	up      []int32
	upFrom  uint32
	paused  bool
}

// same reports whether a request sent by t need not be sent again by u.
func (t target) same(u target) bool {
	return t.pgid == u.pgid && t.primary == u.primary && t.upFrom == u.upFrom && t.paused == u.paused &&
		slices.Equal(t.acting, u.acting) && slices.Equal(t.up, u.up)
}

// Do carries out a request. It returns when it is durable, or refused: then the
// reply, if there is one, comes with an [Errno].
func (c *Client) Do(ctx context.Context, req Request) (*Reply, error) {
	ctx, cancel := c.opTimeout(ctx)
	defer cancel()
	o, err := c.start(req)
	if err != nil {
		return nil, err
	}
	select {
	case r := <-o.done:
		return r.reply, r.err
	case <-c.done:
		return nil, ErrClosed
	case <-ctx.Done():
		c.mu.Lock()
		c.finish(o)
		c.mu.Unlock()
		return nil, context.Cause(ctx)
	}
}

// start sends a request, or keeps it until it can be sent.
func (c *Client) start(req Request) (*op, error) {
	o := &op{req: req, mtime: time.Now(), done: make(chan result, 1)}
	for i := range req.Ops {
		o.bytes += int64(req.Ops[i].In.Len())
	}
	c.inflight.get(o.bytes)
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
	o.at = c.aim(&o.req)
	c.dispatch(o)
	return o, nil
}

const errNoEntry = Errno(2)

// aim finds where a request goes. The caller holds mu.
func (c *Client) aim(req *Request) target {
	m := c.osdmap
	pool := m.Pools[req.Pool]
	t := target{epoch: m.Epoch, primary: osdmap.ItemNone, hash: req.Hash}
	if pool == nil {
		return t
	}
	if req.Object != "" {
		t.hash = object.PlacementHash(pool.ObjectHash, req.Namespace, req.Locator, req.Object)
	}
	pg := m.RawPGToPG(object.PGID{Pool: req.Pool, Seed: t.hash})
	t.pgid = pg.Whole()
	t.up, _, t.acting, t.primary = m.PGToUpActing(pg)
	if t.primary >= 0 && t.primary != osdmap.ItemNone {
		t.upFrom = m.Info(t.primary).UpFrom
	}
	t.paused = m.TestFlag(osdmap.FlagPauseRd) && req.Flags&message.FlagRead != 0 ||
		m.TestFlag(osdmap.FlagPauseWr) && req.Flags&message.FlagWrite != 0
	return t
}

// dispatch sends a request to its target, unless there is none for now. The caller
// holds mu.
func (c *Client) dispatch(o *op) {
	o.sess = nil
	if o.at.paused || o.at.primary < 0 || o.at.primary == osdmap.ItemNone {
		return
	}
	s := c.session(o.at.primary)
	if s == nil || c.backedOff(s, o) {
		return
	}
	o.sess = s
	msg := c.message(o)
	o.attempt++
	if err := s.conn.Send(message.Encode(msg, s.conn.Features())); err != nil {
		c.log.Debug("operation not sent; the session's end brings it again", "tid", o.tid, "error", err)
	}
}

func (c *Client) message(o *op) *message.OSDOp {
	req := &o.req
	snap := req.Snap
	if snap == 0 {
		snap = object.NoSnap
	}
	id := object.ID{Name: req.Object, Key: req.Locator, Namespace: req.Namespace, Snap: snap, Hash: o.at.hash, Pool: req.Pool}
	flags := req.Flags | message.FlagOnDisk | message.FlagKnownRedirect
	if o.attempt > 0 {
		flags |= message.FlagRetry
	}
	return &message.OSDOp{TID: o.tid, PGID: o.at.pgid, Object: id, Epoch: o.at.epoch, Flags: flags, MTime: o.mtime,
		Ops: req.Ops, RetryAttempt: o.attempt, Features: msgr.FeaturesAll}
}

// session returns the session with an OSD, opening one. The caller holds mu.
func (c *Client) session(osd int32) *osdSession {
	addrs := c.osdmap.Addrs(osd)
	if s := c.sessions[osd]; s != nil {
		if s.addrs.Equal(addrs) {
			return s
		}
		s.conn.MarkDown()
		delete(c.sessions, osd)
	}
	if len(addrs) == 0 {
		return nil
	}
	s := &osdSession{osd: osd, addrs: addrs, conn: c.ms.Connect(addrs, entity.TypeOSD)}
	s.conn.SetValue(osd)
	c.sessions[osd] = s
	return s
}

// retarget sends again what the newest map sends elsewhere. The caller holds mu.
func (c *Client) retarget() {
	m := c.osdmap
	for osd, s := range c.sessions {
		if !m.IsUp(osd) || !m.Addrs(osd).Equal(s.addrs) {
			s.conn.MarkDown()
			delete(c.sessions, osd)
		}
	}
	for _, tid := range slices.Clone(c.order) {
		o := c.ops[tid]
		if o == nil {
			continue
		}
		if m.Pools[o.req.Pool] == nil {
			c.complete(o, result{err: errNoEntry}) // the pool was removed
			continue
		}
		now := c.aim(&o.req)
		resend := !o.at.same(now) || o.sess == nil || c.sessions[o.sess.osd] != o.sess
		if resend || o.sess == nil {
			o.at = now
		}
		if resend {
			c.dispatch(o)
		}
	}
}

// lostOSD sends again what was on its way in a session that broke.
func (c *Client) lostOSD(osd int32, conn *msgr.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sessions[osd]
	if s == nil || s.conn != conn || c.closed {
		return
	}
	delete(c.sessions, osd)
	delete(c.backoffs, s)
	for _, tid := range slices.Clone(c.order) {
		if o := c.ops[tid]; o != nil && o.sess == s {
			o.at = c.aim(&o.req)
			c.dispatch(o)
		}
	}
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
	if Errno(-r.Result) == errAgain {
		o.at = c.aim(&o.req)
		c.dispatch(o)
		return
	}
	res := result{reply: &Reply{Result: r.Result, Ops: r.Ops, Version: r.ReplayVersion, UserVersion: r.UserVersion}}
	if r.Result < 0 {
		res.err = Errno(-r.Result)
	}
	c.complete(o, res)
}

const errAgain = Errno(11)

// complete answers a request. The caller holds mu.
func (c *Client) complete(o *op, r result) {
	if c.finish(o) {
		o.done <- r
	}
}

// finish forgets a request and reports whether it was under way. The caller holds
// mu.
func (c *Client) finish(o *op) bool {
	if c.ops[o.tid] != o {
		return false
	}
	delete(c.ops, o.tid)
	if i, ok := slices.BinarySearch(c.order, o.tid); ok {
		c.order = slices.Delete(c.order, i, i+1)
	}
	c.inflight.put(o.bytes)
	return true
}
