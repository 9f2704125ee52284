package peering

import (
	"flag"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pglog"
)

var moreCases = flag.String("cases", "", "a further folder of scripts in the format of testdata/README.md")

// TestScripts protects the decisions of peering: stories as text, in the format that
// testdata/README.md describes.
func TestScripts(t *testing.T) {
	for _, dir := range []string{"testdata", *moreCases} {
		if dir == "" {
			continue
		}
		files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no scripts in %s (%v)", dir, err)
		}
		for _, f := range files {
			t.Run(filepath.Base(f), func(t *testing.T) {
				s := &story{infos: Infos{}}
				datadriven.RunTest(t, f, s.run)
			})
		}
	}
}

// story is what a script has stated so far.
type story struct {
	past  osdmap.PastIntervals
	prior PriorSet
	infos Infos
}

// fields are the words of a line: the first by itself, "key=value", and flags.
type fields struct {
	first string
	rest  map[string]string
}

func parseFields(line string) fields {
	words := strings.Fields(line)
	f := fields{rest: map[string]string{}}
	for i, w := range words {
		if i == 0 {
			f.first = w
			continue
		}
		k, v, _ := strings.Cut(w, "=")
		f.rest[k] = v
	}
	return f
}

func (f fields) has(key string) bool { _, ok := f.rest[key]; return ok }

func (f fields) num(key string, otherwise int) int {
	if !f.has(key) {
		return otherwise
	}
	return number(f.rest[key])
}

func (f fields) osds(key string, otherwise []int32) []int32 {
	if !f.has(key) {
		return otherwise
	}
	var out []int32
	for w := range strings.SplitSeq(f.rest[key], ",") {
		switch w {
		case "":
		case "-":
			out = append(out, osdmap.ItemNone)
		default:
			out = append(out, int32(number(w)))
		}
	}
	return out
}

