package mon

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/mon/pgmap"
	"sepiola/object"
	"sepiola/osdmap"
	"sepiola/pglog"
)

// pgCommands are what the manager does about PGs that are not as they should be.
var pgCommands = []entry{
	{spec("pg dump_stuck name=stuckops,type=CephChoices,strings=inactive|unclean|stale|undersized|degraded,n=N,req=false name=threshold,type=CephInt,req=false", "show information about stuck pgs", "pg", "r", flagMgr), (*Monitor).cmdPGDumpStuck},
	{spec("pg why name=pgid,type=CephPgid,req=false", "say in plain words why PGs are not clean, and what to do", "pg", "r", flagMgr), (*Monitor).cmdPGWhy},
	{spec("pg debug name=debugop,type=CephChoices,strings=unfound_objects_exist|degraded_pgs_exist", "show debug info about pgs", "pg", "r", flagMgr), (*Monitor).cmdPGDebug},
	{spec("pg dump_json name=dumpcontents,type=CephChoices,strings=all|summary|sum|pools|osds|pgs,n=N,req=false", "show human-readable version of pg map in json only", "pg", "r", flagMgr), (*Monitor).cmdPGDumpJSON},
	{spec("pg dump_pools_json", "show pg pools info in json only", "pg", "r", flagMgr), (*Monitor).cmdPGDumpJSON},
	{spec("pg force-recovery name=pgid,type=CephPgid,n=N", "force recovery of <pgid> first", "pg", "rw", flagMgr), (*Monitor).cmdForce},
	{spec("pg force-backfill name=pgid,type=CephPgid,n=N", "force backfill of <pgid> first", "pg", "rw", flagMgr), (*Monitor).cmdForce},
	{spec("pg cancel-force-recovery name=pgid,type=CephPgid,n=N", "restore normal recovery priority of <pgid>", "pg", "rw", flagMgr), (*Monitor).cmdForce},
	{spec("pg cancel-force-backfill name=pgid,type=CephPgid,n=N", "restore normal backfill priority of <pgid>", "pg", "rw", flagMgr), (*Monitor).cmdForce},
	{spec("osd pool force-recovery name=who,type=CephPoolname,n=N", "force recovery of specified pool <who> first", "osd", "rw", flagMgr), (*Monitor).cmdForce},
	{spec("osd pool force-backfill name=who,type=CephPoolname,n=N", "force backfill of specified pool <who> first", "osd", "rw", flagMgr), (*Monitor).cmdForce},
	{spec("osd pool cancel-force-recovery name=who,type=CephPoolname,n=N", "restore normal recovery priority of specified pool <who>", "osd", "rw", flagMgr), (*Monitor).cmdForce},
	{spec("osd pool cancel-force-backfill name=who,type=CephPoolname,n=N", "restore normal recovery priority of specified pool <who>", "osd", "rw", flagMgr), (*Monitor).cmdForce},
	{spec("osd blocked-by", "print histogram of which OSDs are blocking their peers", "osd", "r", flagMgr), (*Monitor).cmdBlockedBy},
	{spec("osd ok-to-stop name=ids,type=CephString,n=N name=max,type=CephInt,req=false", "check whether osd(s) can be safely stopped without reducing immediate data availability", "osd", "r", flagMgr), (*Monitor).cmdOKToStop},
	{spec("osd safe-to-destroy name=ids,type=CephString,n=N", "check whether osd(s) can be safely destroyed without reducing data durability", "osd", "r", flagMgr), (*Monitor).cmdSafeToDestroy},
	{spec("osd destroy name=id,type=CephOsdName name=force,type=CephBool,req=false name=yes_i_really_mean_it,type=CephBool,req=false", "mark osd as being destroyed; its id stays", "osd", "rw", flagMgr), nil},
	{spec("osd purge name=id,type=CephOsdName name=force,type=CephBool,req=false name=yes_i_really_mean_it,type=CephBool,req=false", "purge all osd data from the monitors, including the OSD id and CRUSH position", "osd", "rw", flagMgr), nil},
}

