package mon

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"sepiola/jsonfmt"
	"sepiola/object"
	"sepiola/osdmap"
)

const epochArg = " name=epoch,type=CephInt,range=0,req=false"

// osdCommands read the OSD map.
var osdCommands = []entry{
	{spec("osd stat", "print summary of OSD map", "osd", "r", 0), (*Monitor).cmdOSDStat},
	{spec("osd dump"+epochArg, "print summary of OSD map", "osd", "r", 0), (*Monitor).cmdOSDDump},
	{spec("osd info name=id,type=CephOsdName,req=false", "print osd's {id} information (instead of all osds from map)", "osd", "r", 0), (*Monitor).cmdOSDInfo},
	{spec("osd tree"+epochArg+" name=states,type=CephChoices,strings=up|down|in|out|destroyed,n=N,req=false", "print OSD tree", "osd", "r", 0), (*Monitor).cmdOSDTree},
	{spec("osd tree-from"+epochArg+" name=bucket,type=CephString name=states,type=CephChoices,strings=up|down|in|out|destroyed,n=N,req=false", "print OSD tree in bucket", "osd", "r", 0), (*Monitor).cmdOSDTree},
	{spec("osd ls"+epochArg, "show all OSD ids", "osd", "r", 0), (*Monitor).cmdOSDLs},
	{spec("osd ls-tree"+epochArg+" name=name,type=CephString,req=true", "show OSD ids under bucket <name> in the CRUSH map", "osd", "r", 0), (*Monitor).cmdOSDLsTree},
	{spec("osd getmap"+epochArg, "get OSD map", "osd", "r", 0), (*Monitor).cmdOSDGetmap},
	{spec("osd getcrushmap"+epochArg, "get CRUSH map", "osd", "r", 0), (*Monitor).cmdGetCrushmap},
	{spec("osd getmaxosd", "show largest OSD id", "osd", "r", 0), (*Monitor).cmdGetMaxOSD},
	{spec("osd find name=id,type=CephOsdName", "find osd <id> in the CRUSH map and show its location", "osd", "r", 0), (*Monitor).cmdOSDFind},
	{spec("osd metadata name=id,type=CephOsdName,req=false", "fetch metadata for osd {id} (default all)", "osd", "r", 0), (*Monitor).cmdOSDMetadata},
	{spec("osd count-metadata name=property,type=CephString", "count OSDs by metadata field property", "osd", "r", 0), (*Monitor).cmdOSDCount},
	{spec("osd versions", "check running versions of OSDs", "osd", "r", 0), (*Monitor).cmdOSDVersions},
	{spec("osd map name=pool,type=CephPoolname name=object,type=CephObjectname name=nspace,type=CephString,req=false", "find pg for <object> in <pool> with [namespace]", "osd", "r", 0), (*Monitor).cmdOSDMap},
	{spec("osd blocklist ls", "show blocklisted clients", "osd", "r", 0), (*Monitor).cmdBlocklist},
	{spec("osd blacklist ls", "show blocklisted clients", "osd", "r", flagDeprecated), (*Monitor).cmdBlocklist},
	{spec("osd erasure-code-profile ls", "list all erasure code profiles", "osd", "r", 0), (*Monitor).cmdECProfileLs},
	{spec("osd erasure-code-profile get name=name,type=CephString,goodchars=[A-Za-z0-9-_.]", "get erasure code profile <name>", "osd", "r", 0), (*Monitor).cmdECProfileGet},
	{spec("osd utilization", "get basic pg distribution stats", "osd", "r", 0), (*Monitor).cmdUtilization},
	{spec("pg map name=pgid,type=CephPgid", "show mapping of pg to osds", "pg", "r", 0), (*Monitor).cmdPGMap},
}

// mapArg returns the map of the epoch a command names, the newest by default.
func (m *Monitor) mapArg(q *query) (*osdmap.Map, *reply) {
	e, err := q.args.Int("epoch", 0)
	if err != nil {
		r := refuse(syscall.EINVAL, "%v", err)
		return nil, &r
	}
	st := &m.machine.State
	if e == 0 || e == int64(st.LastEpoch) {
		return st.OSD, nil
	}
	full, err := []byte(nil), error(nil)
	if e > 0 && e <= int64(st.LastEpoch) {
		full, err = m.maps.full(uint32(e))
	}
	if err != nil || full == nil {
		r := refuse(syscall.ENOENT, "there is no map for epoch %d", e)
		return nil, &r
	}
	om, err := osdmap.DecodeMap(full)
	if err != nil {
		r := refuse(syscall.EIO, "map of epoch %d: %v", e, err)
		return nil, &r
	}
	return om, nil
}

