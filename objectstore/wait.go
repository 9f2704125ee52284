package objectstore

import (
	"fmt"

	"sepiola/object"
)

// SubmitWait applies a transaction and returns when it is durable.
func SubmitWait(s Store, tx *Transaction) error {
	done := make(chan struct{})
	if err := s.Submit(tx, func() { close(done) }); err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-s.Failed():
		return s.Err()
	}
}

// removeChunk is how many objects one transaction of [RemoveColl] removes.
const removeChunk = 256

// RemoveColl removes a PG's collection with all its objects. The PG's metadata
// object goes in the last transaction, with the collection: what it says of the
// removal holds until nothing is left.
func RemoveColl(s Store, c Coll) error {
	for {
		// One more for the metadata object, which is not removed on the way.
		list, _, err := s.List(c, object.GMin, object.GMax, removeChunk+1)
		if err != nil {
			return fmt.Errorf("removing collection %v: %w", c, err)
		}
		tx := &Transaction{}
		for _, o := range list {
			if !o.IsPGMeta() {
				tx.Remove(c, o)
			}
		}
		last := len(list) <= removeChunk
		if last {
			tx.Remove(c, c.PG.MetaObject())
			tx.RmColl(c)
		}
		if err := SubmitWait(s, tx); err != nil || last {
			return err
		}
	}
}
