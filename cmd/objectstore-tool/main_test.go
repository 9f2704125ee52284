package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sepiola/internal/clustertest"
	"sepiola/message"
	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/objectstore/filestore"
	"sepiola/osdmap"
	"sepiola/wire"
)

func TestMain(m *testing.M) { clustertest.Main(m) }

// outcome is what a run leaves.
type outcome struct {
	stdout, stderr string
	status         int
}

// runTool runs the program in process.
func runTool(stdin string, args ...string) outcome {
	var stdout, stderr bytes.Buffer
	status := program{stdin: strings.NewReader(stdin), stdout: &stdout, stderr: &stderr}.run(args)
	return outcome{stdout.String(), stderr.String(), status}
}

// at runs the program on a data path; it has to succeed.
func at(t *testing.T, dir string, args ...string) string {
	t.Helper()
	o := runTool("", append([]string{"--data-path", dir}, args...)...)
	if o.status != 0 {
		t.Fatalf("%q: status %d\n%s%s", args, o.status, o.stdout, o.stderr)
	}
	return o.stdout
}

// refused runs the program on a data path; it has to fail with this status, and end
// with a line that has these words.
func refused(t *testing.T, dir string, status int, words string, args ...string) {
	t.Helper()
	o := runTool("", append([]string{"--data-path", dir}, args...)...)
	if o.status != status || !strings.Contains(o.stderr, words) {
		t.Errorf("%q: status %d, want %d with %q\n%s%s", args, o.status, status, words, o.stdout, o.stderr)
	}
}

// realExport is the path of an export made by Ceph's tool.
func realExport(t *testing.T, pg string) string {
	t.Helper()
	p, err := filepath.Abs(filepath.Join("testdata", "real", pg+".export"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// origin is what an export says of where it comes from.
type origin struct {
	super message.OSDSuperblock
	meta  pgMetadata
}

func readOrigin(t *testing.T, path string) origin {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := newDumpReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var o origin
	for o.meta.epoch == 0 {
		kind, body, err := r.next()
		if err == nil && kind == secPGBegin {
			var b pgBegin
			b, err = decode("PG begin", body, decodePGBegin)
			o.super = b.super
		} else if err == nil {
			o.meta, err = decode("PG metadata", body, decodePGMetadata)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return o
}

func metaID(name string) object.GID {
	return object.G(object.ID{Name: name, Pool: object.PoolMeta, Hash: object.HashRjenkins.Hash(name)})
}

// newOSD makes the store of an OSD of the cluster that the real exports come from,
// without PGs, and returns its data path.
func newOSD(t *testing.T) string {
	t.Helper()
	newest, older := readOrigin(t, realExport(t, "1.0")), readOrigin(t, realExport(t, "1.3"))
	dir := filepath.Join(t.TempDir(), "osd.0")
	super := message.OSDSuperblock{ClusterFSID: newest.super.ClusterFSID, OSDFSID: newest.super.OSDFSID,
		CurrentEpoch: newest.meta.epoch, OldestMap: older.meta.epoch, NewestMap: newest.meta.epoch, Compat: newest.super.Compat}
	delete(super.Compat.Incompat, featureShards)
	change(t, dir, func(s *filestore.Store) *objectstore.Transaction {
		e := wire.NewEncoder(256)
		super.Encode(e)
		tx := &objectstore.Transaction{}
		tx.MkColl(objectstore.Meta, 0)
		tx.Write(objectstore.Meta, metaID("osd_superblock"), 0, wire.BufOf(e.Bytes()))
		for _, o := range []origin{newest, older} {
			m, err := osdmap.DecodeMap(o.meta.osdMap)
			if err != nil {
				t.Fatal(err)
			}
			name := "osdmap." + map[uint32]string{9: "9", 10: "10"}[m.Epoch]
			tx.Write(objectstore.Meta, metaID(name), 0, wire.BufOf(o.meta.osdMap))
		}
		return tx
	})
	return dir
}

// change applies a transaction to the store in dir, which is made if there is none.
func change(t *testing.T, dir string, make func(*filestore.Store) *objectstore.Transaction) {
	t.Helper()
	s := filestore.New(dir, filestore.Options{})
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		id := objectstore.Identity{}
		id.ClusterFSID[0], id.OSDFSID[0] = 1, 2
		if err := s.Mkfs(id); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Mount(); err != nil {
		t.Fatal(err)
	}
	if err := objectstore.SubmitWait(s, make(s)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// filledOSD is newOSD with both PGs imported.
func filledOSD(t *testing.T) string {
	t.Helper()
	dir := newOSD(t)
	for _, pg := range []string{"1.0", "1.3"} {
		at(t, dir, "--op", "import", "--file", realExport(t, pg))
	}
	return dir
}
