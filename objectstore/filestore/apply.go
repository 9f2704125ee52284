package filestore

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"sepiola/objectstore/filestore/vfs"
)

// noSpill is what spilled starts as for a new file. It is never written to.
var noSpill = map[string]bool{}

// applyOps does the operations that concern one file, which are consecutive in a
// record. Any of them may have been done before, if replay.
func (s *Store) applyOps(f *file, ops []fileOp, replay bool) error {
	f.io.Lock()
	defer f.io.Unlock()
	var d vfs.File
	defer func() {
		if d != nil {
			s.files.done(f)
		}
	}()
	for i := range ops {
		op := &ops[i]
		var err error
		switch op.kind {
		case fileCreate, fileAdopt, fileRename, fileRemove:
			err = s.applyPlace(f, op, replay)
		default:
			if d == nil {
				d, err = s.files.open(f, 0)
			}
			if err == nil {
				err = s.applyContent(f, d, op)
			}
		}
		if err != nil {
			return fmt.Errorf("apply operation %d to %s: %w", op.kind, f.path, err)
		}
	}
	return nil
}

// applyPlace does what concerns the file's existence and place.
func (s *Store) applyPlace(f *file, op *fileOp, replay bool) error {
	switch op.kind {
	case fileCreate:
		if err := s.files.create(f); err != nil {
			return err
		}
		if !replay {
			f.spilled = noSpill
		}
		return s.reserveFor(f, op.n)
	case fileAdopt:
		if !replay {
			f.spilled = noSpill
		}
		if f.path == op.name {
			return nil
		}
		return s.files.move(f, op.name)
	case fileRename:
		if f.path == op.name {
			return nil
		}
		return s.files.move(f, op.name)
	}
	if err := s.files.remove(f); err != nil {
		return err
	}
	if f.spilled == nil {
		if _, err := s.loadSpilled(f); err != nil {
			return err
		}
	}
	if len(f.spilled) == 0 {
		return nil
	}
	return s.db.DeleteRange(numbered(keySpill, f.fid, ""), numbered(keySpill, f.fid+1, ""), pebble.NoSync)
}

func (s *Store) applyContent(f *file, d vfs.File, op *fileOp) error {
	switch op.kind {
	case fileWrite:
		return writeAt(d, op.off, op.data)
	case fileZero:
		return zeroAt(d, op.off, op.n)
	case fileTruncate:
		return truncateAt(d, op.off)
	case fileSetAttr:
		return s.applySetAttr(f, d, op)
	case fileRmAttr:
		return s.applyRmAttr(f, d, op)
	case fileLongName:
		// A help for whoever looks at the directory: the index has the name too.
		if err := d.SetAttr(longName, op.data.Flat()); err != nil && !refused(err) {
			return err
		}
		return nil
	}
	return fmt.Errorf("operation %d is not known", op.kind)
}

// applySetAttr writes the chain, or where the file system will not hold it, the
// key-value store. An attribute that was refused once stays there.
func (s *Store) applySetAttr(f *file, d vfs.File, op *fileOp) error {
	if f.spilled == nil {
		if _, err := s.loadSpilled(f); err != nil {
			return err
		}
	}
	value := op.data.Flat()
	if !f.spilled[op.name] {
		err := setChain(d, op.name, value, op.oldLen)
		if !errors.Is(err, errRefused) {
			return err
		}
		if len(f.spilled) == 0 {
			f.spilled = map[string]bool{}
		}
		f.spilled[op.name] = true
	} else if err := unchain(d, op); err != nil {
		return err
	}
	return s.db.Set(numbered(keySpill, f.fid, op.name), value, pebble.NoSync)
}

// unchain removes, in a replay, what a crash may have left in the file of an attribute
// that has gone to the key-value store: that may know of it while the removal from
// the file is lost. The file's value would show again when the other goes.
func unchain(d vfs.File, op *fileOp) error {
	if op.oldLen != unknownLen {
		return nil
	}
	return removeChain(d, op.name, 0, -1)
}

