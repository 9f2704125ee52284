package crush

import (
	"math"
	"math/bits"
)

// Choosing one item of one bucket: a function of the bucket, the input x and
// the attempt r (bucket_*_choose in src/crush/mapper.c).

// pick returns the item bucket b gives for attempt r. pos is the place in the
// result that is being filled; it selects the weight set. b has items.
func (ws *Workspace) pick(b *Bucket, r int32, pos int) int32 {
	switch b.Alg {
	case AlgUniform:
		return ws.pickPermuted(b, r)
	case AlgList:
		return pickList(b, ws.x, r)
	case AlgTree:
		return pickTree(b, ws.x, r)
	case AlgStraw:
		return pickStraw(b, ws.x, r)
	case AlgStraw2:
		var arg *ChooseArg
		if ws.args != nil {
			arg = ws.args[b.ID]
		}
		return pickStraw2(b, arg, ws.x, r, pos)
	}
	return b.Items[0]
}

// bucketHash3 and bucketHash4 are zero for hash functions nobody defined.
func bucketHash3(b *Bucket, x, y, z uint32) uint32 {
	if b.Hash != HashRjenkins1 {
		return 0
	}
	return hash3(x, y, z)
}

func bucketHash4(b *Bucket, x, y, z, w uint32) uint32 {
	if b.Hash != HashRjenkins1 {
		return 0
	}
	return hash4(x, y, z, w)
}

// permutation is the start of the random order of a bucket's items for one x.
type permutation struct {
	order []uint32
	done  int // how many places of order are final
}

// pickPermuted goes through the bucket in an order that depends on x only, so
// that successive attempts meet each item once.
func (ws *Workspace) pickPermuted(b *Bucket, r int32) int32 {
	size := uint32(len(b.Items))
	place := uint32(r) % size
	if place == 0 {
		return b.Items[bucketHash3(b, uint32(ws.x), uint32(b.ID), 0)%size]
	}
	p := ws.permutation(b)
	for ; p.done <= int(place); p.done++ {
		n := uint32(p.done)
		if n == size-1 {
			continue // one item is left, it stands already in the last place
		}
		other := n + bucketHash3(b, uint32(ws.x), uint32(b.ID), n)%(size-n)
		p.order[n], p.order[other] = p.order[other], p.order[n]
	}
	return b.Items[p.order[place]]
}

// pickList walks from the newest item to the oldest and stops at each with the
// probability of its share of what is left.
func pickList(b *Bucket, x, r int32) int32 {
	for i := min(len(b.Items), len(b.Weights), len(b.SumWeights)) - 1; i >= 0; i-- {
		h := bucketHash4(b, uint32(x), uint32(b.Items[i]), uint32(r), uint32(b.ID)) & 0xffff
		if uint64(h)*uint64(b.SumWeights[i])>>16 < uint64(b.Weights[i]) {
			return b.Items[i]
		}
	}
	return b.Items[0]
}

// pickTree descends from the root of the in-order tree to a leaf, going left
// with the probability of the left side's share. An inner node n whose lowest
// set bit is 2^h has its children at n-2^(h-1) and n+2^(h-1).
func pickTree(b *Bucket, x, r int32) int32 {
	n := len(b.NodeWeights) / 2
	for n != 0 && n&1 == 0 {
		point := uint64(bucketHash4(b, uint32(x), uint32(n), uint32(r), uint32(b.ID))) * uint64(b.NodeWeights[n]) >> 32
		half := n & -n / 2
		if point < uint64(b.NodeWeights[n-half]) {
			n -= half
		} else {
			n += half
		}
		if n >= len(b.NodeWeights) {
			return b.Items[0]
		}
	}
	if i := n / 2; i < len(b.Items) {
		return b.Items[i]
	}
	return b.Items[0]
}

// pickStraw draws a straw for each item, scaled by the item's factor; the
// longest wins, the first of equals.
func pickStraw(b *Bucket, x, r int32) int32 {
	best, longest := 0, uint64(0)
	for i := range min(len(b.Items), len(b.Straws)) {
		draw := uint64(bucketHash3(b, uint32(x), uint32(b.Items[i]), uint32(r))&0xffff) * uint64(b.Straws[i])
		if i == 0 || draw > longest {
			best, longest = i, draw
		}
	}
	return b.Items[best]
}

// pickStraw2 draws from an exponential distribution for each item, with the
// weight as its rate; the largest (least negative) wins, the first of equals.
func pickStraw2(b *Bucket, arg *ChooseArg, x, r int32, pos int) int32 {
	weights, ids := b.Weights, b.Items
	if arg != nil {
		if n := len(arg.WeightSet); n > 0 {
			weights = arg.WeightSet[min(pos, n-1)]
		}
		if len(arg.IDs) > 0 {
			ids = arg.IDs
		}
	}
	n := min(len(b.Items), len(weights), len(ids))
	weights, ids = weights[:n], ids[:n]
	best, longest := 0, int64(math.MinInt64)
	for i, w := range weights {
		// Ceph divides by a signed int.
		divisor := int64(int32(w))
		if divisor == 0 {
			continue
		}
		draw := lnScaled(bucketHash3(b, uint32(x), uint32(ids[i]), uint32(r))&0xffff) / divisor
		if draw > longest {
			best, longest = i, draw
		}
	}
	return b.Items[best]
}

// lnScaled is 2^44*log2((u+1)/2^16) for u up to 0xffff, as crush_ln computes
// it: the exponent, a coarse table by the upper bits of the mantissa, and a
// fine one by what the coarse one leaves.
func lnScaled(u uint32) int64 {
	x := u + 1
	exponent := uint64(15)
	if x < 1<<15 {
		shift := bits.LeadingZeros32(x) - 16
		x <<= shift
		exponent -= uint64(shift)
	}
	k := x>>8 - 128
	rest := uint64(x) * lnReciprocal[k] >> 48 & 0xff
	log := exponent<<44 + (lnCoarse[k]+lnFine[rest])>>4
	return int64(log) - 1<<48
}
