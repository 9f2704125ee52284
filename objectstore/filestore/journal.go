package filestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"sepiola/entity"
	"sepiola/objectstore/filestore/vfs"
	"sepiola/wire"
)

// The journal file:
//
//	0      header slot A      4096 bytes
//	4096   header slot B      4096 bytes
//	8192   segment 0          segmentSize bytes
//	       segment 1 ...
//
// The slots are written in turn; the valid one with the higher generation counts. It
// says where replay begins. A segment is a row of chunks, each starting at a
// multiple of 4096:
//
//	magic u32 | crc u32 | chunk u64 | durable u64 | len u32 | flags u32 | len bytes | zeros
//
// Chunks are numbered without gaps, over segments too: the chunk after the last of
// a segment is the first of some other. The checksum (CRC-32C, begun with the
// store's id so that another store's leftovers never pass) covers what follows it.
// The bytes of the chunks of one round, end to end, are records:
//
//	len u32 | record
//
// durable is the last chunk that was known to be durable when this one was
// written. It tells a torn tail from damage: where chunk k is invalid and a later one
// says that k was durable, the journal is damaged and the store does not start.
const (
	headerSize  = vfs.BlockSize
	journalBase = 2 * headerSize
	chunkHeader = 4 + 4 + 8 + 8 + 4 + 4
	chunkMagic  = 0x4a706553 // "SepJ"
	headerMagic = 0x48706553 // "SepH"

	chunkLast = 1 // flag: the round ends here
)

// chunkMax is how many bytes a chunk takes at most, and thereby the journal's
// write buffer.
const chunkMax = 1 << 20

// position is a place in the journal.
type position struct {
	segment uint32
	off     uint32 // within the segment
	chunk   uint64 // the number of the chunk that begins, or will begin, there
}

// journal writes rounds and knows which segments are in use.
type journal struct {
	f       vfs.File
	id      entity.UUID
	segSize uint32
	maxSegs uint32
	buf     []byte // chunkMax bytes, aligned

	start   uint64   // number of the chunk where replay began at mount
	next    position // where the next chunk goes
	durable uint64   // last chunk known to be durable

	mayGrow   func() bool  // whether there is room for another segment; nil for always
	recordMax atomic.Int64 // of a record in bytes, if the file grows as far as it may
	roundMax  atomic.Int64 // of a round, as the file is

	mu       sync.Mutex
	segments uint32 // in the file
	used     []uint32
	free     []uint32
	growing  bool   // a segment is being added
	gen      uint64 // of the header
	header   []byte
}

var errJournalFull = errors.New("journal is full")

// aligned returns n bytes at an address that direct I/O accepts.
func aligned(n int) []byte {
	p := make([]byte, n+vfs.BlockSize)
	skip := -int(uintptr(unsafe.Pointer(&p[0]))) & (vfs.BlockSize - 1)
	return p[skip : skip+n : skip+n]
}

func (j *journal) sumStart() uint32 { return crc32.Checksum(j.id[:], castagnoli) }

// createJournal makes a journal of n segments, filled with zeros: writing over
// blocks that exist does not change the file's metadata, which makes syncing it
// several times cheaper.
func createJournal(fs vfs.FS, path string, id entity.UUID, segSize, n uint32) error {
	f, err := fs.Open(path, vfs.Create|vfs.Direct)
	if err != nil {
		return err
	}
	defer f.Close()
	j := &journal{f: f, id: id, segSize: segSize, buf: aligned(chunkMax), header: aligned(headerSize)}
	for i := range n {
		if err := j.fill(i); err != nil {
			return fmt.Errorf("allocate the journal: %w", err)
		}
	}
	j.segments = n
	j.next.chunk = 1
	for range 2 { // both slots
		if err := j.writeHeader(j.next); err != nil {
			return err
		}
	}
	return f.SyncData()
}

// fill writes a segment full of zeros.
func (j *journal) fill(segment uint32) error {
	zero := aligned(chunkMax)
	for off := uint32(0); off < j.segSize; off += chunkMax {
		n := min(chunkMax, j.segSize-off)
		if _, err := j.f.WriteAt(zero[:n], j.offset(position{segment: segment, off: off})); err != nil {
			return err
		}
	}
	return nil
}

