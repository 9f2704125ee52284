package goldencap

import (
	"reflect"
	"testing"
)

// TestSampleForm protects the files' form: what is written reads back, and a
// file cut short or grown is refused.
func TestSampleForm(t *testing.T) {
	s := &Sample{Type: 42, Version: 8, Compat: 3, Priority: 63, TID: 9, DataOff: 5,
		Front: []byte("front"), Middle: []byte{}, Data: []byte("data")}
	p := s.Marshal()
	got, err := Unmarshal(p)
	if err != nil || !reflect.DeepEqual(got, s) {
		t.Fatalf("got %+v, %v; want %+v", got, err, s)
	}
	for n := range p {
		if _, err := Unmarshal(p[:n]); err == nil {
			t.Fatalf("accepted %d of %d bytes", n, len(p))
		}
	}
	if _, err := Unmarshal(append(p, 0)); err == nil {
		t.Fatal("accepted a byte too many")
	}
}
