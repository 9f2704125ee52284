package peering

import (
	"maps"
	"slices"

	"sepiola/osdmap"
)

// PriorSet says whose infos a primary needs before it may choose a log.
type PriorSet struct {
	// Probe are the OSDs to ask: the current members and everybody up who was a
	// member since the PG was last clean. Sorted.
	Probe []int32
	// Down are former members that cannot be asked. Sorted.
	Down []int32
	// Blocked says that in some past interval that may have taken writes nobody
	// is left whom one could ask: the PG must wait for one of BlockedBy, which
	// maps OSDs to the epoch in which they were last declared lost.
	Blocked   bool
	BlockedBy map[int32]uint32
	// Readers were members of intervals that may have answered clients and whose
	// promises may still hold: the last that went active, and what came after. Sorted.
	Readers []int32

	up map[int32]bool // as seen when the set was built, of all it looked at
}

type fate int

const (
	isUp   fate = iota
	isGone      // no longer in the map: it cannot come back and is not waited for
	isLost      // down, and an operator gave up on what it had
	isDown
)

// fateOf says what became of an OSD of an interval that began in epoch start.
func fateOf(m *osdmap.Map, osd int32, start uint32) (fate, uint32) {
	switch {
	case m.IsUp(osd):
		return isUp, 0
	case !m.Exists(osd):
		return isGone, 0
	}
	lostAt := m.Info(osd).LostAt
	if lostAt > start {
		return isLost, lostAt
	}
	return isDown, lostAt
}

// BuildPrior builds the prior set of a PG with the given members and past
// intervals. les is the last epoch in which the PG is known to have gone active:
// what happened in older intervals is known to whoever took part in it.
func BuildPrior(m *osdmap.Map, up, acting []int32, past osdmap.PastIntervals, les uint32) PriorSet {
	p := PriorSet{BlockedBy: map[int32]uint32{}, up: map[int32]bool{}}
	probe, down, readers := map[int32]bool{}, map[int32]bool{}, map[int32]bool{}
	for _, osd := range slices.Concat(acting, up) {
		if osd != osdmap.ItemNone {
			probe[osd] = true
			p.up[osd] = m.IsUp(osd)
		}
	}
	for _, s := range past.Participants {
		f, _ := fateOf(m, s.OSD, 0)
		p.up[s.OSD] = f == isUp
		if f == isUp {
			probe[s.OSD] = true
		} else {
			down[s.OSD] = true
		}
	}
	for _, i := range past.MaybeRWBackTo(les) {
		p.consider(m, i)
		for _, s := range i.Acting {
			readers[s.OSD] = true
		}
	}
	p.Readers = slices.Sorted(maps.Keys(readers))
	p.Probe = slices.Sorted(maps.Keys(probe))
	p.Down = slices.Sorted(maps.Keys(down))
	return p
}

// consider checks that somebody is left of an interval that may have taken
// writes.
func (p *PriorSet) consider(m *osdmap.Map, i osdmap.CompactInterval) {
	witnesses := 0
	waitFor := map[int32]uint32{}
	for _, s := range i.Acting {
		switch f, lostAt := fateOf(m, s.OSD, i.First); f {
		case isUp, isLost:
			witnesses++
		case isDown:
			waitFor[s.OSD] = lostAt
		}
	}
	if witnesses == 0 && len(waitFor) > 0 {
		p.Blocked = true
		maps.Copy(p.BlockedBy, waitFor)
	}
}

// AffectedBy reports whether a newer map changes the set: somebody went down or
// came up, or was declared lost.
func (p *PriorSet) AffectedBy(m *osdmap.Map) bool {
	for osd, was := range p.up {
		if m.IsUp(osd) != was {
			return true
		}
	}
	for osd, lostAt := range p.BlockedBy {
		if !m.Exists(osd) || m.Info(osd).LostAt != lostAt {
			return true
		}
	}
	return false
}
