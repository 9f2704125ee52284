package crash

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/objectstore/filestore"
	"sepiola/pglog"
)

// objectCopy is one OSD's copy of an object.
type objectCopy struct {
	size  int
	data  digest
	attrs map[string]digest
	omap  map[string]digest // the header under the empty key
}

// pgCopy is one OSD's copy of a placement group.
type pgCopy struct {
	objects map[string]objectCopy
	info    pglog.Info
	entries []string
	missing int
}

// checkCopies opens the stores of the stopped OSDs in dir and compares the copies of
// each PG: all of them, for all OSDs have all PGs here.
func checkCopies(dir string, names []string) error {
	var all []map[string]*pgCopy
	for _, name := range names {
		copies, err := readCopies(filepath.Join(dir, name))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, copies)
	}
	for i := 1; i < len(all); i++ {
		for _, pg := range slices.Sorted(maps.Keys(all[0])) {
			if all[i][pg] == nil {
				return fmt.Errorf("%s has no copy of %s", names[i], pg)
			}
			if err := all[0][pg].equal(all[i][pg]); err != nil {
				return fmt.Errorf("copies of %s on %s and %s differ: %w", pg, names[0], names[i], err)
			}
		}
		if len(all[i]) != len(all[0]) {
			return fmt.Errorf("%s has %d collections, %s %d", names[0], len(all[0]), names[i], len(all[i]))
		}
	}
	return nil
}

func readCopies(dir string) (out map[string]*pgCopy, err error) {
	s := filestore.New(dir, filestore.Options{})
	if err := s.Mount(); err != nil {
		return nil, err
	}
	defer func() {
		if e := s.Close(); err == nil {
			err = e
		}
	}()
	colls, err := s.Collections()
	if err != nil {
		return nil, err
	}
	out = map[string]*pgCopy{}
	for _, c := range colls {
		if c.Kind == objectstore.CollMeta {
			continue
		}
		if out[c.String()], err = readPG(s, c); err != nil {
			return nil, fmt.Errorf("%v: %w", c, err)
		}
	}
	return out, nil
}

func readPG(s objectstore.Reader, c objectstore.Coll) (*pgCopy, error) {
	p := &pgCopy{objects: map[string]objectCopy{}}
	for from, more := object.GMin, true; more; {
		list, next, err := s.List(c, from, object.GMax, 256)
		if err != nil {
			return nil, err
		}
		for _, o := range list {
			if o.IsPGMeta() {
				continue
			}
			if p.objects[o.String()], err = readCopy(s, c, o); err != nil {
				return nil, fmt.Errorf("%v: %w", o, err)
			}
		}
		more = next != object.GMax && next != from
		from = next
	}
	l, err := pglog.Load(s, c.PG, false)
	if err != nil {
		return nil, err
	}
	p.info, p.missing = l.Copy.Info, l.Copy.Missing.Len()
	for _, e := range l.Copy.Log.Entries() {
		p.entries = append(p.entries, fmt.Sprint(e.Version, e.PriorVersion, e.Op, e.Object, e.ReqID))
	}
	return p, nil
}

func readCopy(s objectstore.Reader, c objectstore.Coll, o object.GID) (objectCopy, error) {
	x := objectCopy{attrs: map[string]digest{}, omap: map[string]digest{}}
	data, err := s.Read(c, o, 0, 0)
	if err != nil {
		return x, err
	}
	x.size, x.data = data.Len(), sha256.Sum256(data.Flat())
	attrs, err := s.Attrs(c, o)
	if err != nil {
		return x, err
	}
	for k, v := range attrs {
		x.attrs[k] = sha256.Sum256(v)
	}
	header, err := s.OmapHeader(c, o)
	if err != nil {
		return x, err
	}
	x.omap[""] = sha256.Sum256(header)
	it, err := s.OmapIter(c, o, "")
	if err != nil {
		return x, err
	}
	for it.Next() {
		x.omap["k"+it.Key()] = sha256.Sum256(it.Value())
	}
	if err := it.Err(); err != nil {
		it.Close()
		return x, err
	}
	return x, it.Close()
}

// equal says what differs first between two copies of a clean PG.
func (p *pgCopy) equal(q *pgCopy) error {
	if p.missing != 0 || q.missing != 0 {
		return fmt.Errorf("%d and %d objects are missing", p.missing, q.missing)
	}
	if p.info.LastUpdate != q.info.LastUpdate || p.info.LastComplete != q.info.LastComplete || p.info.LastBackfill != q.info.LastBackfill {
		return fmt.Errorf("infos: %v and %v", &p.info, &q.info)
	}
	// Logs may begin at different entries; where both have them they are the same.
	n := min(len(p.entries), len(q.entries))
	if a, b := p.entries[len(p.entries)-n:], q.entries[len(q.entries)-n:]; !slices.Equal(a, b) {
		for i := range a {
			if a[i] != b[i] {
				return fmt.Errorf("log entries %s and %s", a[i], b[i])
			}
		}
	}
	for name, a := range p.objects {
		b, ok := q.objects[name]
		switch {
		case !ok:
			return fmt.Errorf("%s is only in the first", name)
		case a.size != b.size || a.data != b.data:
			return fmt.Errorf("%s: data of %d and %d bytes", name, a.size, b.size)
		case !maps.Equal(a.attrs, b.attrs):
			return fmt.Errorf("%s: attributes %v", name, differing(a.attrs, b.attrs))
		case !maps.Equal(a.omap, b.omap):
			return fmt.Errorf("%s: omap keys %v", name, differing(a.omap, b.omap))
		}
	}
	for name := range q.objects {
		if _, ok := p.objects[name]; !ok {
			return fmt.Errorf("%s is only in the second", name)
		}
	}
	return nil
}

func differing(a, b map[string]digest) []string {
	var out []string
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(keys)
	for _, k := range slices.Compact(keys) {
		if a[k] != b[k] {
			out = append(out, k)
		}
	}
	return out
}
