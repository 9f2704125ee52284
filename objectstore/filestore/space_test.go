package filestore

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"sepiola/objectstore"
	"sepiola/objectstore/filestore/vfs"
	"sepiola/objectstore/storetest"
)

// On a full file system what brings data is refused before anybody sees it; removals
// and what they bring along pass, and so does the next mount. With room again, data does
// too.
func TestFullDisk(t *testing.T) {
	o, p := inA("o", 0), inA("p", 2)
	im := made(t, func(x *tx) { x.Write(collA, o, 0, data(1, 20000)); x.Write(collA, p, 0, data(2, 100)) })
	s := im.store(nil)
	if err := s.Mount(); err != nil {
		t.Fatal(err)
	}
	// Nothing the file system is asked for finds room.
	full := func(left uint64) {
		im.fs.Frozen(func() {
			im.fs.Space = vfs.Statfs{Total: 1 << 30, Free: left, Available: left}
			im.fs.Hook = func(c vfs.Call) error {
				if left == 0 && (c.Op == "create" || c.Op == "mkdir" || c.Op == "write" && c.Path != "/osd/journal") {
					return unix.ENOSPC
				}
				return nil
			}
		})
		s.space.forget()
	}
	full(0)
	for name, build := range map[string]func(*tx){
		"write small": func(x *tx) { x.Write(collA, p, 0, data(3, 100)) },
		"write large": func(x *tx) { x.Write(collA, inA("q", 4), 0, data(3, 20000)) },
		"clone":       func(x *tx) { x.Clone(collA, o, inA("q", 4)) },
		"clone range": func(x *tx) { x.CloneRange(collA, o, p, 0, 100, 100) },
	} {
		var x tx
		build(&x)
		if err := s.Submit(&x, func() { t.Errorf("%s: committed", name) }); !errors.Is(err, objectstore.ErrNoSpace) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if st, err := s.Statfs(); err != nil || st.Available != 0 || st.InternallyReserved < 1<<30/100 {
		t.Errorf("space figures %+v, %v", st, err)
	}
	submitWait(t, s, func(x *tx) {
		x.OmapSet(collA, collA.PG.MetaObject(), map[string][]byte{"log": []byte("entry")})
		x.Remove(collA, o)
	})
	settle(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = im.store(nil)
	full(1 << 30 / 400) // within the lower half of the reserve
	if err := s.Mount(); err != nil {
		t.Fatal(err)
	}
	defer func() { s.Close() }()
	if _, err := s.Stat(collA, o); !errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("removed object: %v", err)
	}
	var x tx
	x.Write(collA, p, 0, data(3, 100))
	if err := s.Submit(&x, nil); !errors.Is(err, objectstore.ErrNoSpace) {
		t.Errorf("write into the reserve: %v", err)
	}
	// The OSD's own maps are no matter of the reserve.
	submitWait(t, s, func(x *tx) {
		x.MkColl(objectstore.Meta, 0)
		x.Write(objectstore.Meta, inA("map", 0), 0, data(4, 5000))
	})
	full(1 << 30 / 130) // within the upper half: for what cannot be refused elsewhere
	if s.HasRoom(1) {
		t.Error("there is room in the reserve")
	}
	submitWait(t, s, func(x *tx) { x.Write(collA, p, 0, data(3, 100)) })
	full(1 << 29)
	if !s.HasRoom(1<<20) || s.HasRoom(1<<29) {
		t.Error("room is not what there is")
	}
	submitWait(t, s, func(x *tx) { x.Write(collA, p, 0, data(3, 100)) })
}

// A journal that finds no room to grow makes do with what it has, and a round never
// meets its end.
func TestJournalCannotGrow(t *testing.T) {
	im := newImage(t)
	s := im.store(nil)
	if err := errors.Join(s.Mkfs(storetest.ID), s.Mount()); err != nil {
		t.Fatal(err)
	}
	end := int64(s.journal.size())
	im.fs.Frozen(func() {
		im.fs.Hook = func(c vfs.Call) error {
			if c.Op == "write" && c.Path == "/osd/journal" && c.Off >= end {
				return unix.ENOSPC
			}
			return nil
		}
	})
	submitWait(t, s, func(x *tx) { x.MkColl(collA, 2) })
	for i := range 300 {
		var x tx
		x.Write(collA, inA(fmt.Sprint("o", i%7), i%7), 0, data(i, 8000))
		if err := s.Submit(&x, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = im.store(nil)
	if err := s.Mount(); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := 293; i < 300; i++ {
		p, err := s.Read(collA, inA(fmt.Sprint("o", i%7), i%7), 0, 0)
		if err != nil || string(p.Flat()) != string(bytesOf(i, 8000)) {
			t.Errorf("object %d: %v", i%7, err)
		}
	}
	// A record that could never be written is refused, not waited for.
	var x tx
	x.OmapSet(collA, inA("o", 0), map[string][]byte{"k": bytesOf(1, 900<<10)})
	if err := s.Submit(&x, nil); err == nil {
		t.Error("a record longer than the journal was accepted")
	}
}
