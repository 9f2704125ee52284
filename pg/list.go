package pg

import (
	"slices"

	"sepiola/message"
	"sepiola/object"
	"sepiola/pg/ops"
	"sepiola/pglog"
	"sepiola/wire"
)

// allNamespaces in a listing stands for every namespace (librados::all_nspaces).
const allNamespaces = "\x01"

// pgBounds returns the ids between which the PG's objects lie: the hash bits that
// tell PGs apart are the highest of the sort key.
func (p *PG) pgBounds() (start, end object.ID) {
	n := p.id.SplitBits(p.pool.PGNum)
	first := object.ReverseBits(p.id.Seed)
	start = object.ID{Pool: p.id.Pool, Hash: p.id.Seed}
	step := uint64(1) << (32 - n)
	next := uint64(first) + step
	if n == 0 || next >= 1<<32 {
		return start, object.Max
	}
	return start, object.ID{Pool: p.id.Pool, Hash: object.ReverseBits(uint32(next)), Snap: object.NoSnap}
}

// list answers a listing of the PG's objects from a cursor on, in the order of
// their ids (pg_nls_response_t). The result is 1 at the end.
func (p *PG) list(m *message.OSDOp, op *message.SubOp) int32 {
	return p.listThose(m, op, wire.NewDecoder(op.In.Flat()), nil)
}

// listFiltered lists the objects with a certain value of an attribute: the filter
// "plain", the only one that is not an object class's (PGLSPlainFilter).
func (p *PG) listFiltered(m *message.OSDOp, op *message.SubOp) int32 {
	d := wire.NewDecoder(op.In.Flat())
	_, _ = d.String(), d.String() // a class and a method, of old
	kind, attr, value := d.String(), d.String(), d.String()
	if d.Err() != nil || kind != "plain" {
		return ops.EInval
	}
	return p.listThose(m, op, d, func(o object.ID) bool {
		have, err := p.env.Reader.Attr(p.coll, p.gid(o), attr)
		return err == nil && string(have) == value
	})
}

// listThose lists the objects that pick picks, nil for all; the cursor is next in d.
func (p *PG) listThose(m *message.OSDOp, op *message.SubOp, d *wire.Decoder, pick func(object.ID) bool) int32 {
	if m.Object.Snap != object.NoSnap {
		return ops.EInval
	}
	if p.osdmap.RawPGToPG(m.PGID.PGID) != p.id.PGID {
		return 0
	}
	from := object.DecodeID(d)
	if d.Err() != nil {
		return ops.EInval
	}
	start, end := p.pgBounds()
	if !from.IsMax() && !from.Less(end) || !from.IsMin() && from.Less(start) {
		return ops.EInval
	}
	most := min(uint64(p.conf.Ops.MaxPGLs), op.Args.PGLs().Count)
	names, next, err := p.listFrom(from, int(most), m.Object.Namespace)
	if err != nil {
		p.clog("error", "listing: %v", err)
		return ops.EInval
	}
	if pick != nil {
		names = slices.DeleteFunc(names, func(o object.ID) bool { return !pick(o) })
	}
	result := int32(0)
	if next.IsMax() {
		result, next = 1, end
	}
	e := wire.NewEncoder(64 * (len(names) + 1))
	mark := e.Begin(1, 1)
	next.Encode(e)
	wire.Slice(e, names, func(e *wire.Encoder, o object.ID) {
		e.String(o.Namespace)
		e.String(o.Name)
		e.String(o.Key)
	})
	e.End(mark)
	op.Out = wire.BufOf(e.Bytes())
	return result
}

// listFrom returns up to most live objects from a cursor on: those in the store
// and those that are missing here.
func (p *PG) listFrom(from object.ID, most int, namespace string) (names []object.ID, next object.ID, err error) {
	if most == 0 {
		return nil, from, nil
	}
	if from.IsMax() {
		return nil, from, nil
	}
	stored, end, err := p.env.Reader.List(p.coll, p.gid(from), object.GMax, most)
	if err != nil {
		return nil, from, err
	}
	next = end.ID
	if end.GMax {
		next = object.Max
	}
	var all []object.ID
	for _, g := range stored {
		if isClientObject(g) && !p.own.Missing.Has(g.ID) {
			all = append(all, g.ID)
		}
	}
	for o, item := range p.own.Missing.Sorted() {
		if !item.Delete && !o.Less(from) && o.Less(next) {
			all = append(all, o)
		}
	}
	slices.SortFunc(all, object.ID.Compare)
	for _, o := range all {
		if o.Snap != object.NoSnap || namespace != allNamespaces && o.Namespace != namespace {
			continue
		}
		if len(names) == most {
			return names, o, nil
		}
		names = append(names, o)
	}
	return names, next, nil
}

// isClientObject tells objects from the PG's own metadata and temporary ones.
func isClientObject(g object.GID) bool { return g.Pool >= 0 && !g.IsPGMeta() && g.Gen == object.NoGen }

// listHitSets lists the archived hit sets: none outside cache tiers.
func (p *PG) listHitSets(op *message.SubOp) int32 {
	e := wire.NewEncoder(4)
	wire.Slice(e, p.own.Info.HitSet.History, func(e *wire.Encoder, h pglog.HitSetInfo) {
		e.Time(h.Begin)
		e.Time(h.End)
	})
	op.Out = wire.BufOf(e.Bytes())
	return 0
}

// versionsFrom lists up to most objects after a bound with their versions, and
// the bound to go on from: object.Max when there are no more.
func (p *PG) versionsFrom(after object.ID, most int) (list []message.ObjectVersion, end object.ID, err error) {
	stored, next, err := p.env.Reader.List(p.coll, p.gid(after), object.GMax, most+1)
	if err != nil {
		return nil, after, err
	}
	for _, g := range stored {
		if !isClientObject(g) || !after.Less(g.ID) {
			continue
		}
		v, err := p.storedVersion(g.ID)
		if err != nil {
			return nil, after, err
		}
		list = append(list, message.ObjectVersion{Object: g.ID, Version: v})
	}
	if next.GMax || next.ID.IsMax() {
		return list, object.Max, nil
	}
	if len(stored) == 0 {
		return list, next.ID, nil
	}
	return list, stored[len(stored)-1].ID, nil
}

// storedVersion returns the version of an object in the store.
func (p *PG) storedVersion(o object.ID) (pglog.Version, error) {
	raw, err := p.env.Reader.Attr(p.coll, p.gid(o), pglog.AttrObjectInfo)
	if err != nil {
		return pglog.Version{}, err
	}
	oi, err := pglog.ParseObjectInfo(raw)
	return oi.Version, err
}
