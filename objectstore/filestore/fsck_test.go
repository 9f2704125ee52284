package filestore

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/sys/unix"

	"sepiola/objectstore"
	"sepiola/objectstore/storetest"
	"sepiola/wire"
)

// findings runs Fsck on the store in a directory.
func findings(t *testing.T, dir string, deep bool) []string {
	t.Helper()
	var out []string
	n, err := New(dir, Options{}).Fsck(deep, func(f Finding) { out = append(out, f.String()) })
	if err != nil {
		t.Fatal(err)
	}
	if n != len(out) {
		t.Errorf("%d findings were told, and %d counted", len(out), n)
	}
	return out
}

// damaged makes a store with one object, a, of three blocks, an attribute of two parts
// and an omap; closes it, and damages it by f, which gets the object's file.
func damaged(t *testing.T, f func(s *Store, file string)) string {
	t.Helper()
	s, c := mounted(t, Options{})
	submitWait(t, s, func(x *tx) {
		x.Write(c, storetest.Obj("a"), 0, wire.BufOf(bytes.Repeat([]byte("a"), 3*blockSize)))
		x.SetAttr(c, storetest.Obj("a"), "long", bytes.Repeat([]byte("l"), attrPart+1))
		x.OmapSet(c, storetest.Obj("a"), map[string][]byte{"k": []byte("v")})
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	f(s, objectFiles(t, s)[0])
	return s.dir
}

// editKV changes the key-value store of a store that is not mounted.
func editKV(t *testing.T, s *Store, f func(db *pebble.DB) error) {
	t.Helper()
	db, err := s.openKV()
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{f(db), db.Flush(), db.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestFsckFinds protects operators from damage that goes unnoticed: each kind is told
// once, in a line that names what is damaged, and damage to data only by a deep check.
func TestFsckFinds(t *testing.T) {
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	where := objectstore.Coll(storetest.Coll(3, 5)).String() + " " + storetest.Obj("a").String()
	for _, c := range []struct {
		name   string
		deep   bool // found only then
		damage func(t *testing.T, s *Store, file string)
		want   []string // a prefix for each finding
	}{
		{"nothing", false, func(*testing.T, *Store, string) {}, nil},
		{"file gone", false, func(t *testing.T, _ *Store, file string) { must(t, os.Remove(file)) },
			[]string{where + ": its file current/3.5_head/"}},
		{"file cut", false, func(t *testing.T, _ *Store, file string) { must(t, os.Truncate(file, blockSize)) },
			[]string{where + " at byte 4096: its file "}},
		{"file moved", false, func(t *testing.T, _ *Store, file string) {
			must(t, os.Rename(file, file[:strings.LastIndex(file, "/")+1]+"b.1"))
		},
			[]string{where + ": its file ", "current/3.5_head/b.1: a lost file"}},
		{"file lost", false, func(t *testing.T, s *Store, _ string) {
			must(t, os.WriteFile(s.dir+"/current/3.5_head/x_head.7777777", nil, 0o666))
			must(t, os.WriteFile(s.dir+"/current/3.5_head/README", nil, 0o666))
		}, []string{"current/3.5_head/README: not a file", "current/3.5_head/x_head.7777777: a lost file"}},
		{"part missing", false, func(t *testing.T, _ *Store, file string) { must(t, unix.Removexattr(file, attrName("long", 0))) },
			[]string{where + `: attribute "long": part 0 of 2 is missing`}},
		{"part stale", false, func(t *testing.T, _ *Store, file string) {
			must(t, unix.Setxattr(file, attrName("long", 0), []byte("short"), 0))
		}, []string{where + `: attribute "long": part 0 has 5 bytes and yet part 1 follows`}},
		{"keys of nobody", false, func(t *testing.T, s *Store, _ string) {
			editKV(t, s, func(db *pebble.DB) error {
				must(t, db.Set(sumsKey(1<<50, 0), make([]byte, 4), pebble.NoSync))
				must(t, db.Set(numbered(keySpill, 1<<50, "n"), nil, pebble.NoSync))
				must(t, db.Set(numbered(keyHeader, 1<<50, ""), nil, pebble.NoSync))
				return db.Set(numbered(keyOmap, 1<<50, "k"), nil, pebble.NoSync)
			})
		}, []string{"key-value store: checksums (key ", "key-value store: an attribute (key ", "key-value store: a pair of an omap (key ", "key-value store: the header of an omap (key "}},
		{"checksums gone", true, func(t *testing.T, s *Store, _ string) {
			editKV(t, s, func(db *pebble.DB) error {
				return db.DeleteRange([]byte{keySums}, []byte{keySums + 1}, pebble.NoSync)
			})
		}, []string{where + " at byte 0: the block fails its checksum", where + " at byte 4096: the block fails its checksum", where + " at byte 8192: the block fails its checksum"}},
		{"sum of sizes", false, func(t *testing.T, s *Store, _ string) {
			editKV(t, s, func(db *pebble.DB) error { return db.Set(keyStored, storedValue(1<<60, 5), pebble.NoSync) })
		}, []string{"figures: the sum of all sizes is kept as 5 and is 12288"}},
		{"collection gone", false, func(t *testing.T, s *Store, _ string) {
			editKV(t, s, func(db *pebble.DB) error { return db.Delete(collKey(storetest.Coll(3, 5)), pebble.NoSync) })
		}, []string{where + ": its collection does not exist"}},
		{"entry malformed", false, func(t *testing.T, s *Store, _ string) {
			editKV(t, s, func(db *pebble.DB) error {
				return db.Set(objectKey(storetest.Coll(3, 5), storetest.Obj("z")), []byte{onodeVersion}, pebble.NoSync)
			})
		}, []string{storetest.Coll(3, 5).String() + " " + storetest.Obj("z").String() + ": malformed index entry"}},
		{"flipped bit", true, func(t *testing.T, _ *Store, file string) {
			f, err := os.OpenFile(file, os.O_WRONLY, 0)
			must(t, err)
			_, err = f.WriteAt([]byte("b"), 2*blockSize+17)
			must(t, err)
			must(t, f.Close())
		}, []string{where + " at byte 8192: the block fails its checksum"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := damaged(t, func(s *Store, file string) { c.damage(t, s, file) })
			if c.deep {
				if got := findings(t, dir, false); len(got) != 0 {
					t.Errorf("without deep: %q", got)
				}
			}
			// What a shallow check finds, a deep one may find in more ways.
			got := findings(t, dir, c.deep || len(c.want) == 0)
			slices.Sort(got) // directories are read in no order
			slices.Sort(c.want)
			if len(got) != len(c.want) {
				t.Fatalf("findings %q, want %q", got, c.want)
			}
			for i := range got {
				if !strings.HasPrefix(got[i], c.want[i]) {
					t.Errorf("finding %q, want %q", got[i], c.want[i])
				}
			}
		})
	}
}

// TestFsckJournal protects against a journal that lost what was durable: Fsck says so
// instead of failing.
func TestFsckJournal(t *testing.T) {
	s, c := mounted(t, Options{})
	s.journal.mu.Lock()
	first := s.journal.offset(s.journal.next)
	s.journal.mu.Unlock()
	for range 3 {
		submitWait(t, s, func(x *tx) { x.Write(c, storetest.Obj("a"), 0, wire.BufOf(make([]byte, 100))) })
	}
	s.abandon()
	p, err := os.ReadFile(s.opts.JournalPath)
	if err != nil {
		t.Fatal(err)
	}
	p[first+100]++ // in the first of several rounds
	if err := os.WriteFile(s.opts.JournalPath, p, 0o666); err != nil {
		t.Fatal(err)
	}
	if got := findings(t, s.dir, false); len(got) != 1 || !strings.HasPrefix(got[0], "journal: ") {
		t.Errorf("findings %q", got)
	}
}
