package pglog

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"sepiola/entity"
	"sepiola/object"
	"sepiola/wire"
)

// The attributes of an object that belong to the PG, not to clients.
const (
	AttrObjectInfo = "_"
	AttrSnapSet    = "snapset"
)

// OIFlags are the flags of an object (object_info_t::flag_t).
type OIFlags uint32

// The flags of an object.
const (
	OILost                 OIFlags = 1 << 0
	OIWhiteout             OIFlags = 1 << 1 // for clients it does not exist
	OIDirty                OIFlags = 1 << 2
	OIOmap                 OIFlags = 1 << 3 // may have omap entries
	OIDataDigest           OIFlags = 1 << 4 // DataDigest counts
	OIOmapDigest           OIFlags = 1 << 5 // OmapDigest counts
	OICachePin             OIFlags = 1 << 6
	OIManifest             OIFlags = 1 << 7
	OIUsesTmap             OIFlags = 1 << 8
	OIRedirectHasReference OIFlags = 1 << 9
)

// WatchInfo is a watch that outlives its connection (watch_info_t).
type WatchInfo struct {
	Cookie         uint64
	TimeoutSeconds uint32
	Addr           entity.Addr
}

// Encode appends watch_info_t, version 4.
func (w WatchInfo) Encode(e *wire.Encoder) {
	m := e.Begin(4, 3)
	e.U64(w.Cookie)
	e.U32(w.TimeoutSeconds)
	w.Addr.Encode(e)
	e.End(m)
}

// DecodeWatchInfo reads watch_info_t.
func DecodeWatchInfo(d *wire.Decoder) WatchInfo {
	s := d.Begin(4)
	w := WatchInfo{Cookie: d.U64(), TimeoutSeconds: d.U32()}
	if s.Version >= 4 {
		w.Addr = entity.DecodeAddr(d)
	}
	d.End(s)
	return w
}

// WatchKey names a watch on an object.
type WatchKey struct {
	Cookie uint64
	Name   entity.Name
}

// Compare orders watches by cookie, then name.
func (k WatchKey) Compare(o WatchKey) int {
	return cmp.Or(cmp.Compare(k.Cookie, o.Cookie), k.Name.Compare(o.Name))
}

// ManifestType is how an object's data lies elsewhere (object_manifest_t).
type ManifestType uint8

// The types of manifests.
const (
	ManifestNone     ManifestType = 0
	ManifestRedirect ManifestType = 1
	ManifestChunked  ManifestType = 2
)

// Chunk is a part of an object kept in another one (chunk_info_t).
type Chunk struct {
	Offset, Length uint32 // in the other object
	Object         object.ID
	Flags          uint32
}

// Manifest says where the data of an object lies (object_manifest_t).
type Manifest struct {
	Type           ManifestType
	RedirectTarget object.ID        // ManifestRedirect
	Chunks         map[uint64]Chunk // ManifestChunked: by offset
}

// ObjectInfo is the metadata of an object kept with it (object_info_t, attribute
// "_"). Start from [NewObjectInfo].
type ObjectInfo struct {
	Object       object.ID
	Version      Version
	PriorVersion Version
	UserVersion  uint64
	LastReqID    ReqID
	Size         uint64
	Mtime        time.Time // the client's
	LocalMtime   time.Time // the OSD's
	Flags        OIFlags
	TruncateSeq  uint64
	TruncateSize uint64
	Watchers     map[WatchKey]WatchInfo
	DataDigest   uint32 // CRC-32C, without inversions, seed -1
	OmapDigest   uint32

	ExpectedObjectSize uint64
	ExpectedWriteSize  uint64
	AllocHintFlags     uint32
	Manifest           Manifest
}

// NewObjectInfo returns the metadata of an empty object.
func NewObjectInfo(o object.ID) ObjectInfo {
	return ObjectInfo{Object: o, DataDigest: math.MaxUint32, OmapDigest: math.MaxUint32}
}

// Has reports whether all of the given flags are set.
func (o *ObjectInfo) Has(f OIFlags) bool { return o.Flags&f == f }

// Set sets flags.
func (o *ObjectInfo) Set(f OIFlags) { o.Flags |= f }

// Clear clears flags.
func (o *ObjectInfo) Clear(f OIFlags) { o.Flags &^= f }

// SetDataDigest records the checksum of the data.
func (o *ObjectInfo) SetDataDigest(sum uint32) {
	o.Flags |= OIDataDigest
	o.DataDigest = sum
}

// ClearDataDigest forgets the checksum of the data.
func (o *ObjectInfo) ClearDataDigest() {
	o.Flags &^= OIDataDigest
	o.DataDigest = math.MaxUint32
}

// SetOmapDigest records the checksum of the omap.
func (o *ObjectInfo) SetOmapDigest(sum uint32) {
	o.Flags |= OIOmapDigest
	o.OmapDigest = sum
}

// ClearOmapDigest forgets the checksum of the omap.
func (o *ObjectInfo) ClearOmapDigest() {
	o.Flags &^= OIOmapDigest
	o.OmapDigest = math.MaxUint32
}

