package message

import (
	"time"

	"sepiola/entity"
	"sepiola/pglog"
)

var _ = register([]Entry{
	{MsgOSDPing, "osd_ping", 5, 4, 5, PrioDefault, func() Body { return new(OSDPing) }},
})

// PingOp is what a heartbeat says (MOSDPing).
type PingOp uint8

// The kinds of heartbeats.
const (
	PingYouDied PingOp = 2 // the map of the sender has the receiver down
	PingRequest PingOp = 4
	PingReply   PingOp = 5
)

// String returns Ceph's name of the kind.
func (o PingOp) String() string {
	switch o {
	case PingYouDied:
		return "you_died"
	case PingRequest:
		return "ping"
	case PingReply:
		return "ping_reply"
	}
	return "???"
}

// OSDPing is a heartbeat between OSDs (MOSDPing).
type OSDPing struct {
	FSID      entity.UUID
	MapEpoch  uint32
	Op        PingOp
	PingStamp time.Time // when the request was sent; a reply repeats it
	// MonoPingStamp is when the request was sent and MonoSendStamp when this message
	// was, each by its sender's monotonic clock since it started.
	MonoPingStamp, MonoSendStamp time.Duration
	// DeltaUB bounds how far the receiver's clock is ahead of the sender's; nil
	// when not known yet.
	DeltaUB *time.Duration
	UpFrom  uint32
	// MinMessageSize pads the front segment to about so many bytes, to notice
	// networks that lose large packets. At most [PingSizeMax].
	MinMessageSize uint32
}

// PingSizeMax bounds the padding of a heartbeat, in bytes.
const PingSizeMax = 1 << 20

// pingHead is the length of the fields before the padding's length, in bytes.
const pingHead = 16 + 4 + 1 + 8

// Type returns MsgOSDPing.
func (*OSDPing) Type() uint16 { return MsgOSDPing }

// Encode implements [Body].
func (m *OSDPing) Encode(o *Out) {
	m.FSID.Encode(o.Encoder)
	o.U32(m.MapEpoch)
	o.U8(uint8(m.Op))
	o.Time(m.PingStamp)
	pad := 0
	if size := min(m.MinMessageSize, PingSizeMax); size > pingHead {
		pad = int(size) - pingHead
	}
	o.U32(uint32(pad))
	o.U32(m.UpFrom)
	pglog.EncodeSpan(o.Encoder, m.MonoPingStamp)
	pglog.EncodeSpan(o.Encoder, m.MonoSendStamp)
	o.Bool(m.DeltaUB != nil)
	if m.DeltaUB != nil {
		pglog.EncodeSpan(o.Encoder, *m.DeltaUB)
	}
	o.Raw(make([]byte, pad))
}

// Decode implements [Body].
func (m *OSDPing) Decode(in *In) {
	m.FSID = entity.DecodeUUID(in.Decoder)
	m.MapEpoch = in.U32()
	m.Op = PingOp(in.U8())
	m.PingStamp = in.Time()
	pad := in.U32()
	m.UpFrom = in.U32()
	m.MonoPingStamp = pglog.DecodeSpan(in.Decoder)
	m.MonoSendStamp = pglog.DecodeSpan(in.Decoder)
	m.DeltaUB = getOptional(in.Decoder, pglog.DecodeSpan)
	if pad > PingSizeMax {
		in.Fail("heartbeat padded with %d bytes", pad)
		return
	}
	in.Skip(int(pad))
	m.MinMessageSize = pad + pingHead
}
