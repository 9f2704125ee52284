package crush

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// SyntaxError is a fault in the text form.
type SyntaxError struct {
	File string
	Line int // from 1
	Msg  string
}

// Error returns "file:line error: message".
func (e *SyntaxError) Error() string { return fmt.Sprintf("%s:%d error: %s", e.File, e.Line, e.Msg) }

// token is a word, a number, or one of { } [ ].
type token struct {
	text string
	line int
}

// tokenize splits the text. '#' starts a comment.
func tokenize(text string) []token {
	var tokens []token
	for n, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		for _, bracket := range []string{"{", "}", "[", "]"} {
			line = strings.ReplaceAll(line, bracket, " "+bracket+" ")
		}
		for _, word := range strings.Fields(line) {
			tokens = append(tokens, token{word, n + 1})
		}
	}
	return tokens
}

// The grammar below is the one of src/crush/grammar.h:
//
//	map     = { tunable | device | type } { bucket | rule } { choose_args }
//	tunable = "tunable" name number
//	device  = "device" number name [ "class" name ]
//	type    = "type" number name
//	bucket  = name name "{" { "id" negative [ "class" name ] } "alg" name { "hash" hash } { item } "}"
//	item    = "item" name [ "weight" real ] [ "pos" number ]
//	rule    = "rule" [ name ] "{" ( "id" | "ruleset" ) number "type" ( "replicated" | "erasure" )
//	          "min_size" number "max_size" number step { step } "}"
//	step    = "step" ( "take" name [ "class" name ] | "emit" | set number |
//	          ( "choose" | "chooseleaf" ) ( "indep" | "firstn" ) integer "type" name )
//	choose_args = "choose_args" number "{" { "{" "bucket_id" negative [ sets ] [ ids ] "}" } "}"
//	sets    = "weight_set" "[" { "[" { real } "]" } "]"
//	ids     = "ids" "[" { integer } "]"

// sourceBucket is a bucket as written.
type sourceBucket struct {
	line      int
	typ, name string
	ids       []sourceID
	alg       string
	hash      int32
	items     []sourceItem
}

type sourceID struct {
	id    int32
	class string // "" for the bucket's own id
}

type sourceItem struct {
	line      int
	name      string
	weight    float32
	hasWeight bool
	pos       int32 // -1: none given
}

type sourceRule struct {
	line        int
	name        string
	id          int32
	typ         string
	minSize     int32
	maxSize     int32
	steps       []sourceStep
	bucketsSeen int // how many buckets stand before the rule
}

type sourceStep struct {
	line   int
	op     Op
	number int32
	name   string // of the item taken or the type chosen
	class  string
}

type sourceArg struct {
	line   int
	bucket int32
	sets   [][]float32
	ids    []int32
}

type sourceArgs struct {
	line int
	id   int32
	args []sourceArg
}

type parser struct {
	file   string
	tokens []token
	pos    int
}

func (p *parser) line() int {
	if p.pos < len(p.tokens) {
		return p.tokens[p.pos].line
	}
	if n := len(p.tokens); n > 0 {
		return p.tokens[n-1].line
	}
	return 1
}

// peek returns the text n tokens ahead, "" at the end.
func (p *parser) peek(n int) string {
	if p.pos+n < len(p.tokens) {
		return p.tokens[p.pos+n].text
	}
	return ""
}

// fail unwinds to parse.
func (p *parser) fail(line int, format string, args ...any) {
	panic(&SyntaxError{File: p.file, Line: line, Msg: fmt.Sprintf(format, args...)})
}

func (p *parser) unexpected(want string) {
	got := p.peek(0)
	if got == "" {
		got = "end of file"
	}
	p.fail(p.line(), "parse error at '%s': expected %s", got, want)
}

func (p *parser) accept(word string) bool {
	if p.peek(0) != word {
		return false
	}
	p.pos++
	return true
}

func (p *parser) expect(word string) {
	if !p.accept(word) {
		p.unexpected("'" + word + "'")
	}
}

func (p *parser) name() string {
	s := p.peek(0)
	if !ValidName(s) {
		p.unexpected("a name")
	}
	p.pos++
	return s
}

var (
	integerForm = regexp.MustCompile(`^-?[0-9]+$`)
	realForm    = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)
)

// integer reads a number the way strtol and a cast to int do: one that is too
// large for 64 bits is the largest there is, of which the lower 32 bits are
// kept.
func (p *parser) integer() int32 {
	s := p.peek(0)
	if !integerForm.MatchString(s) {
		p.unexpected("an integer")
	}
	p.pos++
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		p.fail(p.line(), "bad number '%s'", s)
	}
	return int32(n)
}

func (p *parser) number() int32 {
	if strings.HasPrefix(p.peek(0), "-") {
		p.unexpected("a number from 0")
	}
	return p.integer()
}

