package filestore

import (
	"errors"
	cmdline "flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	pebblevfs "github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"golang.org/x/sys/unix"

	"sepiola/objectstore"
	"sepiola/objectstore/filestore/vfs"
	"sepiola/objectstore/storetest"
)

var (
	crashAll  = cmdline.Bool("crash.all", false, "try every crash point, not a sample")
	crashAt   = cmdline.Int("crash.at", 0, "try only the crash at this call")
	crashSeed = cmdline.Uint64("crash.seed", 1, "what is lost, and which points are tried")
)

// crashMode is what of the changes that were not synced is there after a crash.
type crashMode string

const (
	keepNone crashMode = "none"
	keepAll  crashMode = "all"
	keepSome crashMode = "some" // each of them, or not; writes in part
	tornNone crashMode = "torn" // none, but half of the bytes of the call itself
	tornAll  crashMode = "torn, all else"
)

var crashModes = []crashMode{keepNone, keepAll, keepSome, tornNone, tornAll}

// image is what a crash left.
type image struct {
	fs   *vfs.Mem
	kv   *pebblevfs.MemFS
	opts Options
}

func newImage(t testing.TB) image { return newImageOf(t, scripted) }

func newImageOf(t testing.TB, opts Options) image {
	d := newMemDisk(opts)(t).(*memDisk)
	return image{d.fs, d.kv, opts}
}

// refuseSpill makes attributes called spill not fit, from their second part on.
func refuseSpill(c vfs.Call) error {
	if c.Op == "setxattr" && strings.HasPrefix(c.Name, "user.ceph.spill@1") {
		return unix.ENOSPC
	}
	return nil
}

// store returns the store on an image. point, where given, is called before each call
// that changes something, or makes it durable, on either file system, while neither can
// change.
func (im image) store(point func(vfs.Call)) *Store {
	o := im.opts
	o.FS, o.KVFS = im.fs, orderMarkers(im.kv)
	im.fs.Hook = refuseSpill
	if point != nil {
		im.fs.Hook = func(c vfs.Call) error {
			if !readCalls[c.Op] {
				point(c)
			}
			return refuseSpill(c)
		}
		o.KVFS = errorfs.Wrap(o.KVFS, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
				im.fs.Frozen(func() { point(vfs.Call{Op: "kv", Path: op.Path}) })
			}
			return nil
		}))
	}
	return New("/osd", o)
}

// orderMarkers makes what Pebble did to a directory durable before the file that marks
// the current manifest is made. Pebble relies on file systems for that order, as ext4, XFS
// and btrfs keep it; its own file system in memory loses any entry on its own.
func orderMarkers(m *pebblevfs.MemFS) pebblevfs.FS {
	return errorfs.Wrap(m, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind != errorfs.OpCreate || !strings.Contains(op.Path, "/marker.") {
			return nil
		}
		d, err := m.OpenDir(m.PathDir(op.Path))
		if err != nil {
			return err
		}
		return errors.Join(d.Sync(), d.Close())
	}))
}

// readCalls change nothing: a crash before one is a crash before what follows.
var readCalls = map[string]bool{
	"open": true, "readdir": true, "statfs": true, "lock": true, "read": true, "stat": true,
	"seek": true, "getxattr": true, "listxattr": true,
}

// crash returns what is left if the power goes now. It is called from within a point.
func (im image) crash(c vfs.Call, mode crashMode, rng *rand.Rand) image {
	keep := 0.0
	switch mode {
	case keepAll, tornAll:
		keep = 1
	case keepSome:
		keep = 0.1 + 0.8*rng.Float64()
	}
	if mode != tornNone && mode != tornAll {
		c = vfs.Call{}
	}
	return image{im.fs.Snapshot(keep, rng, c), im.kv.CrashClone(pebblevfs.CrashCloneCfg{UnsyncedDataPercent: int(100 * keep), RNG: rng}), im.opts}
}