func (m *Monitor) cmdOSDStat(q *query) reply {
	om := m.machine.State.OSD
	if !q.isJSON() {
		return text("%s", strings.TrimSuffix(om.Summary(m.now(), "", true), "\n"))
	}
	w := q.writer()
	w.OpenObject("")
	om.DumpSummary(w)
	w.Close()
	return reply{out: w.Bytes()}
}

func (m *Monitor) cmdOSDDump(q *query) reply {
	om, bad := m.mapArg(q)
	if bad != nil {
		return *bad
	}
	if !q.isJSON() {
		// Monitors leave out the blank lines that osdmaptool prints.
		return text("%s", strings.ReplaceAll(om.Print(), "\n\n", "\n"))
	}
	w := q.writer()
	w.OpenObject("")
	om.DumpJSON(w)
	w.Close()
	return line(w)
}

func (m *Monitor) cmdOSDInfo(q *query) reply {
	om := m.machine.State.OSD
	osds := om.OSDs()
	one := q.args.Has("id")
	if one {
		osd, err := m.osdArg(q)
		if err != nil {
			return *err
		}
		osds = []int32{osd}
	}
	if !q.isJSON() {
		var b strings.Builder
		for _, osd := range osds {
			b.WriteString(strings.TrimSuffix(om.PrintOSD(osd), "\n") + "\n")
		}
		return reply{out: []byte(b.String())}
	}
	w := q.writer()
	if !one {
		w.OpenArray("")
	}
	for _, osd := range osds {
		om.DumpOSD(w, osd)
	}
	if !one {
		w.Close()
	}
	return line(w)
}

// osdArg finds the OSD a command names by "id".
func (m *Monitor) osdArg(q *query) (int32, *reply) {
	s := q.args.String("id")
	n, err := strconv.ParseInt(strings.TrimPrefix(s, "osd."), 10, 32)
	if err != nil {
		r := refuse(syscall.EINVAL, "unable to parse osd id value '%s'", s)
		return 0, &r
	}
	if !m.machine.State.OSD.Exists(int32(n)) {
		r := refuse(syscall.ENOENT, "osd.%d does not exist", n)
		return 0, &r
	}
	return int32(n), nil
}

var treeStates = map[string]osdmap.TreeFilter{"up": osdmap.TreeUp, "down": osdmap.TreeDown, "in": osdmap.TreeIn,
	"out": osdmap.TreeOut, "destroyed": osdmap.TreeDestroyed}

func (m *Monitor) cmdOSDTree(q *query) reply {
	om, bad := m.mapArg(q)
	if bad != nil {
		return *bad
	}
	var filter osdmap.TreeFilter
	for _, s := range q.args.Strings("states") {
		filter |= treeStates[s]
	}
	for _, pair := range [][2]osdmap.TreeFilter{{osdmap.TreeIn, osdmap.TreeOut}, {osdmap.TreeUp, osdmap.TreeDown}} {
		if filter&pair[0] != 0 && filter&pair[1] != 0 {
			return refuse(syscall.EINVAL, "cannot specify both in and out, or up and down")
		}
	}
	bucket := q.args.String("bucket")
	if bucket != "" {
		if id, ok := om.Crush.ItemID(bucket); !ok {
			return refuse(syscall.ENOENT, "bucket '%s' does not exist", bucket)
		} else if id >= 0 {
			return refuse(syscall.EINVAL, "\"%s\" is not a bucket", bucket)
		}
	}
	if !q.isJSON() {
		return reply{out: []byte(om.PrintTree(filter, bucket))}
	}
	w := q.writer()
	w.OpenObject("")
	om.DumpTree(w, filter, bucket)
	w.Close()
	return line(w)
}

func (m *Monitor) cmdOSDLs(q *query) reply {
	om, bad := m.mapArg(q)
	if bad != nil {
		return *bad
	}
	return listIDs(q, om.OSDs())
}

func listIDs(q *query, ids []int32) reply {
	if q.isJSON() {
		w := q.writer()
		w.OpenArray("")
		for _, id := range ids {
			w.Int("", int64(id))
		}
		w.Close()
		return line(w)
	}
	var b strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&b, "%d\n", id)
	}
	return reply{out: []byte(b.String())}
}

func (m *Monitor) cmdOSDLsTree(q *query) reply {
	om, bad := m.mapArg(q)
	if bad != nil {
		return *bad
	}
	id, ok := om.Crush.ItemID(q.args.String("name"))
	if !ok {
		return refuse(syscall.ENOENT, "\"%s\" does not exist", q.args.String("name"))
	}
	ids := []int32{id}
	if id < 0 {
		ids = om.Crush.Leaves(id)
		slices.Sort(ids)
	}
	return listIDs(q, slices.DeleteFunc(ids, func(o int32) bool { return !om.Exists(o) }))
}

