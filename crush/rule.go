package crush

import (
	"slices"
	"syscall"
)

// The pool sizes of rules made by AddSimpleRule (add_simple_rule_at,
// src/crush/CrushWrapper.cc).
const (
	replicatedMin, replicatedMax = 1, 10
	indepMin, indepMax           = 3, 20
)

// The tries of indep rules made by AddSimpleRule.
const (
	simpleLeafTries = 5
	simpleTries     = 100
)

// AddSimpleRule is `osd crush rule create-replicated` and create-simple: one
// device below each of as many buckets of type failureDomain ("": devices
// themselves) as asked for. mode is "firstn" or "indep"; class "" is any. The
// rule gets the lowest free id, which is returned.
func (m *Map) AddSimpleRule(name, root, failureDomain, class, mode string, typ RuleType) (int, error) {
	if _, ok := m.RuleID(name); ok {
		return 0, errf(syscall.EEXIST, "rule %s exists", name)
	}
	take, domain, err := m.resolve(root, failureDomain, class)
	if err != nil {
		return 0, err
	}
	choose := map[string]Op{"firstn": OpChooseFirstN, "indep": OpChooseIndep}
	if domain != 0 {
		choose = map[string]Op{"firstn": OpChooseLeafFirstN, "indep": OpChooseLeafIndep}
	}
	op, ok := choose[mode]
	if !ok {
		return 0, errf(syscall.EINVAL, "unknown mode %s", mode)
	}
	r := &Rule{Type: typ, MinSize: replicatedMin, MaxSize: replicatedMax}
	if mode == "indep" {
		r.MinSize, r.MaxSize = indepMin, indepMax
		r.Steps = []Step{{Op: OpSetChooseLeafTries, Arg1: simpleLeafTries}, {Op: OpSetChooseTries, Arg1: simpleTries}}
	}
	r.Steps = append(r.Steps, Step{Op: OpTake, Arg1: take}, Step{Op: op, Arg2: domain}, Step{Op: OpEmit})
	id := m.freeRule()
	r.Ruleset = uint8(id)
	if err := m.AddRule(id, name, r); err != nil {
		return 0, err
	}
	return id, nil
}

// resolve finds what a simple rule names.
func (m *Map) resolve(root, failureDomain, class string) (take, domain int32, err error) {
	take, ok := m.ItemID(root)
	if !ok {
		return 0, 0, errf(syscall.ENOENT, "root item %s does not exist", root)
	}
	if failureDomain != "" {
		if domain, ok = m.TypeID(failureDomain); !ok {
			return 0, 0, errf(syscall.EINVAL, "unknown type %s", failureDomain)
		}
	}
	if class == "" {
		return take, domain, nil
	}
	c, ok := m.ClassID(class)
	if !ok {
		return 0, 0, errf(syscall.EINVAL, "device class %s does not exist", class)
	}
	shadow, ok := m.ClassBuckets[take][c]
	if !ok {
		return 0, 0, errf(syscall.EINVAL, "root %s has no devices with class %s", root, class)
	}
	return shadow, domain, nil
}

// freeRule returns the lowest id that no rule has, neither as its place nor as
// its ruleset.
func (m *Map) freeRule() int {
	for id := 0; ; id++ {
		taken := slices.ContainsFunc(m.Rules, func(r *Rule) bool { return r != nil && int(r.Ruleset) == id })
		if m.Rule(id) == nil && !taken {
			return id
		}
	}
}

// AddRule adds a rule at that id; name "" leaves it without a name.
func (m *Map) AddRule(id int, name string, r *Rule) error {
	switch {
	case id < 0 || id >= MaxRules:
		return errf(syscall.ENOSPC, "rule id %d is out of range", id)
	case m.Rule(id) != nil:
		return errf(syscall.EEXIST, "rule with ruleno %d exists", id)
	}
	for id >= len(m.Rules) {
		m.Rules = append(m.Rules, nil)
	}
	m.Rules[id] = r
	if name != "" {
		m.RuleNames[int32(id)] = name
	}
	return nil
}

// RemoveRule is `osd crush rule rm`. Classes that only the rule used go with it.
func (m *Map) RemoveRule(id int) error {
	if m.Rule(id) == nil {
		return errf(syscall.ENOENT, "rule %d does not exist", id)
	}
	return m.change(func(c *Map) error {
		c.Rules[id] = nil
		delete(c.RuleNames, int32(id))
		return c.rebuildClasses()
	})
}
