package rados

import (
	"context"
	"errors"
	"syscall"
	"testing"

	"sepiola/message"
	"sepiola/object"
	"sepiola/osdmap"
)

func (w *world) settled(p *Pending, want error) {
	w.t.Helper()
	if err := p.Wait(); !errors.Is(err, want) {
		w.t.Errorf("the operation ended with %v, want %v", err, want)
	}
}

// An OSD that breaks the session gets everything again, in order, marked as resent;
// answers are matched whatever their order.
func TestResendAfterBrokenSession(t *testing.T) {
	w := newWorld(t, 1)
	a, b, c := w.start("a"), w.start("b"), w.start("c")
	conn, _ := w.expect(0, 0, "a", "b", "c")
	conn.MarkDown()
	conn, ops := w.expect(0, 1, "a", "b", "c")
	w.reply(conn, ops[2], 0)
	w.reply(conn, ops[0], -int32(syscall.ENOSPC))
	w.reply(conn, ops[1], 0)
	w.settled(a, syscall.ENOSPC)
	w.settled(b, nil)
	w.settled(c, nil)
}

// A map that moves the PG moves what is under way with it; an answer from the old
// primary, or to an earlier attempt, counts for nothing.
func TestMapMovesOperations(t *testing.T) {
	w := newWorld(t, 2)
	p := w.start("a")
	old, ops := w.expect(0, 0, "a")
	w.lead(1)
	conn, again := w.expect(1, 1, "a")
	w.reply(old, ops[0], -int32(syscall.EIO))
	w.lead(0)
	_, last := w.expect(0, 2, "a")
	w.reply(conn, again[0], -int32(syscall.EIO))
	w.reply(old, ops[0], -int32(syscall.EIO)) // of attempt 0, on a session still in use
	w.reply(old, last[0], 0)
	w.settled(p, nil)
}

// What the map has no primary for, or pauses, waits for a map that has one.
func TestOperationsWaitForTheMap(t *testing.T) {
	w := newWorld(t, 1)
	w.change(func(m *osdmap.Map) { m.Flags |= osdmap.FlagPauseWr })
	a := w.start("a")
	w.change(func(m *osdmap.Map) { m.OSDState[0] &^= osdmap.OSDUp; m.Flags &^= osdmap.FlagPauseWr })
	b := w.start("b")
	w.change(func(m *osdmap.Map) { m.OSDState[0] |= osdmap.OSDUp })
	conn, ops := w.expect(0, 0, "a", "b")
	if ops[0].Epoch != w.m.Epoch {
		t.Errorf("sent with epoch %d, want %d", ops[0].Epoch, w.m.Epoch)
	}
	w.reply(conn, ops[0], 0)
	w.reply(conn, ops[1], 0)
	w.settled(a, nil)
	w.settled(b, nil)
}

// A pool that is full holds writes, but not those that are to try all the same.
func TestFullPoolHoldsWrites(t *testing.T) {
	w := newWorld(t, 1)
	w.change(func(m *osdmap.Map) {
		p := m.Pools[testPool].Clone()
		p.Flags |= osdmap.PoolFlagFull
		m.Pools[testPool] = p
	})
	held := w.start("held")
	p, err := w.io().WithFlags(message.FlagFullTry).Start(context.Background(), "urgent", new(Op).Remove())
	if err != nil {
		t.Fatal(err)
	}
	conn, ops := w.expect(0, 0, "urgent")
	w.reply(conn, ops[0], 0)
	w.settled(p, nil)
	w.change(func(m *osdmap.Map) {
		p := m.Pools[testPool].Clone()
		p.Flags &^= osdmap.PoolFlagFull
		m.Pools[testPool] = p
	})
	conn, ops = w.expect(0, 0, "held")
	w.reply(conn, ops[0], 0)
	w.settled(held, nil)
}

