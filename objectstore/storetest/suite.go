package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
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

// Attributes are set, replaced and removed one by one and together.
func testAttrs(f *fixture) {
	o := Obj("o")
	f.submit(func(t *tx) {
		t.SetAttr(pgColl, o, "a", []byte("1"))
		t.SetAttrs(pgColl, o, map[string][]byte{"b": []byte("2"), "@odd@@1": []byte("3"), "empty": nil, "_ä\x01%/": []byte("4")})
		t.SetAttr(pgColl, o, "a", []byte("5"))
		t.RmAttr(pgColl, o, "b")
		t.RmAttr(pgColl, o, "never there")
	})
	check := func() {
		f.t.Helper()
		got, err := f.s.Attrs(pgColl, o)
		f.must(err)
		want := map[string]string{"a": "5", "@odd@@1": "3", "empty": "", "_ä\x01%/": "4"}
		if len(got) != len(want) {
			f.t.Fatalf("attributes %q, want %q", got, want)
		}
		for k, v := range want {
			if string(got[k]) != v {
				f.t.Errorf("%q is %q, want %q", k, got[k], v)
			}
			f.wantAttr(o, k, []byte(v))
		}
		if _, err := f.s.Attr(pgColl, o, "b"); !errors.Is(err, objectstore.ErrNoAttr) {
			f.t.Errorf("removed attribute: %v", err)
		}
	}
	check()
	f.reopen()
	check()
	f.submit(func(t *tx) { t.RmAttrs(pgColl, o) })
	f.crashAfterCommit()
	if got, err := f.s.Attrs(pgColl, o); err != nil || len(got) != 0 {
		f.t.Errorf("attributes %q, %v after removing all", got, err)
	}
}

// Values up to RADOS's limit of 64 KiB are kept, many at a time, and growing and
// shrinking them leaves nothing of the old value.
func testLongAttrs(f *fixture) {
	o := Obj("o")
	want := map[string][]byte{}
	check := func() {
		f.t.Helper()
		got, err := f.s.Attrs(pgColl, o)
		f.must(err)
		if len(got) != len(want) {
			f.t.Fatalf("%d attributes, want %d", len(got), len(want))
		}
		for k, v := range want {
			if !bytes.Equal(got[k], v) {
				f.t.Fatalf("%q is %s, want %s", k, brief(got[k]), brief(v))
			}
		}
	}
	for i, n := range []int{5120, 65536, 100, 2048, 2049, 4096, 65535, 1, 0, 3000} {
		for _, k := range []string{"key", "other@key", strings.Repeat("n", 200)} {
			want[k] = pattern(i, n)
			f.submit(func(t *tx) { t.SetAttr(pgColl, o, k, want[k]) })
		}
		check()
		if i%3 == 0 {
			f.reopen()
			check()
		}
	}
	for i := range 40 {
		want[fmt.Sprint("many", i)] = pattern(i, 3000)
	}
	f.submit(func(t *tx) { t.SetAttrs(pgColl, o, want) })
	f.crashAfterCommit()
	check()
	for i := range 39 {
		k := fmt.Sprint("many", i)
		delete(want, k)
		f.submit(func(t *tx) { t.RmAttr(pgColl, o, k) })
	}
	f.reopen()
	check()
}

// The omap keeps keys in order, whole ranges go, and clearing takes the header.
func testOmap(f *fixture) {
	o := Obj("o")
	want := map[string]string{}
	set := map[string][]byte{}
	for i := range 300 {
		k := fmt.Sprintf("key%03d", i)
		want[k] = fmt.Sprint(i)
		set[k] = []byte(want[k])
	}
	odd := []string{"", "\x00", "\xff\xff", "key100\x00", "ä"}
	for _, k := range odd {
		want[k] = "odd" + k
		set[k] = []byte(want[k])
	}
	f.submit(func(t *tx) {
		t.OmapSet(pgColl, o, set)
		t.OmapHeader(pgColl, o, []byte("header"))
	})
	f.wantOmap(o, want)
	f.reopen()
	f.wantOmap(o, want)
	f.submit(func(t *tx) {
		t.OmapRm(pgColl, o, []string{"key000", "key299", "not there"})
		t.OmapRmRange(pgColl, o, "key100", "key200")
		t.OmapSet(pgColl, o, map[string][]byte{"key150": []byte("again")})
	})
	delete(want, "key000")
	delete(want, "key299")
	for k := range want {
		if k >= "key100" && k < "key200" {
			delete(want, k)
		}
	}
	want["key150"] = "again"
	f.wantOmap(o, want)
	if got := f.omap(o, "key290"); len(got) != 9+2 {
		f.t.Errorf("from key290 on: %v", got)
	}
	got, err := f.s.OmapGet(pgColl, o, []string{"key001", "key000", "key150", ""})
	f.must(err)
	if len(got) != 3 || string(got["key150"]) != "again" || string(got["key001"]) != "1" || string(got[""]) != "odd" {
		f.t.Errorf("OmapGet: %q", got)
	}
	if h, err := f.s.OmapHeader(pgColl, o); err != nil || string(h) != "header" {
		f.t.Errorf("header %q, %v", h, err)
	}
	f.crashAfterCommit()
	f.wantOmap(o, want)
	f.submit(func(t *tx) { t.OmapClear(pgColl, o) })
	f.wantOmap(o, nil)
	if h, err := f.s.OmapHeader(pgColl, o); err != nil || len(h) != 0 {
		f.t.Errorf("header after clear: %q, %v", h, err)
	}
	f.submit(func(t *tx) { t.OmapSet(pgColl, o, map[string][]byte{"z": nil}) })
	f.reopen()
	f.wantOmap(o, map[string]string{"z": ""})
}

