package main

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/sys/unix"

	"sepiola/jsonfmt"
)

// number prints a figure as a C++ stream does.
func number(v float64) string { return jsonfmt.Float(v, 6) }

const mebi = 1 << 20

// spread follows the mean, the extremes and the deviation of a series of figures
// (Welford's method).
type spread struct {
	n        int
	mean, sq float64
	min, max float64
}

func newSpread() spread { return spread{min: math.MaxFloat64} }

func (s *spread) add(v float64) {
	s.n++
	delta := v - s.mean
	s.mean += delta / float64(s.n)
	s.sq += delta * (v - s.mean)
	s.min, s.max = min(s.min, v), max(s.max, v)
}

func (s *spread) stddev() float64 {
	if s.n < 2 {
		return 0
	}
	return math.Sqrt(s.sq / float64(s.n-1))
}

// report counts a benchmark's operations and prints a line each second, then the
// summary, in the form of Ceph's (ObjBencher::status_printer).
type report struct {
	b     *bencher
	mu    sync.Mutex
	start time.Time
	limit time.Duration
	took  time.Duration
	json  *jsonfmt.Writer // nil for text
	file  io.WriteCloser  // of --output
	bar   *progressbar.ProgressBar
	quit  chan struct{}
	ended sync.WaitGroup
	last  time.Duration // latency of the operation that ended last
	lat   spread
	bw    spread // MiB per second, by interval
	iops  spread

	started, finished int
	// Of the intervals: finished at the last change, and lines since then.
	previous, idle int
	lastIOPS       int
}

