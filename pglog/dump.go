package pglog

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"sepiola/jsonfmt"
	"sepiola/object"
	"sepiola/osdmap"
)

// dump writes the intervals as an array of objects, their numbers as strings.
func (s IntervalSet) dump(w *jsonfmt.Writer, name string) {
	w.OpenArray(name)
	for _, r := range s {
		w.OpenObject("")
		w.String("start", strconv.FormatUint(r.Start, 10))
		w.String("length", strconv.FormatUint(r.Len, 10))
		w.Close()
	}
	w.Close()
}

// DumpJSON writes a history (pg_history_t::dump).
func (h *History) DumpJSON(w *jsonfmt.Writer) {
	for _, f := range []struct {
		name  string
		epoch uint32
	}{
		{"epoch_created", h.EpochCreated}, {"epoch_pool_created", h.EpochPoolCreated},
		{"last_epoch_started", h.LastEpochStarted}, {"last_interval_started", h.LastIntervalStarted},
		{"last_epoch_clean", h.LastEpochClean}, {"last_interval_clean", h.LastIntervalClean},
		{"last_epoch_split", h.LastEpochSplit}, {"last_epoch_marked_full", h.LastEpochMarkedFull},
		{"same_up_since", h.SameUpSince}, {"same_interval_since", h.SameIntervalSince},
		{"same_primary_since", h.SamePrimarySince},
	} {
		w.Uint(f.name, uint64(f.epoch))
	}
	w.String("last_scrub", h.LastScrub.String())
	w.Time("last_scrub_stamp", h.LastScrubStamp)
	w.String("last_deep_scrub", h.LastDeepScrub.String())
	w.Time("last_deep_scrub_stamp", h.LastDeepScrubStamp)
	w.Time("last_clean_scrub_stamp", h.LastCleanScrubStamp)
	w.Float("prior_readable_until_ub", h.PriorReadableUntilUB.Seconds())
}

// DumpJSON writes an info (pg_info_t::dump).
func (i *Info) DumpJSON(w *jsonfmt.Writer) {
	w.String("pgid", i.PGID.String())
	w.String("last_update", i.LastUpdate.String())
	w.String("last_complete", i.LastComplete.String())
	w.String("log_tail", i.LogTail.String())
	w.Uint("last_user_version", i.LastUserVersion)
	w.String("last_backfill", i.LastBackfill.String())
	i.PurgedSnaps.dump(w, "purged_snaps")
	w.OpenObject("history")
	i.History.DumpJSON(w)
	w.Close()
	w.OpenObject("stats")
	i.Stats.DumpJSON(w)
	w.Close()
	w.Int("empty", int64(b2i(i.IsEmpty())))
	w.Int("dne", int64(b2i(i.DNE())))
	w.Int("incomplete", int64(b2i(i.IsIncomplete())))
	w.Uint("last_epoch_started", uint64(i.LastEpochStarted))
	w.OpenObject("hit_set_history")
	i.HitSet.dump(w)
	w.Close()
}

func (h *HitSetHistory) dump(w *jsonfmt.Writer) {
	w.String("current_last_update", h.CurrentLastUpdate.String())
	w.OpenArray("history")
	for _, i := range h.History {
		w.OpenObject("")
		w.Time("begin", i.Begin)
		w.Time("end", i.End)
		w.String("version", i.Version.String())
		w.String("using_gmt", strconv.Itoa(b2i(i.UsingGMT)))
		w.Close()
	}
	w.Close()
}

// DumpJSON writes a log (pg_log_t::dump).
func (l *Log) DumpJSON(w *jsonfmt.Writer) {
	w.String("head", l.Head.String())
	w.String("tail", l.Tail.String())
	w.OpenArray("log")
	for i := range l.Entries {
		w.OpenObject("")
		l.Entries[i].DumpJSON(w)
		w.Close()
	}
	w.Close()
	w.OpenArray("dups")
	for i := range l.Dups {
		w.OpenObject("")
		l.Dups[i].DumpJSON(w)
		w.Close()
	}
	w.Close()
}

