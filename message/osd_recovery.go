package message

import (
	"maps"
	"slices"

	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pglog"
	"sepiola/wire"
)

// Recovery from the log.
var _ = register([]Entry{
	{MsgOSDPGPush, "MOSDPGPush", 4, 2, 3, PrioRecovery, func() Body { return new(OSDPGPush) }},
	{MsgOSDPGPull, "MOSDPGPull", 3, 2, 3, PrioRecovery, func() Body { return new(OSDPGPull) }},
	{MsgOSDPGPushReply, "MOSDPGPushReply", 3, 2, 3, PrioRecovery, func() Body { return new(OSDPGPushReply) }},
	{MsgOSDPGRecoveryDelete, "recovery_delete", 2, 1, 2, PrioRecovery, func() Body { return new(OSDPGRecoveryDelete) }},
	{MsgOSDPGRecoveryDeleteReply, "recovery_delete_reply", 2, 1, 2, PrioRecovery, func() Body { return new(OSDPGRecoveryDeleteReply) }},
	{MsgOSDRecoveryReserve, "MRecoveryReserve", 3, 2, 3, PrioDefault, func() Body { return new(RecoveryReserve) }},
})

// PrioRecovery is the usual priority of recovery (osd_recovery_op_priority). An
// object that a client waits for gets the client's.
const PrioRecovery uint16 = 3

// ObjectRecoveryInfo says what of an object is to be recovered
// (ObjectRecoveryInfo).
type ObjectRecoveryInfo struct {
	Object      object.ID
	Version     pglog.Version
	Size        uint64
	Info        pglog.ObjectInfo
	SnapSet     pglog.SnapSet // of the head, when it is known
	CopySubset  pglog.IntervalSet
	CloneSubset map[object.ID]pglog.IntervalSet // what to copy from clones nearby
	Exists      bool                            // the receiver has an older version to build on
}

// Encode appends ObjectRecoveryInfo, version 3.
func (r *ObjectRecoveryInfo) Encode(e *wire.Encoder) {
	m := e.Begin(3, 1)
	r.Object.Encode(e)
	r.Version.Encode(e)
	e.U64(r.Size)
	r.Info.Encode(e)
	r.SnapSet.Encode(e)
	r.CopySubset.Encode(e)
	e.U32(uint32(len(r.CloneSubset)))
	for _, o := range slices.SortedFunc(maps.Keys(r.CloneSubset), object.ID.Compare) {
		o.Encode(e)
		r.CloneSubset[o].Encode(e)
	}
	e.Bool(r.Exists)
	e.End(m)
}

// DecodeObjectRecoveryInfo reads ObjectRecoveryInfo, version 2 and later.
func DecodeObjectRecoveryInfo(d *wire.Decoder) ObjectRecoveryInfo {
	s := d.Begin(3)
	if d.Err() == nil && s.Version < 2 {
		d.Fail("recovery info of version %d", s.Version)
	}
	r := ObjectRecoveryInfo{Object: object.DecodeID(d), Version: pglog.DecodeVersion(d), Size: d.U64(),
		Info: pglog.DecodeObjectInfo(d), SnapSet: pglog.DecodeSnapSet(d), CopySubset: pglog.DecodeIntervalSet(d)}
	r.CloneSubset = wire.ReadMap(d, objectIDMin+4, object.DecodeID, pglog.DecodeIntervalSet)
	if s.Version >= 3 {
		r.Exists = d.Bool()
	}
	d.End(s)
	return r
}

// ObjectRecoveryProgress says how far the recovery of an object got
// (ObjectRecoveryProgress).
type ObjectRecoveryProgress struct {
	First           bool // nothing was sent yet
	DataComplete    bool
	DataRecoveredTo uint64 // bytes
	OmapRecoveredTo string // the last key sent
	OmapComplete    bool
}

// NewProgress returns the progress before anything was sent.
func NewProgress() ObjectRecoveryProgress { return ObjectRecoveryProgress{First: true} }

// Complete reports whether all was sent.
func (p *ObjectRecoveryProgress) Complete() bool { return p.DataComplete && p.OmapComplete }

// Encode appends ObjectRecoveryProgress, version 1.
func (p *ObjectRecoveryProgress) Encode(e *wire.Encoder) {
	m := e.Begin(1, 1)
	e.Bool(p.First)
	e.Bool(p.DataComplete)
	e.U64(p.DataRecoveredTo)
	e.String(p.OmapRecoveredTo)
	e.Bool(p.OmapComplete)
	e.End(m)
}

