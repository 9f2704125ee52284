package backfill

// Bases of priorities, the higher the more urgent, and the highest of each kind
// (OSD_RECOVERY_PRIORITY_* in osd_types.h). What blocks clients comes first, then
// copies that are lacking, then those in the wrong place.
const (
	prioBackfill         = 100
	prioBackfillDegraded = 140
	prioRecovery         = 180
	prioInactive         = 220
	prioMax              = 253
	prioBackfillForced   = 254
	prioRecoveryForced   = 255

	// poolPrioMax bounds a pool's recovery_priority on either side of 0.
	poolPrioMax = 10
)

// Need is what the urgency of a PG's recovery or backfill follows from.
type Need struct {
	Forced   bool // ceph osd force-recovery or force-backfill
	Degraded bool // there are fewer copies of some objects than there should be
	// Whole is the number of acting copies that miss nothing, Acting of all.
	Whole, Acting int
	Size, MinSize int
	// PoolPriority is the pool's recovery_priority, -10 to 10.
	PoolPriority int
}

// RecoveryPriority is the urgency of recovery (PeeringState::get_recovery_priority).
func RecoveryPriority(n Need) uint32 {
	switch {
	case n.Forced:
		return prioRecoveryForced
	case n.Degraded && n.Whole < n.MinSize:
		return clamp(prioInactive+n.MinSize-n.Whole, prioMax, n.PoolPriority)
	}
	return clamp(prioRecovery, prioInactive-1, n.PoolPriority)
}

// BackfillPriority is the urgency of backfill (PeeringState::get_backfill_priority).
func BackfillPriority(n Need) uint32 {
	switch {
	case n.Forced:
		return prioBackfillForced
	case n.Acting < n.MinSize:
		return clamp(prioInactive+n.MinSize-n.Acting, prioMax, n.PoolPriority)
	case n.Acting < n.Size:
		return clamp(prioBackfillDegraded+n.Size-n.Acting, prioRecovery-1, n.PoolPriority)
	case n.Degraded:
		return clamp(prioBackfillDegraded, prioRecovery-1, n.PoolPriority)
	}
	return clamp(prioBackfill, prioBackfillDegraded-1, n.PoolPriority)
}

// clamp adds what the pool's priority makes of 0 to 20.
func clamp(prio, most, pool int) uint32 {
	pool = max(-poolPrioMax, min(pool, poolPrioMax)) + poolPrioMax
	return uint32(min(prio+pool, most))
}
