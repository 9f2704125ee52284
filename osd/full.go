package osd

import (
	"sepiola/message"
	"sepiola/osdmap"
)

// fullLevel says how full an OSD's disk is (OSDService::s_names in Ceph's OSD.h).
type fullLevel uint32

const (
	notFull fullLevel = iota
	nearFull
	backfillFull
	full
	failsafeFull // writes are refused whatever the map says
)

// levelOf returns the level for a share of the disk that is in use. The map's ratios
// come before the configuration's: a failsafe below them would refuse writes before
// the cluster looks full (OSDService::recalc_full_state).
func levelOf(used, failsafe float64, m *osdmap.Map) fullLevel {
	near := float64(m.NearFullRatio)
	backfill := max(float64(m.BackfillFullRatio), near)
	most := max(float64(m.FullRatio), backfill)
	failsafe = max(failsafe, most)
	if m.NearFullRatio <= 0 || m.BackfillFullRatio <= 0 || m.FullRatio <= 0 {
		near, backfill, most = failsafe, failsafe, failsafe // somebody set them so
	}
	switch {
	case used > failsafe:
		return failsafeFull
	case used > most:
		return full
	case used > backfill:
		return backfillFull
	case used > near:
		return nearFull
	}
	return notFull
}

// state returns the bit of the map's OSD state that says so, 0 for not full.
func (l fullLevel) state() uint32 {
	return [...]uint32{0, osdmap.OSDNearFull, osdmap.OSDBackfillFull, osdmap.OSDFull, osdmap.OSDFull}[l]
}

// fullTick looks how full the disk is, and tells the monitors where the map says
// something else (OSD::send_full_update).
func (d *Daemon) fullTick() {
	fs, err := d.cfg.Store.Statfs()
	if err != nil || fs.Total == 0 {
		return // osdStat says why
	}
	m := d.current.Load()
	failsafe := d.cfg.Options.Float("osd_failsafe_full_ratio")
	if failsafe > 1 {
		failsafe /= 100
	}
	level := levelOf(1-float64(fs.Available)/float64(fs.Total), failsafe, m)
	if before := fullLevel(d.fullness.Swap(uint32(level))); before != level && max(before, level) == failsafeFull {
		d.cfg.Logger.Error("the disk is full up to the failsafe ratio", "refusing writes", level == failsafeFull,
			"available", fs.Available, "total", fs.Total)
	}
	if !d.is(stateActive) || !m.IsUp(d.cfg.WhoAmI) {
		return
	}
	const all = osdmap.OSDFull | osdmap.OSDBackfillFull | osdmap.OSDNearFull
	if m.OSDState[d.cfg.WhoAmI]&all != level.state() {
		d.mon.Send(&message.OSDFull{Paxos: message.Paxos{Have: uint64(m.Epoch)}, Epoch: m.Epoch, State: level.state()})
	}
}

// failsafe reports whether writes are refused because the disk is full.
func (d *Daemon) failsafe() bool { return fullLevel(d.fullness.Load()) == failsafeFull }
