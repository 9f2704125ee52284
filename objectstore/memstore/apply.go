package memstore

import (
	"bytes"
	"fmt"

	"sepiola/object"
	"sepiola/objectstore"
)

// editor applies one transaction to a copy of a content.
type editor struct {
	s     *content
	colls map[objectstore.Coll]*coll // copied already, may be changed
	own   map[*obj]struct{}          // so are these objects
}

// apply returns s changed by tx, leaving s as it is.
func (s *content) apply(tx *objectstore.Transaction) (*content, error) {
	e := editor{
		s:     &content{s.colls.Clone()},
		colls: make(map[objectstore.Coll]*coll, 2),
		own:   make(map[*obj]struct{}, 4),
	}
	for i := range tx.Ops {
		op := &tx.Ops[i]
		if err := e.step(op); err != nil {
			return nil, fmt.Errorf("%v of %v in %v, step %d: %w", op.Kind, op.Object, op.Coll, i, err)
		}
	}
	return e.s, nil
}

func (e *editor) coll(id objectstore.Coll) *coll {
	if c := e.colls[id]; c != nil {
		return c
	}
	c := e.s.coll(id)
	if c == nil {
		return nil
	}
	return e.put(&coll{c.id, c.bits, c.objects.Clone()})
}

func (e *editor) put(c *coll) *coll {
	e.s.colls.ReplaceOrInsert(c)
	e.colls[c.id] = c
	return c
}

// object returns the object for changing, nil if there is none.
func (e *editor) object(c *coll, id object.GID) *obj {
	o := c.object(id)
	if o == nil {
		return nil
	}
	if _, ok := e.own[o]; ok {
		return o
	}
	return e.place(c, o.clone())
}

func (e *editor) place(c *coll, o *obj) *obj {
	c.objects.ReplaceOrInsert(o)
	e.own[o] = struct{}{}
	return o
}

func (e *editor) create(c *coll, id object.GID) *obj {
	if o := e.object(c, id); o != nil {
		return o
	}
	return e.place(c, &obj{id: id})
}

func (e *editor) step(op *objectstore.Op) error {
	switch op.Kind {
	case objectstore.OpNop:
		return nil
	case objectstore.OpMkColl:
		if e.coll(op.Coll) != nil {
			return objectstore.ErrExists
		}
		e.put(newColl(op.Coll, op.Bits))
		return nil
	}
	c := e.coll(op.Coll)
	if c == nil {
		return objectstore.ErrNotFound
	}
	switch op.Kind {
	case objectstore.OpRmColl:
		if c.objects.Len() > 0 {
			return objectstore.ErrNotEmpty
		}
		e.drop(c)
		return nil
	case objectstore.OpCollHint:
		return nil
	case objectstore.OpSplitColl, objectstore.OpMergeColl, objectstore.OpMoveRename:
		d := e.coll(op.DstColl)
		if d == nil {
			return objectstore.ErrNotFound
		}
		switch op.Kind {
		case objectstore.OpSplitColl:
			return e.split(c, d, op.Bits, op.Seed)
		case objectstore.OpMergeColl:
			return e.merge(c, d, op.Bits)
		}
		return e.rename(c, op.Object, d, op.DstObject)
	}
	return e.objectStep(c, op)
}

func (e *editor) drop(c *coll) {
	e.s.colls.Delete(c)
	delete(e.colls, c.id)
}

