package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// heapGoal is how large the heap may grow between collections while what is alive is
// small, in bytes. With the runtime's own rule, twice what is alive, an OSD of small
// objects collects several times a second, and that takes a tenth of its time.
const heapGoal = 128 << 20

// The bounds of what the heap may grow by, in percent of what is alive. Below the lesser
// one collecting would take more time than the memory is worth: most of a large heap
// here is data without pointers, which is soon looked through.
const (
	heapGrowthMin = 40
	heapGrowthMax = 400
)

// growthFor returns by how many percent of what is alive the heap may grow before the
// next collection.
func growthFor(live uint64) int {
	if live == 0 || live >= heapGoal {
		return heapGrowthMin
	}
	return int(min(max((heapGoal-live)*100/live, heapGrowthMin), heapGrowthMax))
}

// pacer sets the pace of the garbage collector after each collection.
type pacer struct {
	growth int
	sample []metrics.Sample
}

// paceHeap has the heap grow up to heapGoal, or somewhat beyond what is alive, before
// it is collected.
func paceHeap() {
	p := &pacer{sample: []metrics.Sample{{Name: "/gc/heap/live:bytes"}}}
	p.set()
	p.arm()
}

// arm has set called when the next collection has found what is alive.
func (p *pacer) arm() {
	runtime.SetFinalizer(new(tick), func(*tick) {
		p.set()
		p.arm()
	})
}

// tick is garbage from the beginning; it is larger than what the runtime packs together
// with other garbage.
type tick [32]byte

// set changes the pace where it differs enough to be worth stopping for.
func (p *pacer) set() {
	metrics.Read(p.sample)
	growth := growthFor(p.sample[0].Value.Uint64())
	if d := growth - p.growth; p.growth == 0 || max(d, -d) > p.growth/10 {
		p.growth = growth
		debug.SetGCPercent(growth)
	}
}
