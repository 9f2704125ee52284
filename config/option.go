//lint:file-ignore ST1005 the sentences of Option.Validate are Ceph's, capitals included

package config

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"sepiola/entity"
	"sepiola/jsonfmt"
)

// Type is the type of an option's value.
type Type int

// The types of values.
const (
	Str   Type = iota
	Int        // 64-bit integer
	Uint       // 64-bit integer, not negative
	Size       // bytes, with the suffixes K M G T P E (powers of 1024)
	Float      // floating point
	Bool       // true false yes no on off 1 0
	Secs       // a span of time in seconds, possibly with unit
	UUID       // 8-4-4-4-12
	Addr       // an address, possibly blank
	Debug      // level[/memory level], 0 to 20, as in "1/5"
)

// String returns Ceph's name of the type.
func (t Type) String() string {
	return [...]string{"str", "int", "uint", "size", "float", "bool", "secs", "uuid", "addr", "str"}[t]
}

// noun says what a value of the type is.
func (t Type) noun() string {
	return [...]string{"a text", "an integer", "an integer from 0 on", "a size such as 4096, 64K or 128M", "a number",
		"true or false", "a span of time such as 20 or 5m", "a UUID", "an address such as v2:127.0.0.1:3300",
		"a debug level such as 5 or 1/5"}[t]
}

// Option describes one option.
type Option struct {
	Name    string // with underscores
	Type    Type
	Default string
	Desc    string
	Min     float64 // numbers only; Min = Max = 0 is no bound
	Max     float64
	Choices []string // of a Str; empty is any
	Startup bool     // a change takes effect at the next start only
}

// DumpJSON writes what "config help" shows of the option, as members of an open
// object in Ceph's order (Option::dump in src/common/options.cc). All options here
// are of the level "advanced", and bounds are shown where there are any.
func (o Option) DumpJSON(w *jsonfmt.Writer) {
	w.String("name", o.Name)
	w.String("type", o.Type.String())
	w.String("level", "advanced")
	w.String("desc", o.Desc)
	w.String("long_desc", "")
	n, err := o.number(o.Default)
	switch {
	case err != nil:
		w.String("default", o.Default)
	case o.Type == Bool:
		w.Bool("default", n != 0)
	case o.Type == Int || o.Type == Uint || o.Type == Size || o.Type == Secs:
		w.Int("default", int64(n))
	case o.Type == Float:
		w.Float("default", n)
	default:
		w.String("default", o.Default)
	}
	w.String("daemon_default", "")
	for _, none := range []string{"tags", "services", "see_also"} {
		w.Strings(none, nil)
	}
	if o.Type == Str || o.Type == Debug {
		w.Strings("enum_values", o.Choices)
	}
	if o.Min != 0 || o.Max != 0 {
		w.Float("min", o.Min)
		w.Float("max", o.Max)
	} else {
		w.String("min", "")
		w.String("max", "")
	}
	w.Bool("can_update_at_runtime", !o.Startup)
	w.Strings("flags", []string{map[bool]string{true: "startup", false: "runtime"}[o.Startup]})
}

// Check reports whether v is a value of the option, as a sentence that names it and
// what is wrong.
func (o Option) Check(v string) error {
	err := o.Validate(v)
	if err == nil {
		return nil
	}
	if _, bad := o.number(v); bad != nil {
		return fmt.Errorf("option %s: %q is not %s: %w", o.Name, v, o.Type.noun(), err)
	}
	return fmt.Errorf("option %s: %w", o.Name, err)
}

// Validate is [Option.Check] without the option's name. The sentences, which reach
// operators through "config set", are those of Option::validate and parse_value
// (src/common/options.cc).
func (o Option) Validate(v string) error {
	n, err := o.number(v)
	if err != nil {
		return err
	}
	if o.Min != 0 || o.Max != 0 {
		switch {
		case n < o.Min:
			return fmt.Errorf("Value '%s' is below minimum %s", trim(n), trim(o.Min))
		case n > o.Max:
			return fmt.Errorf("Value '%s' exceeds maximum %s", trim(n), trim(o.Max))
		}
	}
	if len(o.Choices) > 0 && !slices.Contains(o.Choices, v) {
		return fmt.Errorf("'%s' is not one of the permitted values: %s", v, strings.Join(o.Choices, ", "))
	}
	return nil
}

