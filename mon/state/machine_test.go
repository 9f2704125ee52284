package state

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"sepiola/command"
	"sepiola/entity"
	"sepiola/mon/store"
	"sepiola/object"
	"sepiola/osdmap"
)

// memory is a store in memory, as mon/store would keep it.
type memory map[string][]byte

func (k memory) Get(key string) ([]byte, error) { return bytes.Clone(k[key]), nil }

func (k memory) Scan(prefix string, fn func(string, []byte) error) error {
	for _, key := range sortedKeys(k) {
		if strings.HasPrefix(key, prefix) {
			if err := fn(key, k[key]); err != nil {
				return err
			}
		}
	}
	return nil
}

// cluster is a machine with a store below it and a clock that moves a second
// with each batch.
type cluster struct {
	t       testing.TB
	m       Machine
	kv      memory
	now     time.Time
	history [][]store.Change
	batches []store.Batch
}

var testFSID = entity.UUID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

func testSettings() Settings {
	return Settings{PoolSize: 3, PoolPGNum: 32, PoolCrushRule: -1, AutoscaleMode: "off", AllowPGNumChange: true, MaxPoolPGNum: 65536, MaxPGPerOSD: 250,
		AllowPoolDelete: true, AutoMarkNewIn: true, AutoMarkAutoOutIn: true, LaggyWeight: 0.3, LaggyMaxInterval: 300,
		MinEpochs: 500, BlocklistExpire: 3600, LogMax: 10}
}

func newCluster(t testing.TB) *cluster {
	c := &cluster{t: t, kv: memory{}, now: time.Unix(1_800_000_000, 0).UTC()}
	if err := c.m.Restore(c.kv); err != nil {
		t.Fatal(err)
	}
	mm := osdmap.NewMonMap(testFSID, c.now)
	mm.Epoch = 1
	if err := mm.Add(osdmap.MonInfo{Name: "a", Addrs: testAddr(3300)}); err != nil {
		t.Fatal(err)
	}
	c.run(Command{Genesis: &Genesis{FSID: testFSID, MonMap: mm.Encode(), Settings: testSettings()}})
	return c
}

func testAddr(port uint16) entity.AddrVec {
	return entity.AddrVec{{Type: entity.AddrMsgr2, Nonce: uint32(port), AddrPort: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)}}
}

// run executes commands as one batch and checks what must hold after each.
func (c *cluster) run(cmds ...Command) []Reply {
	c.t.Helper()
	c.now = c.now.Add(time.Second)
	b := store.Batch{Time: c.now, Origin: 1}
	for _, cmd := range cmds {
		b.Commands = append(b.Commands, cmd.Encode())
	}
	before := c.m.State.LastEpoch
	answers, changes := c.m.Apply(b)
	for _, ch := range changes {
		if ch.Value == nil {
			delete(c.kv, ch.Key)
		} else {
			c.kv[ch.Key] = ch.Value
		}
	}
	c.batches, c.history = append(c.batches, b), append(c.history, changes)
	c.checkEpoch(before)
	out := make([]Reply, len(answers))
	for i, a := range answers {
		out[i] = a.(Reply)
	}
	return out
}

// checkEpoch: the increment applied to the stored map before gives the stored
// map after, byte for byte, CRC and all; which is what OSDs rely on.
func (c *cluster) checkEpoch(before uint32) {
	c.t.Helper()
	after := c.m.State.LastEpoch
	if after == before || before == 0 {
		return
	}
	if after != before+1 {
		c.t.Fatalf("a batch made %d epochs", after-before)
	}
	m, err := osdmap.DecodeMap(c.kv[FullKey(before)])
	if err != nil {
		c.t.Fatal(err)
	}
	_, full, err := m.ApplyEncoded(c.kv[IncKey(after)])
	if err != nil {
		c.t.Fatalf("epoch %d: %v", after, err)
	}
	if !bytes.Equal(full, c.kv[FullKey(after)]) {
		c.t.Fatalf("epoch %d: the increment does not lead to the full map", after)
	}
}

func (c *cluster) admin(args command.Args, set Settings) Reply {
	c.t.Helper()
	return c.run(Command{Admin: &Admin{Args: args, Settings: set, Who: "client.admin"}})[0]
}

