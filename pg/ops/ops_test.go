package ops

import (
	"testing"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/objectstore/memstore"
	"sepiola/osdmap"
	"sepiola/pglog"
	"sepiola/wire"
)

// bench runs requests on one object in a store, one after another.
type bench struct {
	t     *testing.T
	store *memstore.Store
	state State
	lim   Limits
	delta pglog.ObjectStatSum
}

var coll = objectstore.PGColl(object.PGID{Pool: 1}.Whole())

func newBench(t *testing.T) *bench {
	b := &bench{t: t, store: memstore.New(), lim: DefaultLimits()}
	b.check(b.store.Mkfs(objectstore.Identity{ClusterFSID: entity.UUID{1}}))
	b.check(b.store.Mount())
	t.Cleanup(func() { b.store.Close() })
	var tx objectstore.Transaction
	tx.MkColl(coll, 0)
	b.check(b.store.Submit(&tx, nil))
	b.state.Info = pglog.NewObjectInfo(b.object())
	return b
}

func (b *bench) object() object.ID { return object.Head(1, "", "", "o", 7) }

func (b *bench) check(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// run executes a request and applies it if it succeeded.
func (b *bench) run(list ...message.SubOp) (int32, []message.SubOp) {
	b.t.Helper()
	c := &Context{Reader: b.store, Coll: coll, Object: b.object(), Pool: osdmap.NewPool(), Limits: &b.lim,
		Req: &message.OSDOp{Ops: list}, Old: &b.state, New: b.state, Tx: &objectstore.Transaction{}, Clean: pglog.AllClean()}
	result := c.Run(list)
	if result >= 0 {
		b.check(b.store.Submit(c.Tx, nil))
		b.state = c.New
		b.delta.Add(&c.Delta)
		if !b.state.Exists {
			b.state = State{Info: pglog.NewObjectInfo(b.object())}
		}
	}
	return result, list
}

func extent(code message.OSDOpCode, off, n uint64, data string) message.SubOp {
	op := message.SubOp{Op: code, Args: message.Extent{Offset: off, Length: n}.Args()}
	if data != "" {
		op.In = wire.BufOf([]byte(data))
	}
	return op
}

func xattr(code message.OSDOpCode, name, value string, x message.Xattr) message.SubOp {
	x.NameLen, x.ValueLen = uint32(len(name)), uint32(len(value))
	return message.SubOp{Op: code, In: wire.BufOf([]byte(name + value)), Args: x.Args()}
}

func (b *bench) want(result, want int32) {
	b.t.Helper()
	if result != want {
		b.t.Fatalf("result %d, want %d", result, want)
	}
}

func (b *bench) content() string {
	b.t.Helper()
	r, list := b.run(extent(message.OpRead, 0, 0, ""))
	b.want(r, 0)
	return string(list[0].Out.Flat())
}

// TestDataOperations protects what clients see of reads and writes.
func TestDataOperations(t *testing.T) {
	b := newBench(t)
	r, _ := b.run(message.SubOp{Op: message.OpStat})
	b.want(r, ENoEnt)
	r, _ = b.run(extent(message.OpWriteFull, 0, 11, "hello world"))
	b.want(r, 0)
	r, _ = b.run(extent(message.OpAppend, 0, 1, "!"))
	b.want(r, 0)
	r, _ = b.run(extent(message.OpWrite, 6, 5, "there"))
	b.want(r, 0)
	if got := b.content(); got != "hello there!" {
		t.Fatalf("content %q", got)
	}
	r, _ = b.run(extent(message.OpZero, 0, 2, ""))
	b.want(r, 0)
	r, _ = b.run(extent(message.OpTruncate, 5, 0, ""))
	b.want(r, 0)
	if got := b.content(); got != "\x00\x00llo" {
		t.Fatalf("content %q", got)
	}
	r, _ = b.run(extent(message.OpZero, 3, 100, "")) // to the end and beyond: a truncation
	b.want(r, 0)
	if got := b.content(); got != "\x00\x00l" || b.delta.NumBytes != 3 || b.delta.NumObjects != 1 {
		t.Fatalf("content %q, counted %d bytes in %d objects", got, b.delta.NumBytes, b.delta.NumObjects)
	}
	r, _ = b.run(extent(message.OpWrite, 3, 4, "short"))
	b.want(r, EInval)
	r, _ = b.run(extent(message.OpWrite, 128<<20, 1, "x"))
	b.want(r, EFBig)
	create := message.SubOp{Op: message.OpCreate, Flags: message.OpFlagExcl}
	r, _ = b.run(create)
	b.want(r, EExist)
	r, _ = b.run(message.SubOp{Op: message.OpDelete})
	b.want(r, 0)
	r, _ = b.run(message.SubOp{Op: message.OpDelete})
	b.want(r, ENoEnt)
	r, _ = b.run(create)
	b.want(r, 0)
	if b.delta.NumBytes != 0 || b.delta.NumObjects != 1 {
		t.Fatalf("counted %d bytes in %d objects", b.delta.NumBytes, b.delta.NumObjects)
	}
}

// TestTruncateSequence protects CephFS against writes and truncations that
// overtake each other.
func TestTruncateSequence(t *testing.T) {
	b := newBench(t)
	b.run(extent(message.OpWriteFull, 0, 8, "01234567"))
	write := func(off uint64, data string, seq uint32, size uint64) {
		t.Helper()
		r, _ := b.run(message.SubOp{Op: message.OpWrite, In: wire.BufOf([]byte(data)), Args: message.Extent{
			Offset: off, Length: uint64(len(data)), TruncateSeq: seq, TruncateSize: size}.Args()})
		b.want(r, 0)
	}
	write(0, "ab", 2, 4) // knows of a truncation to 4 that has not arrived
	if got := b.content(); got != "ab23" {
		t.Fatalf("content %q", got)
	}
	write(3, "xyz", 1, 0) // was sent before that truncation
	if got := b.content(); got != "ab2x" {
		t.Fatalf("content %q", got)
	}
	r, _ := b.run(message.SubOp{Op: message.OpTrimTrunc, Args: message.Extent{TruncateSeq: 2, TruncateSize: 1, Offset: 1}.Args()})
	b.want(r, 0)
	if got := b.content(); got != "ab2x" {
		t.Fatalf("an old truncation was applied: %q", got)
	}
}

// TestFailure protects the rules of several operations in one request.
func TestFailure(t *testing.T) {
	b := newBench(t)
	r, list := b.run(extent(message.OpWriteFull, 0, 1, "x"), xattr(message.OpCmpXattr, "n", "v",
		message.Xattr{CmpOp: message.CmpEQ, CmpMode: message.CmpModeString}), extent(message.OpAppend, 0, 1, "y"))
	b.want(r, ENoEnt) // reads see the object as it was: there was none
	if list[0].RVal != 0 || list[1].RVal != ENoEnt || b.state.Exists {
		t.Fatalf("results %d %d, exists %v", list[0].RVal, list[1].RVal, b.state.Exists)
	}
	del := message.SubOp{Op: message.OpDelete, Flags: message.OpFlagFailOK}
	r, list = b.run(del, extent(message.OpWriteFull, 0, 1, "x"))
	b.want(r, 0)
	if list[0].RVal != ENoEnt || b.content() != "x" {
		t.Fatalf("result %d, content %q", list[0].RVal, b.content())
	}
	r, _ = b.run(message.SubOp{Op: 0x2fff})
	b.want(r, EOpNotSupp)
}

// TestAttributes protects attributes and their comparisons.
func TestAttributes(t *testing.T) {
	b := newBench(t)
	r, _ := b.run(xattr(message.OpSetXattr, "n", "17", message.Xattr{}))
	b.want(r, 0)
	r, list := b.run(xattr(message.OpGetXattr, "n", "", message.Xattr{}))
	b.want(r, 0)
	if string(list[0].Out.Flat()) != "17" {
		t.Fatalf("value %q", list[0].Out.Flat())
	}
	r, _ = b.run(xattr(message.OpGetXattr, "m", "", message.Xattr{}))
	b.want(r, ENoData)
	number := func(cmp uint8, v uint64) int32 {
		e := wire.NewEncoder(9)
		e.Raw([]byte("n"))
		e.U64(v)
		r, _ := b.run(message.SubOp{Op: message.OpCmpXattr, In: wire.BufOf(e.Bytes()), Args: message.Xattr{NameLen: 1,
			ValueLen: 8, CmpOp: cmp, CmpMode: message.CmpModeU64}.Args()})
		return r
	}
	b.want(number(message.CmpEQ, 17), 1)
	b.want(number(message.CmpGT, 17), ECanceled)
	b.want(number(message.CmpGT, 18), 1)
	long := make([]byte, 101)
	r, _ = b.run(xattr(message.OpSetXattr, string(long), "v", message.Xattr{}))
	b.want(r, ENameTooLong)
	r, list = b.run(message.SubOp{Op: message.OpGetXattrs})
	b.want(r, 0)
	d := wire.NewDecoder(list[0].Out.Flat())
	if m := wire.ReadMap(d, 8, wire.GetString, wire.GetBlob); len(m) != 1 || string(m["n"]) != "17" {
		t.Fatalf("attributes %q", m)
	}
}

// TestOmap protects listings: order, prefix, paging and the mark of more to come.
func TestOmap(t *testing.T) {
	b := newBench(t)
	e := wire.NewEncoder(64)
	wire.Map(e, map[string][]byte{"a1": []byte("1"), "a2": []byte("2"), "b1": []byte("3")}, wire.PutString, wire.PutBlob)
	r, _ := b.run(message.SubOp{Op: message.OpOmapSetVals, In: wire.BufOf(e.Bytes())})
	b.want(r, 0)
	vals := func(after string, most uint64, prefix string) (keys []string, more bool) {
		e := wire.NewEncoder(64)
		e.String(after)
		e.U64(most)
		e.String(prefix)
		r, list := b.run(message.SubOp{Op: message.OpOmapGetVals, In: wire.BufOf(e.Bytes())})
		b.want(r, 0)
		d := wire.NewDecoder(list[0].Out.Flat())
		for range d.U32() {
			keys = append(keys, d.String())
			d.Blob()
		}
		more = d.Bool()
		b.check(d.Finish())
		return keys, more
	}
	if keys, more := vals("", 2, ""); len(keys) != 2 || keys[1] != "a2" || !more {
		t.Fatal(keys, more)
	}
	if keys, more := vals("a2", 5, ""); len(keys) != 1 || keys[0] != "b1" || more {
		t.Fatal(keys, more)
	}
	if keys, more := vals("a1", 5, "a"); len(keys) != 1 || keys[0] != "a2" || more {
		t.Fatal(keys, more)
	}
	r, _ = b.run(message.SubOp{Op: message.OpOmapClear})
	b.want(r, 0)
	if keys, _ := vals("", 5, ""); keys != nil {
		t.Fatal(keys)
	}
}

// TestChecksums compares with the test vectors of the xxHash specification and
// of RFC 3720 (CRC-32C, inverted here as Ceph keeps it).
func TestChecksums(t *testing.T) {
	if got := xxhash32(nil, 0); got != 0x02CC5D05 {
		t.Errorf("xxh32 of nothing is %08x", got)
	}
	if got := xxhash64(nil, 0); got != 0xEF46DB3751D8E999 {
		t.Errorf("xxh64 of nothing is %016x", got)
	}
	text := []byte("Nobody inspects the spammish repetition")
	if got := xxhash32(text, 0); got != 0xE2293B2F {
		t.Errorf("xxh32 is %08x", got)
	}
	if got := xxhash64(text, 0); got != 0xFBCEA83C8A378BF1 {
		t.Errorf("xxh64 is %016x", got)
	}
	if got := ^CRC(DigestSeed, wire.Buf{make([]byte, 20), make([]byte, 12)}); got != 0x8A9136AA {
		t.Errorf("crc32c of 32 zeros is %08x", got)
	}
}
