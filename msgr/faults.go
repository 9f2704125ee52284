package msgr

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"sepiola/config"
	"sepiola/entity"
)

// Faults is what a messenger does to itself, so that what is built on it can be
// tested: the options "ms inject ..." of Ceph. All methods are safe for concurrent
// use, and a nil Faults does nothing.
type Faults struct{ plan atomic.Pointer[FaultPlan] }

// FaultPlan says which faults there are. Its zero value has none.
type FaultPlan struct {
	// SocketFailures breaks the socket at one of so many reads and writes, by
	// chance; 0 breaks none (ms_inject_socket_failures).
	SocketFailures int
	// InternalDelays is the longest pause before each frame of a handshake, to make
	// races likely (ms_inject_internal_delays).
	InternalDelays time.Duration
	// DelayTypes are the kinds of peers whose messages are delayed, as words:
	// "osd client" (ms_inject_delay_type). Of these DelayProbability is the part,
	// from 0 to 1, and DelayMax the longest delay (ms_inject_delay_probability,
	// ms_inject_delay_max). What the peer sent behind a delayed message waits too.
	DelayTypes       string
	DelayProbability float64
	DelayMax         time.Duration
}

// Set changes the faults from now on.
func (f *Faults) Set(p FaultPlan) { f.plan.Store(&p) }

// NewFaults returns faults that follow the options.
func NewFaults(o *config.Config) *Faults {
	f := &Faults{}
	follow := func(string) {
		f.Set(FaultPlan{
			SocketFailures:   int(o.Int("ms_inject_socket_failures")),
			InternalDelays:   o.Duration("ms_inject_internal_delays"),
			DelayTypes:       o.String("ms_inject_delay_type"),
			DelayProbability: o.Float("ms_inject_delay_probability"),
			DelayMax:         o.Duration("ms_inject_delay_max"),
		})
	}
	follow("")
	o.Observe(follow, "ms_inject_socket_failures", "ms_inject_internal_delays", "ms_inject_delay_type",
		"ms_inject_delay_probability", "ms_inject_delay_max")
	return f
}

var errInjected = errors.New("injected socket failure")

func (f *Faults) get() *FaultPlan {
	if f == nil {
		return nil
	}
	return f.plan.Load()
}

// breaks reports whether the socket is to fail now.
func (f *Faults) breaks() bool {
	p := f.get()
	return p != nil && p.SocketFailures > 0 && rand.IntN(p.SocketFailures) == 0
}

// delay is how long a frame from a peer of the kind is to wait.
func (f *Faults) delay(message bool, kind entity.Type) time.Duration {
	p := f.get()
	switch {
	case p == nil:
		return 0
	case !message:
		return part(p.InternalDelays)
	case p.DelayProbability > rand.Float64() && strings.Contains(p.DelayTypes, kind.String()):
		return part(p.DelayMax)
	}
	return 0
}

func part(most time.Duration) time.Duration {
	if most <= 0 {
		return 0
	}
	return rand.N(most)
}
