package pg_test

import (
	"encoding/json"
	"strings"
	"testing"

	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pg"
)

// unfoundWorld is a cluster whose only copy left of an object's newest version is
// gone: two of three wrote it alone, the third came back and has its log entry, and
// the two died for good before the object reached it.
func unfoundWorld(t *testing.T) (w *world, p *pg.PG) {
	w = newWorld(t, 5, 3, 1, 3, 1)
	c := newClient(w, 1)
	for _, o := range w.osds {
		o.createOwn()
	}
	w.settle()
	id := object.PGID{Pool: poolID}
	acting := w.current().MappingOf(id).Acting
	last := acting[2]
	write := func() {
		c.start("a", false)
		for range 3000 {
			w.calm(1)
			w.clientOne()
			if len(c.pending) == 0 {
				return
			}
		}
		w.fail("not written: %s", w.describe())
	}
	write()
	w.osds[last].crash()
	w.calm(300)
	write()
	w.change(func(m *osdmap.Map) { m.Flags |= osdmap.FlagNoRecover })
	w.restart(w.osds[last])
	w.calm(2000)
	for _, osd := range acting[:2] {
		w.osds[osd].crash()
	}
	w.calm(100)
	w.change(func(m *osdmap.Map) {
		m.Flags &^= osdmap.FlagNoRecover
		for _, osd := range acting[:2] {
			m.OSDInfo[osd].LostAt = m.Epoch
			m.OSDXInfo[osd].DeadEpoch = m.Epoch
		}
	})
	w.calm(2000)
	p = w.osds[last].pgs[id]
	if s := p.State().String(); !strings.Contains(s, "recovery_unfound") {
		w.fail("nothing is unfound: %s", w.describe())
	}
	return w, p
}

// tell sends a command to a PG and returns the answer.
func (w *world) tell(p *pg.PG, c pg.Command) *pg.CommandDone {
	w.answer = nil
	o := w.osds[w.current().PGToActingPrimary(p.ID().PGID)]
	o.step(p, c)
	w.calm(500)
	if w.answer == nil {
		w.fail("%s is not answered", c.Name)
	}
	return w.answer
}

// TestMarkUnfoundLost protects the way out of lost data: what is unfound is named,
// and at an operator's word it goes back to the newest version left, or away.
func TestMarkUnfoundLost(t *testing.T) {
	for mode, want := range map[string]string{"revert": "1.1;", "delete": ""} {
		w, p := unfoundWorld(t)
		out := w.tell(p, pg.Command{Name: "list_unfound"})
		var list struct {
			Unfound int `json:"num_unfound"`
			Objects []struct {
				OID struct {
					OID string `json:"oid"`
				} `json:"oid"`
			}
		}
		if err := json.Unmarshal(out.Out, &list); err != nil || list.Unfound != 1 || list.Objects[0].OID.OID != "a" {
			t.Fatalf("list_unfound: %v %s", err, out.Out)
		}
		if r := w.tell(p, pg.Command{Name: "mark_unfound_lost", Mode: "away"}); r.Result != -22 {
			t.Errorf("mode away: %+v", r)
		}
		if r := w.tell(p, pg.Command{Name: "mark_unfound_lost", Mode: mode}); r.Result != 0 ||
			r.Text != "pg has 1 objects unfound and apparently lost marking" {
			t.Errorf("%s: %+v", mode, r)
		}
		if got := w.content("a"); got != want {
			t.Errorf("%s: the object is %q, want %q", mode, got, want)
		}
		if s := p.State().String(); strings.Contains(s, "unfound") || strings.Contains(s, "recover") {
			t.Errorf("%s: still %s", mode, s)
		}
		if r := w.tell(p, pg.Command{Name: "mark_unfound_lost", Mode: mode}); r.Text != "pg has no unfound objects" {
			t.Errorf("%s again: %+v", mode, r)
		}
		// The others come back, with nothing that is newer, and all copies are equal.
		for _, o := range w.osds {
			if !o.alive {
				w.restart(o)
			}
		}
		w.cls[0].acked, w.cls[0].sent = map[string][]string{}, map[string][]string{}
		w.settle()
		w.check()
	}
}

// TestQuery protects the form that scripts read: what `ceph pg query` shows, in every
// state that a PG of a cluster with failures goes through.
func TestQuery(t *testing.T) {
	w := newWorld(t, 9, 4, 2, 3, 2)
	newClient(w, 1)
	for _, o := range w.osds {
		o.createOwn()
	}
	seen := map[string]bool{}
	for range 6000 {
		w.step()
		for _, o := range w.osds {
			for _, p := range o.pgs {
				if w.steps%7 != 0 || !p.IsPrimary() {
					continue
				}
				w.answer = nil
				o.step(p, pg.Command{Name: "query"})
				var q struct {
					State string `json:"state"`
					Info  struct {
						PGID string `json:"pgid"`
					} `json:"info"`
					States []struct {
						Name string `json:"name"`
					} `json:"recovery_state"`
				}
				if err := json.Unmarshal(w.answer.Out, &q); err != nil || q.Info.PGID != p.ID().PGID.String() || len(q.States) == 0 {
					w.fail("%v: %s", err, w.answer.Out)
				}
				seen[q.States[0].Name] = true
			}
		}
	}
	for _, want := range []string{"Started/Primary/Active", "Started/Primary/Peering/GetInfo"} {
		if !seen[want] {
			t.Errorf("never in %s", want)
		}
	}
}
