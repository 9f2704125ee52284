package objectstore

import (
	"sepiola/object"
	"sepiola/wire"
)

// OpKind is what one step of a [Transaction] does. The values are those of
// ObjectStore::Transaction::OP_* in src/os/Transaction.h of Ceph 16.
type OpKind uint32

// The steps of a transaction. Creating is implied by Touch, Write, Zero,
// Truncate, AllocHint and the setters of attributes and omap. On an object that
// does not exist Remove, RmAttrs, OmapClear and TryRename do nothing; the others
// fail with [ErrNotFound].
const (
	OpNop         OpKind = 0
	OpCreate      OpKind = 7
	OpTouch       OpKind = 9
	OpWrite       OpKind = 10
	OpZero        OpKind = 11
	OpTruncate    OpKind = 12
	OpRemove      OpKind = 13
	OpSetAttr     OpKind = 14
	OpSetAttrs    OpKind = 15
	OpRmAttr      OpKind = 16
	OpClone       OpKind = 17
	OpCloneRange  OpKind = 30
	OpMkColl      OpKind = 20
	OpRmColl      OpKind = 21
	OpRmAttrs     OpKind = 28
	OpOmapClear   OpKind = 31
	OpOmapSet     OpKind = 32
	OpOmapRm      OpKind = 33
	OpOmapHeader  OpKind = 34
	OpSplitColl   OpKind = 36
	OpOmapRmRange OpKind = 37
	OpMoveRename  OpKind = 38
	OpAllocHint   OpKind = 39
	OpCollHint    OpKind = 40
	OpTryRename   OpKind = 41
	OpMergeColl   OpKind = 43
)

// Op is one step. Which fields count depends on Kind; see the methods of
// [Transaction].
type Op struct {
	Kind      OpKind
	Coll      Coll
	Object    object.GID
	DstColl   Coll       // MoveRename, SplitColl, MergeColl
	DstObject object.GID // Clone, CloneRange, MoveRename, TryRename
	Off, Len  uint64
	DstOff    uint64 // CloneRange
	Data      wire.Buf
	Name      string            // SetAttr, RmAttr; first key of OmapRmRange
	NameEnd   string            // OmapRmRange: first key not removed
	Pairs     map[string][]byte // SetAttrs, OmapSet
	Keys      []string          // OmapRm
	Bits      uint32            // MkColl, SplitColl, MergeColl: significant bits of the hash
	Seed      uint32            // SplitColl: the new collection's PG seed
	Hint      AllocHint         // AllocHint; of CollHint, Flags is the kind of hint and Data the hint
}

// AllocHint is what a client expects of an object.
type AllocHint struct {
	ObjectSize, WriteSize uint64
	Flags                 uint32
}

// Flags of an [AllocHint] (CEPH_OSD_ALLOC_HINT_FLAG_* in src/include/rados.h).
const (
	HintSequentialWrite uint32 = 1
	HintAppendOnly      uint32 = 16
)

// Transaction is a list of steps that a store applies all or not at all. The
// zero value is empty and ready. It may touch several collections.
type Transaction struct {
	Ops []Op
	// Fadvise are the CEPH_OSD_OP_FLAG_FADVISE_* hints of the writes.
	Fadvise uint32
}

// Empty reports whether there is nothing to do.
func (t *Transaction) Empty() bool { return len(t.Ops) == 0 }

// Append adds the steps of o after those of t.
func (t *Transaction) Append(o *Transaction) {
	t.Ops = append(t.Ops, o.Ops...)
	t.Fadvise |= o.Fadvise
}

func (t *Transaction) add(op Op) { t.Ops = append(t.Ops, op) }

// Touch creates the object if there is none.
func (t *Transaction) Touch(c Coll, o object.GID) { t.add(Op{Kind: OpTouch, Coll: c, Object: o}) }

// Create creates the object, which must not exist.
func (t *Transaction) Create(c Coll, o object.GID) { t.add(Op{Kind: OpCreate, Coll: c, Object: o}) }

// Write replaces the bytes from off on, growing the object as needed.
func (t *Transaction) Write(c Coll, o object.GID, off uint64, data wire.Buf) {
	t.add(Op{Kind: OpWrite, Coll: c, Object: o, Off: off, Len: uint64(data.Len()), Data: data})
}

// Zero makes n bytes from off on read as zeros, growing the object as needed.
func (t *Transaction) Zero(c Coll, o object.GID, off, n uint64) {
	t.add(Op{Kind: OpZero, Coll: c, Object: o, Off: off, Len: n})
}

// Truncate sets the size; a longer object is filled with zeros.
func (t *Transaction) Truncate(c Coll, o object.GID, size uint64) {
	t.add(Op{Kind: OpTruncate, Coll: c, Object: o, Off: size})
}

