package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"sepiola/config"
	"sepiola/logging"
	"sepiola/rados"
	"sepiola/version"
)

func main() {
	p := program{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, name: os.Args[0]}
	os.Exit(p.run(context.Background(), os.Args[1:]))
}

// program is what a run of the command reads and writes.
type program struct {
	name   string
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
}

// errFailed says that a command failed and has told why; errUsage that its
// arguments were not understood.
var (
	errFailed = errors.New("failed")
	errUsage  = errors.New("wrong usage")
)

// statusError ends the program with a status other than 1.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// run carries a command line out and returns the exit status.
func (p program) run(ctx context.Context, args []string) int {
	out := bufio.NewWriterSize(p.stdout, 64<<10)
	p.stdout = out
	err := p.execute(ctx, append(strings.Fields(os.Getenv("CEPH_ARGS")), args...))
	if e := out.Flush(); e != nil && err == nil {
		fmt.Fprintf(p.stderr, "error writing to standard output: %v\n", e)
		return 1
	}
	var errno rados.Errno
	var status statusError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errFailed):
	case errors.Is(err, errUsage):
		io.WriteString(p.stderr, usage)
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &errno):
		fmt.Fprintf(p.stderr, "error %d: %s\n", int32(errno), errText(errno))
	default:
		fmt.Fprintf(p.stderr, "rados: %v\n", err)
	}
	return 1
}

func (p program) execute(ctx context.Context, args []string) error {
	if len(args) == 0 {
		fmt.Fprintf(p.stderr, "%s: -h or --help for usage\n", p.name)
		return errFailed
	}
	o, err := parse(args)
	switch {
	case errors.Is(err, errHelp):
		io.WriteString(p.stdout, usage)
		return nil
	case errors.Is(err, errVersion):
		fmt.Fprintln(p.stdout, version.Pretty())
		return nil
	case err != nil:
		fmt.Fprintln(p.stderr, err)
		var status statusError
		if errors.As(err, &status) {
			return status
		}
		return errFailed
	}
	conf, err := p.configure(o)
	if err != nil {
		return err
	}
	if len(o.args) == 0 {
		fmt.Fprintln(p.stderr, "rados: you must give an action. Try --help")
		return errFailed
	}
	if o.create && o.pool == nil {
		fmt.Fprintln(p.stderr, "--create needs the name of a pool (-p)")
		return errUsage
	}
	c, err := rados.Connect(ctx, conf, logging.To(p.stderr, conf).Get("client"))
	if err != nil {
		fmt.Fprintf(p.stderr, "couldn't connect to cluster: %s\n", errText(err))
		return errFailed
	}
	defer c.Close()
	t := &tool{program: p, ctx: ctx, o: o, c: c}
	if err := t.open(); err != nil {
		return err
	}
	return t.command(o.args[0], o.args[1:])
}

// configure reads the configuration and the options of it on the command line.
func (p program) configure(o *options) (*config.Config, error) {
	kind, id := "client", "admin"
	if o.name != "" {
		var ok bool
		if kind, id, ok = strings.Cut(o.name, "."); !ok {
			fmt.Fprintf(p.stderr, "rados: error parsing '%s': expected string of the form TYPE.ID\n", o.name)
			return nil, errFailed
		}
	}
	if o.id != "" {
		id = o.id
	}
	conf := config.New(kind, id)
	if o.cluster != "" {
		conf.Cluster = o.cluster
	}
	if err := conf.Load(o.conf); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintf(p.stderr, "global_init: unable to open config file from search list %s\n", o.conf)
		} else {
			fmt.Fprintf(p.stderr, "rados: %v\n", err)
		}
		return nil, errFailed
	}
	rest, err := conf.ParseArgs(o.args)
	if err == nil && o.monHost != "" {
		err = conf.Set(config.FromCmdline, "mon_host", o.monHost)
	}
	if err != nil {
		fmt.Fprintf(p.stderr, "rados: %v\n", err)
		return nil, errFailed
	}
	if i := indexOf(rest, "--"); i >= 0 {
		rest = append(rest[:i:i], rest[i+1:]...)
	}
	o.args = rest
	return conf, nil
}

func indexOf(args []string, s string) int {
	for i, a := range args {
		if a == s {
			return i
		}
	}
	return -1
}

// errText prints an error as Ceph does: "(2) No such file or directory" for what
// has a number.
func errText(err error) string {
	var errno rados.Errno
	var sys syscall.Errno
	switch {
	case errors.As(err, &errno):
		return errno.Error()
	case errors.As(err, &sys):
		return rados.Errno(sys).Error()
	case errors.Is(err, context.DeadlineExceeded):
		return rados.Errno(syscall.ETIMEDOUT).Error()
	}
	return err.Error()
}