// An iterator shows the omap of its start, whatever is written meanwhile.
func testOmapSnapshot(f *fixture) {
	o := Obj("o")
	set := map[string][]byte{}
	for i := range 200 {
		set[fmt.Sprintf("%03d", i)] = []byte("old")
	}
	f.submit(func(t *tx) { t.OmapSet(pgColl, o, set) })
	for _, settle := range []bool{false, true} {
		if settle {
			f.do(func(t *tx) { t.OmapSet(pgColl, o, set) })
		}
		it, err := f.s.OmapIter(pgColl, o, "")
		f.must(err)
		if !it.Next() || it.Key() != "000" {
			f.t.Fatalf("first key %q", it.Key())
		}
		f.do(func(t *tx) {
			t.OmapSet(pgColl, o, map[string][]byte{"0005": []byte("new"), "150": []byte("new")})
			t.OmapRmRange(pgColl, o, "050", "060")
		})
		n := 1
		for it.Next() {
			n++
			if string(it.Value()) != "old" {
				f.t.Fatalf("%q is %q", it.Key(), it.Value())
			}
		}
		f.must(it.Err())
		f.must(it.Close())
		if n != 200 {
			f.t.Errorf("%d keys, want 200", n)
		}
		f.do(func(t *tx) { t.OmapRm(pgColl, o, []string{"0005"}) })
	}
}

// A clone equals its source and goes its own way afterwards.
func testClone(f *fixture) {
	src, dst := Obj("src"), Obj("src")
	dst.Snap = 4
	old, changed := pattern(1, 150000), pattern(2, 5000)
	f.submit(func(t *tx) {
		t.Write(pgColl, src, 0, buf(old))
		t.SetAttrs(pgColl, src, map[string][]byte{"_": []byte("oi"), "long": pattern(3, 10000)})
		t.OmapSet(pgColl, src, map[string][]byte{"k": []byte("v"), "l": []byte("w")})
		t.OmapHeader(pgColl, src, []byte("h"))
	})
	f.submit(func(t *tx) {
		t.Write(pgColl, dst, 0, buf(pattern(5, 300000)))
		t.SetAttr(pgColl, dst, "gone", []byte("x"))
	})
	f.submit(func(t *tx) {
		t.Clone(pgColl, src, dst)
		t.Write(pgColl, src, 60000, buf(changed))
		t.SetAttr(pgColl, src, "_", []byte("new"))
		t.OmapRm(pgColl, src, []string{"k"})
	})
	check := func() {
		f.t.Helper()
		f.wantData(dst, old)
		f.wantData(src, slices.Concat(old[:60000], changed, old[65000:]))
		f.wantAttr(dst, "_", []byte("oi"))
		f.wantAttr(dst, "long", pattern(3, 10000))
		f.wantAttr(src, "_", []byte("new"))
		if _, err := f.s.Attr(pgColl, dst, "gone"); !errors.Is(err, objectstore.ErrNoAttr) {
			f.t.Errorf("attribute of the replaced object: %v", err)
		}
		f.wantOmap(dst, map[string]string{"k": "v", "l": "w"})
		f.wantOmap(src, map[string]string{"l": "w"})
		if h, err := f.s.OmapHeader(pgColl, dst); err != nil || string(h) != "h" {
			f.t.Errorf("header of the clone %q, %v", h, err)
		}
	}
	check()
	f.crashAfterCommit()
	check()
	f.submit(func(t *tx) { t.Remove(pgColl, src) })
	f.reopen()
	f.wantData(dst, old)
}

