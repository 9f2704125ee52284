package pglog

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sepiola/entity"
	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/osdmap"
)

// world is a dumb model of one copy's store: the version of each object, zero if
// it is not there.
type world map[object.ID]Version

// historyOf draws n changes that follow a state of the objects, and changes it.
func historyOf(t *rapid.T, label string, epoch uint32, first uint64, n int, now world) []Entry {
	var out []Entry
	for i := range n {
		o := objectNamed(rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, label+" object"))
		v := Version{epoch, first + uint64(i)}
		op := rapid.SampledFrom([]EntryOp{OpModify, OpModify, OpDelete, OpError}).Draw(t, label+" op")
		if op == OpDelete && now[o].IsZero() {
			op = OpModify
		}
		e := NewEntry(op, o, v, now[o])
		e.ReqID = ReqID{Name: entity.Client(int64(epoch)), TID: v.V}
		if rapid.Bool().Draw(t, label+" can be undone") {
			e.ModDesc = NewModDesc()
		}
		switch op {
		case OpModify:
			now[o] = v
		case OpDelete:
			now[o] = Version{}
		case OpError:
			e.PriorVersion = Version{}
		}
		out = append(out, e)
	}
	return out
}

func copyWorld(w world) world {
	c := world{}
	for o, v := range w {
		c[o] = v
	}
	return c
}

// cutLog returns a log of all entries but the first ones, so many.
func cutLog(all []Entry, cut int) Log {
	l := Log{Entries: slices.Clone(all[cut:])}
	if cut > 0 {
		l.Tail = all[cut-1].Version
	}
	l.Head = l.Tail
	if n := len(l.Entries); n > 0 {
		l.Head = l.Entries[n-1].Version
	}
	return l
}

// divergence is a copy and an authoritative log with a common past.
type divergence struct {
	own       Copy
	store     world // what the copy has
	auth      Log
	authWorld world // what it should have
	common    Version
}

func drawDivergence(t *rapid.T) divergence {
	now := world{}
	base := historyOf(t, "base", 1, 1, rapid.IntRange(1, 12).Draw(t, "common"), now)
	ownWorld, authWorld := copyWorld(now), copyWorld(now)
	next := uint64(len(base)) + 1
	// The own epoch may be the later one where members were given up as lost.
	epoch := rapid.SampledFrom([]uint32{2, 4}).Draw(t, "own epoch")
	div := historyOf(t, "own", epoch, next, rapid.IntRange(0, 6).Draw(t, "divergent"), ownWorld)
	news := historyOf(t, "auth", 3, next, rapid.IntRange(0, 6).Draw(t, "newer"), authWorld)
	cutOwn := rapid.IntRange(0, len(base)).Draw(t, "own tail")
	cutAuth := rapid.IntRange(0, len(base)).Draw(t, "auth tail")
	ownAll := append(slices.Clone(base), div...)
	ownLog := cutLog(ownAll, cutOwn)
	ownLog.CanRollbackTo = ownAll[rapid.IntRange(0, len(ownAll)-1).Draw(t, "rollback bound")].Version

	d := divergence{auth: cutLog(append(slices.Clone(base), news...), cutAuth), authWorld: authWorld,
		common: base[len(base)-1].Version, store: world{}}
	d.own = Copy{Info: NewInfo(object.PGID{Pool: 1}.Whole()), Missing: NewMissing()}
	d.own.Info.LastUpdate, d.own.Info.LogTail = ownLog.Head, ownLog.Tail
	log, err := Index(ownLog)
	if err != nil {
		t.Fatal(err)
	}
	d.own.Log = log
	// The copy recovered nothing of some objects since some point.
	behind := map[object.ID]int{}
	for _, name := range []string{"a", "b", "c", "d"} {
		behind[objectNamed(name)] = rapid.IntRange(0, 2*len(ownAll)).Draw(t, "behind since")
	}
	for i := range ownAll {
		n := &ownAll[i]
		switch {
		case n.IsError():
		case i >= behind[n.Object]:
			d.own.Missing.AddNext(n)
		case n.IsDelete():
			d.store[n.Object] = Version{}
		default:
			d.store[n.Object] = n.Version
		}
	}
	d.own.ResetLastComplete()
	d.own.Missing.TakeChanged()
	return d
}

// mayUndo reports whether the own log has an entry on the object that can be undone.
func (d *divergence) mayUndo(o object.ID) bool {
	return slices.ContainsFunc(d.own.Log.Entries(), func(n *Entry) bool { return n.Object == o && n.CanRollback() })
}

