package message_test

import (
	"testing"

	"sepiola/internal/goldencap"
	"sepiola/message"
)

// FuzzDecode protects every decoder against hostile bytes: no panic, no memory
// out of proportion (the decoders' counts are checked against what is left),
// and whatever decodes can be encoded and then decodes again.
func FuzzDecode(f *testing.F) {
	for _, s := range goldencap.Load(f, goldenDir) {
		if s.Size() < 4096 {
			f.Add(s.Type, s.Version, s.Front, s.Data)
		}
	}
	f.Fuzz(func(t *testing.T, typ, version uint16, front, data []byte) {
		m := carrier(&goldencap.Sample{Type: typ, Version: version, Front: front, Data: data})
		b, err := message.Decode(m)
		if err != nil {
			return
		}
		if _, err := message.Decode(message.Encode(b, pacificFeatures)); err != nil {
			t.Errorf("%s: what was decoded does not decode again: %v", message.TypeName(typ), err)
		}
	})
}