func (c *cluster) boot(osd int32, port uint16) Reply {
	c.t.Helper()
	b := &Boot{OSD: osd, UUID: entity.UUID{byte(osd + 1)}, Features: 7, Have: c.m.State.LastEpoch, ClientAddrs: testAddr(port), ClusterAddr: testAddr(port + 1),
		HBBack: testAddr(port + 2), HBFront: testAddr(port + 3), Metadata: map[string]string{"hostname": "h"}, Settings: testSettings()}
	r := Reply{Again: true}
	for r.Again {
		r = c.run(Command{Boot: b})[0]
	}
	return r
}

// parseArgs turns "prefix words name=value ids=1,2" into arguments; a comma
// makes a list.
func parseArgs(fields []string) command.Args {
	args, prefix := command.Args{}, []string{}
	for _, f := range fields {
		k, v, ok := strings.Cut(f, "=")
		switch {
		case !ok:
			prefix = append(prefix, f)
		case strings.Contains(v, ",") && k != "flags":
			list := []any{}
			for part := range strings.SplitSeq(strings.Trim(v, ","), ",") {
				list = append(list, part)
			}
			args[k] = list
		default:
			args[k] = v
		}
	}
	args["prefix"] = strings.Join(prefix, " ")
	return args
}

// The OSD map service as scripts: each step shows the answer and what became of
// the map.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		c := newCluster(t)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			c.t = t
			return c.step(t, d)
		})
		c.checkReplay()
	})
}

func (c *cluster) step(t *testing.T, d *datadriven.TestData) string {
	var osd int
	var epoch int
	switch d.Cmd {
	case "ceph":
		var b strings.Builder
		for line := range strings.SplitSeq(strings.TrimSpace(d.Input), "\n") {
			r := c.admin(parseArgs(strings.Fields(line)), testSettings())
			fmt.Fprintf(&b, "%d %s%s\n", r.Code, strings.TrimSpace(r.Status), strings.TrimSpace(string(r.Out)))
		}
		return b.String()
	case "boot":
		port := 6800
		d.ScanArgs(t, "osd", &osd)
		d.MaybeScanArgs(t, "port", &port)
		return fmt.Sprintf("%v\n", c.boot(int32(osd), uint16(port+10*osd)).Value)
	case "down":
		c.run(markDowns(t, d)...)
	case "dead":
		d.ScanArgs(t, "osd", &osd)
		d.ScanArgs(t, "epoch", &epoch)
		c.run(Command{MarkDead: &MarkDead{OSD: int32(osd), Epoch: uint32(epoch)}})
	case "out":
		out := &MarkOut{After: map[int32]int64{}, MinInRatio: ratioArg(t, d)}
		for _, osd := range osdArgs(t, d) {
			out.OSDs = append(out.OSDs, osd)
			out.After[osd] = 600
		}
		c.run(Command{MarkOut: out})
	case "created":
		d.ScanArgs(t, "osd", &osd)
		var pgs []object.PGID
		for s := range strings.FieldsSeq(d.Input) {
			pg, err := object.ParsePGID(s)
			if err != nil {
				t.Fatal(err)
			}
			pgs = append(pgs, pg)
		}
		c.run(Command{PGCreated: &PGCreated{OSD: int32(osd), Addrs: c.m.State.OSD.Addrs(int32(osd)), PGs: pgs}})
	case "alive":
		d.ScanArgs(t, "osd", &osd)
		d.ScanArgs(t, "epoch", &epoch)
		c.run(Command{Alive: &Alive{OSD: int32(osd), Addrs: c.m.State.OSD.Addrs(int32(osd)), Epoch: uint32(epoch)}})
	case "osds", "brief", "pools", "creating", "log":
	default:
		t.Fatalf("unknown step %q", d.Cmd)
	}
	if d.HasArg("brief") {
		return c.show("brief")
	}
	return c.show(d.Cmd)
}

// osdArgs reads osd=1 or osd=(1,2).
func osdArgs(t *testing.T, d *datadriven.TestData) []int32 {
	t.Helper()
	var out []int32
	for _, arg := range d.CmdArgs {
		for _, v := range arg.Vals {
			osd, err := parseOSD(v)
			if arg.Key == "osd" && err == nil {
				out = append(out, osd)
			}
		}
	}
	if out == nil {
		t.Fatalf("%s: no osd=", d.Pos)
	}
	return out
}

func ratioArg(t *testing.T, d *datadriven.TestData) float64 {
	percent := 0
	d.MaybeScanArgs(t, "percent", &percent)
	return float64(percent) / 100
}

