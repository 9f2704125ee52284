package osdmap

import (
	"fmt"

	"sepiola/crush"
	"sepiola/wire"
)

func crushRuleType(t PoolType) crush.RuleType { return crush.RuleType(t) }

// crushHash2 is the hash that CRUSH draws with, of two words.
func crushHash2(a, b uint32) uint32 { return crush.Hash2(a, b) }

// MaxCrushDraws bounds how often a rule may draw for one position of its
// result. The default is 51; settings from before Ceph 0.55 come to 2601. Ceph
// has no bound, so that one wrong number in a rule hangs whoever maps a PG.
const MaxCrushDraws = 1 << 17

// CheckCrush refuses a CRUSH map by which placement would take forever: one
// with a rule of more than [MaxCrushDraws]. Maps that hold such a CRUSH map do
// not decode; a monitor asks before it puts one into a map.
func CheckCrush(cm *crush.Map) error {
	for id, rule := range cm.Rules {
		if rule == nil {
			continue
		}
		t := cm.Tunables
		tries, leafTries := uint64(t.ChooseTotalTries)+1, uint64(0)
		local, fallback := uint64(t.ChooseLocalTries), uint64(t.ChooseLocalFallbackTries)
		for _, s := range rule.Steps {
			if s.Arg1 < 0 {
				continue
			}
			switch v := uint64(s.Arg1); s.Op {
			case crush.OpSetChooseTries:
				tries = v
			case crush.OpSetChooseLeafTries:
				leafTries = v
			case crush.OpSetChooseLocalTries:
				local = v
			case crush.OpSetChooseLocalFallbackTry:
				fallback = v
			}
			leaf := leafTries
			if leaf == 0 {
				leaf = 1
				if t.ChooseLeafDescendOnce == 0 {
					leaf = tries
				}
			}
			// Each factor is checked first, lest the product overflow.
			if max(tries, leaf, local+fallback) > MaxCrushDraws ||
				tries*leaf > MaxCrushDraws || tries*leaf*(1+local+fallback) > MaxCrushDraws {
				return fmt.Errorf("%w: CRUSH rule %d may draw more than %d times for one position",
					wire.ErrMalformed, id, MaxCrushDraws)
			}
		}
	}
	return nil
}

// decodeCrush reads a CRUSH map and checks it.
func decodeCrush(p []byte) (*crush.Map, error) {
	cm, err := crush.DecodeMap(p)
	if err != nil {
		return nil, err
	}
	return cm, CheckCrush(cm)
}
