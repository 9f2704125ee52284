package message

import (
	"cmp"

	"sepiola/entity"
	"sepiola/wire"
)

// Paxos is what every message to a monitor's services begins with
// (PaxosServiceMessage): the version of the service's state that the sender
// has, then two fields that have meant nothing since Ceph 0.2 and are written as
// Ceph writes them.
type Paxos struct {
	// Have is the newest version of the state in question that the sender has.
	Have uint64
}

func (p Paxos) encode(e *wire.Encoder) {
	e.U64(p.Have)
	e.I16(-1)
	e.U64(0)
}

func (p *Paxos) decode(d *wire.Decoder) {
	p.Have = d.U64()
	d.Skip(10)
}

// EntityName is the name a daemon or client authenticates as (EntityName in
// src/common/entity_name.h): client.admin, mon.a, osd.3.
type EntityName struct {
	Type entity.Type
	ID   string
}

// String returns "type.id".
func (n EntityName) String() string { return n.Type.String() + "." + n.ID }

// Compare orders names by kind, then id.
func (n EntityName) Compare(o EntityName) int {
	return cmp.Or(cmp.Compare(n.Type, o.Type), cmp.Compare(n.ID, o.ID))
}

// Encode appends the name.
func (n EntityName) Encode(e *wire.Encoder) {
	e.U32(uint32(n.Type))
	e.String(n.ID)
}

// DecodeEntityName reads what [EntityName.Encode] wrote.
func DecodeEntityName(d *wire.Decoder) EntityName {
	t := d.U32()
	if t > 0xff {
		d.Fail("entity type %d", t)
	}
	return EntityName{entity.Type(t), d.String()}
}

func putStrings(e *wire.Encoder, s []string) { wire.Slice(e, s, wire.PutString) }
func getStrings(d *wire.Decoder) []string    { return wire.ReadSlice(d, 4, wire.GetString) }
func putStringMap(e *wire.Encoder, m map[string]string) {
	wire.Map(e, m, wire.PutString, wire.PutString)
}
func getStringMap(d *wire.Decoder) map[string]string {
	return wire.ReadMap(d, 8, wire.GetString, wire.GetString)
}

// rawEnvelope reads a versioned envelope whole, header included, for values that
// are only passed on.
func rawEnvelope(d *wire.Decoder) []byte {
	head := d.Raw(6)
	if head == nil {
		return nil
	}
	n := uint32(head[2]) | uint32(head[3])<<8 | uint32(head[4])<<16 | uint32(head[5])<<24
	if int64(n) > int64(d.Left()) {
		d.Fail("envelope of %d bytes, %d left", n, d.Left())
		return nil
	}
	body := d.Raw(int(n))
	return append(head[:6:6], body...)
}