// cmdPGDumpStuck lists the PGs that have been in trouble for longer than a threshold.
func (m *Monitor) cmdPGDumpStuck(q *query) reply {
	kinds := q.args.Strings("stuckops")
	if len(kinds) == 0 {
		kinds = []string{"unclean"}
	}
	threshold, err := q.args.Int("threshold", m.opts.Int("mon_pg_stuck_threshold"))
	if err != nil {
		return refuse(syscall.EINVAL, "%v", err)
	}
	for _, k := range kinds {
		if !pgmap.IsStuckKind(k) {
			return reply{out: []byte("Unknown type: " + k + "\n"), status: "failed"}
		}
	}
	pgs := m.pgs.Stuck(kinds, m.now().Add(-time.Duration(threshold)*time.Second))
	if q.isJSON() {
		w := q.writer()
		w.OpenObject("")
		w.Bool("pg_ready", true)
		w.OpenArray("stuck_pg_stats")
		for _, pg := range pgs {
			w.OpenObject("")
			w.String("pgid", pg.String())
			m.pgs.PGs[pg].DumpJSON(w)
			w.Close()
		}
		w.Close()
		w.Close()
		r := pgReady(w)
		r.status = "ok"
		return r
	}
	if len(pgs) == 0 {
		return reply{status: "ok"}
	}
	return reply{out: []byte(m.briefTable(pgs)), status: "ok"}
}

// briefTable is the short table of PGs.
func (m *Monitor) briefTable(pgs []object.PGID) string {
	t := leftTable("PG_STAT", "STATE", "UP", "UP_PRIMARY", "ACTING", "ACTING_PRIMARY")
	for _, pg := range pgs {
		s := m.pgs.PGs[pg]
		t.Row(pg.String(), s.State.String(), osdmap.OSDsString(s.Up), fmt.Sprint(s.UpPrimary), osdmap.OSDsString(s.Acting), fmt.Sprint(s.ActingPrimary))
	}
	return t.String()
}

func (m *Monitor) cmdPGDebug(q *query) reply {
	count := func(s *pglog.Stats) int64 { return s.Stats.Sum.NumObjectsUnfound }
	if q.args.String("debugop") == "degraded_pgs_exist" {
		count = func(s *pglog.Stats) int64 { return s.Stats.Sum.NumObjectsDegraded }
	}
	answer := "FALSE"
	for _, s := range m.pgs.PGs {
		if count(s) > 0 {
			answer = "TRUE"
		}
	}
	if q.isJSON() {
		w := q.writer()
		w.OpenObject("")
		w.Bool("pg_ready", true)
		w.Close()
		return reply{out: append([]byte(answer+"\n"), w.Bytes()...)}
	}
	return text("%s", answer)
}

// cmdPGDumpJSON is "pg dump" in JSON, of everything or of the pools.
func (m *Monitor) cmdPGDumpJSON(q *query) reply {
	c := &query{args: maps.Clone(q.args)}
	if !q.isJSON() {
		c.args["format"] = "json"
	}
	c.args["dumpcontents"] = "all" // as Ceph does, whatever was asked for
	if q.args.Prefix() == "pg dump_pools_json" {
		c.args["dumpcontents"] = "pools"
	}
	return m.cmdPGDump(c)
}

func (m *Monitor) cmdBlockedBy(q *query) reply {
	counts := m.pgs.BlockedBy()
	if q.isJSON() {
		w := q.writer()
		w.OpenObject("")
		w.Bool("pg_ready", true)
		w.OpenObject("osd_blocked_by")
		w.OpenArray("osd_blocked_by_infos")
		for _, osd := range sortedOSDs(counts) {
			w.OpenObject("")
			w.Int("id", int64(osd))
			w.Int("num_blocked", int64(counts[osd]))
			w.Close()
		}
		w.Close()
		w.Close()
		w.Close()
		return pgReady(w)
	}
	t := rightTable("osd", "num_blocked")
	for _, osd := range sortedOSDs(counts) {
		t.Row(fmt.Sprint(osd), fmt.Sprint(counts[osd]))
	}
	return reply{out: []byte(t.String())}
}

