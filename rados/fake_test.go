package rados

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"sepiola/config"
	"sepiola/crush"
	"sepiola/entity"
	"sepiola/message"
	"sepiola/monclient"
	"sepiola/msgr"
	"sepiola/object"
	"sepiola/osdmap"
)

// fakeOSD is an OSD that does nothing but hand what it gets to the test.
type fakeOSD struct {
	ms  *msgr.Messenger
	got chan delivery
}

type delivery struct {
	conn *msgr.Conn
	body message.Body
}

func (f *fakeOSD) Dispatch(c *msgr.Conn, m *msgr.Message) {
	b, err := message.Decode(m)
	if err != nil {
		c.Fail(err.Error())
		return
	}
	f.got <- delivery{c, b}
}

func (*fakeOSD) Connected(*msgr.Conn)   {}
func (*fakeOSD) Accepted(*msgr.Conn)    {}
func (*fakeOSD) Reset(*msgr.Conn)       {}
func (*fakeOSD) RemoteReset(*msgr.Conn) {}
func (*fakeOSD) Refused(*msgr.Conn)     {}

// world is a client with fake OSDs and a map of the test's making.
type world struct {
	t    *testing.T
	c    *Client
	osds []*fakeOSD
	m    *osdmap.Map
}

const testPool = 1

// newWorld makes a client and n OSDs. The pool has one PG, which is led by osd.0.
func newWorld(t *testing.T, n int) *world {
	t.Helper()
	network := msgr.NewMemoryNetwork()
	conf := config.New("client", "test")
	log := hclog.NewNullLogger()
	c, err := newClient(conf, log, network)
	if err != nil {
		t.Fatal(err)
	}
	c.mon = monclient.New(monclient.Config{Messenger: c.ms, Logger: log})
	w := &world{t: t, c: c}
	cm := crush.NewDefault()
	w.m = osdmap.New(entity.UUID{1}, 10, time.Unix(1700000000, 0), cm)
	w.m.SetMaxOSD(int32(n))
	for i := range n {
		osd := &fakeOSD{got: make(chan delivery, 64)}
		osd.ms = msgr.New(msgr.Config{Name: entity.OSD(int32(i)), Nonce: uint32(i) + 1, Logger: log,
			DefaultPolicy: msgr.StatelessServer(), Transport: network}, osd)
		if err := osd.ms.Bind(netip.MustParseAddrPort("127.0.0.1:0"), 6800, 7300); err != nil {
			t.Fatal(err)
		}
		osd.ms.Start()
		t.Cleanup(osd.ms.Shutdown)
		if err := cm.InsertItem(int32(i), 1, fmt.Sprintf("osd.%d", i), map[string]string{"root": "default", "host": fmt.Sprintf("h%d", i)}); err != nil {
			t.Fatal(err)
		}
		w.m.OSDState[i] = osdmap.OSDExists | osdmap.OSDUp
		w.m.OSDWeight[i] = osdmap.WeightIn
		w.m.ClientAddrs[i] = osd.ms.Addrs()
		w.osds = append(w.osds, osd)
	}
	p := osdmap.NewPool()
	p.Type, p.Size, p.MinSize, p.Flags, p.ObjectHash = osdmap.PoolReplicated, 1, 1, osdmap.PoolFlagHashPSPool, object.HashRjenkins
	p.SetPGNum(1)
	p.PGPNum, p.PGNumTarget, p.PGPNumTarget = 1, 1, 1
	w.m.Pools[testPool], w.m.PoolNames[testPool] = p, "data"
	w.m.PGTemp[object.PGID{Pool: testPool}] = []int32{0}
	c.ms.Start()
	t.Cleanup(c.Close)
	c.adopt(w.m.Clone())
	return w
}

// change gives the client a further map.
func (w *world) change(edit func(m *osdmap.Map)) {
	w.m = w.m.Clone()
	w.m.Epoch++
	edit(w.m)
	w.c.adopt(w.m)
}

// lead makes an OSD the PG's primary.
func (w *world) lead(osd int32) {
	w.change(func(m *osdmap.Map) { m.PGTemp[object.PGID{Pool: testPool}] = []int32{osd} })
}

func (w *world) io() *IOCtx { return &IOCtx{c: w.c, pool: testPool, name: "data", snap: object.NoSnap} }

func (w *world) start(name string) *Pending {
	w.t.Helper()
	p, err := w.io().Start(context.Background(), name, new(Op).WriteFull([]byte(name)))
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// next returns the next operation an OSD gets.
func (w *world) next(osd int) (*msgr.Conn, *message.OSDOp) {
	w.t.Helper()
	d := <-w.osds[osd].got
	op, ok := d.body.(*message.OSDOp)
	if !ok {
		w.t.Fatalf("osd.%d got %T, want an operation", osd, d.body)
	}
	return d.conn, op
}

// expect checks that an OSD gets the named operations next, in that order, as that
// attempt, and returns them.
func (w *world) expect(osd int, attempt int32, names ...string) (conn *msgr.Conn, ops []*message.OSDOp) {
	w.t.Helper()
	for _, name := range names {
		c, op := w.next(osd)
		if op.Object.Name != name || op.RetryAttempt != attempt || op.Has(message.FlagRetry) != (attempt > 0) {
			w.t.Fatalf("osd.%d got %s, attempt %d, flags %v; want %s, attempt %d", osd, op.Object.Name, op.RetryAttempt, op.Flags, name, attempt)
		}
		conn, ops = c, append(ops, op)
	}
	return conn, ops
}

func (w *world) reply(conn *msgr.Conn, op *message.OSDOp, result int32) {
	w.t.Helper()
	r := message.NewOSDOpReply(op, result, w.m.Epoch, message.FlagOnDisk)
	if err := conn.Send(message.Encode(r, conn.Features())); err != nil {
		w.t.Fatal(err)
	}
}
