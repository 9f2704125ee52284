package state

import (
	"fmt"
	"math"
	"syscall"

	"sepiola/osdmap"
)

// adminCommands are the commands that may change the state, by prefix.
var adminCommands = map[string]func(*txn, *Admin) Reply{
	"osd new":                          (*txn).newOSD,
	"osd create":                       (*txn).createOSD,
	"osd down":                         (*txn).osdDown,
	"osd out":                          (*txn).osdOut,
	"osd in":                           (*txn).osdIn,
	"osd stop":                         (*txn).osdStop,
	"osd rm":                           (*txn).osdRm,
	"osd lost":                         (*txn).osdLost,
	"osd destroy-actual":               (*txn).osdDestroy,
	"osd purge-actual":                 (*txn).osdPurge,
	"osd purge-new":                    (*txn).osdPurge,
	"osd reweight":                     (*txn).osdReweight,
	"osd primary-affinity":             (*txn).osdPrimaryAffinity,
	"osd pause":                        (*txn).osdSetFlag,
	"osd unpause":                      (*txn).osdSetFlag,
	"osd set":                          (*txn).osdSetFlag,
	"osd unset":                        (*txn).osdSetFlag,
	"osd set-group":                    (*txn).osdGroup,
	"osd unset-group":                  (*txn).osdGroup,
	"osd add-noup":                     (*txn).osdGroup,
	"osd add-nodown":                   (*txn).osdGroup,
	"osd add-noin":                     (*txn).osdGroup,
	"osd add-noout":                    (*txn).osdGroup,
	"osd rm-noup":                      (*txn).osdGroup,
	"osd rm-nodown":                    (*txn).osdGroup,
	"osd rm-noin":                      (*txn).osdGroup,
	"osd rm-noout":                     (*txn).osdGroup,
	"pg repeer":                        (*txn).pgRepeer,
	"osd set-full-ratio":               (*txn).osdSetRatio,
	"osd set-backfillfull-ratio":       (*txn).osdSetRatio,
	"osd set-nearfull-ratio":           (*txn).osdSetRatio,
	"osd setmaxosd":                    (*txn).osdSetMax,
	"osd pg-temp":                      (*txn).osdPGTemp,
	"osd primary-temp":                 (*txn).osdPrimaryTemp,
	"osd blocklist":                    (*txn).osdBlocklist,
	"osd blacklist":                    (*txn).osdBlocklist,
	"osd blocklist clear":              (*txn).osdBlocklistClear,
	"osd blacklist clear":              (*txn).osdBlocklistClear,
	"osd pool create":                  (*txn).poolCreate,
	"osd pool rm":                      (*txn).poolRemove,
	"osd pool delete":                  (*txn).poolRemove,
	"osd pool rename":                  (*txn).poolRename,
	"osd pool set":                     (*txn).poolSet,
	"osd pool set-quota":               (*txn).poolSetQuota,
	"osd pool mksnap":                  (*txn).poolMakeSnap,
	"osd pool rmsnap":                  (*txn).poolRemoveSnap,
	"osd pool application enable":      (*txn).poolAppEnable,
	"osd pool application disable":     (*txn).poolAppDisable,
	"osd pool application set":         (*txn).poolAppSet,
	"osd pool application rm":          (*txn).poolAppRm,
	"osd setcrushmap":                  (*txn).crushSetMap,
	"osd crush set":                    (*txn).crushSet,
	"osd crush add":                    (*txn).crushSet,
	"osd crush create-or-move":         (*txn).crushCreateOrMove,
	"osd crush move":                   (*txn).crushMove,
	"osd crush link":                   (*txn).crushLink,
	"osd crush rm":                     (*txn).crushRemove,
	"osd crush remove":                 (*txn).crushRemove,
	"osd crush unlink":                 (*txn).crushRemove,
	"osd crush reweight":               (*txn).crushReweight,
	"osd crush reweight-all":           (*txn).crushReweightAll,
	"osd crush reweight-subtree":       (*txn).crushReweight,
	"osd crush tunables":               (*txn).crushTunables,
	"osd crush add-bucket":             (*txn).crushAddBucket,
	"osd crush set-device-class":       (*txn).crushSetClass,
	"osd crush rm-device-class":        (*txn).crushRmClass,
	"osd crush rule create-simple":     (*txn).crushCreateRule,
	"osd crush rule rm":                (*txn).crushRemoveRule,
	"osd erasure-code-profile set":     (*txn).ecProfileSet,
	"osd erasure-code-profile rm":      (*txn).ecProfileRm,
	"config set":                       (*txn).configSet,
	"config rm":                        (*txn).configRm,
	"config-key set":                   (*txn).configKeySet,
	"config-key put":                   (*txn).configKeySet,
	"config-key rm":                    (*txn).configKeyRm,
	"config-key del":                   (*txn).configKeyRm,
	"log":                              (*txn).logCommand,
	"osd crush rule create-replicated": (*txn).crushCreateRule,
}

