package msgr

import (
	"fmt"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// poller tells TCP links when they can be read or written, without a goroutine for
// each: one waits for all, for as long as the process lives.
type poller struct {
	fd   int
	file *os.File // of fd, which it keeps open

	mu    sync.Mutex
	last  uint64
	links map[uint64]*tcpLink
}

var thePoller = sync.OnceValues(startPoller)

func startPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	// Not blocking, the runtime's poller takes it.
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	file := os.NewFile(uintptr(fd), "epoll")
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	p := &poller{fd: fd, file: file, links: map[uint64]*tcpLink{}}
	go p.run(raw)
	return p, nil
}

// run waits in the runtime's poller for ours: a goroutine that waits in a system
// call keeps a processor from others for a while, each time.
func (p *poller) run(raw syscall.RawConn) {
	events := make([]unix.EpollEvent, 128)
	n := 0
	wait := func(fd uintptr) bool {
		var err error
		if n, err = unix.EpollWait(int(fd), events, 0); err != nil && err != unix.EINTR {
			// The descriptor is ours alone and its arguments are right.
			panic(fmt.Sprintf("epoll_wait: %v", err))
		}
		return n > 0 || err != nil
	}
	for {
		if err := raw.Read(wait); err != nil {
			panic(fmt.Sprintf("wait for epoll: %v", err))
		}
		for i := range max(n, 0) {
			e := &events[i]
			p.mu.Lock()
			l := p.links[uint64(uint32(e.Fd))|uint64(uint32(e.Pad))<<32]
			p.mu.Unlock()
			if l != nil {
				l.ready(e.Events)
			}
		}
	}
}

// enter makes the poller know of a link. Its number is never used twice: a socket
// that was closed leaves the kernel's set by itself, and its descriptor may be
// another's by the time an event is looked at.
func (p *poller) enter(l *tcpLink) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	p.links[p.last] = l
	return p.last
}

func (p *poller) leave(id uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, id)
}

// arm asks for one event of the set.
func (p *poller) arm(fd int, id uint64, events uint32, again bool) error {
	op := unix.EPOLL_CTL_ADD
	if again {
		op = unix.EPOLL_CTL_MOD
	}
	return unix.EpollCtl(p.fd, op, fd, &unix.EpollEvent{
		Events: events | unix.EPOLLONESHOT, Fd: int32(uint32(id)), Pad: int32(uint32(id >> 32)),
	})
}
