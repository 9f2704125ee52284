package ops

import (
	"sepiola/message"
	"sepiola/object"
	"sepiola/pglog"
	"sepiola/wire"
)

var miscOps = map[message.OSDOpCode]handler{
	message.OpAssertVer:    assertVersion,
	message.OpListSnaps:    listSnaps,
	message.OpListWatchers: listWatchers,
	message.OpIsDirty:      isDirty,
	message.OpUndirty:      undirty,
	message.OpTmapGet:      tmapGet,
	message.OpTmapPut:      notSupported,
	message.OpTmapUp:       notSupported,
	message.OpTmap2Omap:    notSupported,

	// Manifests and cache tiers are not served.
	message.OpSetRedirect:   notSupported,
	message.OpSetChunk:      notSupported,
	message.OpUnsetManifest: notSupported,
	message.OpTierPromote:   notSupported,
	message.OpTierFlush:     notSupported,
	message.OpTierEvict:     notSupported,

	// What only a cache tier understands, the OSD refuses on any other pool.
	message.OpCacheFlush:    cacheOnly,
	message.OpCacheTryFlush: cacheOnly,
	message.OpCacheEvict:    cacheOnly,
	message.OpCachePin:      cacheOnly,
	message.OpCacheUnpin:    cacheOnly,
}

func cacheOnly(*Context, *message.SubOp) int32 { return EInval }

func assertVersion(c *Context, op *message.SubOp) int32 {
	c.reads++
	want, have := op.Args.AssertVersion(), c.New.Info.UserVersion
	switch {
	case want == 0:
		return EInval
	case want < have:
		return ERange
	case want > have:
		return EOverflow
	}
	return 0
}

// listSnaps encodes obj_list_snap_response_t (src/include/rados/rados_types.hpp):
// the clones and, last, the head.
func listSnaps(c *Context, op *message.SubOp) int32 {
	c.reads++
	ss := &c.New.SnapSet
	head := c.New.Readable()
	e := wire.NewEncoder(128)
	m := e.Begin(2, 1)
	n := len(ss.Clones)
	if head {
		n++
	}
	e.U32(uint32(n))
	for _, clone := range ss.Clones {
		snaps, ok1 := ss.CloneSnaps[clone]
		overlap, ok2 := ss.CloneOverlap[clone]
		size, ok3 := ss.CloneSize[clone]
		if !ok1 || !ok2 || !ok3 {
			return EInval
		}
		encodeClone(e, clone, snaps, overlap, size)
	}
	if head {
		encodeClone(e, object.NoSnap, nil, nil, c.New.Info.Size)
	}
	e.U64(uint64(ss.Seq))
	e.End(m)
	op.Out = wire.BufOf(e.Bytes())
	c.Delta.NumRd++
	return 0
}

// encodeClone appends clone_info; snaps are stored newest first and listed oldest
// first.
func encodeClone(e *wire.Encoder, id object.SnapID, snaps []object.SnapID, overlap pglog.IntervalSet, size uint64) {
	m := e.Begin(1, 1)
	e.U64(uint64(id))
	e.U32(uint32(len(snaps)))
	for i := range snaps {
		e.U64(uint64(snaps[len(snaps)-1-i]))
	}
	e.U32(uint32(len(overlap)))
	for _, r := range overlap {
		e.U64(r.Start)
		e.U64(r.Len)
	}
	e.U64(size)
	e.End(m)
}

// listWatchers encodes obj_list_watch_response_t (src/osd/osd_types.h).
func listWatchers(c *Context, op *message.SubOp) int32 {
	c.reads++
	oi := &c.New.Info
	e := wire.NewEncoder(64)
	m := e.Begin(1, 1)
	keys := oi.WatchKeys()
	e.U32(uint32(len(keys)))
	for _, k := range keys {
		w := oi.Watchers[k]
		item := e.Begin(2, 1)
		k.Name.Encode(e)
		e.U64(k.Cookie)
		e.U32(w.TimeoutSeconds)
		w.Addr.Encode(e)
		e.End(item)
	}
	e.End(m)
	op.Out = wire.BufOf(e.Bytes())
	c.Delta.NumRd++
	return 0
}

func isDirty(c *Context, op *message.SubOp) int32 {
	c.reads++
	e := wire.NewEncoder(1)
	e.Bool(c.New.Info.Has(pglog.OIDirty))
	op.Out = wire.BufOf(e.Bytes())
	c.Delta.NumRd++
	return 0
}

// undirty has an effect on tiers only: elsewhere every change marks the object
// dirty again.
func undirty(c *Context, _ *message.SubOp) int32 {
	c.writes++
	if c.Pool.TierOf < 0 && c.New.Info.Has(pglog.OIDirty) {
		c.New.Info.Clear(pglog.OIDirty)
		c.Delta.NumObjectsDirty--
		c.Delta.NumWr++
		c.Modify = true
	}
	return 0
}

func tmapGet(c *Context, op *message.SubOp) int32 {
	op.Args = message.Extent{}.Args()
	return read(c, op)
}
