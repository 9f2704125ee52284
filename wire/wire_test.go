package wire

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Values are laid out as src/include/encoding.h does: little-endian, lengths first.
func TestLayout(t *testing.T) {
	e := NewEncoder(0)
	m := e.Begin(3, 1)
	e.U8(0xab)
	e.Bool(true)
	e.U16(0x1234)
	e.U32(0x12345678)
	e.U64(0x0102030405060708)
	e.I32(-2)
	e.String("hi")
	e.Blob(nil)
	e.BufBlob(Buf{{1}, {2, 3}})
	e.Time(time.Unix(1, 2))
	e.Time(time.Time{})
	e.F64(1)
	n := e.BeginLen()
	e.Raw([]byte{9, 9})
	e.End(n)
	e.End(m)
	want := []byte{3, 1, 73, 0, 0, 0, 0xab, 1, 0x34, 0x12, 0x78, 0x56, 0x34, 0x12, 8, 7, 6, 5, 4, 3, 2, 1, 0xfe, 0xff, 0xff, 0xff,
		2, 0, 0, 0, 'h', 'i', 0, 0, 0, 0, 3, 0, 0, 0, 1, 2, 3, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 2, 0, 0, 0, 9, 9}
	want[2] = byte(len(want) - 6)
	if !bytes.Equal(e.Bytes(), want) {
		t.Errorf("encoded as\n%v, want\n%v", e.Bytes(), want)
	}
}

// What is written is read.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u8, u16, u32, u64 := rapid.Uint8().Draw(t, "u8"), rapid.Uint16().Draw(t, "u16"), rapid.Uint32().Draw(t, "u32"), rapid.Uint64().Draw(t, "u64")
		s, f := rapid.String().Draw(t, "s"), rapid.Float64().Draw(t, "f")
		at := time.Unix(rapid.Int64Range(1, math.MaxUint32).Draw(t, "sec"), rapid.Int64Range(0, 999999999).Draw(t, "nsec")).UTC()
		m := rapid.MapOf(rapid.String(), rapid.Uint32()).Draw(t, "m")
		l := rapid.SliceOf(rapid.Int64()).Draw(t, "l")
		e := NewEncoder(0)
		e.U8(u8)
		e.I8(int8(u8))
		e.U16(u16)
		e.I16(int16(u16))
		e.U32(u32)
		e.I32(int32(u32))
		e.F32(float32(f))
		e.U64(u64)
		e.I64(int64(u64))
		e.F64(f)
		e.String(s)
		e.Time(at)
		Map(e, m, PutString, PutU32)
		Slice(e, l, PutI64)
		d := NewDecoder(e.Bytes())
		if d.U8() != u8 || d.I8() != int8(u8) || d.U16() != u16 || d.I16() != int16(u16) || d.U32() != u32 || d.I32() != int32(u32) ||
			d.F32() != float32(f) || d.U64() != u64 || d.I64() != int64(u64) || d.F64() != f || d.String() != s || !d.Time().Equal(at) {
			t.Fatal("a scalar came back otherwise")
		}
		gm, gl := ReadMap(d, 8, GetString, GetU32), ReadSlice(d, 8, GetI64)
		if len(gm) != len(m) || !slices.Equal(gl, l) {
			t.Fatalf("%v %v came back as %v %v", m, l, gm, gl)
		}
		for k, v := range m {
			if gm[k] != v {
				t.Fatalf("%v came back as %v", m, gm)
			}
		}
		if err := d.Finish(); err != nil || d.Left() != 0 || d.Offset() != e.Len() {
			t.Fatalf("%v, %d left", err, d.Left())
		}
	})
}

// An envelope hides what is after it, passes over what is new in it, and refuses what
// cannot be read without knowing more.
func TestEnvelopes(t *testing.T) {
	e := NewEncoder(0)
	m := e.Begin(7, 2)
	e.U32(1)
	e.U32(2) // of a newer version
	e.End(m)
	e.U32(3)
	d := NewDecoder(e.Bytes())
	s := d.Begin(2)
	if s.Version != 7 || d.U32() != 1 || d.Left() != 4 {
		t.Errorf("version %d, %d left", s.Version, d.Left())
	}
	d.End(s)
	if d.U32() != 3 || d.Finish() != nil {
		t.Errorf("after the envelope: %v", d.Err())
	}
	d = NewDecoder(e.Bytes())
	if d.Begin(1); !errors.Is(d.Err(), ErrMalformed) {
		t.Errorf("an encoding that needs version 2, read by one that knows 1: %v", d.Err())
	}
	d = NewDecoder(e.Bytes())
	s = d.Begin(7)
	d.Skip(9)
	if !errors.Is(d.Err(), ErrShort) {
		t.Errorf("reading beyond an envelope: %v", d.Err())
	}
	d.End(s)
	if d.U32() != 0 {
		t.Error("something was read after an error")
	}
}

