package pg

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"sepiola/jsonfmt"
	"sepiola/object"
	"sepiola/pglog"
)

// unfoundMax is how many objects list_unfound names (osd_command_max_records).
const unfoundMax = 256

// entered keeps when the states that `ceph pg query` names were entered.
type entered struct {
	id                       stateID
	state, active, peering   time.Time
	started                  time.Time
	wasActive, wasPeering    bool
	startedEpoch, knownEpoch uint32
}

// noteState keeps the times, after each step.
func (p *PG) noteState() {
	e, id := &p.entered, p.state.id()
	if id != e.id || e.state.IsZero() {
		e.id, e.state = id, p.now
	}
	active := p.active != nil
	if active && !e.wasActive {
		e.active = p.now
	}
	peering := p.lead != nil && !active
	if peering && !e.wasPeering {
		e.peering = p.now
	}
	e.wasActive, e.wasPeering = active, peering
	if p.resetEpoch != e.startedEpoch && id != stReset {
		e.startedEpoch, e.started = p.resetEpoch, p.now
	}
}

// dumpQuery writes what `ceph pg N query` shows.
func (p *PG) dumpQuery(w *jsonfmt.Writer) {
	w.OpenObject("")
	w.String("snap_trimq", "[]")
	w.Uint("snap_trimq_len", 0)
	w.String("state", p.State().String())
	w.Uint("epoch", uint64(p.osdmap.Epoch))
	dumpOSDs(w, "up", p.where.Up)
	dumpOSDs(w, "acting", p.where.Acting)
	if p.lead != nil {
		dumpShards(w, "backfill_targets", p.lead.choice.Backfill)
		dumpShards(w, "async_recovery_targets", p.lead.choice.AsyncRecovery)
		dumpShards(w, "acting_recovery_backfill", p.lead.choice.Members)
	}
	w.OpenObject("info")
	info := p.own.Info.Clone()
	info.Stats = p.Stats()
	info.DumpJSON(w)
	w.Close()
	w.OpenArray("peer_info")
	if p.lead != nil {
		for _, osd := range slices.Sorted(maps.Keys(p.lead.infos)) {
			w.OpenObject("")
			w.String("peer", strconv.Itoa(int(osd)))
			p.lead.infos[osd].DumpJSON(w)
			w.Close()
		}
	}
	w.Close()
	w.OpenArray("recovery_state")
	p.dumpStates(w)
	w.Close()
	if p.active != nil {
		w.OpenObject("scrubber")
		w.String("epoch_start", "0")
		w.Bool("active", false)
		w.Close()
	}
	w.OpenObject("agent_state")
	w.Close()
	w.Close()
}

func dumpOSDs(w *jsonfmt.Writer, name string, osds []int32) {
	w.OpenArray(name)
	for _, o := range osds {
		w.Uint("osd", uint64(uint32(o)))
	}
	w.Close()
}

// dumpShards writes OSDs as strings, and nothing where there are none.
func dumpShards(w *jsonfmt.Writer, name string, osds []int32) {
	if len(osds) > 0 {
		dumpNames(w, name, osds)
	}
}

func dumpNames(w *jsonfmt.Writer, name string, osds []int32) {
	w.OpenArray(name)
	for _, o := range osds {
		w.String("shard", strconv.Itoa(int(o)))
	}
	w.Close()
}

// dumpStates writes the states that the PG is in, the innermost first.
func (p *PG) dumpStates(w *jsonfmt.Writer) {
	open := func(name string, at time.Time) {
		w.OpenObject("state")
		w.String("name", name)
		w.Time("enter_time", at)
	}
	switch {
	case p.active != nil:
		open("Started/Primary/Active", p.entered.active)
		p.dumpMightHave(w)
		p.dumpProgress(w)
		w.Close()
	case p.state.id() != stReset:
		open(p.state.id().String(), p.entered.state)
		p.dumpWaiting(w)
		w.Close()
	}
	if p.active == nil && p.lead != nil && p.state.id() != stWaitActingChange {
		open("Started/Primary/Peering", p.entered.peering)
		p.dumpPeering(w)
		w.Close()
	}
	if p.state.id() == stReset {
		open("Reset", p.entered.state)
	} else {
		open("Started", p.entered.started)
	}
	w.Close()
}

// dumpWaiting writes what a state of peering waits for.
func (p *PG) dumpWaiting(w *jsonfmt.Writer) {
	asked := func(name, got string, osds map[int32]bool) {
		w.OpenArray(name)
		for _, osd := range slices.Sorted(maps.Keys(osds)) {
			w.OpenObject("osd")
			w.String("osd", strconv.Itoa(int(osd)))
			if i := p.lead.infos[osd]; i != nil {
				w.OpenObject(got)
				i.DumpJSON(w)
				w.Close()
			}
			w.Close()
		}
		w.Close()
	}
	switch s := p.state.(type) {
	case *getInfo:
		asked("requested_info_from", "got_info", s.asked)
	case *getLog:
		w.String("auth_log_shard", strconv.Itoa(int(s.from)))
	case *getMissing:
		asked("peer_missing_requested", "got_missing", s.asked)
	case *waitActingChange:
		w.String("comment", "waiting for pg acting set to change")
	case waitUpThru:
		w.String("comment", "waiting for osdmap to reflect a new up_thru for this osd")
	case down:
		w.String("comment", "not enough up instances of this PG to go active")
	case incomplete:
		w.String("comment", "not enough complete instances of this PG")
	}
}

