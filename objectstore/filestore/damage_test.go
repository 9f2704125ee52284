package filestore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/go-hclog"

	pebblevfs "github.com/cockroachdb/pebble/v2/vfs"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/objectstore/filestore/vfs"
	"sepiola/objectstore/storetest"
)

// made returns an image of a store with a collection and what build puts there, closed.
func made(t *testing.T, build ...func(*tx)) image {
	t.Helper()
	im := newImage(t)
	s := im.store(nil)
	if err := errors.Join(s.Mkfs(storetest.ID), s.Mount()); err != nil {
		t.Fatal(err)
	}
	submitWait(t, s, func(x *tx) { x.MkColl(collA, 2) })
	for _, b := range build {
		submitWait(t, s, b)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return im
}

// onlyFile returns the path of the one data file that an image has.
func onlyFile(t *testing.T, im image) string {
	t.Helper()
	list, err := im.fs.ReadDir("/osd/current/" + collA.String())
	if err != nil || len(list) != 1 {
		t.Fatalf("%d files, %v", len(list), err)
	}
	return "/osd/current/" + collA.String() + "/" + list[0].Name()
}

// Every flipped bit of an attribute in the file system, and every part that is gone, is
// an error when the attributes are read: never other bytes, never an attribute fewer. And
// what would need the attributes is refused, while the object can be removed.
func TestDamagedAttributes(t *testing.T) {
	o := inA("o", 0)
	attrs := map[string][]byte{"_": bytesOf(1, 250), "snapset": bytesOf(2, 35), "long": bytesOf(3, 5120), "empty": {}}
	im := made(t, func(x *tx) { x.Write(collA, o, 0, data(1, 100)); x.SetAttrs(collA, o, attrs) },
		func(x *tx) { x.SetAttr(collA, o, "spill", bytesOf(4, 3000)); x.RmAttr(collA, o, "empty") })
	f, err := im.fs.Open(onlyFile(t, im), 0)
	if err != nil {
		t.Fatal(err)
	}
	names, _ := f.ListAttrs()
	if len(names) != 5 {
		t.Fatalf("attributes %q, want those of three values", names)
	}
	mounted := func(check func(s *Store)) {
		t.Helper()
		s := im.store(nil)
		var log bytes.Buffer
		s.log = hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Error})
		if err := s.Mount(); err != nil {
			t.Fatal(err)
		}
		check(s)
		s.Close()
	}
	damaged := func(what string) {
		t.Helper()
		mounted(func(s *Store) {
			if a, err := s.Attrs(collA, o); !errors.Is(err, objectstore.ErrIO) {
				t.Errorf("%s: %d attributes, %v", what, len(a), err)
			}
			if v, err := s.Attr(collA, o, "_"); !errors.Is(err, objectstore.ErrIO) {
				t.Errorf("%s: attribute of %d bytes, %v", what, len(v), err)
			}
			var x tx
			x.SetAttr(collA, o, "_", nil)
			if err := s.Submit(&x, nil); !errors.Is(err, objectstore.ErrIO) {
				t.Errorf("%s: attribute set: %v", what, err)
			}
		})
	}
	for _, name := range names {
		good, _ := f.GetAttr(name)
		for _, at := range []int{0, len(good) / 2, len(good) - 1} {
			bad := bytes.Clone(good)
			bad[at] ^= 1 << (at % 8)
			f.SetAttr(name, bad)
			damaged(fmt.Sprintf("%s with byte %d flipped", name, at))
		}
		f.RemoveAttr(name)
		damaged(name + " removed")
		f.SetAttr(name, good[:len(good)-1])
		damaged(name + " cut short")
		f.SetAttr(name, good)
	}
	f.SetAttr("user.ceph.more", nil)
	damaged("an attribute too many")
	mounted(func(s *Store) {
		submitWait(t, s, func(x *tx) { x.Remove(collA, o); x.SetAttr(collA, o, "_", []byte("new")) })
		if v, err := s.Attr(collA, o, "_"); err != nil || string(v) != "new" {
			t.Errorf("made again: %q, %v", v, err)
		}
	})
}

