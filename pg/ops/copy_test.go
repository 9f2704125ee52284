package ops

import (
	"fmt"
	"strings"
	"testing"

	"sepiola/message"
	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/osdmap"
	"sepiola/pglog"
	"sepiola/wire"
)

// fetchAll reads an object as the source of a copy, in parts of at most max bytes.
func (b *bench) fetchAll(max uint64) *Fetched {
	b.t.Helper()
	got := &Fetched{UserVersion: 42, Attrs: map[string][]byte{}, Omap: map[string][]byte{}}
	var cursor message.CopyCursor
	for parts := 0; !cursor.Done(); parts++ {
		if parts > 1000 {
			b.t.Fatalf("the cursor stands still at %+v", cursor)
		}
		e := wire.NewEncoder(64)
		cursor.Encode(e)
		r, list := b.run(message.SubOp{Op: message.OpCopyGet, Args: message.CopyGetArgs(max), In: wire.BufOf(e.Bytes())})
		b.want(r, 0)
		d := wire.NewDecoder(list[0].Out.Flat())
		part := message.DecodeCopyData(d)
		b.check(d.Finish())
		b.check(got.Add(&part))
		cursor = part.Cursor
	}
	return got
}

// A copy has the data, attributes and omap of its source and nothing of what was
// there before, in however many parts the source was read.
func TestCopyIsWhole(t *testing.T) {
	src := newBench(t)
	data := strings.Repeat("0123456789", 1000)
	src.run(extent(message.OpWriteFull, 0, uint64(len(data)), data), xattr(message.OpSetXattr, "color", "blue", message.Xattr{}))
	pairs := map[string][]byte{}
	for i := range 300 {
		pairs[fmt.Sprintf("key%03d", i)] = fmt.Append(nil, "value", i)
	}
	e := wire.NewEncoder(1024)
	wire.Map(e, pairs, wire.PutString, wire.PutBlob)
	src.run(message.SubOp{Op: message.OpOmapSetVals, In: wire.BufOf(e.Bytes())},
		message.SubOp{Op: message.OpOmapSetHeader, In: wire.BufOf([]byte("head"))})
	for _, max := range []uint64{100, 4096, 1 << 20} {
		dst := newBench(t)
		dst.run(extent(message.OpWriteFull, 0, 3, "old"), xattr(message.OpSetXattr, "old", "x", message.Xattr{}))
		got := src.fetchAll(max)
		c := dst.copyOf(got)
		if c.CopiedVersion != 42 {
			t.Errorf("user version %d, want the source's", c.CopiedVersion)
		}
		if dst.content() != data {
			t.Errorf("parts of %d: the data differ", max)
		}
		again := dst.fetchAll(1 << 20)
		if len(again.Attrs) != 1 || string(again.Attrs["color"]) != "blue" {
			t.Errorf("attributes %q", again.Attrs)
		}
		if len(again.Omap) != 300 || string(again.Omap["key299"]) != "value299" || string(again.OmapHeader) != "head" {
			t.Errorf("omap of %d keys, header %q", len(again.Omap), again.OmapHeader)
		}
		if dst.delta.NumBytes != int64(len(data)) || dst.delta.NumObjects != 1 {
			t.Errorf("counted %d bytes in %d objects", dst.delta.NumBytes, dst.delta.NumObjects)
		}
	}
}

// copyOf runs a COPY_FROM whose source was fetched.
func (b *bench) copyOf(f *Fetched) *Context {
	b.t.Helper()
	list := []message.SubOp{{Op: message.OpCopyFrom}}
	c := &Context{Reader: b.store, Coll: coll, Object: b.object(), Pool: osdmap.NewPool(), Limits: &b.lim, Copies: []*Fetched{f},
		Req: &message.OSDOp{Ops: list}, Old: &b.state, New: b.state, Tx: &objectstore.Transaction{}, Clean: pglog.AllClean()}
	b.want(c.Run(list), 0)
	b.check(b.store.Submit(c.Tx, nil))
	b.state = c.New
	b.delta.Add(&c.Delta)
	return c
}

// A copy onto itself, or of what cannot be read, is refused before anything is
// fetched; a source that is not there fails the copy with its error.
func TestCopyRefusals(t *testing.T) {
	source := func(name string) message.SubOp {
		e := wire.NewEncoder(64)
		src := message.CopySource{Name: name, Locator: object.Locator{Pool: 1, Hash: -1}}
		src.Encode(e)
		return message.SubOp{Op: message.OpCopyFrom, Args: message.CopyFrom{Snap: object.NoSnap}.Args(), In: wire.BufOf(e.Bytes())}
	}
	b := newBench(t)
	for name, want := range map[string]int32{"o": EInval, "other": 0} {
		if _, r := Fetches(&message.OSDOp{Object: b.object(), Ops: []message.SubOp{source(name)}}); r != want {
			t.Errorf("copying %q: %d, want %d", name, r, want)
		}
	}
	cut := source("other")
	cut.In = wire.BufOf(cut.In.Flat()[:5])
	if _, r := Fetches(&message.OSDOp{Object: b.object(), Ops: []message.SubOp{cut}}); r != EInval {
		t.Errorf("cut-off source: %d", r)
	}
	list := []message.SubOp{source("other")}
	c := &Context{Reader: b.store, Coll: coll, Object: b.object(), Pool: osdmap.NewPool(), Limits: &b.lim,
		Copies: []*Fetched{{Result: ENoEnt}}, Req: &message.OSDOp{Ops: list}, Old: &b.state, New: b.state,
		Tx: &objectstore.Transaction{}, Clean: pglog.AllClean()}
	b.want(c.Run(list), ENoEnt)
	if !c.Tx.Empty() {
		t.Error("a failed copy changes something")
	}
}
