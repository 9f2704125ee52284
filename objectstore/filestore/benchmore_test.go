package filestore

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/objectstore/filestore/vfs"
)

// BenchmarkOmap sets keys of 100 bytes each, so many to a transaction.
func BenchmarkOmap(b *testing.B) {
	for _, keys := range []int{1, 16, 256} {
		for _, inFlight := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("set/%dkeys/%d", keys, inFlight), func(b *testing.B) {
				const pgs = 16
				s, colls := benchStore(b, pgs)
				run(b, inFlight, 100*keys, func(w, i int) {
					set := make(map[string][]byte, keys)
					for k := range keys {
						set[fmt.Sprintf("key%012d", i*keys+k)] = make([]byte, 85)
					}
					submitWait(b, s, func(tx *objectstore.Transaction) { tx.OmapSet(colls[w%pgs], benchObject(w%pgs, w), set) })
				})
			})
		}
	}
}

// listed is how many objects BenchmarkList makes, once for all of its parts, and
// listSetup how long it takes for that at most: on a slow machine there are fewer.
const (
	listed    = 1_000_000
	listSetup = 2 * time.Minute
)

// listObject returns an object; they are in order, and so made fastest.
func listObject(i int) object.GID {
	return object.G(object.Head(1, "", "", fmt.Sprint("benchmark_data_", i), bits.Reverse32(uint32(i)<<11)))
}

// BenchmarkList lists a collection of a million objects: the whole of it, 1000 at a time, and
// 100 from any position on.
func BenchmarkList(b *testing.B) {
	s, colls := benchStore(b, 1)
	c := colls[0]
	const batch = 1000
	objects, start := 0, time.Now()
	for ; objects < listed && time.Since(start) < listSetup; objects += batch {
		var tx objectstore.Transaction
		for k := range batch {
			tx.Touch(c, listObject(objects+k))
		}
		if err := s.Submit(&tx, nil); err != nil {
			b.Fatal(err)
		}
	}
	settle(s)
	b.Logf("%d objects, made in %v", objects, time.Since(start))
	b.Run("whole", func(b *testing.B) {
		for b.Loop() {
			n := 0
			for pos := object.GMin; pos.Compare(object.GMax) < 0; {
				list, next, err := s.List(c, pos, object.GMax, 1000)
				if err != nil {
					b.Fatal(err)
				}
				n, pos = n+len(list), next
			}
			if n != objects+1 { // and the PG's metadata
				b.Fatalf("%d objects", n)
			}
		}
		b.ReportMetric(float64(b.N)*float64(objects)/b.Elapsed().Seconds(), "objects/s")
	})
	b.Run("from anywhere", func(b *testing.B) {
		for b.Loop() {
			list, _, err := s.List(c, listObject(rand.IntN(objects)), object.GMax, 100)
			if err != nil || len(list) == 0 {
				b.Fatalf("%d objects, %v", len(list), err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lists/s")
	})
}

// BenchmarkDisk is the limit that the others are to be seen against: bare writes to a
// file that is there already, each with its sync, by so many at a time; the same with one
// sync for all of those, as the journal has it; and one long file.
func BenchmarkDisk(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10, 1 << 20} {
		for _, inFlight := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("write+fdatasync/%dKiB/%d", size>>10, inFlight), func(b *testing.B) { benchDisk(b, size, inFlight) })
		}
	}
	for _, size := range []int{4 << 10, 64 << 10} {
		for _, together := range []int{16, 64} {
			b.Run(fmt.Sprintf("write+shared fdatasync/%dKiB/%d", size>>10, together), func(b *testing.B) { benchShared(b, size, together) })
		}
	}
	b.Run("sequential", benchSequential)
}

const benchFile = 64 << 20 // bytes

// diskFile makes a file, and where it is to be written over, fills it.
func diskFile(b *testing.B, fill int) (vfs.File, []byte) {
	b.Helper()
	dir, err := os.MkdirTemp(os.Getenv("SEPIOLA_BENCH_DIR"), "bench")
	if err != nil {
		b.Fatal(err)
	}
	f, err := vfs.OS.Open(dir+"/f", vfs.Create|vfs.Direct)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close(); os.RemoveAll(dir) })
	p := aligned(4 << 20)
	for off := 0; off < fill; off += len(p) {
		if _, err := f.WriteAt(p, int64(off)); err != nil {
			b.Fatal(err)
		}
	}
	if err := f.SyncData(); err != nil {
		b.Fatal(err)
	}
	return f, p
}

func benchDisk(b *testing.B, size, inFlight int) {
	f, p := diskFile(b, benchFile)
	run(b, inFlight, size, func(_, i int) {
		if _, err := f.WriteAt(p[:size], int64(i*size%benchFile)); err != nil {
			b.Error(err)
		}
		if err := f.SyncData(); err != nil {
			b.Error(err)
		}
	})
}

// benchShared counts each of the writes that share a sync.
func benchShared(b *testing.B, size, together int) {
	f, p := diskFile(b, benchFile)
	n := size * together
	run(b, 1, size, func(_, i int) {
		if i%together != together-1 && i != b.N-1 {
			return
		}
		if _, err := f.WriteAt(p[:n], int64(i/together*n%benchFile)); err != nil {
			b.Error(err)
		}
		if err := f.SyncData(); err != nil {
			b.Error(err)
		}
	})
}

// benchSequential writes one file of up to 1 GiB after another, 4 MiB at a time, with a sync
// for every 64 MiB.
func benchSequential(b *testing.B) {
	f, p := diskFile(b, 0)
	run(b, 1, len(p), func(_, i int) {
		if _, err := f.WriteAt(p, int64(i*len(p)%(1<<30))); err != nil {
			b.Error(err)
		}
		if i%16 == 15 || i == b.N-1 {
			if err := f.SyncData(); err != nil {
				b.Error(err)
			}
		}
	})
}
