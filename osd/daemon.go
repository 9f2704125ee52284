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

	"sepiola/config"
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
	cfg    Config
	maps   *mapStore
	mon    *monclient.Client
	nets   networks
	faults *msgr.Faults
	mgr    mgrSession
	hb     heartbeats
	perf   counters
	shard  []*shard

	state   atomic.Int32
	current atomic.Pointer[osdmap.Map]
	// fullness is the fullLevel of the disk.
	fullness atomic.Uint32
	reserve  reservers
	// upEpoch is the epoch at which this process was last marked up; bootEpoch the
	// one at which it was first. 0 before.
	upEpoch, bootEpoch atomic.Uint32

	mapMu    sync.Mutex // serializes handleMaps
	toldNoUp bool       // guarded by mapMu: the noup flag was logged

	caps   clientCaps
	copier copier

	asks asks // what was asked of the monitors and not granted yet

	sessMu   sync.Mutex
	sessions map[*session]struct{}

	peerMu    sync.Mutex
	peerEpoch map[int32]uint32        // newest map each OSD in the map is known to have
	peerConns map[*msgr.Conn]struct{} // opened by those who call themselves OSDs

	tells chan struct{} // one for each command under way

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
	if s := cfg.Options.String("fsid"); s != "" {
		fsid, err := entity.ParseUUID(s)
		if err != nil {
			return nil, fmt.Errorf("fsid: %w", err)
		}
		if fsid != super.ClusterFSID {
			return nil, fmt.Errorf("the data belongs to cluster %v, the configuration names %v; check \"fsid\" and \"osd data\"", super.ClusterFSID, fsid)
		}
	}
	d := &Daemon{
		cfg: cfg, maps: maps,
		sessions:  map[*session]struct{}{},
		peerEpoch: map[int32]uint32{},
		peerConns: map[*msgr.Conn]struct{}{},
		tells:     make(chan struct{}, tellsMax),
		downAcked: make(chan struct{}),
		copier:    copier{room: make(chan struct{}, copiesAtOnce)},
		stop:      make(chan struct{}),
	}
	d.hb.init(time.Now())
	if m := maps.Get(super.NewestMap); m != nil {
		d.current.Store(m)
	} else {
		d.current.Store(&osdmap.Map{FSID: super.ClusterFSID})
	}
	return d, nil
}

// Start brings the daemon into the cluster. It returns once its messengers listen;
// booting goes on in the background. After an error nothing is left running.
func (d *Daemon) Start() error {
	d.makeNetworks()
	if err := d.begin(); err != nil {
		d.end()
		return err
	}
	d.cfg.Logger.Info("started", "osd", d.cfg.WhoAmI, "addr", d.nets.public.Addrs().String(), "newest_map", d.maps.Super().NewestMap)
	return nil
}

func (d *Daemon) begin() error {
	if err := d.bindNetworks(); err != nil {
		return err
	}
	host, _ := os.Hostname()
	d.mon = monclient.New(monclient.Config{
		Messenger: d.nets.public, Mons: d.cfg.Mons, FSID: d.maps.Super().ClusterFSID,
		Hostname: host, Logger: d.cfg.MonLogger,
		HuntInterval: d.cfg.Options.Duration("mon_client_hunt_interval"),
		PingInterval: d.cfg.Options.Duration("mon_client_ping_interval"),
		PingTimeout:  d.cfg.Options.Duration("mon_client_ping_timeout"),
		OnSession:    d.monSession,
		OnConfig:     d.monConfig,
	})
	for i := range shardCount(d.cfg.Options) {
		d.shard = append(d.shard, newShard(d, i))
	}
	d.slots(int(d.cfg.Options.Int("osd_max_backfills")))
	if err := d.loadPGs(); err != nil {
		return err
	}
	for _, s := range d.shard {
		d.wg.Add(1)
		go s.run()
	}
	d.followOptions()
	d.registerCommands()
	d.nets.start()
	if err := d.mon.Start(); err != nil {
		return err
	}
	d.move(stateInit, statePreboot)
	d.subscribeMaps()
	d.mon.Subscribe("mgrmap", 0, false)
	d.mon.Subscribe("osd_pg_creates", 0, false)
	d.wg.Add(4)
	go d.heartbeatLoop()
	go d.tick()
	go d.reportLoop()
	go d.watchStore()
	return nil
}

// end stops all that begin has started.
func (d *Daemon) end() {
	close(d.stop)
	if d.mon != nil {
		d.copier.close()
		d.mon.Close()
	}
	d.nets.shutdown()
	for _, s := range d.shard {
		s.queue.close()
	}
	d.wg.Wait()
}

// watchStore ends the daemon when the store can no longer keep its promises.
func (d *Daemon) watchStore() {
	defer d.wg.Done()
	select {
	case <-d.cfg.Store.Failed():
		d.cfg.Fatal(fmt.Errorf("the store failed, and going on could lose data: %w", d.cfg.Store.Err()))
	case <-d.stop:
	}
}

func (d *Daemon) is(s state) bool { return state(d.state.Load()) == s }

