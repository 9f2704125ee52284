package msgr

import (
	"bytes"
	"encoding/binary"
	"errors"

	"sepiola/entity"
)

// placement is what becomes of a link whose peer has said who it is.
type placement uint8

const (
	placeOwn     placement = iota // it is a new session
	placeReplace                  // it is a new session; the existing one ends
	placeAdopt                    // the existing session takes the link
	placeReject                   // the peer is told to do something else
	placeDrop                     // the link is stale
)

// ruling is a placement with what belongs to it.
type ruling struct {
	placement placement
	reset     bool    // placeAdopt: the peer has lost its state
	reply     control // placeReject
	wake      bool    // placeReject: follow through with the existing session's own attempt
	yield     bool    // placeReject: give the existing session's own attempt up
	reason    error   // placeDrop
}

var errStaleLink = errors.New("the peer has opened a newer connection since")

// rule decides on the session in, which is in stateAcceptedPlace, given the
// session existing with the same peer address, nil if there is none, and our own
// address (ProtocolV2::handle_existing_connection, handle_reconnect).
func rule(in, existing *session, self entity.Addr) ruling {
	if existing != nil && existing.state == stateClosed {
		existing = nil
	}
	if in.link.reconnect != nil {
		return ruleReconnect(in, existing, self)
	}
	switch {
	case existing == nil || !in.registered():
		return ruling{placement: placeOwn}
	case existing.peerGlobalSeq > in.peerGlobalSeq:
		return ruling{placement: placeDrop, reason: errStaleLink}
	case existing.policy.Lossy:
		return ruling{placement: placeReplace}
	case existing.serverCookie != 0 && existing.clientCookie != 0 && existing.clientCookie != in.clientCookie:
		return ruling{placement: placeAdopt, reset: in.policy.ResetCheck}
	case existing.clientCookie == in.clientCookie:
		// Our SERVER_IDENT did not arrive.
		return ruling{placement: placeAdopt}
	case existing.state == stateOpen, existing.state == stateStandby && !existing.begun():
		return ruling{placement: placeAdopt}
	case existing.policy.Server || raceLess(in.target, self):
		return ruling{placement: placeAdopt}
	}
	return ruling{placement: placeReject, reply: &waitFrame{}, wake: true}
}

// begun reports whether the session has asked for itself, and not heard whether
// the peer has it. Should two such meet, both ends have to keep the same one, so
// it is a race also when one of them has nothing to send and stands by; Ceph takes
// the link that comes last then, and the peer may take the other.
func (s *session) begun() bool { return s.serverCookie == 0 && s.clientCookie != 0 }

func ruleReconnect(in, existing *session, self entity.Addr) ruling {
	rc := in.link.reconnect
	reject := func(f control) ruling { return ruling{placement: placeReject, reply: f} }
	switch {
	case existing == nil:
		return reject(&resetFrame{full: true})
	case existing.clientCookie != rc.clientCookie:
		return reject(&resetFrame{full: in.policy.ResetCheck})
	case existing.serverCookie == 0:
		// We were the client and did not receive the SERVER_IDENT. Nor must we
		// from now on, nor the messages behind it: the peer is about to number
		// them anew.
		return ruling{placement: placeReject, reply: &resetFrame{full: false}, yield: true}
	case existing.peerGlobalSeq > rc.globalSeq:
		return reject(&retryGlobalFrame{existing.peerGlobalSeq})
	case existing.connectSeq > rc.connectSeq:
		return reject(&retryFrame{existing.connectSeq})
	case existing.connectSeq == rc.connectSeq && !existing.policy.Server && raceLess(self, in.target):
		return ruling{placement: placeReject, reply: &waitFrame{}, wake: true}
	}
	return ruling{placement: placeAdopt}
}

// registered reports whether the session is found by its peer's address. A lossy
// client's is not, unless the policy wants one session per client.
func (s *session) registered() bool {
	return !(s.policy.Server && s.policy.Lossy) || s.policy.RegisterLossy
}

// raceLess orders addresses for connection races. Both ends must agree, so it is
// Ceph's order: entity_addr_t compared as memory, with the type and nonce in
// little-endian, the address family in host order and the port in network order.
func raceLess(a, b entity.Addr) bool { return bytes.Compare(raceKey(a), raceKey(b)) < 0 }

func raceKey(a entity.Addr) []byte {
	k := binary.LittleEndian.AppendUint32(make([]byte, 0, 36), uint32(a.Type))
	k = binary.LittleEndian.AppendUint32(k, a.Nonce)
	ip := a.Addr().Unmap()
	switch {
	case ip.Is4():
		k = binary.LittleEndian.AppendUint16(k, 2)
		k = binary.BigEndian.AppendUint16(k, a.Port())
	case ip.Is6():
		k = binary.LittleEndian.AppendUint16(k, 10)
		k = binary.BigEndian.AppendUint16(k, a.Port())
		k = binary.LittleEndian.AppendUint32(k, 0) // flow information
	}
	return append(k, ip.AsSlice()...)
}
