package pgmap

import (
	"fmt"
	"slices"

	"sepiola/osdmap"
	"sepiola/pglog"
)

// whyRule explains one kind of trouble.
type whyRule struct {
	name string
	when func(*whyCase) bool
	say  func(*whyCase) (why, do string, osds []int32)
}

const (
	recovers  = pglog.StateRecovering | pglog.StateRecoveryWait
	backfills = pglog.StateBackfilling | pglog.StateBackfillWait
)

// whyRules are in the order of what has to be dealt with first: nobody there,
// nobody who may go on, something lost, too few, no room, held back, at work.
var whyRules = []whyRule{
	{"homeless", func(c *whyCase) bool {
		return len(c.s.Up) == 0 && len(c.s.Acting) == 0 && (c.s.State == 0 || c.any(pglog.StateCreating|pglog.StateStale))
	}, func(c *whyCase) (string, string, []int32) {
		if len(c.down) > 0 {
			return "all OSDs that it belongs on are down: " + c.names(c.down), "start " + ids(c.down), c.down
		}
		return fmt.Sprintf("CRUSH rule '%s' of pool '%s' finds no OSD that is in", c.rule(), c.name),
			"add OSDs, take some in with 'ceph osd in', or give the pool another rule", nil
	}},
	{"stale", func(c *whyCase) bool { return c.has(pglog.StateStale) }, func(c *whyCase) (string, string, []int32) {
		who := []int32{c.s.ActingPrimary}
		return "nobody has reported it since " + c.names(who) + " did", "start " + ids(c.members()), who
	}},
	{"unknown", func(c *whyCase) bool { return c.s.State == 0 }, func(c *whyCase) (string, string, []int32) {
		who := []int32{c.s.ActingPrimary}
		return "its primary " + c.names(who) + " has not reported it yet", "if that lasts, look at the log of " + ids(who), who
	}},
	{"creating", func(c *whyCase) bool { return c.has(pglog.StateCreating) && !c.has(pglog.StateActive) }, func(c *whyCase) (string, string, []int32) {
		return "it is being made by " + c.names(c.members()), "", c.members()
	}},
	{"down", func(c *whyCase) bool { return c.has(pglog.StateDown) }, func(c *whyCase) (string, string, []int32) {
		who := c.blockers()
		return "writes may have been acknowledged that only " + c.names(who) + " can have",
			"start " + ids(who) + "; only if it is lost for good: 'ceph osd lost ID --yes-i-really-mean-it', which may lose these writes", who
	}},
	{"incomplete", func(c *whyCase) bool { return c.has(pglog.StateIncomplete) }, func(c *whyCase) (string, string, []int32) {
		do := "start OSDs that once held it"
		if who := c.blockers(); len(who) > 0 {
			do += " (" + c.names(who) + ")"
		}
		if c.pool.MinSize > 1 {
			do += fmt.Sprintf(", or lower min_size of pool '%s' below %d until it has recovered", c.name, c.pool.MinSize)
		}
		return "none of the copies that can be reached is complete", do, c.blockers()
	}},
	{"peering, blocked", func(c *whyCase) bool { return c.has(pglog.StatePeering) && len(c.blockedBy) > 0 }, func(c *whyCase) (string, string, []int32) {
		return "its primary waits for an answer of " + c.names(c.blockedBy), "if that lasts, look at the log of " + ids(c.blockedBy) + ", or restart it", c.blockedBy
	}},
	{"peering", func(c *whyCase) bool { return c.any(pglog.StatePeering | pglog.StateActivating) }, func(c *whyCase) (string, string, []int32) {
		return "its OSDs are comparing what they have", "if that lasts: 'ceph pg PGID query'", nil
	}},
	{"wait", func(c *whyCase) bool { return c.has(pglog.StateWait) }, func(c *whyCase) (string, string, []int32) {
		return "an earlier primary may still answer reads: its lease has to run out first", "", nil
	}},
	{"laggy", func(c *whyCase) bool { return c.has(pglog.StateLaggy) }, func(c *whyCase) (string, string, []int32) {
		return "its primary may not answer reads, as its lease is not being renewed by " + c.names(c.members()), "look whether the network or a disk among these is slow", c.members()
	}},
	{"unfound", func(c *whyCase) bool {
		return c.any(pglog.StateRecoveryUnfound|pglog.StateBackfillUnfound) || c.s.Stats.Sum.NumObjectsUnfound > 0
	}, func(c *whyCase) (string, string, []int32) {
		who := c.anyDown()
		do := "name them with 'ceph pg PGID list_unfound'; give them up with 'ceph pg PGID mark_unfound_lost revert|delete'"
		if len(who) > 0 {
			do = "start " + c.names(who) + ", where they may be; " + do
		}
		return fmt.Sprintf("the newest version of %s is on no OSD that can be reached", count(c.s.Stats.Sum.NumObjectsUnfound, "object", "objects")), do, who
	}},
	{"inactive", func(c *whyCase) bool { return !c.has(pglog.StateActive) }, func(c *whyCase) (string, string, []int32) {
		return fmt.Sprintf("%s, and clients need %d (min_size)", c.lack(), c.pool.MinSize), c.replace(), c.down
	}},
	{"full", func(c *whyCase) bool { return c.any(pglog.StateRecoveryTooFull | pglog.StateBackfillTooFull) }, func(c *whyCase) (string, string, []int32) {
		who, ratio, name := c.full()
		return fmt.Sprintf("no room for more, beyond the %s of %.2f: %s", name, ratio, c.names(who)),
			"add OSDs, remove data, or raise the ratio a little with 'ceph osd set-" + name + "'", who
	}},
	{"held back", func(c *whyCase) bool { return c.heldBack() != "" }, func(c *whyCase) (string, string, []int32) {
		flag := c.heldBack()
		return fmt.Sprintf("the flag %s is set", flag), "'ceph osd unset " + flag + "'", nil
	}},
	{"recovering", func(c *whyCase) bool { return c.has(pglog.StateRecovering) }, func(c *whyCase) (string, string, []int32) {
		return c.left("recovered"), "", nil
	}},
	{"backfilling", func(c *whyCase) bool { return c.has(pglog.StateBackfilling) }, func(c *whyCase) (string, string, []int32) {
		return c.left("copied to " + c.toWhom()), "", c.targets()
	}},
	{"waiting its turn", func(c *whyCase) bool { return c.any(recovers | backfills) }, func(c *whyCase) (string, string, []int32) {
		verb, force := "recovery", "force-recovery"
		if c.has(pglog.StateBackfillWait) {
			verb, force = "backfill", "force-backfill"
		}
		return "it waits its turn: its OSDs are busy with the " + verb + " of other PGs", "to have it first: 'ceph pg " + force + " PGID'", nil
	}},
	{"undersized", func(c *whyCase) bool { return c.has(pglog.StateUndersized) }, func(c *whyCase) (string, string, []int32) {
		return c.lack(), c.replace(), c.down
	}},
	{"degraded", func(c *whyCase) bool { return c.has(pglog.StateDegraded) }, func(c *whyCase) (string, string, []int32) {
		return c.left("recovered") + ", which begins in a moment", "", nil
	}},
	{"remapped", func(c *whyCase) bool { return c.has(pglog.StateRemapped) && !c.has(pglog.StateClean) }, func(c *whyCase) (string, string, []int32) {
		return "others than those it belongs on serve it, until these have all objects: " + c.toWhom(), "", c.targets()
	}},
	{"inconsistent", func(c *whyCase) bool { return c.any(pglog.StateInconsistent | pglog.StateFailedRepair) }, func(c *whyCase) (string, string, []int32) {
		return fmt.Sprintf("scrubbing found copies that differ (%s)", count(c.s.Stats.Sum.NumScrubErrors, "error", "errors")),
			"see 'rados list-inconsistent-obj PGID', then 'ceph pg repair PGID'", nil
	}},
	{"snapshots", func(c *whyCase) bool { return c.has(pglog.StateSnapTrimError) }, func(c *whyCase) (string, string, []int32) {
		return "objects of deleted snapshots could not be removed", "look at the log of " + ids([]int32{c.s.ActingPrimary}), []int32{c.s.ActingPrimary}
	}},
	{"settling", func(c *whyCase) bool { return !c.has(pglog.StateClean) }, func(c *whyCase) (string, string, []int32) {
		return "it is about to become clean", "", nil
	}},
}