// A store of version 1, whose index has no checksums of attributes, mounts, and is of
// the current version from then on; an attribute that is set is checked.
func TestVersionOne(t *testing.T) {
	o := inA("o", 0)
	im := made(t, func(x *tx) { x.Write(collA, o, 0, data(1, 100)); x.SetAttr(collA, o, "_", bytesOf(1, 250)) })
	s := im.store(nil)
	db, err := s.openKV()
	if err != nil {
		t.Fatal(err)
	}
	v, ok, err := getFrom(db, objectKey(collA, o))
	if err != nil || !ok {
		t.Fatal(err)
	}
	n, attrs, err := decodeOnode(v, collA)
	if err != nil || !n.summed {
		t.Fatalf("%+v, %v", n, err)
	}
	n.summed = false
	db.Set(objectKey(collA, o), n.encode(collA, attrs), pebble.NoSync)
	if err := errors.Join(db.Flush(), db.Close(), s.writeSmall(fileVersion, "1")); err != nil {
		t.Fatal(err)
	}
	if err := s.Mount(); err != nil {
		t.Fatal(err)
	}
	if text, err := s.readSmall(fileVersion); text != "3" {
		t.Errorf("the store is stamped with version %q, %v", text, err)
	}
	if v, err := s.Attr(collA, o, "_"); err != nil || !bytes.Equal(v, bytesOf(1, 250)) {
		t.Errorf("attribute of %d bytes, %v", len(v), err)
	}
	submitWait(t, s, func(x *tx) { x.SetAttr(collA, o, "more", []byte("value")) })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := im.fs.Open(onlyFile(t, im), 0)
	if err != nil {
		t.Fatal(err)
	}
	f.SetAttr("user.ceph._", bytesOf(2, 250))
	s = im.store(nil)
	if err := s.Mount(); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Attr(collA, o, "_"); !errors.Is(err, objectstore.ErrIO) {
		t.Errorf("changed in the file system: %v", err)
	}
}

// flipEach calls try with one bit of p flipped, for n bits all over it.
func flipEach(p []byte, rng *rand.Rand, n int, try func(at int)) {
	for i := range n {
		at := i * len(p) / n
		at += rng.IntN(max(1, len(p)/n))
		at = min(at, len(p)-1)
		bit := byte(1) << rng.IntN(8)
		p[at] ^= bit
		try(at)
		p[at] ^= bit
	}
}

// A flipped bit in the journal, before what a later round proves durable, keeps the
// store from starting, with a sentence; in what the power may have cut, the last round, it
// cuts that off. It never leads to anything else.
func TestDamagedJournal(t *testing.T) {
	o := inA("o", 0)
	base := made(t)
	s := base.store(nil)
	if err := s.Mount(); err != nil {
		t.Fatal(err)
	}
	const rounds = 6
	for i := range rounds {
		submitWait(t, s, func(x *tx) {
			x.Write(collA, o, 0, data(i, 6000))
			x.SetAttr(collA, o, "i", fmt.Append(nil, i))
		})
	}
	var left image
	base.fs.Frozen(func() { left = base.crash(vfs.Call{}, keepNone, rand.New(rand.NewPCG(1, 1))) })
	s.abandon()
	journal := readFile(t, left.fs, "/osd/journal")
	rng := rand.New(rand.NewPCG(1, 2))
	refused, cut, same := 0, 0, 0
	var used []int // blocks with something in them
	for b := 2; b*4096 < len(journal); b++ {
		if bytes.HasPrefix(journal[b*4096:], []byte("SepJ")) {
			used = append(used, b, b+1)
		}
	}
	try := func(at int) {
		im := image{left.fs.Clone(), left.kv.CrashClone(pebblevfs.CrashCloneCfg{}), left.opts}
		f, err := im.fs.Open("/osd/journal", 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteAt(journal[at:at+1], int64(at))
		s := im.store(nil)
		if err := s.Mount(); err != nil {
			if !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), "the journal is damaged") {
				t.Errorf("byte %d flipped: %v", at, err)
			}
			refused++
			return
		}
		defer s.abandon()
		v, err := s.Attr(collA, o, "i")
		if err != nil {
			t.Errorf("byte %d flipped: %v", at, err)
			return
		}
		var i int
		fmt.Sscan(string(v), &i)
		p, err := s.Read(collA, o, 0, 0)
		if err != nil || !bytes.Equal(p.Flat(), bytesOf(i, 6000)) || i < rounds-2 {
			t.Errorf("byte %d flipped: state after round %d, %v", at, i, err)
		}
		if i == rounds-1 {
			same++
		} else {
			cut++
		}
	}
	for _, b := range used {
		flipEach(journal[b*4096:(b+1)*4096], rng, 8, func(at int) { try(b*4096 + at) })
	}
	flipEach(journal[:journalBase], rng, 16, try) // the other header counts, or this one
	if refused == 0 || cut == 0 || same == 0 {
		t.Errorf("%d refused, %d cut off, %d without consequence", refused, cut, same)
	}
}

func readFile(t *testing.T, fs *vfs.Mem, name string) []byte {
	t.Helper()
	f, err := fs.Open(name, 0)
	if err != nil {
		t.Fatal(err)
	}
	size, _ := f.Size()
	p := make([]byte, size)
	if _, err := f.ReadAt(p, 0); err != nil {
		t.Fatal(err)
	}
	return p
}

