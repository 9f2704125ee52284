package filestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"sepiola/object"
	"sepiola/objectstore"
)

// Finding is one thing that [Store.Fsck] found to be wrong.
type Finding struct {
	Where string // an object in its collection, a file, or a part of the store
	Off   int64  // byte of the object's data; -1 where there is none to name
	What  string
}

// String returns the finding as one line.
func (f Finding) String() string {
	if f.Off >= 0 {
		return fmt.Sprintf("%s at byte %d: %s", f.Where, f.Off, f.What)
	}
	return f.Where + ": " + f.What
}

// Fsck checks a store that is not mounted, tells report of everything that is wrong,
// and returns how many such things there are. The error says what kept it from
// looking; [objectstore.ErrInUse] is wrapped when another process has the store.
//
// It mounts the store, which replays and thereby checks the journal, and then compares
// what each of the three places says: the index, the other keys, the directories.
//
//   - Each entry of the index is readable, belongs to a collection, shares its numbers
//     with no other, and has its file in its place, long enough for the data.
//   - Each file has an entry; so have all checksums, spilled attributes and omaps.
//   - Attributes are whole chains without parts of older values.
//   - The store's sum of all sizes is right.
//   - With deep: all data is read and checked against its checksums, and so are all
//     tables of the key-value store and their order.
//
// Nothing is repaired. Memory grows by about 50 bytes for each object.
func (s *Store) Fsck(deep bool, report func(Finding)) (int, error) {
	c := &checker{s: s, deep: deep, tell: report, files: map[uint64]uint64{}, omaps: map[uint64]bool{}, small: map[uint64]small{}}
	if err := s.Mount(); err != nil {
		if errors.Is(err, errDamaged) {
			c.note("journal", -1, "%v", err)
			return c.count, nil
		}
		return 0, err
	}
	c.index()
	c.numbered(keySums, "checksums", c.checkSums)
	c.numbered(keySpill, "an attribute", c.checkSpilled)
	c.numbered(keyData, "data", c.checkData)
	c.missingData()
	c.numbered(keyOmap, "a pair of an omap", c.checkOmap)
	c.numbered(keyHeader, "the header of an omap", c.checkOmap)
	c.directory(dirCurrent, 0)
	if sum := s.stored.Load(); sum != c.stored {
		c.note("figures", -1, "the sum of all sizes is kept as %d and is %d", sum, c.stored)
	}
	if deep {
		if err := s.db.CheckLevels(nil); err != nil {
			c.note("key-value store", -1, "%v", err)
		}
	}
	return c.count, s.Close()
}

// checker is one run of Fsck.
type checker struct {
	s     *Store
	deep  bool
	tell  func(Finding)
	count int

	files  map[uint64]uint64 // the files of the index by number: a hash of the place
	omaps  map[uint64]bool   // the objects' numbers: whether there may be an omap
	small  map[uint64]small  // objects with data in the key-value store, until it is found
	stored int64             // sum of all sizes
}

func (c *checker) note(where string, off int64, what string, args ...any) {
	c.count++
	c.tell(Finding{where, off, fmt.Sprintf(what, args...)})
}

// scan calls f with all pairs whose keys begin with kind.
func (c *checker) scan(kind byte, f func(key, value []byte)) {
	it, err := c.s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}})
	if err != nil {
		c.note("key-value store", -1, "%v", err)
		return
	}
	defer it.Close()
	for it.First(); it.Valid(); it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			c.note("key-value store", -1, "value of key %x: %v", it.Key(), err)
			continue
		}
		f(it.Key(), v)
	}
	if err := it.Error(); err != nil {
		c.note("key-value store", -1, "reading keys of kind %c: %v", kind, err)
	}
}

func (c *checker) index() {
	c.scan(keyObject, func(key, value []byte) {
		if len(key) < 1+collLen {
			c.note("object index", -1, "malformed key %x", key)
			return
		}
		coll := decodeColl(key[1:])
		gid, err := decodeGID(key[1+collLen:])
		if err != nil {
			c.note("object index", -1, "malformed key %x", key)
			return
		}
		where := fmt.Sprintf("%v %v", coll, gid)
		n, _, err := decodeOnode(value, coll)
		if err != nil {
			c.note(where, -1, "malformed index entry %x", value)
			return
		}
		if known := c.s.colls[coll]; known == nil || !known.exists {
			c.note(where, -1, "its collection does not exist")
		}
		c.object(where, gid, &n)
		if c.deep && n.fid != 0 {
			c.data(where, coll, gid, n.size)
		}
	})
}

// object checks an index entry and its file.
func (c *checker) object(where string, gid object.GID, n *onode) {
	c.stored += int64(n.size)
	if _, ok := c.omaps[n.nid]; ok {
		c.note(where, -1, "another object has its number %d too", n.nid)
	}
	c.omaps[n.nid] = n.omap
	if n.small > 0 {
		c.small[n.nid] = small{n.small, where}
	}
	if n.fid == 0 {
		return // what is not in the key-value store is zeros
	}
	if _, ok := c.files[n.fid]; ok {
		c.note(where, -1, "another object has its file %x too", n.fid)
	}
	path := n.placement(gid).path(gid, n.fid)
	c.files[n.fid] = placeHash(path)
	c.file(where, path, n)
}

func placeHash(path string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(path))
	return h.Sum64()
}

