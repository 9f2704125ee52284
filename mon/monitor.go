package mon

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"sepiola/config"
	"sepiola/entity"
	"sepiola/message"
	"sepiola/mon/pgmap"
	"sepiola/mon/state"
	"sepiola/mon/store"
	"sepiola/msgr"
	"sepiola/osdmap"
)

// Monitor is one monitor daemon.
type Monitor struct {
	cfg  Config
	opts *config.Config
	log  hclog.Logger
	now  func() time.Time

	disk   *store.Disk
	node   *store.Node
	monMsr *msgr.Messenger // clients, daemons, other monitors
	mgrMsr *msgr.Messenger // the manager protocol
	ids    idPool
	rank   int

	// mu guards everything below, and the machine while it executes.
	mu       sync.Mutex
	machine  state.Machine
	sessions map[*session]bool
	pgs      *pgmap.Map
	progress *pgmap.Progress
	failures failureTracker
	leading  bool
	// since is when this monitor began to lead.
	since    time.Time
	started  time.Time
	running  bool // the node was started
	maps     mapCache
	daemons  map[entity.Name]*daemonReport
	config   map[string]string // our own options, as last taken from the state
	shutdown bool
	// adjusting counts the steps of pools that are not agreed on yet.
	adjusting int

	stop chan struct{}
	wg   sync.WaitGroup
}

// Names under which a monitor keeps what it was made with.
const (
	metaFSID   = "fsid"
	metaName   = "name"
	metaMonMap = "monmap"
	// metaVersion is the version of the on-disk form, in decimal; absent means 1.
	metaVersion = "version"
)

// diskVersion is the version of the on-disk form that this program writes.
const diskVersion = 1

// Mkfs makes the data directory of a monitor. It refuses a directory that holds
// one already.
func Mkfs(dir string, o MkfsOptions) error {
	if o.FSID.IsZero() {
		return fmt.Errorf("a monitor needs the cluster's fsid: set 'fsid' in the configuration")
	}
	if _, ok := o.Mons[o.Name]; !ok {
		return fmt.Errorf("mon.%s is not among the initial monitors: name its address in 'mon host'", o.Name)
	}
	mm, err := firstMonMap(o)
	if err != nil {
		return err
	}
	disk, err := store.OpenDisk(dir, true)
	if err != nil {
		return err
	}
	err = disk.SetMeta(map[string][]byte{metaFSID: o.FSID[:], metaName: []byte(o.Name), metaMonMap: mm.Encode(),
		metaVersion: []byte(strconv.Itoa(diskVersion))})
	if cerr := disk.Close(); err == nil {
		err = cerr
	}
	return err
}

func firstMonMap(o MkfsOptions) (*osdmap.MonMap, error) {
	mm := osdmap.NewMonMap(o.FSID, o.Now)
	mm.Epoch = 1
	for _, name := range sortedNames(o.Mons) {
		for _, a := range o.Mons[name] {
			if a.IsBlankIP() || a.Port() == 0 {
				return nil, fmt.Errorf("mon.%s: address %s names no IP and port", name, a)
			}
		}
		if err := mm.Add(osdmap.MonInfo{Name: name, Addrs: o.Mons[name]}); err != nil {
			return nil, err
		}
	}
	return mm, nil
}

// New opens the data directory and restores the state. Call [Monitor.Start]
// next, or [Monitor.Shutdown] to let go of the directory.
func New(cfg Config) (*Monitor, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = hclog.NewNullLogger()
	}
	if cfg.MsgrLogger == nil {
		cfg.MsgrLogger = cfg.Logger
	}
	disk, err := store.OpenDisk(cfg.DataDir, false)
	if err != nil {
		return nil, err
	}
	m := &Monitor{
		cfg: cfg, opts: cfg.Options, log: cfg.Logger, now: cfg.Now, disk: disk,
		sessions: map[*session]bool{}, pgs: pgmap.New(), progress: pgmap.NewProgress(func() string { return entity.NewUUID().String() }),
		failures: newFailureTracker(),
		daemons:  map[entity.Name]*daemonReport{}, stop: make(chan struct{}),
	}
	m.maps.disk = disk
	if err := m.open(); err != nil {
		disk.Close()
		return nil, err
	}
	return m, nil
}

