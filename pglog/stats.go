package pglog

import (
	"math"
	"slices"
	"time"

	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/wire"
)

// Stats is what a PG reports of itself (pg_stat_t). Its zero value lacks the
// primaries' -1; start from [NewStats].
type Stats struct {
	Version       Version
	ReportedSeq   uint64
	ReportedEpoch uint32
	State         State

	LastFresh        time.Time // last reported
	LastChange       time.Time // last change of the state
	LastActive       time.Time
	LastPeered       time.Time
	LastClean        time.Time
	LastUnstale      time.Time
	LastUndegraded   time.Time
	LastFullsized    time.Time
	LastBecameActive time.Time
	LastBecamePeered time.Time

	LogStart        Version
	OndiskLogStart  Version
	Created         uint32
	LastEpochClean  uint32
	Parent          object.PGID
	ParentSplitBits uint32

	LastScrub           Version
	LastDeepScrub       Version
	LastScrubStamp      time.Time
	LastDeepScrubStamp  time.Time
	LastCleanScrubStamp time.Time

	Stats         ObjectStatCollection
	LogSize       int64 // entries
	OndiskLogSize int64

	Up, Acting     []int32
	UpPrimary      int32 // -1 for none
	ActingPrimary  int32
	AvailNoMissing []PGShard
	// LocationCounts says how many objects are at each set of members.
	LocationCounts []LocationCount
	MappingEpoch   uint32
	BlockedBy      []int32 // OSDs
	PurgedSnaps    IntervalSet
	SnapTrimQLen   uint32

	// Figures that are not to be trusted until the next scrub.
	StatsInvalid            bool
	DirtyStatsInvalid       bool
	OmapStatsInvalid        bool
	HitSetStatsInvalid      bool
	HitSetBytesStatsInvalid bool
	PinStatsInvalid         bool
	ManifestStatsInvalid    bool
}

// LocationCount says that Count objects are at exactly these members.
type LocationCount struct {
	Members []PGShard // ascending
	Count   int32
}

// NewStats returns the figures of a PG that reported nothing.
func NewStats() Stats { return Stats{UpPrimary: -1, ActingPrimary: -1} }

// EffectiveLastEpochClean returns the last epoch in which the PG was clean; the
// reported one while it is.
func (s *Stats) EffectiveLastEpochClean() uint32 {
	if s.State.Has(StateClean) {
		return s.ReportedEpoch
	}
	return s.LastEpochClean
}

// Add adds the object counts and log sizes of o, and its doubts.
func (s *Stats) Add(o *Stats) {
	s.Stats.Sum.Add(&o.Stats.Sum)
	s.LogSize += o.LogSize
	s.OndiskLogSize += o.OndiskLogSize
	s.SnapTrimQLen = uint32(min(uint64(s.SnapTrimQLen)+uint64(o.SnapTrimQLen), math.MaxInt32+1))
	s.addDoubts(o)
}

// Sub subtracts the object counts and log sizes of o, and adds its doubts.
func (s *Stats) Sub(o *Stats) {
	s.Stats.Sum.Sub(&o.Stats.Sum)
	s.LogSize -= o.LogSize
	s.OndiskLogSize -= o.OndiskLogSize
	s.SnapTrimQLen -= min(s.SnapTrimQLen, o.SnapTrimQLen)
	s.addDoubts(o)
}

func (s *Stats) addDoubts(o *Stats) {
	from := o.doubts()
	for i, p := range s.doubts() {
		*p = *p || *from[i]
	}
}

func (s *Stats) doubts() [7]*bool {
	return [7]*bool{&s.StatsInvalid, &s.DirtyStatsInvalid, &s.OmapStatsInvalid, &s.HitSetStatsInvalid,
		&s.HitSetBytesStatsInvalid, &s.PinStatsInvalid, &s.ManifestStatsInvalid}
}

