package wire

// Buf is a payload as a list of segments (the role of Ceph's buffer list).
// Segments are shared and never written to once they are in a Buf; slicing and
// joining copy no payload.
type Buf [][]byte

// BufOf returns a Buf of one segment; nil for an empty p.
func BufOf(p []byte) Buf {
	if len(p) == 0 {
		return nil
	}
	return Buf{p}
}

// Len returns the number of bytes in all segments.
func (b Buf) Len() int {
	n := 0
	for _, s := range b {
		n += len(s)
	}
	return n
}

// Append returns b followed by the segments of o.
func (b Buf) Append(o Buf) Buf { return append(b, o...) }

// Flat returns the content as one slice: the segment itself where there is
// just one, a copy otherwise. It is nil when empty.
func (b Buf) Flat() []byte {
	switch len(b) {
	case 0:
		return nil
	case 1:
		return b[0]
	}
	out := make([]byte, 0, b.Len())
	for _, s := range b {
		out = append(out, s...)
	}
	return out
}

// Slice returns the bytes from off up to off+n, clipped to the content,
// sharing the segments.
func (b Buf) Slice(off, n int) Buf {
	var out Buf
	for _, s := range b {
		if n <= 0 {
			break
		}
		if off >= len(s) {
			off -= len(s)
			continue
		}
		part := s[off:]
		off = 0
		if len(part) > n {
			part = part[:n:n]
		}
		n -= len(part)
		out = append(out, part)
	}
	return out
}

// CopyTo copies the content into p and returns how many bytes fit.
func (b Buf) CopyTo(p []byte) int {
	n := 0
	for _, s := range b {
		n += copy(p[n:], s)
	}
	return n
}

// Equal reports whether the content of both is the same, whatever the
// segments.
func (b Buf) Equal(o Buf) bool {
	if b.Len() != o.Len() {
		return false
	}
	x, y := b.Flat(), o.Flat()
	return string(x) == string(y)
}
