package msgr

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Throttle bounds an amount in use. It serves waiters in order of arrival. All
// methods are safe for concurrent use.
type Throttle struct {
	mu      sync.Mutex
	max     int64
	inUse   int64
	waiters []*throttleWaiter
}

// throttleWaiter is a place in a throttle's queue.
type throttleWaiter struct {
	n       int64
	granted bool
	ready   func() // called once it is; it must not wait for anything
}

// NewThrottle returns a throttle of max units; max 0 or less means no bound.
func NewThrottle(max int64) *Throttle { return &Throttle{max: max} }

// admits reports whether n more may be taken now. More than the whole bound is
// admitted while no more than the bound is in use, since it could never be
// otherwise.
func (t *Throttle) admits(n int64) bool {
	return t.max <= 0 || t.inUse+n <= t.max || n >= t.max && t.inUse <= t.max
}

// ask takes n units if that needs no waiting, and returns nil; or else a place in
// the queue, whose owner is called back when they are taken.
func (t *Throttle) ask(n int64, ready func()) *throttleWaiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiters) == 0 && t.admits(n) {
		t.inUse += n
		return nil
	}
	w := &throttleWaiter{n: n, ready: ready}
	t.waiters = append(t.waiters, w)
	return w
}

// granted reports whether w has its units.
func (t *Throttle) granted(w *throttleWaiter) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return w.granted
}

// abandon takes w out of the queue, or gives back what it was granted.
func (t *Throttle) abandon(w *throttleWaiter, n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w.granted {
		t.inUse -= n
	}
	t.waiters = slices.DeleteFunc(t.waiters, func(o *throttleWaiter) bool { return o == w })
	t.serve()
}

// Put gives n units back.
func (t *Throttle) Put(n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.inUse -= n
	t.serve()
}

func (t *Throttle) serve() {
	for len(t.waiters) > 0 && t.admits(t.waiters[0].n) {
		w := t.waiters[0]
		t.waiters[0] = nil
		t.waiters = t.waiters[1:]
		t.inUse += w.n
		w.granted = true
		w.ready()
	}
}

// InUse returns the units taken and not given back.
func (t *Throttle) InUse() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.inUse
}

// Max returns the bound.
func (t *Throttle) Max() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.max
}

// SetMax changes the bound; waiters that fit the new one go on.
func (t *Throttle) SetMax(max int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.max = max
	t.serve()
}

// budget is a received message's share of the throttles it came under. The
// throttles do not change; state does, and may be touched by the owner while the
// reader looks at it.
type budget struct {
	state                     uint32 // budgetHeld, budgetReleased
	dispatched                uint32 // 1 once the dispatch throttle's share is back
	size                      int64
	bytes, messages, dispatch *Throttle
}

const (
	budgetHeld     = 1
	budgetReleased = 2
)

func (b *budget) hold()      { atomic.CompareAndSwapUint32(&b.state, 0, budgetHeld) }
func (b *budget) held() bool { return atomic.LoadUint32(&b.state) != 0 }

// release gives the share back, once.
func (b *budget) release() {
	if atomic.SwapUint32(&b.state, budgetReleased) == budgetReleased {
		return
	}
	if b.bytes != nil {
		b.bytes.Put(b.size)
	}
	if b.messages != nil {
		b.messages.Put(1)
	}
	b.releaseDispatch()
}

// releaseDispatch gives back the dispatch throttle's share, once.
func (b *budget) releaseDispatch() {
	if b.dispatch != nil && atomic.SwapUint32(&b.dispatched, 1) == 0 {
		b.dispatch.Put(b.size)
	}
}
