package check

import (
	"fmt"
	"strings"
)

// Appends checks one object that was changed by appending words and in no other
// way, against its data in the end. Each word is there once in all the world.
func Appends(ops History, data string, opt Options) error {
	at := map[string]int{} // where each word is
	pos := 0
	for _, w := range strings.SplitAfter(data, ";") {
		if w == "" {
			continue
		}
		if first, ok := at[w]; ok {
			return fmt.Errorf("%s: %s was applied twice, at %d and %d: %q", ops[0].Object, w, first, pos, data)
		}
		at[w] = pos
		pos += len(w)
	}
	last := map[int]int{}
	for _, o := range ops {
		w, ok := o.word()
		if !ok {
			continue
		}
		i, there := at[w]
		switch acked := len(o.Replies) > 0 && o.Replies[0].Result == 0; {
		case !there && acked:
			return fmt.Errorf("%s: %s was acknowledged and is lost: %v; %q", o.Object, w, o, data)
		case there && !acked && len(o.Replies) > 0:
			return fmt.Errorf("%s: %s was refused and is there: %v", o.Object, w, o)
		case !there:
			continue
		case i < last[o.Client]:
			return fmt.Errorf("%s: %s was applied before what its client sent earlier: %q", o.Object, w, data)
		}
		last[o.Client] = i
	}
	return reads(ops, data, at, opt)
}

// word is what an operation appends; no word if it was to be refused.
func (o *Op) word() (string, bool) {
	for _, s := range o.Steps {
		if s.Kind == Append {
			return s.Val, true
		}
	}
	return "", false
}

// reads checks that each saw the beginning of what is there in the end, and what
// had been acknowledged when it was sent.
func reads(ops History, data string, at map[string]int, opt Options) error {
	for _, o := range ops {
		if o.Writes() || len(o.Replies) == 0 || o.Steps[0].Kind != Read || o.Replies[0].Result < 0 {
			continue
		}
		saw := o.Replies[0].Outs[0].Data
		if !strings.HasPrefix(data, saw) {
			return fmt.Errorf("%s: %v saw what %q does not begin with: it was taken back", o.Object, o, data)
		}
		if opt.StaleReads {
			continue
		}
		for _, before := range ops {
			w, ok := before.word()
			if !ok || len(before.Replies) == 0 || before.Replies[0].Result < 0 || before.Replies[0].At >= o.Call {
				continue
			}
			if at[w]+len(w) > len(saw) {
				return fmt.Errorf("%s: stale read: %v was sent after %s was acknowledged at %d, and does not see it",
					o.Object, o, w, before.Replies[0].At)
			}
		}
	}
	return nil
}
