package osd

import (
	"testing"

	"github.com/hashicorp/go-hclog"

	"sepiola/adminsocket"
	"sepiola/config"
	"sepiola/entity"
	"sepiola/message"
	"sepiola/monclient"
	"sepiola/msgr"
	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/osdmap"
	"sepiola/pg"
	"sepiola/pglog"
)

// testShard is the only shard of osd.0, driven by the test.
type testShard struct {
	*shard
	t *testing.T
	m *osdmap.Map
}

// newTestShard makes an OSD that has got to the map m, of epoch 1, and has no PGs.
func newTestShard(t *testing.T, m *osdmap.Map) *testShard {
	t.Helper()
	log := hclog.NewNullLogger()
	o := config.New("osd", "0")
	d, err := New(Config{Options: o, Logger: log, MsgrLogger: log, MonLogger: log, Admin: adminsocket.New(log, o),
		Store: newStore(t, objectstore.Identity{ClusterFSID: m.FSID}), Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	d.makeNetworks()
	t.Cleanup(d.nets.shutdown)
	d.mon = monclient.New(monclient.Config{Messenger: d.nets.public})
	s := &testShard{t: t, m: m}
	d.current.Store(s.publish(d, m))
	s.shard = newShard(d, 0)
	d.shard = []*shard{s.shard}
	t.Cleanup(s.stopTimers)
	return s
}

// publish makes a map durable.
func (s *testShard) publish(d *Daemon, m *osdmap.Map) *osdmap.Map {
	s.t.Helper()
	return add(s.t, d.maps, &message.OSDMapMsg{Maps: map[uint32][]byte{m.Epoch: m.Encode(0)}})[0]
}

// next goes on to a map with a change.
func (s *testShard) next(change func(*osdmap.Map)) {
	s.t.Helper()
	m := s.m.Clone()
	m.Epoch++
	if change != nil {
		change(m)
	}
	s.m = s.publish(s.d, m)
	s.d.current.Store(s.m)
	s.advance(s.m, false, nil)
}

// client returns a session of a client.
func (s *testShard) client() *session {
	return newSession(s.d.nets.public.Connect(entity.AddrVec{entity.Addr{Type: entity.AddrMsgr2, AddrPort: loopbackPort(9)}}, entity.TypeClient))
}

func (s *testShard) send(from *session, tid uint64, epoch uint32, id object.SPGID) {
	op := testOp(tid, epoch, id.Seed)
	from.begin(op, &msgr.Message{}, clock(0))
	s.take(work{pgid: id, ev: pg.ClientOp{Op: op, From: from, Source: entity.Client(7)}})
}

// led returns a PG that this OSD leads, and one that another does.
func (s *testShard) led() (ours, theirs object.SPGID) {
	s.t.Helper()
	var found [2]bool
	for seed := range s.m.Pools[1].PGNum {
		id := object.PGID{Pool: 1, Seed: seed}
		if s.m.PGToActingPrimary(id) == 0 {
			ours, found[0] = id.Whole(), true
		} else {
			theirs, found[1] = id.Whole(), true
		}
	}
	if found != [2]bool{true, true} {
		s.t.Fatal("the map has no PG that osd.0 leads, or none that another does")
	}
	return ours, theirs
}

func created(epoch uint32) pg.CreateInfo {
	return pg.CreateInfo{Epoch: epoch, History: pg.NewHistory(epoch, clock(0))}
}

// An operation waits for a PG of ours that is not made yet, and for maps that are not
// here yet; one that others lead is given up, and so is what waits when it turns out
// to be theirs.
func TestAbsentOperations(t *testing.T) {
	s := newTestShard(t, testMap(t, 4))
	ours, theirs := s.led()
	c := s.client()
	under := func(want int) {
		t.Helper()
		if got := len(c.inFlight()); got != want {
			t.Errorf("%d operations are under way, want %d", got, want)
		}
	}
	s.send(c, 1, 1, theirs)
	under(0)
	s.send(c, 2, 1, object.PGID{Pool: 99}.Whole())
	under(0)
	s.send(c, 3, 1, ours)
	under(1)
	s.send(c, 4, 2, theirs) // the client knows more than we do
	under(2)
	s.next(nil)
	under(1)
	if len(s.waiting) != 1 || len(s.waiting[ours]) != 1 {
		t.Errorf("waiting: %v", s.waiting)
	}
	other := s.client()
	s.send(other, 1, 2, ours)
	s.sessionReset(c)
	if len(s.waiting[ours]) != 1 {
		t.Errorf("%d operations wait after one of two clients has gone", len(s.waiting[ours]))
	}
	s.sessionReset(other)
	if len(s.waiting) != 0 {
		t.Errorf("waiting: %v", s.waiting)
	}
	s.send(c, 5, 2, ours)
	s.next(func(m *osdmap.Map) { delete(m.Pools, 1) })
	if len(c.inFlight()) != 1 || len(s.waiting) != 0 { // the one of before was its client's to forget
		t.Errorf("%d operations under way, waiting %v, after the pool has gone", len(c.inFlight()), s.waiting)
	}
}

// What waits for one PG is bounded.
func TestAbsentBound(t *testing.T) {
	s := newTestShard(t, testMap(t, 4))
	ours, _ := s.led()
	c := s.client()
	for i := range uint64(waitingMax + 50) {
		s.send(c, i, 1, ours)
	}
	if n := len(s.waiting[ours]); n != waitingMax || len(c.inFlight()) != waitingMax {
		t.Errorf("%d operations wait, %d are under way; want %d", n, len(c.inFlight()), waitingMax)
	}
}

// Making a PG lets it take what has waited for it.
func TestCreateReplays(t *testing.T) {
	s := newTestShard(t, testMap(t, 4))
	ours, theirs := s.led()
	c := s.client()
	s.send(c, 1, 1, ours)
	s.createFor(theirs, 1, created(1))
	if len(s.pgs) != 0 {
		t.Error("a PG was made that another OSD leads")
	}
	s.createFor(ours, 1, created(1))
	if s.pgs[ours] == nil || len(s.waiting) != 0 {
		t.Fatalf("made: %v, waiting: %v", s.pgs, s.waiting)
	}
	if s.oldestEpoch.Load() != 1 {
		t.Errorf("maps from %d on are needed, want 1", s.oldestEpoch.Load())
	}
	before := s.pgs[ours]
	s.createFor(ours, 1, created(1))
	if s.pgs[ours] != before {
		t.Error("a PG was made anew")
	}
	if got := s.d.countPGs(); got != 1 {
		t.Errorf("%d PGs are counted", got)
	}
	for _, osd := range s.peerSet() {
		if osd < 0 || osd > 3 {
			t.Errorf("peers: %v", s.peerSet())
		}
	}
}

// A create message that is ahead of the map waits for it, and for the right one.
func TestCreateEarly(t *testing.T) {
	s := newTestShard(t, testMap(t, 4))
	ours, _ := s.led()
	s.createFor(ours, 3, created(1))
	s.next(nil)
	if len(s.pgs) != 0 {
		t.Fatal("a PG was made before the map was there")
	}
	s.next(nil)
	if s.pgs[ours] == nil || s.pgs[ours].pg.Epoch() != 3 {
		t.Fatalf("after the map: %v", s.pgs)
	}
	if len(s.early) != 0 {
		t.Errorf("%d things are still early", len(s.early))
	}
}

func query(id object.SPGID, epoch uint32) *message.OSDPGQuery2 {
	return &message.OSDPGQuery2{PGID: id, Query: pglog.Query{Type: pglog.QueryInfo, EpochSent: epoch, From: object.NoShard, To: object.NoShard}}
}

// Peers are answered about PGs that are not here; what they say ahead of the map waits
// for it, whether the PG is here or not, with its share of the throttle.
func TestPeerMessages(t *testing.T) {
	s := newTestShard(t, testMap(t, 4))
	ours, theirs := s.led()
	s.createFor(ours, 1, created(1))
	conn := s.d.nets.cluster.Connect(s.m.ClusterAddrsOf(1), entity.TypeOSD)
	sent := func() int { n, _ := conn.Queued(); return n }
	done := 0
	tell := func(id object.SPGID, epoch uint32, from *msgr.Conn) {
		s.take(work{pgid: id, conn: from, done: func() { done++ }, ev: pg.PeerMessage{From: 1, Msg: query(id, epoch)}})
	}
	before := sent()
	tell(theirs, 1, conn)
	if done != 1 || sent() != before+1 {
		t.Errorf("a question about a PG that is not here: done %d, sent %d", done, sent()-before)
	}
	tell(object.PGID{Pool: 99}.Whole(), 1, conn)
	if done != 2 {
		t.Error("a question about no pool keeps its share of the throttle")
	}
	stranger := s.d.nets.cluster.Connect(s.m.ClusterAddrsOf(2), entity.TypeOSD)
	tell(theirs, 2, conn)
	tell(ours, 2, conn)
	tell(theirs, 2, stranger)
	tell(theirs, 9, conn)
	if done != 2 || len(s.early) != 4 {
		t.Errorf("ahead of the map: done %d, kept %d", done, len(s.early))
	}
	s.forgetConn(stranger)
	if done != 3 || len(s.early) != 3 {
		t.Errorf("after a stranger has gone: done %d, kept %d", done, len(s.early))
	}
	s.next(nil)
	if done != 5 || len(s.early) != 1 {
		t.Errorf("after the map: done %d, kept %d", done, len(s.early))
	}
}

// What is kept for later maps is bounded, and what is over gives its share back.
func TestEarlyBound(t *testing.T) {
	s := newTestShard(t, testMap(t, 4))
	_, theirs := s.led()
	done := 0
	w := work{pgid: theirs, done: func() { done++ }, ev: pg.PeerMessage{From: 1, Msg: query(theirs, 2)}}
	for range earlyMax + 7 {
		s.take(w)
	}
	if len(s.early) != earlyMax || done != 7 {
		t.Errorf("%d are kept, %d are done", len(s.early), done)
	}
}

// A PG whose pool goes is removed, and its place in the tables with it.
func TestPoolRemoval(t *testing.T) {
	s := newTestShard(t, testMap(t, 4))
	ours, _ := s.led()
	s.createFor(ours, 1, created(1))
	c := s.client()
	s.next(func(m *osdmap.Map) { delete(m.Pools, 1) })
	s.send(c, 1, 2, ours)
	for s.pgs[ours] != nil { // commits and timers of the removal
		w, ok := s.queue.pop()
		if !ok {
			t.Fatal("the queue is closed")
		}
		s.run1(w)
	}
	if len(c.inFlight()) != 0 {
		t.Error("an operation on what is being removed is still under way")
	}
	if s.d.countPGs() != 0 || len(s.peerSet()) != 0 {
		t.Error("a PG that has gone is still counted")
	}
	s.next(nil)
	if s.oldestEpoch.Load() != 0 {
		t.Errorf("maps from %d on are needed by nobody", s.oldestEpoch.Load())
	}
}

// A restart finds the PGs, takes them over maps that the monitors had trimmed, and says
// which maps are needed.
func TestLoadOverGap(t *testing.T) {
	s := newTestShard(t, testMap(t, 4))
	ours, _ := s.led()
	s.createFor(ours, 1, created(1))
	m := s.m.Clone()
	m.Epoch = 40
	s.m = s.publish(s.d, m)
	again := newShard(s.d, 0)
	again.cur = s.m
	s.d.shard = []*shard{again}
	if err := s.d.loadPGs(); err != nil {
		t.Fatal(err)
	}
	if sl := again.pgs[ours]; sl == nil || sl.pg.Epoch() != 40 {
		t.Fatalf("loaded: %v", again.pgs)
	}
	if e := again.oldestEpoch.Load(); e == 0 || e > 40 || s.d.oldestNeeded() != e {
		t.Errorf("maps from %d on are needed, or %d", e, s.d.oldestNeeded())
	}
	again.stopTimers()
}

// A peer is heard if the map knows it at that address, in the incarnation that sent the
// message; or if it is ahead of the map.
func TestSpeaks(t *testing.T) {
	m := testMap(t, 4)
	m.OSDState[2] &^= osdmap.OSDUp
	m.OSDInfo[3].DownAt = 1
	s := newTestShard(t, m)
	at := func(osd int32) *msgr.Conn {
		return s.d.nets.cluster.Connect(s.m.ClusterAddrs[osd], entity.TypeOSD)
	}
	for _, c := range []struct {
		name  string
		conn  *msgr.Conn
		from  int32
		epoch uint32
		want  bool
	}{
		{"as the map knows it", at(1), 1, 1, true},
		{"from elsewhere", at(3), 1, 1, false},
		{"down", at(2), 2, 1, false},
		{"sent before it was marked down", at(3), 3, 1, false},
		{"unknown", at(1), 77, 1, false},
		{"no number", at(1), -1, 1, false},
		{"ahead of the map", at(1), 77, 2, true},
	} {
		if got := s.d.speaks(c.conn, c.from, c.epoch); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	// Whatever peers say of epochs, the table stays as long as the map.
	for osd := range int32(100) {
		s.d.peerHas(osd-10, 0xffffffff)
	}
	if n := len(s.d.peerEpoch); n != 4 || s.d.peerEpoch[1] != 1 {
		t.Errorf("%d peers are remembered, osd.1 at epoch %d", n, s.d.peerEpoch[1])
	}
}
