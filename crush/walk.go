package crush

import (
	"maps"
	"slices"
	"syscall"
)

// Location is one step up the hierarchy.
type Location struct {
	Type, Name string
}

// each calls f for all buckets, by descending id.
func (m *Map) each(f func(b *Bucket)) {
	for _, b := range m.Buckets {
		if b != nil {
			f(b)
		}
	}
}

// linked reports whether any bucket holds item.
func (m *Map) linked(item int32) bool {
	for _, b := range m.Buckets {
		if b != nil && b.Index(item) >= 0 {
			return true
		}
	}
	return false
}

// Roots returns the buckets that no bucket holds, ascending; with those of
// shadow trees only if asked for.
func (m *Map) Roots(shadow bool) []int32 {
	held := make(map[int32]bool)
	m.each(func(b *Bucket) {
		for _, item := range b.Items {
			held[item] = true
		}
	})
	var roots []int32
	m.each(func(b *Bucket) {
		if !held[b.ID] && (shadow || !m.IsShadow(b.ID)) {
			roots = append(roots, b.ID)
		}
	})
	slices.Sort(roots)
	return roots
}

// descend calls f for id and everything below it, each item once, until f is
// false.
func (m *Map) descend(id int32, f func(item int32) bool) {
	seen := map[int32]bool{id: true}
	for queue := []int32{id}; len(queue) > 0; {
		next := queue[0]
		queue = queue[1:]
		if !f(next) {
			return
		}
		if b := m.Bucket(next); b != nil {
			for _, item := range b.Items {
				if !seen[item] {
					seen[item] = true
					queue = append(queue, item)
				}
			}
		}
	}
}

// Contains reports whether item is root or below it.
func (m *Map) Contains(root, item int32) bool {
	found := false
	m.descend(root, func(i int32) bool {
		found = i == item
		return !found
	})
	return found
}

// Leaves returns the devices below id, ascending; id itself if it is one.
func (m *Map) Leaves(id int32) []int32 {
	var leaves []int32
	m.descend(id, func(i int32) bool {
		if i >= 0 {
			leaves = append(leaves, i)
		}
		return true
	})
	slices.Sort(leaves)
	return leaves
}

// Children returns what a bucket holds, nil for anything else.
func (m *Map) Children(id int32) []int32 {
	if b := m.Bucket(id); b != nil {
		return slices.Clone(b.Items)
	}
	return nil
}

// Parent returns the first bucket, other than a shadow, that holds item.
func (m *Map) Parent(item int32) (int32, bool) {
	for _, b := range m.Buckets {
		if b != nil && b.Index(item) >= 0 && !m.IsShadow(b.ID) {
			return b.ID, true
		}
	}
	return 0, false
}

// Path returns the buckets above id, from the nearest to the root.
func (m *Map) Path(id int32) []Location {
	var path []Location
	for range m.Buckets { // a path is no longer than there are buckets
		parent, ok := m.Parent(id)
		if !ok {
			break
		}
		path = append(path, Location{Type: m.TypeNames[int32(m.Bucket(parent).Type)], Name: m.ItemNames[parent]})
		id = parent
	}
	return path
}

// FullLocation returns the buckets above id as type name to bucket name, as
// `osd find` shows them.
func (m *Map) FullLocation(id int32) map[string]string {
	loc := make(map[string]string)
	for _, l := range m.Path(id) {
		if _, ok := loc[l.Type]; !ok {
			loc[l.Type] = l.Name
		}
	}
	return loc
}

// ParentOfType returns the nearest bucket of that type above item.
func (m *Map) ParentOfType(item, typ int32) (int32, bool) {
	for range m.Buckets {
		parent, ok := m.Parent(item)
		if !ok {
			return 0, false
		}
		if int32(m.Bucket(parent).Type) == typ {
			return parent, true
		}
		item = parent
	}
	return 0, false
}

