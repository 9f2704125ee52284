package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"sepiola/internal/reftool"
)

// pgsMultiply lets the pool grow under load, to a number that is no power of two,
// and kills an OSD in the midst of it.
func pgsMultiply(c *cluster, w *workload, rng *rand.Rand) {
	const most = 44
	pgNum := func() uint32 {
		for _, p := range c.admin.client.Map().Pools {
			return p.PGNum
		}
		return 0
	}
	c.command(map[string]any{"prefix": "osd pool set", "pool": poolName, "var": "pg_num", "val": fmt.Sprint(most)})
	c.progress(w, 100)
	victim := osds[rng.IntN(len(osds))]
	c.kill(victim)
	c.progress(w, 100)
	c.start(victim)
	ctx, cancel := context.WithTimeout(c.t.Context(), cleanTimeout)
	defer cancel()
	err := awaitUntil(ctx, fmt.Sprintf("%d PGs", most), func() (bool, string) {
		if err := c.admin.client.RefreshMap(ctx); err != nil {
			return false, err.Error()
		}
		return pgNum() == most, fmt.Sprintf("%d so far", pgNum())
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.progress(w, 200)
}

// recovered is how many objects the PGs say they have recovered.
func (c *cluster) recovered() (n int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), stepTimeout)
	defer cancel()
	out, _, err := c.admin.client.MgrCommand(ctx, `{"prefix":"pg dump","format":"json"}`, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	var dump struct {
		PGMap struct {
			Stats []struct {
				Sum struct {
					Recovered int `json:"num_objects_recovered"`
				} `json:"stat_sum"`
			} `json:"pg_stats"`
		} `json:"pg_map"`
	}
	if err := json.Unmarshal(out, &dump); err != nil {
		c.t.Fatal(err)
	}
	for _, s := range dump.PGMap.Stats {
		n += s.Sum.Recovered
	}
	return n
}

// writeMany writes small objects, several at a time.
func (c *cluster) writeMany(from, to int, content string) {
	c.t.Helper()
	var wg sync.WaitGroup
	next := make(chan int)
	for range 16 {
		wg.Go(func() {
			for i := range next {
				if err := c.admin.io.WriteFull(c.t.Context(), fmt.Sprintf("many%d", i), []byte(content)); err != nil {
					c.t.Errorf("many%d: %v", i, err)
				}
			}
		})
	}
	for i := from; i < to; i++ {
		next <- i
	}
	close(next)
	wg.Wait()
}

// What an OSD missed is recovered from the log: as many objects as changed while it
// was away, not all that there are.
func TestRecoveryMovesWhatChanged(t *testing.T) {
	const all, changed = 3000, 60
	c := newCluster(t)
	c.writeMany(0, all, "before")
	c.awaitClean()
	was := c.recovered()
	victim := osds[1]
	c.kill(victim)
	c.awaitState(victim, false)
	c.writeMany(0, changed, "after")
	c.start(victim)
	c.awaitState(victim, true)
	c.awaitClean()
	if n := c.recovered() - was; n == 0 || n > changed {
		t.Errorf("%d objects of %d were recovered, %d had changed", n, all, changed)
	}
	c.inspect()
	c.down()
	if err := checkCopies(c.Dir, osds); err != nil {
		t.Error(err)
	}
}

// ceph runs Ceph's own program on the cluster and returns all that it prints.
func (c *cluster) ceph(prog string, args ...string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), stepTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, prog, append([]string{"-c", c.Conf()}, args...)...).CombinedOutput()
	if err != nil {
		c.t.Fatalf("ceph %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// awaitPGState waits until a PG's state has, or has not, a word in it.
func (c *cluster) awaitPGState(pgid, word string, want bool) {
	c.t.Helper()
	err := await(c.t.Context(), fmt.Sprintf("%s %s = %v", pgid, word, want), func() (bool, string) {
		stats, err := c.pgStats(c.t.Context())
		if err != nil {
			return false, err.Error()
		}
		for _, s := range stats {
			if s.ID == pgid {
				return strings.Contains(s.State, word) == want, s.State
			}
		}
		return false, "not reported"
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

// An operator's way out of lost data, with Ceph's own programs: the newest version of
// an object was on two OSDs that are lost for good. It is named; a reader waits, and
// goes on with the version before once the operator gives the newest up.
func TestUnfoundWithRealPrograms(t *testing.T) {
	ceph, rados := reftool.Need(t, "ceph"), reftool.Need(t, "rados")
	c := newCluster(t)
	c.ceph(ceph, "osd", "pool", "set", poolName, "min_size", "1")
	write := func(s string) {
		t.Helper()
		if err := c.admin.io.WriteFull(t.Context(), "precious", []byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	var where struct {
		PGID string `json:"pgid"`
	}
	if err := json.Unmarshal([]byte(c.ceph(ceph, "osd", "map", poolName, "precious", "-f", "json")), &where); err != nil {
		t.Fatal(err)
	}
	c.kill("osd.2")
	c.awaitState("osd.2", false)
	write("second")
	c.ceph(ceph, "osd", "set", "norecover")
	c.start("osd.2")
	c.awaitState("osd.2", true)
	c.awaitPGState(where.PGID, "recovery_wait", true)
	c.kill("osd.0", "osd.1")
	c.awaitState("osd.0", false)
	c.awaitState("osd.1", false)
	c.ceph(ceph, "osd", "unset", "norecover")
	for _, id := range []string{"0", "1"} {
		c.ceph(ceph, "osd", "lost", id, "--yes-i-really-mean-it")
	}
	c.awaitPGState(where.PGID, "recovery_unfound", true)
	if out := c.ceph(ceph, "pg", where.PGID, "list_unfound"); !strings.Contains(out, `"oid": "precious"`) {
		t.Errorf("list_unfound: %s", out)
	}
	if out := c.ceph(ceph, "pg", where.PGID, "query"); !strings.Contains(out, "might_have_unfound") {
		t.Errorf("query: %s", out)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	get := radosCommand(ctx, rados, c.Conf(), nil, "get", "precious", "-")
	var read bytes.Buffer
	get.Stdout, get.Stderr = &read, &read
	if err := get.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- get.Wait() }()
	select {
	case err := <-ended:
		t.Fatalf("read of an unfound object ended: %v %s", err, read.String())
	case <-time.After(2 * time.Second): // it may be slow, but must not be answered
	}
	if out := c.ceph(ceph, "pg", where.PGID, "mark_unfound_lost", "revert"); !strings.Contains(out, "objects unfound and apparently lost marking") {
		t.Errorf("mark_unfound_lost: %s", out)
	}
	if err := <-ended; err != nil || read.String() != "first" {
		t.Errorf("read %q, %v; want \"first\"", read.String(), err)
	}
	c.start("osd.0", "osd.1")
	c.awaitClean()
	if b, err := c.admin.io.Read(t.Context(), "precious", 0, 0); err != nil || string(b) != "first" {
		t.Errorf("in the end %q, %v", b, err)
	}
	c.down()
	if err := checkCopies(c.Dir, osds); err != nil {
		t.Error(err)
	}
}
