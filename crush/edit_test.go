package crush

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"sepiola/jsonfmt"
)

// TestDefaultMap protects the map of a new cluster: byte for byte the one a
// Ceph 16 monitor makes with the failure domain "osd".
func TestDefaultMap(t *testing.T) {
	m, err := NewDefaultOver("osd")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m.EncodeMap(), read(t, goldenDir+"/default.bin")) {
		t.Error("the default map differs from the reference's")
	}
	if s := NewDefault().Rules[0].Steps[1]; s != (Step{Op: OpChooseLeafFirstN, Arg2: 1}) {
		t.Errorf("the default rule chooses by %+v", s)
	}
}

// edit is one change, as the reference's crushtool does it and as we do.
type edit struct {
	args []string
	do   func(m *Map) error
}

// locArgs spells a location for crushtool.
func locArgs(loc map[string]string) []string {
	var args []string
	for _, typ := range slices.Sorted(maps.Keys(loc)) {
		args = append(args, "--loc", typ, loc[typ])
	}
	return args
}

func nameOf(rng *rand.Rand, names []string) string { return names[rng.IntN(len(names))] }

// randomEdit chooses a change that a map of the given names may go through.
func randomEdit(rng *rand.Rand, m *Map) edit {
	byType := map[string][]string{}
	for id, name := range m.ItemNames {
		if m.IsShadow(id) {
			continue
		}
		typ := m.TypeNames[0]
		if b := m.Bucket(id); b != nil {
			typ = m.TypeNames[int32(b.Type)]
		}
		byType[typ] = append(byType[typ], name)
	}
	for _, names := range byType {
		slices.Sort(names)
	}
	weight := []float64{0.25, 1, 1.5, 3.638}[rng.IntN(4)]
	loc := map[string]string{"host": nameOf(rng, append(byType["host"], "newhost", "otherhost"))}
	if rng.IntN(3) > 0 {
		loc["root"] = nameOf(rng, append(byType["root"], "newroot"))
	}
	if rng.IntN(3) == 0 {
		loc["rack"] = nameOf(rng, append(byType["rack"], "newrack"))
	}
	osd := int32(rng.IntN(int(m.MaxDevices) + 3))
	name := fmt.Sprintf("osd.%d", osd)
	words := []string{fmt.Sprint(osd), fmt.Sprint(weight), name}
	switch rng.IntN(8) {
	case 0:
		return edit{append(append([]string{"--add-item"}, words...), locArgs(loc)...),
			func(m *Map) error { return m.InsertItem(osd, weight, name, loc) }}
	case 1:
		return edit{append(append([]string{"--update-item"}, words...), locArgs(loc)...),
			func(m *Map) error { _, err := m.UpdateItem(osd, weight, name, loc); return err }}
	case 2:
		return edit{[]string{"--remove-item", name}, func(m *Map) error {
			id, ok := m.ItemID(name)
			if !ok {
				return errf(syscall.ENOENT, "no such item")
			}
			return m.RemoveItem(id, false)
		}}
	case 3:
		return edit{[]string{"--reweight-item", name, fmt.Sprint(weight)}, func(m *Map) error {
			id, ok := m.ItemID(name)
			if !ok {
				return errf(syscall.ENOENT, "no such item")
			}
			return m.AdjustItemWeight(id, weight)
		}}
	case 4:
		host := nameOf(rng, append(byType["host"], name))
		delete(loc, "host")
		if len(loc) == 0 {
			loc["root"] = "newroot"
		}
		return edit{append([]string{"--move", host}, locArgs(loc)...), func(m *Map) error {
			id, ok := m.ItemID(host)
			if !ok {
				return errf(syscall.ENOENT, "no such item")
			}
			if _, there := m.ItemAt(id, loc); there {
				return errf(syscall.EEXIST, "already there") // crushtool's own check
			}
			if id >= 0 {
				_, err := m.CreateOrMoveItem(id, 0, host, loc)
				return err
			}
			return m.MoveBucket(id, loc)
		}}
	}
	if rng.IntN(3) == 0 {
		return edit{[]string{"--reweight"}, (*Map).Reweight}
	}
	rule := fmt.Sprintf("new%d", rng.IntN(4))
	if rng.IntN(3) == 0 {
		return edit{[]string{"--create-simple-rule", rule, byType["root"][0], "osd", "indep"}, func(m *Map) error {
			_, err := m.AddSimpleRule(rule, byType["root"][0], "osd", "", "indep", RuleReplicated)
			return err
		}}
	}
	class := ""
	args := []string{"--create-replicated-rule", rule, byType["root"][0], "host"}
	if names := slices.Sorted(maps.Values(m.ClassNames)); len(names) > 0 && rng.IntN(2) == 0 {
		class = nameOf(rng, names)
		args = append(args, "--device-class", class)
	}
	return edit{args, func(m *Map) error {
		_, err := m.AddSimpleRule(rule, byType["root"][0], "host", class, "firstn", RuleReplicated)
		return err
	}}
}

