package badinput

import (
	"bytes"
	"encoding/binary"
	"math"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"sepiola/entity"
	"sepiola/internal/goldencap"
)

// garbage is something to send to a port.
type garbage struct {
	name  string
	bytes []byte
	// waits says that the daemon may rightly wait for more: this end stops sending.
	waits bool
	// silent says that nobody is to blame, and nothing need be logged.
	silent bool
}

// preamble builds the head of a frame whose sum is right, whatever it says.
func preamble(tag, segments byte, lengths ...uint32) []byte {
	p := make([]byte, preambleLen)
	p[0], p[1] = tag, segments
	for i, n := range lengths {
		binary.LittleEndian.PutUint32(p[2+6*i:], n)
	}
	binary.LittleEndian.PutUint32(p[28:], crc(0, p[:28]))
	return p
}

// flip returns p with one bit changed.
func flip(p []byte, bit int) []byte {
	p = bytes.Clone(p)
	p[bit/8] ^= 1 << (bit % 8)
	return p
}

// nonsense is what no client of the cluster sends.
func (w *world) nonsense(p port) []garbage {
	random := make([]byte, 4096)
	for i := range random {
		random[i] = byte(w.rnd.Uint32())
	}
	head, err := hello(p, entity.TypeClient)
	must(w.t, err)
	b := banner()
	after := func(frames ...[]byte) []byte { return append(bytes.Clone(head), bytes.Join(frames, nil)...) }
	long := append(bytes.Clone(b[:8]), 0xff, 0xff)
	list := []garbage{
		{name: "nothing", waits: true, silent: true},
		{name: "random", bytes: random},
		{name: "zeros", bytes: make([]byte, 4096)},
		{name: "HTTP", bytes: []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")},
		{name: "TLS", bytes: []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("x", 100))},
		{name: "legacy banner", bytes: []byte("ceph v027" + strings.Repeat("\x00", 200))},
		{name: "banner of another protocol", bytes: []byte("ceph v3\n\x10\x00" + strings.Repeat("\x00", 16))},
		{name: "endless banner", bytes: append(long, make([]byte, 1<<16)...)},
		{name: "short banner", bytes: []byte("ceph v2\n\x01\x00\x00" + strings.Repeat("\x00", 64))},
		{name: "half a banner", bytes: b[:9], waits: true},
		{name: "random after the banner", bytes: append(bytes.Clone(b), random...)},
		{name: "frame of no kind", bytes: append(bytes.Clone(b), preamble(99, 1, 4)...)},
		{name: "frame without segments", bytes: append(bytes.Clone(b), preamble(tagHello, 0)...)},
		{name: "frame of too many segments", bytes: append(bytes.Clone(b), preamble(tagHello, 200, 1)...)},
		{name: "hello of 4 GiB", bytes: append(bytes.Clone(b), preamble(tagHello, 1, math.MaxUint32)...)},
		{name: "message of 16 GiB", bytes: append(bytes.Clone(b), preamble(tagMessage, 4, 41, math.MaxUint32, math.MaxUint32, math.MaxUint32)...)},
		{name: "message before its time", bytes: append(bytes.Clone(b), messageFrame(&goldencap.Sample{Type: 42, Front: random}, 1)...)},
		{name: "hello of nonsense", bytes: append(bytes.Clone(b), frame(tagHello, random[:64])...)},
		{name: "keepalive before its time", bytes: append(bytes.Clone(b), frame(tagKeepalive, make([]byte, 8))...)},
		{name: "authentication of nonsense", bytes: append(bytes.Clone(head[:len(b)]), frame(tagAuthRequest, random[:40])...)},
		{name: "no authentication", bytes: after(frame(tagClientIdent, random[:200]))},
		{name: "ident of nonsense", bytes: after(frame(tagAuthSignature, make([]byte, 32)), frame(tagClientIdent, random[:200]))},
		{name: "signature of nonsense", bytes: after(frame(tagAuthSignature, random[:7]))},
		{name: "ident for somebody else", bytes: after(ident(port{addr: entity.Addr{Type: entity.AddrMsgr2, Nonce: 1, AddrPort: p.addr.AddrPort}}, 5, 9, true))},
		{name: "the server's part", bytes: after(frame(tagAuthSignature, make([]byte, 32)), frame(tagServerIdent, random[:100]))},
	}
	whole := after(ident(p, 5, 9, true))
	for i := 0; i < len(whole); i += 1 + len(whole)/24 {
		list = append(list, garbage{name: "cut off", bytes: whole[:i], waits: true, silent: true})
		list = append(list, garbage{name: "bit error", bytes: flip(whole, 8*i+int(w.rnd.Uint32()%8)), waits: true, silent: true})
	}
	return list
}

