package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sepiola/objectstore"
	"sepiola/objectstore/filestore"
)

// TestObjectChanges protects what an operator repairs by hand: each command changes
// what it names, and nothing it leaves behind is wrong for fsck.
func TestObjectChanges(t *testing.T) {
	dir := filledOSD(t)
	file := filepath.Join(t.TempDir(), "value")
	big := bytes.Repeat([]byte("0123456789abcdef"), 200<<10)
	if err := os.WriteFile(file, big, 0o666); err != nil {
		t.Fatal(err)
	}
	at(t, dir, "obj1", "set-bytes", file)
	if got := at(t, dir, "obj1", "get-bytes"); got != string(big) {
		t.Errorf("set-bytes left %d bytes, want %d", len(got), len(big))
	}
	out := filepath.Join(t.TempDir(), "out")
	at(t, dir, "obj1", "get-bytes", out)
	if got, _ := os.ReadFile(out); !bytes.Equal(got, big) {
		t.Errorf("get-bytes wrote %d bytes, want %d", len(got), len(big))
	}
	refused(t, dir, 1, "(17) File exists", "obj1", "get-bytes", out)

	if o := runTool("v2", "--data-path", dir, "obj1", "set-attr", "_k2"); o.status != 0 {
		t.Fatal(o)
	}
	at(t, dir, "obj1", "rm-attr", "_k1")
	if got := at(t, dir, "obj1", "list-attrs"); got != "_\n_k2\nsnapset\n" {
		t.Errorf("attributes %q", got)
	}
	if o := runTool("v3", "--data-path", dir, "obj1", "set-omap", "key3", "-"); o.status != 0 {
		t.Fatal(o)
	}
	at(t, dir, "obj1", "rm-omap", "key1")
	if got := at(t, dir, "obj1", "list-omap"); got != "key2\nkey3\n" {
		t.Errorf("omap keys %q", got)
	}
	if o := runTool("head", "--data-path", dir, "obj1", "set-omaphdr"); o.status != 0 {
		t.Fatal(o)
	}
	if got := at(t, dir, "obj1", "get-omaphdr"); got != "head" {
		t.Errorf("omap header %q", got)
	}
	if got := at(t, dir, "--head", "obj2", "removeall"); !strings.Contains(got, "remove clone #1:104778fc:::obj2:1#\nremove #1:104778fc:::obj2:head#") {
		t.Errorf("removeall said %q", got)
	}
	if got := at(t, dir, "--op", "list", "obj2"); got != "" {
		t.Errorf("removeall left %s", got)
	}
	if got := at(t, dir, "--op", "fsck", "--deep"); got != "fsck success\n" {
		t.Errorf("fsck: %s", got)
	}
}

// TestDryRun protects --dry-run: the store stays as it is.
func TestDryRun(t *testing.T) {
	dir := filledOSD(t)
	at(t, dir, "--dry-run", "obj1", "rm-attr", "_k1")
	at(t, dir, "--dry-run", "obj1", "remove")
	at(t, dir, "--dry-run", "--op", "remove", "--pgid", "1.0")
	if got := at(t, dir, "obj1", "get-attr", "_k1"); got != "v1" {
		t.Errorf("attribute %q", got)
	}
	if got := at(t, dir, "--op", "list-pgs"); got != "1.0\n1.3\n" {
		t.Errorf("PGs %q", got)
	}
}

// TestRefusedStores protects the data of a running OSD, and of what is none of ours.
func TestRefusedStores(t *testing.T) {
	dir := newOSD(t)
	refused(t, dir, 1, "unrecognised option '--depp'", "--op", "fsck", "--depp")
	refused(t, dir, 1, "Must provide --op (", "--op", "makefs")
	refused(t, dir, 1, "mkfs failed: ", "--op", "mkfs")
	s := filestore.New(dir, filestore.Options{})
	if err := s.Mount(); err != nil {
		t.Fatal(err)
	}
	refused(t, dir, 1, "OSD has the store locked: stop the OSD first\n", "--op", "list")
	refused(t, dir, 1, "OSD has the store locked: stop the OSD first\n", "--op", "fsck")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if o := runTool("", "--data-path", dir, "--type", "bluestore", "--op", "list"); o.status != 0 ||
		o.stderr != "WARNING: Ignoring type \"bluestore\" - found data-path type \"filestore\"\n" {
		t.Errorf("another type: %+v", o)
	}
	if err := os.WriteFile(filepath.Join(dir, "type"), []byte("bluestore\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	refused(t, dir, 1, "Unable to create store of type bluestore\n", "--op", "list")
	refused(t, filepath.Join(dir, "nothing"), 1, "No such file or directory", "--op", "list")
}

// TestFsckNamesFlippedByte protects against damage that nobody reads: one changed bit
// in a data file is found and its block is named, by --deep only.
func TestFsckNamesFlippedByte(t *testing.T) {
	dir := filledOSD(t)
	if o := runTool(strings.Repeat("x", 10000), "--data-path", dir, "obj1", "set-bytes"); o.status != 0 {
		t.Fatal(o)
	}
	files, err := filepath.Glob(filepath.Join(dir, "current", "1.3_head", "obj1_*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files of obj1: %q, %v", files, err)
	}
	f, err := os.OpenFile(files[0], os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{'y'}, 5000); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got := at(t, dir, "--op", "fsck"); got != "fsck success\n" {
		t.Errorf("without --deep: %s", got)
	}
	for _, how := range [][]string{{"--op", "fsck", "--deep"}, {"--op", "fsck-deep"}} {
		refused(t, dir, 1, "fsck error: 1.3_head #1:ff7b1f36:::obj1:head# at byte 4096: the block fails its checksum\n", how...)
		refused(t, dir, 1, "fsck status: 1 remaining error(s) and warning(s)\n", how...)
	}
	refused(t, dir, 1, "get-bytes: (5) Input/output error", "obj1", "get-bytes")
	refused(t, dir, 1, "(5) Input/output error", "--op", "export", "--pgid", "1.3", "--file", filepath.Join(t.TempDir(), "x"))
}

// TestRemoveColl protects the removal of a PG with more objects than one transaction
// takes: nothing is left, and fsck agrees.
func TestRemoveColl(t *testing.T) {
	dir := filledOSD(t)
	c := objectstore.PGColl(readOrigin(t, realExport(t, "1.3")).meta.info.PGID)
	change(t, dir, func(*filestore.Store) *objectstore.Transaction {
		tx := &objectstore.Transaction{}
		for i := range 600 {
			g := metaID("o" + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + string(rune('a'+i/26)))
			g.Pool, g.Hash = 1, g.Hash&^3|3
			tx.Touch(c, g)
		}
		return tx
	})
	at(t, dir, "--op", "remove", "--force", "--pgid", "1.3")
	if got := at(t, dir, "--op", "list-pgs"); got != "1.0\n" {
		t.Errorf("PGs %q", got)
	}
	at(t, dir, "--op", "fsck", "--deep")
}
