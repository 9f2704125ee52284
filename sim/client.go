package sim

import (
	"fmt"
	"slices"
	"time"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pg"
	"sepiola/sim/check"
	"sepiola/wire"
)

// client sends operations where its map says, and sends them again when that
// changes or a session is lost, as an Objecter does. It writes down all it asks and
// is told.
type client struct {
	w        *world
	index    int
	epoch    uint32
	tid      uint64
	pending  []*clientOp // in the order in which they were started
	echoes   []*clientOp // answered ones that are sent again
	sessions map[int32]*session
	seen     map[string]uint64 // the newest user version seen of an object
}

// clientOp is an operation under way.
type clientOp struct {
	*check.Op
	msg      *message.OSDOp
	at       target
	sess     *session // nil if it waits to be sent
	answered bool
}

// target is where an operation goes by a map (op_target_t).
type target struct {
	pgid       object.PGID
	primary    int32
	upFrom     uint32
	pgNum      uint32
	forced     uint32
	up, acting []int32
	paused     bool
}

func (t *target) same(u *target) bool {
	return t.pgid == u.pgid && t.primary == u.primary && t.upFrom == u.upFrom && t.pgNum == u.pgNum &&
		t.forced == u.forced && t.paused == u.paused && slices.Equal(t.up, u.up) && slices.Equal(t.acting, u.acting)
}

// session is a connection to one incarnation of an OSD.
type session struct {
	c       *client
	n       *node
	inc     int
	dead    bool
	blocked []*message.OSDBackoff
}

// clientCall is an operation as it reaches an OSD.
type clientCall struct {
	s   *session
	msg *message.OSDOp
}

func newClient(w *world, index int) *client {
	return &client{w: w, index: index, epoch: 1, sessions: map[int32]*session{}, seen: map[string]uint64{}}
}

func (c *client) name() entity.Name {
	return entity.Name{Type: entity.TypeClient, Num: int64(4100 + c.index)}
}

// start sends a new operation.
func (c *client) start(op *check.Op) {
	w := c.w
	c.tid++
	op.Client, op.TID, op.Call = c.index, c.tid, w.steps
	w.history = append(w.history, op)
	pool := w.maps[c.epoch].Pools[poolID]
	flags := message.FlagRead
	if op.Writes() {
		flags = message.FlagWrite
	}
	if op.Returns {
		flags |= message.FlagReturnVec
	}
	o := &clientOp{Op: op, msg: &message.OSDOp{TID: op.TID, MTime: w.wallTime(), Flags: flags | message.FlagAck | message.FlagOnDisk,
		Object: object.Head(poolID, "", "", op.Object, pool.HashKey(op.Object, "")), Ops: subOps(op.Steps)}}
	c.pending = append(c.pending, o)
	c.resendLost()
}

// aim finds where an operation goes.
func (c *client) aim(o *clientOp) target {
	m := c.w.maps[c.epoch]
	pool := m.Pools[poolID]
	t := target{pgid: m.RawPGToPG(object.PGID{Pool: poolID, Seed: o.msg.Object.Hash}), pgNum: pool.PGNum,
		forced: pool.LastForceOpResend}
	at := c.w.mapping(c.epoch, t.pgid)
	t.up, t.acting, t.primary = at.Up, at.Acting, at.ActingPrimary
	if t.primary >= 0 {
		t.upFrom = m.Info(t.primary).UpFrom
	}
	if o.Writes() {
		t.paused = m.TestFlag(osdmap.FlagPauseWr|osdmap.FlagFull) || pool.HasFlag(osdmap.PoolFlagFull)
	} else {
		t.paused = m.TestFlag(osdmap.FlagPauseRd)
	}
	return t
}

