package message

import (
	"sepiola/entity"
	"sepiola/object"
	"sepiola/pglog"
	"sepiola/wire"
)

// The manager's conversations, and the statistics that OSDs send it.
var _ = register([]Entry{
	{MsgMgrMap, "mgrmap", 1, 1, 1, PrioHigh, func() Body { return new(MgrMapMsg) }},
	{MsgMgrBeacon, "mgrbeacon", 11, 8, 8, PrioDefault, func() Body { return new(MgrBeacon) }},
	{MsgMgrDigest, "mgrdigest", 1, 1, 1, PrioHigh, func() Body { return new(MgrDigest) }},
	{MsgServiceMap, "service_map", 1, 1, 1, PrioHigh, func() Body { return new(ServiceMapMsg) }},
	{MsgMgrOpen, "mgropen", 3, 1, 1, PrioDefault, func() Body { return new(MgrOpen) }},
	{MsgMgrClose, "mgrclose", 1, 1, 1, PrioDefault, func() Body { return new(MgrClose) }},
	{MsgMgrConfigure, "mgrconfigure", 4, 1, 1, PrioDefault, func() Body { return new(MgrConfigure) }},
	{MsgMgrCommand, "mgr_command", 1, 1, 1, PrioDefault, func() Body { return new(MgrCommand) }},
	{MsgMgrCommandReply, "mgr_command_reply", 1, 1, 1, PrioDefault, func() Body { return new(MgrCommandReply) }},
	{MsgPGStats, "pg_stats", 2, 1, 2, PrioDefault, func() Body { return new(PGStats) }},
	{MsgPGStatsAck, "pg_stats_ack", 1, 1, 1, PrioDefault, func() Body { return new(PGStatsAck) }},
})

// MgrMapMsg carries the manager map to subscribers of "mgrmap" (MMgrMap).
type MgrMapMsg struct{ Map MgrMap }

// Type returns MsgMgrMap.
func (*MgrMapMsg) Type() uint16 { return MsgMgrMap }

// Encode implements [Body].
func (m *MgrMapMsg) Encode(o *Out) { m.Map.Encode(o.Encoder) }

// Decode implements [Body].
func (m *MgrMapMsg) Decode(in *In) { m.Map = DecodeMgrMap(in.Decoder) }

// MgrCommandDesc describes a command that a manager serves (MonCommand in
// src/mon/MonCommand.h).
type MgrCommandDesc struct {
	Signature, Help, Module, Perms string
	Availability                   string // once where it could be called from
	Flags                          uint64
}

func (c *MgrCommandDesc) encode(e *wire.Encoder) {
	m := e.Begin(1, 1)
	e.String(c.Signature)
	e.String(c.Help)
	e.String(c.Module)
	e.String(c.Perms)
	e.String(c.Availability)
	e.U64(c.Flags)
	e.End(m)
}

func decodeMgrCommandDesc(d *wire.Decoder) MgrCommandDesc {
	s := d.Begin(1)
	defer d.End(s)
	return MgrCommandDesc{d.String(), d.String(), d.String(), d.String(), d.String(), d.U64()}
}

// MgrBeacon tells the monitors that a manager lives and what it is (MMgrBeacon).
type MgrBeacon struct {
	Paxos
	Addrs     entity.AddrVec
	GID       uint64
	Available bool
	Name      string
	FSID      entity.UUID
	Commands  []MgrCommandDesc
	Metadata  map[string]string
	Services  map[string]string
	Modules   []MgrModule
	Features  uint64
	Clients   []MgrClient
}

// Type returns MsgMgrBeacon.
func (*MgrBeacon) Type() uint16 { return MsgMgrBeacon }