// DecodeObjectRecoveryProgress reads ObjectRecoveryProgress.
func DecodeObjectRecoveryProgress(d *wire.Decoder) ObjectRecoveryProgress {
	s := d.Begin(1)
	p := ObjectRecoveryProgress{First: d.Bool(), DataComplete: d.Bool(), DataRecoveredTo: d.U64(),
		OmapRecoveredTo: d.String(), OmapComplete: d.Bool()}
	d.End(s)
	return p
}

// PushOp is a piece of an object on its way to a member that misses it
// (PushOp).
type PushOp struct {
	Object       object.ID
	Version      pglog.Version
	Data         wire.Buf          // the bytes of DataIncluded, end to end
	DataIncluded pglog.IntervalSet // byte ranges
	OmapHeader   []byte
	OmapEntries  map[string][]byte
	Attrs        map[string][]byte
	Recovery     ObjectRecoveryInfo
	// Before and After are the progress without and with this piece.
	After, Before ObjectRecoveryProgress
}

func (p *PushOp) encode(e *wire.Encoder) {
	m := e.Begin(1, 1)
	p.Object.Encode(e)
	p.Version.Encode(e)
	e.BufBlob(p.Data)
	p.DataIncluded.Encode(e)
	e.Blob(p.OmapHeader)
	wire.Map(e, p.OmapEntries, wire.PutString, wire.PutBlob)
	wire.Map(e, p.Attrs, wire.PutString, wire.PutBlob)
	p.Recovery.Encode(e)
	p.After.Encode(e)
	p.Before.Encode(e)
	e.End(m)
}

func decodePushOp(d *wire.Decoder) PushOp {
	s := d.Begin(1)
	p := PushOp{Object: object.DecodeID(d), Version: pglog.DecodeVersion(d), Data: wire.BufOf(d.Blob()),
		DataIncluded: pglog.DecodeIntervalSet(d), OmapHeader: d.Blob()}
	p.OmapEntries = wire.ReadMap(d, 8, wire.GetString, wire.GetBlob)
	p.Attrs = wire.ReadMap(d, 8, wire.GetString, wire.GetBlob)
	p.Recovery = DecodeObjectRecoveryInfo(d)
	p.After, p.Before = DecodeObjectRecoveryProgress(d), DecodeObjectRecoveryProgress(d)
	d.End(s)
	if d.Err() == nil && p.DataIncluded.Size() != uint64(p.Data.Len()) {
		d.Fail("push of %v has %d bytes for ranges of %d", p.Object, p.Data.Len(), p.DataIncluded.Size())
	}
	return p
}

// Cost of pushing an object besides its bytes (osd_push_per_object_cost).
const pushPerObjectCost = 1000

// Cost returns what the piece counts in the receiver's queue, in bytes.
func (p *PushOp) Cost() uint64 {
	n := uint64(pushPerObjectCost) + p.DataIncluded.Size()
	for k, v := range p.OmapEntries {
		n += uint64(len(k) + len(v))
	}
	return n
}

// PullOp asks for an object (PullOp).
type PullOp struct {
	Object   object.ID
	Recovery ObjectRecoveryInfo
	Progress ObjectRecoveryProgress
}

func (p *PullOp) encode(e *wire.Encoder) {
	m := e.Begin(1, 1)
	p.Object.Encode(e)
	p.Recovery.Encode(e)
	p.Progress.Encode(e)
	e.End(m)
}

func decodePullOp(d *wire.Decoder) PullOp {
	s := d.Begin(1)
	p := PullOp{object.DecodeID(d), DecodeObjectRecoveryInfo(d), DecodeObjectRecoveryProgress(d)}
	d.End(s)
	return p
}

// recoveryMin is the least length of an encoded push or pull in bytes.
const recoveryMin = 100

// OSDPGPush brings pieces of objects to a member that misses them (MOSDPGPush).
type OSDPGPush struct {
	PGHeader
	Priority uint16 // of the message; 0 for PrioRecovery
	Pushes   []PushOp
	Cost     uint64 // in the receiver's queue
	From     osdmap.PGShard
	IsRepair bool
}

