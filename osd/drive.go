package osd

import (
	"time"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/msgr"
	"sepiola/pg"
)

// do carries out one effect of a PG.
func (s *shard) do(sl *slot, e pg.Effect) {
	d := s.d
	switch e := e.(type) {
	case pg.SendOSD:
		s.sendOSD(e.To, e.Msg)
	case pg.Reply:
		s.reply(e)
	case pg.Dropped:
		s.dropped(e.To, e.Op)
	case pg.Submit:
		s.submit(sl, e)
	case pg.StartTimer:
		s.startTimer(sl, e)
	case pg.FetchObject:
		s.fetch(sl.pg.ID(), e)
	case pg.CommandDone:
		e.To.(chan pg.CommandDone) <- e
	case pg.Spawn:
		s.spawn(e.PG)
	case pg.Reserve:
		d.reserveFor(sl.pg.ID(), e)
	case pg.Release:
		d.release(sl.pg.ID(), e.Scope)
	case pg.NeedUpThru:
		d.asks.wantUpThru(d, e.Epoch)
	case pg.WantPGTemp:
		d.asks.wantPGTemp(d, sl.pg.ID().PGID, e.OSDs)
	case pg.NeedMap:
		d.wantMaps(e.Epoch)
	case pg.PGCreated:
		d.mon.Send(&message.OSDPGCreated{PGID: sl.pg.ID().PGID})
	case pg.StatsChanged:
		d.mgr.changed()
	case pg.ClusterLog:
		d.clusterLog(e)
	case pg.Note:
		d.cfg.Logger.Debug(e.Text, "pg", sl.pg.ID().String())
	case pg.Removed:
		sl.next = e.Events // after takes it from the table
	}
}

// sendOSD sends one message to several OSDs, encoded once.
func (s *shard) sendOSD(to []int32, body message.Body) {
	m := message.Encode(body, msgr.FeaturesAll)
	cur := s.d.current.Load()
	for _, osd := range to {
		if !cur.IsUp(osd) {
			continue // the next interval knows
		}
		conn := s.d.nets.cluster.Connect(cur.ClusterAddrsOf(osd), entity.TypeOSD)
		s.d.shareWithPeer(osd, conn)
		copy := *m // the messenger keeps its own notes in each
		if err := conn.Send(&copy); err != nil {
			s.d.cfg.Logger.Debug("message to peer lost", "osd", osd, "type", message.TypeName(body.Type()), "error", err)
		}
	}
}

// reply answers a client.
func (s *shard) reply(e pg.Reply) {
	sess, ok := e.To.(*session)
	if !ok {
		return
	}
	if r, ok := e.Msg.(*message.OSDOpReply); ok {
		out := 0
		for i := range r.Ops {
			out += r.Ops[i].Out.Len()
		}
		s.d.perf.answered(sess.finish(r.TID), r, out)
		// An operation may have waited here through maps that the client, whose other
		// OSDs are gone, hears of from nobody else for long (OSD::dequeue_op).
		s.d.shareWithClient(sess, 0)
	}
	s.d.send(sess.conn, e.Msg)
}

// submit hands a transaction to the store. One that cannot be applied means that
// what we keep is not what we think: going on would spread it.
func (s *shard) submit(sl *slot, e pg.Submit) {
	committed := func() {}
	if e.Token != 0 {
		id := sl.pg.ID()
		committed = func() {
			s.queue.push(classCommit, work{pgid: id, ev: pg.Committed{Token: e.Token}})
		}
	}
	if err := s.d.cfg.Store.Submit(e.Tx, committed); err != nil {
		s.d.failed(sl.pg.ID(), err)
	}
}

func (s *shard) startTimer(sl *slot, e pg.StartTimer) {
	if t := sl.timers[e.Kind]; t != nil {
		t.Stop()
	}
	id, ev := sl.pg.ID(), pg.Timer{Kind: e.Kind, Gen: e.Gen}
	class := classBackground
	if e.Kind == pg.TimerLease || e.Kind == pg.TimerPrior {
		class = classCommit // whoever waits behind data would let promises run out
	}
	sl.timers[e.Kind] = time.AfterFunc(e.After, func() {
		s.queue.push(class, work{pgid: id, ev: ev})
	})
}
