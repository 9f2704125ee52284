package main

import (
	"testing"

	"sepiola/jsonfmt"
	"sepiola/object"
)

// FuzzSpec protects the way from a listing to an object: what list prints of any id
// names that id again, whatever bytes its names have.
func FuzzSpec(f *testing.F) {
	f.Add("name", "key", "ns", uint64(object.NoSnap), uint32(7), int64(1), object.NoGen, object.NoShard)
	f.Add("ä\xff\x00\n\"\\", "\x7f\x80", "ሴ\\u00e9", uint64(3), uint32(0xffffffff), int64(-1), uint64(5), int8(2))
	f.Fuzz(func(t *testing.T, name, key, namespace string, snap uint64, hash uint32, pool int64, gen uint64, shard int8) {
		g := object.GID{ID: object.ID{Name: name, Key: key, Namespace: namespace, Snap: object.SnapID(snap), Hash: hash, Pool: pool}, Gen: gen, Shard: shard}
		w := jsonfmt.New(false)
		w.OpenObject("")
		g.DumpJSON(w)
		w.Close()
		raw, ok := asJSON(w.Text())
		if !ok {
			t.Fatalf("%q is no JSON", w.Text())
		}
		if got, err := parseGID(raw); err != nil || got != g {
			t.Errorf("%q: %+v, %v; want %+v", raw, got, err, g)
		}
	})
}
