package mon

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"

	"sepiola/crush"
	"sepiola/jsonfmt"
)

const (
	goodName  = "goodchars=[A-Za-z0-9-_.]"
	placeSpec = "name=id,type=CephOsdName name=weight,type=CephFloat,range=0.0 name=args,type=CephString,n=N,goodchars=[A-Za-z0-9-_.=]"
)

// crushCommands are about the CRUSH map.
var crushCommands = []entry{
	{spec("osd crush rule ls", "list crush rules", "osd", "r", 0), (*Monitor).cmdRuleLs},
	{spec("osd crush rule list", "list crush rules", "osd", "r", flagDeprecated), (*Monitor).cmdRuleLs},
	{spec("osd crush rule dump name=name,type=CephString,"+goodName+",req=false", "dump crush rule <name> (default all)", "osd", "r", 0), (*Monitor).cmdRuleDump},
	{spec("osd crush dump", "dump crush map", "osd", "r", 0), (*Monitor).cmdCrushDump},
	{spec("osd crush tree name=shadow,type=CephChoices,strings=--show-shadow,req=false", "dump crush buckets and items in a tree view", "osd", "r", 0), (*Monitor).cmdCrushTree},
	{spec("osd crush class ls", "list all crush device classes", "osd", "r", 0), (*Monitor).cmdClassLs},
	{spec("osd crush class ls-osd name=class,type=CephString,goodchars=[A-Za-z0-9-_]", "list all osds belonging to the specific <class>", "osd", "r", 0), (*Monitor).cmdClassLsOSD},
	{spec("osd crush get-device-class name=ids,type=CephString,n=N", "get classes of specified osd(s) <id> [<id>...]", "osd", "r", 0), (*Monitor).cmdGetClass},
	{spec("osd crush show-tunables", "show current crush tunables", "osd", "r", 0), (*Monitor).cmdShowTunables},
	{spec("osd crush ls name=node,type=CephString,"+goodName, "list items beneath a node in the CRUSH tree", "osd", "r", 0), (*Monitor).cmdCrushLs},
	{spec("osd setcrushmap name=prior_version,type=CephInt,req=false", "set crush map from input file", "osd", "rw", 0), nil},
	{spec("osd crush set name=prior_version,type=CephInt,req=false", "set crush map from input file", "osd", "rw", 0), nil},
	{spec("osd crush set "+placeSpec, "update crushmap position and weight for <name> to <weight> with location <args>", "osd", "rw", 0), nil},
	{spec("osd crush add "+placeSpec, "add or update crushmap position and weight for <name> with <weight> and location <args>", "osd", "rw", 0), nil},
	{spec("osd crush create-or-move "+placeSpec, "create entry or move existing entry for <name> <weight> at/to location <args>", "osd", "rw", 0), nil},
	{spec("osd crush add-bucket name=name,type=CephString,"+goodName+" name=type,type=CephString name=args,type=CephString,n=N,goodchars=[A-Za-z0-9-_.=],req=false", "add no-parent (probably root) crush bucket <name> of type <type> to location <args>", "osd", "rw", 0), nil},
	{spec("osd crush move name=name,type=CephString,"+goodName+" name=args,type=CephString,n=N,goodchars=[A-Za-z0-9-_.=]", "move existing entry for <name> to location <args>", "osd", "rw", 0), nil},
	{spec("osd crush link name=name,type=CephString name=args,type=CephString,n=N,goodchars=[A-Za-z0-9-_.=]", "link existing entry for <name> under location <args>", "osd", "rw", 0), nil},
	{spec("osd crush rm name=name,type=CephString,"+goodName+" name=ancestor,type=CephString,req=false,"+goodName, "remove <name> from crush map (everywhere, or just at <ancestor>)", "osd", "rw", 0), nil},
	{spec("osd crush remove name=name,type=CephString,"+goodName+" name=ancestor,type=CephString,req=false,"+goodName, "remove <name> from crush map (everywhere, or just at <ancestor>)", "osd", "rw", flagDeprecated), nil},
	{spec("osd crush unlink name=name,type=CephString,"+goodName+" name=ancestor,type=CephString,req=false,"+goodName, "unlink <name> from crush map (everywhere, or just at <ancestor>)", "osd", "rw", 0), nil},
	{spec("osd crush reweight name=name,type=CephString,"+goodName+" name=weight,type=CephFloat,range=0.0", "change <name>'s weight to <weight> in crush map", "osd", "rw", 0), nil},
	{spec("osd crush reweight-all", "recalculate the weights for the tree to ensure they sum correctly", "osd", "rw", 0), nil},
	{spec("osd crush reweight-subtree name=name,type=CephString,"+goodName+" name=weight,type=CephFloat,range=0.0", "change all leaf items beneath <name> to <weight> in crush map", "osd", "rw", 0), nil},
	{spec("osd crush tunables name=profile,type=CephChoices,strings=legacy|argonaut|bobtail|firefly|hammer|jewel|optimal|default", "set crush tunables values to <profile>", "osd", "rw", 0), nil},
	{spec("osd crush set-device-class name=class,type=CephString name=ids,type=CephString,n=N", "set the <class> of the osd(s) <id> [<id>...], or use <all|any> to set all", "osd", "rw", 0), nil},
	{spec("osd crush rm-device-class name=ids,type=CephString,n=N", "remove class of the osd(s) <id> [<id>...], or use <all|any> to remove all", "osd", "rw", 0), nil},
	{spec("osd crush rule create-simple name=name,type=CephString,"+goodName+" name=root,type=CephString,"+goodName+" name=type,type=CephString,"+goodName+" name=mode,type=CephChoices,strings=firstn|indep,req=false", "create crush rule <name> to start from <root>, replicate across buckets of type <type>, use mode <firstn|indep>", "osd", "rw", 0), nil},
	{spec("osd crush rule create-replicated name=name,type=CephString,"+goodName+" name=root,type=CephString,"+goodName+" name=type,type=CephString,"+goodName+" name=class,type=CephString,"+goodName+",req=false", "create crush rule <name> for replicated pool to start from <root>, replicate across buckets of type <type>, use devices of type <class>", "osd", "rw", 0), nil},
	{spec("osd crush rule rm name=name,type=CephString,"+goodName, "remove crush rule <name>", "osd", "rw", 0), nil},
}

