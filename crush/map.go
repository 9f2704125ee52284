package crush

import (
	"maps"
	"slices"
)

// Magic opens the binary form (CRUSH_MAGIC, src/crush/crush.h).
const Magic uint32 = 0x00010000

// Special items in results (src/crush/crush.h).
const (
	// ItemUndef marks a position not decided yet; it never leaves the mapper.
	ItemUndef int32 = 0x7ffffffe
	// ItemNone marks a position no device could be found for (indep rules).
	ItemNone int32 = 0x7fffffff
)

// One is the weight 1.0 in 16.16 fixed point.
const One uint32 = 0x10000

// DefaultChooseArgs is the id of the weight sets that serve every pool without
// its own (CrushWrapper::DEFAULT_CHOOSE_ARGS).
const DefaultChooseArgs int64 = -1

// Limits of a map. Ceph states only the first two (CRUSH_MAX_DEVICE_WEIGHT and
// CRUSH_MAX_RULES, src/crush/crush.h); the others bound what a decoder and the
// builder accept.
const (
	MaxDeviceWeight = 100 * One
	MaxRules        = 256
	// MaxBuckets bounds the bucket array, and so how negative a bucket id is.
	MaxBuckets = 1 << 20
	// MaxDevicesLimit bounds MaxDevices.
	MaxDevicesLimit = 1 << 24
	// MaxTreeItems is the most items a tree bucket holds.
	MaxTreeItems = 64
)

// Alg is how a bucket chooses among its items (enum crush_algorithm).
type Alg uint8

// The bucket algorithms.
const (
	AlgUniform Alg = 1
	AlgList    Alg = 2
	AlgTree    Alg = 3
	AlgStraw   Alg = 4
	AlgStraw2  Alg = 5
)

var algNames = [...]string{AlgUniform: "uniform", AlgList: "list", AlgTree: "tree", AlgStraw: "straw", AlgStraw2: "straw2"}

// String returns Ceph's name of the algorithm, "unknown" for any other.
func (a Alg) String() string {
	if a.valid() {
		return algNames[a]
	}
	return "unknown"
}

func (a Alg) valid() bool { return a >= AlgUniform && a <= AlgStraw2 }

// HashRjenkins1 is the only hash function of buckets (CRUSH_HASH_RJENKINS1).
const HashRjenkins1 uint8 = 0

// Bucket is an inner node of the hierarchy. Which of the weight fields are used
// depends on Alg.
type Bucket struct {
	// ID is negative and unique in the map.
	ID int32
	// Type is a key of Map.TypeNames, from 1.
	Type uint16
	Alg  Alg
	Hash uint8
	// Weight is the sum of the items' weights, 16.16 fixed point.
	Weight uint32
	// Items are devices (from 0) and buckets (negative).
	Items []int32

	// ItemWeight is the weight of every item (uniform).
	ItemWeight uint32
	// Weights are the items' weights (list, straw, straw2).
	Weights []uint32
	// SumWeights[i] is the sum of Weights up to and with i (list).
	SumWeights []uint32
	// Straws are the scaling factors of the items' draws (straw).
	Straws []uint32
	// NodeWeights are the weights of the nodes of an in-order binary tree; item
	// i is node 2i+1 (tree).
	NodeWeights []uint32
}

// WeightAt returns the weight of the item at position pos, 0 where there is none.
func (b *Bucket) WeightAt(pos int) uint32 {
	if pos < 0 || pos >= len(b.Items) {
		return 0
	}
	weights, i := b.Weights, pos
	switch b.Alg {
	case AlgUniform:
		return b.ItemWeight
	case AlgTree:
		weights, i = b.NodeWeights, treeLeaf(pos)
	}
	if i >= len(weights) {
		return 0
	}
	return weights[i]
}

// Index returns the position of item, or -1.
func (b *Bucket) Index(item int32) int { return slices.Index(b.Items, item) }

