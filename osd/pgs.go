package osd

import (
	"errors"
	"fmt"

	"sepiola/message"
	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/pg"
	"sepiola/pglog"
)

// loadPGs finds the PGs in the store. It runs before the shards do.
func (d *Daemon) loadPGs() error {
	colls, err := d.cfg.Store.Collections()
	if err != nil {
		return fmt.Errorf("listing collections: %w", err)
	}
	for _, c := range colls {
		if c.Kind != objectstore.CollPG {
			continue
		}
		if unfinished, err := pglog.IsMarkedForRemoval(d.cfg.Store, c.PG); err != nil {
			return err
		} else if unfinished {
			d.cfg.Logger.Warn("removing a PG whose import or removal by the offline tool was cut short", "pg", c.PG)
			if err := objectstore.RemoveColl(d.cfg.Store, c); err != nil {
				return err
			}
			continue
		}
		s := d.shardOf(c.PG)
		s.fx.Reset()
		p, err := pg.Load(s.env, c.PG, d.maps.Get, &s.fx)
		if err != nil {
			return fmt.Errorf("pg %v: %w", c.PG, err)
		}
		if err := s.catchUp(s.adopt(p)); err != nil {
			return fmt.Errorf("pg %v: %w", c.PG, err)
		}
	}
	return nil
}

// createPGs makes the PGs that the monitors want this OSD to lead.
func (d *Daemon) createPGs(msg *message.OSDPGCreate2) {
	extra := map[object.SPGID]*message.PGCreateExtra{}
	for i := range msg.Extra {
		extra[msg.Extra[i].PGID] = &msg.Extra[i]
	}
	for _, c := range msg.PGs {
		info := pg.CreateInfo{Epoch: c.Epoch, History: pg.NewHistory(c.Epoch, c.Stamp)}
		if x := extra[c.PGID]; x != nil {
			info.Epoch, info.History, info.PastIntervals = x.History.SameIntervalSince, x.History, &x.PastIntervals
		}
		d.shardOf(c.PGID).queue.push(classPeer, work{call: func(s *shard) { s.createFor(c.PGID, msg.Epoch, info) }})
	}
}

// createFor makes a PG at the monitors' word, once the map of that word is here.
func (s *shard) createFor(id object.SPGID, epoch uint32, info pg.CreateInfo) {
	if epoch > s.cur.Epoch {
		s.d.wantMaps(epoch)
		// Without room the monitors' next word will do: they repeat themselves until the
		// PG is there.
		s.keepEarly(work{call: func(s *shard) { s.createFor(id, epoch, info) }})
		return
	}
	_, _, _, primary := s.cur.PGToUpActing(id.PGID)
	if primary != s.d.cfg.WhoAmI {
		return // the monitors will tell whoever leads it now
	}
	if s.pgs[id] == nil && s.mayComeYet(id) {
		s.keepEarly(work{call: func(s *shard) { s.createFor(id, epoch, info) }})
		return
	}
	if sl := s.pgs[id]; sl != nil {
		if sl.pg.State().Has(pglog.StateActive) {
			// It is here already, and the monitors do not know.
			s.d.mon.Send(&message.OSDPGCreated{PGID: id.PGID})
		}
		return
	}
	m := s.d.maps.Get(info.Epoch)
	if m == nil || m.Pools[id.Pool] == nil {
		m = s.cur // made so long ago that only the given history tells
	}
	s.create(id, m, info)
}

// failed ends the daemon when the store refused a transaction: the log in memory and
// other OSDs have it, and the store does not. At the next start it is as if this OSD had
// never heard of it; what was acknowledged is on other OSDs too.
func (d *Daemon) failed(id object.SPGID, err error) {
	select {
	case <-d.cfg.Store.Failed():
		return // watchStore says so
	case <-d.stop:
		if errors.Is(err, objectstore.ErrClosed) {
			return
		}
	default:
	}
	if errors.Is(err, objectstore.ErrNoSpace) {
		// Clients' writes are refused before that (pg.Env.Room): it came from a peer whose
		// disk has more room.
		d.cfg.Fatal(fmt.Errorf("pg %v: the disk is full, and a write that others have taken cannot be refused any more: "+
			"make room on it, or let the cluster move data away, and start this OSD again: %w", id, err))
		return
	}
	d.cfg.Fatal(fmt.Errorf("pg %v: the store refused a transaction, and going on could lose data: %w", id, err))
}
