package mon

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"sepiola/jsonfmt"
	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pglog"
)

const statesArg = " name=states,type=CephString,n=N,req=false"

// mgrCommands are those that clients send to the manager (src/mgr/MgrCommands.h)
// and those about it. The monitor answers them itself when they come to it.
var mgrCommands = []entry{
	{spec("pg stat", "show placement group status.", "pg", "r", flagMgr), (*Monitor).cmdPGStat},
	{spec("pg dump name=dumpcontents,type=CephChoices,strings=all|summary|sum|delta|pools|osds|pgs|pgs_brief,n=N,req=false", "show human-readable versions of pg map (only 'all' valid with plain)", "pg", "r", flagMgr), (*Monitor).cmdPGDump},
	{spec("pg ls name=pool,type=CephInt,req=false"+statesArg, "list pg with specific pool, osd, state", "pg", "r", flagMgr), (*Monitor).cmdPGLs},
	{spec("pg ls-by-pool name=poolstr,type=CephString"+statesArg, "list pg with pool = [poolname]", "pg", "r", flagMgr), (*Monitor).cmdPGLs},
	{spec("pg ls-by-primary name=osd,type=CephOsdName name=pool,type=CephInt,req=false"+statesArg, "list pg with primary = [osd]", "pg", "r", flagMgr), (*Monitor).cmdPGLs},
	{spec("pg ls-by-osd name=osd,type=CephOsdName name=pool,type=CephInt,req=false"+statesArg, "list pg on osd [osd]", "pg", "r", flagMgr), (*Monitor).cmdPGLs},
	{spec("osd pool stats name=pool_name,type=CephPoolname,req=false", "obtain stats from all pools, or from specified pool", "osd", "r", flagMgr), (*Monitor).cmdPoolStats},
	{spec("osd df name=output_method,type=CephChoices,strings=plain|tree,req=false name=filter_by,type=CephChoices,strings=class|name,req=false name=filter,type=CephString,req=false", "show OSD utilization", "osd", "r", flagMgr), (*Monitor).cmdOSDDF},
	{spec("osd perf", "print dump of OSD perf summary stats", "osd", "r", flagMgr), (*Monitor).cmdOSDPerf},
	{spec("osd last-stat-seq name=id,type=CephOsdName", "get the last pg stats sequence number reported for this osd", "osd", "r", 0), (*Monitor).cmdLastStatSeq},
	{spec("mgr stat", "dump basic info about the mgr cluster state", "mgr", "r", 0), (*Monitor).cmdMgrStat},
	{spec("mgr dump name=epoch,type=CephInt,range=0,req=false", "dump the latest MgrMap", "mgr", "r", 0), (*Monitor).cmdMgrDump},
	{spec("mgr services", "list service endpoints provided by mgr modules", "mgr", "r", 0), (*Monitor).cmdMgrServices},
	{spec("mgr metadata name=who,type=CephString,req=false", "dump metadata for all daemons or a specific daemon", "mgr", "r", 0), (*Monitor).cmdMgrMetadata},
	{spec("mgr versions", "check running versions of ceph-mgr daemons", "mgr", "r", 0), (*Monitor).cmdMgrVersions},
	{spec("service dump", "dump service map", "service", "r", flagMgr), (*Monitor).cmdServiceDump},
}

// pgOneLine is "pg stat" (PGMapDigest::print_oneline_summary).
func (m *Monitor) pgOneLine() string {
	sum, space := m.pgs.Total(), m.pgs.Space(nil)
	var states []string
	for _, s := range m.pgs.States(-1) {
		states = append(states, fmt.Sprintf("%d %s", s.Count, s.State))
	}
	line := fmt.Sprintf("%d pgs: %s; %s data, %s used, %s / %s avail", len(m.pgs.PGs), strings.Join(states, ", "),
		bytesString(uint64(max(sum.Stats.Sum.NumBytes, 0))), bytesString(space.Statfs.UsedRaw()),
		bytesString(space.Statfs.Available), bytesString(space.Statfs.Total))
	rate := m.pgs.Rate(-1)
	for _, s := range append([]string{clientRate(rate)}, recoveryLines(&sum.Stats.Sum)...) {
		if s != "" {
			line += "; " + s
		}
	}
	if r := recoveryRate(rate); r != "" {
		line += "; " + r + " recovering"
	}
	return line
}