// carryOut does to the store what a plan asks for.
func (d *divergence) carryOut(p Plan) {
	for _, n := range p.Rollback {
		d.store[n.Object] = n.PriorVersion
	}
	for _, o := range p.Remove {
		d.store[o] = Version{}
	}
}

// TestMergeAgainstModel protects the merge as a whole: afterwards the log is the
// authoritative one, and an object is either as the authoritative history leaves
// it or missing at just that version, with nothing claimed that the store does
// not have.
func TestMergeAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawDivergence(t)
		before := describeCopy(d.own)
		p, err := MergeLog(d.own, d.auth, &Info{LastBackfill: object.Max})
		if err != nil {
			t.Fatal(err)
		}
		if after := describeCopy(d.own); after != before {
			t.Fatalf("the merge changed what it was given:\n%s\nwas\n%s", after, before)
		}
		checkLog(t, d, p.Copy.Log)
		d.carryOut(p)
		for _, name := range []string{"a", "b", "c", "d"} {
			o := objectNamed(name)
			item, missing := p.Copy.Missing.Get(o)
			want, have := d.authWorld[o], d.store[o]
			switch {
			case !missing && have != want:
				t.Fatalf("%s is not missing; the store has %v, the authority %v", name, have, want)
			case missing && item.Delete != want.IsZero():
				t.Fatalf("%s: %v, the authority has %v", name, item, want)
			case missing && !item.Delete && item.Need != want:
				t.Fatalf("%s needs %v, the authority has %v", name, item.Need, want)
			case missing && !item.Have.IsZero() && item.Have != have:
				t.Fatalf("%s is said to have %v, the store has %v", name, item.Have, have)
			}
		}
		if p.Copy.Info.LastUpdate != d.auth.Head || p.Copy.Info.LogTail != MinOf(d.own.Log.tail, d.auth.Tail) {
			t.Fatalf("info %v", &p.Copy.Info)
		}
	})
}

// checkLog compares a merged log with the authoritative one.
func checkLog(t *rapid.T, d divergence, got *IndexedLog) {
	if got.head != d.auth.Head {
		t.Fatalf("head %v, the authority's %v", got.head, d.auth.Head)
	}
	from := MaxOf(d.own.Log.tail, d.auth.Tail)
	var want, have []string
	for _, n := range d.auth.Entries {
		if from.Less(n.Version) {
			want = append(want, n.String())
		}
	}
	for _, n := range got.EntriesAfter(from) {
		have = append(have, n.String())
	}
	if !slices.Equal(want, have) {
		t.Fatalf("log after %v\n%q\nthe authority's\n%q", from, have, want)
	}
	rebuilt, err := Index(got.Log())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(keysOf(rebuilt), keysOf(got)) {
		t.Fatalf("indexes %v, rebuilt %v", keysOf(got), keysOf(rebuilt))
	}
}

// keysOf shows what a log's indexes lead to.
func keysOf(l *IndexedLog) map[string]Version {
	out := map[string]Version{}
	for o, n := range l.objects {
		out["object "+nameOf(o)] = n.Version
	}
	for r, n := range l.reqs {
		out["request "+r.String()] = n.Version
	}
	for r, u := range l.dupReqs {
		out["dup "+r.String()] = u.Version
	}
	return out
}

// TestReplicaAgreesWithMerge protects the primary's view: what it works out about a
// peer is what the peer itself will find when it merges the same log.
func TestReplicaAgreesWithMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawDivergence(t)
		auth, err := Index(d.auth)
		if err != nil {
			t.Fatal(err)
		}
		info, missing, err := ProcReplicaLog(auth, d.own.Log.Log(), &d.own.Info, d.own.Missing)
		if err != nil {
			t.Fatal(err)
		}
		missing.AddEntries(auth.EntriesAfter(info.LastUpdate), info.LastBackfill)
		p, err := MergeLog(d.own, d.auth, &Info{LastBackfill: object.Max})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a", "b", "c", "d"} {
			o := objectNamed(name)
			a, inA := missing.Get(o)
			b, inB := p.Copy.Missing.Get(o)
			if d.mayUndo(o) && b.Have.IsZero() {
				a.Have = b.Have // undone, says the primary; removed, finds the peer
			}
			if inA != inB || a.Need != b.Need || a.Delete != b.Delete || a.Have != b.Have {
				t.Fatalf("%s: the primary thinks %v %v, the peer finds %v %v", name, inA, a, inB, b)
			}
		}
	})
}

