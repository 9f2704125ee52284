package msgr

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"sepiola/entity"
)

// rawPeer speaks the protocol frame by frame, for tests that need a peer that
// does other than it should.
type rawPeer struct {
	t    testing.TB
	conn net.Conn
	fr   *frameReader
	self entity.Addr
	rev0 bool
}

func dialRaw(t testing.TB, to netip.AddrPort) *rawPeer {
	t.Helper()
	c, err := net.DialTimeout("tcp", to.String(), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	r := &rawPeer{t: t, conn: c, fr: newFrameReader()}
	r.fr.rev1 = true
	r.self = entity.Addr{Type: entity.AddrAny, Nonce: 77, AddrPort: loopback}
	return r
}

func (r *rawPeer) bytes(p []byte) {
	r.t.Helper()
	if _, err := r.conn.Write(p); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rawPeer) send(c control) { r.t.Helper(); r.bytes(frameBytes(!r.rev0, c)) }

// step reads up to the next banner or frame; false when the peer closed.
func (r *rawPeer) step() bool {
	r.t.Helper()
	for {
		step, err := r.fr.next()
		if err != nil {
			r.t.Fatal(err)
		}
		switch step {
		case stepFrame, stepBanner:
			return true
		case stepMore:
			n, err := r.conn.Read(r.fr.want())
			if err != nil {
				if ne, ok := err.(net.Error); ok && ne.Timeout() {
					r.t.Fatal("nothing came")
				}
				return false
			}
			r.fr.got(n)
		}
	}
}

// expect reads a control frame of that kind.
func (r *rawPeer) expect(t tag) control {
	r.t.Helper()
	if !r.step() {
		r.t.Fatalf("the peer closed instead of sending %v", t)
	}
	if r.fr.out.tag != t {
		r.t.Fatalf("got %v instead of %v", r.fr.out.tag, t)
	}
	c, err := decodeControl(t, r.fr.out.payload)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// closed waits for the peer to close.
func (r *rawPeer) closed() {
	r.t.Helper()
	for r.step() {
	}
}

// authenticate goes as far as the session's opening, as a party of that kind.
func (r *rawPeer) authenticate(kind, server entity.Type) {
	r.t.Helper()
	features := uint64(featureRevision1)
	if r.rev0 {
		features = 0
	}
	r.bytes(banner{supported: features}.bytes())
	r.step()
	r.send(&helloFrame{kind, entity.Msgr2(r.conn.RemoteAddr().(*net.TCPAddr).AddrPort())})
	r.expect(tagHello)
	client := &NoneClient{Name: entity.AuthName{Type: kind, ID: "admin"}}
	method, payload, err := client.Begin(server).Request(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	r.send(&authRequestFrame{method, []ConMode{ModeCRC}, payload})
	r.expect(tagAuthDone)
	r.send(new(authSignatureFrame))
	r.expect(tagAuthSignature)
}

// ident is a client's identification towards target.
func (r *rawPeer) ident(target entity.Addr) *clientIdentFrame {
	return &clientIdentFrame{
		addrs: entity.AddrVec{r.self}, target: target, num: 5, globalSeq: 1,
		supported: FeaturesAll, required: FeaturesProtocol, flags: flagLossy,
	}
}
