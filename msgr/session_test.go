package msgr

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"sepiola/entity"
	"sepiola/wire"
)

var update = flag.Bool("update", false, "rewrite the listing of the session table")

func testEnv(name entity.Name, addr entity.Addr) *environ {
	var seq, cookie uint64
	return &environ{
		self:   func() identity { return identity{name, entity.AddrVec{addr}} },
		policy: func(entity.Type) Policy { return LosslessPeer() },
		cookie: func() uint64 { cookie++; return cookie<<8 | uint64(addr.Port()) },
		globalSeq: func(atLeast uint64) uint64 {
			seq = max(seq, atLeast) + 1
			return seq
		},
		methods:      func(entity.Type) []AuthMethod { return []AuthMethod{AuthMethodNone} },
		backoffFirst: time.Second, backoffMax: 8 * time.Second, ackDelay: time.Millisecond,
	}
}

func testAddr(port uint16) entity.Addr {
	return entity.Addr{Type: entity.AddrMsgr2, Nonce: 1, AddrPort: netip.AddrPortFrom(loopback.Addr(), port)}
}

// sampleEvent is an event of the kind as a driver would make it.
func sampleEvent(k eventKind) *event {
	ev := &event{kind: k, err: errors.New("lost"), linkAddr: testAddr(2)}
	switch k {
	case evSend:
		ev.msg = &Message{Type: 1}
	case evRejected:
		ev.control = &waitFrame{}
	case evAdopt:
		ev.other = &session{state: stateAcceptedPlace, clientCookie: 5, addrs: entity.AddrVec{testAddr(2)}}
	case evAnswer:
		ev.answer = authAnswer{method: AuthMethodNone}
	case frameEvent(tagMessage):
		ev.head, ev.msg = &messageHead{seq: 1}, &Message{}
	}
	if t := tag(k - evFrame + 1); k >= evFrame && t != tagMessage {
		ev.control = sampleControl(t)
	}
	return ev
}

func sampleControl(t tag) control {
	addrs := entity.AddrVec{testAddr(2)}
	switch t {
	case tagHello:
		return &helloFrame{entity.TypeOSD, testAddr(1)}
	case tagAuthRequest:
		return &authRequestFrame{AuthMethodNone, []ConMode{ModeCRC}, nil}
	case tagAuthBadMethod:
		return &authBadMethodFrame{methods: []AuthMethod{AuthMethodNone}, modes: []ConMode{ModeCRC}}
	case tagAuthDone:
		return &authDoneFrame{mode: ModeCRC}
	case tagClientIdent:
		return &clientIdentFrame{addrs: addrs, target: testAddr(1), supported: FeaturesAll, cookie: 5}
	case tagServerIdent:
		return &serverIdentFrame{addrs: addrs, supported: FeaturesAll, cookie: 6}
	case tagSessionReconnect:
		return &reconnectFrame{addrs: addrs}
	}
	c, err := decodeControl(t, make([]byte, 64))
	if err != nil {
		panic(err)
	}
	return c
}

func sampleSession(st state, p Policy) *session {
	s := newSession(testEnv(entity.OSD(1), testAddr(1)))
	s.state, s.policy = st, p
	s.kind, s.target, s.addrs = entity.TypeOSD, testAddr(2), entity.AddrVec{testAddr(2)}
	s.announced = !st.accepted() && st != stateIdle
	s.link.rev1 = true
	if st == stateDialedReconnect {
		s.clientCookie, s.serverCookie = 3, 4
	}
	return s
}

// TestEveryPair takes every event in every state under every policy, and checks
// what must hold of any step.
func TestEveryPair(t *testing.T) {
	policies := map[string]Policy{
		"lossy client": LossyClient(), "stateless server": StatelessRegisteredServer(),
		"lossless client": LosslessClient(), "stateful server": StatefulServer(),
		"peer": LosslessPeer(), "peer reuse": LosslessPeerReuse(),
	}
	for st := range numStates {
		for k := range numEvents {
			if table[st][k] == nil {
				t.Fatalf("%v has no step for %v", st, k)
			}
			for name, p := range policies {
				s, fx := sampleSession(st, p), &effects{}
				s.step(sampleEvent(k), fx)
				checkStep(t, fmt.Sprintf("%v, %v, %s", st, k, name), st, s, fx)
			}
		}
	}
}

