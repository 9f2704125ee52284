package mon

import (
	"context"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/monclient"
	"sepiola/msgr"
	"sepiola/osdmap"
)

// A directory that is not this monitor's, or somebody else's, is refused with a
// sentence that says what to do.
func TestRefusedDirectories(t *testing.T) {
	m := newTestMon(t)
	addr := entity.AddrVec{entity.Msgr2(netip.MustParseAddrPort("127.0.0.1:3300"))}
	mkfs := func(dir string, o MkfsOptions) error { return Mkfs(dir, o) }
	good := MkfsOptions{FSID: testFSID, Name: "a", Mons: map[string]entity.AddrVec{"a": addr}, Now: time.Now()}
	noFSID, noName, noPort := good, good, good
	noFSID.FSID = entity.UUID{}
	noName.Name = "b"
	noPort.Mons = map[string]entity.AddrVec{"a": {entity.Msgr2(netip.MustParseAddrPort("127.0.0.1:0"))}}
	with := func(change func(*Config)) error {
		cfg := m.cfg
		change(&cfg)
		got, err := New(cfg)
		if err == nil {
			got.Shutdown()
		}
		return err
	}
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for what, tc := range map[string]struct {
		err  error
		want string
	}{
		"running":     {with(func(*Config) {}), "stop the monitor that runs on it first"},
		"mkfs again":  {mkfs(m.dir, good), "in use by another process"},
		"no monitor":  {with(func(c *Config) { c.DataDir = t.TempDir() }), "make one with --mkfs"},
		"no fsid":     {mkfs(t.TempDir(), noFSID), "set 'fsid'"},
		"not a mon":   {mkfs(t.TempDir(), noName), "not among the initial monitors"},
		"no port":     {mkfs(t.TempDir(), noPort), "names no IP and port"},
		"not a place": {mkfs(file+"/x", good), "cannot create the monitor's directory"},
	} {
		if tc.err == nil || !strings.Contains(tc.err.Error(), tc.want) {
			t.Errorf("%s: %v; want %q in it", what, tc.err, tc.want)
		}
	}
	m.Shutdown()
	if err := mkfs(m.dir, good); err == nil || !strings.Contains(err.Error(), "holds a monitor already") {
		t.Errorf("mkfs over a monitor: %v", err)
	}
	if err := with(func(c *Config) { c.FSID = entity.NewUUID() }); err == nil || !strings.Contains(err.Error(), "belongs to cluster") {
		t.Errorf("wrong fsid: %v", err)
	}
	if err := with(func(c *Config) { c.Name = "b" }); err == nil || !strings.Contains(err.Error(), "belongs to mon.a") {
		t.Errorf("wrong name: %v", err)
	}
	m.start()
}

// The signatures are readable to clients: each has a prefix, every argument a
// name and a type, and each command either answers or goes through the log.
func TestCommandTable(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range commands {
		if c.Prefix() == "" || c.Help == "" || c.Module == "" || c.Perm == "" {
			t.Errorf("%q lacks a part", c.Sig)
		}
		if seen[c.Sig] {
			t.Errorf("%q is there twice", c.Sig)
		}
		seen[c.Sig] = true
		for _, a := range c.Args() {
			if a.Name == "" || !strings.HasPrefix(a.Type, "Ceph") {
				t.Errorf("%q: argument %+v", c.Sig, a)
			}
		}
		if admin := isAdmin(c.Prefix()) || slowCommands[c.Prefix()] != nil; (c.run == nil) != admin && len(byPrefix[c.Prefix()]) == 1 {
			t.Errorf("%q: answered here %v, by the log %v", c.Sig, c.run != nil, admin)
		}
	}
}

// peer is a client of the messenger that takes what the monitor sends.
type peer struct {
	got  chan message.Body
	gone chan struct{}
}

func (p *peer) Dispatch(_ *msgr.Conn, raw *msgr.Message) {
	if b, err := message.Decode(raw); err == nil {
		p.got <- b
	}
}
func (p *peer) Connected(*msgr.Conn)   {}
func (p *peer) Accepted(*msgr.Conn)    {}
func (p *peer) Reset(*msgr.Conn)       { p.gone <- struct{}{} }
func (p *peer) RemoteReset(*msgr.Conn) {}
func (p *peer) Refused(*msgr.Conn)     {}

