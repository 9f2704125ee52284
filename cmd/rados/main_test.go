package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sepiola/internal/refcluster/reftest"
	"sepiola/internal/reftool"
)

// outcome is what a run of either program leaves.
type outcome struct {
	stdout, stderr string
	status         int
	file           string // content of the file the step names "OUT"
}

func (o outcome) String() string {
	return fmt.Sprintf("status %d\n--- stdout\n%s--- stderr\n%s--- file\n%.200q", o.status, o.stdout, o.stderr, o.file)
}

// place is where both programs run: the same cluster, pool and directory.
type place struct {
	conf, pool, dir string
}

func ours(p place, args []string, stdin string) outcome {
	var stdout, stderr bytes.Buffer
	status := program{name: "rados", stdin: strings.NewReader(stdin), stdout: &stdout, stderr: &stderr}.run(context.Background(), args)
	return outcome{stdout: stdout.String(), stderr: stderr.String(), status: status}
}

func theirs(p place, args []string, stdin string) outcome {
	var stdout, stderr bytes.Buffer
	cmd := exec.Command("rados", args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	err := cmd.Run()
	status := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status = exit.ExitCode()
	} else if err != nil {
		status = -1
	}
	return outcome{stdout: stdout.String(), stderr: stderr.String(), status: status}
}

type runner func(p place, args []string, stdin string) outcome

// run carries out a step: words, in which OUT is a file to be written and compared,
// and names in braces are files that are there.
func (p place) run(r runner, s step) outcome {
	outFile := filepath.Join(p.dir, "out")
	os.Remove(outFile)
	args := []string{"-c", p.conf}
	if !s.noPool {
		args = append(args, "-p", p.pool)
	}
	for _, w := range s.words() {
		switch {
		case w == "OUT":
			w = outFile
		case strings.HasPrefix(w, "{"):
			w = filepath.Join(p.dir, strings.Trim(w, "{}"))
		case w == "POOL":
			w = p.pool
		}
		args = append(args, w)
	}
	o := r(p, args, s.stdin)
	if b, err := os.ReadFile(outFile); err == nil {
		o.file = string(b)
	}
	return normal(o)
}

// normal cuts usage texts down to their first line: they are each program's own.
func normal(o outcome) outcome {
	if i := strings.Index(o.stderr, "usage: rados [options] [commands]\n"); i >= 0 {
		o.stderr = o.stderr[:i] + "usage\n"
		if i := strings.Index(o.stdout, "  --conf/-c FILE"); i >= 0 {
			o.stdout = o.stdout[:i] // Ceph prints its generic options there
		}
	}
	o.stderr = reftool.WithoutLog(o.stderr)
	o.stdout = selected.ReplaceAllString(o.stdout, "selected snap N")
	return o
}

// selected tells a snapshot's number, which grows with each one made.
var selected = regexp.MustCompile(`selected snap [0-9]+`)

// step is one command line; changes says that it changes objects.
type step struct {
	line    string
	args    []string // instead of line, where words have spaces
	stdin   string
	noPool  bool
	changes bool
}

func (s step) words() []string {
	if s.args != nil {
		return s.args
	}
	return strings.Fields(s.line)
}

func do(line string) step   { return step{line: line, changes: true} }
func see(line string) step  { return step{line: line} }
func bare(line string) step { return step{line: line, noPool: true} }

