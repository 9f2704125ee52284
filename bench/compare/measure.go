package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// sample is one measurement.
type sample struct {
	iops, mbps float64
	latencyMS  float64
	cpuPerOp   float64 // microseconds of the OSDs' CPU time for each operation
	peakMiB    float64 // greatest resident memory of an OSD so far
}

// series are the measurements of one cell of the matrix.
type series struct{ samples []sample }

// median returns the median of what get picks.
func (s *series) median(get func(sample) float64) float64 {
	if s == nil || len(s.samples) == 0 {
		return 0
	}
	var v []float64
	for _, x := range s.samples {
		v = append(v, get(x))
	}
	slices.Sort(v)
	return v[len(v)/2]
}

// bench runs rados bench once.
func bench(ctx context.Context, c side, mode string, size int, s settings) (sample, error) {
	args := []string{"-c", c.conf(), "-p", poolName, "bench", strconv.Itoa(s.seconds), mode, "-t", strconv.Itoa(s.threads), "--format", "json"}
	if mode == "write" {
		args = append(args, "-b", strconv.Itoa(size), "--no-cleanup")
	}
	cpu0 := cpuTicks(c.osdPids())
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "rados", args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return sample{}, fmt.Errorf("rados %s: %w\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	cpu := float64(cpuTicks(c.osdPids())-cpu0) / ticksPerSecond
	i := bytes.IndexByte(out, '{') // "hints = 1" may come before
	if i < 0 {
		return sample{}, fmt.Errorf("rados bench printed no JSON: %s", out)
	}
	var r struct {
		Time    string `json:"total_time_run"`
		Writes  string `json:"total_writes_made"`
		Reads   string `json:"total_reads_made"`
		MBps    string `json:"bandwidth"`
		Latency string `json:"average_latency"`
	}
	if err := json.Unmarshal(out[i:], &r); err != nil {
		return sample{}, fmt.Errorf("rados bench: %w", err)
	}
	ops := number(r.Writes) + number(r.Reads)
	if ops == 0 || number(r.Time) == 0 {
		return sample{}, fmt.Errorf("rados bench did nothing: %s", out[i:])
	}
	return sample{iops: ops / number(r.Time), mbps: number(r.MBps), latencyMS: number(r.Latency) * 1000,
		cpuPerOp: cpu / ops * 1e6, peakMiB: peakMiB(c.osdPids())}, nil
}

func number(s string) float64 {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0
	}
	return f
}

// ticksPerSecond is USER_HZ, in which /proc counts CPU time.
const ticksPerSecond = 100

// cpuTicks adds up the CPU time of processes, user and system.
func cpuTicks(pids []int) int64 {
	var sum int64
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		// Fields 14 and 15; the second is in parentheses and may hold spaces.
		f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		for _, i := range []int{11, 12} {
			n, err := strconv.ParseInt(f[i], 10, 64)
			if err == nil {
				sum += n
			}
		}
	}
	return sum
}

// peakMiB returns the greatest peak of resident memory among processes.
func peakMiB(pids []int) float64 {
	peak := 0.0
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
				peak = max(peak, number(strings.Fields(rest)[0])/1024)
			}
		}
	}
	return peak
}

// printTable prints the medians of both sides.
func printTable(w io.Writer, s settings, r map[string]map[string]*series) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "size\tmode\tops/s ref\tops/s sep\tratio\tlat ms ref\tlat ms sep\tCPU us/op ref\tCPU us/op sep\tpeak MiB ref\tpeak MiB sep\t\n")
	for _, size := range s.sizes {
		for _, mode := range []string{"write", "rand"} {
			key := mode + strconv.Itoa(size)
			a, b := r["reference"][key], r["sepiola"][key]
			iops := func(x sample) float64 { return x.iops }
			lat := func(x sample) float64 { return x.latencyMS }
			cpu := func(x sample) float64 { return x.cpuPerOp }
			mem := func(x sample) float64 { return x.peakMiB }
			ratio := "-"
			if v := a.median(iops); v > 0 {
				ratio = fmt.Sprintf("%.2f", b.median(iops)/v)
			}
			fmt.Fprintf(t, "%d\t%s\t%.0f\t%.0f\t%s\t%.2f\t%.2f\t%.0f\t%.0f\t%.0f\t%.0f\t\n", size, mode, a.median(iops), b.median(iops), ratio,
				a.median(lat), b.median(lat), a.median(cpu), b.median(cpu), a.median(mem), b.median(mem))
		}
	}
	// A table that cannot be printed is seen to be missing.
	_ = t.Flush()
}
