package memstore

import (
	"errors"
	"sync"
	"sync/atomic"

	"sepiola/objectstore"
)

// Options configure a store.
type Options struct {
	// Manual leaves commits to the caller: see [Store.Commit].
	Manual bool
	// Capacity in bytes is what Statfs calls the total; 0 means 2 GiB ("memstore
	// device bytes" of Ceph is 1 GiB). It is not enforced here: the OSD refuses
	// writes by the full ratios.
	Capacity uint64
}

// Store is an objectstore.Store in memory.
type Store struct {
	opts Options
	now  atomic.Pointer[content] // what readers see

	mu       sync.Mutex
	cond     *sync.Cond
	identity *objectstore.Identity
	mounted  bool
	durable  *content
	pending  []commit // submitted, not durable yet, in order
	queue    []func() // callbacks the goroutine has yet to run
	running  bool     // the goroutine exists
	failed   chan struct{}
	err      error
}

type commit struct {
	after *content
	done  func()
}

var _ objectstore.Store = (*Store)(nil)

// queueMax is how many callbacks may wait before Submit blocks.
const queueMax = 4096

// New returns an empty store that commits by itself.
func New() *Store { return NewWith(Options{}) }

// NewWith returns an empty store.
func NewWith(opts Options) *Store {
	if opts.Capacity == 0 {
		opts.Capacity = 2 << 30
	}
	s := &Store{opts: opts, durable: newContent(), failed: make(chan struct{})}
	s.cond = sync.NewCond(&s.mu)
	s.now.Store(s.durable)
	return s
}

// HasRoom implements objectstore.Store: memory has no bound here.
func (s *Store) HasRoom(uint64) bool { return true }

// Kind returns "memstore".
func (s *Store) Kind() string { return "memstore" }

// Mkfs implements objectstore.Store.
func (s *Store) Mkfs(id objectstore.Identity) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.identity != nil && *s.identity != id {
		return errors.New("memstore: belongs to another OSD or cluster")
	}
	s.identity = &id
	return nil
}

// Identity implements objectstore.Store.
func (s *Store) Identity() (objectstore.Identity, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.identity == nil {
		return objectstore.Identity{}, objectstore.ErrNotFound
	}
	return *s.identity, nil
}

// Mount implements objectstore.Store.
func (s *Store) Mount() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.identity == nil:
		return errors.New("memstore: no store was made here (mkfs)")
	case s.mounted:
		return objectstore.ErrInUse
	}
	s.mounted = true
	return nil
}

// Close makes everything durable, runs the callbacks and waits for them.
func (s *Store) Close() error {
	if s.opts.Manual {
		s.Commit(-1)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.mounted {
		return objectstore.ErrClosed
	}
	s.mounted = false
	for s.running {
		s.cond.Wait()
	}
	return nil
}

// Submit implements objectstore.Store.
func (s *Store) Submit(tx *objectstore.Transaction, committed func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.opts.Manual && len(s.queue) >= queueMax && s.err == nil {
		s.cond.Wait()
	}
	switch {
	case s.err != nil:
		return s.err
	case !s.mounted:
		return objectstore.ErrClosed
	}
	after, err := s.now.Load().apply(tx)
	if err != nil {
		return err
	}
	s.now.Store(after)
	if s.opts.Manual {
		s.pending = append(s.pending, commit{after, committed})
		return nil
	}
	s.durable = after
	if committed != nil {
		s.queue = append(s.queue, committed)
	}
	if !s.running && len(s.queue) > 0 {
		s.running = true
		go s.run()
	}
	return nil
}

// run calls the callbacks in order until there are no more.
func (s *Store) run() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) > 0 {
		batch := s.queue
		s.queue = nil
		s.cond.Broadcast()
		s.mu.Unlock()
		for _, f := range batch {
			f()
		}
		s.mu.Lock()
	}
	s.running = false
	s.cond.Broadcast()
}

// Pending returns how many transactions are submitted and not durable. It is 0
// unless the store is Manual.
func (s *Store) Pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pending)
}

// Commit makes the n oldest pending transactions durable, all of them if n < 0
// or too large, and calls their callbacks before it returns.
func (s *Store) Commit(n int) {
	s.mu.Lock()
	if n < 0 || n > len(s.pending) {
		n = len(s.pending)
	}
	batch := s.pending[:n:n]
	s.pending = s.pending[n:]
	if n > 0 {
		s.durable = batch[n-1].after
	}
	s.mu.Unlock()
	for _, c := range batch {
		if c.done != nil {
			c.done()
		}
	}
}

// Crash loses power: keep of the oldest pending transactions turn out to have
// become durable, although nobody was told, and the rest is gone. No callback
// runs. The store is as after Close: Mount opens it again.
func (s *Store) Crash(keep int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if keep = min(keep, len(s.pending)); keep > 0 {
		s.durable = s.pending[keep-1].after
	}
	s.pending = nil
	s.queue = nil
	s.now.Store(s.durable)
	s.mounted = false
	if s.err != nil {
		s.err = nil
		s.failed = make(chan struct{})
	}
}

// Fail makes the store behave as if its disk had failed with err.
func (s *Store) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	s.err = err
	s.pending, s.queue = nil, nil
	close(s.failed)
	s.cond.Broadcast()
}

// Failed implements objectstore.Store.
func (s *Store) Failed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// Err implements objectstore.Store.
func (s *Store) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
