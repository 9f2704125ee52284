package filestore

import (
	"fmt"
	"path"
	"sync"

	"sepiola/objectstore"
)

// space remembers how much room the file system had when it was last asked.
type space struct {
	mu    sync.Mutex
	known bool
	left  uint64 // what growing transactions may take before it is asked again
}

// reserveMax bounds the default of Options.ReserveBytes, in bytes.
const reserveMax = 1 << 30

// reserveOf returns the bytes that are kept free on a file system of total bytes.
func (s *Store) reserveOf(total uint64) uint64 {
	if s.opts.ReserveBytes > 0 {
		return s.opts.ReserveBytes
	}
	return min(total/100, reserveMax)
}

// admitGrowth refuses a transaction that puts so many bytes of data into files when they
// would come out of the reserve. Once a transaction is visible it can only succeed or
// take the store down with it, so this is the place to say that there is no room.
// Transactions without data always pass: removals must be possible on a full disk, with
// the log entries that come with them.
func (s *Store) admitGrowth(bytes uint64) error {
	if bytes == 0 {
		return nil
	}
	p := &s.space
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known && bytes <= p.left {
		p.left -= bytes
		return nil
	}
	st, err := s.fs.Statfs(s.dir)
	if err != nil {
		return fmt.Errorf("space figures: %w: %w", objectstore.ErrIO, err)
	}
	// What is on its way may not have its blocks yet, this transaction among it.
	taken := s.reserveOf(st.Total) + s.currentThrottle().underWay() + bytes
	if st.Available <= taken {
		p.known = false
		return fmt.Errorf("%d bytes available, of which %d are reserved or on their way to be used: %w", st.Available, taken, objectstore.ErrNoSpace)
	}
	// Ask again well before the end: others may use the file system too.
	p.known, p.left = true, (st.Available-taken)/16
	return nil
}

// journalSegments returns how many segments the journal may have: on a small file system no
// more than a tenth of it.
func (s *Store) journalSegments() (uint32, error) {
	st, err := s.fs.Statfs(path.Dir(s.opts.JournalPath))
	if err != nil {
		return 0, err
	}
	bytes := min(uint64(s.opts.JournalBytes), st.Total/10)
	return max(initialSegments, uint32(bytes/uint64(s.opts.segment))), nil
}

// journalMayGrow reports whether a segment can be added without coming near the reserve.
func (s *Store) journalMayGrow() bool {
	st, err := s.fs.Statfs(path.Dir(s.opts.JournalPath))
	return err == nil && st.Available >= 2*s.reserveOf(st.Total)+uint64(s.opts.segment)
}

// forget has the file system asked again: a checkpoint does, and so other users of the
// file system are noticed.
func (p *space) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known = false
}

// underWay returns the bytes of transactions submitted and not yet applied.
func (t *throttle) underWay() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return uint64(max(0, t.bytes))
}

// growth returns how many bytes of data the transaction puts into files and into the
// key-value store: what it writes, or, for clones, the size of what is new.
func (t *txn) growth() uint64 {
	n := t.small
	for i := range t.ops {
		if t.ops[i].kind == fileWrite {
			n += uint64(t.ops[i].data.Len())
		}
	}
	for i := range t.fresh {
		if k := &t.fresh[i]; k.from != nil {
			n += k.from.size
		} else {
			n += uint64(k.data.Len())
		}
	}
	return n
}