var dials uint32

func dial(t *testing.T, m *testMon, to entity.AddrVec, kind entity.Type) (*msgr.Conn, *peer) {
	t.Helper()
	p := &peer{make(chan message.Body, 100), make(chan struct{}, 100)}
	// A client is known by its address, so each needs a nonce of its own.
	dials++
	ms := msgr.New(msgr.Config{Name: entity.Client(-1), Nonce: dials, DefaultPolicy: msgr.LossyClient(),
		AuthClient: &msgr.NoneClient{Name: entity.AuthName{Type: entity.TypeClient, ID: "admin"}}}, p)
	ms.Start()
	t.Cleanup(ms.Shutdown)
	return ms.Connect(to, kind), p
}

// Commands that no client would send are answered with EINVAL; messages that no
// one would send are passed over or end that one session; others go on.
func TestBadInput(t *testing.T) {
	m := newTestMon(t)
	good, goodPeer := dial(t, m, m.Addrs(), entity.TypeMon)
	bad, badPeer := dial(t, m, m.Addrs(), entity.TypeMon)
	send := func(c *msgr.Conn, raw *msgr.Message) {
		t.Helper()
		if err := c.Send(raw); err != nil {
			t.Fatal(err)
		}
	}
	for i, cmd := range []string{"", "{", "[]", `{"prefix":7}`, `{"prefix":"no such thing"}`, `{"prefix":"osd pool get"}`,
		`{"prefix":"osd pool create","pool":"p","pg_num":"x"}`, `{"prefix":"osd pool create","pool":"p","pg_num":-1}`,
		`{"prefix":"osd find","id":"osd.99999999999999999999"}`, `{"prefix":"osd reweight","id":0,"weight":"nan"}`} {
		send(bad, message.Encode(&message.MonCommand{TID: uint64(i), FSID: testFSID, Cmd: []string{cmd}}, 0))
		ack := (<-badPeer.got).(*message.MonCommandAck)
		if ack.TID != uint64(i) || ack.R >= 0 || ack.RS == "" {
			t.Errorf("%s was answered %d: %d %q", cmd, ack.TID, ack.R, ack.RS)
		}
	}
	send(bad, message.Encode(&message.MonCommand{TID: 99, FSID: entity.NewUUID(), Cmd: []string{`{"prefix":"fsid"}`}}, 0))
	if ack := (<-badPeer.got).(*message.MonCommandAck); ack.R != -1 {
		t.Errorf("wrong fsid was answered %d", ack.R)
	}
	// Not for a monitor, and not from a client: passed over.
	send(bad, message.Encode(&message.MgrOpen{DaemonName: "x"}, 0))
	send(bad, message.Encode(&message.OSDAlive{Want: 5}, 0))
	send(bad, message.Encode(&message.MonGetVersion{Handle: 3, What: "osdmap"}, 0))
	if r := (<-badPeer.got).(*message.MonGetVersionReply); r.Handle != 3 || r.Version != 1 {
		t.Errorf("after strange messages: %+v", r)
	}
	// Unreadable, or of a type that does not exist: the session ends.
	send(bad, &msgr.Message{Type: message.MsgMonSubscribe, Version: 3, CompatVersion: 1, Front: [][]byte{{0xff, 0xff, 0xff, 0xff}}})
	<-badPeer.gone
	unknown, unknownPeer := dial(t, m, m.Addrs(), entity.TypeMon)
	send(unknown, &msgr.Message{Type: 0x7777, Version: 1, CompatVersion: 1})
	<-unknownPeer.gone
	send(good, message.Encode(&message.MonGetVersion{Handle: 4, What: "osdmap"}, 0))
	if r := (<-goodPeer.got).(*message.MonGetVersionReply); r.Handle != 4 {
		t.Errorf("the other session: %+v", r)
	}
}

