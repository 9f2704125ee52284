package objectstore

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"

	"sepiola/object"
	"sepiola/wire"
)

// Sizes of the packed structs Transaction::Op and Transaction::TransactionData.
const (
	opSize     = 3*4 + 2*8 + 2*4 + 8 + 4 + 2*8 + 2*4
	totalsSize = 8 + 4*4
)

// shareMin is the length in bytes from which a payload becomes a segment of its
// own when encoding, rather than being copied.
const shareMin = 2048

// segments builds an encoding of which parts are shared with others.
type segments struct {
	e    wire.Encoder
	cuts []cut
	size int // of the shared parts
}

type cut struct {
	at   int // in the encoder's bytes
	data wire.Buf
}

func (s *segments) len() int { return s.e.Len() + s.size }

// blob appends a length and the bytes of b.
func (s *segments) blob(b wire.Buf) {
	n := b.Len()
	if n < shareMin {
		s.e.BufBlob(b)
		return
	}
	s.e.U32(uint32(n))
	s.cuts = append(s.cuts, cut{s.e.Len(), b})
	s.size += n
}

func (s *segments) buf() wire.Buf {
	p := s.e.Bytes()
	out := make(wire.Buf, 0, 2*len(s.cuts)+1)
	from := 0
	for _, c := range s.cuts {
		out = append(out, p[from:c.at:c.at])
		out = append(out, c.data...)
		from = c.at
	}
	return append(out, p[from:])
}

// index numbers collections and objects in the order of first use.
type index[K comparable] struct {
	num  map[K]uint32
	keys []K
}

func (x *index[K]) of(k K) uint32 {
	// Most transactions know one collection and two objects: no map then.
	if x.num == nil {
		if i := slices.Index(x.keys, k); i >= 0 {
			return uint32(i)
		}
		if len(x.keys) < 8 {
			x.keys = append(x.keys, k)
			return uint32(len(x.keys) - 1)
		}
		x.num = make(map[K]uint32, 2*len(x.keys))
		for i, k := range x.keys {
			x.num[k] = uint32(i)
		}
	}
	n, ok := x.num[k]
	if !ok {
		n = uint32(len(x.keys))
		x.num[k] = n
		x.keys = append(x.keys, k)
	}
	return n
}

// encode appends the numbering as a std::map, in the order of the keys.
func (x *index[K]) encode(e *wire.Encoder, compare func(a, b K) int, enc func(*wire.Encoder, K)) {
	order := make([]uint32, len(x.keys))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int { return compare(x.keys[a], x.keys[b]) })
	e.U32(uint32(len(order)))
	for _, i := range order {
		enc(e, x.keys[i])
		e.U32(i)
	}
}

// Encode returns the wire form. Payloads of writes and other long values are
// segments shared with t.
func (t *Transaction) Encode() wire.Buf {
	var (
		data     segments
		ops      = make([]byte, 0, len(t.Ops)*opSize)
		colls    index[Coll]
		objects  index[object.GID]
		largest  struct{ len, off, at uint32 }
		fadviseL = t.Fadvise
	)
	m := data.e.Begin(9, 9)
	data.e.U32(0) // length of the arguments, filled in below
	start := data.len()
	for i := range t.Ops {
		op := &t.Ops[i]
		if n := uint32(op.Data.Len()); op.Kind == OpWrite && n > largest.len {
			largest.len, largest.off = n, uint32(op.Off)
			largest.at = uint32(data.len()-start) + 4
		}
		ops = appendOp(ops, op, &colls, &objects)
		op.encodeArgs(&data)
	}
	args := data.len() - start

	e := &data.e
	e.Blob(ops)
	colls.encode(e, Coll.Compare, func(e *wire.Encoder, c Coll) { c.Encode(e) })
	objects.encode(e, object.GID.Compare, func(e *wire.Encoder, o object.GID) { o.Encode(e) })
	e.U64(uint64(len(t.Ops)))
	e.U32(largest.len)
	e.U32(largest.off)
	e.U32(largest.at)
	e.U32(fadviseL)

	total := data.len() - int(m)
	p := e.Bytes()
	binary.LittleEndian.PutUint32(p[m-4:], uint32(total))
	binary.LittleEndian.PutUint32(p[m:], uint32(args))
	return data.buf()
}

// usesObject and the following say which fields of the struct a step fills in,
// as the builder methods of Ceph's class do.
func (k OpKind) usesObject() bool {
	switch k {
	case OpNop, OpMkColl, OpRmColl, OpCollHint, OpSplitColl, OpMergeColl:
		return false
	}
	return true
}

func (k OpKind) usesDstColl() bool {
	return k == OpMoveRename || k == OpSplitColl || k == OpMergeColl
}

