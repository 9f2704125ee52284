package filestore

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/objectstore/filestore/vfs"
	"sepiola/wire"
)

// block returns a buffer of one block, to be put back into s.blocks.
func (s *Store) block() *[blockSize]byte { return s.blocks.Get().(*[blockSize]byte) }

// errSum is wrapped by the error for bytes that fail their checksum.
var errSum = errors.New("checksum mismatch")

// corrupt logs and returns the error for bytes that fail their checksum.
func (s *Store) corrupt(c objectstore.Coll, o object.GID, off uint64) error {
	s.log.Error("object data fails its checksum", "collection", c, "object", o, "offset", off)
	return fmt.Errorf("%v in %v at %d: %w: %w", o, c, off, errSum, objectstore.ErrIO)
}

// ioError wraps an error of the file system for readers.
func (s *Store) ioError(what string, o object.GID, err error) error {
	if err == nil || errors.Is(err, objectstore.ErrIO) {
		return err
	}
	s.log.Error("cannot read", "what", what, "object", o, "error", err)
	return fmt.Errorf("%s of %v: %w: %w", what, o, objectstore.ErrIO, err)
}

// lookup returns the object, nil if there is none. c is locked.
func (s *Store) lookup(c *collection, gid object.GID) (*obj, error) {
	if o := c.objects[gid]; o != nil {
		return o, nil
	}
	if e := c.entry(gid); e != nil && !e.exists {
		return nil, nil
	}
	// An object that exists and is not in memory is in the key-value store, even where the
	// index still stands for it: the transaction that last made it is applied, and only an
	// older one, which removed what had its name before, waits for its files.
	v, closer, err := s.db.Get(objectKey(c.id, gid))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, s.ioError("index entry", gid, err)
	}
	n, err := decodeOnode(v, c.id)
	closer.Close()
	if err != nil {
		return nil, s.ioError("index entry", gid, err)
	}
	o := &obj{meta: meta{onode: n}}
	if n.fid != 0 {
		o.file = s.files.hold(n.fid, func() string { return n.placement(gid).path(gid, n.fid) }, true)
	}
	c.objects[gid] = o
	s.cached.Add(1)
	s.evictFrom(c, o)
	return o, nil
}

// evictFrom drops objects of c nobody needs, other than keep, while too many are in
// memory.
func (s *Store) evictFrom(c *collection, keep *obj) {
	for range 4 {
		if s.cached.Load() <= int64(s.opts.CacheObjects) {
			return
		}
		tries := 0
		for gid, o := range c.objects { // in random order
			if tries++; tries > 8 {
				return
			}
			if o == keep || !o.idle() {
				continue
			}
			delete(c.objects, gid)
			s.cached.Add(-1)
			if o.file != nil {
				s.files.release(o.file)
			}
			break
		}
	}
}

func (o *obj) idle() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.pins == 0
}

// open returns the collection, locked.
func (s *Store) open(id objectstore.Coll) (*collection, error) {
	if !s.mounted.Load() {
		return nil, objectstore.ErrClosed
	}
	s.collMu.RLock()
	c := s.colls[id]
	s.collMu.RUnlock()
	if c != nil {
		c.mu.Lock()
		if c.exists {
			return c, nil
		}
		c.mu.Unlock()
	}
	return nil, fmt.Errorf("collection %v: %w", id, objectstore.ErrNotFound)
}

