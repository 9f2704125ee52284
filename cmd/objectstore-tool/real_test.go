package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// realCase is a command line with what Ceph's tool left; see testdata/real/README.md.
type realCase struct {
	Name         string
	Args         []string
	Status       int
	Error        string
	Stdout       string
	StdoutBase64 []byte
}

// diskUse is what another file system may say otherwise.
var diskUse = regexp.MustCompile(`"blocks": ?\d+`)

// TestAsReal protects scripts that were written for Ceph's tool: with the PGs that it
// exported imported here, the same command lines print the same bytes, and fail with the
// same words and statuses.
func TestAsReal(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "real", "cases.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []realCase
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	dir := filledOSD(t)
	t.Chdir(filepath.Join("testdata", "real"))
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			want := c.Stdout + string(c.StdoutBase64)
			o := runTool("", append([]string{"--data-path", dir, "--no-mon-config"}, c.Args...)...)
			if o.status != c.Status {
				t.Errorf("status %d, want %d", o.status, c.Status)
			}
			if diskUse.ReplaceAllString(o.stdout, "") != diskUse.ReplaceAllString(want, "") {
				t.Errorf("standard output:\n%s\nwant:\n%s", o.stdout, want)
			}
			lines := strings.Split(strings.TrimRight(o.stderr, "\n"), "\n")
			if got := lines[len(lines)-1]; got != c.Error {
				t.Errorf("error %q, want %q", got, c.Error)
			}
		})
	}
}

// TestRealExportComesBack protects the encodings of an export: what Ceph's tool wrote,
// imported and exported again, is the same but for the first section, which has
// this store's superblock.
func TestRealExportComesBack(t *testing.T) {
	dir := filledOSD(t)
	for _, pg := range []string{"1.0", "1.3"} {
		want, err := os.ReadFile(realExport(t, pg))
		if err != nil {
			t.Fatal(err)
		}
		got := at(t, dir, "--op", "export", "--pgid", pg)
		if rest(t, got) != rest(t, string(want)) {
			t.Errorf("PG %s: the export differs from the real one", pg)
		}
	}
}

// rest returns an export from its metadata section on.
func rest(t *testing.T, export string) string {
	t.Helper()
	r := strings.NewReader(export)
	d, err := newDumpReader(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.next(); err != nil {
		t.Fatal(err)
	}
	return export[len(export)-r.Len():]
}
