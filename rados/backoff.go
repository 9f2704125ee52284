package rados

import (
	"slices"

	"sepiola/message"
	"sepiola/msgr"
	"sepiola/object"
)

// backoff is a range of objects of a PG that an OSD asked us to send nothing for
// (doc/dev/osd_internals: MOSDBackoff), until it takes that back.
type backoff struct {
	pgid       object.SPGID
	id         uint64
	begin, end object.ID
}

// covers reports whether a request must wait. A request for the whole PG waits
// for any of its backoffs.
func (b backoff) covers(o *op) bool {
	if o.at.pgid != b.pgid {
		return false
	}
	if o.req.Object == "" {
		return true
	}
	id := o.id()
	if b.begin == b.end {
		return id == b.begin
	}
	return !id.Less(b.begin) && id.Less(b.end)
}

// backedOff reports whether a session's OSD asked not to be sent the request. The
// caller holds mu.
func (c *Client) backedOff(s *osdSession, o *op) bool {
	for _, b := range c.backoffs[s] {
		if b.covers(o) {
			return true
		}
	}
	return false
}

func (c *Client) handleBackoff(conn *msgr.Conn, m *message.OSDBackoff) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sessionOf(conn)
	if s == nil {
		return
	}
	switch m.Op {
	case message.BackoffBlock:
		c.backoffs[s] = append(c.backoffs[s], backoff{m.PGID, m.ID, m.Begin, m.End})
		ack := *m
		ack.Op, ack.Priority = message.BackoffAckBlock, message.ClientOpPriority
		if err := conn.Send(message.Encode(&ack, conn.Features())); err != nil {
			c.log.Debug("backoff not acknowledged", "error", err)
		}
	case message.BackoffUnblock:
		c.unblock(s, m)
	}
}

// unblock lifts a backoff and sends what has waited for it. The caller holds mu.
func (c *Client) unblock(s *osdSession, m *message.OSDBackoff) {
	list := c.backoffs[s]
	for i, b := range list {
		if b.id != m.ID || b.pgid != m.PGID {
			continue
		}
		c.backoffs[s] = slices.Delete(list, i, i+1)
		for _, tid := range slices.Clone(c.order) {
			if o := c.ops[tid]; o != nil && b.covers(o) {
				o.at = c.aim(&o.req)
				c.dispatch(o)
			}
		}
		return
	}
}
