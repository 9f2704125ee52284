package memstore

import (
	"slices"
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