// ItemWeight returns the weight of a bucket, or of a device where it is linked
// first; false if it is neither.
func (m *Map) ItemWeight(id int32) (uint32, bool) {
	for _, b := range m.Buckets {
		if b == nil {
			continue
		}
		if b.ID == id {
			return b.Weight, true
		}
		if pos := b.Index(id); pos >= 0 {
			return b.WeightAt(pos), true
		}
	}
	return 0, false
}

// Takes returns the items that a rule starts from, ascending.
func (m *Map) Takes(rule int) []int32 {
	r := m.Rule(rule)
	if r == nil {
		return nil
	}
	takes := make(map[int32]bool)
	for _, s := range r.Steps {
		if s.Op == OpTake {
			takes[s.Arg1] = true
		}
	}
	return slices.Sorted(maps.Keys(takes))
}

// RuleWeights returns the share of each device in what a rule places, as the
// weights below its takes have it; the shares of each take add up to 1
// (get_rule_weight_osd_map). Ceph calculates in single precision.
func (m *Map) RuleWeights(rule int) map[int32]float32 {
	r := m.Rule(rule)
	if r == nil {
		return nil
	}
	shares := make(map[int32]float32)
	for _, s := range r.Steps {
		if s.Op != OpTake {
			continue
		}
		weights, sum := m.deviceWeights(s.Arg1)
		for osd, w := range weights {
			if sum != 0 {
				shares[osd] += w / sum
			}
		}
	}
	return shares
}

// deviceWeights returns the weights of the devices below root and their sum.
func (m *Map) deviceWeights(root int32) (weights map[int32]float32, sum float32) {
	weights = make(map[int32]float32)
	if root >= 0 {
		weights[root] = 1
		return weights, 1
	}
	m.descend(root, func(id int32) bool {
		b := m.Bucket(id)
		if b == nil {
			return true
		}
		for pos, item := range b.Items {
			if item >= 0 {
				w := float32(b.WeightAt(pos))
				weights[item] = w
				sum += w
			}
		}
		return true
	})
	return weights, sum
}

// Validate names the first fault: an item that leads nowhere, a cycle, a rule
// that takes what is not there. Mapping with a faulty map is safe, but finds
// nothing where the fault is.
func (m *Map) Validate() error {
	for _, b := range m.Buckets {
		if b == nil {
			continue
		}
		if b.Type == 0 {
			return errf(syscall.EINVAL, "bucket %d has the type of devices", b.ID)
		}
		for _, item := range b.Items {
			if item < 0 && m.Bucket(item) == nil {
				return errf(syscall.EINVAL, "bucket %d holds bucket %d, which does not exist", b.ID, item)
			}
		}
	}
	if err := m.checkAcyclic(); err != nil {
		return err
	}
	for id := range m.Rules {
		for _, take := range m.Takes(id) {
			if take < 0 && m.Bucket(take) == nil || take >= m.MaxDevices {
				return errf(syscall.EINVAL, "rule %d takes item %d, which does not exist", id, take)
			}
		}
	}
	return nil
}

// checkAcyclic refuses a map in which a bucket is below itself, which no walk
// upward would survive. It takes buckets away that hold no others until none
// is left.
func (m *Map) checkAcyclic() error {
	waiting := make(map[int32]int)     // children not taken away yet
	parents := make(map[int32][]int32) // one entry for each link
	var ready []int32
	m.each(func(b *Bucket) {
		n := 0
		for _, item := range b.Items {
			if m.Bucket(item) != nil {
				parents[item] = append(parents[item], b.ID)
				n++
			}
		}
		waiting[b.ID] = n
		if n == 0 {
			ready = append(ready, b.ID)
		}
	})
	for len(ready) > 0 {
		id := ready[len(ready)-1]
		ready = ready[:len(ready)-1]
		delete(waiting, id)
		for _, p := range parents[id] {
			if waiting[p]--; waiting[p] == 0 {
				ready = append(ready, p)
			}
		}
	}
	if len(waiting) > 0 {
		return errf(syscall.ELOOP, "bucket %d is below itself", slices.Max(slices.Collect(maps.Keys(waiting))))
	}
	return nil
}
