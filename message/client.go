package message

import (
	"fmt"
	"time"

	"sepiola/object"
	"sepiola/pglog"
	"sepiola/wire"
)

var _ = register([]Entry{
	{MsgOSDOp, "osd_op", 8, 3, 8, ClientOpPriority, func() Body { return new(OSDOp) }},
	{MsgOSDOpReply, "osd_op_reply", 8, 2, 8, PrioDefault, func() Body { return new(OSDOpReply) }},
	{MsgOSDBackoff, "osd_backoff", 1, 1, 1, PrioDefault, func() Body { return new(OSDBackoff) }},
	{MsgWatchNotify, "watch-notify", 3, 1, 3, PrioDefault, func() Body { return new(WatchNotify) }},
})

// ClientOpPriority is the priority clients give their operations
// (osd_client_op_priority).
const ClientOpPriority uint16 = 63

// Trace is blkin_trace_info: what joins a message to a distributed trace. Zeros
// mean no trace.
type Trace struct{ TraceID, SpanID, ParentSpanID int64 }

func (t Trace) encode(e *wire.Encoder) {
	e.I64(t.TraceID)
	e.I64(t.SpanID)
	e.I64(t.ParentSpanID)
}

func decodeTrace(d *wire.Decoder) Trace { return Trace{d.I64(), d.I64(), d.I64()} }

// OSDOp is a client's request on one object, or on one placement group when
// Object has no name (MOSDOp).
type OSDOp struct {
	TID      uint64
	Priority uint16 // 0 means ClientOpPriority
	DataOff  uint16

	PGID object.SPGID
	// Object is the object with its locator key, namespace, hash and the
	// snapshot to read (NoSnap to write).
	Object object.ID
	Epoch  uint32 // of the map the client aimed with
	Flags  OpFlags
	// ReqID identifies the request if the sender set its name or tid. Clients
	// leave them zero, and the request is known by the session's peer,
	// ReqID.Inc and TID; see ID.
	ReqID     pglog.ReqID
	Trace     Trace
	ClientInc uint32 // incarnation of the client
	MTime     time.Time
	Ops       []SubOp
	// SnapSeq and Snaps are the writer's snapshot context, newest first.
	SnapSeq object.SnapID
	Snaps   []object.SnapID
	// RetryAttempt counts resends, from 0; -1 if not known.
	RetryAttempt int32
	// Features are those of the connection the sender encoded for.
	Features uint64
}

// Type returns MsgOSDOp.
func (*OSDOp) Type() uint16 { return MsgOSDOp }

// Has reports whether any of the flags is set.
func (m *OSDOp) Has(f OpFlags) bool { return m.Flags&f != 0 }

// Locator returns where the object is placed: by position for a request on a
// placement group.
func (m *OSDOp) Locator() object.Locator {
	if m.Object.Name == "" {
		return object.Locator{Pool: m.Object.Pool, Namespace: m.Object.Namespace, Hash: int64(m.Object.Hash)}
	}
	return object.Locator{Pool: m.Object.Pool, Key: m.Object.Key, Namespace: m.Object.Namespace, Hash: -1}
}

// Encode implements [Body].
func (m *OSDOp) Encode(o *Out) {
	o.TID, o.DataOff = m.TID, m.DataOff
	o.setPriority(m.Priority)
	m.PGID.Encode(o.Encoder)
	o.U32(m.Object.Hash)
	o.U32(m.Epoch)
	o.U32(uint32(m.Flags))
	m.ReqID.Encode(o.Encoder)
	m.Trace.encode(o.Encoder)
	o.U32(m.ClientInc)
	o.Time(m.MTime)
	m.Locator().Encode(o.Encoder)
	o.String(m.Object.Name)
	o.U16(uint16(len(m.Ops)))
	for i := range m.Ops {
		op := &m.Ops[i]
		n := op.In.Len()
		op.encode(o.Encoder, n)
		if n > 0 {
			o.Data = o.Data.Append(op.In)
		}
	}
	o.U64(uint64(m.Object.Snap))
	o.U64(uint64(m.SnapSeq))
	wire.Slice(o.Encoder, m.Snaps, putSnap)
	o.I32(m.RetryAttempt)
	o.U64(o.Features)
}

