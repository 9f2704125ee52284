package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"sepiola/message"
	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/objectstore/filestore"
	"sepiola/osd"
	"sepiola/rados"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/term"
)

func main() {
	p := program{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	os.Exit(p.run(os.Args[1:]))
}

// program is what a run of the command reads and writes.
type program struct {
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
}

// errFailed says that the command failed and has told why, errUsage that the usage
// is to be shown too.
var (
	errFailed = errors.New("failed")
	errUsage  = errors.New("wrong usage")
)

// statusError ends the program with a status other than 1, having told why.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// The exit statuses of a refused import other than 1, as in Ceph.
const (
	statusNoPool   statusError = 10
	statusFeatures statusError = 11
	statusSplit    statusError = 12
)

// tool is a run with its options and the store it works on.
type tool struct {
	program
	*options
	out   *bufio.Writer // standard output
	isTTY bool          // standard output must have no binary data
	store *filestore.Store
	super message.OSDSuperblock
	pg    object.SPGID // --pgid
}

// run carries a command line out and returns the exit status.
func (p program) run(args []string) int {
	out := bufio.NewWriterSize(p.stdout, 64<<10)
	isTTY := isTerminal(p.stdout)
	o, err := parse(args)
	if err == nil {
		t := &tool{program: p, options: o, out: out, isTTY: isTTY || o.tty}
		err = t.execute()
	}
	if e := out.Flush(); e != nil && err == nil {
		err = fmt.Errorf("error writing to standard output: %w", e)
	}
	var status statusError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	case errors.Is(err, errFailed):
	case errors.Is(err, errUsage):
		io.WriteString(p.stderr, usage)
	default:
		fmt.Fprintln(p.stderr, err)
	}
	return 1
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// complain prints a line to standard error.
func (t *tool) complain(format string, args ...any) {
	t.out.Flush() // keep the order of both streams where they go to one place
	fmt.Fprintf(t.stderr, format+"\n", args...)
}

// fail prints a line to standard error and returns errFailed.
func (t *tool) fail(format string, args ...any) error {
	t.complain(format, args...)
	return errFailed
}

func (t *tool) debugf(format string, args ...any) {
	if t.debug {
		t.complain(format, args...)
	}
}

func (t *tool) execute() error {
	if t.help {
		io.WriteString(t.stderr, usage)
		return errFailed // Ceph's exit status for --help is 1
	}
	if err := t.check(); err != nil {
		return err
	}
	if do := unopened[t.op]; do != nil {
		return do(t)
	}
	if err := t.openStore(); err != nil {
		return err
	}
	if do := unmounted[t.op]; do != nil {
		return do(t)
	}
	if err := t.store.Mount(); err != nil {
		if errors.Is(err, objectstore.ErrInUse) {
			return t.fail("OSD has the store locked: stop the OSD first")
		}
		return t.fail("Mount failed with '%s': %v", errText(err), err)
	}
	err := t.mounted()
	if e := t.store.Close(); e != nil {
		t.complain("umount failed: %v", e)
		if err == nil {
			err = errFailed
		}
	}
	if t.dryRun {
		to := io.Writer(t.out)
		if t.op == "export" {
			to = t.stderr
		}
		fmt.Fprintln(to, "dry-run: Nothing changed")
	}
	return err
}

// The operations: those that need no store, or make it; those on a store that is not
// mounted; and the others.
var (
	unopened  = map[string]func(*tool) error{"dump-export": (*tool).dumpExport, "mkfs": (*tool).mkfs}
	unmounted = map[string]func(*tool) error{"fsck": (*tool).fsck, "dup": (*tool).dup}
	known     = map[string]func(*tool) error{
		"list": (*tool).list, "list-pgs": (*tool).listPGs, "meta-list": (*tool).listMeta,
		"info": (*tool).info, "log": (*tool).log, "statfs": (*tool).statfs,
		"export": (*tool).export, "export-remove": (*tool).exportRemove, "import": (*tool).importPG, "remove": (*tool).remove,
		"dump-super": (*tool).dumpSuper, "get-superblock": (*tool).getSuper, "set-superblock": (*tool).setSuper,
		"get-osdmap": (*tool).getMap, "set-osdmap": (*tool).setMap,
		"get-inc-osdmap": (*tool).getIncremental, "set-inc-osdmap": (*tool).setIncremental,
		"mark-complete": (*tool).markComplete, "reset-last-complete": (*tool).resetLastComplete,
		"trim-pg-log": (*tool).trimLog, "trim-pg-log-dups": (*tool).trimDups, "fix-lost": (*tool).fixLost,
	}
)

// refusals are operations of Ceph's tool that are not here, and what to do instead.
var refusals = map[string]string{
	"repair": "repair failed: (95) Operation not supported: what is damaged is whole on other OSDs only. " +
		"Remove the object or the PG here and let the cluster fill it, or start the OSD and use 'ceph pg repair'",
	"fuse":           "fuse is not supported: use --op list and the commands for objects, or --op export",
	"dump-journal":   "dump-journal is not supported: the journal has no form that means anything outside of the store, which replays it when it is opened",
	"list-slow-omap": "list-slow-omap is not supported: use list-omap on the object in question",
	"update-mon-db": "update-mon-db is not supported: the monitors of this project do not keep their maps where OSDs could fill them in. " +
		"Use --op get-osdmap to save a map",
	"apply-layout-settings": "apply-layout-settings is not supported and not needed: directories follow 'filestore split multiple' and " +
		"'filestore merge threshold' from the next file on, and what is there is found where it is",
}

// needPG are the operations that work on one PG.
var needPG = map[string]bool{"info": true, "log": true, "remove": true, "export": true, "export-remove": true,
	"mark-complete": true, "reset-last-complete": true, "trim-pg-log": true, "trim-pg-log-dups": true}

// hasFile are the operations that --file applies to.
var hasFile = map[string]bool{"import": true, "export": true, "export-remove": true, "dump-export": true,
	"get-osdmap": true, "set-osdmap": true, "get-superblock": true, "set-superblock": true,
	"get-inc-osdmap": true, "set-inc-osdmap": true}

// check finds what is wrong with the command line itself.
func (t *tool) check() error {
	if t.dataPath == "" && t.op != "dump-export" {
		t.complain("Must provide --data-path")
		return errUsage
	}
	_, hasObject := t.object()
	_, hasCommand := t.command()
	switch {
	case t.op == "" && !hasObject:
		t.complain("Must provide --op or object command...")
		return errUsage
	case t.op != "" && t.op != "list" && hasObject:
		t.complain("Can't specify both --op and object command syntax")
		return errUsage
	case t.op != "list" && hasObject && !hasCommand:
		t.complain("Invalid syntax, missing command")
		return errUsage
	}
	if why := refusals[strings.TrimSuffix(t.op, "-deep")]; why != "" {
		return t.fail("%s", why)
	}
	if t.skipJournal || t.skipOmap {
		return t.fail("--skip-journal-replay and --skip-mount-omap are not supported: without its journal and its key-value store " +
			"nothing in a store means anything")
	}
	if t.fileGiven && !t.dryRun && !hasFile[t.op] {
		return t.fail("--file option only applies to import, dump-export, export, export-remove, " +
			"get-osdmap, set-osdmap, get-superblock, set-superblock, get-inc-osdmap or set-inc-osdmap")
	}
	if t.format != "json" && t.format != "json-pretty" {
		return t.fail("unrecognized format: %s", t.format)
	}
	if _, err := os.Stat(t.dataPath); err != nil && unopened[t.op] == nil {
		return t.fail("data-path: %s: %s", t.dataPath, plainText(err))
	}
	if t.pgid != "" {
		var err error
		if t.pg, err = object.ParseSPGID(t.pgid); err != nil {
			return t.fail("Invalid pgid '%s' specified", t.pgid)
		}
	}
	return nil
}

// openStore makes the store for the data path, not mounted.
func (t *tool) openStore() error {
	kind := t.kind
	if b, err := os.ReadFile(filepath.Join(t.dataPath, "type")); err == nil {
		found := strings.TrimSpace(string(b))
		if kind != "" && found != "" && kind != found {
			t.complain("WARNING: Ignoring type \"%s\" - found data-path type \"%s\"", kind, found)
		}
		kind = found
	} else if _, err := os.Stat(filepath.Join(t.dataPath, "memstore")); err == nil {
		kind = "memstore"
	}
	if kind != "" && kind != "filestore" {
		return t.fail("Unable to create store of type %s", kind)
	}
	journal := t.journalPath
	if journal == "" {
		journal = filepath.Join(t.dataPath, "journal")
	}
	if st, err := os.Stat(journal); err != nil {
		return t.fail("journal-path: %s: %s", journal, plainText(err))
	} else if st.IsDir() {
		return t.fail("journal-path: %s: %s", journal, rados.Errno(syscall.EISDIR).Error())
	}
	log := hclog.NewNullLogger()
	if t.debug {
		log = hclog.New(&hclog.LoggerOptions{Name: "filestore", Output: t.stderr, Level: hclog.Info})
	}
	t.store = filestore.New(t.dataPath, filestore.Options{JournalPath: journal, Logger: log})
	return nil
}

// mounted does what was asked for on the mounted store.
func (t *tool) mounted() error {
	var err error
	if t.noSuper {
		fmt.Fprintln(t.out, "Using no superblock")
	} else if t.super, err = osd.ReadSuperblock(t.store); err != nil {
		return t.fail("Failure to read OSD superblock: %v", err)
	}
	t.debugf("Cluster fsid=%v", t.super.ClusterFSID)
	if _, ok := t.object(); ok && t.op != "list" {
		return t.objectCommand()
	}
	if needPG[t.op] && t.pgid == "" {
		t.complain("Must provide pgid")
		return errUsage
	}
	do := known[t.op]
	if do == nil {
		t.complain("Must provide --op (info, log, remove, mkfs, fsck, dup, export, export-remove, import, list, fix-lost, list-pgs, dump-super, meta-list, " +
			"get-osdmap, set-osdmap, get-superblock, set-superblock, get-inc-osdmap, set-inc-osdmap, mark-complete, reset-last-complete, " +
			"dump-export, trim-pg-log, trim-pg-log-dups, statfs)")
		return errUsage
	}
	return do(t)
}

// errnos are the numbers of the store's errors.
var errnos = []struct {
	err   error
	errno syscall.Errno
}{
	{objectstore.ErrNotFound, syscall.ENOENT}, {objectstore.ErrNoAttr, syscall.ENODATA}, {objectstore.ErrIO, syscall.EIO},
	{objectstore.ErrNoSpace, syscall.ENOSPC}, {objectstore.ErrNameTooBig, syscall.ENAMETOOLONG},
	{objectstore.ErrExists, syscall.EEXIST}, {objectstore.ErrNotEmpty, syscall.ENOTEMPTY}, {objectstore.ErrInvalid, syscall.EINVAL},
}

// errText prints an error as Ceph does: "(2) No such file or directory" for what has
// a number.
func errText(err error) string {
	for _, e := range errnos {
		if errors.Is(err, e.err) {
			return rados.Errno(e.errno).Error()
		}
	}
	var sys syscall.Errno
	if errors.As(err, &sys) {
		return rados.Errno(sys).Error()
	}
	return err.Error()
}

// plainText is errText without the number, as perror prints it.
func plainText(err error) string {
	s := errText(err)
	if _, text, ok := strings.Cut(s, ") "); ok && strings.HasPrefix(s, "(") {
		return text
	}
	return s
}
