package osd

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"sepiola/entity"
	"sepiola/message"
	"sepiola/msgr"
	"sepiola/object"
	"sepiola/wire"
)

// opsEnd is a server's end that notes clients' operations.
type opsEnd struct {
	clientEnd
	sess *session
	ops  chan *message.OSDOp
}

func (e *opsEnd) Accepted(c *msgr.Conn) { e.sess = newSession(c) }
func (e *opsEnd) Dispatch(_ *msgr.Conn, m *msgr.Message) {
	b, err := message.Decode(m)
	if op, ok := b.(*message.OSDOp); err == nil && ok {
		e.sess.begin(op, m, time.Now())
		e.ops <- op
	}
}

// throttled is a client connected to a server whose throttles can be looked at.
type throttled struct {
	t               *testing.T
	end             *opsEnd
	conn            *msgr.Conn
	messages, bytes *msgr.Throttle
}

func newThrottled(t *testing.T) *throttled {
	t.Helper()
	x := &throttled{t: t, end: &opsEnd{clientEnd: clientEnd{make(chan message.Body, 10)}, ops: make(chan *message.OSDOp, 100)}, messages: msgr.NewThrottle(100), bytes: msgr.NewThrottle(1 << 20)}
	policy := msgr.StatelessServer()
	policy.ThrottleMessages, policy.ThrottleBytes = x.messages, x.bytes
	server := msgr.New(msgr.Config{Name: entity.OSD(0), DefaultPolicy: policy}, x.end)
	if err := server.Bind(netip.MustParseAddrPort("127.0.0.1:0"), 0, 0); err != nil {
		t.Fatal(err)
	}
	server.Start()
	t.Cleanup(server.Shutdown)
	client := msgr.New(msgr.Config{Name: entity.Client(7), DefaultPolicy: msgr.LossyClient(),
		AuthClient: &msgr.NoneClient{Name: entity.AuthName{Type: entity.TypeClient, ID: "admin"}}}, &clientEnd{make(chan message.Body, 10)})
	client.Start()
	t.Cleanup(client.Shutdown)
	x.conn = client.Connect(server.Addrs(), entity.TypeOSD)
	return x
}

// op sends an operation, and returns it as it was received.
func (x *throttled) op(tid uint64) *message.OSDOp {
	x.t.Helper()
	if err := x.conn.Send(message.Encode(testOp(tid, 1, 0), msgr.FeaturesAll)); err != nil {
		x.t.Fatal(err)
	}
	return <-x.end.ops
}

// use checks how many operations are under way, by the session and by the throttles.
func (x *throttled) use(want int) {
	x.t.Helper()
	if got := x.messages.InUse(); got != int64(want) {
		x.t.Errorf("the throttle has %d messages, want %d", got, want)
	}
	if got := x.bytes.InUse(); (got > 0) != (want > 0) {
		x.t.Errorf("the throttle has %d bytes of %d messages", got, want)
	}
	if got := len(x.end.sess.inFlight()); got != want {
		x.t.Errorf("%d operations are under way, want %d", got, want)
	}
}

func testOp(tid uint64, epoch, seed uint32) *message.OSDOp {
	return &message.OSDOp{TID: tid, Epoch: epoch, PGID: object.PGID{Pool: 1, Seed: seed}.Whole(),
		Object: object.Head(1, "", "", "x", seed), Flags: message.FlagWrite | message.FlagOnDisk,
		Ops: []message.SubOp{{Op: message.OpWriteFull, In: wire.BufOf([]byte("data"))}}}
}

// An operation takes its share of the throttles until it is answered, given up, or its
// client goes; sending one number again does not free the first.
func TestSessionThrottle(t *testing.T) {
	x := newThrottled(t)
	x.op(1)
	two := x.op(2)
	x.op(3)
	x.use(3)
	if x.end.sess.finish(1) == nil {
		t.Error("an operation under way is not known")
	}
	x.use(2)
	if x.end.sess.finish(1) != nil {
		t.Error("an operation was answered twice")
	}
	x.end.sess.dropped(two)
	x.end.sess.dropped(two)
	x.use(1)
	first := x.op(3)
	second := x.op(3)
	x.use(3)
	x.end.sess.finish(3)
	x.use(2)
	x.end.sess.dropped(second)
	x.use(1)
	x.end.sess.dropped(first)
	x.use(0)
	x.op(4)
	x.op(4)
	x.end.sess.drop()
	x.use(0)
	runtime.KeepAlive(two)
}

// An operation that everybody has forgotten does not keep its share for ever.
func TestSessionForgotten(t *testing.T) {
	x := newThrottled(t)
	x.op(1)
	kept := x.op(2)
	for deadline := time.Now().Add(time.Minute); x.messages.InUse() != 1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d operations are kept, want 1", x.messages.InUse())
		}
		runtime.GC()
	}
	x.use(1)
	x.end.sess.dropped(kept)
	x.use(0)
}

// What is told of operations names the client, its number, the object and the steps.
func TestDescribe(t *testing.T) {
	got := describe(entity.Client(4123), testOp(17, 5, 3))()
	if want := "osd_op(client.4123:17 1.3 1:c0000000:::x:head [writefull] ondisk+write e5)"; got != want {
		t.Errorf("described as %q, want %q", got, want)
	}
}