// Decode implements [Body].
func (m *OSDOp) Decode(in *In) {
	m.TID, m.Priority, m.DataOff = in.TID, in.Priority, in.DataOff
	m.PGID = object.DecodeSPGID(in.Decoder)
	hash := in.U32()
	m.Epoch = in.U32()
	m.Flags = OpFlags(in.U32())
	m.ReqID = pglog.DecodeReqID(in.Decoder)
	m.Trace = decodeTrace(in.Decoder)
	m.ClientInc = in.U32()
	m.MTime = in.Time()
	loc := object.DecodeLocator(in.Decoder)
	name := in.String()
	lens := decodeSubOps(in, int(in.U16()), &m.Ops)
	m.Object = object.Head(m.PGID.Pool, loc.Namespace, loc.Key, name, hash)
	m.Object.Snap = object.SnapID(in.U64())
	m.SnapSeq = object.SnapID(in.U64())
	m.Snaps = wire.ReadSlice(in.Decoder, 8, getSnap)
	m.RetryAttempt = in.I32()
	m.Features = in.U64()
	if in.Err() == nil {
		splitData(in.Decoder, in.Data, lens, func(i int, b wire.Buf) { m.Ops[i].In = b })
	}
}

// decodeSubOps reads n operations and returns the lengths of their payloads.
func decodeSubOps(in *In, n int, ops *[]SubOp) []uint32 {
	if in.Err() != nil {
		return nil
	}
	if n > in.Left()/subOpSize {
		in.Fail("%d operations announced, %d bytes left", n, in.Left())
		return nil
	}
	*ops = make([]SubOp, n)
	lens := make([]uint32, n)
	for i := range *ops {
		lens[i] = (*ops)[i].decode(in.Decoder)
	}
	return lens
}

// String sums the request up for logs.
func (m *OSDOp) String() string {
	return fmt.Sprintf("osd_op(%s %d %s %s %s snapc %s=%v e%d)", m.ReqID, m.TID, m.PGID, m.Object,
		opsString(m.Ops), m.SnapSeq, m.Snaps, m.Epoch)
}

func opsString(ops []SubOp) string {
	s := "["
	for i := range ops {
		if i > 0 {
			s += ","
		}
		s += ops[i].String()
	}
	return s + "]"
}

// Redirect tells a client to go elsewhere (request_redirect_t).
type Redirect struct {
	Locator object.Locator
	Object  string // another object's name; empty for the same one
}

func (r *Redirect) encode(e *wire.Encoder) {
	m := e.Begin(1, 1)
	r.Locator.Encode(e)
	e.String(r.Object)
	e.U32(0) // once instructions for the OSD
	e.End(m)
}

func decodeRedirect(d *wire.Decoder) *Redirect {
	s := d.Begin(1)
	defer d.End(s)
	return &Redirect{Locator: object.DecodeLocator(d), Object: d.String()}
}

// OSDOpReply answers an [OSDOp] (MOSDOpReply).
type OSDOpReply struct {
	TID      uint64
	Priority uint16 // 0 means the default
	DataOff  uint16 // offset of the first read, modulo 65536

	Object string
	PGID   object.PGID
	Flags  int64 // those of the request, and FlagAck|FlagOnDisk
	Result int32 // 0, a count, or a negative errno
	// BadReplayVersion is the version for clients of long ago; SetVersions fills
	// it in.
	BadReplayVersion pglog.Version
	Epoch            uint32
	Ops              []SubOp // as in the request, with RVal and Out
	RetryAttempt     int32   // that of the request answered
	ReplayVersion    pglog.Version
	UserVersion      uint64
	Redirect         *Redirect // nil unless the client must go elsewhere
	Trace            Trace
}

