package state

import (
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
