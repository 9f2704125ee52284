package rados

import (
	"context"
	"sync"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/msgr"
	"sepiola/wire"
)

// manager is the session with the active manager, which answers some commands.
type manager struct {
	mu    sync.Mutex
	epoch uint32
	addrs entity.AddrVec
	conn  *msgr.Conn
	calls map[uint64]*mgrCall
	tid   uint64
}

type mgrCall struct {
	msg   *message.MgrCommand
	reply chan *message.MgrCommandReply
}

func (g *manager) setMap(c *Client, m *message.MgrMap) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m.Epoch < g.epoch {
		return
	}
	g.epoch = m.Epoch
	if g.conn != nil && g.addrs.Equal(m.ActiveAddrs) {
		return
	}
	if g.conn != nil {
		g.conn.MarkDown()
		g.conn = nil
	}
	g.addrs = nil
	if m.Available {
		g.addrs = m.ActiveAddrs
	}
	if len(g.calls) > 0 {
		g.connect(c)
	}
}

// connect opens the session where one is wanted. The caller holds mu.
func (g *manager) connect(c *Client) {
	if g.conn == nil && len(g.addrs) > 0 {
		g.conn = c.ms.Connect(g.addrs, entity.TypeMgr)
	}
}

func (g *manager) connected(c *Client, conn *msgr.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if conn != g.conn {
		return
	}
	for _, call := range g.calls {
		g.send(c, call)
	}
}

func (g *manager) reset(c *Client, conn *msgr.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if conn != g.conn {
		return
	}
	g.conn = nil
	if len(g.calls) > 0 {
		g.connect(c)
	}
}

func (g *manager) send(c *Client, call *mgrCall) {
	if err := g.conn.Send(message.Encode(call.msg, g.conn.Features())); err != nil {
		c.log.Debug("command to the manager lost with its session", "error", err)
	}
}

func (g *manager) reply(m *message.MgrCommandReply) {
	g.mu.Lock()
	call := g.calls[m.TID]
	delete(g.calls, m.TID)
	g.mu.Unlock()
	if call != nil {
		call.reply <- m
	}
}

// MgrCommand carries out a command of the manager, given as JSON, as MonCommand
// does those of the monitors.
func (c *Client) MgrCommand(ctx context.Context, cmd string, input []byte) (out []byte, status string, err error) {
	g := &c.mgr
	call := &mgrCall{reply: make(chan *message.MgrCommandReply, 1)}
	g.mu.Lock()
	g.tid++
	tid := g.tid
	call.msg = &message.MgrCommand{TID: tid, FSID: c.Map().FSID, Cmd: []string{cmd}, Input: wire.BufOf(input)}
	if g.calls == nil {
		g.calls = map[uint64]*mgrCall{}
	}
	g.calls[tid] = call
	if g.conn != nil && g.conn.IsConnected() {
		g.send(c, call)
	} else {
		g.connect(c)
	}
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		delete(g.calls, tid)
		g.mu.Unlock()
	}()
	select {
	case r := <-call.reply:
		if r.R < 0 {
			err = &CommandError{Errno(-r.R), r.RS}
		}
		return r.Output.Flat(), r.RS, err
	case <-c.done:
		return nil, "", ErrClosed
	case <-ctx.Done():
		return nil, "", context.Cause(ctx)
	}
}

// OSDCommand carries out a command of one OSD ("ceph tell osd.N"), given as JSON.
func (c *Client) OSDCommand(ctx context.Context, osd int32, cmd string, input []byte) (out []byte, status string, err error) {
	c.mu.Lock()
	s := (*osdSession)(nil)
	if c.osdmap.IsUp(osd) {
		s = c.session(osd)
	}
	if s == nil {
		c.mu.Unlock()
		return nil, "", &CommandError{Errno(6), "the OSD is not up"}
	}
	c.lastTID++
	tid := c.lastTID
	reply := make(chan *message.CommandReply, 1)
	c.commands[tid] = reply
	msg := &message.CommandMsg{TID: tid, FSID: c.osdmap.FSID, Cmd: []string{cmd}, Input: wire.BufOf(input)}
	err = s.conn.Send(message.Encode(msg, s.conn.Features()))
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.commands, tid)
		c.mu.Unlock()
	}()
	if err != nil {
		return nil, "", err
	}
	select {
	case r := <-reply:
		if r.R < 0 {
			err = &CommandError{Errno(-r.R), r.RS}
		}
		return r.Output.Flat(), r.RS, err
	case <-c.done:
		return nil, "", ErrClosed
	case <-ctx.Done():
		return nil, "", context.Cause(ctx)
	}
}

func (c *Client) handleCommandReply(m *message.CommandReply) {
	c.mu.Lock()
	reply := c.commands[m.TID]
	delete(c.commands, m.TID)
	c.mu.Unlock()
	if reply != nil {
		reply <- m
	}
}
