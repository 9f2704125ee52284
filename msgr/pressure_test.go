package msgr

import (
	"testing"
	"time"

	"sepiola/entity"
	"sepiola/wire"
)

// Messages that are held leave the dispatch throttle all the same: what others send,
// maybe what the held ones wait for, gets through.
func TestHeldLeaveDispatchThrottle(t *testing.T) {
	const size, n = 1000, 20
	dispatch := NewThrottle(size) // room for one
	p := StatelessServer()
	p.ThrottleMessages = NewThrottle(n + 1)
	sw := newWatcher()
	var held []*Message
	sw.onMsg = func(c *Conn, m *Message) {
		m.Hold()
		sw.mu.Lock()
		held = append(held, m)
		sw.mu.Unlock()
	}
	srv := startMessenger(t, Config{Name: entity.OSD(0), DefaultPolicy: p, DispatchThrottle: dispatch}, sw, true)
	cli := startMessenger(t, Config{Name: entity.Client(1), DefaultPolicy: LossyClient()}, newWatcher(), false)
	c := cli.Connect(srv.Addrs(), entity.TypeOSD)
	for i := range n {
		c.Send(&Message{TID: uint64(i), Data: wire.BufOf(make([]byte, size))})
	}
	sw.until(t, "all messages", func() bool { return len(held) == n })
	if in := p.ThrottleMessages.InUse(); in != n {
		t.Errorf("%d messages in use, want %d", in, n)
	}
	for _, m := range held {
		m.Release()
	}
	for deadline := time.Now().Add(20 * time.Second); p.ThrottleMessages.InUse() != 0 || dispatch.InUse() != 0; time.Sleep(time.Millisecond) {
		// The last one may not have left Dispatch yet.
		if time.Now().After(deadline) {
			t.Fatalf("%d messages and %d bytes are in use of nothing", p.ThrottleMessages.InUse(), dispatch.InUse())
		}
	}
}

// WaitQueued waits for a peer that does not read, and no longer than the connection
// lasts.
func TestWaitQueued(t *testing.T) {
	stuck := make(chan struct{})
	cw := newWatcher()
	cw.onMsg = func(*Conn, *Message) { <-stuck }
	conns := make(chan *Conn, 1)
	sw := newWatcher()
	sw.onMsg = func(c *Conn, _ *Message) { conns <- c }
	srv := startMessenger(t, Config{Name: entity.OSD(0), DefaultPolicy: StatelessServer()}, sw, true)
	cli := startMessenger(t, Config{Name: entity.Client(1), DefaultPolicy: LossyClient()}, cw, false)
	out := cli.Connect(srv.Addrs(), entity.TypeOSD)
	out.Send(&Message{})
	c := <-conns
	c.WaitQueued(0) // nothing is queued
	const max, size = 1 << 20, 1 << 20
	fill := func() {
		for range 100 {
			c.Send(&Message{Data: wire.BufOf(make([]byte, size))})
		}
	}
	fill()
	waited := make(chan struct{})
	go func() { c.WaitQueued(max); close(waited) }()
	select {
	case <-waited:
		_, queued := c.Queued()
		t.Fatalf("nothing was waited for, with %d bytes queued", queued)
	case <-time.After(50 * time.Millisecond):
	}
	close(stuck) // it reads
	<-waited
	if _, queued := c.Queued(); queued > max {
		t.Errorf("%d bytes are queued after waiting for %d", queued, max)
	}
	fill()
	waited = make(chan struct{})
	go func() { c.WaitQueued(-1); close(waited) }()
	c.MarkDown()
	<-waited
}
