package pglog

import "strings"

// State is the state of a PG as reported (PG_STATE_*): a set of bits.
type State uint64

// The bits of a PG's state.
const (
	StateCreating        State = 1 << 0
	StateActive          State = 1 << 1
	StateClean           State = 1 << 2
	StateDown            State = 1 << 4 // a member that is needed is down
	StateRecoveryUnfound State = 1 << 5
	StateBackfillUnfound State = 1 << 6
	StatePremerge        State = 1 << 7
	StateScrubbing       State = 1 << 8
	StateDegraded        State = 1 << 10
	StateInconsistent    State = 1 << 11
	StatePeering         State = 1 << 12
	StateRepair          State = 1 << 13
	StateRecovering      State = 1 << 14
	StateBackfillWait    State = 1 << 15
	StateIncomplete      State = 1 << 16
	StateStale           State = 1 << 17
	StateRemapped        State = 1 << 18
	StateDeepScrub       State = 1 << 19
	StateBackfilling     State = 1 << 20
	StateBackfillTooFull State = 1 << 21
	StateRecoveryWait    State = 1 << 22
	StateUndersized      State = 1 << 23
	StateActivating      State = 1 << 24
	StatePeered          State = 1 << 25
	StateSnapTrim        State = 1 << 26
	StateSnapTrimWait    State = 1 << 27
	StateRecoveryTooFull State = 1 << 28
	StateSnapTrimError   State = 1 << 29
	StateForcedRecovery  State = 1 << 30
	StateForcedBackfill  State = 1 << 31
	StateFailedRepair    State = 1 << 32
	StateLaggy           State = 1 << 33
	StateWait            State = 1 << 34
)

// stateNames has the names in the order in which Ceph strings them together
// (pg_state_string).
var stateNames = []struct {
	bit  State
	name string
}{
	{StateStale, "stale"}, {StateCreating, "creating"}, {StateActive, "active"},
	{StateActivating, "activating"}, {StateClean, "clean"}, {StateRecoveryWait, "recovery_wait"},
	{StateRecoveryTooFull, "recovery_toofull"}, {StateRecovering, "recovering"},
	{StateForcedRecovery, "forced_recovery"}, {StateDown, "down"},
	{StateRecoveryUnfound, "recovery_unfound"}, {StateBackfillUnfound, "backfill_unfound"},
	{StateUndersized, "undersized"}, {StateDegraded, "degraded"}, {StateRemapped, "remapped"},
	{StatePremerge, "premerge"}, {StateScrubbing, "scrubbing"}, {StateDeepScrub, "deep"},
	{StateInconsistent, "inconsistent"}, {StatePeering, "peering"}, {StateRepair, "repair"},
	{StateBackfillWait, "backfill_wait"}, {StateBackfilling, "backfilling"},
	{StateForcedBackfill, "forced_backfill"}, {StateBackfillTooFull, "backfill_toofull"},
	{StateIncomplete, "incomplete"}, {StatePeered, "peered"}, {StateSnapTrim, "snaptrim"},
	{StateSnapTrimWait, "snaptrim_wait"}, {StateSnapTrimError, "snaptrim_error"},
	{StateFailedRepair, "failed_repair"}, {StateLaggy, "laggy"}, {StateWait, "wait"},
}

// Has reports whether all of the given bits are set.
func (s State) Has(bits State) bool { return s&bits == bits }

// String returns Ceph's form, such as active+clean; "unknown" for no state.
func (s State) String() string {
	var parts []string
	for _, n := range stateNames {
		if s.Has(n.bit) {
			parts = append(parts, n.name)
		}
	}
	if parts == nil {
		return "unknown"
	}
	return strings.Join(parts, "+")
}

// ParseState returns the bit of one name, as in "pg ls degraded".
func ParseState(name string) (State, bool) {
	for _, n := range stateNames {
		if n.name == name {
			return n.bit, true
		}
	}
	return 0, false
}
