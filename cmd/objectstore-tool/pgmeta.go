package main

import (
	"fmt"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/osdmap"
	"sepiola/pglog"
)

// storeMeta stores what was changed of a PG's metadata.
func (t *tool) storeMeta(l *pglog.Loaded, past *osdmap.PastIntervals) error {
	tx := &objectstore.Transaction{}
	l.Persister.Write(tx, &l.Info, l.Log, l.Missing, pglog.Extra{Epoch: l.Epoch, PastIntervals: past})
	if err := t.submit(tx); err != nil {
		return t.fail("Failed to write info: %s", describe(err))
	}
	return nil
}

// markComplete says of a copy that it is the newest there is, with all that was ever
// acknowledged: for a PG whose other copies are lost for good, and what they had with them.
func (t *tool) markComplete() error {
	l, err := t.loadPG()
	if err != nil {
		return err
	}
	fmt.Fprintln(t.out, "Marking complete ")
	epoch, i := t.super.CurrentEpoch, &l.Info
	i.LastUpdate = pglog.Version{Epoch: epoch, V: i.LastUpdate.V + 1}
	i.LastBackfill = object.Max
	i.LastEpochStarted = epoch
	i.History.LastEpochStarted, i.History.LastEpochClean = epoch, epoch
	if err := t.storeMeta(&l, &osdmap.PastIntervals{}); err != nil {
		return err
	}
	fmt.Fprintln(t.out, "Marking complete succeeded")
	return nil
}

// resetLastComplete says of a copy that it lacks nothing, whatever it lacks.
func (t *tool) resetLastComplete() error {
	if !t.force {
		return t.fail("WARNING: reset-last-complete is extremely dangerous and almost certain to lead to permanent data loss " +
			"unless you know exactly what you are doing. Pass --force to proceed anyway.")
	}
	l, err := t.loadPG()
	if err != nil {
		return err
	}
	fmt.Fprintln(t.out, "Reseting last_complete ")
	l.Info.LastComplete = l.Info.LastUpdate
	if err := t.storeMeta(&l, &l.PastIntervals); err != nil {
		return err
	}
	fmt.Fprintln(t.out, "Reseting last_complete succeeded")
	return nil
}

// trimLog cuts a PG's log down to osd_max_pg_log_entries, osd_pg_log_trim_max entries
// at a time. Unlike Ceph's tool, and like a running OSD of both, it keeps what the
// requests were told.
func (t *tool) trimLog() error {
	l, err := t.loadPG()
	if err != nil {
		return err
	}
	t.complain("Log bounds are: (%v,%v]", l.Log.Tail(), l.Log.Head())
	most := t.logEntriesMax
	if l.Log.ApproxSize() <= most {
		t.complain("Log not larger than osd_max_pg_log_entries %d", most)
		fmt.Fprintln(t.out, "Finished trimming pg log")
		return nil
	}
	limits := pglog.TrimOptions{Max: t.logTrimMax, DupsTracked: t.dupsTracked}
	for l.Log.ApproxSize() > most && l.Log.Len() > 0 {
		entries := l.Log.Entries()
		n := int(min(l.Log.ApproxSize()-most, t.logTrimMax, uint64(len(entries))))
		first, last := entries[0].Version, entries[n-1].Version
		if l.Log.Trim(last, limits) == 0 {
			return t.fail("Error trimming pg log: entry %v may have to be undone", first)
		}
		l.Info.LogTail = l.Log.Tail()
		fmt.Fprintf(t.out, "Removing keys %s - %s\n", first.Key(), last.Key())
		if err := t.storeMeta(&l, &l.PastIntervals); err != nil {
			return err
		}
	}
	fmt.Fprintln(t.out, "Finished trimming pg log")
	return nil
}

// trimDups drops what a bloated log remembers of old requests, but for
// osd_pg_log_dups_tracked of them.
func (t *tool) trimDups() error {
	l, err := t.loadPG()
	if err != nil {
		return err
	}
	fmt.Fprintf(t.out, "max_dup_entries=%d max_chunk_size=%d\n", t.dupsTracked, t.logTrimMax)
	keep := int(t.dupsTracked)
	for l.Log.DupLen() > keep {
		gone := l.Log.TrimDups(max(keep, l.Log.DupLen()-int(t.logTrimMax)))
		fmt.Fprintf(t.out, "Removing keys %s - %s\n", gone[0].Key(), gone[len(gone)-1].Key())
		if err := t.storeMeta(&l, &l.PastIntervals); err != nil {
			return err
		}
	}
	fmt.Fprintln(t.out, "Finished trimming pg log dups")
	return nil
}
