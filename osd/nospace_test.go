package osd

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"sepiola/objectstore"
	"sepiola/pg"
	"sepiola/wire"
)

// crowded is a store whose disk is full.
type crowded struct{ objectstore.Store }

func (crowded) Submit(*objectstore.Transaction, func()) error {
	return fmt.Errorf("0 bytes available: %w", objectstore.ErrNoSpace)
}

func (crowded) HasRoom(uint64) bool { return false }

// A transaction that finds no room although nobody can refuse it any more ends the OSD,
// which says what to do; and PGs ask the store before they let a client write.
func TestNoSpace(t *testing.T) {
	s := newTestShard(t, testMap(t, 4))
	ours, _ := s.led()
	s.createFor(ours, 1, created(1))
	var why error
	s.d.cfg.Fatal = func(err error) { why = err }
	s.d.cfg.Store = crowded{s.d.cfg.Store}
	tx := &objectstore.Transaction{}
	tx.Write(objectstore.PGColl(ours), ours.MetaObject(), 0, wire.BufOf([]byte("data")))
	s.submit(s.pgs[ours], pg.Submit{Tx: tx})
	if why == nil || !errors.Is(why, objectstore.ErrNoSpace) || !strings.Contains(why.Error(), "start this OSD again") {
		t.Errorf("the daemon went on, or ended with: %v", why)
	}
	if newShard(s.d, 0).env.Room(1) {
		t.Error("PGs believe that there is room")
	}
}
