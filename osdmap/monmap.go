package osdmap

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sepiola/entity"
	"sepiola/wire"
)

// MonFeatures are feature bits of monitors among themselves (mon_feature_t).
type MonFeatures uint64

// The features of monitors (ceph::features::mon).
const (
	MonFeatureKraken      MonFeatures = 1 << 0
	MonFeatureLuminous    MonFeatures = 1 << 1
	MonFeatureMimic       MonFeatures = 1 << 2
	MonFeatureOSDMapPrune MonFeatures = 1 << 3
	MonFeatureNautilus    MonFeatures = 1 << 4
	MonFeatureOctopus     MonFeatures = 1 << 5
	MonFeaturePacific     MonFeatures = 1 << 6
	MonFeaturePinging     MonFeatures = 1 << 7

	// MonFeaturesPersistent are those a Ceph 16 cluster keeps on
	// (ceph::features::mon::get_persistent).
	MonFeaturesPersistent = MonFeatureKraken | MonFeatureLuminous | MonFeatureMimic |
		MonFeatureOSDMapPrune | MonFeatureNautilus | MonFeatureOctopus | MonFeaturePacific | MonFeaturePinging
)

// MonFeatureNames are the names of the bits, from bit 0.
var MonFeatureNames = []string{
	"kraken", "luminous", "mimic", "osdmap-prune", "nautilus", "octopus", "pacific", "elector-pinging",
}

// Names returns the names of the features that are set, by bit.
func (f MonFeatures) Names() []string {
	var out []string
	for bit := range 64 {
		if f&(1<<bit) == 0 {
			continue
		}
		if bit < len(MonFeatureNames) {
			out = append(out, MonFeatureNames[bit])
		} else {
			out = append(out, "unknown")
		}
	}
	return out
}

func (f MonFeatures) encode(e *wire.Encoder) {
	m := e.Begin(1, 1)
	e.U64(uint64(f))
	e.End(m)
}

func decodeMonFeatures(d *wire.Decoder) MonFeatures {
	s := d.Begin(1)
	f := MonFeatures(d.U64())
	d.End(s)
	return f
}

// ElectionStrategy is how monitors choose their leader
// (MonMap::election_strategy).
type ElectionStrategy uint8

// The strategies.
const (
	ElectionClassic      ElectionStrategy = 1 // the lowest rank leads
	ElectionDisallow     ElectionStrategy = 2 // the same, but some must not
	ElectionConnectivity ElectionStrategy = 3 // the best connected leads
)

// MonInfo is one monitor (mon_info_t).
type MonInfo struct {
	Name     string
	Addrs    entity.AddrVec
	Priority uint16 // lower is preferred by clients
	Weight   uint16
	CrushLoc map[string]string
}

// MonMap is the map of monitors. Like a [Map] it is not written to once
// several can see it.
type MonMap struct {
	Epoch                uint32
	FSID                 entity.UUID
	LastChanged, Created time.Time

	PersistentFeatures MonFeatures
	OptionalFeatures   MonFeatures

	Mons         map[string]MonInfo
	Ranks        []string // names by rank
	RemovedRanks []int32  // taken away by this epoch; sorted

	MinMonRelease Release
	Strategy      ElectionStrategy

	DisallowedLeaders     []string // sorted
	StretchModeEnabled    bool
	TiebreakerMon         string
	StretchMarkedDownMons []string // sorted
}

// NewMonMap returns a map without monitors, as `monmaptool --create` makes it
// for a Ceph 16 cluster.
func NewMonMap(fsid entity.UUID, created time.Time) *MonMap {
	return &MonMap{
		FSID:               fsid,
		Created:            created,
		LastChanged:        created,
		PersistentFeatures: MonFeaturesPersistent,
		Mons:               map[string]MonInfo{},
		MinMonRelease:      ReleasePacific,
		Strategy:           ElectionClassic,
	}
}

// Clone returns a copy that can be changed without changing m.
func (m *MonMap) Clone() *MonMap {
	c := *m
	c.Mons = maps.Clone(m.Mons)
	c.Ranks = slices.Clone(m.Ranks)
	c.RemovedRanks = slices.Clone(m.RemovedRanks)
	c.DisallowedLeaders = slices.Clone(m.DisallowedLeaders)
	c.StretchMarkedDownMons = slices.Clone(m.StretchMarkedDownMons)
	return &c
}

// Add gives a monitor the next rank. It fails if the name or one of the
// addresses is taken.
func (m *MonMap) Add(i MonInfo) error {
	if _, ok := m.Mons[i.Name]; ok {
		return fmt.Errorf("mon.%s exists", i.Name)
	}
	for _, a := range i.Addrs {
		if name := m.NameOf(a); name != "" {
			return fmt.Errorf("mon.%s has address %s", name, a)
		}
	}
	m.Mons[i.Name] = i
	m.Ranks = append(m.Ranks, i.Name)
	return nil
}

// Remove takes a monitor away; those of higher rank move up. It fails if there
// is no such monitor.
func (m *MonMap) Remove(name string) error {
	rank := m.Rank(name)
	if rank < 0 {
		return fmt.Errorf("mon.%s does not exist", name)
	}
	delete(m.Mons, name)
	m.Ranks = slices.Delete(m.Ranks, rank, rank+1)
	if i, ok := slices.BinarySearch(m.RemovedRanks, int32(rank)); !ok {
		m.RemovedRanks = slices.Insert(m.RemovedRanks, i, int32(rank))
	}
	m.DisallowedLeaders = slices.DeleteFunc(m.DisallowedLeaders, func(s string) bool { return s == name })
	return nil
}

