package main

import (
	"fmt"
	"strings"
)

// options is a command line taken apart.
type options struct {
	dataPath, journalPath string
	op, file, format      string
	kind                  string // --type
	pgid                  string
	namespace             *string
	fileGiven             bool

	debug, force, dryRun, head, tty, deep, help bool

	args []string // object, command and its arguments
}

// flags are the options without a value.
func (o *options) flags() map[string]*bool {
	var ignored bool
	return map[string]*bool{
		"--help": &o.help, "--debug": &o.debug, "--force": &o.force, "--dry-run": &o.dryRun, "--head": &o.head,
		"--tty": &o.tty, "--deep": &o.deep, "--no-mon-config": &ignored,
	}
}

// values are the options with a value. Those of the configuration have no use here.
func (o *options) values() map[string]*string {
	var ignored string
	return map[string]*string{
		"--data-path": &o.dataPath, "--journal-path": &o.journalPath, "--op": &o.op, "--file": &o.file,
		"--format": &o.format, "--type": &o.kind, "--pgid": &o.pgid,
		"-c": &ignored, "--conf": &ignored,
	}
}

// parse takes the arguments apart. The error's text is for the user.
func parse(args []string) (*options, error) {
	o := &options{format: "json-pretty"}
	flags, values := o.flags(), o.values()
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		if word == "" || word == "-" || word[0] != '-' {
			o.args = append(o.args, word)
			continue
		}
		if word == "--" {
			o.args = append(o.args, args...)
			break
		}
		if on := flags[word]; on != nil {
			*on = true
			continue
		}
		name, value, inline := strings.Cut(word, "=")
		var namespace string
		to := values[name]
		if name == "--namespace" {
			to, o.namespace = &namespace, &namespace
		}
		if to == nil {
			return nil, fmt.Errorf("unrecognised option '%s'", word)
		}
		if !inline {
			if len(args) == 0 {
				return nil, fmt.Errorf("the required argument for option '%s' is missing", name)
			}
			value, args = args[0], args[1:]
		}
		*to = value
		o.fileGiven = o.fileGiven || name == "--file"
	}
	if len(o.args) > 4 {
		return nil, fmt.Errorf("too many positional options have been specified on the command line")
	}
	if o.op == "fsck-deep" {
		o.op, o.deep = "fsck", true
	}
	return o, nil
}

// object and command return the positional arguments, and whether they were given.
func (o *options) object() (string, bool)  { return o.arg(0) }
func (o *options) command() (string, bool) { return o.arg(1) }

func (o *options) arg(i int) (string, bool) {
	if i >= len(o.args) {
		return "", false
	}
	return o.args[i], true
}

const usage = `
Allowed options:
  --help                produce help message
  --type arg            kind of store; filestore, the only one here
  --data-path arg       path to object store, mandatory
  --journal-path arg    path to journal, use if tool can't find it
  --pgid arg            PG id, mandatory for info, log, remove, export,
                        export-remove
  --op arg              Arg is one of [info, log, remove, fsck, export,
                        export-remove, import, list, list-pgs, meta-list,
                        statfs]
  --file arg            path of file to export, export-remove, import
  --format arg (=json-pretty)
                        Output format which may be json, json-pretty
  --debug               Enable diagnostic output to stderr
  --no-mon-config       accepted; the monitors are never contacted
  --force               Ignore some types of errors and proceed with operation
                        - USE WITH CAUTION: CORRUPTION POSSIBLE NOW OR IN THE
                        FUTURE
  --deep                with fsck: read all data
  --head                Find head/snapdir when searching for objects by name
  --dry-run             Don't modify the objectstore
  --tty                 Treat stdout as a tty (no binary data)
  --namespace arg       Specify namespace when searching for objects


Positional syntax:

objectstore-tool ... <object> (get|set)-bytes [file]
objectstore-tool ... <object> set-(attr|omap) <key> [file]
objectstore-tool ... <object> (get|rm)-(attr|omap) <key>
objectstore-tool ... <object> get-omaphdr
objectstore-tool ... <object> set-omaphdr [file]
objectstore-tool ... <object> list-attrs
objectstore-tool ... <object> list-omap
objectstore-tool ... <object> remove|removeall
objectstore-tool ... <object> dump

<object> can be a JSON object description as displayed
by --op list.
<object> can be an object name which will be looked up in all
the OSD's PGs.
<object> can be the empty string ('') which with a provided pgid
specifies the pgmeta object

The optional [file] argument will read stdin or write stdout
if not specified or if '-' specified.
`
