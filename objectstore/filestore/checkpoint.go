package filestore

import (
	"fmt"
	"maps"
	"time"
)

// wantCheckpoint asks for a checkpoint soon.
func (s *Store) wantCheckpoint() {
	select {
	case s.checkpointNow <- struct{}{}:
	default:
	}
}

// roundApplied tells those who wait for rounds to be applied.
func (s *Store) roundApplied() {
	s.roundMu.Lock()
	s.roundMu.Unlock() //lint:ignore SA2001 nobody is between looking and waiting now
	s.applied.Broadcast()
}

// checkpointLoop makes checkpoints: at times, when the journal asks for it, and
// while somebody waits for room.
func (s *Store) checkpointLoop() {
	defer s.loops.Done()
	tick := time.NewTicker(s.opts.SyncInterval)
	defer tick.Stop()
	for {
		wait := false
		select {
		case <-s.stop:
			return
		case <-tick.C:
		case <-s.checkpointNow:
			wait = true
		}
		if err := s.checkpoint(wait); err != nil {
			s.fail(fmt.Errorf("checkpoint: %w", err))
			return
		}
	}
}

// checkpoint makes what is applied durable and trims the journal: first everything
// in files and key-value store is synced, then the journal's header says from where on
// a replay is needed, and only when that is durable may the space before be reused.
// With wait it waits until there is something to trim, if anything is on its way.
func (s *Store) checkpoint(wait bool) error {
	s.checkpointMu.Lock()
	defer s.checkpointMu.Unlock()
	rounds := s.appliedRounds(wait)
	if len(rounds) > 0 {
		start := time.Now()
		if err := s.syncAll(); err != nil {
			return err
		}
		if err := s.journal.trim(rounds[len(rounds)-1].end); err != nil {
			return err
		}
		s.cover(rounds)
		s.space.forget()
		s.log.Debug("checkpoint", "rounds", len(rounds), "took", time.Since(start))
	}
	s.roundMu.Lock()
	clear(rounds)
	s.rounds = s.rounds[len(rounds):]
	if len(s.rounds) == 0 {
		s.rounds = nil
	}
	s.trims++
	s.roundMu.Unlock()
	s.trimmed.Broadcast()
	return nil
}

// appliedRounds returns the oldest rounds up to the first that is not applied.
func (s *Store) appliedRounds(wait bool) []*round {
	s.roundMu.Lock()
	defer s.roundMu.Unlock()
	for wait && len(s.rounds) > 0 && s.rounds[0].left.Load() > 0 && s.Err() == nil {
		s.applied.Wait()
	}
	n := 0
	for n < len(s.rounds) && s.rounds[n].left.Load() == 0 {
		n++
	}
	return s.rounds[:n:n]
}

// syncAll makes all files and the key-value store durable.
func (s *Store) syncAll() error {
	if err := s.fs.SyncFS(s.dir); err != nil {
		return err
	}
	return s.flushKV(s.db)
}

// cover marks the transactions of rounds as covered by a checkpoint.
func (s *Store) cover(rounds []*round) {
	s.hotMu.Lock()
	defer s.hotMu.Unlock()
	for _, r := range rounds {
		for _, t := range r.txns {
			t.mark.covered = true
		}
	}
	maps.DeleteFunc(s.hot, func(_ uint64, h heat) bool { return h.mark.covered })
}
