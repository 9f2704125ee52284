package message

import (
	"sepiola/entity"
	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pglog"
	"sepiola/wire"
)

// Scrubbing.
var _ = register([]Entry{
	{MsgOSDScrub2, "scrub2", 1, 1, 1, PrioDefault, func() Body { return new(OSDScrub2) }},
	{MsgOSDScrubReserve, "MOSDScrubReserve", 1, 1, 1, PrioDefault, func() Body { return new(OSDScrubReserve) }},
	{MsgOSDRepScrub, "replica scrub", 9, 6, 9, PrioDefault, func() Body { return new(OSDRepScrub) }},
	{MsgOSDRepScrubMap, "rep_scrubmap", 2, 1, 2, PrioDefault, func() Body { return new(OSDRepScrubMap) }},
})

// OSDScrub2 asks an OSD to scrub PGs it is primary of (MOSDScrub2).
type OSDScrub2 struct {
	FSID         entity.UUID
	Epoch        uint32
	PGs          []object.SPGID
	Repair, Deep bool
}

// Type returns MsgOSDScrub2.
func (*OSDScrub2) Type() uint16 { return MsgOSDScrub2 }

// Encode implements [Body].
func (m *OSDScrub2) Encode(o *Out) {
	m.FSID.Encode(o.Encoder)
	o.U32(m.Epoch)
	wire.Slice(o.Encoder, m.PGs, putSPGID)
	o.Bool(m.Repair)
	o.Bool(m.Deep)
}

// Decode implements [Body].
func (m *OSDScrub2) Decode(in *In) {
	m.FSID = entity.DecodeUUID(in.Decoder)
	m.Epoch = in.U32()
	m.PGs = wire.ReadSlice(in.Decoder, 24, object.DecodeSPGID)
	m.Repair, m.Deep = in.Bool(), in.Bool()
}

// ScrubReserveType is what an [OSDScrubReserve] says.
type ScrubReserveType int32

// The kinds of scrub reservations.
const (
	ScrubRequest ScrubReserveType = 0
	ScrubGrant   ScrubReserveType = 1
	ScrubRelease ScrubReserveType = 2
	ScrubReject  ScrubReserveType = 3
)

// OSDScrubReserve is a step in reserving a slot for scrubbing (MOSDScrubReserve).
type OSDScrubReserve struct {
	PGHeader
	Op   ScrubReserveType
	From osdmap.PGShard
}

// Type returns MsgOSDScrubReserve.
func (*OSDScrubReserve) Type() uint16 { return MsgOSDScrubReserve }

// Encode implements [Body].
func (m *OSDScrubReserve) Encode(o *Out) {
	m.PGID.Encode(o.Encoder)
	o.U32(m.Epoch)
	o.I32(int32(m.Op))
	m.From.Encode(o.Encoder)
}

// Decode implements [Body].
func (m *OSDScrubReserve) Decode(in *In) {
	m.PGID = object.DecodeSPGID(in.Decoder)
	m.single(in.U32())
	m.Op = ScrubReserveType(in.I32())
	m.From = osdmap.DecodePGShard(in.Decoder)
}

// OSDRepScrub asks a replica to describe its objects in [Start, End)
// (MOSDRepScrub).
type OSDRepScrub struct {
	PGHeader
	ScrubFrom, ScrubTo pglog.Version // only entries after, and up to
	Chunky             bool          // always so today
	Start, End         object.ID
	Deep               bool
	AllowPreemption    bool
	Priority           int32
	HighPriority       bool
}

// Type returns MsgOSDRepScrub.
func (*OSDRepScrub) Type() uint16 { return MsgOSDRepScrub }

// Encode implements [Body].
func (m *OSDRepScrub) Encode(o *Out) {
	m.PGID.PGID.Encode(o.Encoder)
	m.ScrubFrom.Encode(o.Encoder)
	m.ScrubTo.Encode(o.Encoder)
	o.U32(m.Epoch)
	o.Bool(m.Chunky)
	m.Start.Encode(o.Encoder)
	m.End.Encode(o.Encoder)
	o.Bool(m.Deep)
	o.I8(m.PGID.Shard)
	o.U32(0xffffffff) // seed of the checksums
	o.U32(m.Since)
	o.Bool(m.AllowPreemption)
	o.I32(m.Priority)
	o.Bool(m.HighPriority)
}

// Decode implements [Body].
func (m *OSDRepScrub) Decode(in *In) {
	m.PGID.PGID = object.DecodePGID(in.Decoder)
	m.ScrubFrom, m.ScrubTo = pglog.DecodeVersion(in.Decoder), pglog.DecodeVersion(in.Decoder)
	m.Epoch = in.U32()
	m.Chunky = in.Bool()
	m.Start, m.End = object.DecodeID(in.Decoder), object.DecodeID(in.Decoder)
	m.Deep = in.Bool()
	m.PGID.Shard = in.I8()
	in.Skip(4)
	m.Since = in.U32()
	m.AllowPreemption = in.Bool()
	m.Priority = in.I32()
	m.HighPriority = in.Bool()
}

// OSDRepScrubMap brings a replica's description of its objects
// (MOSDRepScrubMap).
type OSDRepScrubMap struct {
	PGHeader
	From      osdmap.PGShard
	Preempted bool
	Map       wire.Buf // an encoded ScrubMap
}

// Type returns MsgOSDRepScrubMap.
func (*OSDRepScrubMap) Type() uint16 { return MsgOSDRepScrubMap }

// Encode implements [Body].
func (m *OSDRepScrubMap) Encode(o *Out) {
	m.PGID.Encode(o.Encoder)
	o.U32(m.Epoch)
	m.From.Encode(o.Encoder)
	o.Bool(m.Preempted)
	o.Data = m.Map
}

// Decode implements [Body].
func (m *OSDRepScrubMap) Decode(in *In) {
	m.PGID = object.DecodeSPGID(in.Decoder)
	m.single(in.U32())
	m.From = osdmap.DecodePGShard(in.Decoder)
	m.Preempted = in.Bool()
	m.Map = in.Data
}
