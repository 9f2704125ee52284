package pglog

import (
	"fmt"
	"maps"
	"slices"
	"sort"

	"sepiola/object"
)

// Result is what a client was told of a request.
type Result struct {
	Version     Version
	UserVersion uint64
	ReturnCode  int32
	OpReturns   []OpReturn
}

// IndexedLog is a log in memory, found by object and by request. Entries are
// never changed once they are in it, so copies share them. The zero value is
// empty and ready.
//
// It remembers which entries and duplicates came and went since the last
// [IndexedLog.takeDelta], for [Persister].
type IndexedLog struct {
	head, tail            Version
	canRollbackTo         Version
	rollbackInfoTrimmedTo Version
	entries               []*Entry // oldest first
	dups                  []*Dup   // oldest first

	objects map[object.ID]*Entry // the newest entry on each object
	reqs    map[ReqID]*Entry
	extra   map[ReqID]*Entry
	dupReqs map[ReqID]*Dup

	delta logDelta
}

// logDelta is what to persist of a log.
type logDelta struct {
	put      map[Version]*Entry
	del      map[Version]struct{}
	dirtyDup map[Version]struct{} // versions whose duplicate came or went
}

// MaxDups bounds the duplicates of a log that comes from a store or a peer. Logs were
// found with many millions, more than memory holds; the newest are taken. That is
// far above osd_pg_log_dups_tracked, which is what a log shrinks to in the end.
const MaxDups = 1 << 16

// Index makes a log searchable. It refuses entries that are out of order or outside
// the log's bounds; duplicates are put in order, since merging PGs mixes up
// theirs, and all but the newest [MaxDups] are left out. Entries and
// duplicates count as already persisted.
func Index(l Log) (*IndexedLog, error) {
	x := &IndexedLog{head: l.Head, tail: l.Tail, canRollbackTo: l.CanRollbackTo,
		rollbackInfoTrimmedTo: l.RollbackInfoTrimmedTo}
	last := l.Tail
	for i := range l.Entries {
		n := &l.Entries[i]
		if !last.Less(n.Version) || l.Head.Less(n.Version) || n.Version.V <= last.V && !last.IsZero() {
			return nil, fmt.Errorf("log (%v,%v] has entry %v after %v", l.Tail, l.Head, n.Version, last)
		}
		last = n.Version
		x.entries = append(x.entries, n)
	}
	for i := range l.Dups {
		x.dups = append(x.dups, &l.Dups[i])
	}
	older := func(a, b *Dup) int { return a.Version.Compare(b.Version) }
	if !slices.IsSortedFunc(x.dups, older) {
		slices.SortStableFunc(x.dups, older)
	}
	x.dups = x.dups[max(0, len(x.dups)-MaxDups):]
	x.reindex()
	return x, nil
}

// reindex builds all indexes anew.
func (l *IndexedLog) reindex() {
	l.objects = make(map[object.ID]*Entry, len(l.entries))
	l.reqs = make(map[ReqID]*Entry, len(l.entries))
	l.extra = map[ReqID]*Entry{}
	for _, n := range l.entries {
		l.index(n)
	}
	l.dupReqs = make(map[ReqID]*Dup, len(l.dups))
	for _, u := range l.dups {
		l.dupReqs[u.ReqID] = u
	}
}

func (l *IndexedLog) index(n *Entry) {
	if l.objects == nil {
		l.objects, l.reqs, l.extra = map[object.ID]*Entry{}, map[ReqID]*Entry{}, map[ReqID]*Entry{}
	}
	if n.IndexesObject() {
		l.objects[n.Object] = n
	}
	if n.IndexesReqID() {
		l.reqs[n.ReqID] = n
	}
	for _, x := range n.ExtraReqIDs {
		l.extra[x.ReqID] = n
	}
}

// unindex forgets the oldest entry.
func (l *IndexedLog) unindex(n *Entry) {
	if l.objects[n.Object] == n {
		delete(l.objects, n.Object)
	}
	if l.reqs[n.ReqID] == n {
		delete(l.reqs, n.ReqID)
	}
	for _, x := range n.ExtraReqIDs {
		if l.extra[x.ReqID] == n {
			delete(l.extra, x.ReqID)
		}
	}
}

// Head returns the version of the newest change.
func (l *IndexedLog) Head() Version { return l.head }

// Tail returns the version before the oldest entry.
func (l *IndexedLog) Tail() Version { return l.tail }

// CanRollbackTo returns the version up to which nothing can be undone any more.
func (l *IndexedLog) CanRollbackTo() Version { return l.canRollbackTo }

// RollbackInfoTrimmedTo returns the version up to which what was kept for undoing
// is gone.
func (l *IndexedLog) RollbackInfoTrimmedTo() Version { return l.rollbackInfoTrimmedTo }

// Len returns the number of entries.
func (l *IndexedLog) Len() int { return len(l.entries) }

// DupLen returns the number of duplicates.
func (l *IndexedLog) DupLen() int { return len(l.dups) }

