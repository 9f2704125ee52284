package pg_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/osdmap"
	"sepiola/pg"
)

// TestClusterUnderFaults protects what matters most: whatever crashes when, no
// acknowledged write is lost, none is applied twice or out of order, no read
// shows what is taken back later, and in the end every PG is clean with equal
// copies.
func TestClusterUnderFaults(t *testing.T) {
	seeds := seedCount
	if testing.Short() {
		seeds = 20
	}
	backoffs := 0
	for seed := range seeds {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { backoffs += simulate(t, uint64(seed), 4, 3000) })
	}
	if backoffs == 0 {
		t.Error("no client was ever told to hold back")
	}
}

func simulate(t *testing.T, seed uint64, osds, steps int) (backoffs int) {
	w := newWorld(t, seed, osds, 2, 3, 2)
	if seed%3 == 1 {
		// Logs so short that copies fall out of their reach.
		w.conf.MinPGLogEntries, w.conf.MaxPGLogEntries, w.conf.PGLogTrimMin = 8, 12, 2
		w.conf.BackfillScanMin, w.conf.BackfillScanMax = 3, 5
	}
	if seed%5 == 2 {
		w.conf.RecoveryMaxChunk, w.conf.RecoveryMaxOmap = 16, 2
	}
	for id := range int64(3) {
		newClient(w, id+1)
	}
	for _, o := range w.osds {
		o.createOwn()
	}
	for range steps {
		w.step()
	}
	w.settle()
	w.check()
	return w.backoffs
}

// names are few, so that operations meet.
var names = []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"}

// step does one thing that may happen next.
func (w *world) step() {
	w.steps++
	w.now = w.now.Add(1e6)
	switch n := w.rng.IntN(1000); {
	case n < 450:
		w.deliverOne()
	case n < 620:
		w.commitOne()
	case n < 700:
		w.advanceOne()
	case n < 738:
		w.monitor()
	case n < 740:
		w.changeSlots()
	case n < 990:
		w.clientOne()
	case n < 995 && !w.quiet:
		w.crashOne()
	case n < 996 && !w.quiet:
		w.toggleIn()
	case n < 997 && !w.quiet:
		w.grow()
	default:
		w.restartOne()
	}
}

func (w *world) deliverOne() {
	keys := slices.SortedFunc(maps.Keys(w.wires), func(a, b [2]int32) int { return slices.Compare(a[:], b[:]) })
	if len(keys) == 0 {
		return
	}
	k := keys[w.rng.IntN(len(keys))]
	e := w.wires[k][0]
	if w.wires[k] = w.wires[k][1:]; len(w.wires[k]) == 0 {
		delete(w.wires, k)
	}
	w.osds[k[1]].receive(k[0], e.msg)
}

func (w *world) commitOne() {
	o := w.osds[w.rng.IntN(len(w.osds))]
	if !o.alive {
		return
	}
	if n := o.store.Pending(); n > 0 && w.rng.IntN(2) == 0 {
		o.store.Commit(1 + w.rng.IntN(n))
	}
	o.fireTimer()
	if len(o.events) > 0 {
		ev := o.events[0]
		o.events = o.events[1:]
		ev()
	}
}

func (w *world) advanceOne() {
	i := w.rng.IntN(len(w.osds) + len(w.cls))
	if i < len(w.osds) {
		if o := w.osds[i]; o.alive && !o.cut && int(o.epoch) < len(w.maps)-1 {
			o.nextMap()
		}
		return
	}
	if c := w.cls[i-len(w.osds)]; int(c.epoch) < len(w.maps)-1 {
		c.nextMap()
	}
}

func (w *world) clientOne() {
	c := w.cls[w.rng.IntN(len(w.cls))]
	switch w.rng.IntN(3) {
	case 0:
		if len(c.pending) >= 4 || w.quiet {
			return
		}
		if w.rng.IntN(3) == 0 {
			c.startMixed()
		} else {
			c.start(names[w.rng.IntN(len(names))], w.rng.IntN(3) == 0)
		}
	default:
		osd := int32(w.rng.IntN(len(w.osds)))
		s := c.sessions[osd]
		if s == nil {
			return
		}
		if len(s.queue) > 0 {
			s.deliver()
		}
		if len(s.replies) > 0 {
			s.take()
		}
	}
}

