package sim

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"sepiola/object"
	"sepiola/osdmap"
)

// monitor makes maps from what OSDs ask for and what operators do, some changes at
// a time. Its rules are those of package mon/state.
type monitor struct {
	w *world
	// pending is the increment to come; nil while nothing changed.
	pending  *osdmap.Incremental
	queue    []func() // to be done after the next map
	creating map[object.PGID]bool
	asked    map[object.PGID]time.Duration // when an OSD was last told to make it
	// boots says which incarnation of an OSD came up in an epoch.
	boots   map[upAt]int
	downAt  map[int32]time.Duration // of those that are down
	planned bool
}

type upAt struct {
	osd   int32
	epoch uint32
}

func newMonitor(w *world) monitor {
	return monitor{w: w, creating: map[object.PGID]bool{}, asked: map[object.PGID]time.Duration{},
		boots: map[upAt]int{}, downAt: map[int32]time.Duration{}}
}

func (m *monitor) newest() *osdmap.Map { return m.w.maps[len(m.w.maps)-1] }

func (m *monitor) incarnationOf(osd int32, upFrom uint32) int { return m.boots[upAt{osd, upFrom}] }

// change adds to the next map.
func (m *monitor) change(f func(cur *osdmap.Map, inc *osdmap.Incremental)) {
	if m.pending == nil {
		cur := m.newest()
		m.pending = osdmap.NewIncremental(cur.FSID, cur.Epoch+1)
	}
	f(m.newest(), m.pending)
	m.plan()
}

func (m *monitor) plan() {
	if m.planned {
		return
	}
	m.planned = true
	m.w.after(m.w.uniform(500*time.Microsecond, 4*time.Millisecond), m.publish)
}

// publish makes the next map and sends it to all.
func (m *monitor) publish() {
	w := m.w
	m.planned = false
	if inc := m.pending; inc != nil {
		m.pending = nil
		inc.Modified = w.wallTime()
		m.dropStaleTemps(inc)
		next := m.apply(inc)
		w.maps = append(w.maps, next)
		w.trace("map %d: %s", next.Epoch, w.describeMap(next))
		for _, n := range w.nodes {
			m.sendMaps(n)
		}
		for _, c := range w.clients {
			w.post(w.monEnd(), w.clientEnd(c.index), false, func() { c.takeMaps(next.Epoch) })
		}
		m.askToCreate()
	}
	queue := m.queue
	m.queue = nil
	for _, do := range queue {
		do()
	}
}

// apply takes the increment through its encoding, as everybody gets it.
func (m *monitor) apply(inc *osdmap.Incremental) *osdmap.Map {
	got, err := osdmap.DecodeIncremental(inc.Encode(osdmap.SignificantFeatures))
	m.w.must(err)
	next := m.newest().Clone()
	m.w.must(next.Apply(got))
	return next
}

// sendMaps sends an OSD all maps it may lack.
func (m *monitor) sendMaps(n *node) {
	epoch, life := m.newest().Epoch, n.life
	m.w.post(m.w.monEnd(), int(n.id), false, func() {
		if n.alive && n.life == life {
			n.takeMaps(epoch)
			n.boot()
		}
	})
}

// askToCreate tells the primaries of PGs that nobody has made to do so.
func (m *monitor) askToCreate() {
	cur := m.newest()
	for _, id := range sortedPGIDs(m.creating) {
		osd := m.w.mapping(cur.Epoch, id).ActingPrimary
		if osd < 0 {
			continue
		}
		n, life := m.w.nodes[osd], m.w.nodes[osd].life
		m.w.post(m.w.monEnd(), int(osd), false, func() {
			if n.alive && n.life == life {
				n.createFor(id)
			}
		})
	}
}

// tick reminds of PGs to be created.
func (m *monitor) tick() {
	m.askToCreate()
	m.w.after(20*time.Millisecond, m.tick)
}

// boot marks an OSD up; one that is up with another address goes down first, in a
// map of its own.
func (m *monitor) boot(n *node, inc int) {
	cur := m.newest()
	known := m.incarnationOf(n.id, cur.Info(n.id).UpFrom)
	switch {
	case cur.TestFlag(osdmap.FlagNoUp), known >= inc: // or from before it came up last
		return
	case cur.IsUp(n.id):
		m.markDown(n.id, known)
		return // it asks again
	case m.pending != nil && m.pending.HasState(n.id, osdmap.OSDUp):
		return
	}
	if m.pendingBoot(n.id) {
		return
	}
	m.change(func(cur *osdmap.Map, p *osdmap.Incremental) {
		addrs := n.addrs(inc)
		p.NewUpClient[n.id], p.NewUpCluster[n.id] = addrs, addrs
		p.NewHBBackUp[n.id], p.NewHBFrontUp[n.id] = addrs, addrs
		if cur.OSDState[n.id]&osdmap.OSDAutoOut != 0 && cur.IsOut(n.id) {
			p.NewWeight[n.id] = osdmap.WeightIn
		}
		m.boots[upAt{n.id, p.Epoch}] = inc
	})
	delete(m.downAt, n.id)
	if !n.alive || n.incarnation != inc {
		m.suspect(n, inc) // it had sent this before it died
	}
}

