package filestore

import (
	"math"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/wire"
)

// heat notes that the record changes the object's file below end, so that a replay
// may change it there again. No fresh data may go there before a checkpoint.
func (r *resolver) heat(st *stage, end uint64) {
	for i := range r.t.hot {
		if r.t.hot[i].fid == st.m.fid {
			r.t.hot[i].end = max(r.t.hot[i].end, end)
			return
		}
	}
	r.t.hot = append(r.t.hot, hotEnd{st.m.fid, end})
}

func (r *resolver) heatOf(st *stage) uint64 {
	end := r.s.hotEnd(st.m.fid)
	for _, h := range r.t.hot {
		if h.fid == st.m.fid {
			end = max(end, h.end)
		}
	}
	return end
}

func (r *resolver) pend(st *stage, p pendData) {
	p.txn = r.t
	st.m.pend = append(st.m.pend, p)
}

func (r *resolver) grow(st *stage, end uint64) {
	if end > st.m.size {
		st.m.size, st.entry = end, true
	}
}

func (r *resolver) write(st *stage, off uint64, data wire.Buf) error {
	n := uint64(data.Len())
	if n == 0 {
		return nil
	}
	fresh, wait := false, (chan struct{})(nil)
	if n >= r.s.opts.FreshMin {
		var err error
		if fresh, wait, err = r.tryFresh(st, off, n); err != nil {
			return err
		}
	}
	if err := r.needFile(st); err != nil {
		return err
	}
	if size := st.m.size; off > size {
		// What lies between may hold bytes that never became part of the object.
		r.zeroFile(st, size, off-size)
	}
	if err := r.sumWrite(st, off, data); err != nil {
		return err
	}
	if fresh {
		r.t.fresh = append(r.t.fresh, freshTask{
			stage: st, file: r.s.files.share(st.m.file), make: st.freshFile && st.freshEnd == 0,
			off: off, data: data, wait: wait, expect: expected(st.m.hint),
		})
		st.freshEnd = off + n
	} else {
		r.op(fileOp{kind: fileWrite, file: r.line(st), off: off, data: data})
		r.heat(st, off+n)
	}
	r.pend(st, pendData{off: off, n: n, data: data, fresh: fresh})
	r.grow(st, off+n)
	return nil
}

// tryFresh decides whether data may be written to the file right away, instead of
// through the journal: never where a reader, or a replay of the journal, expects or
// writes anything else. It makes a new file where that is the way. wait is to be closed
// before the file can be written.
func (r *resolver) tryFresh(st *stage, off, n uint64) (ok bool, wait chan struct{}, err error) {
	switch {
	case st.m.fid == 0:
		return true, nil, r.makeFile(st, true)
	case st.freshFile:
		return off >= st.freshEnd && off >= r.heatOf(st), nil, nil
	case off >= st.m.size && off >= r.heatOf(st):
		if st.m.file.isReady() {
			return true, nil, nil
		}
		for _, p := range st.m.pend {
			if p.txn.done != nil && (p.fresh || p.from != nil) {
				return true, p.txn.done, nil
			}
		}
	}
	if off == 0 && n >= st.m.size {
		return true, nil, r.replaceFile(st)
	}
	return false, nil, nil
}

// replaceFile gives an object of which no byte will stay another file.
func (r *resolver) replaceFile(st *stage) error {
	if _, err := r.attrs(st); err != nil {
		return err
	}
	if err := r.dropFile(st); err != nil {
		return err
	}
	if err := r.makeFile(st, true); err != nil {
		return err
	}
	st.m.pend = nil
	st.m.size = 0
	r.reattach(st)
	return nil
}

// zeroFile makes a range of the file read as zeros.
func (r *resolver) zeroFile(st *stage, off, n uint64) {
	if st.m.fid == 0 {
		return
	}
	r.op(fileOp{kind: fileZero, file: r.line(st), off: off, n: n})
	r.heat(st, off+n)
	r.pend(st, pendData{off: off, n: n})
}

