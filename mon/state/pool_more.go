package state

import (
	"maps"
	"slices"
	"strings"
	"syscall"

	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/wire"
)

// Bounds of application metadata (MAX_POOL_APPLICATIONS and friends in
// src/mon/OSDMonitor.cc).
const (
	maxPoolApps      = 4
	maxPoolAppKeys   = 64
	maxPoolAppLength = 128
)

func (t *txn) poolAppEnable(a *Admin) Reply {
	id, refuse := t.poolArg(a.Args.String("pool"))
	if refuse != nil {
		return *refuse
	}
	app, name := a.Args.String("app"), t.Map().PoolNames[id]
	apps := t.Map().Pools[id].ApplicationMetadata
	_, have := apps[app]
	switch {
	case app == "":
		return failed(syscall.EINVAL, "application name must be provided")
	case len(app) > maxPoolAppLength:
		return failed(syscall.EINVAL, "application name '%s' too long; max length %d", app, maxPoolAppLength)
	case have:
		return done("enabled application '%s' on pool '%s'", app, name)
	case len(apps) > 0 && !a.Args.Bool("yes_i_really_mean_it"):
		return failed(syscall.EPERM, "Are you SURE? Pool '%s' already has an enabled application; pass --yes-i-really-mean-it to proceed anyway", name)
	case len(apps) >= maxPoolApps:
		return failed(syscall.EINVAL, "too many enabled applications on pool '%s'; max %d", name, maxPoolApps)
	}
	p := t.editPool(id)
	if p.ApplicationMetadata == nil {
		p.ApplicationMetadata = map[string]map[string]string{}
	}
	p.ApplicationMetadata[app] = map[string]string{}
	return done("enabled application '%s' on pool '%s'", app, name)
}

func (t *txn) poolAppDisable(a *Admin) Reply {
	id, refuse := t.poolArg(a.Args.String("pool"))
	if refuse != nil {
		return *refuse
	}
	app, name := a.Args.String("app"), t.Map().PoolNames[id]
	if _, ok := t.Map().Pools[id].ApplicationMetadata[app]; !ok {
		return done("application '%s' is not enabled on pool '%s'", app, name)
	}
	if !a.Args.Bool("yes_i_really_mean_it") {
		return failed(syscall.EPERM, "Are you SURE? Disabling an application within a pool might result in loss of application functionality; pass --yes-i-really-mean-it to proceed anyway")
	}
	delete(t.editPool(id).ApplicationMetadata, app)
	return done("disable application '%s' on pool '%s'", app, name)
}

func (t *txn) poolAppSet(a *Admin) Reply {
	id, refuse := t.poolArg(a.Args.String("pool"))
	if refuse != nil {
		return *refuse
	}
	app, key, value, name := a.Args.String("app"), a.Args.String("key"), a.Args.String("value"), t.Map().PoolNames[id]
	kv, ok := t.Map().Pools[id].ApplicationMetadata[app]
	_, have := kv[key]
	switch {
	case !ok:
		return failed(syscall.ENOENT, "application '%s' is not enabled on pool '%s'", app, name)
	case key == "":
		return failed(syscall.EINVAL, "key must be provided")
	case !have && len(kv) >= maxPoolAppKeys:
		return failed(syscall.EINVAL, "too many keys set for application '%s' on pool '%s'; max %d", app, name, maxPoolAppKeys)
	case len(key) > maxPoolAppLength:
		return failed(syscall.EINVAL, "key '%s' too long; max length %d", app, maxPoolAppLength)
	case len(value) > maxPoolAppLength:
		return failed(syscall.EINVAL, "value '%s' too long; max length %d", value, maxPoolAppLength)
	}
	t.editPool(id).ApplicationMetadata[app][key] = value
	return done("set application '%s' key '%s' to '%s' on pool '%s'", app, key, value, name)
}

func (t *txn) poolAppRm(a *Admin) Reply {
	id, refuse := t.poolArg(a.Args.String("pool"))
	if refuse != nil {
		return *refuse
	}
	app, key, name := a.Args.String("app"), a.Args.String("key"), t.Map().PoolNames[id]
	kv, ok := t.Map().Pools[id].ApplicationMetadata[app]
	if !ok {
		return failed(syscall.ENOENT, "application '%s' is not enabled on pool '%s'", app, name)
	}
	if _, ok := kv[key]; !ok {
		return done("application '%s' on pool '%s' does not have key '%s'", app, name, key)
	}
	delete(t.editPool(id).ApplicationMetadata[app], key)
	return done("removed application '%s' key '%s' on pool '%s'", app, key, name)
}

// Operations of [PoolOp] (POOL_OP_* in src/include/rados.h).
const (
	PoolOpCreate              = 0x01
	PoolOpDelete              = 0x02
	PoolOpCreateSnap          = 0x11
	PoolOpDeleteSnap          = 0x12
	PoolOpCreateUnmanagedSnap = 0x21
	PoolOpDeleteUnmanagedSnap = 0x22
)

// poolOp answers an operation of librados. Out is what the client gets back.
func (t *txn) poolOp(c *PoolOp) Reply {
	r := t.doPoolOp(c)
	if r.Value = t.s.LastEpoch; t.inc != nil {
		r.Value = t.inc.Epoch
	}
	return r
}

