package osd

import (
	"testing"

	"sepiola/config"
)

// Options of placement groups that change while the OSD runs, as the monitors' do
// shortly after every start, reach the PGs that are here and those to come.
func TestOptionsFollowed(t *testing.T) {
	s := newTestShard(t, testMap(t, 4))
	s.d.followOptions()
	o := s.d.cfg.Options
	for _, name := range pgOptions {
		before := *pgConfig(o)
		if err := o.Set(config.FromOverride, name, "7"); err != nil {
			t.Fatal(err)
		}
		if before == *pgConfig(o) {
			t.Errorf("%s changes nothing", name)
		}
		w, ok := s.queue.pop()
		if !ok || w.call == nil {
			t.Fatalf("%s: nothing to do for the shard", name)
		}
		w.call(s.shard)
	}
	if c := s.env.Config; c.MinPGLogEntries != 7 || c.RecoveryMaxActive != 7 {
		t.Errorf("PGs get %+v", c)
	}
}
