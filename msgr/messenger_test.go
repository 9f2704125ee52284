package msgr

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"sepiola/entity"
	"sepiola/wire"
)

var loopback = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)

// watcher is a dispatcher that notes what it is told, for tests to wait on.
type watcher struct {
	mu     sync.Mutex
	cond   sync.Cond
	events []string
	msgs   []*Message
	conns  []*Conn // of accepted sessions
	onMsg  func(c *Conn, m *Message)
}

func newWatcher() *watcher {
	w := &watcher{}
	w.cond.L = &w.mu
	return w
}

func (w *watcher) note(c *Conn, what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, what)
	if what == "accepted" {
		w.conns = append(w.conns, c)
	}
	w.cond.Broadcast()
}

func (w *watcher) Dispatch(c *Conn, m *Message) {
	w.mu.Lock()
	w.msgs = append(w.msgs, m)
	on := w.onMsg
	w.cond.Broadcast()
	w.mu.Unlock()
	if on != nil {
		on(c, m)
		w.cond.Broadcast() // what it did may be waited for, too
	}
}
func (w *watcher) Connected(c *Conn)   { w.note(c, "connected") }
func (w *watcher) Accepted(c *Conn)    { w.note(c, "accepted") }
func (w *watcher) Reset(c *Conn)       { w.note(c, "reset") }
func (w *watcher) RemoteReset(c *Conn) { w.note(c, "remote-reset") }
func (w *watcher) Refused(c *Conn)     { w.note(c, "refused") }

// until waits for a condition over the watcher's fields.
func (w *watcher) until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	late := time.AfterFunc(20*time.Second, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.events = append(w.events, "late")
		w.cond.Broadcast()
	})
	defer late.Stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	for !ok() {
		if n := len(w.events); n > 0 && w.events[n-1] == "late" {
			t.Fatalf("%s did not happen; the last of %d events %v, %d messages", what, n, w.events[max(0, n-40):], len(w.msgs))
		}
		w.cond.Wait()
	}
}

func (w *watcher) count(what string) (n int) {
	for _, e := range w.events {
		if e == what {
			n++
		}
	}
	return n
}

func (w *watcher) await(t testing.TB, what string) {
	t.Helper()
	w.until(t, what, func() bool { return w.count(what) > 0 })
}

// startMessenger returns a running messenger that is bound if serve.
func startMessenger(t testing.TB, cfg Config, d Dispatcher, serve bool) *Messenger {
	t.Helper()
	m := New(cfg, d)
	if serve {
		if err := m.Bind(loopback, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	m.Start()
	t.Cleanup(m.Shutdown)
	return m
}

func transports() map[string]func() Transport {
	return map[string]func() Transport{
		"tcp":    TCP,
		"memory": func() Transport { return NewMemoryNetwork() },
	}
}

// TestConversation: what one messenger sends arrives at the other whole and in
// order, and answers come back, over every transport and policy pair.
func TestConversation(t *testing.T) {
	policies := map[string][2]Policy{
		"lossy":    {LossyClient(), StatelessRegisteredServer()},
		"anon":     {LossyClient(), StatelessServer()},
		"lossless": {LosslessClient(), StatefulServer()},
		"peer":     {LosslessPeer(), LosslessPeer()},
	}
	for tname, transport := range transports() {
		for pname, p := range policies {
			t.Run(tname+"/"+pname, func(t *testing.T) {
				tr := transport()
				sw, cw := newWatcher(), newWatcher()
				sw.onMsg = func(c *Conn, m *Message) {
					if err := c.Send(&Message{Type: m.Type + 1, TID: m.TID, Front: m.Front, Data: m.Data}); err != nil {
						t.Errorf("answering: %v", err)
					}
				}
				srv := startMessenger(t, Config{Name: entity.OSD(1), Nonce: 7, Transport: tr, DefaultPolicy: p[1]}, sw, true)
				cli := startMessenger(t, Config{Name: entity.Client(99), Nonce: 8, Transport: tr, DefaultPolicy: p[0]}, cw, pname == "peer")
				c := cli.Connect(srv.Addrs(), entity.TypeOSD)
				const n = 300
				for i := range n {
					data := make([]byte, i*i)
					for j := range data {
						data[j] = byte(i + j)
					}
					m := &Message{Type: 42, Priority: PriorityDefault, TID: uint64(i), Front: wire.BufOf([]byte{byte(i)}), Data: wire.BufOf(data)}
					if err := c.Send(m); err != nil {
						t.Fatal(err)
					}
				}
				cw.until(t, "all answers", func() bool { return len(cw.msgs) == n })
				for i, m := range cw.msgs {
					if m.TID != uint64(i) || m.Type != 43 || m.Data.Len() != i*i {
						t.Fatalf("answer %d is %v", i, m)
					}
				}
				if got := c.Peer(); got != entity.OSD(1) {
					t.Errorf("the server is %v", got)
				}
				if !c.IsConnected() || c.Features() != FeaturesAll {
					t.Errorf("connected %v, features %#x", c.IsConnected(), c.Features())
				}
				sw.mu.Lock()
				if got := sw.conns[0].Peer(); got != entity.Client(99) {
					t.Errorf("the client is %v", got)
				}
				sw.mu.Unlock()
			})
		}
	}
}