// steps is a walk through all sub-commands and their errors.
var steps = []step{
	do("create a"), do("create a"), do("touch a 1600000000"), see("stat a"), see("stat2 a"), see("stat none"), see("stat2 none"),
	do("touch a later"), see("stat"), see("stat a -f json"),
	do("put a {small}"), see("get a OUT"), see("get a -"), do("put a {small} --offset 7"), see("get a OUT"),
	do("put big {big}"), see("get big OUT"), do("put big {big} -b 100000"), see("get big OUT -b 65536"), do("put big {small}"), see("get big -"),
	do("put empty {empty}"), see("get empty OUT"), do("put hole {empty} --offset 4K"), see("get hole OUT"),
	{line: "put piped -", stdin: "from a pipe", changes: true}, see("get piped -"),
	do("put a"), see("get a"), see("get none OUT"), see("get none -"), see("get a /none/of/that"),
	do("put a {small} -b x"), do("put a {small} -b 4X"), do("put a {small} -b 1Bi"), do("put a {small} -b -1"),
	do("put a {small} --block-size="), do("put a {small} --offset 1KiB"),
	do("append a {small}"), see("get a -"), {line: "append new -", stdin: "x", changes: true}, see("get new -"), do("append new"),
	do("truncate a 3"), see("get a -"), do("truncate fresh 5000"), do("truncate a -1"), do("truncate a x"), do("truncate a 99999999999"), do("truncate a"),
	see("get fresh OUT"),
	do("setxattr a k v"), do("setxattr a k2 two"), {line: "setxattr a piped", stdin: "in", changes: true}, see("listxattr a"), see("getxattr a k"),
	see("getxattr a piped"), see("getxattr a none"), see("getxattr none k"), see("listxattr none"), do("rmxattr a k"), do("rmxattr a k"),
	do("rmxattr none k"), see("listxattr a -f json"), do("setxattr a"), do("setxattr a b c d"), see("getxattr a"),
	do("setomapval a k1 v1"), {args: []string{"setomapval", "a", "key two", "a longer value, of more than a row"}, changes: true},
	{line: "setomapval a zeros", stdin: strings.Repeat("\x00", 100), changes: true}, {line: "setomapval a mixed", stdin: strings.Repeat("\x01\x02", 40), changes: true},
	{line: "setomapval a b --omap-key-file {binkey}", changes: true},
	see("listomapkeys a"), see("listomapvals a"), see("getomapval a k1"), see("getomapval a k1 OUT"), see("getomapval a zeros"), see("getomapval a none"),
	see("getomapval none k1"), see("getomapval a --omap-key-file {binkey}"), see("getomapval a --omap-key-file {empty}"),
	see("listomapkeys none"), see("listomapvals none"), see("listomapkeys"), do("rmomapkey a k1"), do("rmomapkey a k1"), do("rmomapkey none k1"),
	do("rmomapkey a"), see("listomapkeys a"), see("getomapheader a"), do("setomapheader a header"), see("getomapheader a"), see("getomapheader a OUT"),
	see("getomapheader none"), do("setomapheader a"), do("clearomap a"), see("listomapvals a"), see("getomapheader a"), do("clearomap none"), do("clearomap"),
	do("cp a copy"), see("get copy -"), see("listxattr copy"), do("cp a"), do("cp none b"), do("cp a a"), do("cp a b --target-nspace far"), do("cp a b c"),
	do("cp a b --target-pool none"), do("cp a located --target-locator key"), see("-N far get b -"), see("get located -"), see("get located - --object-locator key"),
	{line: "-N far put x -", stdin: "far", changes: true}, see("-N far ls"), do("-N far rm none"), see("-N far stat none"),
	see("ls"), see("ls -"), see("ls x"), see("ls -o OUT"), see("ls -f json"), see("ls --format json-pretty"), see("ls --format=json --pretty-format"),
	see("ls --all"), see("ls --all --default"), see("--all ls -f json"), see("ls --all -N far"), bare("ls"), see("ls --pgid 999999.1"), bare("ls --pgid x"),
	do("rm copy piped"), do("rm copy"), do("rm new none fresh"), see("stat fresh"), do("rm"), do("rm fresh --force-full"),
	do("set-alloc-hint hinted 4096 512"), do("set-alloc-hint hinted x 1"), do("set-alloc-hint hinted 1"), see("stat hinted -s none"),
	do("mksnap s1"), see("get hinted - -s s1"), see("get hinted - -s none"), see("ls --snapid 99"), do("rmsnap s1"), do("rmsnap none"), do("mksnap"), see("lssnap x"),
	bare("get a -"), bare("lspools -p none"), bare("df -p none"), bare("ls -p none"), bare("-N x lspools"), bare("--object-locator x lspools"), bare("-s x lspools"),
	see("there-is-none"), bare("mkpool x"), bare("rmpool x x --yes-i-really-really-mean-it"), bare("-p"), bare("lspools --format toml"), bare(""),
	see("bench"), see("bench 1"), see("bench x write"), see("bench 1 sideways"), see("bench 1 seq"), see("bench 1 rand --run-name none"), see("bench 1 seq -b 4K"),
	see("bench 1 rand --write-omap"), see("bench 1 write -t 0 --no-hints"), see("bench 1 write -o OUT"), see("bench 1 write --reuse-bench"),
	see("cleanup"), see("cleanup --prefix x"), see("cleanup --prefix benchmark_data_none"),
	see("purge"), bare("purge none --yes-i-really-really-mean-it"), bare("purge none"), bare("cppool"), bare("cppool none none"), bare("cppool none other"),
	bare("-c /none/of/that lspools"),
}

