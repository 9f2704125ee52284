package ops

import (
	"sepiola/message"
	"sepiola/objectstore"
	"sepiola/pglog"
	"sepiola/wire"
)

var dataWrites = map[message.OSDOpCode]handler{
	message.OpWrite:        write,
	message.OpWriteFull:    writeFull,
	message.OpWriteSame:    writeSame,
	message.OpAppend:       appendData,
	message.OpZero:         zero,
	message.OpTruncate:     truncate,
	message.OpTrimTrunc:    truncate,
	message.OpCreate:       create,
	message.OpDelete:       remove,
	message.OpSetAllocHint: setAllocHint,
	message.OpStartSync:    startSync,
	// Snapshots are not kept yet; there is nothing to return to.
	message.OpRollback: notSupported,
}

func write(c *Context, op *message.SubOp) int32 {
	c.writes++
	x := op.Args.Extent()
	if x.Length != uint64(op.In.Len()) {
		return EInval
	}
	return c.writeAt(x, op.In)
}

// writeAt writes bytes, minding truncations that overtook the write or were
// overtaken by it (the truncate sequence of CephFS).
func (c *Context) writeAt(x message.Extent, data wire.Buf) int32 {
	oi := &c.New.Info
	if seq := oi.TruncateSeq; seq != 0 && seq > uint64(x.TruncateSeq) && x.Offset+x.Length > oi.Size {
		// The object was truncated after this write was sent.
		x.Length = 0
		if x.Offset <= oi.Size {
			x.Length = oi.Size - x.Offset
		}
		data = data.Slice(0, int(x.Length))
	}
	if r := c.checkRange(x.Offset, x.Length); r < 0 {
		return r
	}
	if uint64(x.TruncateSeq) > oi.TruncateSeq {
		if x.TruncateSize > c.Limits.MaxObjectSize {
			return EFBig // Ceph would hand it to the file system
		}
		c.overtakingTruncate(x)
	}
	c.create()
	switch {
	case x.Length > 0:
		c.Tx.Write(c.Coll, c.gid(), x.Offset, data)
		c.BytesWritten += int(x.Length)
	case x.Offset > oi.Size:
		c.Tx.Truncate(c.Coll, c.gid(), x.Offset)
		c.resize(x.Offset)
	default:
		c.touch()
	}
	switch {
	case x.Offset == 0 && x.Length >= oi.Size:
		oi.SetDataDigest(CRC(DigestSeed, data))
	case x.Offset == oi.Size && oi.Has(pglog.OIDataDigest):
		oi.SetDataDigest(CRC(oi.DataDigest, data))
	default:
		oi.ClearDataDigest()
	}
	if x.Length > 0 && x.Offset+x.Length > oi.Size {
		c.resize(x.Offset + x.Length)
	}
	c.countWrite(x.Length)
	c.Clean = c.Clean.DirtyData(x.Offset, x.Length)
	return 0
}

// overtakingTruncate applies the truncation that a write knows of and that has
// not arrived itself.
func (c *Context) overtakingTruncate(x message.Extent) {
	oi := &c.New.Info
	if c.New.Readable() {
		c.Tx.Truncate(c.Coll, c.gid(), x.TruncateSize)
		if oi.Size > x.TruncateSize {
			c.Clean = c.Clean.DirtyData(x.TruncateSize, oi.Size-x.TruncateSize)
			oi.ClearDataDigest()
		}
		c.resize(x.TruncateSize)
	}
	oi.TruncateSeq, oi.TruncateSize = uint64(x.TruncateSeq), x.TruncateSize
}

// resize accounts for a new size.
func (c *Context) resize(size uint64) {
	c.Delta.NumBytes += int64(size) - int64(c.New.Info.Size)
	c.New.Info.Size = size
}

func (c *Context) countWrite(n uint64) {
	c.Delta.NumWr++
	c.Delta.NumWrKB += kb(n)
}

func writeFull(c *Context, op *message.SubOp) int32 {
	c.writes++
	x := op.Args.Extent()
	if x.Length != uint64(op.In.Len()) {
		return EInval
	}
	if r := c.checkRange(0, x.Length); r < 0 {
		return r
	}
	c.create()
	oi := &c.New.Info
	if x.Length < oi.Size {
		c.Tx.Truncate(c.Coll, c.gid(), x.Length)
	}
	if x.Length > 0 {
		c.Tx.Write(c.Coll, c.gid(), 0, op.In)
		c.BytesWritten += int(x.Length)
	} else {
		c.touch()
	}
	oi.SetDataDigest(CRC(DigestSeed, op.In))
	c.Clean = c.Clean.DirtyData(0, max(x.Length, oi.Size))
	c.resize(x.Length)
	c.countWrite(x.Length)
	return 0
}

func writeSame(c *Context, op *message.SubOp) int32 {
	c.writes++
	x := op.Args.WriteSame()
	if x.Length == 0 {
		return 0
	}
	if x.DataLength == 0 || x.Length%x.DataLength != 0 || x.DataLength != uint64(op.In.Len()) {
		return EInval
	}
	if r := c.checkRange(x.Offset, x.Length); r < 0 {
		return r // before repeating the data up to an absurd length
	}
	pattern := op.In.Flat()
	data := make([]byte, 0, x.Length)
	for uint64(len(data)) < x.Length {
		data = append(data, pattern...)
	}
	return c.writeAt(message.Extent{Offset: x.Offset, Length: x.Length}, wire.Buf{data})
}

