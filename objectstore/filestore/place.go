package filestore

import (
	"errors"
	"io/fs"
	"strings"
	"sync"

	"sepiola/object"
	"sepiola/objectstore"
)

// placement says in which directory a file is.
type placement struct {
	home  objectstore.Coll
	hash  uint32
	depth uint8
}

// path returns the file's path below the store's directory.
func (p placement) path(o object.GID, fid uint64) string {
	name, _ := fileName(o, fid)
	return hashDir(p.home, p.hash, p.depth) + "/" + name
}

func (n *onode) placement(o object.GID) placement { return placement{n.home, o.Hash, n.depth} }

// dirs counts the files in the directories that files were placed into, to choose
// a directory for the next. Files go as far up as there is room, so a collection's
// tree grows with it, and shrinks when files of the upper directories go. No file is
// ever moved for that: the index knows each one's depth.
type dirs struct {
	limit int // files in one directory
	count func(dir string) (int, error)

	mu    sync.Mutex
	files map[dirKey]int
}

type dirKey struct {
	home   objectstore.Coll
	depth  uint8
	prefix uint32 // the nibbles that lead there
}

func newDirs(limit int, count func(dir string) (int, error)) *dirs {
	return &dirs{limit: limit, count: count, files: map[dirKey]int{}}
}

func (p placement) key() dirKey {
	return dirKey{p.home, p.depth, uint32(uint64(p.hash) & (1<<(4*p.depth) - 1))}
}

// place chooses the directory for a new file and counts it in.
func (d *dirs) place(home objectstore.Coll, hash uint32) (placement, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for p := (placement{home, hash, 0}); ; p.depth++ {
		n, err := d.load(p)
		if err != nil {
			return placement{}, err
		}
		if n < d.limit || p.depth == maxDepth {
			d.files[p.key()] = n + 1
			return p, nil
		}
	}
}

func (d *dirs) load(p placement) (int, error) {
	if n, ok := d.files[p.key()]; ok {
		return n, nil
	}
	n, err := d.count(hashDir(p.home, p.hash, p.depth))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	d.files[p.key()] = n
	return n, nil
}

// leave counts a file out.
func (d *dirs) leave(p placement) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n, ok := d.files[p.key()]; ok && n > 0 {
		d.files[p.key()] = n - 1
	}
}

// countFiles counts what is in a directory and is no directory of hashes.
func (s *Store) countFiles(dir string) (int, error) {
	list, err := s.fs.ReadDir(s.files.full(dir))
	n := 0
	for _, e := range list {
		if !strings.HasPrefix(e.Name(), "DIR_") || !e.IsDir() {
			n++
		}
	}
	return n, err
}
