package badinput

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sepiola/config"
	"sepiola/entity"
	"sepiola/internal/clustertest"
	"sepiola/rados"
)

// world is a running cluster, its ports, and a client that uses it all the while.
type world struct {
	t      *testing.T
	c      *clustertest.Cluster
	client *rados.Client
	ports  []port
	names  []string // of the daemons
	nonce  uint32
	rnd    *rand.Rand
	pids   map[string]int

	stop chan struct{}
	user chan error // what the client using the cluster met in the end
}

// objects are what the client works on: few, and written rarely, so that what the
// daemons keep of them does not grow.
const objects = 16

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, c: clustertest.Up(t), rnd: rand.New(rand.NewPCG(7, 11)), pids: map[string]int{},
		stop: make(chan struct{}), user: make(chan error, 1)}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conf := config.New("client", "admin")
	must(t, conf.Load(w.c.Conf()))
	client, err := rados.Connect(ctx, conf, nil)
	must(t, err)
	w.client = client
	pool, err := client.Pool(ctx, "data")
	must(t, err)
	w.findPorts(ctx, conf)
	for _, name := range w.names {
		w.pids[name] = w.c.Pid(name)
	}
	go func() { w.user <- w.use(pool) }()
	t.Cleanup(func() {
		if w.client != nil {
			w.undisturbed()
		}
	})
	return w
}

// use reads and writes until told to stop; nothing may fail.
func (w *world) use(pool *rados.IOCtx) error {
	ctx := context.Background()
	want := make([][]byte, objects)
	for n := 0; ; n++ {
		select {
		case <-w.stop:
			return nil
		default:
		}
		i := n % objects
		name := fmt.Sprintf("mine.%d", i)
		if n%200 < objects {
			want[i] = bytes.Repeat([]byte{byte(n), byte(n >> 8), byte(i)}, 1000)
			if err := pool.WriteFull(ctx, name, want[i]); err != nil {
				return fmt.Errorf("write %d: %w", n, err)
			}
		}
		got, err := pool.Read(ctx, name, 0, 0)
		if err != nil || !bytes.Equal(got, want[i]) {
			return fmt.Errorf("read %d: %d bytes, %w", n, len(got), err)
		}
	}
}

// undisturbed ends the client's use, and fails the test if anything went wrong or a
// daemon is not the process that it was.
func (w *world) undisturbed() {
	w.t.Helper()
	close(w.stop)
	select {
	case err := <-w.user:
		if err != nil {
			w.t.Errorf("the client that used the cluster meanwhile: %v", err)
		}
	case <-time.After(patience):
		w.t.Error("the client that used the cluster meanwhile hangs")
	}
	w.client.Close()
	w.client = nil
	for _, name := range w.names {
		if pid := w.c.Pid(name); pid != w.pids[name] || !alive(pid) {
			w.t.Errorf("%s is process %d, was %d; its log ends:\n%s", name, pid, w.pids[name], w.c.Log(name))
		}
	}
}

func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(b), ") Z ")
}

// findPorts asks the maps where the daemons listen.
func (w *world) findPorts(ctx context.Context, conf *config.Config) {
	w.t.Helper()
	hosts, err := config.MonHosts(conf.String("mon_host"))
	must(w.t, err)
	out, _, err := w.client.MonCommand(ctx, `{"prefix":"mgr dump","format":"json"}`, nil)
	must(w.t, err)
	var mgr struct {
		Addrs struct {
			List []struct {
				Addr  string `json:"addr"`
				Nonce uint32 `json:"nonce"`
			} `json:"addrvec"`
		} `json:"active_addrs"`
	}
	must(w.t, json.Unmarshal(out, &mgr))
	at, err := entity.ParseAddr(fmt.Sprintf("v2:%s/%d", mgr.Addrs.List[0].Addr, mgr.Addrs.List[0].Nonce))
	must(w.t, err)
	w.names = []string{"mon.a"}
	w.ports = []port{
		{"mon", "mon.a", hosts[0].Msgr2(), entity.TypeMon},
		{"manager", "mon.a", at, entity.TypeMgr},
	}
	m := w.client.Map()
	for osd := range m.MaxOSD {
		name := fmt.Sprintf("osd.%d", osd)
		w.names = append(w.names, name)
		for _, p := range []struct {
			kind  string
			addrs entity.AddrVec
		}{
			{"public", m.Addrs(osd)}, {"cluster", m.ClusterAddrsOf(osd)},
			{"heartbeat back", m.HBBackAddrsOf(osd)}, {"heartbeat front", m.HBFrontAddrsOf(osd)},
		} {
			w.ports = append(w.ports, port{name + " " + p.kind, name, p.addrs.Msgr2(), entity.TypeOSD})
		}
	}
}

// usage is what "heap stats" and "heap release" say.
type usage struct {
	HeapAlloc  int `json:"heap_alloc"`
	Goroutines int `json:"goroutines"`
}

func (w *world) usage(name string) usage {
	w.t.Helper()
	out, err := w.asok(name, `{"prefix":"heap release"}`+"\x00")
	must(w.t, err)
	var u usage
	if err := json.Unmarshal(out, &u); err != nil {
		w.t.Fatalf("%q: %v", out, err)
	}
	return u
}

// asok sends something to an admin socket and returns the answer, empty if the
// socket was closed without one.
func (w *world) asok(name, command string) ([]byte, error) {
	c, err := net.Dial("unix", w.c.Asok(name))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	io.WriteString(c, command) // fails where the daemon has had enough
	if u, ok := c.(*net.UnixConn); ok {
		u.CloseWrite()
	}
	head := make([]byte, 4)
	if _, err := io.ReadFull(c, head); err != nil {
		_, err = closes(err)
		return nil, err
	}
	out := make([]byte, binary.BigEndian.Uint32(head))
	_, err = io.ReadFull(c, out)
	return out, err
}

// Allowances for what the daemons do for others meanwhile: the store's checkpoints
// bring a new table of the key-value store, 16 MiB, and the journal's buffers. The
// thousands of attempts would leave more than that if each left a few KiB.
const (
	heapSlack      = 40 << 20
	goroutineSlack = 30
)

// sameUsage waits until every daemon is back to the memory and goroutines it had.
func (w *world) sameUsage(before map[string]usage) {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for _, name := range w.names {
		for {
			now, was := w.usage(name), before[name]
			if now.HeapAlloc <= was.HeapAlloc+heapSlack && now.Goroutines <= was.Goroutines+goroutineSlack {
				break
			}
			if time.Now().After(deadline) {
				w.t.Errorf("%s has %d bytes and %d goroutines; it had %d and %d", name, now.HeapAlloc, now.Goroutines, was.HeapAlloc, was.Goroutines)
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
}

func (w *world) usages() map[string]usage {
	w.t.Helper()
	out := map[string]usage{}
	for _, name := range w.names {
		out[name] = w.usage(name)
	}
	return out
}

// offences counts the lines about what peers sent in a daemon's log.
func (w *world) offences(name string) int {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.c.Dir, "log", name+".log"))
	must(w.t, err)
	return strings.Count(string(b), "connection closed for what the peer sent")
}

// lines counts what a daemon's messengers have logged. The rest of the daemon may
// have something of its own to say meanwhile: that a peer was slow to answer, for
// one, on a busy machine.
func (w *world) lines(name string) int {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.c.Dir, "log", name+".log"))
	must(w.t, err)
	return bytes.Count(b, []byte(" ms: "))
}

func (w *world) nextNonce() uint32 {
	w.nonce++
	return w.nonce
}
