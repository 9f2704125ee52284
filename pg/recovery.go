package pg

import (
	"slices"

	"sepiola/message"
	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pg/ops"
	"sepiola/pglog"
)

// recovery is the work of bringing missing objects to where they are missing, as
// the primary does it: first to itself, then to the members.
type recovery struct {
	// sources are the copies known to hold a version the primary misses.
	sources map[object.ID][]int32
	// asked are strays that were asked for their missing sets.
	asked   map[int32]bool
	pulling map[object.ID]*pull
	pushing map[object.ID]*pushOut
	// wanted are objects operations wait for, in the order they asked.
	wanted []object.ID
	local  map[object.ID]bool // deletes under way here
	// parting are objects to be sent as soon as the writes in flight have landed; no
	// more are let through until then.
	parting map[object.ID]bool
	timer   bool
}

// pull is an object on its way to the primary.
type pull struct {
	from  int32
	tried []int32
	// version is what is asked for, revert that it becomes a newer one.
	version pglog.Version
	revert  bool
}

// pushOut is an object on its way to members: the same piece to all of them at
// once, the next when all have stored it.
type pushOut struct {
	version  pglog.Version
	info     message.ObjectRecoveryInfo
	progress message.ObjectRecoveryProgress // of what was sent
	to       []int32                        // all that receive it
	waitFor  []int32                        // those that have not stored the piece
	removal  bool
	done     func() // instead of the missing sets' update: for backfill
}

func (r *recovery) init() {
	r.sources, r.asked = map[object.ID][]int32{}, map[int32]bool{}
	r.pulling, r.pushing = map[object.ID]*pull{}, map[object.ID]*pushOut{}
	r.local, r.parting = map[object.ID]bool{}, map[object.ID]bool{}
}

func (r *recovery) inFlight() int { return len(r.pulling) + len(r.pushing) + len(r.local) }

// unfinished are those in flight that backfill has not sent.
func (r *recovery) unfinished() int {
	n := len(r.pulling) + len(r.local)
	for _, out := range r.pushing {
		if out.done == nil {
			n++
		}
	}
	return n
}

// findSources works out who has what the primary misses, and asks strays that may
// have it.
func (p *PG) findSources() {
	if p.own.Missing.Len() == 0 {
		return
	}
	for osd := range p.lead.missing {
		p.addSource(osd)
	}
	for _, list := range p.active.recovery.sources {
		slices.Sort(list)
	}
	if p.hasUnfound() {
		for _, osd := range p.sortedStrays() {
			p.askForMissing(osd)
		}
	}
}

// addSource notes which missing objects a copy has.
func (p *PG) addSource(osd int32) {
	info, missing := p.lead.infos[osd], p.lead.missing[osd]
	if info == nil || missing == nil {
		return
	}
	r := &p.active.recovery
	for o, item := range p.own.Missing.ByNeed(pglog.Version{}) {
		wanted, _ := p.wantedVersion(item)
		if item.Delete || !isSource(info, missing, o, item.Need, wanted) || slices.Contains(r.sources[o], osd) {
			continue
		}
		r.sources[o] = append(r.sources[o], osd)
		slices.Sort(r.sources[o])
	}
}

// askForMissing asks a stray for its missing set; its log from its last
// activation comes with it.
func (p *PG) askForMissing(osd int32) {
	r, info := &p.active.recovery, p.lead.infos[osd]
	if r.asked[osd] || info == nil || info.IsEmpty() || p.osdmap.IsDown(osd) {
		return
	}
	r.asked[osd] = true
	p.query(osd, pglog.QueryFullLog, pglog.Version{})
}

// activeLog is a stray's log and missing set.
func activeLog(p *PG, from int32, m *message.OSDPGLog) {
	if slices.Contains(p.active.others, from) || !p.active.recovery.asked[from] {
		return
	}
	info, missing, err := pglog.ProcReplicaLog(p.own.Log, m.Log, &m.Info, orEmpty(m.Missing))
	if err != nil {
		p.note("log of stray osd.%d: %v", from, err)
		return
	}
	p.lead.infos[from], p.lead.missing[from] = &info, missing
	p.addSource(from)
	p.recover()
}

