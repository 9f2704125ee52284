package osdmap

import (
	"testing"

	"sepiola/object"
)

// What an operator forbids for the cluster, a node, a class or one OSD reaches
// the OSDs it is meant for and no others.
func TestRestrictions(t *testing.T) {
	m := largeMap(t, 16)
	if _, err := m.Crush.SetDeviceClass(7, "ssd"); err != nil {
		t.Fatal(err)
	}
	class, _ := m.Crush.ClassID("ssd")
	rack1, _ := m.Crush.ItemID("rack1")
	m.OSDState[4] |= OSDNoUp | OSDFull
	m.CrushNodeFlags[rack1] = OSDNoOut
	m.DeviceClassFlags[class] = OSDNoDown
	for osd, want := range map[int32]uint32{0: 0, 4: OSDNoUp, 7: OSDNoDown, 30: OSDNoOut, 60: 0, 103: 0, -1: 0} {
		if got := m.Restrictions(osd); got != want {
			t.Errorf("osd.%d: %x, want %x", osd, got, want)
		}
	}
	m.Flags |= FlagNoIn
	if got := m.Restrictions(4); got != OSDNoUp|OSDNoIn {
		t.Errorf("with noin for all: %x", got)
	}
}

// A PG is there if its pool has that many.
func TestPoolHas(t *testing.T) {
	m := largeMap(t, 16)
	for pg, want := range map[object.PGID]bool{{Pool: 1, Seed: 15}: true, {Pool: 1, Seed: 16}: false, {Pool: 9}: false} {
		if got := m.PoolHas(pg); got != want {
			t.Errorf("%s: %v", pg, got)
		}
	}
}
