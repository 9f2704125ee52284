package filestore

import (
	"bytes"
	"maps"
	"math"
	"slices"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/wire"
)

// line returns the number of the object's file in the record's table.
func (r *resolver) line(st *stage) int {
	if st.line < 0 {
		st.line = r.addLine(st.m.file, st.m.placement(st.gid).path(st.gid, st.m.fid))
	}
	return st.line
}

func (r *resolver) addLine(f *file, path string) int {
	r.t.files = append(r.t.files, fileEntry{fid: f.fid, path: path, file: r.s.files.share(f)})
	return len(r.t.files) - 1
}

func (r *resolver) op(op fileOp) { r.t.ops = append(r.t.ops, op) }

// makeFile gives the object a new file. A fresh one is made before the transaction
// is journaled, and only moved to its place afterwards.
func (r *resolver) makeFile(st *stage, fresh bool) error {
	if _, err := r.attrs(st); err != nil { // none, without a file; known while it is being made
		return err
	}
	p, err := r.s.dirs.place(st.c.id, st.gid.Hash)
	if err != nil {
		return err
	}
	r.placed = append(r.placed, p)
	n := &st.m.onode
	n.fid, n.home, n.depth = r.s.newID(), p.home, p.depth
	_, n.short = fileName(st.gid, n.fid)
	st.entry = true
	path := p.path(st.gid, n.fid)
	at := path
	if fresh {
		at = freshPath(n.fid)
	}
	st.m.file = r.s.files.hold(n.fid, func() string { return at }, false)
	r.made = append(r.made, st.m.file)
	st.line = r.addLine(st.m.file, at)
	st.m.sums, st.m.whole = nil, true
	st.freshFile, st.freshEnd = fresh, 0
	if fresh {
		r.op(fileOp{kind: fileAdopt, file: st.line, name: path})
	} else {
		r.op(fileOp{kind: fileCreate, file: st.line, n: expected(st.m.hint)})
		// The file's entry is not durable before a checkpoint: until then nothing may
		// rely on the file being there, fresh data least of all.
		r.heat(st, math.MaxUint64)
	}
	if n.short {
		r.noteLongName(st)
	}
	return nil
}

// expectedMax bounds what is reserved for a file ahead of its data, in bytes.
const expectedMax = 4 << 20

// expected returns for how many bytes a new file should find room in one piece: what a client
// announces that is going to write them one after another. Of others' objects
// large parts may stay holes.
func expected(h objectstore.AllocHint) uint64 {
	if h.Flags&(objectstore.HintSequentialWrite|objectstore.HintAppendOnly) == 0 {
		return 0
	}
	return min(h.ObjectSize, expectedMax)
}

// noteLongName records the whole id of an object whose file's name cannot hold it.
func (r *resolver) noteLongName(st *stage) {
	e := wire.NewEncoder(256)
	st.gid.Encode(e)
	r.op(fileOp{kind: fileLongName, file: r.line(st), data: wire.BufOf(e.Bytes())})
}

func (r *resolver) needFile(st *stage) error {
	if st.m.fid != 0 {
		return nil
	}
	return r.makeFile(st, false)
}

// dropFile removes the object's file with its checksums and attributes.
func (r *resolver) dropFile(st *stage) error {
	if st.m.fid == 0 {
		return nil
	}
	r.op(fileOp{kind: fileRemove, file: r.line(st)})
	r.drop = append(r.drop, st.m.file)
	r.left = append(r.left, st.m.placement(st.gid))
	if len(st.m.sums) > 0 || !st.m.whole {
		if err := r.kv.DeleteRange(sumsKey(st.m.fid, 0), sumsKey(st.m.fid+1, 0), nil); err != nil {
			return err
		}
	}
	st.m.fid, st.m.file, st.m.short, st.m.depth = 0, nil, false, 0
	st.m.sums, st.m.whole, st.dirty = nil, true, nil
	st.line, st.freshFile, st.freshEnd = -1, false, 0
	st.entry = true
	return nil
}

func (r *resolver) remove(st *stage) error {
	if err := r.dropFile(st); err != nil {
		return err
	}
	if err := r.omapClear(st); err != nil {
		return err
	}
	st.exists, st.o, st.m = false, nil, meta{}
	return nil
}

// move takes the object from its stage to another id, without its file.
func (r *resolver) move(st *stage, d *collection, to object.GID) (*stage, error) {
	dst, err := r.get(d, to)
	if err != nil {
		return nil, err
	}
	if dst.exists {
		return nil, objectstore.ErrExists
	}
	moved := *st
	moved.c, moved.gid, moved.existed, moved.was = dst.c, dst.gid, dst.existed, dst.was
	moved.entry = true
	*dst = moved
	for i := range r.t.fresh {
		if r.t.fresh[i].stage == st {
			r.t.fresh[i].stage = dst
		}
	}
	st.exists, st.o, st.m, st.dirty, st.line = false, nil, meta{}, nil, -1
	return dst, nil
}

