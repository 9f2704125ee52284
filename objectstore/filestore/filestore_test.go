package filestore

import (
	"os"
	"testing"

	"sepiola/objectstore"
	"sepiola/objectstore/storetest"
)

// dirDisk is a directory of the machine's file system. Its crashes are those of a
// process: what was written is there, synced or not, but nothing is flushed.
type dirDisk struct {
	t    storetest.T
	dir  string
	opts Options
}

func newDirDisk(opts Options) storetest.Maker {
	return func(t storetest.T) storetest.Disk {
		dir, err := os.MkdirTemp("", "filestore")
		if err != nil {
			t.Fatalf("%v", err)
		}
		return &dirDisk{t, dir, opts}
	}
}

func (d *dirDisk) Open() objectstore.Store   { return New(d.dir+"/osd", d.opts) }
func (d *dirDisk) Crash(s objectstore.Store) { s.(*Store).abandon() }
func (d *dirDisk) Remove()                   { os.RemoveAll(d.dir) }

// filestore keeps every promise of the interface.
func TestSuite(t *testing.T) { storetest.Suite(t, newDirDisk(Options{})) }
