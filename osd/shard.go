package osd

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sepiola/message"
	"sepiola/msgr"
	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pg"
)

// shard is an event worker and the PGs that are its own. Fields without a note are
// touched by its goroutine only.
type shard struct {
	d     *Daemon
	index int
	queue *queue
	env   pg.Env

	cur    *osdmap.Map // the map its PGs have got to
	pgs    map[object.SPGID]*slot
	fx     pg.Effects
	early  []work // what is of a later epoch, or may be for a PG that is on its way
	splits int    // maps with splits that not all shards have taken
	// waiting holds what clients want of PGs that are ours and not made yet.
	waiting map[object.SPGID][]work

	oldestEpoch atomic.Uint32 // least epoch a PG has got to; 0 without PGs

	mu    sync.Mutex // guards what follows, read by others
	peers map[object.SPGID][]int32
}

// slot is a PG of a shard.
type slot struct {
	pg     *pg.PG
	timers map[pg.TimerKind]*time.Timer
	next   []pg.Event // for the copy that may follow one that was removed
}

// waitingMax bounds what is kept for one PG that is not here, and earlyMax what
// is kept for later epochs in one shard. Beyond it the sender's repetition is
// relied upon: a client resends on the next map, a peer's interval is followed by
// another.
const (
	waitingMax = 1024
	earlyMax   = 1 << 16
)

func newShard(d *Daemon, index int) *shard {
	return &shard{d: d, index: index, queue: newQueue(), cur: d.current.Load(),
		env: pg.Env{WhoAmI: d.cfg.WhoAmI, Started: d.hb.start, Reader: d.cfg.Store, Config: pgConfig(d.cfg.Options), Failsafe: d.failsafe,
			BackfillFull: d.backfillFull, CanBackOff: canBackOff, Room: d.cfg.Store.HasRoom},
		pgs: map[object.SPGID]*slot{}, waiting: map[object.SPGID][]work{}, peers: map[object.SPGID][]int32{}}
}

func (s *shard) run() {
	defer s.d.wg.Done()
	for {
		w, ok := s.queue.pop()
		if !ok {
			s.stopTimers()
			return
		}
		s.run1(w)
	}
}

func (s *shard) run1(w work) {
	if w.call != nil {
		w.call(s)
	} else {
		s.take(w)
	}
}

func (s *shard) stopTimers() {
	for _, sl := range s.pgs {
		for _, t := range sl.timers {
			t.Stop()
		}
	}
}

// take hands an event to its PG, or decides about one whose PG is not here.
func (s *shard) take(w work) {
	if m, ok := w.ev.(pg.PeerMessage); ok && epochOf(m.Msg) > s.cur.Epoch {
		if !s.keepEarly(w) && w.done != nil {
			w.done()
		}
		return
	}
	if sl := s.pgs[w.pgid]; sl != nil {
		s.drive(sl, w.ev)
	} else if s.absent(w) {
		return // kept
	}
	if w.done != nil {
		w.done()
	}
}

// absent handles an event for a PG that is not here, and reports whether it was
// kept for later.
func (s *shard) absent(w work) (kept bool) {
	if _, ok := w.ev.(pg.PeerMessage); ok && s.mayComeYet(w.pgid) {
		return s.keepEarly(w)
	}
	switch ev := w.ev.(type) {
	case pg.ClientOp:
		// Whoever is aimed at another OSD gets maps, not an answer.
		_, _, _, primary := s.cur.PGToUpActing(w.pgid.PGID)
		if primary != s.d.cfg.WhoAmI && ev.Op.Epoch <= s.cur.Epoch || len(s.waiting[w.pgid]) >= waitingMax {
			s.dropped(ev.From, ev.Op)
			return false
		}
		s.waiting[w.pgid] = append(s.waiting[w.pgid], w)
		return true
	case pg.PeerMessage:
		s.absentPeer(ev.From, w.pgid, ev.Msg)
	}
	return false
}

