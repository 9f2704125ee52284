package object

import (
	"math/bits"
	"slices"
)

// HashType selects the string hash of a pool (CEPH_STR_HASH_*).
type HashType uint8

// The string hashes.
const (
	HashLinux    HashType = 1
	HashRjenkins HashType = 2
)

// Hash returns the 32-bit hash of s. An unknown type hashes everything to
// 0xffffffff, as Ceph's does.
func (t HashType) Hash(s string) uint32 {
	switch t {
	case HashLinux:
		return hashLinux(s)
	case HashRjenkins:
		return hashRjenkins(s)
	}
	return 0xffffffff
}

// String returns Ceph's name of the hash.
func (t HashType) String() string {
	switch t {
	case HashLinux:
		return "linux"
	case HashRjenkins:
		return "rjenkins"
	}
	return "unknown"
}

// hashLinux is the hash of the Linux directory-entry cache.
func hashLinux(s string) uint32 {
	var h uint32
	for i := range len(s) {
		c := uint32(s[i])
		h = (h + c<<4 + c>>4) * 11
	}
	return h
}

// hashRjenkins is Robert Jenkins' 1996 hash (evahash, in the public domain):
// three words are mixed for each 12 bytes; the last, partial block leaves the
// low byte of c to the length.
func hashRjenkins(s string) uint32 {
	const golden = 0x9e3779b9
	a, b, c := uint32(golden), uint32(golden), uint32(0)
	length := uint32(len(s))
	for ; len(s) >= 12; s = s[12:] {
		a, b, c = mix(a+word(s[0:4]), b+word(s[4:8]), c+word(s[8:12]))
	}
	a += word(s[:min(4, len(s))])
	if len(s) > 4 {
		b += word(s[4:min(8, len(s))])
	}
	c += length
	if len(s) > 8 {
		c += word(s[8:]) << 8
	}
	_, _, c = mix(a, b, c)
	return c
}

// word reads up to four bytes, little-endian.
func word(s string) uint32 {
	var w uint32
	for i := range len(s) {
		w |= uint32(s[i]) << (8 * i)
	}
	return w
}

func mix(a, b, c uint32) (uint32, uint32, uint32) {
	a = (a - b - c) ^ c>>13
	b = (b - c - a) ^ a<<8
	c = (c - a - b) ^ b>>13
	a = (a - b - c) ^ c>>12
	b = (b - c - a) ^ a<<16
	c = (c - a - b) ^ b>>5
	a = (a - b - c) ^ c>>3
	b = (b - c - a) ^ a<<10
	c = (c - a - b) ^ b>>15
	return a, b, c
}

// ReverseBits turns a hash into its sort key: objects are ordered by it, so that
// a PG of any pg_num is a contiguous range.
func ReverseBits(h uint32) uint32 { return bits.Reverse32(h) }

// ReverseNibbles turns a hash into the order of FileStore's directories.
func ReverseNibbles(h uint32) uint32 {
	h = h&0x0f0f0f0f<<4 | h&0xf0f0f0f0>>4
	return bits.ReverseBytes32(h)
}

// PlacementHash is the hash of an object for placement: of its locator key if
// it has one, otherwise of its name, prefixed by its namespace.
func PlacementHash(t HashType, namespace, key, name string) uint32 {
	if key == "" {
		key = name
	}
	if namespace == "" {
		return t.Hash(key)
	}
	b := slices.Concat([]byte(namespace), []byte{0x1f}, []byte(key))
	return t.Hash(string(b))
}
