package crash

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sepiola/internal/reftool"
	"sepiola/rados"
)

// ceph's rados program, with its working directory among nothing of ours.
func radosCommand(ctx context.Context, prog, conf string, stdin []byte, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, prog, append([]string{"-c", conf, "-p", poolName}, args...)...)
	cmd.Dir = os.TempDir()
	cmd.Stdin = bytes.NewReader(stdin)
	return cmd
}

// benchObject is what rados bench makes the beginning of an object's content
// (ObjBencher::write_bench in src/common/obj_bencher.cc).
func benchObject(i int) string { return fmt.Sprintf("I'm the %16dth op!", i) }

// Ceph's own rados bench writes while all daemons are killed and started again. It
// ends well, and every object that it counts is there, whole, by its own check and
// by ours.
func TestKillAllUnderRadosBench(t *testing.T) {
	prog := reftool.Need(t, "rados")
	c := newCluster(t)
	// librados may take ten seconds to ask for the maps that tell where the OSDs are
	// now (objecter_timeout).
	const size, run, seconds = 64 << 10, "crash", 15
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	bench := radosCommand(ctx, prog, c.Conf(), nil, "bench", strconv.Itoa(seconds), "write", "--no-cleanup",
		"--run-name", run, "-b", strconv.Itoa(size), "-t", "16")
	var out bytes.Buffer
	bench.Stdout, bench.Stderr = &out, &out
	if err := bench.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- bench.Wait() }()

	c.awaitObjects(ctx, 200)
	c.kill(everybody...)
	c.start("mon.a")
	c.start(osds...)
	if err := <-ended; err != nil {
		t.Fatalf("rados bench: %v\n%s", err, out.String())
	}
	m := regexp.MustCompile(`Total writes made: +(\d+)`).FindStringSubmatch(out.String())
	if m == nil {
		t.Fatalf("rados bench printed\n%s", out.String())
	}
	made, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	c.awaitClean()

	names := map[string]bool{}
	for o, err := range c.admin.io.List(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		names[o.Name] = true
	}
	prefix := ""
	for name := range names {
		if p, ok := strings.CutSuffix(name, "_object0"); ok {
			prefix = p
		}
	}
	var rest []byte // all objects have the same bytes behind their names
	for i := range made {
		name := fmt.Sprintf("%s_object%d", prefix, i)
		if !names[name] {
			t.Errorf("%s is not listed", name)
			continue
		}
		b, err := c.admin.io.Read(ctx, name, 0, 0)
		head := benchObject(i)
		switch {
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case len(b) != size || string(b[:len(head)]) != head:
			t.Errorf("%s: %d bytes, beginning %.40q; want %d, beginning %q", name, len(b), b, size, head)
		case rest == nil:
			rest = b[len(head):]
		case !bytes.Equal(b[len(head):], rest):
			t.Errorf("%s: its content differs from that of the first", name)
		}
		if t.Failed() && i > 20 {
			break
		}
	}
	seq := radosCommand(ctx, prog, c.Conf(), nil, "bench", "60", "seq", "--run-name", run, "-t", "16")
	b, err := seq.CombinedOutput()
	if err != nil {
		t.Errorf("rados bench seq: %v\n%s", err, b)
	}
	if m := regexp.MustCompile(`Total reads made: +(\d+)`).FindSubmatch(b); m == nil || string(m[1]) != strconv.Itoa(made) {
		t.Errorf("rados bench seq did not read %d objects:\n%s", made, b)
	}
	c.inspect()
	c.down()
	if err := checkCopies(c.Dir, osds); err != nil {
		t.Error(err)
	}
	t.Logf("%d objects", made)
}

