package mon

import (
	"strconv"

	"sepiola/command"
	"sepiola/mon/pgmap"
	"sepiola/mon/state"
)

// mgrTick is what the manager does of its own accord. The caller holds mu.
func (m *Monitor) mgrTick() {
	m.adjustPGs()
	m.progress.Update(m.pgs, m.now())
}

// adjustPGs takes pools a step towards the number of PGs that they are to have.
// The next step waits for this one's epoch.
func (m *Monitor) adjustPGs() {
	if m.adjusting > 0 {
		return
	}
	limits := pgmap.AdjustLimits{CreatingMax: uint32(m.opts.Int("mon_osd_max_creating_pgs")),
		MisplacedRatio: m.opts.Float("target_max_misplaced_ratio"), Aggressive: m.opts.Bool("mgr_debug_aggressive_pg_num_changes")}
	for _, a := range m.pgs.AdjustPGs(limits) {
		if a.PGNum > 0 {
			m.adjustPool(a.Pool, "pg_num_actual", a.PGNum)
		}
		if a.PGPNum > 0 {
			m.adjustPool(a.Pool, "pgp_num_actual", a.PGPNum)
		}
	}
}

func (m *Monitor) adjustPool(pool int64, name string, n uint32) {
	args := command.Args{"prefix": "osd pool set", "pool": m.machine.State.OSD.PoolNames[pool], "var": name, "val": strconv.FormatUint(uint64(n), 10)}
	m.log.Info("adjusting a pool", "pool", args.String("pool"), name, n)
	m.adjusting++
	c := state.Command{Admin: &state.Admin{Args: args, Settings: m.settings(), Who: "mgr." + m.cfg.Name}}
	m.propose(c, func(r state.Reply, err error) {
		m.adjusting--
		if err != nil || r.Code != 0 {
			m.log.Warn("pool not adjusted", "pool", args.String("pool"), name, n, "reason", r.Status, "error", err)
		}
	})
}
