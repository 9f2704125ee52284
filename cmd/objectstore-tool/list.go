package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sepiola/jsonfmt"
	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/pglog"
)

// listChunk is how many objects are listed at a time.
const listChunk = 256

// located is an object with its collection.
type located struct {
	coll objectstore.Coll
	gid  object.GID
}

// search says which objects to list.
type search struct {
	name      string // any if empty
	namespace *string
	head      bool // only those with a snapset of their own
}

func (s search) wants(g object.GID) bool {
	return (!s.head || g.IsHead() || g.Snap == object.SnapDir) && (s.name == "" || g.Name == s.name) &&
		(s.namespace == nil || g.Namespace == *s.namespace)
}

// pgColls returns the collections of PGs in order; of one PG if --pgid names it. A PG
// id without shard stands for all shards.
func (t *tool) pgColls() ([]objectstore.Coll, error) {
	all, err := t.store.Collections()
	if err != nil {
		return nil, t.fail("Error listing collections: %s", errText(err))
	}
	var out []objectstore.Coll
	for _, c := range all {
		if c.Kind == objectstore.CollPG && (t.pgid == "" || c.PG == t.pg || t.pg.Shard == object.NoShard && c.PG.PGID == t.pg.PGID) {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, objectstore.Coll.Compare)
	t.debugf("%d pgs to scan", len(out))
	return out, nil
}

// each calls f with the objects of a collection that are wanted, in order, the PG's
// metadata object not among them.
func (t *tool) each(c objectstore.Coll, s search, f func(located) error) error {
	for at := object.GMin; at.Less(object.GMax); {
		list, next, err := t.store.List(c, at, object.GMax, listChunk)
		if err != nil {
			return t.fail("Error listing collection: %v, %s", c, errText(err))
		}
		for _, g := range list {
			if g.IsPGMeta() || !s.wants(g) {
				continue
			}
			if err := f(located{c, g}); err != nil {
				return err
			}
		}
		at = next
	}
	return nil
}

func (t *tool) list() error {
	name, _ := t.object()
	colls, err := t.pgColls()
	if err != nil {
		return err
	}
	return t.printObjects(colls, search{name, t.namespace, t.head})
}

func (t *tool) listMeta() error {
	return t.printObjects([]objectstore.Coll{objectstore.Meta}, search{})
}

// printObjects lists objects: one to a line for people, who get no pretty form, and
// one array for programs.
func (t *tool) printObjects(colls []objectstore.Coll, s search) error {
	people := strings.HasSuffix(t.format, "-pretty")
	first := true
	if !people {
		t.out.WriteByte('[')
	}
	for _, c := range colls {
		err := t.each(c, s, func(l located) error {
			w := jsonfmt.New(false)
			l.dump(w, !people)
			switch {
			case people:
				fmt.Fprintln(t.out, w.Text())
			case first:
				t.out.WriteString(w.Text())
			default:
				t.out.WriteString("," + w.Text())
			}
			first = false
			return nil
		})
		if err != nil {
			return err
		}
	}
	if !people {
		t.out.WriteString("]\n")
	}
	return nil
}

// dump writes the description that object commands take.
func (l located) dump(w *jsonfmt.Writer, withColl bool) {
	w.OpenArray("")
	if l.coll.Kind == objectstore.CollPG {
		w.String("", l.coll.PG.String())
	}
	if l.coll.Kind != objectstore.CollPG || withColl {
		w.String("", l.coll.String())
	}
	w.OpenObject("")
	l.gid.DumpJSON(w)
	w.Close()
	w.Close()
}

func (t *tool) listPGs() error {
	all := *t
	all.options = &options{}
	colls, err := all.pgColls()
	for _, c := range colls {
		fmt.Fprintln(t.out, c.PG)
	}
	return err
}

// needColl returns the collection of --pgid.
func (t *tool) needColl() (objectstore.Coll, error) {
	c := objectstore.PGColl(t.pg)
	ok, err := t.store.HasCollection(c)
	if err != nil {
		return c, err
	}
	if !ok {
		return c, t.fail("PG '%v' not found", t.pg)
	}
	return c, nil
}

// loadPG reads the metadata of the PG of --pgid.
func (t *tool) loadPG() (pglog.Loaded, error) {
	if _, err := t.needColl(); err != nil {
		return pglog.Loaded{}, err
	}
	l, err := pglog.Load(t.store, t.pg, false)
	switch {
	case errors.Is(err, pglog.ErrInconsistent):
		return l, t.fail("read_info error: %v", err)
	case err != nil:
		return l, t.fail("read_info error %s: %v", errText(err), err)
	}
	t.debugf("map_epoch %d", l.Epoch)
	return l, nil
}

// printJSON prints an object. Ceph ends most of them with a line break on top of the
// one that the pretty form has.
func (t *tool) printJSON(extraBreak bool, fill func(*jsonfmt.Writer)) {
	w := jsonfmt.New(t.format == "json-pretty")
	w.OpenObject("")
	fill(w)
	w.Close()
	t.out.Write(w.Bytes())
	if extraBreak {
		t.out.WriteByte('\n')
	}
}

func (t *tool) info() error {
	l, err := t.loadPG()
	if err == nil {
		t.printJSON(true, l.Info.DumpJSON)
	}
	return err
}

func (t *tool) log() error {
	l, err := t.loadPG()
	if err != nil {
		return err
	}
	log := l.Log.Log()
	t.printJSON(false, func(w *jsonfmt.Writer) {
		w.OpenObject("pg_log_t")
		log.DumpJSON(w)
		w.Close()
		w.OpenObject("pg_missing_t")
		l.Missing.DumpJSON(w)
		w.Close()
	})
	return nil
}

func (t *tool) statfs() error {
	s, err := t.store.Statfs()
	if err != nil {
		return t.fail("error from statfs: %s", errText(err))
	}
	sum := pglog.StoreStatfs{Total: s.Total, Available: s.Available, InternallyReserved: s.InternallyReserved,
		Allocated: int64(s.Allocated), DataStored: int64(s.DataStored), OmapAllocated: int64(s.OmapAllocated),
		InternalMetadata: int64(s.Metadata)}
	t.printJSON(true, sum.DumpJSON)
	return nil
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
