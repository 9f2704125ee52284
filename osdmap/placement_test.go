package osdmap

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sepiola/crush"
	"sepiola/entity"
	"sepiola/internal/reftool"
	"sepiola/object"
)

var update = flag.Bool("update", false, "make the placement goldens anew with osdmaptool")

// largeMap returns a map of 100 OSDs in 20 hosts and 4 racks, with a replicated
// pool of pgNum PGs, one of the old kind whose numbers are no powers of two, and
// an erasure-coded one; and with everything that bends placement: OSDs that are
// down, out, reweighted, reluctant to lead or gone, and temporary and explicit
// mappings, also senseless ones.
func largeMap(t testing.TB, pgNum uint32) *Map {
	t.Helper()
	cm := crush.NewDefault()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for osd := range int32(100) {
		must(cm.InsertItem(osd, 1+float64(osd%7)/4, fmt.Sprintf("osd.%d", osd), map[string]string{
			"root": "default", "rack": fmt.Sprintf("rack%d", osd/25), "host": fmt.Sprintf("host%d", osd/5),
		}))
	}
	ec, err := cm.AddSimpleRule("ec", "default", "host", "", "indep", crush.RuleErasure)
	must(err)
	m := New(entity.UUID{1, 2, 3}, 77, time.Unix(1700000000, 123456000), cm)
	m.SetMaxOSD(104)
	r := rand.New(rand.NewPCG(1, 2))
	for osd := range int32(100) {
		m.OSDState[osd] = OSDExists | OSDUp
		m.OSDWeight[osd] = WeightIn
		m.OSDUUID[osd] = entity.UUID{byte(osd), 9}
		switch {
		case osd%11 == 3:
			m.OSDState[osd] = OSDExists
		case osd%13 == 5:
			m.OSDWeight[osd] = WeightOut
		case osd%5 == 1:
			m.OSDWeight[osd] = WeightIn / 10 * uint32(1+r.IntN(9))
		}
		if osd%4 == 2 {
			m.setAffinity(osd, uint32(r.IntN(int(MaxPrimaryAffinity))))
		}
	}
	m.OSDState[42], m.OSDWeight[42] = 0, WeightOut
	m.setAffinity(8, 0)
	addTestPool(m, 1, PoolReplicated, pgNum, pgNum, 3, 0, PoolFlagHashPSPool)
	addTestPool(m, 2, PoolReplicated, 200, 130, 4, 0, 0)
	addTestPool(m, 3, PoolErasure, 128, 128, 6, uint8(ec), PoolFlagHashPSPool)
	m.PoolMax = 3
	any := func() int32 { return int32(r.IntN(104)) }
	for id, p := range m.Pools {
		for seed := uint32(id); seed < min(p.PGNum, 200); seed += 9 {
			pg := object.PGID{Pool: id, Seed: seed}
			switch seed % 6 {
			case 0:
				m.PGTemp[pg] = []int32{any(), any(), any()}
			case 1:
				m.PrimaryTemp[pg] = any()
			case 2:
				m.PGUpmap[pg] = []int32{any(), any(), any()}
			default:
				raw, _ := m.PGToRawOSDs(pg)
				if len(raw) > 1 && raw[0] != ItemNone && raw[1] != ItemNone {
					m.PGUpmapItems[pg] = []UpmapItem{{raw[0], any()}, {raw[1], any()}, {any(), any()}}
				}
			}
		}
	}
	return m
}

func addTestPool(m *Map, id int64, typ PoolType, pgs, pgps uint32, size, rule uint8, flags uint64) {
	p := NewPool()
	p.Type, p.Size, p.MinSize, p.CrushRule, p.Flags = typ, size, size-1, rule, flags
	p.ObjectHash = object.HashRjenkins
	p.SetPGNum(pgs)
	p.PGPNum, p.PGNumTarget, p.PGPNumTarget = pgps, pgs, pgps
	p.AutoscaleMode = AutoscaleOff
	m.Pools[id] = p
	m.PoolNames[id] = fmt.Sprintf("pool%d", id)
}

