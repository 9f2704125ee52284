package msgr

import (
	"encoding/binary"
	"sync"

	"sepiola/wire"
)

const (
	// stageLen is the buffer that small reads go through: several frames of a
	// few KiB arrive with one read.
	stageLen = 32 << 10
	// directMin is the least that is worth a read of its own into a message's
	// buffer; less is read ahead through the stage and copied.
	directMin = 8 << 10
	// directMax is the most read at once into a message's buffer, so that the
	// CRC is computed while the bytes are in the cache.
	directMax = 256 << 10
	// chunkFirst is the most allocated for a segment before any of it has
	// arrived. Every further piece is at most as long as what has arrived, so
	// a length alone, however large, never costs more than this. A replicated
	// write of 4 MiB fits: in one piece it is sliced, not copied.
	chunkFirst = 4<<20 + 64<<10
)

// received is a complete frame. Control payloads are valid until the next call of
// the reader; message segments belong to the message.
type received struct {
	tag     tag
	payload []byte // of a control frame
	head    messageHead
	// segs 1..3 are front, middle and data. The pieces belong to the message, the
	// lists to the reader.
	segs [maxSegments]wire.Buf
	raw  []byte // the bytes on the wire, while the reader keeps a transcript
}

// readerStep says what a frameReader has come to.
type readerStep uint8

const (
	stepMore   readerStep = iota // bytes are needed
	stepHead                     // a message's header is known; its payload follows
	stepFrame                    // a frame is complete
	stepBanner                   // the banner is complete
)

type readerPhase uint8

const (
	phaseBannerHead readerPhase = iota
	phaseBanner
	phasePreamble
	phaseFirst
	phasePayload
	phaseEpilogue
)

// frameReader assembles a peer's banner and frames from bytes that come in
// whatever pieces. It does no I/O: its user fills what [frameReader.want] returns,
// says so to [frameReader.got], and calls [frameReader.next] until that asks for
// more.
type frameReader struct {
	rev1 bool
	// open admits messages. Before the session is open a message is an error.
	open bool
	// transcript keeps the raw bytes of each frame, for signing.
	transcript bool

	stage    []byte
	from, to int // the part of stage not consumed

	phase     readerPhase
	bannerLen int
	pre       preamble
	out       received
	peer      banner
	crcs      [maxSegments]uint32

	seg     int // the segment being filled
	segLeft int // bytes of it not allocated yet
	small   [128]byte
	dst     []byte // its current piece
	have    int    // bytes of dst that are filled
}

func newFrameReader() *frameReader { return &frameReader{} }

var stages = sync.Pool{New: func() any { return new([stageLen]byte) }}

// rest gives the buffer back while nothing is in it.
func (r *frameReader) rest() {
	if r.stage != nil && r.from == r.to {
		stages.Put((*[stageLen]byte)(r.stage))
		r.stage, r.from, r.to = nil, 0, 0
	}
}

// drained reports whether all that came has been handled.
func (r *frameReader) drained() bool { return r.from == r.to }

// want returns where the next bytes from the peer go; it is never empty.
func (r *frameReader) want() []byte {
	if left := len(r.dst) - r.have; left >= directMin {
		return r.dst[r.have : r.have+min(left, directMax)]
	}
	if r.stage == nil {
		r.stage = stages.Get().(*[stageLen]byte)[:]
	}
	if r.from == r.to {
		r.from, r.to = 0, 0
	} else if len(r.stage)-r.to < directMin {
		r.to = copy(r.stage, r.stage[r.from:r.to])
		r.from = 0
	}
	return r.stage[r.to:]
}

// got takes n bytes that were put where want said.
func (r *frameReader) got(n int) {
	if len(r.dst)-r.have >= directMin {
		r.filled(n)
		return
	}
	r.to += n
}

func (r *frameReader) filled(n int) {
	r.crcs[r.seg] = crcUpdate(r.crcs[r.seg], r.dst[r.have:r.have+n])
	r.have += n
}

// take consumes n staged bytes; nil when fewer are there.
func (r *frameReader) take(n int) []byte {
	if r.to-r.from < n {
		return nil
	}
	p := r.stage[r.from : r.from+n : r.from+n]
	r.from += n
	return p
}

// next moves on as far as the bytes allow. After stepFrame the result is in out,
// after stepHead its head is.
func (r *frameReader) next() (readerStep, error) {
	for {
		step, again, err := r.advance()
		if err != nil || !again {
			return step, err
		}
	}
}

func (r *frameReader) advance() (step readerStep, again bool, err error) {
	switch r.phase {
	case phaseBannerHead, phaseBanner:
		return r.banner()
	case phasePreamble:
		return r.preamble()
	case phaseFirst:
		return r.first()
	case phasePayload:
		return r.payload()
	default:
		return r.epilogue()
	}
}

func (r *frameReader) banner() (readerStep, bool, error) {
	if r.phase == phaseBannerHead {
		if err := r.checkBannerStart(); err != nil {
			return 0, false, err
		}
		p := r.take(bannerHeadLen)
		if p == nil {
			return stepMore, false, nil
		}
		r.bannerLen = int(binary.LittleEndian.Uint16(p[len(bannerPrefix):]))
		if r.bannerLen < bannerPayloadMin || r.bannerLen > bannerPayloadMax {
			return 0, false, frameErrorf("banner payload of %d bytes", r.bannerLen)
		}
		r.note(p)
		r.phase = phaseBanner
	}
	p := r.take(r.bannerLen)
	if p == nil {
		return stepMore, false, nil
	}
	r.note(p)
	d := wire.NewDecoder(p)
	r.peer = banner{d.U64(), d.U64()}
	r.phase = phasePreamble
	return stepBanner, false, nil
}

