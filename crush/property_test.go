package crush

import (
	"bytes"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"sepiola/wire"
)

// drawMap makes a map whose parts need not fit each other, within what the
// binary form can say.
func drawMap(t *rapid.T) *Map {
	m := New()
	n := rapid.IntRange(0, 6).Draw(t, "buckets")
	m.Buckets = make([]*Bucket, n)
	item := rapid.Int32Range(-8, 12)
	for i := range m.Buckets {
		if rapid.IntRange(0, 4).Draw(t, "hole") == 0 {
			continue
		}
		items := rapid.SliceOfN(item, 0, 9).Draw(t, "items")
		weights := rapid.SliceOfN(rapid.Uint32Range(0, 1<<20), len(items), len(items)).Draw(t, "weights")
		alg := Alg(rapid.IntRange(1, 5).Draw(t, "alg"))
		b, err := m.newBucket(alg, uint16(rapid.IntRange(0, 4).Draw(t, "type")), items, weights)
		if err != nil {
			t.Fatal(err)
		}
		b.ID = int32(-1 - i)
		m.Buckets[i] = b
	}
	for id := range rapid.IntRange(0, 3).Draw(t, "rules") {
		m.Rules = append(m.Rules, nil)
		if rapid.IntRange(0, 3).Draw(t, "no rule") > 0 {
			m.Rules[id] = drawRule(t)
		}
	}
	names := rapid.MapOfN(rapid.Int32Range(-8, 12), rapid.StringMatching(`[a-z]{1,5}`), 0, 6)
	m.TypeNames = names.Draw(t, "types")
	m.ItemNames = names.Draw(t, "names")
	m.RuleNames = names.Draw(t, "rule names")
	m.Tunables.ChooseTotalTries = rapid.Uint32Range(0, 60).Draw(t, "tries")
	m.Tunables.ChooseLocalFallbackTries = rapid.Uint32Range(0, 5).Draw(t, "fallback")
	m.ItemClasses = rapid.MapOfN(item, rapid.Int32Range(0, 3), 0, 4).Draw(t, "classes")
	m.ClassNames = names.Draw(t, "class names")
	m.ClassBuckets[-1] = rapid.MapOfN(rapid.Int32Range(0, 3), item, 0, 3).Draw(t, "class buckets")
	m.CreateChooseArgs(int64(rapid.IntRange(-1, 5).Draw(t, "args")), rapid.IntRange(1, 3).Draw(t, "positions"))
	m.finalize()
	return m
}

func drawRule(t *rapid.T) *Rule {
	r := &Rule{Type: RuleReplicated, MaxSize: 10}
	for range rapid.IntRange(0, 5).Draw(t, "steps") {
		r.Steps = append(r.Steps, Step{
			Op:   Op(rapid.Uint32Range(0, 14).Draw(t, "op")),
			Arg1: rapid.Int32Range(-6, 8).Draw(t, "arg1"),
			Arg2: rapid.Int32Range(0, 4).Draw(t, "arg2"),
		})
	}
	return r
}

// TestRoundTrip protects the binary form: what is decoded is what was encoded.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawMap(t).EncodeMap()
		m, err := DecodeMap(p)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(m.EncodeMap(), p) {
			t.Fatal("the map differs after decoding and encoding")
		}
		if !bytes.Equal(m.Clone().EncodeMap(), p) {
			t.Fatal("the clone differs")
		}
	})
}

// TestAnyMapMaps protects daemons from faulty maps: a mapping ends, whatever
// leads nowhere or round in circles, and gives what was asked for.
func TestAnyMapMaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMap(t)
		weights := rapid.SliceOfN(rapid.Uint32Range(0, One), 0, 14).Draw(t, "reweights")
		n := rapid.IntRange(0, 9).Draw(t, "numRep")
		checkMapping(t, m, weights, n)
		_ = m.Validate()
		_, _ = m.Decompile()
		for id := range m.ItemNames {
			m.FullLocation(id)
			m.Leaves(id)
		}
	})
}

type fataler interface {
	Fatalf(format string, args ...any)
}

// testBudget keeps maps with absurd tries from taking a test's time.
const testBudget = 1 << 14

func checkMapping(t fataler, m *Map, weights []uint32, n int) {
	ws := &Workspace{limit: testBudget}
	for rule := range m.Rules {
		out := m.DoRuleIn(ws, nil, rule, 1234, n, weights, 0)
		if len(out) > n {
			t.Fatalf("rule %d gives %d items, %d were asked for", rule, len(out), n)
		}
		for _, item := range out {
			if item >= m.MaxDevices && item != ItemNone {
				t.Fatalf("rule %d gives item %d of %d devices", rule, item, m.MaxDevices)
			}
		}
	}
}

