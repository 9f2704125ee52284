package osd

import (
	"errors"
	"fmt"
	"time"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/msgr"
	"sepiola/osdmap"
)

// handleMaps takes maps from the monitors or a peer: it makes them durable, then
// tells the shards and looks whether they change our own place.
func (d *Daemon) handleMaps(conn *msgr.Conn, msg *message.OSDMapMsg) {
	if msg.FSID != d.fsid() {
		conn.Fail("maps of another cluster, " + msg.FSID.String())
		return
	}
	d.mapMu.Lock()
	defer d.mapMu.Unlock()
	fromMon := conn.Peer().Type == entity.TypeMon
	added, err := d.maps.Add(msg)
	switch {
	case errors.Is(err, errGap):
		d.wantMaps(msg.First())
		return
	case errors.Is(err, errMalformed):
		conn.Fail(err.Error())
		// What came cannot be built upon; a full map can.
		d.mon.Subscribe("osdmap", 0, false)
		return
	case err != nil:
		select {
		case <-d.cfg.Store.Failed(): // watchStore says so
		case <-d.stop:
		default:
			d.cfg.Fatal(fmt.Errorf("maps cannot be kept: %w", err))
		}
		return
	}
	if fromMon {
		d.mon.Got("osdmap", uint64(d.maps.Super().NewestMap))
	}
	for i, m := range added {
		d.publish(m, i < len(added)-1)
	}
	if len(added) > 0 {
		d.afterMaps()
	}
	if err := d.maps.Trim(min(msg.Oldest, d.oldestNeeded())); err != nil {
		d.cfg.Logger.Warn("old maps not removed", "error", err)
	}
	if d.is(statePreboot) && fromMon && d.maps.Super().NewestMap >= msg.Newest {
		d.boot()
	}
}

// wantMaps asks the monitors for the maps that lead to an epoch. The standing
// subscription brings all that are new; this one is for maps that a message was
// ahead of.
func (d *Daemon) wantMaps(epoch uint32) {
	have := d.maps.Super().NewestMap
	if epoch <= have {
		return
	}
	d.cfg.Logger.Debug("behind with maps", "have", have, "seen", epoch)
	d.subscribeMaps()
}

// subscribeMaps asks for the maps after the newest one here; with none here, for
// the monitors' newest.
func (d *Daemon) subscribeMaps() {
	start := uint64(d.maps.Super().NewestMap)
	if start != 0 {
		start++
	}
	d.mon.Subscribe("osdmap", start, false)
}

// publish makes m the current map and sends the PGs on to it.
func (d *Daemon) publish(m *osdmap.Map, more bool) {
	old := d.current.Load()
	d.current.Store(m)
	d.forgetPeers(old, m)
	var sp *splitting
	if multiplies(old, m) {
		sp = &splitting{}
		sp.left.Store(int32(len(d.shard)))
	}
	for _, s := range d.shard {
		s.queue.push(classPeer, work{call: func(s *shard) { s.advance(m, more, sp) }})
	}
}

// forgetPeers drops the sessions with OSDs that went down or came back elsewhere:
// what is on its way to them belongs to an interval that is over.
func (d *Daemon) forgetPeers(old, m *osdmap.Map) {
	for osd := range old.MaxOSD {
		if osd == d.cfg.WhoAmI || !old.IsUp(osd) {
			continue
		}
		was := old.ClusterAddrsOf(osd)
		if m.IsUp(osd) && m.ClusterAddrsOf(osd).Equal(was) && m.Info(osd).UpFrom == old.Info(osd).UpFrom {
			continue
		}
		d.nets.cluster.MarkDown(was)
		d.hb.forget(osd)
		d.peerMu.Lock()
		delete(d.peerEpoch, osd)
		d.peerMu.Unlock()
	}
}

// afterMaps looks for ourselves in the newest map.
func (d *Daemon) afterMaps() {
	m := d.current.Load()
	me := d.cfg.WhoAmI
	ours := m.IsUp(me) && m.Addrs(me).Equal(d.nets.public.Addrs()) && m.ClusterAddrsOf(me).Equal(d.nets.cluster.Addrs())
	switch {
	case ours && d.is(stateBooting):
		d.becameActive(m)
	case ours && d.is(stateActive):
		d.asks.review(d, m)
	case d.is(stateStopping) && !m.IsUp(me):
		d.markedDown()
	case d.is(stateActive) && !ours:
		d.wronglyDown(m)
	}
	d.hb.update(d, m)
}

