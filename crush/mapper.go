package crush

import (
	"slices"
	"sync"
)

// mappingBudget bounds the work of one mapping, in the cost of a choice from a
// small bucket; it is about a second's worth. A sound map needs a few thousand,
// some hundred thousand at the very worst; only tunables or rules with absurd
// tries that all fail come near it.
const mappingBudget = 1 << 23

// itemsPerCost is how many items of a bucket cost as much as the choice itself.
const itemsPerCost = 8

// maxResults bounds how many devices one mapping is asked for.
const maxResults = 1 << 12

// Workspace is memory for mappings, reused from one to the next. The zero
// value is ready.
type Workspace struct {
	m       *Map
	x       int32
	weights []uint32
	args    ChooseArgs
	budget  int
	// limit, if not 0, is the budget instead of mappingBudget.
	limit int

	// perms are the permutations of this mapping; spare are those of earlier
	// ones.
	perms map[int32]*permutation
	spare []*permutation
	// current are the items a step starts from, next what it chose, leaves the
	// devices below those.
	current, next, leaves []int32
}

var workspaces = sync.Pool{New: func() any { return new(Workspace) }}

// DoRule maps x by the rule to up to numRep devices. weights are the devices'
// reweights (One: in, 0: out) by id; a device beyond them is out. chooseArgs
// is the pool whose weight sets apply, falling back to the default sets. indep
// rules leave ItemNone where no device was found. An unknown rule gives nil.
func (m *Map) DoRule(rule int, x int32, numRep int, weights []uint32, chooseArgs int64) []int32 {
	ws := workspaces.Get().(*Workspace)
	out := m.DoRuleIn(ws, nil, rule, x, numRep, weights, chooseArgs)
	workspaces.Put(ws)
	return out
}

// DoRuleIn is DoRule in a workspace of the caller's: the result is appended to
// out.
func (m *Map) DoRuleIn(ws *Workspace, out []int32, rule int, x int32, numRep int, weights []uint32, chooseArgs int64) []int32 {
	r := m.Rule(rule)
	if r == nil || numRep <= 0 {
		return out
	}
	numRep = min(numRep, maxResults)
	ws.begin(m, x, weights, m.chooseArgsFor(chooseArgs), numRep)
	defer ws.end()
	if out == nil {
		out = make([]int32, 0, numRep)
	}
	return ws.run(r, out, numRep)
}

func (ws *Workspace) begin(m *Map, x int32, weights []uint32, args ChooseArgs, numRep int) {
	ws.m, ws.x, ws.weights, ws.args = m, x, weights, args
	if len(ws.args) == 0 {
		ws.args = nil
	}
	ws.budget = mappingBudget
	if ws.limit > 0 {
		ws.budget = ws.limit
	}
	for _, buf := range []*[]int32{&ws.current, &ws.next, &ws.leaves} {
		*buf = slices.Grow((*buf)[:0], numRep)[:numRep]
	}
}

// end drops what keeps the map alive and recycles the permutations.
func (ws *Workspace) end() {
	ws.m, ws.weights, ws.args = nil, nil, nil
	for id, p := range ws.perms {
		ws.spare = append(ws.spare, p)
		delete(ws.perms, id)
	}
}

// spend takes the cost of a choice from b off the budget; it is false when that
// is used up.
func (ws *Workspace) spend(b *Bucket) bool {
	ws.budget -= 1 + len(b.Items)/itemsPerCost
	return ws.budget > 0
}

func (ws *Workspace) permutation(b *Bucket) *permutation {
	if p := ws.perms[b.ID]; p != nil {
		return p
	}
	var p *permutation
	if n := len(ws.spare); n > 0 {
		p, ws.spare = ws.spare[n-1], ws.spare[:n-1]
	} else {
		p = new(permutation)
	}
	p.done = 0
	p.order = slices.Grow(p.order[:0], len(b.Items))[:len(b.Items)]
	for i := range p.order {
		p.order[i] = uint32(i)
	}
	if ws.perms == nil {
		ws.perms = make(map[int32]*permutation)
	}
	ws.perms[b.ID] = p
	return p
}

// search is how one choose step looks for items.
type search struct {
	typ    int32 // wanted type
	numRep int32 // as the rule asks
	tries  uint32
	// toLeaf asks for a device below each item; leafTries are the attempts for it.
	toLeaf    bool
	leafTries uint32

	// Only for firstn.
	localRetries, fallbackRetries uint32
	varyR, stable                 uint32
}

// settings are the tunables as the steps of a rule may change them.
type settings struct {
	tries, leafTries              uint32
	localRetries, fallbackRetries uint32
	varyR, stable                 uint32
}

