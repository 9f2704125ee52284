package msgr

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// memoryPipe is how many bytes a link of a [MemoryNetwork] holds in each
// direction before the writer waits.
const memoryPipe = 256 << 10

// MemoryNetwork is a [Transport] within the process, for tests.
type MemoryNetwork struct {
	mu        sync.Mutex
	listeners map[netip.AddrPort]*memoryListener
	nextPort  uint16
}

// NewMemoryNetwork returns a network on which nobody listens yet.
func NewMemoryNetwork() *MemoryNetwork {
	return &MemoryNetwork{listeners: map[netip.AddrPort]*memoryListener{}, nextPort: 20000}
}

type memoryListener struct {
	net   *MemoryNetwork
	addr  netip.AddrPort
	links chan *memoryLink
	once  sync.Once
	done  chan struct{}
}

// Listen opens a port of the network.
func (n *MemoryNetwork) Listen(addr netip.AddrPort) (Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if addr.Port() == 0 {
		n.nextPort++
		addr = netip.AddrPortFrom(addr.Addr(), n.nextPort)
	}
	if n.listeners[addr] != nil {
		return nil, fmt.Errorf("listen %v: %w", addr, syscall.EADDRINUSE)
	}
	l := &memoryListener{net: n, addr: addr, links: make(chan *memoryLink, 128), done: make(chan struct{})}
	n.listeners[addr] = l
	return l, nil
}

// Dial connects to a listener of the network.
func (n *MemoryNetwork) Dial(ctx context.Context, addr netip.AddrPort) (Link, error) {
	n.mu.Lock()
	l := n.listeners[addr]
	n.nextPort++
	from := netip.AddrPortFrom(addr.Addr(), n.nextPort)
	n.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("dial %v: %w", addr, syscall.ECONNREFUSED)
	}
	out, in := newPipe(), newPipe()
	select {
	case l.links <- &memoryLink{r: out, w: in, local: addr, remote: from}:
		return &memoryLink{r: in, w: out, local: from, remote: addr}, nil
	case <-l.done:
		return nil, fmt.Errorf("dial %v: %w", addr, syscall.ECONNREFUSED)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *memoryListener) Accept() (Link, error) {
	select {
	case link := <-l.links:
		return link, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Addr() netip.AddrPort { return l.addr }

func (l *memoryListener) Close() error {
	l.once.Do(func() {
		l.net.mu.Lock()
		delete(l.net.listeners, l.addr)
		l.net.mu.Unlock()
		close(l.done)
		for {
			select {
			case link := <-l.links:
				link.Close()
			default:
				return
			}
		}
	})
	return nil
}

type memoryLink struct {
	r, w          *pipe
	local, remote netip.AddrPort
}

func (l *memoryLink) LocalAddr() netip.AddrPort  { return l.local }
func (l *memoryLink) RemoteAddr() netip.AddrPort { return l.remote }

// Read never waits, whatever the patience.
func (l *memoryLink) Read(p []byte, _ time.Duration) (int, error) { return l.r.read(p) }

func (l *memoryLink) WriteBuffers(bufs *net.Buffers, _ time.Duration) error {
	for len(*bufs) > 0 {
		n, err := l.w.write((*bufs)[0])
		if (*bufs)[0] = (*bufs)[0][n:]; err != nil {
			return err
		}
		*bufs = (*bufs)[1:]
	}
	return nil
}

func (l *memoryLink) Notify(write bool, ready func()) {
	if write {
		l.w.notify(&l.w.writable, ready, func(p *pipe) bool { return len(p.buf) < memoryPipe })
		return
	}
	l.r.notify(&l.r.readable, ready, func(p *pipe) bool { return len(p.buf) > 0 })
}

func (l *memoryLink) Close() error {
	l.r.close()
	l.w.close()
	return nil
}

// pipe is one direction of a memory link.
type pipe struct {
	mu                 sync.Mutex
	buf                []byte
	closed             bool
	readable, writable func() // to be called when it is so
}

func newPipe() *pipe { return &pipe{} }

func (p *pipe) read(dst []byte) (int, error) {
	p.mu.Lock()
	defer p.wake(&p.writable)
	defer p.mu.Unlock()
	if len(p.buf) == 0 {
		if p.closed {
			return 0, io.EOF
		}
		return 0, ErrWait
	}
	n := copy(dst, p.buf)
	p.buf = p.buf[:copy(p.buf, p.buf[n:])]
	return n, nil
}

func (p *pipe) write(src []byte) (int, error) {
	p.mu.Lock()
	defer p.wake(&p.readable)
	defer p.mu.Unlock()
	if p.closed {
		return 0, io.ErrClosedPipe
	}
	n := min(len(src), memoryPipe-len(p.buf))
	p.buf = append(p.buf, src[:n]...)
	if n < len(src) {
		return n, ErrWait
	}
	return n, nil
}

// wake calls back who waits, if anybody does.
func (p *pipe) wake(who *func()) {
	p.mu.Lock()
	f := *who
	*who = nil
	p.mu.Unlock()
	if f != nil {
		f()
	}
}

// notify has ready called once the pipe is closed or as the condition says, which is
// now or after a change that wakes who.
func (p *pipe) notify(who *func(), ready func(), now func(*pipe) bool) {
	p.mu.Lock()
	*who = ready
	due := p.closed || now(p)
	p.mu.Unlock()
	if due {
		p.wake(who)
	}
}

func (p *pipe) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.wake(&p.readable)
	p.wake(&p.writable)
}
