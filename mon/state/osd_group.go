package state

import (
	"fmt"
	"slices"
	"strings"
	"syscall"

	"sepiola/osdmap"
)

// groupFlags are the flags that single OSDs, CRUSH nodes and device classes can have.
var groupFlags = map[string]uint32{"noup": osdmap.OSDNoUp, "nodown": osdmap.OSDNoDown, "noin": osdmap.OSDNoIn, "noout": osdmap.OSDNoOut}

// osdGroup is `osd set-group`, `unset-group`, and `osd add-noup` and the like,
// which say in the prefix what those say in an argument.
func (t *txn) osdGroup(a *Admin) Reply {
	verb := strings.TrimPrefix(a.Args.Prefix(), "osd ")
	names, who := strings.Split(a.Args.String("flags"), ","), a.Args.Strings("who")
	if _, name, ok := strings.Cut(verb, "-no"); ok {
		names, who = []string{"no" + name}, a.Args.Strings("ids")
	}
	flags := uint32(0)
	for _, n := range names {
		f, ok := groupFlags[n]
		if !ok {
			return failed(syscall.EINVAL, "unrecognized flag '%s', must be one of {noup,nodown,noin,noout}", n)
		}
		flags |= f
	}
	if len(who) == 0 {
		return failed(syscall.EINVAL, "must specify at least one or more targets to set/unset")
	}
	g, said := t.groupOf(who)
	if g.empty() {
		return failed(syscall.EINVAL, "%s", said)
	}
	return done("%s", said+t.flagGroup(g, flags, verb == "set-group" || strings.HasPrefix(verb, "add-")))
}

// group is whom flags are set on.
type group struct{ osds, nodes, classes []int32 }

func (g group) empty() bool { return len(g.osds)+len(g.nodes)+len(g.classes) == 0 }

// groupOf finds who is meant by each word: an OSD, a CRUSH node or a device class.
func (t *txn) groupOf(who []string) (g group, said string) {
	m := t.Map()
	for _, w := range who {
		if w == "any" || w == "all" || w == "*" {
			g.osds = m.OSDs()
			break
		}
		if osd, err := parseOSD(w); err == nil {
			g.osds = append(g.osds, osd)
		} else if id, ok := m.Crush.ItemID(w); ok {
			g.nodes = append(g.nodes, id)
		} else if id, ok := m.Crush.ClassID(w); ok {
			g.classes = append(g.classes, id)
		} else {
			said += fmt.Sprintf("unable to parse osd id or crush node or device class: \"%s\". ", w)
		}
	}
	return g, said
}

func (t *txn) flagGroup(g group, flags uint32, set bool) (said string) {
	change := func(old uint32) uint32 {
		if set {
			return old | flags
		}
		return old &^ flags
	}
	for _, osd := range slices.Compact(slices.Sorted(slices.Values(g.osds))) {
		if !t.Map().Exists(osd) {
			said += fmt.Sprintf("osd.%d does not exist. ", osd)
			continue
		}
		if old := t.Map().OSDState[osd]; change(old) != old {
			t.flipState(osd, change(old)&^old, old&^change(old))
		}
	}
	for _, id := range g.nodes {
		if old := t.Map().CrushNodeFlags[id]; change(old) != old {
			t.change().NewCrushNodeFlags[id] = change(old)
		}
	}
	for _, id := range g.classes {
		if old := t.Map().DeviceClassFlags[id]; change(old) != old {
			t.change().NewDeviceClassFlags[id] = change(old)
		}
	}
	return said
}

// pgRepeer is `pg repeer`: for one epoch the PG's acting set is another one, so
// that it peers twice and ends where it belongs.
func (t *txn) pgRepeer(a *Admin) Reply {
	pg, refuse := t.pgArg(a)
	if refuse != nil {
		return *refuse
	}
	m := t.Map()
	_, _, acting, primary := m.PGToUpActing(pg)
	switch {
	case primary < 0:
		return failed(syscall.EAGAIN, "pg currently has no primary")
	case len(acting) > 1:
		t.change().NewPGTemp[pg] = []int32{primary}
		return Reply{}
	}
	for _, osd := range m.OSDs() {
		if osd != primary && m.IsUp(osd) {
			t.change().NewPGTemp[pg] = []int32{primary, osd}
			return Reply{}
		}
	}
	return failed(syscall.EAGAIN, "not enough up OSDs in the cluster to force repeer")
}
