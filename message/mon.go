package message

import (
	"sepiola/entity"
	"sepiola/wire"
)

var _ = register([]Entry{
	{MsgPing, "ping", 1, 1, 1, PrioDefault, func() Body { return new(Ping) }},
	{MsgMonGetMap, "mon_getmap", 1, 1, 1, PrioDefault, func() Body { return new(MonGetMap) }},
	{MsgMonMap, "mon_map", 1, 1, 1, PrioHigh, func() Body { return new(MonMap) }},
	{MsgMonSubscribe, "mon_subscribe", 3, 1, 2, PrioDefault, func() Body { return new(MonSubscribe) }},
	{MsgMonSubscribeAck, "mon_subscribe_ack", 1, 1, 1, PrioHigh, func() Body { return new(MonSubscribeAck) }},
	{MsgMonGetVersion, "mon_get_version", 1, 1, 1, PrioDefault, func() Body { return new(MonGetVersion) }},
	{MsgMonGetVersionReply, "mon_get_version_reply", 2, 2, 2, PrioHigh, func() Body { return new(MonGetVersionReply) }},
	{MsgMonCommand, "mon_command", 1, 1, 1, PrioDefault, func() Body { return new(MonCommand) }},
	{MsgMonCommandAck, "mon_command_ack", 1, 1, 1, PrioHigh, func() Body { return new(MonCommandAck) }},
	{MsgMonGlobalID, "global_id", 1, 1, 1, PrioDefault, func() Body { return new(MonGlobalID) }},
	{MsgAuth, "auth", 1, 1, 1, PrioDefault, func() Body { return new(AuthMsg) }},
	{MsgAuthReply, "auth_reply", 1, 1, 1, PrioHigh, func() Body { return new(AuthReply) }},
	{MsgConfig, "config", 1, 1, 1, PrioHigh, func() Body { return new(Config) }},
	{MsgGetConfig, "get_config", 1, 1, 1, PrioDefault, func() Body { return new(GetConfig) }},
	{MsgKVData, "kv_data", 1, 1, 1, PrioHigh, func() Body { return new(KVData) }},
	{MsgCommand, "command", 1, 1, 1, PrioDefault, func() Body { return new(CommandMsg) }},
	{MsgCommandReply, "command_reply", 1, 1, 1, PrioDefault, func() Body { return new(CommandReply) }},
	{MsgMonRaft, "mon_raft", 1, 1, 1, PrioHigh, func() Body { return new(MonRaft) }},
})

// Ping asks a monitor for its status, before authentication; the monitor
// answers with a Ping whose Status is JSON (MPing).
type Ping struct {
	TID    uint64
	Status string
}

// Type returns MsgPing.
func (*Ping) Type() uint16 { return MsgPing }

// Encode implements [Body]. A monitor's answer is a string in the front; the
// question has none.
func (m *Ping) Encode(o *Out) {
	o.TID = m.TID
	if m.Status != "" {
		o.CompatVersion, o.Priority = 0, PrioHigh // as Ceph's monitors answer
		o.String(m.Status)
	}
}

// Decode implements [Body].
func (m *Ping) Decode(in *In) {
	m.TID = in.TID
	if in.Left() > 0 {
		m.Status = in.String()
	}
}

// MonGetMap asks for the monitor map (MMonGetMap).
type MonGetMap struct{}

// Type returns MsgMonGetMap.
func (*MonGetMap) Type() uint16 { return MsgMonGetMap }

// Encode implements [Body].
func (*MonGetMap) Encode(*Out) {}

// Decode implements [Body].
func (*MonGetMap) Decode(*In) {}

// MonMap carries an encoded monitor map (MMonMap).
type MonMap struct {
	Map []byte // osdmap.MonMap, encoded
}

// Type returns MsgMonMap.
func (*MonMap) Type() uint16 { return MsgMonMap }

// Encode implements [Body].
func (m *MonMap) Encode(o *Out) { o.Blob(m.Map) }

// Decode implements [Body].
func (m *MonMap) Decode(in *In) { m.Map = in.Blob() }

// SubscribeItem is one thing a [MonSubscribe] asks for.
type SubscribeItem struct {
	Start   uint64 // first version wanted; 0 for the newest
	OneTime bool   // end the subscription with the first answer
}

