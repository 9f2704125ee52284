package state

import (
	"strings"
	"syscall"

	"sepiola/crush"
	"sepiola/object"
	"sepiola/osdmap"
)

// poolCreate is `osd pool create` (OSDMonitor::prepare_new_pool).
func (t *txn) poolCreate(a *Admin) Reply {
	name := a.Args.String("pool")
	if strings.HasPrefix(name, ".") && !a.Args.Bool("yes_i_really_mean_it") {
		return failed(syscall.EPERM, "pool names beginning with . are not allowed")
	}
	if a.Args.String("pool_type") == "erasure" || a.Args.String("erasure_code_profile") != "" && a.Args.String("pool_type") == "" && t.isECProfile(a.Args.String("erasure_code_profile")) {
		return failed(syscall.EOPNOTSUPP, "erasure-coded pools are not supported")
	}
	if _, ok := t.Map().PoolID(name); ok {
		return done("pool '%s' already exists", name)
	}
	spec, refuse := poolSpecOf(a)
	if refuse != nil {
		return *refuse
	}
	// With the type left out, what follows pgp_num may be the rule's name.
	if spec.rule == "" && a.Args.String("erasure_code_profile") != "" {
		spec.rule = a.Args.String("erasure_code_profile")
	}
	if _, refuse := t.makePool(name, spec, a.Settings); refuse != nil {
		return *refuse
	}
	return done("pool '%s' created", name)
}

func (t *txn) isECProfile(name string) bool {
	_, rule := t.crushMap().RuleID(name)
	_, profile := t.Map().ErasureProfiles[name]
	return profile && !rule
}

// poolSpec is what a new pool is asked to be; zero means the default.
type poolSpec struct {
	pgNum, pgpNum, size, pgNumMin, expected int64
	targetBytes                             int64
	targetRatio                             float64
	rule, autoscale                         string
	ruleID                                  int // used unless rule is set; -1: default
}

func poolSpecOf(a *Admin) (poolSpec, *Reply) {
	s := poolSpec{rule: a.Args.String("rule"), autoscale: a.Args.String("autoscale_mode"), ruleID: -1}
	for name, p := range map[string]*int64{"pg_num": &s.pgNum, "pgp_num": &s.pgpNum, "size": &s.size,
		"pg_num_min": &s.pgNumMin, "expected_num_objects": &s.expected, "target_size_bytes": &s.targetBytes} {
		v, err := a.Args.Int(name, 0)
		if err != nil || v < 0 {
			r := failed(syscall.EINVAL, "%s: expected a non-negative integer, not '%s'", name, a.Args.String(name))
			return s, &r
		}
		*p = v
	}
	var err error
	if s.targetRatio, err = a.Args.Float("target_size_ratio", 0); err != nil {
		r := failed(syscall.EINVAL, "%v", err)
		return s, &r
	}
	return s, nil
}

// makePool adds a replicated pool and returns its id.
func (t *txn) makePool(name string, spec poolSpec, set Settings) (int64, *Reply) {
	if name == "" {
		return 0, refusal(syscall.EINVAL, "a pool needs a name")
	}
	m := t.Map()
	pgNum := orDefault(spec.pgNum, set.PoolPGNum)
	pgpNum := orDefault(orDefault(spec.pgpNum, set.PoolPGPNum), pgNum)
	switch {
	case pgNum <= 0 || pgNum > set.MaxPoolPGNum:
		return 0, refusal(syscall.ERANGE, "'pg_num' must be greater than 0 and less than or equal to %d (you may adjust 'mon max pool pg num' for higher values)", set.MaxPoolPGNum)
	case pgpNum > pgNum:
		return 0, refusal(syscall.ERANGE, "'pgp_num' must be greater than 0 and lower or equal than 'pg_num', which in this case is %d", pgNum)
	}
	rule, refuse := t.replicatedRule(spec, set)
	if refuse != nil {
		return 0, refuse
	}
	size := orDefault(spec.size, set.PoolSize)
	switch {
	case size < 1 || size > 10:
		return 0, refusal(syscall.EINVAL, "pool size must be between 1 and 10")
	case size == 1 && !set.AllowPoolSizeOne && spec.size == 1:
		return 0, refusal(syscall.EPERM, "configuring pool size as 1 is disabled by default.")
	}
	if refuse := checkPGNum(m, -1, pgNum, size, set); refuse != nil {
		return 0, refuse
	}
	if refuse := t.checkRule(rule, size); refuse != nil {
		return 0, refuse
	}
	inc := t.change()
	if inc.NewPoolMax == -1 {
		inc.NewPoolMax = t.s.OSD.PoolMax
	}
	inc.NewPoolMax++
	id := inc.NewPoolMax
	p := osdmap.NewPool()
	p.CreateTime = t.now
	p.Type = osdmap.PoolReplicated
	p.Flags = osdmap.PoolFlagHashPSPool | osdmap.PoolFlagCreating
	p.Size, p.MinSize = uint8(size), uint8(minSize(size, set))
	p.CrushRule = uint8(rule)
	p.ObjectHash = object.HashRjenkins
	p.ExpectedNumObjects = uint64(spec.expected)
	p.AutoscaleMode = autoscaleMode(spec.autoscale, set.AutoscaleMode)
	p.SetPGNum(uint32(pgNum))
	p.PGNumTarget, p.PGPNum, p.PGPNumTarget = uint32(pgNum), uint32(pgpNum), uint32(pgpNum)
	p.LastChange = inc.Epoch
	// osd_pool_default_cache_target_{dirty,dirty_high,full}_ratio
	p.CacheTargetDirtyRatioMicro, p.CacheTargetDirtyHighRatioMicro, p.CacheTargetFullRatioMicro = 400000, 600000, 800000
	if spec.pgNumMin > 0 {
		p.Opts = p.Opts.With(osdmap.OptPGNumMin, osdmap.PoolOptValue{Int: spec.pgNumMin})
	}
	if spec.targetBytes > 0 {
		p.Opts = p.Opts.With(osdmap.OptTargetSizeBytes, osdmap.PoolOptValue{Int: spec.targetBytes})
	}
	inc.NewPools[id] = p
	inc.NewPoolNames[id] = name
	return id, nil
}

