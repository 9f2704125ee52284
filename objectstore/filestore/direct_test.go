package filestore

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"

	"sepiola/objectstore/filestore/vfs"
	"sepiola/objectstore/storetest"
	"sepiola/wire"
)

// Data of any length, at any addresses, in any pieces, is the same when it was written past
// the page cache, on the machine's file system and on one that refuses such writes.
func TestDirectData(t *testing.T) {
	whole := bytesOf(3, 3*directBytes+5)
	apart := func(sizes ...int) wire.Buf {
		var b wire.Buf
		at := 0
		for _, n := range sizes {
			p := aligned(n + 64)[at%64:]
			b = append(b, p[:copy(p[:n], whole[at:])])
			at += n
		}
		return b
	}
	for _, refuses := range []bool{false, true} {
		dir := t.TempDir()
		fs := &directFS{FS: vfs.OS, refuses: refuses}
		s := New(dir, Options{FS: fs, FreshMin: 8192, DirectMin: 8192})
		if err := s.Mkfs(storetest.ID); err != nil {
			t.Fatal(err)
		}
		if err := s.Mount(); err != nil {
			t.Fatal(err)
		}
		submitWait(t, s, func(x *tx) { x.MkColl(collA, 2) })
		for i, b := range []wire.Buf{
			apart(8192), apart(8193), apart(12288, 4096, 5000), apart(1, 8191, 4096), apart(4096, 10, 20000),
			apart(directBytes), apart(17, directBytes), apart(2*directBytes, 100, directBytes-7), apart(3*directBytes + 5),
		} {
			o := inA("o", 2*i)
			submitWait(t, s, func(x *tx) { x.Write(collA, o, 0, b) })
			settle(s)
			submitWait(t, s, func(x *tx) { x.Write(collA, o, uint64(b.Len())+1, []([]byte){[]byte("end")}) })
			got, err := s.Read(collA, o, 0, 0)
			if want := append(bytes.Clone(b.Flat()), "\x00end"...); err != nil || !bytes.Equal(got.Flat(), want) {
				t.Errorf("refuses %v, write %d: %d bytes of %d differ, %v", refuses, i, got.Len(), len(want), err)
			}
		}
		if fs.written == 0 != refuses {
			t.Errorf("refuses %v: %d bytes went past the page cache", refuses, fs.written)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// What is appended while the data before it is on its way to the file waits for that: the
// zeros that fill up its last block must not come after it.
func TestDirectDataBeforeAppended(t *testing.T) {
	fs := &directFS{FS: vfs.OS, gate: make(chan struct{})}
	s := New(t.TempDir(), Options{FS: fs, FreshMin: 8192, DirectMin: 8192})
	if err := s.Mkfs(storetest.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.Mount(); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	submitWait(t, s, func(x *tx) { x.MkColl(collA, 2) })
	o := inA("o", 0)
	for i, off := range []uint64{0, 30000} {
		var x tx
		x.Write(collA, o, off, data(i, 30000))
		if err := s.Submit(&x, nil); err != nil {
			t.Fatal(err)
		}
	}
	err := s.view(collA, o, func(_ *collection, o *obj) error {
		if last := o.pend[len(o.pend)-1].txn; len(last.fresh) != 1 || last.fresh[0].wait == nil {
			t.Errorf("%d parts of what is appended do not wait", len(last.fresh))
		}
		return nil
	})
	close(fs.gate)
	settle(s)
	got, err2 := s.Read(collA, o, 0, 0)
	if want := append(bytesOf(0, 30000), bytesOf(1, 30000)...); err != nil || err2 != nil || !bytes.Equal(got.Flat(), want) {
		t.Errorf("%d bytes, %v, %v", got.Len(), err, err2)
	}
}

// directFS counts what is written to data files past the page cache, or refuses it.
type directFS struct {
	vfs.FS
	refuses bool
	gate    chan struct{} // where given, writes to data files wait for its end
	written int
}

func (d *directFS) Open(path string, flags vfs.Flags) (vfs.File, error) {
	f, err := d.FS.Open(path, flags)
	if err == nil && flags == vfs.Create|vfs.Direct && bytes.Contains([]byte(path), []byte("/"+freshDir+"/")) {
		return &directFile{f, d}, nil
	}
	return f, err
}

type directFile struct {
	vfs.File
	fs *directFS
}

func (f *directFile) WriteAt(p []byte, off int64) (int, error) {
	if f.fs.refuses {
		return 0, unix.EINVAL
	}
	if f.fs.gate != nil {
		<-f.fs.gate
	}
	if len(p)%blockSize != 0 || off%blockSize != 0 || !isAligned(p) {
		return 0, unix.EIO
	}
	f.fs.written += len(p)
	return f.File.WriteAt(p, off)
}
