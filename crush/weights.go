package crush

import (
	"math"
	"slices"
	"syscall"
)

// AdjustItemWeight is `osd crush reweight`: sets the weight wherever item is
// linked.
func (m *Map) AdjustItemWeight(item int32, weight float64) error {
	return m.change(func(c *Map) error {
		w, err := fixed(weight)
		if err != nil {
			return err
		}
		if !c.linked(item) {
			return errf(syscall.ENOENT, "item %d is not linked", item)
		}
		return c.setWeight(item, w, true)
	})
}

// AdjustSubtreeWeight is `osd crush reweight-subtree`: every device below id
// gets the weight.
func (m *Map) AdjustSubtreeWeight(id int32, weight float64) error {
	return m.change(func(c *Map) error {
		w, err := fixed(weight)
		if err != nil {
			return err
		}
		if c.Bucket(id) == nil {
			return errf(syscall.ENOENT, "bucket %d does not exist", id)
		}
		c.descend(id, func(item int32) bool {
			if b := c.Bucket(item); b != nil && err == nil {
				err = c.setDevicesIn(b, w)
			}
			return err == nil
		})
		if err != nil {
			return err
		}
		return c.rebuildClasses()
	})
}

func (m *Map) setDevicesIn(b *Bucket, weight uint32) error {
	for _, item := range b.Items {
		if item >= 0 {
			if err := m.setWeightIn(b, item, weight, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// Reweight is `osd crush reweight-all`: recalculates all buckets from their
// devices.
func (m *Map) Reweight() error {
	return m.change(func(c *Map) error {
		for _, root := range c.Roots(false) {
			if err := c.reweight(c.Bucket(root)); err != nil {
				return err
			}
			for _, args := range c.ChooseArgs {
				c.reweightSets(c.Bucket(root), args)
			}
		}
		return c.rebuildClasses()
	})
}

// reweight recalculates what is below b, then b. A uniform bucket that holds
// more buckets than devices takes the mean of the former.
func (m *Map) reweight(b *Bucket) error {
	weights := b.itemWeights()
	sum, buckets := uint64(0), 0
	for i, item := range b.Items {
		child := m.Bucket(item)
		if child == nil {
			continue
		}
		if err := m.reweight(child); err != nil {
			return err
		}
		weights[i] = child.Weight
		sum += uint64(child.Weight)
		buckets++
	}
	if sum > math.MaxUint32 {
		return errf(syscall.ERANGE, "weight of bucket %d overflows", b.ID)
	}
	if b.Alg == AlgUniform && buckets > len(b.Items)-buckets {
		b.ItemWeight = uint32(sum) / uint32(buckets)
	}
	return b.setItems(b.Items, weights, m.StrawCalcVersion)
}

// reweightSets recalculates the weight sets of b and of what is below, and
// returns the sums of b's.
func (m *Map) reweightSets(b *Bucket, args ChooseArgs) []uint32 {
	a := args[b.ID]
	var sets [][]uint32
	if a != nil {
		sets = a.WeightSet
	}
	sums := make([]uint32, len(sets))
	for i, item := range b.Items {
		var below []uint32
		if child := m.Bucket(item); child != nil {
			below = m.reweightSets(child, args)
		}
		for pos, set := range sets {
			if i >= len(set) {
				continue
			}
			if pos < len(below) {
				set[i] = below[pos]
			}
			sums[pos] += set[i]
		}
	}
	return sums
}

// CreateChooseArgs adds weight sets with that many positions, equal to the
// buckets' weights: `osd crush weight-set create`. It is false if there are
// any for id already.
func (m *Map) CreateChooseArgs(id int64, positions int) bool {
	if _, ok := m.ChooseArgs[id]; ok || positions < 1 {
		return false
	}
	args := make(ChooseArgs)
	m.each(func(b *Bucket) {
		if b.Alg == AlgStraw2 {
			args[b.ID] = &ChooseArg{WeightSet: copies(b.Weights, positions)}
		}
	})
	m.ChooseArgs[id] = args
	return true
}

// RemoveChooseArgs drops the weight sets of id: `osd crush weight-set rm`.
func (m *Map) RemoveChooseArgs(id int64) { delete(m.ChooseArgs, id) }

// AdjustWeightSet is `osd crush weight-set reweight`: the weights of item at
// each position of the weight sets of id, of which the sums above follow.
func (m *Map) AdjustWeightSet(id int64, item int32, weights []float64) error {
	return m.change(func(c *Map) error {
		args, ok := c.ChooseArgs[id]
		if !ok {
			return errf(syscall.ENOENT, "there are no weight sets of %d", id)
		}
		if n := args.positions(len(c.Buckets)); n != len(weights) {
			return errf(syscall.EINVAL, "must specify exactly %d weight values", n)
		}
		fixedWeights := make([]uint32, len(weights))
		for i, w := range weights {
			// Double precision here, unlike elsewhere.
			if !(w >= 0 && w*float64(One) <= math.MaxInt32) {
				return errf(syscall.EOVERFLOW, "weight %v is out of range", w)
			}
			fixedWeights[i] = uint32(w * float64(One))
		}
		if !c.linked(item) {
			return errf(syscall.ENOENT, "item %d not found in crush map", item)
		}
		c.adjustSets(args, item, fixedWeights)
		return nil
	})
}

func copies(weights []uint32, n int) [][]uint32 {
	out := make([][]uint32, n)
	for i := range out {
		out[i] = slices.Clone(weights)
	}
	return out
}

// newWeightSets gives a new bucket weight sets wherever others have some.
func (m *Map) newWeightSets(b *Bucket) {
	for _, args := range m.ChooseArgs {
		n := args.positions(len(m.Buckets))
		args[b.ID] = &ChooseArg{WeightSet: copies(b.Weights, n)}
	}
}

// setWeightInSets changes the weight of the item at pos in all sets of b.
func (m *Map) setWeightInSets(b *Bucket, pos int, weight uint32) {
	for _, args := range m.ChooseArgs {
		if a := args[b.ID]; a != nil {
			for _, set := range a.WeightSet {
				if pos < len(set) {
					set[pos] = weight
				}
			}
		}
	}
}

// sumWeightSets carries the sums of b's weight sets upward, so that a bucket
// weighs in its parent's sets what its own add up to.
func (m *Map) sumWeightSets(b *Bucket) {
	for _, args := range m.ChooseArgs {
		if a := args[b.ID]; a != nil && len(a.WeightSet) > 0 {
			m.adjustSets(args, b.ID, a.sums())
		}
	}
}

func (a *ChooseArg) sums() []uint32 {
	sums := make([]uint32, len(a.WeightSet))
	for i, set := range a.WeightSet {
		for _, w := range set {
			sums[i] += w
		}
	}
	return sums
}

// adjustSets sets the weights of item at each position wherever it is linked,
// and the sums above. Buckets without weight sets get some on the way
// (choose_args_adjust_item_weight).
func (m *Map) adjustSets(args ChooseArgs, item int32, weights []uint32) {
	for _, b := range m.Buckets {
		if b == nil || b.Alg != AlgStraw2 {
			continue
		}
		a, changed := args[b.ID], false
		if a == nil {
			a = &ChooseArg{}
			args[b.ID] = a
		}
		if len(a.WeightSet) == 0 {
			a.WeightSet, changed = copies(b.Weights, args.positions(len(m.Buckets))), true
		}
		if len(a.WeightSet) != len(weights) {
			continue
		}
		for pos, i := range b.Items {
			if i != item {
				continue
			}
			for p, set := range a.WeightSet {
				if pos < len(set) {
					set[pos] = weights[p]
				}
			}
			changed = true
		}
		if changed {
			m.adjustSets(args, b.ID, a.sums())
		}
	}
}
