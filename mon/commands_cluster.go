package mon

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"

	"sepiola/entity"
	"sepiola/jsonfmt"
	"sepiola/mon/state"
	"sepiola/msgr"
	"sepiola/osdmap"
	"sepiola/version"
)

// clusterCommands are about the cluster as a whole and its monitors.
var clusterCommands = []entry{
	{spec("status", "show cluster status", "mon", "r", 0), (*Monitor).cmdStatus},
	{spec("health name=detail,type=CephChoices,strings=detail,req=false", "show cluster health", "mon", "r", 0), (*Monitor).cmdHealth},
	{spec("df name=detail,type=CephChoices,strings=detail,req=false", "show cluster free space stats", "mon", "r", 0), (*Monitor).cmdDF},
	{spec("fsid", "show cluster FSID/UUID", "mon", "r", 0), (*Monitor).cmdFSID},
	{spec("version", "show mon daemon version", "mon", "r", flagNoForward|flagHidden), (*Monitor).cmdVersion},
	{spec("versions", "check running versions of ceph daemons", "mon", "r", 0), (*Monitor).cmdVersions},
	{spec("features", "report of connected features", "mon", "r", 0), (*Monitor).cmdFeatures},
	{spec("quorum_status", "report status of monitor quorum", "mon", "r", 0), (*Monitor).cmdQuorumStatus},
	{spec("time-sync-status", "show time sync status", "mon", "r", 0), (*Monitor).cmdTimeSync},
	{spec("node ls name=type,type=CephChoices,strings=all|osd|mon|mds|mgr,req=false", "list all nodes in cluster [type]", "mon", "r", 0), (*Monitor).cmdNodeLs},
	{spec("mon stat", "summarize monitor status", "mon", "r", 0), (*Monitor).cmdMonStat},
	{spec("mon dump name=epoch,type=CephInt,range=0,req=false", "dump formatted monmap (optionally from epoch)", "mon", "r", 0), (*Monitor).cmdMonDump},
	{spec("mon getmap name=epoch,type=CephInt,range=0,req=false", "get monmap", "mon", "r", 0), (*Monitor).cmdMonGetmap},
	{spec("mon metadata name=id,type=CephString,req=false", "fetch metadata for mon <id>", "mon", "r", 0), (*Monitor).cmdMonMetadata},
	{spec("mon count-metadata name=property,type=CephString", "count mons by metadata field property", "mon", "r", 0), (*Monitor).cmdMonCount},
	{spec("mon versions", "check running versions of monitors", "mon", "r", 0), (*Monitor).cmdMonVersions},
	{spec("log last name=num,type=CephInt,range=1,req=false name=level,type=CephChoices,strings=debug|info|sec|warn|error,req=false name=channel,type=CephChoices,strings=*|cluster|audit|cephadm,req=false",
		"print last few lines of the cluster log", "mon", "r", 0), (*Monitor).cmdLogLast},
	{spec("log name=logtext,type=CephString,n=N", "log supplied text to the monitor log", "mon", "rw", 0), nil},
}

func (m *Monitor) cmdStatus(q *query) reply {
	if q.isJSON() {
		w := q.writer()
		m.statusJSON(w)
		return line(w)
	}
	st := &m.machine.State
	var b strings.Builder
	fmt.Fprintf(&b, "  cluster:\n    id:     %s\n", m.cfg.FSID)
	fmt.Fprintf(&b, "    health: %s", m.healthText(false, "\n            ", "\n            "))
	fmt.Fprintf(&b, " \n  services:\n")
	fmt.Fprintf(&b, "    mon: %d daemons, quorum %s (age %s)\n", len(st.MonMap.Mons), strings.Join(m.quorumNames(), ","), jsonfmt.Timespan(m.now().Sub(m.since)))
	fmt.Fprintf(&b, "    mgr: %s(active, since %s)\n", st.Mgr.Active.Name, jsonfmt.Timespan(m.now().Sub(st.Mgr.Since)))
	fmt.Fprintf(&b, "    osd: %s \n  data:\n", st.OSD.Summary(m.now(), "         ", false))
	b.WriteString(m.pgSummary())
	b.WriteString(m.progressSummary())
	b.WriteString(" \n")
	return text("%s", b.String())
}

