package pglog

import (
	"fmt"

	"sepiola/object"
)

// RebuildMissing works out a copy's missing set from its log and the store
// (PGLog::rebuild_missing_set_with_deletes): an object is missing if the store has
// an older version than the newest entry after LastComplete on it, or none. Objects
// that the log says nothing of, as those that scrub or a read found damaged, stay as
// they are. The new set includes deletes.
//
// onDisk returns the version of an object in the store; ok is false if it is not
// there. Its errors are passed on. The copy is not changed.
func RebuildMissing(c Copy, onDisk func(object.ID) (v Version, ok bool, err error)) (*Missing, error) {
	m := c.Missing.Clone()
	m.Clear()
	m.IncludesDeletes = true
	for o, i := range c.Missing.Sorted() {
		if c.Log.Newest(o) == nil {
			m.Add(o, i.Need, i.Have, i.Delete)
		}
	}
	for _, n := range c.Log.EntriesAfter(c.Info.LastComplete) {
		if n != c.Log.Newest(n.Object) || c.Info.LastBackfill.Less(n.Object) {
			continue
		}
		have, ok, err := onDisk(n.Object)
		if err != nil {
			return nil, fmt.Errorf("version of %v: %w", n.Object, err)
		}
		if !ok || have.Less(n.Version) {
			m.Add(n.Object, n.Version, have, n.IsDelete())
		}
	}
	return m, nil
}
