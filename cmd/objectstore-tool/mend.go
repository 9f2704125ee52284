package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/pglog"
)

// objectInfo reads an object's info.
func (t *tool) objectInfo(l located) (pglog.ObjectInfo, error) {
	b, err := t.store.Attr(l.coll, l.gid, pglog.AttrObjectInfo)
	if err != nil {
		return pglog.ObjectInfo{}, t.fail("Error getting attr on : %v,%v, %s", l.coll, l.gid, errText(err))
	}
	oi, err := pglog.ParseObjectInfo(b)
	if err != nil {
		return oi, t.fail("Error getting attr on : %v,%v, (22) Invalid argument", l.coll, l.gid)
	}
	return oi, nil
}

// number reads an argument that must begin with a digit.
func number(text string) (uint64, bool) {
	end := 0
	for end < len(text) && text[end] >= '0' && text[end] <= '9' {
		end++
	}
	n, err := strconv.ParseUint(text[:end], 10, 63)
	return n, err == nil
}

// setSize sets an object's size, in the store, in its info and, for a clone, in the account
// of clones.
func (t *tool) setSize(l located, args []string) error {
	size, ok := number(args[0])
	if !ok {
		return t.fail("Invalid size '%s' specified", args[0])
	}
	oi, err := t.objectInfo(l)
	if err != nil {
		return err
	}
	st, err := t.store.Stat(l.coll, l.gid)
	if err != nil {
		return t.fail("Error stat on : %v,%v, %s", l.coll, l.gid, errText(err))
	}
	tx := &objectstore.Transaction{}
	same, also := st.Size == size && oi.Size == size, ""
	if !hasSnapSet(l.gid) {
		head := l
		head.gid.Snap = object.NoSnap
		ss, err := t.snapSet(head)
		if err != nil {
			return err
		}
		was, ok := ss.CloneSize[l.gid.Snap]
		if !ok {
			return t.fail("SnapSet is missing clone_size for snap %v", l.gid.Snap)
		}
		same, also = same && was == size, fmt.Sprintf(", head clone_size %d", was)
		ss.CloneSize[l.gid.Snap] = size
		tx.SetAttr(head.coll, head.gid, pglog.AttrSnapSet, ss.Bytes())
	}
	if same {
		fmt.Fprintf(t.out, "Size of object is already %d\n", size)
		return nil
	}
	fmt.Fprintf(t.out, "Setting size to %d, stat size %d, obj info size %d%s\n", size, st.Size, oi.Size, also)
	oi.Size = size
	if st.Size != size {
		tx.Truncate(l.coll, l.gid, size)
		oi.ClearDataDigest()
	}
	return t.putInfo(tx, l, &oi)
}

// putInfo adds an object's info to a transaction and submits it.
func (t *tool) putInfo(tx *objectstore.Transaction, l located, oi *pglog.ObjectInfo) error {
	tx.SetAttr(l.coll, l.gid, pglog.AttrObjectInfo, oi.Bytes())
	if err := t.submit(tx); err != nil {
		return t.fail("Error writing object info: %v,%v, %s", l.coll, l.gid, describe(err))
	}
	return nil
}

func (t *tool) clearDataDigest(l located, _ []string) error {
	oi, err := t.objectInfo(l)
	if err != nil {
		return err
	}
	oi.ClearDataDigest()
	return t.putInfo(&objectstore.Transaction{}, l, &oi)
}

func (t *tool) putSnapSet(l located, ss *pglog.SnapSet) error {
	tx := &objectstore.Transaction{}
	tx.SetAttr(l.coll, l.gid, pglog.AttrSnapSet, ss.Bytes())
	if err := t.submit(tx); err != nil {
		return t.fail("Error setting snapset on : %v,%v, %s", l.coll, l.gid, describe(err))
	}
	return nil
}

