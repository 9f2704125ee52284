package vfs

import (
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Mem is a file system in memory, for tests. It remembers which of its changes were
// synced: [Mem.Crash] returns what a machine finds after a loss of power, where each
// change that was not may have happened, or not, or a write in part.
//
// Every change is an operation in a log: of content (a write, a truncation, an
// attribute) or of entries (a new file, a removal, a rename). SyncData settles the content of
// one file, SyncDir the entries of one directory, SyncFS everything. That is less
// than real file systems keep, which order changes of entries; a store that survives
// this one survives those.
type Mem struct {
	mu    sync.Mutex
	root  *memNode
	base  *memNode // as of the last SyncFS
	log   []memOp  // since then
	next  uint64
	locks map[string]bool
	dead  bool

	// Space is what Statfs returns, where set.
	Space Statfs
	// Hook, where set, is asked before every call; an error that it returns is the
	// call's result. It may call [Mem.Crash], and nothing else of the file system.
	Hook func(Call) error
}

// Call is a call of a [Mem] as its hook sees it, before anything is done.
type Call struct {
	// Op is open, create, mkdir, rename, remove, readdir, syncdir, syncfs, statfs, lock,
	// and of files read, write, stat, truncate, punch, fdatasync, seek, getxattr, setxattr,
	// removexattr, listxattr. create is an open that makes the file.
	Op   string
	Path string
	To   string // of a rename
	Name string // of an attribute
	Off  int64  // of read, write, punch; the size for truncate
	Len  int64  // of read, write, punch; of the value for setxattr

	m     *Mem
	file  *memNode
	write *memOp // what a write is going to do
}

// Part does the first n bytes of a write, and makes them durable: for a hook that lets
// the call fail halfway.
func (c Call) Part(n int64) {
	op := c.write.first(n)
	op.apply(c.file)
	c.m.log = append(c.m.log, op)
}

// first returns the write of the first n bytes, synced.
func (op *memOp) first(n int64) memOp {
	return memOp{kind: 'w', synced: true, node: op.node, off: op.off, data: op.data[:n]}
}

type memNode struct {
	id      uint64
	data    []byte
	attrs   map[string][]byte
	entries map[string]*memNode // nil for a file
}

type memOp struct {
	kind   byte // 'c' create, 'd' mkdir, 'u' unlink, 'r' rename; 'w' write, 't' truncate, 'p' punch, 'a' set attribute, 'x' remove attribute
	synced bool
	node   uint64 // of content; the created node
	dir    uint64 // of an entry
	dir2   uint64 // rename: the new one's
	name   string
	name2  string
	off, n int64
	data   []byte
}

// NewMem returns an empty file system with a root directory.
func NewMem() *Mem {
	m := &Mem{root: newMemDir(1), next: 2, locks: map[string]bool{}}
	m.base = m.root.clone(nil)
	return m
}

func newMemDir(id uint64) *memNode { return &memNode{id: id, entries: map[string]*memNode{}} }

// clone copies a tree; known, if given, gets all its nodes.
func (n *memNode) clone(known map[uint64]*memNode) *memNode {
	c := &memNode{id: n.id, data: slices.Clone(n.data), attrs: maps.Clone(n.attrs)}
	if n.entries != nil {
		c.entries = make(map[string]*memNode, len(n.entries))
		for k, e := range n.entries {
			c.entries[k] = e.clone(known)
		}
	}
	if known != nil {
		known[n.id] = c
	}
	return c
}

func (m *Mem) enter(op, p string) error { return m.begin(Call{Op: op, Path: p}) }

// begin asks the hook, and leaves the file system locked where the call may go on.
func (m *Mem) begin(c Call) error {
	m.mu.Lock()
	err := error(nil)
	if m.dead {
		err = unix.EIO
	} else if m.Hook != nil {
		if err = m.Hook(c); err == nil && m.dead {
			err = unix.EIO
		}
	}
	if err != nil {
		m.mu.Unlock()
		return &fs.PathError{Op: c.Op, Path: c.Path, Err: err}
	}
	return nil
}

func (m *Mem) do(n *memNode, op memOp) {
	op.node = n.id
	op.apply(n)
	m.log = append(m.log, op)
}

// walk returns the directory that holds the last element of p, and that element.
func (m *Mem) walk(p string) (dir *memNode, name string, err error) {
	p = path.Clean("/" + p)
	dir = m.root
	parts := strings.Split(strings.TrimPrefix(p, "/"), "/")
	for _, e := range parts[:len(parts)-1] {
		n := dir.entries[e]
		if n == nil || n.entries == nil {
			return nil, "", fs.ErrNotExist
		}
		dir = n
	}
	return dir, parts[len(parts)-1], nil
}

func (m *Mem) find(p string) (*memNode, error) {
	if path.Clean("/"+p) == "/" {
		return m.root, nil
	}
	dir, name, err := m.walk(p)
	if err != nil {
		return nil, err
	}
	if n := dir.entries[name]; n != nil {
		return n, nil
	}
	return nil, fs.ErrNotExist
}

func (m *Mem) exists(p string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err := m.find(p)
	return err == nil
}

// Open implements FS.
func (m *Mem) Open(p string, flags Flags) (File, error) {
	op := "open"
	if flags&Create != 0 && !m.exists(p) {
		op = "create"
	}
	if err := m.enter(op, p); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	dir, name, err := m.walk(p)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: p, Err: err}
	}
	n := dir.entries[name]
	switch {
	case n == nil && flags&Create == 0:
		return nil, &fs.PathError{Op: "open", Path: p, Err: fs.ErrNotExist}
	case n == nil:
		n = &memNode{id: m.next}
		m.next++
		dir.entries[name] = n
		m.log = append(m.log, memOp{kind: 'c', node: n.id, dir: dir.id, name: name})
	case flags&Exclusive != 0:
		return nil, &fs.PathError{Op: "open", Path: p, Err: fs.ErrExist}
	}
	return &memFile{m, n, p}, nil
}

