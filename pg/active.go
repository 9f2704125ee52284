package pg

import (
	"slices"

	"sepiola/message"
	"sepiola/object"
	"sepiola/pglog"
)

// active is what a primary has once its log is authoritative: the changes in
// flight and the recovery under way.
type active struct {
	others []int32 // members without self
	// activated are the members that have stored the activation.
	activated map[int32]bool
	// serving says that all members are activated and there are enough of them.
	serving bool
	// waiting: members of earlier intervals may still answer. laggy: this primary may
	// not, for want of confirmations.
	waiting, laggy bool

	queue            []*inflight // in order of versions
	lastUpdateOnDisk pglog.Version
	// completeOnDisk is up to where each other member said it is complete.
	completeOnDisk map[int32]pglog.Version

	// fetches are operations that wait for the sources of their copies.
	fetches []*fetch
	// waitObject are operations that wait for an object's recovery.
	waitObject map[object.ID][]*clientOp
	recovery   recovery
	reserved   reservation
	watches    watches
	fill       filling
	recount    recount
	cleaned    bool // marked clean in this interval
}

func (a *active) byTID(tid uint64) *inflight {
	for _, w := range a.queue {
		if w.tid == tid {
			return w
		}
	}
	return nil
}

// inFlight returns the change whose completion makes v durable everywhere, nil if
// it is.
func (a *active) inFlight(v pglog.Version) *inflight {
	var last *inflight
	for _, w := range a.queue {
		if w.version.AtMost(v) {
			last = w
		}
	}
	return last
}

// pendingOps are the operations in flight and those that wait for objects, in no
// particular order.
func (a *active) pendingOps() []*clientOp {
	var out []*clientOp
	for _, w := range a.queue {
		if w.op != nil {
			out = append(out, w.op)
		}
		for _, d := range w.dups {
			out = append(out, d.op)
		}
	}
	for _, f := range a.fetches {
		out = append(out, f.op)
	}
	for _, waiters := range a.waitObject {
		out = append(out, waiters...)
	}
	return out
}

// minLastComplete is up to where all members are complete on disk; zero while it
// is not known of all.
func (p *PG) minLastComplete() pglog.Version {
	least := p.own.Info.LastComplete
	for _, osd := range p.active.others {
		v, ok := p.active.completeOnDisk[osd]
		if !ok {
			return pglog.Version{}
		}
		least = pglog.MinOf(least, v)
	}
	return pglog.MinOf(least, p.active.lastUpdateOnDisk)
}

func (p *PG) noteComplete(osd int32, v pglog.Version) {
	p.active.completeOnDisk[osd] = pglog.MaxOf(p.active.completeOnDisk[osd], v)
}

// noteSent keeps what is known of a member in step with what it was sent.
func (p *PG) noteSent(osd int32, e *pglog.Entry) {
	i := p.lead.infos[osd]
	i.LastUpdate = e.Version
	m := p.lead.missing[osd]
	if m.Len() == 0 {
		i.LastComplete = e.Version
	}
}

// activeIn is the body of all states of an active primary: what differs among them
// is what recovery does.
type activeIn stateID

func (s activeIn) id() stateID { return stateID(s) }

// activeInfo is a member's word that it stored the activation.
func activeInfo(p *PG, from int32, m *message.OSDPGInfo2) {
	p.takeLeaseAck(from, m.LeaseAck)
	if slices.Contains(p.active.others, from) {
		p.memberActivated(from)
	}
}

func (p *PG) memberActivated(osd int32) {
	a := p.active
	if a.activated[osd] {
		return
	}
	a.activated[osd] = true
	if len(a.activated) == len(p.lead.choice.Members) {
		p.allActivated()
	}
}

// allActivated makes the activation known: from here on a later primary that
// hears of it looks for this interval's members.
func (p *PG) allActivated() {
	a := p.active
	h := &p.own.Info.History
	first := p.bits.Has(pglog.StateCreating)
	h.LastEpochStarted, h.LastIntervalStarted = p.own.Info.LastEpochStarted, h.SameIntervalSince
	a.serving = p.writeable()
	p.measureLease()
	p.awaitPrior()
	p.bits &^= pglog.StateCreating
	tx := p.newTx()
	p.saveInfo(tx, false)
	p.submit(tx, nil)
	p.shareInfo()
	if first {
		p.fx.add(PGCreated{})
	}
	p.fx.add(StatsChanged{})
	p.state = activeIn(stRecovered)
	if a.serving {
		p.wakeOps()
	} else {
		p.backOffAll()
	}
	p.recover()
}

// shareInfo tells the members what changed in the history.
func (p *PG) shareInfo() {
	for _, osd := range p.active.others {
		i := p.lead.infos[osd]
		i.LastEpochStarted, i.LastIntervalStarted = p.own.Info.LastEpochStarted, p.own.Info.LastIntervalStarted
		i.History.Merge(&p.own.Info.History)
	}
	if len(p.active.others) > 0 {
		p.fx.add(SendOSD{p.active.others, &message.OSDPGInfo2{PGHeader: p.header(), Info: p.own.Info.Clone()}})
	}
}

// activeMap minds what a map changes within the interval: pause flags end, an OSD
// that was a source goes down, min_size shrinks.
func activeMap(p *PG, ev Event) {
	if ev.(NewMap).More || p.state.id() == stActivating {
		return
	}
	if serving := p.writeable(); serving && !p.active.serving {
		p.active.serving = true
		p.wakeOps()
	}
	for osd := range p.lead.strays {
		if p.osdmap.IsDown(osd) {
			delete(p.lead.strays, osd)
			delete(p.lead.infos, osd)
			delete(p.lead.missing, osd)
			p.forgetSource(osd)
		}
	}
	p.checkPrior()
	p.dropBlocklistedWatchers()
	p.recover()
}

// activeNotify is a copy that turns up late: a source for what was not found, or
// one to purge.
func activeNotify(p *PG, from int32, m *message.OSDPGNotify2) {
	if p.isMember(from) || m.Notify.Info.DNE() {
		return
	}
	info := m.Notify.Info.Clone()
	p.lead.infos[from] = &info
	p.lead.strays[from] = true
	switch {
	case p.active.cleaned:
		p.purgeStrays()
	case p.hasUnfound():
		p.askForMissing(from)
	}
}

// purgeStrays tells those who are no members any more to drop their copies: all
// members are complete without them.
func (p *PG) purgeStrays() {
	for _, osd := range p.sortedStrays() {
		if p.osdmap.IsUp(osd) {
			p.send(osd, &message.OSDPGRemove{Epoch: p.osdmap.Epoch, PGs: []object.SPGID{p.id}})
		}
		delete(p.lead.infos, osd)
		delete(p.lead.missing, osd)
	}
	clear(p.lead.strays)
}

func (p *PG) sortedStrays() []int32 {
	var out []int32
	for osd := range p.lead.strays {
		out = append(out, osd)
	}
	slices.Sort(out)
	return out
}
