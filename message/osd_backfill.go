package message

import (
	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pglog"
	"sepiola/wire"
)

// Backfill.
var _ = register([]Entry{
	{MsgOSDPGScan, "pg_scan", 2, 2, 2, PrioDefault, func() Body { return new(OSDPGScan) }},
	{MsgOSDPGBackfill, "pg_backfill", 3, 3, 3, PrioDefault, func() Body { return new(OSDPGBackfill) }},
	{MsgOSDPGBackfillRemove, "backfill_remove", 1, 1, 1, PrioDefault, func() Body { return new(OSDPGBackfillRemove) }},
	{MsgOSDBackfillReserve, "MBackfillReserve", 5, 4, 4, PrioDefault, func() Body { return new(BackfillReserve) }},
})

// ScanOp is what an [OSDPGScan] does.
type ScanOp uint32

// The kinds of scans.
const (
	ScanGetDigest ScanOp = 1 // asks for objects and versions
	ScanDigest    ScanOp = 2 // the answer; see [EncodeScanDigest]
)

// OSDPGScan asks for the objects of a copy from Begin on, or lists those in
// [Begin, End) (MOSDPGScan).
type OSDPGScan struct {
	PGHeader
	Op         ScanOp
	From       osdmap.PGShard
	Begin, End object.ID
	Digest     wire.Buf // ScanDigest: see [EncodeScanDigest]
}

// Type returns MsgOSDPGScan.
func (*OSDPGScan) Type() uint16 { return MsgOSDPGScan }

// Encode implements [Body].
func (m *OSDPGScan) Encode(o *Out) {
	o.U32(uint32(m.Op))
	o.U32(m.Epoch)
	o.U32(m.Since)
	m.PGID.PGID.Encode(o.Encoder)
	m.Begin.Encode(o.Encoder)
	m.End.Encode(o.Encoder)
	m.From.Encode(o.Encoder)
	o.I8(m.PGID.Shard)
	o.Data = m.Digest
}

// Decode implements [Body].
func (m *OSDPGScan) Decode(in *In) {
	m.Op = ScanOp(in.U32())
	m.Epoch, m.Since = in.U32(), in.U32()
	m.PGID.PGID = object.DecodePGID(in.Decoder)
	m.Begin, m.End = object.DecodeID(in.Decoder), object.DecodeID(in.Decoder)
	m.From = osdmap.DecodePGShard(in.Decoder)
	m.PGID.Shard = in.I8()
	m.Digest = in.Data
}

// EncodeScanDigest makes the list of a [ScanDigest]: the objects, in order, with
// their versions.
func EncodeScanDigest(objects []ObjectVersion) wire.Buf {
	e := wire.NewEncoder(4 + 80*len(objects))
	wire.Slice(e, objects, putObjectVersion)
	return wire.BufOf(e.Bytes())
}

// DecodeScanDigest reads what [EncodeScanDigest] made.
func DecodeScanDigest(b wire.Buf) ([]ObjectVersion, error) {
	d := wire.NewDecoder(b.Flat())
	out := wire.ReadSlice(d, objectIDMin+12, getObjectVersion)
	return out, d.Finish()
}

// BackfillOp is what an [OSDPGBackfill] says.
type BackfillOp uint32

// The kinds of progress.
const (
	BackfillProgress  BackfillOp = 2
	BackfillFinish    BackfillOp = 3
	BackfillFinishAck BackfillOp = 4
)

// OSDPGBackfill moves last_backfill of a copy on (MOSDPGBackfill).
type OSDPGBackfill struct {
	PGHeader
	Priority     uint16 // of the message; 0 for PrioDefault
	Op           BackfillOp
	LastBackfill object.ID
	Stats        pglog.Stats
}

// Type returns MsgOSDPGBackfill.
func (*OSDPGBackfill) Type() uint16 { return MsgOSDPGBackfill }

