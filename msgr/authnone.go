package msgr

import (
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"sepiola/entity"
	"sepiola/wire"
)

// NoneServer is the [AuthServer] that believes every peer (auth "none",
// src/auth/none).
type NoneServer struct {
	// AssignGlobalID, unless nil, makes this the server of a monitor: it accepts
	// peers that come for a global id and gives them the function's next one.
	// 0 means none can be given now.
	AssignGlobalID func() uint64
}

// Methods returns AuthMethodNone.
func (s *NoneServer) Methods(entity.Type) []AuthMethod { return []AuthMethod{AuthMethodNone} }

// Begin opens an exchange.
func (s *NoneServer) Begin(entity.Type, netip.AddrPort) AuthServerExchange {
	return noneServerExchange{s}
}

type noneServerExchange struct{ s *NoneServer }

func (x noneServerExchange) Request(method AuthMethod, payload []byte) AuthResult {
	if method != AuthMethodNone {
		return AuthResult{Status: AuthBad, Errno: int32(unix.EOPNOTSUPP)}
	}
	d := wire.NewDecoder(payload)
	mode := d.U8()
	id := AuthIdentity{Name: entity.DecodeAuthName(d), GlobalID: d.U64()}
	if d.Err() != nil {
		return AuthResult{Status: AuthBad, Errno: int32(unix.EACCES)}
	}
	switch {
	case mode >= AuthModeAuthorizer && mode <= AuthModeAuthorizerMax:
	case mode >= AuthModeMon && mode <= AuthModeMonMax && x.s.AssignGlobalID != nil:
		if id.GlobalID == 0 {
			id.GlobalID = x.s.AssignGlobalID()
		}
		if id.GlobalID == 0 {
			return AuthResult{Status: AuthBusy}
		}
	default:
		return AuthResult{Status: AuthBad, Errno: int32(unix.EACCES)}
	}
	return AuthResult{Status: AuthDone, Identity: id}
}

func (x noneServerExchange) More([]byte) AuthResult {
	return AuthResult{Status: AuthBad, Errno: int32(unix.EACCES)}
}

// NoneClient is the [AuthClient] of auth "none". Its zero value with a Name is
// ready.
type NoneClient struct {
	// Name is whom to authenticate as.
	Name     entity.AuthName
	globalID atomic.Uint64
}

// GlobalID returns the number the monitors gave; 0 before the first session with
// one.
func (c *NoneClient) GlobalID() uint64 { return c.globalID.Load() }

// Begin opens an exchange.
func (c *NoneClient) Begin(peer entity.Type) AuthClientExchange {
	return &noneClientExchange{c: c, peer: peer}
}

type noneClientExchange struct {
	c    *NoneClient
	peer entity.Type
}

func (x *noneClientExchange) Request(allowed []AuthMethod) (AuthMethod, []byte, error) {
	if allowed != nil {
		// Refused although the method is allowed: trying again cannot help.
		return 0, nil, fmt.Errorf("the %v refused authentication as %v; it allows methods %v (none is 1: allowed %v)",
			x.peer, x.c.Name, allowed, slices.Contains(allowed, AuthMethodNone))
	}
	mode := AuthModeAuthorizer
	if x.peer == entity.TypeMon && x.c.Name.Type != entity.TypeMon {
		mode = AuthModeMon // monitors need no global id from each other
	}
	e := wire.NewEncoder(32)
	e.U8(mode)
	x.c.Name.Encode(e)
	e.U64(x.c.GlobalID())
	return AuthMethodNone, e.Bytes(), nil
}

func (x *noneClientExchange) More([]byte) ([]byte, error) {
	return nil, fmt.Errorf("the %v wants more than authentication none has to say", x.peer)
}

func (x *noneClientExchange) Done(globalID uint64, _ []byte) ([]byte, error) {
	if x.peer == entity.TypeMon && x.c.Name.Type != entity.TypeMon && globalID != 0 {
		x.c.globalID.Store(globalID)
	}
	return nil, nil
}
