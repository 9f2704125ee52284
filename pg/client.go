package pg

import (
	"cmp"
	"slices"

	"sepiola/message"
	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/osdmap"
	"sepiola/pg/ops"
	"sepiola/pglog"
)

// clientOp is a client's operation from its arrival to its reply.
type clientOp struct {
	ClientOp
	seq   uint64 // of arrival
	reqid pglog.ReqID
	use   ops.Use
	// firstInLine says that it waited for an object in its turn, and does not queue
	// again behind those that came after it.
	firstInLine bool
	// copies are the sources of its copies, once they were fetched.
	copies []*ops.Fetched
	// expires is the watcher whose time is up, in the operation that this PG makes
	// of that; nil in clients' operations.
	expires *watcher
}

// clientOp takes a client's operation: it waits for the client's map, then for its
// turn.
func (p *PG) clientOp(e ClientOp) {
	if e.Op.Epoch > p.osdmap.Epoch || p.waitsForMap(e) {
		p.waitMap = append(p.waitMap, e)
		p.waiting++
		p.fx.add(NeedMap{e.Op.Epoch})
		return
	}
	if p.isBackedOff(&e) {
		p.fx.add(Dropped{e.From, e.Op})
		return
	}
	p.stats.arrivals++
	op := &clientOp{ClientOp: e, seq: p.stats.arrivals, reqid: e.Op.ReqID}
	if op.reqid.Name.Num == 0 && op.reqid.TID == 0 {
		op.reqid = pglog.ReqID{Name: e.Source, TID: e.Op.TID, Inc: int32(e.Op.ClientInc)}
	}
	p.ready = append(p.ready, op)
}

// byArrival puts operations in the order in which they came. What waits may move from
// one queue to another, and must not end up behind what its client sent later.
func byArrival(list []*clientOp) []*clientOp {
	slices.SortStableFunc(list, func(a, b *clientOp) int { return cmp.Compare(a.seq, b.seq) })
	return list
}

// runReady goes through the operations whose turn has come until one changes the
// store: what follows must see the change, which is made after the step.
func (p *PG) runReady() {
	for len(p.ready) > 0 && !p.hasSubmitted() {
		op := p.ready[0]
		p.ready = slices.Delete(p.ready, 0, 1)
		p.dispatch(evClientOp, opEvent{op})
	}
}

// opEvent carries a client's operation through the table.
type opEvent struct{ op *clientOp }

func (opEvent) event() {}

// hasSubmitted reports whether this step changes the store.
func (p *PG) hasSubmitted() bool {
	for _, e := range p.fx.list {
		if _, ok := e.(Submit); ok {
			return true
		}
	}
	return false
}

// keepOp keeps an operation until the PG is active.
func keepOp(p *PG, ev Event) {
	op := ev.(opEvent).op
	if p.state.id() != stReset && !p.IsPrimary() {
		misdirected(p, ev)
		return
	}
	p.waitActive = append(p.waitActive, op)
	p.waiting++
}

// misdirected drops an operation that reached an OSD that does not lead: the
// client learns the map and sends it again. Reads that any copy may answer go
// back to the primary.
func misdirected(p *PG, ev Event) {
	op := ev.(opEvent).op
	if op.Op.Has(message.FlagBalanceReads|message.FlagLocalizeReads) && p.isMember(p.env.WhoAmI) {
		p.replyError(op, ops.EAgain)
		return
	}
	p.drop(op)
}

// drop forgets an operation that will not be answered here.
func (p *PG) drop(op *clientOp) { p.fx.add(Dropped{op.From, op.Op}) }

// keepPending gathers, in order of arrival, all operations that have not been
// answered, so that they are tried again when the PG is active.
func (p *PG) keepPending() {
	pending := slices.Concat(p.waitActive, p.ready)
	if p.active != nil {
		pending = append(pending, p.active.pendingOps()...)
		for _, w := range p.active.queue {
			if w.dropped != nil {
				w.dropped()
			}
		}
	}
	for _, o := range p.objects.byID {
		pending = append(pending, o.waiters...)
		o.waiters = nil
	}
	// Watches begin anew with the interval.
	pending = slices.DeleteFunc(pending, func(op *clientOp) bool { return op.expires != nil })
	pending = byArrival(pending)
	p.waitActive, p.ready = slices.CompactFunc(pending, func(a, b *clientOp) bool { return a == b }), nil
	for _, op := range p.waitActive {
		op.firstInLine = false
	}
	p.countWaiting()
}

