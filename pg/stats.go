package pg

import (
	"slices"

	"sepiola/message"
	"sepiola/object"
	"sepiola/pglog"
)

// statsKeeper gathers what is reported besides the info's own figures.
type statsKeeper struct {
	arrivals  uint64
	reads     pglog.ObjectStatSum // of operations that logged nothing
	recovered int64
	bytes     int64
	keys      int64
	reported  pglog.State
	published pglog.Stats // stamps and sequence
}

// add counts an operation that changed nothing.
func (s *statsKeeper) add(d *pglog.ObjectStatSum) { s.reads.Add(d) }

// applyWrite counts a change, also for those targets of backfill that get it
// whole.
func (s *statsKeeper) applyWrite(p *PG, o object.ID, d *pglog.ObjectStatSum) {
	p.own.Info.Stats.Stats.Sum.Add(d)
	p.recountChange(o, d)
	for _, osd := range p.lead.choice.Backfill {
		if i := p.lead.infos[osd]; i.IsIncomplete() && !i.LastBackfill.Less(o) {
			i.Stats.Stats.Sum.Add(d)
		}
	}
}

// pushed counts a piece that was sent.
func (s *statsKeeper) pushed(piece *message.PushOp) {
	s.bytes += int64(piece.Data.Len())
	s.keys += int64(len(piece.OmapEntries))
}

// State returns what the PG reports of itself.
func (p *PG) State() pglog.State {
	s := p.bits
	if !slices.Equal(p.where.Up, p.where.Acting) {
		s |= pglog.StateRemapped
	}
	switch p.state.id() {
	case stDown, stIncomplete, stDeleting:
		return s
	case stStray, stReplicaActive:
		return s
	case stActivating:
		s |= pglog.StateActivating
	case stNotRecovering, stWaitLocalRecovery, stWaitRemoteRecovery, stRecovering,
		stNotBackfilling, stWaitLocalBackfill, stWaitRemoteBackfill, stBackfilling, stRecovered, stClean:
		s |= p.activeState()
	default:
		return s | pglog.StatePeering
	}
	if len(members(p.where.Acting)) < int(p.pool.Size) {
		s |= pglog.StateUndersized
	}
	degraded, _ := p.countDegraded()
	if degraded > 0 {
		s |= pglog.StateDegraded
	}
	return s
}

func (p *PG) activeState() (s pglog.State) {
	if p.active.serving {
		s = pglog.StateActive
	} else {
		s = pglog.StatePeered
	}
	if p.active.waiting {
		s |= pglog.StateWait
	}
	if p.active.laggy {
		s |= pglog.StateLaggy
	}
	switch p.state.id() {
	case stNotRecovering:
		if p.hasUnfound() {
			s |= pglog.StateRecoveryUnfound
		} else {
			s |= pglog.StateRecoveryWait
		}
	case stWaitLocalRecovery, stWaitRemoteRecovery:
		s |= pglog.StateRecoveryWait
	case stRecovering:
		s |= pglog.StateRecovering
	case stNotBackfilling:
		if p.active.reserved.tooFull {
			s |= pglog.StateBackfillTooFull
		} else {
			s |= pglog.StateBackfillWait
		}
	case stWaitLocalBackfill, stWaitRemoteBackfill:
		s |= pglog.StateBackfillWait
	case stBackfilling:
		s |= pglog.StateBackfilling
	case stClean:
		if p.active.cleaned {
			s |= pglog.StateClean
		}
	}
	return s
}

// countDegraded returns how many copies of objects are lacking, and how many are
// there but not where they belong.
func (p *PG) countDegraded() (degraded, misplaced int64) {
	if p.active == nil {
		return 0, 0
	}
	objects := p.own.Info.Stats.Stats.Sum.NumObjects
	copies := max(objects-int64(p.own.Missing.Len()), 0)
	for _, osd := range p.active.others {
		i := p.lead.infos[osd]
		have := objects
		if i.IsIncomplete() {
			have = min(max(i.Stats.Stats.Sum.NumObjects, 0), objects)
			if slices.Contains(p.where.Up, osd) {
				misplaced += objects - have
			}
		}
		copies += max(have-int64(p.lead.missing[osd].Len()), 0)
	}
	degraded = max(objects*int64(p.pool.Size)-copies, 0)
	return degraded, max(misplaced-degraded, 0)
}

