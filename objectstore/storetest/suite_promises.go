package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"sync"

	"sepiola/object"
	"sepiola/objectstore"
)

// Each refusal has its error.
func testErrors(f *fixture) {
	o, c := Obj("none"), Coll(9, 9)
	_, e1 := f.s.Stat(pgColl, o)
	_, e2 := f.s.Read(pgColl, o, 0, 0)
	_, e3 := f.s.Attr(pgColl, o, "a")
	_, e4 := f.s.Attrs(pgColl, o)
	_, e5 := f.s.OmapHeader(pgColl, o)
	_, e6 := f.s.OmapGet(pgColl, o, []string{"a"})
	_, e7 := f.s.OmapIter(pgColl, o, "")
	_, e8 := f.s.Stat(c, o)
	_, _, e9 := f.s.List(c, object.GMin, object.GMax, 1)
	_, e10 := f.s.Extents(pgColl, o, 0, 1)
	for i, err := range []error{e1, e2, e3, e4, e5, e6, e7, e8, e9, e10} {
		if !errors.Is(err, objectstore.ErrNotFound) {
			f.t.Errorf("read %d of nothing: %v", i+1, err)
		}
	}
	here := Obj("here")
	f.do(func(t *tx) { t.Write(pgColl, here, 0, buf([]byte("data"))) })
	if _, err := f.s.Attr(pgColl, here, "a"); !errors.Is(err, objectstore.ErrNoAttr) {
		f.t.Errorf("attribute that is not there: %v", err)
	}
	refused := []struct {
		build func(*tx)
		want  error
	}{
		{func(t *tx) { t.Touch(c, o) }, objectstore.ErrNotFound},
		{func(t *tx) { t.RmColl(c) }, objectstore.ErrNotFound},
		{func(t *tx) { t.RmColl(pgColl) }, objectstore.ErrNotEmpty},
		{func(t *tx) { t.MkColl(pgColl, 4) }, objectstore.ErrExists},
		{func(t *tx) { t.Create(pgColl, here) }, objectstore.ErrExists},
		{func(t *tx) { t.RmAttr(pgColl, o, "a") }, objectstore.ErrNotFound},
		{func(t *tx) { t.OmapRm(pgColl, o, []string{"a"}) }, objectstore.ErrNotFound},
		{func(t *tx) { t.OmapRmRange(pgColl, o, "a", "b") }, objectstore.ErrNotFound},
		{func(t *tx) { t.Clone(pgColl, o, here) }, objectstore.ErrNotFound},
		{func(t *tx) { t.Clone(pgColl, here, here) }, objectstore.ErrInvalid},
		{func(t *tx) { t.CloneRange(pgColl, o, here, 0, 1, 0) }, objectstore.ErrNotFound},
		{func(t *tx) { t.CloneRange(pgColl, here, o, 0, 5, 0) }, objectstore.ErrInvalid},
		{func(t *tx) { t.MoveRename(pgColl, o, pgColl, here) }, objectstore.ErrNotFound},
		{func(t *tx) { t.Touch(pgColl, o); t.MoveRename(pgColl, o, pgColl, here) }, objectstore.ErrExists},
		{func(t *tx) { t.MoveRename(pgColl, here, c, o) }, objectstore.ErrNotFound},
		{func(t *tx) { t.SplitColl(pgColl, 5, 21, c) }, objectstore.ErrNotFound},
	}
	for i, r := range refused {
		var t tx
		r.build(&t)
		err := f.s.Submit(&t, func() { f.t.Errorf("refused transaction %d committed", i) })
		if !errors.Is(err, r.want) {
			f.t.Errorf("transaction %d: %v, want %v", i, err, r.want)
		}
	}
	f.do(func(t *tx) { // none of these minds that there is no object
		t.Remove(pgColl, o)
		t.RmAttrs(pgColl, o)
		t.OmapClear(pgColl, o)
		t.TryRename(pgColl, o, here)
	})
	if _, err := f.s.Stat(pgColl, o); !errors.Is(err, objectstore.ErrNotFound) {
		f.t.Errorf("a refused transaction left its object: %v", err)
	}
	f.wantData(here, []byte("data"))
}