func (b *bencher) newReport(limit time.Duration) (*report, error) {
	r := &report{b: b, limit: limit, lat: newSpread(), bw: newSpread(), iops: newSpread(), quit: make(chan struct{})}
	if b.o.json() {
		r.json = b.newJSON()
		r.json.OpenObject("bench")
		if b.o.output != "" {
			f, err := os.Create(b.o.output)
			if err != nil {
				return nil, err
			}
			r.file = f
		}
	}
	if f, ok := b.stderr.(*os.File); ok && limit > 0 && isTerminal(f) {
		r.bar = progressbar.NewOptions(int(limit/time.Second), progressbar.OptionSetWriter(f), progressbar.OptionClearOnFinish(),
			progressbar.OptionSetWidth(40), progressbar.OptionSetElapsedTime(false), progressbar.OptionSetPredictTime(false))
	}
	return r, nil
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// begin counts an operation started and returns its number, unless there are most
// already.
func (r *report) begin(most int) (int, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if most >= 0 && r.started >= most {
		return 0, false
	}
	r.started++
	return r.started - 1, true
}

// end counts an operation that took d.
func (r *report) end(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finished++
	r.last = d
	r.lat.add(d.Seconds())
}

// line prints a line of text, with the time before it if that is wanted.
func (r *report) line(w io.Writer, s string) {
	if r.bar != nil {
		// An error of the bar's is of no consequence: it is for the eye only.
		_ = r.bar.Clear()
	}
	if r.b.o.showTime {
		s = stamp(time.Now()) + " " + s
	}
	fmt.Fprintln(w, s)
	if out, ok := w.(*bufio.Writer); ok {
		out.Flush() // its error stays with it, for the end
	}
}

// note says something beside the results.
func (r *report) note(s string) { r.line(r.b.notes, s) }

func (r *report) startWrite(limit time.Duration) {
	o, run := r.b.o, r.b.run
	prefix := fmt.Sprintf("%s_%d", prefixOfHost(), run.pid)
	if r.json == nil {
		r.line(r.b.stdout, fmt.Sprintf("Maintaining %d concurrent writes of %d bytes to objects of size %d for up to %d seconds or %d objects",
			o.concurrent, run.opSize, run.objectSize, int(limit.Seconds()), o.maxObjects))
		r.line(r.b.stdout, "Object prefix: "+prefix)
	} else {
		r.json.Stringf("concurrent_ios", "%d", o.concurrent)
		r.json.Stringf("object_size", "%d", run.objectSize)
		r.json.Stringf("op_size", "%d", run.opSize)
		r.json.Stringf("seconds_to_run", "%d", int(limit.Seconds()))
		r.json.Stringf("max_objects", "%d", o.maxObjects)
		r.json.String("object_prefix", prefix)
	}
	r.startRead()
}

// startRead begins the intervals.
func (r *report) startRead() {
	if r.json != nil {
		r.json.OpenArray("datas")
	}
	r.start = time.Now()
	r.ended.Add(1)
	go r.intervals()
}

func (r *report) intervals() {
	defer r.ended.Done()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for sec := 0; ; sec++ {
		r.interval(sec)
		select {
		case <-tick.C:
		case <-r.quit:
			return
		}
	}
}

// interval prints one line: what has been done, and the speed in all and since the
// last change.
func (r *report) interval(sec int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	size := float64(r.b.run.opSize)
	bw := -1.0
	r.lastIOPS = -1
	if r.idle > 0 {
		done := float64(r.finished - r.previous)
		bw = done * size / mebi / float64(r.idle)
		r.bw.add(bw)
		r.lastIOPS = int(done / float64(r.idle))
		r.iops.add(float64(r.lastIOPS))
	}
	avg := size * float64(r.finished) / time.Since(r.start).Seconds() / mebi
	changed := r.previous != r.finished
	if changed {
		r.previous, r.idle = r.finished, 0
	}
	r.idle++
	if r.json != nil {
		r.intervalJSON(sec, avg, bw, changed)
	} else {
		r.intervalText(sec, avg, bw, changed)
	}
	if r.bar != nil {
		_ = r.bar.Set(min(sec, int(r.limit/time.Second)))
	}
}

func (r *report) intervalText(sec int, avg, bw float64, changed bool) {
	if sec%20 == 0 {
		if sec > 0 {
			fmt.Fprintf(r.b.stdout, "%s min lat: %s max lat: %s avg lat: %s\n", stamp(time.Now()),
				number(r.lat.min), number(r.lat.max), number(r.lat.mean))
		}
		r.line(r.b.stdout, fmt.Sprintf("%5s%8s%10s%10s%10s%10s%12s%12s", "sec", "Cur ops", "started", "finished",
			"avg MB/s", "cur MB/s", "last lat(s)", "avg lat(s)"))
	}
	cur, last := "0", "-"
	if changed {
		cur, last = number(bw), number(r.last.Seconds())
	}
	r.line(r.b.stdout, fmt.Sprintf("%5d %7d %9d %9d %9s %9s %11s %11s", sec, r.started-r.finished, r.started, r.finished,
		number(avg), cur, last, number(r.lat.mean)))
}

func (r *report) intervalJSON(sec int, avg, bw float64, changed bool) {
	w, last := r.json, r.last.Seconds()
	if !changed {
		bw, last = 0, 0
	}
	w.OpenObject("data")
	w.Stringf("sec", "%d", sec)
	w.Stringf("cur_ops", "%d", r.started-r.finished)
	w.Stringf("started", "%d", r.started)
	w.Stringf("finished", "%d", r.finished)
	w.Stringf("avg_bw", "%f", avg)
	w.Stringf("cur_bw", "%f", bw)
	w.Stringf("last_lat", "%f", last)
	w.Stringf("avg_lat", "%f", r.lat.mean)
	w.Close()
}

// stop ends the intervals.
func (r *report) stop() {
	r.took = time.Since(r.start)
	close(r.quit)
	r.ended.Wait()
	if r.bar != nil {
		_ = r.bar.Finish()
		r.bar = nil
	}
	if r.json != nil {
		r.json.Close()
	}
	if r.lastIOPS < 0 {
		// Not one whole interval: the run is it.
		r.iops.min = float64(int(float64(r.finished) / r.took.Seconds()))
		r.iops.max = r.iops.min
	}
}

// figure is a line of the summary: its label, its name and value in JSON.
type figure struct{ label, text, key, json string }

// summary prints the results of "writes" or "reads".
func (r *report) summary(what string) {
	run, took := r.b.run, r.took.Seconds()
	bw := float64(r.finished) * float64(run.opSize) / took / mebi
	integer := func(label, key string, n int) figure {
		s := fmt.Sprint(n)
		return figure{label, s, key, s}
	}
	float := func(label, key string, v float64) figure {
		return figure{label, number(v), key, fmt.Sprintf("%f", v)}
	}
	writes := what == "writes"
	size, label := "Read size:", "read_size"
	if writes {
		size, label = "Write size:", "write_size"
	}
	list := []figure{
		float("Total time run:", "total_time_run", took), integer("Total "+what+" made:", "total_"+what+"_made", r.finished),
		integer(size, label, int(run.opSize)), integer("Object size:", "object_size", int(run.objectSize)),
		float("Bandwidth (MB/sec):", "bandwidth", bw),
	}
	if writes {
		list = append(list, float("Stddev Bandwidth:", "stddev_bandwidth", r.bw.stddev()),
			float("Max bandwidth (MB/sec):", "max_bandwidth", r.bw.max), float("Min bandwidth (MB/sec):", "min_bandwidth", r.bw.min))
	}
	list = append(list, integer("Average IOPS:", "average_iops", int(float64(r.finished)/took)),
		float("Stddev IOPS:", "stddev_iops", r.iops.stddev()),
		integer("Max IOPS:", "max_iops", int(r.iops.max)), integer("Min IOPS:", "min_iops", int(r.iops.min)),
		float("Average Latency(s):", "average_latency", r.lat.mean))
	if writes {
		list = append(list, float("Stddev Latency(s):", "stddev_latency", r.lat.stddev()))
	}
	list = append(list, float("Max latency(s):", "max_latency", r.lat.max), float("Min latency(s):", "min_latency", r.lat.min))
	width := 22
	if writes {
		width = 24
	}
	for i, f := range list {
		switch {
		case r.json != nil:
			r.json.String(f.key, f.json)
		case i == 0:
			r.line(r.b.stdout, fmt.Sprintf("%-*s%s", width, f.label, f.text))
		default:
			fmt.Fprintf(r.b.stdout, "%-*s%s\n", width, f.label, f.text)
		}
	}
}

// close writes the JSON out.
func (r *report) close() error {
	if r.json == nil {
		return nil
	}
	r.json.Close()
	out := r.b.stdout
	if r.file != nil {
		out = r.file
	}
	_, err := fmt.Fprintf(out, "%s\n", r.json.Bytes())
	if r.file != nil {
		if e := r.file.Close(); err == nil {
			err = e
		}
	}
	return err
}
