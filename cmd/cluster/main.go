// Command cluster runs a Sepiola cluster on this machine, as separate daemon
// processes under one directory: what vstart.sh is for Ceph.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		var code exitCode
		if errors.As(err, &code) {
			os.Exit(int(code))
		}
		os.Exit(1)
	}
}

// exitCode is an error that chooses the process's exit status.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit status %d", int(c)) }

// flags are what the command line asks for.
type flags struct {
	dir     string
	mons    int
	osds    int
	store   string
	pools   []string
	port    int
	timeout time.Duration
	signal  string
	format  string
	force   bool
}

const longHelp = `Run a Sepiola cluster on this machine: one monitor and some OSDs, each a process
of its own, listening on 127.0.0.1 only. Everything is kept under --dir and is
there again at the next start.

  cluster            start it here, stop it with Ctrl-C
  cluster up         start it in the background
  cluster status     who runs, and in what state the placement groups are
  cluster add-osd    add an OSD and start it
  cluster rm-osd     drain an OSD, stop it and remove it
  cluster down       stop it
  cluster destroy    stop it and remove all of its data

Any Ceph client uses it with -c DIR/ceph.conf.`

func command() *cobra.Command {
	f := &flags{}
	root := &cobra.Command{
		Use:           "cluster",
		Short:         "Run a Sepiola cluster on this machine",
		Long:          longHelp,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(c *cobra.Command, _ []string) error { return run(c.Context(), f) },
	}
	p := root.PersistentFlags()
	p.StringVar(&f.dir, "dir", "dev-cluster", "directory of the cluster")
	p.IntVar(&f.mons, "mons", 1, "number of monitors (1 for now); counts at the first start")
	p.IntVar(&f.osds, "osds", 3, "number of OSDs; counts at the first start")
	p.StringVar(&f.store, "store", "filestore", "store of the OSDs, filestore or memstore; counts at the first start")
	p.StringArrayVar(&f.pools, "pool", nil, "pool to create at the first start, NAME:PGS:SIZE, repeatable (default data:32:3)")
	p.IntVar(&f.port, "port", 0, "port of the first monitor, 0 for any free one; counts at the first start")
	p.DurationVar(&f.timeout, "timeout", 60*time.Second, "longest wait for all PGs to be active+clean")

	up := simple("up", "Start the cluster in the background; returns once all PGs are active+clean", func(c context.Context) error { return up(c, f) })
	down := simple("down", "Stop the cluster; its data stays", func(c context.Context) error { return down(c, f) })
	status := simple("status", "Show the daemons and the states of the PGs", func(c context.Context) error { return status(c, f) })
	status.Flags().StringVar(&f.format, "format", "plain", "plain or json")
	kill := &cobra.Command{Use: "kill NAME", Short: "Send a signal to one daemon, such as osd.1 or mon.a", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return kill(c.Context(), f, args[0]) }}
	kill.Flags().StringVar(&f.signal, "signal", "KILL", "the signal, by name or number")
	start := &cobra.Command{Use: "start NAME", Short: "Start one daemon again", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return start(c.Context(), f, args[0]) }}
	add := simple("add-osd", "Add an OSD and start it; data moves to it", func(c context.Context) error { return addOSD(c, f) })
	rm := &cobra.Command{Use: "rm-osd NAME", Short: "Drain an OSD, such as osd.3, stop it and remove it with its data", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return rmOSD(c.Context(), f, args[0]) }}
	rm.Flags().BoolVar(&f.force, "force", false, "remove it at once, even if it holds data that nobody else has")
	root.AddCommand(up, down, status, kill, start, add, rm,
		simple("run", "Start the cluster in the foreground; stop it with Ctrl-C (the default)", func(c context.Context) error { return run(c, f) }),
		simple("destroy", "Stop the cluster and remove its directory", func(c context.Context) error { return destroy(c, f) }))
	return root
}

func simple(use, short string, fn func(context.Context) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return fn(c.Context()) }}
}
