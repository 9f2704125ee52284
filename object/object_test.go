package object

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sepiola/wire"
)

// Objects are where the reference has them: what "ceph osd map POOL NAME [NAMESPACE]"
// of Ceph 16.2.15 says, with names of every length modulo the hash's block.
func TestPlacementHash(t *testing.T) {
	for _, c := range []struct {
		namespace, name string
		hash            uint32
	}{
		{"", "a", 0x29eec818}, {"nspace", "a", 0xfe6818cf},
		{"", "foo", 0x7fc1f406}, {"nspace", "foo", 0x01272949},
		{"", "hello-world", 0x26d9c939}, {"nspace", "hello-world", 0xe12ab1d8},
		{"", "123456789012", 0xf7e45e60}, {"nspace", "123456789012", 0xb1448eb1},
		{"", "1234567890123", 0x8f57066a}, {"nspace", "1234567890123", 0xa618d529},
		{"", "ünï", 0x6e2777bb}, {"nspace", "ünï", 0xc4824d05},
		{"", "rbd_data.102a6b8b4567.0000000000000000", 0x785ce3e3}, {"nspace", "rbd_data.102a6b8b4567.0000000000000000", 0xe8fd0601},
	} {
		if got := PlacementHash(HashRjenkins, c.namespace, "", c.name); got != c.hash {
			t.Errorf("%q in %q hashes to %08x, want %08x", c.name, c.namespace, got, c.hash)
		}
		if got := PlacementHash(HashRjenkins, c.namespace, c.name, "something else"); got != c.hash {
			t.Errorf("with %q as its key, an object hashes to %08x, want %08x", c.name, got, c.hash)
		}
	}
	if got := HashType(9).Hash("x"); got != math.MaxUint32 {
		t.Errorf("an unknown hash gives %x", got)
	}
	if HashLinux.String() != "linux" || HashRjenkins.String() != "rjenkins" || HashType(9).String() != "unknown" {
		t.Error("names of hashes")
	}
}

// The masks are the least 2^k-1 that reaches n-1, up to the greatest n there can be.
func TestMaskFor(t *testing.T) {
	for n, want := range map[uint32]uint32{0: 0, 1: 0, 2: 1, 3: 3, 4: 3, 5: 7, 8: 7, 9: 15, 1 << 31: 1<<31 - 1, 1<<31 + 1: math.MaxUint32, math.MaxUint32: math.MaxUint32} {
		if got := MaskFor(n); got != want {
			t.Errorf("mask for %d is %x, want %x", n, got, want)
		}
	}
}

// Adding a PG moves objects to the new one only.
func TestStableMod(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint32Range(1, 1<<20).Draw(t, "n")
		x := rapid.Uint32().Draw(t, "x")
		before, after := StableMod(x, n, MaskFor(n)), StableMod(x, n+1, MaskFor(n+1))
		if before >= n || after != before && after != n {
			t.Fatalf("%d of %d became %d", before, n, after)
		}
		if !(PGID{Pool: 1, Seed: before}).Contains(x, n) {
			t.Fatal("the PG does not contain its object")
		}
	})
}

// goldenIDs are the object ids at the beginning of object_info_t, as OSDs of the
// reference keep it.
func goldenIDs(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("../testdata/golden/pglog/object/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden objects: %v", err)
	}
	out := map[string][]byte{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		sc := bufio.NewScanner(bytes.NewReader(b))
		sc.Buffer(nil, 1<<20)
		for sc.Scan() {
			name, text, _ := strings.Cut(sc.Text(), " ")
			if p, err := hex.DecodeString(text); name == "_" && err == nil {
				d := wire.NewDecoder(p)
				d.Begin(255)
				at := d.Offset()
				d.End(d.Begin(255))
				out[filepath.Base(f)] = p[at:d.Offset()]
			}
		}
	}
	return out
}

// The ids that the reference's OSDs store are read, understood and written byte for
// byte; and the name hashes to what they say.
func TestGoldenIDs(t *testing.T) {
	ids := goldenIDs(t)
	if len(ids) < 2 {
		t.Fatalf("%d ids", len(ids))
	}
	for file, p := range ids {
		d := wire.NewDecoder(p)
		o := DecodeID(d)
		if err := d.Finish(); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		e := wire.NewEncoder(0)
		o.Encode(e)
		if !bytes.Equal(e.Bytes(), p) {
			t.Errorf("%s: %v is %x, was %x", file, o, e.Bytes(), p)
		}
		// Hit sets are where their PG is, whatever their name.
		if got := PlacementHash(HashRjenkins, o.Namespace, o.Key, o.Name); got != o.Hash && o.Namespace != ".ceph-internal" {
			t.Errorf("%s: %v hashes to %08x", file, o, got)
		}
		if o.IsHead() == o.IsSnap() || o.Pool < 1 {
			t.Errorf("%s: %v", file, o)
		}
	}
}

