package wire

import (
	"cmp"
	"maps"
	"slices"
)

// Slice appends a 32-bit count and each element of s by enc.
func Slice[T any](e *Encoder, s []T, enc func(*Encoder, T)) {
	e.U32(uint32(len(s)))
	for _, v := range s {
		enc(e, v)
	}
}

// ReadSlice reads a container that [Slice] wrote. minSize is the least number of
// bytes an element takes. The result is nil when empty or on error.
func ReadSlice[T any](d *Decoder, minSize int, dec func(*Decoder) T) []T {
	n := d.Count(minSize)
	if n == 0 {
		return nil
	}
	out := make([]T, 0, min(n, 1<<16))
	for range n {
		v := dec(d)
		if d.err != nil {
			return nil
		}
		out = append(out, v)
	}
	return out
}

// Map appends a 32-bit count and each pair of m in key order (std::map).
func Map[K cmp.Ordered, V any](e *Encoder, m map[K]V, key func(*Encoder, K), val func(*Encoder, V)) {
	e.U32(uint32(len(m)))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		key(e, k)
		val(e, m[k])
	}
}

// ReadMap reads a container that [Map] wrote. minSize is the least number of
// bytes a pair takes. The result is never nil, so that it can be added to.
func ReadMap[K comparable, V any](d *Decoder, minSize int, key func(*Decoder) K, val func(*Decoder) V) map[K]V {
	n := d.Count(minSize)
	out := make(map[K]V, min(n, 1<<12))
	for range n {
		k := key(d)
		v := val(d)
		if d.err != nil {
			return out
		}
		out[k] = v
	}
	return out
}

// PutString, PutU32 and the like are method values' shorter names for use as
// element encoders.
var (
	PutString = (*Encoder).String
	PutBlob   = (*Encoder).Blob
	PutU32    = (*Encoder).U32
	PutI32    = (*Encoder).I32
	PutU64    = (*Encoder).U64
	PutI64    = (*Encoder).I64
	GetString = (*Decoder).String
	GetBlob   = (*Decoder).Blob
	GetU32    = (*Decoder).U32
	GetI32    = (*Decoder).I32
	GetU64    = (*Decoder).U64
	GetI64    = (*Decoder).I64
)
