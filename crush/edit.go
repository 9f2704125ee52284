package crush

import (
	"maps"
	"math"
	"slices"
	"syscall"
)

// The operations of `ceph osd crush`. Each either does all of its work or
// leaves the map as it was and returns an [*Error].

// change runs f on a copy, which becomes the map if all goes well.
func (m *Map) change(f func(c *Map) error) error {
	if err := m.checkAcyclic(); err != nil {
		return err
	}
	c := m.Clone()
	if err := f(c); err != nil {
		return err
	}
	*m = *c
	return nil
}

// fixed turns a weight into fixed point. Ceph calculates in single precision
// and cuts off.
func fixed(weight float64) (uint32, error) {
	w := float32(weight) * float32(One)
	if !(w >= 0 && w <= math.MaxInt32) {
		return 0, errf(syscall.EOVERFLOW, "weight %v is out of range", weight)
	}
	return uint32(w), nil
}

// unfixed is the inverse of fixed.
func unfixed(weight uint32) float64 { return float64(float32(weight) / float32(One)) }

func checkLocation(loc map[string]string) error {
	for typ, name := range loc {
		if !ValidName(typ) || !ValidName(name) {
			return errf(syscall.EINVAL, "location %s=%s is not made of valid names", typ, name)
		}
	}
	return nil
}

func checkName(name string) error {
	if !ValidName(name) {
		return errf(syscall.EINVAL, "%q is not a valid name ([-_.0-9a-zA-Z]+)", name)
	}
	return nil
}

// defaultAlg is the algorithm new buckets get: the best of the allowed ones.
func (m *Map) defaultAlg() Alg {
	for _, alg := range []Alg{AlgStraw2, AlgStraw, AlgTree, AlgList, AlgUniform} {
		if m.AllowedBucketAlgs&(1<<alg) != 0 {
			return alg
		}
	}
	return 0
}

// AddBucket adds a bucket that nothing holds yet; id 0 takes the next free one,
// alg 0 the best of the allowed ones. name "" leaves it without a name. It
// returns the id.
func (m *Map) AddBucket(id int32, alg Alg, typ uint16, name string, items []int32, weights []uint32) (int32, error) {
	if alg == 0 {
		alg = m.defaultAlg()
	}
	if len(items) != len(weights) || typ == 0 || id > 0 {
		return 0, errf(syscall.EINVAL, "bucket %d of type %d cannot be", id, typ)
	}
	if name != "" {
		if err := checkName(name); err != nil {
			return 0, err
		}
	}
	b, err := m.newBucket(alg, typ, slices.Clone(items), slices.Clone(weights))
	if err != nil {
		return 0, err
	}
	if err := m.place(id, b); err != nil {
		return 0, err
	}
	if name != "" {
		m.ItemNames[b.ID] = name
	}
	if len(items) > 0 {
		m.MaxDevices = max(m.MaxDevices, slices.Max(items)+1)
		if b.Alg == AlgStraw2 {
			m.newWeightSets(b)
		}
	}
	return b.ID, nil
}

// place puts b at id, or at the first free one if that is 0. The array grows
// by doubling, which shows in the encoding.
func (m *Map) place(id int32, b *Bucket) error {
	pos := int(-1 - int64(id))
	if id == 0 {
		if pos = slices.Index(m.Buckets, nil); pos < 0 {
			pos = len(m.Buckets)
		}
	}
	if pos >= MaxBuckets {
		return errf(syscall.ENOSPC, "bucket id %d is out of range", id)
	}
	for pos >= len(m.Buckets) {
		m.Buckets = append(m.Buckets, make([]*Bucket, max(8, len(m.Buckets)))...)
	}
	if m.Buckets[pos] != nil {
		return errf(syscall.EEXIST, "bucket id %d exists", id)
	}
	b.ID = int32(-1 - pos)
	m.Buckets[pos] = b
	return nil
}

