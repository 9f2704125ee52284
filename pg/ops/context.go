package ops

import (
	"errors"
	"syscall"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/osdmap"
	"sepiola/pglog"
	"sepiola/wire"
)

// Limits are the options that bound operations, named as Ceph's.
type Limits struct {
	MaxObjectSize       uint64 // osd max object size, bytes
	MaxObjectNameLen    int    // osd max object name len
	MaxNamespaceLen     int    // osd max object namespace len
	MaxAttrSize         uint64 // osd max attr size, bytes; 0 for no limit
	MaxAttrNameLen      uint32 // osd max attr name len
	MaxOmapEntries      uint64 // osd max omap entries per request
	MaxOmapBytes        int    // osd max omap bytes per request
	MaxWriteSize        int    // osd max write size, bytes of payload per request
	MaxWriteOpReply     int    // osd max write op reply len, bytes
	MaxPGLs             int    // osd max pgls
	ClientWatchTimeout  uint32 // osd client watch timeout, seconds
	DefaultNotifyExpiry uint32 // osd default notify timeout, seconds
	MaxWatchers         int    // of one object; Ceph has no limit
	MaxTransfer         int    // bytes one request may read, or write; Ceph has no limit
}

// DefaultLimits returns Ceph 16's defaults.
func DefaultLimits() Limits {
	return Limits{
		MaxObjectSize:       128 << 20,
		MaxObjectNameLen:    2048,
		MaxNamespaceLen:     256,
		MaxAttrNameLen:      100,
		MaxOmapEntries:      1024,
		MaxOmapBytes:        1 << 30,
		MaxWriteSize:        90 << 20,
		MaxWriteOpReply:     64,
		MaxPGLs:             1024,
		ClientWatchTimeout:  30,
		DefaultNotifyExpiry: 30,
		MaxWatchers:         1 << 14,
		MaxTransfer:         512 << 20,
	}
}

// State is what is known of an object besides its content (ObjectState and
// SnapSetContext).
type State struct {
	Exists  bool
	Info    pglog.ObjectInfo
	SnapSet pglog.SnapSet
}

// Readable reports whether there is an object to read: it exists and is not a
// whiteout, the placeholder of a deleted head that has clones.
func (s *State) Readable() bool { return s.Exists && !s.Info.Has(pglog.OIWhiteout) }

// Context is one request being executed on one object.
type Context struct {
	// Given by the caller.
	Reader  objectstore.Reader
	Coll    objectstore.Coll
	Object  object.ID
	Pool    *osdmap.Pool
	Limits  *Limits
	Classes Classes
	Req     *message.OSDOp
	ReqID   pglog.ReqID
	// Client and ClientAddr are who watches, where the request is about watches.
	Client     entity.Name
	ClientAddr entity.Addr
	// Watches knows the object's watchers; nil if there are none.
	Watches Watches
	// Copies are the sources of the request's copies, in order; see [Fetches].
	Copies []*Fetched
	// Old is the state before the request; it is not changed.
	Old *State

	// Results.
	New State
	// Tx receives the changes of content. Metadata is the caller's to add.
	Tx *objectstore.Transaction
	// Modify says that there is a change although Tx is empty; UserModify that the
	// user version moves on.
	Modify, UserModify bool
	Delta              pglog.ObjectStatSum
	Watch              WatchEffects
	Clean              pglog.CleanRegions
	BytesRead          int
	BytesWritten       int
	// DataOff is the offset of the first read, for the reply's header.
	DataOff    uint64
	hasDataOff bool

	// CopiedVersion is the user version that came with a copy; 0 for none.
	CopiedVersion uint64
	copied        int

	reads, writes int // of the object so far, to hold class methods to their flags
}

// gid is the object's id in the store.
func (c *Context) gid() object.GID { return object.G(c.Object) }

// handler executes one operation and returns its result: 0, a count, or a negative
// errno.
type handler func(c *Context, op *message.SubOp) int32

var table = func() map[message.OSDOpCode]handler {
	all := make(map[message.OSDOpCode]handler)
	for _, family := range []map[message.OSDOpCode]handler{
		dataReads, dataWrites, attrOps, omapOps, miscOps, execOps, watchOps, copyOps,
	} {
		for code, h := range family {
			all[code] = h
		}
	}
	return all
}()

// quietWrites are changes that a user does not see: the user version stays.
var quietWrites = map[message.OSDOpCode]bool{
	message.OpWatch: true, message.OpCacheEvict: true, message.OpCacheFlush: true,
	message.OpCacheTryFlush: true, message.OpUndirty: true, message.OpCopyFrom: true,
	message.OpCopyFrom2: true, message.OpCachePin: true, message.OpCacheUnpin: true,
	message.OpSetRedirect: true, message.OpSetChunk: true, message.OpTierPromote: true,
	message.OpTierFlush: true, message.OpTierEvict: true,
}

