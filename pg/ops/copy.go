package ops

import (
	"maps"
	"slices"
	"strings"

	"sepiola/message"
	"sepiola/object"
	"sepiola/pglog"
	"sepiola/wire"
)

var copyOps = map[message.OSDOpCode]handler{
	message.OpCopyGet:   copyGet,
	message.OpCopyFrom:  copyFrom,
	message.OpCopyFrom2: copyFrom,
}

// Fetch names an object that a COPY_FROM needs, as a client would.
type Fetch struct {
	Pool      int64
	Name      string
	Locator   string
	Namespace string
	Snap      object.SnapID
	// Version is the user version that the source must have; 0 for any.
	Version uint64
}

// Fetched is the whole of such an object, or why it is not to be had.
type Fetched struct {
	Result      int32 // 0 or a negative errno
	UserVersion uint64
	Data        wire.Buf
	Attrs       map[string][]byte // by the names users know
	OmapHeader  []byte
	Omap        map[string][]byte
	Truncate    *message.CopyTruncate
}

// Copies reports whether any operation copies from another object.
func Copies(req *message.OSDOp) bool {
	for i := range req.Ops {
		if c := req.Ops[i].Op; c == message.OpCopyFrom || c == message.OpCopyFrom2 {
			return true
		}
	}
	return false
}

// Fetches returns what the copies among a request's operations need, in order; nil
// for a request without any. A malformed one is an error.
func Fetches(req *message.OSDOp) ([]Fetch, int32) {
	var out []Fetch
	for i := range req.Ops {
		op := &req.Ops[i]
		if op.Op != message.OpCopyFrom && op.Op != message.OpCopyFrom2 {
			continue
		}
		d := input(op)
		src := message.DecodeCopySource(d)
		if d.Err() != nil || (op.Op == message.OpCopyFrom2) != (src.Truncate != nil) {
			return nil, EInval
		}
		args := op.Args.CopyFrom()
		f := Fetch{Pool: src.Locator.Pool, Name: src.Name, Locator: src.Locator.Key, Namespace: src.Locator.Namespace,
			Snap: args.Snap, Version: args.SrcVersion}
		dst := req.Object
		if f.Pool == dst.Pool && f.Name == dst.Name && f.Namespace == dst.Namespace && f.Locator == dst.Key && f.Snap == dst.Snap {
			return nil, EInval // onto itself
		}
		out = append(out, f)
	}
	return out, 0
}

// copyFrom makes the object what was fetched (finish_copyfrom in
// PrimaryLogPG.cc): its content, attributes and omap, and its user version.
func copyFrom(c *Context, op *message.SubOp) int32 {
	if c.copied == len(c.Copies) {
		return EInval
	}
	f := c.Copies[c.copied]
	c.copied++
	if f.Result < 0 {
		return f.Result
	}
	c.writes++
	size := uint64(f.Data.Len())
	if size > c.Limits.MaxObjectSize {
		return EFBig
	}
	had := c.New.Exists
	if had {
		c.Tx.Remove(c.Coll, c.gid())
	}
	c.create()
	if had {
		c.Tx.Touch(c.Coll, c.gid())
	}
	c.Clean = c.Clean.DirtyData(0, max(size, c.New.Info.Size)).DirtyOmap()
	c.resize(size)
	c.forgetDigests()
	if size > 0 {
		c.Tx.Write(c.Coll, c.gid(), 0, f.Data)
		c.BytesWritten += int(size)
	}
	c.copyMetadata(f)
	oi := &c.New.Info
	oi.TruncateSeq, oi.TruncateSize = 0, 0
	if f.Truncate != nil && op.Args.CopyFrom().Flags&message.CopyFromTruncateSeq != 0 {
		oi.TruncateSeq, oi.TruncateSize = uint64(f.Truncate.Seq), f.Truncate.Size
	}
	c.CopiedVersion = f.UserVersion
	c.touch()
	c.countWrite(size)
	return 0
}

// copyMetadata sets attributes and omap of the copy.
func (c *Context) copyMetadata(f *Fetched) {
	attrs := make(map[string][]byte, len(f.Attrs))
	for name, v := range f.Attrs {
		attrs["_"+name] = v
	}
	if len(attrs) > 0 {
		c.Tx.SetAttrs(c.Coll, c.gid(), attrs)
	}
	c.New.Info.Clear(pglog.OIOmap)
	if len(f.OmapHeader) > 0 {
		c.Tx.OmapHeader(c.Coll, c.gid(), f.OmapHeader)
		c.New.Info.Set(pglog.OIOmap)
	}
	if len(f.Omap) > 0 {
		c.Tx.OmapSet(c.Coll, c.gid(), f.Omap)
		c.New.Info.Set(pglog.OIOmap)
	}
}

