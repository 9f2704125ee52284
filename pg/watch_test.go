package pg_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pg"
	"sepiola/wire"
)

// lone is a PG of one copy under the hand of a test, which says what time it is.
type lone struct {
	t       *testing.T
	o       *simOSD
	p       *pg.PG
	now     time.Time
	fx      pg.Effects
	timer   time.Time // when the watches' timer fires; zero if it is not set
	lease   time.Time // when the lease is renewed
	tid     uint64
	replies map[pg.Session][]message.Body
	dropped *message.OSDOp // the last operation that gets no answer
}

func newLone(t *testing.T) *lone {
	t.Helper()
	w := newWorld(t, 1, 1, 1, 1, 1)
	w.osds[0].createOwn()
	w.quiet = true
	newClient(w, 1)
	for !w.isSettled() {
		w.step()
	}
	return &lone{t: t, o: w.osds[0], p: w.osds[0].pgs[object.PGID{Pool: poolID}], now: w.now,
		replies: map[pg.Session][]message.Body{}}
}

// step takes an event; what it submits is durable at once.
func (l *lone) step(ev pg.Event) {
	l.t.Helper()
	if !l.lease.After(l.now) {
		l.lease = l.now.Add(time.Hour)
		l.step(pg.Timer{Kind: pg.TimerLease})
	}
	var done []pg.Event
	pg.Drive(l.p, l.now, ev, &l.fx, func(e pg.Effect) {
		switch e := e.(type) {
		case pg.Submit:
			must(l.t, l.o.store.Submit(e.Tx, func() {}))
			if e.Token != 0 {
				done = append(done, pg.Committed{Token: e.Token})
			}
		case pg.Reply:
			l.replies[e.To] = append(l.replies[e.To], e.Msg)
		case pg.Dropped:
			l.dropped = e.Op
		case pg.StartTimer:
			switch e.Kind {
			case pg.TimerWatch:
				l.timer = l.now.Add(e.After)
			case pg.TimerLease:
				l.lease = l.now.Add(e.After)
			}
		}
	})
	for _, ev := range done {
		l.step(ev)
	}
}

// client returns the name of the client that a session, here its number, is of.
func client(session int64) entity.Name { return entity.Name{Type: entity.TypeClient, Num: session} }

func addrOf(session int64) entity.Addr {
	return entity.Msgr2(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, byte(session)}), 1234))
}

// do sends operations on object "o" by a client's connection and returns the reply.
func (l *lone) do(session int64, list ...message.SubOp) *message.OSDOpReply {
	l.t.Helper()
	return l.send(session, func(*message.OSDOp) {}, list...)
}

// send does the same, of a message that with completes; nil if it is dropped.
func (l *lone) send(session int64, with func(*message.OSDOp), list ...message.SubOp) *message.OSDOpReply {
	l.t.Helper()
	m := l.o.w.current()
	l.tid++
	flags := message.FlagOnDisk
	for i := range list {
		if list[i].Op.Writes() {
			flags |= message.FlagWrite
		}
	}
	op := &message.OSDOp{TID: l.tid, PGID: l.p.ID(), Epoch: m.Epoch, Object: l.object("o"), Flags: flags, Ops: list}
	with(op)
	l.step(pg.ClientOp{From: session, Source: client(session), Addr: addrOf(session), Op: op})
	for i, b := range l.replies[session] {
		if r, ok := b.(*message.OSDOpReply); ok && r.TID == l.tid {
			l.replies[session] = slices.Delete(l.replies[session], i, i+1)
			return r
		}
	}
	if l.dropped != op {
		l.t.Fatalf("%v was not answered", list)
	}
	return nil
}

func (l *lone) object(name string) object.ID {
	return object.Head(poolID, "", "", name, l.o.w.current().Pools[poolID].HashKey(name, ""))
}

// want checks the result of operations.
func (l *lone) want(result int32, session int64, list ...message.SubOp) *message.OSDOpReply {
	l.t.Helper()
	r := l.do(session, list...)
	if r.Result != result {
		l.t.Fatalf("%v: %d, want %d", list, r.Result, result)
	}
	return r
}

