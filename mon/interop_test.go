package mon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"sepiola/config"
	"sepiola/entity"
	"sepiola/internal/reftool"
)

// testMon is a monitor in this process, with a ceph.conf for real clients.
type testMon struct {
	*Monitor
	t    *testing.T
	dir  string
	conf string
	cfg  Config
	ceph string // path of the program; "" until needed
}

var testFSID = entity.UUID{0xaa, 2, 3, 4, 5, 6, 0x47, 8, 0x89, 10, 11, 12, 13, 14, 15, 16}

// freePort asks the kernel for a port that is free now.
func freePort(t *testing.T) uint16 {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String()).Port()
}

func newTestMon(t *testing.T) *testMon {
	t.Helper()
	dir := t.TempDir()
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), freePort(t))
	opts := config.New("mon", "a")
	for k, v := range map[string]string{"osd_crush_chooseleaf_type": "0", "mon_allow_pool_delete": "true", "osd_pool_default_pg_autoscale_mode": "off"} {
		if err := opts.Set(config.FromFile, k, v); err != nil {
			t.Fatal(err)
		}
	}
	m := &testMon{t: t, dir: filepath.Join(dir, "mon.a"), conf: filepath.Join(dir, "ceph.conf")}
	err := Mkfs(m.dir, MkfsOptions{FSID: testFSID, Name: "a", Mons: map[string]entity.AddrVec{"a": {entity.Msgr2(addr)}}, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("[global]\nfsid = %s\nmon host = v2:%s\nauth cluster required = none\nauth service required = none\nauth client required = none\nkeyring = /dev/null\nlog file =\nadmin socket =\n", testFSID, addr)
	if err := os.WriteFile(m.conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	m.cfg = Config{Name: "a", DataDir: m.dir, FSID: testFSID, Options: opts, Logger: hclog.NewNullLogger(), Fatal: func(err error) { t.Errorf("monitor stopped: %v", err) }}
	m.start()
	t.Cleanup(func() { m.Shutdown() })
	return m
}

func (m *testMon) start() {
	m.t.Helper()
	mon, err := New(m.cfg)
	if err != nil {
		m.t.Fatal(err)
	}
	if err := mon.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.Monitor = mon
}

// run executes the real ceph program and returns what it prints and its code.
func (m *testMon) run(args ...string) (out, status string, code int) {
	m.t.Helper()
	if m.ceph == "" {
		m.ceph = reftool.Need(m.t, "ceph")
	}
	cmd := exec.Command(m.ceph, append([]string{"-c", m.conf, "--connect-timeout", "20"}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		m.t.Fatal(err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

// ok executes a command that must succeed.
func (m *testMon) ok(args ...string) string {
	m.t.Helper()
	out, status, code := m.run(args...)
	if code != 0 {
		m.t.Errorf("ceph %s: exit code %d: %s", strings.Join(args, " "), code, status)
	}
	return out
}

// The real client understands every command that is described to it, in both
// forms, and a summary of each is there.
func TestCephProgram(t *testing.T) {
	m := newTestMon(t)
	for _, tc := range []struct{ cmd, want string }{
		{"-s", "mgr: a(active"},
		{"status", "mon: 1 daemons, quorum a"},
		{"health detail", "[WRN] TOO_FEW_OSDS: OSD count 0 < osd_pool_default_size 3"},
		{"mon stat", "e1: 1 mons at {a=v2:127.0.0.1"},
		{"mon dump", "min_mon_release 16 (pacific)"},
		{"quorum_status", `"quorum_leader_name":"a"`},
		{"fsid", testFSID.String()},
		{"versions", `"overall"`},
		{"osd new 01000000-0000-0000-0000-000000000000", "0"},
		{"osd crush create-or-move 0 1.0 root=default host=h", ""},
		{"osd crush set-device-class ssd 0", ""},
		{"osd tree", "osd.0"},
		{"osd crush tree", "ssd"},
		{"osd stat", "1 osds: 0 up, 0 in; epoch: e"},
		{"osd dump", "require_osd_release pacific"},
		{"osd ls", "0"},
		{"osd pool create data 8", ""},
		{"osd pool ls", "data"},
		{"osd pool ls detail", "pool 1 'data' replicated size 3 min_size 2 crush_rule 0"},
		{"osd pool get data size", "size: 3"},
		{"osd pool set data size 2", ""},
		{"osd pool get data all", "size: 2"},
		{"osd pool stats", "nothing is going on"},
		{"osd map data obj", "-> up ([], p-1) acting ([], p-1)"},
		{"pg stat", "8 pgs: 8 creating"},
		{"pg map 1.3", "pg 1.3 (1.3)"},
		{"pg dump pgs_brief", "creating"},
		{"df", "--- POOLS ---"},
		{"osd df", "MIN/MAX VAR"},
		{"config set osd osd_max_backfills 3", ""},
		{"config get osd.0 osd_max_backfills", "3"},
		{"config dump", "osd_max_backfills"},
		{"osd set noout", ""},
		{"health", "HEALTH_WARN noout flag(s) set; OSD count 1 < osd_pool_default_size 3"},
		{"osd unset noout", ""},
		{"log hello there", ""},
		{"log last 1", "hello there"},
		{"osd blocklist add 10.0.0.1:0/7", ""},
		{"osd blocklist ls", "10.0.0.1:0/7"},
		{"osd crush rule dump", "replicated_rule"},
		{"osd crush show-tunables", "jewel"},
		{"osd erasure-code-profile ls", "default"},
		{"config-key set a b", ""},
		{"config-key get a", "b"},
		{"mgr stat", `"active_name": "a"`},
		{"mon metadata a", `"ceph_release": "pacific"`},
		{"tell mon.a mon_status", `"state": "leader"`},
		{"osd pool rm data data --yes-i-really-really-mean-it", ""},
	} {
		if got := m.ok(strings.Fields(tc.cmd)...); !strings.Contains(got, tc.want) {
			t.Errorf("ceph %s printed %q, which lacks %q", tc.cmd, got, tc.want)
		}
	}
	for _, cmd := range []string{"status", "health detail", "mon stat", "mon dump", "quorum_status", "osd stat", "osd dump", "osd tree", "osd ls",
		"osd pool ls", "osd pool stats", "pg stat", "pg dump", "df detail", "osd df", "versions", "config dump", "osd crush dump", "features", "node ls", "mgr dump"} {
		for _, form := range []string{"json", "json-pretty"} {
			out := m.ok(append(strings.Fields(cmd), "-f", form)...)
			if !json.Valid([]byte(out)) {
				t.Errorf("ceph %s -f %s is not JSON: %.200s", cmd, form, out)
			}
		}
	}
}

// Refusals carry the errno and words that Ceph's monitors have.
func TestRefusals(t *testing.T) {
	m := newTestMon(t)
	for _, tc := range []struct {
		cmd  string
		code int
		want string
	}{
		{"osd pool get nope size", 2, "Error ENOENT: unrecognized pool 'nope'"},
		{"osd find 7", 2, "osd.7 does not exist"},
		{"osd dump 99", 2, "there is no map for epoch 99"},
		{"config set osd nosuch 1", 22, "unrecognized config option 'nosuch'"},
		{"osd crush create-or-move 9 1 root=default", 2, "osd.9 does not exist.  create it before updating the crush map"},
		{"osd pool create e erasure", 95, "erasure-coded pools are not supported"},
		{"osd map nope x", 2, "pool nope does not exist"},
		{"osd out nonsense", 22, "Expected option value to be integer, got 'nonsense'"},
	} {
		_, status, code := m.run(strings.Fields(tc.cmd)...)
		if code != tc.code || !strings.Contains(status, tc.want) {
			t.Errorf("ceph %s: code %d, %q; want %d, %q", tc.cmd, code, status, tc.code, tc.want)
		}
	}
}

// What commands hand out as binary maps is what Ceph's own tools read.
func TestToolsReadMaps(t *testing.T) {
	osdmaptool, crushtool, monmaptool := reftool.Need(t, "osdmaptool"), reftool.Need(t, "crushtool"), reftool.Need(t, "monmaptool")
	m := newTestMon(t)
	for i := range 3 {
		m.ok("osd", "new", entity.UUID{byte(i + 1)}.String())
		m.ok("osd", "crush", "create-or-move", fmt.Sprint(i), "1.0", "root=default", "host=h")
	}
	m.ok("osd", "pool", "create", "data", "16")
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	m.ok("osd", "getmap", "-o", file("osdmap"))
	m.ok("osd", "getcrushmap", "-o", file("crush"))
	m.ok("mon", "getmap", "-o", file("monmap"))
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{osdmaptool, "--print", file("osdmap")}, "pool 1 'data' replicated size 3"},
		{[]string{osdmaptool, "--test-map-pgs", "--mark-up-in", file("osdmap")}, "pool 1 pg_num 16"},
		{[]string{crushtool, "-d", file("crush")}, "replicated_rule"},
		{[]string{monmaptool, "--print", file("monmap")}, "mon.a"},
	} {
		out, err := exec.Command(tc.args[0], tc.args[1:]...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), tc.want) {
			t.Errorf("%v: %v\n%s", tc.args, err, out)
		}
	}
	if _, status, code := m.run("osd", "setcrushmap", "-i", file("crush")); code != 0 {
		t.Errorf("setcrushmap refused what getcrushmap gave: %s", status)
	}
	if _, _, code := m.run("osd", "setcrushmap", "-i", file("monmap")); code != 22 {
		t.Errorf("setcrushmap of something else ended with %d, want EINVAL", code)
	}
}

// What was answered is there after a restart, and the epochs go on.
func TestRestart(t *testing.T) {
	m := newTestMon(t)
	m.ok("osd", "pool", "create", "data", "8")
	m.ok("config", "set", "global", "osd_max_backfills", "2")
	before := m.epoch()
	m.Shutdown()
	m.start()
	if got := m.ok("osd", "pool", "ls"); got != "data\n" {
		t.Errorf("pools after a restart: %q", got)
	}
	if got := m.ok("config", "get", "osd.0", "osd_max_backfills"); got != "2\n" {
		t.Errorf("option after a restart: %q", got)
	}
	if after := m.epoch(); after != before {
		t.Errorf("epoch %d after a restart, %d before", after, before)
	}
}

func (m *testMon) epoch() uint32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.machine.State.LastEpoch
}
