package message

// OSDOpCode is the code of one operation of an [OSDOp] (CEPH_OSD_OP_* in
// src/include/rados.h). Its high bits say how the operation uses the object.
type OSDOpCode uint16

// The parts of an operation code.
const (
	OpModeMask  OSDOpCode = 0xf000
	OpModeRead  OSDOpCode = 0x1000
	OpModeWrite OSDOpCode = 0x2000
	OpModeRMW   OSDOpCode = 0x3000
	OpModeSub   OSDOpCode = 0x4000
	OpModeCache OSDOpCode = 0x8000

	OpTypeMask OSDOpCode = 0x0f00
	OpTypeData OSDOpCode = 0x0200
	OpTypeAttr OSDOpCode = 0x0300
	OpTypeExec OSDOpCode = 0x0400
	OpTypePG   OSDOpCode = 0x0500
)

// The operation codes.
const (
	// Data, omap, watches, tiering.
	OpRead              OSDOpCode = 0x1201
	OpStat              OSDOpCode = 0x1202
	OpMapExt            OSDOpCode = 0x1203
	OpChecksum          OSDOpCode = 0x121f
	OpMaskTrunc         OSDOpCode = 0x1204
	OpSparseRead        OSDOpCode = 0x1205
	OpNotify            OSDOpCode = 0x1206
	OpNotifyAck         OSDOpCode = 0x1207
	OpAssertVer         OSDOpCode = 0x1208
	OpListWatchers      OSDOpCode = 0x1209
	OpListSnaps         OSDOpCode = 0x120a
	OpSyncRead          OSDOpCode = 0x120b
	OpWrite             OSDOpCode = 0x2201
	OpWriteFull         OSDOpCode = 0x2202
	OpTruncate          OSDOpCode = 0x2203
	OpZero              OSDOpCode = 0x2204
	OpDelete            OSDOpCode = 0x2205
	OpAppend            OSDOpCode = 0x2206
	OpStartSync         OSDOpCode = 0x2207
	OpSetTrunc          OSDOpCode = 0x2208
	OpTrimTrunc         OSDOpCode = 0x2209
	OpTmapUp            OSDOpCode = 0x320a
	OpTmapPut           OSDOpCode = 0x220b
	OpTmapGet           OSDOpCode = 0x120c
	OpCreate            OSDOpCode = 0x220d
	OpRollback          OSDOpCode = 0x220e
	OpWatch             OSDOpCode = 0x220f
	OpOmapGetKeys       OSDOpCode = 0x1211
	OpOmapGetVals       OSDOpCode = 0x1212
	OpOmapGetHeader     OSDOpCode = 0x1213
	OpOmapGetValsByKeys OSDOpCode = 0x1214
	OpOmapSetVals       OSDOpCode = 0x2215
	OpOmapSetHeader     OSDOpCode = 0x2216
	OpOmapClear         OSDOpCode = 0x2217
	OpOmapRmKeys        OSDOpCode = 0x2218
	OpOmapRmKeyRange    OSDOpCode = 0x222c
	OpOmapCmp           OSDOpCode = 0x1219
	OpCopyFrom          OSDOpCode = 0x221a
	OpCopyFrom2         OSDOpCode = 0x222d
	OpUndirty           OSDOpCode = 0x221c
	OpIsDirty           OSDOpCode = 0x121d
	OpCopyGet           OSDOpCode = 0x121e
	OpCacheFlush        OSDOpCode = 0x821f
	OpCacheEvict        OSDOpCode = 0x8220
	OpCacheTryFlush     OSDOpCode = 0x8221
	OpTmap2Omap         OSDOpCode = 0x3222
	OpSetAllocHint      OSDOpCode = 0x2223
	OpCachePin          OSDOpCode = 0x2224
	OpCacheUnpin        OSDOpCode = 0x2225
	OpWriteSame         OSDOpCode = 0x2226
	OpCmpExt            OSDOpCode = 0x1220
	OpSetRedirect       OSDOpCode = 0x2227
	OpSetChunk          OSDOpCode = 0x8228
	OpTierPromote       OSDOpCode = 0x2229
	OpUnsetManifest     OSDOpCode = 0x222a
	OpTierFlush         OSDOpCode = 0x822b
	OpTierEvict         OSDOpCode = 0x822c

	// Attributes.
	OpGetXattr    OSDOpCode = 0x1301
	OpGetXattrs   OSDOpCode = 0x1302
	OpCmpXattr    OSDOpCode = 0x1303
	OpSetXattr    OSDOpCode = 0x2301
	OpSetXattrs   OSDOpCode = 0x2302
	OpResetXattrs OSDOpCode = 0x2303
	OpRmXattr     OSDOpCode = 0x2304

	// Between OSDs, long ago; never in a client's operation.
	OpPull           OSDOpCode = 0x4001
	OpPush           OSDOpCode = 0x4002
	OpBalanceReads   OSDOpCode = 0x4003
	OpUnbalanceReads OSDOpCode = 0x4004
	OpScrub          OSDOpCode = 0x4005
	OpScrubReserve   OSDOpCode = 0x4006
	OpScrubUnreserve OSDOpCode = 0x4007
	OpScrubMap       OSDOpCode = 0x4009

	// Object classes.
	OpCall OSDOpCode = 0x1401

	// Whole placement groups.
	OpPGLs        OSDOpCode = 0x1501
	OpPGLsFilter  OSDOpCode = 0x1502
	OpPGHitSetLs  OSDOpCode = 0x1503
	OpPGHitSetGet OSDOpCode = 0x1504
	OpPGNLs       OSDOpCode = 0x1505
	OpPGNLsFilter OSDOpCode = 0x1506
	OpScrubLs     OSDOpCode = 0x1507
)

