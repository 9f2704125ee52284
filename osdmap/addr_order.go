package osdmap

import (
	"bytes"
	"encoding/binary"

	"sepiola/entity"
)

// addrImage lays an address out as entity_addr_t lies in the memory of a Linux
// machine on x86 or ARM: type and nonce little-endian, then the socket address
// with family, port in network order, and IP. std::map keeps addresses in the
// order of these bytes (operator< in src/msg/msg_types.h), so encodings do too.
func addrImage(a entity.Addr) [36]byte {
	var b [36]byte
	binary.LittleEndian.PutUint32(b[0:], uint32(a.Type))
	binary.LittleEndian.PutUint32(b[4:], a.Nonce)
	ip := a.Addr().Unmap()
	if !ip.IsValid() {
		return b
	}
	binary.BigEndian.PutUint16(b[10:], a.Port())
	if ip.Is4() {
		binary.LittleEndian.PutUint16(b[8:], 2) // AF_INET
		copy(b[12:], ip.AsSlice())
		return b
	}
	binary.LittleEndian.PutUint16(b[8:], 10) // AF_INET6
	copy(b[16:], ip.AsSlice())
	return b
}

func compareAddrBytes(a, b entity.Addr) int {
	x, y := addrImage(a), addrImage(b)
	return bytes.Compare(x[:], y[:])
}
