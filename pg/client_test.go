package pg_test

import (
	"fmt"
	"slices"
	"strings"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pg"
	"sepiola/wire"
)

// simClient appends numbered words to objects and reads them. Words make it
// visible whether a write was lost, applied twice or reordered, and every read
// must be a prefix of what is there at the end.
type simClient struct {
	w        *world
	id       int64
	epoch    uint32
	tid      uint64
	pending  []*simOp
	sessions map[int32]*simSession
	acked    map[string][]string // by object: words acknowledged, in order
	sent     map[string][]string
	reads    []simRead
	versions map[string]uint64 // newest user version seen by object
}

type simRead struct {
	object, content string
	before          int // words of this client acknowledged when it was sent
}

type simOp struct {
	msg   *message.OSDOp
	name  string
	word  string // empty for a read and for a mixed change
	mixed bool
	acked int
}

// simSession is a client's connection to one incarnation of an OSD.
type simSession struct {
	c       *simClient
	osd     int32
	dead    bool
	queue   []message.Body
	replies []message.Body
	blocked []*message.OSDBackoff
}

func (s *simSession) reply(m message.Body) {
	if !s.dead {
		s.replies = append(s.replies, m)
	}
}

func newClient(w *world, id int64) *simClient {
	c := &simClient{w: w, id: id, epoch: 1, sessions: map[int32]*simSession{}, acked: map[string][]string{},
		sent: map[string][]string{}, versions: map[string]uint64{}}
	w.cls = append(w.cls, c)
	return c
}

func (c *simClient) lost(osd int32) {
	if s := c.sessions[osd]; s != nil {
		s.dead = true
		delete(c.sessions, osd)
	}
}

func (c *simClient) objectID(name string) object.ID {
	p := c.w.maps[c.epoch].Pools[poolID]
	return object.Head(poolID, "", "", name, p.HashKey(name, ""))
}

// start sends a new operation.
func (c *simClient) start(name string, read bool) {
	id := c.objectID(name)
	c.tid++
	op := &simOp{name: name, acked: len(c.acked[name])}
	sub := message.SubOp{Op: message.OpRead, Args: message.Extent{}.Args()}
	flags := message.FlagRead
	if !read {
		op.word = fmt.Sprintf("%d.%d;", c.id, c.tid)
		c.sent[name] = append(c.sent[name], op.word)
		sub = message.SubOp{Op: message.OpAppend, In: wire.BufOf([]byte(op.word)),
			Args: message.Extent{Length: uint64(len(op.word))}.Args()}
		flags = message.FlagWrite
	}
	list := []message.SubOp{sub}
	if !read && c.tid%3 == 0 {
		e := wire.NewEncoder(32)
		wire.Map(e, map[string][]byte{op.word: []byte("x")}, wire.PutString, wire.PutBlob)
		list = append(list, message.SubOp{Op: message.OpOmapSetVals, In: wire.BufOf(e.Bytes())})
	}
	op.msg = &message.OSDOp{TID: c.tid, Object: id, Flags: flags | message.FlagAck | message.FlagOnDisk,
		MTime: c.w.now, Ops: list}
	c.pending = append(c.pending, op)
	c.send(op)
}

// startMixed sends a change of whatever kind to an object whose content only the
// comparison of copies checks.
func (c *simClient) startMixed() {
	name := fmt.Sprint("mixed", c.w.rng.IntN(6))
	c.tid++
	text := []byte(fmt.Sprintf("%d.%d", c.id, c.tid))
	keys := wire.NewEncoder(32)
	wire.Map(keys, map[string][]byte{string(text): text, "same": text}, wire.PutString, wire.PutBlob)
	all := []message.SubOp{
		{Op: message.OpDelete},
		{Op: message.OpDelete},
		{Op: message.OpWriteFull, In: wire.BufOf(text), Args: message.Extent{Length: uint64(len(text))}.Args()},
		{Op: message.OpWrite, In: wire.BufOf(text), Args: message.Extent{Offset: 40, Length: uint64(len(text))}.Args()},
		{Op: message.OpTruncate, Args: message.Extent{Offset: uint64(c.w.rng.IntN(50))}.Args()},
		{Op: message.OpZero, Args: message.Extent{Offset: 3, Length: 5}.Args()},
		{Op: message.OpCreate, Flags: message.OpFlagExcl},
		{Op: message.OpOmapSetVals, In: wire.BufOf(keys.Bytes())},
		{Op: message.OpOmapSetHeader, In: wire.BufOf(text)},
		{Op: message.OpOmapClear},
		{Op: message.OpSetXattr, In: wire.BufOf(append([]byte("name"), text...)),
			Args: message.Xattr{NameLen: 4, ValueLen: uint32(len(text))}.Args()},
		{Op: message.OpRmXattr, In: wire.BufOf([]byte("name")), Args: message.Xattr{NameLen: 4}.Args()},
	}
	op := &simOp{name: name, mixed: true}
	list := []message.SubOp{all[c.w.rng.IntN(len(all))]}
	if c.w.rng.IntN(3) == 0 {
		list = append(list, all[c.w.rng.IntN(len(all))])
	}
	op.msg = &message.OSDOp{TID: c.tid, Object: c.objectID(name), MTime: c.w.now, Ops: list,
		Flags: message.FlagWrite | message.FlagAck | message.FlagOnDisk}
	if c.w.rng.IntN(2) == 0 {
		op.msg.Flags |= message.FlagReturnVec
	}
	c.pending = append(c.pending, op)
	c.send(op)
}

