package mon

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"sepiola/command"
	"sepiola/jsonfmt"
	"sepiola/mon/pgmap"
	"sepiola/mon/state"
	"sepiola/object"
)

// idsArg reads the OSDs that a command names by "ids" (OSDMap::parse_osd_id_list).
func (m *Monitor) idsArg(q *query) ([]int32, *reply) {
	var out []int32
	for i, s := range q.args.Strings("ids") {
		if i == 0 && (s == "any" || s == "all" || s == "*") {
			return m.machine.State.OSD.OSDs(), nil
		}
		n, err := strconv.ParseInt(strings.TrimPrefix(s, "osd."), 10, 32)
		if err != nil || n < 0 {
			r := refuse(syscall.EINVAL, "Expected option value to be integer, got '%s'invalid osd id '%s'", s, s)
			return nil, &r
		}
		out = append(out, int32(n))
	}
	if len(out) == 0 {
		r := refuse(syscall.EINVAL, "must specify one or more OSDs")
		return nil, &r
	}
	return out, nil
}

func dumpPGs(w *jsonfmt.Writer, name string, pgs []object.PGID) {
	if len(pgs) == 0 {
		return
	}
	w.OpenArray(name)
	for _, pg := range pgs {
		w.String("", pg.String())
	}
	w.Close()
}

// cmdOKToStop is "osd ok-to-stop". It has no plain form.
func (m *Monitor) cmdOKToStop(q *query) reply {
	osds, bad := m.idsArg(q)
	if bad != nil {
		return *bad
	}
	most, err := q.args.Int("max", 1)
	if err != nil {
		return refuse(syscall.EINVAL, "%v", err)
	}
	r := m.pgs.StoppingMost(osds, int(most))
	w := jsonfmt.New(q.args.Format() == "json-pretty")
	w.OpenObject("")
	w.Bool("ok_to_stop", r.OKToStop())
	dumpOSDs(w, "osds", r.OSDs)
	w.Int("num_ok_pgs", int64(len(r.OK)))
	w.Int("num_not_ok_pgs", int64(len(r.NotOK)))
	dumpPGs(w, "unknown_pgs", r.Unknown)
	dumpPGs(w, "bad_no_pool_pgs", r.NoPool)
	dumpPGs(w, "bad_already_inactive", r.Inactive)
	dumpPGs(w, "bad_become_inactive", r.BecomeInactive)
	dumpPGs(w, "ok_become_degraded", r.Degraded)
	dumpPGs(w, "ok_become_more_degraded", r.MoreDegraded)
	w.Close()
	a := twoLines(w)
	switch {
	case len(r.Unknown) > 0:
		a.code, a.status = -int32(syscall.EAGAIN), fmt.Sprintf("%d pgs have unknown state; cannot draw any conclusions", len(r.Unknown))
	case !r.OKToStop():
		a.code, a.status = -int32(syscall.EBUSY), fmt.Sprintf("unsafe to stop osd(s) at this time (%d PGs are or would become offline)", len(r.NotOK))
	}
	return a
}

// destroyDoubts says why OSDs cannot be destroyed safely; no code if they can.
func destroyDoubts(r pgmap.DestroyReport) (code syscall.Errno, said string) {
	if r.Unknown > 0 {
		return syscall.EAGAIN, fmt.Sprintf("%d pgs have unknown state; cannot draw any conclusions", r.Unknown)
	}
	if len(r.Active)+len(r.NoStats)+len(r.StoresPGs) == 0 {
		return 0, ""
	}
	if len(r.Safe) > 0 {
		said += fmt.Sprintf("OSD(s) %s are safe to destroy without reducing data durability. ", idList(r.Safe))
	}
	if len(r.Active) > 0 {
		said += fmt.Sprintf("OSD(s) %s have %d pgs currently mapped to them. ", idList(r.Active), r.ActivePGs)
	}
	if len(r.NoStats) > 0 {
		said += fmt.Sprintf("OSD(s) %s have no reported stats, and not all PGs are active+clean; we cannot draw any conclusions. ", idList(r.NoStats))
	}
	if len(r.StoresPGs) > 0 {
		said += fmt.Sprintf("OSD(s) %s last reported they still store some PG data, and not all PGs are active+clean; we cannot be sure they aren't still needed.", idList(r.StoresPGs))
	}
	if len(r.Active)+len(r.StoresPGs) > 0 {
		return syscall.EBUSY, said
	}
	return syscall.EAGAIN, said
}

func idList(ids []int32) string {
	parts := make([]string, len(ids))
	for i, id := range ids {
		parts[i] = strconv.Itoa(int(id))
	}
	return strings.Join(parts, ",")
}

// cmdSafeToDestroy is "osd safe-to-destroy".
func (m *Monitor) cmdSafeToDestroy(q *query) reply {
	osds, bad := m.idsArg(q)
	if bad != nil {
		return *bad
	}
	r := m.pgs.Destroying(osds)
	code, said := destroyDoubts(r)
	switch {
	case r.Unknown > 0, code != 0 && !q.isJSON():
		return refuse(code, "%s", said)
	case !q.isJSON():
		return reply{status: fmt.Sprintf("OSD(s) %s are safe to destroy without reducing data durability.", idList(r.Safe))}
	}
	w := q.writer()
	w.OpenObject("")
	dumpOSDs(w, "safe_to_destroy", r.Safe)
	dumpOSDs(w, "active", r.Active)
	dumpOSDs(w, "missing_stats", r.NoStats)
	dumpOSDs(w, "stored_pgs", r.StoresPGs)
	w.Close()
	return reply{out: w.Bytes()}
}

// destroyOSD is "osd destroy" and "osd purge": refused, unless forced, for OSDs that
// hold what others may lack.
func (m *Monitor) destroyOSD(q *query, who string, done func(reply)) {
	osd, err := strconv.ParseInt(strings.TrimPrefix(q.args.String("id"), "osd."), 10, 32)
	if err != nil {
		done(refuse(syscall.EINVAL, "unable to parse osd id value '%s'", q.args.String("id")))
		return
	}
	code, said := destroyDoubts(m.pgs.Destroying([]int32{int32(osd)}))
	if code != 0 && !q.args.Bool("force") && !q.args.Bool("yes_i_really_mean_it") {
		done(refuse(code, "%s\nYou can proceed by passing --force, but be warned that this will likely mean real, permanent data loss.", said))
		return
	}
	args := command.Args{"prefix": q.args.Prefix() + "-actual", "id": strconv.FormatInt(osd, 10), "yes_i_really_mean_it": true}
	m.propose(state.Command{Admin: &state.Admin{Args: args, Settings: m.settings(), Who: who}}, func(r state.Reply, err error) {
		if err != nil {
			done(refuse(syscall.EAGAIN, "%v", err))
			return
		}
		done(reply{code: r.Code, status: r.Status, out: r.Out})
	})
}