// conversation is what a client of the reference sent over one connection.
func conversation(t *testing.T) []byte {
	b, err := os.ReadFile("../../testdata/golden/msgr/conversation-mon.client")
	must(t, err)
	return b
}

// Bytes that are no session cost the daemon a connection and a line of its log, and
// nobody else anything.
func TestGarbage(t *testing.T) {
	w := newWorld(t)
	for _, p := range w.ports { // what is made at first need is made now
		w.throwAll(p)
	}
	before := w.usages()
	rounds := 2
	if testing.Short() {
		rounds = 1
	}
	attempts := 0
	for range rounds {
		for _, p := range w.ports {
			attempts += w.throwAll(p)
		}
	}
	t.Logf("%d attempts", attempts)
	w.sameUsage(before)
}

// throwAll sends all nonsense to a port, and returns how often it tried.
func (w *world) throwAll(p port) int {
	w.t.Helper()
	n, sure, most := 0, 0, 0
	offences, lines := w.offences(p.daemon), w.lines(p.daemon)
	throw := func(g garbage) {
		w.t.Helper()
		w.throw(p, g)
		n++
		most++
		if !g.silent {
			sure++
		}
	}
	for _, g := range w.nonsense(p) {
		throw(g)
	}
	talk := conversation(w.t)
	for i := 0; i < len(talk); i += 1 + len(talk)/16 {
		throw(garbage{name: "a conversation cut off", bytes: talk[:i], waits: true, silent: true})
		throw(garbage{name: "a conversation with an error", bytes: flip(talk, 8*i), waits: true, silent: true})
	}
	// A line is written after the connection is closed.
	deadline := time.Now().Add(patience)
	for w.offences(p.daemon)-offences < sure && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if got := w.offences(p.daemon) - offences; got < sure || got > most {
		w.t.Errorf("%s: %d lines about %d attempts, of which %d break the protocol", p.name, got, n, sure)
	}
	if got := w.lines(p.daemon) - lines; got > most {
		w.t.Errorf("%s: %d lines in all about %d attempts", p.name, got, n)
	}
	return n
}

// throw sends something, and waits for the daemon to close the connection.
func (w *world) throw(p port, g garbage) {
	w.t.Helper()
	s, err := dial(p)
	if err != nil {
		w.t.Fatalf("%s: %v", p.name, err)
	}
	s.conn.Write(g.bytes) // fails where the daemon was faster
	if g.waits {
		err = s.finish()
	} else {
		err = s.closed()
	}
	if err != nil {
		w.t.Errorf("%s: %s: %v", p.name, g.name, err)
	}
}

// Many who connect and say nothing are let in and shown out; they hold nobody up.
func TestSilentCrowd(t *testing.T) {
	w := newWorld(t)
	before := w.usages()
	var crowd []*peer
	for _, p := range w.ports {
		for range 40 {
			s, err := dial(p)
			must(t, err)
			crowd = append(crowd, s)
		}
	}
	for _, s := range crowd {
		if err := s.closed(); err != nil {
			t.Fatal(err)
		}
	}
	w.sameUsage(before)
}

// The admin sockets take commands and nothing else.
func TestAdminSocketGarbage(t *testing.T) {
	w := newWorld(t)
	before := w.usages()
	for _, name := range w.names {
		for _, c := range []string{
			"", "\x00", "\n", "nonsense\x00", "{\x00", "[]\x00", "null\x00", "{}\x00", `{"prefix":5}` + "\x00",
			`{"prefix":"config get"}` + "\x00", `{"prefix":"config get","var":{"a":[1,{}]}}` + "\x00",
			`{"prefix":"config set","var":"debug_osd","val":[[]]}` + "\x00", `{"prefix":"config set","var":"osd_data","val":"` + strings.Repeat("x", 1000) + `"` + "\x00",
			`{"prefix":"` + strings.Repeat("a", 70000) + `"}` + "\x00", strings.Repeat("{", 60000) + "\x00",
			"GET / HTTP/1.1\r\n\r\n", strings.Repeat("\xff", 1<<20), `{"prefix":"perf dump","logger":7,"counter":[]}` + "\x00",
		} {
			for range 20 {
				if out, err := w.asok(name, c); err != nil {
					t.Errorf("%s: %.40q was answered %.60q, %v", name, c, out, err)
				}
			}
		}
	}
	// Those who say nothing hold others up for a moment only.
	for range 70 {
		c, err := net.Dial("unix", w.c.Asok("osd.0"))
		must(t, err)
		defer c.Close()
	}
	if out, err := w.asok("osd.0", `{"prefix":"version"}`+"\x00"); err != nil || !bytes.Contains(out, []byte("version")) {
		t.Errorf("version is %q, %v", out, err)
	}
	w.sameUsage(before)
}