func (m *Monitor) crush() *crush.Map { return m.machine.State.OSD.Crush }

func (m *Monitor) cmdRuleLs(q *query) reply {
	var names []string
	for id, r := range m.crush().Rules {
		if r != nil {
			names = append(names, m.crush().RuleNames[int32(id)])
		}
	}
	if q.isJSON() {
		w := q.writer()
		w.Strings("", names)
		return reply{out: w.Bytes()}
	}
	return reply{out: []byte(strings.Join(append(names, ""), "\n"))}
}

func (m *Monitor) cmdRuleDump(q *query) reply {
	w := q.writer()
	if name := q.args.String("name"); name != "" {
		id, ok := m.crush().RuleID(name)
		if !ok {
			return refuse(syscall.ENOENT, "unknown crush rule '%s'", name)
		}
		m.dumpRule(w, id)
		return twoLines(w)
	}
	w.OpenArray("")
	for id, r := range m.crush().Rules {
		if r != nil {
			m.dumpRule(w, id)
		}
	}
	w.Close()
	return twoLines(w)
}

// ruleOps are the names of a rule's steps (CrushWrapper::dump_rule).
var ruleOps = map[crush.Op]string{crush.OpChooseFirstN: "choose_firstn", crush.OpChooseIndep: "choose_indep",
	crush.OpChooseLeafFirstN: "chooseleaf_firstn", crush.OpChooseLeafIndep: "chooseleaf_indep"}

var ruleSetOps = map[crush.Op]string{crush.OpSetChooseTries: "set_choose_tries", crush.OpSetChooseLeafTries: "set_chooseleaf_tries"}

func (m *Monitor) dumpRule(w *jsonfmt.Writer, id int) {
	cm := m.crush()
	r := cm.Rules[id]
	w.OpenObject("")
	w.Int("rule_id", int64(id))
	w.String("rule_name", cm.RuleNames[int32(id)])
	w.Int("ruleset", int64(r.Ruleset))
	w.Int("type", int64(r.Type))
	w.Int("min_size", int64(r.MinSize))
	w.Int("max_size", int64(r.MaxSize))
	w.OpenArray("steps")
	for _, s := range r.Steps {
		w.OpenObject("")
		switch {
		case s.Op == crush.OpNoop:
			w.String("op", "noop")
		case s.Op == crush.OpTake:
			w.String("op", "take")
			w.Int("item", int64(s.Arg1))
			w.String("item_name", cm.ItemName(s.Arg1))
		case s.Op == crush.OpEmit:
			w.String("op", "emit")
		case ruleOps[s.Op] != "":
			w.String("op", ruleOps[s.Op])
			w.Int("num", int64(s.Arg1))
			w.String("type", cm.TypeNames[s.Arg2])
		case ruleSetOps[s.Op] != "":
			w.String("op", ruleSetOps[s.Op])
			w.Int("num", int64(s.Arg1))
		default:
			w.Int("opcode", int64(s.Op))
			w.Int("arg1", int64(s.Arg1))
			w.Int("arg2", int64(s.Arg2))
		}
		w.Close()
	}
	w.Close()
	w.Close()
}

