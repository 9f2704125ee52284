package check

import (
	"fmt"
	"slices"
)

// Resends checks that a write that was sent again after it had been answered got
// the same answer: result, versions, and outputs where they were asked for.
func Resends(h History) error {
	for _, o := range h {
		if !o.Writes() {
			continue
		}
		for i := 1; i < len(o.Replies); i++ {
			if err := o.sameReply(&o.Replies[0], &o.Replies[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *Op) sameReply(a, b *Reply) error {
	switch {
	case a.Result != b.Result:
		return fmt.Errorf("%v: sent again, the answer was %d", o, b.Result)
	case a.Result >= 0 && a.Version != b.Version,
		a.Result >= 0 && a.UserVersion != b.UserVersion && o.changes():
		return fmt.Errorf("%v: sent again, it was at version %v, user version %d", o, b.Version, b.UserVersion)
	case o.Returns && !slices.Equal(a.Outs, b.Outs):
		return fmt.Errorf("%v: sent again, the outputs were %q", o, b.Outs)
	}
	return nil
}

// changes reports whether a write that succeeds always changes its object. Others
// may have changed nothing, and then the log, as Ceph's, does not know the user
// version that the first answer had.
func (o *Op) changes() bool {
	for _, s := range o.Steps {
		switch s.Kind {
		case WriteFull, Write, Append, Create, CreateExcl, SetXattr, SetOmap, Remove:
			return true
		}
	}
	return false
}
