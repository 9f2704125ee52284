package pg

import (
	"reflect"
	"testing"

	"sepiola/object"
)

// TestTableIsWhole protects against an event that a state has no rule for: Ceph's
// machine crashes on those.
func TestTableIsWhole(t *testing.T) {
	for s := range numStates {
		if stateNames[s] == "" {
			t.Errorf("state %d has no name", s)
		}
		for e := range numEvents {
			if table[s][e] == nil {
				t.Errorf("state %v has no rule for %v", s, e)
			}
		}
	}
	for e := range numEvents {
		if eventNames[e] == "" {
			t.Errorf("event %d has no name", e)
		}
	}
}

// TestEveryEventIsServedSomewhere protects against a kind of message that every
// state ignores, but for those that carry what is not used yet.
func TestEveryEventIsServedSomewhere(t *testing.T) {
	ignored := row(nil)
	for e := range numEvents {
		served := false
		for s := range numStates {
			served = served || !sameRule(table[s][e], ignored[e])
		}
		if !served {
			t.Errorf("no state serves %v", e)
		}
	}
}

// TestSplitBits protects the ranges of listings: they must be those of
// pg_t::get_split_bits for pool sizes that are powers of two and such that are not.
func TestSplitBits(t *testing.T) {
	for _, c := range []struct {
		seed, pgNum uint32
		want        uint
	}{{0, 1, 0}, {0, 2, 1}, {1, 2, 1}, {0, 3, 2}, {1, 3, 1}, {2, 3, 2}, {31, 32, 5}, {0, 12, 4}, {3, 12, 4}, {4, 12, 3}, {11, 12, 4}} {
		if got := (object.PGID{Seed: c.seed}).SplitBits(c.pgNum); got != c.want {
			t.Errorf("PG %d of %d: %d bits, want %d", c.seed, c.pgNum, got, c.want)
		}
	}
}

func sameRule(a, b rule) bool { return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer() }
