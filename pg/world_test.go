package pg_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"sepiola/backfill"
	"sepiola/crush"
	"sepiola/entity"
	"sepiola/message"
	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/objectstore/memstore"
	"sepiola/osdmap"
	"sepiola/pg"
)

const poolID = 1

// world is a cluster on one seeded scheduler: OSDs with their PGs and stores, a
// monitor that makes maps, clients. Messages travel encoded. Every choice is the
// generator's.
type world struct {
	t     testing.TB
	rng   *rand.Rand
	now   time.Time
	maps  []*osdmap.Map // by epoch; [0] is nil
	osds  []*simOSD
	wires map[[2]int32][]envelope // OSD to OSD, in order
	mon   simMon
	cls   []*simClient
	conf  *pg.Config
	steps int
	trace []string
	quiet bool // no more faults
	// answer is what a PG last answered to a command.
	answer   *pg.CommandDone
	backoffs int // that clients got

	nevents int
}

type envelope struct {
	msg message.Body
}

type simOSD struct {
	w       *world
	id      int32
	store   *memstore.Store
	alive   bool
	full    bool   // its disk, up to the failsafe ratio
	room    uint64 // on its disk in bytes; 0 for any
	epoch   uint32
	pgs     map[object.PGID]*pg.PG
	fx      pg.Effects
	events  []func() // commits to deliver, in order
	timers  []simTimer
	reserve [2]backfill.Reserver
	cut     bool // from the other OSDs and the monitor, not from clients
	waiting []waitingMsg
}

type waitingMsg struct {
	from int32
	msg  message.Body
}

// simTimer is a timer of a PG.
type simTimer struct {
	pg  *pg.PG
	due time.Time
	ev  pg.Timer
}

// fireTimer fires the first of those that are due.
func (o *simOSD) fireTimer() {
	for i, t := range o.timers {
		if !t.due.After(o.w.now) {
			o.timers = slices.Delete(o.timers, i, i+1)
			o.step(t.pg, t.ev)
			return
		}
	}
}

// simMon makes maps.
type simMon struct {
	upThru   map[int32]uint32
	pgTemp   map[object.PGID][]int32
	creating map[object.PGID]bool
}

func newWorld(t testing.TB, seed uint64, osds int, pgNum uint32, size, minSize uint8) *world {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 7)), now: time.Unix(1e9, 0).UTC(),
		wires: map[[2]int32][]envelope{}, conf: pg.DefaultConfig()}
	w.conf.ReadLeaseInterval = 800 * time.Millisecond
	w.mon = simMon{map[int32]uint32{}, map[object.PGID][]int32{}, map[object.PGID]bool{}}
	m := firstMap(t, osds, pgNum, size, minSize, w.now)
	w.maps = []*osdmap.Map{nil, m}
	for seed := range pgNum {
		w.mon.creating[object.PGID{Pool: poolID, Seed: seed}] = true
	}
	for id := range int32(osds) {
		o := &simOSD{w: w, id: id, store: memstore.NewWith(memstore.Options{Manual: true}), pgs: map[object.PGID]*pg.PG{}}
		must(t, o.store.Mkfs(objectstore.Identity{WhoAmI: id}))
		w.osds = append(w.osds, o)
		o.start()
	}
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// firstMap has all OSDs up and in, and one pool.
func firstMap(t testing.TB, osds int, pgNum uint32, size, minSize uint8, now time.Time) *osdmap.Map {
	cm, err := crush.NewDefaultOver("osd")
	must(t, err)
	for id := range osds {
		must(t, cm.InsertItem(int32(id), 1, fmt.Sprintf("osd.%d", id), map[string]string{"root": "default"}))
	}
	m := osdmap.New(entity.UUID{1}, 1, now, cm)
	m.SetMaxOSD(int32(osds))
	for id := range osds {
		m.OSDState[id] = osdmap.OSDExists | osdmap.OSDUp
		m.OSDWeight[id] = osdmap.WeightIn
		m.OSDInfo[id].UpFrom = 1
	}
	p := osdmap.NewPool()
	p.Type, p.Size, p.MinSize, p.CrushRule = osdmap.PoolReplicated, size, minSize, 0
	p.ObjectHash, p.Flags = object.HashRjenkins, osdmap.PoolFlagHashPSPool
	p.SetPGNum(pgNum)
	p.PGPNum = pgNum
	m.Pools[poolID], m.PoolNames[poolID] = p, "data"
	return m
}