// Type returns MsgOSDPGPush.
func (*OSDPGPush) Type() uint16 { return MsgOSDPGPush }

// Encode implements [Body].
func (m *OSDPGPush) Encode(o *Out) {
	o.setPriority(m.Priority)
	m.PGID.PGID.Encode(o.Encoder)
	o.U32(m.Epoch)
	o.U32(uint32(len(m.Pushes)))
	for i := range m.Pushes {
		m.Pushes[i].encode(o.Encoder)
	}
	o.U64(m.Cost)
	o.I8(m.PGID.Shard)
	m.From.Encode(o.Encoder)
	o.U32(m.Since)
	o.Bool(m.IsRepair)
}

// Decode implements [Body].
func (m *OSDPGPush) Decode(in *In) {
	m.Priority = in.Priority
	m.PGID.PGID = object.DecodePGID(in.Decoder)
	m.Epoch = in.U32()
	m.Pushes = wire.ReadSlice(in.Decoder, recoveryMin, decodePushOp)
	m.Cost = in.U64()
	m.PGID.Shard = in.I8()
	m.From = osdmap.DecodePGShard(in.Decoder)
	m.Since = in.U32()
	if in.Version >= 4 {
		m.IsRepair = in.Bool()
	}
}

// OSDPGPull asks a member for objects (MOSDPGPull).
type OSDPGPull struct {
	PGHeader
	Priority uint16 // of the message; 0 for PrioRecovery
	Pulls    []PullOp
	Cost     uint64
	From     osdmap.PGShard
}

// Type returns MsgOSDPGPull.
func (*OSDPGPull) Type() uint16 { return MsgOSDPGPull }

// Encode implements [Body].
func (m *OSDPGPull) Encode(o *Out) {
	o.setPriority(m.Priority)
	m.PGID.PGID.Encode(o.Encoder)
	o.U32(m.Epoch)
	o.U32(uint32(len(m.Pulls)))
	for i := range m.Pulls {
		m.Pulls[i].encode(o.Encoder)
	}
	o.U64(m.Cost)
	o.I8(m.PGID.Shard)
	m.From.Encode(o.Encoder)
	o.U32(m.Since)
}

// Decode implements [Body].
func (m *OSDPGPull) Decode(in *In) {
	m.Priority = in.Priority
	m.PGID.PGID = object.DecodePGID(in.Decoder)
	m.Epoch = in.U32()
	m.Pulls = wire.ReadSlice(in.Decoder, recoveryMin, decodePullOp)
	m.Cost = in.U64()
	m.PGID.Shard = in.I8()
	m.From = osdmap.DecodePGShard(in.Decoder)
	m.Since = in.U32()
}

// OSDPGPushReply says that pieces are committed (MOSDPGPushReply). The objects
// are those of the pushes.
type OSDPGPushReply struct {
	PGHeader
	Priority uint16 // of the message; 0 for PrioRecovery
	Objects  []object.ID
	Cost     uint64
	From     osdmap.PGShard
}

// Type returns MsgOSDPGPushReply.
func (*OSDPGPushReply) Type() uint16 { return MsgOSDPGPushReply }

// Encode implements [Body].
func (m *OSDPGPushReply) Encode(o *Out) {
	o.setPriority(m.Priority)
	m.PGID.PGID.Encode(o.Encoder)
	o.U32(m.Epoch)
	wire.Slice(o.Encoder, m.Objects, func(e *wire.Encoder, id object.ID) {
		mark := e.Begin(1, 1) // PushReplyOp
		id.Encode(e)
		e.End(mark)
	})
	o.U64(m.Cost)
	o.I8(m.PGID.Shard)
	m.From.Encode(o.Encoder)
	o.U32(m.Since)
}

// Decode implements [Body].
func (m *OSDPGPushReply) Decode(in *In) {
	m.Priority = in.Priority
	m.PGID.PGID = object.DecodePGID(in.Decoder)
	m.Epoch = in.U32()
	m.Objects = wire.ReadSlice(in.Decoder, 6+objectIDMin, func(d *wire.Decoder) object.ID {
		s := d.Begin(1)
		id := object.DecodeID(d)
		d.End(s)
		return id
	})
	m.Cost = in.U64()
	m.PGID.Shard = in.I8()
	m.From = osdmap.DecodePGShard(in.Decoder)
	m.Since = in.U32()
}