// file checks that an object's file is there, holds all of its data, and has attributes
// that can be read.
func (c *checker) file(where, path string, n *onode) {
	f, err := c.s.fs.Open(c.s.files.full(path), 0)
	if errors.Is(err, fs.ErrNotExist) {
		c.note(where, -1, "its file %s is missing", path)
		return
	}
	if err != nil {
		c.note(where, -1, "its file %s: %v", path, err)
		return
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		c.note(where, -1, "its file %s: %v", path, err)
		return
	}
	last, ok := c.lastBlock(where, n)
	switch {
	case !ok:
	case last >= n.size:
		c.note(where, int64(last), "a checksum beyond the end at %d", n.size)
	case last >= uint64(size):
		c.note(where, size, "its file %s ends there, and data goes on to byte %d at least", path, last)
	}
	for _, what := range attrFindings(f, c.spilledNames(n.fid)) {
		c.note(where, -1, "%s", what)
	}
}

// lastBlock returns the offset of the last block that is not a hole.
func (c *checker) lastBlock(where string, n *onode) (off uint64, ok bool) {
	it, err := c.s.db.NewIter(&pebble.IterOptions{LowerBound: sumsKey(n.fid, 0), UpperBound: sumsKey(n.fid+1, 0)})
	if err != nil {
		c.note(where, -1, "checksums: %v", err)
		return 0, false
	}
	defer it.Close()
	for it.Last(); it.Valid(); it.Prev() {
		sums := it.Value()
		for i := len(sums)/4 - 1; i >= 0; i-- {
			if binary.BigEndian.Uint32(sums[4*i:]) != 0 {
				chunk := uint64(binary.BigEndian.Uint32(it.Key()[9:]))
				return chunk*chunkBytes + uint64(i)*blockSize, true
			}
		}
	}
	if err := it.Error(); err != nil {
		c.note(where, -1, "checksums: %v", err)
	}
	return 0, false
}

func (c *checker) spilledNames(fid uint64) map[string]bool {
	names := map[string]bool{}
	it, err := c.s.db.NewIter(&pebble.IterOptions{
		LowerBound: numbered(keySpill, fid, ""), UpperBound: numbered(keySpill, fid+1, ""),
	})
	if err != nil {
		return names // scan tells
	}
	defer it.Close()
	for it.First(); it.Valid(); it.Next() {
		names[string(it.Key()[9:])] = true
	}
	return names
}

// blocksMax bounds the damaged blocks that are named for one object.
const blocksMax = 16

// data reads all of an object's data; blocks one by one where something is wrong.
func (c *checker) data(where string, coll objectstore.Coll, gid object.GID, size uint64) {
	bad := 0
	for off := uint64(0); off < size; off += chunkBytes {
		if _, err := c.s.Read(coll, gid, off, chunkBytes); err == nil {
			continue
		}
		for at := off; at < min(off+chunkBytes, size); at += blockSize {
			_, err := c.s.Read(coll, gid, at, blockSize)
			if err == nil {
				continue
			}
			switch bad++; {
			case bad > blocksMax:
			case errors.Is(err, errSum):
				c.note(where, int64(at), "the block fails its checksum")
			default:
				c.note(where, int64(at), "the block cannot be read: %v", err)
			}
		}
	}
	if bad > blocksMax {
		c.note(where, -1, "%d more blocks cannot be read or fail their checksums", bad-blocksMax)
	}
}

// numbered calls check with the number and the rest of each key of a kind.
func (c *checker) numbered(kind byte, what string, check func(id uint64, rest, value []byte) string) {
	c.scan(kind, func(key, value []byte) {
		if len(key) < 9 {
			c.note("key-value store", -1, "malformed key %x", key)
			return
		}
		id := binary.BigEndian.Uint64(key[1:])
		if wrong := check(id, key[9:], value); wrong != "" {
			c.note("key-value store", -1, "%s (key %x): %s", what, key, wrong)
		}
	})
}

func (c *checker) checkSums(fid uint64, rest, value []byte) string {
	if len(rest) != 4 || len(value)%4 != 0 || len(value) == 0 || len(value) > 4*chunkBlocks {
		return "malformed"
	}
	return c.checkSpilled(fid, nil, nil)
}

func (c *checker) checkSpilled(fid uint64, _, _ []byte) string {
	if _, ok := c.files[fid]; !ok {
		return fmt.Sprintf("no object has the file %x", fid)
	}
	return ""
}

func (c *checker) checkOmap(nid uint64, _, _ []byte) string {
	switch omap, ok := c.omaps[nid]; {
	case !ok:
		return fmt.Sprintf("no object has the number %d", nid)
	case !omap:
		return fmt.Sprintf("the object of the number %d has no omap", nid)
	}
	return ""
}

// directory finds files without an entry, and entries' files in other places than
// theirs.
func (c *checker) directory(dir string, depth int) {
	list, err := c.s.fs.ReadDir(c.s.path(dir))
	if err != nil {
		c.note(dir, -1, "%v", err)
		return
	}
	for _, e := range list {
		path := dir + "/" + e.Name()
		if e.IsDir() {
			if depth > maxDepth {
				c.note(path, -1, "a directory that is none of the store's")
				continue
			}
			c.directory(path, depth+1)
			continue
		}
		i := strings.LastIndexByte(e.Name(), '.')
		fid, err := strconv.ParseUint(e.Name()[i+1:], 16, 64)
		place, ok := c.files[fid]
		switch {
		case i < 0 || err != nil:
			c.note(path, -1, "not a file of the store's")
		case !ok:
			c.note(path, -1, "a lost file: no object has it")
		case place != placeHash(path):
			c.note(path, -1, "a file in the wrong place or under the wrong name")
		}
	}
}
