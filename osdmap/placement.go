package osdmap

import (
	"math/bits"
	"slices"
	"syscall"

	"sepiola/object"
)

// maskFor returns the least 2^k-1 that is at least n-1, and the mask of a hash's
// full width for 0.
func maskFor(n uint32) uint32 {
	return uint32(1<<bits.Len32(n-1) - 1)
}

// HashKey returns the placement hash of an object's name or locator key.
func (p *Pool) HashKey(key, namespace string) uint32 {
	return object.PlacementHash(p.ObjectHash, namespace, "", key)
}

// RawPGToPG maps the hash in a raw PG id onto one of the pool's PGs.
func (p *Pool) RawPGToPG(pg object.PGID) object.PGID {
	pg.Seed = object.StableMod(pg.Seed, p.PGNum, p.PGNumMask())
	return pg
}

// placementSeed is the input of CRUSH for a PG (pg_pool_t::raw_pg_to_pps).
func (p *Pool) placementSeed(pg object.PGID) uint32 {
	ps := object.StableMod(pg.Seed, p.PGPNum, p.PGPNumMask())
	if p.HasFlag(PoolFlagHashPSPool) {
		return crushHash2(ps, uint32(pg.Pool))
	}
	// Older pools overlap: PG n of pool p is placed like PG n+1 of pool p-1.
	return ps + uint32(pg.Pool)
}

// ObjectToPG returns the raw PG id of an object: the pool and the full hash.
// The error is ENOENT if there is no such pool.
func (m *Map) ObjectToPG(name string, loc object.Locator) (object.PGID, error) {
	p, ok := m.Pools[loc.Pool]
	if !ok {
		return object.PGID{}, syscall.ENOENT
	}
	if loc.Hash >= 0 {
		return object.PGID{Pool: loc.Pool, Seed: uint32(loc.Hash)}, nil
	}
	key := loc.Key
	if key == "" {
		key = name
	}
	return object.PGID{Pool: loc.Pool, Seed: p.HashKey(key, loc.Namespace)}, nil
}

// RawPGToPG maps a raw PG id onto the PG; it returns the id as it is if there
// is no such pool.
func (m *Map) RawPGToPG(raw object.PGID) object.PGID {
	p, ok := m.Pools[raw.Pool]
	if !ok {
		return raw
	}
	return p.RawPGToPG(raw)
}

// PGToRawOSDs returns what CRUSH alone says of a PG: the OSDs, whether they are
// up or not, and the first of them, -1 if there is none.
func (m *Map) PGToRawOSDs(pg object.PGID) (raw []int32, primary int32) {
	p, ok := m.Pools[pg.Pool]
	if !ok {
		return nil, -1
	}
	raw, _ = m.rawOSDs(p, pg)
	return raw, firstOSD(raw)
}

// PGToRawUpmap returns what CRUSH says, and what the explicit mappings of the
// PG make of it.
func (m *Map) PGToRawUpmap(pg object.PGID) (raw, upmap []int32) {
	p, ok := m.Pools[pg.Pool]
	if !ok {
		return nil, nil
	}
	raw, _ = m.rawOSDs(p, pg)
	return raw, m.applyUpmap(p, pg, slices.Clone(raw))
}

// PGToUpActing returns where a PG belongs (up) and who serves it (acting), each
// with its primary, -1 if there is none. In erasure-coded pools the position is
// the shard and ItemNone marks a hole. Everything is empty for a PG that does
// not exist. pg may be raw.
func (m *Map) PGToUpActing(pg object.PGID) (up []int32, upPrimary int32, acting []int32, actingPrimary int32) {
	p, ok := m.Pools[pg.Pool]
	if !ok {
		return nil, -1, nil, -1
	}
	acting, actingPrimary = m.tempOSDs(p, pg)
	raw, seed := m.rawOSDs(p, pg)
	up = m.rawToUp(p, m.applyUpmap(p, pg, raw))
	upPrimary = firstOSD(up)
	up, upPrimary = m.applyAffinity(seed, p, up, upPrimary)
	if len(acting) == 0 {
		acting = slices.Clone(up)
		if actingPrimary == -1 {
			actingPrimary = upPrimary
		}
	}
	return up, upPrimary, acting, actingPrimary
}

// PGToActingPrimary returns only who leads the PG, -1 if nobody does.
func (m *Map) PGToActingPrimary(pg object.PGID) int32 {
	_, _, _, primary := m.PGToUpActing(pg)
	return primary
}

