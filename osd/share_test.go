package osd

import (
	"testing"

	"sepiola/message"
	"sepiola/pg"
)

// A client whose operation waited here through maps gets them with the answer.
func TestMapsWithAnswer(t *testing.T) {
	s := newTestShard(t, testMap(t, 4))
	sess := s.client()
	op := testOp(1, s.m.Epoch, 0)
	sess.knows(op.Epoch)
	s.next(nil)
	s.reply(pg.Reply{To: sess, Msg: message.NewOSDOpReply(op, 0, s.m.Epoch, message.FlagOnDisk)})
	if e := sess.knows(0); e != s.m.Epoch || e == op.Epoch {
		t.Errorf("the client has map %d, the OSD %d", e, s.m.Epoch)
	}
}