// Canonical returns v as Ceph stores and shows it: sizes and integers without
// unit, both halves of a debug level, "true" for "yes". What is no value of the
// option stays as it is.
func (o Option) Canonical(v string) string {
	n, err := o.number(v)
	if err != nil {
		return v
	}
	switch o.Type {
	case Int, Uint:
		i, _ := ParseSI(v) // number has read it
		return strconv.FormatInt(i, 10)
	case Size:
		u, _ := ParseSize(v)
		return strconv.FormatUint(u, 10)
	case Secs:
		if n == math.Trunc(n) {
			return trim(n)
		}
		return strconv.FormatFloat(n, 'f', 6, 64)
	case Float:
		return strconv.FormatFloat(n, 'f', 6, 64)
	case Bool:
		return strconv.FormatBool(n != 0)
	case Debug:
		if !strings.Contains(v, "/") {
			v = strings.TrimSpace(v)
			return v + "/" + v
		}
	}
	return v
}

func trim(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// number parses v by type; the result is 0 for what is no number.
func (o Option) number(v string) (n float64, err error) {
	switch o.Type {
	case Int, Uint:
		var i int64
		if i, err = ParseSI(v); err == nil && i < 0 && o.Type == Uint {
			err = errors.New("strict_sistrtoll: value should not be negative")
		}
		n = float64(i)
	case Size:
		var u uint64
		u, err = ParseSize(v)
		n = float64(u)
	case Float:
		n, err = strconv.ParseFloat(v, 64)
		if err != nil || math.IsNaN(n) {
			err = fmt.Errorf("strict_strtod: expected double, got: '%s'", v)
		}
	case Bool:
		var b bool
		if b, err = ParseBool(v); b {
			n = 1
		}
	case Secs:
		var d time.Duration
		d, err = ParseSecs(v)
		n = d.Seconds()
	case UUID:
		if v != "" {
			_, err = entity.ParseUUID(v)
		}
	case Addr:
		if v != "" && v != "-" {
			_, err = entity.ParseAddrVec(v)
		}
	case Debug:
		n, err = parseDebug(v)
	}
	return n, err
}

func parseDebug(v string) (float64, error) {
	level, memory, both := strings.Cut(v, "/")
	n, err := strconv.ParseUint(strings.TrimSpace(level), 10, 8)
	if err == nil && both {
		_, err = strconv.ParseUint(strings.TrimSpace(memory), 10, 8)
	}
	if err != nil {
		return 0, errors.New("value must take the form N or N/M, where N and M are integers")
	}
	return float64(n), nil
}

// siUnits are the powers of 1000 that an integer may carry as its last letter.
const siUnits = "KMGTPE"

// ParseSI reads an integer, possibly with a decimal unit: 5, -1, 10K
// (strict_si_cast in src/common/strtol.cc). Errors are worded as there.
func ParseSI(v string) (int64, error) {
	s := strings.TrimSpace(v)
	if s == "" {
		return 0, errors.New("strict_sistrtoll: value not specified")
	}
	factor := int64(1)
	if strings.Trim(s, "0123456789+-") != "" {
		unit := strings.IndexByte(siUnits, s[len(s)-1])
		if unit < 0 && s[len(s)-1] != 'B' {
			return 0, errors.New("strict_si_cast: unit prefix not recognized")
		}
		if unit >= 0 {
			s = s[:len(s)-1]
		}
		for range unit + 1 {
			factor *= 1000
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, fmt.Errorf("The option value '%s' seems to be invalid", s)
	case err != nil:
		return 0, fmt.Errorf("Expected option value to be integer, got '%s'", s)
	case n > math.MaxInt64/factor || n < math.MinInt64/factor:
		return 0, errors.New("strict_sistrtoll: value out of range")
	}
	return n * factor, nil
}

// ParseSize reads a number of bytes: "4096", "4K", "128M", "1.5G" with or
// without "B" or "iB".
func ParseSize(s string) (uint64, error) {
	t := strings.TrimSpace(s)
	t = strings.TrimSuffix(strings.TrimSuffix(t, "B"), "i")
	shift := 0
	if n := len(t); n > 0 {
		if i := strings.IndexByte("KMGTPE", t[n-1]&^0x20); i >= 0 && t[n-1] > '9' {
			shift, t = 10*(i+1), strings.TrimSpace(t[:n-1])
		}
	}
	if u, err := strconv.ParseUint(t, 10, 64); err == nil && u <= math.MaxUint64>>shift {
		return u << shift, nil
	}
	f, err := strconv.ParseFloat(t, 64)
	if err != nil || f < 0 || f*float64(uint64(1)<<shift) >= math.MaxInt64 {
		return 0, errors.New("strict_iecstrtoll: unit prefix not recognized")
	}
	return uint64(f * float64(uint64(1)<<shift)), nil
}

// ParseBool reads true, false, yes, no, on, off, 1 or 0.
func ParseBool(s string) (bool, error) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	}
	return false, fmt.Errorf("Expected option value to be integer, got '%s'", s)
}

