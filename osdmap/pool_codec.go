package osdmap

import (
	"maps"
	"slices"

	"sepiola/object"
	"sepiola/wire"
)

// MaxPGNum is the greatest number of PGs per pool a decoder accepts: 16 times
// what Ceph's monitors allow by default (mon_max_pool_pg_num), and little
// enough to walk over.
const MaxPGNum = 1 << 20

// maxHitSets bounds a cache pool's hit sets, each of which has a line in dumps.
const maxHitSets = 1 << 16

const (
	poolVersion        = 29 // of pools within one site
	poolVersionStretch = 30
	poolVersionMin     = 27 // of Ceph 13, for pools in the maps Ceph 14 keeps
	poolCompat         = 5
)

// Encode appends pg_pool_t, version 29, or 30 for a stretch pool.
func (p *Pool) Encode(e *wire.Encoder) {
	version := uint8(poolVersion)
	if p.IsStretch() {
		version = poolVersionStretch
	}
	m := e.Begin(version, poolCompat)
	p.encodeBase(e)
	p.encodeTiering(e)
	e.String(p.ErasureCodeProfile)
	e.U32(p.LastForceOpResendPreLuminous)
	e.U32(p.MinReadRecencyForPromote)
	e.U64(p.ExpectedNumObjects)
	e.U32(p.CacheTargetDirtyHighRatioMicro)
	e.U32(p.MinWriteRecencyForPromote)
	e.Bool(p.UseGMTHitSet)
	e.Bool(p.FastRead)
	e.U32(p.HitSetGradeDecayRate)
	e.U32(p.HitSetSearchLastN)
	p.Opts.encode(e)
	e.U32(p.LastForceOpResendPreNautilus)
	wire.Map(e, p.ApplicationMetadata, wire.PutString, encodeStringMap)
	e.Time(p.CreateTime)
	e.U32(p.PGNumTarget)
	e.U32(p.PGPNumTarget)
	e.U32(p.PGNumPending)
	e.U64(0) // two epochs of 14.1 that moved into the merge's metadata
	e.U32(p.LastForceOpResend)
	e.U8(uint8(p.AutoscaleMode))
	p.LastPGMergeMeta.encode(e)
	if version >= poolVersionStretch {
		e.U32(p.PeeringCrushBucketCount)
		e.U32(p.PeeringCrushBucketTarget)
		e.U32(p.PeeringCrushBucketBarrier)
		e.I32(p.PeeringCrushMandatoryMember)
	}
	e.End(m)
}

func (p *Pool) encodeBase(e *wire.Encoder) {
	e.U8(uint8(p.Type))
	e.U8(p.Size)
	e.U8(p.CrushRule)
	e.U8(uint8(p.ObjectHash))
	e.U32(p.PGNum)
	e.U32(p.PGPNum)
	e.U64(0) // numbers of localized PGs, which are no more
	e.U32(p.LastChange)
	e.U64(uint64(p.SnapSeq))
	e.U32(p.SnapEpoch)
	wire.Map(e, p.Snaps, encodeSnapID, encodePoolSnap)
	encodeSnapSet(e, p.RemovedSnaps)
	e.U64(p.AUID)
	e.U64(p.Flags)
	e.U32(0) // crash replay interval
	e.U8(p.MinSize)
	e.U64(p.QuotaMaxBytes)
	e.U64(p.QuotaMaxObjects)
}

func (p *Pool) encodeTiering(e *wire.Encoder) {
	wire.Slice(e, p.Tiers, wire.PutU64)
	e.I64(p.TierOf)
	e.U8(uint8(p.CacheMode))
	e.I64(p.ReadTier)
	e.I64(p.WriteTier)
	encodeStringMap(e, p.Properties)
	p.HitSet.encode(e)
	e.U32(p.HitSetPeriod)
	e.U32(p.HitSetCount)
	e.U32(p.StripeWidth)
	e.U64(p.TargetMaxBytes)
	e.U64(p.TargetMaxObjects)
	e.U32(p.CacheTargetDirtyRatioMicro)
	e.U32(p.CacheTargetFullRatioMicro)
	e.U32(p.CacheMinFlushAge)
	e.U32(p.CacheMinEvictAge)
}

