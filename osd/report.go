package osd

import (
	"slices"
	"strconv"
	"sync"
	"time"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/msgr"
	"sepiola/pg"
	"sepiola/pglog"
)

// mgrSession is our session with the active manager, which gets the statistics.
type mgrSession struct {
	mu     sync.Mutex
	epoch  uint32
	addrs  entity.AddrVec
	conn   *msgr.Conn
	open   bool
	period time.Duration
	next   time.Time
	dirty  bool
	tid    uint64
	beacon time.Time
}

// changedDelay is how soon a change of a PG's state is reported: sooner than
// the manager's period, so that who waits for clean PGs need not.
const changedDelay = 300 * time.Millisecond

func (g *mgrSession) setMap(d *Daemon, m *message.MgrMap) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m.Epoch < g.epoch {
		return
	}
	g.epoch = m.Epoch
	if !m.Available || len(m.ActiveAddrs) == 0 {
		g.drop()
		return
	}
	if g.conn != nil && g.addrs.Equal(m.ActiveAddrs) {
		return
	}
	g.drop()
	g.addrs = m.ActiveAddrs
	g.conn = d.nets.public.Connect(g.addrs, entity.TypeMgr)
}

func (g *mgrSession) drop() {
	if g.conn != nil {
		g.conn.MarkDown()
	}
	g.conn, g.open, g.addrs = nil, false, nil
}

func (g *mgrSession) connected(d *Daemon, c *msgr.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c != g.conn {
		return
	}
	g.open, g.dirty, g.next = true, true, time.Time{}
	d.send(c, &message.MgrOpen{DaemonName: strconv.Itoa(int(d.cfg.WhoAmI))})
}

func (g *mgrSession) reset(d *Daemon, c *msgr.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c != g.conn {
		return
	}
	g.open, g.conn = false, nil
	time.AfterFunc(mgrRetry, func() { g.reconnect(d) })
}

// mgrRetry is the pause before a session with the manager is tried again
// (mgr_connect_retry_interval): a manager that has just started closes sessions
// until it knows the daemon.
const mgrRetry = time.Second

func (g *mgrSession) reconnect(d *Daemon) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.conn == nil && len(g.addrs) > 0 && !d.is(stateStopping) {
		g.conn = d.nets.public.Connect(g.addrs, entity.TypeMgr)
	}
}

// changed notes that a PG's statistics are worth reporting.
func (g *mgrSession) changed() {
	g.mu.Lock()
	g.dirty = true
	g.mu.Unlock()
}

func (d *Daemon) fromMgr(c *msgr.Conn, b message.Body) {
	switch b := b.(type) {
	case *message.MgrConfigure:
		d.mgr.mu.Lock()
		d.mgr.period = time.Duration(b.StatsPeriod) * time.Second
		d.mgr.mu.Unlock()
	case *message.PGStatsAck:
	case *message.CommandMsg:
		d.tell(c, b)
	default:
		d.cfg.Logger.Debug("message from the manager passed over", "type", message.TypeName(b.Type()))
	}
}

// reportLoop reports statistics when they change or are due.
func (d *Daemon) reportLoop() {
	defer d.wg.Done()
	t := time.NewTicker(changedDelay)
	defer t.Stop()
	for {
		select {
		case <-d.stop:
			return
		case now := <-t.C:
			if d.is(stateActive) {
				d.report(now)
			}
		}
	}
}

func (d *Daemon) report(now time.Time) {
	g := &d.mgr
	g.mu.Lock()
	due := g.open && (g.dirty || !now.Before(g.next))
	conn := g.conn
	if due {
		period := g.period
		if period <= 0 {
			period = d.cfg.Options.Duration("mgr_stats_period")
		}
		g.dirty, g.next = false, now.Add(period)
		g.tid++
	}
	tid := g.tid
	g.mu.Unlock()
	if !due {
		return
	}
	if _, queued := conn.Queued(); queued > reportQueueMax {
		return // the manager does not read; the next report says all that this one would
	}
	msg := &message.PGStats{TID: tid, FSID: d.fsid(), PGs: d.pgStats(), Epoch: d.current.Load().Epoch, OSD: d.osdStat(tid)}
	msg.OSD.NumPGs = uint32(d.countPGs())
	d.send(conn, msg)
	d.send(conn, &message.MgrReport{DaemonName: strconv.Itoa(int(d.cfg.WhoAmI)), Packed: noCounters})
}

// reportQueueMax bounds what is kept for a manager that does not read, in bytes.
const reportQueueMax = 16 << 20

