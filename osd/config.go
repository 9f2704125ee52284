package osd

import (
	"net/netip"
	"runtime"
	"time"

	"github.com/hashicorp/go-hclog"

	"sepiola/adminsocket"
	"sepiola/config"
	"sepiola/entity"
	"sepiola/objectstore"
	"sepiola/pg"
)

// Config is what an OSD daemon needs from its surroundings. All fields are
// required.
type Config struct {
	// WhoAmI is the OSD's number.
	WhoAmI int32
	// Options are its settings, by Ceph's names.
	Options *config.Config
	// Store is its mounted store; the daemon does not close it.
	Store objectstore.Store
	// Mons are the monitors' addresses to begin with.
	Mons []entity.AddrVec
	// Logger takes the daemon's lines, MsgrLogger the messengers',
	// MonLogger those about the session with the monitors.
	Logger, MsgrLogger, MonLogger hclog.Logger
	// Admin gets the OSD's admin socket commands.
	Admin *adminsocket.Server
	// Fatal is called when the daemon cannot go on. It must not return to work as
	// usual: the process ends.
	Fatal func(error)
}

// ip returns the address that an option names, without port; unspecified unless set.
func ip(o *config.Config, names ...string) netip.Addr {
	for _, name := range names {
		if v, err := entity.ParseAddrVec(o.String(name)); err == nil && len(v) > 0 && v[0].Addr().IsValid() {
			return v[0].Addr()
		}
	}
	return netip.IPv4Unspecified()
}

// shardCount is the number of event workers.
func shardCount(o *config.Config) int {
	if n := int(o.Int("osd_op_num_shards")); n > 0 {
		return n
	}
	return min(max(runtime.GOMAXPROCS(0), 2), 8)
}

// pgOptions are the options that pgConfig reads.
var pgOptions = []string{
	"osd_min_pg_log_entries", "osd_max_pg_log_entries", "osd_pg_log_dups_tracked", "osd_pg_log_trim_min",
	"osd_pg_log_trim_max", "osd_recovery_max_chunk", "osd_recovery_max_active", "osd_recovery_sleep", "osd_async_recovery_min_cost", "osd_backfill_retry_interval", "osd_heartbeat_grace", "osd_pool_default_read_lease_ratio",
}

// followOptions has the placement groups heed options that change while they run.
func (d *Daemon) followOptions() {
	d.cfg.Options.Observe(func(string) {
		c := pgConfig(d.cfg.Options)
		for _, s := range d.shard {
			s.queue.push(classPeer, work{call: func(s *shard) { s.configure(c) }})
		}
	}, pgOptions...)
	d.cfg.Options.Observe(func(string) { d.slots(int(d.cfg.Options.Int("osd_max_backfills"))) }, "osd_max_backfills")
}

// pgConfig are the options that placement groups heed.
func pgConfig(o *config.Config) *pg.Config {
	c := pg.DefaultConfig()
	c.MinPGLogEntries = int(o.Int("osd_min_pg_log_entries"))
	c.MaxPGLogEntries = int(o.Int("osd_max_pg_log_entries"))
	c.PGLogDupsTracked = int(o.Int("osd_pg_log_dups_tracked"))
	c.PGLogTrimMin = int(o.Int("osd_pg_log_trim_min"))
	c.PGLogTrimMax = int(o.Int("osd_pg_log_trim_max"))
	c.RecoveryMaxChunk = uint64(o.Int("osd_recovery_max_chunk"))
	active := int(o.Int("osd_recovery_max_active"))
	if active == 0 {
		active = 10
	}
	// The OSD's bound, shared by the PGs that may recover at once.
	c.RecoveryMaxActive = max(active/int(o.Int("osd_max_backfills")), 1)
	c.AsyncRecoveryMinCost = uint64(o.Int("osd_async_recovery_min_cost"))
	c.RecoverySleep = o.Duration("osd_recovery_sleep")
	c.BackfillRetry = o.Duration("osd_backfill_retry_interval")
	c.ReadLeaseInterval = time.Duration(float64(o.Duration("osd_heartbeat_grace")) * o.Float("osd_pool_default_read_lease_ratio"))
	return c
}
