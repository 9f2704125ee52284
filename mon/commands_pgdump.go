package mon

import (
	"fmt"
	"slices"
	"strings"

	"sepiola/jsonfmt"
	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pglog"
	"sepiola/texttable"
)

// omapNote follows tables with figures of omap, as in Ceph.
const omapNote = "\n* NOTE: Omap statistics are gathered during deep scrub and may be inaccurate soon afterwards depending on utilization. See http://docs.ceph.com/en/latest/dev/placement-group/#omap-statistics for further details.\n"

// rightTable has its figures on the right; leftTable its first column, the
// name, on the left.
func rightTable(heads ...string) *texttable.Table { return withHeads(&texttable.Table{}, heads) }

func leftTable(first string, heads ...string) *texttable.Table {
	t := &texttable.Table{}
	t.Column(first, texttable.Left, texttable.Left)
	return withHeads(t, heads)
}

func withHeads(t *texttable.Table, heads []string) *texttable.Table {
	for _, h := range heads {
		t.Column(h, texttable.Left, texttable.Right)
	}
	return t
}

// cmdPGDump prints parts of the PG map (process_pg_map_command in PGMap.cc).
func (m *Monitor) cmdPGDump(q *query) reply {
	what := q.args.Strings("dumpcontents")
	if len(what) == 0 {
		what = []string{"all"}
	}
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return slices.Contains(what, n) })
	}
	status := "dumped " + strings.Join(what, ",")
	if q.isJSON() {
		w := q.writer()
		w.OpenObject("")
		w.Bool("pg_ready", true)
		m.pgDumpJSON(w, has)
		w.Close()
		return reply{out: w.Bytes(), status: status}
	}
	var b strings.Builder
	if has("all", "summary", "sum") {
		fmt.Fprintf(&b, "version %d\nstamp %s\nlast_osdmap_epoch 0\nlast_pg_scan 0\n", m.pgs.Version, jsonfmt.Stamp(m.pgs.Stamp))
	}
	if has("all", "pgs") {
		b.WriteString(m.pgTable())
	} else if has("pgs_brief") {
		b.WriteString(m.briefTable(m.pgs.IDs()))
	}
	if has("all", "pools") {
		b.WriteString(m.poolSumTable(!has("all")))
	}
	if has("all", "summary", "sum") {
		b.WriteString(m.pgSumTable(!has("all")))
	}
	if has("all", "osds") {
		b.WriteString(m.osdStatTable())
	} else if has("summary", "sum") {
		b.WriteString(m.osdSumTable())
	}
	if has("all", "pgs", "pools", "summary", "sum") {
		b.WriteString(omapNote)
	}
	return reply{out: []byte(b.String()), status: status}
}

// figures are the columns that tables of PGs and pools share.
func figures(sum *pglog.ObjectStatSum, log, disk int64) []string {
	out := []string{}
	for _, v := range []int64{sum.NumObjects, sum.NumObjectsMissingOnPrimary, sum.NumObjectsDegraded, sum.NumObjectsMisplaced,
		sum.NumObjectsUnfound, sum.NumBytes, sum.NumOmapBytes, sum.NumOmapKeys, log, disk} {
		out = append(out, fmt.Sprint(v))
	}
	return out
}

var figureHeads = []string{"OBJECTS", "MISSING_ON_PRIMARY", "DEGRADED", "MISPLACED", "UNFOUND", "BYTES", "OMAP_BYTES*", "OMAP_KEYS*", "LOG", "DISK_LOG"}

