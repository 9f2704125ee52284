package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sepiola/internal/clustertest"
	"sepiola/internal/reftool"
)

// While sockets break on every side, the daemons' and the client's, and messages
// between OSDs are late, what Ceph's client does happens once and in order: appends
// are neither lost nor doubled, and what was written is read back.
func TestBrokenSockets(t *testing.T) {
	reftool.Need(t, "ceph")
	reftool.Need(t, "rados")
	cluster := clustertest.Up(t, "--pool", "faulty:8:3")
	c := target{name: "sepiola", conf: cluster.Conf(), run: filepath.Join(cluster.Dir, "run")}
	faults := map[string]string{
		"ms_inject_socket_failures":   "100",
		"ms_inject_delay_type":        "osd",
		"ms_inject_delay_probability": "0.02",
		"ms_inject_delay_max":         "0.05",
	}
	for _, daemon := range []string{"osd.0", "osd.1", "osd.2", "mon.a"} {
		for option, value := range faults {
			must(t, c.tool("ceph", "", "daemon", cluster.Asok(daemon), "config", "set", option, value))
		}
	}
	in := filepath.Join(clustertest.Dir(t), "in")
	var want strings.Builder
	for i := range 40 {
		line := fmt.Sprintf("line %d\n", i)
		want.WriteString(line)
		if err := os.WriteFile(in, []byte(line), 0o644); err != nil {
			t.Fatal(err)
		}
		must(t, c.rados("-p", "faulty", "append", "log", in, "--ms-inject-socket-failures", "100"))
	}
	if got := must(t, c.rados("-p", "faulty", "get", "log", "-")); got != want.String() {
		t.Errorf("40 appends made\n%s", got)
	}
	must(t, c.rados("-p", "faulty", "bench", "4", "write", "-b", "4096", "-t", "16", "--no-cleanup", "--ms-inject-socket-failures", "200"))
	// It compares what it reads with what it wrote.
	must(t, c.rados("-p", "faulty", "bench", "4", "seq", "-t", "16", "--ms-inject-socket-failures", "200"))
	var opened uint64
	for osd := range osds {
		dump := must(t, c.tool("ceph", "", "daemon", cluster.Asok(fmt.Sprintf("osd.%d", osd)), "perf", "dump"))
		_, cluster, _ := strings.Cut(dump, `"AsyncMessenger::cluster"`)
		_, n, _ := strings.Cut(cluster, `"msgr_opened_sessions": `)
		var of uint64
		if _, err := fmt.Sscan(n, &of); err != nil {
			t.Fatalf("%v in\n%s", err, dump)
		}
		opened += of
	}
	if opened < 20 {
		t.Errorf("sessions between OSDs were opened %d times: the sockets hardly broke", opened)
	}
}