// forgetSource is for a stray that went down: when it comes back it is asked again,
// and what was on its way from it is looked for elsewhere.
func (p *PG) forgetSource(osd int32) {
	r := &p.active.recovery
	delete(r.asked, osd)
	for o, list := range r.sources {
		r.sources[o] = slices.DeleteFunc(list, func(s int32) bool { return s == osd })
	}
	for o, pull := range r.pulling {
		if pull.from == osd && p.own.Missing.Has(o) {
			delete(r.pulling, o)
		}
	}
}

// isUnfound reports whether a missing object is on no copy known.
func (p *PG) isUnfound(o object.ID) bool {
	item, ok := p.own.Missing.Get(o)
	return ok && !item.Delete && !p.canRevert(item) && len(p.liveSources(o)) == 0
}

// liveSources are the sources that are up.
func (p *PG) liveSources(o object.ID) []int32 {
	return slices.DeleteFunc(slices.Clone(p.active.recovery.sources[o]), p.osdmap.IsDown)
}

func (p *PG) hasUnfound() bool { return p.countUnfound() > 0 }

func (p *PG) countUnfound() int {
	n := 0
	for o := range p.own.Missing.ByNeed(pglog.Version{}) {
		if p.isUnfound(o) {
			n++
		}
	}
	return n
}

// blockedByRecovery makes an operation wait for an object that is missing here,
// or, if it writes, on any member.
func (p *PG) blockedByRecovery(op *clientOp) bool {
	o := op.Op.Object.WithSnap(object.NoSnap) // there are no clones
	a := p.active
	// An object that has just been recovered here is not missing any more, but not
	// durable yet either, and those who waited for it come first.
	blocked := p.own.Missing.Has(o) || a.recovery.pulling[o] != nil || a.recovery.local[o]
	if op.use.WriteOrdered() {
		blocked = blocked || p.isDegraded(o) || len(a.waitObject[o]) > 0
	}
	if blocked && p.isUnfound(o) && p.canBackOff(op) {
		p.backOff(op, o, o)
		return true
	}
	sameClient := func(w *clientOp) bool { return w.From == op.From }
	if !blocked && !slices.ContainsFunc(a.waitObject[o], sameClient) {
		return false
	}
	if len(a.waitObject[o]) == 0 {
		a.recovery.wanted = append(a.recovery.wanted, o)
	}
	a.waitObject[o] = byArrival(append(a.waitObject[o], op))
	p.recover()
	return true
}

// isDegraded reports whether a member misses the object or is being sent it. Members
// that recover outside of the acting set do not hold writes up: they get the log
// entry, and the object when its turn comes.
func (p *PG) isDegraded(o object.ID) bool {
	for _, osd := range p.active.others {
		if p.lead.missing[osd].Has(o) && !p.isAsync(osd) {
			return true
		}
	}
	r := &p.active.recovery
	return r.pushing[o] != nil || r.parting[o] || p.isBackfilling(o)
}

// isAsync reports whether a member recovers outside of the acting set.
func (p *PG) isAsync(osd int32) bool { return slices.Contains(p.lead.choice.AsyncRecovery, osd) }

// wakeObject tries what waited for an object.
func (p *PG) wakeObject(o object.ID) {
	a := p.active
	p.releaseBackoffs(func(b *backoff) bool { return b.begin == o && b.end == o })
	waiters := a.waitObject[o]
	if len(waiters) == 0 {
		return
	}
	delete(a.waitObject, o)
	p.ready = byArrival(append(p.ready, waiters...))
}

// mayRecover reports whether the map's flags let recovery go on.
func (p *PG) mayRecover() bool {
	return !p.osdmap.TestFlag(osdmap.FlagNoRecover | osdmap.FlagPauseRec)
}

