package object

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"

	"sepiola/wire"
)

// SnapID numbers a snapshot (snapid_t).
type SnapID uint64

// Special snapshot ids (CEPH_NOSNAP, CEPH_SNAPDIR).
const (
	NoSnap  SnapID = math.MaxUint64 - 1 // the head: the live object
	SnapDir SnapID = math.MaxUint64
)

// String returns "head", "snapdir" or the number in hexadecimal.
func (s SnapID) String() string {
	switch s {
	case NoSnap:
		return "head"
	case SnapDir:
		return "snapdir"
	}
	return strconv.FormatUint(uint64(s), 16)
}

// Special pools (hobject_t::POOL_META and friends).
const (
	PoolMin  int64 = math.MinInt64 // of the least id
	PoolMeta int64 = -1            // objects of an OSD's own
)

// TempPool returns the pool number under which temporary objects of a pool are
// kept.
func TempPool(pool int64) int64 { return -2 - pool }

// ID names an object within a cluster (hobject_t). The zero value is not the
// least id; [Min] is.
type ID struct {
	Name      string
	Key       string // locator key; empty when it is the name
	Namespace string
	Snap      SnapID
	Hash      uint32 // placement hash; the PG's seed is derived from it
	Pool      int64
	Max       bool // the id after all others
}

// Min is the least id of all, and Max the one above all.
var (
	Min = ID{Pool: PoolMin}
	Max = ID{Max: true, Pool: PoolMin}
)

// Head returns the id of the live object called name.
func Head(pool int64, namespace, key, name string, hash uint32) ID {
	if key == name {
		key = ""
	}
	return ID{Name: name, Key: key, Namespace: namespace, Snap: NoSnap, Hash: hash, Pool: pool}
}

// IsMin reports whether o is the least id.
func (o ID) IsMin() bool { return o == Min }

// IsMax reports whether o is the greatest id.
func (o ID) IsMax() bool { return o.Max }

// IsHead reports whether o is a live object.
func (o ID) IsHead() bool { return o.Snap == NoSnap }

// IsSnap reports whether o is a clone.
func (o ID) IsSnap() bool { return !o.Max && o.Snap != NoSnap && o.Snap != SnapDir }

// WithSnap returns the id of the same object at snapshot s.
func (o ID) WithSnap(s SnapID) ID {
	o.Snap = s
	return o
}

// BitwiseKey is the primary sort key: the bit-reversed hash, and 1<<32 for Max.
func (o ID) BitwiseKey() uint64 {
	if o.Max {
		return 1 << 32
	}
	return uint64(ReverseBits(o.Hash))
}

func (o ID) effectiveKey() string {
	if o.Key != "" {
		return o.Key
	}
	return o.Name
}

// Compare orders ids: Max last, then by pool, bit-reversed hash, namespace,
// key, name, snapshot.
func (o ID) Compare(p ID) int {
	if o.Max != p.Max {
		if o.Max {
			return 1
		}
		return -1
	}
	if c := cmp.Or(cmp.Compare(o.Pool, p.Pool), cmp.Compare(o.BitwiseKey(), p.BitwiseKey()),
		strings.Compare(o.Namespace, p.Namespace)); c != 0 {
		return c
	}
	if o.Key != "" || p.Key != "" {
		if c := strings.Compare(o.effectiveKey(), p.effectiveKey()); c != 0 {
			return c
		}
	}
	return cmp.Or(strings.Compare(o.Name, p.Name), cmp.Compare(o.Snap, p.Snap))
}

// Less reports whether o sorts before p.
func (o ID) Less(p ID) bool { return o.Compare(p) < 0 }

// String returns Ceph's form, pool:reversedhash:namespace:key:name:snap, or MIN
// or MAX.
func (o ID) String() string {
	switch {
	case o.Max:
		return "MAX"
	case o == Min:
		return "MIN"
	}
	return fmt.Sprintf("%d:%08x:%s:%s:%s:%s", o.Pool, ReverseBits(o.Hash),
		escape(o.Namespace), escape(o.Key), escape(o.Name), o.Snap)
}

// ParseID reads what [ID.String] wrote.
func ParseID(s string) (ID, error) {
	switch s {
	case "MIN":
		return Min, nil
	case "MAX":
		return Max, nil
	}
	bad := fmt.Errorf("%q is not of the form pool:hash:namespace:key:name:snap", s)
	f := strings.Split(s, ":")
	if len(f) != 6 {
		return ID{}, bad
	}
	pool, err1 := strconv.ParseInt(f[0], 10, 64)
	rev, err2 := strconv.ParseUint(f[1], 16, 32)
	ns, err3 := unescape(f[2])
	key, err4 := unescape(f[3])
	name, err5 := unescape(f[4])
	snap, err6 := parseSnap(f[5])
	for _, err := range []error{err1, err2, err3, err4, err5, err6} {
		if err != nil {
			return ID{}, bad
		}
	}
	return ID{Name: name, Key: key, Namespace: ns, Snap: snap, Hash: ReverseBits(uint32(rev)), Pool: pool}, nil
}

func parseSnap(s string) (SnapID, error) {
	switch s {
	case "head":
		return NoSnap, nil
	case "snapdir":
		return SnapDir, nil
	}
	v, err := strconv.ParseUint(s, 16, 64)
	return SnapID(v), err
}

func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c == '%' || c == ':' || c == '/' || c < 32 || c >= 127 {
			fmt.Fprintf(&b, "%%%02x", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func unescape(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+3 > len(s) {
			return "", fmt.Errorf("cut-off escape in %q", s)
		}
		v, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", err
		}
		b.WriteByte(byte(v))
		i += 2
	}
	return b.String(), nil
}

// Encode appends hobject_t, version 4.
func (o ID) Encode(e *wire.Encoder) {
	m := e.Begin(4, 3)
	o.encodeFields(e)
	e.End(m)
}

func (o ID) encodeFields(e *wire.Encoder) {
	e.String(o.Key)
	e.String(o.Name)
	e.U64(uint64(o.Snap))
	e.U32(o.Hash)
	e.Bool(o.Max)
	e.String(o.Namespace)
	e.I64(o.Pool)
}

// DecodeID reads hobject_t, version 3 and later.
func DecodeID(d *wire.Decoder) ID {
	s := d.Begin(4)
	if d.Err() == nil && s.Version < 3 {
		d.Fail("object id of version %d", s.Version)
	}
	var o ID
	o.decodeFields(d, s.Version >= 4)
	d.End(s)
	return o
}

func (o *ID) decodeFields(d *wire.Decoder, withPool bool) {
	o.Key = d.String()
	o.Name = d.String()
	o.Snap = SnapID(d.U64())
	o.Hash = d.U32()
	o.Max = d.Bool()
	if withPool {
		o.Namespace = d.String()
		o.Pool = d.I64()
	}
	o.canonicalize()
}

// canonicalize undoes two historical spellings of the least and greatest id.
func (o *ID) canonicalize() {
	switch {
	case o.Max:
		*o = Max
	case *o == ID{Pool: PoolMeta}:
		*o = Min
	}
}
