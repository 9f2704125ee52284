package filestore

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"

	"sepiola/objectstore/filestore/vfs"
	"sepiola/wire"
)

// Large new data goes to the disk past the page cache: to copy it there is most of what
// writing it costs, and it would drive out what is read. The kernel wants memory, offset
// and length in whole blocks. Data that comes at other addresses, as a replica's does
// behind its transaction's header, is copied to a buffer first, part by part. The rest of
// the last block is zeros, which are beyond the object's end and never read. They would
// be, if they came after other data for that place, so such data waits.

// directBytes is the length of a buffer for data at other addresses.
const directBytes = 512 << 10

// makeDirect makes the file of a task, writes its data past the page cache, and syncs it
// if that is asked for. done is false, and nothing but the file may be there, if the
// data is too short for it or the file system does not do it.
func (s *Store) makeDirect(k *freshTask, sync bool) (done bool, err error) {
	if !k.make || k.from != nil || k.off%blockSize != 0 || uint64(k.data.Len()) < s.opts.DirectMin || s.noDirect.Load() {
		return false, nil
	}
	f := k.file
	f.io.RLock() // it stays where it is; nobody reads a file that is not ready
	d, err := s.fs.Open(s.files.full(f.path), vfs.Create|vfs.Direct)
	if err == nil {
		if n := k.expect; n > k.off+uint64(k.data.Len()) && s.HasRoom(64*n) {
			d.Reserve(int64(n))
		}
		err = s.writeAligned(d, k.off, k.data)
		if err == nil && sync {
			err = d.SyncData()
		}
		err = errors.Join(err, d.Close())
	}
	f.io.RUnlock()
	switch {
	case errors.Is(err, unix.EINVAL): // what file systems say that do not do it
		s.noDirect.Store(true)
		return false, nil
	case err != nil:
		return false, err
	}
	f.io.Lock()
	f.ready = true // what is written behind the data waits for this: see tryFresh
	f.io.Unlock()
	return true, nil
}

// writeAligned writes b, and zeros up to the end of its last block, in whole blocks of
// aligned memory.
func (s *Store) writeAligned(d vfs.File, off uint64, b wire.Buf) error {
	aside := s.aside.Get().(*[]byte)
	defer s.aside.Put(aside)
	buf, n := *aside, 0
	put := func(p []byte) error {
		_, err := d.WriteAt(p, int64(off))
		off += uint64(len(p))
		return err
	}
	for _, seg := range b {
		for len(seg) > 0 {
			k := len(seg) &^ (blockSize - 1)
			if n > 0 || k == 0 || !isAligned(seg) {
				k = copy(buf[n:], seg)
				if n += k; n == len(buf) {
					if err := put(buf); err != nil {
						return err
					}
					n = 0
				}
			} else if err := put(seg[:k]); err != nil {
				return err
			}
			seg = seg[k:]
		}
	}
	if n == 0 {
		return nil
	}
	end := (n + blockSize - 1) &^ (blockSize - 1)
	clear(buf[n:end])
	return put(buf[:end])
}

func isAligned(p []byte) bool { return uintptr(unsafe.Pointer(&p[0]))%blockSize == 0 }
