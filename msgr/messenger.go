package msgr

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"sepiola/entity"
)

// Dispatcher receives what happens on a messenger's connections. Calls about one
// connection come one at a time and in order; calls about different connections
// come concurrently.
type Dispatcher interface {
	// Dispatch takes a message. It runs on one of the messenger's workers:
	// while it blocks, nothing more is read from that peer.
	Dispatch(c *Conn, m *Message)
	// Connected: a session we opened is established, or re-established.
	Connected(c *Conn)
	// Accepted: a session the peer opened is established, or re-established.
	Accepted(c *Conn)
	// Reset: the session is gone and its queued messages with it
	// (ms_handle_reset). It is not called after [Conn.MarkDown].
	Reset(c *Conn)
	// RemoteReset: the peer lost its session state, and ours was dropped
	// (ms_handle_remote_reset). The connection itself goes on.
	RemoteReset(c *Conn)
	// Refused: nobody listens at the peer's address (ms_handle_refused). Attempts
	// go on for as long as the connection is not marked down.
	Refused(c *Conn)
}

// Config is what a messenger is made of. Only Name is required.
type Config struct {
	// Name is who we are. It may change later ([Messenger.SetName]), as a client's
	// does when the monitor has given it a number.
	Name entity.Name
	// Nonce tells this incarnation apart from others at the same address. Clients
	// and OSDs draw one at random; monitors use 0.
	Nonce uint32
	// Logger may be nil.
	Logger hclog.Logger
	// Policies by kind of peer; DefaultPolicy for the others.
	Policies      map[entity.Type]Policy
	DefaultPolicy Policy
	// AuthServer admits peers; nil believes everyone but gives no global ids.
	AuthServer AuthServer
	// AuthClient introduces us; nil is a NoneClient named after Name.
	AuthClient AuthClient
	// DispatchThrottle bounds the bytes received and not yet released, over all
	// peers (ms_dispatch_throttle_bytes); nil means 100 MiB.
	DispatchThrottle *Throttle
	// HandshakeTimeout is the longest a connection may take until its session is
	// open (ms_connection_ready_timeout); 0 means 10 s.
	HandshakeTimeout time.Duration
	// InitialBackoff and MaxBackoff bound the pause between attempts to connect
	// (ms_initial_backoff, ms_max_backoff); 0 means 200 ms and 15 s.
	InitialBackoff, MaxBackoff time.Duration
	// Transport makes the sockets; nil means TCP.
	Transport Transport
	// Faults, unless nil, are injected.
	Faults *Faults
	// Cookie returns random numbers other than 0 that tell sessions apart; nil
	// means the runtime's generator. It is called from many goroutines.
	Cookie func() uint64
	// Now is the clock that stamps keepalives; nil means the system's.
	Now func() time.Time
}

// ErrClosed is returned by [Conn.Send] when the session is gone.
var ErrClosed = errors.New("the connection is closed")

// ErrTooLarge is wrapped by [Conn.Send] when a segment exceeds what peers accept.
var ErrTooLarge = errors.New("message too large")

// Messenger opens, accepts and keeps sessions. Make one with [New].
type Messenger struct {
	cfg        Config
	dispatcher Dispatcher
	log        hclog.Logger
	env        environ
	ctx        context.Context
	cancel     context.CancelFunc
	running    sync.WaitGroup
	workers    *workers
	lastGlobal atomic.Uint64
	counters   counters

	identity struct {
		sync.Mutex
		bound bool
		identity
	}

	mu        sync.Mutex
	listeners []Listener
	started   bool
	down      bool
	byAddr    map[entity.Addr]*Conn // registered sessions by the peer's v2 address
	all       map[*Conn]struct{}
}

