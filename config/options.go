package config

import (
	"maps"
	"slices"
)

// Lookup returns the option of that normalized name.
func Lookup(name string) (Option, bool) {
	o, ok := options[name]
	return o, ok
}

// Names returns the names of all options, sorted.
func Names() []string { return slices.Sorted(maps.Keys(options)) }

var options = index(globalOptions, monOptions, osdOptions, storeOptions, clientOptions, debugOptions())

func index(tables ...[]Option) map[string]Option {
	out := map[string]Option{}
	for _, table := range tables {
		for _, o := range table {
			o.Default = o.Canonical(o.Default)
			out[o.Name] = o
		}
	}
	return out
}

// Subsystems are the parts of the program that log at a level of their own: each
// has an option "debug <name>".
var Subsystems = []string{"mon", "paxos", "osd", "ms", "filestore", "journal", "memstore",
	"objecter", "monc", "mgr", "asok", "crush", "client", "rados"}

func debugOptions() []Option {
	var out []Option
	for _, s := range Subsystems {
		out = append(out, Option{Name: "debug_" + s, Type: Debug, Default: "0/5", Max: 99,
			Desc: "Debug level for " + s + ": 0 warnings, 1 notices, 5 details, 20 everything"})
	}
	return out
}

// The defaults are those of src/common/options.cc in Ceph 16 unless a comment
// says otherwise.

var globalOptions = []Option{
	{Name: "fsid", Type: UUID, Desc: "cluster fsid (uuid)", Startup: true},
	{Name: "host", Desc: "local hostname", Startup: true},
	{Name: "cluster", Default: "ceph", Desc: "cluster name", Startup: true},
	{Name: "mon_host", Desc: "addresses of the monitors", Startup: true},
	{Name: "public_addr", Type: Addr, Desc: "public-facing address to bind to", Startup: true},
	{Name: "cluster_addr", Type: Addr, Desc: "cluster-facing address to bind to", Startup: true},
	{Name: "public_bind_addr", Type: Addr, Desc: "address to listen on, where it differs from the public address", Startup: true},
	{Name: "auth_cluster_required", Default: "cephx", Choices: []string{"cephx", "none", "cephx, none", "none, cephx"}, Desc: "authentication between daemons", Startup: true},
	{Name: "auth_service_required", Default: "cephx", Choices: []string{"cephx", "none", "cephx, none", "none, cephx"}, Desc: "authentication daemons require of clients", Startup: true},
	{Name: "auth_client_required", Default: "cephx, none", Choices: []string{"cephx", "none", "cephx, none", "none, cephx"}, Desc: "authentication clients require of daemons", Startup: true},
	{Name: "keyring", Desc: "path to a keyring file", Startup: true},
	{Name: "run_dir", Default: "/var/run/ceph", Desc: "path for the 'run' directory for storing pid and socket files", Startup: true},
	{Name: "pid_file", Desc: "path to write a pid file", Startup: true},
	{Name: "admin_socket", Default: "$run_dir/$cluster-$name.asok", Desc: "path of the admin socket", Startup: true},
	{Name: "log_file", Default: "/var/log/ceph/$cluster-$name.log", Desc: "path of the log file", Startup: true},
	{Name: "log_to_stderr", Type: Bool, Default: "false", Desc: "also log to standard error", Startup: true},
	{Name: "log_to_file", Type: Bool, Default: "true", Desc: "log to the log file", Startup: true},
	{Name: "ms_bind_port_min", Type: Int, Default: "6800", Desc: "lowest port to bind to", Min: 1, Max: 65535, Startup: true},
	{Name: "ms_bind_port_max", Type: Int, Default: "7300", Desc: "highest port to bind to", Min: 1, Max: 65535, Startup: true},
	{Name: "ms_bind_msgr1", Type: Bool, Default: "false", Desc: "messenger v1 is not spoken; must be false", Startup: true},
	{Name: "ms_bind_msgr2", Type: Bool, Default: "true", Desc: "speak messenger v2", Startup: true},
	{Name: "ms_dispatch_throttle_bytes", Type: Size, Default: "100M", Desc: "bytes of messages read and not yet dispatched, per messenger"},
	{Name: "ms_connection_ready_timeout", Type: Int, Default: "10", Desc: "seconds an incoming connection may take to become ready"},
	{Name: "ms_connection_idle_timeout", Type: Int, Default: "900", Desc: "seconds after which an idle client connection is closed"},
	{Name: "ms_inject_socket_failures", Type: Int, Default: "0", Desc: "break the socket at one of so many reads and writes, to test; 0 for never"},
	{Name: "ms_inject_internal_delays", Type: Float, Default: "0", Desc: "longest pause before a frame of a handshake, in seconds, to test"},
	{Name: "ms_inject_delay_type", Type: Str, Default: "", Desc: "kinds of peers whose messages are delayed, to test: \"osd client\""},
	{Name: "ms_inject_delay_probability", Type: Float, Default: "0", Max: 1, Desc: "part of the messages that are delayed"},
	{Name: "ms_inject_delay_max", Type: Float, Default: "1", Desc: "longest delay of a message, in seconds"},
	{Name: "ms_tcp_nodelay", Type: Bool, Default: "true", Desc: "disable Nagle's algorithm", Startup: true},
}

