package filestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"sepiola/objectstore"
)

// throttle bounds what is on its way: submitted and not yet applied.
type throttle struct {
	mu       sync.Mutex
	cond     sync.Cond
	bytes    int64
	ops      int
	bytesMax int64
	opsMax   int
	open     bool
}

func newThrottle(bytes int64, ops int) *throttle {
	t := &throttle{bytesMax: bytes, opsMax: ops, open: true}
	t.cond.L = &t.mu
	return t
}

// take waits for room; one transaction on its own always finds it. It reports
// false when the store is closing or failed.
func (t *throttle) take(n int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.open && t.ops > 0 && (t.bytes+n > t.bytesMax || t.ops >= t.opsMax) {
		t.cond.Wait()
	}
	if !t.open {
		return false
	}
	t.bytes += n
	t.ops++
	return true
}

func (t *throttle) give(n int64) {
	t.mu.Lock()
	t.bytes -= n
	t.ops--
	t.mu.Unlock()
	t.cond.Broadcast()
}

// shut refuses all from now on.
func (t *throttle) shut() {
	t.mu.Lock()
	t.open = false
	t.mu.Unlock()
	t.cond.Broadcast()
}

// drain waits until nothing is on its way, or stop says not to wait any more.
func (t *throttle) drain(stop func() bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.ops > 0 && !stop() {
		t.cond.Wait()
	}
}

// sizeOf estimates the bytes a transaction takes in the journal and in memory.
func sizeOf(tx *objectstore.Transaction) int64 {
	n := int64(256)
	for i := range tx.Ops {
		op := &tx.Ops[i]
		n += 128 + int64(op.Data.Len()) + int64(len(op.Object.Name))
		for k, v := range op.Pairs {
			n += int64(len(k) + len(v) + 32)
		}
		for _, k := range op.Keys {
			n += int64(len(k) + 32)
		}
	}
	return n
}

// Submit implements objectstore.Store. See the package comment for what becomes of a
// transaction.
func (s *Store) Submit(tx *objectstore.Transaction, committed func()) error {
	if !s.mounted.Load() {
		return objectstore.ErrClosed
	}
	size := sizeOf(tx)
	if size > s.opts.TransactionMax {
		return fmt.Errorf("transaction of %d bytes, more than %d: %w", size, s.opts.TransactionMax, objectstore.ErrInvalid)
	}
	if !s.throttle.take(size) {
		return s.refusal()
	}
	t := &txn{committed: committed, bytes: size, mark: &mark{}}
	if err := s.resolve(t, tx); err != nil {
		s.throttle.give(size)
		return err
	}
	if len(t.fresh) > 0 {
		s.loops.Add(1)
		go s.runFresh(t)
	}
	return nil
}

// refusal says why nothing can be submitted.
func (s *Store) refusal() error {
	if err := s.Err(); err != nil {
		return err
	}
	return objectstore.ErrClosed
}

// resolve makes tx visible and puts t, its redo form, into the queue.
func (s *Store) resolve(t *txn, tx *objectstore.Transaction) error {
	colls := s.involved(tx)
	for _, c := range colls { // in order, so that two transactions cannot block each other
		c.mu.Lock()
		defer c.mu.Unlock()
	}
	r := &resolver{s: s, t: t, kv: s.db.NewBatch()}
	defer r.kv.Close()
	defer r.unpin()
	for _, c := range colls {
		r.colls = append(r.colls, stagedColl{c: c, exists: c.exists, bits: c.bits})
	}
	for i := range tx.Ops {
		op := &tx.Ops[i]
		if err := r.step(op); err != nil {
			r.abandon()
			if errors.As(err, new(unix.Errno)) && !errors.Is(err, objectstore.ErrIO) {
				err = fmt.Errorf("%w: %w", objectstore.ErrIO, err) // what it met while it read
			}
			return fmt.Errorf("%v of %v in %v, step %d: %w", op.Kind, op.Object, op.Coll, i, err)
		}
	}
	err := r.finish()
	if err == nil {
		err = s.admitGrowth(t.growth(colls))
	}
	if t.recordBytes = t.size(); err == nil && t.recordBytes > s.journal.recordMax.Load() {
		err = fmt.Errorf("a record of %d bytes does not fit into the journal: %w", t.recordBytes, objectstore.ErrInvalid)
	}
	if err != nil {
		r.abandon()
		return err
	}
	t.colls = colls
	if len(t.fresh) > 0 {
		t.done = make(chan struct{})
	}
	r.commit()
	s.enqueue(t)
	return nil
}

