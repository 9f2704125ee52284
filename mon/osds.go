package mon

import (
	"fmt"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/mon/state"
)

// handleOSD takes messages that only OSDs send.
func (m *Monitor) handleOSD(s *session, body message.Body) bool {
	osd, ok := int32(s.name.Num), s.name.Type == entity.TypeOSD
	if !ok {
		return false
	}
	addrs := s.conn.PeerAddrs()
	switch b := body.(type) {
	case *message.OSDBoot:
		m.boot(s, osd, addrs, b)
	case *message.OSDAlive:
		c := state.Command{Alive: &state.Alive{OSD: osd, Addrs: addrs, Epoch: uint32(b.Have)}}
		m.propose(c, func(state.Reply, error) { m.catchUp(s, uint32(b.Have)) })
	case *message.OSDPGTemp:
		m.pgTemp(s, osd, addrs, b)
	case *message.OSDPGCreated:
		m.propose(state.Command{PGCreated: &state.PGCreated{OSD: osd, Addrs: addrs, PGs: pgList(b.PGID)}}, nil)
	case *message.OSDFull:
		m.propose(state.Command{Fullness: &state.Fullness{OSD: osd, Addrs: addrs, State: b.State}}, nil)
	case *message.OSDFailure:
		m.failureReport(s, osd, b)
	case *message.OSDMarkMeDown:
		m.markMeDown(s, b)
	case *message.OSDMarkMeDead:
		m.markMeDead(s, b)
	case *message.OSDBeacon:
		if m.machine.State.OSD.IsUp(osd) && m.machine.State.OSD.Addrs(osd).Equal(addrs) {
			m.failures.beacon(osd, m.now(), b.ReportInterval)
		}
	default:
		return false
	}
	return true
}

// boot proposes to mark an OSD up, and sends it the maps in which it is.
func (m *Monitor) boot(s *session, osd int32, addrs entity.AddrVec, b *message.OSDBoot) {
	if b.Superblock.ClusterFSID != m.cfg.FSID {
		m.log.Warn("OSD of another cluster wants to boot", "osd", osd, "its_fsid", b.Superblock.ClusterFSID)
		return
	}
	c := &state.Boot{
		OSD: osd, UUID: b.Superblock.OSDFSID, Features: b.Features, BootEpoch: b.BootEpoch, Have: uint32(b.Have),
		CleanBegin: b.Superblock.Mounted, CleanEnd: b.Superblock.CleanThru,
		ClientAddrs: addrs, ClusterAddr: b.ClusterAddrs, HBBack: b.HBBackAddrs, HBFront: b.HBFrontAddrs,
		Metadata: b.Metadata, LastPurged: b.Superblock.LastPurgedSnapsScrub, Settings: m.settings(),
	}
	if c.Features == 0 {
		c.Features = s.conn.Features()
	}
	have := uint32(b.Have)
	m.propose(state.Command{Boot: c}, func(r state.Reply, err error) {
		if err != nil || r.Value == state.BootIgnored {
			return
		}
		if r.Value == state.BootStale {
			m.catchUp(s, have)
			return
		}
		m.failures.beacon(osd, m.now(), 0)
		m.catchUp(s, have)
	})
}

// catchUp sends a session the maps after the one it has (_reply_map). Where a
// subscription has sent them already there is nothing to do.
func (m *Monitor) catchUp(s *session, have uint32) {
	if sub := s.subs["osdmap"]; sub != nil && sub.next > uint64(m.machine.State.LastEpoch) {
		return
	}
	if have < m.machine.State.LastEpoch {
		m.sendMapsSince(s, have+1)
	}
}

func (m *Monitor) pgTemp(s *session, osd int32, addrs entity.AddrVec, b *message.OSDPGTemp) {
	c := &state.PGTemp{OSD: osd, Addrs: addrs, Epoch: b.Epoch, Forced: b.Forced}
	for _, p := range b.PGTemp {
		c.PGs = append(c.PGs, state.PGMapping{PG: p.PGID, OSDs: p.OSDs})
	}
	m.propose(state.Command{PGTemp: c}, func(state.Reply, error) { m.catchUp(s, b.Epoch) })
}

// markMeDown marks an OSD down that is about to stop, and tells it when that
// is in the map.
func (m *Monitor) markMeDown(s *session, b *message.OSDMarkMeDown) {
	if b.FSID != m.cfg.FSID || b.Target != int32(s.name.Num) {
		return
	}
	m.failures.forget(b.Target)
	c := &state.MarkDown{OSDs: []int32{b.Target}, Addr: b.TargetAddrs, Dead: b.Dead, MinUpRatio: m.limits().MinUpRatio, Reason: "marked itself down"}
	if b.Dead {
		c.Reason += " and dead"
	}
	m.propose(state.Command{MarkDown: c}, func(_ state.Reply, err error) {
		if err == nil && b.RequestAck {
			ack := *b
			ack.RequestAck = false
			ack.Have = uint64(m.machine.State.LastEpoch)
			m.send(s, &ack)
		}
	})
}

// markMeDead notes of an OSD that is down that it is not merely out of reach.
func (m *Monitor) markMeDead(s *session, b *message.OSDMarkMeDead) {
	if b.FSID != m.cfg.FSID || b.Target != int32(s.name.Num) {
		return
	}
	if cur := m.machine.State.OSD; !cur.Exists(b.Target) || cur.IsUp(b.Target) {
		m.catchUp(s, b.Epoch)
		return
	}
	m.propose(state.Command{MarkDead: &state.MarkDead{OSD: b.Target, Epoch: b.Epoch}}, nil)
}

// failureReport takes what one OSD says of another (OSDMonitor::preprocess_failure
// and prepare_failure).
func (m *Monitor) failureReport(s *session, reporter int32, b *message.OSDFailure) {
	cur, fails := m.machine.State.OSD, b.Flags&message.FailureFailed != 0
	if b.FSID != m.cfg.FSID {
		return
	}
	if !cur.Exists(reporter) || !cur.Addrs(reporter).Equal(s.conn.PeerAddrs()) || fails && !cur.IsUp(reporter) {
		m.catchUp(s, b.Epoch) // it is a ghost itself
		return
	}
	if !cur.IsUp(b.Target) || !cur.Addrs(b.Target).Equal(b.TargetAddrs) || cur.Info(b.Target).UpFrom > b.Epoch {
		m.catchUp(s, b.Epoch) // it is about an incarnation that is gone
		return
	}
	switch limits := m.limits(); {
	case !fails:
		m.failures.cancel(b.Target, reporter)
	case !canMarkDown(cur, b.Target, limits):
	case b.Flags&message.FailureImmediate != 0:
		m.propose(state.Command{MarkDown: &state.MarkDown{
			OSDs: []int32{b.Target}, Addr: b.TargetAddrs, Dead: true, MinUpRatio: limits.MinUpRatio,
			Reason: fmt.Sprintf("failed (%s) (connection refused reported by osd.%d)", orderedLocation(cur, b.Target), reporter)}}, nil)
	default:
		m.failures.report(b.Target, reporter, m.now(), b.FailedFor)
		m.checkFailures()
	}
}