// recover goes on with what is to be recovered or filled, and moves the state on
// when nothing is left.
func (p *PG) recover() {
	if p.active == nil || p.state.id() == stActivating {
		return
	}
	p.recoverWanted()
	p.recoveryState()
}

// recoverWanted puts what operations wait for before all else, beyond the bound.
func (p *PG) recoverWanted() {
	r := &p.active.recovery
	r.wanted = slices.DeleteFunc(r.wanted, func(o object.ID) bool {
		return len(p.active.waitObject[o]) == 0
	})
	for _, o := range slices.Clone(r.wanted) {
		p.recoverObject(o)
	}
}

// recoverMissing goes through the missing sets in the order of versions.
func (p *PG) recoverMissing() {
	for o := range p.own.Missing.ByNeed(pglog.Version{}) {
		if !p.recoverPaced(o) {
			return
		}
	}
	for _, osd := range p.active.others {
		for o := range p.lead.missing[osd].ByNeed(pglog.Version{}) {
			if !p.recoverPaced(o) {
				return
			}
		}
	}
}

// recoverPaced goes on with an object, and reports whether there is room for more
// at this moment.
func (p *PG) recoverPaced(o object.ID) bool {
	r := &p.active.recovery
	if r.timer || r.inFlight() >= p.conf.RecoveryMaxActive {
		return false
	}
	before := r.inFlight()
	if p.recoverObject(o); r.inFlight() > before {
		p.pause()
	}
	return true
}

// pause lets clients have their turn before the next object, if that is wanted.
func (p *PG) pause() {
	if p.conf.RecoverySleep > 0 {
		p.active.recovery.timer = true
		p.fx.add(StartTimer{Kind: TimerRecovery, After: p.conf.RecoverySleep})
	}
}

// recoverObject starts the next step of an object's recovery, unless one is under
// way or none is possible.
func (p *PG) recoverObject(o object.ID) {
	r := &p.active.recovery
	if r.pulling[o] != nil || r.pushing[o] != nil || r.local[o] {
		return
	}
	item, missing := p.own.Missing.Get(o)
	switch {
	case missing && item.Delete:
		p.deleteHere(o, item)
	case missing && p.canRevert(item):
		p.revertHere(o, item)
	case missing:
		p.startPull(o, item, nil)
	default:
		p.startPush(o)
	}
}

// recoveryState moves between the states of an active PG.
func (p *PG) recoveryState() {
	was := p.state.id()
	switch {
	case p.missingAnywhere():
		p.pursue(recoveryWork)
	case p.needsBackfill():
		p.pursue(backfillWork)
	default:
		p.unreserve()
		if p.state.id() != stClean {
			p.enterRecovered()
		}
	}
	if p.state.id() != was {
		p.fx.add(StatsChanged{})
	}
}

func (p *PG) missingAnywhere() bool {
	if p.own.Missing.Len() > 0 {
		return true
	}
	for _, osd := range p.active.others {
		if p.lead.missing[osd].Len() > 0 {
			return true
		}
	}
	return p.active.recovery.unfinished() > 0
}

// enterRecovered is reached when no member misses anything: the acting set goes
// back to what CRUSH wants, or the PG is clean.
func (p *PG) enterRecovered() {
	p.state = activeIn(stRecovered)
	if !slices.Equal(p.where.Acting, p.where.Up) {
		p.noteCaughtUp()
		if _, c, ok := p.choose(); ok && !slices.Equal(c.Acting, p.where.Acting) {
			p.wantActing(c.Acting)
			return
		}
	}
	p.enterClean()
}

// noteCaughtUp brings the peers' infos up to date with what they miss, which
// decides who may lead: what they said when the interval began is long made good
// (PeeringState::update_calc_stats does so too).
func (p *PG) noteCaughtUp() {
	for osd, info := range p.lead.infos {
		if slices.Contains(p.active.others, osd) {
			info.Stats.Stats.Sum.NumObjectsMissing = int64(p.lead.missing[osd].Len())
		}
	}
}