// DumpJSON writes an entry (pg_log_entry_t::dump).
func (n *Entry) DumpJSON(w *jsonfmt.Writer) {
	w.String("op", n.Op.String())
	w.String("object", n.Object.String())
	w.String("version", n.Version.String())
	w.String("prior_version", n.PriorVersion.String())
	w.String("reqid", n.ReqID.String())
	w.OpenArray("extra_reqids")
	for i, x := range n.ExtraReqIDs {
		w.OpenObject("")
		w.String("reqid", x.ReqID.String())
		w.String("user_version", strconv.FormatUint(x.UserVersion, 10))
		if code, ok := n.ExtraReturns[uint32(i)]; ok {
			w.Int("return_code", int64(code))
		}
		w.Close()
	}
	w.Close()
	w.Time("mtime", n.Mtime)
	w.Int("return_code", int64(n.ReturnCode))
	dumpOpReturns(w, n.OpReturns)
	if len(n.Snaps) > 0 {
		snaps, _ := n.SnapIDs() // Ceph too prints what is malformed as none
		w.OpenObject("snaps")
		for _, s := range snaps {
			w.Uint("snap", uint64(s))
		}
		w.Close()
	}
	w.OpenObject("mod_desc")
	n.ModDesc.dump(w)
	w.Close()
	w.OpenObject("clean_regions")
	w.OpenObject("object_clean_regions")
	w.String("clean_offsets", n.Clean.Offsets.String())
	w.Bool("clean_omap", n.Clean.Omap)
	w.Bool("new_object", n.Clean.NewObject)
	w.Close()
	w.Close()
}

func dumpOpReturns(w *jsonfmt.Writer, list []OpReturn) {
	if len(list) == 0 {
		return
	}
	w.OpenArray("op_returns")
	for _, r := range list {
		w.OpenObject("")
		w.Int("rval", int64(r.RVal))
		w.Uint("bl_length", uint64(len(r.Data)))
		w.Close()
	}
	w.Close()
}

// dump writes the steps by their names only in part: those of replicated PGs have none.
func (m ModDesc) dump(w *jsonfmt.Writer) {
	w.OpenObject("object_mod_desc")
	w.Bool("can_local_rollback", m.CanRollback)
	w.Bool("rollback_info_completed", m.Completed)
	w.OpenArray("ops")
	steps, _ := m.Decode()
	for _, st := range steps {
		w.OpenObject("")
		st.dump(w)
		w.Close()
	}
	w.Close()
	w.Close()
}

func (st ModStep) dump(w *jsonfmt.Writer) {
	switch st.Kind {
	case ModAppend:
		w.String("code", "APPEND")
		w.Uint("old_size", st.Size)
	case ModSetAttrs:
		w.String("code", "SETATTRS")
		w.Strings("attrs", slices.Sorted(maps.Keys(st.Attrs)))
	case ModDelete:
		w.String("code", "RMOBJECT")
		w.Uint("old_version", st.Gen)
	case ModTryDelete:
		w.String("code", "TRY_RMOBJECT")
		w.Uint("old_version", st.Gen)
	case ModCreate:
		w.String("code", "CREATE")
	case ModUpdateSnaps:
		w.String("code", "UPDATE_SNAPS")
		w.String("snaps", joined(st.Snaps))
	case ModRollbackExtents:
		w.String("code", "ROLLBACK_EXTENTS")
		w.Uint("gen", st.Gen)
		pairs := make([]string, len(st.Extents))
		for i, x := range st.Extents {
			pairs[i] = fmt.Sprintf("%d,%d", x.Start, x.Len)
		}
		w.String("snaps", "["+strings.Join(pairs, ",")+"]")
	}
}

func joined(snaps []object.SnapID) string {
	out := make([]string, len(snaps))
	for i, s := range snaps {
		out[i] = s.String()
	}
	return strings.Join(out, ",")
}

// DumpJSON writes a duplicate (pg_log_dup_t::dump); its numbers are strings there.
func (u *Dup) DumpJSON(w *jsonfmt.Writer) {
	w.String("reqid", u.ReqID.String())
	w.String("version", u.Version.String())
	w.String("user_version", strconv.FormatUint(u.UserVersion, 10))
	w.String("return_code", strconv.Itoa(int(u.ReturnCode)))
	dumpOpReturns(w, u.OpReturns)
}

// DumpJSON writes a missing set (pg_missing_set::dump).
func (m *Missing) DumpJSON(w *jsonfmt.Writer) {
	w.OpenArray("missing")
	for o, i := range m.Sorted() {
		w.OpenObject("")
		w.String("object", o.String())
		w.String("need", i.Need.String())
		w.String("have", i.Have.String())
		flags := "none"
		if i.Delete {
			flags = "delete"
		}
		w.String("flags", flags)
		w.String("clean_regions", i.Clean.String())
		w.Close()
	}
	w.Close()
	w.Bool("may_include_deletes", m.IncludesDeletes)
}