func (j *journal) offset(p position) int64 {
	return journalBase + int64(p.segment)*int64(j.segSize) + int64(p.off)
}

// writeHeader notes where replay is to begin. It is durable after a sync.
func (j *journal) writeHeader(start position) error {
	j.gen++
	e := wire.NewEncoder(64)
	e.U32(headerMagic)
	e.U32(0)
	e.U32(1) // version of the journal's form
	e.Raw(j.id[:])
	e.U64(j.gen)
	e.U32(j.segSize)
	e.U32(j.segments)
	e.U32(start.segment)
	e.U32(start.off)
	e.U64(start.chunk)
	p := j.header
	clear(p)
	n := copy(p, e.Bytes())
	binary.LittleEndian.PutUint32(p[4:], crc32.Checksum(p[8:n], castagnoli))
	_, err := j.f.WriteAt(p, int64(j.gen%2)*headerSize)
	return err
}

const headerLen = 4 + 4 + 4 + 16 + 8 + 4 + 4 + 4 + 4 + 8

// readHeader finds the newer valid header.
func (j *journal) readHeader() (start position, err error) {
	p := aligned(2 * headerSize)
	if _, err := j.f.ReadAt(p, 0); err != nil {
		return start, fmt.Errorf("read the journal's header: %w", err)
	}
	found := false
	for i := range 2 {
		h := p[i*headerSize:][:headerLen]
		d := wire.NewDecoder(h)
		magic, sum, version := d.U32(), d.U32(), d.U32()
		id := entity.UUID(d.Raw(16))
		gen := d.U64()
		if magic != headerMagic || sum != crc32.Checksum(h[8:], castagnoli) || gen <= j.gen {
			continue
		}
		if version != 1 {
			return start, fmt.Errorf("the journal is of version %d, this program knows version 1: use the newer program that wrote it", version)
		}
		if id != j.id {
			return start, fmt.Errorf("the journal belongs to the store %v, not to %v", id, j.id)
		}
		found = true
		j.gen, j.segSize, j.segments = gen, d.U32(), d.U32()
		start = position{d.U32(), d.U32(), d.U64()}
	}
	if !found {
		return start, errors.New("the journal has no valid header: the file is damaged or not a journal")
	}
	if j.segSize == 0 || j.segSize%vfs.BlockSize != 0 || start.segment >= j.segments || start.off > j.segSize {
		return start, errors.New("the journal's header makes no sense")
	}
	return start, nil
}

// stream cuts a round's bytes into chunks.
type stream struct {
	j    *journal
	n    int // bytes in the buffer, with the header
	room int // bytes the chunk may take
}

// begin starts a chunk at the next free place.
func (s *stream) begin() error {
	j := s.j
	if j.segSize-j.next.off < 2*vfs.BlockSize {
		seg, err := j.takeSegment()
		if err != nil {
			return err
		}
		j.next.segment, j.next.off = seg, 0
	}
	s.n = chunkHeader
	s.room = int(min(chunkMax, j.segSize-j.next.off))
	return nil
}

func (s *stream) write(p []byte) error {
	for len(p) > 0 {
		if s.n == s.room {
			if err := s.end(0); err != nil {
				return err
			}
			if err := s.begin(); err != nil {
				return err
			}
		}
		k := copy(s.j.buf[s.n:s.room], p)
		s.n += k
		p = p[k:]
	}
	return nil
}

// end writes the chunk out.
func (s *stream) end(flags uint32) error {
	j := s.j
	total := (s.n + vfs.BlockSize - 1) &^ (vfs.BlockSize - 1)
	p := j.buf[:total]
	clear(p[s.n:])
	le := binary.LittleEndian
	le.PutUint32(p, chunkMagic)
	le.PutUint64(p[8:], j.next.chunk)
	le.PutUint64(p[16:], j.durable)
	le.PutUint32(p[24:], uint32(s.n-chunkHeader))
	le.PutUint32(p[28:], flags)
	le.PutUint32(p[4:], crc32.Update(j.sumStart(), castagnoli, p[8:s.n]))
	if _, err := j.f.WriteAt(p, j.offset(j.next)); err != nil {
		return err
	}
	j.next.off += uint32(total)
	j.next.chunk++
	return nil
}

