package state

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"syscall"

	"sepiola/crush"
)

// crushEdit is the CRUSH map in work.
type crushEdit struct {
	m     *crush.Map // nil until somebody wants to edit
	dirty bool
}

// crushMap returns the CRUSH map as the commands so far have made it, to read.
func (t *txn) crushMap() *crush.Map {
	if t.crush.dirty {
		return t.crush.m
	}
	return t.s.OSD.Crush
}

// editCrush returns a copy to be changed. It counts once [txn.crushChanged] is
// called; a failed edit is thrown away by [txn.crushUndo].
func (t *txn) editCrush() *crush.Map {
	t.crush.m = t.crushMap().Clone()
	return t.crush.m
}

func (t *txn) crushChanged() {
	t.crush.dirty = true
	t.change()
}

// tryCrush runs an edit on a copy and keeps it if it changed something.
func (t *txn) tryCrush(edit func(*crush.Map) (changed bool, err error)) (bool, *Reply) {
	cm := t.crushMap().Clone()
	changed, err := edit(cm)
	if err != nil {
		return false, crushRefusal(err)
	}
	if changed {
		t.crush.m = cm
		t.crushChanged()
	}
	return changed, nil
}

func crushRefusal(err error) *Reply {
	code := syscall.EINVAL
	if e, ok := asErrno(err); ok {
		code = e
	}
	return refusal(code, "%v", err)
}

// crushSetMap is `osd setcrushmap`, and `osd crush set` without an OSD: the
// whole map is replaced.
func (t *txn) crushSetMap(a *Admin) Reply {
	prior, err := a.Args.Int("prior_version", -1)
	if err != nil {
		return failed(syscall.EINVAL, "%v", err)
	}
	version := int64(t.Map().CrushVersion)
	if prior == version-1 && slices.Equal(t.crushMap().EncodeMap(), a.Input) {
		return done("%d", version)
	}
	if prior >= 0 && prior != version {
		return failed(syscall.EPERM, "prior_version %d != crush version %d", prior, version)
	}
	if len(a.Input) == 0 {
		return failed(syscall.EINVAL, "Failed to parse crushmap: no map was given")
	}
	cm, err := crush.DecodeMap(a.Input)
	if err == nil {
		err = cm.Validate()
	}
	if err != nil {
		return failed(syscall.EINVAL, "Failed to parse crushmap: %v", err)
	}
	for id, p := range t.Map().Pools {
		if cm.Rule(int(p.CrushRule)) == nil {
			return failed(syscall.EINVAL, "pool %s (%d) uses crush rule %d, which the new map lacks", t.Map().PoolNames[id], id, p.CrushRule)
		}
	}
	if cm.MaxDevices > t.Map().MaxOSD {
		for osd := t.Map().MaxOSD; osd < cm.MaxDevices; osd++ {
			if cm.ItemName(osd) != "" {
				return failed(syscall.EINVAL, "crush map has osd.%d, which does not exist", osd)
			}
		}
	}
	t.crush.m = cm
	t.crushChanged()
	return done("%d", version+1)
}

// weightArg reads a weight; NaN and negative ones are refused.
func weightArg(a *Admin) (float64, *Reply) {
	w, err := a.Args.Float("weight", math.NaN())
	if err != nil || !(w >= 0) || w > float64(crush.MaxDeviceWeight)/float64(crush.One) {
		return 0, refusal(syscall.EINVAL, "unable to parse weight value '%s'", a.Args.String("weight"))
	}
	return w, nil
}

// placeArgs reads what the commands that place an OSD have in common.
func (t *txn) placeArgs(a *Admin) (osd int32, weight float64, loc map[string]string, refuse *Reply) {
	osd, err := parseOSD(a.Args.String("id"))
	if err != nil {
		return 0, 0, nil, refusal(syscall.EINVAL, "%v", err)
	}
	if !t.Map().Exists(osd) {
		return 0, 0, nil, refusal(syscall.ENOENT, "osd.%d does not exist.  create it before updating the crush map", osd)
	}
	if weight, refuse = weightArg(a); refuse != nil {
		return 0, 0, nil, refuse
	}
	if loc, err = parseLocation(a.Args.Strings("args")); err != nil {
		return 0, 0, nil, refusal(syscall.EINVAL, "%v", err)
	}
	return osd, weight, loc, nil
}

func (t *txn) crushSet(a *Admin) Reply {
	if !a.Args.Has("id") {
		return t.crushSetMap(a)
	}
	osd, weight, loc, refuse := t.placeArgs(a)
	if refuse != nil {
		return *refuse
	}
	name := fmt.Sprintf("osd.%d", osd)
	_, refuse = t.tryCrush(func(cm *crush.Map) (bool, error) {
		if a.Args.Prefix() == "osd crush set" && cm.ItemName(osd) == "" {
			return false, notFound("unable to set item id %d name '%s' weight %s at location %s: does not exist", osd, name, trimFloat(weight), locationString(loc))
		}
		return cm.UpdateItem(osd, weight, name, loc)
	})
	if refuse != nil {
		return *refuse
	}
	verb := strings.TrimPrefix(a.Args.Prefix(), "osd crush ")
	return done("%s item id %d name '%s' weight %s at location %s to crush map", verb, osd, name, trimFloat(weight), locationString(loc))
}

