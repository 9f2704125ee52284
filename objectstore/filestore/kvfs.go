package filestore

import (
	"fmt"
	"time"

	pebblevfs "github.com/cockroachdb/pebble/v2/vfs"
)

// kvFS is the file system as Pebble sees it. Pebble has ways of its own to take an error:
// a table that cannot be written is tried again for ever, an error of its manifest is for
// the program's logger to end the process with, and one of its directory is a panic. Here the
// first change that fails stops the store (Store.fail), and from then on nothing is
// changed any more: what is on the disk after an error is for the next mount to see, and
// Pebble must not build on what it only believes to be there, nor remove it.
type kvFS struct {
	pebblevfs.FS
	s *Store
}

// refusalPause keeps Pebble, which tries again and again, from taking a processor while
// the daemon stops.
const refusalPause = 10 * time.Millisecond

// refusal returns the error that stopped the store, nil if it has not failed.
func (f kvFS) refusal() error {
	err := f.s.Err()
	if err != nil {
		time.Sleep(refusalPause)
	}
	return err
}

// change does something that changes the file system, unless the store has failed.
func (f kvFS) change(what, path string, do func() error) error {
	if err := f.refusal(); err != nil {
		return err
	}
	if err := do(); err != nil {
		err = fmt.Errorf("key-value store: %s %s: %w", what, path, err)
		f.s.fail(err)
		return err
	}
	return nil
}

// Create implements pebble's FS, and so do the others.
func (f kvFS) Create(name string, c pebblevfs.DiskWriteCategory) (file pebblevfs.File, err error) {
	return f.file("create", name, func() (pebblevfs.File, error) { return f.FS.Create(name, c) })
}

func (f kvFS) OpenReadWrite(name string, c pebblevfs.DiskWriteCategory, opts ...pebblevfs.OpenOption) (pebblevfs.File, error) {
	return f.file("open", name, func() (pebblevfs.File, error) { return f.FS.OpenReadWrite(name, c, opts...) })
}

func (f kvFS) ReuseForWrite(from, to string, c pebblevfs.DiskWriteCategory) (pebblevfs.File, error) {
	return f.file("reuse", from, func() (pebblevfs.File, error) { return f.FS.ReuseForWrite(from, to, c) })
}

func (f kvFS) file(what, name string, open func() (pebblevfs.File, error)) (pebblevfs.File, error) {
	var file pebblevfs.File
	err := f.change(what, name, func() (err error) { file, err = open(); return err })
	if err != nil {
		return nil, err
	}
	return kvFile{file, f, name}, nil
}

func (f kvFS) OpenDir(name string) (pebblevfs.File, error) {
	d, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return kvDir{d, f, name}, nil
}

func (f kvFS) Rename(from, to string) error {
	return f.change("rename", from, func() error { return f.FS.Rename(from, to) })
}

// Link and Remove may fail: Pebble copies then, or tries again at the next start.
func (f kvFS) Link(from, to string) error {
	if err := f.refusal(); err != nil {
		return err
	}
	return f.FS.Link(from, to)
}

func (f kvFS) Remove(name string) error {
	if err := f.refusal(); err != nil {
		return err
	}
	return f.FS.Remove(name)
}

func (f kvFS) RemoveAll(name string) error {
	if err := f.refusal(); err != nil {
		return err
	}
	return f.FS.RemoveAll(name)
}

func (f kvFS) Unwrap() pebblevfs.FS { return f.FS }

// kvFile is a file that Pebble writes.
type kvFile struct {
	pebblevfs.File
	fs   kvFS
	name string
}

func (f kvFile) Write(p []byte) (n int, err error) {
	err = f.fs.change("write", f.name, func() (err error) { n, err = f.File.Write(p); return err })
	return n, err
}

func (f kvFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.fs.change("write", f.name, func() (err error) { n, err = f.File.WriteAt(p, off); return err })
	return n, err
}

func (f kvFile) Sync() error { return f.fs.change("sync", f.name, f.File.Sync) }

func (f kvFile) SyncData() error { return f.fs.change("sync", f.name, f.File.SyncData) }

func (f kvFile) SyncTo(n int64) (full bool, err error) {
	err = f.fs.change("sync", f.name, func() (err error) { full, err = f.File.SyncTo(n); return err })
	return full, err
}

// kvDir is a directory that Pebble syncs. It hears of no error, at some of which it
// panics: the store has stopped then, and whoever waits for the sync asks for that.
type kvDir struct {
	pebblevfs.File
	fs   kvFS
	name string
}

func (d kvDir) Sync() error {
	_ = d.fs.change("sync", d.name, d.File.Sync)
	return nil
}
