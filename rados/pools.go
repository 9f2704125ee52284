package rados

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"sepiola/message"
	"sepiola/osdmap"
	"sepiola/pglog"
)

// PoolInfo names a pool.
type PoolInfo struct {
	ID   int64
	Name string
}

// Pools returns the pools in the map at hand, by number.
func (c *Client) Pools() []PoolInfo {
	m := c.Map()
	var out []PoolInfo
	for _, id := range m.PoolIDs() {
		out = append(out, PoolInfo{id, m.PoolNames[id]})
	}
	return out
}

// PoolStats are the statistics of a pool.
type PoolStats struct {
	pglog.ObjectStatSum
	// AllocatedBytes is the space taken on all OSDs; CompressedAllocated and
	// CompressedOriginal that of compressed data, and its size before.
	AllocatedBytes                          uint64
	CompressedAllocated, CompressedOriginal uint64
}

// PoolStats returns the statistics of pools by name, as the monitors know them; they
// lag by seconds. Pools that do not exist are left out.
func (c *Client) PoolStats(ctx context.Context, pools []string) (map[string]PoolStats, error) {
	ctx, cancel := c.monTimeout(ctx)
	defer cancel()
	b, err := c.mon.Call(ctx, func(tid uint64) message.Body {
		return &message.GetPoolStats{TID: tid, FSID: c.FSID(), Pools: pools}
	})
	if err != nil {
		return nil, err
	}
	reply, ok := b.(*message.GetPoolStatsReply)
	if !ok {
		return nil, fmt.Errorf("a request for statistics was answered by a %s", message.TypeName(b.Type()))
	}
	out := make(map[string]PoolStats, len(reply.Stats))
	for name, s := range reply.Stats {
		out[name] = poolStats(&s, reply.PerPool)
	}
	return out, nil
}

// poolStats sums a pool up as librados does (pool_stat_t::get_allocated_data_bytes
// and its kin in osd_types.h).
func poolStats(s *pglog.PoolStat, perPool bool) PoolStats {
	out := PoolStats{ObjectStatSum: s.Stats.Sum,
		CompressedAllocated: uint64(s.StoreStats.DataCompressedAllocated), CompressedOriginal: uint64(s.StoreStats.DataCompressedOriginal)}
	if perPool {
		out.AllocatedBytes = uint64(s.StoreStats.Allocated + s.StoreStats.OmapAllocated)
	} else {
		out.AllocatedBytes = uint64(s.Stats.Sum.NumBytes + s.Stats.Sum.NumBytesHitSetArchive + s.Stats.Sum.NumOmapBytes)
	}
	return out
}

// Statfs is the space of the cluster's OSDs in KiB, and its number of objects.
type Statfs struct{ KB, UsedKB, AvailKB, Objects uint64 }

// Statfs returns the cluster's space; it lags by seconds.
func (c *Client) Statfs(ctx context.Context) (Statfs, error) {
	ctx, cancel := c.monTimeout(ctx)
	defer cancel()
	b, err := c.mon.Call(ctx, func(tid uint64) message.Body {
		return &message.Statfs{TID: tid, FSID: c.FSID()}
	})
	if err != nil {
		return Statfs{}, err
	}
	reply, ok := b.(*message.StatfsReply)
	if !ok {
		return Statfs{}, fmt.Errorf("a request for the space was answered by a %s", message.TypeName(b.Type()))
	}
	return Statfs{reply.KB, reply.UsedKB, reply.AvlKB, reply.Objects}, nil
}

// monJSON carries out a monitor command given by its fields, and waits for the map
// that shows its effect.
func (c *Client) monJSON(ctx context.Context, fields map[string]any) error {
	cmd, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	if _, _, err := c.MonCommand(ctx, string(cmd), nil); err != nil {
		return err
	}
	return c.RefreshMap(ctx)
}

// CreatePool creates a replicated pool with the cluster's defaults; pgNum 0 leaves
// the number of placement groups to them, too. A pool of that name is EEXIST.
func (c *Client) CreatePool(ctx context.Context, name string, pgNum int) error {
	if _, ok := c.Map().PoolID(name); ok {
		return errExists
	}
	fields := map[string]any{"prefix": "osd pool create", "pool": name}
	if pgNum > 0 {
		fields["pg_num"] = pgNum
	}
	return c.monJSON(ctx, fields)
}

// DeletePool deletes a pool with all its objects, if the monitors allow that
// (mon_allow_pool_delete).
func (c *Client) DeletePool(ctx context.Context, name string) error {
	return c.monJSON(ctx, map[string]any{"prefix": "osd pool delete", "pool": name, "pool2": name,
		"yes_i_really_really_mean_it": true})
}

// Snaps returns the pool's snapshots, oldest first.
func (x *IOCtx) Snaps() []osdmap.PoolSnapInfo {
	pool := x.c.Map().Pools[x.pool]
	if pool == nil {
		return nil
	}
	var out []osdmap.PoolSnapInfo
	for _, s := range pool.Snaps {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b osdmap.PoolSnapInfo) int { return int(int64(a.ID) - int64(b.ID)) })
	return out
}

// snapExists reports whether the map at hand has a snapshot of that name. The
// monitors take repeated requests for done, so it is for us to tell.
func (x *IOCtx) snapExists(name string) bool {
	return slices.ContainsFunc(x.Snaps(), func(s osdmap.PoolSnapInfo) bool { return s.Name == name })
}

// CreateSnap makes a snapshot of the pool. One that exists is EEXIST.
func (x *IOCtx) CreateSnap(ctx context.Context, name string) error {
	if x.snapExists(name) {
		return errExists
	}
	return x.poolOp(ctx, message.PoolOpCreateSnap, name)
}

// RemoveSnap removes a snapshot of the pool. One that does not exist is ENOENT.
func (x *IOCtx) RemoveSnap(ctx context.Context, name string) error {
	if !x.snapExists(name) {
		return errNoEntry
	}
	return x.poolOp(ctx, message.PoolOpDeleteSnap, name)
}

func (x *IOCtx) poolOp(ctx context.Context, op message.PoolOpCode, name string) error {
	c := x.c
	ctx, cancel := c.monTimeout(ctx)
	defer cancel()
	b, err := c.mon.Call(ctx, func(tid uint64) message.Body {
		return &message.PoolOp{TID: tid, FSID: c.FSID(), Pool: uint32(x.pool), Name: name, Op: op, CrushRule: -1}
	})
	if err != nil {
		return err
	}
	reply, ok := b.(*message.PoolOpReply)
	switch {
	case !ok:
		return fmt.Errorf("a pool operation was answered by a %s", message.TypeName(b.Type()))
	case reply.Code < 0:
		return Errno(-reply.Code)
	}
	return c.waitMap(ctx, reply.Epoch)
}
