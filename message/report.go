package message

import (
	"time"

	"sepiola/entity"
	"sepiola/object"
	"sepiola/pglog"
	"sepiola/wire"
)

// The conversation between OSDs and monitors.
var _ = register([]Entry{
	{MsgOSDBoot, "osd_boot", 7, 7, 7, PrioDefault, func() Body { return new(OSDBoot) }},
	{MsgOSDAlive, "osd_alive", 1, 1, 1, PrioDefault, func() Body { return new(OSDAlive) }},
	{MsgOSDFailure, "osd_failure", 4, 4, 4, PrioDefault, func() Body { return new(OSDFailure) }},
	{MsgOSDPGTemp, "osd_pgtemp", 2, 1, 1, PrioDefault, func() Body { return new(OSDPGTemp) }},
	{MsgOSDBeacon, "osd_beacon", 3, 1, 1, PrioDefault, func() Body { return new(OSDBeacon) }},
	{MsgOSDMarkMeDown, "MOSDMarkMeDown", 4, 3, 3, PrioDefault, func() Body { return new(OSDMarkMeDown) }},
	{MsgOSDMarkMeDead, "MOSDMarkMeDead", 1, 1, 1, PrioDefault, func() Body { return new(OSDMarkMeDead) }},
	{MsgOSDFull, "osd_full", 1, 1, 1, PrioDefault, func() Body { return new(OSDFull) }},
	{MsgOSDPGCreated, "pg_created", 1, 1, 1, PrioDefault, func() Body { return new(OSDPGCreated) }},
	{MsgOSDPGReadyMerge, "osd_pg_ready_to_merge", 1, 1, 1, PrioDefault, func() Body { return new(OSDPGReadyToMerge) }},
	{MsgRemoveSnaps, "remove_snaps", 1, 1, 1, PrioDefault, func() Body { return new(RemoveSnaps) }},
	{MsgMonGetPurgedSnaps, "mon_get_purged_snaps", 1, 1, 1, PrioDefault, func() Body { return new(MonGetPurgedSnaps) }},
	{MsgMonGetPurgedSnapsReply, "mon_get_purged_snaps_reply", 1, 1, 1, PrioHigh, func() Body { return new(MonGetPurgedSnapsReply) }},
})

// OSDBoot announces an OSD that is ready (MOSDBoot).
type OSDBoot struct {
	Paxos
	Superblock OSDSuperblock
	// HBBackAddrs and HBFrontAddrs are where it answers heartbeats on the
	// cluster's and the public network.
	HBBackAddrs, HBFrontAddrs entity.AddrVec
	ClusterAddrs              entity.AddrVec
	BootEpoch                 uint32 // the last epoch at which it was up; 0 if never
	Metadata                  map[string]string
	Features                  uint64
}

// Type returns MsgOSDBoot.
func (*OSDBoot) Type() uint16 { return MsgOSDBoot }

// Encode implements [Body].
func (m *OSDBoot) Encode(o *Out) {
	m.Paxos.encode(o.Encoder)
	m.Superblock.Encode(o.Encoder)
	m.HBBackAddrs.Encode(o.Encoder)
	m.ClusterAddrs.Encode(o.Encoder)
	o.U32(m.BootEpoch)
	m.HBFrontAddrs.Encode(o.Encoder)
	putStringMap(o.Encoder, m.Metadata)
	o.U64(m.Features)
}

// Decode implements [Body].
func (m *OSDBoot) Decode(in *In) {
	m.Paxos.decode(in.Decoder)
	m.Superblock = DecodeOSDSuperblock(in.Decoder)
	m.HBBackAddrs = entity.DecodeAddrVec(in.Decoder)
	m.ClusterAddrs = entity.DecodeAddrVec(in.Decoder)
	m.BootEpoch = in.U32()
	m.HBFrontAddrs = entity.DecodeAddrVec(in.Decoder)
	m.Metadata = getStringMap(in.Decoder)
	m.Features = in.U64()
}

// OSDAlive asks for the sender's up_thru to reach an epoch (MOSDAlive).
type OSDAlive struct {
	Paxos
	Want uint32
}

// Type returns MsgOSDAlive.
func (*OSDAlive) Type() uint16 { return MsgOSDAlive }

// Encode implements [Body].
func (m *OSDAlive) Encode(o *Out) {
	m.Paxos.encode(o.Encoder)
	o.U32(m.Want)
}

