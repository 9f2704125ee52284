package pg

import (
	"container/list"
	"errors"
	"fmt"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/pg/ops"
	"sepiola/pglog"
)

// objectContext is what the primary keeps in memory of one object: its metadata
// as of the last write, acknowledged or not, and who uses it.
type objectContext struct {
	id    object.ID
	state ops.State
	// writes counts writes in flight; exclusive says that the one in flight read
	// the object's content, so that no other may follow it yet.
	writes    int
	exclusive bool
	// waiters are operations that wait for writes in flight, in order. While there
	// are any, no write may pass them.
	waiters []*clientOp
	lru     *list.Element
}

func (o *objectContext) idle() bool { return o.writes == 0 && len(o.waiters) == 0 }

// mayRead reports whether a read sees only what is durable everywhere.
func (o *objectContext) mayRead() bool { return o.writes == 0 }

// mayWrite reports whether a write whose turn it is may go in flight behind those that
// are.
func (o *objectContext) mayWrite(exclusive bool) bool {
	return !o.exclusive && (!exclusive || o.writes == 0)
}

// inTurn reports whether nobody waits for the object who came before the operation. One
// that has waited comes before those that came later, but not before those that have
// to go on waiting: some of those that waited may need the object to themselves.
func (o *objectContext) inTurn(op *clientOp) bool {
	return len(o.waiters) == 0 || op.firstInLine && op.seq < o.waiters[0].seq
}

// objectCache holds contexts: all that are in use, and some that are not.
type objectCache struct {
	byID map[object.ID]*objectContext
	idle list.List // of *objectContext, least recently used first
	max  int
}

func (c *objectCache) clear() {
	clear(c.byID)
	c.idle.Init()
}

// objectContext returns the context of an object, from memory or the store.
func (p *PG) objectContext(id object.ID) (*objectContext, error) {
	if o := p.objects.byID[id]; o != nil {
		p.touchContext(o)
		return o, nil
	}
	o := &objectContext{id: id}
	if err := p.loadState(id, &o.state); err != nil {
		return nil, err
	}
	p.objects.byID[id] = o
	p.touchContext(o)
	return o, nil
}

// loadState reads an object's metadata. An object that is not there is no error.
func (p *PG) loadState(id object.ID, s *ops.State) error {
	*s = ops.State{Info: pglog.NewObjectInfo(id)}
	raw, err := p.env.Reader.Attr(p.coll, p.gid(id), pglog.AttrObjectInfo)
	if errors.Is(err, objectstore.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("metadata of %v: %w", id, err)
	}
	if s.Info, err = pglog.ParseObjectInfo(raw); err != nil {
		return fmt.Errorf("metadata of %v: %w", id, err)
	}
	s.Exists = true
	if !id.IsHead() {
		return nil
	}
	raw, err = p.env.Reader.Attr(p.coll, p.gid(id), pglog.AttrSnapSet)
	switch {
	case errors.Is(err, objectstore.ErrNoAttr):
		return nil
	case err != nil:
		return fmt.Errorf("snapshots of %v: %w", id, err)
	}
	if s.SnapSet, err = pglog.ParseSnapSet(raw); err != nil {
		return fmt.Errorf("snapshots of %v: %w", id, err)
	}
	return nil
}

// touchContext makes the context the most recently used, and forgets others that
// are idle beyond the bound.
func (p *PG) touchContext(o *objectContext) {
	c := &p.objects
	if o.lru == nil {
		o.lru = c.idle.PushBack(o)
	} else {
		c.idle.MoveToBack(o.lru)
	}
	for e := c.idle.Front(); e != nil && c.idle.Len() > c.max; {
		old, next := e.Value.(*objectContext), e.Next()
		if !old.idle() {
			break // in use: it is looked at again when others are
		}
		if old != o {
			c.idle.Remove(e)
			delete(c.byID, old.id)
		}
		e = next
	}
}

// forgetContext drops what is known of an object that recovery changed.
func (p *PG) forgetContext(id object.ID) {
	o := p.objects.byID[id]
	if o == nil || !o.idle() {
		return
	}
	p.objects.idle.Remove(o.lru)
	delete(p.objects.byID, id)
}

// release lets waiters of an object go on once a write was acknowledged.
func (p *PG) release(o *objectContext) {
	o.writes--
	if o.writes > 0 {
		return
	}
	o.exclusive = false
	if p.active.recovery.parting[o.id] {
		p.recoverObject(o.id)
	}
	if len(o.waiters) > 0 {
		p.ready = byArrival(append(p.ready, o.waiters...))
		for _, w := range o.waiters {
			w.firstInLine = true
		}
		o.waiters = nil
	}
}
