package crush

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// textGenerator writes random maps in the text form: three levels of buckets
// of all algorithms, device classes, all kinds of rules, weight sets and
// tunables. The same seed gives the same text for all time.
type textGenerator struct {
	rng     *rand.Rand
	out     strings.Builder
	devices int
	classes []string
	// sizes are the numbers of items by bucket name, straw2 the ids of buckets
	// that can have weight sets.
	straw2 []genBucket
	nextID int
}

type genBucket struct {
	id, size int
	items    []int
}

func generateText(seed uint64) string {
	g := &textGenerator{rng: rand.New(rand.NewPCG(seed, 1)), nextID: -1}
	g.tunables(seed)
	g.header()
	g.hierarchy()
	g.rules()
	g.chooseArgs()
	return g.out.String()
}

func (g *textGenerator) line(format string, args ...any) { fmt.Fprintf(&g.out, format+"\n", args...) }

// one returns one of the choices.
func one[T any](g *textGenerator, choices ...T) T { return choices[g.rng.IntN(len(choices))] }

func (g *textGenerator) tunables(seed uint64) {
	profiles := []Profile{ProfileLegacy, ProfileBobtail, ProfileFirefly, ProfileHammer, ProfileJewel}
	t := ProfileTunables(profiles[seed%uint64(len(profiles))])
	if g.rng.IntN(3) == 0 {
		t.ChooseTotalTries = uint32(1 + g.rng.IntN(60))
		t.ChooseLeafVaryR = uint8(g.rng.IntN(5))
		t.ChooseLeafStable = uint8(g.rng.IntN(2))
		t.ChooseLocalTries = uint32(g.rng.IntN(4))
		t.ChooseLocalFallbackTries = uint32(g.rng.IntN(6))
		t.StrawCalcVersion = uint8(g.rng.IntN(2))
	}
	for _, n := range t.named() {
		g.line("tunable %s %d", n.name, n.value)
	}
}

func (g *textGenerator) header() {
	g.devices = 4 + g.rng.IntN(40)
	if g.rng.IntN(3) > 0 {
		g.classes = []string{"ssd", "hdd", "nvme"}[:1+g.rng.IntN(3)]
	}
	for i := range g.devices {
		class := ""
		if len(g.classes) > 0 && g.rng.IntN(5) > 0 {
			class = " class " + one(g, g.classes...)
		}
		if len(g.classes) > 0 && i == 0 {
			class = " class " + g.classes[0] // which rules take
		}
		g.line("device %d osd.%d%s", i, i, class)
	}
	for i, name := range []string{"osd", "host", "rack", "root"} {
		g.line("type %d %s # comment", i, name)
	}
}

// alg chooses the algorithm of a bucket. Maps with classes have no uniform ones,
// which cannot have shadows, and no trees, of whose shadows the reference
// writes node weights from memory it never set.
func (g *textGenerator) alg() string {
	if g.rng.IntN(3) == 0 {
		return "straw2"
	}
	algs := []string{"straw2", "straw", "list"}
	if len(g.classes) == 0 {
		algs = append(algs, "uniform", "tree")
	}
	return one(g, algs...)
}

func (g *textGenerator) weight() string {
	return one(g, "0", "1", "1.000", "0.5", "2.75", "0.001", "3.638", fmt.Sprintf("%.3f", g.rng.Float64()*20))
}

func (g *textGenerator) hierarchy() {
	var osds []string
	for i := range g.devices {
		osds = append(osds, fmt.Sprintf("osd.%d", i))
	}
	hosts := g.level("host", osds, 1+g.rng.IntN(6), 0)
	racks := g.level("rack", hosts, 1+g.rng.IntN(4), 0.2)
	g.level("root", racks, 1, 0.3)
}

// level distributes the items below over n buckets of a type; share is how
// likely an item is given without a weight.
func (g *textGenerator) level(typ string, below []string, n int, share float64) []string {
	var names []string
	per := (len(below) + n - 1) / n
	for i := 0; i < len(below); i += per {
		name := fmt.Sprintf("%s%d", typ, len(names))
		names = append(names, name)
		g.bucket(typ, name, below[i:min(i+per, len(below))], share)
	}
	return names
}