// Stats returns what to report of the PG now (pg_stat_t). Only a primary's counts.
// Calling it moves the report's sequence on.
func (p *PG) Stats() pglog.Stats {
	state := p.State()
	s := p.own.Info.Stats.Clone()
	pub := &p.stats.published
	pub.ReportedSeq++
	s.State, s.ReportedSeq, s.ReportedEpoch = state, max(s.ReportedSeq, pub.ReportedSeq), p.osdmap.Epoch
	pub.ReportedSeq = s.ReportedSeq
	p.stamp(state)
	s.LastFresh, s.LastUnstale = p.now, p.now
	s.LastChange, s.LastActive, s.LastPeered, s.LastClean = pub.LastChange, pub.LastActive, pub.LastPeered, pub.LastClean
	s.LastUndegraded, s.LastFullsized = pub.LastUndegraded, pub.LastFullsized
	s.LastBecameActive, s.LastBecamePeered = pub.LastBecameActive, pub.LastBecamePeered
	info := &p.own.Info
	s.Version = info.LastUpdate
	s.LogStart, s.OndiskLogStart = p.own.Log.Tail(), p.own.Log.Tail()
	s.LogSize = int64(p.own.Log.Len())
	s.OndiskLogSize = s.LogSize
	s.Created = info.History.EpochCreated
	s.LastEpochClean = info.History.LastEpochClean
	s.LastScrub, s.LastScrubStamp = info.History.LastScrub, info.History.LastScrubStamp
	s.LastDeepScrub, s.LastDeepScrubStamp = info.History.LastDeepScrub, info.History.LastDeepScrubStamp
	s.LastCleanScrubStamp = info.History.LastCleanScrubStamp
	s.Up, s.Acting = slices.Clone(p.where.Up), slices.Clone(p.where.Acting)
	s.UpPrimary, s.ActingPrimary = p.where.UpPrimary, p.where.ActingPrimary
	s.MappingEpoch = info.History.SameIntervalSince
	s.BlockedBy = p.blockedBy()
	p.fillSum(&s.Stats.Sum)
	s.AvailNoMissing = p.wholeCopies()
	return s
}

// fillSum adds what follows from the state to the sums.
func (p *PG) fillSum(sum *pglog.ObjectStatSum) {
	sum.Add(&p.stats.reads)
	sum.NumObjectCopies = sum.NumObjects * int64(p.pool.Size)
	sum.NumObjectsRecovered, sum.NumBytesRecovered, sum.NumKeysRecovered = p.stats.recovered, p.stats.bytes, p.stats.keys
	sum.NumObjectsMissing = int64(p.own.Missing.Len())
	sum.NumObjectsMissingOnPrimary = sum.NumObjectsMissing
	sum.NumObjectsDegraded, sum.NumObjectsMisplaced = p.countDegraded()
	if p.active != nil {
		sum.NumObjectsUnfound = int64(p.countUnfound())
	}
}

// stamp keeps when the PG was last in what state.
func (p *PG) stamp(state pglog.State) {
	pub := &p.stats.published
	is := func(s pglog.State) bool { return state&s != 0 }
	if state != p.stats.reported {
		pub.LastChange = p.now
		if is(pglog.StateActive) && p.stats.reported&pglog.StateActive == 0 {
			pub.LastBecameActive = p.now
		}
		peered := pglog.StateActive | pglog.StatePeered
		if is(peered) && p.stats.reported&peered == 0 {
			pub.LastBecamePeered = p.now
		}
		p.stats.reported = state
	}
	if is(pglog.StateClean) {
		pub.LastClean = p.now
	}
	if is(pglog.StateActive) {
		pub.LastActive = p.now
	}
	if is(pglog.StateActive | pglog.StatePeered) {
		pub.LastPeered = p.now
	}
	if !is(pglog.StateDegraded) {
		pub.LastUndegraded = p.now
	}
	if !is(pglog.StateUndersized) {
		pub.LastFullsized = p.now
	}
}

// wholeCopies lists the members that miss nothing, as the balancer of reads wants
// to know while others do.
func (p *PG) wholeCopies() []pglog.PGShard {
	if p.active == nil || !p.missingAnywhere() {
		return nil
	}
	var out []pglog.PGShard
	for _, osd := range members(p.where.Acting) {
		m := p.own.Missing
		if osd != p.env.WhoAmI {
			m = p.lead.missing[osd]
		}
		if m != nil && m.Len() == 0 {
			out = append(out, pglog.Member(osd))
		}
	}
	return out
}