func (s *Store) applyRmAttr(f *file, d vfs.File, op *fileOp) error {
	if f.spilled == nil {
		if _, err := s.loadSpilled(f); err != nil {
			return err
		}
	}
	if f.spilled[op.name] {
		delete(f.spilled, op.name)
		if err := unchain(d, op); err != nil {
			return err
		}
		return s.db.Delete(numbered(keySpill, f.fid, op.name), pebble.NoSync)
	}
	end := -1
	if op.oldLen >= 0 {
		end = attrParts(op.oldLen)
	}
	return removeChain(d, op.name, 0, end)
}

// workerOf says which worker applies the operations on a file: always the same, so
// that they are applied in the order of the journal.
func (s *Store) workerOf(fid uint64) int { return int(fid % uint64(s.opts.Workers)) }

// applyFiles does the part of a transaction's file operations that falls to worker
// w, -1 for all.
func (s *Store) applyFiles(t *txn, w int) error {
	for i := 0; i < len(t.ops); {
		k := i + 1
		for k < len(t.ops) && t.ops[k].file == t.ops[i].file {
			k++
		}
		f := t.files[t.ops[i].file].file
		if w < 0 || s.workerOf(f.fid) == w {
			if err := s.applyOps(f, t.ops[i:k], false); err != nil {
				return err
			}
		}
		i = k
	}
	return nil
}

// workers returns the set of workers that have something to do for t.
func (s *Store) workers(t *txn) (set uint64, n int32) {
	for i := range t.ops {
		bit := uint64(1) << s.workerOf(t.files[t.ops[i].file].fid)
		if set&bit == 0 {
			set |= bit
			n++
		}
	}
	return set, n
}

// fileWorker applies file operations, round by round.
func (s *Store) fileWorker(w int, rounds <-chan *round) {
	defer s.loops.Done()
	for r := range rounds {
		for i, t := range r.txns {
			if r.workers[i]&(1<<w) == 0 {
				continue
			}
			if err := s.applyFiles(t, w); err != nil {
				s.fail(err)
				return
			}
			s.part(t)
		}
	}
}

// kvWorker applies the batches of each round as one.
func (s *Store) kvWorker(rounds <-chan *round) {
	defer s.loops.Done()
	for r := range rounds {
		if err := s.applyKV(r.last, r.txns); err != nil {
			s.fail(err)
			return
		}
		for _, t := range r.txns {
			s.part(t)
		}
	}
}

func (s *Store) applyKV(last uint64, txns []*txn) error {
	size := 64
	for _, t := range txns {
		size += len(t.kv)
	}
	all := s.db.NewBatchWithSize(size)
	defer all.Close()
	for _, t := range txns {
		s.stored.Add(t.stored)
		if len(t.kv) == 0 {
			continue
		}
		var one pebble.Batch
		if err := one.SetRepr(t.kv); err != nil {
			return fmt.Errorf("key-value batch: %w", err)
		}
		if err := all.Apply(&one, nil); err != nil {
			return fmt.Errorf("key-value batch: %w", err)
		}
	}
	if err := all.Set(keyStored, storedValue(last, s.stored.Load()), nil); err != nil {
		return err
	}
	return s.db.Apply(all, pebble.NoSync)
}

// part counts down what is left of applying t.
func (s *Store) part(t *txn) {
	if t.parts.Add(-1) == 0 {
		s.finish(t)
	}
}

// finish forgets a transaction that is applied.
func (s *Store) finish(t *txn) {
	t.settled.Store(true)
	for _, m := range t.index {
		m.c.mu.Lock()
		if e := m.c.entry(m.gid); e.txns > 1 {
			e.txns--
		} else {
			m.c.index.Delete(e)
		}
		m.c.mu.Unlock()
	}
	for _, o := range t.objects {
		o.mu.Lock()
		o.settle()
		o.pins--
		o.mu.Unlock()
	}
	for i := range t.files {
		s.files.release(t.files[i].file)
	}
	s.throttle.give(t.bytes)
	r := t.round
	t.record, t.objects, t.index = record{}, nil, nil
	if r.left.Add(-1) == 0 {
		s.roundApplied()
	}
}
