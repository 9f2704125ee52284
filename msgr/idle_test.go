package msgr

import (
	"flag"
	"runtime"
	"testing"
	"time"

	"sepiola/entity"
)

var idleConns = flag.Int("idle.conns", 300, "how many connections TestIdle opens; each takes two file descriptors")

// TestIdle: connections on which nothing happens have no goroutine, at either end,
// and are served as soon as something does.
func TestIdle(t *testing.T) {
	sw := newWatcher()
	sw.onMsg = func(c *Conn, m *Message) { c.Send(&Message{TID: m.TID}) }
	srv := startMessenger(t, Config{Name: entity.OSD(0), DefaultPolicy: StatelessServer()}, sw, true)
	n := *idleConns
	before, memory := runtime.NumGoroutine(), heap()
	cw := newWatcher()
	conns := make([]*Conn, n)
	for i := range conns {
		cli := startMessenger(t, Config{Name: entity.Client(int64(i + 1)), Nonce: uint32(i + 1), DefaultPolicy: LossyClient()}, cw, false)
		conns[i] = cli.Connect(srv.Addrs(), entity.TypeOSD)
		cw.until(t, "the connection", func() bool { return cw.count("connected") > i })
	}
	ask := func(round int) {
		for _, c := range conns {
			c.Send(&Message{TID: uint64(round)})
		}
		cw.until(t, "all answers", func() bool { return len(cw.msgs) == n*round })
	}
	ask(1)
	// Whoever was patient gives up soon.
	goroutines := 0
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if goroutines = runtime.NumGoroutine() - before; goroutines <= 8 {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("%d goroutines for %d connections on which nothing happens", goroutines, n)
			break
		}
	}
	t.Logf("%d connections, both ends: %d goroutines more, %d bytes each", n, goroutines, (heap()-memory)/int64(n))
	ask(2)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
