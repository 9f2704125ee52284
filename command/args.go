package command

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Args are a command's arguments by name, as the client sent them: strings,
// numbers (float64), booleans, or lists of those.
type Args map[string]any

// maxCommandBytes bounds a command's JSON.
const maxCommandBytes = 4 << 20

// Parse reads the words of a command message: JSON, possibly in several parts.
func Parse(cmd []string) (Args, error) {
	s := strings.Join(cmd, "")
	if len(s) > maxCommandBytes {
		return nil, fmt.Errorf("command of %d bytes; at most %d are taken", len(s), maxCommandBytes)
	}
	var a Args
	if err := json.Unmarshal([]byte(s), &a); err != nil {
		return nil, fmt.Errorf("command is not valid JSON: %w", err)
	}
	if _, ok := a["prefix"].(string); !ok {
		return nil, fmt.Errorf("command has no prefix")
	}
	return a, nil
}

// Prefix returns the literal words of the command.
func (a Args) Prefix() string {
	s, _ := a["prefix"].(string)
	return s
}

// Format returns the output format asked for: "plain" unless given.
func (a Args) Format() string {
	if s := a.String("format"); s != "" {
		return s
	}
	return "plain"
}

// Has reports whether the argument was given.
func (a Args) Has(name string) bool {
	_, ok := a[name]
	return ok
}

// String returns an argument as a string; empty if absent.
func (a Args) String(name string) string {
	switch v := a[name].(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

// Int returns an argument as an integer. An absent one is def.
func (a Args) Int(name string, def int64) (int64, error) {
	switch v := a[name].(type) {
	case nil:
		return def, nil
	case float64:
		return int64(v), nil
	case string:
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %q is not an integer", name, v)
		}
		return n, nil
	}
	return 0, fmt.Errorf("%s: not an integer", name)
}

// Float returns an argument as a number. An absent one is def.
func (a Args) Float(name string, def float64) (float64, error) {
	switch v := a[name].(type) {
	case nil:
		return def, nil
	case float64:
		return v, nil
	case string:
		f, err := strconv.ParseFloat(v, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %q is not a number", name, v)
		}
		return f, nil
	}
	return 0, fmt.Errorf("%s: not a number", name)
}

// Bool returns an argument as a truth value. Absent is false; so is a
// "--yes-i-really-mean-it" style choice that was not given.
func (a Args) Bool(name string) bool {
	switch v := a[name].(type) {
	case bool:
		return v
	case string:
		return v != "" && v != "false"
	}
	return false
}

// Strings returns a list argument; a single value counts as a list of one.
func (a Args) Strings(name string) []string {
	list, ok := a[name].([]any)
	if !ok {
		if s := a.String(name); s != "" {
			return []string{s}
		}
		return nil
	}
	var out []string
	for i := range list {
		out = append(out, Args{"": list[i]}.String(""))
	}
	return out
}

// Check reports what is wrong with the arguments by the signature of s: one
// missing, one of a choice that is not offered. Types are checked by those
// who read them.
func (s Spec) Check(a Args) error {
	for _, arg := range s.Args() {
		if !a.Has(arg.Name) {
			if arg.Required {
				return fmt.Errorf("missing required parameter %s(<%s>)", arg.Name, strings.ToLower(arg.Type))
			}
			continue
		}
		if len(arg.Choices) == 0 || arg.Type != "CephChoices" {
			continue
		}
		for _, v := range a.Strings(arg.Name) {
			if !contains(arg.Choices, v) {
				return fmt.Errorf("%s not in %s", v, strings.Join(arg.Choices, "|"))
			}
		}
	}
	return nil
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}
