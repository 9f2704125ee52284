package filestore

import (
	"fmt"
	"hash/crc32"

	"sepiola/wire"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// fileOpKind is a change to a file. Each is absolute: done again, with all that
// follow it done again too, it leads to the same file.
type fileOpKind uint8

const (
	fileCreate   fileOpKind = 1 // make it at its path
	fileAdopt    fileOpKind = 2 // move it from the fresh directory to its path
	fileWrite    fileOpKind = 3 // bytes from off on
	fileZero     fileOpKind = 4 // n bytes from off on are zeros; no more than that
	fileTruncate fileOpKind = 5 // nothing from off on
	fileSetAttr  fileOpKind = 6
	fileRmAttr   fileOpKind = 7
	fileRename   fileOpKind = 8 // from its path to name
	fileRemove   fileOpKind = 9
	fileLongName fileOpKind = 10 // note down the object's full name
)

// fileOp is one change to the file that is number file of its record's table.
type fileOp struct {
	kind fileOpKind
	file int
	off  uint64
	n    uint64
	name string // of an attribute; new path
	data wire.Buf
	// oldLen is the length of the attribute's value so far, -1 if there was none,
	// unknownLen if that is not known, as in a replay. Not recorded.
	oldLen int
}

const unknownLen = -2

// fileEntry is a line of a record's table of files.
type fileEntry struct {
	fid  uint64
	path string // before the record's changes
	file *file  // not recorded
}

// record is the redo form of a transaction: what the journal keeps.
type record struct {
	kv     []byte // a Pebble batch; nil if there is nothing for the key-value store
	stored int64  // by how many bytes the objects grow or shrink
	files  []fileEntry
	ops    []fileOp
}

// size returns about how many bytes the record takes in the journal, and no fewer.
func (r *record) size() int64 {
	n := 64 + int64(len(r.kv))
	for i := range r.files {
		n += 12 + int64(len(r.files[i].path))
	}
	for i := range r.ops {
		n += 29 + int64(len(r.ops[i].name)+r.ops[i].data.Len())
	}
	return n
}

const recordVersion = 1

// encode appends the record to e, without the data of long operations, which
// it returns as cuts: at an offset of e's bytes belong those segments.
func (r *record) encode(e *wire.Encoder, cuts []cut) []cut {
	e.U8(recordVersion)
	e.I64(r.stored)
	if len(r.kv) >= cutMin {
		e.U32(uint32(len(r.kv)))
		cuts = append(cuts, cut{e.Len(), wire.BufOf(r.kv)})
	} else {
		e.Blob(r.kv)
	}
	e.U32(uint32(len(r.files)))
	for i := range r.files {
		e.U64(r.files[i].fid)
		e.String(r.files[i].path)
	}
	e.U32(uint32(len(r.ops)))
	for i := range r.ops {
		op := &r.ops[i]
		e.U8(uint8(op.kind))
		e.U32(uint32(op.file))
		e.U64(op.off)
		e.U64(op.n)
		e.String(op.name)
		n := op.data.Len()
		if n < cutMin {
			e.BufBlob(op.data)
			continue
		}
		e.U32(uint32(n))
		cuts = append(cuts, cut{e.Len(), op.data})
	}
	return cuts
}

// cutMin is the length from which data is not copied into the encoder.
const cutMin = 1024

type cut struct {
	at   int
	data wire.Buf
}

func decodeRecord(p []byte) (*record, error) {
	d := wire.NewDecoder(p)
	if v := d.U8(); d.Err() == nil && v != recordVersion {
		return nil, fmt.Errorf("journal record of version %d", v)
	}
	r := &record{stored: d.I64(), kv: d.Blob()}
	r.files = wire.ReadSlice(d, 12, func(d *wire.Decoder) fileEntry {
		return fileEntry{fid: d.U64(), path: d.String()}
	})
	r.ops = wire.ReadSlice(d, 29, func(d *wire.Decoder) fileOp {
		op := fileOp{kind: fileOpKind(d.U8()), file: int(d.U32()), off: d.U64(), n: d.U64(), name: d.String()}
		op.data = wire.BufOf(d.Blob())
		op.oldLen = unknownLen
		if op.kind == 0 || op.kind > fileLongName || op.file >= len(r.files) {
			d.Fail("operation %d on file %d of %d", op.kind, op.file, len(r.files))
		}
		return op
	})
	return r, d.Finish()
}
