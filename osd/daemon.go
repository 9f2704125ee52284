package osd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/monclient"
	"sepiola/msgr"
	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/osdmap"
)

// state is where the daemon stands towards the cluster.
type state int32

const (
	stateInit     state = iota
	statePreboot        // catching up with maps
	stateBooting        // asked the monitors to be marked up
	stateActive         // up in the map
	stateStopping       // takes its leave
)

// String returns Ceph's name of the state, as "status" shows it.
func (s state) String() string {
	return [...]string{"initializing", "preboot", "booting", "active", "stopping"}[s]
}

// Daemon is an OSD.
type Daemon struct {
	cfg   Config
	maps  *mapStore
	mon   *monclient.Client
	nets  networks
	mgr   mgrSession
	hb    heartbeats
	perf  counters
	shard []*shard

	state   atomic.Int32
	current atomic.Pointer[osdmap.Map]
	// upEpoch is the epoch at which this process was last marked up; bootEpoch the
	// one at which it was first. 0 before.
	upEpoch, bootEpoch atomic.Uint32

	mapMu sync.Mutex // serializes handleMaps

	asks asks // what was asked of the monitors and not granted yet

	sessMu   sync.Mutex
	sessions map[*session]struct{}

	peerMu    sync.Mutex
	peerEpoch map[int32]uint32 // newest map each OSD is known to have

	downAcked chan struct{} // closed when the monitors marked us down at our wish
	downOnce  sync.Once
	stop      chan struct{}
	wg        sync.WaitGroup
}

// New returns a daemon on a mounted store.
func New(cfg Config) (*Daemon, error) {
	maps, err := openMaps(cfg.Store, int(cfg.Options.Int("osd_map_cache_size")))
	if err != nil {
		return nil, err
	}
	super := maps.Super()
	if super.Whoami != cfg.WhoAmI {
		return nil, fmt.Errorf("the data belongs to osd.%d, not to osd.%d; check \"osd data\" and the id", super.Whoami, cfg.WhoAmI)
	}
	if s := cfg.Options.String("fsid"); s != "" && s != super.ClusterFSID.String() {
		return nil, fmt.Errorf("the data belongs to cluster %v, the configuration names %s; check \"fsid\" and \"osd data\"", super.ClusterFSID, s)
	}
	d := &Daemon{
		cfg: cfg, maps: maps,
		sessions:  map[*session]struct{}{},
		peerEpoch: map[int32]uint32{},
		downAcked: make(chan struct{}),
		stop:      make(chan struct{}),
	}
	d.hb.init()
	if m := maps.Get(super.NewestMap); m != nil {
		d.current.Store(m)
	} else {
		d.current.Store(&osdmap.Map{FSID: super.ClusterFSID})
	}
	return d, nil
}

// Start brings the daemon into the cluster. It returns once its messengers listen;
// booting goes on in the background.
func (d *Daemon) Start() error {
	if err := d.openNetworks(); err != nil {
		return err
	}
	host, _ := os.Hostname()
	d.mon = monclient.New(monclient.Config{
		Messenger: d.nets.public, Mons: d.cfg.Mons, FSID: d.maps.Super().ClusterFSID,
		Hostname: host, Logger: d.cfg.MonLogger,
		HuntInterval: d.cfg.Options.Duration("mon_client_hunt_interval"),
		PingInterval: d.cfg.Options.Duration("mon_client_ping_interval"),
		OnSession:    d.monSession,
		OnConfig:     d.monConfig,
	})
	for i := range shardCount(d.cfg.Options) {
		d.shard = append(d.shard, newShard(d, i))
	}
	if err := d.loadPGs(); err != nil {
		return err
	}
	for _, s := range d.shard {
		d.wg.Add(1)
		go s.run()
	}
	d.registerCommands()
	d.nets.start()
	if err := d.mon.Start(); err != nil {
		return err
	}
	d.setState(statePreboot)
	d.subscribeMaps()
	d.mon.Subscribe("mgrmap", 0, false)
	d.mon.Subscribe("osd_pg_creates", 0, false)
	d.wg.Add(2)
	go d.tick()
	go d.reportLoop()
	go d.watchStore()
	d.cfg.Logger.Info("started", "osd", d.cfg.WhoAmI, "addr", d.nets.public.Addrs().String(), "newest_map", d.maps.Super().NewestMap)
	return nil
}

// watchStore ends the daemon when the store can no longer keep its promises.
func (d *Daemon) watchStore() {
	select {
	case <-d.cfg.Store.Failed():
		d.cfg.Fatal(fmt.Errorf("the store failed, and going on could lose data: %w", d.cfg.Store.Err()))
	case <-d.stop:
	}
}

func (d *Daemon) setState(s state) { d.state.Store(int32(s)) }
func (d *Daemon) is(s state) bool  { return state(d.state.Load()) == s }

// fsid returns the cluster's.
func (d *Daemon) fsid() entity.UUID { return d.maps.Super().ClusterFSID }

// shardOf returns the event worker of a PG.
func (d *Daemon) shardOf(p object.SPGID) *shard {
	h := uint64(p.Pool)*0x9e3779b97f4a7c15 + uint64(p.Seed)*0xc2b2ae3d27d4eb4f + uint64(uint8(p.Shard))
	h ^= h >> 29
	return d.shard[h%uint64(len(d.shard))]
}

