// Package vfs is the seam between filestore and the file system: the few calls the
// store makes, as an interface. [OS] is the real one. Tests put others in its place that
// forget what was not synced and fail what they like.
//
// Errors are, or wrap, syscall.Errno, so that errors.Is(err, fs.ErrNotExist) and
// comparisons with unix.ENOSPC and the like work.
package vfs

import (
	"io"
	"os"
)

// FS is a file system. Paths are absolute, or relative to the process' directory.
type FS interface {
	// Open opens an existing file, or with Create a possibly new one. Flags are
	// combined by or.
	Open(path string, flags Flags) (File, error)
	// Mkdir makes one directory; os.ErrExist if it exists.
	Mkdir(path string) error
	// Rename moves a file, replacing what is in its way.
	Rename(from, to string) error
	// Remove removes a file or an empty directory.
	Remove(path string) error
	// ReadDir returns the names in a directory, in no order.
	ReadDir(path string) ([]os.DirEntry, error)
	// SyncDir makes the entries of a directory durable.
	SyncDir(path string) error
	// SyncFS makes everything below path durable: data, attributes, entries.
	SyncFS(path string) error
	// Spread asks that the directories below path be placed apart from each other on the
	// disk, where the file system has such a hint; it may do nothing.
	Spread(path string)
	// Statfs returns the space figures of the file system that holds path.
	Statfs(path string) (Statfs, error)
	// Lock takes an exclusive lock on a file, which it creates as needed, until the
	// result is closed or the process ends. It returns ErrLocked at once if
	// another holds it.
	Lock(path string) (io.Closer, error)
}

// Flags say how a file is opened.
type Flags uint8

// The flags of Open. A file is always open for reading and writing.
const (
	Create    Flags = 1 << iota // make it if it does not exist
	Exclusive                   // with Create: it must not exist
	Direct                      // bypass the page cache: offsets, lengths and memory in multiples of BlockSize
)

// BlockSize is the unit, in bytes, of direct reads and writes.
const BlockSize = 4096

// File is an open file. Calls may run side by side.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// WriteV writes the segments one after another from off on.
	WriteV(segments [][]byte, off int64) error
	Size() (int64, error)
	Truncate(size int64) error
	// Punch makes a range read as zeros, giving its space back where the file system
	// can. The size stays.
	Punch(off, n int64) error
	// SyncData makes the file's data durable, and so much of its metadata as is
	// needed to read it (fdatasync).
	SyncData() error
	// NextData returns the first range at or after off that is not a hole;
	// io.EOF if there is none.
	NextData(off int64) (from, to int64, err error)
	// Reserve asks for room for the first n bytes in one piece; the size stays. Where the
	// file system cannot, or has none, nothing happens.
	Reserve(n int64)
	// ReadAhead tells what will be read soon.
	ReadAhead(off, n int64)

	// GetAttr returns an extended attribute; ErrNoAttr if there is none.
	GetAttr(name string) ([]byte, error)
	SetAttr(name string, value []byte) error
	// RemoveAttr returns ErrNoAttr if there is none.
	RemoveAttr(name string) error
	ListAttrs() ([]string, error)
}

// Statfs are space figures in bytes.
type Statfs struct{ Total, Free, Available uint64 }
