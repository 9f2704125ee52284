package pg

import (
	"fmt"
	"time"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/osdmap"
	"sepiola/pglog"
)

// maxStaleEpochs is after how many maps the epoch is stored even if nothing else
// changed, so that a restart does not need maps from long ago
// (osd_pg_epoch_persisted_max_stale).
const maxStaleEpochs = 40

// saveInfo adds to tx what changed of info, log and missing set, and the epoch;
// past intervals too where big says so.
func (p *PG) saveInfo(tx txn, big bool) {
	x := pglog.Extra{Epoch: p.osdmap.Epoch}
	if big {
		p.refreshPrior()
		past := p.past.Clone()
		x.PastIntervals = &past
	}
	p.savedEpoch = p.osdmap.Epoch
	p.persist.Write(tx, &p.own.Info, p.own.Log, p.own.Missing, x)
}

// saveLog trims the log up to a version, zero for not at all, and adds to tx what
// changed.
func (p *PG) saveLog(tx txn, trim pglog.Version) {
	if p.own.Log.Tail().Less(trim) {
		p.own.Log.Trim(trim, p.trimOptions())
		p.own.Info.LogTail = p.own.Log.Tail()
	}
	p.persist.Write(tx, &p.own.Info, p.own.Log, p.own.Missing, pglog.Extra{})
}

func (p *PG) trimOptions() pglog.TrimOptions {
	target := p.conf.MinPGLogEntries
	if p.active != nil && !p.active.cleaned {
		// Members that are away will want to catch up from the log.
		target = p.conf.MaxPGLogEntries
	}
	return pglog.TrimOptions{Target: uint64(target), Min: uint64(p.conf.PGLogTrimMin),
		Max: uint64(p.conf.PGLogTrimMax), DupsTracked: uint64(p.conf.PGLogDupsTracked)}
}

// trimTarget is up to where all members may trim their logs now; zero for not at
// all.
func (p *PG) trimTarget() pglog.Version {
	return p.own.Log.TrimTarget(p.active.lastUpdateOnDisk, p.trimOptions())
}

// appendEntry adds a change to the log. A copy that missed nothing so far misses
// nothing after it.
func (p *PG) appendEntry(e *pglog.Entry) {
	info := &p.own.Info
	if err := p.own.Log.Append(e); err != nil {
		p.clog("error", "%v", err)
		return
	}
	p.own.Log.RollForwardTo(e.Version)
	if info.LastComplete == info.LastUpdate {
		info.LastComplete = e.Version
	}
	info.LastUpdate = e.Version
	info.LastUserVersion = max(info.LastUserVersion, e.UserVersion)
}

// findRequest looks a request up among those remembered.
func (p *PG) findRequest(r pglog.ReqID) (pglog.Dup, bool) {
	if r.IsZero() {
		return pglog.Dup{}, false
	}
	found, ok := p.own.Log.Lookup(r)
	return pglog.Dup{ReqID: r, Version: found.Version, UserVersion: found.UserVersion,
		ReturnCode: found.ReturnCode, OpReturns: found.OpReturns}, ok
}

// applyPlan makes a merge's outcome the copy's own, and removes in tx the objects
// that diverged.
func (p *PG) applyPlan(plan *pglog.Plan, tx txn) {
	p.own = plan.Copy
	for _, o := range plan.Remove {
		tx.Remove(p.coll, p.gid(o))
		p.forgetContext(o)
	}
}

// newPG makes the frame of a PG.
func newPG(env Env, id object.SPGID, m *osdmap.Map) (*PG, error) {
	pool, ok := m.Pools[id.Pool]
	if !ok {
		return nil, fmt.Errorf("PG %v: no pool %d in map %d", id, id.Pool, m.Epoch)
	}
	p := &PG{env: env, conf: env.Config, id: id, coll: objectstore.PGColl(id), osdmap: m, pool: pool,
		where: m.MappingOf(id.PGID), state: reset{}, pulls: recoverySet{},
		objects: objectCache{byID: map[object.ID]*objectContext{}, max: env.Config.ObjectContexts}}
	p.resetEpoch = m.Epoch
	p.flushed = true
	p.leases.acked = map[int32]time.Time{}
	return p, nil
}

