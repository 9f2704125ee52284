package filestore

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"golang.org/x/sys/unix"
)

func (s *Store) openKV() (*pebble.DB, error) {
	cache := pebble.NewCache(s.opts.CacheBytes)
	o := &pebble.Options{
		FS:                          kvFS{s.opts.KVFS, s},
		Cache:                       cache,
		DisableWAL:                  true, // the journal replays what is lost
		L0CompactionThreshold:       8,
		MemTableSize:                uint64(s.opts.MemTableBytes),
		MemTableStopWritesThreshold: 4,
		MaxOpenFiles:                256,
		FormatMajorVersion:          pebble.FormatColumnarBlocks,
		Logger:                      kvLogger{s},
		EventListener:               s.kvEvents(),
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		if i < len(o.Levels)-1 { // soon written again: not worth the time
			o.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
		}
	}
	db, err := s.openOrFail(o)
	if err != nil {
		return nil, fmt.Errorf("key-value store: %w", err)
	}
	return db, nil
}

// openOrFail opens the key-value store. Pebble does not come back from opening where it
// cannot write: it tries for ever to write out what its log holds.
func (s *Store) openOrFail(o *pebble.Options) (*pebble.DB, error) {
	type outcome struct {
		db  *pebble.DB
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		db, err := pebble.Open(s.path(dirKV), o)
		o.Cache.Unref()
		done <- outcome{db, err}
	}()
	select {
	case got := <-done:
		if err := s.Err(); err != nil && got.err == nil {
			return nil, errors.Join(err, got.db.Close())
		}
		return got.db, got.err
	case <-s.failed:
		go func() {
			if got := <-done; got.db != nil {
				got.db.Close()
			}
		}()
		return nil, s.Err()
	}
}

// flushKV makes all that is in the key-value store durable.
func (s *Store) flushKV(db *pebble.DB) error {
	flushed, err := db.AsyncFlush()
	if err != nil {
		return err
	}
	select {
	case <-flushed:
	case <-s.failed: // Pebble would try again and again
	}
	return s.Err() // Pebble does not hear of every failure
}

// kvEvents says what happens when Pebble meets an error by itself. Without it Pebble ends
// the process at a block that fails its checksum.
func (s *Store) kvEvents() *pebble.EventListener {
	var seen sync.Map // damaged files that were reported
	return &pebble.EventListener{
		DataCorruption: func(i pebble.DataCorruptionInfo) { // the read fails too
			if _, again := seen.LoadOrStore(i.Path, true); !again {
				s.log.Error("a file of the key-value store is damaged", "path", i.Path, "error", i.Details)
			}
		},
		BackgroundError: func(err error) {
			if s.Err() == nil { // else that was said, and Pebble tries again and again
				s.log.Error("key-value store", "error", err)
			}
		},
		FlushEnd:      func(i pebble.FlushInfo) { s.kvFailed("flush", i.Err) },
		CompactionEnd: func(i pebble.CompactionInfo) { s.kvFailed("compaction", i.Err) },
	}
}

// kvFailed stops the store where the system refused Pebble something. Other ends of
// its work are no failures: nothing to write, a file that is damaged and stays, a
// compaction called off.
func (s *Store) kvFailed(what string, err error) {
	if errors.As(err, new(unix.Errno)) {
		s.fail(fmt.Errorf("key-value store: %s: %w", what, err))
	}
}

// kvLogger passes on what Pebble complains of.
type kvLogger struct{ s *Store }

func (l kvLogger) Infof(string, ...any) {}

func (l kvLogger) Errorf(f string, a ...any) {
	if l.s.Err() == nil { // the last line says why the store stopped
		l.s.log.Error("key-value store", "message", fmt.Sprintf(f, a...))
	}
}

// Fatalf stops the store and returns, which Pebble does not expect everywhere: whatever it
// goes on with, it changes nothing on the disk any more (kvFS).
func (l kvLogger) Fatalf(f string, a ...any) {
	l.s.fail(fmt.Errorf("key-value store: "+f, a...))
}
