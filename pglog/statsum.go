package pglog

import "sepiola/wire"

// ObjectStatSum counts the objects of a PG or pool (object_stat_sum_t). Fields
// named NumBytes are in bytes, those named KB in KiB.
type ObjectStatSum struct {
	NumBytes                   int64
	NumObjects                 int64
	NumObjectClones            int64
	NumObjectCopies            int64 // objects times copies
	NumObjectsMissingOnPrimary int64
	NumObjectsDegraded         int64
	NumObjectsUnfound          int64
	NumRd                      int64
	NumRdKB                    int64
	NumWr                      int64
	NumWrKB                    int64
	NumScrubErrors             int64
	NumObjectsRecovered        int64
	NumBytesRecovered          int64
	NumKeysRecovered           int64
	NumShallowScrubErrors      int64
	NumDeepScrubErrors         int64
	NumObjectsDirty            int64
	NumWhiteouts               int64
	NumObjectsOmap             int64
	NumObjectsHitSetArchive    int64
	NumObjectsMisplaced        int64
	NumBytesHitSetArchive      int64
	NumFlush                   int64
	NumFlushKB                 int64
	NumEvict                   int64
	NumEvictKB                 int64
	NumPromote                 int64
	NumFlushModeHigh           int32 // 1 when so, else 0; likewise the next three
	NumFlushModeLow            int32
	NumEvictModeSome           int32
	NumEvictModeFull           int32
	NumObjectsPinned           int64
	NumObjectsMissing          int64
	NumLegacySnapsets          int64
	NumLargeOmapObjects        int64
	NumObjectsManifest         int64
	NumOmapBytes               int64
	NumOmapKeys                int64
	NumObjectsRepaired         int64
}

// StatField is one counter of an [ObjectStatSum]: its name in Ceph's JSON, and
// where it is. Exactly one of the pointers is set.
type StatField struct {
	Name string
	I64  *int64
	I32  *int32
	// since is the version of the encoding that brought the counter.
	since uint8
}

// Fields returns all counters in the order of the encoding.
func (s *ObjectStatSum) Fields() [40]StatField {
	return [40]StatField{
		{Name: "num_bytes", I64: &s.NumBytes},
		{Name: "num_objects", I64: &s.NumObjects},
		{Name: "num_object_clones", I64: &s.NumObjectClones},
		{Name: "num_object_copies", I64: &s.NumObjectCopies},
		{Name: "num_objects_missing_on_primary", I64: &s.NumObjectsMissingOnPrimary},
		{Name: "num_objects_degraded", I64: &s.NumObjectsDegraded},
		{Name: "num_objects_unfound", I64: &s.NumObjectsUnfound},
		{Name: "num_read", I64: &s.NumRd},
		{Name: "num_read_kb", I64: &s.NumRdKB},
		{Name: "num_write", I64: &s.NumWr},
		{Name: "num_write_kb", I64: &s.NumWrKB},
		{Name: "num_scrub_errors", I64: &s.NumScrubErrors},
		{Name: "num_objects_recovered", I64: &s.NumObjectsRecovered},
		{Name: "num_bytes_recovered", I64: &s.NumBytesRecovered},
		{Name: "num_keys_recovered", I64: &s.NumKeysRecovered},
		{Name: "num_shallow_scrub_errors", I64: &s.NumShallowScrubErrors},
		{Name: "num_deep_scrub_errors", I64: &s.NumDeepScrubErrors},
		{Name: "num_objects_dirty", I64: &s.NumObjectsDirty},
		{Name: "num_whiteouts", I64: &s.NumWhiteouts},
		{Name: "num_objects_omap", I64: &s.NumObjectsOmap},
		{Name: "num_objects_hit_set_archive", I64: &s.NumObjectsHitSetArchive},
		{Name: "num_objects_misplaced", I64: &s.NumObjectsMisplaced},
		{Name: "num_bytes_hit_set_archive", I64: &s.NumBytesHitSetArchive},
		{Name: "num_flush", I64: &s.NumFlush},
		{Name: "num_flush_kb", I64: &s.NumFlushKB},
		{Name: "num_evict", I64: &s.NumEvict},
		{Name: "num_evict_kb", I64: &s.NumEvictKB},
		{Name: "num_promote", I64: &s.NumPromote},
		{Name: "num_flush_mode_high", I32: &s.NumFlushModeHigh},
		{Name: "num_flush_mode_low", I32: &s.NumFlushModeLow},
		{Name: "num_evict_mode_some", I32: &s.NumEvictModeSome},
		{Name: "num_evict_mode_full", I32: &s.NumEvictModeFull},
		{Name: "num_objects_pinned", I64: &s.NumObjectsPinned},
		{Name: "num_objects_missing", I64: &s.NumObjectsMissing},
		{Name: "num_legacy_snapsets", I64: &s.NumLegacySnapsets, since: 16},
		{Name: "num_large_omap_objects", I64: &s.NumLargeOmapObjects, since: 17},
		{Name: "num_objects_manifest", I64: &s.NumObjectsManifest, since: 18},
		{Name: "num_omap_bytes", I64: &s.NumOmapBytes, since: 19},
		{Name: "num_omap_keys", I64: &s.NumOmapKeys, since: 19},
		{Name: "num_objects_repaired", I64: &s.NumObjectsRepaired, since: 20},
	}
}

