package entity

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"sepiola/wire"
)

// Type is the kind of a party (CEPH_ENTITY_TYPE_* in src/include/msgr.h).
type Type uint8

// The kinds of parties.
const (
	TypeMon    Type = 0x01
	TypeMDS    Type = 0x02
	TypeOSD    Type = 0x04
	TypeClient Type = 0x08
	TypeMgr    Type = 0x10
	TypeAuth   Type = 0x20
)

var typeNames = map[Type]string{
	TypeMon: "mon", TypeMDS: "mds", TypeOSD: "osd",
	TypeClient: "client", TypeMgr: "mgr", TypeAuth: "auth",
}

// String returns Ceph's name of the kind, "unknown" for others.
func (t Type) String() string {
	if s, ok := typeNames[t]; ok {
		return s
	}
	return "unknown"
}

// ParseType is the inverse of [Type.String].
func ParseType(s string) (Type, error) {
	for t, name := range typeNames {
		if name == s {
			return t, nil
		}
	}
	return 0, fmt.Errorf("%q is not a kind of daemon or client", s)
}

// Name is entity_name_t: a kind and a number, as in osd.3. Num is -1 for a party
// that has none yet.
type Name struct {
	Type Type
	Num  int64
}

// OSD returns the name of OSD n.
func OSD(n int32) Name { return Name{TypeOSD, int64(n)} }

// Mon returns the name of the monitor of rank n.
func Mon(n int) Name { return Name{TypeMon, int64(n)} }

// Client returns the name of the client with global id n.
func Client(n int64) Name { return Name{TypeClient, n} }

// String returns "type.num", with "?" for a negative number.
func (n Name) String() string {
	if n.Num < 0 {
		return n.Type.String() + ".?"
	}
	return n.Type.String() + "." + strconv.FormatInt(n.Num, 10)
}

// ParseName reads "type.num".
func ParseName(s string) (Name, error) {
	kind, num, ok := strings.Cut(s, ".")
	if !ok {
		return Name{}, fmt.Errorf("%q is not of the form type.number", s)
	}
	t, err := ParseType(kind)
	if err != nil {
		return Name{}, err
	}
	n, err := strconv.ParseInt(num, 10, 64)
	if err != nil {
		return Name{}, fmt.Errorf("%q is not of the form type.number", s)
	}
	return Name{t, n}, nil
}

// Compare orders names by kind, then number.
func (n Name) Compare(o Name) int {
	return cmp.Or(cmp.Compare(n.Type, o.Type), cmp.Compare(n.Num, o.Num))
}

// Encode appends the 9-byte form.
func (n Name) Encode(e *wire.Encoder) {
	e.U8(uint8(n.Type))
	e.I64(n.Num)
}

// DecodeName reads what [Name.Encode] wrote.
func DecodeName(d *wire.Decoder) Name {
	return Name{Type: Type(d.U8()), Num: d.I64()}
}
