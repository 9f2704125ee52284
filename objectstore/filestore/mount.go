package filestore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/sys/unix"

	"sepiola/entity"
	"sepiola/objectstore"
	"sepiola/objectstore/filestore/vfs"
)

// storeVersion is the version of the on-disk form, in the file store_version. Since version 2
// there are checksums of attributes in the index, since version 3 objects without a file
// that have data and attributes. Stores of older versions become such by a mount.
const storeVersion = 3

// small files in the store's directory
const (
	fileFSID     = "fsid"
	fileCephFSID = "ceph_fsid"
	fileWhoAmI   = "whoami"
	fileType     = "type"
	fileVersion  = "store_version"
	fileReady    = "ready" // last of all: mkfs is complete
	dirKV        = "omap"
	dirCurrent   = "current"
)

func (s *Store) path(name string) string { return s.dir + "/" + name }

func (s *Store) readSmall(name string) (string, error) {
	f, err := s.fs.Open(s.path(name), 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	p := make([]byte, 256)
	n, err := f.ReadAt(p, 0)
	if err != nil && err != io.EOF {
		return "", err
	}
	return strings.TrimSpace(string(p[:n])), nil
}

func (s *Store) writeSmall(name, content string) error {
	f, err := s.fs.Open(s.path(name), vfs.Create)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(0); err != nil {
		return err
	}
	if _, err := f.WriteAt([]byte(content+"\n"), 0); err != nil {
		return err
	}
	return f.SyncData()
}

// Identity implements objectstore.Store.
func (s *Store) Identity() (objectstore.Identity, error) {
	var id objectstore.Identity
	if _, err := s.readSmall(fileReady); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("no store was made there, or making it was cut short: run mkfs first: %w", objectstore.ErrNotFound)
		}
		return id, fmt.Errorf("filestore %s: %w", s.dir, err)
	}
	read := func(name string, parse func(string) error) error {
		text, err := s.readSmall(name)
		if err == nil {
			err = parse(text)
		}
		if errors.As(err, new(*strconv.NumError)) {
			err = fmt.Errorf("%q is no number: the store is damaged; make it anew and let the cluster fill it", text)
		}
		if err != nil {
			return fmt.Errorf("filestore %s: %s: %w", s.dir, name, err)
		}
		return nil
	}
	parseUUID := func(to *entity.UUID) func(string) error {
		return func(text string) (err error) { *to, err = entity.ParseUUID(text); return err }
	}
	err := errors.Join(
		read(fileVersion, func(text string) error {
			v, err := strconv.Atoi(text)
			if err == nil && v < 1 {
				err = fmt.Errorf("there is no version %d: the store is damaged; make it anew and let the cluster fill it", v)
			}
			if err == nil && v > storeVersion {
				err = fmt.Errorf("the store is of version %d and this program knows up to %d: use the newer program that wrote it", v, storeVersion)
			}
			return err
		}),
		read(fileType, func(text string) error {
			if text != "filestore" {
				return fmt.Errorf("this is a %q, not a filestore", text)
			}
			return nil
		}),
		read(fileFSID, parseUUID(&id.OSDFSID)),
		read(fileCephFSID, parseUUID(&id.ClusterFSID)),
		read(fileWhoAmI, func(text string) error {
			n, err := strconv.ParseInt(text, 10, 32)
			id.WhoAmI = int32(n)
			return err
		}),
	)
	return id, err
}

// stampVersion says that older programs cannot read the store any more, before
// anything is written that they do not know. The one byte is there or is not, whenever
// the power goes.
func (s *Store) stampVersion() error {
	want := strconv.Itoa(storeVersion)
	text, err := s.readSmall(fileVersion)
	if err != nil || text == want {
		return err
	}
	f, err := s.fs.Open(s.path(fileVersion), 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte(want), 0); err != nil {
		return err
	}
	return f.SyncData()
}

// Mkfs implements objectstore.Store.
func (s *Store) Mkfs(id objectstore.Identity) error {
	s.mountMu.Lock()
	defer s.mountMu.Unlock()
	have, err := s.Identity()
	switch {
	case err == nil && have == id:
		return nil
	case err == nil:
		return fmt.Errorf("filestore %s: holds the data of osd.%d (%v) of cluster %v: remove the directory if they are not needed, or name another",
			s.dir, have.WhoAmI, have.OSDFSID, have.ClusterFSID)
	case !errors.Is(err, objectstore.ErrNotFound):
		return err
	}
	if err := s.mkfs(id); err != nil {
		return fmt.Errorf("filestore %s: mkfs: %w", s.dir, err)
	}
	return nil
}

