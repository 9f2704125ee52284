package e2e

import "regexp"

// differences are those from Ceph that stay, each with its reason. cmd is a pattern
// of the command, diff of the line that tells the difference.
var differences = []difference{
	// Who answers.
	{`git_version`, `git_version`, "the version names the build of Sepiola"},
	{``, `active_name: is "a"|mgr: [ax]\(active|\$\.mgr\.[^ ]*\[\]: is "a"`, "the monitor serves as manager, under its own name"},
	{`status|^-s`, `progress_events|^- progress:|Global Recovery Event|Rebalancing after|^- \[`, "progress is told by a module of the reference's manager"},
	{`^mgr dump`, `available_modules|always_on_modules|active_clients`, "modules are parts of the reference's manager"},
	{`metadata|osd find`, `container_name`, "the reference names the container that it runs in"},
	{`^mon metadata`, `compression_algorithms|device_ids|device_paths|devices`, "the monitor does not look into devices, and messages are not compressed"},
	{`^osd metadata`, `_iface|device_ids|device_paths|devices|numa`, "the OSD does not look into devices and interfaces"},
	{`^osd metadata`, `created_at|when_created|osdspec_affinity`, "notes of ceph-volume and BlueStore"},
	{`^osd metadata`, `osd_data|osd_objectstore|rotational|sepiola_version`, "another directory, another store, and the version of Sepiola"},
	{`^osd count-metadata`, `memstore|filestore`, "the clusters have different stores"},

	// What the reference cannot be held to.
	{`^osd blocklist ls`, `^[+-]\[\]|another order or number`, "the reference prints two arrays one after the other, which is no JSON"},
	{`^pg (dump|ls)`, `another order or number|pgid: is`, "the reference lists PGs in the order of a hash table, and CRUSH weights differ"},
	{`mon_status`, `feature_map\.client`, "clients that happen to be connected"},
	{`^config-key`, `in Ceph "(config|mgr)|\$\.(config|mgr)[^ ]*: is missing`, "options and the manager's notes are not kept among the keys"},

	// Versions: 16.2.15 has more than 16.2.6, which Sepiola follows.
	{`features|mon_status`, `features: is "0x|"features": "Nx`, "the feature RANGE_BLOCKLIST came with a later 16.2"},
	{`status`, `cluster_osdmap_trim_lower_bound`, "came with a later 16.2"},
	{`^osd pool (get|set|create)`, `bulk|pg_num_max|^\+osd pool create <pool>`, "came with a later 16.2"},
	{`^signature`, `^osdpool(get|set|create)<pool>|^osdblocklistadd`, "pg_num_max, bulk and ranges of addresses came with a later 16.2"},

	// What is not there yet.
	{`^osd dump`, `last_purged_snaps_scrub`, "there are no snapshots to purge"},
	{`^pg dump`, `network_ping_times`, "OSDs do not report how long pings take"},

	// Words of our own.
	{`^signature`, `^pgwhy`, "plain words for what Ceph tells by states"},
	{`^config help`, `desc|min|max|^[+-]`, "descriptions and bounds of options are our own"},
	{`nosuch(command|var)`, `^[+-](Invalid command: nosuchvar not in )?[a-z_0-9-]+( |$|\|)|^[+-]N$`, "Ceph lists commands and settings near what was typed; it has more of them"},
	{`^daemon .* help`, `messenger dump`, "came with a later version of Ceph"},
	{`^daemon .* perf dump`, `AsyncMessenger`, "counted by messenger, not by a worker of the messengers"},
	{`^daemon .* help`, `heap|cpu_profiler|quorum_status`, "profiles of a Go program"},
	{`^daemon .* config show`, `debug_memstore|mon_log_max|osd_crush_location|filestore_max_inline_object_size|mon_allow_pool_pg_num_change`, "options of our own"},
	{`^daemon .* perf dump`, `osd_map_epoch|queue_len`, "counters of our own"},
}

type difference struct{ cmd, diff, why string }

func explained(cmd, diff string) bool {
	for _, d := range differences {
		if regexp.MustCompile(d.cmd).MatchString(cmd) && regexp.MustCompile(d.diff).MatchString(diff) {
			return true
		}
	}
	return false
}
