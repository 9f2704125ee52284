package message

import (
	"sepiola/entity"
	"sepiola/object"
	"sepiola/pglog"
	"sepiola/wire"
)

var _ = register([]Entry{
	{MsgStatfs, "statfs", 2, 1, 1, PrioDefault, func() Body { return new(Statfs) }},
	{MsgStatfsReply, "statfs_reply", 1, 1, 1, PrioHigh, func() Body { return new(StatfsReply) }},
	{MsgGetPoolStats, "getpoolstats", 1, 1, 1, PrioDefault, func() Body { return new(GetPoolStats) }},
	{MsgGetPoolStatsReply, "getpoolstatsreply", 2, 1, 1, PrioHigh, func() Body { return new(GetPoolStatsReply) }},
	{MsgPoolOp, "poolop", 4, 2, 4, PrioDefault, func() Body { return new(PoolOp) }},
	{MsgPoolOpReply, "poolopreply", 1, 1, 1, PrioHigh, func() Body { return new(PoolOpReply) }},
})

// Statfs asks for the space of the cluster or of one pool (MStatfs).
type Statfs struct {
	TID uint64
	Paxos
	FSID     entity.UUID
	DataPool *int64 // nil for the whole cluster
}

// Type returns MsgStatfs.
func (*Statfs) Type() uint16 { return MsgStatfs }

// Encode implements [Body].
func (m *Statfs) Encode(o *Out) {
	o.TID = m.TID
	m.Paxos.encode(o.Encoder)
	m.FSID.Encode(o.Encoder)
	o.Bool(m.DataPool != nil)
	if m.DataPool != nil {
		o.I64(*m.DataPool)
	}
}

// Decode implements [Body].
func (m *Statfs) Decode(in *In) {
	m.TID = in.TID
	m.Paxos.decode(in.Decoder)
	m.FSID = entity.DecodeUUID(in.Decoder)
	if in.Version >= 2 && in.Bool() {
		pool := in.I64()
		m.DataPool = &pool
	}
}

// StatfsReply answers a [Statfs] (MStatfsReply).
type StatfsReply struct {
	TID               uint64
	FSID              entity.UUID
	Version           uint64 // of the statistics
	KB, UsedKB, AvlKB uint64 // KiB of raw space
	Objects           uint64
}

// Type returns MsgStatfsReply.
func (*StatfsReply) Type() uint16 { return MsgStatfsReply }

// Encode implements [Body].
func (m *StatfsReply) Encode(o *Out) {
	o.TID = m.TID
	m.FSID.Encode(o.Encoder)
	o.U64(m.Version)
	o.U64(m.KB)
	o.U64(m.UsedKB)
	o.U64(m.AvlKB)
	o.U64(m.Objects)
}

// Decode implements [Body].
func (m *StatfsReply) Decode(in *In) {
	m.TID = in.TID
	m.FSID = entity.DecodeUUID(in.Decoder)
	m.Version = in.U64()
	m.KB = in.U64()
	m.UsedKB = in.U64()
	m.AvlKB = in.U64()
	m.Objects = in.U64()
}

// GetPoolStats asks for the statistics of pools (MGetPoolStats).
type GetPoolStats struct {
	TID uint64
	Paxos
	FSID  entity.UUID
	Pools []string
}

// Type returns MsgGetPoolStats.
func (*GetPoolStats) Type() uint16 { return MsgGetPoolStats }

// Encode implements [Body].
func (m *GetPoolStats) Encode(o *Out) {
	o.TID = m.TID
	m.Paxos.encode(o.Encoder)
	m.FSID.Encode(o.Encoder)
	putStrings(o.Encoder, m.Pools)
}

// Decode implements [Body].
func (m *GetPoolStats) Decode(in *In) {
	m.TID = in.TID
	m.Paxos.decode(in.Decoder)
	m.FSID = entity.DecodeUUID(in.Decoder)
	m.Pools = getStrings(in.Decoder)
}

// GetPoolStatsReply answers a [GetPoolStats] (MGetPoolStatsReply). Pools that do
// not exist are left out.
type GetPoolStatsReply struct {
	TID uint64
	Paxos
	FSID  entity.UUID
	Stats map[string]pglog.PoolStat
	// PerPool says that the space used was measured per pool by every OSD.
	PerPool bool
}

// Type returns MsgGetPoolStatsReply.
func (*GetPoolStatsReply) Type() uint16 { return MsgGetPoolStatsReply }

