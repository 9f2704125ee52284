package monclient

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/msgr"
	"sepiola/osdmap"
	"sepiola/wire"
)

// patience bounds the wait for what has to come.
const patience = 30 * time.Second

var fsid = entity.UUID{1, 2, 3}

// got is a message that a monitor received.
type got struct {
	conn *msgr.Conn
	body message.Body
}

// fakeMon is a monitor that does what the test tells it to.
type fakeMon struct {
	t        testing.TB
	ms       *msgr.Messenger
	accepted chan *msgr.Conn
	got      chan got
}

func (m *fakeMon) Dispatch(c *msgr.Conn, raw *msgr.Message) {
	b, err := message.Decode(raw)
	if err != nil {
		m.t.Errorf("the monitor received: %v", err)
		return
	}
	m.got <- got{c, b}
}
func (m *fakeMon) Connected(*msgr.Conn)   {}
func (m *fakeMon) Accepted(c *msgr.Conn)  { m.accepted <- c }
func (m *fakeMon) Reset(*msgr.Conn)       {}
func (m *fakeMon) RemoteReset(*msgr.Conn) {}
func (m *fakeMon) Refused(*msgr.Conn)     {}

// world is a network with fake monitors and one client.
type world struct {
	t    testing.TB
	net  *msgr.MemoryNetwork
	mons []*fakeMon
	c    *Client
	ms   *msgr.Messenger
}

func monAddr(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, 1}), uint16(3300+n))
}

func (w *world) mon(n int) *fakeMon {
	w.t.Helper()
	var id atomic.Uint64
	m := &fakeMon{t: w.t, accepted: make(chan *msgr.Conn, 100), got: make(chan got, 1000)}
	m.ms = msgr.New(msgr.Config{Name: entity.Mon(n), DefaultPolicy: msgr.StatelessServer(), Transport: w.net,
		AuthServer: &msgr.NoneServer{AssignGlobalID: func() uint64 { return id.Add(1) }}}, m)
	if err := m.ms.Bind(monAddr(n), 0, 0); err != nil {
		w.t.Fatal(err)
	}
	m.ms.Start()
	w.t.Cleanup(m.ms.Shutdown)
	w.mons = append(w.mons, m)
	return m
}

// dispatcher gives the client what its messenger has.
type dispatcher struct{ w *world }

func (d dispatcher) Dispatch(c *msgr.Conn, raw *msgr.Message) {
	if b, err := message.Decode(raw); err == nil {
		d.w.c.Dispatch(c, b)
	}
}
func (d dispatcher) Connected(c *msgr.Conn) { d.w.c.Connected(c) }
func (dispatcher) Accepted(*msgr.Conn)      {}
func (d dispatcher) Reset(c *msgr.Conn)     { d.w.c.Reset(c) }
func (dispatcher) RemoteReset(*msgr.Conn)   {}
func (d dispatcher) Refused(c *msgr.Conn)   { d.w.c.Reset(c) }

// client makes the client of n monitors, which need not be there, and starts it.
func (w *world) client(n int, cfg Config, transport msgr.Transport) {
	w.t.Helper()
	w.ms = msgr.New(msgr.Config{Name: entity.Client(-1), DefaultPolicy: msgr.LossyClient(), Transport: transport,
		AuthClient: &msgr.NoneClient{Name: entity.AuthName{Type: entity.TypeClient, ID: "admin"}}}, dispatcher{w})
	w.ms.Start()
	w.t.Cleanup(w.ms.Shutdown)
	cfg.Messenger = w.ms
	for i := range n {
		cfg.Mons = append(cfg.Mons, entity.AddrVec{entity.Msgr2(monAddr(i))})
	}
	w.c = New(cfg)
	w.t.Cleanup(w.c.Close)
	if err := w.c.Start(); err != nil {
		w.t.Fatal(err)
	}
}

func newWorld(t testing.TB, mons int) *world {
	w := &world{t: t, net: msgr.NewMemoryNetwork()}
	for n := range mons {
		w.mon(n)
	}
	return w
}