func (m *Monitor) open() error {
	fsid, err := m.disk.Meta(metaFSID)
	if err != nil {
		return err
	}
	name, err := m.disk.Meta(metaName)
	if err != nil {
		return err
	}
	raw, err := m.disk.Meta(metaMonMap)
	if err != nil {
		return err
	}
	version, err := m.disk.Meta(metaVersion)
	if err != nil {
		return err
	}
	var have entity.UUID
	copy(have[:], fsid)
	switch {
	case tooNew(version):
		return fmt.Errorf("%s is of version %s and this program knows up to %d: run the newer program that wrote it", m.cfg.DataDir, version, diskVersion)
	case len(fsid) != len(have):
		return fmt.Errorf("%s holds no finished monitor: remove it and make one with --mkfs", m.cfg.DataDir)
	case !m.cfg.FSID.IsZero() && have != m.cfg.FSID:
		return fmt.Errorf("%s belongs to cluster %s, but the configuration says fsid %s: correct 'fsid' or 'mon data'", m.cfg.DataDir, have, m.cfg.FSID)
	case string(name) != m.cfg.Name:
		return fmt.Errorf("%s belongs to mon.%s, not mon.%s: correct the id or 'mon data'", m.cfg.DataDir, name, m.cfg.Name)
	}
	mm, err := osdmap.DecodeMonMap(raw)
	if err != nil {
		return fmt.Errorf("the monitor map in %s: %w", m.cfg.DataDir, err)
	}
	m.cfg.FSID, m.rank = have, mm.Rank(m.cfg.Name)
	voters := make([]uint64, len(mm.Ranks))
	for i := range voters {
		voters[i] = nodeID(i)
	}
	m.node, err = store.NewNode(store.Config{
		ID: nodeID(m.rank), Voters: voters, Disk: m.disk, Machine: lockedMachine{m}, Logger: m.log, Now: m.now,
		Send: m.sendRaft, Applied: m.applied, Leading: m.setLeading,
		Fatal: func(err error) { go m.cfg.Fatal(err) },
	})
	if err != nil {
		return err
	}
	if m.machine.State.MonMap == nil {
		m.machine.State.MonMap = mm // until the first state is agreed on
	}
	return nil
}

// tooNew reports whether this program cannot read data of that version.
func tooNew(version []byte) bool {
	n, err := strconv.Atoi(string(version))
	return len(version) != 0 && (err != nil || n > diskVersion)
}

// nodeID is the raft id of the monitor of a rank; raft reserves 0.
func nodeID(rank int) uint64 { return uint64(rank) + 1 }

// lockedMachine lets the node execute commands under the monitor's lock.
type lockedMachine struct{ m *Monitor }

func (l lockedMachine) Restore(r store.Reader) error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	return l.m.machine.Restore(r)
}

func (l lockedMachine) Apply(b store.Batch) ([]any, []store.Change) {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	answers, changes := l.m.machine.Apply(b)
	l.m.maps.ahead(changes)
	return answers, changes
}

// startTimeout bounds how long Start waits for the first commands to commit.
const startTimeout = 30 * time.Second

// Start begins to serve. An address in use, or a cluster that cannot agree on
// its first state, is an error.
func (m *Monitor) Start() error {
	m.started = m.now()
	if err := m.bind(); err != nil {
		return err
	}
	m.node.Start()
	m.running = true
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := m.prepare(ctx); err != nil {
		return err
	}
	m.registerAdmin()
	m.monMsr.Start()
	m.mgrMsr.Start()
	m.wg.Add(1)
	go m.tickLoop()
	return nil
}

func (m *Monitor) bind() error {
	addrs := m.machine.State.MonMap.AddrsOf(m.rank)
	m.monMsr = m.newMessenger(entity.Mon(m.rank), m, 0)
	for _, a := range addrs {
		if a.Type == entity.AddrLegacy {
			continue
		}
		at := m.bindAddr(a.AddrPort)
		if err := m.monMsr.Bind(at, int(at.Port()), int(at.Port())); err != nil {
			return fmt.Errorf("cannot listen on %s: %w; stop what uses the port, or correct 'mon host' or 'public bind addr'", at, err)
		}
		m.monMsr.Advertise(a.AddrPort)
	}
	m.mgrMsr = m.newMessenger(entity.Name{Type: entity.TypeMgr, Num: int64(m.rank)}, mgrDispatcher{m}, uint32(m.now().UnixNano()))
	at := m.cfg.MgrAddr
	if !at.IsValid() {
		at = netip.AddrPortFrom(addrs.Msgr2().Addr(), 0)
	}
	lo, hi := int(m.opts.Int("ms_bind_port_min")), int(m.opts.Int("ms_bind_port_max"))
	if err := m.mgrMsr.Bind(netip.AddrPortFrom(m.bindAddr(at).Addr(), at.Port()), lo, hi); err != nil {
		return fmt.Errorf("cannot listen on %s for the manager protocol (ports %d to %d): %w", at, lo, hi, err)
	}
	m.mgrMsr.Advertise(at)
	return nil
}

// bindAddr is where to listen for those who connect to a: there, unless
// "public bind addr" says otherwise.
func (m *Monitor) bindAddr(a netip.AddrPort) netip.AddrPort {
	v, err := entity.ParseAddrVec(m.opts.String("public_bind_addr"))
	switch {
	case err != nil || len(v) == 0 || !v[0].Addr().IsValid() || v[0].Addr().IsUnspecified() && v[0].Port() == 0:
		return a
	case v[0].Port() == 0:
		return netip.AddrPortFrom(v[0].Addr(), a.Port())
	}
	return v[0].AddrPort
}

