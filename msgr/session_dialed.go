package msgr

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
)

// Steps of a session that seeks a link or opens itself on one it dialed.

// onConnect starts a session whose kind, target, addrs and policy are set.
func (s *session) onConnect(_ *event, fx *effects) {
	s.announced = true
	s.dial(fx)
}

func (s *session) onBackoffOver(_ *event, fx *effects) { s.dial(fx) }

// onWake seeks a link now: the peer is there, and waits for us.
func (s *session) onWake(_ *event, fx *effects) {
	if s.state == stateBackoff {
		fx.act(actStopTimer)
	}
	s.wantKeepalive = true
	s.dial(fx)
}

func (s *session) onRefused(ev *event, fx *effects) {
	if ev.refused {
		fx.tell(noticeRefused)
	}
	s.fault(fx, ev.err)
}

func (s *session) onLinked(ev *event, fx *effects) {
	s.startLink(ev, fx)
	s.state = stateDialedBanner
}

// startLink begins a link with our banner.
func (s *session) startLink(ev *event, fx *effects) {
	s.link = linkState{peerAddr: ev.linkAddr}
	p := banner{supported: featureRevision1}.bytes()
	s.link.tx.add(p)
	fx.do(action{kind: actWrite, bytes: p})
}

func (s *session) onDialedBanner(ev *event, fx *effects) {
	if s.greet(ev, fx) {
		s.state = stateDialedHello
	}
}

// greet answers a banner with our hello.
func (s *session) greet(ev *event, fx *effects) bool {
	s.link.rx.add(ev.raw)
	if missing := ev.banner.required &^ featureRevision1; missing != 0 {
		s.violate(fx, "the peer requires protocol features %#x", missing)
		return false
	}
	s.link.rev1 = ev.banner.supported&featureRevision1 != 0
	s.write(fx, &helloFrame{s.env.self().name.Type, s.link.peerAddr})
	return true
}

func (s *session) onDialedHello(ev *event, fx *effects) {
	s.link.rx.add(ev.raw)
	hello := ev.control.(*helloFrame)
	if hello.kind != s.kind {
		fx.offence = true
		fx.reason = fmt.Errorf("the peer is a %v, not a %v", hello.kind, s.kind)
		s.close(fx, true)
		return
	}
	fx.do(action{kind: actLearn, addr: hello.peerAddr})
	s.ask(fx, authAsk{kind: askRequest})
}

// ask turns to the authentication client.
func (s *session) ask(fx *effects, a authAsk) {
	s.state = stateDialedAnswer
	s.link.asked = a.kind
	fx.do(action{kind: actAsk, ask: a})
}

func (s *session) onAnswer(ev *event, fx *effects) {
	if ev.answer.err != nil {
		fx.reason = fmt.Errorf("authentication: %w", ev.answer.err)
		fx.offence = true
		s.close(fx, true)
		return
	}
	switch s.link.asked {
	case askRequest:
		s.write(fx, &authRequestFrame{ev.answer.method, []ConMode{ModeCRC}, ev.answer.payload})
		s.state = stateDialedAuth
	case askMore:
		s.write(fx, &authRequestMoreFrame{ev.answer.payload})
		s.state = stateDialedAuth
	case askDone:
		s.link.key = ev.answer.key
		s.sign(fx)
		s.state = stateDialedSign
	}
}

func (s *session) onAuthBadMethod(ev *event, fx *effects) {
	s.link.rx.add(ev.raw)
	bad := ev.control.(*authBadMethodFrame)
	if len(bad.modes) > 0 && !slices.Contains(bad.modes, ModeCRC) {
		s.violate(fx, "the peer allows connection modes %v, not crc", bad.modes)
		return
	}
	if len(s.link.tx.bytes) > transcriptMax {
		s.violate(fx, "authentication goes on too long")
		return
	}
	s.ask(fx, authAsk{kind: askRequest, allowed: append([]AuthMethod{}, bad.methods...)})
}

func (s *session) onAuthReplyMore(ev *event, fx *effects) {
	s.link.rx.add(ev.raw)
	if len(s.link.rx.bytes) > transcriptMax {
		s.violate(fx, "authentication goes on too long")
		return
	}
	s.ask(fx, authAsk{kind: askMore, payload: ev.control.(*authReplyMoreFrame).payload})
}

func (s *session) onAuthDone(ev *event, fx *effects) {
	s.link.rx.add(ev.raw)
	done := ev.control.(*authDoneFrame)
	if done.mode != ModeCRC {
		s.violate(fx, "the peer chose connection mode %d, which was not offered", done.mode)
		return
	}
	s.identity.GlobalID = done.globalID
	s.ask(fx, authAsk{kind: askDone, globalID: done.globalID, payload: done.payload})
}

