package filestore

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"sepiola/object"
	"sepiola/objectstore"
)

// resolver turns a transaction into its redo record: it runs the steps against
// copies of the objects they touch, and notes what changes in files and key-value
// store, as absolute values. Nothing is visible to others before commit. The
// collections are locked all the time.
type resolver struct {
	s      *Store
	t      *txn
	kv     *pebble.Batch
	colls  []stagedColl
	stages []*stage
	byKey  map[stageKey]*stage // of stages, once there are many
	made   []*file             // references for objects' new files
	drop   []*file             // references of objects that lost their file
	placed []placement         // of new files
	left   []placement         // of files that go
	pinned []*obj              // that stages were taken from
}

type stageKey struct {
	c   *collection
	gid object.GID
}

type stagedColl struct {
	c      *collection
	exists bool
	bits   uint32
	dirty  bool
}

// stage is an object as the steps so far have left it.
type stage struct {
	c       *collection
	gid     object.GID
	o       *obj // nil for an object that is not in memory
	exists  bool
	existed bool   // before the transaction, under this id
	was     uint64 // its size then
	m       meta

	entry     bool       // the index entry changes
	ownAttrs  bool       // m.attrs is a copy already
	newAttrs  bool       // they differ from what the index has the checksum of
	newData   bool       // m.data differs from what the key-value store has
	dirty     []sumChunk // chunks that change, with memory of their own
	line      int        // of the file in the record's table, -1 for none
	freshEnd  uint64     // while the file is made by this transaction: how far its data reaches
	freshFile bool       // the file is made by this transaction in the fresh directory
}

func (r *resolver) coll(id objectstore.Coll) *stagedColl {
	for i := range r.colls {
		if r.colls[i].c.id == id {
			return &r.colls[i]
		}
	}
	return nil
}

// need returns the collection, which must exist.
func (r *resolver) need(id objectstore.Coll) (*collection, error) {
	if sc := r.coll(id); sc != nil && sc.exists {
		return sc.c, nil
	}
	return nil, fmt.Errorf("collection %v: %w", id, objectstore.ErrNotFound)
}

// get returns the stage of an object, which may not exist.
func (r *resolver) get(c *collection, gid object.GID) (*stage, error) {
	if st := r.staged(c, gid); st != nil {
		return st, nil
	}
	o, err := r.s.lookup(c, gid)
	if err != nil {
		return nil, err
	}
	st := &stage{c: c, gid: gid, o: o, exists: o != nil, existed: o != nil, line: -1}
	if o != nil {
		o.mu.Lock()
		st.m = o.meta
		o.pins++ // looking up others must not evict it
		o.mu.Unlock()
		r.pinned = append(r.pinned, o)
		st.was = st.m.size
	}
	r.add(st)
	return st, nil
}

// manyStages is how many objects a transaction touches before they are looked up by a
// map.
const manyStages = 16

func (r *resolver) add(st *stage) {
	r.stages = append(r.stages, st)
	switch {
	case r.byKey != nil:
		r.byKey[stageKey{st.c, st.gid}] = st
	case len(r.stages) > manyStages:
		r.byKey = make(map[stageKey]*stage, 4*manyStages)
		for _, st := range r.stages {
			r.byKey[stageKey{st.c, st.gid}] = st
		}
	}
}

// staged returns the stage of an object that a step has touched already.
func (r *resolver) staged(c *collection, gid object.GID) *stage {
	if r.byKey != nil {
		return r.byKey[stageKey{c, gid}]
	}
	for _, st := range r.stages {
		if st.c == c && st.gid == gid {
			return st
		}
	}
	return nil
}

func (r *resolver) create(st *stage) {
	st.exists, st.entry = true, true
	st.m = meta{onode: onode{nid: r.s.newID()}, attrs: map[string][]byte{}, whole: true}
	st.ownAttrs, st.newAttrs, st.dirty, st.line = true, true, nil, -1
	st.freshFile, st.freshEnd, st.newData = false, 0, false
	st.o = nil // a new object, whatever had the name before
}

// existing returns the stage of an object that exists.
func (r *resolver) existing(c *collection, gid object.GID) (*stage, error) {
	st, err := r.get(c, gid)
	if err == nil && !st.exists {
		err = objectstore.ErrNotFound
	}
	return st, err
}

