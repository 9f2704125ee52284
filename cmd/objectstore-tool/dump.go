//lint:file-ignore ST1005 the error texts are those of Ceph's tool, capitals included

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pglog"
	"sepiola/wire"
)

// The form of an export (src/tools/RadosDump.h in Ceph 16):
//
//	super header   magic, version, length of a header, length of a footer: u32 each
//	section ...    header, content, and where there is content a footer
//
// Headers and footers are versioned envelopes of a fixed length. The sections of a PG:
//
//	PG begin       which PG, and the superblock of the OSD it comes from
//	PG metadata    its info, log, past intervals and missing set, and the OSD map they are of
//	for each object: object begin, data ..., attributes, omap header, omap ..., object end
//	PG end
type sectionType uint8

const (
	secPGBegin     sectionType = 1
	secPGEnd       sectionType = 2
	secObjectBegin sectionType = 3
	secObjectEnd   sectionType = 4
	secData        sectionType = 5
	secAttrs       sectionType = 6
	secOmapHeader  sectionType = 7
	secOmap        sectionType = 8
	secPGMetadata  sectionType = 9
	secPoolBegin   sectionType = 10
	secPoolEnd     sectionType = 11
	secUnknown     sectionType = 12 // this and all above
)

const (
	shortMagic   = 0xffce
	superMagic   = shortMagic<<16 | shortMagic
	endMagic     = 0xecff<<16 | shortMagic
	superVersion = 2
	superSize    = 16
	headerSize   = 6 + 4 + 8
	footerSize   = 6 + 4
	// sectionMax bounds a section: far above what Ceph writes, which puts a MiB of data or
	// 64 omap pairs into one, and a PG's whole log.
	sectionMax = 1 << 30
	// fixedMax bounds headers and footers of later versions.
	fixedMax = 4096
)

// errCorrupt is wrapped by errors about an export that cannot be read.
var errCorrupt = errors.New("corrupt export")

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errCorrupt, fmt.Sprintf(format, args...))
}

// dumpWriter writes an export.
type dumpWriter struct{ w *bufio.Writer }

func (d dumpWriter) super() error {
	e := wire.NewEncoder(superSize)
	for _, v := range []uint32{superMagic, superVersion, headerSize, footerSize} {
		e.U32(v)
	}
	_, err := d.w.Write(e.Bytes())
	return err
}

// section writes a section; fill nil for one without content.
func (d dumpWriter) section(kind sectionType, fill func(*wire.Encoder)) error {
	var body []byte
	if fill != nil {
		e := wire.NewEncoder(1024)
		fill(e)
		body = e.Bytes()
	}
	e := wire.NewEncoder(headerSize)
	m := e.Begin(1, 1)
	e.U32(uint32(kind)<<24 | uint32(kind)<<16 | shortMagic)
	e.I64(int64(len(body)))
	e.End(m)
	d.w.Write(e.Bytes())
	_, err := d.w.Write(body)
	if fill != nil {
		e = wire.NewEncoder(footerSize)
		m = e.Begin(1, 1)
		e.U32(endMagic)
		e.End(m)
		_, err = d.w.Write(e.Bytes())
	}
	return err
}

// dumpReader reads an export.
type dumpReader struct {
	r              io.Reader
	header, footer uint32 // lengths
}

// newDumpReader reads the super header.
func newDumpReader(r io.Reader) (*dumpReader, error) {
	p := make([]byte, superSize)
	if _, err := io.ReadFull(r, p); err != nil {
		return nil, corrupt("Unexpected EOF")
	}
	d := wire.NewDecoder(p)
	magic, version := d.U32(), d.U32()
	out := &dumpReader{r: r, header: d.U32(), footer: d.U32()}
	switch {
	case magic != superMagic:
		return nil, corrupt("Invalid magic number")
	case version > superVersion:
		return nil, fmt.Errorf("Can't handle export format version=%d", version)
	case out.header < headerSize || out.header > fixedMax || out.footer < footerSize || out.footer > fixedMax:
		return nil, corrupt("header of %d and footer of %d bytes", out.header, out.footer)
	}
	return out, nil
}

