package mon

import (
	"time"

	"sepiola/mon/state"
	"sepiola/osdmap"
)

// tickLoop is the monitor's sense of time. Failures are looked at every second;
// everything else at mon_tick_interval.
func (m *Monitor) tickLoop() {
	defer m.wg.Done()
	t := time.NewTicker(time.Second)
	defer t.Stop()
	var last, lastMgr time.Time
	for {
		select {
		case <-m.stop:
			return
		case <-t.C:
		}
		m.mu.Lock()
		if m.leading && m.machine.State.OSD != nil {
			m.checkFailures()
			if now := m.now(); now.Sub(lastMgr) >= time.Duration(m.opts.Int("mgr_tick_period"))*time.Second {
				lastMgr = now
				m.mgrTick()
			}
			if now := m.now(); now.Sub(last) >= time.Duration(m.opts.Int("mon_tick_interval"))*time.Second {
				last = now
				m.tick(now)
			}
		}
		m.mu.Unlock()
	}
}

// checkFailures marks OSDs down that others report as failed.
func (m *Monitor) checkFailures() {
	for _, v := range m.failures.failed(m.machine.State.OSD, m.now(), m.limits()) {
		m.markDown(v)
	}
}

func (m *Monitor) markDown(v verdict) {
	m.log.Info("marking OSD down", "osd", v.osd, "reason", v.reason)
	m.propose(state.Command{MarkDown: &state.MarkDown{
		OSDs: []int32{v.osd}, Addr: m.machine.State.OSD.Addrs(v.osd), MinUpRatio: m.limits().MinUpRatio, Reason: v.reason}}, nil)
}

func (m *Monitor) tick(now time.Time) {
	st, limits := &m.machine.State, m.limits()
	// A new leader has heard nobody yet.
	if now.Sub(m.since) >= limits.Timeout {
		for _, v := range m.failures.silent(st.OSD, now, limits) {
			m.markDown(v)
		}
	}
	if outs := m.failures.outs(st.OSD, now, limits); len(outs) > 0 {
		c := &state.MarkOut{After: outs, MinInRatio: limits.MinInRatio}
		for _, osd := range st.OSD.OSDs() {
			if _, ok := outs[osd]; ok {
				c.OSDs = append(c.OSDs, osd)
			}
		}
		m.propose(state.Command{MarkOut: c}, nil)
	}
	set := m.settings()
	if m.blocklistExpired(now) || st.LastEpoch-st.FirstEpoch > set.MinEpochs {
		m.propose(state.Command{Tick: &state.Tick{Settings: set}}, nil)
	}
	m.checkQuotas()
	m.pgs.Tick(now)
	m.dropOldReports(now)
}

// checkQuotas proposes what pools hold where that crossed a quota.
func (m *Monitor) checkQuotas() {
	var crossed map[int64]state.Use
	for id, sum := range m.pgs.Pools() {
		p := m.machine.State.OSD.Pools[id]
		use := state.Use{Bytes: uint64(max(sum.Stats.Sum.NumBytes, 0)), Objects: uint64(max(sum.Stats.Sum.NumObjects, 0))}
		if p == nil || state.OverQuota(p, use) == p.HasFlag(osdmap.PoolFlagFullQuota) {
			continue
		}
		if crossed == nil {
			crossed = map[int64]state.Use{}
		}
		crossed[id] = use
	}
	if crossed != nil {
		m.propose(state.Command{PoolUse: &state.PoolUse{Pools: crossed}}, nil)
	}
}

func (m *Monitor) blocklistExpired(now time.Time) bool {
	for _, until := range m.machine.State.OSD.Blocklist {
		if until.Before(now) {
			return true
		}
	}
	return false
}