// TestFaultyMaps protects the mapper against particular faults: cycles, ids
// that lead nowhere, and tries without bound.
func TestFaultyMaps(t *testing.T) {
	cycle := func(alg Alg) *Map {
		m := New()
		for _, child := range []int32{-2, -1} {
			if _, err := m.AddBucket(0, alg, 5, "", []int32{child}, []uint32{One}); err != nil {
				t.Fatal(err)
			}
		}
		return m
	}
	for _, alg := range []Alg{AlgUniform, AlgList, AlgTree, AlgStraw, AlgStraw2} {
		for _, op := range []Op{OpChooseFirstN, OpChooseIndep, OpChooseLeafFirstN, OpChooseLeafIndep} {
			m := cycle(alg)
			m.MaxDevices = 3
			m.ChooseTotalTries = math.MaxUint32 - 1
			m.Rules = []*Rule{{Steps: []Step{{Op: OpTake, Arg1: -1}, {Op: op, Arg2: 1}, {Op: OpEmit}}}}
			for _, item := range m.DoRule(0, 1, 3, []uint32{One, One, One}, 0) {
				if item != ItemNone {
					t.Errorf("%v, operation %d: a cycle gives item %d", alg, op, item)
				}
			}
			if m.Validate() == nil {
				t.Error("a cycle passes for valid")
			}
			if err := m.AdjustItemWeight(-1, 2); err == nil {
				t.Error("a map with a cycle was changed")
			}
		}
	}
	m := New()
	if _, err := m.AddBucket(0, AlgStraw2, 1, "", []int32{0, 1}, []uint32{One, One}); err != nil {
		t.Fatal(err)
	}
	m.ChooseTotalTries = math.MaxUint32 - 1
	m.Rules = []*Rule{{Steps: []Step{{Op: OpTake, Arg1: -1}, {Op: OpChooseFirstN}, {Op: OpEmit}}}}
	if out := m.DoRule(0, 1, 3, []uint32{0, 0}, 0); len(out) != 0 {
		t.Errorf("devices that are out were chosen: %v", out)
	}
}

// TestDecodeRefuses protects against encodings that no encoder makes.
func TestDecodeRefuses(t *testing.T) {
	good := read(t, goldenPath(1, "bin"))
	for name, p := range map[string][]byte{
		"empty":        nil,
		"magic":        append([]byte{1}, good[1:]...),
		"buckets":      slices.Concat(good[:4], []byte{255, 255, 255, 127}, good[8:]),
		"rules":        slices.Concat(good[:8], []byte{0, 2, 0, 0}, good[12:]),
		"algorithm":    slices.Concat(good[:16], []byte{9}, good[17:]),
		"bucket id":    slices.Concat(good[:20], []byte{1}, good[21:]),
		"bucket items": slices.Concat(good[:32], []byte{255, 255, 255, 255}, good[36:]),
	} {
		if _, err := DecodeMap(p); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for n := range len(good) {
		if m, err := DecodeMap(good[:n]); err == nil && m == nil {
			t.Fatal("neither a map nor an error")
		}
	}
}

func FuzzDecodeMap(f *testing.F) {
	seeds, err := filepath.Glob(goldenDir + "/*.bin")
	if err != nil || len(seeds) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, path := range seeds {
		f.Add(read(f, path))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		m, err := DecodeMap(p)
		if err != nil {
			return
		}
		first := m.EncodeMap()
		again, err := DecodeMap(first)
		if err != nil {
			t.Fatalf("what was encoded is refused: %v", err)
		}
		if !bytes.Equal(again.EncodeMap(), first) {
			t.Fatal("encoding is not stable")
		}
		checkMapping(t, m, []uint32{One, One / 2, 0, One, One}, 4)
		_ = m.Validate()
		_, _ = m.Decompile()
	})
}

func FuzzCompile(f *testing.F) {
	for seed := range uint64(goldenSeeds) {
		f.Add(string(read(f, goldenPath(seed, "source"))))
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Compile("text", text)
		if err != nil {
			return
		}
		p := m.EncodeMap()
		d := wire.NewDecoder(p)
		Decode(d)
		if d.Err() != nil {
			t.Fatalf("a compiled map is refused: %v", d.Err())
		}
		if _, err := m.Decompile(); err != nil {
			t.Fatalf("a compiled map cannot be decompiled: %v", err)
		}
	})
}

// benchMap is a cluster of 12 devices on each of 40 hosts in 4 racks.
func benchMap(b *testing.B, alg Alg) (*Map, []uint32) {
	m := NewDefault()
	m.AllowedBucketAlgs = 1 << alg
	var hosts, racks []int32
	add := func(typ uint16, name string, items []int32) int32 {
		weights := make([]uint32, len(items))
		for i, item := range items {
			weights[i] = One
			if c := m.Bucket(item); c != nil {
				weights[i] = c.Weight
			}
		}
		id, err := m.AddBucket(0, alg, typ, name, items, weights)
		if err != nil {
			b.Fatal(err)
		}
		return id
	}
	for h := range int32(40) {
		var osds []int32
		for o := range int32(12) {
			osds = append(osds, h*12+o)
		}
		hosts = append(hosts, add(1, fmt.Sprintf("h%d", h), osds))
	}
	for r := range 4 {
		racks = append(racks, add(3, fmt.Sprintf("r%d", r), hosts[r*10:r*10+10]))
	}
	add(11, "top", racks)
	if _, err := m.AddSimpleRule("bench", "top", "host", "", "firstn", RuleReplicated); err != nil {
		b.Fatal(err)
	}
	m.finalize()
	weights := make([]uint32, m.MaxDevices)
	for i := range weights {
		weights[i] = One
	}
	return m, weights
}

func BenchmarkDoRule(b *testing.B) {
	for _, alg := range []Alg{AlgStraw2, AlgUniform, AlgList, AlgTree} {
		b.Run(alg.String(), func(b *testing.B) {
			m, weights := benchMap(b, alg)
			ws := new(Workspace)
			out := make([]int32, 0, 3)
			b.ReportAllocs()
			for x := int32(0); b.Loop(); x++ {
				out = m.DoRuleIn(ws, out[:0], 1, x, 3, weights, 1)
			}
			if len(out) != 3 {
				b.Fatal(out)
			}
		})
	}
}
