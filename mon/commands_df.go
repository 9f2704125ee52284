package mon

import (
	"fmt"
	"slices"
	"strings"

	"sepiola/crush"
	"sepiola/jsonfmt"
	"sepiola/message"
	"sepiola/mon/pgmap"
	"sepiola/osdmap"
	"sepiola/pglog"
	"sepiola/texttable"
)

// pgSummary is the "data" and "io" part of the status (PGMapDigest::print_summary).
func (m *Monitor) pgSummary() string {
	sum, space := m.pgs.Total(), m.pgs.Space(nil)
	var b strings.Builder
	fmt.Fprintf(&b, "    pools:   %d pools, %d pgs\n", len(m.machine.State.OSD.Pools), len(m.pgs.PGs))
	fmt.Fprintf(&b, "    objects: %s objects, %s\n", countString(uint64(sum.Stats.Sum.NumObjects)), bytesString(uint64(sum.Stats.Sum.NumBytes)))
	fmt.Fprintf(&b, "    usage:   %s used, %s / %s avail\n", bytesString(space.Statfs.UsedRaw()), bytesString(space.Statfs.Available), bytesString(space.Statfs.Total))
	b.WriteString("    pgs:     ")
	var lines []string
	unknown, inactive := m.inactive()
	if n := len(m.pgs.PGs); unknown > 0 {
		lines = append(lines, fmt.Sprintf("%.3f%% pgs unknown", float64(float32(unknown)/float32(n)*100)))
	}
	if n := len(m.pgs.PGs); inactive > 0 {
		lines = append(lines, fmt.Sprintf("%.3f%% pgs not active", float64(float32(inactive)/float32(n)*100)))
	}
	lines = append(lines, recoveryLines(&sum.Stats.Sum)...)
	states := m.pgs.States(-1)
	width := 1
	for _, s := range states {
		width = max(width, len(fmt.Sprint(s.Count)))
	}
	for _, s := range states {
		lines = append(lines, fmt.Sprintf("%-*d %s", width, s.Count, s.State))
	}
	b.WriteString(strings.Join(lines, "\n             ") + "\n")
	rate := m.pgs.Rate(-1)
	client, recovery := clientRate(rate), recoveryRate(rate)
	if client != "" || recovery != "" {
		b.WriteString(" \n  io:\n")
	}
	if client != "" {
		b.WriteString("    client:   " + client + "\n")
	}
	if recovery != "" {
		b.WriteString("    recovery: " + recovery + "\n")
	}
	return b.String()
}

func (m *Monitor) inactive() (unknown, inactive int) {
	for _, s := range m.pgs.PGs {
		switch {
		case s.State == 0:
			unknown++
		case !s.State.Has(pglog.StateActive):
			inactive++
		}
	}
	return unknown, inactive
}

type recoveryFigure struct {
	name  string
	n, of int64
	noun  string
}

func recoveryFigures(s *pglog.ObjectStatSum) []recoveryFigure {
	all := []recoveryFigure{
		{"degraded", s.NumObjectsDegraded, s.NumObjectCopies, "degraded"},
		{"misplaced", s.NumObjectsMisplaced, s.NumObjectCopies, "misplaced"},
		{"unfound", s.NumObjectsUnfound, s.NumObjects, "unfound"},
	}
	return slices.DeleteFunc(all, func(f recoveryFigure) bool { return f.n <= 0 || f.of <= 0 })
}

func recoveryLines(s *pglog.ObjectStatSum) []string {
	var out []string
	for _, f := range recoveryFigures(s) {
		out = append(out, fmt.Sprintf("%d/%d objects %s (%.3f%%)", f.n, f.of, f.noun, float64(f.n)/float64(f.of)*100))
	}
	return out
}

func recoveryJSON(w *jsonfmt.Writer, s *pglog.ObjectStatSum) {
	for _, f := range recoveryFigures(s) {
		w.Int(f.name+"_objects", f.n)
		w.Int(f.name+"_total", f.of)
		w.Float(f.name+"_ratio", float64(f.n)/float64(f.of))
	}
}