// proof runs the script and knows what may be found after a crash.
type proof struct {
	t      *testing.T
	steps  []scriptStep
	states []content
	colls  [][]objectstore.Coll

	made      atomic.Bool // mkfs is done
	submitted atomic.Int64
	acked     []atomic.Bool
	tried     int
	opts      Options

	// windows has steps run while a checkpoint is halfway: files are synced, and the
	// key-value store is not.
	windows bool
}

func newProof(t *testing.T) *proof {
	p := &proof{t: t, steps: script(), opts: scripted}
	p.states, p.colls = modelStates(t, p.steps)
	p.acked = make([]atomic.Bool, len(p.steps))
	return p
}

// run plays the script on a store that open returns, from mkfs to close.
func (p *proof) run(newStore func() *Store) error {
	window := newHalfway()
	open := func() *Store {
		s := newStore()
		window.FS, s.fs = s.fs, window
		return s
	}
	s := open()
	if err := s.Mkfs(storetest.ID); err != nil {
		return err
	}
	p.made.Store(true)
	if err := s.Mount(); err != nil {
		return err
	}
	defer func() { s.abandon() }()
	for i, st := range p.steps {
		var x tx
		st.build(&x)
		p.submitted.Store(int64(i + 1))
		done := make(chan struct{})
		if err := s.Submit(&x, func() { p.acked[i].Store(true); close(done) }); err != nil {
			return fmt.Errorf("%s: %w", st.name, err)
		}
		if st.then == goOn {
			continue
		}
		select {
		case <-done:
		case <-s.Failed():
			return s.Err()
		}
		if err := window.shut(s); err != nil {
			return err
		}
		switch st.then {
		case checkpoint:
			settle(s)
			if p.windows {
				if err := window.open(s); err != nil {
					return err
				}
				continue
			}
			if err := s.checkpoint(true); err != nil {
				return err
			}
		case reopen:
			if err := s.Close(); err != nil {
				return err
			}
			s = open()
			if err := s.Mount(); err != nil {
				return err
			}
		}
	}
	return errors.Join(window.shut(s), s.Close())
}

// halfway is a file system whose SyncFS, once done, waits to be let go where somebody
// asks for that.
type halfway struct {
	vfs.FS
	armed  atomic.Bool
	isOpen bool
	synced chan struct{}
	goOn   chan struct{}
	done   chan error // the outcome of the checkpoint
}

func newHalfway() *halfway {
	return &halfway{synced: make(chan struct{}), goOn: make(chan struct{}), done: make(chan error, 1)}
}

func (h *halfway) SyncFS(p string) error {
	err := h.FS.SyncFS(p)
	if h.armed.Swap(false) {
		h.synced <- struct{}{}
		<-h.goOn
	}
	return err
}

// open begins a checkpoint and stops it halfway: files are synced, and the key-value
// store is not.
func (h *halfway) open(s *Store) error {
	h.armed.Store(true)
	go func() { h.done <- s.checkpoint(true) }()
	select {
	case <-h.synced:
		h.isOpen = true
		return nil
	case err := <-h.done: // there was nothing to do
		h.armed.Store(false)
		return err
	}
}

// shut lets the checkpoint go on, when all that was submitted is applied.
func (h *halfway) shut(s *Store) error {
	if !h.isOpen {
		return nil
	}
	settle(s)
	h.isOpen = false
	h.goOn <- struct{}{}
	return <-h.done
}

// claim is what must hold of a store after a crash.
type claim struct {
	made      bool
	submitted int
	acked     []bool
}

func (p *proof) claim() claim {
	c := claim{made: p.made.Load(), submitted: int(p.submitted.Load())}
	for i := range p.acked {
		c.acked = append(c.acked, p.acked[i].Load())
	}
	return c
}