func (b *Bucket) clone() *Bucket {
	c := *b
	c.Items = slices.Clone(b.Items)
	c.Weights = slices.Clone(b.Weights)
	c.SumWeights = slices.Clone(b.SumWeights)
	c.Straws = slices.Clone(b.Straws)
	c.NodeWeights = slices.Clone(b.NodeWeights)
	return &c
}

// Op is what a step of a rule does (enum crush_opcodes).
type Op uint32

// The operations of rules.
const (
	OpNoop                      Op = 0
	OpTake                      Op = 1 // Arg1: item to start from
	OpChooseFirstN              Op = 2 // Arg1: how many (0: as many as asked for, negative: that many fewer), Arg2: type
	OpChooseIndep               Op = 3 // as OpChooseFirstN
	OpEmit                      Op = 4
	OpChooseLeafFirstN          Op = 6 // as OpChooseFirstN
	OpChooseLeafIndep           Op = 7 // as OpChooseFirstN
	OpSetChooseTries            Op = 8 // Arg1: value; also of those that follow
	OpSetChooseLeafTries        Op = 9
	OpSetChooseLocalTries       Op = 10
	OpSetChooseLocalFallbackTry Op = 11
	OpSetChooseLeafVaryR        Op = 12
	OpSetChooseLeafStable       Op = 13
)

// Step is one step of a rule.
type Step struct {
	Op   Op
	Arg1 int32
	Arg2 int32
}

// RuleType is the kind of pool a rule serves (CEPH_PG_TYPE_*, src/include/rados.h).
type RuleType uint8

// The rule types.
const (
	RuleReplicated RuleType = 1
	RuleErasure    RuleType = 3
)

// String returns "replicated", "erasure" or "unknown".
func (t RuleType) String() string {
	switch t {
	case RuleReplicated:
		return "replicated"
	case RuleErasure:
		return "erasure"
	}
	return "unknown"
}

// Rule says how to get from an input to devices.
type Rule struct {
	// Ruleset is the rule's id, except in maps older than Ceph 12.
	Ruleset uint8
	Type    RuleType
	// MinSize and MaxSize are the pool sizes the rule is meant for.
	MinSize, MaxSize uint8
	Steps            []Step
}

// Tunables steer the search for devices (struct crush_map, src/crush/crush.h).
type Tunables struct {
	ChooseLocalTries         uint32
	ChooseLocalFallbackTries uint32
	ChooseTotalTries         uint32
	ChooseLeafDescendOnce    uint32
	ChooseLeafVaryR          uint8
	ChooseLeafStable         uint8
	StrawCalcVersion         uint8
	// AllowedBucketAlgs has bit 1<<Alg for each algorithm new buckets may have.
	AllowedBucketAlgs uint32
}

// ChooseArg replaces what a straw2 bucket draws with.
type ChooseArg struct {
	// WeightSet has the weights to use at each position of the result, each as
	// long as the bucket's items; the last serves all further positions. Empty:
	// the bucket's own weights.
	WeightSet [][]uint32
	// IDs are hashed instead of the items. Empty: the items.
	IDs []int32
}

func (a ChooseArg) empty() bool { return len(a.WeightSet) == 0 && len(a.IDs) == 0 }

// ChooseArgs are the replacements for some of the buckets, by bucket id.
type ChooseArgs map[int32]*ChooseArg

// Map is a CRUSH map. See the package comment for who may use it when.
type Map struct {
	// Buckets[i] is the bucket with id -1-i, or nil.
	Buckets []*Bucket
	// Rules[i] is the rule with id i, or nil.
	Rules []*Rule
	// MaxDevices is one more than the highest device id.
	MaxDevices int32

	TypeNames map[int32]string
	// ItemNames are the names of devices and buckets, also of shadow buckets
	// ("default~ssd").
	ItemNames map[int32]string
	RuleNames map[int32]string

	Tunables

	// ItemClasses is the class of devices and of shadow buckets (class_map).
	ItemClasses map[int32]int32
	// ClassNames are the names of the device classes (class_name).
	ClassNames map[int32]string
	// ClassBuckets[bucket][class] is the shadow of bucket that holds just the
	// devices of class (class_bucket).
	ClassBuckets map[int32]map[int32]int32

	// ChooseArgs are weight sets by pool id, or [DefaultChooseArgs].
	ChooseArgs map[int64]ChooseArgs
}