func clientRate(r pgmap.Rate) string {
	if r.ReadOps == 0 && r.WriteOps == 0 {
		return ""
	}
	s := ""
	if r.ReadOps > 0 {
		s += bytesString(uint64(r.ReadBytes)) + "/s rd, "
	}
	if r.WriteOps > 0 {
		s += bytesString(uint64(r.WriteBytes)) + "/s wr, "
	}
	return s + fmt.Sprintf("%s op/s rd, %s op/s wr", countString(uint64(r.ReadOps)), countString(uint64(r.WriteOps)))
}

func clientRateJSON(w *jsonfmt.Writer, r pgmap.Rate) {
	if r.ReadOps == 0 && r.WriteOps == 0 {
		return
	}
	if r.ReadOps > 0 {
		w.Int("read_bytes_sec", r.ReadBytes)
	}
	if r.WriteOps > 0 {
		w.Int("write_bytes_sec", r.WriteBytes)
	}
	w.Int("read_op_per_sec", r.ReadOps)
	w.Int("write_op_per_sec", r.WriteOps)
}

func recoveryRate(r pgmap.Rate) string {
	if r.RecoveredObjects == 0 && r.RecoveredBytes == 0 && r.RecoveredKeys == 0 {
		return ""
	}
	s := bytesString(uint64(r.RecoveredBytes)) + "/s"
	if r.RecoveredKeys > 0 {
		s += ", " + countString(uint64(r.RecoveredKeys)) + " keys/s"
	}
	return s + ", " + countString(uint64(r.RecoveredObjects)) + " objects/s"
}

func recoveryRateJSON(w *jsonfmt.Writer, r pgmap.Rate) {
	if r.RecoveredObjects == 0 && r.RecoveredBytes == 0 && r.RecoveredKeys == 0 {
		return
	}
	w.Int("recovering_objects_per_sec", r.RecoveredObjects)
	w.Int("recovering_bytes_per_sec", r.RecoveredBytes)
	w.Int("recovering_keys_per_sec", r.RecoveredKeys)
}

func (m *Monitor) pgSummaryJSON(w *jsonfmt.Writer) {
	sum, space := m.pgs.Total(), m.pgs.Space(nil)
	w.OpenArray("pgs_by_state")
	for _, s := range m.pgs.States(-1) {
		w.OpenObject("")
		w.String("state_name", s.State.String())
		w.Int("count", int64(s.Count))
		w.Close()
	}
	w.Close()
	w.Int("num_pgs", int64(len(m.pgs.PGs)))
	w.Int("num_pools", int64(len(m.machine.State.OSD.Pools)))
	w.Int("num_objects", sum.Stats.Sum.NumObjects)
	w.Int("data_bytes", sum.Stats.Sum.NumBytes)
	w.Uint("bytes_used", space.Statfs.UsedRaw())
	w.Uint("bytes_avail", space.Statfs.Available)
	w.Uint("bytes_total", space.Statfs.Total)
	unknown, inactive := m.inactive()
	if unknown > 0 {
		w.Float("unknown_pgs_ratio", float64(float32(unknown)/float32(len(m.pgs.PGs))))
	}
	if inactive > 0 {
		w.Float("inactive_pgs_ratio", float64(float32(inactive)/float32(len(m.pgs.PGs))))
	}
	recoveryJSON(w, &sum.Stats.Sum)
	rate := m.pgs.Rate(-1)
	recoveryRateJSON(w, rate)
	clientRateJSON(w, rate)
}

// rawUsedRatio is the share of the raw space that is taken.
func rawUsedRatio(s *pglog.StoreStatfs) float32 {
	if s.Total == 0 {
		return 0
	}
	return float32(s.UsedRaw()) / float32(s.Total)
}

// classes are the device classes of the OSDs that report, with their space.
func (m *Monitor) classes() map[string]pglog.OSDStat {
	cm := m.machine.State.OSD.Crush
	out := map[string]pglog.OSDStat{}
	for osd, s := range m.pgs.OSDs {
		class := cm.ItemClass(osd)
		if class == "" {
			continue
		}
		sum := out[class]
		sum.Add(s)
		out[class] = sum
	}
	return out
}

