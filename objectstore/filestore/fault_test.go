package filestore

import (
	cmdline "flag"

	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	pebblevfs "github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"golang.org/x/sys/unix"

	"sepiola/objectstore"
	"sepiola/objectstore/filestore/vfs"
	"sepiola/objectstore/storetest"
)

var (
	faultAll  = cmdline.Bool("fault.all", false, "fail every call, not a sample")
	faultAt   = cmdline.Int("fault.at", 0, "fail only this call")
	faultErrs = []unix.Errno{unix.EIO, unix.ENOSPC}
)

// faults counts the calls of a run, and fails one of them, or all from one on.
type faults struct {
	at    int
	err   unix.Errno
	on    bool // all from at on
	calls int
	hit   vfs.Call

	kvAt    int // the same of Pebble's calls
	kvCalls atomic.Int64
}

func (f *faults) hook(c vfs.Call) error {
	f.calls++
	if f.at > 0 && (f.calls == f.at || f.on && f.calls > f.at) {
		if f.calls == f.at {
			f.hit = c
		}
		if c.Op == "write" && f.calls%2 == 0 {
			c.Part(c.Len / 2)
		}
		return f.err
	}
	return refuseSpill(c)
}

// faultRun is the script on a file system with a fault.
type faultRun struct {
	im     image
	s      *Store
	states []content // after each transaction that was accepted
	colls  [][]objectstore.Coll
	acked  []*atomic.Bool
	// refused is what Submit, Close, Mount or the checkpoint said. A run ends at any but a
	// refusal of Submit.
	err error
}

// play runs the script as far as it goes. A transaction that Submit refuses must have
// met an error of reading, or one that a store in memory gives too: that is the model of
// what was accepted.
func (r *faultRun) play(t *testing.T, f *faults) error {
	m, err := newModel(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	r.states = []content{{}}
	if err := r.s.Mkfs(storetest.ID); err != nil {
		r.err = err
		return nil
	}
	if r.err = r.s.Mount(); r.err != nil {
		return nil
	}
	for _, st := range script() {
		var x, y tx
		st.build(&x)
		st.build(&y)
		acked, done := &atomic.Bool{}, make(chan struct{})
		err := r.s.Submit(&x, func() { acked.Store(true); close(done) })
		if r.s.Err() != nil && err != nil {
			return nil
		}
		switch {
		case err == nil:
			if err := m.Submit(&y, nil); err != nil {
				return fmt.Errorf("%s was accepted: %w", st.name, err)
			}
			c, err := contentOf(m)
			if err != nil {
				t.Fatal(err)
			}
			r.states = append(r.states, c)
			r.colls = append(r.colls, collsOf(&x))
			r.acked = append(r.acked, acked)
		case errors.Is(err, objectstore.ErrIO):
		case m.Submit(&y, nil) == nil:
			return fmt.Errorf("%s was refused: %w", st.name, err)
		}
		if err != nil || st.then == goOn {
			continue
		}
		select {
		case <-done:
		case <-r.s.Failed():
			return nil
		}
		switch st.then {
		case checkpoint:
			settle(r.s)
			if r.err = r.s.checkpoint(true); r.err != nil {
				return nil
			}
		case reopen:
			if r.err = r.s.Close(); r.err != nil {
				return nil
			}
			r.s = r.open(f)
			if r.err = r.s.Mount(); r.err != nil {
				return nil
			}
		}
	}
	return nil
}

func (r *faultRun) open(f *faults) *Store {
	s := r.im.store(nil)
	s.opts.KVFS = errorfs.Wrap(s.opts.KVFS, errorfs.InjectorFunc(f.kvHook))
	r.im.fs.Frozen(func() { r.im.fs.Hook = f.hook })
	return s
}

// check says whether the store keeps its promises with the fault gone: it goes on, where it
// did not fail; and after the end of the process and after a loss of power all that was
// reported is there.
func (r *faultRun) check(t *testing.T) error {
	p := &proof{t: t, steps: make([]scriptStep, len(r.colls)), states: r.states, colls: r.colls}
	r.im.fs.Frozen(func() { r.im.fs.Hook = refuseSpill })
	if r.err == nil && r.s.Err() == nil {
		got, err := contentOf(r.s)
		if err == nil {
			err = p.check(got, r.claim(len(r.colls)))
		}
		if err != nil {
			return fmt.Errorf("the store goes on: %w", err)
		}
	}
	cl := r.claim(0)
	var off image
	r.im.fs.Frozen(func() { off = r.im.crash(vfs.Call{}, keepNone, rand.New(rand.NewPCG(1, 1))) })
	r.s.abandon()
	if err := p.verify(off, cl, nil); err != nil {
		return fmt.Errorf("after a loss of power: %w", err)
	}
	var end image // with nobody's locks
	r.im.fs.Frozen(func() {
		end = image{r.im.fs.Clone(), r.im.kv.CrashClone(pebblevfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))}), r.im.opts}
	})
	if err := p.verify(end, cl, nil); err != nil {
		return fmt.Errorf("after the end of the process: %w", err)
	}
	return nil
}

// claim says what must be there: all of the first so many transactions, and those
// that were reported.
func (r *faultRun) claim(all int) claim {
	cl := claim{submitted: len(r.colls), made: len(r.colls) > 0}
	for i := range r.acked {
		cl.acked = append(cl.acked, i < all || r.acked[i].Load())
	}
	return cl
}

// Whichever call fails, once or from then on, for good reason or for want of space: a
// transaction is refused and leaves no trace, or the store says that it failed; what was
// reported is there at the next mount; and a store that did not fail goes on and has
// everything.
func TestFailingCalls(t *testing.T) {
	failingCalls(t, "TestFailingCalls", scripted)
}

// The same for objects that have no file until they grow.
func TestFailingCallsSmall(t *testing.T) { failingCalls(t, "TestFailingCallsSmall", scriptedSmall) }

func failingCalls(t *testing.T, test string, opts Options) {
	total := 0
	run := func(f *faults) {
		r := &faultRun{im: newImageOf(t, opts)}
		r.s = r.open(f)
		err := r.play(t, f)
		r.im.fs.Frozen(func() { total = max(total, f.calls) }) // a store that failed may still be at work
		if err == nil {
			err = r.check(t)
		}
		if err != nil {
			t.Errorf("call %d (%s %s %s) failed with %v, all after it too: %v: %v\nrepeat with: go test ./objectstore/filestore -run %s$ -fault.at=%d",
				f.at, f.hit.Op, f.hit.Path, f.hit.Name, f.err, f.on, err, test, f.at)
		}
	}
	run(&faults{})
	n, stride := total, 67
	if *faultAll {
		stride = 1
	}
	for at := 1 + stride/2; at <= n; at += stride {
		if *faultAt > 0 {
			at, n = *faultAt, 0
		}
		for _, e := range faultErrs {
			for _, on := range []bool{false, true} {
				run(&faults{at: at, err: e, on: on})
			}
		}
		if t.Failed() {
			break
		}
	}
	t.Logf("%d calls", total)
}
