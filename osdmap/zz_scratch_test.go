package osdmap

import (
	"bytes"
	"fmt"
	"os"
	"testing"
)

func TestScratch(t *testing.T) {
	dir := "/tmp/osdmapgold/"
	n := 0
	for e := 1; ; e++ {
		if _, err := os.Stat(fmt.Sprintf("%sinc.%d", dir, e)); err != nil {
			break
		}
		n = e
	}
	var cur *Map
	bad := 0
	for e := 1; e <= n; e++ {
		p, err := os.ReadFile(fmt.Sprintf("%sfull.%d", dir, e))
		if err != nil {
			t.Fatal(err)
		}
		sp, _ := os.ReadFile(fmt.Sprintf("%sstorefull.%d", dir, e))
		if !bytes.Equal(p, sp) && len(sp) > 0 {
			t.Logf("getmap differs from store in %d", e)
		}
		m, err := DecodeMap(p)
		if err != nil {
			t.Errorf("full %d: %v", e, err)
			bad++
			continue
		}
		if got := m.Encode(0); !bytes.Equal(got, p) {
			i := 0
			for i < len(got) && i < len(p) && got[i] == p[i] {
				i++
			}
			t.Errorf("full %d: re-encodes differently at %d of %d (%d)", e, i, len(p), len(got))
			bad++
		}
		ip, _ := os.ReadFile(fmt.Sprintf("%sinc.%d", dir, e))
		inc, err := DecodeIncremental(ip)
		if err != nil {
			t.Errorf("inc %d: %v", e, err)
			continue
		}
		if got := inc.Encode(0); !bytes.Equal(got, ip) {
			t.Errorf("inc %d: re-encodes differently", e)
		}
		if e == 2 {
			t.Logf("features %x sig %x", inc.EncodeFeatures, SignificantFeatures)
		}
		if cur != nil {
			next, _, err := cur.ApplyEncoded(ip)
			if err != nil {
				t.Errorf("apply %d: %v", e, err)
				bad++
				next = nil
			}
			_ = next
		}
		cur = m
		if bad > 5 {
			t.FailNow()
		}
	}
	t.Log(n)
}
