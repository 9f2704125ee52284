package monclient

import (
	"context"
	"fmt"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/msgr"
	"sepiola/osdmap"
	"sepiola/wire"
)

// Dispatch takes a message that is the client's business and reports whether it
// was. The connection must be to a monitor.
func (c *Client) Dispatch(conn *msgr.Conn, b message.Body) bool {
	if !c.expects(b) {
		return false
	}
	c.mu.Lock()
	ours := conn == c.conn && !c.closed && !c.stranger
	c.mu.Unlock()
	if !ours {
		return true // from a session that is over, or from who is no monitor of ours
	}
	switch b := b.(type) {
	case *message.MonMap:
		c.handleMonMap(conn, b)
	case *message.Config:
		c.handleConfig(b)
	case *message.MonCommandAck:
		c.answer(b.TID, b)
	case *message.MonGetVersionReply:
		c.answer(b.Handle, b)
	case *message.StatfsReply:
		c.answer(b.TID, b)
	case *message.GetPoolStatsReply:
		c.answer(b.TID, b)
	case *message.PoolOpReply:
		c.answer(b.TID, b)
	}
	return true
}

// expects reports whether a message is the client's business.
func (*Client) expects(b message.Body) bool {
	switch b.(type) {
	case *message.MonMap, *message.Config, *message.MonCommandAck, *message.MonGetVersionReply,
		*message.StatfsReply, *message.GetPoolStatsReply, *message.PoolOpReply,
		*message.MonSubscribeAck, *message.LogAck:
		return true
	}
	return false
}

func (c *Client) handleMonMap(conn *msgr.Conn, b *message.MonMap) {
	m, err := osdmap.DecodeMonMap(b.Map)
	if err != nil {
		conn.Fail(fmt.Sprintf("monitor map: %v", err))
		return
	}
	if !c.cfg.FSID.IsZero() && m.FSID != c.cfg.FSID {
		c.cfg.Logger.Error("the monitor belongs to another cluster; check fsid and mon host",
			"monitor", m.FSID.String(), "expected", c.cfg.FSID.String())
		c.mu.Lock()
		c.stranger = conn == c.conn
		c.mu.Unlock()
		conn.Fail("a monitor map of another cluster")
		return
	}
	c.mu.Lock()
	if c.monmap != nil && m.Epoch < c.monmap.Epoch {
		c.mu.Unlock()
		return
	}
	c.monmap = m
	var mons []entity.AddrVec
	for _, mon := range m.Mons {
		mons = append(mons, mon.Addrs)
	}
	if len(mons) > 0 {
		c.mons, c.order = mons, nil
	}
	c.mu.Unlock()
	c.Got("monmap", uint64(m.Epoch))
	if c.cfg.OnMonMap != nil {
		c.cfg.OnMonMap(m)
	}
}

func (c *Client) handleConfig(b *message.Config) {
	if c.cfg.OnConfig != nil {
		c.cfg.OnConfig(b.Config)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.gotConf {
		c.gotConf = true
		close(c.config)
	}
}

func (c *Client) answer(tid uint64, b message.Body) {
	c.mu.Lock()
	call := c.calls[tid]
	delete(c.calls, tid)
	c.mu.Unlock()
	if call != nil {
		call.reply <- b
	}
}

// Call sends the request that build makes for the given transaction id, again on
// each new session, until it is answered or ctx ends.
func (c *Client) Call(ctx context.Context, build func(tid uint64) message.Body) (message.Body, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, ErrClosed
	}
	c.lastTID++
	tid := c.lastTID
	call := &call{body: build(tid), reply: make(chan message.Body, 1)}
	c.calls[tid] = call
	if c.open {
		c.send(call.body)
	}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.calls, tid)
		c.mu.Unlock()
	}()
	select {
	case b := <-call.reply:
		return b, nil
	case <-c.stop:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, fmt.Errorf("no answer from the monitors: %w", context.Cause(ctx))
	}
}

// Command carries out a monitor command, given as JSON. It returns the output, the
// text for the user, and the result: 0 or a negative errno.
func (c *Client) Command(ctx context.Context, cmd string, input []byte) (out []byte, status string, r int32, err error) {
	b, err := c.Call(ctx, func(tid uint64) message.Body {
		return &message.MonCommand{TID: tid, FSID: c.fsid(), Cmd: []string{cmd}, Input: wire.BufOf(input)}
	})
	if err != nil {
		return nil, "", 0, err
	}
	ack, ok := b.(*message.MonCommandAck)
	if !ok {
		return nil, "", 0, fmt.Errorf("a command was answered by a %s", message.TypeName(b.Type()))
	}
	return ack.Output.Flat(), ack.RS, ack.R, nil
}

// fsid is the cluster's as far as it is known. The caller holds mu, or is called
// back under it.
func (c *Client) fsid() entity.UUID {
	if c.monmap != nil {
		return c.monmap.FSID
	}
	return c.cfg.FSID
}

// Version asks which versions of a map ("osdmap", "monmap") the monitors have.
func (c *Client) Version(ctx context.Context, what string) (newest, oldest uint64, err error) {
	b, err := c.Call(ctx, func(tid uint64) message.Body {
		return &message.MonGetVersion{Handle: tid, What: what}
	})
	if err != nil {
		return 0, 0, err
	}
	reply, ok := b.(*message.MonGetVersionReply)
	if !ok {
		return 0, 0, fmt.Errorf("a version request was answered by a %s", message.TypeName(b.Type()))
	}
	return reply.Version, reply.Oldest, nil
}
