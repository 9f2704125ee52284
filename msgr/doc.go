// Package msgr is Ceph's messenger v2.1: sessions over which two entities
// exchange messages, in CRC mode.
//
// It knows frames, authentication exchanges, session life cycles and flow
// control; it knows no message's content. The document followed is
// doc/dev/msgr2.rst of Ceph 16, with src/msg/async/ProtocolV2.cc and frames_v2.h
// where the document is silent. Peers that speak only revision 0 are served too.
//
// # Parts
//
//   - frame.go, control.go, framereader.go, framewriter.go: bytes and frames. The
//     reader is pushed bytes in whatever pieces; it does no I/O.
//   - session*.go: the session's state machine. A step takes (state, event) to
//     (state, effects); session_table.go lists every pair, and
//     testdata/session_table.txt is that table for reading. No locks, goroutines,
//     clocks, sockets or randomness: these come in through environ and events and
//     go out as effects.
//   - registry.go: which session a link belongs to once its peer has said who it
//     is: new, resumed, replaced, or the loser of a race. A plain function.
//   - conn.go, link.go, messenger.go, workers.go: the drivers. transport.go, tcp.go,
//     poller.go and memnet.go: TCP and an in-memory network behind one interface.
//   - faults.go: breaking and delaying on purpose.
//   - auth.go, authnone.go: authentication is an exchange of opaque payloads
//     behind two interfaces.
//
// # Goroutines
//
// At most [workersMax] goroutines work for a messenger, and one for each attempt to
// connect; an idle connection has none. A busy one waits in the runtime's poller,
// for a while, and then in an epoll loop of our own. The runtime's is the faster:
// it puts the goroutine that waits on the processor that polled, while a loop has to
// start one. BenchmarkRequest shows it when readPatience is set to 0. The loop is
// what makes thousands of idle connections cheap; TestIdle measures it.
//
// A message is written by a worker, with all that is queued in one system call; but
// the answer to a message that came alone by who sends it, since for one message
// waking another goroutine costs more than it saves.
//
// # Life cycles
//
// A [Policy] pair decides. Lossy: when the socket breaks, both ends get
// [Dispatcher.Reset] and all state is dropped; but a client that has no session
// yet goes on trying to connect. Lossless: the end without Policy.Server
// reconnects, both resend what was not acknowledged, and the receiver drops what
// it has seen, so that messages arrive in order and once over any number of
// sockets. Lossless peers may both connect; when they do at once, addresses decide
// which socket stays.
//
// # Duties of the caller
//
//  1. A [Message] given to [Conn.Send] is not changed any more, nor are its
//     segments.
//  2. [Dispatcher] methods about one Conn come one at a time; while Dispatch
//     blocks, nothing more is read from that peer, and a worker is taken from the
//     others. They may call any method but [Messenger.Shutdown].
//  3. A message counts against the throttles until Dispatch returns; against those
//     of its policy until [Message.Release], if it was held with [Message.Hold].
//  4. A Conn that is of no more use is marked down. A lossy one ends by itself with
//     Reset; a lossless one is kept, and seeks its peer, until MarkDown.
//  5. The send queue is bounded by whoever fills it; see [Conn.Send] and
//     Policy.QueueMax.
//
// # Bounds
//
// Before the session is open: control frames of at most [MaxControl], 1 MiB of
// authentication, and [Config.HandshakeTimeout]. After: message segments of at
// most [MaxFront], [MaxMiddle] and [MaxData]; memory for them grows with what has
// arrived, from at most 4 MiB; Policy and dispatch throttles are taken before the
// payload is read. A peer that breaks the protocol loses its connection, with one
// log line at level warn; nothing else is logged above debug.
//
// # Departures from Ceph
//
//   - Secure mode and messenger v1 are not spoken; a peer that allows only those is
//     told so.
//   - Acknowledgements wait up to 10 ms for a message to travel with, instead of
//     leaving as soon as the writer is idle.
//   - Handing a link to an existing session is one step under locks, so there is no
//     "replacing" state and none of the WAIT and RETRY_GLOBAL answers it causes.
//   - When both ends open a session at once, and one of them has lost its link and
//     stands by, the race is still decided by address; and who tells a peer that it
//     has not received a SERVER_IDENT does not receive it any more. Without either,
//     two links that cross can leave the ends with different sessions, and messages
//     are lost or come twice. The simulation found both.
//   - There is no loopback connection: do not Connect to one's own address.
package msgr
