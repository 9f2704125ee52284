package osdmap

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"sepiola/entity"
)

// Errors of [Map.Apply].
var (
	// ErrWrongCluster is of an increment that belongs to another cluster.
	ErrWrongCluster = errors.New("increment of another cluster")
	// ErrWrongEpoch is of an increment that does not follow the map's epoch.
	ErrWrongEpoch = errors.New("increment does not follow the map")
	// ErrBadIncremental is of an increment that no monitor would make: it names
	// OSDs beyond the map's size, or holds an encoding that does not decode.
	ErrBadIncremental = errors.New("malformed increment")
	// ErrCRC is of a map that does not come out as the monitor's.
	ErrCRC = errors.New("map differs from the monitor's")
)

// maxMaxOSD bounds what an increment may make of MaxOSD. It is far above what a
// cluster has (Ceph's largest tests had 10000 OSDs) and keeps a hostile
// increment of a few bytes from taking gigabytes.
const maxMaxOSD = 1 << 20

// Apply changes the map as the increment says (OSDMap::apply_incremental). On
// error the map is left in an undefined state: apply to a [Map.Clone].
func (m *Map) Apply(inc *Incremental) error {
	switch {
	case inc.Epoch == 1:
		m.FSID = inc.FSID
	case inc.FSID != m.FSID:
		return fmt.Errorf("%w: %s, not %s", ErrWrongCluster, inc.FSID, m.FSID)
	}
	if inc.Epoch != m.Epoch+1 {
		return fmt.Errorf("%w: epoch %d after %d", ErrWrongEpoch, inc.Epoch, m.Epoch)
	}
	if len(inc.FullMap) > 0 {
		full, err := DecodeMap(inc.FullMap)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrBadIncremental, err)
		}
		*m = *full
		return nil
	}
	if err := m.checkIncremental(inc); err != nil {
		return err
	}
	m.Epoch = inc.Epoch
	m.Modified = inc.Modified
	m.applyScalars(inc)
	m.applyPools(inc)
	if err := m.applySnaps(inc); err != nil {
		return err
	}
	m.applyOSDs(inc)
	m.applyMappings(inc)
	m.applyRest(inc)
	return m.applyCrush(inc)
}

// checkIncremental refuses ids beyond the map's size, so that what follows can
// index without asking.
func (m *Map) checkIncremental(inc *Incremental) error {
	size := m.MaxOSD
	if inc.NewMaxOSD >= 0 {
		size = inc.NewMaxOSD
	}
	if size > maxMaxOSD {
		return fmt.Errorf("%w: room for %d OSDs", ErrBadIncremental, size)
	}
	for _, err := range []error{
		checkIDs(inc.NewWeight, size), checkIDs(inc.NewState, size), checkIDs(inc.NewPrimaryAffinity, size),
		checkIDs(inc.NewUpClient, size), checkIDs(inc.NewUpCluster, size), checkIDs(inc.NewUpThru, size),
		checkIDs(inc.NewLastClean, size), checkIDs(inc.NewLost, size), checkIDs(inc.NewXInfo, size),
		checkIDs(inc.NewUUID, size),
	} {
		if err != nil {
			return err
		}
	}
	for osd := range inc.NewUpClient {
		_, back := inc.NewHBBackUp[osd]
		_, front := inc.NewHBFrontUp[osd]
		if !back || !front {
			return fmt.Errorf("%w: osd.%d comes up without heartbeat addresses", ErrBadIncremental, osd)
		}
	}
	return nil
}

func checkIDs[V any](ids map[int32]V, size int32) error {
	for osd := range ids {
		if osd < 0 || osd >= size {
			return fmt.Errorf("%w: osd.%d in a map with room for %d", ErrBadIncremental, osd, size)
		}
	}
	return nil
}

func (m *Map) applyScalars(inc *Incremental) {
	if inc.NewFlags >= 0 {
		m.Flags = uint32(inc.NewFlags)
	}
	if inc.NewMaxOSD >= 0 {
		m.SetMaxOSD(inc.NewMaxOSD)
	}
	if inc.NewPoolMax != -1 {
		m.PoolMax = inc.NewPoolMax
	}
	if !inc.NewLastUpChange.IsZero() {
		m.LastUpChange = inc.NewLastUpChange
	}
	if !inc.NewLastInChange.IsZero() {
		m.LastInChange = inc.NewLastInChange
	}
}

