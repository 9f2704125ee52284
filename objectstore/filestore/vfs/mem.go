package vfs

import (
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
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

	// Fail, where set, is asked before every call; an error that it returns is the
	// call's result. It must not call the file system.
	Fail func(call, path string) error
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

func (m *Mem) enter(call, p string) error {
	m.mu.Lock()
	if m.dead {
		m.mu.Unlock()
		return &fs.PathError{Op: call, Path: p, Err: unix.EIO}
	}
	if m.Fail != nil {
		if err := m.Fail(call, p); err != nil {
			m.mu.Unlock()
			return &fs.PathError{Op: call, Path: p, Err: err}
		}
	}
	return nil
}

// Frozen calls f while no other call can change anything.
func (m *Mem) Frozen(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

// Crash returns what is left after a loss of power now: everything synced, and of
// each other change, with the given probability, all of it, or, of a write, some
// sectors. The file system itself is dead after it: every call fails. It is to be called
// from within Frozen.
func (m *Mem) Crash(keep float64, rng *rand.Rand) *Mem {
	nodes := map[uint64]*memNode{}
	root := m.base.clone(nodes)
	for i := range m.log {
		op := &m.log[i]
		switch {
		case op.synced || rng.Float64() < keep:
			op.redo(nodes)
		case op.kind == 'w' && rng.Float64() < keep:
			op.tear(nodes, rng)
		}
	}
	m.dead = true
	out := &Mem{root: root, next: m.next, locks: map[string]bool{}}
	out.base = root.clone(nil)
	return out
}

// sector is what disks write whole.
const sector = 512

func (op *memOp) tear(nodes map[uint64]*memNode, rng *rand.Rand) {
	for at := int64(0); at < int64(len(op.data)); {
		next := min((op.off+at)/sector*sector+sector-op.off, int64(len(op.data)))
		if rng.IntN(2) == 0 {
			part := memOp{kind: 'w', node: op.node, off: op.off + at, data: op.data[at:next]}
			part.redo(nodes)
		}
		at = next
	}
}

// redo does the operation to a tree; one that has no object there does nothing.
func (op *memOp) redo(nodes map[uint64]*memNode) {
	switch op.kind {
	case 'c', 'd', 'u', 'r':
		op.redoEntry(nodes)
		return
	}
	n := nodes[op.node]
	if n == nil {
		// Content of a file whose entry may come later in the log.
		n = &memNode{id: op.node}
		nodes[op.node] = n
	}
	op.apply(n)
}

func (op *memOp) redoEntry(nodes map[uint64]*memNode) {
	dir := nodes[op.dir]
	if dir == nil || dir.entries == nil {
		return
	}
	switch op.kind {
	case 'c', 'd':
		n := nodes[op.node]
		if n == nil {
			n = &memNode{id: op.node}
			nodes[op.node] = n
		}
		if op.kind == 'd' && n.entries == nil {
			n.entries = map[string]*memNode{}
		}
		dir.entries[op.name] = n
	case 'u':
		if n := dir.entries[op.name]; n != nil && n.id == op.node {
			delete(dir.entries, op.name)
		}
	case 'r':
		to, n := nodes[op.dir2], dir.entries[op.name]
		if to != nil && to.entries != nil && n != nil && n.id == op.node {
			delete(dir.entries, op.name)
			to.entries[op.name2] = n
		}
	}
}

// apply changes a file's content.
func (op *memOp) apply(n *memNode) {
	switch op.kind {
	case 'w':
		if end := op.off + int64(len(op.data)); end > int64(len(n.data)) {
			n.data = append(n.data, make([]byte, end-int64(len(n.data)))...)
		}
		copy(n.data[op.off:], op.data)
	case 't':
		if op.n <= int64(len(n.data)) {
			n.data = n.data[:op.n:op.n]
		} else {
			n.data = append(n.data, make([]byte, op.n-int64(len(n.data)))...)
		}
	case 'p':
		if lo, hi := op.off, min(op.off+op.n, int64(len(n.data))); lo < hi {
			clear(n.data[lo:hi])
		}
	case 'a':
		if n.attrs == nil {
			n.attrs = map[string][]byte{}
		}
		n.attrs[op.name] = op.data
	case 'x':
		delete(n.attrs, op.name)
	}
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

// Open implements FS.
func (m *Mem) Open(p string, flags Flags) (File, error) {
	if err := m.enter("open", p); err != nil {
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
	if err := m.enter("rename", from); err != nil {
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