// A split makes OSDs forget what they had not finished, so it is sent again though
// its placement group and OSD stay the same.
func TestResendOnSplit(t *testing.T) {
	w := newWorld(t, 1)
	p := w.start("a")
	w.expect(0, 0, "a")
	w.change(func(m *osdmap.Map) {
		p := m.Pools[testPool].Clone()
		p.SetPGNum(2)
		m.Pools[testPool] = p
		m.PGTemp[object.PGID{Pool: testPool, Seed: 1}] = []int32{0}
	})
	conn, ops := w.expect(0, 1, "a")
	w.reply(conn, ops[0], 0)
	w.settled(p, nil)
}

// A backoff holds what it covers, and nothing else, until it is lifted; then that
// goes, in order.
func TestBackoff(t *testing.T) {
	w := newWorld(t, 1)
	p := w.start("held")
	conn, ops := w.expect(0, 0, "held")
	held := ops[0].Object
	block := &message.OSDBackoff{PGID: ops[0].PGID, Epoch: w.m.Epoch, Op: message.BackoffBlock, ID: 7, Begin: held, End: held}
	if err := conn.Send(message.Encode(block, conn.Features())); err != nil {
		t.Fatal(err)
	}
	ack, ok := (<-w.osds[0].got).body.(*message.OSDBackoff)
	if !ok || ack.Op != message.BackoffAckBlock || ack.ID != 7 || ack.Begin != held {
		t.Fatalf("the backoff was acknowledged by %+v", ack)
	}
	again, free := w.start("held"), w.start("free")
	conn, ops = w.expect(0, 0, "free")
	w.reply(conn, ops[0], 0)
	w.settled(free, nil)
	lift := *block
	lift.Op = message.BackoffUnblock
	if err := conn.Send(message.Encode(&lift, conn.Features())); err != nil {
		t.Fatal(err)
	}
	_, first := w.expect(0, 1, "held")
	_, second := w.expect(0, 0, "held")
	w.reply(conn, first[0], 0)
	w.reply(conn, second[0], 0)
	w.settled(p, nil)
	w.settled(again, nil)
}

// A backoff ends with its session: what waited for it is sent in the next.
func TestBackoffEndsWithSession(t *testing.T) {
	w := newWorld(t, 1)
	p := w.start("a")
	conn, ops := w.expect(0, 0, "a")
	block := &message.OSDBackoff{PGID: ops[0].PGID, Epoch: w.m.Epoch, Op: message.BackoffBlock, ID: 1,
		Begin: object.Min, End: object.Max}
	if err := conn.Send(message.Encode(block, conn.Features())); err != nil {
		t.Fatal(err)
	}
	<-w.osds[0].got
	q := w.start("b")
	conn.MarkDown()
	_, op := w.next(0)
	conn, other := w.next(0)
	if op.Object.Name != "a" || other.Object.Name != "b" {
		t.Fatalf("got %s and %s, want a and b", op.Object.Name, other.Object.Name)
	}
	w.reply(conn, op, 0)
	w.reply(conn, other, 0)
	w.settled(p, nil)
	w.settled(q, nil)
}

// EAGAIN sends an operation again; a redirect sends it where it says.
func TestAgainAndRedirect(t *testing.T) {
	w := newWorld(t, 1)
	p := w.start("a")
	conn, ops := w.expect(0, 0, "a")
	w.reply(conn, ops[0], -int32(syscall.EAGAIN))
	conn, ops = w.expect(0, 1, "a")
	r := message.NewOSDOpReply(ops[0], 0, w.m.Epoch, message.FlagOnDisk)
	r.Redirect = &message.Redirect{Locator: object.Locator{Pool: testPool, Namespace: "far", Hash: -1}, Object: "b"}
	if err := conn.Send(message.Encode(r, conn.Features())); err != nil {
		t.Fatal(err)
	}
	conn, ops = w.expect(0, 2, "b")
	if ops[0].Object.Namespace != "far" || !ops[0].Has(message.FlagRedirected) {
		t.Errorf("redirected to %v with flags %v", ops[0].Object, ops[0].Flags)
	}
	w.reply(conn, ops[0], 0)
	w.settled(p, nil)
}

