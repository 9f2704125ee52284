package pglog

import "fmt"

// A divergent object is one with entries that the authoritative history does not
// have. What to do about it follows from a few facts, by the table in
// [DivergentFacts.Decide], which is that of
// PGLog::_merge_object_divergent_entries.

// DivergentFacts is what the decision about a divergent object depends on.
type DivergentFacts struct {
	// BeyondBackfill: the object is after last_backfill, so this copy is not
	// expected to have it.
	BeyondBackfill bool
	// OnlyErrors: all its divergent entries are failed requests.
	OnlyErrors bool
	// Newer: the authoritative log has an entry on it after the version at which
	// the histories part.
	Newer bool
	// Created: the first divergent entry made the object.
	Created bool
	// Missing: the copy lacked the version of the last divergent entry.
	Missing bool
	// Untouched: it was missing, and the copy has a version of before the first
	// divergent entry.
	Untouched bool
	// HasPrior: it is untouched, and what the copy has is just the version that
	// the first divergent entry changed.
	HasPrior bool
	// CanRollback: every divergent entry says how to undo it and still can be.
	CanRollback bool
	// Deleted: the last divergent entry deleted the object.
	Deleted bool
}

// MissingChange is what happens to an object's item in the missing set.
type MissingChange uint8

// The changes of an item.
const (
	MissingKeep        MissingChange = iota
	MissingHaveNothing               // need stays; have becomes nothing, all of it dirty
	MissingDrop
	MissingNeedPrior // need becomes the prior version; have stays
	MissingAddPrior  // need becomes the prior version; have nothing
)

var missingChangeNames = [...]string{"keep", "have-nothing", "drop", "need-prior", "add-prior"}

// String names the change.
func (c MissingChange) String() string { return missingChangeNames[c] }

// DivergentAction is what to do about a divergent object.
type DivergentAction struct {
	// Case numbers the rule as Ceph's comment does: 1 to 5, and 0 where nothing
	// is to be done.
	Case    int
	Missing MissingChange
	// RemoveObject: the store's object is to be removed.
	RemoveObject bool
	// Rollback: the entries are to be undone, newest first.
	Rollback bool
	// DropRollbackInfo: what was kept to undo the entries is to be removed.
	DropRollbackInfo bool
}

// String describes the action in one line.
func (a DivergentAction) String() string {
	return fmt.Sprintf("case %d missing=%v remove=%v rollback=%v drop-rollback-info=%v",
		a.Case, a.Missing, a.RemoveObject, a.Rollback, a.DropRollbackInfo)
}

// Decide returns what to do:
//
//	facts                                   case  object    missing set
//	beyond last_backfill, or only errors     0    stays     stays
//	newer entry; the store is untouched      1    stays     stays
//	newer entry                              1    removed   have nothing
//	created by the first divergent entry     2    removed   dropped
//	missing; has the prior version           3    stays     dropped
//	missing; the store is untouched          3    stays     need the prior version
//	missing; has another version, or none    3    removed   need the prior version, have nothing
//	present; all entries can be undone       4    undone    stays
//	present; some entry cannot               5    removed   need the prior version, have nothing
//
// An object that the last divergent entry deleted and that was not missing is
// not in the store, and need not be removed. Ceph removes what is untouched in case
// 1, while its primary, which does not see that, goes by what was there. It removes
// nothing in case 3, where a divergent version may be in the store, which a lost
// object could be reverted to, also of one that is said to be not there at all: a
// missing object that was deleted and made anew has nothing to build on.
func (f DivergentFacts) Decide() DivergentAction {
	inStore := f.Missing || !f.Deleted
	switch {
	case f.BeyondBackfill || f.OnlyErrors:
		return DivergentAction{}
	case f.Newer && f.Untouched:
		return DivergentAction{Case: 1, DropRollbackInfo: true}
	case f.Newer:
		return DivergentAction{Case: 1, Missing: MissingHaveNothing, RemoveObject: inStore, DropRollbackInfo: true}
	case f.Created:
		return DivergentAction{Case: 2, Missing: MissingDrop, RemoveObject: inStore, DropRollbackInfo: true}
	case f.Missing && f.HasPrior:
		return DivergentAction{Case: 3, Missing: MissingDrop, DropRollbackInfo: true}
	case f.Untouched:
		return DivergentAction{Case: 3, Missing: MissingNeedPrior, DropRollbackInfo: true}
	case f.Missing:
		return DivergentAction{Case: 3, Missing: MissingAddPrior, RemoveObject: true, DropRollbackInfo: true}
	case f.CanRollback:
		return DivergentAction{Case: 4, Rollback: true}
	}
	return DivergentAction{Case: 5, Missing: MissingAddPrior, RemoveObject: inStore, DropRollbackInfo: true}
}
