package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"sepiola/message"
	"sepiola/rados"
)

// source opens a file to read; "-" is standard input.
func (t *tool) source(path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(t.stdin), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, t.fail("error reading input file %s: %s", path, errText(err))
	}
	return f, nil
}

// chunks reads a file in pieces of the operation size, each in memory of its own:
// what is sent must not change. A piece of zero bytes ends it.
func (t *tool) chunks(path string, each func(p []byte) error) error {
	in, err := t.source(path)
	if err != nil {
		return err
	}
	defer in.Close()
	for {
		p := make([]byte, t.o.opSize)
		n, err := io.ReadFull(in, p)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			fmt.Fprintf(t.stderr, "error reading input file %s: %s\n", path, errText(err))
			return err
		}
		if err := each(p[:n]); err != nil || n == 0 {
			return err
		}
	}
}

func (t *tool) put(args []string) error {
	name, at := args[0], t.o.offset
	err := t.chunks(args[1], func(p []byte) error {
		off := at
		at += uint64(len(p))
		switch {
		case len(p) == 0 && off > t.o.offset:
			return nil // the end
		case len(p) == 0 && off > 0:
			// An empty file at an offset leaves an object that ends there.
			return t.io.Operate(t.ctx, name, new(rados.Op).WriteFull(nil).Truncate(off))
		case len(p) == 0 || off == 0 && !t.o.offsetSet:
			return t.io.WriteFull(t.ctx, name, p)
		}
		return t.io.Write(t.ctx, name, off, p)
	})
	return t.report(err, "error putting %s", t.place(name))
}

// report tells of an error, if there is one, after what was being done.
func (t *tool) report(err error, format string, args ...any) error {
	if err == nil || errors.Is(err, errFailed) {
		return err
	}
	return t.fail("%s: %s", fmt.Sprintf(format, args...), errText(err))
}

func (t *tool) append(args []string) error {
	err := t.chunks(args[1], func(p []byte) error { return t.io.Append(t.ctx, args[0], p) })
	return t.report(err, "error appending %s", t.place(args[0]))
}

func (t *tool) get(args []string) error {
	name, path := args[0], args[1]
	out := io.Writer(t.stdout)
	if path != "-" {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
		if err != nil {
			fmt.Fprintf(t.stderr, "failed to open file: %s\n", errText(err))
			return t.report(err, "error getting %s", t.place(name))
		}
		err = t.copyOut(name, f)
		return t.report(errors.Join(err, f.Close()), "error getting %s", t.place(name))
	}
	return t.report(t.copyOut(name, out), "error getting %s", t.place(name))
}

// copyOut writes an object's data, read in pieces of the operation size.
func (t *tool) copyOut(name string, out io.Writer) error {
	for off := uint64(0); ; {
		p, err := t.io.Read(t.ctx, name, off, t.o.opSize)
		if err != nil {
			return err
		}
		if _, err := out.Write(p); err != nil {
			fmt.Fprintf(t.stderr, "error writing to file: %s\n", errText(err))
			return err
		}
		off += uint64(len(p))
		if uint64(len(p)) < t.o.opSize || len(p) == 0 {
			return nil
		}
	}
}

func (t *tool) create(args []string) error {
	return t.report(t.io.Create(t.ctx, args[0], true), "error creating %s", t.place(args[0]))
}

func (t *tool) truncate(args []string) error {
	size, err := strconv.ParseInt(args[1], 10, 64)
	switch {
	case err != nil:
		return t.fail("Invalid value for size: '%s'", args[1])
	case size < 0:
		fmt.Fprintln(t.stderr, "error, cannot truncate to negative value")
		return errUsage
	}
	if err := t.io.Truncate(t.ctx, args[0], uint64(size)); err != nil {
		fmt.Fprintf(t.stderr, "error truncating oid %s to %d: %s\n", args[0], size, errText(err))
		return err
	}
	return nil
}

func (t *tool) rm(args []string) error {
	for _, name := range args {
		if err := t.forced().Remove(t.ctx, name); err != nil {
			shown := name
			if ns := t.io.Namespace(); ns != "" {
				shown = ns + "/" + name
			}
			return t.fail("error removing %s>%s: %s", *t.o.pool, shown, errText(err))
		}
	}
	return nil
}

func (t *tool) cp(args []string) error {
	pool, src := *t.o.pool, args[0]
	if t.o.targetPool != nil {
		pool = *t.o.targetPool
	}
	dst := src
	if len(args) == 2 {
		dst = args[1]
	} else if pool == *t.o.pool {
		return t.fail("cannot copy object into itself")
	}
	to, err := t.c.Pool(t.ctx, pool)
	if err != nil {
		return t.fail("error opening target pool %s: %s", pool, errText(err))
	}
	to = to.WithLocator(t.o.targetLocator).WithNamespace(t.o.targetNspace)
	return t.report(to.Copy(t.ctx, dst, t.io, src), "error copying %s => %s/%s", t.place(src), pool, dst)
}

func (t *tool) stat(args []string) error { return t.printStat(args[0], time.Second) }

func (t *tool) stat2(args []string) error { return t.printStat(args[0], time.Microsecond) }

func (t *tool) printStat(name string, unit time.Duration) error {
	size, mtime, err := t.io.Stat(t.ctx, name)
	if err != nil {
		return t.fail(" error stat-ing %s: %s", t.place(name), errText(err))
	}
	fmt.Fprintf(t.stdout, "%s mtime %s, size %d\n", t.place(name), stamp(mtime.Truncate(unit)), size)
	return nil
}

