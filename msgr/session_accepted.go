package msgr

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"sepiola/entity"
)

// Steps of a session that is a link a peer opened, and of one that takes such a
// link over.

func (s *session) onAccept(ev *event, fx *effects) {
	s.startLink(ev, fx)
	s.state = stateAcceptedBanner
}

func (s *session) onAcceptedBanner(ev *event, fx *effects) {
	if s.greet(ev, fx) {
		s.state = stateAcceptedHello
	}
}

func (s *session) onAcceptedHello(ev *event, fx *effects) {
	s.link.rx.add(ev.raw)
	s.kind = ev.control.(*helloFrame).kind
	s.policy = s.env.policy(s.kind)
	s.state = stateAcceptedAuth
}

func (s *session) onAuthRequest(ev *event, fx *effects) {
	s.link.rx.add(ev.raw)
	request := ev.control.(*authRequestFrame)
	s.link.method = request.method
	if !slices.Contains(request.modes, ModeCRC) {
		s.refuseAuth(fx, int32(unix.EOPNOTSUPP))
		return
	}
	s.judge(fx, authAsk{kind: askRequest, method: request.method, payload: request.payload})
}

func (s *session) onAuthRequestMore(ev *event, fx *effects) {
	s.link.rx.add(ev.raw)
	s.judge(fx, authAsk{kind: askMore, payload: ev.control.(*authRequestMoreFrame).payload})
}

// judge turns to the authentication server.
func (s *session) judge(fx *effects, a authAsk) {
	if len(s.link.rx.bytes) > transcriptMax {
		s.violate(fx, "authentication goes on too long")
		return
	}
	s.state = stateAcceptedVerdict
	fx.do(action{kind: actJudge, ask: a})
}

var errAuthBusy = errors.New("authentication is not possible now")

func (s *session) onVerdict(ev *event, fx *effects) {
	v := &ev.verdict
	switch v.Status {
	case AuthDone:
		s.identity = v.Identity
		s.link.key = v.SessionKey
		s.write(fx, &authDoneFrame{v.Identity.GlobalID, ModeCRC, v.Reply})
		s.sign(fx)
		s.state = stateAcceptedSign
	case AuthMore:
		s.write(fx, &authReplyMoreFrame{v.Reply})
		s.state = stateAcceptedAuthMore
	case AuthBusy:
		s.fault(fx, errAuthBusy)
	default:
		s.refuseAuth(fx, v.Errno)
	}
}

// refuseAuth tells the peer what it may try instead.
func (s *session) refuseAuth(fx *effects, errno int32) {
	if len(s.link.tx.bytes) > transcriptMax {
		s.violate(fx, "authentication goes on too long")
		return
	}
	s.write(fx, &authBadMethodFrame{s.link.method, -errno, s.env.methods(s.kind), []ConMode{ModeCRC}})
	s.state = stateAcceptedAuth
}

func (s *session) onAcceptedSignature(ev *event, fx *effects) {
	if s.verify(ev, fx) {
		s.state = stateAcceptedIdent
	}
}

func (s *session) onClientIdent(ev *event, fx *effects) {
	id := ev.control.(*clientIdentFrame)
	if len(id.addrs) == 0 || id.addrs.Msgr2().IsZero() {
		s.violate(fx, "the peer gives no address of its own")
		return
	}
	if self := s.env.self().addrs; !self.Contains(id.target) {
		// It looks for another incarnation, or for somebody else.
		s.violate(fx, "the peer is looking for %v, this is %v", id.target, self)
		return
	}
	if missing := (s.policy.FeaturesRequired | FeaturesProtocol) &^ id.supported; missing != 0 {
		s.write(fx, &identMissingFrame{missing})
		return
	}
	s.addrs = id.addrs
	s.target = id.addrs.Msgr2()
	s.num = id.num
	s.features = id.supported & FeaturesAll
	s.peerGlobalSeq = id.globalSeq
	s.clientCookie = id.cookie
	s.place(fx, nil)
}

func (s *session) onReconnect(ev *event, fx *effects) {
	rc := ev.control.(*reconnectFrame)
	if rc.addrs.Msgr2().IsZero() {
		s.violate(fx, "the peer gives no address of its own")
		return
	}
	s.addrs = rc.addrs
	s.target = rc.addrs.Msgr2()
	s.peerGlobalSeq = rc.globalSeq
	s.place(fx, rc)
}

// place asks which session the link belongs to.
func (s *session) place(fx *effects, rc *reconnectFrame) {
	s.link.reconnect = rc
	s.state = stateAcceptedPlace
	fx.act(actPlace)
}

func (s *session) onPlaced(_ *event, fx *effects) { s.admit(fx) }

func (s *session) onRejected(ev *event, fx *effects) {
	s.write(fx, ev.control)
	s.state = stateAcceptedIdent
}

// onMoved ends this session without touching the link it was.
func (s *session) onMoved(*event, *effects) {
	s.state = stateClosed
	s.link = linkState{}
}

// admit opens a new session on the link the peer opened.
func (s *session) admit(fx *effects) {
	s.inSeq = 0
	s.serverCookie = 0
	if !s.policy.Lossy {
		s.serverCookie = s.env.cookie()
	}
	self := s.env.self()
	s.write(fx, &serverIdentFrame{
		addrs: self.addrs, num: self.name.Num, globalSeq: s.env.globalSeq(0),
		supported: FeaturesAll, required: s.policy.FeaturesRequired | FeaturesProtocol,
		flags: lossyFlag(s.policy.Lossy), cookie: s.serverCookie,
	})
	s.opened(fx, noticeAccepted)
}

var errReplaced = errors.New("the peer has opened a newer session")

func (s *session) onReplaced(_ *event, fx *effects) {
	fx.reason = errReplaced
	s.close(fx, true)
}

// onAdopt takes the link of ev.other, which the registry found to belong to this
// session (ProtocolV2::reuse_connection).
func (s *session) onAdopt(ev *event, fx *effects) {
	if s.state.linked() || s.state == stateDialing {
		fx.act(actHangUp)
	}
	if s.state == stateBackoff {
		fx.act(actStopTimer)
	}
	fx.act(actAttach)
	s.sent.rewind()
	s.acknowledged()
	s.wantPong = false
	if ev.reset {
		s.forget(fx)
	}
	from := ev.other
	s.link = from.link
	s.link.reconnect = nil
	s.peerGlobalSeq = from.peerGlobalSeq
	s.identity = from.identity
	if ev.resumed {
		s.connectSeq = from.link.reconnect.connectSeq
		s.sent.trim(from.link.reconnect.msgSeq)
		s.write(fx, &reconnectOKFrame{s.inSeq})
		s.opened(fx, noticeAccepted)
		return
	}
	s.clientCookie = from.clientCookie
	s.features = from.features
	s.num = from.num
	s.addrs = slices.Clone[entity.AddrVec](from.addrs)
	s.admit(fx)
}
