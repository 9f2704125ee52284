package pg

import (
	"slices"

	"sepiola/osdmap"
	"sepiola/pglog"
)

// reset waits for the last of the maps at hand before anything is decided.
type reset struct{}

func (reset) id() stateID { return stReset }

// advance goes on to the next map: the interval goes on, or a new one begins. A PG
// that was just made or loaded may get the map it has again: that starts it when no
// newer one is at hand.
func (p *PG) advance(e NewMap) {
	if e.Map.Epoch < p.osdmap.Epoch || e.Map.Epoch == p.osdmap.Epoch && !p.inReset() {
		return
	}
	p.startClock()
	if !p.flushed && p.flushGen == 0 {
		p.flush(p.newTx()) // split off just now
	}
	old, was := p.osdmap, p.where
	is := e.Map.MappingOf(p.id.PGID)
	p.osdmap = e.Map
	if pool, ok := e.Map.Pools[p.id.Pool]; ok {
		p.noteFullness(pool)
		p.pool = pool
	} else {
		if p.state.id() != stDeleting {
			p.abandon()
			p.startDelete()
		}
		return
	}
	if p.state.id() == stDeleting {
		return
	}
	if osdmap.IsNewInterval(p.id.PGID, old, was, e.Map, is) {
		p.closeInterval(old, was, is)
	}
	p.dispatch(evMap, e)
	if !e.More {
		p.persistEpoch()
		p.wakeMapWaiters()
	}
}

// noteFullness remembers when the pool was last marked full: writes sent before
// that are dropped, since their senders will repeat them.
func (p *PG) noteFullness(pool *osdmap.Pool) {
	if pool.HasFlag(osdmap.PoolFlagFull) && !p.pool.HasFlag(osdmap.PoolFlagFull) {
		p.own.Info.History.LastEpochMarkedFull = p.osdmap.Epoch
	}
}

// closeInterval records the interval that ended with the previous map and begins
// a new one. All that was in flight is dropped; clients' operations are kept for
// the case that this copy leads again.
func (p *PG) closeInterval(old *osdmap.Map, was, is osdmap.Mapping) {
	h := &p.own.Info.History
	i := osdmap.ClosedInterval(p.id.PGID, old, was, p.osdmap, h.SameIntervalSince, h.LastEpochClean, anyShard)
	if err := p.past.Add(p.pool.IsErasure(), i); err != nil {
		p.note("past interval not added: %v", err)
	}
	epoch := p.osdmap.Epoch
	if !slices.Equal(was.Up, is.Up) {
		h.SameUpSince = epoch
	}
	if was.ActingPrimary != is.ActingPrimary {
		h.SamePrimarySince = epoch
	}
	h.SameIntervalSince = epoch
	p.where = is
	p.note("interval %d-%d %v primary %d rw %v ended; now %v up %v", i.First, i.Last, i.Acting, i.Primary,
		i.MaybeWentRW, is.Acting, is.Up)
	p.abandon()
	p.resetEpoch = epoch
	p.state = reset{}
	tx := p.newTx()
	children := p.splitOff(old.Pools[p.id.Pool].PGNum, tx)
	p.flush(tx)
	for _, child := range children {
		p.fx.add(Spawn{child})
	}
}

// flush stores the new interval, with what else is in tx, and waits until it, and with it all that came
// before, is durable. Until then this copy does not tell of its log: a peer that
// took over an entry whose data a crash then takes away would look for it in
// vain. (Ceph does not wait, and can end with unfound objects.)
func (p *PG) flush(tx txn) {
	p.flushGen++
	gen := p.flushGen
	p.flushed, p.onFlush = false, nil
	p.saveInfo(tx, true)
	p.submit(tx, func() {
		if p.flushGen != gen {
			return
		}
		p.flushed = true
		waiting := p.onFlush
		p.onFlush = nil
		for _, do := range waiting {
			do()
		}
	})
}

// whenFlushed does something once what the store holds of earlier intervals is
// durable, unless another interval begins before.
func (p *PG) whenFlushed(do func()) {
	if p.flushed {
		do()
		return
	}
	p.onFlush = append(p.onFlush, do)
}

// anyShard is when a replicated PG can be read: one copy is enough.
func anyShard(have []osdmap.PGShard) bool { return len(have) > 0 }

// abandon drops what belongs to the interval that ended.
func (p *PG) abandon() {
	p.keepPending()
	p.releaseBackoffs(allBackoffs)
	p.endLeases()
	p.dropSlots()
	p.lead, p.active, p.follow = nil, nil, nil
	p.objects.clear()
	p.dropPulls()
	p.bits = 0
}

// resetMap leaves Reset once the last map at hand came.
func resetMap(p *PG, ev Event) {
	if !ev.(NewMap).More {
		p.start()
	}
}

// start begins the interval as what the map says this OSD is.
func (p *PG) start() {
	if p.IsPrimary() {
		p.becomePrimary()
		return
	}
	p.dropOps() // they belong to another primary now
	p.state = stray{}
	p.sendNotify(p.osdmap.Epoch)
}

// dispatchable says whether the message belongs to the current interval.
func (p *PG) isCurrent(min uint32) bool { return min >= p.resetEpoch }

// copies returns the members of a set that are OSDs.
func members(osds []int32) []int32 {
	return slices.DeleteFunc(slices.Clone(osds), func(o int32) bool { return o == osdmap.ItemNone })
}

// writeable reports whether enough members are there to take writes.
func (p *PG) writeable() bool {
	return len(members(p.where.Acting)) >= int(p.pool.MinSize) && p.osdmap.StretchCanPeer(p.pool, p.where.Acting)
}

// mergeHistory takes over what a peer knows of the PG's past.
func (p *PG) mergeHistory(h *pglog.History) bool {
	p.notePriorBound(p.now.Add(h.PriorReadableUntilUB))
	theirs := *h
	theirs.PriorReadableUntilUB = p.own.Info.History.PriorReadableUntilUB // ours follows from priorBound
	if !p.own.Info.History.Merge(&theirs) {
		return false
	}
	if p.past.Last != 0 && p.own.Info.History.LastEpochClean >= p.past.Last {
		// The PG was clean after all of them: they say nothing any more.
		p.past = osdmap.PastIntervals{}
	}
	return true
}
