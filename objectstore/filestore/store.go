package filestore

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	pebblevfs "github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/go-hclog"

	"sepiola/objectstore"
	"sepiola/objectstore/filestore/vfs"
	"sepiola/wire"
)

// Options configure a store. The zero value of each field stands for its default.
type Options struct {
	// JournalPath is the journal's file; default: journal in the data directory.
	JournalPath string
	// JournalBytes bounds the journal's size ("osd journal size"); default 1 GiB. It
	// starts with 64 MiB and grows when checkpoints do not keep up, to no more than a
	// tenth of its file system.
	JournalBytes int64
	// SyncInterval is the time between checkpoints ("filestore max sync interval");
	// default 5 s.
	SyncInterval time.Duration
	// QueueMaxBytes and QueueMaxOps bound what is submitted and not yet applied
	// ("filestore queue max bytes", "... ops"); defaults 100 MiB and 2000. Submit
	// blocks beyond.
	QueueMaxBytes int64
	QueueMaxOps   int
	// SplitMultiple and MergeThreshold give the number of files, multiple *
	// |threshold| * 16, above which a directory passes new files on to its
	// sub-directories ("filestore split multiple", "filestore merge threshold");
	// defaults 2 and -10.
	SplitMultiple, MergeThreshold int
	// FDCacheSize is how many files stay open without being used ("filestore fd
	// cache size"); default 512.
	FDCacheSize int
	// CacheObjects is how many objects' metadata stay in memory; default 16384.
	CacheObjects int
	// FreshMin is the length in bytes from which a write goes to its file before it is
	// journaled, where that is safe, and not through the journal; default 128 KiB.
	FreshMin uint64
	// DirectMin is the length in bytes from which the data of a new file is written past the
	// page cache, where the file system can do that; default 128 KiB.
	DirectMin uint64
	// SmallMax is how many bytes of data an object of a PG may have without a file: its data
	// is in the key-value store then, and its attributes, as long as they are not many, in the
	// index; default 0, a file for every object, at most 64 KiB.
	SmallMax int
	// SmallCacheBytes is how much data of such objects stays in memory; default 16 MiB.
	SmallCacheBytes int
	// RoundMax is how many bytes share one sync; default 8 MiB.
	RoundMax int64
	// TransactionMax bounds one transaction; default half the journal.
	TransactionMax int64
	// ReserveBytes is how much of the file system no data is let into, so that removals,
	// the PGs' logs, the key-value store and the next mount find room when it is full;
	// default a hundredth of it, at most 1 GiB.
	ReserveBytes uint64
	// Workers is the number of goroutines that apply to files; default 2, at most 64.
	Workers int
	// MemTableBytes and CacheBytes are Pebble's; defaults 16 MiB and 32 MiB.
	MemTableBytes, CacheBytes int64
	// Logger defaults to none.
	Logger hclog.Logger
	// FS and KVFS are the file systems of the files and of Pebble; default: the
	// machine's.
	FS   vfs.FS
	KVFS pebblevfs.FS

	segment uint32 // the size of the journal's segments; smaller in tests
}

const (
	segmentSize     = 16 << 20
	initialSegments = 4
)

