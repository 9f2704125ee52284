package msgr

import (
	"slices"
	"strings"
	"sync/atomic"
)

type counters struct {
	recvMessages, recvBytes, sendMessages, sendBytes, created, opened atomic.Uint64
}

// Counters are a messenger's figures since it started, by Ceph's names
// (l_msgr_* in src/msg/async/Stack.h). Bytes are those of payloads.
type Counters struct {
	RecvMessages       uint64 `json:"msgr_recv_messages"`
	SendMessages       uint64 `json:"msgr_send_messages"`
	RecvBytes          uint64 `json:"msgr_recv_bytes"`
	SendBytes          uint64 `json:"msgr_send_bytes"`
	CreatedConnections uint64 `json:"msgr_created_connections"`
	ActiveConnections  uint64 `json:"msgr_active_connections"`
	// OpenedSessions counts sessions that were opened or went on, over a new socket
	// each time.
	OpenedSessions uint64 `json:"msgr_opened_sessions"`
}

// Counters returns the messenger's figures.
func (m *Messenger) Counters() Counters {
	c := &m.counters
	m.mu.Lock()
	active := len(m.all)
	m.mu.Unlock()
	return Counters{
		RecvMessages: c.recvMessages.Load(), SendMessages: c.sendMessages.Load(),
		RecvBytes: c.recvBytes.Load(), SendBytes: c.sendBytes.Load(),
		CreatedConnections: c.created.Load(), ActiveConnections: uint64(active), OpenedSessions: c.opened.Load(),
	}
}

// ConnStatus describes a session for operators.
type ConnStatus struct {
	Peer         string `json:"peer"`
	PeerAddrs    string `json:"peer_addrs"`
	PeerGlobalID uint64 `json:"peer_global_id"`
	State        string `json:"state"`
	Lossy        bool   `json:"lossy"`
	Server       bool   `json:"server"`
	Features     uint64 `json:"features"`
	ClientCookie uint64 `json:"client_cookie"`
	ServerCookie uint64 `json:"server_cookie"`
	GlobalSeq    uint64 `json:"global_seq"`
	PeerGlobal   uint64 `json:"peer_global_seq"`
	ConnectSeq   uint64 `json:"connect_seq"`
	InSeq        uint64 `json:"in_seq"`
	OutSeq       uint64 `json:"out_seq"`
	// Queued messages have not been sent; sent ones have not been acknowledged.
	Queued      int `json:"queued"`
	QueuedBytes int `json:"queued_bytes"`
	Sent        int `json:"sent"`
	SentBytes   int `json:"sent_bytes"`
	AckOwed     int `json:"ack_owed"`
}

// Dump describes all sessions and links, ordered by peer and address.
func (m *Messenger) Dump() []ConnStatus {
	m.mu.Lock()
	conns := make([]*Conn, 0, len(m.all))
	for c := range m.all {
		conns = append(conns, c)
	}
	m.mu.Unlock()
	list := make([]ConnStatus, len(conns))
	for i, c := range conns {
		list[i] = c.Status()
	}
	slices.SortFunc(list, func(a, b ConnStatus) int {
		return strings.Compare(a.Peer+a.PeerAddrs, b.Peer+b.PeerAddrs)
	})
	return list
}

// Status describes the session.
func (c *Conn) Status() ConnStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.s
	st := ConnStatus{
		Peer: s.peer().String(), PeerAddrs: s.addrs.String(), PeerGlobalID: s.identity.GlobalID,
		State: s.state.String(), Lossy: s.policy.Lossy, Server: s.policy.Server, Features: s.features,
		ClientCookie: s.clientCookie, ServerCookie: s.serverCookie,
		GlobalSeq: s.globalSeq, PeerGlobal: s.peerGlobalSeq, ConnectSeq: s.connectSeq,
		InSeq: s.inSeq, OutSeq: s.outSeq,
		Queued: s.queue.len(), QueuedBytes: s.queue.bytes,
		Sent: s.sent.ring.len(), SentBytes: s.sent.bytes, AckOwed: s.owed,
	}
	if len(s.addrs) == 0 && c.link != nil && c.link.t != nil {
		st.PeerAddrs = c.link.t.RemoteAddr().String()
	}
	return st
}
