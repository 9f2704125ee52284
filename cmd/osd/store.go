package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"sepiola/cmd/internal/daemon"
	"sepiola/objectstore"
	"sepiola/objectstore/filestore"
	"sepiola/objectstore/memstore"
	"sepiola/osd"
	"sepiola/wire"

	"golang.org/x/sys/unix"
)

// openStore returns the store that the configuration names, not mounted. Data that
// is there decides its kind; the option counts for new ones.
func openStore(e *daemon.Env) (objectstore.Store, error) {
	path := e.Conf.String("osd_data")
	kind := e.Conf.String("osd_objectstore")
	if b, err := os.ReadFile(filepath.Join(path, memstoreFile)); err == nil && len(b) > 0 {
		kind = "memstore"
	}
	switch kind {
	case "filestore":
		return filestore.New(path, filestore.Options{
			JournalPath:    e.Conf.String("osd_journal"),
			JournalBytes:   e.Conf.Int("osd_journal_size") << 20,
			SyncInterval:   e.Conf.Duration("filestore_max_sync_interval"),
			QueueMaxBytes:  e.Conf.Int("filestore_queue_max_bytes"),
			QueueMaxOps:    int(e.Conf.Int("filestore_queue_max_ops")),
			SplitMultiple:  int(e.Conf.Int("filestore_split_multiple")),
			MergeThreshold: int(e.Conf.Int("filestore_merge_threshold")),
			FDCacheSize:    int(e.Conf.Int("filestore_fd_cache_size")),
			SmallMax:       int(e.Conf.Int("filestore_max_inline_object_size")),
			Logger:         e.Log.Get("filestore"),
		}), nil
	case "memstore":
		return &keptMemstore{Store: memstore.NewWith(memstore.Options{Capacity: uint64(e.Conf.Int("memstore_device_bytes"))}), path: path}, nil
	}
	return nil, fmt.Errorf("osd_objectstore = %s: this program has filestore and memstore; set one of them", kind)
}

// keptMemstore is a memstore whose identity outlives the process: the OSD comes
// back as itself, empty, and the others fill it again.
type keptMemstore struct {
	*memstore.Store
	path string
	held *os.File // keeps other processes out while it is open
}

// memstoreFile holds the identity of a memstore's OSD.
const memstoreFile = "memstore"

func (k *keptMemstore) Mkfs(id objectstore.Identity) error {
	if err := os.MkdirAll(k.path, 0o755); err != nil {
		return fmt.Errorf("making \"osd data\": %w", err)
	}
	switch old, err := k.Identity(); {
	case err == nil && old == id:
		return k.Store.Mkfs(id)
	case err == nil:
		return fmt.Errorf("%s belongs to osd.%d of cluster %v already; remove it or choose another \"osd data\"", k.path, old.WhoAmI, old.ClusterFSID)
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	en := wire.NewEncoder(64)
	id.ClusterFSID.Encode(en)
	id.OSDFSID.Encode(en)
	en.I32(id.WhoAmI)
	if err := os.WriteFile(filepath.Join(k.path, memstoreFile), en.Bytes(), 0o644); err != nil {
		return err
	}
	return k.Store.Mkfs(id)
}

func (k *keptMemstore) Identity() (objectstore.Identity, error) {
	var id objectstore.Identity
	b, err := os.ReadFile(filepath.Join(k.path, memstoreFile))
	if errors.Is(err, os.ErrNotExist) {
		return id, fmt.Errorf("%s holds no OSD; make it with --mkfs: %w", k.path, os.ErrNotExist)
	}
	if err != nil {
		return id, err
	}
	d := wire.NewDecoder(b)
	copy(id.ClusterFSID[:], d.Raw(16))
	copy(id.OSDFSID[:], d.Raw(16))
	id.WhoAmI = d.I32()
	if err := d.Finish(); err != nil {
		return id, fmt.Errorf("%s is damaged: %w; remove it and make the OSD anew with --mkfs", filepath.Join(k.path, memstoreFile), err)
	}
	return id, nil
}

// begin makes the store anew for this process.
func (k *keptMemstore) begin() error {
	id, err := k.Identity()
	if err != nil {
		return err
	}
	if k.held, err = os.Open(filepath.Join(k.path, memstoreFile)); err != nil {
		return err
	}
	if err := unix.Flock(int(k.held.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("%s: another process runs on this directory; stop it first: %w", k.path, objectstore.ErrInUse)
	}
	return osd.Mkfs(k, id)
}
