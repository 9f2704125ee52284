package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sepiola/internal/clustertest"
	"sepiola/internal/reftool"
)

// badNet forwards connections, and mistreats most of them.
type badNet struct {
	mu  sync.Mutex
	rng *rand.Rand

	kind  atomic.Bool // forwards everything as it is
	done  [fates]atomic.Int64
	conns sync.WaitGroup
	stop  chan struct{}
	ears  []net.Listener
}

// fate is what becomes of one direction of a connection after some bytes.
type fate int

const (
	fatePass  fate = iota
	fateCut        // both directions end
	fateHalf       // the receiver sees the end, the sender does not
	fateFlip       // a bit changes
	fateStall      // nothing comes for a while; then the connection ends
	fateDrip       // everything comes in small pieces, late
	fates
)

// fateReach is the greatest number of bytes before a fate.
const fateReach = 400e3

func (n *badNet) draw() (f fate, after int, bit byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.kind.Load() {
		return fatePass, 0, 0
	}
	// Small numbers as often as large ones: the handshake is a kilobyte.
	return fate(n.rng.IntN(int(fates))), int(math.Exp(n.rng.Float64() * math.Log(fateReach))), 1 << n.rng.IntN(8)
}

// listen forwards what comes to at on to the same port at to.
func (n *badNet) listen(at, to string, port int) error {
	l, err := net.Listen("tcp", net.JoinHostPort(at, strconv.Itoa(port)))
	if err != nil {
		return err
	}
	n.ears = append(n.ears, l)
	n.conns.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", net.JoinHostPort(to, strconv.Itoa(port)))
			if err != nil {
				in.Close()
				continue
			}
			n.conns.Go(func() { n.forward(in.(*net.TCPConn), out.(*net.TCPConn)) })
		}
	})
	return nil
}

func (n *badNet) forward(a, b *net.TCPConn) {
	end := func() { a.Close(); b.Close() }
	over := make(chan struct{})
	go func() {
		select {
		case <-n.stop:
			end()
		case <-over:
		}
	}()
	var both sync.WaitGroup
	both.Go(func() { n.pipe(b, a, end) })
	both.Go(func() { n.pipe(a, b, end) })
	both.Wait()
	close(over)
}

// pipe moves one direction until it ends.
func (n *badNet) pipe(to, from *net.TCPConn, end func()) {
	f, left, bit := n.draw()
	buf := make([]byte, 32<<10)
	met := false // its fate
	for {
		p := buf
		if met && f == fateDrip && !n.kind.Load() {
			p = buf[:1000]
			n.pause(time.Millisecond)
		}
		k, err := from.Read(p)
		p = p[:k]
		if !met && f != fatePass && k > left && !n.kind.Load() {
			met = true
			n.done[f].Add(1)
			switch f {
			case fateFlip:
				p[left] ^= bit
			case fateCut, fateHalf, fateStall:
				to.Write(p[:left])
				if f == fateStall {
					n.pause(500 * time.Millisecond)
				}
				if f != fateHalf {
					end()
					return
				}
				to.CloseWrite()
				io.Copy(io.Discard, from)
				end()
				return
			}
		}
		left -= k
		if _, werr := to.Write(p); err == nil {
			err = werr
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				to.CloseWrite()
				return
			}
			end()
			return
		}
	}
}

func (n *badNet) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-n.stop:
	}
}

func (n *badNet) close() {
	for _, l := range n.ears {
		l.Close()
	}
	close(n.stop)
	n.conns.Wait()
}

// appendInOrder appends lines to objects, several at a time to each, and compares
// what the objects are then. It is a librados program of Ceph's own binding.
const appendInOrder = `
import rados, sys
conf, pool, lines, depth = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
c = rados.Rados(conffile=conf, conf=dict(a.split('=') for a in sys.argv[5:]))
c.connect()
io = c.open_ioctx(pool)
names = ['log%d' % i for i in range(4)]
waiting, want = [], {n: b'' for n in names}
for i in range(lines):
    for n in names:
        line = b'%s line %d %s\n' % (n.encode(), i, b'x' * (i * 37 % 3000))
        want[n] += line
        waiting.append(io.aio_append(n, line))
    while len(waiting) > depth:
        done = waiting.pop(0)
        done.wait_for_complete()
        if done.get_return_value() != 0:
            sys.exit('append returned %d' % done.get_return_value())
for done in waiting:
    done.wait_for_complete()
    if done.get_return_value() != 0:
        sys.exit('append returned %d' % done.get_return_value())
for n in names:
    got = io.read(n, len(want[n]) + 4096)
    if got != want[n]:
        g, w = got.split(b'\n'), want[n].split(b'\n')
        at = next((i for i in range(min(len(g), len(w))) if g[i] != w[i]), min(len(g), len(w)))
        sys.exit('%s: %d lines of %d; line %d is %r' % (n, len(g), len(w), at, g[at:at+1]))
print('ok')
`

