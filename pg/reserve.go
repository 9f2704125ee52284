package pg

import (
	"slices"

	"sepiola/backfill"
	"sepiola/message"
	"sepiola/osdmap"
	"sepiola/pglog"
)

// Scope says whose disk a slot is for.
type Scope uint8

// The scopes.
const (
	ScopeLocal  Scope = iota // this OSD's, for PGs that it leads
	ScopeRemote              // this OSD's, lent to a PG that another leads
)

// String names the scope.
func (s Scope) String() string { return [...]string{"local", "remote"}[s] }

// work is what slots are reserved for.
type work uint8

const (
	noWork work = iota
	recoveryWork
	backfillWork
)

// stage is how far a reservation has come.
type stage uint8

const (
	stageIdle   stage = iota
	stageLocal        // waits for the own slot
	stageRemote       // waits for the last of the members asked
	stageHeld
)

// reservation is a primary's claim to work: a slot of its own OSD first, then one
// of each member concerned, one after the other in ascending order. Whoever holds
// some and waits for more waits only for what comes later in that order, so nobody
// waits in a circle.
type reservation struct {
	work    work
	stage   stage
	gen     uint64
	remotes []int32
	asked   int // how many of remotes
	// tooFull: a target has no room; tried again after a while.
	tooFull bool
}

// lent is a replica's side of a reservation.
type lent struct {
	work    work
	gen     uint64
	granted bool
}

// workStates are the states of an active PG with work to do, by stage.
var workStates = map[work][4]stateID{
	recoveryWork: {stNotRecovering, stWaitLocalRecovery, stWaitRemoteRecovery, stRecovering},
	backfillWork: {stNotBackfilling, stWaitLocalBackfill, stWaitRemoteBackfill, stBackfilling},
}

// pursue goes on with the work, if it may be done and as soon as the slots are
// there.
func (p *PG) pursue(w work) {
	r := &p.active.reserved
	if !p.mayWork(w) {
		p.unreserve()
		p.state = activeIn(workStates[w][stageIdle])
		return
	}
	if r.work != w {
		p.unreserve()
		p.reserveGen++
		*r = reservation{work: w, stage: stageLocal, gen: p.reserveGen, remotes: p.concerned(w)}
		p.fx.add(Reserve{Scope: ScopeLocal, Priority: p.urgency(w), Gen: r.gen})
	}
	p.state = activeIn(workStates[w][r.stage])
	if r.stage != stageHeld {
		return
	}
	if w == recoveryWork {
		p.recoverMissing()
	} else {
		p.fill()
	}
}

// mayWork reports whether the map's flags allow the work, and whether there is
// anything to be done now.
func (p *PG) mayWork(w work) bool {
	if w == recoveryWork {
		return p.mayRecover() && p.canRecover()
	}
	return p.mayBackfill() && !p.active.reserved.tooFull
}

// canRecover reports whether anything that is missing can be had.
func (p *PG) canRecover() bool {
	if p.active.recovery.unfinished() > 0 {
		return true
	}
	for o, item := range p.own.Missing.ByNeed(pglog.Version{}) {
		if item.Delete || p.canRevert(item) || len(p.liveSources(o)) > 0 {
			return true
		}
	}
	for _, osd := range p.active.others {
		for o := range p.lead.missing[osd].ByNeed(pglog.Version{}) {
			if !p.own.Missing.Has(o) {
				return true
			}
		}
	}
	return false
}

// concerned are the members whose disks the work is on.
func (p *PG) concerned(w work) []int32 {
	if w == backfillWork {
		return p.backfillTargets()
	}
	return slices.Sorted(slices.Values(p.active.others))
}

// urgency is the work's priority among that of other PGs.
func (p *PG) urgency(w work) uint32 {
	degraded, _ := p.countDegraded()
	n := backfill.Need{Degraded: degraded > 0, Whole: len(members(p.where.Acting)),
		Acting: len(members(p.where.Acting)), Size: int(p.pool.Size), MinSize: int(p.pool.MinSize)}
	if whole := p.wholeCopies(); whole != nil || p.missingAnywhere() {
		n.Whole = len(whole)
	}
	if v, ok := p.pool.Opts[osdmap.OptRecoveryPriority]; ok {
		n.PoolPriority = int(v.Int)
	}
	if w == recoveryWork {
		n.Forced = p.bits.Has(pglog.StateForcedRecovery)
		return backfill.RecoveryPriority(n)
	}
	n.Forced = p.bits.Has(pglog.StateForcedBackfill)
	return backfill.BackfillPriority(n)
}

// holds reports whether the slots for the work are there.
func (p *PG) holds(w work) bool {
	r := &p.active.reserved
	return r.work == w && r.stage == stageHeld
}

// unreserve gives back all slots, and what was asked for.
func (p *PG) unreserve() {
	r := &p.active.reserved
	if r.work == noWork {
		return
	}
	for _, osd := range r.remotes[:r.asked] {
		p.sendReserve(osd, r.work, message.RecoveryRelease, message.BackfillRelease, 0)
	}
	p.fx.add(Release{ScopeLocal})
	*r = reservation{tooFull: r.tooFull}
}

