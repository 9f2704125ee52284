package msgr

import (
	"flag"
	"fmt"
	"slices"
	"testing"

	"sepiola/entity"
)

var (
	simSeed = flag.Uint64("sim.seed", 0, "the one seed that TestSim runs, with a trace; 0 runs many")
	simRuns = flag.Int("sim.runs", 600, "how many seeds TestSim runs of each kind")
)

var simPlans = []simPlan{
	{name: "peers", policies: [2]Policy{LosslessPeer(), LosslessPeer()}},
	{name: "peers that check", policies: [2]Policy{LosslessPeerReuse(), LosslessPeerReuse()}},
	{name: "lossless clients", policies: [2]Policy{StatefulServer(), LosslessClient()}},
	{name: "lossy clients", policies: [2]Policy{StatelessRegisteredServer(), LossyClient()}},
	{name: "peers that restart", policies: [2]Policy{LosslessPeer(), LosslessPeer()}, restarts: true, newNonce: true},
	{name: "checked peers that restart", policies: [2]Policy{LosslessPeerReuse(), LosslessPeerReuse()}, restarts: true},
	{name: "lossless clients and restarts", policies: [2]Policy{StatefulServer(), LosslessClient()}, restarts: true, newNonce: true},
}

// TestSim: whatever happens to the links, at any byte, messages of a lossless
// session arrive exactly once and in order, those of a lossy one at most once and
// in order; and once nothing breaks any more, everything arrives, queues empty
// and no session or link is left over.
func TestSim(t *testing.T) {
	if *simSeed != 0 {
		for _, p := range simPlans {
			t.Run(p.name, func(t *testing.T) {
				w := newSimWorld(*simSeed, simSize(*simSeed), p)
				w.trace = t.Logf
				if err := w.run(); err != nil {
					t.Errorf("%v\n%s", err, w.dump())
				}
			})
		}
		return
	}
	for _, p := range simPlans {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			steps, cuts := 0, 0
			for seed := range uint64(*simRuns) {
				w := newSimWorld(seed+1, simSize(seed+1), p)
				if err := w.run(); err != nil {
					t.Fatalf("%v\n%sagain with a trace: go test ./msgr -run 'TestSim/%s$' -v -sim.seed %d", err, w.dump(), p.name, seed+1)
				}
				steps, cuts = steps+w.steps, cuts+w.cuts
			}
			t.Logf("%d steps, %d faults", steps, cuts)
			if cuts < *simRuns {
				t.Errorf("only %d links were cut in %d runs", cuts, *simRuns)
			}
		})
	}
}

func simSize(seed uint64) int { return 2 + int(seed%7)/3 + int(seed%13)/12 }

// run makes choices with faults, then without until nothing is left to do.
func (w *simWorld) run() error {
	// Mostly short runs: sessions begin only once.
	for total := 50 << w.rng.IntN(6); w.steps < total && w.err == nil; w.steps++ {
		w.choose()
	}
	w.faults = false
	for _, l := range w.links {
		l.sides[0].stall, l.sides[1].stall = 0, 0
	}
	w.trace("--- no more faults")
	for end := w.steps + 50000; w.err == nil; w.steps++ {
		if w.steps > end {
			w.fail("nothing came to rest")
		}
		if !w.advance() {
			break
		}
	}
	if w.err == nil {
		w.checkRest()
	}
	return w.err
}

// choose lets the world do something: mostly what moves on, at times a fault.
func (w *simWorld) choose() {
	switch r := w.rng.IntN(100); {
	case r < 12:
		w.sendSome()
	case r < 15:
		w.breakLink()
	case r < 16 && w.plan.restarts && w.rng.IntN(8) == 0:
		w.restartOne()
	case r < 17:
		w.stallLink()
	case r < 21 && len(w.timers) > 0:
		w.fire(w.timers[w.rng.IntN(len(w.timers))])
	default:
		w.advance()
	}
}

// sendSome gives a message to a session, opening it if there is none. A server
// answers over the session its client has opened.
func (w *simWorld) sendSome() {
	from := w.eps[w.rng.IntN(len(w.eps))]
	to := w.eps[(from.num+1+w.rng.IntN(len(w.eps)-1))%len(w.eps)]
	c := from.byAddr[to.addr]
	if from.policy().Server {
		if c == nil || c.s.state == stateClosed {
			return
		}
	} else if w.plan.policies[0].Server && to.num != 0 {
		return
	} else {
		c = from.connect(to)
	}
	if from.num == w.quiet && w.steps < 100 {
		return
	}
	switch w.rng.IntN(9) {
	case 0:
		c.step(&event{kind: evKeepalive})
		return
	case 1, 2: // a session that was only asked for
		return
	}
	for range 1 + w.rng.IntN(3) {
		if c.s.state != stateClosed {
			from.send(c)
		}
	}
}

// breakLink cuts a link for both ends, or for one now and the other later; what
// was on the way arrives or does not.
func (w *simWorld) breakLink() {
	if len(w.links) == 0 {
		return
	}
	l := w.links[w.rng.IntN(len(w.links))]
	w.cuts++
	for i := range l.sides {
		s := &l.sides[i]
		if w.rng.IntN(4) == 0 {
			continue
		}
		s.broken = true
		if len(s.pipe) > 0 {
			s.pipe = s.pipe[:w.rng.IntN(len(s.pipe)+1)]
		}
	}
	w.trace("cut the link to %v", l.to)
}

// stallLink holds up what goes one way.
func (w *simWorld) stallLink() {
	if len(w.links) > 0 {
		s := &w.links[w.rng.IntN(len(w.links))].sides[w.rng.IntN(2)]
		s.stall = w.steps + w.rng.IntN(100)
	}
}

