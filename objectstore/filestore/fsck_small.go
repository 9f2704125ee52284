package filestore

import (
	"fmt"
	"maps"
	"slices"
)

// small is what the index says of an object with data in the key-value store.
type small struct {
	bytes uint32
	where string
}

// checkData checks the data of an object without a file against its index entry.
func (c *checker) checkData(nid uint64, rest, value []byte) string {
	n, ok := c.small[nid]
	switch {
	case len(rest) != 0:
		return "malformed"
	case !ok:
		return fmt.Sprintf("no object of the number %d has data here", nid)
	}
	delete(c.small, nid)
	if len(value) != int(n.bytes) {
		return fmt.Sprintf("%d bytes, and the index entry of %s says %d", len(value), n.where, n.bytes)
	}
	return ""
}

// missingData tells of objects whose data was not found.
func (c *checker) missingData() {
	for _, nid := range slices.Sorted(maps.Keys(c.small)) {
		c.note(c.small[nid].where, -1, "its data, %d bytes, is missing in the key-value store", c.small[nid].bytes)
	}
}
