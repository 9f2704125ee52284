package goldencap

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"strings"
)

// The parts of a v2.1 frame in CRC mode (src/msg/async/frames_v2.h).
const (
	bannerPrefix   = "ceph v2\n"
	preambleSize   = 32
	crcSize        = 4
	epilogueSize   = 13
	messageTag     = 17
	messageHeadLen = 41
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ceph's CRCs start from all ones and are not inverted at the end.
func crc(seed uint32, p []byte) uint32 { return ^crc32.Update(^seed, castagnoli, p) }

// Messages returns the messages in a pcap file, in the order of connections.
// Streams that are not messenger v2, or whose beginning is missing, are passed
// over; a stream is read up to its first gap or bad checksum.
func Messages(r io.Reader) ([]*Sample, error) {
	flows, err := readFlows(r)
	if err != nil {
		return nil, err
	}
	var out []*Sample
	for _, f := range flows {
		out = append(out, splitStream(f.stream())...)
	}
	return out, nil
}

func splitStream(b []byte) []*Sample {
	if !strings.HasPrefix(string(b[:min(len(b), len(bannerPrefix))]), bannerPrefix) || len(b) < len(bannerPrefix)+2 {
		return nil
	}
	b = b[len(bannerPrefix):]
	n := 2 + int(binary.LittleEndian.Uint16(b))
	if len(b) < n {
		return nil
	}
	b = b[n:]
	var out []*Sample
	for {
		tag, segments, rest, ok := nextFrame(b)
		if !ok {
			return out
		}
		b = rest
		if tag == messageTag && len(segments[0]) == messageHeadLen {
			out = append(out, parseMessage(segments))
		}
	}
}

// nextFrame cuts the first frame off b. ok is false when it is incomplete or
// damaged.
func nextFrame(b []byte) (tag byte, segments [4][]byte, rest []byte, ok bool) {
	le := binary.LittleEndian
	if len(b) < preambleSize || crc(0, b[:28]) != le.Uint32(b[28:]) {
		return 0, segments, nil, false
	}
	tag = b[0]
	count := int(b[1])
	if count == 0 || count > 4 {
		return 0, segments, nil, false
	}
	pre := b[:preambleSize]
	b = b[preambleSize:]
	for i := range count {
		n := int(le.Uint32(pre[2+6*i:]))
		extra := 0
		if i == 0 && n > 0 {
			extra = crcSize
		}
		if n+extra > len(b) {
			return 0, segments, nil, false
		}
		segments[i] = b[:n:n]
		if extra > 0 && crc(^uint32(0), segments[0]) != le.Uint32(b[n:]) {
			return 0, segments, nil, false
		}
		b = b[n+extra:]
	}
	if count > 1 {
		if len(b) < epilogueSize {
			return 0, segments, nil, false
		}
		for i := 1; i < count; i++ {
			if crc(^uint32(0), segments[i]) != le.Uint32(b[1+4*(i-1):]) {
				return 0, segments, nil, false
			}
		}
		b = b[epilogueSize:]
	}
	return tag, segments, b, true
}

// parseMessage reads ceph_msg_header2 and takes the other segments as they are.
func parseMessage(s [4][]byte) *Sample {
	le, h := binary.LittleEndian, s[0]
	return &Sample{
		TID: le.Uint64(h[8:]), Type: le.Uint16(h[16:]), Priority: le.Uint16(h[18:]), Version: le.Uint16(h[20:]),
		DataOff: le.Uint16(h[26:]), Compat: le.Uint16(h[37:]),
		Front: s[1], Middle: s[2], Data: s[3],
	}
}
