package osd

import (
	"errors"
	"fmt"
	"time"

	"sepiola/message"
	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/pg"
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
		s := d.shardOf(c.PG)
		p, err := pg.Load(s.env, c.PG, d.maps.Get, time.Now())
		if err != nil {
			return fmt.Errorf("pg %v: %w", c.PG, err)
		}
		sl := &slot{pg: p, timers: map[pg.TimerKind]*time.Timer{}}
		s.pgs[c.PG] = sl
		if err := d.catchUp(s, sl); err != nil {
			return err
		}
	}
	return nil
}

// catchUp takes a loaded PG through the maps that came while it was not looking.
func (d *Daemon) catchUp(s *shard, sl *slot) error {
	newest := d.current.Load().Epoch
	s.drive(sl, pg.Start{})
	for e := sl.pg.Epoch() + 1; e <= newest; e++ {
		m := d.maps.Get(e)
		if m == nil {
			return fmt.Errorf("pg %v needs OSD map %d, which is not kept any more; export what it holds and make the OSD anew", sl.pg.ID(), e)
		}
		s.drive(sl, pg.NewMap{Map: m, More: e < newest})
		if sl.pg.IsRemoved() {
			break
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
		info := pg.CreateInfo{History: pg.NewHistory(c.Epoch, c.Stamp)}
		if x := extra[c.PGID]; x != nil {
			info.History, info.PastIntervals = x.History, &x.PastIntervals
		}
		d.shardOf(c.PGID).queue.push(classPeer, work{call: func(s *shard) { s.createFor(c.PGID, msg.Epoch, info) }})
	}
}

// createFor makes a PG at the monitors' word, once the map of that word is here.
func (s *shard) createFor(id object.SPGID, epoch uint32, info pg.CreateInfo) {
	if epoch > s.cur.Epoch {
		s.d.wantMaps(epoch)
		time.AfterFunc(createRetry, func() {
			s.queue.push(classPeer, work{call: func(s *shard) { s.createFor(id, epoch, info) }})
		})
		return
	}
	_, _, _, primary := s.cur.PGToUpActing(id.PGID)
	if primary != s.d.cfg.WhoAmI {
		return // the monitors will tell whoever leads it now
	}
	if sl := s.pgs[id]; sl != nil {
		if sl.pg.IsActive() {
			// It is here already, and the monitors do not know.
			s.d.mon.Send(&message.OSDPGCreated{PGID: id.PGID})
		}
		return
	}
	s.create(id, info)
}

// createRetry is the wait for a map that a create message is ahead of.
const createRetry = 100 * time.Millisecond

// failed ends the daemon when the store refused a transaction.
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
	d.cfg.Fatal(fmt.Errorf("pg %v: the store refused a transaction, and going on could lose data: %w", id, err))
}
