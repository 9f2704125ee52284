package msgr

import (
	"testing"
	"time"

	"sepiola/entity"
	"sepiola/wire"
)

// TestFaults: with everything a messenger can do to itself, lossless sessions
// deliver once and in order, and the faults end when they are set to nothing.
func TestFaults(t *testing.T) {
	for name, transport := range transports() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n = 600
			tr := transport()
			start := func(num int32, w *watcher) *Messenger {
				f := &Faults{}
				f.Set(FaultPlan{SocketFailures: 8, InternalDelays: time.Millisecond,
					DelayTypes: "mon osd", DelayProbability: 0.05, DelayMax: 2 * time.Millisecond})
				return startMessenger(t, Config{Name: entity.OSD(num), Nonce: uint32(num), Transport: tr, DefaultPolicy: LosslessPeer(),
					InitialBackoff: time.Millisecond, MaxBackoff: 4 * time.Millisecond, Faults: f}, w, true)
			}
			wa, wb := newWatcher(), newWatcher()
			a, b := start(1, wa), start(2, wb)
			ca, cb := a.Connect(b.Addrs(), entity.TypeOSD), b.Connect(a.Addrs(), entity.TypeOSD)
			for i := range n {
				m := func() *Message {
					return &Message{TID: uint64(i), Priority: PriorityDefault, Data: wire.BufOf(make([]byte, i))}
				}
				ca.Send(m())
				cb.Send(m())
				if i%50 == 0 {
					wa.until(t, "some", func() bool { return len(wa.msgs) >= i/2 })
				}
			}
			for name, w := range map[string]*watcher{"a": wa, "b": wb} {
				w.until(t, "all messages", func() bool { return len(w.msgs) >= n })
				for i, m := range w.msgs {
					if m.TID != uint64(i) {
						t.Fatalf("%s: message %d is %d", name, i, m.TID)
					}
				}
			}
			if got := a.Counters(); got.CreatedConnections+b.Counters().CreatedConnections < 10 || got.RecvMessages < n {
				t.Errorf("the sockets hardly broke: %+v", got)
			}
			a.cfg.Faults.Set(FaultPlan{})
			b.cfg.Faults.Set(FaultPlan{})
			ca.Send(&Message{TID: n})
			wb.until(t, "one more", func() bool { return len(wb.msgs) == n+1 })
			was := a.Counters().OpenedSessions
			for i := range 300 {
				ca.Send(&Message{TID: uint64(n + 1 + i)})
				wb.until(t, "one after the other", func() bool { return len(wb.msgs) == n+2+i })
			}
			if now := a.Counters().OpenedSessions; now > was+1 {
				t.Errorf("sockets broke %d times after the faults ended", now-was)
			}
		})
	}
}

// TestDelayByKind: only messages of the kinds of peers named are delayed.
func TestDelayByKind(t *testing.T) {
	f := &Faults{}
	f.Set(FaultPlan{DelayTypes: "osd", DelayProbability: 1, DelayMax: time.Hour})
	if d := f.delay(true, entity.TypeOSD); d <= 0 {
		t.Errorf("a message of an OSD is delayed by %v", d)
	}
	if d := f.delay(true, entity.TypeClient); d != 0 {
		t.Errorf("a message of a client is delayed by %v", d)
	}
	if d := f.delay(false, entity.TypeOSD); d != 0 {
		t.Errorf("a frame of a handshake is delayed by %v", d)
	}
	if (*Faults)(nil).breaks() || (*Faults)(nil).delay(true, entity.TypeOSD) != 0 {
		t.Error("no faults do something")
	}
}
