package sim

import (
	"container/heap"
	"time"
)

// event is something that happens at a moment of virtual time.
type event struct {
	at  time.Duration
	seq uint64 // of those at the same moment, which was planned first
	do  func()
}

// agenda holds what is to happen, the next first.
type agenda []event

func (a agenda) Len() int { return len(a) }

func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].seq < a[j].seq
}

func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }

// Push implements heap.Interface.
func (a *agenda) Push(x any) { *a = append(*a, x.(event)) }

// Pop implements heap.Interface.
func (a *agenda) Pop() any {
	old := *a
	n := len(old) - 1
	e := old[n]
	old[n] = event{}
	*a = old[:n]
	return e
}

// after plans an event.
func (w *world) after(d time.Duration, do func()) { w.at(w.now+d, do) }

func (w *world) at(at time.Duration, do func()) {
	w.nextSeq++
	heap.Push(&w.agenda, event{max(at, w.now), w.nextSeq, do})
}

// step lets the next event happen.
func (w *world) step() {
	e := heap.Pop(&w.agenda).(event)
	w.now = e.at
	w.steps++
	e.do()
}

// uniform returns a time in [a, b).
func (w *world) uniform(a, b time.Duration) time.Duration {
	return a + time.Duration(w.rng.Int64N(int64(b-a)))
}

// oneIn is true once in n times.
func (w *world) oneIn(n int) bool { return w.rng.IntN(n) == 0 }