// sumWrite updates the checksums of the blocks that a write touches.
func (r *resolver) sumWrite(st *stage, off uint64, data wire.Buf) error {
	end := off + uint64(data.Len())
	cur := cursor{b: data}
	for b := off / blockSize; b*blockSize < end; b++ {
		start := b * blockSize
		lo, hi := max(off, start), min(end, start+blockSize)
		p := cur.next(int(hi - lo))
		if len(p) < blockSize {
			block := r.s.block()
			if lo > start || hi < st.m.size {
				if err := r.readBlock(st, b, block[:]); err != nil {
					return err
				}
			} else {
				clear(block[:])
			}
			copy(block[lo-start:], p)
			p = block[:]
			if err := r.setSum(st, b, blockSum(p)); err != nil {
				return err
			}
			r.s.blocks.Put(block)
			continue
		}
		if err := r.setSum(st, b, blockSum(p)); err != nil {
			return err
		}
	}
	return nil
}

// cursor walks a Buf's bytes.
type cursor struct {
	b   wire.Buf
	at  int // in the first segment
	tmp []byte
}

// next returns the next n bytes, valid until the call after.
func (c *cursor) next(n int) []byte {
	if len(c.b) > 0 && len(c.b[0])-c.at >= n {
		p := c.b[0][c.at : c.at+n]
		c.at += n
		return p
	}
	c.tmp = c.tmp[:0]
	for n > 0 {
		if c.at == len(c.b[0]) {
			c.b, c.at = c.b[1:], 0
			continue
		}
		k := min(n, len(c.b[0])-c.at)
		c.tmp = append(c.tmp, c.b[0][c.at:c.at+k]...)
		c.at += k
		n -= k
	}
	return c.tmp
}

// readBlock fills p with a block as the steps so far have left it.
func (r *resolver) readBlock(st *stage, b uint64, p []byte) error {
	start := b * blockSize
	clear(p)
	if start >= st.m.size {
		return nil
	}
	sums, err := r.stagedSums(st, uint32(b/chunkBlocks))
	if err != nil {
		return err
	}
	sum := sumOf(sums, b)
	if sum == 0 {
		return nil
	}
	if err := r.awaitCopy(st); err != nil {
		return err
	}
	if err := r.s.readMeta(&st.m, start, min(start+blockSize, st.m.size), p); err != nil {
		return err
	}
	if !checkBlock(p, sum) {
		return r.s.corrupt(st.c.id, st.gid, start)
	}
	return nil
}

// awaitCopy waits, where the object is a clone that an earlier transaction made, until
// the copy is there: after that its source may change. What this transaction itself
// clones is still read from the source.
func (r *resolver) awaitCopy(st *stage) error {
	for _, p := range st.m.pend {
		if p.from == nil || p.txn == r.t {
			continue
		}
		select {
		case <-p.txn.done:
		case <-r.s.failed:
			return r.s.Err()
		}
	}
	return nil
}

// cutBlock zeros a part of a block that keeps other bytes.
func (r *resolver) cutBlock(st *stage, from, to uint64) error {
	b := from / blockSize
	if from >= to || b*blockSize >= st.m.size {
		return nil
	}
	block := r.s.block()
	defer r.s.blocks.Put(block)
	if err := r.readBlock(st, b, block[:]); err != nil {
		return err
	}
	clear(block[from-b*blockSize : to-b*blockSize])
	sum := blockSum(block[:])
	if *block == zeroBlock {
		sum = 0
	}
	return r.setSum(st, b, sum)
}

// cutSums updates the checksums for [off, end) becoming zeros.
func (r *resolver) cutSums(st *stage, off, end uint64) error {
	if st.m.fid == 0 {
		return nil
	}
	end = min(end, (st.m.size+blockSize-1)/blockSize*blockSize)
	if off >= end {
		return nil
	}
	head, tail := (off+blockSize-1)/blockSize*blockSize, end/blockSize*blockSize
	if head > tail { // within one block
		return r.cutBlock(st, off, end)
	}
	if err := r.cutBlock(st, off, head); err != nil {
		return err
	}
	if err := r.cutBlock(st, tail, end); err != nil {
		return err
	}
	return r.clearSums(st, head, tail)
}

func (r *resolver) zero(st *stage, off, n uint64) error {
	if n == 0 {
		return nil
	}
	if off > math.MaxInt64-n {
		return objectstore.ErrInvalid
	}
	if err := r.cutSums(st, off, off+n); err != nil {
		return err
	}
	from := min(off, st.m.size)
	r.zeroFile(st, from, off+n-from)
	r.grow(st, off+n)
	return nil
}

