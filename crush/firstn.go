package crush

import "slices"

// attempt is one replica being looked for by a firstn step.
type attempt struct {
	rep     int32 // which replica
	parentR int32 // what the outer search adds to the attempt number
	pos     int   // where the item will go
}

// firstN fills out from the front with distinct items below b, and leaves with
// a device below each if the search asks for that. It returns how many it
// found; a replica without a place is left out and the others move up
// (crush_choose_firstn, src/crush/mapper.c).
func (ws *Workspace) firstN(b *Bucket, q *search, out, leaves []int32) int {
	pos := 0
	for rep := int32(0); rep < q.numRep && pos < len(out) && ws.budget > 0; rep++ {
		item, ok := ws.findOne(b, q, attempt{rep: rep, pos: pos}, out[:pos], leaves)
		if ok {
			out[pos] = item
			pos++
		}
	}
	return pos
}

// verdict is what became of one choice within a descent.
type verdict int

const (
	fits       verdict = iota
	rejected           // out, or nothing below it
	collided           // chosen already
	impossible         // the map leads nowhere from here
)

// findOne looks for the item of one replica, different from those taken.
//
// It descends from b until an item of the wanted type comes up. If that item
// does not do, it tries again: first locally in the same bucket (the legacy
// tunables), then from the top, each time with another attempt number.
func (ws *Workspace) findOne(b *Bucket, q *search, a attempt, taken, leaves []int32) (int32, bool) {
	failed := uint32(0)
	for {
		in, failedHere, depth := b, uint32(0), 0
		for {
			if !ws.spend(in) {
				return 0, false
			}
			item, v := int32(0), rejected
			if len(in.Items) > 0 {
				r := a.rep + a.parentR + int32(failed)
				item = ws.pickFirstN(in, q, r, failedHere, a.pos)
				typ, ok := ws.m.itemType(item)
				if !ok {
					return 0, false
				}
				if typ != q.typ {
					if in = ws.m.Bucket(item); in == nil {
						return 0, false
					}
					if depth++; depth > len(ws.m.Buckets) {
						return 0, false // a cycle
					}
					continue
				}
				v = ws.judge(item, typ, r, q, a, taken, leaves)
			}
			if v == fits {
				return item, true
			}
			if v == impossible {
				return 0, false
			}
			failed++
			failedHere++
			if v == collided && failedHere <= q.localRetries {
				continue
			}
			if q.fallbackRetries > 0 && failedHere <= uint32(len(in.Items))+q.fallbackRetries {
				continue
			}
			break
		}
		if failed >= q.tries {
			return 0, false
		}
	}
}

// pickFirstN is pick, but after many failures in one bucket the legacy tunables
// go through all its items.
func (ws *Workspace) pickFirstN(in *Bucket, q *search, r int32, failedHere uint32, pos int) int32 {
	if q.fallbackRetries > 0 && failedHere >= uint32(len(in.Items))>>1 && failedHere > q.fallbackRetries {
		return ws.pickPermuted(in, r)
	}
	return ws.pick(in, r, pos)
}

// judge decides whether an item of the wanted type, come up at attempt r, is
// the one for the replica.
func (ws *Workspace) judge(item, typ, r int32, q *search, a attempt, taken, leaves []int32) verdict {
	if slices.Contains(taken, item) {
		return collided
	}
	if q.toLeaf {
		if item >= 0 {
			leaves[a.pos] = item
		} else if !ws.findLeaf(ws.m.Bucket(item), q, a.pos, r, leaves) {
			return rejected
		}
	}
	if typ == 0 && ws.isOut(item) {
		return rejected
	}
	return fits
}

// findLeaf puts a device below b, different from those of the replicas before,
// at leaves[pos].
func (ws *Workspace) findLeaf(b *Bucket, q *search, pos int, r int32, leaves []int32) bool {
	inner := search{
		tries:           q.leafTries,
		localRetries:    q.localRetries,
		fallbackRetries: q.fallbackRetries,
	}
	a := attempt{rep: int32(pos), pos: pos}
	if q.stable != 0 {
		a.rep = 0
	}
	if q.varyR != 0 {
		a.parentR = r >> ((q.varyR - 1) & 31)
	}
	leaf, ok := ws.findOne(b, &inner, a, leaves[:pos], nil)
	if ok {
		leaves[pos] = leaf
	}
	return ok
}
