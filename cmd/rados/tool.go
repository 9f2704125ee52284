package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"sepiola/jsonfmt"
	"sepiola/message"
	"sepiola/object"
	"sepiola/rados"
)

// tool is the program with its connection, and with its pool if one was named.
type tool struct {
	program
	ctx context.Context
	o   *options
	c   *rados.Client
	io  *rados.IOCtx // nil without a pool
	pg  object.PGID  // with --pgid

	key       string // of omap commands, from a file
	keyPretty string
}

// fail tells of a failure and returns the error that ends the command.
func (t *tool) fail(format string, args ...any) error {
	fmt.Fprintf(t.stderr, format+"\n", args...)
	return errFailed
}

// open opens what the options name: pool, namespace, snapshot.
func (t *tool) open() error {
	o := t.o
	if o.create {
		if err := t.c.CreatePool(t.ctx, *o.pool, 0); err != nil {
			return t.fail("error creating pool %s: %s", *o.pool, errText(err))
		}
	}
	if o.omapKeyFile != nil {
		key, err := readNamed(*o.omapKeyFile)
		if err != nil {
			return t.fail("%v", err)
		}
		t.key, t.keyPretty = key, key
		if !printable(key) {
			t.keyPretty = "(binary key)"
		}
	}
	if err := t.openPool(); err != nil || t.io == nil {
		return err
	}
	t.io = t.io.WithLocator(o.locator)
	if o.namespace != nil {
		t.io = t.io.WithNamespace(*o.namespace)
	}
	return t.openSnap()
}

func (t *tool) openPool() error {
	o := t.o
	if o.pgid != nil {
		pg, err := object.ParsePGID(*o.pgid)
		if err == nil && o.pool != nil {
			if id, e := t.c.PoolID(t.ctx, *o.pool); e != nil || id != pg.Pool {
				err = errUsage
			}
		}
		if err != nil {
			return t.fail("invalid pgid")
		}
		t.pg = pg
	}
	var err error
	switch {
	case o.pool != nil:
		if t.io, err = t.c.Pool(t.ctx, *o.pool); err != nil {
			return t.fail("error opening pool %s: %s", *o.pool, errText(err))
		}
		return nil
	case o.pgid != nil:
		if t.io, err = t.c.PoolByID(t.ctx, t.pg.Pool); err != nil {
			return t.fail("error opening pool with id %d: %s", t.pg.Pool, errText(err))
		}
		return nil
	case o.snap != "":
		return t.fail("pool name must be specified with --snap")
	case o.locator != "":
		return t.fail("pool name must be specified with --object-locator")
	case o.namespace != nil:
		return t.fail("pool name must be specified with --namespace")
	case o.snapID != nil:
		return t.fail("pool name must be specified with --snapid")
	}
	return nil
}

// openSnap selects the snapshot to read.
func (t *tool) openSnap() error {
	o := t.o
	if o.snap == "" && o.snapID == nil {
		return nil
	}
	var id uint64
	if o.snapID != nil {
		var err error
		if id, err = strconv.ParseUint(*o.snapID, 10, 64); err != nil {
			return t.fail("Invalid value for snapid: %s", *o.snapID)
		}
	}
	for _, s := range t.io.Snaps() {
		if o.snap != "" && s.Name == o.snap || o.snap == "" && uint64(s.ID) == id {
			t.io = t.io.WithSnap(s.ID)
			fmt.Fprintf(t.stdout, "selected snap %d '%s'\n", uint64(s.ID), s.Name)
			return nil
		}
	}
	if o.snap != "" {
		return t.fail("error looking up snap '%s': (2) No such file or directory", o.snap)
	}
	return t.fail("snapid %d doesn't exist in pool %s", id, t.io.PoolName())
}

// everywhere reports whether all namespaces are meant.
func (t *tool) everywhere() bool { return t.o.namespace == nil && t.o.all && !t.o.plainNS }

// command is a sub-command: whether it needs -p, how many arguments it takes (most
// negative: any number), and what it does.
type command struct {
	pool        bool
	least, most int
	run         func(t *tool, args []string) error
}

