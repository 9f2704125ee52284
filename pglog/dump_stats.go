package pglog

import (
	"strings"

	"sepiola/jsonfmt"
)

// The DumpJSON methods write the fields of a value into the object that is open, in
// the order and under the names of the dump methods in src/osd/osd_types.cc of Ceph
// 16.

// DumpJSON writes a PG's figures (pg_stat_t::dump).
func (s *Stats) DumpJSON(w *jsonfmt.Writer) {
	w.String("version", s.Version.String())
	w.Uint("reported_seq", s.ReportedSeq)
	w.Uint("reported_epoch", uint64(s.ReportedEpoch))
	w.String("state", s.State.String())
	w.Time("last_fresh", s.LastFresh)
	w.Time("last_change", s.LastChange)
	w.Time("last_active", s.LastActive)
	w.Time("last_peered", s.LastPeered)
	w.Time("last_clean", s.LastClean)
	w.Time("last_became_active", s.LastBecameActive)
	w.Time("last_became_peered", s.LastBecamePeered)
	w.Time("last_unstale", s.LastUnstale)
	w.Time("last_undegraded", s.LastUndegraded)
	w.Time("last_fullsized", s.LastFullsized)
	w.Uint("mapping_epoch", uint64(s.MappingEpoch))
	w.String("log_start", s.LogStart.String())
	w.String("ondisk_log_start", s.OndiskLogStart.String())
	w.Uint("created", uint64(s.Created))
	w.Uint("last_epoch_clean", uint64(s.LastEpochClean))
	w.String("parent", s.Parent.String())
	w.Uint("parent_split_bits", uint64(s.ParentSplitBits))
	w.String("last_scrub", s.LastScrub.String())
	w.Time("last_scrub_stamp", s.LastScrubStamp)
	w.String("last_deep_scrub", s.LastDeepScrub.String())
	w.Time("last_deep_scrub_stamp", s.LastDeepScrubStamp)
	w.Time("last_clean_scrub_stamp", s.LastCleanScrubStamp)
	w.Int("log_size", s.LogSize)
	w.Int("ondisk_log_size", s.OndiskLogSize)
	w.Bool("stats_invalid", s.StatsInvalid)
	w.Bool("dirty_stats_invalid", s.DirtyStatsInvalid)
	w.Bool("omap_stats_invalid", s.OmapStatsInvalid)
	w.Bool("hitset_stats_invalid", s.HitSetStatsInvalid)
	w.Bool("hitset_bytes_stats_invalid", s.HitSetBytesStatsInvalid)
	w.Bool("pin_stats_invalid", s.PinStatsInvalid)
	w.Bool("manifest_stats_invalid", s.ManifestStatsInvalid)
	w.Uint("snaptrimq_len", uint64(s.SnapTrimQLen))
	s.Stats.Sum.DumpJSON(w)
	dumpNumbers(w, "up", s.Up)
	dumpNumbers(w, "acting", s.Acting)
	s.dumpLocations(w)
	dumpNumbers(w, "blocked_by", s.BlockedBy)
	w.Int("up_primary", int64(s.UpPrimary))
	w.Int("acting_primary", int64(s.ActingPrimary))
	s.PurgedSnaps.dump(w, "purged_snaps")
}

func (s *Stats) dumpLocations(w *jsonfmt.Writer) {
	w.Strings("avail_no_missing", shardNames(s.AvailNoMissing))
	w.OpenArray("object_location_counts")
	for _, c := range s.LocationCounts {
		w.OpenObject("")
		w.String("shards", strings.Join(shardNames(c.Members), ","))
		w.Int("objects", int64(c.Count))
		w.Close()
	}
	w.Close()
}

func shardNames(list []PGShard) []string {
	out := make([]string, len(list))
	for i, p := range list {
		out[i] = p.String()
	}
	return out
}

func dumpNumbers(w *jsonfmt.Writer, name string, list []int32) {
	w.OpenArray(name)
	for _, n := range list {
		w.Int("", int64(n))
	}
	w.Close()
}

// DumpJSON writes the sums as the object "stat_sum" (object_stat_sum_t::dump).
func (s *ObjectStatSum) DumpJSON(w *jsonfmt.Writer) {
	w.OpenObject("stat_sum")
	fields := s.Fields()
	for _, name := range sumOrder {
		for _, f := range fields {
			switch {
			case f.Name != name:
			case f.I64 != nil:
				w.Int(f.Name, *f.I64)
			default:
				w.Int(f.Name, int64(*f.I32))
			}
		}
	}
	w.Close()
}

// sumOrder is the order in which Ceph prints an object_stat_sum_t, which is not
// that of its encoding.
var sumOrder = []string{"num_bytes", "num_objects", "num_object_clones", "num_object_copies", "num_objects_missing_on_primary",
	"num_objects_missing", "num_objects_degraded", "num_objects_misplaced", "num_objects_unfound", "num_objects_dirty", "num_whiteouts",
	"num_read", "num_read_kb", "num_write", "num_write_kb", "num_scrub_errors", "num_shallow_scrub_errors", "num_deep_scrub_errors",
	"num_objects_recovered", "num_bytes_recovered", "num_keys_recovered", "num_objects_omap", "num_objects_hit_set_archive",
	"num_bytes_hit_set_archive", "num_flush", "num_flush_kb", "num_evict", "num_evict_kb", "num_promote", "num_flush_mode_high",
	"num_flush_mode_low", "num_evict_mode_some", "num_evict_mode_full", "num_objects_pinned", "num_legacy_snapsets",
	"num_large_omap_objects", "num_objects_manifest", "num_omap_bytes", "num_omap_keys", "num_objects_repaired"}

// DumpJSON writes space figures (store_statfs_t::dump).
func (s *StoreStatfs) DumpJSON(w *jsonfmt.Writer) {
	w.Uint("total", s.Total)
	w.Uint("available", s.Available)
	w.Uint("internally_reserved", s.InternallyReserved)
	w.Int("allocated", s.Allocated)
	w.Int("data_stored", s.DataStored)
	w.Int("data_compressed", s.DataCompressed)
	w.Int("data_compressed_allocated", s.DataCompressedAllocated)
	w.Int("data_compressed_original", s.DataCompressedOriginal)
	w.Int("omap_allocated", s.OmapAllocated)
	w.Int("internal_metadata", s.InternalMetadata)
}
