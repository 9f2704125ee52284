package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestImportRefusals protects a store against PGs that do not belong in it.
func TestImportRefusals(t *testing.T) {
	dir := newOSD(t)
	real, err := os.ReadFile(realExport(t, "1.3"))
	if err != nil {
		t.Fatal(err)
	}
	o := readOrigin(t, realExport(t, "1.3"))
	edited := func(edit func(p []byte)) string {
		p := bytes.Clone(real)
		edit(p)
		path := filepath.Join(t.TempDir(), "edited")
		if err := os.WriteFile(path, p, 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	fsid := bytes.Index(real, o.super.ClusterFSID[:])
	for _, c := range []struct {
		status int
		words  string
		edit   func(p []byte)
	}{
		{1, "Export came from different cluster with fsid ", func(p []byte) { p[fsid]++ }},
		{1, "Invalid magic number\nCorrupt input for import\n", func(p []byte) { p[0]++ }},
		{1, "Can't handle export format version=3\n", func(p []byte) { p[4]++ }},
		{1, "Bad footer magic\nCorrupt input for import\n", func(p []byte) { p[len(p)-headerSize-headerSize-1]++ }},
	} {
		refused(t, dir, c.status, c.words, "--op", "import", "--file", edited(c.edit))
	}
	at(t, dir, "--op", "import", "--file", realExport(t, "1.3"))
	refused(t, dir, 1, "pgid 1.3 already exists\n", "--op", "import", "--file", realExport(t, "1.3"))
}

// TestInterruptedImport protects against half a PG taken for a whole one: wherever an
// import ends, the next one starts over, and what it leaves is the same.
func TestInterruptedImport(t *testing.T) {
	dir := newOSD(t)
	real, err := os.ReadFile(realExport(t, "1.0"))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, superSize, superSize + 100, 4000, 6500, len(real) - headerSize} {
		o := runTool(string(real[:n]), "--data-path", dir, "--op", "import")
		if o.status != 1 || !strings.HasSuffix(o.stderr, "Corrupt input for import\n") {
			t.Fatalf("import of %d bytes: %+v", n, o)
		}
		if o := runTool("", "--data-path", dir, "--op", "info", "--pgid", "1.0"); o.status != 1 {
			t.Errorf("after %d bytes the PG has an info:\n%s", n, o.stdout)
		}
	}
	if got := at(t, dir, "--op", "import", "--file", realExport(t, "1.0")); !strings.HasPrefix(got, "finish_remove_pgs 1.0_head removing 1.0\nImporting pgid 1.0\n") {
		t.Errorf("the next import said %q", got)
	}
	if got := at(t, dir, "--op", "export", "--pgid", "1.0"); rest(t, got) != string(rest(t, string(real))) {
		t.Error("the PG is not as it was exported")
	}
	at(t, dir, "--op", "fsck", "--deep")
}

// FuzzExport protects the reader of exports: whatever bytes it is given, it returns an
// error or a section that was there, and allocates no more than came.
func FuzzExport(f *testing.F) {
	for _, pg := range []string{"1.0", "1.3"} {
		b, err := os.ReadFile(filepath.Join("testdata", "real", pg+".export"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		r, err := newDumpReader(bytes.NewReader(p))
		for err == nil {
			var kind sectionType
			var body []byte
			if kind, body, err = r.next(); err != nil {
				return
			}
			for _, f := range []func() error{
				func() error { _, err := decode("", body, decodePGBegin); return err },
				func() error { _, err := decode("", body, decodePGMetadata); return err },
				func() error { _, err := decode("", body, decodeObjectBegin); return err },
				func() error { _, err := decode("", body, decodeDataPart); return err },
				func() error { _, err := decode("", body, decodePairs); return err },
				func() error { _, err := decode("", body, decodeBlob); return err },
			} {
				_ = f()
			}
			if len(body) > len(p) {
				t.Fatal(fmt.Sprint("section ", kind, " has more bytes than the export"))
			}
		}
	})
}
