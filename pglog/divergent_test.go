package pglog

import (
	"fmt"
	"testing"
)

// TestDivergentDecisions walks every combination of facts and compares the
// decision with rules stated one by one, the way the comment above
// PGLog::_merge_object_divergent_entries states its cases.
func TestDivergentDecisions(t *testing.T) {
	for bits := range 1 << 9 {
		b := func(i int) bool { return bits>>i&1 == 1 }
		f := DivergentFacts{BeyondBackfill: b(0), OnlyErrors: b(1), Newer: b(2), Created: b(3), Missing: b(4),
			HasPrior: b(5), CanRollback: b(6), Deleted: b(7), Untouched: b(8)}
		if f.HasPrior && !f.Untouched || f.Untouched && !f.Missing {
			continue // say of a missing object what it has
		}
		got := f.Decide()
		if err := breaksRule(f, got); err != nil {
			t.Errorf("%+v: %v: %v", f, got, err)
		}
	}
}

// breaksRule names the first rule that a decision breaks.
func breaksRule(f DivergentFacts, a DivergentAction) error {
	ignored := f.BeyondBackfill || f.OnlyErrors
	present := !f.Missing
	gone := present && f.Deleted // not in the store
	supersededOrMade := !ignored && (f.Newer || f.Created)
	undone := !ignored && !supersededOrMade && present && f.CanRollback
	rules := []struct {
		name  string
		holds bool
	}{
		{"what is not here, or did not happen, is left alone", !ignored || a == DivergentAction{}},
		{"case 1 goes before all others", ignored || !f.Newer || a.Case == 1},
		{"case 2 is for objects the first entry made", (a.Case == 2) == (!ignored && !f.Newer && f.Created)},
		{"case 3 is for missing objects", (a.Case == 3) == (!ignored && !supersededOrMade && f.Missing)},
		{"entries are undone in case 4 only", a.Rollback == undone && (a.Case == 4) == undone},
		{"case 5 is all the rest", (a.Case == 5) == (!ignored && !supersededOrMade && present && !f.CanRollback)},
		{"what is not in the store is not removed", !gone || !a.RemoveObject},
		{"superseded, made or spoilt objects are removed", gone || a.RemoveObject == (a.Case == 1 && !f.Untouched || a.Case == 2 ||
			a.Case == 3 && !f.Untouched || a.Case == 5)},
		{"an object removed without a newer version or birth is needed again", a.Case != 5 || a.Missing == MissingAddPrior},
		{"a superseded object has nothing to build on", a.Case != 1 || f.Untouched || a.Missing == MissingHaveNothing},
		{"a superseded object that the divergent changes never reached is as good as before", a.Case != 1 || !f.Untouched ||
			a.Missing == MissingKeep && !a.RemoveObject},
		{"an object that never was is not missing", a.Case != 2 || a.Missing == MissingDrop},
		{"a missing object that has the prior version is whole", a.Case != 3 || (a.Missing == MissingDrop) == f.HasPrior},
		{"a missing object that has an older version needs the prior one", a.Case != 3 || f.HasPrior || !f.Untouched ||
			a.Missing == MissingNeedPrior},
		{"a missing object that has a divergent version has nothing", a.Case != 3 || f.Untouched || a.Missing == MissingAddPrior},
		{"rollback copies go unless they are used", ignored || a.DropRollbackInfo != a.Rollback},
	}
	for _, r := range rules {
		if !r.holds {
			return fmt.Errorf("breaks %q", r.name)
		}
	}
	return nil
}
