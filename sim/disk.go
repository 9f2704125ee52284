package sim

import (
	"fmt"
	"time"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/objectstore/memstore"
	"sepiola/wire"
)

// disk is an OSD's store with the faults of a disk: commits that take their time,
// objects that cannot be read.
type disk struct {
	*memstore.Store
	w *world
	// slow multiplies the time that a commit takes.
	slow int
	full bool // up to the failsafe ratio
	// bad are objects whose data cannot be read.
	bad        map[place]bool
	committing bool
}

type place struct {
	coll objectstore.Coll
	id   object.GID
}

func newDisk(w *world, osd int32) *disk {
	d := &disk{Store: memstore.NewWith(memstore.Options{Manual: true}), w: w, slow: 1, bad: map[place]bool{}}
	w.must(d.Mkfs(objectstore.Identity{WhoAmI: osd}))
	return d
}

// Read implements objectstore.Reader.
func (d *disk) Read(c objectstore.Coll, o object.GID, off, n uint64) (wire.Buf, error) {
	if d.bad[place{c, o}] {
		return nil, fmt.Errorf("%v: %w", o, objectstore.ErrIO)
	}
	return d.Store.Read(c, o, off, n)
}

// submit applies a transaction; some time later it is durable.
func (d *disk) submit(n *node, tx *objectstore.Transaction, done func()) error {
	if len(d.bad) > 0 {
		d.rewrite(tx)
	}
	if err := d.Submit(tx, done); err != nil {
		return err
	}
	d.plan(n)
	return nil
}

// rewrite forgets errors of objects that are made anew.
func (d *disk) rewrite(tx *objectstore.Transaction) {
	for i := range tx.Ops {
		if op := &tx.Ops[i]; op.Kind == objectstore.OpRemove {
			delete(d.bad, place{op.Coll, op.Object})
		}
	}
}

// plan sees to it that what is pending is durable sometime.
func (d *disk) plan(n *node) {
	if d.committing || d.Pending() == 0 {
		return
	}
	d.committing = true
	took := d.w.uniform(50*time.Microsecond, 400*time.Microsecond) * time.Duration(d.slow)
	n.after(took, func() {
		d.committing = false
		k := 1 + d.w.rng.IntN(d.Pending())
		d.Commit(k)
		d.plan(n)
	})
}
