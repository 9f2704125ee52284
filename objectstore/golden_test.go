package objectstore

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"sepiola/internal/goldencap"
	"sepiola/object"
	"sepiola/wire"
)

const goldenDir = "../testdata/golden/objectstore"

var capture = flag.String("capture", "", "pcap file to take golden transactions from")

// msgRepOp is MSG_OSD_REPOP: its data segment is a transaction.
const msgRepOp = 112

// TestUpdateGolden picks transactions out of a capture: the shortest of each list of
// steps.
func TestUpdateGolden(t *testing.T) {
	if *capture == "" {
		t.Skip("only with -capture")
	}
	f, err := os.Open(*capture)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	messages, err := goldencap.Messages(f)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]byte{}
	for _, m := range messages {
		if m.Type != msgRepOp || len(m.Data) > 100<<10 {
			continue
		}
		tx, err := DecodeTransaction(wire.BufOf(m.Data))
		if err != nil {
			t.Fatalf("%v\n%x", err, m.Data)
		}
		k := kinds(tx)
		if old, ok := found[k]; !ok || len(m.Data) < len(old) {
			found[k] = m.Data
		}
	}
	for k, data := range found {
		name := fmt.Sprintf("%08x.bin", wireSum(k))
		if err := os.WriteFile(filepath.Join(goldenDir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
		t.Log(name, len(data), k)
	}
}

func kinds(tx *Transaction) string {
	s := ""
	for _, op := range tx.Ops {
		s += op.Kind.String() + " "
	}
	return s
}

func wireSum(s string) uint32 {
	h := uint32(2166136261)
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return h
}

func golden(t testing.TB) map[string][]byte {
	files, err := filepath.Glob(goldenDir + "/*.bin")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden transactions in %s: %v", goldenDir, err)
	}
	out := map[string][]byte{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(f)] = b
	}
	return out
}

// Transactions that Ceph's OSDs sent each other decode, and encode to the same bytes:
// without that a mixed set of OSDs, or two of our own, would store different things.
func TestGolden(t *testing.T) {
	seen := map[OpKind]bool{}
	for name, b := range golden(t) {
		tx, err := DecodeTransaction(wire.BufOf(b))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, op := range tx.Ops {
			seen[op.Kind] = true
		}
		if got := tx.Encode().Flat(); !bytes.Equal(got, b) {
			t.Errorf("%s (%s) encodes differently:\n got %x\nwant %x", name, kinds(tx), got, b)
		}
	}
	for _, k := range []OpKind{OpCreate, OpWrite, OpZero, OpTruncate, OpRemove, OpSetAttrs, OpRmAttr, OpClone,
		OpOmapSet, OpOmapRm, OpOmapRmRange, OpOmapClear, OpAllocHint} {
		if !seen[k] {
			t.Errorf("no golden transaction has a step %v", k)
		}
	}
}

// A decoder of bytes off the wire never panics, and what it accepts means the same
// after another encoding.
func FuzzDecodeTransaction(f *testing.F) {
	for _, b := range golden(f) {
		f.Add(b)
	}
	f.Add(every().Encode().Flat())
	f.Fuzz(func(t *testing.T, b []byte) {
		tx, err := DecodeTransaction(wire.BufOf(b))
		if err != nil {
			return
		}
		again, err := DecodeTransaction(tx.Encode())
		if err != nil {
			t.Fatalf("own encoding refused: %v", err)
		}
		if x, y := tx.Encode().Flat(), again.Encode().Flat(); !bytes.Equal(x, y) {
			t.Fatalf("encodings differ:\n%x\n%x", x, y)
		}
	})
}

