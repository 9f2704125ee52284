package filestore

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"sepiola/entity"
	"sepiola/objectstore/filestore/vfs"
	"sepiola/wire"
)

const testSegment = 64 << 10

// testJournal is a journal on a file system in memory, and what was written to it.
type testJournal struct {
	t      *testing.T
	fs     *vfs.Mem
	j      *journal
	rounds []string // one record each
	starts []position
}

func newTestJournal(t *testing.T) *testJournal {
	tj := &testJournal{t: t, fs: vfs.NewMem()}
	if err := createJournal(tj.fs, "/journal", entity.UUID{7}, testSegment, 4); err != nil {
		t.Fatal(err)
	}
	j, _, err := openJournal(tj.fs, "/journal", entity.UUID{7}, 64)
	if err == nil {
		err = j.trim(j.next) // as Mount does
	}
	if err != nil {
		t.Fatal(err)
	}
	tj.j = j
	return tj
}

// open reads the journal as after a crash; the writer stays.
func (tj *testJournal) open() []string {
	tj.t.Helper()
	got, err := tj.tryOpen()
	if err != nil {
		tj.t.Fatal(err)
	}
	return got
}

func (tj *testJournal) tryOpen() ([]string, error) {
	_, rounds, err := openJournal(tj.fs, "/journal", entity.UUID{7}, 64)
	if err != nil {
		return nil, err
	}
	var got []string
	for _, r := range rounds {
		for _, rec := range r.records {
			got = append(got, string(rec))
		}
	}
	return got, nil
}

func (tj *testJournal) write(size int) {
	tj.t.Helper()
	rec := bytes.Repeat([]byte{byte('a' + len(tj.rounds)%26)}, size)
	copy(rec, fmt.Sprint(len(tj.rounds)))
	w := stream{j: tj.j}
	err := w.begin()
	if err == nil {
		tj.starts = append(tj.starts, tj.j.next)
		err = w.record(nil, []cut{{0, wire.BufOf(rec)}})
	}
	if err == nil {
		err = w.end(chunkLast)
	}
	if err == nil {
		err = tj.j.f.SyncData()
	}
	if err != nil {
		tj.t.Fatal(err)
	}
	tj.j.durable = tj.j.next.chunk - 1
	tj.rounds = append(tj.rounds, string(rec))
}

// flip inverts a byte of the journal.
func (tj *testJournal) flip(at int64) {
	f, err := tj.fs.Open("/journal", 0)
	if err != nil {
		tj.t.Fatal(err)
	}
	p := make([]byte, 1)
	if _, err := f.ReadAt(p, at); err != nil {
		tj.t.Fatal(err)
	}
	p[0] ^= 0x10
	f.WriteAt(p, at)
}

// What was written is read back, over segment borders, over growth of the file, and in
// rounds longer than a segment.
func TestJournalReadsBack(t *testing.T) {
	tj := newTestJournal(t)
	for _, n := range []int{1, 100, 4000, 5000, 60000, 100, 64 << 10, 300000, 7, 200000} {
		tj.write(n)
		if got := tj.open(); !slices.Equal(got, tj.rounds) {
			t.Fatalf("%d rounds read of %d", len(got), len(tj.rounds))
		}
	}
}

// Trimming frees segments for use again, and what was trimmed does not come back.
func TestJournalTrims(t *testing.T) {
	tj := newTestJournal(t)
	for i := range 100 {
		tj.write(20000)
		if i%3 == 2 {
			if err := tj.j.trim(tj.j.next); err != nil {
				t.Fatal(err)
			}
			tj.rounds = nil
		}
	}
	if tj.j.segments > 4 {
		t.Errorf("the journal grew to %d segments although it was trimmed", tj.j.segments)
	}
	if got := tj.open(); !slices.Equal(got, tj.rounds) {
		t.Fatalf("%d rounds read of %d", len(got), len(tj.rounds))
	}
}

// A round that was being written when the power went is cut off, whichever of its
// bytes arrived; the ones before stay.
func TestJournalCutsTornTail(t *testing.T) {
	tj := newTestJournal(t)
	for range 5 {
		tj.write(9000)
	}
	last := tj.j.offset(tj.starts[4])
	for _, at := range []int64{0, 4, 8, 24, 28, chunkHeader, chunkHeader + 5000} {
		tj.flip(last + at)
		if got := tj.open(); !slices.Equal(got, tj.rounds[:4]) {
			t.Errorf("byte %d of the last round flipped: %d rounds read, want 4", at, len(got))
		}
		tj.flip(last + at)
	}
}

// A round that was durable is never skipped: damage to it is an error that says so.
func TestJournalReportsDamage(t *testing.T) {
	tj := newTestJournal(t)
	for range 6 {
		tj.write(30000) // over several segments
	}
	for i, start := range tj.starts[:5] {
		at := tj.j.offset(start) + 5000
		tj.flip(at)
		if got, err := tj.tryOpen(); !errors.Is(err, errDamaged) {
			t.Errorf("round %d damaged: %d rounds read, error %v", i, len(got), err)
		}
		tj.flip(at)
	}
}

// A journal of another store, or with both headers gone, is refused.
func TestJournalHeader(t *testing.T) {
	tj := newTestJournal(t)
	tj.write(100)
	if _, _, err := openJournal(tj.fs, "/journal", entity.UUID{8}, 64); err == nil {
		t.Error("a journal of another store was accepted")
	}
	older := int64((tj.j.gen+1)%2) * headerSize
	tj.flip(older + 20)
	if got := tj.open(); len(got) != 1 {
		t.Errorf("with the older header gone: %d rounds", len(got))
	}
	tj.flip(headerSize - older + 20)
	if _, err := tj.tryOpen(); err == nil {
		t.Error("with both headers gone the journal was accepted")
	}
}

// No bytes make the decoder of records panic, and what it accepts encodes the same.
func FuzzDecodeRecord(f *testing.F) {
	r := &record{kv: []byte("batch"), stored: -5,
		files: []fileEntry{{fid: 7, path: "current/1.0_head/x"}},
		ops: []fileOp{
			{kind: fileCreate}, {kind: fileWrite, off: 4096, data: wire.BufOf(make([]byte, 5000))},
			{kind: fileSetAttr, name: "_", data: wire.BufOf([]byte("v"))}, {kind: fileRename, name: "to"},
		}}
	f.Add(flatRecord(r))
	f.Fuzz(func(t *testing.T, p []byte) {
		r, err := decodeRecord(p)
		if err != nil {
			return
		}
		if got := flatRecord(r); !bytes.Equal(got, p) {
			t.Fatalf("encodes as %x, was %x", got, p)
		}
	})
}

func flatRecord(r *record) []byte {
	var e wire.Encoder
	cuts := r.encode(&e, nil)
	var out []byte
	at := 0
	for _, c := range cuts {
		out = append(append(out, e.Bytes()[at:c.at]...), c.data.Flat()...)
		at = c.at
	}
	return append(out, e.Bytes()[at:]...)
}