func (p *PG) countWaiting() {
	p.waiting = len(p.waitActive)
	for _, ev := range p.waitMap {
		if _, ok := ev.(ClientOp); ok {
			p.waiting++
		}
	}
}

// dropOps forgets operations meant for a primary.
func (p *PG) dropOps() {
	for _, op := range slices.Concat(p.waitActive, p.ready) {
		p.drop(op)
	}
	p.waitActive, p.ready = nil, nil
	p.countWaiting()
}

// wakeOps tries what waited for the PG to be active, before what came later and
// has not been tried yet.
func (p *PG) wakeOps() {
	p.releaseBackoffs(allBackoffs)
	p.ready = byArrival(append(p.waitActive, p.ready...))
	p.waitActive = nil
	p.countWaiting()
}

// dropSession forgets the operations of a client that is gone.
func (p *PG) dropSession(s Session) {
	gone := func(op *clientOp) bool { return op.From == s }
	p.backoffs = slices.DeleteFunc(p.backoffs, func(b backoff) bool { return b.to == s })
	p.waitActive = slices.DeleteFunc(p.waitActive, gone)
	p.ready = slices.DeleteFunc(p.ready, gone)
	from := func(ev Event) bool {
		c, ok := ev.(ClientOp)
		return ok && c.From == s
	}
	p.waitMap = slices.DeleteFunc(p.waitMap, from)
	if d, ok := p.state.(*deleting); ok {
		d.next = slices.DeleteFunc(d.next, from)
	}
	if p.active != nil {
		p.disconnectWatchers(s)
		for _, w := range p.active.queue {
			if w.op != nil && gone(w.op) {
				w.op.From = nil
			}
			w.dups = slices.DeleteFunc(w.dups, func(d dupOp) bool { return gone(d.op) })
		}
		for o, waiters := range p.active.waitObject {
			p.active.waitObject[o] = slices.DeleteFunc(waiters, gone)
		}
	}
	for _, o := range p.objects.byID {
		o.waiters = slices.DeleteFunc(o.waiters, gone)
	}
	p.countWaiting()
}

// doOp is what an active primary does with an operation.
func doOp(p *PG, ev Event) { p.doOp(ev.(opEvent).op) }

func (p *PG) doOp(op *clientOp) {
	m := op.Op
	if op.expires != nil && !op.expires.expired {
		return // it has come back meanwhile
	}
	if m.Epoch < p.own.Info.History.SamePrimarySince || m.Epoch < p.own.Info.History.LastEpochSplit || p.mustResend(m) {
		p.drop(op) // sent before this OSD led; the client sends it again
		return
	}
	if !p.active.serving {
		p.waitLong(op) // below min_size
		return
	}
	if !p.mayAnswer() {
		p.holdBack(op)
		return
	}
	if !p.id.PGID.Contains(m.Object.Hash, p.pool.PGNum) {
		p.clog("warn", "does not contain %v", m.Object)
		p.drop(op)
		return
	}
	if m.Has(message.FlagParallelExec) {
		p.replyError(op, ops.EInval)
		return
	}
	var r int32
	if op.use, r = ops.UseOf(m, p.env.Classes); r < 0 {
		p.replyError(op, r)
		return
	}
	if op.use.PG {
		p.doPGOp(op)
		return
	}
	if r := p.checkRequest(op); r != 0 {
		p.replyError(op, r)
		return
	}
	if op.use.WriteOrdered() && !m.Has(message.FlagFullTry|message.FlagFullForce) &&
		p.own.Info.History.LastEpochMarkedFull > m.Epoch {
		p.drop(op) // sent before the pool was full; the client sends it again
		return
	}
	if op.use.WriteOrdered() && !m.Has(message.FlagFullTry) && p.env.Failsafe != nil && p.env.Failsafe() {
		p.drop(op) // sent again when the pool, which the monitors mark full, is no longer (check_failsafe_full)
		return
	}
	if p.blockedByRecovery(op) || op.use.Write && p.answeredBefore(op) {
		return
	}
	p.onObject(op)
}

// mustResend reports whether the map asks clients to repeat what they sent before
// an epoch.
func (p *PG) mustResend(m *message.OSDOp) bool {
	return m.Epoch < p.pool.LastForceOpResend
}

