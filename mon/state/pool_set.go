package state

import (
	"math"
	"strconv"
	"strings"
	"syscall"

	"sepiola/osdmap"
)

// poolSetters are the settings that are fields of a pool. They return nil when
// the value was taken.
var poolSetters = map[string]func(*txn, *poolChange) *Reply{
	"size":              (*txn).setPoolSize,
	"min_size":          (*txn).setPoolMinSize,
	"pg_num":            (*txn).setPGNum,
	"pgp_num":           (*txn).setPGPNum,
	"pgp_num_actual":    (*txn).setPGPNumActual,
	"pg_num_actual":     (*txn).setPGNumActual,
	"crush_rule":        (*txn).setCrushRule,
	"pg_autoscale_mode": (*txn).setAutoscaleMode,
	"fast_read":         (*txn).setFastRead,
}

// poolFlagSettings are the settings that are flags of a pool.
var poolFlagSettings = map[string]bool{"nodelete": true, "nopgchange": true, "nosizechange": true,
	"write_fadvise_dontneed": true, "noscrub": true, "nodeep-scrub": true, "hashpspool": true, "bulk": true}

// tierSettings only make sense in cache tiers, which do not exist here.
var tierSettings = map[string]bool{"hit_set_type": true, "hit_set_period": true, "hit_set_count": true, "hit_set_fpp": true,
	"target_max_objects": true, "target_max_bytes": true, "cache_target_full_ratio": true,
	"cache_target_dirty_ratio": true, "cache_target_dirty_high_ratio": true, "use_gmt_hitset": true,
	"cache_min_flush_age": true, "cache_min_evict_age": true, "hit_set_grade_decay_rate": true,
	"hit_set_search_last_n": true, "min_read_recency_for_promote": true, "min_write_recency_for_promote": true}

// poolChange is one "osd pool set": the pool as it is, and the value.
type poolChange struct {
	a      *Admin
	id     int64
	pool   *osdmap.Pool
	val    string
	n      int64
	intErr string // why val is no integer
}

// poolSet is `osd pool set` (OSDMonitor::prepare_command_pool_set).
func (t *txn) poolSet(a *Admin) Reply {
	id, refuse := t.poolArg(a.Args.String("pool"))
	if refuse != nil {
		return *refuse
	}
	name := a.Args.String("var")
	c := &poolChange{a: a, id: id, pool: t.Map().Pools[id], val: a.Args.String("val")}
	c.n, c.intErr = strictInt(c.val)
	switch {
	case poolSetters[name] != nil:
		refuse = poolSetters[name](t, c)
	case tierSettings[name]:
		return failed(syscall.EACCES, "")
	case poolFlagSettings[name]:
		refuse = t.setPoolFlag(c, name)
	case name == "allow_ec_overwrites":
		return failed(syscall.EINVAL, "ec overwrites can only be enabled for an erasure coded pool")
	default:
		if d, ok := osdmap.FindPoolOpt(name); ok {
			return t.setPoolOpt(c, d)
		}
		return failed(syscall.EINVAL, "unrecognized variable '%s'", name)
	}
	if refuse != nil {
		return *refuse
	}
	return done("set pool %d %s to %s", id, name, c.val)
}

// strictInt reads a decimal integer and says what is wrong in Ceph's words
// (strict_strtoll).
func strictInt(s string) (int64, string) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, "Expected option value to be integer, got '" + s + "'"
	}
	return n, ""
}

func (c *poolChange) integer() *Reply {
	if c.intErr != "" {
		return refusal(syscall.EINVAL, "error parsing integer value '%s': %s", c.val, c.intErr)
	}
	return nil
}

