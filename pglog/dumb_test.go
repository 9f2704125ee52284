package pglog

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"sepiola/entity"
	"sepiola/object"
)

var (
	mergeCases = flag.Int("merge.cases", 10000, "how many random pairs of logs to merge")
	mergeSeed  = flag.Uint64("merge.seed", 1, "the first of their seeds")
)

// TestMergeAgainstDumb merges random logs and compares with a merge that is dumb and
// obviously right: it knows the whole history and which version of each object the
// store has, and works everything out from that alone.
func TestMergeAgainstDumb(t *testing.T) {
	for seed := *mergeSeed; seed < *mergeSeed+uint64(*mergeCases); seed++ {
		if err := mergeOnce(seed); err != nil {
			t.Fatalf("%v\nonce more: go test ./pglog -run AgainstDumb -merge.cases=1 -merge.seed=%d", err, seed)
		}
	}
}

// dumbCase is a copy, whose history is base and then div, that meets an authority,
// whose history is base and then auth.
type dumbCase struct {
	*rand.Rand
	base, div, auth   []Entry
	cutOwn, cutAuth   int // how many entries of base were trimmed from each log
	dupsOwn, dupsAuth int // how many of those are remembered as duplicates
	bound             Version
	backfill          object.ID
	deletes, canUndo  bool
	split             map[object.ID]bool // objects that went to a child
	store             world
	own               Copy
}

// outcome is what a merge comes to: the log, what is missing, and the store after
// removing and undoing.
type outcome struct {
	log     []Version
	head    Version
	tail    Version
	missing map[object.ID]MissingItem
	store   world
}

func mergeOnce(seed uint64) error {
	c := newDumbCase(seed)
	authLog := c.cut(c.auth, c.cutAuth, c.dupsAuth)
	own := describeCopy(c.own)
	p, err := MergeLog(c.own, authLog, &Info{LastBackfill: object.Max})
	got, want := c.realOutcome(p), c.dumbOutcome()
	story := func() string {
		return fmt.Sprintf("the copy\n%sstore %v, backfilled up to %s, cannot undo up to %v, deletes missing %v\nmeets\n%s",
			own, showWorld(c.store), nameOf(c.backfill), c.bound, c.deletes, describeLog(authLog))
	}
	if err != nil {
		return fmt.Errorf("%s%w", story(), err)
	}
	if a, b := got.String(), want.String(); a != b {
		return fmt.Errorf("%sand comes to\n%sbut it should to\n%s", story(), a, b)
	}
	if err := c.dumbRequests(p.Copy.Log); err != nil {
		return fmt.Errorf("%sand then\n%s%w", story(), describeCopy(p.Copy), err)
	}
	if err := c.asPrimary(authLog, p.Copy.Missing); err != nil {
		return fmt.Errorf("%s%w", story(), err)
	}
	return nil
}

// asPrimary checks that a primary that has the authoritative log works out of the
// copy's what the copy itself does. Where entries can be undone the primary takes it
// that they are, also where the copy finds a newer version and removes the object.
func (c *dumbCase) asPrimary(authLog Log, want *Missing) error {
	auth, err := Index(authLog)
	if err != nil || c.canUndo {
		return err
	}
	info, missing, err := ProcReplicaLog(auth, c.own.Log.Log(), &c.own.Info, c.own.Missing)
	if err != nil {
		return err
	}
	missing.AddEntries(auth.EntriesAfter(info.LastUpdate), info.LastBackfill)
	if a, b := describeMissing(missing), describeMissing(want); a != b {
		return fmt.Errorf("of which the primary thinks\n%sand the copy finds\n%s", a, b)
	}
	return nil
}

// dumbRequests checks which requests are known after a merge: those of the history
// that either log had, as entry or as duplicate, and none of those that diverged.
func (c *dumbCase) dumbRequests(l *IndexedLog) error {
	known := min(c.cutOwn-c.dupsOwn, c.cutAuth-c.dupsAuth)
	for i, n := range slices.Concat(c.base, c.auth, c.div) {
		if !n.IndexesReqID() || c.split[n.Object] {
			continue
		}
		r, ok := l.Lookup(n.ReqID)
		if want := i >= known && i < len(c.base)+len(c.auth); ok != want || ok && r.Version != n.Version {
			return fmt.Errorf("request %v of %v is known: %v, as of %v", n.ReqID, n.Version, ok, r.Version)
		}
	}
	return nil
}

