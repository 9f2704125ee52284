package pglog

import (
	"fmt"
	"hash/crc32"
	"strings"
	"time"

	"sepiola/object"
	"sepiola/wire"
)

// EntryOp is what an entry did to its object (pg_log_entry_t).
type EntryOp int32

// The operations of entries.
const (
	OpModify     EntryOp = 1  // some change
	OpClone      EntryOp = 2  // made as a clone of the head
	OpDelete     EntryOp = 3  // deleted
	OpLostRevert EntryOp = 5  // the new version was lost; back to RevertingTo
	OpLostDelete EntryOp = 6  // the new version was lost; deleted
	OpLostMark   EntryOp = 7  // the new version was lost; reads give EIO
	OpPromote    EntryOp = 8  // brought in from another tier
	OpClean      EntryOp = 9  // marked clean towards another tier
	OpError      EntryOp = 10 // a request that failed and changed nothing
)

var entryOpNames = map[EntryOp]string{
	OpModify: "modify", OpClone: "clone", OpDelete: "delete", OpLostRevert: "l_revert",
	OpLostDelete: "l_delete", OpLostMark: "l_mark", OpPromote: "promote", OpClean: "clean", OpError: "error",
}

// String returns Ceph's name of the operation.
func (o EntryOp) String() string {
	if s, ok := entryOpNames[o]; ok {
		return s
	}
	return "unknown"
}

// ParseEntryOp is the inverse of [EntryOp.String].
func ParseEntryOp(s string) (EntryOp, error) {
	for op, name := range entryOpNames {
		if name == s {
			return op, nil
		}
	}
	return 0, fmt.Errorf("%q is not an operation of a log entry", s)
}

// OpReturn is the result of one operation of a request
// (pg_log_op_return_item_t).
type OpReturn struct {
	RVal int32
	Data []byte
}

// ExtraReqID is a request whose effect an entry carries besides its own, as
// promotion and copying do.
type ExtraReqID struct {
	ReqID       ReqID
	UserVersion uint64
}

// Entry is one change in the log (pg_log_entry_t).
type Entry struct {
	Op           EntryOp
	Object       object.ID
	Version      Version
	PriorVersion Version // of the object before; zero if there was none
	RevertingTo  Version // OpLostRevert only
	ReqID        ReqID
	Mtime        time.Time // the client's
	Snaps        []byte    // OpClone: an encoded list, see [Entry.SnapIDs]
	UserVersion  uint64
	ModDesc      ModDesc
	ExtraReqIDs  []ExtraReqID
	// ExtraReturns maps an index of ExtraReqIDs to the error that request got;
	// encoded only when there are extra requests.
	ExtraReturns map[uint32]int32
	ReturnCode   int32 // what the client was told
	OpReturns    []OpReturn
	Clean        CleanRegions
}

// NewEntry returns an entry of a replicated PG: not to be rolled back, and with
// nothing known to be clean.
func NewEntry(op EntryOp, o object.ID, v, prior Version) Entry {
	return Entry{Op: op, Object: o, Version: v, PriorVersion: prior, UserVersion: v.V,
		ModDesc: Unrollbackable(), Clean: AllDirty()}
}

// IsClone reports whether the entry made a clone.
func (n *Entry) IsClone() bool { return n.Op == OpClone }

// IsError reports whether the entry only remembers a failed request.
func (n *Entry) IsError() bool { return n.Op == OpError }

// IsDelete reports whether the object was gone after the entry.
func (n *Entry) IsDelete() bool { return n.Op == OpDelete || n.Op == OpLostDelete }

// IsUpdate reports whether the object existed after the entry because of it.
func (n *Entry) IsUpdate() bool {
	switch n.Op {
	case OpClone, OpModify, OpPromote, OpClean, OpLostRevert, OpLostMark:
		return true
	}
	return false
}

// IsLostRevert reports whether the entry reverted a lost version.
func (n *Entry) IsLostRevert() bool { return n.Op == OpLostRevert }

// IndexesObject reports whether the entry is found by its object. Failed
// requests are not: they say nothing of the object.
func (n *Entry) IndexesObject() bool { return !n.IsError() }

// IndexesReqID reports whether the entry is found by its request id.
func (n *Entry) IndexesReqID() bool {
	return !n.ReqID.IsZero() && (n.Op == OpModify || n.Op == OpDelete || n.Op == OpError)
}

// CanRollback reports whether the entry can be undone locally.
func (n *Entry) CanRollback() bool { return n.ModDesc.CanRollback }

