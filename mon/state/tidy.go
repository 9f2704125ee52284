package state

import (
	"maps"
	"slices"

	"sepiola/object"
	"sepiola/osdmap"
)

// tidy completes the increment with what follows from it
// (OSDMonitor::encode_pending) and returns the new map.
func (t *txn) tidy() *osdmap.Map {
	t.view = nil
	next := t.preview()
	inc := t.inc
	t.noteDowns(next)
	if inc.NewLastUpChange.IsZero() && t.upChanged(next) {
		inc.NewLastUpChange = t.now
	}
	if inc.NewLastInChange.IsZero() && t.inChanged(next) {
		inc.NewLastInChange = t.now
	}
	t.dropStaleTemps(next)
	next = t.preview()
	t.updateCreating(next)
	t.dropMetadata(next)
	return next
}

// noteDowns stamps OSDs that went down where the increment replaces what
// applying it would stamp.
func (t *txn) noteDowns(next *osdmap.Map) {
	for osd := range min(t.s.OSD.MaxOSD, next.MaxOSD) {
		if !t.s.OSD.IsUp(osd) || next.IsUp(osd) || !next.Exists(osd) {
			continue
		}
		if xi, ok := t.inc.NewXInfo[osd]; ok {
			xi.DownStamp = t.now
			t.inc.NewXInfo[osd] = xi
		}
	}
}

func (t *txn) upChanged(next *osdmap.Map) bool {
	for osd := range max(t.s.OSD.MaxOSD, next.MaxOSD) {
		if t.s.OSD.IsUp(osd) != next.IsUp(osd) {
			return true
		}
	}
	return false
}

func (t *txn) inChanged(next *osdmap.Map) bool {
	for osd := range max(t.s.OSD.MaxOSD, next.MaxOSD) {
		if t.s.OSD.IsIn(osd) != next.IsIn(osd) {
			return true
		}
	}
	return false
}

// dropStaleTemps removes temporary mappings that no longer do anything: of
// pools that are gone, of OSDs that are all down, or equal to where the PG
// belongs anyway (OSDMap::clean_temps).
func (t *txn) dropStaleTemps(next *osdmap.Map) {
	for _, pg := range slices.SortedFunc(maps.Keys(next.PGTemp), object.PGID.Compare) {
		osds := next.PGTemp[pg]
		if t.tempIsStale(next, pg, osds) {
			t.inc.NewPGTemp[pg] = nil
		}
	}
	for _, pg := range slices.SortedFunc(maps.Keys(next.PrimaryTemp), object.PGID.Compare) {
		p := next.Pools[pg.Pool]
		if p == nil || pg.Seed >= p.PGNum || !next.IsUp(next.PrimaryTemp[pg]) {
			t.inc.NewPrimaryTemp[pg] = -1
		}
	}
}

func (t *txn) tempIsStale(next *osdmap.Map, pg object.PGID, osds []int32) bool {
	p := next.Pools[pg.Pool]
	if p == nil || pg.Seed >= p.PGNum {
		return true
	}
	if !slices.ContainsFunc(osds, next.IsUp) {
		return true
	}
	up, _, _, _ := next.PGToUpActing(pg)
	_, hasPrimary := next.PrimaryTemp[pg]
	return !hasPrimary && slices.Equal(up, osds)
}

// dropMetadata forgets the metadata of OSDs that no longer exist.
func (t *txn) dropMetadata(next *osdmap.Map) {
	cloned := false
	for _, osd := range slices.Sorted(maps.Keys(t.s.OSDMetadata)) {
		if next.Exists(osd) {
			continue
		}
		if !cloned {
			t.s.OSDMetadata = maps.Clone(t.s.OSDMetadata)
			cloned = true
		}
		delete(t.s.OSDMetadata, osd)
		t.remove(osdMetaKey(osd))
	}
}
