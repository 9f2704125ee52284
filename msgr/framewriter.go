package msgr

import (
	"encoding/binary"
	"net"

	"sepiola/wire"
)

const (
	// scratchLen is the memory for what stands between payloads; a batch ends
	// when it is used up.
	scratchLen = 16 << 10
	// inlineMax is the longest payload piece that is copied between the frames'
	// own bytes rather than given to the kernel as a vector of its own.
	inlineMax = 256
	// batchBytes ends a batch, so that what is urgent need not wait long.
	batchBytes = 1 << 20
	// batchMessages is the most messages of a batch: what the scratch holds.
	batchMessages = 64
	// messageScratch is the most scratch a message takes besides inlined pieces.
	messageScratch = preambleLen + messageHeadLen + crcLen + epilogueLenRev0
)

// batch is frames on their way out: one vectored write. Payload segments are
// referred to, not copied.
type batch struct {
	iov     net.Buffers
	scratch []byte
	start   int // of the part of scratch not in iov yet
}

// room reports whether another message's own bytes fit.
func (b *batch) room() bool { return cap(b.scratch)-len(b.scratch) >= messageScratch }

func (b *batch) reset() {
	if b.scratch == nil {
		b.scratch = make([]byte, 0, scratchLen)
	}
	clear(b.iov[:cap(b.iov)])
	b.iov, b.scratch, b.start = b.iov[:0], b.scratch[:0], 0
}

// flush moves the pending part of scratch to the vector.
func (b *batch) flush() {
	if len(b.scratch) > b.start {
		b.iov = append(b.iov, b.scratch[b.start:len(b.scratch):len(b.scratch)])
		b.start = len(b.scratch)
	}
}

// frame adds a frame that is encoded already.
func (b *batch) frame(p []byte) {
	b.flush()
	b.iov = append(b.iov, p)
}

// payload adds a segment and returns its CRC. keep bytes of scratch stay free for
// the rest of the frame.
func (b *batch) payload(p wire.Buf, keep int) uint32 {
	crc := crcSeed
	for _, s := range p {
		crc = crcUpdate(crc, s)
		switch {
		case len(s) == 0:
		case len(s) <= inlineMax && cap(b.scratch)-len(b.scratch) >= len(s)+keep:
			b.scratch = append(b.scratch, s...)
		default:
			b.flush()
			b.iov = append(b.iov, s)
		}
	}
	return crc
}

// message adds a message frame. There must be room.
func (b *batch) message(rev1 bool, h *messageHead, m *Message) {
	segs := [maxSegments]wire.Buf{1: m.Front, 2: m.Middle, 3: m.Data}
	p := preamble{tag: tagMessage, n: 1}
	p.segs[0] = segmentDesc{messageHeadLen, alignDefault}
	for i := 1; i < maxSegments; i++ {
		align := uint16(alignDefault)
		if i == 3 {
			align = alignPage
		}
		p.segs[i] = segmentDesc{uint32(segs[i].Len()), align}
		if p.segs[i].length > 0 {
			p.n = i + 1
		}
	}
	at := len(b.scratch)
	b.scratch = b.scratch[:at+preambleLen+messageHeadLen]
	p.put(b.scratch[at:])
	head := b.scratch[at+preambleLen:]
	h.put(head)
	var crcs [maxSegments]uint32
	crcs[0] = crcUpdate(crcSeed, head[:messageHeadLen])
	if rev1 {
		b.scratch = binary.LittleEndian.AppendUint32(b.scratch, crcs[0])
	}
	for i := 1; i < p.n; i++ {
		crcs[i] = b.payload(segs[i], epilogueLenRev0)
	}
	switch {
	case !rev1:
		b.scratch = append(b.scratch, 0)
		for _, crc := range crcs {
			b.scratch = binary.LittleEndian.AppendUint32(b.scratch, crc)
		}
	case p.n > 1:
		b.scratch = append(b.scratch, lateComplete)
		for _, crc := range crcs[1:] {
			b.scratch = binary.LittleEndian.AppendUint32(b.scratch, crc)
		}
	}
}