// Encode implements [Body].
func (m *MgrBeacon) Encode(o *Out) {
	m.Paxos.encode(o.Encoder)
	m.Addrs.Encode(o.Encoder)
	o.U64(m.GID)
	o.Bool(m.Available)
	o.String(m.Name)
	m.FSID.Encode(o.Encoder)
	putStrings(o.Encoder, moduleNames(m.Modules))
	wire.Slice(o.Encoder, m.Commands, func(e *wire.Encoder, c MgrCommandDesc) { c.encode(e) })
	putStringMap(o.Encoder, m.Metadata)
	putStringMap(o.Encoder, m.Services)
	wire.Slice(o.Encoder, m.Modules, func(e *wire.Encoder, i MgrModule) { i.encode(e) })
	o.U64(m.Features)
	putMgrClients(o.Encoder, m.Clients)
}

// Decode implements [Body].
func (m *MgrBeacon) Decode(in *In) {
	m.Paxos.decode(in.Decoder)
	m.Addrs = entity.DecodeAddrVec(in.Decoder)
	m.GID = in.U64()
	m.Available = in.Bool()
	m.Name = in.String()
	m.FSID = entity.DecodeUUID(in.Decoder)
	getStrings(in.Decoder)
	m.Commands = wire.ReadSlice(in.Decoder, 34, decodeMgrCommandDesc)
	m.Metadata = getStringMap(in.Decoder)
	m.Services = getStringMap(in.Decoder)
	m.Modules = wire.ReadSlice(in.Decoder, 15, decodeMgrModule)
	if in.Version >= 9 {
		m.Features = in.U64()
	}
	if in.Version >= 10 {
		m.Clients = getMgrClients(in.Decoder, in.Version >= 11)
	}
}

// MgrDigest tells a manager how the monitors and the cluster are, as JSON
// (MMgrDigest).
type MgrDigest struct{ MonStatus, Health []byte }

// Type returns MsgMgrDigest.
func (*MgrDigest) Type() uint16 { return MsgMgrDigest }

// Encode implements [Body].
func (m *MgrDigest) Encode(o *Out) {
	o.Blob(m.MonStatus)
	o.Blob(m.Health)
}

// Decode implements [Body].
func (m *MgrDigest) Decode(in *In) {
	m.MonStatus = in.Blob()
	m.Health = in.Blob()
}

// ServiceMapMsg carries the service map to subscribers of "servicemap"
// (MServiceMap).
type ServiceMapMsg struct{ Map ServiceMap }

// Type returns MsgServiceMap.
func (*ServiceMapMsg) Type() uint16 { return MsgServiceMap }

// Encode implements [Body].
func (m *ServiceMapMsg) Encode(o *Out) { m.Map.Encode(o.Encoder) }

// Decode implements [Body].
func (m *ServiceMapMsg) Decode(in *In) { m.Map = DecodeServiceMap(in.Decoder) }

// MgrOpen begins a daemon's or client's session with the manager (MMgrOpen).
type MgrOpen struct {
	DaemonName  string
	ServiceName string // empty: the kind of the peer
	// ServiceDaemon says that Metadata and Status are given.
	ServiceDaemon    bool
	Metadata, Status map[string]string
	Config           []byte // map of option to map of level to value, encoded
	ConfigDefaults   []byte // map of option to value, encoded
}

// Type returns MsgMgrOpen.
func (*MgrOpen) Type() uint16 { return MsgMgrOpen }

// Encode implements [Body].
func (m *MgrOpen) Encode(o *Out) {
	o.String(m.DaemonName)
	o.String(m.ServiceName)
	o.Bool(m.ServiceDaemon)
	if m.ServiceDaemon {
		putStringMap(o.Encoder, m.Metadata)
		putStringMap(o.Encoder, m.Status)
	}
	o.Blob(m.Config)
	o.Blob(m.ConfigDefaults)
}

// Decode implements [Body].
func (m *MgrOpen) Decode(in *In) {
	m.DaemonName = in.String()
	if in.Version >= 2 {
		m.ServiceName = in.String()
		if m.ServiceDaemon = in.Bool(); m.ServiceDaemon {
			m.Metadata = getStringMap(in.Decoder)
			m.Status = getStringMap(in.Decoder)
		}
	}
	if in.Version >= 3 {
		m.Config = in.Blob()
		m.ConfigDefaults = in.Blob()
	}
}

