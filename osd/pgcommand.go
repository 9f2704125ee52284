package osd

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"sepiola/command"
	"sepiola/object"
	"sepiola/pg"
)

// pgForms are the commands about one PG, in the form of `ceph pg N ...`, and
// pgTells in that of `ceph tell N ...` (OSD::final_init).
var (
	pgForms = []string{
		"pg name=pgid,type=CephPgid name=cmd,type=CephChoices,strings=query",
		"pg name=pgid,type=CephPgid name=cmd,type=CephChoices,strings=mark_unfound_lost name=mulcmd,type=CephChoices,strings=revert|delete",
		"pg name=pgid,type=CephPgid name=cmd,type=CephChoices,strings=list_unfound",
	}
	pgTells = [][2]string{
		{"query name=pgid,type=CephPgid,req=false", "show details of a specific pg"},
		{"mark_unfound_lost name=pgid,type=CephPgid,req=false name=mulcmd,type=CephChoices,strings=revert|delete",
			"mark all unfound objects in this pg as lost, either removing or reverting to a prior version if one is available"},
		{"list_unfound name=pgid,type=CephPgid,req=false", "list unfound objects on this pg"},
	}
)

// pgCommandTimeout is how long a PG may take to answer: marking objects lost waits for
// the disks of all members.
const pgCommandTimeout = 60 * time.Second

func (d *Daemon) registerPGCommands() {
	answer := func(a command.Args) (any, error) {
		done, err := d.pgCommand(a)
		if err != nil {
			return nil, err
		}
		if len(done.Out) == 0 {
			return []byte(done.Text + "\n"), nil
		}
		return done.Out, nil
	}
	d.cfg.Admin.Register(pgForms[0], "", answer)
	for _, form := range pgForms[1:] {
		d.cfg.Admin.RegisterForm(form)
	}
	for _, t := range pgTells {
		d.cfg.Admin.Register(t[0], t[1], answer)
	}
}

// isPGCommand reports whether a command is about one PG.
func isPGCommand(a command.Args) bool {
	return slices.Contains([]string{"pg", "query", "mark_unfound_lost", "list_unfound"}, a.Prefix())
}

// pgCommand has the PG that a command names answer it.
func (d *Daemon) pgCommand(a command.Args) (pg.CommandDone, error) {
	name := a.Prefix()
	if name == "pg" {
		name = a.String("cmd")
	}
	text := a.String("pgid")
	if text == "" {
		return pg.CommandDone{}, fmt.Errorf("%w: no pgid specified", unix.EINVAL)
	}
	id, err := object.ParsePGID(text)
	if err != nil {
		return pg.CommandDone{}, fmt.Errorf("%w: couldn't parse pgid '%s'", unix.EINVAL, text)
	}
	answer := make(chan pg.CommandDone, 1)
	c := pg.Command{From: answer, Name: name, Mode: a.String("mulcmd"), Pretty: a.Format() != "json"}
	d.shardOf(id.Whole()).queue.push(classPeer, work{call: func(s *shard) {
		sl := s.pgs[id.Whole()]
		if sl == nil {
			answer <- pg.CommandDone{Result: -int32(unix.ENOENT), Text: "i don't have pgid " + id.String()}
			return
		}
		s.drive(sl, c)
	}})
	select {
	case done := <-answer:
		if done.Result < 0 {
			return done, fmt.Errorf("%w: %s", unix.Errno(-done.Result), done.Text)
		}
		return done, nil
	case <-time.After(pgCommandTimeout):
		return pg.CommandDone{}, fmt.Errorf("%w: pg %v has not answered", unix.ETIMEDOUT, id)
	case <-d.stop:
		return pg.CommandDone{}, errors.New("the OSD stops")
	}
}
