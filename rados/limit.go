package rados

import (
	"context"
	"sync"
)

// limiter bounds the operations and the bytes in flight. Who waits is served in
// order of arrival, so that a large operation is not passed by for ever.
type limiter struct {
	mu       sync.Mutex
	ops      int
	bytes    int64
	opsMax   int
	bytesMax int64
	waiting  []*waiter
}

type waiter struct {
	bytes int64
	ready chan struct{} // closed when there is room, which then is taken
}

func newLimiter(ops int, bytes int64) *limiter { return &limiter{opsMax: max(1, ops), bytesMax: bytes} }

// fits reports whether n bytes more may go. One operation always fits, however
// large. The caller holds mu.
func (l *limiter) fits(n int64) bool {
	return l.ops < l.opsMax && (l.ops == 0 || l.bytes+n <= l.bytesMax)
}

// get takes room for an operation of n bytes, waiting for it until ctx ends or
// closed is closed.
func (l *limiter) get(ctx context.Context, closed <-chan struct{}, n int64) error {
	l.mu.Lock()
	if len(l.waiting) == 0 && l.fits(n) {
		l.ops++
		l.bytes += n
		l.mu.Unlock()
		return nil
	}
	w := &waiter{bytes: n, ready: make(chan struct{})}
	l.waiting = append(l.waiting, w)
	l.mu.Unlock()
	var err error
	select {
	case <-w.ready:
		return nil
	case <-closed:
		err = ErrClosed
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	l.leave(w)
	return err
}

// leave takes back a request for room, or the room if it was granted meanwhile.
func (l *limiter) leave(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, q := range l.waiting {
		if q == w {
			l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
			l.admit() // it may have been what the others waited for
			return
		}
	}
	l.release(w.bytes)
}

// put gives room back.
func (l *limiter) put(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.release(n)
}

func (l *limiter) release(n int64) {
	l.ops--
	l.bytes -= n
	l.admit()
}

// admit lets in who waits and fits, in order. The caller holds mu.
func (l *limiter) admit() {
	for len(l.waiting) > 0 && l.fits(l.waiting[0].bytes) {
		w := l.waiting[0]
		l.waiting = l.waiting[1:]
		l.ops++
		l.bytes += w.bytes
		close(w.ready)
	}
}
