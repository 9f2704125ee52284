package pglog

import (
	"maps"
	"slices"

	"sepiola/object"
	"sepiola/osdmap"
)

// SplitMember is a PG that takes part in a split, and where the map of the split
// puts it.
type SplitMember struct {
	PGID  object.SPGID
	Where osdmap.Mapping
}

// Split divides one copy of a PG among the PG and the children that split off when
// its pool grows to pgNum PGs with the map of the given epoch (PG::split_into,
// PeeringState::split_into). parent names the PG itself; children are those of
// osdmap.SplitChildren, of the same shard. The result has the parent's part and
// the children's, in the order given.
//
// Each part is a copy of its own:
//
//   - Log and missing set hold the objects whose hash leads to the PG. Head, tail
//     and rollback bounds stay those of the undivided log, since versions are
//     counted on from there; so a log may end with entries that went elsewhere.
//   - Duplicates go to all, as they do not know their object.
//   - The object counts are divided evenly, which is a guess, and marked as invalid
//     until the next scrub; see [ObjectStatSum.Split].
//   - A child's history is the parent's, but that it was created in epoch.
//     Past intervals are the caller's; a child's are the parent's, the interval that
//     the split ended included.
//   - A copy that was being backfilled starts over: its parts have nothing before
//     last_backfill, hence nothing that is missing.
//
// It changes nothing that it is given. The parent's log and missing set then know
// what to erase, the children's what to store: write each with the [Persister] of
// its PG, a child's with a new one, in the transaction that divides the collection
// ([Extra] with epoch and past intervals for the children).
func Split(c Copy, parent SplitMember, children []SplitMember, pgNum, epoch uint32) (Copy, []Copy) {
	rest := c.Clone()
	rest.Info.History.split(epoch)
	rest.Info.Stats.place(parent.Where, epoch)
	childOf := map[uint32]int{} // by the seed that a hash leads to
	for i, m := range children {
		childOf[m.PGID.Seed] = i
	}
	to := func(o object.ID) (child int, moves bool) {
		child, moves = childOf[object.StableMod(o.Hash, pgNum, object.MaskFor(pgNum))]
		return child, moves
	}
	logs := rest.Log.splitOut(to, len(children))
	missing := rest.Missing.splitOut(to, len(children))
	sums := rest.Info.Stats.Stats.Sum.Split(len(children) + 1)
	out := make([]Copy, len(children))
	for i, m := range children {
		out[i] = Copy{Log: logs[i], Missing: missing[i], Info: childInfo(&rest.Info, parent, m, pgNum, epoch)}
		out[i].finishSplit(sums[i])
	}
	rest.finishSplit(sums[len(children)])
	return rest, out
}

// split notes a split in a history, which is a new interval for the parent and the
// first for a child.
func (h *History) split(epoch uint32) {
	h.LastEpochSplit = epoch
	h.SameIntervalSince = epoch
}

// childInfo is what a child starts with. All that its parent knew holds for it,
// since what belongs to it now belonged to the parent.
func childInfo(p *Info, parent, child SplitMember, pgNum, epoch uint32) Info {
	i := p.Clone()
	i.PGID = child.PGID
	i.HitSet = HitSetHistory{}
	i.History.EpochCreated = epoch
	if child.Where.ActingPrimary != parent.Where.ActingPrimary {
		i.History.SamePrimarySince = epoch
	}
	if child.Where.UpPrimary != parent.Where.UpPrimary || !slices.Equal(child.Where.Up, parent.Where.Up) {
		i.History.SameUpSince = epoch
	}
	i.Stats.ParentSplitBits = uint32(child.PGID.SplitBits(pgNum))
	i.Stats.place(child.Where, epoch)
	return i
}

// place says where a map puts the PG.
func (s *Stats) place(m osdmap.Mapping, epoch uint32) {
	s.Up, s.UpPrimary = slices.Clone(m.Up), m.UpPrimary
	s.Acting, s.ActingPrimary = slices.Clone(m.Acting), m.ActingPrimary
	s.MappingEpoch = epoch
}

// finishSplit makes the info of one part agree with its log and missing set.
func (s *Copy) finishSplit(sum ObjectStatSum) {
	s.Info.Stats.Stats.Sum = sum
	s.Info.Stats.StatsInvalid = true
	s.Info.LastUpdate, s.Info.LogTail = s.Log.head, s.Log.tail
	if s.Info.IsIncomplete() {
		s.Info.LastBackfill = object.Min
		s.Missing.Clear()
	}
	s.Info.Stats.Stats.Sum.NumObjectsMissing = int64(s.Missing.Len())
	s.ResetLastComplete()
}

// splitOut moves the entries on objects that move to one of n children to their logs
// (pg_log_t::split_out_child). Each has all duplicates besides.
func (l *IndexedLog) splitOut(to func(object.ID) (int, bool), n int) []*IndexedLog {
	out := make([]*IndexedLog, n)
	for i := range out {
		out[i] = &IndexedLog{head: l.head, tail: l.tail, canRollbackTo: l.canRollbackTo,
			rollbackInfoTrimmedTo: l.rollbackInfoTrimmedTo, dups: slices.Clone(l.dups)}
		for _, u := range l.dups {
			out[i].delta.touchDup(u.Version)
		}
	}
	var stay []*Entry
	for _, e := range l.entries {
		if i, moves := to(e.Object); moves {
			out[i].entries = append(out[i].entries, e)
			out[i].delta.add(e)
			l.delta.remove(e)
		} else {
			stay = append(stay, e)
		}
	}
	l.entries = stay
	for _, log := range append(out, l) {
		log.reindex()
	}
	return out
}

// splitOut moves the objects that move to one of n children to their sets
// (pg_missing_set::split_into, which forgets what is clean of them).
func (m *Missing) splitOut(to func(object.ID) (int, bool), n int) []*Missing {
	out := make([]*Missing, n)
	for i := range out {
		out[i] = &Missing{IncludesDeletes: m.IncludesDeletes}
	}
	for o, item := range maps.Clone(m.items) {
		if i, moves := to(o); moves {
			out[i].Set(o, item)
			m.Remove(o)
		}
	}
	return out
}

// Split divides the counters among n parts as evenly as whole numbers allow, the
// first ones getting what is left over (object_stat_sum_t::split). Scrub errors
// and legacy snapsets, where it matters whether there are any, are at least one in
// each part if there are some. n is at least 1.
func (s *ObjectStatSum) Split(n int) []ObjectStatSum {
	out := make([]ObjectStatSum, n)
	from := s.Fields()
	for part := range out {
		p := &out[part]
		for i, f := range p.Fields() {
			if f.I64 != nil {
				*f.I64 = share(*from[i].I64, int64(n), int64(part))
			} else {
				*f.I32 = int32(share(int64(*from[i].I32), int64(n), int64(part)))
			}
		}
		p.NumShallowScrubErrors = someOf(s.NumShallowScrubErrors, n)
		p.NumDeepScrubErrors = someOf(s.NumDeepScrubErrors, n)
		p.NumScrubErrors = p.NumShallowScrubErrors + p.NumDeepScrubErrors
		p.NumLegacySnapsets = someOf(s.NumLegacySnapsets, n)
	}
	return out
}

// share returns the part-th of n shares of v, also of a negative v.
func share(v, n, part int64) int64 {
	each, left := v/n, v%n
	switch {
	case part < left:
		each++
	case part < -left:
		each--
	}
	return each
}

// someOf returns a share of v that is only zero if v is.
func someOf(v int64, n int) int64 {
	if v == 0 {
		return 0
	}
	return 1 + v/int64(n)
}
