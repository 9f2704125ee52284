package sim

import (
	"slices"
	"time"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/osdmap"
)

// injector lets faults happen, and ends them.
type injector struct {
	w *world
	// ends are what ends the faults under way, in the order in which they began; nil
	// for those that have ended.
	ends []func()
	next int64 // the step of the next fault
	// calm holds faults back while an OSD is lost: what nobody else has by then is
	// lost by design.
	calm bool
}

// step lets a fault happen when its time has come.
func (f *injector) step() {
	w := f.w
	if w.steps < f.next || f.calm {
		return
	}
	f.next = w.steps + 1 + w.rng.Int64N(2*int64(w.taste.faultEvery))
	total := 0
	for _, c := range faultClasses {
		if w.has(c.bit) && c.inject != nil {
			total += c.weight
		}
	}
	if total == 0 {
		return
	}
	pick := w.rng.IntN(total)
	for _, c := range faultClasses {
		if !w.has(c.bit) || c.inject == nil {
			continue
		}
		if pick -= c.weight; pick < 0 {
			c.inject(f)
			return
		}
	}
}

// until ends a fault after a while, or when all faults end.
func (f *injector) until(d time.Duration, end func()) {
	i := len(f.ends)
	f.ends = append(f.ends, end)
	f.w.after(d, func() {
		if i < len(f.ends) && f.ends[i] != nil {
			do := f.ends[i]
			f.ends[i] = nil
			do()
		}
	})
}

// endAll ends all faults that are under way.
func (f *injector) endAll() {
	for i, end := range f.ends {
		if end != nil {
			f.ends[i] = nil
			end()
		}
	}
}

// anyNode chooses an OSD that lives; nil if the one chosen does not.
func (f *injector) anyNode() *node {
	n := f.w.nodes[f.w.rng.IntN(len(f.w.nodes))]
	if !n.alive {
		return nil
	}
	return n
}

func (f *injector) crash() {
	w := f.w
	if w.oneIn(8) {
		for _, n := range w.nodes { // all at once
			if n.alive {
				f.crashOne(n)
			}
		}
		return
	}
	if n := f.anyNode(); n != nil {
		f.crashOne(n)
	}
}

func (f *injector) crashOne(n *node) {
	n.crash()
	f.until(f.w.uniform(time.Millisecond, f.w.taste.downtime), n.start)
}

// isCutOff reports whether the monitor has reason to think the OSD dead.
func (n *node) isCutOff() bool { return n.cutOff > 0 }

// partition cuts an OSD off from some of the others, in one direction or both. If
// that lasts, the monitor thinks it dead.
func (f *injector) partition() {
	w, n := f.w, f.anyNode()
	if n == nil {
		return
	}
	var others []int
	for i := range w.nodes {
		if int32(i) != n.id && !w.oneIn(4) {
			others = append(others, i)
		}
	}
	switch w.rng.IntN(4) {
	case 0: // from peers alone
	case 1: // from the monitor alone
		others = []int{w.monEnd()}
	case 2: // from all servers
		others = append(others, w.monEnd())
	case 3: // from clients too
		others = append(others, w.monEnd(), w.clientEnd(w.rng.IntN(len(w.clients))))
	}
	out, in := true, true
	switch w.rng.IntN(4) {
	case 0:
		out = false
	case 1:
		in = false
	}
	w.trace("osd.%d is cut off from %v, out %v in %v", n.id, others, out, in)
	each := func(do func(from, to int)) {
		for _, o := range others {
			if out {
				do(int(n.id), o)
			}
			if in {
				do(o, int(n.id))
			}
		}
	}
	each(w.cut)
	n.cutOff++
	w.mon.suspect(n, n.incarnation)
	f.until(w.uniform(2*time.Millisecond, 5*w.taste.grace), func() {
		w.trace("osd.%d is reached again", n.id)
		n.cutOff--
		each(w.heal)
	})
}

func (f *injector) markDown() {
	if n := f.anyNode(); n != nil {
		f.w.mon.markDown(n.id, n.incarnation)
	}
}

// pgTemp puts a PG on OSDs that did not ask for it.
func (f *injector) pgTemp() {
	w := f.w
	id := object.PGID{Pool: poolID, Seed: uint32(w.rng.IntN(w.opts.PGs))}
	var osds []int32
	for _, i := range w.rng.Perm(len(w.nodes)) {
		if w.mon.newest().IsUp(int32(i)) && len(osds) < w.opts.Size {
			osds = append(osds, int32(i))
		}
	}
	if len(osds) == 0 {
		return
	}
	osds = osds[:1+w.rng.IntN(len(osds))]
	w.trace("%v is put on %v", id, osds)
	w.mon.setTemp(id, osds)
}

func (f *injector) out() {
	w := f.w
	osd := int32(w.rng.IntN(len(w.nodes)))
	w.mon.change(func(cur *osdmap.Map, inc *osdmap.Incremental) {
		_, _, in := cur.Counts()
		switch {
		case cur.IsOut(osd):
			inc.NewWeight[osd] = osdmap.WeightIn
		case in > w.opts.Size || w.oneIn(4):
			inc.NewWeight[osd] = osdmap.WeightOut
		}
		w.trace("osd.%d weight %v", osd, inc.NewWeight)
	})
}

