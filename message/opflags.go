package message

import "strings"

// OpFlags are the flags of a whole [OSDOp] or [OSDOpReply] (CEPH_OSD_FLAG_*).
type OpFlags uint32

// The flags of a whole operation.
const (
	FlagAck                OpFlags = 0x1       // reply when applied; every reply is durable now
	FlagOnNVRAM            OpFlags = 0x2       // obsolete
	FlagOnDisk             OpFlags = 0x4       // reply when durable
	FlagRetry              OpFlags = 0x8       // this is a resend
	FlagRead               OpFlags = 0x10      // may read
	FlagWrite              OpFlags = 0x20      // may write
	FlagOrderSnap          OpFlags = 0x40      // refuse a snapshot context older than the object's: EOLDSNAPC
	FlagPeerStatOld        OpFlags = 0x80      // obsolete
	FlagBalanceReads       OpFlags = 0x100     // any replica may serve the read
	FlagParallelExec       OpFlags = 0x200     // obsolete
	FlagPGOp               OpFlags = 0x400     // concerns a placement group, not an object
	FlagExec               OpFlags = 0x800     // may call a class
	FlagExecPublic         OpFlags = 0x1000    // obsolete
	FlagLocalizeReads      OpFlags = 0x2000    // the nearest replica may serve the read
	FlagRWOrdered          OpFlags = 0x4000    // order reads with writes
	FlagIgnoreCache        OpFlags = 0x8000    // bypass cache tiering
	FlagSkipRWLocks        OpFlags = 0x10000   // take no object lock
	FlagIgnoreOverlay      OpFlags = 0x20000   // bypass the pool's overlay
	FlagFlush              OpFlags = 0x40000   // part of a cache flush
	FlagMapSnapClone       OpFlags = 0x80000   // the snapshot id names a clone
	FlagEnforceSnapContext OpFlags = 0x100000  // use the given snapshot context even with pool snapshots
	FlagRedirected         OpFlags = 0x200000  // was redirected
	FlagKnownRedirect      OpFlags = 0x400000  // the sender knows redirects
	FlagFullTry            OpFlags = 0x800000  // try although the cluster or pool is full
	FlagFullForce          OpFlags = 0x1000000 // do it although the cluster or pool is full
	FlagIgnoreRedirect     OpFlags = 0x2000000 // do not follow a redirect
	FlagReturnVec          OpFlags = 0x4000000 // return results and outputs of writes, too
)

var opFlagNames = []struct {
	flag OpFlags
	name string
}{
	{FlagAck, "ack"},
	{FlagOnNVRAM, "onnvram"},
	{FlagOnDisk, "ondisk"},
	{FlagRetry, "retry"},
	{FlagRead, "read"},
	{FlagWrite, "write"},
	{FlagOrderSnap, "ordersnap"},
	{FlagPeerStatOld, "peerstat_old"},
	{FlagBalanceReads, "balance_reads"},
	{FlagParallelExec, "parallelexec"},
	{FlagPGOp, "pgop"},
	{FlagExec, "exec"},
	{FlagExecPublic, "exec_public"},
	{FlagLocalizeReads, "localize_reads"},
	{FlagRWOrdered, "rwordered"},
	{FlagIgnoreCache, "ignore_cache"},
	{FlagSkipRWLocks, "skiprwlocks"},
	{FlagIgnoreOverlay, "ignore_overlay"},
	{FlagFlush, "flush"},
	{FlagMapSnapClone, "map_snap_clone"},
	{FlagEnforceSnapContext, "enforce_snapc"},
	{FlagRedirected, "redirected"},
	{FlagKnownRedirect, "known_redir"},
	{FlagFullTry, "full_try"},
	{FlagFullForce, "full_force"},
	{FlagIgnoreRedirect, "ignore_redirect"},
	{FlagReturnVec, "returnvec"},
}

// String returns the names of the flags that are set, joined by "+", as
// ceph_osd_flag_string does; "-" for none.
func (f OpFlags) String() string {
	var parts []string
	for _, n := range opFlagNames {
		if f&n.flag != 0 {
			parts = append(parts, n.name)
		}
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, "+")
}

