// Package refcluster runs a cluster of the reference implementation, Ceph 16 as
// Debian packages it, on this machine: what tests and benchmarks compare with.
// Its daemons listen on 127.0.0.1 only.
package refcluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sepiola/entity"
)

// Options say what cluster to run.
type Options struct {
	Store string // bluestore (the default), filestore or memstore
	OSDs  int    // 3 unless given
	Port  int    // of the monitor
}

// Cluster is a running reference cluster.
type Cluster struct {
	dir  string
	opts Options
}

// Programs are what must be installed.
var Programs = []string{"ceph-mon", "ceph-mgr", "ceph-osd", "ceph", "monmaptool"}

// Missing returns a program of the reference that is not installed; "" if all are.
func Missing() string {
	for _, p := range Programs {
		if _, err := exec.LookPath(p); err != nil {
			return p
		}
	}
	return ""
}

// Start makes and starts a cluster under dir, which must not exist, and returns when
// all OSDs are up.
func Start(ctx context.Context, dir string, o Options) (*Cluster, error) {
	if o.Store == "" {
		o.Store = "bluestore"
	}
	if o.OSDs == 0 {
		o.OSDs = 3
	}
	c := &Cluster{dir: dir, opts: o}
	for _, d := range []string{"mon", "mgr", "run", "log"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// Conf returns the path of the cluster's ceph.conf.
func (c *Cluster) Conf() string { return filepath.Join(c.dir, "ceph.conf") }

// OSDPids returns the processes of the OSDs.
func (c *Cluster) OSDPids() []int {
	var out []int
	for i := range c.opts.OSDs {
		if pid := c.pid("osd." + strconv.Itoa(i)); pid != 0 {
			out = append(out, pid)
		}
	}
	return out
}

func (c *Cluster) start(ctx context.Context) error {
	fsid := entity.NewUUID().String()
	addr := fmt.Sprintf("v2:127.0.0.1:%d", c.opts.Port)
	conf := fmt.Sprintf(confText, fsid, addr, c.dir, c.opts.Store, min(3, c.opts.OSDs))
	if err := os.WriteFile(c.Conf(), []byte(conf), 0o644); err != nil {
		return err
	}
	monmap := filepath.Join(c.dir, "monmap")
	steps := [][]string{
		{"monmaptool", "--create", "--fsid", fsid, "--addv", "a", "[" + addr + "]", monmap},
		{"ceph-mon", "-i", "a", "--mkfs", "--monmap", monmap},
		{"ceph-mon", "-i", "a", "--public-addrv", "[" + addr + "]"},
		{"ceph-mgr", "-i", "x"},
	}
	for _, s := range steps {
		if err := c.run(ctx, s...); err != nil {
			return err
		}
	}
	for i := range c.opts.OSDs {
		if err := c.startOSD(ctx, strconv.Itoa(i)); err != nil {
			return err
		}
	}
	return c.waitUp(ctx)
}

func (c *Cluster) startOSD(ctx context.Context, id string) error {
	if err := os.MkdirAll(filepath.Join(c.dir, "osd"+id), 0o755); err != nil {
		return err
	}
	uuid := entity.NewUUID().String()
	for _, s := range [][]string{
		{"ceph", "osd", "new", uuid, id},
		{"ceph-osd", "-i", id, "--mkfs", "--osd-uuid", uuid},
		{"ceph-osd", "-i", id},
	} {
		if err := c.run(ctx, s...); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) waitUp(ctx context.Context) error {
	want := fmt.Sprintf(`"num_up_osds":%d,`, c.opts.OSDs)
	for {
		out, err := c.output(ctx, "ceph", "osd", "stat", "-f", "json")
		if err == nil && strings.Contains(string(out), want) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the reference's OSDs are not up: %w; see %s/log", ctx.Err(), c.dir)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Command prepares a program of Ceph's to run against the cluster.
func (c *Cluster) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, args[0], append([]string{"-c", c.Conf()}, args[1:]...)...)
	if args[0] == "monmaptool" {
		cmd.Args = args
	}
	return cmd
}

func (c *Cluster) output(ctx context.Context, args ...string) ([]byte, error) {
	return c.Command(ctx, args...).Output()
}

func (c *Cluster) run(ctx context.Context, args ...string) error {
	if out, err := c.Command(ctx, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

func (c *Cluster) pid(name string) int {
	b, err := os.ReadFile(filepath.Join(c.dir, "run", name+".pid"))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0
	}
	return pid
}

// Stop ends the daemons. The directory stays.
func (c *Cluster) Stop() error {
	files, err := filepath.Glob(filepath.Join(c.dir, "run", "*.pid"))
	if err != nil {
		return err
	}
	var pids []int
	for _, f := range files {
		if pid := c.pid(strings.TrimSuffix(filepath.Base(f), ".pid")); pid > 1 {
			pids = append(pids, pid)
			_ = syscall.Kill(pid, syscall.SIGTERM) // it may be gone already
		}
	}
	deadline := time.Now().Add(20 * time.Second)
	for _, pid := range pids {
		for syscall.Kill(pid, 0) == nil {
			if time.Now().After(deadline) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return nil
}

const confText = `[global]
fsid = %[1]s
mon host = %[2]s
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = %[5]d
osd pool default min size = 2
osd crush chooseleaf type = 0
osd pool default pg autoscale mode = off
mon allow pool delete = true
mon warn on insecure global id reclaim = false
mon warn on insecure global id reclaim allowed = false
run dir = %[3]s/run
pid file = %[3]s/run/$name.pid
log file = %[3]s/log/$name.log
admin socket = %[3]s/run/$name.asok
mon data = %[3]s/mon
mgr data = %[3]s/mgr
osd data = %[3]s/osd$id
osd journal = %[3]s/osd$id/journal
osd journal size = 1024
osd objectstore = %[4]s
osd max object name len = 256
osd max object namespace len = 64
bluestore block size = 8589934592
memstore device bytes = 2147483648
ms bind msgr1 = false
public addr = 127.0.0.1
mgr initial modules =
[client]
pid file =
admin socket =
log file =
`
