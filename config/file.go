package config

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// DefaultPaths returns where a client looks for its ceph.conf: $CEPH_CONF if
// set, otherwise the usual places.
func DefaultPaths(cluster string) []string {
	if p := os.Getenv("CEPH_CONF"); p != "" {
		return []string{p}
	}
	home, _ := os.UserHomeDir()
	return []string{
		"/etc/ceph/" + cluster + ".conf",
		filepath.Join(home, ".ceph", cluster+".conf"),
		cluster + ".conf",
	}
}

// Load reads path, or the first of the usual files if path is empty. That none of
// the usual files is there is no error.
func (c *Config) Load(path string) error {
	if path != "" {
		return c.loadFile(path)
	}
	for _, p := range DefaultPaths(c.Cluster) {
		err := c.loadFile(p)
		if err == nil || !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (c *Config) loadFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("reading the configuration: %w; name another file with -c", err)
	}
	defer f.Close()
	sections, err := ParseFile(f)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, name := range c.Sections() {
		for _, kv := range sections[name] {
			if _, ok := Lookup(kv.Name); !ok {
				continue
			}
			if err := c.Set(FromFile, kv.Name, kv.Value); err != nil {
				return fmt.Errorf("%s: line %d: %w", path, kv.Line, err)
			}
		}
	}
	return nil
}

// KV is one setting of a file.
type KV struct {
	Name, Value string
	Line        int
}

// lineMax bounds a line of a configuration file, in bytes.
const lineMax = 1 << 20

// ParseFile reads a file into its sections. Settings before the first section
// count as [global].
func ParseFile(r io.Reader) (map[string][]KV, error) {
	out := map[string][]KV{}
	section := "global"
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, lineMax)
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimSpace(stripComment(sc.Text()))
		start := n
		for strings.HasSuffix(line, "\\") && sc.Scan() {
			n++
			line = strings.TrimSpace(line[:len(line)-1]) + " " + strings.TrimSpace(stripComment(sc.Text()))
		}
		switch {
		case line == "":
		case line[0] == '[':
			end := strings.IndexByte(line, ']')
			if end < 0 {
				return nil, fmt.Errorf("line %d: section without ]", start)
			}
			section = strings.TrimSpace(line[1:end])
		default:
			name, value, ok := strings.Cut(line, "=")
			if !ok {
				return nil, fmt.Errorf("line %d: %q is neither [section] nor name = value", start, line)
			}
			kv := KV{Normalize(name), unquote(strings.TrimSpace(value)), start}
			out[section] = append(out[section], kv)
		}
	}
	return out, sc.Err()
}

// stripComment cuts a comment: from # or ; to the end, outside quotes and
// unless escaped.
func stripComment(s string) string {
	var quote byte
	for i := range len(s) {
		switch b := s[i]; {
		case i > 0 && s[i-1] == '\\':
		case quote != 0:
			if b == quote {
				quote = 0
			}
		case b == '"' || b == '\'':
			quote = b
		case b == '#' || b == ';':
			return s[:i]
		}
	}
	return s
}

func unquote(s string) string {
	if n := len(s); n >= 2 && (s[0] == '"' || s[0] == '\'') && s[n-1] == s[0] {
		return s[1 : n-1]
	}
	return s
}

// ParseArgs takes the options out of a command line: --name value, --name=value,
// and for truth values --name and --no-name. It returns what it did not take, in
// order. known names flags that are the caller's own and are left alone.
func (c *Config) ParseArgs(args []string, known ...string) (rest []string, err error) {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			return append(rest, args[i:]...), nil
		}
		if !strings.HasPrefix(arg, "--") {
			rest = append(rest, arg)
			continue
		}
		name, value, given := strings.Cut(arg[2:], "=")
		key := Normalize(name)
		if slices.Contains(known, name) {
			rest = append(rest, arg)
			continue
		}
		o, ok := Lookup(key)
		if !ok {
			if no, isNo := strings.CutPrefix(key, "no_"); isNo && !given {
				if o, ok = Lookup(no); ok && o.Type == Bool {
					value, given, key = "false", true, no
				}
			}
			if !given || !ok {
				rest = append(rest, arg)
				continue
			}
		}
		switch {
		case given:
		case o.Type == Bool && (i+1 == len(args) || !isBool(args[i+1])):
			value = "true"
		case i+1 == len(args):
			return nil, fmt.Errorf("--%s needs a value", name)
		default:
			i++
			value = args[i]
		}
		if err := c.Set(FromCmdline, key, value); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

func isBool(s string) bool {
	_, err := ParseBool(s)
	return err == nil
}