// placements lists all PGs as `osdmaptool --test-map-pgs-dump-all` does.
func placements(m *Map) string {
	var b strings.Builder
	for _, id := range m.PoolIDs() {
		fmt.Fprintf(&b, "pool %d pg_num %d\n", id, m.Pools[id].PGNum)
		for seed := range m.Pools[id].PGNum {
			pg := object.PGID{Pool: id, Seed: seed}
			raw, rawPrimary := m.PGToRawOSDs(pg)
			up, upPrimary, acting, primary := m.PGToUpActing(pg)
			fmt.Fprintf(&b, "%s raw (%s, p%d) up (%s, p%d) acting (%s, p%d)\n", pg, OSDsString(raw), rawPrimary,
				OSDsString(up), upPrimary, OSDsString(acting), primary)
		}
	}
	return b.String()
}

// referencePlacements asks osdmaptool for the same.
func referencePlacements(t *testing.T, tool string, encoded []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "map")
	if err := os.WriteFile(file, encoded, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, file, "--test-map-pgs-dump-all").Output()
	if err != nil {
		t.Fatalf("osdmaptool: %v", err)
	}
	text, _, _ := strings.Cut(string(out), "#osd\t")
	return text
}

func diffLines(t *testing.T, what, got, want string) {
	t.Helper()
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	bad := 0
	for i := range max(len(g), len(w)) {
		a, b := "(nothing)", "(nothing)"
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			t.Errorf("%s, line %d:\n got %s\nwant %s", what, i+1, a, b)
			if bad++; bad == 5 {
				t.Fatalf("%s: and so on", what)
			}
		}
	}
}

