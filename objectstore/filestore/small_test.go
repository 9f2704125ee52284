package filestore

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"sepiola/objectstore"
	"sepiola/objectstore/filestore/vfs"
	"sepiola/objectstore/storetest"
)

// A small object has no file. Whatever is done to it, until it has to have one and then
// too, it reads as the same object in a store in memory does: while transactions are on
// their way, when they are applied, and after a restart.
func TestSmallObjects(t *testing.T) {
	o, p := inA("o", 0), inA("p", 2)
	small := func(x *tx) { x.Write(collA, o, 0, data(1, 3000)); x.SetAttr(collA, o, "_", bytesOf(1, 250)) }
	for _, c := range []struct {
		name  string
		then  func(x *tx)
		files int
	}{
		{"made", func(*tx) {}, 0},
		{"written over", func(x *tx) { x.Write(collA, o, 0, data(2, 3000)) }, 0},
		{"written over in part", func(x *tx) { x.Write(collA, o, 100, data(2, 50)); x.Write(collA, o, 2990, data(3, 50)) }, 0},
		{"appended to behind a gap", func(x *tx) { x.Write(collA, o, 5000, data(2, 50)) }, 0},
		{"zeroed", func(x *tx) { x.Zero(collA, o, 100, 50); x.Zero(collA, o, 2000, 9000) }, 0},
		{"cut", func(x *tx) {
			x.Truncate(collA, o, 1000)
			x.Truncate(collA, o, 2000)
			x.Write(collA, o, 1500, data(2, 10))
		}, 0},
		{"cut to nothing", func(x *tx) { x.Truncate(collA, o, 0) }, 0},
		{"cut to nothing and made longer", func(x *tx) { x.Truncate(collA, o, 0); x.Truncate(collA, o, 1<<20) }, 0},
		{"removed and made again", func(x *tx) { x.Remove(collA, o); x.Touch(collA, o); x.SetAttr(collA, o, "n", nil) }, 0},
		{"renamed", func(x *tx) { x.TryRename(collA, o, p); x.Write(collA, p, 5, data(2, 5)) }, 0},
		{"moved", func(x *tx) { x.MkColl(collB, 2); x.MoveRename(collA, o, collB, o) }, 0},
		{"merged", func(x *tx) { x.MkColl(collB, 2); x.MergeColl(collA, collB, 1) }, 0},
		{"cloned", func(x *tx) { x.Clone(collA, o, p); x.Write(collA, o, 5, data(2, 5)) }, 0},
		{"clone written to", func(x *tx) { x.Clone(collA, o, p); x.Write(collA, p, 0, data(2, 4000)) }, 0},
		{"range cloned", func(x *tx) { x.CloneRange(collA, o, p, 10, 500, 20) }, 0},
		{"attributes removed", func(x *tx) { x.RmAttrs(collA, o) }, 0},
		{"grown", func(x *tx) { x.Write(collA, o, 3000, data(2, 5000)) }, 1},
		{"grown by a gap", func(x *tx) { x.Write(collA, o, 40000, data(2, 50)) }, 1},
		{"grown and cut", func(x *tx) { x.Write(collA, o, 3000, data(2, 5000)); x.Truncate(collA, o, 10) }, 1},
		{"replaced by much", func(x *tx) { x.Write(collA, o, 0, data(2, 20000)) }, 1},
		{"much written behind", func(x *tx) { x.Write(collA, o, 3000, data(2, 20000)) }, 1},
		{"attribute too long", func(x *tx) { x.SetAttr(collA, o, "long", bytesOf(3, 5000)) }, 1},
		{"attribute too long on a clone", func(x *tx) { x.Clone(collA, o, p); x.SetAttr(collA, p, "long", bytesOf(3, 5000)) }, 1},
		{"grown and cloned", func(x *tx) { x.Write(collA, o, 3000, data(2, 7000)); x.Clone(collA, o, p) }, 2},
		{"grown, and removed", func(x *tx) { x.Write(collA, o, 3000, data(2, 7000)); x.Remove(collA, o) }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			im := newImageOf(t, scriptedSmall)
			s := im.store(nil)
			m, err := newModel(nil)
			if err := errors.Join(err, s.Mkfs(storetest.ID), s.Mount()); err != nil {
				t.Fatal(err)
			}
			defer func() { m.Close(); s.Close() }()
			same := func(when string) {
				t.Helper()
				want, err := contentOf(m)
				got, err2 := contentOf(s)
				if err := errors.Join(err, err2); err != nil {
					t.Fatalf("%s: %v", when, err)
				}
				for coll := range want {
					if got.text(coll) != want.text(coll) {
						t.Errorf("%s: %v is\n%sand should be\n%s", when, coll, got.text(coll), want.text(coll))
					}
				}
			}
			for _, build := range []func(x *tx){func(x *tx) { x.MkColl(collA, 2) }, small, c.then} {
				var x, y tx
				build(&x)
				build(&y)
				if err := errors.Join(m.Submit(&y, nil), s.Submit(&x, nil)); err != nil {
					t.Fatal(err)
				}
				same("on its way")
			}
			settle(s)
			same("applied")
			if n := filesIn(t, im.fs); n != c.files {
				t.Errorf("%d files, want %d", n, c.files)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if n, err := im.store(nil).Fsck(true, func(f Finding) { t.Error(f) }); n != 0 || err != nil {
				t.Errorf("fsck: %d findings, %v", n, err)
			}
			s = im.store(nil)
			if err := s.Mount(); err != nil {
				t.Fatal(err)
			}
			same("after a restart")
		})
	}
}

// filesIn counts the data files of collections A and B.
func filesIn(t *testing.T, fs *vfs.Mem) int {
	t.Helper()
	n := 0
	for _, c := range []objectstore.Coll{collA, collB} {
		list, _ := fs.ReadDir("/osd/current/" + c.String()) // not there: none
		n += len(list)
	}
	return n
}

