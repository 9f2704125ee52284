package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"sepiola/jsonfmt"
	"sepiola/message"
	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/osd"
	"sepiola/osdmap"
	"sepiola/wire"
)

// dumpSuper prints the superblock.
func (t *tool) dumpSuper() error {
	if t.noSuper {
		return t.fail("dump-super: --no-superblock leaves nothing to dump")
	}
	t.printJSON(true, func(w *jsonfmt.Writer) { dumpSuperblock(w, &t.super) })
	return nil
}

// dumpSuperblock writes what OSDSuperblock::dump does.
func dumpSuperblock(w *jsonfmt.Writer, s *message.OSDSuperblock) {
	w.String("cluster_fsid", s.ClusterFSID.String())
	w.String("osd_fsid", s.OSDFSID.String())
	w.Int("whoami", int64(s.Whoami))
	w.Uint("current_epoch", uint64(s.CurrentEpoch))
	w.Uint("oldest_map", uint64(s.OldestMap))
	w.Uint("newest_map", uint64(s.NewestMap))
	w.Float("weight", s.Weight)
	w.OpenObject("compat")
	for _, set := range []struct {
		name     string
		features message.FeatureSet
	}{{"compat", s.Compat.Compat}, {"ro_compat", s.Compat.ROCompat}, {"incompat", s.Compat.Incompat}} {
		w.OpenObject(set.name)
		for _, n := range sortedKeys(set.features) {
			w.String(fmt.Sprint("feature_", n), set.features[n])
		}
		w.Close()
	}
	w.Close()
	w.Uint("clean_thru", uint64(s.CleanThru))
	w.Uint("last_epoch_mounted", uint64(s.Mounted))
	w.Uint("purged_snaps_last", uint64(s.PurgedSnapsLast))
	w.Time("last_purged_snaps_scrub", s.LastPurgedSnapsScrub)
	w.Uint("cluster_osdmap_trim_lower_bound", uint64(s.TrimLowerBound))
}

// putFile writes to --file, or standard output.
func (t *tool) putFile(b []byte) error {
	if t.file == "" || t.file == "-" {
		if t.isTTY {
			return t.fail("stdout is a tty and no --file filename specified")
		}
		_, err := t.out.Write(b)
		return err
	}
	if err := os.WriteFile(t.file, b, 0o666); err != nil {
		return t.fail("file: %s: %s", t.file, plainText(err))
	}
	return nil
}

// takeFile reads --file, or standard input.
func (t *tool) takeFile() ([]byte, error) {
	if t.file != "" && t.file != "-" {
		b, err := os.ReadFile(t.file)
		if err != nil {
			return nil, t.fail("file: %s: %s", t.file, plainText(err))
		}
		return b, nil
	}
	if isTerminal(t.stdin) {
		return nil, t.fail("stdin is a tty and no --file filename specified")
	}
	b, err := io.ReadAll(t.stdin)
	if err != nil {
		return nil, t.fail("read_fd error %s", errText(err))
	}
	return b, nil
}

func (t *tool) getSuper() error {
	e := wire.NewEncoder(256)
	t.super.Encode(e)
	if err := t.putFile(e.Bytes()); err != nil {
		return err
	}
	fmt.Fprintln(t.out, "superblock exported.")
	return nil
}

// setSuper replaces the superblock. Ceph's tool takes any bytes; a superblock that an OSD
// could not read is refused here.
func (t *tool) setSuper() error {
	b, err := t.takeFile()
	if err != nil {
		return err
	}
	d := wire.NewDecoder(b)
	message.DecodeOSDSuperblock(d)
	if err := d.Finish(); err != nil {
		return t.fail("Failed to read superblock: %v", err)
	}
	if err := t.replace(osd.SuperblockObject(), b); err != nil {
		return t.fail("Error setting superblock: %s", describe(err))
	}
	fmt.Fprintln(t.out, "Superblock was set")
	return nil
}

// replace gives an object of the OSD's own collection other content.
func (t *tool) replace(o object.GID, b []byte) error {
	tx := &objectstore.Transaction{}
	tx.Truncate(objectstore.Meta, o, 0)
	tx.Write(objectstore.Meta, o, 0, wire.BufOf(b))
	return t.submit(tx)
}

// wantEpoch is --epoch, or where the OSD was.
func (t *tool) wantEpoch() uint32 {
	if t.epoch == 0 {
		return t.super.CurrentEpoch
	}
	return uint32(t.epoch)
}

func (t *tool) getMap() error {
	epoch := t.wantEpoch()
	b, err := osd.ReadMapBytes(t.store, epoch)
	if err != nil {
		t.complain("Can't find OSDMap for pg epoch %d", epoch)
		return t.fail("Failed to get osdmap#%d: %s", epoch, errText(err))
	}
	if err := t.putFile(b); err != nil {
		return err
	}
	fmt.Fprintf(t.out, "osdmap#%d exported.\n", epoch)
	return nil
}

func (t *tool) getIncremental() error {
	epoch := t.wantEpoch()
	b, err := osd.ReadIncrementalBytes(t.store, epoch)
	if err != nil {
		return t.fail("Failed to get incremental osdmap# %d: %s", epoch, errText(err))
	}
	if err := t.putFile(b); err != nil {
		return err
	}
	fmt.Fprintf(t.out, "inc-osdmap#%d exported.\n", epoch)
	return nil
}

func (t *tool) setMap() error {
	b, err := t.takeFile()
	if err != nil {
		return err
	}
	m, err := osdmap.DecodeMap(b)
	if err != nil {
		return t.fail("Failed to read osdmap: %v", err)
	}
	if t.epoch != 0 && t.epoch != uint64(m.Epoch) {
		t.complain("osdmap.epoch mismatch: %d != %d", t.epoch, m.Epoch)
	}
	return t.setEpoch("osdmap", m.Epoch, osd.MapObject, b)
}

func (t *tool) setIncremental() error {
	b, err := t.takeFile()
	if err != nil {
		return err
	}
	inc, err := osdmap.DecodeIncremental(b)
	if err != nil {
		return t.fail("Failed to read incremental osdmap: %v", err)
	}
	if t.epoch != 0 && t.epoch != uint64(inc.Epoch) {
		t.complain("incremental.epoch mismatch: %d != %d", inc.Epoch, t.epoch)
	}
	return t.setEpoch("inc-osdmap", inc.Epoch, osd.IncrementalObject, b)
}

// setEpoch stores a map, or a change of maps, of an epoch for --epoch, where none is given for
// its own. One that is not there yet, or of another epoch, needs --force.
func (t *tool) setEpoch(kind string, own uint32, objectOf func(uint32) object.GID, b []byte) error {
	epoch := own
	if t.epoch != 0 && t.epoch != uint64(own) {
		if !t.force {
			return errFailed
		}
		t.complain("But will continue anyway.")
		epoch = uint32(t.epoch)
	}
	o := objectOf(epoch)
	_, err := t.store.Stat(objectstore.Meta, o)
	switch {
	case errors.Is(err, objectstore.ErrNotFound):
		t.complain("%s (%v) does not exist.", kind, o)
		if !t.force {
			return errFailed
		}
		fmt.Fprintln(t.out, "Creating a new epoch.")
	case err != nil:
		return t.fail("%s (%v): %s", kind, o, describe(err))
	}
	if err := t.replace(o, b); err != nil {
		return t.fail("Failed to set %s#%d: %s", kind, epoch, describe(err))
	}
	return nil
}
