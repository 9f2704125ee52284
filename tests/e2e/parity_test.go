package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"sepiola/internal/clustertest"
	"sepiola/internal/reftool"
)

// setup are commands that change something: a pool with what a pool can have,
// options, keys, flags.
var setup = []string{
	"osd pool create e2e 8 8",
	"osd pool create e2e",
	"osd pool set e2e size 2",
	"osd pool set e2e min_size 1",
	"osd pool set e2e nodelete true",
	"osd pool rm e2e e2e --yes-i-really-really-mean-it",
	"osd pool set e2e nodelete false",
	"osd pool set e2e noscrub 1",
	"osd pool set e2e recovery_priority 3",
	"osd pool set-quota e2e max_objects 10",
	"osd pool application enable e2e rados",
	"osd pool application enable e2e rados",
	"config set osd.0 osd_max_backfills 3",
	"config set global debug_osd 2/5",
	"config set mon mon_allow_pool_delete true",
	"config-key set a/b c",
	"osd out 0",
	"osd in 0",
	"osd in 0",
	"osd set noout",
}

// probes are the commands that ask of which users were promised that they print
// what they print against Ceph. They run plainly and in JSON.
var probes = []string{
	"status",
	"health",
	"health detail",
	"mon stat",
	"mon dump",
	"osd stat",
	"osd dump",
	"osd tree",
	"osd ls",
	"osd df",
	"osd df tree",
	"osd perf",
	"osd metadata 0",
	"osd pool ls",
	"osd pool ls detail",
	"osd lspools",
	"osd pool get e2e size",
	"osd pool get e2e all",
	"osd pool get e2e pg_num",
	"osd pool get e2e crush_rule",
	"osd pool get e2e nodelete",
	"osd pool get e2e recovery_priority",
	"osd pool get-quota e2e",
	"osd pool application get e2e",
	"osd pool stats",
	"osd pool stats e2e",
	"osd map data someobject",
	"osd map data someobject ns",
	"pg stat",
	"pg dump pgs_brief",
	"pg dump",
	"pg ls",
	"pg dump_stuck",
	"pg dump_stuck degraded stale 5",
	"pg debug degraded_pgs_exist",
	"osd blocked-by",
	"osd ok-to-stop 0",
	"osd safe-to-destroy 77",
	"df",
	"df detail",
	"versions",
	"version",
	"fsid",
	"quorum_status",
	"config get osd.0 osd_max_backfills",
	"config get osd.0",
	"config dump",
	"osd crush rule ls",
	"osd crush tree",
	"osd blocklist ls",
}

// moreProbes ask as well; one form of each is compared.
var moreProbes = []string{
	"mon metadata -f json",
	"mon versions",
	"mgr stat",
	"mgr dump -f json",
	"osd getmaxosd",
	"osd getmaxosd -f json",
	"osd find 0 -f json",
	"osd info 0",
	"osd info -f json",
	"osd versions",
	"osd utilization",
	"osd utilization -f json",
	"osd pool get e2e min_size",
	"osd pool application get -f json",
	"pg dump pools -f json",
	"pg dump osds",
	"pg dump sum -f json",
	"pg ls-by-pool data",
	"pg ls-by-primary 0",
	"pg ls-by-osd 0 -f json",
	"pg map 2.0",
	"pg map 2.0 -f json",
	"pg ls degraded",
	"pg ls unknown -f json",
	"pg dump_pools_json",
	"pg cancel-force-recovery 2.0",
	"pg force-backfill 2.0 2.1",
	"osd ok-to-stop 0 --max 1",
	"features",
	"time-sync-status -f json",
	"config get osd.0 debug_osd",
	"config help osd_max_backfills -f json",
	"config-key get a/b",
	"config-key ls -f json",
	"config-key dump -f json",
	"config-key exists a/b",
	"osd crush rule dump",
	"osd crush rule dump replicated_rule -f json",
	"osd crush dump -f json",
	"osd crush tree --show-shadow",
	"osd crush class ls",
	"osd crush class ls-osd hdd",
	"osd crush get-device-class 0 -f json",
	"osd crush ls default",
	"osd crush show-tunables -f json",
	"osd erasure-code-profile ls",
	"osd erasure-code-profile get default -f json",
	"osd tree up",
	"osd tree down -f json",
	"osd ls-tree default",
	"osd count-metadata osd_objectstore",
	"node ls -f json",
}