// TestPersistedEqualsMemory protects the incremental writes: after any sequence of
// appends, trims, merges and recoveries, what is loaded is what is in memory.
func TestPersistedEqualsMemory(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := drawDivergence(rt)
		c := d.own
		pg := c.Info.PGID
		s := storeWith(t, pg, nil)
		p := NewPersister(pg, true, false)
		past := osdmap.PastIntervals{}
		write := func(x Extra) {
			var tx objectstore.Transaction
			p.Write(&tx, &c.Info, c.Log, c.Missing, x)
			submit(t, s, &tx)
			back, err := Load(s, pg, true)
			if err != nil {
				rt.Fatal(err)
			}
			if a, b := describeCopy(back.Copy), describeCopy(c); a != b {
				rt.Fatalf("loaded\n%sin memory\n%s", a, b)
			}
			if rapid.Bool().Draw(rt, "restart") {
				c, p = back.Copy, back.Persister
			}
		}
		c = stored(c)
		write(Extra{Epoch: 1, PastIntervals: &past})
		for range rapid.IntRange(1, 8).Draw(rt, "steps") {
			x := step(rt, &c, d.auth, past)
			write(x)
		}
	})
}

// stored returns a copy all of which is still to be written.
func stored(c Copy) Copy {
	c = c.Clone()
	for _, n := range c.Log.entries {
		c.Log.delta.add(n)
	}
	for o := range c.Missing.items {
		c.Missing.touch(o)
	}
	return c
}

// step does one thing to a copy that a PG may do.
func step(t *rapid.T, c *Copy, auth Log, past osdmap.PastIntervals) Extra {
	switch rapid.SampledFrom([]string{"append", "trim", "merge", "got", "rewind", "reset"}).Draw(t, "step") {
	case "append":
		v := Version{max(c.Log.head.Epoch, 5), c.Log.head.V + 1}
		n := NewEntry(OpModify, objectNamed("z"), v, Version{})
		n.ReqID = ReqID{Name: entity.Client(9), TID: v.V}
		if err := c.Log.Append(&n); err != nil {
			t.Fatal(err)
		}
		c.Log.RollForwardTo(v)
		c.Info.LastUpdate = v
	case "trim":
		to := c.Log.head
		if n := c.Log.Len(); n > 0 {
			to = c.Log.entries[rapid.IntRange(0, n-1).Draw(t, "trim to")].Version
		}
		c.Log.Trim(to, TrimOptions{DupsTracked: 4, Max: 100})
		c.Info.LogTail = c.Log.tail
	case "merge":
		plan, err := MergeLog(*c, auth, &Info{LastBackfill: object.Max})
		if err == nil {
			*c = plan.Copy
			return Extra{PastIntervals: &past}
		}
	case "reset":
		plan, err := ResetForBackfill(*c, auth)
		if err != nil {
			t.Fatal(err)
		}
		*c = plan.Copy
		c.Info.LastUpdate, c.Info.LastComplete, c.Info.LogTail = c.Log.head, c.Log.head, c.Log.tail
		return Extra{PastIntervals: &past}
	case "got":
		for o, i := range c.Missing.ByNeed(Version{}) {
			if err := c.RecoverGot(o, i.Need); err != nil {
				t.Fatal(err)
			}
			break
		}
	case "rewind":
		to := c.Log.tail
		if n := c.Log.Len(); n > 0 {
			to = c.Log.entries[rapid.IntRange(0, n-1).Draw(t, "rewind to")].Version
		}
		plan, err := RewindDivergent(*c, to)
		if err != nil {
			t.Fatal(err)
		}
		*c = plan.Copy
		return Extra{PastIntervals: &past}
	}
	return Extra{}
}