func (m *Monitor) cmdDF(q *query) reply {
	verbose := q.args.String("detail") == "detail"
	if q.isJSON() {
		w := q.writer()
		w.OpenObject("")
		m.spaceJSON(w)
		w.OpenArray("pools")
		for _, u := range m.poolUsages() {
			u.dump(w, verbose)
		}
		w.Close()
		w.Close()
		return line(w)
	}
	var b strings.Builder
	b.WriteString("--- RAW STORAGE ---\n")
	var t texttable.Table
	t.Column("CLASS", texttable.Left, texttable.Left)
	for _, h := range []string{"SIZE", "AVAIL", "USED", "RAW USED", "%RAW USED"} {
		t.Column(h, texttable.Right, texttable.Right)
	}
	row := func(name string, s *pglog.StoreStatfs) {
		t.Row(name, bytesString(s.Total), bytesString(s.Available), bytesString(s.Used()), bytesString(s.UsedRaw()), percentString(rawUsedRatio(s)*100))
	}
	classes := m.classes()
	for _, c := range sortedNames(classes) {
		s := classes[c]
		row(c, &s.Statfs)
	}
	total := m.pgs.Space(nil)
	row("TOTAL", &total.Statfs)
	b.WriteString(t.String())
	b.WriteString(" \n--- POOLS ---\n")
	b.WriteString(m.poolTable(verbose))
	return reply{out: []byte(b.String())}
}

func (m *Monitor) spaceJSON(w *jsonfmt.Writer) {
	total := m.pgs.Space(nil)
	w.OpenObject("stats")
	dumpSpace(w, &total.Statfs)
	w.Uint("num_osds", uint64(total.NumOSDs))
	w.Uint("num_per_pool_osds", uint64(total.NumPerPoolOSDs))
	w.Uint("num_per_pool_omap_osds", uint64(total.NumPerPoolOmapOSDs))
	w.Close()
	w.OpenObject("stats_by_class")
	classes := m.classes()
	for _, c := range sortedNames(classes) {
		s := classes[c]
		w.OpenObject(c)
		dumpSpace(w, &s.Statfs)
		w.Close()
	}
	w.Close()
}

func dumpSpace(w *jsonfmt.Writer, s *pglog.StoreStatfs) {
	w.Uint("total_bytes", s.Total)
	w.Uint("total_avail_bytes", s.Available)
	w.Uint("total_used_bytes", s.Used())
	w.Uint("total_used_raw_bytes", s.UsedRaw())
	w.Float("total_used_raw_ratio", float64(rawUsedRatio(s)))
}

// poolUsage is a pool's line in "ceph df" (PGMapDigest::dump_object_stat_sum).
type poolUsage struct {
	id                 int64
	name               string
	pool               *osdmap.Pool
	stat               pglog.PoolStat
	storedData         uint64 // bytes as users see them
	storedOmap         uint64
	usedData, usedOmap uint64 // bytes taken on OSDs
	percent            float32
	maxAvail, rawAvail uint64
	rawRate            float32
}

func (m *Monitor) poolUsages() []poolUsage {
	om, stats := m.machine.State.OSD, m.pgs.Pools()
	total := m.pgs.Space(nil)
	perPool := total.NumOSDs > 0 && total.NumOSDs == total.NumPerPoolOSDs
	perPoolOmap := total.NumOSDs > 0 && total.NumOSDs == total.NumPerPoolOmapOSDs
	avail := map[int]uint64{}
	var out []poolUsage
	for _, id := range om.PoolIDs() {
		p := om.Pools[id]
		u := poolUsage{id: id, name: om.PoolNames[id], pool: p, stat: stats[id], rawRate: float32(p.Size)}
		sum := &u.stat.Stats.Sum
		if sum.NumObjectCopies > 0 {
			u.rawRate *= float32(sum.NumObjectCopies-sum.NumObjectsDegraded) / float32(sum.NumObjectCopies)
		}
		rule := om.Crush.FindRule(p.CrushRule, crush.RuleType(p.Type), int(p.Size))
		if _, ok := avail[rule]; !ok {
			avail[rule] = m.ruleAvail(rule)
		}
		u.measure(perPool, perPoolOmap, avail[rule])
		out = append(out, u)
	}
	return out
}