// stamp prints a time as Ceph does, in the local zone.
func stamp(at time.Time) string {
	if at.Unix() < 10*365*24*3600 {
		return fmt.Sprintf("%d.%06d", at.Unix(), at.Nanosecond()/1000)
	}
	return at.Local().Format("2006-01-02T15:04:05.000000-0700")
}

func (t *tool) touch(args []string) error {
	at := time.Now().Truncate(time.Second)
	if len(args) > 1 {
		n, err := strconv.ParseInt(args[1], 10, 64)
		if err != nil {
			return t.fail("Invalid value for timestamp: '%s'", args[1])
		}
		at = time.Unix(n, 0)
	}
	if err := t.io.Operate(t.ctx, args[0], new(rados.Op).Create(false).SetMTime(at)); err != nil {
		return t.fail(" error touch-ing %s: %s", t.place(args[0]), errText(err))
	}
	return nil
}

func (t *tool) setAllocHint(args []string) error {
	var n [2]uint64
	for i, what := range []string{"expected_object_size", "expected_write_size"} {
		v, err := strconv.ParseInt(args[1+i], 10, 64)
		if err != nil {
			fmt.Fprintf(t.stderr, "couldn't parse %s: Expected option value to be integer, got '%s'\n", what, args[1+i])
			return errUsage
		}
		n[i] = uint64(v)
	}
	err := t.io.Operate(t.ctx, args[0], new(rados.Op).SetAllocHint(n[0], n[1], 0))
	return t.report(err, "error setting alloc-hint %s", t.place(args[0]))
}

func (t *tool) setxattr(args []string) error {
	value, err := t.value(args, 2)
	if err != nil {
		return err
	}
	return t.report(t.io.SetXattr(t.ctx, args[0], args[1], value), "error setting xattr %s/%s", t.place(args[0]), args[1])
}

func (t *tool) getxattr(args []string) error {
	p, err := t.io.GetXattr(t.ctx, args[0], args[1])
	if err != nil {
		return t.report(err, "error getting xattr %s/%s", t.place(args[0]), args[1])
	}
	_, err = t.stdout.Write(p)
	return err
}

func (t *tool) rmxattr(args []string) error {
	return t.report(t.io.RmXattr(t.ctx, args[0], args[1]), "error removing xattr %s/%s", t.place(args[0]), args[1])
}

func (t *tool) listxattr(args []string) error {
	attrs, err := t.io.Xattrs(t.ctx, args[0])
	if err != nil {
		return t.report(err, "error getting xattr set %s", t.place(args[0]))
	}
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		fmt.Fprintln(t.stdout, name)
	}
	return nil
}

func (t *tool) cppool(args []string) error {
	src, dst := args[0], args[1]
	force := len(args) == 3 && args[2] == "--yes-i-really-mean-it"
	switch {
	case len(args) == 3 && !force:
		return errUsage
	case src == dst:
		return t.fail("cannot copy pool into itself")
	}
	fmt.Fprintln(t.stderr, "WARNING: pool copy does not preserve user_version, which some     apps may rely on.")
	from, err := t.c.Pool(t.ctx, src)
	if err != nil {
		return t.report(err, "failed to query pool %s for selfmanaged snaps", src)
	}
	if t.c.Map().Pools[from.PoolID()].IsUnmanagedSnapsMode() && !force {
		return t.fail("pool %s has self-managed snapshots, which a copy loses; pass --yes-i-really-mean-it to copy it all the same", src)
	}
	to, err := t.c.Pool(t.ctx, dst)
	if err != nil {
		fmt.Fprintf(t.stderr, "cannot open target pool: %s\n", dst)
		return t.report(err, "error copying pool %s => %s", src, dst)
	}
	if err := t.copyAll(from, to); err != nil {
		return t.report(err, "error copying pool %s => %s", src, dst)
	}
	fmt.Fprintf(t.stdout, "successfully copied pool %s\n", src)
	return nil
}

func (t *tool) copyAll(from, to *rados.IOCtx) error {
	for o, err := range from.WithNamespace(rados.AllNamespaces).List(t.ctx) {
		if err != nil {
			return err
		}
		name := o.Name
		if o.Namespace != "" {
			name = o.Namespace + "/" + name
		}
		shown := name
		if o.Locator != "" {
			shown += "(@" + o.Locator + ")"
		}
		fmt.Fprintf(t.stdout, "%s:%s => %s:%s\n", from.PoolName(), shown, to.PoolName(), name)
		src := from.WithNamespace(o.Namespace).WithLocator(o.Locator)
		if err := to.WithNamespace(o.Namespace).Copy(t.ctx, o.Name, src, o.Name); err != nil {
			return err
		}
	}
	return nil
}

func (t *tool) purge(args []string) error {
	if len(args) < 2 || args[1] != "--yes-i-really-really-mean-it" {
		return t.fail("WARNING:\n  This will PERMANENTLY DESTROY all objects from a pool with no way back.\n" +
			"  To confirm, follow pool with --yes-i-really-really-mean-it")
	}
	pool, err := t.c.Pool(t.ctx, args[0])
	if err != nil {
		return t.report(err, "error pool %s", args[0])
	}
	b := &bencher{tool: t, io: pool.WithFlags(message.FlagFullTry), notes: t.stdout}
	if err := b.removeByPrefix(b.io.WithNamespace(rados.AllNamespaces), ""); err != nil {
		return t.report(err, "pool %s could not be purged", args[0])
	}
	fmt.Fprintf(t.stdout, "successfully purged pool %s\n", args[0])
	return nil
}

// isNoEntry reports whether an object or pool does not exist.
func isNoEntry(err error) bool { return errors.Is(err, syscall.ENOENT) }
