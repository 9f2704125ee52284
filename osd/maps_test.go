package osd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"testing"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/objectstore"
	"sepiola/objectstore/memstore"
	"sepiola/osdmap"
	"sepiola/wire"
)

// history is what a monitor of the reference has of a cluster: the full map of epoch
// 1, and the increments from 2 on.
type history struct {
	first []byte
	incs  map[uint32][]byte
}

func golden(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("../testdata/golden/osdmap/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readHistory(t testing.TB) history {
	h := history{first: golden(t, "full.1"), incs: map[uint32][]byte{}}
	b := golden(t, "incrementals.bin")
	for e := uint32(2); len(b) > 0; e++ {
		n := binary.LittleEndian.Uint32(b)
		h.incs[e] = b[4 : 4+n]
		b = b[4+n:]
	}
	return h
}

// message has the increments from first to last, and the full maps named.
func (h history) message(first, last uint32, full map[uint32][]byte) *message.OSDMapMsg {
	m := &message.OSDMapMsg{Maps: map[uint32][]byte{}, Incrementals: map[uint32][]byte{}}
	for e := max(first, 2); e <= last; e++ {
		m.Incrementals[e] = h.incs[e]
	}
	if first == 1 {
		m.Maps[1] = h.first
	}
	for e, b := range full {
		m.Maps[e] = b
	}
	return m
}

func newStore(t testing.TB, id objectstore.Identity) *memstore.Store {
	t.Helper()
	s := memstore.New()
	for _, err := range []error{Mkfs(s, id), s.Mount()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func newMaps(t testing.TB, store objectstore.Store) *mapStore {
	t.Helper()
	s, err := openMaps(store, 10)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func add(t testing.TB, s *mapStore, m *message.OSDMapMsg) []*osdmap.Map {
	t.Helper()
	added, err := s.Add(m)
	if err != nil {
		t.Fatal(err)
	}
	return added
}

var everything = mapLimits{maps: 1000, bytes: 1 << 30}

// Increments lead, one by one or many at once, to the very bytes that the reference
// has of the newest map; and a restart finds them all.
func TestMapsFollowIncrements(t *testing.T) {
	h := readHistory(t)
	store := newStore(t, objectstore.Identity{WhoAmI: 3})
	s := newMaps(t, store)
	add(t, s, h.message(1, 1, nil))
	for e := uint32(2); e <= 60; e++ {
		if added := add(t, s, h.message(e, e, nil)); len(added) != 1 || added[0].Epoch != e {
			t.Fatalf("epoch %d brought %d maps", e, len(added))
		}
	}
	if added := add(t, s, h.message(40, 116, nil)); len(added) != 56 || added[0].Epoch != 61 {
		t.Fatalf("a message that overlaps brought %d maps", len(added))
	}
	if added := add(t, s, h.message(1, 116, nil)); len(added) != 0 {
		t.Fatalf("a message of old maps brought %d", len(added))
	}
	for _, s := range []*mapStore{s, newMaps(t, store)} {
		if super := s.Super(); super.OldestMap != 1 || super.NewestMap != 116 || super.CurrentEpoch != 116 || super.Whoami != 3 {
			t.Fatalf("superblock %+v", super)
		}
		for _, e := range []uint32{60, 116} {
			if !bytes.Equal(s.full(e), golden(t, fmt.Sprintf("full.%d", e))) {
				t.Errorf("the full map of epoch %d differs from the reference's", e)
			}
		}
		for e := uint32(1); e <= 116; e++ {
			if m := s.Get(e); m == nil || m.Epoch != e {
				t.Fatalf("epoch %d is %v", e, m)
			}
		}
		if s.Get(0) != nil || s.Get(117) != nil {
			t.Error("there are maps that nobody made")
		}
		if len(s.cache) > s.cacheMax || len(s.incs) > s.cacheMax {
			t.Errorf("%d maps and %d increments in memory, at most %d are meant to be", len(s.cache), len(s.incs), s.cacheMax)
		}
	}
}

// Maps that do not follow, or that cannot be read, change nothing.
func TestMapsRefused(t *testing.T) {
	h := readHistory(t)
	s := newMaps(t, newStore(t, objectstore.Identity{}))
	if _, err := s.Add(h.message(2, 5, nil)); !errors.Is(err, errGap) {
		t.Errorf("increments without a map to begin with: %v", err)
	}
	add(t, s, h.message(1, 10, nil))
	before := s.Super()
	bad := func(p []byte) []byte {
		p = bytes.Clone(p)
		p[len(p)/2] ^= 0x10
		return p
	}
	gap := h.message(11, 14, nil)
	delete(gap.Incrementals, 12)
	half := h.message(11, 12, nil)
	half.Incrementals[12] = bad(half.Incrementals[12])
	wrong := h.message(0, 0, map[uint32][]byte{11: golden(t, "full.60")})
	for _, c := range []struct {
		name string
		msg  *message.OSDMapMsg
		want error
	}{
		{"gap before", h.message(12, 14, nil), errGap},
		{"gap within", gap, errGap},
		{"increment with an error", half, errMalformed},
		{"full map with an error", h.message(0, 0, map[uint32][]byte{60: bad(golden(t, "full.60"))}), errMalformed},
		{"full map of another epoch", wrong, errMalformed},
		{"empty map", h.message(0, 0, map[uint32][]byte{60: {}}), errMalformed},
		{"last epoch there can be", h.message(0, 0, map[uint32][]byte{0xffffffff: {1}}), errMalformed},
	} {
		if added, err := s.Add(c.msg); !errors.Is(err, c.want) || len(added) > 0 {
			t.Errorf("%s: %d maps, %v; want %v", c.name, len(added), err, c.want)
		}
	}
	if now := s.Super(); now.NewestMap != before.NewestMap || now.OldestMap != before.OldestMap || s.Get(11) != nil {
		t.Errorf("refused maps made %+v of %+v", now, before)
	}
	if added := add(t, s, h.message(11, 12, nil)); len(added) != 2 {
		t.Errorf("after all that, %d maps were taken, want 2", len(added))
	}
}

// Where the monitors have trimmed, a full map goes on. What was there stays until
// trimmed, for PGs that have not got so far.
func TestMapsGap(t *testing.T) {
	h := readHistory(t)
	store := newStore(t, objectstore.Identity{})
	s := newMaps(t, store)
	add(t, s, h.message(1, 10, nil))
	if added := add(t, s, h.message(61, 70, map[uint32][]byte{60: golden(t, "full.60")})); len(added) != 11 || added[0].Epoch != 60 {
		t.Fatalf("%d maps taken", len(added))
	}
	s = newMaps(t, store)
	for e := uint32(1); e <= 70; e++ {
		if has, want := s.Get(e) != nil, e <= 10 || e >= 60; has != want {
			t.Errorf("epoch %d: there is %v, want %v", e, has, want)
		}
	}
	// A peer in the gap is told the newest map; one before it what leads up to it.
	if m := s.Message(entity.UUID{}, 30, everything); m == nil || m.Last() != 70 || m.First() != 70 || m.Maps[70] == nil {
		t.Errorf("a peer in the gap is sent %v", m)
	}
	if m := s.Message(entity.UUID{}, 5, everything); m == nil || m.First() != 6 || m.Last() != 10 {
		t.Errorf("a peer before the gap is sent epochs %d to %d", m.First(), m.Last())
	}
	if m := s.Message(entity.UUID{}, 62, everything); m == nil || len(m.Incrementals) != 8 || len(m.Maps) != 0 {
		t.Errorf("a peer after the gap is sent %v", m)
	}
}

// What is shared is bounded in maps and bytes, and is what a peer can build upon.
func TestMapsShared(t *testing.T) {
	h := readHistory(t)
	store := newStore(t, objectstore.Identity{})
	s := newMaps(t, store)
	add(t, s, h.message(1, 116, nil))
	if m := s.Message(entity.UUID{}, 116, everything); m != nil {
		t.Errorf("a peer that has everything is sent %v", m)
	}
	m := s.Message(entity.UUID{9}, 100, mapLimits{maps: 5, bytes: 1 << 30})
	if m == nil || m.First() != 101 || m.Last() != 105 || len(m.Maps) != 0 || m.Newest != 116 || m.Oldest != 1 || m.FSID != (entity.UUID{9}) {
		t.Errorf("five maps after 100 are %v", m)
	}
	if m := s.Message(entity.UUID{}, 100, mapLimits{maps: 1000, bytes: 1}); m == nil || len(m.Incrementals) != 1 {
		t.Errorf("one byte of maps is %v, want one map", m)
	}
	if m := s.Message(entity.UUID{}, 0, everything); m == nil || len(m.Maps) != 1 || m.Maps[116] == nil {
		t.Errorf("a peer without maps is sent %v", m)
	}
	other := newMaps(t, newStore(t, objectstore.Identity{}))
	add(t, other, h.message(1, 3, nil))
	for other.Super().NewestMap < 116 {
		m := s.Message(entity.UUID{}, other.Super().NewestMap, mapLimits{maps: 7, bytes: 4000})
		if m == nil || len(add(t, other, m)) == 0 {
			t.Fatalf("at epoch %d sharing came to an end", other.Super().NewestMap)
		}
	}
	if !bytes.Equal(other.full(116), s.full(116)) {
		t.Error("what was shared led elsewhere")
	}
}

// Trimming removes the oldest maps, some at a time, from the store too; never the
// newest.
func TestMapsTrim(t *testing.T) {
	h := readHistory(t)
	store := newStore(t, objectstore.Identity{})
	s := newMaps(t, store)
	if err := s.Trim(50); err != nil || s.Super().OldestMap != 0 {
		t.Fatalf("trimming nothing: %v", err)
	}
	add(t, s, h.message(1, 116, nil))
	trim := func(keep, oldest uint32) {
		t.Helper()
		if err := s.Trim(keep); err != nil || s.Super().OldestMap != oldest {
			t.Fatalf("keeping from %d on left the oldest at %d (%v), want %d", keep, s.Super().OldestMap, err, oldest)
		}
	}
	trim(20, 1) // too few to be worth it
	trim(31, 31)
	trim(116, 61)
	trim(1000, 91)
	trim(1000, 91)
	s = newMaps(t, store)
	for e := uint32(1); e <= 116; e++ {
		_, err := store.Stat(objectstore.Meta, fullObject(e))
		if has, want := err == nil, e >= 91; has != want || (s.Get(e) != nil) != want {
			t.Errorf("epoch %d: in the store %v, to be had %v, want %v", e, has, s.Get(e) != nil, want)
		}
		if _, err := store.Stat(objectstore.Meta, incObject(e)); (err == nil) != (e >= 91) {
			t.Errorf("the increment of epoch %d is there: %v", e, err == nil)
		}
	}
}

// The superblock remembers the OSD's life, and refuses what a newer version wrote.
func TestSuperblock(t *testing.T) {
	id := objectstore.Identity{ClusterFSID: entity.UUID{1}, OSDFSID: entity.UUID{2}, WhoAmI: 7}
	store := newStore(t, id)
	s := newMaps(t, store)
	for _, life := range [][2]uint32{{5, 0}, {0, 9}, {0, 8}} {
		if err := s.SetLife(life[0], life[1]); err != nil {
			t.Fatal(err)
		}
	}
	s = newMaps(t, store)
	super := s.Super()
	if super.Mounted != 5 || super.CleanThru != 9 || super.ClusterFSID != id.ClusterFSID || super.OSDFSID != id.OSDFSID || super.Whoami != 7 {
		t.Errorf("superblock %+v", super)
	}
	newer := super
	newer.Compat.Incompat = message.FeatureSet{1: "initial feature set(~v.18)", 40: "time travel"}
	tx := &objectstore.Transaction{}
	putSuper(tx, &newer)
	if err := objectstore.SubmitWait(store, tx); err != nil {
		t.Fatal(err)
	}
	if _, err := openMaps(store, 10); err == nil || !bytes.Contains([]byte(err.Error()), []byte("time travel")) {
		t.Errorf("data with a feature from the future: %v", err)
	}
	tx = &objectstore.Transaction{}
	tx.Truncate(objectstore.Meta, metaObject(superObject), 0)
	tx.Write(objectstore.Meta, metaObject(superObject), 0, wire.BufOf([]byte("nonsense")))
	if err := objectstore.SubmitWait(store, tx); err != nil {
		t.Fatal(err)
	}
	if _, err := openMaps(store, 10); err == nil || !bytes.Contains([]byte(err.Error()), []byte("make the OSD anew")) {
		t.Errorf("a superblock of nonsense: %v", err)
	}
}
