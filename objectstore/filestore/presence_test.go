package filestore

import (
	"fmt"
	"testing"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/objectstore/storetest"
)

// A filter never denies an object it was told of, whether when it was made or later,
// beyond its room too: denied, the object would be made again over what it has. Of
// others it lets few pass.
func TestPresence(t *testing.T) {
	hash := func(i int) uint64 { return presenceOf(storetest.Obj(fmt.Sprint("o", i))) }
	var first []uint64
	for i := range 5000 {
		first = append(first, hash(i))
	}
	p := newPresence(first)
	for i := 5000; i < 20000; i++ {
		p.add(hash(i))
		if i < 10000 != (p.room >= 0) {
			t.Fatalf("room for %d more after %d", p.room, i+1)
		}
		if i == 9999 {
			wrong := 0
			for k := 100000; k < 200000; k++ {
				if p.mayHave(hash(k)) {
					wrong++
				}
			}
			if wrong > 3000 {
				t.Errorf("of 100000 objects that are not there %d pass", wrong)
			}
		}
	}
	for i := range 20000 {
		if !p.mayHave(hash(i)) {
			t.Fatalf("object %d is denied", i)
		}
	}
}

// Objects are found, and no others, while the filter of a collection is made, and after,
// through removals, renames, splits and merges, and in a store that is mounted again.
func TestPresenceFollows(t *testing.T) {
	opts := tight
	s := New(t.TempDir(), opts)
	if err := s.Mkfs(storetest.ID); err != nil {
		t.Fatal(err)
	}
	mount := func() {
		t.Helper()
		if err := s.Mount(); err != nil {
			t.Fatal(err)
		}
	}
	mount()
	defer func() { s.Close() }()
	there := map[object.GID]bool{}
	obj := func(i int) object.GID { return inA(fmt.Sprint("o", i), i) }
	where := collA
	check := func() {
		t.Helper()
		for round := range 3 { // so that a filter is made in between
			for i := range 400 {
				_, err := s.Stat(where, obj(i))
				if (err == nil) != there[obj(i)] {
					t.Fatalf("round %d, object %d: %v", round, i, err)
				}
			}
		}
	}
	submitWait(t, s, func(x *tx) { x.MkColl(collA, 2); x.MkColl(collB, 2) })
	for i := 0; i < 400; i += 2 {
		there[obj(i)] = true
		submitWait(t, s, func(x *tx) { x.Touch(collA, obj(i)) })
	}
	check()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = New(s.dir, opts)
	mount()
	check()
	for i := 1; i < 400; i += 4 {
		there[obj(i)], there[obj(i-1)] = true, false
		submitWait(t, s, func(x *tx) { x.TryRename(collA, obj(i-1), obj(i)) })
	}
	check()
	submitWait(t, s, func(x *tx) { x.MergeColl(collA, collB, 1) })
	where = collB
	check()
	submitWait(t, s, func(x *tx) { x.MkColl(collA, 2); x.SplitColl(collB, 2, 1, collA) })
	where = collA
	check()
	for i := range 400 {
		submitWait(t, s, func(x *tx) { x.Remove(collA, obj(i)) })
		there[obj(i)] = false
	}
	check()
	if got, err := s.HasCollection(objectstore.Coll(collA)); !got {
		t.Error(err)
	}
}