func (c *simClient) send(op *simOp) {
	m := c.w.maps[c.epoch]
	id := m.RawPGToPG(object.PGID{Pool: poolID, Seed: op.msg.Object.Hash})
	primary := m.PGToActingPrimary(id)
	if primary < 0 {
		return
	}
	s := c.sessions[primary]
	if s == nil {
		if !c.w.osds[primary].alive {
			return
		}
		s = &simSession{c: c, osd: primary}
		c.sessions[primary] = s
	}
	if slices.ContainsFunc(s.blocked, func(b *message.OSDBackoff) bool { return covers(b, op.msg.Object) }) {
		return
	}
	msg := *op.msg
	msg.PGID, msg.Epoch = id.Whole(), c.epoch
	c.w.logf("client.%d sends %d %s on %s to osd.%d e%d", c.id, msg.TID, op.word, op.name, primary, c.epoch)
	s.queue = append(s.queue, &msg)
}

// nextMap takes the client one map further: what may have been lost by it is sent
// again, in order.
func (c *simClient) nextMap() {
	old := c.w.maps[c.epoch]
	c.epoch++
	cur := c.w.maps[c.epoch]
	for _, op := range c.pending {
		id := cur.RawPGToPG(object.PGID{Pool: poolID, Seed: op.msg.Object.Hash})
		if osdmap.IsNewInterval(id, old, old.MappingOf(id), cur, cur.MappingOf(id)) {
			c.send(op)
		}
	}
}

// deliver brings the next operation of a session to its OSD.
func (s *simSession) deliver() {
	o := s.c.w.osds[s.osd]
	m, ok := s.queue[0].(*message.OSDOp)
	if !ok {
		b := s.queue[0].(*message.OSDBackoff)
		s.queue = s.queue[1:]
		if p := o.pgs[b.PGID.PGID]; p != nil {
			o.step(p, pg.BackoffAck{From: s, ID: b.ID})
		}
		return
	}
	p := o.pgs[m.PGID.PGID]
	cur := s.c.w.maps[o.epoch]
	if p == nil && (m.Epoch > o.epoch || cur.PGToActingPrimary(m.PGID.PGID) == o.id) {
		return // the PG is being made
	}
	s.queue = s.queue[1:]
	if p == nil {
		return // misdirected: the client will hear of a new map
	}
	s.c.w.logf("osd.%d takes client.%d %d e%d: %s", o.id, s.c.id, m.TID, m.Epoch, p.Describe())
	o.step(p, pg.ClientOp{Op: m, From: s, Source: entity.Name{Type: entity.TypeClient, Num: s.c.id}})
}

// take brings the next reply of a session to the client.
func (s *simSession) take() {
	body := s.replies[0]
	s.replies = s.replies[1:]
	c := s.c
	if b, ok := body.(*message.OSDBackoff); ok {
		s.backoff(b)
		return
	}
	m := body.(*message.OSDOpReply)
	for i, op := range c.pending {
		if op.msg.TID != m.TID {
			continue
		}
		c.pending = append(c.pending[:i:i], c.pending[i+1:]...)
		c.finish(op, m)
		return
	}
}

// backoff keeps what is in the range, or sends it again.
func (s *simSession) backoff(b *message.OSDBackoff) {
	c := s.c
	c.w.backoffs++
	if b.Op == message.BackoffBlock {
		s.blocked = append(s.blocked, b)
		s.queue = append(s.queue, &message.OSDBackoff{PGID: b.PGID, Op: message.BackoffAckBlock, ID: b.ID})
		return
	}
	s.blocked = slices.DeleteFunc(s.blocked, func(x *message.OSDBackoff) bool { return x.ID == b.ID })
	for _, op := range slices.Clone(c.pending) {
		if covers(b, op.msg.Object) {
			c.send(op)
		}
	}
}

func covers(b *message.OSDBackoff, o object.ID) bool {
	return b.Begin == o || b.Begin.Less(o) && o.Less(b.End)
}

func (c *simClient) finish(op *simOp, m *message.OSDOpReply) {
	w := c.w
	if op.mixed {
		switch m.Result {
		case 0, -2, -17:
		default:
			w.fail("client.%d %v on %s: %d", c.id, op.msg.Ops, op.name, m.Result)
		}
		return
	}
	if op.word == "" {
		content := ""
		switch m.Result {
		case 0:
			content = string(m.Ops[0].Out.Flat())
		case -2:
		default:
			w.fail("client.%d read %s: %d", c.id, op.name, m.Result)
		}
		c.reads = append(c.reads, simRead{op.name, content, op.acked})
		for _, word := range c.acked[op.name][:op.acked] {
			if !strings.Contains(content, word) {
				w.fail("client.%d tid %d: read of %s lacks acknowledged %s: %q", c.id, m.TID, op.name, word, content)
			}
		}
		return
	}
	if m.Result != 0 {
		w.fail("client.%d append %s: %d", c.id, op.name, m.Result)
	}
	c.acked[op.name] = append(c.acked[op.name], op.word)
	w.logf("client.%d %s acknowledged %v", c.id, op.word, m.ReplayVersion)
}
