package entity

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"sepiola/wire"
)

func genAddr() *rapid.Generator[Addr] {
	return rapid.Custom(func(t *rapid.T) Addr {
		a := Addr{Type: rapid.SampledFrom([]AddrType{AddrLegacy, AddrMsgr2, AddrAny}).Draw(t, "type"), Nonce: rapid.Uint32().Draw(t, "nonce")}
		port := rapid.Uint16().Draw(t, "port")
		switch rapid.IntRange(0, 3).Draw(t, "family") {
		case 0, 1:
			a.AddrPort = netip.AddrPortFrom(netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "ip"))), port)
		case 2:
			a.AddrPort = netip.AddrPortFrom(netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "ip"))), port)
			if a.Addr().Is4In6() {
				a.AddrPort = netip.AddrPortFrom(a.Addr().Unmap(), port)
			}
		}
		return a
	})
}

// Addresses and names come back whole from their encodings, and those with an IP from
// their text.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := AddrVec(rapid.SliceOfN(genAddr(), 0, 4).Draw(t, "addrs"))
		n := Name{Type(rapid.Byte().Draw(t, "type")), rapid.Int64().Draw(t, "num")}
		an := AuthName{Type(rapid.Byte().Draw(t, "auth type")), rapid.String().Draw(t, "id")}
		u := UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "uuid"))
		e := wire.NewEncoder(0)
		v.Encode(e)
		n.Encode(e)
		an.Encode(e)
		u.Encode(e)
		for _, a := range v {
			a.Encode(e)
		}
		d := wire.NewDecoder(e.Bytes())
		gv, gn, gan, gu := DecodeAddrVec(d), DecodeName(d), DecodeAuthName(d), DecodeUUID(d)
		if !gv.Equal(v) || gn != n || gan != an || gu != u {
			t.Fatalf("%v %v %v %v came back as %v %v %v %v", v, n, an, u, gv, gn, gan, gu)
		}
		for _, a := range v {
			if one := DecodeAddrVec(d); len(one) != 1 || one[0] != a {
				t.Fatalf("%v alone came back as %v", a, one)
			}
			if got, err := ParseAddr(a.String()); a.IsValid() && a.Type != AddrAny && (err != nil || got != a) {
				t.Fatalf("%v came back as %v (%v)", a, got, err)
			}
		}
		if err := d.Finish(); err != nil {
			t.Fatal(err)
		}
		if got, err := ParseUUID(u.String()); err != nil || got != u {
			t.Fatalf("%v came back as %v (%v)", u, got, err)
		}
	})
}

// The encodings are those that the reference has: an address as in the osd map of
// testdata, the legacy form as src/msg/msg_types.h lays it out.
func TestAddrEncoding(t *testing.T) {
	a, err := ParseAddr("v2:127.0.0.1:6800/305419896")
	if err != nil {
		t.Fatal(err)
	}
	e := wire.NewEncoder(0)
	a.Encode(e)
	want, _ := hex.DecodeString("01" + "01011c000000" + "02000000" + "78563412" + "10000000" + "0200" + "1a90" + "7f000001" + "0000000000000000")
	if !bytes.Equal(e.Bytes(), want) {
		t.Errorf("encoded as\n%x, want\n%x", e.Bytes(), want)
	}
	e = wire.NewEncoder(0)
	a.EncodeLegacy(e)
	want, _ = hex.DecodeString("00000000" + "78563412" + "0002" + "1a90" + "7f000001")
	if len(e.Bytes()) != 136 || !bytes.HasPrefix(e.Bytes(), want) {
		t.Errorf("legacy form %x", e.Bytes())
	}
	old := DecodeAddr(wire.NewDecoder(e.Bytes()))
	if old.Type != AddrLegacy || old.AddrPort != a.AddrPort || old.Nonce != a.Nonce {
		t.Errorf("the legacy form came back as %v", old)
	}
}

