package storetest

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/wire"
)

type (
	tx  = objectstore.Transaction
	gid = object.GID
)

// Suite runs the conformance tests on stores of mk's disks.
func Suite(t *testing.T, mk Maker) {
	tests := []struct {
		name string
		run  func(*fixture)
	}{
		{"Identity", testIdentity},
		{"Collections", testCollections},
		{"WriteRead", testWriteRead},
		{"ZeroTruncate", testZeroTruncate},
		{"Sparse", testSparse},
		{"BigObject", testBigObject},
		{"RemoveRecreate", testRemoveRecreate},
		{"Attrs", testAttrs},
		{"LongAttrs", testLongAttrs},
		{"Omap", testOmap},
		{"OmapSnapshot", testOmapSnapshot},
		{"Clone", testClone},
		{"CloneRange", testCloneRange},
		{"Rename", testRename},
		{"SplitMerge", testSplitMerge},
		{"OddNames", testOddNames},
		{"ListOrder", testListOrder},
		{"Errors", testErrors},
		{"Atomic", testAtomic},
		{"CommitOrder", testCommitOrder},
		{"Concurrent", testConcurrent},
		{"ReadsShareNothingMutable", testReadStable},
		{"CrashKeepsCommitted", testCrash},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) { tc.run(newFixture(t, mk)) })
	}
}

// A store knows whom it belongs to, and a second owner or a second mkfs with
// another identity is refused.
func testIdentity(f *fixture) {
	id, err := f.s.Identity()
	f.must(err)
	if id != ID {
		f.t.Fatalf("identity %v, want %v", id, ID)
	}
	f.must(f.s.Close())
	f.s = f.disk.Open()
	f.must(f.s.Mkfs(ID))
	other := ID
	other.WhoAmI++
	if f.s.Mkfs(other) == nil {
		f.t.Error("mkfs gave an existing store another identity")
	}
	if id, err := f.s.Identity(); err != nil || id != ID {
		f.t.Errorf("identity of an unmounted store: %v, %v", id, err)
	}
	f.must(f.s.Mount())
	if err := f.disk.Open().Mount(); !errors.Is(err, objectstore.ErrInUse) {
		f.t.Errorf("second mount: %v, want ErrInUse", err)
	}
}

// Collections appear, survive a restart and go, and only when empty.
func testCollections(f *fixture) {
	temp := pgColl
	temp.Kind = objectstore.CollPGTemp
	f.do(func(t *tx) {
		t.MkColl(objectstore.Meta, 0)
		t.MkColl(temp, 4)
		t.MkColl(Coll(3, 6), 4)
	})
	f.reopen()
	got, err := f.s.Collections()
	f.must(err)
	slices.SortFunc(got, objectstore.Coll.Compare)
	want := []objectstore.Coll{objectstore.Meta, pgColl, Coll(3, 6), temp}
	if !slices.Equal(got, want) {
		f.t.Fatalf("collections %v, want %v", got, want)
	}
	f.do(func(t *tx) { t.RmColl(Coll(3, 6)) })
	if ok, err := f.s.HasCollection(Coll(3, 6)); ok || err != nil {
		f.t.Errorf("removed collection is there: %v, %v", ok, err)
	}
	f.do(func(t *tx) { t.MkColl(Coll(3, 6), 4); t.Touch(Coll(3, 6), Obj("x")) })
	f.do(func(t *tx) { t.Remove(Coll(3, 6), Obj("x")); t.RmColl(Coll(3, 6)) })
	f.reopen()
	if ok, _ := f.s.HasCollection(Coll(3, 6)); ok {
		f.t.Error("removed collection is back after a restart")
	}
}

// Bytes written are read back at once, in any cut, and after a restart.
func testWriteRead(f *fixture) {
	o := Obj("o")
	model := make([]byte, 0, 1<<20)
	write := func(off, n, seed int) {
		p := pattern(seed, n)
		if end := off + n; end > len(model) {
			model = append(model, make([]byte, end-len(model))...)
		}
		copy(model[off:], p)
		// Two segments, as data off the wire may come.
		data := wire.Buf{p[:n/2], p[n/2:]}
		f.submit(func(t *tx) { t.Write(pgColl, o, uint64(off), data) })
	}
	cuts := []struct{ off, n int }{
		{0, 100}, {100, 1}, {50, 100}, {4096, 4096}, {8192, 4096}, {4095, 2}, {10000, 70000},
		{200000, 300000}, {0, 65536}, {65536, 65536}, {131072, 400000}, {531072, 100000}, {3, 4090},
	}
	for i, c := range cuts {
		write(c.off, c.n, i+1)
		f.wantData(o, model)
	}
	for _, c := range []struct{ off, n uint64 }{{0, 1}, {4090, 20}, {9000, 100000}, {631071, 5}, {631072, 5}, {1 << 40, 1}} {
		got, err := f.s.Read(pgColl, o, c.off, c.n)
		f.must(err)
		lo := min(c.off, uint64(len(model)))
		if want := model[lo:min(lo+c.n, uint64(len(model)))]; !bytes.Equal(got.Flat(), want) {
			f.t.Errorf("read %d~%d: %s, want %s", c.off, c.n, brief(got.Flat()), brief(want))
		}
	}
	f.reopen()
	f.wantData(o, model)
	write(5000, 10, 99)
	f.wantData(o, model)
	f.crashAfterCommit()
	f.wantData(o, model)
}

// crashAfterCommit waits until everything submitted is durable, then crashes.
func (f *fixture) crashAfterCommit() {
	f.t.Helper()
	f.do(func(t *tx) { t.Touch(pgColl, Obj("barrier")) })
	f.crash()
}