func (p *parser) negative() int32 {
	if !strings.HasPrefix(p.peek(0), "-") {
		p.unexpected("a negative number")
	}
	return p.integer()
}

func (p *parser) real() float32 {
	s := p.peek(0)
	if !realForm.MatchString(s) {
		p.unexpected("a number")
	}
	p.pos++
	f, err := strconv.ParseFloat(s, 32)
	if err != nil || math.IsInf(f, 0) {
		p.fail(p.line(), "number '%s' is out of range", s)
	}
	return float32(f)
}

func (p *parser) bucket() sourceBucket {
	b := sourceBucket{line: p.line(), typ: p.name(), name: p.name()}
	p.expect("{")
	for p.accept("id") {
		id := sourceID{id: p.negative()}
		if p.accept("class") {
			id.class = p.name()
		}
		b.ids = append(b.ids, id)
	}
	p.expect("alg")
	b.alg = p.name()
	for p.accept("hash") {
		b.hash = 0
		if !p.accept("rjenkins1") {
			b.hash = p.integer()
		}
	}
	for p.peek(0) == "item" {
		b.items = append(b.items, p.item())
	}
	p.expect("}")
	return b
}

func (p *parser) item() sourceItem {
	i := sourceItem{line: p.line(), pos: -1}
	p.expect("item")
	i.name = p.name()
	if p.accept("weight") {
		i.weight, i.hasWeight = p.real(), true
	}
	if p.accept("pos") {
		i.pos = p.number()
	}
	return i
}

// atRule tells a rule from a bucket of a type named "rule".
func (p *parser) atRule() bool {
	if p.peek(0) != "rule" {
		return false
	}
	body := 2
	if p.peek(1) != "{" {
		body = 3
	}
	switch p.peek(body) {
	case "alg":
		return false
	case "id":
		return !strings.HasPrefix(p.peek(body+1), "-")
	}
	return true
}

func (p *parser) rule() sourceRule {
	r := sourceRule{line: p.line()}
	p.expect("rule")
	if p.peek(0) != "{" {
		r.name = p.name()
	}
	p.expect("{")
	if !p.accept("id") && !p.accept("ruleset") {
		p.unexpected("'id'")
	}
	r.id = p.number()
	p.expect("type")
	switch r.typ = p.peek(0); r.typ {
	case "replicated", "erasure":
		p.pos++
	default:
		p.unexpected("'replicated' or 'erasure'")
	}
	p.expect("min_size")
	r.minSize = p.number()
	p.expect("max_size")
	r.maxSize = p.number()
	for len(r.steps) == 0 || p.peek(0) == "step" {
		r.steps = append(r.steps, p.step())
	}
	p.expect("}")
	return r
}

func (p *parser) step() sourceStep {
	s := sourceStep{line: p.line()}
	p.expect("step")
	word := p.peek(0)
	switch word {
	case "take":
		p.pos++
		s.op, s.name = OpTake, p.name()
		if p.accept("class") {
			s.class = p.name()
		}
		return s
	case "emit":
		p.pos++
		s.op = OpEmit
		return s
	case "choose", "chooseleaf":
		p.pos++
		ops := map[string]Op{
			"choose firstn": OpChooseFirstN, "choose indep": OpChooseIndep,
			"chooseleaf firstn": OpChooseLeafFirstN, "chooseleaf indep": OpChooseLeafIndep,
		}
		op, ok := ops[word+" "+p.peek(0)]
		if !ok {
			p.unexpected("'firstn' or 'indep'")
		}
		p.pos++
		s.op, s.number = op, p.integer()
		p.expect("type")
		s.name = p.name()
		return s
	}
	for op, name := range setStepNames {
		if word == name {
			p.pos++
			s.op, s.number = op, p.number()
			return s
		}
	}
	p.unexpected("a step")
	return s
}

func (p *parser) chooseArgs() sourceArgs {
	a := sourceArgs{line: p.line()}
	p.expect("choose_args")
	a.id = p.number()
	p.expect("{")
	for p.peek(0) == "{" {
		a.args = append(a.args, p.chooseArg())
	}
	p.expect("}")
	return a
}

func (p *parser) chooseArg() sourceArg {
	a := sourceArg{line: p.line()}
	p.expect("{")
	p.expect("bucket_id")
	a.bucket = p.negative()
	if p.accept("weight_set") {
		p.expect("[")
		for p.accept("[") {
			set := []float32{}
			for !p.accept("]") {
				set = append(set, p.real())
			}
			a.sets = append(a.sets, set)
		}
		p.expect("]")
	}
	if p.accept("ids") {
		p.expect("[")
		a.ids = []int32{}
		for !p.accept("]") {
			a.ids = append(a.ids, p.integer())
		}
	}
	p.expect("}")
	return a
}
