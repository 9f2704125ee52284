package crush

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"syscall"
)

// treeLeaf is the node of a tree bucket that holds item i.
func treeLeaf(i int) int { return 2*i + 1 }

// treeNodes is how many nodes a tree bucket of n items has: a power of two with
// room for a leaf at every odd node.
func treeNodes(n int) int {
	switch n {
	case 0:
		return 0
	case 1:
		return 2
	}
	return 2 << bits.Len(uint(n-1))
}

// itemWeights returns the weights of all items, in their order.
func (b *Bucket) itemWeights() []uint32 {
	w := make([]uint32, len(b.Items))
	for i := range w {
		w[i] = b.WeightAt(i)
	}
	return w
}

// newBucket makes a bucket that is not in a map yet (crush_make_bucket). The
// items of a uniform bucket weigh what the first does.
func (m *Map) newBucket(alg Alg, typ uint16, items []int32, weights []uint32) (*Bucket, error) {
	if !alg.valid() {
		return nil, errf(syscall.EINVAL, "unknown bucket algorithm %d", alg)
	}
	b := &Bucket{Type: typ, Alg: alg, Hash: HashRjenkins1}
	if alg == AlgUniform && len(weights) > 0 {
		b.ItemWeight = weights[0]
	}
	if err := b.setItems(items, weights, m.StrawCalcVersion); err != nil {
		return nil, err
	}
	return b, nil
}

// setItems replaces the items and their weights and recalculates what follows
// from them. b is unchanged after an error. weights are ignored for a uniform
// bucket. items and weights are kept.
func (b *Bucket) setItems(items []int32, weights []uint32, strawVersion uint8) error {
	if b.Alg == AlgUniform {
		total := uint64(b.ItemWeight) * uint64(len(items))
		if total > math.MaxUint32 {
			return errf(syscall.ERANGE, "weight of bucket %d overflows", b.ID)
		}
		b.Items, b.Weight = items, uint32(total)
		return nil
	}
	if b.Alg == AlgTree && len(items) > MaxTreeItems {
		return errf(syscall.ERANGE, "tree bucket %d cannot hold more than %d items", b.ID, MaxTreeItems)
	}
	sums := make([]uint32, len(items))
	total := uint64(0)
	for i, w := range weights {
		if total += uint64(w); total > math.MaxUint32 {
			return errf(syscall.ERANGE, "weight of bucket %d overflows", b.ID)
		}
		sums[i] = uint32(total)
	}
	b.Items, b.Weight = items, uint32(total)
	switch b.Alg {
	case AlgList:
		b.Weights, b.SumWeights = weights, sums
	case AlgTree:
		b.NodeWeights = treeWeights(weights)
	case AlgStraw:
		b.Weights, b.Straws = weights, straws(weights, strawVersion)
	case AlgStraw2:
		b.Weights = weights
	}
	return nil
}

// treeWeights returns the weights of the nodes of an in-order tree over the
// leaves: an inner node weighs what its children do.
func treeWeights(leaves []uint32) []uint32 {
	nodes := make([]uint32, treeNodes(len(leaves)))
	for i, w := range leaves {
		nodes[treeLeaf(i)] = w
	}
	for half := 1; 2*half < len(nodes); half *= 2 {
		for n := 2 * half; n < len(nodes); n += 4 * half {
			nodes[n] = nodes[n-half] + nodes[n+half]
		}
	}
	return nodes
}

// straws returns the scaling factors of a straw bucket. The items are taken by
// growing weight; each step lengthens the straw so that the heavier ones win as
// much more often as they are heavier, which this calculation misses by a
// little. Version 0 misses by more where weights are equal or zero
// (crush_calc_straw, src/crush/builder.c).
func straws(weights []uint32, version uint8) []uint32 {
	out := make([]uint32, len(weights))
	order := byWeight(weights)
	straw, below, last := 1.0, 0.0, 0.0
	left := len(weights)
	for i := 0; i < len(order); {
		w := weights[order[i]]
		if w == 0 {
			// No straw for items without weight.
			if i++; version >= 1 {
				left--
			}
			continue
		}
		out[order[i]] = uint32(straw * 0x10000)
		if i++; i == len(order) {
			break
		}
		next := weights[order[i]]
		if version == 0 && next == w {
			continue
		}
		below += (float64(w) - last) * float64(left)
		if version >= 1 {
			left--
		} else {
			for j := i; j < len(order) && weights[order[j]] == next; j++ {
				left--
			}
		}
		// Ceph multiplies in 32 bits.
		above := float64(uint32(left) * (next - w))
		share := below / (below + above)
		straw *= math.Pow(1/share, 1/float64(left))
		last = float64(w)
	}
	return out
}

// byWeight returns the positions in order of growing weight; equals keep their
// order.
func byWeight(weights []uint32) []int {
	order := make([]int, len(weights))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(weights[a], weights[b]) })
	return order
}

// addItem appends an item. A uniform bucket takes only items of its weight.
func (b *Bucket) addItem(item int32, weight uint32, strawVersion uint8) error {
	if b.Alg == AlgUniform && weight != b.ItemWeight {
		return errf(syscall.EINVAL, "items of uniform bucket %d weigh %#x, not %#x", b.ID, b.ItemWeight, weight)
	}
	items := append(slices.Clone(b.Items), item)
	return b.setItems(items, append(b.itemWeights(), weight), strawVersion)
}

// removeItem removes the item at pos. A tree keeps the place, weightless, until
// everything behind it is weightless too, so that the other leaves stay where
// they are.
func (b *Bucket) removeItem(pos int, strawVersion uint8) error {
	items, weights := slices.Clone(b.Items), b.itemWeights()
	if b.Alg == AlgTree {
		items[pos], weights[pos] = 0, 0
		n := len(items)
		for n > 0 && weights[n-1] == 0 {
			n--
		}
		return b.setItems(items[:n], weights[:n], strawVersion)
	}
	return b.setItems(slices.Delete(items, pos, pos+1), slices.Delete(weights, pos, pos+1), strawVersion)
}

// setWeight changes the weight of the item at pos; in a uniform bucket, of all.
func (b *Bucket) setWeight(pos int, weight uint32, strawVersion uint8) error {
	if b.Alg == AlgUniform {
		old := b.ItemWeight
		b.ItemWeight = weight
		if err := b.setItems(b.Items, nil, strawVersion); err != nil {
			b.ItemWeight = old
			return err
		}
		return nil
	}
	weights := b.itemWeights()
	weights[pos] = weight
	return b.setItems(b.Items, weights, strawVersion)
}
