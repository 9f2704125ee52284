package filestore

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"sepiola/entity"
	"sepiola/objectstore/filestore/vfs"
)

// errDamaged is wrapped by the error of a journal that is damaged before its end.
var errDamaged = fmt.Errorf("the journal is damaged: bytes that were durable fail their checksum")

// openJournal opens the journal of the store id for writing after what it holds,
// and returns the rounds since the last checkpoint.
func openJournal(fs vfs.FS, path string, id entity.UUID, maxSegs uint32) (*journal, []loadedRound, error) {
	f, err := fs.Open(path, vfs.Direct)
	if err != nil {
		return nil, nil, err
	}
	j := &journal{f: f, id: id, maxSegs: maxSegs, buf: aligned(chunkMax), header: aligned(headerSize)}
	rounds, err := j.load()
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return j, rounds, nil
}

// numberGap is more than the number of chunks that a round can have.
const numberGap = 1 << 20

// loadedRound is a round read back: its last chunk's number and its records.
type loadedRound struct {
	last    uint64
	records [][]byte
}

func (j *journal) load() ([]loadedRound, error) {
	start, err := j.readHeader()
	if err != nil {
		return nil, err
	}
	// The file may have grown since the header was written; the sync of what was
	// written there has made that durable too.
	size, err := j.f.Size()
	if err != nil {
		return nil, err
	}
	if n := (size - journalBase) / int64(j.segSize); n > int64(j.segments) {
		j.segments = uint32(min(n, math.MaxUint32))
	}
	j.maxSegs = max(j.maxSegs, j.segments)
	j.setBounds()
	j.start, j.next = start.chunk, start
	j.used = []uint32{start.segment}
	inUse := map[uint32]bool{start.segment: true}
	var rounds []loadedRound
	var round []byte
	end := start // after the last whole round
	endUsed := 1
	for {
		payload, flags, ok, err := j.readNext(inUse)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		round = append(round, payload...)
		if flags&chunkLast == 0 {
			continue
		}
		records, err := splitRecords(round)
		if err != nil {
			return nil, fmt.Errorf("%w: chunk %d: %w", errDamaged, j.next.chunk-1, err)
		}
		rounds = append(rounds, loadedRound{j.next.chunk - 1, records})
		round = nil
		end, endUsed = j.next, len(j.used)
	}
	broken := j.next.chunk
	if err := j.checkTail(broken); err != nil {
		return nil, err
	}
	// Chunks of a round that was cut off must not be taken for part of what will be
	// written in their place: the next chunks get numbers that none of them has.
	// Mount puts the new number into the header before it writes any.
	j.next, j.used = end, j.used[:endUsed]
	j.next.chunk = broken + numberGap
	j.durable = j.next.chunk - 1
	inUse = map[uint32]bool{}
	for _, s := range j.used {
		inUse[s] = true
	}
	for s := range j.segments {
		if !inUse[s] {
			j.free = append(j.free, s)
		}
	}
	return rounds, nil
}

// readNext reads the chunk at j.next, or the first of the segment that goes on, and
// moves j.next behind it.
func (j *journal) readNext(inUse map[uint32]bool) ([]byte, uint32, bool, error) {
	payload, flags, ok, err := j.readChunk(j.next)
	if err != nil || ok {
		return payload, flags, ok, err
	}
	for s := range j.segments {
		if inUse[s] {
			continue
		}
		at := position{segment: s, chunk: j.next.chunk}
		payload, flags, ok, err = j.readChunk(at)
		if err != nil {
			return nil, 0, false, err
		}
		if ok {
			inUse[s] = true
			j.used = append(j.used, s)
			j.next.segment = s
			return payload, flags, true, nil
		}
	}
	return nil, 0, false, nil
}

