package message

import (
	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pglog"
	"sepiola/wire"
)

// Replication of writes.
var _ = register([]Entry{
	{MsgOSDRepOp, "osd_repop", 3, 1, 3, PrioDefault, func() Body { return new(OSDRepOp) }},
	{MsgOSDRepOpReply, "osd_repop_reply", 2, 1, 2, PrioHigh, func() Body { return new(OSDRepOpReply) }},
	{MsgOSDPGUpdateLogMissing, "PGUpdateLogMissing", 3, 1, 3, PrioDefault, func() Body { return new(OSDPGUpdateLogMissing) }},
	{MsgOSDPGUpdateLogMissingReply, "PGUpdateLogMissingReply", 3, 1, 3, PrioHigh, func() Body { return new(OSDPGUpdateLogMissingReply) }},
})

// OSDRepOp brings a change of one object to a replica (MOSDRepOp).
type OSDRepOp struct {
	TID uint64
	PGHeader
	Trace      Trace
	ReqID      pglog.ReqID // of the client
	Object     object.ID
	AcksWanted uint8 // FlagAck | FlagOnDisk
	Version    pglog.Version
	// LogEntries is an encoded vector of log entries: see [EncodeEntries].
	LogEntries []byte
	Stats      pglog.Stats
	TrimTo     pglog.Version // the replica may trim its log up to here
	// NewTemp and DiscardTemp name temporary objects that come into being or are
	// done with; object.Min for none.
	NewTemp, DiscardTemp  object.ID
	From                  osdmap.PGShard
	HitSet                *pglog.HitSetHistory // nil unless it changed
	MinLastCompleteOnDisk pglog.Version        // all members have committed up to here
	// Tx is the encoded transaction; DataOff the alignment of its data in the
	// receiver's memory.
	Tx      wire.Buf
	DataOff uint16
}

// Type returns MsgOSDRepOp.
func (*OSDRepOp) Type() uint16 { return MsgOSDRepOp }

// Encode implements [Body].
func (m *OSDRepOp) Encode(o *Out) {
	o.TID, o.DataOff = m.TID, m.DataOff
	o.U32(m.Epoch)
	o.U32(m.Since)
	m.Trace.encode(o.Encoder)
	m.ReqID.Encode(o.Encoder)
	m.PGID.Encode(o.Encoder)
	m.Object.Encode(o.Encoder)
	o.U8(m.AcksWanted)
	m.Version.Encode(o.Encoder)
	o.Blob(m.LogEntries)
	m.Stats.Encode(o.Encoder)
	m.TrimTo.Encode(o.Encoder)
	m.NewTemp.Encode(o.Encoder)
	m.DiscardTemp.Encode(o.Encoder)
	m.From.Encode(o.Encoder)
	putOptional(o.Encoder, m.HitSet, (*pglog.HitSetHistory).Encode)
	m.MinLastCompleteOnDisk.Encode(o.Encoder)
	o.Data = m.Tx
}

// Decode implements [Body].
func (m *OSDRepOp) Decode(in *In) {
	m.TID, m.DataOff = in.TID, in.DataOff
	m.Epoch, m.Since = in.U32(), in.U32()
	m.Trace = decodeTrace(in.Decoder)
	m.ReqID = pglog.DecodeReqID(in.Decoder)
	m.PGID = object.DecodeSPGID(in.Decoder)
	m.Object = object.DecodeID(in.Decoder)
	m.AcksWanted = in.U8()
	m.Version = pglog.DecodeVersion(in.Decoder)
	m.LogEntries = in.Blob()
	m.Stats = pglog.DecodeStats(in.Decoder)
	m.TrimTo = pglog.DecodeVersion(in.Decoder)
	m.NewTemp = object.DecodeID(in.Decoder)
	m.DiscardTemp = object.DecodeID(in.Decoder)
	m.From = osdmap.DecodePGShard(in.Decoder)
	m.HitSet = getOptional(in.Decoder, pglog.DecodeHitSetHistory)
	m.MinLastCompleteOnDisk = pglog.DecodeVersion(in.Decoder)
	m.Tx = in.Data
}

// EncodeEntries returns the form of log entries in an [OSDRepOp].
func EncodeEntries(entries []pglog.Entry) []byte {
	e := wire.NewEncoder(4 + 256*len(entries))
	putEntries(e, entries)
	return e.Bytes()
}

// DecodeEntries reads what [EncodeEntries] made.
func DecodeEntries(p []byte) ([]pglog.Entry, error) {
	d := wire.NewDecoder(p)
	entries := getEntries(d)
	return entries, d.Finish()
}

