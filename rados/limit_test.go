package rados

import (
	"context"
	"errors"
	"runtime"
	"testing"
)

// taken returns a channel that is closed when get has room.
func taken(t *testing.T, l *limiter, n int64) <-chan struct{} {
	t.Helper()
	done := make(chan struct{})
	before := l.queued()
	go func() {
		if err := l.get(context.Background(), nil, n); err != nil {
			t.Error(err)
		}
		close(done)
	}()
	for l.queued() == before && !isClosed(done) {
		runtime.Gosched()
	}
	return done
}

func (l *limiter) queued() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Who waits is let in when there is room, in order; a small operation does not pass
// a large one that waits before it.
func TestLimiterKeepsOrder(t *testing.T) {
	l := newLimiter(10, 100)
	first := taken(t, l, 60)
	large := taken(t, l, 80)
	small := taken(t, l, 1)
	if !isClosed(first) || isClosed(large) || isClosed(small) {
		t.Fatal("room for the first only is not what was given out")
	}
	l.put(60)
	<-large
	<-small
	if l.ops != 2 || l.bytes != 81 {
		t.Errorf("%d operations and %d bytes in flight, want 2 and 81", l.ops, l.bytes)
	}
}

// An operation above the limit goes alone instead of never.
func TestLimiterLetsOneLargeOperationGo(t *testing.T) {
	l := newLimiter(2, 10)
	if err := l.get(context.Background(), nil, 1000); err != nil {
		t.Fatal(err)
	}
	next := taken(t, l, 1)
	if isClosed(next) {
		t.Fatal("a second operation went beside one that is too large")
	}
	l.put(1000)
	<-next
}

// Waiting for room ends with the context or the client, and gives its place up: who
// waited behind goes.
func TestLimiterWaitEnds(t *testing.T) {
	l := newLimiter(2, 100)
	if err := l.get(context.Background(), nil, 50); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	large := make(chan error, 1)
	go func() { large <- l.get(ctx, nil, 80) }()
	for l.queued() == 0 {
		runtime.Gosched()
	}
	small := taken(t, l, 10)
	why := errors.New("enough")
	cancel(why)
	if err := <-large; err != why {
		t.Errorf("got %v, want the context's cause", err)
	}
	<-small
	closed := make(chan struct{})
	close(closed)
	if err := l.get(context.Background(), closed, 80); err != ErrClosed {
		t.Errorf("on a closed client: %v", err)
	}
	if l.ops != 2 || l.bytes != 60 || len(l.waiting) != 0 {
		t.Errorf("left %d operations, %d bytes, %d waiting", l.ops, l.bytes, len(l.waiting))
	}
}