// enterClean records that nothing is missing. Only a PG with all its copies is
// clean in the sense that its past no longer matters.
func (p *PG) enterClean() {
	p.state = activeIn(stClean)
	if p.active.cleaned || len(members(p.where.Acting)) < int(p.pool.Size) || !slices.Equal(p.where.Acting, p.where.Up) {
		return
	}
	p.active.cleaned = true
	h := &p.own.Info.History
	h.LastEpochClean, h.LastIntervalClean = p.osdmap.Epoch, h.SameIntervalSince
	p.past = osdmap.PastIntervals{}
	tx := p.newTx()
	p.saveInfo(tx, true)
	p.submit(tx, nil)
	p.shareInfo()
	p.purgeStrays()
	p.startRecount()
	p.fx.add(StatsChanged{})
}

// deleteHere removes an object that the log says is deleted.
func (p *PG) deleteHere(o object.ID, item pglog.MissingItem) {
	a := p.active
	a.recovery.local[o] = true
	tx := p.newTx()
	tx.Remove(p.coll, p.gid(o))
	p.gotObject(tx, o, item.Need)
	p.submit(tx, func() {
		if p.active != a {
			return
		}
		delete(a.recovery.local, o)
		p.forgetContext(o)
		p.recoveredHere(o)
	})
}

// recoveredHere goes on with an object that the primary has now.
func (p *PG) recoveredHere(o object.ID) {
	p.forgetContext(o)
	p.wakeReaders(o)
	p.recover()
}

// wakeReaders tries what waited for the object; writes wait again if a member
// still misses it.
func (p *PG) wakeReaders(o object.ID) { p.wakeObject(o) }

// gotObject records that this copy has an object now, in the transaction that
// makes it so.
func (p *PG) gotObject(tx txn, o object.ID, v pglog.Version) {
	if err := p.own.RecoverGot(o, v); err != nil {
		p.clog("error", "recovered %v %v: %v", o, v, err)
	}
	p.saveInfo(tx, false)
}

// startPush sends an object, or its removal, to every member that misses it.
func (p *PG) startPush(o object.ID) {
	r := &p.active.recovery
	delete(r.parting, o)
	out := &pushOut{}
	for _, osd := range p.active.others {
		item, ok := p.lead.missing[osd].Get(o)
		if !ok {
			continue
		}
		out.to = append(out.to, osd)
		out.version, out.removal = item.Need, item.Delete
	}
	if len(out.to) == 0 {
		if !p.isBackfilling(o) {
			p.wakeObject(o)
		}
		return
	}
	if out.removal {
		r.pushing[o] = out
		out.waitFor = slices.Clone(out.to)
		p.fx.add(SendOSD{out.to, &message.OSDPGRecoveryDelete{PGHeader: p.header(), From: p.self(),
			Objects: []message.ObjectVersion{{Object: o, Version: out.version}}}})
		return
	}
	if c := p.objects.byID[o]; c != nil && c.writes > 0 {
		r.parting[o] = true
		return
	}
	p.push(o, out)
}

// push begins to send an object.
func (p *PG) push(o object.ID, out *pushOut) {
	info, err := p.recoveryInfo(o)
	if err != nil {
		p.clog("error", "pushing %v: %v", o, err)
		return
	}
	out.version, out.info, out.progress = info.Version, info, message.NewProgress()
	p.active.recovery.pushing[o] = out
	p.pushPiece(o, out)
}

func (p *PG) pushPiece(o object.ID, out *pushOut) {
	piece, err := p.readPiece(out.info, out.progress)
	if err != nil {
		p.clog("error", "pushing %v: %v", o, err)
		delete(p.active.recovery.pushing, o)
		return
	}
	out.progress = piece.After
	out.waitFor = slices.Clone(out.to)
	p.stats.pushed(&piece)
	p.fx.add(SendOSD{out.to, &message.OSDPGPush{PGHeader: p.header(), From: p.self(),
		Pushes: []message.PushOp{piece}, Cost: piece.Cost()}})
}

