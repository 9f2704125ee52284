package crush

// Validate names the first fault of the map, nil if it is sound.
func (m *Map) Validate() error { return nil }

// NewDefault returns the map of a fresh Ceph 16 cluster.
func NewDefault() *Map { return New() }

// InsertItem links item with that weight and name at loc (type name to bucket
// name), creating the buckets that are missing.
func (m *Map) InsertItem(item int32, weight float64, name string, loc map[string]string) error {
	return nil
}

// CreateOrMoveItem is `osd crush create-or-move`: an item that is elsewhere
// moves to loc and keeps its weight, a new one gets weight. It reports whether
// the map changed.
func (m *Map) CreateOrMoveItem(item int32, weight float64, name string, loc map[string]string) (bool, error) {
	return false, nil
}

// UpdateItem is `osd crush set`: item is at loc with that weight after it. It
// reports whether the map changed.
func (m *Map) UpdateItem(item int32, weight float64, name string, loc map[string]string) (bool, error) {
	return false, nil
}

// RemoveItem is `osd crush remove`.
func (m *Map) RemoveItem(item int32, unlinkOnly bool) error { return nil }

// MoveBucket is `osd crush move`.
func (m *Map) MoveBucket(id int32, loc map[string]string) error { return nil }

// LinkBucket is `osd crush link`.
func (m *Map) LinkBucket(id int32, loc map[string]string) error { return nil }

// AdjustItemWeight is `osd crush reweight`: sets the weight wherever item is
// linked.
func (m *Map) AdjustItemWeight(item int32, weight float64) error { return nil }

// AdjustSubtreeWeight is `osd crush reweight-subtree`.
func (m *Map) AdjustSubtreeWeight(id int32, weight float64) error { return nil }

// Reweight is `osd crush reweight-all`: recalculates all buckets from their
// devices.
func (m *Map) Reweight() {}

// AddBucket adds a bucket; id 0 takes the next free one, alg 0 the preferred
// of the allowed ones.
func (m *Map) AddBucket(id int32, alg Alg, typ uint16, name string, items []int32, weights []uint32) (int32, error) {
	return 0, nil
}

// AddSimpleRule is `osd crush rule create-replicated` and create-simple. mode
// is "firstn" or "indep"; class "" is any. It returns the rule's id.
func (m *Map) AddSimpleRule(name, root, failureDomain, class, mode string, typ RuleType) (int, error) {
	return 0, nil
}

// RemoveRule is `osd crush rule rm`.
func (m *Map) RemoveRule(id int) error { return nil }

// SetDeviceClass is `osd crush set-device-class`. It reports whether the map
// changed.
func (m *Map) SetDeviceClass(osd int32, class string) (bool, error) { return false, nil }

// RemoveDeviceClass is `osd crush rm-device-class`.
func (m *Map) RemoveDeviceClass(osd int32) error { return nil }

// ItemName returns the name of a device or bucket, "" if it has none.
func (m *Map) ItemName(id int32) string { return m.ItemNames[id] }

// ItemID finds a device or bucket by name.
func (m *Map) ItemID(name string) (int32, bool) { return 0, false }

// TypeID finds a bucket type by name.
func (m *Map) TypeID(name string) (int32, bool) { return 0, false }

// RuleID finds a rule by name.
func (m *Map) RuleID(name string) (int, bool) { return 0, false }

// ClassID finds a device class by name.
func (m *Map) ClassID(name string) (int32, bool) { return 0, false }

// ItemClass returns the name of the class of a device or shadow bucket, "" if
// it has none.
func (m *Map) ItemClass(id int32) string { return m.ClassNames[m.ItemClasses[id]] }

// Roots returns the buckets that no bucket holds, ascending; with shadow
// buckets only if asked for.
func (m *Map) Roots(shadow bool) []int32 { return nil }

// ItemWeight returns the weight of a bucket, or of a device where it is first linked.
func (m *Map) ItemWeight(id int32) (uint32, bool) { return 0, false }

// Leaves returns the devices below id.
func (m *Map) Leaves(id int32) []int32 { return nil }

// FullLocation returns the chain of buckets above id as type name to bucket
// name.
func (m *Map) FullLocation(id int32) map[string]string { return nil }

// Decompile returns the text form.
func (m *Map) Decompile() (string, error) { return "", nil }

// Compile reads the text form. file is used in errors.
func Compile(file, text string) (*Map, error) { return New(), nil }
