package pg_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"sepiola/message"
	"sepiola/object"
	"sepiola/pg/ops"
	"sepiola/wire"
)

func writeOp(off uint64, text string) message.SubOp {
	return message.SubOp{Op: message.OpWrite, In: wire.BufOf([]byte(text)), Args: message.Extent{Offset: off, Length: uint64(len(text))}.Args()}
}

var readOp = message.SubOp{Op: message.OpRead, Args: message.Extent{}.Args()}

// Without clones a snapshot shows an object as it is if it was not changed in the
// snapshot's sight, and not at all otherwise; a change that would have to be kept from
// a snapshot is refused and leaves the object alone.
func TestSnapshotsWithoutClones(t *testing.T) {
	l := newLone(t)
	at := func(snap object.SnapID) func(*message.OSDOp) {
		return func(m *message.OSDOp) { m.Object = m.Object.WithSnap(snap) }
	}
	context := func(seq object.SnapID, snaps ...object.SnapID) func(*message.OSDOp) {
		return func(m *message.OSDOp) { m.SnapSeq, m.Snaps = seq, snaps }
	}
	reads := func(snap object.SnapID, want string, result int32) {
		t.Helper()
		r := l.send(1, at(snap), readOp)
		if got := string(r.Ops[0].Out.Flat()); r.Result != result || got != want {
			t.Errorf("at snapshot %v: %d %q, want %d %q", snap, r.Result, got, result, want)
		}
	}
	reads(5, "", -2)
	l.want(0, 1, writeOp(0, "one"))
	reads(5, "one", 0)
	for what, op := range map[string]message.SubOp{"write": writeOp(0, "two"), "remove": {Op: message.OpDelete},
		"roll back": {Op: message.OpRollback, Args: message.SnapArgs(6)}} {
		if r := l.send(1, context(6, 6, 5), op); r.Result != -95 {
			t.Errorf("%s in sight of a snapshot: %d", what, r.Result)
		}
	}
	reads(6, "one", 0)
	if r := l.send(1, context(7), writeOp(0, "two")); r.Result != 0 {
		t.Errorf("write when all snapshots are gone: %d", r.Result)
	}
	reads(5, "", -2)
	reads(7, "", -2)
	reads(8, "two", 0)
	reads(object.NoSnap, "two", 0)
	if r := l.send(1, at(8), writeOp(0, "x")); r.Result != -22 {
		t.Errorf("write to a snapshot: %d", r.Result)
	}
}

// On a disk that is full up to the failsafe ratio operations that write are not taken,
// unless the client says that it wants to hear of it; reads are answered.
func TestFailsafe(t *testing.T) {
	l := newLone(t)
	l.want(0, 1, writeOp(0, "before"))
	l.o.full = true
	if r := l.do(1, writeOp(0, "full")); r != nil {
		t.Errorf("a write to a full disk was answered: %d", r.Result)
	}
	if r := l.do(1, message.SubOp{Op: message.OpDelete}); r != nil {
		t.Errorf("a removal from a full disk was answered: %d", r.Result)
	}
	if r := l.want(0, 1, readOp); string(r.Ops[0].Out.Flat()) != "before" {
		t.Errorf("read %q", r.Ops[0].Out.Flat())
	}
	try := func(m *message.OSDOp) { m.Flags |= message.FlagFullTry }
	if r := l.send(1, try, message.SubOp{Op: message.OpDelete}); r == nil || r.Result != 0 {
		t.Errorf("a removal that may try: %+v", r)
	}
	l.o.full = false
	l.want(0, 1, writeOp(0, "after"))
}

// What the store has no room for is not taken, even from a client that insists: it fails
// that write alone, and leaves nothing. What brings less data, or none, is taken.
func TestNoRoom(t *testing.T) {
	l := newLone(t)
	l.want(0, 1, writeOp(0, "before"))
	l.o.room = 3
	if r := l.do(1, writeOp(0, "more")); r != nil {
		t.Errorf("a write without room was answered: %d", r.Result)
	}
	for _, f := range []message.OpFlags{message.FlagFullTry, message.FlagFullForce} {
		r := l.send(1, func(m *message.OSDOp) { m.Flags |= f }, writeOp(0, "more"))
		if r == nil || r.Result != ops.ENoSpc {
			t.Errorf("flags %x: a write without room: %+v", f, r)
		}
	}
	if r := l.want(0, 1, readOp); string(r.Ops[0].Out.Flat()) != "before" {
		t.Errorf("read %q", r.Ops[0].Out.Flat())
	}
	l.want(0, 1, writeOp(0, "bef"))
	l.want(0, 1, message.SubOp{Op: message.OpSetXattr, In: wire.BufOf([]byte("longlong")), Args: message.Xattr{NameLen: 4, ValueLen: 4}.Args()})
	l.want(0, 1, message.SubOp{Op: message.OpDelete})
	l.o.room = 0
	l.want(0, 1, writeOp(0, "after"))
}

