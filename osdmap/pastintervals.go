package osdmap

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"sepiola/jsonfmt"
	"sepiola/object"
	"sepiola/wire"
)

// PGShard names an OSD in its role for a PG (pg_shard_t).
type PGShard struct {
	OSD   int32
	Shard int8 // object.NoShard in replicated pools
}

// Compare orders shards by OSD, then shard.
func (s PGShard) Compare(o PGShard) int {
	return cmp.Or(cmp.Compare(s.OSD, o.OSD), cmp.Compare(s.Shard, o.Shard))
}

// String returns "3", or "3(1)" for shard 1 on OSD 3, and "?" without OSD.
func (s PGShard) String() string {
	switch {
	case s.OSD == -1:
		return "?"
	case s.Shard == object.NoShard:
		return strconv.Itoa(int(s.OSD))
	}
	return fmt.Sprintf("%d(%d)", s.OSD, uint8(s.Shard))
}

// Encode appends pg_shard_t, version 1.
func (s PGShard) Encode(e *wire.Encoder) {
	m := e.Begin(1, 1)
	e.I32(s.OSD)
	e.I8(s.Shard)
	e.End(m)
}

// DecodePGShard reads what [PGShard.Encode] wrote.
func DecodePGShard(d *wire.Decoder) PGShard {
	sc := d.Begin(1)
	s := PGShard{d.I32(), d.I8()}
	d.End(sc)
	return s
}

// Interval is a run of epochs in which a PG's OSDs stayed the same
// (PastIntervals::pg_interval_t).
type Interval struct {
	First, Last uint32 // epochs, inclusive
	Up, Acting  []int32
	Primary     int32 // -1 if there was none
	UpPrimary   int32
	MaybeWentRW bool // writes may have been acknowledged in it
}

// CompactInterval is what is kept of an interval that may have gone read-write.
type CompactInterval struct {
	First, Last uint32
	Acting      []PGShard // sorted
}

// PastIntervals is what a PG knows of its intervals since it was last clean
// (pi_compact_rep): who may hold objects, and whom to ask so as to hear of every
// acknowledged write. Values share no state after [PastIntervals.Clone].
type PastIntervals struct {
	First, Last  uint32    // epochs covered, inclusive
	Participants []PGShard // of all intervals, sorted
	Intervals    []CompactInterval
}

// Clone returns a copy to which intervals can be added.
func (p PastIntervals) Clone() PastIntervals {
	p.Participants = slices.Clone(p.Participants)
	p.Intervals = slices.Clone(p.Intervals)
	return p
}

// Empty reports whether no interval is covered.
func (p PastIntervals) Empty() bool { return p.First > p.Last || p.First == 0 && p.Last == 0 }

// Bounds returns the epochs covered, as a half-open range.
func (p PastIntervals) Bounds() (first, end uint32) { return p.First, p.Last + 1 }

// Add appends the interval that follows. Older intervals whose acting set
// includes all of its own are dropped: whoever asks this one's OSDs has asked
// theirs. An interval that does not end after Last is an error.
func (p *PastIntervals) Add(erasure bool, i Interval) error {
	if i.Last <= p.Last {
		return fmt.Errorf("interval %d-%d after one that ended in %d", i.First, i.Last, p.Last)
	}
	if p.First == 0 {
		p.First = i.First
	}
	p.Last = i.Last
	acting := ShardsOf(erasure, i.Acting)
	p.Participants = unionShards(p.Participants, acting)
	if !i.MaybeWentRW {
		return nil
	}
	p.Intervals = slices.DeleteFunc(p.Intervals, func(old CompactInterval) bool {
		return containsShards(old.Acting, acting)
	})
	p.Intervals = append(p.Intervals, CompactInterval{i.First, i.Last, acting})
	return nil
}

// MaybeRWBackTo returns the intervals that may have gone read-write, newest
// first, down to the last that ends in epoch since or later.
func (p PastIntervals) MaybeRWBackTo(since uint32) []CompactInterval {
	var out []CompactInterval
	for _, i := range slices.Backward(p.Intervals) {
		if i.Last < since {
			break
		}
		out = append(out, i)
	}
	return out
}

