package filestore

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"sepiola/objectstore/filestore/vfs"
	"sepiola/objectstore/storetest"
)

// kvHook fails the calls by which Pebble changes its files.
func (f *faults) kvHook(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
		return nil
	}
	n := int(f.kvCalls.Add(1))
	if f.kvAt > 0 && (n == f.kvAt || f.on && n > f.kvAt) {
		if n == f.kvAt {
			f.hit = vfs.Call{Op: fmt.Sprint("kv ", op.Kind), Path: op.Path}
		}
		return f.err
	}
	return nil
}

// Whichever call fails by which Pebble changes its files, those to its manifest and its
// directory among them, once or from then on: the process goes on, the store says that it
// failed and why, and all that was reported is there at the next mount.
func TestFailingKVCalls(t *testing.T) {
	total := 0
	kinds := map[string]bool{}
	run := func(f *faults) {
		r := &faultRun{im: newImage(t)}
		r.s = r.open(f)
		err := r.play(t, f)
		total = max(total, int(f.kvCalls.Load()))
		if f.hit.Op != "" && f.hit.Op != "kv "+fmt.Sprint(errorfs.OpRemove) {
			kinds[kindOfKVFile(f.hit.Path)] = true
			switch why := r.s.Err(); {
			case err != nil:
			case why == nil && r.err == nil:
				err = fmt.Errorf("the store goes on as if nothing had happened")
			case why != nil && !strings.Contains(why.Error(), "key-value store: "):
				err = fmt.Errorf("the store says %w", why)
			}
		}
		if err == nil {
			err = r.check(t)
		}
		if err != nil {
			t.Errorf("call %d (%s %s) failed with %v, all after it too: %v: %v\nrepeat with: go test ./objectstore/filestore -run TestFailingKVCalls -fault.at=%d",
				f.kvAt, f.hit.Op, f.hit.Path, f.err, f.on, err, f.kvAt)
		}
	}
	run(&faults{})
	n, stride := total, 7
	if *faultAll {
		stride = 1
	}
	for at := 1; at <= n && !t.Failed(); at += stride {
		if *faultAt > 0 {
			at, n = *faultAt, 0
		}
		for _, e := range []unix.Errno{unix.EIO, unix.ENOSPC} {
			run(&faults{kvAt: at, err: e, on: (at/stride)%2 == 0})
		}
	}
	t.Logf("%d calls, of %v", total, kinds)
	if *faultAt > 0 {
		return
	}
	for _, k := range []string{"MANIFEST", "directory", "table", "marker"} {
		if !kinds[k] {
			t.Errorf("no call to a %s was tried", k)
		}
	}
}

func kindOfKVFile(path string) string {
	switch name := path[strings.LastIndex(path, "/")+1:]; {
	case strings.HasPrefix(name, "MANIFEST"), strings.HasPrefix(name, "OPTIONS"):
		return name[:strings.Index(name, "-")]
	case strings.HasPrefix(name, "marker"):
		return "marker"
	case strings.HasSuffix(name, ".sst"):
		return "table"
	case name == "omap":
		return "directory"
	default:
		return name
	}
}

// The last line in the log says why the store stopped, whatever Pebble meets after that, and
// nothing of what it wanted to write then reaches the disk.
func TestManifestFailureIsTheLastLine(t *testing.T) {
	for _, kind := range []errorfs.OpKind{errorfs.OpFileWrite, errorfs.OpFileSync} {
		im := newImage(t)
		var out bytes.Buffer
		failing, failed := false, false
		var after []string
		var mu sync.Mutex
		s := im.store(nil)
		s.log = hclog.New(&hclog.LoggerOptions{Output: &out, Level: hclog.Info})
		s.opts.KVFS = errorfs.Wrap(s.opts.KVFS, errorfs.InjectorFunc(func(op errorfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if failed && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpFileClose {
				after = append(after, fmt.Sprint(op.Kind, " ", op.Path))
			}
			if failing && op.Kind == kind && kindOfKVFile(op.Path) == "MANIFEST" {
				failing, failed = false, true
				return unix.EIO
			}
			return nil
		}))
		for _, err := range []error{s.Mkfs(storetest.ID), s.Mount()} {
			if err != nil {
				t.Fatal(err)
			}
		}
		submitWait(t, s, func(x *tx) { x.MkColl(collA, 2); x.Write(collA, inA("o", 0), 0, data(1, 100)) })
		settle(s)
		mu.Lock()
		failing = true
		mu.Unlock()
		if err := s.checkpoint(true); !errors.Is(err, unix.EIO) {
			t.Errorf("%v: checkpoint: %v", kind, err)
		}
		<-s.Failed()
		var x tx
		x.Touch(collA, inA("p", 2))
		if err := s.Submit(&x, nil); !errors.Is(err, unix.EIO) {
			t.Errorf("%v: submit: %v", kind, err)
		}
		if err := s.Close(); !errors.Is(err, unix.EIO) {
			t.Errorf("%v: close: %v", kind, err)
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if last := lines[len(lines)-1]; !strings.Contains(last, "the store stops") || !strings.Contains(last, "/osd/omap/MANIFEST-") || !strings.Contains(last, "input/output error") {
			t.Errorf("%v: the last line is %s", kind, last)
		}
		if len(after) > 0 {
			t.Errorf("%v: after the failure: %q", kind, after)
		}
		s = im.store(nil)
		if err := s.Mount(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Stat(collA, inA("o", 0)); err != nil {
			t.Error(err)
		}
		s.Close()
	}
}