func or[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

func (o *Options) fill(dir string) {
	or(&o.JournalPath, dir+"/journal")
	or(&o.JournalBytes, 1<<30)
	or(&o.segment, segmentSize)
	o.JournalBytes = max(o.JournalBytes, initialSegments*int64(o.segment))
	or(&o.SyncInterval, 5*time.Second)
	or(&o.QueueMaxBytes, 100<<20)
	or(&o.QueueMaxOps, 2000)
	or(&o.SplitMultiple, 2)
	or(&o.MergeThreshold, -10)
	or(&o.FDCacheSize, 512)
	or(&o.CacheObjects, 16384)
	or(&o.FreshMin, 128<<10)
	or(&o.DirectMin, 128<<10)
	o.SmallMax = min(max(o.SmallMax, 0), smallMost)
	or(&o.SmallCacheBytes, 16<<20)
	or(&o.RoundMax, 8<<20)
	or(&o.TransactionMax, o.JournalBytes/2)
	or(&o.Workers, 2)
	o.Workers = min(max(o.Workers, 1), 64)
	or(&o.MemTableBytes, 16<<20)
	or(&o.CacheBytes, 32<<20)
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	if o.FS == nil {
		o.FS = vfs.OS
	}
	if o.KVFS == nil {
		o.KVFS = pebblevfs.Default
	}
}

// dirLimit is how many files a directory holds before others go further down.
func (o *Options) dirLimit() int {
	t := o.MergeThreshold
	if t < 0 {
		t = -t
	}
	return max(1, o.SplitMultiple*t*16)
}

// Store is an objectstore.Store on a file system.
type Store struct {
	dir  string
	opts Options
	fs   vfs.FS
	log  hclog.Logger

	mountMu    sync.Mutex // of Mkfs, Mount, Close
	mounted    atomic.Bool
	lock       io.Closer
	id         objectstore.Identity
	db         *pebble.DB
	journal    *journal
	files      *files
	dirs       *dirs
	blocks     sync.Pool
	aside      sync.Pool // buffers of directBytes
	noDirect   atomic.Bool
	small      smallCache
	nextID     atomic.Uint64
	stored     atomic.Int64 // bytes of all objects, as applied
	replayedTo uint64       // round up to which stored counted at mount
	cached     atomic.Int64 // objects in memory
	space      space

	collMu sync.RWMutex
	colls  map[objectstore.Coll]*collection

	throttle   *throttle
	freshSlots chan struct{}

	seq      sync.Mutex
	queued   sync.Cond // on seq
	queue    []*txn    // may be journaled
	stopping bool

	hotMu sync.Mutex
	hot   map[uint64]heat

	encoder wire.Encoder // of the journal's goroutine
	cuts    []cut

	commits    chan []func()
	kvQueue    chan *round
	fileQueues []chan *round
	loops      sync.WaitGroup

	roundMu       sync.Mutex
	applied       sync.Cond // on roundMu: a round was applied
	trimmed       sync.Cond // on roundMu: a checkpoint was made
	rounds        []*round  // journaled, not covered by a checkpoint
	trims         int
	checkpointMu  sync.Mutex
	checkpointNow chan struct{}
	stop          chan struct{}

	failMu sync.Mutex
	err    error
	failed chan struct{}
}

var _ objectstore.Store = (*Store)(nil)

// New returns the store in directory dir, which need not exist yet. Nothing is read
// or written before Mkfs, Mount or Identity.
func New(dir string, opts Options) *Store {
	opts.fill(dir)
	s := &Store{
		dir: dir, opts: opts, fs: opts.FS, log: opts.Logger,
		colls:  map[objectstore.Coll]*collection{},
		hot:    map[uint64]heat{},
		failed: make(chan struct{}),
		stop:   make(chan struct{}),
		// Another one for each mount; this one is for who fails before.
		throttle: newThrottle(0, 0),
	}
	s.queued.L = &s.seq
	s.applied.L, s.trimmed.L = &s.roundMu, &s.roundMu
	s.blocks.New = func() any { return new([blockSize]byte) }
	s.aside.New = func() any { p := aligned(directBytes); return &p }
	return s
}

// Kind returns "filestore".
func (s *Store) Kind() string { return "filestore" }

// Failed implements objectstore.Store.
func (s *Store) Failed() <-chan struct{} { return s.failed }

// Err implements objectstore.Store.
func (s *Store) Err() error {
	s.failMu.Lock()
	defer s.failMu.Unlock()
	return s.err
}

// fail stops the store: after an error from which it cannot tell what is durable,
// nothing more may be promised.
func (s *Store) fail(err error) {
	s.failMu.Lock()
	if s.err != nil {
		s.failMu.Unlock()
		return
	}
	s.err = err
	close(s.failed)
	s.failMu.Unlock()
	if !errors.Is(err, errAbandoned) {
		s.log.Error("the store stops: it cannot keep its promises any more", "error", err)
	}
	throttle := s.currentThrottle()
	throttle.shut()
	s.wake()
}

func (s *Store) currentThrottle() *throttle {
	s.failMu.Lock()
	defer s.failMu.Unlock()
	return s.throttle
}

// wake makes everybody who waits look again.
func (s *Store) wake() {
	s.seq.Lock()
	s.stopping = true
	s.seq.Unlock()
	s.queued.Broadcast()
	s.roundMu.Lock()
	s.roundMu.Unlock() //lint:ignore SA2001 nobody is between looking and waiting now
	s.applied.Broadcast()
	s.trimmed.Broadcast()
}

var errAbandoned = errors.New("store was abandoned")

// start begins the work in the background.
func (s *Store) start() {
	s.failMu.Lock()
	s.throttle = newThrottle(s.opts.QueueMaxBytes, s.opts.QueueMaxOps)
	s.throttle.open = s.err == nil
	s.failMu.Unlock()
	s.freshSlots = make(chan struct{}, 16)
	// A round has at least one transaction, and the throttle bounds those, so that
	// sending to these never waits for long.
	s.commits = make(chan []func(), 64)
	s.kvQueue = make(chan *round, 64)
	s.fileQueues = nil
	s.checkpointNow = make(chan struct{}, 1)
	s.loops.Add(4)
	go s.journalLoop()
	go s.commitLoop()
	go s.kvWorker(s.kvQueue)
	go s.checkpointLoop()
	for w := range s.opts.Workers {
		q := make(chan *round, 64)
		s.fileQueues = append(s.fileQueues, q)
		s.loops.Add(1)
		go s.fileWorker(w, q)
	}
	s.mounted.Store(true)
}

// Close implements objectstore.Store.
func (s *Store) Close() error {
	s.mountMu.Lock()
	defer s.mountMu.Unlock()
	if !s.mounted.Swap(false) {
		return objectstore.ErrClosed
	}
	s.throttle.drain(func() bool { return s.Err() != nil })
	s.throttle.shut()
	close(s.stop)
	s.wake()
	s.loops.Wait()
	err := s.Err()
	if err == nil {
		err = s.checkpoint(false)
	}
	return errors.Join(err, s.release())
}

// abandon ends the store as the end of the process would: nothing more is written.
func (s *Store) abandon() {
	s.mountMu.Lock()
	defer s.mountMu.Unlock()
	if !s.mounted.Swap(false) {
		return
	}
	s.fail(errAbandoned)
	close(s.stop)
	s.loops.Wait()
	s.release()
}

// release gives back what Mount took.
func (s *Store) release() error {
	var errs []error
	if s.files != nil {
		s.files.closeAll()
	}
	if s.db != nil {
		errs = append(errs, s.db.Close())
		s.db = nil
	}
	if s.journal != nil {
		errs = append(errs, s.journal.f.Close())
		s.journal = nil
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
		s.lock = nil
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("filestore %s: close: %w", s.dir, err)
	}
	return nil
}

// Statfs implements objectstore.Store: the file system's figures, which other files
// on it share, and the sum of the objects' sizes.
func (s *Store) Statfs() (objectstore.Statfs, error) {
	st, err := s.fs.Statfs(s.dir)
	if err != nil {
		return objectstore.Statfs{}, fmt.Errorf("filestore %s: %w", s.dir, err)
	}
	reserve := s.reserveOf(st.Total)
	out := objectstore.Statfs{Total: st.Total, Available: st.Available - min(st.Available, reserve), InternallyReserved: reserve}
	if s.mounted.Load() {
		out.DataStored = uint64(max(0, s.stored.Load()))
		out.Allocated = out.DataStored
		out.OmapAllocated = s.db.Metrics().DiskSpaceUsage()
		out.Metadata = out.OmapAllocated
		out.InternallyReserved += s.journal.size()
	}
	return out, nil
}

// size returns the journal's size in bytes.
func (j *journal) size() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return journalBase + uint64(j.segments)*uint64(j.segSize)
}
