package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sepiola/internal/clustertest"
	"sepiola/internal/reftool"
)

// local runs a program of Ceph's that needs no cluster.
func local(t *testing.T, prog string, args ...string) string {
	t.Helper()
	reftool.Need(t, prog)
	return must(t, target{}.tool(prog, "", args...))
}

// getmap fetches a map with the ceph program into a file.
func getmap(t *testing.T, c target, what string) string {
	t.Helper()
	path := filepath.Join(clustertest.Dir(t), what)
	must(t, c.ceph("osd", what, "-o", path))
	return path
}

// osdmaptool prints of the map that "osd getmap" returns what "osd dump" prints.
func TestOSDMapToolReadsTheMap(t *testing.T) {
	c := ours(t)
	dump := must(t, c.ceph("osd", "dump"))
	printed := local(t, "osdmaptool", getmap(t, c, "getmap"), "--print")
	lines := func(s string) []string {
		var out []string
		for _, l := range strings.Split(s, "\n") {
			if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "osdmaptool:") {
				out = append(out, l)
			}
		}
		return out
	}
	if got, want := lines(printed), lines(dump); !slices.Equal(got, want) {
		t.Errorf("osdmaptool prints\n%s\nosd dump\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// crushtool reads what "osd getcrushmap" returns: taken apart and compiled again
// it maps the same, and as a map should.
func TestCrushToolReadsTheMap(t *testing.T) {
	c := ours(t)
	bin := getmap(t, c, "getcrushmap")
	text, again := bin+".txt", bin+".again"
	local(t, "crushtool", "-d", bin, "-o", text)
	local(t, "crushtool", "-c", text, "-o", again)
	mappings := func(path string) string {
		return local(t, "crushtool", "-i", path, "--test", "--show-mappings", "--rule", "0", "--num-rep", "3", "--max-x", "200")
	}
	if got, want := mappings(again), mappings(bin); got != want || !strings.Contains(got, "CRUSH rule 0 x 200 [") {
		t.Errorf("the map that was taken apart and compiled maps\n%s\nthe first\n%s", got, want)
	}
	test := local(t, "crushtool", "-i", bin, "--test", "--show-bad-mappings", "--show-statistics", "--rule", "0", "--num-rep", "3")
	if !strings.Contains(test, "result size == 3:\t1024/1024") {
		t.Errorf("crushtool --test:\n%s", test)
	}
}

// pgDump is a line of osdmaptool --test-map-pgs-dump: "2.1f\t[1,0,2]\t1".
var pgDump = regexp.MustCompile(`(?m)^(\d+\.[0-9a-f]+)\t\[([\d,]+)\]\t(\d+)$`)

// Where "osd map" says that an object is, osdmaptool computes it from the map, and
// the OSDs' stores hold it there and nowhere else.
func TestPlacement(t *testing.T) {
	cluster := sharedCluster(t)
	c := targetOf(cluster)
	must(t, c.ceph("osd", "pool", "create", "place", "16", "16", "--size", "2"))
	awaitClean(t, c)
	in := filepath.Join(clustertest.Dir(t), "in") // long enough for a file
	if err := os.WriteFile(in, bytes.Repeat([]byte("here"), 5000), 0o644); err != nil {
		t.Fatal(err)
	}
	const count = 20
	for i := range count {
		must(t, c.rados("-p", "place", "put", fmt.Sprintf("object%d", i), in))
	}
	var size struct {
		Pool int `json:"pool_id"`
	}
	if err := json.Unmarshal([]byte(must(t, c.ceph("osd", "pool", "get", "place", "size", "-f", "json"))), &size); err != nil {
		t.Fatal(err)
	}
	computed := map[string][]int{} // by PG
	dump := local(t, "osdmaptool", getmap(t, c, "getmap"), "--test-map-pgs-dump", "--pool", strconv.Itoa(size.Pool))
	for _, m := range pgDump.FindAllStringSubmatch(dump, -1) {
		computed[m[1]] = ints(t, m[2])
	}
	if len(computed) != 16 {
		t.Fatalf("osdmaptool tells of %d PGs:\n%s", len(computed), dump)
	}
	for i := range count {
		answer := must(t, c.ceph("osd", "map", "place", fmt.Sprintf("object%d", i), "-f", "json"))
		var said struct {
			PG     string `json:"pgid"`
			Acting []int  `json:"acting"`
		}
		if err := json.Unmarshal([]byte(answer), &said); err != nil {
			t.Fatalf("%v: %s", err, answer)
		}
		if !slices.Equal(said.Acting, computed[said.PG]) || len(said.Acting) != 2 {
			t.Errorf("object%d in %s: osd map says %v, osdmaptool %v", i, said.PG, said.Acting, computed[said.PG])
		}
		slices.Sort(said.Acting)
		if held := holders(t, cluster, said.PG, fmt.Sprintf("object%d", i)); !slices.Equal(held, said.Acting) {
			t.Errorf("object%d in %s is on %v according to osd map, in the stores of %v", i, said.PG, said.Acting, held)
		}
	}
	must(t, c.ceph("osd", "pool", "rm", "place", "place", "--yes-i-really-really-mean-it"))
}

func ints(t *testing.T, list string) []int {
	t.Helper()
	var out []int
	for _, s := range strings.Split(list, ",") {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, n)
	}
	return out
}

// holders are the OSDs whose filestore has a file for the object in the PG's
// directory, whose names are Ceph's FileStore's.
func holders(t *testing.T, c *clustertest.Cluster, pg, object string) []int {
	t.Helper()
	var out []int
	for osd := range 3 {
		dir := filepath.Join(c.Dir, "osd."+strconv.Itoa(osd), "current")
		err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
			if err != nil {
				return nil // removed meanwhile
			}
			if strings.HasPrefix(e.Name(), object+"__head_") {
				rel, _ := filepath.Rel(dir, path)
				if strings.HasPrefix(rel, pg+"_head"+string(filepath.Separator)) {
					out = append(out, osd)
				} else {
					t.Errorf("%s is in %s, expected in %s", object, rel, pg)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}
