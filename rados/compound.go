package rados

import (
	"slices"
	"time"

	"sepiola/message"
	"sepiola/object"
	"sepiola/wire"
)

// Op is a compound operation on one object: steps that are carried out in order,
// all or none. The zero value has no steps. Each method adds one and returns the
// operation, so that calls can be chained.
//
// A step's output goes where its last arguments point, when the operation has
// succeeded. An Op is used once, and what it was given must not change before it is
// over (see [Request]).
type Op struct {
	subs    []message.SubOp
	outputs []func(*wire.Decoder, *message.SubOp) // nil for none
	rvals   []int32
	writes  bool
	mtime   time.Time
}

// OmapPage is a part of an object's omap.
type OmapPage struct {
	Keys   []string // ascending
	Values map[string][]byte
	More   bool // there may be further keys
}

// Len returns the number of steps.
func (o *Op) Len() int { return len(o.subs) }

// SetMTime sets the object's modification time of an operation that writes, instead
// of the time of sending.
func (o *Op) SetMTime(t time.Time) *Op {
	o.mtime = t
	return o
}

// SetStepFlags adds flags to the last step.
func (o *Op) SetStepFlags(f message.SubOpFlags) *Op {
	if n := len(o.subs); n > 0 {
		o.subs[n-1].Flags |= f
	}
	return o
}

// RVal returns the result of a step once the operation is over: 0, a count or a
// negative errno; 0 where the OSD said nothing of it.
func (o *Op) RVal(step int) int32 {
	if step < 0 || step >= len(o.rvals) {
		return 0
	}
	return o.rvals[step]
}

func (o *Op) add(code message.OSDOpCode, args message.Args, in []byte, out func(*wire.Decoder, *message.SubOp)) *Op {
	o.subs = append(o.subs, message.SubOp{Op: code, Args: args, In: wire.BufOf(in)})
	o.outputs = append(o.outputs, out)
	o.writes = o.writes || code.Writes()
	return o
}

// finish hands the outputs out. A step that fails while the whole does not
// (OpFlagFailOK) leaves its output as it was.
func (o *Op) finish(r *Reply, err error) error {
	if r != nil {
		o.rvals = make([]int32, len(r.Ops))
		for i := range r.Ops {
			o.rvals[i] = r.Ops[i].RVal
		}
	}
	if err != nil {
		return err
	}
	for i, out := range o.outputs {
		if out == nil || i >= len(r.Ops) || r.Ops[i].RVal < 0 {
			continue
		}
		d := wire.NewDecoder(r.Ops[i].Out.Flat())
		out(d, &r.Ops[i])
		if err := d.Err(); err != nil {
			return err
		}
	}
	return nil
}

func extent(off, n uint64) message.Args { return message.Extent{Offset: off, Length: n}.Args() }

// raw takes an output as it is.
func raw(dst *[]byte) func(*wire.Decoder, *message.SubOp) {
	return func(d *wire.Decoder, _ *message.SubOp) { *dst = d.Raw(d.Left()) }
}

// Read reads up to n bytes from off on; 0 means to the end.
func (o *Op) Read(off, n uint64, dst *[]byte) *Op {
	return o.add(message.OpRead, extent(off, n), nil, raw(dst))
}

// Stat returns size and time of the last change. Either pointer may be nil; the step
// also serves to assert that the object exists.
func (o *Op) Stat(size *uint64, mtime *time.Time) *Op {
	return o.add(message.OpStat, message.Args{}, nil, func(d *wire.Decoder, _ *message.SubOp) {
		n, t := d.U64(), d.Time()
		if size != nil {
			*size = n
		}
		if mtime != nil {
			*mtime = t
		}
	})
}

// Write writes p at off.
func (o *Op) Write(off uint64, p []byte) *Op {
	return o.add(message.OpWrite, extent(off, uint64(len(p))), p, nil)
}

// WriteFull replaces the data by p.
func (o *Op) WriteFull(p []byte) *Op {
	return o.add(message.OpWriteFull, extent(0, uint64(len(p))), p, nil)
}

// Append writes p at the end.
func (o *Op) Append(p []byte) *Op {
	return o.add(message.OpAppend, extent(0, uint64(len(p))), p, nil)
}

// Truncate sets the size.
func (o *Op) Truncate(size uint64) *Op { return o.add(message.OpTruncate, extent(size, 0), nil, nil) }

// Zero zeroes n bytes from off on.
func (o *Op) Zero(off, n uint64) *Op { return o.add(message.OpZero, extent(off, n), nil, nil) }

// Create makes the object; with exclusive, one that exists is EEXIST.
func (o *Op) Create(exclusive bool) *Op {
	o.add(message.OpCreate, message.Args{}, nil, nil)
	if exclusive {
		o.SetStepFlags(message.OpFlagExcl)
	}
	return o
}

// Remove removes the object.
func (o *Op) Remove() *Op { return o.add(message.OpDelete, message.Args{}, nil, nil) }

// AssertVersion refuses the operation with ERANGE or EOVERFLOW unless the object's
// user version is v.
func (o *Op) AssertVersion(v uint64) *Op {
	return o.add(message.OpAssertVer, message.AssertVersionArgs(v), nil, nil)
}

// SetAllocHint tells what to expect of the object: its size and that of writes, in
// bytes, and AllocHint flags. It fails nowhere.
func (o *Op) SetAllocHint(objectSize, writeSize uint64, flags uint32) *Op {
	h := message.AllocHint{ObjectSize: objectSize, WriteSize: writeSize, Flags: flags}
	return o.add(message.OpSetAllocHint, h.Args(), nil, nil).SetStepFlags(message.OpFlagFailOK)
}

