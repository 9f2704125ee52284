package rados

import (
	"slices"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/msgr"
	"sepiola/object"
	"sepiola/osdmap"
)

// target is where a request goes by a map (op_target_t).
type target struct {
	epoch   uint32
	pgid    object.SPGID
	hash    uint32
	primary int32 // negative if the PG has none for now
	acting  []int32
	up      []int32
	upFrom  uint32 // since when the primary is up
	pgNum   uint32 // of the pool: a split or merge makes OSDs forget requests
	forced  uint32 // the pool's last_force_op_resend
	paused  bool
}

// same reports whether a request sent by t need not be sent again by u. OSDs drop
// what they have not finished when a PG's mapping changes, so nothing less than an
// equal mapping will do; what is sent once too often is recognized there.
func (t target) same(u target) bool {
	return t.pgid == u.pgid && t.primary == u.primary && t.upFrom == u.upFrom && t.paused == u.paused &&
		t.pgNum == u.pgNum && t.forced == u.forced && slices.Equal(t.acting, u.acting) && slices.Equal(t.up, u.up)
}

// overlay returns the pool that serves a request on the named one: its cache tier
// where it has one.
func overlay(m *osdmap.Map, req *Request) int64 {
	id := req.Pool
	p := m.Pools[id]
	if p == nil || req.Flags&message.FlagIgnoreOverlay != 0 {
		return id
	}
	if req.Flags&message.FlagRead != 0 && p.ReadTier >= 0 {
		id = p.ReadTier
	}
	if req.Flags&message.FlagWrite != 0 && p.WriteTier >= 0 {
		id = p.WriteTier
	}
	return id
}

// aim finds where a request goes (Objecter::_calc_target). The caller holds mu.
func (c *Client) aim(req *Request) target {
	m := c.osdmap
	id := overlay(m, req)
	pool := m.Pools[id]
	t := target{epoch: m.Epoch, primary: -1, hash: req.Hash}
	if pool == nil {
		return t
	}
	if req.Object != "" {
		t.hash = object.PlacementHash(pool.ObjectHash, req.Namespace, req.Locator, req.Object)
	}
	pg := m.RawPGToPG(object.PGID{Pool: id, Seed: t.hash})
	t.pgid = pg.Whole()
	t.pgNum, t.forced = pool.PGNum, pool.LastForceOpResend
	t.up, _, t.acting, t.primary = m.PGToUpActing(pg)
	if t.primary == osdmap.ItemNone {
		t.primary = -1
	}
	if t.primary >= 0 {
		t.upFrom = m.Info(t.primary).UpFrom
	}
	t.paused = paused(m, pool, req.Flags)
	return t
}

// paused reports whether the map says that requests of that kind are to wait
// (Objecter::target_should_be_paused).
func paused(m *osdmap.Map, pool *osdmap.Pool, flags message.OpFlags) bool {
	if flags&message.FlagRead != 0 && m.TestFlag(osdmap.FlagPauseRd) {
		return true
	}
	if flags&message.FlagWrite == 0 {
		return false
	}
	full := m.TestFlag(osdmap.FlagFull) || pool.HasFlag(osdmap.PoolFlagFull)
	return m.TestFlag(osdmap.FlagPauseWr) || full && flags&(message.FlagFullTry|message.FlagFullForce) == 0
}

// session returns the session with an OSD, opening one. The caller holds mu.
func (c *Client) session(osd int32) *osdSession {
	addrs := c.osdmap.Addrs(osd)
	if s := c.sessions[osd]; s != nil {
		if s.addrs.Equal(addrs) {
			return s
		}
		c.drop(s)
	}
	if len(addrs) == 0 {
		return nil
	}
	s := &osdSession{osd: osd, addrs: addrs, conn: c.ms.Connect(addrs, entity.TypeOSD)}
	c.sessions[osd] = s
	return s
}

// drop ends a session. What was on its way in it is the caller's to send again. The
// caller holds mu.
func (c *Client) drop(s *osdSession) {
	s.conn.MarkDown()
	delete(c.sessions, s.osd)
	delete(c.backoffs, s)
}

// retarget sends again what the newest map sends elsewhere, in the order in which
// it was started. The caller holds mu.
func (c *Client) retarget() {
	m := c.osdmap
	for osd, s := range c.sessions {
		if !m.IsUp(osd) || !m.Addrs(osd).Equal(s.addrs) {
			c.drop(s)
		}
	}
	for _, tid := range slices.Clone(c.order) {
		o := c.ops[tid]
		if o == nil {
			continue
		}
		if m.Pools[o.req.Pool] == nil {
			c.complete(o, result{err: errNoEntry}) // the pool was removed
			continue
		}
		now := c.aim(&o.req)
		if o.sess == nil || c.sessions[o.sess.osd] != o.sess || !o.at.same(now) {
			o.at = now
			c.dispatch(o)
		}
	}
	c.resendCommands()
}

// lostOSD sends again what was on its way in a session that broke.
func (c *Client) lostOSD(conn *msgr.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sessionOf(conn)
	if s == nil || c.closed {
		return
	}
	c.drop(s)
	for _, tid := range slices.Clone(c.order) {
		if o := c.ops[tid]; o != nil && (o.sess == s || o.sess == nil) {
			o.at = c.aim(&o.req)
			c.dispatch(o)
		}
	}
	c.resendCommands()
}

// sessionOf finds the session of a connection; nil if it is over. The caller holds
// mu.
func (c *Client) sessionOf(conn *msgr.Conn) *osdSession {
	for _, s := range c.sessions {
		if s.conn == conn {
			return s
		}
	}
	return nil
}