// Key returns the entry's omap key.
func (n *Entry) Key() string { return n.Version.Key() }

// SnapIDs returns the snapshots of a clone; nil if there are none.
func (n *Entry) SnapIDs() ([]object.SnapID, error) {
	if len(n.Snaps) == 0 {
		return nil, nil
	}
	d := wire.NewDecoder(n.Snaps)
	snaps := wire.ReadSlice(d, 8, getSnap)
	return snaps, d.Finish()
}

// SetSnaps sets the snapshots of a clone.
func (n *Entry) SetSnaps(snaps []object.SnapID) {
	e := wire.NewEncoder(4 + 8*len(snaps))
	wire.Slice(e, snaps, putSnap)
	n.Snaps = e.Bytes()
}

// String describes the entry in one line, as Ceph does.
func (n *Entry) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v (%v) %-8v %v by %v %d", n.Version, n.PriorVersion, n.Op, n.Object, n.ReqID, n.ReturnCode)
	return b.String()
}

// Encode appends pg_log_entry_t, version 14.
func (n *Entry) Encode(e *wire.Encoder) {
	m := e.Begin(14, 4)
	e.I32(int32(n.Op))
	n.Object.Encode(e)
	n.Version.Encode(e)
	if n.IsLostRevert() {
		n.RevertingTo.Encode(e)
	} else {
		n.PriorVersion.Encode(e)
	}
	n.ReqID.Encode(e)
	e.Time(n.Mtime)
	if n.IsLostRevert() {
		n.PriorVersion.Encode(e)
	}
	e.Blob(n.Snaps)
	e.U64(n.UserVersion)
	n.ModDesc.Encode(e)
	wire.Slice(e, n.ExtraReqIDs, func(e *wire.Encoder, x ExtraReqID) {
		x.ReqID.Encode(e)
		e.U64(x.UserVersion)
	})
	if n.IsError() {
		e.I32(n.ReturnCode)
	}
	if len(n.ExtraReqIDs) > 0 {
		wire.Map(e, n.ExtraReturns, wire.PutU32, wire.PutI32)
	}
	n.Clean.Encode(e)
	if !n.IsError() {
		e.I32(n.ReturnCode)
	}
	encodeOpReturns(e, n.OpReturns)
	e.End(m)
}

// entrySize is the least length of an encoded entry in bytes.
const entrySize = 100

// DecodeEntry reads pg_log_entry_t, version 11 and later.
func DecodeEntry(d *wire.Decoder) Entry {
	s := d.Begin(14)
	if d.Err() == nil && s.Version < 11 {
		d.Fail("log entry of version %d", s.Version)
	}
	n := Entry{Op: EntryOp(d.I32()), Object: object.DecodeID(d), Version: DecodeVersion(d)}
	n.PriorVersion = DecodeVersion(d)
	n.ReqID = DecodeReqID(d)
	n.Mtime = d.Time()
	if n.IsLostRevert() {
		n.RevertingTo = n.PriorVersion
		n.PriorVersion = DecodeVersion(d)
	}
	n.Snaps = d.Blob()
	n.UserVersion = d.U64()
	n.ModDesc = DecodeModDesc(d)
	n.ExtraReqIDs = wire.ReadSlice(d, reqIDSize+8, func(d *wire.Decoder) ExtraReqID {
		return ExtraReqID{DecodeReqID(d), d.U64()}
	})
	if n.IsError() {
		n.ReturnCode = d.I32()
	}
	if s.Version >= 12 && len(n.ExtraReqIDs) > 0 {
		n.ExtraReturns = wire.ReadMap(d, 8, wire.GetU32, wire.GetI32)
	}
	n.Clean = AllDirty()
	if s.Version >= 13 {
		n.Clean = DecodeCleanRegions(d)
	}
	if s.Version >= 14 {
		if !n.IsError() {
			n.ReturnCode = d.I32()
		}
		n.OpReturns = decodeOpReturns(d)
	}
	d.End(s)
	return n
}

func encodeOpReturns(e *wire.Encoder, rs []OpReturn) {
	wire.Slice(e, rs, func(e *wire.Encoder, r OpReturn) {
		e.I32(r.RVal)
		e.Blob(r.Data)
	})
}

func decodeOpReturns(d *wire.Decoder) []OpReturn {
	return wire.ReadSlice(d, 8, func(d *wire.Decoder) OpReturn { return OpReturn{d.I32(), d.Blob()} })
}

// dupKeyPrefix starts the omap keys of duplicates.
const dupKeyPrefix = "dup_"