// New returns a messenger that reports to d.
func New(cfg Config, d Dispatcher) *Messenger {
	cfg.fill()
	m := &Messenger{
		cfg: cfg, dispatcher: d, log: cfg.Logger, workers: newWorkers(),
		byAddr: map[entity.Addr]*Conn{}, all: map[*Conn]struct{}{},
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.identity.name = cfg.Name
	m.identity.addrs = entity.AddrVec{{Type: entity.AddrAny, Nonce: cfg.Nonce}}
	m.env = environ{
		self: m.self, policy: m.policy, cookie: cfg.Cookie, globalSeq: m.globalSeq,
		methods:      cfg.AuthServer.Methods,
		backoffFirst: cfg.InitialBackoff, backoffMax: cfg.MaxBackoff, ackDelay: ackDelay,
	}
	return m
}

// ackDelay is how long an acknowledgement waits for a message to go with.
const ackDelay = 10 * time.Millisecond

func (cfg *Config) fill() {
	if cfg.Logger == nil {
		cfg.Logger = hclog.NewNullLogger()
	}
	if cfg.AuthServer == nil {
		cfg.AuthServer = &NoneServer{}
	}
	if cfg.AuthClient == nil {
		id := "admin"
		if cfg.Name.Type != entity.TypeClient {
			id = strconv.FormatInt(cfg.Name.Num, 10)
		}
		cfg.AuthClient = &NoneClient{Name: entity.AuthName{Type: cfg.Name.Type, ID: id}}
	}
	if cfg.DispatchThrottle == nil {
		cfg.DispatchThrottle = NewThrottle(100 << 20)
	}
	if cfg.Transport == nil {
		cfg.Transport = TCP()
	}
	if cfg.Cookie == nil {
		cfg.Cookie = randomCookie
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.HandshakeTimeout = cmp.Or(cfg.HandshakeTimeout, 10*time.Second)
	cfg.InitialBackoff = cmp.Or(cfg.InitialBackoff, 200*time.Millisecond)
	cfg.MaxBackoff = cmp.Or(cfg.MaxBackoff, 15*time.Second)
}

func randomCookie() uint64 {
	for {
		if v := rand.Uint64(); v != 0 {
			return v
		}
	}
}

func (m *Messenger) self() identity {
	m.identity.Lock()
	defer m.identity.Unlock()
	return m.identity.identity
}

func (m *Messenger) policy(t entity.Type) Policy {
	if p, ok := m.cfg.Policies[t]; ok {
		return p
	}
	return m.cfg.DefaultPolicy
}

func (m *Messenger) globalSeq(atLeast uint64) uint64 {
	for {
		last := m.lastGlobal.Load()
		next := max(last, atLeast) + 1
		if m.lastGlobal.CompareAndSwap(last, next) {
			return next
		}
	}
}

func (m *Messenger) stamp() stamp {
	t := m.cfg.Now()
	return stamp{uint32(t.Unix()), uint32(t.Nanosecond())}
}

// Bind listens at addr; with port 0, at the first free port from portMin to
// portMax, or at any if those are 0. It is called once, before [Messenger.Start].
func (m *Messenger) Bind(addr netip.AddrPort, portMin, portMax int) error {
	l, err := m.listen(addr, portMin, portMax)
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.listeners = append(m.listeners, l)
	m.mu.Unlock()
	m.identity.Lock()
	defer m.identity.Unlock()
	m.identity.bound = true
	m.identity.addrs = entity.AddrVec{{Type: entity.AddrMsgr2, Nonce: m.cfg.Nonce, AddrPort: l.Addr()}}
	return nil
}

// Advertise makes a the address that peers are told, in place of the one that Bind
// listens at, where something between forwards to that. Port 0 stands for the port
// of Bind. It is called between Bind and [Messenger.Start].
func (m *Messenger) Advertise(a netip.AddrPort) {
	m.identity.Lock()
	defer m.identity.Unlock()
	own := m.identity.addrs[0]
	if a.Port() == 0 {
		a = netip.AddrPortFrom(a.Addr(), own.Port())
	}
	own.AddrPort = a
	m.identity.addrs = entity.AddrVec{own}
}

func (m *Messenger) listen(addr netip.AddrPort, portMin, portMax int) (Listener, error) {
	if addr.Port() != 0 || portMin <= 0 {
		l, err := m.cfg.Transport.Listen(addr)
		if err != nil {
			return nil, fmt.Errorf("cannot listen at %v: %w", addr, err)
		}
		return l, nil
	}
	var last error
	for port := portMin; port <= min(portMax, 65535); port++ {
		l, err := m.cfg.Transport.Listen(netip.AddrPortFrom(addr.Addr(), uint16(port)))
		if err == nil {
			return l, nil
		}
		last = err
		if !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return nil, fmt.Errorf("cannot listen at %v on any port from %d to %d: %w", addr.Addr(), portMin, portMax, last)
}

// Addrs returns the addresses we are reached at. Until bound, or until a peer has
// told us our IP, they are blank.
func (m *Messenger) Addrs() entity.AddrVec { return m.self().addrs }

// Name returns who we are.
func (m *Messenger) Name() entity.Name { return m.self().name }

// SetName changes who we are for sessions opened from now on.
func (m *Messenger) SetName(n entity.Name) {
	m.identity.Lock()
	defer m.identity.Unlock()
	m.identity.name = n
}

// learn takes our IP from how a peer sees us, if we do not know it
// (AsyncMessenger::learned_addr).
func (m *Messenger) learn(seen entity.Addr) {
	m.identity.Lock()
	defer m.identity.Unlock()
	own := m.identity.addrs[0]
	if !own.IsBlankIP() || seen.IsBlankIP() {
		return
	}
	own.AddrPort = netip.AddrPortFrom(seen.Addr(), own.Port())
	m.identity.addrs = entity.AddrVec{own}
}

// LearnIP takes the IP of a as ours where we do not know our own: that of another
// messenger of this daemon, which peers have told (Messenger::set_addr_unknowns).
func (m *Messenger) LearnIP(a entity.Addr) { m.learn(a) }

// Start begins to accept connections. Connect works before it, too.
func (m *Messenger) Start() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.started || m.down {
		return
	}
	m.started = true
	for _, l := range m.listeners {
		m.running.Go(func() { m.accept(l) })
	}
}

// accept takes links until the listener closes.
func (m *Messenger) accept(l Listener) {
	for {
		t, err := l.Accept()
		if err != nil {
			if m.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of file descriptors, most likely: wait for some to come back.
			m.log.Warn("cannot accept connections for the moment", "address", l.Addr(), "reason", err)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-m.ctx.Done():
			}
			continue
		}
		c := newConn(m)
		c.link = newLink(c)
		c.link.connected(t)
		if !m.add(c) {
			c.link.close()
			return
		}
		c.link.start(&event{kind: evAccept, linkAddr: entity.Msgr2(t.RemoteAddr())})
	}
}

// add makes the messenger know of a session. It reports false after Shutdown.
func (m *Messenger) add(c *Conn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return false
	}
	m.all[c] = struct{}{}
	return true
}

