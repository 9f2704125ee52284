package mon

import (
	"errors"
	"strings"
	"time"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/mon/pgmap"
	"sepiola/msgr"
	"sepiola/wire"
)

// mgrDispatcher serves the manager protocol (src/mgr/DaemonServer.cc): daemons
// report to it, clients send it the commands that have FlagMgr.
type mgrDispatcher struct{ m *Monitor }

// daemonReport is what a daemon said of itself.
type daemonReport struct {
	conn     *msgr.Conn
	opened   time.Time
	last     time.Time
	metadata map[string]string
	health   []message.DaemonHealthMetric
}

// statsThreshold is the least priority of the counters that daemons report
// (mgr_stats_threshold: PRIO_USEFUL).
const statsThreshold = 5

// reportsForgotten is after what silence a daemon's report no longer counts
// (mon_mgr_... mgr_stats_period times the grace of DaemonServer, rounded up).
const reportsForgotten = 2 * time.Minute

// Dispatch implements [msgr.Dispatcher].
func (d mgrDispatcher) Dispatch(c *msgr.Conn, raw *msgr.Message) {
	m := d.m
	body, err := message.Decode(raw)
	if err != nil {
		m.reject(c, err)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shutdown {
		return
	}
	switch b := body.(type) {
	case *message.MgrOpen:
		m.mgrOpen(c, b)
	case *message.MgrClose:
		delete(m.daemons, c.Peer())
		m.sendTo(c, b)
	case *message.MgrReport:
		m.mgrReport(c, b)
	case *message.PGStats:
		m.pgStats(c, b)
	case *message.MgrCommand:
		m.execute(b.Cmd, b.Input.Flat(), c.Peer().String(), func(r reply) {
			m.sendTo(c, &message.MgrCommandReply{TID: b.TID, R: r.code, RS: r.status, Output: wire.BufOf(r.out)})
		})
	case *message.CommandMsg:
		reply := func(r reply) {
			m.sendTo(c, &message.CommandReply{TID: b.TID, R: r.code, RS: r.status, Output: wire.BufOf(r.out)})
		}
		m.tellTo(b.Cmd, reply)
	default:
		m.log.Warn("message not for a manager", "type", message.TypeName(raw.Type), "from", c.Peer())
	}
}

// Connected implements [msgr.Dispatcher].
func (mgrDispatcher) Connected(*msgr.Conn) {}

// Accepted implements [msgr.Dispatcher].
func (d mgrDispatcher) Accepted(c *msgr.Conn) { d.m.refuseStranger(c) }

// Reset implements [msgr.Dispatcher].
func (mgrDispatcher) Reset(*msgr.Conn) {}

// RemoteReset implements [msgr.Dispatcher].
func (mgrDispatcher) RemoteReset(*msgr.Conn) {}

// Refused implements [msgr.Dispatcher].
func (mgrDispatcher) Refused(*msgr.Conn) {}

func (m *Monitor) sendTo(c *msgr.Conn, b message.Body) {
	if err := c.Send(message.Encode(b, c.Features())); err != nil && !errors.Is(err, msgr.ErrClosed) {
		m.log.Warn("message not sent", "type", message.TypeName(b.Type()), "to", c.Peer(), "error", err)
	}
}

// maxDaemons bounds the daemons remembered.
const maxDaemons = 20000

// mgrOpen greets a daemon and tells it how to report.
func (m *Monitor) mgrOpen(c *msgr.Conn, b *message.MgrOpen) {
	if len(m.daemons) >= maxDaemons && m.daemons[c.Peer()] == nil {
		return
	}
	m.daemons[c.Peer()] = &daemonReport{conn: c, opened: m.now(), last: m.now(), metadata: b.Metadata}
	m.sendTo(c, &message.MgrConfigure{StatsPeriod: uint32(m.opts.Int("mgr_stats_period")), StatsThreshold: statsThreshold})
}

func (m *Monitor) mgrReport(c *msgr.Conn, b *message.MgrReport) {
	d := m.daemons[c.Peer()]
	if d == nil {
		// It opened its session with an earlier incarnation: let it open anew.
		c.MarkDown()
		return
	}
	d.last, d.health = m.now(), b.Health
}

// pgStats takes an OSD's figures (ClusterState::ingest_pgstats).
func (m *Monitor) pgStats(c *msgr.Conn, b *message.PGStats) {
	osd := int32(c.Peer().Num)
	if b.FSID != m.cfg.FSID || c.Peer().Type != entity.TypeOSD || m.machine.State.OSD == nil || !m.machine.State.OSD.Exists(osd) {
		return
	}
	pgs := make([]pgmap.PGReport, len(b.PGs))
	for i, p := range b.PGs {
		pgs[i] = pgmap.PGReport{PG: p.PGID, Stat: p.Stat}
	}
	m.pgs.Report(osd, b.OSD, pgs, b.Pools, m.now())
}

func (m *Monitor) dropOldReports(now time.Time) {
	for name, d := range m.daemons {
		if now.Sub(d.last) > reportsForgotten {
			delete(m.daemons, name)
		}
	}
}

// slowOps sums up what daemons say of operations that take long.
func (m *Monitor) slowOps() (ops, oldest uint32, who []string) {
	for _, name := range sortedEntities(m.daemons) {
		for _, h := range m.daemons[name].health {
			if h.Type == message.HealthSlowOps && h.N1() > 0 {
				ops += h.N1()
				oldest = max(oldest, h.N2())
				who = append(who, strings.TrimSpace(name.String()))
			}
		}
	}
	return ops, oldest, who
}
