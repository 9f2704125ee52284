package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"sepiola/entity"
	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/objectstore/filestore"
)

// mkfs makes an empty store for --op dup: it belongs to no OSD yet.
func (t *tool) mkfs() error {
	if t.kind != "" && t.kind != "filestore" {
		return t.fail("Unable to create store of type %s", t.kind)
	}
	id := objectstore.Identity{OSDFSID: entity.NewUUID(), WhoAmI: -1}
	if t.fsid != "" {
		var err error
		if id.OSDFSID, err = entity.ParseUUID(t.fsid); err != nil {
			return t.fail("failed to parse uuid '%s'", t.fsid)
		}
	}
	if t.dryRun {
		return nil
	}
	if err := filestore.New(t.dataPath, filestore.Options{JournalPath: t.journalPath}).Mkfs(id); err != nil {
		return t.fail("mkfs failed: %s", describe(err))
	}
	return nil
}

// dup copies a whole store to one that --op mkfs made with the same fsid.
func (t *tool) dup() error {
	typeFile := filepath.Join(t.target, "type")
	if _, err := os.Stat(typeFile); err != nil {
		return t.fail("Unable to open %s: make the target with --op mkfs --fsid and the fsid of %s", typeFile, t.dataPath)
	}
	dst := filestore.New(t.target, filestore.Options{})
	fmt.Fprintf(t.out, "dup from %s: %s\n      to %s: %s\n", t.store.Kind(), t.dataPath, dst.Kind(), t.target)
	src, err := t.store.Identity()
	if err != nil {
		return t.fail("failed to mount src: %s", describe(err))
	}
	id, err := dst.Identity()
	if err != nil {
		return t.fail("failed to mount dst: %s", describe(err))
	}
	switch {
	case src.OSDFSID != id.OSDFSID:
		return t.fail("src fsid %v != dest %v", src.OSDFSID, id.OSDFSID)
	case id.WhoAmI != -1:
		return t.fail("destination store is that of osd.%d", id.WhoAmI)
	case t.dryRun:
		return nil
	}
	fmt.Fprintf(t.out, "fsid %v\n", src.OSDFSID)
	if err := t.copyStore(dst); err != nil {
		return err
	}
	fmt.Fprintln(t.out, "duping osd metadata")
	if err := dst.Stamp(src); err != nil {
		return t.fail("dup failed: %s", describe(err))
	}
	fmt.Fprintln(t.out, "done.")
	return nil
}

// copyStore copies all collections between stores that nobody has mounted.
func (t *tool) copyStore(dst *filestore.Store) (err error) {
	for _, s := range []struct {
		name  string
		store *filestore.Store
	}{{"src", t.store}, {"dst", dst}} {
		if err := s.store.Mount(); err != nil {
			return t.fail("failed to mount %s: %s", s.name, describe(err))
		}
		defer func() {
			if e := s.store.Close(); e != nil && err == nil {
				err = t.fail("umount failed: %v", e)
			}
		}()
	}
	if have, err := dst.Collections(); err != nil || len(have) > 0 {
		return t.fail("destination store is not empty")
	}
	all, err := t.store.Collections()
	if err != nil {
		return t.fail("error listing collections on src: %s", describe(err))
	}
	slices.SortFunc(all, objectstore.Coll.Compare)
	fmt.Fprintf(t.out, "%d collections\n", len(all))
	for i, c := range all {
		fmt.Fprintf(t.out, "%d/%d %v\n", i+1, len(all), c)
		if err := t.copyColl(dst, c); err != nil {
			return t.fail("dup failed: %v: %s", c, describe(err))
		}
	}
	return nil
}

// pairCost is about what a pair takes in a transaction besides its bytes.
const pairCost = 256

// counts are what has been copied of a collection.
type counts struct{ objects, bytes, keys uint64 }

func (t *tool) copyColl(dst *filestore.Store, c objectstore.Coll) error {
	bits, err := t.store.CollBits(c)
	if err != nil {
		return err
	}
	tx := &objectstore.Transaction{}
	tx.MkColl(c, bits)
	if err := objectstore.SubmitWait(dst, tx); err != nil {
		return err
	}
	var n counts
	for pos := object.GMin; pos.Compare(object.GMax) < 0; {
		list, next, err := t.store.List(c, pos, object.GMax, 1000)
		if err != nil {
			return err
		}
		for _, o := range list {
			d := copier{t.store, dst, c, o, &n, &objectstore.Transaction{}, 0}
			if err := d.copy(); err != nil {
				return fmt.Errorf("object %v: %w", o, err)
			}
		}
		pos = next
	}
	fmt.Fprintf(t.out, "  %16d objects, %16d bytes, %16d keys\n", n.objects, n.bytes, n.keys)
	return nil
}

// copier copies an object, in one transaction unless it is large.
type copier struct {
	src, dst *filestore.Store
	c        objectstore.Coll
	o        object.GID
	n        *counts
	tx       *objectstore.Transaction
	inTx     int // bytes
}

func (d *copier) copy() error {
	d.n.objects++
	d.tx.Touch(d.c, d.o)
	if err := d.data(); err != nil {
		return err
	}
	attrs, err := d.src.Attrs(d.c, d.o)
	if err != nil {
		return err
	}
	d.tx.SetAttrs(d.c, d.o, attrs)
	if err := d.omap(); err != nil {
		return err
	}
	return objectstore.SubmitWait(d.dst, d.tx)
}

// room submits what there is when so many bytes more would be too many.
func (d *copier) room(bytes int) error {
	if d.inTx += bytes; d.inTx <= txChunk {
		return nil
	}
	err := objectstore.SubmitWait(d.dst, d.tx)
	d.tx, d.inTx = &objectstore.Transaction{}, bytes
	return err
}

// data copies what is not a hole.
func (d *copier) data() error {
	st, err := d.src.Stat(d.c, d.o)
	if err != nil {
		return err
	}
	d.tx.Truncate(d.c, d.o, st.Size)
	list, err := d.src.Extents(d.c, d.o, 0, st.Size)
	if err != nil {
		return err
	}
	for _, x := range list {
		for off, end := x.Off, min(x.Off+x.Len, st.Size); off < end; off += ioChunk {
			b, err := d.src.Read(d.c, d.o, off, min(ioChunk, end-off))
			if err != nil {
				return err
			}
			if err := d.room(b.Len()); err != nil {
				return err
			}
			d.tx.Write(d.c, d.o, off, b)
			d.n.bytes += uint64(b.Len())
		}
	}
	return nil
}

func (d *copier) omap() error {
	head, err := d.src.OmapHeader(d.c, d.o)
	if err != nil {
		return err
	}
	if len(head) > 0 {
		d.tx.OmapHeader(d.c, d.o, head)
		d.n.keys++
	}
	it, err := d.src.OmapIter(d.c, d.o, "")
	if err != nil {
		return err
	}
	defer it.Close()
	for it.Next() {
		if err := d.room(len(it.Key()) + len(it.Value()) + pairCost); err != nil {
			return err
		}
		d.tx.OmapSet(d.c, d.o, map[string][]byte{it.Key(): append([]byte{}, it.Value()...)})
		d.n.keys++
	}
	return it.Err()
}
