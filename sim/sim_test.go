package sim

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/pg"
	"sepiola/sim/check"
	"sepiola/wire"
)

// Whatever crashes, is cut off, comes late or fails, nothing that was acknowledged
// is lost, applied twice or out of order, and in the end all is clean: with seeds
// nobody has tried before.
func TestFreshSeeds(t *testing.T) {
	count := uint64(60)
	if testing.Short() {
		count = 20
	}
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		t.Fatal(err)
	}
	o := DefaultOptions()
	o.Seed = binary.LittleEndian.Uint64(b[:]) >> 16
	t.Logf("%d seeds from %d", count, o.Seed)
	if v := RunSeeds(o, count, nil).Violation; v != nil {
		t.Errorf("found by %s at event %d: %s\n%s", v.Checker, v.Step, v.Message, v.Replay)
	}
}

// Each class of faults by itself breaks nothing, and a run with it does something.
func TestEachClass(t *testing.T) {
	for _, c := range faultClasses {
		t.Run(c.name, func(t *testing.T) {
			o := DefaultOptions()
			o.Seed, o.Steps, o.Faults = 100, 1500, c.bit
			sum := RunSeeds(o, 4, nil)
			if v := sum.Violation; v != nil {
				t.Errorf("found by %s at event %d: %s\n%s", v.Checker, v.Step, v.Message, v.Replay)
			}
			if sum.Operations < 100 {
				t.Errorf("%d operations were answered", sum.Operations)
			}
		})
	}
}

// Other sizes than the default ones work.
func TestSizes(t *testing.T) {
	for _, o := range []Options{
		{OSDs: 1, Size: 1, MinSize: 1, PGs: 1}, {OSDs: 3, Size: 3, MinSize: 2, PGs: 5}, {OSDs: 7, Size: 2, MinSize: 1, PGs: 3},
		{OSDs: 5, Size: 5, MinSize: 3, PGs: 1},
	} {
		o.Seed, o.Steps, o.Faults = 1, 1500, AllFaults
		if v := RunSeeds(o, 4, nil).Violation; v != nil {
			t.Errorf("found by %s at event %d: %s\n%s", v.Checker, v.Step, v.Message, v.Replay)
		}
	}
}

// The same seed gives the same trace, to the byte, and another one another.
func TestSameTrace(t *testing.T) {
	var last string
	for seed := range uint64(8) {
		var traces [2]bytes.Buffer
		var hashes [2]string
		for i := range traces {
			o := DefaultOptions()
			o.Seed, o.Trace = seed, &traces[i]
			hashes[i] = Run(o).Hash
		}
		if !bytes.Equal(traces[0].Bytes(), traces[1].Bytes()) || hashes[0] != hashes[1] {
			t.Fatalf("seed %d gives different traces:%s", seed, difference(traces[0].String(), traces[1].String()))
		}
		if hashes[0] == last {
			t.Errorf("seeds %d and %d give the same trace", seed-1, seed)
		}
		last = hashes[0]
	}
}

func difference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return fmt.Sprintf("\n%s\n%s", x[i], y[i])
		}
	}
	return " one is longer"
}

// The first violation by the order of seeds is the one that is told, however many
// are run at once, and what comes after it does not count.
func TestFirstViolation(t *testing.T) {
	o := DefaultOptions()
	o.Seed = 10
	var told []uint64
	r := runner{opts: o, count: 1000, each: func(r Result) { told = append(told, r.Seed) },
		run: func(o Options) Result {
			res := Result{Seed: o.Seed, Events: 1}
			if o.Seed == 15 || o.Seed == 17 {
				res.Violation = &Violation{Message: fmt.Sprint(o.Seed)}
			}
			return res
		}}
	sum := r.all()
	if sum.Violation == nil || sum.Violation.Message != "15" || sum.Seed != 15 || sum.Done != 6 || sum.Events != 6 {
		t.Errorf("%+v", sum)
	}
	if len(told) != 6 || told[5] != 15 {
		t.Errorf("told of %v", told)
	}
}

// Lists of faults are read as they are written, and what cannot be had is refused.
func TestParseFaults(t *testing.T) {
	for s, want := range map[string]Faults{
		"all": AllFaults, "none": 0, "crash": FaultCrash, "crash, maps": FaultCrash | FaultMaps,
		"all,-lost": AllFaults &^ FaultLost, "crash,eio,-eio": FaultCrash,
	} {
		got, err := ParseFaults(s)
		if err != nil || got != want {
			t.Errorf("%q is %v, %v", s, got, err)
		}
		if again, err := ParseFaults(got.String()); err != nil || again != got {
			t.Errorf("%q is written %q, and that is %v, %v", s, got, again, err)
		}
	}
	for _, s := range []string{"", "rain", "crash,,maps", "-rain"} {
		if f, err := ParseFaults(s); err == nil {
			t.Errorf("%q is %v", s, f)
		}
	}
}

