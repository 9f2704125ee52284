package osdmap

import (
	"maps"
	"slices"
	"strconv"

	"sepiola/entity"
	"sepiola/jsonfmt"
	"sepiola/object"
)

// sockaddrString is Ceph's form of a bare socket address.
func sockaddrString(a entity.Addr) string {
	if !a.IsValid() {
		return "(unrecognized address family 0)"
	}
	host := a
	host.Type, host.Nonce = entity.AddrAny, 0
	s := host.HostPortNonce()
	return s[:len(s)-len("/0")]
}

// LegacyAddrString is the one address that fields from before address vectors
// show: the v1 address, or else the first, as "ip:port/nonce".
func LegacyAddrString(v entity.AddrVec) string {
	a := v.Legacy()
	if a.IsZero() && len(v) > 0 {
		a = v[0]
	}
	return sockaddrString(a) + "/" + strconv.FormatUint(uint64(a.Nonce), 10)
}

// DumpAddrs writes an address vector as an object called name
// (entity_addrvec_t::dump).
func DumpAddrs(w *jsonfmt.Writer, name string, v entity.AddrVec) {
	w.OpenObject(name)
	w.OpenArray("addrvec")
	for _, a := range v {
		w.OpenObject("addr")
		DumpAddr(w, a)
		w.Close()
	}
	w.Close()
	w.Close()
}

// DumpAddr writes the fields of an address into the open object
// (entity_addr_t::dump).
func DumpAddr(w *jsonfmt.Writer, a entity.Addr) {
	w.String("type", a.Type.String())
	w.String("addr", sockaddrString(a))
	w.Uint("nonce", uint64(a.Nonce))
}

// DumpJSON writes the fields of the map into the open object, as `ceph osd
// dump` does (OSDMap::dump).
func (m *Map) DumpJSON(w *jsonfmt.Writer) {
	w.Int("epoch", int64(m.Epoch))
	w.String("fsid", m.FSID.String())
	w.Time("created", m.Created)
	w.Time("modified", m.Modified)
	w.Time("last_up_change", m.LastUpChange)
	w.Time("last_in_change", m.LastInChange)
	w.String("flags", FlagString(m.Flags))
	w.Uint("flags_num", uint64(m.Flags))
	w.Strings("flags_set", flagSet(m.Flags))
	w.Uint("crush_version", uint64(m.CrushVersion))
	w.Float("full_ratio", float64(m.FullRatio))
	w.Float("backfillfull_ratio", float64(m.BackfillFullRatio))
	w.Float("nearfull_ratio", float64(m.NearFullRatio))
	w.String("cluster_snapshot", m.clusterSnapshot())
	w.Int("pool_max", m.PoolMax)
	w.Int("max_osd", int64(m.MaxOSD))
	w.String("require_min_compat_client", m.RequireMinCompatClient.String())
	w.String("min_compat_client", m.MinCompatClient().String())
	w.String("require_osd_release", m.RequireOSDRelease.String())
	w.OpenArray("pools")
	for _, id := range m.PoolIDs() {
		w.OpenObject("pool")
		w.Int("pool", id)
		w.String("pool_name", m.poolName(id))
		m.Pools[id].DumpJSON(w)
		w.Close()
	}
	w.Close()
	m.dumpOSDs(w)
	m.dumpMappings(w)
	w.OpenObject("blocklist")
	for _, a := range slices.SortedFunc(maps.Keys(m.Blocklist), compareAddrBytes) {
		w.Time(BlocklistString(a), m.Blocklist[a])
	}
	w.Close()
	w.OpenObject("range_blocklist")
	for _, a := range slices.SortedFunc(maps.Keys(m.RangeBlocklist), compareAddrBytes) {
		w.Time(BlocklistString(a), m.RangeBlocklist[a])
	}
	w.Close()
	w.OpenObject("erasure_code_profiles")
	for _, name := range slices.Sorted(maps.Keys(m.ErasureProfiles)) {
		w.OpenObject(name)
		dumpStrings(w, m.ErasureProfiles[name])
		w.Close()
	}
	w.Close()
	dumpSnapSets(w, "removed_snaps_queue", m.RemovedSnapsQueue)
	dumpSnapSets(w, "new_removed_snaps", m.NewRemovedSnaps)
	dumpSnapSets(w, "new_purged_snaps", m.NewPurgedSnaps)
	m.dumpNodeFlags(w)
	w.OpenObject("stretch_mode")
	w.Bool("stretch_mode_enabled", m.StretchModeEnabled)
	w.Uint("stretch_bucket_count", uint64(m.StretchBucketCount))
	w.Uint("degraded_stretch_mode", uint64(m.DegradedStretchMode))
	w.Uint("recovering_stretch_mode", uint64(m.RecoveringStretchMode))
	w.Int("stretch_mode_bucket", int64(m.StretchModeBucket))
	w.Close()
}