// sendReserve sends a message about slots, of the kind that the work has.
func (p *PG) sendReserve(osd int32, w work, rec message.RecoveryReserveType, back message.BackfillReserveType, prio uint32) {
	if w == recoveryWork {
		p.send(osd, &message.RecoveryReserve{PGHeader: p.headerNow(), Op: rec, Priority: prio})
		return
	}
	m := &message.BackfillReserve{PGHeader: p.headerNow(), Op: back, Priority: prio}
	if back == message.BackfillRequest {
		m.PrimaryNumBytes = p.own.Info.Stats.Stats.Sum.NumBytes
		m.ShardNumBytes = p.lead.infos[osd].Stats.Stats.Sum.NumBytes
	}
	p.send(osd, m)
}

// activeReserved hears of the own slot.
func activeReserved(p *PG, ev Event) {
	e, r := ev.(Reserved), &p.active.reserved
	if e.Scope != ScopeLocal || r.work == noWork || e.Gen != r.gen {
		return
	}
	if !e.Granted {
		p.startOver()
		return
	}
	if r.stage == stageLocal {
		r.stage = stageRemote
		p.askNext()
	}
}

// askNext asks the next member for a slot, or begins to work when all are there.
func (p *PG) askNext() {
	r := &p.active.reserved
	if r.asked < len(r.remotes) {
		r.asked++
		p.sendReserve(r.remotes[r.asked-1], r.work, message.RecoveryRequest, message.BackfillRequest, p.urgency(r.work))
	} else {
		r.stage = stageHeld
	}
	p.recover()
}

// startOver gives up all slots after one was taken away, and gets in line again.
func (p *PG) startOver() {
	p.unreserve()
	p.recover()
}

// reserveReply is what members answer.
func reserveReply(p *PG, ev Event) {
	e := ev.(PeerMessage)
	w, granted, full := noWork, false, false
	switch m := e.Msg.(type) {
	case *message.RecoveryReserve:
		w, granted = recoveryWork, m.Op == message.RecoveryGrant
		if !granted && m.Op != message.RecoveryRevoke {
			return
		}
	case *message.BackfillReserve:
		w, granted = backfillWork, m.Op == message.BackfillGrant
		full = m.Op == message.BackfillRejectTooFull || m.Op == message.BackfillRevokeTooFull
		if !granted && !full && m.Op != message.BackfillRevoke {
			return
		}
	}
	r := &p.active.reserved
	at := slices.Index(r.remotes[:r.asked], e.From)
	switch {
	case r.work != w || at < 0:
	case granted:
		if r.stage == stageRemote && at == r.asked-1 {
			p.askNext()
		}
	default:
		if full {
			r.tooFull = true
			p.fx.add(StartTimer{Kind: TimerTooFull, After: p.conf.BackfillRetry})
			p.fx.add(StatsChanged{})
		}
		p.startOver()
	}
}

// replicaReserve is a primary's request for a slot of this OSD, or its return.
func replicaReserve(p *PG, ev Event) {
	e := ev.(PeerMessage)
	if !p.fromPrimary(e.From) {
		return
	}
	w, prio, asks, gives := recoveryWork, uint32(0), false, false
	switch m := e.Msg.(type) {
	case *message.RecoveryReserve:
		prio, asks, gives = m.Priority, m.Op == message.RecoveryRequest, m.Op == message.RecoveryRelease
	case *message.BackfillReserve:
		w, prio, asks, gives = backfillWork, m.Priority, m.Op == message.BackfillRequest, m.Op == message.BackfillRelease
	}
	switch {
	case gives && p.follow.lent.work == w:
		p.takeBack()
	case asks && w == backfillWork && p.env.BackfillFull != nil && p.env.BackfillFull():
		p.sendReserve(e.From, w, 0, message.BackfillRejectTooFull, 0)
	case asks:
		p.reserveGen++
		p.follow.lent = lent{work: w, gen: p.reserveGen}
		p.fx.add(Reserve{Scope: ScopeRemote, Priority: prio, Gen: p.reserveGen})
	}
}

// takeBack ends what was lent or asked for.
func (p *PG) takeBack() {
	if p.follow.lent.work != noWork {
		p.follow.lent = lent{}
		p.fx.add(Release{ScopeRemote})
	}
}

// replicaReserved hears of the slot for the primary.
func replicaReserved(p *PG, ev Event) {
	e, l := ev.(Reserved), &p.follow.lent
	if e.Scope != ScopeRemote || l.work == noWork || e.Gen != l.gen {
		return
	}
	to := p.where.ActingPrimary
	if e.Granted {
		l.granted = true
		p.sendReserve(to, l.work, message.RecoveryGrant, message.BackfillGrant, 0)
		return
	}
	w := l.work
	*l = lent{}
	p.sendReserve(to, w, message.RecoveryRevoke, message.BackfillRevoke, 0)
}

// dropSlots gives everything back at the end of an interval, without a word: whoever
// is concerned comes to that end too.
func (p *PG) dropSlots() {
	if p.active != nil && p.active.reserved.work != noWork {
		p.fx.add(Release{ScopeLocal})
	}
	if p.follow != nil && p.follow.lent.work != noWork {
		p.fx.add(Release{ScopeRemote})
	}
}
