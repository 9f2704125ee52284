package osd

import (
	"testing"

	"sepiola/object"
	"sepiola/osdmap"
)

// What the monitors were asked for holds until a map grants it or makes it moot.
func TestAsksReview(t *testing.T) {
	s := newTestShard(t, testMap(t, 4))
	ours, theirs := s.led()
	a := &s.d.asks
	a.wantUpThru(s.d, 5)
	a.wantUpThru(s.d, 3)
	if a.upThru != 5 {
		t.Errorf("up_thru %d is wanted, want the greatest", a.upThru)
	}
	a.wantPGTemp(s.d, ours.PGID, []int32{2, 1, 3})
	a.wantPGTemp(s.d, theirs.PGID, []int32{2, 1, 3})
	review := func(upThru uint32, temps int, change func(m *osdmap.Map)) {
		t.Helper()
		m := s.m.Clone()
		if change != nil {
			change(m)
		}
		a.review(s.d, m)
		if a.upThru != upThru || len(a.pgTemp) != temps {
			t.Errorf("left: up_thru %d, temporary sets %v; want %d and %d", a.upThru, a.pgTemp, upThru, temps)
		}
	}
	review(5, 1, nil) // the other PG is not ours to ask for
	review(5, 1, func(m *osdmap.Map) { m.OSDInfo[0].UpThru = 4 })
	review(0, 1, func(m *osdmap.Map) { m.OSDInfo[0].UpThru = 5 })
	review(0, 0, func(m *osdmap.Map) { m.PGTemp = map[object.PGID][]int32{ours.PGID: {2, 1, 3}} })
}

// A boot that was sent and had no effect is due again; one that is being prepared is
// not.
func TestBootDue(t *testing.T) {
	var a asks
	if a.bootDue(clock(1000)) || a.bootWasSent() {
		t.Error("a boot never sent is due")
	}
	a.bootSent(clock(0))
	for s, want := range map[float64]bool{1: false, 9: false, 11: true} {
		if a.bootDue(clock(s)) != want {
			t.Errorf("due after %v s: %v", s, !want)
		}
	}
	a.bootPut()
	if a.bootDue(clock(1000)) || a.bootWasSent() {
		t.Error("a boot that is being prepared is due")
	}
}

// The daemon moves from state to state in order, and never back from stopping.
func TestStates(t *testing.T) {
	var d Daemon
	for _, c := range []struct {
		from, to state
		want     bool
	}{
		{stateBooting, stateActive, false}, {stateInit, statePreboot, true}, {statePreboot, stateBooting, true},
		{stateBooting, stateActive, true}, {stateActive, stateStopping, true}, {stateActive, statePreboot, false}, {stateBooting, stateActive, false},
	} {
		if got := d.move(c.from, c.to); got != c.want {
			t.Errorf("from %v to %v: %v, want %v", c.from, c.to, got, c.want)
		}
	}
	if !d.is(stateStopping) || stateStopping.String() != "stopping" {
		t.Errorf("the state is %v", state(d.state.Load()))
	}
}
