package state

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"sepiola/object"
	"sepiola/osdmap"
)

// creatingList is the stored form of the PGs to be created.
type creatingList map[object.PGID]Creating

type creatingItem struct {
	Pool  int64
	Seed  uint32
	Epoch uint32
	Stamp time.Time
}

func (l *creatingList) MarshalJSON() ([]byte, error) {
	ids := slices.SortedFunc(maps.Keys(*l), object.PGID.Compare)
	items := make([]creatingItem, len(ids))
	for i, id := range ids {
		c := (*l)[id]
		items[i] = creatingItem{id.Pool, id.Seed, c.Epoch, c.Stamp}
	}
	return json.Marshal(items)
}

func (l *creatingList) UnmarshalJSON(p []byte) error {
	var items []creatingItem
	if err := json.Unmarshal(p, &items); err != nil {
		return err
	}
	*l = make(creatingList, len(items))
	for _, it := range items {
		(*l)[object.PGID{Pool: it.Pool, Seed: it.Seed}] = Creating{it.Epoch, it.Stamp}
	}
	return nil
}

// pgCreated takes PGs off the list, and lifts a pool's "creating" flag with its
// last one.
func (t *txn) pgCreated(c *PGCreated) Reply {
	if !t.isOSD(c.OSD, c.Addrs) {
		return Reply{}
	}
	pools := map[int64]bool{}
	for _, pg := range c.PGs {
		if _, ok := t.s.Creating[pg]; !ok {
			continue
		}
		t.editCreating()
		delete(t.s.Creating, pg)
		pools[pg.Pool] = true
	}
	for _, id := range slices.Sorted(maps.Keys(pools)) {
		p := t.Map().Pools[id]
		if p == nil || !p.HasFlag(osdmap.PoolFlagCreating) || t.poolIsCreating(id) {
			continue
		}
		if p := t.change().Pool(t.s.OSD, id); p != nil {
			p.Flags &^= osdmap.PoolFlagCreating
		}
	}
	return Reply{}
}

func (t *txn) poolIsCreating(pool int64) bool {
	for pg := range t.s.Creating {
		if pg.Pool == pool {
			return true
		}
	}
	return false
}

// editCreating makes the list this batch's own.
func (t *txn) editCreating() {
	if !t.creatingDirty {
		t.s.Creating = maps.Clone(t.s.Creating)
		t.creatingDirty = true
	}
}

// updateCreating compares the epochs' pools: new PGs are to be created, those
// of removed pools no more. PGs that come from a split are made by the OSDs
// themselves, unless their pool is still being created.
func (t *txn) updateCreating(next *osdmap.Map) {
	for id, p := range next.Pools {
		from := uint32(0)
		if old := t.s.OSD.Pools[id]; old != nil {
			if old.PGNum >= p.PGNum {
				continue
			}
			from = old.PGNum
			if !t.poolIsCreating(id) {
				continue
			}
		}
		t.editCreating()
		for seed := from; seed < p.PGNum; seed++ {
			t.s.Creating[object.PGID{Pool: id, Seed: seed}] = Creating{next.Epoch, t.now}
		}
	}
	for pg := range t.s.Creating {
		if next.Pools[pg.Pool] == nil {
			t.editCreating()
			delete(t.s.Creating, pg)
		}
	}
}