// next reads a section. Those of types that are not known are passed over.
func (r *dumpReader) next() (sectionType, []byte, error) {
	for {
		kind, body, err := r.section()
		if err != nil || kind < secUnknown {
			return kind, body, err
		}
	}
}

func (r *dumpReader) section() (sectionType, []byte, error) {
	p := make([]byte, r.header)
	if _, err := io.ReadFull(r.r, p); err != nil {
		return 0, nil, corrupt("Unexpected EOF")
	}
	d := wire.NewDecoder(p)
	s := d.Begin(1)
	mark, size := d.U32(), d.I64()
	d.End(s)
	kind := sectionType(mark >> 24)
	if err := d.Err(); err != nil {
		return 0, nil, corrupt("section header: %v", err)
	}
	if size < 0 || size > sectionMax {
		return 0, nil, corrupt("section %d of %d bytes", kind, size)
	}
	if size == 0 {
		return kind, nil, nil
	}
	// What is not there is not allocated.
	var body bytes.Buffer
	if n, err := io.CopyN(&body, r.r, size); err != nil {
		return 0, nil, corrupt("Unexpected EOF: section %d of %d bytes ends after %d", kind, size, n)
	}
	foot := make([]byte, r.footer)
	if _, err := io.ReadFull(r.r, foot); err != nil {
		return 0, nil, corrupt("Unexpected EOF")
	}
	d = wire.NewDecoder(foot)
	s = d.Begin(1)
	magic := d.U32()
	d.End(s)
	if d.Err() != nil || magic != endMagic {
		return 0, nil, corrupt("Bad footer magic")
	}
	return kind, body.Bytes(), nil
}

// decode decodes a section's content with f.
func decode[T any](what string, body []byte, f func(*wire.Decoder) T) (T, error) {
	d := wire.NewDecoder(body)
	v := f(d)
	if err := d.Finish(); err != nil {
		return v, corrupt("%s: %v", what, err)
	}
	return v, nil
}

// pgBegin is the first section (pg_begin).
type pgBegin struct {
	pg    object.SPGID
	super message.OSDSuperblock
}

func (b *pgBegin) encode(e *wire.Encoder) {
	m := e.Begin(3, 2)
	b.pg.PGID.Encode(e)
	b.super.Encode(e)
	e.I8(b.pg.Shard)
	e.End(m)
}

func decodePGBegin(d *wire.Decoder) pgBegin {
	s := d.Begin(3)
	b := pgBegin{pg: object.DecodePGID(d).Whole(), super: message.DecodeOSDSuperblock(d)}
	if s.Version > 2 {
		b.pg.Shard = d.I8()
	}
	d.End(s)
	return b
}

// pgMetadata is all of a PG but its objects (metadata_section).
type pgMetadata struct {
	structVersion uint8 // of the stored info, for reference
	epoch         uint32
	info          pglog.Info
	log           pglog.Log
	past          osdmap.PastIntervals
	osdMap        []byte // encoded, as it was stored, for its checksum
	missing       *pglog.Missing
}

// infoVersion is the version of stored infos (pg_latest_struct_v).
const infoVersion = 10

func (p *pgMetadata) encode(e *wire.Encoder) {
	m := e.Begin(6, 6)
	e.U8(p.structVersion)
	e.U32(p.epoch)
	p.info.Encode(e)
	p.log.Encode(e)
	p.past.Encode(e)
	e.Raw(p.osdMap)
	e.U32(0) // divergent priors, of releases before Ceph 11
	p.missing.Encode(e)
	e.End(m)
}