// blockers are the OSDs that the PG's primary says it waits for, or else those that
// it belongs on and that are down.
func (c *whyCase) blockers() []int32 {
	if len(c.blockedBy) > 0 {
		return c.blockedBy
	}
	return c.down
}

// heldBack names the flag that keeps objects from being moved, if one does.
func (c *whyCase) heldBack() string {
	switch {
	case c.any(recovers):
		return c.flag(osdmap.FlagNoRecover, osdmap.FlagPauseRec)
	case c.any(backfills):
		if f := c.flag(osdmap.FlagNoBackfill, osdmap.FlagNoRecover, osdmap.FlagPauseRec); f != "" {
			return f
		}
		if !c.has(pglog.StateDegraded) {
			return c.flag(osdmap.FlagNoRebalance)
		}
	}
	return ""
}

// full finds the members that are too full, and by what ratio.
func (c *whyCase) full() (who []int32, ratio float32, name string) {
	bits, ratio, name := osdmap.OSDFull|osdmap.OSDBackfillFull, c.om.BackfillFullRatio, "backfillfull-ratio"
	if c.has(pglog.StateRecoveryTooFull) {
		bits, ratio, name = osdmap.OSDFull, c.om.FullRatio, "full-ratio"
	}
	all := append(slices.Clone(c.s.Up), c.members()...)
	slices.Sort(all)
	for _, osd := range slices.Compact(all) {
		if c.om.Exists(osd) && c.om.OSDState[osd]&bits != 0 {
			who = append(who, osd)
		}
	}
	if who == nil {
		who = c.targets() // their state was told to the primary, not to the monitors yet
	}
	if len(who) == 0 {
		who = c.members()
	}
	return who, ratio, name
}

// left says how many objects there are to go.
func (c *whyCase) left(verb string) string {
	sum := &c.s.Stats.Sum
	switch {
	case sum.NumObjectsDegraded > 0:
		return count(sum.NumObjectsDegraded, "copy", "copies") + " of its objects still to be " + verb
	case sum.NumObjectsMisplaced > 0:
		return count(sum.NumObjectsMisplaced, "copy", "copies") + " of its objects still to be " + verb
	}
	return "the last objects are being " + verb
}

func (c *whyCase) toWhom() string {
	if t := c.targets(); len(t) > 0 {
		return c.names(t)
	}
	return "its members"
}