// Addresses are printed as Ceph prints them (src/msg/msg_types.cc), blank ones too.
func TestAddrStrings(t *testing.T) {
	local := netip.MustParseAddrPort("127.0.0.1:6800")
	for _, c := range []struct {
		addr Addr
		want string
	}{
		{Addr{}, "-"},
		{Addr{Type: AddrNone, Nonce: 3, AddrPort: local}, "-"},
		{Addr{Type: AddrMsgr2, Nonce: 3, AddrPort: local}, "v2:127.0.0.1:6800/3"},
		{Addr{Type: AddrLegacy, AddrPort: local}, "v1:127.0.0.1:6800/0"},
		{Addr{Type: AddrAny, Nonce: 7, AddrPort: local}, "127.0.0.1:6800/7"},
		{Addr{Type: AddrMsgr2, AddrPort: netip.MustParseAddrPort("[fe80::1]:3300")}, "v2:[fe80::1]:3300/0"},
		{Addr{Type: AddrMsgr2, Nonce: 9}, "v2:(unrecognized address family 0)/9"},
		{Addr{Type: AddrAny}, "(unrecognized address family 0)/0"},
		{Addr{Type: 99, AddrPort: local}, "???:127.0.0.1:6800/0"},
		{Addr{Type: AddrMsgr2, AddrPort: netip.MustParseAddrPort("[::ffff:1.2.3.4]:5")}, "v2:1.2.3.4:5/0"},
	} {
		if got := c.addr.String(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	a, b := Addr{Type: AddrMsgr2, AddrPort: local}, Addr{Type: AddrLegacy, AddrPort: local}
	for want, v := range map[string]AddrVec{"": nil, "v2:127.0.0.1:6800/0": {a}, "[v2:127.0.0.1:6800/0,v1:127.0.0.1:6800/0]": {a, b}} {
		if got := v.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if got, err := ParseAddrVec(want); want != "" && (err != nil || !got.Equal(v)) {
			t.Errorf("%q was read as %v (%v)", want, got, err)
		}
	}
	v := AddrVec{b, a}
	if v.Msgr2() != a || v.Legacy() != b || !v.Contains(a) || (AddrVec{}).Msgr2() != (Addr{}) {
		t.Error("the addresses of a kind")
	}
}

// Text that names no address, party or cluster is refused.
func TestParseRefusals(t *testing.T) {
	for _, s := range []string{"", "v2:", "v2:localhost:1", "v2:1.2.3.4:99999", "v2:1.2.3.4/-1", "v2:1.2.3.4:1/4294967296", "v3:1.2.3.4:1", "[v2:1.2.3.4:1,]"} {
		if v, err := ParseAddrVec(s); err == nil {
			t.Errorf("%q was read as %v", s, v)
		}
	}
	for s, want := range map[string]Addr{
		"1.2.3.4":          {Type: AddrMsgr2, AddrPort: netip.MustParseAddrPort("1.2.3.4:0")},
		"[fe80::1]:3300/5": {Type: AddrMsgr2, Nonce: 5, AddrPort: netip.MustParseAddrPort("[fe80::1]:3300")},
		"any:[fe80::1]":    {Type: AddrAny, AddrPort: netip.MustParseAddrPort("[fe80::1]:0")},
	} {
		if got, err := ParseAddr(s); err != nil || got != want {
			t.Errorf("%q was read as %v (%v), want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "osd", "osd.", "osd.x", "disk.1", ".1"} {
		if n, err := ParseName(s); err == nil {
			t.Errorf("%q was read as %v", s, n)
		}
	}
	for _, n := range []Name{OSD(3), Mon(0), Client(4123), {TypeMgr, 7}, {TypeMDS, 0}} {
		if got, err := ParseName(n.String()); err != nil || got != n {
			t.Errorf("%v was read as %v (%v)", n, got, err)
		}
	}
	if s := (Name{TypeOSD, -1}).String(); s != "osd.?" {
		t.Errorf("a party without number is %q", s)
	}
	for _, s := range []string{"", "x", "11111111-2222-3333-4444-55555555555", "11111111-2222-3333-4444-55555555555g"} {
		if u, err := ParseUUID(s); err == nil {
			t.Errorf("%q was read as %v", s, u)
		}
	}
	if n, err := ParseAuthName("client.a.b"); err != nil || n != (AuthName{TypeClient, "a.b"}) || n.String() != "client.a.b" {
		t.Errorf("client.a.b was read as %v (%v)", n, err)
	}
	if a, b := NewUUID(), NewUUID(); a == b || a.IsZero() || a[6]>>4 != 4 || a[8]>>6 != 2 {
		t.Errorf("new UUIDs %v and %v", a, b)
	}
}

// The order of parties and addresses is total.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := genAddr().Draw(t, "a"), genAddr().Draw(t, "b")
		if a.Compare(b) != -b.Compare(a) || a.Compare(a) != 0 || (a.Compare(b) == 0) != (a == b) {
			t.Fatalf("%v and %v", a, b)
		}
	})
	if OSD(2).Compare(OSD(10)) >= 0 || Mon(9).Compare(OSD(1)) >= 0 {
		t.Error("the order of names")
	}
}

func FuzzDecode(f *testing.F) {
	e := wire.NewEncoder(0)
	AddrVec{{Type: AddrMsgr2, Nonce: 5, AddrPort: netip.MustParseAddrPort("127.0.0.1:6800")}, {Type: AddrLegacy, AddrPort: netip.MustParseAddrPort("[fe80::1]:3300")}, {}}.Encode(e)
	f.Add(e.Bytes())
	e = wire.NewEncoder(0)
	Addr{Type: AddrLegacy, AddrPort: netip.MustParseAddrPort("127.0.0.1:6800")}.EncodeLegacy(e)
	f.Add(e.Bytes())
	f.Fuzz(func(t *testing.T, p []byte) {
		DecodeAuthName(wire.NewDecoder(p))
		d := wire.NewDecoder(p)
		v := DecodeAddrVec(d)
		if d.Err() != nil {
			return
		}
		_ = v.String()
		e := wire.NewEncoder(0)
		v.Encode(e)
		if got := DecodeAddrVec(wire.NewDecoder(e.Bytes())); len(got) != len(v) {
			t.Errorf("%v came back as %v", v, got)
		}
	})
}
