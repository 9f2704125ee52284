package msgr

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sepiola/entity"
	"sepiola/internal/reftool"
)

const (
	msgMonMap    = 4
	msgMonGetMap = 5
)

// realMonitor starts the reference's monitor, alone, on a free loopback port.
func realMonitor(t *testing.T) entity.AddrVec {
	t.Helper()
	mon, tool := reftool.Need(t, "ceph-mon"), reftool.Need(t, "monmaptool")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	dir := t.TempDir()
	addr := fmt.Sprintf("v2:127.0.0.1:%d", port)
	fsid := entity.NewUUID().String()
	conf := filepath.Join(dir, "ceph.conf")
	text := "[global]\nfsid = " + fsid + "\nmon host = " + addr + `
auth cluster required = none
auth service required = none
auth client required = none
ms bind msgr1 = false
keyring = ` + dir + "/keyring\nrun dir = " + dir + "\nadmin socket = " + dir + "/$name.asok\nlog file = " + dir + "/$name.log\nmon data = " + dir + "/mon\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(prog string, args ...string) {
		t.Helper()
		if out, err := exec.Command(prog, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", prog, args, err, out)
		}
	}
	run(tool, "--create", "--fsid", fsid, "--addv", "a", "["+addr+"]", dir+"/monmap")
	run(mon, "-c", conf, "-i", "a", "--mkfs", "--monmap", dir+"/monmap")
	cmd := exec.Command(mon, "-c", conf, "-i", "a", "-f", "--public-addrv", "["+addr+"]")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	v, err := entity.ParseAddrVec(addr + "/0")
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestRealMonitor: our client opens a session with the reference's monitor and
// gets the monitor map it asks for. The client is there before the monitor is,
// and goes on trying.
func TestRealMonitor(t *testing.T) {
	addrs := realMonitor(t)
	w := newWatcher()
	auth := &NoneClient{Name: entity.AuthName{Type: entity.TypeClient, ID: "admin"}}
	m := startMessenger(t, Config{
		Name: entity.Client(-1), Nonce: 4711, AuthClient: auth, DefaultPolicy: LossyClient(),
		InitialBackoff: 50 * time.Millisecond, MaxBackoff: 200 * time.Millisecond,
	}, w, false)
	ask := func() *Conn {
		c := m.Connect(addrs, entity.TypeMon)
		if err := c.Send(&Message{Type: msgMonGetMap, Priority: PriorityDefault, Version: 1}); err != nil && err != ErrClosed {
			t.Fatal(err)
		}
		return c
	}
	c := ask()
	w.until(t, "the monitor map", func() bool {
		for _, m := range w.msgs {
			if m.Type == msgMonMap && m.Front.Len() > 0 {
				return true
			}
		}
		return false
	})
	if c.Peer() != entity.Mon(0) || c.PeerGlobalID() == 0 || auth.GlobalID() != c.PeerGlobalID() {
		t.Errorf("peer %v, global ids %d and %d", c.Peer(), c.PeerGlobalID(), auth.GlobalID())
	}
	if own := m.Addrs().Msgr2(); own.Addr() != loopback.Addr() || own.Nonce != 4711 || own.Type != entity.AddrAny {
		t.Errorf("own address learned as %v", own)
	}
	c.Keepalive()
	w.until(t, "an answer", func() bool { return len(w.msgs) > 0 })

	for name, frame := range rejections(t, addrs) {
		got := frame
		file := filepath.Join(goldenDir, "reject-"+name+".bin")
		if *update {
			if err := os.WriteFile(file, got, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		// The frames hold nothing that changes from run to run.
		if want, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: the monitor answered %x, golden is %x (%v)", name, got, want, err)
		}
	}
}

// rejections provokes the answers of a monitor that do not occur otherwise.
func rejections(t *testing.T, addrs entity.AddrVec) map[string][]byte {
	t.Helper()
	target := addrs.Msgr2()
	out := map[string][]byte{}
	open := func(kind entity.Type, nonce uint32) *rawPeer {
		r := dialRaw(t, target.AddrPort)
		r.self.Nonce = nonce
		r.authenticate(kind, entity.TypeMon)
		return r
	}
	keep := func(name string, c control) { out[name] = frameBytes(true, c) }

	r := open(entity.TypeClient, 1)
	id := r.ident(target)
	id.supported = FeaturesProtocol
	r.send(id)
	keep("IDENT_MISSING_FEATURES", r.expect(tagIdentMissingFeatures))

	r = open(entity.TypeMon, 2)
	rc := &reconnectFrame{addrs: entity.AddrVec{r.self}, clientCookie: 5, serverCookie: 6, globalSeq: 1, connectSeq: 1}
	r.send(rc)
	keep("SESSION_RESET", r.expect(tagSessionReset))

	r = open(entity.TypeMon, 3)
	id = r.ident(target)
	id.flags, id.cookie, id.globalSeq = 0, 99, 10
	r.send(id)
	server := r.expect(tagServerIdent).(*serverIdentFrame)
	r2 := open(entity.TypeMon, 3)
	r2.send(&reconnectFrame{addrs: entity.AddrVec{r.self}, clientCookie: 99, serverCookie: server.cookie, globalSeq: 5, connectSeq: 1})
	keep("SESSION_RETRY_GLOBAL", r2.expect(tagSessionRetryGlobal))
	return out
}

// TestRealClients: the reference's clients take us for a monitor as far as
// sending their first messages.
func TestRealClients(t *testing.T) {
	for _, prog := range []string{"rados", "ceph"} {
		t.Run(prog, func(t *testing.T) {
			path := reftool.Need(t, prog)
			w := newWatcher()
			m := startMessenger(t, Config{
				Name:          entity.Mon(0),
				DefaultPolicy: StatelessRegisteredServer(),
				AuthServer:    &NoneServer{AssignGlobalID: func() uint64 { return 4242 }},
			}, w, true)
			conf := filepath.Join(t.TempDir(), "ceph.conf")
			a := m.Addrs().Msgr2()
			text := "[global]\nmon host = v2:" + a.AddrPort.String() + "\nauth client required = none\nkeyring = /nonexistent\n"
			if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			args := []string{"-c", conf, "--connect-timeout", "20", "mon", "stat"}
			if prog == "rados" {
				args = []string{"-c", conf, "lspools"}
			}
			cmd := exec.CommandContext(ctx, path, args...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				cancel()
				cmd.Wait()
			})
			w.until(t, "a request for the monitor map", func() bool {
				for _, m := range w.msgs {
					if m.Type == msgMonGetMap {
						return true
					}
				}
				return false
			})
			w.mu.Lock()
			defer w.mu.Unlock()
			c := w.conns[0]
			if id := c.Auth(); id.Name.String() != "client.admin" || id.GlobalID != 4242 {
				t.Errorf("authenticated as %v, global id %d", id.Name, id.GlobalID)
			}
			if !HasFeature(c.Features(), FeatureServerPacific) {
				t.Errorf("features %#x", c.Features())
			}
		})
	}
}