// Rank returns the rank of the monitor called name, -1 if there is none.
func (m *MonMap) Rank(name string) int { return slices.Index(m.Ranks, name) }

// NameOf returns the monitor that has the address, "" if there is none.
func (m *MonMap) NameOf(a entity.Addr) string {
	for name, i := range m.Mons {
		if i.Addrs.Contains(a) {
			return name
		}
	}
	return ""
}

// AddrsOf returns the addresses of the monitor of a rank; nil if there is none.
func (m *MonMap) AddrsOf(rank int) entity.AddrVec {
	if rank < 0 || rank >= len(m.Ranks) {
		return nil
	}
	return m.Mons[m.Ranks[rank]].Addrs
}

// QuorumSize returns how many monitors are a majority.
func (m *MonMap) QuorumSize() int { return len(m.Mons)/2 + 1 }

const (
	monMapVersion  = 9
	monMapCompat   = 6
	monInfoVersion = 5
	monInfoCompat  = 1 // of a monitor with a location too, other than in 16.2.6
)

// Encode returns the map in the form of Ceph 16, which is also that of files
// for monmaptool.
func (m *MonMap) Encode() []byte {
	e := wire.NewEncoder(512)
	mark := e.Begin(monMapVersion, monMapCompat)
	m.FSID.Encode(e)
	e.U32(m.Epoch)
	e.Time(m.LastChanged)
	e.Time(m.Created)
	m.PersistentFeatures.encode(e)
	m.OptionalFeatures.encode(e)
	wire.Map(e, m.Mons, wire.PutString, encodeMonInfo)
	wire.Slice(e, m.Ranks, wire.PutString)
	e.U8(uint8(m.MinMonRelease))
	wire.Slice(e, m.RemovedRanks, wire.PutI32)
	e.U8(uint8(m.Strategy))
	wire.Slice(e, m.DisallowedLeaders, wire.PutString)
	e.Bool(m.StretchModeEnabled)
	e.String(m.TiebreakerMon)
	wire.Slice(e, m.StretchMarkedDownMons, wire.PutString)
	e.End(mark)
	return e.Bytes()
}

func encodeMonInfo(e *wire.Encoder, i MonInfo) {
	m := e.Begin(monInfoVersion, monInfoCompat)
	e.String(i.Name)
	i.Addrs.Encode(e)
	e.U16(i.Priority)
	e.U16(i.Weight)
	encodeStringMap(e, i.CrushLoc)
	e.End(m)
}

// DecodeMonMap reads an encoded monitor map, version 6 (Ceph 14) and later.
func DecodeMonMap(p []byte) (*MonMap, error) {
	d := wire.NewDecoder(p)
	s := d.Begin(monMapVersion)
	if d.Err() == nil && s.Version < 6 {
		d.Fail("version %d", s.Version)
	}
	m := &MonMap{FSID: entity.DecodeUUID(d), Epoch: d.U32(), LastChanged: d.Time(), Created: d.Time(),
		PersistentFeatures: decodeMonFeatures(d), OptionalFeatures: decodeMonFeatures(d), Strategy: ElectionClassic}
	m.Mons = wire.ReadMap(d, 4+6, wire.GetString, decodeMonInfo)
	m.Ranks = wire.ReadSlice(d, 4, wire.GetString)
	if s.Version >= 7 {
		m.MinMonRelease = Release(d.U8())
	}
	if s.Version >= 8 {
		m.RemovedRanks = sortedSet(wire.ReadSlice(d, 4, wire.GetI32))
		m.Strategy = ElectionStrategy(d.U8())
		m.DisallowedLeaders = sortedSet(wire.ReadSlice(d, 4, wire.GetString))
	}
	if s.Version >= 9 {
		m.StretchModeEnabled = d.Bool()
		m.TiebreakerMon = d.String()
		m.StretchMarkedDownMons = sortedSet(wire.ReadSlice(d, 4, wire.GetString))
	}
	d.End(s)
	m.checkRanks(d)
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("monitor map: %w", err)
	}
	return m, nil
}

// checkRanks refuses a map in which not every monitor has exactly one rank.
func (m *MonMap) checkRanks(d *wire.Decoder) {
	names := slices.Sorted(slices.Values(m.Ranks))
	if !slices.Equal(names, slices.Sorted(maps.Keys(m.Mons))) {
		d.Fail("ranks of %s do not match the monitors", strings.Join(m.Ranks, ","))
	}
}

func decodeMonInfo(d *wire.Decoder) MonInfo {
	s := d.Begin(monInfoVersion)
	if d.Err() == nil && s.Version < 3 {
		d.Fail("monitor of version %d", s.Version)
	}
	i := MonInfo{Name: d.String(), Addrs: entity.DecodeAddrVec(d), Priority: d.U16()}
	if s.Version >= 4 {
		i.Weight = d.U16()
	}
	if s.Version >= 5 {
		i.CrushLoc = decodeStringMap(d)
	}
	d.End(s)
	return i
}

func sortedSet[T string | int32](v []T) []T {
	slices.Sort(v)
	return slices.Compact(v)
}
