package osdmap

import (
	"cmp"
	"encoding/binary"
	"fmt"

	"sepiola/entity"
	"sepiola/object"
	"sepiola/wire"
)

// Encode returns the increment in the form of Ceph 16, with its own CRC filled
// in and FullCRC after it. features are those of [wire.Encoder.Features].
func (inc *Incremental) Encode(features uint64) []byte {
	e := wire.NewEncoder(1024)
	e.Features = features
	wrap := e.Begin(wrapperVersion, wrapperCompat)
	inc.encodeClient(e)
	inc.encodeOSDOnly(e)
	hole := e.Len()
	e.U32(0)
	e.U32(inc.FullCRC)
	e.End(wrap)
	p := e.Bytes()
	binary.LittleEndian.PutUint32(p[hole:], crcAround(p, hole))
	return p
}

func encodeAddrsByOSD(e *wire.Encoder, m map[int32]entity.AddrVec) {
	wire.Map(e, m, wire.PutI32, func(e *wire.Encoder, v entity.AddrVec) { v.Encode(e) })
}

func encodeU32ByOSD(e *wire.Encoder, m map[int32]uint32) {
	wire.Map(e, m, wire.PutI32, wire.PutU32)
}

func (inc *Incremental) encodeClient(e *wire.Encoder) {
	m := e.Begin(8, 1)
	inc.FSID.Encode(e)
	e.U32(inc.Epoch)
	e.Time(inc.Modified)
	e.I64(inc.NewPoolMax)
	e.I32(inc.NewFlags)
	e.Blob(inc.FullMap)
	e.Blob(inc.Crush)
	e.I32(inc.NewMaxOSD)
	wire.Map(e, inc.NewPools, wire.PutI64, func(e *wire.Encoder, p *Pool) { p.Encode(e) })
	wire.Map(e, inc.NewPoolNames, wire.PutI64, wire.PutString)
	encodeSet(e, inc.OldPools, cmp.Compare, wire.PutI64)
	encodeAddrsByOSD(e, inc.NewUpClient)
	encodeU32ByOSD(e, inc.NewState)
	encodeU32ByOSD(e, inc.NewWeight)
	encodeByFunc(e, inc.NewPGTemp, object.PGID.Compare, encodePGID, encodeOSDs)
	encodeByFunc(e, inc.NewPrimaryTemp, object.PGID.Compare, encodePGID, wire.PutI32)
	encodeU32ByOSD(e, inc.NewPrimaryAffinity)
	wire.Map(e, inc.NewErasureProfiles, wire.PutString, encodeStringMap)
	wire.Slice(e, inc.OldErasureProfiles, wire.PutString)
	encodeByFunc(e, inc.NewPGUpmap, object.PGID.Compare, encodePGID, encodeOSDs)
	encodeSet(e, inc.OldPGUpmap, object.PGID.Compare, encodePGID)
	encodeByFunc(e, inc.NewPGUpmapItems, object.PGID.Compare, encodePGID, encodeUpmapItems)
	encodeSet(e, inc.OldPGUpmapItems, object.PGID.Compare, encodePGID)
	encodeSnapSets(e, inc.NewRemovedSnaps)
	encodeSnapSets(e, inc.NewPurgedSnaps)
	e.Time(inc.NewLastUpChange)
	e.Time(inc.NewLastInChange)
	e.End(m)
}

