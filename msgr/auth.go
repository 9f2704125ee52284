package msgr

import (
	"net/netip"

	"sepiola/entity"
)

// AuthMethod is a way to authenticate (CEPH_AUTH_* in src/include/ceph_fs.h).
type AuthMethod uint32

// The authentication methods.
const (
	AuthMethodNone  AuthMethod = 1
	AuthMethodCephx AuthMethod = 2
)

// ConMode is how a connection protects its frames (CEPH_CON_MODE_*).
type ConMode uint32

// The connection modes. This messenger speaks ModeCRC.
const (
	ModeUnknown ConMode = 0
	ModeCRC     ConMode = 1
	ModeSecure  ConMode = 2
)

// The first byte of an authentication payload: to whom it speaks
// (AUTH_MODE_* in src/auth/Auth.h).
const (
	AuthModeAuthorizer    uint8 = 1 // to a service, with what the monitor gave
	AuthModeAuthorizerMax uint8 = 9
	AuthModeMon           uint8 = 10 // to a monitor
	AuthModeMonMax        uint8 = 19
)

// AuthStatus is the outcome of one step of an authentication exchange.
type AuthStatus uint8

// The outcomes.
const (
	// AuthDone: the peer is who it says.
	AuthDone AuthStatus = iota
	// AuthMore: another round follows.
	AuthMore
	// AuthBad: refused; the peer is told the errno and what is allowed.
	AuthBad
	// AuthBusy: not able to say now; the connection closes and the peer may
	// return.
	AuthBusy
)

// AuthIdentity is what authentication established about a peer.
type AuthIdentity struct {
	// Name is whom the peer authenticated as.
	Name entity.AuthName
	// GlobalID is the cluster-wide number of the peer's session, assigned by the
	// monitors.
	GlobalID uint64
	// Caps is what the peer may do, in the form the [AuthServer] gave it.
	Caps any
}

// AuthResult is a server's answer to one step.
type AuthResult struct {
	Status AuthStatus
	// Errno is the positive error number for AuthBad.
	Errno int32
	// Reply is the method's payload for AuthDone and AuthMore.
	Reply []byte
	// Identity and SessionKey are set with AuthDone. The key signs what was
	// exchanged before (AUTH_SIGNATURE); without one the signature is zero.
	Identity   AuthIdentity
	SessionKey []byte
}

// AuthServer decides who may open a session with this messenger. Its methods are
// called from many goroutines; they may block, which holds up that one peer only.
type AuthServer interface {
	// Methods lists what is allowed to peers of that kind, best first.
	Methods(peer entity.Type) []AuthMethod
	// Begin opens an exchange with a connecting peer.
	Begin(peer entity.Type, addr netip.AddrPort) AuthServerExchange
}

// AuthServerExchange is one peer's authentication, seen by the server.
type AuthServerExchange interface {
	// Request answers the peer's first payload, or its first one after AuthBad.
	Request(method AuthMethod, payload []byte) AuthResult
	// More answers the peer's payload after AuthMore.
	More(payload []byte) AuthResult
}

// AuthClient proves to servers who we are. Its methods are called from many
// goroutines.
type AuthClient interface {
	// Begin opens an exchange with a server.
	Begin(peer entity.Type) AuthClientExchange
}

// AuthClientExchange is one authentication with a server.
type AuthClientExchange interface {
	// Request returns the method to try and its first payload. allowed is nil at
	// first, and what the server allows after it refused the method tried before.
	// An error gives up.
	Request(allowed []AuthMethod) (method AuthMethod, payload []byte, err error)
	// More answers a server that wants another round.
	More(payload []byte) (reply []byte, err error)
	// Done takes the server's final payload, and returns the session key if the
	// method makes one.
	Done(globalID uint64, payload []byte) (sessionKey []byte, err error)
}
