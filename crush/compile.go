package crush

import (
	"math"
	"slices"
)

// maxBucketWeight is the most a bucket may weigh in the text form
// (CRUSH_MAX_BUCKET_WEIGHT, src/crush/crush.h).
const maxBucketWeight = 65535 * One

// Compile reads the text form. file is used in errors, which are [*SyntaxError].
// The tunables start as legacy ones, so that a text means the same for all time.
func Compile(file, text string) (m *Map, err error) {
	c := &compiler{
		parser:  parser{file: file, tokens: tokenize(text)},
		m:       New(),
		types:   make(map[string]int32),
		items:   make(map[string]int32),
		rules:   make(map[string]int32),
		weights: make(map[int32]uint32),
		usedIDs: make(map[int32]bool),
		shadows: make(map[int32]map[int32]int32),
	}
	defer func() {
		switch fault := recover().(type) {
		case nil:
		case *SyntaxError:
			m, err = nil, fault
		default:
			panic(fault)
		}
	}()
	c.m.Tunables = ProfileTunables(ProfileLegacy)
	c.compile()
	return c.m, nil
}

// compiler makes a map of the parsed text (CrushCompiler::compile and parse_*,
// src/crush/CrushCompiler.cc).
type compiler struct {
	parser
	m *Map
	// types, items and rules are the ids by name; weights those of the buckets
	// so far.
	types, items, rules map[string]int32
	weights             map[int32]uint32
	// usedIDs are all bucket ids in the text.
	usedIDs map[int32]bool
	// shadows are the ids of shadow buckets in the text.
	shadows map[int32]map[int32]int32
}

func (c *compiler) compile() {
	for c.header() {
	}
	var buckets []sourceBucket
	var rules []sourceRule
	for c.pos < len(c.tokens) && c.peek(0) != "choose_args" {
		if c.atRule() {
			r := c.rule()
			r.bucketsSeen = len(buckets)
			rules = append(rules, r)
			continue
		}
		buckets = append(buckets, c.bucket())
	}
	if len(rules) > 0 && rules[0].bucketsSeen != len(buckets) {
		c.fail(buckets[rules[0].bucketsSeen].line, "buckets must be defined before rules")
	}
	for _, b := range buckets {
		for _, id := range b.ids {
			c.usedIDs[id.id] = true
		}
	}
	c.order(buckets)
	for _, b := range buckets {
		c.addBucket(b)
	}
	if len(rules) > 0 {
		// A bucket that has no shadow stops this, as in Ceph; the rules that
		// need the rest say so.
		_ = c.m.buildShadows(c.shadows)
	}
	for _, r := range rules {
		c.addRule(r)
	}
	for c.pos < len(c.tokens) {
		c.addChooseArgs(c.chooseArgs())
	}
	c.m.finalize()
}

// header compiles a tunable, device or type.
func (c *compiler) header() bool {
	line := c.line()
	switch c.peek(0) {
	case "tunable":
		c.pos++
		name := c.name()
		if !c.m.SetTunable(name, c.number()) {
			c.fail(line, "tunable %s not recognized", name)
		}
	case "device":
		c.pos++
		id, name := c.number(), c.name()
		if id < 0 || id >= MaxDevicesLimit {
			c.fail(line, "device %d is out of range", id)
		}
		if _, ok := c.items[name]; ok {
			c.fail(line, "item %s defined twice", name)
		}
		c.items[name] = id
		c.m.ItemNames[id] = name
		if c.accept("class") {
			c.m.ItemClasses[id] = c.m.classID(c.name())
		}
	case "type":
		if c.peek(2) == "{" {
			return false // a bucket whose type is named "type"
		}
		c.pos++
		id, name := c.number(), c.name()
		c.types[name] = id
		c.m.TypeNames[id] = name
	default:
		return false
	}
	return true
}

// order moves a bucket that is used before it is there behind its user's
// place, by exchanging the two. Ceph goes over all pairs once and so do we,
// since the order decides which ids buckets without one get.
func (c *compiler) order(buckets []sourceBucket) {
	source := slices.Clone(buckets)
	place := make(map[string]int)
	for i, b := range source {
		place[b.name] = i
	}
	holds := func(b sourceBucket, name string) bool {
		return slices.ContainsFunc(b.items, func(i sourceItem) bool { return i.name == name })
	}
	for i := range source {
		for j := i + 1; j < len(source); j++ {
			if !holds(source[i], source[j].name) {
				continue
			}
			if holds(source[j], source[i].name) {
				c.fail(source[i].line, "bucket '%s' and bucket '%s' are included each other", source[i].name, source[j].name)
			}
			p, q := place[source[i].name], place[source[j].name]
			buckets[p], buckets[q] = buckets[q], buckets[p]
		}
	}
}

