package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"sepiola/internal/clustertest"
	"sepiola/internal/reftool"
)

// An OSD is replaced as a user would do it: one is added, another drained and
// removed, and nothing is lost; where it cannot be drained, removal is refused. When
// an OSD is killed, the plain words about PGs name it.
func TestReplaceAnOSD(t *testing.T) {
	reftool.Need(t, "ceph")
	reftool.Need(t, "rados")
	cluster := clustertest.Up(t, "--pool", "data:8:3")
	c := target{name: "sepiola", conf: cluster.Conf(), run: filepath.Join(cluster.Dir, "run")}
	want := ""
	for i := range 10 {
		name := fmt.Sprintf("o%d", i)
		must(t, c.tool("rados", strings.Repeat(name, 1000), "-p", "data", "put", name, "-"))
		want += strings.Repeat(name, 1000)
	}
	read := func() {
		t.Helper()
		got := ""
		for i := range 10 {
			got += must(t, c.rados("-p", "data", "get", fmt.Sprintf("o%d", i), "-"))
		}
		if got != want {
			t.Errorf("what was read is not what was written: %d bytes, want %d", len(got), len(want))
		}
	}
	if r := cluster.Run("rm-osd", "osd.1"); r.Code == 0 || !strings.Contains(r.Stderr, "add one first") {
		t.Errorf("removing one of three OSDs of a pool of three copies: %d %s", r.Code, r.Stderr)
	}
	must(t, cluster.Run("add-osd"))
	must(t, cluster.Run("rm-osd", "osd.1"))
	if ls := must(t, c.ceph("osd", "ls")); ls != "0\n2\n3\n" {
		t.Errorf("OSDs: %q", ls)
	}
	if s := must(t, cluster.Run("status")); strings.Contains(s, "osd.1") || !strings.Contains(s, "osd.3") {
		t.Errorf("status:\n%s", s)
	}
	read()
	must(t, cluster.Run("kill", "osd.2"))
	await(t, "the words name the OSD that was killed", func() bool {
		why := c.ceph("pg", "why")
		return strings.Contains(why.Stdout, "it has 2 of 3 copies without osd.2 (down for ") && strings.Contains(why.Stdout, "start osd.2, or others take over in ")
	})
	read()
	must(t, cluster.Run("start", "osd.2"))
	await(t, "all is well again", func() bool {
		r := c.ceph("pg", "why")
		return r.Code == 0 && r.Stdout == "" && strings.Contains(c.ceph("osd", "stat").Stdout, "3 osds: 3 up")
	})
	read()
}