// link appends item to b and to b's weight sets.
func (m *Map) link(b *Bucket, item int32, weight uint32) error {
	if err := b.addItem(item, weight, m.StrawCalcVersion); err != nil {
		return err
	}
	for _, args := range m.ChooseArgs {
		a := args[b.ID]
		if a == nil {
			continue
		}
		for i := range a.WeightSet {
			a.WeightSet[i] = append(resize(a.WeightSet[i], len(b.Items)-1), weight)
		}
		if len(a.IDs) > 0 {
			a.IDs = append(a.IDs, item)
		}
	}
	return nil
}

// unlink takes item out of b, having taken its weight from everything above.
func (m *Map) unlink(b *Bucket, item int32) error {
	if b.Alg != AlgUniform {
		if err := m.setWeightIn(b, item, 0, true); err != nil {
			return err
		}
	}
	pos := b.Index(item)
	if err := b.removeItem(pos, m.StrawCalcVersion); err != nil {
		return err
	}
	if b.Alg == AlgUniform {
		if err := m.setWeight(b.ID, b.Weight, false); err != nil {
			return err
		}
	}
	for _, args := range m.ChooseArgs {
		a := args[b.ID]
		if a == nil {
			continue
		}
		for i, w := range a.WeightSet {
			if pos < len(w) {
				a.WeightSet[i] = slices.Delete(w, pos, pos+1)
			}
		}
		if pos < len(a.IDs) {
			a.IDs = slices.Delete(a.IDs, pos, pos+1)
		}
	}
	return nil
}

// setWeight changes the weight of item wherever it is linked, and so the
// weights of all buckets above; in the weight sets of its buckets too if asked
// for. It is ENOENT if item is linked nowhere.
func (m *Map) setWeight(item int32, weight uint32, sets bool) error {
	for _, b := range m.Buckets {
		if b == nil {
			continue
		}
		if err := m.setWeightIn(b, item, weight, sets); err != nil {
			return err
		}
	}
	return nil
}

// setWeightIn is setWeight for the links of one bucket.
func (m *Map) setWeightIn(b *Bucket, item int32, weight uint32, sets bool) error {
	for pos, i := range b.Items {
		if i != item {
			continue
		}
		if sets {
			m.setWeightInSets(b, pos, weight)
		}
		if err := b.setWeight(pos, weight, m.StrawCalcVersion); err != nil {
			return err
		}
		if err := m.setWeight(b.ID, b.Weight, false); err != nil {
			return err
		}
	}
	m.sumWeightSets(b)
	return nil
}

// sortedTypes lists the types above devices, ascending.
func (m *Map) sortedTypes() []int32 {
	types := slices.Sorted(maps.Keys(m.TypeNames))
	return slices.DeleteFunc(types, func(t int32) bool { return t == 0 })
}

// holder returns the most specific bucket that loc names, which decides where
// an item is, and the position of item in it, or -1 (check_item_loc).
func (m *Map) holder(item int32, loc map[string]string) (*Bucket, int) {
	for _, t := range m.sortedTypes() {
		name, ok := loc[m.TypeNames[t]]
		if !ok {
			continue
		}
		id, ok := m.ItemID(name)
		if b := m.Bucket(id); ok && b != nil {
			return b, b.Index(item)
		}
		return nil, -1
	}
	return nil, -1
}

// ItemAt reports whether item is linked at loc, of which only the most specific
// bucket counts, and with which weight.
func (m *Map) ItemAt(item int32, loc map[string]string) (weight uint32, ok bool) {
	b, pos := m.holder(item, loc)
	if pos < 0 {
		return 0, false
	}
	return b.WeightAt(pos), true
}

// InsertItem links item with that weight and name at loc (type name to bucket
// name), creating the buckets that are missing: `osd crush add`.
func (m *Map) InsertItem(item int32, weight float64, name string, loc map[string]string) error {
	return m.change(func(c *Map) error { return c.insert(item, weight, name, loc, item >= 0) })
}