// Stamp gives a store that was made for no OSD yet, with the number -1, to one. The
// stamp of the OSD's number comes last: until it is there, no OSD takes the store.
func (s *Store) Stamp(id objectstore.Identity) error {
	s.mountMu.Lock()
	defer s.mountMu.Unlock()
	have, err := s.Identity()
	if err != nil {
		return err
	}
	if have.OSDFSID != id.OSDFSID || have.WhoAmI != -1 || s.mounted.Load() {
		return fmt.Errorf("filestore %s: is that of osd.%d (%v): %w", s.dir, have.WhoAmI, have.OSDFSID, objectstore.ErrExists)
	}
	return errors.Join(s.writeSmall(fileCephFSID, id.ClusterFSID.String()), s.writeSmall(fileWhoAmI, strconv.Itoa(int(id.WhoAmI))))
}

func (s *Store) mkfs(id objectstore.Identity) error {
	if err := s.makeDir(s.dir); err != nil {
		return err
	}
	for _, d := range []string{dirCurrent, freshDir, dirKV} {
		if err := s.makeDir(s.path(d)); err != nil {
			return err
		}
	}
	s.fs.Spread(s.path(dirCurrent))
	if err := s.probeAttrs(); err != nil {
		return err
	}
	for _, f := range [][2]string{
		{fileFSID, id.OSDFSID.String()}, {fileCephFSID, id.ClusterFSID.String()},
		{fileWhoAmI, strconv.Itoa(int(id.WhoAmI))}, {fileType, "filestore"}, {fileVersion, strconv.Itoa(storeVersion)},
	} {
		if err := s.writeSmall(f[0], f[1]); err != nil {
			return err
		}
	}
	if err := createJournal(s.fs, s.opts.JournalPath, id.OSDFSID, s.opts.segment, initialSegments); err != nil {
		return err
	}
	s.id = id
	db, err := s.openKV()
	if err != nil {
		return err
	}
	if err := errors.Join(db.Set(keyNextID, binary.BigEndian.AppendUint64(nil, 0), pebble.NoSync), s.flushKV(db), db.Close()); err != nil {
		return err
	}
	if err := s.fs.SyncFS(s.dir); err != nil {
		return err
	}
	if err := s.writeSmall(fileReady, "ready"); err != nil {
		return err
	}
	return errors.Join(s.fs.SyncDir(s.dir), s.fs.SyncDir(path.Dir(s.dir)))
}

func (s *Store) makeDir(dir string) error {
	err := s.fs.Mkdir(dir)
	switch {
	case err == nil || errors.Is(err, fs.ErrExist):
		return nil
	case errors.Is(err, fs.ErrNotExist) && path.Dir(dir) != dir:
		if err := s.makeDir(path.Dir(dir)); err != nil {
			return err
		}
		return s.fs.Mkdir(dir)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: give this user the right to write there, or name another directory", err)
	}
	return err
}

// probeAttrs checks that the file system keeps extended attributes of users.
func (s *Store) probeAttrs() error {
	name := s.path(freshDir + "/probe")
	f, err := s.fs.Open(name, vfs.Create)
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: give this user the right to write there, or name another directory", err)
	}
	if err != nil {
		return err
	}
	defer func() { f.Close(); s.fs.Remove(name) }()
	want := bytes.Repeat([]byte("x"), attrPart)
	err = f.SetAttr(attrPrefix+"probe", want)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPERM) {
		return errors.New("this file system keeps no user attributes (xattrs), which a filestore needs: " +
			"put the data on ext4, XFS or btrfs, or mount it with user_xattr")
	}
	if refused(err) { // they spill to the key-value store, all of them
		s.log.Warn("the file system keeps no attribute of 2 KiB: attributes will be kept in the key-value store", "error", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("probe attributes: %w", err)
	}
	got, err := f.GetAttr(attrPrefix + "probe")
	if err == nil && !bytes.Equal(got, want) {
		err = errors.New("they read back differently")
	}
	if err != nil {
		return fmt.Errorf("probe attributes: %w", err)
	}
	return nil
}