// SubOpFlags are the flags of one operation (CEPH_OSD_OP_FLAG_*).
type SubOpFlags uint32

// The flags of one operation.
const (
	OpFlagExcl              SubOpFlags = 0x1 // create: fail with EEXIST if the object exists
	OpFlagFailOK            SubOpFlags = 0x2 // go on with the next operation if this one fails
	OpFlagFadviseRandom     SubOpFlags = 0x4
	OpFlagFadviseSequential SubOpFlags = 0x8
	OpFlagFadviseWillNeed   SubOpFlags = 0x10
	OpFlagFadviseDontNeed   SubOpFlags = 0x20
	OpFlagFadviseNoCache    SubOpFlags = 0x40
	OpFlagWithReference     SubOpFlags = 0x80
	OpFlagBypassCleanCache  SubOpFlags = 0x100
)

// Comparisons of [OpCmpXattr] and OMAP_CMP (CEPH_OSD_CMPXATTR_OP_*).
const (
	CmpEQ  uint8 = 1
	CmpNE  uint8 = 2
	CmpGT  uint8 = 3
	CmpGTE uint8 = 4
	CmpLT  uint8 = 5
	CmpLTE uint8 = 6
)

// How [OpCmpXattr] reads both values (CEPH_OSD_CMPXATTR_MODE_*).
const (
	CmpModeString uint8 = 1
	CmpModeU64    uint8 = 2
)

// Flags of [OpCopyFrom] (CEPH_OSD_COPY_FROM_FLAG_*).
const (
	CopyFromFlush         uint8 = 1
	CopyFromIgnoreOverlay uint8 = 2
	CopyFromIgnoreCache   uint8 = 4
	CopyFromMapSnapClone  uint8 = 8
	CopyFromRWOrdered     uint8 = 16
	CopyFromTruncateSeq   uint8 = 32
)

// Tmap2OmapNullOK makes [OpTmap2Omap] succeed where there is nothing to convert.
const Tmap2OmapNullOK uint8 = 1

// WatchOp says what an [OpWatch] does (CEPH_OSD_WATCH_OP_*).
type WatchOp uint8

// The steps of a watch.
const (
	WatchUnwatch   WatchOp = 0
	WatchLegacy    WatchOp = 1
	WatchWatch     WatchOp = 3
	WatchReconnect WatchOp = 5
	WatchPing      WatchOp = 7
)

// String returns Ceph's name of the step (ceph_osd_watch_op_name).
func (w WatchOp) String() string {
	switch w {
	case WatchUnwatch:
		return "unwatch"
	case WatchWatch:
		return "watch"
	case WatchReconnect:
		return "reconnect"
	case WatchPing:
		return "ping"
	}
	return "???"
}

// Kinds of checksum of [OpChecksum] (CEPH_OSD_CHECKSUM_OP_TYPE_*).
const (
	ChecksumXXHash32 uint8 = 0
	ChecksumXXHash64 uint8 = 1
	ChecksumCRC32C   uint8 = 2
)

// Flags of [OpSetAllocHint] (CEPH_OSD_ALLOC_HINT_FLAG_*).
const (
	AllocHintSequentialWrite uint32 = 1
	AllocHintRandomWrite     uint32 = 2
	AllocHintSequentialRead  uint32 = 4
	AllocHintRandomRead      uint32 = 8
	AllocHintAppendOnly      uint32 = 16
	AllocHintImmutable       uint32 = 32
	AllocHintShortLived      uint32 = 64
	AllocHintLongLived       uint32 = 128
	AllocHintCompressible    uint32 = 256
	AllocHintIncompressible  uint32 = 512
)

// Errno values of RADOS's own that coincide with others of Linux
// (src/include/rados.h), positive.
const (
	EOldSnapContext int32 = 85  // the writer's snapshot context is older than the object's
	EBlocklisted    int32 = 108 // the client was blocklisted
)
