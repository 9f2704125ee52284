package pg

import (
	"errors"

	"sepiola/message"
	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pglog"
)

// stray has a copy and waits for the primary to say what is to become of it.
type stray struct{}

func (stray) id() stateID { return stStray }

// follower is what an active replica keeps for the interval.
type follower struct {
	// completeOnDisk is up to where this copy is complete on disk.
	completeOnDisk pglog.Version
	lent           lent
}

// replicaActive follows an active primary.
type replicaActive struct{}

func (replicaActive) id() stateID { return stReplicaActive }

// sendNotify tells the primary of this copy.
func (p *PG) sendNotify(queryEpoch uint32) {
	to := p.where.ActingPrimary
	if to < 0 || to == osdmap.ItemNone || to == p.env.WhoAmI {
		return
	}
	p.whenFlushed(func() { p.notify(to, queryEpoch) })
}

func (p *PG) notify(to int32, queryEpoch uint32) {
	p.refreshPrior()
	p.send(to, &message.OSDPGNotify2{PGID: p.id, Notify: pglog.Notify{
		QueryEpoch: queryEpoch, EpochSent: p.osdmap.Epoch, Info: p.own.Info.Clone(),
		To: p.id.Shard, From: p.id.Shard, PastIntervals: p.past.Clone()}})
}

// strayMap repeats the notify: the primary may purge the copy, or find objects
// on it.
func strayMap(p *PG, ev Event) {
	if !ev.(NewMap).More {
		p.sendNotify(p.osdmap.Epoch)
	}
}

// answerQuery answers a primary: with this copy's info, or its log and missing
// set.
func answerQuery(p *PG, from int32, m *message.OSDPGQuery2) {
	p.mergeHistory(&m.Query.History)
	p.whenFlushed(func() { p.tell(from, &m.Query) })
}

func (p *PG) tell(from int32, q *pglog.Query) {
	p.refreshPrior()
	if q.Type == pglog.QueryInfo {
		p.notify(from, q.EpochSent)
		return
	}
	reply := &message.OSDPGLog{Epoch: p.osdmap.Epoch, QueryEpoch: q.EpochSent, Info: p.own.Info.Clone(),
		To: q.From, From: p.id.Shard, Missing: p.own.Missing.Clone()}
	switch {
	case q.Type == pglog.QueryFullLog, q.Type == pglog.QueryLog && q.Since.Less(p.own.Log.Tail()):
		reply.Log = p.own.Log.Log()
	case q.Type == pglog.QueryLog:
		reply.Log = p.own.Log.Since(q.Since, uint64(p.conf.PGLogDupsTracked))
	default:
		reply.Log = pglog.Log{Head: p.own.Log.Head(), Tail: p.own.Log.Head()}
	}
	p.send(from, reply)
}

// fromPrimary reports whether the message comes from who leads in this interval.
func (p *PG) fromPrimary(from int32) bool { return from == p.where.ActingPrimary }

// strayLog makes the copy a member: it takes the authoritative log, or starts
// anew if it is to be backfilled.
func strayLog(p *PG, from int32, m *message.OSDPGLog) {
	if !p.fromPrimary(from) {
		return
	}
	var plan pglog.Plan
	var err error
	if m.Info.LastBackfill.IsMin() {
		plan, err = pglog.ResetForBackfill(p.own, m.Log)
		plan.Copy.Info = p.infoForBackfill(&m.Info)
	} else {
		plan, err = pglog.MergeLog(p.own, m.Log, &m.Info)
	}
	if err != nil {
		p.refuseLog(from, err)
		return
	}
	p.past = mergePast(p.past, m.PastIntervals)
	p.activateReplica(&plan, &m.Info, m.Lease)
}

// mergePast takes over past intervals by a copy that knows of none.
func mergePast(own, theirs osdmap.PastIntervals) osdmap.PastIntervals {
	if own.Empty() && !theirs.Empty() {
		return theirs.Clone()
	}
	return own
}

// infoForBackfill is the primary's info for a copy that starts anew.
func (p *PG) infoForBackfill(from *pglog.Info) pglog.Info {
	info := from.Clone()
	info.PGID = p.id
	h := p.own.Info.History
	h.Merge(&from.History)
	info.History = h
	return info
}

// refuseLog is for a log that contradicts this copy's: a bug, or damage. The copy
// stays as it is, the primary waits, and the line says why.
func (p *PG) refuseLog(from int32, err error) {
	if errors.Is(err, pglog.ErrNoOverlap) {
		p.clog("error", "log from osd.%d: %v; backfill is needed", from, err)
		return
	}
	p.clog("error", "log from osd.%d cannot be merged: %v", from, err)
}

