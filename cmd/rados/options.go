//lint:file-ignore ST1005 the error texts are those of Ceph's rados, capitals and full stops included

package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// options are the flags of a command line and what they leave.
type options struct {
	conf, name, id, cluster, monHost string

	pool          *string // nil if not given
	namespace     *string
	targetPool    *string
	targetLocator string
	targetNspace  string
	locator       string
	pgid          *string
	snap          string
	snapID        *string
	format        string
	output        string
	inputFile     *string
	omapKeyFile   *string
	nameFile      *string
	runName       string
	prefix        string

	concurrent int
	opSize     uint64
	sizeGiven  bool // opSize or objectSize
	objectSize uint64
	maxObjects uint64
	offset     uint64
	offsetSet  bool

	create, all, plainNS, forceFull        bool
	showTime, noCleanup, noHints, noVerify bool
	reuse                                  bool
	writeObject, writeOmap, writeXattr     bool
	prettyFormat                           bool

	args []string // the command and its arguments
}

var (
	errHelp    = errors.New("help was asked for")
	errVersion = errors.New("the version was asked for")
)

// opSizeDefault is the size of what put, get and benchmarks move at once, in bytes.
const opSizeDefault = 4 << 20

// flag says what a flag does. set is called with its value, or "" for one that
// takes none.
type flag struct {
	value bool
	set   func(o *options, v string) error
}

func text(field func(*options) *string) flag {
	return flag{true, func(o *options, v string) error { *field(o) = v; return nil }}
}

func given(field func(*options) **string) flag {
	return flag{true, func(o *options, v string) error { *field(o) = &v; return nil }}
}

func truth(field func(*options) *bool) flag {
	return flag{false, func(o *options, _ string) error { *field(o) = true; return nil }}
}

// size is a number with a unit, of at most max; name is Ceph's for it in messages.
func size(name string, max uint64, set func(*options, uint64)) flag {
	return flag{true, func(o *options, v string) error {
		n, err := parseIEC(v, max)
		if err != nil {
			return fmt.Errorf("Invalid value for %s: %w%w", name, err, silentStatus(256-int(syscall.EINVAL)))
		}
		set(o, n)
		return nil
	}}
}

// silentStatus is a statusError that prints as nothing.
type silentStatus int

func (silentStatus) Error() string { return "" }

// As makes errors.As find the status.
func (s silentStatus) As(target any) bool {
	if p, ok := target.(*statusError); ok {
		*p = statusError(s)
		return true
	}
	return false
}

var flags = map[string]flag{
	"-c": text(func(o *options) *string { return &o.conf }), "--conf": text(func(o *options) *string { return &o.conf }),
	"-n": text(func(o *options) *string { return &o.name }), "--name": text(func(o *options) *string { return &o.name }),
	"-i": text(func(o *options) *string { return &o.id }), "--id": text(func(o *options) *string { return &o.id }),
	"--user": text(func(o *options) *string { return &o.id }), "--cluster": text(func(o *options) *string { return &o.cluster }),
	"-m": text(func(o *options) *string { return &o.monHost }),
	"-p": given(func(o *options) **string { return &o.pool }), "--pool": given(func(o *options) **string { return &o.pool }),
	"-N": given(func(o *options) **string { return &o.namespace }), "--namespace": given(func(o *options) **string { return &o.namespace }),
	"--target-pool":    given(func(o *options) **string { return &o.targetPool }),
	"--target-locator": text(func(o *options) *string { return &o.targetLocator }),
	"--target-nspace":  text(func(o *options) *string { return &o.targetNspace }),
	"--object-locator": text(func(o *options) *string { return &o.locator }),
	"--pgid":           given(func(o *options) **string { return &o.pgid }),
	"-s":               text(func(o *options) *string { return &o.snap }), "--snap": text(func(o *options) *string { return &o.snap }),
	"-S": given(func(o *options) **string { return &o.snapID }), "--snapid": given(func(o *options) **string { return &o.snapID }),
	"-f": text(func(o *options) *string { return &o.format }), "--format": text(func(o *options) *string { return &o.format }),
	"-o": text(func(o *options) *string { return &o.output }), "--output": text(func(o *options) *string { return &o.output }),
	"--input-file":    given(func(o *options) **string { return &o.inputFile }),
	"--omap-key-file": given(func(o *options) **string { return &o.omapKeyFile }),
	"--obj-name-file": given(func(o *options) **string { return &o.nameFile }),
	"--run-name":      text(func(o *options) *string { return &o.runName }),
	"--prefix":        text(func(o *options) *string { return &o.prefix }),

	"-t": concurrent, "--concurrent-ios": concurrent,
	"-b": opSize, "--block-size": opSize,
	"-O": objectSize, "--object-size": objectSize,
	"--max-objects": size("max-objects", math.MaxUint32, func(o *options, n uint64) { o.maxObjects = n }),
	"--offset":      size("offset", math.MaxInt64, func(o *options, n uint64) { o.offset, o.offsetSet = n, true }),

	"-C": truth(func(o *options) *bool { return &o.create }), "--create": truth(func(o *options) *bool { return &o.create }),
	"--create-pool":   truth(func(o *options) *bool { return &o.create }),
	"--all":           truth(func(o *options) *bool { return &o.all }),
	"--default":       truth(func(o *options) *bool { return &o.plainNS }),
	"--force-full":    truth(func(o *options) *bool { return &o.forceFull }),
	"--show-time":     truth(func(o *options) *bool { return &o.showTime }),
	"--no-cleanup":    truth(func(o *options) *bool { return &o.noCleanup }),
	"--no-hints":      truth(func(o *options) *bool { return &o.noHints }),
	"--no-verify":     truth(func(o *options) *bool { return &o.noVerify }),
	"--reuse-bench":   truth(func(o *options) *bool { return &o.reuse }),
	"--write-object":  truth(func(o *options) *bool { return &o.writeObject }),
	"--write-omap":    truth(func(o *options) *bool { return &o.writeOmap }),
	"--write-xattr":   truth(func(o *options) *bool { return &o.writeXattr }),
	"--pretty-format": truth(func(o *options) *bool { return &o.prettyFormat }),

	"-h": {false, func(*options, string) error { return errHelp }}, "--help": {false, func(*options, string) error { return errHelp }},
	"-v": {false, func(*options, string) error { return errVersion }}, "--version": {false, func(*options, string) error { return errVersion }},
}