func (m *Monitor) cmdOSDGetmap(q *query) reply {
	om, bad := m.mapArg(q)
	if bad != nil {
		return *bad
	}
	full, err := m.maps.full(om.Epoch)
	if err != nil || full == nil {
		return refuse(syscall.EIO, "map of epoch %d cannot be read: %v", om.Epoch, err)
	}
	return reply{out: full, status: fmt.Sprintf("got osdmap epoch %d", om.Epoch)}
}

func (m *Monitor) cmdGetCrushmap(q *query) reply {
	om, bad := m.mapArg(q)
	if bad != nil {
		return *bad
	}
	return reply{out: om.Crush.EncodeMap(), status: fmt.Sprint(om.CrushVersion)}
}

func (m *Monitor) cmdGetMaxOSD(q *query) reply {
	om := m.machine.State.OSD
	if !q.isJSON() {
		return text("max_osd = %d in epoch %d", om.MaxOSD, om.Epoch)
	}
	w := q.writer()
	w.OpenObject("")
	w.Uint("epoch", uint64(om.Epoch))
	w.Int("max_osd", int64(om.MaxOSD))
	w.Close()
	return reply{out: w.Bytes()}
}

func (m *Monitor) cmdOSDFind(q *query) reply {
	osd, bad := m.osdArg(q)
	if bad != nil {
		return *bad
	}
	st := &m.machine.State
	w := q.writer()
	w.OpenObject("")
	w.Int("osd", int64(osd))
	osdmap.DumpAddrs(w, "addrs", st.OSD.Addrs(osd))
	w.String("osd_fsid", st.OSD.OSDUUID[osd].String())
	meta := st.OSDMetadata[osd]
	if h, ok := meta["hostname"]; ok {
		w.String("host", h)
	}
	for _, k := range []string{"container_hostname", "container_name", "pod_name", "pod_namespace"} {
		if v, ok := meta[k]; ok {
			w.String(k, v)
		}
	}
	w.OpenObject("crush_location")
	loc := st.OSD.Crush.FullLocation(osd)
	for _, k := range sortedNames(loc) {
		w.String(k, loc[k])
	}
	w.Close()
	w.Close()
	return reply{out: w.Bytes()}
}

func (m *Monitor) cmdOSDMetadata(q *query) reply {
	st := &m.machine.State
	w := q.writer()
	if q.args.Has("id") {
		osd, bad := m.osdArg(q)
		if bad != nil {
			return *bad
		}
		m.osdMetadataJSON(w, osd)
		return reply{out: w.Bytes()}
	}
	w.OpenArray("")
	for _, osd := range st.OSD.OSDs() {
		m.osdMetadataJSON(w, osd)
	}
	w.Close()
	return reply{out: w.Bytes()}
}

func (m *Monitor) osdMetadataJSON(w *jsonfmt.Writer, osd int32) {
	meta := m.machine.State.OSDMetadata[osd]
	w.OpenObject("")
	w.Int("id", int64(osd))
	for _, k := range sortedNames(meta) {
		w.String(k, meta[k])
	}
	w.Close()
}

func (m *Monitor) cmdOSDCount(q *query) reply {
	counts := map[string]int{}
	for _, meta := range m.machine.State.OSDMetadata {
		counts[cmpOr(meta[q.args.String("property")], "unknown")]++
	}
	w := q.writer()
	dumpCounts(w, "", counts)
	return reply{out: w.Bytes()}
}

func (m *Monitor) cmdOSDVersions(q *query) reply {
	w := q.writer()
	dumpCounts(w, "", m.versionsOf("osd"))
	return reply{out: w.Bytes()}
}

// cmdOSDMap tells where an object is.
func (m *Monitor) cmdOSDMap(q *query) reply {
	om := m.machine.State.OSD
	pool, name, ns := q.args.String("pool"), q.args.String("object"), q.args.String("nspace")
	id, ok := om.PoolID(pool)
	if !ok {
		return refuse(syscall.ENOENT, "pool %s does not exist", pool)
	}
	raw, err := om.ObjectToPG(name, object.Locator{Pool: id, Namespace: ns, Hash: -1})
	if err != nil {
		return refuse(syscall.EIO, "%v", err)
	}
	pg := om.RawPGToPG(raw)
	up, upPrimary, acting, actingPrimary := om.PGToUpActing(pg)
	full := name
	if ns != "" {
		full = ns + "/" + name
	}
	if !q.isJSON() {
		return text("osdmap e%d pool '%s' (%d) object '%s' -> pg %s (%s) -> up (%s, p%d) acting (%s, p%d)",
			om.Epoch, pool, id, full, raw, pg, osdmap.OSDsString(up), upPrimary, osdmap.OSDsString(acting), actingPrimary)
	}
	w := q.writer()
	w.OpenObject("")
	w.Uint("epoch", uint64(om.Epoch))
	w.String("pool", pool)
	w.Int("pool_id", id)
	w.String("objname", full)
	w.String("raw_pgid", raw.String())
	w.String("pgid", pg.String())
	dumpOSDs(w, "up", up)
	w.Int("up_primary", int64(upPrimary))
	dumpOSDs(w, "acting", acting)
	w.Int("acting_primary", int64(actingPrimary))
	w.Close()
	return reply{out: w.Bytes()}
}

