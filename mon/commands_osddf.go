package mon

import (
	"fmt"
	"math"
	"strings"
	"syscall"

	"sepiola/jsonfmt"
	"sepiola/osdmap"
	"sepiola/pglog"
	"sepiola/texttable"
)

// osdUsage is a line of "osd df".
type osdUsage struct {
	stat        pglog.OSDStat
	utilization float64 // percent
	variance    float64 // relative to the average
}

func usageOf(s *pglog.OSDStat, average float64) osdUsage {
	u := osdUsage{stat: *s}
	if s.Statfs.Total > 0 {
		u.utilization = float64(float32(s.Statfs.UsedRaw())/float32(s.Statfs.Total)) * 100
	}
	if average > 0 {
		u.variance = u.utilization / average
	}
	return u
}

// cmdOSDDF is "osd df [tree]" (OSDUtilizationDumper in src/osd/OSDMap.cc).
func (m *Monitor) cmdOSDDF(q *query) reply {
	if q.args.Has("filter_by") || q.args.Has("filter") {
		return refuse(syscall.EOPNOTSUPP, "filters are not supported")
	}
	om := m.machine.State.OSD
	tree := q.args.String("output_method") == "tree"
	nodes, _ := om.Tree(0, "")
	total := m.pgs.Space(nil)
	avg := usageOf(&total, 0).utilization
	var least, most, dev, n float64
	least = math.Inf(1)
	for _, s := range m.pgs.OSDs {
		u := usageOf(s, avg)
		least, most = min(least, u.variance), max(most, u.variance)
		dev += (u.utilization - avg) * (u.utilization - avg)
		n++
	}
	if n > 0 {
		dev = math.Sqrt(dev / n)
	} else {
		least = 0
	}
	if q.isJSON() {
		return m.osdDFJSON(q, nodes, tree, avg, least, most, dev)
	}
	t := m.osdDFTable(nodes, tree, avg)
	fmt2 := func(v float64) string { return fmt.Sprintf("%.2f", v) }
	d := jsonfmt.Float(math.Round(dev*100)/100, 6)
	return reply{out: []byte(t + fmt.Sprintf("MIN/MAX VAR: %s/%s  STDDEV: %s\n", fmt2(least), fmt2(most), d))}
}

// bucketStat sums up what is below a bucket.
func (m *Monitor) bucketStat(id int32) pglog.OSDStat {
	if id >= 0 {
		if s := m.pgs.OSDs[id]; s != nil {
			return *s
		}
		return pglog.OSDStat{}
	}
	below := map[int32]bool{}
	for _, osd := range m.crush().Leaves(id) {
		below[osd] = true
	}
	return m.pgs.Space(func(osd int32) bool { return below[osd] })
}

func (m *Monitor) osdDFTable(nodes []osdmap.TreeNode, tree bool, avg float64) string {
	om := m.machine.State.OSD
	t := rightTable("ID", "CLASS", "WEIGHT", "REWEIGHT", "SIZE", "RAW USE", "DATA", "OMAP", "META", "AVAIL", "%USE", "VAR", "PGS", "STATUS")
	if tree {
		t.Column("TYPE NAME", texttable.Left, texttable.Left)
	}
	row := func(u osdUsage, head []string, tail ...string) {
		fs := &u.stat.Statfs
		cells := append(head, bytesString(fs.Total), bytesString(fs.UsedRaw()), bytesString(uint64(max(fs.Allocated, 0))),
			bytesString(uint64(max(fs.OmapAllocated, 0))), bytesString(uint64(max(fs.InternalMetadata, 0))), bytesString(fs.Available),
			fmt.Sprintf("%.2f", u.utilization))
		t.Row(append(cells, tail...)...)
	}
	for _, node := range nodes {
		if node.ID < 0 && !tree {
			continue
		}
		s := m.bucketStat(node.ID)
		u := usageOf(&s, avg)
		name := om.Crush.ItemName(node.ID)
		if node.ID < 0 {
			name = om.Crush.TypeNames[int32(om.Crush.Bucket(node.ID).Type)] + " " + name
			row(u, []string{fmt.Sprint(node.ID), "", osdmap.WeightString(float64(node.Weight)), "-"}, fmt.Sprintf("%.2f", u.variance), "-", "", strings.Repeat("    ", node.Depth)+name)
			continue
		}
		status := "down"
		if om.IsUp(node.ID) {
			status = "up"
		}
		row(u, []string{fmt.Sprint(node.ID), om.Crush.ItemClass(node.ID), osdmap.WeightString(float64(node.Weight)), osdmap.WeightString(float64(om.Weight(node.ID)) / 65536)},
			fmt.Sprintf("%.2f", u.variance), fmt.Sprint(m.pgs.PGsOn(node.ID)), status, strings.Repeat("    ", node.Depth)+name)
	}
	total := m.pgs.Space(nil)
	row(usageOf(&total, 0), []string{"", "", "", "TOTAL"})
	return t.String()
}

