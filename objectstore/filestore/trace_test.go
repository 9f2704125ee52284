package filestore

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	cmdline "flag"

	"sepiola/objectstore"
	"sepiola/objectstore/filestore/vfs"
	"sepiola/objectstore/storetest"
)

var update = cmdline.Bool("update", false, "rewrite the traces in testdata")

// traced is one kind of transaction whose calls are on record.
type traced struct {
	name   string
	before func(*tx) // what is there, applied and synced
	tx     func(*tx)
}

func traces() []traced {
	c, d := collA, collB
	o, p := inA("o", 0), inA("p", 2)
	small := func(t *tx) { t.Write(c, o, 0, data(1, 3000)); t.SetAttr(c, o, "_", bytesOf(1, 50)) }
	large := func(t *tx) { t.Write(c, o, 0, data(1, 20000)); t.SetAttr(c, o, "_", bytesOf(1, 50)) }
	omap := func(t *tx) { t.OmapSet(c, o, map[string][]byte{"a": nil, "b": nil}) }
	return []traced{
		{"touch", nil, func(t *tx) { t.Touch(c, o) }},
		{"write small, new object", nil, func(t *tx) { t.Write(c, o, 0, data(1, 3000)) }},
		{"write large, new object", nil, func(t *tx) { t.Write(c, o, 0, data(1, 20000)) }},
		{"append small", small, func(t *tx) { t.Write(c, o, 3000, data(2, 100)) }},
		{"append large", small, func(t *tx) { t.Write(c, o, 3000, data(2, 10000)) }},
		{"append large behind a gap", small, func(t *tx) { t.Write(c, o, 5000, data(2, 10000)) }},
		{"overwrite small", large, func(t *tx) { t.Write(c, o, 5000, data(2, 100)) }},
		{"overwrite large", large, func(t *tx) { t.Write(c, o, 5000, data(2, 9000)) }},
		{"overwrite the whole object", large, func(t *tx) { t.Write(c, o, 0, data(2, 20000)) }},
		{"truncate and write", large, func(t *tx) { t.Truncate(c, o, 0); t.Write(c, o, 0, data(2, 100)) }},
		{"zero", large, func(t *tx) { t.Zero(c, o, 5000, 6000) }},
		{"zero beyond the end", large, func(t *tx) { t.Zero(c, o, 15000, 9000) }},
		{"truncate", large, func(t *tx) { t.Truncate(c, o, 100) }},
		{"truncate longer", large, func(t *tx) { t.Truncate(c, o, 30000) }},
		{"remove", large, func(t *tx) { t.Remove(c, o) }},
		{"clone small", small, func(t *tx) { t.Clone(c, o, p) }},
		{"clone large", large, func(t *tx) { t.Clone(c, o, p) }},
		{"clone range", large, func(t *tx) { t.CloneRange(c, o, p, 100, 3000, 50) }},
		{"clone large range", large, func(t *tx) { t.CloneRange(c, o, p, 100, 9000, 50) }},
		{"set attribute, new object", nil, func(t *tx) { t.SetAttr(c, o, "a", bytesOf(1, 100)) }},
		{"set attribute of 5120 bytes", small, func(t *tx) { t.SetAttr(c, o, "a", bytesOf(1, 5120)) }},
		{"set attribute that spills", small, func(t *tx) { t.SetAttr(c, o, "spill", bytesOf(1, 5120)) }},
		{"set attribute shorter", func(t *tx) { t.SetAttr(c, o, "a", bytesOf(1, 5120)) }, func(t *tx) { t.SetAttr(c, o, "a", bytesOf(1, 10)) }},
		{"set attribute to what it is", small, func(t *tx) { t.SetAttr(c, o, "_", bytesOf(1, 50)) }},
		{"remove attribute", small, func(t *tx) { t.RmAttr(c, o, "_") }},
		{"remove attributes", small, func(t *tx) { t.RmAttrs(c, o) }},
		{"omap set", nil, omap},
		{"omap remove", omap, func(t *tx) { t.OmapRm(c, o, []string{"a"}) }},
		{"omap remove range", omap, func(t *tx) { t.OmapRmRange(c, o, "a", "b") }},
		{"omap header", omap, func(t *tx) { t.OmapHeader(c, o, []byte("h")) }},
		{"omap clear", omap, func(t *tx) { t.OmapClear(c, o) }},
		{"allocation hint", small, func(t *tx) { t.SetAllocHint(c, o, objectstore.AllocHint{ObjectSize: 1 << 22}) }},
		{"make collection", nil, func(t *tx) { t.MkColl(collC, 3) }},
		{"remove collection", nil, func(t *tx) { t.RmColl(d) }},
		{"split", small, func(t *tx) { t.MkColl(collC, 3); t.SplitColl(c, 3, 1, collC) }},
		{"merge", small, func(t *tx) { t.MergeColl(c, d, 1) }},
		{"rename", small, func(t *tx) { t.TryRename(c, o, p) }},
		{"move to another collection", small, func(t *tx) { t.MoveRename(c, o, d, o) }},
		{"long name", nil, func(t *tx) { t.Write(c, inA(strings.Repeat("n", 300), 0), 0, data(1, 10)) }},
	}
}

