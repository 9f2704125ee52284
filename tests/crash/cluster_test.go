package crash

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sepiola/internal/clustertest"
)

// Waits are bounded by these; a cluster that needs longer is at fault.
const (
	cleanTimeout = 90 * time.Second
	stepTimeout  = 60 * time.Second
)

// await asks until ok, which no event tells from outside the daemons. The second
// result of ok is for the error.
func await(ctx context.Context, what string, ok func() (bool, string)) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	return awaitUntil(ctx, what, ok)
}

func awaitUntil(ctx context.Context, what string, ok func() (bool, string)) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		yes, have := ok()
		if yes {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waited in vain for %s: %s", what, have)
		}
	}
}

// cluster is three OSDs and a monitor, and an administrator's session.
type cluster struct {
	*clustertest.Cluster
	t     *testing.T
	admin *generation
	// upFrom is, of OSDs that were killed, the epoch they were marked up in before.
	upFrom map[int32]uint32
	rss    map[string]int // largest resident size seen, KiB
}

var osds = []string{"osd.0", "osd.1", "osd.2"}

const poolName = "data"

// settings make failures show within seconds, and count OSDs of this one host as
// reporters apart.
var settings = map[string]string{
	"osd_heartbeat_interval":         "1",
	"osd_heartbeat_grace":            "4",
	"mon_osd_reporter_subtree_level": "osd",
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{Cluster: clustertest.New(t), t: t, upFrom: map[int32]uint32{}, rss: map[string]int{}}
	t.Cleanup(func() {
		if c.admin != nil {
			c.admin.client.Close()
		}
		if t.Failed() && os.Getenv("SEPIOLA_CRASH_KEEP") != "" {
			keep := filepath.Join(os.TempDir(), fmt.Sprintf("sepiola-crash-%d", os.Getpid()))
			c.Must(t, "down")
			if err := os.Rename(c.Dir, keep); err != nil {
				t.Error(err)
			}
			t.Logf("kept in %s", keep)
			return
		}
		c.Destroy(t)
	})
	c.up()
	for name, value := range settings {
		c.command(map[string]any{"prefix": "config set", "who": "global", "name": name, "value": value})
	}
	return c
}

// up starts what does not run and waits until the cluster says it is clean.
func (c *cluster) up() {
	c.t.Helper()
	c.Must(c.t, "up", "--timeout", cleanTimeout.String())
	if c.admin == nil {
		ctx, cancel := context.WithTimeout(c.t.Context(), stepTimeout)
		defer cancel()
		g, err := connect(ctx, c.Conf(), poolName)
		if err != nil {
			c.t.Fatal(err)
		}
		c.admin = g
	}
}

func (c *cluster) down() {
	c.t.Helper()
	c.admin.client.Close()
	c.admin = nil
	c.Must(c.t, "down")
}

// command carries out a monitor command.
func (c *cluster) command(cmd map[string]any) {
	c.t.Helper()
	b, err := json.Marshal(cmd)
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), stepTimeout)
	defer cancel()
	if _, _, err := c.admin.client.MonCommand(ctx, string(b), nil); err != nil {
		c.t.Fatalf("%s: %v", b, err)
	}
}

// signal sends a signal to daemons, all at once.
func (c *cluster) signal(sig syscall.Signal, names ...string) {
	c.t.Helper()
	pids := make([]int, len(names))
	for i, name := range names {
		if pids[i] = c.Pid(name); pids[i] == 0 {
			c.t.Fatalf("%s does not run", name)
		}
	}
	for i, pid := range pids {
		if err := syscall.Kill(pid, sig); err != nil {
			c.t.Fatalf("%v to %s (pid %d): %v", sig, names[i], pid, err)
		}
	}
}

// kill ends daemons with SIGKILL, all at once, and waits until they are gone.
func (c *cluster) kill(names ...string) {
	c.t.Helper()
	c.end(syscall.SIGKILL, names...)
}

