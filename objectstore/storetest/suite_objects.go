package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sepiola/object"
	"sepiola/objectstore"
)

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
