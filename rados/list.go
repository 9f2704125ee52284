package rados

import (
	"context"
	"fmt"
	"iter"

	"sepiola/message"
	"sepiola/object"
	"sepiola/wire"
)

// Object names an object in a listing.
type Object struct {
	Name      string
	Namespace string
	Locator   string // key that places it; empty for its name
}

// listPage is how many objects a listing asks of an OSD at once
// (RADOS_LIST_MAX_ENTRIES).
const listPage = 1024

// List returns the objects in the context's namespace, or in all with
// [AllNamespaces], in the order of their hashes: placement group by placement
// group, page by page. After an error there is no more. Objects that come or go
// meanwhile may or may not be seen; all others are, once.
func (x *IOCtx) List(ctx context.Context) iter.Seq2[Object, error] {
	return x.list(ctx, object.ID{}, func(object.ID) bool { return true })
}

// ListPG returns the objects of one placement group, else like List. A seed that is
// no placement group of the pool is ENOENT.
func (x *IOCtx) ListPG(ctx context.Context, seed uint32) iter.Seq2[Object, error] {
	pg := object.PGID{Pool: x.pool, Seed: seed}
	if pool := x.c.Map().Pools[x.pool]; pool == nil || seed >= pool.PGNum {
		return func(yield func(Object, error) bool) { yield(Object{}, errNoEntry) }
	}
	return x.list(ctx, object.ID{Hash: seed}, func(next object.ID) bool {
		m := x.c.Map()
		return m.RawPGToPG(object.PGID{Pool: x.pool, Seed: next.Hash}) == pg
	})
}

// list walks from a cursor on as long as inside says that it has not gone too far.
func (x *IOCtx) list(ctx context.Context, from object.ID, inside func(object.ID) bool) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		cursor := from
		cursor.Pool, cursor.Namespace, cursor.Snap = x.pool, "", object.NoSnap
		if from.Hash == 0 {
			cursor = object.Min
		}
		for {
			page, err := x.listPage(ctx, cursor)
			if err != nil {
				yield(Object{}, err)
				return
			}
			for _, e := range page.Entries {
				if !yield(Object{Name: e.Name, Namespace: e.Namespace, Locator: e.Key}, nil) {
					return
				}
			}
			if page.Handle.IsMax() || !inside(page.Handle) {
				return
			}
			if !cursor.Less(page.Handle) {
				yield(Object{}, fmt.Errorf("listing pool %s: the OSD went from %s back to %s", x.name, cursor, page.Handle))
				return
			}
			cursor = page.Handle
		}
	}
}

// listPage asks the placement group that the cursor is in for what follows it.
func (x *IOCtx) listPage(ctx context.Context, cursor object.ID) (message.PGNLsResponse, error) {
	args := message.PGLs{Count: listPage, StartEpoch: x.c.Map().Epoch}
	reply, err := x.c.Do(ctx, Request{
		Pool: x.pool, Namespace: x.namespace, Hash: cursor.Hash, Snap: x.snap,
		Flags: x.flags | message.FlagRead | message.FlagPGOp | message.FlagIgnoreOverlay,
		Ops:   []message.SubOp{{Op: message.OpPGNLs, Args: args.Args(), In: wire.BufOf(encoded(64, cursor.Encode))}},
	})
	if err != nil {
		return message.PGNLsResponse{}, err
	}
	if len(reply.Ops) == 0 {
		return message.PGNLsResponse{}, fmt.Errorf("listing pool %s: an empty answer", x.name)
	}
	d := wire.NewDecoder(reply.Ops[0].Out.Flat())
	page := message.DecodePGNLsResponse(d)
	return page, d.Err()
}
