package mon

import (
	"fmt"
	"strings"
	"syscall"

	"sepiola/jsonfmt"
	"sepiola/message"
	"sepiola/mon/state"
	"sepiola/osdmap"
)

// poolVars are the settings that "osd pool get" and "set" know beside each
// other's own.
const poolVars = "hashpspool|nodelete|nopgchange|nosizechange|write_fadvise_dontneed|noscrub|nodeep-scrub|hit_set_type|hit_set_period|hit_set_count|hit_set_fpp|use_gmt_hitset|target_max_objects|target_max_bytes|cache_target_dirty_ratio|cache_target_dirty_high_ratio|cache_target_full_ratio|cache_min_flush_age|cache_min_evict_age|min_read_recency_for_promote|min_write_recency_for_promote|fast_read|hit_set_grade_decay_rate|hit_set_search_last_n|scrub_min_interval|scrub_max_interval|deep_scrub_interval|recovery_priority|recovery_op_priority|scrub_priority|compression_mode|compression_algorithm|compression_required_ratio|compression_max_blob_size|compression_min_blob_size|csum_type|csum_min_block|csum_max_block|allow_ec_overwrites|fingerprint_algorithm|pg_autoscale_mode|pg_autoscale_bias|pg_num_min|target_size_bytes|target_size_ratio|dedup_tier|dedup_chunk_algorithm|dedup_cdc_chunk_size"

const poolArgSpec = "name=pool,type=CephPoolname"

// poolCommands are about pools.
var poolCommands = []entry{
	{spec("osd pool ls name=detail,type=CephChoices,strings=detail,req=false", "list pools", "osd", "r", 0), (*Monitor).cmdPoolLs},
	{spec("osd lspools", "list pools", "osd", "r", flagDeprecated), (*Monitor).cmdLspools},
	{spec("osd pool get "+poolArgSpec+" name=var,type=CephChoices,strings=size|min_size|pg_num|pgp_num|crush_rule|erasure_code_profile|all|"+poolVars, "get pool parameter <var>", "osd", "r", 0), (*Monitor).cmdPoolGet},
	{spec("osd pool get-quota "+poolArgSpec, "obtain object or byte limits for pool", "osd", "r", 0), (*Monitor).cmdPoolGetQuota},
	{spec("osd pool application get name=pool,type=CephPoolname,req=false name=app,type=CephString,req=false name=key,type=CephString,req=false", "get value of key of application <app> on pool <poolname>", "osd", "r", 0), (*Monitor).cmdPoolAppGet},
	{spec("osd pool create "+poolArgSpec+" name=pg_num,type=CephInt,range=0,req=false name=pgp_num,type=CephInt,range=0,req=false name=pool_type,type=CephChoices,strings=replicated|erasure,req=false name=erasure_code_profile,type=CephString,req=false,goodchars=[A-Za-z0-9-_.] name=rule,type=CephString,req=false name=expected_num_objects,type=CephInt,range=0,req=false name=size,type=CephInt,range=0,req=false name=pg_num_min,type=CephInt,range=0,req=false name=autoscale_mode,type=CephChoices,strings=on|off|warn,req=false name=target_size_bytes,type=CephInt,range=0,req=false name=target_size_ratio,type=CephFloat,range=0|1,req=false",
		"create pool", "osd", "rw", 0), nil},
	{spec("osd pool rm "+poolArgSpec+" name=pool2,type=CephPoolname,req=false name=yes_i_really_really_mean_it,type=CephBool,req=false name=yes_i_really_really_mean_it_not_faking,type=CephBool,req=false", "remove pool", "osd", "rw", 0), nil},
	{spec("osd pool delete "+poolArgSpec+" name=pool2,type=CephPoolname,req=false name=yes_i_really_really_mean_it,type=CephBool,req=false name=yes_i_really_really_mean_it_not_faking,type=CephBool,req=false", "delete pool", "osd", "rw", flagDeprecated), nil},
	{spec("osd pool rename name=srcpool,type=CephPoolname name=destpool,type=CephPoolname", "rename <srcpool> to <destpool>", "osd", "rw", 0), nil},
	{spec("osd pool set "+poolArgSpec+" name=var,type=CephChoices,strings=size|min_size|pg_num|pgp_num|pgp_num_actual|crush_rule|"+poolVars+" name=val,type=CephString name=yes_i_really_mean_it,type=CephBool,req=false", "set pool parameter <var> to <val>", "osd", "rw", 0), nil},
	{spec("osd pool set-quota "+poolArgSpec+" name=field,type=CephChoices,strings=max_objects|max_bytes name=val,type=CephString", "set object or byte limit on pool", "osd", "rw", 0), nil},
	{spec("osd pool mksnap "+poolArgSpec+" name=snap,type=CephString", "make snapshot <snap> in <pool>", "osd", "rw", 0), nil},
	{spec("osd pool rmsnap "+poolArgSpec+" name=snap,type=CephString", "remove snapshot <snap> from <pool>", "osd", "rw", 0), nil},
	{spec("osd pool application enable "+poolArgSpec+" name=app,type=CephString,goodchars=[A-Za-z0-9-_.] name=yes_i_really_mean_it,type=CephBool,req=false", "enable use of an application <app> [cephfs,rbd,rgw] on pool <poolname>", "osd", "rw", 0), nil},
	{spec("osd pool application disable "+poolArgSpec+" name=app,type=CephString name=yes_i_really_mean_it,type=CephBool,req=false", "disables use of an application <app> on pool <poolname>", "osd", "rw", 0), nil},
	{spec("osd pool application set "+poolArgSpec+" name=app,type=CephString name=key,type=CephString,goodchars=[A-Za-z0-9-_.] name=value,type=CephString,goodchars=[A-Za-z0-9-_.=]", "sets application <app> metadata key <key> to <value> on pool <poolname>", "osd", "rw", 0), nil},
	{spec("osd pool application rm "+poolArgSpec+" name=app,type=CephString name=key,type=CephString", "removes application <app> metadata key <key> on pool <poolname>", "osd", "rw", 0), nil},
}

