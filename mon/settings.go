package mon

import (
	"maps"
	"slices"

	"sepiola/mon/state"
)

// settings gathers the options that commands carry, as they are now.
func (m *Monitor) settings() state.Settings {
	o := m.opts
	return state.Settings{
		PoolSize: o.Int("osd_pool_default_size"), PoolMinSize: o.Int("osd_pool_default_min_size"),
		PoolPGNum: o.Int("osd_pool_default_pg_num"), PoolPGPNum: o.Int("osd_pool_default_pgp_num"),
		PoolCrushRule: o.Int("osd_pool_default_crush_rule"), AutoscaleMode: o.String("osd_pool_default_pg_autoscale_mode"),
		MaxPoolPGNum: o.Int("mon_max_pool_pg_num"), MaxPGPerOSD: o.Int("mon_max_pg_per_osd"),
		AllowPGNumChange: o.Bool("mon_allow_pool_pg_num_change"),
		AllowPoolDelete:  o.Bool("mon_allow_pool_delete"), AllowPoolSizeOne: o.Bool("mon_allow_pool_size_one"),
		ChooseleafType: o.Int("osd_crush_chooseleaf_type"),
		AutoMarkIn:     o.Bool("mon_osd_auto_mark_in"), AutoMarkNewIn: o.Bool("mon_osd_auto_mark_new_in"),
		AutoMarkAutoOutIn: o.Bool("mon_osd_auto_mark_auto_out_in"),
		LaggyWeight:       o.Float("mon_osd_laggy_weight"), LaggyMaxInterval: o.Int("mon_osd_laggy_max_interval"),
		MinEpochs: uint32(o.Int("mon_min_osdmap_epochs")), BlocklistExpire: o.Float("mon_osd_blocklist_default_expire"),
		LogMax: int(o.Int("mon_log_max")),
	}
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