// A flipped bit in the key-value store's files keeps the store from starting, or makes
// reads fail: never is anything else read.
func TestDamagedKeyValueStore(t *testing.T) {
	o, p := inA("o", 0), inA("p", 2)
	keys := map[string][]byte{}
	for i := range 150 {
		keys[fmt.Sprint("key", i)] = bytesOf(i, 400)
	}
	im := made(t, func(x *tx) {
		x.Write(collA, o, 0, data(1, 30000))
		x.SetAttr(collA, o, "spill", bytesOf(1, 3000))
		x.OmapSet(collA, o, keys)
		x.OmapHeader(collA, o, []byte("header"))
		x.Write(collA, p, 0, data(2, 500))
	})
	s := im.store(nil)
	if err := s.Mount(); err != nil {
		t.Fatal(err)
	}
	want, err := contentOf(s)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	list, err := im.kv.List("/osd/omap")
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	refused, failed, same := 0, 0, 0
	for _, name := range list {
		path := "/osd/omap/" + name
		whole := readKV(t, im.kv, path)
		n := 12
		if strings.HasSuffix(name, ".sst") || strings.HasPrefix(name, "MANIFEST") {
			n = 50
		}
		if len(whole) == 0 {
			continue
		}
		flipEach(whole, rng, n, func(at int) {
			bad := image{im.fs.Clone(), im.kv.CrashClone(pebblevfs.CrashCloneCfg{}), im.opts}
			writeKV(t, bad.kv, path, whole)
			err := func() (err error) {
				s := bad.store(nil)
				if err := s.Mount(); err != nil {
					refused++
					if errors.Is(err, objectstore.ErrNotFound) {
						t.Errorf("byte %d of %s flipped: mount says that nothing is there: %v", at, name, err)
					}
					return nil
				}
				defer s.abandon()
				return readAllOr(s, want, func() { failed++ }, func() { same++ })
			}()
			if err != nil {
				t.Errorf("byte %d of %s flipped: %v", at, name, err)
			}
		})
	}
	t.Logf("%d refused, %d reads failed, %d without consequence", refused, failed, same)
	if refused == 0 || failed == 0 {
		t.Errorf("%d mounts refused, %d reads failed: nothing was damaged", refused, failed)
	}
}

// readAllOr checks that each read of what is there gives that, or ErrIO.
func readAllOr(s *Store, want content, failed, same func()) error {
	got, err := contentOf(s)
	if err == nil {
		for c := range want {
			if got.text(c) != want.text(c) {
				return fmt.Errorf("%v is\n%swas\n%s", c, got.text(c), want.text(c))
			}
		}
		same()
		return nil
	}
	if !errors.Is(err, objectstore.ErrIO) {
		return err
	}
	failed()
	for c, cc := range want {
		for _, o := range cc.objects {
			if err := readsRight(s, c, o); err != nil && !errors.Is(err, objectstore.ErrIO) {
				return err
			}
		}
		_, _, err := s.List(c, object.GMin, object.GMax, 100)
		if err != nil && !errors.Is(err, objectstore.ErrIO) {
			return err
		}
	}
	return nil
}

func readsRight(s *Store, c objectstore.Coll, o *objectContent) error {
	for i := range 5 {
		k := fmt.Sprint("key", 31*i)
		v, there := o.omap[k]
		if !there {
			break
		}
		got, err := s.OmapGet(c, o.id, []string{k})
		if errors.Is(err, objectstore.ErrIO) {
			continue
		}
		if err != nil || !bytes.Equal(got[k], v) {
			return fmt.Errorf("omap key %q is %.20q, %v", k, got[k], err)
		}
	}
	got, err := readObject(s, c, o.id)
	if err == nil && got.String() != o.String() {
		return fmt.Errorf("is %v, was %v", got, o)
	}
	return err
}

func readKV(t *testing.T, fs *pebblevfs.MemFS, path string) []byte {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if st.IsDir() {
		return nil
	}
	p, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func writeKV(t *testing.T, fs *pebblevfs.MemFS, path string, p []byte) {
	t.Helper()
	f, err := fs.Create(path, pebblevfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = f.Write(p)
	}
	if err == nil {
		err = errors.Join(f.Sync(), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// No bytes make the decoder of index entries panic, and what it accepts stays what it is
// when it is written again.
func FuzzDecodeOnode(f *testing.F) {
	n := onode{nid: 5, fid: 7, size: 1 << 40, home: collB, depth: 2, omap: true,
		hint: objectstore.AllocHint{ObjectSize: 1 << 22}, summed: true, attrSum: 0xdeadbeef}
	f.Add(n.encode(collA, nil))
	n = onode{nid: 5}
	f.Add(n.encode(collA, nil))
	n = onode{nid: 5, size: 5000, small: 4096}
	f.Add(n.encode(collA, map[string][]byte{"_": bytesOf(1, 250), "snapset": {}}))
	f.Fuzz(func(t *testing.T, p []byte) {
		n, attrs, err := decodeOnode(p, collA)
		if err != nil {
			return
		}
		again, attrsAgain, err := decodeOnode(n.encode(collA, attrs), collA)
		if n.fid == 0 { // without a file there is no home
			again.home = n.home
		}
		if err != nil || again != n || !maps.EqualFunc(attrs, attrsAgain, bytes.Equal) {
			t.Fatalf("%+v comes back as %+v, %v", n, again, err)
		}
	})
}

func getFrom(db *pebble.DB, key []byte) ([]byte, bool, error) { return (&Store{db: db}).get(key) }
