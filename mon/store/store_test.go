package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

// counter is a machine that keeps the last value of each key "k=v", and
// answers with how many commands it has seen.
type counter struct {
	mu   sync.Mutex
	seen int
	kv   map[string]string
}

func (c *counter) Restore(r Reader) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen, c.kv = 0, map[string]string{}
	return r.Scan("", func(k string, v []byte) error {
		if k == "seen" {
			_, err := fmt.Sscan(string(v), &c.seen)
			return err
		}
		c.kv[k] = string(v)
		return nil
	})
}

func (c *counter) Apply(b Batch) (answers []any, changes []Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cmd := range b.Commands {
		c.seen++
		c.kv[string(cmd)] = "x"
		changes = append(changes, Change{string(cmd), []byte("x")})
		answers = append(answers, c.seen)
	}
	return answers, append(changes, Change{"seen", fmt.Append(nil, c.seen)})
}

func (c *counter) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen
}

func open(t *testing.T, dir string, create bool, m Machine) (*Node, *Disk) {
	t.Helper()
	d, err := OpenDisk(dir, create)
	if err != nil {
		t.Fatal(err)
	}
	n, err := NewNode(Config{
		ID: 1, Voters: []uint64{1}, Disk: d, Machine: m, Logger: hclog.NewNullLogger(), Now: time.Now,
		Applied: func() {}, Fatal: func(err error) { t.Error(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	n.Start()
	return n, d
}

// What was answered must be there after a restart, through compactions of the
// log, and applied once.
func TestRestartKeepsWhatWasAnswered(t *testing.T) {
	dir := t.TempDir()
	const rounds, each = 3, 1000
	for round := range rounds {
		m := &counter{}
		n, d := open(t, dir, round == 0, m)
		for i := range each {
			got, err := n.Call(context.Background(), fmt.Appendf(nil, "%d.%d", round, i))
			if err != nil {
				t.Fatal(err)
			}
			if want := round*each + i + 1; got != want {
				t.Fatalf("command %d of round %d was answered %v, want %d", i, round, got, want)
			}
		}
		n.Stop()
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	m := &counter{}
	n, d := open(t, dir, false, m)
	defer d.Close()
	defer n.Stop()
	if _, err := n.Call(context.Background(), []byte("last")); err != nil {
		t.Fatal(err)
	}
	if got := m.count(); got != rounds*each+1 {
		t.Errorf("%d commands applied, want %d", got, rounds*each+1)
	}
	first, _ := n.mem.FirstIndex()
	if first == 1 {
		t.Error("the log was never cut")
	}
}

// Commands that wait together share an entry, so that a burst costs few syncs.
func TestBurstSharesEntries(t *testing.T) {
	m := &counter{}
	n, d := open(t, t.TempDir(), true, m)
	defer d.Close()
	defer n.Stop()
	var wg sync.WaitGroup
	const burst = 2000
	wg.Add(burst)
	for i := range burst {
		n.Propose(fmt.Appendf(nil, "%d", i), func(_ any, err error) {
			if err != nil {
				t.Error(err)
			}
			wg.Done()
		})
	}
	wg.Wait()
	if last, _ := n.mem.LastIndex(); last > burst/4 {
		t.Errorf("%d commands took %d entries", burst, last)
	}
}

// After Stop nothing hangs: what waits, and what comes, is refused.
func TestStopRefuses(t *testing.T) {
	n, d := open(t, t.TempDir(), true, &counter{})
	n.Stop()
	d.Close()
	if _, err := n.Call(context.Background(), []byte("x")); !errors.Is(err, ErrStopped) {
		t.Errorf("got %v", err)
	}
}

// A second monitor on the same directory must not get anywhere.
func TestDirectoryIsLocked(t *testing.T) {
	dir := t.TempDir()
	d, err := OpenDisk(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDisk(dir, false); !errors.Is(err, ErrInUse) {
		t.Errorf("got %v, want %v", err, ErrInUse)
	}
	d.Close()
	if _, err := OpenDisk(dir, true); err == nil {
		t.Error("made a monitor where there was one")
	}
}

// Three nodes agree on the same sequence, and one that missed more than the
// leader's log still holds catches up by a snapshot.
func TestThreeNodesAgree(t *testing.T) {
	type member struct {
		n *Node
		m *counter
	}
	var mu sync.Mutex
	members := map[uint64]member{}
	cut := map[uint64]bool{3: true}
	start := make(chan uint64, 16)
	applied := make(chan struct{}, 1)
	for id := uint64(1); id <= 3; id++ {
		d, err := OpenDisk(t.TempDir(), true)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		m := &counter{}
		n, err := NewNode(Config{
			ID: id, Voters: []uint64{1, 2, 3}, Disk: d, Machine: m, Logger: hclog.NewNullLogger(), Now: time.Now,
			Tick: 10 * time.Millisecond,
			Send: func(to uint64, p []byte) {
				mu.Lock()
				peer, ok := members[to]
				ok = ok && !cut[id] && !cut[to]
				mu.Unlock()
				if ok {
					_ = peer.n.Receive(p)
				}
			},
			Applied: func() {
				select {
				case applied <- struct{}{}:
				default:
				}
			},
			Leading: func(on bool) {
				if on {
					start <- id
				}
			},
			Fatal: func(err error) { t.Error(err) },
		})
		if err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		members[id] = member{n, m}
		mu.Unlock()
	}
	for _, m := range members {
		m.n.Start()
		defer m.n.Stop()
	}
	leader := members[<-start]
	const total = compactEvery + 2*keepEntries
	for i := range total {
		if _, err := leader.n.Call(context.Background(), fmt.Appendf(nil, "%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	cut[3] = false
	mu.Unlock()
	for members[3].m.count() < total {
		<-applied
	}
	if got := members[3].m.count(); got != total {
		t.Errorf("the lagging node applied %d commands, want %d", got, total)
	}
}
