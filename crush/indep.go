package crush

import "slices"

// indep fills the places from first up to end of out with distinct items below
// b, and those of leaves with a device below each if the search asks for that.
// A place is decided on its own, so that a failure leaves the others as they
// are; one that stays empty becomes ItemNone (crush_choose_indep,
// src/crush/mapper.c).
//
// Rounds go over all open places, so that every place has its first choice
// before any has its second.
func (ws *Workspace) indep(b *Bucket, q *search, out, leaves []int32, first, end int, parentR int32) {
	for i := first; i < end; i++ {
		out[i] = ItemUndef
		if leaves != nil {
			leaves[i] = ItemUndef
		}
	}
	open := end - first
	for round := uint32(0); open > 0 && round < q.tries; round++ {
		for i := first; i < end; i++ {
			if out[i] != ItemUndef {
				continue
			}
			if ws.budget <= 0 {
				open = 0
				break
			}
			if ws.indepPlace(b, q, out, leaves, place{i, first, end, parentR, round}) {
				open--
			}
		}
	}
	for i := first; i < end; i++ {
		if out[i] == ItemUndef {
			out[i] = ItemNone
		}
		if leaves != nil && leaves[i] == ItemUndef {
			leaves[i] = ItemNone
		}
	}
}

// place is one position of an indep search in one round.
type place struct {
	i          int // the position
	first, end int // the positions searched together
	parentR    int32
	round      uint32
}

// attemptNumber is r for a choice in bucket in. A uniform bucket whose size is
// a multiple of the count would give the same items again in the next round,
// so there the step is one larger.
func (p place) attemptNumber(in *Bucket, numRep int32) int32 {
	step := uint32(numRep)
	if in.Alg == AlgUniform && uint32(len(in.Items))%uint32(numRep) == 0 {
		step++
	}
	return int32(p.i) + p.parentR + int32(step*p.round)
}

// indepPlace tries once to fill a place; it reports whether the place is
// decided, which it also is when the map leads nowhere.
func (ws *Workspace) indepPlace(b *Bucket, q *search, out, leaves []int32, p place) bool {
	for in, depth := b, 0; ; depth++ {
		if !ws.spend(in) || len(in.Items) == 0 {
			return false
		}
		r := p.attemptNumber(in, q.numRep)
		item := ws.pick(in, r, p.first)
		typ, ok := ws.m.itemType(item)
		if ok && typ != q.typ {
			in = ws.m.Bucket(item)
			if in != nil && depth < len(ws.m.Buckets) {
				continue
			}
			ok = false
		}
		if !ok {
			out[p.i] = ItemNone
			if leaves != nil {
				leaves[p.i] = ItemNone
			}
			return true
		}
		if slices.Contains(out[p.first:p.end], item) {
			return false
		}
		if q.toLeaf && !ws.indepLeaf(item, q, leaves, p.i, r) {
			return false
		}
		if typ == 0 && ws.isOut(item) {
			return false
		}
		out[p.i] = item
		return true
	}
}

// indepLeaf puts a device below item at leaves[i].
func (ws *Workspace) indepLeaf(item int32, q *search, leaves []int32, i int, r int32) bool {
	if item >= 0 {
		leaves[i] = item
		return true
	}
	inner := search{numRep: q.numRep, tries: q.leafTries}
	ws.indep(ws.m.Bucket(item), &inner, leaves, nil, i, i+1, r)
	return leaves[i] != ItemNone
}
