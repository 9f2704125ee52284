package mon

import (
	"encoding/json"
	"maps"

	"sepiola/command"
	"sepiola/hostinfo"
	"sepiola/jsonfmt"
	"sepiola/msgr"
	"sepiola/osdmap"
	"sepiola/pglog"
	"sepiola/version"
)

// tellCommand is one that goes to a particular monitor, by "ceph tell" or its
// admin socket.
type tellCommand struct {
	help string
	run  func(*Monitor, *query) reply
}

// tellCommands are the monitor's own commands, beside those every daemon has.
var tellCommands = map[string]tellCommand{
	"perf dump":     {"dump perfcounters value", (*Monitor).cmdPerfDump},
	"mon_status":    {"report status of monitors", (*Monitor).cmdMonStatus},
	"quorum_status": {"report status of monitor quorum", (*Monitor).cmdQuorumStatus},
	"sessions":      {"list existing sessions", (*Monitor).cmdSessions},
}

// registerAdmin adds the monitor's commands to the admin socket.
func (m *Monitor) registerAdmin() {
	if m.cfg.Admin == nil {
		return
	}
	m.cfg.Admin.Register("messenger dump", "dump the sessions of the messengers", func(command.Args) (any, error) {
		out := map[string]any{}
		for name, ms := range m.messengers() {
			out[name] = ms.Dump()
		}
		return out, nil
	})
	for prefix, t := range tellCommands {
		m.cfg.Admin.Register(prefix, t.help, func(args command.Args) (any, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			a := maps.Clone(args)
			if a == nil {
				a = command.Args{}
			}
			if a["format"] == nil {
				a["format"] = "json-pretty"
			}
			return t.run(m, &query{args: a}).out, nil
		})
	}
}

// messengers are the monitor's, by what they are for.
func (m *Monitor) messengers() map[string]*msgr.Messenger {
	return map[string]*msgr.Messenger{"mon": m.monMsr, "mgr": m.mgrMsr}
}

// tellSpecs describes what "ceph tell mon.x" serves.
func (m *Monitor) tellSpecs() []command.Spec {
	var out []command.Spec
	for _, p := range sortedNames(tellCommands) {
		out = append(out, spec(p, tellCommands[p].help, "mon", "r", command.FlagTell))
	}
	if m.cfg.Admin != nil {
		for _, s := range m.cfg.Admin.Specs() {
			if _, own := tellCommands[s.Prefix()]; own {
				continue
			}
			s.Module, s.Perm, s.Flags = "mon", "rw", command.FlagTell
			out = append(out, s)
		}
	}
	return out
}

func (m *Monitor) monStatusJSON(w *jsonfmt.Writer) {
	st := &m.machine.State
	w.OpenObject("")
	w.String("name", m.cfg.Name)
	w.Int("rank", int64(m.rank))
	role := "peon"
	if m.leading {
		role = "leader"
	}
	w.String("state", role)
	w.Uint("election_epoch", m.electionEpoch())
	w.OpenArray("quorum")
	for _, n := range m.quorumNames() {
		w.Int("", int64(st.MonMap.Rank(n)))
	}
	w.Close()
	w.Int("quorum_age", m.secondsSince(m.since))
	w.OpenObject("features")
	w.Stringf("required_con", "%d", msgr.FeaturesProtocol)
	w.Strings("required_mon", osdmap.MonFeaturesPersistent.Names())
	w.Stringf("quorum_con", "%d", msgr.FeaturesAll)
	w.Strings("quorum_mon", osdmap.MonFeaturesPersistent.Names())
	w.Close()
	for _, none := range []string{"outside_quorum", "extra_probe_peers", "sync_provider"} {
		w.Strings(none, nil)
	}
	w.OpenObject("monmap")
	st.MonMap.DumpJSON(w)
	w.Close()
	m.featureMapJSON(w, "feature_map")
	w.Bool("stretch_mode", false)
	w.Close()
}

func (m *Monitor) cmdMonStatus(q *query) reply {
	w := q.writer()
	m.monStatusJSON(w)
	return reply{out: w.Bytes()}
}

