package pglog

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"

	"sepiola/entity"
	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/wire"
)

// Version names a change of a PG (eversion_t): the map epoch in which the
// primary made it and its number within the PG. The zero value is before all.
type Version struct {
	Epoch uint32
	V     uint64
}

// MaxVersion is after all versions.
var MaxVersion = Version{Epoch: math.MaxUint32, V: math.MaxUint64}

// IsZero reports whether v is 0'0.
func (v Version) IsZero() bool { return v == Version{} }

// Compare orders versions by epoch, then number.
func (v Version) Compare(w Version) int {
	return cmp.Or(cmp.Compare(v.Epoch, w.Epoch), cmp.Compare(v.V, w.V))
}

// Less reports whether v is before w.
func (v Version) Less(w Version) bool { return v.Compare(w) < 0 }

// AtMost reports whether v is w or before it.
func (v Version) AtMost(w Version) bool { return v.Compare(w) <= 0 }

// String returns Ceph's form, epoch'number.
func (v Version) String() string {
	return strconv.FormatUint(uint64(v.Epoch), 10) + "'" + strconv.FormatUint(v.V, 10)
}

// ParseVersion reads "epoch'number".
func ParseVersion(s string) (Version, error) {
	epoch, num, ok := strings.Cut(s, "'")
	e, err1 := strconv.ParseUint(epoch, 10, 32)
	n, err2 := strconv.ParseUint(num, 10, 64)
	if !ok || err1 != nil || err2 != nil {
		return Version{}, fmt.Errorf("%q is not a version of the form epoch'number", s)
	}
	return Version{uint32(e), n}, nil
}

// Key returns the omap key of the log entry of that version: %010u.%020llu, so
// that keys sort as versions do (eversion_t::get_key_name).
func (v Version) Key() string { return fmt.Sprintf("%010d.%020d", v.Epoch, v.V) }

// versionSize is the length of an encoded version in bytes.
const versionSize = 12

// Encode appends eversion_t: the number, then the epoch.
func (v Version) Encode(e *wire.Encoder) {
	e.U64(v.V)
	e.U32(v.Epoch)
}

// DecodeVersion reads what [Version.Encode] wrote.
func DecodeVersion(d *wire.Decoder) Version {
	n := d.U64()
	return Version{Epoch: d.U32(), V: n}
}

// MaxOf returns the later of two versions.
func MaxOf(v, w Version) Version {
	if v.Less(w) {
		return w
	}
	return v
}

// MinOf returns the earlier of two versions.
func MinOf(v, w Version) Version {
	if w.Less(v) {
		return w
	}
	return v
}

// ReqID names a client's request (osd_reqid_t). It is comparable; the zero value
// names none.
type ReqID struct {
	Name entity.Name
	TID  uint64
	Inc  int32
}

// IsZero reports whether no request is named.
func (r ReqID) IsZero() bool { return r == ReqID{} }

// String returns Ceph's form, client.4123.0:17.
func (r ReqID) String() string {
	return fmt.Sprintf("%s.%d:%d", r.Name, r.Inc, r.TID)
}

// ParseReqID reads what [ReqID.String] wrote.
func ParseReqID(s string) (ReqID, error) {
	bad := fmt.Errorf("%q is not a request id of the form type.num.inc:tid", s)
	left, tid, ok := strings.Cut(s, ":")
	dot := strings.LastIndexByte(left, '.')
	if !ok || dot < 0 {
		return ReqID{}, bad
	}
	name, err1 := entity.ParseName(left[:dot])
	inc, err2 := strconv.ParseInt(left[dot+1:], 10, 32)
	n, err3 := strconv.ParseUint(tid, 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return ReqID{}, bad
	}
	return ReqID{Name: name, TID: n, Inc: int32(inc)}, nil
}

// Encode appends osd_reqid_t, version 2.
func (r ReqID) Encode(e *wire.Encoder) {
	m := e.Begin(2, 2)
	r.Name.Encode(e)
	e.U64(r.TID)
	e.I32(r.Inc)
	e.End(m)
}

// DecodeReqID reads osd_reqid_t.
func DecodeReqID(d *wire.Decoder) ReqID {
	s := d.Begin(2)
	r := ReqID{Name: entity.DecodeName(d), TID: d.U64(), Inc: d.I32()}
	d.End(s)
	return r
}

// reqIDSize is the least length of an encoded request id in bytes.
const reqIDSize = 6 + 9 + 8 + 4

// NoOSD is the place of an OSD where there is none (pg_shard_t::NO_OSD).
const NoOSD int32 = 0x7fffffff

// PGShard names a member of a PG (pg_shard_t): the OSD and, for erasure-coded
// pools, the shard it holds.
type PGShard = osdmap.PGShard

// Member returns the member of a replicated PG on an OSD.
func Member(osd int32) PGShard { return PGShard{OSD: osd, Shard: object.NoShard} }

// pgShardSize is the length of an encoded member in bytes.
const pgShardSize = 11
