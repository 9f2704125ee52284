package osdmap

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sepiola/jsonfmt"
)

// ratio prints a C float as a stream does.
func ratio(f float32) string { return jsonfmt.Float(float64(f), 6) }

// Print returns what `ceph osd dump` and `osdmaptool --print` print
// (OSDMap::print).
func (m *Map) Print() string {
	var b strings.Builder
	fmt.Fprintf(&b, "epoch %d\nfsid %s\ncreated %s\nmodified %s\n",
		m.Epoch, m.FSID, jsonfmt.Stamp(m.Created), jsonfmt.Stamp(m.Modified))
	fmt.Fprintf(&b, "flags %s\ncrush_version %d\nfull_ratio %s\nbackfillfull_ratio %s\nnearfull_ratio %s\n",
		FlagString(m.Flags), m.CrushVersion, ratio(m.FullRatio), ratio(m.BackfillFullRatio), ratio(m.NearFullRatio))
	if m.RequireMinCompatClient != ReleaseUnknown {
		fmt.Fprintf(&b, "require_min_compat_client %s\n", m.RequireMinCompatClient)
	}
	fmt.Fprintf(&b, "min_compat_client %s\n", m.MinCompatClient())
	if m.RequireOSDRelease != ReleaseUnknown {
		fmt.Fprintf(&b, "require_osd_release %s\n", m.RequireOSDRelease)
	}
	fmt.Fprintf(&b, "stretch_mode_enabled %t\n", m.StretchModeEnabled)
	if m.StretchModeEnabled {
		fmt.Fprintf(&b, "stretch_bucket_count %d\ndegraded_stretch_mode %d\nrecovering_stretch_mode %d\nstretch_mode_bucket %d\n",
			m.StretchBucketCount, m.DegradedStretchMode, m.RecoveringStretchMode, m.StretchModeBucket)
	}
	if s := m.clusterSnapshot(); s != "" {
		fmt.Fprintf(&b, "cluster_snapshot %s\n", s)
	}
	fmt.Fprintf(&b, "\n%smax_osd %d\n", m.PrintPools(), m.MaxOSD)
	for _, osd := range m.OSDs() {
		b.WriteString(m.PrintOSD(osd))
	}
	b.WriteByte('\n')
	m.printMappings(&b)
	for _, a := range slices.SortedFunc(maps.Keys(m.Blocklist), compareAddrBytes) {
		fmt.Fprintf(&b, "blocklist %s expires %s\n", BlocklistString(a), jsonfmt.Stamp(m.Blocklist[a]))
	}
	for _, a := range slices.SortedFunc(maps.Keys(m.RangeBlocklist), compareAddrBytes) {
		fmt.Fprintf(&b, "range blocklist %s expires %s\n", BlocklistString(a), jsonfmt.Stamp(m.RangeBlocklist[a]))
	}
	return b.String()
}

func (m *Map) printMappings(b *strings.Builder) {
	for _, pg := range sortedPGs(m.PGUpmap) {
		fmt.Fprintf(b, "pg_upmap %s %s\n", pg, OSDsString(m.PGUpmap[pg]))
	}
	for _, pg := range sortedPGs(m.PGUpmapItems) {
		var pairs []int32
		for _, i := range m.PGUpmapItems[pg] {
			pairs = append(pairs, i.From, i.To)
		}
		fmt.Fprintf(b, "pg_upmap_items %s %s\n", pg, OSDsString(pairs))
	}
	for _, pg := range sortedPGs(m.PGTemp) {
		fmt.Fprintf(b, "pg_temp %s %s\n", pg, OSDsString(m.PGTemp[pg]))
	}
	for _, pg := range sortedPGs(m.PrimaryTemp) {
		fmt.Fprintf(b, "primary_temp %s %d\n", pg, m.PrimaryTemp[pg])
	}
}

// OSDsString prints a vector of OSDs as "[0,2,1]".
func OSDsString(v []int32) string {
	return strings.ReplaceAll(fmt.Sprint(v), " ", ",")
}