func (m *Monitor) pgTable() string {
	t := leftTable("PG_STAT", slices.Concat(figureHeads, []string{"STATE", "STATE_STAMP", "VERSION", "REPORTED", "UP", "UP_PRIMARY",
		"ACTING", "ACTING_PRIMARY", "LAST_SCRUB", "SCRUB_STAMP", "LAST_DEEP_SCRUB", "DEEP_SCRUB_STAMP", "SNAPTRIMQ_LEN"})...)
	for _, pg := range slices.Backward(m.pgs.IDs()) {
		s := m.pgs.PGs[pg]
		row := append([]string{pg.String()}, figures(&s.Stats.Sum, s.LogSize, s.OndiskLogSize)...)
		t.Row(append(row, s.State.String(), jsonfmt.Stamp(s.LastChange), s.Version.String(), reported(s),
			osdmap.OSDsString(s.Up), fmt.Sprint(s.UpPrimary), osdmap.OSDsString(s.Acting), fmt.Sprint(s.ActingPrimary),
			s.LastScrub.String(), jsonfmt.Stamp(s.LastScrubStamp), s.LastDeepScrub.String(), jsonfmt.Stamp(s.LastDeepScrubStamp),
			fmt.Sprint(s.SnapTrimQLen))...)
	}
	return t.String()
}

func reported(s *pglog.Stats) string { return fmt.Sprintf("%d:%d", s.ReportedEpoch, s.ReportedSeq) }

// sumTable is a table of sums. Within "pg dump all" it has no headings: those of
// the PGs' table above serve.
func sumTable(first string, headings bool) *texttable.Table {
	if headings {
		return leftTable(first, figureHeads...)
	}
	return leftTable("", make([]string, len(figureHeads))...)
}

func (m *Monitor) poolSumTable(headings bool) string {
	t := sumTable("POOLID", headings)
	pools := m.pgs.Pools()
	for _, id := range slices.Backward(m.pgs.PoolIDs()) {
		p := pools[id]
		t.Row(append([]string{fmt.Sprint(id)}, figures(&p.Stats.Sum, p.LogSize, p.OndiskLogSize)...)...)
	}
	return t.String()
}

func (m *Monitor) pgSumTable(headings bool) string {
	t := sumTable("PG_STAT", headings)
	p := m.pgs.Total()
	t.Row(append([]string{"sum"}, figures(&p.Stats.Sum, p.LogSize, p.OndiskLogSize)...)...)
	return t.String()
}

func (m *Monitor) osdStatTable() string {
	t := leftTable("OSD_STAT", "USED", "AVAIL", "USED_RAW", "TOTAL", "HB_PEERS", "PG_SUM", "PRIMARY_PG_SUM")
	primaries := map[int32]int{}
	for _, s := range m.pgs.PGs {
		primaries[s.ActingPrimary]++
	}
	for _, osd := range slices.Backward(sortedOSDs(m.pgs.OSDs)) {
		s := m.pgs.OSDs[osd]
		t.Row(append(append([]string{fmt.Sprint(osd)}, spaceCells(&s.Statfs)...), osdmap.OSDsString(s.HBPeers), fmt.Sprint(m.pgs.PGsOn(osd)), fmt.Sprint(primaries[osd]))...)
	}
	total := m.pgs.Space(nil)
	t.Row(append([]string{"sum"}, spaceCells(&total.Statfs)...)...)
	return t.String()
}

func spaceCells(s *pglog.StoreStatfs) []string {
	return []string{bytesString(s.Used()), bytesString(s.Available), bytesString(s.UsedRaw()), bytesString(s.Total)}
}

func (m *Monitor) osdSumTable() string {
	t := leftTable("OSD_STAT", "USED", "AVAIL", "USED_RAW", "TOTAL")
	total := m.pgs.Space(nil)
	t.Row(append([]string{"sum"}, spaceCells(&total.Statfs)...)...)
	return t.String()
}