func (inc *Incremental) encodeOSDOnly(e *wire.Encoder) {
	version := uint8(9)
	switch {
	case len(inc.NewRangeBlocklist) > 0 || len(inc.OldRangeBlocklist) > 0:
		version = 11
	case inc.ChangeStretchMode:
		version = 10
	}
	m := e.Begin(version, 1)
	encodeAddrsByOSD(e, inc.NewHBBackUp)
	encodeU32ByOSD(e, inc.NewUpThru)
	wire.Map(e, inc.NewLastClean, wire.PutI32, func(e *wire.Encoder, i CleanInterval) {
		e.U32(i.Begin)
		e.U32(i.End)
	})
	encodeU32ByOSD(e, inc.NewLost)
	encodeBlocklist(e, inc.NewBlocklist)
	wire.Slice(e, inc.OldBlocklist, func(e *wire.Encoder, a entity.Addr) { a.Encode(e) })
	encodeAddrsByOSD(e, inc.NewUpCluster)
	e.String(inc.ClusterSnapshot)
	wire.Map(e, inc.NewUUID, wire.PutI32, func(e *wire.Encoder, u entity.UUID) { u.Encode(e) })
	wire.Map(e, inc.NewXInfo, wire.PutI32, encodeXInfo)
	encodeAddrsByOSD(e, inc.NewHBFrontUp)
	e.U64(cmp.Or(inc.EncodeFeatures, SignificantFeatures))
	e.F32(inc.NewNearFullRatio)
	e.F32(inc.NewFullRatio)
	e.F32(inc.NewBackfillFullRatio)
	e.U8(uint8(inc.NewRequireMinCompatClient))
	e.U8(uint8(inc.NewRequireOSDRelease))
	encodeU32ByOSD(e, inc.NewCrushNodeFlags)
	encodeU32ByOSD(e, inc.NewDeviceClassFlags)
	if version >= 10 {
		e.Bool(inc.ChangeStretchMode)
		e.U32(inc.NewStretchBucketCount)
		e.U32(inc.NewDegradedStretchMode)
		e.U32(inc.NewRecoveringStretchMode)
		e.I32(inc.NewStretchModeBucket)
		e.Bool(inc.StretchModeEnabled)
	}
	if version >= 11 {
		encodeBlocklist(e, inc.NewRangeBlocklist)
		wire.Slice(e, inc.OldRangeBlocklist, func(e *wire.Encoder, a entity.Addr) { a.Encode(e) })
	}
	e.End(m)
}

// DecodeIncremental reads an encoded increment and verifies its CRC. FullMap
// and Crush share memory with p.
func DecodeIncremental(p []byte) (*Incremental, error) {
	d := wire.NewDecoder(p)
	inc := NewIncremental(entity.UUID{}, 0)
	wrap := d.Begin(wrapperVersion)
	if d.Err() == nil && wrap.Version < wrapperVersion {
		d.Fail("increment of version %d", wrap.Version)
	}
	inc.decodeClient(d)
	inc.decodeOSDOnly(d)
	hole := d.Offset()
	inc.IncCRC = d.U32()
	inc.FullCRC = d.U32()
	inc.HaveCRC = true
	d.End(wrap)
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("osd map increment: %w", err)
	}
	if actual := crcAround(p, hole); actual != inc.IncCRC {
		return nil, fmt.Errorf("osd map increment: %w: CRC is %08x, should be %08x", wire.ErrMalformed, actual, inc.IncCRC)
	}
	return inc, nil
}

func decodeAddrsByOSD(d *wire.Decoder) map[int32]entity.AddrVec {
	return wire.ReadMap(d, 4+minAddrVec, wire.GetI32, entity.DecodeAddrVec)
}

func decodeU32ByOSD(d *wire.Decoder) map[int32]uint32 {
	return wire.ReadMap(d, 8, wire.GetI32, wire.GetU32)
}