func (w *simWorld) restartOne() {
	ep := w.eps[w.rng.IntN(len(w.eps))]
	if ep.life > 3 {
		return
	}
	old := ep.addr
	w.trace("osd.%d restarts", ep.num)
	ep.restart()
	w.cuts++
	if !w.plan.newNonce {
		return
	}
	// A map tells everybody, sooner for some.
	for _, o := range w.eps {
		if c := o.byAddr[old]; c != nil && o != ep {
			o.markDown(c)
		}
	}
}

// advance lets one thing happen that is due. Timers wait until nothing else is.
func (w *simWorld) advance() bool {
	w.sweep()
	var due []func()
	for _, l := range w.links {
		if !l.up && !l.sides[0].closed {
			due = append(due, func() { w.dialed(l) })
		}
		for i := range l.sides {
			if s := &l.sides[i]; w.mayAct(s) {
				due = append(due, func() { w.read(s, w.portion(s)) })
			}
			if s := &l.sides[i]; s.flush && !s.closed && (l.up || s.owner != nil) && l.up {
				due = append(due, func() { w.write(s) })
			}
		}
	}
	if len(due) == 0 {
		if len(w.timers) > 0 {
			w.fire(slices.MinFunc(w.timers, func(a, b *simTimer) int { return int(a.after - b.after) }))
			return true
		}
		return w.expire()
	}
	due[w.rng.IntN(len(due))]()
	return true
}

// portion is how much of the pipe arrives.
func (w *simWorld) portion(s *simSide) int {
	n := len(s.pipe)
	if n > 1 && w.faults && w.rng.IntN(2) == 0 {
		n = 1 + w.rng.IntN(n)
	}
	return n
}

// sweep forgets links that both ends are done with.
func (w *simWorld) sweep() {
	w.links = slices.DeleteFunc(w.links, func(l *simLink) bool {
		return l.sides[0].closed && (!l.up || l.sides[1].closed)
	})
}

// dialed is the outcome of an attempt to connect.
func (w *simWorld) dialed(l *simLink) {
	dialer, acceptor := &l.sides[0], &l.sides[1]
	if dialer.broken {
		w.trace("osd.%d is refused", dialer.owner.ep.num)
		l.up = true
		acceptor.closed = true
		dialer.owner.step(&event{kind: evRefused, err: errSim})
		return
	}
	l.up = true
	ep := w.byPort(l.to)
	w.trace("osd.%d accepts from osd.%d", ep.num, dialer.owner.ep.num)
	acceptor.owner = ep.conn()
	acceptor.owner.side = acceptor
	dialer.handle(&event{kind: evLinked, linkAddr: l.to})
	acceptor.handle(&event{kind: evAccept, linkAddr: dialer.owner.ep.addr})
}

func (w *simWorld) fire(t *simTimer) {
	w.disarm(t)
	if t.kind == evBackoffOver {
		t.c.timer = nil
	}
	t.c.step(&event{kind: t.kind})
}

// expire ends a handshake that got nowhere, as its deadline does.
func (w *simWorld) expire() bool {
	for _, l := range w.links {
		for i := range l.sides {
			if s := &l.sides[i]; !s.closed && !s.opened {
				w.trace("osd.%d waited long enough", s.owner.ep.num)
				s.handle(&event{kind: evLost, err: errHandshakeTimeout})
				return true
			}
		}
	}
	return false
}

// checkRest: everything has arrived and nothing is left over.
func (w *simWorld) checkRest() {
	for _, ep := range w.eps {
		sessions := map[entity.Addr]bool{}
		for _, c := range ep.all {
			switch {
			case c.s.state != stateOpen && c.s.state != stateStandby:
				w.fail("osd.%d is left with a session in state %v", ep.num, c.s.state)
			case c.s.pending() && c.s.state == stateOpen, c.s.sent.ring.len() > 0 && c.s.state == stateOpen:
				w.fail("osd.%d keeps %d messages for osd.%d", ep.num, c.s.queue.len()+c.s.sent.ring.len(), c.peer)
			case c.s.state == stateStandby && !c.s.policy.Server && c.s.pending():
				w.fail("osd.%d does not seek osd.%d, for which it has messages", ep.num, c.peer)
			case c.s.state == stateOpen && c.side.other.closed:
				w.fail("osd.%d does not know that osd.%d hung up", ep.num, c.peer)
			}
			if sessions[c.s.target] {
				w.fail("osd.%d has two sessions with osd.%d", ep.num, c.peer)
			}
			sessions[c.s.target] = true
		}
		for i := range ep.to {
			w.checkArrived(ep, w.eps[i])
		}
	}
	if len(w.links) > len(w.eps)*(len(w.eps)-1)/2 {
		w.fail("%d links are left among %d endpoints", len(w.links), len(w.eps))
	}
}

// checkArrived: the last message of the last generation has come to the receiver,
// or to what it was before it restarted, unless its
// session was lossy or is one that waits for the client to come back.
func (w *simWorld) checkArrived(from, to *simEndpoint) {
	c := from.byAddr[to.addr]
	st, got := from.to[to.num], to.last[from.num]
	if c == nil || c.s.policy.Lossy || c.s.state == stateStandby && c.s.policy.Server || st.next == 0 {
		return
	}
	if fmt.Sprint(got.life, got.generation, got.next) != fmt.Sprint(from.life, st.generation, st.next) {
		w.fail("osd.%d sent osd.%d %d messages in session %d.%d; the last that arrived is %d of %d.%d",
			from.num, to.num, st.next, from.life, st.generation, got.next-1, got.life, got.generation)
	}
}
