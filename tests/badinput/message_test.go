package badinput

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"sepiola/entity"
	"sepiola/internal/goldencap"
)

// guise is as whom a message is sent.
type guise struct {
	kind  entity.Type
	num   int64
	lossy bool
}

// guises are those that a port has to do with, and some that it has not.
func guises(p port) []guise {
	switch {
	case p.server == entity.TypeOSD && len(p.name) > 6 && p.name[6:] == "cluster":
		return []guise{{entity.TypeOSD, 1, false}, {entity.TypeOSD, 77, false}, {entity.TypeOSD, -1, false}, {entity.TypeClient, 5, true}}
	case p.server == entity.TypeOSD:
		return []guise{{entity.TypeClient, 5, true}, {entity.TypeOSD, 1, true}, {entity.TypeMon, 0, true}, {entity.TypeMgr, 0, true}}
	}
	return []guise{{entity.TypeClient, 5, true}, {entity.TypeOSD, 77, true}, {entity.TypeMgr, 0, true}, {entity.TypeMDS, 3, true}}
}

// mutate damages a message in one of several ways. What it yields may still be one
// that can be read.
func mutate(r *rand.Rand, m *goldencap.Sample) *goldencap.Sample {
	out := *m
	segment := &out.Front
	if len(out.Data) > 0 && r.IntN(4) == 0 {
		segment = &out.Data
	}
	p := bytes.Clone(*segment)
	switch n := len(p); {
	case n == 0 || r.IntN(10) == 0:
		switch r.IntN(3) {
		case 0:
			out.Version, out.Compat = 200, 200
		case 1:
			out.Type ^= uint16(1 << r.IntN(16))
		default:
			out.Front, out.Middle, out.Data = out.Data, out.Front, out.Middle
		}
		return &out
	case r.IntN(4) == 0: // cut off
		p = p[:r.IntN(n)]
	case r.IntN(3) == 0: // a length that is too great, most likely
		at := r.IntN(n)
		copy(p[at:], []byte{0xff, 0xff, 0xff, byte(r.IntN(256))})
	case r.IntN(2) == 0: // something left out
		at := r.IntN(n)
		p = slices.Delete(p, at, min(n, at+1+r.IntN(8)))
	default:
		for range 1 + r.IntN(4) {
			p[r.IntN(n)] ^= byte(1 + r.IntN(255))
		}
	}
	*segment = p
	return &out
}

// Messages that cannot be read, or make no sense, from whoever was let in, end that
// session and no other; no message brings a daemon down.
func TestMalformedMessages(t *testing.T) {
	w := newWorld(t)
	samples := append(goldencap.Load(t, "../../testdata/golden/message"), goldencap.Load(t, "../../testdata/golden/pglog/messages")...)
	strange := []*goldencap.Sample{
		{Type: 0, Version: 1, Compat: 1}, {Type: 9999, Version: 1, Compat: 1, Front: []byte("x")}, {Type: 0xffff, Version: 0xffff, Compat: 0xffff},
	}
	for _, m := range samples {
		if len(m.Front)+len(m.Data) > 64<<10 {
			continue // long ones take long
		}
		strange = append(strange, m)
	}
	const share = 6 // of the messages, for each port and guise
	// A line is written after its connection was closed, perhaps only when the next
	// port has its turn: lines are compared for each daemon, over all rounds.
	lines, sent := map[string]int{}, map[string]int{}
	for _, p := range w.ports {
		lines[p.daemon] = w.lines(p.daemon)
	}
	round := func() (n int) {
		for _, p := range w.ports {
			for _, g := range guises(p) {
				m := w.pour(p, g, strange, share)
				sent[p.daemon] += m
				n += m
			}
		}
		return n
	}
	round()
	before := w.usages()
	n := 0
	for range 2 {
		n += round()
	}
	t.Logf("%d messages", n)
	for name, m := range sent {
		if got := w.lines(name) - lines[name]; got > m {
			t.Errorf("%s: %d lines about %d messages", name, got, m)
		}
	}
	w.sameUsage(before)
}

// pour sends a share of the messages, damaged, over as many sessions as it takes.
func (w *world) pour(p port, g guise, messages []*goldencap.Sample, share int) (n int) {
	w.t.Helper()
	var s *peer
	defer func() {
		if s != nil {
			if err := s.finish(); err != nil {
				w.t.Errorf("%s: %v", p.name, err)
			}
		}
	}()
	for i := w.rnd.IntN(share); i < len(messages); i += share {
		if s == nil {
			var err error
			if s, err = dial(p); err != nil {
				w.t.Fatalf("%s: %v", p.name, err)
			}
			if err := s.open(p, g.kind, g.num, w.nextNonce(), g.lossy); err != nil {
				s.conn.Close()
				s = nil
				if g.kind == entity.TypeClient {
					w.t.Errorf("%s: a client was not let in: %v", p.name, err)
				}
				return n
			}
		}
		m := messages[i]
		if w.rnd.IntN(8) != 0 {
			m = mutate(w.rnd, m)
		}
		n++
		closed, err := s.send(m)
		if err != nil {
			w.t.Errorf("%s: after a message of type %d (%s): %v", p.name, m.Type, m.File, err)
		}
		if closed || err != nil {
			s.conn.Close()
			s = nil
		}
	}
	return n
}

// A message of a type that does not exist ends the session, with one line that names
// the type; and the next session is served.
func TestUnknownTypes(t *testing.T) {
	w := newWorld(t)
	for _, p := range w.ports {
		for _, g := range guises(p)[:1] {
			lines := w.lines(p.daemon)
			const attempts = 50
			for range attempts {
				s, err := dial(p)
				must(t, err)
				must(t, s.open(p, g.kind, g.num, w.nextNonce(), g.lossy))
				closed, err := s.send(&goldencap.Sample{Type: 4711, Version: 1, Compat: 1, Front: []byte("what")})
				if err != nil || !closed {
					t.Fatalf("%s: closed is %v, %v", p.name, closed, err)
				}
				s.conn.Close()
			}
			// A line is written after the connection is closed.
			deadline := time.Now().Add(patience)
			for w.lines(p.daemon)-lines < attempts && time.Now().Before(deadline) {
				time.Sleep(time.Millisecond)
			}
			if got := w.lines(p.daemon) - lines; got != attempts {
				t.Errorf("%s: %d lines about %d messages", p.name, got, attempts)
			}
		}
	}
}
