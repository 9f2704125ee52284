package filestore

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/objectstore/filestore/vfs"
)

// loadAttrs reads an object's attributes from its file and from the key-value store.
// None of them is pending: whoever changes one looks them all up first.
func (s *Store) loadAttrs(m *meta) (map[string][]byte, error) {
	if m.fid == 0 {
		return map[string][]byte{}, nil
	}
	f := m.file
	f.io.Lock()
	defer f.io.Unlock()
	var attrs map[string][]byte
	err := s.files.change(f, func(d vfs.File) (err error) {
		attrs, err = readChains(d)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("attributes: %w: %w", objectstore.ErrIO, err)
	}
	spilled, err := s.loadSpilled(f)
	if err != nil {
		return nil, err
	}
	maps.Copy(attrs, spilled)
	if m.summed && attrsSum(attrs) != m.attrSum {
		s.log.Error("attributes fail their checksum", "file", f.path)
		return nil, fmt.Errorf("attributes in %s: checksum mismatch: %w", f.path, objectstore.ErrIO)
	}
	return attrs, nil
}

// loadSpilled looks up the attributes that are in the key-value store. f.io is held
// exclusively.
func (s *Store) loadSpilled(f *file) (map[string][]byte, error) {
	out := map[string][]byte{}
	it, err := s.db.NewIter(&pebble.IterOptions{
		LowerBound: numbered(keySpill, f.fid, ""), UpperBound: numbered(keySpill, f.fid+1, ""),
	})
	if err != nil {
		return nil, err
	}
	f.spilled = map[string]bool{}
	for it.First(); it.Valid(); it.Next() {
		name := string(it.Key()[9:])
		out[name] = append([]byte{}, it.Value()...)
		f.spilled[name] = true
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return nil, fmt.Errorf("attributes: %w: %w", objectstore.ErrIO, err)
	}
	return out, nil
}

// Attrs implements objectstore.Reader.
func (s *Store) Attrs(c objectstore.Coll, gid object.GID) (attrs map[string][]byte, err error) {
	err = s.view(c, gid, func(_ *collection, o *obj) error {
		if err := s.knowAttrs(o, gid); err != nil {
			return err
		}
		attrs = maps.Clone(o.attrs)
		return nil
	})
	return attrs, err
}

func (s *Store) knowAttrs(o *obj, gid object.GID) (err error) {
	if o.attrs == nil {
		if o.attrs, err = s.loadAttrs(&o.meta); err != nil {
			return s.ioError("attributes", gid, err)
		}
	}
	return nil
}

// Attr implements objectstore.Reader.
func (s *Store) Attr(c objectstore.Coll, gid object.GID, name string) (value []byte, err error) {
	err = s.view(c, gid, func(_ *collection, o *obj) error {
		if err := s.knowAttrs(o, gid); err != nil {
			return err
		}
		var ok bool
		if value, ok = o.attrs[name]; !ok {
			return fmt.Errorf("%q of %v in %v: %w", name, gid, c, objectstore.ErrNoAttr)
		}
		return nil
	})
	return value, err
}

// OmapHeader implements objectstore.Reader.
func (s *Store) OmapHeader(c objectstore.Coll, gid object.GID) (header []byte, err error) {
	err = s.view(c, gid, func(_ *collection, o *obj) error {
		header, err = s.omapHeaderOf(&o.meta)
		return s.ioError("omap header", gid, err)
	})
	return header, err
}

func (s *Store) omapHeaderOf(m *meta) ([]byte, error) {
	if !m.omap {
		return nil, nil
	}
	for i := len(m.omapP) - 1; i >= 0; i-- {
		switch p := &m.omapP[i]; {
		case p.hasHdr:
			return p.header, nil
		case p.clear:
			return nil, nil
		}
	}
	v, ok, err := s.get(numbered(keyHeader, m.nid, ""))
	if !ok {
		return nil, err
	}
	return v, nil
}

// get returns a copy of a value.
func (s *Store) get(key []byte) ([]byte, bool, error) {
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer closer.Close()
	return append([]byte{}, v...), true, nil
}

// lookupPending returns what pending changes say of a key. known is false if they
// say nothing.
func (m *meta) lookupPending(key string) (value []byte, exists, known bool) {
	for i := len(m.omapP) - 1; i >= 0; i-- {
		p := &m.omapP[i]
		if v, ok := p.set[key]; ok {
			return v, true, true
		}
		if p.clear || p.ranged && key >= p.first && key < p.end || slices.Contains(p.rm, key) {
			return nil, false, true
		}
	}
	return nil, false, false
}

// OmapGet implements objectstore.Reader.
func (s *Store) OmapGet(c objectstore.Coll, gid object.GID, keys []string) (map[string][]byte, error) {
	out := make(map[string][]byte, len(keys))
	err := s.view(c, gid, func(_ *collection, o *obj) error {
		if !o.omap {
			return nil
		}
		for _, k := range keys {
			v, exists, known := o.lookupPending(k)
			if !known {
				var err error
				if v, exists, err = s.get(numbered(keyOmap, o.nid, k)); err != nil {
					return s.ioError("omap", gid, err)
				}
			}
			if exists {
				out[k] = v
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// OmapIter implements objectstore.Reader.
func (s *Store) OmapIter(c objectstore.Coll, gid object.GID, from string) (it objectstore.OmapIter, err error) {
	err = s.view(c, gid, func(_ *collection, o *obj) error {
		it, err = s.omapIter(&o.meta, from)
		return s.ioError("omap", gid, err)
	})
	return it, err
}

// omapIter walks the key-value store's pairs and those pending, merged.
type omapIter struct {
	base   *pebble.Iterator // nil if nothing below shows
	onBase bool             // the current pair is the base's
	over   []overPair       // pending pairs in order
	hidden []pendOmap       // ranges of the base that are removed
	key    string
	value  []byte
}

type overPair struct {
	key     string
	value   []byte
	removed bool
}

func (s *Store) omapIter(m *meta, from string) (*omapIter, error) {
	it := &omapIter{}
	if !m.omap {
		return it, nil
	}
	over := map[string]overPair{}
	hideAll := false
	for i := range m.omapP {
		p := &m.omapP[i]
		for k, v := range p.set {
			over[k] = overPair{k, v, false}
		}
		for _, k := range p.rm {
			over[k] = overPair{key: k, removed: true}
		}
		if p.clear {
			clear(over)
			hideAll = true
		}
		if p.ranged {
			maps.DeleteFunc(over, func(k string, _ overPair) bool { return k >= p.first && k < p.end })
			it.hidden = append(it.hidden, *p)
		}
	}
	maps.DeleteFunc(over, func(k string, _ overPair) bool { return k < from })
	it.over = slices.SortedFunc(maps.Values(over), func(a, b overPair) int { return strings.Compare(a.key, b.key) })
	if hideAll {
		return it, nil
	}
	base, err := s.db.NewIter(&pebble.IterOptions{
		LowerBound: numbered(keyOmap, m.nid, from), UpperBound: numbered(keyOmap, m.nid+1, ""),
	})
	if err != nil {
		return nil, err
	}
	it.base = base
	base.First()
	return it, nil
}

// baseKey returns the base's current key.
func (it *omapIter) baseKey() (string, bool) {
	if it.base == nil || !it.base.Valid() {
		return "", false
	}
	return string(it.base.Key()[9:]), true
}

func (it *omapIter) isHidden(key string) bool {
	for i := range it.hidden {
		if key >= it.hidden[i].first && key < it.hidden[i].end {
			return true
		}
	}
	return false
}

func (it *omapIter) Next() bool {
	if it.onBase {
		it.base.Next()
		it.onBase = false
	}
	for {
		key, ok := it.baseKey()
		switch {
		case len(it.over) > 0 && (!ok || it.over[0].key <= key):
			p := it.over[0]
			it.over = it.over[1:]
			if ok && p.key == key {
				it.base.Next()
			}
			if !p.removed {
				it.key, it.value = p.key, p.value
				return true
			}
		case !ok:
			return false
		case it.isHidden(key):
			it.base.Next()
		default:
			it.key, it.value, it.onBase = key, it.base.Value(), true
			return true
		}
	}
}

func (it *omapIter) Key() string   { return it.key }
func (it *omapIter) Value() []byte { return it.value }

func (it *omapIter) Err() error {
	if it.base == nil {
		return nil
	}
	return kvReadError(it.base.Error())
}

// kvReadError makes an error of the key-value store one of reading.
func kvReadError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("key-value store: %w: %w", objectstore.ErrIO, err)
}

func (it *omapIter) Close() error {
	if it.base == nil {
		return nil
	}
	base := it.base
	it.base, it.onBase = nil, false
	return kvReadError(base.Close())
}

// Collections implements objectstore.Reader.
func (s *Store) Collections() ([]objectstore.Coll, error) {
	if !s.mounted.Load() {
		return nil, objectstore.ErrClosed
	}
	s.collMu.RLock()
	all := slices.Collect(maps.Values(s.colls))
	s.collMu.RUnlock()
	var out []objectstore.Coll
	for _, c := range all {
		c.mu.Lock()
		if c.exists {
			out = append(out, c.id)
		}
		c.mu.Unlock()
	}
	return out, nil
}

// HasCollection implements objectstore.Reader.
func (s *Store) HasCollection(id objectstore.Coll) (bool, error) {
	c, err := s.open(id)
	if err == nil {
		c.mu.Unlock()
		return true, nil
	}
	if errors.Is(err, objectstore.ErrNotFound) {
		err = nil
	}
	return false, err
}

// List implements objectstore.Reader.
func (s *Store) List(id objectstore.Coll, from, to object.GID, max int) ([]object.GID, object.GID, error) {
	c, err := s.open(id)
	if err != nil {
		return nil, object.GID{}, err
	}
	defer c.mu.Unlock()
	list, next, err := s.listLocked(c, from, to, max)
	return list, next, s.ioError("listing of "+id.String(), from, err)
}

// listLocked merges the index with what is pending for it. c is locked.
func (s *Store) listLocked(c *collection, from, to object.GID, max int) ([]object.GID, object.GID, error) {
	if from.Compare(to) >= 0 {
		return nil, to, nil
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: objectKey(c.id, from), UpperBound: objectKey(c.id, to)})
	if err != nil {
		return nil, to, err
	}
	defer it.Close()
	var over []*indexEntry
	c.index.AscendRange(&indexEntry{gid: from}, &indexEntry{gid: to}, func(e *indexEntry) bool {
		over = append(over, e)
		return true
	})
	var out []object.GID
	valid := it.First()
	for {
		var base object.GID
		if valid {
			if base, err = decodeGID(it.Key()[1+collLen:]); err != nil {
				return nil, to, err
			}
		}
		next, take := base, true
		switch {
		case !valid && len(over) == 0:
			return out, to, kvReadError(it.Error())
		case len(over) > 0 && (!valid || over[0].gid.Compare(base) <= 0):
			next, take = over[0].gid, over[0].exists
			if valid && next.Compare(base) == 0 {
				valid = it.Next()
			}
			over = over[1:]
		default:
			valid = it.Next()
		}
		if !take {
			continue
		}
		if len(out) >= max {
			return out, next, nil
		}
		out = append(out, next)
	}
}

// CollBits returns how many low bits of their hash the objects of a collection share.
func (s *Store) CollBits(id objectstore.Coll) (uint32, error) {
	c, err := s.open(id)
	if err != nil {
		return 0, err
	}
	defer c.mu.Unlock()
	return c.bits, nil
}
