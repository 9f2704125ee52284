package crash

import (
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"sync"
)

// appendLog is an object that all workers append records to.
type appendLog struct {
	name string

	mu    sync.Mutex
	acked map[record]bool // false: in doubt
}

// record is one append: the number'th of a worker.
type record struct{ worker, number int }

func newAppendLog(name string) *appendLog {
	return &appendLog{name: name, acked: map[record]bool{}}
}

func (r record) bytes() []byte {
	s := fmt.Sprintf("w%06d n%08d ", r.worker, r.number)
	return fmt.Appendf(nil, "%s%08x\n", s, crc32.ChecksumIEEE([]byte(s)))
}

func (l *appendLog) issue(r record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[r] = false
}

func (l *appendLog) ack(r record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[r] = true
}

// check judges the object's data: every acknowledged record is there once, those in
// doubt at most once, nothing else is, and a worker's acknowledged records are in
// the order in which it appended them.
func (l *appendLog) check(data []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	bad := func(format string, args ...any) {
		if len(errs) < 10 {
			errs = append(errs, fmt.Errorf(l.name+": "+format, args...))
		}
	}
	seen, last := map[record]int{}, map[int]int{}
	for i, line := range strings.SplitAfter(string(data), "\n") {
		if line == "" {
			continue
		}
		var r record
		var sum uint32
		if n, err := fmt.Sscanf(line, "w%d n%d %x\n", &r.worker, &r.number, &sum); n != 3 || err != nil || string(r.bytes()) != line {
			bad("line %d is no record: %q", i, line)
			continue
		}
		if seen[r]++; seen[r] > 1 {
			bad("record %v is there %d times", r, seen[r])
		}
		acked, issued := l.acked[r]
		if !issued {
			bad("record %v was never appended", r)
		}
		if !acked {
			continue
		}
		if before, ok := last[r.worker]; ok && before > r.number {
			bad("record %v comes after %d of the same worker", r, before)
		}
		last[r.worker] = r.number
	}
	for r, acked := range l.acked {
		if acked && seen[r] == 0 {
			bad("record %v was acknowledged and is lost", r)
		}
	}
	return errors.Join(errs...)
}