// Through a network that cuts, half-closes, delays and corrupts connections between
// OSDs and towards clients, what Ceph's own clients do takes place once and in
// order; and when the network is well again, so is the cluster.
func TestBadNetwork(t *testing.T) {
	rados := reftool.Need(t, "rados")
	python := reftool.Need(t, "/usr/bin/python3")
	bad := &badNet{rng: rand.New(rand.NewPCG(1, 1)), stop: make(chan struct{})}
	defer bad.close()
	first := freePorts(t, bad, 60)

	c := clustertest.New(t)
	defer c.Destroy(t)
	c.Must(t, "up", "--pool", "bad:16:3")
	c.Must(t, "down")
	setConf(t, c.Conf(), "osd", map[string]string{
		"public addr": "127.0.0.2", "public bind addr": "127.0.0.1",
		"ms bind port min": strconv.Itoa(first), "ms bind port max": strconv.Itoa(first + 59),
	})
	bad.kind.Store(true)
	c.Must(t, "up")
	if dump := c.Must(t, "status"); !strings.Contains(dump, "osd.2") {
		t.Fatal(dump)
	}
	bad.kind.Store(false)

	us := target{name: "sepiola", conf: c.Conf(), run: filepath.Join(c.Dir, "run")}
	out := us.program(python, "-c", appendInOrder, us.conf, "bad", "250", "48", "ms_inject_socket_failures=500")
	if out.Code != 0 || out.Stdout != "ok\n" {
		t.Errorf("appends: exit status %d\n%s%.4000s", out.Code, out.Stdout, reftool.WithoutLog(out.Stderr))
	}
	for _, args := range [][]string{
		{"bench", "5", "write", "-b", "16384", "-t", "16", "--no-cleanup", "--ms-inject-socket-failures", "500"},
		{"bench", "5", "seq", "-t", "16"}, // compares
	} {
		if r := us.program(rados, append([]string{"-c", us.conf, "-p", "bad"}, args...)...); r.Code != 0 {
			t.Errorf("%v: exit status %d\n%s%.4000s", args, r.Code, r.Stdout, reftool.WithoutLog(r.Stderr))
		}
	}
	for f := fateCut; f < fates; f++ {
		if n := bad.done[f].Load(); n < 3 {
			t.Errorf("fate %d met %d connections only", f, n)
		}
		t.Logf("fate %d: %d times", f, bad.done[f].Load())
	}
	bad.kind.Store(true)
	c.Must(t, "up", "--timeout", "60s") // waits for active+clean
	var stat struct {
		OSDs int `json:"num_up_osds"`
	}
	if err := json.Unmarshal([]byte(must(t, us.ceph("osd", "stat", "-f", "json"))), &stat); err != nil || stat.OSDs != 3 {
		t.Errorf("%d OSDs are up (%v)", stat.OSDs, err)
	}
}

// program runs what is told by its own arguments where the cluster is.
func (c target) program(prog string, args ...string) clustertest.Result {
	c.conf = ""
	return c.tool(prog, "", args...)
}

// freePorts has the bad network listen at n ports in a row and returns the first.
func freePorts(t *testing.T, bad *badNet, n int) int {
	t.Helper()
	for first := 21000; first < 30000; first += n {
		ok := true
		for p := first; p < first+n && ok; p++ {
			ok = bad.listen("127.0.0.2", "127.0.0.1", p) == nil
		}
		if ok {
			return first
		}
		for _, l := range bad.ears {
			l.Close()
		}
		bad.ears = nil
	}
	t.Fatal("no ports are free")
	return 0
}

// setConf adds options to a section of a ceph.conf.
func setConf(t *testing.T, path, section string, options map[string]string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head := "[" + section + "]\n"
	text := head
	for name, value := range options {
		text += fmt.Sprintf("%s = %s\n", name, value)
	}
	if !strings.Contains(string(b), head) {
		t.Fatalf("no %s in\n%s", head, b)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(b), head, text, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}
