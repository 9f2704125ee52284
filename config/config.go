package config

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Source says where a value came from; later ones win.
type Source int

// The sources, weakest first (src/common/config.h, ConfSourceLevel).
const (
	FromDefault Source = iota
	FromMon
	FromFile
	FromEnv
	FromCmdline
	FromOverride
	sources
)

// String returns Ceph's name of the source.
func (s Source) String() string {
	return [...]string{"default", "mon", "file", "env", "cmdline", "override"}[s]
}

// Config holds the values of one daemon or client. It is safe for concurrent
// use.
type Config struct {
	Type, ID string // as in osd and 0
	Cluster  string

	mu        sync.RWMutex
	values    [sources]map[string]string
	observers []observer
}

type observer struct {
	names []string
	fn    func(name string)
}

// New returns the defaults for the daemon or client type.id.
func New(kind, id string) *Config {
	c := &Config{Type: kind, ID: id, Cluster: "ceph"}
	for i := range c.values {
		c.values[i] = map[string]string{}
	}
	return c
}

// Name returns "type.id".
func (c *Config) Name() string { return c.Type + "." + c.ID }

// Sections returns the sections of a file that apply, weakest first.
func (c *Config) Sections() []string { return []string{"global", c.Type, c.Name()} }

// Set gives an option a value at a source. It refuses unknown options and
// values that are not of the option's type.
func (c *Config) Set(src Source, name, value string) error {
	name = Normalize(name)
	o, ok := Lookup(name)
	if !ok {
		return fmt.Errorf("%q is not an option; \"config show\" lists them", name)
	}
	if !strings.Contains(value, "$") {
		if err := o.Check(value); err != nil {
			return err
		}
	}
	c.mu.Lock()
	c.values[src][name] = o.Canonical(value)
	c.mu.Unlock()
	c.notify(name)
	return nil
}

// Unset takes a value back.
func (c *Config) Unset(src Source, name string) {
	name = Normalize(name)
	c.mu.Lock()
	delete(c.values[src], name)
	c.mu.Unlock()
	c.notify(name)
}

// SetMon replaces all values that came from the monitors. Unknown or malformed ones
// are left out and returned as a list of complaints.
func (c *Config) SetMon(values map[string]string) (bad []error) {
	next := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		key := Normalize(name)
		o, ok := Lookup(key)
		if !ok {
			continue // Ceph's other options are not ours to complain of
		}
		if err := o.Check(values[name]); err != nil {
			bad = append(bad, err)
			continue
		}
		next[key] = o.Canonical(values[name])
	}
	c.mu.Lock()
	old := c.values[FromMon]
	c.values[FromMon] = next
	c.mu.Unlock()
	for name := range next {
		if old[name] != next[name] {
			c.notify(name)
		}
	}
	for name := range old {
		if _, still := next[name]; !still {
			c.notify(name)
		}
	}
	return bad
}

// Observe calls fn with an option's name after its value may have changed. No
// names means all options.
func (c *Config) Observe(fn func(name string), names ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.observers = append(c.observers, observer{names, fn})
}

func (c *Config) notify(name string) {
	c.mu.RLock()
	list := slices.Clone(c.observers)
	c.mu.RUnlock()
	for _, o := range list {
		if len(o.names) == 0 || slices.Contains(o.names, name) {
			o.fn(name)
		}
	}
}

// raw returns the winning value, before metavariables, and its source.
func (c *Config) raw(name string) (string, Source, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for src := sources - 1; src > FromDefault; src-- {
		if v, ok := c.values[src][name]; ok {
			return v, src, true
		}
	}
	o, ok := Lookup(name)
	return o.Default, FromDefault, ok
}

// String returns an option's value with metavariables replaced. Asking for an
// option that does not exist is a mistake in the program and panics.
func (c *Config) String(name string) string { return c.get(Normalize(name), 0) }

