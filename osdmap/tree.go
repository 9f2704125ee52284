package osdmap

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"sepiola/crush"
	"sepiola/jsonfmt"
	"sepiola/texttable"
)

// TreeFilter selects OSDs of a tree by state (OSDMap::DUMP_*). A tree shows
// those that match any of the bits; 0 shows all.
type TreeFilter uint

// The states to select by.
const (
	TreeIn        TreeFilter = 1
	TreeOut       TreeFilter = 2
	TreeUp        TreeFilter = 4
	TreeDown      TreeFilter = 8
	TreeDestroyed TreeFilter = 16
)

// TreeNode is a line of `ceph osd tree`.
type TreeNode struct {
	ID       int32
	Parent   int32 // 0 at the top
	Depth    int
	Weight   float32 // in CRUSH
	Children []int32 // in descending order of their sort keys, as Ceph lists them
}

// Tree returns the CRUSH hierarchy with the OSDs that match the filter, in the
// order of `ceph osd tree`, and OSDs that are not in it. root, if not empty,
// names the bucket to begin at; then there are no strays, and nothing at all if
// there is no such bucket.
func (m *Map) Tree(filter TreeFilter, root string) (nodes, stray []TreeNode) {
	var roots []int32
	if root == "" {
		roots = m.Crush.Roots(false)
	} else if id, ok := m.Crush.ItemID(root); ok {
		roots = []int32{id}
	}
	t := treeWalk{m: m, filter: filter, touched: map[int32]bool{}}
	t.visitRoots(roots)
	if root != "" {
		return t.nodes, nil
	}
	for _, osd := range m.OSDs() {
		if !t.touched[osd] && t.shows(osd, 0) {
			stray = append(stray, TreeNode{ID: osd})
		}
	}
	return t.nodes, stray
}

// ShadowTree returns the CRUSH hierarchy together with the shadows that buckets
// have for each device class, in the order of `ceph osd crush tree
// --show-shadow`.
func (m *Map) ShadowTree() []TreeNode {
	t := treeWalk{m: m, touched: map[int32]bool{}}
	t.visitRoots(m.Crush.Roots(true))
	return t.nodes
}

type treeWalk struct {
	m       *Map
	filter  TreeFilter
	nodes   []TreeNode
	touched map[int32]bool
}

// treeDepthMax bounds the descent into maps whose buckets form a circle.
const treeDepthMax = 64

// treeNodesMax bounds the tree where buckets are linked in many places.
const treeNodesMax = 1 << 20

func (t *treeWalk) matches(osd int32) bool {
	m := t.m
	for _, c := range []struct {
		bit TreeFilter
		is  bool
	}{
		{TreeUp, m.IsUp(osd)}, {TreeDown, m.IsDown(osd)}, {TreeIn, m.IsIn(osd)},
		{TreeOut, m.IsOut(osd)}, {TreeDestroyed, m.IsDestroyed(osd)},
	} {
		if t.filter&c.bit != 0 && c.is {
			return true
		}
	}
	return false
}

// shows reports whether an item is shown: everything without a filter, else
// OSDs that match and buckets that hold one.
func (t *treeWalk) shows(id int32, depth int) bool {
	switch b := t.m.Crush.Bucket(id); {
	case t.filter == 0:
		return true
	case id >= 0:
		return t.matches(id)
	case b == nil || depth > treeDepthMax:
		return false
	default:
		return slices.ContainsFunc(b.Items, func(c int32) bool { return t.shows(c, depth+1) })
	}
}

func (t *treeWalk) visitRoots(roots []int32) {
	for _, id := range roots {
		if !t.shows(id, 0) {
			continue
		}
		weight := float32(0)
		if b := t.m.Crush.Bucket(id); b != nil {
			weight = float32(fraction(b.Weight))
		}
		t.visit(TreeNode{ID: id, Weight: weight})
	}
}

func (t *treeWalk) visit(n TreeNode) {
	if n.Depth > treeDepthMax || len(t.nodes) >= treeNodesMax {
		return
	}
	t.touched[n.ID] = true
	b := t.m.Crush.Bucket(n.ID)
	if b == nil {
		t.nodes = append(t.nodes, n)
		return
	}
	// Two children with one key, which is to say one child linked twice, show
	// once: Ceph sorts them in a map.
	byKey := map[string]TreeNode{}
	for i, c := range slices.Backward(b.Items) {
		if t.shows(c, 0) {
			byKey[t.sortKey(c)] = TreeNode{ID: c, Parent: n.ID, Depth: n.Depth + 1,
				Weight: float32(fraction(b.WeightAt(i)))}
		}
	}
	keys := slices.Sorted(maps.Keys(byKey))
	for _, k := range slices.Backward(keys) {
		n.Children = append(n.Children, byKey[k].ID)
	}
	t.nodes = append(t.nodes, n)
	for _, k := range keys {
		t.visit(byKey[k])
	}
}

func (t *treeWalk) sortKey(id int32) string {
	if id < 0 {
		return "_" + t.m.Crush.ItemName(id)
	}
	return t.m.Crush.ItemClass(id) + "_" + fmt.Sprintf("osd.%08d", id)
}

