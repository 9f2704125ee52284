package state

import (
	"maps"
	"slices"

	"sepiola/crush"
	"sepiola/osdmap"
)

// poolFullFlags are what the fullness of OSDs brings upon pools.
const poolFullFlags = osdmap.PoolFlagFull | osdmap.PoolFlagBackfillFull | osdmap.PoolFlagNearFull

// markFullPools closes pools whose data may come to an OSD that is full, and opens them
// again when none is (OSDMonitor::encode_pending with OSDMap::get_full_pools). A pool
// over its quota stays closed.
func (t *txn) markFullPools() {
	m := t.Map()
	flags := map[uint8]uint64{} // by rule
	for osd := int32(0); osd < m.MaxOSD; osd++ {
		if !m.IsUp(osd) || !m.IsIn(osd) {
			continue
		}
		var f uint64
		switch state := m.OSDState[osd]; {
		case state&osdmap.OSDFull != 0:
			f = osdmap.PoolFlagFull
		case state&osdmap.OSDBackfillFull != 0:
			f = osdmap.PoolFlagBackfillFull
		case state&osdmap.OSDNearFull != 0:
			f = osdmap.PoolFlagNearFull
		default:
			continue
		}
		for rule := range m.Crush.Rules {
			if ruleReaches(m.Crush, rule, osd) {
				flags[uint8(rule)] |= f
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(m.Pools)) {
		p := m.Pools[id]
		want := worst(flags[p.CrushRule])
		if p.HasFlag(osdmap.PoolFlagFullQuota) {
			want = osdmap.PoolFlagFull
		}
		if p.Flags&poolFullFlags != want {
			e := t.editPool(id)
			e.Flags = e.Flags&^poolFullFlags | want
		}
	}
}

// worst returns the one of the flags that says most: it stands for the others.
func worst(flags uint64) uint64 {
	for _, f := range []uint64{osdmap.PoolFlagFull, osdmap.PoolFlagBackfillFull, osdmap.PoolFlagNearFull} {
		if flags&f != 0 {
			return f
		}
	}
	return 0
}

// ruleReaches reports whether a rule starts from a bucket that holds the OSD
// (CrushWrapper::get_rules_by_osd).
func ruleReaches(c *crush.Map, rule int, osd int32) bool {
	r := c.Rule(rule)
	if r == nil {
		return false
	}
	return slices.ContainsFunc(r.Steps, func(s crush.Step) bool {
		return s.Op == crush.OpTake && holds(c, s.Arg1, osd)
	})
}

func holds(c *crush.Map, item, osd int32) bool {
	if item >= 0 {
		return item == osd
	}
	b := c.Bucket(item)
	return b != nil && slices.ContainsFunc(b.Items, func(i int32) bool { return holds(c, i, osd) })
}