func decodePGMetadata(d *wire.Decoder) pgMetadata {
	s := d.Begin(6)
	if d.Err() == nil && s.Version < 6 {
		d.Fail("PG metadata of version %d; an export of Ceph 12 or later is needed", s.Version)
	}
	p := pgMetadata{structVersion: d.U8(), epoch: d.U32(), info: pglog.DecodeInfo(d), log: pglog.DecodeLog(d),
		past: osdmap.DecodePastIntervals(d), osdMap: takeEnvelope(d)}
	if n := d.U32(); n != 0 && d.Err() == nil {
		d.Fail("%d divergent priors, of a release before Ceph 11", n)
	}
	p.missing = pglog.DecodeMissing(d)
	d.End(s)
	return p
}

// takeEnvelope reads a versioned value without looking into it.
func takeEnvelope(d *wire.Decoder) []byte {
	e := wire.NewEncoder(6)
	e.U8(d.U8())
	e.U8(d.U8())
	n := d.U32()
	e.U32(n)
	return append(e.Bytes(), d.Raw(int(min(n, math.MaxInt32)))...)
}

// objectBegin starts an object (object_begin).
type objectBegin struct {
	gid  object.GID
	info pglog.ObjectInfo
}

func (b *objectBegin) encode(e *wire.Encoder) {
	m := e.Begin(3, 1)
	b.gid.ID.Encode(e)
	e.U64(b.gid.Gen)
	e.I8(b.gid.Shard)
	b.info.Encode(e)
	e.End(m)
}

func decodeObjectBegin(d *wire.Decoder) objectBegin {
	s := d.Begin(3)
	b := objectBegin{gid: object.G(object.DecodeID(d))}
	if s.Version > 1 {
		b.gid.Gen, b.gid.Shard = d.U64(), d.I8()
	}
	if s.Version > 2 {
		b.info = pglog.DecodeObjectInfo(d)
	}
	d.End(s)
	return b
}

// dataPart is some of an object's bytes (data_section).
type dataPart struct {
	off  uint64
	data []byte
}

func (p *dataPart) encode(e *wire.Encoder) {
	m := e.Begin(1, 1)
	e.U64(p.off)
	e.U64(uint64(len(p.data)))
	e.Blob(p.data)
	e.End(m)
}

func decodeDataPart(d *wire.Decoder) dataPart {
	s := d.Begin(1)
	p := dataPart{off: d.U64()}
	n := d.U64()
	p.data = d.Blob()
	if uint64(len(p.data)) != n && d.Err() == nil {
		d.Fail("%d bytes of data instead of %d", len(p.data), n)
	}
	d.End(s)
	return p
}

// encodePairs appends attributes or omap pairs (attr_section, omap_section).
func encodePairs(e *wire.Encoder, pairs map[string][]byte) {
	m := e.Begin(1, 1)
	wire.Map(e, pairs, (*wire.Encoder).String, (*wire.Encoder).Blob)
	e.End(m)
}

func decodePairs(d *wire.Decoder) map[string][]byte {
	s := d.Begin(1)
	pairs := wire.ReadMap(d, 8, (*wire.Decoder).String, (*wire.Decoder).Blob)
	d.End(s)
	return pairs
}

// encodeBlob appends the content of an omap header's section (omap_hdr_section).
func encodeBlob(e *wire.Encoder, b []byte) {
	m := e.Begin(1, 1)
	e.Blob(b)
	e.End(m)
}

func decodeBlob(d *wire.Decoder) []byte {
	s := d.Begin(1)
	b := d.Blob()
	d.End(s)
	return b
}

// missingFeatures returns the features of an export's OSD that this one lacks. That of
// sharded objects has no meaning for replicated PGs.
func missingFeatures(have, need message.CompatSet, replicated bool) []string {
	var out []string
	for n, name := range need.Incompat {
		if _, ok := have.Incompat[n]; !ok && !(replicated && n == featureShards) {
			out = append(out, name)
		}
	}
	return out
}

// featureShards is CEPH_OSD_FEATURE_INCOMPAT_SHARDS.
const featureShards = 11

// sameCluster reports whether an export may be imported into a cluster; one
// without an fsid comes from none.
func sameCluster(from, to entity.UUID) bool { return from == entity.UUID{} || from == to }
