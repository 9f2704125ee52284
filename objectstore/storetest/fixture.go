package storetest

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"sepiola/entity"
	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/wire"
)

// T is what *testing.T and *rapid.T have in common.
type T interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
	Logf(format string, args ...any)
}

// Disk is a place that holds one store, whatever happens to the process.
type Disk interface {
	// Open returns the store on this disk, not mounted.
	Open() objectstore.Store
	// Crash ends s as a loss of power would: what was not durable may be gone. A
	// store without that ability is abandoned, so that at least nothing is flushed.
	Crash(s objectstore.Store)
	// Remove frees what the disk takes.
	Remove()
}

// Maker makes empty disks.
type Maker func(t T) Disk

// ID is the identity the tests stamp stores with.
var ID = objectstore.Identity{ClusterFSID: entity.UUID{1, 2, 3}, OSDFSID: entity.UUID{4, 5, 6}, WhoAmI: 7}

// fixture is a mounted store with one PG's collection.
type fixture struct {
	t    *testing.T
	disk Disk
	s    objectstore.Store
}

// pgColl is the collection most tests use; its PG is 3.5 of a pool with 16 PGs.
var pgColl = Coll(3, 5)

// Coll returns the collection of a PG.
func Coll(pool int64, seed uint32) objectstore.Coll {
	return objectstore.PGColl(object.PGID{Pool: pool, Seed: seed}.Whole())
}

// Obj returns an object of pool 3, with the hash its name has.
func Obj(name string) object.GID {
	return ObjHash(name, object.HashRjenkins.Hash(name))
}

// ObjHash returns an object of pool 3 with the given hash.
func ObjHash(name string, hash uint32) object.GID {
	return object.G(object.Head(3, "", "", name, hash))
}

func newFixture(t *testing.T, mk Maker) *fixture {
	f := &fixture{t: t, disk: mk(t)}
	t.Cleanup(func() {
		if f.s != nil {
			f.s.Close()
		}
		f.disk.Remove()
	})
	f.s = f.disk.Open()
	f.must(f.s.Mkfs(ID))
	f.must(f.s.Mount())
	f.do(func(tx *objectstore.Transaction) { tx.MkColl(pgColl, 4) })
	return f
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// reopen closes the store and mounts it again.
func (f *fixture) reopen() {
	f.t.Helper()
	f.must(f.s.Close())
	f.s = f.disk.Open()
	f.must(f.s.Mount())
}

func (f *fixture) crash() {
	f.t.Helper()
	f.disk.Crash(f.s)
	f.s = f.disk.Open()
	f.must(f.s.Mount())
}

// submit starts a transaction and returns a channel that its commit closes.
func (f *fixture) submit(build func(*objectstore.Transaction)) <-chan struct{} {
	f.t.Helper()
	var tx objectstore.Transaction
	build(&tx)
	done := make(chan struct{})
	f.must(f.s.Submit(&tx, sync.OnceFunc(func() { close(done) })))
	return done
}

// do runs a transaction and waits until it is durable.
func (f *fixture) do(build func(*objectstore.Transaction)) {
	f.t.Helper()
	done := f.submit(build)
	select {
	case <-done:
	case <-f.s.Failed():
		f.t.Fatalf("store failed: %v", f.s.Err())
	}
}

func (f *fixture) wantData(o object.GID, want []byte) {
	f.t.Helper()
	got, err := f.s.Read(pgColl, o, 0, 0)
	f.must(err)
	if !bytes.Equal(got.Flat(), want) {
		f.t.Fatalf("%v reads %s, want %s; first difference at %d", o, brief(got.Flat()), brief(want), firstDifference(got.Flat(), want))
	}
	st, err := f.s.Stat(pgColl, o)
	f.must(err)
	if st.Size != uint64(len(want)) {
		f.t.Fatalf("%v has %d bytes, want %d", o, st.Size, len(want))
	}
}

func (f *fixture) wantAttr(o object.GID, name string, want []byte) {
	f.t.Helper()
	got, err := f.s.Attr(pgColl, o, name)
	f.must(err)
	if !bytes.Equal(got, want) {
		f.t.Fatalf("%q of %v is %s, want %s", name, o, brief(got), brief(want))
	}
}

func (f *fixture) wantOmap(o object.GID, want map[string]string) {
	f.t.Helper()
	got := f.omap(o, "")
	if fmt.Sprint(got) != fmt.Sprint(want) {
		f.t.Fatalf("omap of %v is %v, want %v", o, got, want)
	}
}

func (f *fixture) omap(o object.GID, from string) map[string]string {
	f.t.Helper()
	it, err := f.s.OmapIter(pgColl, o, from)
	f.must(err)
	got := map[string]string{}
	last := ""
	for it.Next() {
		if k := it.Key(); len(got) > 0 && k <= last {
			f.t.Fatalf("key %q comes after %q", k, last)
		}
		last = it.Key()
		got[last] = string(it.Value())
	}
	f.must(it.Err())
	f.must(it.Close())
	return got
}

// pattern returns n bytes that differ with the seed and from place to place.
func pattern(seed, n int) []byte {
	p := make([]byte, n)
	x := uint32(seed)*2654435761 + 1
	for i := range p {
		x = x*1664525 + 1013904223
		p[i] = byte(x >> 24)
	}
	return p
}

func buf(p []byte) wire.Buf { return wire.BufOf(p) }

func brief(p []byte) string {
	if len(p) <= 40 {
		return fmt.Sprintf("%q", p)
	}
	return fmt.Sprintf("%d bytes %q...", len(p), p[:20])
}