// A listing with the filter "plain" has just the objects whose attribute has the
// value, and a filter that is not there is refused.
func TestListFilter(t *testing.T) {
	l := newLone(t)
	var want []string
	for i := range 30 {
		name, value := fmt.Sprint("o", i), fmt.Sprint(i%3)
		on := func(m *message.OSDOp) { m.Object = l.object(name) }
		l.send(1, on, createOp)
		if i%5 != 0 {
			l.send(1, on, message.SubOp{Op: message.OpSetXattr, In: wire.BufOf([]byte("kind" + value)),
				Args: message.Xattr{NameLen: 4, ValueLen: 1}.Args()})
			if value == "2" {
				want = append(want, name)
			}
		}
	}
	list := func(kind string, from object.ID) (names []string, next object.ID, result int32) {
		e := wire.NewEncoder(64)
		for _, s := range []string{"pg", "filter", kind, "_kind", "2"} {
			e.String(s)
		}
		from.Encode(e)
		r := l.send(1, func(m *message.OSDOp) { m.Object = object.ID{Pool: poolID, Snap: object.NoSnap} },
			message.SubOp{Op: message.OpPGNLsFilter, In: wire.BufOf(e.Bytes()), Args: message.PGLs{Count: 7}.Args()})
		d := wire.NewDecoder(r.Ops[0].Out.Flat())
		if r.Result < 0 {
			return nil, from, r.Result
		}
		end := d.Begin(1)
		next = object.DecodeID(d)
		for _, e := range wire.ReadSlice(d, 12, func(d *wire.Decoder) [3]string { return [3]string{d.String(), d.String(), d.String()} }) {
			names = append(names, e[1])
		}
		d.End(end)
		if d.Err() != nil {
			t.Fatal(d.Err())
		}
		return names, next, r.Result
	}
	var got []string
	for from, result := (object.ID{Pool: poolID}), int32(0); result == 0; {
		var names []string
		names, from, result = list("plain", from)
		got = append(got, names...)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
	if _, _, r := list("rbd.children", object.ID{Pool: poolID}); r != -22 {
		t.Errorf("unknown filter: %d", r)
	}
}

// Lengths and offsets that no program means are answered with RADOS's result or an
// errno, and what is stored stays as it was.
func TestOddArguments(t *testing.T) {
	const most = math.MaxUint64
	l := newLone(t)
	ext := func(code message.OSDOpCode, x message.Extent, in string) message.SubOp {
		return message.SubOp{Op: code, Args: x.Args(), In: wire.BufOf([]byte(in))}
	}
	sum := func(off, n uint64, chunk uint32) message.SubOp {
		return message.SubOp{Op: message.OpChecksum, In: wire.BufOf(make([]byte, 4)),
			Args: message.Checksum{Offset: off, Length: n, ChunkSize: chunk, Type: message.ChecksumCRC32C}.Args()}
	}
	l.want(0, 1, writeOp(0, "content"))
	for _, c := range []struct {
		op   message.SubOp
		want int32
	}{
		{ext(message.OpWrite, message.Extent{}, ""), 0},
		{ext(message.OpWrite, message.Extent{Offset: 3}, ""), 0},
		{ext(message.OpWrite, message.Extent{Offset: most}, ""), -27},
		{ext(message.OpWrite, message.Extent{Offset: most, Length: 1}, "x"), -27},
		{ext(message.OpWrite, message.Extent{Length: most}, "x"), -22},
		{ext(message.OpWrite, message.Extent{Length: 1, TruncateSeq: 9, TruncateSize: most - 1}, "x"), -27},
		{ext(message.OpAppend, message.Extent{}, ""), 0},
		{ext(message.OpZero, message.Extent{}, ""), -22},
		{ext(message.OpZero, message.Extent{Offset: 2}, ""), -22},
		{ext(message.OpZero, message.Extent{Offset: most, Length: most}, ""), -27},
		{ext(message.OpTruncate, message.Extent{Offset: most}, ""), -27},
		{ext(message.OpTrimTrunc, message.Extent{TruncateSize: most, TruncateSeq: 1 << 30}, ""), -27},
		{ext(message.OpRead, message.Extent{Offset: most, Length: most}, ""), 0},
		{ext(message.OpRead, message.Extent{Offset: 1, Length: most, TruncateSeq: 77}, ""), 0},
		{ext(message.OpSparseRead, message.Extent{Offset: 5, Length: most}, ""), 0},
		{ext(message.OpMapExt, message.Extent{Offset: most, Length: most}, ""), 0},
		{ext(message.OpCmpExt, message.Extent{Offset: most, Length: most}, "\x00"), 0},
		{ext(message.OpCmpExt, message.Extent{Offset: 6, Length: most}, "tx"), -4096},
		{sum(3, most, 0), 0},
		{sum(3, most-2, 0), 0},
		{sum(most, most, 0), 0},
		{sum(0, 0, 1), -22},
		{message.SubOp{Op: message.OpWriteSame, Args: message.WriteSame{Length: most, DataLength: 1}.Args(), In: wire.BufOf([]byte("x"))}, -27},
		{message.SubOp{Op: message.OpWriteSame, Args: message.WriteSame{Length: 5}.Args()}, -22},
		{message.SubOp{Op: message.OpSetXattr, Args: message.Xattr{NameLen: 50, ValueLen: most & math.MaxUint32}.Args()}, -22},
		{message.SubOp{Op: message.OpCmpXattr, Args: message.Xattr{NameLen: math.MaxUint32}.Args()}, -22},
		{message.SubOp{Op: message.OpCall, Args: message.Call{ClassLen: 255, MethodLen: 255}.Args()}, -22},
		{message.SubOp{Op: message.OpOmapSetVals, In: wire.BufOf([]byte{255, 255, 255, 255})}, -22},
		{message.SubOp{Op: message.OSDOpCode(0x22ff)}, -95},
	} {
		l.want(c.want, 1, c.op)
		if r := l.want(0, 1, readOp); string(r.Ops[0].Out.Flat()) != "content" {
			t.Fatalf("after %v: %q", c.op, r.Ops[0].Out.Flat())
		}
	}
	l.want(-22, 1)
	l.want(0, 1, slices.Repeat([]message.SubOp{writeOp(0, "content")}, 5000)...)
	l.want(0, 1, slices.Repeat([]message.SubOp{readOp}, 5000)...)
}

// One short request cannot make the OSD hold more than its bound, nor read it.
func TestTransferIsBounded(t *testing.T) {
	l := newLone(t)
	l.o.w.conf.Ops.MaxTransfer = 10000
	same := message.SubOp{Op: message.OpWriteSame, Args: message.WriteSame{Length: 999, DataLength: 1}.Args(), In: wire.BufOf([]byte("x"))}
	l.want(-90, 1, slices.Repeat([]message.SubOp{same}, 20)...)
	l.want(-2, 1, readOp)
	l.want(0, 1, same)
	for _, op := range []message.SubOp{readOp, {Op: message.OpCmpExt, Args: message.Extent{Length: 999}.Args()}} {
		op.Flags |= message.OpFlagFailOK
		l.want(-90, 1, slices.Repeat([]message.SubOp{op}, 20)...)
	}
}

// Whatever bytes come as operations, the PG answers and goes on to serve others.
func TestRandomVectors(t *testing.T) {
	l := newLone(t)
	l.o.w.conf.Ops.MaxObjectSize, l.o.w.conf.Ops.MaxTransfer = 1<<20, 4<<20
	const seed = 42
	rng := rand.New(rand.NewPCG(seed, seed))
	number := func() uint64 {
		switch rng.IntN(4) {
		case 0:
			return rng.Uint64N(4)
		case 1:
			return rng.Uint64N(2 << 20)
		case 2:
			return math.MaxUint64 - rng.Uint64N(3)
		}
		return rng.Uint64() >> rng.IntN(64)
	}
	var args message.Args
	for i := range 6000 {
		list := make([]message.SubOp, 1+rng.IntN(6))
		for j := range list {
			op := &list[j]
			op.Op = message.OSDOpCode(0x1200+rng.IntN(2)*0x1000) + message.OSDOpCode(rng.IntN(64))
			if rng.IntN(4) == 0 {
				op.Op = message.OpGetXattr + message.OSDOpCode(rng.IntN(2)*0x1000+rng.IntN(8))
			}
			if op.Op == message.OpCopyFrom || op.Op == message.OpCopyFrom2 {
				op.Op = message.OpDelete // a copy is answered when its source was
			}
			for at := 0; at+8 <= len(args); at += 8 {
				binary.LittleEndian.PutUint64(op.Args[at:], number())
			}
			op.Flags = message.SubOpFlags(rng.IntN(4))
			in := make([]byte, rng.IntN(40))
			for k := range in {
				in[k] = byte(rng.Uint64() >> rng.IntN(64))
			}
			op.In = wire.BufOf(in)
			if rng.IntN(2) == 0 { // a length that fits
				x := op.Args.Extent()
				x.Length = uint64(len(in))
				op.Args = x.Args()
			}
		}
		if r := l.do(1, list...); r.Result > 1<<20 {
			t.Fatalf("vector %d of seed %d: %v: %d", i, seed, list, r.Result)
		}
		l.replies[1] = nil
	}
	on := func(m *message.OSDOp) { m.Object = l.object("other") }
	l.send(2, on, writeOp(0, "fine"))
	if r := l.send(2, on, readOp); string(r.Ops[0].Out.Flat()) != "fine" {
		t.Errorf("afterwards: %d %q", r.Result, r.Ops[0].Out.Flat())
	}
}
