package osdmap

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sepiola/internal/reftool"
	"sepiola/jsonfmt"
)

// sortRuns sorts each run of lines that have the prefix. Ceph lists blocklists
// in the order of a hash table, which differs between its own programs.
func sortRuns(s, prefix string) string {
	lines := strings.Split(s, "\n")
	for i := 0; i < len(lines); i++ {
		n := i
		for n < len(lines) && strings.HasPrefix(lines[n], prefix) {
			lines[n] = strings.TrimSuffix(lines[n], ",")
			n++
		}
		slices.Sort(lines[i:n])
		i = max(i, n-1)
	}
	return strings.Join(lines, "\n")
}

func inObject(pretty bool, fill func(w *jsonfmt.Writer)) string {
	w := jsonfmt.New(pretty)
	w.OpenObject("")
	fill(w)
	w.Close()
	return w.Text()
}

// cli is what the `ceph` program prints of an answer in JSON: an empty line
// first.
func cli(s string) string { return "\n" + jsonfmt.Lines(s) }

// The JSON of `ceph osd dump` has Ceph's fields, order and spelling.
func TestDumpJSON(t *testing.T) {
	for name, file := range map[string]string{"full.116": "dump-pretty.json", "range.full": "range.dump-pretty.json"} {
		got := inObject(true, goldenMap(t, name).DumpJSON)
		head, tail, _ := strings.Cut(string(golden(t, file)), `    "blocklist": {`)
		list, rest, _ := strings.Cut(tail, "    }")
		gotHead, gotTail, _ := strings.Cut(cli(got), `    "blocklist": {`)
		gotList, gotRest, _ := strings.Cut(gotTail, "    }")
		diffLines(t, file, gotHead, head)
		diffLines(t, file+" blocklist", sortRuns(gotList, "        "), sortRuns(list, "        "))
		diffLines(t, file, gotRest, rest)
	}
}

// The plain form of `ceph osd dump` is Ceph's, line by line.
func TestPrint(t *testing.T) {
	for name, file := range map[string]string{"full.116": "dump.txt", "range.full": "range.dump.txt"} {
		got := sortRuns(jsonfmt.Lines(goldenMap(t, name).Print()), "blocklist ")
		diffLines(t, file, got, sortRuns(string(golden(t, file)), "blocklist "))
	}
}

// Pools, trees and monitor maps print as Ceph prints them.
func TestOtherForms(t *testing.T) {
	m := goldenMap(t, "full.116")
	diffLines(t, "pools", m.PrintPools(), string(golden(t, "pools.txt")))
	diffLines(t, "tree", m.PrintTree(0, ""), string(golden(t, "tree.txt")))
	diffLines(t, "tree of those up", m.PrintTree(TreeUp, ""), string(golden(t, "tree-up.txt")))
	diffLines(t, "tree in JSON", cli(inObject(true, func(w *jsonfmt.Writer) { m.DumpTree(w, 0, "") })),
		string(golden(t, "tree-pretty.json")))
	diffLines(t, "tree of those down", cli(inObject(false, func(w *jsonfmt.Writer) { m.DumpTree(w, TreeDown, "") })),
		string(golden(t, "tree-down.json")))
	diffLines(t, "summary in JSON", "\n"+inObject(false, m.DumpSummary), string(golden(t, "stat.json")))

	for name, file := range map[string]string{"monmap": "mondump.txt", "monmap.two": "monmap.two.txt"} {
		mm, err := DecodeMonMap(golden(t, name))
		if err != nil {
			t.Fatal(err)
		}
		diffLines(t, file, mm.Print(), string(golden(t, file)))
	}
	mm, err := DecodeMonMap(golden(t, "monmap"))
	if err != nil {
		t.Fatal(err)
	}
	got := inObject(false, func(w *jsonfmt.Writer) {
		mm.DumpJSON(w)
		w.OpenArray("quorum") // which the monitor adds
		w.Int("", 0)
		w.Close()
	})
	diffLines(t, "monitors in JSON", cli(got), string(golden(t, "mondump.json")))
	if got, want := mm.Summary(), "e1: 1 mons at {a=v2:127.0.0.1:14310/0} removed_ranks: {}"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The plain summary counts OSDs, tells ages, and shows flags that matter.
func TestSummary(t *testing.T) {
	m := goldenMap(t, "full.116")
	const want = "6 osds: 3 up (since 21s), 6 in (since 4s); epoch: e116; 3 remapped pgs\n" +
		"  flags noout,nodeep-scrub,nosnaptrim\n"
	now := m.LastInChange.Add(4500 * time.Millisecond)
	if got := m.Summary(now, "  ", true); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := m.OneLine(); got != "e116: 6 total, 3 up, 6 in" {
		t.Error(got)
	}
}

// The real osdmaptool prints a map of ours as we print it.
func TestDumpsMatchOsdmaptool(t *testing.T) {
	tool := reftool.Need(t, "osdmaptool")
	m := largeMap(t, 256)
	file := filepath.Join(t.TempDir(), "map")
	if err := os.WriteFile(file, m.Encode(0), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		out, err := exec.Command(tool, append([]string{file}, args...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	diffLines(t, "print", strings.TrimSpace(m.Print()), run("--print"))
	diffLines(t, "json", strings.TrimSpace(inObject(true, m.DumpJSON)), run("--dump", "json-pretty"))
	diffLines(t, "tree", strings.TrimSpace(m.PrintTree(0, "")), run("--tree=plain"))
	diffLines(t, "tree in JSON", strings.TrimSpace(inObject(true, func(w *jsonfmt.Writer) { m.DumpTree(w, 0, "") })),
		run("--tree=json-pretty"))
}

// The real monmaptool reads a monitor map of ours as we mean it.
func TestMonMapMatchesMonmaptool(t *testing.T) {
	tool := reftool.Need(t, "monmaptool")
	m, err := DecodeMonMap(golden(t, "monmap.two"))
	if err != nil {
		t.Fatal(err)
	}
	m.Epoch++
	if err := m.Remove("a"); err != nil {
		t.Fatal(err)
	}
	if err := m.Add(MonInfo{Name: "c", Addrs: m.Mons["b"].Addrs}); err == nil {
		t.Error("two monitors with one address")
	}
	file := filepath.Join(t.TempDir(), "monmap")
	if err := os.WriteFile(file, m.Encode(), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, "--print", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(out), "\n")
	diffLines(t, "monmap", m.Print(), text)
}
