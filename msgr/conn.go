package msgr

import "sepiola/entity"

// Conn is a session with one peer, over as many sockets as it takes.
type Conn struct{}

// Send queues a message; it never waits for the network. On a lossless session
// the message stays queued until the peer has acknowledged it. The error is
// ErrClosed, or wraps ErrTooLarge.
func (c *Conn) Send(m *Message) error { return ErrClosed }

// MarkDown ends the session now, drops what is queued, and calls nobody back.
func (c *Conn) MarkDown() {}

// Fail ends the session because of what the peer sent, with one log line that
// names it. On a lossy session [Dispatcher.Reset] follows.
func (c *Conn) Fail(reason string) {}

// Peer returns who the peer is; the number is -1 until its session is open.
func (c *Conn) Peer() entity.Name { return entity.Name{} }

// PeerAddrs returns the peer's addresses, as it says or as we connect to it.
func (c *Conn) PeerAddrs() entity.AddrVec { return nil }

// PeerGlobalID returns the number the peer authenticated with.
func (c *Conn) PeerGlobalID() uint64 { return 0 }

// Auth returns what authentication established about a peer that connected to
// us.
func (c *Conn) Auth() AuthIdentity { return AuthIdentity{} }

// Features returns what both ends support (CEPH_FEATURE_*).
func (c *Conn) Features() uint64 { return FeaturesAll }

// Keepalive asks the peer for a sign of life.
func (c *Conn) Keepalive() {}

// IsConnected reports whether the session is open and has a working socket.
func (c *Conn) IsConnected() bool { return false }

// Value returns what SetValue stored: the owner's session object.
func (c *Conn) Value() any { return nil }

// SetValue stores the owner's session object.
func (c *Conn) SetValue(v any) {}
