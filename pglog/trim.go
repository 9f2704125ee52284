package pglog

import (
	"math"
	"slices"
)

// TrimOptions bound a log. The names in parentheses are Ceph's options.
type TrimOptions struct {
	// Target is the number of entries to keep, between osd_min_pg_log_entries and
	// osd_max_pg_log_entries; see [TrimTargetEntries].
	Target uint64
	// Min and Max are the least and most entries to trim at once
	// (osd_pg_log_trim_min, osd_pg_log_trim_max). Max also bounds the duplicates
	// dropped at once.
	Min, Max uint64
	// DupsTracked is over how many versions back from the head requests are
	// remembered, and how many duplicates are kept (osd_pg_log_dups_tracked).
	DupsTracked uint64
}

// DefaultTrim has Ceph 16's defaults.
func DefaultTrim() TrimOptions {
	return TrimOptions{Target: 250, Min: 100, Max: 10000, DupsTracked: 3000}
}

// TrimTargetEntries returns how many entries each of an OSD's PGs keeps, so that
// all together stay near perOSD (osd_target_pg_log_entries_per_osd), within
// [least, most].
func TrimTargetEntries(perOSD, pgs, least, most uint64) uint64 {
	if pgs == 0 || perOSD == 0 {
		return least
	}
	return max(min(perOSD/pgs, most), least)
}

// TrimTarget returns the version up to which the log should be trimmed, at most
// limit, which is what all members have on disk; zero if there is nothing to do
// (PeeringState::calc_trim_to_aggressive). At least o.Target entries stay, also of a
// log that a split left with fewer than it spans.
func (l *IndexedLog) TrimTarget(limit Version, o TrimOptions) Version {
	limit = MinOf(limit, l.canRollbackTo)
	size, there := l.ApproxSize(), uint64(len(l.entries))
	if limit.IsZero() || size <= o.Target || there <= o.Target {
		return Version{}
	}
	n := min(size-o.Target, o.Max)
	if n == 0 || n < o.Min && o.Max >= o.Min {
		return Version{}
	}
	return MinOf(l.entries[min(n, there-o.Target)-1].Version, limit)
}

// Trim drops entries up to v, o.Max at most and none that can still be undone, and
// keeps what their requests were told as duplicates. Duplicates beyond the last
// o.DupsTracked, in versions or in number, are dropped, the oldest first, with
// entries or once o.Min of them are there, and o.Max at most: a log that arrives
// bloated shrinks step by step, and no step is large. It returns how many entries
// were dropped; the new tail says up to where.
//
// Ceph 16.2.6 drops all that v and the versions ask for at once, and does not count;
// later releases count (github.com/ceph/ceph/pull/45529).
func (l *IndexedLog) Trim(v Version, o TrimOptions) int {
	v = MinOf(v, MinOf(l.canRollbackTo, l.head))
	n := min(l.firstAfter(v), int(min(o.Max, math.MaxInt32)))
	if n < len(l.entries) && l.entries[n].Version.AtMost(v) {
		v = l.tail // cut short
		if n > 0 {
			v = l.entries[n-1].Version
		}
	}
	oldest := oldestDup(l.head, o.DupsTracked)
	for _, old := range l.entries[:n] {
		l.unindex(old)
		l.delta.remove(old)
		if old.Version.V >= oldest {
			for _, u := range dupsOf(old) {
				l.pushDup(&u)
			}
		}
	}
	l.entries = l.entries[n:]
	l.tail = MaxOf(l.tail, v)
	if stale := l.staleDups(oldest, o); n > 0 || uint64(stale) >= o.Min {
		l.dropDups(stale)
	}
	return n
}

// staleDups returns how many of the oldest duplicates are to be dropped at once.
func (l *IndexedLog) staleDups(oldest uint64, o TrimOptions) int {
	n := 0
	for ; n < len(l.dups) && uint64(n) < o.Max; n++ {
		if l.dups[n].Version.V >= oldest && uint64(len(l.dups)-n) <= o.DupsTracked {
			break
		}
	}
	return n
}

// oldestDup returns the number of the oldest version whose request is remembered
// in a log with that head.
func oldestDup(head Version, tracked uint64) uint64 {
	if head.V < tracked {
		return 0
	}
	return head.V - tracked + 1
}

// dupsOf returns what is remembered of an entry's requests, its own first. An
// entry without a request of its own leaves a duplicate without one, as Ceph's
// does, so that both keep equal sets.
func dupsOf(n *Entry) []Dup {
	out := []Dup{DupOf(n)}
	for i, x := range n.ExtraReqIDs {
		out = append(out, Dup{ReqID: x.ReqID, Version: n.Version, UserVersion: x.UserVersion,
			ReturnCode: n.extraReturn(i)})
	}
	return out
}

func (l *IndexedLog) pushDup(u *Dup) {
	l.dups = append(l.dups, u)
	if l.dupReqs == nil {
		l.dupReqs = map[ReqID]*Dup{}
	}
	l.dupReqs[u.ReqID] = u
	l.delta.touchDup(u.Version)
}

// dropDups drops the oldest n duplicates.
func (l *IndexedLog) dropDups(n int) {
	for _, u := range l.dups[:n] {
		l.forgetDup(u)
	}
	l.dups = l.dups[n:]
}

// TrimDups drops the oldest duplicates but for so many, and returns those that went: for
// tools, on a log that is too bloated to be started from.
func (l *IndexedLog) TrimDups(keep int) []*Dup {
	n := max(0, len(l.dups)-max(0, keep))
	gone := l.dups[:n]
	l.dropDups(n)
	return gone
}

func (l *IndexedLog) forgetDup(u *Dup) {
	if l.dupReqs[u.ReqID] == u {
		delete(l.dupReqs, u.ReqID)
	}
	l.delta.touchDup(u.Version)
}

// mergeDups takes over duplicates of another log: those newer and those older
// than its own. Duplicates of versions that the log has entries for go
// (PGLog::merge_log_dups). It reports whether anything changed.
func (l *IndexedLog) mergeDups(other []*Dup) bool {
	var older, newer []*Dup
	for _, u := range other {
		switch {
		case len(l.dups) == 0 || l.dups[len(l.dups)-1].Version.Less(u.Version):
			newer = append(newer, u)
		case u.Version.Less(l.dups[0].Version):
			older = append(older, u)
		}
	}
	changed := len(older)+len(newer) > 0
	l.dups = slices.Concat(older, l.dups, newer)
	for _, u := range slices.Concat(older, newer) {
		l.delta.touchDup(u.Version)
	}
	for n := len(l.dups); n > 0 && l.tail.Less(l.dups[n-1].Version); n-- {
		l.delta.touchDup(l.dups[n-1].Version)
		l.dups = l.dups[:n-1]
		changed = true
	}
	if changed {
		l.dupReqs = make(map[ReqID]*Dup, len(l.dups))
		for _, u := range l.dups {
			l.dupReqs[u.ReqID] = u
		}
	}
	return changed
}
