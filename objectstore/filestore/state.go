package filestore

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/google/btree"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/wire"
)

// collection is a collection and what is known in memory of its objects.
type collection struct {
	id objectstore.Coll

	mu     sync.Mutex
	exists bool
	bits   uint32
	// objects are existing objects, all those with transactions on their way among
	// them. Those without may be dropped at any time.
	objects map[object.GID]*obj
	// index holds what transactions on their way change in the object index: it
	// comes before the key-value store, which does not show those changes yet.
	index *btree.BTreeG[*indexEntry]
	last  *txn // the latest transaction that is not yet in the journal's queue; under Store.seq
}

type indexEntry struct {
	gid    object.GID
	exists bool
	txns   int // on their way
}

func newCollection(id objectstore.Coll) *collection {
	return &collection{
		id:      id,
		objects: map[object.GID]*obj{},
		index:   btree.NewG(8, func(a, b *indexEntry) bool { return a.gid.Less(b.gid) }),
	}
}

func (c *collection) entry(o object.GID) *indexEntry {
	if c.index.Len() == 0 {
		return nil
	}
	e, _ := c.index.Get(&indexEntry{gid: o})
	return e
}

// obj is an object in memory. Everything but pins and mu's own fields is under the
// collection's mu as well as mu for changing, either for reading.
type obj struct {
	mu sync.Mutex
	meta
	pins int // transactions on their way that touch it
}

// meta is all there is to know of an object. It is copied when a transaction changes
// it: what pointers and slices in it refer to is not changed once it is in an obj,
// with the stated exceptions.
type meta struct {
	onode
	file  *file             // nil while fid is 0
	attrs map[string][]byte // nil until looked up
	sums  []sumChunk        // the chunks looked up so far, in order
	whole bool              // sums has all there are
	pend  []pendData        // changes not yet in the file, in order
	omapP []pendOmap        // changes not yet in the key-value store, in order
}

// pendData is a change to an object's bytes that its file may not show yet. A read
// lays it over what the file has.
type pendData struct {
	txn  *txn
	off  uint64
	n    uint64
	data wire.Buf // nil for zeros
	// fresh changes are written to the file before their transaction is journaled,
	// and no longer pending after that.
	fresh bool
	// from is the object a clone was made of; the whole content is its. Later
	// entries come on top.
	from *meta
}

// pendOmap is a change to an omap. Exactly one field is set, or only clear.
type pendOmap struct {
	txn    *txn
	set    map[string][]byte
	rm     []string
	ranged bool // [first, end) is removed
	first  string
	end    string
	header []byte
	hasHdr bool
	clear  bool // keys and header
}

// sumChunk holds the checksums of chunkBlocks blocks, four bytes each, big-endian. A
// block whose checksum is 0 is a hole: all zeros.
type sumChunk struct {
	n    uint32
	sums []byte
}

func (m *meta) chunk(n uint32) ([]byte, bool) {
	i, ok := slices.BinarySearchFunc(m.sums, n, func(c sumChunk, n uint32) int { return int(c.n) - int(n) })
	if ok {
		return m.sums[i].sums, true
	}
	return nil, m.whole
}

// putChunk returns sums with chunk n replaced, as a new slice.
func putChunk(list []sumChunk, n uint32, sums []byte) []sumChunk {
	i, ok := slices.BinarySearchFunc(list, n, func(c sumChunk, n uint32) int { return int(c.n) - int(n) })
	out := make([]sumChunk, 0, len(list)+1)
	out = append(out, list[:i]...)
	out = append(out, sumChunk{n, sums})
	if ok {
		i++
	}
	return append(out, list[i:]...)
}

// settle forgets the oldest pending changes, as far as they are in file and key-value
// store. One that is there already stays behind one that is not: transactions that
// touch different files may be applied in another order than they were submitted, and
// an older change laid over the file without the newer ones would bring back what they
// replaced. Laid over the file again in order, changes that are there do no harm.
func (o *obj) settle() {
	o.pend = afterLeading(o.pend, (*pendData).settled)
	o.omapP = afterLeading(o.omapP, func(p *pendOmap) bool { return p.txn.settled.Load() })
}

// afterLeading returns the list from its first element that is not done.
func afterLeading[E any](list []E, done func(*E) bool) []E {
	for i := range list {
		if !done(&list[i]) {
			return list[i:]
		}
	}
	return nil
}

// txn is a transaction on its way.
type txn struct {
	record
	committed func()
	bytes     int64 // counted against the throttle

	recordBytes int64 // see record.size

	objects []*obj        // pinned
	index   []indexMark   // entries of collections' index it stands for
	colls   []*collection // in which it is ordered
	fresh   []freshTask   // to be done before it is journaled
	done    chan struct{} // closed when the fresh tasks are done; nil without
	hot     []hotEnd      // how far journaled changes reach into files
	mark    *mark
	// freshDone says that the fresh tasks are done, settled that everything is
	// applied. Both are set before the objects are told (obj.settle).
	freshDone, settled atomic.Bool
	// freshDir says that there is a new file in the fresh directory.
	freshDir bool

	// Under Store.seq.
	blockers int    // what it waits for before it may be journaled
	waiters  []*txn // that wait for it

	parts atomic.Int32 // of applying that are left
	round *round
}

// hotEnd says that a transaction's record changes the file below end.
type hotEnd struct{ fid, end uint64 }

type indexMark struct {
	c   *collection
	gid object.GID
}

// mark says of a transaction whether a checkpoint covers it, and outlives it.
type mark struct{ covered bool }

// freshTask is data to be written to a file before its transaction is journaled.
type freshTask struct {
	stage *stage // whose o it is for, once committed
	file  *file  // a reference of the task's own
	make  bool   // a new file in the fresh directory; otherwise beyond the file's end
	off   uint64
	data  wire.Buf
	// expect is how long the file is going to be, for all that is known; 0 for nothing.
	expect uint64
	from   *meta         // for a clone: the content
	wait   chan struct{} // of an earlier transaction that makes the file
}
