package pg

import (
	"time"

	"sepiola/message"
	"sepiola/objectstore"
)

// Effects collects, in order, what a step asks the outside to do. The zero value
// is ready; [Effects.Reset] empties it and keeps its memory.
type Effects struct{ list []Effect }

// Effect is one thing to do.
type Effect interface{ effect() }

// List returns the effects in order; valid until Reset.
func (fx *Effects) List() []Effect { return fx.list }

// Reset empties fx.
func (fx *Effects) Reset() {
	clear(fx.list)
	fx.list = fx.list[:0]
}

func (fx *Effects) add(e Effect) { fx.list = append(fx.list, e) }

// SendOSD sends one message to each of the OSDs, in the given order. The body is
// the same for all: it can be encoded once. Nobody changes it or To.
type SendOSD struct {
	To  []int32
	Msg message.Body
}

// Reply answers a client.
type Reply struct {
	To  Session
	Msg message.Body
}

// Dropped says that an operation will not be answered here: the client sends it again
// when the map has it do so. What was kept for the answer can go.
type Dropped struct {
	To Session
	Op *message.OSDOp
}

// Submit applies a transaction to the local store. A Token other than 0 wants a
// [Committed] event.
type Submit struct {
	Tx    *objectstore.Transaction
	Token uint64
}

// StartTimer wants a [Timer] event after the given time, in place of an earlier
// one of the same kind.
type StartTimer struct {
	Kind  TimerKind
	After time.Duration
	Gen   uint64
}

// Reserve asks for a slot of this OSD for recovery or backfill, in place of one asked
// for before; [Reserved] with the same Gen tells when it is there, or gone again.
type Reserve struct {
	Scope    Scope
	Priority uint32
	Gen      uint64
}

// Release gives back a slot, or what was asked for.
type Release struct{ Scope Scope }

// Spawn hands over a PG that split off from this one. It is in the store already, and
// wants a [NewMap] of the map it was made with, and those that follow. Until it is in
// place nobody may be told that it is not there.
type Spawn struct{ PG *PG }

// NeedUpThru asks the monitor to record this OSD as alive through the epoch
// (MOSDAlive): no interval goes active before the map says so.
type NeedUpThru struct{ Epoch uint32 }

// WantPGTemp asks the monitor for a temporary acting set (MOSDPGTemp); OSDs empty
// means none.
type WantPGTemp struct{ OSDs []int32 }

// NeedMap says that a peer or client knows a newer map, at least Epoch.
type NeedMap struct{ Epoch uint32 }

// PGCreated tells the monitor that a new PG went active for the first time
// (MOSDPGCreated).
type PGCreated struct{}

// Removed says that this copy is gone from the store; the driver forgets the PG.
// It is emitted with the commit of the last transaction. Events are what peers and
// clients sent meanwhile, in order: they may be meant for a copy to come, and are to
// be treated as they are where there is no PG.
type Removed struct{ Events []Event }

// StatsChanged says that [PG.Stats] is worth publishing; only a primary emits it.
type StatsChanged struct{}

// ClusterLog is a line for the cluster's log.
type ClusterLog struct {
	Level string // "error", "warn", "info"
	Text  string
}

// Note is a line for the daemon's own debug log.
type Note struct{ Text string }

func (SendOSD) effect()      {}
func (Reply) effect()        {}
func (Dropped) effect()      {}
func (Submit) effect()       {}
func (StartTimer) effect()   {}
func (Reserve) effect()      {}
func (Release) effect()      {}
func (Spawn) effect()        {}
func (NeedUpThru) effect()   {}
func (WantPGTemp) effect()   {}
func (NeedMap) effect()      {}
func (PGCreated) effect()    {}
func (Removed) effect()      {}
func (StatsChanged) effect() {}
func (ClusterLog) effect()   {}
func (Note) effect()         {}