// genID draws ids of objects, the special ones among them.
func genID() *rapid.Generator[ID] {
	text := rapid.OneOf(rapid.SampledFrom([]string{"", "a", "%", ":/", "\x00\xff", "é"}), rapid.String())
	return rapid.Custom(func(t *rapid.T) ID {
		switch rapid.IntRange(0, 20).Draw(t, "special") {
		case 0:
			return Min
		case 1:
			return Max
		}
		return ID{Name: text.Draw(t, "name"), Key: text.Draw(t, "key"), Namespace: text.Draw(t, "namespace"),
			Snap: SnapID(rapid.OneOf(rapid.SampledFrom([]uint64{0, 1, uint64(NoSnap), uint64(SnapDir)}), rapid.Uint64()).Draw(t, "snap")),
			Hash: rapid.OneOf(rapid.SampledFrom([]uint32{0, 1, 1 << 31}), rapid.Uint32()).Draw(t, "hash"),
			Pool: rapid.OneOf(rapid.SampledFrom([]int64{0, 1, -1, -3}), rapid.Int64Range(-10, 10)).Draw(t, "pool")}
	})
}

func genGID() *rapid.Generator[GID] {
	return rapid.Custom(func(t *rapid.T) GID {
		if rapid.IntRange(0, 20).Draw(t, "special") == 0 {
			return GMax
		}
		return GID{ID: genID().Draw(t, "id"), Gen: rapid.OneOf(rapid.Just(NoGen), rapid.Uint64()).Draw(t, "gen"),
			Shard: rapid.Int8Range(-1, 10).Draw(t, "shard")}
	})
}

// Ids come back whole from their encodings and their text.
func TestIDRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := genGID().Draw(t, "g")
		if g.ID == (ID{Pool: PoolMeta}) {
			t.Skip("an old spelling of the least id")
		}
		e := wire.NewEncoder(0)
		g.Encode(e)
		g.ID.Encode(e)
		d := wire.NewDecoder(e.Bytes())
		if got, id := DecodeGID(d), DecodeID(d); got != g || id != g.ID || d.Finish() != nil {
			t.Fatalf("%v came back as %v and %v (%v)", g, got, id, d.Err())
		}
		if got, err := ParseID(g.ID.String()); err != nil || got != g.ID {
			t.Fatalf("%v came back as %v (%v)", g.ID, got, err)
		}
		p := SPGID{PGID{rapid.Int64Range(0, 1<<40).Draw(t, "pool"), g.Hash}, g.Shard}
		if got, err := ParseSPGID(p.String()); err != nil || got != p {
			t.Fatalf("%v came back as %v (%v)", p, got, err)
		}
		e = wire.NewEncoder(0)
		p.Encode(e)
		l := Locator{Pool: p.Pool, Key: g.Key, Namespace: g.Namespace, Hash: -1}
		if l.Key == "" {
			l.Hash = int64(g.Hash)
		}
		l.Encode(e)
		d = wire.NewDecoder(e.Bytes())
		if got, loc := DecodeSPGID(d), DecodeLocator(d); got != p || loc != l || d.Finish() != nil {
			t.Fatalf("%v %+v came back as %v %+v (%v)", p, l, got, loc, d.Err())
		}
	})
}

// The order is total, and that of pool, reversed hash, namespace, key and name.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(genGID(), 3, 3).Draw(t, "list")
		a, b, c := list[0], list[1], list[2]
		if a.Compare(b) != -b.Compare(a) || a.Compare(a) != 0 {
			t.Fatalf("%v and %v", a, b)
		}
		if a.Compare(b) <= 0 && b.Compare(c) <= 0 && a.Compare(c) > 0 {
			t.Fatalf("%v, %v, %v are in no order", a, b, c)
		}
		if a.Less(b) != (a.Compare(b) < 0) || a.ID.Less(b.ID) != (a.ID.Compare(b.ID) < 0) {
			t.Fatal("Less is not Compare")
		}
		if Max.Compare(a.ID) < 0 || Min.Compare(a.ID) > 0 || GMax.Compare(a) < 0 {
			t.Fatalf("%v is out of range", a)
		}
	})
	head := func(pool int64, hash uint32, namespace, key, name string, snap SnapID) ID {
		return ID{Pool: pool, Hash: hash, Namespace: namespace, Key: key, Name: name, Snap: snap}
	}
	// hobject_t::cmp: each differs from the one before in one field.
	sorted := []ID{
		Min, head(-3, 0, "", "", "z", NoSnap), head(1, 0, "", "", "z", 1), head(1, 0, "", "", "z", NoSnap), head(1, 0, "", "", "z", SnapDir),
		head(1, 0, "", "za", "a", 1), head(1, 0, "a", "", "a", 1), head(1, 1<<31, "", "", "a", 1), head(1, 1<<30, "", "", "a", 1),
		head(1, 1, "", "", "a", 1), head(2, 0, "", "", "a", 1), Max,
	}
	if !slices.IsSortedFunc(sorted, ID.Compare) {
		t.Errorf("out of order: %v", sorted)
	}
	for i := range len(sorted) - 1 {
		if sorted[i].Compare(sorted[i+1]) >= 0 {
			t.Errorf("%v is not before %v", sorted[i], sorted[i+1])
		}
	}
}