// Encode appends pg_stat_t, version 26.
func (s *Stats) Encode(e *wire.Encoder) {
	m := e.Begin(26, 22)
	s.Version.Encode(e)
	e.U64(s.ReportedSeq)
	e.U32(s.ReportedEpoch)
	e.U32(uint32(s.State))
	s.LogStart.Encode(e)
	s.OndiskLogStart.Encode(e)
	e.U32(s.Created)
	e.U32(s.LastEpochClean)
	s.Parent.Encode(e)
	e.U32(s.ParentSplitBits)
	s.LastScrub.Encode(e)
	e.Time(s.LastScrubStamp)
	s.Stats.Encode(e)
	e.I64(s.LogSize)
	e.I64(s.OndiskLogSize)
	wire.Slice(e, s.Up, wire.PutI32)
	wire.Slice(e, s.Acting, wire.PutI32)
	for _, t := range []time.Time{s.LastFresh, s.LastChange, s.LastActive, s.LastClean, s.LastUnstale} {
		e.Time(t)
	}
	e.U32(s.MappingEpoch)
	s.LastDeepScrub.Encode(e)
	e.Time(s.LastDeepScrubStamp)
	e.Bool(s.StatsInvalid)
	e.Time(s.LastCleanScrubStamp)
	e.Time(s.LastBecameActive)
	e.Bool(s.DirtyStatsInvalid)
	e.I32(s.UpPrimary)
	e.I32(s.ActingPrimary)
	e.Bool(s.OmapStatsInvalid)
	e.Bool(s.HitSetStatsInvalid)
	wire.Slice(e, s.BlockedBy, wire.PutI32)
	e.Time(s.LastUndegraded)
	e.Time(s.LastFullsized)
	e.Bool(s.HitSetBytesStatsInvalid)
	e.Time(s.LastPeered)
	e.Time(s.LastBecamePeered)
	e.Bool(s.PinStatsInvalid)
	e.U32(s.SnapTrimQLen)
	e.U32(uint32(s.State >> 32))
	s.PurgedSnaps.Encode(e)
	e.Bool(s.ManifestStatsInvalid)
	wire.Slice(e, s.AvailNoMissing, putPGShard)
	wire.Slice(e, s.LocationCounts, func(e *wire.Encoder, c LocationCount) {
		wire.Slice(e, c.Members, putPGShard)
		e.I32(c.Count)
	})
	e.End(m)
}

// DecodeStats reads pg_stat_t, version 22 and later.
func DecodeStats(d *wire.Decoder) Stats {
	sc := d.Begin(26)
	if d.Err() == nil && sc.Version < 22 {
		d.Fail("PG statistics of version %d", sc.Version)
	}
	s := Stats{Version: DecodeVersion(d), ReportedSeq: d.U64(), ReportedEpoch: d.U32(), State: State(d.U32())}
	s.LogStart = DecodeVersion(d)
	s.OndiskLogStart = DecodeVersion(d)
	s.Created, s.LastEpochClean = d.U32(), d.U32()
	s.Parent = object.DecodePGID(d)
	s.ParentSplitBits = d.U32()
	s.LastScrub, s.LastScrubStamp = DecodeVersion(d), d.Time()
	s.Stats = DecodeObjectStatCollection(d)
	s.LogSize, s.OndiskLogSize = d.I64(), d.I64()
	s.Up = wire.ReadSlice(d, 4, wire.GetI32)
	s.Acting = wire.ReadSlice(d, 4, wire.GetI32)
	for _, t := range []*time.Time{&s.LastFresh, &s.LastChange, &s.LastActive, &s.LastClean, &s.LastUnstale} {
		*t = d.Time()
	}
	s.MappingEpoch = d.U32()
	s.LastDeepScrub, s.LastDeepScrubStamp = DecodeVersion(d), d.Time()
	s.StatsInvalid = d.Bool()
	s.LastCleanScrubStamp, s.LastBecameActive = d.Time(), d.Time()
	s.DirtyStatsInvalid = d.Bool()
	s.UpPrimary, s.ActingPrimary = d.I32(), d.I32()
	s.OmapStatsInvalid, s.HitSetStatsInvalid = d.Bool(), d.Bool()
	s.BlockedBy = wire.ReadSlice(d, 4, wire.GetI32)
	s.LastUndegraded, s.LastFullsized = d.Time(), d.Time()
	s.HitSetBytesStatsInvalid = d.Bool()
	s.LastPeered, s.LastBecamePeered = d.Time(), d.Time()
	s.PinStatsInvalid = d.Bool()
	s.decodeNewer(d, sc.Version)
	d.End(sc)
	return s
}

