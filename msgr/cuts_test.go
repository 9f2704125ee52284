package msgr

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"sepiola/entity"
	"sepiola/wire"
)

// cuttingNet is a transport whose links break after a random number of bytes,
// until it is told to stop.
type cuttingNet struct {
	Transport
	mu   sync.Mutex
	rng  *rand.Rand
	most int // bytes
	off  bool
	cuts int
}

var errCut = errors.New("cut")

func (n *cuttingNet) wrap(l Link) Link {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.off {
		return l
	}
	return &cuttingLink{Link: l, net: n, left: n.rng.IntN(n.most)}
}

func (n *cuttingNet) Dial(ctx context.Context, a netip.AddrPort) (Link, error) {
	l, err := n.Transport.Dial(ctx, a)
	if err != nil {
		return nil, err
	}
	return n.wrap(l), nil
}

type cuttingLink struct {
	Link
	net  *cuttingNet
	mu   sync.Mutex
	left int
}

// pass says how many of n bytes go through.
func (l *cuttingLink) pass(n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n <= l.left {
		l.left -= n
		return n
	}
	n, l.left = l.left, 0
	l.net.mu.Lock()
	l.net.cuts++
	l.net.mu.Unlock()
	return n
}

func (l *cuttingLink) Read(p []byte, patience time.Duration) (int, error) {
	n, err := l.Link.Read(p, patience)
	if err != nil {
		return n, err
	}
	if k := l.pass(n); k < n {
		l.Close()
		return k, errCut
	}
	return n, nil
}

func (l *cuttingLink) WriteBuffers(b *net.Buffers, patience time.Duration) error {
	all := wire.Buf(*b).Flat()
	n := l.pass(len(all))
	part := net.Buffers{all[:n]}
	err := l.Link.WriteBuffers(&part, patience)
	if err == nil && n < len(all) {
		l.Close()
		return errCut
	}
	// What the network did not take is counted again.
	*b = part
	return err
}

// TestExactlyOnce: over links that keep breaking, at any byte of the handshake or
// after, with both ends connecting at once, every message of a lossless session
// arrives once and in order.
func TestExactlyOnce(t *testing.T) {
	for _, pair := range []struct {
		name   string
		a, b   Policy
		mutual bool
	}{
		{"peers", LosslessPeer(), LosslessPeer(), true},
		{"peers reuse", LosslessPeerReuse(), LosslessPeerReuse(), true},
		{"client", LosslessClient(), StatefulServer(), false},
	} {
		for seed := range uint64(4) {
			t.Run(fmt.Sprintf("%s/%d", pair.name, seed), func(t *testing.T) {
				t.Parallel()
				exactlyOnce(t, pair.a, pair.b, pair.mutual, seed)
			})
		}
	}
}

func exactlyOnce(t *testing.T, pa, pb Policy, mutual bool, seed uint64) {
	const n = 400
	cutting := &cuttingNet{Transport: NewMemoryNetwork(), rng: rand.New(rand.NewPCG(seed, 1)), most: 6000}
	wa, wb := newWatcher(), newWatcher()
	start := func(name entity.Name, p Policy, w *watcher) *Messenger {
		return startMessenger(t, Config{
			Name: name, Nonce: uint32(name.Num), DefaultPolicy: p, Transport: cutting,
			InitialBackoff: time.Millisecond, MaxBackoff: 4 * time.Millisecond,
		}, w, true)
	}
	a, b := start(entity.OSD(1), pa, wa), start(entity.OSD(2), pb, wb)
	send := func(c *Conn, from, to int) {
		for i := from; i < to; i++ {
			if err := c.Send(&Message{Type: 9, Priority: PriorityDefault, TID: uint64(i), Data: wire.BufOf(make([]byte, i%300))}); err != nil {
				t.Errorf("send %d: %v", i, err)
			}
		}
	}
	ca := a.Connect(b.Addrs(), entity.TypeOSD)
	if mutual {
		send(b.Connect(a.Addrs(), entity.TypeOSD), 0, n)
	} else {
		// The server answers every message.
		wb.onMsg = func(c *Conn, m *Message) { send(c, int(m.TID), int(m.TID)+1) }
	}
	send(ca, 0, n/2)
	wb.until(t, "some messages", func() bool { return len(wb.msgs) > n/8 })
	send(ca, n/2, n)
	for name, w := range map[string]*watcher{"a": wa, "b": wb} {
		w.until(t, "all messages", func() bool { return len(w.msgs) >= n })
		w.mu.Lock()
		for i, m := range w.msgs {
			if m.TID != uint64(i) {
				t.Errorf("%s: message %d is %d", name, i, m.TID)
				break
			}
		}
		if w.count("reset")+w.count("remote-reset") > 0 {
			t.Errorf("%s: %v", name, w.events)
		}
		w.mu.Unlock()
	}
	cutting.mu.Lock()
	defer cutting.mu.Unlock()
	if cutting.cuts < 5 {
		t.Errorf("only %d links were cut", cutting.cuts)
	}
}

