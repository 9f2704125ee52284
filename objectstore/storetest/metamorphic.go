package storetest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"pgregory.net/rapid"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/wire"
)

// Metamorphic runs random transactions, with reads, restarts and crashes between
// them, against a store and a plain model. After a crash every collection must be as
// it was after some transaction of it, no earlier than the last one that was
// reported durable; and a transaction over two collections is there in both or in
// neither.
func Metamorphic(rt *rapid.T, mk Maker) {
	m := &machine{t: rt, disk: mk(rt), model: model{}, life: &life{}}
	defer m.disk.Remove()
	m.s = m.disk.Open()
	defer func() { m.disk.Crash(m.s) }()
	m.must(m.s.Mkfs(ID))
	m.must(m.s.Mount())
	for i := range modelColls {
		c := modelColl(i)
		m.model[c] = newState()
		m.submit([]objectstore.Coll{c}, func(t *tx) { t.MkColl(c, 2) })
	}
	m.wait()
	rt.Repeat(map[string]func(*rapid.T){
		"one":     m.transaction,
		"two":     m.transaction,
		"three":   m.transaction,
		"read":    func(*rapid.T) { m.compareAll() },
		"wait":    func(*rapid.T) { m.wait() },
		"restart": func(*rapid.T) { m.restart() },
		"crash":   func(*rapid.T) { m.crash() },
	})
	m.compareAll()
	m.crash()
}

const (
	modelColls   = 3
	modelObjects = 4
)

func modelColl(i int) objectstore.Coll { return Coll(3, uint32(i)) }

// modelID returns an object's id; all have the hash of collection 1, which does not
// matter to a store, so that they can move.
func modelID(i int) gid { return ObjHash(fmt.Sprint("o", i), uint32(i)<<2|1) }

// state is the content of a collection.
type state struct{ objects map[gid]*modelObject }

type modelObject struct {
	data   []byte
	attrs  map[string]string
	omap   map[string]string
	header string
}

func newState() *state { return &state{map[gid]*modelObject{}} }

func (s *state) clone() *state {
	n := newState()
	for k, o := range s.objects {
		n.objects[k] = o.clone()
	}
	return n
}

func (s *state) get(id gid) *modelObject {
	o := s.objects[id]
	if o == nil {
		o = &modelObject{attrs: map[string]string{}, omap: map[string]string{}}
		s.objects[id] = o
	}
	return o
}

func (o *modelObject) clone() *modelObject {
	return &modelObject{slices.Clone(o.data), maps.Clone(o.attrs), maps.Clone(o.omap), o.header}
}

func (o *modelObject) resize(n int) {
	if n <= len(o.data) {
		o.data = o.data[:n:n]
		return
	}
	o.data = append(o.data, make([]byte, n-len(o.data))...)
}

func (o *modelObject) write(off int, p []byte) {
	if len(p) == 0 {
		return
	}
	o.resize(max(len(o.data), off+len(p)))
	copy(o.data[off:], p)
}

// differs returns what distinguishes two states, "" if nothing does.
func (s *state) differs(o *state) string {
	for id, x := range s.objects {
		y := o.objects[id]
		if y == nil {
			return fmt.Sprintf("%v is missing", id)
		}
		switch {
		case !bytes.Equal(x.data, y.data):
			return fmt.Sprintf("%v: data of %d bytes, want %d; first difference at %d", id, len(y.data), len(x.data), firstDifference(x.data, y.data))
		case !maps.Equal(x.attrs, y.attrs):
			return fmt.Sprintf("%v: attributes %.300q, want %.300q", id, y.attrs, x.attrs)
		case !maps.Equal(x.omap, y.omap):
			return fmt.Sprintf("%v: omap %q, want %q", id, y.omap, x.omap)
		case x.header != y.header:
			return fmt.Sprintf("%v: header %q, want %q", id, y.header, x.header)
		}
	}
	for id := range o.objects {
		if s.objects[id] == nil {
			return fmt.Sprintf("%v should not be there", id)
		}
	}
	return ""
}