// A store that stops keeping small objects without files still has those there are, and
// gives each a file when it is written to.
func TestSmallObjectsNoMore(t *testing.T) {
	im := newImageOf(t, scriptedSmall)
	s := im.store(nil)
	if err := errors.Join(s.Mkfs(storetest.ID), s.Mount()); err != nil {
		t.Fatal(err)
	}
	o := inA("o", 0)
	submitWait(t, s, func(x *tx) {
		x.MkColl(collA, 2)
		x.Write(collA, o, 0, data(1, 3000))
		x.SetAttr(collA, o, "_", bytesOf(1, 250))
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	im.opts.SmallMax = 0
	s = im.store(nil)
	if err := s.Mount(); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	want := bytesOf(1, 3000)
	check := func(files int) {
		t.Helper()
		got, err := s.Read(collA, o, 0, 0)
		if err != nil || !bytes.Equal(got.Flat(), want) {
			t.Errorf("%d bytes, %v", got.Len(), err)
		}
		if v, err := s.Attr(collA, o, "_"); err != nil || !bytes.Equal(v, bytesOf(1, 250)) {
			t.Errorf("attribute of %d bytes, %v", len(v), err)
		}
		if n := filesIn(t, im.fs); n != files {
			t.Errorf("%d files, want %d", n, files)
		}
	}
	check(0)
	copy(want[7:], "x")
	submitWait(t, s, func(x *tx) { x.Write(collA, o, 7, data(0, 0)); x.Write(collA, o, 7, []([]byte){[]byte("x")}) })
	settle(s)
	check(1)
}

// A full disk takes no data of small objects either.
func TestSmallObjectsOnFullDisk(t *testing.T) {
	im := newImageOf(t, scriptedSmall)
	s := im.store(nil)
	if err := errors.Join(s.Mkfs(storetest.ID), s.Mount()); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	submitWait(t, s, func(x *tx) { x.MkColl(collA, 2); x.Write(collA, inA("o", 0), 0, data(1, 100)) })
	im.fs.Frozen(func() { im.fs.Space = vfs.Statfs{Total: 1 << 30} })
	s.space.forget()
	var x tx
	x.Write(collA, inA("o", 0), 0, data(2, 100))
	if err := s.Submit(&x, nil); !errors.Is(err, objectstore.ErrNoSpace) {
		t.Errorf("write: %v", err)
	}
	submitWait(t, s, func(x *tx) { x.Remove(collA, inA("o", 0)) })
}

// Fsck names what is wrong with the data of small objects, and reading it is an error.
func TestFsckFindsSmall(t *testing.T) {
	o := storetest.Obj("a")
	where := objectstore.Coll(storetest.Coll(3, 5)).String() + " " + o.String()
	key := func(t *testing.T, s *Store) []byte {
		db, err := s.openKV()
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		v, _, err := getFrom(db, objectKey(storetest.Coll(3, 5), o))
		if err != nil {
			t.Fatal(err)
		}
		n, _, err := decodeOnode(v, storetest.Coll(3, 5))
		if err != nil || n.small != 100 {
			t.Fatalf("%+v, %v", n, err)
		}
		return numbered(keyData, n.nid, "")
	}
	for _, c := range []struct {
		name   string
		damage func(db *pebble.DB, key []byte) error
		want   string
	}{
		{"data gone", func(db *pebble.DB, key []byte) error { return db.Delete(key, pebble.NoSync) }, where + ": its data, 100 bytes, is missing"},
		{"data cut", func(db *pebble.DB, key []byte) error { return db.Set(key, make([]byte, 99), pebble.NoSync) }, "99 bytes, and the index entry of " + where + " says 100"},
		{"data lost", func(db *pebble.DB, key []byte) error { return db.Set(numbered(keyData, 1<<50, ""), nil, pebble.NoSync) }, "no object of the number"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, coll := mounted(t, Options{SmallMax: 4096})
			submitWait(t, s, func(x *tx) { x.Write(coll, o, 0, data(1, 100)) })
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			k := key(t, s)
			editKV(t, s, func(db *pebble.DB) error { return c.damage(db, k) })
			list := findings(t, s.dir, false)
			if len(list) != 1 || !strings.Contains(list[0], c.want) {
				t.Errorf("%q, want one that says %q", list, c.want)
			}
			s = New(s.dir, Options{})
			if err := s.Mount(); err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if _, err := s.Read(coll, o, 0, 0); (c.name == "data lost") == errors.Is(err, objectstore.ErrIO) {
				t.Errorf("read: %v", err)
			}
		})
	}
}

// The data of small objects in memory is bounded, what was put last is found, and what
// changes is not.
func TestSmallCache(t *testing.T) {
	c := smallCache{max: 10000}
	for i := range uint64(1000) {
		c.put(i%37, bytesOf(int(i), 300))
		if i%5 == 0 {
			c.drop(i % 11)
			if c.get(i%11) != nil {
				t.Fatalf("step %d: found after it changed", i)
			}
			continue
		}
		if got := c.get(i % 37); !bytes.Equal(got, bytesOf(int(i), 300)) {
			t.Fatalf("step %d: %d bytes found of what was put last", i, len(got))
		}
		sum := 0
		for _, p := range c.data {
			sum += cap(p.p)
		}
		if sum != c.bytes || sum > c.max || len(c.ring) > 1000 {
			t.Fatalf("step %d: %d bytes are counted as %d, %d places", i, sum, c.bytes, len(c.ring))
		}
	}
	c.put(1, make([]byte, c.max+1))
	if c.get(1) != nil {
		t.Error("what there was before, or more than there is room for, is kept")
	}
}