// told takes the next event of a watch that a client was told.
func (l *lone) told(session int64) message.WatchNotify {
	l.t.Helper()
	list := l.replies[session]
	if len(list) == 0 {
		l.t.Fatalf("client %d was told nothing", session)
	}
	l.replies[session] = list[1:]
	return *list[0].(*message.WatchNotify)
}

func (l *lone) silent(session int64) {
	l.t.Helper()
	if n := len(l.replies[session]); n > 0 {
		l.t.Fatalf("client %d was told %+v", session, l.replies[session])
	}
}

// pass lets time go by.
func (l *lone) pass(d time.Duration) {
	l.t.Helper()
	end := l.now.Add(d)
	for !l.timer.IsZero() && !l.timer.After(end) {
		l.now, l.timer = l.timer, time.Time{}
		l.step(pg.Timer{Kind: pg.TimerWatch})
	}
	l.now = end
}

func (l *lone) watchers() []message.WatchItem {
	l.t.Helper()
	r := l.want(0, 99, message.SubOp{Op: message.OpListWatchers})
	return message.DecodeListWatchersResponse(wire.NewDecoder(r.Ops[0].Out.Flat())).Entries
}

func watchOp(op message.WatchOp, cookie uint64, timeout uint32) message.SubOp {
	return message.SubOp{Op: message.OpWatch, Args: message.Watch{Cookie: cookie, Op: op, Timeout: timeout}.Args()}
}

func notifyOp(cookie uint64, timeout uint32, payload string) message.SubOp {
	e := wire.NewEncoder(32)
	(&message.NotifyRequest{Version: 1, Timeout: timeout, Payload: []byte(payload)}).Encode(e)
	return message.SubOp{Op: message.OpNotify, Args: message.NotifyArgs(cookie), In: wire.BufOf(e.Bytes())}
}

func ackOp(id, cookie uint64, payload string) message.SubOp {
	e := wire.NewEncoder(32)
	(&message.NotifyAck{NotifyID: id, Cookie: cookie, Payload: []byte(payload)}).Encode(e)
	return message.SubOp{Op: message.OpNotifyAck, In: wire.BufOf(e.Bytes())}
}

var createOp = message.SubOp{Op: message.OpCreate}

// A notify reaches every watcher with what the notifier said, and is complete, with
// what they answered, when all have acknowledged it and not before.
func TestNotifyReachesAllWatchers(t *testing.T) {
	l := newLone(t)
	l.want(-2, 1, watchOp(message.WatchWatch, 11, 0))
	l.want(0, 1, createOp)
	l.want(0, 1, watchOp(message.WatchWatch, 11, 0))
	l.want(0, 2, watchOp(message.WatchWatch, 22, 0))
	if w := l.watchers(); len(w) != 2 || w[0].Name != client(1) || w[0].Cookie != 11 || w[0].Timeout != 30 {
		t.Errorf("watchers %+v", w)
	}
	r := l.want(0, 3, notifyOp(33, 0, "hello"))
	id := wire.NewDecoder(r.Ops[0].Out.Flat()).U64()
	for session, cookie := range map[int64]uint64{1: 11, 2: 22} {
		n := l.told(session)
		if n.Event != message.WatchEventNotify || n.Cookie != cookie || n.NotifyID != id || string(n.Payload) != "hello" || n.NotifierGID != 3 {
			t.Errorf("watcher %d was told %+v", session, n)
		}
	}
	l.want(0, 2, ackOp(id, 22, "two"))
	l.want(0, 2, ackOp(id, 22, "again"))
	l.want(0, 2, ackOp(id, 11, "of another"))
	l.silent(3)
	l.want(0, 1, ackOp(id, 11, "one"))
	n := l.told(3)
	got := message.DecodeNotifyReply(wire.NewDecoder(n.Data.Flat()))
	if n.Event != message.WatchEventNotifyComplete || n.Cookie != 33 || n.ReturnCode != 0 || len(got.Replies) != 2 ||
		len(got.TimedOut) != 0 || string(got.Replies[0].Payload) != "one" || string(got.Replies[1].Payload) != "two" {
		t.Errorf("complete: %+v %+v", n, got)
	}
	l.want(0, 1, watchOp(message.WatchUnwatch, 11, 0))
	l.want(0, 2, watchOp(message.WatchUnwatch, 22, 0))
	l.want(0, 3, notifyOp(34, 0, "anyone?"))
	if n := l.told(3); n.Cookie != 34 || n.ReturnCode != 0 {
		t.Errorf("notify without watchers: %+v", n)
	}
	if w := l.watchers(); len(w) != 0 {
		t.Errorf("watchers after all left: %+v", w)
	}
	l.silent(1)
	l.silent(2)
}

