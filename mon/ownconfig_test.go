package mon

import (
	"testing"

	"sepiola/entity"
)

// What an administrator sets for all daemons, or for the monitors, holds for the
// monitor itself: its grace decides about failed OSDs. It holds after a restart too.
func TestOwnOptions(t *testing.T) {
	m := newTestMon(t)
	admin, p := dial(t, m, m.Addrs(), entity.TypeMon)
	grace := func() int64 { return m.cfg.Options.Int("osd_heartbeat_grace") }
	changed := make(chan int64, 8)
	m.cfg.Options.Observe(func(string) { changed <- grace() }, "osd_heartbeat_grace")
	p.command(t, admin, `{"prefix":"config set","who":"global","name":"osd_heartbeat_grace","value":"7"}`)
	if g := <-changed; g != 7 {
		t.Errorf("set for all: %d", g)
	}
	p.command(t, admin, `{"prefix":"config set","who":"mon","name":"osd_heartbeat_grace","value":"8"}`)
	if g := <-changed; g != 8 {
		t.Errorf("set for monitors: %d", g)
	}
	p.command(t, admin, `{"prefix":"config set","who":"osd","name":"osd_heartbeat_grace","value":"9"}`)
	m.Shutdown()
	m.cfg.Options.SetMon(nil)
	m.start()
	if g := grace(); g != 8 {
		t.Errorf("after a restart: %d", g)
	}
}