// measure tells stored from used. OSDs that measure the space of each pool give
// both; otherwise the logical sizes stand for them.
func (u *poolUsage) measure(perPool, perPoolOmap bool, avail uint64) {
	sum, fs := &u.stat.Stats.Sum, &u.stat.StoreStats
	normal := func(raw int64) uint64 {
		if u.rawRate == 0 {
			return 0
		}
		return uint64(float32(max(raw, 0)) / u.rawRate)
	}
	if perPool {
		u.usedData = uint64(max(fs.Allocated, 0))
		u.storedData = normal(fs.DataStored)
	} else {
		u.usedData = uint64(float64(sum.NumBytes) * float64(u.rawRate))
		u.storedData = uint64(max(sum.NumBytes, 0))
	}
	if perPoolOmap {
		u.usedOmap = uint64(max(fs.OmapAllocated, 0))
		u.storedOmap = normal(fs.OmapAllocated)
	} else {
		u.usedOmap = uint64(float64(sum.NumOmapBytes) * float64(u.rawRate))
		u.storedOmap = uint64(max(sum.NumOmapBytes, 0))
	}
	used := float32(u.usedData + u.usedOmap)
	switch {
	case avail > 0:
		u.percent = used / (used + float32(avail))
	case used > 0:
		u.percent = 1
	}
	u.rawAvail = avail
	if u.rawRate > 0 {
		u.maxAvail = uint64(float32(avail) / u.rawRate)
	}
}

// ruleAvail is how much more can be written by a rule until its first OSD is
// full (PGMap::get_rule_avail), in raw bytes.
func (m *Monitor) ruleAvail(rule int) uint64 {
	om := m.machine.State.OSD
	weights := ruleWeights(om, rule)
	least := int64(-1)
	for osd, w := range weights {
		s := m.pgs.OSDs[osd]
		if s == nil || s.Statfs.Total == 0 || w == 0 {
			continue
		}
		unusable := float64(s.Statfs.Total>>10) * (1 - float64(om.FullRatio))
		avail := max(0, float64(s.Statfs.Available>>10)-unusable) * 1024
		if proj := int64(avail / float64(w)); least < 0 || proj < least {
			least = proj
		}
	}
	return uint64(max(least, 0))
}

// ruleWeights is the share of data that each OSD gets by a rule.
func ruleWeights(om *osdmap.Map, rule int) map[int32]float32 {
	r := om.Crush.Rule(rule)
	if r == nil {
		return nil
	}
	out := map[int32]float32{}
	var sum float32
	for _, step := range r.Steps {
		if step.Op != crush.OpTake {
			continue
		}
		leaves := []int32{step.Arg1}
		if step.Arg1 < 0 {
			leaves = om.Crush.Leaves(step.Arg1)
		}
		for _, osd := range leaves {
			w, ok := om.Crush.ItemWeight(osd)
			if !ok || osd < 0 {
				continue
			}
			share := float32(w) / float32(crush.One) * float32(om.Weight(osd)) / float32(osdmap.WeightIn)
			out[osd] += share
			sum += share
		}
	}
	for osd := range out {
		if sum > 0 {
			out[osd] /= sum
		}
	}
	return out
}

func (u *poolUsage) dump(w *jsonfmt.Writer, verbose bool) {
	sum, fs := &u.stat.Stats.Sum, &u.stat.StoreStats
	used := u.usedData + u.usedOmap
	w.OpenObject("")
	w.String("name", u.name)
	w.Int("id", u.id)
	w.OpenObject("stats")
	w.Uint("stored", u.storedData+u.storedOmap)
	if verbose {
		w.Uint("stored_data", u.storedData)
		w.Uint("stored_omap", u.storedOmap)
	}
	w.Int("objects", sum.NumObjects)
	w.Uint("kb_used", (used+1023)>>10)
	w.Uint("bytes_used", used)
	if verbose {
		w.Uint("data_bytes_used", u.usedData)
		w.Uint("omap_bytes_used", u.usedOmap)
	}
	w.Float("percent_used", float64(u.percent))
	w.Uint("max_avail", u.maxAvail)
	if verbose {
		w.Uint("quota_objects", u.pool.QuotaMaxObjects)
		w.Uint("quota_bytes", u.pool.QuotaMaxBytes)
		w.Int("dirty", 0)
		w.Int("rd", sum.NumRd)
		w.Int("rd_bytes", sum.NumRdKB<<10)
		w.Int("wr", sum.NumWr)
		w.Int("wr_bytes", sum.NumWrKB<<10)
		w.Int("compress_bytes_used", fs.DataCompressedAllocated)
		w.Int("compress_under_bytes", fs.DataCompressedOriginal)
		w.Int("stored_raw", int64(float32(u.storedData+u.storedOmap)*u.rawRate))
		w.Uint("avail_raw", u.rawAvail)
	}
	w.Close()
	w.Close()
}