func (w *world) crashOne() {
	o := w.osds[w.rng.IntN(len(w.osds))]
	if o.alive {
		o.crash()
	}
	if w.rng.IntN(6) == 0 { // all at once
		for _, o := range w.osds {
			if o.alive {
				o.crash()
			}
		}
	}
}

func (w *world) restartOne() {
	o := w.osds[w.rng.IntN(len(w.osds))]
	if !o.alive {
		w.restart(o)
	}
}

// changeSlots takes slots away in mid-work, or gives more.
func (w *world) changeSlots() {
	o := w.osds[w.rng.IntN(len(w.osds))]
	slots := w.rng.IntN(3)
	if w.quiet {
		slots = 1
	}
	for i := range o.reserve {
		o.decide(pg.Scope(i), o.reserve[i].SetMax(slots))
	}
}

// grow multiplies the PGs, or lets their children go where they belong.
func (w *world) grow() {
	if len(w.mon.creating) > 0 {
		return // the monitor waits for those first
	}
	w.change(func(m *osdmap.Map) {
		p := m.Pools[poolID].Clone()
		m.Pools[poolID] = p
		switch {
		case p.PGPNum < p.PGNum && w.rng.IntN(2) == 0:
			p.PGPNum = p.PGNum
		case p.PGNum < 7:
			p.SetPGNum(p.PGNum + 1 + w.rng.Uint32N(2))
		}
	})
	w.logf("%d PGs at %d", w.current().Pools[poolID].PGNum, w.current().Epoch)
}

// toggleIn takes an OSD out, or in again.
func (w *world) toggleIn() {
	id := w.rng.IntN(len(w.osds))
	w.change(func(m *osdmap.Map) {
		if m.OSDWeight[id] == 0 {
			m.OSDWeight[id] = osdmap.WeightIn
		} else if w.countIn(m) > 3 {
			m.OSDWeight[id] = 0
		}
	})
	w.logf("osd.%d in=%v at %d", id, w.current().OSDWeight[id] != 0, w.current().Epoch)
}

func (w *world) countIn(m *osdmap.Map) int {
	_, _, in := m.Counts()
	return in
}

// settle ends the faults and goes on until all is clean and answered.
func (w *world) settle() {
	w.quiet = true
	for _, o := range w.osds {
		if !o.alive {
			w.restart(o)
		}
	}
	for range 200000 {
		w.step()
		if w.steps%1000 == 0 {
			for _, o := range w.osds {
				o.createOwn()
			}
		}
		if w.steps%64 == 0 && w.isSettled() {
			return
		}
	}
	w.fail("not clean in the end: %s", w.describe())
}

func (w *world) isSettled() bool {
	for _, o := range w.osds {
		if !o.alive || int(o.epoch) < len(w.maps)-1 || o.store.Pending() > 0 || len(o.events) > 0 {
			return false
		}
		for _, p := range o.pgs {
			if p.IsPrimary() && p.State().String() != "active+clean" {
				return false
			}
		}
	}
	for _, o := range w.osds {
		for i := range o.reserve {
			if len(o.reserve[i].Held())+len(o.reserve[i].Waiting()) > 0 {
				return false // in the end nobody holds a slot
			}
		}
	}
	for _, c := range w.cls {
		if len(c.pending) > 0 {
			return false
		}
	}
	return len(w.wires) == 0 && len(w.mon.creating) == 0
}

