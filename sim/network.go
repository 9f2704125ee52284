package sim

import (
	"time"

	"sepiola/message"
)

// link carries messages from one end to another, in order, as a lossless session
// does. While it is cut they wait.
type link struct {
	from, to int
	queue    []parcel
	last     time.Duration // when the newest one arrives
	cut      int           // by how many faults
	busy     bool          // the first one's arrival is planned
}

type parcel struct {
	at         time.Duration
	background bool
	deliver    func()
}

// Ends of wires: the OSDs by their numbers, then the monitor, then the clients.

func (w *world) monEnd() int             { return len(w.nodes) }
func (w *world) clientEnd(c int) int     { return len(w.nodes) + 1 + c }
func (w *world) wire(from, to int) *link { return w.wires[from*w.ends+to] }

func (w *world) connect(clients int) {
	w.ends = len(w.nodes) + 1 + clients
	w.wires = make([]*link, w.ends*w.ends)
	for i := range w.wires {
		w.wires[i] = &link{from: i / w.ends, to: i % w.ends}
	}
}

// post sends something.
func (w *world) post(from, to int, background bool, deliver func()) {
	x := w.wire(from, to)
	x.last = max(x.last, w.now+w.delay(from, to))
	x.queue = append(x.queue, parcel{x.last, background, deliver})
	if !background {
		w.traveling++
	}
	w.pump(x)
}

// delay is how long a message takes.
func (w *world) delay(from, to int) time.Duration {
	d := w.uniform(20*time.Microsecond, 200*time.Microsecond)
	if w.quiet {
		return d
	}
	if w.has(FaultDelay) && w.oneIn(w.taste.delayOneIn) {
		d += w.uniform(0, 30*time.Millisecond)
	}
	if w.has(FaultMaps) && from == w.monEnd() && w.oneIn(3) {
		d += w.uniform(0, 60*time.Millisecond)
	}
	return d
}

// pump plans the arrival of a wire's first message.
func (w *world) pump(x *link) {
	if x.busy || x.cut > 0 || len(x.queue) == 0 {
		return
	}
	x.busy = true
	w.at(x.queue[0].at, func() {
		x.busy = false
		if x.cut > 0 || len(x.queue) == 0 {
			return
		}
		if x.queue[0].at > w.now {
			w.pump(x) // the one this was planned for was lost
			return
		}
		p := x.queue[0]
		x.queue[0] = parcel{}
		x.queue = x.queue[1:]
		if !p.background {
			w.traveling--
		}
		w.pump(x)
		p.deliver()
	})
}

// lose drops all on a wire but the first n messages.
func (w *world) lose(x *link, n int) {
	for i := n; i < len(x.queue); i++ {
		if !x.queue[i].background {
			w.traveling--
		}
		x.queue[i] = parcel{}
	}
	x.queue = x.queue[:min(n, len(x.queue))]
}

// loseAll ends the sessions of one end: of what it sent, some may still arrive.
func (w *world) loseAll(end int) {
	for other := range w.ends {
		w.lose(w.wire(other, end), 0)
		out := w.wire(end, other)
		w.lose(out, w.rng.IntN(len(out.queue)+1))
	}
}

func (w *world) cut(from, to int) { w.wire(from, to).cut++ }

func (w *world) heal(from, to int) {
	x := w.wire(from, to)
	x.cut--
	w.pump(x)
}

// copies returns a function that gives each receiver a message of its own, as it
// comes off the wire.
func (w *world) copies(b message.Body) func() message.Body {
	m := message.Encode(b, 0)
	front, data := m.Front.Flat(), m.Data.Flat()
	return func() message.Body {
		m := *m
		m.Front = [][]byte{append([]byte(nil), front...)}
		m.Data = nil
		if len(data) > 0 {
			m.Data = [][]byte{append([]byte(nil), data...)}
		}
		got, err := message.Decode(&m)
		if err != nil {
			w.fail("codec", "%s does not decode: %v", message.TypeName(b.Type()), err)
		}
		return got
	}
}

// isBackground reports whether OSDs exchange the message all the time, so that a
// cluster at rest has such on its wires.
func isBackground(b message.Body) bool {
	switch b.(type) {
	case *message.OSDPGLease, *message.OSDPGLeaseAck:
		return true
	}
	return false
}