// Type returns MsgOSDOpReply.
func (*OSDOpReply) Type() uint16 { return MsgOSDOpReply }

// NewOSDOpReply returns the reply to a request, without outputs.
func NewOSDOpReply(req *OSDOp, result int32, epoch uint32, flags OpFlags) *OSDOpReply {
	r := &OSDOpReply{
		TID: req.TID, Object: req.Object.Name, PGID: req.PGID.PGID,
		Flags: int64(req.Flags&^(FlagOnDisk|FlagOnNVRAM|FlagAck) | flags), Result: result, Epoch: epoch,
		Ops: make([]SubOp, len(req.Ops)), RetryAttempt: req.RetryAttempt,
	}
	for i, op := range req.Ops {
		r.Ops[i] = SubOp{Op: op.Op, Flags: op.Flags, Args: op.Args}
	}
	return r
}

// SetVersions fills in the versions of a reply to a write, and to a read of an
// object that exists (MOSDOpReply::set_reply_versions).
func (m *OSDOpReply) SetVersions(v pglog.Version, userVersion uint64) {
	m.ReplayVersion, m.UserVersion = v, userVersion
	m.BadReplayVersion = v
	if userVersion != 0 {
		m.BadReplayVersion.V = userVersion
	}
}

// SetReadVersions fills in the versions of a reply to an operation that wrote
// nothing because there is no object (set_enoent_reply_versions).
func (m *OSDOpReply) SetReadVersions(v pglog.Version, userVersion uint64) {
	m.UserVersion, m.BadReplayVersion = userVersion, v
}

// Encode implements [Body].
func (m *OSDOpReply) Encode(o *Out) {
	o.TID, o.DataOff = m.TID, m.DataOff
	o.setPriority(m.Priority)
	o.String(m.Object)
	m.PGID.Encode(o.Encoder)
	o.I64(m.Flags)
	o.I32(m.Result)
	m.BadReplayVersion.Encode(o.Encoder)
	o.U32(m.Epoch)
	o.U32(uint32(len(m.Ops)))
	for i := range m.Ops {
		op := &m.Ops[i]
		n := op.Out.Len()
		op.encode(o.Encoder, n)
		if n > 0 {
			o.Data = o.Data.Append(op.Out)
		}
	}
	o.I32(m.RetryAttempt)
	for i := range m.Ops {
		o.I32(m.Ops[i].RVal)
	}
	m.ReplayVersion.Encode(o.Encoder)
	o.U64(m.UserVersion)
	o.Bool(m.Redirect != nil)
	if m.Redirect != nil {
		m.Redirect.encode(o.Encoder)
	}
	m.Trace.encode(o.Encoder)
}

// Decode implements [Body].
func (m *OSDOpReply) Decode(in *In) {
	m.TID, m.Priority, m.DataOff = in.TID, in.Priority, in.DataOff
	m.Object = in.String()
	m.PGID = object.DecodePGID(in.Decoder)
	m.Flags = in.I64()
	m.Result = in.I32()
	m.BadReplayVersion = pglog.DecodeVersion(in.Decoder)
	m.Epoch = in.U32()
	lens := decodeSubOps(in, in.Count(subOpSize), &m.Ops)
	m.RetryAttempt = in.I32()
	for i := range m.Ops {
		m.Ops[i].RVal = in.I32()
	}
	m.ReplayVersion = pglog.DecodeVersion(in.Decoder)
	m.UserVersion = in.U64()
	if in.Bool() {
		m.Redirect = decodeRedirect(in.Decoder)
	}
	m.Trace = decodeTrace(in.Decoder)
	if in.Err() == nil {
		splitData(in.Decoder, in.Data, lens, func(i int, b wire.Buf) { m.Ops[i].Out = b })
	}
}

// String sums the reply up for logs.
func (m *OSDOpReply) String() string {
	return fmt.Sprintf("osd_op_reply(%d %s %s v%s uv%d = %d)", m.TID, m.Object, opsString(m.Ops),
		m.ReplayVersion, m.UserVersion, m.Result)
}

