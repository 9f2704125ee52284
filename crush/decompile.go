package crush

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
)

// Decompile returns the text form, as `crushtool -d` prints it
// (CrushCompiler::decompile, src/crush/CrushCompiler.cc). A cycle, and a rule
// that takes an item without a name, cannot be written.
func (m *Map) Decompile() (string, error) {
	p := &printer{m: m, state: make(map[int32]printState)}
	p.line("# begin crush map")
	p.tunables()
	p.line("\n# devices")
	for id := range m.MaxDevices {
		if name, ok := m.ItemNames[id]; ok {
			p.line("device %d %s%s", id, name, p.classSuffix(id))
		}
	}
	p.types()
	p.line("\n# buckets")
	for _, b := range m.Buckets {
		if b == nil {
			continue
		}
		if err := p.bucket(b); err != nil {
			return "", err
		}
	}
	p.line("\n# rules")
	for id, r := range m.Rules {
		if r == nil {
			continue
		}
		if err := p.rule(id, r); err != nil {
			return "", err
		}
	}
	p.chooseArgs()
	p.line("\n# end crush map")
	return p.out.String(), nil
}

// printState is how far the printing of a bucket is.
type printState int

const (
	printWaiting printState = iota
	printInProgress
	printDone
)

type printer struct {
	m     *Map
	out   strings.Builder
	state map[int32]printState
}

func (p *printer) line(format string, args ...any) { fmt.Fprintf(&p.out, format+"\n", args...) }

// decimal prints a fixed-point weight, by way of single precision as Ceph does.
func decimal(w uint32) string {
	return fmt.Sprintf("%.3f", float32(int32(w))/float32(One))
}

func (p *printer) typeName(t int32) string {
	if name, ok := p.m.TypeNames[t]; ok {
		return name
	}
	if t == 0 {
		return "device"
	}
	return fmt.Sprintf("type%d", t)
}

func (p *printer) itemName(id int32) string {
	if name, ok := p.m.ItemNames[id]; ok {
		return name
	}
	if id >= 0 {
		return fmt.Sprintf("device%d", id)
	}
	return fmt.Sprintf("bucket%d", -1-id)
}

func (p *printer) classSuffix(id int32) string {
	if class := p.m.ItemClass(id); class != "" {
		return " class " + class
	}
	return ""
}

// tunables prints those that differ from legacy, which compiling starts with.
func (p *printer) tunables() {
	legacy := ProfileTunables(ProfileLegacy).named()
	for i, t := range p.m.Tunables.named() {
		if t.value != legacy[i].value {
			p.line("tunable %s %d", t.name, t.value)
		}
	}
}

func (p *printer) types() {
	p.line("\n# types")
	types := slices.Sorted(maps.Keys(p.m.TypeNames))
	if _, ok := p.m.TypeNames[0]; !ok && len(types) > 0 {
		p.line("type 0 osd")
	}
	for _, t := range types {
		if t >= 0 {
			p.line("type %d %s", t, p.m.TypeNames[t])
		}
	}
}

// bucket prints a bucket after those below it, each once; a shadow not at all.
func (p *printer) bucket(b *Bucket) error {
	switch p.state[b.ID] {
	case printDone:
		return nil
	case printInProgress:
		return errf(syscall.EINVAL, "bucket %d is below itself; the buckets must form a directed acyclic graph", b.ID)
	}
	p.state[b.ID] = printInProgress
	for _, item := range b.Items {
		if child := p.m.Bucket(item); child != nil {
			if err := p.bucket(child); err != nil {
				return err
			}
		}
	}
	if !p.m.IsShadow(b.ID) {
		p.bucketBody(b)
	}
	p.state[b.ID] = printDone
	return nil
}

func (p *printer) bucketBody(b *Bucket) {
	const keep = "\t\t# do not change unnecessarily"
	p.line("%s %s {", p.typeName(int32(b.Type)), p.itemName(b.ID))
	p.line("\tid %d%s", b.ID, keep)
	classes := p.m.ClassBuckets[b.ID]
	for _, c := range slices.Sorted(maps.Keys(classes)) {
		p.line("\tid %d class %s%s", classes[c], p.m.ClassNames[c], keep)
	}
	p.line("\t# weight %s", decimal(b.Weight))
	note, positions := "", false
	switch b.Alg {
	case AlgUniform:
		note, positions = fmt.Sprintf("\t# do not change bucket size (%d) unnecessarily", len(b.Items)), true
	case AlgList:
		note = "\t# add new items at the end; do not change order unnecessarily"
	case AlgTree:
		note, positions = "\t# do not change pos for existing items unnecessarily", true
	}
	p.line("\talg %s%s", b.Alg, note)
	p.line("\thash %d\t# %s", b.Hash, hashName(b.Hash))
	for pos, item := range b.Items {
		suffix := ""
		if positions {
			suffix = fmt.Sprintf(" pos %d", pos)
		}
		p.line("\titem %s weight %s%s", p.itemName(item), decimal(b.WeightAt(pos)), suffix)
	}
	p.line("}")
}