// MgrClose ends a session with the manager; the manager sends it back
// (MMgrClose).
type MgrClose struct{ DaemonName, ServiceName string }

// Type returns MsgMgrClose.
func (*MgrClose) Type() uint16 { return MsgMgrClose }

// Encode implements [Body].
func (m *MgrClose) Encode(o *Out) {
	o.String(m.DaemonName)
	o.String(m.ServiceName)
}

// Decode implements [Body].
func (m *MgrClose) Decode(in *In) {
	m.DaemonName = in.String()
	m.ServiceName = in.String()
}

// MgrConfigure tells a daemon how to report (MMgrConfigure).
type MgrConfigure struct {
	StatsPeriod    uint32 // seconds between reports
	StatsThreshold uint32 // least priority of the counters reported
	// Queries holds requests for per-client statistics, which are passed over
	// undecoded: each a query and its limits.
	Queries []PerfQuery
	// Metric is the same in a newer form; nil for none.
	Metric *Metric
}

// PerfQuery is a query for per-client statistics and its limits, each still
// encoded.
type PerfQuery struct {
	Query  []byte
	Limits [][]byte
}

// Metric is a typed payload of metric queries or reports, still encoded. Its
// Type is 0 for OSDs and 1 for metadata servers.
type Metric struct {
	Type    uint32
	Payload []byte
}

func putMetric(e *wire.Encoder, m *Metric) {
	e.Bool(m != nil)
	if m != nil {
		e.U32(m.Type)
		e.Raw(m.Payload)
	}
}

func getMetric(d *wire.Decoder) *Metric {
	if !d.Bool() {
		return nil
	}
	return &Metric{d.U32(), rawEnvelope(d)}
}

// Type returns MsgMgrConfigure.
func (*MgrConfigure) Type() uint16 { return MsgMgrConfigure }

// Encode implements [Body].
func (m *MgrConfigure) Encode(o *Out) {
	o.U32(m.StatsPeriod)
	o.U32(m.StatsThreshold)
	wire.Slice(o.Encoder, m.Queries, func(e *wire.Encoder, q PerfQuery) {
		e.Raw(q.Query)
		wire.Slice(e, q.Limits, (*wire.Encoder).Raw)
	})
	putMetric(o.Encoder, m.Metric)
}

// Decode implements [Body].
func (m *MgrConfigure) Decode(in *In) {
	m.StatsPeriod = in.U32()
	if in.Version >= 2 {
		m.StatsThreshold = in.U32()
	}
	if in.Version >= 3 {
		m.Queries = wire.ReadSlice(in.Decoder, 10, func(d *wire.Decoder) PerfQuery {
			return PerfQuery{rawEnvelope(d), wire.ReadSlice(d, 6, rawEnvelope)}
		})
	}
	if in.Version >= 4 {
		m.Metric = getMetric(in.Decoder)
	}
}

// MgrCommand is a command for the manager from a client of Ceph 15 or later
// (MMgrCommand).
type MgrCommand struct {
	TID   uint64
	FSID  entity.UUID
	Cmd   []string
	Input wire.Buf
}

// Type returns MsgMgrCommand.
func (*MgrCommand) Type() uint16 { return MsgMgrCommand }

// Encode implements [Body].
func (m *MgrCommand) Encode(o *Out) {
	o.TID, o.Data = m.TID, m.Input
	m.FSID.Encode(o.Encoder)
	putStrings(o.Encoder, m.Cmd)
}

// Decode implements [Body].
func (m *MgrCommand) Decode(in *In) {
	m.TID, m.Input = in.TID, in.Data
	m.FSID = entity.DecodeUUID(in.Decoder)
	m.Cmd = getStrings(in.Decoder)
}

// MgrCommandReply answers a [MgrCommand] (MMgrCommandReply).
type MgrCommandReply struct {
	TID    uint64
	R      int32
	RS     string
	Output wire.Buf
}

