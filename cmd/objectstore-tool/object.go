package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"sepiola/jsonfmt"
	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/pglog"
	"sepiola/wire"
)

// ioChunk is how many bytes of an object are read or written at a time.
const ioChunk = 1 << 20

// txChunk bounds the bytes of one transaction of set-bytes.
const txChunk = 64 << 20

// commands are what can be done to an object, and how many arguments each takes.
var commands = map[string]struct {
	least, most int
	do          func(*tool, located, []string) error
}{
	"dump":                  {0, 0, (*tool).dumpObject},
	"get-bytes":             {0, 1, (*tool).getBytes},
	"set-bytes":             {0, 1, (*tool).setBytes},
	"list-attrs":            {0, 2, (*tool).listAttrs},
	"get-attr":              {1, 2, (*tool).getAttr},
	"set-attr":              {1, 2, (*tool).setAttr},
	"rm-attr":               {1, 2, (*tool).rmAttr},
	"list-omap":             {0, 2, (*tool).listOmap},
	"get-omap":              {1, 2, (*tool).getOmap},
	"set-omap":              {1, 2, (*tool).setOmap},
	"rm-omap":               {1, 2, (*tool).rmOmap},
	"get-omaphdr":           {0, 0, (*tool).getOmapHeader},
	"set-omaphdr":           {0, 1, (*tool).setOmapHeader},
	"set-size":              {1, 1, (*tool).setSize},
	"clear-data-digest":     {0, 2, (*tool).clearDataDigest},
	"clear-snapset":         {0, 2, (*tool).clearSnapSet},
	"remove-clone-metadata": {1, 1, (*tool).removeCloneMetadata},
	"remove":                {0, 2, func(t *tool, l located, _ []string) error { return t.removeObject(l, false) }},
	"removeall":             {0, 2, func(t *tool, l located, _ []string) error { return t.removeObject(l, true) }},
}

func (t *tool) objectCommand() error {
	l, err := t.find()
	if err != nil {
		return err
	}
	name, _ := t.command()
	c, ok := commands[name]
	if !ok {
		t.complain("Unknown object command '%s'", name)
		return errUsage
	}
	args := t.args[2:]
	if len(args) < c.least || len(args) > c.most {
		return errUsage
	}
	return c.do(t, l, args)
}

// failed tells of an error of the store in the words that Ceph has for the call.
func (t *tool) failed(call string, err error) error {
	if errors.Is(err, objectstore.ErrIO) {
		return t.fail("%s: %s: %v", call, errText(err), err)
	}
	return t.fail("%s: %s", call, errText(err))
}

// submit applies a transaction, unless nothing is to be changed.
func (t *tool) submit(tx *objectstore.Transaction) error {
	if t.dryRun {
		return nil
	}
	return objectstore.SubmitWait(t.store, tx)
}

// printable returns s, or for a terminal its base64 form where it has control
// characters (cleanbin in src/common/util.cc).
func (t *tool) printable(s string) string {
	if !t.isTTY || strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) < 0 {
		return s
	}
	return "Base64:" + base64.StdEncoding.EncodeToString([]byte(s))
}

// printValue prints a value, which for a terminal ends a line.
func (t *tool) printValue(v []byte) {
	t.out.WriteString(t.printable(string(v)))
	if t.isTTY {
		t.out.WriteByte('\n')
	}
}

// input opens the file of the i-th argument; standard input for none or "-".
func (t *tool) input(args []string, i int) (io.ReadCloser, error) {
	if i >= len(args) || args[i] == "-" {
		if isTerminal(t.stdin) {
			return nil, t.fail("stdin is a tty and no file specified")
		}
		return io.NopCloser(t.stdin), nil
	}
	f, err := os.Open(args[i])
	if err != nil {
		return nil, t.fail("open %s %s", args[i], errText(err))
	}
	return f, nil
}

// inputAll reads the file of the i-th argument whole.
func (t *tool) inputAll(args []string, i int) ([]byte, error) {
	f, err := t.input(args, i)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return nil, t.fail("read_fd error %s", errText(err))
	}
	return b, nil
}

