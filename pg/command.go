package pg

import (
	"fmt"

	"sepiola/jsonfmt"
	"sepiola/pg/ops"
)

// Command is what an operator asks of a PG: "query", "list_unfound" or
// "mark_unfound_lost" (PrimaryLogPG::do_command). [CommandDone] answers it.
type Command struct {
	From   any // handed back
	Name   string
	Mode   string // of mark_unfound_lost: revert or delete
	Pretty bool   // indent the output
}

func (Command) event() {}

// CommandDone answers a [Command].
type CommandDone struct {
	To     any
	Result int32  // 0 or a negative errno
	Text   string // a sentence for people
	Out    []byte // what was asked for, JSON
}

func (CommandDone) effect() {}

func (p *PG) command(c Command) {
	if !p.IsPrimary() {
		p.fx.add(CommandDone{To: c.From, Result: ops.EAgain, Text: fmt.Sprintf("not primary for pgid %v", p.id.PGID)})
		return
	}
	w := jsonfmt.New(c.Pretty)
	switch c.Name {
	case "query":
		p.dumpQuery(w)
	case "list_unfound":
		p.dumpUnfound(w)
	case "mark_unfound_lost":
		p.commandLost(c)
		return
	default:
		p.fx.add(CommandDone{To: c.From, Result: ops.ENoSys, Text: fmt.Sprintf("prefix '%s' not implemented", c.Name)})
		return
	}
	p.fx.add(CommandDone{To: c.From, Out: w.Bytes()})
}

func (p *PG) commandLost(c Command) {
	switch {
	case c.Mode != "revert" && c.Mode != "delete":
		p.fx.add(CommandDone{To: c.From, Result: ops.EInval, Text: "mode must be 'revert' or 'delete'; mark not yet implemented"})
	case p.active == nil:
		// Ceph, too, knows of none until it has asked around.
		p.fx.add(CommandDone{To: c.From, Text: "pg has no unfound objects"})
	default:
		p.markUnfoundLost(c, c.Mode == "revert")
	}
}