// set applies a step that changes a setting (crush_do_rule).
func (s *settings) set(step Step) {
	v := uint32(step.Arg1)
	switch {
	case step.Op == OpSetChooseTries && step.Arg1 > 0:
		s.tries = v
	case step.Op == OpSetChooseLeafTries && step.Arg1 > 0:
		s.leafTries = v
	case step.Op == OpSetChooseLocalTries && step.Arg1 >= 0:
		s.localRetries = v
	case step.Op == OpSetChooseLocalFallbackTry && step.Arg1 >= 0:
		s.fallbackRetries = v
	case step.Op == OpSetChooseLeafVaryR && step.Arg1 >= 0:
		s.varyR = v
	case step.Op == OpSetChooseLeafStable && step.Arg1 >= 0:
		s.stable = v
	}
}

// run goes through the steps (crush_do_rule, src/crush/mapper.c).
func (ws *Workspace) run(r *Rule, out []int32, numRep int) []int32 {
	m := ws.m
	s := settings{
		// The tunable counts retries, so there is one try more.
		tries:           m.ChooseTotalTries + 1,
		localRetries:    m.ChooseLocalTries,
		fallbackRetries: m.ChooseLocalFallbackTries,
		varyR:           uint32(m.ChooseLeafVaryR),
		stable:          uint32(m.ChooseLeafStable),
	}
	emitted, have := 0, 0 // results so far; items in ws.current
	for _, step := range r.Steps {
		switch step.Op {
		case OpTake:
			if step.Arg1 >= 0 && step.Arg1 < m.MaxDevices || m.Bucket(step.Arg1) != nil {
				ws.current[0], have = step.Arg1, 1
			}
		case OpChooseFirstN, OpChooseLeafFirstN, OpChooseIndep, OpChooseLeafIndep:
			if have > 0 {
				have = ws.chooseStep(step, s, have, numRep)
			}
		case OpEmit:
			n := min(have, numRep-emitted)
			out = append(out, ws.current[:n]...)
			emitted, have = emitted+n, 0
		default:
			s.set(step)
		}
	}
	return out
}

// chooseStep replaces the first have items of ws.current by what the step
// chooses below each of them, and returns how many those are.
func (ws *Workspace) chooseStep(step Step, s settings, have, numRep int) int {
	q := search{
		typ:             step.Arg2,
		tries:           s.tries,
		toLeaf:          step.Op == OpChooseLeafFirstN || step.Op == OpChooseLeafIndep,
		leafTries:       s.leafTries,
		localRetries:    s.localRetries,
		fallbackRetries: s.fallbackRetries,
		varyR:           s.varyR,
		stable:          s.stable,
	}
	firstN := step.Op == OpChooseFirstN || step.Op == OpChooseLeafFirstN
	if s.leafTries == 0 {
		q.leafTries = 1
		if firstN && ws.m.ChooseLeafDescendOnce == 0 {
			q.leafTries = s.tries
		}
	}
	// Zero or less is relative to how many are asked for.
	want := int64(step.Arg1)
	if want <= 0 {
		want += int64(numRep)
	}
	if want <= 0 {
		ws.current, ws.next = ws.next, ws.current
		return 0
	}
	q.numRep = int32(want)

	chosen := 0
	for _, from := range ws.current[:have] {
		b := ws.m.Bucket(from)
		if b == nil {
			continue // a device, or a hole
		}
		next, leaves := ws.next[chosen:numRep], ws.leaves[chosen:numRep]
		if firstN {
			chosen += ws.firstN(b, &q, next, leaves)
			continue
		}
		n := min(int(q.numRep), len(next))
		ws.indep(b, &q, next[:n], leaves[:n], 0, n, 0)
		chosen += n
	}
	if q.toLeaf {
		copy(ws.next[:chosen], ws.leaves)
	}
	ws.current, ws.next = ws.next, ws.current
	return chosen
}

// itemType returns the type of an item: 0 for devices. It is false for an id
// that leads nowhere.
func (m *Map) itemType(item int32) (int32, bool) {
	if item >= 0 {
		return 0, item < m.MaxDevices
	}
	b := m.Bucket(item)
	if b == nil {
		return 0, false
	}
	return int32(b.Type), true
}

// isOut reports whether the device refuses x: wholly at reweight 0, for a
// share of the inputs below 1.
func (ws *Workspace) isOut(device int32) bool {
	if device < 0 || int(device) >= len(ws.weights) {
		return true
	}
	w := ws.weights[device]
	switch {
	case w >= One:
		return false
	case w == 0:
		return true
	}
	return hash2(uint32(ws.x), uint32(device))&0xffff >= w
}