func hashName(h uint8) string {
	if h == HashRjenkins1 {
		return "rjenkins1"
	}
	return "unknown"
}

func (p *printer) rule(id int, r *Rule) error {
	p.line("rule %s {", p.m.RuleNames[int32(id)])
	p.line("\tid %d", id)
	if int(r.Ruleset) != id {
		p.line("\t# WARNING: ruleset %d != id %d; this will not recompile to the same map", r.Ruleset, id)
	}
	switch r.Type {
	case RuleReplicated, RuleErasure:
		p.line("\ttype %s", r.Type)
	default:
		p.line("\ttype %d", r.Type)
	}
	p.line("\tmin_size %d", r.MinSize)
	p.line("\tmax_size %d", r.MaxSize)
	for _, s := range r.Steps {
		if err := p.step(id, s); err != nil {
			return err
		}
	}
	p.line("}")
	return nil
}

func (p *printer) step(rule int, s Step) error {
	switch s.Op {
	case OpNoop:
		p.line("\tstep noop")
	case OpEmit:
		p.line("\tstep emit")
	case OpTake:
		original, class, ok := p.m.SplitShadow(s.Arg1)
		if !ok {
			return errf(syscall.EINVAL, "rule %d takes item %d, which has no name", rule, s.Arg1)
		}
		suffix := ""
		if class >= 0 {
			suffix = " class " + p.m.ClassNames[class]
		}
		p.line("\tstep take %s%s", p.itemName(original), suffix)
	case OpChooseFirstN, OpChooseIndep, OpChooseLeafFirstN, OpChooseLeafIndep:
		words := map[Op]string{
			OpChooseFirstN: "choose firstn", OpChooseIndep: "choose indep",
			OpChooseLeafFirstN: "chooseleaf firstn", OpChooseLeafIndep: "chooseleaf indep",
		}
		p.line("\tstep %s %d type %s", words[s.Op], s.Arg1, p.typeName(s.Arg2))
	default:
		if name, ok := setStepNames[s.Op]; ok {
			p.line("\tstep %s %d", name, s.Arg1)
		}
	}
	return nil
}

// setStepNames are the steps that change a setting, in the text form.
var setStepNames = map[Op]string{
	OpSetChooseTries:            "set_choose_tries",
	OpSetChooseLeafTries:        "set_chooseleaf_tries",
	OpSetChooseLocalTries:       "set_choose_local_tries",
	OpSetChooseLocalFallbackTry: "set_choose_local_fallback_tries",
	OpSetChooseLeafVaryR:        "set_chooseleaf_vary_r",
	OpSetChooseLeafStable:       "set_chooseleaf_stable",
}

func (p *printer) chooseArgs() {
	if len(p.m.ChooseArgs) == 0 {
		return
	}
	p.line("\n# choose_args")
	for _, id := range slices.Sorted(maps.Keys(p.m.ChooseArgs)) {
		args := p.m.ChooseArgs[id]
		// The default sets, -1, come out as the largest number, and are read
		// back as -1.
		p.line("choose_args %d {", uint64(id))
		for _, i := range args.indices(len(p.m.Buckets)) {
			p.chooseArg(-1-i, args[-1-i])
		}
		p.line("}")
	}
}

func (p *printer) chooseArg(bucket int32, a *ChooseArg) {
	p.line("  {\n    bucket_id %d", bucket)
	if len(a.WeightSet) > 0 {
		p.line("    weight_set [")
		for _, set := range a.WeightSet {
			words := make([]string, len(set))
			for i, w := range set {
				words[i] = decimal(w) + " "
			}
			p.line("      [ %s]", strings.Join(words, ""))
		}
		p.line("    ]")
	}
	if len(a.IDs) > 0 {
		words := make([]string, len(a.IDs))
		for i, id := range a.IDs {
			words[i] = fmt.Sprintf("%d ", id)
		}
		p.line("    ids [ %s]", strings.Join(words, ""))
	}
	p.line("  }")
}
