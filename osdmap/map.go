package osdmap

import (
	"maps"
	"slices"
	"time"

	"sepiola/crush"
	"sepiola/entity"
	"sepiola/object"
)

// OSDInfo is what the map remembers of an OSD's life (osd_info_t). All fields
// are epochs.
type OSDInfo struct {
	LastCleanBegin uint32 // last interval that ended with a clean shutdown
	LastCleanEnd   uint32
	UpFrom         uint32 // marked up
	UpThru         uint32 // known to be alive at least until
	DownAt         uint32 // marked down
	LostAt         uint32 // declared lost
}

// OSDXInfo is more of the same (osd_xinfo_t).
type OSDXInfo struct {
	DownStamp            time.Time
	LaggyProbability     uint32 // of 0xffffffff
	LaggyInterval        uint32 // seconds
	Features             uint64
	OldWeight            uint32 // 16.16, before it was marked out automatically
	LastPurgedSnapsScrub time.Time
	DeadEpoch            uint32 // last epoch it was known to be dead, not just down
}

// UpmapItem replaces one OSD by another in a PG's mapping.
type UpmapItem struct{ From, To int32 }

// Map is OSDMap: the state of all OSDs and pools in one epoch.
type Map struct {
	FSID              entity.UUID
	Epoch             uint32
	Created, Modified time.Time

	Pools     map[int64]*Pool
	PoolNames map[int64]string
	PoolMax   int64 // greatest pool id ever given

	Flags uint32

	MaxOSD          int32
	OSDState        []uint32
	OSDWeight       []uint32 // 16.16; WeightIn is in, 0 is out
	OSDInfo         []OSDInfo
	OSDXInfo        []OSDXInfo
	OSDUUID         []entity.UUID
	ClientAddrs     []entity.AddrVec
	ClusterAddrs    []entity.AddrVec
	HBBackAddrs     []entity.AddrVec
	HBFrontAddrs    []entity.AddrVec
	PrimaryAffinity []uint32 // 16.16; nil when all have the default

	PGTemp       map[object.PGID][]int32
	PrimaryTemp  map[object.PGID]int32
	PGUpmap      map[object.PGID][]int32
	PGUpmapItems map[object.PGID][]UpmapItem

	Crush        *crush.Map
	CrushVersion uint32

	ErasureProfiles map[string]map[string]string

	Blocklist      map[entity.Addr]time.Time // until when
	RangeBlocklist map[entity.Addr]time.Time // of type AddrCIDR: networks, the nonce being their prefix length

	RemovedSnapsQueue map[int64]SnapSet // snapshots removed and not yet purged
	NewRemovedSnaps   map[int64]SnapSet // added to the queue in this epoch
	NewPurgedSnaps    map[int64]SnapSet // left the queue in this epoch

	LastUpChange, LastInChange time.Time

	ClusterSnapshotEpoch uint32
	ClusterSnapshot      string

	NearFullRatio, BackfillFullRatio, FullRatio float32

	RequireMinCompatClient Release
	RequireOSDRelease      Release

	CrushNodeFlags   map[int32]uint32 // OSD state flags by CRUSH node
	DeviceClassFlags map[int32]uint32 // OSD state flags by device class

	StretchModeEnabled    bool
	StretchBucketCount    uint32
	DegradedStretchMode   uint32
	RecoveringStretchMode uint32
	StretchModeBucket     int32
}

// Default ratios of a new cluster (mon_osd_{nearfull,backfillfull,full}_ratio).
const (
	DefaultNearFullRatio     float32 = 0.85
	DefaultBackfillFullRatio float32 = 0.90
	DefaultFullRatio         float32 = 0.95
)

// DefaultErasureProfile is the erasure code profile called "default"
// (osd_pool_default_erasure_code_profile in Ceph 16).
var DefaultErasureProfile = map[string]string{
	"plugin": "jerasure", "technique": "reed_sol_van", "k": "2", "m": "2",
}

// New returns the map of a new cluster without OSDs or pools: what `ceph-mon
// --mkfs` makes of OSDMap::build_simple and what OSDMonitor::create_initial
// adds. cm is its CRUSH map.
func New(fsid entity.UUID, epoch uint32, created time.Time, cm *crush.Map) *Map {
	m := newMap()
	m.FSID, m.Epoch = fsid, epoch
	m.Created, m.Modified = created, created
	m.LastUpChange, m.LastInChange = time.Time{}, time.Time{}
	m.Flags = FlagSortBitwise | FlagRecoveryDeletes | FlagPurgedSnapdirs | FlagPGLogHardLimit
	m.RequireOSDRelease = ReleasePacific
	m.RequireMinCompatClient = ReleaseLuminous
	m.NearFullRatio = DefaultNearFullRatio
	m.BackfillFullRatio = DefaultBackfillFullRatio
	m.FullRatio = DefaultFullRatio
	m.ErasureProfiles["default"] = maps.Clone(DefaultErasureProfile)
	m.Crush = cm
	return m
}

