package crush

import (
	"maps"
	"slices"
	"strconv"

	"sepiola/jsonfmt"
)

// Dump writes the fields of `ceph osd crush dump` into the open object
// (CrushWrapper::dump).
func (m *Map) Dump(w *jsonfmt.Writer) {
	w.OpenArray("devices")
	for id := range m.MaxDevices {
		w.OpenObject("device")
		w.Int("id", int64(id))
		if name, ok := m.ItemNames[id]; ok {
			w.String("name", name)
		} else {
			w.Stringf("name", "device%d", id)
		}
		if class := m.ItemClass(id); class != "" {
			w.String("class", class)
		}
		w.Close()
	}
	w.Close()
	m.dumpTypes(w)
	w.OpenArray("buckets")
	m.each(func(b *Bucket) { m.dumpBucket(w, b) })
	w.Close()
	w.OpenArray("rules")
	m.DumpRules(w)
	w.Close()
	w.OpenObject("tunables")
	m.DumpTunables(w)
	w.Close()
	m.dumpChooseArgs(w)
}

func (m *Map) dumpTypes(w *jsonfmt.Writer) {
	one := func(id int32, name string) {
		w.OpenObject("type")
		w.Int("type_id", int64(id))
		w.String("name", name)
		w.Close()
	}
	w.OpenArray("types")
	if _, ok := m.TypeNames[0]; !ok && len(m.TypeNames) > 0 {
		one(0, "device")
	}
	for _, id := range slices.Sorted(maps.Keys(m.TypeNames)) {
		if id >= 0 {
			one(id, m.TypeNames[id])
		}
	}
	w.Close()
}

func (m *Map) dumpBucket(w *jsonfmt.Writer, b *Bucket) {
	w.OpenObject("bucket")
	w.Int("id", int64(b.ID))
	if name, ok := m.ItemNames[b.ID]; ok {
		w.String("name", name)
	}
	w.Int("type_id", int64(b.Type))
	if name, ok := m.TypeNames[int32(b.Type)]; ok {
		w.String("type_name", name)
	}
	w.Int("weight", int64(int32(b.Weight)))
	w.String("alg", b.Alg.String())
	w.String("hash", hashName(b.Hash))
	w.OpenArray("items")
	for pos, item := range b.Items {
		w.OpenObject("item")
		w.Int("id", int64(item))
		w.Int("weight", int64(int32(b.WeightAt(pos))))
		w.Int("pos", int64(pos))
		w.Close()
	}
	w.Close()
	w.Close()
}

// DumpRules writes all rules into the open array: `osd crush rule dump`.
func (m *Map) DumpRules(w *jsonfmt.Writer) {
	for id, r := range m.Rules {
		if r != nil {
			m.DumpRule(w, id)
		}
	}
}

// DumpRule writes one rule as an object: `osd crush rule dump NAME`. A rule that
// does not exist writes nothing.
func (m *Map) DumpRule(w *jsonfmt.Writer, id int) {
	r := m.Rule(id)
	if r == nil {
		return
	}
	w.OpenObject("rule")
	w.Int("rule_id", int64(id))
	if name, ok := m.RuleNames[int32(id)]; ok {
		w.String("rule_name", name)
	}
	w.Int("ruleset", int64(r.Ruleset))
	w.Int("type", int64(r.Type))
	w.Int("min_size", int64(r.MinSize))
	w.Int("max_size", int64(r.MaxSize))
	w.OpenArray("steps")
	for _, s := range r.Steps {
		w.OpenObject("step")
		m.dumpStep(w, s)
		w.Close()
	}
	w.Close()
	w.Close()
}

func (m *Map) dumpStep(w *jsonfmt.Writer, s Step) {
	choose := map[Op]string{
		OpChooseFirstN: "choose_firstn", OpChooseIndep: "choose_indep",
		OpChooseLeafFirstN: "chooseleaf_firstn", OpChooseLeafIndep: "chooseleaf_indep",
	}
	switch s.Op {
	case OpNoop:
		w.String("op", "noop")
	case OpTake:
		w.String("op", "take")
		w.Int("item", int64(s.Arg1))
		w.String("item_name", m.ItemNames[s.Arg1])
	case OpEmit:
		w.String("op", "emit")
	case OpChooseFirstN, OpChooseIndep, OpChooseLeafFirstN, OpChooseLeafIndep:
		w.String("op", choose[s.Op])
		w.Int("num", int64(s.Arg1))
		w.String("type", m.TypeNames[s.Arg2])
	case OpSetChooseTries, OpSetChooseLeafTries:
		w.String("op", setStepNames[s.Op])
		w.Int("num", int64(s.Arg1))
	default:
		w.Int("opcode", int64(int32(s.Op)))
		w.Int("arg1", int64(s.Arg1))
		w.Int("arg2", int64(s.Arg2))
	}
}

