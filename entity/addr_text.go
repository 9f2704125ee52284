package entity

import (
	"fmt"
	"strconv"
	"strings"
)

// MarshalText returns "type:ip:port/nonce" for every address that has an IP, and
// "type:/nonce" for one that has none, so that JSON keeps the type and nonce.
// (Without it the embedded netip.AddrPort would speak for the whole.)
func (a Addr) MarshalText() ([]byte, error) {
	if a.IsZero() {
		return []byte("-"), nil
	}
	host := ""
	if a.AddrPort.IsValid() {
		host = a.AddrPort.String()
	}
	return fmt.Appendf(nil, "%d:%s/%d", a.Type, host, a.Nonce), nil
}

// UnmarshalText reads what [Addr.MarshalText] wrote.
func (a *Addr) UnmarshalText(p []byte) error {
	s := string(p)
	if s == "-" {
		*a = Addr{}
		return nil
	}
	kind, rest, ok1 := strings.Cut(s, ":")
	cut := strings.LastIndexByte(rest, '/')
	t, err1 := strconv.ParseUint(kind, 10, 32)
	if !ok1 || cut < 0 || err1 != nil {
		return fmt.Errorf("address %q: want type:ip:port/nonce", s)
	}
	nonce, err := strconv.ParseUint(rest[cut+1:], 10, 32)
	if err != nil {
		return fmt.Errorf("address %q: bad nonce", s)
	}
	*a = Addr{Type: AddrType(t), Nonce: uint32(nonce)}
	if cut == 0 {
		return nil
	}
	return a.AddrPort.UnmarshalText([]byte(rest[:cut]))
}
