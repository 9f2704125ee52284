package pglog

import (
	"fmt"
	"math"

	"sepiola/wire"
)

// MaxCleanRanges bounds the ranges of a [CleanRegions]
// (osd_object_clean_region_max_num_intervals; its default).
const MaxCleanRanges = 10

// CleanRegions says what of an object did not change between two versions
// (ObjectCleanRegions), so that recovery need not copy it.
type CleanRegions struct {
	Offsets   IntervalSet // bytes that did not change
	Omap      bool        // the omap did not change
	NewObject bool        // there was no object before
}

// AllClean is the region of a change that changed nothing.
func AllClean() CleanRegions { return CleanRegions{Offsets: WholeSet(), Omap: true} }

// AllDirty is the region of a change of which nothing is known.
func AllDirty() CleanRegions { return CleanRegions{NewObject: true} }

// Merge returns what stayed clean through both changes. Whether the object is
// new is that of c.
func (c CleanRegions) Merge(o CleanRegions) CleanRegions {
	c.Offsets = c.Offsets.Intersect(o.Offsets)
	c.Omap = c.Omap && o.Omap
	return c.trimmed()
}

// DirtyData returns the region without n bytes from off.
func (c CleanRegions) DirtyData(off, n uint64) CleanRegions {
	c.Offsets = c.Offsets.Erase(off, n)
	return c.trimmed()
}

// DirtyOmap returns the region with the omap changed.
func (c CleanRegions) DirtyOmap() CleanRegions {
	c.Omap = false
	return c
}

// DirtyRanges returns the bytes that changed, up to the largest offset.
func (c CleanRegions) DirtyRanges() IntervalSet { return WholeSet().Subtract(c.Offsets) }

// IsAllDirty reports whether nothing is known to be clean.
func (c CleanRegions) IsAllDirty() bool { return len(c.Offsets) == 0 && !c.Omap && c.NewObject }

// Equal reports whether both say the same.
func (c CleanRegions) Equal(o CleanRegions) bool {
	return c.Omap == o.Omap && c.NewObject == o.NewObject && c.Offsets.Equal(o.Offsets)
}

// trimmed forgets the shortest ranges beyond the bound; forgetting costs
// copying, never correctness.
func (c CleanRegions) trimmed() CleanRegions {
	for len(c.Offsets) > MaxCleanRanges {
		shortest, length := 0, uint64(math.MaxUint64)
		for i, r := range c.Offsets {
			if r.Len < length {
				shortest, length = i, r.Len
			}
		}
		kept := make(IntervalSet, 0, len(c.Offsets)-1)
		kept = append(kept, c.Offsets[:shortest]...)
		c.Offsets = append(kept, c.Offsets[shortest+1:]...)
	}
	return c
}

// String returns Ceph's form.
func (c CleanRegions) String() string {
	return fmt.Sprintf("clean_offsets: %v, clean_omap: %d, new_object: %d", c.Offsets, b2i(c.Omap), b2i(c.NewObject))
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Encode appends ObjectCleanRegions, version 1.
func (c CleanRegions) Encode(e *wire.Encoder) {
	m := e.Begin(1, 1)
	c.Offsets.Encode(e)
	e.Bool(c.Omap)
	e.Bool(c.NewObject)
	e.End(m)
}

// DecodeCleanRegions reads ObjectCleanRegions.
func DecodeCleanRegions(d *wire.Decoder) CleanRegions {
	s := d.Begin(1)
	c := CleanRegions{Offsets: DecodeIntervalSet(d), Omap: d.Bool(), NewObject: d.Bool()}
	d.End(s)
	return c
}
