package wire

import (
	"encoding/binary"
	"math"
	"time"
)

// Encoder appends encoded values to a byte slice. The zero value is ready.
type Encoder struct {
	b []byte
	// Features are the feature bits of the peer the bytes are meant for
	// (src/include/ceph_features.h). Codecs whose form depends on the peer
	// consult them; zero means "the full Ceph 16 form".
	Features uint64
}

// NewEncoder returns an encoder with room for n bytes before it grows.
func NewEncoder(n int) *Encoder { return &Encoder{b: make([]byte, 0, n)} }

// Bytes returns what was encoded so far. It shares memory with the encoder.
func (e *Encoder) Bytes() []byte { return e.b }

// Len returns the number of bytes encoded so far.
func (e *Encoder) Len() int { return len(e.b) }

// Reset empties the encoder and keeps its memory.
func (e *Encoder) Reset() { e.b = e.b[:0] }

// U8 appends one byte.
func (e *Encoder) U8(v uint8) { e.b = append(e.b, v) }

// I8 appends one signed byte.
func (e *Encoder) I8(v int8) { e.b = append(e.b, byte(v)) }

// Bool appends one byte, 0 or 1.
func (e *Encoder) Bool(v bool) {
	if v {
		e.U8(1)
	} else {
		e.U8(0)
	}
}

// U16 appends a 16-bit integer.
func (e *Encoder) U16(v uint16) { e.b = binary.LittleEndian.AppendUint16(e.b, v) }

// U32 appends a 32-bit integer.
func (e *Encoder) U32(v uint32) { e.b = binary.LittleEndian.AppendUint32(e.b, v) }

// U64 appends a 64-bit integer.
func (e *Encoder) U64(v uint64) { e.b = binary.LittleEndian.AppendUint64(e.b, v) }

// I16 appends a signed 16-bit integer.
func (e *Encoder) I16(v int16) { e.U16(uint16(v)) }

// I32 appends a signed 32-bit integer.
func (e *Encoder) I32(v int32) { e.U32(uint32(v)) }

// I64 appends a signed 64-bit integer.
func (e *Encoder) I64(v int64) { e.U64(uint64(v)) }

// F32 appends an IEEE single.
func (e *Encoder) F32(v float32) { e.U32(math.Float32bits(v)) }

// F64 appends an IEEE double.
func (e *Encoder) F64(v float64) { e.U64(math.Float64bits(v)) }

// Raw appends bytes as they are, without a length.
func (e *Encoder) Raw(p []byte) { e.b = append(e.b, p...) }

// Blob appends a 32-bit length and the bytes (Ceph's bufferlist and string).
func (e *Encoder) Blob(p []byte) {
	e.U32(uint32(len(p)))
	e.b = append(e.b, p...)
}

// BufBlob appends a 32-bit length and the bytes of all segments.
func (e *Encoder) BufBlob(p Buf) {
	e.U32(uint32(p.Len()))
	for _, s := range p {
		e.b = append(e.b, s...)
	}
}

// String appends a 32-bit length and the bytes of s.
func (e *Encoder) String(s string) {
	e.U32(uint32(len(s)))
	e.b = append(e.b, s...)
}

// Time appends a utime_t: 32-bit seconds and nanoseconds. The zero
// time.Time becomes 0.0.
func (e *Encoder) Time(t time.Time) {
	if t.IsZero() {
		e.U64(0)
		return
	}
	e.U32(uint32(t.Unix()))
	e.U32(uint32(t.Nanosecond()))
}

// Mark is the place of an envelope's length, given by [Encoder.Begin].
type Mark int

// Begin starts a versioned envelope (ENCODE_START): the version of the
// encoding, the oldest version a decoder must know to read it, and a length
// that [Encoder.End] fills in.
func (e *Encoder) Begin(version, compat uint8) Mark {
	e.b = append(e.b, version, compat, 0, 0, 0, 0)
	return Mark(len(e.b))
}

// End closes the envelope that m opened.
func (e *Encoder) End(m Mark) {
	binary.LittleEndian.PutUint32(e.b[m-4:], uint32(len(e.b)-int(m)))
}

// BeginLen reserves a 32-bit length to be filled in by [Encoder.End]: a blob
// whose content is encoded in place.
func (e *Encoder) BeginLen() Mark {
	e.b = append(e.b, 0, 0, 0, 0)
	return Mark(len(e.b))
}