// markDowns is one command for each OSD, all in one batch: as when several fail
// at once.
func markDowns(t *testing.T, d *datadriven.TestData) []Command {
	var cmds []Command
	for _, osd := range osdArgs(t, d) {
		cmds = append(cmds, Command{MarkDown: &MarkDown{OSDs: []int32{osd}, Dead: d.HasArg("dead"), MinUpRatio: ratioArg(t, d), Reason: "failed"}})
	}
	return cmds
}

func (c *cluster) show(what string) string {
	s := &c.m.State
	var b strings.Builder
	switch what {
	case "pools":
		return s.OSD.PrintPools()
	case "creating":
		var list []string
		for pg, cr := range s.Creating {
			list = append(list, fmt.Sprintf("%s@%d", pg, cr.Epoch))
		}
		slices.Sort(list)
		return fmt.Sprintf("%d: %s\n", len(list), strings.Join(list, " "))
	case "log":
		for _, e := range s.ClusterLog {
			fmt.Fprintf(&b, "%s %s %s\n", e.Name, e.Level, e.Text)
		}
		return b.String()
	}
	fmt.Fprintf(&b, "e%d\n", s.OSD.Epoch)
	if what == "brief" {
		for _, osd := range s.OSD.OSDs() {
			fmt.Fprintf(&b, "osd.%d %s weight %.2f", osd, strings.Join(osdmap.StateNames(s.OSD.OSDState[osd]), ","), float64(s.OSD.Weight(osd))/float64(osdmap.WeightIn))
			if e := s.OSD.OSDXInfo[osd].DeadEpoch; e != 0 {
				fmt.Fprintf(&b, " dead as of e%d", e)
			}
			b.WriteString("\n")
		}
		return b.String()
	}
	for _, osd := range s.OSD.OSDs() {
		fmt.Fprintln(&b, s.OSD.PrintOSD(osd))
	}
	return b.String()
}

// checkReplay: monitors that execute the same log hold the same state, and one
// that restarts from its keys goes on as if it had not.
func (c *cluster) checkReplay() {
	c.t.Helper()
	var other Machine
	kv := memory{}
	if err := other.Restore(kv); err != nil {
		c.t.Fatal(err)
	}
	for i, b := range c.batches {
		_, changes := other.Apply(b)
		if !slices.EqualFunc(changes, c.history[i], func(x, y store.Change) bool { return x.Key == y.Key && bytes.Equal(x.Value, y.Value) }) {
			c.t.Fatalf("batch %d changed other keys when executed again: %s", i, b.Commands)
		}
		for _, ch := range changes {
			if ch.Value == nil {
				delete(kv, ch.Key)
			} else {
				kv[ch.Key] = ch.Value
			}
		}
		if err := other.Restore(kv); err != nil {
			c.t.Fatalf("restart after batch %d: %v", i, err)
		}
	}
	a, _ := json.Marshal(c.m.State.Config)
	b, _ := json.Marshal(other.State.Config)
	if !bytes.Equal(a, b) || !bytes.Equal(c.m.State.OSD.Encode(0), other.State.OSD.Encode(0)) {
		c.t.Error("state differs after restarts")
	}
}

// Commands that come together share one epoch, and each sees the ones before.
func TestBatchSharesAnEpoch(t *testing.T) {
	c := newCluster(t)
	var cmds []Command
	for i := range 5 {
		cmds = append(cmds, Command{Admin: &Admin{Args: command.Args{"prefix": "osd new", "uuid": entity.UUID{byte(i + 1)}.String()}, Settings: testSettings()}})
	}
	cmds = append(cmds,
		Command{Admin: &Admin{Args: command.Args{"prefix": "osd pool create", "pool": "p"}, Settings: testSettings()}},
		Command{Admin: &Admin{Args: command.Args{"prefix": "osd pool set", "pool": "p", "var": "min_size", "val": "1"}, Settings: testSettings()}},
		Command{Admin: &Admin{Args: command.Args{"prefix": "osd pool create", "pool": "p"}, Settings: testSettings()}})
	got := c.run(cmds...)
	for i := range 5 {
		if want := fmt.Sprintf("%d\n", i); string(got[i].Out) != want {
			t.Errorf("OSD %d was given id %q", i, got[i].Out)
		}
	}
	if got[7].Status != "pool 'p' already exists" {
		t.Errorf("second create: %q", got[7].Status)
	}
	if e := c.m.State.LastEpoch; e != 2 {
		t.Errorf("epoch %d after one batch, want 2", e)
	}
	if p := c.m.State.OSD.Pools[1]; p == nil || p.MinSize != 1 {
		t.Errorf("pool: %+v", p)
	}
}

