package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"sepiola/objectstore"
)

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
