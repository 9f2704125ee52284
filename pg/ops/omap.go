package ops

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"sepiola/message"
	"sepiola/pglog"
	"sepiola/wire"
)

var omapOps = map[message.OSDOpCode]handler{
	message.OpOmapGetKeys:       omapGetKeys,
	message.OpOmapGetVals:       omapGetVals,
	message.OpOmapGetHeader:     omapGetHeader,
	message.OpOmapGetValsByKeys: omapGetValsByKeys,
	message.OpOmapCmp:           omapCompare,
	message.OpOmapSetVals:       omapSetVals,
	message.OpOmapSetHeader:     omapSetHeader,
	message.OpOmapClear:         omapClear,
	message.OpOmapRmKeys:        omapRmKeys,
	message.OpOmapRmKeyRange:    omapRmKeyRange,
}

// hasOmap reports whether the object may have omap entries.
func (c *Context) hasOmap() bool { return c.New.Info.Has(pglog.OIOmap) }

// omapPage is one listing: keys after a given one, with a given prefix, up to
// the limits.
type omapPage struct {
	after, prefix string
	max           uint64
	values        bool
}

// encode appends the count, the entries, and whether there are more.
func (pg omapPage) encode(c *Context) ([]byte, int32) {
	e := wire.NewEncoder(512)
	count := e.Len()
	e.U32(0)
	n, more, r := pg.entries(c, e)
	if r < 0 {
		return nil, r
	}
	p := e.Bytes()
	p[count], p[count+1], p[count+2], p[count+3] = byte(n), byte(n>>8), byte(n>>16), byte(n>>24)
	e.Bool(more)
	return e.Bytes(), 0
}

func (pg omapPage) entries(c *Context, e *wire.Encoder) (n uint32, more bool, result int32) {
	if !c.hasOmap() {
		return 0, false, 0
	}
	limit := min(pg.max, c.Limits.MaxOmapEntries)
	from := pg.after
	if pg.prefix > from {
		from = pg.prefix
	}
	it, err := c.Reader.OmapIter(c.Coll, c.gid(), from)
	if err != nil {
		return 0, false, fromStore(err)
	}
	defer it.Close()
	start := e.Len()
	for it.Next() {
		key := it.Key()
		if key == pg.after && pg.prefix <= pg.after {
			continue // listings begin after a key; the empty key begins all
		}
		if !strings.HasPrefix(key, pg.prefix) {
			break
		}
		if uint64(n) >= limit || e.Len()-start >= c.Limits.MaxOmapBytes {
			more = true
			break
		}
		e.String(key)
		if pg.values {
			e.Blob(it.Value())
		}
		n++
	}
	return n, more, fromStore(it.Err())
}

func (c *Context) omapList(op *message.SubOp, pg omapPage) int32 {
	out, r := pg.encode(c)
	if r < 0 {
		return r
	}
	op.Out = wire.BufOf(out)
	c.countRead(uint64(len(out)))
	return 0
}

func omapGetKeys(c *Context, op *message.SubOp) int32 {
	c.reads++
	d := input(op)
	pg := omapPage{after: d.String(), max: d.U64()}
	if d.Err() != nil {
		return EInval
	}
	return c.omapList(op, pg)
}

func omapGetVals(c *Context, op *message.SubOp) int32 {
	c.reads++
	d := input(op)
	pg := omapPage{after: d.String(), max: d.U64(), prefix: d.String(), values: true}
	if d.Err() != nil {
		return EInval
	}
	return c.omapList(op, pg)
}

func omapGetHeader(c *Context, op *message.SubOp) int32 {
	if !c.hasOmap() {
		return 0
	}
	c.reads++
	h, err := c.Reader.OmapHeader(c.Coll, c.gid())
	if err != nil {
		return fromStore(err)
	}
	op.Out = wire.BufOf(h)
	c.countRead(uint64(len(h)))
	return 0
}

