package message

import (
	"maps"
	"slices"
	"time"

	"sepiola/entity"
	"sepiola/wire"
)

// MgrMap names the active manager and the standbys (src/mon/MgrMap.h).
type MgrMap struct {
	Epoch        uint32
	ActiveAddrs  entity.AddrVec
	ActiveGID    uint64
	Available    bool // the active manager serves
	ActiveName   string
	Standbys     []MgrStandby      // in order of GID
	Modules      []string          // enabled, in order
	Services     map[string]string // name to URI
	AvailModules []MgrModule
	ActiveChange time.Time
	// AlwaysOn holds, by release number, the modules that cannot be disabled.
	AlwaysOn map[uint32][]string
	Features uint64
	// LastFailureOSDEpoch is the OSD map epoch at which the last active manager's
	// clients were blocklisted.
	LastFailureOSDEpoch uint32
	Clients             []MgrClient // the active manager's own sessions
}

// MgrClient is a session that a manager itself has as a client. Monitors
// blocklist its addresses when the manager fails.
type MgrClient struct {
	Name  string // of the module; empty from managers before 16.2.11
	Addrs entity.AddrVec
}

// putMgrClients appends the addresses and then the names, which older readers
// pass over.
func putMgrClients(e *wire.Encoder, clients []MgrClient) {
	wire.Slice(e, clients, func(e *wire.Encoder, c MgrClient) { c.Addrs.Encode(e) })
	wire.Slice(e, clients, func(e *wire.Encoder, c MgrClient) { e.String(c.Name) })
}

// getMgrClients reads what putMgrClients wrote; named says whether the names
// follow.
func getMgrClients(d *wire.Decoder, named bool) []MgrClient {
	clients := wire.ReadSlice(d, 5, func(d *wire.Decoder) MgrClient {
		return MgrClient{Addrs: entity.DecodeAddrVec(d)}
	})
	if !named {
		return clients
	}
	names := getStrings(d)
	if d.Err() == nil && len(names) != len(clients) {
		d.Fail("%d names for %d sessions", len(names), len(clients))
		return nil
	}
	for i := range names {
		clients[i].Name = names[i]
	}
	return clients
}

// MgrStandby is a manager that waits for its turn.
type MgrStandby struct {
	GID      uint64
	Name     string
	Modules  []MgrModule
	Features uint64
}

// MgrModule describes a module that a manager could run.
type MgrModule struct {
	Name    string
	CanRun  bool
	Error   string // why it cannot
	Options map[string]MgrModuleOption
}

// MgrModuleOption describes one option of a module.
type MgrModuleOption struct {
	Name          string
	Type, Level   uint8 // Option::type_t and Option::level_t
	Flags         uint32
	Default       string
	Min, Max      string
	EnumAllowed   []string // in order
	Desc          string
	LongDesc      string
	Tags, SeeAlso []string // in order
}

// Encode appends MgrMap, version 12.
func (m *MgrMap) Encode(e *wire.Encoder) {
	k := e.Begin(12, 6)
	e.U32(m.Epoch)
	m.ActiveAddrs.Encode(e)
	e.U64(m.ActiveGID)
	e.Bool(m.Available)
	e.String(m.ActiveName)
	wire.Slice(e, m.Standbys, func(e *wire.Encoder, s MgrStandby) {
		e.U64(s.GID)
		s.encode(e)
	})
	putStrings(e, m.Modules)
	putStringMap(e, m.Services)
	wire.Slice(e, m.AvailModules, func(e *wire.Encoder, i MgrModule) { i.encode(e) })
	e.Time(m.ActiveChange)
	wire.Map(e, m.AlwaysOn, wire.PutU32, putStrings)
	e.U64(m.Features)
	e.U32(m.LastFailureOSDEpoch)
	putMgrClients(e, m.Clients)
	e.End(k)
}

// DecodeMgrMap reads MgrMap, version 6 and later.
func DecodeMgrMap(d *wire.Decoder) MgrMap {
	s := d.Begin(12)
	defer d.End(s)
	if d.Err() == nil && s.Version < 6 {
		d.Fail("manager map of version %d", s.Version)
	}
	m := MgrMap{
		Epoch: d.U32(), ActiveAddrs: entity.DecodeAddrVec(d), ActiveGID: d.U64(), Available: d.Bool(),
		ActiveName: d.String(),
		Standbys: wire.ReadSlice(d, 18, func(d *wire.Decoder) MgrStandby {
			gid := d.U64()
			s := decodeMgrStandby(d)
			s.GID = gid
			return s
		}),
		Modules: getStrings(d), Services: getStringMap(d), AvailModules: wire.ReadSlice(d, 15, decodeMgrModule),
	}
	if s.Version >= 7 {
		m.ActiveChange = d.Time()
	}
	if s.Version >= 8 {
		m.AlwaysOn = wire.ReadMap(d, 8, wire.GetU32, getStrings)
	}
	if s.Version >= 9 {
		m.Features = d.U64()
	}
	if s.Version >= 10 {
		m.LastFailureOSDEpoch = d.U32()
	}
	if s.Version >= 11 {
		m.Clients = getMgrClients(d, s.Version >= 12)
	}
	return m
}

