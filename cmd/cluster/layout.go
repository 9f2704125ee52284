package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sepiola/entity"
)

// cluster is what the directory of a cluster says about it: the file
// cluster.json, written once.
type cluster struct {
	dir string

	FSID  string   `json:"fsid"`
	Mons  []string `json:"mons"` // ids: a, b, ...
	Ports []int    `json:"mon_ports"`
	OSDs  []string `json:"osd_uuids"` // by id; "" for one that was removed
	Store string   `json:"store"`
	Pools []pool   `json:"pools"`
	// Daemons are those whose data directory was made; PoolsMade is set once the
	// pools were.
	Daemons   map[string]bool `json:"daemons"`
	PoolsMade bool            `json:"pools_made"`
}

type pool struct {
	Name string `json:"name"`
	PGs  int    `json:"pgs"`
	Size int    `json:"size"`
}

// minSize is the copies a pool needs to take writes, as Ceph derives it.
func (p pool) minSize() int { return p.Size - p.Size/2 }

func parsePool(s string) (pool, error) {
	f := strings.Split(s, ":")
	bad := fmt.Errorf("--pool %q: want NAME:PGS:SIZE, such as data:32:3", s)
	if len(f) != 3 || f[0] == "" {
		return pool{}, bad
	}
	pgs, err1 := strconv.Atoi(f[1])
	size, err2 := strconv.Atoi(f[2])
	if err1 != nil || err2 != nil || pgs < 1 || size < 1 || size > 10 {
		return pool{}, bad
	}
	return pool{f[0], pgs, size}, nil
}

func (c *cluster) path(parts ...string) string {
	return filepath.Join(append([]string{c.dir}, parts...)...)
}

func (c *cluster) conf() string            { return c.path("ceph.conf") }
func (c *cluster) pidFile(n string) string { return c.path("run", n+".pid") }
func (c *cluster) logFile(n string) string { return c.path("log", n+".log") }
func (c *cluster) dataDir(n string) string { return c.path(n) }
func (c *cluster) monAddr(i int) string    { return "v2:127.0.0.1:" + strconv.Itoa(c.Ports[i]) }
func (c *cluster) stateFile() string       { return c.path("cluster.json") }

// daemons returns the names of all daemons, monitors first.
func (c *cluster) daemons() []string {
	var out []string
	for _, id := range c.Mons {
		out = append(out, "mon."+id)
	}
	for i, uuid := range c.OSDs {
		if uuid != "" {
			out = append(out, osdName(i))
		}
	}
	return out
}

// osdCount is how many OSDs there are.
func (c *cluster) osdCount() int {
	return len(slices.DeleteFunc(slices.Clone(c.OSDs), func(uuid string) bool { return uuid == "" }))
}

func (c *cluster) has(name string) error {
	for _, n := range c.daemons() {
		if n == name {
			return nil
		}
	}
	return fmt.Errorf("%s is not a daemon of %s; there are %s", name, c.dir, strings.Join(c.daemons(), ", "))
}

// load reads the cluster in dir.
func load(dir string) (*cluster, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	c := &cluster{dir: abs, Daemons: map[string]bool{}}
	b, err := os.ReadFile(c.stateFile())
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("no cluster in %s; \"cluster up\" makes one: %w", dir, err)
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("%s: %w", c.stateFile(), err)
	}
	return c, nil
}

// save writes the state file so that a crash leaves the old or the new one.
func (c *cluster) save() error {
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	tmp := c.stateFile() + ".new"
	if err := os.WriteFile(tmp, append(b, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, c.stateFile())
}

// loadOrCreate reads the cluster in the directory that the flags name, or lays one
// out there.
func loadOrCreate(f *flags) (*cluster, error) {
	c, err := load(f.dir)
	if err == nil || !errors.Is(err, os.ErrNotExist) {
		return c, err
	}
	return create(f)
}

func create(f *flags) (*cluster, error) {
	c, err := plan(f)
	if err != nil {
		return nil, err
	}
	if entries, err := os.ReadDir(c.dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%s is not empty and holds no cluster; choose another --dir", f.dir)
	}
	for _, d := range []string{"run", "log", "bin"} {
		if err := os.MkdirAll(c.path(d), 0o755); err != nil {
			return nil, fmt.Errorf("cannot make %s: %w; choose a --dir that can be written to", c.path(d), err)
		}
	}
	if err := os.WriteFile(c.conf(), []byte(c.confText()), 0o644); err != nil {
		return nil, err
	}
	return c, c.save()
}

// plan decides on a new cluster without touching the disk.
func plan(f *flags) (*cluster, error) {
	abs, err := filepath.Abs(f.dir)
	if err != nil {
		return nil, err
	}
	c := &cluster{dir: abs, FSID: entity.NewUUID().String(), Store: f.store, Daemons: map[string]bool{}}
	switch {
	case f.mons != 1:
		return nil, fmt.Errorf("--mons %d: one monitor is what this version runs", f.mons)
	case f.osds < 1 || f.osds > osdsMax:
		return nil, fmt.Errorf("--osds %d: want 1 to %d", f.osds, osdsMax)
	case f.store != "filestore" && f.store != "memstore":
		return nil, fmt.Errorf("--store %q: want filestore or memstore", f.store)
	}
	port := f.port
	if port == 0 {
		if port, err = freePort(); err != nil {
			return nil, err
		}
	}
	c.Mons, c.Ports = []string{"a"}, []int{port}
	for range f.osds {
		c.OSDs = append(c.OSDs, entity.NewUUID().String())
	}
	specs := f.pools
	if len(specs) == 0 {
		specs = []string{fmt.Sprintf("data:32:%d", min(3, f.osds))}
	}
	for _, s := range specs {
		p, err := parsePool(s)
		if err != nil {
			return nil, err
		}
		c.Pools = append(c.Pools, p)
	}
	return c, nil
}

// freePort finds a port nobody listens on.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("no free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
