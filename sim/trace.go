package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"time"
)

// tracer writes what happens, a line for each event, and keeps a hash of it.
type tracer struct {
	hash hash.Hash
	out  io.Writer // nil for nobody
	line []byte
}

func newTracer(out io.Writer) tracer { return tracer{hash: sha256.New(), out: out} }

// add writes a line.
func (t *tracer) add(step int64, now time.Duration, format string, args ...any) {
	t.line = fmt.Appendf(t.line[:0], "%d %d.%03dms ", step, now/time.Millisecond, now%time.Millisecond/time.Microsecond)
	t.line = append(fmt.Appendf(t.line, format, args...), '\n')
	t.hash.Write(t.line)
	if t.out != nil {
		t.out.Write(t.line)
	}
}

// sum returns the hash of all lines so far.
func (t *tracer) sum() string { return hex.EncodeToString(t.hash.Sum(nil)[:8]) }
