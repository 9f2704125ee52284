package msgr

// Policy is how sessions with one kind of peer behave (ceph::net::Policy in
// src/msg/Policy.h).
type Policy struct {
	// Lossy: a socket failure ends the session, and with it all that was queued.
	Lossy bool
	// Server: this end never initiates; it waits for the peer to come back.
	Server bool
	// Standby: without anything to send, a broken session waits instead of
	// reconnecting.
	Standby bool
	// ResetCheck: the peer's loss of its session state is reported
	// ([Dispatcher.RemoteReset]) and ours is dropped too.
	ResetCheck bool
	// RegisterLossy: a lossy client has at most one session with this server, the
	// newest; and [Messenger.Connect] to its address finds it.
	RegisterLossy bool
	// FeaturesRequired are the features a peer must have, beyond what the protocol
	// itself needs.
	FeaturesRequired uint64
	// QueueMax, unless 0, is how many payload bytes may wait to be written until
	// nothing more is read from the peer: one that asks and does not read the
	// answers. It is for peers whose messages nobody else waits for.
	QueueMax int
	// ThrottleBytes and ThrottleMessages, unless nil, bound what has been received
	// over all sessions of this policy and not been released.
	ThrottleBytes, ThrottleMessages *Throttle
}

// LossyClient is the policy of a client towards daemons that keep no session
// state: OSD clients.
func LossyClient() Policy { return Policy{Lossy: true} }

// LosslessClient reconnects transparently, and the server keeps the state.
func LosslessClient() Policy { return Policy{ResetCheck: true} }

// StatelessServer is the server's side of lossy clients.
func StatelessServer() Policy { return Policy{Lossy: true, Server: true} }

// StatelessRegisteredServer is [StatelessServer] with one session per client
// address, as monitors and OSDs serve their clients.
func StatelessRegisteredServer() Policy {
	return Policy{Lossy: true, Server: true, RegisterLossy: true}
}

// StatefulServer is the server's side of lossless clients.
func StatefulServer() Policy { return Policy{Server: true, Standby: true, ResetCheck: true} }

// LosslessPeer is one stream between equals that either may open: OSDs among
// each other.
func LosslessPeer() Policy { return Policy{Standby: true} }

// LosslessPeerReuse is [LosslessPeer] between peers whose addresses outlive their
// incarnations: monitors.
func LosslessPeerReuse() Policy { return Policy{Standby: true, ResetCheck: true} }