var (
	concurrent = size("concurrent-ios", math.MaxInt32, func(o *options, n uint64) { o.concurrent = int(n) })
	opSize     = size("block-size", math.MaxUint32, func(o *options, n uint64) { o.opSize, o.sizeGiven = n, true })
	objectSize = size("object-size", math.MaxUint32, func(o *options, n uint64) { o.objectSize, o.sizeGiven = n, true })
)

// parse reads a command line. Flags may stand anywhere before "--"; those it does
// not know stay among the arguments, for the configuration.
func parse(args []string) (*options, error) {
	o := &options{concurrent: 16, opSize: opSizeDefault}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			o.args = append(o.args, args[i:]...)
			break
		}
		name, value, joined := arg, "", false
		if strings.HasPrefix(arg, "--") {
			name, value, joined = strings.Cut(arg, "=")
			name = strings.ReplaceAll(name, "_", "-")
		}
		f, ok := flags[name]
		if !ok || joined && !f.value {
			o.args = append(o.args, arg)
			continue
		}
		if f.value && !joined {
			if i++; i == len(args) {
				return nil, fmt.Errorf("Option %s requires an argument.", arg)
			}
			value = args[i]
		}
		if err := f.set(o, value); err != nil {
			return nil, err
		}
	}
	switch o.format {
	case "", "plain", "json", "json-pretty":
	default:
		return nil, fmt.Errorf("unrecognized format: %s%w", o.format, silentStatus(256-int(syscall.EINVAL)))
	}
	return o, nil
}

// json reports whether output is to be JSON.
func (o *options) json() bool { return strings.HasPrefix(o.format, "json") }

// parseIEC reads a number with a unit of powers of 1024 (strict_iecstrtoll in
// src/common/strtol.cc, with its messages).
func parseIEC(s string, most uint64) (uint64, error) {
	fail := func(format string, args ...any) (uint64, error) {
		return 0, fmt.Errorf("strict_iecstrtoll: "+format, args...)
	}
	if s == "" {
		return fail("value not specified")
	}
	number, unit, shift := s, "", 0
	if i := strings.IndexFunc(s, func(r rune) bool { return !strings.ContainsRune("0123456789-+", r) }); i >= 0 {
		number, unit = s[:i], s[i:]
		switch k := strings.IndexByte("BKMGTPE", unit[0]); {
		case strings.HasPrefix(unit, "B") && strings.HasSuffix(unit, "i"):
			return fail("illegal prefix \"Bi\"")
		case len(unit) > 2:
			return fail("illegal prefix (length > 2)")
		case k < 0:
			return fail("unit prefix not recognized")
		default:
			shift = 10 * k
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, fmt.Errorf("The option value '%s' seems to be invalid", number)
	case err != nil:
		return 0, fmt.Errorf("Expected option value to be integer, got '%s'", number)
	case n < 0:
		return fail("value should not be negative")
	case uint64(n) > most>>shift:
		return fail("value seems to be too large")
	}
	return uint64(n) << shift, nil
}

// readNamed returns the content of a file named by a flag.
func readNamed(path string) (string, error) {
	p, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("can't open %s: %s", path, errText(err))
	}
	return string(p), nil
}