// Mkdir implements FS.
func (m *Mem) Mkdir(p string) error {
	if err := m.enter("mkdir", p); err != nil {
		return err
	}
	defer m.mu.Unlock()
	dir, name, err := m.walk(p)
	if err == nil && (dir.entries[name] != nil || name == "") {
		err = fs.ErrExist
	}
	if err != nil {
		return &fs.PathError{Op: "mkdir", Path: p, Err: err}
	}
	n := newMemDir(m.next)
	m.next++
	dir.entries[name] = n
	m.log = append(m.log, memOp{kind: 'd', node: n.id, dir: dir.id, name: name})
	return nil
}

// Rename implements FS.
func (m *Mem) Rename(from, to string) error {
	if err := m.begin(Call{Op: "rename", Path: from, To: to}); err != nil {
		return err
	}
	defer m.mu.Unlock()
	d1, n1, err1 := m.walk(from)
	d2, n2, err2 := m.walk(to)
	if err1 != nil || err2 != nil || d1.entries[n1] == nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: fs.ErrNotExist}
	}
	n := d1.entries[n1]
	delete(d1.entries, n1)
	d2.entries[n2] = n
	m.log = append(m.log, memOp{kind: 'r', node: n.id, dir: d1.id, name: n1, dir2: d2.id, name2: n2})
	return nil
}

// Remove implements FS.
func (m *Mem) Remove(p string) error {
	if err := m.enter("remove", p); err != nil {
		return err
	}
	defer m.mu.Unlock()
	dir, name, err := m.walk(p)
	if err != nil || dir.entries[name] == nil {
		return &fs.PathError{Op: "remove", Path: p, Err: fs.ErrNotExist}
	}
	n := dir.entries[name]
	if len(n.entries) > 0 {
		return &fs.PathError{Op: "remove", Path: p, Err: unix.ENOTEMPTY}
	}
	delete(dir.entries, name)
	m.log = append(m.log, memOp{kind: 'u', node: n.id, dir: dir.id, name: name})
	return nil
}

// ReadDir implements FS.
func (m *Mem) ReadDir(p string) ([]os.DirEntry, error) {
	if err := m.enter("readdir", p); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	n, err := m.find(p)
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: p, Err: err}
	}
	var out []os.DirEntry
	for _, name := range slices.Sorted(maps.Keys(n.entries)) {
		out = append(out, memEntry{name, n.entries[name].entries != nil})
	}
	return out, nil
}

type memEntry struct {
	name string
	dir  bool
}

func (e memEntry) Name() string               { return e.name }
func (e memEntry) IsDir() bool                { return e.dir }
func (e memEntry) Size() int64                { return 0 }
func (e memEntry) Mode() fs.FileMode          { return e.Type() }
func (e memEntry) ModTime() time.Time         { return time.Time{} }
func (e memEntry) Sys() any                   { return nil }
func (e memEntry) Info() (fs.FileInfo, error) { return e, nil }
func (e memEntry) Type() fs.FileMode {
	if e.dir {
		return fs.ModeDir
	}
	return 0
}

// SyncDir implements FS.
func (m *Mem) SyncDir(p string) error {
	if err := m.enter("syncdir", p); err != nil {
		return err
	}
	defer m.mu.Unlock()
	n, err := m.find(p)
	if err != nil {
		return &fs.PathError{Op: "syncdir", Path: p, Err: err}
	}
	for i := range m.log {
		switch op := &m.log[i]; op.kind {
		case 'c', 'd', 'u', 'r':
			if op.dir == n.id || op.kind == 'r' && op.dir2 == n.id {
				op.synced = true
			}
		}
	}
	return nil
}

// SyncFS implements FS.
func (m *Mem) SyncFS(p string) error {
	if err := m.enter("syncfs", p); err != nil {
		return err
	}
	defer m.mu.Unlock()
	m.base = m.root.clone(nil)
	// Files without an entry but open may still get content, which leads nowhere.
	m.log = nil
	return nil
}

// Spread implements FS.
func (m *Mem) Spread(string) {}

// Statfs implements FS.
func (m *Mem) Statfs(p string) (Statfs, error) {
	if err := m.enter("statfs", p); err != nil {
		return Statfs{}, err
	}
	defer m.mu.Unlock()
	if m.Space != (Statfs{}) {
		return m.Space, nil
	}
	return Statfs{Total: 1 << 40, Free: 1 << 39, Available: 1 << 39}, nil
}

// Lock implements FS.
func (m *Mem) Lock(p string) (io.Closer, error) {
	if err := m.enter("lock", p); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	if m.locks[p] {
		return nil, ErrLocked
	}
	m.locks[p] = true
	return memLock{m, p}, nil
}

type memLock struct {
	m    *Mem
	path string
}

func (l memLock) Close() error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	delete(l.m.locks, l.path)
	return nil
}
