package message

import (
	"encoding/binary"
	"fmt"

	"sepiola/object"
	"sepiola/wire"
)

// subOpSize is the length of ceph_osd_op: code, flags, arguments, payload length.
const subOpSize = 38

// SubOp is one operation within an [OSDOp] (OSDOp in Ceph).
type SubOp struct {
	Op    OSDOpCode
	Flags SubOpFlags
	// Args are the fixed arguments; which reading of them counts depends on Op.
	Args Args
	// In is the operation's input, Out its output. Either travels in the data
	// segment of its message.
	In, Out wire.Buf
	// RVal is the operation's result: 0, a count, or a negative errno.
	RVal int32
}

// Args is the union of fixed arguments in ceph_osd_op (src/include/rados.h):
// 28 bytes, read and written through the methods and types below.
type Args [28]byte

func (a *Args) u64(off int) uint64       { return binary.LittleEndian.Uint64(a[off:]) }
func (a *Args) u32(off int) uint32       { return binary.LittleEndian.Uint32(a[off:]) }
func (a *Args) putU64(off int, v uint64) { binary.LittleEndian.PutUint64(a[off:], v) }
func (a *Args) putU32(off int, v uint32) { binary.LittleEndian.PutUint32(a[off:], v) }

// Extent are the arguments of operations on bytes; see [OSDOpCode.UsesExtent].
type Extent struct {
	Offset, Length uint64
	TruncateSize   uint64
	TruncateSeq    uint32
}

// Extent reads the arguments as an extent.
func (a *Args) Extent() Extent { return Extent{a.u64(0), a.u64(8), a.u64(16), a.u32(24)} }

// Args returns the extent as arguments.
func (x Extent) Args() (a Args) {
	a.putU64(0, x.Offset)
	a.putU64(8, x.Length)
	a.putU64(16, x.TruncateSize)
	a.putU32(24, x.TruncateSeq)
	return a
}

// Xattr are the arguments of attribute operations; In holds the name, then the
// value.
type Xattr struct {
	NameLen, ValueLen uint32
	CmpOp, CmpMode    uint8 // of CMPXATTR
}

// Xattr reads the arguments as those of an attribute operation.
func (a *Args) Xattr() Xattr { return Xattr{a.u32(0), a.u32(4), a[8], a[9]} }

// Args returns x as arguments.
func (x Xattr) Args() (a Args) {
	a.putU32(0, x.NameLen)
	a.putU32(4, x.ValueLen)
	a[8], a[9] = x.CmpOp, x.CmpMode
	return a
}

// Call are the arguments of CALL; In holds class, method and input.
type Call struct {
	ClassLen, MethodLen uint8
	Argc                uint8 // always 0
	InDataLen           uint32
}

// Call reads the arguments as those of a class method.
func (a *Args) Call() Call { return Call{a[0], a[1], a[2], a.u32(3)} }

// Args returns c as arguments.
func (c Call) Args() (a Args) {
	a[0], a[1], a[2] = c.ClassLen, c.MethodLen, c.Argc
	a.putU32(3, c.InDataLen)
	return a
}

// PGLs are the arguments of listings. In holds where to begin: an object id
// (PGNLS) or its old form (PGLS).
type PGLs struct {
	Count      uint64 // entries wanted
	StartEpoch uint32 // map epoch at which the listing began
}

// PGLs reads the arguments as those of a listing.
func (a *Args) PGLs() PGLs { return PGLs{a.u64(0), a.u32(8)} }

// Args returns p as arguments.
func (p PGLs) Args() (a Args) {
	a.putU64(0, p.Count)
	a.putU32(8, p.StartEpoch)
	return a
}

// Snap reads the argument of ROLLBACK: the snapshot to return to.
func (a *Args) Snap() object.SnapID { return object.SnapID(a.u64(0)) }

// SnapArgs returns the argument of ROLLBACK.
func SnapArgs(s object.SnapID) (a Args) {
	a.putU64(0, uint64(s))
	return a
}

// Watch are the arguments of WATCH.
type Watch struct {
	Cookie  uint64 // the client's name for the watch
	Version uint64 // obsolete
	Op      WatchOp
	Gen     uint32 // counts the client's registrations of this watch
	Timeout uint32 // seconds; 0 means the OSD's default
}

// Watch reads the arguments as those of WATCH.
func (a *Args) Watch() Watch {
	return Watch{a.u64(0), a.u64(8), WatchOp(a[16]), a.u32(17), a.u32(21)}
}

// Args returns w as arguments.
func (w Watch) Args() (a Args) {
	a.putU64(0, w.Cookie)
	a.putU64(8, w.Version)
	a[16] = uint8(w.Op)
	a.putU32(17, w.Gen)
	a.putU32(21, w.Timeout)
	return a
}

// NotifyCookie reads the argument of NOTIFY and NOTIFY_ACK.
func (a *Args) NotifyCookie() uint64 { return a.u64(0) }

// NotifyArgs returns the argument of NOTIFY and NOTIFY_ACK.
func NotifyArgs(cookie uint64) (a Args) {
	a.putU64(0, cookie)
	return a
}

// AssertVersion reads the argument of ASSERT_VER: the user version wanted.
func (a *Args) AssertVersion() uint64 { return a.u64(8) }

