package badinput

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"sepiola/entity"
	"sepiola/internal/goldencap"
	"sepiola/message"
	"sepiola/object"
	"sepiola/rados"
	"sepiola/wire"
)

// What does not exist is answered with the errno Ceph gives.
func TestUnknownThings(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := w.client.Pool(ctx, "no such pool"); !errors.Is(err, rados.Errno(2)) {
		t.Errorf("an unknown pool is %v, want ENOENT", err)
	}
	id, err := w.client.PoolID(ctx, "data")
	must(t, err)
	do := func(pool int64, name string, op message.SubOp) error {
		_, err := w.client.Do(ctx, rados.Request{Pool: pool, Object: name, Ops: []message.SubOp{op}})
		return err
	}
	for _, c := range []struct {
		name, object string
		pool         int64
		op           message.SubOp
		want         rados.Errno
	}{
		{"read of an unknown pool", "x", 99, message.SubOp{Op: message.OpRead}, 2},
		{"read of an unknown object", "no such object", id, message.SubOp{Op: message.OpRead}, 2},
		{"stat of an unknown object", "no such object", id, message.SubOp{Op: message.OpStat}, 2},
		{"removal of an unknown object", "no such object", id, message.SubOp{Op: message.OpDelete}, 2},
		{"unknown read", "mine.0", id, message.SubOp{Op: 0x1200 | 0xee}, 95},
		{"unknown write", "mine.0", id, message.SubOp{Op: 0x2200 | 0xee}, 95},
		{"unknown class", "mine.0", id, message.SubOp{Op: message.OpCall, Args: callArgs(4, 4), In: wire.BufOf([]byte("nonemeth"))}, 1},
	} {
		if err := do(c.pool, c.object, c.op); !errors.Is(err, c.want) {
			t.Errorf("%s is %v, want errno %d", c.name, err, c.want)
		}
	}
}

// callArgs are the lengths of a class's and a method's name.
func callArgs(class, method byte) (a message.Args) {
	a[0], a[1] = class, method
	return a
}

// A client whose operations cannot be served yet, and who sends one number again and
// again, is held to osd_client_message_cap, as it is at the moment; when it goes, all
// it had taken is free.
func TestParkedOperations(t *testing.T) {
	w := newWorld(t)
	osd0 := w.ports[2]
	before := w.usages()
	const limit = 16
	set := func(n int) {
		out, err := w.asok(osd0.daemon, fmt.Sprintf(`{"prefix":"config set","var":"osd_client_message_cap","val":["%d"]}`, n)+"\x00")
		if err != nil {
			t.Fatalf("%s: %v", out, err)
		}
	}
	set(limit)
	s, err := dial(osd0)
	must(t, err)
	must(t, s.open(osd0, entity.TypeClient, 5, w.nextNonce(), true))
	const each = 1 << 20
	op := message.Encode(&message.OSDOp{TID: 1, PGID: object.PGID{Pool: 1}.Whole(), Epoch: math.MaxUint32,
		Object: object.Head(1, "", "", "parked", 0), Flags: message.FlagWrite | message.FlagOnDisk,
		Ops: []message.SubOp{{Op: message.OpWriteFull, In: wire.BufOf(make([]byte, each))}}}, math.MaxUint64)
	m := &goldencap.Sample{Type: op.Type, Version: op.Version, Compat: op.CompatVersion, Priority: op.Priority, TID: 1,
		Front: op.Front.Flat(), Data: op.Data.Flat()}
	written := make(chan int, 1)
	go func() {
		for n := 0; ; n++ {
			if _, err := s.conn.Write(messageFrame(m, uint64(n+1))); err != nil {
				written <- n
				return
			}
		}
	}()
	inFlight := func() int {
		out, err := w.asok(osd0.daemon, `{"prefix":"dump_ops_in_flight"}`+"\x00")
		must(t, err)
		var ops struct {
			Num int `json:"num_ops"`
		}
		must(t, json.Unmarshal(out, &ops))
		return ops.Num
	}
	for deadline := time.Now().Add(patience); inFlight() < limit; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d operations under way, want %d", inFlight(), limit)
		}
	}
	// What is let in beyond them is one that is being read.
	if now, was := w.usage(osd0.daemon), before[osd0.daemon]; now.HeapAlloc > was.HeapAlloc+limit*each+heapSlack {
		t.Errorf("%d bytes with %d operations of %d; %d without", now.HeapAlloc, limit, each, was.HeapAlloc)
	}
	if n := inFlight(); n != limit {
		t.Errorf("%d operations under way, want %d", n, limit)
	}
	s.conn.Close()
	if n := <-written; n > limit+64 {
		t.Errorf("%d messages of %d bytes were taken from a client that may have %d under way", n, each, limit)
	}
	set(256)
	w.sameUsage(before)
}