func (c *compiler) addBucket(src sourceBucket) {
	typ, ok := c.types[src.typ]
	if !ok {
		c.fail(src.line, "bucket type '%s' is not defined", src.typ)
	}
	if typ <= 0 || typ > math.MaxUint16 {
		c.fail(src.line, "bucket type '%s' has number %d, which is not from 1 to %d", src.typ, typ, math.MaxUint16)
	}
	if _, ok := c.items[src.name]; ok {
		c.fail(src.line, "bucket or device '%s' is already defined", src.name)
	}
	id, shadows := c.bucketIDs(src)
	alg := Alg(slices.Index(algNames[:], src.alg))
	if !alg.valid() {
		c.fail(src.line, "unknown bucket alg '%s'", src.alg)
	}
	items, weights := c.bucketItems(src, alg)
	if id == 0 {
		for id = -1; c.usedIDs[id]; id-- {
		}
	}
	if len(shadows) > 0 {
		c.shadows[id] = shadows
	}
	b, err := c.m.newBucket(alg, uint16(typ), items, weights)
	if err == nil {
		b.Hash = uint8(src.hash)
		err = c.m.place(id, b)
	}
	if err != nil {
		c.fail(src.line, "bucket '%s': %v", src.name, err)
	}
	c.usedIDs[id] = true
	c.items[src.name] = id
	c.m.ItemNames[id] = src.name
	total := uint32(0)
	for _, w := range weights {
		total += w // newBucket has checked the sum
	}
	c.weights[id] = total
}

// bucketIDs returns the bucket's own id, 0 if none is given, and those of its
// shadows by class.
func (c *compiler) bucketIDs(src sourceBucket) (own int32, shadows map[int32]int32) {
	shadows = make(map[int32]int32)
	for _, id := range src.ids {
		if id.class == "" {
			own = id.id
			continue
		}
		class := c.m.classID(id.class)
		if _, ok := shadows[class]; ok {
			c.fail(src.line, "duplicate device class %s for bucket %s", id.class, src.name)
		}
		shadows[class] = id.id
	}
	return own, shadows
}

// bucketItems puts the items at their positions: those with an explicit one
// there, the others into the gaps.
func (c *compiler) bucketItems(src sourceBucket, alg Alg) (items []int32, weights []uint32) {
	n := len(src.items)
	used := make([]bool, n)
	for _, i := range src.items {
		if i.pos < 0 {
			continue
		}
		if int(i.pos) >= n {
			c.fail(i.line, "item '%s' in bucket '%s' has pos %d >= size %d", i.name, src.name, i.pos, n)
		}
		if used[i.pos] {
			c.fail(i.line, "item '%s' in bucket '%s' has explicit pos %d, which is occupied", i.name, src.name, i.pos)
		}
		used[i.pos] = true
	}
	items, weights = make([]int32, n), make([]uint32, n)
	gap, total := 0, uint64(0)
	for k, i := range src.items {
		id, ok := c.items[i.name]
		if !ok {
			c.fail(i.line, "item '%s' in bucket '%s' is not defined", i.name, src.name)
		}
		pos := int(i.pos)
		if pos < 0 {
			for used[gap] {
				gap++
			}
			pos = gap
			gap++
		}
		items[pos], weights[pos] = id, c.itemWeight(i, id)
		if alg == AlgUniform && k > 0 && weights[pos] != c.itemWeight(src.items[0], c.items[src.items[0].name]) {
			c.fail(i.line, "item '%s' in uniform bucket '%s' has another weight than those before; uniform bucket items must all have identical weights", i.name, src.name)
		}
		if total += uint64(weights[pos]); total > math.MaxUint32 {
			c.fail(i.line, "the weights in bucket '%s' overflow", src.name)
		}
	}
	return items, weights
}

