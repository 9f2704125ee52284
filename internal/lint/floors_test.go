// Package lint keeps rules about the code that the compiler does not.
package lint

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// floors are the packages from the ground up: a package imports only from floors
// below its own. Sub-packages stand on their parent's floor, below it.
var floors = [][]string{
	{"wire", "version", "jsonfmt", "texttable", "command", "hostinfo"},
	{"entity"},
	{"object", "config"},
	{"crush", "logging", "adminsocket"},
	{"auth"},
	{"osdmap"},
	{"msgr"},
	{"objectstore"},
	{"pglog"},
	{"message"},
	{"objclass"},
	{"backfill"},
	{"monclient"},
	{"pg"},
	{"rados"},
	{"mon"},
	{"osd"},
	{"sim"},
	{"cmd", "bench", "internal", "tests"},
}

// cores are packages that decide and must not know a clock, chance or
// concurrency; the calls named here are banned in them.
var (
	cores  = []string{"wire", "object", "crush", "osdmap", "pglog", "pg", "backfill", "message", "mon/state"}
	banned = []string{"time.Now(", "time.Sleep(", "time.After(", "rand.", "sync.Mutex", "sync.RWMutex", "sync.Cond", "sync.WaitGroup", "go func"}
)

func floorOf(pkg string) int {
	top, _, _ := strings.Cut(pkg, "/")
	for i, names := range floors {
		for _, n := range names {
			if n == top {
				return i
			}
		}
	}
	return -1
}

func sources(t *testing.T, each func(pkg, path string)) {
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && path != root && (strings.HasPrefix(e.Name(), ".") || e.Name() == "testdata" || e.Name() == "dev-cluster") {
			return filepath.SkipDir
		}
		rel, err := filepath.Rel(root, path)
		if err == nil && strings.HasSuffix(rel, ".go") {
			each(filepath.ToSlash(filepath.Dir(rel)), path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Imports go down, never up and never in a circle.
func TestImportsGoDown(t *testing.T) {
	sources(t, func(pkg, path string) {
		if strings.HasSuffix(path, "_test.go") {
			return // a test may use what stands above
		}
		from := floorOf(pkg)
		if from < 0 {
			t.Errorf("%s: package %s has no floor; give it one in floors", path, pkg)
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, im := range f.Imports {
			to, ok := strings.CutPrefix(strings.Trim(im.Path.Value, `"`), "sepiola/")
			top, _, _ := strings.Cut(to, "/")
			mine, _, _ := strings.Cut(pkg, "/")
			if !ok || top == mine {
				continue
			}
			if floorOf(to) > from || floorOf(to) == from && from != len(floors)-1 {
				t.Errorf("%s: imports %s, which is not below it", path, to)
			}
		}
	})
}

// What decides has no clock, no chance and no concurrency of its own.
func TestCoresArePure(t *testing.T) {
	sources(t, func(pkg, path string) {
		core := false
		for _, c := range cores {
			core = core || pkg == c || strings.HasPrefix(pkg, c+"/")
		}
		if !core || strings.HasSuffix(path, "_test.go") {
			return
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for n, line := range strings.Split(string(b), "\n") {
			code, _, _ := strings.Cut(line, "//")
			for _, call := range banned {
				if strings.Contains(code, call) {
					t.Errorf("%s:%d: %s in a core", path, n+1, strings.TrimRight(call, "("))
				}
			}
		}
	})
}

// No file is so long that it is more than one thing.
func TestFilesAreShort(t *testing.T) {
	const linesMax = 800
	sources(t, func(_, path string) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(b), "\n"); n > linesMax {
			t.Errorf("%s has %d lines; at most %d", path, n, linesMax)
		}
	})
}