func (t *txn) setPoolSize(c *poolChange) *Reply {
	set := c.a.Settings
	if c.pool.HasFlag(osdmap.PoolFlagNoSizeChange) {
		return refusal(syscall.EPERM, "pool size change is disabled; you must unset nosizechange flag for the pool first")
	}
	if refuse := c.integer(); refuse != nil {
		return refuse
	}
	switch {
	case c.n <= 0 || c.n > 10:
		return refusal(syscall.EINVAL, "pool size must be between 1 and 10")
	case c.n == 1 && !set.AllowPoolSizeOne:
		return refusal(syscall.EPERM, "configuring pool size as 1 is disabled by default.")
	case c.n == 1 && !c.a.Args.Bool("yes_i_really_mean_it"):
		return refusal(syscall.EPERM, "WARNING: setting pool size 1 could lead to data loss without recovery. If you are *ABSOLUTELY CERTAIN* that is what you want, pass the flag --yes-i-really-mean-it.")
	}
	if refuse := t.checkRule(int(c.pool.CrushRule), c.n); refuse != nil {
		return refuse
	}
	if refuse := checkPGNum(t.Map(), c.id, int64(c.pool.PGNum), c.n, set); refuse != nil {
		return refuse
	}
	p := t.editPool(c.id)
	p.Size, p.MinSize = uint8(c.n), uint8(minSize(c.n, set))
	return nil
}

func (t *txn) setPoolMinSize(c *poolChange) *Reply {
	if c.pool.HasFlag(osdmap.PoolFlagNoSizeChange) {
		return refusal(syscall.EPERM, "pool min size change is disabled; you must unset nosizechange flag for the pool first")
	}
	if refuse := c.integer(); refuse != nil {
		return refuse
	}
	if c.n < 1 || c.n > int64(c.pool.Size) {
		return refusal(syscall.EINVAL, "pool min_size must be between 1 and size, which is set to %d", c.pool.Size)
	}
	t.editPool(c.id).MinSize = uint8(c.n)
	return nil
}

func (t *txn) setCrushRule(c *poolChange) *Reply {
	id, ok := t.crushMap().RuleID(c.val)
	if !ok {
		return refusal(syscall.ENOENT, "crush rule %s does not exist", c.val)
	}
	if refuse := t.checkRule(id, int64(c.pool.Size)); refuse != nil {
		return refuse
	}
	t.editPool(c.id).CrushRule = uint8(id)
	return nil
}

func (t *txn) setAutoscaleMode(c *poolChange) *Reply {
	m := osdmap.ParseAutoscaleMode(c.val)
	if m == osdmap.AutoscaleUnknown {
		return refusal(syscall.EINVAL, "specified invalid mode %s", c.val)
	}
	t.editPool(c.id).AutoscaleMode = m
	return nil
}

func (t *txn) setFastRead(c *poolChange) *Reply {
	switch {
	case c.val == "true" || c.intErr == "" && c.n == 1:
		return refusal(syscall.EINVAL, "fast read is not supported in replication pool")
	case c.val == "false" || c.intErr == "" && c.n == 0:
		return nil
	}
	return refusal(syscall.EINVAL, "expecting value 'true', 'false', '0', or '1'")
}

func (t *txn) setPoolFlag(c *poolChange, name string) *Reply {
	flag := osdmap.PoolFlagByName(name)
	if flag == 0 {
		return refusal(syscall.EINVAL, "unrecognized variable '%s'", name)
	}
	if name == "hashpspool" && !c.a.Args.Bool("yes_i_really_mean_it") {
		return refusal(syscall.EPERM, "are you SURE?  this will remap all placement groups in this pool, this triggers large data movement, pass --yes-i-really-mean-it if you really do.")
	}
	switch {
	case c.val == "true" || c.intErr == "" && c.n == 1:
		t.editPool(c.id).Flags |= flag
	case c.val == "false" || c.intErr == "" && c.n == 0:
		t.editPool(c.id).Flags &^= flag
	default:
		return refusal(syscall.EINVAL, "expecting value 'true', 'false', '0', or '1'")
	}
	return nil
}

// binarySettings take values with binary units: 64K, 1Gi.
var binarySettings = map[string]bool{"target_size_bytes": true, "compression_max_blob_size": true,
	"compression_min_blob_size": true, "csum_max_block": true, "csum_min_block": true}