// Encode implements [Body].
func (m *GetPoolStatsReply) Encode(o *Out) {
	o.TID = m.TID
	m.Paxos.encode(o.Encoder)
	m.FSID.Encode(o.Encoder)
	wire.Map(o.Encoder, m.Stats, wire.PutString, func(e *wire.Encoder, s pglog.PoolStat) { s.Encode(e) })
	o.Bool(m.PerPool)
}

// Decode implements [Body].
func (m *GetPoolStatsReply) Decode(in *In) {
	m.TID = in.TID
	m.Paxos.decode(in.Decoder)
	m.FSID = entity.DecodeUUID(in.Decoder)
	m.Stats = wire.ReadMap(in.Decoder, 10, wire.GetString, pglog.DecodePoolStat)
	if in.Version >= 2 {
		m.PerPool = in.Bool()
	}
}

// PoolOpCode says what a [PoolOp] does (POOL_OP_* in src/include/ceph_fs.h).
type PoolOpCode uint32

// The operations on pools.
const (
	PoolOpCreate              PoolOpCode = 0x01
	PoolOpDelete              PoolOpCode = 0x02
	PoolOpAUIDChange          PoolOpCode = 0x03 // obsolete
	PoolOpCreateSnap          PoolOpCode = 0x11
	PoolOpDeleteSnap          PoolOpCode = 0x12
	PoolOpCreateUnmanagedSnap PoolOpCode = 0x21
	PoolOpDeleteUnmanagedSnap PoolOpCode = 0x22
)

// String returns Ceph's name of the operation (ceph_pool_op_name).
func (c PoolOpCode) String() string {
	switch c {
	case PoolOpCreate:
		return "create"
	case PoolOpDelete:
		return "delete"
	case PoolOpAUIDChange:
		return "auid change"
	case PoolOpCreateSnap:
		return "create snap"
	case PoolOpDeleteSnap:
		return "delete snap"
	case PoolOpCreateUnmanagedSnap:
		return "create unmanaged snap"
	case PoolOpDeleteUnmanagedSnap:
		return "delete unmanaged snap"
	}
	return "???"
}

// PoolOp asks the monitors to create, delete or snapshot a pool (MPoolOp).
type PoolOp struct {
	TID uint64
	Paxos
	FSID      entity.UUID
	Pool      uint32
	Name      string // of the pool or the snapshot
	Op        PoolOpCode
	Snap      object.SnapID
	CrushRule int16 // of a new pool; -1 for the default
}

// Type returns MsgPoolOp.
func (*PoolOp) Type() uint16 { return MsgPoolOp }

// Encode implements [Body].
func (m *PoolOp) Encode(o *Out) {
	o.TID = m.TID
	m.Paxos.encode(o.Encoder)
	m.FSID.Encode(o.Encoder)
	o.U32(m.Pool)
	o.U32(uint32(m.Op))
	o.U64(0) // once the owner's id
	o.U64(uint64(m.Snap))
	o.String(m.Name)
	o.U8(0) // where the rule was a byte
	o.I16(m.CrushRule)
}

// Decode implements [Body].
func (m *PoolOp) Decode(in *In) {
	m.TID = in.TID
	m.Paxos.decode(in.Decoder)
	m.FSID = entity.DecodeUUID(in.Decoder)
	m.Pool = in.U32()
	m.Op = PoolOpCode(in.U32())
	in.Skip(8)
	m.Snap = object.SnapID(in.U64())
	m.Name = in.String()
	in.Skip(1)
	m.CrushRule = in.I16()
}

// PoolOpReply answers a [PoolOp] (MPoolOpReply).
type PoolOpReply struct {
	TID uint64
	Paxos
	FSID     entity.UUID
	Code     int32  // 0 or a negative errno
	Epoch    uint32 // of the OSD map that shows the change
	Response []byte // of creating an unmanaged snapshot: its id, 8 bytes
}

// Type returns MsgPoolOpReply.
func (*PoolOpReply) Type() uint16 { return MsgPoolOpReply }

// Encode implements [Body].
func (m *PoolOpReply) Encode(o *Out) {
	o.TID = m.TID
	m.Paxos.encode(o.Encoder)
	m.FSID.Encode(o.Encoder)
	o.I32(m.Code)
	o.U32(m.Epoch)
	o.Bool(len(m.Response) > 0)
	if len(m.Response) > 0 {
		o.Blob(m.Response)
	}
}

// Decode implements [Body].
func (m *PoolOpReply) Decode(in *In) {
	m.TID = in.TID
	m.Paxos.decode(in.Decoder)
	m.FSID = entity.DecodeUUID(in.Decoder)
	m.Code = in.I32()
	m.Epoch = in.U32()
	if in.Bool() {
		m.Response = in.Blob()
	}
}