// pushReply is a member's word that it stored a piece.
func pushReply(p *PG, from int32, m *message.OSDPGPushReply) {
	for _, o := range m.Objects {
		out := p.active.recovery.pushing[o]
		if out == nil || out.removal || !out.stored(from) {
			continue
		}
		if !out.progress.Complete() {
			p.pushPiece(o, out)
			continue
		}
		p.pushDone(o, out)
	}
}

// stored notes that a member stored the piece, and reports whether all have.
func (out *pushOut) stored(osd int32) bool {
	i := slices.Index(out.waitFor, osd)
	if i < 0 {
		return false
	}
	out.waitFor = slices.Delete(out.waitFor, i, i+1)
	return len(out.waitFor) == 0
}

func deleteReply(p *PG, from int32, m *message.OSDPGRecoveryDeleteReply) {
	for _, ov := range m.Objects {
		out := p.active.recovery.pushing[ov.Object]
		if out != nil && out.removal && out.stored(from) {
			p.pushDone(ov.Object, out)
		}
	}
}

// pushDone records that the members have the object.
func (p *PG) pushDone(o object.ID, out *pushOut) {
	delete(p.active.recovery.pushing, o)
	for _, osd := range out.to {
		p.peerGot(osd, o, out.version)
	}
	if out.done != nil {
		out.done()
	}
	p.wakeObject(o)
	p.recover()
	p.fx.add(StatsChanged{})
}

// peerGot records that a member has an object now.
func (p *PG) peerGot(osd int32, o object.ID, v pglog.Version) {
	missing, info := p.lead.missing[osd], p.lead.infos[osd]
	if !missing.Has(o) {
		return
	}
	if err := missing.Got(o, v); err != nil {
		p.clog("error", "osd.%d got %v %v: %v", osd, o, v, err)
		return
	}
	p.stats.recovered++
	if missing.Len() == 0 {
		info.LastComplete = info.LastUpdate
	}
}

// activeTimer goes on with recovery after a pause, or looks after watches.
func activeTimer(p *PG, ev Event) {
	switch ev.(Timer).Kind {
	case TimerRecovery:
		p.active.recovery.timer = false
		p.recover()
	case TimerWatch:
		p.watchTimer()
	case TimerLease:
		p.renewLease()
	case TimerRecount:
		p.recountMore()
	case TimerTooFull:
		p.active.reserved.tooFull = false
		p.recover()
	case TimerPrior:
		if p.active.waiting && p.priorMayAnswer() {
			p.awaitPrior()
			return
		}
		p.checkPrior()
	}
}

// doPGOp answers operations on the whole PG.
func (p *PG) doPGOp(op *clientOp) {
	list := slices.Clone(op.Op.Ops)
	result := int32(0)
	for i := range list {
		result = p.pgOp(op.Op, &list[i])
		list[i].RVal = result
		if result < 0 {
			break
		}
	}
	reply := p.newReply(op, result)
	reply.Ops = list
	stripInputs(reply.Ops)
	reply.SetVersions(pglog.Version{}, p.own.Info.LastUserVersion)
	p.fx.add(Reply{op.From, reply})
}

func (p *PG) pgOp(m *message.OSDOp, op *message.SubOp) int32 {
	switch op.Op {
	case message.OpPGNLs:
		return p.list(m, op)
	case message.OpPGNLsFilter:
		return p.listFiltered(m, op)
	case message.OpPGLs, message.OpPGLsFilter:
		return ops.EOpNotSupp // the old forms, which no client that knows msgr2 uses
	case message.OpPGHitSetLs:
		return p.listHitSets(op)
	case message.OpPGHitSetGet:
		return ops.ENoEnt
	}
	return ops.EInval
}