// Lengths are compared with what is left before anything is made of them, and the first
// error stays.
func TestRefusals(t *testing.T) {
	for name, read := range map[string]func(d *Decoder){
		"blob":     func(d *Decoder) { d.Blob() },
		"string":   func(d *Decoder) { _ = d.String() },
		"count":    func(d *Decoder) { d.Count(1) },
		"slice":    func(d *Decoder) { ReadSlice(d, 1, GetU64) },
		"map":      func(d *Decoder) { ReadMap(d, 8, GetU32, GetU32) },
		"length":   func(d *Decoder) { d.BeginLen() },
		"raw":      func(d *Decoder) { d.Raw(100) },
		"negative": func(d *Decoder) { d.Raw(-1) },
		"envelope": func(d *Decoder) { d.Begin(255) },
	} {
		d := NewDecoder(bytes.Repeat([]byte{0xff}, 64))
		allocs := testing.AllocsPerRun(1, func() { *d = *NewDecoder(d.b); read(d) })
		if !errors.Is(d.Err(), ErrShort) || allocs > 20 {
			t.Errorf("%s: %v, %v allocations", name, d.Err(), allocs)
		}
		first := d.Err()
		d.Fail("again")
		if d.Err() != first || d.U64() != 0 || d.Left() != 0 {
			t.Errorf("%s: after the error: %v", name, d.Err())
		}
	}
	d := NewDecoder([]byte{1, 2})
	d.U8()
	if err := d.Finish(); !errors.Is(err, ErrMalformed) {
		t.Errorf("bytes left over: %v", err)
	}
	if n := NewDecoder([]byte{2, 0, 0, 0, 1, 1}).Count(0); n != 2 {
		t.Errorf("two elements of a byte are %d", n)
	}
	// Zero-size elements cannot make a small input into many.
	d = NewDecoder([]byte{0xff, 0xff, 0xff, 0x7f, 0})
	if d.Count(0); d.Err() == nil {
		t.Error("2^31 elements fit in a byte")
	}
}

// A Buf is its content, however it is divided.
func TestBuf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.SliceOf(rapid.Byte())).Draw(t, "parts")
		b, flat := Buf(parts), slices.Concat(parts...)
		off, n := rapid.IntRange(0, len(flat)+3).Draw(t, "off"), rapid.IntRange(0, len(flat)+3).Draw(t, "n")
		want := flat[min(off, len(flat)):min(off+n, len(flat))]
		if got := b.Slice(off, n); !bytes.Equal(got.Flat(), want) || got.Len() != len(want) {
			t.Fatalf("bytes %d+%d of %v are %v", off, n, parts, got)
		}
		p := make([]byte, n)
		if got := b.CopyTo(p); got != min(n, len(flat)) || !bytes.Equal(p[:got], flat[:got]) {
			t.Fatalf("copied %d: %v", got, p)
		}
		if b.Len() != len(flat) || !bytes.Equal(b.Flat(), flat) || !b.Equal(BufOf(flat)) {
			t.Fatalf("%v is %v", parts, b.Flat())
		}
		if more := slices.Clone(b).Append(Buf{{1}}); more.Equal(b) || more.Len() != len(flat)+1 {
			t.Fatal("appending")
		}
	})
}

func FuzzDecoder(f *testing.F) {
	f.Add([]byte{3, 1, 4, 0, 0, 0, 2, 0, 0, 0}, []byte{8, 3, 9})
	f.Add([]byte{2, 0, 0, 0, 1, 0, 0, 0, 'a'}, []byte{5, 6, 7, 4})
	f.Fuzz(func(t *testing.T, p, program []byte) {
		d := NewDecoder(p)
		var open []Scope
		for _, op := range program {
			switch op % 12 {
			case 0:
				d.U8()
			case 1:
				d.U16()
			case 2:
				d.U32()
			case 3:
				d.U64()
			case 4:
				d.Blob()
			case 5:
				ReadSlice(d, 0, GetString)
			case 6:
				ReadMap(d, 0, GetU32, GetString)
			case 7:
				d.Time()
			case 8:
				open = append(open, d.Begin(op))
			case 9:
				open = append(open, d.BeginLen())
			case 10:
				if n := len(open); n > 0 {
					d.End(open[n-1])
					open = open[:n-1]
				}
			default:
				d.Skip(int(op))
			}
			if d.Left() < 0 || d.Offset() > len(p) {
				t.Fatalf("at %d of %d, %d left", d.Offset(), len(p), d.Left())
			}
		}
	})
}
