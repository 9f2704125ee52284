package main

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"slices"
	"strconv"

	"sepiola/rados"
	"sepiola/texttable"
)

func (t *tool) lspools([]string) error {
	for _, p := range t.c.Pools() {
		fmt.Fprintln(t.stdout, p.Name)
	}
	return nil
}

// ls lists objects, to standard output or the file of --output.
func (t *tool) ls(args []string) (err error) {
	if t.io == nil {
		return t.fail("either pool name or pg id needs to be specified")
	}
	out := t.stdout
	switch {
	case t.o.output != "":
		f, err := os.Create(t.o.output)
		if err != nil {
			return t.report(err, "error opening %s", t.o.output)
		}
		w := bufio.NewWriter(f)
		defer func() {
			if e := w.Flush(); err == nil && e != nil {
				err = t.report(e, "error writing %s", t.o.output)
			}
			if e := f.Close(); err == nil && e != nil {
				err = t.report(e, "error writing %s", t.o.output)
			}
		}()
		out = w
	case len(args) > 0 && args[0] != "-":
		return t.fail("Please use --output to specify the output file name")
	}
	x := t.io
	if t.everywhere() {
		x = x.WithNamespace(rados.AllNamespaces)
	}
	objects := x.List(t.ctx)
	if t.o.pgid != nil {
		objects = x.ListPG(t.ctx, t.pg.Seed)
	}
	if t.o.json() {
		return t.listJSON(out, objects)
	}
	return t.listPlain(out, objects)
}