// CopyUserBits takes over what a clone inherits from its head.
func (o *ObjectInfo) CopyUserBits(from *ObjectInfo) {
	o.Size, o.Mtime, o.LocalMtime = from.Size, from.Mtime, from.LocalMtime
	o.LastReqID, o.UserVersion, o.Flags = from.LastReqID, from.UserVersion, from.Flags
	o.TruncateSeq, o.TruncateSize = from.TruncateSeq, from.TruncateSize
	o.DataDigest, o.OmapDigest = from.DataDigest, from.OmapDigest
}

// Clone returns a copy that shares no map with o.
func (o *ObjectInfo) Clone() ObjectInfo {
	c := *o
	c.Watchers = maps.Clone(o.Watchers)
	c.Manifest.Chunks = maps.Clone(o.Manifest.Chunks)
	return c
}

// WatchKeys returns the watches in order.
func (o *ObjectInfo) WatchKeys() []WatchKey {
	return slices.SortedFunc(maps.Keys(o.Watchers), WatchKey.Compare)
}

// Encode appends object_info_t, version 17.
func (o *ObjectInfo) Encode(e *wire.Encoder) {
	m := e.Begin(17, 8)
	o.Object.Encode(e)
	object.Locator{Pool: o.Object.Pool, Key: o.Object.Key, Namespace: o.Object.Namespace, Hash: -1}.Encode(e)
	e.U32(0) // once a category
	o.Version.Encode(e)
	o.PriorVersion.Encode(e)
	o.LastReqID.Encode(e)
	e.U64(o.Size)
	e.Time(o.Mtime)
	if o.Object.IsHead() {
		ReqID{}.Encode(e) // once the holder of a write lock
	} else {
		e.U32(0) // once the clone's snapshots
	}
	e.U64(o.TruncateSeq)
	e.U64(o.TruncateSize)
	e.Bool(o.Has(OILost))
	o.encodeOldWatchers(e)
	Version{V: o.UserVersion}.Encode(e)
	e.Bool(o.Has(OIUsesTmap))
	keys := o.WatchKeys()
	wire.Slice(e, keys, func(e *wire.Encoder, k WatchKey) {
		e.U64(k.Cookie)
		k.Name.Encode(e)
		o.Watchers[k].Encode(e)
	})
	e.U32(uint32(o.Flags))
	e.Time(o.LocalMtime)
	e.U32(o.DataDigest)
	e.U32(o.OmapDigest)
	e.U64(o.ExpectedObjectSize)
	e.U64(o.ExpectedWriteSize)
	e.U32(o.AllocHintFlags)
	if o.Has(OIManifest) {
		o.Manifest.encode(e)
	}
	e.End(m)
}

// encodeOldWatchers appends the watches by name alone, the first of each.
func (o *ObjectInfo) encodeOldWatchers(e *wire.Encoder) {
	first := map[entity.Name]WatchInfo{}
	for _, k := range o.WatchKeys() {
		if _, ok := first[k.Name]; !ok {
			first[k.Name] = o.Watchers[k]
		}
	}
	names := slices.SortedFunc(maps.Keys(first), entity.Name.Compare)
	wire.Slice(e, names, func(e *wire.Encoder, n entity.Name) {
		n.Encode(e)
		first[n].Encode(e)
	})
}

// watchSize is the least length of an encoded watch, without its key, in bytes.
const watchSize = 6 + 8 + 4

// DecodeObjectInfo reads object_info_t, version 16 and later.
func DecodeObjectInfo(d *wire.Decoder) ObjectInfo {
	s := d.Begin(17)
	if d.Err() == nil && s.Version < 16 {
		d.Fail("object info of version %d", s.Version)
	}
	o := ObjectInfo{Object: object.DecodeID(d)}
	object.DecodeLocator(d)
	d.Blob() // once a category
	o.Version, o.PriorVersion = DecodeVersion(d), DecodeVersion(d)
	o.LastReqID = DecodeReqID(d)
	o.Size, o.Mtime = d.U64(), d.Time()
	if o.Object.IsHead() {
		DecodeReqID(d)
	} else {
		wire.ReadSlice(d, 8, getSnap)
	}
	o.TruncateSeq, o.TruncateSize = d.U64(), d.U64()
	d.U8() // lost; also in the flags
	wire.ReadMap(d, 9+watchSize, entity.DecodeName, DecodeWatchInfo)
	o.UserVersion = DecodeVersion(d).V
	d.U8() // tmap; also in the flags
	o.Watchers = wire.ReadMap(d, 8+9+watchSize, func(d *wire.Decoder) WatchKey {
		return WatchKey{d.U64(), entity.DecodeName(d)}
	}, DecodeWatchInfo)
	o.Flags = OIFlags(d.U32())
	o.LocalMtime = d.Time()
	o.DataDigest, o.OmapDigest = d.U32(), d.U32()
	o.ExpectedObjectSize, o.ExpectedWriteSize, o.AllocHintFlags = d.U64(), d.U64(), d.U32()
	if s.Version >= 17 && o.Has(OIManifest) {
		o.Manifest = decodeManifest(d)
	}
	d.End(s)
	return o
}

