package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"sepiola/message"
	"sepiola/rados"
	"sepiola/wire"
)

// Names of what benchmarks leave in a pool (src/common/obj_bencher.cc), shared with
// Ceph's program: each finds the other's objects.
const (
	benchPrefix  = "benchmark_data"
	benchLastRun = "benchmark_last_metadata"
)

// hostnameMax is how much of the host's name benchmarks put into names, in bytes.
const hostnameMax = 29

// prefixOfHost begins the names of all of this host's benchmark objects.
func prefixOfHost() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return benchPrefix + "_" + host[:min(len(host), hostnameMax)]
}

func benchObject(pid, n int) string { return fmt.Sprintf("%s_%d_object%d", prefixOfHost(), pid, n) }

// benchRun is what a run writes down for reads and cleaning up: sizes in bytes, the
// number of operations made, and the process whose number is in the names.
type benchRun struct {
	objectSize, opSize uint64
	ops, pid           int
}

func (r benchRun) perObject() int {
	if r.opSize == 0 || r.objectSize <= r.opSize {
		return 1
	}
	return int(r.objectSize / r.opSize)
}

func (r benchRun) objects() int { return (r.ops + r.perObject() - 1) / r.perObject() }

// at returns where operation n goes.
func (r benchRun) at(n int) (name string, off uint64) {
	return benchObject(r.pid, n/r.perObject()), uint64(n%r.perObject()) * r.opSize
}

// opsMax bounds the operations of a run that is read back from a pool.
const opsMax = 1 << 31

func (b *bencher) load(meta string) (benchRun, error) {
	p, err := b.io.Read(b.ctx, meta, 0, 24)
	if err != nil {
		return benchRun{}, err
	}
	if len(p) == 0 {
		return benchRun{}, rados.Errno(2) // as good as no record
	}
	d := wire.NewDecoder(p)
	r := benchRun{objectSize: d.U64(), ops: int(d.I32()), pid: int(d.I32())}
	if r.opSize = r.objectSize; d.Left() > 0 {
		r.opSize = d.U64()
	}
	if d.Err() != nil || r.opSize > opsMax || r.ops < 0 {
		return benchRun{}, fmt.Errorf("%s is no record of a benchmark: %w", meta, rados.Errno(5))
	}
	return r, nil
}

func (b *bencher) save(meta string, r benchRun) error {
	e := wire.NewEncoder(24)
	e.U64(r.objectSize)
	e.I32(int32(r.ops))
	e.I32(int32(r.pid))
	e.U64(r.opSize)
	return b.io.WriteFull(b.ctx, meta, e.Bytes())
}

// bencher runs one benchmark.
type bencher struct {
	*tool
	io    *rados.IOCtx
	notes io.Writer // what is said beside the results
	out   *report
	run   benchRun
}

func (t *tool) bench(args []string) error {
	seconds, err := strconv.Atoi(args[0])
	if err != nil {
		return t.fail("Invalid value for seconds: '%s'", args[0])
	}
	o, kind := t.o, args[1]
	switch {
	case kind != "write" && kind != "seq" && kind != "rand":
		return errUsage
	case kind != "write" && o.sizeGiven:
		return t.fail("-b|--block_size option can be used only with 'write' bench test")
	case kind != "write" && (o.writeObject || o.writeOmap || o.writeXattr):
		return t.fail("--write-object, --write-omap and --write-xattr options can only be used with the 'write' bench test")
	case !o.json() && o.output != "":
		return t.fail("-o|--output option can only be used with '--format' option")
	}
	run := benchRun{objectSize: o.objectSize, opSize: o.opSize, pid: os.Getpid()}
	if run.objectSize == 0 {
		run.objectSize = run.opSize
	}
	run.opSize = min(run.opSize, run.objectSize)
	hints := 1
	if o.noHints {
		hints = 0
	}
	fmt.Fprintf(t.stdout, "hints = %d\n", hints)
	b := &bencher{tool: t, io: t.io, notes: t.stdout, run: run}
	if o.json() {
		b.notes = t.stderr
	}
	if err := b.carryOut(kind, time.Duration(seconds)*time.Second); err != nil {
		fmt.Fprintf(t.stderr, "error during benchmark: %s\n", errText(err))
		return err
	}
	return nil
}

func (b *bencher) metaName() string {
	if b.o.runName != "" {
		return b.o.runName
	}
	return benchLastRun
}

func (b *bencher) carryOut(kind string, limit time.Duration) (err error) {
	if b.o.concurrent <= 0 {
		return rados.Errno(22)
	}
	if kind != "write" || b.o.reuse {
		b.run, err = b.load(b.metaName())
		if isNoEntry(err) {
			what := "running a read benchmark"
			if b.o.reuse {
				what = "using reuse_bench for a write benchmark"
			}
			fmt.Fprintf(b.stderr, "Must write data before %s!\n", what)
		}
		if err != nil {
			return err
		}
	}
	if b.out, err = b.newReport(limit); err != nil {
		return err
	}
	if kind == "write" {
		err = b.write(limit)
	} else {
		err = b.read(kind == "rand", limit)
	}
	if e := b.out.close(); err == nil {
		err = e
	}
	if err == nil && kind == "write" && !b.o.noCleanup {
		err = b.cleanUpRun()
	}
	return err
}