// checkBannerStart refuses a wrong banner with its first wrong byte, without
// waiting for the rest.
func (r *frameReader) checkBannerStart() error {
	p := r.stage[r.from:r.to]
	if n := min(len(p), len(bannerPrefix)); string(p[:n]) != bannerPrefix[:n] {
		if n = min(len(p), len(bannerLegacy)); n > 6 && string(p[:n]) == bannerLegacy[:n] {
			return frameErrorf("the peer speaks messenger v1")
		}
		return frameErrorf("wrong banner %q", p[:min(len(p), bannerHeadLen)])
	}
	return nil
}

func (r *frameReader) preamble() (readerStep, bool, error) {
	p := r.take(preambleLen)
	if p == nil {
		return stepMore, false, nil
	}
	pre, err := parsePreamble(p)
	if err == nil {
		err = pre.checkLimits()
	}
	if err == nil && pre.tag == tagMessage && !r.open {
		err = frameErrorf("a message before the session is open")
	}
	if err != nil {
		return 0, false, err
	}
	r.clearOut()
	r.out.tag = pre.tag
	r.note(p)
	r.pre = pre
	r.crcs = [maxSegments]uint32{crcSeed, crcSeed, crcSeed, crcSeed}
	r.seg = 0
	r.phase = phaseFirst
	r.begin(int(pre.segs[0].length))
	return 0, true, nil
}

// clearOut empties the result, keeping the transcript and the memory of the lists.
func (r *frameReader) clearOut() {
	out := received{raw: r.out.raw}
	for i, s := range r.out.segs {
		clear(s)
		out.segs[i] = s[:0]
	}
	r.out = out
}

// begin starts to fill a segment of n bytes.
func (r *frameReader) begin(n int) {
	r.segLeft, r.dst, r.have = n, nil, 0
	r.piece()
}

// piece allocates the segment's next piece. The first segment of a frame is small
// and left in one.
func (r *frameReader) piece() {
	n := r.segLeft
	if r.seg > 0 {
		// out.segs holds complete pieces; dst, if any, has just been completed.
		n = min(n, max(chunkFirst, r.out.segs[r.seg].Len()))
	}
	r.segLeft -= n
	r.dst, r.have = nil, 0
	switch {
	case n == 0:
	case r.seg == 0 && n <= len(r.small):
		r.dst = r.small[:n]
	case r.seg == 0:
		r.dst = make([]byte, n)
	default:
		r.dst = getPayload(n)
	}
}

// fill moves staged bytes into the segment. It reports whether the segment is
// complete.
func (r *frameReader) fill() bool {
	for {
		if n := min(len(r.dst)-r.have, r.to-r.from); n > 0 {
			copy(r.dst[r.have:], r.stage[r.from:r.from+n])
			r.from += n
			r.filled(n)
		}
		if r.have < len(r.dst) {
			return false
		}
		if r.seg > 0 && r.dst != nil {
			r.out.segs[r.seg] = append(r.out.segs[r.seg], r.dst)
		}
		if r.segLeft == 0 {
			return true
		}
		r.piece()
	}
}

func (r *frameReader) first() (readerStep, bool, error) {
	if !r.fill() {
		return stepMore, false, nil
	}
	if r.rev1 && len(r.dst) > 0 {
		p := r.take(crcLen)
		if p == nil {
			return stepMore, false, nil
		}
		if want := binary.LittleEndian.Uint32(p); want != r.crcs[0] {
			return 0, false, frameErrorf("%v segment 1 crc %#08x, computed %#08x", r.pre.tag, want, r.crcs[0])
		}
		r.note(r.dst)
		r.note(p)
	} else {
		r.note(r.dst)
	}
	first := r.dst
	r.dst, r.have = nil, 0
	if r.pre.tag != tagMessage {
		r.out.payload = first
		r.phase = phaseEpilogue
		return 0, true, nil
	}
	r.out.head.parse(first)
	r.phase = phasePayload
	return stepHead, false, nil
}

func (r *frameReader) payload() (readerStep, bool, error) {
	for {
		if r.seg > 0 && !r.fill() {
			return stepMore, false, nil
		}
		if r.seg+1 == r.pre.n {
			r.dst, r.have = nil, 0
			r.phase = phaseEpilogue
			return 0, true, nil
		}
		r.seg++
		r.begin(int(r.pre.segs[r.seg].length))
	}
}

func (r *frameReader) epilogue() (readerStep, bool, error) {
	n := r.pre.epilogueLen(r.rev1)
	p := r.take(n)
	if p == nil && n > 0 {
		return stepMore, false, nil
	}
	r.phase = phasePreamble
	if n > 0 {
		r.note(p)
		aborted, err := r.pre.checkEpilogue(r.rev1, p, &r.crcs)
		if err != nil {
			return 0, false, err
		}
		if aborted {
			r.clearOut()
			return 0, true, nil
		}
	}
	return stepFrame, false, nil
}

// partial reports whether bytes have come that do not make a whole frame yet.
func (r *frameReader) partial() bool {
	return r.to > r.from || r.phase != phasePreamble && r.phase != phaseBannerHead
}

// note keeps bytes for the transcript.
func (r *frameReader) note(p []byte) {
	if r.transcript {
		r.out.raw = append(r.out.raw, p...)
	}
}

// takeRaw returns the bytes noted since the last call.
func (r *frameReader) takeRaw() []byte {
	raw := r.out.raw
	r.out.raw = nil
	return raw
}
