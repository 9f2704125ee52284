package crush

import (
	"fmt"
	"syscall"
)

// Error is a refused change: what Ceph answers a client with, and why.
type Error struct {
	Errno syscall.Errno
	Msg   string
}

// Error returns the message.
func (e *Error) Error() string { return e.Msg }

// Unwrap returns the errno, so that errors.Is(err, syscall.EEXIST) and
// errors.As(err, &errno) work.
func (e *Error) Unwrap() error { return e.Errno }

func errf(errno syscall.Errno, format string, args ...any) error {
	return &Error{Errno: errno, Msg: fmt.Sprintf(format, args...)}
}
