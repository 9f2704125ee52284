package objectstore

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"sepiola/entity"
	"sepiola/object"
	"sepiola/wire"
)

// Errors of stores. Callers test with errors.Is; a store wraps them with the
// object and operation.
var (
	ErrNotFound   = errors.New("no such object or collection") // ENOENT
	ErrNoAttr     = errors.New("no such attribute")            // ENODATA
	ErrIO         = errors.New("input/output error")           // EIO: bytes that cannot be read or fail their checksum
	ErrNoSpace    = errors.New("no space left")                // ENOSPC
	ErrNameTooBig = errors.New("name too long")                // ENAMETOOLONG
	ErrClosed     = errors.New("store is closed")
	ErrExists     = errors.New("exists already")   // EEXIST
	ErrNotEmpty   = errors.New("is not empty")     // ENOTEMPTY
	ErrInvalid    = errors.New("invalid argument") // EINVAL
	// ErrInUse is returned by Mount when another process owns the store.
	ErrInUse = errors.New("store is in use by another process")
)

// Reader is the part of a [Store] that a placement group reads through. Every
// call sees all transactions submitted before it, committed or not.
type Reader interface {
	// Collections lists all collections, in no particular order.
	Collections() ([]Coll, error)
	// HasCollection reports whether c exists.
	HasCollection(c Coll) (bool, error)

	// Stat returns the object's size; ErrNotFound if there is none.
	Stat(c Coll, o object.GID) (Stat, error)
	// Read returns up to n bytes from off: fewer at the object's end, none
	// beyond it. n = 0 means up to the end. Holes read as zeros. The caller
	// may keep the result and must not write to it.
	Read(c Coll, o object.GID, off, n uint64) (wire.Buf, error)
	// Extents returns the allocated ranges within [off, off+n), in order; a
	// store without that knowledge returns one range clipped to the size.
	Extents(c Coll, o object.GID, off, n uint64) ([]Extent, error)

	// Attr returns one attribute; ErrNoAttr if the object lacks it.
	Attr(c Coll, o object.GID, name string) ([]byte, error)
	// Attrs returns all attributes.
	Attrs(c Coll, o object.GID) (map[string][]byte, error)

	// OmapHeader returns the omap header, nil if never set.
	OmapHeader(c Coll, o object.GID) ([]byte, error)
	// OmapGet returns those of keys that exist.
	OmapGet(c Coll, o object.GID, keys []string) (map[string][]byte, error)
	// OmapIter returns an iterator at the first key >= from. It sees the omap as
	// it is at the call. The caller closes it.
	OmapIter(c Coll, o object.GID, from string) (OmapIter, error)

	// List returns up to max objects of c in [from, to), in the order of
	// object.GID.Compare, and where to go on: to itself when all were listed.
	// The PG's own metadata object is among them.
	List(c Coll, from, to object.GID, max int) (objects []object.GID, next object.GID, err error)
}

// Store keeps collections of objects with data, attributes and omap.
//
// The calls of [Reader] and Submit are safe for concurrent use. Transactions are
// ordered per collection: those submitted one after another to one collection
// apply, become readable and commit in that order.
type Store interface {
	Reader

	// Mkfs creates an empty store stamped with the given identity. A store that
	// exists with the same identity is left as it is; another identity is an
	// error.
	Mkfs(id Identity) error
	// Mount opens the store, replaying what was not applied before a crash, and
	// keeps others out until Close.
	Mount() error
	// Close makes everything durable and releases the store.
	Close() error
	// Identity returns what Mkfs stamped. The store need not be mounted.
	Identity() (Identity, error)

	// Submit applies tx atomically. When it returns, readers see tx; when it is
	// durable, committed is called, once, on a goroutine of the store's that it
	// must not block. Submit blocks while too much is under way. A transaction that
	// cannot be applied at all (a bug or a corrupt message) returns an error and
	// changes nothing.
	Submit(tx *Transaction, committed func()) error
	// Failed is closed when the store met an error after which it cannot keep
	// its promises (a failed sync); Err then says which. No commit callback runs
	// after it. The daemon stops.
	Failed() <-chan struct{}
	Err() error

	// Statfs returns space figures in bytes.
	Statfs() (Statfs, error)
	// HasRoom reports whether a transaction with so many bytes of data may be let in.
	// Whoever can still refuse it asks: Submit keeps some more room for what nobody can refuse
	// any more, and an ErrNoSpace of Submit means that the store holds less than it
	// should. Space figures that cannot be had count as room; Submit tells.
	HasRoom(bytes uint64) bool
	// Kind is "filestore" or "memstore".
	Kind() string
}