// send sends an operation, unless nobody is there to take it.
func (c *client) send(o *clientOp) {
	o.sess = nil
	if o.at.paused || o.at.primary < 0 || c.waitsFor(o) {
		return
	}
	s := c.session(o.at.primary, o.at.upFrom)
	if s == nil {
		return
	}
	o.sess = s
	if slices.ContainsFunc(s.blocked, func(b *message.OSDBackoff) bool { return covers(b, o.msg.Object) }) {
		return // sent when the OSD says so
	}
	o.Sends++
	msg := *o.msg
	msg.PGID, msg.Epoch = o.at.pgid.Whole(), c.epoch
	take := c.w.copies(&msg)
	c.w.post(c.w.clientEnd(c.index), int(s.n.id), false, func() {
		if s.n.alive && s.n.incarnation == s.inc && !s.dead {
			s.n.take(&clientCall{s, take().(*message.OSDOp)})
		}
	})
}

// waitsFor reports whether an earlier operation on the same object waits to be
// sent: a write that is paused is not overtaken by a read that is not.
func (c *client) waitsFor(o *clientOp) bool {
	for _, p := range c.pending {
		if p.TID < o.TID && p.Object == o.Object && (p.sess == nil || p.sess.dead) {
			return true
		}
	}
	return false
}

// session returns the session with an OSD, opening one; nil if it cannot be reached
// where the map says it is.
func (c *client) session(osd int32, upFrom uint32) *session {
	n, inc := c.w.nodes[osd], c.w.mon.incarnationOf(osd, upFrom)
	if s := c.sessions[osd]; s != nil && s.inc == inc {
		return s
	}
	if !n.alive || n.incarnation != inc {
		return nil
	}
	s := &session{c: c, n: n, inc: inc}
	c.sessions[osd] = s
	return s
}

// takeMaps goes on to the given epoch, map by map, and sends again what one of
// them sends elsewhere.
func (c *client) takeMaps(last uint32) {
	for c.epoch < last {
		c.epoch++
		m := c.w.maps[c.epoch]
		for _, osd := range c.osds() {
			if s := c.sessions[osd]; m.IsDown(osd) || c.w.mon.incarnationOf(osd, m.Info(osd).UpFrom) != s.inc {
				c.drop(s)
			}
		}
		for _, o := range c.inOrder() {
			if now := c.aim(o); o.sess == nil || o.sess.dead || !o.at.same(&now) {
				o.at = now
				c.send(o)
			}
		}
	}
}

func (c *client) osds() []int32 {
	var out []int32
	for i := range c.w.nodes {
		if c.sessions[int32(i)] != nil {
			out = append(out, int32(i))
		}
	}
	return out
}

// inOrder are all operations that an answer is wanted for.
func (c *client) inOrder() []*clientOp {
	all := slices.Concat(c.echoes, c.pending)
	slices.SortFunc(all, func(a, b *clientOp) int { return int(a.TID) - int(b.TID) })
	return all
}

// drop ends a session; the OSD hears of it some time later.
func (c *client) drop(s *session) {
	if s.dead {
		return
	}
	s.dead = true
	if c.sessions[s.n.id] == s {
		delete(c.sessions, s.n.id)
	}
	if n := s.n; n.alive && n.incarnation == s.inc {
		n.after(c.w.uniform(0, 5*time.Millisecond), func() { n.sessionReset(s) })
	}
}

// lost is called when an OSD is not there any more: what it had not answered is
// sent again when there is somebody to send it to.
func (c *client) lost(osd int32) {
	if s := c.sessions[osd]; s != nil {
		c.breakSession(s)
	}
}

// breakSession loses a session and sends again what was under way in it.
func (c *client) breakSession(s *session) {
	c.drop(s)
	c.w.after(c.w.uniform(100*time.Microsecond, 5*time.Millisecond), c.resendLost)
}

// resendLost sends what has no session.
func (c *client) resendLost() {
	for _, o := range c.inOrder() {
		if o.sess == nil || o.sess.dead {
			o.at = c.aim(o)
			c.send(o)
		}
	}
}

