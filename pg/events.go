package pg

import (
	"sepiola/entity"
	"sepiola/message"
	"sepiola/osdmap"
)

// Session is the driver's handle of a client's connection. The core keeps it and
// hands it back in [Reply]; it must be comparable.
type Session any

// Event is something that happened to a PG.
type Event interface{ event() }

// ClientOp is an operation a client sent to this PG.
type ClientOp struct {
	Op   *message.OSDOp
	From Session
	// Source and Addr are who sent it, as the messenger knows; they name the
	// request where the message does not.
	Source entity.Name
	Addr   entity.Addr
}

// PeerMessage is a message about this PG from another OSD: notify, query, info,
// log, replicated operation, push, pull, scan and their replies.
type PeerMessage struct {
	From int32
	Msg  message.Body
}

// NewMap is the next OSD map. More says that the following epoch is at hand too,
// so that peering can wait for the last one.
type NewMap struct {
	Map  *osdmap.Map
	More bool
}

// Committed says that the transaction with this token is durable.
type Committed struct{ Token uint64 }

// Timer says that the time set by [StartTimer] has come.
type Timer struct {
	Kind TimerKind
	Gen  uint64 // as in StartTimer
}

// Reserved says that a slot asked for by [Reserve] is there, or was taken away.
type Reserved struct {
	Scope   Scope
	Gen     uint64
	Granted bool
}

// SessionReset says that a client's connection is gone for good: what waits for
// it need not be answered.
type SessionReset struct{ Session Session }

// BackoffAck is a client's word that it heard of a backoff.
type BackoffAck struct {
	From Session
	ID   uint64
}

// Continue asks for work left over by the step before; see [PG.HasWork].
type Continue struct{}

func (ClientOp) event()     {}
func (PeerMessage) event()  {}
func (NewMap) event()       {}
func (Committed) event()    {}
func (Timer) event()        {}
func (Reserved) event()     {}
func (SessionReset) event() {}
func (BackoffAck) event()   {}
func (Continue) event()     {}

// TimerKind tells timers of a PG apart. Setting one of a kind replaces it.
type TimerKind uint8

// The timers.
const (
	// TimerRecovery paces recovery and backfill (osd recovery sleep).
	TimerRecovery TimerKind = iota
	// TimerDelete paces the removal of a stray copy (osd delete sleep).
	TimerDelete
	// TimerWatch ends watches and notifies that have waited too long.
	TimerWatch
	// TimerLease is when a primary's promise to its replicas is to be renewed.
	TimerLease
	// TimerPrior is when primaries of earlier intervals have stopped answering.
	TimerPrior
	// TimerTooFull is when targets of backfill without room are asked again.
	TimerTooFull
	// TimerRecount is when some more objects are counted.
	TimerRecount
)

// String names the timer.
func (k TimerKind) String() string {
	switch k {
	case TimerRecovery:
		return "recovery"
	case TimerDelete:
		return "delete"
	case TimerWatch:
		return "watch"
	case TimerLease:
		return "lease"
	case TimerPrior:
		return "prior"
	case TimerTooFull:
		return "too full"
	case TimerRecount:
		return "recount"
	}
	return "unknown"
}