func (m *Monitor) statusJSON(w *jsonfmt.Writer) {
	st := &m.machine.State
	w.OpenObject("")
	w.String("fsid", m.cfg.FSID.String())
	m.healthJSON(w, "health", false)
	m.quorumJSON(w)
	w.Int("quorum_age", m.secondsSince(m.since))
	w.OpenObject("monmap")
	w.Uint("epoch", uint64(st.MonMap.Epoch))
	w.String("min_mon_release_name", st.MonMap.MinMonRelease.String())
	w.Uint("num_mons", uint64(len(st.MonMap.Mons)))
	w.Close()
	w.OpenObject("osdmap")
	st.OSD.DumpSummary(w)
	w.Close()
	w.OpenObject("pgmap")
	m.pgSummaryJSON(w)
	w.Close()
	w.OpenObject("fsmap")
	w.Int("epoch", 1)
	w.OpenArray("by_rank")
	w.Close()
	w.Int("up:standby", 0)
	w.Close()
	w.OpenObject("mgrmap")
	w.Bool("available", st.Mgr.Epoch > 0)
	w.Int("num_standbys", 0)
	w.OpenArray("modules")
	w.Close()
	w.OpenObject("services")
	w.Close()
	w.Close()
	m.serviceMapJSON(w, "servicemap")
	m.progressEventsJSON(w)
	w.Close()
}

func (m *Monitor) serviceMapJSON(w *jsonfmt.Writer, name string) {
	w.OpenObject(name)
	w.Int("epoch", 1)
	w.Time("modified", m.machine.State.Mgr.Modified)
	w.OpenObject("services")
	w.Close()
	w.Close()
}

// quorumNames are the monitors that take part. Without word from raft on who
// follows, those are all while there is a leader.
func (m *Monitor) quorumNames() []string {
	if m.node.Leader() == 0 {
		return nil
	}
	return m.machine.State.MonMap.Ranks
}

// electionEpoch is raft's idea of it in Ceph's words: odd while electing, even
// in quorum.
func (m *Monitor) electionEpoch() uint64 { return 3 }

func (m *Monitor) quorumJSON(w *jsonfmt.Writer) {
	w.Uint("election_epoch", m.electionEpoch())
	names := m.quorumNames()
	w.OpenArray("quorum")
	for _, n := range names {
		w.Int("", int64(m.machine.State.MonMap.Rank(n)))
	}
	w.Close()
	w.Strings("quorum_names", names)
}

func (m *Monitor) leaderName() string {
	if l := int(m.node.Leader()); l > 0 && l <= len(m.machine.State.MonMap.Ranks) {
		return m.machine.State.MonMap.Ranks[l-1]
	}
	return ""
}

func (m *Monitor) cmdQuorumStatus(q *query) reply {
	w := q.writer()
	w.OpenObject("")
	m.quorumJSON(w)
	w.String("quorum_leader_name", m.leaderName())
	w.Int("quorum_age", m.secondsSince(m.since))
	w.OpenObject("features")
	w.Stringf("quorum_con", "%d", msgr.FeaturesAll)
	w.Strings("quorum_mon", osdmap.MonFeaturesPersistent.Names())
	w.Close()
	w.OpenObject("monmap")
	m.machine.State.MonMap.DumpJSON(w)
	w.Close()
	w.Close()
	// Ceph's answer is compact unless a pretty form is asked for by name.
	if q.args.Format() == "plain" {
		c := *q
		c.args = maps.Clone(q.args)
		c.args["format"] = "json"
		return m.cmdQuorumStatus(&c)
	}
	return line(w)
}

func (m *Monitor) cmdHealth(q *query) reply {
	detail := q.args.String("detail") == "detail"
	if !q.isJSON() {
		return text("%s", m.healthText(detail, " ", "; "))
	}
	w := q.writer()
	m.healthJSON(w, "", detail)
	return reply{out: w.Bytes()}
}

func (m *Monitor) cmdFSID(q *query) reply {
	if !q.isJSON() {
		return text("%s", m.cfg.FSID)
	}
	w := q.writer()
	w.OpenObject("")
	w.String("fsid", m.cfg.FSID.String())
	w.Close()
	return reply{out: w.Bytes()}
}

func (m *Monitor) cmdVersion(q *query) reply {
	if !q.isJSON() {
		return text("%s", version.Pretty())
	}
	w := q.writer()
	w.OpenObject("")
	w.String("version", version.Pretty())
	w.Close()
	return line(w)
}

// versionsOf counts versions in metadata; only those of OSDs that are up count,
// as of others nobody knows what would run.
func (m *Monitor) versionsOf(kind string) map[string]int {
	out := map[string]int{}
	st := &m.machine.State
	switch kind {
	case "mon":
		for _, meta := range st.MonMetadata {
			out[meta["ceph_version"]]++
		}
	case "mgr":
		out[st.Mgr.Active.Metadata["ceph_version"]]++
	case "osd":
		for osd, meta := range st.OSDMetadata {
			if st.OSD.IsUp(osd) {
				out[cmpOr(meta["ceph_version"], "unknown")]++
			}
		}
	}
	return out
}

