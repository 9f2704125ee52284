package msgr

// ring is a first-in first-out queue that reuses its memory.
type ring[T any] struct {
	items []T
	head  int
	n     int
}

func (r *ring[T]) len() int { return r.n }

func (r *ring[T]) push(v T) {
	if r.n == len(r.items) {
		grown := make([]T, max(8, 2*len(r.items)))
		for i := range r.n {
			grown[i] = r.at(i)
		}
		r.items, r.head = grown, 0
	}
	r.items[(r.head+r.n)%len(r.items)] = v
	r.n++
}

func (r *ring[T]) at(i int) T { return r.items[(r.head+i)%len(r.items)] }

func (r *ring[T]) pop() T {
	var zero T
	v := r.items[r.head]
	r.items[r.head] = zero
	r.head = (r.head + 1) % len(r.items)
	r.n--
	return v
}

// sendQueue holds messages not sent yet: highest priority first, and first in
// first out within one. Few priorities are in use at a time.
type sendQueue struct {
	classes []sendClass // by falling priority
	n       int
	bytes   int
}

type sendClass struct {
	priority uint16
	queue    ring[*Message]
}

func (q *sendQueue) len() int { return q.n }

func (q *sendQueue) push(m *Message) {
	q.n++
	q.bytes += m.Len()
	i := 0
	for ; i < len(q.classes); i++ {
		if q.classes[i].priority == m.Priority {
			q.classes[i].queue.push(m)
			return
		}
		if q.classes[i].priority < m.Priority {
			break
		}
	}
	q.classes = append(q.classes, sendClass{})
	copy(q.classes[i+1:], q.classes[i:])
	q.classes[i] = sendClass{priority: m.Priority}
	q.classes[i].queue.push(m)
}

// pop returns nil when the queue is empty.
func (q *sendQueue) pop() *Message {
	for i := range q.classes {
		if c := &q.classes[i]; c.queue.len() > 0 {
			m := c.queue.pop()
			q.n--
			q.bytes -= m.Len()
			return m
		}
	}
	return nil
}

func (q *sendQueue) clear() { *q = sendQueue{} }

// sentQueue holds what a lossless session has given to the network and the peer
// has not acknowledged. The first wired of them are on the current link; the
// rest were on an earlier one and go out again.
type sentQueue struct {
	ring  ring[sentMessage]
	wired int
	bytes int
}

type sentMessage struct {
	m   *Message
	seq uint64
}

// add appends a message that is being written now.
func (q *sentQueue) add(m *Message, seq uint64) {
	q.ring.push(sentMessage{m, seq})
	q.wired++
	q.bytes += m.Len()
}

// resend returns the next message to write again.
func (q *sentQueue) resend() (sentMessage, bool) {
	if q.wired == q.ring.len() {
		return sentMessage{}, false
	}
	q.wired++
	return q.ring.at(q.wired - 1), true
}

// rewind makes everything unacknowledged go out again.
func (q *sentQueue) rewind() { q.wired = 0 }

// trim forgets what is acknowledged up to seq.
func (q *sentQueue) trim(seq uint64) {
	for q.ring.len() > 0 && q.ring.at(0).seq <= seq {
		q.bytes -= q.ring.pop().m.Len()
		q.wired = max(0, q.wired-1)
	}
}

func (q *sentQueue) clear() { *q = sentQueue{} }
