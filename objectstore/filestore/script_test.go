package filestore

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/objectstore/memstore"
	"sepiola/objectstore/storetest"
	"sepiola/wire"
)

// scripted makes the paths of large objects come with small ones, and leaves as
// little as possible to chance and time.
var scripted = Options{
	FreshMin: 8192, CacheObjects: 3, FDCacheSize: 2, SplitMultiple: 1, MergeThreshold: -1,
	Workers: 1, MemTableBytes: 256 << 10, SyncInterval: time.Hour, JournalBytes: 768 << 10, segment: 64 << 10,
}

// scriptedSmall leaves small objects without a file, and writes large ones past the page
// cache.
var scriptedSmall = func() Options {
	o := scripted
	o.SmallMax, o.SmallCacheBytes, o.DirectMin = 7000, 8192, 8192
	return o
}()

// scriptStep is a transaction of a fixed workload.
type scriptStep struct {
	name  string
	build func(*tx)
	then  after
}

// after is what happens when a step was submitted.
type after int

const (
	goOn       after = iota // the next one follows at once
	wait                    // it is committed first
	checkpoint              // everything is applied, and a checkpoint made
	reopen                  // the store is closed and mounted again
)

var (
	collA, collB, collC = storetest.Coll(3, 1), storetest.Coll(3, 2), storetest.Coll(3, 5)
	collTemp            = objectstore.Coll{Kind: objectstore.CollPGTemp, PG: collA.PG}
)

// inA returns an object of collection A, which has hashes that end in 01; those of
// odd i go to C when it splits.
func inA(name string, i int) object.GID {
	return storetest.ObjHash(name, uint32(i%2)<<2|1|uint32(i)<<8)
}

func bytesOf(seed, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(seed + i*7 + i>>9)
	}
	return p
}

func data(seed, n int) wire.Buf { return wire.BufOf(bytesOf(seed, n)) }

