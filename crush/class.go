package crush

import (
	"maps"
	"math"
	"slices"
	"syscall"
)

// A device class is kept as a shadow tree: for each bucket and class a copy of
// the bucket that holds just the devices of the class and the copies of the
// buckets below. Rules that take "default class ssd" take the copy, named
// "default~ssd". After every change of the hierarchy the copies are made anew,
// with the ids they had.

// SetDeviceClass is `osd crush set-device-class`. It reports whether the map
// changed; a device of another class is EBUSY.
func (m *Map) SetDeviceClass(osd int32, class string) (changed bool, err error) {
	if _, ok := m.ItemNames[osd]; !ok || osd < 0 {
		return false, errf(syscall.ENOENT, "osd.%d does not exist", osd)
	}
	if err := checkName(class); err != nil {
		return false, err
	}
	switch old := m.ItemClass(osd); old {
	case class:
		return false, nil
	case "":
	default:
		return false, errf(syscall.EBUSY, "osd.%d has already bound to class '%s', can not reset class to '%s'; use 'ceph osd crush rm-device-class <id>' to remove old class first", osd, old, class)
	}
	err = m.change(func(c *Map) error {
		c.ItemClasses[osd] = c.classID(class)
		return c.rebuildClasses()
	})
	return err == nil, err
}

// RemoveDeviceClass is `osd crush rm-device-class`. A device without a class is
// no error.
func (m *Map) RemoveDeviceClass(osd int32) error {
	if _, ok := m.ItemNames[osd]; !ok {
		return errf(syscall.ENOENT, "osd.%d does not have a name", osd)
	}
	return m.change(func(c *Map) error {
		delete(c.ItemClasses, osd)
		return c.rebuildClasses()
	})
}

// RenameClass is `osd crush class rename`.
func (m *Map) RenameClass(src, dst string) error {
	id, ok := m.ClassID(src)
	if !ok {
		return errf(syscall.ENOENT, "class '%s' does not exist", src)
	}
	if _, ok := m.ClassID(dst); ok {
		return errf(syscall.EEXIST, "class '%s' already exists", dst)
	}
	if err := checkName(dst); err != nil {
		return err
	}
	for original, classes := range m.ClassBuckets {
		if shadow, ok := classes[id]; ok {
			m.ItemNames[shadow] = m.ItemNames[original] + "~" + dst
		}
	}
	m.ClassNames[id] = dst
	return nil
}

// DevicesOfClass returns the devices of a class, ascending.
func (m *Map) DevicesOfClass(class string) []int32 {
	id, ok := m.ClassID(class)
	var devices []int32
	for item, c := range m.ItemClasses {
		if ok && item >= 0 && c == id {
			devices = append(devices, item)
		}
	}
	slices.Sort(devices)
	return devices
}

// classID returns the id of a class, which is made if need be: one above the
// highest.
func (m *Map) classID(name string) int32 {
	if id, ok := m.ClassID(name); ok {
		return id
	}
	id := int32(0)
	if len(m.ClassNames) > 0 {
		id = slices.Max(slices.Collect(maps.Keys(m.ClassNames)))
		if id == math.MaxInt32 {
			for id = 0; m.ClassNames[id] != ""; id++ {
			}
		} else {
			id++
		}
	}
	m.ClassNames[id] = name
	return id
}

// rebuildClasses makes the shadow trees anew after a change
// (rebuild_roots_with_classes).
func (m *Map) rebuildClasses() error {
	m.dropDeadClasses()
	old := m.ClassBuckets
	for _, root := range m.Roots(true) {
		if m.IsShadow(root) {
			m.removeTree(root)
		}
	}
	m.ClassBuckets = make(map[int32]map[int32]int32)
	return m.buildShadows(old)
}

// dropDeadClasses forgets classes that neither a device nor a rule uses.
func (m *Map) dropDeadClasses() {
	live := make(map[int32]bool)
	for item, class := range m.ItemClasses {
		if item >= 0 {
			live[class] = true
		}
	}
	taken := make(map[int32]bool)
	for id := range m.Rules {
		for _, take := range m.Takes(id) {
			taken[take] = true
		}
	}
	for _, classes := range m.ClassBuckets {
		for class, shadow := range classes {
			if taken[shadow] {
				live[class] = true
			}
		}
	}
	for class := range m.ClassNames {
		if !live[class] {
			delete(m.ClassNames, class)
		}
	}
}