// pingStatus answers a ping: the monitor's status and the cluster's health.
func (m *Monitor) pingStatus() string {
	w := jsonfmt.New(false)
	w.OpenObject("")
	if m.machine.State.OSD != nil {
		m.healthJSON(w, "health", false)
	}
	inner := jsonfmt.New(false)
	m.monStatusJSON(inner)
	w.Raw("mon_status", inner.Text())
	w.Close()
	return w.Text()
}

// cmdPerfDump shows counters of the monitor and of the cluster it looks after, by
// the names that Monitor::update_logger and the like in src/mon/ give them.
func (m *Monitor) cmdPerfDump(q *query) reply {
	w := q.writer()
	w.OpenObject("")
	w.OpenObject("cluster")
	st := &m.machine.State
	w.Int("num_mon", int64(len(st.MonMap.Mons)))
	w.Int("num_mon_quorum", int64(len(m.quorumNames())))
	if st.OSD != nil {
		m.clusterCounters(w)
	}
	w.Close()
	w.OpenObject("mon")
	w.Int("num_sessions", int64(len(m.sessions)))
	w.Close()
	all := m.messengers()
	for _, name := range sortedNames(all) {
		if p, err := json.Marshal(all[name].Counters()); err == nil {
			w.Raw("AsyncMessenger::"+name, string(p))
		}
	}
	w.Close()
	return reply{out: w.Bytes()}
}

func (m *Monitor) clusterCounters(w *jsonfmt.Writer) {
	om := m.machine.State.OSD
	exist, up, in := om.Counts()
	space := m.pgs.Space(nil)
	var clean, active, peering int64
	for _, s := range m.pgs.PGs {
		if s.State.Has(pglog.StateActive) {
			active++
			if s.State.Has(pglog.StateClean) {
				clean++
			}
		}
		if s.State.Has(pglog.StatePeering) {
			peering++
		}
	}
	sum := m.pgs.Total().Stats.Sum
	for _, c := range []struct {
		name  string
		value int64
	}{
		{"num_osd", int64(exist)}, {"num_osd_up", int64(up)}, {"num_osd_in", int64(in)}, {"osd_epoch", int64(om.Epoch)},
		{"osd_bytes", int64(space.Statfs.Total)}, {"osd_bytes_used", int64(space.Statfs.UsedRaw())},
		{"osd_bytes_avail", int64(space.Statfs.Available)}, {"num_pool", int64(len(om.Pools))}, {"num_pg", int64(len(m.pgs.PGs))},
		{"num_pg_active_clean", clean}, {"num_pg_active", active}, {"num_pg_peering", peering},
		{"num_object", sum.NumObjects}, {"num_object_degraded", sum.NumObjectsDegraded},
		{"num_object_misplaced", sum.NumObjectsMisplaced}, {"num_object_unfound", sum.NumObjectsUnfound}, {"num_bytes", sum.NumBytes},
	} {
		w.Int(c.name, c.value)
	}
}

func (m *Monitor) cmdSessions(q *query) reply {
	w := q.writer()
	w.OpenArray("")
	for s := range m.sessions {
		w.OpenObject("")
		w.String("name", s.name.String())
		w.String("entity_name", s.auth.String())
		w.String("addrs", s.conn.PeerAddrs().String())
		w.Uint("global_id", s.conn.PeerGlobalID())
		w.OpenObject("subscriptions")
		for _, what := range sortedNames(s.subs) {
			w.Uint(what, s.subs[what].next)
		}
		w.Close()
		w.Close()
	}
	w.Close()
	return reply{out: w.Bytes()}
}

// metadata is what the monitor says of itself and its host.
func (m *Monitor) metadata() map[string]string {
	meta := hostinfo.Collect()
	maps.Copy(meta, map[string]string{
		"addrs": m.monMsr.Addrs().String(), "ceph_version": version.Pretty(), "ceph_version_short": version.Ceph,
		"ceph_release": version.Release, "compression_algorithms": "none",
	})
	return meta
}