// objectStep applies the steps that concern objects of one collection.
func (e *editor) objectStep(c *coll, op *objectstore.Op) error {
	switch op.Kind {
	case objectstore.OpCreate:
		if c.object(op.Object) != nil {
			return objectstore.ErrExists
		}
		e.create(c, op.Object)
	case objectstore.OpTouch, objectstore.OpAllocHint:
		e.create(c, op.Object)
	case objectstore.OpWrite:
		if uint64(op.Data.Len()) != op.Len {
			return objectstore.ErrInvalid
		}
		e.create(c, op.Object).write(op.Off, op.Data)
	case objectstore.OpZero:
		if o := e.create(c, op.Object); op.Len > 0 {
			o.punch(op.Off, op.Off+op.Len)
			o.size = max(o.size, op.Off+op.Len)
		}
	case objectstore.OpTruncate:
		e.create(c, op.Object).truncate(op.Off)
	case objectstore.OpSetAttr:
		e.create(c, op.Object).setAttrs(map[string][]byte{op.Name: op.Data.Flat()})
	case objectstore.OpSetAttrs:
		e.create(c, op.Object).setAttrs(op.Pairs)
	case objectstore.OpOmapSet:
		e.create(c, op.Object).omapSet(op.Pairs)
	case objectstore.OpOmapHeader:
		e.create(c, op.Object).header = bytes.Clone(op.Data.Flat())
	case objectstore.OpTryRename:
		if c.object(op.Object) == nil {
			return nil
		}
		return e.rename(c, op.Object, c, op.DstObject)
	case objectstore.OpRemove:
		if o := c.object(op.Object); o != nil {
			c.objects.Delete(o)
		}
	default:
		return e.existingStep(c, op)
	}
	return nil
}

// existingStep applies the steps that create nothing.
func (e *editor) existingStep(c *coll, op *objectstore.Op) error {
	o := e.object(c, op.Object)
	if o == nil {
		if op.Kind == objectstore.OpRmAttrs || op.Kind == objectstore.OpOmapClear {
			return nil
		}
		return objectstore.ErrNotFound
	}
	switch op.Kind {
	case objectstore.OpRmAttr:
		o.rmAttr(op.Name)
	case objectstore.OpRmAttrs:
		o.attrs = nil
	case objectstore.OpOmapRm:
		o.omapRm(op.Keys)
	case objectstore.OpOmapRmRange:
		o.omapRmRange(op.Name, op.NameEnd)
	case objectstore.OpOmapClear:
		o.omap, o.header = nil, nil
	case objectstore.OpClone:
		if op.DstObject == op.Object {
			return objectstore.ErrInvalid
		}
		d := o.clone()
		d.id = op.DstObject
		e.place(c, d)
	case objectstore.OpCloneRange:
		if op.Off+op.Len > o.size {
			return objectstore.ErrInvalid
		}
		data := o.read(op.Off, op.Off+op.Len)
		e.create(c, op.DstObject).write(op.DstOff, data)
	default:
		return objectstore.ErrInvalid
	}
	return nil
}

func (e *editor) rename(c *coll, from object.GID, d *coll, to object.GID) error {
	o := e.object(c, from)
	if o == nil {
		return objectstore.ErrNotFound
	}
	if d.object(to) != nil {
		return objectstore.ErrExists
	}
	c.objects.Delete(o)
	moved := *o // o's id is the key under which older contents find it
	moved.id = to
	e.place(d, &moved)
	return nil
}

func (e *editor) split(c, d *coll, bits, seed uint32) error {
	if c == d || bits > 32 {
		return objectstore.ErrInvalid
	}
	mask := uint32(1<<bits - 1)
	var move []*obj
	c.objects.Ascend(func(o *obj) bool {
		if o.id.Hash&mask == seed&mask {
			move = append(move, o)
		}
		return true
	})
	for _, o := range move {
		c.objects.Delete(o)
		d.objects.ReplaceOrInsert(o)
	}
	c.bits, d.bits = bits, bits
	return nil
}

func (e *editor) merge(c, d *coll, bits uint32) error {
	if c == d || bits > 32 {
		return objectstore.ErrInvalid
	}
	clash := false
	c.objects.Ascend(func(o *obj) bool {
		clash = d.objects.Has(o)
		if !clash {
			d.objects.ReplaceOrInsert(o)
		}
		return !clash
	})
	if clash {
		return objectstore.ErrExists
	}
	d.bits = bits
	e.drop(c)
	return nil
}