// combine sets each counter of s to itself plus sign times that of o.
func (s *ObjectStatSum) combine(o *ObjectStatSum, sign int64) {
	from := o.Fields()
	for i, f := range s.Fields() {
		if f.I64 != nil {
			*f.I64 += sign * *from[i].I64
		} else {
			*f.I32 += int32(sign) * *from[i].I32
		}
	}
}

// Add adds the counters of o.
func (s *ObjectStatSum) Add(o *ObjectStatSum) { s.combine(o, 1) }

// Sub subtracts the counters of o.
func (s *ObjectStatSum) Sub(o *ObjectStatSum) { s.combine(o, -1) }

// Floor raises counters below v to v.
func (s *ObjectStatSum) Floor(v int64) {
	for _, f := range s.Fields() {
		if f.I64 != nil {
			*f.I64 = max(*f.I64, v)
		} else {
			*f.I32 = max(*f.I32, int32(v))
		}
	}
}

// IsZero reports whether all counters are zero.
func (s *ObjectStatSum) IsZero() bool { return *s == ObjectStatSum{} }

// Encode appends object_stat_sum_t, version 20.
func (s *ObjectStatSum) Encode(e *wire.Encoder) {
	m := e.Begin(20, 14)
	for _, f := range s.Fields() {
		if f.I64 != nil {
			e.I64(*f.I64)
		} else {
			e.I32(*f.I32)
		}
	}
	e.End(m)
}

// DecodeObjectStatSum reads object_stat_sum_t, version 15 and later. Counters a
// version lacks are zero.
func DecodeObjectStatSum(d *wire.Decoder) ObjectStatSum {
	sc := d.Begin(20)
	if d.Err() == nil && sc.Version < 15 {
		d.Fail("statistics of version %d", sc.Version)
	}
	var s ObjectStatSum
	for _, f := range s.Fields() {
		switch {
		case sc.Version < f.since:
		case f.I64 != nil:
			*f.I64 = d.I64()
		default:
			*f.I32 = d.I32()
		}
	}
	d.End(sc)
	return s
}

// ObjectStatCollection wraps the one sum that is left of several
// (object_stat_collection_t).
type ObjectStatCollection struct{ Sum ObjectStatSum }

// Encode appends object_stat_collection_t, version 2.
func (c *ObjectStatCollection) Encode(e *wire.Encoder) {
	m := e.Begin(2, 2)
	c.Sum.Encode(e)
	e.U32(0) // once sums per category
	e.End(m)
}

// DecodeObjectStatCollection reads object_stat_collection_t.
func DecodeObjectStatCollection(d *wire.Decoder) ObjectStatCollection {
	s := d.Begin(2)
	c := ObjectStatCollection{Sum: DecodeObjectStatSum(d)}
	for range d.Count(4 + 6) {
		d.Skip(int(d.U32()))
		DecodeObjectStatSum(d)
		if d.Err() != nil {
			break
		}
	}
	d.End(s)
	return c
}
