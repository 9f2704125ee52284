package main

import (
	"fmt"
	"math"
	"strconv"
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
	fsid, target          string // --fsid, --target-data-path

	epoch uint64 // fits 32 bits
	// logEntriesMax, logTrimMax and dupsTracked are the configuration's
	// osd_max_pg_log_entries, osd_pg_log_trim_max and osd_pg_log_dups_tracked.
	logEntriesMax, logTrimMax, dupsTracked uint64

	debug, force, dryRun, head, tty, deep, help, noSuper, skipJournal, skipOmap bool

	args []string // object, command and its arguments
}

// flags are the options without a value.
func (o *options) flags() map[string]*bool {
	var ignored bool
	return map[string]*bool{
		"--help": &o.help, "--debug": &o.debug, "--force": &o.force, "--dry-run": &o.dryRun, "--head": &o.head,
		"--tty": &o.tty, "--deep": &o.deep, "--no-mon-config": &ignored, "--no-superblock": &o.noSuper,
		"--skip-journal-replay": &o.skipJournal, "--skip-mount-omap": &o.skipOmap,
	}
}

// values are the options with a value.
func (o *options) values() map[string]*string {
	var ignored string
	return map[string]*string{
		"--data-path": &o.dataPath, "--journal-path": &o.journalPath, "--op": &o.op, "--file": &o.file,
		"--format": &o.format, "--type": &o.kind, "--pgid": &o.pgid,
		"--fsid": &o.fsid, "--target-data-path": &o.target,
		"-c": &ignored, "--conf": &ignored,
		// Of operations that are not here: the refusal is for them, not for these.
		"--pool": &ignored, "--mon-store-path": &ignored, "--mountpoint": &ignored, "--slow-omap-threshold": &ignored,
	}
}

// numbers are the options with a number: the least that each may be, and where it goes.
// The words of a name may be joined by either of '-' and '_'.
func (o *options) numbers() map[string]numberOption {
	return map[string]numberOption{
		"epoch":                   {0, math.MaxUint32, &o.epoch},
		"osd_max_pg_log_entries":  {1, math.MaxInt64, &o.logEntriesMax},
		"osd_pg_log_trim_max":     {1, math.MaxInt64, &o.logTrimMax},
		"osd_pg_log_dups_tracked": {1, math.MaxInt64, &o.dupsTracked},
	}
}

type numberOption struct {
	least, most uint64
	to          *uint64
}

func (n numberOption) set(name, text string) error {
	v, err := strconv.ParseUint(text, 10, 64)
	if err != nil || v < n.least || v > n.most {
		return fmt.Errorf("the argument ('%s') for option '%s' is invalid", text, name)
	}
	*n.to = v
	return nil
}

// parse takes the arguments apart. The error's text is for the user.
func parse(args []string) (*options, error) {
	o := &options{format: "json-pretty", logEntriesMax: 10000, logTrimMax: 10000, dupsTracked: 3000}
	flags, values, numbers := o.flags(), o.values(), o.numbers()
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
		var namespace, digits string
		to := values[name]
		n, isNumber := numbers[strings.ReplaceAll(strings.TrimPrefix(name, "--"), "-", "_")]
		if isNumber && strings.HasPrefix(name, "--") {
			to = &digits
		}
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
		if to == &digits {
			if err := n.set(name, value); err != nil {
				return nil, err
			}
		}
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
                        export-remove, mark-complete, reset-last-complete,
                        trim-pg-log, trim-pg-log-dups
  --op arg              Arg is one of [info, log, remove, mkfs, fsck, dup,
                        export, export-remove, import, list, fix-lost,
                        list-pgs, dump-super, meta-list, get-osdmap,
                        set-osdmap, get-superblock, set-superblock,
                        get-inc-osdmap, set-inc-osdmap, mark-complete,
                        reset-last-complete, dump-export, trim-pg-log,
                        trim-pg-log-dups, statfs]
  --epoch arg           epoch# for get-osdmap and get-inc-osdmap, the current
                        epoch in use if not specified
  --file arg            path of file to export, export-remove, import,
                        dump-export, get-osdmap, set-osdmap, get-superblock,
                        set-superblock, get-inc-osdmap or set-inc-osdmap
  --fsid arg            fsid for new store created by mkfs
  --target-data-path arg
                        path of target object store (for --op dup)
  --osd_max_pg_log_entries arg (=10000)
  --osd_pg_log_trim_max arg (=10000)
  --osd_pg_log_dups_tracked arg (=3000)
                        for trim-pg-log and trim-pg-log-dups
  --format arg (=json-pretty)
                        Output format which may be json, json-pretty
  --debug               Enable diagnostic output to stderr
  --no-mon-config       accepted; the monitors are never contacted
  --no-superblock       Do not read superblock
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
objectstore-tool ... <object> set-size <size>
objectstore-tool ... <object> clear-data-digest
objectstore-tool ... <object> clear-snapset [part]
objectstore-tool ... <object> remove-clone-metadata <cloneid>

<object> can be a JSON object description as displayed
by --op list.
<object> can be an object name which will be looked up in all
the OSD's PGs.
<object> can be the empty string ('') which with a provided pgid
specifies the pgmeta object

The optional [file] argument will read stdin or write stdout
if not specified or if '-' specified.
`
