package pg

import (
	"slices"

	"sepiola/message"
	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pglog"
)

// filling brings members up to date whose logs do not reach, range by range in
// the order of object ids:
//
//	done            | this range      | not looked at yet
//	<= last_backfill| (begin, end]    | > end
//	writes go whole | writes wait     | writes send their log entry only
//
// The range moves on when the members have stored all of it.
type filling struct {
	targets []int32 // of this range
	// begin and end bound the range, begin excluded.
	begin, end object.ID
	mine       []message.ObjectVersion
	theirs     map[int32][]message.ObjectVersion
	scanning   map[int32]bool
	// drain is the version that must be durable before the range is compared: what
	// was in flight when it was chosen.
	drain   pglog.Version
	compare bool // scans are in, and comparing waits for drain only
	todo    []fillStep
	pushing int
	busy    bool
}

// fillStep is an object to send to some targets.
type fillStep struct {
	object object.ID
	to     []int32
}

// needsBackfill reports whether a member has not got everything.
func (p *PG) needsBackfill() bool { return len(p.backfillTargets()) > 0 }

// backfillTargets are the members whose copies are not whole.
func (p *PG) backfillTargets() []int32 {
	var out []int32
	for _, osd := range p.lead.choice.Members {
		if i := p.lead.infos[osd]; i != nil && i.IsIncomplete() {
			out = append(out, osd)
		}
	}
	return out
}

// reaches reports whether a member is to have changes of an object whole.
func (p *PG) reaches(osd int32, o object.ID) bool {
	return !p.lead.infos[osd].LastBackfill.Less(o)
}

// isBackfilling reports whether the object is in the range under way: what is
// sent of it must not change meanwhile.
func (p *PG) isBackfilling(o object.ID) bool {
	f := &p.active.fill
	return f.busy && f.begin.Less(o) && !f.end.Less(o)
}

func (p *PG) mayBackfill() bool {
	return !p.osdmap.TestFlag(osdmap.FlagNoBackfill|osdmap.FlagPauseRec) &&
		(!p.osdmap.TestFlag(osdmap.FlagNoRebalance) || p.isDegradedPG())
}

// isDegradedPG reports whether there are fewer copies than there should be, apart
// from where they are.
func (p *PG) isDegradedPG() bool { return len(members(p.where.Acting)) < int(p.pool.Size) }

// fill goes on with the range under way, or begins one.
func (p *PG) fill() {
	if p.active.fill.busy {
		p.fillMore()
	} else {
		p.backfillMore()
	}
}

// backfillMore chooses the next range, unless one is under way.
func (p *PG) backfillMore() {
	f := &p.active.fill
	if f.busy {
		return
	}
	all := p.backfillTargets()
	begin, bound := object.Max, object.Max
	for _, osd := range all {
		if at := p.lead.infos[osd].LastBackfill; at.Less(begin) {
			begin = at
		}
	}
	var targets []int32
	for _, osd := range all {
		switch at := p.lead.infos[osd].LastBackfill; {
		case at == begin:
			targets = append(targets, osd)
		case at.Less(bound):
			bound = at // further on, that one joins in
		}
	}
	_, end, err := p.versionsFrom(begin, p.conf.BackfillScanMin)
	if err != nil {
		p.clog("error", "backfill: %v", err)
		return
	}
	if bound.Less(end) {
		end = bound
	}
	*f = filling{targets: targets, begin: begin, end: end, busy: true, drain: p.own.Info.LastUpdate,
		theirs: map[int32][]message.ObjectVersion{}, scanning: map[int32]bool{}}
	for _, osd := range targets {
		f.scanning[osd] = true
		p.scan(osd, begin)
	}
}

func (p *PG) scan(osd int32, from object.ID) {
	p.send(osd, &message.OSDPGScan{PGHeader: p.header(), Op: message.ScanGetDigest, From: p.self(),
		Begin: from, End: object.Max})
}

// serveScan lists what a copy has.
func serveScan(p *PG, from int32, m *message.OSDPGScan) {
	if m.Op != message.ScanGetDigest {
		return
	}
	list, end, err := p.versionsFrom(m.Begin, p.conf.BackfillScanMax)
	if err != nil {
		p.clog("error", "scan: %v", err)
		return
	}
	p.send(from, &message.OSDPGScan{PGHeader: p.answer(&m.PGHeader), Op: message.ScanDigest, From: p.self(),
		Begin: m.Begin, End: end, Digest: message.EncodeScanDigest(list)})
}

// scanReply takes a target's list; a target with more objects than the primary
// is asked again.
func scanReply(p *PG, from int32, m *message.OSDPGScan) {
	f := &p.active.fill
	if m.Op != message.ScanDigest || !f.scanning[from] {
		return
	}
	list, err := message.DecodeScanDigest(m.Digest)
	if err != nil {
		p.clog("error", "scan of osd.%d: %v", from, err)
		return
	}
	for _, v := range list {
		if f.begin.Less(v.Object) && !f.end.Less(v.Object) {
			f.theirs[from] = append(f.theirs[from], v)
		}
	}
	if m.End.Less(f.end) && m.Begin.Less(m.End) {
		p.scan(from, m.End)
		return
	}
	delete(f.scanning, from)
	if len(f.scanning) == 0 {
		f.compare = true
		p.compareRange()
	}
}

// backfillCommitted goes on if the range waited for what was in flight.
func (p *PG) backfillCommitted(pglog.Version) {
	if p.active.fill.compare {
		p.compareRange()
	}
}