// prettyProbes run in the indented form of JSON too, which is the plain form of
// many other probes.
var prettyProbes = []string{
	"status",
	"health detail",
	"mon dump",
	"osd dump",
	"osd tree",
	"osd pool ls detail",
	"osd pool get e2e all",
	"osd pool stats",
	"osd map data someobject",
	"pg stat",
	"df",
	"config dump",
	"quorum_status",
}

// after are commands after the probes: other forms, and the setup undone.
var after = []string{
	"-s",
	"-s -f json",
	"--status --format json-pretty",
	"health -f json",
	"osd pool ls -f json",
	"osd pool rename e2e e2f",
	"osd pool rm e2f e2f --yes-i-really-really-mean-it",
	"osd pool rm e2f e2f --yes-i-really-really-mean-it",
	"tell osd.0 version",
	"tell osd.0 version -f json",
	"tell osd.* version",
	"tell mon.a version",
	"tell mon.a mon_status",
	"tell osd.0 status",
	"config rm osd.0 osd_max_backfills",
	"config rm global debug_osd",
	"config rm mon mon_allow_pool_delete",
	"config get osd.0 osd_max_backfills",
	"config dump",
	"config-key exists a/c",
	"config-key rm a/b",
	"osd unset noout",
	"osd unset noout",
}

// mistakes are commands that fail: with the same exit status and words.
var mistakes = []string{
	"nosuchcommand",
	"osd nosuchcommand",
	"osd pool rm data",
	"osd pool rm data data",
	"osd pool rm data other --yes-i-really-really-mean-it",
	"osd pool rm nosuch nosuch --yes-i-really-really-mean-it",
	"osd pool create data",
	"osd pool create bad 0",
	"osd pool create bad x",
	"osd pool create bad 8 16",
	"osd pool create bad 70000",
	"osd pool create bad 8 8 nosuchtype",
	"osd pool create bad 8 8 replicated nosuchrule",
	"osd pool create",
	"osd pool get nosuch size",
	"osd pool get data nosuchvar",
	"osd pool get data erasure_code_profile",
	"osd pool get data hit_set_type",
	"osd pool set nosuch size 2",
	"osd pool set data size 0",
	"osd pool set data size 11",
	"osd pool set data size 1",
	"osd pool set data size x",
	"osd pool set data min_size 0",
	"osd pool set data min_size 4",
	"osd pool set data pg_num 0",
	"osd pool set data crush_rule nosuch",
	"osd pool set data nodelete maybe",
	"osd pool set data nosuchvar 1",
	"osd pool rename nosuch other",
	"osd pool rename data",
	"osd pool stats nosuch",
	"osd pool get-quota nosuch",
	"osd pool set-quota data max_objects x",
	"osd pool application enable data second",
	"osd pool application enable nosuch rados",
	"osd map nosuch obj",
	"osd map data",
	"osd find 99",
	"osd metadata 99",
	"osd out 99",
	"osd out x",
	"osd down 99",
	"osd rm 0",
	"osd getmap 99999",
	"osd dump 99999",
	"osd crush rule dump nosuch",
	"osd erasure-code-profile get nosuch",
	"osd set nosuchflag",
	"mon dump 99",
	"pg map 99.0",
	"pg map x",
	"pg map 1.ffff",
	"pg ls-by-pool nosuch",
	"pg ls-by-osd 77",
	"pg ls nosuchstate",
	"pg dump_stuck nosuch",
	"pg repeer 2.999",
	"pg force-recovery 99.0",
	"osd pool force-recovery nosuch",
	"osd pool set data pgp_num 0",
	"osd pool set data pgp_num 9999",
	"osd pool set data pg_num 9999999",
	"osd pool set data pg_num 9999",
	"osd ok-to-stop 0 1 2",
	"osd ok-to-stop x",
	"osd safe-to-destroy 0",
	"osd safe-to-destroy 0 77 -f json",
	"osd destroy 0",
	"osd purge 0",
	"osd purge 0 --force",
	"osd add-noup 77",
	"osd set-group sideways osd.0",
	"osd set-group noup nowhere",
	"config get osd.0 nosuchoption",
	"config set osd.0 nosuchoption 1",
	"config set osd.0 osd_max_backfills x",
	"config set osd.0 osd_max_backfills",
	"config set nosuch.0 osd_max_backfills 1",
	"config get nosuch.0",
	"config help nosuchoption",
	"config-key get nosuch",
	"config-key rm nosuch",
	"tell osd.99 version",
	"tell osd.0 nosuchcommand",
	"tell mon.z version",
	"tell mon.a nosuchcommand",
	"tell x.1 version",
	"health nosuch",
	"df nosuch",
	"-f nosuch df",
	"osd pool rm bad bad --yes-i-really-really-mean-it", // made by a pg_num of 0, which is no mistake
}