// DecodePool reads pg_pool_t, version 27 and later.
func DecodePool(d *wire.Decoder) *Pool {
	s := d.Begin(poolVersionStretch)
	if d.Err() == nil && s.Version < poolVersionMin {
		d.Fail("pool of version %d", s.Version)
	}
	p := NewPool()
	p.decodeBase(d)
	p.decodeTiering(d)
	p.ErasureCodeProfile = d.String()
	p.LastForceOpResendPreLuminous = d.U32()
	p.MinReadRecencyForPromote = d.U32()
	p.ExpectedNumObjects = d.U64()
	p.CacheTargetDirtyHighRatioMicro = d.U32()
	p.MinWriteRecencyForPromote = d.U32()
	p.UseGMTHitSet = d.Bool()
	p.FastRead = d.Bool()
	p.HitSetGradeDecayRate = d.U32()
	p.HitSetSearchLastN = d.U32()
	p.Opts = decodePoolOpts(d)
	p.LastForceOpResendPreNautilus = d.U32()
	p.ApplicationMetadata = wire.ReadMap(d, 8, wire.GetString, decodeStringMap)
	p.CreateTime = d.Time()
	p.decodeTargets(d, s.Version)
	if s.Version >= 30 {
		p.PeeringCrushBucketCount = d.U32()
		p.PeeringCrushBucketTarget = d.U32()
		p.PeeringCrushBucketBarrier = d.U32()
		p.PeeringCrushMandatoryMember = d.I32()
	}
	d.End(s)
	if p.HitSetCount > maxHitSets {
		d.Fail("pool with %d hit sets", p.HitSetCount)
	}
	if p.PGNum > MaxPGNum || p.PGPNum > MaxPGNum || p.PGNumPending > MaxPGNum {
		d.Fail("pool with %d PGs", max(p.PGNum, p.PGPNum, p.PGNumPending))
	}
	return p
}

func (p *Pool) decodeBase(d *wire.Decoder) {
	p.Type = PoolType(d.U8())
	p.Size = d.U8()
	p.CrushRule = d.U8()
	p.ObjectHash = object.HashType(d.U8())
	p.PGNum = d.U32()
	p.PGPNum = d.U32()
	d.Skip(8)
	p.LastChange = d.U32()
	p.SnapSeq = object.SnapID(d.U64())
	p.SnapEpoch = d.U32()
	p.Snaps = wire.ReadMap(d, 30, decodeSnapID, decodePoolSnap)
	p.RemovedSnaps = decodeSnapSet(d)
	p.AUID = d.U64()
	p.Flags = d.U64()
	d.Skip(4)
	// Before Ceph 13 the mode of snapshots had to be guessed.
	if p.SnapSeq > 0 && !p.HasFlag(PoolFlagSelfManagedSnaps|PoolFlagPoolSnaps) {
		if len(p.RemovedSnaps) > 0 {
			p.Flags |= PoolFlagSelfManagedSnaps
		} else {
			p.Flags |= PoolFlagPoolSnaps
		}
	}
	p.MinSize = d.U8()
	p.QuotaMaxBytes = d.U64()
	p.QuotaMaxObjects = d.U64()
}

func (p *Pool) decodeTiering(d *wire.Decoder) {
	p.Tiers = wire.ReadSlice(d, 8, wire.GetU64)
	slices.Sort(p.Tiers)
	p.Tiers = slices.Compact(p.Tiers)
	p.TierOf = d.I64()
	p.CacheMode = CacheMode(d.U8())
	p.ReadTier = d.I64()
	p.WriteTier = d.I64()
	p.Properties = decodeStringMap(d)
	p.HitSet = decodeHitSetParams(d)
	p.HitSetPeriod = d.U32()
	p.HitSetCount = d.U32()
	p.StripeWidth = d.U32()
	p.TargetMaxBytes = d.U64()
	p.TargetMaxObjects = d.U64()
	p.CacheTargetDirtyRatioMicro = d.U32()
	p.CacheTargetFullRatioMicro = d.U32()
	p.CacheMinFlushAge = d.U32()
	p.CacheMinEvictAge = d.U32()
}

func (p *Pool) decodeTargets(d *wire.Decoder, version uint8) {
	if version < 28 {
		p.PGNumTarget, p.PGPNumTarget, p.PGNumPending = p.PGNum, p.PGPNum, p.PGNum
		p.LastForceOpResend = p.LastForceOpResendPreNautilus
		p.AutoscaleMode = AutoscaleWarn
		return
	}
	p.PGNumTarget = d.U32()
	p.PGPNumTarget = d.U32()
	p.PGNumPending = d.U32()
	started, clean := d.U32(), d.U32()
	p.LastForceOpResend = d.U32()
	p.AutoscaleMode = AutoscaleMode(d.U8())
	if version >= 29 {
		p.LastPGMergeMeta = decodePGMergeMeta(d)
	} else {
		p.LastPGMergeMeta.LastEpochStarted = started
		p.LastPGMergeMeta.LastEpochClean = clean
	}
}

