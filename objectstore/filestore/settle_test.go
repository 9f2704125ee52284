package filestore

import (
	"fmt"
	"testing"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/wire"
)

// A transaction that waits for one of its files must not be laid over what a later
// one, which had not to wait, has put into another of them: a reader would see the
// older content again, or a checksum error.
func TestLaterTransactionAppliedFirst(t *testing.T) {
	s := New(t.TempDir(), Options{Workers: 3})
	for _, err := range []error{s.Mkfs(objectstore.Identity{}), s.Mount()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	defer s.Close()
	c := objectstore.PGColl(object.PGID{Pool: 1}.Whole())
	submit := func(build func(*objectstore.Transaction)) {
		var tx objectstore.Transaction
		build(&tx)
		if err := s.Submit(&tx, nil); err != nil {
			t.Fatal(err)
		}
	}
	// applied waits until so many transactions at most are on their way.
	applied := func(left int) {
		s.throttle.mu.Lock()
		defer s.throttle.mu.Unlock()
		for s.throttle.ops > left {
			s.throttle.cond.Wait()
		}
	}
	fileOf := func(o object.GID) (f *file) {
		if err := s.view(c, o, func(_ *collection, o *obj) error { f = o.file; return nil }); err != nil {
			t.Fatal(err)
		}
		return f
	}
	submit(func(tx *objectstore.Transaction) { tx.MkColl(c, 0) })
	apart := false
	for i := 0; i < 10 && !apart; i++ {
		o := object.G(object.Head(1, "", "", fmt.Sprint("o", i), 0))
		submit(func(tx *objectstore.Transaction) { tx.Write(c, o, 0, wire.BufOf([]byte("first"))) })
		applied(0)
		old := fileOf(o)
		old.io.RLock() // whoever is to remove the file waits
		submit(func(tx *objectstore.Transaction) {
			tx.Remove(c, o)
			tx.Write(c, o, 0, wire.BufOf([]byte("second")))
			tx.OmapSet(c, o, map[string][]byte{"k": []byte("second")})
		})
		submit(func(tx *objectstore.Transaction) {
			tx.Write(c, o, 0, wire.BufOf([]byte("third!")))
			tx.OmapSet(c, o, map[string][]byte{"k": []byte("third!")})
		})
		// Files of one worker wait for each other: then there is nothing to see.
		if apart = s.workerOf(old.fid) != s.workerOf(fileOf(o).fid); apart {
			applied(1)
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
		applied(0)
	}
	if !apart {
		t.Error("no two files fell to different workers")
	}
}
