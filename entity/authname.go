package entity

import (
	"fmt"
	"strings"

	"sepiola/wire"
)

// AuthName is EntityName: whom a party authenticates as, such as client.admin. It
// is not [Name], whose number tells sessions apart.
type AuthName struct {
	Type Type
	ID   string
}

// String returns "type.id".
func (n AuthName) String() string { return n.Type.String() + "." + n.ID }

// ParseAuthName reads "type.id".
func ParseAuthName(s string) (AuthName, error) {
	kind, id, ok := strings.Cut(s, ".")
	if !ok {
		return AuthName{}, fmt.Errorf("%q is not of the form type.id", s)
	}
	t, err := ParseType(kind)
	return AuthName{t, id}, err
}

// Encode appends the name as src/common/entity_name.h has it.
func (n AuthName) Encode(e *wire.Encoder) {
	e.U32(uint32(n.Type))
	e.String(n.ID)
}

// DecodeAuthName reads what [AuthName.Encode] wrote.
func DecodeAuthName(d *wire.Decoder) AuthName {
	t := d.U32()
	if t > 0xff {
		d.Fail("entity type %d", t)
	}
	return AuthName{Type: Type(t), ID: d.String()}
}
