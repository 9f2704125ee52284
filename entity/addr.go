package entity

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"sepiola/wire"
)

// AddrType says which protocol an address speaks (entity_addr_t::type_t).
type AddrType uint32

// The address types.
const (
	AddrNone   AddrType = 0
	AddrLegacy AddrType = 1 // messenger v1, which this project does not speak
	AddrMsgr2  AddrType = 2
	AddrAny    AddrType = 3
)

// String returns Ceph's prefix for the type: v1, v2, any.
func (t AddrType) String() string {
	switch t {
	case AddrNone:
		return "none"
	case AddrLegacy:
		return "v1"
	case AddrMsgr2:
		return "v2"
	case AddrAny:
		return "any"
	}
	return "???"
}

// Address families as they stand in encodings (Linux).
const (
	familyUnspec = 0
	familyInet   = 2
	familyInet6  = 10

	sockaddrLenInet    = 16
	sockaddrLenInet6   = 28
	sockaddrLenStorage = 128
)

// Addr is entity_addr_t: where a party listens and which incarnation of it.
type Addr struct {
	Type AddrType
	// Nonce tells incarnations at one address apart. Daemons with a fixed port
	// across restarts use it; monitors use 0.
	Nonce uint32
	netip.AddrPort
}

// Msgr2 returns a v2 address without nonce.
func Msgr2(ap netip.AddrPort) Addr { return Addr{Type: AddrMsgr2, AddrPort: ap} }

// IsZero reports whether the address is entirely blank.
func (a Addr) IsZero() bool { return a == Addr{} }

// IsBlankIP reports whether no particular IP is named.
func (a Addr) IsBlankIP() bool {
	return !a.Addr().IsValid() || a.Addr().IsUnspecified()
}

// String returns "v2:1.2.3.4:6800/123", without prefix for type any, "-" for a
// blank address.
func (a Addr) String() string {
	switch a.Type {
	case AddrNone:
		return "-"
	case AddrAny:
		return a.HostPortNonce()
	}
	return a.Type.String() + ":" + a.HostPortNonce()
}

// HostPortNonce returns "1.2.3.4:6800/123", the legacy form. An address without an IP
// has Ceph's words for a blank socket address in its place.
func (a Addr) HostPortNonce() string {
	host := "(unrecognized address family 0)"
	if a.AddrPort.IsValid() {
		host = netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String()
	}
	return host + "/" + strconv.FormatUint(uint64(a.Nonce), 10)
}

// Compare orders addresses: type, nonce, IP, port. It decides connection races.
func (a Addr) Compare(o Addr) int {
	return cmp.Or(cmp.Compare(a.Type, o.Type), cmp.Compare(a.Nonce, o.Nonce),
		a.Addr().Compare(o.Addr()), cmp.Compare(a.Port(), o.Port()))
}

