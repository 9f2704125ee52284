package mon

import (
	"fmt"
	"slices"
	"strings"
	"syscall"

	"sepiola/command"
	"sepiola/entity"
	"sepiola/jsonfmt"
	"sepiola/message"
	"sepiola/mon/state"
	"sepiola/wire"
)

// entry is a command: how it is described and who answers. Without run it goes
// through the log (see state.IsAdmin).
type entry struct {
	command.Spec
	run func(*Monitor, *query) reply
}

// query is a command in execution.
type query struct {
	args  command.Args
	input []byte
}

// reply is its answer.
type reply struct {
	code   int32  // 0 or a negative errno
	status string // for the operator's eyes
	out    []byte
}

func refuse(code syscall.Errno, format string, args ...any) reply {
	return reply{code: -int32(code), status: fmt.Sprintf(format, args...)}
}

// text is an answer for a terminal, which ends with a line break.
func text(format string, args ...any) reply {
	s := fmt.Sprintf(format, args...)
	if s != "" && !strings.HasSuffix(s, "\n") {
		s += "\n"
	}
	return reply{out: []byte(s)}
}

// isJSON reports whether JSON was asked for; pretty, which kind.
func (q *query) isJSON() bool { return q.args.Format() != "plain" }

// writer returns a JSON writer of the form asked for. Without a form it is the
// pretty one: such commands have no plain form.
func (q *query) writer() *jsonfmt.Writer {
	f := q.args.Format()
	return jsonfmt.New(f == "json-pretty" || f == "plain")
}

// line is a JSON answer that ends with a line break in the compact form too.
// Which answers do is Ceph's whim; scripts that split lines depend on it.
func line(w *jsonfmt.Writer) reply {
	if w.Pretty() {
		return reply{out: w.Bytes()}
	}
	return reply{out: append(w.Bytes(), '\n')}
}

// twoLines is a JSON answer that has a line break after it in either form: the
// pretty one then ends in a blank line.
func twoLines(w *jsonfmt.Writer) reply { return reply{out: append(w.Bytes(), '\n')} }

// commands are all that this monitor serves, as monitor and as manager.
var commands = slices.Concat(clusterCommands, osdCommands, osdAdminCommands, poolCommands, crushCommands,
	configCommands, mgrCommands, pgCommands, progressCommands)

// slowCommands are answered once something was agreed on, by prefix.
var slowCommands = map[string]func(m *Monitor, q *query, who string, done func(reply)){
	"osd destroy": (*Monitor).destroyOSD,
	"osd purge":   (*Monitor).destroyOSD,
}

// byPrefix finds commands; several may share a prefix (osd crush set).
var byPrefix = func() map[string][]*entry {
	out := map[string][]*entry{}
	for i := range commands {
		p := commands[i].Prefix()
		out[p] = append(out[p], &commands[i])
	}
	return out
}()

// descriptions answers get_command_descriptions.
var descriptions = func() []byte {
	specs := make([]command.Spec, len(commands))
	for i, c := range commands {
		specs[i] = c.Spec
	}
	return command.Descriptions(specs)
}()

// command answers a client's command (Monitor::handle_command).
func (m *Monitor) command(s *session, b *message.MonCommand) {
	ack := func(r reply) {
		m.send(s, &message.MonCommandAck{TID: b.TID, Cmd: b.Cmd, R: r.code, RS: r.status, Output: wire.BufOf(r.out),
			Paxos: message.Paxos{Have: uint64(m.machine.State.LastEpoch)}})
	}
	if !b.FSID.IsZero() && b.FSID != m.cfg.FSID {
		ack(refuse(syscall.EPERM, "wrong fsid"))
		return
	}
	if s.pending >= maxPendingCommands {
		ack(refuse(syscall.EBUSY, "too many commands are waiting"))
		return
	}
	s.pending++
	m.execute(b.Cmd, b.Input.Flat(), s.auth.String(), func(r reply) {
		s.pending--
		ack(r)
	})
}