// Removing a pool ends what is under way in it; closing the client ends the rest.
func TestEnds(t *testing.T) {
	w := newWorld(t, 1)
	p := w.start("a")
	w.change(func(m *osdmap.Map) { delete(m.Pools, testPool) })
	w.settled(p, syscall.ENOENT)
	if _, err := w.io().Start(context.Background(), "b", new(Op).Remove()); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("in a pool that is gone: %v", err)
	}
	w.change(func(m *osdmap.Map) {
		q := osdmap.NewPool()
		q.Type, q.Size = osdmap.PoolReplicated, 1
		q.SetPGNum(1)
		q.PGPNum = 1
		m.Pools[testPool] = q
	})
	p = w.start("c")
	w.c.Close()
	w.settled(p, ErrClosed)
	if err := w.io().Remove(context.Background(), "d"); !errors.Is(err, ErrClosed) {
		t.Errorf("on a closed client: %v", err)
	}
}

// A context that ends gives an operation up and its room back; the answer that
// comes later finds nobody.
func TestCancel(t *testing.T) {
	w := newWorld(t, 1)
	why := errors.New("enough")
	for _, call := range []func(context.Context) error{
		func(ctx context.Context) error { return w.io().WriteFull(ctx, "a", []byte("x")) },
		func(ctx context.Context) error {
			p, err := w.io().Start(ctx, "a", new(Op).WriteFull([]byte("x")))
			if err != nil {
				return err
			}
			return p.Wait()
		},
	} {
		ctx, cancel := context.WithCancelCause(context.Background())
		done := make(chan error)
		go func() { done <- call(ctx) }()
		conn, op := w.next(0)
		cancel(why)
		if err := <-done; err != why {
			t.Errorf("got %v, want the context's cause", err)
		}
		w.reply(conn, op, 0)
	}
	p := w.start("b")
	conn, op := w.next(0)
	w.reply(conn, op, 0)
	w.settled(p, nil)
	l := w.c.inflight
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ops != 0 || l.bytes != 0 {
		t.Errorf("%d operations and %d bytes still count as in flight", l.ops, l.bytes)
	}
}

// A command of an OSD survives a broken session, and fails when the OSD goes down.
func TestOSDCommand(t *testing.T) {
	w := newWorld(t, 1)
	type answer struct {
		out []byte
		err error
	}
	done := make(chan answer)
	ask := func() {
		out, _, err := w.c.OSDCommand(context.Background(), 0, `{"prefix":"version"}`, nil)
		done <- answer{out, err}
	}
	go ask()
	d := <-w.osds[0].got
	d.conn.MarkDown()
	d = <-w.osds[0].got
	cmd, ok := d.body.(*message.CommandMsg)
	if !ok {
		t.Fatalf("got %T, want the command again", d.body)
	}
	reply := &message.CommandReply{TID: cmd.TID, Output: [][]byte{[]byte("16")}}
	if err := d.conn.Send(message.Encode(reply, d.conn.Features())); err != nil {
		t.Fatal(err)
	}
	if a := <-done; a.err != nil || string(a.out) != "16" {
		t.Errorf("got %q, %v", a.out, a.err)
	}
	go ask()
	<-w.osds[0].got
	w.change(func(m *osdmap.Map) { m.OSDState[0] &^= osdmap.OSDUp })
	if a := <-done; !errors.Is(a.err, syscall.ENXIO) {
		t.Errorf("of an OSD that went down: %v", a.err)
	}
}

// What cannot be meant is refused before it is sent.
func TestRefusedRequests(t *testing.T) {
	w := newWorld(t, 1)
	if err := w.io().Remove(context.Background(), ""); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("an object without a name: %v", err)
	}
	if err := w.io().WithSnap(3).Remove(context.Background(), "a"); !errors.Is(err, syscall.EROFS) {
		t.Errorf("a write to a snapshot: %v", err)
	}
}