func putEntries(e *wire.Encoder, entries []pglog.Entry) {
	e.U32(uint32(len(entries)))
	for i := range entries {
		entries[i].Encode(e)
	}
}

func getEntries(d *wire.Decoder) []pglog.Entry { return wire.ReadSlice(d, 100, pglog.DecodeEntry) }

// OSDRepOpReply says that a replica applied and committed a change
// (MOSDRepOpReply).
type OSDRepOpReply struct {
	TID uint64
	PGHeader
	Trace   Trace
	ReqID   pglog.ReqID
	AckType uint8 // FlagOnDisk
	Result  int32 // 0, or minus an errno
	// LastCompleteOnDisk: the replica has everything up to here on disk.
	LastCompleteOnDisk pglog.Version
	From               osdmap.PGShard
}

// Type returns MsgOSDRepOpReply.
func (*OSDRepOpReply) Type() uint16 { return MsgOSDRepOpReply }

// Encode implements [Body].
func (m *OSDRepOpReply) Encode(o *Out) {
	o.TID = m.TID
	o.U32(m.Epoch)
	o.U32(m.Since)
	m.Trace.encode(o.Encoder)
	m.ReqID.Encode(o.Encoder)
	m.PGID.Encode(o.Encoder)
	o.U8(m.AckType)
	o.I32(m.Result)
	m.LastCompleteOnDisk.Encode(o.Encoder)
	m.From.Encode(o.Encoder)
}

// Decode implements [Body].
func (m *OSDRepOpReply) Decode(in *In) {
	m.TID = in.TID
	m.Epoch, m.Since = in.U32(), in.U32()
	m.Trace = decodeTrace(in.Decoder)
	m.ReqID = pglog.DecodeReqID(in.Decoder)
	m.PGID = object.DecodeSPGID(in.Decoder)
	m.AckType, m.Result = in.U8(), in.I32()
	m.LastCompleteOnDisk = pglog.DecodeVersion(in.Decoder)
	m.From = osdmap.DecodePGShard(in.Decoder)
}

// OSDPGUpdateLogMissing brings log entries without a change of data to a replica:
// failed requests and lost objects (MOSDPGUpdateLogMissing).
type OSDPGUpdateLogMissing struct {
	PGHeader
	From          int8 // shard
	RepTID        uint64
	Entries       []pglog.Entry
	TrimTo        pglog.Version
	RollForwardTo pglog.Version
}

// Type returns MsgOSDPGUpdateLogMissing.
func (*OSDPGUpdateLogMissing) Type() uint16 { return MsgOSDPGUpdateLogMissing }

// Encode implements [Body].
func (m *OSDPGUpdateLogMissing) Encode(o *Out) {
	o.U32(m.Epoch)
	m.PGID.Encode(o.Encoder)
	o.I8(m.From)
	o.U64(m.RepTID)
	putEntries(o.Encoder, m.Entries)
	o.U32(m.Since)
	m.TrimTo.Encode(o.Encoder)
	m.RollForwardTo.Encode(o.Encoder)
}

// Decode implements [Body].
func (m *OSDPGUpdateLogMissing) Decode(in *In) {
	m.Epoch = in.U32()
	m.PGID = object.DecodeSPGID(in.Decoder)
	m.From, m.RepTID = in.I8(), in.U64()
	m.Entries = getEntries(in.Decoder)
	m.Since = in.U32()
	m.TrimTo = pglog.DecodeVersion(in.Decoder)
	m.RollForwardTo = pglog.DecodeVersion(in.Decoder)
}

// OSDPGUpdateLogMissingReply says that those entries are committed
// (MOSDPGUpdateLogMissingReply).
type OSDPGUpdateLogMissingReply struct {
	PGHeader
	From               int8 // shard
	RepTID             uint64
	LastCompleteOnDisk pglog.Version
}

// Type returns MsgOSDPGUpdateLogMissingReply.
func (*OSDPGUpdateLogMissingReply) Type() uint16 { return MsgOSDPGUpdateLogMissingReply }

// Encode implements [Body].
func (m *OSDPGUpdateLogMissingReply) Encode(o *Out) {
	o.U32(m.Epoch)
	m.PGID.Encode(o.Encoder)
	o.I8(m.From)
	o.U64(m.RepTID)
	o.U32(m.Since)
	m.LastCompleteOnDisk.Encode(o.Encoder)
}

// Decode implements [Body].
func (m *OSDPGUpdateLogMissingReply) Decode(in *In) {
	m.Epoch = in.U32()
	m.PGID = object.DecodeSPGID(in.Decoder)
	m.From, m.RepTID = in.I8(), in.U64()
	m.Since = in.U32()
	m.LastCompleteOnDisk = pglog.DecodeVersion(in.Decoder)
}