// editableText is a map all of whose buckets are straw2, with classes and with
// weight sets of one position.
func editableText(seed uint64) string {
	var out strings.Builder
	for _, n := range ProfileTunables(ProfileDefault).named() {
		fmt.Fprintf(&out, "tunable %s %d\n", n.name, n.value)
	}
	for i := range 6 {
		fmt.Fprintf(&out, "device %d osd.%d class %s\n", i, i, []string{"ssd", "hdd"}[(i+int(seed))%2])
	}
	out.WriteString("type 0 osd\ntype 1 host\ntype 3 rack\ntype 11 root\n")
	for i := range 3 {
		fmt.Fprintf(&out, "host h%d {\n\talg straw2\n\titem osd.%d weight 1.5\n\titem osd.%d weight 2\n}\n", i, 2*i, 2*i+1)
	}
	out.WriteString("rack r0 {\n\talg straw2\n\titem h0\n\titem h1\n}\nroot top {\n\talg straw2\n\titem r0\n\titem h2\n}\n")
	out.WriteString("rule first {\n\tid 0\n\ttype replicated\n\tmin_size 1\n\tmax_size 10\n\tstep take top class ssd\n\tstep chooseleaf firstn 0 type host\n\tstep emit\n}\n")
	if seed%2 == 0 {
		out.WriteString("choose_args 18446744073709551615 {\n {\n bucket_id -1\n weight_set [ [ 1.25 2 ] ]\n }\n {\n bucket_id -3\n weight_set [ [ 1 1 ] ]\n }\n}\n")
	}
	return out.String()
}

// TestEditsMatchReference makes random sequences of changes by both programs
// and compares the maps after each: it protects bucket ids, shadow trees,
// weights and weight sets.
func TestEditsMatchReference(t *testing.T) {
	c := newTool(t)
	done := 0
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, 3))
		m, err := Compile("text", editableText(seed))
		if err != nil {
			t.Fatal(err)
		}
		for range 12 {
			bin := m.EncodeMap()
			e := randomEdit(rng, m)
			want, refErr := c.convert(append([]string{"-i", c.file(bin)}, e.args...)...)
			next := m.Clone()
			err := e.do(next)
			if (err == nil) != (refErr == nil) {
				t.Errorf("seed %d: %v: ours %v, reference %v", seed, e.args, err, refErr)
				break
			}
			if err != nil {
				if !bytes.Equal(next.EncodeMap(), bin) {
					t.Errorf("seed %d: %v changed the map and failed", seed, e.args)
				}
				continue
			}
			done++
			next.finalize() // crushtool does before it writes
			if !bytes.Equal(next.EncodeMap(), want) {
				ref, err := DecodeMap(want)
				if err != nil {
					t.Fatal(err)
				}
				refText, _ := ref.Decompile()
				text, _ := next.Decompile()
				before, _ := m.Decompile()
				diff(t, fmt.Sprintf("seed %d: %v", seed, e.args), text, refText)
				t.Errorf("seed %d: %v: the maps differ; before:\n%s", seed, e.args, before)
				break
			}
			m = next
		}
	}
	if done < 50 {
		t.Errorf("only %d changes were accepted by both", done)
	}
}

// TestDumpMatchesReference protects `osd crush dump`.
func TestDumpMatchesReference(t *testing.T) {
	c := newTool(t)
	for seed := range uint64(goldenSeeds) {
		path := goldenPath(seed, "bin")
		want, err := exec.Command(c.path, "-i", path, "--dump").Output()
		if err != nil {
			t.Fatal(err)
		}
		m, err := DecodeMap(read(t, path))
		if err != nil {
			t.Fatal(err)
		}
		w := jsonfmt.New(true)
		w.OpenObject("crush_map")
		m.Dump(w)
		w.Close()
		diff(t, path, strings.TrimSpace(w.Text()), strings.TrimSpace(string(want)))
	}
}