func (m *Monitor) cmdPoolLs(q *query) reply {
	om := m.machine.State.OSD
	detail := q.args.String("detail") == "detail"
	if !q.isJSON() {
		if detail {
			return reply{out: []byte(om.PrintPools())}
		}
		var b strings.Builder
		for _, id := range om.PoolIDs() {
			b.WriteString(om.PoolNames[id] + "\n")
		}
		return reply{out: []byte(b.String())}
	}
	w := q.writer()
	w.OpenArray("")
	for _, id := range om.PoolIDs() {
		if !detail {
			w.String("", om.PoolNames[id])
			continue
		}
		w.OpenObject("")
		w.Int("pool_id", id)
		w.String("pool_name", om.PoolNames[id])
		om.Pools[id].DumpJSON(w)
		w.Close()
	}
	w.Close()
	return reply{out: w.Bytes()}
}

func (m *Monitor) cmdLspools(q *query) reply {
	om := m.machine.State.OSD
	if q.isJSON() {
		w := q.writer()
		w.OpenArray("")
		for _, id := range om.PoolIDs() {
			w.OpenObject("")
			w.Int("poolnum", id)
			w.String("poolname", om.PoolNames[id])
			w.Close()
		}
		w.Close()
		return line(w)
	}
	var b strings.Builder
	for i, id := range om.PoolIDs() {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%d %s", id, om.PoolNames[id])
	}
	return text("%s", b.String())
}

// poolVar is one readable setting of a pool: its JSON, and its value in the
// plain form; ok is false for one that does not apply or is not set.
type poolVar struct {
	name  string
	value func(m *Monitor, p *osdmap.Pool) (plain string, put func(*jsonfmt.Writer, string), ok bool)
}

func number(get func(*osdmap.Pool) int64) func(*Monitor, *osdmap.Pool) (string, func(*jsonfmt.Writer, string), bool) {
	return func(_ *Monitor, p *osdmap.Pool) (string, func(*jsonfmt.Writer, string), bool) {
		v := get(p)
		return fmt.Sprint(v), func(w *jsonfmt.Writer, n string) { w.Int(n, v) }, true
	}
}

func truth(get func(*osdmap.Pool) bool) func(*Monitor, *osdmap.Pool) (string, func(*jsonfmt.Writer, string), bool) {
	return func(_ *Monitor, p *osdmap.Pool) (string, func(*jsonfmt.Writer, string), bool) {
		v := get(p)
		return fmt.Sprint(v), func(w *jsonfmt.Writer, n string) { w.Bool(n, v) }, true
	}
}

func flagVar(name string) poolVar {
	bit := osdmap.PoolFlagByName(name)
	return poolVar{name, truth(func(p *osdmap.Pool) bool { return p.HasFlag(bit) })}
}

func word(get func(*Monitor, *osdmap.Pool) string) func(*Monitor, *osdmap.Pool) (string, func(*jsonfmt.Writer, string), bool) {
	return func(m *Monitor, p *osdmap.Pool) (string, func(*jsonfmt.Writer, string), bool) {
		v := get(m, p)
		return v, func(w *jsonfmt.Writer, n string) { w.String(n, v) }, true
	}
}