func (f fields) version(key string, otherwise pglog.Version) pglog.Version {
	if !f.has(key) {
		return otherwise
	}
	v, err := pglog.ParseVersion(f.rest[key])
	if err != nil {
		panic(err)
	}
	return v
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

func (s *story) run(t *testing.T, d *datadriven.TestData) string {
	args := fields{rest: map[string]string{}}
	for _, a := range d.CmdArgs {
		args.rest[a.Key] = strings.Join(a.Vals, ",")
	}
	var lines []fields
	for line := range strings.Lines(d.Input) {
		if f := parseFields(line); f.first != "" && !strings.HasPrefix(f.first, "#") {
			lines = append(lines, f)
		}
	}
	switch d.Cmd {
	case "maps":
		return s.maps(t, args, lines)
	case "intervals":
		return s.intervals(t, lines)
	case "prior":
		m := mapOf(lines)
		acting := args.osds("acting", nil)
		s.prior = BuildPrior(m, args.osds("up", acting), acting, s.past, uint32(args.num("les", 0)))
		return describePrior(&s.prior)
	case "affected":
		return fmt.Sprintln(s.prior.AffectedBy(mapOf(lines)))
	case "best":
		s.infos = infosOf(lines)
		osd, ok, bound := BestInfo(s.infos, int32(args.num("self", 0)))
		if !ok {
			return fmt.Sprintf("none; bound by history: %v\n", bound)
		}
		return fmt.Sprintf("osd.%d\n", osd)
	case "choose":
		return s.choose(args, lines)
	case "query":
		return s.query(args, lines)
	}
	d.Fatalf(t, "no command %q", d.Cmd)
	return ""
}

// maps goes through a PG's history, map by map.
func (s *story) maps(t *testing.T, args fields, lines []fields) string {
	pg := object.PGID{Pool: 1, Seed: uint32(args.num("pg", 0))}
	s.past = osdmap.PastIntervals{}
	cur := mapOf(nil)
	pool := osdmap.NewPool()
	pool.Size, pool.MinSize = uint8(args.num("size", 3)), uint8(args.num("min-size", 2))
	pool.SetPGNum(uint32(args.num("pg-num", 8)))
	cur.Pools[1] = pool
	var is osdmap.Mapping
	since, lastClean := uint32(0), uint32(0)
	var b strings.Builder
	for i, l := range lines {
		old, was := cur, is
		cur = old.Clone()
		cur.Epoch = uint32(number(l.first))
		p := pool.Clone()
		p.Size, p.MinSize = uint8(l.num("size", int(p.Size))), uint8(l.num("min-size", int(p.MinSize)))
		p.SetPGNum(uint32(l.num("pg-num", int(p.PGNum))))
		cur.Pools[1], pool = p, p
		acting := l.osds("acting", was.Acting)
		up := l.osds("up", acting)
		if !l.has("up") && !l.has("acting") {
			up = was.Up
		}
		is = osdmap.Mapping{Up: up, Acting: acting, UpPrimary: firstOf(up), ActingPrimary: firstOf(acting)}
		for _, osd := range l.osds("boot", nil) {
			cur.OSDInfo[osd].UpFrom = cur.Epoch
		}
		for _, osd := range l.osds("alive", nil) {
			cur.OSDInfo[osd].UpThru = cur.Epoch
		}
		if i == 0 {
			since, lastClean = cur.Epoch, uint32(l.num("clean", 0))
			continue
		}
		if osdmap.IsNewInterval(pg, old, was, cur, is) {
			iv := osdmap.ClosedInterval(pg, old, was, cur, since, lastClean, func(s []osdmap.PGShard) bool { return len(s) > 0 })
			fmt.Fprintf(&b, "%d-%d acting %v: %s\n", iv.First, iv.Last, iv.Acting, wrote(iv.MaybeWentRW))
			if err := s.past.Add(false, iv); err != nil {
				t.Fatal(err)
			}
			since = cur.Epoch
		}
		lastClean = uint32(l.num("clean", int(lastClean)))
	}
	return b.String() + fmt.Sprintf("since %d acting %v\nkept: %v\n", since, is.Acting, s.past)
}

func wrote(maybe bool) string {
	if maybe {
		return "may have taken writes"
	}
	return "took no writes"
}

func firstOf(osds []int32) int32 {
	for _, o := range osds {
		if o != osdmap.ItemNone {
			return o
		}
	}
	return -1
}

// intervals states past intervals outright: "FIRST-LAST acting=... [rw]".
func (s *story) intervals(t *testing.T, lines []fields) string {
	s.past = osdmap.PastIntervals{}
	for _, l := range lines {
		first, last, _ := strings.Cut(l.first, "-")
		acting := l.osds("acting", nil)
		iv := osdmap.Interval{First: uint32(number(first)), Last: uint32(number(last)), Up: acting, Acting: acting,
			Primary: firstOf(acting), UpPrimary: firstOf(acting), MaybeWentRW: l.has("rw")}
		if err := s.past.Add(false, iv); err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf("kept: %v\n", s.past)
}

// mapOf returns a map of ten OSDs that are up since epoch 1, but for those that the
// lines say otherwise of.
func mapOf(lines []fields) *osdmap.Map {
	m := &osdmap.Map{Epoch: 1, Pools: map[int64]*osdmap.Pool{}}
	m.SetMaxOSD(10)
	for osd := range m.OSDState {
		m.OSDState[osd] = osdmap.OSDExists | osdmap.OSDUp
		m.OSDInfo[osd].UpFrom = 1
	}
	for _, l := range lines {
		osd := number(l.first)
		switch {
		case l.has("gone"):
			m.OSDState[osd] = 0
		case l.has("down"):
			m.OSDState[osd] = osdmap.OSDExists
			m.OSDInfo[osd].LostAt = uint32(l.num("lost", 0))
		}
	}
	return m
}

func describePrior(p *PriorSet) string {
	var b strings.Builder
	fmt.Fprintf(&b, "ask %v\n", p.Probe)
	if len(p.Down) > 0 {
		fmt.Fprintf(&b, "not there %v\n", p.Down)
	}
	if p.Blocked {
		fmt.Fprintf(&b, "down: waits for one of %v\n", slices.Sorted(maps.Keys(p.BlockedBy)))
	}
	return b.String()
}

// infosOf reads copies: "OSD [update=V] [complete=V] [tail=V] [les=E] [hles=E]
// [missing=N] [backfilling|empty]".
func infosOf(lines []fields) Infos {
	in := Infos{}
	for _, l := range lines {
		i := pglog.NewInfo(object.PGID{Pool: 1}.Whole())
		i.LastUpdate = l.version("update", pglog.Version{})
		i.LastComplete = l.version("complete", i.LastUpdate)
		i.LogTail = l.version("tail", pglog.Version{})
		i.LastEpochStarted = uint32(l.num("les", 0))
		i.History.LastEpochStarted = uint32(l.num("hles", int(i.LastEpochStarted)))
		i.History.EpochCreated = 1
		i.Stats.Stats.Sum.NumObjectsMissing = int64(l.num("missing", 0))
		if l.has("backfilling") {
			i.LastBackfill = object.Head(1, "", "", "a", 1)
		}
		if l.has("empty") {
			i.LastBackfill = object.Min
		}
		in[int32(number(l.first))] = &i
	}
	return in
}

func (s *story) choose(args fields, lines []fields) string {
	if len(lines) > 0 {
		s.infos = infosOf(lines)
	}
	acting := args.osds("acting", nil)
	up := args.osds("up", acting)
	auth, ok, _ := BestInfo(s.infos, int32(args.num("self", int(firstOf(acting)))))
	if !ok {
		return "nobody will do\n"
	}
	async := Async{MinCost: uint64(args.num("async", 0)), MinSize: args.num("min-size", 2)}
	if sites := args.rest["site"]; sites != "" {
		// One of these must act.
		need := args.osds("site", nil)
		async.MayPeer = func(osds []int32) bool {
			return slices.ContainsFunc(osds, func(o int32) bool { return slices.Contains(need, o) })
		}
	}
	c := ChooseWithAsync(s.infos, auth, up, acting, firstOf(up), args.num("size", 3), async)
	var b strings.Builder
	fmt.Fprintf(&b, "log of osd.%d, acting %v\n", auth, c.Acting)
	if len(c.Backfill) > 0 {
		fmt.Fprintf(&b, "backfill %v\n", c.Backfill)
	}
	if len(c.AsyncRecovery) > 0 {
		fmt.Fprintf(&b, "recover meanwhile %v\n", c.AsyncRecovery)
	}
	return b.String()
}

// query says what a primary, the first line, asks each of the others.
func (s *story) query(args fields, lines []fields) string {
	in := infosOf(lines)
	self := int32(number(lines[0].first))
	var b strings.Builder
	for _, osd := range in.osds() {
		if osd == self {
			continue
		}
		q := MissingQuery(in[osd], in[self], !args.has("diverges"))
		switch {
		case !q.Ask:
			fmt.Fprintf(&b, "osd.%d: nothing\n", osd)
		case q.Full:
			fmt.Fprintf(&b, "osd.%d: the whole log\n", osd)
		default:
			fmt.Fprintf(&b, "osd.%d: the log after %v\n", osd, q.Since)
		}
	}
	return b.String()
}