// cmdCrushDump prints the whole map (CrushWrapper::dump).
func (m *Monitor) cmdCrushDump(q *query) reply {
	cm := m.crush()
	w := q.writer()
	w.OpenObject("")
	w.OpenArray("devices")
	for id := range cm.MaxDevices {
		w.OpenObject("")
		w.Int("id", int64(id))
		name := cm.ItemName(id)
		if name == "" {
			name = fmt.Sprintf("device%d", id)
		}
		w.String("name", name)
		if class := cm.ItemClass(id); class != "" {
			w.String("class", class)
		}
		w.Close()
	}
	w.Close()
	w.OpenArray("types")
	for _, id := range slices.Sorted(maps.Keys(cm.TypeNames)) {
		w.OpenObject("")
		w.Int("type_id", int64(id))
		w.String("name", cm.TypeNames[id])
		w.Close()
	}
	w.Close()
	m.dumpBuckets(w)
	w.OpenArray("rules")
	for id, r := range cm.Rules {
		if r != nil {
			m.dumpRule(w, id)
		}
	}
	w.Close()
	w.OpenObject("tunables")
	m.dumpTunables(w)
	w.Close()
	m.dumpChooseArgs(w)
	w.Close()
	return twoLines(w)
}

func (m *Monitor) dumpBuckets(w *jsonfmt.Writer) {
	cm := m.crush()
	w.OpenArray("buckets")
	for _, b := range cm.Buckets {
		if b == nil {
			continue
		}
		w.OpenObject("")
		w.Int("id", int64(b.ID))
		w.String("name", cm.ItemName(b.ID))
		w.Int("type_id", int64(b.Type))
		w.String("type_name", cm.TypeNames[int32(b.Type)])
		w.Uint("weight", uint64(b.Weight))
		w.String("alg", b.Alg.String())
		w.String("hash", "rjenkins1")
		w.OpenArray("items")
		for pos, item := range b.Items {
			w.OpenObject("")
			w.Int("id", int64(item))
			w.Uint("weight", uint64(b.WeightAt(pos)))
			w.Int("pos", int64(pos))
			w.Close()
		}
		w.Close()
		w.Close()
	}
	w.Close()
}

func (m *Monitor) dumpChooseArgs(w *jsonfmt.Writer) {
	cm := m.crush()
	w.OpenObject("choose_args")
	for _, id := range slices.Sorted(maps.Keys(cm.ChooseArgs)) {
		w.OpenArray(fmt.Sprint(id))
		args := cm.ChooseArgs[id]
		for _, bucket := range slices.Backward(slices.Sorted(maps.Keys(args))) {
			a := args[bucket]
			w.OpenObject("")
			w.Int("bucket_id", int64(bucket))
			if len(a.WeightSet) > 0 {
				w.OpenArray("weight_set")
				for _, ws := range a.WeightSet {
					w.OpenArray("")
					for _, v := range ws {
						w.Float("", float64(float32(v)/float32(crush.One)))
					}
					w.Close()
				}
				w.Close()
			}
			if len(a.IDs) > 0 {
				dumpOSDs(w, "ids", a.IDs)
			}
			w.Close()
		}
		w.Close()
	}
	w.Close()
}