// PrintPools returns the lines of `ceph osd pool ls detail`, with an empty one
// at the end.
func (m *Map) PrintPools() string {
	var b strings.Builder
	for _, id := range m.PoolIDs() {
		p := m.Pools[id]
		fmt.Fprintf(&b, "pool %d '%s' %s\n", id, m.poolName(id), p)
		for _, s := range slices.Sorted(maps.Keys(p.Snaps)) {
			snap := p.Snaps[s]
			fmt.Fprintf(&b, "\tsnap %s '%s' %s\n", snap.ID, snap.Name, jsonfmt.Stamp(snap.Stamp))
		}
		if len(p.RemovedSnaps) > 0 {
			fmt.Fprintf(&b, "\tremoved_snaps %s\n", p.RemovedSnaps)
		}
		if q, ok := m.RemovedSnapsQueue[id]; ok {
			fmt.Fprintf(&b, "\tremoved_snaps_queue %s\n", q)
		}
	}
	b.WriteByte('\n')
	return b.String()
}

// PrintOSD returns the OSD's line of `ceph osd dump`; nothing if it does not
// exist.
func (m *Map) PrintOSD(osd int32) string {
	if !m.Exists(osd) {
		return ""
	}
	var b strings.Builder
	up, in := "down", "out"
	if m.IsUp(osd) {
		up = "up  "
	}
	if m.IsIn(osd) {
		in = "in "
	}
	fmt.Fprintf(&b, "osd.%d %s %s weight %s", osd, up, in, jsonfmt.Float(fraction(m.OSDWeight[osd]), 6))
	if a := m.Affinity(osd); a != DefaultPrimaryAffinity {
		fmt.Fprintf(&b, " primary_affinity %s", jsonfmt.Float(fraction(a), 6))
	}
	fmt.Fprintf(&b, " %s %s %s %s", m.OSDInfo[osd], addrsString(m.ClientAddrs[osd]),
		addrsString(m.ClusterAddrs[osd]), strings.Join(StateNames(m.OSDState[osd]), ","))
	if u := m.OSDUUID[osd]; !u.IsZero() {
		fmt.Fprintf(&b, " %s", u)
	}
	b.WriteByte('\n')
	return b.String()
}

// String returns Ceph's form.
func (i OSDInfo) String() string {
	s := fmt.Sprintf("up_from %d up_thru %d down_at %d last_clean_interval [%d,%d)",
		i.UpFrom, i.UpThru, i.DownAt, i.LastCleanBegin, i.LastCleanEnd)
	if i.LostAt != 0 {
		s += fmt.Sprintf(" lost_at %d", i.LostAt)
	}
	return s
}

// String returns the pool's settings as in `ceph osd dump`, without its name.
func (p *Pool) String() string {
	var b strings.Builder
	add := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	// addIf leaves out what is not set.
	addIf := func(name string, v uint64) {
		if v != 0 {
			add(" %s %d", name, v)
		}
	}
	b.WriteString(p.Type.String())
	if p.IsErasure() {
		add(" profile %s", p.ErasureCodeProfile)
	}
	add(" size %d min_size %d crush_rule %d object_hash %s pg_num %d pgp_num %d",
		p.Size, p.MinSize, p.CrushRule, p.ObjectHash, p.PGNum, p.PGPNum)
	if p.PGNumTarget != p.PGNum {
		add(" pg_num_target %d", p.PGNumTarget)
	}
	if p.PGPNumTarget != p.PGPNum {
		add(" pgp_num_target %d", p.PGPNumTarget)
	}
	if p.PGNumPending != p.PGNum {
		add(" pg_num_pending %d", p.PGNumPending)
	}
	if p.AutoscaleMode != AutoscaleUnknown {
		add(" autoscale_mode %s", p.AutoscaleMode)
	}
	add(" last_change %d", p.LastChange)
	if p.LastForceOpResend|p.LastForceOpResendPreNautilus|p.LastForceOpResendPreLuminous != 0 {
		add(" lfor %d/%d/%d", p.LastForceOpResend, p.LastForceOpResendPreNautilus, p.LastForceOpResendPreLuminous)
	}
	addIf("owner", p.AUID)
	if p.Flags != 0 {
		add(" flags %s", PoolFlagString(p.Flags))
	}
	addIf("max_bytes", p.QuotaMaxBytes)
	addIf("max_objects", p.QuotaMaxObjects)
	p.printTiering(&b)
	add(" stripe_width %d", p.StripeWidth)
	addIf("expected_num_objects", p.ExpectedNumObjects)
	if p.FastRead {
		add(" fast_read 1")
	}
	for _, d := range PoolOptDescs {
		if v, ok := p.Opts[d.Key]; ok {
			add(" %s %s", d.Name, v)
		}
	}
	if len(p.ApplicationMetadata) > 0 {
		add(" application %s", strings.Join(slices.Sorted(maps.Keys(p.ApplicationMetadata)), ","))
	}
	return b.String()
}