// clearSnapSet takes parts of the account of clones away; what Ceph has it for is tests.
func (t *tool) clearSnapSet(l located, args []string) error {
	if !hasSnapSet(l.gid) {
		return t.fail("'clear-snapset' requires a head or snapdir object")
	}
	ss, err := t.snapSet(l)
	if err != nil {
		return err
	}
	part := ""
	if len(args) > 0 {
		part = args[0]
	}
	all := part == "corrupt"
	clones := all || part == ""
	if all || part == "seq" {
		ss.Seq = 0
	}
	if all || part == "snaps" {
		ss.CloneSnaps = nil
	}
	if clones || part == "clones" {
		ss.Clones = nil
	}
	if clones || part == "clone_overlap" {
		ss.CloneOverlap = nil
	}
	if clones || part == "clone_size" {
		ss.CloneSize = nil
	}
	if part == "size" {
		for s := range ss.CloneSize {
			ss.CloneSize[s]++
		}
	}
	return t.putSnapSet(l, &ss)
}

// removeCloneMetadata takes a clone that is lost out of the account of clones. What it did
// not share with the head, the next older clone does not either.
func (t *tool) removeCloneMetadata(l located, args []string) error {
	if !hasSnapSet(l.gid) {
		return t.fail("'remove-clone-metadata' requires a head or snapdir object")
	}
	n, ok := number(args[0])
	if !ok {
		return t.fail("Invalid cloneid '%s' specified", args[0])
	}
	ss, err := t.snapSet(l)
	if err != nil {
		return err
	}
	clone := object.SnapID(n)
	i := slices.Index(ss.Clones, clone)
	if i < 0 {
		return t.fail("Clone %v not present", clone)
	}
	if i > 0 {
		older := ss.Clones[i-1]
		ss.CloneOverlap[older] = ss.CloneOverlap[older].Intersect(ss.CloneOverlap[clone])
	}
	for _, part := range []struct {
		name string
		has  bool
	}{{"clone_overlap", has(ss.CloneOverlap, clone)}, {"clone_size", has(ss.CloneSize, clone)}} {
		switch {
		case part.has:
		case t.force:
			t.complain("Clone %v doesn't exist in %s (ignored)", clone, part.name)
		default:
			return t.fail("Clone %v doesn't exist in %s", clone, part.name)
		}
	}
	ss.Clones = slices.Delete(ss.Clones, i, i+1)
	delete(ss.CloneOverlap, clone)
	delete(ss.CloneSize, clone)
	if err := t.putSnapSet(l, &ss); err != nil {
		return err
	}
	if !t.dryRun {
		fmt.Fprintf(t.out, "Removal of clone %v complete\n", clone)
		fmt.Fprintln(t.out, "Use pg repair after OSD restarted to correct stat information")
	}
	return nil
}

func has[K comparable, V any](m map[K]V, k K) bool { _, ok := m[k]; return ok }

// fixLost takes the mark of being lost off all objects that have it. Nothing here sets it.
func (t *tool) fixLost() error {
	colls, err := t.pgColls()
	if err != nil {
		return err
	}
	for _, c := range colls {
		err := t.each(c, search{}, func(l located) error {
			b, err := t.store.Attr(l.coll, l.gid, pglog.AttrObjectInfo)
			if errors.Is(err, objectstore.ErrNoAttr) {
				return nil
			}
			if err != nil {
				return t.failed("getattr", err)
			}
			oi, err := pglog.ParseObjectInfo(b)
			if err != nil {
				return t.fail("Error decoding attr on : %v,%v, (22) Invalid argument", l.coll, l.gid)
			}
			if !oi.Has(pglog.OILost) {
				return nil
			}
			if t.dryRun {
				fmt.Fprintf(t.out, "%v/%v is lost\n", l.coll, l.gid)
				return nil
			}
			fmt.Fprintf(t.out, "%v/%v is lost, fixing\n", l.coll, l.gid)
			oi.Clear(pglog.OILost)
			return t.putInfo(&objectstore.Transaction{}, l, &oi)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