// Mount implements objectstore.Store.
func (s *Store) Mount() (err error) {
	s.mountMu.Lock()
	defer s.mountMu.Unlock()
	if s.mounted.Load() {
		return fmt.Errorf("filestore %s: %w", s.dir, objectstore.ErrInUse)
	}
	if s.Err() != nil {
		return fmt.Errorf("filestore %s: failed before: %w", s.dir, s.Err())
	}
	if s.id, err = s.Identity(); err != nil {
		return err
	}
	err = s.mount()
	if err == nil {
		err = s.Err()
	}
	if err != nil {
		s.release()
		return fmt.Errorf("filestore %s: %w", s.dir, err)
	}
	s.start()
	return nil
}

func (s *Store) mount() (err error) {
	s.lock, err = s.fs.Lock(s.path(fileFSID))
	if errors.Is(err, vfs.ErrLocked) {
		return fmt.Errorf("another process runs on this directory; stop it first: %w", objectstore.ErrInUse)
	}
	if err != nil {
		return err
	}
	if err := s.stampVersion(); err != nil {
		return err
	}
	if err := s.probeAttrs(); err != nil {
		return err
	}
	s.stop = make(chan struct{})
	s.stopping = false
	s.files = newFiles(s.fs, s.dir, s.opts.FDCacheSize)
	s.dirs = newDirs(s.opts.dirLimit(), s.countFiles)
	s.cached.Store(0)
	s.small = smallCache{max: s.opts.SmallCacheBytes}
	s.space.forget()
	s.colls = map[objectstore.Coll]*collection{}
	s.hot = map[uint64]heat{}
	s.queue, s.rounds = nil, nil
	if s.db, err = s.openKV(); err != nil {
		return err
	}
	maxSegs, err := s.journalSegments()
	if err != nil {
		return err
	}
	var rounds []loadedRound
	if s.journal, rounds, err = openJournal(s.fs, s.opts.JournalPath, s.id.OSDFSID, maxSegs); err != nil {
		return err
	}
	s.journal.mayGrow = s.journalMayGrow
	if err := s.replay(rounds); err != nil {
		return err
	}
	if err := s.reserveIDs(); err != nil {
		return err
	}
	// Everything is durable in its place before the first new promise: the journal
	// starts empty, at a number that no chunk has.
	if err := s.syncAll(); err != nil {
		return err
	}
	if err := s.journal.trim(s.journal.next); err != nil {
		return err
	}
	if err := s.clearFresh(); err != nil {
		return err
	}
	return s.loadColls()
}

// idsPerMount is how many numbers a mount takes for itself: more than it can use.
const idsPerMount = 1 << 40

// reserveIDs takes numbers that no earlier mount can have used, even for a file whose
// transaction was lost.
func (s *Store) reserveIDs() error {
	v, ok, err := s.get(keyNextID)
	if err != nil {
		return err
	}
	if !ok || len(v) != 8 {
		return errors.New("the key-value store lacks its counter: it is not this store's, or damaged; make the store anew and let the cluster fill it")
	}
	n := binary.BigEndian.Uint64(v)
	s.nextID.Store(n)
	return s.db.Set(keyNextID, binary.BigEndian.AppendUint64(nil, n+idsPerMount), pebble.NoSync)
}

// clearFresh removes files whose transaction never became durable.
func (s *Store) clearFresh() error {
	list, err := s.fs.ReadDir(s.path(freshDir))
	if err != nil {
		return err
	}
	for _, e := range list {
		if err := s.fs.Remove(s.path(freshDir) + "/" + e.Name()); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) loadColls() error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{keyColl}, UpperBound: []byte{keyColl + 1}})
	if err != nil {
		return err
	}
	defer it.Close()
	for it.First(); it.Valid(); it.Next() {
		bits, n := binary.Uvarint(it.Value())
		if len(it.Key()) != 1+collLen || n <= 0 {
			return fmt.Errorf("malformed collection entry %x", it.Key())
		}
		c := newCollection(decodeColl(it.Key()[1:]))
		c.exists, c.bits = true, uint32(bits)
		s.colls[c.id] = c
	}
	return it.Error()
}

// errStale is wrapped by the error of a key-value store that misses what it had.
var errStale = errors.New("the key-value store is damaged: what was durable in it is missing")

