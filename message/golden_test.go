package message_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"sepiola/internal/goldencap"
	"sepiola/message"
	"sepiola/msgr"
	"sepiola/wire"
)

const goldenDir = "../testdata/golden/message"

// pacificFeatures is what the daemons and clients of Ceph 16.2.15 had agreed on
// when the samples were taken.
const pacificFeatures = 0x3f01cfbdfffdffff

func carrier(s *goldencap.Sample) *msgr.Message {
	return &msgr.Message{
		Type: s.Type, Version: s.Version, CompatVersion: s.Compat, Priority: s.Priority, TID: s.TID, DataOff: s.DataOff,
		Front: wire.BufOf(s.Front), Middle: wire.BufOf(s.Middle), Data: wire.BufOf(s.Data),
	}
}

// TestGolden protects the wire: what Ceph 16 sent decodes, and encoding it again
// gives Ceph's header and bytes.
func TestGolden(t *testing.T) {
	for _, s := range goldencap.Load(t, goldenDir) {
		t.Run(s.File, func(t *testing.T) {
			b, err := message.Decode(carrier(s))
			if err != nil {
				t.Fatal(err)
			}
			m := message.Encode(b, pacificFeatures)
			if m.Version != s.Version || m.CompatVersion != s.Compat {
				t.Errorf("version %d.%d, Ceph's is %d.%d", m.Version, m.CompatVersion, s.Version, s.Compat)
			}
			if m.TID != s.TID {
				t.Errorf("tid %d, Ceph's is %d", m.TID, s.TID)
			}
			if m.Priority != s.Priority {
				t.Errorf("priority %d, Ceph's is %d", m.Priority, s.Priority)
			}
			if m.DataOff != s.DataOff {
				t.Errorf("data offset %d, Ceph's is %d", m.DataOff, s.DataOff)
			}
			same(t, "front", m.Front.Flat(), s.Front)
			same(t, "middle", m.Middle.Flat(), s.Middle)
			same(t, "data", m.Data.Flat(), s.Data)
		})
	}
}

func same(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	i := 0
	for i < min(len(got), len(want)) && got[i] == want[i] {
		i++
	}
	t.Errorf("%s differs at byte %d of %d (here %d):\n here %s\n Ceph %s", what, i, len(want), len(got),
		around(got, i), around(want, i))
}

func around(b []byte, i int) string {
	lo := max(0, i-16)
	return fmt.Sprintf("…%x [%x]", b[min(lo, len(b)):min(i, len(b))], b[min(i, len(b)):min(i+32, len(b))])
}

// TestGoldenCut protects against reading past the end: every message cut short
// anywhere is refused or, where only what a newer version added is gone,
// decoded, and never panics.
func TestGoldenCut(t *testing.T) {
	for _, s := range goldencap.Load(t, goldenDir) {
		step := max(1, len(s.Front)/200)
		for n := 0; n < len(s.Front); n += step {
			m := carrier(s)
			m.Front = wire.BufOf(s.Front[:n])
			message.Decode(m)
		}
	}
}

// TestVersions protects the refusal of messages that cannot be understood.
func TestVersions(t *testing.T) {
	_, err := message.Decode(&msgr.Message{Type: 0xeeee})
	if !errors.Is(err, message.ErrUnknownType) {
		t.Errorf("unknown type: %v", err)
	}
	_, err = message.Decode(&msgr.Message{Type: message.MsgOSDOp, Version: 200, CompatVersion: 100})
	if !errors.Is(err, message.ErrVersion) {
		t.Errorf("too new: %v", err)
	}
	_, err = message.Decode(&msgr.Message{Type: message.MsgOSDOp, Version: 2, CompatVersion: 1})
	if !errors.Is(err, message.ErrVersion) {
		t.Errorf("too old: %v", err)
	}
}
