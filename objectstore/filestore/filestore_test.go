package filestore

import (
	"errors"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	pebblevfs "github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"sepiola/objectstore"
	"sepiola/objectstore/filestore/vfs"
	"sepiola/objectstore/storetest"
)

// dirDisk is a directory of the machine's file system. Its crashes are those of a
// process: what was written is there, synced or not, but nothing is flushed.
type dirDisk struct {
	t    storetest.T
	dir  string
	opts Options
	last *Store
}

func newDirDisk(opts Options) storetest.Maker {
	return func(t storetest.T) storetest.Disk {
		dir, err := os.MkdirTemp("", "filestore")
		if err != nil {
			t.Fatalf("%v", err)
		}
		return &dirDisk{t: t, dir: dir, opts: opts}
	}
}

func (d *dirDisk) Open() objectstore.Store {
	d.last = New(d.dir+"/osd", d.opts)
	return d.last
}
func (d *dirDisk) Crash(s objectstore.Store) { s.(*Store).abandon() }
func (d *dirDisk) Remove() {
	checkAtEnd(d.t, d.last, d.Open)
	os.RemoveAll(d.dir)
}

// checkAtEnd checks what a test leaves: whatever it did, Fsck finds nothing wrong.
func checkAtEnd(t storetest.T, last *Store, open func() objectstore.Store) {
	if last == nil {
		return
	}
	last.Close()
	s := open().(*Store)
	n, err := s.Fsck(true, func(f Finding) { t.Errorf("fsck at the end: %v", f) })
	if err != nil && !errors.Is(err, objectstore.ErrNotFound) { // no store was made
		t.Errorf("fsck at the end: %d findings, %v", n, err)
	}
}

// filestore keeps every promise of the interface.
func TestSuite(t *testing.T) { storetest.Suite(t, newDirDisk(Options{})) }

// tight makes the paths that large objects and long runs take come with small ones.
var tight = Options{
	FreshMin: 8192, CacheObjects: 2, FDCacheSize: 2, SplitMultiple: 1, MergeThreshold: -1,
	QueueMaxOps: 16, Workers: 3, MemTableBytes: 256 << 10, segment: 256 << 10,
}

// tightSmall leaves small objects without a file, and writes large ones past the page
// cache.
var tightSmall = func() Options {
	o := tight
	o.SmallMax, o.SmallCacheBytes, o.DirectMin = 3000, 8192, 8192
	return o
}()

// The same for objects that have no file until they grow.
func TestSuiteSmall(t *testing.T) {
	storetest.Suite(t, newDirDisk(Options{SmallMax: 8 << 10, FreshMin: 16 << 10, DirectMin: 16 << 10}))
}

// The same with every bound as tight as it goes.
func TestSuiteTight(t *testing.T) { storetest.Suite(t, newDirDisk(tight)) }

// memDisk is a pair of file systems in memory whose crashes lose what was not
// synced, or some of it.
type memDisk struct {
	t    storetest.T
	last *Store
	opts Options
	fs   *vfs.Mem
	kv   *pebblevfs.MemFS
	rng  *rand.Rand
}

func newMemDisk(opts Options) storetest.Maker {
	return func(t storetest.T) storetest.Disk {
		d := &memDisk{t: t, opts: opts, fs: vfs.NewMem(), kv: pebblevfs.NewCrashableMem(), rng: rand.New(rand.NewPCG(1, 2))}
		if rt, ok := t.(*rapid.T); ok {
			d.rng = rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "crash seed"), 0))
		}
		for _, dir := range []string{"/osd", "/osd/omap"} {
			if err := d.kv.MkdirAll(dir, 0o755); err != nil {
				t.Fatalf("%v", err)
			}
		}
		for _, dir := range []string{"/", "/osd"} {
			f, err := d.kv.OpenDir(dir)
			if err == nil {
				err = f.Sync()
			}
			if err != nil {
				t.Fatalf("%v", err)
			}
			f.Close()
		}
		return d
	}
}

func (d *memDisk) Open() objectstore.Store {
	o := d.opts
	o.FS, o.KVFS = d.fs, orderMarkers(d.kv)
	d.last = New("/osd", o)
	return d.last
}

// Crash takes what is left of both file systems at one moment: while nothing can
// change the files, no journal record can become durable, and what the key-value store
// holds is covered by those that are.
func (d *memDisk) Crash(s objectstore.Store) {
	keep := d.rng.IntN(5) * 25
	var fs *vfs.Mem
	var kv *pebblevfs.MemFS
	d.fs.Frozen(func() {
		kv = d.kv.CrashClone(pebblevfs.CrashCloneCfg{UnsyncedDataPercent: keep, RNG: d.rng})
		fs = d.fs.Crash(float64(keep)/100, d.rng)
	})
	s.(*Store).abandon()
	d.fs, d.kv = fs, kv
}

func (d *memDisk) Remove() { checkAtEnd(d.t, d.last, d.Open) }

// The promises hold when a crash loses everything, or any part, of what was not synced.
func TestSuiteCrashing(t *testing.T) { storetest.Suite(t, newMemDisk(tight)) }

// The same for objects that have no file until they grow.
func TestSuiteCrashingSmall(t *testing.T) { storetest.Suite(t, newMemDisk(tightSmall)) }

// drawOptions draws a configuration: each bound tight, or wide enough never to be met
// in so short a run. With short intervals checkpoints are made in the middle of
// everything.
func drawOptions(rt *rapid.T) Options {
	return Options{
		SyncInterval:   rapid.SampledFrom([]time.Duration{time.Hour, 300 * time.Microsecond, 5 * time.Millisecond}).Draw(rt, "sync interval"),
		SmallMax:       rapid.SampledFrom([]int{0, 3000, 8192}).Draw(rt, "small without file"),
		DirectMin:      rapid.SampledFrom([]uint64{1 << 30, 8192}).Draw(rt, "direct"),
		FreshMin:       rapid.SampledFrom([]uint64{8192, 1, 30000, 1 << 30}).Draw(rt, "fresh min"),
		CacheObjects:   rapid.SampledFrom([]int{2, 1, 1000}).Draw(rt, "cached objects"),
		FDCacheSize:    rapid.SampledFrom([]int{2, 1, 100}).Draw(rt, "open files"),
		Workers:        rapid.IntRange(1, 4).Draw(rt, "workers"),
		QueueMaxOps:    rapid.SampledFrom([]int{16, 1, 1000}).Draw(rt, "queue"),
		RoundMax:       rapid.SampledFrom([]int64{8 << 20, 1}).Draw(rt, "round"),
		MemTableBytes:  rapid.SampledFrom([]int64{256 << 10, 64 << 10}).Draw(rt, "memtable"),
		JournalBytes:   rapid.SampledFrom([]int64{1 << 30, 1 << 20}).Draw(rt, "journal"),
		SplitMultiple:  1,
		MergeThreshold: -1,
		segment:        256 << 10,
	}
}

// Random transactions, restarts and crashes leave what a plain model says, on a file
// system that keeps any part of what was not synced, however the store is configured.
func TestMetamorphic(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) { storetest.Metamorphic(rt, newMemDisk(drawOptions(rt))) })
}

// The same on a real file system, where a crash is the end of the process.
func TestMetamorphicOnDisk(t *testing.T) {
	checks := 0
	rapid.Check(t, func(rt *rapid.T) {
		if checks++; checks <= 10 { // each takes a while
			storetest.Metamorphic(rt, newDirDisk(tight))
		}
	})
}