// A transaction whose last step fails changes nothing, over all kinds of steps.
func testAtomic(f *fixture) {
	o, p := Obj("o"), Obj("p")
	f.do(func(t *tx) {
		t.Write(pgColl, o, 0, buf([]byte("data")))
		t.SetAttr(pgColl, o, "a", []byte("1"))
		t.OmapSet(pgColl, o, map[string][]byte{"k": []byte("v")})
	})
	var bad tx
	bad.MkColl(Coll(3, 7), 4)
	bad.Write(pgColl, o, 0, buf(pattern(1, 200000)))
	bad.Truncate(pgColl, o, 2)
	bad.SetAttr(pgColl, o, "a", []byte("2"))
	bad.OmapClear(pgColl, o)
	bad.OmapSet(pgColl, o, map[string][]byte{"l": nil})
	bad.Clone(pgColl, o, p)
	bad.Remove(pgColl, o)
	bad.MoveRename(pgColl, p, Coll(3, 7), o)
	bad.RmColl(Coll(8, 8))
	if err := f.s.Submit(&bad, func() { f.t.Error("committed") }); !errors.Is(err, objectstore.ErrNotFound) {
		f.t.Fatalf("bad transaction: %v", err)
	}
	for range 2 {
		f.wantData(o, []byte("data"))
		f.wantAttr(o, "a", []byte("1"))
		f.wantOmap(o, map[string]string{"k": "v"})
		if ok, _ := f.s.HasCollection(Coll(3, 7)); ok {
			f.t.Error("the collection of a refused transaction exists")
		}
		l, _, err := f.s.List(pgColl, object.GMin, object.GMax, 10)
		f.must(err)
		if len(l) != 1 {
			f.t.Errorf("objects %v", l)
		}
		f.reopen()
	}
}

// Callbacks come once each and in the order of submission, whatever the sizes.
func testCommitOrder(f *fixture) {
	const n = 500
	got := make(chan int, n+1)
	for i := range n {
		var t tx
		size := 100
		if i%50 == 0 {
			size = 300000
		}
		t.Write(pgColl, Obj(fmt.Sprint(i%20)), uint64(i), buf(pattern(i, size)))
		f.must(f.s.Submit(&t, func() { got <- i }))
	}
	for i := range n {
		select {
		case g := <-got:
			if g != i {
				f.t.Fatalf("commit %d came in place of %d", g, i)
			}
		case <-f.s.Failed():
			f.t.Fatal(f.s.Err())
		}
	}
	f.reopen()
	select {
	case g := <-got:
		f.t.Errorf("commit %d came twice", g)
	default:
	}
}

// Submitters of different collections run side by side, each sees its own writes at
// once, and a transaction over two collections is ordered in both.
func testConcurrent(f *fixture) {
	const workers, rounds = 8, 60
	for w := range workers {
		f.do(func(t *tx) { t.MkColl(Coll(4, uint32(w)), 3) })
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c := Coll(4, uint32(w))
			last := -1
			var mu sync.Mutex
			for i := range rounds {
				o := Obj(fmt.Sprint("o", i%5))
				data := pattern(w*1000+i, 1000+i*2000)
				var t tx
				t.Truncate(c, o, 0)
				t.Write(c, o, 0, buf(data))
				t.SetAttr(c, o, "i", fmt.Append(nil, i))
				t.OmapSet(c, c.PG.MetaObject(), map[string][]byte{fmt.Sprintf("%04d", i): fmt.Append(nil, i)})
				err := f.s.Submit(&t, func() {
					mu.Lock()
					defer mu.Unlock()
					if i != last+1 {
						f.t.Errorf("collection %v: commit %d after %d", c, i, last)
					}
					last = i
				})
				if err != nil {
					f.t.Error(err)
					return
				}
				got, err := f.s.Read(c, o, 0, 0)
				if err != nil || !bytes.Equal(got.Flat(), data) {
					f.t.Errorf("own write not read back: %v", err)
					return
				}
				if v, err := f.s.Attr(c, o, "i"); err != nil || string(v) != fmt.Sprint(i) {
					f.t.Errorf("own attribute not read back: %q, %v", v, err)
				}
				kv, err := f.s.OmapGet(c, c.PG.MetaObject(), []string{fmt.Sprintf("%04d", i)})
				if err != nil || len(kv) != 1 {
					f.t.Errorf("own omap key not read back: %v, %v", kv, err)
				}
			}
		}()
	}
	wg.Wait()
	f.reopen()
	for w := range workers {
		c := Coll(4, uint32(w))
		for j := range 5 {
			i := rounds - 5 + j
			got, err := f.s.Read(c, Obj(fmt.Sprint("o", i%5)), 0, 0)
			f.must(err)
			if !bytes.Equal(got.Flat(), pattern(w*1000+i, 1000+i*2000)) {
				f.t.Errorf("%v o%d wrong after restart", c, i%5)
			}
		}
	}
}