// subscribeOneTime is CEPH_SUBSCRIBE_ONETIME.
const subscribeOneTime = 1

// MonSubscribe asks a monitor to send what changes (MMonSubscribe): "monmap",
// "osdmap", "config", "mgrmap", "mgrdigest", "servicemap", "osd_pg_creates",
// "log-info" and others.
type MonSubscribe struct {
	What     map[string]SubscribeItem
	Hostname string // the sender's host, which configuration may depend on
}

// Type returns MsgMonSubscribe.
func (*MonSubscribe) Type() uint16 { return MsgMonSubscribe }

// Encode implements [Body].
func (m *MonSubscribe) Encode(o *Out) {
	wire.Map(o.Encoder, m.What, wire.PutString, func(e *wire.Encoder, s SubscribeItem) {
		e.U64(s.Start)
		e.Bool(s.OneTime)
	})
	o.String(m.Hostname)
}

// Decode implements [Body].
func (m *MonSubscribe) Decode(in *In) {
	m.What = wire.ReadMap(in.Decoder, 13, wire.GetString, func(d *wire.Decoder) SubscribeItem {
		return SubscribeItem{Start: d.U64(), OneTime: d.U8()&subscribeOneTime != 0}
	})
	if in.Version >= 3 {
		m.Hostname = in.String()
	}
}

// MonSubscribeAck says how often a client of long ago must renew its
// subscription (MMonSubscribeAck).
type MonSubscribeAck struct {
	Interval uint32 // seconds
	FSID     entity.UUID
}

// Type returns MsgMonSubscribeAck.
func (*MonSubscribeAck) Type() uint16 { return MsgMonSubscribeAck }

// Encode implements [Body].
func (m *MonSubscribeAck) Encode(o *Out) {
	o.U32(m.Interval)
	m.FSID.Encode(o.Encoder)
}

// Decode implements [Body].
func (m *MonSubscribeAck) Decode(in *In) {
	m.Interval = in.U32()
	m.FSID = entity.DecodeUUID(in.Decoder)
}

// MonGetVersion asks which versions of a map a monitor has (MMonGetVersion).
type MonGetVersion struct {
	Handle uint64 // returned in the reply
	What   string // "osdmap", "monmap", "mgrmap"
}

// Type returns MsgMonGetVersion.
func (*MonGetVersion) Type() uint16 { return MsgMonGetVersion }

// Encode implements [Body].
func (m *MonGetVersion) Encode(o *Out) {
	o.U64(m.Handle)
	o.String(m.What)
}

// Decode implements [Body].
func (m *MonGetVersion) Decode(in *In) {
	m.Handle = in.U64()
	m.What = in.String()
}

// MonGetVersionReply answers a [MonGetVersion] (MMonGetVersionReply). Unknown
// maps have versions 0.
type MonGetVersionReply struct {
	TID                     uint64
	Handle, Version, Oldest uint64
}

// Type returns MsgMonGetVersionReply.
func (*MonGetVersionReply) Type() uint16 { return MsgMonGetVersionReply }

// Encode implements [Body].
func (m *MonGetVersionReply) Encode(o *Out) {
	o.TID = m.TID
	o.U64(m.Handle)
	o.U64(m.Version)
	o.U64(m.Oldest)
}

// Decode implements [Body].
func (m *MonGetVersionReply) Decode(in *In) {
	m.TID = in.TID
	m.Handle = in.U64()
	m.Version = in.U64()
	m.Oldest = in.U64()
}

// MonCommand is a command for the monitors (MMonCommand). Input travels in the
// data segment.
type MonCommand struct {
	TID uint64
	Paxos
	FSID  entity.UUID
	Cmd   []string // JSON, usually one string
	Input wire.Buf
}

// Type returns MsgMonCommand.
func (*MonCommand) Type() uint16 { return MsgMonCommand }

// Encode implements [Body].
func (m *MonCommand) Encode(o *Out) {
	o.TID, o.Data = m.TID, m.Input
	m.Paxos.encode(o.Encoder)
	m.FSID.Encode(o.Encoder)
	putStrings(o.Encoder, m.Cmd)
}

