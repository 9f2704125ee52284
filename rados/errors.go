package rados

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Errno is a refusal by the cluster: a positive error number of Linux.
type Errno int32

// Error returns the error's text as the C library has it.
func (e Errno) Error() string { return fmt.Sprintf("(%d) %s", int32(e), Text(int32(e))) }

// Is makes errors.Is(err, syscall.ENOENT) and the like work.
func (e Errno) Is(target error) bool {
	t, ok := target.(syscall.Errno)
	return ok && int32(t) == int32(e)
}

// Name returns the symbolic name, such as "ENOENT".
func (e Errno) Name() string {
	if s := unix.ErrnoName(syscall.Errno(e)); s != "" {
		return s
	}
	return fmt.Sprintf("E%d", int32(e))
}

// Text returns the C library's text for an error number, with its capital letter.
func Text(n int32) string {
	s := syscall.Errno(n).Error()
	if s == "" {
		return "Unknown error"
	}
	if c := s[0]; c >= 'a' && c <= 'z' {
		return string(c-0x20) + s[1:]
	}
	return s
}

// CommandError is a command that was refused.
type CommandError struct {
	Errno  Errno
	Status string // what the daemon says
}

// Error returns "Error ENOENT: text".
func (e *CommandError) Error() string { return fmt.Sprintf("Error %s: %s", e.Errno.Name(), e.Status) }

// Unwrap returns the error number.
func (e *CommandError) Unwrap() error { return e.Errno }