func (m *Map) applyPools(inc *Incremental) {
	for id, p := range inc.NewPools {
		c := p.Clone() // the increment may be applied elsewhere, or changed further
		c.LastChange = m.Epoch
		m.Pools[id] = c
	}
	maps.Copy(m.PoolNames, inc.NewPoolNames)
	for id := range inc.OldPools {
		delete(m.Pools, id)
		delete(m.PoolNames, id)
	}
	for _, name := range inc.OldErasureProfiles {
		delete(m.ErasureProfiles, name)
	}
	maps.Copy(m.ErasureProfiles, inc.NewErasureProfiles)
}

func (m *Map) applySnaps(inc *Incremental) error {
	m.NewRemovedSnaps = orEmpty(maps.Clone(inc.NewRemovedSnaps))
	m.NewPurgedSnaps = orEmpty(maps.Clone(inc.NewPurgedSnaps))
	for id, snaps := range inc.NewRemovedSnaps {
		m.RemovedSnapsQueue[id] = m.RemovedSnapsQueue[id].Union(snaps)
	}
	for id, snaps := range inc.NewPurgedSnaps {
		queue, ok := m.RemovedSnapsQueue[id]
		if !ok {
			return fmt.Errorf("%w: snapshots of pool %d purged that were not removed", ErrBadIncremental, id)
		}
		if queue = queue.Subtract(snaps); len(queue) > 0 {
			m.RemovedSnapsQueue[id] = queue
		} else {
			delete(m.RemovedSnapsQueue, id)
		}
	}
	return nil
}

func orEmpty[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return map[K]V{}
	}
	return m
}

func (m *Map) applyOSDs(inc *Incremental) {
	for osd, w := range inc.NewWeight {
		m.OSDWeight[osd] = w
		if w != WeightOut {
			m.OSDState[osd] = (m.OSDState[osd] | OSDExists) &^ (OSDAutoOut | OSDNew)
			m.OSDXInfo[osd].OldWeight = 0
		}
	}
	for osd, a := range inc.NewPrimaryAffinity {
		m.setAffinity(osd, a)
	}
	for osd, flip := range inc.NewState {
		m.flipState(osd, flip)
	}
	for osd, addrs := range inc.NewUpClient {
		m.OSDState[osd] = (m.OSDState[osd] | OSDExists | OSDUp) &^ OSDStop
		m.ClientAddrs[osd] = addrs
		m.HBBackAddrs[osd] = inc.NewHBBackUp[osd]
		m.HBFrontAddrs[osd] = inc.NewHBFrontUp[osd]
		m.OSDInfo[osd].UpFrom = m.Epoch
	}
	for osd, addrs := range inc.NewUpCluster {
		m.ClusterAddrs[osd] = addrs
	}
	for osd, e := range inc.NewUpThru {
		m.OSDInfo[osd].UpThru = e
	}
	for osd, i := range inc.NewLastClean {
		m.OSDInfo[osd].LastCleanBegin, m.OSDInfo[osd].LastCleanEnd = i.Begin, i.End
	}
	for osd, e := range inc.NewLost {
		m.OSDInfo[osd].LostAt = e
	}
	for osd, x := range inc.NewXInfo {
		m.OSDXInfo[osd] = x
	}
	for osd, u := range inc.NewUUID {
		m.OSDUUID[osd] = u
	}
}

// flipState XORs bits onto an OSD's state. To flip the bit of an existing OSD's
// existence is to forget everything about it.
func (m *Map) flipState(osd int32, flip uint32) {
	if flip == 0 {
		flip = OSDUp
	}
	both := m.OSDState[osd] & flip
	if both&OSDUp != 0 {
		m.OSDInfo[osd].DownAt = m.Epoch
		m.OSDXInfo[osd].DownStamp = m.Modified
	}
	if both&OSDExists == 0 {
		m.OSDState[osd] ^= flip
		return
	}
	m.OSDUUID[osd] = entity.UUID{}
	m.OSDInfo[osd] = OSDInfo{}
	m.OSDXInfo[osd] = OSDXInfo{}
	m.setAffinity(osd, DefaultPrimaryAffinity)
	m.ClientAddrs[osd] = nil
	m.ClusterAddrs[osd] = nil
	m.HBFrontAddrs[osd] = nil
	m.HBBackAddrs[osd] = nil
	m.OSDState[osd] = 0
}

func (m *Map) setAffinity(osd int32, a uint32) {
	if m.PrimaryAffinity == nil {
		m.PrimaryAffinity = resize([]uint32(nil), m.MaxOSD, DefaultPrimaryAffinity)
	}
	m.PrimaryAffinity[osd] = a
}

