package osd

import (
	"fmt"
	"runtime"
	"sync"
	"time"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/msgr"
)

// session is a client's connection, as PGs know it.
type session struct {
	conn *msgr.Conn

	mu       sync.Mutex
	mapEpoch uint32 // newest map the client is known to have
	ops      map[uint64]*trackedOp
}

func newSession(conn *msgr.Conn) *session {
	return &session{conn: conn, ops: map[uint64]*trackedOp{}}
}

// trackedOp is a client's operation on its way, for dump_ops_in_flight, and the
// holder of its message's share of the throttles.
type trackedOp struct {
	msg     *msgr.Message
	desc    func() string
	arrived time.Time
}

// begin notes an operation. Its message keeps its share of the throttles until the
// reply, or until nobody refers to the operation any more: a PG drops silently
// what another OSD must answer.
func (s *session) begin(op *message.OSDOp, m *msgr.Message, now time.Time) {
	m.Hold()
	t := &trackedOp{msg: m, arrived: now, desc: describe(s.conn.Peer(), op)}
	s.mu.Lock()
	old := s.ops[op.TID]
	s.ops[op.TID] = t
	s.mu.Unlock()
	if old != nil {
		old.msg.Release()
	}
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

// finish forgets an operation that was answered.
func (s *session) finish(tid uint64) (t *trackedOp) {
	s.mu.Lock()
	t = s.ops[tid]
	delete(s.ops, tid)
	s.mu.Unlock()
	if t != nil {
		t.msg.Release()
	}
	return t
}

func (s *session) forget(tid uint64, t *trackedOp) {
	s.mu.Lock()
	if s.ops[tid] == t {
		delete(s.ops, tid)
	}
	s.mu.Unlock()
	t.msg.Release()
}

// drop forgets all operations: the client is gone.
func (s *session) drop() {
	s.mu.Lock()
	ops := s.ops
	s.ops = map[uint64]*trackedOp{}
	s.mu.Unlock()
	for _, t := range ops {
		t.msg.Release()
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
	for _, t := range s.ops {
		out = append(out, t)
	}
	return out
}