func (w *world) describe() string {
	var b strings.Builder
	for _, o := range w.osds {
		fmt.Fprintf(&b, "\nosd.%d alive=%v e%d/%d pending %d events %d", o.id, o.alive, o.epoch, len(w.maps)-1, o.store.Pending(), len(o.events))
		for _, p := range o.sortedPGs() {
			i := p.Info()
			fmt.Fprintf(&b, "\n  %v %v %v %v %v", p.ID(), p.Mapping(), p.State(), p.Describe(), i.String())
		}
	}
	for _, c := range w.cls {
		for _, op := range c.pending {
			fmt.Fprintf(&b, "\nclient.%d waits for %d on %s", c.id, op.msg.TID, op.name)
		}
	}
	fmt.Fprintf(&b, "\nwires %v", len(w.wires))
	return b.String()
}

// check compares the copies with each other and with what clients were told.
func (w *world) check() {
	m := w.current()
	for seed := range m.Pools[poolID].PGNum {
		id := object.PGID{Pool: poolID, Seed: seed}
		_, _, acting, primary := m.PGToUpActing(id)
		want := w.dump(primary, id)
		for _, osd := range acting {
			if got := w.dump(osd, id); got != want {
				w.fail("copies of %v differ:\nosd.%d\n%s\nosd.%d\n%s", id, primary, want, osd, got)
			}
		}
		for _, o := range w.osds {
			if !slices.Contains(acting, o.id) && o.pgs[id] != nil {
				w.fail("osd.%d still has %v", o.id, id)
			}
		}
	}
	for _, name := range names {
		w.checkObject(name)
	}
}

func (w *world) checkObject(name string) {
	content := w.content(name)
	for _, c := range w.cls {
		last := -1
		for _, word := range c.sent[name] {
			if n := strings.Count(content, word); n > 1 {
				w.fail("%s: %s was applied %d times: %q", name, word, n, content)
			}
			at := strings.Index(content, word)
			if at < 0 {
				if slices.Contains(c.acked[name], word) {
					w.fail("%s: acknowledged %s is lost: %q", name, word, content)
				}
				continue
			}
			if at < last {
				w.fail("%s: %s was applied before an earlier write: %q", name, word, content)
			}
			last = at
		}
		for _, r := range c.reads {
			if r.object == name && !strings.HasPrefix(content, r.content) {
				w.fail("%s: a read saw %q, which %q does not begin with", name, r.content, content)
			}
		}
	}
}

func (w *world) content(name string) string {
	m := w.current()
	o := w.cls[0].objectID(name)
	id := m.RawPGToPG(object.PGID{Pool: poolID, Seed: o.Hash})
	osd := w.osds[m.PGToActingPrimary(id)]
	data, err := osd.store.Read(objectstore.PGColl(id.Whole()), object.G(o), 0, 0)
	if err != nil {
		return ""
	}
	return string(data.Flat())
}

// dump writes out a whole copy, log included.
func (w *world) dump(osd int32, id object.PGID) string {
	var b bytes.Buffer
	o := w.osds[osd]
	c := objectstore.PGColl(id.Whole())
	list, _, err := o.store.List(c, object.GMin, object.GMax, 1<<20)
	if err != nil {
		return err.Error()
	}
	for _, g := range list {
		if g.IsPGMeta() {
			continue
		}
		data, err := o.store.Read(c, g, 0, 0)
		must(w.t, err)
		attrs, err := o.store.Attrs(c, g)
		must(w.t, err)
		fmt.Fprintf(&b, "%v %q\n", g, data.Flat())
		for _, name := range slices.Sorted(maps.Keys(attrs)) {
			fmt.Fprintf(&b, "  %s %x\n", name, attrs[name])
		}
		it, err := o.store.OmapIter(c, g, "")
		must(w.t, err)
		for it.Next() {
			fmt.Fprintf(&b, "  omap %s %s\n", it.Key(), it.Value())
		}
	}
	p := o.pgs[id]
	if p == nil {
		return b.String() + "no PG"
	}
	i := p.Info()
	fmt.Fprintf(&b, "%v lc %v", i.LastUpdate, i.LastComplete)
	return b.String()
}

var seedCount = 150
