package check

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/pglog"
)

// Copy is one OSD's copy of a PG, in its store.
type Copy struct {
	OSD   int32
	Store objectstore.Reader
}

// Copies checks that all copies of a clean PG are equal: data, attributes and omap
// of every object, what is known of the PG, and its log as far back as two copies
// both have it. The first copy is the primary's.
func Copies(id object.SPGID, copies []Copy) error {
	var first *contents
	for _, c := range copies {
		got, err := load(id, c)
		if err != nil {
			return fmt.Errorf("%v on osd.%d: %w", id, c.OSD, err)
		}
		if err := got.alone(); err != nil {
			return fmt.Errorf("%v on osd.%d: %w", id, c.OSD, err)
		}
		if first == nil {
			first = got
			if got.meta.Info.Stats.StatsInvalid {
				return fmt.Errorf("%v on osd.%d, the primary: clean, and its statistics are guesses", id, c.OSD)
			}
			continue
		}
		if err := first.same(got); err != nil {
			return fmt.Errorf("copies of %v on osd.%d and osd.%d differ: %w", id, first.osd, c.OSD, err)
		}
	}
	return nil
}

// contents is all that a store has of a PG.
type contents struct {
	osd     int32
	objects map[object.GID]stored
	order   []object.GID
	meta    pglog.Loaded
}

// stored is an object, its own metadata among the attributes.
type stored struct {
	data  string
	attrs map[string]string
	omap  map[string]string
	head  string
}

func load(id object.SPGID, c Copy) (*contents, error) {
	out := &contents{osd: c.OSD, objects: map[object.GID]stored{}}
	var err error
	if out.meta, err = pglog.Load(c.Store, id, false); err != nil {
		return nil, err
	}
	coll := objectstore.PGColl(id)
	list, _, err := c.Store.List(coll, object.GMin, object.GMax, 1<<30)
	if err != nil {
		return nil, err
	}
	for _, g := range list {
		if g.IsPGMeta() {
			continue
		}
		o, err := loadObject(c.Store, coll, g)
		if err != nil {
			return nil, fmt.Errorf("%v: %w", g, err)
		}
		out.objects[g] = o
		out.order = append(out.order, g)
	}
	return out, nil
}

func loadObject(r objectstore.Reader, c objectstore.Coll, g object.GID) (o stored, err error) {
	data, err := r.Read(c, g, 0, 0)
	if err != nil {
		return o, err
	}
	attrs, err := r.Attrs(c, g)
	if err != nil {
		return o, err
	}
	head, err := r.OmapHeader(c, g)
	if err != nil {
		return o, err
	}
	it, err := r.OmapIter(c, g, "")
	if err != nil {
		return o, err
	}
	defer it.Close()
	o = stored{data: string(data.Flat()), attrs: map[string]string{}, omap: map[string]string{}, head: string(head)}
	for k, v := range attrs {
		o.attrs[k] = string(v)
	}
	for it.Next() {
		o.omap[it.Key()] = string(it.Value())
	}
	return o, it.Err()
}

// alone checks what one copy says of itself.
func (c *contents) alone() error {
	var bytes int64
	for _, g := range c.order {
		if g.Pool < 0 {
			return fmt.Errorf("temporary object %v was left behind", g)
		}
		o := c.objects[g]
		bytes += int64(len(o.data))
		oi, err := pglog.ParseObjectInfo([]byte(o.attrs[pglog.AttrObjectInfo]))
		if err != nil {
			return fmt.Errorf("%v: %w", g, err)
		}
		if oi.Size != uint64(len(o.data)) {
			return fmt.Errorf("%v has %d bytes, its metadata says %d", g, len(o.data), oi.Size)
		}
		if n := c.meta.Log.Newest(g.ID); n != nil && !n.IsError() && n.Version != oi.Version {
			return fmt.Errorf("%v is at %v, the newest entry of the log is %v", g, oi.Version, n.Version)
		}
	}
	i := &c.meta.Info
	switch sum := &i.Stats.Stats.Sum; {
	case c.meta.Missing.Len() > 0:
		return fmt.Errorf("clean, and misses %s", missing(c.meta.Missing))
	case i.LastComplete != i.LastUpdate:
		return fmt.Errorf("clean, and complete up to %v only, not %v", i.LastComplete, i.LastUpdate)
	case i.IsIncomplete():
		return fmt.Errorf("clean, and backfilled up to %v only", i.LastBackfill)
	case c.meta.Log.Head() != i.LastUpdate || c.meta.Log.Tail() != i.LogTail:
		return fmt.Errorf("log (%v,%v], info (%v,%v]", c.meta.Log.Tail(), c.meta.Log.Head(), i.LogTail, i.LastUpdate)
	case i.Stats.StatsInvalid:
		// Guesses of a split, which say that they are. A replica may have them in its store
		// until the next write; whoever leads counts anew.
	case sum.NumObjects != int64(len(c.order)) || sum.NumBytes != bytes:
		return fmt.Errorf("statistics say %d objects with %d bytes, there are %d with %d", sum.NumObjects, sum.NumBytes,
			len(c.order), bytes)
	}
	return nil
}

