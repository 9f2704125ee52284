package msgr

import (
	"fmt"
	"slices"

	"sepiola/wire"
)

// Message priorities (CEPH_MSG_PRIO_* in src/include/msgr.h). Of the messages
// waiting on a connection, those of the highest priority leave first.
const (
	PriorityLow     uint16 = 64
	PriorityDefault uint16 = 127
	PriorityHigh    uint16 = 196
	PriorityHighest uint16 = 255
)

// Message is a message on the wire: ceph_msg_header2 without what belongs to the
// session, and three payload segments. Once handed to [Conn.Send] or received, it
// and its segments must not be changed.
type Message struct {
	// Type is the message's type (CEPH_MSG_*, MSG_*); Version the version of its
	// payload's encoding and CompatVersion the oldest one a reader must know.
	Type, Priority, Version, CompatVersion uint16
	// TID is the sender's transaction id, 0 where the message has none.
	TID uint64
	// Seq is the message's number in its session, from 1. It is set on received
	// messages only.
	Seq uint64
	// DataOff is the data segment's offset within a page as the sender knows it; a
	// hint for the receiver's alignment.
	DataOff uint16
	// Front, Middle and Data are the payload. The limits are MaxFront, MaxMiddle and
	// MaxData bytes.
	Front, Middle, Data wire.Buf

	budget budget
	// lists is the memory of Front, Middle and Data where they are of one piece.
	lists [3][1][]byte
}

// own returns a list of its own for the pieces of segment i.
func (m *Message) own(i int, pieces wire.Buf) wire.Buf {
	switch len(pieces) {
	case 0:
		return nil
	case 1:
		m.lists[i][0] = pieces[0]
		return m.lists[i][:1:1]
	}
	return slices.Clone(pieces)
}

// Len returns the bytes of the three payload segments.
func (m *Message) Len() int { return m.Front.Len() + m.Middle.Len() + m.Data.Len() }

// Hold keeps the message's share of its policy's throttles beyond the return of
// [Dispatcher.Dispatch]. Who calls it must call [Message.Release] once the message
// is done with. The dispatch throttle, which is there for all peers, is never
// held: messages that wait for a map must not keep the map from coming
// (DispatchQueue::post_dispatch).
func (m *Message) Hold() { m.budget.hold() }

// Release gives back the message's share of the throttles. It may be called once
// or more, from any goroutine that owns the message.
func (m *Message) Release() { m.budget.release() }

// Free releases a received message, and gives the memory of its payload back to
// be received into again. It may be called once, by the only one who still refers
// to any part of the payload: no queued message, store transaction or decoded
// value may share it. Freeing is never needed; it spares the garbage collector.
func (m *Message) Free() {
	m.Release()
	for i, l := range [...]*wire.Buf{&m.Front, &m.Middle, &m.Data} {
		for _, p := range *l {
			putPayload(p)
		}
		*l = nil
		m.lists[i][0] = nil
	}
}

// String names the message for logs: type, transaction and payload lengths.
func (m *Message) String() string {
	return fmt.Sprintf("message(type %d v%d tid %d %d+%d+%d)", m.Type, m.Version, m.TID,
		m.Front.Len(), m.Middle.Len(), m.Data.Len())
}
