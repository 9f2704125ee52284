package pg

import (
	"slices"

	"sepiola/message"
	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/osdmap"
	"sepiola/pg/ops"
	"sepiola/pglog"
)

// inflight is a change on its way: logged and submitted here, sent to the others,
// not yet durable everywhere (RepGather).
type inflight struct {
	tid     uint64
	version pglog.Version
	object  *objectContext // nil for an entry that changes no object
	op      *clientOp
	reply   *message.OSDOpReply
	waitFor []int32 // members that have not committed; self among them
	dups    []dupOp
	then    func() // after the reply; nil for nothing
	dropped func() // if the interval ends before; nil for nothing
}

// dupOp is an operation that was sent again while the first was in flight.
type dupOp struct {
	op    *clientOp
	first pglog.Dup
}

// newTx returns an empty transaction with room for an ordinary write.
func (p *PG) newTx() *objectstore.Transaction {
	return &objectstore.Transaction{Ops: make([]objectstore.Op, 0, 6)}
}

// nextVersion is that of the next change.
func (p *PG) nextVersion() pglog.Version {
	return pglog.Version{Epoch: p.osdmap.Epoch, V: p.own.Info.LastUpdate.V + 1}
}

// write completes a change: versions, metadata, log entry; then it is replicated.
func (p *PG) write(op *clientOp, o *objectContext, c *ops.Context, list []message.SubOp, result int32, exclusive bool) {
	at := p.nextVersion()
	oi := &c.New.Info
	userVersion := o.state.Info.UserVersion
	if c.UserModify {
		userVersion = max(p.own.Info.LastUserVersion, oi.UserVersion) + 1
		userVersion = max(userVersion, at.V) // old clients see only the log's version
	}
	if c.CopiedVersion != 0 {
		userVersion = c.CopiedVersion
	}
	returns := op.Op.Has(message.FlagReturnVec)
	if returns {
		result = boundOutputs(list, p.conf.Ops.MaxWriteOpReply, result)
	} else {
		result = 0
	}
	kind := pglog.OpModify
	p.markDirty(o, c)
	if c.New.Exists {
		oi.UserVersion = userVersion
		oi.Version, oi.PriorVersion, oi.LastReqID = at, o.state.Info.Version, op.reqid
		if !op.Op.MTime.IsZero() {
			oi.Mtime, oi.LocalMtime = op.Op.MTime, p.now
		}
		c.Tx.SetAttr(p.coll, p.gid(o.id), pglog.AttrObjectInfo, oi.Bytes())
		if o.id.IsHead() {
			c.New.SnapSet.Seq = max(c.New.SnapSet.Seq, p.snapSeq(op.Op))
			c.Tx.SetAttr(p.coll, p.gid(o.id), pglog.AttrSnapSet, c.New.SnapSet.Bytes())
		}
	} else {
		kind = pglog.OpDelete
	}
	entry := pglog.NewEntry(kind, o.id, at, o.state.Info.Version)
	entry.UserVersion, entry.ReqID, entry.Mtime, entry.Clean = userVersion, op.reqid, op.Op.MTime, c.Clean
	if returns {
		entry.ReturnCode, entry.OpReturns = result, opReturns(list)
	}
	if c.New.Exists {
		o.state = c.New
	} else {
		o.state = ops.State{Info: pglog.NewObjectInfo(o.id)}
	}
	o.writes++
	o.exclusive = exclusive

	reply := p.newReply(op, result)
	if returns {
		reply.Ops = list
		stripInputs(reply.Ops)
	} else {
		dropOutputs(reply.Ops)
	}
	reply.SetVersions(at, userVersion)
	p.stats.applyWrite(p, o.id, &c.Delta)
	w := &inflight{version: at, object: o, op: op, reply: reply}
	if c.Watch.Any() {
		w.then = func() { p.watchEffects(op, o, &c.Watch) }
	}
	p.replicate(w, c.Tx, &entry)
}

// markDirty keeps the flag that tells changed objects apart in cache tiers, and
// the counts that follow from flags.
func (p *PG) markDirty(o *objectContext, c *ops.Context) {
	was, is := &o.state, &c.New
	switch {
	case is.Exists && !was.Info.Has(pglog.OIDirty):
		is.Info.Set(pglog.OIDirty)
		c.Delta.NumObjectsDirty++
	case !is.Exists && was.Info.Has(pglog.OIDirty):
		is.Info.Clear(pglog.OIDirty)
		c.Delta.NumObjectsDirty--
	}
	had := was.Exists && was.Info.Has(pglog.OIOmap)
	has := is.Exists && is.Info.Has(pglog.OIOmap)
	switch {
	case has && !had:
		c.Delta.NumObjectsOmap++
	case had && !has:
		c.Delta.NumObjectsOmap--
	}
}

// boundOutputs limits what a write may return, since it is kept in the log.
func boundOutputs(list []message.SubOp, most int, result int32) int32 {
	for i := range list {
		if list[i].Out.Len() > most {
			list[i].Out, list[i].RVal = nil, ops.EOverflow
			result = ops.EOverflow
		}
	}
	return result
}