// dumpTunables writes the tunables and what they amount to
// (CrushWrapper::dump_tunables).
func (m *Monitor) dumpTunables(w *jsonfmt.Writer) {
	cm := m.crush()
	t := cm.Tunables
	w.Int("choose_local_tries", int64(t.ChooseLocalTries))
	w.Int("choose_local_fallback_tries", int64(t.ChooseLocalFallbackTries))
	w.Int("choose_total_tries", int64(t.ChooseTotalTries))
	w.Int("chooseleaf_descend_once", int64(t.ChooseLeafDescendOnce))
	w.Int("chooseleaf_vary_r", int64(t.ChooseLeafVaryR))
	w.Int("chooseleaf_stable", int64(t.ChooseLeafStable))
	w.Int("straw_calc_version", int64(t.StrawCalcVersion))
	w.Int("allowed_bucket_algs", int64(t.AllowedBucketAlgs))
	is := func(p crush.Profile) bool {
		want := crush.ProfileTunables(p)
		want.StrawCalcVersion = t.StrawCalcVersion
		return want == t
	}
	profile := "unknown"
	for _, p := range []crush.Profile{crush.ProfileJewel, crush.ProfileHammer, crush.ProfileFirefly, crush.ProfileBobtail, crush.ProfileArgonaut} {
		if is(p) {
			profile = string(p)
			break
		}
	}
	w.String("profile", profile)
	w.Int("optimal_tunables", truthInt(is(crush.ProfileJewel)))
	w.Int("legacy_tunables", truthInt(is(crush.ProfileArgonaut)))
	v2 := t.ChooseLocalTries != 2 || t.ChooseLocalFallbackTries != 5 || t.ChooseTotalTries != 19
	straw2 := slices.ContainsFunc(cm.Buckets, func(b *crush.Bucket) bool { return b != nil && b.Alg == crush.AlgStraw2 })
	release := "argonaut"
	switch {
	case t.ChooseLeafStable != 0:
		release = "jewel"
	case straw2:
		release = "hammer"
	case t.ChooseLeafVaryR != 0:
		release = "firefly"
	case v2 || t.ChooseLeafDescendOnce != 0:
		release = "bobtail"
	}
	w.String("minimum_required_version", release)
	w.Int("require_feature_tunables", truthInt(v2))
	w.Int("require_feature_tunables2", truthInt(t.ChooseLeafDescendOnce != 0))
	w.Int("has_v2_rules", 0)
	w.Int("require_feature_tunables3", truthInt(t.ChooseLeafVaryR != 0))
	w.Int("has_v3_rules", 0)
	w.Int("has_v4_buckets", truthInt(straw2))
	w.Int("require_feature_tunables5", truthInt(t.ChooseLeafStable != 0))
	w.Int("has_v5_rules", 0)
}

func truthInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func (m *Monitor) cmdShowTunables(q *query) reply {
	w := q.writer()
	w.OpenObject("")
	m.dumpTunables(w)
	w.Close()
	return twoLines(w)
}

func (m *Monitor) cmdClassLs(q *query) reply {
	w := q.writer()
	w.OpenArray("")
	cm := m.crush()
	for _, id := range slices.Sorted(maps.Keys(cm.ClassNames)) {
		w.String("", cm.ClassNames[id])
	}
	w.Close()
	return reply{out: w.Bytes()}
}

func (m *Monitor) cmdClassLsOSD(q *query) reply {
	class := q.args.String("class")
	var ids []int32
	for osd := range m.crush().MaxDevices {
		if m.crush().ItemClass(osd) == class {
			ids = append(ids, osd)
		}
	}
	r := listIDs(q, ids)
	if q.args.Format() == "json" {
		r.out = r.out[:len(r.out)-1]
	}
	return r
}

func (m *Monitor) cmdGetClass(q *query) reply {
	w := q.writer()
	var b strings.Builder
	w.OpenArray("")
	for _, s := range q.args.Strings("ids") {
		one := &query{args: map[string]any{"id": s}}
		osd, bad := m.osdArg(one)
		if bad != nil {
			return *bad
		}
		class := m.crush().ItemClass(osd)
		w.OpenObject("")
		w.Int("osd", int64(osd))
		w.String("device_class", class)
		w.Close()
		b.WriteString(class + "\n")
	}
	w.Close()
	if q.isJSON() {
		return reply{out: w.Bytes()}
	}
	return reply{out: []byte(b.String())}
}

func (m *Monitor) cmdCrushLs(q *query) reply {
	name := q.args.String("node")
	id, ok := m.crush().ItemID(name)
	if !ok {
		return refuse(syscall.ENOENT, "node '%s' does not exist", name)
	}
	items := []int32{id}
	if b := m.crush().Bucket(id); b != nil {
		items = b.Items
	}
	names := make([]string, len(items))
	for i, item := range items {
		names[i] = m.crush().ItemName(item)
	}
	if q.isJSON() {
		w := q.writer()
		w.Strings("", names)
		return reply{out: w.Bytes()}
	}
	return reply{out: []byte(strings.Join(append(names, ""), "\n"))}
}
