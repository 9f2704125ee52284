//lint:file-ignore ST1005 the error texts are those of Ceph's tool, capitals included

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"sepiola/object"
	"sepiola/osd"
	"sepiola/pglog"
	"sepiola/wire"
)

// omapBatch is how many pairs of an omap go into one section, as in Ceph.
const omapBatch = 64

// exporter writes one PG.
type exporter struct {
	*tool
	dump     dumpWriter
	progress *progress
}

func (t *tool) export() error {
	l, err := t.loadPG()
	if err != nil {
		return err
	}
	if t.dryRun {
		return t.exportTo(io.Discard, &l)
	}
	if t.file == "" || t.file == "-" {
		if t.isTTY {
			return t.fail("stdout is a tty and no --file filename specified")
		}
		return t.exportTo(t.out, &l)
	}
	f, err := os.Create(t.file)
	if err != nil {
		return t.fail("file: %s: %s", t.file, plainText(err))
	}
	err = t.exportTo(f, &l)
	if err == nil {
		err = f.Sync()
		if errors.Is(err, os.ErrInvalid) || !isRegular(f) {
			err = nil // a pipe or a device has nothing to sync
		}
	}
	if e := f.Close(); err == nil && e != nil {
		err = e
	}
	return err
}

func isRegular(f *os.File) bool {
	st, err := f.Stat()
	return err == nil && st.Mode().IsRegular()
}

func (t *tool) exportRemove() error {
	if err := t.export(); err != nil {
		return err
	}
	if err := t.out.Flush(); err != nil {
		return err // what was not written is not removed
	}
	if err := t.removePG(t.stderr); err != nil {
		return err
	}
	t.complain("Remove successful")
	return nil
}

func (t *tool) exportTo(w io.Writer, l *pglog.Loaded) error {
	t.complain("Exporting %v info %v", t.pg, &l.Info)
	x := exporter{tool: t, dump: dumpWriter{bufio.NewWriterSize(w, 1<<20)}, progress: t.newProgress("exporting", l.Info.Stats.Stats.Sum.NumObjects)}
	err := x.write(l)
	x.progress.done()
	if err == nil {
		err = x.dump.w.Flush()
	}
	if err != nil {
		return t.fail("export of PG %v: %s", t.pg, describe(err))
	}
	t.complain("Export successful")
	return nil
}

// describe puts the number of an error, where it has one, before its words.
func describe(err error) string {
	if text := errText(err); text != err.Error() {
		return text + ": " + err.Error()
	}
	return err.Error()
}

func (x *exporter) write(l *pglog.Loaded) error {
	osdMap, err := osd.ReadMapBytes(x.store, l.Epoch)
	if err != nil {
		return fmt.Errorf("Can't find OSDMap for pg epoch %d: %w", l.Epoch, err)
	}
	begin := pgBegin{pg: x.pg, super: x.super}
	meta := pgMetadata{structVersion: infoVersion, epoch: l.Epoch, info: l.Info, log: l.Log.Log(), past: l.PastIntervals,
		osdMap: osdMap, missing: l.Missing}
	if err := x.dump.super(); err != nil {
		return err
	}
	if err := x.dump.section(secPGBegin, begin.encode); err != nil {
		return err
	}
	if err := x.dump.section(secPGMetadata, meta.encode); err != nil {
		return err
	}
	c, err := x.needColl()
	if err != nil {
		return err
	}
	err = x.each(c, search{}, func(o located) error {
		if o.gid.Pool < 0 || o.gid.Gen != object.NoGen {
			return nil // what a transfer or a rollback keeps for a while
		}
		if err := x.object(o); err != nil {
			return fmt.Errorf("object %v: %w", o.gid, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return x.dump.section(secPGEnd, nil)
}

func (x *exporter) object(o located) error {
	st, err := x.store.Stat(o.coll, o.gid)
	if err != nil {
		return err
	}
	x.progress.object("Read", o.gid, st.Size)
	attrs, err := x.store.Attrs(o.coll, o.gid)
	if err != nil {
		return err
	}
	info, err := pglog.ParseObjectInfo(attrs[pglog.AttrObjectInfo])
	if err != nil {
		return fmt.Errorf("its info: %w", err)
	}
	begin := objectBegin{o.gid, info}
	if err := x.dump.section(secObjectBegin, begin.encode); err != nil {
		return err
	}
	for off := uint64(0); off < st.Size; off += ioChunk {
		b, err := x.store.Read(o.coll, o.gid, off, min(ioChunk, st.Size-off))
		if err != nil {
			return err
		}
		part := dataPart{off, b.Flat()}
		if err := x.dump.section(secData, part.encode); err != nil {
			return err
		}
	}
	if err := x.dump.section(secAttrs, func(e *wire.Encoder) { encodePairs(e, attrs) }); err != nil {
		return err
	}
	if err := x.omap(o); err != nil {
		return err
	}
	return x.dump.section(secObjectEnd, nil)
}

func (x *exporter) omap(o located) error {
	head, err := x.store.OmapHeader(o.coll, o.gid)
	if err != nil {
		return err
	}
	if err := x.dump.section(secOmapHeader, func(e *wire.Encoder) { encodeBlob(e, head) }); err != nil {
		return err
	}
	it, err := x.store.OmapIter(o.coll, o.gid, "")
	if err != nil {
		return err
	}
	defer it.Close()
	batch := map[string][]byte{}
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := x.dump.section(secOmap, func(e *wire.Encoder) { encodePairs(e, batch) })
		clear(batch)
		return err
	}
	for it.Next() {
		batch[it.Key()] = append([]byte(nil), it.Value()...)
		if len(batch) == omapBatch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := it.Err(); err != nil {
		return err
	}
	return flush()
}