// ParseAddr reads "[v1:|v2:|any:]ip[:port][/nonce]". A missing prefix means v2.
func ParseAddr(s string) (Addr, error) {
	a := Addr{Type: AddrMsgr2}
	rest := s
	for _, t := range []AddrType{AddrLegacy, AddrMsgr2, AddrAny} {
		if after, ok := strings.CutPrefix(rest, t.String()+":"); ok {
			a.Type, rest = t, after
			break
		}
	}
	host, nonce, ok := strings.Cut(rest, "/")
	if ok {
		n, err := strconv.ParseUint(nonce, 10, 32)
		if err != nil {
			return Addr{}, fmt.Errorf("address %q: bad nonce", s)
		}
		a.Nonce = uint32(n)
	}
	if ap, err := netip.ParseAddrPort(host); err == nil {
		a.AddrPort = ap
		return a, nil
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil {
		return Addr{}, fmt.Errorf("address %q: want [v2:]ip[:port][/nonce]", s)
	}
	a.AddrPort = netip.AddrPortFrom(ip, 0)
	return a, nil
}

// Encode appends the address as peers with the MSG_ADDR2 feature read it.
func (a Addr) Encode(e *wire.Encoder) {
	e.U8(1)
	m := e.Begin(1, 1)
	e.U32(uint32(a.Type))
	e.U32(a.Nonce)
	a.encodeSockaddr(e)
	e.End(m)
}

// EncodeLegacy appends the fixed-size form of peers without MSG_ADDR2.
func (a Addr) EncodeLegacy(e *wire.Encoder) {
	e.U32(0)
	e.U32(a.Nonce)
	start := e.Len()
	// Here, and only here, the family and port are in network byte order.
	ip := a.Addr().Unmap()
	switch {
	case ip.Is4():
		e.Raw([]byte{0, familyInet, byte(a.Port() >> 8), byte(a.Port())})
		e.Raw(ip.AsSlice())
	case ip.Is6():
		e.Raw([]byte{0, familyInet6, byte(a.Port() >> 8), byte(a.Port()), 0, 0, 0, 0})
		e.Raw(ip.AsSlice())
	}
	e.Raw(make([]byte, sockaddrLenStorage-(e.Len()-start)))
}

func (a Addr) encodeSockaddr(e *wire.Encoder) {
	ip := a.Addr().Unmap()
	switch {
	case ip.Is4():
		e.U32(sockaddrLenInet)
		e.U16(familyInet)
		e.Raw([]byte{byte(a.Port() >> 8), byte(a.Port())})
		e.Raw(ip.AsSlice())
		e.U64(0)
	case ip.Is6():
		e.U32(sockaddrLenInet6)
		e.U16(familyInet6)
		e.Raw([]byte{byte(a.Port() >> 8), byte(a.Port())})
		e.U32(0) // flow information
		e.Raw(ip.AsSlice())
		e.U32(0) // scope
	default:
		// A blank address still carries a sockaddr of family AF_UNSPEC, as long
		// as the longest one Ceph keeps.
		e.U32(sockaddrLenInet6)
		e.Raw(make([]byte, sockaddrLenInet6))
	}
}

// DecodeAddr reads an address of either form.
func DecodeAddr(d *wire.Decoder) Addr {
	switch marker := d.U8(); marker {
	case 0:
		return decodeLegacyAddr(d)
	case 1:
		return decodeAddr2(d)
	default:
		d.Fail("address marker %d", marker)
		return Addr{}
	}
}

func decodeLegacyAddr(d *wire.Decoder) Addr {
	d.Skip(3)
	a := Addr{Type: AddrLegacy, Nonce: d.U32()}
	p := d.Raw(sockaddrLenStorage)
	if p == nil {
		return Addr{}
	}
	family := uint16(p[0])<<8 | uint16(p[1])
	a.AddrPort = sockaddr(family, p[2:])
	if !a.IsValid() {
		a.Type = AddrNone
	}
	return a
}

func decodeAddr2(d *wire.Decoder) Addr {
	s := d.Begin(1)
	defer d.End(s)
	a := Addr{Type: AddrType(d.U32()), Nonce: d.U32()}
	n := int(d.U32())
	if n == 0 {
		return a
	}
	if n < 2 || n > sockaddrLenStorage {
		d.Fail("socket address of %d bytes", n)
		return Addr{}
	}
	family := d.U16()
	a.AddrPort = sockaddr(family, d.Raw(n-2))
	return a
}

// sockaddr reads what follows the family; invalid when it is of no IP family or
// too short.
func sockaddr(family uint16, p []byte) netip.AddrPort {
	switch {
	case family == familyInet && len(p) >= 6:
		port := uint16(p[0])<<8 | uint16(p[1])
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(p[2:6])), port)
	case family == familyInet6 && len(p) >= 22:
		port := uint16(p[0])<<8 | uint16(p[1])
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(p[6:22])), port)
	}
	return netip.AddrPort{}
}

// AddrVec is entity_addrvec_t: all addresses of one party.
type AddrVec []Addr

// Msgr2 returns the first v2 address, or a blank one.
func (v AddrVec) Msgr2() Addr {
	for _, a := range v {
		if a.Type == AddrMsgr2 || a.Type == AddrAny {
			return a
		}
	}
	return Addr{}
}

// Legacy returns the first v1 address, or a blank one.
func (v AddrVec) Legacy() Addr {
	for _, a := range v {
		if a.Type == AddrLegacy {
			return a
		}
	}
	return Addr{}
}

// Equal reports whether both hold the same addresses in the same order.
func (v AddrVec) Equal(o AddrVec) bool { return slices.Equal(v, o) }

// Contains reports whether a is one of the addresses.
func (v AddrVec) Contains(a Addr) bool { return slices.Contains(v, a) }

// String returns the one address bare, several as "[a,b]", and nothing for
// none, as Ceph prints it.
func (v AddrVec) String() string {
	switch len(v) {
	case 0:
		return ""
	case 1:
		return v[0].String()
	}
	parts := make([]string, len(v))
	for i, a := range v {
		parts[i] = a.String()
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// ParseAddrVec reads one address or "[a,b,...]".
func ParseAddrVec(s string) (AddrVec, error) {
	s = strings.TrimSpace(s)
	if !strings.HasPrefix(s, "[") || strings.HasPrefix(s, "[:") || !strings.HasSuffix(s, "]") {
		a, err := ParseAddr(s)
		return AddrVec{a}, err
	}
	var v AddrVec
	for part := range strings.SplitSeq(s[1:len(s)-1], ",") {
		a, err := ParseAddr(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		v = append(v, a)
	}
	return v, nil
}

// Encode appends the vector as peers with the MSG_ADDR2 feature read it.
func (v AddrVec) Encode(e *wire.Encoder) {
	e.U8(2)
	wire.Slice(e, v, func(e *wire.Encoder, a Addr) { a.Encode(e) })
}

// EncodeAddr appends the vector's one address in the place where Ceph 16 still
// writes a single entity_addr_t.
func (v AddrVec) EncodeAddr(e *wire.Encoder) {
	switch {
	case len(v) == 0:
		Addr{}.Encode(e)
	default:
		v[0].Encode(e)
	}
}

// DecodeAddrVec reads a vector, or a single address in the place of one.
func DecodeAddrVec(d *wire.Decoder) AddrVec {
	switch marker := d.U8(); marker {
	case 0:
		return AddrVec{decodeLegacyAddr(d)}
	case 1:
		return AddrVec{decodeAddr2(d)}
	case 2:
		return wire.ReadSlice(d, 7, DecodeAddr)
	default:
		d.Fail("address vector marker %d", marker)
		return nil
	}
}