// castagnoli is the polynomial of Ceph's checksums.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// cephCRC is ceph_crc32c with seed zero: like CRC-32C, without its inversions
// of the seed and the result.
func cephCRC(p []byte) uint32 { return ^crc32.Update(^uint32(0), castagnoli, p) }

// EncodeStored appends the form in which entries are stored
// (encode_with_checksum): the encoding with its length, and its CRC-32C.
func (n *Entry) EncodeStored(e *wire.Encoder) {
	m := e.BeginLen()
	start := e.Len()
	n.Encode(e)
	e.End(m)
	e.U32(cephCRC(e.Bytes()[start:]))
}

// DecodeStoredEntry reads what [Entry.EncodeStored] wrote and checks the sum.
func DecodeStoredEntry(p []byte) (Entry, error) {
	d := wire.NewDecoder(p)
	body := d.Blob()
	if sum := d.U32(); d.Err() == nil && sum != cephCRC(body) {
		d.Fail("checksum %08x of a log entry, computed %08x", sum, cephCRC(body))
	}
	if err := d.Finish(); err != nil {
		return Entry{}, err
	}
	in := wire.NewDecoder(body)
	n := DecodeEntry(in)
	return n, in.Finish()
}

// Dup remembers a request older than the log's tail (pg_log_dup_t).
type Dup struct {
	ReqID       ReqID
	Version     Version
	UserVersion uint64
	ReturnCode  int32
	OpReturns   []OpReturn
}

// DupOf returns what is remembered of an entry's own request.
func DupOf(n *Entry) Dup {
	return Dup{ReqID: n.ReqID, Version: n.Version, UserVersion: n.UserVersion,
		ReturnCode: n.ReturnCode, OpReturns: n.OpReturns}
}

// Key returns the omap key of the duplicate.
func (u *Dup) Key() string { return dupKeyPrefix + u.Version.Key() }

// Encode appends pg_log_dup_t, version 2.
func (u *Dup) Encode(e *wire.Encoder) {
	m := e.Begin(2, 1)
	u.ReqID.Encode(e)
	u.Version.Encode(e)
	e.U64(u.UserVersion)
	e.I32(u.ReturnCode)
	encodeOpReturns(e, u.OpReturns)
	e.End(m)
}

// dupSize is the least length of an encoded duplicate in bytes.
const dupSize = 6 + reqIDSize + versionSize + 12

// DecodeDup reads pg_log_dup_t.
func DecodeDup(d *wire.Decoder) Dup {
	s := d.Begin(2)
	u := Dup{ReqID: DecodeReqID(d), Version: DecodeVersion(d), UserVersion: d.U64(), ReturnCode: d.I32()}
	if s.Version >= 2 {
		u.OpReturns = decodeOpReturns(d)
	}
	d.End(s)
	return u
}

// Log is the log as it travels (pg_log_t): the changes in (Tail, Head], oldest
// first, and duplicates older than those. [IndexedLog] is the form to work
// with.
type Log struct {
	Head, Tail Version
	Entries    []Entry
	// CanRollbackTo: later entries can be undone locally, if they say how.
	CanRollbackTo Version
	// RollbackInfoTrimmedTo: what is needed to undo entries up to here was
	// dropped.
	RollbackInfoTrimmedTo Version
	Dups                  []Dup
}

// Encode appends pg_log_t, version 7.
func (l *Log) Encode(e *wire.Encoder) {
	m := e.Begin(7, 3)
	l.Head.Encode(e)
	l.Tail.Encode(e)
	e.U32(uint32(len(l.Entries)))
	for i := range l.Entries {
		l.Entries[i].Encode(e)
	}
	l.CanRollbackTo.Encode(e)
	l.RollbackInfoTrimmedTo.Encode(e)
	e.U32(uint32(len(l.Dups)))
	for i := range l.Dups {
		l.Dups[i].Encode(e)
	}
	e.End(m)
}

// DecodeLog reads pg_log_t, version 6 and later.
func DecodeLog(d *wire.Decoder) Log {
	s := d.Begin(7)
	if d.Err() == nil && s.Version < 6 {
		d.Fail("log of version %d", s.Version)
	}
	l := Log{Head: DecodeVersion(d), Tail: DecodeVersion(d)}
	l.Entries = wire.ReadSlice(d, entrySize, DecodeEntry)
	l.CanRollbackTo = DecodeVersion(d)
	l.RollbackInfoTrimmedTo = DecodeVersion(d)
	if s.Version >= 7 {
		l.Dups = wire.ReadSlice(d, dupSize, DecodeDup)
	}
	d.End(s)
	return l
}