func (c *cluster) end(sig syscall.Signal, names ...string) {
	c.t.Helper()
	m := c.admin.client.Map()
	var fds []unix.PollFd
	for _, name := range names {
		if id, ok := osdNumber(name); ok {
			c.upFrom[id] = max(c.upFrom[id], m.Info(id).UpFrom)
		}
		c.noteMemory(name)
		fd, err := unix.PidfdOpen(c.Pid(name), 0)
		if err != nil {
			c.t.Fatalf("%s does not run any more: %v\n%s", name, err, c.Log(name))
		}
		defer unix.Close(fd)
		fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	c.signal(sig, names...)
	for i := range fds {
		for {
			n, err := unix.Poll(fds[i:i+1], int(stepTimeout.Milliseconds()))
			if err == unix.EINTR {
				continue
			}
			if err != nil || n == 0 {
				c.t.Fatalf("%s is not gone after %v: %v", names[i], sig, err)
			}
			break
		}
	}
}

func osdNumber(name string) (int32, bool) {
	s, ok := strings.CutPrefix(name, "osd.")
	n, err := strconv.ParseInt(s, 10, 32)
	return int32(n), ok && err == nil
}

func (c *cluster) start(names ...string) {
	c.t.Helper()
	for _, name := range names {
		c.Must(c.t, "start", name)
	}
}

// awaitState waits until the administrator's map has the OSD up, or down.
func (c *cluster) awaitState(name string, up bool) {
	c.t.Helper()
	id, _ := osdNumber(name)
	err := await(c.t.Context(), fmt.Sprintf("%s up = %v", name, up), func() (bool, string) {
		m := c.admin.client.Map()
		return m.IsUp(id) == up, fmt.Sprintf("not so in epoch %d", m.Epoch)
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

// pgStat is what matters here of an entry of "pg dump".
type pgStat struct {
	ID           string  `json:"pgid"`
	State        string  `json:"state"`
	Version      version `json:"version"`
	LogStart     version `json:"log_start"`
	MappingEpoch uint32  `json:"mapping_epoch"`
}

// version is the counting part of a PG's version, 190 of "20'190".
type version uint64

func (v *version) UnmarshalJSON(b []byte) error {
	_, n, ok := strings.Cut(strings.Trim(string(b), `"`), "'")
	if !ok {
		return fmt.Errorf("%s is no version", b)
	}
	u, err := strconv.ParseUint(n, 10, 64)
	*v = version(u)
	return err
}

// awaitShortLogs waits until all PGs' logs begin after what the PGs had come to at the
// given time: who was away since then cannot be recovered by logs.
func (c *cluster) awaitShortLogs(then []pgStat) {
	c.t.Helper()
	had := map[string]version{}
	for _, s := range then {
		had[s.ID] = s.Version
	}
	err := await(c.t.Context(), "logs that begin later", func() (bool, string) {
		stats, err := c.pgStats(c.t.Context())
		if err != nil {
			return false, err.Error()
		}
		n := 0
		for _, s := range stats {
			if s.LogStart > had[s.ID] {
				n++
			}
		}
		return n > 0 && n == len(stats), fmt.Sprintf("%d of %d do", n, len(stats))
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) pgStats(ctx context.Context) ([]pgStat, error) {
	out, _, err := c.admin.client.MgrCommand(ctx, `{"prefix":"pg dump","format":"json"}`, nil)
	if err != nil {
		return nil, err
	}
	var dump struct {
		PGMap struct {
			Stats []pgStat `json:"pg_stats"`
		} `json:"pg_map"`
	}
	err = json.Unmarshal(out, &dump)
	return dump.PGMap.Stats, err
}

// awaitClean waits until all OSDs are up in their present lives and all PGs report
// active+clean of their present intervals.
func (c *cluster) awaitClean() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), cleanTimeout)
	defer cancel()
	if err := awaitUntil(ctx, "all PGs active+clean", func() (bool, string) { return c.clean(ctx) }); err != nil {
		var logs []string
		for _, name := range osds {
			logs = append(logs, name+": "+c.Log(name))
		}
		c.t.Fatalf("%v\n%s", err, strings.Join(logs, "\n"))
	}
}

func (c *cluster) clean(ctx context.Context) (bool, string) {
	if err := c.admin.client.RefreshMap(ctx); err != nil {
		return false, err.Error()
	}
	m := c.admin.client.Map()
	since := uint32(0)
	for i := range osds {
		id := int32(i)
		if !m.IsUp(id) || m.Info(id).UpFrom <= c.upFrom[id] {
			return false, fmt.Sprintf("osd.%d is not up again", id)
		}
		since = max(since, m.Info(id).UpFrom)
	}
	stats, err := c.pgStats(ctx)
	if err != nil {
		return false, err.Error()
	}
	want := 0
	for _, p := range m.Pools {
		want += int(p.PGNum)
	}
	var not []string
	for _, s := range stats {
		if s.State != "active+clean" || s.MappingEpoch < since {
			not = append(not, fmt.Sprintf("%s is %s since epoch %d", s.ID, s.State, s.MappingEpoch))
		}
	}
	return len(stats) == want && len(not) == 0, fmt.Sprintf("%d of %d PGs; %s", len(stats), want, strings.Join(not, ", "))
}

// trouble are lines of a log that no fault injected here may cause.
var trouble = regexp.MustCompile(`^panic:|^fatal error:|^goroutine \d+|\[ERROR\]|DATA RACE`)

// inspect looks for trouble in the logs of all daemons and at their memory.
func (c *cluster) inspect() {
	c.t.Helper()
	for _, name := range append(slices.Clone(osds), "mon.a") {
		c.noteMemory(name)
		f, err := os.Open(filepath.Join(c.Dir, "log", name+".log"))
		if err != nil {
			c.t.Fatal(err)
		}
		n := 0
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if trouble.Match(lines.Bytes()) {
				if n++; n <= 5 {
					c.t.Errorf("%s: %s", name, lines.Text())
				}
			}
		}
		f.Close()
	}
}

// goroutinesMax is the most goroutines a daemon may have, idle but for a few sessions.
const goroutinesMax = 300

// countGoroutines ends the daemons such that they tell what all their goroutines do.
func (c *cluster) countGoroutines() {
	c.t.Helper()
	for _, name := range everybody {
		path := filepath.Join(c.Dir, "log", name+".log")
		before, err := os.Stat(path)
		if err != nil {
			c.t.Fatal(err)
		}
		c.end(syscall.SIGQUIT, name)
		b, err := os.ReadFile(path)
		if err != nil {
			c.t.Fatal(err)
		}
		n := len(regexp.MustCompile(`(?m)^goroutine \d+`).FindAll(b[before.Size():], -1))
		if n == 0 || n > goroutinesMax {
			c.t.Errorf("%s has %d goroutines", name, n)
		}
		c.t.Logf("%s has %d goroutines", name, n)
	}
}

// memoryMax is the largest resident size in KiB that a daemon may have under this
// load: several times what it takes.
const memoryMax = 1 << 20

func (c *cluster) noteMemory(name string) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.Pid(name)))
	if err != nil {
		return // it is not running
	}
	_, rest, _ := strings.Cut(string(b), "VmHWM:")
	kib, _ := strconv.Atoi(strings.Fields(rest + " 0")[0])
	c.rss[name] = max(c.rss[name], kib)
	if kib > memoryMax {
		c.t.Errorf("%s takes %d MiB of memory", name, kib>>10)
	}
}
