package osd

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"
	"weak"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/msgr"
	"sepiola/pg"
)

// session is a client's connection, as PGs know it.
type session struct {
	conn *msgr.Conn

	mu       sync.Mutex
	mapEpoch uint32 // newest map the client is known to have
	// ops are the operations under way by their number, oldest first. One is there more
	// than once if the client has sent it again meanwhile.
	ops map[uint64][]*trackedOp
}

func newSession(conn *msgr.Conn) *session {
	return &session{conn: conn, ops: map[uint64][]*trackedOp{}}
}

// trackedOp is a client's operation on its way, for dump_ops_in_flight, and the
// holder of its message's share of the throttles.
type trackedOp struct {
	op      weak.Pointer[message.OSDOp]
	msg     *msgr.Message
	desc    func() string
	arrived time.Time
}

// begin notes an operation. Its message keeps its share of the throttles until the
// operation is answered ([session.finish]) or given up ([session.dropped]), or until
// nobody refers to it any more, which should not come first but must not be the end
// of all service if it does.
func (s *session) begin(op *message.OSDOp, m *msgr.Message, now time.Time) {
	m.Hold()
	t := &trackedOp{op: weak.Make(op), msg: m, arrived: now, desc: describe(s.conn.Peer(), op)}
	s.mu.Lock()
	s.ops[op.TID] = append(s.ops[op.TID], t)
	s.mu.Unlock()
	tid := op.TID
	runtime.AddCleanup(op, func(t *trackedOp) { s.forget(tid, t) }, t)
}

// describe keeps what a line about the operation needs, and not the operation
// itself, whose payload may be large.
func describe(peer entity.Name, op *message.OSDOp) func() string {
	tid, pgid, obj, epoch, flags := op.TID, op.PGID, op.Object, op.Epoch, op.Flags
	codes := make([]message.OSDOpCode, len(op.Ops))
	for i := range op.Ops {
		codes[i] = op.Ops[i].Op
	}
	return func() string {
		return fmt.Sprintf("osd_op(%v:%d %v %v %v %v e%d)", peer, tid, pgid, obj, codes, flags, epoch)
	}
}

// finish forgets an operation that was answered: the oldest of that number.
func (s *session) finish(tid uint64) (t *trackedOp) {
	s.mu.Lock()
	if list := s.ops[tid]; len(list) > 0 {
		t = list[0]
		s.set(tid, list[1:])
	}
	s.mu.Unlock()
	if t != nil {
		t.msg.Release()
	}
	return t
}

// set replaces the operations of a number. mu is held.
func (s *session) set(tid uint64, list []*trackedOp) {
	if s.ops[tid] = list; len(list) == 0 {
		delete(s.ops, tid)
	}
}

// dropped forgets an operation that will not be answered.
func (s *session) dropped(op *message.OSDOp) {
	which := weak.Make(op)
	s.mu.Lock()
	list := s.ops[op.TID]
	i := slices.IndexFunc(list, func(t *trackedOp) bool { return t.op == which })
	var t *trackedOp
	if i >= 0 {
		t = list[i]
	}
	s.mu.Unlock()
	if t != nil {
		s.forget(op.TID, t)
	}
}

func (s *session) forget(tid uint64, t *trackedOp) {
	s.mu.Lock()
	if i := slices.Index(s.ops[tid], t); i >= 0 {
		s.set(tid, slices.Delete(s.ops[tid], i, i+1))
	}
	s.mu.Unlock()
	t.msg.Release()
}

// drop forgets all operations: the client is gone.
func (s *session) drop() {
	s.mu.Lock()
	ops := s.ops
	s.ops = map[uint64][]*trackedOp{}
	s.mu.Unlock()
	for _, list := range ops {
		for _, t := range list {
			t.msg.Release()
		}
	}
}

// knows notes that the client has the map of an epoch, and returns the newest it
// is known to have.
func (s *session) knows(epoch uint32) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mapEpoch = max(s.mapEpoch, epoch)
	return s.mapEpoch
}

// inFlight returns the operations on their way.
func (s *session) inFlight() []*trackedOp {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*trackedOp, 0, len(s.ops))
	for _, list := range s.ops {
		out = append(out, list...)
	}
	return out
}

// canBackOff reports whether a client knows MOSDBackoff.
func canBackOff(to pg.Session) bool {
	s, ok := to.(*session)
	return ok && s.conn.Features()&msgr.FeatureRadosBackoff == msgr.FeatureRadosBackoff
}