// readChunk reads the chunk that should be at p. Where it is, j.next moves behind it.
func (j *journal) readChunk(p position) ([]byte, uint32, bool, error) {
	if j.segSize-p.off < vfs.BlockSize {
		return nil, 0, false, nil
	}
	c, ok, err := j.chunkAt(p)
	if err != nil || !ok || c.number != p.chunk {
		return nil, 0, false, err
	}
	total := (chunkHeader + len(c.payload) + vfs.BlockSize - 1) &^ (vfs.BlockSize - 1)
	j.next = position{p.segment, p.off + uint32(total), p.chunk + 1}
	return c.payload, c.flags, true, nil
}

type chunk struct {
	number, durable uint64
	flags           uint32
	payload         []byte
}

// chunkAt reads whatever valid chunk is at p.
func (j *journal) chunkAt(p position) (chunk, bool, error) {
	buf := j.buf
	room := int(min(chunkMax, j.segSize-p.off))
	if err := j.read(buf[:vfs.BlockSize], j.offset(p)); err != nil {
		return chunk{}, false, err
	}
	le := binary.LittleEndian
	n := chunkHeader + uint64(le.Uint32(buf[24:]))
	if le.Uint32(buf) != chunkMagic || n > uint64(room) {
		return chunk{}, false, nil
	}
	if n > vfs.BlockSize {
		total := (int(n) + vfs.BlockSize - 1) &^ (vfs.BlockSize - 1)
		if err := j.read(buf[vfs.BlockSize:total], j.offset(p)+vfs.BlockSize); err != nil {
			return chunk{}, false, err
		}
	}
	if le.Uint32(buf[4:]) != crc32.Update(j.sumStart(), castagnoli, buf[8:n]) {
		return chunk{}, false, nil
	}
	c := chunk{number: le.Uint64(buf[8:]), durable: le.Uint64(buf[16:]), flags: le.Uint32(buf[28:])}
	c.payload = append([]byte(nil), buf[chunkHeader:n]...)
	return c, true, nil
}

// read fills p; what the file does not have (a crash while it grew) is zeros.
func (j *journal) read(p []byte, off int64) error {
	n, err := j.f.ReadAt(p, off)
	if err == io.EOF {
		clear(p[n:])
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	return nil
}

// checkTail looks for a chunk which proves that chunk number broken, which is
// missing or invalid, was durable once.
func (j *journal) checkTail(broken uint64) error {
	for s := range j.segments {
		for off := uint32(0); off+vfs.BlockSize <= j.segSize; off += vfs.BlockSize {
			head := j.buf[:vfs.BlockSize]
			p := position{segment: s, off: off}
			if off%chunkMax == 0 { // read ahead in large pieces
				n := min(chunkMax, j.segSize-off)
				if err := j.read(j.buf[:n], j.offset(p)); err != nil {
					return err
				}
				if !mayProve(j.buf[:n], broken) {
					off += n - vfs.BlockSize
					continue
				}
			} else if err := j.read(head, j.offset(p)); err != nil {
				return err
			}
			if !mayProve(head, broken) {
				continue
			}
			c, ok, err := j.chunkAt(p)
			if err != nil {
				return err
			}
			if ok && c.number > broken && c.durable >= broken {
				return fmt.Errorf("%w: chunk %d is invalid, chunk %d shows that it was written", errDamaged, broken, c.number)
			}
		}
	}
	return nil
}

// mayProve reports whether one of the blocks in p begins a chunk written after
// chunk number broken was durable.
func mayProve(p []byte, broken uint64) bool {
	le := binary.LittleEndian
	for ; len(p) >= chunkHeader; p = p[min(len(p), vfs.BlockSize):] {
		if le.Uint32(p) == chunkMagic && le.Uint64(p[8:]) > broken && le.Uint64(p[16:]) >= broken {
			return true
		}
	}
	return false
}

// splitRecords cuts a round into its records.
func splitRecords(p []byte) ([][]byte, error) {
	var out [][]byte
	for len(p) > 0 {
		if len(p) < 4 {
			return nil, io.ErrUnexpectedEOF
		}
		n := uint64(binary.LittleEndian.Uint32(p))
		if n > uint64(len(p)-4) {
			return nil, io.ErrUnexpectedEOF
		}
		out = append(out, p[4:4+n])
		p = p[4+n:]
	}
	return out, nil
}
