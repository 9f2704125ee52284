package sim

import (
	"fmt"
	"strings"
	"time"

	"sepiola/sim/check"
)

// Objects are few, so that operations meet. Those whose names begin with
// appendPrefix are changed by appending words and in no other way.
const (
	appendPrefix   = "log"
	appendObjects  = 6
	generalObjects = 5
)

// keepBusy starts operations as long as faults go on, and tries to send what could
// not be sent.
func (c *client) keepBusy() {
	w := c.w
	next := w.taste.think
	if len(c.pending) < w.taste.depth && !w.quiet {
		c.start(c.choose())
	} else {
		c.resendLost()
		next = max(next, 5*time.Millisecond)
	}
	w.after(w.uniform(next/2, next*3/2), c.keepBusy)
}

// choose makes up an operation.
func (c *client) choose() *check.Op {
	if c.w.oneIn(2) {
		return c.chooseAppend()
	}
	return c.chooseGeneral()
}

// word is a value that nobody else ever writes.
func (c *client) word() string { return fmt.Sprintf("%d.%d;", c.index, c.tid+1) }

func (c *client) chooseAppend() *check.Op {
	op := &check.Op{Object: fmt.Sprint(appendPrefix, c.w.rng.IntN(appendObjects))}
	if c.w.oneIn(3) {
		op.Steps = []check.Step{{Kind: check.Read}}
		return op
	}
	op.Steps = []check.Step{{Kind: check.Append, Val: c.word()}}
	switch c.w.rng.IntN(5) {
	case 0:
		op.Steps = append(op.Steps, check.Step{Kind: check.SetOmap, Key: c.word(), Val: "x"})
	case 1:
		op.Steps = append([]check.Step{{Kind: check.Read}}, op.Steps...)
		op.Returns = true
	}
	return op
}

func (c *client) chooseGeneral() *check.Op {
	op := &check.Op{Object: fmt.Sprint("thing", c.w.rng.IntN(generalObjects))}
	switch c.w.rng.IntN(10) {
	case 0, 1:
		op.Steps = []check.Step{{Kind: check.Read}, {Kind: check.GetOmap}}
	case 2:
		op.Steps = []check.Step{{Kind: check.Stat}, {Kind: check.GetXattr, Key: c.key()}}
	case 3:
		// Compare and swap, and the old value back.
		op.Returns = true
		op.Steps = []check.Step{{Kind: check.GetXattr, Key: "k0"}, {Kind: check.GetOmap}, {Kind: check.SetXattr, Key: "k0", Val: c.word()}}
	case 4:
		op.Steps = []check.Step{{Kind: check.CmpXattr, Key: c.key(), Val: "same"}, c.change()}
	case 5:
		if v := c.seen[op.Object]; v > 0 {
			op.Steps = append(op.Steps, check.Step{Kind: check.AssertVer, Version: v})
		}
		op.Steps = append(op.Steps, c.change())
	case 6:
		op.Steps = []check.Step{c.change(), c.change()}
		op.Returns = c.w.oneIn(2)
	default:
		op.Steps = []check.Step{c.change()}
		op.Returns = c.w.oneIn(4)
	}
	return op
}

func (c *client) key() string { return fmt.Sprint("k", c.w.rng.IntN(3)) }

// change is a step that writes.
func (c *client) change() check.Step {
	r := c.w.rng
	switch r.IntN(16) {
	case 0:
		return check.Step{Kind: check.WriteFull, Val: strings.Repeat(c.word(), 1+r.IntN(8))}
	case 1:
		return check.Step{Kind: check.Write, Off: uint64(r.IntN(40)), Val: c.word()}
	case 2:
		return check.Step{Kind: check.Append, Val: c.word()}
	case 3:
		return check.Step{Kind: check.Truncate, Off: uint64(r.IntN(50))}
	case 4:
		return check.Step{Kind: check.Zero, Off: uint64(r.IntN(20)), Len: uint64(1 + r.IntN(10))}
	case 5, 6:
		return check.Step{Kind: check.Remove}
	case 7:
		return check.Step{Kind: check.Create}
	case 8:
		return check.Step{Kind: check.CreateExcl}
	case 9:
		return check.Step{Kind: check.SetXattr, Key: c.key(), Val: c.word()}
	case 10:
		return check.Step{Kind: check.SetXattr, Key: c.key(), Val: "same"}
	case 11:
		return check.Step{Kind: check.RmXattr, Key: c.key()}
	case 12:
		return check.Step{Kind: check.RmOmap, Key: c.key()}
	case 13:
		return check.Step{Kind: check.ClearOmap}
	}
	return check.Step{Kind: check.SetOmap, Key: c.key(), Val: c.word()}
}

// thinkDefault is how long a client waits between two operations.
const thinkDefault = time.Millisecond