// ParseObjectInfo reads the attribute "_".
func ParseObjectInfo(p []byte) (ObjectInfo, error) {
	d := wire.NewDecoder(p)
	o := DecodeObjectInfo(d)
	return o, d.Err()
}

// Bytes returns the attribute "_".
func (o *ObjectInfo) Bytes() []byte {
	e := wire.NewEncoder(280)
	o.Encode(e)
	return e.Bytes()
}

func (m *Manifest) encode(e *wire.Encoder) {
	mark := e.Begin(1, 1)
	e.U8(uint8(m.Type))
	switch m.Type {
	case ManifestRedirect:
		m.RedirectTarget.Encode(e)
	case ManifestChunked:
		wire.Map(e, m.Chunks, wire.PutU64, func(e *wire.Encoder, c Chunk) {
			inner := e.Begin(1, 1)
			e.U32(c.Offset)
			e.U32(c.Length)
			c.Object.Encode(e)
			e.U32(c.Flags)
			e.End(inner)
		})
	}
	e.End(mark)
}

func decodeManifest(d *wire.Decoder) Manifest {
	s := d.Begin(1)
	defer d.End(s)
	m := Manifest{Type: ManifestType(d.U8())}
	switch m.Type {
	case ManifestNone:
	case ManifestRedirect:
		m.RedirectTarget = object.DecodeID(d)
	case ManifestChunked:
		m.Chunks = wire.ReadMap(d, 8+6+12+objectIDSize, wire.GetU64, func(d *wire.Decoder) Chunk {
			inner := d.Begin(1)
			c := Chunk{Offset: d.U32(), Length: d.U32(), Object: object.DecodeID(d), Flags: d.U32()}
			d.End(inner)
			return c
		})
	default:
		d.Fail("manifest of type %d", m.Type)
	}
	return m
}

// SnapSet tells an object's clones (SnapSet, attribute "snapset" of the head).
type SnapSet struct {
	Seq          object.SnapID   // newest snapshot the head knows
	Snaps        []object.SnapID // descending; for readers before Ceph 15
	Clones       []object.SnapID // ascending
	CloneOverlap map[object.SnapID]IntervalSet
	CloneSize    map[object.SnapID]uint64 // bytes
	CloneSnaps   map[object.SnapID][]object.SnapID
}

// Clone returns a copy that shares no map or slice with s.
func (s *SnapSet) Clone() SnapSet {
	c := *s
	c.Snaps, c.Clones = slices.Clone(s.Snaps), slices.Clone(s.Clones)
	c.CloneOverlap = maps.Clone(s.CloneOverlap)
	c.CloneSize = maps.Clone(s.CloneSize)
	c.CloneSnaps = maps.Clone(s.CloneSnaps)
	return c
}

// Encode appends SnapSet, version 3.
func (s *SnapSet) Encode(e *wire.Encoder) {
	m := e.Begin(3, 2)
	putSnap(e, s.Seq)
	e.Bool(true) // once whether there is a head
	wire.Slice(e, s.Snaps, putSnap)
	wire.Slice(e, s.Clones, putSnap)
	wire.Map(e, s.CloneOverlap, putSnap, func(e *wire.Encoder, v IntervalSet) { v.Encode(e) })
	wire.Map(e, s.CloneSize, putSnap, wire.PutU64)
	wire.Map(e, s.CloneSnaps, putSnap, func(e *wire.Encoder, v []object.SnapID) { wire.Slice(e, v, putSnap) })
	e.End(m)
}

// DecodeSnapSet reads SnapSet.
func DecodeSnapSet(d *wire.Decoder) SnapSet {
	sc := d.Begin(3)
	s := SnapSet{Seq: getSnap(d)}
	d.Skip(1)
	s.Snaps = wire.ReadSlice(d, 8, getSnap)
	s.Clones = wire.ReadSlice(d, 8, getSnap)
	s.CloneOverlap = wire.ReadMap(d, 8+4, getSnap, DecodeIntervalSet)
	s.CloneSize = wire.ReadMap(d, 8+8, getSnap, wire.GetU64)
	s.CloneSnaps = map[object.SnapID][]object.SnapID{}
	if sc.Version >= 3 {
		s.CloneSnaps = wire.ReadMap(d, 8+4, getSnap, func(d *wire.Decoder) []object.SnapID {
			return wire.ReadSlice(d, 8, getSnap)
		})
	}
	d.End(sc)
	return s
}

// ParseSnapSet reads the attribute "snapset".
func ParseSnapSet(p []byte) (SnapSet, error) {
	d := wire.NewDecoder(p)
	s := DecodeSnapSet(d)
	return s, d.Err()
}

// Bytes returns the attribute "snapset".
func (s *SnapSet) Bytes() []byte {
	e := wire.NewEncoder(64)
	s.Encode(e)
	return e.Bytes()
}
