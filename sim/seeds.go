package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"runtime"
	"sync"
)

// Summary is what became of many seeds.
type Summary struct {
	Base uint64 `json:"seed"`
	// Count is how many were asked for, Done how many were run to their end: fewer
	// after a violation.
	Count      uint64 `json:"seeds"`
	Done       uint64 `json:"done"`
	Events     int64  `json:"events"`
	Operations int64  `json:"operations"`
	Epochs     int64  `json:"epochs"`
	// Hash is over the hashes of the traces, in the order of the seeds.
	Hash string `json:"hash"`
	// Violation is that of the least seed that has one; nil if nothing was found.
	Violation *Violation `json:"violation,omitempty"`
	Seed      uint64     `json:"violating_seed,omitempty"`
}

// RunSeeds simulates count seeds from o.Seed on, as many at a time as there are
// processors, and stops at the first violation. each is told of every seed, in
// order; it may be nil. A trace is only kept apart with one seed.
func RunSeeds(o Options, count uint64, each func(Result)) Summary {
	r := runner{run: Run, opts: o, count: count, each: each}
	return r.all()
}

// all runs the seeds.
func (r *runner) all() Summary {
	r.done, r.hash = map[uint64]Result{}, sha256.New()
	r.sum = Summary{Base: r.opts.Seed, Count: r.count}
	var wg sync.WaitGroup
	for range min(uint64(runtime.GOMAXPROCS(0)), r.count) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			r.work()
		}()
	}
	wg.Wait()
	r.sum.Hash = hex.EncodeToString(r.hash.Sum(nil)[:8])
	return r.sum
}

type runner struct {
	run   func(Options) Result
	opts  Options
	count uint64
	each  func(Result)

	mu      sync.Mutex
	started uint64
	done    map[uint64]Result // by number, waiting for those before
	stop    bool
	sum     Summary
	hash    hash.Hash
}

func (r *runner) work() {
	for {
		r.mu.Lock()
		if r.stop || r.started == r.count {
			r.mu.Unlock()
			return
		}
		i := r.started
		r.started++
		r.mu.Unlock()
		o := r.opts
		o.Seed += i
		res := r.run(o)
		r.mu.Lock()
		r.done[i] = res
		r.stop = r.stop || res.Violation != nil
		r.collect()
		r.mu.Unlock()
	}
}

// collect adds up what is done without a gap. All seeds before a violating one were
// started before it, so the least is found whatever the workers' speed.
func (r *runner) collect() {
	for r.sum.Violation == nil {
		res, ok := r.done[r.sum.Done]
		if !ok {
			return
		}
		delete(r.done, r.sum.Done)
		r.sum.Done++
		r.sum.Events += res.Events
		r.sum.Operations += int64(res.Operations)
		r.sum.Epochs += int64(res.Epochs)
		fmt.Fprintln(r.hash, res.Hash)
		if res.Violation != nil {
			r.sum.Violation, r.sum.Seed = res.Violation, res.Seed
		}
		if r.each != nil {
			r.each(res)
		}
	}
}