// ApproxSize returns how many changes the log spans, whether or not their entries
// are in it (a split takes some away).
func (l *IndexedLog) ApproxSize() uint64 { return l.head.V - l.tail.V }

// Entries returns the entries, oldest first. The caller writes to neither.
func (l *IndexedLog) Entries() []*Entry { return l.entries }

// Dups returns the duplicates, oldest first. The caller writes to neither.
func (l *IndexedLog) Dups() []*Dup { return l.dups }

// Newest returns the newest entry on an object that is not an error; nil if there
// is none.
func (l *IndexedLog) Newest(o object.ID) *Entry { return l.objects[o] }

// At returns the entry of a version; nil if there is none.
func (l *IndexedLog) At(v Version) *Entry {
	if i := l.firstAfter(v); i > 0 && l.entries[i-1].Version == v {
		return l.entries[i-1]
	}
	return nil
}

// firstAfter returns the index of the oldest entry after v.
func (l *IndexedLog) firstAfter(v Version) int {
	return sort.Search(len(l.entries), func(i int) bool { return v.Less(l.entries[i].Version) })
}

// EntriesAfter returns the entries after v, oldest first.
func (l *IndexedLog) EntriesAfter(v Version) []*Entry { return l.entries[l.firstAfter(v):] }

// Lookup returns what the client of a request was told, if the request was done
// and is remembered: by its own entry, by one that carries it besides, or by a
// duplicate.
func (l *IndexedLog) Lookup(r ReqID) (Result, bool) {
	if r.IsZero() {
		return Result{}, false
	}
	if n := l.reqs[r]; n != nil {
		return Result{n.Version, n.UserVersion, n.ReturnCode, n.OpReturns}, true
	}
	if n := l.extra[r]; n != nil {
		return extraResult(n, r), true
	}
	if u := l.dupReqs[r]; u != nil {
		return Result{u.Version, u.UserVersion, u.ReturnCode, u.OpReturns}, true
	}
	return Result{}, false
}

// extraResult returns the result of a request that n carries besides its own.
func extraResult(n *Entry, r ReqID) Result {
	res := Result{Version: n.Version, ReturnCode: n.ReturnCode, OpReturns: n.OpReturns}
	for i, x := range n.ExtraReqIDs {
		if x.ReqID == r {
			res.UserVersion = x.UserVersion
			res.ReturnCode = n.extraReturn(i)
			break
		}
	}
	return res
}

// extraReturn is the return code of the i-th extra request: the entry's own where
// that is an error, else the one recorded for it.
func (n *Entry) extraReturn(i int) int32 {
	if n.ReturnCode >= 0 {
		if code, ok := n.ExtraReturns[uint32(i)]; ok {
			return code
		}
	}
	return n.ReturnCode
}

// ObjectReqIDs returns up to most requests that made the object what it is, newest
// first, for an entry that carries them on (pg_log: get_object_reqids). codes
// has the errors among them by index.
func (l *IndexedLog) ObjectReqIDs(o object.ID, most int) (ids []ExtraReqID, codes map[uint32]int32) {
	if l.objects[o] == nil {
		return nil, nil
	}
	add := func(x ExtraReqID, code int32) {
		if code < 0 {
			if codes == nil {
				codes = map[uint32]int32{}
			}
			codes[uint32(len(ids))] = code
		}
		ids = append(ids, x)
	}
	for _, n := range slices.Backward(l.entries) {
		if n.Object != o {
			continue
		}
		if n.IndexesReqID() {
			if len(ids) == most {
				return ids, codes
			}
			add(ExtraReqID{n.ReqID, n.UserVersion}, n.ReturnCode)
		}
		for i, x := range n.ExtraReqIDs {
			if len(ids) == most {
				return ids, codes
			}
			add(x, min(n.extraReturn(i), 0))
		}
	}
	return ids, codes
}

// Append adds a change at the head. Its version comes after the head's in both
// epoch and number; anything else is an error and changes nothing.
func (l *IndexedLog) Append(n *Entry) error {
	if !l.head.Less(n.Version) || (!l.head.IsZero() && n.Version.V <= l.head.V) {
		return fmt.Errorf("entry %v does not follow the log's head %v", n.Version, l.head)
	}
	l.entries = append(l.entries, n)
	l.head = n.Version
	l.index(n)
	l.delta.add(n)
	return nil
}

// RollForwardTo gives up undoing entries up to v and returns those among them
// whose rollback copies can now be dropped, oldest first.
func (l *IndexedLog) RollForwardTo(v Version) []*Entry {
	from, to := l.firstAfter(l.rollbackInfoTrimmedTo), l.firstAfter(v)
	l.canRollbackTo = MaxOf(l.canRollbackTo, v)
	if !l.rollbackInfoTrimmedTo.Less(v) {
		return nil
	}
	l.rollbackInfoTrimmedTo = v
	return l.entries[from:max(from, to)]
}