func (w *world) current() *osdmap.Map { return w.maps[len(w.maps)-1] }

func (w *world) logf(format string, args ...any) {
	if len(w.trace) > 4000 {
		w.trace = w.trace[2000:]
	}
	w.trace = append(w.trace, fmt.Sprintf("%6d ", w.steps)+fmt.Sprintf(format, args...))
}

func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	for _, l := range w.trace[max(0, len(w.trace)-traceLines):] {
		w.t.Log(l)
	}
	w.t.Fatalf(format, args...)
}

var traceLines = 150

// change makes the next map.
func (w *world) change(f func(m *osdmap.Map)) {
	m := w.current().Clone()
	m.Epoch++
	f(m)
	w.maps = append(w.maps, m)
}

// start boots an OSD from its store.
func (o *simOSD) start() {
	w := o.w
	must(w.t, o.store.Mount())
	o.alive = true
	o.pgs = map[object.PGID]*pg.PG{}
	o.events, o.waiting = nil, nil
	o.reserve = [2]backfill.Reserver{}
	for i := range o.reserve {
		o.reserve[i].SetMax(1)
	}
	o.epoch = uint32(len(w.maps) - 1)
	colls, err := o.store.Collections()
	must(w.t, err)
	slices.SortFunc(colls, func(a, b objectstore.Coll) int { return a.PG.PGID.Compare(b.PG.PGID) })
	for _, c := range colls {
		if c.Kind != objectstore.CollPG {
			continue
		}
		var fx pg.Effects
		p, err := pg.Load(o.env(), c.PG, func(e uint32) *osdmap.Map { return w.maps[e] }, &fx)
		must(w.t, err)
		o.pgs[c.PG.PGID] = p
		o.carryOut(p, fx.List())
		o.catchUp(p)
	}
}

func (o *simOSD) env() pg.Env {
	return pg.Env{WhoAmI: o.id, Started: time.Unix(1e9, 0), Reader: o.store, Config: o.w.conf, Failsafe: func() bool { return o.full },
		Room: func(bytes uint64) bool { return o.room == 0 || bytes <= o.room }}
}

// catchUp gives a PG all maps up to the OSD's.
func (o *simOSD) catchUp(p *pg.PG) {
	for e := p.Epoch(); e <= o.epoch; e++ {
		o.step(p, pg.NewMap{Map: o.w.maps[e], More: e < o.epoch})
	}
}

func (o *simOSD) step(p *pg.PG, ev pg.Event) {
	o.w.nevents++
	pg.Drive(p, o.w.now, ev, &o.fx, func(e pg.Effect) { o.effect(p, e) })
}

func (o *simOSD) carryOut(p *pg.PG, list []pg.Effect) {
	for _, e := range list {
		o.effect(p, e)
	}
}

