package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// normal replaces in a text what differs between two clusters of the same shape:
// identities, times, addresses, amounts and the widths of columns that follow
// from them.
func normal(s string) string {
	for _, r := range replacements {
		s = r.pattern.ReplaceAllString(s, r.by)
	}
	return s
}

var replacements = []struct {
	pattern *regexp.Regexp
	by      string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?([+-]\d{4}|Z)?`), "TIME"},
	{regexp.MustCompile(`\[?v2:\d+\.\d+\.\d+\.\d+:\d+/\d+\]?`), "ADDR"},
	{regexp.MustCompile(`\d+\.\d+\.\d+\.\d+:\d+/\d+`), "ADDR"},
	{regexp.MustCompile(`\d+(\.\d+)? [KMGTP]?i?B\b`), "SIZE"},
	{regexp.MustCompile(`(?m)^ *\d+\.[0-9a-f]+\b`), "PG"},
	{regexp.MustCompile(`\b\d+(\.\d+)?([smhdw]|h|M)\b`), "AGE"},
	{regexp.MustCompile(`\b(ssd|hdd)\b`), "CLASS"},
	{regexp.MustCompile(`\d+(\.\d+)?(e[+-]\d+)?`), "N"},
	{regexp.MustCompile(`[ \t]+`), " "},
	{regexp.MustCompile(`-{2,}`), "--"},
	{regexp.MustCompile(`(?m) $`), ""},
}

// value is a JSON value that remembers the order of an object's members.
type value struct {
	kind    string // object, array, string, number, bool, null
	text    string // of a string or bool
	members []member
	items   []value
}

type member struct {
	key string
	value
}

func parseJSON(s string) (value, error) {
	d := json.NewDecoder(bytes.NewReader([]byte(s)))
	d.UseNumber()
	v, err := readValue(d)
	if err != nil {
		return value{}, fmt.Errorf("%w in %q", err, s)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return value{}, fmt.Errorf("more than one value in %q", s)
	}
	return v, nil
}

func readValue(d *json.Decoder) (value, error) {
	t, err := d.Token()
	if err != nil {
		return value{}, err
	}
	switch t := t.(type) {
	case string:
		return value{kind: "string", text: t}, nil
	case json.Number:
		return value{kind: "number", text: t.String()}, nil
	case bool:
		return value{kind: "bool", text: fmt.Sprint(t)}, nil
	case json.Delim:
		return readContainer(d, t)
	}
	return value{kind: "null"}, nil
}

func readContainer(d *json.Decoder, open json.Delim) (value, error) {
	v := value{kind: "array"}
	if open == '{' {
		v.kind = "object"
	}
	for d.More() {
		var m member
		if open == '{' {
			t, err := d.Token()
			if err != nil {
				return v, err
			}
			m.key, _ = t.(string)
		}
		item, err := readValue(d)
		if err != nil {
			return v, err
		}
		if open == '{' {
			m.value = item
			v.members = append(v.members, m)
		} else {
			v.items = append(v.items, item)
		}
	}
	_, err := d.Token()
	return v, err
}

func (v value) get(key string) (value, bool) {
	for _, m := range v.members {
		if m.key == key {
			return m.value, true
		}
	}
	return value{}, false
}

func (v value) keys() []string {
	var out []string
	for _, m := range v.members {
		out = append(out, m.key)
	}
	return out
}

// shapeDiff tells how got differs from want: members that one of them lacks,
// other types, other strings and truths (numbers may differ), and members in
// another order. Each difference is a line that starts with the path.
func shapeDiff(path string, got, want value) []string {
	if got.kind != want.kind {
		return []string{fmt.Sprintf("%s: is a %s, in Ceph a %s", path, got.kind, want.kind)}
	}
	switch got.kind {
	case "object":
		return objectDiff(path, got, want)
	case "array":
		return arrayDiff(path, got, want)
	case "string", "bool":
		if g, w := normal(got.text), normal(want.text); g != w {
			return []string{fmt.Sprintf("%s: is %q, in Ceph %q", path, got.text, want.text)}
		}
	}
	return nil
}

func objectDiff(path string, got, want value) []string {
	var out []string
	var common []string
	for _, m := range want.members {
		g, ok := got.get(m.key)
		if !ok {
			out = append(out, fmt.Sprintf("%s.%s: is missing", path, m.key))
			continue
		}
		common = append(common, m.key)
		out = append(out, shapeDiff(path+"."+m.key, g, m.value)...)
	}
	var ordered []string
	for _, k := range got.keys() {
		if _, ok := want.get(k); !ok {
			out = append(out, fmt.Sprintf("%s.%s: is not in Ceph", path, k))
			continue
		}
		ordered = append(ordered, k)
	}
	if !slices.Equal(common, ordered) {
		out = append(out, fmt.Sprintf("%s: the order is %s, in Ceph %s", path, strings.Join(ordered, " "), strings.Join(common, " ")))
	}
	return out
}

// arrayDiff compares items in pairs. Where one array is longer, its further items
// are compared with the other's last: they have the same shape.
func arrayDiff(path string, got, want value) []string {
	if (len(got.items) == 0) != (len(want.items) == 0) {
		return []string{fmt.Sprintf("%s: has %d items, in Ceph %d", path, len(got.items), len(want.items))}
	}
	var out []string
	for i := range max(len(got.items), len(want.items)) {
		g, w := got.items[min(i, len(got.items)-1)], want.items[min(i, len(want.items)-1)]
		for _, d := range shapeDiff(path+"[]", g, w) {
			if !slices.Contains(out, d) {
				out = append(out, d)
			}
		}
	}
	return out
}
