package pg

import (
	"sepiola/message"
)

// kindOf tells what a peer's message is to the state machine; ok is false for one
// that is not for a PG.
func kindOf(m message.Body) (k eventKind, ok bool) {
	switch m.(type) {
	case *message.OSDPGNotify2:
		return evNotify, true
	case *message.OSDPGQuery2:
		return evQuery, true
	case *message.OSDPGInfo2:
		return evInfo, true
	case *message.OSDPGLog:
		return evLog, true
	case *message.OSDPGRemove:
		return evRemove, true
	case *message.OSDPGTrim:
		return evTrim, true
	case *message.OSDPGLease, *message.OSDPGLeaseAck:
		return evLease, true
	case *message.OSDRepOp:
		return evRepOp, true
	case *message.OSDRepOpReply:
		return evRepOpReply, true
	case *message.OSDPGUpdateLogMissing:
		return evLogUpdate, true
	case *message.OSDPGUpdateLogMissingReply:
		return evLogUpdateReply, true
	case *message.OSDPGPull:
		return evPull, true
	case *message.OSDPGPush:
		return evPush, true
	case *message.OSDPGPushReply:
		return evPushReply, true
	case *message.OSDPGRecoveryDelete:
		return evDelete, true
	case *message.OSDPGRecoveryDeleteReply:
		return evDeleteReply, true
	case *message.OSDPGScan:
		return evScan, true
	case *message.OSDPGBackfill:
		return evBackfill, true
	case *message.OSDPGBackfillRemove:
		return evBackfillRemove, true
	case *message.RecoveryReserve:
		return evRecoveryReserve, true
	case *message.BackfillReserve:
		return evBackfillReserve, true
	}
	return 0, false
}

// epochsOf returns the epoch of the sender's map and the oldest interval start
// the message still means something in.
func epochsOf(m message.Body) (sent, min uint32) {
	switch b := m.(type) {
	case message.PGMessage:
		return b.MapEpoch(), b.MinEpoch()
	case *message.OSDPGRemove:
		return b.Epoch, b.Epoch
	}
	return 0, 0
}

// peerMessage takes a message from another OSD: it waits for the sender's map, is
// dropped if it belongs to an earlier interval, or reaches the current state.
func (p *PG) peerMessage(e PeerMessage) {
	kind, ok := kindOf(e.Msg)
	if !ok {
		p.note("message %d from osd.%d is not for a PG", e.Msg.Type(), e.From)
		return
	}
	sent, min := epochsOf(e.Msg)
	if sent > p.osdmap.Epoch || p.inReset() || p.waitsForMap(e) {
		p.waitMap = append(p.waitMap, e)
		if sent > p.osdmap.Epoch {
			p.fx.add(NeedMap{sent})
		}
		return
	}
	if !p.isCurrent(min) || !p.isCurrent(sent) {
		return
	}
	if p.osdmap.IsDown(e.From) {
		return // from before it died
	}
	p.dispatch(kind, e)
}

// inReset reports whether maps are at hand that may start another interval.
func (p *PG) inReset() bool { return p.state.id() == stReset }

// waitsForMap reports whether something from the same sender is waiting already:
// what follows must not overtake it.
func (p *PG) waitsForMap(ev Event) bool {
	for _, w := range p.waitMap {
		switch e := ev.(type) {
		case PeerMessage:
			if o, ok := w.(PeerMessage); ok && o.From == e.From {
				return true
			}
		case ClientOp:
			if o, ok := w.(ClientOp); ok && o.From == e.From {
				return true
			}
		case BackoffAck:
			if o, ok := w.(ClientOp); ok && o.From == e.From {
				return true
			}
		}
	}
	return false
}

// wakeMapWaiters delivers what waited for the current map, in order.
func (p *PG) wakeMapWaiters() {
	if p.inReset() {
		return
	}
	waiting := p.waitMap
	p.waitMap = nil
	for _, ev := range waiting {
		switch e := ev.(type) {
		case PeerMessage:
			p.peerMessage(e)
		case ClientOp:
			p.waiting--
			p.clientOp(e)
		case BackoffAck:
			p.backoffAck(e)
		}
	}
}