// A range copied between objects lands where it should and takes nothing else.
func testCloneRange(f *fixture) {
	src, dst := Obj("src"), Obj("dst")
	data := pattern(1, 400000)
	f.submit(func(t *tx) {
		t.Write(pgColl, src, 0, buf(data))
		t.SetAttr(pgColl, src, "a", []byte("1"))
	})
	f.submit(func(t *tx) { t.CloneRange(pgColl, src, dst, 1000, 5000, 3) })
	model := append(make([]byte, 3), data[1000:6000]...)
	f.wantData(dst, model)
	f.submit(func(t *tx) { t.CloneRange(pgColl, src, dst, 0, 300000, 8192) })
	model = slices.Concat(model, make([]byte, 8192-len(model)), data[:300000])
	f.submit(func(t *tx) { t.CloneRange(pgColl, src, dst, 300000, 100000, 4096) })
	copy(model[4096:], data[300000:])
	f.wantData(dst, model)
	f.crashAfterCommit()
	f.wantData(dst, model)
	f.wantData(src, data)
	if a, err := f.s.Attrs(pgColl, dst); err != nil || len(a) != 0 {
		f.t.Errorf("attributes %v, %v came along", a, err)
	}
}

// Renaming moves everything, within a collection and between two.
func testRename(f *fixture) {
	temp := pgColl
	temp.Kind = objectstore.CollPGTemp
	o, tmp := Obj("o"), Obj("temp_o")
	tmp.Pool = object.TempPool(3)
	f.submit(func(t *tx) { t.MkColl(temp, 4) })
	f.submit(func(t *tx) {
		t.Write(temp, tmp, 0, buf(pattern(1, 100000)))
		t.SetAttr(temp, tmp, "_", []byte("oi"))
		t.OmapSet(temp, tmp, map[string][]byte{"k": []byte("v")})
	})
	f.submit(func(t *tx) { t.Remove(pgColl, o); t.MoveRename(temp, tmp, pgColl, o) })
	f.submit(func(t *tx) { t.Write(pgColl, o, 10, buf([]byte("after"))) })
	model := pattern(1, 100000)
	copy(model[10:], "after")
	check := func() {
		f.t.Helper()
		f.wantData(o, model)
		f.wantAttr(o, "_", []byte("oi"))
		f.wantOmap(o, map[string]string{"k": "v"})
		if _, err := f.s.Stat(temp, tmp); !errors.Is(err, objectstore.ErrNotFound) {
			f.t.Errorf("the old name: %v", err)
		}
		if l, _, err := f.s.List(temp, object.GMin, object.GMax, 10); err != nil || len(l) != 0 {
			f.t.Errorf("the old collection lists %v, %v", l, err)
		}
	}
	check()
	f.crashAfterCommit()
	check()
	p := Obj("p")
	f.submit(func(t *tx) { t.TryRename(pgColl, o, p); t.TryRename(pgColl, Obj("none"), Obj("other")) })
	f.submit(func(t *tx) { t.TryRename(pgColl, p, o) })
	check()
	f.reopen()
	check()
}

// Splitting takes exactly the objects of the new PG; merging brings them back.
func testSplitMerge(f *fixture) {
	child := Coll(3, 5+16)
	var all []gid
	for i := range 200 {
		o := ObjHash(fmt.Sprint("o", i), uint32(i)<<4|5)
		all = append(all, o)
		f.submit(func(t *tx) {
			t.Write(pgColl, o, 0, buf(pattern(i, 50+i*700)))
			t.SetAttr(pgColl, o, "i", fmt.Append(nil, i))
			t.OmapSet(pgColl, o, map[string][]byte{"i": fmt.Append(nil, i)})
		})
	}
	f.submit(func(t *tx) { t.MkColl(child, 5); t.SplitColl(pgColl, 5, 5+16, child) })
	// Changes right after the split must find their objects.
	f.submit(func(t *tx) { t.SetAttr(child, all[1], "after", nil); t.Remove(child, all[3]) })
	check := func() {
		f.t.Helper()
		for i, o := range all {
			in, out := pgColl, child
			if i%2 == 1 {
				in, out = child, pgColl
			}
			if _, err := f.s.Stat(out, o); !errors.Is(err, objectstore.ErrNotFound) {
				f.t.Fatalf("%v in the wrong collection: %v", o, err)
			}
			if i == 3 {
				continue
			}
			got, err := f.s.Read(in, o, 0, 0)
			f.must(err)
			if !bytes.Equal(got.Flat(), pattern(i, 50+i*700)) {
				f.t.Fatalf("%v has wrong bytes", o)
			}
			kv, err := f.s.OmapGet(in, o, []string{"i"})
			f.must(err)
			if string(kv["i"]) != fmt.Sprint(i) {
				f.t.Fatalf("omap of %v: %q", o, kv)
			}
		}
		l, _, err := f.s.List(child, object.GMin, object.GMax, 1000)
		f.must(err)
		if len(l) != 99 {
			f.t.Fatalf("%d objects in the child", len(l))
		}
	}
	check()
	f.crashAfterCommit()
	check()
	f.reopen()
	check()
	f.submit(func(t *tx) { t.MergeColl(child, pgColl, 4) })
	f.crashAfterCommit()
	l, _, err := f.s.List(pgColl, object.GMin, object.GMax, 1000)
	f.must(err)
	if len(l) != 199+1 { // and the barrier
		f.t.Fatalf("%d objects after the merge", len(l))
	}
	if ok, _ := f.s.HasCollection(child); ok {
		f.t.Error("the merged collection is still there")
	}
	f.wantAttr(all[1], "after", nil)
}