// copyGetMax bounds the answer to one COPY_GET, whatever the asker wants
// (osd_copyfrom_max_chunk).
const copyGetMax = 8 << 20

// copyGet answers with the next part of an object (PrimaryLogPG::do_copy_get):
// attributes first, then data, then omap, up to a number of bytes; the cursor
// says where to go on.
func copyGet(c *Context, op *message.SubOp) int32 {
	c.reads++
	d := input(op)
	cursor := message.DecodeCopyCursor(d)
	if d.Err() != nil {
		return EInval
	}
	oi := &c.New.Info
	left := int(min(op.Args.CopyGetMax(), copyGetMax))
	out := message.CopyData{Size: oi.Size, MTime: oi.Mtime, TruncateSeq: uint64(oi.TruncateSeq), TruncateSize: oi.TruncateSize}
	if !cursor.AttrComplete {
		if r := c.copyAttrs(&out); r < 0 {
			return r
		}
		cursor.AttrComplete = true
	}
	if !cursor.DataComplete {
		if r := c.copyData(&out, &cursor, &left); r < 0 {
			return r
		}
	}
	if cursor.DataComplete && !cursor.OmapComplete && left > 0 {
		if r := c.copyOmap(&out, &cursor, left); r < 0 {
			return r
		}
	}
	out.Cursor = cursor
	e := wire.NewEncoder(len(out.Data) + 1024)
	out.Encode(e)
	op.Out = wire.BufOf(e.Bytes())
	c.countRead(uint64(len(out.Data)))
	return 0
}

func (c *Context) copyAttrs(out *message.CopyData) int32 {
	attrs, err := c.Reader.Attrs(c.Coll, c.gid())
	if err != nil {
		return fromStore(err)
	}
	out.Attrs = map[string][]byte{}
	for name, v := range attrs {
		if user, ok := strings.CutPrefix(name, "_"); ok && user != "" {
			out.Attrs[user] = v
		}
	}
	return 0
}

func (c *Context) copyData(out *message.CopyData, cursor *message.CopyCursor, left *int) int32 {
	size := c.New.Info.Size
	if n := min(uint64(*left), size-min(cursor.DataOffset, size)); n > 0 {
		b, err := c.Reader.Read(c.Coll, c.gid(), cursor.DataOffset, n)
		if err != nil {
			return fromStore(err)
		}
		if uint64(b.Len()) != n {
			return EIO // shorter than its metadata says
		}
		out.Data = b.Flat()
		cursor.DataOffset += n
		*left -= int(n)
	}
	cursor.DataComplete = cursor.DataOffset >= size
	return 0
}

func (c *Context) copyOmap(out *message.CopyData, cursor *message.CopyCursor, left int) int32 {
	if !c.hasOmap() {
		cursor.OmapComplete = true
		return 0
	}
	if cursor.OmapOffset == "" {
		h, err := c.Reader.OmapHeader(c.Coll, c.gid())
		if err != nil {
			return fromStore(err)
		}
		out.OmapHeader = h
	}
	it, err := c.Reader.OmapIter(c.Coll, c.gid(), cursor.OmapOffset)
	if err != nil {
		return fromStore(err)
	}
	defer it.Close()
	pairs := map[string][]byte{}
	cursor.OmapComplete = true
	for it.Next() {
		k := it.Key()
		if k == cursor.OmapOffset && k != "" {
			continue // the last one of the part before
		}
		if left <= 0 {
			cursor.OmapComplete = false
			break
		}
		pairs[k] = slices.Clone(it.Value())
		left -= len(k) + len(it.Value()) + 8
	}
	if err := it.Err(); err != nil {
		return fromStore(err)
	}
	if len(pairs) > 0 {
		cursor.OmapOffset = slices.Max(slices.Collect(maps.Keys(pairs)))
		e := wire.NewEncoder(1024)
		wire.Map(e, pairs, wire.PutString, wire.PutBlob)
		out.OmapData = e.Bytes()
	}
	return 0
}

// Add puts a part that COPY_GET answered with behind those before it.
func (f *Fetched) Add(part *message.CopyData) error {
	f.Data = f.Data.Append(wire.BufOf(part.Data))
	maps.Copy(f.Attrs, part.Attrs)
	if len(part.OmapHeader) > 0 {
		f.OmapHeader = part.OmapHeader
	}
	if len(part.OmapData) > 0 {
		d := wire.NewDecoder(part.OmapData)
		maps.Copy(f.Omap, wire.ReadMap(d, 8, wire.GetString, wire.GetBlob))
		return d.Err()
	}
	return nil
}
