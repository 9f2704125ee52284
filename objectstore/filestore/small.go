package filestore

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"sepiola/objectstore"
	"sepiola/wire"
)

// A small object has no file: making one, and giving it attributes and blocks, costs the
// file system many times what its bytes do. Its attributes are part of its index entry,
// its data is one value, written whole by each record that changes it. When it grows
// beyond Options.SmallMax, or its attributes do beyond smallAttrs, it gets a file, by
// the record that makes it grow, and keeps that.
const (
	// smallMost bounds Options.SmallMax, in bytes: a value is written again as a whole
	// for each change, and passes through the key-value store's levels.
	smallMost = 64 << 10
	// smallAttrs is how many bytes of attributes, names and values, the index keeps: whoever
	// lists a collection reads them too.
	smallAttrs = 2048
)

// smallData returns all the data of an object without a file, which the caller must not
// change. The collection is locked, or m is nobody else's.
func (s *Store) smallData(m *meta) ([]byte, error) {
	if m.data != nil || m.small == 0 {
		return m.data, nil
	}
	if p := s.small.get(m.nid); len(p) == int(m.small) {
		return p, nil
	}
	v, closer, err := s.db.Get(numbered(keyData, m.nid, ""))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, fmt.Errorf("its data is not in the key-value store: %w", objectstore.ErrIO)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", objectstore.ErrIO, err)
	}
	defer closer.Close()
	if len(v) != int(m.small) {
		return nil, fmt.Errorf("%d bytes of data in the key-value store instead of %d: %w", len(v), m.small, objectstore.ErrIO)
	}
	p := append([]byte(nil), v...)
	s.small.put(m.nid, p)
	return p, nil
}

// smallLen returns how many bytes smallData has.
func (m *meta) smallLen() uint64 {
	switch {
	case m.fid != 0:
		return 0
	case m.data != nil:
		return uint64(len(m.data))
	}
	return uint64(m.small)
}

// smallRange returns [off, end) of data that zeros follow.
func smallRange(data []byte, off, end uint64) []byte {
	n := uint64(len(data))
	if end <= n {
		return data[off:end:end]
	}
	p := make([]byte, end-off)
	if off < n {
		copy(p, data[off:])
	}
	return p
}

// fitsSmall reports whether the object has no file, and needs none for data up to end.
func (r *resolver) fitsSmall(st *stage, end uint64) bool {
	return st.m.fid == 0 && end <= uint64(r.s.opts.SmallMax) && st.c.id.Kind != objectstore.CollMeta
}

// fitsIndex reports whether the index keeps so many bytes of the attributes of an object
// without a file.
func (r *resolver) fitsIndex(st *stage, bytes int) bool {
	return bytes == 0 || r.fitsSmall(st, 1) && bytes <= smallAttrs
}

// putSmall makes p the object's data; nobody changes it any more.
func (r *resolver) putSmall(st *stage, p []byte) {
	if p == nil {
		p = []byte{} // nil says that the key-value store has it
	}
	st.m.data, st.m.dataTxn, st.newData = p, r.t, true
}

// writeSmall writes to an object that stays small.
func (r *resolver) writeSmall(st *stage, off uint64, data wire.Buf) error {
	end := off + uint64(data.Len())
	if off == 0 && end >= st.m.smallLen() {
		r.putSmall(st, data.Flat())
		r.grow(st, end)
		return nil
	}
	old, err := r.s.smallData(&st.m)
	if err != nil {
		return r.s.ioError("data", st.gid, err)
	}
	p := make([]byte, max(uint64(len(old)), end))
	copy(p, old)
	at := off
	for _, seg := range data {
		at += uint64(copy(p[at:], seg))
	}
	r.putSmall(st, p)
	r.grow(st, end)
	return nil
}

// cutSmall makes [off, end) of a small object's data zeros: of what is the last of it
// nothing is kept.
func (r *resolver) cutSmall(st *stage, off, end uint64) error {
	n := st.m.smallLen()
	if off >= n {
		return nil
	}
	old, err := r.s.smallData(&st.m)
	if err != nil {
		return r.s.ioError("data", st.gid, err)
	}
	if end >= n {
		r.putSmall(st, old[:off:off])
		return nil
	}
	p := append(make([]byte, 0, n), old...)
	clear(p[off:end])
	r.putSmall(st, p)
	return nil
}

// leaveSmall gives a small object, which has a file by now, what it had without: its
// data unless the file has all there will be, and its attributes.
func (r *resolver) leaveSmall(st *stage, data []byte) error {
	if len(data) > 0 {
		b := wire.BufOf(data)
		if err := r.sumWrite(st, 0, b); err != nil {
			return err
		}
		r.op(fileOp{kind: fileWrite, file: r.line(st), data: b})
		r.pend(st, pendData{n: uint64(len(data)), data: b})
	}
	st.newAttrs = true // of which the entry has the checksum from now on
	r.reattach(st)
	return r.dropSmall(st)
}

// dropSmall removes an object's data from the key-value store.
func (r *resolver) dropSmall(st *stage) error {
	had := st.m.small > 0
	st.m.data, st.m.dataTxn, st.m.small, st.newData = nil, nil, 0, false
	if !had {
		return nil
	}
	return r.kv.Delete(numbered(keyData, st.m.nid, ""), nil)
}

// saveSmall puts what changed of a small object's data into the record.
func (r *resolver) saveSmall(st *stage) error {
	if !st.newData {
		return nil
	}
	key, n := numbered(keyData, st.m.nid, ""), uint32(len(st.m.data))
	if n != st.m.small {
		st.entry = true
	}
	had := st.m.small > 0
	st.m.small, st.newData = n, false
	r.t.small += uint64(n)
	switch {
	case n > 0:
		return r.kv.Set(key, st.m.data, nil)
	case had:
		return r.kv.Delete(key, nil)
	}
	return nil
}
