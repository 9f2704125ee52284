package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// daemon runs "ceph daemon" against the admin socket of a daemon.
func (c target) daemon(name string, args ...string) outcome {
	all := append([]string{"daemon", c.run + "/" + name + ".asok"}, args...)
	return outcome{cmd: "daemon " + name + " " + strings.Join(args, " "), Result: c.ceph(all...)}
}

// The admin socket answers the ceph program as Ceph's daemons do.
func TestAdminSocketPrintsTheSame(t *testing.T) {
	us, them := onBoth(t, func(c target) []outcome {
		return []outcome{
			c.daemon("osd.0", "version"),
			c.daemon("osd.0", "git_version"),
			c.daemon("osd.0", "status"),
			c.daemon("osd.0", "dump_ops_in_flight"),
			c.daemon("osd.0", "ops"),
			c.daemon("osd.0", "config", "get", "osd_max_backfills"),
			c.daemon("osd.0", "config", "get", "nosuchoption"),
			c.daemon("osd.0", "config", "set", "osd_max_backfills", "2"),
			c.daemon("osd.0", "config", "get", "osd_max_backfills"),
			c.daemon("osd.0", "config", "set", "nosuchoption", "1"),
			c.daemon("osd.0", "config", "set", "osd_max_backfills", "x"),
			c.daemon("osd.0", "config", "unset", "osd_max_backfills"),
			c.daemon("mon.a", "version"),
			c.daemon("mon.a", "mon_status"),
			c.daemon("mon.a", "config", "get", "mon_allow_pool_delete"),
		}
	})
	for i := range us {
		compare(t, "ceph", us[i], them[i])
	}
}

// What the admin socket lists is named as in Ceph: commands, options and
// performance counters. Ceph has more.
func TestAdminSocketNamesAreCephs(t *testing.T) {
	us, them := onBoth(t, func(c target) []outcome {
		var all []outcome
		for _, name := range []string{"osd.0", "mon.a"} {
			all = append(all, c.daemon(name, "help"), c.daemon(name, "config", "show"), c.daemon(name, "perf", "dump"))
		}
		return all
	})
	for i := range us {
		g, err := parseJSON(us[i].Stdout)
		if err != nil {
			t.Errorf("%s: %v\n%s", us[i].cmd, err, us[i].Stderr)
			continue
		}
		w, err := parseJSON(them[i].Stdout)
		if err != nil {
			t.Fatalf("%s in Ceph: %v\n%s", us[i].cmd, err, them[i].Stderr)
		}
		if len(g.members) == 0 {
			t.Errorf("%s lists nothing", us[i].cmd)
		}
		for _, d := range extra("$", g, w) {
			if !explained(us[i].cmd, d) {
				t.Errorf("%s: %s", us[i].cmd, d)
			}
		}
	}
}

// extra lists the members of got that want lacks or has as another type.
func extra(path string, got, want value) []string {
	if got.kind != want.kind {
		return []string{fmt.Sprintf("%s: is a %s, in Ceph a %s", path, got.kind, want.kind)}
	}
	var out []string
	for _, m := range got.members {
		if w, ok := want.get(m.key); ok {
			out = append(out, extra(path+"."+m.key, m.value, w)...)
		} else {
			out = append(out, path+"."+m.key+": is not in Ceph")
		}
	}
	return out
}

// perf dump counts what clients do.
func TestPerfDumpCounts(t *testing.T) {
	c := ours(t)
	writes := func() (n int64) {
		for _, name := range []string{"osd.0", "osd.1", "osd.2"} {
			var perf struct {
				OSD struct {
					Writes int64 `json:"op_w"`
				} `json:"osd"`
			}
			if err := json.Unmarshal([]byte(must(t, c.daemon(name, "perf", "dump").Result)), &perf); err != nil {
				t.Fatal(err)
			}
			n += perf.OSD.Writes
		}
		return n
	}
	before := writes()
	must(t, c.rados("-p", "data", "create", "counted"))
	must(t, c.rados("-p", "data", "rm", "counted"))
	if after := writes(); after != before+2 {
		t.Errorf("two writes, and op_w went from %d to %d", before, after)
	}
}

// config set reaches a running daemon, the more specific section wins, and
// config rm takes it back.
func TestConfigReachesDaemons(t *testing.T) {
	c := ours(t)
	value := func(name, option string) string {
		var got map[string]string
		if err := json.Unmarshal([]byte(must(t, c.daemon(name, "config", "get", option).Result)), &got); err != nil {
			t.Fatal(err)
		}
		return got[option]
	}
	expect := func(name, option, want string) {
		t.Helper()
		await(t, fmt.Sprintf("%s of %s is %q", option, name, want), func() bool { return value(name, option) == want })
	}
	initial := value("osd.0", "debug_osd")
	must(t, c.ceph("config", "set", "osd", "debug_osd", "5/5"))
	expect("osd.0", "debug_osd", "5/5")
	expect("osd.1", "debug_osd", "5/5")
	must(t, c.ceph("config", "set", "osd.0", "debug_osd", "10"))
	expect("osd.0", "debug_osd", "10/10")
	expect("osd.1", "debug_osd", "5/5")
	if got := strings.TrimSpace(must(t, c.ceph("config", "get", "osd.0", "debug_osd"))); got != "10/10" {
		t.Errorf("config get says %q", got)
	}
	must(t, c.ceph("config", "rm", "osd.0", "debug_osd"))
	expect("osd.0", "debug_osd", "5/5")
	must(t, c.ceph("config", "rm", "osd", "debug_osd"))
	expect("osd.0", "debug_osd", initial)
	expect("osd.1", "debug_osd", initial)
	must(t, c.ceph("config", "set", "mon", "mon_max_pg_per_osd", "300"))
	expect("mon.a", "mon_max_pg_per_osd", "300")
	must(t, c.ceph("config", "rm", "mon", "mon_max_pg_per_osd"))
	expect("mon.a", "mon_max_pg_per_osd", "250")
}
