package message_test

import (
	"testing"
	"time"

	"sepiola/message"
	"sepiola/object"
	"sepiola/wire"
)

func writeOp() *message.OSDOp {
	return &message.OSDOp{
		TID: 7, PGID: object.PGID{Pool: 1, Seed: 5}.Whole(), Object: object.Head(1, "", "", "benchmark_data_object1", 0x12345),
		Epoch: 20, Flags: message.FlagWrite | message.FlagOnDisk, MTime: time.Unix(1700000000, 0),
		Ops: []message.SubOp{{Op: message.OpWrite, Args: message.Extent{Length: 4096}.Args(), In: wire.BufOf(make([]byte, 4096))}},
	}
}

func BenchmarkEncodeOSDOp(b *testing.B) {
	op := writeOp()
	b.ReportAllocs()
	for b.Loop() {
		message.Encode(op, pacificFeatures)
	}
}

func BenchmarkDecodeOSDOp(b *testing.B) {
	m := message.Encode(writeOp(), pacificFeatures)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := message.Decode(m); err != nil {
			b.Fatal(err)
		}
	}
}
