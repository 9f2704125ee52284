package pglog

import (
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/google/btree"

	"sepiola/object"
	"sepiola/wire"
)

// MissingItem says what a copy lacks of one object (pg_missing_item).
type MissingItem struct {
	Need   Version // the version it should have
	Have   Version // the version it has; zero for none
	Delete bool    // what is needed is that the object is gone
	Clean  CleanRegions
}

// NewMissingItem returns an item of which nothing is known to be clean.
func NewMissingItem(need, have Version, del bool) MissingItem {
	return MissingItem{Need: need, Have: have, Delete: del, Clean: AllDirty()}
}

// needMark stands where older releases put the needed version, and says that
// clean regions follow (pg_missing_item::encode).
var needMark = MaxVersion

// missingFlagDelete is pg_missing_item::FLAG_DELETE.
const missingFlagDelete = 1

// Encode appends pg_missing_item as Ceph 15 and later write it.
func (i MissingItem) Encode(e *wire.Encoder) {
	Version{}.Encode(e)
	needMark.Encode(e)
	i.Need.Encode(e)
	i.Have.Encode(e)
	e.U8(uint8(b2i(i.Delete) * missingFlagDelete))
	i.Clean.Encode(e)
}

// missingItemSize is the least length of an encoded item in bytes.
const missingItemSize = 3*versionSize + 1

// DecodeMissingItem reads pg_missing_item in the form of Ceph 12 and later.
func DecodeMissingItem(d *wire.Decoder) MissingItem {
	if first := DecodeVersion(d); d.Err() == nil && !first.IsZero() {
		d.Fail("missing item in the form of before Ceph 12")
	}
	i := MissingItem{Need: DecodeVersion(d), Clean: AllDirty()}
	marked := i.Need == needMark
	if marked {
		i.Need = DecodeVersion(d)
	}
	i.Have = DecodeVersion(d)
	i.Delete = d.U8()&missingFlagDelete != 0
	if marked {
		i.Clean = DecodeCleanRegions(d)
	}
	return i
}

// String returns "need have", as in Ceph's logs.
func (i MissingItem) String() string {
	flags := "none"
	if i.Delete {
		flags = "delete"
	}
	return fmt.Sprintf("need %v have %v flags = %s", i.Need, i.Have, flags)
}

// needKey orders the objects of a missing set by what they need.
type needKey struct {
	need Version
	id   object.ID
}

func lessNeed(a, b needKey) bool {
	if c := a.need.Compare(b.need); c != 0 {
		return c < 0
	}
	return a.id.Less(b.id)
}

// Missing is the set of objects a copy of a PG should have in another version
// than it has (pg_missing_t), found by object and in the order of the versions
// needed. The zero value is empty and ready. It remembers which objects changed,
// for [Persister].
type Missing struct {
	// IncludesDeletes says that objects to delete may be among the items
	// (may_include_deletes); always so between releases this project speaks to.
	IncludesDeletes bool

	items   map[object.ID]MissingItem
	byNeed  *btree.BTreeG[needKey]
	changed map[object.ID]struct{}
}

// NewMissing returns an empty set that may include deletes.
func NewMissing() *Missing { return &Missing{IncludesDeletes: true} }

// Len returns how many objects are missing.
func (m *Missing) Len() int { return len(m.items) }

// Get returns the item of an object.
func (m *Missing) Get(o object.ID) (MissingItem, bool) {
	i, ok := m.items[o]
	return i, ok
}

// Has reports whether the object is missing.
func (m *Missing) Has(o object.ID) bool {
	_, ok := m.items[o]
	return ok
}

// HasUpTo reports whether the object is missing in a version of at most v.
func (m *Missing) HasUpTo(o object.ID, v Version) bool {
	i, ok := m.items[o]
	return ok && i.Need.AtMost(v)
}

// OldestNeed returns the earliest version needed; zero if nothing is missing.
func (m *Missing) OldestNeed() Version {
	if m.byNeed == nil {
		return Version{}
	}
	k, _ := m.byNeed.Min()
	return k.need
}

// Sorted goes through the items in the order of their objects.
func (m *Missing) Sorted() iter.Seq2[object.ID, MissingItem] {
	return func(yield func(object.ID, MissingItem) bool) {
		for _, o := range slices.SortedFunc(maps.Keys(m.items), object.ID.Compare) {
			if !yield(o, m.items[o]) {
				return
			}
		}
	}
}

// ByNeed goes through the items whose needed version is at least from, in the
// order of those versions. The set must not change meanwhile.
func (m *Missing) ByNeed(from Version) iter.Seq2[object.ID, MissingItem] {
	return func(yield func(object.ID, MissingItem) bool) {
		if m.byNeed == nil {
			return
		}
		m.byNeed.AscendGreaterOrEqual(needKey{need: from, id: object.Min}, func(k needKey) bool {
			return yield(k.id, m.items[k.id])
		})
	}
}

// Set puts an item in the place of whatever was known of the object.
func (m *Missing) Set(o object.ID, i MissingItem) {
	if m.items == nil {
		m.items = map[object.ID]MissingItem{}
		m.byNeed = btree.NewG(16, lessNeed)
	}
	if old, ok := m.items[o]; ok {
		m.byNeed.Delete(needKey{old.Need, o})
	}
	m.items[o] = i
	m.byNeed.ReplaceOrInsert(needKey{i.Need, o})
	m.touch(o)
}

