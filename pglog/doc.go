// Package pglog holds what a placement group remembers of its recent past and
// the decisions that follow from it: log entries, the log with its indexes,
// duplicates, the missing set, the PG's info, history and statistics, the
// object's own metadata, and the functions that reconcile one copy's log with
// an authoritative one.
//
// A log is a range of versions (tail, head]. Each entry says that one object
// went from its prior version to the entry's version. Two copies of a PG share
// a prefix of history; where they part, the authoritative one wins and the
// other's later entries are divergent. Reconciling is a pure function here:
// [MergeLog] and [RewindDivergent] take a copy's [Copy] and the authoritative
// log and return a [Plan]: its Copy is the new state, and the rest says what to do to
// the store. [ProcReplicaLog] is the same seen by the primary, [Split] divides a copy
// among the children of its PG. Nothing in this package touches a disk, a clock or a
// lock, except that [Load] reads through objectstore.Reader.
//
// # Duties of the caller
//
//  1. Entries are appended in ascending version order ([IndexedLog.Append]).
//  2. Whoever changes the log, the missing set or the info writes the change with
//     the same transaction that changes the objects: see [Persister].
//  3. Objects a plan lists to remove are removed in the transaction that
//     persists the plan.
//  4. A plan is applied to the very state it was made from.
//
// # Invariants
//
//   - Every object with an entry newer than what the store holds is in the
//     missing set with need = the version of the newest entry on it.
//   - Need versions are unique within a missing set, since versions are unique
//     within a PG.
//   - Duplicates are older than the tail, are in version order and bounded in
//     number.
//
// # Documents
//
// Formats: src/osd/osd_types.{h,cc} and src/osd/PGLog.{h,cc} of Ceph 16.
// Behaviour: doc/dev/osd_internals/log_based_pg.rst, doc/dev/peering.rst, and
// the case list above PGLog::_merge_object_divergent_entries.
//
// # Departures from Ceph
//
//   - One log type without back-pointers: indexes are rebuilt from it, and what
//     to persist is in the plan rather than in dirty flags.
//   - Two logs part where their entries do, not where their versions suggest: also
//     a divergent entry of a later epoch than the authoritative ones, left by
//     members that were given up as lost and came back, is told.
//   - What a divergent object's copy has is kept if it is of before the divergent
//     entries, and removed if it is of theirs, also where it was missing: see
//     [DivergentFacts.Decide].
//   - Trimming is bounded at each step, on all members, and duplicates are bounded in
//     number, as in later releases than 16.2.6; of those in a store or from a peer
//     only the newest [MaxDups] are taken.
//   - Merging lowers last_complete to before all that is missing then, and does not
//     leave that to activation.
//   - Encodings older than those Ceph 14 sends are refused.
package pglog