// New returns an empty map with the default tunables.
func New() *Map {
	m := &Map{
		TypeNames:    map[int32]string{},
		ItemNames:    map[int32]string{},
		RuleNames:    map[int32]string{},
		ItemClasses:  map[int32]int32{},
		ClassNames:   map[int32]string{},
		ClassBuckets: map[int32]map[int32]int32{},
		ChooseArgs:   map[int64]ChooseArgs{},
	}
	m.Tunables = ProfileTunables(ProfileDefault)
	return m
}

// Clone returns a deep copy.
func (m *Map) Clone() *Map {
	c := *m
	c.Buckets = make([]*Bucket, len(m.Buckets))
	for i, b := range m.Buckets {
		if b != nil {
			c.Buckets[i] = b.clone()
		}
	}
	c.Rules = make([]*Rule, len(m.Rules))
	for i, r := range m.Rules {
		if r != nil {
			dup := *r
			dup.Steps = slices.Clone(r.Steps)
			c.Rules[i] = &dup
		}
	}
	c.TypeNames = maps.Clone(m.TypeNames)
	c.ItemNames = maps.Clone(m.ItemNames)
	c.RuleNames = maps.Clone(m.RuleNames)
	c.ItemClasses = maps.Clone(m.ItemClasses)
	c.ClassNames = maps.Clone(m.ClassNames)
	c.ClassBuckets = make(map[int32]map[int32]int32, len(m.ClassBuckets))
	for id, classes := range m.ClassBuckets {
		c.ClassBuckets[id] = maps.Clone(classes)
	}
	c.ChooseArgs = make(map[int64]ChooseArgs, len(m.ChooseArgs))
	for id, args := range m.ChooseArgs {
		dup := make(ChooseArgs, len(args))
		for b, a := range args {
			dup[b] = a.clone()
		}
		c.ChooseArgs[id] = dup
	}
	return &c
}

func (a *ChooseArg) clone() *ChooseArg {
	c := &ChooseArg{IDs: slices.Clone(a.IDs), WeightSet: make([][]uint32, len(a.WeightSet))}
	for i, w := range a.WeightSet {
		c.WeightSet[i] = slices.Clone(w)
	}
	return c
}

// Bucket returns the bucket with that id, or nil.
func (m *Map) Bucket(id int32) *Bucket {
	if id >= 0 {
		return nil
	}
	if i := int(-1 - id); i < len(m.Buckets) {
		return m.Buckets[i]
	}
	return nil
}

// Rule returns the rule with that id, or nil.
func (m *Map) Rule(id int) *Rule {
	if id < 0 || id >= len(m.Rules) {
		return nil
	}
	return m.Rules[id]
}

// FindRule returns the first rule with that ruleset and type whose size range
// contains size, or -1 (crush_find_rule).
func (m *Map) FindRule(ruleset uint8, typ RuleType, size int) int {
	for i, r := range m.Rules {
		if r != nil && r.Ruleset == ruleset && r.Type == typ && int(r.MinSize) <= size && size <= int(r.MaxSize) {
			return i
		}
	}
	return -1
}

// chooseArgsFor returns the weight sets for a pool: its own, otherwise the
// default ones, otherwise nil.
func (m *Map) chooseArgsFor(id int64) ChooseArgs {
	if args, ok := m.ChooseArgs[id]; ok {
		return args
	}
	return m.ChooseArgs[DefaultChooseArgs]
}
