package msgr

import (
	"fmt"
	"time"

	"sepiola/entity"
	"sepiola/wire"
)

// A session is what two entities share over any number of sockets. This file and
// the other session*.go are its state machine: step takes an event and appends
// what is to be done to effects. It has no locks, no goroutines, no clock and no
// socket; its user serialises the calls and carries the effects out in order.
//
// A link is one socket's worth of a session. A session that accepted a link, and
// finds that the peer has a session with us already, gives the link to that one
// and ends (registry.go).

// state is where a session is.
type state uint8

const (
	// stateClosed: nothing happens any more.
	stateClosed state = iota
	// stateIdle: made, not started.
	stateIdle
	// stateStandby: no link, and none is sought until there is something to send
	// or the peer comes.
	stateStandby
	// stateBackoff: no link; the next attempt is due when the timer says so.
	stateBackoff
	// stateDialing: the transport is connecting.
	stateDialing
	// The states of a link we opened, each named after what it awaits.
	stateDialedBanner
	stateDialedHello
	stateDialedAnswer // our authentication client's next payload
	stateDialedAuth
	stateDialedSign
	stateDialedIdent
	stateDialedReconnect
	// The states of a link the peer opened.
	stateAcceptedBanner
	stateAcceptedHello
	stateAcceptedAuth
	stateAcceptedAuthMore
	stateAcceptedVerdict // our authentication server's decision
	stateAcceptedSign
	stateAcceptedIdent
	stateAcceptedPlace // which session the link belongs to
	// stateOpen: messages flow.
	stateOpen
	numStates
)

var stateNames = [numStates]string{
	"closed", "idle", "standby", "backoff", "dialing",
	"dialed-banner", "dialed-hello", "dialed-answer", "dialed-auth", "dialed-sign",
	"dialed-ident", "dialed-reconnect",
	"accepted-banner", "accepted-hello", "accepted-auth", "accepted-auth-more",
	"accepted-verdict", "accepted-sign", "accepted-ident", "accepted-place", "open",
}

func (s state) String() string { return stateNames[s] }

// dialed reports whether the session is on its way to open a link, or to open
// the session on it.
func (s state) dialed() bool { return s >= stateBackoff && s <= stateDialedReconnect }

// accepted reports whether the session is a link the peer opened, not part of a
// session yet.
func (s state) accepted() bool { return s >= stateAcceptedBanner && s <= stateAcceptedPlace }

// linked reports whether there is a socket.
func (s state) linked() bool { return s >= stateDialedBanner }

// eventKind is what happened.
type eventKind uint8

const (
	evConnect     eventKind = iota // open a session with target
	evAccept                       // a peer opened the link this session is for
	evLinked                       // the transport has connected
	evRefused                      // the transport could not connect; err says why
	evLost                         // the link broke, or what came over it was no frame
	evBackoffOver                  // the backoff timer
	evAckDue                       // the acknowledgement timer
	evSend                         // queue msg
	evKeepalive                    // ask the peer for a sign of life
	evWake                         // the peer was told to wait for our own attempt
	evYield                        // the peer was told to go on with its own attempt
	evMarkDown                     // the owner is done with the session
	evAnswer                       // the authentication client's payload
	evVerdict                      // the authentication server's decision
	evPlaced                       // the link is this session's own
	evRejected                     // the link is for no session now; the peer is told with control
	evMoved                        // the link went to another session
	evReplaced                     // a newer session with the peer takes this one's place
	evAdopt                        // take over the link of session other
	evBanner                       // the peer's banner
	evFrame                        // the first of the frames, in the order of their tags
	numEvents     = evFrame + eventKind(numTags) - 1
)

// frameEvent is the event of a frame's arrival.
func frameEvent(t tag) eventKind { return evFrame + eventKind(t) - 1 }

var eventNames = [evFrame]string{
	"connect", "accept", "linked", "refused", "lost", "backoff-over", "ack-due", "send",
	"keepalive", "wake", "yield", "mark-down", "answer", "verdict", "placed", "rejected", "moved", "replaced",
	"adopt", "banner",
}

func (k eventKind) String() string {
	if k < evFrame {
		return eventNames[k]
	}
	return tag(k - evFrame + 1).String()
}

// event is one event; which fields are set depends on its kind.
type event struct {
	kind     eventKind
	err      error
	refused  bool // evRefused: the peer's host said nobody listens
	msg      *Message
	head     *messageHead
	control  control
	banner   banner
	raw      []byte // the frame's or banner's bytes, while a transcript is kept
	linkAddr entity.Addr
	answer   authAnswer
	verdict  AuthResult
	other    *session
	resumed  bool // evAdopt: after SESSION_RECONNECT rather than CLIENT_IDENT
	reset    bool // evAdopt: the peer lost its state, drop ours too
}

// authAnswer is the authentication client's part in evAnswer.
type authAnswer struct {
	method  AuthMethod
	payload []byte
	key     []byte
	err     error
}

// actionKind is something to be done.
type actionKind uint8

