package osd

import (
	"testing"

	"sepiola/osdmap"
)

// The level follows the map's ratios, which come in order whatever they are set to; the
// failsafe is never below them, and without ratios it stands for all.
func TestFullLevel(t *testing.T) {
	ratios := func(near, backfill, full float32) *osdmap.Map {
		return &osdmap.Map{NearFullRatio: near, BackfillFullRatio: backfill, FullRatio: full}
	}
	usual := ratios(0.85, 0.90, 0.95)
	for _, c := range []struct {
		m    *osdmap.Map
		used float64
		want fullLevel
	}{
		{usual, 0, notFull}, {usual, 0.84, notFull}, {usual, 0.86, nearFull}, {usual, 0.91, backfillFull},
		{usual, 0.96, full}, {usual, 0.98, failsafeFull}, {usual, 1, failsafeFull},
		{ratios(0.85, 0.80, 0.70), 0.82, notFull}, {ratios(0.85, 0.80, 0.70), 0.86, full},
		{ratios(0.85, 0.90, 0.99), 0.98, backfillFull}, {ratios(0.85, 0.90, 0.99), 0.995, failsafeFull},
		{ratios(0, 0, 0), 0.96, notFull}, {ratios(0, 0, 0), 0.98, failsafeFull},
	} {
		if got := levelOf(c.used, 0.97, c.m); got != c.want {
			t.Errorf("%v used of ratios %v %v %v: level %d, want %d", c.used, c.m.NearFullRatio, c.m.BackfillFullRatio, c.m.FullRatio, got, c.want)
		}
	}
}
