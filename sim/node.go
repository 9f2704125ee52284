package sim

import (
	"fmt"
	"slices"
	"time"

	"sepiola/backfill"
	"sepiola/entity"
	"sepiola/message"
	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/osdmap"
	"sepiola/pg"
)

// node is an OSD: it does for its PGs what package osd does, on virtual time.
type node struct {
	w     *world
	id    int32
	disk  *disk
	alive bool
	// life counts starts; what was planned in an earlier one does not happen.
	life int
	// incarnation counts addresses: a new one with each start, and each time the map
	// said wrongly that the OSD was down.
	incarnation int
	booting     bool   // asks to be marked up
	epoch       uint32 // of the newest map here; durable
	pgs         map[object.PGID]*slot
	fx          pg.Effects
	commits     []func()      // to be told to PGs, in order
	cutOff      int           // by how many partitions
	early       []early       // of epochs to come
	waiting     []*clientCall // for PGs that are not made yet, in order
	peerEpoch   map[int32]uint32
	asks        asks
	spawned     []*pg.PG             // by the event under way
	reserve     [2]backfill.Reserver // by pg.Scope
}

// slot is a PG with what is planned for it.
type slot struct {
	pg     *pg.PG
	timers map[pg.TimerKind]uint64 // which setting counts
	set    uint64
	gone   bool
}

// early is a message of an epoch that has not come.
type early struct {
	from  int32
	epoch uint32
	msg   message.Body
}

// asks are what the monitor was asked for and has not granted.
type asks struct {
	upThru uint32
	pgTemp map[object.PGID][]int32
}

func newNode(w *world, id int32) *node {
	return &node{w: w, id: id, disk: newDisk(w, id), epoch: 1}
}

// after plans something that happens if the OSD lives on.
func (n *node) after(d time.Duration, do func()) {
	life := n.life
	n.w.after(d, func() {
		if n.alive && n.life == life {
			do()
		}
	})
}

func (n *node) current() *osdmap.Map { return n.w.maps[n.epoch] }

func (n *node) env() pg.Env {
	return pg.Env{WhoAmI: n.id, Started: n.clockStart(), Reader: n.disk, Config: n.w.conf, Failsafe: func() bool { return n.disk.full }}
}

// start boots the OSD from its store.
func (n *node) start() {
	w := n.w
	w.trace("osd.%d starts at e%d", n.id, n.epoch)
	w.must(n.disk.Mount())
	n.alive = true
	n.life++
	n.incarnation++
	n.booting = true
	n.disk.committing = false
	n.pgs, n.peerEpoch = map[object.PGID]*slot{}, map[int32]uint32{}
	n.commits, n.early, n.waiting = nil, nil, nil
	n.spawned = nil
	n.asks = asks{pgTemp: map[object.PGID][]int32{}}
	n.reserve = [2]backfill.Reserver{}
	for i := range n.reserve {
		n.reserve[i].SetMax(1)
	}
	colls, err := n.disk.Collections()
	w.must(err)
	slices.SortFunc(colls, objectstore.Coll.Compare)
	for _, c := range colls {
		if c.Kind != objectstore.CollPG {
			continue
		}
		var fx pg.Effects
		p, err := pg.Load(n.env(), c.PG, func(e uint32) *osdmap.Map { return w.maps[e] }, &fx)
		w.must(err)
		n.adopt(p, &fx)
	}
	n.subscribe()
	n.tick()
}

// adopt takes a PG into the table and brings it up to the current map.
func (n *node) adopt(p *pg.PG, fx *pg.Effects) *slot {
	s := &slot{pg: p, timers: map[pg.TimerKind]uint64{}}
	n.pgs[p.ID().PGID] = s
	for _, e := range fx.List() {
		n.effect(s, e)
	}
	for e := p.Epoch(); e <= n.epoch && !s.gone; e++ {
		n.drive(s, pg.NewMap{Map: n.w.maps[e], More: e < n.epoch})
	}
	return s
}

// subscribe asks the monitor for maps; the answer comes in order before all that it
// sends later.
func (n *node) subscribe() { n.toMonitor(func(m *monitor) { m.sendMaps(n) }) }

// toMonitor sends the monitor something, in the name of this incarnation.
func (n *node) toMonitor(tell func(*monitor)) {
	n.w.post(int(n.id), n.w.monEnd(), false, func() { tell(&n.w.mon) })
}