func (m *Monitor) newMessenger(name entity.Name, d msgr.Dispatcher, nonce uint32) *msgr.Messenger {
	// Not registered: "ceph tell mon.x" opens a second session from the address
	// of its first.
	client, daemon := msgr.StatelessServer(), msgr.StatelessServer()
	client.ThrottleBytes = msgr.NewThrottle(m.opts.Int("mon_client_bytes"))
	daemon.ThrottleBytes = msgr.NewThrottle(m.opts.Int("mon_daemon_bytes"))
	return msgr.New(msgr.Config{
		Name: name, Nonce: nonce, Logger: m.cfg.MsgrLogger, DefaultPolicy: client,
		Policies: map[entity.Type]msgr.Policy{
			entity.TypeOSD: daemon, entity.TypeMgr: daemon, entity.TypeMDS: daemon,
			entity.TypeMon: msgr.LosslessPeerReuse(),
		},
		AuthServer: &msgr.NoneServer{AssignGlobalID: m.ids.next},
		Faults:     msgr.NewFaults(m.opts),
	}, d)
}

// prepare brings about what must be there before anybody is served: the first
// state, global ids, and this monitor as the active manager.
func (m *Monitor) prepare(ctx context.Context) error {
	m.ids.m = m
	m.mu.Lock()
	isNew, raw := m.machine.State.OSD == nil, m.machine.State.MonMap.Encode()
	m.mu.Unlock()
	if isNew {
		c := state.Command{Genesis: &state.Genesis{FSID: m.cfg.FSID, MonMap: raw, Settings: m.settings()}}
		if err := m.call(ctx, c); err != nil {
			return fmt.Errorf("make the cluster's first state: %w", err)
		}
	}
	if err := m.ids.fill(ctx); err != nil {
		return fmt.Errorf("reserve global ids: %w", err)
	}
	meta := m.metadata()
	if err := m.call(ctx, state.Command{MonMeta: &state.MonMeta{Name: m.cfg.Name, Metadata: meta}}); err != nil {
		return err
	}
	return m.call(ctx, state.Command{Mgr: &state.MgrActive{
		Name: m.cfg.Name, GID: m.ids.next(), Addrs: m.mgrMsr.Addrs(), Features: msgr.FeaturesAll, Metadata: meta,
	}})
}

// call proposes a command and waits; a refusal is an error.
func (m *Monitor) call(ctx context.Context, c state.Command) error {
	v, err := m.node.Call(ctx, c.Encode())
	if err != nil {
		return err
	}
	if r := v.(state.Reply); r.Code != 0 {
		return fmt.Errorf("%s", r.Status)
	}
	return nil
}

// propose queues a command. then, unless nil, gets the answer under the
// monitor's lock; a command that has to be proposed again is.
func (m *Monitor) propose(c state.Command, then func(state.Reply, error)) {
	data := c.Encode()
	m.node.Propose(data, func(v any, err error) {
		var r state.Reply
		if err == nil {
			r = v.(state.Reply)
		}
		if err == nil && r.Again {
			m.propose(c, then)
			return
		}
		if then == nil {
			return
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		then(r, err)
	})
}

// Shutdown stops serving and closes the data directory. The monitor cannot be
// started again.
func (m *Monitor) Shutdown() {
	m.mu.Lock()
	if m.shutdown {
		m.mu.Unlock()
		return
	}
	m.shutdown = true
	close(m.stop)
	m.mu.Unlock()
	m.wg.Wait()
	if m.monMsr != nil {
		m.monMsr.Shutdown()
	}
	if m.mgrMsr != nil {
		m.mgrMsr.Shutdown()
	}
	if m.running {
		m.node.Stop()
	}
	if err := m.disk.Close(); err != nil {
		m.log.Error("closing the store failed", "error", err)
	}
}

// Addrs returns where the monitor listens.
func (m *Monitor) Addrs() entity.AddrVec { return m.monMsr.Addrs() }

// MgrAddrs returns where the manager protocol is served.
func (m *Monitor) MgrAddrs() entity.AddrVec { return m.mgrMsr.Addrs() }

// setLeading notes who leads. It runs on the node's goroutine.
func (m *Monitor) setLeading(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leading, m.since = on, m.now()
	m.log.Info("leadership", "leading", on)
}

// applied runs after each committed batch: what changed goes out.
func (m *Monitor) applied() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.maps.written()
	if m.machine.State.OSD == nil {
		return
	}
	m.takeConfig()
	m.pgs.SetMap(m.machine.State.OSD, m.machine.State.Creating, m.now())
	m.failures.setMap(m.machine.State.OSD, m.now())
	m.publish()
}

func (m *Monitor) sendRaft(to uint64, data []byte) {
	m.mu.Lock()
	addrs := m.machine.State.MonMap.AddrsOf(int(to) - 1)
	m.mu.Unlock()
	if len(addrs) == 0 {
		return
	}
	c := m.monMsr.Connect(addrs, entity.TypeMon)
	if err := c.Send(message.Encode(&message.MonRaft{Payload: [][]byte{data}}, c.Features())); err != nil {
		m.log.Debug("raft message not sent", "to", to, "error", err)
	}
}
