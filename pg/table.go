package pg

// stateID names a state of the peering machine.
type stateID uint8

// The states. What Ceph nests, this table flattens: the comment gives Ceph's
// path.
const (
	stReset              stateID = iota // Reset
	stGetInfo                           // Started/Primary/Peering/GetInfo
	stGetLog                            // Started/Primary/Peering/GetLog
	stGetMissing                        // Started/Primary/Peering/GetMissing
	stWaitUpThru                        // Started/Primary/Peering/WaitUpThru
	stDown                              // Started/Primary/Peering/Down
	stIncomplete                        // Started/Primary/Peering/Incomplete
	stWaitActingChange                  // Started/Primary/WaitActingChange
	stActivating                        // Started/Primary/Active/Activating
	stNotRecovering                     // Started/Primary/Active/NotRecovering
	stWaitLocalRecovery                 // Started/Primary/Active/WaitLocalRecoveryReserved
	stWaitRemoteRecovery                // Started/Primary/Active/WaitRemoteRecoveryReserved
	stRecovering                        // Started/Primary/Active/Recovering
	stNotBackfilling                    // Started/Primary/Active/NotBackfilling
	stWaitLocalBackfill                 // Started/Primary/Active/WaitLocalBackfillReserved
	stWaitRemoteBackfill                // Started/Primary/Active/WaitRemoteBackfillReserved
	stBackfilling                       // Started/Primary/Active/Backfilling
	stRecovered                         // Started/Primary/Active/Recovered
	stClean                             // Started/Primary/Active/Clean
	stStray                             // Started/Stray
	stReplicaActive                     // Started/ReplicaActive
	stDeleting                          // Started/ToDelete
	numStates
)

var stateNames = [numStates]string{
	"Reset", "Started/Primary/Peering/GetInfo", "Started/Primary/Peering/GetLog",
	"Started/Primary/Peering/GetMissing", "Started/Primary/Peering/WaitUpThru",
	"Started/Primary/Peering/Down", "Started/Primary/Peering/Incomplete",
	"Started/Primary/WaitActingChange", "Started/Primary/Active/Activating",
	"Started/Primary/Active/NotRecovering", "Started/Primary/Active/WaitLocalRecoveryReserved",
	"Started/Primary/Active/WaitRemoteRecoveryReserved", "Started/Primary/Active/Recovering",
	"Started/Primary/Active/NotBackfilling", "Started/Primary/Active/WaitLocalBackfillReserved",
	"Started/Primary/Active/WaitRemoteBackfillReserved", "Started/Primary/Active/Backfilling",
	"Started/Primary/Active/Recovered", "Started/Primary/Active/Clean",
	"Started/Stray", "Started/ReplicaActive", "Started/ToDelete",
}

// String returns the state's path as `ceph pg query` shows it.
func (s stateID) String() string { return stateNames[s] }

// eventKind classifies what a state may be told.
type eventKind uint8

// The kinds of events. A change of interval is none: it leads to Reset from
// everywhere.
const (
	evMap eventKind = iota // a newer map of the same interval
	evNotify
	evQuery
	evInfo
	evLog
	evRemove
	evTrim
	evLease
	evClientOp
	evRepOp
	evRepOpReply
	evLogUpdate
	evLogUpdateReply
	evPull
	evPush
	evPushReply
	evDelete
	evDeleteReply
	evScan
	evBackfill
	evBackfillRemove
	evRecoveryReserve
	evBackfillReserve
	evReserved
	evTimer
	numEvents
)

var eventNames = [numEvents]string{
	"map", "notify", "query", "info", "log", "remove", "trim", "lease", "client op", "rep op",
	"rep op reply", "log update", "log update reply", "pull", "push", "push reply", "delete",
	"delete reply", "scan", "backfill", "backfill remove", "recovery reserve", "backfill reserve", "reserved", "timer",
}

// String names the kind.
func (k eventKind) String() string { return eventNames[k] }

// state is the data of one state.
type state interface{ id() stateID }

// rule is what a state does about an event.
type rule func(p *PG, ev Event)

// in makes a rule of a function that wants its state's data.
func in[S state](h func(p *PG, s S, ev Event)) rule {
	return func(p *PG, ev Event) { h(p, p.state.(S), ev) }
}

// on makes a rule of a function that wants a peer's message unpacked.
func on[M any](h func(p *PG, from int32, m M)) rule {
	return func(p *PG, ev Event) {
		e := ev.(PeerMessage)
		h(p, e.From, e.Msg.(M))
	}
}

// inOn does both.
func inOn[S state, M any](h func(p *PG, s S, from int32, m M)) rule {
	return func(p *PG, ev Event) {
		e := ev.(PeerMessage)
		h(p, p.state.(S), e.From, e.Msg.(M))
	}
}