// outcome is what a command did on one cluster.
type outcome struct {
	cmd string
	clustertest.Result
}

func inFormat(format string, cmds []string) []string {
	var out []string
	for _, cmd := range cmds {
		out = append(out, cmd+" -f "+format)
	}
	return out
}

// play runs the commands on a cluster, each in a program of its own.
func play(c target, cmds []string) []outcome {
	var out []outcome
	for _, cmd := range cmds {
		o := outcome{cmd: cmd, Result: c.ceph(strings.Fields(cmd)...)}
		out = append(out, o.anonymous())
	}
	return out
}

// build is what a version says between parentheses.
var build = regexp.MustCompile(`\((sepiola[^)]*|[0-9a-f]{40})\)`)

// anonymous replaces the builds of versions, which are keys of JSON objects too.
func (o outcome) anonymous() outcome {
	o.Stdout = build.ReplaceAllString(o.Stdout, "(BUILD)")
	o.Stderr = build.ReplaceAllString(o.Stderr, "(BUILD)")
	return o
}

// onBoth does something on both clusters at the same time.
func onBoth(t *testing.T, do func(target) []outcome) (us, them []outcome) {
	t.Helper()
	sepiola, ceph := ours(t), ref(t)
	var wg sync.WaitGroup
	wg.Go(func() { us = do(sepiola) })
	wg.Go(func() { them = do(ceph) })
	wg.Wait()
	if len(us) != len(them) {
		t.Fatalf("%d answers, from Ceph %d", len(us), len(them))
	}
	return us, them
}

// The ceph program prints against Sepiola what it prints against Ceph: the same
// plain text but for numbers and identities, the same JSON members of the same
// types in the same order, the same exit status and messages.
func TestCephPrintsTheSame(t *testing.T) {
	us, them := onBoth(t, func(c target) []outcome {
		out := play(c, setup)
		awaitClean(t, c)
		out = append(out, play(c, probes)...)
		out = append(out, play(c, inFormat("json", probes))...)
		out = append(out, play(c, moreProbes)...)
		out = append(out, play(c, inFormat("json-pretty", prettyProbes))...)
		return append(out, play(c, after)...)
	})
	for i := range us {
		compare(t, "ceph", us[i], them[i])
	}
}

