package rados

import (
	"context"

	"sepiola/message"
	"sepiola/wire"
)

// osdCommand is a command of an OSD under way. Like an operation it is sent again
// when its session breaks; unlike one it belongs to that OSD alone.
type osdCommand struct {
	osd   int32
	msg   *message.CommandMsg
	sess  *osdSession
	reply chan *message.CommandReply
}

// OSDCommand carries out a command of one OSD ("ceph tell osd.N"), given as JSON, as
// MonCommand does those of the monitors. An OSD that is down, or goes down before
// it answers, makes it fail with ENXIO.
func (c *Client) OSDCommand(ctx context.Context, osd int32, cmd string, input []byte) (out []byte, status string, err error) {
	call := &osdCommand{osd: osd, reply: make(chan *message.CommandReply, 1)}
	c.mu.Lock()
	c.lastTID++
	tid := c.lastTID
	call.msg = &message.CommandMsg{TID: tid, FSID: c.osdmap.FSID, Cmd: []string{cmd}, Input: wire.BufOf(input)}
	c.commands[tid] = call
	c.sendCommand(call)
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.commands, tid)
		c.mu.Unlock()
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

// sendCommand sends a command, or fails it if its OSD is down. The caller holds mu.
func (c *Client) sendCommand(call *osdCommand) {
	call.sess = nil
	if c.osdmap.IsUp(call.osd) {
		call.sess = c.session(call.osd)
	}
	if call.sess == nil {
		c.answerCommand(&message.CommandReply{TID: call.msg.TID, R: -int32(errNoDevice), RS: "the OSD is not up"})
		return
	}
	if err := call.sess.conn.Send(message.Encode(call.msg, call.sess.conn.Features())); err != nil {
		c.answerCommand(&message.CommandReply{TID: call.msg.TID, R: -int32(errMessageSize), RS: err.Error()})
	}
}

// resendCommands sends again what was on its way in sessions that are no more. The
// caller holds mu.
func (c *Client) resendCommands() {
	for _, call := range c.commands {
		if call.sess == nil || c.sessions[call.osd] != call.sess {
			c.sendCommand(call)
		}
	}
}

// answerCommand hands a reply to who waits for it. The caller holds mu.
func (c *Client) answerCommand(m *message.CommandReply) {
	if call := c.commands[m.TID]; call != nil {
		delete(c.commands, m.TID)
		call.reply <- m
	}
}

func (c *Client) handleCommandReply(m *message.CommandReply) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answerCommand(m)
}