// flagNames are the flags of objects in the order Ceph prints them
// (object_info_t::get_flag_vector).
var flagNames = []struct {
	flag OIFlags
	name string
}{
	{OILost, "lost"}, {OIWhiteout, "whiteout"}, {OIDirty, "dirty"}, {OIUsesTmap, "uses_tmap"}, {OIOmap, "omap"},
	{OIDataDigest, "data_digest"}, {OIOmapDigest, "omap_digest"}, {OICachePin, "cache_pin"},
	{OIManifest, "manifest"}, {OIRedirectHasReference, "redirect_has_reference"},
}

// DumpJSON writes an object's metadata (object_info_t::dump).
func (o *ObjectInfo) DumpJSON(w *jsonfmt.Writer) {
	w.OpenObject("oid")
	o.Object.DumpJSON(w)
	w.Close()
	w.String("version", o.Version.String())
	w.String("prior_version", o.PriorVersion.String())
	w.String("last_reqid", o.LastReqID.String())
	w.Uint("user_version", o.UserVersion)
	w.Uint("size", o.Size)
	w.Time("mtime", o.Mtime)
	w.Time("local_mtime", o.LocalMtime)
	w.Int("lost", int64(b2i(o.Has(OILost))))
	w.OpenArray("flags")
	for _, f := range flagNames {
		if o.Has(f.flag) {
			w.String("", f.name)
		}
	}
	w.Close()
	w.Uint("truncate_seq", o.TruncateSeq)
	w.Uint("truncate_size", o.TruncateSize)
	w.Stringf("data_digest", "0x%08x", o.DataDigest)
	w.Stringf("omap_digest", "0x%08x", o.OmapDigest)
	w.Uint("expected_object_size", o.ExpectedObjectSize)
	w.Uint("expected_write_size", o.ExpectedWriteSize)
	w.Uint("alloc_hint_flags", uint64(o.AllocHintFlags))
	w.OpenObject("manifest")
	o.Manifest.dump(w)
	w.Close()
	w.OpenObject("watchers")
	for _, k := range o.WatchKeys() {
		w.OpenObject(k.Name.String())
		o.Watchers[k].dump(w)
		w.Close()
	}
	w.Close()
}

func (i WatchInfo) dump(w *jsonfmt.Writer) {
	w.Uint("cookie", i.Cookie)
	w.Uint("timeout_seconds", uint64(i.TimeoutSeconds))
	w.OpenObject("addr")
	osdmap.DumpAddr(w, i.Addr)
	w.Close()
}

func (m *Manifest) dump(w *jsonfmt.Writer) {
	w.Uint("type", uint64(m.Type))
	switch m.Type {
	case ManifestRedirect:
		w.OpenObject("redirect_target")
		m.RedirectTarget.DumpJSON(w)
		w.Close()
	case ManifestChunked:
		w.OpenArray("chunk_map")
		for _, at := range slices.Sorted(maps.Keys(m.Chunks)) {
			c := m.Chunks[at]
			w.OpenObject("")
			w.Uint("offset", at)
			w.Uint("length", uint64(c.Length))
			w.OpenObject("oid")
			c.Object.DumpJSON(w)
			w.Close()
			w.Uint("flags", uint64(c.Flags))
			w.Close()
		}
		w.Close()
	}
}

// DumpJSON writes the account of an object's clones (SnapSet::dump).
func (s *SnapSet) DumpJSON(w *jsonfmt.Writer) {
	w.Uint("seq", uint64(s.Seq))
	w.OpenArray("clones")
	for _, c := range s.Clones {
		w.OpenObject("")
		w.Uint("snap", uint64(c))
		if n, ok := s.CloneSize[c]; ok {
			w.Uint("size", n)
		} else {
			w.String("size", "????")
		}
		overlap := "????"
		if o, ok := s.CloneOverlap[c]; ok {
			overlap = o.String()
		}
		w.String("overlap", overlap)
		if snaps, ok := s.CloneSnaps[c]; ok {
			w.OpenArray("snaps")
			for _, id := range snaps {
				w.Uint("", uint64(id))
			}
			w.Close()
		}
		w.Close()
	}
	w.Close()
}
