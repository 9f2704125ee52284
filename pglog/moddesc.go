package pglog

import (
	"sepiola/object"
	"sepiola/wire"
)

// ModDesc says how to undo an entry locally (ObjectModDesc). Replicated PGs
// never can and mark their entries so; erasure-coded ones mostly can.
type ModDesc struct {
	CanRollback bool // can_local_rollback
	Completed   bool // nothing may be added any more
	// Required is the version of the newest step, 1 or 2.
	Required uint8
	// Steps holds the encoded steps, first to last; [ModDesc.Decode] takes them
	// apart.
	Steps []byte
}

// NewModDesc returns a description without steps, to which steps can be added.
func NewModDesc() ModDesc { return ModDesc{CanRollback: true, Required: 1} }

// Unrollbackable returns the description of a change that cannot be undone.
func Unrollbackable() ModDesc { return ModDesc{Required: 1} }

// ModKind is the kind of a step (ObjectModDesc::ModID).
type ModKind uint8

// The kinds of steps.
const (
	ModAppend          ModKind = 1 // undone by truncating to Size
	ModSetAttrs        ModKind = 2 // undone by restoring Attrs
	ModDelete          ModKind = 3 // undone by renaming generation Gen back
	ModCreate          ModKind = 4 // undone by removing
	ModUpdateSnaps     ModKind = 5 // undone by restoring Snaps
	ModTryDelete       ModKind = 6 // as ModDelete, if that generation exists
	ModRollbackExtents ModKind = 7 // undone by copying Extents from generation Gen
)

// ModStep is one step of a [ModDesc]. Which fields count depends on Kind.
type ModStep struct {
	Kind    ModKind
	Size    uint64            // bytes
	Gen     uint64            // generation of a rollback copy
	Attrs   map[string][]byte // old attributes; nil where there was none
	Snaps   []object.SnapID   // old snapshots, ascending
	Extents []Range
}

// Add appends a step, unless the change cannot be undone or is complete. Steps
// that make up for all later ones complete the description.
func (m *ModDesc) Add(st ModStep) {
	if !m.CanRollback || m.Completed {
		return
	}
	e := wire.NewEncoder(32)
	e.Raw(m.Steps)
	version := uint8(1)
	if st.Kind == ModRollbackExtents {
		version = 2
		m.Required = 2
	}
	mark := e.Begin(version, version)
	e.U8(uint8(st.Kind))
	st.encodeArgs(e)
	e.End(mark)
	m.Steps = e.Bytes()
	m.Completed = st.Kind == ModDelete || st.Kind == ModTryDelete || st.Kind == ModCreate
}

func (st ModStep) encodeArgs(e *wire.Encoder) {
	switch st.Kind {
	case ModAppend:
		e.U64(st.Size)
	case ModSetAttrs:
		wire.Map(e, st.Attrs, wire.PutString, func(e *wire.Encoder, v []byte) {
			e.Bool(v != nil)
			if v != nil {
				e.Blob(v)
			}
		})
	case ModDelete, ModTryDelete:
		e.U64(st.Gen)
	case ModUpdateSnaps:
		wire.Slice(e, st.Snaps, putSnap)
	case ModRollbackExtents:
		e.U64(st.Gen)
		wire.Slice(e, st.Extents, func(e *wire.Encoder, r Range) {
			e.U64(r.Start)
			e.U64(r.Len)
		})
	}
}

// Decode returns the steps, in order.
func (m ModDesc) Decode() ([]ModStep, error) {
	d := wire.NewDecoder(m.Steps)
	var out []ModStep
	for d.Left() > 0 {
		out = append(out, decodeModStep(d))
	}
	return out, d.Err()
}

func decodeModStep(d *wire.Decoder) ModStep {
	s := d.Begin(2)
	defer d.End(s)
	st := ModStep{Kind: ModKind(d.U8())}
	switch st.Kind {
	case ModAppend:
		st.Size = d.U64()
	case ModSetAttrs:
		st.Attrs = wire.ReadMap(d, 5, wire.GetString, func(d *wire.Decoder) []byte {
			if !d.Bool() {
				return nil
			}
			return append([]byte{}, d.Blob()...)
		})
	case ModDelete, ModTryDelete:
		st.Gen = d.U64()
	case ModCreate:
	case ModUpdateSnaps:
		st.Snaps = wire.ReadSlice(d, 8, getSnap)
	case ModRollbackExtents:
		st.Gen = d.U64()
		st.Extents = wire.ReadSlice(d, 16, func(d *wire.Decoder) Range { return Range{d.U64(), d.U64()} })
	default:
		d.Fail("rollback step of kind %d", st.Kind)
	}
	return st
}

func putSnap(e *wire.Encoder, s object.SnapID) { e.U64(uint64(s)) }

func getSnap(d *wire.Decoder) object.SnapID { return object.SnapID(d.U64()) }

// Encode appends ObjectModDesc in the version its steps need.
func (m ModDesc) Encode(e *wire.Encoder) {
	v := max(m.Required, 1)
	mark := e.Begin(v, v)
	e.Bool(m.CanRollback)
	e.Bool(m.Completed)
	e.Blob(m.Steps)
	e.End(mark)
}

// DecodeModDesc reads ObjectModDesc. The steps are taken as they are.
func DecodeModDesc(d *wire.Decoder) ModDesc {
	s := d.Begin(2)
	m := ModDesc{Required: s.Version, CanRollback: d.Bool(), Completed: d.Bool(), Steps: d.Blob()}
	d.End(s)
	return m
}
