package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"sepiola/crush"
	"sepiola/entity"
	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pg"
	"sepiola/pglog"
	"sepiola/sim/check"
)

const (
	poolID   = 1
	pgClean  = pglog.StateActive | pglog.StateClean
	clientsN = 3
)

// world is one cluster in the course of a run.
type world struct {
	opts  Options
	rng   *rand.Rand
	taste taste
	conf  *pg.Config
	trc   tracer

	now     time.Duration // since the world began
	steps   int64         // events so far
	nextSeq uint64
	agenda  agenda

	maps    []*osdmap.Map      // by epoch; [0] is nil
	placed  [][]osdmap.Mapping // by epoch and PG, as far as anybody has asked
	nodes   []*node
	mon     monitor
	clients []*client
	wires   []*link
	ends    int
	// traveling counts messages on wires, without those that are there all the time.
	traveling int
	planned   int // operations that will be sent again
	waits     int // of whenever, under way
	filling   bool

	faults  injector
	active  Faults // of this seed: not each has all
	quiet   bool   // the faults are over
	history check.History
	answers int
}

// taste is what differs from seed to seed, so that a fault has a chance to show
// without all the others at once.
type taste struct {
	delayOneIn int           // messages, of which one is late
	faultEvery int           // events between faults
	grace      time.Duration // until the monitor thinks an OSD dead
	downtime   time.Duration // at most
	think      time.Duration // between a client's operations
	depth      int           // operations of a client under way
	shareMaps  bool          // between OSDs
	slots      int           // of an OSD for recovery and backfill
}

func newWorld(o Options) *world {
	w := &world{opts: o, rng: rand.New(rand.NewPCG(o.Seed, 0x5e910a)), trc: newTracer(o.Trace), conf: pg.DefaultConfig()}
	w.faults.w = w
	w.chooseTaste()
	w.mon = newMonitor(w)
	w.maps = []*osdmap.Map{nil, w.firstMap()}
	for seed := range uint32(o.PGs) {
		w.mon.creating[object.PGID{Pool: poolID, Seed: seed}] = true
	}
	for id := range int32(o.OSDs) {
		w.nodes = append(w.nodes, newNode(w, id))
		w.mon.boots[upAt{id, 1}] = 1
	}
	for i := range clientsN {
		w.clients = append(w.clients, newClient(w, i))
	}
	w.connect(clientsN)
	for _, n := range w.nodes {
		n.start()
	}
	w.mon.tick()
	for _, c := range w.clients {
		c.keepBusy()
	}
	return w
}

// chooseTaste draws what is particular to the seed.
func (w *world) chooseTaste() {
	r := w.rng
	for _, c := range faultClasses {
		if w.opts.Faults&c.bit != 0 && (w.opts.Faults.Count() < 3 || r.IntN(3) > 0) {
			w.active |= c.bit
		}
	}
	pick := func(list ...int) int { return list[r.IntN(len(list))] }
	w.taste = taste{
		delayOneIn: pick(3, 10, 30), faultEvery: pick(30, 100, 300),
		grace: time.Duration(pick(2, 5, 15)) * time.Millisecond, downtime: time.Duration(pick(5, 20, 60)) * time.Millisecond,
		think: thinkDefault * time.Duration(pick(1, 2, 5)), depth: pick(1, 4, 8), shareMaps: r.IntN(2) == 0,
		slots: pick(1, 1, 3),
	}
	if r.IntN(3) == 0 {
		// Logs so short that copies fall out of their reach.
		w.conf.MinPGLogEntries, w.conf.MaxPGLogEntries, w.conf.PGLogTrimMin = pick(4, 8, 20), pick(20, 30), 2
		w.conf.BackfillScanMin, w.conf.BackfillScanMax = pick(2, 3), pick(4, 5)
	}
	if r.IntN(3) == 0 {
		w.conf.RecoveryMaxChunk, w.conf.RecoveryMaxOmap = uint64(pick(8, 16)), pick(1, 2)
	}
	w.conf.Ops.MaxWriteOpReply = 1 << 20 // outputs that are too long are replaced, and the history would not show them
	w.conf.RecoveryMaxActive = pick(1, 3, 8)
	w.conf.ReadLeaseInterval = time.Duration(pick(10, 40, 160)) * time.Millisecond
	w.conf.AsyncRecoveryMinCost = uint64(pick(0, 1, 5))
	w.conf.BackfillRetry = 5 * time.Millisecond
	if r.IntN(4) == 0 {
		w.conf.RecoverySleep = time.Duration(pick(100, 1000)) * time.Microsecond
	}
	w.conf.DeleteChunk = pick(1, 30)
}

