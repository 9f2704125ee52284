package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sepiola/internal/clustertest"
	"sepiola/internal/reftool"
	"sepiola/message"
	"sepiola/wire"
)

// cluster is a running cluster with objects in it that a real client wrote.
type cluster struct {
	*clustertest.Cluster
	t   *testing.T
	big []byte
}

// rados runs the real client; it has to succeed.
func (c cluster) rados(stdin string, args ...string) string {
	c.t.Helper()
	cmd := exec.Command("rados", append([]string{"-c", c.Conf(), "-p", "data"}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	r := clustertest.Exec(cmd)
	if r.Code != 0 {
		c.t.Fatalf("rados %q: %+v", args, r)
	}
	return r.Stdout
}

func newCluster(t *testing.T) cluster {
	reftool.Need(t, "rados")
	c := cluster{Cluster: clustertest.Up(t, "--osds", "3", "--pool", "data:2:3"), t: t}
	c.big = bytes.Repeat([]byte("0123456789"), 150<<10)
	c.rados(string(c.big), "put", "big", "-")
	for _, name := range []string{"o1", "o2", "o3", "o4", "o5", "o6"} {
		c.rados("content of "+name, "put", name, "-")
	}
	c.rados("", "setxattr", "o1", "k1", "v1")
	c.rados("", "setomapval", "o1", "key1", "val1")
	c.rados("", "setomapheader", "o1", "header")
	return c
}

// pgOf returns the PG of an object according to a stopped OSD.
func pgOf(t *testing.T, dir, name string) string {
	t.Helper()
	var spec []any
	if err := json.Unmarshal([]byte(at(t, dir, "--op", "list", name)), &spec); err != nil {
		t.Fatal(err)
	}
	return spec[0].(string)
}

// TestStoppedOSD protects what the tool is for: on a stopped OSD of a cluster it sees
// what clients wrote, a PG exported, removed and imported is the one that was there,
// and the cluster goes on with it; a PG whose import was cut short is removed when the
// OSD starts, and filled again by the others.
func TestStoppedOSD(t *testing.T) {
	c := newCluster(t)
	c.Must(t, "down")
	dir := filepath.Join(c.Dir, "osd.0")
	objects := at(t, dir, "--op", "list")
	if n := strings.Count(objects, "\n"); n != 7 {
		t.Fatalf("%d objects, want 7:\n%s", n, objects)
	}
	for _, q := range []struct {
		want string
		args []string
	}{
		{string(c.big), []string{"big", "get-bytes"}},
		{"content of o1", []string{"o1", "get-bytes"}},
		{"_\n_k1\nsnapset\n", []string{"o1", "list-attrs"}},
		{"key1\n", []string{"o1", "list-omap"}},
		{"header", []string{"o1", "get-omaphdr"}},
		{"fsck success\n", []string{"--op", "fsck", "--deep"}},
		{"1.0\n1.1\n", []string{"--op", "list-pgs"}},
	} {
		if got := at(t, dir, q.args...); got != q.want {
			t.Errorf("%q: %.200q, want %.200q", q.args, got, q.want)
		}
	}

	whole := pgOf(t, dir, "o1")
	half := map[string]string{"1.0": "1.1", "1.1": "1.0"}[whole]
	file := map[string]string{}
	for _, pg := range []string{whole, half} {
		file[pg] = filepath.Join(t.TempDir(), pg)
		at(t, dir, "--op", "export-remove", "--pgid", pg, "--file", file[pg])
	}
	if got := at(t, dir, "--op", "list") + at(t, dir, "--op", "list-pgs"); got != "" {
		t.Errorf("export-remove left %s", got)
	}
	at(t, dir, "--op", "fsck", "--deep")
	at(t, dir, "--op", "import", "--file", file[whole])
	again := at(t, dir, "--op", "export", "--pgid", whole)
	if b, err := os.ReadFile(file[whole]); err != nil || string(b) != again {
		t.Errorf("PG %s is not as it was exported: %d and %d bytes, %v", whole, len(b), len(again), err)
	}
	b, err := os.ReadFile(file[half])
	if err != nil {
		t.Fatal(err)
	}
	if o := runTool(string(b[:len(b)-100]), "--data-path", dir, "--op", "import"); o.status != 1 {
		t.Fatalf("import of less than all: %+v", o)
	}

	c.Must(t, "up") // returns when all PGs are active+clean
	if got := c.rados("", "get", "big", "-"); got != string(c.big) {
		t.Errorf("big has %d bytes after all that", len(got))
	}
	c.rados("more", "put", "o1", "-")
	c.Must(t, "down")
	if got := at(t, dir, "--op", "list"); got != objects {
		t.Errorf("objects after all that:\n%s\nbefore:\n%s", got, objects)
	}
	if got := at(t, dir, "o1", "get-bytes"); got != "more" {
		t.Errorf("o1 has %q", got)
	}
	at(t, dir, "--op", "fsck", "--deep")
}

// TestRealToolReadsExport protects the way out: Ceph's tool imports a PG of ours into
// an OSD of Ceph's, and then says of it what ours says, byte for byte.
func TestRealToolReadsExport(t *testing.T) {
	reftool.Need(t, "ceph-osd")
	reftool.Need(t, "ceph-objectstore-tool")
	c := newCluster(t)
	c.Must(t, "down")
	dir, real := filepath.Join(c.Dir, "osd.0"), makeRealOSD(t, filepath.Join(c.Dir, "osd.0"))
	pg := pgOf(t, dir, "o1")
	file := filepath.Join(t.TempDir(), "export")
	at(t, dir, "--op", "export", "--pgid", pg, "--file", file)
	if out := real(t, "--op", "import", "--file", file); !strings.HasSuffix(out, "Import successful\n") {
		t.Errorf("import said %s", out)
	}
	for _, args := range [][]string{
		{"--op", "list", "--pgid", pg}, {"--op", "list", "--pgid", pg, "--format", "json"},
		{"--op", "info", "--pgid", pg}, {"--op", "info", "--pgid", pg, "--format", "json"},
		{"--op", "log", "--pgid", pg}, {"--op", "log", "--pgid", pg, "--format", "json"},
		{"o1", "dump"}, {"o1", "get-bytes"}, {"o1", "list-attrs"}, {"o1", "get-attr", "_"}, {"o1", "get-attr", "_k1"},
		{"o1", "list-omap"}, {"o1", "get-omap", "key1"}, {"o1", "get-omaphdr"},
	} {
		got, want := at(t, dir, args...), real(t, args...)
		if diskUse.ReplaceAllString(got, "") != diskUse.ReplaceAllString(want, "") {
			t.Errorf("%q:\n%s\nCeph's tool:\n%s", args, got, want)
		}
	}
	back := filepath.Join(t.TempDir(), "back")
	real(t, "--op", "export", "--pgid", pg, "--file", back)
	at(t, dir, "--op", "remove", "--force", "--pgid", pg)
	at(t, dir, "--op", "import", "--file", back)
	if got := at(t, dir, "o1", "get-bytes"); got != "content of o1" {
		t.Errorf("o1 came back as %q", got)
	}
	at(t, dir, "--op", "fsck", "--deep")
}

// makeRealOSD makes the store of an OSD of Ceph's, with the superblock and the newest
// map of ours, and returns how to run Ceph's tool on it.
func makeRealOSD(t *testing.T, ours string) func(t *testing.T, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	data := filepath.Join(dir, "osd")
	if err := os.Mkdir(data, 0o777); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "ceph.conf")
	text := "[global]\nfsid = " + strings.TrimSpace(readFile(t, filepath.Join(ours, "ceph_fsid"))) + "\nosd objectstore = filestore\n" +
		"osd data = " + data + "\nosd journal = " + data + "/journal\nosd journal size = 100\nauth cluster required = none\n" +
		"auth service required = none\nauth client required = none\nosd max object name len = 256\nosd max object namespace len = 64\n" +
		"log file =\nmon host = 127.0.0.1:1\n"
	if err := os.WriteFile(conf, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	run := func(t *testing.T, prog string, args ...string) string {
		t.Helper()
		cmd := exec.Command(prog, args...)
		cmd.Env = append(os.Environ(), "CEPH_CONF="+conf)
		r := clustertest.Exec(cmd)
		if r.Code != 0 {
			t.Fatalf("%s %q: %+v", prog, args, r)
		}
		return r.Stdout
	}
	run(t, "ceph-osd", "-c", conf, "-i", "0", "--mkfs", "--no-mon-config", "--osd-uuid", strings.TrimSpace(readFile(t, filepath.Join(ours, "fsid"))))
	tool := func(t *testing.T, args ...string) string {
		t.Helper()
		return run(t, "ceph-objectstore-tool", append([]string{"--no-mon-config", "--data-path", data}, args...)...)
	}
	super := filepath.Join(dir, "superblock")
	at(t, ours, metaSpec(t, ours, "osd_superblock"), "get-bytes", super)
	tool(t, "--op", "set-superblock", "--file", super)
	// A PG may be behind the OSD: which of the maps it has got to is a matter of when the
	// cluster was stopped.
	sb := message.DecodeOSDSuperblock(wire.NewDecoder([]byte(readFile(t, super))))
	for epoch := max(sb.OldestMap, sb.NewestMap-min(sb.NewestMap, 10)); epoch <= sb.NewestMap; epoch++ {
		file := filepath.Join(dir, "map")
		at(t, ours, "--op", "get-osdmap", "--epoch", fmt.Sprint(epoch), "--file", file)
		tool(t, "--op", "set-osdmap", "--force", "--file", file)
	}
	return tool
}

// metaSpec returns the description of one of the OSD's own objects.
func metaSpec(t *testing.T, dir, name string) string {
	t.Helper()
	for _, line := range strings.Split(at(t, dir, "--op", "meta-list"), "\n") {
		if strings.HasPrefix(line, `["meta",{"oid":"`+name+`"`) {
			return line
		}
	}
	t.Fatalf("no object %s", name)
	return ""
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
