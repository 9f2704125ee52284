package msgr

import (
	"sync"
	"time"
)

// A messenger's work is done by at most workersMax goroutines, whatever the number
// of its connections. A link that has nothing to read or cannot be written has none:
// its transport calls back. While few links are busy their goroutines wait for more,
// for up to readPatience, since that is how bytes come soonest; see the package
// comment.
const (
	workersMax = 64
	patientMax = workersMax / 2

	readPatience  = 200 * time.Millisecond
	writePatience = 20 * time.Millisecond
)

// workers runs tasks with a bounded number of goroutines. A task may wait, for its
// patience, if patient says so.
type workers struct {
	mu      sync.Mutex
	idle    sync.Cond
	running int
	patient int
	queue   ring[func()]
}

func newWorkers() *workers {
	w := &workers{}
	w.idle.L = &w.mu
	return w
}

// submit has f called soon.
func (w *workers) submit(f func()) {
	w.mu.Lock()
	if w.running == workersMax {
		w.queue.push(f)
		w.mu.Unlock()
		return
	}
	w.running++
	w.mu.Unlock()
	go w.work(f)
}

func (w *workers) work(f func()) {
	for f != nil {
		f()
		f = w.more()
	}
}

// more returns the next task; nil ends the goroutine.
func (w *workers) more() func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queue.len() > 0 {
		return w.queue.pop()
	}
	w.running--
	if w.running == 0 {
		w.idle.Broadcast()
	}
	return nil
}

// await returns when no task is left.
func (w *workers) await() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.running > 0 {
		w.idle.Wait()
	}
}

// busy reports whether tasks wait for a goroutine.
func (w *workers) busy() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.queue.len() > 0
}

// bePatient reports whether the calling task may wait for the network. If so,
// notPatient ends it.
func (w *workers) bePatient() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.patient == patientMax || w.queue.len() > 0 {
		return false
	}
	w.patient++
	return true
}

func (w *workers) notPatient() {
	w.mu.Lock()
	w.patient--
	w.mu.Unlock()
}