func (p *Pool) printTiering(b *strings.Builder) {
	if len(p.Tiers) > 0 {
		fmt.Fprintf(b, " tiers %s", strings.ReplaceAll(strings.Trim(fmt.Sprint(p.Tiers), "[]"), " ", ","))
	}
	for _, t := range []struct {
		name string
		pool int64
	}{{"tier_of", p.TierOf}, {"read_tier", p.ReadTier}, {"write_tier", p.WriteTier}} {
		if t.pool >= 0 {
			fmt.Fprintf(b, " %s %d", t.name, t.pool)
		}
	}
	if p.CacheMode != 0 {
		fmt.Fprintf(b, " cache_mode %s", p.CacheMode)
	}
	if p.TargetMaxBytes != 0 {
		fmt.Fprintf(b, " target_bytes %d", p.TargetMaxBytes)
	}
	if p.TargetMaxObjects != 0 {
		fmt.Fprintf(b, " target_objects %d", p.TargetMaxObjects)
	}
	if p.HitSet.Type != HitSetNone {
		fmt.Fprintf(b, " hit_set %s %ds x%d decay_rate %d search_last_n %d",
			p.HitSet, p.HitSetPeriod, p.HitSetCount, p.HitSetGradeDecayRate, p.HitSetSearchLastN)
	}
	if p.MinReadRecencyForPromote != 0 {
		fmt.Fprintf(b, " min_read_recency_for_promote %d", p.MinReadRecencyForPromote)
	}
	if p.MinWriteRecencyForPromote != 0 {
		fmt.Fprintf(b, " min_write_recency_for_promote %d", p.MinWriteRecencyForPromote)
	}
}

// String returns Ceph's form, "bloom{false_positive_probability: ...}".
func (h HitSetParams) String() string {
	inner := ""
	if h.Type == HitSetBloom {
		inner = fmt.Sprintf("false_positive_probability: %s, target_size: %d, seed: %d",
			jsonfmt.Float(float64(h.FPPMicro)/1e6, 6), h.TargetSize, h.Seed)
	}
	return h.Type.String() + "{" + inner + "}"
}

// Summary returns the lines of `ceph osd stat`, which with withEpoch name the
// epoch (OSDMap::print_summary). now tells the ages; flags that matter to an
// operator follow on a line of their own, begun with prefix.
func (m *Map) Summary(now time.Time, prefix string, withEpoch bool) string {
	var b strings.Builder
	since := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return " (since " + jsonfmt.Timespan(now.Sub(t)) + ")"
	}
	exist, up, in := m.Counts()
	fmt.Fprintf(&b, "%d osds: %d up%s, %d in%s", exist, up, since(m.LastUpChange), in, since(m.LastInChange))
	if withEpoch {
		fmt.Fprintf(&b, "; epoch: e%d", m.Epoch)
	}
	if n := len(m.PGTemp); n > 0 {
		fmt.Fprintf(&b, "; %d remapped pgs", n)
	}
	b.WriteByte('\n')
	if flags := m.Flags &^ semiHiddenFlags; flags != 0 {
		fmt.Fprintf(&b, "%sflags %s\n", prefix, FlagString(flags))
	}
	return b.String()
}

// OneLine returns the summary monitors log with each epoch.
func (m *Map) OneLine() string {
	exist, up, in := m.Counts()
	return fmt.Sprintf("e%d: %d total, %d up, %d in", m.Epoch, exist, up, in)
}