// Rewind takes the entries after newHead off the log and returns them, oldest
// first. An entry with a later number counts as after newHead even if its epoch
// is earlier: it is another history's. newHead must not be before the tail.
func (l *IndexedLog) Rewind(newHead Version) []*Entry {
	i := sort.Search(len(l.entries), func(i int) bool {
		v := l.entries[i].Version
		return v.V > newHead.V || newHead.Less(v)
	})
	divergent := slices.Clone(l.entries[i:])
	for _, n := range divergent {
		l.delta.remove(n)
	}
	l.entries = slices.Clone(l.entries[:i])
	l.head = newHead
	l.canRollbackTo = MinOf(l.canRollbackTo, newHead)
	l.rollbackInfoTrimmedTo = MinOf(l.rollbackInfoTrimmedTo, newHead)
	l.reindex()
	return divergent
}

// commonWith returns the newest version that both logs share: that of an entry in
// both, or else the later tail, since what was trimmed was common. Ceph takes the
// newest entry of the other log that is not after the own head, which is the same
// unless members were given up as lost.
func (l *IndexedLog) commonWith(other *IndexedLog) Version {
	base := MaxOf(l.tail, other.tail)
	for _, n := range slices.Backward(other.entries) {
		if n.Version.AtMost(base) {
			break
		}
		if l.At(n.Version) != nil {
			return n.Version
		}
	}
	return base
}

// extendTail puts entries before the oldest one.
func (l *IndexedLog) extendTail(tail Version, older []*Entry) {
	l.entries = slices.Concat(older, l.entries)
	l.tail = tail
	for _, n := range older {
		l.delta.add(n)
	}
	l.reindex()
}

// Log returns the form that travels.
func (l *IndexedLog) Log() Log {
	out := Log{Head: l.head, Tail: l.tail, CanRollbackTo: l.canRollbackTo,
		RollbackInfoTrimmedTo: l.rollbackInfoTrimmedTo}
	for _, n := range l.entries {
		out.Entries = append(out.Entries, *n)
	}
	for _, u := range l.dups {
		out.Dups = append(out.Dups, *u)
	}
	return out
}

// Since returns the part of the log after v, to send to a copy that has all up to
// v, with the duplicates it then needs (pg_log_t::copy_after).
func (l *IndexedLog) Since(v Version, dupsTracked uint64) Log {
	i := l.firstAfter(v)
	tail := l.tail
	if i > 0 {
		tail = l.entries[i-1].Version
	}
	return l.part(i, tail, dupsTracked)
}

// Last returns the part of the log with the newest n entries, to send to a copy
// that starts anew (pg_log_t::copy_up_to).
func (l *IndexedLog) Last(n int, dupsTracked uint64) Log {
	i := max(len(l.entries)-n, 0)
	tail := l.tail
	if i > 0 {
		tail = l.entries[i-1].Version
	}
	return l.part(i, tail, dupsTracked)
}

func (l *IndexedLog) part(first int, tail Version, dupsTracked uint64) Log {
	out := Log{Head: l.head, Tail: tail, CanRollbackTo: l.canRollbackTo}
	oldest := oldestDup(l.head, dupsTracked)
	for _, u := range l.dups {
		if u.Version.V >= oldest {
			out.Dups = append(out.Dups, *u)
		}
	}
	for _, n := range l.entries[:first] {
		if n.Version.V >= oldest {
			out.Dups = append(out.Dups, dupsOf(n)...)
		}
	}
	for _, n := range l.entries[first:] {
		out.Entries = append(out.Entries, *n)
	}
	return out
}

// Clone returns a copy; changes to one do not show in the other.
func (l *IndexedLog) Clone() *IndexedLog {
	c := *l
	c.entries, c.dups = slices.Clone(l.entries), slices.Clone(l.dups)
	c.objects, c.reqs, c.extra = maps.Clone(l.objects), maps.Clone(l.reqs), maps.Clone(l.extra)
	c.dupReqs = maps.Clone(l.dupReqs)
	c.delta = logDelta{maps.Clone(l.delta.put), maps.Clone(l.delta.del), maps.Clone(l.delta.dirtyDup)}
	return &c
}

// String describes the log's bounds, as Ceph does.
func (l *IndexedLog) String() string {
	return fmt.Sprintf("log((%v,%v], crt=%v)", l.tail, l.head, l.canRollbackTo)
}

func (d *logDelta) add(n *Entry) {
	if d.put == nil {
		d.put = map[Version]*Entry{}
	}
	d.put[n.Version] = n
	delete(d.del, n.Version)
}

func (d *logDelta) remove(n *Entry) {
	if d.del == nil {
		d.del = map[Version]struct{}{}
	}
	delete(d.put, n.Version)
	d.del[n.Version] = struct{}{}
}

func (d *logDelta) touchDup(v Version) {
	if d.dirtyDup == nil {
		d.dirtyDup = map[Version]struct{}{}
	}
	d.dirtyDup[v] = struct{}{}
}

// takeDelta returns what changed since the last call.
func (l *IndexedLog) takeDelta() logDelta {
	d := l.delta
	l.delta = logDelta{}
	return d
}
