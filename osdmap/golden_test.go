package osdmap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"sepiola/crush"
	"sepiola/wire"
)

// The reference cluster's maps: epochs 1, 60 and lastEpoch whole, and all
// increments between.
const (
	goldenDir = "../testdata/golden/osdmap"
	lastEpoch = 116
)

func golden(t testing.TB, name string) []byte {
	t.Helper()
	p, err := os.ReadFile(filepath.Join(goldenDir, name))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func goldenMap(t testing.TB, name string) *Map {
	t.Helper()
	m, err := DecodeMap(golden(t, name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return m
}

// goldenIncrementals splits a file of increments, each after its length.
func goldenIncrementals(t testing.TB, name string) [][]byte {
	t.Helper()
	var out [][]byte
	for p := golden(t, name); len(p) > 0; {
		n := binary.LittleEndian.Uint32(p)
		out = append(out, p[4:4+n])
		p = p[4+n:]
	}
	return out
}

// Maps encode to the very bytes Ceph's monitor made, or their CRCs would not
// match anybody else's.
func TestMapsReencode(t *testing.T) {
	for _, name := range []string{"full.1", "full.60", "full.116", "range.full"} {
		p := golden(t, name)
		m, err := DecodeMap(p)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !bytes.Equal(m.Encode(0), p) {
			t.Errorf("%s encodes differently", name)
		}
		if !bytes.Equal(m.Clone().Encode(0), p) {
			t.Errorf("a clone of %s encodes differently", name)
		}
	}
}

// Following a cluster by increments gives each map as the monitor has it, bit
// for bit: through pools of all kinds, snapshots, temporary and explicit
// mappings, tiers, blocklists, weights, flags, device classes, weight sets,
// splits and merges, OSDs that come, go, are destroyed and lost.
func TestIncrementalsReproduceTheMonitorsMaps(t *testing.T) {
	m := goldenMap(t, "full.1")
	for _, p := range goldenIncrementals(t, "incrementals.bin") {
		inc, err := DecodeIncremental(p)
		if err != nil {
			t.Fatalf("after epoch %d: %v", m.Epoch, err)
		}
		if !bytes.Equal(inc.Encode(0), p) {
			t.Errorf("increment %d encodes differently", inc.Epoch)
		}
		if inc.EncodeFeatures != SignificantFeatures {
			t.Errorf("increment %d is for features %x", inc.Epoch, inc.EncodeFeatures)
		}
		before := m.Encode(0)
		next, full, err := m.ApplyEncoded(p)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(m.Encode(0), before) {
			t.Fatalf("making epoch %d changed the map before it", inc.Epoch)
		}
		if (next.Epoch == 60 && !bytes.Equal(full, golden(t, "full.60"))) ||
			(next.Epoch == lastEpoch && !bytes.Equal(full, golden(t, "full.116"))) {
			t.Errorf("epoch %d is not the monitor's", next.Epoch)
		}
		m = next
	}
	if m.Epoch != lastEpoch {
		t.Errorf("ended with epoch %d", m.Epoch)
	}
}

// Blocked networks came late to Ceph 16 and raise the version of the encoding
// where they are used.
func TestRangeBlocklistIncrementals(t *testing.T) {
	m := goldenMap(t, "range.first")
	for _, p := range goldenIncrementals(t, "range.incrementals") {
		inc, err := DecodeIncremental(p)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(inc.Encode(0), p) {
			t.Errorf("increment %d encodes differently", inc.Epoch)
		}
		if m, _, err = m.ApplyEncoded(p); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(m.Encode(0), golden(t, "range.full")) {
		t.Error("the last map is not the monitor's")
	}
}

// A map whose bytes were damaged is refused, wherever the damage is.
func TestDamageIsNoticed(t *testing.T) {
	p := golden(t, "full.1")
	for i := range p {
		q := bytes.Clone(p)
		q[i] ^= 0x10
		if _, err := DecodeMap(q); !errors.Is(err, wire.ErrMalformed) && !errors.Is(err, wire.ErrShort) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
		if _, err := DecodeMap(p[:i]); err == nil {
			t.Fatalf("cut at %d: accepted", i)
		}
	}
	inc := goldenIncrementals(t, "incrementals.bin")[5]
	for i := range inc {
		q := bytes.Clone(inc)
		q[i] ^= 0x10
		if _, err := DecodeIncremental(q); err == nil {
			t.Fatalf("increment with byte %d flipped: accepted", i)
		}
	}
}

// A new cluster's first map is the one `ceph-mon --mkfs` makes.
func TestNewIsWhatMkfsMakes(t *testing.T) {
	p := golden(t, "full.1")
	want := goldenMap(t, "full.1")
	cm, err := crush.NewDefaultOver("osd")
	if err != nil {
		t.Fatal(err)
	}
	if got := New(want.FSID, 1, want.Created, cm).Encode(0); !bytes.Equal(got, p) {
		t.Errorf("got\n%x\nwant\n%x", got, p)
	}
}

// Monitor maps encode to the bytes Ceph made of them.
func TestMonMapsReencode(t *testing.T) {
	for _, name := range []string{"monmap", "monmap.two"} {
		p := golden(t, name)
		m, err := DecodeMonMap(p)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(m.Encode(), p) {
			t.Errorf("%s encodes differently", name)
		}
		if !bytes.Equal(m.Clone().Encode(), p) {
			t.Errorf("a clone of %s encodes differently", name)
		}
	}
}
