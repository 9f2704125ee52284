package msgr

// handler is a named step.
type handler struct {
	name string
	run  func(*session, *event, *effects)
}

// The steps, by the names the table's listing gives them.
var (
	hIgnore    = &handler{"-", (*session).onIgnored}
	hViolation = &handler{"violation", (*session).onViolation}

	hConnect     = &handler{"dial", (*session).onConnect}
	hAccept      = &handler{"send banner", (*session).onAccept}
	hLinked      = &handler{"send banner", (*session).onLinked}
	hRefused     = &handler{"fault, maybe refused", (*session).onRefused}
	hLost        = &handler{"fault", (*session).onLost}
	hBackoffOver = &handler{"dial", (*session).onBackoffOver}
	hMarkDown    = &handler{"close", (*session).onMarkDown}

	hAckDue         = &handler{"flush ack", (*session).onAckDue}
	hAckDueUnlinked = &handler{"drop ack timer", (*session).onAckDueUnlinked}
	hSend           = &handler{"queue, flush", (*session).onSendOpen}
	hSendLater      = &handler{"queue", (*session).onSendLater}
	hSendStandby    = &handler{"queue, dial", (*session).onSendStandby}
	hKeepalive      = &handler{"flush keepalive", (*session).onKeepaliveOpen}
	hKeepaliveLater = &handler{"note keepalive", (*session).onKeepaliveLater}
	hWake           = &handler{"dial now", (*session).onWake}

	hDialedBanner    = &handler{"check, send HELLO", (*session).onDialedBanner}
	hDialedHello     = &handler{"learn address, ask", (*session).onDialedHello}
	hAnswer          = &handler{"send auth or signature", (*session).onAnswer}
	hAuthBadMethod   = &handler{"ask for another", (*session).onAuthBadMethod}
	hAuthReplyMore   = &handler{"ask for more", (*session).onAuthReplyMore}
	hAuthDone        = &handler{"ask for key", (*session).onAuthDone}
	hDialedSignature = &handler{"verify, send ident or reconnect", (*session).onDialedSignature}
	hServerIdent     = &handler{"check, open", (*session).onServerIdent}
	hIdentMissing    = &handler{"fault: features", (*session).onIdentMissing}
	hReconnectOK     = &handler{"trim, open", (*session).onReconnectOK}
	hReset           = &handler{"forget, send ident", (*session).onReset}
	hRetry           = &handler{"raise connect_seq, send reconnect", (*session).onRetry}
	hRetryGlobal     = &handler{"raise global_seq, send reconnect", (*session).onRetryGlobal}
	hYield           = &handler{"give up, back off for the peer", (*session).onYield}
	hWait            = &handler{"back off for the peer", (*session).onWait}

	hAcceptedBanner    = &handler{"check, send HELLO", (*session).onAcceptedBanner}
	hAcceptedHello     = &handler{"choose policy", (*session).onAcceptedHello}
	hAuthRequest       = &handler{"judge or refuse", (*session).onAuthRequest}
	hAuthRequestMore   = &handler{"judge", (*session).onAuthRequestMore}
	hVerdict           = &handler{"send verdict", (*session).onVerdict}
	hAcceptedSignature = &handler{"verify", (*session).onAcceptedSignature}
	hClientIdent       = &handler{"check, place", (*session).onClientIdent}
	hReconnect         = &handler{"place", (*session).onReconnect}
	hPlaced            = &handler{"send SERVER_IDENT, open", (*session).onPlaced}
	hRejected          = &handler{"send rejection", (*session).onRejected}
	hMoved             = &handler{"close, leave link", (*session).onMoved}
	hReplaced          = &handler{"close, notify", (*session).onReplaced}
	hAdopt             = &handler{"take link, open", (*session).onAdopt}

	hMessage       = &handler{"deliver if new, trim", (*session).onMessage}
	hAck           = &handler{"trim", (*session).onAck}
	hKeepalive2    = &handler{"note, flush answer", (*session).onKeepalive2}
	hKeepalive2Ack = &handler{"note", (*session).onKeepalive2Ack}
)