// dumpPeering writes whom peering asks, and who would have to come back.
func (p *PG) dumpPeering(w *jsonfmt.Writer) {
	prior := &p.lead.prior
	w.OpenArray("past_intervals")
	p.past.DumpJSON(w)
	w.Close()
	dumpNames(w, "probing_osds", prior.Probe)
	if prior.Blocked {
		w.String("blocked", "peering is blocked due to down osds")
	}
	w.OpenArray("down_osds_we_would_probe")
	for _, o := range prior.Down {
		w.Int("osd", int64(o))
	}
	w.Close()
	w.OpenArray("peering_blocked_by")
	for _, o := range slices.Sorted(maps.Keys(prior.BlockedBy)) {
		w.OpenObject("osd")
		w.Int("osd", int64(o))
		w.Uint("current_lost_at", uint64(prior.BlockedBy[o]))
		w.String("comment", "starting or marking this osd lost may let us proceed")
		w.Close()
	}
	w.Close()
	if p.lead.historyBad {
		w.OpenArray("peering_blocked_by_detail")
		w.OpenObject("item")
		w.String("detail", "peering_blocked_by_history_les_bound")
		w.Close()
		w.Close()
	}
}

// dumpMightHave writes who may have what is unfound.
func (p *PG) dumpMightHave(w *jsonfmt.Writer) {
	w.OpenArray("might_have_unfound")
	if p.hasUnfound() {
		open := p.notAsked()
		for _, osd := range slices.Sorted(maps.Keys(p.lead.missing)) {
			if open[osd] == "" {
				open[osd] = "already probed"
			}
		}
		for _, osd := range slices.Sorted(maps.Keys(open)) {
			w.OpenObject("osd")
			w.String("osd", strconv.Itoa(int(osd)))
			w.String("status", open[osd])
			w.Close()
		}
	}
	w.Close()
}

// dumpProgress writes how far recovery and backfill have come.
func (p *PG) dumpProgress(w *jsonfmt.Writer) {
	f, r := &p.active.fill, &p.active.recovery
	w.OpenObject("recovery_progress")
	dumpNames(w, "backfill_targets", p.lead.choice.Backfill)
	dumpNames(w, "waiting_on_backfill", slices.Sorted(maps.Keys(f.scanning)))
	w.String("last_backfill_started", f.begin.String())
	w.OpenObject("backfill_info")
	w.String("begin", f.begin.String())
	w.String("end", f.end.String())
	w.OpenArray("objects")
	w.Close()
	w.Close()
	w.OpenArray("peer_backfill_info")
	for _, osd := range p.backfillTargets() {
		w.String("osd", fmt.Sprint(osd))
		w.OpenObject("BackfillInterval")
		w.String("begin", p.lead.infos[osd].LastBackfill.String())
		w.String("end", f.end.String())
		w.Close()
	}
	w.Close()
	var filling, recovering []string
	for _, o := range slices.SortedFunc(maps.Keys(r.pushing), object.ID.Compare) {
		if r.pushing[o].done != nil {
			filling = append(filling, o.String())
		} else {
			recovering = append(recovering, o.String())
		}
	}
	w.Strings("backfills_in_flight", filling)
	w.Strings("recovering", recovering)
	w.OpenObject("pg_backend")
	w.OpenArray("pull_from_peer")
	for _, o := range slices.SortedFunc(maps.Keys(r.pulling), object.ID.Compare) {
		w.OpenObject("pull")
		w.String("pull_from", strconv.Itoa(int(r.pulling[o].from)))
		w.String("soid", o.String())
		w.Close()
	}
	w.Close()
	w.OpenArray("pushing")
	for _, o := range slices.SortedFunc(maps.Keys(r.pushing), object.ID.Compare) {
		w.OpenObject("push")
		w.String("soid", o.String())
		dumpNames(w, "to", r.pushing[o].to)
		w.Close()
	}
	w.Close()
	w.Close()
	w.Close()
}

// dumpUnfound writes what `ceph pg N list_unfound` shows.
func (p *PG) dumpUnfound(w *jsonfmt.Writer) {
	w.OpenObject("missing")
	var lost []object.ID
	name := p.state.id().String()
	if p.active != nil {
		lost, name = p.unfound(), "Active"
	}
	w.Int("num_missing", int64(p.needing()))
	w.Int("num_unfound", int64(len(lost)))
	w.OpenArray("objects")
	for _, o := range lost[:min(len(lost), unfoundMax)] {
		item, _ := p.own.Missing.Get(o)
		w.OpenObject("object")
		w.OpenObject("oid")
		o.DumpJSON(w)
		w.Close()
		w.String("need", item.Need.String())
		w.String("have", item.Have.String())
		w.String("flags", missingFlags(item))
		w.String("clean_regions", item.Clean.String())
		dumpNames(w, "locations", p.active.recovery.sources[o])
		w.Close()
	}
	w.Close()
	w.String("state", name)
	w.Bool("available_might_have_unfound", p.active != nil)
	if p.active != nil {
		p.dumpMightHave(w)
	}
	w.Bool("more", len(lost) > unfoundMax)
	w.Close()
}

func missingFlags(i pglog.MissingItem) string {
	if i.Delete {
		return "delete"
	}
	return "none"
}

// needing counts the objects that any member misses.
func (p *PG) needing() int {
	if p.active == nil {
		return p.own.Missing.Len()
	}
	all := map[object.ID]bool{}
	for o := range p.own.Missing.ByNeed(pglog.Version{}) {
		all[o] = true
	}
	for _, osd := range p.active.others {
		for o := range p.lead.missing[osd].ByNeed(pglog.Version{}) {
			all[o] = true
		}
	}
	return len(all)
}