func (r *resolver) step(op *objectstore.Op) error {
	switch op.Kind {
	case objectstore.OpNop:
		return nil
	case objectstore.OpMkColl:
		sc := r.coll(op.Coll)
		if sc.exists {
			return objectstore.ErrExists
		}
		*sc = stagedColl{sc.c, true, op.Bits, true}
		return r.kv.Set(collKey(op.Coll), appendBits(nil, op.Bits), nil)
	}
	c, err := r.need(op.Coll)
	if err != nil {
		return err
	}
	switch op.Kind {
	case objectstore.OpRmColl:
		return r.rmColl(c)
	case objectstore.OpCollHint:
		return nil
	case objectstore.OpSplitColl, objectstore.OpMergeColl, objectstore.OpMoveRename:
		d, err := r.need(op.DstColl)
		if err != nil {
			return err
		}
		switch op.Kind {
		case objectstore.OpSplitColl:
			return r.split(c, d, op.Bits, op.Seed)
		case objectstore.OpMergeColl:
			return r.merge(c, d, op.Bits)
		}
		return r.rename(c, op.Object, d, op.DstObject)
	}
	return r.objectStep(c, op)
}

// objectStep runs the steps that create their object.
func (r *resolver) objectStep(c *collection, op *objectstore.Op) error {
	switch op.Kind {
	case objectstore.OpRemove, objectstore.OpTryRename:
		st, err := r.get(c, op.Object)
		if err != nil || !st.exists {
			return err
		}
		if op.Kind == objectstore.OpTryRename {
			return r.rename(c, op.Object, c, op.DstObject)
		}
		return r.remove(st)
	case objectstore.OpCreate, objectstore.OpTouch, objectstore.OpWrite, objectstore.OpZero,
		objectstore.OpTruncate, objectstore.OpAllocHint, objectstore.OpSetAttr, objectstore.OpSetAttrs,
		objectstore.OpOmapSet, objectstore.OpOmapHeader:
	default:
		return r.existingStep(c, op)
	}
	st, err := r.get(c, op.Object)
	if err != nil {
		return err
	}
	if !st.exists {
		r.create(st)
	} else if op.Kind == objectstore.OpCreate {
		return objectstore.ErrExists
	}
	switch op.Kind {
	case objectstore.OpWrite:
		if uint64(op.Data.Len()) != op.Len {
			return objectstore.ErrInvalid
		}
		return r.write(st, op.Off, op.Data)
	case objectstore.OpZero:
		return r.zero(st, op.Off, op.Len)
	case objectstore.OpTruncate:
		return r.truncate(st, op.Off)
	case objectstore.OpAllocHint:
		if st.m.hint != op.Hint {
			st.m.hint, st.entry = op.Hint, true
		}
	case objectstore.OpSetAttr:
		return r.setAttr(st, op.Name, op.Data.Flat())
	case objectstore.OpSetAttrs:
		return r.setAttrs(st, op.Pairs)
	case objectstore.OpOmapSet:
		return r.omapSet(st, op.Pairs)
	case objectstore.OpOmapHeader:
		return r.omapHeader(st, op.Data.Flat())
	}
	return nil
}

// existingStep runs the steps that create nothing.
func (r *resolver) existingStep(c *collection, op *objectstore.Op) error {
	st, err := r.existing(c, op.Object)
	if err != nil {
		if st != nil && (op.Kind == objectstore.OpRmAttrs || op.Kind == objectstore.OpOmapClear) {
			return nil
		}
		return err
	}
	switch op.Kind {
	case objectstore.OpRmAttr:
		return r.rmAttr(st, op.Name)
	case objectstore.OpRmAttrs:
		return r.rmAttrs(st)
	case objectstore.OpOmapRm:
		return r.omapRm(st, op.Keys)
	case objectstore.OpOmapRmRange:
		return r.omapRmRange(st, op.Name, op.NameEnd)
	case objectstore.OpOmapClear:
		return r.omapClear(st)
	case objectstore.OpClone:
		return r.clone(st, op.DstObject)
	case objectstore.OpCloneRange:
		return r.cloneRange(st, op.DstObject, op.Off, op.Len, op.DstOff)
	}
	return objectstore.ErrInvalid
}