// TestBadInput: whatever comes from a peer that is none of ours, the connection
// closes with one log line that names it, and others go on undisturbed.
func TestBadInput(t *testing.T) {
	log := newLogLines()
	w := newWatcher()
	w.onMsg = func(c *Conn, m *Message) { c.Send(m) }
	m := startMessenger(t, Config{Name: entity.OSD(0), Nonce: 3, DefaultPolicy: StatelessServer(), Logger: log.logger()}, w, true)
	cw := newWatcher()
	good := startMessenger(t, Config{Name: entity.Client(1), Nonce: 9, DefaultPolicy: LossyClient()}, cw, false).
		Connect(m.Addrs(), entity.TypeOSD)
	to := m.Addrs().Msgr2()
	hello := banner{supported: featureRevision1}.bytes()
	corrupt := frameBytes(true, &helloFrame{entity.TypeClient, to})
	corrupt[preambleLen+1] ^= 1
	long := preamble{tag: tagHello, n: 1}
	long.segs[0].length = 1 << 31
	longBytes := make([]byte, preambleLen)
	long.put(longBytes)
	cases := []struct {
		name string
		do   func(r *rawPeer)
		want string
	}{
		{"garbage", func(r *rawPeer) { r.bytes([]byte("\x16\x03\x01\x02\x00\x01\x00")) }, "wrong banner"},
		{"messenger v1", func(r *rawPeer) { r.bytes([]byte("ceph v027")) }, "messenger v1"},
		{"required feature", func(r *rawPeer) { r.bytes(banner{0xff, 0x80}.bytes()) }, "requires"},
		{"bad crc", func(r *rawPeer) { r.bytes(append(hello, corrupt...)) }, "crc"},
		{"absurd length", func(r *rawPeer) { r.bytes(append(hello, longBytes...)) }, "segments"},
		{"out of place", func(r *rawPeer) { r.bytes(append(hello, frameBytes(true, &ackFrame{1})...)) }, "out of place"},
		{"cut off", func(r *rawPeer) {
			r.bytes(append(hello, corrupt[:20]...))
			r.conn.(*net.TCPConn).CloseWrite()
		}, "cut off"},
		{"early message", func(r *rawPeer) {
			out := received{tag: tagMessage}
			r.bytes(append(hello, encode(r.t, true, &out)...))
		}, "before the session"},
		{"wrong incarnation", func(r *rawPeer) {
			r.authenticate(entity.TypeClient, entity.TypeOSD)
			wrong := to
			wrong.Nonce++
			r.send(r.ident(wrong))
		}, "looking for"},
		{"bad message", func(r *rawPeer) {
			r.authenticate(entity.TypeClient, entity.TypeOSD)
			r.send(r.ident(to))
			r.expect(tagServerIdent)
			out := received{tag: tagMessage, head: messageHead{seq: 1}}
			out.segs[1] = [][]byte{make([]byte, 100)}
			p := encode(r.t, true, &out)
			p[len(p)-20] ^= 1
			r.bytes(p)
		}, "crc"},
	}
	for i, c := range cases {
		r := dialRaw(t, to.AddrPort)
		from := r.conn.LocalAddr().String()
		c.do(r)
		r.closed()
		line := log.next(t)
		if !strings.Contains(line, c.want) || !strings.Contains(line, from) && !strings.Contains(line, "127.0.0.1:0/77") {
			t.Errorf("%s: logged %q, want %q and the peer %s", c.name, line, c.want, from)
		}
		if err := good.Send(&Message{Type: 1, TID: uint64(i)}); err != nil {
			t.Fatalf("%s: the other session: %v", c.name, err)
		}
		cw.until(t, "an answer on the other session", func() bool { return len(cw.msgs) == i+1 })
	}
	if extra := log.drain(); len(extra) > 0 {
		t.Errorf("more lines than one for each: %q", extra)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.msgs); n != len(cases) {
		t.Errorf("%d messages reached the dispatcher, want %d", n, len(cases))
	}
}

