package sim

import (
	"fmt"
	"math/bits"
	"strings"
)

// Faults are a set of classes of faults.
type Faults uint32

// The classes.
const (
	FaultDelay Faults = 1 << iota
	FaultMaps
	FaultCrash
	FaultPartition
	FaultMarkDown
	FaultPGTemp
	FaultOut
	FaultReweight
	FaultMinSize
	FaultFlags
	FaultLost
	FaultResend
	FaultSlow
	FaultEIO
	FaultFull
	FaultSlots
	FaultSplit
)

// faultClass describes one class.
type faultClass struct {
	name, help string
	bit        Faults
	// inject lets it happen once; nil for what has its effect elsewhere.
	inject func(*injector)
	weight int
}

// faultClasses lists them in the order of their bits. To add one: a bit above, a
// row here, a function in inject.go.
var faultClasses []faultClass

// The rows' functions look at the table, so it is filled in here.
func init() {
	faultClasses = []faultClass{
		{name: "delay", help: "messages of different pairs overtake each other by far", bit: FaultDelay},
		{name: "maps", help: "maps reach some much later than others", bit: FaultMaps},
		{name: "crash", help: "OSDs lose what was not durable, alone or all at once, and start again", bit: FaultCrash,
			inject: (*injector).crash, weight: 10},
		{name: "partition", help: "an OSD is cut off from peers, clients or the monitor, one way or both", bit: FaultPartition,
			inject: (*injector).partition, weight: 6},
		{name: "markdown", help: "the monitor marks an OSD down that lives", bit: FaultMarkDown,
			inject: (*injector).markDown, weight: 4},
		{name: "pgtemp", help: "acting sets that nobody asked for", bit: FaultPGTemp, inject: (*injector).pgTemp, weight: 4},
		{name: "out", help: "OSDs are taken out and in; the monitor takes out those that stay down", bit: FaultOut,
			inject: (*injector).out, weight: 4},
		{name: "reweight", help: "weights and primary affinities change", bit: FaultReweight,
			inject: (*injector).reweight, weight: 4},
		{name: "minsize", help: "the pool's min_size changes", bit: FaultMinSize, inject: (*injector).minSize, weight: 3},
		{name: "flags", help: "norecover, nobackfill, norebalance, noout, noup, nodown and the pauses", bit: FaultFlags,
			inject: (*injector).flags, weight: 4},
		{name: "lost", help: "an OSD loses its disk, is declared lost and begins anew", bit: FaultLost,
			inject: (*injector).lost, weight: 1},
		{name: "resend", help: "clients lose sessions and send again, also what was answered", bit: FaultResend,
			inject: (*injector).breakSessions, weight: 8},
		{name: "slow", help: "a disk holds commits back", bit: FaultSlow, inject: (*injector).slow, weight: 4},
		{name: "eio", help: "an object of one copy cannot be read", bit: FaultEIO, inject: (*injector).eio, weight: 4},
		{name: "full", help: "a disk fills up beyond the failsafe ratio, and the pool is marked full", bit: FaultFull,
			inject: (*injector).full, weight: 2},
		{name: "slots", help: "slots for recovery and backfill are taken away in mid-work", bit: FaultSlots,
			inject: (*injector).slots, weight: 2},
		{name: "split", help: "the number of PGs grows", bit: FaultSplit, inject: (*injector).split, weight: 2},
	}
}

// AllFaults is every class that can be had.
const AllFaults = FaultSplit<<1 - 1

// ParseFaults reads a list of names divided by commas. "all" stands for all that
// can be had, "none" for none, and a name after a minus sign is taken away.
func ParseFaults(s string) (Faults, error) {
	var out Faults
	for _, name := range strings.Split(s, ",") {
		name = strings.TrimSpace(name)
		name, minus := strings.CutPrefix(name, "-")
		bit, err := parseFault(name)
		if err != nil {
			return 0, err
		}
		if minus {
			out &^= bit
		} else {
			out |= bit
		}
	}
	return out, nil
}

func parseFault(name string) (Faults, error) {
	switch name {
	case "all":
		return AllFaults, nil
	case "none":
		return 0, nil
	}
	for _, c := range faultClasses {
		if c.name == name {
			return c.bit, nil
		}
	}
	return 0, fmt.Errorf("faults: there is no class %q; the classes are %s", name, strings.Join(FaultNames(), ", "))
}

// FaultNames are the names of all classes.
func FaultNames() []string {
	var out []string
	for _, c := range faultClasses {
		out = append(out, c.name)
	}
	return out
}

// FaultHelp describes the classes, a line for each.
func FaultHelp() string {
	var b strings.Builder
	for _, c := range faultClasses {
		fmt.Fprintf(&b, "  %-10s %s\n", c.name, c.help)
	}
	return b.String()
}

// String writes the set as ParseFaults reads it.
func (f Faults) String() string {
	switch f {
	case 0:
		return "none"
	case AllFaults:
		return "all"
	}
	var out []string
	for _, c := range faultClasses {
		if f&c.bit != 0 {
			out = append(out, c.name)
		}
	}
	return strings.Join(out, ",")
}

// Count returns how many classes the set has.
func (f Faults) Count() int { return bits.OnesCount32(uint32(f)) }