// Encode implements [Body].
func (m *OSDPGBackfill) Encode(o *Out) {
	o.setPriority(m.Priority)
	o.U32(uint32(m.Op))
	o.U32(m.Epoch)
	o.U32(m.Since)
	m.PGID.PGID.Encode(o.Encoder)
	m.LastBackfill.Encode(o.Encoder)
	m.Stats.Stats.Encode(o.Encoder) // for the first version
	m.Stats.Encode(o.Encoder)
	o.I8(m.PGID.Shard)
}

// Decode implements [Body].
func (m *OSDPGBackfill) Decode(in *In) {
	m.Priority = in.Priority
	m.Op = BackfillOp(in.U32())
	m.Epoch, m.Since = in.U32(), in.U32()
	m.PGID.PGID = object.DecodePGID(in.Decoder)
	m.LastBackfill = object.DecodeID(in.Decoder)
	pglog.DecodeObjectStatCollection(in.Decoder)
	m.Stats = pglog.DecodeStats(in.Decoder)
	m.PGID.Shard = in.I8()
}

// OSDPGBackfillRemove tells a copy which objects it has too many
// (MOSDPGBackfillRemove).
type OSDPGBackfillRemove struct {
	PGHeader
	Objects []ObjectVersion
}

// Type returns MsgOSDPGBackfillRemove.
func (*OSDPGBackfillRemove) Type() uint16 { return MsgOSDPGBackfillRemove }

// Encode implements [Body].
func (m *OSDPGBackfillRemove) Encode(o *Out) {
	m.PGID.Encode(o.Encoder)
	o.U32(m.Epoch)
	wire.Slice(o.Encoder, m.Objects, putObjectVersion)
}

// Decode implements [Body].
func (m *OSDPGBackfillRemove) Decode(in *In) {
	m.PGID = object.DecodeSPGID(in.Decoder)
	m.single(in.U32())
	m.Objects = wire.ReadSlice(in.Decoder, objectIDMin+12, getObjectVersion)
}

// BackfillReserveType is what a [BackfillReserve] says.
type BackfillReserveType uint32

// The kinds of backfill reservations.
const (
	BackfillRequest       BackfillReserveType = 0 // primary to replica
	BackfillGrant         BackfillReserveType = 1 // replica to primary
	BackfillRejectTooFull BackfillReserveType = 2 // replica to primary
	BackfillRelease       BackfillReserveType = 3 // primary to replica
	BackfillRevokeTooFull BackfillReserveType = 4 // replica to primary: stop
	BackfillRevoke        BackfillReserveType = 5 // replica to primary: the grant is taken back
)

// BackfillReserve is a step in reserving a slot for backfill
// (MBackfillReserve).
type BackfillReserve struct {
	PGHeader
	Op              BackfillReserveType
	Priority        uint32
	PrimaryNumBytes int64 // what the primary has of the PG
	ShardNumBytes   int64 // what the replica has of it
}

// Type returns MsgOSDBackfillReserve.
func (*BackfillReserve) Type() uint16 { return MsgOSDBackfillReserve }

// Encode implements [Body].
func (m *BackfillReserve) Encode(o *Out) {
	m.PGID.PGID.Encode(o.Encoder)
	o.U32(m.Epoch)
	o.U32(uint32(m.Op))
	o.U32(m.Priority)
	o.I8(m.PGID.Shard)
	o.I64(m.PrimaryNumBytes)
	o.I64(m.ShardNumBytes)
}

// Decode implements [Body].
func (m *BackfillReserve) Decode(in *In) {
	m.PGID.PGID = object.DecodePGID(in.Decoder)
	m.single(in.U32())
	m.Op = BackfillReserveType(in.U32())
	m.Priority = in.U32()
	m.PGID.Shard = in.I8()
	if in.Version >= 5 {
		m.PrimaryNumBytes, m.ShardNumBytes = in.I64(), in.I64()
	}
}