// Decode implements [Body].
func (m *OSDAlive) Decode(in *In) {
	m.Paxos.decode(in.Decoder)
	m.Want = in.U32()
}

// Flags of [OSDFailure].
const (
	FailureAlive     uint8 = 0 // takes an earlier report back
	FailureFailed    uint8 = 1
	FailureImmediate uint8 = 2 // known to be gone: its host refuses connections
)

// OSDFailure reports a peer that does not answer (MOSDFailure).
type OSDFailure struct {
	Paxos
	FSID        entity.UUID
	Target      int32
	TargetAddrs entity.AddrVec
	Flags       uint8
	Epoch       uint32 // of the reporter's map
	FailedFor   int32  // seconds without an answer
}

// Type returns MsgOSDFailure.
func (*OSDFailure) Type() uint16 { return MsgOSDFailure }

// Encode implements [Body].
func (m *OSDFailure) Encode(o *Out) {
	m.Paxos.encode(o.Encoder)
	m.FSID.Encode(o.Encoder)
	o.I32(m.Target)
	m.TargetAddrs.Encode(o.Encoder)
	o.U32(m.Epoch)
	o.U8(m.Flags)
	o.I32(m.FailedFor)
}

// Decode implements [Body].
func (m *OSDFailure) Decode(in *In) {
	m.Paxos.decode(in.Decoder)
	m.FSID = entity.DecodeUUID(in.Decoder)
	m.Target = in.I32()
	m.TargetAddrs = entity.DecodeAddrVec(in.Decoder)
	m.Epoch = in.U32()
	m.Flags = in.U8()
	m.FailedFor = in.I32()
}

// PGTempEntry asks for one PG to be served by the OSDs named; none ends that.
type PGTempEntry struct {
	PGID object.PGID
	OSDs []int32
}

// OSDPGTemp asks for temporary acting sets (MOSDPGTemp).
type OSDPGTemp struct {
	Paxos
	Epoch  uint32
	PGTemp []PGTempEntry // in order of PG ids
	Forced bool          // not to be refused because the up set is the same
}

// Type returns MsgOSDPGTemp.
func (*OSDPGTemp) Type() uint16 { return MsgOSDPGTemp }

// Encode implements [Body].
func (m *OSDPGTemp) Encode(o *Out) {
	m.Paxos.encode(o.Encoder)
	o.U32(m.Epoch)
	wire.Slice(o.Encoder, m.PGTemp, func(e *wire.Encoder, t PGTempEntry) {
		t.PGID.Encode(e)
		wire.Slice(e, t.OSDs, wire.PutI32)
	})
	o.Bool(m.Forced)
}

// Decode implements [Body].
func (m *OSDPGTemp) Decode(in *In) {
	m.Paxos.decode(in.Decoder)
	m.Epoch = in.U32()
	m.PGTemp = wire.ReadSlice(in.Decoder, 21, func(d *wire.Decoder) PGTempEntry {
		return PGTempEntry{object.DecodePGID(d), wire.ReadSlice(d, 4, wire.GetI32)}
	})
	if in.Version >= 2 {
		m.Forced = in.Bool()
	}
}

// OSDBeacon says now and then that the sender lives (MOSDBeacon). Paxos.Have is
// its map epoch.
type OSDBeacon struct {
	Paxos
	PGs                  []object.PGID // those it is primary of
	MinLastEpochClean    uint32
	LastPurgedSnapsScrub time.Time
	ReportInterval       int32 // seconds
}

// Type returns MsgOSDBeacon.
func (*OSDBeacon) Type() uint16 { return MsgOSDBeacon }

// Encode implements [Body].
func (m *OSDBeacon) Encode(o *Out) {
	m.Paxos.encode(o.Encoder)
	wire.Slice(o.Encoder, m.PGs, putPGID)
	o.U32(m.MinLastEpochClean)
	o.Time(m.LastPurgedSnapsScrub)
	o.I32(m.ReportInterval)
}

// Decode implements [Body].
func (m *OSDBeacon) Decode(in *In) {
	m.Paxos.decode(in.Decoder)
	m.PGs = wire.ReadSlice(in.Decoder, 17, object.DecodePGID)
	m.MinLastEpochClean = in.U32()
	if in.Version >= 2 {
		m.LastPurgedSnapsScrub = in.Time()
	}
	if in.Version >= 3 {
		m.ReportInterval = in.I32()
	}
}