// setPoolOpt sets, or with an empty value unsets, an optional setting.
func (t *txn) setPoolOpt(c *poolChange, d osdmap.PoolOptDesc) Reply {
	v := osdmap.PoolOptValue{Kind: d.Kind}
	unset := false
	switch d.Kind {
	case osdmap.OptString:
		v.Str = c.val
		unset = c.val == "" || c.val == "unset"
	case osdmap.OptInt:
		n, err := c.n, c.intErr
		if binarySettings[d.Name] {
			n, err = parseUnits(c.val, 1024)
		}
		if err != "" {
			return failed(syscall.EINVAL, "error parsing int value '%s': %s", c.val, err)
		}
		v.Int, unset = n, n == 0
		if d.Name == "recovery_priority" {
			if n < -10 || n > 10 {
				return failed(syscall.EINVAL, "pool recovery_priority must be between -10 and 10")
			}
		}
		if d.Name == "pg_num_min" && n > int64(c.pool.PGNumTarget) {
			return failed(syscall.EINVAL, "specified pg_num_min %d > pg_num %d", n, c.pool.PGNumTarget)
		}
	case osdmap.OptDouble:
		f, err := strconv.ParseFloat(c.val, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return failed(syscall.EINVAL, "error parsing floating point value '%s': not a number", c.val)
		}
		v.Double, unset = f, f == 0
	}
	p := t.editPool(c.id)
	if unset {
		p.Opts = p.Opts.Without(d.Key)
		return done("unset pool %d %s", c.id, d.Name)
	}
	p.Opts = p.Opts.With(d.Key, v)
	return done("set pool %d %s to %s", c.id, d.Name, c.val)
}

// badUnits says in the words of strict_si_cast and strict_iec_cast
// (src/common/strtol.cc) why a number is none.
func badUnits(s, num string, base int64) string {
	rest := strings.TrimLeft(s, "0123456789+-")
	switch {
	case s == "" && base == 1000:
		return "strict_sistrtoll: value not specified"
	case s == "":
		return "strict_iecstrtoll: value not specified"
	case rest != "" && base == 1000 && !strings.ContainsAny(rest[len(rest)-1:], "BKMGTPE"):
		return "strict_si_cast: unit prefix not recognized"
	case base == 1024 && len(rest) > 2:
		return "strict_iecstrtoll: illegal prefix (length > 2)"
	case rest != "" && base == 1024 && !strings.ContainsAny(rest[:1], "BKMGTPE"):
		return "strict_iecstrtoll: unit prefix not recognized"
	case strings.HasPrefix(num, "-") && base == 1000:
		return "strict_sistrtoll: value should not be negative"
	case strings.HasPrefix(num, "-"):
		return "strict_iecstrtoll: value should not be negative"
	}
	return "Expected option value to be integer, got '" + num + "'"
}

// parseUnits reads an integer with a unit letter (B K M G T P E, each with an
// optional "i"), which are powers of base.
func parseUnits(s string, base int64) (int64, string) {
	num := strings.TrimRight(s, "BKMGTPEi")
	unit := strings.TrimSuffix(strings.TrimSuffix(s[len(num):], "B"), "i")
	n, err := strconv.ParseInt(num, 10, 64)
	exp := strings.Index("KMGTPE", unit) + 1
	if unit == "" {
		exp = 0
	}
	if err != nil || len(unit) > 1 || n < 0 {
		return 0, badUnits(s, num, base)
	}
	for range exp {
		if n > math.MaxInt64/base {
			return 0, "value is too large"
		}
		n *= base
	}
	return n, ""
}

// poolSetQuota is `osd pool set-quota`.
func (t *txn) poolSetQuota(a *Admin) Reply {
	name := a.Args.String("pool")
	id, refuse := t.poolArg(name)
	if refuse != nil {
		return *refuse
	}
	field, val := a.Args.String("field"), a.Args.String("val")
	base := int64(1024)
	if field == "max_objects" {
		base = 1000
	} else if field != "max_bytes" {
		return failed(syscall.EINVAL, "unrecognized field '%s'; should be 'max_bytes' or 'max_objects'", field)
	}
	n, bad := parseUnits(val, base)
	if bad != "" {
		return failed(syscall.EINVAL, "error parsing value '%s': %s", val, bad)
	}
	p := t.editPool(id)
	if field == "max_objects" {
		p.QuotaMaxObjects = uint64(n)
	} else {
		p.QuotaMaxBytes = uint64(n)
	}
	return done("set-quota %s = %d for pool %s", field, n, name)
}