// next waits for a message of type T at a monitor, passing over others.
func next[T message.Body](m *fakeMon) (T, *msgr.Conn) {
	m.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case g := <-m.got:
			if b, ok := g.body.(T); ok {
				return b, g.conn
			}
		case <-deadline:
			var none T
			m.t.Fatalf("no %T came", none)
			return none, nil
		}
	}
}

func answer(t testing.TB, c *msgr.Conn, b message.Body) {
	t.Helper()
	if err := c.Send(message.Encode(b, msgr.FeaturesAll)); err != nil {
		t.Fatal(err)
	}
}

func monMap(id entity.UUID, epoch uint32, mons int) *message.MonMap {
	m := osdmap.NewMonMap(id, time.Unix(1e9, 0))
	m.Epoch = epoch
	for n := range mons {
		if err := m.Add(osdmap.MonInfo{Name: string(rune('a' + n)), Addrs: entity.AddrVec{entity.Msgr2(monAddr(n))}}); err != nil {
			panic(err)
		}
	}
	return &message.MonMap{Map: m.Encode()}
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// A new session asks for everything again, from where the last one had got to.
func TestSubscriptions(t *testing.T) {
	w := newWorld(t, 1)
	sessions := make(chan struct{}, 10)
	w.client(1, Config{Hostname: "here", OnSession: func() { sessions <- struct{}{} }}, w.net)
	m := w.mons[0]
	sub, conn := next[*message.MonSubscribe](m)
	if len(sub.What) != 2 || sub.Hostname != "here" {
		t.Errorf("first subscription: %+v", sub)
	}
	<-sessions
	w.c.Subscribe("osdmap", 5, false)
	w.c.Subscribe("osdmap", 5, false) // says nothing new
	w.c.Subscribe("mgrmap", 0, true)
	if sub, _ = next[*message.MonSubscribe](m); len(sub.What) != 1 || sub.What["osdmap"].Start != 5 {
		t.Errorf("second subscription: %+v", sub)
	}
	if sub, _ = next[*message.MonSubscribe](m); len(sub.What) != 1 || !sub.What["mgrmap"].OneTime {
		t.Errorf("third subscription: %+v", sub)
	}
	w.c.Got("osdmap", 9)
	w.c.Got("osdmap", 7) // late
	w.c.Got("mgrmap", 3)
	answer(t, conn, monMap(fsid, 4, 1))
	for w.c.MonMap() == nil {
		time.Sleep(time.Millisecond)
	}
	conn.MarkDown()
	sub, _ = next[*message.MonSubscribe](m)
	want := map[string]message.SubscribeItem{"config": {}, "monmap": {Start: 5}, "osdmap": {Start: 10}}
	if fmt.Sprint(sub.What) != fmt.Sprint(want) {
		t.Errorf("after a reset: %v, want %v", sub.What, want)
	}
	<-sessions
}

// A command whose monitor is lost is sent to the next one, under the same number; late
// and strange answers reach nobody.
func TestCommandResend(t *testing.T) {
	w := newWorld(t, 1)
	w.client(1, Config{}, w.net)
	m := w.mons[0]
	type result struct {
		out []byte
		rs  string
		r   int32
		err error
	}
	done := make(chan result, 1)
	go func() {
		out, rs, r, err := w.c.Command(within(t), `{"prefix":"osd tree"}`, []byte("in"))
		done <- result{out, rs, r, err}
	}()
	first, conn := next[*message.MonCommand](m)
	conn.MarkDown()
	second, conn := next[*message.MonCommand](m)
	if first.TID != second.TID || string(second.Input.Flat()) != "in" || second.Cmd[0] != first.Cmd[0] {
		t.Errorf("sent %+v, then %+v", first, second)
	}
	answer(t, conn, &message.MonCommandAck{TID: second.TID + 100, R: -1})
	answer(t, conn, &message.MonCommandAck{TID: second.TID, R: -16, RS: "busy", Output: wire.BufOf([]byte("out"))})
	answer(t, conn, &message.MonCommandAck{TID: second.TID, R: -1})
	if got := <-done; got.err != nil || got.r != -16 || got.rs != "busy" || string(got.out) != "out" {
		t.Errorf("answer: %+v", got)
	}
	if len(w.c.calls) != 0 {
		t.Errorf("%d calls are left", len(w.c.calls))
	}
	go func() {
		newest, oldest, err := w.c.Version(within(t), "osdmap")
		done <- result{err: err, r: int32(newest*100 + oldest)}
	}()
	v, conn := next[*message.MonGetVersion](m)
	answer(t, conn, &message.MonGetVersionReply{Handle: v.Handle, Version: 7, Oldest: 3})
	if got := <-done; got.err != nil || got.r != 703 || v.What != "osdmap" {
		t.Errorf("version of %q: %+v", v.What, got)
	}
}

// A call ends when its context does, and when the client is closed.
func TestCallEnds(t *testing.T) {
	w := newWorld(t, 0)
	w.client(1, Config{}, w.net)
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("enough")
	cancel(why)
	if _, _, _, err := w.c.Command(ctx, "{}", nil); !errors.Is(err, why) {
		t.Errorf("a cancelled command: %v", err)
	}
	if err := w.c.WaitSession(ctx); !errors.Is(err, why) {
		t.Errorf("a cancelled wait: %v", err)
	}
	done := make(chan error, 2)
	go func() { _, _, _, err := w.c.Command(context.Background(), "{}", nil); done <- err }()
	go func() { done <- w.c.WaitConfig(context.Background()) }()
	for {
		w.c.mu.Lock()
		n := len(w.c.calls)
		w.c.mu.Unlock()
		if n == 1 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	w.c.Close()
	w.c.Close()
	for range 2 {
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Errorf("on a closed client: %v", err)
		}
	}
	if _, err := w.c.Call(context.Background(), nil); !errors.Is(err, ErrClosed) {
		t.Errorf("a call on a closed client: %v", err)
	}
	w.c.Send(&message.Ping{}) // and does nothing
	if err := New(Config{}).Start(); err == nil {
		t.Error("a client without monitors starts")
	}
}

// Monitors that are not there are passed over, at once while there are others; and one
// that comes up later is found.
func TestHunting(t *testing.T) {
	w := newWorld(t, 0)
	last := w.mon(2)
	w.client(3, Config{HuntInterval: time.Hour}, w.net)
	next[*message.MonSubscribe](last)

	w = newWorld(t, 0)
	w.client(2, Config{HuntInterval: time.Millisecond}, w.net)
	time.Sleep(5 * time.Millisecond) // nobody is there; it goes on trying
	next[*message.MonSubscribe](w.mon(1))
	if err := w.c.WaitSession(within(t)); err != nil {
		t.Error(err)
	}
}

// The monitor map replaces the addresses to begin with.
func TestMonMapReplaces(t *testing.T) {
	w := newWorld(t, 3)
	maps := make(chan *osdmap.MonMap, 10)
	w.client(1, Config{HuntInterval: 10 * time.Millisecond, OnMonMap: func(m *osdmap.MonMap) { maps <- m }}, w.net)
	_, conn := next[*message.MonSubscribe](w.mons[0])
	answer(t, conn, monMap(fsid, 2, 3))
	answer(t, conn, monMap(fsid, 1, 1)) // old
	if m := <-maps; m.Epoch != 2 {
		t.Fatalf("monitor map of epoch %d", m.Epoch)
	}
	w.mons[0].ms.Shutdown()
	select {
	case <-w.mons[1].accepted:
	case <-w.mons[2].accepted:
	case <-time.After(patience):
		t.Fatal("no other monitor was tried")
	}
	if w.c.MonMap().Epoch != 2 {
		t.Errorf("the monitor map is of epoch %d", w.c.MonMap().Epoch)
	}
}

// freezer is a network whose first link can be made to go silent.
type freezer struct {
	msgr.Transport
	frozen chan struct{}
	dials  atomic.Int32
}

type frozenLink struct {
	msgr.Link
	frozen <-chan struct{}
}

func (f *freezer) Dial(ctx context.Context, a netip.AddrPort) (msgr.Link, error) {
	l, err := f.Transport.Dial(ctx, a)
	if err != nil || f.dials.Add(1) > 1 {
		return l, err
	}
	return &frozenLink{l, f.frozen}, nil
}

func (l *frozenLink) Read(p []byte, patience time.Duration) (int, error) {
	n, err := l.Link.Read(p, patience)
	select {
	case <-l.frozen:
		if err == nil {
			return 0, msgr.ErrWait
		}
	default:
	}
	return n, err
}

// A monitor that stops answering keepalives is left for another, though its socket
// stays open.
func TestSilentMonitor(t *testing.T) {
	w := newWorld(t, 1)
	f := &freezer{Transport: w.net, frozen: make(chan struct{})}
	w.client(1, Config{PingInterval: 5 * time.Millisecond, PingTimeout: 50 * time.Millisecond, HuntInterval: time.Hour}, f)
	m := w.mons[0]
	<-m.accepted
	next[*message.MonSubscribe](m)
	close(f.frozen)
	select {
	case <-m.accepted:
	case <-time.After(patience):
		t.Fatal("a silent monitor was not left")
	}
}

// A monitor of another cluster is given up, and not asked again before its time.
func TestWrongFSID(t *testing.T) {
	w := newWorld(t, 1)
	configured := make(chan map[string]string, 1)
	w.client(1, Config{FSID: entity.UUID{9}, HuntInterval: time.Hour, OnConfig: func(m map[string]string) { configured <- m }}, w.net)
	_, conn := next[*message.MonSubscribe](w.mons[0])
	answer(t, conn, monMap(fsid, 1, 1))
	// It may be gone already.
	_ = conn.Send(message.Encode(&message.Config{Config: map[string]string{"debug_osd": "20"}}, msgr.FeaturesAll))
	gone := func() bool {
		w.c.mu.Lock()
		defer w.c.mu.Unlock()
		return w.c.conn == nil && !w.c.open
	}
	for deadline := time.Now().Add(patience); !gone(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the session is kept")
		}
	}
	if w.c.MonMap() != nil || len(configured) != 0 {
		t.Error("something was taken from a monitor of another cluster")
	}
	w.c.mu.Lock()
	w.c.check(time.Now()) // its time has come
	w.c.mu.Unlock()
	next[*message.MonSubscribe](w.mons[0])
}

