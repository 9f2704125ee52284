package main

import (
	"errors"

	"sepiola/objectstore"
	"sepiola/objectstore/filestore"
)

// fsck checks the store, prints each finding on a line of its own and their number in
// the words of Ceph.
func (t *tool) fsck() error {
	n, err := t.store.Fsck(t.deep, func(f filestore.Finding) { t.complain("fsck error: %v", f) })
	switch {
	case errors.Is(err, objectstore.ErrInUse):
		return t.fail("OSD has the store locked: stop the OSD first")
	case err != nil:
		return t.fail("fsck failed: %s: %v", errText(err), err)
	case n > 0:
		return t.fail("fsck status: %d remaining error(s) and warning(s)", n)
	}
	_, err = t.out.WriteString("fsck success\n")
	return err
}
