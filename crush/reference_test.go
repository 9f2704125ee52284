package crush

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sepiola/internal/reftool"
)

var update = flag.Bool("update", false, "make the golden files anew with the reference's crushtool")

const goldenDir = "../testdata/golden/crush"

// goldenSeeds is how many random maps are kept as golden files.
const goldenSeeds = 15

// tool runs the reference's crushtool.
type tool struct {
	t    *testing.T
	path string
	dir  string
	n    int
}

func newTool(t *testing.T) *tool {
	return &tool{t: t, path: reftool.Need(t, "crushtool"), dir: t.TempDir()}
}

// file writes p where crushtool can read it.
func (c *tool) file(p []byte) string {
	c.t.Helper()
	c.n++
	path := filepath.Join(c.dir, fmt.Sprint(c.n))
	if err := os.WriteFile(path, p, 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}

// convert runs crushtool with an output file and returns that file's content.
func (c *tool) convert(args ...string) ([]byte, error) {
	c.t.Helper()
	out := c.file(nil)
	msg, err := exec.Command(c.path, append(args, "-o", out)...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%v: %s", err, msg)
	}
	p, err := os.ReadFile(out)
	if err == nil && len(p) == 0 {
		err = fmt.Errorf("crushtool %v wrote nothing: %s", args, msg)
	}
	return p, err
}

func (c *tool) mappings(bin []byte, rule, numRep, maxX int, weights map[int]float64) string {
	c.t.Helper()
	args := []string{
		"-i", c.file(bin), "--test", "--show-mappings", "--rule", fmt.Sprint(rule),
		"--num-rep", fmt.Sprint(numRep), "--min-x", "0", "--max-x", fmt.Sprint(maxX),
	}
	for osd, w := range weights {
		args = append(args, "--weight", fmt.Sprint(osd), fmt.Sprint(w))
	}
	out, err := exec.Command(c.path, args...).Output()
	if err != nil {
		c.t.Fatalf("crushtool %v: %v", args, err)
	}
	return string(out)
}

// ourMappings prints what mappings does, by our own mapper.
func ourMappings(m *Map, rule, numRep, maxX int, weights map[int]float64) string {
	w := testWeights(m, weights)
	total := uint32(0)
	for _, v := range w {
		total += v
	}
	if total == 0 {
		return ""
	}
	var out strings.Builder
	for x := range maxX + 1 {
		fmt.Fprintf(&out, "CRUSH rule %d x %d %s\n", rule, x, FormatResult(m.DoRule(rule, int32(x), numRep, w, 0)))
	}
	return out.String()
}

func testWeights(m *Map, weights map[int]float64) []uint32 {
	w := make([]uint32, m.MaxDevices)
	for i := range w {
		if v, ok := weights[i]; ok {
			w[i] = uint32(v * float64(One))
		} else if m.linked(int32(i)) {
			w[i] = One
		}
	}
	return w
}

// reweights are the device weights that a seed's mappings are made with.
func reweights(seed uint64, m *Map) map[int]float64 {
	rng := rand.New(rand.NewPCG(seed, 2))
	weights := make(map[int]float64)
	if seed%3 == 0 || m.MaxDevices == 0 {
		return weights
	}
	for range 1 + rng.IntN(4) {
		weights[rng.IntN(int(m.MaxDevices))] = []float64{0, 0.25, 0.5, 0.75}[rng.IntN(4)]
	}
	return weights
}

func numReps(seed uint64, rule int) int { return 2 + int(seed+uint64(rule)*3)%5 }

// goldenMappings is the content of a golden file of mappings.
func goldenMappings(m *Map, seed uint64, maxX int, mappings func(rule, numRep int, weights map[int]float64) string) string {
	var out strings.Builder
	for rule := range m.Rules {
		if m.Rules[rule] != nil {
			out.WriteString(mappings(rule, numReps(seed, rule), reweights(seed, m)))
		}
	}
	return out.String()
}

const goldenMaxX = 99

func goldenPath(seed uint64, suffix string) string {
	return filepath.Join(goldenDir, fmt.Sprintf("map%02d.%s", seed, suffix))
}

// TestUpdateGolden makes the golden files anew when asked to.
func TestUpdateGolden(t *testing.T) {
	if !*update {
		t.Skip("run with -update to make the golden files anew")
	}
	c := newTool(t)
	write := func(path string, p []byte) {
		if err := os.WriteFile(path, p, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for seed := range uint64(goldenSeeds) {
		text := generateText(seed)
		bin, err := c.convert("-c", c.file([]byte(text)))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		back, err := c.convert("-d", c.file(bin))
		if err != nil {
			t.Fatal(err)
		}
		m, err := DecodeMap(bin)
		if err != nil {
			t.Fatal(err)
		}
		write(goldenPath(seed, "source"), []byte(text))
		write(goldenPath(seed, "bin"), bin)
		write(goldenPath(seed, "txt"), back)
		write(goldenPath(seed, "mappings"), []byte(goldenMappings(m, seed, goldenMaxX, func(rule, numRep int, weights map[int]float64) string {
			return c.mappings(bin, rule, numRep, goldenMaxX, weights)
		})))
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	p, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestGolden compares text, binary form and mappings with what the reference
// made, without needing it.
func TestGolden(t *testing.T) {
	for seed := range uint64(goldenSeeds) {
		t.Run(fmt.Sprintf("map%02d", seed), func(t *testing.T) {
			source := string(read(t, goldenPath(seed, "source")))
			bin := read(t, goldenPath(seed, "bin"))
			compiled, err := Compile("source", source)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(compiled.EncodeMap(), bin) {
				t.Error("the compiled map differs")
			}
			m, err := DecodeMap(bin)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(m.EncodeMap(), bin) {
				t.Error("the map differs after decoding and encoding")
			}
			text, err := m.Decompile()
			if err != nil {
				t.Fatal(err)
			}
			diff(t, "text", text, string(read(t, goldenPath(seed, "txt"))))
			got := goldenMappings(m, seed, goldenMaxX, func(rule, numRep int, weights map[int]float64) string {
				return ourMappings(m, rule, numRep, goldenMaxX, weights)
			})
			diff(t, "mappings", got, string(read(t, goldenPath(seed, "mappings"))))
		})
	}
}

// diff reports the first line that differs.
func diff(t testing.TB, what, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Errorf("%s, line %d:\n got %s\nwant %s", what, i+1, g[i], w[i])
			return
		}
	}
	t.Errorf("%s: %d lines, want %d", what, len(g), len(w))
}

// TestReference does what TestGolden does for other maps and thousands of
// inputs, with the reference beside it.
func TestReference(t *testing.T) {
	c := newTool(t)
	seeds, maxX := uint64(12), 1999
	if testing.Short() {
		seeds, maxX = 5, 499
	}
	for seed := range seeds {
		seed += 1000
		text := generateText(seed)
		m, ourErr := Compile("source", text)
		bin, err := c.convert("-c", c.file([]byte(text)))
		if err != nil || ourErr != nil {
			t.Errorf("seed %d: reference %v, ours %v", seed, err, ourErr)
			continue
		}
		if !bytes.Equal(m.EncodeMap(), bin) {
			t.Errorf("seed %d: the compiled map differs", seed)
		}
		back, err := c.convert("-d", c.file(bin))
		if err != nil {
			t.Fatal(err)
		}
		if m, err = DecodeMap(bin); err != nil {
			t.Fatal(err)
		}
		ours, err := m.Decompile()
		if err != nil {
			t.Fatal(err)
		}
		diff(t, fmt.Sprintf("seed %d: text", seed), ours, string(back))
		for rule := range m.Rules {
			if m.Rules[rule] == nil {
				continue
			}
			n, weights := numReps(seed, rule), reweights(seed, m)
			diff(t, fmt.Sprintf("seed %d rule %d: mappings", seed, rule),
				ourMappings(m, rule, n, maxX, weights), c.mappings(bin, rule, n, maxX, weights))
		}
	}
}
