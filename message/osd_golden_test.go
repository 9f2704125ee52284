package message_test

import (
	"testing"

	"sepiola/internal/goldencap"
	"sepiola/message"
	"sepiola/msgr"
	"sepiola/pglog"
	"sepiola/wire"
)

const osdGoldenDir = "../testdata/golden/pglog/messages"

// TestOSDGolden protects the wire between OSDs: what Ceph 16 sent during writes,
// peering, recovery, backfill and scrub decodes, and encoding it again gives
// Ceph's header and bytes. What is nested in blobs does so too.
func TestOSDGolden(t *testing.T) {
	seen := map[uint16]bool{}
	for _, s := range goldencap.Load(t, osdGoldenDir) {
		seen[s.Type] = true
		t.Run(s.File, func(t *testing.T) {
			b, err := message.Decode(carrier(s))
			if err != nil {
				t.Fatal(err)
			}
			m := message.Encode(b, 0)
			if m.Version != s.Version || m.CompatVersion != s.Compat || m.TID != s.TID || m.DataOff != s.DataOff {
				t.Errorf("header %d.%d tid %d off %d, Ceph's is %d.%d tid %d off %d", m.Version, m.CompatVersion,
					m.TID, m.DataOff, s.Version, s.Compat, s.TID, s.DataOff)
			}
			if m.Priority != s.Priority {
				t.Errorf("priority %d, Ceph's is %d", m.Priority, s.Priority)
			}
			same(t, "front", m.Front.Flat(), s.Front)
			same(t, "middle", m.Middle.Flat(), s.Middle)
			same(t, "data", m.Data.Flat(), s.Data)
			nested(t, b)
		})
	}
	for _, typ := range []uint16{message.MsgOSDPing, message.MsgOSDPGNotify, message.MsgOSDPGNotify2, message.MsgOSDPGQuery2,
		message.MsgOSDPGInfo2, message.MsgOSDPGLog, message.MsgOSDPGTrim, message.MsgOSDPGRemove, message.MsgOSDPGScan,
		message.MsgOSDPGBackfill, message.MsgOSDPGBackfillRemove, message.MsgOSDBackfillReserve, message.MsgOSDPGPush,
		message.MsgOSDPGPull, message.MsgOSDPGPushReply, message.MsgOSDRepOp, message.MsgOSDRepOpReply,
		message.MsgOSDPGUpdateLogMissing, message.MsgOSDPGUpdateLogMissingReply, message.MsgOSDRepScrub,
		message.MsgOSDRepScrubMap, message.MsgOSDScrubReserve, message.MsgOSDPGRecoveryDelete,
		message.MsgOSDPGRecoveryDeleteReply, message.MsgOSDScrub2, message.MsgOSDPGLease, message.MsgOSDPGLeaseAck,
		message.MsgOSDRecoveryReserve} {
		if !seen[typ] {
			t.Errorf("no golden %s", message.TypeName(typ))
		}
	}
}

// nested decodes and re-encodes what a message carries as opaque bytes.
func nested(t *testing.T, b message.Body) {
	t.Helper()
	switch m := b.(type) {
	case *message.OSDRepOp:
		entries, err := message.DecodeEntries(m.LogEntries)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "log entries", message.EncodeEntries(entries), m.LogEntries)
	case *message.OSDPGScan:
		if m.Op == message.ScanDigest {
			objects, err := message.DecodeScanDigest(m.Digest)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "digest", message.EncodeScanDigest(objects).Flat(), m.Digest.Flat())
		}
	case *message.OSDPGPush:
		for _, p := range m.Pushes {
			oi, err := pglog.ParseObjectInfo(p.Attrs[pglog.AttrObjectInfo])
			if len(p.Attrs) == 0 {
				continue // not the first piece
			}
			if err != nil {
				t.Fatal(err)
			}
			same(t, "object info", oi.Bytes(), p.Attrs[pglog.AttrObjectInfo])
			if raw, ok := p.Attrs[pglog.AttrSnapSet]; ok {
				ss, err := pglog.ParseSnapSet(raw)
				if err != nil {
					t.Fatal(err)
				}
				same(t, "snapset", ss.Bytes(), raw)
			}
		}
	}
}

// TestOSDGoldenCut protects against reading past the end.
func TestOSDGoldenCut(t *testing.T) {
	for _, s := range goldencap.Load(t, osdGoldenDir) {
		step := max(1, len(s.Front)/300)
		for n := 0; n < len(s.Front); n += step {
			m := carrier(s)
			m.Front = wire.BufOf(s.Front[:n])
			message.Decode(m)
		}
	}
}

// FuzzOSDDecode protects every decoder of this conversation against panics and
// against allocating more than it was given; what decodes encodes to something
// that decodes again.
func FuzzOSDDecode(f *testing.F) {
	for _, s := range goldencap.Load(f, osdGoldenDir) {
		f.Add(s.Type, s.Version, s.Front, s.Data)
	}
	f.Fuzz(func(t *testing.T, typ, version uint16, front, data []byte) {
		m := &msgr.Message{Type: typ, Version: version, Front: wire.BufOf(front), Data: wire.BufOf(data)}
		b, err := message.Decode(m)
		if err != nil {
			return
		}
		if p, ok := b.(message.PGMessage); ok {
			p.PG()
			p.MapEpoch()
			p.MinEpoch()
		}
		again := message.Encode(b, 0)
		if _, err := message.Decode(again); err != nil {
			t.Fatalf("%s decoded, but not after encoding: %v", message.TypeName(typ), err)
		}
	})
}