func (m *Monitor) pgDumpJSON(w *jsonfmt.Writer, has func(...string) bool) {
	whole := has("all", "summary", "sum")
	if whole {
		w.OpenObject("pg_map")
		w.Uint("version", m.pgs.Version)
		w.Time("stamp", m.pgs.Stamp)
		w.Int("last_osdmap_epoch", 0)
		w.Int("last_pg_scan", 0)
	}
	if has("all", "summary", "sum") {
		p := m.pgs.Total()
		w.OpenObject("pg_stats_sum")
		poolStatJSON(w, &p)
		w.Close()
		total := m.pgs.Space(nil)
		w.OpenObject("osd_stats_sum")
		osdStatJSON(w, &total)
		w.Close()
		m.pgDeltaJSON(w)
	}
	if has("all", "pgs") {
		w.OpenArray("pg_stats")
		for _, pg := range slices.Backward(m.pgs.IDs()) {
			w.OpenObject("")
			w.String("pgid", pg.String())
			m.pgs.PGs[pg].DumpJSON(w)
			w.Close()
		}
		w.Close()
	} else if has("pgs_brief") {
		w.OpenArray("pg_stats")
		for _, pg := range slices.Backward(m.pgs.IDs()) {
			s := m.pgs.PGs[pg]
			w.OpenObject("")
			w.String("pgid", pg.String())
			w.String("state", s.State.String())
			dumpOSDs(w, "up", s.Up)
			dumpOSDs(w, "acting", s.Acting)
			w.Int("up_primary", int64(s.UpPrimary))
			w.Int("acting_primary", int64(s.ActingPrimary))
			w.Close()
		}
		w.Close()
	}
	if has("all", "pools") {
		pools := m.pgs.Pools()
		w.OpenArray("pool_stats")
		for _, id := range slices.Backward(m.pgs.PoolIDs()) {
			p := pools[id]
			w.OpenObject("")
			w.Int("poolid", id)
			w.Int("num_pg", int64(m.machine.State.OSD.Pools[id].PGNum))
			poolStatJSON(w, &p)
			w.Close()
		}
		w.Close()
	}
	if has("all", "osds") {
		w.OpenArray("osd_stats")
		for _, osd := range slices.Backward(sortedOSDs(m.pgs.OSDs)) {
			w.OpenObject("")
			w.Int("osd", int64(osd))
			osdStatJSON(w, m.pgs.OSDs[osd])
			w.Close()
		}
		w.Close()
		m.poolSpaceJSON(w)
	}
	if whole {
		w.Close()
	}
}

// pgDeltaJSON prints how the sums changed lately (PGMap::dump_delta).
func (m *Monitor) pgDeltaJSON(w *jsonfmt.Writer) {
	delta, span := m.pgs.Delta()
	w.OpenObject("pg_stats_delta")
	poolStatJSON(w, &delta)
	w.Stringf("stamp_delta", "%.6f", span.Seconds())
	w.Close()
}

// poolSpaceJSON prints what each pool takes on each OSD.
func (m *Monitor) poolSpaceJSON(w *jsonfmt.Writer) {
	w.OpenArray("pool_statfs")
	for _, p := range m.pgs.PoolSpace() {
		w.OpenObject("")
		w.Int("poolid", p.Pool)
		w.Int("osd", int64(p.OSD))
		p.Statfs.DumpJSON(w)
		w.Close()
	}
	w.Close()
}

func statfsJSON(w *jsonfmt.Writer, name string, s *pglog.StoreStatfs) {
	w.OpenObject(name)
	s.DumpJSON(w)
	w.Close()
}

func poolStatJSON(w *jsonfmt.Writer, p *pglog.PoolStat) {
	p.Stats.Sum.DumpJSON(w)
	statfsJSON(w, "store_stats", &p.StoreStats)
	w.Int("log_size", p.LogSize)
	w.Int("ondisk_log_size", p.OndiskLogSize)
	w.Int("up", int64(p.Up))
	w.Int("acting", int64(p.Acting))
	w.Int("num_store_stats", int64(p.NumStoreStats))
}