// A batch in which a pool comes and goes leaves nothing behind.
func TestPoolCreatedAndRemovedAtOnce(t *testing.T) {
	c := newCluster(t)
	c.run(
		Command{PoolOp: &PoolOp{Op: PoolOpCreate, Name: "p", Rule: -1, Settings: testSettings()}},
		Command{Admin: &Admin{Args: command.Args{"prefix": "osd pool rm", "pool": "p", "pool2": "p", "yes_i_really_really_mean_it": true}, Settings: testSettings()}})
	if n := len(c.m.State.OSD.Pools); n != 0 {
		t.Errorf("%d pools", n)
	}
	if n := len(c.m.State.Creating); n != 0 {
		t.Errorf("%d PGs to be created", n)
	}
}

// An OSD that boots and is marked down in one batch is down after it, and one
// that goes while room is made smaller does not stop the monitor.
func TestConflictsInABatch(t *testing.T) {
	c := newCluster(t)
	admin := func(args command.Args) Command { return Command{Admin: &Admin{Args: args, Settings: testSettings()}} }
	c.admin(command.Args{"prefix": "osd new", "uuid": entity.UUID{1}.String()}, testSettings())
	boot := &Boot{OSD: 0, UUID: entity.UUID{1}, ClientAddrs: testAddr(1), ClusterAddr: testAddr(2), HBBack: testAddr(3), HBFront: testAddr(4), Settings: testSettings()}
	got := c.run(Command{Boot: boot}, admin(command.Args{"prefix": "osd down", "ids": []any{"0"}}))
	if got[1].Status != "marked down osd.0. " || c.m.State.OSD.IsUp(0) {
		t.Errorf("%q, and the OSD is up: %v", got[1].Status, c.m.State.OSD.IsUp(0))
	}
	shrink := admin(command.Args{"prefix": "osd setmaxosd", "newmax": "0"})
	got = c.run(admin(command.Args{"prefix": "osd purge-actual", "id": "0", "yes_i_really_mean_it": true}), shrink)
	if got[0].Code != 0 || !got[1].Again {
		t.Errorf("purge: %+v, setmaxosd: %+v; want the latter to come again", got[0], got[1])
	}
	if got = c.run(shrink); got[0].Code != 0 || c.m.State.OSD.MaxOSD != 0 {
		t.Errorf("setmaxosd: %+v, max_osd %d", got[0], c.m.State.OSD.MaxOSD)
	}
	c.checkReplay()
}

// A word that an OSD sent before it was last up, and that was under way while it went
// down again, does not mark up whoever may be dead by now.
func TestStaleBoot(t *testing.T) {
	c := newCluster(t)
	c.admin(command.Args{"prefix": "osd new", "uuid": entity.UUID{1}.String()}, testSettings())
	late := &Boot{OSD: 0, UUID: entity.UUID{1}, Have: c.m.State.LastEpoch, ClientAddrs: testAddr(6800), ClusterAddr: testAddr(6801),
		HBBack: testAddr(6802), HBFront: testAddr(6803), Settings: testSettings()}
	c.boot(0, 6800)
	c.admin(command.Args{"prefix": "osd down", "ids": []any{"0"}}, testSettings())
	if r := c.run(Command{Boot: late})[0]; r.Value != BootStale || c.m.State.OSD.IsUp(0) {
		t.Errorf("%+v, up %v", r, c.m.State.OSD.IsUp(0))
	}
	if r := c.boot(0, 6800); r.Value != BootDone || !c.m.State.OSD.IsUp(0) {
		t.Errorf("with the newest map: %+v", r)
	}
}

