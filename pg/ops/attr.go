package ops

import (
	"bytes"
	"strconv"
	"strings"

	"sepiola/message"
	"sepiola/wire"
)

var attrOps = map[message.OSDOpCode]handler{
	message.OpGetXattr:  getXattr,
	message.OpGetXattrs: getXattrs,
	message.OpCmpXattr:  compareXattr,
	message.OpSetXattr:  setXattr,
	message.OpRmXattr:   rmXattr,
}

// xattrInput splits an operation's input into the attribute's stored name and
// what follows it.
func xattrInput(op *message.SubOp) (name string, rest []byte, ok bool) {
	x, in := op.Args.Xattr(), op.In.Flat()
	if uint64(x.NameLen) > uint64(len(in)) {
		return "", nil, false
	}
	return "_" + string(in[:x.NameLen]), in[x.NameLen:], true
}

func getXattr(c *Context, op *message.SubOp) int32 {
	c.reads++
	name, _, ok := xattrInput(op)
	if !ok {
		return EInval
	}
	c.Delta.NumRd++
	value, err := c.Reader.Attr(c.Coll, c.gid(), name)
	if err != nil {
		return fromStore(err)
	}
	x := op.Args.Xattr()
	x.ValueLen = uint32(len(value))
	op.Args = x.Args()
	op.Out = wire.BufOf(value)
	c.Delta.NumRdKB += kb(uint64(len(value)))
	return 0
}

func getXattrs(c *Context, op *message.SubOp) int32 {
	c.reads++
	attrs, err := c.Reader.Attrs(c.Coll, c.gid())
	if err != nil {
		return fromStore(err)
	}
	mine := make(map[string][]byte, len(attrs))
	for name, value := range attrs {
		if user, ok := strings.CutPrefix(name, "_"); ok && user != "" {
			mine[user] = value
		}
	}
	e := wire.NewEncoder(256)
	wire.Map(e, mine, wire.PutString, wire.PutBlob)
	op.Out = wire.BufOf(e.Bytes())
	c.countRead(uint64(e.Len()))
	return 0
}

// compareXattr answers 1 if the comparison holds and ECANCELED if not. An
// attribute that is not there compares as empty.
func compareXattr(c *Context, op *message.SubOp) int32 {
	c.reads++
	name, rest, ok := xattrInput(op)
	if !ok {
		return EInval
	}
	have, err := c.Reader.Attr(c.Coll, c.gid(), name)
	if r := fromStore(err); r < 0 && r != ENoData {
		return r
	}
	c.countRead(uint64(len(have)))
	x := op.Args.Xattr()
	var order int
	switch x.CmpMode {
	case message.CmpModeString:
		if uint64(x.ValueLen) > uint64(len(rest)) {
			return EInval
		}
		order = bytes.Compare(rest[:x.ValueLen], have)
	case message.CmpModeU64:
		d := wire.NewDecoder(rest)
		want := d.U64()
		if d.Err() != nil {
			return EInval
		}
		order = compareNumbers(want, leadingNumber(string(have)))
	default:
		return EInval
	}
	holds, ok := compares(x.CmpOp, order)
	switch {
	case !ok:
		return EInval
	case !holds:
		return ECanceled
	}
	return 1
}

func compareNumbers(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// leadingNumber reads the decimal digits a value begins with, as strtoull does; 0
// if there are none.
func leadingNumber(s string) uint64 {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	s = strings.TrimPrefix(s, "+")
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	if end == 0 {
		return 0
	}
	n, _ := strconv.ParseUint(s[:end], 10, 64) // too large gives the largest
	return n
}

// compares says whether a comparison holds for the order of the given value
// relative to the stored one.
func compares(cmp uint8, order int) (holds, ok bool) {
	switch cmp {
	case message.CmpEQ:
		return order == 0, true
	case message.CmpNE:
		return order != 0, true
	case message.CmpGT:
		return order > 0, true
	case message.CmpGTE:
		return order >= 0, true
	case message.CmpLT:
		return order < 0, true
	case message.CmpLTE:
		return order <= 0, true
	}
	return false, false
}

func setXattr(c *Context, op *message.SubOp) int32 {
	c.writes++
	x := op.Args.Xattr()
	if c.Limits.MaxAttrSize > 0 && uint64(x.ValueLen) > c.Limits.MaxAttrSize {
		return EFBig
	}
	if x.NameLen > c.Limits.MaxAttrNameLen {
		return ENameTooLong
	}
	name, rest, ok := xattrInput(op)
	if !ok || uint64(x.ValueLen) > uint64(len(rest)) {
		return EInval
	}
	if name == "_" {
		return EInval // the place of the object's own metadata
	}
	c.create()
	c.Tx.SetAttr(c.Coll, c.gid(), name, rest[:x.ValueLen:x.ValueLen])
	c.BytesWritten += int(x.ValueLen)
	c.Delta.NumWr++
	return 0
}

func rmXattr(c *Context, op *message.SubOp) int32 {
	c.writes++
	name, _, ok := xattrInput(op)
	if !ok || name == "_" {
		return EInval
	}
	if !c.New.Readable() {
		return ENoEnt
	}
	c.Tx.RmAttr(c.Coll, c.gid(), name)
	c.Delta.NumWr++
	return 0
}
