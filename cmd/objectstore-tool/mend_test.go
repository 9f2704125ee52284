package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sepiola/objectstore"
	"sepiola/objectstore/filestore"
	"sepiola/pglog"
)

// fields returns what an operation prints, taken apart.
func fields(t *testing.T, dir string, args ...string) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(at(t, dir, args...)), &out); err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return out
}

// TestSuperblockAndMaps protects the way out where an OSD's own objects are damaged: what
// one OSD gave is taken by another, and what an OSD could not read is not.
func TestSuperblockAndMaps(t *testing.T) {
	dir, file := filledOSD(t), filepath.Join(t.TempDir(), "file")
	super := at(t, dir, "--op", "dump-super")
	if s := fields(t, dir, "--op", "dump-super"); s["current_epoch"] != 10.0 || s["oldest_map"] != 9.0 {
		t.Errorf("superblock %v", s)
	}
	if got := at(t, dir, "--op", "get-superblock", "--file", file); got != "superblock exported.\n" {
		t.Errorf("get-superblock: %q", got)
	}
	change(t, dir, func(*filestore.Store) *objectstore.Transaction {
		tx := &objectstore.Transaction{}
		tx.Truncate(objectstore.Meta, metaID("osd_superblock"), 10)
		return tx
	})
	refused(t, dir, 1, "Failure to read OSD superblock", "--op", "list")
	nonsense := filepath.Join(t.TempDir(), "nonsense")
	if err := os.WriteFile(nonsense, []byte("nonsense"), 0o666); err != nil {
		t.Fatal(err)
	}
	refused(t, dir, 1, "Failed to read superblock", "--no-superblock", "--op", "set-superblock", "--file", nonsense)
	at(t, dir, "--no-superblock", "--op", "set-superblock", "--file", file)
	if got := at(t, dir, "--op", "dump-super"); got != super {
		t.Errorf("the superblock came back as %s", got)
	}

	if got := at(t, dir, "--op", "get-osdmap", "--epoch", "9", "--file", file); got != "osdmap#9 exported.\n" {
		t.Errorf("get-osdmap: %q", got)
	}
	refused(t, dir, 1, "Failed to get osdmap#5: (2) No such file or directory", "--op", "get-osdmap", "--epoch", "5")
	refused(t, dir, 1, "Failed to get incremental osdmap# 10: (2) No such file or directory", "--op", "get-inc-osdmap")
	refused(t, dir, 1, "osdmap.epoch mismatch: 5 != 9", "--op", "set-osdmap", "--epoch", "5", "--file", file)
	refused(t, dir, 1, "Failed to read osdmap", "--op", "set-osdmap", "--file", nonsense)
	refused(t, dir, 1, "Failed to read incremental osdmap", "--op", "set-inc-osdmap", "--file", nonsense)
	change(t, dir, func(*filestore.Store) *objectstore.Transaction {
		tx := &objectstore.Transaction{}
		tx.Remove(objectstore.Meta, metaID("osdmap.9"))
		return tx
	})
	refused(t, dir, 1, "does not exist", "--op", "set-osdmap", "--file", file)
	at(t, dir, "--op", "set-osdmap", "--force", "--file", file)
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := at(t, dir, "--op", "get-osdmap", "--epoch", "9"); got != string(want)+"osdmap#9 exported.\n" {
		t.Errorf("map 9 came back as %d bytes of %d", len(got), len(want))
	}
	refused(t, dir, 1, "--file option only applies to", "--op", "list", "--file", file)
	refused(t, dir, 1, "the argument ('x') for option '--epoch' is invalid", "--op", "get-osdmap", "--epoch", "x")
}

