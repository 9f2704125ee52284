package main

import (
	"fmt"
	"io"

	"sepiola/objectstore"
	"sepiola/pglog"
)

func (t *tool) remove() error {
	if !t.force && !t.dryRun {
		return t.fail("Please use export-remove or you must use --force option")
	}
	if err := t.removePG(t.out); err != nil {
		return err
	}
	fmt.Fprintln(t.out, "Remove successful")
	return nil
}

// removePG removes the PG of --pgid, telling of it on w.
func (t *tool) removePG(w io.Writer) error {
	if err := t.finishRemovals(w); err != nil {
		return err
	}
	c, err := t.needColl()
	if err != nil {
		return err
	}
	fmt.Fprintln(w, " marking collection for removal")
	if t.dryRun {
		return nil
	}
	fmt.Fprintln(w, "setting '_remove' omap key")
	tx := &objectstore.Transaction{}
	pglog.MarkForRemoval(tx, c.PG)
	if err := t.submit(tx); err != nil {
		return err
	}
	return t.finishRemovals(w)
}

// finishRemovals removes the PGs that carry the mark: those whose removal or import was
// cut short, and the one just marked.
func (t *tool) finishRemovals(w io.Writer) error {
	if t.dryRun {
		return nil
	}
	all, err := t.store.Collections()
	if err != nil {
		return t.fail("finish_remove_pgs: failed to list pgs: %s", errText(err))
	}
	for _, c := range all {
		if c.Kind != objectstore.CollPG {
			continue
		}
		marked, err := pglog.IsMarkedForRemoval(t.store, c.PG)
		if err != nil {
			return t.fail("finish_remove_pgs: %v", err)
		}
		if !marked {
			continue
		}
		fmt.Fprintf(w, "finish_remove_pgs %v removing %v\n", c, c.PG)
		if err := objectstore.RemoveColl(t.store, c); err != nil {
			return err
		}
	}
	return nil
}