// finish completes the record. After it only commit follows, which cannot fail.
func (r *resolver) finish() error {
	for _, st := range r.stages {
		if st.exists {
			r.t.stored += int64(st.m.size)
			if st.newAttrs {
				st.m.attrSum, st.m.summed, st.entry = 0, st.m.fid != 0, true
				if st.m.summed {
					st.m.attrSum = attrsSum(st.m.attrs)
				}
			}
			if err := errors.Join(r.putSums(st), r.saveSmall(st)); err != nil {
				return err
			}
		}
		if st.existed {
			r.t.stored -= int64(st.was)
		}
		switch {
		case st.exists && st.entry:
			if err := r.kv.Set(objectKey(st.c.id, st.gid), st.m.onode.encode(st.c.id, st.m.attrs), nil); err != nil {
				return err
			}
		case !st.exists && st.existed:
			if err := r.kv.Delete(objectKey(st.c.id, st.gid), nil); err != nil {
				return err
			}
		}
	}
	if !r.kv.Empty() {
		r.t.kv = r.kv.Repr()
	}
	return nil
}

// commit makes the outcome visible.
func (r *resolver) commit() {
	t := r.t
	t.batch, r.kv = r.kv, nil
	inMemory := -r.inMemory()
	for i := range r.colls {
		if sc := &r.colls[i]; sc.dirty {
			if sc.exists && !sc.c.exists { // it is empty
				sc.c.known = newPresence(nil)
			}
			sc.c.exists, sc.c.bits = sc.exists, sc.bits
		}
	}
	// First what goes, then what is put in its place: a rename within the
	// transaction does both for one object.
	for _, st := range r.stages {
		if st.existed {
			delete(st.c.objects, st.gid)
		}
	}
	for _, st := range r.stages {
		if st.exists != st.existed {
			t.index = append(t.index, st.c.setIndex(st.gid, st.exists))
		}
		if st.exists && !st.existed {
			st.c.came(st.gid)
		}
		if !st.exists {
			continue
		}
		o := st.o
		if o == nil {
			o = &obj{}
		}
		o.mu.Lock()
		pins := o.pins
		o.meta = st.m
		if o.dataTxn == t {
			r.s.small.drop(o.nid)
		}
		o.settle() // what was applied meanwhile is not pending any more
		o.pins = pins + 1
		o.mu.Unlock()
		t.objects = append(t.objects, o)
		st.o = o
		st.c.objects[st.gid] = o
	}
	r.s.cached.Add(int64(inMemory + r.inMemory()))
	for _, f := range r.drop {
		r.s.files.release(f)
	}
	for _, p := range r.left {
		r.s.dirs.leave(p)
	}
	r.s.noteHot(t)
	for i := range r.colls {
		r.s.evictFrom(r.colls[i].c, nil)
	}
}

// inMemory returns how many objects of the collections are in memory.
func (r *resolver) inMemory() int {
	n := 0
	for i := range r.colls {
		n += len(r.colls[i].c.objects)
	}
	return n
}

func (p *pendData) settled() bool {
	return p.txn.settled.Load() || (p.fresh || p.from != nil) && p.txn.freshDone.Load()
}

// setIndex notes that the object exists, or does not, from now on.
func (c *collection) setIndex(gid object.GID, exists bool) indexMark {
	e := c.entry(gid)
	if e == nil {
		e = &indexEntry{gid: gid}
		c.index.ReplaceOrInsert(e)
	}
	e.exists = exists
	e.txns++
	return indexMark{c, gid}
}

// unpin lets go of the objects that stages were taken from.
func (r *resolver) unpin() {
	for _, o := range r.pinned {
		o.mu.Lock()
		o.pins--
		o.mu.Unlock()
	}
}

// abandon gives back what a failed resolution took.
func (r *resolver) abandon() {
	r.kv.Close()
	for _, f := range r.made {
		r.s.files.release(f)
	}
	for i := range r.t.files {
		r.s.files.release(r.t.files[i].file)
	}
	for i := range r.t.fresh {
		r.t.fresh[i].release(r.s.files)
	}
	for _, p := range r.placed {
		r.s.dirs.leave(p)
	}
}