// move goes from one state to another, and reports false when the daemon was in a
// third: it may be told to stop at any time, and what stops does not start again.
func (d *Daemon) move(from, to state) bool {
	return d.state.CompareAndSwap(int32(from), int32(to))
}

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
	wasActive := state(d.state.Swap(int32(stateStopping))) == stateActive
	if wasActive {
		d.takeLeave(ctx)
	}
	d.end()
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

// byName returns the messengers by the names Ceph gives them.
func (n *networks) byName() map[string]*msgr.Messenger {
	return map[string]*msgr.Messenger{"client": n.public, "cluster": n.cluster, "hb_front_server": n.hbFront,
		"hb_back_server": n.hbBack, "hb_client": n.hbClient}
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

// clientCaps bound what clients have under way, over all their sessions.
type clientCaps struct{ bytes, messages *msgr.Throttle }

// follow keeps the bounds at what the options say; 0 in them is no change, as in
// Ceph (OSD::handle_conf_change).
func (c *clientCaps) follow(o *config.Config) {
	c.bytes = msgr.NewThrottle(o.Int("osd_client_message_size_cap"))
	c.messages = msgr.NewThrottle(o.Int("osd_client_message_cap"))
	for name, t := range map[string]*msgr.Throttle{"osd_client_message_size_cap": c.bytes, "osd_client_message_cap": c.messages} {
		o.Observe(func(string) {
			if n := o.Int(name); n > 0 {
				t.SetMax(n)
			}
		}, name)
	}
}

// peerBytesMax bounds the messages of other OSDs that wait for their PG, in bytes.
// Ceph has no such bound; here a peer that is far ahead with maps, or floods, is
// read no further.
const peerBytesMax = 256 << 20

// makeNetworks makes the messengers.
func (d *Daemon) makeNetworks() {
	nonce := rand.Uint32()
	d.caps.follow(d.cfg.Options)
	d.faults = msgr.NewFaults(d.cfg.Options)
	client := msgr.StatelessRegisteredServer()
	client.ThrottleBytes, client.ThrottleMessages = d.caps.bytes, d.caps.messages
	client.QueueMax = replyQueueMax
	peer := msgr.LosslessPeerReuse()
	peer.ThrottleBytes = msgr.NewThrottle(peerBytesMax)
	server := map[entity.Type]msgr.Policy{
		entity.TypeClient: client,
		entity.TypeMon:    msgr.LossyClient(),
		entity.TypeMgr:    msgr.LossyClient(),
		entity.TypeOSD:    msgr.StatelessServer(),
	}
	d.nets.public = d.messenger(nonce, server, msgr.StatelessServer(), (*publicDispatcher)(d))
	d.nets.cluster = d.messenger(nonce, map[entity.Type]msgr.Policy{entity.TypeOSD: peer},
		msgr.StatelessServer(), (*clusterDispatcher)(d))
	d.nets.hbFront = d.messenger(nonce, nil, msgr.StatelessServer(), (*pingDispatcher)(d))
	d.nets.hbBack = d.messenger(nonce, nil, msgr.StatelessServer(), (*pingDispatcher)(d))
	d.nets.hbClient = d.messenger(nonce, nil, msgr.LossyClient(), (*pongDispatcher)(d))
}

// bindNetworks listens for clients and peers.
func (d *Daemon) bindNetworks() error {
	o := d.cfg.Options
	pub, clu := ip(o, "public_addr"), ip(o, "cluster_addr", "public_addr")
	pubAt, cluAt := ip(o, "public_bind_addr", "public_addr"), ip(o, "cluster_addr", "public_bind_addr", "public_addr")
	lo, hi := int(o.Int("ms_bind_port_min")), int(o.Int("ms_bind_port_max"))
	for _, b := range []struct {
		m        *msgr.Messenger
		addr, at netip.Addr
	}{{d.nets.public, pub, pubAt}, {d.nets.cluster, clu, cluAt}, {d.nets.hbFront, pub, pubAt}, {d.nets.hbBack, clu, cluAt}} {
		if err := b.m.Bind(netip.AddrPortFrom(b.at, 0), lo, hi); err != nil {
			return fmt.Errorf("%w; stop what uses the ports, or set \"public addr\", or \"ms bind port min\" and \"max\"", err)
		}
		b.m.Advertise(netip.AddrPortFrom(b.addr, 0))
	}
	return nil
}

func (d *Daemon) messenger(nonce uint32, policies map[entity.Type]msgr.Policy, other msgr.Policy, disp msgr.Dispatcher) *msgr.Messenger {
	return msgr.New(msgr.Config{
		Name: entity.OSD(d.cfg.WhoAmI), Nonce: nonce, Logger: d.cfg.MsgrLogger,
		Policies: policies, DefaultPolicy: other,
		DispatchThrottle: msgr.NewThrottle(d.cfg.Options.Int("ms_dispatch_throttle_bytes")),
		HandshakeTimeout: d.cfg.Options.Duration("ms_connection_ready_timeout"),
		Faults:           d.faults,
	}, disp)
}
