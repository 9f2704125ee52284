package osd

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"sepiola/crush"
	"sepiola/entity"
	"sepiola/osdmap"
)

// clock counts seconds from some moment.
func clock(s float64) time.Time {
	return time.Unix(1e9, 0).Add(time.Duration(s * float64(time.Second)))
}

const (
	grace = 20 * time.Second
	renew = 5 * time.Second
)

func loopbackPort(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
}

// addrs are somewhere nobody listens.
func addrs(port uint16) entity.AddrVec {
	return entity.AddrVec{{Type: entity.AddrMsgr2, Nonce: uint32(port), AddrPort: loopbackPort(1 + port)}}
}

func peerAt(upFrom uint32) target {
	return target{upFrom: upFrom, addrs: addrs(1), at: [sides]entity.AddrVec{addrs(2), addrs(3)}}
}

// beat is one thing that happens to a watch of osd.1, and what it says to that.
type beat struct {
	at     float64
	do     string // ask, back, front (of the ping of stamp), refused, check
	stamp  float64
	expect string // failed, immediate, alive, or nothing
}

// play lets the steps happen.
func play(t *testing.T, steps []beat) {
	t.Helper()
	w := newWatch()
	w.set(map[int32]target{1: peerAt(7)})
	for i, s := range steps {
		now, got := clock(s.at), ""
		answer := func(from side) {
			f, tell := w.answered(1, from, clock(s.stamp), now)
			if tell && f.alive {
				got = "alive"
			}
		}
		switch s.do {
		case "ask":
			w.asked(1, now)
		case "back":
			answer(sideBack)
		case "front":
			answer(sideFront)
		case "refused":
			w.refusedAt(1, now)
		case "check":
			for _, f := range w.failed(now, grace, renew) {
				got = "failed"
				if f.refused {
					got = "immediate"
				}
				if f.osd != 1 || f.upFrom != 7 || !f.addrs.Equal(addrs(1)) {
					t.Errorf("step %d: report %+v", i, f)
				}
			}
		}
		if got != s.expect {
			t.Errorf("step %d, at %v s %s: says %q, want %q", i, s.at, s.do, got, s.expect)
		}
	}
}

// A peer is reported when it owes an answer for as long as the grace, counted from
// the oldest ping that is owed; who answers late but steadily never is; and who
// answers on one network only is.
func TestWatchSilence(t *testing.T) {
	t.Run("answers", func(t *testing.T) {
		var s []beat
		for i := 0.0; i < 100; i += 6 {
			s = append(s, beat{i, "ask", 0, ""}, beat{i + 0.1, "back", i, ""}, beat{i + 0.2, "front", i, ""}, beat{i + 5, "check", 0, ""})
		}
		play(t, s)
	})
	t.Run("never answers", func(t *testing.T) {
		play(t, []beat{{0, "ask", 0, ""}, {6, "ask", 0, ""}, {19.9, "check", 0, ""}, {20, "check", 0, "failed"},
			{21, "check", 0, ""}, {24.9, "check", 0, ""}, {25, "check", 0, "failed"}})
	})
	t.Run("late but steady", func(t *testing.T) {
		var s []beat
		for i := 0.0; i < 100; i += 6 {
			s = append(s, beat{i, "ask", 0, ""})
			if i >= 12 {
				s = append(s, beat{i + 1, "back", i - 12, ""}, beat{i + 1, "front", i - 12, ""})
			}
			s = append(s, beat{i + 2, "check", 0, ""})
		}
		play(t, s)
	})
	t.Run("one network is dead", func(t *testing.T) {
		var s []beat
		for i := 0.0; i <= 18; i += 6 {
			s = append(s, beat{i, "ask", 0, ""}, beat{i + 0.1, "back", i, ""}, beat{i + 1, "check", 0, ""})
		}
		play(t, append(s, beat{20, "check", 0, "failed"}))
	})
	t.Run("one ping lost", func(t *testing.T) {
		play(t, []beat{{0, "ask", 0, ""}, {6, "ask", 0, ""}, {6.1, "back", 6, ""}, {6.1, "front", 6, ""}, {20, "check", 0, ""}, {25, "check", 0, ""}})
	})
	t.Run("comes back", func(t *testing.T) {
		play(t, []beat{{0, "ask", 0, ""}, {20, "check", 0, "failed"}, {21, "ask", 0, ""}, {21.5, "back", 21, ""},
			{21.6, "front", 21, "alive"}, {22, "check", 0, ""}, {23, "front", 21, ""}})
	})
	t.Run("an answer to nothing", func(t *testing.T) {
		play(t, []beat{{0, "ask", 0, ""}, {1, "back", 0.5, ""}, {1, "front", 0.5, ""}, {20, "check", 0, "failed"}})
	})
}

