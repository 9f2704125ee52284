package pg

import (
	"slices"

	"sepiola/message"
	"sepiola/object"
	"sepiola/pglog"
)

// takeAuthoritativeLog makes the best log this copy's own.
func (p *PG) takeAuthoritativeLog(from int32, m *message.OSDPGLog) {
	plan, err := pglog.MergeLog(p.own, m.Log, &m.Info)
	if err != nil {
		p.refuseLog(from, err)
		p.enterIncomplete()
		return
	}
	tx := p.newTx()
	p.applyPlan(&plan, tx)
	info := &p.own.Info
	if info.LastEpochStarted < m.Info.LastEpochStarted {
		// The log is of a copy that went active later, and so is this one now.
		info.LastEpochStarted, info.LastIntervalStarted = m.Info.LastEpochStarted, m.Info.LastIntervalStarted
	}
	p.mergeHistory(&m.Info.History)
	p.saveInfo(tx, true)
	p.submit(tx, nil)
	theirs := m.Info.Clone()
	p.lead.infos[from] = &theirs
	p.lead.missing[from] = orEmpty(m.Missing)
}

func orEmpty(m *pglog.Missing) *pglog.Missing {
	if m == nil {
		return pglog.NewMissing()
	}
	return m
}

// takePeerLog works out what a member misses from its log.
func (p *PG) takePeerLog(from int32, m *message.OSDPGLog) {
	info, missing, err := pglog.ProcReplicaLog(p.own.Log, m.Log, &m.Info, orEmpty(m.Missing))
	if err != nil {
		p.clog("error", "log of osd.%d: %v; backfill is needed", from, err)
		info, missing = m.Info.Clone(), pglog.NewMissing()
		info.LastBackfill = object.Min
	}
	p.lead.infos[from] = &info
	p.lead.missing[from] = missing
	p.mergeHistory(&m.Info.History)
}

// activate ends peering: the log is authoritative, and every member is told how
// to make its own the same.
func (p *PG) activate() {
	info := &p.own.Info
	epoch := p.osdmap.Epoch
	p.bits &^= pglog.StateDown | pglog.StateIncomplete
	if p.writeable() {
		info.LastEpochStarted, info.LastIntervalStarted = epoch, info.History.SameIntervalSince
	}
	a := &active{
		activated: map[int32]bool{}, completeOnDisk: map[int32]pglog.Version{},
		waitObject: map[object.ID][]*clientOp{}, lastUpdateOnDisk: info.LastUpdate,
		others: slices.DeleteFunc(slices.Clone(p.lead.choice.Members), func(o int32) bool { return o == p.env.WhoAmI }),
	}
	p.active = a
	a.fill.begin, a.fill.end = object.Min, object.Min
	a.recovery.init()
	lease := p.newLease()
	p.state = activeIn(stActivating)
	p.own.ResetLastComplete()
	p.own.Log.RollForwardTo(p.own.Log.Head())
	for _, osd := range a.others {
		p.activatePeer(osd, lease)
	}
	p.findSources()
	p.scheduleLease()
	tx := p.newTx()
	p.saveInfo(tx, true)
	p.submit(tx, func() {
		if p.active == a {
			p.memberActivated(p.env.WhoAmI)
		}
	})
	p.fx.add(StatsChanged{})
	p.note("activating e%d %v members %v backfill %v", epoch, info.LastUpdate, p.lead.choice.Members, p.lead.choice.Backfill)
}

// activatePeer sends a member what it lacks of the log and works out what it then
// misses.
func (p *PG) activatePeer(osd int32, lease *pglog.Lease) {
	peer, missing := p.lead.infos[osd], p.lead.missing[osd]
	isNew := peer.DNE()
	log := &message.OSDPGLog{Epoch: p.osdmap.Epoch, QueryEpoch: p.resetEpoch, Info: p.own.Info.Clone(),
		To: p.id.Shard, From: p.id.Shard, Lease: lease}
	dups := uint64(p.conf.PGLogDupsTracked)
	switch {
	case peer.LastUpdate == p.own.Info.LastUpdate && !peer.IsEmpty():
		p.send(osd, &message.OSDPGInfo2{PGHeader: p.headerNow(), Info: p.own.Info.Clone(), Lease: lease})
		log = nil
	case peer.LastUpdate == p.own.Info.LastUpdate:
		log.Log = pglog.Log{Head: p.own.Log.Head(), Tail: p.own.Log.Head()}
	case p.needsFreshStart(osd, peer):
		p.restartPeer(osd, peer, log)
	default:
		log.Log = p.own.Log.Since(peer.LastUpdate, dups)
	}
	if log != nil {
		if isNew {
			log.PastIntervals = p.past.Clone()
		}
		if !peer.LastBackfill.IsMin() {
			missing.AddEntries(entryPointers(log.Log.Entries), peer.LastBackfill)
		}
		p.send(osd, log)
	}
	peer.LastUpdate = p.own.Info.LastUpdate
	if missing.Len() == 0 {
		peer.LastComplete = peer.LastUpdate
	}
}

func entryPointers(list []pglog.Entry) []*pglog.Entry {
	out := make([]*pglog.Entry, len(list))
	for i := range list {
		out[i] = &list[i]
	}
	return out
}

// needsFreshStart reports whether a member's log is of no use: it must be filled
// from the beginning.
func (p *PG) needsFreshStart(osd int32, peer *pglog.Info) bool {
	return peer.LastUpdate.Less(p.own.Log.Tail()) || peer.LastBackfill.IsMin() ||
		slices.Contains(p.lead.choice.Backfill, osd) && peer.LastBackfill.IsMax()
}

// restartPeer prepares a member's backfill: an info that says it has nothing, and
// some recent log, so that it knows of requests that are sent again.
func (p *PG) restartPeer(osd int32, peer *pglog.Info, log *message.OSDPGLog) {
	p.clog("debug", "starting backfill to osd.%d from (%v,%v] %v to %v", osd, peer.LogTail, peer.LastUpdate,
		peer.LastBackfill, p.own.Info.LastUpdate)
	own := &p.own.Info
	peer.LastUpdate, peer.LastComplete = own.LastUpdate, own.LastUpdate
	peer.LastUserVersion, peer.LastBackfill = own.LastUserVersion, object.Min
	peer.LastEpochStarted, peer.LastIntervalStarted = own.LastEpochStarted, own.LastIntervalStarted
	peer.History, peer.HitSet, peer.PurgedSnaps = own.History, own.HitSet, own.PurgedSnaps
	peer.Stats.Stats.Sum = pglog.ObjectStatSum{}
	log.Log = p.own.Log.Last(p.conf.MaxPGLogEntries, uint64(p.conf.PGLogDupsTracked))
	peer.LogTail = log.Log.Tail
	log.Info = peer.Clone()
	p.lead.missing[osd].Clear()
}