// has reports whether a class of faults may happen now.
func (w *world) has(f Faults) bool { return w.active&f != 0 }

// firstMap has all OSDs up and in, and one pool.
func (w *world) firstMap() *osdmap.Map {
	o := &w.opts
	cm, err := crush.NewDefaultOver("osd")
	w.must(err)
	for id := range o.OSDs {
		w.must(cm.InsertItem(int32(id), 1, fmt.Sprintf("osd.%d", id), map[string]string{"root": "default"}))
	}
	m := osdmap.New(entity.UUID{1}, 1, w.wallTime(), cm)
	m.SetMaxOSD(int32(o.OSDs))
	for id := range o.OSDs {
		m.OSDState[id] = osdmap.OSDExists | osdmap.OSDUp
		m.OSDWeight[id] = osdmap.WeightIn
		m.OSDInfo[id].UpFrom = 1
	}
	p := osdmap.NewPool()
	p.Type, p.Size, p.MinSize, p.CrushRule = osdmap.PoolReplicated, uint8(o.Size), uint8(o.MinSize), 0
	p.ObjectHash, p.Flags = object.HashRjenkins, osdmap.PoolFlagHashPSPool
	p.SetPGNum(uint32(o.PGs))
	p.PGPNum = uint32(o.PGs)
	m.Pools[poolID], m.PoolNames[poolID] = p, "data"
	return m
}

// wallTime is what a clock would show.
func (w *world) wallTime() time.Time { return time.Unix(1_000_000_000, 0).UTC().Add(w.now) }

func (w *world) trace(format string, args ...any) { w.trc.add(w.steps, w.now, format, args...) }

// violation is thrown where something is found that must not be.
type violation struct{ checker, message string }

// fail ends the run.
func (w *world) fail(checker, format string, args ...any) {
	panic(violation{checker, fmt.Sprintf(format, args...)})
}

func (w *world) must(err error) {
	if err != nil {
		w.fail("world", "%v", err)
	}
}

// mapping returns where a PG is in the map of an epoch.
func (w *world) mapping(epoch uint32, id object.PGID) *osdmap.Mapping {
	m := w.maps[epoch]
	for len(w.placed) <= int(epoch) {
		w.placed = append(w.placed, nil)
	}
	if id.Seed >= m.Pools[poolID].PGNum {
		return &osdmap.Mapping{UpPrimary: -1, ActingPrimary: -1} // it has not split off yet
	}
	if w.placed[epoch] == nil {
		w.placed[epoch] = make([]osdmap.Mapping, m.Pools[poolID].PGNum)
		for seed := range w.placed[epoch] {
			p := &w.placed[epoch][seed]
			*p = m.MappingOf(object.PGID{Pool: poolID, Seed: uint32(seed)})
			if p.ActingPrimary == osdmap.ItemNone {
				p.ActingPrimary = -1
			}
		}
	}
	return &w.placed[epoch][id.Seed]
}

// pgsAreClean reports whether every PG has a primary that says so.
func (w *world) pgsAreClean() bool {
	cur := w.mon.newest()
	for seed := range cur.Pools[poolID].PGNum {
		id := object.PGID{Pool: poolID, Seed: seed}
		at := w.mapping(cur.Epoch, id)
		if at.ActingPrimary < 0 || !slices.Equal(at.Up, at.Acting) {
			return false
		}
		s := w.nodes[at.ActingPrimary].pgs[id]
		if s == nil || s.pg.State()&pgClean != pgClean {
			return false
		}
		if i := s.pg.Info(); i.Stats.StatsInvalid {
			return false // it still counts what a split left it
		}
	}
	return true
}

func (w *world) describeMap(m *osdmap.Map) string {
	var b strings.Builder
	for id := range m.MaxOSD {
		fmt.Fprintf(&b, "osd.%d", id)
		if m.IsDown(id) {
			b.WriteString(" down")
		}
		if wt := m.Weight(id); wt != osdmap.WeightIn {
			fmt.Fprintf(&b, " %.2f", float64(wt)/float64(osdmap.WeightIn))
		}
		b.WriteString(", ")
	}
	p := m.Pools[poolID]
	fmt.Fprintf(&b, "flags %#x, pool flags %#x min_size %d", m.Flags, p.Flags, p.MinSize)
	for _, id := range sortedPGIDs(m.PGTemp) {
		fmt.Fprintf(&b, ", %v temp %v", id, m.PGTemp[id])
	}
	return b.String()
}