// A peer whose host refuses connections is reported without waiting; an answer takes
// that back.
func TestWatchRefused(t *testing.T) {
	play(t, []beat{{0, "ask", 0, ""}, {0.1, "refused", 0, ""}, {0.2, "check", 0, "immediate"}, {1, "check", 0, ""},
		{5.2, "check", 0, "immediate"}, {6, "ask", 0, ""}, {6.1, "back", 6, ""}, {6.2, "front", 6, "alive"}, {7, "check", 0, ""}})
	play(t, []beat{{0, "ask", 0, ""}, {20, "check", 0, "failed"}, {20.5, "refused", 0, ""}, {21, "check", 0, "immediate"}})
}

// A report tells how long the peer has not been heard of: on the network where that
// is longer, or since it was first asked.
func TestWatchSince(t *testing.T) {
	since := func(w watch) time.Time {
		t.Helper()
		list := w.failed(clock(100), grace, renew)
		if len(list) != 1 {
			t.Fatalf("%d reports", len(list))
		}
		return list[0].since
	}
	w := newWatch()
	w.set(map[int32]target{1: peerAt(7)})
	w.asked(1, clock(3))
	w.asked(1, clock(9))
	if got := since(w); !got.Equal(clock(3)) {
		t.Errorf("never heard of: since %v, want the first ping", got)
	}
	w = newWatch()
	w.set(map[int32]target{1: peerAt(7)})
	w.asked(1, clock(3))
	w.answered(1, sideBack, clock(3), clock(4))
	w.answered(1, sideFront, clock(3), clock(5))
	w.asked(1, clock(9))
	w.answered(1, sideFront, clock(9), clock(10))
	if got := since(w); !got.Equal(clock(4)) {
		t.Errorf("heard of on both: since %v, want the earlier one", got)
	}
	w = newWatch()
	one := peerAt(7)
	one.at[sideFront] = nil
	w.set(map[int32]target{1: one})
	w.asked(1, clock(3))
	w.answered(1, sideBack, clock(3), clock(4))
	if list := w.failed(clock(100), grace, renew); len(list) != 0 {
		t.Errorf("a peer with one address that answers is reported: %+v", list)
	}
}

// What is remembered of a silent peer is bounded, and an answer to the newest ping
// settles it all.
func TestWatchBound(t *testing.T) {
	w := newWatch()
	w.set(map[int32]target{1: peerAt(7)})
	for i := range 1000 {
		w.asked(1, clock(float64(i)))
	}
	p := w.peers[1]
	if len(p.owed) > owedMax || !p.owed[0].at.Equal(clock(0)) {
		t.Errorf("%d pings are remembered, the oldest of %v", len(p.owed), p.owed[0].at)
	}
	w.answered(1, sideBack, clock(999), clock(1000))
	w.answered(1, sideFront, clock(999), clock(1000))
	if len(p.owed) != 0 {
		t.Errorf("%d pings are owed after an answer to the last", len(p.owed))
	}
}

// Peers that go, come, or come back elsewhere begin anew.
func TestWatchSet(t *testing.T) {
	w := newWatch()
	check := func(want map[int32]target, added, dropped []int32) {
		t.Helper()
		a, d := w.set(want)
		if !slices.Equal(a, added) || !slices.Equal(d, dropped) {
			t.Errorf("added %v, dropped %v; want %v, %v", a, d, added, dropped)
		}
	}
	check(map[int32]target{2: peerAt(7), 1: peerAt(7)}, []int32{1, 2}, nil)
	w.asked(1, clock(0))
	w.asked(2, clock(0))
	check(map[int32]target{2: peerAt(7), 1: peerAt(9)}, []int32{1}, []int32{1})
	if len(w.peers[1].owed) != 0 || len(w.peers[2].owed) != 1 {
		t.Error("an OSD that came back owes what it was asked before, or another does not")
	}
	check(nil, nil, []int32{1, 2})
}

