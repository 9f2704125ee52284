package peering

import (
	"cmp"
	"math"
	"slices"

	"sepiola/pglog"
)

// Async says which members may be brought up to date outside of the acting set, as
// doc/dev/osd_internals/async_recovery.rst has it. The zero value says none.
type Async struct {
	// MinCost: members that lack more objects than that are taken out
	// (osd_async_recovery_min_cost). 0: nobody is.
	MinCost uint64
	// MinSize is how many must act in any case (the pool's min_size).
	MinSize int
	// MayPeer reports whether these OSDs may serve without the others; nil says
	// that all may. Pools bound to sites need [osdmap.Map.StretchCanPeer].
	MayPeer func(acting []int32) bool
}

// recoveryCost estimates how many objects a copy lacks: what it is known to miss,
// and the entries that its log lacks, or has too many.
func recoveryCost(i, auth *pglog.Info) uint64 {
	missing := uint64(max(i.Stats.Stats.Sum.NumObjectsMissing, 0))
	a, b := auth.LastUpdate.V, i.LastUpdate.V
	entries := max(a, b) - min(a, b)
	return entries + min(missing, math.MaxUint64-entries)
}

// takeOutLagging takes up members out of the acting set whose recovery costs too
// much to wait for, the costliest first, while enough are left
// (choose_async_recovery_replicated). Members that are not up stay, since outside of
// the acting set they would be strays. So does the primary, which leads the
// recovery of all; Ceph takes it out too, if it misses so much itself.
func (c *Choice) takeOutLagging(in Infos, auth int32, up []int32, async Async) {
	if async.MinCost == 0 {
		return
	}
	cost := func(osd int32) uint64 { return recoveryCost(in[osd], in[auth]) }
	lagging := slices.DeleteFunc(slices.Clone(c.Acting[1:]), func(osd int32) bool {
		return !slices.Contains(up, osd) || cost(osd) <= async.MinCost
	})
	slices.SortFunc(lagging, func(a, b int32) int {
		return cmp.Or(cmp.Compare(cost(b), cost(a)), cmp.Compare(b, a))
	})
	for _, osd := range lagging {
		if len(c.Acting) <= async.MinSize {
			return
		}
		rest := slices.DeleteFunc(slices.Clone(c.Acting), func(o int32) bool { return o == osd })
		if async.MayPeer != nil && !async.MayPeer(rest) {
			continue
		}
		c.Acting = rest
		c.AsyncRecovery = append(c.AsyncRecovery, osd)
	}
}
