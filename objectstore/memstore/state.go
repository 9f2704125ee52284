package memstore

import (
	"bytes"

	"github.com/google/btree"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/wire"
)

const degree = 16

// content is the whole of what a store holds. Once it is reachable by readers, it
// and everything below it is never changed.
type content struct {
	colls *btree.BTreeG[*coll]
}

type coll struct {
	id      objectstore.Coll
	bits    uint32
	objects *btree.BTreeG[*obj]
}

type obj struct {
	id     object.GID
	size   uint64
	data   *btree.BTreeG[extent] // without overlaps, nothing beyond size; nil when empty
	attrs  map[string][]byte
	omap   *btree.BTreeG[pair] // nil when empty
	header []byte
}

// extent is a run of bytes. What no extent covers is zeros.
type extent struct {
	off  uint64
	data []byte
}

func (x extent) end() uint64 { return x.off + uint64(len(x.data)) }

type pair struct {
	key   string
	value []byte
}

func newContent() *content {
	return &content{btree.NewG(degree, func(a, b *coll) bool { return a.id.Compare(b.id) < 0 })}
}

func newColl(id objectstore.Coll, bits uint32) *coll {
	return &coll{id, bits, btree.NewG(degree, func(a, b *obj) bool { return a.id.Less(b.id) })}
}

func newData() *btree.BTreeG[extent] {
	return btree.NewG(degree, func(a, b extent) bool { return a.off < b.off })
}

func newOmap() *btree.BTreeG[pair] {
	return btree.NewG(degree, func(a, b pair) bool { return a.key < b.key })
}

func (s *content) coll(id objectstore.Coll) *coll {
	c, _ := s.colls.Get(&coll{id: id})
	return c
}

func (c *coll) object(id object.GID) *obj {
	o, _ := c.objects.Get(&obj{id: id})
	return o
}

// clone returns a copy that may be changed.
func (o *obj) clone() *obj {
	p := *o
	if o.data != nil {
		p.data = o.data.Clone()
	}
	if o.omap != nil {
		p.omap = o.omap.Clone()
	}
	return &p
}

// setAttrs replaces attributes. The map is copied: readers may hold the old one.
// So are the values, here and in the omap: they come in the buffer of a message,
// which they are not to keep alive.
func (o *obj) setAttrs(set map[string][]byte) {
	attrs := make(map[string][]byte, len(o.attrs)+len(set))
	for k, v := range o.attrs {
		attrs[k] = v
	}
	for k, v := range set {
		attrs[k] = bytes.Clone(v)
	}
	o.attrs = attrs
}

func (o *obj) rmAttr(name string) {
	attrs := make(map[string][]byte, len(o.attrs))
	for k, v := range o.attrs {
		if k != name {
			attrs[k] = v
		}
	}
	o.attrs = attrs
}

// overlapping calls f for each extent that shares bytes with [off, end).
func (o *obj) overlapping(off, end uint64, f func(extent)) {
	if o.data == nil || off >= end {
		return
	}
	o.data.DescendLessOrEqual(extent{off: off}, func(x extent) bool {
		if x.off < off && x.end() > off {
			f(x)
		}
		return x.off == off // the one before may reach in
	})
	o.data.AscendRange(extent{off: off}, extent{off: end}, func(x extent) bool {
		f(x)
		return true
	})
}

// punch makes [off, end) a hole.
func (o *obj) punch(off, end uint64) {
	var hit []extent
	o.overlapping(off, end, func(x extent) { hit = append(hit, x) })
	for _, x := range hit {
		o.data.Delete(x)
		if x.off < off {
			n := off - x.off
			o.data.ReplaceOrInsert(extent{x.off, x.data[:n:n]})
		}
		if x.end() > end {
			o.data.ReplaceOrInsert(extent{end, x.data[end-x.off:]})
		}
	}
}

// Writes shorter than shareMin bytes are copied. Neighbours are joined while the
// result stays below joinMax, so that small appends do not leave one extent each.
const (
	shareMin = 32 << 10
	joinMax  = 4 << 10
)

func (o *obj) write(off uint64, b wire.Buf) {
	n := uint64(b.Len())
	if n == 0 {
		return
	}
	o.punch(off, off+n)
	o.size = max(o.size, off+n)
	if o.data == nil {
		o.data = newData()
	}
	if n < shareMin {
		x := extent{off, make([]byte, n)}
		b.CopyTo(x.data)
		o.insertSmall(x)
		return
	}
	for _, s := range b {
		o.data.ReplaceOrInsert(extent{off, s})
		off += uint64(len(s))
	}
}

func (o *obj) insertSmall(x extent) {
	if len(x.data) < joinMax {
		prev, ok := extent{}, false
		o.data.DescendLessOrEqual(x, func(p extent) bool { prev, ok = p, true; return false })
		if ok && prev.end() == x.off && len(prev.data)+len(x.data) <= joinMax {
			joined := make([]byte, 0, len(prev.data)+len(x.data))
			x = extent{prev.off, append(append(joined, prev.data...), x.data...)}
		}
	}
	o.data.ReplaceOrInsert(x)
}

func (o *obj) truncate(size uint64) {
	if size < o.size {
		o.punch(size, o.size)
	}
	o.size = size
}

var zeros [64 << 10]byte

// read returns [off, end), which lies within the object.
func (o *obj) read(off, end uint64) wire.Buf {
	var out wire.Buf
	fill := func(to uint64) {
		for off < to {
			n := min(to-off, uint64(len(zeros)))
			out = append(out, zeros[:n:n])
			off += n
		}
	}
	o.overlapping(off, end, func(x extent) {
		fill(max(x.off, off))
		p := x.data[off-x.off : min(end, x.end())-x.off]
		out = append(out, p[:len(p):len(p)])
		off += uint64(len(p))
	})
	fill(end)
	return out
}

func (o *obj) omapSet(set map[string][]byte) {
	if len(set) == 0 {
		return
	}
	if o.omap == nil {
		o.omap = newOmap()
	}
	for k, v := range set {
		o.omap.ReplaceOrInsert(pair{k, bytes.Clone(v)})
	}
}

func (o *obj) omapRm(keys []string) {
	if o.omap == nil {
		return
	}
	for _, k := range keys {
		o.omap.Delete(pair{key: k})
	}
}

func (o *obj) omapRmRange(first, end string) {
	if o.omap == nil {
		return
	}
	var keys []string
	o.omap.AscendRange(pair{key: first}, pair{key: end}, func(p pair) bool {
		keys = append(keys, p.key)
		return true
	})
	o.omapRm(keys)
}