// WeightString prints a weight as tables do: five decimals, "0" for none and
// "-" for a negative one (weightf_t).
func WeightString(w float64) string {
	switch {
	case w < -0.01:
		return "-"
	case w < 0.000001:
		return "0"
	}
	return strconv.FormatFloat(w, 'f', 5, 64)
}

func (m *Map) statusString(osd int32) string {
	switch {
	case m.IsUp(osd):
		return "up"
	case m.IsDestroyed(osd):
		return "destroyed"
	}
	return "down"
}

func (m *Map) typeName(id int32) (string, int) {
	if b := m.Crush.Bucket(id); b != nil {
		return m.Crush.TypeNames[int32(b.Type)], int(b.Type)
	}
	return m.Crush.TypeNames[0], 0
}

// PrintTree returns the table of `ceph osd tree`.
func (m *Map) PrintTree(filter TreeFilter, root string) string {
	var t texttable.Table
	for _, head := range []string{"ID", "CLASS", "WEIGHT"} {
		t.Column(head, texttable.Left, texttable.Right)
	}
	t.Column("TYPE NAME", texttable.Left, texttable.Left)
	for _, head := range []string{"STATUS", "REWEIGHT", "PRI-AFF"} {
		t.Column(head, texttable.Left, texttable.Right)
	}
	nodes, stray := m.Tree(filter, root)
	for _, n := range slices.Concat(nodes, stray) {
		indent := strings.Repeat("    ", n.Depth)
		row := []string{strconv.Itoa(int(n.ID)), m.Crush.ItemClass(n.ID), WeightString(float64(n.Weight))}
		switch {
		case n.ID < 0:
			typ, _ := m.typeName(n.ID)
			row = append(row, indent+typ+" "+m.Crush.ItemName(n.ID))
		case !m.Exists(n.ID):
			row = append(row, fmt.Sprintf("%sosd.%d", indent, n.ID), "DNE", "0")
		default:
			row = append(row, fmt.Sprintf("%sosd.%d", indent, n.ID), m.statusString(n.ID),
				WeightString(fraction(m.OSDWeight[n.ID])), WeightString(fraction(m.Affinity(n.ID))))
		}
		t.Row(row...)
	}
	return t.String()
}

// DumpTree writes the arrays "nodes" and, without a root, "stray" of `ceph osd
// tree -f json` into the open object.
func (m *Map) DumpTree(w *jsonfmt.Writer, filter TreeFilter, root string) {
	nodes, stray := m.Tree(filter, root)
	w.OpenArray("nodes")
	for _, n := range nodes {
		m.dumpTreeNode(w, n)
	}
	w.Close()
	if root != "" {
		return
	}
	w.OpenArray("stray")
	for _, n := range stray {
		m.dumpTreeNode(w, n)
	}
	w.Close()
}

func (m *Map) dumpTreeNode(w *jsonfmt.Writer, n TreeNode) {
	w.OpenObject("item")
	m.DumpTreeItem(w, n)
	if n.ID < 0 {
		w.OpenArray("children")
		for _, c := range n.Children {
			w.Int("child", int64(c))
		}
		w.Close()
	} else {
		w.Uint("exists", uint64(asInt(m.Exists(n.ID))))
		w.String("status", m.statusString(n.ID))
		w.Float("reweight", fraction(m.Weight(n.ID)))
		w.Float("primary_affinity", fraction(m.Affinity(n.ID)))
	}
	w.Close()
}

// DumpTreeItem writes the fields that every dump of a tree begins with into the
// open object (CrushTreeDumper::dump_item_fields).
func (m *Map) DumpTreeItem(w *jsonfmt.Writer, n TreeNode) {
	typ, typeID := m.typeName(n.ID)
	w.Int("id", int64(n.ID))
	if class := m.Crush.ItemClass(n.ID); class != "" {
		w.String("device_class", class)
	}
	if n.ID < 0 {
		w.String("name", m.Crush.ItemName(n.ID))
	} else {
		w.Stringf("name", "osd.%d", n.ID)
	}
	w.String("type", typ)
	w.Int("type_id", int64(typeID))
	if n.ID >= 0 {
		w.Float("crush_weight", float64(n.Weight))
		w.Uint("depth", uint64(n.Depth))
	}
	if n.Parent < 0 {
		w.OpenObject("pool_weights")
		m.dumpWeightSets(w, n)
		w.Close()
	}
}

// dumpWeightSets writes the item's weights in each weight set that has some for
// its parent.
func (m *Map) dumpWeightSets(w *jsonfmt.Writer, n TreeNode) {
	b := m.Crush.Bucket(n.Parent)
	if b == nil {
		return
	}
	pos := b.Index(n.ID)
	for _, set := range slices.Sorted(maps.Keys(m.Crush.ChooseArgs)) {
		arg := m.Crush.ChooseArgs[set][n.Parent]
		if arg == nil || len(arg.WeightSet) == 0 || pos < 0 {
			continue
		}
		name := strconv.FormatInt(set, 10)
		if set == crush.DefaultChooseArgs {
			name = "(compat)"
		} else if pool, ok := m.PoolNames[set]; ok {
			name = pool
		}
		w.OpenArray(name)
		for _, weights := range arg.WeightSet {
			if pos < len(weights) {
				w.Float("weight", fraction(weights[pos]))
			}
		}
		w.Close()
	}
}