func (t *txn) doPoolOp(c *PoolOp) Reply {
	if c.Op == PoolOpCreate {
		if _, ok := t.Map().PoolID(c.Name); ok {
			return failed(syscall.EEXIST, "pool '%s' already exists", c.Name)
		}
		_, refuse := t.makePool(c.Name, poolSpec{ruleID: c.Rule}, c.Settings)
		if refuse != nil {
			return *refuse
		}
		return Reply{}
	}
	p := t.Map().Pools[c.Pool]
	switch {
	case p == nil && c.Op == PoolOpDelete:
		return Reply{}
	case p == nil:
		return failed(syscall.ENOENT, "no pool %d", c.Pool)
	case c.Op == PoolOpDelete:
		if refuse := t.dropPool(c.Pool, c.Settings); refuse != nil {
			return *refuse
		}
		return Reply{}
	}
	switch c.Op {
	case PoolOpCreateSnap:
		return t.makePoolSnap(c.Pool, c.Name)
	case PoolOpDeleteSnap:
		return t.removePoolSnap(c.Pool, c.Name)
	case PoolOpCreateUnmanagedSnap:
		return t.makeUnmanagedSnap(c.Pool)
	case PoolOpDeleteUnmanagedSnap:
		return t.removeUnmanagedSnap(c.Pool, object.SnapID(c.SnapID))
	}
	return failed(syscall.EOPNOTSUPP, "pool operation %d is not supported", c.Op)
}

func (t *txn) makePoolSnap(id int64, name string) Reply {
	p := t.Map().Pools[id]
	if p.IsUnmanagedSnapsMode() {
		return failed(syscall.EINVAL, "pool %s is in unmanaged snaps mode", t.Map().PoolNames[id])
	}
	if _, ok := p.SnapNamed(name); ok {
		return Reply{}
	}
	p = t.editPoolSnaps(id)
	p.Flags |= osdmap.PoolFlagPoolSnaps
	p.SnapSeq++
	if p.Snaps == nil {
		p.Snaps = map[object.SnapID]osdmap.PoolSnapInfo{}
	}
	p.Snaps[p.SnapSeq] = osdmap.PoolSnapInfo{ID: p.SnapSeq, Name: name, Stamp: t.now}
	return Reply{}
}

func (t *txn) removePoolSnap(id int64, name string) Reply {
	p := t.Map().Pools[id]
	if p.IsUnmanagedSnapsMode() {
		return failed(syscall.EINVAL, "pool %s is in unmanaged snaps mode", t.Map().PoolNames[id])
	}
	snap, ok := p.SnapNamed(name)
	if !ok {
		return Reply{}
	}
	p = t.editPoolSnaps(id)
	delete(p.Snaps, snap)
	p.SnapSeq++
	t.noteRemovedSnap(id, snap)
	return Reply{}
}

func (t *txn) makeUnmanagedSnap(id int64) Reply {
	if t.Map().Pools[id].IsPoolSnapsMode() {
		return failed(syscall.EINVAL, "pool %s is in pool snaps mode", t.Map().PoolNames[id])
	}
	p := t.editPoolSnaps(id)
	p.Flags |= osdmap.PoolFlagSelfManagedSnaps
	// The first id is 2: 1 tells clients that the pool has had snapshots.
	p.SnapSeq = max(p.SnapSeq, 1) + 1
	e := wire.NewEncoder(8)
	e.U64(uint64(p.SnapSeq))
	return Reply{Out: e.Bytes()}
}

func (t *txn) removeUnmanagedSnap(id int64, snap object.SnapID) Reply {
	p := t.Map().Pools[id]
	switch {
	case p.IsPoolSnapsMode():
		return failed(syscall.EINVAL, "pool %s is in pool snaps mode", t.Map().PoolNames[id])
	case !p.IsUnmanagedSnapsMode():
		return failed(syscall.EOPNOTSUPP, "pool %s has no unmanaged snapshots", t.Map().PoolNames[id])
	case t.Map().RemovedSnapsQueue[id].Contains(snap):
		return Reply{}
	case snap > p.SnapSeq:
		return failed(syscall.ENOENT, "no snapshot %s", snap)
	}
	t.editPoolSnaps(id).SnapSeq++
	t.noteRemovedSnap(id, snap)
	return Reply{}
}

func (t *txn) editPoolSnaps(id int64) *osdmap.Pool {
	inc := t.change()
	p := inc.Pool(t.s.OSD, id)
	p.SnapEpoch = inc.Epoch
	return p
}

func (t *txn) noteRemovedSnap(id int64, snap object.SnapID) {
	inc := t.change()
	inc.NewRemovedSnaps[id] = inc.NewRemovedSnaps[id].Insert(snap)
}

func (t *txn) poolMakeSnap(a *Admin) Reply {
	id, refuse := t.poolArg(a.Args.String("pool"))
	if refuse != nil {
		return *refuse
	}
	name := a.Args.String("snap")
	if _, ok := t.Map().Pools[id].SnapNamed(name); ok {
		return done("pool %s snap %s already exists", t.Map().PoolNames[id], name)
	}
	if r := t.makePoolSnap(id, name); r.Code != 0 {
		return r
	}
	return done("created pool %s snap %s", t.Map().PoolNames[id], name)
}

func (t *txn) poolRemoveSnap(a *Admin) Reply {
	id, refuse := t.poolArg(a.Args.String("pool"))
	if refuse != nil {
		return *refuse
	}
	name := a.Args.String("snap")
	if _, ok := t.Map().Pools[id].SnapNamed(name); !ok {
		return done("pool %s snap %s does not exist", t.Map().PoolNames[id], name)
	}
	if r := t.removePoolSnap(id, name); r.Code != 0 {
		return r
	}
	return done("removed pool %s snap %s", t.Map().PoolNames[id], name)
}

func cutEqual(s string) (string, string, bool) { return strings.Cut(s, "=") }

// sortedKeys returns the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