const (
	actDial      actionKind = iota // connect to target
	actHangUp                      // close the link
	actWrite                       // put bytes on the link, before any message taken later
	actFlush                       // there is something to take for the link
	actBackoff                     // start the backoff timer
	actStopTimer                   // stop the backoff timer
	actAckTimer                    // start the acknowledgement timer
	actAsk                         // ask the authentication client; evAnswer follows
	actJudge                       // ask the authentication server; evVerdict follows
	actPlace                       // find the link's session (registry)
	actLearn                       // the peer says where it sees us
	actNotify                      // tell the owner
	actAttach                      // the link of the adopted session is this one's now
	actOpened                      // the handshake is over: no deadline any more
)

// notice is what the owner is told.
type notice uint8

const (
	noticeConnected notice = iota
	noticeAccepted
	noticeReset
	noticeRemoteReset
	noticeRefused
)

type action struct {
	kind   actionKind
	bytes  []byte
	after  time.Duration
	notice notice
	addr   entity.Addr
	ask    authAsk
}

// authAskKind is which method of the authentication exchange to call.
type authAskKind uint8

const (
	askRequest authAskKind = iota
	askMore
	askDone
)

type authAsk struct {
	kind     authAskKind
	method   AuthMethod
	allowed  []AuthMethod
	payload  []byte
	globalID uint64
}

// effects collects what a step asks for.
type effects struct {
	list []action
	// deliver: the message of evMessage is the next one in order and belongs to
	// the owner.
	deliver bool
	// reason says why a link was given up; nil when there is nothing to tell.
	reason error
	// offence: the peer broke the protocol.
	offence bool
}

func (fx *effects) reset() {
	clear(fx.list)
	*fx = effects{list: fx.list[:0]}
}

func (fx *effects) do(a action)      { fx.list = append(fx.list, a) }
func (fx *effects) act(k actionKind) { fx.list = append(fx.list, action{kind: k}) }
func (fx *effects) tell(n notice)    { fx.do(action{kind: actNotify, notice: n}) }

// identity is who we are.
type identity struct {
	name  entity.Name
	addrs entity.AddrVec
}

// environ is what sessions need from outside. Its functions are called within
// steps and must not wait for anything that might wait for a step.
type environ struct {
	self   func() identity
	policy func(entity.Type) Policy
	// cookie returns a random number other than 0.
	cookie func() uint64
	// globalSeq returns a number greater than any before, and than atLeast.
	globalSeq func(atLeast uint64) uint64
	// methods returns what the authentication server allows.
	methods func(entity.Type) []AuthMethod
	// backoffFirst and backoffMax bound the pause between attempts; ackDelay is
	// how long an acknowledgement may wait for company.
	backoffFirst, backoffMax, ackDelay time.Duration
}

// An acknowledgement travels with the next message. It gets a frame of its own
// when so many messages or bytes are owed, or after ackDelay.
const (
	ackMessages = 64
	ackBytes    = 4 << 20
)

// session is the state shared with one peer. See the top of the file.
type session struct {
	env    *environ
	policy Policy
	state  state

	// the peer
	kind      entity.Type
	num       int64
	addrs     entity.AddrVec
	target    entity.Addr // whom we dial
	identity  AuthIdentity
	features  uint64
	announced bool // the owner knows of the session

	// the session's place among the peer's and our own attempts
	clientCookie, serverCookie uint64
	globalSeq, peerGlobalSeq   uint64
	connectSeq                 uint64
	backoff                    time.Duration

	// message flow
	inSeq, outSeq uint64
	queue         sendQueue
	sent          sentQueue
	owed          int // messages not acknowledged to the peer yet
	owedBytes     int
	ackNow        bool
	ackTimer      bool
	wantKeepalive bool
	pong          stamp
	wantPong      bool
	lastPong      stamp // our keepalive that the peer answered last

	link linkState
}

// linkState is what lasts as long as a link.
type linkState struct {
	rev1      bool
	peerAddr  entity.Addr // as the socket has it
	method    AuthMethod
	asked     authAskKind
	key       []byte
	rx, tx    transcript
	reconnect *reconnectFrame // what the peer asks for, in stateAcceptedPlace
}

// transcript is what passed over a link before its session, for the signatures.
type transcript struct {
	bytes []byte
	done  bool
}

// transcriptMax bounds an authentication exchange.
const transcriptMax = 1 << 20

func (t *transcript) add(p []byte) {
	if !t.done {
		t.bytes = append(t.bytes, p...)
	}
}

// newSession returns a session to be started with evConnect or evAccept.
func newSession(env *environ) *session {
	return &session{env: env, state: stateIdle, num: -1}
}

// step is the machine: it takes the event and appends the effects.
func (s *session) step(ev *event, fx *effects) {
	table[s.state][ev.kind].run(s, ev, fx)
}

// peer returns the peer's name.
func (s *session) peer() entity.Name { return entity.Name{Type: s.kind, Num: s.num} }

