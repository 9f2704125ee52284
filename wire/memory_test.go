package wire

import "testing"

// Buffers have the length that was asked for, all of it can be written to, and no two
// share memory.
func TestUncleared(t *testing.T) {
	for _, n := range []int{0, 1, 2047, 4096, 100000} {
		a, b := Uncleared(n), Uncleared(n)
		for i := range a {
			a[i], b[i] = 1, 2
		}
		for i := range a {
			if a[i] != 1 || b[i] != 2 {
				t.Fatalf("%d bytes: byte %d is shared", n, i)
			}
		}
		if len(a) != n || cap(a) != n {
			t.Errorf("%d bytes are %d, with room for %d", n, len(a), cap(a))
		}
	}
}
