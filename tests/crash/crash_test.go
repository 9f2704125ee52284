package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"sepiola/internal/clustertest"
)

func TestMain(m *testing.M) {
	if readerProcess() {
		return
	}
	clustertest.Main(m)
}

// seedOf returns the seed of this run, new unless the environment names one.
func seedOf(t testing.TB) uint64 {
	seed := rand.Uint64N(1 << 32)
	if s := os.Getenv("SEPIOLA_CRASH_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("SEPIOLA_CRASH_SEED=%s: %v", s, err)
		}
		seed = n
	}
	t.Logf("SEPIOLA_CRASH_SEED=%d", seed)
	return seed
}

// scenario is what befalls a cluster under load.
type scenario struct {
	name string
	run  func(*cluster, *workload, *rand.Rand)
}

var scenarios = []scenario{
	{"all daemons killed at once", allKilled},
	{"one OSD killed and back", oneKilled},
	{"two OSDs killed, writes wait", twoKilled},
	{"each OSD killed in turn", rollingKills},
	{"monitor killed", monitorKilled},
	{"OSD stopped beyond the grace", osdStopped},
	{"killed during recovery", killedInRecovery},
	{"killed during backfill", killedInBackfill},
	{"PGs multiply", pgsMultiply},
	{"random kills", randomKills},
}

// Whatever daemons are killed or stopped, in whatever order: what was acknowledged
// is there afterwards and nothing else is, the cluster becomes clean, and all
// copies are equal.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	seed := seedOf(t)
	c := newCluster(t)
	var past []*workload
	for i, s := range scenarios {
		ok := t.Run(s.name, func(t *testing.T) {
			c.t = t
			rng := rand.New(rand.NewPCG(seed, uint64(i)))
			w := startWorkload(t, c.Conf(), poolName, fmt.Sprintf("s%d", i), seed+uint64(i))
			past = append(past, w)
			c.progress(w, 300)
			s.run(c, w, rng)
			c.settle(w)
			for _, w := range past {
				if err := w.verify(t.Context(), c.admin.io); err != nil {
					t.Error(err)
				}
			}
			c.inspect()
			t.Logf("%d changes acknowledged, %d reads, %d objects; peak memory %v KiB", w.done.Load(), w.reads.Load(), len(w.objects), c.rss)
			c.down()
			if err := checkCopies(c.Dir, osds); err != nil {
				t.Error(err)
			}
			if !t.Failed() {
				c.up()
			}
		})
		c.t = t
		if !ok {
			return // the next ones would meet what this one has left
		}
	}
	c.countGoroutines()
}

// progress waits for the workload to get on.
func (c *cluster) progress(w *workload, n int64) {
	c.t.Helper()
	if err := w.awaitProgress(c.t.Context(), n); err != nil {
		c.t.Fatal(err)
	}
}

// settle ends the faults: all daemons run, the load ends, all PGs get clean.
func (c *cluster) settle(w *workload) {
	c.t.Helper()
	c.progress(w, 200)
	if err := w.finish(); err != nil {
		c.t.Error(err)
	}
	c.awaitClean()
}

var everybody = append(slices.Clone(osds), "mon.a")

func allKilled(c *cluster, w *workload, _ *rand.Rand) {
	c.kill(everybody...)
	c.start("mon.a")
	c.start(osds...)
	c.progress(w, 300)
	// Again, while what the first time has left is being dealt with.
	c.kill(everybody...)
	c.Must(c.t, "up", "--timeout", cleanTimeout.String())
}

func oneKilled(c *cluster, w *workload, rng *rand.Rand) {
	victim := osds[rng.IntN(len(osds))]
	c.kill(victim)
	c.awaitState(victim, false)
	c.progress(w, 1000)
	if err := w.crashClient(c.t.Context(), rng.IntN(clientCount)); err != nil {
		c.t.Fatal(err)
	}
	c.progress(w, 300)
	c.start(victim)
	c.awaitState(victim, true)
}

func twoKilled(c *cluster, w *workload, rng *rand.Rand) {
	order := rng.Perm(len(osds))
	first, second := osds[order[0]], osds[order[1]]
	c.kill(first, second)
	c.awaitState(first, false)
	c.awaitState(second, false)
	// What was in flight may still have been answered; then nothing is, for the
	// pool's min_size is 2.
	before := w.done.Load()
	probe, cancel := context.WithTimeout(c.t.Context(), 2*time.Second)
	defer cancel()
	if err := c.admin.io.WriteFull(probe, "probe", []byte("x")); err == nil {
		c.t.Error("a write was acknowledged with one OSD of three up")
	}
	if n := w.done.Load() - before; n > workerCount*burstMax {
		c.t.Errorf("%d changes were acknowledged with one OSD of three up", n)
	}
	c.start(first)
	c.progress(w, 300)
	c.start(second)
}

