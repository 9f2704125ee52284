package entity

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"

	"sepiola/wire"
)

// UUID is uuid_d: 16 bytes. It identifies a cluster (fsid) or an OSD.
type UUID [16]byte

// NewUUID returns a random (version 4) UUID.
func NewUUID() UUID {
	var u UUID
	rand.Read(u[:])
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	return u
}

// IsZero reports whether all bytes are zero.
func (u UUID) IsZero() bool { return u == UUID{} }

// String returns the usual 8-4-4-4-12 form.
func (u UUID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}

// ParseUUID reads the 8-4-4-4-12 form.
func ParseUUID(s string) (UUID, error) {
	var u UUID
	plain := strings.ReplaceAll(strings.TrimSpace(s), "-", "")
	if len(plain) != 32 {
		return u, fmt.Errorf("%q is not a UUID", s)
	}
	if _, err := hex.Decode(u[:], []byte(plain)); err != nil {
		return u, fmt.Errorf("%q is not a UUID", s)
	}
	return u, nil
}

// Encode appends the 16 bytes.
func (u UUID) Encode(e *wire.Encoder) { e.Raw(u[:]) }

// DecodeUUID reads 16 bytes.
func DecodeUUID(d *wire.Decoder) UUID {
	var u UUID
	copy(u[:], d.Raw(len(u)))
	return u
}