func (o *simOSD) effect(p *pg.PG, e pg.Effect) {
	w := o.w
	switch e := e.(type) {
	case pg.SendOSD:
		for _, to := range e.To {
			w.post(o.id, to, e.Msg)
		}
	case pg.Reply:
		e.To.(*simSession).reply(e.Msg)
	case pg.Submit:
		var done func()
		if e.Token != 0 {
			done = func() { o.events = append(o.events, func() { o.step(p, pg.Committed{Token: e.Token}) }) }
		}
		if err := o.store.Submit(e.Tx, done); err != nil {
			w.fail("osd.%d: %v", o.id, err)
		}
	case pg.StartTimer:
		o.timers = slices.DeleteFunc(o.timers, func(t simTimer) bool { return t.pg == p && t.ev.Kind == e.Kind })
		o.timers = append(o.timers, simTimer{p, w.now.Add(e.After), pg.Timer{Kind: e.Kind, Gen: e.Gen}})
	case pg.CommandDone:
		w.answer = &e
	case pg.Spawn:
		o.pgs[e.PG.ID().PGID] = e.PG
		o.catchUp(e.PG)
	case pg.Reserve:
		o.decide(e.Scope, o.reserve[e.Scope].Ask(backfill.Request{PG: p.ID(), Priority: e.Priority, Gen: e.Gen}))
	case pg.Release:
		o.decide(e.Scope, o.reserve[e.Scope].Release(p.ID()))
	case pg.NeedUpThru:
		w.mon.upThru[o.id] = max(w.mon.upThru[o.id], e.Epoch)
	case pg.WantPGTemp:
		w.mon.pgTemp[p.ID().PGID] = e.OSDs
	case pg.PGCreated:
		delete(w.mon.creating, p.ID().PGID)
	case pg.Removed:
		delete(o.pgs, p.ID().PGID)
	case pg.ClusterLog:
		w.logf("osd.%d %v cluster log %s: %s", o.id, p.ID(), e.Level, e.Text)
		if e.Level == "error" {
			w.fail("osd.%d %v: %s", o.id, p.ID(), e.Text)
		}
	case pg.Note:
		w.logf("osd.%d %v %s", o.id, p.ID(), e.Text)
	}
}

// decide tells PGs of slots given and taken away.
func (o *simOSD) decide(scope pg.Scope, list []backfill.Decision) {
	for _, d := range list {
		o.events = append(o.events, func() {
			if p := o.pgs[d.PG.PGID]; p != nil {
				o.step(p, pg.Reserved{Scope: scope, Gen: d.Gen, Granted: d.Granted})
			}
		})
	}
}

// post sends a message between OSDs, through its encoding.
func (w *world) post(from, to int32, b message.Body) {
	if !w.osds[to].alive || w.osds[to].cut || w.osds[from].cut {
		return
	}
	m := message.Encode(b, 0)
	// The receiver must not share memory with the sender.
	m.Front = [][]byte{slices.Clone(m.Front.Flat())}
	m.Data = [][]byte{slices.Clone(m.Data.Flat())}
	got, err := message.Decode(m)
	if err != nil {
		w.fail("osd.%d to osd.%d: %v", from, to, err)
	}
	k := [2]int32{from, to}
	w.wires[k] = append(w.wires[k], envelope{got})
}

// receive gives a message to the PG it is for.
func (o *simOSD) receive(from int32, b message.Body) {
	w := o.w
	var ids []object.SPGID
	var epoch uint32
	switch m := b.(type) {
	case message.PGMessage:
		ids, epoch = []object.SPGID{m.PG()}, m.MapEpoch()
	case *message.OSDPGRemove:
		ids, epoch = m.PGs, m.Epoch
	}
	for _, id := range ids {
		p := o.pgs[id.PGID]
		if p == nil {
			if epoch > o.epoch {
				o.waiting = append(o.waiting, waitingMsg{from, b})
				return
			}
			reply, create := pg.Unknown(o.id, w.maps[o.epoch], b)
			if reply != nil {
				w.post(o.id, from, reply)
			}
			if create == nil || pg.IsOver(id.PGID, func(e uint32) *osdmap.Map { return w.maps[e] }, create.Epoch, o.epoch) {
				continue
			}
			p = o.create(id, *create)
		}
		w.logf("osd.%d <- osd.%d %T e%d", o.id, from, b, epoch)
		o.step(p, pg.PeerMessage{From: from, Msg: b})
	}
}

func (o *simOSD) create(id object.SPGID, c pg.CreateInfo) *pg.PG {
	var fx pg.Effects
	p, err := pg.New(o.env(), id, o.w.maps[c.Epoch], c, &fx)
	must(o.w.t, err)
	o.pgs[id.PGID] = p
	o.carryOut(p, fx.List())
	o.catchUp(p)
	return p
}