// ShardsOf returns the shards of an acting or up set, sorted, without holes.
func ShardsOf(erasure bool, osds []int32) []PGShard {
	set := map[PGShard]bool{}
	for pos, osd := range osds {
		if osd == ItemNone {
			continue
		}
		s := PGShard{osd, object.NoShard}
		if erasure {
			s.Shard = int8(pos)
		}
		set[s] = true
	}
	return slices.SortedFunc(maps.Keys(set), PGShard.Compare)
}

func unionShards(a, b []PGShard) []PGShard {
	all := slices.Concat(a, b)
	slices.SortFunc(all, PGShard.Compare)
	return slices.Compact(all)
}

// containsShards reports whether all of part are in whole; both are sorted.
func containsShards(whole, part []PGShard) bool {
	for _, s := range part {
		if _, ok := slices.BinarySearchFunc(whole, s, PGShard.Compare); !ok {
			return false
		}
	}
	return true
}

func shardsString(v []PGShard) string {
	parts := make([]string, len(v))
	for i, s := range v {
		parts[i] = s.String()
	}
	return strings.Join(parts, ",")
}

// String returns Ceph's form.
func (p PastIntervals) String() string {
	parts := make([]string, len(p.Intervals))
	for n, i := range p.Intervals {
		parts[n] = fmt.Sprintf("([%d,%d] acting %s)", i.First, i.Last, shardsString(i.Acting))
	}
	return fmt.Sprintf("([%d,%d] all_participants=%s intervals=%s)",
		p.First, p.Last, shardsString(p.Participants), strings.Join(parts, ","))
}

// compactRep is the type byte of the representation in use; 0 stands for none.
const compactRep = 2

// Encode appends PastIntervals, version 1.
func (p PastIntervals) Encode(e *wire.Encoder) {
	encodeShards := func(e *wire.Encoder, v []PGShard) {
		wire.Slice(e, v, func(e *wire.Encoder, s PGShard) { s.Encode(e) })
	}
	outer := e.Begin(1, 1)
	e.U8(compactRep)
	inner := e.Begin(1, 1)
	e.U32(p.First)
	e.U32(p.Last)
	encodeShards(e, p.Participants)
	wire.Slice(e, p.Intervals, func(e *wire.Encoder, i CompactInterval) {
		m := e.Begin(1, 1)
		e.U32(i.First)
		e.U32(i.Last)
		encodeShards(e, i.Acting)
		e.End(m)
	})
	e.End(inner)
	e.End(outer)
}

// DecodePastIntervals reads PastIntervals, version 1.
func DecodePastIntervals(d *wire.Decoder) PastIntervals {
	decodeShards := func(d *wire.Decoder) []PGShard {
		return unionShards(wire.ReadSlice(d, 11, DecodePGShard), nil)
	}
	var p PastIntervals
	outer := d.Begin(1)
	switch kind := d.U8(); {
	case d.Err() != nil, kind == 0:
	case kind == compactRep:
		inner := d.Begin(1)
		p.First, p.Last = d.U32(), d.U32()
		p.Participants = decodeShards(d)
		p.Intervals = wire.ReadSlice(d, 18, func(d *wire.Decoder) CompactInterval {
			s := d.Begin(1)
			i := CompactInterval{d.U32(), d.U32(), decodeShards(d)}
			d.End(s)
			return i
		})
		d.End(inner)
	default:
		d.Fail("past intervals of type %d", kind)
	}
	d.End(outer)
	return p
}

// DumpJSON writes the intervals into the open array (pi_compact_rep::dump).
func (p PastIntervals) DumpJSON(w *jsonfmt.Writer) {
	w.OpenObject("PastIntervals::compact_rep")
	w.String("first", strconv.Itoa(int(p.First)))
	w.String("last", strconv.Itoa(int(p.Last)))
	w.OpenArray("all_participants")
	for _, s := range p.Participants {
		w.OpenObject("pg_shard")
		w.Int("osd", int64(s.OSD))
		if s.Shard != object.NoShard {
			w.Int("shard", int64(s.Shard))
		}
		w.Close()
	}
	w.Close()
	w.OpenArray("intervals")
	for _, i := range p.Intervals {
		w.OpenObject("compact_interval_t")
		w.String("first", strconv.Itoa(int(i.First)))
		w.String("last", strconv.Itoa(int(i.Last)))
		var acting []string
		for _, s := range i.Acting {
			acting = append(acting, s.String())
		}
		w.String("acting", strings.Join(acting, ","))
		w.Close()
	}
	w.Close()
	w.Close()
}
