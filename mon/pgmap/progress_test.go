package pgmap

import (
	"fmt"
	"testing"
	"time"

	"sepiola/crush"
	"sepiola/mon/state"
	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pglog"
)

// progressWorld is a map of three OSDs with four PGs of one copy, all clean, and a
// clock.
type progressWorld struct {
	t   *testing.T
	m   *Map
	p   *Progress
	om  *osdmap.Map
	now time.Time
}

func newProgressWorld(t *testing.T) *progressWorld {
	ids := 0
	w := &progressWorld{t: t, m: New(), om: testMap(t, 3), now: time.Unix(2e9, 0),
		p: NewProgress(func() string { ids++; return fmt.Sprint(ids) })}
	for osd := range int32(3) {
		if err := w.om.Crush.InsertItem(osd, 1, fmt.Sprintf("osd.%d", osd), map[string]string{"root": "default"}); err != nil {
			t.Fatal(err)
		}
	}
	rule, err := w.om.Crush.AddSimpleRule("r", "default", "osd", "", "firstn", crush.RuleReplicated)
	if err != nil {
		t.Fatal(err)
	}
	w.om.Pools[1].CrushRule = uint8(rule)
	w.m.SetMap(w.om, map[object.PGID]state.Creating{}, w.now)
	for pg := range w.m.PGs {
		w.report(pg, pglog.StateActive|pglog.StateClean, 0)
	}
	w.p.Update(w.m, w.now)
	return w
}

// report is what the PG's OSD says: its state, and of 100 bytes how many were
// recovered.
func (w *progressWorld) report(pg object.PGID, st pglog.State, recovered int64) {
	s := *w.m.PGs[pg]
	s.State, s.ReportedEpoch = st, w.om.Epoch
	s.Stats.Sum.NumBytes, s.Stats.Sum.NumBytesRecovered = 100, recovered
	w.m.PGs[pg] = &s
}

func (w *progressWorld) reportAll(st pglog.State, recovered int64) {
	for pg := range w.m.PGs {
		w.report(pg, st, recovered)
	}
}

func (w *progressWorld) weigh(osd int32, weight uint32) {
	w.t.Helper()
	next := w.om.Clone()
	inc := osdmap.NewIncremental(w.om.FSID, w.om.Epoch+1)
	inc.NewWeight[osd] = weight
	if err := next.Apply(inc); err != nil {
		w.t.Fatal(err)
	}
	w.om = next
	w.m.SetMap(next, nil, w.now)
}

// tick lets a number of seconds pass and returns the events.
func (w *progressWorld) tick(seconds int) string {
	w.now = w.now.Add(time.Duration(seconds) * time.Second)
	w.p.Update(w.m, w.now)
	s := ""
	for _, e := range w.p.Events {
		left, ok := e.Remaining(w.now)
		s += fmt.Sprintf("%s: %.2f of %s", e.Message, e.Progress, e.Duration(w.now))
		if ok {
			s += fmt.Sprintf(", %s to go", left)
		}
		s += "\n"
	}
	return s
}

// An OSD is marked out: its PGs move, and both events tell how far they are, by
// PGs and within these by bytes, until the last is clean.
func TestProgressOfAnOSDMarkedOut(t *testing.T) {
	w := newProgressWorld(t)
	check := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s:\n%swant\n%s", what, got, want)
		}
	}
	check("all clean", w.tick(5), "")
	w.weigh(0, osdmap.WeightOut)
	moved := len(movedPGs(w))
	if moved == 0 {
		t.Fatal("no PG was on osd.0")
	}
	check("old reports do not count", w.tick(1), "Rebalancing after osd.0 marked out: 0.00 of 0s\n")
	for _, pg := range movedPGs(w) {
		w.report(pg, pglog.StateActive|pglog.StateBackfilling|pglog.StateRemapped, 0)
	}
	check("began", w.tick(5), "Rebalancing after osd.0 marked out: 0.00 of 5s\nGlobal Recovery Event: 0.00 of 0s\n")
	for _, pg := range movedPGs(w) {
		w.report(pg, pglog.StateActive|pglog.StateBackfilling|pglog.StateRemapped, 25)
	}
	check("a quarter", w.tick(5), "Rebalancing after osd.0 marked out: 0.25 of 10s, 30s to go\nGlobal Recovery Event: 0.25 of 5s, 15s to go\n")
	w.reportAll(pglog.StateActive|pglog.StateClean, 100)
	check("done", w.tick(5), "")
	if len(w.p.Done) != 2 || w.p.Done[0].Duration(w.now.Add(time.Hour)) != 15*time.Second {
		t.Errorf("finished: %+v", w.p.Done)
	}
	w.p.Clear()
	check("cleared", w.tick(5), "")
}

func movedPGs(w *progressWorld) []object.PGID {
	var out []object.PGID
	for pg, s := range w.m.PGs {
		if up, _, _, _ := w.om.PGToUpActing(pg); !sameOSDs(up, s.Up) {
			out = append(out, pg)
		}
	}
	return out
}

// An OSD that comes back in ends the event of its going out.
func TestProgressOfAnOSDMarkedIn(t *testing.T) {
	w := newProgressWorld(t)
	w.weigh(0, osdmap.WeightOut)
	w.tick(1)
	w.weigh(0, osdmap.WeightIn)
	if got := w.tick(1); got != "Rebalancing after osd.0 marked in: 0.00 of 0s\n" {
		t.Errorf("events: %s", got)
	}
	if len(w.p.Done) != 1 {
		t.Errorf("finished: %v", w.p.Done)
	}
}

// Nobody is told of progress where nothing moves: a PG that lacks an OSD waits. When
// the OSD is back, and objects are recovered, there is an event.
func TestProgressOfRecoveryAlone(t *testing.T) {
	w := newProgressWorld(t)
	pg := object.PGID{Pool: 1}
	w.report(pg, pglog.StateActive|pglog.StateUndersized|pglog.StateDegraded, 0)
	if got := w.tick(1); got != "" {
		t.Errorf("events: %s", got)
	}
	w.report(pg, pglog.StateActive|pglog.StateRecovering|pglog.StateDegraded, 50)
	w.tick(1)
	w.report(pg, pglog.StateActive|pglog.StateRecovering|pglog.StateDegraded, 60)
	if got := w.tick(1); got != "Global Recovery Event: 0.10 of 1s, 9s to go\n" {
		t.Errorf("events: %s", got)
	}
	w.p.Switch(false)
	if got := w.tick(1); got != "" || w.p.On() {
		t.Errorf("off, but there are events: %s", got)
	}
}
