package rados

import (
	"context"
	"maps"
	"slices"
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
	open  bool // conn has a session
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
		g.conn, g.open = nil, false
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
	g.open = true
	for _, tid := range slices.Sorted(maps.Keys(g.calls)) {
		g.send(c, g.calls[tid])
	}
}

func (g *manager) reset(c *Client, conn *msgr.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if conn != g.conn {
		return
	}
	g.conn, g.open = nil, false
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
	ctx, cancel := c.monTimeout(ctx)
	defer cancel()
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
	if g.open {
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
