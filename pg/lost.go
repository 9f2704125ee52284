package pg

import (
	"fmt"
	"slices"

	"sepiola/message"
	"sepiola/object"
	"sepiola/pg/ops"
	"sepiola/pglog"
)

// wantedVersion is the version of a missing object that a copy has to have in order
// to be a source of it: the one that is needed, or, where the log says that this one
// is lost, the one that the object goes back to.
func (p *PG) wantedVersion(item pglog.MissingItem) (v pglog.Version, revert bool) {
	if e := p.own.Log.At(item.Need); e != nil && e.IsLostRevert() {
		return e.RevertingTo, true
	}
	return item.Need, false
}

// canRevert reports whether this copy itself has what an object goes back to.
func (p *PG) canRevert(item pglog.MissingItem) bool {
	v, revert := p.wantedVersion(item)
	return revert && item.Have == v
}

// isSource reports whether a copy has what is wanted of a missing object.
func isSource(info *pglog.Info, missing *pglog.Missing, o object.ID, need, wanted pglog.Version) bool {
	if info.LastBackfill.Less(o) {
		return false
	}
	if item, ok := missing.Get(o); ok {
		return wanted != need && item.Have == wanted
	}
	return !info.LastUpdate.Less(need)
}

// revertHere makes the version that this copy still has the newest one.
func (p *PG) revertHere(o object.ID, item pglog.MissingItem) {
	raw, err := p.env.Reader.Attr(p.coll, p.gid(o), pglog.AttrObjectInfo)
	var info []byte
	if err == nil {
		info, err = asVersion(raw, item.Need)
	}
	if err != nil {
		p.clog("error", "reverting %v: %v", o, err)
		return
	}
	a := p.active
	a.recovery.local[o] = true
	tx := p.newTx()
	tx.SetAttr(p.coll, p.gid(o), pglog.AttrObjectInfo, info)
	p.gotObject(tx, o, item.Need)
	p.submit(tx, func() {
		if p.active == a {
			delete(a.recovery.local, o)
			p.recoveredHere(o)
		}
	})
}

// asVersion is an object's metadata with another version.
func asVersion(raw []byte, v pglog.Version) ([]byte, error) {
	oi, err := pglog.ParseObjectInfo(raw)
	if err != nil {
		return nil, err
	}
	oi.Version = v
	return oi.Bytes(), nil
}

// unfound lists, in order, what no copy known has.
func (p *PG) unfound() []object.ID {
	var out []object.ID
	for o := range p.own.Missing.Sorted() {
		if p.isUnfound(o) {
			out = append(out, o)
		}
	}
	return out
}

// notAsked are OSDs that may have what is unfound, with what stands in the way of
// knowing (all_unfound_are_queried_or_lost).
func (p *PG) notAsked() map[int32]string {
	out := map[int32]string{}
	for _, osd := range slices.Concat(p.lead.prior.Probe, p.lead.prior.Down, p.sortedStrays()) {
		if osd == p.env.WhoAmI || p.lead.missing[osd] != nil || !p.osdmap.Exists(osd) {
			continue
		}
		if i := p.lead.infos[osd]; i != nil && (i.IsEmpty() || i.DNE()) {
			continue
		}
		if i := p.osdmap.Info(osd); i.LostAt > i.UpFrom {
			continue
		}
		switch {
		case p.osdmap.IsDown(osd):
			out[osd] = "osd is down"
		case p.active.recovery.asked[osd]:
			out[osd] = "querying"
		default:
			out[osd] = "not queried"
		}
	}
	return out
}

// markUnfoundLost gives up what is unfound, at an operator's word: the newest version
// that is left takes its place, or the object is deleted.
func (p *PG) markUnfoundLost(c Command, revert bool) {
	lost := p.unfound()
	switch {
	case len(lost) == 0:
		p.fx.add(CommandDone{To: c.From, Text: "pg has no unfound objects"})
		return
	case len(p.notAsked()) > 0:
		p.fx.add(CommandDone{To: c.From, Result: ops.EInval,
			Text: fmt.Sprintf("pg has %d unfound objects but we haven't probed all sources, not marking lost", len(lost))})
		return
	}
	var entries []pglog.Entry
	for _, o := range lost {
		entries = append(entries, p.giveUp(o, revert))
	}
	p.own.Info.Stats.StatsInvalid = true
	text := fmt.Sprintf("pg has %d objects unfound and apparently lost marking", len(lost))
	p.clog("info", "%s", text)
	p.logEntries(&inflight{
		then: func() { p.fx.add(CommandDone{To: c.From, Text: text}) },
		dropped: func() {
			p.fx.add(CommandDone{To: c.From, Result: ops.EAgain, Text: "interrupted by peering; try again"})
		},
	}, entries)
	p.active.recovery.sources = map[object.ID][]int32{}
	p.findSources()
	p.recover()
}

// giveUp logs that an object's newest version is lost.
func (p *PG) giveUp(o object.ID, revert bool) pglog.Entry {
	item, _ := p.own.Missing.Get(o)
	kind, back := pglog.OpLostDelete, pglog.Version{}
	if revert {
		if back = p.newestLeft(o); !back.IsZero() {
			kind = pglog.OpLostRevert
		}
	}
	e := pglog.NewEntry(kind, o, p.nextVersion(), item.Need)
	e.RevertingTo, e.Mtime = back, p.now
	p.appendEntry(&e)
	p.own.Missing.AddNext(&e)
	for _, osd := range p.active.others {
		if p.reaches(osd, o) {
			p.lead.missing[osd].AddNext(&e)
		}
	}
	p.forgetContext(o)
	return e
}

// newestLeft is the newest version of an unfound object that any copy still has.
func (p *PG) newestLeft(o object.ID) (v pglog.Version) {
	item, _ := p.own.Missing.Get(o)
	v = item.Have
	for _, m := range p.lead.missing {
		if i, ok := m.Get(o); ok {
			v = pglog.MaxOf(v, i.Have)
		}
	}
	return v
}

// logEntries sends entries that change no object to the members and stores them; they
// are in the own log already.
func (p *PG) logEntries(w *inflight, entries []pglog.Entry) {
	a := p.active
	p.nextTID++
	last := entries[len(entries)-1].Version
	w.tid, w.version, w.waitFor = p.nextTID, last, slices.Clone(p.lead.choice.Members)
	if len(a.others) > 0 {
		p.fx.add(SendOSD{a.others, &message.OSDPGUpdateLogMissing{PGHeader: p.header(), From: p.id.Shard,
			RepTID: w.tid, Entries: entries, RollForwardTo: last}})
		for _, osd := range a.others {
			for i := range entries {
				p.noteSent(osd, &entries[i])
			}
		}
	}
	a.queue = append(a.queue, w)
	tx := p.newTx()
	p.saveLog(tx, pglog.Version{})
	p.submit(tx, func() {
		if p.active == a {
			p.memberCommitted(w, p.env.WhoAmI)
		}
	})
}