// Names are printed as Ceph prints them (hobject_t's and ghobject_t's operator<<).
func TestStrings(t *testing.T) {
	o := Head(2, "ns", "", "a:b%c/d\n", 0x7fc1f406)
	for got, want := range map[string]string{
		o.String():                                  "2:602f83fe:ns::a%3ab%25c%2fd%0a:head",
		o.WithSnap(0x1f).String():                   "2:602f83fe:ns::a%3ab%25c%2fd%0a:1f",
		o.WithSnap(SnapDir).String():                "2:602f83fe:ns::a%3ab%25c%2fd%0a:snapdir",
		Min.String():                                "MIN",
		Max.String():                                "MAX",
		G(o).String():                               "#2:602f83fe:ns::a%3ab%25c%2fd%0a:head#",
		GID{ID: o, Gen: 0x2a, Shard: 1}.String():    "1#2:602f83fe:ns::a%3ab%25c%2fd%0a:head#2a",
		GMin.String():                               "GHMIN",
		GMax.String():                               "GHMAX",
		PGID{3, 0x1f}.String():                      "3.1f",
		PGID{3, 0x1f}.Whole().String():              "3.1f",
		SPGID{PGID{3, 0x1f}, 2}.String():            "3.1fs2",
		Head(1, "", "same", "same", 0).String():     "1:00000000:::same:head",
		PGID{3, 0x1f}.Whole().MetaObject().String(): "#3:f8000000::::0#",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for _, bad := range []string{"", "1:2:3", "x:0::::head", "1:zz::::head", "1:0:%:::head", "1:0:%zz:::head", "1:0::::later", "1:123456789::::head"} {
		if o, err := ParseID(bad); err == nil {
			t.Errorf("%q was read as %v", bad, o)
		}
	}
	for _, bad := range []string{"", "1", "1.", ".1", "1.g", "x.1", "1.1s", "1.1sx", "1.1s999"} {
		if p, err := ParseSPGID(bad); err == nil {
			t.Errorf("%q was read as %v", bad, p)
		}
	}
}

// Reversing a hash twice gives the hash, and nibbles stay whole.
func TestReversal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := rapid.Uint32().Draw(t, "h")
		if ReverseBits(ReverseBits(h)) != h || ReverseNibbles(ReverseNibbles(h)) != h {
			t.Fatalf("%x", h)
		}
	})
	if got := ReverseNibbles(0x12345678); got != 0x87654321 {
		t.Errorf("nibbles of 12345678 reversed are %x", got)
	}
	if got := ReverseBits(1); got != 1<<31 {
		t.Errorf("bits of 1 reversed are %x", got)
	}
}

func FuzzDecode(f *testing.F) {
	for _, p := range goldenIDs(f) {
		f.Add(p)
	}
	e := wire.NewEncoder(0)
	GMax.Encode(e)
	f.Add(e.Bytes())
	e = wire.NewEncoder(0)
	Locator{Pool: 1, Hash: 7}.Encode(e)
	f.Add(e.Bytes())
	f.Fuzz(func(t *testing.T, p []byte) {
		DecodeLocator(wire.NewDecoder(p))
		DecodeSPGID(wire.NewDecoder(p))
		d := wire.NewDecoder(p)
		o := DecodeID(d)
		if d.Err() == nil {
			// What was read can be written, and is read as the same.
			e := wire.NewEncoder(0)
			o.Encode(e)
			if got := DecodeID(wire.NewDecoder(e.Bytes())); got != o {
				t.Errorf("%v came back as %v", o, got)
			}
		}
		d = wire.NewDecoder(p)
		if g := DecodeGID(d); d.Err() == nil {
			e := wire.NewEncoder(0)
			g.Encode(e)
			if got := DecodeGID(wire.NewDecoder(e.Bytes())); got != g {
				t.Errorf("%v came back as %v", g, got)
			}
		}
	})
}