func (m *Monitor) cmdPGStat(q *query) reply {
	if !q.isJSON() {
		return text("%s", m.pgOneLine())
	}
	sum, space := m.pgs.Total(), m.pgs.Space(nil)
	w := q.writer()
	w.OpenObject("")
	w.Bool("pg_ready", true)
	w.OpenObject("pg_summary")
	w.OpenArray("num_pg_by_state")
	for _, s := range m.pgs.States(-1) {
		w.OpenObject("")
		w.String("name", s.State.String())
		w.Int("num", int64(s.Count))
		w.Close()
	}
	w.Close()
	w.Int("num_pgs", int64(len(m.pgs.PGs)))
	w.Int("num_bytes", sum.Stats.Sum.NumBytes)
	w.Uint("total_bytes", space.Statfs.Total)
	w.Uint("total_avail_bytes", space.Statfs.Available)
	w.Uint("total_used_bytes", space.Statfs.Used())
	w.Uint("total_used_raw_bytes", space.Statfs.UsedRaw())
	rate := m.pgs.Rate(-1)
	clientRateJSON(w, rate)
	recoveryJSON(w, &sum.Stats.Sum)
	recoveryRateJSON(w, rate)
	w.Close()
	w.Close()
	return pgReady(w)
}

// pgReady is an answer of the "pg" family: the manager of Ceph puts a line
// break before the bracket that closes the compact form.
func pgReady(w *jsonfmt.Writer) reply {
	p := w.Bytes()
	if !w.Pretty() && len(p) > 0 {
		p = append(p[:len(p)-1], '\n', '}')
	}
	return reply{out: p}
}

// cmdPoolStats is "osd pool stats" (PGMap::dump_pool_stats_and_io_rate).
func (m *Monitor) cmdPoolStats(q *query) reply {
	om := m.machine.State.OSD
	ids := om.PoolIDs()
	if name := q.args.String("pool_name"); name != "" {
		id, ok := om.PoolID(name)
		if !ok {
			return refuse(syscall.ENOENT, "unrecognized pool '%s'", name)
		}
		ids = []int64{id}
	}
	if len(ids) == 0 && !q.isJSON() {
		return reply{status: "there are no pools!"}
	}
	pools := m.pgs.Pools()
	if q.isJSON() {
		w := q.writer()
		w.OpenArray("")
		for _, id := range ids {
			sum, rate := pools[id].Stats.Sum, m.pgs.Rate(id)
			w.OpenObject("")
			w.String("pool_name", om.PoolNames[id])
			w.Int("pool_id", id)
			w.OpenObject("recovery")
			recoveryJSON(w, &sum)
			w.Close()
			w.OpenObject("recovery_rate")
			recoveryRateJSON(w, rate)
			w.Close()
			w.OpenObject("client_io_rate")
			clientRateJSON(w, rate)
			w.Close()
			w.Close()
		}
		w.Close()
		return reply{out: w.Bytes()}
	}
	var b strings.Builder
	for _, id := range ids {
		sum, rate := pools[id].Stats.Sum, m.pgs.Rate(id)
		fmt.Fprintf(&b, "pool %s id %d\n", om.PoolNames[id], id)
		lines := recoveryLines(&sum)
		if r := recoveryRate(rate); r != "" {
			lines = append(lines, "recovery io "+r)
		}
		if r := clientRate(rate); r != "" {
			lines = append(lines, "client io "+r)
		}
		if lines == nil {
			lines = []string{"nothing is going on"}
		}
		for _, l := range lines {
			b.WriteString("  " + l + "\n")
		}
		b.WriteString("\n")
	}
	return reply{out: []byte(b.String())}
}

// cmdLastStatSeq: what "flush_pg_stats" of an OSD returned is in the statistics
// once this is as much. An OSD that has not reported has 0.
func (m *Monitor) cmdLastStatSeq(q *query) reply {
	osd, err := strconv.ParseInt(strings.TrimPrefix(q.args.String("id"), "osd."), 10, 32)
	if err != nil {
		return refuse(syscall.EINVAL, "unable to parse osd id value '%s'", q.args.String("id"))
	}
	var seq uint64
	if s := m.pgs.OSDs[int32(osd)]; s != nil {
		seq = s.Seq
	}
	return reply{out: strconv.AppendUint(nil, seq, 10)}
}