func (t *txn) crushCreateOrMove(a *Admin) Reply {
	osd, weight, loc, refuse := t.placeArgs(a)
	if refuse != nil {
		return *refuse
	}
	name := fmt.Sprintf("osd.%d", osd)
	changed, refuse := t.tryCrush(func(cm *crush.Map) (bool, error) { return cm.CreateOrMoveItem(osd, weight, name, loc) })
	if refuse != nil {
		return *refuse
	}
	verb := "updated"
	if changed {
		verb = "updating"
	}
	return done("create-or-move %s item name '%s' weight %s at location %s to crush map", verb, name, trimFloat(weight), locationString(loc))
}

// itemArg finds a device or bucket by name.
func (t *txn) itemArg(name string) (int32, *Reply) {
	id, ok := t.crushMap().ItemID(name)
	if !ok {
		return 0, refusal(syscall.ENOENT, "item %s does not exist", name)
	}
	return id, nil
}

func (t *txn) crushMove(a *Admin) Reply {
	name := a.Args.String("name")
	id, refuse := t.itemArg(name)
	if refuse != nil {
		return *refuse
	}
	loc, err := parseLocation(a.Args.Strings("args"))
	if err != nil {
		return failed(syscall.EINVAL, "%v", err)
	}
	_, refuse = t.tryCrush(func(cm *crush.Map) (bool, error) {
		if id >= 0 {
			return cm.CreateOrMoveItem(id, 0, name, loc)
		}
		return true, cm.MoveBucket(id, loc)
	})
	if refuse != nil {
		return *refuse
	}
	return done("moved item id %d name '%s' to location %s in crush map", id, name, locationString(loc))
}

func (t *txn) crushLink(a *Admin) Reply {
	name := a.Args.String("name")
	id, refuse := t.itemArg(name)
	if refuse != nil {
		return *refuse
	}
	loc, err := parseLocation(a.Args.Strings("args"))
	if err != nil {
		return failed(syscall.EINVAL, "%v", err)
	}
	_, refuse = t.tryCrush(func(cm *crush.Map) (bool, error) { return true, cm.LinkBucket(id, loc) })
	if refuse != nil {
		return *refuse
	}
	return done("linked item id %d name '%s' to location %s in crush map", id, name, locationString(loc))
}

func (t *txn) crushRemove(a *Admin) Reply {
	name := a.Args.String("name")
	id, ok := t.crushMap().ItemID(name)
	if !ok {
		return done("device '%s' does not appear in the crush map", name)
	}
	if a.Args.Has("ancestor") {
		return failed(syscall.EOPNOTSUPP, "removal from a single ancestor is not supported")
	}
	unlink := a.Args.Prefix() == "osd crush unlink"
	_, refuse := t.tryCrush(func(cm *crush.Map) (bool, error) { return true, cm.RemoveItem(id, unlink) })
	if refuse != nil {
		return *refuse
	}
	return done("removed item id %d name '%s' from crush map", id, name)
}

func (t *txn) crushReweight(a *Admin) Reply {
	name := a.Args.String("name")
	id, ok := t.crushMap().ItemID(name)
	if !ok {
		return failed(syscall.ENOENT, "device '%s' does not appear in the crush map", name)
	}
	w, refuse := weightArg(a)
	if refuse != nil {
		return *refuse
	}
	subtree := a.Args.Prefix() == "osd crush reweight-subtree"
	if !subtree && id < 0 {
		return failed(syscall.EINVAL, "device '%s' is not a leaf in the crush map", name)
	}
	_, refuse = t.tryCrush(func(cm *crush.Map) (bool, error) {
		if subtree {
			return true, cm.AdjustSubtreeWeight(id, w)
		}
		return true, cm.AdjustItemWeight(id, w)
	})
	if refuse != nil {
		return *refuse
	}
	if subtree {
		return done("reweighted subtree id %d name '%s' to %s in crush map", id, name, trimFloat(w))
	}
	return done("reweighted item id %d name '%s' to %s in crush map", id, name, trimFloat(w))
}

func (t *txn) crushReweightAll(*Admin) Reply {
	_, refuse := t.tryCrush(func(cm *crush.Map) (bool, error) {
		cm.Reweight()
		return true, nil
	})
	if refuse != nil {
		return *refuse
	}
	return done("reweighted crush hierarchy")
}

