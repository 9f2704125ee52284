package osd

import (
	"sync/atomic"

	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pg"
)

// splitting is a map in which PGs multiply, on its way through the shards. A child
// may belong to another shard than its parent: until all shards have taken the map,
// and handed over what split off, nobody can say that a PG is not here.
type splitting struct{ left atomic.Int32 }

// multiplies reports whether a pool of the map has more PGs than before.
func multiplies(old, m *osdmap.Map) bool {
	for id, p := range m.Pools {
		if was := old.Pools[id]; was != nil && was.PGNum < p.PGNum {
			return true
		}
	}
	return false
}

// took notes that a shard has taken the map; the last one ends the waiting of all.
// The calls come after the children in each shard's queue.
func (sp *splitting) took(d *Daemon) {
	if sp == nil || sp.left.Add(-1) > 0 {
		return
	}
	for _, s := range d.shard {
		s.queue.push(classPeer, work{call: (*shard).splitDone})
	}
}

// splitDone takes up what waited for PGs that might have split off.
func (s *shard) splitDone() {
	s.splits--
	s.runEarly()
}

// mayComeYet reports whether the PG may be on its way from another shard.
func (s *shard) mayComeYet(id object.SPGID) bool {
	p := s.cur.Pools[id.Pool]
	return s.splits > 0 && p != nil && id.Seed < p.PGNum
}

// spawn puts a PG that split off in its place.
func (s *shard) spawn(p *pg.PG) {
	to := s.d.shardOf(p.ID())
	to.queue.push(classPeer, work{call: func(s *shard) {
		s.fx.Reset()
		sl := s.adopt(p)
		p.SetConfig(s.env.Config)
		if err := s.catchUp(sl); err != nil {
			s.d.cfg.Logger.Warn("pg not brought up to date", "pg", p.ID().String(), "error", err)
		}
		s.replay(p.ID())
	}})
}
