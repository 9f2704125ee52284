// Package daemon is what the daemons' programs have in common: Ceph's command-line
// flags, the configuration, the log, the pid file, the admin socket and
// signals.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"sepiola/adminsocket"
	"sepiola/config"
	"sepiola/logging"
	"sepiola/version"
)

// Env is what a daemon's program works with.
type Env struct {
	Conf  *config.Config
	Log   *logging.Log
	Admin *adminsocket.Server
	// Mkfs is set when the data is to be made instead of served.
	Mkfs bool
	// Extra are flags of the program's own that were given, without dashes.
	Extra map[string]string

	fatalOnce sync.Once
	fatal     chan error
}

// Program describes a daemon's program.
type Program struct {
	Kind  string // "osd" or "mon"
	Usage string // what it is for and its own flags
	// Extra names the flags of its own, each of which takes a value.
	Extra []string
	// Mkfs makes the data; Run serves until ctx ends.
	Mkfs func(context.Context, *Env) error
	Run  func(context.Context, *Env) error
}

const commonUsage = `
  -c, --conf FILE     read this configuration (default: $CEPH_CONF, /etc/ceph/ceph.conf, ...)
  -i, --id ID         the daemon's id
  -n, --name TYPE.ID  the same with its type
      --cluster NAME  the cluster's name (default ceph)
      --mkfs          make the data directory, then exit
  -f, -d              run in the foreground (it always does); -d also logs to standard error
  -v, --version       print the version
  -h, --help          print this
  --OPTION VALUE      set a configuration option, such as --debug-osd 10
`

// Main runs a program and returns its exit status.
func Main(p Program) int {
	if err := p.run(os.Args[1:]); err != nil {
		if !errors.Is(err, errHelp) {
			fmt.Fprintf(os.Stderr, "%s: %v\n", p.Kind, err)
			return 1
		}
	}
	return 0
}

var errHelp = errors.New("help was asked for")

func (p Program) run(args []string) error {
	e, toStderr, err := p.parse(args)
	if err != nil {
		return err
	}
	e.fatal = make(chan error, 1)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if e.Mkfs {
		// What goes wrong is for the eyes of who makes it.
		e.Log = logging.To(os.Stderr, e.Conf)
		return p.Mkfs(ctx, e)
	}
	if e.Log, err = logging.Open(e.Conf, toStderr); err != nil {
		return err
	}
	defer e.Log.Close()
	e.reopenOnHangup()
	e.Admin = adminsocket.New(e.Log.Get("asok"), e.Conf)
	registerProfiles(e.Admin)
	err = p.serve(ctx, e)
	if err != nil {
		e.Log.Get(p.Kind).Error("stopped", "error", err)
	}
	return err
}

func (p Program) serve(ctx context.Context, e *Env) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx, e) }()
	select {
	case err := <-done:
		return err
	case err := <-e.fatal:
		// Stopping cleanly is not to be had: what failed may hold it up.
		return err
	}
}

// Fatal ends the process because going on could lose data.
func (e *Env) Fatal(err error) { e.fatalOnce.Do(func() { e.fatal <- err }) }

// Ready says that the daemon serves: it opens the admin socket and writes the pid
// file. The function it returns undoes both.
func (e *Env) Ready() (func(), error) {
	if path := e.Conf.String("admin_socket"); path != "" {
		if err := e.Admin.Listen(path); err != nil {
			return nil, err
		}
	}
	path := e.Conf.String("pid_file")
	if path != "" {
		if err := writePID(path); err != nil {
			e.Admin.Close()
			return nil, err
		}
	}
	return func() {
		e.Admin.Close()
		if path != "" {
			// A pid file that stays behind misleads nobody who looks at the process.
			_ = os.Remove(path)
		}
	}, nil
}

func writePID(path string) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		return fmt.Errorf("writing the pid file (option \"pid file\"): %w", err)
	}
	return os.Rename(tmp, path)
}

func (e *Env) reopenOnHangup() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	go func() {
		for range c {
			if err := e.Log.Reopen(); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
	}()
}

// parse reads the command line and the configuration.
func (p Program) parse(args []string) (e *Env, toStderr bool, err error) {
	var own ownFlags
	if err := own.parse(p, args); err != nil {
		return nil, false, err
	}
	if own.help {
		fmt.Printf("usage: %s -i ID [flags]\n\n%s%s", filepath.Base(os.Args[0]), p.Usage, commonUsage)
		return nil, false, errHelp
	}
	if own.version {
		fmt.Println(version.Pretty())
		return nil, false, errHelp
	}
	if own.id == "" {
		return nil, false, fmt.Errorf("which %s? give its id with -i; -h explains", p.Kind)
	}
	conf := config.New(p.Kind, own.id)
	if own.cluster != "" {
		conf.Cluster = own.cluster
	}
	if err := conf.Load(own.conf); err != nil {
		return nil, false, err
	}
	rest, err := conf.ParseArgs(own.rest)
	if err != nil {
		return nil, false, err
	}
	if len(rest) > 0 {
		return nil, false, fmt.Errorf("%q is not understood; -h lists the flags", strings.Join(rest, " "))
	}
	return &Env{Conf: conf, Mkfs: own.mkfs, Extra: own.extra}, own.toStderr, nil
}

// ownFlags are the flags that are not configuration options.
type ownFlags struct {
	conf, id, cluster             string
	mkfs, help, version, toStderr bool
	extra                         map[string]string
	rest                          []string
}

func (o *ownFlags) parse(p Program, args []string) error {
	o.extra = map[string]string{}
	valued := map[string]*string{"-c": &o.conf, "--conf": &o.conf, "-i": &o.id, "--id": &o.id,
		"-n": nil, "--name": nil, "--cluster": &o.cluster}
	for i := 0; i < len(args); i++ {
		name, value, given := strings.Cut(args[i], "=")
		dst, takes := valued[name]
		isExtra := false
		for _, x := range p.Extra {
			isExtra = isExtra || name == "--"+x
		}
		if takes || isExtra {
			if !given {
				if i++; i == len(args) {
					return fmt.Errorf("%s needs a value", name)
				}
				value = args[i]
			}
			if err := o.set(p, name, value, dst, isExtra); err != nil {
				return err
			}
			continue
		}
		switch args[i] {
		case "--mkfs":
			o.mkfs = true
		case "-h", "--help":
			o.help = true
		case "-v", "--version":
			o.version = true
		case "-f", "--foreground":
		case "-d":
			o.toStderr = true
		default:
			o.rest = append(o.rest, args[i])
		}
	}
	return nil
}

func (o *ownFlags) set(p Program, name, value string, dst *string, isExtra bool) error {
	switch {
	case isExtra:
		o.extra[strings.TrimPrefix(name, "--")] = value
	case dst != nil:
		*dst = value
	default: // -n type.id
		kind, id, ok := strings.Cut(value, ".")
		if !ok || kind != p.Kind {
			return fmt.Errorf("%s %s: this program serves %s.ID", name, value, p.Kind)
		}
		o.id = id
	}
	return nil
}