// reply sends an answer back. What else an OSD may tell a client panics until
// somebody wires it.
func (s *session) reply(b message.Body) {
	w, take := s.c.w, s.c.w.copies(b)
	w.post(int(s.n.id), w.clientEnd(s.c.index), false, func() {
		if s.dead {
			return
		}
		switch m := take().(type) {
		case *message.OSDOpReply:
			s.c.answered(m)
		case *message.OSDBackoff:
			s.backoff(m)
		default:
			panic(fmt.Sprintf("sim: a message %T to a client is not wired in session.reply", b))
		}
	})
}

// backoff keeps what is in the range of a backoff, or sends it again at its end.
func (s *session) backoff(b *message.OSDBackoff) {
	s.c.w.trace("client.%d backoff op %d id %d from osd.%d", s.c.index, b.Op, b.ID, s.n.id)
	if b.Op == message.BackoffBlock {
		s.blocked = append(s.blocked, b)
		w := s.c.w
		w.post(w.clientEnd(s.c.index), int(s.n.id), false, func() {
			if slot := s.n.pgs[b.PGID.PGID]; s.n.alive && s.n.incarnation == s.inc && !s.dead && slot != nil {
				s.n.drive(slot, pg.BackoffAck{From: s, ID: b.ID})
			}
		})
		return
	}
	s.blocked = slices.DeleteFunc(s.blocked, func(x *message.OSDBackoff) bool { return x.ID == b.ID })
	for _, o := range s.c.inOrder() {
		if o.sess == s && covers(b, o.msg.Object) {
			s.c.send(o)
		}
	}
}

func covers(b *message.OSDBackoff, o object.ID) bool {
	return b.Begin == o || b.Begin.Less(o) && o.Less(b.End)
}

// answered takes the answer to an operation.
func (c *client) answered(m *message.OSDOpReply) {
	w := c.w
	byTID := func(o *clientOp) bool { return o.TID == m.TID }
	list := &c.pending
	i := slices.IndexFunc(c.pending, byTID)
	if i < 0 {
		if list, i = &c.echoes, slices.IndexFunc(c.echoes, byTID); i < 0 {
			return
		}
	}
	o := (*list)[i]
	*list = slices.Delete(*list, i, i+1)
	o.Replies = append(o.Replies, check.Reply{At: w.steps, Result: m.Result, Version: m.ReplayVersion,
		UserVersion: m.UserVersion, Outs: outputs(o.Steps, m.Ops)})
	w.trace("%v", o.Op)
	if !o.answered {
		w.answers++
		c.seen[o.Object] = max(c.seen[o.Object], m.UserVersion)
	}
	if o.Writes() && !w.quiet && w.has(FaultResend) && w.oneIn(12) {
		c.echo(o)
	}
}

// echo sends an answered operation again later, as if the answer had not come.
func (c *client) echo(o *clientOp) {
	o.answered = true
	c.w.planned++
	c.w.after(c.w.uniform(0, 40*time.Millisecond), func() {
		c.w.planned--
		o.at = c.aim(o)
		c.echoes = append(c.echoes, o)
		c.send(o)
	})
}

// take hands a client's operation to its PG.
func (n *node) take(call *clientCall) {
	m, s := call.msg, call.s
	slot := n.pgs[m.PGID.PGID]
	if slot == nil {
		if m.Epoch > n.epoch || n.w.mapping(n.epoch, m.PGID.PGID).ActingPrimary == n.id {
			n.waiting = append(n.waiting, call)
		}
		return // or it is for another; the client will hear of a new map
	}
	n.w.trace("osd.%d takes client.%d:%s", n.id, s.c.index, describe(m))
	n.drive(slot, pg.ClientOp{Op: m, From: s, Source: s.c.name(), Addr: entity.Msgr2(addrOf(byte(100+s.c.index), 1))})
}

// sessionReset forgets a client's session.
func (n *node) sessionReset(s *session) {
	n.waiting = slices.DeleteFunc(n.waiting, func(c *clientCall) bool { return c.s == s })
	for _, slot := range n.slots() {
		n.drive(slot, pg.SessionReset{Session: s})
	}
}

// subOps translates steps.
func subOps(steps []check.Step) []message.SubOp {
	out := make([]message.SubOp, len(steps))
	for i, s := range steps {
		out[i] = subOp(s)
	}
	return out
}