func newPlace(t *testing.T) place {
	t.Helper()
	p := place{conf: reftest.Conf(t), pool: fmt.Sprintf("cli%d", time.Now().UnixNano()), dir: t.TempDir()}
	for name, content := range map[string]string{
		"small": "Hello, world!\n", "empty": "", "big": strings.Repeat("0123456789abcdef", 600_001), "binkey": "bin\x01key",
	} {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ceph := func(args ...string) {
		if out, err := exec.Command("ceph", append([]string{"-c", p.conf}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("ceph %v: %v\n%s", args, err, out)
		}
	}
	ceph("osd", "pool", "create", p.pool, "8", "8")
	t.Cleanup(func() { ceph("osd", "pool", "delete", p.pool, p.pool, "--yes-i-really-really-mean-it") })
	return p
}

// Both programs print the same and end the same, step by step, each on what it has
// made itself, and each on what the other has made.
func TestLikeReference(t *testing.T) {
	p := newPlace(t)
	pass := func(change, look runner, skip func(i int) bool) []outcome {
		out := make([]outcome, len(steps))
		for i, s := range steps {
			r := look
			if s.changes {
				r = change
			}
			if !skip(i) {
				out[i] = p.run(r, s)
			}
		}
		if o := p.run(theirs, step{noPool: true, args: []string{"purge", p.pool, "--yes-i-really-really-mean-it"}}); o.status != 0 {
			t.Fatalf("emptying the pool: %v", o)
		}
		return out
	}
	none := func(int) bool { return false }
	want := pass(theirs, theirs, none)
	refused := func(i int) bool { return want[i].status != 0 }
	for _, c := range []struct {
		name         string
		change, look runner
		skip         func(int) bool
	}{{"ours", ours, ours, none}, {"ours reads theirs", theirs, ours, refused}, {"theirs reads ours", ours, theirs, refused}} {
		for i, got := range pass(c.change, c.look, c.skip) {
			if !c.skip(i) && got != want[i] {
				t.Errorf("%s: step %d: rados %s\ngot %v\nwant %v", c.name, i, strings.Join(steps[i].words(), " "), got, want[i])
			}
		}
	}
}

// The listing of pools, and the form of df, agree.
func TestPoolsLikeReference(t *testing.T) {
	p := newPlace(t)
	digits := regexp.MustCompile(`[0-9.]+ ([KMGTPE]i)?B|[0-9]+`)
	for _, line := range []string{"lspools", "lspools -f json", "lssnap", "df", "df -f json", "df -f json-pretty", "df -f plain"} {
		s := see(line)
		a, b := p.run(ours, s), p.run(theirs, s)
		if strings.HasPrefix(line, "df") {
			// The figures move on their own; what they are called does not.
			a.stdout = regexp.MustCompile(` +`).ReplaceAllString(digits.ReplaceAllString(a.stdout, "N"), " ")
			b.stdout = regexp.MustCompile(` +`).ReplaceAllString(digits.ReplaceAllString(b.stdout, "N"), " ")
		}
		if a != b {
			t.Errorf("rados %s\ngot %v\nwant %v", line, a, b)
		}
	}
}

var (
	// A run that is over at once has no interval, and no heading either.
	intervalLine = regexp.MustCompile(`(?m)^ *([0-9]+ +[0-9]+ +[0-9]+ +[0-9]+ |sec Cur ops ).*\n`)
	figures      = regexp.MustCompile(`-?[0-9]+(\.[0-9]+)?(e[+-][0-9]+)?`)
	dataItems    = regexp.MustCompile(`("datas":\[\{[^}]*\})(,\{[^}]*\})*`)
)

// shape leaves of a benchmark's output what does not depend on the moment.
func shape(o outcome) outcome {
	for _, s := range []*string{&o.stdout, &o.file} {
		*s = dataItems.ReplaceAllString(*s, "$1")
		*s = figures.ReplaceAllString(intervalLine.ReplaceAllString(*s, ""), "N")
	}
	return o
}

// Each program's benchmark reads, verifies and cleans up what the other's wrote, and
// their reports have the same form.
func TestBenchLikeReference(t *testing.T) {
	p := newPlace(t)
	const write = "bench 1 write -b 4K -O 16K -t 4 --no-cleanup"
	lines := []string{write, "bench 1 seq -t 4", "bench 1 rand -t 4", "bench 1 rand -t 4 -f json -o OUT", "ls --all", "cleanup", "ls --all",
		"-N apart " + write + " --run-name mine", "-N apart bench 1 seq --run-name mine", "--all cleanup --run-name mine -t 3",
		write + " --max-objects 2", "bench 1 seq -t 4", "cleanup --prefix benchmark_data --run-name none", "cleanup",
		"bench 1 write -b 1000 -t 2", "bench 1 write -b 4096 --write-omap -t 2", "bench 1 write -b 4096 --write-xattr -t 2 --max-objects 4", "ls"}
	for i, writer := range []runner{ours, theirs} {
		reader := []runner{theirs, ours}[i]
		for _, line := range lines {
			r, other := reader, writer
			if strings.Contains(line, "write") {
				r, other = writer, reader
			}
			got := p.run(r, see(line))
			if got.status != 0 || got.stderr != "" {
				t.Errorf("rados %s: %v", line, got)
			}
			if strings.Contains(line, "seq") || strings.Contains(line, "rand") || strings.Contains(line, write+" --max") {
				if want := shape(p.run(other, see(line))); shape(got) != want {
					t.Errorf("rados %s\ngot %v\nwant %v", line, shape(got), want)
				}
			}
			if strings.HasPrefix(line, "ls") && line != "ls --all" && got.stdout != "" {
				t.Errorf("left over:\n%.300s", got.stdout)
			}
		}
	}
	got := shape(p.run(ours, see("bench 1 write -b 4K --no-hints")))
	if want := shape(p.run(theirs, see("bench 1 write -b 4K --no-hints"))); got != want {
		t.Errorf("with cleaning up\ngot %v\nwant %v", got, want)
	}
}