// checkStep states what any step keeps to.
func checkStep(t *testing.T, what string, was state, s *session, fx *effects) {
	t.Helper()
	// A link is there already when a session is made to accept it.
	linked := was.linked() || was == stateDialing || was == stateIdle && s.state == stateAcceptedBanner
	errands, hungUp := 0, false
	for _, a := range fx.list {
		switch a.kind {
		case actHangUp:
			if !linked {
				t.Errorf("%s: hangs up without a link", what)
			}
			linked, hungUp = false, true
		case actDial:
			if linked {
				t.Errorf("%s: dials beside a link", what)
			}
			linked = true
		case actAttach:
			linked = true
		case actWrite:
			if !linked {
				t.Errorf("%s: writes without a link", what)
			}
		case actAsk, actJudge, actPlace:
			errands++
		case actOpened:
			if s.state != stateOpen {
				t.Errorf("%s: opened in state %v", what, s.state)
			}
		}
	}
	if errands > 1 {
		t.Errorf("%s: %d errands at once", what, errands)
	}
	// A moved session leaves its link to another, idle has none to lose.
	if has := s.state.linked() || s.state == stateDialing; has != linked && !(was == stateAcceptedPlace && s.state == stateClosed) {
		t.Errorf("%s: state %v, link %v", what, s.state, linked)
	}
	if was == stateClosed && (s.state != stateClosed || len(fx.list) > 0) {
		t.Errorf("%s: a closed session did something", what)
	}
	if fx.offence && !hungUp && was != stateClosed {
		t.Errorf("%s: an offender keeps its link", what)
	}
	if fx.deliver && was != stateOpen {
		t.Errorf("%s: delivers a message", what)
	}
}

