package pgmap

import (
	"fmt"
	"slices"
	"time"

	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pglog"
)

// Progress tells how far the recovery of PGs has come, in events: one for each OSD
// that was marked out or in, and one for all PGs together while any of them
// recovers or is backfilled. Names and figures are those of the progress module of
// Ceph 16's manager (src/pybind/mgr/progress/module.py).
//
// Departures: it is the place that CRUSH gives a PG that counts, not who acts for
// it at the moment; the event of all PGs counts as those of single OSDs do, and
// begins also when an OSD comes back, not only when one is marked out or in.
//
// Like [Map] it is volatile, has no clock and is not safe for concurrent use.
type Progress struct {
	Events []*Event // the oldest first
	Done   []*Event // finished ones, the oldest first

	off   bool
	newID func() string
	last  *osdmap.Map // newest that was looked at
}

// eventsDoneMax bounds the finished events kept (max_completed_events).
const eventsDoneMax = 50

// Event is the recovery of some PGs.
type Event struct {
	ID       string
	Message  string
	OSD      int32 // whose mark began it; -1: all PGs
	Began    time.Time
	Finished time.Time // zero while it goes on
	Progress float64   // from 0 to 1

	epoch uint32 // reports of older maps do not count
	// before has the bytes recovered at the start of each PG of the event that is
	// not done; total counts those that are as well.
	before map[object.PGID]int64
	total  int
}

// NewProgress returns a tracker without events. newID makes names that are never
// made twice.
func NewProgress(newID func() string) *Progress { return &Progress{newID: newID} }

// On reports whether events are tracked.
func (p *Progress) On() bool { return !p.off }

// Switch turns the tracking on or off; off forgets all events.
func (p *Progress) Switch(on bool) {
	p.off, p.last = !on, nil
	if p.off {
		p.Clear()
	}
}

// Clear forgets all events.
func (p *Progress) Clear() { p.Events, p.Done = nil, nil }

// Update looks at the OSD map and the reports there are now.
func (p *Progress) Update(m *Map, now time.Time) {
	if p.off || m.OSDMap == nil {
		return
	}
	if p.last != nil && p.last.Epoch != m.OSDMap.Epoch {
		p.compare(m, now)
	}
	p.last = m.OSDMap
	p.watchAll(m, now)
	for _, e := range slices.Clone(p.Events) {
		if e.update(m); e.Progress >= 1 {
			p.finish(e, now)
		}
	}
}

// compare begins an event for each OSD that was marked out or in.
func (p *Progress) compare(m *Map, now time.Time) {
	for _, osd := range m.OSDMap.OSDs() {
		was, is := p.last.Weight(osd), m.OSDMap.Weight(osd)
		switch {
		case !p.last.Exists(osd):
		case is == osdmap.WeightOut && was > is:
			p.begin(m, osd, "out", now)
		case was == osdmap.WeightOut && is >= osdmap.WeightIn:
			for _, e := range slices.Clone(p.Events) {
				if e.OSD == osd {
					p.finish(e, now)
				}
			}
			p.begin(m, osd, "in", now)
		}
	}
}

func (p *Progress) begin(m *Map, osd int32, mark string, now time.Time) {
	e := p.newEvent(fmt.Sprintf("Rebalancing after osd.%d marked %s", osd, mark), osd, now)
	e.epoch = p.last.Epoch + 1 // when it was marked, or a little before
	for pg, s := range m.PGs {
		if p.last.Pools[pg.Pool] == nil || pg.Seed >= p.last.Pools[pg.Pool].PGNum {
			continue
		}
		before, _, _, _ := p.last.PGToUpActing(pg)
		after, _, _, _ := m.OSDMap.PGToUpActing(pg)
		if (slices.Contains(before, osd) || slices.Contains(after, osd)) && !sameOSDs(before, after) {
			e.add(pg, s)
		}
	}
	if e.total > 0 {
		p.Events = append(p.Events, e)
	}
}

func sameOSDs(a, b []int32) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

func (p *Progress) newEvent(message string, osd int32, now time.Time) *Event {
	return &Event{ID: p.newID(), Message: message, OSD: osd, Began: now, before: map[object.PGID]int64{}}
}

// moves are the states of a PG whose objects are being recovered, or are about to.
const moves = pglog.StateRecovering | pglog.StateRecoveryWait | pglog.StateBackfilling | pglog.StateBackfillWait

// watchAll keeps the event of all PGs: it begins when some recover or an OSD's
// event does, and takes in whatever else stops being clean.
func (p *Progress) watchAll(m *Map, now time.Time) {
	i := slices.IndexFunc(p.Events, func(e *Event) bool { return e.OSD < 0 })
	moving := false
	var unclean []object.PGID
	for pg, s := range m.PGs {
		if s.State != 0 && !s.State.Has(pglog.StateActive|pglog.StateClean) {
			unclean = append(unclean, pg)
			moving = moving || s.State&moves != 0
		}
	}
	if len(unclean) == 0 || i < 0 && !moving && len(p.Events) == 0 {
		return
	}
	if i < 0 {
		p.Events = append(p.Events, p.newEvent("Global Recovery Event", -1, now))
		i = len(p.Events) - 1
	}
	for _, pg := range unclean {
		p.Events[i].add(pg, m.PGs[pg])
	}
}

func (e *Event) add(pg object.PGID, s *pglog.Stats) {
	if _, ok := e.before[pg]; !ok {
		e.before[pg] = s.Stats.Sum.NumBytesRecovered
		e.total++
	}
}

// update counts the PGs that are done, and of the others the part of their bytes
// that has been recovered.
func (e *Event) update(m *Map) {
	part := 0.0
	for pg, before := range e.before {
		s := m.PGs[pg]
		switch {
		case s == nil: // its pool is gone
			delete(e.before, pg)
		case s.ReportedEpoch < e.epoch:
		case s.State.Has(pglog.StateActive | pglog.StateClean):
			delete(e.before, pg)
		case s.Stats.Sum.NumBytes > 0:
			part += min(max(float64(s.Stats.Sum.NumBytesRecovered-before)/float64(s.Stats.Sum.NumBytes), 0), 1)
		}
	}
	if len(e.before) == 0 {
		e.Progress = 1
		return
	}
	e.Progress = min((float64(e.total-len(e.before))+part)/float64(e.total), 0.999)
}

func (p *Progress) finish(e *Event, now time.Time) {
	e.Progress, e.Finished = 1, now
	p.Events = slices.DeleteFunc(p.Events, func(o *Event) bool { return o == e })
	p.Done = append(p.Done, e)
	p.Done = p.Done[max(len(p.Done)-eventsDoneMax, 0):]
}

// Duration is how long the event has lasted.
func (e *Event) Duration(now time.Time) time.Duration {
	if !e.Finished.IsZero() {
		now = e.Finished
	}
	return now.Sub(e.Began).Truncate(time.Second)
}

// Remaining estimates, from how long the event took so far, how long it will go on;
// false while there is nothing to estimate from.
func (e *Event) Remaining(now time.Time) (time.Duration, bool) {
	if e.Progress <= 0 {
		return 0, false
	}
	left := e.Duration(now).Seconds() * (1 - e.Progress) / e.Progress
	return time.Duration(left) * time.Second, true
}
