package message_test

import (
	"testing"

	"sepiola/message"
)

// TestOpModes protects what decides whether an operation needs the write path:
// the mode bits, with the one exception Ceph makes for class calls.
func TestOpModes(t *testing.T) {
	for _, c := range []struct {
		op            message.OSDOpCode
		reads, writes bool
		name          string
	}{
		{message.OpRead, true, false, "read"},
		{message.OpWriteFull, false, true, "writefull"},
		{message.OpTmapUp, true, true, "tmapup"},
		{message.OpCall, false, false, "call"},
		{message.OpPGNLs, true, false, "pgnls"},
		{message.OpOmapRmKeyRange, false, true, "omap-rm-key-range"},
		{message.OpCacheEvict, false, false, "cache-evict"},
		{0x1fff, true, false, "???"},
	} {
		if c.op.Reads() != c.reads || c.op.Writes() != c.writes || c.op.String() != c.name {
			t.Errorf("%#x: reads %v, writes %v, %q; want %v, %v, %q", uint16(c.op), c.op.Reads(), c.op.Writes(), c.op,
				c.reads, c.writes, c.name)
		}
	}
	if f := message.FlagWrite | message.FlagOnDisk; f.String() != "ondisk+write" {
		t.Errorf("flags are %q", f)
	}
}
