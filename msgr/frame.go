package msgr

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// The frame format, doc/dev/msgr2.rst "Frame format" and
// src/msg/async/frames_v2.h, in CRC mode:
//
//	revision 1 (msgr2.1)                revision 0 (msgr2.0)
//	preamble          32 bytes          preamble          32 bytes
//	segment 1         if not empty      segments 1..4
//	  crc of it       4 bytes           epilogue          17 bytes
//	segments 2..4                         late flags      1
//	epilogue          13 bytes            crc of each     4 * 4
//	  late status     1
//	  crc of each     3 * 4
//
// In revision 1 a frame of one segment has no epilogue.

// tag is a frame's kind.
type tag uint8

const (
	tagHello tag = iota + 1
	tagAuthRequest
	tagAuthBadMethod
	tagAuthReplyMore
	tagAuthRequestMore
	tagAuthDone
	tagAuthSignature
	tagClientIdent
	tagServerIdent
	tagIdentMissingFeatures
	tagSessionReconnect
	tagSessionReset
	tagSessionRetry
	tagSessionRetryGlobal
	tagSessionReconnectOK
	tagWait
	tagMessage
	tagKeepalive2
	tagKeepalive2Ack
	tagAck
	numTags
)

var tagNames = [numTags]string{
	tagHello: "HELLO", tagAuthRequest: "AUTH_REQUEST", tagAuthBadMethod: "AUTH_BAD_METHOD",
	tagAuthReplyMore: "AUTH_REPLY_MORE", tagAuthRequestMore: "AUTH_REQUEST_MORE",
	tagAuthDone: "AUTH_DONE", tagAuthSignature: "AUTH_SIGNATURE", tagClientIdent: "CLIENT_IDENT",
	tagServerIdent: "SERVER_IDENT", tagIdentMissingFeatures: "IDENT_MISSING_FEATURES",
	tagSessionReconnect: "SESSION_RECONNECT", tagSessionReset: "SESSION_RESET",
	tagSessionRetry: "SESSION_RETRY", tagSessionRetryGlobal: "SESSION_RETRY_GLOBAL",
	tagSessionReconnectOK: "SESSION_RECONNECT_OK", tagWait: "WAIT", tagMessage: "MESSAGE",
	tagKeepalive2: "KEEPALIVE2", tagKeepalive2Ack: "KEEPALIVE2_ACK", tagAck: "ACK",
}

// String returns the frame's name in the protocol document.
func (t tag) String() string {
	if t > 0 && t < numTags {
		return tagNames[t]
	}
	return fmt.Sprintf("tag %d", uint8(t))
}

// Sizes on the wire, in bytes.
const (
	preambleLen     = 32
	crcLen          = 4
	epilogueLenRev1 = 13
	epilogueLenRev0 = 17
	messageHeadLen  = 41 // ceph_msg_header2
	maxSegments     = 4
)

// Limits of what is sent and received, in bytes.
const (
	// MaxControl is the longest payload of a frame that is not a message.
	MaxControl = 64 << 10
	// MaxFront and MaxMiddle bound the first two segments of a message.
	MaxFront  = 64 << 20
	MaxMiddle = 64 << 20
	// MaxData bounds the data segment: an object of 128 MiB and what goes with
	// it in one transaction.
	MaxData = 256 << 20
)

// Alignments announced for segments; receivers take them as hints.
const (
	alignDefault = 8
	alignPage    = 4096
)

// late status of revision 1: two nibbles, each one of two words of Hamming
// distance 4.
const (
	lateAborted  = 0x1
	lateComplete = 0xe
	lateMask     = 0xf
	// lateFlagAborted is revision 0's.
	lateFlagAborted = 0x1
)

// errFrame is wrapped by every error about a frame's form.
var errFrame = errors.New("bad frame")

func frameErrorf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errFrame, fmt.Sprintf(format, args...))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// crcSeed is where the CRC of a segment starts; a preamble's starts at zero.
const crcSeed = ^uint32(0)

// crcUpdate continues a CRC-32C the way Ceph computes it: without the inversions
// before and after that the IEEE form has.
func crcUpdate(crc uint32, p []byte) uint32 { return ^crc32.Update(^crc, castagnoli, p) }

type segmentDesc struct {
	length uint32
	align  uint16
}

// preamble announces a frame's kind and segments.
type preamble struct {
	tag  tag
	n    int // segments, 1..4
	segs [maxSegments]segmentDesc
}

// put writes the 32 bytes.
func (p *preamble) put(b []byte) {
	clear(b[:preambleLen])
	b[0], b[1] = byte(p.tag), byte(p.n)
	for i, s := range p.segs[:p.n] {
		binary.LittleEndian.PutUint32(b[2+6*i:], s.length)
		binary.LittleEndian.PutUint16(b[6+6*i:], s.align)
	}
	binary.LittleEndian.PutUint32(b[28:], crcUpdate(0, b[:28]))
}

