package crush

import (
	"errors"
	"slices"
	"syscall"
)

func isErrno(err error, errno syscall.Errno) bool { return errors.Is(err, errno) }

// RemoveItem is `osd crush remove`, or with unlinkOnly `osd crush unlink`: item
// leaves all buckets. Unless only unlinked, a bucket must be empty and unused
// and is deleted, and a device loses its class.
func (m *Map) RemoveItem(item int32, unlinkOnly bool) error {
	return m.change(func(c *Map) error { return c.remove(item, unlinkOnly) })
}

// RemoveItemUnder is RemoveItem for the links below ancestor.
func (m *Map) RemoveItemUnder(item, ancestor int32, unlinkOnly bool) error {
	return m.change(func(c *Map) error {
		if c.Bucket(ancestor) == nil {
			return errf(syscall.EINVAL, "%d is not a bucket", ancestor)
		}
		if !unlinkOnly && c.bucketInUse(item) {
			return errf(syscall.EBUSY, "bucket %d is in use", item)
		}
		return c.removeFrom(item, unlinkOnly, func(b *Bucket) bool { return c.Contains(ancestor, b.ID) })
	})
}

func (m *Map) remove(item int32, unlinkOnly bool) error {
	if item < 0 && !unlinkOnly {
		b := m.Bucket(item)
		switch {
		case b == nil:
			return errf(syscall.ENOENT, "bucket %d does not exist", item)
		case len(b.Items) > 0:
			return errf(syscall.ENOTEMPTY, "bucket %d is not empty", item)
		case m.bucketInUse(item):
			return errf(syscall.EBUSY, "bucket %d is in use", item)
		}
	}
	return m.removeFrom(item, unlinkOnly, func(*Bucket) bool { return true })
}

// removeFrom unlinks item from the buckets chosen, and deletes what is left of
// it once it is linked nowhere.
func (m *Map) removeFrom(item int32, unlinkOnly bool, from func(*Bucket) bool) error {
	found := false
	for _, b := range m.Buckets {
		if b == nil || b.Index(item) < 0 || !from(b) {
			continue
		}
		for b.Index(item) >= 0 {
			if err := m.unlink(b, item); err != nil {
				return err
			}
		}
		found = true
	}
	if item < 0 && !unlinkOnly {
		if b := m.Bucket(item); b != nil && len(b.Items) > 0 {
			return errf(syscall.ENOTEMPTY, "bucket %d is not empty", item)
		}
	}
	if _, linked := m.Parent(item); linked || item < 0 && m.bucketInUse(item) {
		if !found {
			return errf(syscall.ENOENT, "item %d is not linked", item)
		}
		return m.rebuildClasses()
	}
	if item < 0 && !unlinkOnly {
		m.deleteBucket(item)
	}
	if item >= 0 || !unlinkOnly {
		delete(m.ItemNames, item)
	}
	if item >= 0 && !unlinkOnly {
		delete(m.ItemClasses, item)
	}
	return m.rebuildClasses()
}

// deleteBucket forgets a bucket and what is kept by its id, except the name.
func (m *Map) deleteBucket(id int32) {
	m.Buckets[-1-id] = nil
	delete(m.ClassBuckets, id)
	delete(m.ItemClasses, id)
	for _, args := range m.ChooseArgs {
		delete(args, id)
	}
}

// bucketInUse reports whether a rule takes item or a shadow of it, or item is a
// shadow.
func (m *Map) bucketInUse(item int32) bool {
	for _, classes := range m.ClassBuckets {
		for _, shadow := range classes {
			if shadow == item {
				return true
			}
		}
	}
	for id := range m.Rules {
		for _, take := range m.Takes(id) {
			original, _, ok := m.SplitShadow(take)
			if !ok {
				return false // as Ceph, which cannot tell then
			}
			if take == item || original == item {
				return true
			}
		}
	}
	return false
}

// MoveBucket is `osd crush move`: the bucket leaves its place and is linked at
// loc, with its weight.
func (m *Map) MoveBucket(id int32, loc map[string]string) error {
	return m.change(func(c *Map) error {
		b, name, err := c.named(id)
		if err != nil {
			return err
		}
		weight := unfixed(b.Weight)
		if parent, ok := c.Parent(id); ok {
			if err := c.unlink(c.Bucket(parent), id); err != nil {
				return err
			}
		}
		return c.insert(id, weight, name, loc, false)
	})
}

// LinkBucket is `osd crush link`: the bucket is linked at loc too.
func (m *Map) LinkBucket(id int32, loc map[string]string) error {
	return m.change(func(c *Map) error {
		b, name, err := c.named(id)
		if err != nil {
			return err
		}
		return c.insert(id, unfixed(b.Weight), name, loc, false)
	})
}

// named returns a bucket and its name.
func (m *Map) named(id int32) (*Bucket, string, error) {
	if id >= 0 {
		return nil, "", errf(syscall.EINVAL, "item %d is not a bucket", id)
	}
	b, name := m.Bucket(id), m.ItemNames[id]
	if b == nil || name == "" {
		return nil, "", errf(syscall.ENOENT, "bucket %d does not exist", id)
	}
	return b, name, nil
}

// SwapBucket is `osd crush swap-bucket`: the two buckets exchange their content
// and names, and stay where they are.
func (m *Map) SwapBucket(src, dst int32) error {
	return m.change(func(c *Map) error {
		a, nameA, errA := c.named(src)
		b, nameB, errB := c.named(dst)
		if err := errors.Join(errA, errB); err != nil {
			return errf(syscall.EINVAL, "%v", err)
		}
		if c.Contains(src, dst) || c.Contains(dst, src) {
			return errf(syscall.EINVAL, "one of buckets %d and %d contains the other", src, dst)
		}
		weightA, weightB := a.Weight, b.Weight
		if err := errors.Join(c.setWeight(src, weightB, true), c.setWeight(dst, weightA, true)); err != nil {
			return err
		}
		itemsA, itemsB := slices.Clone(a.Items), slices.Clone(b.Items)
		setA, setB := a.itemWeights(), b.itemWeights()
		if err := c.refill(a, itemsB, setB); err != nil {
			return err
		}
		// Ceph adds the first bucket's items by ascending id.
		order := slices.Clone(itemsA)
		slices.Sort(order)
		weights := make([]uint32, len(order))
		for i, item := range order {
			weights[i] = setA[slices.Index(itemsA, item)]
		}
		if err := c.refill(b, order, weights); err != nil {
			return err
		}
		c.ItemNames[src], c.ItemNames[dst] = nameB, nameA
		return c.rebuildClasses()
	})
}

// refill replaces what a bucket holds, here and in its weight sets.
func (m *Map) refill(b *Bucket, items []int32, weights []uint32) error {
	if b.Alg == AlgUniform && len(weights) > 0 && slices.Min(weights) != slices.Max(weights) {
		return errf(syscall.EINVAL, "items of uniform bucket %d must weigh the same", b.ID)
	}
	if b.Alg == AlgUniform && len(weights) > 0 {
		b.ItemWeight = weights[0]
	}
	for _, args := range m.ChooseArgs {
		if a := args[b.ID]; a != nil {
			for i := range a.WeightSet {
				a.WeightSet[i] = slices.Clone(weights)
			}
			if len(a.IDs) > 0 {
				a.IDs = slices.Clone(items)
			}
		}
	}
	return b.setItems(items, weights, m.StrawCalcVersion)
}
