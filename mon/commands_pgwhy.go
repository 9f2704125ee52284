package mon

import (
	"strings"
	"syscall"
	"time"

	"sepiola/mon/pgmap"
	"sepiola/object"
)

// cmdPGWhy is "pg why", which Ceph does not have: a line for each PG that is not
// clean, or about the one that is named.
func (m *Monitor) cmdPGWhy(q *query) reply {
	limits := pgmap.WhyLimits{DownOut: time.Duration(m.opts.Int("mon_osd_down_out_interval")) * time.Second}
	name := q.args.String("pgid")
	if name == "" {
		return m.reasons(q, m.pgs.Reasons(m.now(), limits), "all PGs are clean")
	}
	pg, err := object.ParsePGID(name)
	if err != nil {
		return refuse(syscall.EINVAL, "invalid pgid '%s'", name)
	}
	s := m.pgs.PGs[pg]
	if s == nil {
		return refuse(syscall.ENOENT, "pg '%s' does not exist", name)
	}
	r, ok := pgmap.Why(pg, s, m.machine.State.OSD, m.now(), limits)
	if !ok {
		return m.reasons(q, nil, "pg "+name+" is "+s.State.String())
	}
	return m.reasons(q, []pgmap.Reason{r}, "")
}

func (m *Monitor) reasons(q *query, list []pgmap.Reason, none string) reply {
	if q.isJSON() {
		w := q.writer()
		w.OpenArray("")
		for _, r := range list {
			w.OpenObject("")
			w.String("pgid", r.PG.String())
			w.String("state", r.State.String())
			w.String("rule", r.Rule)
			w.String("why", r.Why)
			w.String("do", r.Do)
			dumpOSDs(w, "osds", r.OSDs)
			w.Close()
		}
		w.Close()
		return line(w)
	}
	if len(list) == 0 {
		return reply{status: none}
	}
	var b strings.Builder
	for _, r := range list {
		b.WriteString(r.String() + "\n")
	}
	return reply{out: []byte(b.String())}
}
