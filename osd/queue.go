package osd

import (
	"sync"

	"sepiola/msgr"
	"sepiola/object"
	"sepiola/pg"
)

// class is a kind of work in a shard's queue.
type class uint8

const (
	// classCommit finishes what is under way already: commits, and calls from the
	// daemon itself. It is always served first.
	classCommit class = iota
	// classPeer is what other OSDs and maps bring, in one order.
	classPeer
	// classClient is what clients ask for.
	classClient
	// classBackground is work a PG has left for later.
	classBackground
	classes
)

// shares are how many items of each class are served in one round while others
// wait too. classCommit is not part of the rounds.
var shares = [classes]int{classPeer: 8, classClient: 4, classBackground: 1}

// work is an item of a shard's queue: an event for a PG, or a call.
type work struct {
	pgid object.SPGID
	ev   pg.Event
	conn *msgr.Conn // whence a peer's message came; nil for what came otherwise
	done func()     // called once the event was taken; may be nil
	call func(*shard)
}

// queue is a fair queue of work. It is bounded by what feeds it: messages hold
// their share of the messengers' throttles until they are done with, commits and
// timers answer what a PG itself asked for.
type queue struct {
	mu     sync.Mutex
	wake   sync.Cond
	lists  [classes]ring
	credit [classes]int
	closed bool
}

func newQueue() *queue {
	q := &queue{}
	q.wake.L = &q.mu
	return q
}

// push adds an item; after close it is dropped.
func (q *queue) push(c class, w work) {
	q.mu.Lock()
	if !q.closed {
		q.lists[c].push(w)
	}
	q.mu.Unlock()
	q.wake.Signal()
}

// pop waits for an item. It returns false once the queue is closed.
func (q *queue) pop() (work, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if q.closed {
			return work{}, false
		}
		if w, ok := q.lists[classCommit].pop(); ok {
			return w, true
		}
		if w, ok := q.popShared(); ok {
			return w, true
		}
		q.wake.Wait()
	}
}

// popShared serves the classes by their shares: each gives up to its share of
// items before a new round begins.
func (q *queue) popShared() (work, bool) {
	for round := 0; round < 2; round++ {
		for c := classPeer; c < classes; c++ {
			if q.credit[c] == 0 {
				continue
			}
			if w, ok := q.lists[c].pop(); ok {
				q.credit[c]--
				return w, true
			}
		}
		q.credit = shares
	}
	return work{}, false
}

// close ends the queue and drops what is in it.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.lists = [classes]ring{}
	q.mu.Unlock()
	q.wake.Broadcast()
}

// len returns the number of items that wait.
func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for i := range q.lists {
		n += q.lists[i].n
	}
	return n
}

// ringIdleMax is the length up to which an empty ring keeps its memory.
const ringIdleMax = 1024

// ring is a first-in-first-out list that reuses its memory.
type ring struct {
	buf     []work
	head, n int
}

func (r *ring) push(w work) {
	if r.n == len(r.buf) {
		grown := make([]work, max(16, 2*len(r.buf)))
		for i := range r.n {
			grown[i] = r.buf[(r.head+i)%len(r.buf)]
		}
		r.buf, r.head = grown, 0
	}
	r.buf[(r.head+r.n)%len(r.buf)] = w
	r.n++
}

func (r *ring) pop() (work, bool) {
	if r.n == 0 {
		return work{}, false
	}
	w := r.buf[r.head]
	r.buf[r.head] = work{}
	r.head = (r.head + 1) % len(r.buf)
	r.n--
	if r.n == 0 && len(r.buf) > ringIdleMax {
		r.buf, r.head = nil, 0
	}
	return w, true
}