// ignore is the rule for what comes too late to matter: an answer nobody waits
// for, or a message whose sender will repeat it after it learned the map.
func ignore(*PG, Event) {}

// table lists every pair. A gap is a bug that TestTableIsWhole finds.
var table [numStates][numEvents]rule

// The table's rows refer to functions that dispatch through it, so it is filled
// in here rather than by an initialiser.
func init() {
	peering := row(map[eventKind]rule{
		evNotify:   on(lateNotify),
		evClientOp: keepOp,
		evPull:     on(servePull),
	})
	active := row(map[eventKind]rule{
		evMap:             activeMap,
		evNotify:          on(activeNotify),
		evInfo:            on(activeInfo),
		evLog:             on(activeLog),
		evClientOp:        doOp,
		evRepOpReply:      on(repOpReply),
		evLogUpdateReply:  on(logUpdateReply),
		evPush:            on(pulled),
		evPushReply:       on(pushReply),
		evDeleteReply:     on(deleteReply),
		evScan:            on(scanReply),
		evBackfill:        on(backfillAck),
		evTimer:           activeTimer,
		evLease:           activeLease,
		evRecoveryReserve: reserveReply,
		evBackfillReserve: reserveReply,
		evReserved:        activeReserved,
	})
	table = [numStates][numEvents]rule{
		stReset: row(map[eventKind]rule{
			evMap: resetMap, evQuery: on(answerQuery), evClientOp: keepOp,
			evNotify: on(lateNotify), evPull: on(servePull), evRemove: on(removeCopy),
		}),
		stGetInfo: peering.with(map[eventKind]rule{
			evMap: in(getInfoMap), evNotify: inOn(getInfoNotify),
		}),
		stGetLog: peering.with(map[eventKind]rule{
			evMap: in(getLogMap), evLog: inOn(getLogLog),
		}),
		stGetMissing: peering.with(map[eventKind]rule{
			evMap: peeringMap, evLog: inOn(getMissingLog),
		}),
		stWaitUpThru: peering.with(map[eventKind]rule{evMap: waitUpThruMap}),
		stDown:       peering.with(map[eventKind]rule{evMap: peeringMap, evNotify: on(downNotify), evClientOp: keepLong}),
		stIncomplete: peering.with(map[eventKind]rule{evMap: peeringMap, evNotify: on(incompleteNotify), evClientOp: keepLong}),
		stWaitActingChange: peering.with(map[eventKind]rule{
			evMap: in(waitActingChangeMap),
		}),
		stActivating:         active.with(map[eventKind]rule{evClientOp: keepOp}),
		stNotRecovering:      active,
		stWaitLocalRecovery:  active,
		stWaitRemoteRecovery: active,
		stRecovering:         active,
		stNotBackfilling:     active,
		stWaitLocalBackfill:  active,
		stWaitRemoteBackfill: active,
		stBackfilling:        active,
		stRecovered:          active,
		stClean:              active,
		stStray: row(map[eventKind]rule{
			evMap: strayMap, evQuery: on(answerQuery), evInfo: on(strayInfo), evLog: on(strayLog),
			evRemove: on(removeCopy), evClientOp: misdirected, evPull: on(servePull),
		}),
		stReplicaActive: row(map[eventKind]rule{
			evQuery: on(answerQuery), evInfo: on(replicaInfo), evLog: on(replicaLog), evTrim: on(replicaTrim), evLease: replicaLease,
			evRecoveryReserve: replicaReserve, evBackfillReserve: replicaReserve, evReserved: replicaReserved,
			evClientOp: misdirected, evRepOp: on(repOp), evLogUpdate: on(logUpdate),
			evPull: on(servePull), evPush: on(pushed), evDelete: on(deleteObjects),
			evScan: on(serveScan), evBackfill: on(backfillProgress), evBackfillRemove: on(backfillRemove),
		}),
		stDeleting: row(map[eventKind]rule{
			evTimer: in(deleteMore), evClientOp: in(keepForNext), evQuery: in(keepForNext),
			evLog: in(keepForNext), evNotify: in(keepForNext),
		}),
	}
}

type rules [numEvents]rule

// row fills what it is not told with ignore.
func row(m map[eventKind]rule) (r rules) {
	for k := range r {
		r[k] = ignore
	}
	return r.with(m)
}

func (r rules) with(m map[eventKind]rule) rules {
	for k, h := range m {
		r[k] = h
	}
	return r
}

// dispatch tells the current state of an event.
func (p *PG) dispatch(k eventKind, ev Event) { table[p.state.id()][k](p, ev) }
