package pg_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pg"
)

// TestStories protects what people who run a cluster know by heart: what becomes of a
// PG when its copies fail in a certain order, and what it says meanwhile. The format is
// in testdata/stories/README.md.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		if strings.HasSuffix(path, ".md") {
			return
		}
		s := &story{t: t}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.t = t
			if s.w != nil {
				s.w.t = t
			}
			return s.run(d)
		})
	})
}

// story is a cluster with one PG, whose OSDs are called by their places at the
// beginning: P leads, Q and R follow.
type story struct {
	t     *testing.T
	w     *world
	names map[string]int32
}

const storyWait = 6000 // events after which something that has not happened waits

func (s *story) run(d *datadriven.TestData) string {
	var out strings.Builder
	if d.Cmd == "cluster" {
		s.begin(d)
		return s.state()
	}
	first := d.Cmd
	for _, a := range d.CmdArgs {
		first += " " + a.Key
	}
	for _, line := range strings.Split(first+"\n"+d.Input, "\n") {
		if f := strings.Fields(line); len(f) > 0 {
			if r := s.do(f[0], f[1:]); r != "" {
				fmt.Fprintln(&out, r)
			}
		}
	}
	return out.String()
}

func (s *story) begin(d *datadriven.TestData) {
	size, min := 3, 2
	d.MaybeScanArgs(s.t, "size", &size)
	d.MaybeScanArgs(s.t, "min-size", &min)
	s.w = newWorld(s.t, 3, size, 1, uint8(size), uint8(min))
	newClient(s.w, 1)
	for _, o := range s.w.osds {
		o.createOwn()
	}
	s.w.settle()
	s.names = map[string]int32{}
	for i, osd := range s.w.current().MappingOf(s.id()).Acting {
		s.names[string(rune('P'+i))] = osd
	}
}

func (s *story) id() object.PGID { return object.PGID{Pool: poolID} }

func (s *story) name(osd int32) string {
	for n, o := range s.names {
		if o == osd {
			return n
		}
	}
	return fmt.Sprint(osd)
}

func (s *story) do(cmd string, args []string) string {
	w := s.w
	switch cmd {
	case "write", "read":
		return s.operate(args[0], cmd == "read")
	case "answer":
		return s.answer()
	case "state":
		return s.state()
	case "calm":
		w.calm(storyWait / 2)
	case "set":
		w.change(func(m *osdmap.Map) { m.Flags |= osdmap.FlagNoRecover })
	case "unset":
		w.change(func(m *osdmap.Map) { m.Flags &^= osdmap.FlagNoRecover })
	case "unfound":
		return s.unfound()
	case "give-up":
		s.forgive()
		return w.tell(s.primary(), pg.Command{Name: "mark_unfound_lost", Mode: args[0]}).Text
	case "end":
		for _, o := range w.osds {
			if !o.alive {
				w.restart(o)
			}
		}
		w.settle()
		w.check()
		return s.state()
	default:
		return s.each(cmd, args)
	}
	return ""
}

// each does something to OSDs.
func (s *story) each(cmd string, names []string) string {
	w := s.w
	for _, n := range names {
		id, ok := s.names[n]
		if !ok {
			s.t.Fatalf("%s: no OSD %q", cmd, n)
		}
		o := w.osds[id]
		switch cmd {
		case "crash":
			o.crash()
		case "cut":
			o.cut = true
		case "lost":
			s.forgive()
			w.change(func(m *osdmap.Map) { m.OSDInfo[id].LostAt = m.Epoch })
		case "start":
			if o.alive {
				o.crash()
			}
			w.restart(o)
		default:
			s.t.Fatalf("unknown command %s", cmd)
		}
	}
	w.calm(300)
	return ""
}

// forgive has what was acknowledged so far not count any more.
func (s *story) forgive() {
	c := s.w.cls[0]
	c.acked, c.sent, c.reads = map[string][]string{}, map[string][]string{}, nil
	for _, op := range c.pending {
		op.acked = 0
	}
}

// operate sends an operation, and says what came of it.
func (s *story) operate(name string, read bool) string {
	s.w.cls[0].start(name, read)
	return s.answer()
}

// answer waits for the answer to what was sent last.
func (s *story) answer() string {
	c := s.w.cls[0]
	for range storyWait {
		s.w.calm(1)
		s.w.clientOne()
		if len(c.pending) == 0 {
			break
		}
	}
	if len(c.pending) > 0 {
		return "waits"
	}
	if n := len(c.reads); n > 0 && c.reads[n-1].before >= 0 {
		r := c.reads[n-1]
		c.reads[n-1].before = -1
		return fmt.Sprintf("%q", r.content)
	}
	return "acknowledged"
}

func (s *story) primary() *pg.PG {
	id := s.w.current().PGToActingPrimary(s.id())
	if id < 0 {
		return nil
	}
	return s.w.osds[id].pgs[s.id()]
}

// state says what the PG reports, who acts, and for whom it waits.
func (s *story) state() string {
	s.w.calm(storyWait / 2)
	p := s.primary()
	if p == nil {
		return "nobody leads"
	}
	st := p.Stats()
	out := fmt.Sprintf("%v acting %s", st.State, s.list(st.Acting))
	if len(st.BlockedBy) > 0 {
		out += " blocked by " + s.list(st.BlockedBy)
	}
	return out
}

func (s *story) list(osds []int32) string {
	var out []string
	for _, o := range osds {
		out = append(out, s.name(o))
	}
	slices.Sort(out)
	return strings.Join(out, "")
}

func (s *story) unfound() string {
	var list struct {
		Objects []struct {
			OID struct {
				OID string `json:"oid"`
			} `json:"oid"`
			Need, Have string
		}
	}
	if err := json.Unmarshal(s.w.tell(s.primary(), pg.Command{Name: "list_unfound"}).Out, &list); err != nil {
		s.t.Fatal(err)
	}
	out := "unfound:"
	for _, o := range list.Objects {
		out += " " + o.OID.OID
	}
	return out
}