func (k OpKind) usesDstObject() bool {
	return k == OpClone || k == OpCloneRange || k == OpMoveRename || k == OpTryRename
}

func appendOp(p []byte, op *Op, colls *index[Coll], objects *index[object.GID]) []byte {
	var cid, oid, dstCid, dstOid, hint uint32
	k := op.Kind
	if k != OpNop {
		cid = colls.of(op.Coll)
	}
	if k.usesObject() {
		oid = objects.of(op.Object)
	}
	if k.usesDstColl() {
		dstCid = colls.of(op.DstColl)
	}
	if k.usesDstObject() {
		dstOid = objects.of(op.DstObject)
	}
	var objSize, writeSize uint64
	switch k {
	case OpAllocHint:
		hint, objSize, writeSize = op.Hint.Flags, op.Hint.ObjectSize, op.Hint.WriteSize
	case OpCollHint:
		hint = op.Hint.Flags
	}
	le := binary.LittleEndian
	p = le.AppendUint32(p, uint32(k))
	p = le.AppendUint32(p, cid)
	p = le.AppendUint32(p, oid)
	p = le.AppendUint64(p, op.Off)
	p = le.AppendUint64(p, op.Len)
	p = le.AppendUint32(p, dstCid)
	p = le.AppendUint32(p, dstOid)
	p = le.AppendUint64(p, op.DstOff)
	p = le.AppendUint32(p, hint)
	p = le.AppendUint64(p, objSize)
	p = le.AppendUint64(p, writeSize)
	p = le.AppendUint32(p, op.Bits)
	return le.AppendUint32(p, op.Seed)
}

// encodeArgs appends those arguments of the step that are not in its struct.
func (op *Op) encodeArgs(s *segments) {
	switch op.Kind {
	case OpWrite, OpOmapHeader, OpCollHint:
		s.blob(op.Data)
	case OpSetAttr:
		s.e.String(op.Name)
		s.blob(op.Data)
	case OpSetAttrs, OpOmapSet:
		s.e.U32(uint32(len(op.Pairs)))
		if len(op.Pairs) == 1 {
			for k, v := range op.Pairs {
				s.e.String(k)
				s.blob(wire.BufOf(v))
			}
			return
		}
		for _, k := range slices.Sorted(maps.Keys(op.Pairs)) {
			s.e.String(k)
			s.blob(wire.BufOf(op.Pairs[k]))
		}
	case OpRmAttr:
		s.e.String(op.Name)
	case OpOmapRm:
		keys := op.Keys
		if !slices.IsSorted(keys) {
			keys = slices.Sorted(slices.Values(keys))
		}
		keys = slices.Compact(slices.Clone(keys))
		wire.Slice(&s.e, keys, wire.PutString)
	case OpOmapRmRange:
		s.e.String(op.Name)
		s.e.String(op.NameEnd)
	}
}

// DecodeTransaction reads the wire form and checks it whole. What it returns
// shares b's memory. A b of several segments is joined first, which copies.
func DecodeTransaction(b wire.Buf) (*Transaction, error) {
	d := wire.NewDecoder(b.Flat())
	t := decodeTransaction(d)
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("transaction: %w", err)
	}
	return t, nil
}

func decodeTransaction(d *wire.Decoder) *Transaction {
	sc := d.Begin(9)
	if d.Err() == nil && sc.Version < 9 {
		d.Fail("transaction of version %d", sc.Version)
	}
	args := wire.NewDecoder(d.Blob())
	ops := d.Blob()
	colls := readIndex(d, 1+4+4, DecodeColl)
	objects := readIndex(d, 6+8+4, object.DecodeGID)
	n := d.U64()
	d.Skip(3 * 4)
	t := &Transaction{Fadvise: d.U32()}
	d.End(sc)
	if d.Err() != nil {
		return nil
	}
	if len(ops)%opSize != 0 || uint64(len(ops)/opSize) != n {
		d.Fail("%d steps announced, %d bytes of them", n, len(ops))
		return nil
	}
	t.Ops = make([]Op, n, n+2) // a replica adds its log to it
	for i := range t.Ops {
		op := &t.Ops[i]
		err := op.decode(ops[i*opSize:], colls, objects)
		if err == nil {
			op.decodeArgs(args)
			err = args.Err()
		}
		if err != nil {
			d.Fail("step %d: %v", i, err)
			return nil
		}
	}
	if err := args.Finish(); err != nil {
		d.Fail("arguments: %v", err)
	}
	return t
}