func rollingKills(c *cluster, w *workload, rng *rand.Rand) {
	for _, i := range rng.Perm(len(osds)) {
		c.kill(osds[i])
		c.awaitState(osds[i], false)
		c.progress(w, 300)
		c.start(osds[i])
		c.awaitState(osds[i], true)
		c.awaitClean()
	}
}

func monitorKilled(c *cluster, w *workload, _ *rand.Rand) {
	c.kill("mon.a")
	c.progress(w, 1000) // OSDs and clients need no monitor as long as all is well
	c.start("mon.a")
}

func osdStopped(c *cluster, w *workload, rng *rand.Rand) {
	for range 2 {
		victim := osds[rng.IntN(len(osds))]
		c.signal(syscall.SIGSTOP, victim)
		c.awaitState(victim, false)
		c.progress(w, 500)
		c.signal(syscall.SIGCONT, victim)
		c.awaitState(victim, true)
		c.progress(w, 300)
	}
}

func killedInRecovery(c *cluster, w *workload, rng *rand.Rand) {
	order := rng.Perm(len(osds))
	a, b := osds[order[0]], osds[order[1]]
	c.kill(a)
	c.awaitState(a, false)
	c.progress(w, 2000)
	c.start(a)
	c.awaitState(a, true)
	// a is being recovered; it dies once more in the midst of it.
	c.kill(a)
	c.start(a)
	c.awaitState(a, true)
	c.progress(w, 50)
	// Now one of those it recovers from.
	c.kill(b)
	c.start(b)
}

// killedInBackfill lets an OSD miss more than the logs hold, so that it has to be
// filled object by object, and kills it and a source of its on the way.
func killedInBackfill(c *cluster, w *workload, rng *rand.Rand) {
	c.shortenLogs()
	order := rng.Perm(len(osds))
	a, b := osds[order[0]], osds[order[1]]
	c.kill(a)
	c.awaitState(a, false)
	then, err := c.pgStats(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	c.awaitShortLogs(then)
	c.start(a)
	c.awaitState(a, true)
	c.kill(a)
	c.start(a)
	c.awaitState(a, true)
	c.progress(w, 50)
	c.kill(b)
	c.start(b)
	c.awaitState(b, true)
	c.restoreLogs()
}

// shortLogs are options that make an OSD that was away for a moment one to be filled
// object by object.
var shortLogs = map[string]string{"osd_min_pg_log_entries": "8", "osd_max_pg_log_entries": "16", "osd_pg_log_trim_min": "1"}

func (c *cluster) shortenLogs() {
	c.t.Helper()
	for name, value := range shortLogs {
		c.command(map[string]any{"prefix": "config set", "who": "osd", "name": name, "value": value})
	}
}

func (c *cluster) restoreLogs() {
	c.t.Helper()
	for name := range shortLogs {
		c.command(map[string]any{"prefix": "config rm", "who": "osd", "name": name})
	}
}

// soakTime is what the environment asks for; 0 for the short run.
func soakTime(t testing.TB) time.Duration {
	s := os.Getenv("SEPIOLA_CRASH_SOAK")
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatalf("SEPIOLA_CRASH_SOAK: %v", err)
	}
	return d
}

// randomKills goes on for eight seconds, or as long as the environment says.
func randomKills(c *cluster, w *workload, rng *rand.Rand) {
	if rng.IntN(2) == 0 {
		c.shortenLogs()
	}
	down := map[string]bool{}
	for end := time.Now().Add(max(8*time.Second, soakTime(c.t))); time.Now().Before(end) && w.ctx.Err() == nil; {
		name := everybody[rng.IntN(len(everybody))]
		switch n := rng.IntN(10); {
		case n == 0:
			var up []string
			for _, d := range everybody {
				if !down[d] {
					up = append(up, d)
				}
			}
			c.kill(up...)
			for _, d := range everybody {
				down[d] = true
			}
		case n == 1 && !down["mon.a"]:
			ctx, cancel := context.WithTimeout(c.t.Context(), stepTimeout)
			if err := w.crashClient(ctx, rng.IntN(clientCount)); err != nil {
				c.t.Error(err)
			}
			cancel()
		case n == 2 && len(down) == 0 && name != "mon.a":
			c.signal(syscall.SIGSTOP, name)
			c.progress(w, int64(rng.IntN(200)))
			c.signal(syscall.SIGCONT, name)
		case down[name]:
			c.start(name)
			delete(down, name)
		default:
			c.kill(name)
			down[name] = true
		}
		// Go on at a random point of the work, if there is enough left to do any.
		if len(down) == 0 || len(down) == 1 && !down["mon.a"] {
			c.progress(w, int64(rng.IntN(400)))
		}
	}
	for _, d := range []string{"mon.a", "osd.0", "osd.1", "osd.2"} {
		if down[d] {
			c.start(d)
		}
	}
	c.restoreLogs()
}
