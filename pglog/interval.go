package pglog

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"sepiola/wire"
)

// Range is a run of Len numbers from Start.
type Range struct{ Start, Len uint64 }

// End returns the first number after the range.
func (r Range) End() uint64 { return r.Start + r.Len }

// IntervalSet is a set of numbers as disjoint ranges in ascending order that do
// not touch (interval_set). Methods that change it return the new set and leave
// the old one alone. The largest number it can hold is 2^64-2.
type IntervalSet []Range

// WholeSet holds every number: the form Ceph gives a wholly clean object.
func WholeSet() IntervalSet { return IntervalSet{{0, math.MaxUint64}} }

// clip cuts a range off at the largest end.
func clip(start, n uint64) Range {
	if n > math.MaxUint64-start {
		n = math.MaxUint64 - start
	}
	return Range{start, n}
}

// Empty reports whether there is no number in the set.
func (s IntervalSet) Empty() bool { return len(s) == 0 }

// Size returns how many numbers the set holds.
func (s IntervalSet) Size() uint64 {
	var n uint64
	for _, r := range s {
		n += r.Len
	}
	return n
}

// Contains reports whether all n numbers from start are in the set.
func (s IntervalSet) Contains(start, n uint64) bool {
	want := clip(start, n)
	i := s.after(start)
	return i > 0 && want.End() <= s[i-1].End()
}

// Has reports whether v is in the set.
func (s IntervalSet) Has(v uint64) bool { return s.Contains(v, 1) }

// after returns the index of the first range that starts after v.
func (s IntervalSet) after(v uint64) int {
	i, found := slices.BinarySearchFunc(s, v, func(r Range, v uint64) int {
		switch {
		case r.Start < v:
			return -1
		case r.Start > v:
			return 1
		}
		return 0
	})
	if found {
		i++
	}
	return i
}

// Insert returns the set with n numbers from start added, whether or not some
// were there.
func (s IntervalSet) Insert(start, n uint64) IntervalSet {
	add := clip(start, n)
	if add.Len == 0 {
		return s
	}
	out := make(IntervalSet, 0, len(s)+1)
	i := 0
	for ; i < len(s) && s[i].End() < add.Start; i++ {
		out = append(out, s[i])
	}
	for ; i < len(s) && s[i].Start <= add.End(); i++ {
		end := max(add.End(), s[i].End())
		add.Start = min(add.Start, s[i].Start)
		add.Len = end - add.Start
	}
	out = append(out, add)
	return append(out, s[i:]...)
}

// Erase returns the set without the n numbers from start.
func (s IntervalSet) Erase(start, n uint64) IntervalSet {
	cut := clip(start, n)
	var out IntervalSet
	for _, r := range s {
		if r.End() <= cut.Start || r.Start >= cut.End() {
			out = append(out, r)
			continue
		}
		if r.Start < cut.Start {
			out = append(out, Range{r.Start, cut.Start - r.Start})
		}
		if r.End() > cut.End() {
			out = append(out, Range{cut.End(), r.End() - cut.End()})
		}
	}
	return out
}

// Union returns the numbers in either set.
func (s IntervalSet) Union(t IntervalSet) IntervalSet {
	out := s
	for _, r := range t {
		out = out.Insert(r.Start, r.Len)
	}
	return out
}

// Subtract returns the numbers of s that are not in t.
func (s IntervalSet) Subtract(t IntervalSet) IntervalSet {
	out := s
	for _, r := range t {
		out = out.Erase(r.Start, r.Len)
	}
	return out
}

// Intersect returns the numbers in both sets.
func (s IntervalSet) Intersect(t IntervalSet) IntervalSet {
	var out IntervalSet
	for i, j := 0, 0; i < len(s) && j < len(t); {
		lo, hi := max(s[i].Start, t[j].Start), min(s[i].End(), t[j].End())
		if lo < hi {
			out = append(out, Range{lo, hi - lo})
		}
		if s[i].End() < t[j].End() {
			i++
		} else {
			j++
		}
	}
	return out
}

// Equal reports whether both hold the same ranges.
func (s IntervalSet) Equal(t IntervalSet) bool { return slices.Equal(s, t) }

// String returns Ceph's form, [start~length,...], in decimal.
func (s IntervalSet) String() string {
	var b strings.Builder
	b.WriteByte('[')
	for i, r := range s {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%d~%d", r.Start, r.Len)
	}
	b.WriteByte(']')
	return b.String()
}

// Encode appends interval_set<uint64_t>, which is also the form of
// interval_set<snapid_t>.
func (s IntervalSet) Encode(e *wire.Encoder) {
	e.U32(uint32(len(s)))
	for _, r := range s {
		e.U64(r.Start)
		e.U64(r.Len)
	}
}

// DecodeIntervalSet reads what [IntervalSet.Encode] wrote and refuses ranges that
// are empty, overlap or are out of order.
func DecodeIntervalSet(d *wire.Decoder) IntervalSet {
	n := d.Count(16)
	if n == 0 {
		return nil
	}
	out := make(IntervalSet, 0, n)
	for i := range n {
		r := Range{d.U64(), d.U64()}
		if r.Len == 0 || r.End() < r.Start || (i > 0 && r.Start < out[i-1].End()) {
			d.Fail("range %d~%d out of place in an interval set", r.Start, r.Len)
			return nil
		}
		out = append(out, r)
	}
	return out
}
