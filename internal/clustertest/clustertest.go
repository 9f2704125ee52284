package clustertest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// root holds the programs and all clusters of this process; made at first need.
var root = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "sepiola") })

// build makes the programs and returns their directory.
var build = sync.OnceValues(func() (string, error) {
	dir, err := root()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return "", err
	}
	_, self, _, ok := runtime.Caller(0)
	if !ok {
		return "", errors.New("the sources' place is not known")
	}
	cmd := exec.Command("go", "build", "-o", bin+"/", "sepiola/cmd/cluster", "sepiola/cmd/mon", "sepiola/cmd/osd")
	cmd.Dir = filepath.Dir(self)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return bin, nil
})

// started are the clusters that still have to be destroyed.
var started struct {
	sync.Mutex
	dirs map[string]bool
}

// Main runs the tests, then what the caller has to clean up, destroys the
// clusters that are left and removes the programs. Use it as the body of
// TestMain.
func Main(m *testing.M, cleanup ...func()) {
	code := m.Run()
	for _, fn := range cleanup {
		fn()
	}
	started.Lock()
	for dir := range started.dirs {
		if !exists(dir) {
			continue
		}
		if res := run(dir, "destroy"); res.Code != 0 {
			fmt.Fprintln(os.Stderr, "clustertest: destroy:", res.Stderr)
			code = max(code, 1)
		}
	}
	started.Unlock()
	if dir, err := root(); err == nil {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, "clustertest:", err)
		}
	}
	os.Exit(code)
}

// Result is what a program left behind.
type Result struct {
	Stdout, Stderr string
	Code           int // exit status; -1 if it did not exit by itself
}

// Exec runs a program to its end.
func Exec(cmd *exec.Cmd) Result {
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	r := Result{Stdout: out.String(), Stderr: errs.String()}
	if err != nil {
		r.Code = -1
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			r.Code = exit.ExitCode()
		} else {
			r.Stderr += err.Error()
		}
	}
	return r
}

// Bin returns the directory with the programs cluster, mon and osd, built from
// the sources of this module.
func Bin(t testing.TB) string {
	t.Helper()
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// Dir returns a new directory with a short name that [Main] removes.
func Dir(t testing.TB) string {
	t.Helper()
	base, err := root()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(base, "")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Cluster is a cluster under Dir. The methods fail the test where the cluster
// command fails.
type Cluster struct {
	Dir string
}

// New returns a cluster that is not started. It is destroyed when the test
// binary ends, if not before.
func New(t testing.TB) *Cluster {
	t.Helper()
	Bin(t)
	c := &Cluster{Dir: Dir(t)}
	started.Lock()
	defer started.Unlock()
	if started.dirs == nil {
		started.dirs = map[string]bool{}
	}
	started.dirs[c.Dir] = true
	return c
}

// At returns the cluster in dir, which somebody else started and keeps.
func At(t testing.TB, dir string) *Cluster {
	t.Helper()
	Bin(t)
	return &Cluster{Dir: dir}
}

// Up starts a new cluster with the flags and waits until its PGs are
// active+clean. It is destroyed at the test's end.
func Up(t testing.TB, flags ...string) *Cluster {
	t.Helper()
	c := New(t)
	t.Cleanup(func() { c.Destroy(t) })
	c.Must(t, append([]string{"up"}, flags...)...)
	return c
}

// Conf is the path of the cluster's ceph.conf.
func (c *Cluster) Conf() string { return filepath.Join(c.Dir, "ceph.conf") }

// Asok is the path of a daemon's admin socket.
func (c *Cluster) Asok(name string) string { return filepath.Join(c.Dir, "run", name+".asok") }

// Pid returns the process of a daemon according to its pid file; 0 without one.
func (c *Cluster) Pid(name string) int {
	b, err := os.ReadFile(filepath.Join(c.Dir, "run", name+".pid"))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0
	}
	return pid
}

// Log returns the end of a daemon's log, for messages of failed tests.
func (c *Cluster) Log(name string) string {
	b, err := os.ReadFile(filepath.Join(c.Dir, "log", name+".log"))
	if err != nil {
		return err.Error()
	}
	const most = 4096
	return string(b[max(0, len(b)-most):])
}

// Command prepares the cluster command with the given arguments for this
// cluster.
func (c *Cluster) Command(args ...string) *exec.Cmd { return command(c.Dir, args...) }

// Run runs the cluster command.
func (c *Cluster) Run(args ...string) Result { return Exec(c.Command(args...)) }

// Must runs the cluster command, which has to succeed, and returns its standard
// output.
func (c *Cluster) Must(t testing.TB, args ...string) string {
	t.Helper()
	r := c.Run(args...)
	if r.Code != 0 {
		t.Fatalf("cluster %s: exit status %d\n%s%s", strings.Join(args, " "), r.Code, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// Destroy stops the cluster and removes its directory; without a cluster there it
// does nothing.
func (c *Cluster) Destroy(t testing.TB) {
	t.Helper()
	if exists(c.Dir) {
		c.Must(t, "destroy")
	}
	started.Lock()
	defer started.Unlock()
	delete(started.dirs, c.Dir)
}

// exists reports whether there is a cluster in dir, running or not.
func exists(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "cluster.json"))
	return err == nil
}

func run(dir string, args ...string) Result { return Exec(command(dir, args...)) }

// command is only reached after Bin has succeeded.
func command(dir string, args ...string) *exec.Cmd {
	bin, err := build()
	if err != nil {
		return &exec.Cmd{Err: err}
	}
	return exec.Command(filepath.Join(bin, "cluster"), append([]string{"--dir", dir}, args...)...)
}