func opReturns(list []message.SubOp) []pglog.OpReturn {
	out := make([]pglog.OpReturn, len(list))
	for i := range list {
		out[i] = pglog.OpReturn{RVal: list[i].RVal, Data: list[i].Out.Flat()}
	}
	return out
}

// dropOutputs is what clients that do not ask for the outputs of writes get.
func dropOutputs(list []message.SubOp) {
	for i := range list {
		list[i].Out, list[i].In, list[i].RVal = nil, nil, 0
	}
}

// replicate logs a change here, sends it to the other members, and submits it.
func (p *PG) replicate(w *inflight, tx *objectstore.Transaction, entry *pglog.Entry) {
	a := p.active
	p.nextTID++
	w.tid = p.nextTID
	w.waitFor = slices.Clone(p.lead.choice.Members)
	trim := p.trimTarget()
	if len(a.others) > 0 {
		p.sendRepOp(w, tx, entry, trim)
	}
	a.queue = append(a.queue, w)
	p.appendEntry(entry)
	p.saveLog(tx, trim)
	p.submit(tx, func() {
		if p.active == a {
			p.memberCommitted(w, p.env.WhoAmI)
		}
	})
}

// sendRepOp sends a change to the other members: one message, encoded once, for
// all whose copy reaches the object, and one without the change, for those that
// backfill has not brought that far.
func (p *PG) sendRepOp(w *inflight, tx *objectstore.Transaction, entry *pglog.Entry, trim pglog.Version) {
	a := p.active
	full := &message.OSDRepOp{
		TID: w.tid, PGHeader: p.header(), ReqID: entry.ReqID, Object: entry.Object,
		AcksWanted: uint8(message.FlagAck | message.FlagOnDisk), Version: entry.Version,
		LogEntries: message.EncodeEntries([]pglog.Entry{*entry}), Stats: p.own.Info.Stats, TrimTo: trim,
		NewTemp: object.Min, DiscardTemp: object.Min, From: p.self(),
		MinLastCompleteOnDisk: p.minLastComplete(), Tx: tx.Encode(),
	}
	whole, partial := a.others, []int32(nil)
	if len(p.lead.choice.Backfill)+len(p.lead.choice.AsyncRecovery) > 0 {
		whole = nil
		for _, osd := range a.others {
			if p.takesChanges(osd, entry.Object) {
				whole = append(whole, osd)
			} else {
				partial = append(partial, osd)
			}
		}
	}
	if len(whole) > 0 {
		p.fx.add(SendOSD{whole, full})
	}
	if len(partial) > 0 {
		logOnly := *full
		logOnly.Tx = (&objectstore.Transaction{}).Encode()
		p.fx.add(SendOSD{partial, &logOnly})
	}
	for _, osd := range partial {
		if p.reaches(osd, entry.Object) {
			p.lead.missing[osd].AddNext(entry)
		}
	}
	for _, osd := range a.others {
		p.noteSent(osd, entry)
	}
}

// takesChanges reports whether a member is sent a change of an object itself, not only
// its log entry.
func (p *PG) takesChanges(osd int32, o object.ID) bool {
	return p.reaches(osd, o) && !(p.isAsync(osd) && p.lead.missing[osd].Has(o))
}

// header addresses a message to the other members of this PG.
func (p *PG) header() message.PGHeader {
	return message.PGHeader{PGID: p.id, Epoch: p.osdmap.Epoch, Since: p.resetEpoch}
}

func (p *PG) self() osdmap.PGShard { return osdmap.PGShard{OSD: p.env.WhoAmI, Shard: p.id.Shard} }

// memberCommitted notes that a member has a change on disk. Changes commit in
// order on every member, so they complete in order.
func (p *PG) memberCommitted(w *inflight, osd int32) {
	i := slices.Index(w.waitFor, osd)
	if i < 0 {
		return
	}
	w.waitFor = slices.Delete(w.waitFor, i, i+1)
	if len(w.waitFor) == 0 {
		p.complete(w)
	}
}

// complete answers the client of a change that is durable everywhere.
func (p *PG) complete(w *inflight) {
	a := p.active
	a.lastUpdateOnDisk = pglog.MaxOf(a.lastUpdateOnDisk, w.version)
	if i := slices.Index(a.queue, w); i >= 0 {
		a.queue = slices.Delete(a.queue, i, i+1)
	}
	if w.op != nil && w.op.From != nil {
		p.fx.add(Reply{w.op.From, w.reply})
	}
	for _, d := range w.dups {
		p.replyDup(d.op, d.first)
	}
	if w.then != nil {
		w.then()
	}
	if w.object != nil {
		p.release(w.object)
	}
	p.fx.add(StatsChanged{})
	p.backfillCommitted(w.version)
}

// repOpReply is a member's word that it has a change on disk.
func repOpReply(p *PG, from int32, m *message.OSDRepOpReply) {
	p.noteComplete(from, m.LastCompleteOnDisk)
	if w := p.active.byTID(m.TID); w != nil {
		if m.Result < 0 {
			p.clog("error", "osd.%d refused %v: %d", from, w.version, m.Result)
			return
		}
		p.memberCommitted(w, from)
	}
}