var monOptions = []Option{
	{Name: "mon_data", Default: "/var/lib/ceph/mon/$cluster-$id", Desc: "path to the monitor's data", Startup: true},
	{Name: "mon_allow_pool_delete", Type: Bool, Default: "false", Desc: "allow pool deletions"},
	{Name: "mon_max_pg_per_osd", Type: Uint, Default: "250", Min: 1, Max: 1 << 20, Desc: "max number of PGs per OSD the cluster will allow"},
	{Name: "mon_max_pool_pg_num", Type: Uint, Default: "65536", Min: 1, Max: 1 << 20, Desc: "max PGs of a pool"},
	{Name: "mon_min_osdmap_epochs", Type: Int, Default: "500", Min: 1, Max: 1 << 20, Desc: "number of OSDMaps to keep"},
	{Name: "mon_allow_pool_pg_num_change", Type: Bool, Default: "true", Desc: "allow pg_num of a pool that exists to grow"},
	{Name: "mon_osd_max_creating_pgs", Type: Int, Default: "1024", Min: 1, Max: 1 << 20, Desc: "maximum number of PGs the manager makes at once when pg_num of pools grows"},
	{Name: "target_max_misplaced_ratio", Type: Float, Default: ".05", Max: 1, Desc: "max ratio of misplaced objects that changes of pgp_num may bring about"},
	{Name: "mgr_debug_aggressive_pg_num_changes", Type: Bool, Default: "false", Desc: "change pgp_num to its target at once, whatever moves"},
	{Name: "mgr_tick_period", Type: Int, Default: "2", Min: 1, Max: 3600, Desc: "seconds between looks of the manager at what pools and PGs need"},
	{Name: "mon_osd_down_out_interval", Type: Int, Default: "600", Max: 1 << 31, Desc: "mark any OSD out that has been down for this many seconds; 0 never"},
	{Name: "mon_osd_adjust_down_out_interval", Type: Bool, Default: "true", Desc: "widen mon_osd_down_out_interval for OSDs that have laggy history"},
	{Name: "mon_osd_destroyed_out_interval", Type: Int, Default: "600", Max: 1 << 31, Desc: "mark any OSD out that was destroyed and has been down for this many seconds; 0 never"},
	{Name: "mon_osd_down_out_subtree_limit", Default: "rack", Desc: "do not mark OSDs out if a whole CRUSH bucket of this type is down"},
	{Name: "mon_osd_min_down_reporters", Type: Uint, Default: "2", Min: 1, Max: 1000, Desc: "number of OSDs from different subtrees who need to report a down OSD for it to count"},
	{Name: "mon_osd_report_timeout", Type: Int, Default: "900", Min: 1, Max: 1 << 31, Desc: "seconds before a silent OSD is declared down"},
	{Name: "mon_osd_reporter_subtree_level", Default: "host", Desc: "reporters in one bucket of this type count as one"},
	{Name: "mon_osd_min_up_ratio", Type: Float, Default: "0.3", Max: 1, Desc: "do not mark OSDs down below this ratio of up OSDs"},
	{Name: "mon_osd_min_in_ratio", Type: Float, Default: "0.75", Max: 1, Desc: "do not mark OSDs out below this ratio of in OSDs"},
	{Name: "mon_osd_auto_mark_in", Type: Bool, Default: "false", Desc: "mark any OSD that comes up in"},
	{Name: "mon_osd_auto_mark_new_in", Type: Bool, Default: "true", Desc: "mark any new OSD that comes up in"},
	{Name: "mon_osd_auto_mark_auto_out_in", Type: Bool, Default: "true", Desc: "mark OSDs in that come up and were marked out automatically"},
	{Name: "mon_osd_laggy_halflife", Type: Int, Default: "3600", Min: 1, Max: 1 << 31, Desc: "halflife of the memory of lagginess, in seconds"},
	{Name: "mon_osd_laggy_weight", Type: Float, Default: "0.3", Max: 1, Desc: "how heavily to weigh one laggy period"},
	{Name: "mon_osd_laggy_max_interval", Type: Int, Default: "300", Max: 1 << 31, Desc: "longest laggy period that counts, in seconds"},
	{Name: "mon_osd_blocklist_default_expire", Type: Float, Default: "3600", Max: 1 << 31, Desc: "seconds a client stays on the blocklist unless told otherwise"},
	{Name: "mon_allow_pool_size_one", Type: Bool, Default: "false", Desc: "allow pools without redundancy"},
	{Name: "mon_log_max", Type: Int, Default: "10000", Min: 1, Max: 1 << 20, Desc: "entries of the cluster log to keep"},
	{Name: "mon_client_bytes", Type: Size, Default: "100M", Desc: "bytes of client messages held at once"},
	{Name: "mon_daemon_bytes", Type: Size, Default: "400M", Desc: "bytes of daemons' messages held at once"},
	{Name: "mon_max_log_entries_per_event", Type: Int, Default: "4096", Min: 1, Max: 1 << 20, Desc: "entries taken from one log message"},
	{Name: "mon_osd_adjust_heartbeat_grace", Type: Bool, Default: "true", Desc: "widen the grace for OSDs that have laggy history"},
	{Name: "mon_osd_full_ratio", Type: Float, Default: "0.95", Max: 1, Desc: "full ratio of a new cluster"},
	{Name: "mon_osd_backfillfull_ratio", Type: Float, Default: "0.90", Max: 1, Desc: "backfillfull ratio of a new cluster"},
	{Name: "mon_osd_nearfull_ratio", Type: Float, Default: "0.85", Max: 1, Desc: "nearfull ratio of a new cluster"},
	{Name: "mon_warn_on_insecure_global_id_reclaim", Type: Bool, Default: "true", Desc: "kept so that configurations carry over"},
	{Name: "mon_warn_on_insecure_global_id_reclaim_allowed", Type: Bool, Default: "true", Desc: "kept so that configurations carry over"},
	{Name: "mon_warn_on_pool_no_app", Type: Bool, Default: "true", Desc: "warn of pools in use without an application"},
	{Name: "mon_pg_stuck_threshold", Type: Int, Default: "60", Min: 1, Max: 1 << 31, Desc: "number of seconds after which pgs can be considered stuck inactive, unclean, etc"},
	{Name: "mon_health_max_detail", Type: Uint, Default: "50", Max: 1 << 20, Desc: "max detailed pgs to report in health detail"},
	{Name: "mon_warn_on_misplaced", Type: Bool, Default: "false", Desc: "issue a health warning if there are misplaced objects"},
	{Name: "mon_pg_warn_max_object_skew", Type: Float, Default: "10", Max: 1 << 31, Desc: "max skew in average objects per PG over the cluster's average before a pool is warned about"},
	{Name: "mon_pg_warn_min_objects", Type: Int, Default: "10000", Max: 1 << 62, Desc: "least objects of the cluster for that warning"},
	{Name: "mon_pg_warn_min_pool_objects", Type: Int, Default: "1000", Max: 1 << 62, Desc: "least objects of a pool for that warning"},
	{Name: "mon_pg_warn_min_per_osd", Type: Uint, Default: "0", Max: 1 << 20, Desc: "minimal number of PGs per (in) osd before we warn the admin"},
	{Name: "mon_tick_interval", Type: Int, Default: "5", Min: 1, Max: 3600, Desc: "interval for internal mon background checks, in seconds"},
	{Name: "mgr_stats_period", Type: Int, Default: "5", Min: 1, Max: 3600, Desc: "seconds between reports of statistics"},
	{Name: "mgr_initial_modules", Desc: "kept so that configurations carry over"},
	{Name: "mgr_data", Default: "/var/lib/ceph/mgr/$cluster-$id", Desc: "kept so that configurations carry over"},
}