func (m *monitor) pendingBoot(osd int32) bool {
	if m.pending == nil {
		return false
	}
	_, ok := m.pending.NewUpCluster[osd]
	return ok
}

// markDown marks an incarnation of an OSD down.
func (m *monitor) markDown(osd int32, inc int) {
	cur := m.newest()
	if cur.IsDown(osd) || m.incarnationOf(osd, cur.Info(osd).UpFrom) != inc ||
		m.pending != nil && m.pending.HasState(osd, osdmap.OSDUp) {
		return
	}
	m.w.trace("monitor marks osd.%d down", osd)
	// Where nobody listens any more, the OSD is known to be dead.
	dead := !m.w.nodes[osd].alive && m.w.oneIn(2)
	m.change(func(cur *osdmap.Map, p *osdmap.Incremental) {
		p.NewState[osd] ^= osdmap.OSDUp
		if dead {
			x := cur.OSDXInfo[osd]
			x.DeadEpoch = p.Epoch
			p.NewXInfo[osd] = x
		}
	})
	m.downAt[osd] = m.w.now
	if m.w.has(FaultOut) && !m.w.quiet {
		m.planOut(osd, m.w.now)
	}
}

// planOut marks an OSD out that stays down (mon osd down out interval).
func (m *monitor) planOut(osd int32, since time.Duration) {
	m.w.after(m.w.uniform(20*time.Millisecond, 80*time.Millisecond), func() {
		cur := m.newest()
		if at, down := m.downAt[osd]; !down || at != since || m.w.quiet || cur.IsOut(osd) || cur.TestFlag(osdmap.FlagNoOut) {
			return
		}
		m.w.trace("monitor marks osd.%d out", osd)
		m.change(func(cur *osdmap.Map, p *osdmap.Incremental) {
			p.NewWeight[osd] = osdmap.WeightOut
			if cur.OSDState[osd]&osdmap.OSDAutoOut == 0 {
				p.NewState[osd] |= osdmap.OSDAutoOut
			}
		})
	})
}

// suspect has an OSD marked down after a while, if it is still dead or cut off.
func (m *monitor) suspect(n *node, inc int) {
	m.w.after(m.w.uniform(m.w.taste.grace, 3*m.w.taste.grace), func() {
		unheard := !n.alive || n.incarnation != inc || n.isCutOff()
		switch {
		case !unheard:
		case m.newest().TestFlag(osdmap.FlagNoDown):
			m.suspect(n, inc)
		default:
			m.markDown(n.id, inc)
		}
	})
}

// alive raises an OSD's up_thru.
func (m *monitor) alive(osd int32, inc int, want uint32) {
	if m.speaksFor(osd, inc) && m.newest().Info(osd).UpThru < want {
		m.change(func(cur *osdmap.Map, p *osdmap.Incremental) {
			p.NewUpThru[osd] = max(p.NewUpThru[osd], min(want, cur.Epoch))
		})
	}
}

func (m *monitor) speaksFor(osd int32, inc int) bool {
	cur := m.newest()
	return cur.IsUp(osd) && m.incarnationOf(osd, cur.Info(osd).UpFrom) == inc
}

// wantTemp takes over the acting set that a primary wants.
func (m *monitor) wantTemp(osd int32, inc int, id object.PGID, want []int32) {
	cur := m.newest()
	if !m.speaksFor(osd, inc) || m.w.mapping(cur.Epoch, id).ActingPrimary != osd || slices.Equal(cur.PGTemp[id], want) {
		return
	}
	m.setTemp(id, want)
}

func (m *monitor) setTemp(id object.PGID, want []int32) {
	m.change(func(_ *osdmap.Map, p *osdmap.Incremental) { p.NewPGTemp[id] = want })
}

// dropStaleTemps removes temporary mappings that do nothing any more
// (OSDMap::clean_temps).
func (m *monitor) dropStaleTemps(inc *osdmap.Incremental) {
	if len(m.newest().PGTemp)+len(inc.NewPGTemp) == 0 {
		return
	}
	next := m.apply(inc)
	for _, id := range sortedPGIDs(next.PGTemp) {
		up, _, _, _ := next.PGToUpActing(id)
		if !slices.ContainsFunc(next.PGTemp[id], next.IsUp) || slices.Equal(up, next.PGTemp[id]) {
			inc.NewPGTemp[id] = nil
		}
	}
}

// setFlags sets and clears flags of the map.
func (m *monitor) setFlags(set, clear uint32) {
	m.change(func(cur *osdmap.Map, p *osdmap.Incremental) {
		flags := cur.Flags
		if p.NewFlags >= 0 {
			flags = uint32(p.NewFlags)
		}
		p.NewFlags = int32(flags&^clear | set)
	})
}

func sortedPGIDs[V any](m map[object.PGID]V) []object.PGID {
	return slices.SortedFunc(maps.Keys(m), object.PGID.Compare)
}

func addrOf(host byte, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, host}), port)
}