// IsAdmin reports whether the command of that prefix goes through the log.
func IsAdmin(prefix string) bool {
	_, ok := adminCommands[prefix]
	return ok
}

func (t *txn) admin(a *Admin) Reply {
	fn := adminCommands[a.Args.Prefix()]
	if fn == nil {
		return failed(syscall.EINVAL, "command not known")
	}
	return fn(t, a)
}

// osdList runs fn over the OSDs named by "ids": each with an existing one. It
// gathers what fn says. "all", "any" and "*" stand for all.
func (t *txn) osdList(a *Admin, quiet bool, fn func(osd int32) string) Reply {
	r := Reply{}
	for i, s := range a.Args.Strings("ids") {
		if i == 0 && (s == "all" || s == "any" || s == "*") {
			for _, osd := range t.Map().OSDs() {
				if said := fn(osd); !quiet {
					r.Status += said
				}
			}
			break
		}
		osd, err := parseOSD(s)
		switch {
		case err != nil:
			r.Code = -int32(syscall.EINVAL)
			r.Status += fmt.Sprintf("Expected option value to be integer, got '%s'invalid osd id-1", s)
		case !t.Map().Exists(osd):
			r.Status += fmt.Sprintf("osd.%d does not exist. ", osd)
		default:
			r.Status += fn(osd)
		}
	}
	return r
}

func (t *txn) osdDown(a *Admin) Reply {
	dead := a.Args.Bool("definitely_dead")
	return t.osdList(a, false, func(osd int32) (said string) {
		if t.Map().IsUp(osd) {
			t.flipState(osd, 0, osdmap.OSDUp)
			said = fmt.Sprintf("marked down osd.%d. ", osd)
		} else {
			said = fmt.Sprintf("osd.%d is already down. ", osd)
		}
		if dead {
			xi, put := t.xinfo(osd)
			xi.DeadEpoch = t.pending().Epoch
			put(xi)
		}
		return said
	})
}

func (t *txn) osdOut(a *Admin) Reply {
	return t.osdList(a, false, func(osd int32) string {
		m := t.Map()
		if m.IsOut(osd) {
			return fmt.Sprintf("osd.%d is already out. ", osd)
		}
		xi, put := t.xinfo(osd)
		xi.OldWeight = m.Weight(osd)
		put(xi)
		t.change().NewWeight[osd] = osdmap.WeightOut
		t.log(LogInfo, "Client %s marked osd.%d out, while it was still marked up", a.Who, osd)
		return fmt.Sprintf("marked out osd.%d. ", osd)
	})
}

func (t *txn) osdIn(a *Admin) Reply {
	return t.osdList(a, false, func(osd int32) string {
		m := t.Map()
		if m.IsIn(osd) {
			return fmt.Sprintf("osd.%d is already in. ", osd)
		}
		xi, put := t.xinfo(osd)
		weight := osdmap.WeightIn
		if xi.OldWeight > 0 {
			weight, xi.OldWeight = xi.OldWeight, 0
			put(xi)
		}
		t.change().NewWeight[osd] = weight
		return fmt.Sprintf("marked in osd.%d. ", osd)
	})
}

func (t *txn) osdStop(a *Admin) Reply {
	return t.osdList(a, false, func(osd int32) string {
		switch m := t.Map(); {
		case m.OSDState[osd]&osdmap.OSDStop != 0:
			return fmt.Sprintf("osd.%d is already stopped. ", osd)
		case !m.IsUp(osd):
			t.flipState(osd, osdmap.OSDStop, 0)
			return fmt.Sprintf("stop down osd.%d. ", osd)
		}
		t.flipState(osd, osdmap.OSDStop, osdmap.OSDUp)
		return fmt.Sprintf("stop osd.%d. ", osd)
	})
}

func (t *txn) osdRm(a *Admin) Reply {
	busy := false
	r := t.osdList(a, false, func(osd int32) string {
		if t.Map().IsUp(osd) {
			busy = true
			return fmt.Sprintf("osd.%d is still up; must be down before removal. ", osd)
		}
		t.removeOSD(osd)
		return fmt.Sprintf("removed osd.%d", osd)
	})
	if busy {
		r.Code = -int32(syscall.EBUSY)
	}
	return r
}

// removeOSD makes an OSD not exist.
func (t *txn) removeOSD(osd int32) {
	m := t.Map()
	state := m.OSDState[osd]
	t.flipState(osd, 0, state)
	inc := t.change()
	delete(inc.NewUUID, osd)
	// The wire has no way to say "no uuid" but to write a blank one.
	if m.OSDUUID[osd] != ([16]byte{}) {
		inc.NewUUID[osd] = [16]byte{}
	}
}

