package filestore

import (
	"fmt"
	"path"
	"sync"

	"sepiola/objectstore"
	"sepiola/objectstore/filestore/vfs"
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

// HasRoom implements objectstore.Store.
func (s *Store) HasRoom(bytes uint64) bool {
	p := &s.space
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known && bytes <= p.left {
		return true
	}
	st, taken, err := s.look(bytes)
	return err != nil || st.Available > taken
}

// admitGrowth refuses a transaction that puts so many bytes of data into files when they
// would come out of the lower half of the reserve. Once a transaction is visible it can
// only succeed or take the store down with it, so this is the place to say that there is no
// room. The upper half is for what other OSDs let in while they had room themselves.
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
	st, taken, err := s.look(bytes)
	if err != nil {
		return fmt.Errorf("space figures: %w: %w", objectstore.ErrIO, err)
	}
	if taken -= s.reserveOf(st.Total) / 2; st.Available <= taken {
		return fmt.Errorf("%d bytes available, of which %d are reserved or on their way to be used: %w", st.Available, taken, objectstore.ErrNoSpace)
	}
	return nil
}

// look asks the file system for its room, and what of it is spoken for with so many bytes
// more: the reserve, and what is on its way, which may not have its blocks yet. space is locked.
func (s *Store) look(bytes uint64) (st vfs.Statfs, taken uint64, err error) {
	p := &s.space
	p.known = false
	if st, err = s.fs.Statfs(s.dir); err != nil {
		return st, 0, err
	}
	taken = s.reserveOf(st.Total) + s.currentThrottle().underWay() + bytes
	if st.Available > taken {
		// Ask again well before the end: others may use the file system too.
		p.known, p.left = true, (st.Available-taken)/16
	}
	return st, taken, nil
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

// growth returns how many bytes of data the transaction puts into files of PGs: what it
// writes, or, for clones, the size of what is new. Without its maps, which are in the
// OSD's own collection, an OSD would never hear that it may go on.
func (t *txn) growth(colls []*collection) uint64 {
	n := uint64(0)
	if len(colls) == 1 && colls[0].id == objectstore.Meta {
		return n
	}
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