// newMap returns a map with all containers made and CRUSH version 1, as a
// default-constructed OSDMap has.
func newMap() *Map {
	return &Map{
		Pools:             map[int64]*Pool{},
		PoolNames:         map[int64]string{},
		PGTemp:            map[object.PGID][]int32{},
		PrimaryTemp:       map[object.PGID]int32{},
		PGUpmap:           map[object.PGID][]int32{},
		PGUpmapItems:      map[object.PGID][]UpmapItem{},
		CrushVersion:      1,
		ErasureProfiles:   map[string]map[string]string{},
		Blocklist:         map[entity.Addr]time.Time{},
		RangeBlocklist:    map[entity.Addr]time.Time{},
		RemovedSnapsQueue: map[int64]SnapSet{},
		NewRemovedSnaps:   map[int64]SnapSet{},
		NewPurgedSnaps:    map[int64]SnapSet{},
		CrushNodeFlags:    map[int32]uint32{},
		DeviceClassFlags:  map[int32]uint32{},
	}
}

// Clone returns a map that can be changed, by [Map.Apply] or field by field,
// without changing m. Containers are copied; pools, the CRUSH map and vectors in
// containers are shared, and are replaced instead of written to.
func (m *Map) Clone() *Map {
	c := *m
	c.Pools = maps.Clone(m.Pools)
	c.PoolNames = maps.Clone(m.PoolNames)
	c.OSDState = slices.Clone(m.OSDState)
	c.OSDWeight = slices.Clone(m.OSDWeight)
	c.OSDInfo = slices.Clone(m.OSDInfo)
	c.OSDXInfo = slices.Clone(m.OSDXInfo)
	c.OSDUUID = slices.Clone(m.OSDUUID)
	c.ClientAddrs = slices.Clone(m.ClientAddrs)
	c.ClusterAddrs = slices.Clone(m.ClusterAddrs)
	c.HBBackAddrs = slices.Clone(m.HBBackAddrs)
	c.HBFrontAddrs = slices.Clone(m.HBFrontAddrs)
	c.PrimaryAffinity = slices.Clone(m.PrimaryAffinity)
	c.PGTemp = maps.Clone(m.PGTemp)
	c.PrimaryTemp = maps.Clone(m.PrimaryTemp)
	c.PGUpmap = maps.Clone(m.PGUpmap)
	c.PGUpmapItems = maps.Clone(m.PGUpmapItems)
	c.ErasureProfiles = maps.Clone(m.ErasureProfiles)
	c.Blocklist = maps.Clone(m.Blocklist)
	c.RangeBlocklist = maps.Clone(m.RangeBlocklist)
	c.RemovedSnapsQueue = maps.Clone(m.RemovedSnapsQueue)
	c.NewRemovedSnaps = maps.Clone(m.NewRemovedSnaps)
	c.NewPurgedSnaps = maps.Clone(m.NewPurgedSnaps)
	c.CrushNodeFlags = maps.Clone(m.CrushNodeFlags)
	c.DeviceClassFlags = maps.Clone(m.DeviceClassFlags)
	return &c
}

// SetMaxOSD makes room for n OSDs, or drops those from n on.
func (m *Map) SetMaxOSD(n int32) {
	m.MaxOSD = n
	m.OSDState = resize(m.OSDState, n, 0)
	m.OSDWeight = resize(m.OSDWeight, n, WeightOut)
	m.OSDInfo = resize(m.OSDInfo, n, OSDInfo{})
	m.OSDXInfo = resize(m.OSDXInfo, n, OSDXInfo{})
	m.OSDUUID = resize(m.OSDUUID, n, entity.UUID{})
	m.ClientAddrs = resize(m.ClientAddrs, n, nil)
	m.ClusterAddrs = resize(m.ClusterAddrs, n, nil)
	m.HBBackAddrs = resize(m.HBBackAddrs, n, nil)
	m.HBFrontAddrs = resize(m.HBFrontAddrs, n, nil)
	if m.PrimaryAffinity != nil {
		m.PrimaryAffinity = resize(m.PrimaryAffinity, n, DefaultPrimaryAffinity)
	}
}

// resize returns a copy of s of length n, filled up with v.
func resize[T any](s []T, n int32, v T) []T {
	out := make([]T, n)
	for i := copy(out, s); i < int(n); i++ {
		out[i] = v
	}
	return out
}

// Exists reports whether the map knows the OSD.
func (m *Map) Exists(osd int32) bool {
	return osd >= 0 && osd < m.MaxOSD && m.OSDState[osd]&OSDExists != 0
}

