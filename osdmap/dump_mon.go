package osdmap

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"sepiola/jsonfmt"
)

// locString prints a CRUSH location as "{host=a,root=b}".
func locString(loc map[string]string) string {
	parts := make([]string, 0, len(loc))
	for _, k := range slices.Sorted(maps.Keys(loc)) {
		parts = append(parts, k+"="+loc[k])
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// Print returns what `ceph mon dump` and `monmaptool --print` print
// (MonMap::print).
func (m *MonMap) Print() string {
	var b strings.Builder
	fmt.Fprintf(&b, "epoch %d\nfsid %s\nlast_changed %s\ncreated %s\nmin_mon_release %d (%s)\nelection_strategy: %d\n",
		m.Epoch, m.FSID, jsonfmt.Stamp(m.LastChanged), jsonfmt.Stamp(m.Created),
		m.MinMonRelease, m.MinMonRelease, m.Strategy)
	if len(m.DisallowedLeaders) > 0 {
		fmt.Fprintf(&b, "disallowed_leaders %s\n", strings.Join(m.DisallowedLeaders, ","))
	}
	for rank, name := range m.Ranks {
		i := m.Mons[name]
		fmt.Fprintf(&b, "%d: %s mon.%s", rank, addrsString(i.Addrs), name)
		if len(i.CrushLoc) > 0 {
			fmt.Fprintf(&b, "; crush_location %s", locString(i.CrushLoc))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Summary returns the beginning of `ceph mon stat`: "e1: 1 mons at {a=v2:...}".
func (m *MonMap) Summary() string {
	parts := make([]string, 0, len(m.Mons))
	for _, name := range slices.Sorted(maps.Keys(m.Mons)) {
		parts = append(parts, name+"="+addrsString(m.Mons[name].Addrs))
	}
	return fmt.Sprintf("e%d: %d mons at {%s} removed_ranks: {%s}",
		m.Epoch, len(m.Mons), strings.Join(parts, ","), ranksString(m.RemovedRanks))
}

func ranksString(v []int32) string { return strings.Trim(OSDsString(v), "[]") }

// DumpJSON writes the fields of the map into the open object, as `ceph mon
// dump` does (MonMap::dump).
func (m *MonMap) DumpJSON(w *jsonfmt.Writer) {
	w.Uint("epoch", uint64(m.Epoch))
	w.String("fsid", m.FSID.String())
	w.String("modified", jsonfmt.StampZ(m.LastChanged))
	w.String("created", jsonfmt.StampZ(m.Created))
	w.Uint("min_mon_release", uint64(m.MinMonRelease))
	w.String("min_mon_release_name", m.MinMonRelease.String())
	w.Int("election_strategy", int64(m.Strategy))
	w.String("disallowed_leaders: ", strings.Join(m.DisallowedLeaders, ","))
	w.Bool("stretch_mode", m.StretchModeEnabled)
	w.String("tiebreaker_mon", m.TiebreakerMon)
	w.String("removed_ranks: ", ranksString(m.RemovedRanks))
	w.OpenObject("features")
	w.Strings("persistent", m.PersistentFeatures.Names())
	w.Strings("optional", m.OptionalFeatures.Names())
	w.Close()
	w.OpenArray("mons")
	for rank, name := range m.Ranks {
		i := m.Mons[name]
		w.OpenObject("mon")
		w.Int("rank", int64(rank))
		w.String("name", name)
		DumpAddrs(w, "public_addrs", i.Addrs)
		w.String("addr", LegacyAddrString(i.Addrs))
		w.String("public_addr", LegacyAddrString(i.Addrs))
		w.Uint("priority", uint64(i.Priority))
		w.Uint("weight", uint64(i.Weight))
		w.String("crush_location", locString(i.CrushLoc))
		w.Close()
	}
	w.Close()
}
