package message

import (
	"sepiola/entity"
	"sepiola/wire"
)

var _ = register([]Entry{
	{MsgOSDMap, "osd_map", 4, 3, 3, PrioDefault, func() Body { return new(OSDMapMsg) }},
})

// OSDMapMsg carries OSD maps and increments, encoded (MOSDMap).
type OSDMapMsg struct {
	Priority     uint16 // 0 means the default; monitors use PrioHigh
	FSID         entity.UUID
	Maps         map[uint32][]byte // full maps by epoch
	Incrementals map[uint32][]byte // increments by the epoch they lead to
	// Oldest and Newest are the epochs the sender has.
	Oldest, Newest uint32
}

// Type returns MsgOSDMap.
func (*OSDMapMsg) Type() uint16 { return MsgOSDMap }

// First returns the least epoch that is carried; 0 if none.
func (m *OSDMapMsg) First() uint32 {
	var first uint32
	for _, set := range []map[uint32][]byte{m.Maps, m.Incrementals} {
		for e := range set {
			if first == 0 || e < first {
				first = e
			}
		}
	}
	return first
}

// Last returns the greatest epoch that is carried; 0 if none.
func (m *OSDMapMsg) Last() uint32 {
	var last uint32
	for _, set := range []map[uint32][]byte{m.Maps, m.Incrementals} {
		for e := range set {
			last = max(last, e)
		}
	}
	return last
}

// Encode implements [Body].
func (m *OSDMapMsg) Encode(o *Out) {
	o.setPriority(m.Priority)
	m.FSID.Encode(o.Encoder)
	wire.Map(o.Encoder, m.Incrementals, wire.PutU32, wire.PutBlob)
	wire.Map(o.Encoder, m.Maps, wire.PutU32, wire.PutBlob)
	o.U32(m.Oldest)
	o.U32(m.Newest)
	o.U32(0) // once the removed snapshots of skipped epochs
}

// Decode implements [Body].
func (m *OSDMapMsg) Decode(in *In) {
	m.Priority = in.Priority
	m.FSID = entity.DecodeUUID(in.Decoder)
	m.Incrementals = wire.ReadMap(in.Decoder, 8, wire.GetU32, wire.GetBlob)
	m.Maps = wire.ReadMap(in.Decoder, 8, wire.GetU32, wire.GetBlob)
	m.Oldest = in.U32()
	m.Newest = in.U32()
}