func putPGID(e *wire.Encoder, p object.PGID) { p.Encode(e) }

// OSDMarkMeDown asks for the sender to be marked down, or acknowledges that
// (MOSDMarkMeDown).
type OSDMarkMeDown struct {
	Priority uint16 // 0 means the default; monitors use PrioHigh
	Paxos
	FSID        entity.UUID
	Target      int32
	TargetAddrs entity.AddrVec
	Epoch       uint32
	RequestAck  bool
	// Dead says that the sender also stops for good (down_and_dead, since
	// 16.2.8).
	Dead bool
}

// Type returns MsgOSDMarkMeDown.
func (*OSDMarkMeDown) Type() uint16 { return MsgOSDMarkMeDown }

// Encode implements [Body].
func (m *OSDMarkMeDown) Encode(o *Out) {
	o.setPriority(m.Priority)
	m.Paxos.encode(o.Encoder)
	m.FSID.Encode(o.Encoder)
	o.I32(m.Target)
	m.TargetAddrs.Encode(o.Encoder)
	o.U32(m.Epoch)
	o.Bool(m.RequestAck)
	o.Bool(m.Dead)
}

// Decode implements [Body].
func (m *OSDMarkMeDown) Decode(in *In) {
	m.Priority = in.Priority
	m.Paxos.decode(in.Decoder)
	m.FSID = entity.DecodeUUID(in.Decoder)
	m.Target = in.I32()
	m.TargetAddrs = entity.DecodeAddrVec(in.Decoder)
	m.Epoch = in.U32()
	m.RequestAck = in.Bool()
	if in.Version >= 4 {
		m.Dead = in.Bool()
	}
}

// OSDMarkMeDead tells that the sender has stopped for good at an epoch
// (MOSDMarkMeDead).
type OSDMarkMeDead struct {
	Paxos
	FSID   entity.UUID
	Target int32
	Epoch  uint32
}

// Type returns MsgOSDMarkMeDead.
func (*OSDMarkMeDead) Type() uint16 { return MsgOSDMarkMeDead }

// Encode implements [Body].
func (m *OSDMarkMeDead) Encode(o *Out) {
	m.Paxos.encode(o.Encoder)
	m.FSID.Encode(o.Encoder)
	o.I32(m.Target)
	o.U32(m.Epoch)
}

// Decode implements [Body].
func (m *OSDMarkMeDead) Decode(in *In) {
	m.Paxos.decode(in.Decoder)
	m.FSID = entity.DecodeUUID(in.Decoder)
	m.Target = in.I32()
	m.Epoch = in.U32()
}

// OSDFull tells that the sender is or is no longer full (MOSDFull).
type OSDFull struct {
	Paxos
	Epoch uint32
	State uint32 // CEPH_OSD_FULL, _NEARFULL, _BACKFILLFULL bits of the map's OSD state
}

// Type returns MsgOSDFull.
func (*OSDFull) Type() uint16 { return MsgOSDFull }

// Encode implements [Body].
func (m *OSDFull) Encode(o *Out) {
	m.Paxos.encode(o.Encoder)
	o.U32(m.Epoch)
	o.U32(m.State)
}

// Decode implements [Body].
func (m *OSDFull) Decode(in *In) {
	m.Paxos.decode(in.Decoder)
	m.Epoch = in.U32()
	m.State = in.U32()
}

// OSDPGCreated tells that a new PG has peered (MOSDPGCreated).
type OSDPGCreated struct {
	Paxos
	PGID object.PGID
}

// Type returns MsgOSDPGCreated.
func (*OSDPGCreated) Type() uint16 { return MsgOSDPGCreated }

// Encode implements [Body].
func (m *OSDPGCreated) Encode(o *Out) {
	m.Paxos.encode(o.Encoder)
	m.PGID.Encode(o.Encoder)
}

// Decode implements [Body].
func (m *OSDPGCreated) Decode(in *In) {
	m.Paxos.decode(in.Decoder)
	m.PGID = object.DecodePGID(in.Decoder)
}

// OSDPGReadyToMerge tells that a PG may be merged (MOSDPGReadyToMerge).
type OSDPGReadyToMerge struct {
	Paxos
	PGID                         object.PGID
	SourceVersion, TargetVersion pglog.Version
	LastEpochStarted             uint32
	LastEpochClean               uint32
	Ready                        bool
}