// Add puts an object of which nothing is known to be clean.
func (m *Missing) Add(o object.ID, need, have Version, del bool) {
	m.Set(o, NewMissingItem(need, have, del))
}

// Remove takes an object out; it is no error if it is not there.
func (m *Missing) Remove(o object.ID) {
	old, ok := m.items[o]
	if !ok {
		return
	}
	m.byNeed.Delete(needKey{old.Need, o})
	delete(m.items, o)
	m.touch(o)
}

// Got records that the copy now has the object in version v. It is an error if
// the object is not missing or needs a later version than v and is not to be
// deleted; nothing changes then.
func (m *Missing) Got(o object.ID, v Version) error {
	i, ok := m.items[o]
	switch {
	case !ok:
		return fmt.Errorf("got %v at %v, which is not missing", o, v)
	case v.Less(i.Need) && !i.Delete:
		return fmt.Errorf("got %v at %v, but %v is needed", o, v, i.Need)
	}
	m.Remove(o)
	return nil
}

// AddNext extends the set by an entry that the copy has in its log but whose
// effect it lacks. Entries come in log order, and the set is right up to the
// one before (pg_missing_set::add_next_event).
func (m *Missing) AddNext(n *Entry) {
	old, was := m.items[n.Object]
	next := MissingItem{Need: n.Version, Delete: n.IsDelete()}
	switch {
	case n.PriorVersion.IsZero() || n.IsClone(): // nothing to start from
		next.Clean = AllDirty()
	case was:
		next.Have = old.Have
		next.Clean = old.Clean.Merge(n.Clean)
	default:
		next.Have = n.PriorVersion
		next.Clean = n.Clean
	}
	if n.IsLostRevert() {
		next.Clean = AllDirty()
	}
	m.Set(n.Object, next)
}

// MergeClean narrows what is clean of a missing object by an entry newer than
// what the copy has of it.
func (m *Missing) MergeClean(n *Entry) {
	i, ok := m.items[n.Object]
	if ok && !i.Have.IsZero() && i.Have.Less(n.Version) {
		i.Clean = i.Clean.Merge(n.Clean)
		m.Set(n.Object, i)
	}
}

// ReviseNeed changes what is needed of an object and keeps what it has; an
// object that was not missing has nothing.
func (m *Missing) ReviseNeed(o object.ID, need Version, del bool) {
	m.Add(o, need, m.items[o].Have, del)
}

// ReviseHave changes what a missing object has.
func (m *Missing) ReviseHave(o object.ID, have Version) {
	if i, ok := m.items[o]; ok {
		i.Have = have
		m.Set(o, i)
	}
}

// MarkFullyDirty forgets what is clean of a missing object.
func (m *Missing) MarkFullyDirty(o object.ID) {
	if i, ok := m.items[o]; ok {
		i.Clean = AllDirty()
		m.Set(o, i)
	}
}

// Clear empties the set.
func (m *Missing) Clear() {
	for o := range m.items {
		m.touch(o)
	}
	m.items, m.byNeed = nil, nil
}

// Clone returns a copy; changes to one do not show in the other.
func (m *Missing) Clone() *Missing {
	c := &Missing{IncludesDeletes: m.IncludesDeletes, changed: maps.Clone(m.changed)}
	if len(m.items) > 0 {
		c.items = maps.Clone(m.items)
		c.byNeed = m.byNeed.Clone()
	}
	return c
}

// Equal reports whether both hold the same items.
func (m *Missing) Equal(o *Missing) bool {
	return maps.EqualFunc(m.items, o.items, func(a, b MissingItem) bool {
		return a.Need == b.Need && a.Have == b.Have && a.Delete == b.Delete && a.Clean.Equal(b.Clean)
	})
}

func (m *Missing) touch(o object.ID) {
	if m.changed == nil {
		m.changed = map[object.ID]struct{}{}
	}
	m.changed[o] = struct{}{}
}

// TakeChanged returns the objects whose items changed since the last call, in
// order, and forgets them.
func (m *Missing) TakeChanged() []object.ID {
	out := slices.SortedFunc(maps.Keys(m.changed), object.ID.Compare)
	m.changed = nil
	return out
}

// String returns Ceph's form.
func (m *Missing) String() string {
	return fmt.Sprintf("missing(%d may_include_deletes = %d)", m.Len(), b2i(m.IncludesDeletes))
}

// Encode appends pg_missing_t, version 5.
func (m *Missing) Encode(e *wire.Encoder) {
	mark := e.Begin(5, 2)
	e.U32(uint32(m.Len()))
	for o, i := range m.Sorted() {
		o.Encode(e)
		i.Encode(e)
	}
	e.Bool(m.IncludesDeletes)
	e.End(mark)
}

// DecodeMissing reads pg_missing_t, version 3 and later.
func DecodeMissing(d *wire.Decoder) *Missing {
	s := d.Begin(5)
	if d.Err() == nil && s.Version < 3 {
		d.Fail("missing set of version %d", s.Version)
	}
	m := &Missing{}
	for range d.Count(objectIDSize + missingItemSize) {
		o, i := object.DecodeID(d), DecodeMissingItem(d)
		if d.Err() != nil {
			break
		}
		m.Set(o, i)
	}
	if s.Version >= 4 {
		m.IncludesDeletes = d.Bool()
	}
	d.End(s)
	m.changed = nil
	return m
}

// objectIDSize is the least length of an encoded object id in bytes.
const objectIDSize = 6 + 4 + 4 + 8 + 4 + 1