// nextMap takes the OSD one map further.
func (o *simOSD) nextMap() {
	w := o.w
	o.epoch++
	m := w.maps[o.epoch]
	for _, p := range o.sortedPGs() {
		o.step(p, pg.NewMap{Map: m})
	}
	o.createOwn()
	waiting := o.waiting
	o.waiting = nil
	for _, m := range waiting {
		o.receive(m.from, m.msg)
	}
}

// createOwn makes the PGs that the monitor still waits for.
func (o *simOSD) createOwn() {
	m := o.w.maps[o.epoch]
	for _, id := range o.w.creatingPGs() {
		if p := o.pgs[id]; p != nil && p.Info().History.LastEpochStarted > 0 {
			delete(o.w.mon.creating, id) // it heard from somebody else
			continue
		}
		if o.pgs[id] == nil && m.PGToActingPrimary(id) == o.id {
			o.create(id.Whole(), pg.CreateInfo{Epoch: 1, History: pg.NewHistory(1, o.w.now)})
		}
	}
}

func (w *world) creatingPGs() []object.PGID {
	var out []object.PGID
	for id := range w.mon.creating {
		out = append(out, id)
	}
	slices.SortFunc(out, object.PGID.Compare)
	return out
}

func (o *simOSD) sortedPGs() []*pg.PG {
	var out []*pg.PG
	for _, p := range o.pgs {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *pg.PG) int { return a.ID().PGID.Compare(b.ID().PGID) })
	return out
}

// crash loses what was not durable, and all messages on their way.
func (o *simOSD) crash() {
	w := o.w
	w.logf("osd.%d crashes", o.id)
	o.alive = false
	o.store.Crash(w.rng.IntN(o.store.Pending() + 1))
	o.pgs, o.events, o.timers, o.cut = nil, nil, nil, false
	for k := range w.wires {
		if k[0] == o.id || k[1] == o.id {
			delete(w.wires, k)
		}
	}
	for _, c := range w.cls {
		c.lost(o.id)
	}
}

// monitor makes one map of what is known and asked for.
func (w *world) monitor() {
	cur := w.current()
	next := cur.Clone()
	next.Epoch++
	changed := false
	for id, o := range w.osds {
		if (!o.alive || o.cut) && cur.IsUp(int32(id)) {
			next.OSDState[id] &^= osdmap.OSDUp
			next.OSDInfo[id].DownAt = next.Epoch
			if !o.alive && w.rng.IntN(2) == 0 {
				next.OSDXInfo[id].DeadEpoch = next.Epoch // its host refuses connections
			}
			changed = true
		}
	}
	if !changed {
		changed = w.serveRequests(cur, next)
	}
	if changed {
		w.maps = append(w.maps, next)
		w.logf("map %d", next.Epoch)
	}
}

func (w *world) serveRequests(cur, next *osdmap.Map) (changed bool) {
	for osd := range int32(len(w.osds)) {
		want, ok := w.mon.upThru[osd]
		if ok && cur.IsUp(osd) && cur.OSDInfo[osd].UpThru < want {
			next.OSDInfo[osd].UpThru = want
			changed = true
		}
		delete(w.mon.upThru, osd)
	}
	var ids []object.PGID
	for id := range w.mon.pgTemp {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, object.PGID.Compare)
	for _, id := range ids {
		want := w.mon.pgTemp[id]
		delete(w.mon.pgTemp, id)
		if slices.ContainsFunc(want, cur.IsDown) || slices.Equal(cur.PGTemp[id], want) {
			continue
		}
		if len(want) == 0 {
			delete(next.PGTemp, id)
		} else {
			next.PGTemp[id] = want
		}
		changed = true
	}
	return changed
}

// restart boots a crashed OSD once the map says it is down; the next map says it
// is up.
func (w *world) restart(o *simOSD) {
	if w.current().IsUp(o.id) {
		w.monitor()
	}
	if w.current().IsUp(o.id) {
		return
	}
	w.change(func(m *osdmap.Map) {
		m.OSDState[o.id] |= osdmap.OSDUp
		m.OSDInfo[o.id].UpFrom = m.Epoch
	})
	w.logf("osd.%d restarts at %d", o.id, w.current().Epoch)
	o.start()
	o.createOwn()
}
