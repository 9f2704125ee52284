// Command sim runs the cluster simulator of package sim: many seeds, or one with
// its trace. docs/simulator.md is its manual.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"sepiola/sim"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400) // runs are short and make much garbage
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// The exit statuses.
const (
	exitViolation = 1
	exitUsage     = 2
)

// flags are what the command line says.
type flags struct {
	opts           sim.Options
	count          uint64
	faults, format string
	verbose, trace bool
}

func run(args []string, out, errs io.Writer) int {
	f, err := parse(args, errs)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(errs, "sim: %v\nTry 'sim -help'.\n", err)
		return exitUsage
	}
	w := bufio.NewWriterSize(out, 1<<16)
	defer w.Flush()
	if f.trace {
		f.opts.Trace = w
	}
	began := time.Now()
	sum := f.simulate(w, errs)
	report(w, f, sum, time.Since(began))
	if sum.Violation != nil {
		return exitViolation
	}
	return 0
}

func parse(args []string, errs io.Writer) (*flags, error) {
	f := &flags{opts: sim.DefaultOptions()}
	o := &f.opts
	set := flag.NewFlagSet("sim", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.Uint64Var(&o.Seed, "seed", 1, "the first `seed`")
	set.Uint64Var(&f.count, "seeds", 100, "how many seeds, one after another")
	set.IntVar(&o.Steps, "steps", o.Steps, "events of the phase with faults")
	set.IntVar(&o.OSDs, "osds", o.OSDs, "OSDs")
	set.IntVar(&o.Size, "size", o.Size, "copies of each placement group")
	set.IntVar(&o.MinSize, "min-size", o.MinSize, "copies without which a placement group takes no writes")
	set.IntVar(&o.PGs, "pgs", o.PGs, "placement groups")
	set.StringVar(&f.faults, "faults", "all", "`list` of classes of faults divided by commas; -NAME takes one away")
	set.StringVar(&f.format, "format", "plain", "how the summary is written: plain or json")
	set.BoolVar(&f.verbose, "v", false, "write a line for each seed")
	set.BoolVar(&f.trace, "trace", false, "write what happens, a line for each event; of one seed only")
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			usage(errs, set)
		}
		return nil, err
	}
	return f, f.check(set)
}

func (f *flags) check(set *flag.FlagSet) (err error) {
	if f.opts.Faults, err = sim.ParseFaults(f.faults); err != nil {
		return err
	}
	switch {
	case set.NArg() > 0:
		return fmt.Errorf("%q is not a flag", set.Arg(0))
	case f.format != "plain" && f.format != "json":
		return fmt.Errorf("format: %q is neither plain nor json", f.format)
	case f.count == 0:
		return errors.New("seeds: there must be one at least")
	case f.trace && f.count != 1:
		return errors.New("trace: of one seed only; add -seeds 1")
	}
	return f.opts.Validate()
}

func usage(w io.Writer, set *flag.FlagSet) {
	fmt.Fprint(w, `Usage: sim [flags]

Simulates whole clusters with the real code of placement groups: each seed is
one run with faults, after which all must be clean and no promise broken. The
same seed always gives the same run. The exit status is 1 if a seed breaks a
promise; the command to replay it is printed. It is 2 for wrong flags.

Flags:
`)
	set.SetOutput(w)
	set.PrintDefaults()
	fmt.Fprintf(w, "\nClasses of faults, besides all and none:\n%s", sim.FaultHelp())
}

// simulate runs the seeds and tells how far it is.
func (f *flags) simulate(out *bufio.Writer, errs io.Writer) sim.Summary {
	var bar *progressbar.ProgressBar
	if e, ok := errs.(*os.File); ok && term.IsTerminal(int(e.Fd())) && !f.verbose && !f.trace {
		bar = progressbar.NewOptions64(int64(min(f.count, 1<<62)), progressbar.OptionSetWriter(e), progressbar.OptionClearOnFinish(),
			progressbar.OptionSetDescription("simulating"), progressbar.OptionSetWidth(30), progressbar.OptionShowCount(),
			progressbar.OptionSetItsString("seeds"), progressbar.OptionShowIts(), progressbar.OptionThrottle(100*time.Millisecond))
		defer bar.Finish()
	}
	return sim.RunSeeds(f.opts, f.count, func(r sim.Result) {
		if bar != nil {
			bar.Add(1)
		}
		if f.verbose {
			verdict := "ok"
			if r.Violation != nil {
				verdict = "VIOLATION " + r.Violation.Checker
			}
			fmt.Fprintf(out, "seed %d: %d events, %d operations, %d maps, trace %s, %s\n", r.Seed, r.Events, r.Operations,
				r.Epochs, r.Hash, verdict)
			out.Flush()
		}
	})
}

// report writes the summary.
func report(out io.Writer, f *flags, sum sim.Summary, took time.Duration) {
	if f.format == "json" {
		e := json.NewEncoder(out)
		e.SetIndent("", "    ")
		e.SetEscapeHTML(false)
		e.Encode(struct {
			sim.Summary
			Seconds float64 `json:"seconds"`
		}{sum, took.Seconds()})
		return
	}
	fmt.Fprintf(out, "%d of %d seeds from %d: %d events, %d operations, %d maps in %.1f s; hash of the traces %s\n", sum.Done,
		sum.Count, sum.Base, sum.Events, sum.Operations, sum.Epochs, took.Seconds(), sum.Hash)
	if v := sum.Violation; v != nil {
		fmt.Fprintf(out, "VIOLATION in seed %d at event %d, found by %s: %s\nTo replay it:\n%s\n", sum.Seed, v.Step, v.Checker,
			v.Message, v.Replay)
	}
}
