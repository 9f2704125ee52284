package state

import (
	"maps"
	"slices"

	"sepiola/osdmap"
)

// PoolUse is how much pools hold, as the reports of their PGs add up. Pools over
// their quota are closed to clients' writes, those no longer over it opened again
// (OSDMonitor::update_pools_status).
type PoolUse struct {
	Pools map[int64]Use
}

// Use is what a pool holds.
type Use struct {
	Bytes, Objects uint64
}

// OverQuota reports whether a pool holds as much as it may; a quota of 0 is none.
func OverQuota(p *osdmap.Pool, u Use) bool {
	return p.QuotaMaxBytes > 0 && u.Bytes >= p.QuotaMaxBytes || p.QuotaMaxObjects > 0 && u.Objects >= p.QuotaMaxObjects
}

func (t *txn) poolUse(c *PoolUse) Reply {
	const flags = osdmap.PoolFlagFullQuota | osdmap.PoolFlagFull
	for _, id := range slices.Sorted(maps.Keys(c.Pools)) {
		p := t.Map().Pools[id]
		if p == nil {
			continue
		}
		u, name := c.Pools[id], t.Map().PoolNames[id]
		switch over := OverQuota(p, u); {
		case over == p.HasFlag(osdmap.PoolFlagFullQuota):
		case over:
			if p.QuotaMaxBytes > 0 && u.Bytes >= p.QuotaMaxBytes {
				t.log(LogWarn, "pool '%s' is full (reached quota's max_bytes: %d)", name, p.QuotaMaxBytes)
			}
			if p.QuotaMaxObjects > 0 && u.Objects >= p.QuotaMaxObjects {
				t.log(LogWarn, "pool '%s' is full (reached quota's max_objects: %d)", name, p.QuotaMaxObjects)
			}
			t.editPool(id).Flags |= flags
		default:
			t.log(LogInfo, "pool '%s' no longer out of quota; removing NO_QUOTA flag", name)
			t.editPool(id).Flags &^= flags
		}
	}
	return Reply{}
}