// What a read returned stays as it was when the object changes.
func testReadStable(f *fixture) {
	o := Obj("o")
	data := pattern(1, 100000)
	f.submit(func(t *tx) { t.Write(pgColl, o, 0, buf(data)); t.SetAttr(pgColl, o, "a", []byte("old")) })
	got, err := f.s.Read(pgColl, o, 0, 0)
	f.must(err)
	attrs, err := f.s.Attrs(pgColl, o)
	f.must(err)
	for i := range 20 {
		f.submit(func(t *tx) {
			t.Write(pgColl, o, uint64(i*5000), buf(pattern(i, 100)))
			t.SetAttr(pgColl, o, "a", []byte("new"))
		})
	}
	f.do(func(t *tx) { t.Remove(pgColl, o) })
	if !bytes.Equal(got.Flat(), data) || string(attrs["a"]) != "old" {
		f.t.Error("a later write shows through an earlier read")
	}
}

// Whatever was reported committed is there after a crash, together with all of
// its transaction.
func testCrash(f *fixture) {
	var mu sync.Mutex
	last := -1
	wait := make(chan struct{})
	for i := range 300 {
		var t tx
		o := Obj(fmt.Sprint("o", i))
		t.Write(pgColl, o, 0, buf(pattern(i, 1+i*300)))
		t.SetAttr(pgColl, o, "_", pattern(i, 250))
		t.OmapSet(pgColl, pgColl.PG.MetaObject(), map[string][]byte{fmt.Sprintf("%04d", i): nil})
		f.must(f.s.Submit(&t, func() {
			mu.Lock()
			defer mu.Unlock()
			if last = i; i == 200 {
				close(wait)
			}
		}))
	}
	select {
	case <-wait:
	case <-f.s.Failed():
		f.t.Fatal(f.s.Err())
	}
	mu.Lock()
	acked := last
	mu.Unlock()
	f.crash()
	keys := f.omap(pgColl.PG.MetaObject(), "")
	if len(keys) <= acked {
		f.t.Fatalf("%d transactions left, %d were committed", len(keys), acked+1)
	}
	for i := range 300 {
		o := Obj(fmt.Sprint("o", i))
		if _, in := keys[fmt.Sprintf("%04d", i)]; !in {
			if i < len(keys) {
				f.t.Fatalf("transaction %d is missing before later ones", i)
			}
			if _, err := f.s.Stat(pgColl, o); !errors.Is(err, objectstore.ErrNotFound) {
				f.t.Fatalf("transaction %d is there in part: %v", i, err)
			}
			continue
		}
		f.wantData(o, pattern(i, 1+i*300))
		f.wantAttr(o, "_", pattern(i, 250))
	}
	l, next, err := f.s.List(pgColl, object.GMin, object.GMax, math.MaxInt)
	f.must(err)
	if len(l) != len(keys)+1 || next != object.GMax {
		f.t.Errorf("%d objects listed, want %d", len(l), len(keys)+1)
	}
}