func (m *Monitor) cmdOSDPerf(q *query) reply {
	osds := slices.Backward(sortedOSDs(m.pgs.OSDs))
	if q.isJSON() {
		w := q.writer()
		w.OpenObject("")
		w.Bool("pg_ready", true)
		w.OpenObject("osdstats")
		w.OpenArray("osd_perf_infos")
		for _, osd := range osds {
			s := m.pgs.OSDs[osd]
			w.OpenObject("")
			w.Int("id", int64(osd))
			w.OpenObject("perf_stats")
			w.Uint("commit_latency_ms", s.CommitLatencyNS/1e6)
			w.Uint("apply_latency_ms", s.ApplyLatencyNS/1e6)
			w.Uint("commit_latency_ns", s.CommitLatencyNS)
			w.Uint("apply_latency_ns", s.ApplyLatencyNS)
			w.Close()
			w.Close()
		}
		w.Close()
		w.Close()
		w.Close()
		return pgReady(w)
	}
	t := rightTable("osd", "commit_latency(ms)", "apply_latency(ms)")
	for _, osd := range osds {
		s := m.pgs.OSDs[osd]
		t.Row(fmt.Sprint(osd), fmt.Sprint(s.CommitLatencyNS/1e6), fmt.Sprint(s.ApplyLatencyNS/1e6))
	}
	return reply{out: []byte(t.String())}
}

func (m *Monitor) cmdMgrStat(q *query) reply {
	mgr := m.mgrMap()
	w := q.writer()
	w.OpenObject("")
	w.Uint("epoch", uint64(mgr.Epoch))
	w.Bool("available", mgr.Available)
	w.String("active_name", mgr.ActiveName)
	w.Int("num_standby", 0)
	w.Close()
	return reply{out: w.Bytes()}
}

func (m *Monitor) cmdMgrDump(q *query) reply {
	mgr := m.mgrMap()
	if e, err := q.args.Int("epoch", 0); err != nil || e != 0 && e != int64(mgr.Epoch) {
		return refuse(syscall.ENOENT, "there is no map for epoch %s", q.args.String("epoch"))
	}
	w := q.writer()
	w.OpenObject("")
	w.Uint("epoch", uint64(mgr.Epoch))
	w.Uint("active_gid", mgr.ActiveGID)
	w.String("active_name", mgr.ActiveName)
	osdmap.DumpAddrs(w, "active_addrs", mgr.ActiveAddrs)
	w.String("active_addr", osdmap.LegacyAddrString(mgr.ActiveAddrs))
	w.Time("active_change", mgr.ActiveChange)
	w.Uint("active_mgr_features", mgr.Features)
	w.Bool("available", mgr.Available)
	for _, name := range []string{"standbys", "modules", "available_modules"} {
		w.OpenArray(name)
		w.Close()
	}
	w.OpenObject("services")
	w.Close()
	w.OpenObject("always_on_modules")
	w.Close()
	w.Uint("last_failure_osd_epoch", uint64(mgr.LastFailureOSDEpoch))
	w.OpenArray("active_clients")
	w.Close()
	w.Close()
	return reply{out: w.Bytes()}
}

func (m *Monitor) cmdMgrServices(q *query) reply {
	w := q.writer()
	w.OpenObject("")
	w.Close()
	return reply{out: w.Bytes()}
}

func (m *Monitor) cmdMgrMetadata(q *query) reply {
	mgr := m.machine.State.Mgr.Active
	who := q.args.String("who")
	if who != "" && who != mgr.Name {
		return refuse(syscall.ENOENT, "mgr.%s does not exist", who)
	}
	w := q.writer()
	if who == "" {
		w.OpenArray("")
	}
	w.OpenObject("")
	w.String("name", mgr.Name)
	for _, k := range sortedNames(mgr.Metadata) {
		w.String(k, mgr.Metadata[k])
	}
	w.Close()
	if who == "" {
		w.Close()
	}
	return reply{out: w.Bytes()}
}

func (m *Monitor) cmdMgrVersions(q *query) reply {
	w := q.writer()
	dumpCounts(w, "", m.versionsOf("mgr"))
	return reply{out: w.Bytes()}
}

