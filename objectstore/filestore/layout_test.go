package filestore

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/objectstore/filestore/vfs"
	"sepiola/objectstore/storetest"
	"sepiola/wire"
)

type tx = objectstore.Transaction

// mounted makes a store with one collection in a new directory.
func mounted(t *testing.T, opts Options) (*Store, objectstore.Coll) {
	t.Helper()
	s := New(t.TempDir(), opts)
	if err := s.Mkfs(storetest.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.Mount(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	c := storetest.Coll(3, 5)
	submitWait(t, s, func(x *tx) { x.MkColl(c, 4) })
	return s, c
}

// objectFiles returns the data files below a store's directory.
func objectFiles(t *testing.T, s *Store) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(s.dir+"/current", func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// settle waits until everything submitted is in files.
func settle(s *Store) { s.throttle.drain(func() bool { return s.Err() != nil }) }

// The keys of the index sort as objects do: listing is one walk over them.
func TestKeysSortLikeObjects(t *testing.T) {
	gen := rapid.Custom(func(t *rapid.T) object.GID {
		text := rapid.StringOfN(rapid.SampledFrom([]rune{0, 1, 'a', 'b', 0xff}), 0, 3, -1)
		o := object.G(object.Head(rapid.Int64Range(-3, 3).Draw(t, "pool"), text.Draw(t, "ns"), text.Draw(t, "key"),
			text.Draw(t, "name"), rapid.Uint32Range(0, 5).Draw(t, "hash")*0x10000001))
		o.Snap = object.SnapID(rapid.Uint64Range(0, 2).Draw(t, "snap")) - 2
		if rapid.Bool().Draw(t, "gen?") {
			o.Gen, o.Shard = rapid.Uint64Range(0, 3).Draw(t, "gen"), int8(rapid.IntRange(-1, 2).Draw(t, "shard"))
		}
		if rapid.IntRange(0, 20).Draw(t, "max") == 0 {
			return object.GMax
		}
		return o
	})
	c := storetest.Coll(1, 2)
	rapid.Check(t, func(t *rapid.T) {
		a, b := gen.Draw(t, "a"), gen.Draw(t, "b")
		ka, kb := objectKey(c, a), objectKey(c, b)
		if got, want := bytes.Compare(ka, kb), a.Compare(b); got != want {
			t.Fatalf("%v and %v: keys compare %d, ids %d", a, b, got, want)
		}
		if back, err := decodeGID(ka[1+collLen:]); err != nil || !a.Max && back != a {
			t.Fatalf("%#v comes back as %#v, %v", a, back, err)
		}
	})
}

// Collections keep their id in a key.
func TestCollectionKeys(t *testing.T) {
	for _, c := range []objectstore.Coll{objectstore.Meta, storetest.Coll(-3, 7), storetest.Coll(1<<40, 1<<31)} {
		if got := decodeColl(appendColl(nil, c)); got != c {
			t.Errorf("%v comes back as %v", c, got)
		}
	}
}

// A value of 5120 bytes is three attributes, @ is written @@, and shrinking leaves
// nothing behind.
func TestChainedAttributes(t *testing.T) {
	s, c := mounted(t, Options{})
	o := storetest.Obj("o")
	value := bytes.Repeat([]byte("0123456789abcdef"), 5120/16)
	// ext4 without large inodes keeps one block of attributes: 5120 bytes may have to
	// go to the key-value store there, 3000 never.
	submitWait(t, s, func(x *tx) { x.SetAttr(c, o, "k@y", value[:3000]) })
	settle(s)
	list := func() map[string]int {
		f, err := vfs.OS.Open(objectFiles(t, s)[0], 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		names, err := f.ListAttrs()
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]int{}
		for _, n := range names {
			v, err := f.GetAttr(n)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(n, "user.ceph.") {
				out[n] = len(v)
			}
		}
		return out
	}
	if got := fmt.Sprint(list()); got != "map[user.ceph.k@@y:2048 user.ceph.k@@y@1:952]" {
		t.Errorf("3000 bytes are kept as %s", got)
	}
	submitWait(t, s, func(x *tx) { x.SetAttr(c, o, "k@y", value[:100]) })
	settle(s)
	if got := fmt.Sprint(list()); got != "map[user.ceph.k@@y:100]" {
		t.Errorf("100 bytes are kept as %s", got)
	}
	submitWait(t, s, func(x *tx) { x.RmAttr(c, o, "k@y") })
	settle(s)
	if got := fmt.Sprint(list()); got != "map[]" {
		t.Errorf("after removal there is %s", got)
	}
	// The form itself, on a file system without limits.
	m := vfs.NewMem()
	f, err := m.Open("/f", vfs.Create)
	if err != nil {
		t.Fatal(err)
	}
	if err := setChain(f, "key", value, -1); err != nil {
		t.Fatal(err)
	}
	names, _ := f.ListAttrs()
	if !slices.Equal(names, []string{"user.ceph.key", "user.ceph.key@1", "user.ceph.key@2"}) {
		t.Errorf("5120 bytes are kept as %q", names)
	}
	if v, err := f.GetAttr("user.ceph.key@2"); err != nil || len(v) != 1024 {
		t.Errorf("the third part has %d bytes, %v", len(v), err)
	}
}

// A directory passes new objects on to the directories of their hash's nibbles when it
// is full, so none has more files than the limit.
func TestDirectoriesSplit(t *testing.T) {
	s, c := mounted(t, Options{SplitMultiple: 1, MergeThreshold: -1})
	for i := range 600 {
		s.Submit(func() *tx {
			var x tx
			x.Write(c, storetest.Obj(fmt.Sprint("o", i)), 0, wire.BufOf([]byte("x")))
			return &x
		}(), nil)
	}
	settle(s)
	counts := map[string]int{}
	for _, p := range objectFiles(t, s) {
		rel, _ := filepath.Rel(s.dir+"/current/3.5_head", p)
		counts[filepath.Dir(rel)]++
		name := filepath.Base(rel)
		hash := strings.Split(name[:strings.LastIndex(name, ".")], "_")[3]
		for i, d := range strings.Split(filepath.Dir(rel), "/") {
			if d != "." && d != "DIR_"+string(hash[len(hash)-1-i]) {
				t.Fatalf("%s is not where its hash says", rel)
			}
		}
	}
	if len(counts) < 30 {
		t.Errorf("600 objects are in %d directories", len(counts))
	}
	for d, n := range counts {
		if n > 16 {
			t.Errorf("%s has %d files, the limit is 16", d, n)
		}
	}
}

// Every flipped bit of an object's data is noticed: the read fails, and the log
// names object and offset.
func TestChecksums(t *testing.T) {
	var log bytes.Buffer
	s, c := mounted(t, Options{Logger: hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Error})})
	o := storetest.Obj("victim")
	data := bytes.Repeat([]byte("data"), 50000)
	submitWait(t, s, func(x *tx) { x.Write(c, o, 0, wire.BufOf(data)) })
	submitWait(t, s, func(x *tx) { x.Zero(c, o, 40960, 8192) })
	settle(s)
	file := objectFiles(t, s)[0]
	for _, at := range []int64{0, 4095, 4096, 45000, 100000, 199999} {
		flip := func() {
			f, err := os.OpenFile(file, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			p := make([]byte, 1)
			f.ReadAt(p, at)
			p[0] ^= 4
			f.WriteAt(p, at)
		}
		flip()
		log.Reset()
		if _, err := s.Read(c, o, uint64(at), 1); !errors.Is(err, objectstore.ErrIO) {
			t.Errorf("byte %d flipped: %v, want ErrIO", at, err)
		}
		block := fmt.Sprintf("offset=%d", at/blockSize*blockSize)
		if !strings.Contains(log.String(), "victim") || !strings.Contains(log.String(), block) {
			t.Errorf("the log does not name the object and %s: %s", block, log.String())
		}
		if at >= 40960 && at < 49152 { // a hole: known to be zeros without reading
			flip()
			continue
		}
		// What must keep bytes of the block fails, and changes nothing.
		var x tx
		x.Write(c, o, uint64(at)/blockSize*blockSize+1, wire.BufOf([]byte("y")))
		if err := s.Submit(&x, nil); !errors.Is(err, objectstore.ErrIO) {
			t.Errorf("part of a bad block overwritten: %v, want ErrIO", err)
		}
		flip()
		if _, err := s.Read(c, o, 0, 0); err != nil {
			t.Errorf("flipped back: %v", err)
		}
	}
}

// Refusals at the start say what is wrong and what to do.
func TestRefusals(t *testing.T) {
	s, _ := mounted(t, Options{})
	if err := New(s.dir, Options{}).Mount(); !errors.Is(err, objectstore.ErrInUse) {
		t.Errorf("second owner: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wants := func(err error, what ...string) {
		t.Helper()
		if err == nil {
			t.Errorf("accepted; wanted a refusal that says %q", what)
			return
		}
		for _, w := range what {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%v: does not say %q", err, w)
			}
		}
	}
	put := func(name, text string) {
		if err := os.WriteFile(s.dir+"/"+name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("store_version", "4\n")
	wants(New(s.dir, Options{}).Mount(), "version 4", "newer program")
	put("store_version", "0\n")
	wants(New(s.dir, Options{}).Mount(), "no version 0", "damaged")
	put("store_version", "3\n")
	put("type", "bluestore\n")
	wants(New(s.dir, Options{}).Mount(), "bluestore")
	put("type", "filestore\n")
	put("fsid", "00000000-0000-0000-0000-000000000009\n")
	wants(New(s.dir, Options{}).Mount(), "journal belongs to")
	wants(New(t.TempDir(), Options{}).Mount(), "run mkfs")
	other := storetest.ID
	other.WhoAmI = 3
	put("fsid", storetest.ID.OSDFSID.String()+"\n")
	wants(New(s.dir, Options{}).Mkfs(other), "osd.7", "another")

	m := vfs.NewMem()
	m.Hook = func(c vfs.Call) error {
		if c.Op == "setxattr" {
			return unix.EOPNOTSUPP
		}
		return nil
	}
	wants(New("/osd", Options{FS: m}).Mkfs(storetest.ID), "xattrs", "user_xattr")
	m.Hook = func(c vfs.Call) error {
		if c.Op == "mkdir" {
			return unix.EACCES
		}
		return nil
	}
	wants(New("/other", Options{FS: m}).Mkfs(storetest.ID), "right to write")
}

// A failed sync stops the store: nothing is reported committed after it.
func TestFailedSync(t *testing.T) {
	for _, call := range []string{"fdatasync", "write", "syncfs"} {
		d := newMemDisk(tight)(t).(*memDisk)
		s := d.Open().(*Store)
		if err := errors.Join(s.Mkfs(storetest.ID), s.Mount()); err != nil {
			t.Fatal(err)
		}
		c := storetest.Coll(3, 5)
		submitWait(t, s, func(x *tx) { x.MkColl(c, 4) })
		d.fs.Frozen(func() {
			d.fs.Hook = func(c vfs.Call) error {
				if c.Op == call {
					return unix.EIO
				}
				return nil
			}
		})
		var x tx
		x.Write(c, storetest.Obj("o"), 0, wire.BufOf(make([]byte, 20000)))
		err := s.Submit(&x, func() {
			if call != "syncfs" {
				t.Errorf("%s failed, and the transaction was reported committed", call)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		s.wantCheckpoint()
		<-s.Failed()
		if !errors.Is(s.Err(), unix.EIO) {
			t.Errorf("%s: the store failed with %v", call, s.Err())
		}
		if err := s.Submit(&x, nil); err == nil {
			t.Errorf("%s: a failed store takes transactions", call)
		}
		s.Close()
	}
}

// Attributes the file system refuses are kept all the same, and stay readable after a
// crash.
func TestAttributesSpill(t *testing.T) {
	d := newMemDisk(tight)(t).(*memDisk)
	refuse := func(m *vfs.Mem) {
		n := 0
		m.Hook = func(c vfs.Call) error {
			if c.Op == "setxattr" && strings.Contains(c.Path, "current/") {
				if n++; n%2 == 0 {
					return unix.ENOSPC
				}
			}
			return nil
		}
	}
	refuse(d.fs)
	s := d.Open().(*Store)
	if err := errors.Join(s.Mkfs(storetest.ID), s.Mount()); err != nil {
		t.Fatal(err)
	}
	c, o := storetest.Coll(3, 5), storetest.Obj("o")
	submitWait(t, s, func(x *tx) { x.MkColl(c, 4) })
	want := map[string][]byte{}
	for i := range 30 {
		k := fmt.Sprint("k", i%7)
		want[k] = bytes.Repeat([]byte{byte(i)}, i*400)
		submitWait(t, s, func(x *tx) { x.SetAttr(c, o, k, want[k]) })
		if i%10 == 5 {
			submitWait(t, s, func(x *tx) { x.RmAttr(c, o, k) })
			delete(want, k)
			d.Crash(s)
			refuse(d.fs)
			s = d.Open().(*Store)
			if err := s.Mount(); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.Attrs(c, o)
		if err != nil || len(got) != len(want) {
			t.Fatalf("step %d: %d attributes, want %d; %v", i, len(got), len(want), err)
		}
		for k, v := range want {
			if !bytes.Equal(got[k], v) {
				t.Fatalf("step %d: %q has %d bytes, want %d", i, k, len(got[k]), len(v))
			}
		}
	}
	s.Close()
}

// The sum of the objects' sizes is exact, also after a crash.
func TestStoredBytes(t *testing.T) {
	d := newMemDisk(tight)(t).(*memDisk)
	s := d.Open().(*Store)
	if err := errors.Join(s.Mkfs(storetest.ID), s.Mount()); err != nil {
		t.Fatal(err)
	}
	c := storetest.Coll(3, 5)
	submitWait(t, s, func(x *tx) { x.MkColl(c, 4) })
	want := uint64(0)
	for i := range 40 {
		o, n := storetest.Obj(fmt.Sprint(i)), i*1000
		submitWait(t, s, func(x *tx) {
			x.Write(c, o, 0, wire.BufOf(make([]byte, n)))
			x.Clone(c, o, storetest.Obj("clone"))
			x.Remove(c, storetest.Obj("clone"))
		})
		want += uint64(n)
		if i%8 == 7 {
			submitWait(t, s, func(x *tx) { x.Remove(c, o) })
			want -= uint64(n)
			s.checkpoint(true)
		}
		if i%5 == 4 {
			d.Crash(s)
			s = d.Open().(*Store)
			if err := s.Mount(); err != nil {
				t.Fatal(err)
			}
		}
		settle(s)
		if st, err := s.Statfs(); err != nil || st.DataStored != want {
			t.Fatalf("step %d: %d bytes stored, want %d; %v", i, st.DataStored, want, err)
		}
	}
	s.Close()
}