// awaitObjects waits until the pool holds so many objects, which a client's listing
// tells.
func (c *cluster) awaitObjects(ctx context.Context, want int) {
	c.t.Helper()
	err := await(ctx, fmt.Sprintf("%d objects", want), func() (bool, string) {
		n := 0
		for _, err := range c.admin.io.List(ctx) {
			if err != nil {
				return false, err.Error()
			}
			n++
		}
		return n >= want, fmt.Sprint(n)
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

// arguments returns how the rados program does a step of one change; nil if it cannot.
func (s step) arguments(name string) (args []string, stdin []byte) {
	if len(s) != 1 {
		return nil, nil
	}
	switch ch := &s[0]; ch.kind {
	case writeFull:
		return []string{"put", name, "-"}, ch.data
	case writeAt:
		return []string{"put", name, "-", "--offset", strconv.Itoa(ch.off)}, ch.data
	case appendTo:
		return []string{"append", name, "-"}, ch.data
	case truncate:
		return []string{"truncate", name, strconv.Itoa(ch.size)}, nil
	case setAttr:
		return []string{"setxattr", name, ch.key, string(ch.data)}, nil
	case setOmap:
		for k, v := range ch.kv {
			return []string{"setomapval", name, k, v}, nil
		}
	case setHeader:
		return []string{"setomapheader", name, string(ch.data)}, nil
	case remove:
		return []string{"rm", name}, nil
	}
	return nil, nil
}

// chooseSimple makes up a step that the rados program can do in one operation.
func chooseSimple(rng *rand.Rand, name string, seq int, c *content) step {
	small := fmt.Appendf(nil, "%s:%d", name, seq)
	data := payload(name, seq, 1+rng.IntN(writeMax))
	switch n := rng.IntN(10); {
	case n < 3:
		return step{{kind: appendTo, data: data}}
	case n < 5:
		return step{{kind: writeFull, data: data}}
	case n < 6 && c.exists:
		return step{{kind: truncate, size: rng.IntN(len(c.data) + 100)}}
	case n < 7 && c.exists:
		return step{{kind: remove}}
	case n < 8:
		return step{{kind: setAttr, key: "seq", data: small}}
	case n < 9:
		return step{{kind: setHeader, data: small}}
	}
	return step{{kind: setOmap, kv: map[string]string{fmt.Sprint("k", rng.IntN(9)): string(small)}}}
}

// What Ceph's rados program reported done is done: each command is a client of its
// own, and some of them are killed with their OSDs.
func TestRadosProgram(t *testing.T) {
	prog := reftool.Need(t, "rados")
	seed := seedOf(t)
	c := newCluster(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var mu sync.Mutex
	var all []*history
	done := 0
	var wg sync.WaitGroup
	for id := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(id)))
			for next := 0; ctx.Err() == nil; next++ {
				h := newHistory(fmt.Sprintf("p-%d-%d", id, next))
				mu.Lock()
				all = append(all, h)
				mu.Unlock()
				for n := 0; n < 30 && ctx.Err() == nil && !h.frozen; n++ {
					s := chooseSimple(rng, h.name, n, &h.last)
					state := h.issue(s)
					args, stdin := s.arguments(h.name)
					out, err := radosCommand(ctx, prog, c.Conf(), stdin, args...).CombinedOutput()
					var exit *exec.ExitError
					switch {
					case err == nil:
						h.ack(state)
						mu.Lock()
						done++
						mu.Unlock()
					case ctx.Err() != nil:
						h.freeze() // it was killed
					case errors.As(err, &exit):
						t.Errorf("rados %v: %v\n%s", args[:2], err, out)
						h.freeze()
						stop()
					default:
						t.Error(err)
						h.freeze()
						stop()
					}
				}
			}
		})
	}
	progress := func(n int) {
		t.Helper()
		mu.Lock()
		from := done
		mu.Unlock()
		err := await(ctx, fmt.Sprintf("%d commands", n), func() (bool, string) {
			mu.Lock()
			defer mu.Unlock()
			return done-from >= n, fmt.Sprint(done - from)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	progress(40)
	c.kill(everybody...)
	c.start("mon.a")
	c.start(osds...)
	progress(20)
	c.kill("osd.1")
	c.awaitState("osd.1", false)
	progress(20)
	c.start("osd.1")
	progress(10)
	stop()
	wg.Wait()
	c.awaitClean()
	for _, h := range all {
		content, err := readObject(t.Context(), c.admin.io, h.name)
		if err == nil {
			err = h.check(h.acked, content)
		}
		if err != nil && !errors.Is(err, rados.Errno(2)) {
			t.Error(err)
		}
	}
	c.inspect()
	c.down()
	if err := checkCopies(c.Dir, osds); err != nil {
		t.Error(err)
	}
	t.Logf("%d commands on %d objects", done, len(all))
}
