package msgr

import (
	"flag"
	"slices"
	"testing"
)

var simCuts = flag.Int("sim.cuts", 1, "how many conversations TestSimCuts holds for each byte at which it cuts")

// cutter breaks links of a simulation at given numbers of bytes.
type cutter struct {
	after []int // bytes that pass, all links together, before each of the cuts
	ends  int   // who notices at once: 0 both, 1 who was reading, 2 the other
}

// due says how many of n bytes pass, and whether the link breaks then.
func (c *cutter) due(n int) (int, bool) {
	if c == nil || len(c.after) == 0 {
		return n, false
	}
	if n < c.after[0] {
		c.after[0] -= n
		return n, false
	}
	n = c.after[0]
	c.after = c.after[1:]
	return n, true
}

// at breaks the link that s reads from.
func (c *cutter) at(s *simSide) {
	s.broken = s.broken || c.ends != 2
	s.other.broken = s.other.broken || c.ends != 1
	if c.ends == 2 {
		// What was on the way to the reader is lost with the link, which it learns
		// when the other end hangs up.
		s.pipe = nil
	}
}

// A cutsPlan is a conversation that is cut.
type cutsPlan struct {
	name     string
	policies [2]Policy
	mutual   bool // both ends connect at once
}

var cutsPlans = []cutsPlan{
	{"peers, one connects", [2]Policy{LosslessPeer(), LosslessPeer()}, false},
	{"peers, both connect", [2]Policy{LosslessPeer(), LosslessPeer()}, true},
	{"peers that check, both connect", [2]Policy{LosslessPeerReuse(), LosslessPeerReuse()}, true},
	{"lossless client", [2]Policy{StatefulServer(), LosslessClient()}, false},
	{"lossy client", [2]Policy{StatelessRegisteredServer(), LossyClient()}, false},
}

// cuts are a first cut and up to three more, during what the first one causes or
// later.
func (cutsPlan) cuts(at, variant int) []int {
	cuts := []int{at}
	for i := range variant % 4 {
		cuts = append(cuts, (at*97+i*131)%701)
	}
	return cuts
}

// converse runs a conversation of two endpoints: some messages each way, and some
// more when all has come to rest.
func (p cutsPlan) converse(seed uint64, c *cutter, trace func(string, ...any)) (dump string, err error) {
	w := newSimWorld(seed, 2, simPlan{name: p.name, policies: p.policies})
	w.faults, w.quiet, w.cutter, w.trace = false, -1, c, trace
	talk := func() {
		for i := range 2 {
			from, to := w.eps[1-i], w.eps[i]
			if i == 1 && !p.mutual && from.byAddr[to.addr] == nil || w.err != nil {
				continue
			}
			for range 3 {
				from.send(from.connect(to))
			}
		}
	}
	for range 3 {
		talk()
		for end := w.steps + 5000; w.err == nil && w.advance(); w.steps++ {
			if w.steps > end {
				w.fail("nothing came to rest")
			}
		}
	}
	if w.err == nil {
		w.checkRest()
	}
	return w.dump(), w.err
}

// TestSimCuts: a link that breaks after any number of bytes, in the handshake, in
// that of a reconnection or later, and for one end before the other, costs no
// message and no order.
func TestSimCuts(t *testing.T) {
	for _, p := range cutsPlans {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			runs, stride := 0, 1
			if testing.Short() {
				stride = 17
			}
			for ends := range 3 {
				for at, more := 0, true; more; at += stride {
					for i := range *simCuts {
						cuts := p.cuts(at, at+ends+i)
						c := &cutter{after: slices.Clone(cuts), ends: ends}
						dump, err := p.converse(uint64(i+1), c, func(string, ...any) {})
						if err != nil {
							p.converse(uint64(i+1), &cutter{after: slices.Clone(cuts), ends: ends}, t.Logf)
							t.Fatalf("cuts after %v bytes, seen by %d: %v\n%s", cuts, ends, err, dump)
						}
						runs, more = runs+1, len(c.after) < len(cuts)
					}
				}
			}
			t.Logf("%d conversations", runs)
			if runs < 3*3000/stride {
				t.Errorf("only %d conversations", runs)
			}
		})
	}
}