// keepEarly keeps work until the next map, and reports whether there was room.
func (s *shard) keepEarly(w work) bool {
	if len(s.early) >= earlyMax {
		return false
	}
	s.early = append(s.early, w)
	return true
}

// epochOf returns the epoch of the map that a peer's message was sent in.
func epochOf(b message.Body) uint32 {
	switch m := b.(type) {
	case message.PGMessage:
		return m.MapEpoch()
	case *message.OSDPGRemove:
		return m.Epoch
	}
	return 0
}

// absentPeer answers or acts on a peer's message about a PG that is not here: a
// question is answered with an empty copy, and what tells of the PG's past makes
// one.
func (s *shard) absentPeer(from int32, id object.SPGID, msg message.Body) {
	if s.cur.Pools[id.Pool] == nil {
		return // the pool is gone
	}
	reply, info := pg.Unknown(s.d.cfg.WhoAmI, s.cur, msg)
	if reply != nil {
		s.sendOSD([]int32{from}, reply)
	}
	if info == nil || pg.IsOver(id.PGID, s.d.maps.Get, info.Epoch, s.cur.Epoch) {
		return
	}
	m := s.d.maps.Get(info.Epoch)
	if m == nil {
		return
	}
	if sl := s.create(id, m, *info); sl != nil {
		s.drive(sl, pg.PeerMessage{From: from, Msg: msg})
	}
}

// create makes a new, empty PG as of the map m, takes it to the current one, and
// hands it what has waited for it. The result is nil if it cannot be.
func (s *shard) create(id object.SPGID, m *osdmap.Map, info pg.CreateInfo) *slot {
	s.fx.Reset()
	p, err := pg.New(s.env, id, m, info, &s.fx)
	if err != nil {
		s.d.cfg.Logger.Debug("pg not made", "pg", id.String(), "error", err)
		return nil
	}
	s.d.cfg.Logger.Debug("pg made", "pg", id.String(), "epoch", m.Epoch)
	sl := s.adopt(p)
	if err := s.catchUp(sl); err != nil {
		s.d.cfg.Logger.Warn("pg not brought up to date", "pg", id.String(), "error", err)
	}
	s.replay(id)
	return s.pgs[id]
}

// adopt takes a PG into the table and carries out the effects of its making.
func (s *shard) adopt(p *pg.PG) *slot {
	sl := &slot{pg: p, timers: map[pg.TimerKind]*time.Timer{}}
	s.pgs[p.ID()] = sl
	for _, e := range s.fx.List() {
		s.do(sl, e)
	}
	return sl
}

// catchUp takes a PG from the map it was made of to the current one.
func (s *shard) catchUp(sl *slot) error {
	for e := sl.pg.Epoch(); e <= s.cur.Epoch && !sl.pg.IsRemoved(); e++ {
		m := s.d.maps.Get(e)
		switch {
		case m != nil:
			s.drive(sl, pg.NewMap{Map: m, More: e < s.cur.Epoch})
		case e == s.cur.Epoch:
			return fmt.Errorf("OSD map %d cannot be read", e)
		default:
			// The monitors had trimmed it before it came here; the PG went over the
			// same gap, or would have (OSD::advance_pg).
		}
	}
	s.noteOldest()
	return nil
}

// noteOldest brings up to date which maps the PGs still need.
func (s *shard) noteOldest() {
	var oldest uint32
	for _, sl := range s.pgs {
		if e := sl.pg.SavedEpoch(); !sl.pg.IsRemoved() && (oldest == 0 || e < oldest) {
			oldest = e
		}
	}
	s.oldestEpoch.Store(oldest)
}

// replay takes what has waited for a PG.
func (s *shard) replay(id object.SPGID) {
	list := s.waiting[id]
	delete(s.waiting, id)
	for _, w := range list {
		s.take(w)
	}
}

// drive lets the PG take one event and carries out what follows.
func (s *shard) drive(sl *slot, ev pg.Event) {
	pg.Drive(sl.pg, time.Now(), ev, &s.fx, func(e pg.Effect) { s.do(sl, e) })
	s.after(sl)
}