func (t *tool) getBytes(l located, args []string) error {
	st, err := t.store.Stat(l.coll, l.gid)
	if err != nil {
		return t.failed("get-bytes", err)
	}
	out := io.Writer(t.out)
	if len(args) > 0 && args[0] != "-" {
		f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err != nil {
			return t.fail("open %s %s", args[0], errText(err))
		}
		defer f.Close()
		out = f
	}
	t.debugf("size=%d", st.Size)
	for off := uint64(0); off < st.Size; off += ioChunk {
		b, err := t.store.Read(l.coll, l.gid, off, min(ioChunk, st.Size-off))
		if err != nil {
			return t.failed("get-bytes", err)
		}
		if _, err := out.Write(b.Flat()); err != nil {
			return t.fail("write: %s", plainText(err))
		}
	}
	return nil
}

func (t *tool) setBytes(l located, args []string) error {
	f, err := t.input(args, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	tx := &objectstore.Transaction{}
	tx.Touch(l.coll, l.gid)
	tx.Truncate(l.coll, l.gid, 0)
	off, inTx := uint64(0), 0
	for {
		p := make([]byte, ioChunk)
		n, err := io.ReadFull(f, p)
		if n > 0 {
			tx.Write(l.coll, l.gid, off, wire.BufOf(p[:n]))
			off, inTx = off+uint64(n), inTx+n
		}
		end := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !end {
			return t.fail("read_fd error %s", errText(err))
		}
		if end || inTx >= txChunk {
			if err := t.submit(tx); err != nil {
				return t.failed("set-bytes", err)
			}
			tx, inTx = &objectstore.Transaction{}, 0
		}
		if end {
			return nil
		}
	}
}

func (t *tool) listAttrs(l located, _ []string) error {
	attrs, err := t.store.Attrs(l.coll, l.gid)
	if err != nil {
		return t.failed("getattrs", err)
	}
	for _, name := range sortedKeys(attrs) {
		fmt.Fprintln(t.out, t.printable(name))
	}
	return nil
}

func (t *tool) getAttr(l located, args []string) error {
	v, err := t.store.Attr(l.coll, l.gid, args[0])
	if err != nil {
		return t.failed("getattr", err)
	}
	t.printValue(v)
	return nil
}

// change submits the steps that fill adds, after one that makes sure of the object.
func (t *tool) change(l located, fill func(*objectstore.Transaction)) error {
	tx := &objectstore.Transaction{}
	tx.Touch(l.coll, l.gid)
	fill(tx)
	return t.submit(tx)
}

func (t *tool) setAttr(l located, args []string) error {
	v, err := t.inputAll(args, 1)
	if err != nil {
		return err
	}
	return t.change(l, func(tx *objectstore.Transaction) { tx.SetAttr(l.coll, l.gid, args[0], v) })
}

func (t *tool) rmAttr(l located, args []string) error {
	if _, err := t.store.Stat(l.coll, l.gid); err != nil {
		return t.failed("rmattr", err)
	}
	return t.change(l, func(tx *objectstore.Transaction) { tx.RmAttr(l.coll, l.gid, args[0]) })
}

func (t *tool) listOmap(l located, _ []string) error {
	it, err := t.store.OmapIter(l.coll, l.gid, "")
	if err != nil {
		return t.failed("omap_get_iterator", err)
	}
	defer it.Close()
	for it.Next() {
		fmt.Fprintln(t.out, t.printable(it.Key()))
	}
	if err := it.Err(); err != nil {
		return t.failed("omap_get_iterator", err)
	}
	return nil
}

func (t *tool) getOmap(l located, args []string) error {
	got, err := t.store.OmapGet(l.coll, l.gid, args[:1])
	if err != nil {
		return t.failed("omap_get_values", err)
	}
	v, ok := got[args[0]]
	if !ok {
		return t.fail("Key not found")
	}
	t.printValue(v)
	return nil
}

func (t *tool) setOmap(l located, args []string) error {
	v, err := t.inputAll(args, 1)
	if err != nil {
		return err
	}
	return t.change(l, func(tx *objectstore.Transaction) {
		tx.OmapSet(l.coll, l.gid, map[string][]byte{args[0]: v})
	})
}

func (t *tool) rmOmap(l located, args []string) error {
	if _, err := t.store.Stat(l.coll, l.gid); err != nil {
		return t.failed("omap_rmkey", err)
	}
	return t.change(l, func(tx *objectstore.Transaction) { tx.OmapRm(l.coll, l.gid, args[:1]) })
}

func (t *tool) getOmapHeader(l located, _ []string) error {
	h, err := t.store.OmapHeader(l.coll, l.gid)
	if err != nil {
		return t.failed("omap_get_header", err)
	}
	t.printValue(h)
	return nil
}

func (t *tool) setOmapHeader(l located, args []string) error {
	v, err := t.inputAll(args, 0)
	if err != nil {
		return err
	}
	return t.change(l, func(tx *objectstore.Transaction) { tx.OmapHeader(l.coll, l.gid, v) })
}

// hasSnapSet reports whether the attribute "snapset" belongs to the object.
func hasSnapSet(g object.GID) bool { return g.IsHead() || g.Snap == object.SnapDir }

func (t *tool) snapSet(l located) (pglog.SnapSet, error) {
	b, err := t.store.Attr(l.coll, l.gid, pglog.AttrSnapSet)
	if err != nil {
		return pglog.SnapSet{}, t.fail("Error getting snapset on : %v,%v, %s", l.coll, l.gid, errText(err))
	}
	ss, err := pglog.ParseSnapSet(b)
	if err != nil {
		return pglog.SnapSet{}, t.fail("Error decoding snapset on : %v,%v, (22) Invalid argument", l.coll, l.gid)
	}
	return ss, nil
}

func (t *tool) removeObject(l located, all bool) error {
	if _, err := t.store.Stat(l.coll, l.gid); err != nil {
		return t.failed("remove", err)
	}
	var ss pglog.SnapSet
	if hasSnapSet(l.gid) && !l.gid.IsPGMeta() {
		var err error
		if ss, err = t.snapSet(l); err != nil && (!t.force || all) {
			return err
		}
	}
	clones := sortedKeys(ss.CloneSnaps)
	if len(clones) > 0 && !all {
		if !t.force {
			return t.fail("Clones are present, use removeall to delete everything")
		}
		kind := "snapdir"
		if l.gid.IsHead() {
			kind = "head"
		}
		fmt.Fprintf(t.out, "WARNING: only removing %s with clones present\n", kind)
		clones = nil
	}
	tx := &objectstore.Transaction{}
	for _, s := range clones {
		clone := l.gid
		clone.Snap = s
		fmt.Fprintf(t.out, "remove clone %v\n", clone)
		tx.Remove(l.coll, clone)
	}
	fmt.Fprintf(t.out, "remove %v\n", l.gid)
	tx.Remove(l.coll, l.gid)
	return t.submit(tx)
}

// dumpObject prints all metadata of an object. What cannot be read is told on
// standard error, and left out.
func (t *tool) dumpObject(l located, _ []string) error {
	var failed error
	note := func(err error) { failed = errors.Join(failed, err) }
	t.printJSON(true, func(w *jsonfmt.Writer) {
		w.OpenObject("id")
		l.gid.DumpJSON(w)
		w.Close()
		note(t.dumpInfo(w, l))
		if st, err := t.store.Stat(l.coll, l.gid); err != nil {
			note(t.fail("Error stat on : %v,%v, %s", l.coll, l.gid, errText(err)))
		} else {
			w.OpenObject("stat")
			w.Uint("size", st.Size)
			w.Int("blksize", 4096)
			w.Uint("blocks", t.diskBlocks(l, st.Size))
			w.Int("nlink", 1)
			w.Close()
		}
		if hasSnapSet(l.gid) {
			ss, err := t.snapSet(l)
			note(err)
			if err == nil {
				w.OpenObject("SnapSet")
				ss.DumpJSON(w)
				w.Close()
			}
		}
	})
	if failed != nil {
		return errFailed
	}
	return nil
}

func (t *tool) dumpInfo(w *jsonfmt.Writer, l located) error {
	b, err := t.store.Attr(l.coll, l.gid, pglog.AttrObjectInfo)
	if err != nil {
		return t.fail("Error getting attr on : %v,%v, %s", l.coll, l.gid, errText(err))
	}
	oi, err := pglog.ParseObjectInfo(b)
	if err != nil {
		return t.fail("Error decoding attr on : %v,%v, (22) Invalid argument", l.coll, l.gid)
	}
	w.OpenObject("info")
	oi.DumpJSON(w)
	w.Close()
	return nil
}

// diskBlocks returns how many blocks of 512 bytes the data takes, as stat(2) counts.
func (t *tool) diskBlocks(l located, size uint64) uint64 {
	list, err := t.store.Extents(l.coll, l.gid, 0, size)
	if err != nil {
		return 0
	}
	n := uint64(0)
	for _, x := range list {
		n += (x.Off+x.Len+4095)/4096 - x.Off/4096
	}
	return n * 8
}
