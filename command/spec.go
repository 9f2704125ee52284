package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Flags of a command (MonCommand::FLAG_* in src/mon/MonCommand.h).
const (
	FlagNoForward  = 1 << 0
	FlagObsolete   = 1 << 1
	FlagDeprecated = 1 << 2
	FlagMgr        = 1 << 3 // clients send it to the manager
	FlagPoll       = 1 << 4
	FlagHidden     = 1 << 5
	FlagTell       = 1 << 6 // only by ceph tell and the admin socket
)

// Spec describes a command.
type Spec struct {
	Sig    string // literal words and argument descriptors, parted by spaces
	Help   string
	Module string // mon, osd, pg, config-key, ...; empty in the short form
	Perm   string // r, w, rw, rx, ...
	Flags  int
}

// Prefix returns the literal words that the signature starts with.
func (s Spec) Prefix() string {
	var words []string
	for word := range strings.FieldsSeq(s.Sig) {
		if strings.ContainsAny(word, ",=") {
			break
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// Arg is one argument of a signature.
type Arg struct {
	Name, Type string
	Required   bool
	Many       bool // n=N: a list
	Choices    []string
}

// Args returns the arguments of the signature.
func (s Spec) Args() []Arg {
	var out []Arg
	for word := range strings.FieldsSeq(s.Sig) {
		if !strings.ContainsAny(word, ",=") {
			continue
		}
		a := Arg{Type: "CephString", Required: true}
		for _, kv := range descriptor(word) {
			switch kv[0] {
			case "name":
				a.Name = kv[1]
			case "type":
				a.Type = kv[1]
			case "req":
				a.Required = kv[1] != "false"
			case "n":
				a.Many = kv[1] == "N"
			case "strings":
				a.Choices = strings.Split(kv[1], "|")
			}
		}
		out = append(out, a)
	}
	return out
}

// descriptor splits "name=x,type=y,..." into pairs. A part without "=" belongs
// to the value before it.
func descriptor(word string) [][2]string {
	var out [][2]string
	for part := range strings.SplitSeq(word, ",") {
		if k, v, ok := strings.Cut(part, "="); ok {
			out = append(out, [2]string{k, v})
		} else if len(out) > 0 {
			out[len(out)-1][1] += "," + part
		}
	}
	return out
}

// Descriptions returns the answer to get_command_descriptions: an object with
// one member for each spec, "cmd000", "cmd001", ...
func Descriptions(specs []Spec) []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, s := range specs {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"cmd%03d":{"sig":%s,"help":%s`, i, s.sigJSON(), quote(s.Help))
		if s.Module != "" {
			fmt.Fprintf(&b, `,"module":%s,"perm":%s,"flags":%d`, quote(s.Module), quote(s.Perm), s.Flags)
		}
		b.WriteByte('}')
	}
	b.WriteByte('}')
	return b.Bytes()
}

func (s Spec) sigJSON() string {
	var parts []string
	for word := range strings.FieldsSeq(s.Sig) {
		if !strings.ContainsAny(word, ",=") {
			parts = append(parts, quote(word))
			continue
		}
		var members []string
		for _, kv := range descriptor(word) {
			members = append(members, quote(kv[0])+":"+quote(kv[1]))
		}
		parts = append(parts, "{"+strings.Join(members, ",")+"}")
	}
	return "[" + strings.Join(parts, ",") + "]"
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""` // cannot happen: strings always marshal
	}
	return string(b)
}
