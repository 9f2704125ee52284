package state

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"syscall"
	"time"

	"sepiola/entity"
	"sepiola/object"
	"sepiola/osdmap"
)

// mapFlags are the flags that "osd set" knows.
var mapFlags = map[string]uint32{
	"pause": osdmap.FlagPauseRd | osdmap.FlagPauseWr,
	"noup":  osdmap.FlagNoUp, "nodown": osdmap.FlagNoDown, "noout": osdmap.FlagNoOut, "noin": osdmap.FlagNoIn,
	"nobackfill": osdmap.FlagNoBackfill, "norebalance": osdmap.FlagNoRebalance, "norecover": osdmap.FlagNoRecover,
	"noscrub": osdmap.FlagNoScrub, "nodeep-scrub": osdmap.FlagNoDeepScrub, "notieragent": osdmap.FlagNoTierAgent,
	"nosnaptrim": osdmap.FlagNoSnapTrim, "pglog_hardlimit": osdmap.FlagPGLogHardLimit,
	"sortbitwise": osdmap.FlagSortBitwise, "recovery_deletes": osdmap.FlagRecoveryDeletes,
}

func (t *txn) osdSetFlag(a *Admin) Reply {
	prefix, key := a.Args.Prefix(), a.Args.String("key")
	on := prefix == "osd set" || prefix == "osd pause"
	if prefix == "osd pause" || prefix == "osd unpause" {
		key = "pause"
	}
	flag, ok := mapFlags[key]
	if !ok {
		return failed(syscall.EINVAL, "unrecognized flag '%s'", key)
	}
	if !on && (key == "sortbitwise" || key == "recovery_deletes" || key == "pglog_hardlimit") {
		return failed(syscall.EPERM, "the flag '%s' cannot be unset", key)
	}
	flags := t.Map().Flags
	if on {
		flags |= flag
	} else {
		flags &^= flag
	}
	if flags != t.Map().Flags {
		t.change().NewFlags = int32(flags)
	}
	verb := "set"
	if !on {
		verb = "unset"
	}
	return done("%s is %s", osdmap.FlagString(flag), verb)
}

func (t *txn) osdSetRatio(a *Admin) Reply {
	v, err := a.Args.Float("ratio", math.NaN())
	if err != nil || !(v >= 0 && v <= 1) {
		return failed(syscall.EINVAL, "ratio must be between 0 and 1")
	}
	inc := t.change()
	switch a.Args.Prefix() {
	case "osd set-full-ratio":
		inc.NewFullRatio = float32(v)
	case "osd set-backfillfull-ratio":
		inc.NewBackfillFullRatio = float32(v)
	default:
		inc.NewNearFullRatio = float32(v)
	}
	return done("%s %s", a.Args.Prefix(), trimFloat(v))
}

func (t *txn) osdSetMax(a *Admin) Reply {
	n, err := a.Args.Int("newmax", -1)
	if err != nil || n < 0 {
		return failed(syscall.EINVAL, "unable to parse 'newmax' value '%s'", a.Args.String("newmax"))
	}
	if n > maxOSDs {
		return failed(syscall.ERANGE, "cannot set max_osd to %d which is > conf.mon_max_osd (%d)", n, maxOSDs)
	}
	m := t.Map()
	for osd := int32(n); osd < m.MaxOSD; osd++ {
		if m.Exists(osd) {
			return failed(syscall.EBUSY, "cannot shrink max_osd to %d because osd.%d (and possibly others) still in use", n, osd)
		}
	}
	if t.inc != nil && int32(n) < m.MaxOSD {
		return Reply{Again: true} // this batch may hold changes of the OSDs to be dropped
	}
	t.change().NewMaxOSD = int32(n)
	return done("set new max_osd = %d", n)
}

func (t *txn) pgArg(a *Admin) (object.PGID, *Reply) {
	s := a.Args.String("pgid")
	pg, err := object.ParsePGID(s)
	if err != nil {
		r := failed(syscall.EINVAL, "unable to parse pgid '%s'", s)
		return pg, &r
	}
	if p := t.Map().Pools[pg.Pool]; p == nil || pg.Seed >= p.PGNum {
		r := failed(syscall.ENOENT, "pg '%s' does not exist", pg)
		return pg, &r
	}
	return pg, nil
}