// TestLossyReset: when the socket of a lossy session breaks, both ends are told
// and nothing is sent again.
func TestLossyReset(t *testing.T) {
	cutting := &cuttingNet{Transport: NewMemoryNetwork(), rng: rand.New(rand.NewPCG(1, 1)), off: true}
	sw, cw := newWatcher(), newWatcher()
	srv := startMessenger(t, Config{Name: entity.OSD(0), Transport: cutting, DefaultPolicy: StatelessRegisteredServer()}, sw, true)
	cli := startMessenger(t, Config{Name: entity.Client(1), Nonce: 5, Transport: cutting, DefaultPolicy: LossyClient()}, cw, false)
	c := cli.Connect(srv.Addrs(), entity.TypeOSD)
	cw.await(t, "connected")
	sw.await(t, "accepted")
	c.mu.Lock()
	l := c.link
	c.mu.Unlock()
	l.fail(errCut)
	cw.await(t, "reset")
	sw.await(t, "reset")
	if err := c.Send(&Message{}); err != ErrClosed {
		t.Errorf("sending on it: %v", err)
	}
	if again := cli.Connect(srv.Addrs(), entity.TypeOSD); again == c {
		t.Error("the closed session was handed out again")
	}
	cw.until(t, "a new session", func() bool { return cw.count("connected") == 2 })
}

// TestRestart: a peer that comes back at its address with its state lost gets a
// new session; with the policy's check, we are told and start over.
func TestRestart(t *testing.T) {
	network := NewMemoryNetwork()
	addr := netip.AddrPortFrom(loopback.Addr(), 9000)
	wa, wb := newWatcher(), newWatcher()
	cfg := func(num int32) Config {
		return Config{
			Name: entity.OSD(num), Transport: network, DefaultPolicy: LosslessPeerReuse(),
			InitialBackoff: time.Millisecond, MaxBackoff: 4 * time.Millisecond,
		}
	}
	a := startMessenger(t, cfg(1), wa, true)
	b := New(cfg(2), wb)
	if err := b.Bind(addr, 0, 0); err != nil {
		t.Fatal(err)
	}
	b.Start()
	c := a.Connect(b.Addrs(), entity.TypeOSD)
	c.Send(&Message{TID: 1})
	wb.until(t, "the first message", func() bool { return len(wb.msgs) == 1 })
	b.Shutdown()
	c.Send(&Message{TID: 2}) // to the incarnation that is gone; seeks it
	wa.await(t, "refused")
	wb2 := newWatcher()
	b2 := New(cfg(2), wb2)
	if err := b2.Bind(addr, 0, 0); err != nil {
		t.Fatal(err)
	}
	b2.Start()
	defer b2.Shutdown()
	wa.await(t, "remote-reset")
	c.Send(&Message{TID: 3})
	wb2.until(t, "the message after the reset", func() bool { return len(wb2.msgs) > 0 && wb2.msgs[len(wb2.msgs)-1].TID == 3 })
	if n := len(wb2.msgs); n != 1 {
		t.Errorf("%d messages, the first is %v", n, wb2.msgs[0])
	}
}

// TestMarkDown: a session marked down is gone without a callback, and the peer of
// a lossy one is reset.
func TestMarkDown(t *testing.T) {
	sw, cw := newWatcher(), newWatcher()
	srv := startMessenger(t, Config{Name: entity.OSD(0), DefaultPolicy: StatelessServer()}, sw, true)
	cli := startMessenger(t, Config{Name: entity.Client(1), DefaultPolicy: LossyClient()}, cw, false)
	c := cli.Connect(srv.Addrs(), entity.TypeOSD)
	cw.await(t, "connected")
	cli.MarkDown(srv.Addrs())
	sw.await(t, "reset")
	if c.Send(&Message{}) != ErrClosed || len(cli.Dump()) != 0 {
		t.Errorf("still there: %+v", cli.Dump())
	}
	cw.mu.Lock()
	defer cw.mu.Unlock()
	if cw.count("reset") != 0 {
		t.Error("the owner was called back")
	}
}

// TestBackPressure: a dispatcher that does not return, or holds what it was given,
// stops what is read from its peers at the throttle, and no other messenger's
// budget.
func TestBackPressure(t *testing.T) {
	const size, limit = 1000, 10000
	throttle := NewThrottle(limit)
	p := StatelessServer()
	p.ThrottleBytes = throttle
	sw := newWatcher()
	var held []*Message
	sw.onMsg = func(c *Conn, m *Message) {
		m.Hold()
		sw.mu.Lock()
		held = append(held, m)
		sw.mu.Unlock()
	}
	srv := startMessenger(t, Config{Name: entity.OSD(0), DefaultPolicy: p}, sw, true)
	cli := startMessenger(t, Config{Name: entity.Client(1), DefaultPolicy: LossyClient()}, newWatcher(), false)
	c := cli.Connect(srv.Addrs(), entity.TypeOSD)
	const n = 50
	for i := range n {
		c.Send(&Message{TID: uint64(i), Data: wire.BufOf(make([]byte, size))})
	}
	for got := 0; got < n; got += limit / size {
		sw.until(t, "a throttle's worth", func() bool { return len(held) == limit/size })
		if in := throttle.InUse(); in > limit {
			t.Fatalf("%d bytes in use, the limit is %d", in, limit)
		}
		sw.mu.Lock()
		done := held
		held = nil
		sw.mu.Unlock()
		for _, m := range done {
			m.Release()
			m.Release() // harmless
		}
	}
	if in := throttle.InUse(); in != 0 {
		t.Errorf("%d bytes left in use", in)
	}
}