// noCounters is an empty list of performance counters: an envelope with nothing in
// it (MgrClient::_send_report). The manager decodes it in any case.
var noCounters = []byte{1, 1, 0, 0, 0, 0}

// onShards runs fn on every shard and waits for all. It is not to be called from a
// shard.
func (d *Daemon) onShards(fn func(*shard)) {
	var wg sync.WaitGroup
	for _, s := range d.shard {
		wg.Add(1)
		done := make(chan struct{})
		s.queue.push(classCommit, work{call: func(s *shard) { fn(s); close(done) }})
		go func() {
			defer wg.Done()
			select {
			case <-done:
			case <-d.stop:
			}
		}()
	}
	wg.Wait()
}

// pgStats gathers the statistics of the PGs this OSD leads, in order.
func (d *Daemon) pgStats() []message.PGStatEntry {
	var mu sync.Mutex
	var out []message.PGStatEntry
	d.onShards(func(s *shard) {
		for _, id := range s.ids() {
			if p := s.pgs[id].pg; p.IsPrimary() {
				st := p.Stats()
				mu.Lock()
				out = append(out, message.PGStatEntry{PGID: id.PGID, Stat: st})
				mu.Unlock()
			}
		}
	})
	mu.Lock()
	defer mu.Unlock()
	out = slices.Clone(out)
	slices.SortFunc(out, func(a, b message.PGStatEntry) int { return a.PGID.Compare(b.PGID) })
	return out
}

func (d *Daemon) countPGs() int {
	n := 0
	for _, s := range d.shard {
		s.mu.Lock()
		n += len(s.peers)
		s.mu.Unlock()
	}
	return n
}

// osdStat are the figures of the OSD as a whole.
func (d *Daemon) osdStat(seq uint64) pglog.OSDStat {
	st := pglog.OSDStat{HBPeers: d.hb.list(), UpFrom: d.upEpoch.Load(), NumOSDs: 1, Seq: d.statSeq(seq)}
	fs, err := d.cfg.Store.Statfs()
	if err != nil {
		d.cfg.Logger.Warn("space figures not to be had", "error", err)
		return st
	}
	st.Statfs = pglog.StoreStatfs{Total: fs.Total, Available: fs.Available, InternallyReserved: fs.InternallyReserved,
		Allocated: int64(fs.Allocated), DataStored: int64(fs.DataStored),
		OmapAllocated: int64(fs.OmapAllocated), InternalMetadata: int64(fs.Metadata)}
	return st
}

// statSeq numbers the reports of an OSD over its lives (OSDService::get_osd_stat_seq).
func (d *Daemon) statSeq(tid uint64) uint64 { return uint64(d.upEpoch.Load())<<32 | tid&0xffffffff }

// reportTick sends beacons to the monitors.
func (d *Daemon) reportTick(now time.Time) {
	if !d.is(stateActive) {
		return
	}
	interval := d.cfg.Options.Duration("osd_beacon_report_interval")
	d.mgr.mu.Lock()
	due := now.Sub(d.mgr.beacon) >= interval
	if due {
		d.mgr.beacon = now
	}
	d.mgr.mu.Unlock()
	if !due {
		return
	}
	msg := &message.OSDBeacon{Paxos: message.Paxos{Have: uint64(d.current.Load().Epoch)}, ReportInterval: int32(interval.Seconds()),
		MinLastEpochClean: d.current.Load().Epoch}
	for _, st := range d.pgStats() {
		msg.PGs = append(msg.PGs, st.PGID)
		msg.MinLastEpochClean = min(msg.MinLastEpochClean, st.Stat.LastEpochClean)
	}
	d.mon.Send(msg)
}

// clusterLog sends a line to the cluster's log.
func (d *Daemon) clusterLog(e pg.ClusterLog) {
	levels := map[string]message.LogLevel{"error": message.LogError, "warn": message.LogWarn}
	level, ok := levels[e.Level]
	if !ok {
		level = message.LogInfo
	}
	d.cfg.Logger.Info("cluster log", "level", e.Level, "text", e.Text)
	d.mgr.mu.Lock()
	d.mgr.tid++
	seq := d.mgr.tid
	d.mgr.mu.Unlock()
	d.mon.Send(&message.LogMsg{FSID: d.fsid(), Entries: []message.LogEntry{{
		Name: message.EntityName{Type: entity.TypeOSD, ID: strconv.Itoa(int(d.cfg.WhoAmI))},
		Rank: entity.OSD(d.cfg.WhoAmI), Addrs: d.nets.public.Addrs(), Stamp: time.Now(), Seq: seq,
		Level: level, Message: e.Text, Channel: "cluster"}}})
}