func (r *resolver) rename(c *collection, from object.GID, d *collection, to object.GID) error {
	st, err := r.existing(c, from)
	if err != nil {
		return err
	}
	old := st.m.placement(from)
	if st.m.fid != 0 {
		r.line(st) // by its old name
	}
	dst, err := r.move(st, d, to)
	if err != nil || dst.m.fid == 0 {
		return err
	}
	p, err := r.s.dirs.place(d.id, to.Hash)
	if err != nil {
		return err
	}
	r.placed, r.left = append(r.placed, p), append(r.left, old)
	dst.m.home, dst.m.depth = p.home, p.depth
	_, dst.m.short = fileName(to, dst.m.fid)
	r.op(fileOp{kind: fileRename, file: dst.line, name: p.path(to, dst.m.fid)})
	if dst.m.short {
		r.noteLongName(dst)
	}
	return nil
}

// all returns the ids of all objects of c as the steps so far have left them.
func (r *resolver) all(c *collection) ([]object.GID, error) {
	list, _, err := r.s.listLocked(c, object.GMin, object.GMax, int(^uint(0)>>1))
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(o object.GID) bool {
		st := r.staged(c, o)
		return st != nil && !st.exists
	})
	for _, st := range r.stages {
		if st.c == c && st.exists && !st.existed {
			list = append(list, st.gid)
		}
	}
	return list, nil
}

func (r *resolver) rmColl(c *collection) error {
	list, err := r.all(c)
	if err != nil {
		return err
	}
	if len(list) > 0 {
		return objectstore.ErrNotEmpty
	}
	return r.dropColl(c)
}

func (r *resolver) dropColl(c *collection) error {
	sc := r.coll(c.id)
	sc.exists, sc.dirty = false, true
	return r.kv.Delete(collKey(c.id), nil)
}

func (r *resolver) setBits(c *collection, bits uint32) error {
	sc := r.coll(c.id)
	sc.bits, sc.dirty = bits, true
	return r.kv.Set(collKey(c.id), appendBits(nil, bits), nil)
}

// split and merge change the index only: files stay in the directory they are in.
func (r *resolver) split(c, d *collection, bits, seed uint32) error {
	if c == d || bits > 32 {
		return objectstore.ErrInvalid
	}
	mask := uint32(1<<bits - 1)
	list, err := r.all(c)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(o object.GID) bool { return o.Hash&mask != seed&mask })
	if err := r.moveAll(list, c, d); err != nil {
		return err
	}
	if err := r.setBits(c, bits); err != nil {
		return err
	}
	return r.setBits(d, bits)
}

func (r *resolver) merge(c, d *collection, bits uint32) error {
	if c == d || bits > 32 {
		return objectstore.ErrInvalid
	}
	list, err := r.all(c)
	if err != nil {
		return err
	}
	if err := r.moveAll(list, c, d); err != nil {
		return err
	}
	if err := r.dropColl(c); err != nil {
		return err
	}
	return r.setBits(d, bits)
}

func (r *resolver) moveAll(list []object.GID, c, d *collection) error {
	for _, o := range list {
		st, err := r.existing(c, o)
		if err != nil {
			return err
		}
		if _, err := r.move(st, d, o); err != nil {
			return err
		}
	}
	return nil
}

// attrs returns the object's attributes, which the caller must not change.
func (r *resolver) attrs(st *stage) (map[string][]byte, error) {
	if st.m.attrs == nil {
		a, err := r.s.loadAttrs(&st.m)
		if err != nil {
			return nil, err
		}
		st.m.attrs, st.ownAttrs = a, true
	}
	return st.m.attrs, nil
}

// editAttrs returns the attributes for changing.
func (r *resolver) editAttrs(st *stage) (map[string][]byte, error) {
	if _, err := r.attrs(st); err != nil {
		return nil, err
	}
	if !st.ownAttrs {
		st.m.attrs, st.ownAttrs = maps.Clone(st.m.attrs), true
	}
	st.newAttrs = true
	return st.m.attrs, nil
}