func optVar(d osdmap.PoolOptDesc) poolVar {
	return poolVar{d.Name, func(_ *Monitor, p *osdmap.Pool) (string, func(*jsonfmt.Writer, string), bool) {
		v, ok := p.Opts[d.Key]
		return v.String(), func(w *jsonfmt.Writer, n string) {
			switch v.Kind {
			case osdmap.OptInt:
				w.Int(n, v.Int)
			case osdmap.OptDouble:
				w.Float(n, v.Double)
			default:
				w.String(n, v.Str)
			}
		}, ok
	}}
}

func oneIf(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// poolOptOrder is the order of osd_pool_get_choices (OSDMonitor.cc). All are
// options of a pool but pg_autoscale_mode, which is a member of its own.
var poolOptOrder = []string{"scrub_min_interval", "scrub_max_interval", "deep_scrub_interval", "recovery_priority",
	"recovery_op_priority", "scrub_priority", "compression_mode", "compression_algorithm", "compression_required_ratio",
	"compression_max_blob_size", "compression_min_blob_size", "csum_type", "csum_max_block", "csum_min_block",
	"fingerprint_algorithm", "pg_autoscale_mode", "pg_num_min", "pg_num_max", "target_size_bytes", "target_size_ratio",
	"pg_autoscale_bias", "dedup_tier", "dedup_chunk_algorithm", "dedup_cdc_chunk_size", "read_lease_interval"}

// poolVarTable is in the order of "osd pool get POOL all".
var poolVarTable = func() []poolVar {
	t := []poolVar{
		{"size", number(func(p *osdmap.Pool) int64 { return int64(p.Size) })},
		{"min_size", number(func(p *osdmap.Pool) int64 { return int64(p.MinSize) })},
		{"pg_num", number(func(p *osdmap.Pool) int64 { return int64(p.PGNum) })},
		{"pgp_num", number(func(p *osdmap.Pool) int64 { return int64(p.PGPNum) })},
		{"crush_rule", word(func(m *Monitor, p *osdmap.Pool) string {
			return m.machine.State.OSD.Crush.RuleNames[int32(p.CrushRule)]
		})},
		flagVar("hashpspool"), flagVar("nodelete"), flagVar("nopgchange"), flagVar("nosizechange"),
		flagVar("write_fadvise_dontneed"), flagVar("noscrub"), flagVar("nodeep-scrub"),
		{"use_gmt_hitset", func(_ *Monitor, p *osdmap.Pool) (string, func(*jsonfmt.Writer, string), bool) {
			return fmt.Sprint(oneIf(p.UseGMTHitSet)), func(w *jsonfmt.Writer, n string) { w.Bool(n, p.UseGMTHitSet) }, true
		}},
		{"fast_read", number(func(p *osdmap.Pool) int64 { return oneIf(p.FastRead) })},
	}
	for _, name := range poolOptOrder {
		if d, ok := osdmap.FindPoolOpt(name); ok {
			t = append(t, optVar(d))
		} else {
			t = append(t, poolVar{name, word(func(_ *Monitor, p *osdmap.Pool) string { return p.AutoscaleMode.String() })})
		}
	}
	return t
}()

// tierVars are readable of cache tiers only.
var tierVars = map[string]bool{"hit_set_type": true, "hit_set_period": true, "hit_set_count": true, "hit_set_fpp": true,
	"target_max_objects": true, "target_max_bytes": true, "cache_target_full_ratio": true,
	"cache_target_dirty_ratio": true, "cache_target_dirty_high_ratio": true, "cache_min_flush_age": true,
	"cache_min_evict_age": true, "hit_set_grade_decay_rate": true, "hit_set_search_last_n": true,
	"min_read_recency_for_promote": true, "min_write_recency_for_promote": true}

// cmdPoolGet reads settings of a pool (OSDMonitor::preprocess_command).
func (m *Monitor) cmdPoolGet(q *query) reply {
	name, want := q.args.String("pool"), q.args.String("var")
	id, ok := m.machine.State.OSD.PoolID(name)
	if !ok {
		return refuse(syscall.ENOENT, "unrecognized pool '%s'", name)
	}
	p := m.machine.State.OSD.Pools[id]
	switch {
	case tierVars[want]:
		return refuse(syscall.EACCES, "pool '%s' is not a tier pool: variable not applicable", name)
	case !p.IsErasure() && (want == "erasure_code_profile" || want == "allow_ec_overwrites"):
		return refuse(syscall.EACCES, "pool '%s' is not a erasure pool: variable not applicable", name)
	}
	var b strings.Builder
	w := q.writer()
	w.OpenObject("")
	w.String("pool", name)
	w.Int("pool_id", id)
	found := false
	for _, v := range poolVarTable {
		if want != "all" && v.name != want {
			continue
		}
		plain, put, ok := v.value(m, p)
		if !ok {
			if want != "all" {
				return refuse(syscall.ENOENT, "option '%s' is not set on pool '%s'", want, name)
			}
			continue
		}
		found = true
		put(w, v.name)
		fmt.Fprintf(&b, "%s: %s\n", v.name, plain)
	}
	w.Close()
	if !found {
		return refuse(syscall.EINVAL, "unrecognized variable '%s'", want)
	}
	if q.isJSON() {
		return reply{out: w.Bytes()}
	}
	return reply{out: []byte(b.String())}
}

func (m *Monitor) cmdPoolGetQuota(q *query) reply {
	name := q.args.String("pool")
	id, ok := m.machine.State.OSD.PoolID(name)
	if !ok {
		return refuse(syscall.ENOENT, "unrecognized pool '%s'", name)
	}
	p := m.machine.State.OSD.Pools[id]
	sum := m.pgs.Pool(id).Stats.Sum
	if q.isJSON() {
		w := q.writer()
		w.OpenObject("")
		w.String("pool_name", name)
		w.Uint("pool_id", uint64(id))
		w.Uint("quota_max_objects", p.QuotaMaxObjects)
		w.Int("current_num_objects", sum.NumObjects)
		w.Uint("quota_max_bytes", p.QuotaMaxBytes)
		w.Int("current_num_bytes", sum.NumBytes)
		w.Close()
		return twoLines(w)
	}
	limit := func(v uint64, s string, now string) string {
		if v == 0 {
			return "N/A"
		}
		return s + "  (current num " + now + ")"
	}
	objects := limit(p.QuotaMaxObjects, countString(p.QuotaMaxObjects)+" objects", fmt.Sprintf("objects: %d objects", sum.NumObjects))
	bytes := limit(p.QuotaMaxBytes, bytesString(p.QuotaMaxBytes), fmt.Sprintf("bytes: %d bytes", sum.NumBytes))
	return text("quotas for pool '%s':\n  max objects: %s\n  max bytes  : %s", name, objects, bytes)
}

func (m *Monitor) cmdPoolAppGet(q *query) reply {
	om := m.machine.State.OSD
	w := q.writer()
	name, app, key := q.args.String("pool"), q.args.String("app"), q.args.String("key")
	dumpApps := func(label string, p *osdmap.Pool) {
		w.OpenObject(label)
		for _, a := range sortedNames(p.ApplicationMetadata) {
			dumpWords(w, a, p.ApplicationMetadata[a])
		}
		w.Close()
	}
	if name == "" {
		w.OpenObject("")
		for _, id := range om.PoolIDs() {
			dumpApps(om.PoolNames[id], om.Pools[id])
		}
		w.Close()
		return reply{out: w.Bytes()}
	}
	id, ok := om.PoolID(name)
	if !ok {
		return refuse(syscall.ENOENT, "unrecognized pool '%s'", name)
	}
	kv, ok := om.Pools[id].ApplicationMetadata[app]
	switch {
	case app == "":
		dumpApps("", om.Pools[id])
	case !ok:
		return refuse(syscall.ENOENT, "pool '%s' has no application '%s'", name, app)
	case key == "":
		dumpWords(w, "", kv)
	default:
		v, ok := kv[key]
		if !ok {
			return refuse(syscall.ENOENT, "application '%s' on pool '%s' does not have key '%s'", app, name, key)
		}
		if !q.isJSON() {
			return text("%s\n", v)
		}
		w.String("", v)
	}
	return reply{out: w.Bytes()}
}

func dumpWords(w *jsonfmt.Writer, name string, kv map[string]string) {
	w.OpenObject(name)
	for _, k := range sortedNames(kv) {
		w.String(k, kv[k])
	}
	w.Close()
}

// poolOp carries out a pool operation of librados.
func (m *Monitor) poolOp(s *session, b *message.PoolOp) {
	answer := func(code int32, epoch uint32, data []byte) {
		r := &message.PoolOpReply{TID: b.TID, FSID: m.cfg.FSID, Code: code, Epoch: epoch, Response: data}
		r.Have = uint64(m.machine.State.LastEpoch)
		m.send(s, r)
	}
	if b.FSID != m.cfg.FSID {
		answer(-int32(syscall.EINVAL), m.machine.State.LastEpoch, nil)
		return
	}
	c := &state.PoolOp{Op: uint32(b.Op), Pool: int64(b.Pool), Name: b.Name, SnapID: uint64(b.Snap), Rule: int(b.CrushRule), Settings: m.settings()}
	m.propose(state.Command{PoolOp: c}, func(r state.Reply, err error) {
		if err != nil {
			answer(-int32(syscall.EAGAIN), m.machine.State.LastEpoch, nil)
			return
		}
		epoch, _ := r.Value.(uint32)
		answer(r.Code, epoch, r.Out)
	})
}