// Run executes the operations in order, filling RVal and Out of each, and returns
// the request's result: 0 or the last operation's count, or the first error that
// was not allowed.
func (c *Context) Run(list []message.SubOp) int32 {
	result, output := int32(0), 0
	for i := range list {
		op := &list[i]
		if op.Op.Writes() && !quietWrites[op.Op] {
			c.UserModify = true
		}
		result = c.runOne(op)
		op.RVal = result
		// A short request can ask for more than fits into memory, or than can be read
		// while others wait.
		if output += op.Out.Len(); max(output, c.BytesRead, c.BytesWritten) > c.Limits.MaxTransfer {
			op.Out, op.RVal = nil, EWriteTooBig
			return EWriteTooBig
		}
		if result < 0 && op.Flags&message.OpFlagFailOK != 0 && result != EAgain {
			result = 0
		}
		if result < 0 {
			return result
		}
	}
	return result
}

func (c *Context) runOne(op *message.SubOp) int32 {
	h, ok := table[op.Op]
	if !ok {
		return EOpNotSupp
	}
	if op.Op.UsesExtent() {
		// A truncation to nowhere, as old clients send it, is none.
		if x := op.Args.Extent(); x.TruncateSeq == 1 && x.TruncateSize == ^uint64(0) {
			x.TruncateSeq, x.TruncateSize = 0, 0
			op.Args = x.Args()
		}
	}
	return h(c, op)
}

// create makes the object exist before it is changed.
func (c *Context) create() {
	switch {
	case !c.New.Exists:
		c.Delta.NumObjects++
		c.New.Exists = true
		c.forgetDigests()
		c.Tx.Touch(c.Coll, c.gid())
	case c.New.Info.Has(pglog.OIWhiteout):
		c.New.Info.Flags &^= pglog.OIWhiteout
		c.Delta.NumWhiteouts--
	}
}

// forgetDigests drops the checksums of an object that begins anew.
func (c *Context) forgetDigests() {
	c.New.Info.ClearDataDigest()
	c.New.Info.ClearOmapDigest()
}

// touch records a change of metadata alone.
func (c *Context) touch() { c.Modify = true }

// checkRange refuses ranges beyond the largest object.
func (c *Context) checkRange(off, n uint64) int32 {
	m := c.Limits.MaxObjectSize
	if off >= m || n > m || off+n > m {
		return EFBig
	}
	return 0
}

// Results as they travel: negative errno values (Linux).
const (
	EPerm        = -int32(syscall.EPERM)
	ENoEnt       = -int32(syscall.ENOENT)
	EIO          = -int32(syscall.EIO)
	EAgain       = -int32(syscall.EAGAIN)
	EBusy        = -int32(syscall.EBUSY)
	EExist       = -int32(syscall.EEXIST)
	EInval       = -int32(syscall.EINVAL)
	ENFile       = -int32(syscall.ENFILE)
	EFBig        = -int32(syscall.EFBIG)
	ENoSpc       = -int32(syscall.ENOSPC)
	ERange       = -int32(syscall.ERANGE)
	ENameTooLong = -int32(syscall.ENAMETOOLONG)
	ENoData      = -int32(syscall.ENODATA)
	EOverflow    = -int32(syscall.EOVERFLOW)
	EOpNotSupp   = -int32(syscall.EOPNOTSUPP)
	ENoSys       = -int32(syscall.ENOSYS)
	ENotConn     = -int32(syscall.ENOTCONN)
	ETimedOut    = -int32(syscall.ETIMEDOUT)
	ECanceled    = -int32(syscall.ECANCELED)
	EDQuot       = -int32(syscall.EDQUOT)
	EOldSnapc    = -message.EOldSnapContext
	EBlocklisted = -message.EBlocklisted
	// EWriteTooBig is OSD_WRITETOOBIG, the answer to a payload over the limit.
	EWriteTooBig = -int32(syscall.EMSGSIZE)
	// maxErrno is where the offsets of mismatches begin (MAX_ERRNO).
	maxErrno = 4095
)

// fromStore turns a store's error into a result.
func fromStore(err error) int32 {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, objectstore.ErrNotFound):
		return ENoEnt
	case errors.Is(err, objectstore.ErrNoAttr):
		return ENoData
	case errors.Is(err, objectstore.ErrNameTooBig):
		return ENameTooLong
	}
	return EIO
}

// kb rounds bytes up to KiB, as statistics count them.
func kb(n uint64) int64 { return int64((n + 1023) >> 10) }

// input returns a decoder over an operation's input.
func input(op *message.SubOp) *wire.Decoder { return wire.NewDecoder(op.In.Flat()) }
