package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/go-hclog"

	"sepiola/config"
	"sepiola/rados"
)

// Shape of the workload: enough in flight to keep the journals' group commits and
// the PGs' queues busy on two cores.
const (
	workerCount    = 24
	objectsEach    = 10 // per worker
	clientCount    = 4
	readerCount    = 3
	appendLogCount = 4
	burstMax       = 6 // changes of one object in flight
)

// workload changes objects through a few clients until it is stopped. Of each object
// one worker is the only writer; readers with a client of their own read any.
type workload struct {
	conf string
	pool string
	name string // in the objects' names
	seed uint64

	mu      sync.Mutex
	objects []*history
	clients [clientCount]*generation
	failure error // the first
	logs    []*appendLog

	done    atomic.Int64 // acknowledged changes
	reads   atomic.Int64
	ctx     context.Context
	cancel  context.CancelFunc
	workers sync.WaitGroup
}

// generation is a client from its connection to its end.
type generation struct {
	client *rados.Client
	io     *rados.IOCtx
}

// connect opens a client and the pool.
func connect(ctx context.Context, conf, pool string) (*generation, error) {
	c := config.New("client", "admin")
	if err := c.Load(conf); err != nil {
		return nil, err
	}
	client, err := rados.Connect(ctx, c, hclog.NewNullLogger())
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	io, err := client.Pool(ctx, pool)
	if err != nil {
		client.Close()
		return nil, fmt.Errorf("opening pool %s: %w", pool, err)
	}
	return &generation{client, io}, nil
}

// startWorkload begins to change objects whose names begin with name.
func startWorkload(t testing.TB, conf, pool, name string, seed uint64) *workload {
	t.Helper()
	w := &workload{conf: conf, pool: pool, name: name, seed: seed}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	for i := range w.clients {
		g, err := connect(w.ctx, conf, pool)
		if err != nil {
			t.Fatal(err)
		}
		w.clients[i] = g
	}
	for i := range appendLogCount {
		w.logs = append(w.logs, newAppendLog(fmt.Sprintf("%s-log%d", name, i)))
	}
	for i := range workerCount {
		w.workers.Go(func() { w.write(i) })
	}
	for i := range readerCount {
		w.workers.Go(func() { w.read(i) })
	}
	return w
}

