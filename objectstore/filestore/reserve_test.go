package filestore

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"sepiola/objectstore"
	"sepiola/objectstore/storetest"
)

// blocks returns the bytes that the only file of an object takes on the disk.
func blocks(t *testing.T, dir, name string) int64 {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "current", "*", name+"_*"))
	if err != nil || len(list) != 1 {
		t.Fatalf("files of %s: %q, %v", name, list, err)
	}
	st, err := os.Stat(list[0])
	if err != nil {
		t.Fatal(err)
	}
	return st.Sys().(*syscall.Stat_t).Blocks * 512
}

// Room is reserved for what a client says it will write from the beginning to the end, by
// both ways that make a file, and for nothing else: other objects may stay mostly holes.
func TestReserve(t *testing.T) {
	dir := t.TempDir()
	if f, err := os.Create(filepath.Join(dir, "probe")); err != nil || unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, 1<<20) != nil {
		t.Skip("this file system reserves nothing")
	}
	dir += "/osd"
	s := New(dir, Options{})
	for _, err := range []error{s.Mkfs(storetest.ID), s.Mount()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	defer s.Close()
	const size, most = 1 << 20, 1 << 21
	for i, c := range []struct {
		flags  uint32
		length int
		want   bool
	}{
		{0, 100, false}, {2, 100, false}, {objectstore.HintSequentialWrite, 100, true}, {objectstore.HintAppendOnly, 100, true},
		{objectstore.HintAppendOnly, 200 << 10, true}, {0, 200 << 10, false},
	} {
		name := fmt.Sprint("o", i)
		o := inA(name, i)
		submitWait(t, s, func(x *tx) {
			if i == 0 {
				x.MkColl(collA, 2)
			}
			x.SetAllocHint(collA, o, objectstore.AllocHint{ObjectSize: size, WriteSize: 4096, Flags: c.flags})
			x.Write(collA, o, 0, data(i, c.length))
		})
		settle(s)
		got := blocks(t, dir, name)
		if c.want != (got >= size) || got > most {
			t.Errorf("flags %d, %d bytes: %d bytes on the disk", c.flags, c.length, got)
		}
		st, err := s.Stat(collA, o)
		if err != nil || st.Size != uint64(c.length) {
			t.Errorf("size %d, %v", st.Size, err)
		}
		x, err := s.Extents(collA, o, 0, size)
		if end := uint64(c.length+4095) / 4096 * 4096; err != nil || len(x) != 1 || x[0].Off+x[0].Len > end {
			t.Errorf("extents %v, %v", x, err)
		}
	}
	if n, err := func() (int, error) { s.Close(); return New(dir, Options{}).Fsck(true, func(f Finding) { t.Error(f) }) }(); n > 0 || err != nil {
		t.Errorf("fsck: %d, %v", n, err)
	}
}