// Type returns MsgMgrCommandReply.
func (*MgrCommandReply) Type() uint16 { return MsgMgrCommandReply }

// Encode implements [Body].
func (m *MgrCommandReply) Encode(o *Out) {
	o.TID, o.Data = m.TID, m.Output
	o.I32(m.R)
	o.String(m.RS)
}

// Decode implements [Body].
func (m *MgrCommandReply) Decode(in *In) {
	m.TID, m.Output = in.TID, in.Data
	m.R = in.I32()
	m.RS = in.String()
}

// PGStatEntry is the state of one PG in a [PGStats].
type PGStatEntry struct {
	PGID object.PGID
	Stat pglog.Stats
}

// PGStats reports the PGs an OSD is primary of, and the OSD itself (MPGStats).
type PGStats struct {
	TID uint64
	Paxos
	FSID  entity.UUID
	OSD   pglog.OSDStat
	PGs   []PGStatEntry // in order of PG ids
	Epoch uint32
	// Pools holds the space each pool takes, where the store measures that.
	Pools map[int64]pglog.StoreStatfs
}

// Type returns MsgPGStats.
func (*PGStats) Type() uint16 { return MsgPGStats }

// Encode implements [Body].
func (m *PGStats) Encode(o *Out) {
	o.TID = m.TID
	m.Paxos.encode(o.Encoder)
	m.FSID.Encode(o.Encoder)
	m.OSD.Encode(o.Encoder)
	o.U32(uint32(len(m.PGs)))
	for i := range m.PGs {
		m.PGs[i].PGID.Encode(o.Encoder)
		m.PGs[i].Stat.Encode(o.Encoder)
	}
	o.U32(m.Epoch)
	o.U64(0) // once the time since the OSD was marked in
	wire.Map(o.Encoder, m.Pools, wire.PutI64, func(e *wire.Encoder, s pglog.StoreStatfs) { s.Encode(e) })
}

// Decode implements [Body].
func (m *PGStats) Decode(in *In) {
	m.TID = in.TID
	m.Paxos.decode(in.Decoder)
	m.FSID = entity.DecodeUUID(in.Decoder)
	m.OSD = pglog.DecodeOSDStat(in.Decoder)
	if m.OSD.NumOSDs == 0 {
		m.OSD.NumOSDs = 1 // what an OSD that does not count itself stands for
	}
	m.PGs = wire.ReadSlice(in.Decoder, 217, func(d *wire.Decoder) PGStatEntry {
		return PGStatEntry{object.DecodePGID(d), pglog.DecodeStats(d)}
	})
	m.Epoch = in.U32()
	in.Skip(8)
	m.Pools = wire.ReadMap(in.Decoder, 14, wire.GetI64, pglog.DecodeStoreStatfs)
}

// PGStatAck is one PG's line in a [PGStatsAck].
type PGStatAck struct {
	PGID    object.PGID
	Version uint64
	Epoch   uint32
}

// PGStatsAck acknowledges a [PGStats] (MPGStatsAck).
type PGStatsAck struct {
	TID uint64
	PGs []PGStatAck // in order of PG ids
}

// Type returns MsgPGStatsAck.
func (*PGStatsAck) Type() uint16 { return MsgPGStatsAck }

// Encode implements [Body].
func (m *PGStatsAck) Encode(o *Out) {
	o.TID = m.TID
	wire.Slice(o.Encoder, m.PGs, func(e *wire.Encoder, a PGStatAck) {
		a.PGID.Encode(e)
		e.U64(a.Version)
		e.U32(a.Epoch)
	})
}

// Decode implements [Body].
func (m *PGStatsAck) Decode(in *In) {
	m.TID = in.TID
	m.PGs = wire.ReadSlice(in.Decoder, 29, func(d *wire.Decoder) PGStatAck {
		return PGStatAck{object.DecodePGID(d), d.U64(), d.U32()}
	})
}