// Old epochs go, but never those from which PGs that do not exist yet date.
func TestTrimKeepsWhatCreatingPGsNeed(t *testing.T) {
	c := newCluster(t)
	set := testSettings()
	set.MinEpochs = 5
	c.admin(command.Args{"prefix": "osd pool create", "pool": "p", "pg_num": "1"}, set)
	born := c.m.State.LastEpoch
	c.admin(command.Args{"prefix": "osd new", "uuid": entity.UUID{1}.String()}, set)
	c.boot(0, 6800)
	for i := range 20 {
		c.admin(command.Args{"prefix": []string{"osd set", "osd unset"}[i%2], "key": "noout"}, set)
	}
	c.run(Command{Tick: &Tick{Settings: set}})
	if c.m.State.FirstEpoch != born {
		t.Errorf("first epoch %d, want %d, in which the PG's pool appeared", c.m.State.FirstEpoch, born)
	}
	c.run(Command{PGCreated: &PGCreated{OSD: 0, Addrs: testAddr(6800), PGs: []object.PGID{{Pool: 1}}}})
	c.run(Command{Tick: &Tick{Settings: set}})
	s := &c.m.State
	if s.FirstEpoch != s.LastEpoch-set.MinEpochs {
		t.Errorf("epochs %d to %d are kept, want %d of them", s.FirstEpoch, s.LastEpoch, set.MinEpochs)
	}
	for key := range c.kv {
		if strings.HasPrefix(key, keyFull) && key < FullKey(s.FirstEpoch) || strings.HasPrefix(key, keyInc) && key <= IncKey(s.FirstEpoch) {
			t.Errorf("%s is still stored", key)
		}
	}
}

// The log is a ring: what is dropped from memory is dropped from the store.
func TestLogIsBounded(t *testing.T) {
	c := newCluster(t)
	for i := range 25 {
		c.run(Command{Log: &Log{Max: 10, Entries: []LogEntry{{Name: "osd.1", Text: fmt.Sprint(i), Channel: "cluster"}}}})
	}
	stored := 0
	for key := range c.kv {
		if strings.HasPrefix(key, keyLog) {
			stored++
		}
	}
	if n := len(c.m.State.ClusterLog); n != 10 || stored != 10 {
		t.Errorf("%d lines in memory, %d stored, want 10", n, stored)
	}
	c.checkReplay()
}

// Garbage in the log must not stop the monitor: it is answered, and nothing
// changes.
func TestMalformedCommands(t *testing.T) {
	c := newCluster(t)
	for _, raw := range []string{"", "{", "[]", "{}", `{"Admin":{"Args":{"prefix":"osd rm"}}}`, `{"Admin":{"Args":{"prefix":"no such"}}}`,
		`{"Boot":{"OSD":-5}}`, `{"Boot":{"OSD":2147483647}}`, `{"MarkDown":{"OSDs":[-1,99]}}`, `{"PGTemp":{"OSD":-1}}`,
		`{"PoolOp":{"Op":99,"Pool":-7}}`, `{"Admin":{"Args":{"prefix":"osd pool create"}}}`, `{"Admin":{"Args":{"prefix":"osd crush set"},"Input":"AAAA"}}`} {
		before := c.m.State.OSD
		c.now = c.now.Add(time.Second)
		if answers, _ := c.m.Apply(store.Batch{Time: c.now, Commands: [][]byte{[]byte(raw)}}); len(answers) != 1 {
			t.Errorf("%s: %d answers", raw, len(answers))
		}
		if c.m.State.OSD != before {
			t.Errorf("%s made an epoch", raw)
		}
	}
}

// A configuration value of a more particular section wins; masks count within a
// section.
func TestConfigPrecedence(t *testing.T) {
	c := newCluster(t)
	for _, kv := range [][2]string{{"global", "1"}, {"osd", "2"}, {"osd/class:ssd", "3"}, {"osd.7", "4"}, {"osd/host:h9", "5"}} {
		if r := c.admin(command.Args{"prefix": "config set", "who": kv[0], "name": "osd max backfills", "value": kv[1]}, testSettings()); r.Code != 0 {
			t.Fatal(r)
		}
	}
	for _, tc := range []struct {
		target Target
		want   string
	}{
		{Target{Name: "client.admin"}, "1"}, {Target{Name: "osd.1"}, "2"}, {Target{Name: "osd.1", Class: "ssd"}, "3"},
		{Target{Name: "osd.7", Class: "ssd"}, "4"}, {Target{Name: "osd.1", Host: "h9"}, "5"},
	} {
		if got := c.m.State.Config.For(tc.target)["osd_max_backfills"].Value; got != tc.want {
			t.Errorf("%+v gets %q, want %q", tc.target, got, tc.want)
		}
	}
	for _, bad := range []string{"nobody", "osd.", "osd/x", "/"} {
		if r := c.admin(command.Args{"prefix": "config set", "who": bad, "name": "osd_max_backfills", "value": "1"}, testSettings()); r.Code == 0 {
			t.Errorf("target %q was taken", bad)
		}
	}
	c.checkReplay()
}