// parsePreamble reads and checks 32 bytes. Lengths are not compared with limits
// here.
func parsePreamble(b []byte) (p preamble, err error) {
	if got, want := crcUpdate(0, b[:28]), binary.LittleEndian.Uint32(b[28:]); got != want {
		return p, frameErrorf("preamble crc %#08x, computed %#08x", want, got)
	}
	p.tag, p.n = tag(b[0]), int(b[1])
	if p.tag == 0 || p.tag >= numTags {
		return p, frameErrorf("unknown tag %d", b[0])
	}
	if p.n < 1 || p.n > maxSegments {
		return p, frameErrorf("%d segments", p.n)
	}
	for i := range p.n {
		p.segs[i].length = binary.LittleEndian.Uint32(b[2+6*i:])
		p.segs[i].align = binary.LittleEndian.Uint16(b[6+6*i:])
	}
	if p.n > 1 && p.segs[p.n-1].length == 0 {
		return p, frameErrorf("last of %d segments is empty", p.n)
	}
	return p, nil
}

// checkLimits refuses segments longer than their kind of frame may have.
func (p *preamble) checkLimits() error {
	if p.tag != tagMessage {
		if p.n != 1 || p.segs[0].length > MaxControl {
			return frameErrorf("%v of %d segments, the first of %d bytes", p.tag, p.n, p.segs[0].length)
		}
		return nil
	}
	if p.segs[0].length != messageHeadLen {
		return frameErrorf("message header of %d bytes", p.segs[0].length)
	}
	for i, limit := range [...]uint32{1: MaxFront, 2: MaxMiddle, 3: MaxData} {
		if i > 0 && p.segs[i].length > limit {
			return frameErrorf("message segment %d of %d bytes", i+1, p.segs[i].length)
		}
	}
	return nil
}

// payloadLen returns the bytes of a message's segments after its header.
func (p *preamble) payloadLen() int64 {
	n := int64(0)
	for _, s := range p.segs[1:p.n] {
		n += int64(s.length)
	}
	return n
}

// epilogueLen returns the length of the frame's end.
func (p *preamble) epilogueLen(rev1 bool) int {
	switch {
	case !rev1:
		return epilogueLenRev0
	case p.n == 1:
		return 0
	}
	return epilogueLenRev1
}

// checkEpilogue compares the segments' CRCs with the frame's end. crcs[0] is
// ignored in revision 1, where it has been checked before. It reports whether
// the sender gave the frame up.
func (p *preamble) checkEpilogue(rev1 bool, b []byte, crcs *[maxSegments]uint32) (aborted bool, err error) {
	first := 0
	if rev1 {
		first = 1
	}
	for i := first; i < p.n; i++ {
		want := binary.LittleEndian.Uint32(b[1+4*(i-first):])
		if crcs[i] != want {
			return false, frameErrorf("%v segment %d crc %#08x, computed %#08x", p.tag, i+1, want, crcs[i])
		}
	}
	if !rev1 {
		return b[0]&lateFlagAborted != 0, nil
	}
	switch b[0] & lateMask {
	case lateAborted:
		return true, nil
	case lateComplete:
		return false, nil
	}
	return false, frameErrorf("late status %#02x", b[0])
}

// appendControl appends a frame of one segment.
func appendControl(dst []byte, rev1 bool, t tag, payload []byte) []byte {
	p := preamble{tag: t, n: 1}
	p.segs[0] = segmentDesc{uint32(len(payload)), alignDefault}
	var head [preambleLen]byte
	p.put(head[:])
	dst = append(dst, head[:]...)
	dst = append(dst, payload...)
	crc := crcUpdate(crcSeed, payload)
	if rev1 {
		if len(payload) > 0 {
			dst = binary.LittleEndian.AppendUint32(dst, crc)
		}
		return dst
	}
	var end [epilogueLenRev0]byte
	binary.LittleEndian.PutUint32(end[1:], crc)
	return append(dst, end[:]...)
}

// messageHead is ceph_msg_header2: the first segment of a message frame.
type messageHead struct {
	seq, tid                    uint64
	kind, priority, version     uint16
	dataPrePadding              uint32
	dataOff                     uint16
	ackSeq                      uint64
	flags                       uint8
	compatVersion, reservedBits uint16
}

func (h *messageHead) put(b []byte) {
	le := binary.LittleEndian
	le.PutUint64(b[0:], h.seq)
	le.PutUint64(b[8:], h.tid)
	le.PutUint16(b[16:], h.kind)
	le.PutUint16(b[18:], h.priority)
	le.PutUint16(b[20:], h.version)
	le.PutUint32(b[22:], h.dataPrePadding)
	le.PutUint16(b[26:], h.dataOff)
	le.PutUint64(b[28:], h.ackSeq)
	b[36] = h.flags
	le.PutUint16(b[37:], h.compatVersion)
	le.PutUint16(b[39:], h.reservedBits)
}

func (h *messageHead) parse(b []byte) {
	le := binary.LittleEndian
	h.seq = le.Uint64(b[0:])
	h.tid = le.Uint64(b[8:])
	h.kind = le.Uint16(b[16:])
	h.priority = le.Uint16(b[18:])
	h.version = le.Uint16(b[20:])
	h.dataPrePadding = le.Uint32(b[22:])
	h.dataOff = le.Uint16(b[26:])
	h.ackSeq = le.Uint64(b[28:])
	h.flags = b[36]
	h.compatVersion = le.Uint16(b[37:])
	h.reservedBits = le.Uint16(b[39:])
}