// write puts a control frame on the link.
func (s *session) write(fx *effects, f control) {
	p := frameBytes(s.link.rev1, f)
	s.link.tx.add(p)
	fx.do(action{kind: actWrite, bytes: p})
}

// pending reports whether there is a message to send.
func (s *session) pending() bool { return s.queue.len() > 0 || s.sent.wired < s.sent.ring.len() }

// violate gives the link up because of what the peer sent.
func (s *session) violate(fx *effects, format string, args ...any) {
	fx.offence = true
	s.fault(fx, fmt.Errorf(format, args...))
}

// close ends the session.
func (s *session) close(fx *effects, notify bool) {
	if s.state.linked() || s.state == stateDialing {
		fx.act(actHangUp)
	}
	if s.state == stateBackoff {
		fx.act(actStopTimer)
	}
	s.state = stateClosed
	s.queue.clear()
	s.sent.clear()
	s.link = linkState{}
	if notify && s.announced {
		fx.tell(noticeReset)
	}
}

// fault is the end of a link, or of an attempt to get one; what follows depends
// on the policy (ProtocolV2::_fault).
func (s *session) fault(fx *effects, reason error) {
	fx.reason = reason
	was := s.state
	if s.policy.Lossy && !was.dialed() || was.accepted() {
		s.close(fx, true)
		return
	}
	if was.linked() || was == stateDialing {
		fx.act(actHangUp)
	}
	s.link = linkState{}
	s.sent.rewind()
	s.owed, s.owedBytes, s.ackNow, s.wantPong = 0, 0, false, false
	if s.policy.Server || s.policy.Standby && !s.pending() && !s.wantKeepalive {
		s.state = stateStandby
		return
	}
	if was == stateOpen {
		s.connectSeq++
		s.backoff = 0
		s.dial(fx)
		return
	}
	if s.serverCookie != 0 {
		s.connectSeq++
	}
	s.backoff = min(max(2*s.backoff, s.env.backoffFirst), s.env.backoffMax)
	s.pause(fx)
}

// pause waits before the next attempt.
func (s *session) pause(fx *effects) {
	s.state = stateBackoff
	fx.do(action{kind: actBackoff, after: s.backoff})
}

// dial seeks a link.
func (s *session) dial(fx *effects) {
	s.globalSeq = s.env.globalSeq(0)
	s.state = stateDialing
	fx.act(actDial)
}

// forget drops all that the session has of the peer (reset_session).
func (s *session) forget(fx *effects) {
	s.queue.clear()
	s.sent.clear()
	s.inSeq, s.outSeq = 0, 0
	s.clientCookie, s.serverCookie = 0, 0
	s.connectSeq, s.peerGlobalSeq = 0, 0
	s.owed, s.owedBytes, s.ackNow = 0, 0, false
	if s.announced {
		fx.tell(noticeRemoteReset)
	}
}

// opened makes the session open on the current link.
func (s *session) opened(fx *effects, n notice) {
	s.state = stateOpen
	s.backoff = 0
	s.announced = true
	fx.act(actOpened)
	fx.tell(n)
	if s.pending() || s.wantKeepalive {
		fx.act(actFlush)
	}
}

// outgoing is a message taken for the link.
type outgoing struct {
	msg *Message
	seq uint64
	ack uint64
}

// takeControl returns the frames of an open session that are due, appended to
// dst. now stamps keepalives.
func (s *session) takeControl(dst []byte, now stamp) []byte {
	if s.state != stateOpen {
		return dst
	}
	if s.wantKeepalive {
		s.wantKeepalive = false
		dst = appendStamp(dst, s.link.rev1, tagKeepalive2, now)
	}
	if s.wantPong {
		s.wantPong = false
		dst = appendStamp(dst, s.link.rev1, tagKeepalive2Ack, s.pong)
	}
	if s.owed > 0 && !s.pending() && (s.ackNow || s.owed >= ackMessages || s.owedBytes >= ackBytes) {
		dst = append(dst, frameBytes(s.link.rev1, &ackFrame{s.inSeq})...)
		s.acknowledged()
	}
	return dst
}

func appendStamp(dst []byte, rev1 bool, t tag, at stamp) []byte {
	e := wire.NewEncoder(8)
	at.encode(e)
	return appendControl(dst, rev1, t, e.Bytes())
}

func (s *session) acknowledged() { s.owed, s.owedBytes, s.ackNow = 0, 0, false }

// take returns the next message for the link of an open session.
func (s *session) take() (o outgoing, ok bool) {
	if s.state != stateOpen {
		return o, false
	}
	if again, ok := s.sent.resend(); ok {
		s.acknowledged()
		return outgoing{again.m, again.seq, s.inSeq}, true
	}
	m := s.queue.pop()
	if m == nil {
		return o, false
	}
	s.outSeq++
	if !s.policy.Lossy {
		s.sent.add(m, s.outSeq)
	}
	s.acknowledged()
	return outgoing{m, s.outSeq, s.inSeq}, true
}
