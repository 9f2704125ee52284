package msgr

import (
	"fmt"

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
}

// Len returns the bytes of the three payload segments.
func (m *Message) Len() int { return m.Front.Len() + m.Middle.Len() + m.Data.Len() }

// Hold keeps the message's share of the throttles it was received under beyond
// the return of [Dispatcher.Dispatch]. Who calls it must call [Message.Release]
// once the message is done with.
func (m *Message) Hold() { m.budget.hold() }

// Release gives back the message's share of the throttles. It may be called once
// or more, from any goroutine that owns the message.
func (m *Message) Release() { m.budget.release() }

// String names the message for logs: type, transaction and payload lengths.
func (m *Message) String() string {
	return fmt.Sprintf("message(type %d v%d tid %d %d+%d+%d)", m.Type, m.Version, m.TID,
		m.Front.Len(), m.Middle.Len(), m.Data.Len())
}