// removeTree deletes a bucket and all buckets below it.
func (m *Map) removeTree(id int32) {
	var doomed []int32
	m.descend(id, func(item int32) bool {
		if m.Bucket(item) != nil {
			doomed = append(doomed, item)
		}
		return true
	})
	for _, b := range doomed {
		// The classes of the original are forgotten by the caller, as a whole.
		m.Buckets[-1-b] = nil
		delete(m.ItemNames, b)
		delete(m.ItemClasses, b)
		for _, args := range m.ChooseArgs {
			delete(args, b)
		}
	}
}

// shadowBuilder makes shadow trees.
type shadowBuilder struct {
	m *Map
	// old are the ids the shadows had, used all of those.
	old  map[int32]map[int32]int32
	used map[int32]bool
	// sums are the sums of the weight sets of the shadows made so far.
	sums map[int64]map[int32][]uint32
}

// buildShadows makes the shadow trees of all roots and classes. Shadows get
// the ids that old has for them (populate_classes).
func (m *Map) buildShadows(old map[int32]map[int32]int32) error {
	s := &shadowBuilder{m: m, old: old, used: make(map[int32]bool), sums: make(map[int64]map[int32][]uint32)}
	for _, classes := range old {
		for _, shadow := range classes {
			s.used[shadow] = true
		}
	}
	classes := slices.Sorted(maps.Keys(m.ClassNames))
	for _, root := range m.Roots(false) {
		for _, class := range classes {
			if _, err := s.build(root, class); err != nil {
				return err
			}
		}
	}
	return nil
}

// build makes the shadow of a bucket, after those of the buckets below, and
// returns it. It is there already where the bucket is linked twice.
func (s *shadowBuilder) build(id, class int32) (*Bucket, error) {
	m := s.m
	if shadow, ok := m.ClassBuckets[id][class]; ok {
		return m.Bucket(shadow), nil
	}
	original := m.Bucket(id)
	if original == nil || m.ItemNames[id] == "" {
		return nil, errf(syscall.ECHILD, "bucket %d does not exist or has no name", id)
	}
	shadow := &Bucket{Type: original.Type, Alg: original.Alg, Hash: original.Hash}
	var from []int // positions in the original
	for pos, item := range original.Items {
		weight := original.WeightAt(pos)
		if item >= 0 {
			if c, ok := m.ItemClasses[item]; !ok || c != class {
				continue
			}
		} else {
			child, err := s.build(item, class)
			if err != nil {
				return nil, err
			}
			item, weight = child.ID, child.Weight
		}
		if err := shadow.addItem(item, weight, m.StrawCalcVersion); err != nil {
			return nil, err
		}
		from = append(from, pos)
	}
	if err := m.place(s.shadowID(id, class), shadow); err != nil {
		return nil, err
	}
	m.ItemClasses[shadow.ID] = class
	m.ItemNames[shadow.ID] = m.ItemNames[id] + "~" + m.ClassNames[class]
	if m.ClassBuckets[id] == nil {
		m.ClassBuckets[id] = make(map[int32]int32)
	}
	m.ClassBuckets[id][class] = shadow.ID
	s.weightSets(original, shadow, from)
	return shadow, nil
}

// shadowID is the id the shadow had before, or the first that no bucket has
// and no shadow had.
func (s *shadowBuilder) shadowID(id, class int32) int32 {
	if old, ok := s.old[id][class]; ok {
		return old
	}
	next := int32(-1)
	for s.m.Bucket(next) != nil || s.used[next] {
		next--
	}
	return next
}

// weightSets gives the shadow the weight sets of its original: of devices the
// same weights, of buckets the sums of their shadows'.
func (s *shadowBuilder) weightSets(original, shadow *Bucket, from []int) {
	for id, args := range s.m.ChooseArgs {
		a := args[original.ID]
		if a == nil || len(a.WeightSet) == 0 {
			continue
		}
		c := &ChooseArg{WeightSet: make([][]uint32, len(a.WeightSet))}
		for p, set := range a.WeightSet {
			c.WeightSet[p] = make([]uint32, len(from))
			for i, pos := range from {
				item := shadow.Items[i]
				if sums := s.sums[id][item]; item < 0 && p < len(sums) {
					c.WeightSet[p][i] = sums[p]
				} else if item >= 0 && pos < len(set) {
					c.WeightSet[p][i] = set[pos]
				}
			}
		}
		args[shadow.ID] = c
		if s.sums[id] == nil {
			s.sums[id] = make(map[int32][]uint32)
		}
		s.sums[id][shadow.ID] = c.sums()
	}
}
