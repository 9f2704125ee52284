package crash

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sepiola/rados"
)

// registerCount is the number of objects of the test: enough that each OSD leads
// some of their PGs.
const registerCount = 16

func registerName(i int) string { return fmt.Sprintf("register-%d", i) }

// monotonic is a clock that the processes of this machine share, in nanoseconds.
func monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err)
	}
	return ts.Nano()
}

// register is an object that holds a number that only grows.
type register struct {
	mu    sync.Mutex
	acked []int64 // when each number, from 1, was acknowledged
	next  int     // issued
}

// bounds returns the least and the largest number that a read within [start, end]
// may show.
func (r *register) bounds(start, end int64) (least, most int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	least, _ = slices.BinarySearch(r.acked, start)
	return least, r.next
}

func (r *register) write(ctx context.Context, x *rados.IOCtx, name string) error {
	for ctx.Err() == nil {
		r.mu.Lock()
		r.next++
		n := r.next
		r.mu.Unlock()
		if err := x.WriteFull(context.Background(), name, []byte(strconv.Itoa(n))); err != nil {
			return err
		}
		r.mu.Lock()
		r.acked = append(r.acked, monotonic())
		r.mu.Unlock()
	}
	return nil
}

// readerEnv holds the configuration file of a process that only reads.
const readerEnv = "SEPIOLA_CRASH_READER"

// readerProcess is the program of the reading process: it reads registers over and
// over, and prints when each read began and ended, which it was and what it showed.
// It ends with its standard input.
func readerProcess() bool {
	conf := os.Getenv(readerEnv)
	if conf == "" {
		return false
	}
	g, err := connect(context.Background(), conf, poolName)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var mu sync.Mutex
	for worker := range 4 {
		go func() {
			for i := worker; ; i = (i + 4) % registerCount {
				start := monotonic()
				b, err := g.io.Read(context.Background(), registerName(i), 0, 0)
				end := monotonic()
				mu.Lock()
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				fmt.Println(start, end, i, string(b))
				mu.Unlock()
			}
		}()
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
	return true
}

// An OSD that was stopped, marked down and replaced answers nothing from before when
// it goes on, not even to a client that slept as long and still takes it for the
// primary.
//
// It takes minutes, and belongs to the soak; package pg tests the same in simulated time.
func TestNoStaleReadAfterStop(t *testing.T) {
	if soakTime(t) == 0 {
		t.Skip("only with SEPIOLA_CRASH_SOAK")
	}
	seedOf(t)
	c := newCluster(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	registers := make([]*register, registerCount)
	var writers sync.WaitGroup
	for i := range registers {
		registers[i] = new(register)
		if err := c.admin.io.WriteFull(ctx, registerName(i), []byte("0")); err != nil {
			t.Fatal(err)
		}
		writers.Go(func() {
			if err := registers[i].write(ctx, c.admin.io, registerName(i)); err != nil {
				t.Errorf("%s: %v", registerName(i), err)
			}
		})
	}
	total := func() int {
		n := 0
		for _, r := range registers {
			r.mu.Lock()
			n += len(r.acked)
			r.mu.Unlock()
		}
		return n
	}

	reader := startReader(t, c.Conf(), registers)
	for round := range 3 {
		victim := osds[round%len(osds)]
		reader.await(t, 200)
		// Both sleep through the change.
		c.signal(syscall.SIGSTOP, victim)
		reader.signal(t, syscall.SIGSTOP)
		c.awaitState(victim, false)
		from := total()
		err := await(ctx, "writes to the registers", func() (bool, string) {
			n := total() - from
			return n > 20*registerCount, fmt.Sprint(n)
		})
		if err != nil {
			t.Fatal(err)
		}
		reader.signal(t, syscall.SIGCONT)
		c.signal(syscall.SIGCONT, victim)
		reader.await(t, 200)
		c.awaitState(victim, true)
		c.awaitClean()
	}
	reader.end(t)
	stop()
	writers.Wait()
	t.Logf("%d writes, %d reads", total(), reader.count())
	c.inspect()
}

// reader is the reading process and what it has seen.
type reader struct {
	cmd   *exec.Cmd
	stdin io.Closer
	done  chan struct{}

	mu    sync.Mutex
	reads int
}

func startReader(t *testing.T, conf string, registers []*register) *reader {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{cmd: exec.Command(self), done: make(chan struct{})}
	r.cmd.Env = append(os.Environ(), readerEnv+"="+conf)
	r.cmd.Stderr = os.Stderr
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if r.stdin, err = r.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(r.done)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			r.take(t, lines.Text(), registers)
		}
	}()
	return r
}

func (r *reader) take(t *testing.T, line string, registers []*register) {
	var start, end int64
	var i, value int
	if n, err := fmt.Sscan(strings.TrimSpace(line), &start, &end, &i, &value); n != 4 {
		t.Errorf("reader said %q: %v", line, err)
		return
	}
	if least, most := registers[i].bounds(start, end); value < least || value > most {
		t.Errorf("%s showed %d; %d was acknowledged %v before the read began, %d was the last issued", registerName(i), value,
			least, time.Duration(start-registers[i].acked[value]), most)
	}
	r.mu.Lock()
	r.reads++
	r.mu.Unlock()
}

func (r *reader) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reads
}

// await waits for n more reads.
func (r *reader) await(t *testing.T, n int) {
	t.Helper()
	from := r.count()
	err := await(t.Context(), "the reading process to get on", func() (bool, string) { return r.count()-from >= n, fmt.Sprint(r.count() - from) })
	if err != nil {
		t.Fatal(err)
	}
}

func (r *reader) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := r.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

func (r *reader) end(t *testing.T) {
	t.Helper()
	r.stdin.Close()
	<-r.done
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("reading process: %v", err)
	}
}