// forceOps are the words that commands which force recovery end in, what the OSDs
// are told, and which PGs they make sense for.
var forceOps = map[string]struct {
	options uint8
	needs   pglog.State // any of these
	missing string      // said of a PG that has none of them
	already pglog.State
	twice   string // said of a PG that is forced already
}{
	"force-recovery": {message.ForceRecovery, pglog.StateDegraded | pglog.StateRecoveryWait | pglog.StateRecovering,
		"doesn't require recovery", pglog.StateForcedRecovery, "recovery already forced"},
	"force-backfill": {message.ForceBackfill, pglog.StateDegraded | pglog.StateBackfillWait | pglog.StateBackfilling,
		"doesn't require backfilling", pglog.StateForcedBackfill, "backfill already forced"},
	"cancel-force-recovery": {message.ForceRecovery | message.ForceCancel, pglog.StateForcedRecovery, "recovery not forced", 0, ""},
	"cancel-force-backfill": {message.ForceBackfill | message.ForceCancel, pglog.StateForcedBackfill, "backfill not forced", 0, ""},
}

// cmdForce tells the primaries of PGs to recover them first, or no longer to
// (MOSDForceRecovery). It fails only if no PG is left to be told of.
func (m *Monitor) cmdForce(q *query) reply {
	words := strings.Fields(q.args.Prefix())
	verb := words[len(words)-1]
	op := forceOps[verb]
	pgs, r, bad := m.forceTargets(q)
	if bad != nil {
		return *bad
	}
	var chosen []object.PGID
	for _, pg := range pgs {
		s := m.pgs.PGs[pg]
		switch {
		case s == nil:
			r.status += fmt.Sprintf("pg %s does not exist; ", pg)
			r.code = -int32(syscall.ENOENT)
		case s.State&op.needs == 0:
			r.status += fmt.Sprintf("pg %s %s; ", pg, op.missing)
		case s.State&op.already != 0:
			r.status += fmt.Sprintf("pg %s %s; ", pg, op.twice)
			r.code = -int32(syscall.EINVAL)
		default:
			chosen = append(chosen, pg)
		}
	}
	if len(chosen) > 0 {
		r.code = 0
	}
	m.tellForce(&r, chosen, verb, op.options)
	r.status += "\n"
	return r
}

// forceTargets returns the PGs that a command names, once each, in order.
func (m *Monitor) forceTargets(q *query) (pgs []object.PGID, r reply, bad *reply) {
	for _, s := range q.args.Strings("pgid") {
		pg, err := object.ParsePGID(s)
		if err != nil {
			r.status += fmt.Sprintf("invalid pgid '%s'; ", s)
			r.code = -int32(syscall.EINVAL)
			continue
		}
		pgs = append(pgs, pg)
	}
	om := m.machine.State.OSD
	for _, name := range q.args.Strings("who") {
		id, ok := om.PoolID(name)
		if !ok {
			no := refuse(syscall.ENOENT, "unrecognized pool '%s'", name)
			return nil, r, &no
		}
		for seed := range om.Pools[id].PGNum {
			pgs = append(pgs, object.PGID{Pool: id, Seed: seed})
		}
	}
	slices.SortFunc(pgs, object.PGID.Compare)
	return slices.Compact(pgs), r, nil
}

// tellForce sends each primary one message for all its PGs.
func (m *Monitor) tellForce(r *reply, pgs []object.PGID, verb string, options uint8) {
	om := m.machine.State.OSD
	byOSD := map[int32][]object.SPGID{}
	for _, pg := range pgs {
		if _, _, _, primary := om.PGToUpActing(pg); om.IsUp(primary) {
			byOSD[primary] = append(byOSD[primary], object.SPGID{PGID: pg, Shard: object.NoShard})
		}
	}
	for _, osd := range sortedOSDs(byOSD) {
		d := m.daemons[entity.OSD(osd)]
		if d == nil || d.conn == nil {
			r.status += fmt.Sprintf("osd.%d is not currently connected", osd)
			r.code = -int32(syscall.EAGAIN)
			continue
		}
		m.sendTo(d.conn, &message.OSDForceRecovery{FSID: m.cfg.FSID, PGs: byOSD[osd], Options: options})
		names := make([]string, len(byOSD[osd]))
		for i, pg := range byOSD[osd] {
			names[i] = pg.PGID.String()
		}
		r.status += fmt.Sprintf("instructing pg(s) [%s] on osd.%d to %s; ", strings.Join(names, ","), osd, verb)
	}
}