// The project's own client sees each epoch exactly once, in order, as
// increments that it can apply.
func TestSubscriberSeesEveryEpoch(t *testing.T) {
	m := newTestMon(t)
	c, p := dial(t, m, m.Addrs(), entity.TypeMon)
	sub := &message.MonSubscribe{What: map[string]message.SubscribeItem{"osdmap": {}}}
	if err := c.Send(message.Encode(sub, 0)); err != nil {
		t.Fatal(err)
	}
	var om *osdmap.Map
	tid := uint64(0)
	const epochs = 20
	for om == nil || om.Epoch < epochs {
		b := <-p.got
		msg, ok := b.(*message.OSDMapMsg)
		if !ok {
			continue
		}
		for _, full := range msg.Maps {
			var err error
			if om, err = osdmap.DecodeMap(full); err != nil {
				t.Fatal(err)
			}
		}
		for range len(msg.Incrementals) {
			next, _, err := om.ApplyEncoded(msg.Incrementals[om.Epoch+1])
			if err != nil {
				t.Fatalf("epoch %d: %v", om.Epoch+1, err)
			}
			om = next
		}
		tid++
		key := []string{"osd unset", "osd set"}[tid%2]
		cmd := &message.MonCommand{TID: tid, FSID: testFSID, Cmd: []string{`{"prefix":"` + key + `","key":"noout"}`}}
		if err := c.Send(message.Encode(cmd, 0)); err != nil {
			t.Fatal(err)
		}
	}
}

// Numbers with units are as Ceph prints them.
func TestUnits(t *testing.T) {
	for v, want := range map[uint64]string{0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 913096704: "871 MiB",
		24856707072: "23 GiB", 7856072192: "7.3 GiB", 25769803776: "24 GiB", 1 << 60: "1 EiB"} {
		if got := bytesString(v); got != want {
			t.Errorf("%d bytes: %q, want %q", v, got, want)
		}
	}
	for v, want := range map[uint64]string{0: "0", 999: "999", 1000: "1k", 12345: "12.35k", 1234567: "1.23M"} {
		if got := countString(v); got != want {
			t.Errorf("%d: %q, want %q", v, got, want)
		}
	}
}

// The project's own monitor client opens a session, gets its configuration, and
// has commands answered.
func TestMonClient(t *testing.T) {
	m := newTestMon(t)
	d := &clientDispatcher{}
	ms := msgr.New(msgr.Config{Name: entity.Client(-1), DefaultPolicy: msgr.LossyClient(),
		AuthClient: &msgr.NoneClient{Name: entity.AuthName{Type: entity.TypeClient, ID: "admin"}}}, d)
	mc := monclient.New(monclient.Config{Messenger: ms, Mons: []entity.AddrVec{m.Addrs()}, Logger: hclog.NewNullLogger()})
	d.mc = mc
	ms.Start()
	defer ms.Shutdown()
	if err := mc.Start(); err != nil {
		t.Fatal(err)
	}
	defer mc.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, _, r, err := mc.Command(ctx, `{"prefix":"fsid"}`, nil)
	if err != nil || r != 0 || strings.TrimSpace(string(out)) != testFSID.String() {
		t.Errorf("fsid: %q %d %v", out, r, err)
	}
	newest, oldest, err := mc.Version(ctx, "osdmap")
	if err != nil || newest != 1 || oldest != 1 {
		t.Errorf("version %d %d %v", newest, oldest, err)
	}
}

type clientDispatcher struct{ mc *monclient.Client }

func (d *clientDispatcher) Dispatch(c *msgr.Conn, raw *msgr.Message) {
	if b, err := message.Decode(raw); err == nil {
		d.mc.Dispatch(c, b)
	}
}
func (d *clientDispatcher) Connected(c *msgr.Conn) { d.mc.Connected(c) }
func (d *clientDispatcher) Accepted(*msgr.Conn)    {}
func (d *clientDispatcher) Reset(c *msgr.Conn)     { d.mc.Reset(c) }
func (d *clientDispatcher) RemoteReset(*msgr.Conn) {}
func (d *clientDispatcher) Refused(*msgr.Conn)     {}