// Zeroing and truncating leave zeros, also where longer data was before.
func testZeroTruncate(f *fixture) {
	o := Obj("o")
	model := pattern(1, 20000)
	f.submit(func(t *tx) { t.Write(pgColl, o, 0, buf(model)) })
	f.submit(func(t *tx) { t.Zero(pgColl, o, 100, 9000) })
	clear(model[100:9100])
	f.wantData(o, model)
	f.submit(func(t *tx) { t.Zero(pgColl, o, 19000, 5000) })
	clear(model[19000:])
	model = append(model, make([]byte, 4000)...)
	f.wantData(o, model)
	f.submit(func(t *tx) { t.Zero(pgColl, o, 50000, 0); t.Write(pgColl, o, 60000, nil) })
	f.wantData(o, model) // a step of no bytes does not grow the object
	f.submit(func(t *tx) { t.Truncate(pgColl, o, 5) })
	f.submit(func(t *tx) { t.Truncate(pgColl, o, 12000) })
	model = append(model[:5:5], make([]byte, 11995)...)
	f.wantData(o, model)
	f.submit(func(t *tx) {
		t.Truncate(pgColl, o, 0)
		t.Write(pgColl, o, 3, buf([]byte("end")))
	})
	f.wantData(o, []byte("\x00\x00\x00end"))
	f.crashAfterCommit()
	f.wantData(o, []byte("\x00\x00\x00end"))
}

// Holes cost nothing, read as zeros, and Extents tells them from data at least
// where a store says that it knows.
func testSparse(f *fixture) {
	o := Obj("sparse")
	f.do(func(t *tx) {
		t.Write(pgColl, o, 1<<30, buf([]byte("far")))
		t.Write(pgColl, o, 1<<20, buf(pattern(1, 4096)))
	})
	f.reopen()
	st, err := f.s.Stat(pgColl, o)
	f.must(err)
	if st.Size != 1<<30+3 {
		f.t.Fatalf("size %d", st.Size)
	}
	got, err := f.s.Read(pgColl, o, 1<<20-10, 4096+20)
	f.must(err)
	want := slices.Concat(make([]byte, 10), pattern(1, 4096), make([]byte, 10))
	if !bytes.Equal(got.Flat(), want) {
		f.t.Error("data between holes is wrong")
	}
	ext, err := f.s.Extents(pgColl, o, 0, 1<<30+3)
	f.must(err)
	covered := func(off uint64) bool {
		return slices.ContainsFunc(ext, func(e objectstore.Extent) bool { return off >= e.Off && off < e.Off+e.Len })
	}
	if !covered(1<<20) || !covered(1<<20+4095) || !covered(1<<30+2) {
		f.t.Errorf("extents %v leave out data", ext)
	}
	fs, err := f.s.Statfs()
	f.must(err)
	if fs.Total == 0 || fs.Available > fs.Total {
		f.t.Errorf("space figures %+v", fs)
	}
}

// An object of 100 MB goes in by one transaction, is appended to and read back.
func testBigObject(f *fixture) {
	if testing.Short() {
		f.t.Skip("writes 100 MB")
	}
	o := Obj("big")
	model := pattern(9, 100<<20)
	var data wire.Buf
	for i := 0; i < len(model); i += 1 << 20 {
		data = append(data, model[i:i+1<<20])
	}
	f.do(func(t *tx) { t.Write(pgColl, o, 0, data) })
	tail := pattern(10, 3<<20+17)
	model = append(model, tail...)
	f.submit(func(t *tx) { t.Write(pgColl, o, 100<<20, buf(tail)) })
	mid := pattern(11, 9<<20)
	copy(model[50<<20+3:], mid)
	f.submit(func(t *tx) { t.Write(pgColl, o, 50<<20+3, buf(mid)) })
	f.wantData(o, model)
	f.crashAfterCommit()
	f.wantData(o, model)
}

// A removed object takes its attributes and omap with it: one of the same name
// starts empty.
func testRemoveRecreate(f *fixture) {
	o := Obj("o")
	for round := range 3 {
		f.submit(func(t *tx) {
			t.Write(pgColl, o, 0, buf(pattern(round, 100000)))
			t.SetAttr(pgColl, o, "_", []byte("x"))
			t.OmapSet(pgColl, o, map[string][]byte{"k": []byte("v")})
			t.OmapHeader(pgColl, o, []byte("h"))
		})
		f.submit(func(t *tx) { t.Remove(pgColl, o) })
		if _, err := f.s.Stat(pgColl, o); !errors.Is(err, objectstore.ErrNotFound) {
			f.t.Fatalf("stat of a removed object: %v", err)
		}
		f.submit(func(t *tx) { t.Touch(pgColl, o); t.Write(pgColl, o, 10, buf([]byte("new"))) })
		check := func() {
			f.t.Helper()
			f.wantData(o, append(make([]byte, 10), "new"...))
			if a, err := f.s.Attrs(pgColl, o); err != nil || len(a) != 0 {
				f.t.Fatalf("attributes of the new object: %v, %v", a, err)
			}
			f.wantOmap(o, nil)
			if h, err := f.s.OmapHeader(pgColl, o); err != nil || len(h) != 0 {
				f.t.Fatalf("header of the new object: %q, %v", h, err)
			}
		}
		check()
		if round == 1 {
			f.reopen()
			check()
		}
		f.submit(func(t *tx) { t.Remove(pgColl, o); t.Remove(pgColl, o) })
	}
	f.crashAfterCommit()
	if _, err := f.s.Stat(pgColl, o); !errors.Is(err, objectstore.ErrNotFound) {
		f.t.Fatalf("a removed object is back after a crash: %v", err)
	}
}
