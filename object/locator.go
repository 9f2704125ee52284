package object

import "sepiola/wire"

// Locator says where an object is placed (object_locator_t): the pool, and a
// key or hash that override the object's name.
type Locator struct {
	Pool      int64
	Key       string
	Namespace string
	Hash      int64 // -1 unless the position itself is named
}

// Encode appends object_locator_t, version 6.
func (l Locator) Encode(e *wire.Encoder) {
	compat := uint8(3)
	if l.Hash != -1 {
		compat = 6 // an older reader would place the object elsewhere
	}
	m := e.Begin(6, compat)
	e.I64(l.Pool)
	e.I32(-1) // once the preferred OSD
	e.String(l.Key)
	e.String(l.Namespace)
	e.I64(l.Hash)
	e.End(m)
}

// DecodeLocator reads object_locator_t, version 3 and later.
func DecodeLocator(d *wire.Decoder) Locator {
	s := d.Begin(6)
	if d.Err() == nil && s.Version < 3 {
		d.Fail("locator of version %d", s.Version)
	}
	l := Locator{Pool: d.I64(), Hash: -1}
	d.Skip(4)
	l.Key = d.String()
	if s.Version >= 5 {
		l.Namespace = d.String()
	}
	if s.Version >= 6 {
		l.Hash = d.I64()
	}
	if d.Err() == nil && l.Hash != -1 && l.Key != "" {
		d.Fail("locator with both key and hash")
	}
	d.End(s)
	return l
}
