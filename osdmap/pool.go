package osdmap

import (
	"maps"
	"strings"
	"time"

	"sepiola/object"
)

// PoolType is how a pool keeps its copies (pg_pool_t::TYPE_*).
type PoolType uint8

// The types of pools.
const (
	PoolReplicated PoolType = 1
	PoolErasure    PoolType = 3
)

// String returns "replicated", "erasure" or "???".
func (t PoolType) String() string {
	switch t {
	case PoolReplicated:
		return "replicated"
	case PoolErasure:
		return "erasure"
	}
	return "???"
}

// Flags of a pool (pg_pool_t::FLAG_*).
const (
	PoolFlagHashPSPool           uint64 = 1 << 0
	PoolFlagFull                 uint64 = 1 << 1
	PoolFlagECOverwrites         uint64 = 1 << 2
	PoolFlagIncompleteClones     uint64 = 1 << 3
	PoolFlagNoDelete             uint64 = 1 << 4
	PoolFlagNoPGChange           uint64 = 1 << 5
	PoolFlagNoSizeChange         uint64 = 1 << 6
	PoolFlagWriteFadviseDontneed uint64 = 1 << 7
	PoolFlagNoScrub              uint64 = 1 << 8
	PoolFlagNoDeepScrub          uint64 = 1 << 9
	PoolFlagFullQuota            uint64 = 1 << 10
	PoolFlagNearFull             uint64 = 1 << 11
	PoolFlagBackfillFull         uint64 = 1 << 12
	PoolFlagSelfManagedSnaps     uint64 = 1 << 13
	PoolFlagPoolSnaps            uint64 = 1 << 14
	PoolFlagCreating             uint64 = 1 << 15
)

var poolFlagNames = []string{
	"hashpspool", "full", "ec_overwrites", "incomplete_clones", "nodelete", "nopgchange",
	"nosizechange", "write_fadvise_dontneed", "noscrub", "nodeep-scrub", "full_quota",
	"nearfull", "backfillfull", "selfmanaged_snaps", "pool_snaps", "creating",
}

// PoolFlagString returns the names of a pool's flags, comma-separated.
func PoolFlagString(flags uint64) string {
	var names []string
	for bit := range 64 {
		if flags&(1<<bit) == 0 {
			continue
		}
		name := "???"
		if bit < len(poolFlagNames) {
			name = poolFlagNames[bit]
		}
		names = append(names, name)
	}
	return strings.Join(names, ",")
}

// PoolFlagByName returns the flag called name, 0 if there is none.
func PoolFlagByName(name string) uint64 {
	for bit, n := range poolFlagNames {
		if n == name {
			return 1 << bit
		}
	}
	return 0
}

// CacheMode is how a cache tier serves its base pool
// (pg_pool_t::cache_mode_t).
type CacheMode uint8

var cacheModeNames = []string{
	"none", "writeback", "forward", "readonly", "readforward", "readproxy", "proxy",
}

// String returns Ceph's name of the mode.
func (m CacheMode) String() string {
	if int(m) < len(cacheModeNames) {
		return cacheModeNames[m]
	}
	return "unknown"
}

// AutoscaleMode says what to do about a pool's number of PGs
// (pg_pool_t::pg_autoscale_mode_t).
type AutoscaleMode uint8

// The modes of PG autoscaling.
const (
	AutoscaleOff     AutoscaleMode = 0
	AutoscaleWarn    AutoscaleMode = 1
	AutoscaleOn      AutoscaleMode = 2
	AutoscaleUnknown AutoscaleMode = 0xff
)

// String returns "off", "warn", "on" or "???".
func (m AutoscaleMode) String() string {
	switch m {
	case AutoscaleOff:
		return "off"
	case AutoscaleWarn:
		return "warn"
	case AutoscaleOn:
		return "on"
	}
	return "???"
}

