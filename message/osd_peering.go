package message

import (
	"sepiola/entity"
	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pglog"
	"sepiola/wire"
)

// Peering.
var _ = register([]Entry{
	{MsgOSDPGNotify, "PGnot", 7, 6, 7, PrioHigh, func() Body { return new(OSDPGNotify) }},
	{MsgOSDPGQuery, "pg_query", 4, 4, 4, PrioHigh, func() Body { return new(OSDPGQuery) }},
	{MsgOSDPGInfo, "pg_info", 6, 5, 6, PrioHigh, func() Body { return new(OSDPGInfo) }},
	{MsgOSDPGNotify2, "pg_notify2", 1, 1, 1, PrioHigh, func() Body { return new(OSDPGNotify2) }},
	{MsgOSDPGQuery2, "pg_query2", 1, 1, 1, PrioHigh, func() Body { return new(OSDPGQuery2) }},
	{MsgOSDPGInfo2, "pg_info2", 1, 1, 1, PrioHigh, func() Body { return new(OSDPGInfo2) }},
	{MsgOSDPGLog, "PGlog", 6, 5, 5, PrioHigh, func() Body { return new(OSDPGLog) }},
	{MsgOSDPGTrim, "pg_trim", 2, 2, 2, PrioDefault, func() Body { return new(OSDPGTrim) }},
	{MsgOSDPGRemove, "PGrm", 3, 3, 3, PrioDefault, func() Body { return new(OSDPGRemove) }},
	{MsgOSDPGLease, "pg_lease", 1, 1, 1, PrioDefault, func() Body { return new(OSDPGLease) }},
	{MsgOSDPGLeaseAck, "pg_lease_ack", 1, 1, 1, PrioDefault, func() Body { return new(OSDPGLeaseAck) }},
	{MsgOSDForceRecovery, "force_recovery", 2, 2, 2, PrioDefault, func() Body { return new(OSDForceRecovery) }},
})

// notifyMin is the least length of an encoded pg_notify_t in bytes.
const notifyMin = 100

// OSDPGNotify tells a primary of several PGs the sender has (MOSDPGNotify). Ceph
// 16 sends [OSDPGNotify2] to peers of its own age.
type OSDPGNotify struct {
	Epoch uint32
	PGs   []pglog.Notify
}

// Type returns MsgOSDPGNotify.
func (*OSDPGNotify) Type() uint16 { return MsgOSDPGNotify }

// Encode implements [Body].
func (m *OSDPGNotify) Encode(o *Out) {
	o.U32(m.Epoch)
	wire.Slice(o.Encoder, m.PGs, func(e *wire.Encoder, n pglog.Notify) { n.Encode(e) })
}

// Decode implements [Body].
func (m *OSDPGNotify) Decode(in *In) {
	m.Epoch = in.U32()
	m.PGs = wire.ReadSlice(in.Decoder, notifyMin, pglog.DecodeNotify)
}

// PGQueryItem asks about one PG.
type PGQueryItem struct {
	PGID  object.SPGID
	Query pglog.Query
}

// OSDPGQuery asks about several PGs (MOSDPGQuery). Ceph 16 sends [OSDPGQuery2] to
// peers of its own age.
type OSDPGQuery struct {
	Epoch uint32
	PGs   []PGQueryItem // in order of PG ids
}

// Type returns MsgOSDPGQuery.
func (*OSDPGQuery) Type() uint16 { return MsgOSDPGQuery }

// Encode implements [Body].
func (m *OSDPGQuery) Encode(o *Out) {
	o.U64(uint64(m.Epoch))
	wire.Slice(o.Encoder, m.PGs, func(e *wire.Encoder, q PGQueryItem) {
		q.PGID.Encode(e)
		q.Query.Encode(e)
	})
}

// Decode implements [Body].
func (m *OSDPGQuery) Decode(in *In) {
	epoch := in.U64()
	if epoch>>32 != 0 {
		in.Fail("epoch %d", epoch)
	}
	m.Epoch = uint32(epoch)
	m.PGs = wire.ReadSlice(in.Decoder, 24+80, func(d *wire.Decoder) PGQueryItem {
		return PGQueryItem{object.DecodeSPGID(d), pglog.DecodeQuery(d)}
	})
}

// OSDPGInfo brings the infos of several PGs (MOSDPGInfo). Ceph 16 sends
// [OSDPGInfo2] to peers of its own age.
type OSDPGInfo struct {
	Epoch uint32
	PGs   []pglog.Notify
}

// Type returns MsgOSDPGInfo.
func (*OSDPGInfo) Type() uint16 { return MsgOSDPGInfo }

// Encode implements [Body].
func (m *OSDPGInfo) Encode(o *Out) {
	o.U32(m.Epoch)
	wire.Slice(o.Encoder, m.PGs, func(e *wire.Encoder, n pglog.Notify) { n.Encode(e) })
}

// Decode implements [Body].
func (m *OSDPGInfo) Decode(in *In) {
	m.Epoch = in.U32()
	m.PGs = wire.ReadSlice(in.Decoder, notifyMin, pglog.DecodeNotify)
}