// involved returns the collections that tx names, in order. A collection that is to
// be made gets its place in memory here.
func (s *Store) involved(tx *objectstore.Transaction) []*collection {
	var out []*collection
	add := func(id objectstore.Coll, make bool) {
		if slices.ContainsFunc(out, func(c *collection) bool { return c.id == id }) {
			return
		}
		s.collMu.RLock()
		c := s.colls[id]
		s.collMu.RUnlock()
		if c == nil && make {
			s.collMu.Lock()
			if c = s.colls[id]; c == nil {
				c = newCollection(id)
				s.colls[id] = c
			}
			s.collMu.Unlock()
		}
		if c != nil {
			out = append(out, c)
		}
	}
	for i := range tx.Ops {
		op := &tx.Ops[i]
		if op.Kind == objectstore.OpNop {
			continue
		}
		add(op.Coll, op.Kind == objectstore.OpMkColl)
		switch op.Kind {
		case objectstore.OpMoveRename, objectstore.OpSplitColl, objectstore.OpMergeColl:
			add(op.DstColl, false)
		}
	}
	slices.SortFunc(out, func(a, b *collection) int { return a.id.Compare(b.id) })
	return out
}

// enqueue orders t behind the transactions of the same collections that are still
// waiting, and hands it to the journal when there is nothing to wait for. The
// collections are locked.
func (s *Store) enqueue(t *txn) {
	s.seq.Lock()
	defer s.seq.Unlock()
	for _, c := range t.colls {
		if c.last != nil {
			c.last.waiters = append(c.last.waiters, t)
			t.blockers++
		}
		c.last = t
	}
	if len(t.fresh) > 0 {
		t.blockers++
	}
	if t.blockers == 0 {
		s.admit(t)
	}
}

// unblock takes one blocker away.
func (s *Store) unblock(t *txn) {
	s.seq.Lock()
	defer s.seq.Unlock()
	if t.blockers--; t.blockers == 0 {
		s.admit(t)
	}
}

// admit puts t into the journal's queue, and those behind it that wait for nothing
// else. seq is locked.
func (s *Store) admit(t *txn) {
	s.queue = append(s.queue, t)
	for i := len(s.queue) - 1; i < len(s.queue); i++ {
		t := s.queue[i]
		for _, c := range t.colls {
			if c.last == t {
				c.last = nil
			}
		}
		for _, w := range t.waiters {
			if w.blockers--; w.blockers == 0 {
				s.queue = append(s.queue, w)
			}
		}
		t.waiters = nil
	}
	s.queued.Signal()
}

// noteHot remembers how far t's record changes files.
func (s *Store) noteHot(t *txn) {
	if len(t.hot) == 0 {
		return
	}
	s.hotMu.Lock()
	defer s.hotMu.Unlock()
	for _, h := range t.hot {
		e := s.hot[h.fid]
		if e.mark != nil && e.mark.covered {
			e.end = 0
		}
		s.hot[h.fid] = heat{max(e.end, h.end), t.mark}
	}
	t.hot = nil
}

// heat says how far into a file the changes reach that a replay would make.
type heat struct {
	end  uint64
	mark *mark // of the latest transaction among them
}

func (s *Store) hotEnd(fid uint64) uint64 {
	s.hotMu.Lock()
	defer s.hotMu.Unlock()
	if e := s.hot[fid]; e.mark != nil && !e.mark.covered {
		return e.end
	}
	return 0
}

// newID returns a number that no object or file ever had.
func (s *Store) newID() uint64 { return s.nextID.Add(1) }

func appendBits(p []byte, bits uint32) []byte { return binary.AppendUvarint(p, uint64(bits)) }

func storedValue(last uint64, stored int64) []byte {
	p := binary.BigEndian.AppendUint64(nil, last)
	return binary.BigEndian.AppendUint64(p, uint64(stored))
}
