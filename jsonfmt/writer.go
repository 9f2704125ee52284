package jsonfmt

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const indent = "    "

type section struct {
	array  bool
	values int
}

// Writer builds one JSON value. The zero value writes the compact form.
type Writer struct {
	b      []byte
	pretty bool
	stack  []section
}

// New returns a writer of the compact form (`-f json`) or the pretty one (`-f
// json-pretty`).
func New(pretty bool) *Writer { return &Writer{pretty: pretty} }

// Pretty reports which form is written.
func (w *Writer) Pretty() bool { return w.pretty }

// Bytes returns what was written. In the pretty form it ends with a line break
// once the outermost section is closed.
func (w *Writer) Bytes() []byte { return w.b }

// Text returns what was written as a string.
func (w *Writer) Text() string { return string(w.b) }

// OpenObject begins an object; name counts inside an object only.
func (w *Writer) OpenObject(name string) { w.open(name, '{', false) }

// OpenArray begins an array; name counts inside an object only.
func (w *Writer) OpenArray(name string) { w.open(name, '[', true) }

func (w *Writer) open(name string, bracket byte, array bool) {
	w.name(name)
	w.b = append(w.b, bracket)
	w.stack = append(w.stack, section{array: array})
}

// Close ends the innermost open section. Without one it does nothing.
func (w *Writer) Close() {
	if len(w.stack) == 0 {
		return
	}
	top := w.stack[len(w.stack)-1]
	w.stack = w.stack[:len(w.stack)-1]
	if w.pretty && top.values > 0 {
		w.newline(len(w.stack))
	}
	if top.array {
		w.b = append(w.b, ']')
	} else {
		w.b = append(w.b, '}')
	}
	if w.pretty && len(w.stack) == 0 {
		w.b = append(w.b, '\n')
	}
}

func (w *Writer) newline(depth int) {
	w.b = append(w.b, '\n')
	for range depth {
		w.b = append(w.b, indent...)
	}
}

// name writes what goes before a value: comma, line break, key.
func (w *Writer) name(name string) {
	if len(w.stack) == 0 {
		return
	}
	top := &w.stack[len(w.stack)-1]
	if top.values > 0 {
		w.b = append(w.b, ',')
	}
	top.values++
	if w.pretty {
		w.newline(len(w.stack))
	}
	if top.array {
		return
	}
	w.quoted(name)
	w.b = append(w.b, ':')
	if w.pretty {
		w.b = append(w.b, ' ')
	}
}

func (w *Writer) quoted(s string) {
	w.b = append(w.b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			w.b = append(w.b, '\\', c)
		case c == '\t':
			w.b = append(w.b, '\\', 't')
		case c == '\n':
			w.b = append(w.b, '\\', 'n')
		case c < 0x20 || c == 0x7f:
			w.b = fmt.Appendf(w.b, "\\u%04x", c)
		default:
			w.b = append(w.b, c)
		}
	}
	w.b = append(w.b, '"')
}

// Int writes a signed number.
func (w *Writer) Int(name string, v int64) {
	w.name(name)
	w.b = strconv.AppendInt(w.b, v, 10)
}

// Uint writes an unsigned number.
func (w *Writer) Uint(name string, v uint64) {
	w.name(name)
	w.b = strconv.AppendUint(w.b, v, 10)
}

// Float writes a number with 17 significant digits at most.
func (w *Writer) Float(name string, v float64) {
	w.name(name)
	w.b = append(w.b, Float(v, 17)...)
}

// Bool writes true or false.
func (w *Writer) Bool(name string, v bool) {
	w.name(name)
	w.b = strconv.AppendBool(w.b, v)
}

// String writes a quoted string.
func (w *Writer) String(name, v string) {
	w.name(name)
	w.quoted(v)
}

// Stringf writes a quoted string made by [fmt.Sprintf].
func (w *Writer) Stringf(name, format string, args ...any) {
	w.String(name, fmt.Sprintf(format, args...))
}

// Time writes a quoted [Stamp].
func (w *Writer) Time(name string, t time.Time) { w.String(name, Stamp(t)) }

// Raw writes v as it is: a number in a form of its own, or JSON made elsewhere.
func (w *Writer) Raw(name, v string) {
	w.name(name)
	w.b = append(w.b, v...)
}

// Strings writes an array of strings.
func (w *Writer) Strings(name string, v []string) {
	w.OpenArray(name)
	for _, s := range v {
		w.String("", s)
	}
	w.Close()
}

// Float formats v like a C++ stream of that precision (%g of C): without
// trailing zeros, with an exponent where it is below -4 or not below the
// precision.
func Float(v float64, precision int) string {
	switch {
	case math.IsNaN(v):
		return "nan"
	case math.IsInf(v, 1):
		return "inf"
	case math.IsInf(v, -1):
		return "-inf"
	case v == 0:
		if math.Signbit(v) {
			return "-0"
		}
		return "0"
	}
	sci := strconv.FormatFloat(v, 'e', precision-1, 64)
	mantissa, exponent, _ := strings.Cut(sci, "e")
	exp, _ := strconv.Atoi(exponent)
	if exp < -4 || exp >= precision {
		return trimZeros(mantissa) + "e" + exponent
	}
	return trimZeros(strconv.FormatFloat(v, 'f', precision-1-exp, 64))
}

func trimZeros(s string) string {
	if !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}

// stampMin is the time below which a stamp is not a date (utime_t::localtime).
const stampMin = 10 * 365 * 24 * time.Hour

func isDate(t time.Time) bool { return !t.IsZero() && time.Duration(t.Unix())*time.Second >= stampMin }

// Stamp formats a time as Ceph prints a utime_t:
// "2026-11-21T07:49:12.345678+0000" in UTC; a time of less than ten years as
// seconds, "0.000000".
func Stamp(t time.Time) string {
	if !isDate(t) {
		return seconds(t)
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000+0000")
}

// StampZ formats a time as utime_t::gmtime does:
// "2026-11-21T07:49:12.345678Z".
func StampZ(t time.Time) string {
	if !isDate(t) {
		return seconds(t)
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000Z")
}

func seconds(t time.Time) string {
	if t.IsZero() {
		return "0.000000"
	}
	return fmt.Sprintf("%d.%06d", t.Unix(), t.Nanosecond()/1000)
}

// Timespan formats a duration as Ceph prints ages: one unit, at least two of
// it ("90s", "17m", "3d"), fractions below two seconds (ceph::timespan_str).
func Timespan(d time.Duration) string {
	if d < 2*time.Second {
		return Float(float64(float32(d.Seconds())), 6) + "s"
	}
	n := int64(d / time.Second)
	for _, u := range []struct {
		below, div int64
		name       string
	}{
		{120, 60, "s"}, {120, 60, "m"}, {48, 24, "h"},
	} {
		if n < u.below {
			return strconv.FormatInt(n, 10) + u.name
		}
		n /= u.div
	}
	switch days := n; {
	case days < 14:
		return strconv.FormatInt(days, 10) + "d"
	case days/7 < 12:
		return strconv.FormatInt(days/7, 10) + "w"
	case days/30 < 24:
		return strconv.FormatInt(days/30, 10) + "M"
	default:
		return strconv.FormatInt(days/365, 10) + "y"
	}
}

// Lines returns s as it arrives when a monitor puts a text stream into its
// answer (bufferlist::append(istream&) in Ceph): without its empty lines, and
// with a line break after the last. Answers of `osd dump`, `osd tree` and most
// others go that way, in JSON too.
func Lines(s string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(s, "\n") {
		if line != "" {
			b.WriteString(line)
			b.WriteByte('\n')
		}
	}
	return b.String()
}
