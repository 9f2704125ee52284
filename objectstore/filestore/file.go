package filestore

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"

	"sepiola/objectstore/filestore/vfs"
	"sepiola/wire"
)

// file is a data file, known to the store as long as somebody holds a reference:
// the object's cache entry, a transaction on its way, a reader.
//
// io orders readers against changes: whoever changes the file's content or place
// holds it exclusively, whoever reads holds it shared from before the moment it
// looks up what the content should be.
type file struct {
	fid uint64
	io  sync.RWMutex

	path string // below the store's directory; under io
	// ready says that the file exists on disk; under io. Before that it reads as empty.
	ready bool
	// spilled are attributes that are in the key-value store because the file system
	// refused them; nil until looked up. Under io.
	spilled map[string]bool

	opening sync.Mutex

	// Under files.mu.
	refs       int
	users      int // of f
	f          vfs.File
	prev, next *file // in the list of open files nobody uses
}

// files is the table of files and a cache of open descriptors.
type files struct {
	fs      vfs.FS
	dir     string
	openMax int // descriptors kept open without a user

	mu    sync.Mutex
	byID  map[uint64]*file
	idle  file // head of the ring of idle open files, least recently used first
	nIdle int
	dirs  map[string]bool // directories known to exist
}

func newFiles(fs vfs.FS, dir string, openMax int) *files {
	t := &files{fs: fs, dir: dir, openMax: openMax, byID: map[uint64]*file{}, dirs: map[string]bool{}}
	t.idle.prev, t.idle.next = &t.idle, &t.idle
	return t
}

func (t *files) full(path string) string { return t.dir + "/" + path }

// hold returns the file with another reference. path and ready count when it was not
// known before.
func (t *files) hold(fid uint64, path func() string, ready bool) *file {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.byID[fid]
	if f == nil {
		f = &file{fid: fid, path: path(), ready: ready}
		t.byID[fid] = f
	}
	f.refs++
	return f
}

// share takes another reference to a file that has one.
func (t *files) share(f *file) *file {
	t.mu.Lock()
	f.refs++
	t.mu.Unlock()
	return f
}

// release gives a reference back.
func (t *files) release(f *file) {
	t.mu.Lock()
	f.refs--
	var last vfs.File
	if f.refs == 0 {
		delete(t.byID, f.fid)
		if f.f != nil && f.users == 0 {
			t.unlist(f)
			last, f.f = f.f, nil
		}
	}
	t.mu.Unlock()
	if last != nil {
		last.Close()
	}
}

func (t *files) unlist(f *file) {
	f.prev.next, f.next.prev = f.next, f.prev
	f.prev, f.next = nil, nil
	t.nIdle--
}

// open returns the descriptor of f, whose io the caller holds, for use until done.
func (t *files) open(f *file, flags vfs.Flags) (vfs.File, error) {
	f.opening.Lock() // one opens, the others wait for that
	defer f.opening.Unlock()
	t.mu.Lock()
	d := f.f
	if d != nil {
		if f.users == 0 {
			t.unlist(f)
		}
		f.users++
	}
	t.mu.Unlock()
	if d != nil {
		return d, nil
	}
	d, err := t.fs.Open(t.full(f.path), flags)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	f.f, f.users = d, 1
	t.mu.Unlock()
	return d, nil
}

func (t *files) done(f *file) {
	var victim vfs.File
	t.mu.Lock()
	f.users--
	if f.users == 0 {
		f.prev, f.next = t.idle.prev, &t.idle
		f.prev.next, f.next.prev = f, f
		t.nIdle++
		if f.refs == 0 {
			t.unlist(f)
			victim, f.f = f.f, nil
		} else if t.nIdle > t.openMax {
			old := t.idle.next
			t.unlist(old)
			victim, old.f = old.f, nil
		}
	}
	t.mu.Unlock()
	if victim != nil {
		victim.Close()
	}
}

// isReady reports whether the file exists on disk.
func (f *file) isReady() bool {
	f.io.RLock()
	defer f.io.RUnlock()
	return f.ready
}

// closeAll closes all descriptors. Nobody uses the table any more.
func (t *files) closeAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.byID {
		if f.f != nil {
			f.f.Close()
			f.f = nil
		}
	}
	t.byID = map[uint64]*file{}
	t.idle.prev, t.idle.next = &t.idle, &t.idle
	t.nIdle = 0
}

// makeDirs makes the directory of path and those above it, up to the store's.
func (t *files) makeDirs(path string) error {
	dir := filepath.Dir(path)
	t.mu.Lock()
	known := t.dirs[dir]
	t.mu.Unlock()
	if known || dir == "." {
		return nil
	}
	err := t.fs.Mkdir(t.full(dir))
	if errors.Is(err, fs.ErrNotExist) {
		if err = t.makeDirs(dir); err == nil {
			err = t.fs.Mkdir(t.full(dir))
		}
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err == nil && strings.Count(dir, "/") == 1 { // a collection's
		t.fs.Spread(t.full(dir))
	}
	t.mu.Lock()
	t.dirs[dir] = true
	t.mu.Unlock()
	return nil
}

// create makes the file at its path, or opens it where it exists. f.io is held
// exclusively.
func (t *files) create(f *file) error {
	_, err := t.open(f, vfs.Create)
	if errors.Is(err, fs.ErrNotExist) {
		if err = t.makeDirs(f.path); err != nil {
			return err
		}
		_, err = t.open(f, vfs.Create)
	}
	if err != nil {
		return err
	}
	t.done(f)
	f.ready = true
	return nil
}

// move renames the file. f.io is held exclusively.
func (t *files) move(f *file, to string) error {
	err := t.fs.Rename(t.full(f.path), t.full(to))
	if errors.Is(err, fs.ErrNotExist) {
		if err = t.makeDirs(to); err != nil {
			return err
		}
		err = t.fs.Rename(t.full(f.path), t.full(to))
	}
	if err != nil {
		return err
	}
	f.path = to
	return nil
}

// remove unlinks the file; it is no error if it is gone already. Readers that hold it
// open keep it until they are done.
func (t *files) remove(f *file) error {
	err := t.fs.Remove(t.full(f.path))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	f.ready = false
	return err
}

// change calls do with the open file, whose io the caller holds.
func (t *files) change(f *file, do func(vfs.File) error) error {
	d, err := t.open(f, 0)
	if err != nil {
		return err
	}
	defer t.done(f)
	return do(d)
}

func writeAt(d vfs.File, off uint64, b wire.Buf) error { return d.WriteV(b, int64(off)) }

// zeroAt makes [off, off+n) zeros without making the file longer.
func zeroAt(d vfs.File, off, n uint64) error {
	size, err := d.Size()
	if err != nil || uint64(size) <= off || n == 0 {
		return err
	}
	if off+n >= uint64(size) {
		return d.Truncate(int64(off))
	}
	return d.Punch(int64(off), int64(n))
}

func truncateAt(d vfs.File, off uint64) error {
	size, err := d.Size()
	if err != nil || uint64(size) <= off {
		return err
	}
	return d.Truncate(int64(off))
}

// readAt fills p from the file; what is beyond its end is zeros.
func readAt(d vfs.File, p []byte, off uint64) error {
	n, err := d.ReadAt(p, int64(off))
	if err == io.EOF {
		clear(p[n:])
		return nil
	}
	return err
}