// rawOSDs is the outcome of the pool's CRUSH rule without OSDs that do not
// exist, and the seed it was made from.
func (m *Map) rawOSDs(p *Pool, pg object.PGID) ([]int32, uint32) {
	seed := p.placementSeed(pg)
	if m.Crush == nil {
		return nil, seed
	}
	rule := m.Crush.FindRule(p.CrushRule, crushRuleType(p.Type), int(p.Size))
	if rule < 0 {
		return nil, seed
	}
	osds := m.Crush.DoRule(rule, int32(seed), int(p.Size), m.OSDWeight, pg.Pool)
	if p.CanShiftOSDs() {
		return slices.DeleteFunc(osds, func(o int32) bool { return !m.Exists(o) }), seed
	}
	for i, o := range osds {
		if !m.Exists(o) {
			osds[i] = ItemNone
		}
	}
	return osds, seed
}

// markedOut reports whether an explicit mapping to the OSD is void because an
// operator took it out. An OSD beyond the map is not: it is dropped later.
func (m *Map) markedOut(osd int32) bool {
	return osd >= 0 && osd < m.MaxOSD && m.OSDWeight[osd] == WeightOut
}

// applyUpmap changes osds in place by the PG's explicit mappings and returns
// the outcome.
func (m *Map) applyUpmap(p *Pool, pg object.PGID, osds []int32) []int32 {
	pg = p.RawPGToPG(pg)
	if whole, ok := m.PGUpmap[pg]; ok {
		if slices.ContainsFunc(whole, m.markedOut) {
			return osds
		}
		osds = slices.Clone(whole)
	}
	for _, item := range m.PGUpmapItems[pg] {
		if slices.Contains(osds, item.To) || m.markedOut(item.To) {
			continue
		}
		if i := slices.Index(osds, item.From); i >= 0 {
			osds[i] = item.To
		}
	}
	return osds
}

// rawToUp drops OSDs that are down, or leaves holes for them.
func (m *Map) rawToUp(p *Pool, raw []int32) []int32 {
	up := make([]int32, 0, len(raw))
	for _, o := range raw {
		switch {
		case m.IsUp(o):
			up = append(up, o)
		case !p.CanShiftOSDs():
			up = append(up, ItemNone)
		}
	}
	return up
}

func firstOSD(osds []int32) int32 {
	for _, o := range osds {
		if o != ItemNone {
			return o
		}
	}
	return -1
}

// applyAffinity passes the lead over to another OSD in proportion to the OSDs'
// primary affinity. The draw depends on the PG and the OSD alone, so it is the
// same for everybody and stable when other OSDs come and go.
func (m *Map) applyAffinity(seed uint32, p *Pool, osds []int32, primary int32) ([]int32, int32) {
	ordinary := func(o int32) bool { return o == ItemNone || m.Affinity(o) == DefaultPrimaryAffinity }
	if m.PrimaryAffinity == nil || !slices.ContainsFunc(osds, func(o int32) bool { return !ordinary(o) }) {
		return osds, primary
	}
	pick := -1
	for i, o := range osds {
		if o == ItemNone {
			continue
		}
		a := m.Affinity(o)
		if a >= MaxPrimaryAffinity || crushHash2(seed, uint32(o))>>16 < a {
			pick = i
			break
		}
		if pick < 0 {
			pick = i // in case all decline
		}
	}
	if pick < 0 {
		return osds, primary
	}
	primary = osds[pick]
	if p.CanShiftOSDs() && pick > 0 {
		copy(osds[1:pick+1], osds[:pick])
		osds[0] = primary
	}
	return osds, primary
}

// tempOSDs returns the PG's temporary mapping, if it has one: the OSDs and the
// primary, each of which may be set without the other.
func (m *Map) tempOSDs(p *Pool, pg object.PGID) ([]int32, int32) {
	pg = p.RawPGToPG(pg)
	var acting []int32
	if temp := m.PGTemp[pg]; len(temp) > 0 {
		acting = m.rawToUp(p, temp)
	}
	if primary, ok := m.PrimaryTemp[pg]; ok {
		return acting, primary
	}
	return acting, firstOSD(acting)
}

// Role returns the position of an OSD in an acting set, -1 if it has none. For
// a shard of an erasure-coded PG only its own position counts.
func Role(who PGShard, acting []int32) int {
	if who.Shard == object.NoShard {
		return slices.Index(acting, who.OSD)
	}
	if int(who.Shard) < len(acting) && who.Shard >= 0 && acting[who.Shard] == who.OSD {
		return int(who.Shard)
	}
	return -1
}
