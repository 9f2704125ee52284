package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// The layout of the database. Everything of one monitor is in it:
//
//	m/NAME        what the monitor was made with (fsid, name, initial map)
//	r/hard        raft's HardState
//	r/snap        SnapshotMetadata of the entry the log starts after
//	r/applied     index of the last entry whose changes are in s/
//	r/log/INDEX   entries, INDEX big-endian
//	s/KEY         the machine's state
const (
	prefixMeta  = "m/"
	keyHard     = "r/hard"
	keySnap     = "r/snap"
	keyApplied  = "r/applied"
	prefixLog   = "r/log/"
	prefixState = "s/"
)

// ErrInUse is wrapped when another process holds the directory.
var ErrInUse = errors.New("in use by another process")

// Change is one write to the state: a key and its new value, nil to remove it.
type Change struct {
	Key   string
	Value []byte
}

// Reader reads the state's keys.
type Reader interface {
	// Get returns the value of a key, nil if absent. The value is the caller's.
	Get(key string) ([]byte, error)
	// Scan calls fn for each key with the prefix, in order, until fn fails. The
	// value is valid during the call only.
	Scan(prefix string, fn func(key string, value []byte) error) error
}

// Disk is the database of one monitor. It is safe for concurrent use.
type Disk struct {
	db  *pebble.DB
	dir string
}

// OpenDisk opens the database in dir/store.db. With create, the directory may
// be absent and the database must be; without, it must exist. The error of a
// directory held by another process wraps [ErrInUse].
func OpenDisk(dir string, create bool) (*Disk, error) {
	path := filepath.Join(dir, "store.db")
	if create {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("cannot create the monitor's directory: %w", err)
		}
	} else if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s holds no monitor: make one with --mkfs", dir)
	}
	db, err := pebble.Open(path, &pebble.Options{
		ErrorIfNotExists: !create,
		ErrorIfExists:    create,
		MemTableSize:     8 << 20,
		Logger:           quiet{},
		// Values are small and live long; one level of small tables is plenty.
		FormatMajorVersion: pebble.FormatNewest,
	})
	switch {
	case err == nil:
		return &Disk{db: db, dir: dir}, nil
	case errors.Is(err, pebble.ErrDBAlreadyExists):
		return nil, fmt.Errorf("%s holds a monitor already: start it, or remove the directory first: %w", dir, err)
	case isLocked(err):
		return nil, fmt.Errorf("%s is %w: stop the monitor that runs on it first", dir, ErrInUse)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("cannot write to %s: give this user write permission: %w", dir, err)
	}
	return nil, fmt.Errorf("open the monitor's database %s: %w; if it is damaged, put a copy of the directory in its place", path, err)
}

// isLocked recognises the failures by which Pebble reports a lock that is held
// by another process, or by another instance in this one.
func isLocked(err error) bool {
	s := err.Error()
	return strings.Contains(s, "resource temporarily unavailable") || strings.Contains(s, "lock held")
}

// Close closes the database.
func (d *Disk) Close() error { return d.db.Close() }

// SetMeta durably stores what the monitor was made with.
func (d *Disk) SetMeta(values map[string][]byte) error {
	b := d.db.NewBatch()
	defer b.Close()
	for name, v := range values {
		if err := b.Set([]byte(prefixMeta+name), v, nil); err != nil {
			return err
		}
	}
	return b.Commit(pebble.Sync)
}

// Meta returns a value of [Disk.SetMeta], nil if absent.
func (d *Disk) Meta(name string) ([]byte, error) { return d.get(prefixMeta + name) }

// Get implements [Reader].
func (d *Disk) Get(key string) ([]byte, error) { return d.get(prefixState + key) }

// Scan implements [Reader].
func (d *Disk) Scan(prefix string, fn func(key string, value []byte) error) error {
	return d.scan(prefixState+prefix, func(k, v []byte) error {
		return fn(string(k[len(prefixState):]), v)
	})
}

func (d *Disk) get(key string) ([]byte, error) {
	v, closer, err := d.db.Get([]byte(key))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", key, err)
	}
	defer closer.Close()
	return append([]byte{}, v...), nil
}

func (d *Disk) scan(prefix string, fn func(k, v []byte) error) error {
	it, err := d.db.NewIter(&pebble.IterOptions{LowerBound: []byte(prefix), UpperBound: prefixEnd(prefix)})
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if err := fn(it.Key(), v); err != nil {
			return err
		}
	}
	return it.Error()
}

// prefixEnd is the least key above all that start with prefix. Prefixes here
// are ASCII, so their last byte can be counted up.
func prefixEnd(prefix string) []byte {
	end := []byte(prefix)
	end[len(end)-1]++
	return end
}

func logKey(index uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte(prefixLog), index)
}

// raftState is what raft needs at start.
type raftState struct {
	hard    *pb.HardState
	snap    *pb.SnapshotMetadata
	applied uint64
	entries []*pb.Entry
}

func (d *Disk) loadRaft() (raftState, error) {
	st := raftState{hard: &pb.HardState{}, snap: &pb.SnapshotMetadata{}}
	for key, m := range map[string]proto.Message{keyHard: st.hard, keySnap: st.snap} {
		v, err := d.get(key)
		if err != nil {
			return st, err
		}
		if err := proto.Unmarshal(v, m); err != nil {
			return st, fmt.Errorf("%s: %w", key, err)
		}
	}
	v, err := d.get(keyApplied)
	if err != nil {
		return st, err
	}
	if len(v) == 8 {
		st.applied = binary.BigEndian.Uint64(v)
	}
	first := st.snap.GetIndex() + 1
	err = d.scan(prefixLog, func(k, v []byte) error {
		e := &pb.Entry{}
		if err := proto.Unmarshal(v, e); err != nil {
			return fmt.Errorf("log entry %x: %w", k[len(prefixLog):], err)
		}
		if e.GetIndex() >= first {
			st.entries = append(st.entries, e)
		}
		return nil
	})
	return st, err
}

// quiet keeps Pebble's chatter out of the log; errors come back from calls.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf("monitor database: "+format, args...))
}