var osdOptions = []Option{
	{Name: "osd_data", Default: "/var/lib/ceph/osd/$cluster-$id", Desc: "path to the OSD's data", Startup: true},
	{Name: "osd_journal", Default: "$osd_data/journal", Desc: "path of the journal file", Startup: true},
	{Name: "osd_uuid", Type: UUID, Desc: "uuid label for a new OSD", Startup: true},
	{Name: "osd_objectstore", Default: "filestore", Choices: []string{"filestore", "memstore", "bluestore"}, Desc: "kind of store of a new OSD", Startup: true},
	{Name: "osd_crush_chooseleaf_type", Type: Int, Default: "1", Max: 255, Desc: "the CRUSH type a new cluster's rule spreads copies over"},
	{Name: "osd_crush_location", Desc: "the OSD's place in the CRUSH hierarchy (key=value ...)", Startup: true},
	{Name: "crush_location", Desc: "the OSD's place in the CRUSH hierarchy (key=value ...)", Startup: true},
	{Name: "osd_crush_update_on_start", Type: Bool, Default: "true", Desc: "place the OSD in the CRUSH hierarchy when it starts"},
	{Name: "osd_crush_initial_weight", Type: Float, Default: "-1", Min: -1, Max: 1e6, Desc: "CRUSH weight of a new OSD; negative means its size in TiB"},
	{Name: "osd_class_update_on_start", Type: Bool, Default: "true", Desc: "set the OSD's device class when it starts"},
	{Name: "osd_pool_default_size", Type: Uint, Default: "3", Max: 10, Desc: "number of copies of a new pool"},
	{Name: "osd_pool_default_min_size", Type: Uint, Default: "0", Max: 255, Desc: "copies needed to take writes; 0 is size - size/2"},
	{Name: "osd_pool_default_pg_num", Type: Uint, Default: "32", Max: 1 << 16, Desc: "number of PGs of a new pool"},
	{Name: "osd_pool_default_pgp_num", Type: Uint, Default: "0", Max: 1 << 16, Desc: "number of PGs for placement; 0 is pg_num"},
	{Name: "osd_pool_default_crush_rule", Type: Int, Default: "-1", Min: -1, Max: 255, Desc: "CRUSH rule of a new pool"},
	{Name: "osd_pool_default_pg_autoscale_mode", Default: "off", Choices: []string{"off", "on", "warn"}, Desc: "autoscaling of a new pool; this program has none"},
	{Name: "osd_max_object_size", Type: Size, Default: "128M", Min: 1, Max: 1 << 32, Desc: "maximum object size"},
	{Name: "osd_max_object_name_len", Type: Uint, Default: "2048", Min: 1, Max: 4096, Desc: "maximum length of an object name"},
	{Name: "osd_max_object_namespace_len", Type: Uint, Default: "256", Min: 1, Max: 1024, Desc: "maximum length of an object's namespace"},
	{Name: "osd_max_attr_name_len", Type: Uint, Default: "100", Min: 1, Max: 1024, Desc: "maximum length of an attribute name"},
	{Name: "osd_max_attr_size", Type: Uint, Default: "0", Max: 1 << 30, Desc: "maximum size of an attribute; 0 is 64 KiB"},
	{Name: "osd_max_write_size", Type: Size, Default: "90", Max: 2000, Desc: "maximum size of a write in MiB"},
	{Name: "osd_max_omap_entries_per_request", Type: Uint, Default: "1024", Min: 1, Max: 1 << 20, Desc: "keys an omap read returns at most"},
	{Name: "osd_max_omap_bytes_per_request", Type: Size, Default: "1G", Min: 1, Max: 1 << 40, Desc: "bytes an omap read returns at most"},
	{Name: "osd_heartbeat_interval", Type: Int, Default: "6", Min: 1, Max: 86400, Desc: "seconds between pings of a peer"},
	{Name: "osd_heartbeat_grace", Type: Int, Default: "20", Max: 86400, Desc: "seconds of silence after which a peer is reported failed"},
	{Name: "osd_heartbeat_stale", Type: Int, Default: "600", Max: 1 << 31, Desc: "seconds beyond the grace after which reports of a failure that came to nothing are dropped"},
	{Name: "osd_pool_default_read_lease_ratio", Type: Float, Default: "0.8", Max: 1000, Desc: "share of the heartbeat grace for which a primary may answer without hearing from its replicas"},
	{Name: "osd_heartbeat_min_peers", Type: Int, Default: "10", Max: 1000, Desc: "minimum number of peers to ping"},
	{Name: "osd_heartbeat_min_size", Type: Size, Default: "2000", Max: 1 << 20, Desc: "least size of a ping, bytes"},
	{Name: "osd_fast_fail_on_connection_refused", Type: Bool, Default: "true", Desc: "report OSDs that refuse connections at once"},
	{Name: "osd_beacon_report_interval", Type: Int, Default: "300", Min: 1, Max: 86400, Desc: "seconds between beacons to the monitors"},
	{Name: "osd_mon_report_interval", Type: Int, Default: "5", Min: 1, Max: 86400, Desc: "seconds between reports to the monitors"},
	{Name: "osd_op_num_shards", Type: Int, Default: "0", Max: 1024, Desc: "number of event workers; 0 chooses by the number of processors", Startup: true},
	{Name: "osd_client_message_size_cap", Type: Size, Default: "500M", Desc: "bytes of client messages in memory; more are left in the sockets"},
	{Name: "osd_client_message_cap", Type: Uint, Default: "256", Desc: "number of client messages in memory; more are left in the sockets"},
	{Name: "osd_min_pg_log_entries", Type: Uint, Default: "250", Max: 1 << 24, Desc: "minimum number of entries to maintain in the PG log"},
	{Name: "osd_max_pg_log_entries", Type: Uint, Default: "10000", Max: 1 << 24, Desc: "maximum number of entries to maintain in the PG log"},
	{Name: "osd_pg_log_dups_tracked", Type: Uint, Default: "3000", Max: 1 << 24, Desc: "how many versions back to track in order to detect duplicate ops"},
	{Name: "osd_pg_log_trim_min", Type: Uint, Default: "100", Max: 1 << 24, Desc: "minimum number of log entries to trim at once"},
	{Name: "osd_pg_log_trim_max", Type: Uint, Default: "10000", Max: 1 << 24, Desc: "maximum number of log entries to trim at once"},
	{Name: "osd_recovery_max_active", Type: Uint, Default: "0", Max: 1000, Desc: "objects recovered at once; 0 is 3 on rotating disks and 10 on others"},
	{Name: "osd_recovery_max_chunk", Type: Size, Default: "8M", Min: 1, Max: 1 << 30, Desc: "most bytes of an object pushed at once"},
	{Name: "osd_async_recovery_min_cost", Type: Uint, Default: "100", Max: 1 << 40, Desc: "objects that a member lacks from which on it is recovered outside of the acting set; 0 never"},
	{Name: "osd_recovery_sleep", Type: Float, Default: "0", Max: 3600, Desc: "seconds between objects that a PG recovers or fills"},
	{Name: "osd_backfill_retry_interval", Type: Float, Default: "30", Max: 86400, Desc: "seconds after which a full target of backfill is asked again"},
	{Name: "osd_max_backfills", Type: Uint, Default: "1", Min: 1, Max: 1000, Desc: "backfills to and from an OSD at once"},
	{Name: "osd_map_cache_size", Type: Int, Default: "50", Min: 2, Max: 10000, Desc: "OSDMaps kept in memory"},
	{Name: "osd_map_message_max", Type: Int, Default: "40", Min: 1, Max: 1000, Desc: "maps sent in one message"},
	{Name: "osd_map_message_max_bytes", Type: Size, Default: "10M", Min: 1, Max: 1 << 30, Desc: "bytes of maps sent in one message"},
	{Name: "osd_failsafe_full_ratio", Type: Float, Default: "0.97", Max: 1, Desc: "share of the disk beyond which writes are refused whatever the map says"},
	{Name: "osd_op_complaint_time", Type: Float, Default: "30", Max: 1e6, Desc: "seconds after which an operation counts as slow"},
	{Name: "osd_op_history_size", Type: Uint, Default: "20", Max: 10000, Desc: "finished operations kept for dump_historic_ops"},
}