// Get returns an option's value and whether there is such an option.
func (c *Config) Get(name string) (string, bool) {
	name = Normalize(name)
	if _, ok := Lookup(name); !ok {
		return "", false
	}
	return c.get(name, 0), true
}

// Source returns where the value in force came from.
func (c *Config) Source(name string) Source {
	_, src, _ := c.raw(Normalize(name))
	return src
}

// depthMax bounds options that refer to options.
const depthMax = 8

func (c *Config) get(name string, depth int) string {
	v, _, ok := c.raw(name)
	if !ok {
		panic("config: no option named " + name)
	}
	if !strings.Contains(v, "$") || depth >= depthMax {
		return v
	}
	return c.expand(v, depth)
}

// expand replaces $name and ${name}; what it does not know stays.
func (c *Config) expand(v string, depth int) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(v, '$')
		if i < 0 {
			b.WriteString(v)
			return b.String()
		}
		b.WriteString(v[:i])
		ref, rest := cutVariable(v[i+1:])
		if value, ok := c.metavariable(ref, depth); ok {
			b.WriteString(value)
		} else {
			b.WriteString(v[i : len(v)-len(rest)])
		}
		v = rest
	}
}

func cutVariable(s string) (name, rest string) {
	if strings.HasPrefix(s, "{") {
		if name, rest, ok := strings.Cut(s[1:], "}"); ok {
			return name, rest
		}
	}
	i := 0
	for i < len(s) && (s[i] == '_' || s[i] >= 'a' && s[i] <= 'z') {
		i++
	}
	return s[:i], s[i:]
}

func (c *Config) metavariable(name string, depth int) (string, bool) {
	switch name {
	case "cluster":
		return c.Cluster, true
	case "type":
		return c.Type, true
	case "id":
		return c.ID, true
	case "name":
		return c.Name(), true
	case "num":
		return c.ID, true
	case "pid":
		return strconv.Itoa(os.Getpid()), true
	case "host":
		h, err := os.Hostname()
		h, _, _ = strings.Cut(h, ".")
		return h, err == nil
	}
	if _, ok := Lookup(name); ok {
		return c.get(name, depth+1), true
	}
	return "", false
}

// Int returns an Int, Uint, Size or Debug option. A value that is malformed
// (which only a metavariable can bring in) is read as 0.
func (c *Config) Int(name string) int64 {
	o, _ := Lookup(Normalize(name))
	switch v := c.String(name); o.Type {
	case Size:
		u, _ := ParseSize(v)
		return int64(min(u, 1<<62))
	case Debug:
		f, _ := parseDebug(v)
		return int64(f)
	default:
		n, _ := ParseSI(v)
		return n
	}
}

// Float returns a Float option.
func (c *Config) Float(name string) float64 {
	f, _ := strconv.ParseFloat(c.String(name), 64)
	return f
}

// Bool returns a Bool option.
func (c *Config) Bool(name string) bool {
	b, _ := ParseBool(c.String(name))
	return b
}

// Duration returns a Secs, Float or Int option, in seconds, as a span of time.
func (c *Config) Duration(name string) time.Duration {
	d, _ := ParseSecs(c.String(name))
	return d
}

// Show returns the values of all options in force.
func (c *Config) Show() map[string]string {
	out := make(map[string]string, len(options))
	for name := range options {
		out[name] = c.String(name)
	}
	return out
}

// Diff returns, for each option that is set anywhere, its value by source.
func (c *Config) Diff() map[string]map[string]string {
	out := map[string]map[string]string{}
	c.mu.RLock()
	for src := FromDefault + 1; src < sources; src++ {
		for name, v := range c.values[src] {
			if out[name] == nil {
				o, _ := Lookup(name)
				out[name] = map[string]string{"default": o.Default}
			}
			out[name][src.String()] = v
		}
	}
	c.mu.RUnlock()
	for name := range out {
		out[name]["final"] = c.String(name)
	}
	return out
}
