package pg

import (
	"sepiola/object"
	"sepiola/pglog"
)

// recountChunk is how many objects are counted at a time.
const recountChunk = 128

// recount finds out anew what a PG holds, after a split has left its statistics
// guesses. It goes through the objects in order, some at a time; what changes behind
// it is added, what changes ahead of it is met on the way. (Ceph leaves that to the
// next scrub.)
type recount struct {
	busy bool
	at   object.ID // counted up to there
	sum  pglog.ObjectStatSum
}

// startRecount begins, in a clean PG whose statistics are guesses.
func (p *PG) startRecount() {
	c := &p.active.recount
	if c.busy || !p.own.Info.Stats.StatsInvalid {
		return
	}
	*c = recount{busy: true, at: object.Min}
	p.fx.add(StartTimer{Kind: TimerRecount})
}

// recountMore counts some more.
func (p *PG) recountMore() {
	c := &p.active.recount
	if !c.busy {
		return
	}
	list, end, err := p.versionsFrom(c.at, recountChunk)
	if err != nil {
		p.clog("error", "counting objects: %v", err)
		c.busy = false
		return
	}
	for _, v := range list {
		if err := p.countObject(v.Object); err != nil {
			p.clog("error", "counting objects: %v", err)
			c.busy = false
			return
		}
	}
	if c.at = end; !end.IsMax() {
		p.fx.add(StartTimer{Kind: TimerRecount})
		return
	}
	p.endRecount()
}

func (p *PG) countObject(o object.ID) error {
	raw, err := p.env.Reader.Attr(p.coll, p.gid(o), pglog.AttrObjectInfo)
	if err != nil {
		return err
	}
	oi, err := pglog.ParseObjectInfo(raw)
	if err != nil {
		return err
	}
	p.active.recount.sum.Add(statOf(&oi))
	return nil
}

// statOf is what an object adds to the statistics.
func statOf(oi *pglog.ObjectInfo) *pglog.ObjectStatSum {
	s := &pglog.ObjectStatSum{NumObjects: 1, NumBytes: int64(oi.Size)}
	for _, f := range []struct {
		flag pglog.OIFlags
		n    *int64
	}{
		{pglog.OIDirty, &s.NumObjectsDirty}, {pglog.OIOmap, &s.NumObjectsOmap}, {pglog.OIWhiteout, &s.NumWhiteouts},
		{pglog.OICachePin, &s.NumObjectsPinned},
	} {
		if oi.Has(f.flag) {
			*f.n = 1
		}
	}
	return s
}

// recountChange notes a change of an object that was counted already.
func (p *PG) recountChange(o object.ID, d *pglog.ObjectStatSum) {
	if c := &p.active.recount; c.busy && !c.at.Less(o) {
		c.sum.Add(d)
	}
}

// endRecount puts what was counted in the place of the guesses.
func (p *PG) endRecount() {
	c, st := &p.active.recount, &p.own.Info.Stats
	sum := &st.Stats.Sum
	sum.NumObjects, sum.NumBytes, sum.NumObjectsDirty = c.sum.NumObjects, c.sum.NumBytes, c.sum.NumObjectsDirty
	sum.NumObjectsOmap, sum.NumWhiteouts, sum.NumObjectsPinned = c.sum.NumObjectsOmap, c.sum.NumWhiteouts, c.sum.NumObjectsPinned
	st.StatsInvalid, st.ParentSplitBits = false, 0
	*c = recount{}
	tx := p.newTx()
	p.saveInfo(tx, true)
	p.submit(tx, nil)
	p.shareInfo()
	p.fx.add(StatsChanged{})
}