// spawn runs what may wait in a way that has no callback: dialing.
func (m *Messenger) spawn(l *link, f func(*link)) {
	m.running.Add(1)
	go func() {
		defer m.running.Done()
		f(l)
	}()
}

// Shutdown ends all sessions and returns when no goroutine of the messenger runs.
// It waits for callbacks to return, and must not be called from one.
func (m *Messenger) Shutdown() {
	m.mu.Lock()
	m.down = true
	listeners := m.listeners
	conns := make([]*Conn, 0, len(m.all))
	for c := range m.all {
		conns = append(conns, c)
	}
	m.mu.Unlock()
	m.cancel()
	for _, l := range listeners {
		l.Close()
	}
	for _, c := range conns {
		c.MarkDown()
	}
	m.running.Wait()
	m.workers.await()
}

// Connect returns the session with the peer at that address, opening one if
// there is none. It does not block. After Shutdown the session is a closed one.
func (m *Messenger) Connect(to entity.AddrVec, peer entity.Type) *Conn {
	key := to.Msgr2()
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.byAddr[key]; c != nil && !c.isClosed() {
		return c
	}
	c := newConn(m)
	c.s.kind, c.s.target, c.s.addrs = peer, key, slices.Clone(to)
	c.s.policy = m.policy(peer)
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.down || !key.IsValid() {
		c.s.state = stateClosed
		return c
	}
	m.byAddr[key] = c
	m.all[c] = struct{}{}
	c.step(&event{kind: evConnect})
	return c
}

func (c *Conn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.s.state == stateClosed
}

// MarkDown forgets the session with that address, if there is one.
func (m *Messenger) MarkDown(addrs entity.AddrVec) {
	m.mu.Lock()
	c := m.byAddr[addrs.Msgr2()]
	m.mu.Unlock()
	if c != nil {
		c.MarkDown()
	}
}

// forget drops a closed session.
func (m *Messenger) forget(c *Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, c)
	c.mu.Lock()
	key := c.s.target
	c.mu.Unlock()
	if m.byAddr[key] == c {
		delete(m.byAddr, key)
	}
}

// place finds the session that c's link belongs to, and returns it: c itself or
// the one that took the link over.
func (m *Messenger) place(c *Conn, l *link) *Conn {
	m.mu.Lock()
	defer m.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link != l || c.s.state != stateAcceptedPlace {
		return c
	}
	key := c.s.target
	existing := m.byAddr[key]
	var old *session
	if existing != nil {
		existing.mu.Lock()
		defer existing.mu.Unlock()
		old = &existing.s
	}
	r := rule(&c.s, old, m.Addrs().Msgr2())
	switch r.placement {
	case placeReplace:
		existing.step(&event{kind: evReplaced})
		m.running.Go(existing.takeTurn)
		fallthrough
	case placeOwn:
		c.step(&event{kind: evPlaced})
		if c.s.registered() {
			m.byAddr[key] = c
		}
	case placeAdopt:
		m.move(c, existing, l, r)
		return existing
	case placeReject:
		c.step(&event{kind: evRejected, control: r.reply})
		switch {
		case r.wake:
			existing.step(&event{kind: evWake})
		case r.yield:
			existing.step(&event{kind: evYield})
		}
	case placeDrop:
		c.step(&event{kind: evLost, err: r.reason})
		delete(m.all, c)
	}
	return c
}

// move gives c's link to an existing session. Both are locked.
func (m *Messenger) move(c, existing *Conn, l *link, r ruling) {
	existing.attach = l
	l.owner.Store(existing)
	existing.step(&event{
		kind: evAdopt, other: &c.s, reset: r.reset, resumed: c.s.link.reconnect != nil,
	})
	c.step(&event{kind: evMoved})
	c.link = nil
	delete(m.all, c)
}

// takeTurn tells the owner what is due, from a goroutine of its own.
func (c *Conn) takeTurn() {
	c.turn.Lock()
	defer c.turn.Unlock()
	c.settle()
}