// New makes a PG that is new to this OSD and stores it: from the map of an epoch
// not after the history's begin of the interval, so that the following maps tell
// what happened since. The collection must not exist. The error is that the map
// has no such pool.
func New(env Env, id object.SPGID, m *osdmap.Map, c CreateInfo, fx *Effects) (*PG, error) {
	p, err := newPG(env, id, m)
	if err != nil {
		return nil, err
	}
	p.fx = fx
	defer func() { p.fx = nil }()
	p.own = pglog.Copy{Log: &pglog.IndexedLog{}, Info: pglog.NewInfo(id), Missing: pglog.NewMissing()}
	p.own.Info.History = c.History
	p.own.Info.Stats.Created = c.History.EpochCreated
	p.own.Info.Stats.LastScrubStamp = c.History.LastScrubStamp
	p.unclocked = c.History.PriorReadableUntilUB
	if c.PastIntervals != nil {
		p.past = c.PastIntervals.Clone()
	}
	p.persist = pglog.NewPersister(id, p.pool.IsErasure(), false)
	tx := p.newTx()
	tx.MkColl(p.coll, uint32(id.SplitBits(p.pool.PGNum)))
	p.saveInfo(tx, true)
	p.submit(tx, nil)
	return p, nil
}

// Load makes a PG of what the store holds. maps gives the map of the epoch the PG
// had reached; the caller goes on with the following ones. Temporary objects of
// transfers that a crash cut off are removed.
func Load(env Env, id object.SPGID, maps MapSource, fx *Effects) (*PG, error) {
	l, err := pglog.Load(env.Reader, id, false)
	if err != nil {
		return nil, err
	}
	m := maps(l.Epoch)
	if m == nil {
		return nil, fmt.Errorf("PG %v: no map %d", id, l.Epoch)
	}
	p, err := newPG(env, id, m)
	if err != nil {
		return nil, err
	}
	p.own, p.past, p.persist = l.Copy, l.PastIntervals, l.Persister
	p.savedEpoch = l.Epoch
	// What this copy confirmed before the restart is forgotten; it was not more.
	p.unclocked = p.leaseInterval()
	p.fx = fx
	defer func() { p.fx = nil }()
	return p, p.removeTemporaries()
}

// LoadEpoch returns the epoch that [Load] will ask for.
func LoadEpoch(r objectstore.Reader, id object.SPGID) (uint32, error) { return pglog.LoadEpoch(r, id) }

// removeTemporaries removes what transfers left behind. Their ids come before all
// others.
func (p *PG) removeTemporaries() error {
	from := object.GMin
	from.Shard = p.id.Shard
	end := p.gid(object.ID{Pool: 0})
	for {
		list, next, err := p.env.Reader.List(p.coll, from, end, 256)
		if err != nil {
			return fmt.Errorf("PG %v: %w", p.id, err)
		}
		tx := p.newTx()
		for _, g := range list {
			if g.Pool < 0 {
				tx.Remove(p.coll, g)
			}
		}
		if !tx.Empty() {
			p.submit(tx, nil)
		}
		if len(list) < 256 || next == from {
			return nil
		}
		from = next
	}
}

// persistEpoch stores the epoch now and then.
func (p *PG) persistEpoch() {
	if p.osdmap.Epoch-p.savedEpoch < maxStaleEpochs {
		return
	}
	tx := p.newTx()
	p.saveInfo(tx, false)
	p.submit(tx, nil)
}

// SavedEpoch returns the epoch from which [Load] would go on: maps from it on are
// still needed.
func (p *PG) SavedEpoch() uint32 { return p.savedEpoch }