func osdStatJSON(w *jsonfmt.Writer, s *pglog.OSDStat) {
	w.Uint("up_from", uint64(s.UpFrom))
	w.Uint("seq", s.Seq)
	w.Uint("num_pgs", uint64(s.NumPGs))
	w.Uint("num_osds", uint64(s.NumOSDs))
	w.Uint("num_per_pool_osds", uint64(s.NumPerPoolOSDs))
	w.Uint("num_per_pool_omap_osds", uint64(s.NumPerPoolOmapOSDs))
	w.Uint("kb", s.Statfs.Total>>10)
	w.Uint("kb_used", s.Statfs.UsedRaw()>>10)
	w.Int("kb_used_data", s.Statfs.Allocated>>10)
	w.Int("kb_used_omap", s.Statfs.OmapAllocated>>10)
	w.Int("kb_used_meta", s.Statfs.InternalMetadata>>10)
	w.Uint("kb_avail", s.Statfs.Available>>10)
	statfsJSON(w, "statfs", &s.Statfs)
	dumpOSDs(w, "hb_peers", s.HBPeers)
	w.Int("snap_trim_queue_len", int64(s.SnapTrimQueueLen))
	w.Int("num_snap_trimming", int64(s.NumSnapTrimming))
	w.Uint("num_shards_repaired", s.NumShardsRepaired)
	w.OpenObject("op_queue_age_hist")
	dumpOSDs(w, "histogram", s.OpQueueAgeHist)
	w.Int("upper_bound", 1<<min(len(s.OpQueueAgeHist), 62))
	w.Close()
	w.OpenObject("perf_stat")
	w.Uint("commit_latency_ms", s.CommitLatencyNS/1e6)
	w.Uint("apply_latency_ms", s.ApplyLatencyNS/1e6)
	w.Uint("commit_latency_ns", s.CommitLatencyNS)
	w.Uint("apply_latency_ns", s.ApplyLatencyNS)
	w.Close()
	w.OpenArray("alerts")
	w.Close()
	w.OpenArray("network_ping_times")
	w.Close()
}

func (m *Monitor) cmdPGLs(q *query) reply {
	keep, bad := m.pgFilter(q)
	if bad != nil {
		return *bad
	}
	var ids []object.PGID
	for _, pg := range m.pgs.IDs() {
		if keep(pg, m.pgs.PGs[pg]) {
			ids = append(ids, pg)
		}
	}
	if len(ids) == 0 && !q.isJSON() {
		return reply{}
	}
	if q.isJSON() {
		w := q.writer()
		w.OpenObject("")
		w.Bool("pg_ready", true)
		if len(ids) == 0 {
			w.Close()
			return reply{out: w.Bytes()}
		}
		w.OpenArray("pg_stats")
		for _, pg := range ids {
			w.OpenObject("")
			w.String("pgid", pg.String())
			m.pgs.PGs[pg].DumpJSON(w)
			w.Close()
		}
		w.Close()
		w.Close()
		return reply{out: w.Bytes()}
	}
	t := leftTable("PG", "OBJECTS", "DEGRADED", "MISPLACED", "UNFOUND", "BYTES", "OMAP_BYTES*", "OMAP_KEYS*", "LOG", "STATE",
		"SINCE", "VERSION", "REPORTED", "UP", "ACTING", "SCRUB_STAMP", "DEEP_SCRUB_STAMP")
	for _, pg := range ids {
		s := m.pgs.PGs[pg]
		sum := &s.Stats.Sum
		row := []string{pg.String()}
		for _, v := range []int64{sum.NumObjects, sum.NumObjectsDegraded, sum.NumObjectsMisplaced, sum.NumObjectsUnfound, sum.NumBytes, sum.NumOmapBytes, sum.NumOmapKeys, s.LogSize} {
			row = append(row, fmt.Sprint(v))
		}
		t.Row(append(row, s.State.String(), jsonfmt.Timespan(m.now().Sub(s.LastChange)), s.Version.String(), reported(s),
			fmt.Sprintf("%sp%d", osdmap.OSDsString(s.Up), s.UpPrimary), fmt.Sprintf("%sp%d", osdmap.OSDsString(s.Acting), s.ActingPrimary),
			jsonfmt.Stamp(s.LastScrubStamp), jsonfmt.Stamp(s.LastDeepScrubStamp))...)
	}
	return reply{out: []byte(t.String() + omapNote)}
}