func dumpOSDs(w *jsonfmt.Writer, name string, osds []int32) {
	w.OpenArray(name)
	for _, o := range osds {
		w.Int("", int64(o))
	}
	w.Close()
}

func (m *Monitor) cmdPGMap(q *query) reply {
	om := m.machine.State.OSD
	pg, err := object.ParsePGID(q.args.String("pgid"))
	if err != nil {
		return refuse(syscall.EINVAL, "invalid pgid '%s'", q.args.String("pgid"))
	}
	mapped := om.RawPGToPG(pg)
	p := om.Pools[pg.Pool]
	if p == nil {
		return refuse(syscall.ENOENT, "pg '%s' does not exist", pg)
	}
	up, _, acting, _ := om.PGToUpActing(mapped)
	if !q.isJSON() {
		return text("osdmap e%d pg %s (%s) -> up %s acting %s", om.Epoch, pg, mapped, osdmap.OSDsString(up), osdmap.OSDsString(acting))
	}
	w := q.writer()
	w.OpenObject("")
	w.Uint("epoch", uint64(om.Epoch))
	w.String("raw_pgid", pg.String())
	w.String("pgid", mapped.String())
	dumpOSDs(w, "up", up)
	dumpOSDs(w, "acting", acting)
	w.Close()
	return reply{out: w.Bytes()}
}

func (m *Monitor) cmdBlocklist(q *query) reply {
	list := m.machine.State.OSD.Blocklist
	status := fmt.Sprintf("listed %d entries", len(list))
	lines := map[string]string{}
	for a, until := range list {
		lines[osdmap.BlocklistString(a)] = jsonfmt.Stamp(until)
	}
	if !q.isJSON() {
		var b bytes.Buffer
		for _, a := range sortedNames(lines) {
			fmt.Fprintf(&b, "%s %s\n", a, lines[a])
		}
		return reply{out: b.Bytes(), status: status}
	}
	w := q.writer()
	w.OpenArray("")
	for _, a := range sortedNames(lines) {
		w.OpenObject("")
		w.String("addr", a)
		w.String("until", lines[a])
		w.Close()
	}
	w.Close()
	return reply{out: w.Bytes(), status: status}
}

func (m *Monitor) cmdECProfileLs(q *query) reply {
	names := sortedNames(m.machine.State.OSD.ErasureProfiles)
	if q.isJSON() {
		w := q.writer()
		w.Strings("", names)
		return twoLines(w)
	}
	return reply{out: []byte(strings.Join(append(names, ""), "\n"))}
}

func (m *Monitor) cmdECProfileGet(q *query) reply {
	name := q.args.String("name")
	p, ok := m.machine.State.OSD.ErasureProfiles[name]
	if !ok {
		return refuse(syscall.ENOENT, "unknown erasure code profile '%s'", name)
	}
	if q.isJSON() {
		w := q.writer()
		w.OpenObject("")
		for _, k := range sortedNames(p) {
			w.String(k, p[k])
		}
		w.Close()
		return twoLines(w)
	}
	var b strings.Builder
	for _, k := range sortedNames(p) {
		fmt.Fprintf(&b, "%s=%s\n", k, p[k])
	}
	return reply{out: []byte(b.String())}
}

// pgShares counts the PGs that belong to each OSD that is in.
func (m *Monitor) pgShares() map[int32]int {
	om := m.machine.State.OSD
	out := map[int32]int{}
	for _, osd := range om.OSDs() {
		if om.IsIn(osd) {
			out[osd] = 0
		}
	}
	for id, p := range om.Pools {
		for seed := range p.PGNum {
			up, _, _, _ := om.PGToUpActing(object.PGID{Pool: id, Seed: seed})
			for _, o := range up {
				if _, ok := out[o]; ok {
					out[o]++
				}
			}
		}
	}
	return out
}

func sortedOSDs[V any](m map[int32]V) []int32 { return slices.Sorted(maps.Keys(m)) }