// moduleNames is the sorted set of names that older readers take.
func moduleNames(modules []MgrModule) []string {
	names := make([]string, 0, len(modules))
	for _, i := range modules {
		names = append(names, i.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (s *MgrStandby) encode(e *wire.Encoder) {
	m := e.Begin(4, 1)
	e.U64(s.GID)
	e.String(s.Name)
	putStrings(e, moduleNames(s.Modules))
	wire.Slice(e, s.Modules, func(e *wire.Encoder, i MgrModule) { i.encode(e) })
	e.U64(s.Features)
	e.End(m)
}

func decodeMgrStandby(d *wire.Decoder) MgrStandby {
	sc := d.Begin(4)
	defer d.End(sc)
	s := MgrStandby{GID: d.U64(), Name: d.String()}
	if sc.Version >= 2 {
		getStrings(d)
	}
	if sc.Version >= 3 {
		s.Modules = wire.ReadSlice(d, 15, decodeMgrModule)
	}
	if sc.Version >= 4 {
		s.Features = d.U64()
	}
	return s
}

func (i *MgrModule) encode(e *wire.Encoder) {
	m := e.Begin(2, 1)
	e.String(i.Name)
	e.Bool(i.CanRun)
	e.String(i.Error)
	wire.Map(e, i.Options, wire.PutString, func(e *wire.Encoder, o MgrModuleOption) { o.encode(e) })
	e.End(m)
}

func decodeMgrModule(d *wire.Decoder) MgrModule {
	s := d.Begin(2)
	defer d.End(s)
	i := MgrModule{Name: d.String(), CanRun: d.Bool(), Error: d.String()}
	if s.Version >= 2 {
		i.Options = wire.ReadMap(d, 10, wire.GetString, decodeMgrModuleOption)
	}
	return i
}

func (o *MgrModuleOption) encode(e *wire.Encoder) {
	m := e.Begin(1, 1)
	e.String(o.Name)
	e.U8(o.Type)
	e.U8(o.Level)
	e.U32(o.Flags)
	e.String(o.Default)
	e.String(o.Min)
	e.String(o.Max)
	putStrings(e, o.EnumAllowed)
	e.String(o.Desc)
	e.String(o.LongDesc)
	putStrings(e, o.Tags)
	putStrings(e, o.SeeAlso)
	e.End(m)
}

func decodeMgrModuleOption(d *wire.Decoder) MgrModuleOption {
	s := d.Begin(1)
	defer d.End(s)
	return MgrModuleOption{
		Name: d.String(), Type: d.U8(), Level: d.U8(), Flags: d.U32(), Default: d.String(), Min: d.String(),
		Max: d.String(), EnumAllowed: getStrings(d), Desc: d.String(), LongDesc: d.String(),
		Tags: getStrings(d), SeeAlso: getStrings(d),
	}
}

// ServiceMap lists daemons that are neither monitor, OSD nor metadata server
// (src/mgr/ServiceMap.h).
type ServiceMap struct {
	Epoch    uint32
	Modified time.Time
	Services map[string]Service
}

// Service is one kind of such daemons.
type Service struct {
	Daemons map[string]ServiceDaemon
	Summary string
}

// ServiceDaemon is one of them.
type ServiceDaemon struct {
	GID        uint64
	Addr       entity.Addr
	StartEpoch uint32
	Start      time.Time
	Metadata   map[string]string
	TaskStatus map[string]string
}

// Encode appends ServiceMap, version 1.
func (m *ServiceMap) Encode(e *wire.Encoder) {
	k := e.Begin(1, 1)
	e.U32(m.Epoch)
	e.Time(m.Modified)
	wire.Map(e, m.Services, wire.PutString, func(e *wire.Encoder, s Service) {
		k := e.Begin(1, 1)
		wire.Map(e, s.Daemons, wire.PutString, func(e *wire.Encoder, d ServiceDaemon) { d.encode(e) })
		e.String(s.Summary)
		e.End(k)
	})
	e.End(k)
}

func (s *ServiceDaemon) encode(e *wire.Encoder) {
	k := e.Begin(2, 1)
	e.U64(s.GID)
	s.Addr.Encode(e)
	e.U32(s.StartEpoch)
	e.Time(s.Start)
	putStringMap(e, s.Metadata)
	putStringMap(e, s.TaskStatus)
	e.End(k)
}

// DecodeServiceMap reads ServiceMap.
func DecodeServiceMap(d *wire.Decoder) ServiceMap {
	s := d.Begin(1)
	defer d.End(s)
	return ServiceMap{Epoch: d.U32(), Modified: d.Time(),
		Services: wire.ReadMap(d, 18, wire.GetString, func(d *wire.Decoder) Service {
			s := d.Begin(1)
			defer d.End(s)
			return Service{wire.ReadMap(d, 10, wire.GetString, decodeServiceDaemon), d.String()}
		})}
}

func decodeServiceDaemon(d *wire.Decoder) ServiceDaemon {
	sc := d.Begin(2)
	defer d.End(sc)
	s := ServiceDaemon{GID: d.U64(), Addr: entity.DecodeAddr(d), StartEpoch: d.U32(), Start: d.Time(),
		Metadata: getStringMap(d)}
	if sc.Version >= 2 {
		s.TaskStatus = getStringMap(d)
	}
	return s
}

// ModuleNames returns the names of the modules a manager could run, in order.
func (m *MgrMap) ModuleNames() []string { return moduleNames(m.AvailModules) }

// ServiceNames returns the names of the services in order.
func (m *ServiceMap) ServiceNames() []string { return slices.Sorted(maps.Keys(m.Services)) }
