package osdmap

import (
	"time"

	"sepiola/entity"
	"sepiola/object"
)

// CleanInterval is the time between two epochs in which an OSD was up and after
// which it shut down cleanly.
type CleanInterval struct{ Begin, End uint32 }

// Incremental is OSDMap::Incremental: what changes from epoch Epoch-1 to Epoch.
// Nil containers change nothing.
type Incremental struct {
	FSID     entity.UUID
	Epoch    uint32
	Modified time.Time

	// EncodeFeatures are the features the resulting full map is encoded with;
	// 0 stands for SignificantFeatures.
	EncodeFeatures uint64

	NewPoolMax int64 // -1: unchanged
	NewFlags   int32 // -1: unchanged
	NewMaxOSD  int32 // -1: unchanged

	FullMap []byte // an encoded map in place of everything below; rare
	Crush   []byte // an encoded CRUSH map, empty: unchanged

	NewPools            map[int64]*Pool
	NewPoolNames        map[int64]string
	OldPools            map[int64]bool
	NewErasureProfiles  map[string]map[string]string
	OldErasureProfiles  []string
	NewUpClient         map[int32]entity.AddrVec
	NewUpCluster        map[int32]entity.AddrVec
	NewHBBackUp         map[int32]entity.AddrVec
	NewHBFrontUp        map[int32]entity.AddrVec
	NewState            map[int32]uint32 // XORed onto the state; 0 stands for OSDUp
	NewWeight           map[int32]uint32
	NewPGTemp           map[object.PGID][]int32 // empty removes
	NewPrimaryTemp      map[object.PGID]int32   // -1 removes
	NewPrimaryAffinity  map[int32]uint32
	NewUpThru           map[int32]uint32
	NewLastClean        map[int32]CleanInterval
	NewLost             map[int32]uint32
	NewUUID             map[int32]entity.UUID
	NewXInfo            map[int32]OSDXInfo
	NewBlocklist        map[entity.Addr]time.Time
	OldBlocklist        []entity.Addr
	NewRangeBlocklist   map[entity.Addr]time.Time
	OldRangeBlocklist   []entity.Addr
	NewPGUpmap          map[object.PGID][]int32
	OldPGUpmap          map[object.PGID]bool
	NewPGUpmapItems     map[object.PGID][]UpmapItem
	OldPGUpmapItems     map[object.PGID]bool
	NewRemovedSnaps     map[int64]SnapSet
	NewPurgedSnaps      map[int64]SnapSet
	NewCrushNodeFlags   map[int32]uint32 // 0 removes
	NewDeviceClassFlags map[int32]uint32 // 0 removes

	NewLastUpChange time.Time // zero: unchanged
	NewLastInChange time.Time // zero: unchanged
	ClusterSnapshot string

	NewNearFullRatio     float32 // below 0: unchanged
	NewBackfillFullRatio float32
	NewFullRatio         float32

	NewRequireMinCompatClient Release // ReleaseUnchanged: unchanged
	NewRequireOSDRelease      Release

	ChangeStretchMode        bool // the next five count
	StretchModeEnabled       bool
	NewStretchBucketCount    uint32
	NewDegradedStretchMode   uint32
	NewRecoveringStretchMode uint32
	NewStretchModeBucket     int32

	// FullCRC is the CRC of the resulting map's encoding.
	FullCRC uint32
	// HaveCRC and IncCRC are known after decoding: whether the encoding carried
	// CRCs, and that of the increment itself.
	HaveCRC bool
	IncCRC  uint32
}

// NewIncremental returns an increment that changes nothing but the epoch, which
// it raises to epoch. Its maps are made.
func NewIncremental(fsid entity.UUID, epoch uint32) *Incremental {
	return &Incremental{
		FSID:                      fsid,
		Epoch:                     epoch,
		NewPoolMax:                -1,
		NewFlags:                  -1,
		NewMaxOSD:                 -1,
		NewNearFullRatio:          -1,
		NewBackfillFullRatio:      -1,
		NewFullRatio:              -1,
		NewRequireMinCompatClient: ReleaseUnchanged,
		NewRequireOSDRelease:      ReleaseUnchanged,
		NewPools:                  map[int64]*Pool{},
		NewPoolNames:              map[int64]string{},
		OldPools:                  map[int64]bool{},
		NewErasureProfiles:        map[string]map[string]string{},
		NewUpClient:               map[int32]entity.AddrVec{},
		NewUpCluster:              map[int32]entity.AddrVec{},
		NewHBBackUp:               map[int32]entity.AddrVec{},
		NewHBFrontUp:              map[int32]entity.AddrVec{},
		NewState:                  map[int32]uint32{},
		NewWeight:                 map[int32]uint32{},
		NewPGTemp:                 map[object.PGID][]int32{},
		NewPrimaryTemp:            map[object.PGID]int32{},
		NewPrimaryAffinity:        map[int32]uint32{},
		NewUpThru:                 map[int32]uint32{},
		NewLastClean:              map[int32]CleanInterval{},
		NewLost:                   map[int32]uint32{},
		NewUUID:                   map[int32]entity.UUID{},
		NewXInfo:                  map[int32]OSDXInfo{},
		NewBlocklist:              map[entity.Addr]time.Time{},
		NewRangeBlocklist:         map[entity.Addr]time.Time{},
		NewPGUpmap:                map[object.PGID][]int32{},
		OldPGUpmap:                map[object.PGID]bool{},
		NewPGUpmapItems:           map[object.PGID][]UpmapItem{},
		OldPGUpmapItems:           map[object.PGID]bool{},
		NewRemovedSnaps:           map[int64]SnapSet{},
		NewPurgedSnaps:            map[int64]SnapSet{},
		NewCrushNodeFlags:         map[int32]uint32{},
		NewDeviceClassFlags:       map[int32]uint32{},
	}
}

// Pool returns the pool as the increment will have it, to be changed: a pool it
// changes already, or else a copy of the one in base. It is nil if neither has
// it.
func (inc *Incremental) Pool(base *Map, id int64) *Pool {
	if p, ok := inc.NewPools[id]; ok {
		return p
	}
	p, ok := base.Pools[id]
	if !ok {
		return nil
	}
	p = p.Clone()
	inc.NewPools[id] = p
	return p
}

// HasState reports whether the increment flips any of the bits of an OSD's
// state.
func (inc *Incremental) HasState(osd int32, bits uint32) bool {
	return inc.NewState[osd]&bits != 0
}