func (f *injector) reweight() {
	w := f.w
	osd := int32(w.rng.IntN(len(w.nodes)))
	share := osdmap.WeightIn / 4 * uint32(1+w.rng.IntN(4))
	w.mon.change(func(cur *osdmap.Map, inc *osdmap.Incremental) {
		if w.oneIn(2) {
			inc.NewPrimaryAffinity[osd] = share
		} else if cur.IsIn(osd) {
			inc.NewWeight[osd] = share
		}
		w.trace("osd.%d weight %v affinity %v", osd, inc.NewWeight, inc.NewPrimaryAffinity)
	})
}

func (f *injector) minSize() {
	w := f.w
	// One copy alone may take writes that no other has, but it comes back.
	n := uint8(1 + w.rng.IntN(w.opts.Size))
	w.trace("min_size %d", n)
	w.mon.change(func(cur *osdmap.Map, inc *osdmap.Incremental) { inc.Pool(cur, poolID).MinSize = n })
}

func (f *injector) flags() {
	w := f.w
	list := []uint32{osdmap.FlagNoRecover, osdmap.FlagNoBackfill, osdmap.FlagNoRebalance, osdmap.FlagNoOut,
		osdmap.FlagNoUp, osdmap.FlagNoDown, osdmap.FlagPauseRd, osdmap.FlagPauseWr, osdmap.FlagPauseRd | osdmap.FlagPauseWr}
	flag := list[w.rng.IntN(len(list))]
	w.trace("flags %#x are set", flag)
	w.mon.setFlags(flag, 0)
	f.until(w.uniform(2*time.Millisecond, 50*time.Millisecond), func() {
		w.trace("flags %#x are cleared", flag)
		w.mon.setFlags(0, flag)
	})
}

// breakSessions makes clients lose sessions with OSDs that live.
func (f *injector) breakSessions() {
	w := f.w
	c := w.clients[w.rng.IntN(len(w.clients))]
	if osds := c.osds(); len(osds) > 0 {
		s := c.sessions[osds[w.rng.IntN(len(osds))]]
		w.trace("client.%d loses its session with osd.%d", c.index, s.n.id)
		c.breakSession(s)
	}
}

func (f *injector) slow() {
	w, n := f.w, f.anyNode()
	if n == nil {
		return
	}
	n.disk.slow = 10 + w.rng.IntN(100)
	w.trace("the disk of osd.%d is %d times slower", n.id, n.disk.slow)
	f.until(w.uniform(2*time.Millisecond, 50*time.Millisecond), func() { n.disk.slow = 1 })
}

// eio makes an object of one copy unreadable, until the disk is seen to and the OSD
// starts again: a PG does not look a second time for what it was told is not there.
func (f *injector) eio() {
	w, n := f.w, f.anyNode()
	if n == nil || len(n.pgs) == 0 {
		return
	}
	slots := n.slots()
	coll := objectstore.PGColl(slots[w.rng.IntN(len(slots))].pg.ID())
	list, _, err := n.disk.List(coll, object.GMin, object.GMax, 1000)
	list = slices.DeleteFunc(list, func(g object.GID) bool { return g.IsPGMeta() || g.Pool < 0 })
	if err != nil || len(list) == 0 {
		return
	}
	p := place{coll, list[w.rng.IntN(len(list))]}
	w.trace("osd.%d cannot read %v", n.id, p.id)
	n.disk.bad[p] = true
	life := n.life
	f.until(w.uniform(5*time.Millisecond, 60*time.Millisecond), func() {
		delete(n.disk.bad, p)
		if n.alive && n.life == life {
			f.crashOne(n)
		}
	})
}

// full fills a disk up. What its OSD drops is sent again when the pool is not full
// any more; so there is no room again before the OSD has seen that the pool was
// full.
func (f *injector) full() {
	w, n := f.w, f.anyNode()
	if n == nil || w.mon.newest().Pools[poolID].HasFlag(osdmap.PoolFlagFull) || w.filling {
		return
	}
	w.trace("the disk of osd.%d is full", n.id)
	n.disk.full, w.filling = true, true
	seen := func() bool { return n.alive && n.current().Pools[poolID].HasFlag(osdmap.PoolFlagFull) }
	w.after(w.uniform(0, 10*time.Millisecond), func() { w.mon.setFull(true) })
	w.after(w.uniform(10*time.Millisecond, 50*time.Millisecond), func() {
		w.whenever(seen, func() {
			n.disk.full, w.filling = false, false
			w.mon.setFull(false)
		})
	})
}

func (m *monitor) setFull(full bool) {
	m.w.trace("the pool is full: %v", full)
	m.change(func(cur *osdmap.Map, inc *osdmap.Incremental) {
		p := inc.Pool(cur, poolID)
		p.Flags &^= osdmap.PoolFlagFull
		if full {
			p.Flags |= osdmap.PoolFlagFull
		}
	})
}

// split multiplies the PGs, or lets the children go where they belong. As in a real
// cluster none is split while others are still to be made.
func (f *injector) split() {
	w := f.w
	if len(w.mon.creating) > 0 {
		return
	}
	w.mon.change(func(cur *osdmap.Map, inc *osdmap.Incremental) {
		p := inc.Pool(cur, poolID)
		switch most := uint32(4 * w.opts.PGs); {
		case p.PGPNum < p.PGNum && w.oneIn(2):
			p.PGPNum = p.PGNum
		case p.PGNum < most:
			p.SetPGNum(min(p.PGNum+1+w.rng.Uint32N(uint32(w.opts.PGs)+1), most))
		}
		w.trace("%d PGs, placed as %d", p.PGNum, p.PGPNum)
	})
}
