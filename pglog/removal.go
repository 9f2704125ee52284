package pglog

import (
	"fmt"

	"sepiola/object"
	"sepiola/objectstore"
)

// keyRemove marks a PG's metadata object: what there is of the PG is not whole, and
// has to be removed before anything else is done with it (src/osd/PG.cc,
// _has_removal_flag).
const keyRemove = "_remove"

// MarkForRemoval adds the mark to a PG's metadata object, which is made if there is
// none.
func MarkForRemoval(tx *objectstore.Transaction, pg object.SPGID) {
	tx.OmapSet(objectstore.PGColl(pg), pg.MetaObject(), map[string][]byte{keyRemove: {1}})
}

// UnmarkForRemoval takes the mark off.
func UnmarkForRemoval(tx *objectstore.Transaction, pg object.SPGID) {
	tx.OmapRm(objectstore.PGColl(pg), pg.MetaObject(), []string{keyRemove})
}

// IsMarkedForRemoval reports whether the mark is there.
func IsMarkedForRemoval(r objectstore.Reader, pg object.SPGID) (bool, error) {
	got, err := r.OmapGet(objectstore.PGColl(pg), pg.MetaObject(), []string{keyRemove})
	if err != nil {
		return false, fmt.Errorf("metadata of PG %v: %w", pg, err)
	}
	_, marked := got[keyRemove]
	return marked, nil
}