var opNames = map[OSDOpCode]string{
	OpRead:              "read",
	OpStat:              "stat",
	OpMapExt:            "mapext",
	OpChecksum:          "checksum",
	OpMaskTrunc:         "masktrunc",
	OpSparseRead:        "sparse-read",
	OpNotify:            "notify",
	OpNotifyAck:         "notify-ack",
	OpAssertVer:         "assert-version",
	OpListWatchers:      "list-watchers",
	OpListSnaps:         "list-snaps",
	OpSyncRead:          "sync_read",
	OpWrite:             "write",
	OpWriteFull:         "writefull",
	OpTruncate:          "truncate",
	OpZero:              "zero",
	OpDelete:            "delete",
	OpAppend:            "append",
	OpStartSync:         "startsync",
	OpSetTrunc:          "settrunc",
	OpTrimTrunc:         "trimtrunc",
	OpTmapUp:            "tmapup",
	OpTmapPut:           "tmapput",
	OpTmapGet:           "tmapget",
	OpCreate:            "create",
	OpRollback:          "rollback",
	OpWatch:             "watch",
	OpOmapGetKeys:       "omap-get-keys",
	OpOmapGetVals:       "omap-get-vals",
	OpOmapGetHeader:     "omap-get-header",
	OpOmapGetValsByKeys: "omap-get-vals-by-keys",
	OpOmapSetVals:       "omap-set-vals",
	OpOmapSetHeader:     "omap-set-header",
	OpOmapClear:         "omap-clear",
	OpOmapRmKeys:        "omap-rm-keys",
	OpOmapRmKeyRange:    "omap-rm-key-range",
	OpOmapCmp:           "omap-cmp",
	OpCopyFrom:          "copy-from",
	OpCopyFrom2:         "copy-from2",
	OpUndirty:           "undirty",
	OpIsDirty:           "isdirty",
	OpCopyGet:           "copy-get",
	OpCacheFlush:        "cache-flush",
	OpCacheEvict:        "cache-evict",
	OpCacheTryFlush:     "cache-try-flush",
	OpTmap2Omap:         "tmap2omap",
	OpSetAllocHint:      "set-alloc-hint",
	OpCachePin:          "cache-pin",
	OpCacheUnpin:        "cache-unpin",
	OpWriteSame:         "write-same",
	OpCmpExt:            "cmpext",
	OpSetRedirect:       "set-redirect",
	OpSetChunk:          "set-chunk",
	OpTierPromote:       "tier-promote",
	OpUnsetManifest:     "unset-manifest",
	OpTierFlush:         "tier-flush",
	OpTierEvict:         "tier-evict",
	OpGetXattr:          "getxattr",
	OpGetXattrs:         "getxattrs",
	OpCmpXattr:          "cmpxattr",
	OpSetXattr:          "setxattr",
	OpSetXattrs:         "setxattrs",
	OpResetXattrs:       "resetxattrs",
	OpRmXattr:           "rmxattr",
	OpPull:              "pull",
	OpPush:              "push",
	OpBalanceReads:      "balance-reads",
	OpUnbalanceReads:    "unbalance-reads",
	OpScrub:             "scrub",
	OpScrubReserve:      "scrub-reserve",
	OpScrubUnreserve:    "scrub-unreserve",
	OpScrubMap:          "scrub-map",
	OpCall:              "call",
	OpPGLs:              "pgls",
	OpPGLsFilter:        "pgls-filter",
	OpPGHitSetLs:        "pg-hitset-ls",
	OpPGHitSetGet:       "pg-hitset-get",
	OpPGNLs:             "pgnls",
	OpPGNLsFilter:       "pgnls-filter",
	OpScrubLs:           "scrubls",
}

// String returns Ceph's name of the operation (ceph_osd_op_name), as it stands
// in logs.
func (c OSDOpCode) String() string {
	if s, ok := opNames[c]; ok {
		return s
	}
	return "???"
}

// Known reports whether the code is one of Ceph 16's.
func (c OSDOpCode) Known() bool {
	_, ok := opNames[c]
	return ok
}

// Reads reports whether the operation reads the object. A class method's code
// does not tell; the method does.
func (c OSDOpCode) Reads() bool { return c&OpModeRead != 0 && c != OpCall }

// Writes reports whether the operation changes the object.
func (c OSDOpCode) Writes() bool { return c&OpModeWrite != 0 }

// IsCache reports whether the operation manages a cache tier.
func (c OSDOpCode) IsCache() bool { return c&OpModeCache != 0 }

// IsData reports whether the operation is of the data family.
func (c OSDOpCode) IsData() bool { return c&OpTypeMask == OpTypeData }

// IsAttr reports whether the operation is of the attribute family.
func (c OSDOpCode) IsAttr() bool { return c&OpTypeMask == OpTypeAttr }

// IsExec reports whether the operation calls an object class.
func (c OSDOpCode) IsExec() bool { return c&OpTypeMask == OpTypeExec }

// IsPG reports whether the operation concerns a whole placement group.
func (c OSDOpCode) IsPG() bool { return c&OpTypeMask == OpTypePG }

// UsesExtent reports whether the operation's arguments are an [Extent]
// (ceph_osd_op_uses_extent).
func (c OSDOpCode) UsesExtent() bool {
	switch c {
	case OpRead, OpMapExt, OpMaskTrunc, OpSparseRead, OpSyncRead, OpWrite, OpWriteFull,
		OpTruncate, OpZero, OpAppend, OpTrimTrunc, OpCmpExt:
		return true
	}
	return false
}