// IsUp reports whether the OSD exists and is up.
func (m *Map) IsUp(osd int32) bool { return m.Exists(osd) && m.OSDState[osd]&OSDUp != 0 }

// IsDown is the opposite of [Map.IsUp]: an OSD that does not exist is down.
func (m *Map) IsDown(osd int32) bool { return !m.IsUp(osd) }

// IsIn reports whether the OSD exists and takes data.
func (m *Map) IsIn(osd int32) bool { return m.Exists(osd) && m.OSDWeight[osd] != WeightOut }

// IsOut is the opposite of [Map.IsIn].
func (m *Map) IsOut(osd int32) bool { return !m.IsIn(osd) }

// IsDestroyed reports whether the OSD's data is gone but its id is kept.
func (m *Map) IsDestroyed(osd int32) bool {
	return m.Exists(osd) && m.OSDState[osd]&OSDDestroyed != 0
}

// IsDead reports whether the OSD is known to be dead since it was last up.
func (m *Map) IsDead(osd int32) bool {
	return m.Exists(osd) && m.OSDXInfo[osd].DeadEpoch > m.OSDInfo[osd].UpFrom
}

// HasBeenUpSince reports whether the OSD is up and has been since epoch e.
func (m *Map) HasBeenUpSince(osd int32, e uint32) bool {
	return m.IsUp(osd) && m.OSDInfo[osd].UpFrom <= e
}

// Info returns what the map remembers of the OSD; zero if it is out of range.
func (m *Map) Info(osd int32) OSDInfo {
	if osd < 0 || osd >= m.MaxOSD {
		return OSDInfo{}
	}
	return m.OSDInfo[osd]
}

// Weight returns the OSD's weight, 16.16; 0 if it is out of range.
func (m *Map) Weight(osd int32) uint32 {
	if osd < 0 || osd >= m.MaxOSD {
		return WeightOut
	}
	return m.OSDWeight[osd]
}

// Affinity returns how readily the OSD is made primary, 16.16.
func (m *Map) Affinity(osd int32) uint32 {
	if osd < 0 || int(osd) >= len(m.PrimaryAffinity) {
		return DefaultPrimaryAffinity
	}
	return m.PrimaryAffinity[osd]
}

// Addrs returns where clients reach the OSD; nil if it does not exist.
func (m *Map) Addrs(osd int32) entity.AddrVec { return m.addrsOf(m.ClientAddrs, osd) }

// ClusterAddrsOf returns where other OSDs reach the OSD.
func (m *Map) ClusterAddrsOf(osd int32) entity.AddrVec { return m.addrsOf(m.ClusterAddrs, osd) }

// HBBackAddrsOf returns where the OSD takes heartbeats on the cluster network.
func (m *Map) HBBackAddrsOf(osd int32) entity.AddrVec { return m.addrsOf(m.HBBackAddrs, osd) }

// HBFrontAddrsOf returns where the OSD takes heartbeats on the public network.
func (m *Map) HBFrontAddrsOf(osd int32) entity.AddrVec { return m.addrsOf(m.HBFrontAddrs, osd) }

func (m *Map) addrsOf(v []entity.AddrVec, osd int32) entity.AddrVec {
	if !m.Exists(osd) {
		return nil
	}
	return v[osd]
}

// TestFlag reports whether any of the flags is set.
func (m *Map) TestFlag(f uint32) bool { return m.Flags&f != 0 }

// Counts returns how many OSDs exist, are up, and are in.
func (m *Map) Counts() (exist, up, in int) {
	for osd := range m.MaxOSD {
		if !m.Exists(osd) {
			continue
		}
		exist++
		if m.IsUp(osd) {
			up++
		}
		if m.IsIn(osd) {
			in++
		}
	}
	return exist, up, in
}

// OSDs returns the ids of all OSDs that exist, ascending.
func (m *Map) OSDs() []int32 {
	var out []int32
	for osd := range m.MaxOSD {
		if m.Exists(osd) {
			out = append(out, osd)
		}
	}
	return out
}

// IdentifyOSD returns the OSD that has the UUID, -1 if there is none.
func (m *Map) IdentifyOSD(u entity.UUID) int32 {
	for osd := range m.MaxOSD {
		if m.Exists(osd) && m.OSDUUID[osd] == u {
			return osd
		}
	}
	return -1
}

// PoolIDs returns the ids of all pools, ascending.
func (m *Map) PoolIDs() []int64 { return slices.Sorted(maps.Keys(m.Pools)) }

// PoolID returns the pool called name.
func (m *Map) PoolID(name string) (int64, bool) {
	for id, n := range m.PoolNames {
		if n == name {
			return id, true
		}
	}
	return 0, false
}
