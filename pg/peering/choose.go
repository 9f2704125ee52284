package peering

import (
	"cmp"
	"maps"
	"slices"

	"sepiola/osdmap"
	"sepiola/pglog"
)

// Infos are the copies the primary knows of, by OSD, its own among them.
type Infos map[int32]*pglog.Info

func (in Infos) osds() []int32 { return slices.Sorted(maps.Keys(in)) }

// BestInfo returns the OSD whose log is authoritative; ok is false if no copy
// will do. HistoryBound says that what stands in the way is a history that knows
// of a later activation than any copy that is left.
//
// A copy is eligible if it is complete, belongs to the last interval known to
// have gone active, and has all that may have been acknowledged there. Among
// those one without missing objects wins, then the newest, then the longer log, then
// self; see better.
func BestInfo(in Infos, self int32) (best int32, ok, historyBound bool) {
	maxLES := uint32(0)
	for _, osd := range in.osds() {
		i := in[osd]
		if maxLES < i.History.LastEpochStarted {
			historyBound, maxLES = true, i.History.LastEpochStarted
		}
		if !i.IsIncomplete() && maxLES < i.LastEpochStarted {
			historyBound, maxLES = false, i.LastEpochStarted
		}
	}
	// Every member that went active with the interval has what was
	// acknowledged before it, so the least of them bounds what is acceptable.
	least, found := pglog.MaxVersion, false
	for _, i := range in {
		if i.LastEpochStarted >= maxLES {
			least, found = pglog.MinOf(least, i.LastUpdate), true
		}
	}
	if !found {
		return -1, false, historyBound
	}
	best = -1
	for _, osd := range in.osds() {
		i := in[osd]
		if i.IsIncomplete() || i.LastEpochStarted < maxLES || i.LastUpdate.Less(least) {
			continue
		}
		if best < 0 || better(i, in[best], osd == self) {
			best = osd
		}
	}
	return best, best >= 0, historyBound
}

// better reports whether a is to be preferred to b; both are eligible, so all that may
// have been acknowledged is in either log.
//
// What only one of them has beyond that may be a bare log entry: a member that
// recovers outside of the acting set gets no change of an object that it misses, and if
// the others lost theirs in a crash, the change is nowhere. So a copy that misses
// nothing comes first; among those the newest, as in Ceph. Among copies that all miss
// something the oldest log is the one whose entries the others have too, and whoever
// acted has what they did. (Ceph prefers the newest log, and can be left with such an
// object unfound.)
func better(a, b *pglog.Info, isSelf bool) bool {
	if a.HasMissing() != b.HasMissing() {
		return b.HasMissing()
	}
	if c := a.LastUpdate.Compare(b.LastUpdate); c != 0 {
		return c > 0 != a.HasMissing()
	}
	if c := a.LogTail.Compare(b.LogTail); c != 0 {
		return c < 0
	}
	return isSelf
}

// Choice is who shall serve a PG.
type Choice struct {
	// Acting is the wanted acting set, the primary first.
	Acting []int32
	// Backfill are up members whose copy the log cannot bring up to date. Sorted.
	Backfill []int32
	// AsyncRecovery are up members that the log brings up to date while they do not
	// act: writes do not wait for what they miss. Sorted.
	AsyncRecovery []int32
	// Members are all of them, sorted: everybody who takes part in recovery.
	Members []int32
}

// ForceAuthPrimaryMissing is how many objects the primary of the up set may miss
// and still lead (osd_force_auth_primary_missing_objects).
const ForceAuthPrimaryMissing = 100

// Choose picks the acting set without asynchronous recovery; see
// [ChooseWithAsync].
func Choose(in Infos, auth int32, up, acting []int32, upPrimary int32, size int) Choice {
	return ChooseWithAsync(in, auth, up, acting, upPrimary, size, Async{})
}

