package main

import (
	"fmt"
	"strings"

	"sepiola/rados"
)

func (t *tool) cleanup([]string) error {
	x := t.io
	if t.everywhere() {
		x = x.WithNamespace(rados.AllNamespaces)
	}
	b := &bencher{tool: t, io: x, notes: t.stdout}
	if err := b.cleanUp(x); err != nil {
		fmt.Fprintf(t.stderr, "error during cleanup: %s\n", errText(err))
		return err
	}
	return nil
}

// cleanUp removes what benchmarks left in the namespaces of x: by the record of the
// run where there is one, else by the names.
func (b *bencher) cleanUp(x *rados.IOCtx) error {
	prefix := b.o.prefix
	if prefix == "" {
		prefix = prefixOfHost()
	}
	if !strings.HasPrefix(prefix, benchPrefix) {
		fmt.Fprintf(b.stderr, "Specified --prefix invalid, it must begin with \"%s\"\n", benchPrefix)
		return rados.Errno(22)
	}
	recorded := map[string]bool{} // namespaces with a record
	var found []string            // those with objects
	seen := map[string]bool{}
	for o, err := range x.List(b.ctx) {
		if err != nil {
			return err
		}
		if o.Name == b.metaName() {
			recorded[o.Namespace] = true
		}
		if strings.HasPrefix(o.Name, prefix) && !seen[o.Namespace] {
			seen[o.Namespace] = true
			found = append(found, o.Namespace)
		}
	}
	for _, ns := range found {
		b.io = x.WithNamespace(ns)
		if !recorded[ns] {
			if err := b.removeByPrefix(b.io, prefix); err != nil {
				return err
			}
			continue
		}
		run, err := b.load(b.metaName())
		if err != nil {
			return err
		}
		if err := b.removeRun(run); err != nil {
			return err
		}
		if err := b.io.Remove(b.ctx, b.metaName()); err != nil {
			return err
		}
	}
	return nil
}

// removeRun removes the objects of a run.
func (b *bencher) removeRun(run benchRun) error {
	n := run.objects()
	if n == 0 {
		return nil
	}
	return b.removeAll(func(yield func(*rados.IOCtx, string) bool) error {
		for i := range n {
			if !yield(b.io, benchObject(run.pid, i)) {
				break
			}
		}
		return nil
	})
}

// removeByPrefix removes the objects of x whose names begin with prefix.
func (b *bencher) removeByPrefix(x *rados.IOCtx, prefix string) error {
	fmt.Fprintln(b.notes, "Warning: using slow linear search")
	return b.removeAll(func(yield func(*rados.IOCtx, string) bool) error {
		for o, err := range x.List(b.ctx) {
			if err != nil {
				return err
			}
			if strings.HasPrefix(o.Name, prefix) && !yield(x.WithNamespace(o.Namespace).WithLocator(o.Locator), o.Name) {
				break
			}
		}
		return nil
	})
}

// removeAll removes what each names, with the configured number of removals in
// flight. What is gone already counts as removed.
func (b *bencher) removeAll(each func(yield func(*rados.IOCtx, string) bool) error) error {
	if b.o.concurrent <= 0 {
		return rados.Errno(22)
	}
	flight := make([]*rados.Pending, 0, b.o.concurrent)
	removed := 0
	var failed error
	settle := func() {
		err := flight[0].Wait()
		flight = flight[1:]
		if err == nil || isNoEntry(err) {
			removed++
		} else if failed == nil {
			fmt.Fprintf(b.stderr, "remove got %s\n", errText(err))
			failed = err
		}
	}
	err := each(func(x *rados.IOCtx, name string) bool {
		if len(flight) == b.o.concurrent {
			settle()
		}
		p, err := x.Start(b.ctx, name, new(rados.Op).Remove())
		if err != nil {
			failed = err
			return false
		}
		flight = append(flight, p)
		return failed == nil
	})
	for len(flight) > 0 {
		settle()
	}
	if err == nil {
		err = failed
	}
	if err != nil {
		return err
	}
	plural := "s"
	if removed == 1 {
		plural = ""
	}
	text := fmt.Sprintf("Removed %d object%s", removed, plural)
	if b.out != nil {
		b.out.note(text)
	} else {
		fmt.Fprintln(b.notes, text)
	}
	return nil
}