// flagSet returns the names of the flags, sorted, with an empty one if any has
// no name.
func flagSet(flags uint32) []string {
	var out []string
	for bit := range 32 {
		if f := uint32(1) << bit; flags&f != 0 {
			out = append(out, FlagString(f))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// clusterSnapshot is the name of the snapshot made in this very epoch.
func (m *Map) clusterSnapshot() string {
	if m.ClusterSnapshotEpoch == m.Epoch {
		return m.ClusterSnapshot
	}
	return ""
}

func (m *Map) poolName(id int64) string {
	if name, ok := m.PoolNames[id]; ok {
		return name
	}
	return "<unknown>"
}

// BlocklistString is a blocklist entry as Ceph prints it.
func BlocklistString(a entity.Addr) string {
	s := sockaddrString(a) + "/" + strconv.FormatUint(uint64(a.Nonce), 10)
	switch a.Type {
	case entity.AddrNone:
		return "-"
	case entity.AddrAny:
		return s
	case AddrCIDR:
		return "cidr:" + s
	}
	return a.Type.String() + ":" + s
}

func dumpStrings(w *jsonfmt.Writer, m map[string]string) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		w.String(k, m[k])
	}
}

func dumpSnapSets(w *jsonfmt.Writer, name string, sets map[int64]SnapSet) {
	w.OpenArray(name)
	for _, id := range slices.Sorted(maps.Keys(sets)) {
		w.OpenObject("pool")
		w.Int("pool", id)
		w.OpenArray("snaps")
		for _, i := range sets[id] {
			w.OpenObject("interval")
			w.Uint("begin", uint64(i.Start))
			w.Uint("length", i.Len)
			w.Close()
		}
		w.Close()
		w.Close()
	}
	w.Close()
}

func (m *Map) dumpOSDs(w *jsonfmt.Writer) {
	w.OpenArray("osds")
	for _, osd := range m.OSDs() {
		m.DumpOSD(w, osd)
	}
	w.Close()
	w.OpenArray("osd_xinfo")
	for _, osd := range m.OSDs() {
		x := m.OSDXInfo[osd]
		w.OpenObject("xinfo")
		w.Int("osd", int64(osd))
		w.Time("down_stamp", x.DownStamp)
		w.Float("laggy_probability", x.Laggy())
		w.Int("laggy_interval", int64(x.LaggyInterval))
		w.Int("features", int64(x.Features))
		w.Uint("old_weight", uint64(x.OldWeight))
		w.Time("last_purged_snaps_scrub", x.LastPurgedSnapsScrub)
		w.Int("dead_epoch", int64(x.DeadEpoch))
		w.Close()
	}
	w.Close()
}

// Laggy returns the probability that the OSD is slow rather than dead when its
// heartbeats stop.
func (x OSDXInfo) Laggy() float64 {
	return float64(float32(x.LaggyProbability) / float32(0xffffffff))
}

// DumpOSD writes what the map says of one OSD as an object, as in `ceph osd
// dump` and `ceph osd info`; nothing if it does not exist.
func (m *Map) DumpOSD(w *jsonfmt.Writer, osd int32) {
	if !m.Exists(osd) {
		return
	}
	w.OpenObject("osd_info")
	w.Int("osd", int64(osd))
	w.String("uuid", m.OSDUUID[osd].String())
	w.Int("up", asInt(m.IsUp(osd)))
	w.Int("in", asInt(m.IsIn(osd)))
	w.Float("weight", fraction(m.OSDWeight[osd]))
	w.Float("primary_affinity", fraction(m.Affinity(osd)))
	i := m.OSDInfo[osd]
	w.Int("last_clean_begin", int64(i.LastCleanBegin))
	w.Int("last_clean_end", int64(i.LastCleanEnd))
	w.Int("up_from", int64(i.UpFrom))
	w.Int("up_thru", int64(i.UpThru))
	w.Int("down_at", int64(i.DownAt))
	w.Int("lost_at", int64(i.LostAt))
	DumpAddrs(w, "public_addrs", m.ClientAddrs[osd])
	DumpAddrs(w, "cluster_addrs", m.ClusterAddrs[osd])
	DumpAddrs(w, "heartbeat_back_addrs", m.HBBackAddrs[osd])
	DumpAddrs(w, "heartbeat_front_addrs", m.HBFrontAddrs[osd])
	w.String("public_addr", LegacyAddrString(m.ClientAddrs[osd]))
	w.String("cluster_addr", LegacyAddrString(m.ClusterAddrs[osd]))
	w.String("heartbeat_back_addr", LegacyAddrString(m.HBBackAddrs[osd]))
	w.String("heartbeat_front_addr", LegacyAddrString(m.HBFrontAddrs[osd]))
	w.Strings("state", StateNames(m.OSDState[osd]))
	w.Close()
}

func asInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// fraction turns 16.16 fixed point into a number, rounded as a C float.
func fraction(w uint32) float64 { return float64(float32(w) / float32(0x10000)) }

func dumpInts(w *jsonfmt.Writer, name string, v []int32) {
	w.OpenArray(name)
	for _, o := range v {
		w.Int("osd", int64(o))
	}
	w.Close()
}

func sortedPGs[V any](m map[object.PGID]V) []object.PGID {
	return slices.SortedFunc(maps.Keys(m), object.PGID.Compare)
}

func (m *Map) dumpMappings(w *jsonfmt.Writer) {
	w.OpenArray("pg_upmap")
	for _, pg := range sortedPGs(m.PGUpmap) {
		w.OpenObject("mapping")
		w.String("pgid", pg.String())
		dumpInts(w, "osds", m.PGUpmap[pg])
		w.Close()
	}
	w.Close()
	w.OpenArray("pg_upmap_items")
	for _, pg := range sortedPGs(m.PGUpmapItems) {
		w.OpenObject("mapping")
		w.String("pgid", pg.String())
		w.OpenArray("mappings")
		for _, i := range m.PGUpmapItems[pg] {
			w.OpenObject("mapping")
			w.Int("from", int64(i.From))
			w.Int("to", int64(i.To))
			w.Close()
		}
		w.Close()
		w.Close()
	}
	w.Close()
	w.OpenArray("pg_temp")
	for _, pg := range sortedPGs(m.PGTemp) {
		w.OpenObject("osds")
		w.String("pgid", pg.String())
		dumpInts(w, "osds", m.PGTemp[pg])
		w.Close()
	}
	w.Close()
	w.OpenArray("primary_temp")
	for _, pg := range sortedPGs(m.PrimaryTemp) {
		w.String("pgid", pg.String())
		w.Int("osd", int64(m.PrimaryTemp[pg]))
	}
	w.Close()
}

func (m *Map) dumpNodeFlags(w *jsonfmt.Writer) {
	w.OpenObject("crush_node_flags")
	for _, id := range slices.Sorted(maps.Keys(m.CrushNodeFlags)) {
		name, ok := m.Crush.ItemNames[id]
		if !ok {
			name = strconv.Itoa(int(id))
		}
		w.Strings(name, StateNames(m.CrushNodeFlags[id]))
	}
	w.Close()
	w.OpenObject("device_class_flags")
	for _, id := range slices.Sorted(maps.Keys(m.DeviceClassFlags)) {
		name, ok := m.Crush.ClassNames[id]
		if !ok {
			name = strconv.Itoa(int(id))
		}
		w.Strings(name, StateNames(m.DeviceClassFlags[id]))
	}
	w.Close()
}

// DumpSummary writes the fields of `ceph osd stat` into the open object
// (OSDMap::print_summary).
func (m *Map) DumpSummary(w *jsonfmt.Writer) {
	exist, up, in := m.Counts()
	w.Int("epoch", int64(m.Epoch))
	w.Int("num_osds", int64(exist))
	w.Int("num_up_osds", int64(up))
	w.Int("osd_up_since", unixOrZero(m.LastUpChange))
	w.Int("num_in_osds", int64(in))
	w.Int("osd_in_since", unixOrZero(m.LastInChange))
	w.Uint("num_remapped_pgs", uint64(len(m.PGTemp)))
}