// BackoffOp says what an [OSDBackoff] does (CEPH_OSD_BACKOFF_OP_*).
type BackoffOp uint8

// The steps of a backoff.
const (
	BackoffBlock    BackoffOp = 1 // OSD to client: send nothing in the range
	BackoffAckBlock BackoffOp = 2 // client to OSD
	BackoffUnblock  BackoffOp = 3 // OSD to client: go on
)

// OSDBackoff stops a client's requests to a range of objects (MOSDBackoff).
type OSDBackoff struct {
	Priority uint16 // 0 means the default; clients use ClientOpPriority
	PGID     object.SPGID
	Epoch    uint32
	Op       BackoffOp
	ID       uint64 // unique within the session
	// Begin and End bound the range, End excluded; equal for one object.
	Begin, End object.ID
}

// Type returns MsgOSDBackoff.
func (*OSDBackoff) Type() uint16 { return MsgOSDBackoff }

// Encode implements [Body].
func (m *OSDBackoff) Encode(o *Out) {
	o.setPriority(m.Priority)
	m.PGID.Encode(o.Encoder)
	o.U32(m.Epoch)
	o.U8(uint8(m.Op))
	o.U64(m.ID)
	m.Begin.Encode(o.Encoder)
	m.End.Encode(o.Encoder)
}

// Decode implements [Body].
func (m *OSDBackoff) Decode(in *In) {
	m.Priority = in.Priority
	m.PGID = object.DecodeSPGID(in.Decoder)
	m.Epoch = in.U32()
	m.Op = BackoffOp(in.U8())
	m.ID = in.U64()
	m.Begin = object.DecodeID(in.Decoder)
	m.End = object.DecodeID(in.Decoder)
}

// WatchEvent says what a [WatchNotify] reports (CEPH_WATCH_EVENT_*).
type WatchEvent uint8

// The events of a watch.
const (
	WatchEventNotify         WatchEvent = 1 // to a watcher: somebody notifies
	WatchEventNotifyComplete WatchEvent = 2 // to the notifier: all have answered
	WatchEventDisconnect     WatchEvent = 3 // to a watcher: the watch is lost
)

// WatchNotify goes from an OSD to watchers and notifiers (MWatchNotify).
type WatchNotify struct {
	Cookie      uint64 // the client's name for the watch or notify
	Version     uint64 // obsolete
	NotifyID    uint64 // the OSD's name for the notify
	Event       WatchEvent
	Payload     []byte // the notifier's bytes, to a watcher
	ReturnCode  int32  // of a complete notify: 0 or -ETIMEDOUT
	NotifierGID uint64
	// Data is the encoded [NotifyReply] of a complete notify.
	Data wire.Buf
}

// Type returns MsgWatchNotify.
func (*WatchNotify) Type() uint16 { return MsgWatchNotify }

// Encode implements [Body].
func (m *WatchNotify) Encode(o *Out) {
	o.Data = m.Data
	o.U8(1)
	o.U8(uint8(m.Event))
	o.U64(m.Cookie)
	o.U64(m.Version)
	o.U64(m.NotifyID)
	o.Blob(m.Payload)
	o.I32(m.ReturnCode)
	o.U64(m.NotifierGID)
}

// Decode implements [Body].
func (m *WatchNotify) Decode(in *In) {
	m.Data = in.Data
	v := in.U8()
	m.Event = WatchEvent(in.U8())
	m.Cookie = in.U64()
	m.Version = in.U64()
	m.NotifyID = in.U64()
	if v >= 1 {
		m.Payload = in.Blob()
	}
	m.ReturnCode = in.I32()
	m.NotifierGID = in.U64()
}

func putSnap(e *wire.Encoder, s object.SnapID) { e.U64(uint64(s)) }

func getSnap(d *wire.Decoder) object.SnapID { return object.SnapID(d.U64()) }