func omapGetValsByKeys(c *Context, op *message.SubOp) int32 {
	c.reads++
	d := input(op)
	keys := wire.ReadSlice(d, 4, wire.GetString)
	if d.Err() != nil {
		return EInval
	}
	found, r := c.omapValues(keys)
	if r < 0 {
		return r
	}
	e := wire.NewEncoder(512)
	wire.Map(e, found, wire.PutString, wire.PutBlob)
	op.Out = wire.BufOf(e.Bytes())
	c.countRead(uint64(e.Len()))
	return 0
}

func (c *Context) omapValues(keys []string) (map[string][]byte, int32) {
	if !c.hasOmap() || len(keys) == 0 {
		return nil, 0
	}
	found, err := c.Reader.OmapGet(c.Coll, c.gid(), keys)
	return found, fromStore(err)
}

// omapCompare answers ECANCELED for the first assertion, in key order, that does
// not hold. A key that is not there compares as empty.
func omapCompare(c *Context, op *message.SubOp) int32 {
	c.reads++
	if !c.New.Readable() {
		return ENoEnt
	}
	type assertion struct {
		value []byte
		cmp   int32
	}
	d := input(op)
	want := wire.ReadMap(d, 12, wire.GetString, func(d *wire.Decoder) assertion {
		return assertion{d.Blob(), d.I32()}
	})
	if d.Err() != nil {
		return EInval
	}
	keys := slices.Sorted(maps.Keys(want))
	found, r := c.omapValues(keys)
	if r < 0 {
		return r
	}
	c.Delta.NumRd++
	for _, k := range keys {
		a := want[k]
		order := bytes.Compare(found[k], a.value)
		holds := false
		switch a.cmp {
		case int32(message.CmpEQ):
			holds = order == 0
		case int32(message.CmpLT):
			holds = order < 0
		case int32(message.CmpGT):
			holds = order > 0
		default:
			return EInval
		}
		if !holds {
			return ECanceled
		}
	}
	return 0
}

// omapChanged records a change of the omap.
func (c *Context) omapChanged() {
	c.Clean = c.Clean.DirtyOmap()
	c.Delta.NumWr++
	c.New.Info.ClearOmapDigest()
}

func omapSetVals(c *Context, op *message.SubOp) int32 {
	c.writes++
	d := input(op)
	pairs := wire.ReadMap(d, 8, wire.GetString, wire.GetBlob)
	if d.Err() != nil {
		return EInval
	}
	c.create()
	c.Tx.OmapSet(c.Coll, c.gid(), pairs)
	c.omapChanged()
	c.BytesWritten += op.In.Len()
	c.Delta.NumWrKB += kb(uint64(op.In.Len()))
	c.New.Info.Set(pglog.OIOmap)
	return 0
}

func omapSetHeader(c *Context, op *message.SubOp) int32 {
	c.writes++
	c.create()
	c.Tx.OmapHeader(c.Coll, c.gid(), op.In.Flat())
	c.omapChanged()
	c.New.Info.Set(pglog.OIOmap)
	return 0
}

func omapClear(c *Context, _ *message.SubOp) int32 {
	c.writes++
	if !c.New.Readable() {
		return ENoEnt
	}
	if c.hasOmap() {
		c.Tx.OmapClear(c.Coll, c.gid())
		c.omapChanged()
		c.New.Info.Clear(pglog.OIOmap)
	}
	return 0
}

func omapRmKeys(c *Context, op *message.SubOp) int32 {
	c.writes++
	if !c.New.Readable() {
		return ENoEnt
	}
	d := input(op)
	keys := wire.ReadSlice(d, 4, wire.GetString)
	if d.Err() != nil {
		return EInval
	}
	c.Tx.OmapRm(c.Coll, c.gid(), keys)
	c.omapChanged()
	return 0
}

func omapRmKeyRange(c *Context, op *message.SubOp) int32 {
	c.writes++
	if !c.New.Readable() {
		return ENoEnt
	}
	d := input(op)
	first, end := d.String(), d.String()
	if d.Err() != nil {
		return EInval
	}
	c.Tx.OmapRmRange(c.Coll, c.gid(), first, end)
	c.omapChanged()
	return 0
}
