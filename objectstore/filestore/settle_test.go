package filestore

import (
	"fmt"
	"testing"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/wire"
)

// settling is a store of which a test sees what is on its way.
type settling struct {
	*Store
	t *testing.T
	c objectstore.Coll
}

func newSettling(t *testing.T, o Options) settling {
	s := New(t.TempDir(), o)
	for _, err := range []error{s.Mkfs(objectstore.Identity{}), s.Mount()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { s.Close() })
	z := settling{s, t, objectstore.PGColl(object.PGID{Pool: 1}.Whole())}
	z.submit(func(tx *objectstore.Transaction) { tx.MkColl(z.c, 0) })
	return z
}

func (z settling) submit(build func(*objectstore.Transaction)) {
	z.t.Helper()
	var tx objectstore.Transaction
	build(&tx)
	if err := z.Submit(&tx, nil); err != nil {
		z.t.Fatal(err)
	}
}

// applied waits until so many transactions at most are on their way.
func (z settling) applied(left int) {
	z.throttle.mu.Lock()
	defer z.throttle.mu.Unlock()
	for z.throttle.ops > left {
		z.throttle.cond.Wait()
	}
}

// fileOf returns the object's file, with a reference.
func (z settling) fileOf(o object.GID) (f *file) {
	z.t.Helper()
	if err := z.view(z.c, o, func(_ *collection, o *obj) error { f = z.files.share(o.file); return nil }); err != nil {
		z.t.Fatal(err)
	}
	z.t.Cleanup(func() { z.files.release(f) })
	return f
}

func headObject(name string) object.GID { return object.G(object.Head(1, "", "", name, 0)) }

// A transaction that waits for one of its files must not be laid over what a later
// one, which had not to wait, has put into another of them: a reader would see the
// older content again, or a checksum error.
func TestLaterTransactionAppliedFirst(t *testing.T) {
	s := newSettling(t, Options{Workers: 3})
	c := s.c
	apart := false
	for i := 0; i < 10 && !apart; i++ {
		o := headObject(fmt.Sprint("o", i))
		s.submit(func(tx *objectstore.Transaction) { tx.Write(c, o, 0, wire.BufOf([]byte("first"))) })
		s.applied(0)
		old := s.fileOf(o)
		old.io.RLock() // whoever is to remove the file waits
		s.submit(func(tx *objectstore.Transaction) {
			tx.Remove(c, o)
			tx.Write(c, o, 0, wire.BufOf([]byte("second")))
			tx.OmapSet(c, o, map[string][]byte{"k": []byte("second")})
		})
		s.submit(func(tx *objectstore.Transaction) {
			tx.Write(c, o, 0, wire.BufOf([]byte("third!")))
			tx.OmapSet(c, o, map[string][]byte{"k": []byte("third!")})
		})
		// Files of one worker wait for each other: then there is nothing to see.
		if apart = s.workerOf(old.fid) != s.workerOf(s.fileOf(o).fid); apart {
			s.applied(1)
			data, err := s.Read(c, o, 0, 0)
			if err != nil || string(data.Flat()) != "third!" {
				t.Errorf("data %q, %v", data.Flat(), err)
			}
			omap, err := s.OmapGet(c, o, []string{"k"})
			if err != nil || string(omap["k"]) != "third!" {
				t.Errorf("omap %q, %v", omap, err)
			}
		}
		old.io.RUnlock()
		s.applied(0)
	}
	if !apart {
		t.Error("no two files fell to different workers")
	}
}

// An object that was made again is still there when the transaction that made it is
// applied before the one that removed its predecessor, and nothing holds it in memory.
// Reads said that there is none, and the next change to it began with nothing.
func TestRemadeObjectLeavesMemory(t *testing.T) {
	s := newSettling(t, Options{CacheObjects: 1})
	c, o := s.c, headObject("o")
	s.submit(func(tx *objectstore.Transaction) { tx.Write(c, o, 0, wire.BufOf([]byte("first"))) })
	s.applied(0)
	old := s.fileOf(o)
	old.io.RLock() // whoever is to remove the file waits
	defer old.io.RUnlock()
	s.submit(func(tx *objectstore.Transaction) { tx.Remove(c, o) })
	s.submit(func(tx *objectstore.Transaction) { tx.OmapSet(c, o, map[string][]byte{"k": []byte("second")}) })
	for i := range 3 { // others take its place in memory
		s.applied(1)
		s.submit(func(tx *objectstore.Transaction) { tx.Touch(c, headObject(fmt.Sprint("p", i))) })
	}
	s.applied(1)
	coll, err := s.open(c)
	if err != nil {
		t.Fatal(err)
	}
	inMemory, e := coll.objects[o] != nil, coll.entry(o)
	coll.mu.Unlock()
	if inMemory || e == nil || !e.exists {
		t.Fatalf("in memory %v, index entry %v: there is nothing to see", inMemory, e)
	}
	if omap, err := s.OmapGet(c, o, []string{"k"}); err != nil || string(omap["k"]) != "second" {
		t.Errorf("omap %q, %v", omap, err)
	}
	s.submit(func(tx *objectstore.Transaction) { tx.OmapSet(c, o, map[string][]byte{"l": nil}) })
	if omap, err := s.OmapGet(c, o, []string{"k", "l"}); err != nil || len(omap) != 2 {
		t.Errorf("omap %q after a change, %v", omap, err)
	}
}
