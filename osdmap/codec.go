package osdmap

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"sepiola/crush"
	"sepiola/entity"
	"sepiola/object"
	"sepiola/wire"
)

// SignificantFeatures are the feature bits on which the encoding of maps
// depends (OSDMap::SIGNIFICANT_FEATURES), with those of their incarnations, all
// of which this program has. Increments name them.
const SignificantFeatures uint64 = 1<<9 | 1<<11 | 1<<13 | 1<<39 | 1<<43 | 1<<56 | 1<<59 | 1<<58 |
	1<<21 | 1<<28 | 1<<2 | 1<<16 | 1<<57

const (
	wrapperVersion = 8
	wrapperCompat  = 7
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// crc32c continues Ceph's crc32c, which neither starts nor ends with a
// complement, over p.
func crc32c(crc uint32, p []byte) uint32 { return ^crc32.Update(^crc, castagnoli, p) }

// crcAround is the CRC of p without the four bytes at hole.
func crcAround(p []byte, hole int) uint32 {
	return crc32c(crc32c(0xffffffff, p[:hole]), p[hole+4:])
}

// Encode returns the map in the form of Ceph 16 with its CRC filled in.
// features are those of [wire.Encoder.Features]: 0 means the full form.
func (m *Map) Encode(features uint64) []byte {
	e := wire.NewEncoder(4096)
	e.Features = features
	wrap := e.Begin(wrapperVersion, wrapperCompat)
	m.encodeClient(e)
	m.encodeOSDOnly(e)
	hole := e.Len()
	e.U32(0)
	e.End(wrap)
	p := e.Bytes()
	binary.LittleEndian.PutUint32(p[hole:], crcAround(p, hole))
	return p
}

// EncodedCRC returns the CRC an encoded map carries: its last four bytes. 0 if
// it is too short to be a map.
func EncodedCRC(p []byte) uint32 {
	if len(p) < 4 {
		return 0
	}
	return binary.LittleEndian.Uint32(p[len(p)-4:])
}

func encodeAddrs(e *wire.Encoder, v []entity.AddrVec) {
	wire.Slice(e, v, func(e *wire.Encoder, a entity.AddrVec) { a.Encode(e) })
}

func encodeOSDs(e *wire.Encoder, v []int32) { wire.Slice(e, v, wire.PutI32) }

func encodePGID(e *wire.Encoder, p object.PGID) { p.Encode(e) }

func encodeUpmapItems(e *wire.Encoder, v []UpmapItem) {
	wire.Slice(e, v, func(e *wire.Encoder, i UpmapItem) {
		e.I32(i.From)
		e.I32(i.To)
	})
}

func encodeSnapSets(e *wire.Encoder, m map[int64]SnapSet) {
	wire.Map(e, m, wire.PutI64, encodeSnapSet)
}

// encodeClient appends the part clients read.
func (m *Map) encodeClient(e *wire.Encoder) {
	mark := e.Begin(9, 1)
	m.FSID.Encode(e)
	e.U32(m.Epoch)
	e.Time(m.Created)
	e.Time(m.Modified)
	wire.Map(e, m.Pools, wire.PutI64, func(e *wire.Encoder, p *Pool) { p.Encode(e) })
	wire.Map(e, m.PoolNames, wire.PutI64, wire.PutString)
	e.I32(int32(m.PoolMax))
	e.U32(m.Flags)
	e.I32(m.MaxOSD)
	wire.Slice(e, m.OSDState, wire.PutU32)
	wire.Slice(e, m.OSDWeight, wire.PutU32)
	encodeAddrs(e, m.ClientAddrs)
	encodeByFunc(e, m.PGTemp, object.PGID.Compare, encodePGID, encodeOSDs)
	encodeByFunc(e, m.PrimaryTemp, object.PGID.Compare, encodePGID, wire.PutI32)
	wire.Slice(e, m.PrimaryAffinity, wire.PutU32)
	blob := e.BeginLen()
	m.Crush.Encode(e)
	e.End(blob)
	wire.Map(e, m.ErasureProfiles, wire.PutString, encodeStringMap)
	encodeByFunc(e, m.PGUpmap, object.PGID.Compare, encodePGID, encodeOSDs)
	encodeByFunc(e, m.PGUpmapItems, object.PGID.Compare, encodePGID, encodeUpmapItems)
	e.U32(m.CrushVersion)
	encodeSnapSets(e, m.NewRemovedSnaps)
	encodeSnapSets(e, m.NewPurgedSnaps)
	e.Time(m.LastUpChange)
	e.Time(m.LastInChange)
	e.End(mark)
}

// encodeOSDOnly appends the part that daemons read and clients pass over.
func (m *Map) encodeOSDOnly(e *wire.Encoder) {
	version := uint8(9)
	switch {
	case len(m.RangeBlocklist) > 0:
		version = 11
	case m.StretchModeEnabled:
		version = 10
	}
	mark := e.Begin(version, 1)
	encodeAddrs(e, m.HBBackAddrs)
	wire.Slice(e, m.OSDInfo, encodeOSDInfo)
	encodeBlocklist(e, m.Blocklist)
	encodeAddrs(e, m.ClusterAddrs)
	e.U32(m.ClusterSnapshotEpoch)
	e.String(m.ClusterSnapshot)
	wire.Slice(e, m.OSDUUID, func(e *wire.Encoder, u entity.UUID) { u.Encode(e) })
	wire.Slice(e, m.OSDXInfo, encodeXInfo)
	encodeAddrs(e, m.HBFrontAddrs)
	e.F32(m.NearFullRatio)
	e.F32(m.FullRatio)
	e.F32(m.BackfillFullRatio)
	e.U8(uint8(m.RequireMinCompatClient))
	e.U8(uint8(m.RequireOSDRelease))
	encodeSnapSets(e, m.RemovedSnapsQueue)
	wire.Map(e, m.CrushNodeFlags, wire.PutI32, wire.PutU32)
	wire.Map(e, m.DeviceClassFlags, wire.PutI32, wire.PutU32)
	if version >= 10 {
		e.Bool(m.StretchModeEnabled)
		e.U32(m.StretchBucketCount)
		e.U32(m.DegradedStretchMode)
		e.U32(m.RecoveringStretchMode)
		e.I32(m.StretchModeBucket)
	}
	if version >= 11 {
		encodeBlocklist(e, m.RangeBlocklist)
	}
	e.End(mark)
}

func encodeOSDInfo(e *wire.Encoder, i OSDInfo) {
	e.U8(1)
	e.U32(i.LastCleanBegin)
	e.U32(i.LastCleanEnd)
	e.U32(i.UpFrom)
	e.U32(i.UpThru)
	e.U32(i.DownAt)
	e.U32(i.LostAt)
}

func decodeOSDInfo(d *wire.Decoder) OSDInfo {
	if v := d.U8(); d.Err() == nil && v != 1 {
		d.Fail("OSD info of version %d", v)
	}
	return OSDInfo{d.U32(), d.U32(), d.U32(), d.U32(), d.U32(), d.U32()}
}

func encodeXInfo(e *wire.Encoder, x OSDXInfo) {
	m := e.Begin(4, 1)
	e.Time(x.DownStamp)
	e.U32(x.LaggyProbability)
	e.U32(x.LaggyInterval)
	e.U64(x.Features)
	e.U32(x.OldWeight)
	e.Time(x.LastPurgedSnapsScrub)
	e.U32(x.DeadEpoch)
	e.End(m)
}

func decodeXInfo(d *wire.Decoder) OSDXInfo {
	s := d.Begin(4)
	if d.Err() == nil && s.Version < 3 {
		d.Fail("OSD xinfo of version %d", s.Version)
	}
	x := OSDXInfo{DownStamp: d.Time(), LaggyProbability: d.U32(), LaggyInterval: d.U32(),
		Features: d.U64(), OldWeight: d.U32()}
	if s.Version >= 4 {
		x.LastPurgedSnapsScrub = d.Time()
		x.DeadEpoch = d.U32()
	}
	d.End(s)
	return x
}

func encodeBlocklist(e *wire.Encoder, m map[entity.Addr]time.Time) {
	encodeByFunc(e, m, compareAddrBytes,
		func(e *wire.Encoder, a entity.Addr) { a.Encode(e) }, (*wire.Encoder).Time)
}

// The least sizes of encoded values, for [wire.Decoder.Count].
const (
	minAddrVec = 1
	minAddr    = 7
	minPGID    = 17
)

func decodeAddrs(d *wire.Decoder) []entity.AddrVec {
	return wire.ReadSlice(d, minAddrVec, entity.DecodeAddrVec)
}

func decodeOSDs(d *wire.Decoder) []int32 { return wire.ReadSlice(d, 4, wire.GetI32) }

func decodeUpmapItems(d *wire.Decoder) []UpmapItem {
	return wire.ReadSlice(d, 8, func(d *wire.Decoder) UpmapItem { return UpmapItem{d.I32(), d.I32()} })
}

func decodeSnapSets(d *wire.Decoder) map[int64]SnapSet {
	return wire.ReadMap(d, 12, wire.GetI64, decodeSnapSet)
}

func decodeBlocklist(d *wire.Decoder) map[entity.Addr]time.Time {
	return wire.ReadMap(d, minAddr+8, entity.DecodeAddr, (*wire.Decoder).Time)
}

// DecodeMap reads an encoded map and verifies its CRC. The map shares no memory
// with p.
func DecodeMap(p []byte) (*Map, error) {
	d := wire.NewDecoder(p)
	m, err := decodeMap(d, p)
	if err != nil {
		return nil, fmt.Errorf("osd map: %w", err)
	}
	return m, nil
}

func decodeMap(d *wire.Decoder, p []byte) (*Map, error) {
	m := newMap()
	wrap := d.Begin(wrapperVersion)
	if d.Err() == nil && wrap.Version < wrapperVersion {
		d.Fail("map of version %d", wrap.Version)
	}
	m.decodeClient(d)
	m.decodeOSDOnly(d)
	hole := d.Offset()
	crc := d.U32()
	d.End(wrap)
	if err := d.Finish(); err != nil {
		return nil, err
	}
	if actual := crcAround(p, hole); actual != crc {
		return nil, fmt.Errorf("%w: CRC is %08x, should be %08x", wire.ErrMalformed, actual, crc)
	}
	return m, m.check()
}

func (m *Map) decodeClient(d *wire.Decoder) {
	s := d.Begin(9)
	if d.Err() == nil && s.Version < 8 {
		d.Fail("client part of version %d", s.Version)
	}
	m.FSID = entity.DecodeUUID(d)
	m.Epoch = d.U32()
	m.Created = d.Time()
	m.Modified = d.Time()
	m.Pools = wire.ReadMap(d, 8+6, wire.GetI64, DecodePool)
	m.PoolNames = wire.ReadMap(d, 12, wire.GetI64, wire.GetString)
	m.PoolMax = int64(d.I32())
	m.Flags = d.U32()
	m.MaxOSD = d.I32()
	m.OSDState = wire.ReadSlice(d, 4, wire.GetU32)
	m.OSDWeight = wire.ReadSlice(d, 4, wire.GetU32)
	m.ClientAddrs = decodeAddrs(d)
	m.PGTemp = wire.ReadMap(d, minPGID+4, object.DecodePGID, decodeOSDs)
	m.PrimaryTemp = wire.ReadMap(d, minPGID+4, object.DecodePGID, wire.GetI32)
	m.PrimaryAffinity = wire.ReadSlice(d, 4, wire.GetU32)
	m.Crush = decodeEmbeddedCrush(d, d.Blob())
	m.ErasureProfiles = wire.ReadMap(d, 8, wire.GetString, decodeStringMap)
	m.PGUpmap = wire.ReadMap(d, minPGID+4, object.DecodePGID, decodeOSDs)
	m.PGUpmapItems = wire.ReadMap(d, minPGID+4, object.DecodePGID, decodeUpmapItems)
	m.CrushVersion = d.U32()
	m.NewRemovedSnaps = decodeSnapSets(d)
	m.NewPurgedSnaps = decodeSnapSets(d)
	if s.Version >= 9 {
		m.LastUpChange = d.Time()
		m.LastInChange = d.Time()
	}
	d.End(s)
}

// decodeEmbeddedCrush decodes a CRUSH map within a map, with d as the place to
// record an error.
func decodeEmbeddedCrush(d *wire.Decoder, p []byte) *crush.Map {
	if d.Err() != nil {
		return nil
	}
	cm, err := decodeCrush(p)
	if err != nil {
		d.Fail("%v", err)
	}
	return cm
}

func (m *Map) decodeOSDOnly(d *wire.Decoder) {
	s := d.Begin(11)
	if d.Err() == nil && s.Version < 7 {
		d.Fail("OSD part of version %d", s.Version)
	}
	m.HBBackAddrs = decodeAddrs(d)
	m.OSDInfo = wire.ReadSlice(d, 25, decodeOSDInfo)
	m.Blocklist = decodeBlocklist(d)
	m.ClusterAddrs = decodeAddrs(d)
	m.ClusterSnapshotEpoch = d.U32()
	m.ClusterSnapshot = d.String()
	m.OSDUUID = wire.ReadSlice(d, 16, entity.DecodeUUID)
	m.OSDXInfo = wire.ReadSlice(d, 6, decodeXInfo)
	m.HBFrontAddrs = decodeAddrs(d)
	m.NearFullRatio = d.F32()
	m.FullRatio = d.F32()
	m.BackfillFullRatio = d.F32()
	m.RequireMinCompatClient = Release(d.U8())
	m.RequireOSDRelease = Release(d.U8())
	m.adoptRelease()
	m.RemovedSnapsQueue = decodeSnapSets(d)
	if s.Version >= 8 {
		m.CrushNodeFlags = wire.ReadMap(d, 8, wire.GetI32, wire.GetU32)
	}
	if s.Version >= 9 {
		m.DeviceClassFlags = wire.ReadMap(d, 8, wire.GetI32, wire.GetU32)
	}
	if s.Version >= 10 {
		m.StretchModeEnabled = d.Bool()
		m.StretchBucketCount = d.U32()
		m.DegradedStretchMode = d.U32()
		m.RecoveringStretchMode = d.U32()
		m.StretchModeBucket = d.I32()
	}
	if s.Version >= 11 {
		m.RangeBlocklist = decodeBlocklist(d)
	}
	d.End(s)
}

// adoptRelease sets the flags that go without saying once all OSDs are of the
// required release.
func (m *Map) adoptRelease() {
	if m.RequireOSDRelease == ReleaseUnchanged {
		return
	}
	if m.RequireOSDRelease >= ReleaseNautilus {
		m.Flags |= FlagPGLogHardLimit
	}
	if m.RequireOSDRelease >= ReleaseLuminous {
		m.Flags = m.Flags&^legacyRequireFlags | FlagRecoveryDeletes
	}
}

// check refuses a map whose per-OSD vectors do not all have MaxOSD elements.
func (m *Map) check() error {
	for _, n := range []int{len(m.OSDState), len(m.OSDWeight), len(m.OSDInfo), len(m.OSDXInfo),
		len(m.OSDUUID), len(m.ClientAddrs), len(m.ClusterAddrs), len(m.HBBackAddrs), len(m.HBFrontAddrs)} {
		if n != int(m.MaxOSD) {
			return fmt.Errorf("%w: room for %d OSDs, a vector of %d", wire.ErrMalformed, m.MaxOSD, n)
		}
	}
	if n := len(m.PrimaryAffinity); n != 0 && n != int(m.MaxOSD) {
		return fmt.Errorf("%w: room for %d OSDs, %d affinities", wire.ErrMalformed, m.MaxOSD, n)
	}
	return nil
}