// execute runs a command. done gets the answer under the monitor's lock, now or
// once the change is agreed on.
func (m *Monitor) execute(words []string, input []byte, who string, done func(reply)) {
	args, err := command.Parse(words)
	if err != nil {
		done(refuse(syscall.EINVAL, "%v", err))
		return
	}
	prefix := args.Prefix()
	if prefix == "get_command_descriptions" {
		done(reply{out: descriptions})
		return
	}
	e, err := find(prefix, args)
	switch {
	case e == nil:
		done(refuse(syscall.EINVAL, "command not known"))
		return
	case err != nil:
		done(refuse(syscall.EINVAL, "%v", err))
		return
	case m.machine.State.OSD == nil:
		done(refuse(syscall.EAGAIN, "the cluster has no state yet"))
		return
	}
	if e.run != nil {
		done(e.run(m, &query{args: args, input: input}))
		return
	}
	m.audit(who, words)
	if slow := slowCommands[prefix]; slow != nil {
		slow(m, &query{args: args, input: input}, who, done)
		return
	}
	c := state.Command{Admin: &state.Admin{Args: args, Input: input, Settings: m.settings(), Who: who}}
	m.propose(c, func(r state.Reply, err error) {
		if err != nil {
			done(refuse(syscall.EAGAIN, "%v", err))
			return
		}
		done(reply{code: r.Code, status: r.Status, out: r.Out})
	})
}

// find returns the command of a prefix that lacks no argument, or the first of
// the prefix and what it lacks. Values are judged by those who read them, so
// that a pool that does not exist is reported before a variable that does not.
func find(prefix string, args command.Args) (*entry, error) {
	list := byPrefix[prefix]
	if len(list) == 0 {
		return nil, nil
	}
	for _, e := range list {
		if missing(e, args) == "" {
			return e, nil
		}
	}
	return list[0], fmt.Errorf("missing required parameter %s", missing(list[0], args))
}

func missing(e *entry, args command.Args) string {
	for _, a := range e.Args() {
		if a.Required && !args.Has(a.Name) {
			return a.Name
		}
	}
	return ""
}

// audit notes in the log who changes what.
func (m *Monitor) audit(who string, words []string) {
	m.log.Info("command", "from", who, "cmd", strings.Join(words, " "))
}

// tellCommand answers "ceph tell mon.x": the admin socket's commands, and those
// of the cluster that make sense for one monitor.
func (m *Monitor) tellCommand(s *session, b *message.CommandMsg) {
	m.tellTo(b.Cmd, func(r reply) {
		m.send(s, &message.CommandReply{TID: b.TID, R: r.code, RS: r.status, Output: wire.BufOf(r.out)})
	})
}

func (m *Monitor) tellTo(words []string, done func(reply)) {
	args, err := command.Parse(words)
	if err != nil {
		done(refuse(syscall.EINVAL, "%v", err))
		return
	}
	if args.Prefix() == "get_command_descriptions" {
		done(reply{out: command.Descriptions(m.tellSpecs())})
		return
	}
	if t, ok := tellCommands[args.Prefix()]; ok {
		done(t.run(m, &query{args: args}))
		return
	}
	if m.cfg.Admin == nil {
		done(refuse(syscall.EINVAL, "command not known"))
		return
	}
	// The admin socket's commands may look at the monitor, which is locked now.
	go func() {
		out, err := m.cfg.Admin.Call(args)
		m.mu.Lock()
		defer m.mu.Unlock()
		if err != nil {
			done(refuse(syscall.EINVAL, "%v", err))
			return
		}
		done(reply{out: out})
	}()
}

// cutName splits "osd.1" into kind and id.
func cutName(s string) (entity.Type, string, bool) {
	kind, id, ok := strings.Cut(s, ".")
	t, err := entity.ParseType(kind)
	return t, id, ok && err == nil
}

const (
	flagMgr        = command.FlagMgr
	flagDeprecated = command.FlagDeprecated
	flagHidden     = command.FlagHidden
	flagNoForward  = command.FlagNoForward
)

// spec is a shorthand for the tables.
func spec(sig, help, module, perm string, flags int) command.Spec {
	return command.Spec{Sig: sig, Help: help, Module: module, Perm: perm, Flags: flags}
}

// isAdmin reports whether commands of the prefix go through the log.
func isAdmin(prefix string) bool { return state.IsAdmin(prefix) }
