package pg_test

import (
	"fmt"
	"slices"
	"testing"

	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pg/peering"
)

// A primary that comes back after missing so much that another leads in its place
// gets its place back once it misses nothing any more: what its info said when it
// came back must not count for ever. The PG would never be clean.
func TestLateComerLeadsAgain(t *testing.T) {
	w := newWorld(t, 9, 3, 1, 3, 2)
	c := newClient(w, 1)
	for _, o := range w.osds {
		o.createOwn()
	}
	w.settle()
	id := object.PGID{Pool: poolID}
	was := w.current().MappingOf(id).Up
	w.osds[was[0]].crash()
	w.calm(300)
	for i := range peering.ForceAuthPrimaryMissing + 20 {
		c.start(fmt.Sprint("late", i), false)
		for range 3000 {
			w.calm(1)
			w.clientOne()
			if len(c.pending) == 0 {
				break
			}
		}
		if len(c.pending) > 0 {
			w.fail("not written: %s", w.describe())
		}
	}
	w.change(func(m *osdmap.Map) { m.Flags |= osdmap.FlagNoRecover })
	w.restart(w.osds[was[0]])
	for range 3000 {
		w.calm(1)
		if len(w.current().PGTemp[id]) > 0 {
			break
		}
	}
	if len(w.current().PGTemp[id]) == 0 {
		w.fail("nobody else leads while the primary of the up set lacks objects: %s", w.describe())
	}
	// In the next interval it has the log, and says how many objects it lacks.
	w.calm(1000)
	w.osds[was[2]].crash()
	w.calm(300)
	w.restart(w.osds[was[2]])
	w.calm(1000)
	w.change(func(m *osdmap.Map) { m.Flags &^= osdmap.FlagNoRecover })
	w.settle()
	if m := w.current().MappingOf(id); !slices.Equal(m.Acting, was) {
		t.Errorf("acting %v, want %v", m.Acting, was)
	}
	w.check()
}