// setAttr sets one attribute. A value that is there already costs nothing: OSDs set
// the snapset with each write, and it hardly ever changes.
func (r *resolver) setAttr(st *stage, name string, value []byte) error {
	attrs, err := r.attrs(st)
	if err != nil {
		return err
	}
	old, had := attrs[name]
	if had && bytes.Equal(old, value) {
		return nil
	}
	oldLen := -1
	if had {
		oldLen = len(old)
	}
	if err := r.needFile(st); err != nil {
		return err
	}
	if attrs, err = r.editAttrs(st); err != nil {
		return err
	}
	value = append(make([]byte, 0, len(value)), value...)
	attrs[name] = value
	r.op(fileOp{kind: fileSetAttr, file: r.line(st), name: name, data: wire.BufOf(value), oldLen: oldLen})
	return nil
}

func (r *resolver) setAttrs(st *stage, set map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if err := r.setAttr(st, name, set[name]); err != nil {
			return err
		}
	}
	return nil
}

func (r *resolver) rmAttr(st *stage, name string) error {
	attrs, err := r.attrs(st)
	if err != nil {
		return err
	}
	old, had := attrs[name]
	if !had {
		return nil
	}
	if attrs, err = r.editAttrs(st); err != nil {
		return err
	}
	delete(attrs, name)
	r.op(fileOp{kind: fileRmAttr, file: r.line(st), name: name, oldLen: len(old)})
	return nil
}

func (r *resolver) rmAttrs(st *stage) error {
	attrs, err := r.attrs(st)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		if err := r.rmAttr(st, name); err != nil {
			return err
		}
	}
	return nil
}

// reattach puts the object's attributes onto a file that has none yet.
func (r *resolver) reattach(st *stage) {
	for _, name := range slices.Sorted(maps.Keys(st.m.attrs)) {
		r.op(fileOp{kind: fileSetAttr, file: r.line(st), name: name, data: wire.BufOf(st.m.attrs[name]), oldLen: -1})
	}
}

func (r *resolver) pendOmap(st *stage, p pendOmap) {
	p.txn = r.t
	st.m.omapP = append(st.m.omapP, p)
}

func (r *resolver) hasOmap(st *stage) {
	if !st.m.omap {
		st.m.omap, st.entry = true, true
	}
}

func (r *resolver) omapSet(st *stage, set map[string][]byte) error {
	if len(set) == 0 {
		return nil
	}
	r.hasOmap(st)
	r.pendOmap(st, pendOmap{set: set})
	if len(set) == 1 {
		for k, v := range set {
			return r.kv.Set(numbered(keyOmap, st.m.nid, k), v, nil)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(set)) {
		if err := r.kv.Set(numbered(keyOmap, st.m.nid, k), set[k], nil); err != nil {
			return err
		}
	}
	return nil
}

func (r *resolver) omapHeader(st *stage, header []byte) error {
	r.hasOmap(st)
	r.pendOmap(st, pendOmap{header: header, hasHdr: true})
	return r.kv.Set(numbered(keyHeader, st.m.nid, ""), header, nil)
}

func (r *resolver) omapRm(st *stage, keys []string) error {
	if !st.m.omap || len(keys) == 0 {
		return nil
	}
	r.pendOmap(st, pendOmap{rm: keys})
	for _, k := range keys {
		if err := r.kv.Delete(numbered(keyOmap, st.m.nid, k), nil); err != nil {
			return err
		}
	}
	return nil
}

func (r *resolver) omapRmRange(st *stage, first, end string) error {
	if !st.m.omap || first >= end {
		return nil
	}
	r.pendOmap(st, pendOmap{ranged: true, first: first, end: end})
	return r.kv.DeleteRange(numbered(keyOmap, st.m.nid, first), numbered(keyOmap, st.m.nid, end), nil)
}

func (r *resolver) omapClear(st *stage) error {
	if !st.m.omap {
		return nil
	}
	r.pendOmap(st, pendOmap{clear: true})
	if err := r.kv.DeleteRange(numbered(keyOmap, st.m.nid, ""), numbered(keyOmap, st.m.nid+1, ""), nil); err != nil {
		return err
	}
	return r.kv.Delete(numbered(keyHeader, st.m.nid, ""), nil)
}

// copyOmap gives dst the omap of src, which the key-value store may not show yet.
func (r *resolver) copyOmap(src, dst *stage) error {
	if !src.m.omap {
		return nil
	}
	it, err := r.s.omapIter(&src.m, "")
	if err != nil {
		return err
	}
	defer it.Close()
	set := map[string][]byte{}
	for it.Next() {
		set[it.Key()] = bytes.Clone(it.Value())
	}
	if err := it.Err(); err != nil {
		return err
	}
	if err := r.omapSet(dst, set); err != nil {
		return err
	}
	header, err := r.s.omapHeaderOf(&src.m)
	if err != nil || len(header) == 0 {
		return err
	}
	return r.omapHeader(dst, header)
}