// ParseAutoscaleMode is the inverse of [AutoscaleMode.String];
// AutoscaleUnknown if there is no such mode.
func ParseAutoscaleMode(s string) AutoscaleMode {
	for _, m := range []AutoscaleMode{AutoscaleOff, AutoscaleWarn, AutoscaleOn} {
		if m.String() == s {
			return m
		}
	}
	return AutoscaleUnknown
}

// PoolSnapInfo is a snapshot of a whole pool (pool_snap_info_t).
type PoolSnapInfo struct {
	ID    object.SnapID
	Stamp time.Time
	Name  string
}

// PGVersion is the position in a PG's log (eversion_t) as far as maps hold it.
type PGVersion struct {
	Epoch uint32
	V     uint64
}

// PGMergeMeta says how far both halves of the last PG merge had come
// (pg_merge_meta_t).
type PGMergeMeta struct {
	SourcePGID       object.PGID
	ReadyEpoch       uint32
	LastEpochStarted uint32
	LastEpochClean   uint32
	SourceVersion    PGVersion
	TargetVersion    PGVersion
}

// HitSetType is how hits on a cache tier are tracked (HitSet::impl_type_t).
type HitSetType uint8

// The types of hit sets.
const (
	HitSetNone           HitSetType = 0
	HitSetExplicitHash   HitSetType = 1
	HitSetExplicitObject HitSetType = 2
	HitSetBloom          HitSetType = 3
)

// String returns Ceph's name of the type.
func (t HitSetType) String() string {
	switch t {
	case HitSetNone:
		return "none"
	case HitSetExplicitHash:
		return "explicit_hash"
	case HitSetExplicitObject:
		return "explicit_object"
	case HitSetBloom:
		return "bloom"
	}
	return "???"
}

// HitSetParams are a pool's settings for hit sets (HitSet::Params). The last
// three count for the bloom type only.
type HitSetParams struct {
	Type       HitSetType
	FPPMicro   uint32 // false positives in a million
	TargetSize uint64
	Seed       uint64
}

// ItemNone stands for "no OSD" in vectors of erasure-coded pools and for "no
// bucket" (CRUSH_ITEM_NONE).
const ItemNone int32 = 0x7fffffff

// Pool is pg_pool_t: the settings of one pool. Once in a [Map] it is not
// written to; change a [Pool.Clone].
type Pool struct {
	CreateTime    time.Time
	Flags         uint64
	Type          PoolType
	Size          uint8
	MinSize       uint8
	CrushRule     uint8
	ObjectHash    object.HashType
	AutoscaleMode AutoscaleMode

	PGNum        uint32 // placement groups
	PGPNum       uint32 // distinct placements; at most PGNum
	PGNumPending uint32 // what PGNum is about to be merged down to
	PGNumTarget  uint32 // what PGNum is to become
	PGPNumTarget uint32

	Properties         map[string]string // obsolete
	ErasureCodeProfile string
	LastChange         uint32 // last epoch that changed the pool other than by snapshots

	// Stretch pools require OSDs in BucketCount buckets of type BucketBarrier.
	PeeringCrushBucketCount     uint32
	PeeringCrushBucketTarget    uint32
	PeeringCrushBucketBarrier   uint32
	PeeringCrushMandatoryMember int32 // ItemNone when there is none

	// Epochs since which clients have to send unfinished operations again.
	LastForceOpResend            uint32
	LastForceOpResendPreNautilus uint32
	LastForceOpResendPreLuminous uint32

	LastPGMergeMeta PGMergeMeta

	SnapSeq   object.SnapID
	SnapEpoch uint32
	AUID      uint64

	QuotaMaxBytes   uint64
	QuotaMaxObjects uint64

	Snaps        map[object.SnapID]PoolSnapInfo
	RemovedSnaps SnapSet // not maintained since Ceph 15

	Tiers     []uint64 // sorted
	TierOf    int64    // -1 when it is no tier
	ReadTier  int64
	WriteTier int64
	CacheMode CacheMode

	TargetMaxBytes                 uint64
	TargetMaxObjects               uint64
	CacheTargetDirtyRatioMicro     uint32
	CacheTargetDirtyHighRatioMicro uint32
	CacheTargetFullRatioMicro      uint32
	CacheMinFlushAge               uint32 // seconds
	CacheMinEvictAge               uint32 // seconds

	HitSet                    HitSetParams
	HitSetPeriod              uint32 // seconds
	HitSetCount               uint32
	UseGMTHitSet              bool
	MinReadRecencyForPromote  uint32
	MinWriteRecencyForPromote uint32
	HitSetGradeDecayRate      uint32
	HitSetSearchLastN         uint32

	StripeWidth        uint32 // bytes; erasure-coded pools
	ExpectedNumObjects uint64
	FastRead           bool

	Opts                PoolOpts
	ApplicationMetadata map[string]map[string]string
}

