package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"sepiola/sim"
)

func runSim(args ...string) (status int, out, errs string) {
	var o, e bytes.Buffer
	status = run(args, &o, &e)
	return status, o.String(), e.String()
}

// Flags that make no sense are refused with status 2 and a line that says why.
func TestWrongFlags(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"-seeds 0", "seeds"}, {"-osds 0", "osds"}, {"-size 5", "size"}, {"-size 2 -min-size 3", "min-size"}, {"-pgs -1", "pgs"},
		{"-steps -1", "steps"}, {"-faults rain", "rain"}, {"-format xml", "xml"}, {"-trace", "trace"},
		{"-nothing", "nothing"}, {"more", "more"}, {"-seed x", "seed"},
	} {
		status, out, errs := runSim(strings.Fields(c.args)...)
		if status != exitUsage || out != "" || !strings.Contains(errs, c.want) {
			t.Errorf("%s: status %d, %q, %q", c.args, status, out, errs)
		}
	}
}

// Help names every flag and every class of faults.
func TestHelp(t *testing.T) {
	status, _, errs := runSim("-help")
	if status != 0 {
		t.Errorf("status %d", status)
	}
	for _, want := range append(sim.FaultNames(), "-seed ", "-seeds ", "-steps ", "-osds ", "-size ", "-min-size ", "-pgs ",
		"-faults ", "-format ", "-v\t", "-trace\n") {
		if !strings.Contains(errs, want) {
			t.Errorf("no %q in %s", want, errs)
		}
	}
}

// The summary says what was run, in words and in JSON, and is the same for the same
// seeds but for the time it took.
func TestSummary(t *testing.T) {
	args := []string{"-seed", "7", "-seeds", "3", "-steps", "300", "-faults", "crash"}
	status, plain, _ := runSim(append(args, "-v")...)
	if status != 0 || strings.Count(plain, "\n") != 4 || !strings.Contains(plain, "3 of 3 seeds from 7: ") {
		t.Errorf("status %d: %s", status, plain)
	}
	var sums [2]map[string]any
	for i := range sums {
		_, out, _ := runSim(append(args, "--format", "json")...)
		if err := json.Unmarshal([]byte(out), &sums[i]); err != nil {
			t.Fatal(err, out)
		}
		delete(sums[i], "seconds")
	}
	if a, b := fmt.Sprint(sums[0]), fmt.Sprint(sums[1]); a != b {
		t.Errorf("%s and %s", a, b)
	}
	if hash := fmt.Sprint(sums[0]["hash"]); len(hash) != 16 || !strings.Contains(plain, hash) {
		t.Errorf("hash %s, and %s", hash, plain)
	}
}

// A trace ends with the summary and can be had of one seed.
func TestTrace(t *testing.T) {
	status, out, _ := runSim("-seed", "7", "-seeds", "1", "-steps", "300", "-trace")
	if lines := strings.Split(out, "\n"); status != 0 || len(lines) < 100 || !strings.Contains(lines[0], "osd.0 starts") {
		t.Errorf("status %d, %d lines: %.300s", status, len(lines), out)
	}
}

// A violation is shown with one command to replay it.
func TestReport(t *testing.T) {
	o := sim.DefaultOptions()
	o.Seed, o.Faults = 9, sim.FaultCrash
	sum := sim.Summary{Seed: 9, Violation: &sim.Violation{Checker: "copies", Message: "differ", Replay: o.Command()}}
	var out bytes.Buffer
	report(&out, &flags{}, sum, time.Second)
	want := "go run ./cmd/sim -seed 9 -seeds 1 -steps 3000 -osds 4 -size 3 -min-size 2 -pgs 2 -faults crash -trace\n"
	if s := out.String(); strings.Count(s, "go run") != 1 || !strings.HasSuffix(s, want) || !strings.Contains(s, "found by copies: differ") {
		t.Error(s)
	}
	if f, err := parse(strings.Fields(strings.TrimPrefix(strings.TrimSpace(want), "go run ./cmd/sim")), &out); err != nil || f.opts.Command() != o.Command() {
		t.Errorf("the command is read as %+v, %v", f, err)
	}
}
