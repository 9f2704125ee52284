package message

import (
	"time"

	"sepiola/entity"
	"sepiola/wire"
)

var _ = register([]Entry{
	{MsgLog, "log", 1, 1, 1, PrioDefault, func() Body { return new(LogMsg) }},
	{MsgLogAck, "log_ack", 1, 1, 1, PrioHigh, func() Body { return new(LogAck) }},
})

// LogLevel is the weight of a cluster log entry (clog_type in
// src/common/LogEntry.h).
type LogLevel int16

// The levels of the cluster log.
const (
	LogDebug    LogLevel = 0
	LogInfo     LogLevel = 1
	LogSecurity LogLevel = 2
	LogWarn     LogLevel = 3
	LogError    LogLevel = 4
	LogUnknown  LogLevel = -1
)

// String returns Ceph's mark of the level, "[INF]" and the like.
func (l LogLevel) String() string {
	switch l {
	case LogDebug:
		return "[DBG]"
	case LogInfo:
		return "[INF]"
	case LogSecurity:
		return "[SEC]"
	case LogWarn:
		return "[WRN]"
	case LogError:
		return "[ERR]"
	}
	return "[???]"
}

// Channels of the cluster log.
const (
	ChannelCluster = "cluster"
	ChannelAudit   = "audit"
	ChannelCephadm = "cephadm"
)

// LogEntry is one line of the cluster log. Seq numbers the lines of one sender.
type LogEntry struct {
	Name    EntityName
	Rank    entity.Name
	Addrs   entity.AddrVec
	Stamp   time.Time
	Seq     uint64
	Level   LogLevel
	Message string
	Channel string
}

// Encode appends LogEntry, version 5.
func (l *LogEntry) Encode(e *wire.Encoder) {
	m := e.Begin(5, 5)
	l.Name.Encode(e)
	l.Rank.Encode(e)
	l.Addrs.Encode(e)
	e.Time(l.Stamp)
	e.U64(l.Seq)
	e.U16(uint16(l.Level))
	e.String(l.Message)
	e.String(l.Channel)
	e.End(m)
}

// DecodeLogEntry reads LogEntry, version 5 and later.
func DecodeLogEntry(d *wire.Decoder) LogEntry {
	s := d.Begin(5)
	defer d.End(s)
	if d.Err() == nil && s.Version < 5 {
		d.Fail("log entry of version %d", s.Version)
	}
	return LogEntry{
		Name: DecodeEntityName(d), Rank: entity.DecodeName(d), Addrs: entity.DecodeAddrVec(d),
		Stamp: d.Time(), Seq: d.U64(), Level: LogLevel(d.U16()), Message: d.String(), Channel: d.String(),
	}
}

// LogMsg carries lines for the cluster log to the monitors, or from them to
// who subscribed to "log-info" and the like (MLog).
type LogMsg struct {
	Priority uint16 // 0 means the default; monitors use PrioHigh
	Paxos
	FSID    entity.UUID
	Entries []LogEntry
}

// Type returns MsgLog.
func (*LogMsg) Type() uint16 { return MsgLog }

// Encode implements [Body].
func (m *LogMsg) Encode(o *Out) {
	o.setPriority(m.Priority)
	m.Paxos.encode(o.Encoder)
	m.FSID.Encode(o.Encoder)
	wire.Slice(o.Encoder, m.Entries, func(e *wire.Encoder, l LogEntry) { l.Encode(e) })
}

// Decode implements [Body].
func (m *LogMsg) Decode(in *In) {
	m.Priority = in.Priority
	m.Paxos.decode(in.Decoder)
	m.FSID = entity.DecodeUUID(in.Decoder)
	m.Entries = wire.ReadSlice(in.Decoder, 50, DecodeLogEntry)
}

// LogAck tells a sender up to which line the log is kept (MLogAck).
type LogAck struct {
	FSID    entity.UUID
	Last    uint64 // sequence number
	Channel string
}

// Type returns MsgLogAck.
func (*LogAck) Type() uint16 { return MsgLogAck }

// Encode implements [Body].
func (m *LogAck) Encode(o *Out) {
	m.FSID.Encode(o.Encoder)
	o.U64(m.Last)
	o.String(m.Channel)
}

// Decode implements [Body].
func (m *LogAck) Decode(in *In) {
	m.FSID = entity.DecodeUUID(in.Decoder)
	m.Last = in.U64()
	if in.Left() > 0 {
		m.Channel = in.String()
	}
}