func (t *txn) oneOSD(a *Admin) (int32, *Reply) {
	osd, err := parseOSD(a.Args.String("id"))
	if err != nil {
		r := failed(syscall.EINVAL, "%v", err)
		return 0, &r
	}
	if !t.Map().Exists(osd) {
		r := failed(syscall.ENOENT, "osd.%d does not exist", osd)
		return 0, &r
	}
	return osd, nil
}

func (t *txn) osdLost(a *Admin) Reply {
	osd, err := parseOSD(a.Args.String("id"))
	if err != nil {
		return failed(syscall.EINVAL, "%v", err)
	}
	m := t.Map()
	switch {
	case !a.Args.Bool("yes_i_really_mean_it"):
		return failed(syscall.EPERM, "are you SURE?  this might mean real, permanent data loss.  pass --yes-i-really-mean-it if you really do.")
	case !m.Exists(osd):
		return failed(syscall.ENOENT, "osd.%d does not exist", osd)
	case m.IsUp(osd):
		return failed(syscall.EBUSY, "osd.%d is not down", osd)
	}
	downAt := m.Info(osd).DownAt
	t.change().NewLost[osd] = downAt
	return done("marked osd lost in epoch %d", downAt)
}

func (t *txn) osdDestroy(a *Admin) Reply {
	osd, err := parseOSD(a.Args.String("id"))
	if err != nil {
		return failed(syscall.EINVAL, "%v", err)
	}
	m := t.Map()
	switch {
	case !m.Exists(osd):
		return done("osd.%d does not exist", osd)
	case !a.Args.Bool("yes_i_really_mean_it"):
		return failed(syscall.EPERM, "Are you SURE?  Did you verify with 'ceph osd safe-to-destroy'?  This will **PERMANENTLY DESTROY** data if this OSD still holds the only copy.  Pass --yes-i-really-mean-it if you really do.")
	case m.IsUp(osd):
		return failed(syscall.EBUSY, "osd.%d is not `down`.", osd)
	case m.IsDestroyed(osd):
		return done("destroyed osd.%d", osd)
	}
	t.flipState(osd, osdmap.OSDDestroyed, 0)
	t.change().NewUUID[osd] = [16]byte{}
	t.change().NewLost[osd] = m.Info(osd).DownAt
	return done("destroyed osd.%d", osd)
}

func (t *txn) osdPurge(a *Admin) Reply {
	osd, err := parseOSD(a.Args.String("id"))
	if err != nil {
		return failed(syscall.EINVAL, "%v", err)
	}
	m := t.Map()
	switch {
	case !a.Args.Bool("yes_i_really_mean_it"):
		return failed(syscall.EPERM, "Are you SURE?  Did you verify with 'ceph osd safe-to-destroy'?  This will **PERMANENTLY DESTROY** data if this OSD still holds the only copy.  Pass --yes-i-really-mean-it if you really do.")
	case !m.Exists(osd):
		return done("osd.%d does not exist", osd)
	case m.IsUp(osd):
		return failed(syscall.EBUSY, "osd.%d is not `down`.", osd)
	}
	if cm := t.editCrush(); cm.ItemName(osd) != "" {
		if err := cm.RemoveItem(osd, false); err == nil {
			t.crushChanged()
		}
	}
	t.removeOSD(osd)
	return done("purged osd.%d", osd)
}

func (t *txn) osdReweight(a *Admin) Reply {
	osd, refuse := t.oneOSD(a)
	if refuse != nil {
		return *refuse
	}
	w, err := a.Args.Float("weight", math.NaN())
	if err != nil || !(w >= 0 && w <= 1) {
		return failed(syscall.EINVAL, "weight must be between 0 and 1")
	}
	fixed := uint32(float64(osdmap.WeightIn) * w)
	t.change().NewWeight[osd] = fixed
	return done("reweighted osd.%d to %s (%x)", osd, trimFloat(w), fixed)
}

func (t *txn) osdPrimaryAffinity(a *Admin) Reply {
	osd, refuse := t.oneOSD(a)
	if refuse != nil {
		return *refuse
	}
	w, err := a.Args.Float("weight", math.NaN())
	if err != nil || !(w >= 0 && w <= 1) {
		return failed(syscall.EINVAL, "weight must be between 0 and 1")
	}
	fixed := uint32(float64(osdmap.MaxPrimaryAffinity) * w)
	t.change().NewPrimaryAffinity[osd] = fixed
	// The 8 and the 2 are what Ceph prints where it means to switch to hexadecimal
	// figures and back.
	return done("set osd.%d primary-affinity to %s (8%d2)", osd, trimFloat(w), fixed)
}
