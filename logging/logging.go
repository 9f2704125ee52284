// Package logging gives every part of a daemon a structured logger (hclog) of its
// own level, set with Ceph's "debug <subsystem>" options.
//
// Ceph counts levels from 0 to 20; hclog has five. A level of 0 to 4 logs errors,
// warnings and the few notices an operator needs (started, stopped, marked
// down), 5 to 14 details (debug), 15 and above
// everything (trace).
package logging

import (
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/hashicorp/go-hclog"

	"sepiola/config"
)

// Log is a daemon's log: one output, one logger for each subsystem.
type Log struct {
	out  *output
	root hclog.Logger

	mu   sync.Mutex
	subs map[string]hclog.Logger
	conf *config.Config
}

// Open opens the log that the configuration names ("log file", "log to
// stderr"). With toStderr everything goes to standard error instead.
func Open(conf *config.Config, toStderr bool) (*Log, error) {
	out := &output{}
	if toStderr || conf.Bool("log_to_stderr") {
		out.extra = os.Stderr
	}
	if path := conf.String("log_file"); path != "" && conf.Bool("log_to_file") && !toStderr {
		out.path = path
		if err := out.reopen(); err != nil {
			return nil, err
		}
	}
	return newLog(conf, out), nil
}

// To returns a log that writes to w; tests use it.
func To(w io.Writer, conf *config.Config) *Log { return newLog(conf, &output{extra: w}) }

func newLog(conf *config.Config, out *output) *Log {
	l := &Log{out: out, subs: map[string]hclog.Logger{}, conf: conf}
	l.root = hclog.New(&hclog.LoggerOptions{
		Output:            out,
		Level:             hclog.Trace,
		IndependentLevels: true,
		TimeFormat:        "2006-01-02T15:04:05.000Z0700",
	})
	conf.Observe(l.changed)
	return l
}

// Get returns the logger of a subsystem, one of config.Subsystems.
func (l *Log) Get(subsystem string) hclog.Logger {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s, ok := l.subs[subsystem]; ok {
		return s
	}
	s := l.root.Named(subsystem)
	s.SetLevel(level(l.conf.Int("debug_" + subsystem)))
	l.subs[subsystem] = s
	return s
}

func (l *Log) changed(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for subsystem, s := range l.subs {
		if name == "debug_"+subsystem {
			s.SetLevel(level(l.conf.Int(name)))
		}
	}
}

func level(n int64) hclog.Level {
	switch {
	case n < 5:
		return hclog.Info
	case n < 15:
		return hclog.Debug
	}
	return hclog.Trace
}

// Reopen opens the log file anew, after it was rotated.
func (l *Log) Reopen() error { return l.out.reopen() }

// Close closes the log file.
func (l *Log) Close() error { return l.out.close() }

// output is the log's writer, whose file can be exchanged.
type output struct {
	mu    sync.Mutex
	path  string
	file  *os.File
	extra io.Writer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.extra != nil {
		if n, err := o.extra.Write(p); err != nil && o.file == nil {
			return n, err
		}
	}
	if o.file != nil {
		return o.file.Write(p)
	}
	return len(p), nil
}

func (o *output) reopen() error {
	if o.path == "" {
		return nil
	}
	f, err := os.OpenFile(o.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("opening the log (option \"log file\"): %w", err)
	}
	o.mu.Lock()
	old := o.file
	o.file = f
	o.mu.Unlock()
	if old != nil {
		return old.Close()
	}
	return nil
}

func (o *output) close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.file == nil {
		return nil
	}
	err := o.file.Close()
	o.file = nil
	return err
}
