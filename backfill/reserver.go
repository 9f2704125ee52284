package backfill

import (
	"cmp"
	"slices"

	"sepiola/object"
)

// Reserver gives out a bounded number of slots of one OSD, to the most urgent PGs
// first and among equals to who asked first. A more urgent request takes the slot
// of the least urgent holder (AsyncReserver). The zero value has no slots.
//
// An OSD has two: one for the PGs it leads (local) and one for those to which it
// lends its disk (remote). A primary takes the local slot first and then the remote
// ones in ascending order of OSDs, so that no circle of waiting PGs can arise.
type Reserver struct {
	max     int
	held    []Request // no order
	waiting []Request // by urgency, then by age
	turn    uint64
}

// Request asks for a slot.
type Request struct {
	PG       object.SPGID
	Priority uint32 // the greater the more urgent; see [RecoveryPriority]
	// Gen is returned with the decision: it tells a PG's request from an earlier one.
	Gen uint64

	turn uint64
}

// Decision says what became of a request.
type Decision struct {
	PG      object.SPGID
	Gen     uint64
	Granted bool // false: the slot was taken away again
}

// SetMax sets the number of slots (osd max backfills). Slots beyond it are taken
// away from the least urgent.
func (r *Reserver) SetMax(n int) []Decision {
	r.max = max(n, 0)
	return r.settle()
}

// Ask requests a slot for a PG, in place of what it asked for or has.
func (r *Reserver) Ask(q Request) []Decision {
	r.drop(q.PG)
	r.turn++
	q.turn = r.turn
	r.waiting = append(r.waiting, q)
	slices.SortFunc(r.waiting, func(a, b Request) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.turn, b.turn))
	})
	return r.settle()
}

// Release gives back the slot of a PG, or what it asked for. It does nothing for one
// that has neither.
func (r *Reserver) Release(pg object.SPGID) []Decision {
	r.drop(pg)
	return r.settle()
}

func (r *Reserver) drop(pg object.SPGID) {
	is := func(q Request) bool { return q.PG == pg }
	r.held = slices.DeleteFunc(r.held, is)
	r.waiting = slices.DeleteFunc(r.waiting, is)
}

// settle gives slots to the most urgent.
func (r *Reserver) settle() (out []Decision) {
	for len(r.held) > r.max {
		out = append(out, r.preempt())
	}
	for len(r.waiting) > 0 && r.max > 0 {
		first := r.waiting[0]
		if len(r.held) == r.max {
			if r.held[r.leastUrgent()].Priority >= first.Priority {
				break
			}
			out = append(out, r.preempt())
		}
		r.waiting = slices.Delete(r.waiting, 0, 1)
		r.held = append(r.held, first)
		out = append(out, Decision{first.PG, first.Gen, true})
	}
	return out
}

// leastUrgent is the holder that has to go first: among equals the youngest, whose
// work has come the least far.
func (r *Reserver) leastUrgent() int {
	least := 0
	for i, q := range r.held {
		if cmp.Or(cmp.Compare(q.Priority, r.held[least].Priority), cmp.Compare(r.held[least].turn, q.turn)) < 0 {
			least = i
		}
	}
	return least
}

func (r *Reserver) preempt() Decision {
	i := r.leastUrgent()
	q := r.held[i]
	r.held = slices.Delete(r.held, i, i+1)
	return Decision{q.PG, q.Gen, false}
}

// Held returns the requests that have a slot, Waiting those that have not, by
// urgency.
func (r *Reserver) Held() []Request    { return slices.Clone(r.held) }
func (r *Reserver) Waiting() []Request { return slices.Clone(r.waiting) }