// tick repeats what the monitor has not granted.
func (n *node) tick() {
	n.remind()
	n.after(n.w.uniform(8*time.Millisecond, 12*time.Millisecond), n.tick)
}

func (n *node) remind() {
	if n.booting {
		n.boot()
		return
	}
	n.sendAlive()
	n.sendTemps()
}

func (n *node) boot() {
	if n.booting {
		inc := n.incarnation
		n.toMonitor(func(m *monitor) { m.boot(n, inc) })
	}
}

func (n *node) sendAlive() {
	if want, inc := n.asks.upThru, n.incarnation; want != 0 && !n.booting {
		n.toMonitor(func(m *monitor) { m.alive(n.id, inc, want) })
	}
}

func (n *node) sendTemps() {
	if n.booting || len(n.asks.pgTemp) == 0 {
		return
	}
	inc := n.incarnation
	for _, id := range sortedPGIDs(n.asks.pgTemp) {
		want := n.asks.pgTemp[id]
		n.toMonitor(func(m *monitor) { m.wantTemp(n.id, inc, id, want) })
	}
}

// reviewAsks drops what a map grants or makes moot.
func (n *node) reviewAsks() {
	m := n.current()
	if m.Info(n.id).UpThru >= n.asks.upThru {
		n.asks.upThru = 0
	}
	for _, id := range sortedPGIDs(n.asks.pgTemp) {
		want := n.asks.pgTemp[id]
		at := n.w.mapping(n.epoch, id)
		if slices.Equal(m.PGTemp[id], want) || at.ActingPrimary != n.id || slices.Equal(at.Acting, want) {
			delete(n.asks.pgTemp, id)
		}
	}
}

// takeMaps goes on to the given epoch.
func (n *node) takeMaps(last uint32) {
	if last > n.epoch {
		n.w.trace("osd.%d takes maps %d to %d", n.id, n.epoch+1, last)
	}
	for n.epoch < last {
		n.epoch++
		m := n.current()
		for _, s := range n.slots() {
			n.drive(s, pg.NewMap{Map: m, More: n.epoch < last})
		}
		list := n.early
		n.early = nil
		for _, e := range list {
			n.receive(e.from, e.epoch, e.msg)
		}
		calls := n.waiting
		n.waiting = nil
		for _, c := range calls {
			n.take(c)
		}
	}
	n.lookForSelf()
}

// lookForSelf compares what the map says of this OSD with what it is.
func (n *node) lookForSelf() {
	m := n.current()
	known := n.w.mon.incarnationOf(n.id, m.Info(n.id).UpFrom)
	switch {
	case m.IsUp(n.id) && known == n.incarnation:
		n.booting = false
		n.reviewAsks()
	case known == n.incarnation: // it was up, perhaps without having heard of it
		n.w.trace("osd.%d is down by the map e%d, and lives", n.id, n.epoch)
		n.incarnation++
		n.booting = true
		n.w.loseAll(int(n.id))
		for _, c := range n.w.clients {
			c.lost(n.id)
		}
		n.subscribe() // the answer to an earlier one may have been lost
	}
}

func (n *node) slots() []*slot {
	var out []*slot
	for _, id := range sortedPGIDs(n.pgs) {
		out = append(out, n.pgs[id])
	}
	return out
}

// create makes a PG that is new here and hands it what has waited for it.
func (n *node) create(id object.SPGID, c pg.CreateInfo) {
	var fx pg.Effects
	p, err := pg.New(n.env(), id, n.w.maps[c.Epoch], c, &fx)
	n.w.must(err)
	n.w.trace("osd.%d makes %v", n.id, id)
	n.adopt(p, &fx)
	n.retry()
}

// retry takes up what waited for PGs.
func (n *node) retry() {
	calls := n.waiting
	n.waiting = nil
	for _, c := range calls {
		n.take(c)
	}
}

// createFor makes a PG at the monitor's word.
func (n *node) createFor(id object.PGID) {
	if n.w.mapping(n.epoch, id).ActingPrimary != n.id {
		return
	}
	if s := n.pgs[id]; s != nil {
		if s.pg.Info().History.LastEpochStarted > 0 {
			n.toMonitor(func(m *monitor) { delete(m.creating, id) })
		}
		return
	}
	n.create(id.Whole(), pg.CreateInfo{Epoch: 1, History: pg.NewHistory(1, n.w.wallTime())})
}

