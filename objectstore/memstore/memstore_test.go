package memstore

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/objectstore/storetest"
	"sepiola/wire"
)

// disk holds a store's memory over crashes.
type disk struct{ s *Store }

func (d *disk) Open() objectstore.Store     { return d.s }
func (d *disk) Crash(s objectstore.Store)   { d.s.Crash(0) }
func (d *disk) Remove()                     {}
func newDisk(storetest.T) storetest.Disk    { return &disk{New()} }
func manualDisk(storetest.T) storetest.Disk { return &disk{NewWith(Options{Manual: true})} }

// memstore keeps every promise of the interface.
func TestSuite(t *testing.T) { storetest.Suite(t, newDisk) }

// Random transactions, restarts and crashes leave what a plain model says.
func TestMetamorphic(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) { storetest.Metamorphic(rt, newDisk) })
}

// cutDisk is a store that commits by and by, in order, and loses power at any moment: some
// of what nobody was told of turns out to be durable.
type cutDisk struct {
	s    *Store
	rng  *rand.Rand
	stop chan struct{}
	done chan struct{}
}

func newCutDisk(t storetest.T) storetest.Disk {
	seed := rapid.Uint64().Draw(t.(*rapid.T), "crash seed")
	return &cutDisk{s: NewWith(Options{Manual: true}), rng: rand.New(rand.NewPCG(seed, 0))}
}

// lostAny says that power was lost with something under way.
var lostAny atomic.Bool

// heard is the store, and tells of what is submitted.
type heard struct {
	*Store
	wake chan struct{}
}

func (h heard) Submit(tx *objectstore.Transaction, committed func()) error {
	err := h.Store.Submit(tx, committed)
	select {
	case h.wake <- struct{}{}:
	default:
	}
	return err
}

func (d *cutDisk) Open() objectstore.Store {
	d.Remove()
	d.stop, d.done = make(chan struct{}), make(chan struct{})
	wake := make(chan struct{}, 1)
	go func(stop, done chan struct{}) {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-wake:
			}
			for d.s.Pending() > 0 {
				runtime.Gosched()
				select {
				case <-stop:
					return
				default:
					d.s.Commit(1)
				}
			}
		}
	}(d.stop, d.done)
	return heard{d.s, wake}
}

func (d *cutDisk) Crash(objectstore.Store) {
	d.Remove()
	n := d.s.Pending()
	if n > 0 {
		lostAny.Store(true)
	}
	d.s.Crash(d.rng.IntN(n + 1))
}

// Remove ends the commits.
func (d *cutDisk) Remove() {
	if d.stop != nil {
		close(d.stop)
		<-d.done
		d.stop = nil
	}
}

// The same where power is lost while transactions are under way: each collection is as it
// was after one of them, and none that was reported is missing.
func TestMetamorphicPowerCut(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) { storetest.Metamorphic(rt, newCutDisk) })
	if !lostAny.Load() {
		t.Error("power was never lost with anything under way")
	}
}

// With manual commits nothing commits by itself, commits come in order, and a crash
// keeps exactly the durable prefix.
func TestManual(t *testing.T) {
	s := manualDisk(t).Open().(*Store)
	if err := s.Mkfs(storetest.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.Mount(); err != nil {
		t.Fatal(err)
	}
	c := storetest.Coll(1, 0)
	var done []int
	submit := func(i int, build func(*objectstore.Transaction)) {
		var tx objectstore.Transaction
		build(&tx)
		if err := s.Submit(&tx, func() { done = append(done, i) }); err != nil {
			t.Fatal(err)
		}
	}
	submit(0, func(tx *objectstore.Transaction) { tx.MkColl(c, 0) })
	for i := 1; i < 10; i++ {
		submit(i, func(tx *objectstore.Transaction) {
			tx.Write(c, storetest.Obj("o"), uint64(i-1), wire.BufOf([]byte{byte('0' + i)}))
		})
	}
	if len(done) != 0 || s.Pending() != 10 {
		t.Fatalf("%v committed by themselves, %d pending", done, s.Pending())
	}
	s.Commit(4)
	if !slices.Equal(done, []int{0, 1, 2, 3}) {
		t.Fatalf("committed %v", done)
	}
	s.Crash(2)
	if _, err := s.Stat(c, storetest.Obj("o")); err != nil {
		t.Fatal(err)
	}
	if err := s.Mount(); err != nil {
		t.Fatal(err)
	}
	got, err := s.Read(c, storetest.Obj("o"), 0, 0)
	if err != nil || string(got.Flat()) != "12345" {
		t.Fatalf("after the crash %q, %v", got.Flat(), err)
	}
	if len(done) != 4 || s.Pending() != 0 {
		t.Fatalf("the crash ran callbacks: %v, %d pending", done, s.Pending())
	}
	l, _, err := s.List(c, object.GMin, object.GMax, 10)
	if err != nil || len(l) != 1 {
		t.Fatalf("%v, %v", l, err)
	}
}
