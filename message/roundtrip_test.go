package message_test

import (
	"reflect"
	"testing"
	"time"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/object"
	"sepiola/pglog"
	"sepiola/wire"
)

// TestRoundTrip protects the messages and forms that no capture holds: what is
// encoded decodes to the same.
func TestRoundTrip(t *testing.T) {
	stamp := time.Unix(1700000000, 5).UTC()
	pool := int64(7)
	fsid := entity.UUID{1, 2, 3}
	addrs := entity.AddrVec{entity.Addr{Type: entity.AddrMsgr2, Nonce: 3}}
	status := map[string]string{"a": "b"}
	for _, b := range []message.Body{
		&message.MonSubscribeAck{Interval: 300, FSID: fsid},
		&message.MonGlobalID{Paxos: message.Paxos{Have: 3}, OldMaxID: 9},
		&message.AuthMsg{Protocol: 2, Payload: []byte("x"), MonEpoch: 4},
		&message.AuthReply{Protocol: 2, Result: -13, GlobalID: 5, Message: "no", Payload: []byte("y")},
		&message.GetConfig{Name: message.EntityName{Type: entity.TypeOSD, ID: "0"}, Host: "h", DeviceClass: "ssd"},
		&message.MonRaft{Group: 1, Payload: wire.BufOf([]byte("raft"))},
		&message.OSDMarkMeDead{FSID: fsid, Target: 3, Epoch: 8},
		&message.RemoveSnaps{Snaps: map[int32][]object.SnapID{1: {2, 3}}},
		&message.MonGetPurgedSnaps{Start: 1, Last: 2},
		&message.MonGetPurgedSnapsReply{Start: 1, Last: 2, Purged: map[uint32]map[int64]pglog.IntervalSet{
			2: {1: {{Start: 4, Len: 2}}}}},
		&message.Statfs{TID: 4, FSID: fsid, DataPool: &pool},
		&message.OSDBackoff{Priority: 127, PGID: object.PGID{Pool: 1, Seed: 2}.Whole(), Epoch: 3, Op: message.BackoffBlock,
			ID: 7, Begin: object.Min, End: object.Max},
		&message.OSDOpReply{TID: 3, Priority: 127, Object: "o", Ops: []message.SubOp{}, Redirect: &message.Redirect{
			Locator: object.Locator{Pool: 3, Hash: -1}, Object: "p"}},
		&message.MgrConfigure{StatsPeriod: 5, Queries: []message.PerfQuery{{Query: []byte{1, 1, 1, 0, 0, 0, 9},
			Limits: [][]byte{{1, 1, 0, 0, 0, 0}}}}, Metric: &message.Metric{Type: 1, Payload: []byte{1, 1, 2, 0, 0, 0, 8, 9}}},
		&message.MgrOpen{DaemonName: "d", ServiceName: "s", ServiceDaemon: true, Metadata: status, Status: status},
		&message.MgrReport{DaemonName: "d", Status: &status, Tasks: &status,
			PerfReports: []message.PerfReport{{Query: []byte{1, 1, 0, 0, 0, 0}, Report: []byte{1, 1, 1, 0, 0, 0, 3}}}},
		&message.ServiceMapMsg{Map: message.ServiceMap{Epoch: 2, Modified: stamp, Services: map[string]message.Service{
			"rgw": {Summary: "s", Daemons: map[string]message.ServiceDaemon{"x": {GID: 4, Start: stamp, Metadata: status, TaskStatus: status}}}}}},
		&message.MgrMapMsg{Map: message.MgrMap{Epoch: 3, Services: map[string]string{}, AlwaysOn: map[uint32][]string{16: {"b"}},
			Clients: []message.MgrClient{{Name: "n", Addrs: addrs}}, Standbys: []message.MgrStandby{{GID: 4, Name: "y",
				Modules: []message.MgrModule{{Name: "m", Options: map[string]message.MgrModuleOption{}}}}}}},
	} {
		got, err := message.Decode(message.Encode(b, pacificFeatures))
		if err != nil {
			t.Errorf("%T: %v", b, err)
		} else if !reflect.DeepEqual(got, b) {
			t.Errorf("%T:\n got  %+v\n want %+v", b, got, b)
		}
	}
}

// TestOpPayloads protects the division of the data segment: each operation gets
// its own bytes back, without a copy, and a claim beyond the segment is refused.
func TestOpPayloads(t *testing.T) {
	op := &message.OSDOp{Object: object.Head(1, "", "", "o", 5), PGID: object.PGID{Pool: 1, Seed: 5}.Whole(), Ops: []message.SubOp{
		{Op: message.OpWrite, Args: message.Extent{Length: 3}.Args(), In: wire.BufOf([]byte("abc"))},
		{Op: message.OpStat},
		{Op: message.OpSetXattr, Args: message.Xattr{NameLen: 1, ValueLen: 1}.Args(), In: wire.Buf{[]byte("n"), []byte("v")}},
	}}
	m := message.Encode(op, pacificFeatures)
	b, err := message.Decode(m)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"abc", "", "nv"} {
		if got := string(b.(*message.OSDOp).Ops[i].In.Flat()); got != want {
			t.Errorf("operation %d has %q, want %q", i, got, want)
		}
	}
	if &m.Data[0][0] != &b.(*message.OSDOp).Ops[0].In[0][0] {
		t.Error("the payload was copied")
	}
	m.Data = m.Data.Slice(0, 4)
	if _, err := message.Decode(m); err == nil {
		t.Error("an operation that claims more data than there is was accepted")
	}
}

// TestArgs protects the places of the fixed arguments within an operation.
func TestArgs(t *testing.T) {
	check := func(name string, got, want any) {
		if got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
	x := message.Extent{Offset: 1, Length: 2, TruncateSize: 3, TruncateSeq: 4}
	a := x.Args()
	check("extent", a.Extent(), x)
	w := message.Watch{Cookie: 1, Version: 2, Op: message.WatchPing, Gen: 4, Timeout: 5}
	a = w.Args()
	check("watch", a.Watch(), w)
	c := message.CopyFrom{Snap: 1, SrcVersion: 2, Flags: 3, SrcFlags: 4}
	a = c.Args()
	check("copy from", a.CopyFrom(), c)
	k := message.Checksum{Offset: 1, Length: 2, ChunkSize: 3, Type: 4}
	a = k.Args()
	check("checksum", a.Checksum(), k)
	l := message.Call{ClassLen: 1, MethodLen: 2, Argc: 3, InDataLen: 4}
	a = l.Args()
	check("call", a.Call(), l)
	h := message.AllocHint{ObjectSize: 1, WriteSize: 2, Flags: 3}
	a = h.Args()
	check("hint", a.AllocHint(), h)
	p := message.PGLs{Count: 1, StartEpoch: 2}
	a = p.Args()
	check("listing", a.PGLs(), p)
	s := message.WriteSame{Offset: 1, Length: 2, DataLength: 3}
	a = s.Args()
	check("write same", a.WriteSame(), s)
	at := message.Xattr{NameLen: 1, ValueLen: 2, CmpOp: 3, CmpMode: 4}
	a = at.Args()
	check("attribute", a.Xattr(), at)
}