// view calls f with an object, it and its collection locked.
func (s *Store) view(id objectstore.Coll, gid object.GID, f func(*collection, *obj) error) error {
	c, err := s.open(id)
	if err != nil {
		return err
	}
	defer c.mu.Unlock()
	o, err := s.lookup(c, gid)
	if err != nil {
		return err
	}
	if o == nil {
		return fmt.Errorf("%v in %v: %w", gid, id, objectstore.ErrNotFound)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return f(c, o)
}

// Stat implements objectstore.Reader.
func (s *Store) Stat(c objectstore.Coll, gid object.GID) (st objectstore.Stat, err error) {
	err = s.view(c, gid, func(_ *collection, o *obj) error {
		st.Size = o.size
		return nil
	})
	return st, err
}

// snapshot is an object as it was at a moment. Its file does not change until
// release.
type snapshot struct {
	s *Store
	m meta
}

func (v *snapshot) release() {
	if v.m.file != nil {
		v.m.file.io.RUnlock()
		v.s.files.release(v.m.file)
	}
}

// snapshot takes a snapshot for reading [off, end) of the object; end 0 is its own.
func (s *Store) snapshot(c objectstore.Coll, gid object.GID, rng func(size uint64) (off, end uint64)) (snapshot, error) {
	for {
		v := snapshot{s: s}
		var wait chan struct{}
		err := s.view(c, gid, func(_ *collection, o *obj) error {
			for _, p := range o.pend {
				if p.from != nil && !p.settled() {
					wait = p.txn.done
					return nil
				}
			}
			if off, end := rng(o.size); end > off && o.fid != 0 {
				for n := off / chunkBytes; n <= (end-1)/chunkBytes; n++ {
					if _, err := s.sumsOf(&o.meta, uint32(n)); err != nil {
						return s.ioError("checksums", gid, err)
					}
				}
			}
			v.m = o.meta
			if v.m.file != nil {
				s.files.share(v.m.file)
				v.m.file.io.RLock()
			}
			return nil
		})
		if err != nil || wait == nil {
			return v, err
		}
		// The object is a clone whose data is being copied.
		select {
		case <-wait:
		case <-s.failed:
			return v, s.Err()
		}
	}
}

// clip returns the end of the range off~n within an object; n = 0 means up to the
// end.
func clip(off, n, size uint64) uint64 {
	if n == 0 || n > math.MaxUint64-off {
		return size
	}
	return min(off+n, size)
}

// Read implements objectstore.Reader. All blocks that the range touches are read
// and checked.
func (s *Store) Read(c objectstore.Coll, gid object.GID, off, n uint64) (wire.Buf, error) {
	v, err := s.snapshot(c, gid, func(size uint64) (uint64, uint64) { return off, clip(off, n, size) })
	if err != nil {
		return nil, err
	}
	defer v.release()
	end := clip(off, n, v.m.size)
	if off >= end {
		return nil, nil
	}
	p, err := s.readLocked(c, gid, &v.m, off, end, func(n uint32) ([]byte, error) {
		sums, _ := v.m.chunk(n)
		return sums, nil
	})
	if err != nil {
		return nil, err
	}
	return wire.BufOf(p), nil
}

// readLocked reads [off, end) of an object and checks it. The file is locked, or no
// transaction other than those pending in m can be applied to it.
func (s *Store) readLocked(c objectstore.Coll, gid object.GID, m *meta, off, end uint64, sumsOf func(uint32) ([]byte, error)) ([]byte, error) {
	from := off &^ (blockSize - 1)
	to := (end + blockSize - 1) &^ (blockSize - 1)
	p := make([]byte, to-from)
	if err := s.fillMeta(m, from, min(to, m.size), p); err != nil {
		return nil, s.ioError("data", gid, err)
	}
	var sums []byte
	for at := from; at < to; at += blockSize {
		if at == from || at%chunkBytes == 0 {
			var err error
			if sums, err = sumsOf(uint32(at / chunkBytes)); err != nil {
				return nil, err
			}
		}
		if !checkBlock(p[at-from:][:blockSize], sumOf(sums, at/blockSize)) {
			return nil, s.corrupt(c, gid, at)
		}
	}
	return p[off-from : end-from : end-from], nil
}

// readChecked is readLocked for one who holds the collection's lock.
func (s *Store) readChecked(c objectstore.Coll, gid object.GID, m *meta, off, end uint64, sumsOf func(uint32) ([]byte, error)) ([]byte, error) {
	if off >= end {
		return nil, nil
	}
	if m.file != nil {
		m.file.io.RLock()
		defer m.file.io.RUnlock()
	}
	return s.readLocked(c, gid, m, off, end, sumsOf)
}

// readMeta fills p with [off, end) of an object, unchecked, for one who holds the
// collection's lock.
func (s *Store) readMeta(m *meta, off, end uint64, p []byte) error {
	if m.file != nil {
		m.file.io.RLock()
		defer m.file.io.RUnlock()
	}
	return s.fillMeta(m, off, end, p)
}

// fillMeta fills p, which is zero, with [off, end): what the file has, and on top what
// is pending.
func (s *Store) fillMeta(m *meta, off, end uint64, p []byte) error {
	p = p[:end-off]
	pend := m.pend
	base := -1
	for i := len(pend) - 1; i >= 0 && base < 0; i-- {
		switch {
		case pend[i].from != nil:
			if pend[i].settled() {
				continue
			}
			base = i
		case pend[i].off <= off && pend[i].off+pend[i].n >= end:
			base = i // nothing below shows
		}
	}
	switch {
	case base >= 0 && pend[base].from != nil:
		from := pend[base].from
		if stop := min(end, from.size); off < stop {
			if err := s.readMeta(from, off, stop, p); err != nil {
				return err
			}
		}
		pend = pend[base+1:]
	case base >= 0:
		pend = pend[base:]
	case m.file != nil && m.file.ready:
		if err := s.readFile(m.file, off, p); err != nil {
			return err
		}
	}
	for i := range pend {
		if pend[i].from == nil {
			pend[i].overlay(off, p)
		}
	}
	return nil
}

func (s *Store) readFile(f *file, off uint64, p []byte) error {
	d, err := s.files.open(f, 0)
	if err != nil {
		return err
	}
	defer s.files.done(f)
	return readAt(d, p, off)
}

// overlay applies the change to p, which holds the bytes from off on.
func (c *pendData) overlay(off uint64, p []byte) {
	lo, hi := max(off, c.off), min(off+uint64(len(p)), c.off+c.n)
	if lo >= hi {
		return
	}
	to := p[lo-off : hi-off]
	if c.data == nil {
		clear(to)
		return
	}
	skip := lo - c.off
	for _, seg := range c.data {
		if skip >= uint64(len(seg)) {
			skip -= uint64(len(seg))
			continue
		}
		k := copy(to, seg[skip:])
		to, skip = to[k:], 0
		if len(to) == 0 {
			return
		}
	}
}

// Extents implements objectstore.Reader. Ranges are as exact as the file system's
// own knowledge.
func (s *Store) Extents(c objectstore.Coll, gid object.GID, off, n uint64) ([]objectstore.Extent, error) {
	v, err := s.snapshot(c, gid, func(uint64) (uint64, uint64) { return 0, 0 })
	if err != nil {
		return nil, err
	}
	defer v.release()
	end := clip(off, n, v.m.size)
	var out []objectstore.Extent
	if v.m.file != nil && v.m.file.ready && off < end {
		d, err := s.files.open(v.m.file, 0)
		if err != nil {
			return nil, s.ioError("extents", gid, err)
		}
		out, err = fileExtents(d, off, end)
		s.files.done(v.m.file)
		if err != nil {
			return nil, s.ioError("extents", gid, err)
		}
	}
	for _, p := range v.m.pend { // holes to be are left in: a range too many is allowed
		if lo, hi := max(off, p.off), min(end, p.off+p.n); p.data != nil && lo < hi {
			out = append(out, objectstore.Extent{Off: lo, Len: hi - lo})
		}
	}
	return joinExtents(out), nil
}

func fileExtents(d vfs.File, off, end uint64) ([]objectstore.Extent, error) {
	var out []objectstore.Extent
	for off < end {
		from, to, err := d.NextData(int64(off))
		if err == io.EOF || err == nil && uint64(from) >= end {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		hi := min(uint64(to), end)
		out = append(out, objectstore.Extent{Off: uint64(from), Len: hi - uint64(from)})
		off = uint64(to)
	}
	return out, nil
}

// joinExtents sorts ranges and joins those that touch.
func joinExtents(list []objectstore.Extent) []objectstore.Extent {
	slices.SortFunc(list, func(a, b objectstore.Extent) int {
		if a.Off < b.Off {
			return -1
		}
		return 1
	})
	out := list[:0]
	for _, x := range list {
		if k := len(out) - 1; k >= 0 && x.Off <= out[k].Off+out[k].Len {
			out[k].Len = max(out[k].Off+out[k].Len, x.Off+x.Len) - out[k].Off
			continue
		}
		out = append(out, x)
	}
	return out
}