func (m *Map) insert(item int32, weight float64, name string, loc map[string]string, sets bool) error {
	if err := checkName(name); err != nil {
		return err
	}
	if err := checkLocation(loc); err != nil {
		return err
	}
	w, err := fixed(weight)
	if err != nil {
		return err
	}
	if item >= MaxDevicesLimit {
		return errf(syscall.EINVAL, "device %d is out of range", item)
	}
	if id, ok := m.ItemID(name); !ok {
		m.ItemNames[item] = name
	} else if id != item {
		return errf(syscall.EEXIST, "name '%s' already exists as id %d", name, id)
	}
	if err := m.linkAt(item, loc); err != nil {
		return err
	}
	linked := false
	for _, typ := range slices.Sorted(maps.Keys(loc)) {
		id, _ := m.ItemID(loc[typ])
		b := m.Bucket(id)
		if b == nil || b.Index(item) < 0 {
			continue
		}
		linked = true
		if err := m.setWeightIn(b, item, w, sets); err != nil {
			return err
		}
	}
	if !linked {
		return errf(syscall.EINVAL, "there is nowhere to add item %d", item)
	}
	m.MaxDevices = max(m.MaxDevices, item+1)
	return m.rebuildClasses()
}

// linkAt links item, weightless, at the lowest bucket of loc. Buckets that
// are missing are made on the way up, each holding the one below, until one is
// there already.
func (m *Map) linkAt(item int32, loc map[string]string) error {
	cur := item
	for _, t := range m.sortedTypes() {
		name, ok := loc[m.TypeNames[t]]
		if !ok {
			continue
		}
		id, ok := m.ItemID(name)
		if !ok {
			id, err := m.AddBucket(0, 0, uint16(t), name, []int32{cur}, []uint32{0})
			if err != nil {
				return err
			}
			cur = id
			continue
		}
		b := m.Bucket(id)
		switch {
		case b == nil:
			return errf(syscall.EINVAL, "'%s' is not a bucket", name)
		case m.Contains(id, cur):
			return errf(syscall.EINVAL, "item %d already exists beneath %d", cur, id)
		case int32(b.Type) != t:
			return errf(syscall.EINVAL, "existing bucket '%s' has type '%s' != '%s'", name, m.TypeNames[int32(b.Type)], m.TypeNames[t])
		case m.Contains(cur, id):
			return errf(syscall.ELOOP, "%d already contains %d; cannot form loop", cur, id)
		}
		return m.link(b, cur, 0)
	}
	return nil
}

// CreateOrMoveItem is `osd crush create-or-move`: an item that is elsewhere
// moves to loc and keeps its weight, a new one gets weight. It reports whether
// the map changed.
func (m *Map) CreateOrMoveItem(item int32, weight float64, name string, loc map[string]string) (changed bool, err error) {
	if err := checkName(name); err != nil {
		return false, err
	}
	if _, ok := m.ItemAt(item, loc); ok {
		return false, nil
	}
	err = m.change(func(c *Map) error {
		if c.linked(item) {
			old, _ := c.ItemWeight(item)
			weight = unfixed(old)
			if err := c.remove(item, true); err != nil {
				return err
			}
		}
		return c.insert(item, weight, name, loc, item >= 0)
	})
	return err == nil, err
}

// UpdateItem is `osd crush set`: item is at loc, with that weight and name,
// after it. It reports whether the map changed.
func (m *Map) UpdateItem(item int32, weight float64, name string, loc map[string]string) (changed bool, err error) {
	if err := checkName(name); err != nil {
		return false, err
	}
	if err := checkLocation(loc); err != nil {
		return false, err
	}
	w, err := fixed(weight)
	if err != nil {
		return false, err
	}
	if old, ok := m.ItemAt(item, loc); ok && old == w && m.ItemNames[item] == name {
		return false, nil
	}
	err = m.change(func(c *Map) error {
		b, pos := c.holder(item, loc)
		if pos < 0 {
			if _, ok := c.ItemNames[item]; ok {
				// Not linked anywhere is fine too.
				if err := c.remove(item, true); err != nil && !isErrno(err, syscall.ENOENT) {
					return err
				}
			}
			return c.insert(item, weight, name, loc, true)
		}
		c.ItemNames[item] = name
		if b.WeightAt(pos) == w {
			return nil
		}
		if err := c.setWeightIn(b, item, w, true); err != nil {
			return err
		}
		return c.rebuildClasses()
	})
	return err == nil, err
}