// OSDPGRecoveryDelete asks a member to delete objects it should no longer have
// (MOSDPGRecoveryDelete).
type OSDPGRecoveryDelete struct {
	PGHeader
	Priority uint16 // of the message; 0 for PrioRecovery
	From     osdmap.PGShard
	Cost     uint64
	Objects  []ObjectVersion
}

// Type returns MsgOSDPGRecoveryDelete.
func (*OSDPGRecoveryDelete) Type() uint16 { return MsgOSDPGRecoveryDelete }

// Encode implements [Body].
func (m *OSDPGRecoveryDelete) Encode(o *Out) {
	o.setPriority(m.Priority)
	m.From.Encode(o.Encoder)
	m.PGID.Encode(o.Encoder)
	o.U32(m.Epoch)
	o.U32(m.Since)
	o.U64(m.Cost)
	wire.Slice(o.Encoder, m.Objects, putObjectVersion)
}

// Decode implements [Body].
func (m *OSDPGRecoveryDelete) Decode(in *In) {
	m.Priority = in.Priority
	m.From = osdmap.DecodePGShard(in.Decoder)
	m.PGID = object.DecodeSPGID(in.Decoder)
	m.Epoch, m.Since = in.U32(), in.U32()
	m.Cost = in.U64()
	m.Objects = wire.ReadSlice(in.Decoder, objectIDMin+12, getObjectVersion)
}

// OSDPGRecoveryDeleteReply says that those objects are deleted
// (MOSDPGRecoveryDeleteReply).
type OSDPGRecoveryDeleteReply struct {
	PGHeader
	Priority uint16 // of the message; 0 for PrioRecovery
	Objects  []ObjectVersion
	From     osdmap.PGShard
}

// Type returns MsgOSDPGRecoveryDeleteReply.
func (*OSDPGRecoveryDeleteReply) Type() uint16 { return MsgOSDPGRecoveryDeleteReply }

// Encode implements [Body].
func (m *OSDPGRecoveryDeleteReply) Encode(o *Out) {
	o.setPriority(m.Priority)
	m.PGID.PGID.Encode(o.Encoder)
	o.U32(m.Epoch)
	o.U32(m.Since)
	wire.Slice(o.Encoder, m.Objects, putObjectVersion)
	o.I8(m.PGID.Shard)
	m.From.Encode(o.Encoder)
}

// Decode implements [Body].
func (m *OSDPGRecoveryDeleteReply) Decode(in *In) {
	m.Priority = in.Priority
	m.PGID.PGID = object.DecodePGID(in.Decoder)
	m.Epoch, m.Since = in.U32(), in.U32()
	m.Objects = wire.ReadSlice(in.Decoder, objectIDMin+12, getObjectVersion)
	m.PGID.Shard = in.I8()
	m.From = osdmap.DecodePGShard(in.Decoder)
}

// RecoveryReserveType is what a [RecoveryReserve] says.
type RecoveryReserveType uint32

// The kinds of recovery reservations.
const (
	RecoveryRequest RecoveryReserveType = 0 // primary to replica
	RecoveryGrant   RecoveryReserveType = 1 // replica to primary
	RecoveryRelease RecoveryReserveType = 2 // primary to replica
	RecoveryRevoke  RecoveryReserveType = 3 // replica to primary: the grant is taken back
)

// RecoveryReserve is a step in reserving a slot for recovery (MRecoveryReserve).
type RecoveryReserve struct {
	PGHeader
	Op       RecoveryReserveType
	Priority uint32
}

// Type returns MsgOSDRecoveryReserve.
func (*RecoveryReserve) Type() uint16 { return MsgOSDRecoveryReserve }

// Encode implements [Body].
func (m *RecoveryReserve) Encode(o *Out) {
	m.PGID.PGID.Encode(o.Encoder)
	o.U32(m.Epoch)
	o.U32(uint32(m.Op))
	o.I8(m.PGID.Shard)
	o.U32(m.Priority)
}

// Decode implements [Body].
func (m *RecoveryReserve) Decode(in *In) {
	m.PGID.PGID = object.DecodePGID(in.Decoder)
	m.single(in.U32())
	m.Op = RecoveryReserveType(in.U32())
	m.PGID.Shard = in.I8()
	m.Priority = in.U32()
}