func (m *Monitor) poolTable(verbose bool) string {
	var t texttable.Table
	t.Column("POOL", texttable.Left, texttable.Left)
	heads := []string{"ID", "PGS", "STORED", "OBJECTS", "USED", "%USED", "MAX AVAIL"}
	if verbose {
		heads = []string{"ID", "PGS", "STORED", "(DATA)", "(OMAP)", "OBJECTS", "USED", "(DATA)", "(OMAP)", "%USED", "MAX AVAIL",
			"QUOTA OBJECTS", "QUOTA BYTES", "DIRTY", "USED COMPR", "UNDER COMPR"}
	}
	for _, h := range heads {
		t.Column(h, texttable.Right, texttable.Right)
	}
	for _, u := range m.poolUsages() {
		t.Row(u.row(verbose)...)
	}
	return t.String()
}

func (u *poolUsage) row(verbose bool) []string {
	objects := countString(uint64(max(u.stat.Stats.Sum.NumObjects, 0)))
	cells := []string{u.name, fmt.Sprint(u.id), fmt.Sprint(u.pool.PGNum), bytesString(u.storedData + u.storedOmap)}
	if verbose {
		cells = append(cells, bytesString(u.storedData), bytesString(u.storedOmap))
	}
	cells = append(cells, objects, bytesString(u.usedData+u.usedOmap))
	if verbose {
		cells = append(cells, bytesString(u.usedData), bytesString(u.usedOmap))
	}
	cells = append(cells, percentString(u.percent*100), bytesString(u.maxAvail))
	if verbose {
		quota := func(v uint64, f func(uint64) string) string {
			if v == 0 {
				return "N/A"
			}
			return f(v)
		}
		fs := &u.stat.StoreStats
		cells = append(cells, quota(u.pool.QuotaMaxObjects, countString), quota(u.pool.QuotaMaxBytes, bytesString), "N/A",
			bytesString(uint64(max(fs.DataCompressedAllocated, 0))), bytesString(uint64(max(fs.DataCompressedOriginal, 0))))
	}
	return cells
}

// statfs answers librados' question for the space of the cluster or a pool.
func (m *Monitor) statfs(s *session, b *message.Statfs) {
	if b.FSID != m.cfg.FSID {
		return
	}
	total := m.pgs.Space(nil)
	r := &message.StatfsReply{TID: b.TID, FSID: m.cfg.FSID, Version: m.pgs.Version,
		KB: total.Statfs.Total >> 10, UsedKB: total.Statfs.UsedRaw() >> 10, AvlKB: total.Statfs.Available >> 10,
		Objects: uint64(max(m.pgs.Total().Stats.Sum.NumObjects, 0))}
	if b.DataPool != nil {
		for _, u := range m.poolUsages() {
			if u.id == *b.DataPool {
				stored := u.storedData + u.storedOmap
				r.KB, r.UsedKB, r.AvlKB = (stored+u.maxAvail)>>10, stored>>10, u.maxAvail>>10
				r.Objects = uint64(max(u.stat.Stats.Sum.NumObjects, 0))
			}
		}
	}
	m.send(s, r)
}

// poolStats answers librados' question for pools' figures.
func (m *Monitor) poolStats(s *session, b *message.GetPoolStats) {
	if b.FSID != m.cfg.FSID {
		return
	}
	total := m.pgs.Space(nil)
	r := &message.GetPoolStatsReply{TID: b.TID, FSID: m.cfg.FSID, Stats: map[string]pglog.PoolStat{},
		PerPool: total.NumOSDs > 0 && total.NumOSDs == total.NumPerPoolOSDs}
	r.Have = m.pgs.Version
	stats := m.pgs.Pools()
	for _, name := range b.Pools {
		if id, ok := m.machine.State.OSD.PoolID(name); ok {
			r.Stats[name] = stats[id]
		}
	}
	m.send(s, r)
}