func (inc *Incremental) decodeClient(d *wire.Decoder) {
	s := d.Begin(8)
	if d.Err() == nil && s.Version < 7 {
		d.Fail("client part of version %d", s.Version)
	}
	inc.FSID = entity.DecodeUUID(d)
	inc.Epoch = d.U32()
	inc.Modified = d.Time()
	inc.NewPoolMax = d.I64()
	inc.NewFlags = d.I32()
	inc.FullMap = d.Blob()
	inc.Crush = d.Blob()
	inc.NewMaxOSD = d.I32()
	inc.NewPools = wire.ReadMap(d, 8+6, wire.GetI64, DecodePool)
	inc.NewPoolNames = wire.ReadMap(d, 12, wire.GetI64, wire.GetString)
	inc.OldPools = decodeSet(d, 8, wire.GetI64)
	inc.NewUpClient = decodeAddrsByOSD(d)
	inc.NewState = decodeU32ByOSD(d)
	inc.NewWeight = decodeU32ByOSD(d)
	inc.NewPGTemp = wire.ReadMap(d, minPGID+4, object.DecodePGID, decodeOSDs)
	inc.NewPrimaryTemp = wire.ReadMap(d, minPGID+4, object.DecodePGID, wire.GetI32)
	inc.NewPrimaryAffinity = decodeU32ByOSD(d)
	inc.NewErasureProfiles = wire.ReadMap(d, 8, wire.GetString, decodeStringMap)
	inc.OldErasureProfiles = wire.ReadSlice(d, 4, wire.GetString)
	inc.NewPGUpmap = wire.ReadMap(d, minPGID+4, object.DecodePGID, decodeOSDs)
	inc.OldPGUpmap = decodeSet(d, minPGID, object.DecodePGID)
	inc.NewPGUpmapItems = wire.ReadMap(d, minPGID+4, object.DecodePGID, decodeUpmapItems)
	inc.OldPGUpmapItems = decodeSet(d, minPGID, object.DecodePGID)
	inc.NewRemovedSnaps = decodeSnapSets(d)
	inc.NewPurgedSnaps = decodeSnapSets(d)
	if s.Version >= 8 {
		inc.NewLastUpChange = d.Time()
		inc.NewLastInChange = d.Time()
	}
	d.End(s)
}

func (inc *Incremental) decodeOSDOnly(d *wire.Decoder) {
	s := d.Begin(11)
	if d.Err() == nil && s.Version < 7 {
		d.Fail("OSD part of version %d", s.Version)
	}
	inc.NewHBBackUp = decodeAddrsByOSD(d)
	inc.NewUpThru = decodeU32ByOSD(d)
	inc.NewLastClean = wire.ReadMap(d, 12, wire.GetI32, func(d *wire.Decoder) CleanInterval {
		return CleanInterval{d.U32(), d.U32()}
	})
	inc.NewLost = decodeU32ByOSD(d)
	inc.NewBlocklist = decodeBlocklist(d)
	inc.OldBlocklist = wire.ReadSlice(d, minAddr, entity.DecodeAddr)
	inc.NewUpCluster = decodeAddrsByOSD(d)
	inc.ClusterSnapshot = d.String()
	inc.NewUUID = wire.ReadMap(d, 20, wire.GetI32, entity.DecodeUUID)
	inc.NewXInfo = wire.ReadMap(d, 10, wire.GetI32, decodeXInfo)
	inc.NewHBFrontUp = decodeAddrsByOSD(d)
	inc.EncodeFeatures = d.U64()
	inc.NewNearFullRatio = d.F32()
	inc.NewFullRatio = d.F32()
	inc.NewBackfillFullRatio = d.F32()
	inc.NewRequireMinCompatClient = Release(d.U8())
	inc.NewRequireOSDRelease = Release(d.U8())
	if s.Version >= 8 {
		inc.NewCrushNodeFlags = decodeU32ByOSD(d)
	}
	if s.Version >= 9 {
		inc.NewDeviceClassFlags = decodeU32ByOSD(d)
	}
	if s.Version >= 10 {
		inc.ChangeStretchMode = d.Bool()
		inc.NewStretchBucketCount = d.U32()
		inc.NewDegradedStretchMode = d.U32()
		inc.NewRecoveringStretchMode = d.U32()
		inc.NewStretchModeBucket = d.I32()
		inc.StretchModeEnabled = d.Bool()
	}
	if s.Version >= 11 {
		inc.NewRangeBlocklist = decodeBlocklist(d)
		inc.OldRangeBlocklist = wire.ReadSlice(d, minAddr, entity.DecodeAddr)
	}
	d.End(s)
}
