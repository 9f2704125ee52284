package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// statusTimeout bounds how long status waits for a monitor.
const statusTimeout = 3 * time.Second

// daemonStatus is a row of the table.
type daemonStatus struct {
	Name  string `json:"name"`
	PID   int    `json:"pid"`
	State string `json:"state"`
}

func status(ctx context.Context, f *flags) error {
	c, err := load(f.dir)
	if err != nil {
		return err
	}
	var rows []daemonStatus
	running := 0
	for _, name := range c.daemons() {
		row := daemonStatus{name, c.pid(name), "stopped"}
		if row.PID != 0 {
			row.State = "running"
			running++
		}
		rows = append(rows, row)
	}
	var st clusterStatus
	var stErr error
	if running > 0 {
		st, stErr = c.ask(ctx)
	}
	if f.format == "json" {
		return printStatusJSON(rows, st)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "DAEMON\tPID\tSTATE")
	for _, r := range rows {
		pid := "-"
		if r.PID != 0 {
			pid = fmt.Sprint(r.PID)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", r.Name, pid, r.State)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	switch {
	case running == 0:
	case stErr != nil:
		fmt.Println("the monitor does not answer:", stErr)
	default:
		fmt.Printf("%s; %d PGs: %s\n", st.Health.Status, st.PGMap.NumPGs, st.stateText())
		printReasons(st.reasons)
	}
	return nil
}

// reasonsShown bounds the lines about PGs that are not clean.
const reasonsShown = 10

func printReasons(reasons []reason) {
	for _, r := range reasons[:min(len(reasons), reasonsShown)] {
		fmt.Println(r)
	}
	if n := len(reasons) - reasonsShown; n > 0 {
		fmt.Printf("and %d more; \"ceph pg why\" has them all\n", n)
	}
}

func printStatusJSON(rows []daemonStatus, st clusterStatus) error {
	b, err := json.MarshalIndent(map[string]any{
		"daemons": rows, "health": st.Health.Status, "num_pgs": st.PGMap.NumPGs, "pgs_by_state": st.states(), "reasons": st.reasons,
	}, "", "    ")
	if err != nil {
		return err
	}
	_, err = fmt.Println(string(b))
	return err
}

func (c *cluster) ask(ctx context.Context) (clusterStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	a, err := dial(ctx, c)
	if err != nil {
		return clusterStatus{}, err
	}
	defer a.close()
	st, err := a.status(ctx)
	if err == nil {
		st.reasons, err = a.reasons(ctx)
	}
	return st, err
}

// progress tells a terminal how far a start has come, and anything else nothing.
type progress struct {
	bar *progressbar.ProgressBar
	tty bool
}

func newProgress() *progress { return &progress{tty: term.IsTerminal(int(os.Stderr.Fd()))} }

func (p *progress) say(what string) {
	if p.tty {
		fmt.Fprintf(os.Stderr, "\r\x1b[K%s ...", what)
	}
}

// pgs shows how many PGs are active+clean.
func (p *progress) pgs(st clusterStatus) { p.show("PGs active+clean", st.cleanPGs(), st.PGMap.NumPGs) }

// show draws a bar of so many PGs of all.
func (p *progress) show(what string, n, of int) {
	if !p.tty || of == 0 {
		return
	}
	if p.bar == nil || p.bar.GetMax() != of {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
		p.bar = progressbar.NewOptions(of, progressbar.OptionSetWriter(os.Stderr),
			progressbar.OptionSetDescription(what), progressbar.OptionShowCount(),
			progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(false))
	}
	// The bar only draws; that it cannot draw is no reason to fail.
	_ = p.bar.Set(n)
}

func (p *progress) done() {
	if p.tty {
		fmt.Fprint(os.Stderr, "\r"+strings.Repeat(" ", 78)+"\r")
	}
}
