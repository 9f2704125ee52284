package msgr

import (
	"context"
	"net"
	"net/netip"
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
type Link interface {
	Read(p []byte) (int, error)
	// WriteBuffers writes all of bufs, in order, or fails. It may modify the
	// slice of slices but not the bytes.
	WriteBuffers(bufs *net.Buffers) error
	LocalAddr() netip.AddrPort
	RemoteAddr() netip.AddrPort
	Close() error
}

// TCP returns the transport of real networks.
func TCP() Transport { return tcpTransport{} }

type tcpTransport struct{}

type tcpListener struct{ *net.TCPListener }

type tcpLink struct{ *net.TCPConn }

func (tcpTransport) Listen(addr netip.AddrPort) (Listener, error) {
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(addr))
	if err != nil {
		return nil, err
	}
	return tcpListener{l}, nil
}

func (tcpTransport) Dial(ctx context.Context, addr netip.AddrPort) (Link, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return nil, err
	}
	// The net package has set TCP_NODELAY.
	return tcpLink{c.(*net.TCPConn)}, nil
}

func (l tcpListener) Accept() (Link, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	return tcpLink{c}, nil
}

func (l tcpListener) Addr() netip.AddrPort   { return tcpAddr(l.TCPListener.Addr()) }
func (l tcpLink) LocalAddr() netip.AddrPort  { return tcpAddr(l.TCPConn.LocalAddr()) }
func (l tcpLink) RemoteAddr() netip.AddrPort { return tcpAddr(l.TCPConn.RemoteAddr()) }

func (l tcpLink) WriteBuffers(bufs *net.Buffers) error {
	_, err := bufs.WriteTo(l.TCPConn)
	return err
}

func tcpAddr(a net.Addr) netip.AddrPort {
	ap := a.(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
