package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// ErrShort is wrapped by the error of a decoder that ran out of bytes.
var ErrShort = errors.New("encoding ends too early")

// ErrMalformed is wrapped by the error of a decoder that found bytes no
// encoder makes.
var ErrMalformed = errors.New("malformed encoding")

// Decoder reads encoded values from a byte slice. It keeps the first error and
// returns zero values after it.
type Decoder struct {
	b   []byte
	off int
	end int
	err error
}

// NewDecoder returns a decoder over p. Blobs it returns share p's memory.
func NewDecoder(p []byte) *Decoder { return &Decoder{b: p, end: len(p)} }

// Err returns the first error met.
func (d *Decoder) Err() error { return d.err }

// Left returns the bytes not read yet, up to the end of the innermost
// envelope; 0 after an error.
func (d *Decoder) Left() int {
	if d.err != nil {
		return 0
	}
	return d.end - d.off
}

// Offset returns how many bytes were read.
func (d *Decoder) Offset() int { return d.off }

// Fail records a malformed value, unless an error is recorded already.
func (d *Decoder) Fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w at byte %d: %s", ErrMalformed, d.off, fmt.Sprintf(format, args...))
	}
}

// Finish returns the first error, or an error if bytes are left over.
func (d *Decoder) Finish() error {
	if d.err == nil && d.off != d.end {
		d.Fail("%d bytes left over", d.end-d.off)
	}
	return d.err
}

func (d *Decoder) take(n int) []byte {
	if d.err != nil {
		return nil
	}
	if n < 0 || n > d.end-d.off {
		d.err = fmt.Errorf("%w: %d bytes wanted at byte %d, %d left", ErrShort, n, d.off, d.end-d.off)
		return nil
	}
	p := d.b[d.off : d.off+n : d.off+n]
	d.off += n
	return p
}

// U8 reads one byte.
func (d *Decoder) U8() uint8 {
	if p := d.take(1); p != nil {
		return p[0]
	}
	return 0
}

// I8 reads one signed byte.
func (d *Decoder) I8() int8 { return int8(d.U8()) }

// Bool reads one byte; anything but 0 is true.
func (d *Decoder) Bool() bool { return d.U8() != 0 }

// U16 reads a 16-bit integer.
func (d *Decoder) U16() uint16 {
	if p := d.take(2); p != nil {
		return binary.LittleEndian.Uint16(p)
	}
	return 0
}

// U32 reads a 32-bit integer.
func (d *Decoder) U32() uint32 {
	if p := d.take(4); p != nil {
		return binary.LittleEndian.Uint32(p)
	}
	return 0
}

// U64 reads a 64-bit integer.
func (d *Decoder) U64() uint64 {
	if p := d.take(8); p != nil {
		return binary.LittleEndian.Uint64(p)
	}
	return 0
}

// I16 reads a signed 16-bit integer.
func (d *Decoder) I16() int16 { return int16(d.U16()) }

// I32 reads a signed 32-bit integer.
func (d *Decoder) I32() int32 { return int32(d.U32()) }

// I64 reads a signed 64-bit integer.
func (d *Decoder) I64() int64 { return int64(d.U64()) }

// F32 reads an IEEE single.
func (d *Decoder) F32() float32 { return math.Float32frombits(d.U32()) }

// F64 reads an IEEE double.
func (d *Decoder) F64() float64 { return math.Float64frombits(d.U64()) }

// Raw reads n bytes. The result shares the decoder's memory.
func (d *Decoder) Raw(n int) []byte { return d.take(n) }

// Skip passes over n bytes.
func (d *Decoder) Skip(n int) { d.take(n) }

// Blob reads a 32-bit length and as many bytes. The result shares the
// decoder's memory; it is nil when the length is zero.
func (d *Decoder) Blob() []byte {
	n := d.U32()
	if n == 0 {
		return nil
	}
	return d.take(int(n))
}

// String reads a 32-bit length and as many bytes.
func (d *Decoder) String() string { return string(d.Blob()) }

// Time reads a utime_t. 0.0 becomes the zero time.Time. Nanoseconds of a
// second or more carry over.
func (d *Decoder) Time() time.Time {
	sec, nsec := d.U32(), d.U32()
	if sec == 0 && nsec == 0 {
		return time.Time{}
	}
	return time.Unix(int64(sec), int64(nsec)).UTC()
}

// Count reads the 32-bit length of a container whose elements take at least
// minSize bytes each, and refuses one that cannot fit in what is left. minSize
// below 1 counts as 1.
func (d *Decoder) Count(minSize int) int {
	n := d.U32()
	if d.err != nil {
		return 0
	}
	if uint64(n)*uint64(max(minSize, 1)) > uint64(d.end-d.off) {
		d.err = fmt.Errorf("%w: %d elements announced at byte %d, %d bytes left", ErrShort, n, d.off, d.end-d.off)
		return 0
	}
	return int(n)
}

// Scope is an open envelope, given by [Decoder.Begin].
type Scope struct {
	// Version is the version of the encoding.
	Version uint8
	start   int
	end     int // of this envelope
	outer   int // end to restore
}

// Begin opens a versioned envelope (DECODE_START). supported is the newest
// version the caller reads; an encoding whose compat version is newer is
// refused. Reads stop at the envelope's end until [Decoder.End].
func (d *Decoder) Begin(supported uint8) Scope {
	version, compat := d.U8(), d.U8()
	n := d.U32()
	if d.err == nil && compat > supported {
		d.Fail("encoding needs version %d, this program reads up to %d", compat, supported)
	}
	return d.open(version, int64(n))
}

// BeginLen opens a length-prefixed blob whose content is decoded in place.
func (d *Decoder) BeginLen() Scope { return d.open(0, int64(d.U32())) }

func (d *Decoder) open(version uint8, n int64) Scope {
	if d.err == nil && n > int64(d.end-d.off) {
		d.err = fmt.Errorf("%w: envelope of %d bytes at byte %d, %d left", ErrShort, n, d.off, d.end-d.off)
	}
	if d.err != nil {
		return Scope{end: d.off, outer: d.end}
	}
	s := Scope{Version: version, start: d.off, end: d.off + int(n), outer: d.end}
	d.end = s.end
	return s
}

// End closes the envelope and passes over whatever of it was not read: fields
// of a newer version.
func (d *Decoder) End(s Scope) {
	if d.err == nil {
		d.off = s.end
	}
	d.end = s.outer
}
