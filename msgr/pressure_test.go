package msgr

import (
	"sync/atomic"
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

// A peer that asks and does not read the answers is not listened to once too many
// are queued for it, and is again when it has read them; nobody waits for it
// meanwhile.
func TestQueueMax(t *testing.T) {
	for name, transport := range transports() {
		t.Run(name, func(t *testing.T) {
			const size, n, max = 1 << 20, 60, 4 << 20
			p := StatelessServer()
			p.QueueMax = max
			tr := transport()
			var most atomic.Int64
			sw := newWatcher()
			sw.onMsg = func(c *Conn, m *Message) {
				c.Send(&Message{TID: m.TID, Data: wire.BufOf(make([]byte, size))})
				if _, queued := c.Queued(); int64(queued) > most.Load() {
					most.Store(int64(queued))
				}
			}
			srv := startMessenger(t, Config{Name: entity.OSD(0), Transport: tr, DefaultPolicy: p}, sw, true)
			stuck := make(chan struct{})
			cw := newWatcher()
			cw.onMsg = func(*Conn, *Message) { <-stuck }
			cli := startMessenger(t, Config{Name: entity.Client(1), Transport: tr, DefaultPolicy: LossyClient()}, cw, false)
			c := cli.Connect(srv.Addrs(), entity.TypeOSD)
			for i := range n {
				c.Send(&Message{TID: uint64(i)})
			}
			ow := newWatcher()
			other := startMessenger(t, Config{Name: entity.Client(2), Transport: tr, DefaultPolicy: LossyClient()}, ow, false)
			other.Connect(srv.Addrs(), entity.TypeOSD).Send(&Message{})
			ow.until(t, "another's answer", func() bool { return len(ow.msgs) == 1 })
			close(stuck) // it reads
			cw.until(t, "all answers", func() bool { return len(cw.msgs) == n })
			// The answers to the message that goes beyond and to the next one.
			if got := most.Load(); got > max+2*size {
				t.Errorf("%d bytes were queued, the bound is %d and an answer has %d", got, max, size)
			}
		})
	}
}