var storeOptions = []Option{
	{Name: "osd_journal_size", Type: Uint, Default: "1024", Min: 16, Max: 1 << 20, Desc: "size of the journal in MiB", Startup: true},
	{Name: "filestore_split_multiple", Type: Int, Default: "2", Min: 1, Max: 100, Desc: "a directory splits at this times the merge threshold times 16 files", Startup: true},
	{Name: "filestore_merge_threshold", Type: Int, Default: "-10", Min: -1000, Max: 1000, Desc: "files below which directories merge; negative never merges", Startup: true},
	{Name: "filestore_max_sync_interval", Type: Float, Default: "5", Min: 0.01, Max: 3600, Desc: "most seconds between checkpoints"},
	{Name: "filestore_queue_max_bytes", Type: Size, Default: "100M", Min: 1 << 20, Max: 1 << 40, Desc: "bytes of transactions under way before submitters wait", Startup: true},
	{Name: "filestore_queue_max_ops", Type: Uint, Default: "500", Min: 1, Max: 1 << 20, Desc: "transactions under way before submitters wait", Startup: true},
	{Name: "filestore_max_inline_object_size", Type: Size, Default: "8K", Min: 0, Max: 64 << 10, Desc: "objects of no more bytes are kept in the key-value store, without a file; 0 for none", Startup: true},
	{Name: "filestore_fd_cache_size", Type: Int, Default: "1024", Min: 16, Max: 1 << 20, Desc: "files kept open", Startup: true},
	{Name: "memstore_device_bytes", Type: Size, Default: "1G", Min: 1 << 20, Max: 1 << 40, Desc: "size a memstore claims to have", Startup: true},
}

