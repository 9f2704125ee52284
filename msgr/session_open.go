package msgr

// Steps of an open session, and those that any session takes alike.

func (s *session) onMessage(ev *event, fx *effects) {
	h := ev.head
	// A peer may skip numbers: the kernel client takes messages back out of its
	// queue. It never goes back but for a message sent again.
	if h.seq > s.inSeq {
		s.inSeq = h.seq
		fx.deliver = true
	}
	if !s.policy.Lossy {
		s.owe(ev.msg.Len(), fx)
	}
	s.sent.trim(min(h.ackSeq, s.outSeq))
}

// owe notes that a message of n bytes is to be acknowledged.
func (s *session) owe(n int, fx *effects) {
	s.owed++
	s.owedBytes += n
	switch {
	case s.owed == ackMessages || s.owedBytes >= ackBytes && s.owedBytes-n < ackBytes:
		fx.act(actFlush)
	case !s.ackTimer:
		s.ackTimer = true
		fx.do(action{kind: actAckTimer, after: s.env.ackDelay})
	}
}

// onAckDue comes ackDelay after the timer was started; meanwhile a message may
// have taken the acknowledgement along.
func (s *session) onAckDue(_ *event, fx *effects) {
	s.ackTimer = false
	if s.owed > 0 {
		s.ackNow = true
		fx.act(actFlush)
	}
}

// onAckDueUnlinked: what is owed is told when the session resumes.
func (s *session) onAckDueUnlinked(*event, *effects) { s.ackTimer = false }

func (s *session) onAck(ev *event, _ *effects) {
	s.sent.trim(min(ev.control.(*ackFrame).seq, s.outSeq))
}

func (s *session) onKeepalive2(ev *event, fx *effects) {
	// Only the last one is answered if the peer does not read: nothing queues up.
	s.pong, s.wantPong = ev.control.(*keepaliveFrame).stamp, true
	fx.act(actFlush)
}

func (s *session) onKeepalive2Ack(ev *event, _ *effects) {
	s.lastPong = ev.control.(*keepaliveAck).stamp
}

func (s *session) onSendOpen(ev *event, fx *effects) {
	s.queue.push(ev.msg)
	fx.act(actFlush)
}

// onSendLater queues for when the session opens.
func (s *session) onSendLater(ev *event, _ *effects) { s.queue.push(ev.msg) }

// onSendStandby queues, and seeks a link unless that is the peer's part.
func (s *session) onSendStandby(ev *event, fx *effects) {
	s.queue.push(ev.msg)
	if s.policy.Server {
		return
	}
	if s.serverCookie != 0 {
		s.connectSeq++
	}
	s.dial(fx)
}

func (s *session) onKeepaliveOpen(_ *event, fx *effects) {
	s.wantKeepalive = true
	fx.act(actFlush)
}

func (s *session) onKeepaliveLater(*event, *effects) { s.wantKeepalive = true }

func (s *session) onMarkDown(_ *event, fx *effects) { s.close(fx, false) }

func (s *session) onLost(ev *event, fx *effects) { s.fault(fx, ev.err) }

// onViolation is a frame that has no business in the state.
func (s *session) onViolation(ev *event, fx *effects) {
	s.violate(fx, "%v is out of place in state %v", ev.kind, s.state)
}

func (s *session) onIgnored(*event, *effects) {}