// missing lists the objects of a missing set.
func missing(m *pglog.Missing) string {
	var b strings.Builder
	for o, item := range m.ByNeed(pglog.Version{}) {
		fmt.Fprintf(&b, "%v needs %v has %v; ", o, item.Need, item.Have)
	}
	return b.String()
}

// same says how another copy differs.
func (c *contents) same(d *contents) error {
	for _, g := range c.order {
		o, ok := d.objects[g]
		if !ok {
			return fmt.Errorf("only the first has %v", g)
		}
		if err := sameObject(c.objects[g], o); err != nil {
			return fmt.Errorf("%v: %w", g, err)
		}
	}
	for _, g := range d.order {
		if _, ok := c.objects[g]; !ok {
			return fmt.Errorf("only the second has %v", g)
		}
	}
	if err := sameInfo(&c.meta.Info, &d.meta.Info); err != nil {
		return err
	}
	return sameLog(c.meta.Log, d.meta.Log)
}

func sameObject(a, b stored) error {
	switch {
	case a.data != b.data:
		return fmt.Errorf("data %q and %q", a.data, b.data)
	case a.head != b.head:
		return fmt.Errorf("omap header %q and %q", a.head, b.head)
	case !maps.Equal(a.omap, b.omap):
		return fmt.Errorf("omap %q and %q", Pairs(a.omap), Pairs(b.omap))
	}
	for _, k := range slices.Sorted(maps.Keys(a.attrs)) {
		if v, ok := b.attrs[k]; !ok || v != a.attrs[k] {
			return fmt.Errorf("attribute %s %x and %x", k, a.attrs[k], v)
		}
	}
	if len(a.attrs) != len(b.attrs) {
		return fmt.Errorf("%d attributes and %d", len(a.attrs), len(b.attrs))
	}
	return nil
}

// sameInfo compares what every member of a clean PG must agree on: not how long
// its log is, nor what only the primary keeps count of, nor the last user version,
// which one whose log was rewound remembers beyond it.
func sameInfo(a, b *pglog.Info) error {
	h, k := &a.History, &b.History
	sum := b.Stats.Stats.Sum
	if b.Stats.StatsInvalid {
		sum = a.Stats.Stats.Sum
	}
	for _, f := range []struct {
		name string
		a, b any
	}{
		{"last update", a.LastUpdate, b.LastUpdate},
		{"epoch created", h.EpochCreated, k.EpochCreated}, {"last epoch started", h.LastEpochStarted, k.LastEpochStarted},
		{"last epoch clean", h.LastEpochClean, k.LastEpochClean},
		{"same interval since", h.SameIntervalSince, k.SameIntervalSince},
		{"objects", a.Stats.Stats.Sum.NumObjects, sum.NumObjects},
		{"bytes", a.Stats.Stats.Sum.NumBytes, sum.NumBytes},
	} {
		if f.a != f.b {
			return fmt.Errorf("%s %v and %v", f.name, f.a, f.b)
		}
	}
	return nil
}

// sameLog compares two logs over what both of them reach back to.
func sameLog(a, b *pglog.IndexedLog) error {
	from := pglog.MaxOf(a.Tail(), b.Tail())
	x, y := a.EntriesAfter(from), b.EntriesAfter(from)
	if len(x) != len(y) {
		return fmt.Errorf("%d and %d log entries after %v:\n%s\n%s", len(x), len(y), from, entries(x), entries(y))
	}
	for i := range x {
		if !sameEntry(x[i], y[i]) {
			return fmt.Errorf("log entry %v and %v", x[i], y[i])
		}
	}
	return nil
}

func sameEntry(a, b *pglog.Entry) bool {
	return a.Op == b.Op && a.Object == b.Object && a.Version == b.Version && a.PriorVersion == b.PriorVersion &&
		a.ReqID == b.ReqID && a.UserVersion == b.UserVersion && a.ReturnCode == b.ReturnCode &&
		(len(a.OpReturns) == 0 && len(b.OpReturns) == 0 || reflect.DeepEqual(a.OpReturns, b.OpReturns))
}

func entries(list []*pglog.Entry) string {
	var b strings.Builder
	for _, e := range list {
		fmt.Fprintf(&b, " %v", e)
	}
	return b.String()
}

// Contents reads an object as clients know it. An object that is not there is no
// error.
func Contents(r objectstore.Reader, c objectstore.Coll, g object.GID) (Object, error) {
	o, err := loadObject(r, c, g)
	if errors.Is(err, objectstore.ErrNotFound) {
		return Object{}, nil
	}
	if err != nil {
		return Object{}, err
	}
	out := Object{Exists: true, Data: o.data, Omap: o.omap, Attrs: map[string]string{}}
	for k, v := range o.attrs {
		if user, ok := strings.CutPrefix(k, "_"); ok && user != "" {
			out.Attrs[user] = v
		}
	}
	return out, nil
}

// size writes a size as [Stat] gives it.
func size(n int) string { return fmt.Sprint(n) }