func cmpOr(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

func dumpCounts(w *jsonfmt.Writer, name string, counts map[string]int) {
	w.OpenObject(name)
	for _, v := range sortedNames(counts) {
		w.Int(v, int64(counts[v]))
	}
	w.Close()
}

func (m *Monitor) cmdVersions(q *query) reply {
	w := q.writer()
	w.OpenObject("")
	overall := map[string]int{}
	for _, kind := range []string{"mon", "mgr", "osd", "mds"} {
		counts := m.versionsOf(kind)
		dumpCounts(w, kind, counts)
		for v, n := range counts {
			overall[v] += n
		}
	}
	dumpCounts(w, "overall", overall)
	w.Close()
	return reply{out: w.Bytes()}
}

func (m *Monitor) cmdMonVersions(q *query) reply {
	w := q.writer()
	dumpCounts(w, "", m.versionsOf("mon"))
	return line(w)
}

func (m *Monitor) cmdMonCount(q *query) reply {
	counts := map[string]int{}
	for _, meta := range m.machine.State.MonMetadata {
		counts[cmpOr(meta[q.args.String("property")], "unknown")]++
	}
	w := q.writer()
	dumpCounts(w, "", counts)
	return reply{out: w.Bytes()}
}

func (m *Monitor) cmdFeatures(q *query) reply {
	w := q.writer()
	m.featureMapJSON(w, "")
	return reply{out: w.Bytes()}
}

// featureMapJSON counts connected peers by their feature bits.
func (m *Monitor) featureMapJSON(w *jsonfmt.Writer, name string) {
	counts := map[entity.Type]map[uint64]int{entity.TypeMon: {msgr.FeaturesAll: 1}, entity.TypeMgr: {msgr.FeaturesAll: 1}}
	for s := range m.sessions {
		if counts[s.name.Type] == nil {
			counts[s.name.Type] = map[uint64]int{}
		}
		counts[s.name.Type][s.conn.Features()]++
	}
	w.OpenObject(name)
	for _, kind := range []entity.Type{entity.TypeMon, entity.TypeMDS, entity.TypeOSD, entity.TypeClient, entity.TypeMgr} {
		if len(counts[kind]) == 0 {
			continue
		}
		w.OpenArray(kind.String())
		for _, f := range slices.Sorted(maps.Keys(counts[kind])) {
			w.OpenObject("")
			w.Stringf("features", "0x%x", f)
			w.String("release", "luminous") // the newest release that features tell apart
			w.Int("num", int64(counts[kind][f]))
			w.Close()
		}
		w.Close()
	}
	w.Close()
}

func (m *Monitor) cmdTimeSync(q *query) reply {
	w := q.writer()
	w.OpenObject("")
	w.OpenObject("timechecks")
	w.Uint("epoch", m.electionEpoch())
	w.Int("round", 0)
	w.String("round_status", "finished")
	w.Close()
	w.Close()
	return reply{out: w.Bytes()}
}

func (m *Monitor) cmdNodeLs(q *query) reply {
	want := cmpOr(q.args.String("type"), "all")
	w := q.writer()
	st := &m.machine.State
	if want == "all" {
		w.OpenObject("")
	}
	if want == "all" || want == "mon" {
		hosts := map[string][]string{}
		for _, name := range sortedNames(st.MonMetadata) {
			h := st.MonMetadata[name]["hostname"]
			hosts[h] = append(hosts[h], name)
		}
		dumpHosts(w, "mon", hosts, func(w *jsonfmt.Writer, s string) { w.String("", s) })
	}
	if want == "all" || want == "osd" {
		hosts := map[string][]int32{}
		for _, osd := range slices.Sorted(maps.Keys(st.OSDMetadata)) {
			h := st.OSDMetadata[osd]["hostname"]
			hosts[h] = append(hosts[h], osd)
		}
		dumpHosts(w, "osd", hosts, func(w *jsonfmt.Writer, osd int32) { w.Int("", int64(osd)) })
	}
	if want == "mds" {
		dumpHosts(w, "mds", map[string][]string{}, nil)
	}
	if want == "all" || want == "mgr" {
		hosts := map[string][]string{st.Mgr.Active.Metadata["hostname"]: {st.Mgr.Active.Name}}
		dumpHosts(w, "mgr", hosts, func(w *jsonfmt.Writer, s string) { w.String("", s) })
	}
	if want == "all" {
		w.Close()
	}
	return line(w)
}

func dumpHosts[T any](w *jsonfmt.Writer, name string, hosts map[string][]T, put func(*jsonfmt.Writer, T)) {
	w.OpenObject(name)
	for _, h := range sortedNames(hosts) {
		w.OpenArray(h)
		for _, v := range hosts[h] {
			put(w, v)
		}
		w.Close()
	}
	w.Close()
}

func (m *Monitor) cmdMonStat(q *query) reply {
	mm := m.machine.State.MonMap
	if !q.isJSON() {
		names := m.quorumNames()
		ranks := make([]string, len(names))
		for i, n := range names {
			ranks[i] = fmt.Sprint(mm.Rank(n))
		}
		return text("%s, election epoch %d, leader %d %s, quorum %s %s", mm.Summary(), m.electionEpoch(),
			mm.Rank(m.leaderName()), m.leaderName(), strings.Join(ranks, ","), strings.Join(names, ","))
	}
	w := q.writer()
	w.OpenObject("")
	w.Uint("epoch", uint64(mm.Epoch))
	w.String("min_mon_release_name", mm.MinMonRelease.String())
	w.Uint("num_mons", uint64(len(mm.Mons)))
	w.String("leader", m.leaderName())
	w.OpenArray("quorum")
	for _, n := range m.quorumNames() {
		w.OpenObject("")
		w.Int("rank", int64(mm.Rank(n)))
		w.String("name", n)
		w.Close()
	}
	w.Close()
	w.Close()
	return line(w)
}

// monMapArg checks the epoch of a command: only the newest is kept.
func (m *Monitor) monMapArg(q *query) (*osdmap.MonMap, *reply) {
	mm := m.machine.State.MonMap
	e, err := q.args.Int("epoch", 0)
	if err != nil {
		r := refuse(syscall.EINVAL, "%v", err)
		return nil, &r
	}
	if e > 0 && e != int64(mm.Epoch) {
		r := refuse(syscall.ENOENT, "there is no map for epoch %d", e)
		return nil, &r
	}
	return mm, nil
}

func (m *Monitor) cmdMonDump(q *query) reply {
	mm, bad := m.monMapArg(q)
	if bad != nil {
		return *bad
	}
	status := fmt.Sprintf("dumped monmap epoch %d", mm.Epoch)
	if !q.isJSON() {
		return reply{out: []byte(mm.Print()), status: status}
	}
	w := q.writer()
	w.OpenObject("")
	mm.DumpJSON(w)
	w.OpenArray("quorum")
	for _, n := range m.quorumNames() {
		w.Int("", int64(mm.Rank(n)))
	}
	w.Close()
	w.Close()
	r := line(w)
	r.status = status
	return r
}

func (m *Monitor) cmdMonGetmap(q *query) reply {
	mm, bad := m.monMapArg(q)
	if bad != nil {
		return *bad
	}
	return reply{out: mm.Encode(), status: fmt.Sprintf("got monmap epoch %d", mm.Epoch)}
}

func (m *Monitor) cmdMonMetadata(q *query) reply {
	st := &m.machine.State
	w := q.writer()
	if id := q.args.String("id"); id != "" {
		if st.MonMap.Rank(id) < 0 {
			return refuse(syscall.ENOENT, "mon.%s does not exist", id)
		}
		m.monMetadataJSON(w, id)
		return reply{out: w.Bytes()}
	}
	w.OpenArray("")
	for _, name := range st.MonMap.Ranks {
		m.monMetadataJSON(w, name)
	}
	w.Close()
	return line(w)
}

func (m *Monitor) monMetadataJSON(w *jsonfmt.Writer, name string) {
	meta := m.machine.State.MonMetadata[name]
	w.OpenObject("")
	w.String("name", name)
	for _, k := range sortedNames(meta) {
		w.String(k, meta[k])
	}
	w.Close()
}

// cmdLogLast prints the end of the cluster log, at level info and above, 20 lines
// unless told otherwise.
func (m *Monitor) cmdLogLast(q *query) reply {
	num, err := q.args.Int("num", 20)
	if err != nil {
		return refuse(syscall.EINVAL, "%v", err)
	}
	level := state.LogInfo
	if s := q.args.String("level"); s != "" {
		level = logLevels[s]
	}
	channel := cmpOr(q.args.String("channel"), "*")
	log := m.machine.State.ClusterLog
	var picked []state.LogEntry
	for i := len(log) - 1; i >= 0 && int64(len(picked)) < num; i-- {
		if log[i].Level >= level && (channel == "*" || channel == log[i].Channel) {
			picked = append(picked, log[i])
		}
	}
	slices.Reverse(picked)
	if !q.isJSON() {
		var b strings.Builder
		for _, e := range picked {
			fmt.Fprintf(&b, "%s %s (%s) %d : %s %s %s\n", jsonfmt.Stamp(e.Stamp), e.Name, e.Rank, e.Seq, e.Channel, e.Level, e.Text)
		}
		return reply{out: []byte(b.String())}
	}
	w := q.writer()
	w.OpenArray("")
	for _, e := range picked {
		w.OpenObject("")
		w.String("name", e.Name)
		w.String("rank", e.Rank.String())
		osdmap.DumpAddrs(w, "addrs", e.Addrs)
		w.Time("stamp", e.Stamp)
		w.Uint("seq", e.Seq)
		w.String("channel", e.Channel)
		w.String("priority", e.Level.String())
		w.String("message", e.Text)
		w.Close()
	}
	w.Close()
	return reply{out: w.Bytes()}
}