func encodeSnapID(e *wire.Encoder, s object.SnapID) { e.U64(uint64(s)) }
func decodeSnapID(d *wire.Decoder) object.SnapID    { return object.SnapID(d.U64()) }

func encodePoolSnap(e *wire.Encoder, s PoolSnapInfo) {
	m := e.Begin(2, 2)
	e.U64(uint64(s.ID))
	e.Time(s.Stamp)
	e.String(s.Name)
	e.End(m)
}

func decodePoolSnap(d *wire.Decoder) PoolSnapInfo {
	sc := d.Begin(2)
	s := PoolSnapInfo{object.SnapID(d.U64()), d.Time(), d.String()}
	d.End(sc)
	return s
}

func (v PGVersion) encode(e *wire.Encoder) {
	e.U64(v.V)
	e.U32(v.Epoch)
}

func decodePGVersion(d *wire.Decoder) PGVersion {
	v := d.U64()
	return PGVersion{V: v, Epoch: d.U32()}
}

func (g PGMergeMeta) encode(e *wire.Encoder) {
	m := e.Begin(1, 1)
	g.SourcePGID.Encode(e)
	e.U32(g.ReadyEpoch)
	e.U32(g.LastEpochStarted)
	e.U32(g.LastEpochClean)
	g.SourceVersion.encode(e)
	g.TargetVersion.encode(e)
	e.End(m)
}

func decodePGMergeMeta(d *wire.Decoder) PGMergeMeta {
	s := d.Begin(1)
	g := PGMergeMeta{
		SourcePGID:       object.DecodePGID(d),
		ReadyEpoch:       d.U32(),
		LastEpochStarted: d.U32(),
		LastEpochClean:   d.U32(),
		SourceVersion:    decodePGVersion(d),
		TargetVersion:    decodePGVersion(d),
	}
	d.End(s)
	return g
}

func (h HitSetParams) encode(e *wire.Encoder) {
	m := e.Begin(1, 1)
	e.U8(uint8(h.Type))
	if h.Type == HitSetBloom {
		inner := e.Begin(1, 1)
		e.U32(h.FPPMicro)
		e.U64(h.TargetSize)
		e.U64(h.Seed)
		e.End(inner)
	}
	e.End(m)
}

func decodeHitSetParams(d *wire.Decoder) HitSetParams {
	s := d.Begin(1)
	h := HitSetParams{Type: HitSetType(d.U8())}
	switch {
	case h.Type == HitSetBloom:
		inner := d.Begin(1)
		h.FPPMicro, h.TargetSize, h.Seed = d.U32(), d.U64(), d.U64()
		d.End(inner)
	case h.Type > HitSetBloom:
		d.Fail("hit set of type %d", h.Type)
	}
	d.End(s)
	return h
}

func encodeStringMap(e *wire.Encoder, m map[string]string) {
	wire.Map(e, m, wire.PutString, wire.PutString)
}

func decodeStringMap(d *wire.Decoder) map[string]string {
	return wire.ReadMap(d, 8, wire.GetString, wire.GetString)
}

// encodeSet appends a std::set of the keys of s.
func encodeSet[K comparable](e *wire.Encoder, s map[K]bool, cmp func(a, b K) int, enc func(*wire.Encoder, K)) {
	wire.Slice(e, slices.SortedFunc(maps.Keys(s), cmp), enc)
}

func decodeSet[K comparable](d *wire.Decoder, minSize int, dec func(*wire.Decoder) K) map[K]bool {
	n := d.Count(minSize)
	out := make(map[K]bool, min(n, 1<<12))
	for range n {
		k := dec(d)
		if d.Err() != nil {
			return out
		}
		out[k] = true
	}
	return out
}

// encodeByFunc appends a map whose key order is given by cmp.
func encodeByFunc[K comparable, V any](e *wire.Encoder, m map[K]V, cmp func(a, b K) int,
	key func(*wire.Encoder, K), val func(*wire.Encoder, V)) {
	e.U32(uint32(len(m)))
	for _, k := range slices.SortedFunc(maps.Keys(m), cmp) {
		key(e, k)
		val(e, m[k])
	}
}