// stopGrace bounds the wait for the monitors to mark us down
// (osd_mon_shutdown_timeout).
const stopGrace = 5 * time.Second

// Stop takes leave of the cluster and ends all work. The store is still mounted
// when it returns.
func (d *Daemon) Stop(ctx context.Context) {
	wasActive := d.is(stateActive)
	d.setState(stateStopping)
	if wasActive {
		d.takeLeave(ctx)
	}
	close(d.stop)
	d.mon.Close()
	d.nets.shutdown()
	for _, s := range d.shard {
		s.queue.close()
	}
	d.wg.Wait()
	if m := d.current.Load(); wasActive && m.Epoch != 0 {
		if err := d.maps.SetLife(0, m.Epoch); err != nil {
			d.cfg.Logger.Warn("superblock not written at the end", "error", err)
		}
	}
	d.cfg.Logger.Info("stopped", "osd", d.cfg.WhoAmI)
}

// takeLeave asks to be marked down, so that the PGs go on at once without us.
func (d *Daemon) takeLeave(ctx context.Context) {
	m := d.current.Load()
	d.mon.Send(&message.OSDMarkMeDown{FSID: d.fsid(), Target: d.cfg.WhoAmI,
		TargetAddrs: d.nets.public.Addrs(), Epoch: m.Epoch, RequestAck: true})
	select {
	case <-d.downAcked:
	case <-time.After(stopGrace):
		d.cfg.Logger.Warn("the monitors did not acknowledge our leave in time")
	case <-ctx.Done():
	}
}

func (d *Daemon) markedDown() { d.downOnce.Do(func() { close(d.downAcked) }) }

// Mkfs makes the data of a new OSD on a store that is not mounted.
func Mkfs(store objectstore.Store, id objectstore.Identity) error {
	if err := store.Mkfs(id); err != nil {
		return err
	}
	if err := store.Mount(); err != nil {
		return err
	}
	_, err := openMaps(store, 2)
	if err != nil && errors.Is(err, objectstore.ErrNotFound) {
		err = makeSuper(store, id)
	}
	return errors.Join(err, store.Close())
}

// networks are the daemon's messengers.
type networks struct {
	public, cluster, hbFront, hbBack, hbClient *msgr.Messenger
}

func (n *networks) all() []*msgr.Messenger {
	return []*msgr.Messenger{n.public, n.cluster, n.hbFront, n.hbBack, n.hbClient}
}

func (n *networks) start() {
	for _, m := range n.all() {
		m.Start()
	}
}

func (n *networks) shutdown() {
	for _, m := range n.all() {
		m.Shutdown()
	}
}

// openNetworks makes and binds the messengers.
func (d *Daemon) openNetworks() error {
	o := d.cfg.Options
	nonce := rand.Uint32()
	pub, clu := ip(o, "public_addr"), ip(o, "cluster_addr", "public_addr")
	client := msgr.StatelessRegisteredServer()
	client.ThrottleBytes = msgr.NewThrottle(o.Int("osd_client_message_size_cap"))
	client.ThrottleMessages = msgr.NewThrottle(o.Int("osd_client_message_cap"))
	server := map[entity.Type]msgr.Policy{
		entity.TypeClient: client,
		entity.TypeMon:    msgr.LossyClient(),
		entity.TypeMgr:    msgr.LossyClient(),
		entity.TypeOSD:    msgr.StatelessServer(),
	}
	d.nets.public = d.messenger(nonce, server, msgr.StatelessServer(), (*publicDispatcher)(d))
	d.nets.cluster = d.messenger(nonce, map[entity.Type]msgr.Policy{entity.TypeOSD: msgr.LosslessPeerReuse()},
		msgr.StatelessServer(), (*clusterDispatcher)(d))
	d.nets.hbFront = d.messenger(nonce, nil, msgr.StatelessServer(), (*pingDispatcher)(d))
	d.nets.hbBack = d.messenger(nonce, nil, msgr.StatelessServer(), (*pingDispatcher)(d))
	d.nets.hbClient = d.messenger(nonce, nil, msgr.LossyClient(), (*pongDispatcher)(d))
	lo, hi := int(o.Int("ms_bind_port_min")), int(o.Int("ms_bind_port_max"))
	for _, b := range []struct {
		m    *msgr.Messenger
		addr netip.Addr
	}{{d.nets.public, pub}, {d.nets.cluster, clu}, {d.nets.hbFront, pub}, {d.nets.hbBack, clu}} {
		if err := b.m.Bind(netip.AddrPortFrom(b.addr, 0), lo, hi); err != nil {
			return fmt.Errorf("listening at %v, ports %d to %d: %w; set \"public addr\" or \"ms bind port min/max\"", b.addr, lo, hi, err)
		}
	}
	return nil
}

func (d *Daemon) messenger(nonce uint32, policies map[entity.Type]msgr.Policy, other msgr.Policy, disp msgr.Dispatcher) *msgr.Messenger {
	return msgr.New(msgr.Config{
		Name: entity.OSD(d.cfg.WhoAmI), Nonce: nonce, Logger: d.cfg.MsgrLogger,
		Policies: policies, DefaultPolicy: other,
		DispatchThrottle: msgr.NewThrottle(d.cfg.Options.Int("ms_dispatch_throttle_bytes")),
		HandshakeTimeout: d.cfg.Options.Duration("ms_connection_ready_timeout"),
	}, disp)
}