// Every command that the monitor says it serves has the signature that it has in
// Ceph, so that the ceph program takes the same arguments for it.
func TestCommandSignatures(t *testing.T) {
	signatures := func(c target) map[string]bool {
		cmd := exec.Command("ceph", "-c", c.conf, "--help")
		cmd.Dir = os.TempDir()
		r := clustertest.Exec(cmd)
		_, list, ok := strings.Cut(must(t, r), "Monitor commands:")
		if !ok {
			t.Fatalf("%s: no commands in the help:\n%s", c.name, r.Stdout)
		}
		out, last := map[string]bool{}, ""
		for _, line := range strings.Split(list, "\n") {
			// Without a terminal the signature has the first 39 columns; where it
			// goes on, it is indented.
			sig := strings.TrimRight(line[:min(len(line), 39)], " ")
			if sig == "" || sig[0] == '=' {
				continue
			}
			if sig = strings.ReplaceAll(sig, " ", ""); line[0] == ' ' {
				delete(out, last)
				sig = last + sig
			}
			out[sig] = true
			last = sig
		}
		return out
	}
	served, known := signatures(ours(t)), signatures(ref(t))
	if len(served) < 80 {
		t.Errorf("only %d commands are served", len(served))
	}
	for sig := range served {
		if !known[sig] && !explained("signature", sig) {
			t.Errorf("has another signature in Ceph, or is not there: %s", sig)
		}
	}
}

// Mistakes get Ceph's exit status and words.
func TestCephRefusesTheSame(t *testing.T) {
	us, them := onBoth(t, func(c target) []outcome { return play(c, mistakes) })
	for i := range us {
		compare(t, "ceph", us[i], them[i])
	}
}

func compare(t *testing.T, prog string, us, them outcome) {
	t.Helper()
	if us.Code != them.Code {
		t.Errorf("%s %s: exit status %d, in Ceph %d\n%s%s---\n%s%s", prog, us.cmd, us.Code, them.Code, us.Stdout, us.Stderr, them.Stdout, them.Stderr)
		return
	}
	var diffs []string
	if isJSON(them.Stdout) {
		diffs = compareJSON(us, them)
	} else {
		diffs = lineDiff(us.Stdout, them.Stdout)
	}
	diffs = append(diffs, lineDiff(reftool.WithoutLog(us.Stderr), reftool.WithoutLog(them.Stderr))...)
	var unexplained []string
	for _, d := range diffs {
		if !explained(us.cmd, d) {
			unexplained = append(unexplained, d)
		}
	}
	if len(unexplained) > 0 {
		t.Errorf("%s %s:\n%s", prog, us.cmd, strings.Join(unexplained, "\n"))
	}
}

func isJSON(s string) bool {
	s = strings.TrimSpace(s)
	return strings.HasPrefix(s, "{") || strings.HasPrefix(s, "[")
}

func compareJSON(us, them outcome) []string {
	w, err := parseJSON(them.Stdout)
	if err != nil { // some of Ceph's answers are none
		return lineDiff(us.Stdout, them.Stdout)
	}
	g, err := parseJSON(us.Stdout)
	if err != nil {
		return []string{err.Error()}
	}
	diffs := shapeDiff("$", g, w)
	if g, w := layoutOf(us.Stdout), layoutOf(them.Stdout); g != w {
		diffs = append(diffs, "line breaks: "+g+", in Ceph "+w)
	}
	return diffs
}

// layoutOf is the white space before and after a JSON answer, and whether it is
// broken into lines.
func layoutOf(s string) string {
	body := strings.TrimSpace(s)
	before, after, _ := strings.Cut(s, body)
	return strings.ReplaceAll(before+"{"+map[bool]string{true: "..."}[strings.Contains(body, "\n")]+"}"+after, "\n", "\\n")
}

// lineDiff compares two texts line by line after normal. Lines that only got has
// begin with "+", lines that only want has with "-".
func lineDiff(got, want string) []string {
	g, w := strings.Split(normal(got), "\n"), strings.Split(normal(want), "\n")
	if slices.Equal(g, w) {
		return nil
	}
	var out []string
	for _, l := range g {
		if !slices.Contains(w, l) && !slices.Contains(out, "+"+l) {
			out = append(out, "+"+l)
		}
	}
	for _, l := range w {
		if !slices.Contains(g, l) && !slices.Contains(out, "-"+l) {
			out = append(out, "-"+l)
		}
	}
	if out == nil {
		out = append(out, fmt.Sprintf("the same lines in another order or number: %q, in Ceph %q", g, w))
	}
	return out
}