func (m *Map) applyMappings(inc *Incremental) {
	for pg, osds := range inc.NewPGTemp {
		if len(osds) == 0 {
			delete(m.PGTemp, pg)
		} else {
			m.PGTemp[pg] = osds
		}
	}
	for pg, osd := range inc.NewPrimaryTemp {
		if osd == -1 {
			delete(m.PrimaryTemp, pg)
		} else {
			m.PrimaryTemp[pg] = osd
		}
	}
	maps.Copy(m.PGUpmap, inc.NewPGUpmap)
	for pg := range inc.OldPGUpmap {
		delete(m.PGUpmap, pg)
	}
	maps.Copy(m.PGUpmapItems, inc.NewPGUpmapItems)
	for pg := range inc.OldPGUpmapItems {
		delete(m.PGUpmapItems, pg)
	}
}

func (m *Map) applyRest(inc *Incremental) {
	addAddrs(m.Blocklist, inc.NewBlocklist, inc.OldBlocklist)
	addAddrs(m.RangeBlocklist, inc.NewRangeBlocklist, inc.OldRangeBlocklist)
	setOrDelete(m.CrushNodeFlags, inc.NewCrushNodeFlags)
	setOrDelete(m.DeviceClassFlags, inc.NewDeviceClassFlags)
	m.ClusterSnapshot, m.ClusterSnapshotEpoch = inc.ClusterSnapshot, 0
	if inc.ClusterSnapshot != "" {
		m.ClusterSnapshotEpoch = inc.Epoch
	}
	if inc.NewNearFullRatio >= 0 {
		m.NearFullRatio = inc.NewNearFullRatio
	}
	if inc.NewBackfillFullRatio >= 0 {
		m.BackfillFullRatio = inc.NewBackfillFullRatio
	}
	if inc.NewFullRatio >= 0 {
		m.FullRatio = inc.NewFullRatio
	}
	if r := inc.NewRequireMinCompatClient; r > ReleaseUnknown && r < 0x80 {
		m.RequireMinCompatClient = r
	}
	if inc.NewRequireOSDRelease < 0x80 {
		m.RequireOSDRelease = inc.NewRequireOSDRelease
		m.adoptRelease()
	}
	if inc.ChangeStretchMode {
		m.StretchModeEnabled = inc.StretchModeEnabled
		m.StretchBucketCount = inc.NewStretchBucketCount
		m.DegradedStretchMode = inc.NewDegradedStretchMode
		m.RecoveringStretchMode = inc.NewRecoveringStretchMode
		m.StretchModeBucket = inc.NewStretchModeBucket
	}
}

// addAddrs adds entries to a blocklist and takes others off. An address that is
// blocked already keeps its time, as it does where Ceph inserts into a map.
func addAddrs(m, add map[entity.Addr]time.Time, del []entity.Addr) {
	for a, until := range add {
		if _, ok := m[a]; !ok {
			m[a] = until
		}
	}
	for _, a := range del {
		delete(m, a)
	}
}

func setOrDelete(m, changes map[int32]uint32) {
	for id, flags := range changes {
		if flags != 0 {
			m[id] = flags
		} else {
			delete(m, id)
		}
	}
}

// applyCrush comes last: a new CRUSH map may take device classes away.
func (m *Map) applyCrush(inc *Incremental) error {
	if len(inc.Crush) == 0 {
		return nil
	}
	cm, err := decodeCrush(inc.Crush)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadIncremental, err)
	}
	m.Crush = cm
	m.CrushVersion++
	for class := range m.DeviceClassFlags {
		if _, ok := cm.ClassNames[class]; !ok {
			delete(m.DeviceClassFlags, class)
		}
	}
	return nil
}

// ApplyEncoded returns the map that follows m by an encoded increment, and its
// encoding, checked against the CRC the monitor found. m is left as it is.
// ErrCRC means that the full map should be asked for instead.
func (m *Map) ApplyEncoded(p []byte) (*Map, []byte, error) {
	inc, err := DecodeIncremental(p)
	if err != nil {
		return nil, nil, err
	}
	next := m.Clone()
	if err := next.Apply(inc); err != nil {
		return nil, nil, err
	}
	full := next.Encode(0)
	if crc := EncodedCRC(full); inc.HaveCRC && crc != inc.FullCRC {
		return nil, nil, fmt.Errorf("%w: epoch %d has CRC %08x, should be %08x", ErrCRC, inc.Epoch, crc, inc.FullCRC)
	}
	return next, full, nil
}
