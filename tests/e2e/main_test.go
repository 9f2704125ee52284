package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sepiola/internal/clustertest"
	"sepiola/internal/refcluster"
	"sepiola/internal/reftool"
)

func TestMain(m *testing.M) {
	clustertest.Main(m, func() {
		if c := reference.cluster; c != nil {
			if err := c.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
	})
}

// These variables of the environment name clusters that run already, which spares
// whoever works on the tests the start. They have to be like those that the tests
// make: three OSDs, and a pool "data" with the number 2.
const (
	sepiolaDir = "E2E_SEPIOLA_DIR" // --dir of cmd/cluster
	cephConf   = "E2E_CEPH_CONF"   // ceph.conf of a cluster of the reference
)

// osds is how many OSDs both clusters have.
const osds = 3

// target is a cluster that Ceph's programs are pointed at.
type target struct {
	name string
	conf string
	run  string // directory of pid files and admin sockets
}

// ceph runs the ceph program.
func (c target) ceph(args ...string) clustertest.Result { return c.tool("ceph", "", args...) }

// rados runs the rados program.
func (c target) rados(args ...string) clustertest.Result { return c.tool("rados", "", args...) }

// tool runs a program of Ceph's with something on its standard input.
func (c target) tool(prog, stdin string, args ...string) clustertest.Result {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if c.conf != "" {
		args = append([]string{"-c", c.conf}, args...)
	}
	cmd := exec.CommandContext(ctx, prog, args...)
	cmd.Dir = os.TempDir() // not among the sources: the ceph program imports a module named rados
	cmd.Stdin = strings.NewReader(stdin)
	return clustertest.Exec(cmd)
}

// must returns the standard output of a program that has to succeed.
func must(t testing.TB, r clustertest.Result) string {
	t.Helper()
	if r.Code != 0 {
		t.Fatalf("exit status %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// shared is the Sepiola cluster that most tests use; a test makes pools of its
// own there.
var shared struct {
	sync.Once
	cluster *clustertest.Cluster
}

func sharedCluster(t testing.TB) *clustertest.Cluster {
	t.Helper()
	reftool.Need(t, "ceph")
	reftool.Need(t, "rados")
	shared.Do(func() {
		if dir := os.Getenv(sepiolaDir); dir != "" {
			shared.cluster = clustertest.At(t, dir)
			return
		}
		c := clustertest.New(t)
		// The pool's number is that in the reference cluster.
		c.Must(t, "up", "--pool", "scratch:1:3", "--pool", "data:32:3")
		must(t, targetOf(c).ceph("osd", "pool", "rm", "scratch", "scratch", "--yes-i-really-really-mean-it"))
		awaitClean(t, targetOf(c))
		shared.cluster = c
	})
	if shared.cluster == nil {
		t.Fatal("the shared cluster did not start")
	}
	return shared.cluster
}

// ours is the shared Sepiola cluster as a target.
func ours(t testing.TB) target {
	t.Helper()
	return targetOf(sharedCluster(t))
}

func targetOf(c *clustertest.Cluster) target {
	return target{"sepiola", c.Conf(), filepath.Join(c.Dir, "run")}
}

var reference struct {
	sync.Once
	cluster *refcluster.Cluster
}

// ref is a cluster of the reference implementation like the shared one: three
// OSDs and the pool "data". What Ceph's manager keeps in a pool for itself is
// removed.
func ref(t testing.TB) target {
	t.Helper()
	for _, p := range refcluster.Programs {
		reftool.Need(t, p)
	}
	if conf := os.Getenv(cephConf); conf != "" {
		return target{"ceph", conf, filepath.Join(filepath.Dir(conf), "run")}
	}
	reference.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		c, err := refcluster.Start(ctx, clustertest.Dir(t), refcluster.Options{Store: "memstore", Port: freePort(t)})
		if err != nil {
			t.Fatal(err)
		}
		reference.cluster = c
		r := target{conf: c.Conf()}
		const mgrs = "device_health_metrics"
		await(t, "the manager's pool", func() bool { return strings.Contains(r.ceph("osd", "pool", "ls").Stdout, mgrs) })
		// Its module fails, and health with it, if it misses the pool while it scrapes.
		await(t, "the manager's first look at the devices", func() bool {
			return r.ceph("config-key", "exists", "mgr/devicehealth/last_scrape").Code == 0
		})
		must(t, r.ceph("osd", "pool", "rm", mgrs, mgrs, "--yes-i-really-really-mean-it"))
		must(t, r.ceph("tell", "mon.a", "config", "set", "mon_data_avail_warn", "1"))
		must(t, r.ceph("osd", "pool", "create", "data", "32", "32"))
		must(t, r.ceph("osd", "pool", "application", "enable", "data", "rados"))
		awaitClean(t, r)
	})
	if reference.cluster == nil {
		t.Fatal("the reference cluster did not start")
	}
	conf := reference.cluster.Conf()
	return target{"ceph", conf, filepath.Join(filepath.Dir(conf), "run")}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// await asks again and again until ok: from outside the daemons no event tells.
// Every ok runs a program, which paces the loop.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not in a minute: %s", what)
		}
	}
}

// awaitClean waits until every PG is active and clean by what the OSDs say of the
// map there is now: older reports are waited out.
func awaitClean(t testing.TB, c target) {
	t.Helper()
	epoch := number(t, c, "epoch", "osd", "dump", "-f", "json")
	for osd := range osds {
		name := fmt.Sprintf("osd.%d", osd)
		await(t, name+" has the newest map", func() bool {
			return number(t, c, "newest_map", "tell", name, "status", "-f", "json") >= epoch
		})
	}
	await(t, "all PGs active+clean in "+c.name, func() bool {
		for osd := range osds {
			flushed := number(t, c, "", "tell", fmt.Sprintf("osd.%d", osd), "flush_pg_stats")
			await(t, "the report has arrived", func() bool {
				return number(t, c, "", "osd", "last-stat-seq", fmt.Sprint(osd)) >= flushed
			})
		}
		r := c.ceph("pg", "stat")
		// "33 pgs: 33 active+clean; ..."
		_, states, _ := strings.Cut(r.Stdout, "pgs: ")
		states, _, _ = strings.Cut(states, ";")
		f := strings.Fields(states)
		return r.Code == 0 && len(f) == 2 && f[1] == "active+clean"
	})
}

// number returns the number that a command answers with, or that a member of its
// answer in JSON is; 0 while the daemon is not to be reached.
func number(t testing.TB, c target, member string, args ...string) uint64 {
	t.Helper()
	r := c.ceph(args...)
	if r.Code != 0 {
		return 0
	}
	text := strings.TrimSpace(r.Stdout)
	if member != "" {
		var all map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			t.Fatalf("%s: ceph %v: %v", c.name, args, err)
		}
		text = string(all[member])
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: ceph %v: no number %q: %v", c.name, args, member, err)
	}
	return n
}
