package pg_test

import (
	"fmt"
	"testing"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/object"
	"sepiola/pg"
	"sepiola/wire"
)

// BenchmarkWrite4K measures the primary's part of a 4 KiB write to a new object
// with two replicas: from the operation to the messages and the transaction,
// without store and network.
func BenchmarkWrite4K(b *testing.B) {
	w := newWorld(b, 1, 3, 1, 3, 2)
	w.conf.MinPGLogEntries, w.conf.MaxPGLogEntries = 1000, 1000
	for _, o := range w.osds {
		o.createOwn()
	}
	w.quiet = true
	newClient(w, 1)
	for !w.isSettled() {
		w.step()
	}
	m := w.current()
	id := object.PGID{Pool: poolID}
	p := w.osds[m.PGToActingPrimary(id)].pgs[id]
	data := wire.BufOf(make([]byte, 4096))
	s := &simSession{dead: true}
	var fx pg.Effects
	var done []func()
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		name := fmt.Sprint("benchmark_", i)
		op := &message.OSDOp{TID: uint64(i + 1), PGID: id.Whole(), Epoch: m.Epoch,
			Object: object.Head(poolID, "", "", name, m.Pools[poolID].HashKey(name, "")), Flags: message.FlagWrite | message.FlagOnDisk,
			MTime: w.now, Ops: []message.SubOp{{Op: message.OpWriteFull, In: data, Args: message.Extent{Length: 4096}.Args()}}}
		var rep *message.OSDRepOp
		var to []int32
		do := func(e pg.Effect) {
			switch e := e.(type) {
			case pg.Submit:
				if e.Token != 0 {
					done = append(done, func() { p.Step(w.now, pg.Committed{Token: e.Token}, &fx) })
				}
			case pg.SendOSD:
				if m, ok := e.Msg.(*message.OSDRepOp); ok {
					rep, to = m, e.To
					message.Encode(m, 0)
				}
			}
		}
		pg.Drive(p, w.now, pg.ClientOp{Op: op, From: s, Source: entity.Name{Type: entity.TypeClient, Num: 1}}, &fx, do)
		for _, f := range done {
			f()
		}
		done = done[:0]
		for _, osd := range to {
			pg.Drive(p, w.now, pg.PeerMessage{From: osd, Msg: &message.OSDRepOpReply{TID: rep.TID, PGHeader: rep.PGHeader}}, &fx, do)
		}
	}
}