// A watcher that says nothing holds a notify up until the notify's time is over, and
// is named to the notifier.
func TestNotifyTimesOut(t *testing.T) {
	l := newLone(t)
	l.want(0, 1, createOp)
	l.want(0, 1, watchOp(message.WatchWatch, 11, 0))
	l.want(0, 3, notifyOp(33, 5, ""))
	l.pass(4 * time.Second)
	l.silent(3)
	l.pass(2 * time.Second)
	n := l.told(3)
	got := message.DecodeNotifyReply(wire.NewDecoder(n.Data.Flat()))
	if n.ReturnCode != -110 || len(got.TimedOut) != 1 || got.TimedOut[0] != (message.Watcher{GID: 1, Cookie: 11}) {
		t.Errorf("complete: %+v %+v", n, got)
	}
}

// A watcher that stops pinging is removed, for all to see, and told so if it can be;
// one that pings stays.
func TestWatchExpires(t *testing.T) {
	l := newLone(t)
	l.want(0, 1, createOp)
	l.want(0, 1, watchOp(message.WatchWatch, 11, 10))
	l.want(0, 2, watchOp(message.WatchWatch, 22, 10))
	for range 4 {
		l.pass(5 * time.Second)
		l.want(0, 2, watchOp(message.WatchPing, 22, 0))
	}
	if w := l.watchers(); len(w) != 1 || w[0].Cookie != 22 {
		t.Errorf("watchers %+v", w)
	}
	if n := l.told(1); n.Event != message.WatchEventDisconnect || n.Cookie != 11 {
		t.Errorf("told %+v", n)
	}
	l.want(-107, 1, watchOp(message.WatchPing, 11, 0))
	l.want(-107, 1, watchOp(message.WatchReconnect, 11, 0))
	l.step(pg.SessionReset{Session: int64(2)})
	l.want(-110, 2, watchOp(message.WatchPing, 22, 0)) // it must connect again
	l.want(0, 3, notifyOp(33, 30, "wait for it"))
	l.want(0, 2, watchOp(message.WatchReconnect, 22, 0))
	if n := l.told(2); string(n.Payload) != "wait for it" {
		t.Errorf("told after it was back: %+v", n)
	}
}

// Removing an object ends its watches, and the notifies that wait for them.
func TestRemovalEndsWatches(t *testing.T) {
	l := newLone(t)
	l.want(0, 1, createOp)
	l.want(0, 1, watchOp(message.WatchWatch, 11, 0))
	l.want(0, 3, notifyOp(33, 0, ""))
	l.told(1)
	l.want(0, 2, message.SubOp{Op: message.OpDelete})
	if n := l.told(1); n.Event != message.WatchEventDisconnect || n.Cookie != 11 {
		t.Errorf("the watcher was told %+v", n)
	}
	if n := l.told(3); n.Event != message.WatchEventNotifyComplete || n.ReturnCode != 0 {
		t.Errorf("the notifier was told %+v", n)
	}
	l.want(0, 1, createOp)
	if w := l.watchers(); len(w) != 0 {
		t.Errorf("watchers of the new object %+v", w)
	}
}

