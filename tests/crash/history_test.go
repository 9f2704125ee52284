package crash

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// historyMax bounds how many states of an object are remembered.
const historyMax = 256

// history is of an object: the states that changes, issued one after another by one
// client, made of an object. What is read must be one of them, and none that is
// older than the last acknowledged one.
type history struct {
	name string

	mu     sync.Mutex
	first  int      // number of states[0]
	states []digest // after each change; the first is that of no object
	steps  []string // what led there
	last   content  // after all changes
	acked  int      // number of the newest state known to have been reached
	frozen bool     // a change is in doubt: no more of them
}

func newHistory(name string) *history {
	o := &history{name: name, states: make([]digest, 1), steps: []string{"none"}}
	o.states[0] = o.last.digest()
	return o
}

// issue notes a change before it is sent, and returns the number of the state it
// leads to.
func (o *history) issue(s step) int {
	after := s.apply(o.last)
	d := after.digest()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last = after
	o.states, o.steps = append(o.states, d), append(o.steps, s.String())
	if extra := min(len(o.states)-historyMax, o.acked-o.first); extra > 0 {
		o.states, o.steps = slices.Delete(o.states, 0, extra), slices.Delete(o.steps, 0, extra)
		o.first += extra
	}
	return o.first + len(o.states) - 1
}

// ack notes that a state was reached.
func (o *history) ack(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.acked = max(o.acked, n)
}

// freeze ends the object's changes: one is in doubt, and might come about at any
// time.
func (o *history) freeze() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.frozen = true
}

// least returns the number of the oldest state that a read that begins now may
// show.
func (o *history) least() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.acked
}

// check judges what a read showed that began when state least was acknowledged.
func (o *history) check(least int, c *content) error {
	d := c.digest()
	o.mu.Lock()
	defer o.mu.Unlock()
	if least < o.first {
		return nil // a read so slow that its bounds are forgotten
	}
	if slices.Contains(o.states[least-o.first:], d) {
		return nil
	}
	verdict := "is none of its states"
	if i := slices.Index(o.states[:least-o.first], d); i >= 0 {
		verdict = fmt.Sprintf("is state %d", o.first+i)
	}
	from := max(0, least-o.first-8)
	var steps []string
	for i, s := range o.steps[from:] {
		steps = append(steps, fmt.Sprintf("%d: %s", o.first+from+i, s))
	}
	return fmt.Errorf("%s %s; acknowledged before the read: %d, now: %d\nread: %v\nafter all changes it would be: %v\nstates: %s",
		o.name, verdict, least, o.acked, c, &o.last, strings.Join(steps, "; "))
}
