package osdmap

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"sepiola/crush"
	"sepiola/entity"
	"sepiola/internal/reftool"
	"sepiola/object"
)

// next returns an increment for m, to be filled in.
func next(m *Map) *Incremental { return NewIncremental(m.FSID, m.Epoch+1) }

// An increment that no monitor of this cluster made for this map is refused
// with the error that says why, and nothing panics.
func TestApplyRefuses(t *testing.T) {
	m := goldenMap(t, "full.60")
	for name, c := range map[string]struct {
		edit func(inc *Incremental)
		want error
	}{
		"another cluster":         {func(inc *Incremental) { inc.FSID[0] ^= 1 }, ErrWrongCluster},
		"a gap":                   {func(inc *Incremental) { inc.Epoch++ }, ErrWrongEpoch},
		"the same again":          {func(inc *Incremental) { inc.Epoch-- }, ErrWrongEpoch},
		"an OSD beyond the map":   {func(inc *Incremental) { inc.NewWeight[m.MaxOSD] = 1 }, ErrBadIncremental},
		"a negative OSD":          {func(inc *Incremental) { inc.NewState[-1] = 1 }, ErrBadIncremental},
		"an OSD cut off":          {func(inc *Incremental) { inc.NewMaxOSD, inc.NewUpThru[0] = 0, 9 }, ErrBadIncremental},
		"half an OSD's addresses": {func(inc *Incremental) { inc.NewUpClient[0] = entity.AddrVec{} }, ErrBadIncremental},
		"room for the world":      {func(inc *Incremental) { inc.NewMaxOSD = 1 << 30 }, ErrBadIncremental},
		"no CRUSH map":            {func(inc *Incremental) { inc.Crush = []byte{1, 2, 3} }, ErrBadIncremental},
		"no full map":             {func(inc *Incremental) { inc.FullMap = []byte{1, 2, 3} }, ErrBadIncremental},
		"snapshots nobody removed": {func(inc *Incremental) { inc.NewPurgedSnaps[77] = SnapSet{{1, 1}} },
			ErrBadIncremental},
	} {
		inc := next(m)
		c.edit(inc)
		if err := m.Clone().Apply(inc); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// A follower notices a map that does not come out as the monitor's.
func TestApplyEncodedChecksTheCRC(t *testing.T) {
	m := goldenMap(t, "full.1")
	inc := next(m)
	inc.FullCRC = 1
	if _, _, err := m.ApplyEncoded(inc.Encode(0)); !errors.Is(err, ErrCRC) {
		t.Fatal(err)
	}
	after := m.Clone()
	if err := after.Apply(inc); err != nil {
		t.Fatal(err)
	}
	inc.FullCRC = EncodedCRC(after.Encode(0))
	if _, _, err := m.ApplyEncoded(inc.Encode(0)); err != nil {
		t.Fatal(err)
	}
}

// An increment can hold the whole map.
func TestApplyFullMap(t *testing.T) {
	m := goldenMap(t, "full.60")
	full := m.Clone()
	full.Epoch, full.Flags = m.Epoch+1, m.Flags|FlagNoDown
	inc := next(m)
	inc.FullMap = full.Encode(0)
	if err := m.Apply(inc); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m.Encode(0), inc.FullMap) {
		t.Error("not the map that was given")
	}
}

// The life of an OSD: it boots, goes down, is taken out and in, and is
// destroyed, after which the map remembers nothing of it.
func TestOSDLife(t *testing.T) {
	m := goldenMap(t, "full.1")
	addr := entity.AddrVec{entity.Msgr2(netip.MustParseAddrPort("127.0.0.1:6800"))}
	step := func(f func(inc *Incremental)) {
		t.Helper()
		inc := next(m)
		inc.Modified = time.Unix(1_000_000+int64(m.Epoch), 0)
		f(inc)
		if err := m.Apply(inc); err != nil {
			t.Fatal(err)
		}
	}
	step(func(inc *Incremental) {
		inc.NewMaxOSD = 1
		inc.NewState[0] = OSDExists | OSDNew
		inc.NewUUID[0] = entity.UUID{5}
	})
	step(func(inc *Incremental) {
		inc.NewUpClient[0], inc.NewUpCluster[0], inc.NewHBBackUp[0], inc.NewHBFrontUp[0] = addr, addr, addr, addr
		inc.NewWeight[0] = WeightIn
	})
	if !m.IsUp(0) || !m.IsIn(0) || m.OSDInfo[0].UpFrom != 3 || m.OSDState[0]&OSDNew != 0 || !m.Addrs(0).Equal(addr) {
		t.Errorf("after boot: %s", m.PrintOSD(0))
	}
	if m.IdentifyOSD(entity.UUID{5}) != 0 || !m.HasBeenUpSince(0, 3) || m.HasBeenUpSince(0, 2) {
		t.Error("who and since when")
	}
	step(func(inc *Incremental) { inc.NewState[0] = 0 }) // stands for up
	if m.IsUp(0) || m.OSDInfo[0].DownAt != 4 || !m.OSDXInfo[0].DownStamp.Equal(m.Modified) {
		t.Errorf("after going down: %s", m.PrintOSD(0))
	}
	step(func(inc *Incremental) {
		inc.NewWeight[0] = WeightOut
		inc.NewState[0] = OSDAutoOut
		inc.NewXInfo[0] = OSDXInfo{OldWeight: WeightIn, DownStamp: m.OSDXInfo[0].DownStamp}
	})
	step(func(inc *Incremental) { inc.NewWeight[0] = WeightIn / 2 })
	if !m.IsIn(0) || m.OSDState[0]&OSDAutoOut != 0 || m.OSDXInfo[0].OldWeight != 0 {
		t.Errorf("after it was taken in again: %s", m.PrintOSD(0))
	}
	step(func(inc *Incremental) { inc.NewState[0] = OSDExists })
	if m.Exists(0) || m.OSDInfo[0] != (OSDInfo{}) || m.OSDXInfo[0] != (OSDXInfo{}) || !m.OSDUUID[0].IsZero() || m.Addrs(0) != nil {
		t.Error("something is left of a removed OSD")
	}
}

// An address is blocked by its own entry, its host's or its network's, and by
// no other; an entry keeps the time it was first given.
func TestBlocklist(t *testing.T) {
	m := goldenMap(t, "full.1")
	until := time.Unix(2_000_000_000, 0).UTC()
	ap := netip.MustParseAddrPort
	one := entity.Addr{Type: entity.AddrAny, Nonce: 7, AddrPort: ap("10.0.0.1:6800")}
	host := WholeHost(entity.Addr{AddrPort: ap("10.0.0.2:1")})
	net4 := WholeNetwork(netip.MustParsePrefix("10.1.0.0/20"))
	net6 := WholeNetwork(netip.MustParsePrefix("fd00::/64"))
	inc := next(m)
	inc.NewBlocklist = map[entity.Addr]time.Time{one: until, host: until}
	inc.NewRangeBlocklist = map[entity.Addr]time.Time{net4: until, net6: until}
	if err := m.Apply(inc); err != nil {
		t.Fatal(err)
	}
	for s, want := range map[string]bool{
		"10.0.0.1:6800/7": true, "10.0.0.1:6800/8": false, "10.0.0.1:6801/7": false,
		"10.0.0.2:999/5": true, "10.0.0.3:999/5": false,
		"10.1.15.255:1/1": true, "10.1.16.0:1/1": false,
		"[fd00::1]:5/5": true, "[fd00:0:0:1::1]:5/5": false,
	} {
		a, err := entity.ParseAddr(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.IsBlocklisted(a); got != want {
			t.Errorf("%s: %v", s, got)
		}
	}
	inc = next(m)
	inc.NewBlocklist = map[entity.Addr]time.Time{one: until.Add(time.Hour)}
	inc.OldBlocklist = []entity.Addr{host}
	if err := m.Apply(inc); err != nil {
		t.Fatal(err)
	}
	if len(m.Blocklist) != 1 || !m.Blocklist[one].Equal(until) {
		t.Error(m.Blocklist)
	}
}

// Changing a pool in an increment leaves the map it was taken from alone, and
// applying the increment notes the epoch in the map's copy only.
func TestIncrementalPool(t *testing.T) {
	m := goldenMap(t, "full.116")
	before := m.Encode(0)
	id, ok := m.PoolID("rep")
	if !ok {
		t.Fatal("no pool rep")
	}
	inc := next(m)
	p := inc.Pool(m, id)
	p.Snaps[99] = PoolSnapInfo{ID: 99, Name: "new"}
	p.Tiers[0] = 55
	p.ApplicationMetadata["rbd"]["key"] = "changed"
	p.Opts[OptPGNumMin] = PoolOptValue{Kind: OptInt, Int: 1}
	if inc.Pool(m, id) != p {
		t.Error("the second time it is another")
	}
	if inc.Pool(m, 12345) != nil {
		t.Error("a pool out of nothing")
	}
	if !bytes.Equal(m.Encode(0), before) {
		t.Error("the map changed")
	}
	after := m.Clone()
	if err := after.Apply(inc); err != nil {
		t.Fatal(err)
	}
	if after.Pools[id].LastChange != m.Epoch+1 || p.LastChange == m.Epoch+1 {
		t.Errorf("last change: %d in the map, %d in the increment", after.Pools[id].LastChange, p.LastChange)
	}
}

// What exists only in stretch clusters is laid out as the real tool reads and
// writes it: it puts another CRUSH map in and keeps these fields.
func TestStretchModeMatchesOsdmaptool(t *testing.T) {
	tool := reftool.Need(t, "osdmaptool")
	m := largeMap(t, 16)
	m.StretchModeEnabled, m.StretchBucketCount, m.DegradedStretchMode = true, 2, 1
	m.RecoveringStretchMode, m.StretchModeBucket = 1, 8
	p := m.Pools[1].Clone()
	p.PeeringCrushBucketCount, p.PeeringCrushBucketTarget, p.PeeringCrushBucketBarrier = 2, 3, 8
	p.PeeringCrushMandatoryMember = -5
	m.Pools[1] = p
	dir := t.TempDir()
	file, crushFile := filepath.Join(dir, "map"), filepath.Join(dir, "crush")
	for name, p := range map[string][]byte{file: m.Encode(0), crushFile: m.Crush.EncodeMap()} {
		if err := os.WriteFile(name, p, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command(tool, file, "--import-crush", crushFile).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	saved, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeMap(saved)
	if err != nil {
		t.Fatal(err)
	}
	if got.Epoch <= m.Epoch || got.CrushVersion != m.CrushVersion+1 {
		t.Errorf("the tool did not write its own map: epoch %d, CRUSH version %d", got.Epoch, got.CrushVersion)
	}
	got.Epoch, got.CrushVersion, got.Modified = m.Epoch, m.CrushVersion, m.Modified
	if !bytes.Equal(got.Encode(0), m.Encode(0)) {
		diffLines(t, "stretch map", got.Print(), m.Print())
		t.Error("encodings differ")
	}
}

// A stretch pool serves only from enough sites, one of them perhaps a given one.
func TestStretchCanPeer(t *testing.T) {
	m := largeMap(t, 16)
	p := m.Pools[1].Clone()
	if !m.StretchCanPeer(p, []int32{1}) {
		t.Error("not a stretch pool")
	}
	rack, _ := m.Crush.TypeID("rack")
	p.PeeringCrushBucketCount, p.PeeringCrushBucketBarrier = 2, uint32(rack)
	rack0, _ := m.Crush.ItemID("rack0")
	for _, c := range []struct {
		osds   []int32
		member int32
		want   bool
	}{
		{[]int32{1, 2, 3}, ItemNone, false}, {[]int32{1, 30}, ItemNone, true},
		{[]int32{30, 60}, rack0, false}, {[]int32{1, 60}, rack0, true},
	} {
		p.PeeringCrushMandatoryMember = c.member
		if got := m.StretchCanPeer(p, c.osds); got != c.want {
			t.Errorf("%v with %d: %v", c.osds, c.member, got)
		}
	}
}

// Sets of snapshots agree with plain sets of numbers.
func TestSnapSetAgreesWithPlainSets(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	type plain [40]bool
	random := func() (SnapSet, plain) {
		var v SnapSet
		var p plain
		for range r.IntN(12) {
			at, n := r.IntN(30), 1+r.IntN(9)
			v = v.Union(SnapSet{{object.SnapID(at), uint64(n)}})
			for i := at; i < at+n; i++ {
				p[i] = true
			}
		}
		return v, p
	}
	check := func(v SnapSet, want plain) {
		t.Helper()
		n := uint64(0)
		for i, in := range want {
			if v.Contains(object.SnapID(i)) != in {
				t.Fatalf("%s: %d should be %v", v, i, in)
			}
			if in {
				n++
			}
		}
		if v.Count() != n {
			t.Fatalf("%s holds %d, not %d", v, n, v.Count())
		}
		for i := 1; i < len(v); i++ {
			if v[i].Start <= v[i-1].end() {
				t.Fatalf("%s: runs touch", v)
			}
		}
	}
	for range 2000 {
		a, pa := random()
		b, pb := random()
		var union, minus plain
		for i := range pa {
			union[i], minus[i] = pa[i] || pb[i], pa[i] && !pb[i]
		}
		check(a, pa)
		check(a.Union(b), union)
		check(a.Subtract(b), minus)
		check(a, pa)
	}
	if got := (SnapSet{{1, 3}, {16, 10}}).String(); got != "[1~3,10~a]" {
		t.Error(got)
	}
}

// A CRUSH map that would take forever does not get into a map, and the usual
// ones do.
func TestCheckCrush(t *testing.T) {
	for _, p := range []crush.Profile{crush.ProfileDefault, crush.ProfileLegacy} {
		cm := crush.NewDefault()
		cm.SetTunables(p)
		if err := CheckCrush(cm); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
	cm := crush.NewDefault()
	cm.Rules[0].Steps = append([]crush.Step{{Op: crush.OpSetChooseTries, Arg1: 1 << 30}}, cm.Rules[0].Steps...)
	if err := CheckCrush(cm); err == nil {
		t.Error("2^30 tries")
	}
	m := goldenMap(t, "full.1")
	inc := next(m)
	inc.Crush = cm.EncodeMap()
	if err := m.Apply(inc); !errors.Is(err, ErrBadIncremental) {
		t.Error(err)
	}
}
