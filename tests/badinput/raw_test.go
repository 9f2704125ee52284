package badinput

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"time"

	"sepiola/entity"
	"sepiola/internal/goldencap"
	"sepiola/msgr"
	"sepiola/wire"
)

// The frames that the raw peer sends or waits for (doc/dev/msgr2.rst).
const (
	tagHello         = 1
	tagAuthRequest   = 2
	tagAuthDone      = 6
	tagAuthSignature = 7
	tagClientIdent   = 8
	tagServerIdent   = 9
	tagMessage       = 17
	tagKeepalive     = 18
	tagKeepaliveAck  = 19
)

const (
	preambleLen = 32
	crcLen      = 4
	epilogueLen = 13
	// patience bounds the wait for an answer: a daemon that hangs fails the test.
	patience = 60 * time.Second
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// crc is Ceph's: no inversion at either end.
func crc(seed uint32, p []byte) uint32 { return ^crc32.Update(^seed, castagnoli, p) }

// frame builds a frame of messenger v2.1 in CRC mode, right in every part.
func frame(tag byte, segments ...[]byte) []byte {
	for len(segments) > 1 && len(segments[len(segments)-1]) == 0 {
		segments = segments[:len(segments)-1]
	}
	le := binary.LittleEndian
	out := make([]byte, preambleLen)
	out[0], out[1] = tag, byte(len(segments))
	for i, s := range segments {
		le.PutUint32(out[2+6*i:], uint32(len(s)))
		le.PutUint16(out[6+6*i:], 8)
	}
	le.PutUint32(out[28:], crc(0, out[:28]))
	epilogue := make([]byte, epilogueLen)
	epilogue[0] = 0xe
	for i, s := range segments {
		out = append(out, s...)
		switch {
		case i > 0:
			le.PutUint32(epilogue[1+4*(i-1):], crc(0xffffffff, s))
		case len(s) > 0:
			out = le.AppendUint32(out, crc(0xffffffff, s))
		}
	}
	for i := max(len(segments), 1); i < 4; i++ {
		le.PutUint32(epilogue[1+4*(i-1):], 0xffffffff)
	}
	if len(segments) > 1 {
		out = append(out, epilogue...)
	}
	return out
}

// banner is what opens a connection.
func banner() []byte {
	e := wire.NewEncoder(32)
	e.Raw([]byte("ceph v2\n"))
	e.U16(16)
	e.U64(1) // revision 1
	e.U64(0)
	return e.Bytes()
}

// port is where a daemon listens.
type port struct {
	name   string // such as "osd.1 cluster"
	daemon string // such as "osd.1"
	addr   entity.Addr
	server entity.Type
}

// peer speaks to a port byte by byte.
type peer struct {
	conn net.Conn
	r    *bufio.Reader
	seq  uint64
}

func dial(p port) (*peer, error) {
	c, err := net.DialTimeout("tcp", p.addr.AddrPort.String(), patience)
	if err != nil {
		return nil, err
	}
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	return &peer{conn: c, r: bufio.NewReader(c)}, nil
}

// hello returns the frames that introduce a party of that kind, up to where the
// server has to have answered.
func hello(p port, kind entity.Type) ([]byte, error) {
	method, payload, err := (&msgr.NoneClient{Name: entity.AuthName{Type: kind, ID: "admin"}}).Begin(p.server).Request(nil)
	if err != nil {
		return nil, err
	}
	e := wire.NewEncoder(64)
	e.U8(uint8(kind))
	p.addr.Encode(e)
	out := append(banner(), frame(tagHello, e.Bytes())...)
	e = wire.NewEncoder(64)
	e.U32(uint32(method))
	wire.Slice(e, []uint32{uint32(msgr.ModeCRC)}, wire.PutU32)
	e.Blob(payload)
	return append(out, frame(tagAuthRequest, e.Bytes())...), nil
}

// ident returns the frames that follow, and open the session.
func ident(p port, num int64, nonce uint32, lossy bool) []byte {
	e := wire.NewEncoder(256)
	entity.AddrVec{{Type: entity.AddrAny, Nonce: nonce, AddrPort: p.addr.AddrPort}}.Encode(e)
	p.addr.Encode(e)
	e.I64(num)
	var flags uint64
	if lossy {
		flags = 1
	}
	for _, v := range []uint64{1, msgr.FeaturesAll, 0, flags, uint64(nonce)<<8 | 1} {
		e.U64(v)
	}
	return append(frame(tagAuthSignature, make([]byte, 32)), frame(tagClientIdent, e.Bytes())...)
}

// open opens a session as a party of that kind and number.
func (s *peer) open(p port, kind entity.Type, num int64, nonce uint32, lossy bool) error {
	head, err := hello(p, kind)
	if err != nil {
		return err
	}
	if _, err := s.conn.Write(head); err != nil {
		return err
	}
	b := make([]byte, 10)
	if _, err := io.ReadFull(s.r, b); err != nil {
		return err
	}
	if _, err := s.r.Discard(int(binary.LittleEndian.Uint16(b[8:]))); err != nil {
		return err
	}
	if err := s.expect(tagAuthDone); err != nil {
		return err
	}
	if _, err := s.conn.Write(ident(p, num, nonce, lossy)); err != nil {
		return err
	}
	return s.expect(tagServerIdent)
}

// next reads a frame and returns its tag.
func (s *peer) next() (byte, error) {
	pre := make([]byte, preambleLen)
	if _, err := io.ReadFull(s.r, pre); err != nil {
		return 0, err
	}
	n := 0
	for i := range int(pre[1]) {
		n += int(binary.LittleEndian.Uint32(pre[2+6*i:]))
	}
	if binary.LittleEndian.Uint32(pre[2:]) > 0 {
		n += crcLen
	}
	if pre[1] > 1 {
		n += epilogueLen
	}
	_, err := s.r.Discard(n)
	return pre[0], err
}

// expect reads up to a frame of that tag.
func (s *peer) expect(tag byte) error {
	for {
		got, err := s.next()
		if err != nil {
			return fmt.Errorf("waiting for frame %d: %w", tag, err)
		}
		if got == tag {
			return nil
		}
	}
}

// messageFrame is a message as it travels.
func messageFrame(m *goldencap.Sample, seq uint64) []byte {
	e := wire.NewEncoder(64)
	e.U64(seq)
	e.U64(m.TID)
	e.U16(m.Type)
	e.U16(m.Priority)
	e.U16(m.Version)
	e.U32(0) // length of the data's padding
	e.U16(m.DataOff)
	e.U64(0) // acknowledged
	e.U8(0)
	e.U16(m.Compat)
	e.U16(0)
	return frame(tagMessage, e.Bytes(), m.Front, m.Middle, m.Data)
}

// send sends a message and waits until it was taken, or refused with the
// connection.
func (s *peer) send(m *goldencap.Sample) (closed bool, err error) {
	s.seq++
	out := append(messageFrame(m, s.seq), frame(tagKeepalive, make([]byte, 8))...)
	if _, err := s.conn.Write(out); err != nil {
		return closes(err)
	}
	return closes(s.expect(tagKeepaliveAck))
}

// closes tells the end of a connection from a daemon that hangs.
func closes(err error) (bool, error) {
	var timeout net.Error
	switch {
	case err == nil:
		return false, nil
	case errors.As(err, &timeout) && timeout.Timeout():
		return false, fmt.Errorf("the daemon neither answers nor closes: %w", err)
	}
	return true, nil
}

// finish says that nothing more comes, and waits for the daemon to close.
func (s *peer) finish() error {
	defer s.conn.Close()
	if c, ok := s.conn.(*net.TCPConn); ok {
		c.CloseWrite() // may fail if the daemon was faster
	}
	_, err := io.Copy(io.Discard, s.r)
	_, err = closes(err)
	return err
}

// closed waits for the daemon to close, while this end could still send.
func (s *peer) closed() error {
	defer s.conn.Close()
	_, err := io.Copy(io.Discard, s.r)
	_, err = closes(err)
	return err
}