// itemWeight returns the weight given, otherwise a bucket's own, otherwise 1.
func (c *compiler) itemWeight(i sourceItem, id int32) uint32 {
	if !i.hasWeight {
		if w, ok := c.weights[id]; ok {
			return w
		}
		return One
	}
	limit := maxBucketWeight
	if id >= 0 {
		limit = MaxDeviceWeight
	}
	return c.fixedWeight(i.line, i.weight, limit)
}

func (c *compiler) fixedWeight(line int, w float32, limit uint32) uint32 {
	f := w * float32(One)
	if !(f > -1 && float64(f) < 1<<32) || uint32(f) > limit {
		c.fail(line, "weight %v is not from 0 to %d", w, limit/One)
	}
	return uint32(f)
}

func (c *compiler) addRule(src sourceRule) {
	if src.name != "" {
		if _, ok := c.rules[src.name]; ok {
			c.fail(src.line, "rule name '%s' already defined", src.name)
		}
	}
	r := &Rule{
		Ruleset: uint8(src.id),
		Type:    RuleReplicated,
		MinSize: uint8(src.minSize),
		MaxSize: uint8(src.maxSize),
	}
	if src.typ == "erasure" {
		r.Type = RuleErasure
	}
	for _, s := range src.steps {
		r.Steps = append(r.Steps, c.ruleStep(src, s))
	}
	if c.m.Rule(int(src.id)) != nil {
		c.fail(src.line, "rule %d already exists", src.id)
	}
	if err := c.m.AddRule(int(src.id), src.name, r); err != nil {
		c.fail(src.line, "unable to add rule id %d for rule '%s': %v", src.id, src.name, err)
	}
	if src.name != "" {
		c.rules[src.name] = src.id
	}
}

func (c *compiler) ruleStep(r sourceRule, s sourceStep) Step {
	switch s.op {
	case OpTake:
		return Step{Op: OpTake, Arg1: c.takenItem(r, s)}
	case OpChooseFirstN, OpChooseIndep, OpChooseLeafFirstN, OpChooseLeafIndep:
		typ, ok := c.types[s.name]
		if !ok {
			c.fail(s.line, "in rule '%s' type '%s' not defined", r.name, s.name)
		}
		return Step{Op: s.op, Arg1: s.number, Arg2: typ}
	}
	return Step{Op: s.op, Arg1: s.number}
}

// takenItem is the item a step takes, or its shadow.
func (c *compiler) takenItem(r sourceRule, s sourceStep) int32 {
	id, ok := c.items[s.name]
	if !ok {
		c.fail(s.line, "in rule '%s' item '%s' not defined", r.name, s.name)
	}
	if s.class == "" {
		return id
	}
	class, ok := c.m.ClassID(s.class)
	if !ok {
		c.fail(s.line, "in rule '%s' class '%s' not defined", r.name, s.class)
	}
	shadow, ok := c.m.ClassBuckets[id][class]
	if !ok {
		c.fail(s.line, "in rule '%s' step take %s no matching bucket for class %s", r.name, s.name, s.class)
	}
	return shadow
}

func (c *compiler) addChooseArgs(src sourceArgs) {
	id := int64(src.id)
	if _, ok := c.m.ChooseArgs[id]; ok {
		c.fail(src.line, "choose_args %d duplicated", id)
	}
	args := make(ChooseArgs)
	for _, a := range src.args {
		b := c.m.Bucket(a.bucket)
		if b == nil {
			c.fail(a.line, "bucket %d does not exist", a.bucket)
		}
		arg := args[a.bucket]
		if arg == nil {
			arg = &ChooseArg{}
			args[a.bucket] = arg
		}
		if a.sets != nil {
			arg.WeightSet = c.weightSets(a, len(b.Items))
		}
		if a.ids != nil {
			if len(a.ids) != len(b.Items) {
				c.fail(a.line, "%d needs exactly %d ids but got %d", a.bucket, len(b.Items), len(a.ids))
			}
			arg.IDs = a.ids
		}
	}
	c.m.ChooseArgs[id] = args
}

func (c *compiler) weightSets(a sourceArg, size int) [][]uint32 {
	var sets [][]uint32
	for _, set := range a.sets {
		if len(set) != size {
			c.fail(a.line, "%d needs exactly %d weights but got %d", a.bucket, size, len(set))
		}
		weights := make([]uint32, len(set))
		for i, w := range set {
			weights[i] = c.fixedWeight(a.line, w, math.MaxUint32)
		}
		sets = append(sets, weights)
	}
	return sets
}