// newDumbCase draws a case.
func newDumbCase(seed uint64) *dumbCase {
	c := &dumbCase{Rand: rand.New(rand.NewPCG(seed, 0)), backfill: object.Max, split: map[object.ID]bool{}}
	c.deletes, c.canUndo = c.IntN(4) > 0, c.IntN(4) == 0
	now := world{}
	c.base = c.history(1, 1, 1+c.IntN(12), now)
	next := uint64(len(c.base)) + 1
	divEpoch := []uint32{2, 2, 4}[c.IntN(3)]
	c.div = c.history(divEpoch, next, c.IntN(8), copyWorld(now))
	c.auth = c.history(3, next, c.IntN(8), copyWorld(now))
	c.cutOwn, c.cutAuth = c.IntN(len(c.base)+1), c.IntN(len(c.base)+1)
	c.dupsOwn, c.dupsAuth = c.IntN(c.cutOwn+1), c.IntN(c.cutAuth+1)
	if c.IntN(4) == 0 {
		c.backfill = objectNamed([]string{"a", "b", "c", "d"}[c.IntN(4)])
	}
	if c.IntN(4) == 0 {
		for _, n := range slices.Concat(c.base, c.div, c.auth) {
			c.split[n.Object] = n.Object.Hash&1 == 1
		}
	}
	all := slices.Concat(c.base, c.div)
	c.bound = all[c.IntN(len(all))].Version
	c.live(all)
	return c
}

// history draws n changes that follow a state of the objects, and changes it.
func (c *dumbCase) history(epoch uint32, first uint64, n int, now world) []Entry {
	var out []Entry
	for v := first; v < first+uint64(n); v++ {
		e := c.change(Version{epoch, v}, now)
		if e.Op == OpModify || e.Op == OpDelete || e.Op == OpError {
			e.ReqID = ReqID{Name: entity.Client(int64(epoch)), TID: v}
		}
		if c.canUndo && c.IntN(3) > 0 {
			e.ModDesc = NewModDesc()
		}
		switch {
		case e.IsError():
		case e.IsDelete():
			now[e.Object] = Version{}
		default:
			now[e.Object] = e.Version
		}
		out = append(out, e)
	}
	return out
}

// change draws one change.
func (c *dumbCase) change(v Version, now world) Entry {
	head := objectNamed([]string{"a", "b", "c", "d"}[c.IntN(4)])
	clone := head
	clone.Snap = 1
	if _, made := now[clone]; c.IntN(6) == 0 && (made || !now[head].IsZero()) {
		switch {
		case !made:
			return NewEntry(OpClone, clone, v, now[head])
		case now[clone].IsZero():
		case c.IntN(2) == 0:
			return NewEntry(OpDelete, clone, v, now[clone])
		default:
			return NewEntry(OpModify, clone, v, now[clone])
		}
	}
	if c.IntN(7) == 0 {
		return NewEntry(OpError, head, v, Version{})
	}
	ops := []EntryOp{OpModify, OpPromote}
	if !now[head].IsZero() {
		ops = []EntryOp{OpModify, OpModify, OpModify, OpDelete, OpDelete, OpLostRevert, OpLostDelete, OpLostMark, OpClean, OpPromote}
	}
	return NewEntry(ops[c.IntN(len(ops))], head, v, now[head])
}

// cut returns the log of base and what follows it, without the first entries, the last
// of which are duplicates, and without those that went elsewhere.
func (c *dumbCase) cut(after []Entry, first, dups int) Log {
	l := cutLog(slices.Concat(c.base, after), first)
	for _, n := range c.base[first-dups : first] {
		l.Dups = append(l.Dups, DupOf(&n))
	}
	l.Entries = slices.DeleteFunc(l.Entries, func(n Entry) bool { return c.split[n.Object] })
	return l
}

// live makes the copy what it is: of each object it has applied the changes up to
// some point, and logged the others.
func (c *dumbCase) live(all []Entry) {
	l := c.cut(c.div, c.cutOwn, c.dupsOwn)
	l.CanRollbackTo = c.bound
	log, err := Index(l)
	if err != nil {
		panic(err)
	}
	c.own = Copy{Log: log, Missing: &Missing{IncludesDeletes: c.deletes}, Info: NewInfo(object.PGID{Pool: 1}.Whole())}
	c.own.Info.LastUpdate, c.own.Info.LogTail, c.own.Info.LastBackfill = l.Head, l.Tail, c.backfill
	c.store = world{}
	lag := map[object.ID]int{}
	for i := range all {
		n := &all[i]
		if _, ok := lag[n.Object]; !ok {
			lag[n.Object] = c.IntN(2 * len(all))
		}
		switch {
		case n.IsError() || c.backfill.Less(n.Object) || c.split[n.Object]:
		case i >= lag[n.Object]:
			for _, o := range c.own.Missing.AddEntries([]*Entry{n}, c.backfill) {
				c.store[o] = Version{}
			}
		case n.IsDelete():
			c.store[n.Object] = Version{}
		default:
			c.store[n.Object] = n.Version
		}
	}
	c.own.ResetLastComplete()
}

