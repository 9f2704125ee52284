package pglog

import (
	"errors"
	"fmt"
	"slices"

	"sepiola/object"
)

// ErrNoOverlap is returned when two logs share no version, so that nothing can be
// said of what lies between them: the copy needs backfill.
var ErrNoOverlap = errors.New("the logs do not overlap")

// ErrInconsistent is wrapped by errors about a log, info or missing set that
// contradict each other.
var ErrInconsistent = errors.New("inconsistent log")

// Copy is what one copy of a PG knows of its past.
type Copy struct {
	Log     *IndexedLog
	Info    Info
	Missing *Missing
}

// Clone returns a copy; changes to one do not show in the other.
func (s Copy) Clone() Copy {
	return Copy{Log: s.Log.Clone(), Info: s.Info.Clone(), Missing: s.Missing.Clone()}
}

// Plan is what a merge comes to.
type Plan struct {
	// Copy is the copy's new state. Its log and missing set know what to persist
	// against the state the plan was made from.
	Copy Copy
	// Remove lists objects to remove from the store, in order.
	Remove []object.ID
	// Rollback lists entries to undo in the store, in the order to undo them.
	Rollback []*Entry
	// RollForward lists entries whose rollback copies are to be dropped because
	// they now stand, oldest first.
	RollForward []*Entry
	// DropRollbackInfo lists entries whose rollback copies are to be dropped
	// because the object is dealt with otherwise.
	DropRollbackInfo []*Entry
	// Changed: info and log are to be persisted, past intervals and purged
	// snapshots included.
	Changed bool
}

// MergeLog takes an authoritative log into a copy's own (PGLog::merge_log): fills in
// history at the tail, drops divergent entries from the head, appends what the
// copy lacks, and puts the objects this concerns into the missing set. oinfo is
// the authoritative copy's info.
//
//	own   tail ---------- a ----- b' --- head      b' diverges
//	auth        tail ---- a -- b -------------- head
//	                      ^ newest common version
//
// It changes nothing that it is given. The error is [ErrNoOverlap], or wraps
// [ErrInconsistent].
func MergeLog(s Copy, auth Log, oinfo *Info) (Plan, error) {
	if s.Log.head.IsZero() && !auth.Tail.IsZero() {
		return Plan{}, fmt.Errorf("%w: an empty log and one that starts after %v", ErrNoOverlap, auth.Tail)
	}
	if s.Log.head.Less(auth.Tail) || auth.Head.Less(s.Log.tail) {
		return Plan{}, fmt.Errorf("%w: (%v,%v] and (%v,%v]", ErrNoOverlap,
			s.Log.tail, s.Log.head, auth.Tail, auth.Head)
	}
	other, err := Index(auth)
	if err != nil {
		return Plan{}, fmt.Errorf("%w: authoritative %v", ErrInconsistent, err)
	}
	m := newMerger(s)
	common := s.Log.commonWith(other)
	fresh := other.EntriesAfter(common)
	m.fillTail(other)
	m.takeInfo(oinfo)
	switch {
	case len(fresh) > 0 || s.Log.head.Less(other.head):
		err = m.extendHead(other, common, fresh, oinfo)
	case other.head.Less(s.Log.head):
		err = m.rewind(other.head)
	}
	if err != nil {
		return Plan{}, err
	}
	if m.Copy.Log.mergeDups(other.dups) {
		m.Changed = true
	}
	return m.Plan, nil
}

// RewindDivergent drops the entries after newHead and deals with their objects
// (PGLog::rewind_divergent_log). It changes nothing that it is given. newHead
// must not be before the log's tail.
func RewindDivergent(s Copy, newHead Version) (Plan, error) {
	if newHead.Less(s.Log.tail) {
		return Plan{}, fmt.Errorf("%w: rewinding (%v,%v] to %v", ErrNoOverlap, s.Log.tail, s.Log.head, newHead)
	}
	m := newMerger(s)
	err := m.rewind(newHead)
	return m.Plan, err
}

// ResetForBackfill makes a copy's log the authoritative one without looking at
// its own, as a copy does that is to be backfilled
// (PGLog::reset_backfill_claim_log). The caller sets the info.
func ResetForBackfill(s Copy, auth Log) (Plan, error) {
	p := Plan{Copy: s.Clone(), Changed: true}
	p.DropRollbackInfo = p.Copy.Log.RollForwardTo(p.Copy.Log.head)
	log, err := Index(auth)
	if err != nil {
		return Plan{}, fmt.Errorf("%w: authoritative %v", ErrInconsistent, err)
	}
	log.RollForwardTo(log.head)
	log.delta = p.Copy.Log.delta
	for _, n := range s.Log.entries {
		log.delta.remove(n)
	}
	for _, u := range s.Log.dups {
		log.delta.touchDup(u.Version)
	}
	for _, n := range log.entries {
		log.delta.add(n)
	}
	for _, u := range log.dups {
		log.delta.touchDup(u.Version)
	}
	p.Copy.Log = log
	p.Copy.Missing.Clear()
	return p, nil
}