// after brings what others see of a PG up to date.
func (s *shard) after(sl *slot) {
	if sl.pg.IsRemoved() {
		s.remove(sl)
		return
	}
	id := sl.pg.ID()
	w := sl.pg.Mapping()
	s.mu.Lock()
	old := s.peers[id]
	if len(old) != len(w.Up)+len(w.Acting) || !slices.Equal(old[:len(w.Up)], w.Up) || !slices.Equal(old[len(w.Up):], w.Acting) {
		s.peers[id] = slices.Concat(w.Up, w.Acting)
	}
	s.mu.Unlock()
}

func (s *shard) remove(sl *slot) {
	id := sl.pg.ID()
	for _, t := range sl.timers {
		t.Stop()
	}
	delete(s.pgs, id)
	s.d.release(id, pg.ScopeLocal)
	s.d.release(id, pg.ScopeRemote)
	s.mu.Lock()
	delete(s.peers, id)
	s.mu.Unlock()
	s.d.cfg.Logger.Debug("pg removed", "pg", id.String())
	for _, ev := range sl.next {
		s.take(work{pgid: id, ev: ev})
	}
}

// configure gives all PGs, those to come too, other options.
func (s *shard) configure(c *pg.Config) {
	s.env.Config = c
	for _, sl := range s.pgs {
		sl.pg.SetConfig(c)
	}
}

// peerSet returns the OSDs that share a PG with this one, with repetitions.
func (s *shard) peerSet() []int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []int32
	for _, osds := range s.peers {
		for _, o := range osds {
			if o >= 0 && o != osdmap.ItemNone {
				out = append(out, o)
			}
		}
	}
	return out
}

// ids returns the shard's PGs in order, so that what is done to all of them is done
// in the same order each time.
func (s *shard) ids() []object.SPGID {
	return slices.SortedFunc(maps.Keys(s.pgs), func(a, b object.SPGID) int { return a.PGID.Compare(b.PGID) })
}

// advance sends all PGs on to the next map.
func (s *shard) advance(m *osdmap.Map, more bool, sp *splitting) {
	s.cur = m
	if sp != nil {
		s.splits++
	}
	for _, id := range s.ids() {
		s.drive(s.pgs[id], pg.NewMap{Map: m, More: more})
	}
	s.noteOldest()
	sp.took(s.d)
	s.runEarly()
	for _, id := range slices.SortedFunc(maps.Keys(s.waiting), func(a, b object.SPGID) int { return a.PGID.Compare(b.PGID) }) {
		s.replay(id) // what is still to wait is kept anew
	}
}

// runEarly takes what came too early; what still does is kept anew.
func (s *shard) runEarly() {
	early := s.early
	s.early = nil
	for _, w := range early {
		s.run1(w)
	}
}

// forgetConn drops what came early from a peer that is none.
func (s *shard) forgetConn(c *msgr.Conn) {
	kept := s.early[:0]
	for _, w := range s.early {
		if w.conn != c {
			kept = append(kept, w)
		} else if w.done != nil {
			w.done()
		}
	}
	clear(s.early[len(kept):])
	s.early = kept
}

// sessionReset forgets a client.
func (s *shard) sessionReset(sess *session) {
	for _, id := range s.ids() {
		s.drive(s.pgs[id], pg.SessionReset{Session: sess})
	}
	for id, list := range s.waiting {
		list = slices.DeleteFunc(list, func(w work) bool {
			op, ok := w.ev.(pg.ClientOp)
			return ok && op.From == pg.Session(sess)
		})
		if s.waiting[id] = list; len(list) == 0 {
			delete(s.waiting, id)
		}
	}
}

// dropped gives back what an operation held that nobody here will answer. The client
// sends it again when it sees the map that has it do so; if all it has under way was
// dropped, nobody else tells it of that map for ten seconds.
func (s *shard) dropped(to pg.Session, op *message.OSDOp) {
	if sess, ok := to.(*session); ok {
		sess.dropped(op)
		s.d.shareWithClient(sess, 0)
	}
}