// checkRequest refuses what no state of the object would allow.
func (p *PG) checkRequest(op *clientOp) int32 {
	m, lim := op.Op, &p.conf.Ops
	o := m.Object
	switch {
	case len(o.Name) > lim.MaxObjectNameLen, len(o.Key) > lim.MaxObjectNameLen, len(o.Namespace) > lim.MaxNamespaceLen:
		return ops.ENameTooLong
	case o.Name == "":
		return ops.EInval
	case p.osdmap.IsBlocklisted(op.Addr):
		return ops.EBlocklisted
	}
	if op.use.Write {
		payload := 0
		for i := range m.Ops {
			payload += m.Ops[i].In.Len()
		}
		switch {
		case o.Snap != object.NoSnap:
			return ops.EInval
		case payload > lim.MaxWriteSize:
			return ops.EWriteTooBig
		case p.hasSnapContext(m):
			return ops.EOpNotSupp // clones are not made yet
		}
	}
	for i := range m.Ops {
		if (m.Ops[i].Op == message.OpListSnaps) != (o.Snap == object.SnapDir) {
			return ops.EInval
		}
	}
	return 0
}

// hasSnapContext reports whether a write has to keep what it overwrites.
func (p *PG) hasSnapContext(m *message.OSDOp) bool {
	if !m.Has(message.FlagEnforceSnapContext) && p.pool.IsPoolSnapsMode() {
		return len(p.pool.Snaps) > 0
	}
	return len(m.Snaps) > 0
}

// snapSeq is the newest snapshot that a write knows of.
func (p *PG) snapSeq(m *message.OSDOp) object.SnapID {
	if !m.Has(message.FlagEnforceSnapContext) && p.pool.IsPoolSnapsMode() {
		return p.pool.SnapSeq
	}
	return m.SnapSeq
}

// isRemovedSnap reports whether a snapshot of the pool is gone
// (pg_pool_t::is_removed_snap).
func (p *PG) isRemovedSnap(s object.SnapID) bool {
	_, ok := p.pool.Snaps[s]
	return p.pool.IsPoolSnapsMode() && s <= p.pool.SnapSeq && !ok
}

// onObject runs an operation when the object is free for it.
func (p *PG) onObject(op *clientOp) {
	id := op.Op.Object
	id = id.WithSnap(object.NoSnap)
	o, err := p.objectContext(id)
	if err != nil {
		p.clog("error", "%v", err)
		p.replyError(op, ops.EIO)
		return
	}
	// Nothing is written in a snapshot's sight, so the object is as it was then: that
	// is what one newer than its last change shows (find_object_context).
	if of := op.Op.Object; of.IsSnap() && (of.Snap <= o.state.SnapSet.Seq || p.isRemovedSnap(of.Snap)) {
		p.replyError(op, ops.ENoEnt)
		return
	}
	p.adoptWatchers(o)
	exclusive := op.use.WriteOrdered() && (op.use.Read && ops.ReadsData(op.Op) || ops.Copies(op.Op))
	free := o.mayRead()
	if op.use.WriteOrdered() {
		free = o.mayWrite(exclusive)
	}
	if !(free && o.inTurn(op)) && !op.Op.Has(message.FlagSkipRWLocks) {
		o.waiters = append(o.waiters, op)
		return
	}
	if op.use.Write && p.fetchSources(op, o) {
		return
	}
	op.firstInLine = false
	switch {
	case op.use.Read && o.state.Info.Has(pglog.OILost):
		p.replyError(op, ops.ENFile)
	case !op.use.Write && !op.use.Cache && (!o.state.Exists ||
		op.Op.Object.Snap != object.SnapDir && o.state.Info.Has(pglog.OIWhiteout)):
		p.replyRead(op, o, ops.ENoEnt, nil)
	default:
		p.execute(op, o, exclusive)
	}
}

// execute runs the operations and answers, or sends the change on its way.
func (p *PG) execute(op *clientOp, o *objectContext, exclusive bool) {
	list := slices.Clone(op.Op.Ops) // results go there; the message is not ours
	c := &ops.Context{
		Reader: p.env.Reader, Coll: p.coll, Object: o.id, Pool: p.pool, Limits: &p.conf.Ops,
		Classes: p.env.Classes, Req: op.Op, ReqID: op.reqid,
		Client: op.watcherName(), ClientAddr: op.Addr, Watches: (*opWatches)(p),
		Old: &o.state, New: ops.State{Exists: o.state.Exists, Info: o.state.Info, SnapSet: o.state.SnapSet},
		Tx: p.newTx(), Clean: pglog.AllClean(), Copies: op.copies,
	}
	result := c.Run(list)
	if result == ops.EAgain {
		p.drop(op)
		return
	}
	changed := result >= 0 && (!c.Tx.Empty() || c.Modify)
	switch {
	case !op.use.Write && !op.use.Cache:
		p.stats.add(&c.Delta)
		p.replyRead(op, o, result, &readResult{list, c.DataOff})
		if result >= 0 {
			p.watchEffects(op, o, &c.Watch)
		}
	case !changed:
		// What failed, or changed nothing, is logged, so that a resend gets the same
		// answer even if the object changed meanwhile.
		p.stats.add(&c.Delta)
		p.logError(op, o, result, list)
		if result >= 0 {
			p.watchEffects(op, o, &c.Watch)
		}
	case p.refuseFull(op, c), p.refuseNoRoom(op, c):
	default:
		p.write(op, o, c, list, result, exclusive)
	}
}