// Any name, key, namespace, snapshot, generation and shard is an object of its own.
func testOddNames(f *fixture) {
	names := []string{"a", "a_b", "a\\b", "/", ".", "..", "a/b", "DIR_A", "\x00", "%", "ä", "\xff\xfe",
		strings.Repeat("x", 255), strings.Repeat("x", 254) + "y", strings.Repeat("/", 1024),
		strings.Repeat("long", 512), strings.Repeat("long", 511) + "lonk", " ", "a b", "A", ".hidden", "x__head_00000001"}
	var all []gid
	for _, n := range names {
		o := ObjHash(n, 5)
		all = append(all, o)
		k := o
		k.Key = "key" + n
		ns := o
		ns.Namespace = n + "ns"
		snap := o
		snap.Snap = 18
		gen := o
		gen.Gen = 3
		shard := o
		shard.Shard = 2
		all = append(all, k, ns, snap, gen, shard)
	}
	all = append(all, pgColl.PG.MetaObject())
	for i, o := range all {
		f.submit(func(t *tx) {
			t.Write(pgColl, o, 0, buf(fmt.Append(nil, i)))
			t.OmapSet(pgColl, o, map[string][]byte{"i": fmt.Append(nil, i)})
		})
	}
	f.reopen()
	for i, o := range all {
		f.wantData(o, fmt.Append(nil, i))
		f.wantOmap(o, map[string]string{"i": fmt.Sprint(i)})
	}
	got, _, err := f.s.List(pgColl, object.GMin, object.GMax, 10000)
	f.must(err)
	slices.SortFunc(all, gid.Compare)
	if !slices.Equal(got, all) {
		f.t.Errorf("listing of odd names: %d of %d, or in the wrong order", len(got), len(all))
	}
}

// Objects list in hash order, from any position, in stretches of any length, with
// and without writes in between.
func testListOrder(f *fixture) {
	var all []gid
	for i := range 1000 {
		o := Obj(fmt.Sprint("obj", i))
		if i%7 == 0 {
			o.Snap = object.SnapID(i)
		}
		all = append(all, o)
		f.submit(func(t *tx) { t.Touch(pgColl, o) })
	}
	meta := pgColl.PG.MetaObject()
	f.submit(func(t *tx) { t.Touch(pgColl, meta); t.Remove(pgColl, all[17]) })
	all = append(slices.Delete(all, 17, 18), meta)
	slices.SortFunc(all, gid.Compare)
	check := func() {
		f.t.Helper()
		for _, max := range []int{1, 7, 300, 5000} {
			var got []gid
			for at := object.GMin; at.Compare(object.GMax) < 0; {
				part, next, err := f.s.List(pgColl, at, object.GMax, max)
				f.must(err)
				if len(part) > max || next.Compare(at) <= 0 {
					f.t.Fatalf("%d objects of %d at most, from %v, next %v", len(part), max, at, next)
				}
				got = append(got, part...)
				at = next
			}
			if !slices.Equal(got, all) {
				f.t.Fatalf("listing by %d: %d objects, want %d, or in the wrong order", max, len(got), len(all))
			}
		}
		got, next, err := f.s.List(pgColl, all[100], all[200], 1000)
		f.must(err)
		if !slices.Equal(got, all[100:200]) || next != all[200] {
			f.t.Fatalf("range listing: %d objects, next %v", len(got), next)
		}
	}
	check()
	f.reopen()
	check()
	f.submit(func(t *tx) { t.Remove(pgColl, all[500]) })
	all = slices.Delete(all, 500, 501)
	check()
}

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