// readIndex reads a numbering, which must give the numbers 0 to n-1 once each.
func readIndex[K any](d *wire.Decoder, minSize int, dec func(*wire.Decoder) K) []K {
	n := d.Count(minSize)
	keys, seen := make([]K, n), make([]bool, n)
	for range n {
		k, i := dec(d), d.U32()
		if d.Err() != nil {
			return nil
		}
		if i >= uint32(n) || seen[i] {
			d.Fail("number %d of %d given twice or out of range", i, n)
			return nil
		}
		keys[i], seen[i] = k, true
	}
	return keys
}

func (op *Op) decode(p []byte, colls []Coll, objects []object.GID) error {
	le := binary.LittleEndian
	op.Kind = OpKind(le.Uint32(p))
	if _, ok := opNames[op.Kind]; !ok {
		return fmt.Errorf("operation %d is not supported", op.Kind)
	}
	cid, oid := le.Uint32(p[4:]), le.Uint32(p[8:])
	op.Off, op.Len = le.Uint64(p[12:]), le.Uint64(p[20:])
	dstCid, dstOid := le.Uint32(p[28:]), le.Uint32(p[32:])
	op.DstOff = le.Uint64(p[36:])
	op.Hint = AllocHint{Flags: le.Uint32(p[44:]), ObjectSize: le.Uint64(p[48:]), WriteSize: le.Uint64(p[56:])}
	op.Bits, op.Seed = le.Uint32(p[64:]), le.Uint32(p[68:])
	var err error
	pick(&op.Coll, colls, cid, op.Kind != OpNop, "collection", &err)
	pick(&op.Object, objects, oid, op.Kind.usesObject(), "object", &err)
	pick(&op.DstColl, colls, dstCid, op.Kind.usesDstColl(), "destination collection", &err)
	pick(&op.DstObject, objects, dstOid, op.Kind.usesDstObject(), "destination object", &err)
	if op.Kind == OpTryRename {
		op.DstColl = op.Coll
	}
	if op.Len > math.MaxInt64 || op.Off > math.MaxInt64-op.Len || op.DstOff > math.MaxInt64-op.Len {
		err = fmt.Errorf("range %d~%d is beyond any object", op.Off, op.Len)
	}
	if op.Bits > 32 {
		err = fmt.Errorf("%d bits of a hash of 32", op.Bits)
	}
	return err
}

func pick[K any](to *K, from []K, i uint32, used bool, what string, err *error) {
	switch {
	case !used:
	case i >= uint32(len(from)):
		*err = fmt.Errorf("%s %d of %d", what, i, len(from))
	default:
		*to = from[i]
	}
}

func (op *Op) decodeArgs(d *wire.Decoder) {
	switch op.Kind {
	case OpWrite:
		op.Data = wire.BufOf(d.Blob())
		if d.Err() == nil && uint64(op.Data.Len()) != op.Len {
			d.Fail("write of %d bytes has %d", op.Len, op.Data.Len())
		}
	case OpOmapHeader, OpCollHint:
		op.Data = wire.BufOf(d.Blob())
	case OpSetAttr:
		op.Name = d.String()
		op.Data = wire.BufOf(d.Blob())
	case OpSetAttrs, OpOmapSet:
		op.Pairs = wire.ReadMap(d, 8, wire.GetString, wire.GetBlob)
	case OpRmAttr:
		op.Name = d.String()
	case OpOmapRm:
		op.Keys = wire.ReadSlice(d, 4, wire.GetString)
	case OpOmapRmRange:
		op.Name = d.String()
		op.NameEnd = d.String()
	}
}

var opNames = map[OpKind]string{
	OpNop: "nop", OpCreate: "create", OpTouch: "touch", OpWrite: "write", OpZero: "zero",
	OpTruncate: "truncate", OpRemove: "remove", OpSetAttr: "setattr", OpSetAttrs: "setattrs",
	OpRmAttr: "rmattr", OpClone: "clone", OpCloneRange: "clonerange2", OpMkColl: "mkcoll",
	OpRmColl: "rmcoll", OpRmAttrs: "rmattrs", OpOmapClear: "omap_clear", OpOmapSet: "omap_setkeys",
	OpOmapRm: "omap_rmkeys", OpOmapHeader: "omap_setheader", OpSplitColl: "op_split_collection2",
	OpOmapRmRange: "omap_rmkeyrange", OpMoveRename: "op_coll_move_rename", OpAllocHint: "op_setallochint",
	OpCollHint: "coll_hint", OpTryRename: "op_coll_move_rename", OpMergeColl: "op_merge_collection",
}

// String returns Ceph's name of the step (Transaction::dump in
// src/os/Transaction.cc).
func (k OpKind) String() string {
	if s, ok := opNames[k]; ok {
		return s
	}
	return fmt.Sprintf("op %d", uint32(k))
}