func firstDifference(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

type model map[objectstore.Coll]*state

// machine is the store under test and what should be in it.
type machine struct {
	t     T
	disk  Disk
	s     objectstore.Store
	model model
	life  *life
}

// life is what happened since everything was last known to be durable.
type life struct {
	base  model
	steps []*step
}

// step is a transaction and what it left in the collections it touched.
type step struct {
	after model
	acked bool
	done  chan struct{}
	mu    sync.Mutex
}

func (m *machine) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatalf("%v", err)
	}
}

// submit runs a transaction. build makes the same changes to the model.
func (m *machine) submit(colls []objectstore.Coll, build func(*tx)) {
	m.t.Helper()
	var t tx
	build(&t)
	st := &step{after: model{}, done: make(chan struct{})}
	for _, c := range colls {
		// Only where it has a step: what names a collection nowhere is not ordered in
		// it, and its commit says nothing about the transactions before.
		if slices.ContainsFunc(t.Ops, func(o objectstore.Op) bool { return o.Coll == c || o.DstColl == c }) {
			st.after[c] = m.model[c].clone()
		}
	}
	m.life.steps = append(m.life.steps, st)
	err := m.s.Submit(&t, func() {
		st.mu.Lock()
		defer st.mu.Unlock()
		st.acked = true
		close(st.done) // a second callback panics
	})
	if err != nil {
		m.t.Fatalf("submit: %v", err)
	}
}

// wait waits until all is durable.
func (m *machine) wait() {
	for i, st := range m.life.steps {
		select {
		case <-st.done:
		case <-m.s.Failed():
			m.t.Fatalf("store failed before step %d of %d: %v", i, len(m.life.steps), m.s.Err())
		}
	}
	m.begin()
}

func (m *machine) restart() {
	m.must(m.s.Close())
	m.wait()
	m.s = m.disk.Open()
	m.must(m.s.Mount())
	m.compareAll()
}

// crash ends the store, and takes what it comes back with for the model, if that is
// a state it may have.
func (m *machine) crash() {
	m.disk.Crash(m.s)
	m.s = m.disk.Open()
	m.must(m.s.Mount())
	cuts := map[objectstore.Coll][]int{}
	got := model{}
	for c := range m.model {
		got[c] = m.load(c)
		cuts[c] = m.cuts(c, got[c])
	}
	if !m.consistent(cuts) {
		m.t.Fatalf("a transaction over two collections is there in part: states after the first %v of %d steps", cuts, len(m.life.steps))
	}
	m.model = got
	m.begin()
}

// begin makes the model's content the beginning of a new life.
func (m *machine) begin() {
	m.life = &life{base: model{}}
	for c, st := range m.model {
		m.life.base[c] = st.clone()
	}
}

// cuts returns the numbers of steps after which collection c was as got says, among
// those it may have been cut back to.
func (m *machine) cuts(c objectstore.Coll, got *state) []int {
	var out []int
	at, why := m.life.base[c], []string(nil)
	least := 0
	for i, st := range m.life.steps {
		st.mu.Lock()
		if _, ok := st.after[c]; ok && st.acked {
			least = i + 1
		}
		st.mu.Unlock()
	}
	for i := 0; i <= len(m.life.steps); i++ {
		if i > 0 {
			if after, ok := m.life.steps[i-1].after[c]; ok {
				at = after
			}
		}
		if i < least {
			continue
		}
		if d := at.differs(got); d == "" {
			out = append(out, i)
		} else {
			why = append(why, fmt.Sprintf("%d: %s", i, d))
		}
	}
	if len(out) == 0 {
		m.t.Fatalf("after a crash %v is in no state that it was in from step %d of %d on: %s", c, least, len(m.life.steps), strings.Join(why, "; "))
	}
	return out
}

// consistent reports whether one cut can be chosen for each collection so that no
// step is on both sides.
func (m *machine) consistent(cuts map[objectstore.Coll][]int) bool {
	colls := slices.SortedFunc(maps.Keys(cuts), objectstore.Coll.Compare)
	chosen := map[objectstore.Coll]int{}
	var try func(k int) bool
	try = func(k int) bool {
		if k == len(colls) {
			for i, st := range m.life.steps {
				in := 0
				for c := range st.after {
					if chosen[c] > i {
						in++
					}
				}
				if in != 0 && in != len(st.after) {
					return false
				}
			}
			return true
		}
		for _, n := range cuts[colls[k]] {
			chosen[colls[k]] = n
			if try(k + 1) {
				return true
			}
		}
		return false
	}
	return try(0)
}