// merger is a plan in the making.
type merger struct {
	Plan
	before  *Missing // what was missing at first
	removed map[object.ID]bool
}

func newMerger(s Copy) merger {
	return merger{Plan: Plan{Copy: s.Clone()}, before: s.Missing, removed: map[object.ID]bool{}}
}

// remove lists an object to remove, once.
func (m *merger) remove(o object.ID) {
	if !m.removed[o] {
		m.removed[o] = true
		m.Remove = append(m.Remove, o)
	}
}

// fillTail takes over entries from before the own tail. They are history that
// both share, so the missing set is not concerned.
func (m *merger) fillTail(other *IndexedLog) {
	log := m.Copy.Log
	if !other.tail.Less(log.tail) {
		return
	}
	log.extendTail(other.tail, other.entries[:other.firstAfter(log.tail)])
	m.Copy.Info.LogTail = other.tail
	m.Changed = true
}

// takeInfo takes over the figures of the authoritative copy, except that the
// sequence of reports never goes back.
func (m *merger) takeInfo(oinfo *Info) {
	info := &m.Copy.Info
	if !info.IsIncomplete() {
		seq, epoch := oinfo.Stats.ReportedSeq, oinfo.Stats.ReportedEpoch
		if seq < info.Stats.ReportedSeq || epoch < info.Stats.ReportedEpoch {
			seq, epoch = info.Stats.ReportedSeq, info.Stats.ReportedEpoch
		}
		info.Stats = oinfo.Stats.Clone()
		info.Stats.ReportedSeq, info.Stats.ReportedEpoch = seq, epoch
	}
	info.HitSet = oinfo.HitSet
}

// rewind drops the entries after newHead.
func (m *merger) rewind(newHead Version) error {
	s := &m.Copy
	bound := s.Log.canRollbackTo
	s.Info.LastComplete = MinOf(s.Info.LastComplete, newHead)
	divergent := s.Log.Rewind(newHead)
	s.Info.LastUpdate = newHead
	m.Changed = true
	if err := m.resolve(divergent, newHead, bound); err != nil {
		return err
	}
	s.boundLastComplete()
	return nil
}

// extendHead appends the entries that the copy lacks, after dropping what diverges
// from the newest common version on.
func (m *merger) extendHead(other *IndexedLog, common Version, fresh []*Entry, oinfo *Info) error {
	s := &m.Copy
	bound := s.Log.canRollbackTo
	divergent := s.Log.Rewind(common)
	if len(divergent) > 0 {
		// Ceph leaves this to activation; until then it would name a version
		// that the log does not have.
		s.Info.LastComplete = MinOf(s.Info.LastComplete, common)
	}
	m.RollForward = append(m.RollForward, s.Log.RollForwardTo(s.Log.head)...)
	for _, n := range fresh {
		if err := s.Log.Append(n); err != nil {
			return fmt.Errorf("%w: %v", ErrInconsistent, err)
		}
		m.miss(n)
	}
	s.Log.head = other.head
	if err := m.resolve(divergent, common, bound); err != nil {
		return err
	}
	s.Info.LastUpdate = other.head
	s.boundLastComplete()
	s.Log.RollForwardTo(s.Log.head) // the new entries cannot be undone here
	s.Info.LastUserVersion = oinfo.LastUserVersion
	s.Info.PurgedSnaps = oinfo.PurgedSnaps
	s.Info.Stats.Stats.Sum.NumObjectsMissing = int64(s.Missing.Len())
	m.Changed = true
	return nil
}

// miss records that the copy has an entry in its log but not in its store.
func (m *merger) miss(n *Entry) {
	if m.Copy.Missing.AddEntries([]*Entry{n}, m.Copy.Info.LastBackfill) != nil {
		m.remove(n.Object)
	}
}