// Every PG of a map with all that bends placement is where Ceph puts it.
func TestPlacementMatchesGolden(t *testing.T) {
	if *update {
		p := largeMap(t, 512).Encode(0)
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		io.WriteString(z, referencePlacements(t, reftool.Need(t, "osdmaptool"), p))
		z.Close()
		for name, content := range map[string][]byte{"placement.map": p, "placement.txt.gz": b.Bytes()} {
			if err := os.WriteFile(filepath.Join(goldenDir, name), content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	z, err := gzip.NewReader(bytes.NewReader(golden(t, "placement.txt.gz")))
	if err != nil {
		t.Fatal(err)
	}
	want, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	diffLines(t, "placement", placements(goldenMap(t, "placement.map")), string(want))
}

// The real tool reads maps we made and agrees about every PG, here and in the
// reference cluster's map.
func TestPlacementMatchesOsdmaptool(t *testing.T) {
	tool := reftool.Need(t, "osdmaptool")
	for name, m := range map[string]*Map{
		"large": largeMap(t, 4096), "full.60": goldenMap(t, "full.60"), "full.116": goldenMap(t, "full.116"),
	} {
		diffLines(t, name, placements(m), referencePlacements(t, tool, m.Encode(0)))
	}
}

// Objects hash to the PG the real tool names, whatever the pool's number of PGs.
func TestObjectPlacementMatchesOsdmaptool(t *testing.T) {
	tool := reftool.Need(t, "osdmaptool")
	m := largeMap(t, 4096)
	file := filepath.Join(t.TempDir(), "map")
	if err := os.WriteFile(file, m.Encode(0), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, pool := range m.PoolIDs() {
		for _, name := range []string{"a", "foo", "rbd_data.10226b8b4567.0000000000000000", "twelve bytes"} {
			out, err := exec.Command(tool, file, "--test-map-object", name, "--pool", fmt.Sprint(pool)).Output()
			if err != nil {
				t.Fatal(err)
			}
			raw, err := m.ObjectToPG(name, object.Locator{Pool: pool, Hash: -1})
			if err != nil {
				t.Fatal(err)
			}
			pg := m.RawPGToPG(raw)
			_, _, acting, _ := m.PGToUpActing(pg)
			if want := fmt.Sprintf(" object '%s' -> %s -> %s\n", name, pg, OSDsString(acting)); !bytes.Contains(out, []byte(want)) {
				t.Errorf("got %q, the tool says %q", want, out)
			}
		}
	}
}

// Placement by locator: the key stands for the name, the namespace sets apart,
// a hash overrides all; a pool that is not there is an error.
func TestLocators(t *testing.T) {
	m := largeMap(t, 64)
	at := func(name string, l object.Locator) object.PGID {
		pg, err := m.ObjectToPG(name, l)
		if err != nil {
			t.Fatal(err)
		}
		return pg
	}
	plain := at("foo", object.Locator{Pool: 1, Hash: -1})
	if got := at("bar", object.Locator{Pool: 1, Key: "foo", Hash: -1}); got != plain {
		t.Errorf("by key: %s, want %s", got, plain)
	}
	if got := at("foo", object.Locator{Pool: 1, Namespace: "ns", Hash: -1}); got == plain {
		t.Error("the namespace does not count")
	}
	if got := at("foo", object.Locator{Pool: 1, Hash: 0x123}); got.Seed != 0x123 {
		t.Errorf("by hash: %s", got)
	}
	if _, err := m.ObjectToPG("foo", object.Locator{Pool: 9, Hash: -1}); err == nil {
		t.Error("pool 9 is not there")
	}
}

// A PG of a pool that is gone is nowhere.
func TestPlacementOfNothing(t *testing.T) {
	m := largeMap(t, 64)
	up, upPrimary, acting, primary := m.PGToUpActing(object.PGID{Pool: 9})
	if len(up)+len(acting) != 0 || upPrimary != -1 || primary != -1 {
		t.Error(up, upPrimary, acting, primary)
	}
}

// Callers may keep and change what they are given: it is nobody else's.
func TestPlacementResultsAreTheCallers(t *testing.T) {
	m := largeMap(t, 512)
	before := placements(m)
	for _, id := range m.PoolIDs() {
		for seed := range m.Pools[id].PGNum {
			up, _, acting, _ := m.PGToUpActing(object.PGID{Pool: id, Seed: seed})
			raw, _ := m.PGToRawUpmap(object.PGID{Pool: id, Seed: seed})
			for _, v := range [][]int32{up, acting, raw} {
				for i := range v {
					v[i] = -7
				}
			}
		}
	}
	if placements(m) != before {
		t.Error("the map changed")
	}
}

// A shard of an erasure-coded PG has a role only in its own place.
func TestRole(t *testing.T) {
	acting := []int32{4, ItemNone, 4, 7}
	for _, c := range []struct {
		who  PGShard
		want int
	}{
		{PGShard{4, object.NoShard}, 0}, {PGShard{7, object.NoShard}, 3}, {PGShard{5, object.NoShard}, -1},
		{PGShard{4, 2}, 2}, {PGShard{7, 2}, -1}, {PGShard{7, 9}, -1}, {PGShard{7, -3}, -1},
	} {
		if got := Role(c.who, acting); got != c.want {
			t.Errorf("%v: %d, want %d", c.who, got, c.want)
		}
	}
}

func BenchmarkPGToUpActing(b *testing.B) {
	m := largeMap(b, 4096)
	b.ReportAllocs()
	seed := uint32(0)
	for b.Loop() {
		m.PGToUpActing(object.PGID{Pool: 1, Seed: seed & 4095})
		seed++
	}
}

func BenchmarkDecodeMap(b *testing.B) {
	p := largeMap(b, 4096).Encode(0)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeMap(p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeMap(b *testing.B) {
	m := largeMap(b, 4096)
	b.ReportAllocs()
	for b.Loop() {
		m.Encode(0)
	}
}

func BenchmarkClone(b *testing.B) {
	m := largeMap(b, 4096)
	b.ReportAllocs()
	for b.Loop() {
		m.Clone()
	}
}