// strayInfo makes the copy a member whose log is the authoritative one, once what
// it has beyond the primary's last update is dropped.
func strayInfo(p *PG, from int32, m *message.OSDPGInfo2) {
	if !p.fromPrimary(from) {
		return
	}
	plan := pglog.Plan{Copy: p.own}
	if m.Info.LastUpdate.Less(p.own.Info.LastUpdate) {
		var err error
		if plan, err = pglog.RewindDivergent(p.own, m.Info.LastUpdate); err != nil {
			p.refuseLog(from, err)
			return
		}
		plan.Copy.Info.Stats, plan.Copy.Info.HitSet = m.Info.Stats.Clone(), m.Info.HitSet
	}
	if plan.Copy.Info.LastUpdate != m.Info.LastUpdate {
		p.clog("error", "last update %v, osd.%d says %v", plan.Copy.Info.LastUpdate, from, m.Info.LastUpdate)
		return
	}
	p.activateReplica(&plan, &m.Info, m.Lease)
}

// activateReplica stores the plan and tells the primary once it is durable.
func (p *PG) activateReplica(plan *pglog.Plan, from *pglog.Info, lease *pglog.Lease) {
	tx := p.newTx()
	p.takeLease(lease)
	p.applyPlan(plan, tx)
	info := &p.own.Info
	p.mergeHistory(&from.History)
	p.own.ResetLastComplete()
	info.LastUserVersion = from.LastUserVersion // also where only what was rewound had a later one
	if info.LastEpochStarted < from.LastEpochStarted {
		info.LastEpochStarted, info.LastIntervalStarted = from.LastEpochStarted, info.History.SameIntervalSince
	}
	p.state = replicaActive{}
	f := &follower{}
	p.follow = f
	started := from.LastEpochStarted
	p.saveInfo(tx, true)
	p.submit(tx, func() {
		if p.follow != f {
			return
		}
		f.completeOnDisk = info.LastComplete
		out := p.own.Info.Clone()
		out.History.LastEpochStarted = started
		out.History.LastIntervalStarted = out.History.SameIntervalSince
		p.send(p.where.ActingPrimary, &message.OSDPGInfo2{PGHeader: p.headerNow(), Info: out, LeaseAck: p.leaseAck()})
	})
}

// headerNow addresses a message that says how things are at this moment.
func (p *PG) headerNow() message.PGHeader {
	return message.PGHeader{PGID: p.id, Epoch: p.osdmap.Epoch, Since: p.osdmap.Epoch}
}

// replicaInfo takes what the primary knows of the PG's past: that all members
// went active, or that the PG is clean.
func replicaInfo(p *PG, from int32, m *message.OSDPGInfo2) {
	if !p.fromPrimary(from) {
		return
	}
	changed := p.mergeHistory(&m.Info.History)
	guessed := p.own.Info.Stats.StatsInvalid
	p.takeStats(&m.Info.Stats)
	if !changed && guessed == p.own.Info.Stats.StatsInvalid {
		return
	}
	tx := p.newTx()
	p.saveInfo(tx, true)
	p.submit(tx, nil)
}

// replicaLog takes more of the authoritative log.
func replicaLog(p *PG, from int32, m *message.OSDPGLog) {
	if !p.fromPrimary(from) {
		return
	}
	plan, err := pglog.MergeLog(p.own, m.Log, &m.Info)
	if err != nil {
		p.refuseLog(from, err)
		return
	}
	tx := p.newTx()
	p.applyPlan(&plan, tx)
	p.saveInfo(tx, false)
	p.submit(tx, nil)
}

// takeStats keeps the primary's figures, so that whoever leads next goes on from
// them. A copy that is being filled counts its own.
func (p *PG) takeStats(s *pglog.Stats) {
	info := &p.own.Info
	if info.IsIncomplete() {
		return
	}
	info.Stats = s.Clone()
	info.Stats.Stats.Sum.NumObjectsMissing = int64(p.own.Missing.Len())
}

// noteUnapplied keeps a copy that is being filled right about an entry of which
// it got the log alone.
func (p *PG) noteUnapplied(e *pglog.Entry, logOnly bool) {
	if !logOnly || e.IsError() || !e.Object.Less(object.Max) {
		return
	}
	if !p.own.Info.LastBackfill.Less(e.Object) {
		p.own.Missing.AddNext(e)
	}
}
