package sim

import (
	"fmt"
	"io"
)

// Options say what to simulate. [DefaultOptions] has values to begin with.
type Options struct {
	Seed    uint64
	Steps   int // events of the safety phase
	OSDs    int
	Size    int // copies of each PG
	MinSize int // copies without which a PG takes no writes
	PGs     int
	Faults  Faults
	// Trace receives the trace, a line for each event; nil for nobody.
	Trace io.Writer
}

// DefaultOptions are small, so that many seeds can be run.
func DefaultOptions() Options {
	return Options{Seed: 1, Steps: 3000, OSDs: 4, Size: 3, MinSize: 2, PGs: 2, Faults: AllFaults}
}

// Bounds of options.
const (
	osdsMax  = 64
	pgsMax   = 256
	stepsMax = 100_000_000
)

// Validate says what is wrong with the options.
func (o *Options) Validate() error {
	switch {
	case o.Steps < 0 || o.Steps > stepsMax:
		return fmt.Errorf("steps: %d is not between 0 and %d", o.Steps, stepsMax)
	case o.OSDs < 1 || o.OSDs > osdsMax:
		return fmt.Errorf("osds: %d is not between 1 and %d", o.OSDs, osdsMax)
	case o.Size < 1 || o.Size > o.OSDs:
		return fmt.Errorf("size: %d is not between 1 and the number of OSDs, %d", o.Size, o.OSDs)
	case o.MinSize < 1 || o.MinSize > o.Size:
		return fmt.Errorf("min-size: %d is not between 1 and the size, %d", o.MinSize, o.Size)
	case o.PGs < 1 || o.PGs > pgsMax:
		return fmt.Errorf("pgs: %d is not between 1 and %d", o.PGs, pgsMax)
	}
	return nil
}

// Command returns the command that runs just this seed again and shows what
// happens.
func (o *Options) Command() string {
	return fmt.Sprintf("go run ./cmd/sim -seed %d -seeds 1 -steps %d -osds %d -size %d -min-size %d -pgs %d -faults %v -trace",
		o.Seed, o.Steps, o.OSDs, o.Size, o.MinSize, o.PGs, o.Faults)
}