// takeSegment returns a free segment, growing the file up to its bound.
func (j *journal) takeSegment() (uint32, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.free) == 0 {
		if j.segments >= j.maxSegs {
			return 0, errJournalFull
		}
		if err := j.fill(j.segments); err != nil {
			return 0, err
		}
		j.free = append(j.free, j.segments)
		j.segments++
	}
	s := j.free[0]
	j.free = j.free[1:]
	j.used = append(j.used, s)
	return s, nil
}

// available returns how many bytes can be written before the journal is full.
func (j *journal) available() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := uint64(len(j.free)) + uint64(j.maxSegs-min(j.maxSegs, j.segments)) // the free ones, and those that may come
	return n*uint64(j.segSize) + uint64(j.segSize-j.next.off)
}

// ensure makes sure that so many bytes can be written without the file growing, and
// grows it for that as far as it may. A disk without room for it is no failure: the
// journal stays as large as it is, and ok is false until a checkpoint frees segments.
func (j *journal) ensure(bytes uint64) (ok bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for {
		if uint64(len(j.free))*uint64(j.segSize)+uint64(j.segSize-j.next.off) >= bytes {
			return true, nil
		}
		if j.segments >= j.maxSegs {
			return false, nil
		}
		if j.mayGrow != nil && !j.mayGrow() {
			j.maxSegs = j.segments
			j.setBounds()
			return false, nil
		}
		switch err := j.fill(j.segments); {
		case errors.Is(err, unix.ENOSPC):
			j.maxSegs = j.segments
			j.setBounds()
		case err != nil:
			return false, err
		default:
			j.free = append(j.free, j.segments)
			j.segments++
			j.setBounds()
		}
	}
}

// setBounds notes how long a record and a round may be. mu is held, or nobody else
// knows the journal.
func (j *journal) setBounds() {
	j.recordMax.Store(j.roomIn(j.maxSegs))
	j.roundMax.Store(j.roomIn(j.segments))
}

// roomIn returns how many bytes of records always find room after a checkpoint in a
// journal of n segments: not in the one in use, nor in one that is being added.
func (j *journal) roomIn(n uint32) int64 {
	room := (int64(max(n, 3))-2)*int64(j.segSize) - 8*journalBase
	return max(room, int64(j.segSize)/2) * 8 / 9
}

// wantsTrim reports whether a quarter of what the journal may take is in use, so that
// a checkpoint is due before its time.
func (j *journal) wantsTrim() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.used) > 1 && 4*len(j.used) > int(j.maxSegs)
}

// reserve returns the number of a segment to be filled and added ahead of need; ok
// is false while there are free ones, or no more are allowed.
func (j *journal) reserve() (segment uint32, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.growing || len(j.free) > 0 || j.segments >= j.maxSegs || j.mayGrow != nil && !j.mayGrow() {
		return 0, false
	}
	j.growing = true
	j.segments++
	return j.segments - 1, true
}

// add fills a reserved segment and makes it available. A disk without room for it is no
// failure: the journal stays as large as it is.
func (j *journal) add(segment uint32) error {
	err := j.fill(segment)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.growing = false
	if errors.Is(err, unix.ENOSPC) {
		j.maxSegs = min(j.maxSegs, segment)
		j.setBounds()
		return nil
	}
	if err == nil {
		j.free = append(j.free, segment)
		j.setBounds()
	}
	return err
}

// trim makes start the place where replay begins, durably, and frees the
// segments before it.
func (j *journal) trim(start position) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.writeHeader(start); err != nil {
		return err
	}
	if err := j.f.SyncData(); err != nil {
		return err
	}
	for len(j.used) > 0 && j.used[0] != start.segment {
		j.free = append(j.free, j.used[0])
		j.used = j.used[1:]
	}
	return nil
}
