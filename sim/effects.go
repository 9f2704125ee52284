package sim

import (
	"fmt"
	"time"

	"sepiola/backfill"
	"sepiola/message"
	"sepiola/pg"
)

// drive lets a PG take an event and carries out what follows.
func (n *node) drive(s *slot, ev pg.Event) {
	if s.gone {
		return
	}
	pg.Drive(s.pg, n.wallTime(), ev, &n.fx, func(e pg.Effect) { n.effect(s, e) })
	for len(n.spawned) > 0 {
		p := n.spawned[0]
		n.spawned = n.spawned[1:]
		n.adopt(p, &pg.Effects{})
		n.retry()
	}
}

// wallTime is the OSD's own clock, which differs from everybody else's.
func (n *node) wallTime() time.Time { return n.w.wallTime().Add(time.Duration(n.id) * 7 * time.Second) }

// clockStart is when the OSD's clock began to count.
func (n *node) clockStart() time.Time { return n.wallTime().Add(-n.w.now) }

// effect carries out one effect of a PG. An effect that is not known here panics:
// what a PG asks for and does not get would show as a mystery elsewhere.
func (n *node) effect(s *slot, e pg.Effect) {
	w, id := n.w, s.pg.ID().PGID
	switch e := e.(type) {
	case pg.SendOSD:
		n.send(e.To, e.Msg)
	case pg.Reply:
		if e.To != nil {
			e.To.(*session).reply(e.Msg)
		}
	case pg.Dropped:
		w.trace("osd.%d %v drops %s", n.id, id, describe(e.Op))
	case pg.Submit:
		n.submit(s, e)
	case pg.StartTimer:
		n.startTimer(s, e)
	case pg.Reserve:
		n.decide(e.Scope, n.reserve[e.Scope].Ask(backfill.Request{PG: s.pg.ID(), Priority: e.Priority, Gen: e.Gen}))
	case pg.Release:
		n.decide(e.Scope, n.reserve[e.Scope].Release(s.pg.ID()))
	case pg.Spawn:
		w.trace("osd.%d %v splits off %v", n.id, id, e.PG.ID())
		n.spawned = append(n.spawned, e.PG)
	case pg.CommandDone:
		w.trace("osd.%d %v answers %d %s", n.id, id, e.Result, e.Text)
	case pg.NeedUpThru:
		if e.Epoch > n.asks.upThru {
			n.asks.upThru = e.Epoch
			n.sendAlive()
		}
	case pg.WantPGTemp:
		n.asks.pgTemp[id] = e.OSDs
		n.sendTemps()
	case pg.NeedMap:
		n.needMap(e.Epoch)
	case pg.PGCreated:
		n.toMonitor(func(m *monitor) { delete(m.creating, id) })
	case pg.Removed:
		w.trace("osd.%d has removed %v", n.id, id)
		s.gone = true
		delete(n.pgs, id)
		n.takeBack(e.Events)
	case pg.StatsChanged:
	case pg.ClusterLog:
		w.trace("osd.%d %v log %s: %s", n.id, id, e.Level, e.Text)
		if e.Level == "error" && !w.has(FaultEIO) {
			w.fail("cluster log", "osd.%d %s", n.id, e.Text)
		}
	case pg.Note:
		w.trace("osd.%d %v %s", n.id, id, e.Text)
	default:
		panic(fmt.Sprintf("sim: effect %T is not wired in node.effect", e))
	}
}

// decide tells PGs of slots given and taken away.
func (n *node) decide(scope pg.Scope, list []backfill.Decision) {
	for _, d := range list {
		n.after(0, func() {
			if s := n.pgs[d.PG.PGID]; s != nil {
				n.drive(s, pg.Reserved{Scope: scope, Gen: d.Gen, Granted: d.Granted})
			}
		})
	}
}

// takeBack takes what came to a PG while it was being removed.
func (n *node) takeBack(list []pg.Event) {
	for _, ev := range list {
		switch ev := ev.(type) {
		case pg.PeerMessage:
			n.receive(ev.From, epochOf(ev.Msg), ev.Msg)
		case pg.ClientOp:
			n.take(&clientCall{ev.From.(*session), ev.Op})
		}
	}
}

func (n *node) submit(s *slot, e pg.Submit) {
	var done func()
	if e.Token != 0 {
		done = func() {
			n.commits = append(n.commits, func() { n.drive(s, pg.Committed{Token: e.Token}) })
			n.after(n.w.uniform(0, 50*time.Microsecond), n.commitOne)
		}
	}
	if err := n.disk.submit(n, e.Tx, done); err != nil {
		n.w.fail("store", "osd.%d %v: a transaction cannot be applied: %v", n.id, s.pg.ID(), err)
	}
}

// commitOne tells a PG of the next transaction that is durable.
func (n *node) commitOne() {
	do := n.commits[0]
	n.commits = n.commits[1:]
	do()
}

func (n *node) startTimer(s *slot, e pg.StartTimer) {
	s.set++
	set := s.set
	s.timers[e.Kind] = set
	n.after(e.After, func() {
		if s.timers[e.Kind] == set {
			n.drive(s, pg.Timer{Kind: e.Kind, Gen: e.Gen})
		}
	})
}

// needMap asks for maps that others have.
func (n *node) needMap(epoch uint32) {
	if epoch > n.epoch {
		n.subscribe()
	}
}

// describe names a client's operation.
func describe(m *message.OSDOp) string {
	return fmt.Sprintf("tid %d on %s e%d", m.TID, m.Object.Name, m.Epoch)
}