func subOp(s check.Step) message.SubOp {
	val := wire.BufOf([]byte(s.Val))
	extent := func(op message.OSDOpCode, off, n uint64, in wire.Buf) message.SubOp {
		return message.SubOp{Op: op, Args: message.Extent{Offset: off, Length: n}.Args(), In: in}
	}
	xattr := func(op message.OSDOpCode, mode uint8) message.SubOp {
		x := message.Xattr{NameLen: uint32(len(s.Key)), ValueLen: uint32(len(s.Val))}
		if mode != 0 {
			x.CmpOp, x.CmpMode = message.CmpEQ, mode
		}
		return message.SubOp{Op: op, Args: x.Args(), In: wire.BufOf([]byte(s.Key + s.Val))}
	}
	switch s.Kind {
	case check.Read:
		return extent(message.OpRead, 0, 0, nil)
	case check.Stat:
		return message.SubOp{Op: message.OpStat}
	case check.GetXattr:
		return xattr(message.OpGetXattr, 0)
	case check.CmpXattr:
		return xattr(message.OpCmpXattr, message.CmpModeString)
	case check.SetXattr:
		return xattr(message.OpSetXattr, 0)
	case check.RmXattr:
		return xattr(message.OpRmXattr, 0)
	case check.AssertVer:
		return message.SubOp{Op: message.OpAssertVer, Args: message.AssertVersionArgs(s.Version)}
	case check.WriteFull:
		return extent(message.OpWriteFull, 0, uint64(len(s.Val)), val)
	case check.Write:
		return extent(message.OpWrite, s.Off, uint64(len(s.Val)), val)
	case check.Append:
		return extent(message.OpAppend, 0, uint64(len(s.Val)), val)
	case check.Truncate:
		return extent(message.OpTruncate, s.Off, 0, nil)
	case check.Zero:
		return extent(message.OpZero, s.Off, s.Len, nil)
	case check.Remove:
		return message.SubOp{Op: message.OpDelete}
	case check.Create:
		return message.SubOp{Op: message.OpCreate}
	case check.CreateExcl:
		return message.SubOp{Op: message.OpCreate, Flags: message.OpFlagExcl}
	}
	return omapOp(s)
}

func omapOp(s check.Step) message.SubOp {
	e := wire.NewEncoder(32)
	switch s.Kind {
	case check.GetOmap:
		e.String("")
		e.U64(1 << 20)
		e.String("")
		return message.SubOp{Op: message.OpOmapGetVals, In: wire.BufOf(e.Bytes())}
	case check.SetOmap:
		wire.Map(e, map[string][]byte{s.Key: []byte(s.Val)}, wire.PutString, wire.PutBlob)
		return message.SubOp{Op: message.OpOmapSetVals, In: wire.BufOf(e.Bytes())}
	case check.RmOmap:
		e.U32(1)
		e.String(s.Key)
		return message.SubOp{Op: message.OpOmapRmKeys, In: wire.BufOf(e.Bytes())}
	case check.ClearOmap:
		return message.SubOp{Op: message.OpOmapClear}
	}
	panic(fmt.Sprintf("sim: step %v is not wired in subOp", s.Kind))
}

// outputs translates what came back.
func outputs(steps []check.Step, list []message.SubOp) []check.Out {
	out := make([]check.Out, min(len(list), len(steps)))
	for i := range out {
		out[i].Result = list[i].RVal
		d := wire.NewDecoder(list[i].Out.Flat())
		switch {
		case list[i].Out.Len() == 0:
		case steps[i].Kind == check.Stat:
			out[i].Data = fmt.Sprint(d.U64())
		case steps[i].Kind == check.GetOmap:
			pairs := map[string]string{}
			for k, v := range wire.ReadMap(d, 8, wire.GetString, wire.GetBlob) {
				pairs[k] = string(v)
			}
			out[i].Data = check.Pairs(pairs)
		default:
			out[i].Data = string(list[i].Out.Flat())
		}
	}
	return out
}