func (m *Monitor) cmdServiceDump(q *query) reply {
	w := q.writer()
	m.serviceMapJSON(w, "")
	return reply{out: w.Bytes()}
}

// cmdUtilization tells how evenly PGs are spread (OSDMap::summarize_mapping_stats
// without a second map).
func (m *Monitor) cmdUtilization(q *query) reply {
	shares := m.pgShares()
	n := float64(len(shares))
	if n == 0 {
		return refuse(syscall.EINVAL, "no OSD is in")
	}
	total, least, most := 0, int32(-1), int32(-1)
	for _, osd := range sortedOSDs(shares) {
		total += shares[osd]
		if least < 0 || shares[osd] < shares[least] {
			least = osd
		}
		if most < 0 || shares[osd] > shares[most] {
			most = osd
		}
	}
	avg := float64(total) / n
	dev := 0.0
	for _, v := range shares {
		dev += (float64(v) - avg) * (float64(v) - avg)
	}
	dev = math.Sqrt(dev / n)
	// What a fair throw of dice would give.
	expected := math.Sqrt(float64(total) * (1 / n) * (1 - 1/n))
	num := func(v float64) string { return jsonfmt.Float(v, 6) }
	mean := func(osd int32) float64 {
		if avg == 0 {
			return 0
		}
		return float64(shares[osd]) / avg
	}
	if !q.isJSON() {
		return text("avg %s\nstddev %s (expected baseline %s)\nmin osd.%d with %d pgs (%s * mean)\nmax osd.%d with %d pgs (%s * mean)\n",
			num(avg), num(dev), num(expected), least, shares[least], num(mean(least)), most, shares[most], num(mean(most)))
	}
	w := q.writer()
	w.OpenObject("")
	w.Float("avg_pgs", avg)
	w.Float("std_dev", dev)
	w.Float("expected_baseline_std_dev", expected)
	w.Int("min_osd", int64(least))
	w.Int("min_osd_pgs", int64(shares[least]))
	w.Int("max_osd", int64(most))
	w.Int("max_osd_pgs", int64(shares[most]))
	w.Close()
	return reply{out: w.Bytes()}
}

// pgFilter selects PGs for "pg ls" and its kin.
func (m *Monitor) pgFilter(q *query) (func(object.PGID, *pglog.Stats) bool, *reply) {
	fail := func(r reply) (func(object.PGID, *pglog.Stats) bool, *reply) { return nil, &r }
	om := m.machine.State.OSD
	pool, err := q.args.Int("pool", -1)
	if err != nil {
		return fail(refuse(syscall.EINVAL, "%v", err))
	}
	if name := q.args.String("poolstr"); name != "" {
		id, ok := om.PoolID(name)
		if !ok {
			return fail(refuse(syscall.ENOENT, "pool %s does not exist", name))
		}
		pool = id
	} else if pool >= 0 && om.Pools[pool] == nil {
		return fail(refuse(syscall.ENOENT, "pool %d does not exist", pool))
	}
	osd := int32(-1)
	if s := q.args.String("osd"); s != "" {
		n, err := strconv.ParseInt(strings.TrimPrefix(s, "osd."), 10, 32)
		if err != nil {
			return fail(refuse(syscall.EINVAL, "unable to parse osd id value '%s'", s))
		}
		if osd = int32(n); !om.IsUp(osd) {
			return fail(refuse(syscall.EAGAIN, "osd %d is not up", osd))
		}
	}
	var want pglog.State
	all := !q.args.Has("states")
	for _, s := range q.args.Strings("states") {
		st, ok := pglog.ParseState(s)
		if all = all || s == "all"; !ok && s != "all" && s != "unknown" {
			return fail(refuse(syscall.EINVAL, "'%s' is not a valid pg state, available choices: %s", s, pglog.State(math.MaxUint32)))
		}
		want |= st
	}
	primaryOnly := q.args.Prefix() == "pg ls-by-primary"
	return func(pg object.PGID, s *pglog.Stats) bool {
		return (pool < 0 || pg.Pool == pool) &&
			(osd < 0 || s.ActingPrimary == osd || !primaryOnly && slices.Contains(s.Acting, osd)) &&
			(all || s.State&want != 0 || want == 0 && s.State == 0)
	}, nil
}
