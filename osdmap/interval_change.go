package osdmap

import (
	"slices"

	"sepiola/object"
)

// Mapping is where a PG is in one map.
type Mapping struct {
	Up, Acting    []int32
	UpPrimary     int32
	ActingPrimary int32
}

// MappingOf returns where the PG is.
func (m *Map) MappingOf(pg object.PGID) Mapping {
	var p Mapping
	p.Up, p.UpPrimary, p.Acting, p.ActingPrimary = m.PGToUpActing(pg)
	return p
}

// Equal reports whether both are the same.
func (p Mapping) Equal(o Mapping) bool {
	return p.UpPrimary == o.UpPrimary && p.ActingPrimary == o.ActingPrimary &&
		slices.Equal(p.Up, o.Up) && slices.Equal(p.Acting, o.Acting)
}

// IsNewInterval reports whether a PG has to peer anew because of what changed
// from one map to the next (PastIntervals::is_new_interval). A PG whose pool is
// gone from the older map changes no more.
func IsNewInterval(pg object.PGID, old *Map, was Mapping, cur *Map, is Mapping) bool {
	a, ok := old.Pools[pg.Pool]
	if !ok {
		return false
	}
	b, ok := cur.Pools[pg.Pool]
	if !ok {
		return true
	}
	const flags = FlagSortBitwise | FlagRecoveryDeletes
	return !was.Equal(is) ||
		a.MinSize != b.MinSize || a.Size != b.Size ||
		IsSplit(pg, a.PGNum, b.PGNum) ||
		mergeInvolves(pg, a.PGNumPending, b.PGNumPending) ||
		mergeInvolves(pg, b.PGNumPending, a.PGNumPending) ||
		mergeInvolves(pg, a.PGNum, b.PGNum) ||
		old.Flags&flags != cur.Flags&flags ||
		a.PeeringCrushBucketCount != b.PeeringCrushBucketCount ||
		a.PeeringCrushBucketTarget != b.PeeringCrushBucketTarget ||
		a.PeeringCrushBucketBarrier != b.PeeringCrushBucketBarrier ||
		a.PeeringCrushMandatoryMember != b.PeeringCrushMandatoryMember
}

// mergeInvolves reports whether going from one number of PGs down to another
// makes the PG vanish into another, or another into it.
func mergeInvolves(pg object.PGID, from, to uint32) bool {
	return IsMergeSource(pg, from, to) || IsMergeTarget(pg, from, to)
}

// ClosedInterval says how the interval that ended with the map before cur went
// (the other half of PastIntervals::check_new_interval). since is the epoch it
// began in, lastClean the last epoch in which the PG was known to be clean, and
// readable tells whether the shards suffice to read and write. The caller has
// found by [IsNewInterval] that it ended, and adds it to its [PastIntervals].
func ClosedInterval(pg object.PGID, old *Map, was Mapping, cur *Map, since, lastClean uint32,
	readable func([]PGShard) bool) Interval {
	i := Interval{
		First: since, Last: cur.Epoch - 1,
		Up: was.Up, Acting: was.Acting,
		Primary: was.ActingPrimary, UpPrimary: was.UpPrimary,
	}
	pool, ok := old.Pools[pg.Pool]
	if !ok || i.Primary == -1 || !old.couldServe(pool, was.Acting, readable) {
		return i
	}
	info := old.Info(i.Primary)
	switch {
	case info.UpThru >= i.First && info.UpFrom <= i.First:
		// The primary had the monitors note that it was alive in this interval,
		// which it does before it lets the first write through.
		i.MaybeWentRW = true
	case lastClean >= i.First && lastClean <= i.Last:
		// It was clean in this interval, so it was serving, whatever the true
		// begin of the interval was.
		i.MaybeWentRW = true
	}
	return i
}

// couldServe reports whether a PG with that acting set could have gone active.
func (m *Map) couldServe(p *Pool, acting []int32, readable func([]PGShard) bool) bool {
	n := 0
	for _, osd := range acting {
		if osd != ItemNone {
			n++
		}
	}
	return n > 0 && n >= int(p.MinSize) && m.StretchCanPeer(p, acting) &&
		readable(ShardsOf(p.IsErasure(), acting))
}

// IsSplit reports whether the PG gives part of itself to new PGs when their
// number grows from one to another (pg_t::is_split).
func IsSplit(pg object.PGID, from, to uint32) bool { return len(splitChildren(pg, from, to, 1)) > 0 }

// SplitChildren returns the PGs that split off from the PG when the number of
// PGs grows from one to another, ascending.
func SplitChildren(pg object.PGID, from, to uint32) []object.PGID {
	return splitChildren(pg, from, to, -1)
}

// splitChildren stops after limit children, unless that is negative. A new PG
// holds the objects that hashed to the PG its seed maps onto among the old ones.
func splitChildren(pg object.PGID, from, to uint32, limit int) []object.PGID {
	if to <= from || pg.Seed >= from || to > MaxPGNum {
		return nil
	}
	var out []object.PGID
	mask := maskFor(from)
	// Seeds that map onto pg among the old PGs agree with it at least in the
	// bits below the highest of the mask.
	step := uint64(mask>>1) + 1
	for seed := uint64(pg.Seed) + step; seed < uint64(to); seed += step {
		if uint32(seed) < from || object.StableMod(uint32(seed), from, mask) != pg.Seed {
			continue
		}
		out = append(out, object.PGID{Pool: pg.Pool, Seed: uint32(seed)})
		if limit > 0 && len(out) >= limit {
			break
		}
	}
	return out
}

// Parent returns the PG that pg split off from: its seed without the highest
// bit (pg_t::get_parent).
func Parent(pg object.PGID) object.PGID {
	if pg.Seed != 0 {
		pg.Seed &= maskFor(pg.Seed+1) >> 1
	}
	return pg
}

// IsMergeSource reports whether the PG vanishes into another when the number of
// PGs shrinks from one to another (pg_t::is_merge_source).
func IsMergeSource(pg object.PGID, from, to uint32) bool {
	return pg.Seed < from && pg.Seed >= to
}

// MergeTarget returns the PG that the objects of a vanishing one go to when to
// PGs are left.
func MergeTarget(pg object.PGID, to uint32) object.PGID {
	for pg.Seed >= to && pg.Seed != 0 {
		pg = Parent(pg)
	}
	return pg
}

// IsMergeTarget reports whether another PG vanishes into this one when the
// number of PGs shrinks from one to another (pg_t::is_merge_target).
func IsMergeTarget(pg object.PGID, from, to uint32) bool {
	return pg.Seed < to && IsSplit(pg, to, from)
}

// StretchCanPeer reports whether the OSDs are spread over enough sites to serve
// a PG of the pool. It is true for pools that are not bound to sites.
func (m *Map) StretchCanPeer(p *Pool, osds []int32) bool {
	if !p.IsStretch() {
		return true
	}
	sites := map[int32]bool{}
	for _, osd := range osds {
		site, _ := m.Crush.ParentOfType(osd, int32(p.PeeringCrushBucketBarrier))
		sites[site] = true
	}
	if len(sites) < int(p.PeeringCrushBucketCount) {
		return false
	}
	return p.PeeringCrushMandatoryMember == ItemNone || sites[p.PeeringCrushMandatoryMember]
}
