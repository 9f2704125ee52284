package check

import (
	"maps"
	"slices"
	"strings"
)

// Results, as Linux numbers them.
const (
	eNoEnt    = -2
	eIO       = -5
	eExist    = -17
	eRange    = -34
	eNoData   = -61
	eOverflow = -75
	eCanceled = -125
)

// Object is what an object holds. It is a value: what changes it makes another.
type Object struct {
	Exists  bool
	Data    string
	Attrs   map[string]string
	Omap    map[string]string
	Version uint64 // the user version; 0 if it does not exist
	// hadOmap says that pairs were set since the omap was last cleared: without
	// that, clearing it changes nothing.
	hadOmap bool
}

// Equal reports whether both hold the same, apart from the version.
func (o *Object) Equal(p *Object) bool {
	return o.Exists == p.Exists && o.Data == p.Data && maps.Equal(o.Attrs, p.Attrs) && maps.Equal(o.Omap, p.Omap)
}

// outcome is what an operation leads to.
type outcome struct {
	object  Object
	result  int32
	outs    []Out
	changed bool
}

// run says what an operation does: all of its steps, or nothing.
func run(o Object, op *Op) outcome {
	x := outcome{object: o, outs: make([]Out, len(op.Steps))}
	if !op.Writes() && !o.Exists {
		x.result = eNoEnt
		return x
	}
	for i, s := range op.Steps {
		var out Out
		if s.Kind.Writes() {
			out.Result = x.write(s)
		} else {
			out = read(&o, s)
		}
		x.outs[i] = out
		if out.Result < 0 {
			x.object, x.result, x.changed = o, out.Result, false
			return x
		}
	}
	if !x.object.Exists {
		x.object = Object{}
	}
	return x
}

func read(o *Object, s Step) (out Out) {
	switch s.Kind {
	case Read:
		out.Data = o.Data
	case Stat:
		if !o.Exists {
			return Out{Result: eNoEnt}
		}
		out.Data = size(len(o.Data))
	case GetXattr:
		v, ok := o.Attrs[s.Key]
		switch {
		case !o.Exists:
			out.Result = eNoEnt
		case !ok:
			out.Result = eNoData
		}
		out.Data = v
	case GetOmap:
		out.Data = Pairs(o.Omap)
	case CmpXattr:
		out.Result = 1
		if !o.Exists {
			out.Result = eNoEnt
		} else if o.Attrs[s.Key] != s.Val {
			out.Result = eCanceled
		}
	case AssertVer:
		switch {
		case s.Version < o.Version:
			out.Result = eRange
		case s.Version > o.Version:
			out.Result = eOverflow
		}
	}
	return out
}

func (x *outcome) write(s Step) int32 {
	o := &x.object
	switch s.Kind {
	case WriteFull:
		x.create()
		o.Data = s.Val
	case Write:
		x.create()
		o.Data = overwrite(o.Data, s.Off, s.Val)
	case Append:
		x.create()
		o.Data += s.Val
	case Truncate:
		if o.Exists {
			x.create()
			o.Data = resize(o.Data, s.Off)
		}
	case Zero:
		x.zero(s.Off, s.Len)
	case Remove:
		if !o.Exists {
			return eNoEnt
		}
		*o = Object{hadOmap: o.hadOmap} // made anew in the same operation it still counts, as in Ceph
		x.changed = true
	case CreateExcl:
		if o.Exists {
			return eExist
		}
		x.create()
	case Create:
		x.create()
	default:
		return x.writeMeta(s)
	}
	return 0
}

func (x *outcome) writeMeta(s Step) int32 {
	o := &x.object
	switch s.Kind {
	case SetXattr:
		x.create()
		o.Attrs = with(o.Attrs, s.Key, s.Val)
	case SetOmap:
		x.create()
		o.Omap, o.hadOmap = with(o.Omap, s.Key, s.Val), true
	case RmXattr, RmOmap, ClearOmap:
		if !o.Exists {
			return eNoEnt
		}
		switch s.Kind {
		case RmXattr:
			x.changed = true
			o.Attrs = without(o.Attrs, s.Key)
		case RmOmap:
			x.changed = true
			o.Omap = without(o.Omap, s.Key)
		case ClearOmap:
			x.changed = x.changed || o.hadOmap
			o.Omap, o.hadOmap = nil, false
		}
	}
	return 0
}

func (x *outcome) create() { x.object.Exists, x.changed = true, true }

// zero clears bytes; up to the end it is a truncation.
func (x *outcome) zero(off, n uint64) {
	o := &x.object
	have := uint64(len(o.Data))
	if !o.Exists || off >= have {
		return
	}
	x.changed = true
	if off+n >= have {
		o.Data = o.Data[:off]
		return
	}
	o.Data = overwrite(o.Data, off, strings.Repeat("\x00", int(n)))
}

func resize(data string, n uint64) string {
	if n <= uint64(len(data)) {
		return data[:n]
	}
	return data + strings.Repeat("\x00", int(n)-len(data))
}

func overwrite(data string, off uint64, val string) string {
	end := off + uint64(len(val))
	rest := ""
	if end < uint64(len(data)) {
		rest = data[end:]
	}
	return resize(data, off) + val + rest
}

func with(m map[string]string, k, v string) map[string]string {
	out := maps.Clone(m)
	if out == nil {
		out = map[string]string{}
	}
	out[k] = v
	return out
}

func without(m map[string]string, k string) map[string]string {
	out := maps.Clone(m)
	delete(out, k)
	return out
}

// Pairs writes a map as one string, keys in order.
func Pairs(m map[string]string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(m)) {
		b.WriteString(k + "=" + m[k] + ";")
	}
	return b.String()
}
