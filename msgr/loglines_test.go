package msgr

import (
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

// logLines hands out what is logged at the default level, a line at a time.
type logLines struct{ lines chan string }

func newLogLines() *logLines { return &logLines{make(chan string, 1000)} }

func (l *logLines) Write(p []byte) (int, error) {
	l.lines <- string(p)
	return len(p), nil
}

func (l *logLines) logger() hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Level: hclog.Info, Output: l})
}

func (l *logLines) next(t testing.TB) string {
	t.Helper()
	select {
	case s := <-l.lines:
		return s
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was logged")
		return ""
	}
}

func (l *logLines) drain() (rest []string) {
	for {
		select {
		case s := <-l.lines:
			rest = append(rest, s)
		default:
			return rest
		}
	}
}