// AddEntries extends the set by entries that the copy has in its log but whose
// effect it lacks, in log order; objects after lastBackfill and errors do not
// count. A set without deletes returns the objects to remove at once instead.
func (m *Missing) AddEntries(entries []*Entry, lastBackfill object.ID) (remove []object.ID) {
	for _, n := range entries {
		switch {
		case n.IsError() || lastBackfill.Less(n.Object):
		case n.IsDelete() && !m.IncludesDeletes:
			m.Remove(n.Object) // whatever version was missing, perhaps a divergent one
			remove = append(remove, n.Object)
		default:
			m.AddNext(n)
		}
	}
	return remove
}

// resolve deals with the objects of divergent entries, in the order of their
// names. common is the version after which they diverge, bound up to where
// entries cannot be undone.
func (m *merger) resolve(divergent []*Entry, common, bound Version) error {
	byObject := map[object.ID][]*Entry{}
	var order []object.ID
	for _, n := range divergent {
		if byObject[n.Object] == nil {
			order = append(order, n.Object)
		}
		byObject[n.Object] = append(byObject[n.Object], n)
	}
	slices.SortFunc(order, object.ID.Compare)
	for _, o := range order {
		if err := m.resolveObject(o, byObject[o], common, bound); err != nil {
			return err
		}
	}
	return nil
}

// resolveObject deals with one object and its divergent entries, oldest first.
func (m *merger) resolveObject(o object.ID, all []*Entry, common, bound Version) error {
	entries, err := chain(o, all)
	if err != nil {
		return err
	}
	s := &m.Copy
	facts := DivergentFacts{BeyondBackfill: s.Info.LastBackfill.Less(o), OnlyErrors: len(entries) == 0}
	if facts.BeyondBackfill || facts.OnlyErrors {
		return nil
	}
	first, last := entries[0], entries[len(entries)-1]
	was, missing := m.before.Get(o)
	newest := s.Log.Newest(o)
	facts.Newer = newest != nil && common.Less(newest.Version)
	facts.Created = first.PriorVersion.IsZero() || first.IsClone()
	facts.Missing = missing
	facts.Untouched = missing && !was.Have.IsZero() && was.Have.Less(first.Version)
	facts.HasPrior = facts.Untouched && was.Have == first.PriorVersion
	facts.CanRollback = !slices.ContainsFunc(entries, func(n *Entry) bool {
		return !n.CanRollback() || n.Version.AtMost(bound)
	})
	facts.Deleted = last.IsDelete()
	if facts.Newer {
		if err := s.Missing.agrees(newest); err != nil {
			return err
		}
	}
	m.carryOut(facts.Decide(), o, entries)
	return nil
}

// agrees checks that the newest entry on an object, being one the copy lacked,
// already made the missing set what it should be.
func (m *Missing) agrees(newest *Entry) error {
	item, missing := m.Get(newest.Object)
	expected := newest.IsUpdate() || (m.IncludesDeletes && newest.IsDelete())
	switch {
	case expected && (!missing || item.Need != newest.Version):
		return fmt.Errorf("%w: %v has entry %v, but is not missing at it", ErrInconsistent, newest.Object, newest.Version)
	case !expected && missing:
		return fmt.Errorf("%w: %v was deleted at %v, but is missing", ErrInconsistent, newest.Object, newest.Version)
	}
	return nil
}

// chain returns the entries that are not errors, having checked that each builds
// on the one before.
func chain(o object.ID, all []*Entry) ([]*Entry, error) {
	var out []*Entry
	for _, n := range all {
		if n.IsError() {
			continue
		}
		if len(out) > 0 && !n.PriorVersion.IsZero() && n.PriorVersion != out[len(out)-1].Version {
			return nil, fmt.Errorf("%w: entry %v of %v builds on %v, the one before is %v", ErrInconsistent,
				n.Version, o, n.PriorVersion, out[len(out)-1].Version)
		}
		out = append(out, n)
	}
	return out, nil
}

func (m *merger) carryOut(a DivergentAction, o object.ID, entries []*Entry) {
	prior := entries[0].PriorVersion
	missing := m.Copy.Missing
	switch a.Missing {
	case MissingHaveNothing:
		missing.ReviseHave(o, Version{})
		missing.MarkFullyDirty(o)
	case MissingDrop:
		missing.Remove(o)
	case MissingNeedPrior:
		missing.ReviseNeed(o, prior, false)
	case MissingAddPrior:
		missing.Add(o, prior, Version{}, false)
	}
	if a.RemoveObject {
		m.remove(o)
	}
	if a.DropRollbackInfo {
		m.DropRollbackInfo = append(m.DropRollbackInfo, entries...)
	}
	if a.Rollback {
		for _, n := range slices.Backward(entries) {
			m.Rollback = append(m.Rollback, n)
		}
	}
}