type row map[eventKind]*handler

// table says what every state does with every event. It is made of the rows
// below, each with what is particular to the state, and of what states of a kind
// have in common; see common.
var table = makeTable()

var rows = [numStates]row{
	stateClosed:  {},
	stateIdle:    {evConnect: hConnect, evAccept: hAccept, evSend: hSendLater},
	stateStandby: {evSend: hSendStandby, evWake: hWake},
	stateBackoff: {evBackoffOver: hBackoffOver, evWake: hWake},
	stateDialing: {evLinked: hLinked, evRefused: hRefused, evLost: hLost},

	stateDialedBanner: {evBanner: hDialedBanner},
	stateDialedHello:  {frameEvent(tagHello): hDialedHello},
	stateDialedAnswer: {evAnswer: hAnswer},
	stateDialedAuth: {
		frameEvent(tagAuthBadMethod): hAuthBadMethod,
		frameEvent(tagAuthReplyMore): hAuthReplyMore,
		frameEvent(tagAuthDone):      hAuthDone,
	},
	stateDialedSign: {frameEvent(tagAuthSignature): hDialedSignature},
	stateDialedIdent: {
		frameEvent(tagServerIdent):          hServerIdent,
		frameEvent(tagIdentMissingFeatures): hIdentMissing,
		frameEvent(tagWait):                 hWait,
	},
	stateDialedReconnect: {
		frameEvent(tagSessionReconnectOK): hReconnectOK,
		frameEvent(tagSessionReset):       hReset,
		frameEvent(tagSessionRetry):       hRetry,
		frameEvent(tagSessionRetryGlobal): hRetryGlobal,
		frameEvent(tagWait):               hWait,
	},

	stateAcceptedBanner:   {evBanner: hAcceptedBanner},
	stateAcceptedHello:    {frameEvent(tagHello): hAcceptedHello},
	stateAcceptedAuth:     {frameEvent(tagAuthRequest): hAuthRequest},
	stateAcceptedAuthMore: {frameEvent(tagAuthRequestMore): hAuthRequestMore},
	stateAcceptedVerdict:  {evVerdict: hVerdict},
	stateAcceptedSign:     {frameEvent(tagAuthSignature): hAcceptedSignature},
	stateAcceptedIdent: {
		frameEvent(tagClientIdent):      hClientIdent,
		frameEvent(tagSessionReconnect): hReconnect,
	},
	stateAcceptedPlace: {evPlaced: hPlaced, evRejected: hRejected, evMoved: hMoved},

	stateOpen: {
		evSend:                       hSend,
		evKeepalive:                  hKeepalive,
		evAckDue:                     hAckDue,
		frameEvent(tagMessage):       hMessage,
		frameEvent(tagAck):           hAck,
		frameEvent(tagKeepalive2):    hKeepalive2,
		frameEvent(tagKeepalive2Ack): hKeepalive2Ack,
	},
}

// common is what a state does with an event its row does not name.
func common(s state, k eventKind) *handler {
	switch {
	case s == stateClosed:
		return hIgnore
	case k == evMarkDown:
		return hMarkDown
	case k == evLost && s.linked():
		return hLost
	case k >= evBanner && s.linked():
		return hViolation
	case k == evAckDue:
		return hAckDueUnlinked
	}
	// What follows concerns sessions the owner and the registry know of: not a
	// link that was accepted and has not found its session.
	if s == stateIdle || s.accepted() {
		return hIgnore
	}
	switch k {
	case evSend:
		return hSendLater
	case evKeepalive, evWake:
		return hKeepaliveLater
	case evYield:
		if s.dialed() && (s.linked() || s == stateDialing) {
			return hYield
		}
	case evReplaced:
		return hReplaced
	case evAdopt:
		return hAdopt
	}
	return hIgnore
}

func makeTable() (t [numStates][numEvents]*handler) {
	for s := range numStates {
		for k := range numEvents {
			h := rows[s][k]
			if h == nil {
				h = common(s, k)
			}
			t[s][k] = h
		}
	}
	return t
}