// TestWriteCost protects what a write costs in steady state: two keys, that of its
// entry and the fast info, of so many bytes with what a real entry holds, and nothing
// else. Ceph's are as large (its entry is encoded the same). The info as a whole is
// five times that and not written; trims come in batches.
func TestWriteCost(t *testing.T) {
	pg := object.PGID{Pool: 1}.Whole()
	c := Copy{Info: NewInfo(pg), Log: &IndexedLog{}, Missing: NewMissing()}
	c.Info.Stats.Up, c.Info.Stats.Acting = []int32{0, 1, 2}, []int32{0, 1, 2}
	p := NewPersister(pg, false, false)
	var tx objectstore.Transaction
	p.Write(&tx, &c.Info, c.Log, c.Missing, Extra{Epoch: 1, PastIntervals: &osdmap.PastIntervals{}})
	o := object.Head(1, "", "", "rbd_data.10226b8b4567.0000000000000042", 7)
	keys := 0
	for v := uint64(1); v <= 1000; v++ {
		n := NewEntry(OpModify, o, Version{1, v}, Version{1, v - 1})
		n.ReqID = ReqID{Name: entity.Client(4123), TID: v}
		n.Mtime = time.Unix(1600000000, 0)
		n.Clean = AllClean().DirtyData(4096*v, 4096)
		if err := c.Log.Append(&n); err != nil {
			t.Fatal(err)
		}
		c.Log.RollForwardTo(n.Version)
		c.Info.LastUpdate, c.Info.LastComplete, c.Info.LastUserVersion = n.Version, n.Version, v
		c.Info.Stats.Stats.Sum.NumWr++
		tx = objectstore.Transaction{}
		p.Write(&tx, &c.Info, c.Log, c.Missing, Extra{})
		if len(tx.Ops) != 1 || tx.Ops[0].Kind != objectstore.OpOmapSet || len(tx.Ops[0].Pairs) != 2 {
			t.Fatalf("write %d: %d steps: %+v", v, len(tx.Ops), tx.Ops)
		}
		for _, k := range []struct {
			key   string
			bytes int
		}{{n.Key(), 234}, {keyFastInfo, 186}} {
			got, ok := tx.Ops[0].Pairs[k.key]
			if !ok || len(got) > k.bytes {
				t.Fatalf("write %d: key %q of %d bytes, at most %d are allowed", v, k.key, len(got), k.bytes)
			}
		}
		keys += len(tx.Ops[0].Pairs)
	}
	if keys != 2000 {
		t.Errorf("1000 writes took %d keys", keys)
	}
}

// TestTrimCost protects a writer from the trims of its log: over any number of writes
// each costs two keys, and one more with one removed when its entry becomes a
// duplicate; no removal is of more than trims at once.
func TestTrimCost(t *testing.T) {
	pg := object.PGID{Pool: 1}.Whole()
	c := Copy{Info: NewInfo(pg), Log: &IndexedLog{}, Missing: NewMissing()}
	p := NewPersister(pg, false, true)
	o := TrimOptions{Target: 250, Min: 100, Max: 10000, DupsTracked: 300}
	const writes = 2000
	set, removed := 0, 0
	for v := uint64(1); v <= writes; v++ {
		n := NewEntry(OpModify, objectNamed("a"), Version{1, v}, Version{})
		if err := c.Log.Append(&n); err != nil {
			t.Fatal(err)
		}
		c.Log.RollForwardTo(n.Version)
		c.Info.LastUpdate, c.Info.LastComplete = n.Version, n.Version
		c.Log.Trim(c.Log.TrimTarget(n.Version, o), o)
		c.Info.LogTail = c.Log.Tail()
		var tx objectstore.Transaction
		p.Write(&tx, &c.Info, c.Log, c.Missing, Extra{})
		for _, op := range tx.Ops {
			set, removed = set+len(op.Pairs), removed+len(op.Keys)
			if len(op.Keys) > 2*int(o.Min) {
				t.Fatalf("write %d removes %d keys", v, len(op.Keys))
			}
		}
	}
	if set > 3*writes || removed > 2*writes {
		t.Errorf("%d writes set %d keys and removed %d", writes, set, removed)
	}
}

// BenchmarkWrite measures what of a write the log, info and their encoding take.
func BenchmarkWrite(b *testing.B) {
	pg := object.PGID{Pool: 1}.Whole()
	c := Copy{Info: NewInfo(pg), Log: &IndexedLog{}, Missing: NewMissing()}
	c.Info.Stats.Up, c.Info.Stats.Acting = []int32{0, 1, 2}, []int32{0, 1, 2}
	p := NewPersister(pg, false, false)
	o := DefaultTrim()
	b.ReportAllocs()
	for v := uint64(1); b.Loop(); v++ {
		n := NewEntry(OpModify, objectNamed("a"), Version{1, v}, Version{})
		n.ReqID = ReqID{Name: entity.Client(4), TID: v}
		if err := c.Log.Append(&n); err != nil {
			b.Fatal(err)
		}
		c.Log.RollForwardTo(n.Version)
		c.Info.LastUpdate, c.Info.LastComplete = n.Version, n.Version
		c.Log.Trim(c.Log.TrimTarget(n.Version, o), o)
		c.Info.LogTail = c.Log.Tail()
		var tx objectstore.Transaction
		p.Write(&tx, &c.Info, c.Log, c.Missing, Extra{})
	}
}
