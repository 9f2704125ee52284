package osdmap

import (
	"slices"
	"sort"
	"strconv"
	"strings"

	"sepiola/object"
	"sepiola/wire"
)

// SnapInterval is a run of Len snapshot ids that begins at Start.
type SnapInterval struct {
	Start object.SnapID
	Len   uint64
}

func (i SnapInterval) end() object.SnapID { return i.Start + object.SnapID(i.Len) }

// SnapSet is a set of snapshot ids as sorted runs that do not touch
// (interval_set<snapid_t>). Its methods return a new set and leave the old one
// as it is.
type SnapSet []SnapInterval

// Contains reports whether s is in the set.
func (v SnapSet) Contains(s object.SnapID) bool {
	i := sort.Search(len(v), func(i int) bool { return v[i].end() > s })
	return i < len(v) && v[i].Start <= s
}

// Insert returns the set with s in it.
func (v SnapSet) Insert(s object.SnapID) SnapSet { return v.Union(SnapSet{{s, 1}}) }

// Union returns the ids in either set.
func (v SnapSet) Union(o SnapSet) SnapSet {
	all := slices.Concat(v, o)
	slices.SortFunc(all, func(a, b SnapInterval) int {
		if a.Start < b.Start {
			return -1
		}
		return 1
	})
	var out SnapSet
	for _, i := range all {
		if n := len(out); n > 0 && i.Start <= out[n-1].end() {
			if i.end() > out[n-1].end() {
				out[n-1].Len = uint64(i.end() - out[n-1].Start)
			}
			continue
		}
		out = append(out, i)
	}
	return out
}

// Subtract returns the ids of v that are not in o.
func (v SnapSet) Subtract(o SnapSet) SnapSet {
	var out SnapSet
	j := 0
	for _, i := range v {
		at, end := i.Start, i.end()
		for j < len(o) && o[j].end() <= at {
			j++
		}
		for k := j; k < len(o) && o[k].Start < end && at < end; k++ {
			if o[k].Start > at {
				out = append(out, SnapInterval{at, uint64(o[k].Start - at)})
			}
			at = max(at, o[k].end())
		}
		if at < end {
			out = append(out, SnapInterval{at, uint64(end - at)})
		}
	}
	return out
}

// Count returns how many ids are in the set.
func (v SnapSet) Count() uint64 {
	var n uint64
	for _, i := range v {
		n += i.Len
	}
	return n
}

// String returns Ceph's form, "[1~3,8~1]", in hexadecimal.
func (v SnapSet) String() string {
	parts := make([]string, len(v))
	for i, r := range v {
		parts[i] = r.Start.String() + "~" + strconv.FormatUint(r.Len, 16)
	}
	return "[" + strings.Join(parts, ",") + "]"
}

func encodeSnapSet(e *wire.Encoder, v SnapSet) {
	wire.Slice(e, v, func(e *wire.Encoder, i SnapInterval) {
		e.U64(uint64(i.Start))
		e.U64(i.Len)
	})
}

// decodeSnapSet refuses runs that are empty, overlap or wrap around: sets are
// searched by bisection.
func decodeSnapSet(d *wire.Decoder) SnapSet {
	v := SnapSet(wire.ReadSlice(d, 16, func(d *wire.Decoder) SnapInterval {
		return SnapInterval{object.SnapID(d.U64()), d.U64()}
	}))
	for k, i := range v {
		if i.Len == 0 || i.end() < i.Start || k > 0 && i.Start < v[k-1].end() {
			d.Fail("snapshot run %x~%x out of order", uint64(i.Start), i.Len)
			return nil
		}
	}
	return v
}