// TestCutOff: a peer that stops in the middle leaves nothing behind.
func TestCutOff(t *testing.T) {
	m := startMessenger(t, Config{Name: entity.OSD(0), DefaultPolicy: StatelessServer()}, newWatcher(), true)
	p := goldenFiles(t, "conversation-mon.client")["conversation-mon.client"]
	for n := 0; n < len(p); n += 37 {
		r := dialRaw(t, m.Addrs().Msgr2().AddrPort)
		r.bytes(p[:n])
		r.conn.(*net.TCPConn).CloseWrite()
		r.closed()
	}
	deadline := time.After(20 * time.Second)
	for len(m.Dump()) > 0 {
		select {
		case <-deadline:
			t.Fatalf("left behind: %+v", m.Dump())
		case <-time.After(time.Millisecond):
		}
	}
}

// TestSecureOnly: a peer that wants encryption is told that there is none.
func TestSecureOnly(t *testing.T) {
	m := startMessenger(t, Config{Name: entity.OSD(0), DefaultPolicy: StatelessServer()}, newWatcher(), true)
	r := dialRaw(t, m.Addrs().Msgr2().AddrPort)
	r.bytes(banner{supported: featureRevision1}.bytes())
	r.step()
	r.send(&helloFrame{entity.TypeClient, entity.Msgr2(netip.AddrPort{})})
	r.expect(tagHello)
	r.send(&authRequestFrame{AuthMethodNone, []ConMode{ModeSecure}, nil})
	bad := r.expect(tagAuthBadMethod).(*authBadMethodFrame)
	if bad.result != -95 || fmt.Sprint(bad.methods, bad.modes) != "[1] [1]" {
		t.Errorf("told %+v", bad)
	}
	r.send(&authRequestFrame{AuthMethodCephx, []ConMode{ModeCRC}, nil})
	if bad := r.expect(tagAuthBadMethod).(*authBadMethodFrame); bad.method != AuthMethodCephx || bad.result != -95 {
		t.Errorf("told %+v about cephx", bad)
	}
}

