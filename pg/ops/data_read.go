package ops

import (
	"encoding/binary"
	"hash/crc32"

	"sepiola/message"
	"sepiola/objectstore"
	"sepiola/pglog"
	"sepiola/wire"
)

var dataReads = map[message.OSDOpCode]handler{
	message.OpRead:       read,
	message.OpSyncRead:   read,
	message.OpSparseRead: sparseRead,
	message.OpMapExt:     mapExt,
	message.OpStat:       stat,
	message.OpChecksum:   checksum,
	message.OpCmpExt:     compareExtent,
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// CRC is ceph_crc32c over a payload: CRC-32C without its inversions, so that the
// sum of a whole is that of its end seeded with that of its beginning. Digests of
// objects begin with DigestSeed.
func CRC(seed uint32, b wire.Buf) uint32 {
	sum := ^seed
	for _, s := range b {
		sum = crc32.Update(sum, castagnoli, s)
	}
	return ^sum
}

// DigestSeed is where digests of an object's data and omap begin.
const DigestSeed uint32 = 0xffffffff

// readable clips a read to the object. A client that truncated the object, but
// whose truncation has not arrived, does not see beyond it.
func (c *Context) readable(x message.Extent) (off, n uint64) {
	size := c.New.Info.Size
	if c.New.Info.TruncateSeq < uint64(x.TruncateSeq) && x.Offset+x.Length > x.TruncateSize && size > x.TruncateSize {
		size = x.TruncateSize
	}
	n = x.Length
	if n == 0 {
		n = size
	}
	if x.Offset >= size {
		return x.Offset, 0
	}
	return x.Offset, min(n, size-x.Offset)
}

func read(c *Context, op *message.SubOp) int32 {
	c.reads++
	x := op.Args.Extent()
	if !c.hasDataOff {
		c.DataOff, c.hasDataOff = x.Offset, true
	}
	off, n := c.readable(x)
	out, result := c.readRange(off, n)
	if result < 0 {
		return result
	}
	x.Length = uint64(out.Len())
	op.Args = x.Args()
	op.Out = out
	c.countRead(uint64(out.Len()))
	return 0
}

// readRange reads bytes and, where they are the whole object, checks its digest.
func (c *Context) readRange(off, n uint64) (wire.Buf, int32) {
	if n == 0 {
		return nil, 0
	}
	out, err := c.Reader.Read(c.Coll, c.gid(), off, n)
	if err != nil {
		return nil, fromStore(err)
	}
	oi := &c.New.Info
	if off == 0 && uint64(out.Len()) == oi.Size && oi.Has(pglog.OIDataDigest) && CRC(DigestSeed, out) != oi.DataDigest {
		return nil, EIO
	}
	return out, 0
}

func (c *Context) countRead(n uint64) {
	c.Delta.NumRdKB += kb(n)
	c.Delta.NumRd++
	c.BytesRead += int(n)
}

func sparseRead(c *Context, op *message.SubOp) int32 {
	x := op.Args.Extent()
	if x.TruncateSeq != 0 {
		return EInval
	}
	c.reads++
	extents, result := c.extents(x.Offset, x.Length)
	if result < 0 {
		return result
	}
	var data wire.Buf
	for i, r := range extents {
		part, result := c.readRange(r.Off, r.Len)
		if result < 0 {
			return result
		}
		extents[i].Len = uint64(part.Len())
		data = append(data, part...)
	}
	n := data.Len()
	e := wire.NewEncoder(8 + 16*len(extents))
	encodeExtents(e, extents)
	e.U32(uint32(n))
	op.Out = append(wire.Buf{e.Bytes()}, data...)
	x.Length = uint64(n)
	op.Args = x.Args()
	c.countRead(uint64(n))
	return 0
}

// extents returns the allocated ranges within the object.
func (c *Context) extents(off, n uint64) ([]objectstore.Extent, int32) {
	size := c.New.Info.Size
	if off >= size {
		return nil, 0
	}
	n = min(n, size-off)
	if n == 0 {
		return nil, 0
	}
	ext, err := c.Reader.Extents(c.Coll, c.gid(), off, n)
	return ext, fromStore(err)
}

func encodeExtents(e *wire.Encoder, ext []objectstore.Extent) {
	wire.Slice(e, ext, func(e *wire.Encoder, x objectstore.Extent) {
		e.U64(x.Off)
		e.U64(x.Len)
	})
}

func mapExt(c *Context, op *message.SubOp) int32 {
	c.reads++
	x := op.Args.Extent()
	ext, result := c.extents(x.Offset, x.Length)
	if result < 0 {
		return result
	}
	e := wire.NewEncoder(4 + 16*len(ext))
	encodeExtents(e, ext)
	op.Out = wire.BufOf(e.Bytes())
	c.countRead(0)
	return 0
}

func stat(c *Context, op *message.SubOp) int32 {
	c.Delta.NumRd++
	if !c.New.Readable() {
		return ENoEnt
	}
	e := wire.NewEncoder(16)
	e.U64(c.New.Info.Size)
	e.Time(c.New.Info.Mtime)
	op.Out = wire.BufOf(e.Bytes())
	return 0
}

// compareExtent answers the offset of the first byte that differs as a result of
// -(4095+offset); bytes beyond the object's end count as zeros.
func compareExtent(c *Context, op *message.SubOp) int32 {
	c.reads++
	x := op.Args.Extent()
	size := c.New.Info.Size
	if c.New.Info.TruncateSeq < uint64(x.TruncateSeq) && x.Offset+x.Length > x.TruncateSize {
		size = x.TruncateSize
	}
	n := uint64(0)
	if x.Offset < size {
		n = min(x.Length, size-x.Offset)
	}
	var have []byte
	if n > 0 && c.Old.Readable() {
		data, result := c.readRange(x.Offset, n)
		if result < 0 {
			return result
		}
		c.countRead(n)
		have = data.Flat()
	}
	for i, want := range op.In.Flat() {
		got := byte(0)
		if i < len(have) {
			got = have[i]
		}
		if got != want {
			return -maxErrno - int32(i)
		}
	}
	return 0
}

// checksum appends a count and one sum per chunk.
func checksum(c *Context, op *message.SubOp) int32 {
	c.reads++
	x := op.Args.Checksum()
	if x.ChunkSize > 0 && (x.Length == 0 || x.Length%uint64(x.ChunkSize) != 0) {
		return EInval
	}
	size := c.New.Info.Size
	switch {
	case x.Offset == 0 && x.Length == 0:
		x.Length = size
	case x.Offset >= size:
		return 0
	case x.Length > size-x.Offset:
		x.Length = size - x.Offset
		if x.ChunkSize > 0 && x.Length%uint64(x.ChunkSize) != 0 {
			return EInval
		}
	}
	sum, result := newSummer(x.Type, op.In.Flat())
	if result < 0 {
		return result
	}
	var data wire.Buf
	if x.Length > 0 {
		if data, result = c.readRange(x.Offset, x.Length); result < 0 {
			return result
		}
		c.countRead(uint64(data.Len()))
	}
	op.Out = wire.BufOf(sum.all(data, x.ChunkSize))
	return 0
}

// summer computes one kind of checksum over chunks, each from the same start.
type summer struct {
	kind uint8
	init uint64
}

func newSummer(kind uint8, in []byte) (summer, int32) {
	switch kind {
	case message.ChecksumXXHash32, message.ChecksumCRC32C:
		if len(in) < 4 {
			return summer{}, EInval
		}
		return summer{kind, uint64(binary.LittleEndian.Uint32(in))}, 0
	case message.ChecksumXXHash64:
		if len(in) < 8 {
			return summer{}, EInval
		}
		return summer{kind, binary.LittleEndian.Uint64(in)}, 0
	}
	return summer{}, EInval
}

// all returns the encoded sums of data in chunks; a chunk of 0 is all of it, and
// a remainder shorter than a chunk is left out.
func (s summer) all(data wire.Buf, chunk uint32) []byte {
	p := data.Flat()
	size := int(chunk)
	if size == 0 {
		size = max(len(p), 1)
	}
	count := len(p) / size
	e := wire.NewEncoder(4 + 8*count)
	e.U32(uint32(count))
	for ; len(p) >= size; p = p[size:] {
		switch s.kind {
		case message.ChecksumCRC32C:
			e.U32(CRC(uint32(s.init), wire.Buf{p[:size]}))
		case message.ChecksumXXHash32:
			e.U32(xxhash32(p[:size], uint32(s.init)))
		default:
			e.U64(xxhash64(p[:size], s.init))
		}
	}
	return e.Bytes()
}