// receive takes a message from a peer for its PGs.
func (n *node) receive(from int32, epoch uint32, b message.Body) {
	if epoch > n.epoch {
		n.early = append(n.early, early{from, epoch, b})
		return
	}
	switch m := b.(type) {
	case message.PGMessage:
		n.deliver(from, m.PG(), b)
	case *message.OSDPGRemove:
		for _, id := range m.PGs {
			n.deliver(from, id, b)
		}
	default:
		panic(fmt.Sprintf("sim: a message %T between OSDs is not wired in node.receive", b))
	}
}

func epochOf(b message.Body) uint32 {
	switch m := b.(type) {
	case message.PGMessage:
		return m.MapEpoch()
	case *message.OSDPGRemove:
		return m.Epoch
	}
	return 0
}

func (n *node) deliver(from int32, id object.SPGID, b message.Body) {
	if s := n.pgs[id.PGID]; s != nil {
		n.drive(s, pg.PeerMessage{From: from, Msg: b})
		return
	}
	reply, create := pg.Unknown(n.id, n.current(), b)
	if reply != nil {
		n.send([]int32{from}, reply)
	}
	if create != nil && !pg.IsOver(id.PGID, func(e uint32) *osdmap.Map { return n.w.maps[e] }, create.Epoch, n.epoch) {
		n.create(id, *create)
		if s := n.pgs[id.PGID]; s != nil {
			n.drive(s, pg.PeerMessage{From: from, Msg: b})
		}
	}
}

// send sends a message to other OSDs, encoded once.
func (n *node) send(to []int32, b message.Body) {
	cur, take, background := n.current(), n.w.copies(b), isBackground(b)
	for _, id := range to {
		if !cur.IsUp(id) {
			continue // the next interval knows
		}
		p := packet{from: n, inc: n.incarnation, to: n.w.nodes[id],
			toInc: n.w.mon.incarnationOf(id, cur.Info(id).UpFrom), take: take}
		if known, ok := n.peerEpoch[id]; ok && known < n.epoch && n.w.taste.shareMaps {
			epoch := n.epoch
			n.w.post(int(n.id), int(id), background, func() { p.arrive(func(int32) { p.to.takeMaps(epoch) }) })
		}
		n.peerEpoch[id] = n.epoch
		n.w.post(int(n.id), int(id), background, p.deliver)
	}
}

// packet is a message from one incarnation of an OSD to one of another.
type packet struct {
	from, to   *node
	inc, toInc int
	take       func() message.Body
}

func (p *packet) deliver() {
	p.arrive(func(from int32) {
		b := p.take()
		n := p.to
		n.w.trace("osd.%d <- osd.%d %s e%d", n.id, from, message.TypeName(b.Type()), epochOf(b))
		n.peerEpoch[from] = max(n.peerEpoch[from], min(epochOf(b), n.epoch))
		n.receive(from, epochOf(b), b)
	})
}

// arrive does something if the receiver is still who was meant, and has not
// forgotten the sender because the map says that it is down.
func (p *packet) arrive(do func(from int32)) {
	n := p.to
	if !n.alive || n.incarnation != p.toInc {
		return
	}
	m := n.current()
	known := n.w.mon.incarnationOf(p.from.id, m.Info(p.from.id).UpFrom)
	if known > p.inc || known == p.inc && m.IsDown(p.from.id) {
		return
	}
	do(p.from.id)
}

// crash loses what is not durable, and the sessions.
func (n *node) crash() {
	w := n.w
	keep := w.rng.IntN(n.disk.Pending() + 1)
	w.trace("osd.%d crashes with %d of %d transactions durable that nobody knew of", n.id, keep, n.disk.Pending())
	n.alive = false
	n.disk.Crash(keep)
	n.pgs, n.commits, n.early, n.waiting = nil, nil, nil, nil
	w.loseAll(int(n.id))
	for _, c := range w.clients {
		c.lost(n.id)
	}
	w.mon.suspect(n, n.incarnation)
}

// addrs is where this incarnation is found.
func (n *node) addrs(inc int) entity.AddrVec {
	return entity.AddrVec{entity.Msgr2(addrOf(byte(n.id), uint16(6800+inc)))}
}