// What package pg learns to ask for must be wired here before it can be simulated.
func TestUnknownEffect(t *testing.T) {
	defer func() {
		if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), "not wired") {
			t.Errorf("an unknown effect: %v", r)
		}
	}()
	w := newWorld(calm())
	runSteps(w, 200)
	for _, n := range w.nodes {
		for _, s := range n.slots() {
			n.effect(s, strangeEffect{})
		}
	}
}

type strangeEffect struct{ pg.Note }

func calm() Options {
	o := DefaultOptions()
	o.Steps, o.Faults = 600, 0
	return o
}

func runSteps(w *world, n int) {
	for range n {
		w.step()
	}
}

// settled returns a world at rest in which all is as it should be.
func settled(t *testing.T) *world {
	t.Helper()
	w := newWorld(calm())
	w.safety()
	w.liveness()
	if got := violationOf(w.check); got != "" {
		t.Fatal(got)
	}
	return w
}

// violationOf returns who finds what in the course of f.
func violationOf(f func()) (found string) {
	defer func() {
		if v, ok := recover().(violation); ok {
			found = v.checker + ": " + v.message
		}
	}()
	f()
	return ""
}

// The checkers see each kind of damage to one copy: otherwise their silence would
// mean nothing.
func TestCheckersSeeDamage(t *testing.T) {
	type damage struct {
		name, want string
		do         func(tx *objectstore.Transaction, c objectstore.Coll, g object.GID)
	}
	for _, d := range []damage{
		{"data", "data", func(tx *objectstore.Transaction, c objectstore.Coll, g object.GID) {
			tx.Write(c, g, 0, wire.BufOf([]byte{'#'}))
		}},
		{"size", "bytes", func(tx *objectstore.Transaction, c objectstore.Coll, g object.GID) {
			tx.Truncate(c, g, 1000)
		}},
		{"attribute", "attribute", func(tx *objectstore.Transaction, c objectstore.Coll, g object.GID) {
			tx.SetAttr(c, g, "_extra", []byte("x"))
		}},
		{"omap", "omap", func(tx *objectstore.Transaction, c objectstore.Coll, g object.GID) {
			tx.OmapSet(c, g, map[string][]byte{"extra": nil})
		}},
		{"removed", "statistics", func(tx *objectstore.Transaction, c objectstore.Coll, g object.GID) { tx.Remove(c, g) }},
		{"temporary", "temporary object", func(tx *objectstore.Transaction, c objectstore.Coll, g object.GID) {
			g.Pool = object.TempPool(g.Pool)
			tx.Touch(c, g)
		}},
	} {
		t.Run(d.name, func(t *testing.T) {
			w := settled(t)
			cur := w.mon.newest()
			g := object.Head(poolID, "", "", appendPrefix+"0", cur.Pools[poolID].HashKey(appendPrefix+"0", ""))
			id := cur.RawPGToPG(object.PGID{Pool: poolID, Seed: g.Hash})
			replica := w.nodes[w.mapping(cur.Epoch, id).Acting[1]]
			var tx objectstore.Transaction
			d.do(&tx, objectstore.PGColl(id.Whole()), object.G(g))
			if err := replica.disk.Submit(&tx, nil); err != nil {
				t.Fatal(err)
			}
			if got := violationOf(w.check); !strings.HasPrefix(got, "copies: ") || !strings.Contains(got, d.want) {
				t.Errorf("found %q", got)
			}
		})
	}
}

// An answer that was given and is taken back in the store is found.
func TestCheckersSeeLoss(t *testing.T) {
	w := settled(t)
	for _, o := range w.history {
		if strings.HasPrefix(o.Object, appendPrefix) && o.Writes() {
			o.Steps = []check.Step{{Kind: check.Append, Val: "never sent;"}}
			break
		}
	}
	if got := violationOf(w.check); !strings.Contains(got, "acknowledged and is lost") {
		t.Errorf("found %q", got)
	}
}

// A cluster that cannot become clean is found, and the message says what is not.
func TestLivenessFails(t *testing.T) {
	w := newWorld(calm())
	w.safety()
	n := w.nodes[0]
	n.crash() // and nobody starts it again
	got := violationOf(w.liveness)
	if !strings.HasPrefix(got, "liveness: ") || !strings.Contains(got, "osd.0 alive false") {
		t.Errorf("found %.200q", got)
	}
}

// A broken promise inside the world is a violation with one command to replay it,
// and so is a panic.
func TestPanicIsAViolation(t *testing.T) {
	o := DefaultOptions()
	o.Trace = failingWriter{}
	v := Run(o).Violation
	if v == nil || v.Checker != "panic" || strings.Count(v.Replay, "go run ./cmd/sim") != 1 {
		t.Errorf("%+v", v)
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { panic(errors.New("no room")) }

// BenchmarkSeed measures one run with all faults.
func BenchmarkSeed(b *testing.B) {
	for i := range b.N {
		o := DefaultOptions()
		o.Seed = uint64(i)
		if r := Run(o); r.Violation != nil {
			b.Fatalf("%+v", r.Violation)
		}
	}
}
