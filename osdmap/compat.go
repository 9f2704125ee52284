package osdmap

import (
	"slices"

	"sepiola/crush"
	"sepiola/entity"
)

// addrsString is Ceph's form of an address vector.
func addrsString(v entity.AddrVec) string {
	switch len(v) {
	case 0:
		return ""
	case 1:
		return BlocklistString(v[0])
	}
	s := "["
	for i, a := range v {
		if i > 0 {
			s += ","
		}
		s += BlocklistString(a)
	}
	return s + "]"
}

// MinCompatClient returns the oldest release whose clients understand what the
// map uses (OSDMap::get_min_compat_client).
func (m *Map) MinCompatClient() Release {
	rules := m.usedOps()
	switch {
	case len(m.PGUpmap) > 0 || len(m.PGUpmapItems) > 0 || hasIncompatChooseArgs(m.Crush):
		return ReleaseLuminous
	case m.Crush.ChooseLeafStable != 0 || rules[crush.OpSetChooseLeafStable]:
		return ReleaseJewel
	case slices.ContainsFunc(m.Crush.Buckets, func(b *crush.Bucket) bool { return b != nil && b.Alg == crush.AlgStraw2 }):
		return ParseRelease("hammer")
	case m.Crush.ChooseLeafVaryR != 0 || rules[crush.OpSetChooseLeafVaryR] || m.anyTier() ||
		slices.ContainsFunc(m.PrimaryAffinity, func(a uint32) bool { return a != DefaultPrimaryAffinity }):
		return ParseRelease("firefly")
	case m.Crush.ChooseLeafDescendOnce != 0 || m.anyHashPSPool():
		return ParseRelease("dumpling")
	}
	return ParseRelease("argonaut")
}

// usedOps returns the operations in the rules that pools use.
func (m *Map) usedOps() map[crush.Op]bool {
	ops := map[crush.Op]bool{}
	for _, p := range m.Pools {
		rule := m.Crush.Rule(m.Crush.FindRule(p.CrushRule, crushRuleType(p.Type), int(p.Size)))
		if rule == nil {
			continue
		}
		for _, s := range rule.Steps {
			ops[s.Op] = true
		}
	}
	return ops
}

func (m *Map) anyTier() bool {
	for _, p := range m.Pools {
		if len(p.Tiers) > 0 || p.TierOf >= 0 {
			return true
		}
	}
	return false
}

func (m *Map) anyHashPSPool() bool {
	for _, p := range m.Pools {
		if p.HasFlag(PoolFlagHashPSPool) {
			return true
		}
	}
	return false
}

// hasIncompatChooseArgs reports whether the map has weight sets that cannot be
// written into the buckets for older clients: any but a default one of a single
// position.
func hasIncompatChooseArgs(cm *crush.Map) bool {
	if len(cm.ChooseArgs) == 0 {
		return false
	}
	compat, ok := cm.ChooseArgs[crush.DefaultChooseArgs]
	if !ok || len(cm.ChooseArgs) > 1 {
		return true
	}
	for _, a := range compat {
		if a != nil && (len(a.WeightSet) > 0 || len(a.IDs) > 0) && (len(a.WeightSet) != 1 || len(a.IDs) > 0) {
			return true
		}
	}
	return false
}