// Identity ties a store to its cluster and OSD.
type Identity struct {
	ClusterFSID entity.UUID
	OSDFSID     entity.UUID
	WhoAmI      int32
}

// Stat describes an object.
type Stat struct{ Size uint64 }

// Extent is a range of an object's bytes.
type Extent struct{ Off, Len uint64 }

// Statfs are space figures in bytes (store_statfs_t).
type Statfs struct {
	Total, Available, InternallyReserved uint64
	// Allocated and DataStored are what objects take; OmapAllocated what omap
	// and metadata take.
	Allocated, DataStored, OmapAllocated, Metadata uint64
}

// OmapIter walks an omap in key order.
type OmapIter interface {
	// Next moves to the next pair (the first, initially) and reports whether there
	// is one.
	Next() bool
	// Key and Value return the current pair; valid until the next call of Next.
	Key() string
	Value() []byte
	// Err returns the error that ended the iteration, if any.
	Err() error
	Close() error
}

// CollKind tells kinds of collections apart (coll_t::type_t).
type CollKind uint8

// The kinds of collections.
const (
	CollMeta   CollKind = 0 // the OSD's own: superblock, maps
	CollPG     CollKind = 2
	CollPGTemp CollKind = 3
)

// Coll names a collection (coll_t). It is comparable.
type Coll struct {
	Kind CollKind
	PG   object.SPGID
}

// Meta is the OSD's own collection.
var Meta = Coll{Kind: CollMeta, PG: object.SPGID{Shard: object.NoShard}}

// PGColl returns the collection of a PG's objects.
func PGColl(pg object.SPGID) Coll { return Coll{Kind: CollPG, PG: pg} }

// String returns Ceph's form: meta, 1.2f_head, 1.2f_TEMP.
func (c Coll) String() string {
	switch c.Kind {
	case CollMeta:
		return "meta"
	case CollPGTemp:
		return c.PG.String() + "_TEMP"
	}
	return c.PG.String() + "_head"
}

// Encode appends coll_t: version 2, or for a temporary collection version 3.
func (c Coll) Encode(e *wire.Encoder) {
	if c.Kind == CollPGTemp {
		e.U8(3)
		e.String(c.String())
		return
	}
	e.U8(2)
	e.U8(uint8(c.Kind))
	c.PG.Encode(e)
	e.U64(uint64(object.NoSnap)) // a field no longer in use
}

// DecodeColl reads coll_t, versions 2 and 3.
func DecodeColl(d *wire.Decoder) Coll {
	switch v := d.U8(); v {
	case 2:
	case 3:
		c, err := ParseColl(d.String())
		if err != nil {
			d.Fail("%v", err)
		}
		return c
	default:
		d.Fail("collection id of version %d", v)
		return Coll{}
	}
	c := Coll{Kind: CollKind(d.U8()), PG: object.DecodeSPGID(d)}
	d.Skip(8)
	switch c.Kind {
	case CollPG, CollPGTemp:
	case CollMeta:
		c = Meta // the PG id of this kind means nothing
	default:
		d.Fail("collection of kind %d", c.Kind)
	}
	return c
}

// Compare orders collections by kind, then PG, then shard (coll_t::operator<).
func (c Coll) Compare(o Coll) int {
	return cmp.Or(cmp.Compare(c.Kind, o.Kind), c.PG.PGID.Compare(o.PG.PGID), cmp.Compare(c.PG.Shard, o.PG.Shard))
}

// ParseColl reads what [Coll.String] wrote.
func ParseColl(s string) (Coll, error) {
	if s == "meta" {
		return Meta, nil
	}
	kind, pg := CollPG, ""
	if p, ok := strings.CutSuffix(s, "_head"); ok {
		pg = p
	} else if p, ok := strings.CutSuffix(s, "_TEMP"); ok {
		kind, pg = CollPGTemp, p
	} else {
		return Coll{}, fmt.Errorf("%q is not a collection's name", s)
	}
	id, err := object.ParseSPGID(pg)
	return Coll{Kind: kind, PG: id}, err
}