func (d *Daemon) becameActive(m *osdmap.Map) {
	up := m.Info(d.cfg.WhoAmI).UpFrom
	d.upEpoch.Store(up)
	d.bootEpoch.CompareAndSwap(0, up)
	if err := d.maps.SetLife(m.Epoch, 0); err != nil {
		d.cfg.Logger.Warn("superblock not written", "error", err)
	}
	if d.move(stateBooting, stateActive) {
		d.cfg.Logger.Info("marked up", "epoch", up)
		d.asks.resend(d)
	}
}

// wronglyDown answers a map in which we are down although we live: everybody has
// forgotten our sessions, so we boot again.
func (d *Daemon) wronglyDown(m *osdmap.Map) {
	me := d.cfg.WhoAmI
	if !m.Exists(me) {
		d.cfg.Fatal(errors.New("this OSD was removed from the cluster"))
		return
	}
	if !d.move(stateActive, statePreboot) {
		return // it takes its leave
	}
	d.cfg.Logger.Warn("the map says that we are down, wrongly; booting again", "epoch", m.Epoch)
	d.hb.reset()
	for osd := range m.MaxOSD {
		if osd != me && m.IsUp(osd) {
			d.nets.cluster.MarkDown(m.ClusterAddrsOf(osd))
		}
	}
	d.boot()
}

// oldestNeeded is the oldest epoch that a PG may still ask for.
func (d *Daemon) oldestNeeded() uint32 {
	oldest := d.maps.Super().NewestMap
	for _, s := range d.shard {
		if e := s.oldestEpoch.Load(); e != 0 {
			oldest = min(oldest, e)
		}
	}
	return oldest
}

// shareWithPeer sends an OSD the maps it is not known to have, before a message
// of our epoch.
func (d *Daemon) shareWithPeer(osd int32, conn *msgr.Conn) {
	newest := d.current.Load().Epoch
	d.peerMu.Lock()
	known, seen := d.peerEpoch[osd]
	d.peerEpoch[osd] = max(known, newest)
	d.peerMu.Unlock()
	if !seen || known >= newest {
		return // a peer we know nothing of follows the monitors as we do
	}
	if msg := d.maps.Message(d.fsid(), known, d.mapLimits()); msg != nil {
		d.send(conn, msg)
	}
}

// peerHas notes the epoch that a peer's message was sent in.
func (d *Daemon) peerHas(osd int32, epoch uint32) {
	cur := d.current.Load()
	if !cur.Exists(osd) {
		return // whoever says so; the table is no longer than the map
	}
	epoch = min(epoch, cur.Epoch) // what it has beyond that will be seen when it matters
	d.peerMu.Lock()
	d.peerEpoch[osd] = max(d.peerEpoch[osd], epoch)
	d.peerMu.Unlock()
}

// shareWithClient sends a client the maps after the one it aimed with, epoch, or a
// newer one it is known to have.
func (d *Daemon) shareWithClient(s *session, epoch uint32) {
	newest := d.current.Load().Epoch
	known := s.knows(epoch)
	if known >= newest {
		return
	}
	if msg := d.maps.Message(d.fsid(), known, d.mapLimits()); msg != nil {
		s.knows(msg.Last())
		d.send(s.conn, msg)
	}
}

// mapLimits bound a message of maps.
func (d *Daemon) mapLimits() mapLimits {
	o := d.cfg.Options
	return mapLimits{maps: int(o.Int("osd_map_message_max")), bytes: int(o.Int("osd_map_message_max_bytes"))}
}

// send encodes and sends; a session that is gone takes its messages along.
func (d *Daemon) send(conn *msgr.Conn, b message.Body) {
	if err := conn.Send(message.Encode(b, conn.Features())); err != nil && !errors.Is(err, msgr.ErrClosed) {
		d.cfg.Logger.Warn("message not sent", "to", conn.Peer().String(), "type", message.TypeName(b.Type()), "error", err)
	}
}

// tick does what is due from time to time, each second.
func (d *Daemon) tick() {
	defer d.wg.Done()
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-d.stop:
			return
		case now := <-t.C:
			d.bootTick(now)
			d.asks.remind(d, now)
			d.sweepPeers()
			d.reportTick(now)
			d.fullTick()
		}
	}
}
