package entity

import (
	"encoding/json"
	"testing"
)

// What monitors keep of an address must come back whole: type, IP, port, nonce.
func TestAddrJSON(t *testing.T) {
	for _, s := range []string{"v2:127.0.0.1:6800/123", "v1:127.0.0.1:6800/123", "any:10.1.2.3:0/9", "v2:[::1]:6800/4294967295"} {
		a, err := ParseAddr(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []AddrVec{{a}, {a, {}}, {}, {{Type: AddrMsgr2, Nonce: 7}}} {
			p, err := json.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			var got AddrVec
			if err := json.Unmarshal(p, &got); err != nil || !got.Equal(want) {
				t.Errorf("%v became %s, then %v (%v)", want, p, got, err)
			}
		}
	}
}
