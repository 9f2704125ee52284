package mon

import (
	"maps"

	"sepiola/command"
	"sepiola/hostinfo"
	"sepiola/jsonfmt"
	"sepiola/msgr"
	"sepiola/osdmap"
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
	"mon_status":    {"report status of monitors", (*Monitor).cmdMonStatus},
	"quorum_status": {"report status of monitor quorum", (*Monitor).cmdQuorumStatus},
	"sessions":      {"list existing sessions", (*Monitor).cmdSessions},
}

// registerAdmin adds the monitor's commands to the admin socket.
func (m *Monitor) registerAdmin() {
	if m.cfg.Admin == nil {
		return
	}
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