// refuseFull turns down what would grow a full pool; a client that did not say
// what to do is not answered, and waits.
func (p *PG) refuseFull(op *clientOp, c *ops.Context) bool {
	if c.Delta.NumBytes <= 0 && c.Delta.NumObjects <= 0 || !p.pool.HasFlag(osdmap.PoolFlagFull) ||
		op.Op.Has(message.FlagFullForce) {
		return false
	}
	if op.Op.Has(message.FlagFullTry) {
		r := ops.ENoSpc
		if p.pool.HasFlag(osdmap.PoolFlagFullQuota) {
			r = ops.EDQuot
		}
		p.replyError(op, r)
		return true
	}
	p.drop(op)
	return true
}

// refuseNoRoom turns down what the local store has no room for, before anybody else hears
// of it: afterwards the store could only stop. As with a full pool a client that did not
// say what to do is not answered. The OSD tells the monitors that it is full, and when the
// pool no longer is, the client sends again.
func (p *PG) refuseNoRoom(op *clientOp, c *ops.Context) bool {
	n := dataBytes(c)
	if n == 0 || p.env.Room == nil || p.env.Room(n) {
		return false
	}
	if op.Op.Has(message.FlagFullTry | message.FlagFullForce) {
		p.replyError(op, ops.ENoSpc)
	} else {
		p.drop(op)
	}
	return true
}

// dataBytes returns how many bytes of data an operation's transaction brings.
func dataBytes(c *ops.Context) (n uint64) {
	for i := range c.Tx.Ops {
		switch t := &c.Tx.Ops[i]; t.Kind {
		case objectstore.OpWrite, objectstore.OpCloneRange:
			n += t.Len
		case objectstore.OpClone:
			n += c.Old.Info.Size
		}
	}
	return n
}

type readResult struct {
	ops     []message.SubOp
	dataOff uint64
}

// replyRead answers an operation that changed nothing.
func (p *PG) replyRead(op *clientOp, o *objectContext, result int32, out *readResult) {
	reply := p.newReply(op, result)
	if out != nil {
		reply.Ops = out.ops
		stripInputs(reply.Ops)
		reply.DataOff = uint16(out.dataOff)
	}
	switch {
	case result >= 0:
		reply.SetVersions(pglog.Version{}, o.state.Info.UserVersion)
	case result == ops.ENoEnt:
		reply.SetReadVersions(p.own.Info.LastUpdate, p.own.Info.LastUserVersion)
	}
	p.fx.add(Reply{op.From, reply})
}

func (p *PG) newReply(op *clientOp, result int32) *message.OSDOpReply {
	return message.NewOSDOpReply(op.Op, result, p.osdmap.Epoch, message.FlagAck|message.FlagOnDisk)
}

// stripInputs leaves what a reply carries of operations.
func stripInputs(list []message.SubOp) {
	for i := range list {
		list[i].In = nil
	}
}

// replyError answers an operation that was not tried.
func (p *PG) replyError(op *clientOp, result int32) {
	p.fx.add(Reply{op.From, p.newReply(op, result)})
}

// answeredBefore deals with an operation that is in the log: the first result is
// the answer, once it is durable.
func (p *PG) answeredBefore(op *clientOp) bool {
	first, ok := p.findRequest(op.reqid)
	if !ok {
		return false
	}
	if w := p.active.inFlight(first.Version); w != nil {
		w.dups = append(w.dups, dupOp{op, first})
		return true
	}
	p.replyDup(op, first)
	return true
}

// replyDup repeats an earlier answer.
func (p *PG) replyDup(op *clientOp, first pglog.Dup) {
	reply := p.newReply(op, first.ReturnCode)
	if op.Op.Has(message.FlagReturnVec) {
		for i := range first.OpReturns {
			if i < len(reply.Ops) {
				reply.Ops[i].RVal = first.OpReturns[i].RVal
				reply.Ops[i].Out = [][]byte{first.OpReturns[i].Data}
			}
		}
	}
	reply.SetVersions(first.Version, first.UserVersion)
	p.fx.add(Reply{op.From, reply})
}