// replay does again what the journal holds. See the package comment for why that
// leads to the state the records describe.
func (s *Store) replay(rounds []loadedRound) error {
	if err := s.loadStored(); err != nil {
		return err
	}
	// What is before the journal's beginning is in the key-value store, and that says up
	// to which round it goes. Pebble takes damage in the end of its manifest for a write
	// that was cut off, and forgets what that wrote.
	if s.replayedTo+1 < s.journal.start {
		return fmt.Errorf("%w: it ends with chunk %d of the journal, which begins with %d: make the store anew and let the cluster fill it",
			errStale, s.replayedTo, s.journal.start)
	}
	p := replayer{s: s, paths: map[uint64][]string{}, doomed: map[uint64]bool{}}
	for _, r := range rounds {
		for _, b := range r.records {
			rec, err := decodeRecord(b)
			if err != nil {
				return fmt.Errorf("%w: round before chunk %d: %w", errDamaged, r.last+1, err)
			}
			p.note(rec)
		}
	}
	n := 0
	for _, r := range rounds {
		for _, b := range r.records {
			rec, err := decodeRecord(b)
			if err != nil {
				return err
			}
			if err := p.apply(rec); err != nil {
				return fmt.Errorf("replay of the journal: %w", err)
			}
			if err := s.applyReplayedKV(r.last, rec); err != nil {
				return err
			}
			n++
		}
		s.replayedTo = max(s.replayedTo, r.last)
	}
	for _, f := range p.held {
		s.files.release(f)
	}
	if n > 0 {
		s.log.Info("replayed the journal", "transactions", n, "rounds", len(rounds))
	}
	return s.db.Set(keyStored, storedValue(s.journal.durable, s.stored.Load()), pebble.NoSync)
}

// loadStored reads the sum of the objects' sizes, and up to which round it counts.
func (s *Store) loadStored() error {
	s.stored.Store(0)
	s.replayedTo = 0
	v, ok, err := s.get(keyStored)
	if err != nil {
		return err
	}
	if ok && len(v) == 16 {
		s.replayedTo = binary.BigEndian.Uint64(v)
		s.stored.Store(int64(binary.BigEndian.Uint64(v[8:])))
	}
	return nil
}

func (s *Store) applyReplayedKV(last uint64, rec *record) error {
	if last > s.replayedTo {
		s.stored.Add(rec.stored)
	}
	if len(rec.kv) == 0 {
		return nil
	}
	var b pebble.Batch
	if err := b.SetRepr(slices.Clone(rec.kv)); err != nil {
		return fmt.Errorf("key-value batch: %w", err)
	}
	all := s.db.NewBatch()
	defer all.Close()
	if err := all.Apply(&b, nil); err != nil {
		return fmt.Errorf("key-value batch: %w", err)
	}
	return s.db.Apply(all, pebble.NoSync)
}

// replayer applies records whose operations may have been done before.
type replayer struct {
	s *Store
	// paths are all places where a file may be: those the journal gives it, and the
	// fresh directory.
	paths map[uint64][]string
	// doomed files are removed by a later record. What happens to them before does
	// not matter, and they may be gone already.
	doomed map[uint64]bool
	held   []*file
}

func (p *replayer) note(r *record) {
	add := func(fid uint64, path string) {
		if !slices.Contains(p.paths[fid], path) {
			p.paths[fid] = append(p.paths[fid], path)
		}
	}
	for i := range r.files {
		add(r.files[i].fid, r.files[i].path)
	}
	for i := range r.ops {
		op := &r.ops[i]
		fid := r.files[op.file].fid
		switch op.kind {
		case fileAdopt, fileRename:
			add(fid, op.name)
		case fileRemove:
			p.doomed[fid] = true
		}
	}
}

func (p *replayer) apply(r *record) error {
	for i := range r.files {
		e := &r.files[i]
		var err error
		if e.file, err = p.find(e.fid, e.path); err != nil {
			return err
		}
	}
	for i := range r.ops {
		op := &r.ops[i]
		e := &r.files[op.file]
		if p.doomed[e.fid] && op.kind != fileRemove {
			continue
		}
		if !e.file.ready && op.kind != fileCreate && op.kind != fileRemove {
			return fmt.Errorf("file %s is missing: %w", e.path, objectstore.ErrIO)
		}
		if e.file.ready && op.kind == fileCreate {
			continue
		}
		if err := p.s.applyOps(e.file, r.ops[i:i+1], true); err != nil {
			return err
		}
	}
	return nil
}

// find returns the file, wherever of its places it is now.
func (p *replayer) find(fid uint64, path string) (*file, error) {
	f := p.s.files.hold(fid, func() string { return path }, false)
	p.held = append(p.held, f)
	if f.ready {
		return f, nil
	}
	for _, at := range append([]string{path}, p.paths[fid]...) {
		d, err := p.s.fs.Open(p.s.files.full(at), 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		d.Close()
		f.path, f.ready = at, true
		return f, nil
	}
	return f, nil
}
