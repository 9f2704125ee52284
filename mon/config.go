package mon

import (
	"net/netip"
	"time"

	"github.com/hashicorp/go-hclog"

	"sepiola/adminsocket"
	"sepiola/config"
	"sepiola/entity"
)

// Config is what a monitor needs from its surroundings.
type Config struct {
	// Name is the monitor's id: "a" for mon.a.
	Name string
	// DataDir is the directory that [Mkfs] made.
	DataDir string
	// FSID, unless zero, must be the one the directory was made with.
	FSID entity.UUID
	// Options are the daemon's settings; its "mon" and "osd" options with
	// Ceph's names steer the services. Required.
	Options *config.Config
	// Logger takes the monitor's lines; MsgrLogger those of the messenger
	// (Logger if nil).
	Logger     hclog.Logger
	MsgrLogger hclog.Logger
	// MgrAddr is where the manager protocol listens: the monitor's address
	// with the first free port of the messenger's range if zero.
	MgrAddr netip.AddrPort
	// Admin gets the monitor's admin socket commands; may be nil.
	Admin *adminsocket.Server
	// Fatal is called once, on its own goroutine, when the monitor cannot go
	// on. Required.
	Fatal func(error)
	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

// MkfsOptions say what monitor to make.
type MkfsOptions struct {
	FSID entity.UUID
	Name string // of the monitor to make
	// Mons are the initial monitors by name, this one among them.
	Mons map[string]entity.AddrVec
	Now  time.Time
}