// Decode implements [Body].
func (m *MonCommand) Decode(in *In) {
	m.TID, m.Input = in.TID, in.Data
	m.Paxos.decode(in.Decoder)
	m.FSID = entity.DecodeUUID(in.Decoder)
	m.Cmd = getStrings(in.Decoder)
}

// MonCommandAck answers a [MonCommand] (MMonCommandAck).
type MonCommandAck struct {
	TID uint64
	Paxos
	Cmd    []string // the command answered
	R      int32    // 0 or a negative errno
	RS     string   // for the user's eyes
	Output wire.Buf // in the data segment
}

// Type returns MsgMonCommandAck.
func (*MonCommandAck) Type() uint16 { return MsgMonCommandAck }

// Encode implements [Body].
func (m *MonCommandAck) Encode(o *Out) {
	o.TID, o.Data = m.TID, m.Output
	m.Paxos.encode(o.Encoder)
	o.I32(m.R)
	o.String(m.RS)
	putStrings(o.Encoder, m.Cmd)
}

// Decode implements [Body].
func (m *MonCommandAck) Decode(in *In) {
	m.TID, m.Output = in.TID, in.Data
	m.Paxos.decode(in.Decoder)
	m.R = in.I32()
	m.RS = in.String()
	m.Cmd = getStrings(in.Decoder)
}

// MonGlobalID asks the leader for more global ids (MMonGlobalID).
type MonGlobalID struct {
	Paxos
	OldMaxID uint64
}

// Type returns MsgMonGlobalID.
func (*MonGlobalID) Type() uint16 { return MsgMonGlobalID }

// Encode implements [Body].
func (m *MonGlobalID) Encode(o *Out) {
	m.Paxos.encode(o.Encoder)
	o.U64(m.OldMaxID)
}

// Decode implements [Body].
func (m *MonGlobalID) Decode(in *In) {
	m.Paxos.decode(in.Decoder)
	m.OldMaxID = in.U64()
}

// AuthMsg is a step of authentication within messages, which protocol v2 does
// in frames and needs here only to renew tickets (MAuth).
type AuthMsg struct {
	Paxos
	Protocol uint32
	Payload  []byte
	MonEpoch uint32 // of the sender's monitor map
}

// Type returns MsgAuth.
func (*AuthMsg) Type() uint16 { return MsgAuth }

// Encode implements [Body].
func (m *AuthMsg) Encode(o *Out) {
	m.Paxos.encode(o.Encoder)
	o.U32(m.Protocol)
	o.Blob(m.Payload)
	o.U32(m.MonEpoch)
}

// Decode implements [Body].
func (m *AuthMsg) Decode(in *In) {
	m.Paxos.decode(in.Decoder)
	m.Protocol = in.U32()
	m.Payload = in.Blob()
	if in.Left() > 0 {
		m.MonEpoch = in.U32()
	}
}

// AuthReply answers an [AuthMsg] (MAuthReply).
type AuthReply struct {
	Protocol uint32
	Result   int32
	GlobalID uint64 // 0 means none
	Message  string
	Payload  []byte
}

// Type returns MsgAuthReply.
func (*AuthReply) Type() uint16 { return MsgAuthReply }

// Encode implements [Body].
func (m *AuthReply) Encode(o *Out) {
	o.U32(m.Protocol)
	o.I32(m.Result)
	o.U64(m.GlobalID)
	o.Blob(m.Payload)
	o.String(m.Message)
}

// Decode implements [Body].
func (m *AuthReply) Decode(in *In) {
	m.Protocol = in.U32()
	m.Result = in.I32()
	m.GlobalID = in.U64()
	m.Payload = in.Blob()
	m.Message = in.String()
}

// Config carries the options that the monitors hold for the receiver (MConfig).
type Config struct{ Config map[string]string }

// Type returns MsgConfig.
func (*Config) Type() uint16 { return MsgConfig }

// Encode implements [Body].
func (m *Config) Encode(o *Out) { putStringMap(o.Encoder, m.Config) }

// Decode implements [Body].
func (m *Config) Decode(in *In) { m.Config = getStringMap(in.Decoder) }

// GetConfig asks for a daemon's options before it is up (MGetConfig).
type GetConfig struct {
	Name        EntityName
	Host        string
	DeviceClass string
}