// verify mounts what a crash left, and checks that it is what may be there, and that
// the store goes on from there. again, where given, is the point of the first mount.
func (p *proof) verify(im image, cl claim, again func(vfs.Call)) error {
	recovering := atomic.Bool{}
	recovering.Store(true)
	s := im.store(func(c vfs.Call) {
		if again != nil && recovering.Load() {
			again(c)
		}
	})
	if _, err := s.Identity(); errors.Is(err, objectstore.ErrNotFound) && !cl.made {
		if err := s.Mkfs(storetest.ID); err != nil {
			return fmt.Errorf("mkfs again: %w", err)
		}
	}
	if err := s.Mount(); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	recovering.Store(false)
	defer func() { s.abandon() }()
	got, err := contentOf(s)
	if err != nil {
		return err
	}
	if err := p.check(got, cl); err != nil {
		return err
	}
	if s, err = goOnWith(s, im, got); err != nil {
		return fmt.Errorf("going on: %w", err)
	}
	return nil
}

// check says whether got may be there: for each collection the state after some
// transaction, none before the last that was reported, and each transaction in all of its
// collections or in none.
func (p *proof) check(got content, cl claim) error {
	colls := slices.Collect(maps.Keys(got))
	for _, st := range p.colls[:cl.submitted] {
		colls = append(colls, st...)
	}
	slices.SortFunc(colls, objectstore.Coll.Compare)
	colls = slices.Compact(colls)
	cuts := map[objectstore.Coll][]int{}
	for _, c := range colls {
		least := 0
		for i := range cl.submitted {
			if cl.acked[i] && slices.Contains(p.colls[i], c) {
				least = i + 1
			}
		}
		for i := least; i <= cl.submitted; i++ {
			if p.states[i].text(c) == got.text(c) {
				cuts[c] = append(cuts[c], i)
			}
		}
		if len(cuts[c]) == 0 {
			return fmt.Errorf("%v is as it never was between step %d and %d:\n%sand should be, after step %d (%q),\n%s",
				c, least, cl.submitted, got.text(c), least, p.steps[max(0, least-1)].name, p.states[least].text(c))
		}
	}
	if !p.agree(colls, cuts, map[objectstore.Coll]int{}, cl.submitted) {
		return fmt.Errorf("a transaction is there in part: states after %v", cuts)
	}
	return nil
}

func (p *proof) agree(colls []objectstore.Coll, cuts map[objectstore.Coll][]int, chosen map[objectstore.Coll]int, n int) bool {
	if len(colls) > 0 {
		for _, k := range cuts[colls[0]] {
			chosen[colls[0]] = k
			if p.agree(colls[1:], cuts, chosen, n) {
				return true
			}
		}
		return false
	}
	for i, list := range p.colls[:n] {
		in := 0
		for _, c := range list {
			if chosen[c] > i {
				in++
			}
		}
		if in != 0 && in != len(list) {
			return false
		}
	}
	return true
}

// goOnWith changes everything a little, and checks the outcome against a store in memory,
// also after closing and mounting again. It returns the store that is mounted.
func goOnWith(s *Store, im image, have content) (*Store, error) {
	m, err := newModel(have)
	if err != nil {
		return s, err
	}
	defer m.Close()
	build := func() *tx {
		var x tx
		fresh := storetest.Coll(9, 9)
		x.MkColl(fresh, 2)
		x.Write(fresh, inA("fresh", 0), 0, data(30, 9000))
		for c, cc := range have {
			for i, o := range cc.objects {
				switch i % 4 {
				case 0:
					x.Write(c, o.id, uint64(len(o.data)), data(31, 9000))
				case 1:
					x.Write(c, o.id, uint64(len(o.data)+50), data(32, 100))
				case 2:
					x.Write(c, o.id, 10, data(33, 20))
				}
				x.SetAttr(c, o.id, "x@y", bytesOf(34, 3000))
				x.RmAttr(c, o.id, "spill")
				x.OmapSet(c, o.id, map[string][]byte{"after": nil})
			}
		}
		return &x
	}
	done := make(chan struct{})
	if err := errors.Join(m.Submit(build(), nil), s.Submit(build(), func() { close(done) })); err != nil {
		return s, err
	}
	select {
	case <-done:
	case <-s.Failed():
		return s, s.Err()
	}
	want, err := contentOf(m)
	if err != nil {
		return s, err
	}
	same := func() error {
		got, err := contentOf(s)
		if err != nil {
			return err
		}
		for c := range want {
			if got.text(c) != want.text(c) {
				return fmt.Errorf("%v is\n%sand should be\n%s", c, got.text(c), want.text(c))
			}
		}
		return nil
	}
	if err := same(); err != nil {
		return s, err
	}
	if err := s.Close(); err != nil {
		return s, fmt.Errorf("close: %w", err)
	}
	s = im.store(nil)
	if err := s.Mount(); err != nil {
		return s, fmt.Errorf("mount after close: %w", err)
	}
	return s, same()
}