func (r *resolver) truncate(st *stage, size uint64) error {
	old := st.m.size
	switch {
	case size > math.MaxInt64:
		return objectstore.ErrInvalid
	case size == old:
		return nil
	case size > old:
		r.zeroFile(st, old, size-old)
	case st.m.fid != 0:
		if err := r.cutSums(st, size, old); err != nil {
			return err
		}
		r.op(fileOp{kind: fileTruncate, file: r.line(st), off: size})
		r.heat(st, math.MaxUint64)
		r.pend(st, pendData{off: size, n: old - size})
	}
	st.m.size, st.entry = size, true
	return nil
}

func (r *resolver) clone(src *stage, dst object.GID) error {
	if dst == src.gid {
		return objectstore.ErrInvalid
	}
	d, err := r.get(src.c, dst)
	if err != nil {
		return err
	}
	if d.exists {
		if err := r.remove(d); err != nil {
			return err
		}
	}
	r.create(d)
	d.m.hint = src.m.hint
	if _, err := r.attrs(src); err != nil {
		return err
	}
	d.m.attrs, d.ownAttrs, src.ownAttrs = src.m.attrs, false, false
	switch {
	case src.m.fid == 0:
		d.m.size = src.m.size
	case src.m.size < r.s.opts.FreshMin:
		err = r.cloneSmall(src, d)
	default:
		err = r.cloneFresh(src, d)
	}
	if err != nil {
		return err
	}
	if d.m.fid == 0 && len(d.m.attrs) > 0 {
		if err := r.makeFile(d, false); err != nil {
			return err
		}
	}
	if d.m.fid != 0 {
		r.reattach(d)
	}
	return r.copyOmap(src, d)
}

// cloneSmall copies a short object through the journal.
func (r *resolver) cloneSmall(src, d *stage) error {
	if src.m.size == 0 {
		return nil
	}
	if err := r.awaitCopy(src); err != nil {
		return err
	}
	data, err := r.s.readChecked(src.c.id, src.gid, &src.m, 0, src.m.size, r.sumsFor(src))
	if err != nil {
		return err
	}
	return r.write(d, 0, wire.BufOf(data))
}

// cloneFresh has the copy made before the transaction is journaled.
func (r *resolver) cloneFresh(src, d *stage) error {
	if err := r.makeFile(d, true); err != nil {
		return err
	}
	if err := r.s.loadSums(&src.m); err != nil {
		return err
	}
	for _, k := range mergeChunks(src.m.sums, src.dirty) {
		sums := make([]byte, chunkBlocks*4)
		copy(sums, k.sums)
		d.dirty = append(d.dirty, sumChunk{k.n, sums})
	}
	from := src.m
	from.sums, from.whole = mergeChunks(src.m.sums, cloneChunks(src.dirty)), true
	r.s.files.share(from.file) // for the task
	r.t.fresh = append(r.t.fresh, freshTask{stage: d, file: r.s.files.share(d.m.file), make: true, from: &from})
	d.m.size, d.freshEnd = src.m.size, src.m.size
	r.pend(d, pendData{off: 0, n: d.m.size, from: &from})
	return nil
}

func cloneChunks(list []sumChunk) []sumChunk {
	out := make([]sumChunk, len(list))
	for i, k := range list {
		out[i] = sumChunk{k.n, append([]byte(nil), k.sums...)}
	}
	return out
}

// sumsFor returns a lookup of the object's checksums as the steps so far have left
// them.
func (r *resolver) sumsFor(st *stage) func(uint32) ([]byte, error) {
	return func(n uint32) ([]byte, error) { return r.stagedSums(st, n) }
}

func (r *resolver) cloneRange(src *stage, dst object.GID, off, n, dstOff uint64) error {
	if off > src.m.size || n > src.m.size-off {
		return objectstore.ErrInvalid
	}
	if err := r.awaitCopy(src); err != nil {
		return err
	}
	data, err := r.s.readChecked(src.c.id, src.gid, &src.m, off, off+n, r.sumsFor(src))
	if err != nil {
		return err
	}
	d, err := r.get(src.c, dst)
	if err != nil {
		return err
	}
	if !d.exists {
		r.create(d)
	}
	return r.write(d, dstOff, wire.BufOf(data))
}
