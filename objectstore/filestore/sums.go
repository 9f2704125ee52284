package filestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"sepiola/objectstore"
)

// Data is checked by blocks: each has a CRC-32C of its bytes, those beyond the
// object's end taken as zeros. A chunk of checksums is the unit in which they are
// stored.
const (
	blockSize   = 4096
	chunkBlocks = 64
	chunkBytes  = chunkBlocks * blockSize
)

// blockSum returns the checksum of a whole block. It is never 0, which stands for a
// block that is a hole.
func blockSum(p []byte) uint32 {
	if s := crc32.Checksum(p, castagnoli); s != 0 {
		return s
	}
	return 0xffffffff
}

// sumOf returns the checksum of a block of a chunk, which may be shorter than
// chunkBlocks or nil.
func sumOf(chunk []byte, block uint64) uint32 {
	i := int(block%chunkBlocks) * 4
	if i >= len(chunk) {
		return 0
	}
	return binary.BigEndian.Uint32(chunk[i:])
}

var zeroBlock [blockSize]byte

// checkBlock reports whether a whole block is what its checksum says.
func checkBlock(p []byte, sum uint32) bool {
	if sum == 0 {
		return [blockSize]byte(p) == zeroBlock
	}
	return blockSum(p) == sum
}

// namesOf appends the names of attributes to list, in order.
func namesOf(attrs map[string][]byte, list []string) []string {
	for name := range attrs {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// attrsSum returns the checksum of an object's attributes: the CRC-32C of all names and
// values in order, each with its length before it. It covers those that spilled too, so
// that one which is lost is noticed.
func attrsSum(attrs map[string][]byte) uint32 {
	sum := uint32(0)
	add := func(p []byte) {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(p)))
		sum = crc32.Update(crc32.Update(sum, castagnoli, n[:]), castagnoli, p)
	}
	var room [8]string
	for _, name := range namesOf(attrs, room[:0]) {
		add([]byte(name))
		add(attrs[name])
	}
	return sum
}

// sumsOf returns a chunk of the object's checksums. mu is the object's, or the
// collection's, lock; what was looked up is kept in m.
func (s *Store) sumsOf(m *meta, n uint32) ([]byte, error) {
	if sums, ok := m.chunk(n); ok || m.fid == 0 {
		return sums, nil
	}
	v, closer, err := s.db.Get(sumsKey(m.fid, n))
	if errors.Is(err, pebble.ErrNotFound) {
		m.sums = putChunk(m.sums, n, nil)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("checksums: %w: %w", objectstore.ErrIO, err)
	}
	sums := slices.Clone(v)
	closer.Close()
	m.sums = putChunk(m.sums, n, sums)
	return sums, nil
}

// loadSums looks up all chunks there are.
func (s *Store) loadSums(m *meta) error {
	if m.whole || m.fid == 0 {
		m.whole = true
		return nil
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: sumsKey(m.fid, 0), UpperBound: sumsKey(m.fid+1, 0)})
	if err != nil {
		return err
	}
	defer it.Close()
	list := m.sums
	var found []sumChunk
	for it.First(); it.Valid(); it.Next() {
		n := binary.BigEndian.Uint32(it.Key()[9:])
		if _, ok := (&meta{sums: list}).chunk(n); !ok {
			found = append(found, sumChunk{n, slices.Clone(it.Value())})
		}
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("checksums: %w: %w", objectstore.ErrIO, err)
	}
	m.sums = mergeChunks(list, found)
	m.whole = true
	return nil
}

// mergeChunks returns the chunks of both lists, in order; those of b replace those of a.
func mergeChunks(a, b []sumChunk) []sumChunk {
	if len(b) == 0 {
		return a
	}
	if len(b) == 1 {
		return putChunk(a, b[0].n, b[0].sums)
	}
	out := make([]sumChunk, 0, len(a)+len(b))
	out = append(append(out, b...), a...)
	slices.SortStableFunc(out, func(x, y sumChunk) int { return int(x.n) - int(y.n) })
	return slices.CompactFunc(out, func(x, y sumChunk) bool { return x.n == y.n })
}

// stagedSums returns a chunk as the steps so far have left it.
func (r *resolver) stagedSums(st *stage, n uint32) ([]byte, error) {
	for i := len(st.dirty) - 1; i >= 0; i-- {
		if st.dirty[i].n == n {
			return st.dirty[i].sums, nil
		}
	}
	return r.s.sumsOf(&st.m, n)
}

// editSums returns a chunk, of full length, for changing.
func (r *resolver) editSums(st *stage, n uint32) ([]byte, error) {
	for i := len(st.dirty) - 1; i >= 0; i-- {
		if st.dirty[i].n == n {
			return st.dirty[i].sums, nil
		}
	}
	old, err := r.s.sumsOf(&st.m, n)
	if err != nil {
		return nil, err
	}
	sums := make([]byte, chunkBlocks*4)
	copy(sums, old)
	st.dirty = append(st.dirty, sumChunk{n, sums})
	return sums, nil
}

func (r *resolver) setSum(st *stage, block uint64, sum uint32) error {
	sums, err := r.editSums(st, uint32(block/chunkBlocks))
	if err == nil {
		binary.BigEndian.PutUint32(sums[block%chunkBlocks*4:], sum)
	}
	return err
}

// putSums writes the changed chunks of a stage, without the zeros they end in.
func (r *resolver) putSums(st *stage) error {
	for i := range st.dirty {
		k := &st.dirty[i]
		n := len(k.sums)
		for n >= 4 && binary.BigEndian.Uint32(k.sums[n-4:n]) == 0 {
			n -= 4
		}
		k.sums = k.sums[:n:n]
		var err error
		if key := sumsKey(st.m.fid, k.n); n > 0 {
			err = r.kv.Set(key, k.sums, nil)
		} else {
			err = r.kv.Delete(key, nil)
		}
		if err != nil {
			return err
		}
	}
	st.m.sums = mergeChunks(st.m.sums, st.dirty)
	st.dirty = nil
	return nil
}

// clearSums makes the whole blocks within [off, end) holes.
func (r *resolver) clearSums(st *stage, off, end uint64) error {
	first, last := (off+blockSize-1)/blockSize, end/blockSize
	if first >= last || st.m.fid == 0 {
		return nil
	}
	if last/chunkBlocks-first/chunkBlocks > 1 {
		if err := r.s.loadSums(&st.m); err != nil {
			return err
		}
	}
	clearIn := func(n uint32) error {
		from, to := max(first, uint64(n)*chunkBlocks), min(last, uint64(n+1)*chunkBlocks)
		if from >= to {
			return nil
		}
		sums, err := r.editSums(st, n)
		if err == nil {
			clear(sums[(from-uint64(n)*chunkBlocks)*4 : (to-uint64(n)*chunkBlocks)*4])
		}
		return err
	}
	if !st.m.whole {
		for n := first / chunkBlocks; n <= (last-1)/chunkBlocks; n++ {
			if err := clearIn(uint32(n)); err != nil {
				return err
			}
		}
		return nil
	}
	known := append(slices.Clone(st.m.sums), st.dirty...)
	for _, k := range known {
		if err := clearIn(k.n); err != nil {
			return err
		}
	}
	return nil
}
