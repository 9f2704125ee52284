package state

import (
	"syscall"

	"sepiola/osdmap"
)

// setPGNum is "osd pool set POOL pg_num N": it sets what the number of PGs is to
// become. The manager takes the number there step by step ([pgmap.Map.AdjustPGs]).
// pgp_num follows unless it has been set apart.
//
// Departure from Ceph: PGs are not merged, so the number never shrinks. A target
// that has not been reached may be lowered.
func (t *txn) setPGNum(c *poolChange) *Reply {
	if refuse := t.pgNumMayChange(c, "pg_num"); refuse != nil {
		return refuse
	}
	limit := c.a.Settings.MaxPoolPGNum
	switch {
	case c.n == int64(c.pool.PGNumTarget):
		return nil
	case c.n <= 0 || c.n > limit:
		return tooManyPGs(limit)
	case !c.a.Settings.AllowPGNumChange:
		return refusal(syscall.EPERM, "changing pg_num of a pool that exists is disabled; you must first set the mon_allow_pool_pg_num_change config option to true")
	case c.n < int64(c.pool.PGNum):
		return refusal(syscall.EOPNOTSUPP, "specified pg_num %d < current pg_num %d: decreasing pg_num (merging PGs) is not supported", c.n, c.pool.PGNum)
	}
	if c.n > int64(c.pool.PGNumTarget) {
		if refuse := checkPGNum(t.Map(), c.id, c.n, int64(c.pool.Size), c.a.Settings); refuse != nil {
			return refuse
		}
	}
	p := t.editPool(c.id)
	if p.PGNumTarget == p.PGPNumTarget {
		p.PGPNumTarget = uint32(c.n)
	}
	p.PGNumTarget = uint32(c.n)
	p.PGPNumTarget = min(p.PGPNumTarget, p.PGNumTarget)
	return nil
}

func tooManyPGs(limit int64) *Reply {
	return refusal(syscall.ERANGE, "'pg_num' must be greater than 0 and less than or equal to %d (you may adjust 'mon max pool pg num' for higher values)", limit)
}

// setPGNumActual is a step of the manager: from this epoch on the pool has so
// many PGs, and the OSDs split what they have.
func (t *txn) setPGNumActual(c *poolChange) *Reply {
	if refuse := c.integer(); refuse != nil {
		return refuse
	}
	limit := c.a.Settings.MaxPoolPGNum
	switch {
	case c.n == int64(c.pool.PGNum):
		return nil
	case c.n <= 0 || c.n > limit:
		return tooManyPGs(limit)
	case c.pool.HasFlag(osdmap.PoolFlagCreating):
		return refusal(syscall.EBUSY, "cannot adjust pg_num while initial PGs are being created")
	case !c.a.Settings.AllowPGNumChange:
		return refusal(syscall.EPERM, "changing pg_num of a pool that exists is disabled; you must first set the mon_allow_pool_pg_num_change config option to true")
	case c.n < int64(c.pool.PGNum):
		return refusal(syscall.EOPNOTSUPP, "specified pg_num %d < current pg_num %d: decreasing pg_num (merging PGs) is not supported", c.n, c.pool.PGNum)
	}
	p := t.editPool(c.id)
	p.SetPGNum(uint32(c.n))
	p.PGNumTarget = max(p.PGNumTarget, p.PGNum)
	// Clients older than Ceph 12 do not know that a split ends an interval: they
	// send again because of this.
	p.LastForceOpResendPreLuminous = t.pending().Epoch
	return nil
}

func (t *txn) pgNumMayChange(c *poolChange, name string) *Reply {
	if c.pool.HasFlag(osdmap.PoolFlagNoPGChange) {
		return refusal(syscall.EPERM, "pool %s change is disabled; you must unset nopgchange flag for the pool first", name)
	}
	return c.integer()
}

// setPGPNum is "osd pool set POOL pgp_num N": by how many numbers PGs are placed
// is to become N, up or down; the manager moves it as far as few enough objects
// are misplaced.
func (t *txn) setPGPNum(c *poolChange) *Reply {
	if refuse := t.pgNumMayChange(c, "pgp_num"); refuse != nil {
		return refuse
	}
	switch {
	case c.n <= 0:
		return refusal(syscall.EINVAL, "specified pgp_num must > 0, but you set to %d", c.n)
	case c.n > int64(c.pool.PGNumTarget):
		return refusal(syscall.EINVAL, "specified pgp_num %d > pg_num %d", c.n, c.pool.PGNumTarget)
	}
	t.editPool(c.id).PGPNumTarget = uint32(c.n)
	return nil
}

// setPGPNumActual is a step of the manager towards the target.
func (t *txn) setPGPNumActual(c *poolChange) *Reply {
	if refuse := t.pgNumMayChange(c, "pgp_num"); refuse != nil {
		return refuse
	}
	switch {
	case c.n <= 0:
		return refusal(syscall.EINVAL, "specified pgp_num must > 0, but you set to %d", c.n)
	case c.n > int64(c.pool.PGNum):
		return refusal(syscall.EINVAL, "specified pgp_num %d > pg_num %d", c.n, c.pool.PGNum)
	case c.n > int64(c.pool.PGNumPending):
		return refusal(syscall.EINVAL, "specified pgp_num %d > pg_num_pending %d", c.n, c.pool.PGNumPending)
	}
	t.editPool(c.id).PGPNum = uint32(c.n)
	return nil
}