// script returns transactions of every kind, with every way that data, attributes and
// omap can take.
func script() []scriptStep {
	o, p, q, big := inA("o", 0), inA("p", 1), inA("q", 2), inA("big", 3)
	a, b := collA, collB
	long := inA("long-"+strings.Repeat("n", 300), 5)
	meta := a.PG.MetaObject()
	omap := func(from, to int) map[string][]byte {
		m := map[string][]byte{}
		for i := from; i < to; i++ {
			m[fmt.Sprintf("k%02d", i)] = bytesOf(i, 20)
		}
		return m
	}
	return []scriptStep{
		{"make collections", func(t *tx) { t.MkColl(a, 2); t.MkColl(b, 2); t.Touch(a, meta) }, wait},
		{"touch", func(t *tx) { t.Touch(a, o) }, goOn},
		{"write small", func(t *tx) { t.Write(a, o, 0, data(1, 3000)) }, goOn},
		{"append small", func(t *tx) { t.Write(a, o, 3000, data(2, 3000)) }, wait},
		{"write large", func(t *tx) { t.Write(a, big, 0, data(3, 30000)); t.SetAttr(a, big, "_", bytesOf(1, 250)) }, goOn},
		{"append large", func(t *tx) { t.Write(a, big, 30000, data(4, 20000)) }, goOn},
		{"overwrite", func(t *tx) { t.Write(a, big, 5000, data(5, 6000)) }, wait},
		{"overwrite large", func(t *tx) { t.Write(a, big, 10000, data(6, 12000)) }, checkpoint},
		{"append after checkpoint", func(t *tx) { t.Write(a, big, 50000, data(7, 9000)) }, goOn},
		{"append behind a gap", func(t *tx) { t.Write(a, big, 70001, data(8, 9000)) }, wait},
		{"whole object", func(t *tx) { t.Truncate(a, big, 0); t.Write(a, big, 0, data(9, 20000)) }, goOn},
		{"whole object longer", func(t *tx) { t.Write(a, big, 0, data(10, 40000)) }, checkpoint},
		{"zero", func(t *tx) { t.Zero(a, big, 5000, 20000) }, goOn},
		{"zero beyond", func(t *tx) { t.Zero(a, o, 5000, 9000) }, goOn},
		{"truncate", func(t *tx) { t.Truncate(a, big, 33333) }, wait},
		{"append after truncate", func(t *tx) { t.Write(a, big, 33333, data(11, 10000)) }, goOn},
		{"truncate longer", func(t *tx) { t.Truncate(a, o, 20000) }, goOn},
		{"attributes", func(t *tx) {
			t.SetAttrs(a, o, map[string][]byte{"_": bytesOf(2, 250), "snapset": bytesOf(3, 35), "x@y": bytesOf(4, 5120)})
		}, goOn},
		{"attribute shorter", func(t *tx) { t.SetAttr(a, o, "x@y", bytesOf(5, 100)) }, wait},
		{"attribute spilled", func(t *tx) { t.SetAttr(a, o, "spill", bytesOf(6, 3000)) }, checkpoint},
		{"attribute spilled again", func(t *tx) { t.SetAttr(a, o, "spill", bytesOf(7, 10)); t.SetAttr(a, p, "spill", bytesOf(8, 5000)) }, goOn},
		{"attributes removed", func(t *tx) { t.RmAttr(a, o, "snapset"); t.RmAttr(a, o, "spill") }, wait},
		{"omap", func(t *tx) { t.OmapSet(a, o, omap(0, 30)); t.OmapHeader(a, o, []byte("header")) }, goOn},
		{"omap removals", func(t *tx) { t.OmapRm(a, o, []string{"k03", "k29"}); t.OmapRmRange(a, o, "k10", "k20") }, wait},
		{"log entry", func(t *tx) { t.Write(a, o, 100, data(12, 200)); t.OmapSet(a, meta, omap(0, 3)) }, goOn},
		{"clone small", func(t *tx) { t.Clone(a, o, q) }, goOn},
		{"clone large", func(t *tx) { t.Clone(a, big, p) }, goOn},
		{"write to the source", func(t *tx) { t.Write(a, big, 1, data(13, 9000)) }, goOn},
		{"clone range", func(t *tx) { t.CloneRange(a, big, q, 100, 7000, 3) }, wait},
		{"clone large range", func(t *tx) { t.CloneRange(a, big, q, 0, 20000, 30000) }, goOn},
		{"clone the clone", func(t *tx) { t.Clone(a, p, q); t.Write(a, p, 40000, data(14, 5000)) }, checkpoint},
		{"omap clear", func(t *tx) { t.OmapClear(a, o); t.OmapSet(a, o, omap(40, 42)) }, goOn},
		{"remove", func(t *tx) { t.Remove(a, q) }, goOn},
		{"make again", func(t *tx) { t.Write(a, q, 0, data(15, 8500)); t.SetAttr(a, q, "_", bytesOf(9, 50)) }, wait},
		{"long name", func(t *tx) { t.Write(a, long, 0, data(16, 100)); t.SetAttr(a, long, "_", bytesOf(10, 2500)) }, goOn},
		{"many", func(t *tx) {
			for i := range 20 {
				t.Write(b, storetest.ObjHash(fmt.Sprint("m", i), uint32(i)<<4|2), 0, data(i, 50))
			}
		}, goOn},
		{"rename", func(t *tx) { t.TryRename(a, q, inA("q2", 2)) }, goOn},
		{"move", func(t *tx) {
			t.MoveRename(a, big, b, inA("moved", 6))
			t.Write(b, inA("moved", 6), 43333, data(17, 9000))
		}, wait},
		{"move by way of another", func(t *tx) {
			t.MkColl(collTemp, 2)
			t.Write(collTemp, o, 0, data(18, 15000))
			t.SetAttr(collTemp, o, "_", bytesOf(11, 2100))
		}, wait},
		{"and over what was there", func(t *tx) {
			t.Remove(a, o)
			t.MoveRename(collTemp, o, a, o)
			t.RmColl(collTemp)
		}, checkpoint},
		{"append to what moved", func(t *tx) { t.Write(a, o, 15000, data(19, 9000)) }, goOn},
		{"split", func(t *tx) { t.MkColl(collC, 3); t.SplitColl(a, 3, 5, collC) }, goOn},
		{"write after split", func(t *tx) { t.Write(collC, p, 100, data(20, 300)); t.Write(collC, inA("new", 7), 0, data(21, 10)) }, wait},
		{"remove the rest", func(t *tx) {
			for i := range 18 {
				t.Remove(b, storetest.ObjHash(fmt.Sprint("m", i), uint32(i)<<4|2))
			}
		}, reopen},
		{"write after restart", func(t *tx) { t.Write(a, o, 10, data(22, 9000)); t.Write(a, o, 24000, data(23, 9000)) }, goOn},
		{"merge", func(t *tx) { t.MergeColl(collC, a, 2) }, wait},
		{"remove all", func(t *tx) { t.Remove(a, p); t.Remove(a, inA("new", 7)); t.RmAttrs(a, o) }, goOn},
		{"last", func(t *tx) { t.SetAttr(a, o, "x@y", bytesOf(12, 4500)) }, checkpoint},
	}
}