func (m *machine) compareAll() {
	for c, want := range m.model {
		if d := want.differs(m.load(c)); d != "" {
			m.t.Fatalf("%v: %s", c, d)
		}
	}
}

// load reads a whole collection from the store.
func (m *machine) load(c objectstore.Coll) *state {
	out := newState()
	list, _, err := m.s.List(c, object.GMin, object.GMax, 1000)
	m.must(err)
	for _, id := range list {
		o := out.get(id)
		data, err := m.s.Read(c, id, 0, 0)
		m.must(err)
		o.data = slices.Clone(data.Flat())
		st, err := m.s.Stat(c, id)
		m.must(err)
		if st.Size != uint64(len(o.data)) {
			m.t.Fatalf("%v in %v: %d bytes read of %d", id, c, len(o.data), st.Size)
		}
		attrs, err := m.s.Attrs(c, id)
		m.must(err)
		for k, v := range attrs {
			o.attrs[k] = string(v)
		}
		it, err := m.s.OmapIter(c, id, "")
		m.must(err)
		for it.Next() {
			o.omap[it.Key()] = string(it.Value())
		}
		m.must(it.Err())
		m.must(it.Close())
		h, err := m.s.OmapHeader(c, id)
		m.must(err)
		o.header = string(h)
	}
	return out
}

// transaction draws one to four steps on one or two collections and applies them to
// store and model.
func (m *machine) transaction(rt *rapid.T) {
	c := modelColl(rapid.IntRange(0, modelColls-1).Draw(rt, "coll"))
	d := modelColl(rapid.IntRange(0, modelColls-1).Draw(rt, "other"))
	two := rapid.IntRange(0, 3).Draw(rt, "spread") == 0
	colls := []objectstore.Coll{c}
	if two && d != c {
		colls = append(colls, d)
	}
	n := rapid.IntRange(1, 4).Draw(rt, "steps")
	m.submit(colls, func(t *tx) {
		for range n {
			for _, at := range colls {
				m.draw(rt, t, at)
			}
		}
		if len(colls) == 2 {
			m.drawMove(rt, t, c, d)
		}
	})
}

func drawID(rt *rapid.T, label string) gid {
	return modelID(rapid.IntRange(0, modelObjects-1).Draw(rt, label))
}

// drawSize draws lengths from nothing to several blocks, with the edges of blocks and of
// the ways a write can take among them.
func drawSize(rt *rapid.T, label string) int {
	n := rapid.SampledFrom([]int{0, 1, 100, 4095, 4096, 4097, 8192, 20000, 40000, 70000}).Draw(rt, label)
	return n + rapid.IntRange(0, 3).Draw(rt, label+"+")*rapid.SampledFrom([]int{0, 1, 4096}).Draw(rt, label+"*")
}

func drawBytes(rt *rapid.T, label string) []byte {
	return pattern(rapid.IntRange(0, 1<<20).Draw(rt, label), drawSize(rt, label+" length"))
}