// AssertVersionArgs returns the argument of ASSERT_VER.
func AssertVersionArgs(v uint64) (a Args) {
	a.putU64(8, v)
	return a
}

// CopyGetMax reads the argument of COPY_GET: the most bytes wanted in the reply.
func (a *Args) CopyGetMax() uint64 { return a.u64(0) }

// CopyGetArgs returns the argument of COPY_GET.
func CopyGetArgs(max uint64) (a Args) {
	a.putU64(0, max)
	return a
}

// CopyFrom are the arguments of COPY_FROM and COPY_FROM2. In holds the source's
// name and locator, and for COPY_FROM2 truncate sequence and size.
type CopyFrom struct {
	Snap       object.SnapID // of the source
	SrcVersion uint64        // the user version the source must have; 0 for any
	Flags      uint8         // CopyFrom constants
	SrcFlags   SubOpFlags    // advice for reading the source
}

// CopyFrom reads the arguments as those of COPY_FROM.
func (a *Args) CopyFrom() CopyFrom {
	return CopyFrom{object.SnapID(a.u64(0)), a.u64(8), a[16], SubOpFlags(a.u32(17))}
}

// Args returns c as arguments.
func (c CopyFrom) Args() (a Args) {
	a.putU64(0, uint64(c.Snap))
	a.putU64(8, c.SrcVersion)
	a[16] = c.Flags
	a.putU32(17, uint32(c.SrcFlags))
	return a
}

// HitSetStamp reads the argument of PG_HITSET_GET: seconds and nanoseconds.
func (a *Args) HitSetStamp() (sec, nsec uint32) { return a.u32(0), a.u32(4) }

// Tmap2OmapFlags reads the argument of TMAP2OMAP.
func (a *Args) Tmap2OmapFlags() uint8 { return a[0] }

// Tmap2OmapArgs returns the argument of TMAP2OMAP.
func Tmap2OmapArgs(flags uint8) (a Args) {
	a[0] = flags
	return a
}

// AllocHint are the arguments of SETALLOCHINT.
type AllocHint struct {
	ObjectSize, WriteSize uint64 // expected, bytes
	Flags                 uint32 // AllocHint constants
}

// AllocHint reads the arguments as those of SETALLOCHINT.
func (a *Args) AllocHint() AllocHint { return AllocHint{a.u64(0), a.u64(8), a.u32(16)} }

// Args returns h as arguments.
func (h AllocHint) Args() (a Args) {
	a.putU64(0, h.ObjectSize)
	a.putU64(8, h.WriteSize)
	a.putU32(16, h.Flags)
	return a
}

// WriteSame are the arguments of WRITESAME; In holds the DataLength bytes to
// repeat.
type WriteSame struct{ Offset, Length, DataLength uint64 }

// WriteSame reads the arguments as those of WRITESAME.
func (a *Args) WriteSame() WriteSame { return WriteSame{a.u64(0), a.u64(8), a.u64(16)} }

// Args returns w as arguments.
func (w WriteSame) Args() (a Args) {
	a.putU64(0, w.Offset)
	a.putU64(8, w.Length)
	a.putU64(16, w.DataLength)
	return a
}

// Checksum are the arguments of CHECKSUM; In holds the initial value.
type Checksum struct {
	Offset, Length uint64
	ChunkSize      uint32 // one checksum for each so many bytes; 0 for one in all
	Type           uint8  // Checksum constants
}

// Checksum reads the arguments as those of CHECKSUM.
func (a *Args) Checksum() Checksum { return Checksum{a.u64(0), a.u64(8), a.u32(16), a[20]} }

// Args returns c as arguments.
func (c Checksum) Args() (a Args) {
	a.putU64(0, c.Offset)
	a.putU64(8, c.Length)
	a.putU32(16, c.ChunkSize)
	a[20] = c.Type
	return a
}

// encode appends ceph_osd_op. payload is the length of what the operation has in
// the message's data segment.
func (s *SubOp) encode(e *wire.Encoder, payload int) {
	e.U16(uint16(s.Op))
	e.U32(uint32(s.Flags))
	e.Raw(s.Args[:])
	e.U32(uint32(payload))
}

func (s *SubOp) decode(d *wire.Decoder) (payload uint32) {
	s.Op = OSDOpCode(d.U16())
	s.Flags = SubOpFlags(d.U32())
	copy(s.Args[:], d.Raw(len(s.Args)))
	return d.U32()
}

// splitData hands each operation its part of the data segment, in order
// (OSDOp::split_osd_op_vector_in_data and _out_data), through set.
func splitData(d *wire.Decoder, data wire.Buf, lens []uint32, set func(i int, b wire.Buf)) {
	if len(lens) == 1 && int(lens[0]) == data.Len() {
		set(0, data)
		return
	}
	off, total := 0, data.Len()
	for i, n := range lens {
		if n == 0 {
			continue
		}
		if int64(n) > int64(total-off) {
			d.Fail("operation %d claims %d bytes of data, %d left", i, n, total-off)
			return
		}
		set(i, data.Slice(off, int(n)))
		off += int(n)
	}
}

// String returns the operation's name and, where they say something, its
// arguments, as Ceph prints them.
func (s *SubOp) String() string {
	if s.Op.UsesExtent() {
		x := s.Args.Extent()
		return fmt.Sprintf("%s %d~%d", s.Op, x.Offset, x.Length)
	}
	return s.Op.String()
}