// colls returns the collections that a transaction is ordered in.
func collsOf(t *tx) []objectstore.Coll {
	var out []objectstore.Coll
	for i := range t.Ops {
		op := &t.Ops[i]
		list := []objectstore.Coll{op.Coll}
		switch op.Kind {
		case objectstore.OpSplitColl, objectstore.OpMergeColl, objectstore.OpMoveRename:
			list = append(list, op.DstColl)
		}
		for _, c := range list {
			if !slices.Contains(out, c) {
				out = append(out, c)
			}
		}
	}
	return out
}

// objectContent is all that can be read of an object.
type objectContent struct {
	id     object.GID
	data   []byte
	attrs  map[string][]byte
	omap   map[string][]byte
	header []byte
}

func (o *objectContent) String() string {
	var b strings.Builder
	digest := func(p []byte) string { return fmt.Sprintf("%d:%08x", len(p), crc32.ChecksumIEEE(p)) }
	fmt.Fprintf(&b, "%v %s header %s", o.id, digest(o.data), digest(o.header))
	for _, k := range slices.Sorted(maps.Keys(o.attrs)) {
		fmt.Fprintf(&b, " %s=%s", k, digest(o.attrs[k]))
	}
	for _, k := range slices.Sorted(maps.Keys(o.omap)) {
		fmt.Fprintf(&b, " [%s]=%s", k, digest(o.omap[k]))
	}
	return b.String()
}

// content is what a store holds, readable and comparable; a collection that does not
// exist is not in it.
type content map[objectstore.Coll]*collContent

type collContent struct {
	objects []*objectContent
	text    string
}

func (c content) text(id objectstore.Coll) string {
	if x := c[id]; x != nil {
		return x.text
	}
	return "none"
}

// contentOf reads everything there is.
func contentOf(s objectstore.Store) (content, error) {
	out := content{}
	colls, err := s.Collections()
	if err != nil {
		return nil, err
	}
	for _, c := range colls {
		cc := &collContent{text: "objects:\n"}
		list, _, err := s.List(c, object.GMin, object.GMax, 1<<20)
		if err != nil {
			return nil, fmt.Errorf("list %v: %w", c, err)
		}
		for _, id := range list {
			o, err := readObject(s, c, id)
			if err != nil {
				return nil, fmt.Errorf("%v in %v: %w", id, c, err)
			}
			cc.objects = append(cc.objects, o)
			cc.text += o.String() + "\n"
		}
		out[c] = cc
	}
	return out, nil
}

func readObject(s objectstore.Store, c objectstore.Coll, id object.GID) (*objectContent, error) {
	o := &objectContent{id: id, omap: map[string][]byte{}}
	st, err := s.Stat(c, id)
	if err != nil {
		return nil, err
	}
	p, err := s.Read(c, id, 0, 0)
	if err != nil {
		return nil, err
	}
	if o.data = p.Flat(); uint64(len(o.data)) != st.Size {
		return nil, fmt.Errorf("%d bytes read of %d", len(o.data), st.Size)
	}
	if o.attrs, err = s.Attrs(c, id); err != nil {
		return nil, err
	}
	if o.header, err = s.OmapHeader(c, id); err != nil {
		return nil, err
	}
	it, err := s.OmapIter(c, id, "")
	if err != nil {
		return nil, err
	}
	for it.Next() {
		o.omap[it.Key()] = bytes.Clone(it.Value())
	}
	return o, errors.Join(it.Err(), it.Close())
}

// newModel returns a store in memory with the given content.
func newModel(c content) (*memstore.Store, error) {
	s := memstore.New()
	if err := errors.Join(s.Mkfs(storetest.ID), s.Mount()); err != nil {
		return nil, err
	}
	var t tx
	for id, cc := range c {
		t.MkColl(id, 2)
		for _, o := range cc.objects {
			t.Touch(id, o.id)
			t.Write(id, o.id, 0, wire.BufOf(o.data))
			t.SetAttrs(id, o.id, o.attrs)
			t.OmapSet(id, o.id, o.omap)
			if len(o.header) > 0 {
				t.OmapHeader(id, o.id, o.header)
			}
		}
	}
	return s, s.Submit(&t, nil)
}

// modelStates runs the script on a store in memory: states[i] is the content after i
// steps.
func modelStates(t testing.TB, steps []scriptStep) (states []content, colls [][]objectstore.Coll) {
	t.Helper()
	m, err := newModel(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for i := 0; ; i++ {
		c, err := contentOf(m)
		if err != nil {
			t.Fatal(err)
		}
		states = append(states, c)
		if i == len(steps) {
			return states, colls
		}
		var x tx
		steps[i].build(&x)
		colls = append(colls, collsOf(&x))
		if err := m.Submit(&x, nil); err != nil {
			t.Fatalf("%s: %v", steps[i].name, err)
		}
	}
}