// TestPGMetadata protects what is done to a PG's info and log: each change is there and
// nothing else is, and the PG can be loaded.
func TestPGMetadata(t *testing.T) {
	dir := filledOSD(t)
	log := func() map[string]any {
		return fields(t, dir, "--op", "log", "--pgid", "1.3")["pg_log_t"].(map[string]any)
	}
	entries := len(log()["log"].([]any))
	refused(t, dir, 0, "Log not larger than osd_max_pg_log_entries 10000", "--op", "trim-pg-log", "--pgid", "1.3")
	if got := len(log()["log"].([]any)); got != entries || entries != 5 {
		t.Errorf("%d entries of %d", got, entries)
	}
	got := at(t, dir, "--op", "trim-pg-log", "--pgid", "1.3", "--osd-max-pg-log-entries=2", "--osd_pg_log_trim_max", "2")
	if want := "Removing keys 0000000009.00000000000000000001 - 0000000009.00000000000000000002\n" +
		"Removing keys 0000000009.00000000000000000003 - 0000000009.00000000000000000003\nFinished trimming pg log\n"; got != want {
		t.Errorf("trim-pg-log said %s", got)
	}
	if l := log(); len(l["log"].([]any)) != 2 || len(l["dups"].([]any)) != 3 || l["tail"] != "9'3" {
		t.Errorf("the log after it is trimmed: %v", l)
	}
	at(t, dir, "--op", "trim-pg-log-dups", "--pgid", "1.3", "--osd_pg_log_dups_tracked", "1")
	if l := log(); len(l["dups"].([]any)) != 1 {
		t.Errorf("duplicates after they are trimmed: %v", l["dups"])
	}
	before := fields(t, dir, "--op", "info", "--pgid", "1.3")
	at(t, dir, "--op", "mark-complete", "--pgid", "1.3")
	after := fields(t, dir, "--op", "info", "--pgid", "1.3")
	if before["last_update"] != "9'5" || after["last_update"] != "10'6" || after["last_complete"] != "9'5" ||
		after["last_backfill"] != "MAX" || after["log_tail"] != "9'3" {
		t.Errorf("complete: %v", after)
	}
	refused(t, dir, 1, "Pass --force to proceed anyway", "--op", "reset-last-complete", "--pgid", "1.3")
	at(t, dir, "--op", "reset-last-complete", "--pgid", "1.3", "--force")
	if i := fields(t, dir, "--op", "info", "--pgid", "1.3"); i["last_complete"] != "10'6" {
		t.Errorf("last_complete %v", i["last_complete"])
	}
	refused(t, dir, 1, "Must provide pgid", "--op", "mark-complete")
	refused(t, dir, 1, "PG '1.1' not found", "--op", "trim-pg-log", "--pgid", "1.1")
}

// TestMend protects the commands that bring an object and what is said of it together
// again.
func TestMend(t *testing.T) {
	dir := filledOSD(t)
	const clone = `["1.0",{"oid":"obj2","key":"","snapid":1,"hash":1058988552,"max":0,"pool":1,"namespace":"","max":0}]`
	for _, c := range []struct{ object, had string }{{"obj1", "stat size 6, obj info size 6\n"}, {clone, "stat size 1389, obj info size 1389, head clone_size 1389\n"}} {
		if got := at(t, dir, c.object, "set-size", "3"); got != "Setting size to 3, "+c.had {
			t.Errorf("%s: set-size said %q", c.object, got)
		}
		if got := at(t, dir, c.object, "set-size", "3"); got != "Size of object is already 3\n" {
			t.Errorf("%s: set-size again said %q", c.object, got)
		}
		if got := at(t, dir, c.object, "get-bytes"); len(got) != 3 {
			t.Errorf("%s has %q", c.object, got)
		}
		info := fields(t, dir, c.object, "dump")["info"].(map[string]any)
		if info["size"] != 3.0 || strings.Contains(fmt.Sprint(info["flags"]), "data_digest") {
			t.Errorf("%s: info %v", c.object, info)
		}
	}
	head := func() string { return fmt.Sprint(fields(t, dir, "--head", "obj2", "dump")["SnapSet"]) }
	if got := head(); !strings.Contains(got, "size:3 ") && !strings.Contains(got, "size:3]") {
		t.Errorf("account of clones %s", got)
	}
	refused(t, dir, 1, "Invalid size 'x' specified", "obj1", "set-size", "x")
	refused(t, dir, 1, "Clone 7 not present", "obj2", "remove-clone-metadata", "7")
	refused(t, dir, 1, "requires a head or snapdir object", clone, "remove-clone-metadata", "1")
	at(t, dir, "obj2", "remove-clone-metadata", "1", "--dry-run")
	if got := head(); !strings.Contains(got, "snap:1") {
		t.Errorf("account of clones after a dry run %s", got)
	}
	at(t, dir, "obj2", "remove-clone-metadata", "1")
	if got := head(); strings.Contains(got, "snap:1") || !strings.Contains(got, "seq:1") {
		t.Errorf("account of clones without the clone %s", got)
	}
	at(t, dir, "--head", "obj2", "clear-snapset", "corrupt")
	if got := head(); !strings.Contains(got, "seq:0") {
		t.Errorf("account of clones once it is cleared %s", got)
	}
	// An object that is marked as lost.
	c := objectstore.PGColl(readOrigin(t, realExport(t, "1.3")).meta.info.PGID)
	change(t, dir, func(s *filestore.Store) *objectstore.Transaction {
		l, err := (&tool{store: s, options: &options{}, pg: c.PG}).findName("obj1")
		if err != nil {
			t.Fatal(err)
		}
		b, err := s.Attr(l.coll, l.gid, pglog.AttrObjectInfo)
		if err != nil {
			t.Fatal(err)
		}
		oi, err := pglog.ParseObjectInfo(b)
		if err != nil {
			t.Fatal(err)
		}
		oi.Set(pglog.OILost)
		tx := &objectstore.Transaction{}
		tx.SetAttr(l.coll, l.gid, pglog.AttrObjectInfo, oi.Bytes())
		return tx
	})
	const lost = "1.3_head/#1:ff7b1f36:::obj1:head# is lost"
	if got := at(t, dir, "--op", "fix-lost", "--dry-run"); got != lost+"\ndry-run: Nothing changed\n" {
		t.Errorf("fix-lost said %q", got)
	}
	if got := at(t, dir, "--op", "fix-lost"); got != lost+", fixing\n" {
		t.Errorf("fix-lost said %q", got)
	}
	if got := at(t, dir, "--op", "fix-lost"); got != "" {
		t.Errorf("fix-lost again said %q", got)
	}
	at(t, dir, "--op", "fsck", "--deep")
}