// testMap has n OSDs, all up, and one pool of 8 PGs of three copies.
func testMap(t testing.TB, n int32) *osdmap.Map {
	t.Helper()
	cm, err := crush.NewDefaultOver("osd")
	if err != nil {
		t.Fatal(err)
	}
	for id := range n {
		if err := cm.InsertItem(id, 1, entity.OSD(id).String(), map[string]string{"root": "default"}); err != nil {
			t.Fatal(err)
		}
	}
	m := osdmap.New(entity.UUID{1}, 1, clock(0), cm)
	m.SetMaxOSD(n)
	for id := range n {
		m.OSDState[id] = osdmap.OSDExists | osdmap.OSDUp
		m.OSDWeight[id] = osdmap.WeightIn
		m.OSDInfo[id].UpFrom = 1
		m.HBBackAddrs[id], m.HBFrontAddrs[id], m.ClientAddrs[id], m.ClusterAddrs[id] = addrs(uint16(id)), addrs(uint16(100+id)), addrs(uint16(200+id)), addrs(uint16(300+id))
	}
	p := osdmap.NewPool()
	p.Type, p.Size, p.MinSize = osdmap.PoolReplicated, 3, 2
	p.SetPGNum(8)
	p.PGPNum = 8
	m.Pools[1], m.PoolNames[1] = p, "data"
	return m
}

// The OSDs of our PGs are watched, others up to the number wanted, each once; never
// ourselves, nor who is down.
func TestChoosePeers(t *testing.T) {
	m := testMap(t, 10)
	m.OSDState[4] &^= osdmap.OSDUp
	for _, c := range []struct {
		whoami int32
		shared []int32
		least  int
		want   []int32
	}{
		{0, nil, 0, nil},
		{0, []int32{0, 5, 5, 4, osdmap.ItemNone, -1}, 0, []int32{5}},
		{3, []int32{9}, 3, []int32{5, 6, 9}},
		{8, nil, 3, []int32{0, 1, 9}},
		{8, nil, 100, []int32{0, 1, 2, 3, 5, 6, 7, 9}},
		{77, nil, 2, []int32{8, 9}},
	} {
		got := choosePeers(c.whoami, m, c.shared, c.least)
		var list []int32
		for osd, target := range got {
			list = append(list, osd)
			if target.upFrom != 1 || !target.at[sideBack].Equal(addrs(uint16(osd))) || !target.at[sideFront].Equal(addrs(uint16(100+osd))) {
				t.Errorf("osd.%d is watched at %+v", osd, target)
			}
		}
		slices.Sort(list)
		if !slices.Equal(list, c.want) {
			t.Errorf("osd.%d with %v, at least %d: %v, want %v", c.whoami, c.shared, c.least, list, c.want)
		}
	}
	if got := choosePeers(0, &osdmap.Map{}, nil, 3); len(got) != 0 {
		t.Errorf("of an empty map: %v", got)
	}
}

// A report is forgotten when the map has its OSD down, or up again as another.
func TestWatchSettled(t *testing.T) {
	m := testMap(t, 4)
	w := newWatch()
	w.set(choosePeers(0, m, []int32{1, 2, 3}, 0))
	for osd := range int32(4) {
		w.asked(osd, clock(0))
	}
	if n := len(w.failed(clock(30), grace, renew)); n != 3 {
		t.Fatalf("%d reports", n)
	}
	m.OSDState[1] &^= osdmap.OSDUp
	m.OSDInfo[2].UpFrom = 5
	w.settled(m)
	if _, kept := w.reported[3]; !kept || len(w.reported) != 1 {
		t.Errorf("kept: %v", w.reported)
	}
}