// compareRange works out what to send and remove, once nothing in the range is in
// flight any more.
func (p *PG) compareRange() {
	f := &p.active.fill
	if p.active.inFlight(f.drain) != nil {
		return
	}
	f.compare = false
	mine, end, err := p.versionsFrom(f.begin, p.conf.BackfillScanMax)
	if err != nil {
		p.clog("error", "backfill: %v", err)
		f.busy = false
		return
	}
	if end.Less(f.end) {
		f.end = end // it has grown since; the rest comes with the next range
	}
	f.mine = slices.DeleteFunc(mine, func(v message.ObjectVersion) bool { return f.end.Less(v.Object) })
	have := map[int32]map[object.ID]pglog.Version{}
	for _, osd := range f.targets {
		have[osd] = map[object.ID]pglog.Version{}
		for _, v := range f.theirs[osd] {
			have[osd][v.Object] = v.Version
		}
	}
	for _, v := range f.mine {
		step := fillStep{object: v.Object}
		for _, osd := range f.targets {
			if at, ok := have[osd][v.Object]; !ok || at != v.Version {
				step.to = append(step.to, osd)
			}
			delete(have[osd], v.Object)
		}
		if len(step.to) > 0 {
			f.todo = append(f.todo, step)
		}
	}
	for _, osd := range f.targets {
		p.removeExtra(osd, have[osd])
	}
	p.fillMore()
}

// removeExtra tells a target to remove what is not among the primary's objects.
func (p *PG) removeExtra(osd int32, extra map[object.ID]pglog.Version) {
	out := &message.OSDPGBackfillRemove{PGHeader: p.header()}
	for o, v := range extra {
		if !p.active.fill.end.Less(o) {
			out.Objects = append(out.Objects, message.ObjectVersion{Object: o, Version: v})
		}
	}
	if len(out.Objects) == 0 {
		return
	}
	slices.SortFunc(out.Objects, func(a, b message.ObjectVersion) int { return a.Object.Compare(b.Object) })
	p.send(osd, out)
}

// backfillRemove removes objects that the primary does not have.
func backfillRemove(p *PG, _ int32, m *message.OSDPGBackfillRemove) {
	tx := p.newTx()
	for _, v := range m.Objects {
		tx.Remove(p.coll, p.gid(v.Object))
	}
	p.submit(tx, nil)
}

// fillMore sends objects of the range, a bounded number at a time, and closes the
// range when all are stored.
func (p *PG) fillMore() {
	f, r := &p.active.fill, &p.active.recovery
	for len(f.todo) > 0 && f.pushing < p.conf.RecoveryMaxActive && p.holds(backfillWork) && !r.timer {
		step := f.todo[0]
		f.todo = f.todo[1:]
		f.pushing++
		p.pause()
		p.push(step.object, &pushOut{to: step.to, done: func() {
			f.pushing--
			p.fillMore()
		}})
		if r.pushing[step.object] == nil {
			f.busy = false // it could not be read; the range is tried again at the next map
			return
		}
	}
	if len(f.todo) == 0 && f.pushing == 0 && f.busy && !f.compare && len(f.scanning) == 0 {
		p.closeRange()
	}
}

// closeRange moves last_backfill of the targets past the range.
func (p *PG) closeRange() {
	f := &p.active.fill
	bytes, objects := int64(0), int64(0)
	for _, v := range f.mine {
		if st, err := p.env.Reader.Stat(p.coll, p.gid(v.Object)); err == nil {
			bytes += int64(st.Size)
			objects++
		}
	}
	for _, osd := range f.targets {
		info := p.lead.infos[osd]
		info.LastBackfill = f.end
		sum := &info.Stats.Stats.Sum
		sum.NumBytes += bytes
		sum.NumObjects += objects
		op := message.BackfillProgress
		if f.end.IsMax() {
			op = message.BackfillFinish
			info.Stats = p.own.Info.Stats.Clone()
		}
		p.send(osd, &message.OSDPGBackfill{PGHeader: p.header(), Op: op, LastBackfill: f.end, Stats: info.Stats.Clone()})
	}
	f.busy = false
	p.wakeRange()
	p.fx.add(StatsChanged{})
	p.recoveryState()
}

// wakeRange tries what waited for objects of the range.
func (p *PG) wakeRange() {
	f := &p.active.fill
	var waiting []object.ID
	for o := range p.active.waitObject {
		if f.begin.Less(o) && !f.end.Less(o) {
			waiting = append(waiting, o)
		}
	}
	slices.SortFunc(waiting, object.ID.Compare)
	for _, o := range waiting {
		p.wakeObject(o)
	}
}

// backfillProgress moves this copy's last_backfill on: all up to it is stored.
func backfillProgress(p *PG, from int32, m *message.OSDPGBackfill) {
	info := &p.own.Info
	if m.Op == message.BackfillFinishAck || m.LastBackfill.Less(info.LastBackfill) {
		return
	}
	info.LastBackfill = m.LastBackfill
	info.Stats = m.Stats.Clone()
	tx := p.newTx()
	p.saveInfo(tx, true)
	if m.Op != message.BackfillFinish {
		p.submit(tx, nil)
		return
	}
	ack := &message.OSDPGBackfill{PGHeader: p.answer(&m.PGHeader), Op: message.BackfillFinishAck, LastBackfill: object.Max}
	p.confirm(tx, from, func(pglog.Version) { p.send(from, ack) })
}

// backfillAck says that a target stored the end of its backfill; nothing waits
// for it, since the acting set changes only by a map.
func backfillAck(*PG, int32, *message.OSDPGBackfill) {}
