package check

import (
	"strings"
	"testing"

	"sepiola/pglog"
)

// history makes operations of one client after another, one at a time.
type history struct {
	ops History
	at  int64
	v   uint64
}

// do adds an operation of a client that was answered before the next was sent.
func (h *history) do(client int, result int32, outs []Out, steps ...Step) *Op {
	o := &Op{Client: client, TID: uint64(len(h.ops) + 1), Object: "o", Steps: steps, Sends: 1, Call: h.at}
	if o.Writes() {
		h.v++
	}
	h.at += 2
	o.Replies = []Reply{{At: h.at - 1, Result: result, Version: pglog.Version{Epoch: 1, V: h.v}, UserVersion: h.v, Outs: outs}}
	h.ops = append(h.ops, o)
	return o
}

func (h *history) append(client int, word string) *Op {
	return h.do(client, 0, nil, Step{Kind: Append, Val: word})
}

func (h *history) read(client int, data string) *Op {
	return h.do(client, 0, []Out{{Data: data}}, Step{Kind: Read})
}

// Each promise about appended words, and how it is broken.
func TestAppends(t *testing.T) {
	for _, c := range []struct {
		name, data, want string
		change           func(h *history)
	}{
		{"as it should be", "a;b;c;", "", nil},
		{"lost", "a;c;", "acknowledged and is lost", nil},
		{"twice", "a;b;c;b;", "applied twice", nil},
		{"swapped", "b;a;c;", "sent earlier", nil},
		{"taken back", "a;b;c;", "taken back", func(h *history) { h.read(1, "a;x;") }},
		{"stale", "a;b;c;", "stale read", func(h *history) { h.read(1, "a;b;") }},
		{"refused", "a;b;c;", "was refused and is there", func(h *history) { h.ops[1].Replies[0].Result = -5 }},
	} {
		h := &history{}
		h.append(0, "a;")
		h.append(0, "b;")
		h.append(1, "c;")
		if c.change != nil {
			c.change(h)
		}
		expect(t, c.name, Appends(h.ops, c.data, Options{}), c.want)
	}
}

// Histories that have an order, and such that have none.
func TestLinear(t *testing.T) {
	end := Object{Exists: true, Data: "a;b;"}
	for _, c := range []struct {
		name, want string
		opt        Options
		change     func(h *history)
	}{
		{"as it should be", "", Options{}, func(h *history) { h.read(1, "a;b;") }},
		{"a stale read", "o: no order", Options{}, func(h *history) { h.stale() }},
		{"a stale read that is allowed", "", Options{StaleReads: true}, func(h *history) { h.stale() }},
		{"a read of what never was", "o: no order", Options{StaleReads: true}, func(h *history) { h.read(1, "b;") }},
		{"versions that go back", "user version", Options{}, func(h *history) { h.ops[1].Replies[0].UserVersion = 1 }},
		{"another result", "result -17, 0 expected", Options{}, func(h *history) { h.ops[1].Replies[0].Result = -17 }},
		{"not answered", "unanswered", Options{}, func(h *history) { h.ops[1].Replies = nil }},
		{"a read error", "o: no order", Options{}, func(h *history) { h.do(1, -5, nil, Step{Kind: Read}) }},
		{"a read error that is allowed", "", Options{ReadErrors: true}, func(h *history) { h.do(1, -5, nil, Step{Kind: Read}) }},
		{"another end", "the object would be", Options{}, func(h *history) { h.append(1, "c;") }},
		{"swapped writes at the same time", "o: no order", Options{}, func(h *history) {
			a, b := h.ops[0], h.ops[1]
			a.Call, b.Call, a.Replies[0].At = 0, 0, b.Replies[0].At
			a.Steps, b.Steps = b.Steps, a.Steps
			a.Replies, b.Replies = b.Replies, a.Replies
		}},
	} {
		h := &history{}
		h.append(0, "a;")
		h.append(0, "b;")
		c.change(h)
		expect(t, c.name, Linear(h.ops, end, c.opt), c.want)
	}
}

// stale adds a read of what was there before the last write, and its version.
func (h *history) stale() {
	h.read(1, "a;").Replies[0].UserVersion = 1
}

// A resend must be answered as the first time.
func TestResends(t *testing.T) {
	for _, c := range []struct {
		name, want string
		change     func(o *Op, second *Reply)
	}{
		{"the same", "", func(*Op, *Reply) {}},
		{"another result", "the answer was -2", func(_ *Op, r *Reply) { r.Result = -2 }},
		{"another version", "at version 1'9", func(_ *Op, r *Reply) { r.Version.V = 9 }},
		{"other outputs", "outputs", func(o *Op, r *Reply) { o.Returns, r.Outs = true, []Out{{Data: "x"}} }},
		{"other outputs nobody asked for", "", func(_ *Op, r *Reply) { r.Outs = []Out{{Data: "x"}} }},
	} {
		h := &history{}
		o := h.append(0, "a;")
		second := o.Replies[0]
		c.change(o, &second)
		o.Replies = append(o.Replies, second)
		expect(t, c.name, Resends(h.ops), c.want)
	}
}

// The model does to an object what RADOS does.
func TestObject(t *testing.T) {
	for _, c := range []struct {
		steps  []Step
		result int32
		want   Object
	}{
		{[]Step{{Kind: Write, Off: 2, Val: "xy"}}, 0, Object{Exists: true, Data: "abxye"}},
		{[]Step{{Kind: Write, Off: 6, Val: "x"}}, 0, Object{Exists: true, Data: "abcde\x00x"}},
		{[]Step{{Kind: Truncate, Off: 7}}, 0, Object{Exists: true, Data: "abcde\x00\x00"}},
		{[]Step{{Kind: Zero, Off: 1, Len: 2}}, 0, Object{Exists: true, Data: "a\x00\x00de"}},
		{[]Step{{Kind: Zero, Off: 3, Len: 9}}, 0, Object{Exists: true, Data: "abc"}},
		{[]Step{{Kind: Zero, Off: 9, Len: 9}}, 0, Object{Exists: true, Data: "abcde"}},
		{[]Step{{Kind: Remove}, {Kind: Append, Val: "x"}}, 0, Object{Exists: true, Data: "x"}},
		{[]Step{{Kind: Append, Val: "x"}, {Kind: CreateExcl}}, eExist, Object{Exists: true, Data: "abcde"}},
		{[]Step{{Kind: CmpXattr, Key: "k", Val: "v"}, {Kind: Remove}}, eCanceled, Object{Exists: true, Data: "abcde"}},
		{[]Step{{Kind: SetXattr, Key: "k", Val: "v"}}, 0, Object{Exists: true, Data: "abcde", Attrs: map[string]string{"k": "v"}}},
		{[]Step{{Kind: AssertVer, Version: 3}, {Kind: Remove}}, eRange, Object{Exists: true, Data: "abcde"}},
		{[]Step{{Kind: AssertVer, Version: 5}, {Kind: Remove}}, eOverflow, Object{Exists: true, Data: "abcde"}},
	} {
		x := run(Object{Exists: true, Data: "abcde", Version: 4}, &Op{Steps: c.steps})
		if x.result != c.result || !x.object.Equal(&c.want) {
			t.Errorf("%v: %d, %s; want %d, %s", c.steps, x.result, x.object.describe(), c.result, c.want.describe())
		}
	}
}

func expect(t *testing.T, name string, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: %v", name, err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("%s: %v, want %q", name, err, want)
	}
}
