package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"sepiola/crush"
)

// defaultMaxX is the last input unless a range is given.
const defaultMaxX = 1023

// tester maps ranges of inputs (CrushTester::test, src/crush/CrushTester.cc).
type tester struct {
	o       options
	m       *crush.Map
	out     io.Writer
	weights []uint32
	ws      crush.Workspace
}

func test(m *crush.Map, o options, out, stderr io.Writer) error {
	if !o.mappings && !o.badMappings && !o.statistics {
		fmt.Fprintln(stderr, "WARNING: no output selected; use --show-X")
		return nil
	}
	if o.minRule < 0 || o.maxRule < 0 {
		o.minRule, o.maxRule = 0, len(m.Rules)-1
	}
	if o.minX < 0 || o.maxX < 0 {
		o.minX, o.maxX = 0, defaultMaxX
	}
	t := &tester{o: o, m: m, out: out, weights: make([]uint32, m.MaxDevices)}
	for _, b := range m.Buckets {
		if b == nil {
			continue
		}
		for _, item := range b.Items {
			if item >= 0 {
				t.weights[item] = crush.One
			}
		}
	}
	for osd, w := range o.weights {
		if osd >= 0 && osd < len(t.weights) {
			t.weights[osd] = w
		}
	}
	for rule := o.minRule; rule < len(m.Rules) && rule <= o.maxRule; rule++ {
		r := m.Rule(rule)
		if r == nil {
			if o.statistics {
				fmt.Fprintf(out, "rule %d dne\n", rule)
			}
			continue
		}
		if o.ruleset >= 0 && int(r.Ruleset) != o.ruleset {
			continue
		}
		t.rule(rule, r)
	}
	return nil
}

func (t *tester) rule(rule int, r *crush.Rule) {
	first, last := t.o.numRep, t.o.numRep
	if first < 0 {
		first, last = int(r.MinSize), int(r.MaxSize)
	}
	if t.o.statistics {
		fmt.Fprintf(t.out, "rule %d (%s), x = %d..%d, numrep = %d..%d\n", rule, t.m.RuleName(rule), t.o.minX, t.o.maxX, first, last)
	}
	total := 0
	for _, w := range t.weights {
		total += int(w)
	}
	if total == 0 {
		return
	}
	for n := first; n <= last; n++ {
		per, sizes := t.numRep(rule, n)
		if t.o.statistics {
			t.statistics(rule, n, per, sizes, total)
		}
	}
}

// numRep maps all inputs; it returns how many each device got, and how many
// results had which size.
func (t *tester) numRep(rule, n int) (per []int, sizes map[int]int) {
	per, sizes = make([]int, len(t.weights)), make(map[int]int)
	var devices []int32
	for x := t.o.minX; x <= t.o.maxX; x++ {
		input := int32(x)
		if t.o.pool >= 0 {
			input = int32(crush.Hash2(uint32(x), uint32(t.o.pool)))
		}
		devices = t.m.DoRuleIn(&t.ws, devices[:0], rule, input, n, t.weights, 0)
		if t.o.mappings {
			fmt.Fprintf(t.out, "CRUSH rule %d x %d %s\n", rule, x, crush.FormatResult(devices))
		}
		bad := len(devices) != n
		for _, d := range devices {
			if d >= 0 && int(d) < len(per) {
				per[d]++
			} else {
				bad = true
			}
		}
		sizes[len(devices)]++
		if bad && t.o.badMappings {
			fmt.Fprintf(t.out, "bad mapping rule %d x %d num_rep %d result %s\n", rule, x, n, crush.FormatResult(devices))
		}
	}
	return per, sizes
}

func (t *tester) statistics(rule, n int, per []int, sizes map[int]int, total int) {
	inputs := t.o.maxX - t.o.minX + 1
	for _, size := range slices.Sorted(maps.Keys(sizes)) {
		fmt.Fprintf(t.out, "rule %d (%s) num_rep %d result size == %d:\t%d/%d\n", rule, t.m.RuleName(rule), n, size, sizes[size], inputs)
	}
	placed := float32(min(n, t.reachable(rule)) * inputs)
	for d, stored := range per {
		expected := float32(t.weights[d]) / float32(total) * placed
		if t.o.utilization && expected > 0 && stored > 0 || !t.o.utilization && t.o.allDevicesUtilize {
			fmt.Fprintf(t.out, "  device %d:\t\t stored : %d\t expected : %s\n", d, stored, strconv.FormatFloat(float64(expected), 'g', 6, 32))
		}
	}
}

// reachable is the most devices the rule can give: of each type it chooses, as
// many as there are or as it asks for last. Like get_maximum_affected_by_rule
// this counts buckets once for each step that chooses their type, and devices
// not at all.
func (t *tester) reachable(rule int) int {
	asked, times := make(map[int32]int), make(map[int32]int)
	for _, s := range t.m.Rule(rule).Steps {
		if s.Op >= crush.OpChooseFirstN && s.Op != crush.OpEmit {
			asked[s.Arg2] = int(s.Arg1)
			times[s.Arg2]++
		}
	}
	most := max(len(t.m.Buckets), int(t.m.MaxDevices))
	for typ, want := range asked {
		n := 0
		for id := range t.m.ItemNames {
			if b := t.m.Bucket(id); b != nil && int32(b.Type) == typ {
				n += times[typ]
			}
		}
		if want > 0 && want < n {
			n = want
		}
		if n > 0 && n < most {
			most = n
		}
	}
	return most
}
