package pg

import (
	"slices"

	"sepiola/message"
	"sepiola/object"
)

// deleting removes a copy, some objects at a time: the next step is taken when
// the last one is durable.
type deleting struct {
	gen uint64
	// next is what may be meant for a copy to come: peers ask once, and clients send
	// again only when a map moves them.
	next []Event
}

func (*deleting) id() stateID { return stDeleting }

// removeCopy is the primary's word that the PG is clean without this copy.
func removeCopy(p *PG, from int32, _ *message.OSDPGRemove) {
	if p.isMember(p.env.WhoAmI) || !p.fromPrimary(from) {
		return
	}
	p.abandon()
	p.dropOps()
	p.startDelete()
}

// startDelete begins to remove the copy; nothing stops it any more. Its metadata
// goes last, so that a restart goes on with the removal when it hears from the
// primary again.
func (p *PG) startDelete() {
	p.endBackoffs(true)
	p.dropOps()
	p.state = &deleting{} // what waits for a map is for whoever comes next
	p.note("removing this copy")
	// A copy that is half gone must never be taken for a whole one.
	p.own.Info.LastBackfill = object.Min
	tx := p.newTx()
	p.saveInfo(tx, true)
	p.submit(tx, nil)
	p.deleteSome()
}

// keepForNext keeps what was sent to one that may be a member again, or lead.
func keepForNext(_ *PG, s *deleting, ev Event) {
	if op, ok := ev.(opEvent); ok {
		ev = op.op.ClientOp
	}
	s.next = append(s.next, ev)
}

func deleteMore(p *PG, _ *deleting, ev Event) {
	if ev.(Timer).Kind == TimerDelete {
		p.deleteSome()
	}
}

func (p *PG) deleteSome() {
	list, _, err := p.env.Reader.List(p.coll, object.GMin, object.GMax, p.conf.DeleteChunk+1)
	if err != nil {
		p.clog("error", "removing: %v", err)
		return
	}
	tx := p.newTx()
	for _, g := range list {
		if g.IsPGMeta() {
			continue
		}
		tx.Remove(p.coll, g)
	}
	if len(list) <= p.conf.DeleteChunk {
		tx.Remove(p.coll, p.gid(p.id.MetaObject().ID))
		tx.RmColl(p.coll)
		p.submit(tx, p.deleted)
		return
	}
	p.submit(tx, func() {
		s, ok := p.state.(*deleting)
		if !ok {
			return
		}
		s.gen++
		p.fx.add(StartTimer{Kind: TimerDelete, After: p.conf.DeleteSleep, Gen: s.gen})
	})
}

// deleted ends the PG and hands on what may be meant for the next.
func (p *PG) deleted() {
	p.removed = true
	next := p.waitMap
	if s, ok := p.state.(*deleting); ok {
		next = slices.Concat(s.next, next)
	}
	p.waitMap = nil
	p.fx.add(Removed{next})
}
