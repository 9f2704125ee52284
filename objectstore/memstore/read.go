package memstore

import (
	"fmt"
	"math"
	"slices"

	"github.com/google/btree"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/wire"
)

func (s *Store) object(c objectstore.Coll, id object.GID) (*obj, error) {
	cl := s.now.Load().coll(c)
	if cl == nil {
		return nil, fmt.Errorf("collection %v: %w", c, objectstore.ErrNotFound)
	}
	o := cl.object(id)
	if o == nil {
		return nil, fmt.Errorf("%v in %v: %w", id, c, objectstore.ErrNotFound)
	}
	return o, nil
}

// Collections implements objectstore.Reader.
func (s *Store) Collections() ([]objectstore.Coll, error) {
	var out []objectstore.Coll
	s.now.Load().colls.Ascend(func(c *coll) bool {
		out = append(out, c.id)
		return true
	})
	return out, nil
}

// HasCollection implements objectstore.Reader.
func (s *Store) HasCollection(c objectstore.Coll) (bool, error) {
	return s.now.Load().coll(c) != nil, nil
}

// Stat implements objectstore.Reader.
func (s *Store) Stat(c objectstore.Coll, id object.GID) (objectstore.Stat, error) {
	o, err := s.object(c, id)
	if err != nil {
		return objectstore.Stat{}, err
	}
	return objectstore.Stat{Size: o.size}, nil
}

// clip returns the end of the range off~n within an object of the given size;
// n = 0 means up to the end.
func clip(off, n, size uint64) uint64 {
	if n == 0 || n > math.MaxUint64-off {
		return size
	}
	return min(off+n, size)
}

// Read implements objectstore.Reader.
func (s *Store) Read(c objectstore.Coll, id object.GID, off, n uint64) (wire.Buf, error) {
	o, err := s.object(c, id)
	if err != nil {
		return nil, err
	}
	if off >= o.size {
		return nil, nil
	}
	return o.read(off, clip(off, n, o.size)), nil
}

// Extents implements objectstore.Reader.
func (s *Store) Extents(c objectstore.Coll, id object.GID, off, n uint64) ([]objectstore.Extent, error) {
	o, err := s.object(c, id)
	if err != nil {
		return nil, err
	}
	end := clip(off, n, o.size)
	var out []objectstore.Extent
	o.overlapping(off, end, func(x extent) {
		from, to := max(x.off, off), min(x.end(), end)
		if i := len(out) - 1; i >= 0 && out[i].Off+out[i].Len == from {
			out[i].Len += to - from
			return
		}
		out = append(out, objectstore.Extent{Off: from, Len: to - from})
	})
	return out, nil
}

// Attr implements objectstore.Reader.
func (s *Store) Attr(c objectstore.Coll, id object.GID, name string) ([]byte, error) {
	o, err := s.object(c, id)
	if err != nil {
		return nil, err
	}
	v, ok := o.attrs[name]
	if !ok {
		return nil, fmt.Errorf("%q of %v in %v: %w", name, id, c, objectstore.ErrNoAttr)
	}
	return v, nil
}

// Attrs implements objectstore.Reader.
func (s *Store) Attrs(c objectstore.Coll, id object.GID) (map[string][]byte, error) {
	o, err := s.object(c, id)
	if err != nil {
		return nil, err
	}
	out := make(map[string][]byte, len(o.attrs))
	for k, v := range o.attrs {
		out[k] = v
	}
	return out, nil
}

// OmapHeader implements objectstore.Reader.
func (s *Store) OmapHeader(c objectstore.Coll, id object.GID) ([]byte, error) {
	o, err := s.object(c, id)
	if err != nil {
		return nil, err
	}
	return o.header, nil
}

// OmapGet implements objectstore.Reader.
func (s *Store) OmapGet(c objectstore.Coll, id object.GID, keys []string) (map[string][]byte, error) {
	o, err := s.object(c, id)
	if err != nil {
		return nil, err
	}
	out := make(map[string][]byte, len(keys))
	if o.omap == nil {
		return out, nil
	}
	for _, k := range keys {
		if p, ok := o.omap.Get(pair{key: k}); ok {
			out[k] = p.value
		}
	}
	return out, nil
}

// OmapIter implements objectstore.Reader.
func (s *Store) OmapIter(c objectstore.Coll, id object.GID, from string) (objectstore.OmapIter, error) {
	o, err := s.object(c, id)
	if err != nil {
		return nil, err
	}
	return &iter{omap: o.omap, next: from}, nil
}

// iter walks an omap that nobody changes, a stretch at a time.
type iter struct {
	omap  *btree.BTreeG[pair]
	next  string // where the next stretch starts
	batch []pair
	cur   pair
	end   bool
}

const stretch = 64

func (it *iter) Next() bool {
	if len(it.batch) == 0 {
		if it.end || it.omap == nil {
			return false
		}
		it.batch = slices.Grow(it.batch[:0], stretch)
		it.omap.AscendGreaterOrEqual(pair{key: it.next}, func(p pair) bool {
			it.batch = append(it.batch, p)
			return len(it.batch) < stretch
		})
		it.end = len(it.batch) < stretch
		if len(it.batch) == 0 {
			return false
		}
		it.next = it.batch[len(it.batch)-1].key + "\x00"
	}
	it.cur, it.batch = it.batch[0], it.batch[1:]
	return true
}

func (it *iter) Key() string   { return it.cur.key }
func (it *iter) Value() []byte { return it.cur.value }
func (it *iter) Err() error    { return nil }
func (it *iter) Close() error  { return nil }

// List implements objectstore.Reader.
func (s *Store) List(c objectstore.Coll, from, to object.GID, max int) ([]object.GID, object.GID, error) {
	cl := s.now.Load().coll(c)
	if cl == nil {
		return nil, object.GID{}, fmt.Errorf("collection %v: %w", c, objectstore.ErrNotFound)
	}
	var out []object.GID
	next := to
	cl.objects.AscendRange(&obj{id: from}, &obj{id: to}, func(o *obj) bool {
		if len(out) >= max {
			next = o.id
			return false
		}
		out = append(out, o.id)
		return true
	})
	return out, next, nil
}

// Statfs implements objectstore.Store. It walks all objects.
func (s *Store) Statfs() (objectstore.Statfs, error) {
	st := objectstore.Statfs{Total: s.opts.Capacity}
	s.now.Load().colls.Ascend(func(c *coll) bool {
		c.objects.Ascend(func(o *obj) bool {
			st.DataStored += o.size
			o.overlapping(0, o.size, func(x extent) { st.Allocated += uint64(len(x.data)) })
			if o.omap != nil {
				o.omap.Ascend(func(p pair) bool {
					st.OmapAllocated += uint64(len(p.key) + len(p.value))
					return true
				})
			}
			return true
		})
		return true
	})
	st.Available = st.Total - min(st.Total, st.Allocated+st.OmapAllocated)
	return st, nil
}