// NewPool returns a pool with the values of a fresh pg_pool_t.
func NewPool() *Pool {
	return &Pool{
		AutoscaleMode:               AutoscaleUnknown,
		PeeringCrushMandatoryMember: ItemNone,
		TierOf:                      -1,
		ReadTier:                    -1,
		WriteTier:                   -1,
		UseGMTHitSet:                true,
		Opts:                        PoolOpts{},
	}
}

// Clone returns a pool that can be changed without changing p: containers that
// are edited in place are copied.
func (p *Pool) Clone() *Pool {
	c := *p
	c.Properties = maps.Clone(p.Properties)
	c.Snaps = maps.Clone(p.Snaps)
	c.Opts = maps.Clone(p.Opts)
	if c.Opts == nil {
		c.Opts = PoolOpts{}
	}
	c.Tiers = append([]uint64(nil), p.Tiers...)
	if p.ApplicationMetadata != nil {
		c.ApplicationMetadata = make(map[string]map[string]string, len(p.ApplicationMetadata))
		for app, kv := range p.ApplicationMetadata {
			c.ApplicationMetadata[app] = maps.Clone(kv)
		}
	}
	return &c
}

// IsReplicated reports whether the pool keeps whole copies.
func (p *Pool) IsReplicated() bool { return p.Type == PoolReplicated }

// IsErasure reports whether the pool is erasure-coded.
func (p *Pool) IsErasure() bool { return p.Type == PoolErasure }

// CanShiftOSDs reports whether the order of OSDs in a PG carries no meaning
// beyond the first being the primary. In erasure-coded pools the position is
// the shard.
func (p *Pool) CanShiftOSDs() bool { return p.Type != PoolErasure }

// HasFlag reports whether any of the flags is set.
func (p *Pool) HasFlag(f uint64) bool { return p.Flags&f != 0 }

// IsStretch reports whether the pool is bound to several sites.
func (p *Pool) IsStretch() bool { return p.PeeringCrushBucketCount != 0 }

// IsPoolSnapsMode reports whether snapshots are of the whole pool.
func (p *Pool) IsPoolSnapsMode() bool { return p.HasFlag(PoolFlagPoolSnaps) }

// IsUnmanagedSnapsMode reports whether clients manage the snapshots.
func (p *Pool) IsUnmanagedSnapsMode() bool { return p.HasFlag(PoolFlagSelfManagedSnaps) }

// SetPGNum sets the number of PGs, and the pending number with it.
func (p *Pool) SetPGNum(n uint32) { p.PGNum, p.PGNumPending = n, n }

// PGNumMask is the least 2^k-1 that is at least PGNum-1.
func (p *Pool) PGNumMask() uint32 { return maskFor(p.PGNum) }

// PGPNumMask is the least 2^k-1 that is at least PGPNum-1.
func (p *Pool) PGPNumMask() uint32 { return maskFor(p.PGPNum) }

// SnapNamed returns the id of the pool snapshot called name.
func (p *Pool) SnapNamed(name string) (object.SnapID, bool) {
	for id, s := range p.Snaps {
		if s.Name == name {
			return id, true
		}
	}
	return 0, false
}