// OSDPGNotify2 tells a primary of the sender's copy of a PG (MOSDPGNotify2).
type OSDPGNotify2 struct {
	PGID   object.SPGID
	Notify pglog.Notify
}

// Type returns MsgOSDPGNotify2.
func (*OSDPGNotify2) Type() uint16 { return MsgOSDPGNotify2 }

// PG implements [PGMessage].
func (m *OSDPGNotify2) PG() object.SPGID { return m.PGID }

// MapEpoch implements [PGMessage].
func (m *OSDPGNotify2) MapEpoch() uint32 { return m.Notify.EpochSent }

// MinEpoch implements [PGMessage].
func (m *OSDPGNotify2) MinEpoch() uint32 { return m.Notify.QueryEpoch }

// Encode implements [Body].
func (m *OSDPGNotify2) Encode(o *Out) {
	m.PGID.Encode(o.Encoder)
	m.Notify.Encode(o.Encoder)
}

// Decode implements [Body].
func (m *OSDPGNotify2) Decode(in *In) {
	m.PGID = object.DecodeSPGID(in.Decoder)
	m.Notify = pglog.DecodeNotify(in.Decoder)
}

// OSDPGQuery2 asks a copy for its info, log or missing set (MOSDPGQuery2).
type OSDPGQuery2 struct {
	PGID  object.SPGID
	Query pglog.Query
}

// Type returns MsgOSDPGQuery2.
func (*OSDPGQuery2) Type() uint16 { return MsgOSDPGQuery2 }

// PG implements [PGMessage].
func (m *OSDPGQuery2) PG() object.SPGID { return m.PGID }

// MapEpoch implements [PGMessage].
func (m *OSDPGQuery2) MapEpoch() uint32 { return m.Query.EpochSent }

// MinEpoch implements [PGMessage].
func (m *OSDPGQuery2) MinEpoch() uint32 { return m.Query.EpochSent }

// Encode implements [Body].
func (m *OSDPGQuery2) Encode(o *Out) {
	m.PGID.Encode(o.Encoder)
	m.Query.Encode(o.Encoder)
}

// Decode implements [Body].
func (m *OSDPGQuery2) Decode(in *In) {
	m.PGID = object.DecodeSPGID(in.Decoder)
	m.Query = pglog.DecodeQuery(in.Decoder)
}

// OSDPGInfo2 brings the info of a PG to another member, with a lease or its
// acknowledgement (MOSDPGInfo2).
type OSDPGInfo2 struct {
	PGHeader
	Info     pglog.Info
	Lease    *pglog.Lease    // primary to replica; may be nil
	LeaseAck *pglog.LeaseAck // replica to primary; may be nil
}

// Type returns MsgOSDPGInfo2.
func (*OSDPGInfo2) Type() uint16 { return MsgOSDPGInfo2 }

// Encode implements [Body].
func (m *OSDPGInfo2) Encode(o *Out) {
	m.PGID.Encode(o.Encoder)
	o.U32(m.Epoch)
	o.U32(m.Since)
	m.Info.Encode(o.Encoder)
	putOptional(o.Encoder, m.Lease, (*pglog.Lease).Encode)
	putOptional(o.Encoder, m.LeaseAck, (*pglog.LeaseAck).Encode)
}

// Decode implements [Body].
func (m *OSDPGInfo2) Decode(in *In) {
	m.PGID = object.DecodeSPGID(in.Decoder)
	m.Epoch, m.Since = in.U32(), in.U32()
	m.Info = pglog.DecodeInfo(in.Decoder)
	m.Lease = getOptional(in.Decoder, pglog.DecodeLease)
	m.LeaseAck = getOptional(in.Decoder, pglog.DecodeLeaseAck)
}

// OSDPGLog brings the log of a PG, the authoritative one to a replica or a
// copy's to the primary (MOSDPGLog). The addressee is Info.PGID with shard To.
type OSDPGLog struct {
	Epoch         uint32
	QueryEpoch    uint32 // of the query answered, or Epoch
	Info          pglog.Info
	Log           pglog.Log
	Missing       *pglog.Missing // nil for an empty one
	PastIntervals osdmap.PastIntervals
	To, From      int8 // shards
	Lease         *pglog.Lease
}

// Type returns MsgOSDPGLog.
func (*OSDPGLog) Type() uint16 { return MsgOSDPGLog }

// PG implements [PGMessage].
func (m *OSDPGLog) PG() object.SPGID { return object.SPGID{PGID: m.Info.PGID.PGID, Shard: m.To} }

// MapEpoch implements [PGMessage].
func (m *OSDPGLog) MapEpoch() uint32 { return m.Epoch }

// MinEpoch implements [PGMessage].
func (m *OSDPGLog) MinEpoch() uint32 { return m.QueryEpoch }

// Encode implements [Body].
func (m *OSDPGLog) Encode(o *Out) {
	o.U32(m.Epoch)
	m.Info.Encode(o.Encoder)
	m.Log.Encode(o.Encoder)
	missing := m.Missing
	if missing == nil {
		missing = &pglog.Missing{}
	}
	missing.Encode(o.Encoder)
	o.U32(m.QueryEpoch)
	m.PastIntervals.Encode(o.Encoder)
	o.I8(m.To)
	o.I8(m.From)
	putOptional(o.Encoder, m.Lease, (*pglog.Lease).Encode)
}