// ParseSecs reads a span of time: seconds as a number, or a number with a unit
// (ms, s, m, h, d, w).
func ParseSecs(s string) (time.Duration, error) {
	t := strings.TrimSpace(s)
	units := []struct {
		suffix string
		unit   time.Duration
	}{{"ms", time.Millisecond}, {"s", time.Second}, {"m", time.Minute}, {"h", time.Hour},
		{"d", 24 * time.Hour}, {"w", 7 * 24 * time.Hour}}
	unit := time.Second
	for _, u := range units {
		if rest, ok := strings.CutSuffix(t, u.suffix); ok {
			t, unit = strings.TrimSpace(rest), u.unit
			break
		}
	}
	f, err := strconv.ParseFloat(t, 64)
	if err != nil || math.Abs(f)*float64(unit) >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is not a span of time such as 20 or 5m", s)
	}
	return time.Duration(f * float64(unit)), nil
}

// Normalize returns an option's name with underscores and in lower case.
func Normalize(name string) string {
	f := func(r rune) rune {
		if r == ' ' || r == '-' {
			return '_'
		}
		return r
	}
	return strings.Map(f, strings.Join(strings.Fields(strings.ToLower(name)), " "))
}

// MonHosts reads the value of "mon host": addresses or [vectors] parted by
// commas, semicolons or spaces. An address without port gets Ceph's 3300.
// Host names are not resolved.
func MonHosts(s string) ([]entity.AddrVec, error) {
	var out []entity.AddrVec
	for s = strings.Trim(s, " ,;\t"); s != ""; s = strings.Trim(s, " ,;\t") {
		end := strings.IndexAny(s, " ,;\t")
		if s[0] == '[' && !strings.HasPrefix(s, "[:") {
			if i := strings.Index(s, "]"); i >= 0 {
				end = i + 1
				// "[v2:[::1]:3300]" holds a bracket of its own.
				if i+1 < len(s) && s[i+1] == ':' {
					if j := strings.Index(s[i+1:], "]"); j >= 0 {
						end = i + 1 + j + 1
					}
				}
			}
		}
		if end < 0 || end > len(s) {
			end = len(s)
		}
		v, err := entity.ParseAddrVec(s[:end])
		if err != nil {
			return nil, fmt.Errorf("mon host: %w", err)
		}
		for i := range v {
			if v[i].Port() == 0 {
				v[i].AddrPort = netip.AddrPortFrom(v[i].Addr(), monPort)
			}
		}
		out = append(out, v)
		s = s[end:]
	}
	return out, nil
}

// monPort is CEPH_MON_PORT_IANA.
const monPort = 3300