func autoscaleMode(names ...string) osdmap.AutoscaleMode {
	for _, n := range names {
		if m := osdmap.ParseAutoscaleMode(n); m != osdmap.AutoscaleUnknown {
			return m
		}
	}
	return osdmap.AutoscaleOff
}

func refusal(code syscall.Errno, format string, args ...any) *Reply {
	r := failed(code, format, args...)
	return &r
}

func orDefault(v, def int64) int64 {
	if v == 0 {
		return def
	}
	return v
}

// minSize is the default min_size of a pool of that size
// (get_osd_pool_default_min_size).
func minSize(size int64, set Settings) int64 {
	if set.PoolMinSize > 0 {
		return min(set.PoolMinSize, size)
	}
	return size - size/2
}

// replicatedRule finds the CRUSH rule for a pool.
func (t *txn) replicatedRule(spec poolSpec, set Settings) (int, *Reply) {
	cm := t.crushMap()
	if spec.rule != "" {
		id, ok := cm.RuleID(spec.rule)
		if !ok {
			return 0, refusal(syscall.ENOENT, "specified rule %s doesn't exist", spec.rule)
		}
		return id, nil
	}
	want := spec.ruleID
	if want < 0 {
		want = int(set.PoolCrushRule)
	}
	if want >= 0 && cm.Rule(want) != nil {
		return want, nil
	}
	for id, r := range cm.Rules {
		if r != nil && r.Type == crush.RuleReplicated {
			return id, nil
		}
	}
	return 0, refusal(syscall.ENOENT, "No suitable CRUSH rule exists, check 'osd pool default crush *' config options")
}

// checkRule reports whether the rule serves replicated pools of that size
// (CrushWrapper::check_crush_rule).
func (t *txn) checkRule(rule int, size int64) *Reply {
	r := t.crushMap().Rule(rule)
	switch {
	case r == nil:
		return refusal(syscall.EINVAL, "crush rule %d does not exist", rule)
	case r.Type != crush.RuleReplicated:
		return refusal(syscall.EINVAL, "crush rule %d type does not match pool", rule)
	case size < int64(r.MinSize):
		return refusal(syscall.EINVAL, "pool size is smaller than the crush rule min size")
	case size > int64(r.MaxSize):
		return refusal(syscall.EINVAL, "pool size is bigger than the crush rule max size")
	}
	return nil
}

// checkPGNum keeps the PGs per OSD within mon_max_pg_per_osd. pool is the one
// that changes, -1 for a new one.
func checkPGNum(m *osdmap.Map, pool, pgNum, size int64, set Settings) *Reply {
	_, _, in := m.Counts()
	osds := int64(max(in, 3)) // a new cluster is taken for one of three
	limit := set.MaxPGPerOSD * osds
	total := pgNum * size
	for id, p := range m.Pools {
		if id != pool {
			total += int64(p.PGNumTarget) * int64(p.Size)
		}
	}
	if total <= limit {
		return nil
	}
	prefix := ""
	if pool >= 0 {
		prefix = "pool id " + trimFloat(float64(pool))
	}
	return refusal(syscall.ERANGE, "%s pg_num %d size %d would mean %d total pgs, which exceeds max %d (mon_max_pg_per_osd %d * num_in_osds %d)",
		prefix, pgNum, size, total, limit, set.MaxPGPerOSD, osds)
}

