package ops

import (
	"encoding/binary"
	"math/bits"
)

// The xxHash functions by Yann Collet, from their specification
// (doc/xxhash_spec.md of the xxHash project); CHECKSUM offers them.
const (
	prime32x1 uint32 = 0x9E3779B1
	prime32x2 uint32 = 0x85EBCA77
	prime32x3 uint32 = 0xC2B2AE3D
	prime32x4 uint32 = 0x27D4EB2F
	prime32x5 uint32 = 0x165667B1

	prime64x1 uint64 = 0x9E3779B185EBCA87
	prime64x2 uint64 = 0xC2B2AE3D27D4EB4F
	prime64x3 uint64 = 0x165667B19E3779F9
	prime64x4 uint64 = 0x85EBCA77C2B2AE63
	prime64x5 uint64 = 0x27D4EB2F165667C5
)

func xxhash32(p []byte, seed uint32) uint32 {
	le := binary.LittleEndian
	length := uint32(len(p))
	h := seed + prime32x5
	if len(p) >= 16 {
		lane := [4]uint32{seed + prime32x1 + prime32x2, seed + prime32x2, seed, seed - prime32x1}
		for ; len(p) >= 16; p = p[16:] {
			for i := range lane {
				lane[i] = bits.RotateLeft32(lane[i]+le.Uint32(p[4*i:])*prime32x2, 13) * prime32x1
			}
		}
		h = bits.RotateLeft32(lane[0], 1) + bits.RotateLeft32(lane[1], 7) +
			bits.RotateLeft32(lane[2], 12) + bits.RotateLeft32(lane[3], 18)
	}
	h += length
	for ; len(p) >= 4; p = p[4:] {
		h = bits.RotateLeft32(h+le.Uint32(p)*prime32x3, 17) * prime32x4
	}
	for _, b := range p {
		h = bits.RotateLeft32(h+uint32(b)*prime32x5, 11) * prime32x1
	}
	h = (h ^ h>>15) * prime32x2
	h = (h ^ h>>13) * prime32x3
	return h ^ h>>16
}

func xxround64(acc, v uint64) uint64 {
	return bits.RotateLeft64(acc+v*prime64x2, 31) * prime64x1
}

func xxhash64(p []byte, seed uint64) uint64 {
	le := binary.LittleEndian
	length := uint64(len(p))
	h := seed + prime64x5
	if len(p) >= 32 {
		lane := [4]uint64{seed + prime64x1 + prime64x2, seed + prime64x2, seed, seed - prime64x1}
		for ; len(p) >= 32; p = p[32:] {
			for i := range lane {
				lane[i] = xxround64(lane[i], le.Uint64(p[8*i:]))
			}
		}
		h = bits.RotateLeft64(lane[0], 1) + bits.RotateLeft64(lane[1], 7) +
			bits.RotateLeft64(lane[2], 12) + bits.RotateLeft64(lane[3], 18)
		for _, v := range lane {
			h = (h^xxround64(0, v))*prime64x1 + prime64x4
		}
	}
	h += length
	for ; len(p) >= 8; p = p[8:] {
		h = bits.RotateLeft64(h^xxround64(0, le.Uint64(p)), 27)*prime64x1 + prime64x4
	}
	if len(p) >= 4 {
		h = bits.RotateLeft64(h^uint64(le.Uint32(p))*prime64x1, 23)*prime64x2 + prime64x3
		p = p[4:]
	}
	for _, b := range p {
		h = bits.RotateLeft64(h^uint64(b)*prime64x5, 11) * prime64x1
	}
	h = (h ^ h>>33) * prime64x2
	h = (h ^ h>>29) * prime64x3
	return h ^ h>>32
}
