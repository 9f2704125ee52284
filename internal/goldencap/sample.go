// Package goldencap turns captures of a Ceph cluster's traffic into golden
// messages for tests: it reads a pcap file of the loopback interface, joins the
// TCP streams, splits the frames of messenger v2.1 (CRC mode, which leaves
// payloads readable), and keeps a few samples of every message type. It shares
// no code with the messenger it helps to test.
//
// A sample's file has this form, all numbers little-endian:
//
//	 0  "SMSG"
//	 4  u16 type, u16 version, u16 compat version, u16 priority
//	12  u64 tid
//	20  u16 data offset
//	22  u32 length of front, u32 of middle, u32 of data
//	34  front, middle, data
package goldencap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

const (
	magic      = "SMSG"
	headerSize = 34
)

// Sample is one captured message.
type Sample struct {
	Type, Version, Compat, Priority uint16
	TID                             uint64
	DataOff                         uint16
	Front, Middle, Data             []byte
	// File is the name of the file it was read from.
	File string
}

// Size is the length of all segments.
func (s *Sample) Size() int { return len(s.Front) + len(s.Middle) + len(s.Data) }

// Marshal returns the sample in the form of its file.
func (s *Sample) Marshal() []byte {
	le := binary.LittleEndian
	b := []byte(magic)
	for _, v := range []uint16{s.Type, s.Version, s.Compat, s.Priority} {
		b = le.AppendUint16(b, v)
	}
	b = le.AppendUint64(b, s.TID)
	b = le.AppendUint16(b, s.DataOff)
	for _, p := range [][]byte{s.Front, s.Middle, s.Data} {
		b = le.AppendUint32(b, uint32(len(p)))
	}
	return slices.Concat(b, s.Front, s.Middle, s.Data)
}

var errSample = errors.New("not a captured message")

// Unmarshal reads what [Sample.Marshal] made.
func Unmarshal(b []byte) (*Sample, error) {
	if len(b) < headerSize || string(b[:4]) != magic {
		return nil, errSample
	}
	le := binary.LittleEndian
	s := &Sample{
		Type: le.Uint16(b[4:]), Version: le.Uint16(b[6:]), Compat: le.Uint16(b[8:]), Priority: le.Uint16(b[10:]),
		TID: le.Uint64(b[12:]), DataOff: le.Uint16(b[20:]),
	}
	front, middle, data := uint64(le.Uint32(b[22:])), uint64(le.Uint32(b[26:])), uint64(le.Uint32(b[30:]))
	b = b[headerSize:]
	if front+middle+data != uint64(len(b)) {
		return nil, errSample
	}
	s.Front, s.Middle, s.Data = b[:front:front], b[front:front+middle:front+middle], b[front+middle:]
	return s, nil
}

// Load reads all samples in a directory, in order of file names. It fails the
// test if there is none.
func Load(t testing.TB, dir string) []*Sample {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.bin"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden messages in %s (%v)", dir, err)
	}
	slices.Sort(files)
	out := make([]*Sample, 0, len(files))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Unmarshal(b)
		if err != nil {
			t.Fatal(fmt.Errorf("%s: %w", f, err))
		}
		s.File = filepath.Base(f)
		out = append(out, s)
	}
	return out
}