func (t *txn) osdPGTemp(a *Admin) Reply {
	pg, refuse := t.pgArg(a)
	if refuse != nil {
		return *refuse
	}
	var osds []int32
	for _, s := range a.Args.Strings("id") {
		osd, err := parseOSD(s)
		if err != nil {
			return failed(syscall.EINVAL, "%v", err)
		}
		if !t.Map().Exists(osd) {
			return failed(syscall.ENOENT, "osd.%d does not exist", osd)
		}
		osds = append(osds, osd)
	}
	t.change().NewPGTemp[pg] = osds
	return done("set %s pg_temp mapping to %s", pg, osdListString(osds))
}

func osdListString(osds []int32) string {
	s := "["
	for i, o := range osds {
		if i > 0 {
			s += ","
		}
		s += strconv.Itoa(int(o))
	}
	return s + "]"
}

func (t *txn) osdPrimaryTemp(a *Admin) Reply {
	pg, refuse := t.pgArg(a)
	if refuse != nil {
		return *refuse
	}
	osd := int32(-1)
	if s := a.Args.String("id"); s != "-1" {
		var err error
		if osd, err = parseOSD(s); err != nil {
			return failed(syscall.EINVAL, "%v", err)
		}
		if !t.Map().Exists(osd) {
			return failed(syscall.ENOENT, "osd.%d does not exist", osd)
		}
	}
	t.change().NewPrimaryTemp[pg] = osd
	return done("set %s primary_temp mapping to %d", pg, osd)
}

func (t *txn) osdBlocklist(a *Admin) Reply {
	s := a.Args.String("addr")
	addr, err := entity.ParseAddr(s)
	if err != nil {
		return failed(syscall.EINVAL, "%v", err)
	}
	addr.Type = entity.AddrAny
	op := a.Args.String("blocklistop")
	if op == "" {
		op = a.Args.String("blacklistop")
	}
	if op == "rm" {
		if _, ok := t.Map().Blocklist[addr]; !ok {
			return failed(syscall.ENOENT, "%s isn't blocklisted", addr)
		}
		inc := t.change()
		delete(inc.NewBlocklist, addr)
		if _, ok := t.s.OSD.Blocklist[addr]; ok {
			inc.OldBlocklist = append(inc.OldBlocklist, addr)
		}
		return done("un-blocklisting %s", addr)
	}
	secs, err := a.Args.Float("expire", a.Settings.BlocklistExpire)
	if err != nil || secs < 0 || secs > 100*365*86400 {
		return failed(syscall.EINVAL, "bad expiry '%s'", a.Args.String("expire"))
	}
	until := t.now.Add(time.Duration(secs * float64(time.Second)))
	t.change().NewBlocklist[addr] = until
	return done("blocklisting %s until %s (%s sec)", addr, stampString(until), trimFloat(secs))
}

func (t *txn) osdBlocklistClear(*Admin) Reply {
	if len(t.Map().Blocklist) > 0 {
		inc := t.change()
		clear(inc.NewBlocklist)
		inc.OldBlocklist = slices.Collect(maps.Keys(t.s.OSD.Blocklist))
		sortAddrs(inc.OldBlocklist)
	}
	return done(" removed all blocklist entries")
}

// stampString is how Ceph prints a time (utime_t::localtime) in UTC.
func stampString(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000-0700") }

// trimFloat prints as C++ streams do: up to six significant digits.
func trimFloat(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

func (t *txn) ecProfileSet(a *Admin) Reply {
	name := a.Args.String("name")
	profile := map[string]string{}
	for _, kv := range a.Args.Strings("profile") {
		k, v, _ := cutEqual(kv)
		profile[k] = v
	}
	if old, ok := t.Map().ErasureProfiles[name]; ok && !maps.Equal(old, profile) && !a.Args.Bool("force") {
		return failed(syscall.EPERM, "will not override erasure code profile %s because the existing profile %s is different from the proposed profile %s",
			name, fmt.Sprint(old), fmt.Sprint(profile))
	}
	t.change().NewErasureProfiles[name] = profile
	return Reply{}
}

func (t *txn) ecProfileRm(a *Admin) Reply {
	name := a.Args.String("name")
	if _, ok := t.Map().ErasureProfiles[name]; !ok {
		return done("erasure-code-profile %s does not exist", name)
	}
	for id, p := range t.Map().Pools {
		if p.ErasureCodeProfile == name {
			return failed(syscall.EBUSY, "%s pool(s) are using the erasure code profile '%s'", t.Map().PoolNames[id], name)
		}
	}
	inc := t.change()
	inc.OldErasureProfiles = append(inc.OldErasureProfiles, name)
	return Reply{}
}
