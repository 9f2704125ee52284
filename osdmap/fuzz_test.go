package osdmap

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"sepiola/entity"
	"sepiola/jsonfmt"
	"sepiola/object"
	"sepiola/wire"
)

// withCRC returns p with the CRC put right whose place is tail bytes before the
// end, so that fuzzing gets past it.
func withCRC(p []byte, tail int) []byte {
	if len(p) < tail {
		return p
	}
	q := bytes.Clone(p)
	hole := len(q) - tail
	binary.LittleEndian.PutUint32(q[hole:], crcAround(q, hole))
	return q
}

// exercise does with a map what programs do, on few PGs of each pool.
func exercise(m *Map) {
	for id, p := range m.Pools {
		for seed := range min(p.PGNum, 8) {
			pg := object.PGID{Pool: id, Seed: seed}
			was := m.MappingOf(pg)
			m.PGToRawUpmap(pg)
			IsNewInterval(pg, m, was, m, was)
			ClosedInterval(pg, m, was, m, 1, 1, func([]PGShard) bool { return true })
		}
		m.ObjectToPG("foo", object.Locator{Pool: id, Hash: -1})
		for pg := range m.PGTemp {
			m.PGToUpActing(pg)
		}
	}
	m.IsBlocklisted(entity.Addr{})
	m.Print()
	m.PrintTree(TreeUp, "")
	w := jsonfmt.New(true)
	w.OpenObject("")
	m.DumpJSON(w)
	m.DumpTree(w, 0, "")
	w.Close()
}

// No bytes make decoding, placement or printing panic, and what is accepted
// encodes to something that decodes to the same bytes again.
func FuzzDecodeMap(f *testing.F) {
	for _, name := range []string{"full.1", "full.60", "full.116", "range.full"} {
		f.Add(golden(f, name))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		m, err := DecodeMap(withCRC(p, 4))
		if err != nil {
			return
		}
		exercise(m)
		again, err := DecodeMap(m.Encode(0))
		if err != nil {
			t.Fatalf("what was accepted does not decode again: %v", err)
		}
		if !bytes.Equal(again.Encode(0), m.Encode(0)) {
			t.Fatal("encoding is not stable")
		}
	})
}

// Maps with a few bytes changed are refused or harmless: fuzzing in small, on
// each run of the tests.
func TestDamagedMapsDoNoHarm(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	seeds := [][]byte{golden(t, "full.116"), golden(t, "full.60"), golden(t, "range.full"), largeMap(t, 16).Encode(0)}
	accepted := 0
	for range 300 {
		p := bytes.Clone(seeds[r.IntN(len(seeds))])
		for range 1 + r.IntN(3) {
			i := r.IntN(len(p))
			p[i] = []byte{0, 0xff, byte(r.Uint32()), p[i] ^ 1<<r.IntN(8)}[r.IntN(4)]
		}
		m, err := DecodeMap(withCRC(p, 4))
		if err != nil {
			continue
		}
		accepted++
		exercise(m)
		if _, err := DecodeMap(m.Encode(0)); err != nil {
			t.Fatalf("what was accepted does not decode again: %v", err)
		}
	}
	if accepted < 50 {
		t.Errorf("only %d maps got past the decoder", accepted)
	}
}

// No bytes make decoding or applying an increment panic.
func FuzzDecodeIncremental(f *testing.F) {
	for _, p := range goldenIncrementals(f, "incrementals.bin") {
		f.Add(p)
	}
	for _, p := range goldenIncrementals(f, "range.incrementals") {
		f.Add(p)
	}
	base := goldenMap(f, "full.60")
	f.Fuzz(func(t *testing.T, p []byte) {
		inc, err := DecodeIncremental(withCRC(p, 8))
		if err != nil {
			return
		}
		if _, err := DecodeIncremental(inc.Encode(0)); err != nil {
			t.Fatalf("what was accepted does not decode again: %v", err)
		}
		m := base.Clone()
		inc.FSID, inc.Epoch = m.FSID, m.Epoch+1
		if m.Apply(inc) == nil {
			exercise(m)
			m.Encode(0)
		}
	})
}

// No bytes make decoding or printing a monitor map panic.
func FuzzDecodeMonMap(f *testing.F) {
	f.Add(golden(f, "monmap"))
	f.Add(golden(f, "monmap.two"))
	f.Fuzz(func(t *testing.T, p []byte) {
		m, err := DecodeMonMap(p)
		if err != nil {
			return
		}
		m.Print()
		w := jsonfmt.New(false)
		w.OpenObject("")
		m.DumpJSON(w)
		w.Close()
		if _, err := DecodeMonMap(m.Encode()); err != nil {
			t.Fatalf("what was accepted does not decode again: %v", err)
		}
	})
}

// No bytes make decoding past intervals panic.
func FuzzDecodePastIntervals(f *testing.F) {
	for p := golden(f, "past-intervals.bin"); len(p) > 0; {
		n := binary.LittleEndian.Uint32(p)
		f.Add(p[4 : 4+n])
		p = p[4+n:]
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		d := wire.NewDecoder(p)
		pi := DecodePastIntervals(d)
		if d.Err() != nil {
			return
		}
		_ = pi.String()
		var e wire.Encoder
		pi.Encode(&e)
		if d := wire.NewDecoder(e.Bytes()); !DecodePastIntervals(d).equal(pi) || d.Finish() != nil {
			t.Fatal("what was accepted does not decode again")
		}
	})
}

func (p PastIntervals) equal(o PastIntervals) bool { return p.String() == o.String() }

// No bytes make decoding or printing a pool panic.
func FuzzDecodePool(f *testing.F) {
	for _, p := range goldenMap(f, "full.116").Pools {
		var e wire.Encoder
		p.Encode(&e)
		f.Add(e.Bytes())
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		d := wire.NewDecoder(p)
		pool := DecodePool(d)
		if d.Err() != nil {
			return
		}
		_ = pool.String()
		var e wire.Encoder
		pool.Encode(&e)
		if d := wire.NewDecoder(e.Bytes()); DecodePool(d) == nil || d.Finish() != nil {
			t.Fatal("what was accepted does not decode again")
		}
	})
}
