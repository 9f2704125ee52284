package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// up starts whatever does not run and waits until all PGs are active+clean.
func up(ctx context.Context, f *flags) error {
	c, err := loadOrCreate(f)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	if err := c.bringUp(ctx, f); err != nil {
		return err
	}
	fmt.Println(c.conf())
	return nil
}

// run is up, then a wait for Ctrl-C, then down.
func run(ctx context.Context, f *flags) error {
	c, err := loadOrCreate(f)
	if err != nil {
		return err
	}
	// From here on whatever happens, the daemons are stopped.
	startCtx, cancel := context.WithTimeout(ctx, f.timeout)
	err = c.bringUp(startCtx, f)
	cancel()
	if err == nil {
		c.printWelcome()
		err = c.watch(ctx)
	}
	fmt.Println("\nstopping ...")
	if stopErr := c.stopAll(); stopErr != nil {
		return errors.Join(err, stopErr)
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (c *cluster) printWelcome() {
	conf := c.conf()
	name := c.Pools[0].Name
	fmt.Printf(`
The cluster is up. Its configuration, for any Ceph client:

  %[1]s

Try:

  ceph -c %[1]s -s
  rados -c %[1]s -p %[2]s put hello /etc/hostname
  rados -c %[1]s -p %[2]s bench 5 write

Without Ceph's packages, "go run ./cmd/rados" in place of "rados" does the same.
Ctrl-C stops the cluster; its data stays.
`, conf, name)
}

// watch waits for Ctrl-C and says so when a daemon stops by itself.
func (c *cluster) watch(ctx context.Context) error {
	gone := map[string]bool{}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		for _, name := range c.daemons() {
			runs := c.pid(name) != 0
			switch {
			case !runs && !gone[name]:
				fmt.Printf("%s no longer runs; \"cluster start %s\" starts it again, %s may say why\n", name, name, c.logFile(name))
			case runs && gone[name]:
				fmt.Printf("%s runs again\n", name)
			}
			gone[name] = !runs
		}
	}
}

// bringUp builds, makes and starts what is missing, creates the pools at the
// first start, and waits for clean PGs.
func (c *cluster) bringUp(ctx context.Context, f *flags) error {
	p := newProgress()
	defer p.done()
	p.say("building the daemons")
	if err := c.build(ctx); err != nil {
		return err
	}
	for i, id := range c.Mons {
		if err := c.bringUpMon(ctx, p, i, "mon."+id); err != nil {
			return err
		}
	}
	p.say("waiting for the monitor")
	a, err := dial(ctx, c)
	if err != nil {
		return fmt.Errorf("the monitor does not answer: %w; see %s", err, c.logFile("mon."+c.Mons[0]))
	}
	defer a.close()
	for i, uuid := range c.OSDs {
		if uuid == "" {
			continue
		}
		if err := c.bringUpOSD(ctx, p, a, i, uuid); err != nil {
			return err
		}
	}
	if !c.PoolsMade {
		p.say("creating pools")
		for _, pool := range c.Pools {
			if err := a.createPool(ctx, pool); err != nil {
				return fmt.Errorf("creating pool %s: %w", pool.Name, err)
			}
		}
		c.PoolsMade = true
		if err := c.save(); err != nil {
			return err
		}
	}
	return c.waitClean(ctx, p, a)
}

func (c *cluster) bringUpMon(ctx context.Context, p *progress, i int, name string) error {
	if !c.Daemons[name] {
		p.say("making " + name)
		if err := c.mkfs(ctx, name, "--public-addr", c.monAddr(i)); err != nil {
			return err
		}
	}
	p.say("starting " + name)
	return c.launch(ctx, name)
}

func (c *cluster) bringUpOSD(ctx context.Context, p *progress, a *admin, i int, uuid string) error {
	name := osdName(i)
	if !c.Daemons[name] {
		p.say("making " + name)
		if err := a.newOSD(ctx, i, uuid); err != nil {
			return fmt.Errorf("registering %s: %w", name, err)
		}
		if err := c.mkfs(ctx, name, "--osd-uuid", uuid); err != nil {
			return err
		}
	}
	p.say("starting " + name)
	return c.launch(ctx, name)
}

// waitClean returns when all OSDs are up and all PGs active+clean; when time is up,
// with what is not.
func (c *cluster) waitClean(ctx context.Context, p *progress, a *admin) error {
	var last clusterStatus
	var notJoined []string
	for {
		st, err := a.status(ctx)
		if err == nil {
			last = st
			p.pgs(st)
			notJoined = c.waiting(ctx)
			if st.clean(c.osdCount()) && len(notJoined) == 0 {
				settled, err := a.settled(ctx)
				if settled && err == nil {
					return nil
				}
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not clean in time: %s; logs are in %s", last.why(c, notJoined, err), c.path("log"))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func down(_ context.Context, f *flags) error {
	c, err := load(f.dir)
	if err != nil {
		return err
	}
	return c.stopAll()
}

// stopAll stops the OSDs, which take their leave of the monitor, then the
// monitors.
func (c *cluster) stopAll() error {
	var osds, mons []string
	for _, name := range c.daemons() {
		if strings.HasPrefix(name, "osd.") {
			osds = append(osds, name)
		} else {
			mons = append(mons, name)
		}
	}
	return errors.Join(c.stop(osds), c.stop(mons))
}

func kill(_ context.Context, f *flags, name string) error {
	c, err := load(f.dir)
	if err != nil {
		return err
	}
	if err := c.has(name); err != nil {
		return err
	}
	sig, err := parseSignal(f.signal)
	if err != nil {
		return err
	}
	pid := c.pid(name)
	if pid == 0 {
		return fmt.Errorf("%s does not run", name)
	}
	if err := syscall.Kill(pid, sig); err != nil {
		return fmt.Errorf("%s (pid %d): %w", name, pid, err)
	}
	if sig != syscall.SIGKILL {
		return nil
	}
	// A killed process is gone at once, but not before it is reaped.
	for c.isOurs(pid, name) {
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}

func start(ctx context.Context, f *flags, name string) error {
	c, err := load(f.dir)
	if err != nil {
		return err
	}
	if err := c.has(name); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	if err := c.build(ctx); err != nil {
		return err
	}
	if pid := c.running(ctx, name); pid != 0 {
		return fmt.Errorf("%s runs already (pid %d)", name, pid)
	}
	return c.launch(ctx, name)
}

func destroy(_ context.Context, f *flags) error {
	c, err := load(f.dir)
	if err != nil {
		return err
	}
	if err := c.stopAll(); err != nil {
		return err
	}
	return os.RemoveAll(c.dir)
}
