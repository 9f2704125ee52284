package peering

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pglog"
)

// drawInfos draws copies of a PG, at least one of which is whole.
func drawInfos(t *rapid.T) Infos {
	in := Infos{}
	for osd := range int32(rapid.IntRange(1, 6).Draw(t, "copies")) {
		i := pglog.NewInfo(object.PGID{Pool: 1}.Whole())
		i.LastUpdate = pglog.Version{Epoch: 10, V: rapid.Uint64Range(100, 600).Draw(t, "update")}
		i.LogTail = pglog.Version{Epoch: 10, V: rapid.Uint64Range(50, 300).Draw(t, "tail")}
		i.LastEpochStarted = 10
		i.Stats.Stats.Sum.NumObjectsMissing = rapid.Int64Range(0, 200).Draw(t, "missing")
		if osd > 0 && rapid.IntRange(0, 4).Draw(t, "backfilling") == 0 {
			i.LastBackfill = object.Min
		}
		in[osd] = &i
	}
	return in
}

// drawSet draws up to n distinct OSDs.
func drawSet(t *rapid.T, label string, n int) []int32 {
	all := rapid.Permutation([]int32{0, 1, 2, 3, 4, 5}).Draw(t, label)
	return slices.Clone(all[:rapid.IntRange(1, n).Draw(t, label+" number")])
}

// TestChoiceIsStable protects a PG from asking for one acting set after the other:
// once its wish is granted it wishes for nothing else. It protects members, too:
// everybody in the up set is one in one role, min_size act where they can, and the
// acting ones have logs that reach.
func TestChoiceIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInfos(t)
		size := rapid.IntRange(1, 4).Draw(t, "size")
		up := drawSet(t, "up", size)
		acting := drawSet(t, "acting", size)
		async := Async{MinCost: rapid.SampledFrom([]uint64{0, 1, 100, 250}).Draw(t, "async"),
			MinSize: rapid.IntRange(1, size).Draw(t, "min size")}
		auth, ok, _ := BestInfo(in, 0)
		if !ok {
			t.Fatal("no copy will do")
		}
		c := ChooseWithAsync(in, auth, up, acting, up[0], size, async)
		again := ChooseWithAsync(in, auth, up, c.Acting, up[0], size, async)
		if !slices.Equal(c.Acting, again.Acting) || !slices.Equal(c.Members, again.Members) {
			t.Fatalf("%+v, and once that is so %+v", c, again)
		}
		checkRoles(t, in, c, up, async)
		if plain := Choose(in, auth, up, acting, up[0], size); len(plain.AsyncRecovery) > 0 {
			t.Fatalf("%+v without being asked for", plain)
		} else if want := min(len(plain.Acting), async.MinSize); len(c.Acting) < want {
			t.Fatalf("%v act of %v, min_size is %d", c.Acting, plain.Acting, async.MinSize)
		}
	})
}

func checkRoles(t *rapid.T, in Infos, c Choice, up []int32, async Async) {
	roles := slices.Concat(c.Acting, c.Backfill, c.AsyncRecovery)
	slices.Sort(roles)
	if !slices.Equal(roles, c.Members) {
		t.Fatalf("%+v: somebody has two roles or none", c)
	}
	for _, osd := range up {
		if osd != osdmap.ItemNone && async.MinCost > 0 && !slices.Contains(roles, osd) {
			t.Fatalf("%+v: osd.%d is up and has no role", c, osd)
		}
	}
	for _, osd := range c.AsyncRecovery {
		if !slices.Contains(up, osd) {
			t.Fatalf("%+v: osd.%d would be a stray", c, osd)
		}
	}
	for _, osd := range append(slices.Clone(c.Acting), c.AsyncRecovery...) {
		if in[osd] == nil || in[osd].IsIncomplete() {
			t.Fatalf("%+v: osd.%d needs backfill", c, osd)
		}
	}
}