// realOutcome carries a plan out.
func (c *dumbCase) realOutcome(p Plan) outcome {
	out := outcome{missing: map[object.ID]MissingItem{}, store: copyWorld(c.store)}
	if p.Copy.Log == nil {
		return out
	}
	out.head, out.tail = p.Copy.Log.Head(), p.Copy.Log.Tail()
	for _, n := range p.Copy.Log.Entries() {
		out.log = append(out.log, n.Version)
	}
	for _, n := range p.Rollback {
		out.store[n.Object] = n.PriorVersion
	}
	for _, o := range p.Remove {
		out.store[o] = Version{}
	}
	maps.Copy(out.missing, p.Copy.Missing.items)
	return out
}

// dumbOutcome works out what a merge must come to.
func (c *dumbCase) dumbOutcome() outcome {
	out := outcome{missing: map[object.ID]MissingItem{}, store: world{}}
	l := c.cut(c.auth, min(c.cutOwn, c.cutAuth), 0)
	out.head, out.tail = l.Head, l.Tail
	for _, n := range l.Entries {
		out.log = append(out.log, n.Version)
	}
	for _, n := range slices.Concat(c.base, c.div, c.auth) {
		if !c.split[n.Object] {
			c.dumbObject(n.Object, &out)
		}
	}
	return out
}

// dumbObject works out one object.
func (c *dumbCase) dumbObject(o object.ID, out *outcome) {
	base, div, auth := changesOf(o, c.base), changesOf(o, c.div), changesOf(o, c.auth)
	have := c.store[o]
	if c.backfill.Less(o) {
		out.store[o] = have // nothing is done about it
		return
	}
	was, wasMissing := c.own.Missing.Get(o)
	if len(div) > 0 {
		have = c.dumbUndo(div, auth, have, was, wasMissing)
	}
	if !c.deletes && slices.ContainsFunc(auth, Entry.isDeletion) {
		have = Version{}
	}
	out.store[o] = have
	switch {
	case len(auth) > 0:
		// It lacks what the authority did.
		last := auth[len(auth)-1]
		item := MissingItem{Need: last.Version, Have: have, Delete: last.IsDelete()}
		if slices.ContainsFunc(auth, Entry.startsAnew) || wasMissing && was.Have.IsZero() {
			item.Have = Version{}
		}
		if c.deletes || !item.Delete {
			out.missing[o] = item
		}
	case len(div) == 0:
		if wasMissing {
			out.missing[o] = was // nothing happened to it
		}
	default:
		// It should be as both had it.
		common := Version{}
		if len(base) > 0 && !base[len(base)-1].IsDelete() {
			common = base[len(base)-1].Version
		}
		if have != common {
			out.missing[o] = MissingItem{Need: common, Have: have}
		}
	}
}

// dumbUndo returns what of an object is left when the divergent changes are gone.
func (c *dumbCase) dumbUndo(div, auth []Entry, have Version, was MissingItem, wasMissing bool) Version {
	first := div[0]
	undoable := !slices.ContainsFunc(div, func(n Entry) bool { return !n.CanRollback() || n.Version.AtMost(c.bound) })
	divergent := slices.ContainsFunc(div, func(n Entry) bool { return n.Version == have })
	switch {
	case len(auth) == 0 && first.startsAnew():
		return Version{} // it was never there
	case len(auth) == 0 && !wasMissing && undoable:
		return first.PriorVersion
	case divergent, wasMissing && was.Have.IsZero():
		return Version{} // of no use, or not known what it is
	}
	return have
}

func changesOf(o object.ID, entries []Entry) []Entry {
	var out []Entry
	for _, n := range entries {
		if n.Object == o && !n.IsError() {
			out = append(out, n)
		}
	}
	return out
}

func (n Entry) isDeletion() bool { return n.IsDelete() }

// startsAnew reports whether nothing of before the entry is of use for it.
func (n Entry) startsAnew() bool { return n.PriorVersion.IsZero() || n.IsClone() }

// String shows all there is to compare.
func (o outcome) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "log (%v,%v] of %v\n", o.tail, o.head, o.log)
	for _, id := range slices.SortedFunc(maps.Keys(o.missing), object.ID.Compare) {
		i := o.missing[id]
		fmt.Fprintf(&b, "missing %s %v %v %v\n", nameOf(id), i.Need, i.Have, i.Delete)
	}
	return b.String() + "store " + showWorld(o.store) + "\n"
}

func showWorld(w world) string {
	var out []string
	for _, id := range slices.SortedFunc(maps.Keys(w), object.ID.Compare) {
		if !w[id].IsZero() {
			out = append(out, nameOf(id)+"="+w[id].String())
		}
	}
	return fmt.Sprint(out)
}
