package osdmap

import (
	"maps"
	"slices"
	"strconv"

	"sepiola/wire"
)

// PoolOpt numbers an optional setting of a pool (pool_opts_t::key_t).
type PoolOpt int32

// The optional settings of a pool.
const (
	OptScrubMinInterval PoolOpt = iota
	OptScrubMaxInterval
	OptDeepScrubInterval
	OptRecoveryPriority
	OptRecoveryOpPriority
	OptScrubPriority
	OptCompressionMode
	OptCompressionAlgorithm
	OptCompressionRequiredRatio
	OptCompressionMaxBlobSize
	OptCompressionMinBlobSize
	OptCsumType
	OptCsumMaxBlock
	OptCsumMinBlock
	OptFingerprintAlgorithm
	OptPGNumMin
	OptTargetSizeBytes
	OptTargetSizeRatio
	OptPGAutoscaleBias
	OptReadLeaseInterval
	OptDedupTier
	OptDedupChunkAlgorithm
	OptDedupCDCChunkSize
	OptPGNumMax // from 16.2.12
)

// OptKind says which field of a [PoolOptValue] counts (pool_opts_t::type_t).
type OptKind int32

// The kinds of values.
const (
	OptString OptKind = 0
	OptInt    OptKind = 1
	OptDouble OptKind = 2
)

// PoolOptValue is the value of an optional setting.
type PoolOptValue struct {
	Kind   OptKind
	Str    string
	Int    int64
	Double float64
}

// String returns the value as Ceph prints it in lists of pools.
func (v PoolOptValue) String() string {
	switch v.Kind {
	case OptInt:
		return strconv.FormatInt(v.Int, 10)
	case OptDouble:
		return strconv.FormatFloat(v.Double, 'g', 6, 64)
	}
	return v.Str
}

// PoolOptDesc describes an optional setting.
type PoolOptDesc struct {
	Name string
	Key  PoolOpt
	Kind OptKind
}

// PoolOptDescs lists the optional settings by name, sorted, which is the order
// in which Ceph prints them.
var PoolOptDescs = []PoolOptDesc{
	{"compression_algorithm", OptCompressionAlgorithm, OptString},
	{"compression_max_blob_size", OptCompressionMaxBlobSize, OptInt},
	{"compression_min_blob_size", OptCompressionMinBlobSize, OptInt},
	{"compression_mode", OptCompressionMode, OptString},
	{"compression_required_ratio", OptCompressionRequiredRatio, OptDouble},
	{"csum_max_block", OptCsumMaxBlock, OptInt},
	{"csum_min_block", OptCsumMinBlock, OptInt},
	{"csum_type", OptCsumType, OptInt},
	{"dedup_cdc_chunk_size", OptDedupCDCChunkSize, OptInt},
	{"dedup_chunk_algorithm", OptDedupChunkAlgorithm, OptString},
	{"dedup_tier", OptDedupTier, OptInt},
	{"deep_scrub_interval", OptDeepScrubInterval, OptDouble},
	{"fingerprint_algorithm", OptFingerprintAlgorithm, OptString},
	{"pg_autoscale_bias", OptPGAutoscaleBias, OptDouble},
	{"pg_num_max", OptPGNumMax, OptInt},
	{"pg_num_min", OptPGNumMin, OptInt},
	{"read_lease_interval", OptReadLeaseInterval, OptDouble},
	{"recovery_op_priority", OptRecoveryOpPriority, OptInt},
	{"recovery_priority", OptRecoveryPriority, OptInt},
	{"scrub_max_interval", OptScrubMaxInterval, OptDouble},
	{"scrub_min_interval", OptScrubMinInterval, OptDouble},
	{"scrub_priority", OptScrubPriority, OptInt},
	{"target_size_bytes", OptTargetSizeBytes, OptInt},
	{"target_size_ratio", OptTargetSizeRatio, OptDouble},
}

// FindPoolOpt returns the description of the setting called name.
func FindPoolOpt(name string) (PoolOptDesc, bool) {
	for _, d := range PoolOptDescs {
		if d.Name == name {
			return d, true
		}
	}
	return PoolOptDesc{}, false
}

// PoolOpts are the optional settings of a pool that are set (pool_opts_t).
type PoolOpts map[PoolOpt]PoolOptValue

// Double returns the value of a setting, or def if it is not set.
func (o PoolOpts) Double(k PoolOpt, def float64) float64 {
	if v, ok := o[k]; ok && v.Kind == OptDouble {
		return v.Double
	}
	return def
}

// Int returns the value of a setting, or def if it is not set.
func (o PoolOpts) Int(k PoolOpt, def int64) int64 {
	if v, ok := o[k]; ok && v.Kind == OptInt {
		return v.Int
	}
	return def
}

// With returns a copy in which the setting has the value.
func (o PoolOpts) With(k PoolOpt, v PoolOptValue) PoolOpts {
	c := maps.Clone(o)
	if c == nil {
		c = PoolOpts{}
	}
	c[k] = v
	return c
}

// Without returns a copy in which the setting is not set.
func (o PoolOpts) Without(k PoolOpt) PoolOpts {
	c := maps.Clone(o)
	delete(c, k)
	return c
}

func (o PoolOpts) encode(e *wire.Encoder) {
	m := e.Begin(2, 1)
	e.U32(uint32(len(o)))
	for _, k := range slices.Sorted(maps.Keys(o)) {
		v := o[k]
		e.I32(int32(k))
		e.I32(int32(v.Kind))
		switch v.Kind {
		case OptInt:
			e.I64(v.Int)
		case OptDouble:
			e.F64(v.Double)
		default:
			e.String(v.Str)
		}
	}
	e.End(m)
}

func decodePoolOpts(d *wire.Decoder) PoolOpts {
	s := d.Begin(2)
	o := PoolOpts(wire.ReadMap(d, 12,
		func(d *wire.Decoder) PoolOpt { return PoolOpt(d.I32()) },
		func(d *wire.Decoder) PoolOptValue {
			v := PoolOptValue{Kind: OptKind(d.I32())}
			switch v.Kind {
			case OptString:
				v.Str = d.String()
			case OptInt:
				if s.Version >= 2 {
					v.Int = d.I64()
				} else {
					v.Int = int64(d.I32())
				}
			case OptDouble:
				v.Double = d.F64()
			default:
				d.Fail("pool option of kind %d", v.Kind)
			}
			return v
		}))
	d.End(s)
	return o
}