// logError logs an operation that changed nothing, for the answer to a resend.
func (p *PG) logError(op *clientOp, o *objectContext, result int32, list []message.SubOp) {
	at := p.nextVersion()
	entry := pglog.NewEntry(pglog.OpError, o.id, at, pglog.Version{})
	entry.UserVersion, entry.ReqID, entry.ReturnCode = 0, op.reqid, result
	entry.Clean = pglog.AllClean()
	returns := op.Op.Has(message.FlagReturnVec)
	if returns {
		entry.OpReturns = opReturns(list)
	}
	reply := p.newReply(op, result)
	reply.Ops = list
	stripInputs(reply.Ops)
	if result == ops.ENoEnt {
		reply.SetReadVersions(p.own.Info.LastUpdate, p.own.Info.LastUserVersion)
	} else {
		reply.SetVersions(at, o.state.Info.UserVersion)
	}
	a := p.active
	p.nextTID++
	w := &inflight{tid: p.nextTID, version: at, op: op, reply: reply, waitFor: slices.Clone(p.lead.choice.Members)}
	trim := p.trimTarget()
	if len(a.others) > 0 {
		p.fx.add(SendOSD{a.others, &message.OSDPGUpdateLogMissing{PGHeader: p.header(), From: p.id.Shard,
			RepTID: w.tid, Entries: []pglog.Entry{entry}, TrimTo: trim, RollForwardTo: at}})
		for _, osd := range a.others {
			p.noteSent(osd, &entry)
		}
	}
	a.queue = append(a.queue, w)
	p.appendEntry(&entry)
	tx := p.newTx()
	p.saveLog(tx, trim)
	p.submit(tx, func() {
		if p.active == a {
			p.memberCommitted(w, p.env.WhoAmI)
		}
	})
}

func logUpdateReply(p *PG, from int32, m *message.OSDPGUpdateLogMissingReply) {
	p.noteComplete(from, m.LastCompleteOnDisk)
	if w := p.active.byTID(m.RepTID); w != nil {
		p.memberCommitted(w, from)
	}
}

// repOp is what a replica does with a change: its steps and its log entries are
// one transaction.
func repOp(p *PG, from int32, m *message.OSDRepOp) {
	tx, err := objectstore.DecodeTransaction(m.Tx)
	var entries []pglog.Entry
	if err == nil {
		entries, err = message.DecodeEntries(m.LogEntries)
	}
	reply := &message.OSDRepOpReply{TID: m.TID, PGHeader: p.answer(&m.PGHeader), ReqID: m.ReqID,
		AckType: uint8(message.FlagOnDisk), From: p.self()}
	if err != nil {
		p.clog("error", "operation %v from osd.%d: %v", m.Version, from, err)
		reply.Result = ops.EInval
		p.send(from, reply)
		return
	}
	for i := range entries {
		p.appendEntry(&entries[i])
		p.noteUnapplied(&entries[i], len(tx.Ops) == 0)
	}
	p.takeStats(&m.Stats)
	p.saveLog(tx, m.TrimTo)
	p.confirm(tx, from, func(done pglog.Version) {
		reply.LastCompleteOnDisk = done
		p.send(from, reply)
	})
}

// confirm submits a replica's transaction and, once it is durable and if the
// interval is still the same, answers with the version up to which this copy is
// complete on disk.
func (p *PG) confirm(tx *objectstore.Transaction, _ int32, answer func(pglog.Version)) {
	f, complete := p.follow, p.own.Info.LastComplete
	p.submit(tx, func() {
		if p.follow == f && f != nil {
			f.completeOnDisk = complete
			answer(complete)
		}
	})
}

// answer is the header of a reply.
func (p *PG) answer(h *message.PGHeader) message.PGHeader {
	return message.PGHeader{PGID: p.id, Epoch: p.osdmap.Epoch, Since: h.Since}
}

// logUpdate appends entries that change no object by themselves.
func logUpdate(p *PG, from int32, m *message.OSDPGUpdateLogMissing) {
	tx := p.newTx()
	for i := range m.Entries {
		e := &m.Entries[i]
		p.appendEntry(e)
		if !e.IsError() && !p.own.Info.LastBackfill.Less(e.Object) {
			p.own.Missing.AddNext(e) // given up at an operator's word
			p.forgetContext(e.Object)
		}
	}
	p.own.ResetLastComplete()
	p.saveLog(tx, m.TrimTo)
	reply := &message.OSDPGUpdateLogMissingReply{PGHeader: p.answer(&m.PGHeader), From: p.id.Shard, RepTID: m.RepTID}
	p.confirm(tx, from, func(done pglog.Version) {
		reply.LastCompleteOnDisk = done
		p.send(from, reply)
	})
}

// replicaTrim trims the log as the primary says.
func replicaTrim(p *PG, _ int32, m *message.OSDPGTrim) {
	tx := p.newTx()
	p.saveLog(tx, m.TrimTo)
	p.submit(tx, nil)
}
