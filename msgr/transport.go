package msgr

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// Transport makes links: reliable, ordered byte streams. TCP is the usual one
// ([TCP]); [NewMemoryNetwork] stays within the process.
type Transport interface {
	// Listen waits for links at addr; with port 0, at a port of the transport's
	// choice.
	Listen(addr netip.AddrPort) (Listener, error)
	// Dial connects, until ctx ends. An error that is syscall.ECONNREFUSED means
	// that nobody listens there.
	Dial(ctx context.Context, addr netip.AddrPort) (Link, error)
}

// Listener accepts links.
type Listener interface {
	Accept() (Link, error)
	Addr() netip.AddrPort
	Close() error
}

// Link is one connection. One goroutine reads and one writes at a time; Close may
// come from any and ends both.
//
// Reading and writing wait for the network no longer than the patience given,
// about; then they fail with [ErrWait], and Notify tells when to try again, so that
// nobody has to wait. A transport that reports completion rather than readiness
// fits in: it receives ahead into buffers of its own, Read hands over what has
// come, and Notify is called back with the completion; WriteBuffers posts the
// segments, and fails with ErrWait while its send queue is full.
type Link interface {
	// Read returns what has come, as much as p holds. With patience 0 it does not
	// wait.
	Read(p []byte, patience time.Duration) (int, error)
	// WriteBuffers writes bufs in order. With ErrWait bufs holds what is left; after
	// any other error the link is of no more use. It may modify the slice of slices
	// but not the bytes.
	WriteBuffers(bufs *net.Buffers, patience time.Duration) error
	// Notify has ready called, once and from any goroutine, when something can be
	// read or, with write, written, or when the link is broken or closed. That may
	// be at once, before Notify returns; ready must not wait for anything.
	Notify(write bool, ready func())
	LocalAddr() netip.AddrPort
	RemoteAddr() netip.AddrPort
	Close() error
}

// ErrWait is what reading and writing a [Link] fail with when the network is not
// ready.
var ErrWait = errors.New("the network is not ready")