// draw adds a step on one collection.
func (m *machine) draw(rt *rapid.T, t *tx, c objectstore.Coll) {
	st := m.model[c]
	id := drawID(rt, "object")
	kind := rapid.IntRange(0, 19).Draw(rt, "kind")
	if kind >= 12 && st.objects[id] == nil {
		kind %= 12 // these need an object
	}
	switch kind {
	case 0:
		t.Touch(c, id)
		st.get(id)
	case 1, 2, 3:
		off, p := drawSize(rt, "offset"), drawBytes(rt, "data")
		t.Write(c, id, uint64(off), wire.BufOf(p))
		st.get(id).write(off, p)
	case 4:
		p := drawBytes(rt, "data")
		t.Truncate(c, id, 0)
		t.Write(c, id, 0, wire.BufOf(p))
		o := st.get(id)
		o.resize(0)
		o.write(0, p)
	case 5:
		p := drawBytes(rt, "data") // append
		o := st.get(id)
		t.Write(c, id, uint64(len(o.data)), wire.BufOf(p))
		o.write(len(o.data), p)
		if len(p) == 0 {
			t.Touch(c, id)
		}
	case 6:
		off, n := drawSize(rt, "offset"), drawSize(rt, "length")
		t.Zero(c, id, uint64(off), uint64(n))
		st.get(id).write(off, make([]byte, n))
	case 7:
		n := drawSize(rt, "size")
		t.Truncate(c, id, uint64(n))
		st.get(id).resize(n)
	case 8:
		t.Remove(c, id)
		delete(st.objects, id)
	case 9, 10:
		k := rapid.SampledFrom([]string{"_", "snapset", "a@b", "long"}).Draw(rt, "attr")
		v := pattern(rapid.IntRange(0, 99).Draw(rt, "value"), rapid.SampledFrom([]int{0, 35, 250, 2048, 2049, 5120}).Draw(rt, "value length"))
		t.SetAttr(c, id, k, v)
		st.get(id).attrs[k] = string(v)
	case 11:
		k, v := fmt.Sprint("k", rapid.IntRange(0, 20).Draw(rt, "key")), fmt.Sprint(rapid.IntRange(0, 99).Draw(rt, "value"))
		t.OmapSet(c, id, map[string][]byte{k: []byte(v), "k": []byte(v)})
		st.get(id).omap[k], st.get(id).omap["k"] = v, v
	default:
		m.drawExisting(rt, t, c, id, kind)
	}
}

func (m *machine) drawExisting(rt *rapid.T, t *tx, c objectstore.Coll, id gid, kind int) {
	st := m.model[c]
	o := st.objects[id]
	other := drawID(rt, "second object")
	switch kind {
	case 12:
		k := rapid.SampledFrom([]string{"_", "snapset", "a@b", "long"}).Draw(rt, "attr")
		t.RmAttr(c, id, k)
		delete(o.attrs, k)
	case 13:
		t.RmAttrs(c, id)
		clear(o.attrs)
	case 14:
		k := fmt.Sprint("k", rapid.IntRange(0, 20).Draw(rt, "key"))
		t.OmapRm(c, id, []string{k})
		delete(o.omap, k)
	case 15:
		a, b := fmt.Sprint("k", rapid.IntRange(0, 20).Draw(rt, "first")), fmt.Sprint("k", rapid.IntRange(0, 20).Draw(rt, "end"))
		t.OmapRmRange(c, id, a, b)
		maps.DeleteFunc(o.omap, func(k, _ string) bool { return k >= a && k < b })
	case 16:
		if rapid.Bool().Draw(rt, "clear") {
			t.OmapClear(c, id)
			clear(o.omap)
			o.header = ""
			return
		}
		o.header = fmt.Sprint("header", rapid.IntRange(0, 99).Draw(rt, "header"))
		t.OmapHeader(c, id, []byte(o.header))
	case 17:
		if other != id {
			t.Clone(c, id, other)
			st.objects[other] = o.clone()
		}
	case 18:
		if len(o.data) > 0 {
			off := rapid.IntRange(0, len(o.data)-1).Draw(rt, "from")
			n := rapid.IntRange(0, len(o.data)-off).Draw(rt, "n")
			to := drawSize(rt, "to")
			t.CloneRange(c, id, other, uint64(off), uint64(n), uint64(to))
			p := slices.Clone(o.data[off : off+n])
			st.get(other).write(to, p)
		}
	case 19:
		if st.objects[other] == nil {
			t.TryRename(c, id, other)
			st.objects[other] = o
			delete(st.objects, id)
		}
	}
}

// drawMove may move an object from one collection to the other.
func (m *machine) drawMove(rt *rapid.T, t *tx, c, d objectstore.Coll) {
	from, to := drawID(rt, "moved"), drawID(rt, "moved to")
	o := m.model[c].objects[from]
	if o == nil || m.model[d].objects[to] != nil {
		return
	}
	t.MoveRename(c, from, d, to)
	m.model[d].objects[to] = o
	delete(m.model[c].objects, from)
}