// What comes from others than the monitor in use is passed over.
func TestStrayMessages(t *testing.T) {
	w := newWorld(t, 1)
	w.client(1, Config{}, w.net)
	_, conn := next[*message.MonSubscribe](w.mons[0])
	stray := w.ms.Connect(entity.AddrVec{entity.Msgr2(monAddr(7))}, entity.TypeMon)
	if !w.c.Dispatch(stray, monMap(fsid, 9, 1)) || w.c.MonMap() != nil {
		t.Error("a monitor map from a stranger was taken")
	}
	if w.c.Dispatch(stray, &message.OSDOpReply{}) {
		t.Error("a message that is not the client's was taken")
	}
	answer(t, conn, &message.Config{Config: map[string]string{}})
	if err := w.c.WaitConfig(within(t)); err != nil {
		t.Error(err)
	}
}

// What is sent before there is a session goes out with it, in order; how much is kept is
// bounded.
func TestSendBeforeSession(t *testing.T) {
	w := newWorld(t, 0)
	w.client(1, Config{HuntInterval: time.Millisecond}, w.net)
	for i := range uint64(waitingMax + 10) {
		w.c.Send(&message.MonGetVersion{Handle: i, What: "osdmap"})
	}
	m := w.mon(0)
	for i := range uint64(waitingMax) {
		if v, _ := next[*message.MonGetVersion](m); v.Handle != i {
			t.Fatalf("message %d is number %d", i, v.Handle)
		}
	}
	w.c.Send(&message.MonGetVersion{Handle: 1 << 20, What: "osdmap"})
	if v, _ := next[*message.MonGetVersion](m); v.Handle != 1<<20 {
		t.Errorf("after those that were kept comes number %d", v.Handle)
	}
}
