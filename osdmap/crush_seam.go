package osdmap

import "sepiola/crush"

func crushRuleType(t PoolType) crush.RuleType { return crush.RuleType(t) }

// crushHash2 is the hash that CRUSH draws with, of two words.
func crushHash2(a, b uint32) uint32 { return crush.Hash2(a, b) }
