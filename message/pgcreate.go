package message

import (
	"time"

	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pglog"
	"sepiola/wire"
)

var _ = register([]Entry{
	{MsgOSDPGCreate2, "pg_create2", 2, 1, 1, PrioHigh, func() Body { return new(OSDPGCreate2) }},
})

// PGCreate is one PG to be created.
type PGCreate struct {
	PGID  object.SPGID
	Epoch uint32 // at which it was created
	Stamp time.Time
}

// PGCreateExtra is what happened to a PG between its creation and now.
type PGCreateExtra struct {
	PGID          object.SPGID
	History       pglog.History
	PastIntervals osdmap.PastIntervals
}

// OSDPGCreate2 tells an OSD to create PGs it is primary of (MOSDPGCreate2).
// Both lists are in order of PG ids and name the same PGs.
type OSDPGCreate2 struct {
	Epoch uint32
	PGs   []PGCreate
	Extra []PGCreateExtra
}

// Type returns MsgOSDPGCreate2.
func (*OSDPGCreate2) Type() uint16 { return MsgOSDPGCreate2 }

// Encode implements [Body].
func (m *OSDPGCreate2) Encode(o *Out) {
	o.U32(m.Epoch)
	wire.Slice(o.Encoder, m.PGs, func(e *wire.Encoder, p PGCreate) {
		p.PGID.Encode(e)
		e.U32(p.Epoch)
		e.Time(p.Stamp)
	})
	wire.Slice(o.Encoder, m.Extra, func(e *wire.Encoder, x PGCreateExtra) {
		x.PGID.Encode(e)
		x.History.Encode(e)
		x.PastIntervals.Encode(e)
	})
}

// Decode implements [Body].
func (m *OSDPGCreate2) Decode(in *In) {
	m.Epoch = in.U32()
	m.PGs = wire.ReadSlice(in.Decoder, 36, func(d *wire.Decoder) PGCreate {
		return PGCreate{object.DecodeSPGID(d), d.U32(), d.Time()}
	})
	if in.Version >= 2 {
		m.Extra = wire.ReadSlice(in.Decoder, 100, func(d *wire.Decoder) PGCreateExtra {
			return PGCreateExtra{object.DecodeSPGID(d), pglog.DecodeHistory(d), osdmap.DecodePastIntervals(d)}
		})
	}
}