// every returns a transaction with all kinds of steps.
func every() *Transaction {
	c, d := PGColl(object.PGID{Pool: 1, Seed: 2}.Whole()), PGColl(object.PGID{Pool: 1, Seed: 6}.Whole())
	temp := c
	temp.Kind = CollPGTemp
	o, p := object.G(object.Head(1, "ns", "key", "o", 7)), object.G(object.Head(1, "", "", "p", 7))
	var t Transaction
	t.MkColl(c, 2)
	t.MkColl(temp, 2)
	t.Touch(Meta, p)
	t.Create(c, o)
	t.Write(c, o, 5, wire.Buf{[]byte("da"), []byte("ta")})
	t.Write(c, o, 1<<33, wire.BufOf(bytes.Repeat([]byte("x"), 5000)))
	t.Zero(c, o, 1, 2)
	t.Truncate(c, o, 3)
	t.SetAttr(c, o, "_", []byte("v"))
	t.SetAttrs(c, o, map[string][]byte{"b": bytes.Repeat([]byte("y"), 3000), "a": {1}})
	t.RmAttr(c, o, "b")
	t.RmAttrs(c, o)
	t.Clone(c, o, p)
	t.CloneRange(c, o, p, 1, 2, 3)
	t.OmapSet(c, o, map[string][]byte{"k": {1}, "l": {2}})
	t.OmapRm(c, o, []string{"k", "m"})
	t.OmapRmRange(c, o, "a", "c")
	t.OmapHeader(c, o, []byte("header"))
	t.OmapClear(c, o)
	t.SetAllocHint(c, o, AllocHint{1 << 22, 1 << 12, 9})
	t.MoveRename(temp, p, c, p)
	t.TryRename(c, o, p)
	t.SplitColl(c, 3, 6, d)
	t.MergeColl(d, c, 2)
	t.Remove(c, o)
	t.RmColl(temp)
	t.Fadvise = 0x20
	return &t
}

// Every kind of step survives the wire with all its fields, and long payloads are
// passed on, not copied: the data of a write is the caller's own memory in the
// encoding, and the buffer's memory after decoding.
func TestEveryStep(t *testing.T) {
	tx := every()
	enc := tx.Encode()
	shared := false
	for _, s := range enc {
		shared = shared || &s[0] == &tx.Ops[5].Data[0][0]
	}
	if !shared {
		t.Error("encoding copied a payload of 5000 bytes")
	}
	flat := enc.Flat()
	got, err := DecodeTransaction(wire.BufOf(flat))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Ops) != len(tx.Ops) || got.Fadvise != tx.Fadvise {
		t.Fatalf("%d steps, want %d", len(got.Ops), len(tx.Ops))
	}
	for i := range tx.Ops {
		want := tx.Ops[i]
		want.Data = wire.BufOf(want.Data.Flat())
		if !reflect.DeepEqual(got.Ops[i], want) {
			t.Errorf("step %d:\n got %+v\nwant %+v", i, got.Ops[i], want)
		}
	}
	data := got.Ops[5].Data[0]
	flat[bytes.Index(flat, data)]++
	if data[0] != 'x'+1 {
		t.Error("decoding copied a payload")
	}
}

// Malformed transactions are refused with an error that says where.
func TestRefusesMalformed(t *testing.T) {
	good := every().Encode().Flat()
	for n := range len(good) {
		if _, err := DecodeTransaction(wire.BufOf(good[:n])); err == nil {
			t.Fatalf("cut to %d of %d bytes it is accepted", n, len(good))
		}
	}
	var tx Transaction
	tx.Write(Meta, object.GMin, 0, wire.BufOf([]byte("1234")))
	ops := bytes.Index(tx.Encode().Flat(), []byte{10, 0, 0, 0, 0, 0, 0, 0})
	for _, c := range []struct {
		what string
		at   int
		v    byte
	}{{"operation", 0, 99}, {"collection", 4, 1}, {"object", 8, 1}, {"negative length", 27, 0xff}, {"other length", 20, 5}, {"bits", 64, 33}} {
		b := tx.Encode().Flat()
		b[ops+c.at] = c.v
		if _, err := DecodeTransaction(wire.BufOf(b)); err == nil {
			t.Errorf("a bad %s is accepted", c.what)
		}
	}
}