func (t *tool) listPlain(out io.Writer, objects iter.Seq2[rados.Object, error]) error {
	for o, err := range objects {
		if err != nil {
			return t.fail("%s", errText(err))
		}
		line := o.Name
		if t.everywhere() {
			line = o.Namespace + "\t" + line
		}
		if o.Locator != "" {
			line += "\t" + o.Locator
		}
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}

func (t *tool) listJSON(out io.Writer, objects iter.Seq2[rados.Object, error]) error {
	w := t.newJSON()
	w.OpenArray("objects")
	for o, err := range objects {
		if err != nil {
			return t.fail("%s", errText(err))
		}
		w.OpenObject("object")
		w.String("namespace", o.Namespace)
		w.String("name", o.Name)
		if o.Locator != "" {
			w.String("locator", o.Locator)
		}
		w.Close()
	}
	w.Close()
	_, err := out.Write(w.Bytes())
	if t.o.prettyFormat && err == nil {
		_, err = fmt.Fprintln(out)
	}
	return err
}

// bytesText prints a number of bytes with a binary unit, with as many of two
// decimals as fit in seven characters (byte_u_t in src/include/types.h).
func bytesText(v uint64) string {
	units := []string{" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"}
	n, shift := v, 0
	for n >= 1024 && shift < 60 {
		n >>= 10
		shift += 10
	}
	unit := units[shift/10]
	if v&(1<<shift-1) == 0 {
		return strconv.FormatUint(n, 10) + unit
	}
	s := ""
	for decimals := 2; decimals >= 0; decimals-- {
		s = strconv.FormatFloat(float64(v)/float64(uint64(1)<<shift), 'f', decimals, 64) + unit
		if len(s) <= 7 {
			break
		}
	}
	return s
}

func (t *tool) df([]string) error {
	var names []string
	if t.o.pool != nil {
		names = []string{*t.o.pool}
	} else {
		for _, p := range t.c.Pools() {
			names = append(names, p.Name)
		}
	}
	stats, err := t.c.PoolStats(t.ctx, names)
	if err != nil {
		return t.report(err, "error fetching pool stats")
	}
	total, err := t.c.Statfs(t.ctx)
	if err != nil {
		return t.report(err, "error getting total cluster usage")
	}
	if t.o.json() {
		return t.dfJSON(stats, total)
	}
	return t.dfPlain(stats, total)
}

func (t *tool) dfPlain(stats map[string]rados.PoolStats, total rados.Statfs) error {
	var tab texttable.Table
	for i, head := range []string{"POOL_NAME", "USED", "OBJECTS", "CLONES", "COPIES", "MISSING_ON_PRIMARY", "UNFOUND",
		"DEGRADED", "RD_OPS", "RD", "WR_OPS", "WR", "USED COMPR", "UNDER COMPR"} {
		align := texttable.Right
		if i == 0 {
			align = texttable.Left
		}
		tab.Column(head, align, align)
	}
	num := func(n int64) string { return strconv.FormatInt(n, 10) }
	for _, name := range slices.Sorted(maps.Keys(stats)) {
		s := stats[name]
		tab.Row(name, bytesText(s.AllocatedBytes), num(s.NumObjects), num(s.NumObjectClones), num(s.NumObjectCopies),
			num(s.NumObjectsMissingOnPrimary), num(s.NumObjectsUnfound), num(s.NumObjectsDegraded),
			num(s.NumRd), bytesText(uint64(s.NumRdKB)<<10), num(s.NumWr), bytesText(uint64(s.NumWrKB)<<10),
			bytesText(s.CompressedAllocated), bytesText(s.CompressedOriginal))
	}
	_, err := fmt.Fprintf(t.stdout, "%s\ntotal_objects    %d\ntotal_used       %s\ntotal_avail      %s\ntotal_space      %s\n",
		tab.String(), total.Objects, bytesText(total.UsedKB<<10), bytesText(total.AvailKB<<10), bytesText(total.KB<<10))
	return err
}

func (t *tool) dfJSON(stats map[string]rados.PoolStats, total rados.Statfs) error {
	w := t.newJSON()
	w.OpenObject("stats")
	w.OpenArray("pools")
	for _, name := range slices.Sorted(maps.Keys(stats)) {
		s := stats[name]
		w.OpenObject("pool")
		w.String("name", name)
		if id, ok := t.c.Map().PoolID(name); ok {
			w.Int("id", id)
		}
		w.Uint("size_bytes", s.AllocatedBytes)
		w.Uint("size_kb", (s.AllocatedBytes+1023)>>10)
		w.Int("num_objects", s.NumObjects)
		w.Int("num_object_clones", s.NumObjectClones)
		w.Int("num_object_copies", s.NumObjectCopies)
		w.Int("num_objects_missing_on_primary", s.NumObjectsMissingOnPrimary)
		w.Int("num_objects_unfound", s.NumObjectsUnfound)
		w.Int("num_objects_degraded", s.NumObjectsDegraded)
		w.Int("read_ops", s.NumRd)
		w.Int("read_bytes", s.NumRdKB<<10)
		w.Int("write_ops", s.NumWr)
		w.Int("write_bytes", s.NumWrKB<<10)
		w.Uint("compress_bytes_used", s.CompressedAllocated)
		w.Uint("compress_under_bytes", s.CompressedOriginal)
		w.Close()
	}
	w.Close()
	w.Uint("total_objects", total.Objects)
	w.Uint("total_used", total.UsedKB)
	w.Uint("total_avail", total.AvailKB)
	w.Uint("total_space", total.KB)
	w.Close()
	_, err := t.stdout.Write(w.Bytes())
	return err
}

func (t *tool) lssnap([]string) error {
	snaps := t.io.Snaps()
	for _, s := range snaps {
		fmt.Fprintf(t.stdout, "%d\t%s\t%s\n", uint64(s.ID), s.Name, s.Stamp.Local().Format("2006.01.02 15:04:05"))
	}
	fmt.Fprintf(t.stdout, "%d snaps\n", len(snaps))
	return nil
}

func (t *tool) mksnap(args []string) error {
	pool := *t.o.pool
	if t.c.Map().Pools[t.io.PoolID()].IsUnmanagedSnapsMode() {
		return t.fail("can't create snapshot: pool %s is in selfmanaged snaps mode", pool)
	}
	if err := t.io.CreateSnap(t.ctx, args[0]); err != nil {
		return t.report(err, "error creating pool %s snapshot %s", pool, args[0])
	}
	fmt.Fprintf(t.stdout, "created pool %s snap %s\n", pool, args[0])
	return nil
}

func (t *tool) rmsnap(args []string) error {
	pool := *t.o.pool
	if err := t.io.RemoveSnap(t.ctx, args[0]); err != nil {
		return t.report(err, "error removing pool %s snapshot %s", pool, args[0])
	}
	fmt.Fprintf(t.stdout, "removed pool %s snap %s\n", pool, args[0])
	return nil
}
