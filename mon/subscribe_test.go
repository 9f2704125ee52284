package mon

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"sepiola/command"
	"sepiola/entity"
	"sepiola/message"
	"sepiola/mon/state"
	"sepiola/mon/store"
	"sepiola/msgr"
)

// command sends a command and waits for its answer, which must be success.
func (p *peer) command(t *testing.T, c *msgr.Conn, cmd string) {
	t.Helper()
	if err := c.Send(message.Encode(&message.MonCommand{TID: 1, FSID: testFSID, Cmd: []string{cmd}}, 0)); err != nil {
		t.Fatal(err)
	}
	if ack := next[*message.MonCommandAck](p); ack.R != 0 {
		t.Fatalf("%s: %d %s", cmd, ack.R, ack.RS)
	}
}

// next waits for the next message of a type.
func next[B message.Body](p *peer) B {
	for {
		if b, ok := (<-p.got).(B); ok {
			return b
		}
	}
}

// An OSD that was marked down, wrongly, while it was to create PGs is asked again
// when it is up: by the map of its absence it led nothing, and did nothing.
func TestCreatesAreRepeated(t *testing.T) {
	m := newTestMon(t)
	admin, adminPeer := dial(t, m, m.Addrs(), entity.TypeMon)
	uuid := entity.NewUUID()
	adminPeer.command(t, admin, `{"prefix":"osd new","uuid":"`+uuid.String()+`"}`)

	osd := &peer{make(chan message.Body, 100), make(chan struct{}, 100)}
	ms := msgr.New(msgr.Config{Name: entity.OSD(0), Nonce: 7, DefaultPolicy: msgr.LossyClient(),
		AuthClient: &msgr.NoneClient{Name: entity.AuthName{Type: entity.TypeOSD, ID: "0"}}}, osd)
	if err := ms.Bind(netip.MustParseAddrPort("127.0.0.1:0"), 0, 0); err != nil {
		t.Fatal(err)
	}
	ms.Start()
	t.Cleanup(ms.Shutdown)
	c := ms.Connect(m.Addrs(), entity.TypeMon)
	send := func(b message.Body) {
		t.Helper()
		if err := c.Send(message.Encode(b, msgr.FeaturesAll)); err != nil {
			t.Fatal(err)
		}
	}
	a := ms.Addrs()
	boot := &message.OSDBoot{Superblock: message.OSDSuperblock{ClusterFSID: testFSID, OSDFSID: uuid},
		HBBackAddrs: a, HBFrontAddrs: a, ClusterAddrs: a, Features: msgr.FeaturesAll}
	send(&message.MonSubscribe{What: map[string]message.SubscribeItem{"osd_pg_creates": {}}})
	send(boot)
	next[*message.OSDMapMsg](osd)
	adminPeer.command(t, admin, `{"prefix":"osd crush create-or-move","id":0,"weight":1,"args":["root=default","host=h"]}`)
	adminPeer.command(t, admin, `{"prefix":"osd pool create","pool":"p","pg_num":4}`)
	first := next[*message.OSDPGCreate2](osd)
	adminPeer.command(t, admin, `{"prefix":"osd down","ids":["0"]}`)
	boot.Have = 1000 // it has heard of that
	send(boot)
	again := next[*message.OSDPGCreate2](osd)
	if len(first.PGs) != 4 || len(again.PGs) != 4 || again.Epoch <= first.Epoch {
		t.Errorf("asked for %d PGs, then for %d; want 4 both times", len(first.PGs), len(again.PGs))
	}
}

// A client that asks for another level of the cluster log no longer hears of the
// one before.
func TestOneLogLevel(t *testing.T) {
	m := newTestMon(t)
	c, p := dial(t, m, m.Addrs(), entity.TypeMon)
	follow := func(level string) {
		t.Helper()
		sub := &message.MonSubscribe{What: map[string]message.SubscribeItem{"log-" + level: {}}}
		if err := c.Send(message.Encode(sub, 0)); err != nil {
			t.Fatal(err)
		}
	}
	// say adds to the log, and returns whether that was heard before the next line
	// of the log was acknowledged.
	say := func(text string) bool {
		t.Helper()
		heard := false
		for _, line := range []string{text, "and so on"} {
			cmd := &message.MonCommand{TID: 1, FSID: testFSID, Cmd: []string{`{"prefix":"log","logtext":["` + line + `"]}`}}
			if err := c.Send(message.Encode(cmd, 0)); err != nil {
				t.Fatal(err)
			}
			for acked := false; !acked; {
				switch b := (<-p.got).(type) {
				case *message.MonCommandAck:
					acked = true
				case *message.LogMsg:
					heard = heard || slices.ContainsFunc(b.Entries, func(e message.LogEntry) bool { return e.Message == text })
				}
			}
		}
		return heard
	}
	follow("info")
	if !say("one") {
		t.Error("a follower of level info did not hear of it")
	}
	follow("error")
	if say("two") {
		t.Error("a follower of level error heard of level info")
	}
}

// Between the moment an epoch becomes the newest and the one when it is on the disk,
// whoever subscribes gets it all the same, and misses none.
func TestMapsAheadOfTheDisk(t *testing.T) {
	m := newTestMon(t)
	c, p := dial(t, m, m.Addrs(), entity.TypeMon)
	p.command(t, c, `{"prefix":"osd set","key":"noout"}`)

	m.mu.Lock()
	have := m.machine.State.LastEpoch
	m.mu.Unlock()
	// What the node does for a committed entry, up to the write.
	unset := state.Command{Admin: &state.Admin{Args: command.Args{"prefix": "osd unset", "key": "noout"}}}
	lockedMachine{m.Monitor}.Apply(store.Batch{Time: time.Now(), Commands: [][]byte{unset.Encode()}})

	sub := map[string]message.SubscribeItem{"osdmap": {Start: uint64(have) + 1}}
	if err := c.Send(message.Encode(&message.MonSubscribe{What: sub}, 0)); err != nil {
		t.Fatal(err)
	}
	if got := next[*message.OSDMapMsg](p); got.Incrementals[have+1] == nil {
		t.Errorf("epochs %v came, of them %d increments; %d was asked for", got.Newest, len(got.Incrementals), have+1)
	}
}
