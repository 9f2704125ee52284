package filestore

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"sepiola/wire"
)

// round is what one sync of the journal makes durable.
type round struct {
	txns    []*txn
	workers []uint64 // for each transaction, the file workers it needs
	last    uint64   // number of its last chunk
	end     position // behind it
	left    atomic.Int32
}

// journalLoop writes what is queued, syncs, and hands on: as many transactions as
// have gathered while the sync before was running share one.
func (s *Store) journalLoop() {
	defer s.loops.Done()
	defer func() {
		for _, c := range s.fileQueues {
			close(c)
		}
		close(s.kvQueue)
		close(s.commits)
	}()
	for {
		txns := s.gather()
		if txns == nil {
			return
		}
		r, err := s.writeRound(txns)
		if err != nil {
			s.fail(fmt.Errorf("journal: %w", err))
			return
		}
		s.roundMu.Lock()
		s.rounds = append(s.rounds, r)
		s.roundMu.Unlock()
		select {
		case s.commits <- committedOf(txns):
		case <-s.failed:
			return
		}
		if !s.handOut(r) {
			return
		}
		if s.journal.wantsTrim() {
			s.wantCheckpoint()
		}
		s.growJournal()
	}
}

// handOut gives a round to those who have something to do for it. It reports false when
// the store failed.
func (s *Store) handOut(r *round) bool {
	set := uint64(0)
	for _, w := range r.workers {
		set |= w
	}
	for w, q := range s.fileQueues {
		if set&(1<<w) == 0 {
			continue
		}
		select {
		case q <- r:
		case <-s.failed:
			return false
		}
	}
	select {
	case s.kvQueue <- r:
		return true
	case <-s.failed:
		return false
	}
}

// growJournal adds a segment in the background when none is free: filling one takes
// longer than a round may.
func (s *Store) growJournal() {
	segment, ok := s.journal.reserve()
	if !ok {
		return
	}
	s.loops.Add(1)
	go func() {
		defer s.loops.Done()
		if err := s.journal.add(segment); err != nil {
			s.fail(fmt.Errorf("grow the journal: %w", err))
		}
	}()
}

func committedOf(txns []*txn) []func() {
	out := make([]func(), 0, len(txns))
	for _, t := range txns {
		if t.committed != nil {
			out = append(out, t.committed)
			t.committed = nil
		}
	}
	return out
}

// commitLoop calls the callbacks, in order.
func (s *Store) commitLoop() {
	defer s.loops.Done()
	for batch := range s.commits {
		for _, f := range batch {
			if s.Err() != nil {
				return
			}
			f()
		}
	}
}

// gather waits for transactions and takes a round's worth; nil when the store stops.
func (s *Store) gather() []*txn {
	s.seq.Lock()
	defer s.seq.Unlock()
	for len(s.queue) == 0 && !s.stopping {
		s.queued.Wait()
	}
	if s.stopping {
		return nil
	}
	n, bytes := 0, int64(0)
	most := min(s.opts.RoundMax, s.journal.roundMax.Load())
	for n < len(s.queue) && (n == 0 || bytes+s.queue[n].recordBytes <= most) {
		bytes += s.queue[n].recordBytes
		n++
	}
	txns := s.queue[:n:n]
	if n == len(s.queue) {
		s.queue = nil
	} else {
		s.queue = s.queue[n:]
	}
	return txns
}

// writeRound writes the records to the journal and syncs it.
func (s *Store) writeRound(txns []*txn) (*round, error) {
	r := &round{txns: txns, workers: make([]uint64, len(txns))}
	r.left.Store(int32(len(txns)))
	bytes, newFile := int64(0), false
	for i, t := range txns {
		set, n := s.workers(t)
		r.workers[i] = set
		t.parts.Store(n + 1)
		t.round = r
		bytes += t.recordBytes
		newFile = newFile || t.freshDir
	}
	if newFile {
		if err := s.fs.SyncDir(s.files.full(freshDir)); err != nil {
			return nil, err
		}
	}
	if err := s.waitForRoom(uint64(bytes)); err != nil {
		return nil, err
	}
	j := s.journal
	w := stream{j: j}
	if err := w.begin(); err != nil {
		return nil, err
	}
	e := &s.encoder
	for _, t := range txns {
		e.Reset()
		s.cuts = t.record.encode(e, s.cuts[:0])
		if err := w.record(e.Bytes(), s.cuts); err != nil {
			return nil, err
		}
	}
	if err := w.end(chunkLast); err != nil {
		return nil, err
	}
	if err := j.f.SyncData(); err != nil {
		return nil, err
	}
	j.durable = j.next.chunk - 1
	r.last, r.end = j.durable, j.next
	return r, nil
}

// record writes an encoded record with its length.
func (w *stream) record(p []byte, cuts []cut) error {
	n := len(p)
	for _, c := range cuts {
		n += c.data.Len()
	}
	var head [4]byte
	binary.LittleEndian.PutUint32(head[:], uint32(n))
	if err := w.write(head[:]); err != nil {
		return err
	}
	at := 0
	for _, c := range cuts {
		if err := w.write(p[at:c.at]); err != nil {
			return err
		}
		at = c.at
		if err := w.segments(c.data); err != nil {
			return err
		}
	}
	return w.write(p[at:])
}

func (w *stream) segments(b wire.Buf) error {
	for _, p := range b {
		if err := w.write(p); err != nil {
			return err
		}
	}
	return nil
}

// waitForRoom waits until the journal has room for so many bytes of records, and
// for the chunks around them, on disk: a round must not meet the end of the space.
func (s *Store) waitForRoom(bytes uint64) error {
	need := bytes + bytes/8 + 8*journalBase
	for {
		if ok, err := s.journal.ensure(need); ok || err != nil {
			return err
		}
		s.roundMu.Lock()
		trims := s.trims
		idle := len(s.rounds) == 0
		s.roundMu.Unlock()
		if idle && s.journal.available() < need {
			return errJournalFull
		}
		s.wantCheckpoint()
		s.roundMu.Lock()
		for s.trims == trims && s.Err() == nil {
			s.trimmed.Wait()
		}
		s.roundMu.Unlock()
		if err := s.Err(); err != nil {
			return err
		}
	}
}