// DumpTunables writes the fields of `osd crush show-tunables` into the open
// object.
func (m *Map) DumpTunables(w *jsonfmt.Writer) {
	t := &m.Tunables
	for _, n := range t.named() {
		w.Int(n.name, int64(n.value))
	}
	flag := func(name string, v bool) {
		if v {
			w.Int(name, 1)
		} else {
			w.Int(name, 0)
		}
	}
	profile := t.Profile()
	w.String("profile", profile)
	flag("optimal_tunables", profile == string(ProfileJewel))
	flag("legacy_tunables", profile == string(ProfileArgonaut))
	w.String("minimum_required_version", m.MinRequiredVersion())
	flag("require_feature_tunables", t.beyondArgonaut())
	flag("require_feature_tunables2", t.ChooseLeafDescendOnce != 0)
	flag("has_v2_rules", m.usesOps(OpChooseIndep, OpChooseLeafIndep, OpSetChooseTries, OpSetChooseLeafTries))
	flag("require_feature_tunables3", t.ChooseLeafVaryR != 0)
	flag("has_v3_rules", m.usesOps(OpSetChooseLeafVaryR))
	flag("has_v4_buckets", m.usesStraw2())
	flag("require_feature_tunables5", t.ChooseLeafStable != 0)
	flag("has_v5_rules", m.usesOps(OpSetChooseLeafStable))
}

// Profile returns the name of the profile that has these values, of which
// legacy, default and optimal go by their releases' names, or "unknown". The
// version of the straw calculation does not count.
func (t *Tunables) Profile() string {
	for _, p := range []Profile{ProfileJewel, ProfileHammer, ProfileFirefly, ProfileBobtail, ProfileArgonaut} {
		want := ProfileTunables(p)
		want.StrawCalcVersion = t.StrawCalcVersion
		if *t == want {
			return string(p)
		}
	}
	return "unknown"
}

func (t *Tunables) beyondArgonaut() bool {
	old := ProfileTunables(ProfileArgonaut)
	return t.ChooseLocalTries != old.ChooseLocalTries ||
		t.ChooseLocalFallbackTries != old.ChooseLocalFallbackTries ||
		t.ChooseTotalTries != old.ChooseTotalTries
}

// MinRequiredVersion names the oldest release whose clients understand the map
// (get_min_required_version).
func (m *Map) MinRequiredVersion() string {
	switch t := &m.Tunables; {
	case m.usesOps(OpSetChooseLeafStable) || t.ChooseLeafStable != 0:
		return "jewel"
	case m.usesStraw2():
		return "hammer"
	case t.ChooseLeafVaryR != 0:
		return "firefly"
	case t.ChooseLeafDescendOnce != 0 || t.beyondArgonaut():
		return "bobtail"
	}
	return "argonaut"
}

func (m *Map) usesOps(ops ...Op) bool {
	return slices.ContainsFunc(m.Rules, func(r *Rule) bool {
		return r != nil && slices.ContainsFunc(r.Steps, func(s Step) bool { return slices.Contains(ops, s.Op) })
	})
}

func (m *Map) usesStraw2() bool {
	return slices.ContainsFunc(m.Buckets, func(b *Bucket) bool { return b != nil && b.Alg == AlgStraw2 })
}

func (m *Map) dumpChooseArgs(w *jsonfmt.Writer) {
	w.OpenObject("choose_args")
	for _, id := range slices.Sorted(maps.Keys(m.ChooseArgs)) {
		args := m.ChooseArgs[id]
		w.OpenArray(strconv.FormatInt(id, 10))
		for _, i := range args.indices(len(m.Buckets)) {
			a := args[-1-i]
			w.OpenObject("choose_args")
			w.Int("bucket_id", int64(-1-i))
			if len(a.WeightSet) > 0 {
				w.OpenArray("weight_set")
				for _, set := range a.WeightSet {
					w.OpenArray("weights")
					for _, weight := range set {
						w.Float("weight", float64(float32(weight)/float32(One)))
					}
					w.Close()
				}
				w.Close()
			}
			if len(a.IDs) > 0 {
				w.OpenArray("ids")
				for _, v := range a.IDs {
					w.Int("id", int64(v))
				}
				w.Close()
			}
			w.Close()
		}
		w.Close()
	}
	w.Close()
}