// finish waits until what is in flight is answered, and closes the clients. The
// cluster must be able to answer.
func (w *workload) finish() error {
	w.cancel()
	w.workers.Wait()
	for _, g := range w.clients {
		g.client.Close()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failure
}

// failed ends the workload with the first finding.
func (w *workload) failed(err error) {
	w.mu.Lock()
	if w.failure == nil {
		w.failure = err
	}
	w.mu.Unlock()
	w.cancel()
}

func (w *workload) client(i int) *generation {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clients[i]
}

// crashClient ends one client with all it has in flight, as the end of its process
// would, and lets another take its place.
func (w *workload) crashClient(ctx context.Context, i int) error {
	g, err := connect(ctx, w.conf, w.pool)
	if err != nil {
		return err
	}
	w.mu.Lock()
	old := w.clients[i]
	w.clients[i] = g
	w.mu.Unlock()
	old.client.Close()
	return nil
}

// awaitProgress returns when n more changes were acknowledged.
func (w *workload) awaitProgress(ctx context.Context, n int64) error {
	from := w.done.Load()
	return await(ctx, fmt.Sprintf("%d acknowledged changes", n), func() (bool, string) {
		if w.ctx.Err() != nil {
			return true, "" // finish says why
		}
		d := w.done.Load() - from
		return d >= n, fmt.Sprintf("%d were", d)
	})
}

func (w *workload) add(o *history) *history {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.objects = append(w.objects, o)
	return o
}

// write is one worker: it picks one of its objects, changes it a few times without
// waiting, then waits for the answers.
func (w *workload) write(id int) {
	rng := rand.New(rand.NewPCG(w.seed, uint64(id)))
	next := 0
	fresh := func() *history {
		next++
		return w.add(newHistory(fmt.Sprintf("%s-%d-%d", w.name, id, next)))
	}
	own := make([]*history, objectsEach)
	records := 0
	for w.ctx.Err() == nil {
		g := w.client(id % clientCount)
		if rng.IntN(12) == 0 {
			records++
			w.appendRecord(g, w.logs[rng.IntN(len(w.logs))], record{id, records})
			continue
		}
		i := rng.IntN(len(own))
		if own[i] == nil || own[i].frozen {
			own[i] = fresh()
		}
		if err := w.burst(g, rng, own[i]); err != nil {
			w.failed(err)
		}
	}
}

// inDoubt reports whether an error says nothing about what became of an operation.
func inDoubt(err error) bool { return errors.Is(err, rados.ErrClosed) }

func (w *workload) burst(g *generation, rng *rand.Rand, o *history) error {
	type sent struct {
		state int
		what  step
		p     *rados.Pending
	}
	var list []sent
	for range 1 + rng.IntN(burstMax) {
		s := choose(rng, o.name, o.first+len(o.states), &o.last)
		n := o.issue(s)
		p, err := g.io.Start(context.Background(), o.name, s.op())
		if inDoubt(err) {
			o.freeze()
			break
		} else if err != nil {
			return fmt.Errorf("%s: state %d (%v): %w", o.name, n, s, err)
		}
		list = append(list, sent{n, s, p})
		if rng.IntN(5) == 0 {
			// It comes after what was started before it.
			if err := readAndCheck(g.io, o, n); inDoubt(err) {
				break
			} else if err != nil {
				return err
			}
		}
	}
	for _, s := range list {
		err := s.p.Wait()
		switch {
		case err == nil:
			o.ack(s.state)
			w.done.Add(1)
		case inDoubt(err):
			o.freeze()
		default:
			return fmt.Errorf("%s: state %d (%v): %w", o.name, s.state, s.what, err)
		}
	}
	return nil
}

func (w *workload) appendRecord(g *generation, l *appendLog, r record) {
	l.issue(r)
	err := g.io.Append(context.Background(), l.name, r.bytes())
	switch {
	case err == nil:
		l.ack(r)
		w.done.Add(1)
	case !inDoubt(err):
		w.failed(fmt.Errorf("%s: append: %w", l.name, err))
	}
}

// read is one reader: what it sees must be no older than what was acknowledged
// before it asked.
func (w *workload) read(id int) {
	g, err := connect(w.ctx, w.conf, w.pool)
	if err != nil {
		if w.ctx.Err() == nil {
			w.failed(err)
		}
		return
	}
	defer g.client.Close()
	rng := rand.New(rand.NewPCG(w.seed, uint64(1000+id)))
	for w.ctx.Err() == nil {
		w.mu.Lock()
		var o *history
		if len(w.objects) > 0 {
			o = w.objects[rng.IntN(len(w.objects))]
		}
		w.mu.Unlock()
		if o == nil {
			continue
		}
		if err := readAndCheck(g.io, o, o.least()); err != nil {
			w.failed(err)
		}
		w.reads.Add(1)
	}
}

// readAndCheck reads an object whole, in one operation, and judges what it sees.
func readAndCheck(io *rados.IOCtx, o *history, least int) error {
	c, err := readObject(context.Background(), io, o.name)
	if err != nil {
		return fmt.Errorf("%s: read: %w", o.name, err)
	}
	return o.check(least, c)
}

func readObject(ctx context.Context, io *rados.IOCtx, name string) (*content, error) {
	var data, header []byte
	var attrs map[string][]byte
	var omap rados.OmapPage
	op := new(rados.Op).Read(0, 0, &data).GetXattrs(&attrs).OmapHeader(&header).OmapVals("", "", 1000, &omap)
	err := io.Operate(ctx, name, op)
	if errors.Is(err, rados.Errno(2)) {
		return &content{}, nil
	}
	return &content{exists: true, data: data, header: string(header), attrs: text(attrs), omap: text(omap.Values)}, err
}

func text(m map[string][]byte) map[string]string {
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[k] = string(v)
	}
	return out
}

// verify reads back every object and append log.
func (w *workload) verify(ctx context.Context, io *rados.IOCtx) error {
	work := make(chan func() error)
	var mu sync.Mutex
	var errs []error
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for f := range work {
				if err := f(); err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
			}
		})
	}
	for _, o := range w.objects {
		work <- func() error {
			c, err := readObject(ctx, io, o.name)
			if err != nil {
				return fmt.Errorf("%s: read: %w", o.name, err)
			}
			return o.check(o.acked, c)
		}
	}
	for _, l := range w.logs {
		work <- func() error {
			data, err := io.Read(ctx, l.name, 0, 0)
			if err != nil && !errors.Is(err, rados.Errno(2)) {
				return fmt.Errorf("%s: read: %w", l.name, err)
			}
			return l.check(data)
		}
	}
	close(work)
	wg.Wait()
	if len(errs) > 5 {
		errs = append(errs[:5], fmt.Errorf("and %d more", len(errs)-5))
	}
	return errors.Join(errs...)
}
