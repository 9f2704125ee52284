package osd

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sepiola/adminsocket"
	"sepiola/command"
	"sepiola/message"
	"sepiola/msgr"
	"sepiola/wire"

	"golang.org/x/sys/unix"
)

// registerCommands adds the OSD's commands to its admin socket; "ceph tell" reaches
// the same ones.
func (d *Daemon) registerCommands() {
	d.registerPGCommands()
	a := d.cfg.Admin
	a.Register("status", "high-level status of OSD", func(command.Args) (any, error) { return d.status(), nil })
	a.Register("dump_ops_in_flight", "show the ops currently in flight", func(command.Args) (any, error) { return d.dumpOps(), nil })
	a.Register("ops", "show the ops currently in flight", func(command.Args) (any, error) { return d.dumpOps(), nil })
	a.Register("perf dump name=logger,type=CephString,req=false name=counter,type=CephString,req=false",
		"dump perfcounters value", func(command.Args) (any, error) {
			out := map[string]any{"osd": d.counters()}
			for name, m := range d.nets.byName() {
				out["AsyncMessenger::"+name] = m.Counters()
			}
			return out, nil
		})
	a.Register("messenger dump", "dump the sessions of the messengers", func(command.Args) (any, error) {
		out := map[string]any{}
		for name, m := range d.nets.byName() {
			out[name] = m.Dump()
		}
		return out, nil
	})
	a.Register("flush_pg_stats", "flush pg stats", func(command.Args) (any, error) {
		d.mgr.changed()
		d.report(time.Now())
		return []byte(fmt.Sprintln(d.statSeq(d.mgr.lastTID()))), nil
	})
}

// status is the answer to the "status" command.
func (d *Daemon) status() any {
	super := d.maps.Super()
	return struct {
		ClusterFSID string `json:"cluster_fsid"`
		OSDFSID     string `json:"osd_fsid"`
		WhoAmI      int32  `json:"whoami"`
		State       string `json:"state"`
		Oldest      uint32 `json:"oldest_map"`
		Newest      uint32 `json:"newest_map"`
		NumPGs      int    `json:"num_pgs"`
	}{super.ClusterFSID.String(), super.OSDFSID.String(), d.cfg.WhoAmI, state(d.state.Load()).String(),
		super.OldestMap, super.NewestMap, d.countPGs()}
}

// opsInFlight returns all client operations on their way, oldest first.
func (d *Daemon) opsInFlight() []*trackedOp {
	d.sessMu.Lock()
	sessions := make([]*session, 0, len(d.sessions))
	for s := range d.sessions {
		sessions = append(sessions, s)
	}
	d.sessMu.Unlock()
	var out []*trackedOp
	for _, s := range sessions {
		out = append(out, s.inFlight()...)
	}
	slices.SortFunc(out, func(a, b *trackedOp) int { return a.arrived.Compare(b.arrived) })
	return out
}

func (d *Daemon) dumpOps() any {
	type op struct {
		Description string  `json:"description"`
		InitiatedAt string  `json:"initiated_at"`
		Age         float64 `json:"age"`
		Duration    float64 `json:"duration"`
	}
	out := struct {
		Ops []op `json:"ops"`
		Num int  `json:"num_ops"`
	}{Ops: []op{}}
	for _, t := range d.opsInFlight() {
		age := time.Since(t.arrived).Seconds()
		out.Ops = append(out.Ops, op{t.desc(), t.arrived.Format("2006-01-02T15:04:05.000000-0700"), age, age})
	}
	out.Num = len(out.Ops)
	return out
}

// tellsMax bounds the commands under way.
const tellsMax = 64

// tell answers "ceph tell osd.N ...".
func (d *Daemon) tell(c *msgr.Conn, m *message.CommandMsg) {
	select {
	case d.tells <- struct{}{}:
	default:
		d.send(c, &message.CommandReply{TID: m.TID, R: -int32(unix.EAGAIN), RS: "too many commands under way; try again"})
		return
	}
	// A command may look at every shard and at the disk; the connection's reader
	// must not wait for that.
	go func() {
		defer func() { <-d.tells }()
		out, said, err := d.runTell(m)
		reply := &message.CommandReply{TID: m.TID, RS: said, Output: wire.BufOf(out)}
		if err != nil {
			reply.R, reply.RS = -int32(errnoOf(err)), sentence(err)
		}
		d.send(c, reply)
	}()
}

// runTell carries out a command, and returns its output and what it says of it.
func (d *Daemon) runTell(m *message.CommandMsg) (out []byte, said string, err error) {
	args, err := command.Parse(m.Cmd)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", unix.EINVAL, err)
	}
	if m.FSID != d.fsid() {
		return nil, "", fmt.Errorf("%w: command for cluster %v", unix.EPERM, m.FSID)
	}
	if isPGCommand(args) {
		done, err := d.pgCommand(args)
		return done.Out, done.Text, err
	}
	out, err = d.cfg.Admin.Call(args)
	return out, "", err
}

// sentence is an error without the name of its errno, which the client adds.
func sentence(err error) string {
	var e unix.Errno
	if errors.As(err, &e) {
		return strings.TrimPrefix(err.Error(), e.Error()+": ")
	}
	return err.Error()
}

func errnoOf(err error) unix.Errno {
	var e unix.Errno
	if errors.As(err, &e) {
		return e
	}
	if errors.Is(err, adminsocket.ErrUnknown) {
		return unix.EINVAL
	}
	return unix.EINVAL
}

func (g *mgrSession) lastTID() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.tid
}
