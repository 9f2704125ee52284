package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"sepiola/internal/clustertest"
	"sepiola/internal/reftool"
)

// daemonsOf are a cluster's daemons and their pids according to "status", only
// those that run.
func daemonsOf(t *testing.T, c *clustertest.Cluster) map[string]int {
	t.Helper()
	var st struct {
		Daemons []struct {
			Name  string `json:"name"`
			PID   int    `json:"pid"`
			State string `json:"state"`
		} `json:"daemons"`
	}
	if err := json.Unmarshal([]byte(c.Must(t, "status", "--format", "json")), &st); err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, d := range st.Daemons {
		if d.State == "running" {
			out[d.Name] = d.PID
		}
	}
	return out
}

// lives reports whether a process has not ended; one that nobody has waited for
// has no command line any more.
func lives(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && len(b) > 0
}

// put stores a small object; get expects it back.
func put(t *testing.T, c target, pool, name, content string) {
	t.Helper()
	must(t, c.tool("rados", content, "-p", pool, "put", name, "-"))
}

func get(t *testing.T, c target, pool, name, want string) {
	t.Helper()
	if got := must(t, c.rados("-p", pool, "get", name, "-")); got != want {
		t.Errorf("%s/%s holds %q, not %q", pool, name, got, want)
	}
}

// A cluster's life in the background: up, up again, status, down, up, kill and
// start of one daemon, kill -9 of all; what was stored is there throughout.
func TestClusterLife(t *testing.T) {
	reftool.Need(t, "rados")
	c := clustertest.Up(t, "--osds", "2", "--pool", "one:8:2", "--pool", "two:4:1")
	tools := targetOf(c)
	if got, want := must(t, tools.rados("lspools")), "one\ntwo\n"; got != want {
		t.Errorf("pools are %q, not %q", got, want)
	}
	put(t, tools, "one", "a", "first")

	first := daemonsOf(t, c)
	if len(first) != 3 {
		t.Errorf("the daemons are %v", first)
	}
	if out := c.Must(t, "up"); !strings.Contains(out, c.Conf()) {
		t.Errorf("up again says %q", out)
	}
	if again := daemonsOf(t, c); fmt.Sprint(again) != fmt.Sprint(first) {
		t.Errorf("up again changed the daemons from %v to %v", first, again)
	}
	plain := c.Must(t, "status")
	for name, pid := range first {
		if !strings.Contains(plain, name) || !strings.Contains(plain, strconv.Itoa(pid)) {
			t.Errorf("status does not tell of %s (%d):\n%s", name, pid, plain)
		}
	}
	if !strings.Contains(plain, "12 active+clean") {
		t.Errorf("status does not tell of 12 clean PGs:\n%s", plain)
	}

	c.Must(t, "down")
	if left := daemonsOf(t, c); len(left) != 0 {
		t.Errorf("after down run %v", left)
	}
	for name, pid := range first {
		if lives(pid) {
			t.Errorf("%s (%d) runs after down", name, pid)
		}
	}
	c.Must(t, "down") // nothing runs, and that is no mistake
	c.Must(t, "up")
	get(t, tools, "one", "a", "first")

	c.Must(t, "kill", "osd.1")
	if left := daemonsOf(t, c); left["osd.1"] != 0 || len(left) != 2 {
		t.Errorf("after kill osd.1 run %v", left)
	}
	if r := c.Run("kill", "osd.1"); r.Code == 0 || !strings.Contains(r.Stderr, "does not run") {
		t.Errorf("kill of what does not run: %d, %s", r.Code, r.Stderr)
	}
	c.Must(t, "start", "osd.1")
	if r := c.Run("start", "osd.1"); r.Code == 0 || !strings.Contains(r.Stderr, "runs already") {
		t.Errorf("start of what runs: %d, %s", r.Code, r.Stderr)
	}
	c.Must(t, "up")
	put(t, tools, "one", "b", "second")

	for name, pid := range daemonsOf(t, c) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	c.Must(t, "up")
	get(t, tools, "one", "a", "first")
	get(t, tools, "one", "b", "second")

	c.Must(t, "destroy")
	if _, err := os.Stat(c.Dir); !os.IsNotExist(err) {
		t.Errorf("after destroy, %s: %v", c.Dir, err)
	}
}

