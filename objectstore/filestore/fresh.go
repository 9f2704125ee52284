package filestore

import (
	"fmt"

	"sepiola/objectstore/filestore/vfs"
	"sepiola/wire"
)

func (k *freshTask) release(t *files) {
	t.release(k.file)
	if k.from != nil {
		t.release(k.from.file)
	}
}

// runFresh writes a transaction's fresh data and makes it durable; then the
// transaction may go to the journal.
func (s *Store) runFresh(t *txn) {
	defer s.loops.Done()
	for i := range t.fresh {
		if w := t.fresh[i].wait; w != nil {
			select {
			case <-w:
			case <-s.failed:
				return
			}
		}
	}
	s.freshSlots <- struct{}{}
	err := s.writeFresh(t)
	<-s.freshSlots
	if err != nil {
		s.fail(fmt.Errorf("write fresh data: %w", err))
		return
	}
	t.freshDone.Store(true)
	for i := range t.fresh {
		if o := t.fresh[i].stage.o; o != nil {
			o.mu.Lock()
			o.settle()
			o.mu.Unlock()
		}
		t.fresh[i].release(s.files)
	}
	close(t.done)
	t.fresh = nil
	s.unblock(t)
}

func (s *Store) writeFresh(t *txn) error {
	for i := range t.fresh {
		if t.fresh[i].make {
			t.freshDir = true
		}
		// The tasks for a file follow one another; it is synced once.
		sync := i+1 == len(t.fresh) || t.fresh[i+1].file != t.fresh[i].file
		if err := s.runTask(&t.fresh[i], sync); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) runTask(k *freshTask, sync bool) error {
	f := k.file
	if k.make {
		f.io.Lock()
		err := s.files.create(f)
		if n := k.expect; err == nil && n > k.off+uint64(k.data.Len()) {
			err = s.reserveFor(f, n)
		}
		f.io.Unlock()
		if err != nil {
			return err
		}
	}
	// Shared: nobody reads where this writes, and others may read elsewhere.
	f.io.RLock()
	defer f.io.RUnlock()
	return s.files.change(f, func(d vfs.File) error {
		var err error
		if k.from != nil {
			err = s.copyInto(d, k.from)
		} else {
			err = writeAt(d, k.off, k.data)
		}
		if err == nil && sync {
			err = d.SyncData()
		}
		return err
	})
}

// reserveFor reserves room for a file that is going to have so many bytes, while there is
// plenty. f.io is held.
func (s *Store) reserveFor(f *file, n uint64) error {
	if n == 0 || !s.HasRoom(64*n) {
		return nil
	}
	return s.files.change(f, func(d vfs.File) error { d.Reserve(int64(n)); return nil })
}

// copyInto copies an object's data to a file, except for what is holes by its
// checksums. What cannot be read right must not get a new life as a clone, but nor may it
// stop the store: it is copied as it is, and fails its checksum in the clone too.
func (s *Store) copyInto(d vfs.File, m *meta) error {
	buf := make([]byte, chunkBytes)
	for _, c := range m.sums {
		off := uint64(c.n) * chunkBytes
		if off >= m.size || len(c.sums) == 0 {
			continue
		}
		end := min(off+uint64(len(c.sums)/4)*blockSize, m.size)
		p := buf[:end-off]
		clear(p)
		if err := s.readMeta(m, off, end, p); err != nil {
			return err
		}
		if err := d.WriteV(wire.BufOf(p), int64(off)); err != nil {
			return err
		}
	}
	return nil
}
