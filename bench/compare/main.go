// Command compare runs the same "rados bench" matrix on Ceph 16 and on Sepiola, in
// turn on this machine, and prints both figures, their ratio, the OSDs' CPU time
// for each operation and their peak memory.
//
// A single timing means little on a shared machine, so the two take turns and the
// medians of several rounds are compared. Both acknowledge a write when it is
// durable on all three OSDs. The client is Ceph's own rados in both cases.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sepiola/internal/refcluster"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// settings are the flags.
type settings struct {
	rounds  int
	seconds int
	threads int
	store   string
	sizes   []int
	only    string
}

func parse() (settings, error) {
	var s settings
	var sizes string
	flag.IntVar(&s.rounds, "rounds", 3, "times each side is measured, in turn")
	flag.IntVar(&s.seconds, "seconds", 5, "length of each measurement")
	flag.IntVar(&s.threads, "t", 16, "operations in flight")
	flag.StringVar(&s.store, "reference-store", "bluestore", "the reference's store: bluestore or filestore")
	flag.StringVar(&sizes, "sizes", "4096,65536,4194304", "object sizes in bytes")
	flag.StringVar(&s.only, "only", "", "measure just one side: reference or sepiola")
	flag.Parse()
	for f := range strings.SplitSeq(sizes, ",") {
		n, err := strconv.Atoi(f)
		if err != nil || n < 1 {
			return s, fmt.Errorf("-sizes %q: want numbers of bytes", sizes)
		}
		s.sizes = append(s.sizes, n)
	}
	return s, nil
}

// side is a cluster under measurement.
type side interface {
	start(ctx context.Context, dir string) error
	conf() string
	osdPids() []int
	stop() error
}

func run(ctx context.Context) error {
	s, err := parse()
	if err != nil {
		return err
	}
	if _, err := exec.LookPath("rados"); err != nil {
		return fmt.Errorf("the rados program of Ceph is needed: install Debian's ceph-common: %w", err)
	}
	work, err := os.MkdirTemp("", "compare")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	ours := &sepiola{}
	if err := ours.build(ctx, work); err != nil {
		return err
	}
	names := []string{"reference", "sepiola"}
	results := map[string]map[string]*series{"reference": {}, "sepiola": {}}
	for round := range s.rounds {
		for _, name := range names {
			if s.only != "" && s.only != name {
				continue
			}
			var c side = ours
			if name == "reference" {
				c = &reference{store: s.store}
			}
			fmt.Fprintf(os.Stderr, "round %d of %d: %s\n", round+1, s.rounds, name)
			dir := filepath.Join(work, fmt.Sprintf("%s%d", name, round))
			if err := measure(ctx, c, dir, s, results[name]); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
		}
	}
	printTable(os.Stdout, s, results)
	return nil
}

// measure starts a cluster, runs the matrix on it once, and stops it.
func measure(ctx context.Context, c side, dir string, s settings, out map[string]*series) (err error) {
	startCtx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := c.start(startCtx, dir); err != nil {
		return err
	}
	defer func() {
		if e := c.stop(); err == nil {
			err = e
		}
	}()
	for _, size := range s.sizes {
		for _, mode := range []string{"write", "rand"} {
			key := mode + strconv.Itoa(size)
			if out[key] == nil {
				out[key] = &series{}
			}
			sample, err := bench(ctx, c, mode, size, s)
			if err != nil {
				return err
			}
			out[key].samples = append(out[key].samples, sample)
		}
		if err := exec.CommandContext(ctx, "rados", "-c", c.conf(), "-p", poolName, "cleanup").Run(); err != nil {
			return fmt.Errorf("rados cleanup: %w", err)
		}
	}
	return nil
}

const poolName = "bench"

// reference is Ceph.
type reference struct {
	store   string
	cluster *refcluster.Cluster
}

func (r *reference) start(ctx context.Context, dir string) error {
	if p := refcluster.Missing(); p != "" {
		return fmt.Errorf("%s is not installed; Debian's ceph-mon, ceph-mgr, ceph-osd, ceph-base and ceph-common are needed", p)
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	if r.cluster, err = refcluster.Start(ctx, dir, refcluster.Options{Store: r.store, Port: port}); err != nil {
		return err
	}
	for _, args := range [][]string{{"ceph", "osd", "pool", "create", poolName, "32", "32", "replicated"},
		{"ceph", "osd", "pool", "application", "enable", poolName, "rados"}} {
		if out, err := r.cluster.Command(ctx, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return waitClean(ctx, r.conf())
}

func (r *reference) conf() string   { return r.cluster.Conf() }
func (r *reference) osdPids() []int { return r.cluster.OSDPids() }
func (r *reference) stop() error    { return r.cluster.Stop() }

// waitClean waits for all PGs to be active+clean.
func waitClean(ctx context.Context, conf string) error {
	for {
		out, err := exec.CommandContext(ctx, "ceph", "-c", conf, "pg", "stat").Output()
		f := strings.Fields(string(out)) // "33 pgs: 33 active+clean; ..."
		if err == nil && len(f) > 3 && f[0] == f[2] && f[0] != "0" && strings.TrimRight(f[3], ";") == "active+clean" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("PGs not clean: %s: %w", out, ctx.Err())
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// sepiola is this project, by its own cluster command.
type sepiola struct{ bin, dir string }

func (s *sepiola) build(ctx context.Context, work string) error {
	s.bin = filepath.Join(work, "bin")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", s.bin+"/", "sepiola/cmd/cluster", "sepiola/cmd/osd", "sepiola/cmd/mon")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

func (s *sepiola) cluster(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "cluster"), append([]string{"--dir", s.dir}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cluster %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

func (s *sepiola) start(ctx context.Context, dir string) error {
	s.dir = dir
	return s.cluster(ctx, "--pool", poolName+":32:3", "up")
}

func (s *sepiola) conf() string { return filepath.Join(s.dir, "ceph.conf") }
func (s *sepiola) stop() error  { return s.cluster(context.Background(), "down") }

func (s *sepiola) osdPids() []int {
	files, err := filepath.Glob(filepath.Join(s.dir, "run", "osd.*.pid"))
	if err != nil {
		return nil
	}
	var out []int
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
			out = append(out, pid)
		}
	}
	return out
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