// Remove removes the object with its attributes and omap. It is no error if
// there is none.
func (t *Transaction) Remove(c Coll, o object.GID) { t.add(Op{Kind: OpRemove, Coll: c, Object: o}) }

// SetAttr sets one attribute.
func (t *Transaction) SetAttr(c Coll, o object.GID, name string, value []byte) {
	t.add(Op{Kind: OpSetAttr, Coll: c, Object: o, Name: name, Data: wire.BufOf(value)})
}

// SetAttrs sets several attributes.
func (t *Transaction) SetAttrs(c Coll, o object.GID, attrs map[string][]byte) {
	t.add(Op{Kind: OpSetAttrs, Coll: c, Object: o, Pairs: attrs})
}

// RmAttr removes one attribute; it is no error if there is none.
func (t *Transaction) RmAttr(c Coll, o object.GID, name string) {
	t.add(Op{Kind: OpRmAttr, Coll: c, Object: o, Name: name})
}

// RmAttrs removes all attributes.
func (t *Transaction) RmAttrs(c Coll, o object.GID) { t.add(Op{Kind: OpRmAttrs, Coll: c, Object: o}) }

// Clone makes dst an equal copy of src: data, attributes and omap. A dst that
// exists is replaced.
func (t *Transaction) Clone(c Coll, src, dst object.GID) {
	t.add(Op{Kind: OpClone, Coll: c, Object: src, DstObject: dst})
}

// CloneRange copies n bytes of src from off, all within src, to dst at dstOff,
// creating dst if there is none.
func (t *Transaction) CloneRange(c Coll, src, dst object.GID, off, n, dstOff uint64) {
	t.add(Op{Kind: OpCloneRange, Coll: c, Object: src, DstObject: dst, Off: off, Len: n, DstOff: dstOff})
}

// OmapSet sets keys of the omap.
func (t *Transaction) OmapSet(c Coll, o object.GID, pairs map[string][]byte) {
	t.add(Op{Kind: OpOmapSet, Coll: c, Object: o, Pairs: pairs})
}

// OmapRm removes keys of the omap.
func (t *Transaction) OmapRm(c Coll, o object.GID, keys []string) {
	t.add(Op{Kind: OpOmapRm, Coll: c, Object: o, Keys: keys})
}

// OmapRmRange removes the keys in [first, end).
func (t *Transaction) OmapRmRange(c Coll, o object.GID, first, end string) {
	t.add(Op{Kind: OpOmapRmRange, Coll: c, Object: o, Name: first, NameEnd: end})
}

// OmapHeader sets the omap header.
func (t *Transaction) OmapHeader(c Coll, o object.GID, header []byte) {
	t.add(Op{Kind: OpOmapHeader, Coll: c, Object: o, Data: wire.BufOf(header)})
}

// OmapClear removes all keys and the header.
func (t *Transaction) OmapClear(c Coll, o object.GID) {
	t.add(Op{Kind: OpOmapClear, Coll: c, Object: o})
}

// MkColl creates a collection whose objects share the low bits of their hash.
func (t *Transaction) MkColl(c Coll, bits uint32) { t.add(Op{Kind: OpMkColl, Coll: c, Bits: bits}) }

// RmColl removes a collection, which must be empty.
func (t *Transaction) RmColl(c Coll) { t.add(Op{Kind: OpRmColl, Coll: c}) }

// SplitColl moves the objects of c whose hash, in its low bits, equals seed to dst,
// which exists.
func (t *Transaction) SplitColl(c Coll, bits, seed uint32, dst Coll) {
	t.add(Op{Kind: OpSplitColl, Coll: c, Bits: bits, Seed: seed, DstColl: dst})
}

// MergeColl moves all objects of c into dst and removes c.
func (t *Transaction) MergeColl(c, dst Coll, bits uint32) {
	t.add(Op{Kind: OpMergeColl, Coll: c, DstColl: dst, Bits: bits})
}

// MoveRename moves an object to another collection or name, which must be free.
func (t *Transaction) MoveRename(c Coll, o object.GID, dst Coll, dstObject object.GID) {
	t.add(Op{Kind: OpMoveRename, Coll: c, Object: o, DstColl: dst, DstObject: dstObject})
}

// TryRename renames within a collection; it is no error if there is no such
// object. The new name must be free.
func (t *Transaction) TryRename(c Coll, o, dst object.GID) {
	t.add(Op{Kind: OpTryRename, Coll: c, Object: o, DstColl: c, DstObject: dst})
}

// SetAllocHint passes on what a client expects of an object.
func (t *Transaction) SetAllocHint(c Coll, o object.GID, h AllocHint) {
	t.add(Op{Kind: OpAllocHint, Coll: c, Object: o, Hint: h})
}