// Type returns MsgGetConfig.
func (*GetConfig) Type() uint16 { return MsgGetConfig }

// Encode implements [Body].
func (m *GetConfig) Encode(o *Out) {
	m.Name.Encode(o.Encoder)
	o.String(m.Host)
	o.String(m.DeviceClass)
}

// Decode implements [Body].
func (m *GetConfig) Decode(in *In) {
	m.Name = DecodeEntityName(in.Decoder)
	m.Host = in.String()
	m.DeviceClass = in.String()
}

// KVData carries entries of the monitors' key-value store to a subscriber of
// "kv:PREFIX" (MKVData).
type KVData struct {
	Version     uint64
	Prefix      string
	Incremental bool
	Data        map[string]KVValue
}

// KVValue is a value, or the news that there is none any more.
type KVValue struct {
	Present bool
	Value   []byte
}

// Type returns MsgKVData.
func (*KVData) Type() uint16 { return MsgKVData }

// Encode implements [Body].
func (m *KVData) Encode(o *Out) {
	o.U64(m.Version)
	o.String(m.Prefix)
	o.Bool(m.Incremental)
	wire.Map(o.Encoder, m.Data, wire.PutString, func(e *wire.Encoder, v KVValue) {
		e.Bool(v.Present)
		if v.Present {
			e.Blob(v.Value)
		}
	})
}

// Decode implements [Body].
func (m *KVData) Decode(in *In) {
	m.Version = in.U64()
	m.Prefix = in.String()
	m.Incremental = in.Bool()
	m.Data = wire.ReadMap(in.Decoder, 5, wire.GetString, func(d *wire.Decoder) KVValue {
		v := KVValue{Present: d.Bool()}
		if v.Present {
			v.Value = d.Blob()
		}
		return v
	})
}

// CommandMsg is a command for one OSD or other daemon ("tell", MCommand). Input
// travels in the data segment.
type CommandMsg struct {
	TID   uint64
	FSID  entity.UUID
	Cmd   []string
	Input wire.Buf
}

// Type returns MsgCommand.
func (*CommandMsg) Type() uint16 { return MsgCommand }

// Encode implements [Body].
func (m *CommandMsg) Encode(o *Out) {
	o.TID, o.Data = m.TID, m.Input
	m.FSID.Encode(o.Encoder)
	putStrings(o.Encoder, m.Cmd)
}

// Decode implements [Body].
func (m *CommandMsg) Decode(in *In) {
	m.TID, m.Input = in.TID, in.Data
	m.FSID = entity.DecodeUUID(in.Decoder)
	m.Cmd = getStrings(in.Decoder)
}

// CommandReply answers a [CommandMsg] (MCommandReply).
type CommandReply struct {
	TID      uint64
	Priority uint16 // 0 means the default; monitors use PrioHigh
	R        int32  // 0 or a negative errno
	RS       string // for the user's eyes
	Output   wire.Buf
}

// Type returns MsgCommandReply.
func (*CommandReply) Type() uint16 { return MsgCommandReply }

// Encode implements [Body].
func (m *CommandReply) Encode(o *Out) {
	o.setPriority(m.Priority)
	o.TID, o.Data = m.TID, m.Output
	o.I32(m.R)
	o.String(m.RS)
}

// Decode implements [Body].
func (m *CommandReply) Decode(in *In) {
	m.Priority = in.Priority
	m.TID, m.Output = in.TID, in.Data
	m.R = in.I32()
	m.RS = in.String()
}

// MonRaft carries a message of the monitors' consensus, which this package
// does not look into. It is the project's own; Ceph's monitors do not know it.
type MonRaft struct {
	Group   uint32 // which replicated state machine; 0 is the monitor store
	Payload wire.Buf
}

// Type returns MsgMonRaft.
func (*MonRaft) Type() uint16 { return MsgMonRaft }

// Encode implements [Body].
func (m *MonRaft) Encode(o *Out) {
	o.U32(m.Group)
	o.Data = m.Payload
}

// Decode implements [Body].
func (m *MonRaft) Decode(in *In) {
	m.Group = in.U32()
	m.Payload = in.Data
}
