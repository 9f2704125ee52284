package pg

import (
	"time"

	"sepiola/object"
	"sepiola/objectstore"
	"sepiola/osdmap"
	"sepiola/pg/ops"
	"sepiola/pglog"
)

// Env is what a PG stands on. It does not change during the PG's life.
type Env struct {
	// WhoAmI is the OSD this copy is on.
	WhoAmI int32
	// Reader reads the local store; it sees everything submitted.
	Reader objectstore.Reader
	// Config holds the options to begin with; shared by all PGs of an OSD and
	// replaced, not changed, by whoever owns it ([PG.SetConfig]).
	Config *Config
	// Started is when the OSD began: times travel to other OSDs as spans since then.
	Started time.Time
	// Failsafe reports whether the disk is so full that no client may write; nil for
	// never.
	Failsafe func() bool
	// BackfillFull reports whether the disk is too full to be filled by other OSDs; nil
	// for never.
	BackfillFull func() bool
	// CanBackOff reports whether a client understands backoffs; nil for all do.
	CanBackOff func(Session) bool
	// Room reports whether the local store may take so many bytes of data more; nil for
	// always.
	Room func(bytes uint64) bool
	// Classes runs object classes; nil for none.
	Classes ops.Classes
}

// Config are the options a PG heeds, named as Ceph's.
type Config struct {
	Ops ops.Limits

	MinPGLogEntries      int           // osd min pg log entries
	MaxPGLogEntries      int           // osd max pg log entries
	PGLogDupsTracked     int           // osd pg log dups tracked
	PGLogTrimMin         int           // osd pg log trim min: entries worth a trim
	PGLogTrimMax         int           // osd pg log trim max: most entries per trim
	RecoveryMaxActive    int           // osd recovery max active: objects in flight per PG
	RecoveryMaxChunk     uint64        // osd recovery max chunk: bytes of data per push
	RecoveryMaxOmap      int           // osd recovery max omap entries per chunk
	RecoverySleep        time.Duration // osd recovery sleep: between rounds
	AsyncRecoveryMinCost uint64        // osd async recovery min cost: objects behind which a member recovers outside the acting set
	BackfillScanMin      int           // osd backfill scan min: objects per scan
	BackfillScanMax      int           // osd backfill scan max
	ObjectContexts       int           // osd pg object context cache count
	DeleteChunk          int           // osd target transaction size: objects per step of a removal
	DeleteSleep          time.Duration // osd delete sleep
	BackfillRetry        time.Duration // osd backfill retry interval: after a target was too full
	// ReadLeaseInterval is how long a primary may answer after its replicas last
	// confirmed it: osd heartbeat grace times osd pool default read lease ratio, unless the pool
	// has its own.
	ReadLeaseInterval time.Duration
}

// DefaultConfig returns Ceph 16's defaults, except that recovery does not sleep,
// since scheduling keeps it out of the clients' way, and that a clean PG keeps
// 1000 log entries rather than a share of the OSD's 300000.
func DefaultConfig() *Config {
	return &Config{
		Ops:                  ops.DefaultLimits(),
		MinPGLogEntries:      1000,
		MaxPGLogEntries:      10000,
		PGLogDupsTracked:     3000,
		PGLogTrimMin:         100,
		PGLogTrimMax:         10000,
		RecoveryMaxActive:    8,
		RecoveryMaxChunk:     8 << 20,
		RecoveryMaxOmap:      8096,
		AsyncRecoveryMinCost: 100,
		BackfillScanMin:      64,
		BackfillScanMax:      512,
		ObjectContexts:       64,
		DeleteChunk:          30,
		BackfillRetry:        30 * time.Second,
		ReadLeaseInterval:    16 * time.Second,
	}
}

// CreateInfo says how a PG comes to be on this OSD where it was not
// (PGCreateInfo): from the monitor's create message or a peer's notify or log.
type CreateInfo struct {
	// Epoch is that of the map to begin with.
	Epoch         uint32
	History       pglog.History
	PastIntervals *osdmap.PastIntervals // nil for none
}

// NewHistory returns the history of a PG that the monitor had created in an
// epoch.
func NewHistory(epoch uint32, stamp time.Time) pglog.History { return pglog.NewHistory(epoch, stamp) }

// MapSource returns the map of an epoch; nil if it is not at hand.
type MapSource func(epoch uint32) *osdmap.Map

// SetConfig replaces the options, between steps. c is not to be changed any more.
func (p *PG) SetConfig(c *Config) { p.conf = c }

// ID returns the PG's id.
func (p *PG) ID() object.SPGID { return p.id }