var clientOptions = []Option{
	{Name: "rados_mon_op_timeout", Type: Secs, Default: "0", Desc: "seconds a client waits for the monitors; 0 for ever"},
	{Name: "rados_osd_op_timeout", Type: Secs, Default: "0", Desc: "seconds a client waits for an operation; 0 for ever"},
	{Name: "client_mount_timeout", Type: Secs, Default: "300", Desc: "seconds a client waits for its first connection to a monitor"},
	{Name: "mon_client_ping_interval", Type: Float, Default: "10", Min: 0.1, Max: 3600, Desc: "seconds between keepalives to the monitor"},
	{Name: "mon_client_ping_timeout", Type: Float, Default: "30", Min: 0.1, Max: 3600, Desc: "seconds of a monitor's silence before another is tried"},
	{Name: "mon_client_hunt_interval", Type: Float, Default: "3", Min: 0.1, Max: 3600, Desc: "seconds before another monitor is tried"},
	{Name: "objecter_inflight_ops", Type: Uint, Default: "1024", Min: 1, Max: 1 << 20, Desc: "operations in flight before a client waits"},
	{Name: "objecter_inflight_op_bytes", Type: Size, Default: "100M", Min: 1 << 20, Max: 1 << 40, Desc: "bytes in flight before a client waits"},
}