func (t *txn) crushTunables(a *Admin) Reply {
	name := a.Args.String("profile")
	p, err := crush.ParseProfile(name)
	if err != nil {
		return failed(syscall.EINVAL, "unrecognized profile '%s'", name)
	}
	t.editCrush().SetTunables(p)
	t.crushChanged()
	return done("adjusted tunables profile to %s", name)
}

func (t *txn) crushAddBucket(a *Admin) Reply {
	name, kind := a.Args.String("name"), a.Args.String("type")
	if _, ok := t.crushMap().ItemID(name); ok {
		return done("bucket '%s' already exists", name)
	}
	typ, ok := t.crushMap().TypeID(kind)
	if !ok || typ <= 0 {
		return failed(syscall.EINVAL, "type '%s' does not exist", kind)
	}
	loc, err := parseLocation(a.Args.Strings("args"))
	if err != nil {
		return failed(syscall.EINVAL, "%v", err)
	}
	_, refuse := t.tryCrush(func(cm *crush.Map) (bool, error) {
		id, err := cm.AddBucket(0, 0, uint16(typ), name, nil, nil)
		if err == nil && len(loc) > 0 {
			err = cm.MoveBucket(id, loc)
		}
		return true, err
	})
	if refuse != nil {
		return *refuse
	}
	if len(loc) > 0 {
		return done("added bucket %s type %s to location %s", name, kind, locationString(loc))
	}
	return done("added bucket %s type %s to crush map", name, kind)
}

func (t *txn) crushSetClass(a *Admin) Reply {
	class := a.Args.String("class")
	if class == "" {
		return failed(syscall.EINVAL, "a device class needs a name")
	}
	var updated []int32
	var failure *Reply
	r := t.osdList(a, true, func(osd int32) string {
		changed, refuse := t.tryCrush(func(cm *crush.Map) (bool, error) {
			// An OSD tells its class before its place.
			if cm.ItemName(osd) == "" {
				cm.MaxDevices = max(cm.MaxDevices, osd+1)
				cm.ItemNames[osd] = fmt.Sprintf("osd.%d", osd)
			}
			return cm.SetDeviceClass(osd, class)
		})
		switch {
		case refuse != nil:
			failure = refuse
			return ""
		case changed:
			updated = append(updated, osd)
			return ""
		}
		return fmt.Sprintf("set-device-class item id %d name 'osd.%d' device_class '%s': no change. ", osd, osd, class)
	})
	if failure != nil {
		return *failure
	}
	if r.Code == 0 {
		r.Status += fmt.Sprintf("set osd(s) %s to class '%s'", joinIDs(updated), class)
	}
	return r
}

func (t *txn) crushRmClass(a *Admin) Reply {
	var updated []int32
	r := t.osdList(a, true, func(osd int32) string {
		if t.crushMap().ItemClass(osd) == "" {
			return fmt.Sprintf("osd.%d belongs to no class, ", osd)
		}
		_, refuse := t.tryCrush(func(cm *crush.Map) (bool, error) { return true, cm.RemoveDeviceClass(osd) })
		if refuse != nil {
			return refuse.Status + " "
		}
		updated = append(updated, osd)
		return ""
	})
	if r.Code == 0 {
		r.Status += "done removing class of osd(s): " + joinIDs(updated)
	}
	return r
}

func joinIDs(ids []int32) string {
	slices.Sort(ids)
	parts := make([]string, len(ids))
	for i, id := range ids {
		parts[i] = fmt.Sprint(id)
	}
	return strings.Join(parts, ",")
}

func (t *txn) crushCreateRule(a *Admin) Reply {
	name := a.Args.String("name")
	if id, ok := t.crushMap().RuleID(name); ok {
		_ = id
		return done("rule %s already exists", name)
	}
	mode := a.Args.String("mode")
	if mode == "" {
		mode = "firstn"
	}
	_, refuse := t.tryCrush(func(cm *crush.Map) (bool, error) {
		_, err := cm.AddSimpleRule(name, a.Args.String("root"), a.Args.String("type"), a.Args.String("class"), mode, crush.RuleReplicated)
		return true, err
	})
	if refuse != nil {
		return *refuse
	}
	return Reply{}
}

func (t *txn) crushRemoveRule(a *Admin) Reply {
	name := a.Args.String("name")
	id, ok := t.crushMap().RuleID(name)
	if !ok {
		return done("rule %s does not exist", name)
	}
	for pool, p := range t.Map().Pools {
		if int(p.CrushRule) == id {
			return failed(syscall.EBUSY, "crush rule %s (%d) is in use by pool '%s'", name, id, t.Map().PoolNames[pool])
		}
	}
	_, refuse := t.tryCrush(func(cm *crush.Map) (bool, error) { return true, cm.RemoveRule(id) })
	if refuse != nil {
		return *refuse
	}
	return Reply{}
}