// TestDup protects the copy of a whole store: everything is there, the copy can be told
// from the first by nothing, and no store with data in it is written over.
func TestDup(t *testing.T) {
	dir, target := filledOSD(t), filepath.Join(t.TempDir(), "copy")
	big := strings.Repeat("0123456789abcdef", 300<<10)
	if o := runTool(big, "--data-path", dir, "obj1", "set-bytes"); o.status != 0 {
		t.Fatal(o)
	}
	refused(t, dir, 1, "Unable to open "+target+"/type", "--op", "dup", "--target-data-path", target)
	refused(t, target, 1, "failed to parse uuid 'x'", "--op", "mkfs", "--fsid", "x")
	fsid := strings.TrimSpace(readFile(t, filepath.Join(dir, "fsid")))
	at(t, target, "--op", "mkfs", "--fsid", strings.Replace(fsid, "02", "03", 1))
	refused(t, dir, 1, "src fsid "+fsid+" != dest", "--op", "dup", "--target-data-path", target)
	target += "2"
	at(t, target, "--op", "mkfs", "--fsid", fsid)
	if out := at(t, dir, "--op", "dup", "--target-data-path", target); !strings.HasSuffix(out, "done.\n") {
		t.Errorf("dup said %s", out)
	}
	for _, q := range [][]string{{"--op", "list"}, {"--op", "meta-list"}, {"--op", "dump-super"}, {"obj1", "get-bytes"},
		{"--op", "export", "--pgid", "1.0"}, {"--op", "export", "--pgid", "1.3"}, {"", "list-omap", "--pgid", "1.3"}} {
		if a, b := at(t, dir, q...), at(t, target, q...); a != b {
			t.Errorf("%q: %d bytes, and %d in the copy", q, len(a), len(b))
		}
	}
	for _, name := range []string{"fsid", "ceph_fsid", "whoami", "type", "store_version", "ready"} {
		if a, b := readFile(t, filepath.Join(dir, name)), readFile(t, filepath.Join(target, name)); a != b {
			t.Errorf("%s is %q, and %q in the copy", name, a, b)
		}
	}
	at(t, target, "--op", "fsck", "--deep")
	refused(t, dir, 1, "destination store is that of osd.0", "--op", "dup", "--target-data-path", target)
}

// TestRefusedOperations protects who relies on an operation that is not here from taking
// it for done.
func TestRefusedOperations(t *testing.T) {
	dir := newOSD(t)
	for op, words := range map[string]string{
		"repair": "repair failed: (95) Operation not supported", "repair-deep": "'ceph pg repair'", "fuse": "not supported",
		"dump-journal": "not supported", "update-mon-db": "get-osdmap", "apply-layout-settings": "not needed",
	} {
		refused(t, dir, 1, words, "--op", op)
	}
	refused(t, dir, 1, "--skip-journal-replay", "--op", "list", "--skip-journal-replay")
	cut := readFile(t, realExport(t, "1.0"))
	if o := runTool(cut[:3000], "--op", "dump-export"); o.status != 1 || !strings.HasSuffix(o.stderr, "dump-export: (14) Bad address\n") {
		t.Errorf("part of an export: %+v", o)
	}
}