// Decode implements [Body].
func (m *OSDPGLog) Decode(in *In) {
	m.Epoch = in.U32()
	m.Info = pglog.DecodeInfo(in.Decoder)
	m.Log = pglog.DecodeLog(in.Decoder)
	m.Missing = pglog.DecodeMissing(in.Decoder)
	m.QueryEpoch = in.U32()
	m.PastIntervals = osdmap.DecodePastIntervals(in.Decoder)
	m.To, m.From = in.I8(), in.I8()
	if in.Version >= 6 {
		m.Lease = getOptional(in.Decoder, pglog.DecodeLease)
	}
}

// OSDPGTrim asks a replica to trim its log (MOSDPGTrim).
type OSDPGTrim struct {
	PGHeader
	TrimTo pglog.Version
}

// Type returns MsgOSDPGTrim.
func (*OSDPGTrim) Type() uint16 { return MsgOSDPGTrim }

// Encode implements [Body].
func (m *OSDPGTrim) Encode(o *Out) {
	o.U32(m.Epoch)
	m.PGID.PGID.Encode(o.Encoder)
	m.TrimTo.Encode(o.Encoder)
	o.I8(m.PGID.Shard)
}

// Decode implements [Body].
func (m *OSDPGTrim) Decode(in *In) {
	m.single(in.U32())
	m.PGID.PGID = object.DecodePGID(in.Decoder)
	m.TrimTo = pglog.DecodeVersion(in.Decoder)
	m.PGID.Shard = in.I8()
}

// OSDPGRemove tells a stray that it may drop its copies of PGs (MOSDPGRemove).
type OSDPGRemove struct {
	Epoch uint32
	PGs   []object.SPGID
}

// Type returns MsgOSDPGRemove.
func (*OSDPGRemove) Type() uint16 { return MsgOSDPGRemove }

// Encode implements [Body].
func (m *OSDPGRemove) Encode(o *Out) {
	o.U32(m.Epoch)
	wire.Slice(o.Encoder, m.PGs, putSPGID)
}

// Decode implements [Body].
func (m *OSDPGRemove) Decode(in *In) {
	m.Epoch = in.U32()
	m.PGs = wire.ReadSlice(in.Decoder, 24, object.DecodeSPGID)
}

// OSDPGLease extends the time in which a PG's members answer reads
// (MOSDPGLease).
type OSDPGLease struct {
	PGHeader
	Lease pglog.Lease
}

// Type returns MsgOSDPGLease.
func (*OSDPGLease) Type() uint16 { return MsgOSDPGLease }

// Encode implements [Body].
func (m *OSDPGLease) Encode(o *Out) {
	o.U32(m.Epoch)
	m.PGID.Encode(o.Encoder)
	m.Lease.Encode(o.Encoder)
}

// Decode implements [Body].
func (m *OSDPGLease) Decode(in *In) {
	m.single(in.U32())
	m.PGID = object.DecodeSPGID(in.Decoder)
	m.Lease = pglog.DecodeLease(in.Decoder)
}

// OSDPGLeaseAck acknowledges a lease (MOSDPGLeaseAck).
type OSDPGLeaseAck struct {
	PGHeader
	Ack pglog.LeaseAck
}

// Type returns MsgOSDPGLeaseAck.
func (*OSDPGLeaseAck) Type() uint16 { return MsgOSDPGLeaseAck }

// Encode implements [Body].
func (m *OSDPGLeaseAck) Encode(o *Out) {
	o.U32(m.Epoch)
	m.PGID.Encode(o.Encoder)
	m.Ack.Encode(o.Encoder)
}

// Decode implements [Body].
func (m *OSDPGLeaseAck) Decode(in *In) {
	m.single(in.U32())
	m.PGID = object.DecodeSPGID(in.Decoder)
	m.Ack = pglog.DecodeLeaseAck(in.Decoder)
}

// Options of [OSDForceRecovery].
const (
	ForceRecovery uint8 = 1
	ForceBackfill uint8 = 2
	ForceCancel   uint8 = 4 // undo the others
)

// OSDForceRecovery puts the recovery of PGs before that of others
// (MOSDForceRecovery).
type OSDForceRecovery struct {
	FSID    entity.UUID
	PGs     []object.SPGID
	Options uint8
}

// Type returns MsgOSDForceRecovery.
func (*OSDForceRecovery) Type() uint16 { return MsgOSDForceRecovery }

// Encode implements [Body].
func (m *OSDForceRecovery) Encode(o *Out) {
	m.FSID.Encode(o.Encoder)
	wire.Slice(o.Encoder, m.PGs, putSPGID)
	o.U8(m.Options)
}

// Decode implements [Body].
func (m *OSDForceRecovery) Decode(in *In) {
	m.FSID = entity.DecodeUUID(in.Decoder)
	m.PGs = wire.ReadSlice(in.Decoder, 24, object.DecodeSPGID)
	m.Options = in.U8()
}
