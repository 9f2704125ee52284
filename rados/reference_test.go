package rados

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"sepiola/config"
	"sepiola/internal/refcluster/reftest"
	"sepiola/message"
)

// referencePool returns a pool of its own in a reference cluster, and a function that
// runs the reference's rados on it.
func referencePool(t *testing.T) (*IOCtx, func(args ...string) string) {
	t.Helper()
	path := reftest.Conf(t)
	conf := config.New("client", "admin")
	if err := conf.Load(path); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	c, err := Connect(ctx, conf, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	pool := fmt.Sprintf("lib%d", time.Now().UnixNano())
	if err := c.CreatePool(ctx, pool, 8); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.DeletePool(ctx, pool); err != nil {
			t.Error(err)
		}
	})
	x, err := c.Pool(ctx, pool)
	if err != nil {
		t.Fatal(err)
	}
	return x, func(args ...string) string {
		t.Helper()
		out, err := exec.Command("rados", append([]string{"-c", path, "-p", pool}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("rados %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
}

// The library does to objects in a real cluster what its comments say, and gets the
// errors that RADOS has.
func TestAgainstReference(t *testing.T) {
	x, ref := referencePool(t)
	for name, test := range map[string]func(*testing.T, *IOCtx, func(...string) string){
		"data": testData, "compound": testCompound, "omap": testOmap, "list": testList, "async": testAsync, "pools": testPools,
	} {
		t.Run(name, func(t *testing.T) { test(t, x.WithNamespace(name), ref) })
	}
}

func check(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

func testData(t *testing.T, x *IOCtx, ref func(...string) string) {
	ctx := context.Background()
	check(t, x.Create(ctx, "a", true), nil)
	check(t, x.Create(ctx, "a", true), syscall.EEXIST)
	check(t, x.Create(ctx, "a", false), nil)
	check(t, x.Write(ctx, "a", 4, []byte("efgh")), nil)
	check(t, x.Append(ctx, "a", []byte("ij")), nil)
	check(t, x.Zero(ctx, "a", 5, 2), nil)
	p, err := x.Read(ctx, "a", 0, 100)
	check(t, err, nil)
	if string(p) != "\x00\x00\x00\x00e\x00\x00hij" {
		t.Errorf("read %q", p)
	}
	if got := ref("-N", "data", "get", "a", "-"); got != string(p) {
		t.Errorf("the reference reads %q, we %q", got, p)
	}
	check(t, x.Truncate(ctx, "a", 6), nil)
	size, mtime, err := x.Stat(ctx, "a")
	if err != nil || size != 6 || time.Since(mtime).Abs() > time.Minute {
		t.Errorf("stat: %d, %v, %v", size, mtime, err)
	}
	if p, err = x.Read(ctx, "a", 6, 10); err != nil || len(p) != 0 {
		t.Errorf("behind the end: %q, %v", p, err)
	}
	check(t, x.SetXattr(ctx, "a", "k", []byte("v")), nil)
	check(t, x.SetXattr(ctx, "a", "empty", nil), nil)
	attrs, err := x.Xattrs(ctx, "a")
	check(t, err, nil)
	if !maps.EqualFunc(attrs, map[string][]byte{"k": []byte("v"), "empty": nil}, bytes.Equal) {
		t.Errorf("attributes %q", attrs)
	}
	check(t, x.RmXattr(ctx, "a", "k"), nil)
	_, err = x.GetXattr(ctx, "a", "k")
	check(t, err, syscall.ENODATA)
	far := x.WithLocator("elsewhere")
	check(t, far.Copy(ctx, "copy", x, "a"), nil)
	if size, _, err := far.Stat(ctx, "copy"); err != nil || size != 6 {
		t.Errorf("the copy: %d, %v", size, err)
	}
	check(t, x.Copy(ctx, "b", x, "none"), syscall.ENOENT)
	check(t, x.Remove(ctx, "a"), nil)
	check(t, x.Remove(ctx, "a"), syscall.ENOENT)
	_, _, err = x.Stat(ctx, "a")
	check(t, err, syscall.ENOENT)
	check(t, x.Write(ctx, "big", 1<<40, []byte("x")), syscall.EFBIG)
}

// A compound operation is done whole or not at all.
func testCompound(t *testing.T, x *IOCtx, _ func(...string) string) {
	ctx := context.Background()
	op := new(Op).Create(true).WriteFull([]byte("one")).SetXattr("v", []byte("1")).OmapSet(map[string][]byte{"k": []byte("x")})
	check(t, x.Operate(ctx, "a", op), nil)
	swap := func(old, next string) error {
		return x.Operate(ctx, "a", new(Op).CmpXattr("v", message.CmpEQ, []byte(old)).SetXattr("v", []byte(next)).WriteFull([]byte(next)))
	}
	check(t, swap("1", "2"), nil)
	check(t, swap("1", "3"), syscall.ECANCELED)
	var data, attr []byte
	var size uint64
	var page OmapPage
	check(t, x.Operate(ctx, "a", new(Op).Read(0, 0, &data).Stat(&size, nil).GetXattr("v", &attr).OmapVals("", "", 10, &page)), nil)
	if string(data) != "2" || size != 1 || string(attr) != "2" || !slices.Equal(page.Keys, []string{"k"}) || page.More {
		t.Errorf("read back %q, size %d, attribute %q, omap %+v", data, size, attr, page)
	}
	then := time.Unix(1600000000, 0)
	check(t, x.Operate(ctx, "a", new(Op).Append([]byte("!")).SetMTime(then)), nil)
	if _, mtime, err := x.Stat(ctx, "a"); err != nil || !mtime.Equal(then) {
		t.Errorf("modified %v, %v; want %v", mtime, err, then)
	}
	reply, err := x.c.Do(ctx, Request{Pool: x.pool, Namespace: x.namespace, Object: "a", Flags: message.FlagRead,
		Ops: new(Op).Stat(nil, nil).subs})
	check(t, err, nil)
	check(t, x.Operate(ctx, "a", new(Op).AssertVersion(reply.UserVersion).Truncate(0)), nil)
	check(t, x.Operate(ctx, "a", new(Op).AssertVersion(reply.UserVersion).Truncate(0)), syscall.ERANGE)
}

func testOmap(t *testing.T, x *IOCtx, ref func(...string) string) {
	ctx := context.Background()
	const n = 2500
	values := map[string][]byte{}
	for i := range n {
		values[fmt.Sprintf("key%05d", i)] = []byte(fmt.Sprint(i))
	}
	check(t, x.OmapSet(ctx, "a", values), nil)
	check(t, x.OmapSetHeader(ctx, "a", []byte("head")), nil)
	var keys []string
	for after, more := "", true; more; {
		var page OmapPage
		var err error
		if page, err = x.OmapVals(ctx, "a", after, "", 1000); err != nil {
			t.Fatal(err)
		}
		for _, k := range page.Keys {
			if !bytes.Equal(page.Values[k], values[k]) {
				t.Fatalf("%s has the value %q", k, page.Values[k])
			}
		}
		keys = append(keys, page.Keys...)
		after, more = keys[len(keys)-1], page.More
	}
	if want := slices.Sorted(maps.Keys(values)); !slices.Equal(keys, want) {
		t.Errorf("%d keys in all, want %d, ascending", len(keys), n)
	}
	if got := strings.Fields(ref("-N", "omap", "listomapkeys", "a")); !slices.Equal(got, keys) {
		t.Errorf("the reference lists %d other keys", len(got))
	}
	page, err := x.OmapVals(ctx, "a", "key00015", "key0001", 100)
	if want := []string{"key00016", "key00017", "key00018", "key00019"}; err != nil || !slices.Equal(page.Keys, want) {
		t.Errorf("after key00015, of key0001: %v, %v", page.Keys, err)
	}
	check(t, x.OmapRmKeys(ctx, "a", "key00001", "none"), nil)
	some, err := x.OmapValsByKeys(ctx, "a", "key00002", "key00001", "none")
	if err != nil || len(some) != 1 || string(some["key00002"]) != "2" {
		t.Errorf("by keys: %q, %v", some, err)
	}
	check(t, x.OmapClear(ctx, "a"), nil)
	list, more, err := x.OmapKeys(ctx, "a", "", 10)
	if err != nil || len(list) != 0 || more {
		t.Errorf("after clear: %v, %v, %v", list, more, err)
	}
	if head, err := x.OmapHeader(ctx, "a"); err != nil || len(head) != 0 {
		t.Errorf("header after clear: %q, %v", head, err)
	}
	_, err = x.OmapHeader(ctx, "none")
	check(t, err, syscall.ENOENT)
}

// A listing goes over all placement groups and pages, sees every object once, and
// has the reference's order.
func testList(t *testing.T, x *IOCtx, ref func(...string) string) {
	ctx := context.Background()
	const n = 9000 // more than a page in each of 8 placement groups
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := w; i < n; i += 16 {
				if err := x.Create(ctx, fmt.Sprintf("o%d", i), false); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	wg.Wait()
	check(t, x.WithLocator("key").Create(ctx, "located", false), nil)
	names := func(seq func(func(Object, error) bool)) (out []string) {
		for o, err := range seq {
			if err != nil {
				t.Fatal(err)
			}
			line := o.Name
			if o.Locator != "" {
				line += "\t" + o.Locator
			}
			out = append(out, line)
		}
		return out
	}
	got := names(x.List(ctx))
	if want := strings.Split(strings.TrimSpace(ref("-N", "list", "ls")), "\n"); len(got) != n+1 || !slices.Equal(got, want) {
		t.Errorf("%d objects, the reference lists %d, or in another order", len(got), len(want))
	}
	var parts []string
	for seed := range uint32(8) {
		parts = append(parts, names(x.ListPG(ctx, seed))...)
	}
	slices.Sort(got)
	slices.Sort(parts)
	if !slices.Equal(got, parts) {
		t.Errorf("%d objects in all placement groups, %d in the pool", len(parts), len(got))
	}
	others := 0
	for o, err := range x.WithNamespace(AllNamespaces).List(ctx) {
		check(t, err, nil)
		if o.Namespace != "list" {
			others++
		}
		if others > 0 {
			break // stopping early is no error
		}
	}
	for _, err := range x.ListPG(ctx, 8) {
		check(t, err, syscall.ENOENT)
	}
}

// Operations on one object are applied in the order in which they were started,
// however many are in flight.
func testAsync(t *testing.T, x *IOCtx, _ func(...string) string) {
	ctx := context.Background()
	const n = 200
	var flight []*Pending
	var want []byte
	for i := range n {
		p := []byte(fmt.Sprintf("%d,", i))
		want = append(want, p...)
		pending, err := x.Start(ctx, "log", new(Op).Append(p))
		if err != nil {
			t.Fatal(err)
		}
		flight = append(flight, pending)
	}
	for _, p := range flight {
		check(t, p.Wait(), nil)
	}
	got, err := x.Read(ctx, "log", 0, 0)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("the object holds %.60q..., %v", got, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	check(t, x.Append(ctx, "log", []byte("x")), context.Canceled)
}

func testPools(t *testing.T, x *IOCtx, _ func(...string) string) {
	ctx := context.Background()
	c := x.c
	check(t, c.CreatePool(ctx, x.name, 0), syscall.EEXIST)
	_, err := c.Pool(ctx, "there is none")
	check(t, err, syscall.ENOENT)
	_, err = c.PoolByID(ctx, 1<<20)
	check(t, err, syscall.ENOENT)
	if !slices.Contains(c.Pools(), PoolInfo{x.pool, x.name}) {
		t.Errorf("%v lacks %s", c.Pools(), x.name)
	}
	stats, err := c.PoolStats(ctx, []string{x.name, "there is none"})
	// A pool has statistics from the manager's next report on, every five seconds.
	for deadline := time.Now().Add(time.Minute); err == nil && len(stats) == 0 && time.Now().Before(deadline); {
		time.Sleep(100 * time.Millisecond)
		stats, err = c.PoolStats(ctx, []string{x.name, "there is none"})
	}
	if _, ok := stats[x.name]; err != nil || !ok || len(stats) != 1 {
		t.Errorf("statistics %v, %v", stats, err)
	}
	space, err := c.Statfs(ctx)
	if err != nil || space.KB == 0 || space.UsedKB+space.AvailKB > space.KB {
		t.Errorf("space %+v, %v", space, err)
	}
	out, _, err := c.OSDCommand(ctx, 0, `{"prefix":"version"}`, nil)
	if err != nil || !bytes.Contains(out, []byte("version")) {
		t.Errorf("osd.0 answers %q, %v", out, err)
	}
	_, _, err = c.OSDCommand(ctx, 77, `{"prefix":"version"}`, nil)
	check(t, err, syscall.ENXIO)
	_, _, err = c.MonCommand(ctx, `{"prefix":"there is none"}`, nil)
	check(t, err, syscall.EINVAL)
	out, _, err = c.MgrCommand(ctx, `{"prefix":"pg dump","dumpcontents":["sum"],"format":"json"}`, nil)
	if err != nil || !bytes.Contains(out, []byte("pg_stats_sum")) {
		t.Errorf("the manager answers %.60q, %v", out, err)
	}
	check(t, x.CreateSnap(ctx, "s1"), nil)
	check(t, x.CreateSnap(ctx, "s1"), syscall.EEXIST)
	if s := x.Snaps(); len(s) != 1 || s[0].Name != "s1" {
		t.Errorf("snapshots %v", s)
	}
	check(t, x.RemoveSnap(ctx, "s1"), nil)
	check(t, x.RemoveSnap(ctx, "s1"), syscall.ENOENT)
}