// cleanUpRun removes what this run has written.
func (b *bencher) cleanUpRun() error {
	begin := time.Now()
	b.out.note("Cleaning up (deleting benchmark objects)")
	if err := b.removeRun(b.run); err != nil {
		return err
	}
	b.out.note("Clean up completed and total clean up time :" + number(time.Since(begin).Seconds()))
	return b.io.Remove(b.ctx, b.metaName())
}

// pattern fills p with what operation n writes.
func pattern(p []byte, n int) {
	for i := range p {
		p[i] = 'z'
	}
	stampPattern(p, n)
}

// stampPattern writes the number of an operation at the start of its bytes, as a C
// string.
func stampPattern(p []byte, n int) {
	s := fmt.Sprintf("I'm the %16dth op!", n)
	if len(p) > 0 {
		k := copy(p[:len(p)-1], s)
		p[k] = 0
	}
}

func (b *bencher) write(limit time.Duration) error {
	o := b.o
	most := -1
	if o.maxObjects > 0 && b.run.opSize > 0 {
		most = int((b.run.objectSize*o.maxObjects + b.run.opSize - 1) / b.run.opSize)
	}
	b.out.startWrite(limit)
	buffers := sync.Pool{New: func() any {
		p := make([]byte, b.run.opSize)
		pattern(p, 0)
		return &p
	}}
	err := b.drive(limit, most, func(ctx context.Context, n int) error {
		p := buffers.Get().(*[]byte)
		stampPattern(*p, n)
		name, off := b.run.at(n)
		begun, err := b.io.Start(ctx, name, b.writeOp(off, *p))
		if err == nil {
			err = begun.Wait()
		}
		if err == nil {
			buffers.Put(p) // what failed may still be on its way
		}
		return err
	})
	b.out.stop()
	if err != nil {
		return err
	}
	b.run.ops = b.out.finished
	b.out.summary("writes")
	return b.save(b.metaName(), b.run)
}

// benchHints are what a benchmark tells of its objects.
const benchHints = message.AllocHintSequentialWrite | message.AllocHintSequentialRead | message.AllocHintAppendOnly |
	message.AllocHintIncompressible

// writeOp is one write, to wherever the options say.
func (b *bencher) writeOp(off uint64, p []byte) *rados.Op {
	op, o := new(rados.Op), b.o
	if !o.noHints {
		op.SetAllocHint(b.run.objectSize, b.run.opSize, benchHints)
	}
	if o.writeObject || !o.writeOmap && !o.writeXattr {
		op.Write(off, p)
	}
	if o.writeOmap {
		op.OmapSet(map[string][]byte{strconv.FormatUint(off, 10): p})
	}
	if o.writeXattr {
		op.SetXattr(strconv.FormatUint(off, 10), p)
	}
	return op
}

func (b *bencher) read(random bool, limit time.Duration) error {
	most := b.run.ops
	if random {
		most = -1
	}
	if b.run.ops == 0 {
		most = 0
	}
	var wrong counter
	b.out.startRead()
	err := b.drive(limit, most, func(ctx context.Context, n int) error {
		if random && n >= b.o.concurrent {
			n = rand.IntN(b.run.ops)
		} else {
			n %= b.run.ops
		}
		name, off := b.run.at(n)
		var p []byte
		begun, err := b.io.Start(ctx, name, new(rados.Op).Read(off, b.run.opSize, &p))
		if err == nil {
			err = begun.Wait()
		}
		if err == nil && !b.o.noVerify && !b.verify(p, n) {
			fmt.Fprintf(b.stderr, "%s is not correct!\n", name)
			wrong.add()
		}
		return err
	})
	b.out.stop()
	if err != nil {
		fmt.Fprintf(b.stderr, "read got %s\n", errText(err))
		return err
	}
	b.out.summary("reads")
	if wrong.n > 0 {
		return rados.Errno(5)
	}
	return nil
}

// verify reports whether p is what operation n wrote.
func (b *bencher) verify(p []byte, n int) bool {
	if uint64(len(p)) != b.run.opSize {
		return false
	}
	const head = 64 // the stamp and then some
	var want [head]byte
	h := min(head, len(p))
	pattern(want[:h], n)
	if h < head && len(p) > 0 {
		return bytes.Equal(p, want[:h])
	}
	return bytes.Equal(p[:h], want[:h]) && strings.Trim(string(p[h:]), "z") == ""
}

type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) add() {
	c.mu.Lock()
	c.n++
	c.mu.Unlock()
}

// drive keeps the configured number of operations in flight until limit is over or
// most have been started (negative: no limit). One of each slot is started in any
// case. The first failure ends it.
func (b *bencher) drive(limit time.Duration, most int, do func(ctx context.Context, n int) error) error {
	ctx, cancel := context.WithCancelCause(b.ctx)
	defer cancel(nil)
	end := time.Now().Add(limit)
	var wg sync.WaitGroup
	for range b.o.concurrent {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for first := true; first || time.Now().Before(end); first = false {
				n, ok := b.out.begin(most)
				if !ok || ctx.Err() != nil {
					return
				}
				at := time.Now()
				if err := do(ctx, n); err != nil {
					cancel(err)
					return
				}
				b.out.end(time.Since(at))
			}
		}()
	}
	wg.Wait()
	return context.Cause(ctx)
}
