package goldencap

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// flow is one direction of a TCP connection.
type flow struct {
	src, dst string // address and port
	isn      uint32
	pieces   []piece
}

type piece struct {
	off  uint32 // from the first byte of the stream
	data []byte
}

// stream joins the pieces in order, up to the first gap.
func (f *flow) stream() []byte {
	slices.SortStableFunc(f.pieces, func(a, b piece) int { return int(int64(a.off) - int64(b.off)) })
	var out []byte
	for _, p := range f.pieces {
		skip := len(out) - int(p.off)
		if skip < 0 {
			break
		}
		if skip < len(p.data) {
			out = append(out, p.data[skip:]...)
		}
	}
	return out
}

const (
	pcapMicros    = 0xa1b2c3d4
	pcapNanos     = 0xa1b23c4d
	linkEthernet  = 1
	maxPacket     = 1 << 20
	etherIPv4     = 0x0800
	protocolTCP   = 6
	ethernetBytes = 14
)

// readFlows returns the TCP streams of a pcap file whose beginning was captured.
func readFlows(r io.Reader) ([]*flow, error) {
	in := bufio.NewReaderSize(r, 1<<20)
	var head [24]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return nil, fmt.Errorf("pcap header: %w", err)
	}
	le := binary.LittleEndian
	if m := le.Uint32(head[0:]); m != pcapMicros && m != pcapNanos {
		return nil, errors.New("not a little-endian pcap file")
	}
	if link := le.Uint32(head[20:]); link != linkEthernet {
		return nil, fmt.Errorf("link type %d; capture on the loopback interface itself", link)
	}
	open := map[string]*flow{}
	var all []*flow
	for {
		var rec [16]byte
		if _, err := io.ReadFull(in, rec[:]); err != nil {
			return all, nil // also a capture cut off within a packet's header
		}
		n := le.Uint32(rec[8:])
		if n > maxPacket {
			return nil, fmt.Errorf("packet of %d bytes", n)
		}
		p := make([]byte, n)
		if _, err := io.ReadFull(in, p); err != nil {
			return all, nil
		}
		if f := addPacket(open, p); f != nil {
			all = append(all, f)
		}
	}
}

// addPacket files a packet; it returns the flow that the packet opens, if any.
func addPacket(open map[string]*flow, p []byte) *flow {
	be := binary.BigEndian
	if len(p) < ethernetBytes+20 || be.Uint16(p[12:]) != etherIPv4 {
		return nil
	}
	ip := p[ethernetBytes:]
	ihl, total := int(ip[0]&15)*4, int(be.Uint16(ip[2:]))
	if total == 0 || total > len(ip) {
		total = len(ip) // segmentation is left to the interface
	}
	if ip[9] != protocolTCP || total < ihl+20 {
		return nil
	}
	tcp := ip[ihl:total]
	doff := int(tcp[12]>>4) * 4
	if doff < 20 || doff > len(tcp) {
		return nil
	}
	src := fmt.Sprintf("%x:%d", ip[12:16], be.Uint16(tcp[0:]))
	dst := fmt.Sprintf("%x:%d", ip[16:20], be.Uint16(tcp[2:]))
	key, seq, syn := src+">"+dst, be.Uint32(tcp[4:]), tcp[13]&2 != 0
	if syn {
		f := &flow{src: src, dst: dst, isn: seq + 1}
		open[key] = f
		return f
	}
	f := open[key]
	if data := tcp[doff:]; f != nil && len(data) > 0 {
		f.pieces = append(f.pieces, piece{seq - f.isn, data})
	}
	return nil
}
