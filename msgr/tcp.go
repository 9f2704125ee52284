package msgr

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// TCP returns the transport of real networks.
func TCP() Transport { return tcpTransport{} }

type tcpTransport struct{}

type tcpListener struct{ *net.TCPListener }

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
	return newTCPLink(c.(*net.TCPConn))
}

func (l tcpListener) Accept() (Link, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	return newTCPLink(c)
}

func (l tcpListener) Addr() netip.AddrPort { return tcpAddr(l.TCPListener.Addr()) }

func tcpAddr(a net.Addr) netip.AddrPort {
	ap := a.(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// tcpLink is a socket of the net package, which has set TCP_NODELAY, beside which
// our poller watches when nobody waits in it.
type tcpLink struct {
	conn *net.TCPConn
	raw  syscall.RawConn
	poll *poller
	id   uint64

	readUntil, writeUntil time.Time // deadlines of the reader and of the writer
	into                  []byte    // what peek reads into
	got                   int
	gotErr                error
	peek                  func(fd uintptr) bool
	from                  [][]byte // what poke writes
	put                   int
	putErr                error
	poke                  func(fd uintptr) bool

	mu         sync.Mutex
	armed      bool // the kernel knows of us
	closed     bool
	readable   func() // to be called when there is something
	writable   func()
	localAddr  netip.AddrPort
	remoteAddr netip.AddrPort
}

func newTCPLink(c *net.TCPConn) (Link, error) {
	p, err := thePoller()
	if err != nil {
		c.Close()
		return nil, err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		c.Close()
		return nil, err
	}
	l := &tcpLink{conn: c, raw: raw, poll: p, localAddr: tcpAddr(c.LocalAddr()), remoteAddr: tcpAddr(c.RemoteAddr())}
	l.peek = func(fd uintptr) bool {
		for {
			l.got, l.gotErr = unix.Read(int(fd), l.into)
			if l.gotErr != unix.EINTR {
				return true
			}
		}
	}
	l.poke = func(fd uintptr) bool {
		for {
			l.put, l.putErr = unix.Writev(int(fd), l.from)
			if l.putErr != unix.EINTR {
				return true
			}
		}
	}
	l.id = p.enter(l)
	return l, nil
}

func (l *tcpLink) LocalAddr() netip.AddrPort  { return l.localAddr }
func (l *tcpLink) RemoteAddr() netip.AddrPort { return l.remoteAddr }

// deadline moves a deadline so that at least half the patience is left. Setting it
// costs more than reading the clock.
func deadline(until *time.Time, patience time.Duration, set func(time.Time) error) error {
	now := time.Now()
	if until.Sub(now) > patience/2 {
		return nil
	}
	*until = now.Add(patience)
	return set(*until)
}

func (l *tcpLink) Read(p []byte, patience time.Duration) (int, error) {
	if patience == 0 {
		return l.readNow(p)
	}
	if err := deadline(&l.readUntil, patience, l.conn.SetReadDeadline); err != nil {
		return 0, err
	}
	n, err := l.conn.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = ErrWait
	}
	return n, err
}

// readNow reads without waiting. The net package refuses to once the deadline is
// over, so that is put off.
func (l *tcpLink) readNow(p []byte) (int, error) {
	if !l.readUntil.IsZero() {
		l.readUntil = time.Time{}
		if err := l.conn.SetReadDeadline(time.Time{}); err != nil {
			return 0, err
		}
	}
	l.into = p
	err := l.raw.Read(l.peek)
	l.into = nil
	switch {
	case err != nil:
		return 0, err
	case l.gotErr == unix.EAGAIN:
		return 0, ErrWait
	case l.gotErr != nil:
		return 0, os.NewSyscallError("read", l.gotErr)
	case l.got == 0:
		return 0, io.EOF
	}
	return l.got, nil
}

func (l *tcpLink) WriteBuffers(bufs *net.Buffers, patience time.Duration) error {
	if patience == 0 {
		return l.writeNow(bufs)
	}
	if err := deadline(&l.writeUntil, patience, l.conn.SetWriteDeadline); err != nil {
		return err
	}
	_, err := bufs.WriteTo(l.conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = ErrWait
	}
	return err
}

// writeNow writes what the socket takes at once, as readNow does.
func (l *tcpLink) writeNow(bufs *net.Buffers) error {
	if !l.writeUntil.IsZero() {
		l.writeUntil = time.Time{}
		if err := l.conn.SetWriteDeadline(time.Time{}); err != nil {
			return err
		}
	}
	for len(*bufs) > 0 {
		l.from = (*bufs)[:min(len(*bufs), maxVector)]
		err := l.raw.Write(l.poke)
		l.from = nil
		switch {
		case err != nil:
			return err
		case l.putErr == unix.EAGAIN:
			return ErrWait
		case l.putErr != nil:
			return os.NewSyscallError("writev", l.putErr)
		}
		consume(bufs, l.put)
	}
	return nil
}

// maxVector is the most segments that a system call takes (IOV_MAX).
const maxVector = 1024

// consume drops the first n bytes.
func consume(bufs *net.Buffers, n int) {
	for len(*bufs) > 0 && n >= len((*bufs)[0]) {
		n -= len((*bufs)[0])
		(*bufs)[0] = nil
		*bufs = (*bufs)[1:]
	}
	if n > 0 {
		(*bufs)[0] = (*bufs)[0][n:]
	}
}

func (l *tcpLink) Notify(write bool, ready func()) {
	l.mu.Lock()
	if write {
		l.writable = ready
	} else {
		l.readable = ready
	}
	failed := l.closed || l.arm() != nil
	l.mu.Unlock()
	if failed {
		l.ready(unix.EPOLLERR)
	}
}

// arm asks the poller for what is waited for. mu is held.
func (l *tcpLink) arm() error {
	var events uint32
	if l.readable != nil {
		events |= unix.EPOLLIN | unix.EPOLLRDHUP
	}
	if l.writable != nil {
		events |= unix.EPOLLOUT
	}
	if events == 0 {
		return nil
	}
	var err error
	if ctl := l.raw.Control(func(fd uintptr) { err = l.poll.arm(int(fd), l.id, events, l.armed) }); ctl != nil {
		return ctl
	}
	l.armed = l.armed || err == nil
	return err
}

// ready calls who waits for the events back, and arms what is left. An error is
// everybody's: reading or writing tells what it is.
func (l *tcpLink) ready(events uint32) {
	l.mu.Lock()
	broken := events&(unix.EPOLLERR|unix.EPOLLHUP) != 0
	var r, w func()
	if broken || events&(unix.EPOLLIN|unix.EPOLLRDHUP) != 0 {
		r, l.readable = l.readable, nil
	}
	if broken || events&unix.EPOLLOUT != 0 {
		w, l.writable = l.writable, nil
	}
	if err := l.arm(); err != nil && !l.closed {
		// It cannot be watched any more: let them find out.
		if r == nil {
			r, l.readable = l.readable, nil
		}
		if w == nil {
			w, l.writable = l.writable, nil
		}
	}
	l.mu.Unlock()
	if r != nil {
		r()
	}
	if w != nil {
		w()
	}
}

func (l *tcpLink) Close() error {
	l.mu.Lock()
	was := l.closed
	l.closed = true
	l.mu.Unlock()
	if was {
		return nil
	}
	l.poll.leave(l.id)
	err := l.conn.Close()
	l.ready(unix.EPOLLERR)
	return err
}
