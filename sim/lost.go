package sim

import (
	"time"

	"sepiola/osdmap"
)

// lost takes an OSD's disk away. Nothing else may go wrong meanwhile: what two
// lost copies had between them is lost by design. So the faults end, all becomes
// clean, and only then the disk is gone; the OSD is declared lost when the map
// says that it is down, and comes back empty.
func (f *injector) lost() {
	w := f.w
	if w.opts.Size < 2 {
		return
	}
	w.trace("calm, until all is clean")
	f.calm = true
	f.endAll()
	w.mon.undo()
	w.whenever(w.allClean, func() { f.destroy(w.nodes[w.rng.IntN(len(w.nodes))]) })
}

func (f *injector) destroy(n *node) {
	w := f.w
	n.crash()
	n.disk = newDisk(w, n.id)
	w.trace("osd.%d loses its disk", n.id)
	down := func() bool { return w.mon.newest().IsDown(n.id) }
	w.whenever(down, func() {
		w.trace("osd.%d is declared lost", n.id)
		w.mon.change(func(cur *osdmap.Map, inc *osdmap.Incremental) { inc.NewLost[n.id] = cur.Epoch })
		w.after(w.uniform(time.Millisecond, w.taste.downtime), func() {
			n.start()
			w.whenever(w.allClean, func() {
				w.trace("calm ends")
				f.calm = false
			})
		})
	})
}

// whenever does something as soon as a condition holds.
func (w *world) whenever(cond func() bool, do func()) {
	w.waits++
	var look func()
	look = func() {
		if !cond() {
			w.after(2*time.Millisecond, look)
			return
		}
		w.waits--
		do()
	}
	look()
}

// allClean reports whether all OSDs are up and in, and every PG is clean.
func (w *world) allClean() bool {
	cur := w.mon.newest()
	for _, n := range w.nodes {
		if !n.alive || n.booting || n.epoch < cur.Epoch || cur.IsDown(n.id) || cur.IsOut(n.id) {
			return false
		}
	}
	return w.pgsAreClean()
}
