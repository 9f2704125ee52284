package check

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"
)

// Options say what may be expected.
type Options struct {
	// StaleReads lets a read see the object as it was earlier than when the read
	// was sent. A write is held to its time in any case.
	StaleReads bool
	// LooseReads lets a read pass writes that its client sent earlier or later: a PG
	// whose pool was full forgets writes until they are sent again, but no reads.
	LooseReads bool
	// ReadErrors lets an operation fail with EIO, without effect.
	ReadErrors bool
}

// progress is a state of the search: the object, the highest user version so far,
// and how many writes of each client are done.
type progress struct {
	Object
	high uint64
	done [clientsMax]uint16
}

// clientsMax bounds how many clients a history may have.
const clientsMax = 8

// call is an operation with its place in its client's order: how many of its
// client's writes come before it; -1 for one that may come any time.
type call struct {
	*Op
	place int
}

// final is the object as it is found in the end, by nobody's operation.
type final struct{ Object }

// Linear looks for an order of one object's operations that explains all they
// were told and ends with what is there now. All operations must be answered.
func Linear(ops History, end Object, opt Options) error {
	hist := make([]porcupine.Operation, 0, len(ops)+1)
	var count [clientsMax]int
	last := int64(0)
	for _, o := range ops {
		if o.Client >= clientsMax {
			return fmt.Errorf("client.%d: a history has at most %d clients", o.Client, clientsMax)
		}
		if len(o.Replies) == 0 {
			return fmt.Errorf("%v", o)
		}
		c := call{o, count[o.Client]}
		at := o.Call
		switch {
		case o.Writes():
			count[o.Client]++
		case opt.StaleReads:
			c.place, at = -1, 0
		case opt.LooseReads || o.Sends > 1:
			c.place = -1 // one that was sent again is done again, perhaps late
		}
		last = max(last, o.Replies[0].At)
		hist = append(hist, porcupine.Operation{ClientId: o.Client, Input: c, Call: at, Output: &o.Replies[0], Return: o.Replies[0].At})
	}
	hist = append(hist, porcupine.Operation{Input: final{end}, Call: last + 1, Return: last + 2})
	if porcupine.CheckOperations(model(opt), hist) {
		return nil
	}
	_, info := porcupine.CheckOperationsVerbose(model(opt), hist, 0)
	return fmt.Errorf("%s: no order of its operations explains their results:%s", ops[0].Object, explain(hist, info, opt))
}

func model(opt Options) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return &progress{} },
		Step: func(s, in, out any) (bool, any) {
			p := s.(*progress)
			if f, ok := in.(final); ok {
				return p.Equal(&f.Object), p
			}
			next, why := p.take(in.(call), out.(*Reply), opt)
			return why == "", next
		},
		Equal: func(a, b any) bool {
			p, q := a.(*progress), b.(*progress)
			return p.done == q.done && p.high == q.high && p.Version == q.Version && p.hadOmap == q.hadOmap &&
				p.Object.Equal(&q.Object)
		},
	}
}

// take returns the state after an operation, or says why it cannot come next.
func (p *progress) take(c call, r *Reply, opt Options) (*progress, string) {
	next := *p
	if c.place >= 0 {
		if int(p.done[c.Client]) != c.place {
			return p, "out of its client's order"
		}
		if c.Writes() {
			next.done[c.Client]++
		}
	}
	if opt.ReadErrors && r.Result == eIO {
		return &next, ""
	}
	want := run(p.Object, c.Op)
	if why := want.compare(c.Op, r); why != "" {
		return p, why
	}
	if want.result < 0 {
		return &next, ""
	}
	next.Object = want.object
	switch {
	case want.changed && r.UserVersion <= p.high:
		return p, fmt.Sprintf("user version %d after %d", r.UserVersion, p.high)
	case want.changed:
		next.high = r.UserVersion
		if next.Exists {
			next.Version = r.UserVersion
		}
	case r.UserVersion != p.Version && !(c.Writes() && r.UserVersion == 0):
		// A write that changes nothing is logged without a user version, as in Ceph, so
		// that is what a resend is told.
		return p, fmt.Sprintf("user version %d of an object at %d", r.UserVersion, p.Version)
	}
	return &next, ""
}

// compare says how a reply differs from what was to be expected.
func (x *outcome) compare(op *Op, r *Reply) string {
	if x.result != r.Result {
		return fmt.Sprintf("result %d, %d expected", r.Result, x.result)
	}
	if op.Writes() && !op.Returns || !op.Writes() && r.Result < 0 {
		return ""
	}
	for i, want := range x.outs {
		if i >= len(r.Outs) || r.Outs[i] != want {
			return fmt.Sprintf("outputs %q, %q expected", r.Outs, x.outs)
		}
	}
	return ""
}

// explain shows the longest order that was found, and why nothing goes on from
// there.
func explain(hist []porcupine.Operation, info porcupine.LinearizationInfo, opt Options) string {
	var best []porcupine.Operation
	for _, partition := range info.PartialLinearizationsOperations() {
		for _, list := range partition {
			if len(list) > len(best) {
				best = list
			}
		}
	}
	p := &progress{}
	done := map[*Op]bool{}
	var b strings.Builder
	for i, o := range best {
		c, ok := o.Input.(call)
		if !ok {
			continue
		}
		p, _ = p.take(c, o.Output.(*Reply), opt)
		done[c.Op] = true
		if i >= len(best)-12 {
			fmt.Fprintf(&b, "\n    done %v", c.Op)
		}
	}
	rest := slices.DeleteFunc(slices.Clone(hist), func(o porcupine.Operation) bool {
		c, ok := o.Input.(call)
		return ok && done[c.Op]
	})
	deadline := rest[0].Return
	for _, o := range rest {
		deadline = min(deadline, o.Return)
	}
	for _, o := range rest {
		if o.Call > deadline {
			continue // another was answered before this one was sent
		}
		if f, ok := o.Input.(final); ok {
			fmt.Fprintf(&b, "\nthe object would be %s, and is %s", p.describe(), f.describe())
			continue
		}
		_, why := p.take(o.Input.(call), o.Output.(*Reply), opt)
		fmt.Fprintf(&b, "\n     not %v: %s", o.Input.(call).Op, cmp.Or(why, "leads nowhere"))
	}
	return b.String()
}

func (o *Object) describe() string {
	if !o.Exists {
		return "no object"
	}
	return fmt.Sprintf("%q attributes %s omap %s", o.Data, Pairs(o.Attrs), Pairs(o.Omap))
}
