package e2e

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sepiola/internal/clustertest"
)

// radosScript are commands for the rados program. IN is a file of some bytes,
// OUT one to write, WIDE a file that starts with zeros.
var radosScript = []string{
	"lspools",
	"-p data ls",
	"-p data put hello IN",
	"-p data put hello IN",
	"-p data get hello OUT",
	"-p data get hello -",
	"-p data stat hello",
	"-p data stat2 hello",
	"-p data ls",
	"-p data ls -f json",
	"-p data -N side put inside IN",
	"-p data -N side put hello IN",
	"-p data -N side ls",
	"-p data -N side stat inside",
	"-p data stat inside",
	"-p data --all ls",
	"-p data create made",
	"-p data stat made",
	"-p data create made",
	"-p data append hello IN",
	"-p data get hello -",
	"-p data truncate hello 5",
	"-p data get hello -",
	"-p data truncate hello 20",
	"-p data get hello -",
	"-p data truncate nosuch 20",
	"-p data stat nosuch",
	"-p data rm nosuch2",
	"-p data put far IN --offset 100",
	"-p data stat far",
	"-p data put toofar IN --offset 134217728",
	"-p data put atend IN --offset 134217700",
	"-p data stat atend",
	"-p data rm atend",
	"-p data cp hello copy",
	"-p data get copy -",
	"-p data cp nosuch copy2",
	"-p data setxattr hello colour blue",
	"-p data setxattr hello size 12",
	"-p data getxattr hello colour",
	"-p data listxattr hello",
	"-p data rmxattr hello colour",
	"-p data rmxattr hello colour",
	"-p data getxattr hello colour",
	"-p data listxattr hello",
	"-p data getxattr nosuch colour",
	"-p data listxattr nosuch",
	"-p data setomapval hello k1 v1",
	"-p data setomapval hello k2 v2",
	"-p data getomapval hello k1",
	"-p data getomapval hello k1 OUT",
	"-p data getomapval hello k9",
	"-p data listomapkeys hello",
	"-p data listomapvals hello",
	"-p data setomapheader hello head",
	"-p data getomapheader hello",
	"-p data rmomapkey hello k1",
	"-p data rmomapkey hello k9",
	"-p data listomapkeys hello",
	"-p data clearomap hello",
	"-p data listomapvals hello",
	"-p data listomapkeys nosuch",
	"-p data getomapheader nosuch",
	"-p data -N side setomapval inside k v",
	"-p data -N side listomapvals inside",
	"-p data -N side setxattr inside a b",
	"-p data -N side listxattr inside",
	"-p data touch touched",
	"-p data stat touched",
	"-p data rm touched made",
	"-p data rm made",
	"-p data get nosuch OUT",
	"-p nosuchpool ls",
	"-p nosuchpool put x IN",
	"ls",
	"-p data",
	"-p data put hello",
	"-p data nosuchcommand",
	"-p data listwatchers hello",
	"-p data listsnaps hello",
	"-p data rm hello copy far",
	"-p data -N side rm inside hello",
	"-p data --all ls",
	"df",
	"df -p data",
	"df -f json",
}

// The rados program stores, reads, changes and lists objects as it does in Ceph,
// and what it prints and fails with is the same.
func TestRadosPrintsTheSame(t *testing.T) {
	us, them := onBoth(t, func(c target) []outcome {
		dir := clustertest.Dir(t)
		in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
		if err := os.WriteFile(in, []byte("what is stored"), 0o644); err != nil {
			t.Error(err)
		}
		var all []outcome
		for _, cmd := range radosScript {
			args := strings.Fields(cmd)
			for i, a := range args {
				args[i] = map[string]string{"IN": in, "OUT": out}[a]
				if args[i] == "" {
					args[i] = a
				}
			}
			o := outcome{cmd: cmd, Result: c.rados(args...)}
			if slices.Contains(args, out) && o.Code == 0 {
				b, err := os.ReadFile(out)
				if err != nil {
					t.Error(err)
				}
				o.Stdout += "file: " + string(b)
			}
			o.Stdout = strings.ReplaceAll(o.Stdout, dir, "DIR")
			o.Stderr = strings.ReplaceAll(o.Stderr, dir, "DIR")
			all = append(all, o)
		}
		return all
	})
	for i := range us {
		compare(t, "rados", us[i], them[i])
	}
}

// An object of 100 MB goes in as one and comes out whole, in a namespace too.
func TestBigObject(t *testing.T) {
	c := ours(t)
	dir := clustertest.Dir(t)
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	want := make([]byte, 100<<20)
	if _, err := rand.NewChaCha8([32]byte{1}).Read(want); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in, want, 0o644); err != nil {
		t.Fatal(err)
	}
	must(t, c.rados("-p", "data", "-N", "big", "put", "big", in))
	if got := must(t, c.rados("-p", "data", "-N", "big", "stat", "big")); !strings.Contains(got, "size 104857600") {
		t.Errorf("stat: %s", got)
	}
	must(t, c.rados("-p", "data", "-N", "big", "get", "big", out))
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes came out that differ from the %d that went in", len(got), len(want))
	}
	must(t, c.rados("-p", "data", "-N", "big", "rm", "big"))
}

// rados bench writes, reads in order and at random without an error, and cleanup
// leaves nothing; its report has the reference's lines.
func TestBench(t *testing.T) {
	us, them := onBoth(t, func(c target) []outcome {
		var all []outcome
		for _, cmd := range []string{
			"-p data bench 1 write -b 65536 -t 4 --no-cleanup",
			"-p data bench 1 seq -t 4",
			"-p data bench 1 rand -t 4",
			"-p data cleanup",
			"-p data ls",
			"-p data bench 1 seq",
			"-p data bench 1 write -b 4096 -o 4096 --run-name mine -f json",
			"-p data --all ls",
		} {
			o := outcome{cmd: cmd, Result: c.rados(strings.Fields(cmd)...)}
			if strings.Contains(cmd, " bench ") {
				o.Stdout = labels(o.Stdout)
			}
			all = append(all, o)
		}
		return all
	})
	for i := range us {
		compare(t, "rados", us[i], them[i])
	}
}

// labels keeps of each line what stands before a colon: the report without its
// figures and its progress.
func labels(report string) string {
	var out []string
	for _, line := range strings.Split(report, "\n") {
		if name, _, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(name, "20") {
			out = append(out, name)
		}
	}
	return strings.Join(out, "\n")
}
