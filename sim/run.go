package sim

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/osdmap"
	"sepiola/sim/check"
)

// Result is what became of a seed.
type Result struct {
	Seed uint64 `json:"seed"`
	// Events is how many happened, Operations how many were answered, Epochs how many
	// maps there were.
	Events     int64  `json:"events"`
	Operations int    `json:"operations"`
	Epochs     int    `json:"epochs"`
	Hash       string `json:"hash"`
	// Violation says what must not be; nil if nothing was found.
	Violation *Violation `json:"violation,omitempty"`
}

// Violation is something that must not happen.
type Violation struct {
	// Checker names who found it.
	Checker string `json:"checker"`
	Message string `json:"message"`
	// Step is the event at which it was found.
	Step int64 `json:"step"`
	// Replay is the command that shows it again.
	Replay string `json:"replay"`
}

// livenessSteps bounds the second phase.
func livenessSteps(o *Options) int64 { return 100_000 + 20*int64(o.Steps) }

// Run simulates one seed. The options are valid.
func Run(o Options) (res Result) {
	var w *world
	res.Seed = o.Seed
	defer func() {
		r := recover()
		if w != nil {
			res.Events, res.Operations, res.Epochs, res.Hash = w.steps, w.answers, len(w.maps)-1, w.trc.sum()
		}
		if r == nil {
			return
		}
		v, ok := r.(violation)
		if !ok {
			v = violation{"panic", fmt.Sprintf("%v\n%s", r, debug.Stack())}
		}
		res.Violation = &Violation{Checker: v.checker, Message: v.message, Replay: o.Command()}
		if w != nil {
			res.Violation.Step = w.steps
		}
	}()
	w = newWorld(o)
	w.safety()
	w.liveness()
	w.check()
	return res
}

// safety is the phase with faults.
func (w *world) safety() {
	for w.steps < int64(w.opts.Steps) {
		w.step()
		w.faults.step()
	}
}

// liveness ends the faults and goes on until all is clean and answered.
func (w *world) liveness() {
	w.trace("the faults end")
	w.quiet = true
	w.faults.endAll()
	w.mon.undo()
	for _, n := range w.nodes {
		n.disk.slow = 1
		clear(n.disk.bad)
	}
	last := w.steps + livenessSteps(&w.opts)
	for !w.isSettled() {
		for range 32 {
			w.step()
		}
		if w.steps > last {
			w.fail("liveness", "not clean %d events after the faults ended: %s", livenessSteps(&w.opts), w.describe())
		}
	}
}

// undo takes back what operators did to the map.
func (m *monitor) undo() {
	m.change(func(cur *osdmap.Map, inc *osdmap.Incremental) {
		const flags = osdmap.FlagNoRecover | osdmap.FlagNoBackfill | osdmap.FlagNoRebalance | osdmap.FlagNoOut |
			osdmap.FlagNoUp | osdmap.FlagNoDown | osdmap.FlagPauseRd | osdmap.FlagPauseWr
		set := cur.Flags
		if inc.NewFlags >= 0 {
			set = uint32(inc.NewFlags)
		}
		inc.NewFlags = int32(set &^ flags)
		inc.Pool(cur, poolID).MinSize = uint8(m.w.opts.MinSize)
		for _, n := range m.w.nodes {
			inc.NewWeight[n.id], inc.NewPrimaryAffinity[n.id] = osdmap.WeightIn, osdmap.WeightIn
		}
	})
}

// isSettled reports whether nothing is left to do.
func (w *world) isSettled() bool {
	if w.traveling > 0 || w.planned > 0 || w.waits > 0 || w.filling || w.mon.pending != nil || len(w.mon.creating) > 0 {
		return false
	}
	for _, n := range w.nodes {
		if !n.alive || n.booting || int(n.epoch) < len(w.maps)-1 || n.disk.Pending() > 0 || len(n.commits) > 0 {
			return false
		}
	}
	for _, n := range w.nodes {
		for i := range n.reserve {
			if len(n.reserve[i].Held())+len(n.reserve[i].Waiting()) > 0 {
				return false // nobody holds a slot in the end
			}
		}
	}
	for _, c := range w.clients {
		if len(c.pending)+len(c.echoes) > 0 {
			return false
		}
	}
	return w.pgsAreClean() && !w.hasStrays()
}

// hasStrays reports whether an OSD has a PG that it is no member of.
func (w *world) hasStrays() bool {
	cur := w.mon.newest()
	for _, n := range w.nodes {
		for id := range n.pgs {
			if !slices.Contains(w.mapping(cur.Epoch, id).Acting, n.id) {
				return true
			}
		}
	}
	return false
}

// describe says what is not settled.
func (w *world) describe() string {
	var b strings.Builder
	for _, n := range w.nodes {
		fmt.Fprintf(&b, "\nosd.%d alive %v booting %v e%d of %d, %d transactions pending", n.id, n.alive, n.booting, n.epoch,
			len(w.maps)-1, n.disk.Pending())
		for _, s := range n.slots() {
			i := s.pg.Info()
			fmt.Fprintf(&b, "\n  %v %v %v: %v; %v", s.pg.ID(), s.pg.Mapping(), s.pg.State(), s.pg.Describe(), i.String())
		}
	}
	for _, c := range w.clients {
		for _, o := range c.inOrder() {
			fmt.Fprintf(&b, "\n%v, sent to %d paused %v", o.Op, o.at.primary, o.at.paused)
		}
	}
	fmt.Fprintf(&b, "\n%d messages on their way, %d PGs to be created, %d waits", w.traveling, len(w.mon.creating), w.waits)
	return b.String()
}

// check lets the checkers look at the history and the stores.
func (w *world) check() {
	opt := check.Options{LooseReads: w.active&FaultFull != 0,
		ReadErrors: w.active&FaultEIO != 0}
	names, byObject := w.history.ByObject()
	for _, name := range names {
		end := w.contents(name)
		if strings.HasPrefix(name, appendPrefix) {
			w.found("appends", check.Appends(byObject[name], end.Data, opt))
		}
		w.found("linear", check.Linear(byObject[name], end, opt))
	}
	w.found("resends", check.Resends(w.history))
	cur := w.mon.newest()
	for seed := range cur.Pools[poolID].PGNum {
		id := object.PGID{Pool: poolID, Seed: seed}
		var copies []check.Copy
		for _, osd := range w.mapping(cur.Epoch, id).Acting {
			copies = append(copies, check.Copy{OSD: osd, Store: w.nodes[osd].disk})
		}
		w.found("copies", check.Copies(id.Whole(), copies))
	}
}

func (w *world) found(checker string, err error) {
	if err != nil {
		w.fail(checker, "%v", err)
	}
}

// contents is an object as the primary's store has it.
func (w *world) contents(name string) check.Object {
	m := w.mon.newest()
	o := object.Head(poolID, "", "", name, m.Pools[poolID].HashKey(name, ""))
	id := m.RawPGToPG(object.PGID{Pool: poolID, Seed: o.Hash})
	out, err := check.Contents(w.nodes[w.mapping(m.Epoch, id).ActingPrimary].disk, objectstore.PGColl(id.Whole()), object.G(o))
	w.must(err)
	return out
}