// TestFail: the owner can turn a peer away for what it sent, with one line in the
// log.
func TestFail(t *testing.T) {
	log := newLogLines()
	sw, cw := newWatcher(), newWatcher()
	sw.onMsg = func(c *Conn, m *Message) { c.Fail(fmt.Sprintf("unknown message type %d", m.Type)) }
	srv := startMessenger(t, Config{Name: entity.OSD(0), DefaultPolicy: StatelessServer(), Logger: log.logger()}, sw, true)
	c := startMessenger(t, Config{Name: entity.Client(12), DefaultPolicy: LossyClient()}, cw, false).Connect(srv.Addrs(), entity.TypeOSD)
	c.Send(&Message{Type: 999})
	sw.await(t, "reset")
	cw.await(t, "reset")
	if line := log.next(t); !strings.Contains(line, "unknown message type 999") || !strings.Contains(line, "client.12") {
		t.Errorf("logged %q", line)
	}
}

// TestRevision0: a peer that knows msgr2.0 only is spoken to in its frames.
func TestRevision0(t *testing.T) {
	w := newWatcher()
	w.onMsg = func(c *Conn, m *Message) { c.Send(m) }
	m := startMessenger(t, Config{Name: entity.OSD(0), DefaultPolicy: StatelessServer()}, w, true)
	to := m.Addrs().Msgr2()
	r := dialRaw(t, to.AddrPort)
	r.rev0, r.fr.rev1 = true, false
	r.authenticate(entity.TypeClient, entity.TypeOSD)
	r.send(r.ident(to))
	r.expect(tagServerIdent)
	out := received{tag: tagMessage, head: messageHead{seq: 1, tid: 6}}
	out.segs[1], out.segs[3] = [][]byte{[]byte("front")}, [][]byte{make([]byte, 5000)}
	r.bytes(encode(t, false, &out))
	r.fr.open = true
	if !r.step() || r.fr.out.tag != tagMessage || r.fr.out.head.tid != 6 || r.fr.out.segs[3].Len() != 5000 {
		t.Errorf("came back as %+v", r.fr.out.head)
	}
}

// TestHandshakeTimeout: a peer that says nothing is not waited for.
func TestHandshakeTimeout(t *testing.T) {
	m := startMessenger(t, Config{Name: entity.OSD(0), DefaultPolicy: StatelessServer(), HandshakeTimeout: 50 * time.Millisecond}, newWatcher(), true)
	dialRaw(t, m.Addrs().Msgr2().AddrPort).closed()
}
