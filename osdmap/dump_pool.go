package osdmap

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"sepiola/jsonfmt"
)

func unixOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func dumpEpoch(w *jsonfmt.Writer, name string, e uint32) { w.Stringf(name, "%d", e) }

// DumpJSON writes the fields of the pool into the open object
// (pg_pool_t::dump). Epochs of last changes are strings, as in Ceph.
func (p *Pool) DumpJSON(w *jsonfmt.Writer) {
	w.Time("create_time", p.CreateTime)
	w.Uint("flags", p.Flags)
	w.String("flags_names", PoolFlagString(p.Flags))
	w.Int("type", int64(p.Type))
	w.Int("size", int64(p.Size))
	w.Int("min_size", int64(p.MinSize))
	w.Int("crush_rule", int64(p.CrushRule))
	w.Int("peering_crush_bucket_count", int64(p.PeeringCrushBucketCount))
	w.Int("peering_crush_bucket_target", int64(p.PeeringCrushBucketTarget))
	w.Int("peering_crush_bucket_barrier", int64(p.PeeringCrushBucketBarrier))
	w.Int("peering_crush_bucket_mandatory_member", int64(p.PeeringCrushMandatoryMember))
	w.Int("object_hash", int64(p.ObjectHash))
	w.String("pg_autoscale_mode", p.AutoscaleMode.String())
	w.Uint("pg_num", uint64(p.PGNum))
	w.Uint("pg_placement_num", uint64(p.PGPNum))
	w.Uint("pg_placement_num_target", uint64(p.PGPNumTarget))
	w.Uint("pg_num_target", uint64(p.PGNumTarget))
	w.Uint("pg_num_pending", uint64(p.PGNumPending))
	w.OpenObject("last_pg_merge_meta")
	p.LastPGMergeMeta.dump(w)
	w.Close()
	dumpEpoch(w, "last_change", p.LastChange)
	dumpEpoch(w, "last_force_op_resend", p.LastForceOpResend)
	dumpEpoch(w, "last_force_op_resend_prenautilus", p.LastForceOpResendPreNautilus)
	dumpEpoch(w, "last_force_op_resend_preluminous", p.LastForceOpResendPreLuminous)
	w.Uint("auid", p.AUID)
	p.dumpSnaps(w)
	w.Uint("quota_max_bytes", p.QuotaMaxBytes)
	w.Uint("quota_max_objects", p.QuotaMaxObjects)
	p.dumpTiering(w)
	w.Uint("stripe_width", uint64(p.StripeWidth))
	w.Uint("expected_num_objects", p.ExpectedNumObjects)
	w.Bool("fast_read", p.FastRead)
	w.OpenObject("options")
	p.Opts.dump(w)
	w.Close()
	w.OpenObject("application_metadata")
	for _, app := range slices.Sorted(maps.Keys(p.ApplicationMetadata)) {
		w.OpenObject(app)
		dumpStrings(w, p.ApplicationMetadata[app])
		w.Close()
	}
	w.Close()
}

func (p *Pool) dumpSnaps(w *jsonfmt.Writer) {
	mode := "selfmanaged"
	if p.IsPoolSnapsMode() {
		mode = "pool"
	}
	w.String("snap_mode", mode)
	w.Uint("snap_seq", uint64(p.SnapSeq))
	w.Uint("snap_epoch", uint64(p.SnapEpoch))
	w.OpenArray("pool_snaps")
	for _, id := range slices.Sorted(maps.Keys(p.Snaps)) {
		s := p.Snaps[id]
		w.OpenObject("pool_snap_info")
		w.Uint("snapid", uint64(s.ID))
		w.Time("stamp", s.Stamp)
		w.String("name", s.Name)
		w.Close()
	}
	w.Close()
	w.String("removed_snaps", p.RemovedSnaps.String())
}

func (p *Pool) dumpTiering(w *jsonfmt.Writer) {
	w.OpenArray("tiers")
	for _, t := range p.Tiers {
		w.Uint("pool_id", t)
	}
	w.Close()
	w.Int("tier_of", p.TierOf)
	w.Int("read_tier", p.ReadTier)
	w.Int("write_tier", p.WriteTier)
	w.String("cache_mode", p.CacheMode.String())
	w.Uint("target_max_bytes", p.TargetMaxBytes)
	w.Uint("target_max_objects", p.TargetMaxObjects)
	w.Uint("cache_target_dirty_ratio_micro", uint64(p.CacheTargetDirtyRatioMicro))
	w.Uint("cache_target_dirty_high_ratio_micro", uint64(p.CacheTargetDirtyHighRatioMicro))
	w.Uint("cache_target_full_ratio_micro", uint64(p.CacheTargetFullRatioMicro))
	w.Uint("cache_min_flush_age", uint64(p.CacheMinFlushAge))
	w.Uint("cache_min_evict_age", uint64(p.CacheMinEvictAge))
	w.String("erasure_code_profile", p.ErasureCodeProfile)
	w.OpenObject("hit_set_params")
	w.String("type", p.HitSet.Type.String())
	if p.HitSet.Type == HitSetBloom {
		w.Float("false_positive_probability", float64(p.HitSet.FPPMicro)/1e6)
		w.Int("target_size", int64(p.HitSet.TargetSize))
		w.Int("seed", int64(p.HitSet.Seed))
	}
	w.Close()
	w.Uint("hit_set_period", uint64(p.HitSetPeriod))
	w.Uint("hit_set_count", uint64(p.HitSetCount))
	w.Bool("use_gmt_hitset", p.UseGMTHitSet)
	w.Uint("min_read_recency_for_promote", uint64(p.MinReadRecencyForPromote))
	w.Uint("min_write_recency_for_promote", uint64(p.MinWriteRecencyForPromote))
	w.Uint("hit_set_grade_decay_rate", uint64(p.HitSetGradeDecayRate))
	w.Uint("hit_set_search_last_n", uint64(p.HitSetSearchLastN))
	w.OpenArray("grade_table")
	grade := uint32(1000000)
	for range p.HitSetCount {
		grade = uint32(float64(grade) * (1 - float64(p.HitSetGradeDecayRate)/100))
		w.Uint("value", uint64(grade))
	}
	w.Close()
}

func (g PGMergeMeta) dump(w *jsonfmt.Writer) {
	w.String("source_pgid", g.SourcePGID.String())
	w.Uint("ready_epoch", uint64(g.ReadyEpoch))
	w.Uint("last_epoch_started", uint64(g.LastEpochStarted))
	w.Uint("last_epoch_clean", uint64(g.LastEpochClean))
	w.String("source_version", g.SourceVersion.String())
	w.String("target_version", g.TargetVersion.String())
}

// String returns Ceph's form, "12'345".
func (v PGVersion) String() string { return fmt.Sprintf("%d'%d", v.Epoch, v.V) }

func (o PoolOpts) dump(w *jsonfmt.Writer) {
	for _, d := range PoolOptDescs {
		v, ok := o[d.Key]
		switch {
		case !ok:
		case v.Kind == OptInt:
			w.Int(d.Name, v.Int)
		case v.Kind == OptDouble:
			w.Float(d.Name, v.Double)
		default:
			w.String(d.Name, v.Str)
		}
	}
}