// tracer notes the calls that change something or make it durable.
type tracer struct {
	mu    sync.Mutex
	kv    bool // the first change to the key-value store's files too
	lines []string
}

// openFile says which file a call on an open file is about: the number in the end of its
// name, because it is known by the name it was opened by.
func openFile(path string) string {
	if rest, ok := strings.CutPrefix(path, "fresh/"); ok {
		return "file " + rest
	}
	if strings.HasPrefix(path, "current/") {
		return "file " + path[strings.LastIndexByte(path, '.')+1:]
	}
	return path
}

func (r *tracer) note(c vfs.Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	short := strings.TrimPrefix(c.Path, "/osd/")
	line := c.Op + " " + openFile(short)
	switch c.Op {
	case "kv":
		if !r.kv {
			return
		}
		line, r.kv = "flush of the key-value store", false
	case "write":
		switch {
		case short == "journal" && c.Off < journalBase:
			line = "write journal: header"
		case short == "journal":
			line = fmt.Sprintf("write journal: %d blocks", (c.Len+vfs.BlockSize-1)/vfs.BlockSize)
		default:
			line = fmt.Sprintf("write %s: %d bytes at %d", openFile(short), c.Len, c.Off)
		}
	case "truncate":
		line += fmt.Sprintf(": at %d", c.Off)
	case "punch":
		line += fmt.Sprintf(": %d bytes at %d", c.Len, c.Off)
	case "setxattr":
		line += fmt.Sprintf(": %s, %d bytes", c.Name, c.Len)
	case "removexattr":
		line += ": " + c.Name
	case "create", "remove", "mkdir":
		line = c.Op + " " + short
	case "rename":
		line = c.Op + " " + short + " to " + strings.TrimPrefix(c.To, "/osd/")
	}
	r.lines = append(r.lines, "  "+line)
}

// traceOf runs one transaction on a store of its own and returns its calls.
func traceOf(t *testing.T, k traced) string {
	t.Helper()
	im := newImage(t)
	var r tracer
	s := im.store(r.note)
	if err := errors.Join(s.Mkfs(storetest.ID), s.Mount()); err != nil {
		t.Fatal(err)
	}
	defer s.abandon()
	submitWait(t, s, func(x *tx) { x.MkColl(collA, 2); x.MkColl(collB, 2) })
	if k.before != nil {
		submitWait(t, s, k.before)
	}
	settle(s)
	if err := s.checkpoint(true); err != nil {
		t.Fatal(err)
	}
	take := func() string {
		r.mu.Lock()
		defer r.mu.Unlock()
		text := strings.Join(r.lines, "\n")
		r.lines = nil
		return text + "\n"
	}
	take()
	var x tx
	k.tx(&x)
	if err := s.Submit(&x, nil); err != nil {
		t.Fatalf("%s: %v", k.name, err)
	}
	settle(s)
	return "## " + k.name + "\n" + take()
}

// The calls of each kind of transaction, and their order, are what the file says: data
// before the record, the record and one sync before the report, and only then what
// changes files. A change here is a change of what crashes can leave.
func TestTraces(t *testing.T) {
	var b strings.Builder
	b.WriteString("# The calls that change something or make it durable, by kind of transaction.\n" +
		"# The commit is reported after \"fdatasync journal\". Made by go test -run TestTraces -update.\n\n")
	for _, k := range traces() {
		b.WriteString(traceOf(t, k) + "\n")
	}
	b.WriteString(traceOfCheckpoint(t))
	const file = "testdata/traces.txt"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got, wanted := strings.Split(b.String(), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(got), len(wanted)) {
		if i >= len(got) || i >= len(wanted) || got[i] != wanted[i] {
			t.Fatalf("line %d of %s differs; the trace is now\n%s", i+1, file, b.String())
		}
	}
}

// traceOfCheckpoint returns the calls of a checkpoint.
func traceOfCheckpoint(t *testing.T) string {
	t.Helper()
	im := newImage(t)
	var r tracer
	s := im.store(r.note)
	if err := errors.Join(s.Mkfs(storetest.ID), s.Mount()); err != nil {
		t.Fatal(err)
	}
	defer s.abandon()
	submitWait(t, s, func(x *tx) { x.MkColl(collA, 2); x.Write(collA, inA("o", 0), 0, data(1, 100)) })
	settle(s)
	r.lines, r.kv = nil, true
	if err := s.checkpoint(true); err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return "## checkpoint\n" + strings.Join(r.lines, "\n") + "\n"
}
