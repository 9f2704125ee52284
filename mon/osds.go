package mon

import (
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
		if b.FSID == m.cfg.FSID {
			m.propose(state.Command{MarkDown: &state.MarkDown{OSDs: []int32{b.Target}, Dead: true, Reason: "marked itself dead"}}, nil)
		}
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
		OSD: osd, UUID: b.Superblock.OSDFSID, Features: b.Features, BootEpoch: b.BootEpoch,
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
	c := &state.MarkDown{OSDs: []int32{b.Target}, Addr: b.TargetAddrs, Reason: "marked itself down"}
	m.propose(state.Command{MarkDown: c}, func(_ state.Reply, err error) {
		if err == nil && b.RequestAck {
			ack := *b
			ack.RequestAck = false
			ack.Have = uint64(m.machine.State.LastEpoch)
			m.send(s, &ack)
		}
	})
}

// failureReport takes what one OSD says of another.
func (m *Monitor) failureReport(s *session, reporter int32, b *message.OSDFailure) {
	cur := m.machine.State.OSD
	if b.FSID != m.cfg.FSID || !cur.IsUp(reporter) || !cur.Addrs(reporter).Equal(s.conn.PeerAddrs()) {
		return
	}
	if !cur.IsUp(b.Target) || !cur.Addrs(b.Target).Equal(b.TargetAddrs) {
		m.catchUp(s, b.Epoch) // it is about an incarnation that is gone
		return
	}
	switch {
	case b.Flags&message.FailureFailed == 0:
		m.failures.cancel(b.Target, reporter)
	case b.Flags&message.FailureImmediate != 0 && m.failures.canMarkDown(cur, b.Target, m.limits()):
		m.failures.forget(b.Target)
		m.propose(state.Command{MarkDown: &state.MarkDown{
			OSDs: []int32{b.Target}, Addr: b.TargetAddrs, Dead: true,
			Reason: "reported immediately failed by " + s.name.String()}}, nil)
	default:
		m.failures.report(b.Target, reporter, m.now(), b.FailedFor)
		m.checkFailures()
	}
}