// run stays in the foreground, says what to try, and stops all at Ctrl-C, with
// the data kept.
func TestClusterRun(t *testing.T) {
	reftool.Need(t, "rados")
	c := clustertest.New(t)
	t.Cleanup(func() { c.Destroy(t) })
	session := func(do func(), flags ...string) string {
		cmd := c.Command(append([]string{"run"}, flags...)...)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var all strings.Builder
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			fmt.Fprintln(&all, lines.Text())
			if strings.HasPrefix(lines.Text(), "Ctrl-C") {
				do()
				if err := cmd.Process.Signal(os.Interrupt); err != nil {
					t.Error(err)
				}
			}
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("run: %v\n%s", err, all.String())
		}
		return all.String()
	}
	var pids map[string]int
	said := session(func() {
		pids = daemonsOf(t, c)
		put(t, targetOf(c), "data", "kept", "kept")
	}, "--osds", "1")
	for _, want := range []string{c.Conf(), "ceph -c ", "rados -c ", "bench"} {
		if !strings.Contains(said, want) {
			t.Errorf("run does not say %q:\n%s", want, said)
		}
	}
	if len(pids) != 2 {
		t.Errorf("run has the daemons %v", pids)
	}
	for name, pid := range pids {
		if lives(pid) {
			t.Errorf("%s (%d) runs after Ctrl-C", name, pid)
		}
	}
	session(func() { get(t, targetOf(c), "data", "kept", "kept") })
}

// Two clusters run beside each other; one of five OSDs in memory.
func TestTwoClusters(t *testing.T) {
	first := sharedCluster(t)
	second := clustertest.Up(t, "--osds", "5", "--store", "memstore", "--pool", "wide:16:3")
	one, two := targetOf(first), targetOf(second)
	put(t, one, "data", "where", "in the first")
	put(t, two, "wide", "where", "in the second")
	get(t, one, "data", "where", "in the first")
	get(t, two, "wide", "where", "in the second")
	must(t, one.rados("-p", "data", "rm", "where"))
	if got := strings.Fields(must(t, two.ceph("osd", "ls"))); len(got) != 5 {
		t.Errorf("OSDs %v", got)
	}
	if got := must(t, two.ceph("osd", "count-metadata", "osd_objectstore", "-f", "json")); !strings.Contains(got, `{"memstore":5}`) {
		t.Errorf("stores are %s", got)
	}
	second.Must(t, "kill", "osd.4", "--signal", "TERM")
	await(t, "osd.4 is down", func() bool { return daemonsOf(t, second)["osd.4"] == 0 })
	get(t, two, "wide", "where", "in the second")
}

// What cannot work is refused at once, with a sentence that says what is wrong
// and a non-zero exit status, and leaves no daemon behind.
func TestClusterRefuses(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	taken := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	full := clustertest.Dir(t)
	if err := os.WriteFile(filepath.Join(full, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args []string
		want string // in what it says
	}{
		{[]string{"up", "--port", taken}, taken},
		{[]string{"up", "--osds", "0"}, "--osds 0"},
		{[]string{"up", "--mons", "3"}, "--mons 3"},
		{[]string{"up", "--store", "nosuch"}, "filestore or memstore"},
		{[]string{"up", "--pool", "x"}, "NAME:PGS:SIZE"},
		{[]string{"up", "--pool", "x:8:0"}, "NAME:PGS:SIZE"},
		{[]string{"up", "--timeout", "1ms"}, ""},
		{[]string{"--dir", full, "up"}, "not empty"},
		{[]string{"down"}, "no cluster"},
		{[]string{"status"}, "no cluster"},
		{[]string{"destroy"}, "no cluster"},
		{[]string{"kill", "osd.0"}, "no cluster"},
		{[]string{"nosuchcommand"}, "nosuchcommand"},
		{[]string{"up", "--nosuchflag"}, "nosuchflag"},
	} {
		c := clustertest.New(t)
		r := c.Run(tc.args...)
		if r.Code == 0 || !strings.Contains(r.Stderr, tc.want) || r.Stderr == "" {
			t.Errorf("cluster %s: exit status %d, says %q, which lacks %q", strings.Join(tc.args, " "), r.Code, r.Stderr, tc.want)
		}
		if exists, _ := filepath.Glob(filepath.Join(c.Dir, "run", "*.pid")); len(exists) > 0 && slices.Contains(tc.args, "--port") {
			t.Errorf("cluster %s: left %v", strings.Join(tc.args, " "), exists)
		}
		c.Destroy(t)
	}
}

// up gives up after --timeout, with the reason: here a pool that wants more copies
// than there are OSDs. The next up goes on where it stopped.
func TestClusterTimeout(t *testing.T) {
	c := clustertest.New(t)
	t.Cleanup(func() { c.Destroy(t) })
	r := c.Run("up", "--osds", "1", "--pool", "wide:4:2", "--timeout", "6s")
	if r.Code == 0 || !strings.Contains(r.Stderr, "4 PGs") || !strings.Contains(r.Stderr, "undersized") {
		t.Errorf("exit status %d, says %q", r.Code, r.Stderr)
	}
	if got := daemonsOf(t, c); len(got) != 2 {
		t.Errorf("the daemons are %v", got)
	}
}