// A new interval expects the watchers back: a notify waits for them, and those who
// stay away are removed in their time.
func TestWatchesOutliveTheInterval(t *testing.T) {
	l := newLone(t)
	l.want(0, 1, createOp)
	l.want(0, 1, watchOp(message.WatchWatch, 11, 10))
	l.want(0, 2, watchOp(message.WatchWatch, 22, 10))
	l.newInterval()
	l.want(-110, 1, watchOp(message.WatchPing, 11, 0))
	l.want(0, 3, notifyOp(33, 60, ""))
	l.want(0, 1, watchOp(message.WatchReconnect, 11, 0))
	n := l.told(1)
	l.want(0, 1, ackOp(n.NotifyID, 11, ""))
	l.silent(3)
	for range 3 {
		l.pass(4 * time.Second)
		l.want(0, 1, watchOp(message.WatchPing, 11, 0))
	}
	if n := l.told(3); n.ReturnCode != 0 {
		t.Errorf("complete %+v", n)
	}
	if w := l.watchers(); len(w) != 1 || w[0].Cookie != 11 {
		t.Errorf("watchers %+v", w)
	}
}

// A client that the map shuts out loses its watches at once, so that nobody waits for
// it: this is how a lock's holder is got rid of.
func TestBlocklistEndsWatches(t *testing.T) {
	l := newLone(t)
	l.want(0, 1, createOp)
	l.want(0, 1, watchOp(message.WatchWatch, 11, 0))
	l.want(0, 2, watchOp(message.WatchWatch, 22, 0))
	w := l.o.w
	w.change(func(m *osdmap.Map) {
		a := addrOf(1)
		a.Type = entity.AddrAny
		m.Blocklist = map[entity.Addr]time.Time{a: w.now.Add(time.Hour)}
	})
	l.step(pg.NewMap{Map: w.current()})
	if w := l.watchers(); len(w) != 1 || w[0].Cookie != 22 {
		t.Errorf("watchers %+v", w)
	}
	l.want(-message.EBlocklisted, 1, watchOp(message.WatchWatch, 11, 0))
}

// newInterval has the OSD leave and come back.
func (l *lone) newInterval() {
	l.t.Helper()
	w := l.o.w
	for _, up := range []bool{false, true} {
		w.change(func(m *osdmap.Map) {
			m.OSDState[0] ^= osdmap.OSDUp
			if up {
				m.OSDInfo[0].UpFrom, m.OSDInfo[0].UpThru = m.Epoch, m.Epoch
			}
		})
		l.step(pg.NewMap{Map: w.current()})
	}
}

// What cannot be: more watchers or notifies than a PG takes on, and answers to
// nothing. None of it may harm others.
func TestWatchLimits(t *testing.T) {
	l := newLone(t)
	l.o.w.conf.Ops.MaxWatchers = 3
	l.want(0, 1, createOp)
	for cookie := range uint64(3) {
		l.want(0, 1, watchOp(message.WatchWatch, cookie, 0))
	}
	l.want(-16, 1, watchOp(message.WatchWatch, 3, 0))
	l.want(0, 1, watchOp(message.WatchWatch, 2, 0))
	l.want(0, 1, watchOp(message.WatchUnwatch, 77, 0))
	l.want(0, 1, watchOp(message.WatchOp(9), 1, 0))
	l.want(0, 1, ackOp(12345, 1, ""))
	l.want(0, 1, message.SubOp{Op: message.OpNotifyAck, In: wire.BufOf([]byte{1})})
	l.want(-16, 2, slices.Repeat([]message.SubOp{notifyOp(1, 0, "")}, 2000)...)
	l.silent(1)
	l.want(0, 2, slices.Repeat([]message.SubOp{notifyOp(1, 0, "")}, 1000)...)
	l.want(0, 3, slices.Repeat([]message.SubOp{notifyOp(1, 0, "")}, 24)...)
	l.want(-16, 3, notifyOp(1, 0, ""))
	l.pass(31 * time.Second)
	l.want(0, 3, notifyOp(1, 0, ""))
}