// ChooseWithAsync picks the acting set (calc_replicated_acting): the up set's
// primary if its copy can be brought up to date by the log, otherwise the
// authoritative one; then those of the up set, of the acting set, and of all others
// whose logs reach, until there are size. Those that lag are taken out again as far
// as async allows.
//
// With the acting set it asks for in place and the same infos, it chooses the same
// again.
func ChooseWithAsync(in Infos, auth int32, up, acting []int32, upPrimary int32, size int, async Async) Choice {
	primary := choosePrimary(in, auth, upPrimary)
	// The primary's log will be extended back to the tail of the authoritative
	// one where a member needs that.
	oldest := pglog.MinOf(in[primary].LogTail, in[auth].LogTail)
	reached := func(osd int32) bool {
		i := in[osd]
		return i != nil && !i.IsIncomplete() && !i.LastUpdate.Less(oldest)
	}
	c := Choice{Acting: []int32{primary}}
	for _, osd := range up {
		switch {
		case osd == primary || osd == osdmap.ItemNone:
		case reached(osd):
			c.Acting = append(c.Acting, osd)
		default:
			c.Backfill = append(c.Backfill, osd)
		}
	}
	fromUp := len(c.Acting)
	c.fill(in, acting, reached, up, size)
	c.fill(in, in.osds(), reached, up, size)
	in.sortNewestFirst(c.Acting[fromUp:])
	c.takeOutLagging(in, auth, up, async)
	if len(c.Acting) > size {
		if async.MinCost > 0 {
			c.AsyncRecovery = append(c.AsyncRecovery, c.Acting[size:]...)
		}
		c.Acting = c.Acting[:size]
	}
	slices.Sort(c.Backfill)
	slices.Sort(c.AsyncRecovery)
	c.Members = slices.Concat(c.Acting, c.Backfill, c.AsyncRecovery)
	slices.Sort(c.Members)
	c.Members = slices.Compact(c.Members)
	return c
}

func choosePrimary(in Infos, auth, upPrimary int32) int32 {
	i := in[upPrimary]
	if i == nil || i.IsIncomplete() || i.LastUpdate.Less(in[auth].LogTail) {
		return auth
	}
	if recoveryCost(i, in[auth]) > ForceAuthPrimaryMissing {
		return auth
	}
	return upPrimary
}

func (in Infos) sortNewestFirst(osds []int32) {
	slices.SortFunc(osds, func(a, b int32) int {
		return cmp.Or(in[b].LastUpdate.Compare(in[a].LastUpdate), cmp.Compare(a, b))
	})
}

// fill adds candidates that are neither up nor chosen yet, those with the newest
// logs first.
func (c *Choice) fill(in Infos, candidates []int32, reached func(int32) bool, up []int32, size int) {
	if len(c.Acting) >= size {
		return
	}
	rest := slices.DeleteFunc(slices.Clone(candidates), func(osd int32) bool {
		return slices.Contains(c.Acting, osd) || slices.Contains(up, osd) || !reached(osd)
	})
	in.sortNewestFirst(rest)
	for _, osd := range rest {
		if len(c.Acting) >= size {
			return
		}
		c.Acting = append(c.Acting, osd)
	}
}

// LogQuery says what to ask of a member in order to learn what it misses, once
// self has the authoritative log.
type LogQuery struct {
	Ask   bool
	Full  bool          // the whole log, not only what is after Since
	Since pglog.Version // in whose epoch the copy last went active
}

// MissingQuery decides whether a member must be asked for its log and missing
// set, and how far back. prefix says that the authoritative log has the very entry
// the member's log ends with, so that nothing in it diverges.
//
// Ceph asks from the member's last activation on in either case. That misses
// entries that were never acknowledged but are older than an activation which
// only some members finished, when the PG went on with those that had not.
func MissingQuery(peer, self *pglog.Info, prefix bool) LogQuery {
	switch {
	case peer.IsEmpty(), peer.LastUpdate.Less(self.LogTail), peer.LastBackfill.IsMin():
		return LogQuery{} // nothing to diverge from, or backfilled from scratch
	case peer.LastUpdate == peer.LastComplete && peer.LastUpdate == self.LastUpdate:
		return LogQuery{} // the same, and nothing missing
	case !prefix:
		return LogQuery{Ask: true, Full: true}
	}
	since := pglog.Version{Epoch: peer.LastEpochStarted}
	return LogQuery{Ask: true, Full: since.Less(peer.LogTail), Since: since}
}
