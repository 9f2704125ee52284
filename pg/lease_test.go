package pg_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sepiola/message"
	"sepiola/object"
	"sepiola/osdmap"
)

// TestNoStaleReads protects clients from a primary that was replaced and does not
// know: cut off from its peers and the monitor, but not from a client whose map is
// as old as its own, it must have stopped answering before its successor
// acknowledges anything.
func TestNoStaleReads(t *testing.T) {
	answered := 0
	for seed := range uint64(40) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { answered += staleReads(t, seed) })
	}
	if answered == 0 {
		t.Error("the old primary answered nothing after it was cut off: nothing was tested")
	}
}

func staleReads(t *testing.T, seed uint64) (answered int) {
	w := newWorld(t, seed, 3, 1, 3, 2)
	writer, reader := newClient(w, 1), newClient(w, 2)
	w.osds[0].createOwn()
	w.osds[1].createOwn()
	w.osds[2].createOwn()
	w.settle()
	for writer.epoch < w.current().Epoch {
		writer.nextMap()
	}
	for reader.epoch < w.current().Epoch {
		reader.nextMap()
	}
	w.cls = []*simClient{writer}
	old := w.current().PGToActingPrimary(object.PGID{Pool: poolID})
	for range w.rng.IntN(900) { // somewhere between two renewals
		w.step()
	}
	w.osds[old].cut = true
	since := len(writer.acked["a"])
	for range 6000 {
		w.step()
		// What the old primary has in flight would hold the reads up.
		deposed := w.maps[writer.epoch].PGToActingPrimary(object.PGID{Pool: poolID}) != old
		if deposed && len(writer.pending) == 0 {
			writer.start("a", false)
		}
		if len(reader.pending) == 0 {
			reader.start("a", true)
			reader.pending[0].acked = len(writer.acked["a"])
		}
		answered += oldRead(w, reader, writer)
		for int(w.osds[old].epoch) < len(w.maps)-1 && !w.osds[old].cut {
			w.osds[old].nextMap()
		}
	}
	if len(writer.acked["a"]) == since {
		t.Errorf("the successor acknowledged nothing: %s", w.describe())
	}
	return answered
}

// oldRead takes the reader's part one step further, and checks what it reads.
func oldRead(w *world, reader, writer *simClient) (answered int) {
	for _, s := range reader.sessions {
		if len(s.queue) > 0 {
			s.deliver()
		}
		if len(s.replies) == 0 {
			continue
		}
		op := reader.pending[0]
		content := string(s.replies[0].(*message.OSDOpReply).Ops[0].Out.Flat())
		s.replies = s.replies[1:]
		reader.pending = nil
		for _, word := range writer.acked["a"][:op.acked] {
			if !strings.Contains(content, word) {
				w.fail("read %q lacks %s, which was acknowledged before it was sent", content, word)
			}
		}
		answered++
	}
	return answered
}

// TestRestartDoesNotWait protects the time in which clients go on when an OSD
// restarts or is known to be dead: only those of whom nothing is known are waited
// for.
func TestRestartDoesNotWait(t *testing.T) {
	for _, dead := range []bool{true, false} {
		w := newWorld(t, 3, 3, 1, 3, 2)
		w.conf.ReadLeaseInterval = time.Hour
		newClient(w, 1)
		for _, o := range w.osds {
			o.createOwn()
		}
		w.settle()
		id := w.current().PGToActingPrimary(object.PGID{Pool: poolID})
		w.osds[id].crash()
		w.change(func(m *osdmap.Map) {
			m.OSDState[id] &^= osdmap.OSDUp
			m.OSDInfo[id].DownAt = m.Epoch
			if dead {
				m.OSDXInfo[id].DeadEpoch = m.Epoch
			}
		})
		w.calm(4000)
		next := w.current().PGToActingPrimary(object.PGID{Pool: poolID})
		state := w.osds[next].pgs[object.PGID{Pool: poolID}].State().String()
		if waits := strings.Contains(state, "wait"); waits == dead {
			t.Errorf("dead %v: %s", dead, state)
		}
		w.restart(w.osds[id])
		w.settle()
	}
}

// calm lets the cluster work on without faults and clients.
func (w *world) calm(steps int) {
	for range steps {
		w.now = w.now.Add(time.Millisecond)
		w.deliverOne()
		w.commitOne()
		w.advanceOne()
		w.monitor()
	}
}