// commands is filled by init: the functions refer to it.
var commands map[string]command

func init() {
	commands = map[string]command{
		"lspools": {false, 0, -1, (*tool).lspools}, "df": {false, 0, -1, (*tool).df}, "ls": {false, 0, -1, (*tool).ls},
		"lssnap": {true, 0, 0, (*tool).lssnap}, "mksnap": {true, 1, -1, (*tool).mksnap}, "rmsnap": {true, 1, -1, (*tool).rmsnap},
		"cppool": {false, 2, 3, (*tool).cppool}, "purge": {false, 1, -1, (*tool).purge},
		"put": {true, 2, -1, (*tool).put}, "get": {true, 2, -1, (*tool).get}, "append": {true, 2, -1, (*tool).append},
		"create": {true, 1, -1, (*tool).create}, "truncate": {true, 2, -1, (*tool).truncate}, "rm": {true, 1, -1, (*tool).rm},
		"cp": {true, 1, 2, (*tool).cp}, "stat": {true, 1, -1, (*tool).stat}, "stat2": {true, 1, -1, (*tool).stat2},
		"touch": {true, 1, -1, (*tool).touch}, "set-alloc-hint": {true, 3, -1, (*tool).setAllocHint},
		"setxattr": {true, 2, 3, (*tool).setxattr}, "getxattr": {true, 2, -1, (*tool).getxattr},
		"listxattr": {true, 1, -1, (*tool).listxattr}, "rmxattr": {true, 2, -1, (*tool).rmxattr},
		"setomapval": {true, 1, 3, (*tool).setomapval}, "getomapval": {true, 1, 3, (*tool).getomapval},
		"listomapkeys": {true, 1, -1, (*tool).listomapkeys}, "listomapvals": {true, 1, -1, (*tool).listomapvals},
		"rmomapkey": {true, 1, 2, (*tool).rmomapkey}, "clearomap": {true, 1, -1, (*tool).clearomap},
		"setomapheader": {true, 2, -1, (*tool).setomapheader}, "getomapheader": {true, 1, -1, (*tool).getomapheader},
		"bench": {true, 2, -1, (*tool).bench}, "cleanup": {true, 0, -1, (*tool).cleanup},
	}
}

// command runs a sub-command.
func (t *tool) command(name string, args []string) error {
	cmd, ok := commands[name]
	if !ok {
		fmt.Fprintf(t.stderr, "unrecognized command %s; -h or --help for usage\n", name)
		return rados.Errno(22)
	}
	if t.o.nameFile != nil && cmd.pool && name != "bench" && name != "cleanup" {
		object, err := readNamed(*t.o.nameFile)
		if err != nil {
			return t.fail("%v", err)
		}
		args = append([]string{object}, args...)
	}
	if cmd.pool && t.o.pool == nil || len(args) < cmd.least || cmd.most >= 0 && len(args) > cmd.most {
		return errUsage
	}
	return cmd.run(t, args)
}

// place names an object in messages: "pool/object".
func (t *tool) place(name string) string { return *t.o.pool + "/" + name }

// forced is the context for removals, which --force-full lets through where the
// cluster is full.
func (t *tool) forced() *rados.IOCtx {
	if t.o.forceFull {
		return t.io.WithFlags(message.FlagFullTry | message.FlagFullForce)
	}
	return t.io
}

// newJSON returns a writer in the form that --format asks for.
func (t *tool) newJSON() *jsonfmt.Writer { return jsonfmt.New(t.o.format == "json-pretty") }

// value returns an argument that may come from a file or standard input instead.
func (t *tool) value(args []string, i int) ([]byte, error) {
	switch {
	case i < len(args):
		return []byte(args[i]), nil
	case t.o.inputFile != nil:
		s, err := readNamed(*t.o.inputFile)
		if err != nil {
			return nil, t.fail("error reading file %s: %v", *t.o.inputFile, err)
		}
		return []byte(s), nil
	}
	p, err := io.ReadAll(t.stdin)
	if err != nil {
		return nil, t.fail("error reading standard input: %s", errText(err))
	}
	return p, nil
}
