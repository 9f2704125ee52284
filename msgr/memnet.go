package msgr

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
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
func (l *memoryLink) Read(p []byte) (int, error) { return l.r.read(p) }

func (l *memoryLink) WriteBuffers(bufs *net.Buffers) error {
	for _, p := range *bufs {
		if err := l.w.write(p); err != nil {
			return err
		}
	}
	*bufs = (*bufs)[len(*bufs):]
	return nil
}

func (l *memoryLink) Close() error {
	l.r.close()
	l.w.close()
	return nil
}

// pipe is one direction of a memory link.
type pipe struct {
	mu     sync.Mutex
	cond   sync.Cond
	buf    []byte
	closed bool
}

func newPipe() *pipe {
	p := &pipe{}
	p.cond.L = &p.mu
	return p
}

func (p *pipe) read(dst []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.buf) == 0 {
		if p.closed {
			return 0, io.EOF
		}
		p.cond.Wait()
	}
	n := copy(dst, p.buf)
	p.buf = p.buf[:copy(p.buf, p.buf[n:])]
	p.cond.Broadcast()
	return n, nil
}

func (p *pipe) write(src []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(src) > 0 {
		for len(p.buf) >= memoryPipe && !p.closed {
			p.cond.Wait()
		}
		if p.closed {
			return io.ErrClosedPipe
		}
		n := min(len(src), memoryPipe-len(p.buf))
		p.buf = append(p.buf, src[:n]...)
		src = src[n:]
		p.cond.Broadcast()
	}
	return nil
}

func (p *pipe) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.cond.Broadcast()
}