// sign sends the signature of all that was received. What follows is not signed.
func (s *session) sign(fx *effects) {
	s.link.rx.done, s.link.tx.done = true, true
	f := authSignatureFrame(s.link.rx.signature(s.link.key))
	s.write(fx, &f)
}

// signature is zero without a key (ProtocolV2::finish_auth).
func (t *transcript) signature(key []byte) (sum [32]byte) {
	if len(key) > 0 {
		h := hmac.New(sha256.New, key)
		h.Write(t.bytes)
		h.Sum(sum[:0])
	}
	return sum
}

// verify compares the peer's signature with what was sent, and frees the
// transcripts.
func (s *session) verify(ev *event, fx *effects) bool {
	got := *ev.control.(*authSignatureFrame)
	want := s.link.tx.signature(s.link.key)
	if !hmac.Equal(got[:], want[:]) {
		s.violate(fx, "signature of the authentication does not match")
		return false
	}
	s.link.rx.bytes, s.link.tx.bytes = nil, nil
	return true
}

func (s *session) onDialedSignature(ev *event, fx *effects) {
	switch {
	case !s.verify(ev, fx):
	case s.serverCookie == 0:
		s.identify(fx)
	default:
		s.resume(fx)
	}
}

// identify asks for a new session.
func (s *session) identify(fx *effects) {
	if !s.policy.Lossy && s.clientCookie == 0 {
		s.clientCookie = s.env.cookie()
	}
	self := s.env.self()
	s.write(fx, &clientIdentFrame{
		addrs: self.addrs, target: s.target, num: self.name.Num, globalSeq: s.globalSeq,
		supported: FeaturesAll, required: s.policy.FeaturesRequired | FeaturesProtocol,
		flags: lossyFlag(s.policy.Lossy), cookie: s.clientCookie,
	})
	s.state = stateDialedIdent
}

func lossyFlag(lossy bool) uint64 {
	if lossy {
		return flagLossy
	}
	return 0
}

// resume asks to go on with the session there was.
func (s *session) resume(fx *effects) {
	s.write(fx, &reconnectFrame{
		addrs: s.env.self().addrs, clientCookie: s.clientCookie, serverCookie: s.serverCookie,
		globalSeq: s.globalSeq, connectSeq: s.connectSeq, msgSeq: s.inSeq,
	})
	s.state = stateDialedReconnect
}

func (s *session) onServerIdent(ev *event, fx *effects) {
	id := ev.control.(*serverIdentFrame)
	if !id.addrs.Contains(s.target) {
		s.violate(fx, "the peer is %v, not %v", id.addrs, s.target)
		return
	}
	if missing := (s.policy.FeaturesRequired | FeaturesProtocol) &^ id.supported; missing != 0 {
		s.violate(fx, "the peer lacks features %#x", missing)
		return
	}
	s.serverCookie = id.cookie
	s.addrs = id.addrs
	s.num = id.num
	s.features = id.supported & FeaturesAll
	s.peerGlobalSeq = id.globalSeq
	s.policy.Lossy = id.flags&flagLossy != 0
	if s.policy.Lossy {
		s.sent.clear()
	}
	s.opened(fx, noticeConnected)
}

func (s *session) onIdentMissing(ev *event, fx *effects) {
	s.violate(fx, "the peer requires features %#x, which we lack", ev.control.(*identMissingFrame).features)
}

func (s *session) onReconnectOK(ev *event, fx *effects) {
	s.sent.trim(ev.control.(*reconnectOKFrame).msgSeq)
	s.opened(fx, noticeConnected)
}

func (s *session) onReset(ev *event, fx *effects) {
	if ev.control.(*resetFrame).full {
		s.forget(fx)
	} else {
		s.serverCookie, s.connectSeq, s.inSeq = 0, 0, 0
	}
	s.identify(fx)
}

func (s *session) onRetry(ev *event, fx *effects) {
	s.connectSeq = ev.control.(*retryFrame).connectSeq + 1
	s.resume(fx)
}

func (s *session) onRetryGlobal(ev *event, fx *effects) {
	s.globalSeq = s.env.globalSeq(ev.control.(*retryGlobalFrame).globalSeq)
	s.resume(fx)
}

var errRaceLost = errors.New("the peer is connecting to us already")

// onYield gives our attempt up, and with it an answer that may be on its way: the
// peer asks for the session on another link, as if that had never been given.
func (s *session) onYield(ev *event, fx *effects) { s.onWait(ev, fx) }

// onWait makes way for the peer's own attempt. Should that not come, ours is
// repeated after the longest pause.
func (s *session) onWait(_ *event, fx *effects) {
	fx.act(actHangUp)
	fx.reason = errRaceLost
	s.link = linkState{}
	if s.serverCookie != 0 {
		s.connectSeq++
	}
	s.backoff = s.env.backoffMax
	s.pause(fx)
}
