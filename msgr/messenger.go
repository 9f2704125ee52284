package msgr

import (
	"errors"
	"net/netip"
	"time"

	"github.com/hashicorp/go-hclog"

	"sepiola/entity"
)

// Dispatcher receives what happens on a messenger's connections. Calls about one
// connection come one at a time and in order; calls about different connections
// come concurrently.
type Dispatcher interface {
	// Dispatch takes a message. It runs on the connection's reader goroutine:
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
}

// ErrClosed is returned by [Conn.Send] when the session is gone.
var ErrClosed = errors.New("the connection is closed")

// ErrTooLarge is wrapped by [Conn.Send] when a segment exceeds what peers accept.
var ErrTooLarge = errors.New("message too large")

// Messenger opens, accepts and keeps sessions.
type Messenger struct{ cfg Config }

// New returns a messenger that reports to d.
func New(cfg Config, d Dispatcher) *Messenger { return &Messenger{cfg: cfg} }

// Bind listens at addr; with port 0, at the first free port from portMin to
// portMax. It may be called for several addresses before [Messenger.Start].
func (m *Messenger) Bind(addr netip.AddrPort, portMin, portMax int) error { return ErrClosed }

// Addrs returns the addresses we are reached at. Until bound, or until a peer has
// told us our IP, they are blank.
func (m *Messenger) Addrs() entity.AddrVec { return nil }

// SetName changes who we are for sessions opened from now on.
func (m *Messenger) SetName(n entity.Name) {}

// Start begins to accept connections. Connect works before it, too.
func (m *Messenger) Start() {}

// Shutdown ends all sessions and returns when no goroutine of the messenger runs.
func (m *Messenger) Shutdown() {}

// Connect returns the session with the peer at that address, opening one if
// there is none. It does not block.
func (m *Messenger) Connect(to entity.AddrVec, peer entity.Type) *Conn { return nil }

// MarkDown forgets the session with that address, if there is one.
func (m *Messenger) MarkDown(addrs entity.AddrVec) {}