func appendData(c *Context, op *message.SubOp) int32 {
	c.writes++
	x := op.Args.Extent()
	if x.Length != uint64(op.In.Len()) {
		return EInval
	}
	return c.writeAt(message.Extent{Offset: c.New.Info.Size, Length: x.Length,
		TruncateSeq: uint32(c.New.Info.TruncateSeq)}, op.In)
}

// zero never shortens or lengthens an object beyond its end, but zeros up to the
// end are a truncation to where they begin.
func zero(c *Context, op *message.SubOp) int32 {
	x, oi := op.Args.Extent(), &c.New.Info
	limit := c.Limits.MaxObjectSize
	if c.New.Exists && x.Offset < limit && x.Length >= 1 && x.Length <= limit && x.Offset+x.Length >= oi.Size {
		if x.Offset >= oi.Size {
			return 0
		}
		op.Op = message.OpTruncate
		x.TruncateSeq, x.TruncateSize = 0, 0
		op.Args = x.Args()
		return truncate(c, op)
	}
	c.writes++
	if r := c.checkRange(x.Offset, x.Length); r < 0 {
		return r
	}
	if x.Length == 0 {
		return EInval
	}
	if !c.New.Readable() {
		return 0
	}
	c.Tx.Zero(c.Coll, c.gid(), x.Offset, x.Length)
	c.Clean = c.Clean.DirtyData(x.Offset, x.Length)
	c.Delta.NumWr++
	oi.ClearDataDigest()
	return 0
}

func truncate(c *Context, op *message.SubOp) int32 {
	c.writes++
	x, oi := op.Args.Extent(), &c.New.Info
	if op.Op == message.OpTrimTrunc {
		x.Offset = x.TruncateSize
	}
	if !c.New.Readable() {
		return 0
	}
	if r := c.checkRange(x.Offset, x.Length); r < 0 {
		return r
	}
	if x.TruncateSeq != 0 {
		if x.Offset != x.TruncateSize {
			return EInval
		}
		if uint64(x.TruncateSeq) <= oi.TruncateSeq {
			return 0 // a later truncation came first
		}
		oi.TruncateSeq, oi.TruncateSize = uint64(x.TruncateSeq), x.TruncateSize
	}
	c.create()
	c.Tx.Truncate(c.Coll, c.gid(), x.Offset)
	low, high := min(oi.Size, x.Offset), max(oi.Size, x.Offset)
	if low < high {
		c.Clean = c.Clean.DirtyData(low, high-low)
	}
	c.resize(x.Offset)
	c.Delta.NumWr++
	oi.ClearDataDigest()
	return 0
}

func create(c *Context, op *message.SubOp) int32 {
	c.writes++
	if c.New.Readable() && op.Flags&message.OpFlagExcl != 0 {
		return EExist
	}
	if op.In.Len() > 0 {
		// Once a category; it must still be a string.
		d := input(op)
		if _ = d.String(); d.Err() != nil {
			return EInval
		}
	}
	c.create()
	c.touch()
	return 0
}

func remove(c *Context, _ *message.SubOp) int32 {
	c.writes++
	oi := &c.New.Info
	whiteout := len(c.New.SnapSet.Clones) > 0
	if !c.New.Exists || oi.Has(pglog.OIWhiteout) && whiteout {
		return ENoEnt
	}
	c.Tx.Remove(c.Coll, c.gid())
	if oi.Size > 0 {
		c.Clean = c.Clean.DirtyData(0, oi.Size)
	}
	c.Clean = c.Clean.DirtyOmap()
	c.Delta.NumWr++
	c.resize(0)
	c.forgetDigests()
	if c.Object.IsHead() {
		c.dropWatchers()
	}
	if whiteout {
		// Clones need a head to hang on.
		oi.Flags |= pglog.OIWhiteout
		c.Delta.NumWhiteouts++
		c.Tx.Touch(c.Coll, c.gid())
		return 0
	}
	c.Delta.NumObjects--
	if oi.Has(pglog.OIWhiteout) {
		c.Delta.NumWhiteouts--
		oi.Flags &^= pglog.OIWhiteout
	}
	c.New.Exists = false
	return 0
}

func setAllocHint(c *Context, op *message.SubOp) int32 {
	c.writes++
	c.create()
	h := op.Args.AllocHint()
	oi := &c.New.Info
	oi.ExpectedObjectSize, oi.ExpectedWriteSize, oi.AllocHintFlags = h.ObjectSize, h.WriteSize, h.Flags
	c.Tx.SetAllocHint(c.Coll, c.gid(), objectstore.AllocHint{
		ObjectSize: h.ObjectSize, WriteSize: h.WriteSize, Flags: h.Flags})
	return 0
}

func startSync(c *Context, _ *message.SubOp) int32 {
	c.touch()
	return 0
}

func notSupported(*Context, *message.SubOp) int32 { return EOpNotSupp }
