package message_test

import (
	"testing"

	"sepiola/internal/goldencap"
	"sepiola/message"
	"sepiola/wire"
)

type encodable interface{ Encode(*wire.Encoder) }

// inputCodecs and outputCodecs decode what an operation carries.
var (
	inputCodecs = map[message.OSDOpCode]func(*wire.Decoder) encodable{
		message.OpNotify:    func(d *wire.Decoder) encodable { v := message.DecodeNotifyRequest(d); return &v },
		message.OpNotifyAck: func(d *wire.Decoder) encodable { v := message.DecodeNotifyAck(d); return &v },
		message.OpCopyGet:   func(d *wire.Decoder) encodable { v := message.DecodeCopyGetRequest(d); return &v },
		message.OpCopyFrom:  func(d *wire.Decoder) encodable { v := message.DecodeCopySource(d); return &v },
	}
	outputCodecs = map[message.OSDOpCode]func(*wire.Decoder) encodable{
		message.OpPGNLs:        func(d *wire.Decoder) encodable { v := message.DecodePGNLsResponse(d); return &v },
		message.OpListWatchers: func(d *wire.Decoder) encodable { v := message.DecodeListWatchersResponse(d); return &v },
		message.OpListSnaps:    func(d *wire.Decoder) encodable { v := message.DecodeListSnapsResponse(d); return &v },
		message.OpCopyGet:      func(d *wire.Decoder) encodable { v := message.DecodeCopyData(d); return &v },
	}
)

// TestGoldenOperations protects the types inside operations: each kind was
// captured, decodes, and encodes to Ceph's bytes again.
func TestGoldenOperations(t *testing.T) {
	seen := map[string]int{}
	check := func(name string, p []byte, decode func(*wire.Decoder) encodable) {
		if len(p) == 0 {
			return
		}
		d := wire.NewDecoder(p)
		v := decode(d)
		if err := d.Finish(); err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		e := wire.NewEncoder(len(p))
		v.Encode(e)
		same(t, name, e.Bytes(), p)
		seen[name]++
	}
	for _, s := range goldencap.Load(t, goldenDir) {
		b, err := message.Decode(carrier(s))
		if err != nil {
			t.Fatalf("%s: %v", s.File, err)
		}
		switch m := b.(type) {
		case *message.OSDOp:
			for _, op := range m.Ops {
				if dec := inputCodecs[op.Op]; dec != nil {
					check("input of "+op.Op.String(), op.In.Flat(), dec)
				}
			}
		case *message.OSDOpReply:
			for _, op := range m.Ops {
				if dec := outputCodecs[op.Op]; dec != nil {
					check("output of "+op.Op.String(), op.Out.Flat(), dec)
				}
			}
		case *message.WatchNotify:
			check("notify reply", m.Data.Flat(), func(d *wire.Decoder) encodable {
				v := message.DecodeNotifyReply(d)
				return &v
			})
		}
	}
	for op := range inputCodecs {
		if name := "input of " + op.String(); seen[name] == 0 {
			t.Errorf("no sample of the %s", name)
		}
	}
	for op := range outputCodecs {
		if name := "output of " + op.String(); seen[name] == 0 {
			t.Errorf("no sample of the %s", name)
		}
	}
	if seen["notify reply"] == 0 {
		t.Error("no sample of the notify reply")
	}
}