// TestTableListing keeps testdata/session_table.txt, which people read, equal to
// the table.
func TestTableListing(t *testing.T) {
	var b strings.Builder
	b.WriteString("What a session does in each state with each event; \"-\" is nothing.\n")
	b.WriteString("Events that every linked state answers with \"violation\" and no other are left out.\n")
	for st := range numStates {
		fmt.Fprintf(&b, "\n%v\n", st)
		for k := range numEvents {
			if h := table[st][k]; h != hViolation && h != hIgnore {
				fmt.Fprintf(&b, "    %-24v %s\n", k, h.name)
			}
		}
	}
	const file = "testdata/session_table.txt"
	if *update {
		os.MkdirAll("testdata", 0o777)
		if err := os.WriteFile(file, []byte(b.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != b.String() {
		t.Errorf("%s is not what the table says (%v); run go test -run TestTableListing -update", file, err)
	}
}

// TestReplay: what the peer has not acknowledged goes out again with its numbers,
// once, before what was never sent; what it has is not.
func TestReplay(t *testing.T) {
	s, fx := sampleSession(stateOpen, LosslessPeer()), &effects{}
	s.clientCookie, s.serverCookie = 3, 4
	for i := range 5 {
		s.step(&event{kind: evSend, msg: &Message{TID: uint64(i + 1)}}, fx)
	}
	for range 3 {
		s.take()
	}
	s.step(&event{kind: frameEvent(tagAck), control: &ackFrame{1}}, fx)
	s.step(&event{kind: evLost, err: errors.New("cut")}, fx)
	if s.state != stateDialing || s.connectSeq != 1 {
		t.Fatalf("state %v, connect_seq %d", s.state, s.connectSeq)
	}
	if _, ok := s.take(); ok {
		t.Fatal("a message was taken without a link")
	}
	s.state = stateDialedReconnect
	s.step(&event{kind: frameEvent(tagSessionReconnectOK), control: &reconnectOKFrame{2}}, fx)
	var got []string
	for {
		o, ok := s.take()
		if !ok {
			break
		}
		got = append(got, fmt.Sprintf("%d:%d", o.seq, o.msg.TID))
	}
	if want := "[3:3 4:4 5:5]"; fmt.Sprint(got) != want {
		t.Errorf("went out again: %v, want %s", got, want)
	}
}

// TestWaitForUs: when the peer is told to wait because our own attempt wins, that
// attempt is made at once, however long the pause had grown while the peer was
// down.
func TestWaitForUs(t *testing.T) {
	s, fx := sampleSession(stateBackoff, LosslessPeer()), &effects{}
	s.step(&event{kind: evWake}, fx)
	if s.state != stateDialing || len(fx.list) != 2 || fx.list[0].kind != actStopTimer || fx.list[1].kind != actDial {
		t.Errorf("state %v, effects %+v", s.state, fx.list)
	}
}

// TestDuplicateDropped: a message sent again after it had arrived is not
// delivered twice, and is acknowledged.
func TestDuplicateDropped(t *testing.T) {
	s, fx := sampleSession(stateOpen, LosslessPeer()), &effects{}
	s.step(&event{kind: frameEvent(tagMessage), head: &messageHead{seq: 3}, msg: &Message{}}, fx)
	if !fx.deliver {
		t.Error("message 3 was not delivered")
	}
	for _, seq := range []uint64{3, 2, 1} {
		fx.reset()
		s.step(&event{kind: frameEvent(tagMessage), head: &messageHead{seq: seq}, msg: &Message{}}, fx)
		if fx.deliver {
			t.Errorf("message %d delivered again", seq)
		}
	}
	if s.inSeq != 3 || s.owed != 4 {
		t.Errorf("in_seq %d, %d acknowledgements owed", s.inSeq, s.owed)
	}
}

// TestPriorities: the highest priority leaves first, in order within it.
func TestPriorities(t *testing.T) {
	var q sendQueue
	for i, p := range []uint16{127, 63, 196, 127, 196} {
		q.push(&Message{Priority: p, TID: uint64(i), Front: wire.BufOf([]byte{1})})
	}
	var got []uint64
	for m := q.pop(); m != nil; m = q.pop() {
		got = append(got, m.TID)
	}
	if fmt.Sprint(got) != "[2 4 0 3 1]" || q.n != 0 || q.bytes != 0 {
		t.Errorf("left in the order %v; %d messages, %d bytes remain", got, q.n, q.bytes)
	}
}

// TestRulings walks the decisions on a link whose peer has said who it is.
func TestRulings(t *testing.T) {
	low, self, high := testAddr(1), testAddr(5), testAddr(9)
	type in struct {
		from      entity.Addr
		policy    Policy
		cookie    uint64
		globalSeq uint64
		reconnect *reconnectFrame
	}
	peer, lossy := LosslessPeer(), StatelessRegisteredServer()
	old := func(st state, change func(*session)) *session {
		s := sampleSession(st, peer)
		s.clientCookie, s.serverCookie, s.peerGlobalSeq, s.connectSeq = 3, 4, 10, 2
		if change != nil {
			change(s)
		}
		return s
	}
	rc := func(cookie, global, connect uint64) *reconnectFrame {
		return &reconnectFrame{clientCookie: cookie, serverCookie: 4, globalSeq: global, connectSeq: connect}
	}
	for _, c := range []struct {
		name string
		in   in
		old  *session
		want placement
		more string
	}{
		{"new peer", in{low, peer, 3, 11, nil}, nil, placeOwn, ""},
		{"after a closed session", in{low, peer, 3, 11, nil}, old(stateClosed, nil), placeOwn, ""},
		{"unregistered client", in{low, StatelessServer(), 0, 11, nil}, old(stateOpen, nil), placeOwn, ""},
		{"older than what there is", in{low, peer, 3, 9, nil}, old(stateOpen, nil), placeDrop, ""},
		{"lossy client again", in{low, lossy, 0, 11, nil}, old(stateOpen, func(s *session) { s.policy = lossy }), placeReplace, ""},
		{"peer lost its state", in{low, peer, 7, 11, nil}, old(stateStandby, nil), placeAdopt, "reset=false"},
		{"peer lost its state, checked", in{low, LosslessPeerReuse(), 7, 11, nil}, old(stateStandby, nil), placeAdopt, "reset=true"},
		{"our ident was lost", in{high, peer, 3, 11, nil}, old(stateOpen, nil), placeAdopt, ""},
		{"race, peer is lower", in{low, peer, 3, 11, nil}, old(stateDialing, func(s *session) { s.clientCookie, s.serverCookie = 8, 0 }), placeAdopt, ""},
		{"race, peer is higher", in{high, peer, 3, 11, nil}, old(stateDialing, func(s *session) { s.clientCookie, s.serverCookie = 8, 0 }), placeReject, "WAIT"},
		{"race with one that stands by, peer is lower", in{low, peer, 3, 11, nil}, old(stateStandby, func(s *session) { s.clientCookie, s.serverCookie = 8, 0 }), placeAdopt, ""},
		{"race with one that stands by, peer is higher", in{high, peer, 3, 11, nil}, old(stateStandby, func(s *session) { s.clientCookie, s.serverCookie = 8, 0 }), placeReject, "WAIT"},
		{"beside one that never asked", in{high, peer, 3, 11, nil}, old(stateStandby, func(s *session) { s.clientCookie, s.serverCookie = 0, 0 }), placeAdopt, ""},
		{"reconnect to nothing", in{low, peer, 0, 11, rc(3, 11, 3)}, nil, placeReject, "full"},
		{"reconnect to another", in{low, peer, 0, 11, rc(7, 11, 3)}, old(stateOpen, nil), placeReject, "partial"},
		{"reconnect to another, checked", in{low, LosslessPeerReuse(), 0, 11, rc(7, 11, 3)}, old(stateOpen, nil), placeReject, "full"},
		{"reconnect before our ident", in{low, peer, 0, 11, rc(3, 11, 3)}, old(stateDialing, func(s *session) { s.serverCookie = 0 }), placeReject, "partial, yield"},
		{"reconnect, stale global", in{low, peer, 0, 9, rc(3, 9, 3)}, old(stateStandby, nil), placeReject, "SESSION_RETRY_GLOBAL"},
		{"reconnect, stale attempt", in{low, peer, 0, 11, rc(3, 11, 1)}, old(stateStandby, nil), placeReject, "SESSION_RETRY"},
		{"reconnect race, peer is higher", in{high, peer, 0, 11, rc(3, 11, 2)}, old(stateDialing, nil), placeReject, "WAIT"},
		{"reconnect race, peer is lower", in{low, peer, 0, 11, rc(3, 11, 2)}, old(stateDialing, nil), placeAdopt, ""},
		{"reconnect", in{low, peer, 0, 11, rc(3, 11, 3)}, old(stateStandby, nil), placeAdopt, ""},
	} {
		s := sampleSession(stateAcceptedPlace, c.in.policy)
		s.target, s.clientCookie, s.peerGlobalSeq = c.in.from, c.in.cookie, c.in.globalSeq
		s.link.reconnect = c.in.reconnect
		r := rule(s, c.old, self)
		more := ""
		switch f := r.reply.(type) {
		case *resetFrame:
			more = map[bool]string{true: "full", false: "partial"}[f.full]
		case control:
			more = f.tag().String()
		}
		if r.yield {
			more += ", yield"
		}
		if strings.HasPrefix(c.more, "reset=") {
			more = fmt.Sprintf("reset=%v", r.reset)
		}
		if r.placement != c.want || more != c.more {
			t.Errorf("%s: placement %d %q, want %d %q", c.name, r.placement, more, c.want, c.more)
		}
	}
}

// FuzzConversation gives a session the frames of an arbitrary peer: it must
// neither fail nor step outside what any step keeps to.
func FuzzConversation(f *testing.F) {
	for _, p := range goldenFiles(f, "conversation-*") {
		f.Add(p, true)
		f.Add(p, false)
	}
	f.Fuzz(func(t *testing.T, p []byte, dialed bool) {
		s := newSession(testEnv(entity.OSD(1), testAddr(1)))
		fx := &effects{}
		s.kind, s.target, s.policy = entity.TypeMon, testAddr(2), LosslessPeer()
		kinds := []eventKind{evAccept}
		if dialed {
			kinds = []eventKind{evConnect, evLinked}
		}
		for _, k := range kinds {
			s.step(sampleEvent(k), fx)
		}
		r := newFrameReader()
		err := feed(r, p, 1<<16, func(step readerStep) {
			ev := &event{banner: r.peer, kind: evBanner}
			switch {
			case step == stepHead:
				return
			case step == stepFrame && r.out.tag == tagMessage:
				ev = &event{kind: frameEvent(tagMessage), head: &r.out.head, msg: &Message{}}
			case step == stepFrame:
				ctl, err := decodeControl(r.out.tag, r.out.payload)
				if err != nil {
					ev = &event{kind: evLost, err: err}
					break
				}
				ev = &event{kind: frameEvent(r.out.tag), control: ctl}
			}
			for ev != nil && s.state.linked() {
				was := s.state
				fx.reset()
				s.step(ev, fx)
				checkStep(t, fmt.Sprintf("%v, %v", was, ev.kind), was, s, fx)
				ev = nil
				for _, a := range fx.list {
					switch a.kind {
					case actAsk:
						ev = &event{kind: evAnswer, answer: authAnswer{method: AuthMethodNone}}
					case actJudge:
						ev = &event{kind: evVerdict, verdict: AuthResult{Status: AuthStatus(a.ask.method % 4)}}
					case actPlace:
						ev = &event{kind: evPlaced}
					}
				}
			}
			r.open = s.state == stateOpen
			r.rev1 = s.link.rev1
			for {
				if _, ok := s.take(); !ok {
					break
				}
			}
		})
		_ = err
	})
}