func (g *textGenerator) bucket(typ, name string, items []string, share float64) {
	g.line("%s %s {", typ, name)
	id := g.nextID
	g.nextID -= 1 + g.rng.IntN(3)
	g.line("\tid %d", id)
	alg := g.alg()
	g.line("\talg %s", alg)
	g.line("\thash %s", one(g, "0", "rjenkins1"))
	weight := one(g, "1", "2.5")
	var numbers []int
	for pos, item := range items {
		var n int
		if _, err := fmt.Sscanf(item, "osd.%d", &n); err == nil {
			numbers = append(numbers, n)
		} else {
			numbers = append(numbers, -1)
		}
		w := g.weight()
		if alg == "uniform" {
			w = weight
		}
		suffix := " weight " + w
		if g.rng.Float64() < share && alg != "uniform" {
			suffix = ""
		}
		if alg == "tree" {
			suffix += fmt.Sprintf(" pos %d", pos)
		}
		g.line("\titem %s%s", item, suffix)
	}
	g.line("}")
	if alg == "straw2" {
		g.straw2 = append(g.straw2, genBucket{id, len(items), numbers})
	}
}

func (g *textGenerator) rules() {
	for id := range 4 + g.rng.IntN(3) {
		if id == 2 && g.rng.IntN(2) == 0 {
			continue // a hole
		}
		g.line("rule rule%d {\n\tid %d\n\ttype %s\n\tmin_size 1\n\tmax_size %d", id, id, one(g, "replicated", "erasure"), 3+id)
		for range g.rng.IntN(3) {
			g.line("\tstep %s", one(g, "set_choose_tries 30", "set_chooseleaf_tries 5", "set_choose_local_tries 2",
				"set_choose_local_fallback_tries 3", "set_chooseleaf_vary_r 2", "set_chooseleaf_stable 0", "set_chooseleaf_stable 1"))
		}
		take := "step take root0"
		if len(g.classes) > 0 && g.rng.IntN(2) == 0 {
			take += " class " + g.classes[0]
		}
		mode := one(g, "firstn", "indep")
		g.line("\t%s", take)
		switch g.rng.IntN(5) {
		case 0:
			g.line("\tstep chooseleaf %s 0 type %s", mode, one(g, "host", "rack"))
		case 1:
			g.line("\tstep choose %s 0 type osd", mode)
		case 2:
			g.line("\tstep choose %s %d type rack\n\tstep chooseleaf %s %d type host", mode, 1+g.rng.IntN(3), mode, 1+g.rng.IntN(3))
		case 3:
			g.line("\tstep chooseleaf %s 1 type host\n\tstep emit\n\t%s\n\tstep chooseleaf %s -1 type host", mode, take, mode)
		case 4:
			g.line("\tstep choose %s 2 type host\n\tstep choose %s 2 type osd", mode, mode)
		}
		g.line("\tstep emit\n}")
	}
}

func (g *textGenerator) chooseArgs() {
	if len(g.straw2) == 0 || g.rng.IntN(2) == 0 {
		return
	}
	for _, id := range [][]string{{"0"}, {"3", "18446744073709551615"}, {"18446744073709551615"}}[g.rng.IntN(3)] {
		g.line("choose_args %s {", id)
		positions := 1 + g.rng.IntN(3)
		for _, b := range g.straw2 {
			if g.rng.IntN(3) == 0 {
				continue
			}
			g.line("  {\n    bucket_id %d\n    weight_set [", b.id)
			for range positions {
				words := ""
				for range b.size {
					words += g.weight() + " "
				}
				g.line("      [ %s]", words)
			}
			g.line("    ]")
			if g.rng.IntN(3) == 0 {
				words := ""
				for i := range b.size {
					words += fmt.Sprintf("%d ", -100-i-b.id)
				}
				g.line("    ids [ %s]", words)
			}
			g.line("  }")
		}
		g.line("}")
	}
}
