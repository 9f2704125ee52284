package main

import "testing"

// A small heap is let grow to the goal and not beyond, one larger than that by a fixed
// share, so that neither small objects nor large ones pay for collections all the time.
func TestHeapGrowth(t *testing.T) {
	for _, c := range []struct {
		live uint64
		want int
	}{
		{0, heapGrowthMin},
		{1 << 20, heapGrowthMax},
		{heapGoal / 5, heapGrowthMax},
		{heapGoal / 4, 300},
		{heapGoal / 2, 100},
		{heapGoal - 1<<20, heapGrowthMin},
		{heapGoal, heapGrowthMin},
		{10 * heapGoal, heapGrowthMin},
	} {
		if got := growthFor(c.live); got != c.want {
			t.Errorf("with %d bytes alive it may grow by %d%%, want %d%%", c.live, got, c.want)
		}
	}
}
