package filestore

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/objectstore/storetest"
	"sepiola/wire"
)

// benchStore is a store with a PG's collection for each submitter. SEPIOLA_BENCH_DIR
// names the directory to use, by default one for temporary files.
func benchStore(b *testing.B, pgs int) (*Store, []objectstore.Coll) {
	b.Helper()
	dir, err := os.MkdirTemp(os.Getenv("SEPIOLA_BENCH_DIR"), "bench")
	if err != nil {
		b.Fatal(err)
	}
	s := New(dir, Options{})
	if err := s.Mkfs(storetest.ID); err != nil {
		b.Fatal(err)
	}
	if err := s.Mount(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
		os.RemoveAll(dir)
	})
	var colls []objectstore.Coll
	for i := range pgs {
		c := storetest.Coll(1, uint32(i))
		submitWait(b, s, func(tx *objectstore.Transaction) { tx.MkColl(c, 4); tx.Touch(c, c.PG.MetaObject()) })
		colls = append(colls, c)
	}
	return s, colls
}

func submitWait(b testing.TB, s *Store, build func(*objectstore.Transaction)) {
	var tx objectstore.Transaction
	build(&tx)
	done := make(chan struct{})
	if err := s.Submit(&tx, func() { close(done) }); err != nil {
		b.Fatal(err)
	}
	select {
	case <-done:
	case <-s.Failed():
		b.Fatal(s.Err())
	}
}

func benchObject(pg, i int) object.GID {
	name := fmt.Sprintf("benchmark_data_%d_%d", pg, i)
	o := object.G(object.Head(1, "", "", name, object.HashRjenkins.Hash(name)&^15|uint32(pg)))
	return o
}

// writeLikeOSD adds what an OSD's transaction for one client write has: data, the two
// attributes that change with it, and the log entry and info in the PG's omap.
func writeLikeOSD(tx *objectstore.Transaction, c objectstore.Coll, o object.GID, off uint64, data []byte, version int) {
	oi := make([]byte, 250)
	copy(oi, fmt.Sprint("object info at version ", version))
	tx.Write(c, o, off, wire.BufOf(data))
	tx.SetAttrs(c, o, map[string][]byte{"_": oi, "snapset": make([]byte, 35)})
	tx.OmapSet(c, c.PG.MetaObject(), map[string][]byte{
		fmt.Sprintf("0000000010.%020d", version): make([]byte, 200),
		"_fastinfo":                              make([]byte, 186),
	})
}

// run has n submitters do b.N operations and reports rates beside time per operation.
func run(b *testing.B, n, size int, op func(worker, i int)) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	before := cpu()
	b.ResetTimer()
	start := time.Now()
	for w := range n {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				i := int(next.Add(1)) - 1
				if i >= b.N {
					return
				}
				op(w, i)
			}
		}()
	}
	wg.Wait()
	took := time.Since(start).Seconds()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/took, "ops/s")
	b.ReportMetric(float64(b.N)*float64(size)/took/1e6, "MB/s")
	b.ReportMetric((cpu()-before).Seconds()*1e6/float64(b.N), "cpu-us/op")
}

func cpu() time.Duration {
	var ru unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &ru)
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

func BenchmarkWrite(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10, 4 << 20} {
		for _, inFlight := range []int{1, 16, 64} {
			for _, kind := range []string{"new", "overwrite"} {
				b.Run(fmt.Sprintf("%s/%dKiB/%d", kind, size>>10, inFlight), func(b *testing.B) {
					benchWrite(b, size, inFlight, kind == "new")
				})
			}
		}
	}
}

func benchWrite(b *testing.B, size, inFlight int, fresh bool) {
	const pgs = 16
	s, colls := benchStore(b, pgs)
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i * 7)
	}
	const extent = 4 << 20
	if !fresh {
		for pg := range pgs {
			submitWait(b, s, func(tx *objectstore.Transaction) {
				tx.Write(colls[pg], benchObject(pg, 0), 0, wire.BufOf(make([]byte, extent)))
			})
		}
	}
	run(b, inFlight, size, func(w, i int) {
		pg := w % pgs
		submitWait(b, s, func(tx *objectstore.Transaction) {
			if fresh {
				writeLikeOSD(tx, colls[pg], benchObject(pg, i), 0, data, i)
				return
			}
			writeLikeOSD(tx, colls[pg], benchObject(pg, 0), uint64(rand.IntN(extent/size)*size), data, i)
		})
	})
}

func BenchmarkRead(b *testing.B) {
	for _, size := range []int{4 << 10, 4 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			s, colls := benchStore(b, 1)
			const objects = 64
			for i := range objects {
				submitWait(b, s, func(tx *objectstore.Transaction) {
					tx.Write(colls[0], benchObject(0, i), 0, wire.BufOf(make([]byte, 4<<20)))
				})
			}
			run(b, 16, size, func(_, _ int) {
				off := uint64(rand.IntN((4<<20)/size) * size)
				if _, err := s.Read(colls[0], benchObject(0, rand.IntN(objects)), off, uint64(size)); err != nil {
					b.Error(err)
				}
			})
		})
	}
}
