package mon

import (
	"maps"
	"os"
	"strings"

	"sepiola/mon/state"
)

// takeConfig heeds those of the options kept by the monitors that are for this one
// (ConfigMonitor::load_config). The caller holds mu.
func (m *Monitor) takeConfig() {
	host, _ := os.Hostname() // without it no option of a host is for us
	host, _, _ = strings.Cut(host, ".")
	conf := values(m.machine.State.Config.For(state.Target{Name: "mon." + m.cfg.Name, Host: host}))
	if maps.Equal(conf, m.config) {
		return
	}
	m.config = conf
	for _, err := range m.opts.SetMon(conf) {
		m.log.Warn("option left out", "error", err)
	}
}
