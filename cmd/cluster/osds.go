package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"sepiola/entity"
)

// osdsMax bounds the OSDs of a cluster on one machine.
const osdsMax = 100

// pollInterval is how often the monitor is asked how far something has come.
const pollInterval = 200 * time.Millisecond

// addOSD makes one more OSD, starts it and waits until it is up. Data moves to it
// from then on.
func addOSD(ctx context.Context, f *flags) error {
	c, err := load(f.dir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	if err := c.build(ctx); err != nil {
		return err
	}
	a, err := c.reach(ctx)
	if err != nil {
		return err
	}
	defer a.close()
	i := slices.Index(c.OSDs, "")
	if i < 0 {
		i, c.OSDs = len(c.OSDs), append(c.OSDs, "")
	}
	if i >= osdsMax {
		return fmt.Errorf("a cluster on one machine has at most %d OSDs", osdsMax)
	}
	c.OSDs[i] = entity.NewUUID().String()
	p := newProgress()
	defer p.done()
	// Noted first: what is cut short here is finished by "cluster up".
	if err := c.save(); err != nil {
		return err
	}
	name := osdName(i)
	if err := c.bringUpOSD(ctx, p, a, i, c.OSDs[i]); err != nil {
		return err
	}
	p.say("waiting for " + name)
	for slices.Contains(c.waiting(ctx), name) {
		if err := pause(ctx); err != nil {
			return fmt.Errorf("%s does not join the cluster: %w; see %s", name, err, c.logFile(name))
		}
	}
	p.done()
	fmt.Printf("%s is up; \"cluster status\" tells how far data has moved to it\n", name)
	return nil
}

func osdName(i int) string { return "osd." + strconv.Itoa(i) }

// reach speaks to the cluster's monitor, which has to run.
func (c *cluster) reach(ctx context.Context) (*admin, error) {
	if c.pid("mon."+c.Mons[0]) == 0 {
		return nil, errors.New("the cluster does not run; start it with \"cluster up\"")
	}
	return dial(ctx, c)
}

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pollInterval):
		return nil
	}
}

// rmOSD drains an OSD, waits until nothing depends on it, stops it, and removes it
// with its data.
func rmOSD(ctx context.Context, f *flags, name string) error {
	c, err := load(f.dir)
	if err != nil {
		return err
	}
	if err := c.has(name); err != nil {
		return err
	}
	id, err := strconv.Atoi(strings.TrimPrefix(name, "osd."))
	if err != nil {
		return fmt.Errorf("%s is no OSD", name)
	}
	a, err := c.reach(ctx)
	if err != nil {
		return err
	}
	defer a.close()
	if !f.force {
		if err := a.roomWithout(ctx, id); err != nil {
			return err
		}
	}
	if _, err := a.command(ctx, map[string]any{"prefix": "osd out", "ids": []string{strconv.Itoa(id)}}); err != nil {
		return fmt.Errorf("taking %s out: %w", name, err)
	}
	if !f.force {
		if err := c.drain(ctx, f, a, id); err != nil {
			return err
		}
	}
	return c.remove(ctx, a, id)
}

// roomWithout refuses to take an OSD away where pools keep as many copies as there
// are OSDs: it would never be drained.
func (a *admin) roomWithout(ctx context.Context, id int) error {
	var m struct {
		OSDs []struct {
			ID int `json:"osd"`
			Up int `json:"up"`
			In int `json:"in"`
		} `json:"osds"`
		Pools []struct {
			Name string `json:"pool_name"`
			Size int    `json:"size"`
		} `json:"pools"`
	}
	if err := a.query(ctx, map[string]any{"prefix": "osd dump"}, &m); err != nil {
		return err
	}
	left := 0
	for _, o := range m.OSDs {
		if o.ID != id && o.Up == 1 && o.In == 1 {
			left++
		}
	}
	for _, p := range m.Pools {
		if p.Size > left {
			return fmt.Errorf("pool %s keeps %d copies, and %d OSDs that are up and in would be left: add one first with \"cluster add-osd\", or lower the pool's size, or pass --force", p.Name, p.Size, left)
		}
	}
	return nil
}

// drain waits until the OSD can be destroyed without loss.
func (c *cluster) drain(ctx context.Context, f *flags, a *admin, id int) error {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	p := newProgress()
	defer p.done()
	most := 0
	for {
		left, err := a.unsafePGs(ctx, id)
		if err == nil && left == 0 {
			return nil
		}
		if err == nil {
			most = max(most, left)
			p.show("draining "+osdName(id), most-left, most)
		}
		if pause(ctx) != nil {
			return fmt.Errorf("%s is out, and %d PGs still need it or are not clean; it keeps draining: run this again, with a longer --timeout, to go on, or \"ceph osd in %d\" to take it back", osdName(id), left, id)
		}
	}
}

// unsafePGs counts what keeps an OSD from being destroyed: PGs that it belongs to,
// and PGs that are not clean. It is 0 only if the manager finds nothing either.
func (a *admin) unsafePGs(ctx context.Context, id int) (int, error) {
	var safe struct {
		Safe []int `json:"safe_to_destroy"`
	}
	if err := a.query(ctx, map[string]any{"prefix": "osd safe-to-destroy", "ids": []string{strconv.Itoa(id)}}, &safe); err != nil {
		return 0, err
	}
	if len(safe.Safe) > 0 {
		return 0, nil
	}
	var brief struct {
		Stats []struct {
			State  string `json:"state"`
			Up     []int  `json:"up"`
			Acting []int  `json:"acting"`
		} `json:"pg_stats"`
	}
	if err := a.query(ctx, map[string]any{"prefix": "pg dump", "dumpcontents": []string{"pgs_brief"}}, &brief); err != nil {
		return 0, err
	}
	n := 0
	for _, pg := range brief.Stats {
		if slices.Contains(pg.Up, id) || slices.Contains(pg.Acting, id) || !strings.Contains(pg.State, "active+clean") {
			n++
		}
	}
	return max(n, 1), nil
}

// remove stops the OSD and takes it out of the cluster's maps and off the disk.
func (c *cluster) remove(ctx context.Context, a *admin, id int) error {
	name := osdName(id)
	if err := c.stop([]string{name}); err != nil {
		return err
	}
	// It took its leave, unless it was dead already.
	if _, err := a.command(ctx, map[string]any{"prefix": "osd down", "ids": []string{strconv.Itoa(id)}}); err != nil {
		return err
	}
	// Whether it can go was asked before it stopped: of an OSD that is down nobody can
	// tell while other PGs are on the move.
	if _, err := a.command(ctx, map[string]any{"prefix": "osd purge", "id": strconv.Itoa(id), "force": true}); err != nil {
		return fmt.Errorf("removing %s from the cluster's maps: %w; it is stopped and out, and its data is still in %s", name, err, c.dataDir(name))
	}
	c.OSDs[id] = ""
	delete(c.Daemons, name)
	if err := c.save(); err != nil {
		return err
	}
	if err := os.RemoveAll(c.dataDir(name)); err != nil {
		return err
	}
	fmt.Printf("%s is removed\n", name)
	return nil
}
