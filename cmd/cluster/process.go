package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sepiola/adminsocket"
)

// stopGrace is how long a daemon may take to stop after SIGTERM before the user is
// told that it did not.
const stopGrace = 30 * time.Second

// pid returns the process of a daemon; 0 if it does not run. A pid file left by a
// process that died, whose number now belongs to another, does not count.
func (c *cluster) pid(name string) int {
	b, err := os.ReadFile(c.pidFile(name))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid <= 1 || !c.isOurs(pid, name) {
		return 0
	}
	return pid
}

// dyingGrace is how long a process that was killed may still look alive: until its
// threads and memory are gone.
const dyingGrace = 2 * time.Second

// running returns the process of a daemon that is not about to end; 0 if there is
// none. It has to answer, or else still to be there after dyingGrace, as one that is
// suspended is.
func (c *cluster) running(ctx context.Context, name string) int {
	ctx, cancel := context.WithTimeout(ctx, dyingGrace)
	defer cancel()
	for {
		pid := c.pid(name)
		if pid == 0 || ctx.Err() != nil {
			return pid
		}
		if _, err := adminsocket.Ask(ctx, c.path("run", name+".asok"), map[string]any{"prefix": "version"}); err == nil {
			return pid
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// isOurs reports whether the process runs that daemon of this cluster.
func (c *cluster) isOurs(pid int, name string) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return false
	}
	args := strings.Split(string(bytes.TrimRight(b, "\x00")), "\x00")
	_, id, _ := strings.Cut(name, ".")
	return hasPair(args, "-c", c.conf()) && hasPair(args, "-i", id) && filepath.Base(args[0]) == programOf(name)
}

func hasPair(args []string, flag, value string) bool {
	for i := range len(args) - 1 {
		if args[i] == flag && args[i+1] == value {
			return true
		}
	}
	return false
}

// programOf returns the program that a daemon runs: "osd" for "osd.3".
func programOf(name string) string {
	kind, _, _ := strings.Cut(name, ".")
	return kind
}

// program finds the executable of a kind of daemon: beside this one, or built
// into the cluster's own bin directory.
func (c *cluster) program(kind string) string {
	if self, err := os.Executable(); err == nil {
		if p := filepath.Join(filepath.Dir(self), kind); isExecutable(p) {
			return p
		}
	}
	return c.path("bin", kind)
}

func isExecutable(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0
}

// build makes the daemons' programs unless they stand beside this one. The go
// command decides what has to be done anew.
func (c *cluster) build(ctx context.Context) error {
	if c.program("osd") != c.path("bin", "osd") && c.program("mon") != c.path("bin", "mon") {
		return nil
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		if isExecutable(c.path("bin", "osd")) && isExecutable(c.path("bin", "mon")) {
			return nil
		}
		return errors.New("the programs osd and mon do not stand beside this one, and there is no go command to build them")
	}
	cmd := exec.CommandContext(ctx, goTool, "build", "-o", c.path("bin")+"/", "sepiola/cmd/osd", "sepiola/cmd/mon")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the daemons: %w\n%s", err, bytes.TrimSpace(out))
	}
	return nil
}

func (c *cluster) args(name string, more ...string) []string {
	_, id, _ := strings.Cut(name, ".")
	return append([]string{"-c", c.conf(), "-i", id}, more...)
}

// mkfs makes a daemon's data directory, once. What an attempt that was cut short
// has left behind was never used and is removed.
func (c *cluster) mkfs(ctx context.Context, name string, more ...string) error {
	if err := os.RemoveAll(c.dataDir(name)); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, c.program(programOf(name)), c.args(name, append([]string{"--mkfs"}, more...)...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s --mkfs: %w\n%s", name, err, bytes.TrimSpace(out))
	}
	c.Daemons[name] = true
	return c.save()
}

// launch starts a daemon in a session of its own, so that Ctrl-C here reaches it
// only through us, and waits until it has written its pid file. What it says
// before its log is open ends up in the log file too.
func (c *cluster) launch(ctx context.Context, name string) error {
	if c.running(ctx, name) != 0 {
		return nil
	}
	out, err := os.OpenFile(c.logFile(name), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	start, err := out.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	cmd := exec.Command(c.program(programOf(name)), c.args(name, "-f")...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	for c.pid(name) != cmd.Process.Pid {
		select {
		case <-exited:
			return fmt.Errorf("%s stopped at once: %s", name, lastLine(out, start))
		case <-ctx.Done():
			return fmt.Errorf("starting %s: %w", name, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// lastLine returns the last line written to f after off: why a daemon stopped.
func lastLine(f *os.File, off int64) string {
	b, err := io.ReadAll(io.NewSectionReader(f, off, 1<<20))
	if lines := strings.Split(strings.TrimSpace(string(b)), "\n"); err == nil && lines[len(lines)-1] != "" {
		return lines[len(lines)-1]
	}
	return "it left no message; see " + f.Name()
}

// stop ends daemons with SIGTERM, all at once, and waits for them.
func (c *cluster) stop(names []string) error {
	pids := map[string]int{}
	for _, name := range names {
		if pid := c.pid(name); pid != 0 {
			pids[name] = pid
			if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("stopping %s: %w", name, err)
			}
		}
	}
	deadline := time.Now().Add(stopGrace)
	for name, pid := range pids {
		for c.isOurs(pid, name) {
			if time.Now().After(deadline) {
				return fmt.Errorf("%s (pid %d) does not stop; see %s, or end it with \"cluster kill %s\"", name, pid, c.logFile(name), name)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return nil
}

// signals are those a user may name.
var signals = map[string]syscall.Signal{
	"KILL": syscall.SIGKILL, "TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "HUP": syscall.SIGHUP,
	"STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT, "QUIT": syscall.SIGQUIT, "USR1": syscall.SIGUSR1,
	"ABRT": syscall.SIGABRT, "SEGV": syscall.SIGSEGV,
}

func parseSignal(s string) (syscall.Signal, error) {
	if n, err := strconv.Atoi(s); err == nil && n > 0 && n < 65 {
		return syscall.Signal(n), nil
	}
	if sig, ok := signals[strings.TrimPrefix(strings.ToUpper(s), "SIG")]; ok {
		return sig, nil
	}
	return 0, fmt.Errorf("--signal %q: want a name such as KILL or STOP, or a number", s)
}
