package message

import (
	"time"

	"sepiola/entity"
	"sepiola/wire"
)

// OSDSuperblock is what an OSD knows of itself (OSDSuperblock in
// src/osd/osd_types.h). OSDs also keep it in their store.
type OSDSuperblock struct {
	ClusterFSID          entity.UUID
	Whoami               int32
	CurrentEpoch         uint32 // of the newest map it has worked on
	OldestMap, NewestMap uint32 // epochs of the maps it keeps
	Weight               float64
	Compat               CompatSet
	CleanThru            uint32
	Mounted              uint32 // epoch at which it last started
	OSDFSID              entity.UUID
	PurgedSnapsLast      uint32
	LastPurgedSnapsScrub time.Time
	// TrimLowerBound is the oldest map epoch that the cluster keeps, as far as
	// this OSD knows (cluster_osdmap_trim_lower_bound, since 16.2.14).
	TrimLowerBound uint32
}

// Encode appends OSDSuperblock, version 10.
func (s *OSDSuperblock) Encode(e *wire.Encoder) {
	m := e.Begin(10, 5)
	s.ClusterFSID.Encode(e)
	e.I32(s.Whoami)
	e.U32(s.CurrentEpoch)
	e.U32(s.OldestMap)
	e.U32(s.NewestMap)
	e.F64(s.Weight)
	s.Compat.Encode(e)
	e.U32(s.CleanThru)
	e.U32(s.Mounted)
	s.OSDFSID.Encode(e)
	e.U32(0) // once the last epoch at which the map was full
	e.U32(0) // and the same of each pool
	e.U32(s.PurgedSnapsLast)
	e.Time(s.LastPurgedSnapsScrub)
	e.U32(s.TrimLowerBound)
	e.End(m)
}

// DecodeOSDSuperblock reads OSDSuperblock, version 8 and later.
func DecodeOSDSuperblock(d *wire.Decoder) OSDSuperblock {
	sc := d.Begin(10)
	defer d.End(sc)
	if d.Err() == nil && sc.Version < 8 {
		d.Fail("superblock of version %d", sc.Version)
	}
	s := OSDSuperblock{
		ClusterFSID: entity.DecodeUUID(d), Whoami: d.I32(), CurrentEpoch: d.U32(),
		OldestMap: d.U32(), NewestMap: d.U32(), Weight: d.F64(),
	}
	s.Compat = DecodeCompatSet(d)
	s.CleanThru, s.Mounted = d.U32(), d.U32()
	s.OSDFSID = entity.DecodeUUID(d)
	d.Skip(4)
	wire.ReadMap(d, 12, wire.GetI64, wire.GetU32)
	if sc.Version >= 9 {
		s.PurgedSnapsLast = d.U32()
		s.LastPurgedSnapsScrub = d.Time()
	}
	if sc.Version >= 10 {
		s.TrimLowerBound = d.U32()
	}
	return s
}

// CompatSet names features of stored data that a program must know to write it,
// to read it, or need not know (src/include/CompatSet.h).
type CompatSet struct {
	Compat, ROCompat, Incompat FeatureSet
}

// FeatureSet holds names by feature number, 1 to 63.
type FeatureSet map[uint64]string

// Encode appends the three sets.
func (c CompatSet) Encode(e *wire.Encoder) {
	c.Compat.encode(e)
	c.ROCompat.encode(e)
	c.Incompat.encode(e)
}

// DecodeCompatSet reads what [CompatSet.Encode] wrote.
func DecodeCompatSet(d *wire.Decoder) CompatSet {
	return CompatSet{decodeFeatureSet(d), decodeFeatureSet(d), decodeFeatureSet(d)}
}

// encode appends the mask of the numbers, and the names.
func (f FeatureSet) encode(e *wire.Encoder) {
	var mask uint64
	for n := range f {
		mask |= 1 << n
	}
	e.U64(mask)
	wire.Map(e, f, wire.PutU64, wire.PutString)
}

func decodeFeatureSet(d *wire.Decoder) FeatureSet {
	d.Skip(8)
	return FeatureSet(wire.ReadMap(d, 12, wire.GetU64, wire.GetString))
}