// TestClasses protects the life of a device class: shadow ids stay, a class
// goes with its last device unless a rule uses it.
func TestClasses(t *testing.T) {
	m := NewDefault()
	for osd := range int32(3) {
		loc := map[string]string{"host": fmt.Sprintf("h%d", osd), "root": "default"}
		if changed, err := m.CreateOrMoveItem(osd, 1, fmt.Sprintf("osd.%d", osd), loc); err != nil || !changed {
			t.Fatal(changed, err)
		}
		if changed, err := m.CreateOrMoveItem(osd, 2, fmt.Sprintf("osd.%d", osd), loc); err != nil || changed {
			t.Fatal("a second create-or-move changed the map", err)
		}
		if _, err := m.SetDeviceClass(osd, []string{"ssd", "hdd"}[osd%2]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.SetDeviceClass(0, "hdd"); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("a device of another class: %v", err)
	}
	shadow, ok := m.ItemID("default~ssd")
	if !ok || !slices.Equal(m.Leaves(shadow), []int32{0, 2}) {
		t.Fatalf("devices of class ssd: %v", m.Leaves(shadow))
	}
	rule, err := m.AddSimpleRule("fast", "default", "host", "ssd", "firstn", RuleReplicated)
	if err != nil {
		t.Fatal(err)
	}
	got := m.DoRule(rule, 7, 3, []uint32{One, One, One}, 1)
	slices.Sort(got)
	if !slices.Equal(got, []int32{0, 2}) {
		t.Errorf("the rule of class ssd gives %v", got)
	}
	for _, osd := range []int32{0, 1, 2} {
		if err := m.RemoveDeviceClass(osd); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := m.ClassID("hdd"); ok {
		t.Error("class hdd outlived its last device")
	}
	if id, ok := m.ItemID("default~ssd"); !ok || id != shadow {
		t.Error("the shadow a rule takes has gone or has another id")
	}
	if err := m.Validate(); err != nil {
		t.Error(err)
	}
	want := map[string]string{"host": "h1", "root": "default"}
	if loc := m.FullLocation(1); !maps.Equal(loc, want) {
		t.Errorf("location %v, want %v", loc, want)
	}
}

// TestSwapBucket protects `osd crush swap-bucket`: content and names change
// places, weights follow.
func TestSwapBucket(t *testing.T) {
	m, err := Compile("text", editableText(0))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.AdjustItemWeight(0, 5); err != nil {
		t.Fatal(err)
	}
	a, _ := m.ItemID("h0")
	b, _ := m.ItemID("h2")
	top, _ := m.ItemID("top")
	before, _ := m.ItemWeight(top)
	if err := m.SwapBucket(a, b); err != nil {
		t.Fatal(err)
	}
	if m.ItemName(a) != "h2" || m.ItemName(b) != "h0" || !slices.Equal(m.Children(b), []int32{0, 1}) {
		t.Errorf("after the swap %d is %s, %d is %s with %v", a, m.ItemName(a), b, m.ItemName(b), m.Children(b))
	}
	if w, _ := m.ItemWeight(top); w != before {
		t.Errorf("the root weighs %#x, before %#x", w, before)
	}
	if err := m.SwapBucket(a, top); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("swapping a bucket with one above it: %v", err)
	}
}

// TestWeightSets protects `osd crush weight-set`: sums follow upward and the
// mapping uses them.
func TestWeightSets(t *testing.T) {
	m, err := Compile("text", editableText(1))
	if err != nil {
		t.Fatal(err)
	}
	if !m.CreateChooseArgs(7, 1) || m.CreateChooseArgs(7, 1) {
		t.Fatal("weight sets are made once")
	}
	if err := m.AdjustWeightSet(7, 0, []float64{0}); err != nil {
		t.Fatal(err)
	}
	h0, _ := m.ItemID("h0")
	r0, _ := m.ItemID("r0")
	if got := m.ChooseArgs[7][r0].WeightSet[0][m.Bucket(r0).Index(h0)]; got != 2*One {
		t.Errorf("h0 weighs %#x in its parent's weight set, want 2.0", got)
	}
	rule, err := m.AddSimpleRule("all", "top", "osd", "", "firstn", RuleReplicated)
	if err != nil {
		t.Fatal(err)
	}
	in := []uint32{One, One, One, One, One, One}
	own, other := 0, 0
	for x := range int32(200) {
		if slices.Contains(m.DoRule(rule, x, 2, in, 7), 0) {
			own++
		}
		if slices.Contains(m.DoRule(rule, x, 2, in, 8), 0) {
			other++
		}
	}
	if own != 0 || other == 0 {
		t.Errorf("osd.0 got %d inputs by the weight set, %d without", own, other)
	}
	m.RemoveChooseArgs(7)
	if len(m.ChooseArgs) != 0 {
		t.Error("the weight sets are still there")
	}
}