func (m *Monitor) osdDFJSON(q *query, nodes []osdmap.TreeNode, tree bool, avg, least, most, dev float64) reply {
	om := m.machine.State.OSD
	w := q.writer()
	w.OpenObject("")
	w.OpenArray("nodes")
	for _, node := range nodes {
		if node.ID < 0 && !tree {
			continue
		}
		s := m.bucketStat(node.ID)
		u := usageOf(&s, avg)
		w.OpenObject("")
		om.DumpTreeItem(w, node)
		if node.ID < 0 {
			w.Int("reweight", -1)
		} else {
			w.Float("reweight", float64(om.Weight(node.ID))/65536)
		}
		usageJSON(w, "kb", &s.Statfs)
		w.Float("utilization", u.utilization)
		w.Float("var", u.variance)
		if node.ID < 0 {
			w.Int("pgs", 0)
			dumpOSDs(w, "children", node.Children)
		} else {
			w.Int("pgs", int64(m.pgs.PGsOn(node.ID)))
			w.String("status", map[bool]string{true: "up", false: "down"}[om.IsUp(node.ID)])
		}
		w.Close()
	}
	w.Close()
	w.OpenArray("stray")
	w.Close()
	total := m.pgs.Space(nil)
	w.OpenObject("summary")
	usageJSON(w, "total_kb", &total.Statfs)
	w.Float("average_utilization", avg)
	w.Float("min_var", least)
	w.Float("max_var", most)
	w.Float("dev", dev)
	w.Close()
	w.Close()
	return line(w)
}

func usageJSON(w *jsonfmt.Writer, prefix string, s *pglog.StoreStatfs) {
	w.Uint(prefix, s.Total>>10)
	w.Uint(prefix+"_used", s.UsedRaw()>>10)
	w.Int(prefix+"_used_data", s.Allocated>>10)
	w.Int(prefix+"_used_omap", s.OmapAllocated>>10)
	w.Int(prefix+"_used_meta", s.InternalMetadata>>10)
	w.Uint(prefix+"_avail", s.Available>>10)
}

// cmdCrushTree is "osd crush tree".
func (m *Monitor) cmdCrushTree(q *query) reply {
	om := m.machine.State.OSD
	nodes, _ := om.Tree(0, "")
	if q.args.String("shadow") != "" {
		nodes = om.ShadowTree()
	}
	if q.isJSON() {
		w := q.writer()
		w.OpenObject("")
		w.OpenArray("nodes")
		for _, n := range nodes {
			w.OpenObject("")
			om.DumpTreeItem(w, n)
			if n.ID < 0 {
				dumpOSDs(w, "children", n.Children)
			}
			w.Close()
		}
		w.Close()
		w.OpenArray("stray")
		w.Close()
		w.Close()
		return reply{out: w.Bytes()}
	}
	var t texttable.Table
	for _, h := range []string{"ID", "CLASS", "WEIGHT"} {
		t.Column(h, texttable.Left, texttable.Right)
	}
	t.Column("TYPE NAME", texttable.Left, texttable.Left)
	for _, n := range nodes {
		name := om.Crush.ItemName(n.ID)
		if n.ID < 0 {
			name = om.Crush.TypeNames[int32(om.Crush.Bucket(n.ID).Type)] + " " + name
		}
		t.Row(fmt.Sprint(n.ID), om.Crush.ItemClass(n.ID), osdmap.WeightString(float64(n.Weight)), strings.Repeat("    ", n.Depth)+name)
	}
	return reply{out: []byte(t.String())}
}
