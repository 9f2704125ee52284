package osdmap

import "sepiola/object"

// PoolHas reports whether the PG exists: its pool does and has that many PGs.
func (m *Map) PoolHas(pg object.PGID) bool {
	p, ok := m.Pools[pg.Pool]
	return ok && pg.Seed < p.PGNum
}

// restrictions pairs the flags of a whole map with those of an OSD that mean
// the same.
var restrictions = []struct{ global, osd uint32 }{
	{FlagNoUp, OSDNoUp}, {FlagNoDown, OSDNoDown}, {FlagNoIn, OSDNoIn}, {FlagNoOut, OSDNoOut},
}

// Restrictions returns which of OSDNoUp, OSDNoDown, OSDNoIn and OSDNoOut hold
// for an OSD: set on the map, on itself, on a CRUSH node above it or on its
// device class (OSDMap::is_noup and the like).
func (m *Map) Restrictions(osd int32) uint32 {
	var flags uint32
	for _, r := range restrictions {
		if m.TestFlag(r.global) {
			flags |= r.osd
		}
	}
	if m.Exists(osd) {
		flags |= m.OSDState[osd]
	}
	if len(m.CrushNodeFlags) > 0 {
		id := osd
		for range m.Crush.Buckets { // no path is longer
			parent, ok := m.Crush.Parent(id)
			if !ok {
				break
			}
			flags |= m.CrushNodeFlags[parent]
			id = parent
		}
	}
	if class, ok := m.Crush.ItemClasses[osd]; ok {
		flags |= m.DeviceClassFlags[class]
	}
	return flags & (OSDNoUp | OSDNoDown | OSDNoIn | OSDNoOut)
}
