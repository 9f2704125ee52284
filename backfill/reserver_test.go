package backfill_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"sepiola/backfill"
	"sepiola/object"
)

func pgid(n uint32) object.SPGID { return object.PGID{Pool: 1, Seed: n}.Whole() }

func text(ds []backfill.Decision) (out []string) {
	for _, d := range ds {
		word := "takes"
		if d.Granted {
			word = "gives"
		}
		out = append(out, fmt.Sprintf("%s %d", word, d.PG.Seed))
	}
	return out
}

// TestReserver protects the order in which PGs get their turn.
func TestReserver(t *testing.T) {
	var r backfill.Reserver
	ask := func(n, prio uint32) []string { return text(r.Ask(backfill.Request{PG: pgid(n), Priority: prio})) }
	for i, c := range []struct{ got, want []string }{
		{ask(1, 100), nil}, // no slots yet
		{text(r.SetMax(1)), []string{"gives 1"}},
		{ask(2, 100), nil},
		{ask(3, 140), []string{"takes 1", "gives 3"}}, // more urgent
		{ask(4, 100), nil},
		{ask(5, 180), []string{"takes 3", "gives 5"}},
		{text(r.Release(pgid(5))), []string{"gives 2"}}, // 1 and 3 lost their place: they ask again if they want
		{ask(1, 100), nil},
		{text(r.Release(pgid(9))), nil},
		{text(r.SetMax(2)), []string{"gives 4"}},
		{text(r.SetMax(1)), []string{"takes 4"}}, // the younger of two equals
		{text(r.Release(pgid(2))), []string{"gives 1"}},
		{ask(1, 220), []string{"gives 1"}}, // anew, with another priority
		{text(r.SetMax(0)), []string{"takes 1"}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("step %d: %v, want %v", i, c.got, c.want)
		}
	}
}

// TestReserverInvariants protects against slots that leak or are given twice,
// whatever is asked in what order.
func TestReserverInvariants(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var r backfill.Reserver
	slots := 0
	has := map[object.SPGID]bool{}
	for range 20000 {
		var ds []backfill.Decision
		pg := pgid(uint32(rng.IntN(12)))
		switch n := rng.IntN(10); {
		case n < 5:
			delete(has, pg)
			ds = r.Ask(backfill.Request{PG: pg, Priority: uint32(rng.IntN(4))})
		case n < 9:
			delete(has, pg)
			ds = r.Release(pg)
		default:
			slots = rng.IntN(4)
			ds = r.SetMax(slots)
		}
		for _, d := range ds {
			if has[d.PG] == d.Granted {
				t.Fatalf("%v: granted %v twice", d.PG, d.Granted)
			}
			if delete(has, d.PG); d.Granted {
				has[d.PG] = true
			}
		}
		if len(has) > slots || len(has) != len(r.Held()) {
			t.Fatalf("%d hold %d slots, known %d", len(r.Held()), slots, len(has))
		}
		if w := r.Waiting(); len(w) > 0 && len(has) < slots {
			t.Fatalf("%d of %d slots in use while %d wait", len(has), slots, len(w))
		}
	}
}

// TestPriorities protects the order among kinds of work, and Ceph's numbers, which
// other daemons compare ours with.
func TestPriorities(t *testing.T) {
	base := backfill.Need{Whole: 3, Acting: 3, Size: 3, MinSize: 2}
	with := func(f func(*backfill.Need)) backfill.Need { n := base; f(&n); return n }
	for _, c := range []struct {
		name     string
		need     backfill.Need
		rec, bak uint32
	}{
		{"misplaced", base, 190, 110},
		{"degraded", with(func(n *backfill.Need) { n.Degraded = true }), 190, 150},
		{"undersized", with(func(n *backfill.Need) { n.Degraded, n.Acting = true, 2 }), 190, 151},
		{"blocks clients", with(func(n *backfill.Need) { n.Degraded, n.Acting, n.Whole = true, 1, 1 }), 231, 231},
		{"forced", with(func(n *backfill.Need) { n.Forced = true }), 255, 254},
		{"pool's", with(func(n *backfill.Need) { n.PoolPriority = 99 }), 200, 120},
		{"pool's, low", with(func(n *backfill.Need) { n.PoolPriority = -10 }), 180, 100},
	} {
		if rec, bak := backfill.RecoveryPriority(c.need), backfill.BackfillPriority(c.need); rec != c.rec || bak != c.bak {
			t.Errorf("%s: %d and %d, want %d and %d", c.name, rec, bak, c.rec, c.bak)
		}
	}
}
