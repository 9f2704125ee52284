package state

import (
	"fmt"
	"testing"

	"sepiola/command"
	"sepiola/osdmap"
)

// A pool that reaches its quota is closed, in the map where clients and OSDs see it,
// and opened when it holds less or may hold more; others are let be.
func TestQuotaClosesPool(t *testing.T) {
	c := newCluster(t)
	c.admin(command.Args{"prefix": "osd new", "uuid": "01000000-0000-0000-0000-000000000000"}, testSettings())
	c.boot(0, 6800)
	for _, name := range []string{"p", "q"} {
		c.admin(command.Args{"prefix": "osd pool create", "pool": name, "pg_num": int64(4)}, testSettings())
	}
	quota := func(field, val string) {
		t.Helper()
		if r := c.admin(command.Args{"prefix": "osd pool set-quota", "pool": "p", "field": field, "val": val}, testSettings()); r.Code != 0 {
			t.Fatal(r)
		}
	}
	id := func(name string) int64 {
		for id, n := range c.m.State.OSD.PoolNames {
			if n == name {
				return id
			}
		}
		t.Fatalf("no pool %s", name)
		return 0
	}
	check := func(what string, bytes, objects uint64, want bool) {
		t.Helper()
		use := Use{bytes, objects}
		c.run(Command{PoolUse: &PoolUse{Pools: map[int64]Use{id("p"): use, id("q"): use, 99: use}}})
		for name, want := range map[string]bool{"p": want, "q": false} {
			p := c.m.State.OSD.Pools[id(name)]
			if p.HasFlag(osdmap.PoolFlagFullQuota) != want || p.HasFlag(osdmap.PoolFlagFull) != want {
				t.Errorf("%s: pool %s has flags %x", what, name, p.Flags)
			}
		}
	}
	check("without a quota", 1<<40, 1<<40, false)
	quota("max_bytes", "4096")
	check("below", 4095, 7, false)
	check("at the quota", 4096, 1, true)
	epoch := c.m.State.LastEpoch
	check("still there", 5000, 1, true)
	if c.m.State.LastEpoch != epoch {
		t.Error("a pool that stays full made an epoch")
	}
	check("below again", 4000, 1, false)
	quota("max_objects", "10")
	check("as many objects as may be", 0, 10, true)
	quota("max_objects", "0")
	check("without a quota again", 0, 10, false)
}

// A pool is closed while an OSD that its rule reaches is full, and marked while one is
// nearly so; the worst counts. One over its quota stays closed whatever the OSDs say.
func TestFullOSDClosesPool(t *testing.T) {
	c := newCluster(t)
	for osd := range int32(2) {
		c.admin(command.Args{"prefix": "osd new", "uuid": fmt.Sprintf("0%d000000-0000-0000-0000-000000000000", osd+1)}, testSettings())
		c.boot(osd, uint16(6800+10*osd))
		c.admin(command.Args{"prefix": "osd crush create-or-move", "id": int64(osd), "weight": 1.0,
			"args": []string{"root=default", "host=h"}}, testSettings())
	}
	c.admin(command.Args{"prefix": "osd pool create", "pool": "p", "pg_num": int64(4)}, testSettings())
	pool := func() *osdmap.Pool {
		for id, n := range c.m.State.OSD.PoolNames {
			if n == "p" {
				return c.m.State.OSD.Pools[id]
			}
		}
		t.Fatal("no pool")
		return nil
	}
	say := func(osd int32, state uint32, want uint64) {
		t.Helper()
		c.run(Command{Fullness: &Fullness{OSD: osd, Addrs: c.m.State.OSD.Addrs(osd), State: state}})
		if got := pool().Flags & poolFullFlags; got != want {
			t.Errorf("osd.%d has state %x: the pool has flags %x, want %x", osd, state, got, want)
		}
	}
	say(0, osdmap.OSDNearFull, osdmap.PoolFlagNearFull)
	say(1, osdmap.OSDFull, osdmap.PoolFlagFull)
	say(0, 0, osdmap.PoolFlagFull)
	say(1, osdmap.OSDBackfillFull, osdmap.PoolFlagBackfillFull)
	c.admin(command.Args{"prefix": "osd pool set-quota", "pool": "p", "field": "max_objects", "val": "1"}, testSettings())
	var id int64
	for i, n := range c.m.State.OSD.PoolNames {
		if n == "p" {
			id = i
		}
	}
	use := func(n uint64) { c.run(Command{PoolUse: &PoolUse{Pools: map[int64]Use{id: {Objects: n}}}}) }
	use(5)
	say(1, 0, osdmap.PoolFlagFull)
	say(1, osdmap.OSDFull, osdmap.PoolFlagFull)
	use(0)
	if f := pool().Flags; f&osdmap.PoolFlagFull == 0 || f&osdmap.PoolFlagFullQuota != 0 {
		t.Errorf("below the quota, with a full OSD: flags %x", f)
	}
	say(1, 0, 0)
}