// Type returns MsgOSDPGReadyMerge.
func (*OSDPGReadyToMerge) Type() uint16 { return MsgOSDPGReadyMerge }

// Encode implements [Body].
func (m *OSDPGReadyToMerge) Encode(o *Out) {
	m.Paxos.encode(o.Encoder)
	m.PGID.Encode(o.Encoder)
	m.SourceVersion.Encode(o.Encoder)
	m.TargetVersion.Encode(o.Encoder)
	o.U32(m.LastEpochStarted)
	o.U32(m.LastEpochClean)
	o.Bool(m.Ready)
}

// Decode implements [Body].
func (m *OSDPGReadyToMerge) Decode(in *In) {
	m.Paxos.decode(in.Decoder)
	m.PGID = object.DecodePGID(in.Decoder)
	m.SourceVersion = pglog.DecodeVersion(in.Decoder)
	m.TargetVersion = pglog.DecodeVersion(in.Decoder)
	m.LastEpochStarted = in.U32()
	m.LastEpochClean = in.U32()
	m.Ready = in.Bool()
}

// RemoveSnaps asks for snapshots of pools to be removed (MRemoveSnaps).
type RemoveSnaps struct {
	Paxos
	Snaps map[int32][]object.SnapID // by pool
}

// Type returns MsgRemoveSnaps.
func (*RemoveSnaps) Type() uint16 { return MsgRemoveSnaps }

// Encode implements [Body].
func (m *RemoveSnaps) Encode(o *Out) {
	m.Paxos.encode(o.Encoder)
	wire.Map(o.Encoder, m.Snaps, wire.PutI32, func(e *wire.Encoder, s []object.SnapID) { wire.Slice(e, s, putSnap) })
}

// Decode implements [Body].
func (m *RemoveSnaps) Decode(in *In) {
	m.Paxos.decode(in.Decoder)
	m.Snaps = wire.ReadMap(in.Decoder, 8, wire.GetI32,
		func(d *wire.Decoder) []object.SnapID { return wire.ReadSlice(d, 8, getSnap) })
}

// MonGetPurgedSnaps asks which snapshots were purged in a range of epochs
// (MMonGetPurgedSnaps).
type MonGetPurgedSnaps struct {
	Paxos
	Start, Last uint32
}

// Type returns MsgMonGetPurgedSnaps.
func (*MonGetPurgedSnaps) Type() uint16 { return MsgMonGetPurgedSnaps }

// Encode implements [Body].
func (m *MonGetPurgedSnaps) Encode(o *Out) {
	m.Paxos.encode(o.Encoder)
	o.U32(m.Start)
	o.U32(m.Last)
}

// Decode implements [Body].
func (m *MonGetPurgedSnaps) Decode(in *In) {
	m.Paxos.decode(in.Decoder)
	m.Start = in.U32()
	m.Last = in.U32()
}

// MonGetPurgedSnapsReply answers a [MonGetPurgedSnaps]
// (MMonGetPurgedSnapsReply).
type MonGetPurgedSnapsReply struct {
	Paxos
	Start, Last uint32
	// Purged holds, by epoch and pool, the snapshots purged.
	Purged map[uint32]map[int64]pglog.IntervalSet
}

// Type returns MsgMonGetPurgedSnapsReply.
func (*MonGetPurgedSnapsReply) Type() uint16 { return MsgMonGetPurgedSnapsReply }

// Encode implements [Body].
func (m *MonGetPurgedSnapsReply) Encode(o *Out) {
	m.Paxos.encode(o.Encoder)
	o.U32(m.Start)
	o.U32(m.Last)
	wire.Map(o.Encoder, m.Purged, wire.PutU32, func(e *wire.Encoder, pools map[int64]pglog.IntervalSet) {
		wire.Map(e, pools, wire.PutI64, func(e *wire.Encoder, s pglog.IntervalSet) { s.Encode(e) })
	})
}

// Decode implements [Body].
func (m *MonGetPurgedSnapsReply) Decode(in *In) {
	m.Paxos.decode(in.Decoder)
	m.Start = in.U32()
	m.Last = in.U32()
	m.Purged = wire.ReadMap(in.Decoder, 8, wire.GetU32, func(d *wire.Decoder) map[int64]pglog.IntervalSet {
		return wire.ReadMap(d, 12, wire.GetI64, pglog.DecodeIntervalSet)
	})
}
