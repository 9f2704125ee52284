package osd

import "testing"

// While every class has work, commits come first and the others get their
// shares, so that no flood of one kind starves another.
func TestQueueShares(t *testing.T) {
	q := newQueue()
	seen := [classes]int{}
	for c := range classes {
		for range 100 {
			q.push(c, work{call: func(*shard) { seen[c]++ }})
		}
	}
	take := func(n int) {
		for range n {
			w, ok := q.pop()
			if !ok {
				t.Fatal("the queue is closed")
			}
			w.call(nil)
		}
	}
	take(100)
	if seen[classCommit] != 100 {
		t.Fatalf("commits served among the first 100: %d", seen[classCommit])
	}
	take(26) // two rounds
	if seen[classPeer] != 16 || seen[classClient] != 8 || seen[classBackground] != 2 {
		t.Errorf("served in two rounds: %v", seen)
	}
	take(274)
	if q.len() != 0 {
		t.Errorf("%d items left", q.len())
	}
}

// Items of one class keep their order, also when the ring grows while wrapped.
func TestQueueOrder(t *testing.T) {
	q := newQueue()
	var got []int
	next := 0
	push := func(n int) {
		for range n {
			i := next
			next++
			q.push(classClient, work{call: func(*shard) { got = append(got, i) }})
		}
	}
	take := func(n int) {
		for range n {
			w, _ := q.pop()
			w.call(nil)
		}
	}
	push(10)
	take(7)
	push(40)
	take(43)
	for i, v := range got {
		if i != v {
			t.Fatalf("order: %v", got)
		}
	}
}

// A closed queue lets its worker go and drops what comes later.
func TestQueueClose(t *testing.T) {
	q := newQueue()
	done := make(chan bool)
	go func() {
		_, ok := q.pop()
		done <- ok
	}()
	q.close()
	if <-done {
		t.Error("pop returned an item of a closed queue")
	}
	q.push(classPeer, work{})
	if q.len() != 0 {
		t.Error("a closed queue took an item")
	}
}
