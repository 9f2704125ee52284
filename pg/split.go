package pg

import (
	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pglog"
)

// splitOff divides this copy when the pool's PGs have multiplied with the current
// map: the objects whose hash leads elsewhere now go to new copies here, with their
// part of the log and of what is missing. It adds to tx what makes it so, together
// with all that a restart needs: before the transaction there is one PG at the old
// map, after it there are several at the new one.
//
// Every OSD that has a copy does the same at the same map, so that the copies of a
// child find each other as those of any PG do.
func (p *PG) splitOff(from uint32, tx txn) (children []*PG) {
	ids := osdmap.SplitChildren(p.id.PGID, from, p.pool.PGNum)
	if len(ids) == 0 {
		return nil
	}
	members := make([]pglog.SplitMember, len(ids))
	for i, id := range ids {
		members[i] = pglog.SplitMember{PGID: object.SPGID{PGID: id, Shard: p.id.Shard}, Where: p.osdmap.MappingOf(id)}
	}
	rest, parts := pglog.Split(p.own, pglog.SplitMember{PGID: p.id, Where: p.where}, members, p.pool.PGNum, p.osdmap.Epoch)
	p.own = rest
	for i, m := range members {
		child, err := newPG(p.env, m.PGID, p.osdmap)
		if err != nil {
			p.clog("error", "splitting: %v", err)
			continue
		}
		child.conf, child.own, child.past = p.conf, parts[i], p.past.Clone()
		child.persist = pglog.NewPersister(m.PGID, p.pool.IsErasure(), false)
		child.priorBound, child.now, child.flushed = p.priorBound, p.now, false
		bits := uint32(m.PGID.SplitBits(p.pool.PGNum))
		tx.MkColl(child.coll, bits)
		tx.SplitColl(p.coll, bits, m.PGID.Seed, child.coll)
		child.saveInfo(tx, true)
		children = append(children, child)
	}
	p.note("split: %v go to %v", len(children), ids)
	return children
}