// Whatever call the power goes at, and whatever is left then of what was not synced:
// each collection is as it was after some transaction, all that was reported is there, and
// the store goes on from there. The same when the power goes again while it recovers.
func TestCrashPoints(t *testing.T) { newProof(t).everyCrash("TestCrashPoints") }

// The same for objects that have no file until they grow.
func TestCrashPointsSmall(t *testing.T) {
	p := newProof(t)
	p.opts = scriptedSmall
	p.everyCrash("TestCrashPointsSmall")
}

// The same where transactions are applied while a checkpoint has synced the files and
// not yet the key-value store.
func TestCrashPointsInCheckpoint(t *testing.T) {
	p := newProof(t)
	p.windows = true
	p.everyCrash("TestCrashPointsInCheckpoint")
}

func (p *proof) everyCrash(test string) {
	t := p.t
	im := newImageOf(t, p.opts)
	calls := 0
	stride := 17
	if *crashAll {
		stride = 1
	}
	point := func(c vfs.Call) {
		calls++
		if *crashAt != 0 && calls != *crashAt || *crashAt == 0 && calls%stride != int(*crashSeed)%stride || t.Failed() {
			return
		}
		cl := p.claim()
		for _, mode := range crashModes {
			if c.Op != "write" && (mode == tornNone || mode == tornAll) {
				continue
			}
			rng := rand.New(rand.NewPCG(*crashSeed, uint64(calls)))
			if err := p.crashAt(im.crash(c, mode, rng), cl, rng, mode); err != nil {
				t.Errorf("power lost at call %d (%s %s) with %q kept%v\nrepeat with: go test ./objectstore/filestore -run %s$ -crash.at=%d -crash.seed=%d",
					calls, c.Op, c.Path, mode, err, test, calls, *crashSeed)
			}
		}
	}
	if err := p.run(func() *Store { return im.store(point) }); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d calls, %d recoveries", calls, p.tried)
	if *crashAt == 0 && p.tried < 100 {
		t.Errorf("only %d crashes were tried", p.tried)
	}
}

// crashAt checks one image, and images of crashes while it recovers.
func (p *proof) crashAt(left image, cl claim, rng *rand.Rand, mode crashMode) error {
	calls, stride, from := 0, 13, rng.IntN(13)
	if *crashAt != 0 {
		stride, from = 1, 0
	}
	var again func(vfs.Call)
	var failed error
	if *crashAt != 0 || mode == keepSome {
		again = func(c vfs.Call) {
			if calls++; calls%stride != from || failed != nil {
				return
			}
			m := crashModes[rng.IntN(len(crashModes))]
			p.tried++
			if err := p.verify(left.crash(c, m, rng), cl, nil); err != nil {
				failed = fmt.Errorf(", and again at call %d (%s %s) of the recovery with %q kept: %w", calls, c.Op, c.Path, m, err)
			}
		}
	}
	p.tried++
	if err := p.verify(left, cl, again); err != nil {
		return fmt.Errorf(": %w", err)
	}
	return failed
}