func xattrArgs(name string, value []byte) message.Args {
	return message.Xattr{NameLen: uint32(len(name)), ValueLen: uint32(len(value))}.Args()
}

// GetXattr reads an attribute.
func (o *Op) GetXattr(name string, dst *[]byte) *Op {
	return o.add(message.OpGetXattr, xattrArgs(name, nil), []byte(name), raw(dst))
}

// GetXattrs reads all attributes.
func (o *Op) GetXattrs(dst *map[string][]byte) *Op {
	return o.add(message.OpGetXattrs, message.Args{}, nil, func(d *wire.Decoder, _ *message.SubOp) { *dst = getMap(d) })
}

// SetXattr sets an attribute.
func (o *Op) SetXattr(name string, value []byte) *Op {
	return o.add(message.OpSetXattr, xattrArgs(name, value), slices.Concat([]byte(name), value), nil)
}

// RmXattr removes an attribute.
func (o *Op) RmXattr(name string) *Op {
	return o.add(message.OpRmXattr, xattrArgs(name, nil), []byte(name), nil)
}

// CmpXattr refuses the operation with ECANCELED unless the attribute compares to
// value as cmp says (message.CmpEQ and others), byte by byte.
func (o *Op) CmpXattr(name string, cmp uint8, value []byte) *Op {
	a := message.Xattr{NameLen: uint32(len(name)), ValueLen: uint32(len(value)), CmpOp: cmp, CmpMode: message.CmpModeString}
	return o.add(message.OpCmpXattr, a.Args(), slices.Concat([]byte(name), value), nil)
}

func encoded(size int, fill func(*wire.Encoder)) []byte {
	e := wire.NewEncoder(size)
	fill(e)
	return e.Bytes()
}

func getMap(d *wire.Decoder) map[string][]byte {
	return wire.ReadMap(d, 8, wire.GetString, wire.GetBlob)
}

func sortedKeys(keys []string) []byte {
	keys = slices.Compact(slices.Sorted(slices.Values(keys)))
	return encoded(64, func(e *wire.Encoder) { wire.Slice(e, keys, wire.PutString) })
}

// OmapVals reads up to n keys after the given one that begin with prefix.
func (o *Op) OmapVals(after, prefix string, n uint64, dst *OmapPage) *Op {
	in := encoded(64, func(e *wire.Encoder) {
		e.String(after)
		e.U64(n)
		e.String(prefix)
	})
	return o.add(message.OpOmapGetVals, message.Args{}, in, func(d *wire.Decoder, _ *message.SubOp) {
		*dst = OmapPage{}
		dst.Values = getMap(d)
		for k := range dst.Values {
			dst.Keys = append(dst.Keys, k)
		}
		slices.Sort(dst.Keys)
		dst.More = d.Bool()
	})
}

// OmapKeys reads up to n keys after the given one.
func (o *Op) OmapKeys(after string, n uint64, dst *[]string, more *bool) *Op {
	in := encoded(64, func(e *wire.Encoder) {
		e.String(after)
		e.U64(n)
	})
	return o.add(message.OpOmapGetKeys, message.Args{}, in, func(d *wire.Decoder, _ *message.SubOp) {
		*dst = wire.ReadSlice(d, 4, wire.GetString)
		*more = d.Bool()
	})
}

// OmapValsByKeys reads the values of those keys that there are.
func (o *Op) OmapValsByKeys(keys []string, dst *map[string][]byte) *Op {
	return o.add(message.OpOmapGetValsByKeys, message.Args{}, sortedKeys(keys),
		func(d *wire.Decoder, _ *message.SubOp) { *dst = getMap(d) })
}

// OmapHeader reads the omap's header.
func (o *Op) OmapHeader(dst *[]byte) *Op {
	return o.add(message.OpOmapGetHeader, message.Args{}, nil, raw(dst))
}

// OmapSet sets keys.
func (o *Op) OmapSet(values map[string][]byte) *Op {
	in := encoded(256, func(e *wire.Encoder) { wire.Map(e, values, wire.PutString, wire.PutBlob) })
	return o.add(message.OpOmapSetVals, message.Args{}, in, nil)
}

// OmapRmKeys removes keys.
func (o *Op) OmapRmKeys(keys []string) *Op {
	return o.add(message.OpOmapRmKeys, message.Args{}, sortedKeys(keys), nil)
}

// OmapSetHeader sets the omap's header.
func (o *Op) OmapSetHeader(p []byte) *Op {
	return o.add(message.OpOmapSetHeader, message.Args{}, p, nil)
}

// OmapClear removes all keys and the header.
func (o *Op) OmapClear() *Op { return o.add(message.OpOmapClear, message.Args{}, nil, nil) }

// CopyFrom makes the object a copy of src in from, which must have the given user
// version unless that is 0. Advice: both are read and written once, in order.
func (o *Op) CopyFrom(from *IOCtx, src string, version uint64) *Op {
	source := message.CopySource{Name: src, Locator: object.Locator{Pool: from.pool, Key: from.locator, Namespace: from.namespace, Hash: -1}}
	in := encoded(128, source.Encode)
	args := message.CopyFrom{Snap: from.snap, SrcVersion: version,
		SrcFlags: message.OpFlagFadviseSequential | message.OpFlagFadviseNoCache}
	return o.add(message.OpCopyFrom, args.Args(), in, nil).
		SetStepFlags(message.OpFlagFadviseSequential | message.OpFlagFadviseDontNeed)
}
