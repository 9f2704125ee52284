package object

import (
	"cmp"
	"fmt"
	"math"

	"sepiola/wire"
)

// NoGen is the generation of an object that is not a rollback copy.
const NoGen uint64 = math.MaxUint64

// NoShard is the shard of a replicated PG (shard_id_t::NO_SHARD).
const NoShard int8 = -1

// GID names an object within one store (ghobject_t): an [ID], the erasure-code
// shard and the generation.
type GID struct {
	ID
	Gen   uint64
	Shard int8
	GMax  bool // the id after all others
}

// GMin is the least store id, and GMax the one above all.
var (
	GMin = GID{ID: Min, Gen: NoGen, Shard: NoShard}
	GMax = GID{ID: Max, Gen: NoGen, Shard: NoShard, GMax: true}
)

// G returns the store id of an object of a replicated pool.
func G(o ID) GID { return GID{ID: o, Gen: NoGen, Shard: NoShard} }

// IsPGMeta reports whether the id is that of a PG's own metadata.
func (g GID) IsPGMeta() bool { return g.Pool >= 0 && g.Name == "" }

// Compare orders store ids: the greatest last, then by shard, [ID], generation.
func (g GID) Compare(h GID) int {
	if g.GMax != h.GMax {
		if g.GMax {
			return 1
		}
		return -1
	}
	return cmp.Or(cmp.Compare(g.Shard, h.Shard), g.ID.Compare(h.ID), cmp.Compare(g.Gen, h.Gen))
}

// Less reports whether g sorts before h.
func (g GID) Less(h GID) bool { return g.Compare(h) < 0 }

// String returns Ceph's form: shard#id#generation, without shard and generation
// where there is none.
func (g GID) String() string {
	switch {
	case g.GMax:
		return "GHMAX"
	case g == GMin:
		return "GHMIN"
	}
	s := "#" + g.ID.String() + "#"
	if g.Shard != NoShard {
		s = fmt.Sprintf("%x", g.Shard) + s
	}
	if g.Gen != NoGen {
		s += fmt.Sprintf("%x", g.Gen)
	}
	return s
}

// Encode appends ghobject_t, version 6.
func (g GID) Encode(e *wire.Encoder) {
	m := e.Begin(6, 3)
	g.ID.encodeFields(e)
	e.U64(g.Gen)
	e.I8(g.Shard)
	e.Bool(g.GMax)
	e.End(m)
}

// DecodeGID reads ghobject_t, version 4 and later.
func DecodeGID(d *wire.Decoder) GID {
	s := d.Begin(6)
	if d.Err() == nil && s.Version < 4 {
		d.Fail("store object id of version %d", s.Version)
	}
	g := GID{Gen: NoGen, Shard: NoShard}
	g.ID.decodeFields(d, true)
	if s.Version >= 5 {
		g.Gen = d.U64()
		g.Shard = d.I8()
	}
	if s.Version >= 6 {
		g.GMax = d.Bool()
	}
	d.End(s)
	return g
}