// decodeNewer reads what versions after 22 added.
func (s *Stats) decodeNewer(d *wire.Decoder, version uint8) {
	if version >= 23 {
		s.SnapTrimQLen = d.U32()
	}
	if version >= 24 {
		s.State |= State(d.U32()) << 32
		s.PurgedSnaps = DecodeIntervalSet(d)
	}
	s.ManifestStatsInvalid = true
	if version >= 25 {
		s.ManifestStatsInvalid = d.Bool()
	}
	if version >= 26 {
		s.AvailNoMissing = wire.ReadSlice(d, pgShardSize, osdmap.DecodePGShard)
		s.LocationCounts = wire.ReadSlice(d, 8, func(d *wire.Decoder) LocationCount {
			return LocationCount{wire.ReadSlice(d, pgShardSize, osdmap.DecodePGShard), d.I32()}
		})
	}
}

func putPGShard(e *wire.Encoder, p PGShard) { p.Encode(e) }

// Clone returns a copy that shares no slice with s.
func (s *Stats) Clone() Stats {
	c := *s
	c.Up = slices.Clone(s.Up)
	c.Acting = slices.Clone(s.Acting)
	c.AvailNoMissing = slices.Clone(s.AvailNoMissing)
	c.LocationCounts = slices.Clone(s.LocationCounts)
	c.BlockedBy = slices.Clone(s.BlockedBy)
	return c
}

// PoolStat sums up a pool (pool_stat_t).
type PoolStat struct {
	Stats         ObjectStatCollection
	StoreStats    StoreStatfs
	LogSize       int64
	OndiskLogSize int64
	Up, Acting    int32 // members
	NumStoreStats int32 // how many OSDs' figures are in StoreStats
}

// AddPG adds the figures of one PG.
func (p *PoolStat) AddPG(s *Stats) {
	p.Stats.Sum.Add(&s.Stats.Sum)
	p.LogSize += s.LogSize
	p.OndiskLogSize += s.OndiskLogSize
	p.Up += int32(len(s.Up))
	p.Acting += int32(len(s.Acting))
}

// AddStore adds what one OSD says its objects of the pool take.
func (p *PoolStat) AddStore(s *StoreStatfs) {
	p.StoreStats.Add(s)
	p.NumStoreStats++
}

// Encode appends pool_stat_t, version 7.
func (p *PoolStat) Encode(e *wire.Encoder) {
	m := e.Begin(7, 5)
	p.Stats.Encode(e)
	e.I64(p.LogSize)
	e.I64(p.OndiskLogSize)
	e.I32(p.Up)
	e.I32(p.Acting)
	p.StoreStats.Encode(e)
	e.I32(p.NumStoreStats)
	e.End(m)
}

// DecodePoolStat reads pool_stat_t, version 6 and later.
func DecodePoolStat(d *wire.Decoder) PoolStat {
	s := d.Begin(7)
	if d.Err() == nil && s.Version < 6 {
		d.Fail("pool statistics of version %d", s.Version)
	}
	p := PoolStat{Stats: DecodeObjectStatCollection(d), LogSize: d.I64(), OndiskLogSize: d.I64(),
		Up: d.I32(), Acting: d.I32()}
	if s.Version >= 7 {
		p.StoreStats = DecodeStoreStatfs(d)
		p.NumStoreStats = d.I32()
	}
	d.End(s)
	return p
}
