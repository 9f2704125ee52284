package osd

import (
	"sync"

	"sepiola/backfill"
	"sepiola/object"
	"sepiola/pg"
)

// reservers hand out the slots of this OSD to the PGs of all shards.
type reservers struct {
	mu   sync.Mutex
	each [2]backfill.Reserver // by pg.Scope
}

// slots sets how many there are of each kind (osd_max_backfills).
func (d *Daemon) slots(n int) {
	for scope := range d.reserve.each {
		d.decide(pg.Scope(scope), func(r *backfill.Reserver) []backfill.Decision { return r.SetMax(n) })
	}
}

// reserveFor asks for a slot, and release gives one back.
func (d *Daemon) reserveFor(id object.SPGID, e pg.Reserve) {
	d.decide(e.Scope, func(r *backfill.Reserver) []backfill.Decision {
		return r.Ask(backfill.Request{PG: id, Priority: e.Priority, Gen: e.Gen})
	})
}

func (d *Daemon) release(id object.SPGID, scope pg.Scope) {
	d.decide(scope, func(r *backfill.Reserver) []backfill.Decision { return r.Release(id) })
}

// decide changes a reserver, and tells the PGs concerned. What is told is queued
// under the lock, so that a PG hears it in the order of the decisions.
func (d *Daemon) decide(scope pg.Scope, change func(*backfill.Reserver) []backfill.Decision) {
	d.reserve.mu.Lock()
	defer d.reserve.mu.Unlock()
	for _, dec := range change(&d.reserve.each[scope]) {
		d.shardOf(dec.PG).queue.push(classPeer, work{pgid: dec.PG,
			ev: pg.Reserved{Scope: scope, Gen: dec.Gen, Granted: dec.Granted}})
	}
}

// backfillFull reports whether the disk is too full to take what backfill brings.
func (d *Daemon) backfillFull() bool { return fullLevel(d.fullness.Load()) >= backfillFull }