// poolArg finds the pool a command names.
func (t *txn) poolArg(name string) (int64, *Reply) {
	id, ok := t.Map().PoolID(name)
	if !ok {
		return 0, refusal(syscall.ENOENT, "unrecognized pool '%s'", name)
	}
	return id, nil
}

// poolRemove is `osd pool rm`.
func (t *txn) poolRemove(a *Admin) Reply {
	name := a.Args.String("pool")
	id, ok := t.Map().PoolID(name)
	if !ok {
		return done("pool '%s' does not exist", name)
	}
	sure := a.Args.Bool("yes_i_really_really_mean_it") || a.Args.Bool("yes_i_really_really_mean_it_not_faking")
	if a.Args.String("pool2") != name || !sure {
		return failed(syscall.EPERM, "WARNING: this will *PERMANENTLY DESTROY* all data stored in pool %s.  If you are *ABSOLUTELY CERTAIN* that is what you want, pass the pool name *twice*, followed by --yes-i-really-really-mean-it.", name)
	}
	if refuse := t.dropPool(id, a.Settings); refuse != nil {
		return *refuse
	}
	return done("pool '%s' removed", name)
}

func (t *txn) dropPool(id int64, set Settings) *Reply {
	m := t.Map()
	p, name := m.Pools[id], m.PoolNames[id]
	switch {
	case p.TierOf >= 0:
		return refusal(syscall.EBUSY, "pool '%s' is a tier of '%s'", name, m.PoolNames[p.TierOf])
	case len(p.Tiers) > 0:
		return refusal(syscall.EBUSY, "pool '%s' has tiers", name)
	case !set.AllowPoolDelete:
		return refusal(syscall.EPERM, "pool deletion is disabled; you must first set the mon_allow_pool_delete config option to true before you can destroy a pool")
	case p.HasFlag(osdmap.PoolFlagNoDelete):
		return refusal(syscall.EPERM, "pool deletion is disabled; you must unset nodelete flag for the pool first")
	}
	inc := t.change()
	delete(inc.NewPools, id)
	delete(inc.NewPoolNames, id)
	if t.s.OSD.Pools[id] == nil {
		return nil // created earlier in this very batch
	}
	inc.OldPools[id] = true
	for pg := range m.PGTemp {
		if pg.Pool == id {
			inc.NewPGTemp[pg] = nil
		}
	}
	for pg := range m.PrimaryTemp {
		if pg.Pool == id {
			inc.NewPrimaryTemp[pg] = -1
		}
	}
	for pg := range m.PGUpmap {
		if pg.Pool == id {
			inc.OldPGUpmap[pg] = true
		}
	}
	for pg := range m.PGUpmapItems {
		if pg.Pool == id {
			inc.OldPGUpmapItems[pg] = true
		}
	}
	if _, ok := t.crushMap().ChooseArgs[id]; ok {
		delete(t.editCrush().ChooseArgs, id)
		t.crushChanged()
	}
	return nil
}

// poolRename is `osd pool rename`.
func (t *txn) poolRename(a *Admin) Reply {
	from, to := a.Args.String("srcpool"), a.Args.String("destpool")
	src, okSrc := t.Map().PoolID(from)
	_, okDst := t.Map().PoolID(to)
	switch {
	case !okSrc && okDst:
		return failed(syscall.ENOENT, "unrecognized pool '%s'", from)
	case !okSrc:
		return failed(syscall.ENOENT, "unrecognized pool '%s'", from)
	case from == to:
		return failed(syscall.EINVAL, "pool '%s' is already called that", from)
	case okDst:
		return failed(syscall.EEXIST, "pool '%s' already exists", to)
	case to == "":
		return failed(syscall.EINVAL, "a pool needs a name")
	}
	t.change().NewPoolNames[src] = to
	return done("pool '%s' renamed to '%s'", from, to)
}

// editPool gives the pool to be changed and notes the epoch.
func (t *txn) editPool(id int64) *osdmap.Pool {
	inc := t.change()
	p := inc.Pool(t.s.OSD, id)
	p.LastChange = inc.Epoch
	return p
}
